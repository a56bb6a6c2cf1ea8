/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagrams: UDP of known content from one host to another, in six flows: single ones and messages
 * that the kernel or a device is to cut (UDP_SEGMENT), lengths and numbers by chance; flows 0, 2
 * and 4 by IPv4, the others by IPv6; what comes by flows 0 and 1 may come joined (UDP_GRO). Flows 4
 * and 5 are packets that are written whole to a device, some with wrong checksums among those that
 * would be joined with them.
 *
 * usage: datagrams send BOOKS SEED COUNT DEVICE LOCAL4 REMOTE4 LOCAL6 REMOTE6
 *        datagrams receive BOOKS SEED COUNT LOCAL4 LOCAL6        (prints its books)
 *
 * The sender is never more than AHEAD datagrams of a flow ahead of the newest that arrived, as the
 * receiver writes in BOOKS, so that no queue on the way is ever full.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/checksum.h"
#include "tests/relay/content.h"
#include "tests/relay/segments.h"

#define BUFFER_LEN  (64 << 20)
#define AHEAD       256
#define MSG_LEN     65536
#define SEGMENTS    60 /* at most; a super-packet that the tunnel takes has up to 44 */
#define FEW         44
#define PAYLOAD     60000
#define SINGLE_MAX  1320 /* that the tunnel takes in one packet */
#define SEGMENT_MAX 1200
#define MSGS        16
#define PATIENCE_S  5 /* for the last ones */
#define PROGRESS    5000000

static uint64_t seed, chance;

static void fail(const char *what)
{
	fprintf(stderr, "datagrams: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(content_mix(chance++ * 0x9e3779b97f4a7c15ull) >> 32) % n;
}

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	if (ip_addr_parse(&a, text)) {
		fprintf(stderr, "datagrams: %s: not an address\n", text);
		exit(2);
	}
	return a;
}

static void set_int(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		fail("setsockopt");
}

static int open_socket(const struct ip_addr *addr, uint16_t port)
{
	const struct endpoint e = {.addr = *addr, .port = port};
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, &e);
	int fd = socket(ss.ss_family, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len))
		fail("socket");
	set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_LEN);
	return fd;
}

