/* SPDX-License-Identifier: Apache-2.0 */
/* Many datagrams as one message, sent (UDP_SEGMENT) and received (UDP_GRO), over real sockets: what
 * arrives is what was sent, whatever is together, and whatever the host refuses. */
#include "drivers/dgram.h"
#include "drivers/udp.h"

#include "base/rng.h"
#include "dataplane/pool.h"

#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NUM_PACKETS 512
#define NUM_LONGER  16
#define PORT        4500

static struct driver *d;
static struct pool *pool, *longer;
static struct pktvec vec;
static int peer4, peer6;
static struct path_addr to4, to6;
static struct rng_seeded rng;

/* ---- the system call, watched and made to fail ----------------------------------------------- */

/* fail_after - messages of several datagrams that still go; then `failures` calls that begin with
 * one fail with fail_errno. Messages seen, and datagrams in the largest. */
static int fail_errno, fail_after, failures;
static unsigned messages, largest;

int __real_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags);

static bool is_many(const struct mmsghdr *m)
{
	return m->msg_hdr.msg_iovlen > 1;
}

/* may_go - messages from v on up to the first that shall fail. */
static unsigned may_go(const struct mmsghdr *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!is_many(&v[i]) || !fail_errno || failures == 0)
			continue;
		if (fail_after == 0)
			return i;
		fail_after--;
	}
	return n;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
	unsigned go = may_go(v, n);

	if (go == 0) {
		failures--;
		errno = fail_errno;
		return -1;
	}
	int rc = __real_sendmmsg(fd, v, go, flags);

	for (int i = 0; i < rc; i++) {
		messages++;
		if (v[i].msg_hdr.msg_iovlen > largest)
			largest = (unsigned)v[i].msg_hdr.msg_iovlen;
	}
	return rc;
}

/* ---- surroundings --------------------------------------------------------------------------- */

static struct endpoint endpoint(const char *addr, uint16_t port)
{
	struct endpoint e = {.port = port};

	CU_ASSERT_FATAL(ip_addr_parse(&e.addr, addr) == ERR_OK);
	return e;
}

static int udp_socket(const char *addr, uint16_t port)
{
	struct endpoint e = endpoint(addr, port);
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, &e);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	int buf = 4 << 20;

	CU_ASSERT_FATAL(fd >= 0);
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buf, sizeof(buf));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buf, sizeof(buf));
	CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&ss, len) == 0);
	return fd;
}

static bool begin(bool gso, bool gro)
{
	struct udp_socket sockets[2];

	if (!netns_enter())
		return false;
	netns_sh("for i in 1 9; do ip addr add 10.1.0.$i/24 dev lo && "
		 "ip -6 addr add fd01::$i/64 dev lo nodad || exit 1; done");
	netns_wait_for6("fd01::1");
	netns_wait_for6("fd01::9");
	sockets[0] = (struct udp_socket){
		.fd = udp_socket("0.0.0.0", PORT), .encap = ENCAP_UDP, .gso = gso, .gro = gro};
	sockets[1] = (struct udp_socket){
		.fd = udp_socket("::", PORT), .encap = ENCAP_UDP, .gso = gso, .gro = gro};
	CU_ASSERT_FATAL(udp_driver_open(&d, sockets, 2) == ERR_OK);
	peer4 = udp_socket("10.1.0.9", 6000);
	peer6 = udp_socket("fd01::9", 6000);
	to4 = (struct path_addr){.remote = endpoint("10.1.0.9", 6000),
				 .local = endpoint("10.1.0.1", PORT)};
	to6 = (struct path_addr){.remote = endpoint("fd01::9", 6000),
				 .local = endpoint("fd01::1", PORT)};
	pool = pool_new(NUM_PACKETS, 2048);
	longer = pool_new(NUM_LONGER, POOL_LONGEST);
	CU_ASSERT_FATAL(pool && longer);
	pool->longer = longer;
	vec.num = 0;
	fail_errno = fail_after = failures = 0;
	messages = largest = 0;
	rng_seeded_init(&rng, 1);
	return true;
}

