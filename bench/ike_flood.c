/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood SECONDS RATE INTERFACE MAC ADDRESS PORT INITIATOR.conf - RATE IKE_SA_INIT requests a second
 * (0: as many as go) to port 500 or 4500 of ADDRESS, by frames to MAC, each from an address and
 * with an SPI and a nonce of its own: what somebody sends who never sees an answer. Otherwise they
 * are what the configuration would send, so that nothing but the missing cookie tells them from
 * those of a peer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/ike_gen.h"
#include "control/ike/wire/proto.h"

#define BATCH   64
#define PORT    500
#define NAT_T   4500
#define MARKER  4 /* bytes of zero in front of IKE on that port (RFC 3948 2.2) */
#define HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define ROOM    1500

/* struct flood - the message, and so many frames with it. */
struct flood {
	int fd;
	struct sockaddr_ll to;
	uint8_t message[ROOM];
	size_t len, nonce_at; /* of the message */
	size_t front;         /* bytes between the UDP header and it */
	uint8_t frames[BATCH][HEADERS + ROOM];
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	uint64_t random;
	uint64_t sent;
};

static void take_message(struct side *s, const struct ike_action *a)
{
	struct flood *f = s->ctx;

	if (a->bytes.len > sizeof(f->message) - MARKER)
		gen_must(ERR_LIMIT, "the message");
	memcpy(f->message, a->bytes.p, a->bytes.len);
	f->len = a->bytes.len;
}

static void tell(struct side *s, const struct ike_event *ev)
{
	(void)s;
	(void)ev;
}

/* Where the nonce is: each is another one. */
static size_t find_nonce(const struct flood *f)
{
	uint8_t next = f->message[16];
	size_t at = 28;

	while (next && at + 4 <= f->len) {
		if (next == PAYLOAD_NONCE)
			return at + 4;
		next = f->message[at];
		at += load_be16(f->message + at + 2);
	}
	gen_must(ERR_MALFORMED, "our own message");
	return 0;
}

static void make_message(struct flood *f, const char *file, const struct endpoint *remote)
{
	struct side s = {.conf = gen_conf(file), .send = take_message, .tell = tell, .ctx = f};
	const uint64_t now_ns = clock_now_ns();
	struct ike_initiate_params p = {.path.remote = *remote};
	const uint8_t here[4] = {192, 0, 2, 99};

	side_open(&s);
	p.conn = s.conf->conns[0]->name;
	p.path.local = (struct endpoint){.addr = ip_addr_v4(here), .port = PORT};
	gen_must(ike_initiate(s.e, &p, now_ns), "initiate");
	side_settle(&s, now_ns);
	f->nonce_at = find_nonce(f);
	side_close(&s);
	conf_put(s.conf);
}

static uint64_t random64(struct flood *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random;
}

static uint16_t ip_sum(const uint8_t *p)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(struct iphdr); i += 2)
		sum += load_be16(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void prepare(struct flood *f, const struct endpoint *remote, const uint8_t own[ETH_ALEN],
		    const uint8_t mac[ETH_ALEN])
{
	for (unsigned i = 0; i < BATCH; i++) {
		uint8_t *p = f->frames[i], *ip = p + sizeof(struct ethhdr), *udp = ip + 20;

		memcpy(p, mac, ETH_ALEN);
		memcpy(p + ETH_ALEN, own, ETH_ALEN);
		store_be16(p + 2 * (size_t)ETH_ALEN, ETH_P_IP);
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)(28 + f->front + f->len));
		ip[8] = 64;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 16, remote->addr.b, 4);
		store_be16(udp + 2, remote->port);
		store_be16(udp + 4, (uint16_t)(8 + f->front + f->len));
		memcpy(udp + 8 + f->front, f->message, f->len);
		f->iov[i] = (struct iovec){.iov_base = p, .iov_len = HEADERS + f->front + f->len};
		f->msgs[i].msg_hdr = (struct msghdr){.msg_name = &f->to,
						     .msg_namelen = sizeof(f->to),
						     .msg_iov = &f->iov[i],
						     .msg_iovlen = 1};
	}
}