static uint64_t read_book(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void write_book(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* struct sender - fd: a socket for each flow, or the device's for those that are RAW. */
struct sender {
	struct content_books *books;
	int fd[CONTENT_FLOWS];
	struct ip_addr local[2], remote[2];
	struct sockaddr_ll device;
	uint8_t frames[SEGMENTS][48 + SINGLE_MAX + 8];
};

/* length - any order of magnitude is as likely as another. */
static uint16_t length(uint32_t max)
{
	uint32_t top = CONTENT_MIN << below(7);

	return (uint16_t)(CONTENT_MIN + below((top < max ? top : max) - CONTENT_MIN + 1));
}

/* wait_for_room - `num` more do not put the sender too far ahead. */
static void wait_for_room(const struct sender *s, uint32_t flow, uint32_t num)
{
	while (s->books->given[flow] + num > read_book(&s->books->top[flow]) + AHEAD)
		nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

/* send_message - num datagrams of len bytes, the last one shorter, that the kernel cuts. */
static void send_message(struct sender *s, uint32_t flow, uint32_t num, uint16_t len)
{
	static uint8_t payload[MSG_LEN];
	uint16_t last = num > 1 ? (uint16_t)(CONTENT_MIN + below(len - CONTENT_MIN + 1u)) : len;
	size_t all = 0;

	wait_for_room(s, flow, num);
	for (uint32_t i = 0; i < num; i++) {
		uint16_t own = i + 1 < num ? len : last;

		content_make(payload + all, seed, (uint16_t)flow, s->books->given[flow] + i, own);
		all += own;
	}
	set_int(s->fd[flow], IPPROTO_UDP, UDP_SEGMENT_OPTION, num > 1 ? len : 0);
	write_book(&s->books->given[flow], s->books->given[flow] + num);
	while (send(s->fd[flow], payload, all, 0) < 0)
		if (errno != EINTR && errno != ENOBUFS)
			fail("send");
}

static uint32_t write_ip(const struct sender *s, uint32_t flow, uint8_t *h, uint16_t len)
{
	static uint16_t id;
	bool v6 = content_is_v6(flow);

	if (v6) {
		memset(h, 0, 8);
		h[0] = 0x60;
		store_be16(h + 4, len);
		h[6] = IPPROTO_UDP;
		h[7] = 64;
		memcpy(h + 8, s->local[1].b, 16);
		memcpy(h + 24, s->remote[1].b, 16);
		return 40;
	}
	memset(h, 0, 12);
	h[0] = 0x45;
	store_be16(h + 2, (uint16_t)(20 + len));
	store_be16(h + 4, id++);
	h[8] = 64;
	h[9] = IPPROTO_UDP;
	memcpy(h + 12, s->local[0].b, 4);
	memcpy(h + 16, s->remote[0].b, 4);
	checksum_put(h + 10, (uint16_t)~checksum_fold(checksum_add(0, h, 20)));
	return 20;
}

/* spoil - a bit of the checksum, which may not become 0 (there is none), or of the payload. */
static void spoil(uint8_t *udp, uint32_t len)
{
	uint16_t sum = load_be16(udp + 6) ^ (uint16_t)(1u << below(16));

	if (sum && below(2))
		store_be16(udp + 6, sum);
	else
		udp[8 + below(len - 8)] ^= (uint8_t)(1 << below(8));
}

/* write_frame - a packet with this datagram; returns its length. */
static size_t write_frame(const struct sender *s, uint32_t flow, uint8_t *h, uint16_t len,
			  bool is_wrong)
{
	uint32_t at = write_ip(s, flow, h, (uint16_t)(8 + len));
	uint8_t *udp = h + at;
	uint64_t n = is_wrong ? s->books->spoilt : s->books->given[flow];

	store_be16(udp, 6999);
	store_be16(udp + 2, content_port(flow));
	store_be16(udp + 4, (uint16_t)(8 + len));
	store_be16(udp + 6, 0);
	content_make(udp + 8, seed, is_wrong ? CONTENT_SPOILT : (uint16_t)flow, n, len);
	uint16_t sum = (uint16_t)~checksum_fold(
		checksum_add(checksum_pseudo(h, IPPROTO_UDP) + checksum_value((uint16_t)(8 + len)),
			     udp, 8u + len));

	checksum_put(udp + 6, sum ? sum : UINT16_MAX);
	if (is_wrong)
		spoil(udp, 8u + len);
	return at + 8u + len;
}

/* send_raw - num packets of one length, so that they may be joined, one in four of them wrong. */
static void send_raw(struct sender *s, uint32_t flow, uint32_t num, uint16_t len)
{
	struct sockaddr_ll to = s->device;
	struct mmsghdr msgs[SEGMENTS];
	struct iovec iov[SEGMENTS];

	to.sll_protocol = htons(content_is_v6(flow) ? 0x86dd : 0x0800);
	wait_for_room(s, flow, num);
	for (uint32_t i = 0; i < num; i++) {
		bool is_wrong = below(4) == 0;

		iov[i] = (struct iovec){s->frames[i],
					write_frame(s, flow, s->frames[i], len, is_wrong)};
		msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &to,
						       .msg_namelen = sizeof(to),
						       .msg_iov = &iov[i],
						       .msg_iovlen = 1}};
		uint64_t *book = is_wrong ? &s->books->spoilt : &s->books->given[flow];

		write_book(book, *book + 1);
	}
	for (uint32_t done = 0; done < num;) {
		int n = sendmmsg(s->fd[flow], msgs + done, num - done, 0);

		if (n < 0 && errno != EINTR && errno != ENOBUFS)
			fail("sendmmsg");
		done += n > 0 ? (uint32_t)n : 0;
	}
}

/* send_some - one datagram or some together; returns how many. */
static uint32_t send_some(struct sender *s, uint64_t left)
{
	uint32_t flow = below(16) ? below(CONTENT_RAW) : CONTENT_RAW + below(2);
	uint16_t len = below(8) ? length(SEGMENT_MAX) : length(SINGLE_MAX);
	uint32_t most = below(16) ? FEW : SEGMENTS;
	uint32_t num = len > SEGMENT_MAX || below(8) == 0 ? 1 : 2 + below(most - 1);

	if (num > PAYLOAD / len)
		num = PAYLOAD / len;
	if (num > left)
		num = (uint32_t)left;
	if (flow < CONTENT_RAW)
		send_message(s, flow, num, len);
	else
		send_raw(s, flow, num, len);
	return num;
}

static void open_flows(struct sender *s, const char *device)
{
	s->device = (struct sockaddr_ll){.sll_family = AF_PACKET,
					 .sll_ifindex = (int)if_nametoindex(device),
					 .sll_halen = 6};
	if (!s->device.sll_ifindex)
		fail(device);
	for (uint32_t i = 0; i < CONTENT_FLOWS; i++) {
		bool v6 = content_is_v6(i);
		const struct endpoint to = {.addr = s->remote[v6], .port = content_port(i)};
		struct sockaddr_storage ss;
		socklen_t len = endpoint_to_sockaddr(&ss, &to);

		if (i >= CONTENT_RAW)
			s->fd[i] = socket(AF_PACKET, SOCK_DGRAM, 0);
		else
			s->fd[i] = open_socket(&s->local[v6], 0);
		if (s->fd[i] < 0 ||
		    (i < CONTENT_RAW && connect(s->fd[i], (struct sockaddr *)&ss, len)))
			fail("a flow");
		set_int(s->fd[i], SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_LEN);
	}
}

static int send_them(struct content_books *books, uint64_t count, char **argv)
{
	static struct sender s;

	s.books = books;
	for (uint32_t i = 0; i < 2; i++) {
		s.local[i] = address(argv[1 + 2 * i]);
		s.remote[i] = address(argv[2 + 2 * i]);
	}
	open_flows(&s, argv[0]);
	for (uint64_t given = 0; given < count;)
		given += send_some(&s, count - given);
	write_book(&books->is_done, 1);
	while (!read_book(&books->is_over))
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	return 0;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* struct receiver - seen: a bit for each datagram that there may be. */
struct receiver {
	struct content_books *books;
	int fd[CONTENT_FLOWS];
	uint8_t *seen[CONTENT_FLOWS];
	uint64_t limit;
	uint64_t arrived, corrupt, twice, behind, laundered, joined, misled;
};

/* judge - a datagram that came to the port of a flow. */
static void judge(struct receiver *r, uint32_t flow, const uint8_t *at, size_t len)
{
	struct content_stamp s;

	if (!content_read(&s, at, len, seed)) {
		r->corrupt++;
		return;
	}
	if (s.flow == CONTENT_SPOILT) {
		r->laundered++;
		return;
	}
	if (s.flow != flow || s.n >= r->limit || s.n >= read_book(&r->books->given[flow])) {
		r->misled++;
		return;
	}
	uint8_t *byte = &r->seen[flow][s.n / 8], bit = (uint8_t)(1 << s.n % 8);
	uint64_t top = r->books->top[flow];

	r->twice += (*byte & bit) != 0;
	r->arrived += (*byte & bit) == 0;
	r->behind += s.n < top;
	*byte |= bit;
	if (s.n >= top)
		write_book(&r->books->top[flow], s.n + 1);
}

static bool receive(struct receiver *r, uint32_t flow)
{
	static uint8_t buf[MSGS][MSG_LEN];
	alignas(struct cmsghdr) uint8_t control[MSGS][64];
	struct mmsghdr msgs[MSGS];
	struct iovec iov[MSGS];

	for (uint32_t i = 0; i < MSGS; i++) {
		iov[i] = (struct iovec){buf[i], MSG_LEN};
		msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i],
						       .msg_iovlen = 1,
						       .msg_control = control[i],
						       .msg_controllen = sizeof(control[i])}};
	}
	int n = recvmmsg(r->fd[flow], msgs, MSGS, MSG_DONTWAIT, NULL);

	for (int i = 0; i < n; i++) {
		size_t len = msgs[i].msg_len, segment = segment_of(&msgs[i].msg_hdr, len);

		r->joined += segment < len;
		if (len == 0)
			r->corrupt++;
		for (size_t at = 0; at < len; at += segment)
			judge(r, flow, buf[i] + at, len - at < segment ? len - at : segment);
	}
	return n > 0;
}