static void put_all(void)
{
	for (uint32_t i = 0; i < vec.num; i++) {
		for (struct packet *p = vec.pkt[i], *next; p; p = next) {
			next = p->next_part;
			packet_put(p);
		}
	}
	vec.num = 0;
}

static void end(void)
{
	put_all();
	CU_ASSERT_EQUAL(pool_num_free(pool), NUM_PACKETS);
	CU_ASSERT_EQUAL(pool_num_free(longer), NUM_LONGER);
	pool_free(pool);
	pool_free(longer);
	d->ops->close(d);
	close(peer4);
	close(peer6);
}

static uint32_t below(uint32_t n)
{
	uint32_t v;

	CU_ASSERT_FATAL(rng_fill(&rng.rng, &v, sizeof(v)) == ERR_OK);
	return v % n;
}

/* byte_of - of datagram `number`, whose first bytes are the number itself. */
static uint8_t byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 31 + at * 7 + (at >> 8));
}

static void fill(uint8_t *p, uint32_t len, uint32_t number)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = byte_of(number, i);
}

static bool is_filled(const uint8_t *p, uint32_t len, uint32_t number)
{
	for (uint32_t i = 0; i < len; i++) {
		if (p[i] != byte_of(number, i))
			return false;
	}
	return true;
}

static struct packet *queue(const struct path_addr *to, uint32_t len, uint32_t number)
{
	struct packet *p = packet_get(pool);

	CU_ASSERT_FATAL(p != NULL);
	fill(p->data, len, number);
	p->len = len;
	p->to = to;
	pktvec_push(&vec, p);
	return p;
}

/* arrives - the next datagram at the peer is this one. */
static bool arrives(int fd, uint32_t len, uint32_t number)
{
	static uint8_t got[65536];
	struct pollfd there = {.fd = fd, .events = POLLIN};
	ssize_t n = poll(&there, 1, 10000) == 1 ? recv(fd, got, sizeof(got), 0) : -1;

	if (n == (ssize_t)len && is_filled(got, len, number))
		return true;
	tap_diag("datagram %u of %u bytes: %zd came", number, len, n);
	return false;
}

static bool nothing_more(int fd)
{
	uint8_t got[16];

	netns_settle();
	return recv(fd, got, sizeof(got), 0) < 0;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* What may be together is; what differs in length, place, TOS byte or DF is not. */
static void test_what_is_together(void)
{
	static const struct {
		uint32_t lens[8];
		unsigned messages, largest;
	} cases[] = {
		{{1000, 1000, 1000}, 1, 3}, {{1000, 1000, 999}, 1, 3}, {{1000, 999, 1000}, 2, 2},
		{{999, 1000}, 2, 1},        {{1000, 1, 1}, 2, 2},      {{100}, 1, 1},
	};

	if (!begin(true, false))
		return;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		uint32_t num = 0;

		for (; num < 8 && cases[c].lens[num]; num++)
			queue(&to4, cases[c].lens[num], num);
		messages = largest = 0;
		d->ops->tx(d, &vec);
		CU_ASSERT_EQUAL(messages, cases[c].messages);
		CU_ASSERT_EQUAL(largest, cases[c].largest);
		for (uint32_t i = 0; i < num; i++)
			CU_ASSERT(arrives(peer4, cases[c].lens[i], i));
	}
	/* As many as may be, and as many bytes. */
	for (uint32_t i = 0; i < PKTVEC_MAX; i++)
		queue(&to4, 1020, i);
	messages = largest = 0;
	d->ops->tx(d, &vec);
	CU_ASSERT(messages == 1 && largest == 64);
	for (uint32_t i = 0; i < PKTVEC_MAX; i++)
		CU_ASSERT(arrives(peer4, 1020, i));
	for (uint32_t i = 0; i < 60; i++)
		queue(&to6, 1400, i);
	messages = largest = 0;
	d->ops->tx(d, &vec);
	CU_ASSERT(messages == 2 && largest == 65507 / 1400);
	for (uint32_t i = 0; i < 60; i++)
		CU_ASSERT(arrives(peer6, 1400, i));
	/* One way out of four. */
	struct path_addr elsewhere = to4, same = to4;
	elsewhere.local.addr = endpoint("10.1.0.9", 0).addr;
	queue(&to4, 500, 0);
	queue(&same, 500, 1);
	queue(&elsewhere, 500, 2);
	queue(&to4, 500, 3)->dscp_ecn = 4;
	queue(&to4, 500, 4);
	queue(&to4, 500, 5)->flags |= PACKET_F_DF;
	queue(&to4, 0, 6);
	queue(&to4, 0, 7);
	messages = largest = 0;
	d->ops->tx(d, &vec);
	CU_ASSERT(messages == 7 && largest == 2);
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT(arrives(peer4, i < 6 ? 500 : 0, i));
	CU_ASSERT_EQUAL(d->stats.tx_error + d->stats.tx_full + d->stats.offload_refused, 0);
	CU_ASSERT(nothing_more(peer4) && nothing_more(peer6));
	end();
}

