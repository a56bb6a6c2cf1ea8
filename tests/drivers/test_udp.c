/* SPDX-License-Identifier: Apache-2.0 */
/* The driver over real sockets: which address each datagram came to and leaves by, bursts of both
 * families, and everything a network or a host can refuse. */
#include "drivers/udp.h"

#include "base/alloc.h"
#include "dataplane/pool.h"

#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NUM_PACKETS 256
#define NUM_LONGER  5

/* Our sockets, in this order. */
enum {
	IKE4,
	IKE6,
	NAT4,
	NAT6,
	NUM_SOCKETS
};

static struct driver *d;
static struct pool *pool, *longer; /* longer: only where a test gives them */
static struct pktvec vec;
static struct udp_socket sockets[NUM_SOCKETS];

static struct endpoint endpoint(const char *addr, uint16_t port)
{
	struct endpoint e = {.port = port};

	CU_ASSERT_FATAL(ip_addr_parse(&e.addr, addr) == ERR_OK);
	return e;
}

static bool endpoint_is(const struct endpoint *e, const char *addr, uint16_t port)
{
	struct endpoint wanted = endpoint(addr, port);
	char text[ENDPOINT_TEXT_MAX];

	if (memcmp(e, &wanted, sizeof(wanted)) == 0)
		return true;
	tap_diag("is %s, not %s[%u]", endpoint_text(text, e), addr, port);
	return false;
}

static int udp_socket(const char *addr, uint16_t port)
{
	struct endpoint e = endpoint(addr, port);
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, &e);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	CU_ASSERT_FATAL(fd >= 0);
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&ss, len) == 0);
	return fd;
}

/* begin - a host of three addresses in each family; the peer lives on the same host. */
static bool begin(void)
{
	if (!netns_enter())
		return false;
	netns_sh("for i in 1 2 9; do ip addr add 10.1.0.$i/24 dev lo && "
		 "ip -6 addr add fd01::$i/64 dev lo nodad || exit 1; done");
	netns_wait_for6("fd01::1");
	netns_wait_for6("fd01::2");
	netns_wait_for6("fd01::9");
	sockets[IKE4] = (struct udp_socket){.fd = udp_socket("0.0.0.0", 500), .encap = ENCAP_NONE};
	sockets[IKE6] = (struct udp_socket){.fd = udp_socket("::", 500), .encap = ENCAP_NONE};
	sockets[NAT4] = (struct udp_socket){.fd = udp_socket("0.0.0.0", 4500), .encap = ENCAP_UDP};
	sockets[NAT6] = (struct udp_socket){.fd = udp_socket("::", 4500), .encap = ENCAP_UDP};
	CU_ASSERT_FATAL(udp_driver_open(&d, sockets, NUM_SOCKETS) == ERR_OK);
	pool = pool_new(NUM_PACKETS, 2048);
	CU_ASSERT_FATAL(pool != NULL);
	vec.num = 0;
	return true;
}

static void put_all(void)
{
	while (vec.num)
		packet_put(vec.pkt[--vec.num]);
}

static void end(void)
{
	put_all();
	CU_ASSERT_EQUAL(pool_num_free(pool), NUM_PACKETS);
	pool_free(pool);
	if (longer)
		CU_ASSERT_EQUAL(pool_num_free(longer), NUM_LONGER);
	pool_free(longer);
	longer = NULL;
	d->ops->close(d);
}

static uint32_t rx(void)
{
	return d->ops->rx(d, pool, &vec);
}

/* rx_until - n datagrams are in vec or were given up for want of a buffer; false: they do not come.
 * The loopback interface may be behind with what was cut. */
static bool rx_until(uint64_t n)
{
	struct pollfd there = {.fd = d->ops->fd(d), .events = POLLIN};
	uint64_t before = d->stats.rx_no_buffer;

	while (vec.num + d->stats.rx_no_buffer - before < n) {
		if (poll(&there, 1, 10000) != 1)
			return false;
		rx();
	}
	return true;
}

static void send_to(int fd, const char *addr, uint16_t port, const void *data, size_t len)
{
	struct endpoint e = endpoint(addr, port);
	struct sockaddr_storage ss;
	socklen_t ss_len = endpoint_to_sockaddr(&ss, &e);

	CU_ASSERT(sendto(fd, data, len, 0, (struct sockaddr *)&ss, ss_len) == (ssize_t)len);
	netns_settle();
}

