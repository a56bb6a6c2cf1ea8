/* SPDX-License-Identifier: Apache-2.0 */
/* Bare ESP over real raw sockets: addresses, TOS bytes, bursts of both families, fragments, and
 * what a network or a host can refuse; and the IPv4 header by itself, however it is broken. */
#include "drivers/raw.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "dataplane/pool.h"

#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NUM_PACKETS 256

static struct driver *d;
static struct pool *pool;
static struct pktvec vec;
static int sockets[2];

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	CU_ASSERT_FATAL(ip_addr_parse(&a, text) == ERR_OK);
	return a;
}

static struct path_addr path(const char *local, const char *remote)
{
	struct path_addr p = {.remote.addr = addr(remote)};

	if (local)
		p.local.addr = addr(local);
	return p;
}

static int raw_socket(int family, int protocol)
{
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

/* begin - a host of three addresses in each family, which is its own peer. */
static bool begin(void)
{
	if (!netns_enter())
		return false;
	netns_sh("for i in 1 2 9; do ip addr add 10.1.0.$i/24 dev lo && "
		 "ip -6 addr add fd01::$i/64 dev lo nodad || exit 1; done");
	netns_wait_for6("fd01::1");
	netns_wait_for6("fd01::2");
	netns_wait_for6("fd01::9");
	sockets[0] = raw_socket(AF_INET, IPPROTO_ESP);
	sockets[1] = raw_socket(AF_INET6, IPPROTO_ESP);
	CU_ASSERT_FATAL(raw_driver_open(&d, sockets, 2) == ERR_OK);
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

/* Every pair of addresses: they arrive with the packet, and its data is where it would be if it had
 * come by UDP. */
static void test_addresses(void)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{"10.1.0.9", "10.1.0.1"}, {"10.1.0.9", "10.1.0.2"}, {"10.1.0.2", "10.1.0.1"},
		{"fd01::9", "fd01::1"},   {"fd01::9", "fd01::2"},   {"fd01::2", "fd01::1"},
	};

	if (!begin())
		return;
	CU_ASSERT_EQUAL(d->role, PORT_OUTER);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct path_addr to = path(cases[i].from, cases[i].to);

		transmit(&to, "esp packet", 10);
		CU_ASSERT_EQUAL_FATAL(rx(), 1);
		struct packet *p = vec.pkt[0];

		CU_ASSERT(p->len == 10 && memcmp(p->data, "esp packet", 10) == 0);
		CU_ASSERT_EQUAL(packet_headroom(p), PACKET_HEADROOM);
		CU_ASSERT(ip_addr_equal(&p->from.remote.addr, &to.local.addr));
		CU_ASSERT(ip_addr_equal(&p->from.local.addr, &to.remote.addr));
		CU_ASSERT(p->from.remote.port == 0 && p->from.local.port == 0);
		CU_ASSERT_EQUAL(p->from.encap, ENCAP_NONE);
		CU_ASSERT_EQUAL(p->from.ifindex, if_nametoindex("lo"));
		put_all();
	}
	CU_ASSERT_EQUAL(d->stats.rx_packets, 6);
	CU_ASSERT_EQUAL(d->stats.tx_packets, 6);
	CU_ASSERT_EQUAL(d->stats.rx_bytes, 60);
	CU_ASSERT_EQUAL(d->stats.tx_bytes, 60);
	end();
}

/* Without a local address the host chooses one. */
static void test_unset_local(void)
{
	struct path_addr to4 = path(NULL, "10.1.0.1"), to6 = path(NULL, "fd01::1");

	if (!begin())
		return;
	transmit(&to4, "a", 1);
	transmit(&to6, "a", 1);
	CU_ASSERT_EQUAL(rx(), 2);
	for (uint32_t i = 0; i < vec.num; i++)
		CU_ASSERT(!ip_addr_is_any(&vec.pkt[i]->from.remote.addr));
	put_all();
	/* No socket has this family. */
	to4.remote.addr.family = IP_NONE;
	transmit(&to4, "a", 1);
	CU_ASSERT_EQUAL(d->stats.tx_error, 1);
	end();
}