/* Switched off each datagram is a message. */
static void test_switched_off(void)
{
	if (!begin(false, false))
		return;
	for (uint32_t i = 0; i < 10; i++)
		queue(&to4, 100, i);
	d->ops->tx(d, &vec);
	CU_ASSERT(messages == 10 && largest == 1);
	end();
}

/* random_burst - of runs, to both peers; where each goes and how long it is. */
static uint32_t random_burst(uint32_t lens[PKTVEC_MAX], bool v6[PKTVEC_MAX])
{
	uint32_t num = 0, max = 1 + below(PKTVEC_MAX);

	while (num < max) {
		uint32_t run = 1 + below(30), len = 1 + below(1600);
		bool six = below(3) == 0;

		for (uint32_t i = 0; i < run && num < max; i++, num++) {
			lens[num] = i + 1 == run ? 1 + below(len) : len;
			v6[num] = six;
			queue(six ? &to6 : &to4, lens[num], num);
		}
	}
	return num;
}

static void check_burst(const uint32_t *lens, const bool *v6, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++)
		CU_ASSERT(arrives(v6[i] ? peer6 : peer4, lens[i], i));
	CU_ASSERT(nothing_more(peer4) && nothing_more(peer6));
}

/* Whatever the host says to a message of several, at whatever point: all arrive once, in order. */
static void test_refused(void)
{
	static const int errors[] = {EIO, EINVAL, EMSGSIZE, EOPNOTSUPP, EINTR};
	uint32_t lens[PKTVEC_MAX];
	bool v6[PKTVEC_MAX];

	for (size_t e = 0; e < ARRAY_LEN(errors); e++) {
		uint64_t num = 0, refusals = 0;

		if (!begin(true, false))
			return;
		for (int round = 0; round < 60; round++) {
			uint32_t n;

			fail_errno = errors[e];
			fail_after = (int)below(3);
			failures = 2; /* the first may be an earlier datagram's */
			n = random_burst(lens, v6);
			d->ops->tx(d, &vec);
			refusals += failures == 0;
			check_burst(lens, v6, n);
			num += n;
		}
		CU_ASSERT_EQUAL(d->stats.tx_packets, num);
		CU_ASSERT_EQUAL(d->stats.tx_error + d->stats.tx_full, 0);
		CU_ASSERT(refusals > 0);
		CU_ASSERT_EQUAL(d->stats.offload_refused, errors[e] == EINTR ? 0 : refusals);
		/* A device that cannot is not asked again: once for each socket. */
		if (errors[e] == EIO)
			CU_ASSERT(refusals <= 2);
		end();
	}
}

/* What was refused for the path's sake is tried again, each time later. */
static void test_tried_again(void)
{
	unsigned tries[3] = {0}, num = 0;

	if (!begin(true, false))
		return;
	for (uint32_t burst = 0; burst < 40; burst++) {
		fail_errno = EMSGSIZE;
		failures = 2;
		for (uint32_t i = 0; i < 32; i++)
			queue(&to4, 100, i);
		d->ops->tx(d, &vec);
		if (failures == 0 && num < 3)
			tries[num++] = burst;
		for (uint32_t i = 0; i < 32; i++)
			CU_ASSERT(arrives(peer4, 100, i));
	}
	CU_ASSERT_EQUAL_FATAL(num, 3);
	CU_ASSERT(tries[0] == 0 && tries[1] == 2 && tries[2] == 6);
	/* Once it goes it goes on. */
	failures = 0;
	for (uint32_t burst = 0; burst < 40; burst++) {
		for (uint32_t i = 0; i < 32; i++)
			queue(&to4, 100, i);
		messages = 0;
		d->ops->tx(d, &vec);
		for (uint32_t i = 0; i < 32; i++)
			CU_ASSERT(arrives(peer4, 100, i));
	}
	CU_ASSERT_EQUAL(messages, 1);
	end();
}