static void queue(const struct path_addr *to, const void *data, uint32_t len)
{
	struct packet *p = packet_get(pool);

	CU_ASSERT_FATAL(p != NULL);
	memcpy(p->data, data, len);
	p->len = len;
	p->to = to;
	pktvec_push(&vec, p);
}

static void transmit(const struct path_addr *to, const void *data, uint32_t len)
{
	queue(to, data, len);
	d->ops->tx(d, &vec);
	CU_ASSERT_EQUAL(vec.num, 0);
	netns_settle();
}

/* One datagram to each socket at one of several addresses, and its answer from there. */
static void test_addresses(void)
{
	static const struct {
		const char *peer, *local;
		uint16_t port;
		uint8_t encap;
	} cases[] = {
		{"10.1.0.9", "10.1.0.1", 500, ENCAP_NONE},
		{"10.1.0.9", "10.1.0.2", 500, ENCAP_NONE},
		{"10.1.0.9", "10.1.0.1", 4500, ENCAP_UDP},
		{"10.1.0.9", "10.1.0.2", 4500, ENCAP_UDP},
		{"fd01::9", "fd01::1", 500, ENCAP_NONE},
		{"fd01::9", "fd01::2", 500, ENCAP_NONE},
		{"fd01::9", "fd01::1", 4500, ENCAP_UDP},
		{"fd01::9", "fd01::2", 4500, ENCAP_UDP},
	};

	if (!begin())
		return;
	CU_ASSERT_EQUAL(d->role, PORT_OUTER);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int peer = udp_socket(cases[i].peer, 6000);
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct endpoint from;
		char got[16];

		send_to(peer, cases[i].local, cases[i].port, "hello", 5);
		CU_ASSERT_EQUAL_FATAL(rx(), 1);
		struct packet *p = vec.pkt[0];
		CU_ASSERT(p->len == 5 && memcmp(p->data, "hello", 5) == 0);
		CU_ASSERT(endpoint_is(&p->from.remote, cases[i].peer, 6000));
		CU_ASSERT(endpoint_is(&p->from.local, cases[i].local, cases[i].port));
		CU_ASSERT_EQUAL(p->from.encap, cases[i].encap);
		CU_ASSERT_EQUAL(p->from.ifindex, if_nametoindex("lo"));
		struct path_addr to = p->from;
		put_all();
		to.ifindex = 0;
		transmit(&to, "answer", 6);
		CU_ASSERT_EQUAL(recvfrom(peer, got, sizeof(got), 0, (struct sockaddr *)&ss, &len),
				6);
		CU_ASSERT_FATAL(endpoint_from_sockaddr(&from, &ss) == ERR_OK);
		CU_ASSERT(endpoint_is(&from, cases[i].local, cases[i].port));
		close(peer);
	}
	CU_ASSERT_EQUAL(d->stats.rx_packets, 8);
	CU_ASSERT_EQUAL(d->stats.tx_packets, 8);
	CU_ASSERT_EQUAL(d->stats.rx_bytes, 40);
	CU_ASSERT_EQUAL(d->stats.tx_bytes, 48);
	end();
}

/* Without a local address or port the host and the encapsulation choose. */
static void test_unset_local(void)
{
	struct path_addr to = {.remote = endpoint("10.1.0.9", 6000), .encap = ENCAP_UDP};
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint from;
	char got[16];
	int peer;

	if (!begin())
		return;
	peer = udp_socket("10.1.0.9", 6000);
	transmit(&to, "a", 1);
	CU_ASSERT_EQUAL(recvfrom(peer, got, sizeof(got), 0, (struct sockaddr *)&ss, &len), 1);
	CU_ASSERT(endpoint_from_sockaddr(&from, &ss) == ERR_OK && from.port == 4500);
	to.encap = ENCAP_NONE;
	transmit(&to, "a", 1);
	CU_ASSERT_EQUAL(recvfrom(peer, got, sizeof(got), 0, (struct sockaddr *)&ss, &len), 1);
	CU_ASSERT(endpoint_from_sockaddr(&from, &ss) == ERR_OK && from.port == 500);
	/* No socket has this port, or this family. */
	to.local.port = 501;
	transmit(&to, "a", 1);
	to.local.port = 0;
	to.remote.addr.family = IP_NONE;
	transmit(&to, "a", 1);
	CU_ASSERT_EQUAL(d->stats.tx_error, 2);
	close(peer);
	end();
}