static void test_tos_both_ways(void)
{
	struct path_addr to4 = path("10.1.0.9", "10.1.0.1"), to6 = path("fd01::9", "fd01::1");

	if (!begin())
		return;
	for (unsigned tos = 0; tos < 256; tos++) {
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

/* Bursts that alternate between families arrive whole and, for each family, in order. */
static void test_mixed_bursts(void)
{
	struct path_addr to[2] = {path("10.1.0.9", "10.1.0.1"), path("fd01::9", "fd01::1")};
	unsigned next[2] = {0}, got = 0;

	if (!begin())
		return;
	for (unsigned number = 0; number < 3 * PKTVEC_MAX; number++) {
		queue(&to[(number / 3) % 2], &number, sizeof(number));
		if (vec.num == PKTVEC_MAX)
			d->ops->tx(d, &vec);
	}
	CU_ASSERT_EQUAL(d->stats.tx_packets, 3 * PKTVEC_MAX);
	for (int turn = 0; turn < 20 && got < 3 * PKTVEC_MAX; turn++) {
		uint32_t n = rx();

		CU_ASSERT(n <= PKTVEC_MAX && n == vec.num);
		for (uint32_t i = 0; i < n; i++) {
			unsigned number, which = vec.pkt[i]->from.remote.addr.family == IP_V6;

			memcpy(&number, vec.pkt[i]->data, sizeof(number));
			CU_ASSERT(number >= next[which] && (number / 3) % 2 == which);
			next[which] = number + 1;
		}
		got += n;
		put_all();
	}
	CU_ASSERT_EQUAL(got, 3 * PKTVEC_MAX);
	end();
}

/* A socket that always has more does not keep the other from being heard. */
static void test_fair(void)
{
	struct path_addr busy = path("10.1.0.9", "10.1.0.1"), quiet = path("fd01::9", "fd01::1");
	bool heard = false;

	if (!begin())
		return;
	transmit(&quiet, "q", 1);
	for (int turn = 0; turn < 4 && !heard; turn++) {
		for (int i = 0; i < PKTVEC_MAX; i++)
			queue(&busy, "b", 1);
		d->ops->tx(d, &vec);
		rx();
		for (uint32_t i = 0; i < vec.num; i++)
			heard |= vec.pkt[i]->data[0] == 'q';
		put_all();
	}
	CU_ASSERT(heard);
	end();
}

static void test_fd_wakes(void)
{
	struct path_addr to[2] = {path("10.1.0.9", "10.1.0.1"), path("fd01::9", "fd01::1")};
	struct pollfd pfd;

	if (!begin())
		return;
	pfd = (struct pollfd){.fd = d->ops->fd(d), .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
	CU_ASSERT_EQUAL(rx(), 0);
	for (int i = 0; i < 2; i++) {
		transmit(&to[i], "x", 1);
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
	struct path_addr to[2] = {path("10.1.0.9", "10.1.0.1"), path("fd01::9", "fd01::1")};
	struct driver_ready ready;

	if (!begin())
		return;
	for (uint32_t i = 0; i < 2; i++) {
		struct pollfd pfd = {.fd = d->ops->source(d, i), .events = POLLIN};

		transmit(&to[i], "x", 1);
		CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 1);
		ready = (struct driver_ready){.any = (uint8_t)(1u << !i)};
		CU_ASSERT_EQUAL(d->ops->rx_from(d, &ready, pool, &vec), 0);
		ready = (struct driver_ready){.any = (uint8_t)(1u << i)};
		CU_ASSERT_EQUAL(d->ops->rx_from(d, &ready, pool, &vec), 1);
		CU_ASSERT_EQUAL(poll(&pfd, 1, 0), 0);
		put_all();
	}
	CU_ASSERT_EQUAL(d->ops->source(d, 2), -1);
	end();
}

/* What came in fragments arrives whole; what does not fit a buffer is an error and nothing else. */
static void test_fragments_and_long_ones(void)
{
	static uint8_t big[4096];
	uint32_t room = 2048 + PACKET_TAILROOM;
	static const char *const ends[2][2] = {{"10.1.0.9", "10.1.0.1"}, {"fd01::9", "fd01::1"}};

	if (!begin())
		return;
	netns_sh("ip link set lo mtu 1400");
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	for (int i = 0; i < 2; i++) {
		struct sockaddr_storage ss;
		struct endpoint to = {.addr = addr(ends[i][1])};
		socklen_t len = endpoint_to_sockaddr(&ss, &to);
		const uint32_t lens[] = {room, room + 1, sizeof(big), 0};
		uint64_t errors = d->stats.rx_error;

		for (size_t l = 0; l < ARRAY_LEN(lens); l++)
			CU_ASSERT(sendto(sockets[i], big, lens[l], 0, (struct sockaddr *)&ss,
					 len) == (ssize_t)lens[l]);
		CU_ASSERT_EQUAL_FATAL(rx(), 2);
		CU_ASSERT_EQUAL(vec.pkt[0]->len, room);
		CU_ASSERT(memcmp(vec.pkt[0]->data, big, room) == 0);
		CU_ASSERT_EQUAL(vec.pkt[1]->len, 0);
		CU_ASSERT_EQUAL(d->stats.rx_error, errors + 2);
		put_all();
	}
	end();
}

/* With longer packets to take, they arrive whole among short ones, and come back; the last one
 * finds none free. */
static void test_longer(void)
{
	static const char *const ends[2][2] = {{"10.1.0.9", "10.1.0.1"}, {"fd01::9", "fd01::1"}};
	const uint32_t room = 2048 + PACKET_TAILROOM;
	static const uint32_t lens[] = {60000, 10, 2048 + PACKET_TAILROOM + 1, 65515, 10, 4000};
	struct pool *longer = pool_new(3, POOL_LONGEST);
	static uint8_t data[65536];
	int buf = 1 << 20;

	CU_ASSERT_FATAL(longer != NULL);
	if (begin()) {
		pool->longer = longer;
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)(i * 7 + i / 256);
		for (int i = 0; i < 2; i++) {
			struct sockaddr_storage ss;
			struct endpoint to = {.addr = addr(ends[i][1])};
			socklen_t len = endpoint_to_sockaddr(&ss, &to);

			CU_ASSERT(setsockopt(sockets[i], SOL_SOCKET, SO_RCVBUFFORCE, &buf,
					     sizeof(buf)) == 0);
			for (size_t l = 0; l < ARRAY_LEN(lens); l++)
				CU_ASSERT(sendto(sockets[i], data + l, lens[l], 0,
						 (struct sockaddr *)&ss, len) == (ssize_t)lens[l]);
			CU_ASSERT_FATAL(rx_until(ARRAY_LEN(lens)));
			CU_ASSERT_EQUAL_FATAL(vec.num, ARRAY_LEN(lens) - 1);
			for (uint32_t l = 0; l < vec.num; l++) {
				const struct packet *p = vec.pkt[l];

				CU_ASSERT(p->len == lens[l] &&
					  memcmp(p->data, data + l, lens[l]) == 0);
				CU_ASSERT_EQUAL(packet_headroom(p), PACKET_HEADROOM);
				CU_ASSERT(p->pool == (lens[l] > room ? longer : pool));
			}
			put_all();
			CU_ASSERT_EQUAL(pool_num_free(longer), 3);
			CU_ASSERT_EQUAL(d->stats.rx_no_buffer, (unsigned)i + 1);
		}
		CU_ASSERT_EQUAL(d->stats.rx_error, 0);
		end();
	}
	pool_free(longer);
}

static void test_no_buffers(void)
{
	struct path_addr to = path("10.1.0.9", "10.1.0.1");
	struct packet *taken[NUM_PACKETS];

	if (!begin())
		return;
	for (int i = 0; i < 3; i++)
		transmit(&to, "x", 1);
	CU_ASSERT_EQUAL_FATAL(pool->ops->get(pool, taken, NUM_PACKETS), NUM_PACKETS);
	CU_ASSERT_EQUAL(rx(), 0);
	CU_ASSERT_EQUAL(d->stats.rx_no_buffer, 1);
	/* Fewer than wait: the rest stays in the socket. */
	pool->ops->put(pool, taken, 2);
	CU_ASSERT_EQUAL(rx(), 2);
	put_all();
	pool->ops->put(pool, taken + 2, NUM_PACKETS - 2);
	CU_ASSERT_EQUAL(rx(), 1);
	end();
}

/* What the kernel throws away because the socket's buffer is full is counted. */
static void test_overflow_is_counted(void)
{
	struct path_addr to = path("fd01::9", "fd01::1");
	static uint8_t kilo[1000];
	int buf = 16384;

	if (!begin())
		return;
	CU_ASSERT(setsockopt(sockets[1], SOL_SOCKET, SO_RCVBUF, &buf, sizeof(buf)) == 0);
	for (int i = 0; i < 100; i++)
		transmit(&to, kilo, sizeof(kilo));
	uint32_t received = rx();
	put_all();
	CU_ASSERT(received > 0 && received < 64);
	/* The count comes with the next packet. */
	transmit(&to, kilo, 1);
	CU_ASSERT_EQUAL(rx(), 1);
	CU_ASSERT_EQUAL(d->stats.rx_no_buffer, 100 - received);
	end();
}

/* One refused packet in a burst costs itself only. */
static void test_refusals(void)
{
	struct path_addr good = path("10.1.0.9", "10.1.0.1"), good6 = path("fd01::9", "fd01::1");
	struct path_addr nowhere = path("10.1.0.9", "192.0.2.1");
	struct path_addr not_mine = path("10.77.0.1", "10.1.0.1");
	struct path_addr no_device = good;
	static uint8_t big[2048];
	int pmtu = IPV6_PMTUDISC_DO;

	if (!begin())
		return;
	no_device.ifindex = 9999;
	netns_sh("ip link set lo mtu 1500");
	CU_ASSERT(setsockopt(sockets[1], IPPROTO_IPV6, IPV6_MTU_DISCOVER, &pmtu, sizeof(pmtu)) ==
		  0);
	CU_ASSERT(setsockopt(sockets[1], IPPROTO_IPV6, IPV6_DONTFRAG, &(int){1}, sizeof(int)) == 0);
	queue(&nowhere, "x", 1);
	queue(&good, "1", 1);
	queue(&not_mine, "x", 1);
	queue(&good6, big, sizeof(big)); /* EMSGSIZE under these circumstances */
	queue(&no_device, "x", 1);
	queue(&good, "2", 1);
	queue(&nowhere, "x", 1);
	d->ops->tx(d, &vec);
	CU_ASSERT_EQUAL(vec.num, 0);
	CU_ASSERT_EQUAL(d->stats.tx_packets, 2);
	CU_ASSERT_EQUAL(d->stats.tx_error, 5);
	/* And the host says what it would have taken. */
	unsigned told = 0, came = 0;

	for (uint32_t i = rx(); i; i--) {
		const struct packet *p = vec.pkt[i - 1];

		if (p->flags & PACKET_F_TOLD)
			told += p->flags & PACKET_F_TRUSTED && p->mtu == 1500 &&
				ip_addr_equal(&p->from.remote.addr, &good6.remote.addr);
		else
			came += p->data[0] == '1' || p->data[0] == '2';
	}
	CU_ASSERT(told >= 1 && came == 2);
	end();
}

static void test_bad_arguments(void)
{
	struct driver *out = NULL;
	int esp, other, icmp, udp, list[3];

	if (!netns_enter())
		return;
	esp = raw_socket(AF_INET, IPPROTO_ESP);
	other = raw_socket(AF_INET, IPPROTO_ESP);
	icmp = raw_socket(AF_INET6, IPPROTO_ICMPV6);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	list[0] = esp;
	CU_ASSERT_EQUAL(raw_driver_open(&out, list, 0), ERR_INVAL);
	CU_ASSERT_EQUAL(raw_driver_open(&out, list, 3), ERR_INVAL);
	list[1] = other; /* the family twice: both would hear everything */
	CU_ASSERT_EQUAL(raw_driver_open(&out, list, 2), ERR_INVAL);
	list[1] = icmp;
	CU_ASSERT_EQUAL(raw_driver_open(&out, list, 2), ERR_INVAL);
	list[1] = udp;
	CU_ASSERT_EQUAL(raw_driver_open(&out, list, 2), ERR_INVAL);
	list[1] = 9999;
	CU_ASSERT_EQUAL(raw_driver_open(&out, list, 2), ERR_SYS);
	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(raw_driver_open(&out, list, 1), ERR_NOMEM);
	alloc_fail_nth(0);
	/* A failure leaves the sockets to the caller. */
	CU_ASSERT_PTR_NULL(out);
	CU_ASSERT(fcntl(esp, F_GETFD) >= 0);
	close(esp);
	close(other);
	close(icmp);
	close(udp);
}

/* ---- the IPv4 header by itself -------------------------------------------------------------- */

#define TEXT_LEN 12

/* header - an IPv4 header of this length and TEXT_LEN bytes of ESP at `at`; returns the whole. */
static uint32_t header(uint8_t *at, uint32_t header_len)
{
	uint32_t len = header_len + TEXT_LEN;

	memset(at, 0, header_len);
	at[0] = (uint8_t)(0x40 | header_len / 4);
	at[1] = 0xb9;
	store_be16(at + 2, (uint16_t)len);
	at[6] = 0x40; /* don't fragment */
	at[9] = IPPROTO_ESP;
	memset(at + header_len, 'e', TEXT_LEN);
	return len;
}

/* strip - the header of len bytes in memory that ends with them, for the sanitizers to see; what
 * it leaves is checked. */
static bool strip(const uint8_t *bytes, uint32_t len)
{
	uint8_t *copy = mem_alloc(len ? len : 1);
	struct packet p = {.data = copy, .buf = copy, .len = len, .cap = len};
	bool good;

	CU_ASSERT_FATAL(copy != NULL);
	memcpy(copy, bytes, len);
	good = raw_strip_ipv4(&p);
	CU_ASSERT(good ? p.data > copy && p.data + p.len <= copy + len
		       : p.data == copy && p.len == len);
	mem_free(copy);
	return good;
}

static void test_header_lengths(void)
{
	uint8_t bytes[80];

	for (uint32_t header_len = 20; header_len <= 60; header_len += 4) {
		uint32_t len = header(bytes, header_len);
		struct packet p = {.data = bytes, .buf = bytes, .len = len, .cap = len};

		/* Whole; and cut at every length, which it then does not have. */
		for (uint32_t cut = 0; cut <= len; cut++)
			CU_ASSERT_EQUAL(strip(bytes, cut), cut == len);
		/* What a link put behind it does not count. */
		memset(bytes + len, 'x', sizeof(bytes) - len);
		p.len = len + 3;
		CU_ASSERT_FATAL(raw_strip_ipv4(&p));
		CU_ASSERT(p.data == bytes + header_len && p.len == TEXT_LEN);
		CU_ASSERT_EQUAL(p.dscp_ecn, 0xb9);
	}
}

/* Every bit flipped: refused where the header says so, and never a step outside. */
static void test_header_flips(void)
{
	uint8_t bytes[80];
	uint32_t len = header(bytes, 24);

	for (uint32_t bit = 0; bit < 24 * 8; bit++) {
		uint32_t byte = bit / 8, mask = 0x80u >> bit % 8;
		bool must_fail = (byte == 0 && mask >= 0x10) ||      /* version */
				 (byte == 6 && mask <= 0x20) ||      /* more fragments, offset */
				 byte == 7 || byte == 9;             /* offset; protocol */
		bool may_fail = byte == 0 || byte == 2 || byte == 3; /* lengths */

		bytes[byte] ^= (uint8_t)mask;
		bool good = strip(bytes, len);

		CU_ASSERT(!must_fail || !good);
		CU_ASSERT(must_fail || may_fail || good);
		bytes[byte] ^= (uint8_t)mask;
	}
	/* Header lengths below the least, and lengths that do not hold the header. */
	for (uint8_t words = 0; words < 5; words++) {
		bytes[0] = 0x40 | words;
		CU_ASSERT(!strip(bytes, len));
	}
	header(bytes, 24);
	for (uint16_t total = 0; total < 24; total++) {
		store_be16(bytes + 2, total);
		CU_ASSERT(!strip(bytes, len));
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_addresses),
	TAP_TEST(test_unset_local),
	TAP_TEST(test_tos_both_ways),
	TAP_TEST(test_mixed_bursts),
	TAP_TEST(test_fair),
	TAP_TEST(test_fd_wakes),
	TAP_TEST(test_sources),
	TAP_TEST(test_fragments_and_long_ones),
	TAP_TEST(test_longer),
	TAP_TEST(test_no_buffers),
	TAP_TEST(test_overflow_is_counted),
	TAP_TEST(test_refusals),
	TAP_TEST(test_bad_arguments),
	TAP_TEST(test_header_lengths),
	TAP_TEST(test_header_flips),
};

TAP_MAIN("drivers/raw", tests)