/* A full queue costs what was in the message, and is counted so. */
static void test_full(void)
{
	static const int errors[] = {ENOBUFS, ENOMEM, EAGAIN};

	for (size_t e = 0; e < ARRAY_LEN(errors); e++) {
		if (!begin(true, false))
			return;
		fail_errno = errors[e];
		failures = 2;
		for (uint32_t i = 0; i < 12; i++)
			queue(&to4, i < 8 ? 100 : 200, i);
		d->ops->tx(d, &vec);
		CU_ASSERT_EQUAL(d->stats.tx_full, errors[e] == EAGAIN ? 12 : 8);
		CU_ASSERT_EQUAL(d->stats.tx_packets, errors[e] == EAGAIN ? 0 : 4);
		CU_ASSERT_EQUAL(d->stats.offload_refused, 0);
		for (uint32_t i = 8; i < 12 && errors[e] != EAGAIN; i++)
			CU_ASSERT(arrives(peer4, 200, i));
		CU_ASSERT(nothing_more(peer4));
		end();
	}
}

/* The kernel's own refusals: datagrams longer than the link takes, which may be cut when they go
 * one by one; a socket without checksums. */
static void test_kernel_refuses(void)
{
	int on = 1;

	if (!begin(true, false))
		return;
	netns_sh("ip link set lo mtu 1500");
	for (uint32_t i = 0; i < 10; i++)
		queue(&to4, 1600, i);
	d->ops->tx(d, &vec);
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT(arrives(peer4, 1600, i));
	CU_ASSERT_EQUAL(d->stats.offload_refused, 1);
	CU_ASSERT_EQUAL(d->stats.tx_packets, 10);
	/* With DF there is nothing to be done, and the host says why. */
	for (uint32_t i = 0; i < 10; i++)
		queue(&to4, 1600, i)->flags |= PACKET_F_DF;
	d->ops->tx(d, &vec);
	CU_ASSERT_EQUAL(d->stats.tx_error, 10);
	CU_ASSERT(nothing_more(peer4));
	end();

	struct dgram_socket s = {.gso = true};
	struct driver_stats stats = {0};
	static struct dgram_burst burst;

	if (!begin(true, false))
		return;
	s.fd = udp_socket("10.1.0.1", 4600);
	CU_ASSERT(setsockopt(s.fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)) == 0);
	to4.local.port = 0;
	for (uint32_t i = 0; i < 10; i++)
		queue(&to4, 300, i);
	dgram_tx(&burst, &stats, &s, vec.pkt, vec.num);
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT(arrives(peer4, 300, i));
	CU_ASSERT_EQUAL(stats.tx_packets, 10);
	CU_ASSERT_EQUAL(stats.offload_refused, 1);
	close(s.fd);
	end();
}