static void test_tos_both_ways(void)
{
	struct path_addr to4 = {.remote = endpoint("10.1.0.1", 500),
				.local = endpoint("10.1.0.9", 4500)};
	struct path_addr to6 = {.remote = endpoint("fd01::1", 500),
				.local = endpoint("fd01::9", 4500)};

	if (!begin())
		return;
	for (unsigned tos = 0; tos < 256; tos += 5) {
		queue(&to4, "x", 1);
		queue(&to6, "x", 1);
		vec.pkt[0]->dscp_ecn = vec.pkt[1]->dscp_ecn = (uint8_t)tos;
		d->ops->tx(d, &vec);
		CU_ASSERT_EQUAL_FATAL(rx(), 2);
		CU_ASSERT_EQUAL(vec.pkt[0]->dscp_ecn, tos);
		CU_ASSERT_EQUAL(vec.pkt[1]->dscp_ecn, tos);
		put_all();
	}
	end();
}

/* A burst that alternates between families and ports arrives whole and, for each socket, in order.
 */
static void test_mixed_bursts(void)
{
	struct path_addr to[4] = {
		{.remote = endpoint("10.1.0.1", 500), .local = endpoint("10.1.0.9", 4500)},
		{.remote = endpoint("fd01::1", 500), .local = endpoint("fd01::9", 500)},
		{.remote = endpoint("10.1.0.2", 4500), .local = endpoint("10.1.0.9", 500)},
		{.remote = endpoint("fd01::2", 4500), .local = endpoint("fd01::9", 4500)},
	};
	unsigned next[4] = {0}, got = 0;

	if (!begin())
		return;
	for (int burst = 0; burst < 3; burst++) {
		for (unsigned i = 0; i < PKTVEC_MAX; i++) {
			unsigned which = (i / 3) % 4, number = (unsigned)burst * PKTVEC_MAX + i;

			queue(&to[which], &number, sizeof(number));
		}
		d->ops->tx(d, &vec);
	}
	CU_ASSERT_EQUAL(d->stats.tx_packets, 3 * PKTVEC_MAX);
	for (int turn = 0; turn < 20 && got < 3 * PKTVEC_MAX; turn++) {
		uint32_t n = rx();

		CU_ASSERT(n <= PKTVEC_MAX && n == vec.num);
		for (uint32_t i = 0; i < n; i++) {
			unsigned which = 0, number;

			memcpy(&number, vec.pkt[i]->data, sizeof(number));
			while (which < 4 && memcmp(&vec.pkt[i]->from.local, &to[which].remote,
						   sizeof(struct endpoint)) != 0)
				which++;
			CU_ASSERT_FATAL(which < 4);
			CU_ASSERT(number >= next[which]);
			next[which] = number + 1;
		}
		got += n;
		put_all();
	}
	CU_ASSERT_EQUAL(got, 3 * PKTVEC_MAX);
	end();
}

/* A socket that always has more does not keep the others from being heard. */
static void test_fair(void)
{
	bool heard = false;
	int busy, quiet;

	if (!begin())
		return;
	busy = udp_socket("10.1.0.9", 6000);
	quiet = udp_socket("fd01::9", 6000);
	for (int i = 0; i < 200; i++)
		send_to(busy, "10.1.0.1", 500, "b", 1);
	send_to(quiet, "fd01::1", 4500, "q", 1);
	for (int turn = 0; turn < 4 && !heard; turn++) {
		for (int i = 0; i < 64; i++)
			send_to(busy, "10.1.0.1", 500, "b", 1);
		rx();
		for (uint32_t i = 0; i < vec.num; i++)
			heard |= vec.pkt[i]->data[0] == 'q';
		put_all();
	}
	CU_ASSERT(heard);
	close(busy);
	close(quiet);
	end();
}

