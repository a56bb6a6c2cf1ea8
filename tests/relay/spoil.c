/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoil: behind some of the TCP packets that a host sends to a port by a device it puts another one
 * that continues them, in sequence and with equal headers, but says something else, and its
 * checksum is wrong. Who joins it with those before it, without looking, makes it a right one.
 *
 * usage: spoil DEVICE PORT ONE-IN      (until SIGTERM; prints how many)
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checksum.h"

#define PACKET_VNET_HDR_OPTION 15
#define VNET_LEN               10
#define NEEDS_SUM              0x01
#define ETHERNET_LEN           14
#define AGAIN                  3 /* segments in front of a wrong one */
#define PACKET_MAX             2048
#define FRAME_MAX              (VNET_LEN + ETHERNET_LEN + 65536)

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number)
{
	(void)number;
	asked_to_end = 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "spoil: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* struct seen - a packet of several segments that the host sent; h: its IP header. */
struct seen {
	uint8_t *h;
	uint32_t at, head_len, payload, segment; /* at: TCP header; head_len: all headers */
	bool v6;
};

/* parse - false: it is not TCP to `port`, or not of enough segments that all are whole. */
static bool parse(struct seen *s, uint8_t *frame, size_t len, uint16_t port)
{
	uint8_t *h = frame + VNET_LEN + ETHERNET_LEN;

	if (len < VNET_LEN + ETHERNET_LEN + 60 || !(frame[0] & NEEDS_SUM))
		return false;
	*s = (struct seen){
		.h = h, .v6 = h[0] >> 4 == 6, .segment = frame[4] | (uint32_t)frame[5] << 8};
	s->at = s->v6 ? 40 : 20;
	if (h[s->v6 ? 6 : 9] != IPPROTO_TCP || load_be16(h + s->at + 2) != port || !s->segment)
		return false;
	s->head_len = s->at + (h[s->at + 12] >> 4) * 4u;
	s->payload = (uint32_t)len - VNET_LEN - ETHERNET_LEN - s->head_len;
	return s->payload % s->segment == 0 && s->payload >= AGAIN * s->segment &&
	       s->head_len + s->segment <= PACKET_MAX;
}

/* finish - lengths and checksums of a packet of len bytes. */
static void finish(const struct seen *s, uint8_t *h, uint32_t len)
{
	uint8_t *t = h + s->at;
	uint32_t tcp_len = len - s->at;
	uint64_t sum;

	if (s->v6) {
		store_be16(h + 4, (uint16_t)(len - 40));
	} else {
		store_be16(h + 2, (uint16_t)len);
		store_be16(h + 10, 0);
		checksum_put(h + 10, (uint16_t)~checksum_fold(checksum_add(0, h, 20)));
	}
	store_be16(t + 16, 0);
	sum = checksum_pseudo(h, IPPROTO_TCP) + checksum_value((uint16_t)tcp_len);
	checksum_put(t + 16, (uint16_t)~checksum_fold(checksum_add(sum, t, tcp_len)));
}

/* make - packet `index` of a run that goes from AGAIN segments before the end to one behind it,
 * which is spoilt; returns its length. */
static uint32_t make(const struct seen *s, uint8_t *h, uint32_t index)
{
	uint32_t offset = s->payload - AGAIN * s->segment + index * s->segment;
	uint32_t len = s->head_len + s->segment;
	uint8_t *t = h + s->at;

	memcpy(h, s->h, s->head_len);
	if (index < AGAIN)
		memcpy(h + s->head_len, s->h + s->head_len + offset, s->segment);
	else
		memset(h + s->head_len, 0x5a, s->segment);
	store_be32(t + 4, load_be32(t + 4) + offset);
	t[13] &= 0x10; /* ACK alone */
	if (!s->v6)
		store_be16(h + 4, (uint16_t)(load_be16(h + 4) + offset / s->segment));
	finish(s, h, len);
	if (index == AGAIN)
		t[17] ^= 0x10;
	return len;
}

/* send_run - at once, so that they stay together. */
static void send_run(int fd, const struct seen *s, struct sockaddr_ll *to)
{
	static uint8_t packet[AGAIN + 1][PACKET_MAX];
	struct mmsghdr msgs[AGAIN + 1];
	struct iovec iov[AGAIN + 1];

	to->sll_protocol = htons(s->v6 ? 0x86dd : 0x0800);
	to->sll_halen = 6;
	for (uint32_t i = 0; i <= AGAIN; i++) {
		iov[i] = (struct iovec){packet[i], make(s, packet[i], i)};
		msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_name = to,
						       .msg_namelen = sizeof(*to),
						       .msg_iov = &iov[i],
						       .msg_iovlen = 1}};
	}
	for (int done = 0, n; done <= AGAIN; done += n > 0 ? n : 0) {
		n = sendmmsg(fd, msgs + done, (unsigned int)(AGAIN + 1 - done), 0);
		if (n < 0 && errno != EINTR && errno != ENOBUFS)
			fail("sendmmsg");
	}
}

int main(int argc, char **argv)
{
	const struct sigaction end = {.sa_handler = on_signal};
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0003)};
	static uint8_t frame[FRAME_MAX];
	uint64_t spoilt = 0, turn = 0;
	int on = 1;

	if (argc != 4) {
		fputs("usage: spoil DEVICE PORT ONE-IN\n", stderr);
		return 2;
	}
	const uint16_t port = (uint16_t)strtoul(argv[2], NULL, 10);
	const uint64_t one_in = strtoull(argv[3], NULL, 10);
	int in = socket(AF_PACKET, SOCK_RAW, 0), out = socket(AF_PACKET, SOCK_DGRAM, 0);

	at.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (!at.sll_ifindex || !one_in || in < 0 || out < 0 ||
	    setsockopt(in, SOL_PACKET, PACKET_VNET_HDR_OPTION, &on, sizeof(on)) ||
	    bind(in, (struct sockaddr *)&at, sizeof(at)))
		fail(argv[1]);
	sigaction(SIGTERM, &end, NULL);
	puts("ready");
	fflush(stdout);
	while (!asked_to_end) {
		struct pollfd p = {.fd = in, .events = POLLIN};
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		struct seen s;

		if (poll(&p, 1, 200) <= 0)
			continue;
		ssize_t len = recvfrom(in, frame, sizeof(frame), MSG_DONTWAIT,
				       (struct sockaddr *)&from, &from_len);

		if (len <= 0 || from.sll_pkttype != PACKET_OUTGOING ||
		    !parse(&s, frame, (size_t)len, port) || turn++ % one_in)
			continue;
		send_run(out, &s, &at);
		if (spoilt++ == 0) {
			puts("begun");
			fflush(stdout);
		}
	}
	printf("{\"spoilt\": %llu}\n", (unsigned long long)spoilt);
	return 0;
}