static void test_cure(void)
{
	static const struct {
		const char *release;
		bool ill;
	} cases[] = {
		{"7.0.0", true},           {"7.0", true},       {"7.0-rc1", true},
		{"7.0.99-amd64", true},    {"7.1.0", true},     {"7.1-rc2", true},
		{"7.1.4", true},           {"7.1.4-1-x", true}, {"7.1.5", false},
		{"7.1.14", false},         {"7.2.0", false},    {"6.18.44-fc-v782", false},
		{"6.1.0-13-amd64", false}, {"70.1.0", false},   {"17.0.1", false},
		{"8.0.0", false},          {"", false},         {"x", false},
	};
	static struct dgram_burst burst;
	struct driver_stats stats = {0};
	struct dgram_socket s = {.gso = true, .gso_cure = true};
	uint8_t got[16];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CU_ASSERT_EQUAL(dgram_gso_is_ill(cases[i].release), cases[i].ill);
	if (!begin(true, false))
		return;
	s.fd = udp_socket("10.1.0.1", 4600);
	to4.local.port = 0;
	/* One octet behind datagrams that are all of one length, and nothing else anywhere. */
	for (uint32_t i = 0; i < 6; i++)
		queue(&to4, i < 4 ? 300 : 100, i);
	for (uint32_t i = 0; i < 5; i++)
		queue(&to4, i < 2 ? 300 : 400, i);
	dgram_tx(&burst, &stats, &s, vec.pkt, vec.num);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT(arrives(peer4, i < 4 ? 300 : 100, i));
	CU_ASSERT(arrives(peer4, 100, 5));
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT(arrives(peer4, 300, i));
	CU_ASSERT(recv(peer4, got, sizeof(got), 0) == 1 && got[0] == 0xff);
	for (uint32_t i = 2; i < 5; i++)
		CU_ASSERT(arrives(peer4, 400, i));
	CU_ASSERT(recv(peer4, got, sizeof(got), 0) == 1 && got[0] == 0xff);
	CU_ASSERT(nothing_more(peer4));
	CU_ASSERT_EQUAL(stats.tx_packets, 11);
	close(s.fd);
	end();
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* send_many - num datagrams of seg_len bytes, the last of last_len, as one message. */
static void send_many(int fd, const struct path_addr *to, uint32_t seg_len, uint32_t last_len,
		      uint32_t num, uint32_t first)
{
	static uint8_t data[65536];
	alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
	struct cmsghdr c = {.cmsg_len = CMSG_LEN(sizeof(uint16_t)),
			    .cmsg_level = SOL_UDP,
			    .cmsg_type = UDP_SEGMENT};
	struct sockaddr_storage ss;
	struct iovec iov = {data, (num - 1) * seg_len + last_len};
	struct msghdr m = {.msg_name = &ss, .msg_iov = &iov, .msg_iovlen = 1};
	uint16_t len16 = (uint16_t)seg_len;

	m.msg_namelen = endpoint_to_sockaddr(&ss, &to->local);
	for (uint32_t i = 0; i < num; i++)
		fill(data + i * seg_len, i + 1 == num ? last_len : seg_len, first + i);
	memcpy(control, &c, sizeof(c));
	memcpy(control + CMSG_LEN(0), &len16, sizeof(len16));
	if (num > 1) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
	}
	CU_ASSERT_EQUAL(sendmsg(fd, &m, 0), (ssize_t)iov.iov_len);
	netns_settle();
}

/* check_apart - p is a chain of num datagrams from `first` on, as send_many() made them. */
static void check_apart(const struct packet *p, uint32_t seg_len, uint32_t last_len, uint32_t num,
			uint32_t first)
{
	CU_ASSERT_EQUAL(p->num_parts, num - 1);
	for (uint32_t i = 0; i < num && p; i++, p = p->next_part) {
		CU_ASSERT_EQUAL(packet_headroom(p), PACKET_HEADROOM);
		CU_ASSERT_EQUAL(p->len, i + 1 == num ? last_len : seg_len);
		CU_ASSERT(is_filled(p->data, p->len, first + i));
		CU_ASSERT((i + 1 == num) == !p->next_part);
	}
}

/* check_together - the same in one piece. */
static void check_together(const struct packet *p, uint32_t seg_len, uint32_t last_len,
			   uint32_t num, uint32_t first)
{
	CU_ASSERT_EQUAL(packet_headroom(p), PACKET_HEADROOM);
	CU_ASSERT_EQUAL(p->len, (num - 1) * seg_len + last_len);
	for (uint32_t i = 0; i < num && p->len == (num - 1) * seg_len + last_len; i++)
		CU_ASSERT(is_filled(p->data + i * seg_len, i + 1 == num ? last_len : seg_len,
				    first + i));
}

/* check_received - p holds num datagrams from `first` on, as send_many() made them. */
static void check_received(const struct packet *p, const struct path_addr *to, uint32_t seg_len,
			   uint32_t last_len, uint32_t num, uint32_t first)
{
	CU_ASSERT_EQUAL(p->seg_len, num > 1 ? seg_len : 0);
	CU_ASSERT(memcmp(&p->from.remote, &to->remote, sizeof(to->remote)) == 0);
	CU_ASSERT(memcmp(&p->from.local, &to->local, sizeof(to->local)) == 0);
	CU_ASSERT_EQUAL(p->from.encap, ENCAP_UDP);
	if (p->next_part)
		check_apart(p, seg_len, last_len, num, first);
	else
		check_together(p, seg_len, last_len, num, first);
}