static void test_fd_wakes(void)
{
	struct pollfd pfd;
	int peer;

	if (!begin())
		return;
	pfd = (struct pollfd){.fd = d->ops->fd(d), .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	CU_ASSERT_EQUAL(rx(), 0);
	for (int i = 0; i < NUM_SOCKETS; i++) {
		peer = udp_socket(i % 2 ? "fd01::9" : "10.1.0.9", 6000);
		send_to(peer, i % 2 ? "fd01::1" : "10.1.0.1", i < 2 ? 500 : 4500, "x", 1);
		close(peer);
		CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 1);
		CU_ASSERT_EQUAL(rx(), 1);
		put_all();
		CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	}
	end();
}

/* Who watches the sockets says which are read, and no other is. */
static void test_sources(void)
{
	struct driver_ready ready;

	if (!begin())
		return;
	for (uint32_t i = 0; i < NUM_SOCKETS; i++) {
		struct pollfd pfd = {.fd = d->ops->source(d, i), .events = POLLIN};
		int peer = udp_socket(i % 2 ? "fd01::9" : "10.1.0.9", 6000);

		CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
		send_to(peer, i % 2 ? "fd01::1" : "10.1.0.1", i < 2 ? 500 : 4500, "x", 1);
		close(peer);
		CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 1);
		ready = (struct driver_ready){.any = (uint8_t) ~(1u << i)};
		CU_ASSERT_EQUAL(d->ops->rx_from(d, &ready, pool, &vec), 0);
		ready = (struct driver_ready){.any = (uint8_t)(1u << i)};
		CU_ASSERT_EQUAL(d->ops->rx_from(d, &ready, pool, &vec), 1);
		CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
		put_all();
	}
	CU_ASSERT_EQUAL(d->ops->source(d, NUM_SOCKETS), -1);
	end();
}

/* The most packets that were taken at once. */
static const struct pool_ops *real_ops;
static uint32_t most;

static uint32_t get_counting(struct pool *p, struct packet **out, uint32_t n)
{
	most = n > most ? n : most;
	return real_ops->get(p, out, n);
}

static void put_on(struct pool *p, struct packet **pkts, uint32_t n)
{
	real_ops->put(p, pkts, n);
}

/* An idle socket is not offered a whole vector, a busy one is, and either has all it brings by one
 * call. */
static void test_few_when_idle(void)
{
	static const struct pool_ops counting = {.get = get_counting, .put = put_on};
	static const struct {
		uint32_t sent, times, least, most;
	} steps[] = {
		{1, 3, 1, 4},  {64, 1, 1, 64}, {64, 1, 16, 64}, /* it was busy just now */
		{1, 8, 1, 64}, {1, 3, 1, 4},
	};
	int peer;

	if (!begin())
		return;
	real_ops = pool->ops;
	pool->ops = &counting;
	peer = udp_socket("10.1.0.9", 6000);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		for (uint32_t n = 0; n < steps[i].times; n++) {
			for (uint32_t k = 0; k < steps[i].sent; k++)
				send_to(peer, "10.1.0.1", 500, "x", 1);
			most = 0;
			CU_ASSERT_EQUAL(rx(), steps[i].sent);
			CU_ASSERT(most >= steps[i].least);
			CU_ASSERT(most <= steps[i].most);
			put_all();
		}
	}
	close(peer);
	pool->ops = real_ops;
	end();
}

static void test_long_and_empty(void)
{
	static uint8_t big[4096];
	uint32_t room = 2048 + PACKET_TAILROOM;
	int peer;

	if (!begin())
		return;
	peer = udp_socket("10.1.0.9", 6000);
	send_to(peer, "10.1.0.1", 500, big, room);
	send_to(peer, "10.1.0.1", 500, big, room + 1);
	send_to(peer, "10.1.0.1", 500, big, sizeof(big));
	send_to(peer, "10.1.0.1", 500, "", 0);
	CU_ASSERT_EQUAL_FATAL(rx(), 2);
	CU_ASSERT_EQUAL(vec.pkt[0]->len, room);
	CU_ASSERT_EQUAL(vec.pkt[1]->len, 0);
	CU_ASSERT_EQUAL(d->stats.rx_error, 2);
	CU_ASSERT_EQUAL(d->stats.rx_packets, 2);
	close(peer);
	end();
}