/* Somebody else: 20.0.0.0 to 83.255.255.255. */
static void change(struct flood *f, uint8_t *frame)
{
	const uint64_t r = random64(f), spi = random64(f) | 1, nonce = random64(f);
	uint8_t *ip = frame + sizeof(struct ethhdr), *udp = ip + 20, *ike = udp + 8 + f->front;

	store_be32(ip + 12, (uint32_t)r);
	ip[12] = (uint8_t)(20 + (ip[12] & 63));
	store_be16(ip + 10, 0);
	store_be16(ip + 10, ip_sum(ip));
	store_be16(udp, (uint16_t)(1024 + (r >> 32) % 60000));
	memcpy(ike, &spi, 8);
	memcpy(ike + f->nonce_at, &nonce, 8);
}

static void send_batch(struct flood *f, unsigned num)
{
	int n;

	for (unsigned i = 0; i < num; i++)
		change(f, f->frames[i]);
	n = sendmmsg(f->fd, f->msgs, num, 0);
	if (n > 0)
		f->sent += (uint64_t)n;
	else if (errno != ENOBUFS && errno != EAGAIN)
		gen_must(ERR_SYS, "sendmmsg");
}

static void open_socket(struct flood *f, const char *device, uint8_t own[ETH_ALEN])
{
	const int on = 1;
	struct ifreq ifr = {0};

	f->fd = socket(AF_PACKET, SOCK_RAW, 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	if (f->fd < 0 || ioctl(f->fd, SIOCGIFHWADDR, &ifr) ||
	    setsockopt(f->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)))
		gen_must(ERR_SYS, device);
	memcpy(own, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	f->to = (struct sockaddr_ll){.sll_family = AF_PACKET,
				     .sll_protocol = htons(ETH_P_IP),
				     .sll_ifindex = (int)if_nametoindex(device),
				     .sll_halen = ETH_ALEN};
}

static void go_on(struct flood *f, double seconds, uint64_t rate)
{
	const uint64_t began = gen_ns(), until = began + (uint64_t)(seconds * 1e9);
	const struct timespec nap = {.tv_nsec = 20000};

	for (uint64_t now = began; now < until; now = gen_ns()) {
		const uint64_t due = rate ? (now - began) * rate / NS_PER_S : UINT64_MAX;

		if (due > f->sent)
			send_batch(f, due - f->sent < BATCH ? (unsigned)(due - f->sent) : BATCH);
		else
			nanosleep(&nap, NULL);
	}
}

int flood_run(int argc, char **argv)
{
	static struct flood f;
	struct endpoint remote = {.port = 0};
	uint8_t own[ETH_ALEN];
	const struct ether_addr *mac;
	double seconds;

	if (argc != 8 || (seconds = atof(argv[1])) <= 0 || !(mac = ether_aton(argv[4])) ||
	    ip_addr_parse(&remote.addr, argv[5]) || remote.addr.family != IP_V4 ||
	    ((remote.port = (uint16_t)atol(argv[6])) != PORT && remote.port != NAT_T)) {
		fprintf(stderr, "usage: ike-gen flood SECONDS RATE INTERFACE MAC ADDRESS PORT "
				"INITIATOR.conf\n");
		return 2;
	}
	gen_must(rng_fill(rng_system(), &f.random, sizeof(f.random)), "randomness");
	f.random |= 1;
	f.front = remote.port == NAT_T ? MARKER : 0;
	make_message(&f, argv[7], &remote);
	open_socket(&f, argv[3], own);
	memcpy(f.to.sll_addr, mac, ETH_ALEN);
	prepare(&f, &remote, own, (const uint8_t *)mac);
	go_on(&f, seconds, (uint64_t)atol(argv[2]));
	close(f.fd);
	printf("{\"seconds\": %.3f, \"sent\": %llu, \"bytes\": %zu}\n", seconds,
	       (unsigned long long)f.sent, f.len);
	return f.sent ? 0 : 1;
}