/* Super-datagrams of every size come whole, also when the last burst brought none, and single ones
 * between them. What is as the one before it comes in parts. */
static void test_super_datagrams(void)
{
	uint64_t num = 0, bytes = 0, apart = 0, together = 0;
	uint32_t seg_len = 1;

	if (!begin(true, true))
		return;
	for (int round = 0; round < 600; round++) {
		const struct path_addr *to = below(2) ? &to4 : &to6;
		if (below(2))
			seg_len = 1 + below(round % 3 ? 1472 : 9000);
		uint32_t max = 65507 / seg_len < 64 ? 65507 / seg_len : 64;
		uint32_t n = below(4) ? 1 + below(max) : 1, last = 1 + below(seg_len);

		send_many(to == &to4 ? peer4 : peer6, to, seg_len, last, n, num & 0xff);
		CU_ASSERT_EQUAL_FATAL(d->ops->rx(d, pool, &vec), 1);
		check_received(vec.pkt[0], to, seg_len, last, n, num & 0xff);
		apart += vec.pkt[0]->next_part != NULL;
		together += vec.pkt[0]->seg_len && !vec.pkt[0]->next_part;
		bytes += (n - 1) * seg_len + last;
		num += n;
		put_all();
		if (below(3) == 0) /* nothing there: what comes is still expected to be long */
			CU_ASSERT_EQUAL(d->ops->rx(d, pool, &vec), 0);
	}
	CU_ASSERT(apart > 50 && together > 50);
	CU_ASSERT_EQUAL(d->stats.rx_packets, num);
	CU_ASSERT_EQUAL(d->stats.rx_bytes, bytes);
	CU_ASSERT_EQUAL(d->stats.rx_error + d->stats.rx_no_buffer, 0);
	end();
}

/* With fewer packets left than parts are expected a message comes all the same, in one piece, and
 * so does one whose datagrams are longer, shorter or more than those before. */
static void test_not_as_expected(void)
{
	static const struct {
		uint32_t seg_len, last_len, num;
		bool apart;
	} cases[] = {
		{1000, 1000, 30, true},  {1000, 1, 30, true},      {1000, 1000, 2, true},
		{1000, 700, 1, false},   {999, 999, 30, false},    {1001, 1001, 30, false},
		{1000, 1000, 31, false}, {1400, 1400, 1, false},   {1, 1, 2, false},
		{2000, 2000, 1, false},  {60000, 60000, 1, false}, {3000, 3000, 20, false},
	};
	static struct packet *taken[NUM_PACKETS];

	if (!begin(true, true))
		return;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		send_many(peer4, &to4, 1000, 1000, 30, 0); /* what is expected */
		send_many(peer4, &to4, 10, 10, 1, 0);
		while (d->ops->rx(d, pool, &vec))
			put_all();
		send_many(peer4, &to4, 1000, 1000, 30, 0);
		CU_ASSERT_EQUAL(d->ops->rx(d, pool, &vec), 1);
		put_all();
		send_many(peer4, &to4, cases[i].seg_len, cases[i].last_len, cases[i].num, 3);
		CU_ASSERT_EQUAL_FATAL(d->ops->rx(d, pool, &vec), 1);
		check_received(vec.pkt[0], &to4, cases[i].seg_len, cases[i].last_len, cases[i].num,
			       3);
		CU_ASSERT_EQUAL(vec.pkt[0]->next_part != NULL, cases[i].apart);
		put_all();
	}
	for (uint32_t left = 2; left < 40; left++) {
		send_many(peer4, &to4, 1000, 1000, 30, 0);
		CU_ASSERT_EQUAL(d->ops->rx(d, pool, &vec), 1);
		put_all();
		uint32_t n = pool->ops->get(pool, taken, NUM_PACKETS - left);
		send_many(peer4, &to4, 1000, 900, 30, 0);
		CU_ASSERT_EQUAL_FATAL(d->ops->rx(d, pool, &vec), 1);
		check_received(vec.pkt[0], &to4, 1000, 900, 30, 0);
		CU_ASSERT_EQUAL(vec.pkt[0]->next_part != NULL, left > 30);
		put_all();
		pool->ops->put(pool, taken, n);
	}
	for (int i = 0; i < 2; i++) { /* as many as the longest message nearly has no room for */
		send_many(peer4, &to4, 1480, 10, 45, 0);
		CU_ASSERT_EQUAL_FATAL(d->ops->rx(d, pool, &vec), 1);
		check_received(vec.pkt[0], &to4, 1480, 10, 45, 0);
		put_all();
	}
	CU_ASSERT_EQUAL(d->stats.rx_error + d->stats.rx_no_buffer, 0);
	end();
}