/* fill - bytes that tell one datagram, and each place in it, from others. */
static void fill(uint8_t *data, uint32_t len, unsigned number)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + i / 256 + number * 31);
}

static bool is_filled(const struct packet *p, uint32_t len, unsigned number)
{
	static uint8_t wanted[65536];

	fill(wanted, len, number);
	return p->len == len && memcmp(p->data, wanted, len) == 0;
}

/* Datagrams longer than a packet among short ones, in one burst: all arrive whole and in order, and
 * one for which no packet is free costs itself only. */
static void test_longer(void)
{
	static const char *const ends[2][2] = {{"10.1.0.9", "10.1.0.1"}, {"fd01::9", "fd01::1"}};
	const uint32_t room = 2048 + PACKET_TAILROOM;
	const uint32_t lens[] = {100, room + 1, 60000, room, 4000, 65507, 0, 20000, 50};
	static uint8_t data[65536];
	int buf = 1 << 20;

	if (!begin())
		return;
	longer = pool_new(NUM_LONGER, POOL_LONGEST);
	CU_ASSERT_FATAL(longer != NULL);
	pool->longer = longer;
	for (int i = 0; i < 2; i++) {
		CU_ASSERT(setsockopt(sockets[NAT4 + i].fd, SOL_SOCKET, SO_RCVBUFFORCE, &buf,
				     sizeof(buf)) == 0);
		int peer = udp_socket(ends[i][0], 6000);

		for (int held = 0; held < 2; held++) {
			struct packet *kept = held ? packet_get(longer) : NULL;
			uint64_t bytes = d->stats.rx_bytes;
			uint32_t num = 0, sum = 0;

			for (unsigned l = 0; l < ARRAY_LEN(lens); l++) {
				fill(data, lens[l], l);
				send_to(peer, ends[i][1], 4500, data, lens[l]);
			}
			CU_ASSERT_FATAL(rx_until(ARRAY_LEN(lens)));
			CU_ASSERT_EQUAL_FATAL(vec.num, ARRAY_LEN(lens) - (unsigned)held);
			for (unsigned l = 0; l < ARRAY_LEN(lens); l++) {
				if (held && l == 7) /* the fifth long one */
					continue;
				CU_ASSERT(is_filled(vec.pkt[num], lens[l], l));
				CU_ASSERT_EQUAL(packet_headroom(vec.pkt[num]), PACKET_HEADROOM);
				CU_ASSERT(
					endpoint_is(&vec.pkt[num]->from.remote, ends[i][0], 6000));
				CU_ASSERT(vec.pkt[num]->pool == (lens[l] > room ? longer : pool));
				sum += lens[l];
				num++;
			}
			CU_ASSERT_EQUAL(d->stats.rx_bytes - bytes, sum);
			put_all();
			CU_ASSERT_EQUAL(pool_num_free(longer), NUM_LONGER - (unsigned)held);
			if (kept)
				packet_put(kept);
		}
		close(peer);
	}
	CU_ASSERT_EQUAL(d->stats.rx_no_buffer, 2);
	CU_ASSERT_EQUAL(d->stats.rx_error, 0);
	CU_ASSERT_EQUAL(d->stats.rx_packets, 4 * ARRAY_LEN(lens) - 2);
	end();
}

static void test_no_buffers(void)
{
	struct packet *taken[NUM_PACKETS];
	int peer;

	if (!begin())
		return;
	peer = udp_socket("10.1.0.9", 6000);
	CU_ASSERT_EQUAL_FATAL(pool->ops->get(pool, taken, NUM_PACKETS), NUM_PACKETS);
	for (int i = 0; i < 3; i++)
		send_to(peer, "10.1.0.1", 500, "x", 1);
	CU_ASSERT_EQUAL(rx(), 0);
	CU_ASSERT_EQUAL(d->stats.rx_no_buffer, 1);
	/* Fewer than wait: the rest stays in the socket. */
	pool->ops->put(pool, taken, 2);
	CU_ASSERT_EQUAL(rx(), 2);
	put_all();
	pool->ops->put(pool, taken + 2, NUM_PACKETS - 2);
	CU_ASSERT_EQUAL(rx(), 1);
	close(peer);
	end();
}