static uint64_t given(const struct content_books *b)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < CONTENT_FLOWS; i++)
		sum += read_book(&b->given[i]);
	return sum;
}

/* collect - until all that was given is there, or nothing has come for long. What comes too often
 * comes soon behind. */
static void collect(struct receiver *r)
{
	struct pollfd fds[CONTENT_FLOWS];
	time_t last = time(NULL);
	uint64_t told = 0;

	for (uint32_t i = 0; i < CONTENT_FLOWS; i++)
		fds[i] = (struct pollfd){.fd = r->fd[i], .events = POLLIN};
	for (;;) {
		bool any = false;
		bool all = read_book(&r->books->is_done) && r->arrived == given(r->books);

		poll(fds, CONTENT_FLOWS, 500);
		for (uint32_t i = 0; i < CONTENT_FLOWS; i++)
			any |= (fds[i].revents & POLLIN) && receive(r, i);
		if (any)
			last = time(NULL);
		else if (all || (read_book(&r->books->is_done) && time(NULL) - last > PATIENCE_S))
			return;
		if (r->arrived / PROGRESS != told)
			fprintf(stderr, "%llu arrived\n", (unsigned long long)r->arrived);
		told = r->arrived / PROGRESS;
	}
}

static int receive_them(struct content_books *books, uint64_t count, char **argv)
{
	struct receiver r = {.books = books, .limit = count};

	for (uint32_t i = 0; i < CONTENT_FLOWS; i++) {
		const struct ip_addr a = address(argv[content_is_v6(i)]);

		r.seen[i] = calloc(1, count / 8 + 1);
		if (!r.seen[i])
			fail("memory");
		r.fd[i] = open_socket(&a, content_port(i));
		if (i < 2)
			set_int(r.fd[i], IPPROTO_UDP, UDP_GRO_OPTION, 1);
	}
	puts("ready");
	fflush(stdout);
	collect(&r);
	printf("{\"given\": %llu, \"arrived\": %llu, \"corrupt\": %llu, \"twice\": %llu, "
	       "\"misled\": %llu, \"behind\": %llu, \"joined\": %llu, \"spoilt\": %llu, "
	       "\"laundered\": %llu}\n",
	       (unsigned long long)given(books), (unsigned long long)r.arrived,
	       (unsigned long long)r.corrupt, (unsigned long long)r.twice,
	       (unsigned long long)r.misled, (unsigned long long)r.behind,
	       (unsigned long long)r.joined, (unsigned long long)read_book(&books->spoilt),
	       (unsigned long long)r.laundered);
	write_book(&books->is_over, 1);
	for (uint32_t i = 0; i < CONTENT_FLOWS; i++)
		free(r.seen[i]);
	return 0;
}

int main(int argc, char **argv)
{
	bool sends = argc == 10 && strcmp(argv[1], "send") == 0;

	if (!sends && (argc != 7 || strcmp(argv[1], "receive") != 0)) {
		fputs("usage: datagrams send BOOKS SEED COUNT DEVICE LOCAL4 REMOTE4 LOCAL6 "
		      "REMOTE6\n"
		      "       datagrams receive BOOKS SEED COUNT LOCAL4 LOCAL6\n",
		      stderr);
		return 2;
	}
	struct content_books *books = content_map(argv[2]);
	uint64_t count = strtoull(argv[4], NULL, 10);

	if (!books)
		fail(argv[2]);
	seed = strtoull(argv[3], NULL, 10);
	chance = content_mix(seed) ^ sends;
	return sends ? send_them(books, count, argv + 5) : receive_them(books, count, argv + 5);
}