/* Bursts of both kinds keep their order, and leave nothing behind. */
static void test_mixed_burst(void)
{
	if (!begin(true, true))
		return;
	for (int round = 0; round < 20; round++) {
		uint32_t lens[100], counts[100], num = 3 + below(60), at = 0;

		for (uint32_t i = 0; i < num; i++) {
			lens[i] = 1 + below(1400);
			counts[i] = below(2) ? 1 : 1 + below(20);
			send_many(peer4, &to4, lens[i], lens[i], counts[i], i);
		}
		for (int turn = 0; turn < 100 && at < num; turn++) {
			d->ops->rx(d, pool, &vec);
			for (uint32_t i = 0; i < vec.num && at < num; i++, at++)
				check_received(vec.pkt[i], &to4, lens[at], lens[at], counts[at],
					       at);
			put_all();
		}
		CU_ASSERT_EQUAL(at, num);
	}
	end();
}

/* Without a long packet what needs one is counted as lost, and the rest comes. */
static void test_no_long_packet(void)
{
	struct packet *taken[NUM_LONGER];

	if (!begin(true, true))
		return;
	for (int coalesced = 0; coalesced < 2; coalesced++) {
		send_many(peer4, &to4, 1000, 1000, 30, 0);
		CU_ASSERT_EQUAL_FATAL(d->ops->rx(d, pool, &vec), 1);
		put_all();
		if (!coalesced) { /* a burst of single ones in between */
			send_many(peer4, &to4, 10, 10, 1, 0);
			CU_ASSERT_EQUAL_FATAL(d->ops->rx(d, pool, &vec), 1);
			put_all();
		}
		CU_ASSERT_EQUAL_FATAL(longer->ops->get(longer, taken, NUM_LONGER), NUM_LONGER);
		send_many(peer4, &to4, 1000, 1000, 30, 0);
		send_many(peer4, &to4, 500, 500, 3, 7);
		CU_ASSERT_EQUAL_FATAL(d->ops->rx(d, pool, &vec), 1);
		check_received(vec.pkt[0], &to4, 500, 500, 3, 7);
		CU_ASSERT_EQUAL(d->stats.rx_no_buffer, (unsigned)coalesced + 1);
		put_all();
		longer->ops->put(longer, taken, NUM_LONGER);
	}
	end();
}

static void test_gro_switched_off(void)
{
	if (!begin(true, false))
		return;
	send_many(peer4, &to4, 1000, 400, 30, 0);
	CU_ASSERT_EQUAL_FATAL(d->ops->rx(d, pool, &vec), 30);
	for (uint32_t i = 0; i < 30; i++)
		CU_ASSERT(vec.pkt[i]->seg_len == 0 && vec.pkt[i]->len == (i < 29 ? 1000u : 400u));
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_what_is_together),
	TAP_TEST(test_switched_off),
	TAP_TEST(test_refused),
	TAP_TEST(test_tried_again),
	TAP_TEST(test_full),
	TAP_TEST(test_kernel_refuses),
	TAP_TEST(test_cure),
	TAP_TEST(test_super_datagrams),
	TAP_TEST(test_not_as_expected),
	TAP_TEST(test_mixed_burst),
	TAP_TEST(test_no_long_packet),
	TAP_TEST(test_gro_switched_off),
};

TAP_MAIN("drivers/offload", tests)