/* What the kernel throws away because the socket's buffer is full is counted. */
static void test_overflow_is_counted(void)
{
	static uint8_t kilo[1000];
	int peer, buf = 16384;

	if (!begin())
		return;
	CU_ASSERT(setsockopt(sockets[NAT4].fd, SOL_SOCKET, SO_RCVBUF, &buf, sizeof(buf)) == 0);
	peer = udp_socket("10.1.0.9", 6000);
	for (int i = 0; i < 100; i++)
		send_to(peer, "10.1.0.1", 4500, kilo, sizeof(kilo));
	uint32_t received = rx();
	put_all();
	CU_ASSERT(received > 0 && received < 64);
	/* The count comes with the next datagram. */
	send_to(peer, "10.1.0.1", 4500, kilo, 1);
	CU_ASSERT_EQUAL(rx(), 1);
	CU_ASSERT_EQUAL(d->stats.rx_no_buffer, 100 - received);
	close(peer);
	end();
}

/* One refused datagram in a burst costs itself only. */
static void test_refusals(void)
{
	static uint8_t big[2048];
	struct path_addr good = {.remote = endpoint("10.1.0.9", 6000),
				 .local = endpoint("10.1.0.1", 500)};
	struct path_addr nowhere = {.remote = endpoint("192.0.2.1", 9),
				    .local = endpoint("10.1.0.1", 500)};
	struct path_addr not_mine = {.remote = endpoint("10.1.0.9", 6000),
				     .local = endpoint("10.77.0.1", 500)};
	struct path_addr no_device = good;
	int peer;
	char got[16];

	if (!begin())
		return;
	no_device.ifindex = 9999;
	peer = udp_socket("10.1.0.9", 6000);
	netns_sh("ip link set lo mtu 1500");
	queue(&nowhere, "x", 1);
	queue(&good, "1", 1);
	queue(&not_mine, "x", 1);
	queue(&good, big, sizeof(big));
	vec.pkt[vec.num - 1]->flags |= PACKET_F_DF; /* too long for that */
	queue(&no_device, "x", 1);
	queue(&good, "2", 1);
	queue(&nowhere, "x", 1);
	d->ops->tx(d, &vec);
	CU_ASSERT_EQUAL(vec.num, 0);
	CU_ASSERT_EQUAL(d->stats.tx_packets, 2);
	CU_ASSERT_EQUAL(d->stats.tx_error, 5);
	struct pollfd there = {.fd = peer, .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&there, 1, 10000), 1);
	CU_ASSERT_EQUAL(recv(peer, got, sizeof(got), 0), 1);
	CU_ASSERT_EQUAL(poll(&there, 1, 10000), 1);
	CU_ASSERT_EQUAL(recv(peer, got + 1, sizeof(got) - 1, 0), 1);
	CU_ASSERT(memcmp(got, "12", 2) == 0);
	/* The host says what it would have taken. */
	CU_ASSERT_FATAL(rx() >= 1);
	CU_ASSERT(vec.pkt[0]->flags == (PACKET_F_TOLD | PACKET_F_TRUSTED));
	CU_ASSERT(vec.pkt[0]->mtu == 1500 && vec.pkt[0]->len == 0);
	CU_ASSERT(ip_addr_equal(&vec.pkt[0]->from.remote.addr, &good.remote.addr));
	CU_ASSERT_EQUAL(vec.pkt[0]->from.local.port, 500);
	put_all();
	/* A port that nobody listens at is told by ICMP: no datagram after that is lost. */
	struct path_addr closed = good;
	closed.remote.port = 6001;
	for (int i = 0; i < 3; i++)
		transmit(&closed, "x", 1);
	CU_ASSERT_EQUAL(d->stats.tx_packets, 5);
	CU_ASSERT_EQUAL(rx(), 0);
	close(peer);
	end();
}

static void test_full_socket(void)
{
	struct path_addr to = {.remote = endpoint("10.2.0.9", 6000),
			       .local = endpoint("10.2.0.1", 500)};
	static uint8_t kilo[1000];
	int buf = 1, other;

	if (!begin())
		return;
	/* A link so slow that nothing has left while the burst is written. */
	other = netns_make();
	netns_sh("ip link add v0 type veth peer name v1 && ip link set v1 up && ip link set v0 up "
		 "&& "
		 "ip addr add 10.2.0.1/24 dev v0 && "
		 "ip neigh add 10.2.0.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent");
	if (strstr(netns_read(
			   "tc qdisc add dev v0 root tbf rate 8kbit burst 1600 limit 1000000 2>&1; "
			   "tc qdisc show dev v0"),
		   "tbf") == NULL) {
		tap_skip("this kernel has no token bucket filter");
	} else {
		CU_ASSERT(setsockopt(sockets[IKE4].fd, SOL_SOCKET, SO_SNDBUF, &buf, sizeof(buf)) ==
			  0);
		for (int i = 0; i < PKTVEC_MAX; i++)
			queue(&to, kilo, sizeof(kilo));
		d->ops->tx(d, &vec);
		CU_ASSERT_EQUAL(vec.num, 0);
		CU_ASSERT(d->stats.tx_full > 0);
		CU_ASSERT_EQUAL(d->stats.tx_full + d->stats.tx_packets, PKTVEC_MAX);
		CU_ASSERT_EQUAL(d->stats.tx_error, 0);
	}
	close(other);
	end();
}

static void test_bad_arguments(void)
{
	struct udp_socket list[UDP_SOCKETS_MAX + 1] = {0};
	struct driver *out = NULL;
	int tcp, unix_fd;

	if (!netns_enter())
		return;
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	unix_fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	CU_ASSERT_EQUAL(udp_driver_open(&out, list, 0), ERR_INVAL);
	CU_ASSERT_EQUAL(udp_driver_open(&out, list, UDP_SOCKETS_MAX + 1), ERR_INVAL);
	list[0].fd = tcp;
	CU_ASSERT_EQUAL(udp_driver_open(&out, list, 1), ERR_INVAL);
	list[0].fd = unix_fd;
	CU_ASSERT_EQUAL(udp_driver_open(&out, list, 1), ERR_INVAL);
	list[0].fd = 9999;
	CU_ASSERT_EQUAL(udp_driver_open(&out, list, 1), ERR_SYS);
	list[0].fd = udp_socket("127.0.0.1", 500);
	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(udp_driver_open(&out, list, 1), ERR_NOMEM);
	alloc_fail_nth(0);
	/* A failure leaves the sockets to the caller. */
	list[1].fd = tcp;
	CU_ASSERT_EQUAL(udp_driver_open(&out, list, 2), ERR_INVAL);
	CU_ASSERT_PTR_NULL(out);
	CU_ASSERT(fcntl(list[0].fd, F_GETFD) >= 0);
	close(list[0].fd);
	close(tcp);
	close(unix_fd);
}

/* Messages that are nothing to us use up a burst as others do: who sends many holds up nobody. */
static void test_useless_errors_are_bounded(void)
{
	struct endpoint peer = endpoint("10.1.0.9", 4999); /* where nobody listens */
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, &peer);
	struct pollfd p;

	if (!begin())
		return;
	p = (struct pollfd){.fd = sockets[NAT4].fd, .events = POLLERR};
	for (int i = 0; i < 3 * PKTVEC_MAX;) /* an error that is told takes one's place */
		i += sendto(p.fd, "x", 1, 0, (struct sockaddr *)&ss, len) == 1;
	CU_ASSERT_EQUAL(rx(), 0);
	CU_ASSERT(poll(&p, 1, 5000) == 1 && p.revents & POLLERR);
	for (int i = 0; i < 1000 && poll(&p, 1, 0) == 1; i++)
		CU_ASSERT_EQUAL(rx(), 0);
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 0);
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_addresses),
	TAP_TEST(test_unset_local),
	TAP_TEST(test_tos_both_ways),
	TAP_TEST(test_mixed_bursts),
	TAP_TEST(test_fair),
	TAP_TEST(test_fd_wakes),
	TAP_TEST(test_sources),
	TAP_TEST(test_few_when_idle),
	TAP_TEST(test_long_and_empty),
	TAP_TEST(test_longer),
	TAP_TEST(test_no_buffers),
	TAP_TEST(test_overflow_is_counted),
	TAP_TEST(test_refusals),
	TAP_TEST(test_full_socket),
	TAP_TEST(test_useless_errors_are_bounded),
	TAP_TEST(test_bad_arguments),
};

TAP_MAIN("drivers/udp", tests)
