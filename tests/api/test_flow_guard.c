/* SPDX-License-Identifier: Apache-2.0 */
/*
 * L1 and L2 at the level of packets: a guarded flow leaves by the virtual interface and is accepted
 * from it, and by nothing else, whatever guard, routes and others' rules are. A host 10.1.0.1,
 * fd01::1 with its default routes by "wire"; the device is lk0. Both are TAPs with one address, so
 * that a frame for one of them is one for the other.
 */
#include "api/host/host.h"

#include "tests/api/frames.h"
#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OK(call) CU_ASSERT_EQUAL(call, ERR_OK)

static const struct family {
	const char *here, *there;
} families[] = {{"10.1.0.1", "10.2.0.9"}, {"fd01::1", "fd02::9"}};

static struct host host;
static int lk0, wire;
static struct frame frame;

#define HOST(op, ...) host.ops->op(host.ctx, __VA_ARGS__)

static int device(const char *name)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct host_tap t;
	uint32_t queues;

	CU_ASSERT_FATAL(HOST(tap_open, &t, &queues, name, 0, 1) == ERR_OK);
	OK(HOST(link_set, name, 1400, mac));
	return t.fd;
}

static bool begin(void)
{
	if (!netns_enter())
		return false;
	netns_sh("echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; "
		 "echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter");
	CU_ASSERT_FATAL(host_linux_open(&host) == ERR_OK);
	wire = device("wire");
	lk0 = device("lk0");
	netns_sh("ip addr add 10.1.0.1/32 dev wire; ip -6 addr add fd01::1/128 dev wire nodad; "
		 "ip route add default dev wire; ip -6 route add default dev wire");
	netns_wait_for6("fd01::1");
	OK(HOST(rules_set, "lk0"));
	return true;
}

static void end(void)
{
	close(lk0);
	close(wire);
	host.ops->close(host.ctx);
}

static struct flow flow(const struct family *f, uint8_t proto, uint16_t port)
{
	struct flow w = {.local_port = port, .remote_port = 4000, .proto = proto};

	CU_ASSERT_FATAL(ip_addr_parse(&w.local, f->here) == ERR_OK);
	CU_ASSERT_FATAL(ip_addr_parse(&w.remote, f->there) == ERR_OK);
	return w;
}

static void guard(const struct family *f, bool add)
{
	struct flow w = flow(f, IPPROTO_UDP, 5000);

	OK(HOST(flow_guard, "lk0", &w, add));
}

/* enum way - by which a packet left. */
enum way {
	NOWHERE,
	BY_WIRE,
	BY_LK0
};

static enum way way_out(int fd)
{
	(void)send(fd, "ping", 4, 0); /* what is dropped may be an error */
	if (frame_read(lk0, &frame))
		return frame_none(wire) ? BY_LK0 : NOWHERE;
	return frame_read(wire, &frame) ? BY_WIRE : NOWHERE;
}

static bool arrives(int fd, int by)
{
	uint32_t mark;
	size_t len;
	bool did;

	frame_turn(&frame, 0);
	frame_write(by, &frame);
	frame_turn(&frame, 0);
	did = frame_recv(fd, &mark, &len);
	return did && len == 4;
}

/* guarded - both ways. */
static bool guarded(int fd)
{
	return way_out(fd) == BY_LK0 && arrives(fd, lk0) && !arrives(fd, wire);
}

static bool open_to_all(int fd)
{
	return way_out(fd) == BY_WIRE && arrives(fd, wire) && arrives(fd, lk0);
}

static void test_L2_one_flow(void)
{
	if (!begin())
		return;
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		int fd = frame_udp(f->here, 5000, f->there, 4000);
		int other = frame_udp(f->here, 5001, f->there, 4000);
		int back = frame_udp(f->here, 4000, f->there, 5000);

		CU_ASSERT(open_to_all(fd));
		guard(f, true);
		CU_ASSERT(guarded(fd));
		guard(f, true);
		CU_ASSERT(guarded(fd));
		/* No other one is. */
		CU_ASSERT(open_to_all(other));
		CU_ASSERT(open_to_all(back));
		guard(f, false);
		CU_ASSERT(open_to_all(fd));
		guard(f, false);
		close(fd);
		close(other);
		close(back);
	}
	end();
}

/* within - a datagram from the host itself arrives at the port. */
static bool within(const struct family *f, uint16_t port)
{
	int to = frame_udp(f->here, port, NULL, 0), from = frame_udp(f->here, 0, f->here, port);
	uint32_t mark;
	size_t len;
	bool did = send(from, "ping", 4, 0) == 4 && frame_recv(to, &mark, &len);

	close(to);
	close(from);
	return did;
}

/* L1: all of a listener's port comes and goes by the device, at one address or at any of one family
 * or of both. */
static void test_L1_ports_of_listeners(void)
{
	if (!begin())
		return;
	for (size_t i = 0; i < 3 * ARRAY_LEN(families); i++) {
		const struct family *f = &families[i % ARRAY_LEN(families)];
		struct flow l = flow(f, IPPROTO_UDP, 5000);
		int fd = frame_udp(f->here, 5000, f->there, 4000);
		int other = frame_udp(f->here, 5001, f->there, 4000);

		l.remote = (struct ip_addr){.family = IP_NONE};
		l.remote_port = 0;
		if (i / ARRAY_LEN(families) == 1)
			l.local = (struct ip_addr){.family = l.local.family};
		if (i / ARRAY_LEN(families) == 2)
			l.local = (struct ip_addr){.family = IP_NONE};
		CU_ASSERT(open_to_all(fd));
		OK(HOST(flow_guard, "lk0", &l, true));
		OK(HOST(flow_guard, "lk0", &l, true));
		CU_ASSERT(guarded(fd));
		CU_ASSERT(open_to_all(other));
		CU_ASSERT(within(f, 5002));
		OK(HOST(flow_guard, "lk0", &l, false));
		CU_ASSERT(open_to_all(fd));
		l.local_port = 5002;
		OK(HOST(flow_guard, "lk0", &l, true));
		CU_ASSERT(within(f, 5002));
		OK(HOST(flow_guard, "lk0", &l, false));
		close(fd);
		close(other);
	}
	end();
}

/* What a process left that was killed goes, and what the next one has stays guarded meanwhile. */
static void test_L9_of_those_only(void)
{
	const struct family *f = &families[0];
	struct flow keep[3];
	int fds[4];

	if (!begin())
		return;
	for (uint16_t i = 0; i < 4; i++) {
		struct flow w = flow(f, IPPROTO_UDP, (uint16_t)(5003 - i));

		fds[i] = frame_udp(f->here, w.local_port, f->there, 4000);
		OK(HOST(flow_guard, "lk0", &w, true));
		if (i != 2)
			keep[i == 3 ? 2 : i] = w;
	}
	OK(HOST(flow_guard_only, "lk0", keep, 3));
	for (uint16_t i = 0; i < 4; i++) {
		CU_ASSERT(i == 2 ? open_to_all(fds[i]) : guarded(fds[i]));
		close(fds[i]);
	}
	end();
}

/* Guards come and go, and the process too. */
static void test_L2_guard_replaced(void)
{
	const struct family *f = &families[0];
	struct guard_entry hole = {.pass = 1};
	int fd;

	if (!begin())
		return;
	fd = frame_udp(f->here, 5000, f->there, 4000);
	guard(f, true);
	CU_ASSERT_FATAL(ts_parse(&hole.local, "10.1.0.1/32") == ERR_OK);
	CU_ASSERT_FATAL(ts_parse(&hole.remote, "10.2.0.0/16") == ERR_OK);
	OK(HOST(guard_set, "lk0", &hole, 1));
	CU_ASSERT(guarded(fd));
	OK(HOST(guard_set, "lk0", NULL, 0));
	CU_ASSERT(guarded(fd));
	OK(host.ops->guard_del(host.ctx));
	CU_ASSERT(guarded(fd));
	host.ops->close(host.ctx);
	CU_ASSERT_FATAL(host_linux_open(&host) == ERR_OK);
	CU_ASSERT(guarded(fd));
	OK(HOST(flow_guard_only, "lk0", NULL, 0));
	CU_ASSERT(open_to_all(fd));
	OK(HOST(flow_guard_only, "lk0", NULL, 0));
	CU_ASSERT(strstr(netns_read("nft list tables"), "latchkey") == NULL);
	close(fd);
	end();
}

/* What cannot go by the device goes nowhere. */
static void test_L1_no_way(void)
{
	if (!begin())
		return;
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct family *f = &families[i];
		int fd = frame_udp(f->here, 5000, f->there, 4000);

		guard(f, true);
		OK(host.ops->rules_del(host.ctx));
		CU_ASSERT_EQUAL(way_out(fd), NOWHERE);
		OK(HOST(rules_set, "lk0"));
		CU_ASSERT(guarded(fd));
		close(fd);
	}
	end();
}

/* Others' rules may set marks and translate addresses. */
static void test_L1_others_rules(void)
{
	const struct family *f = &families[0];
	int fd;

	if (!begin())
		return;
	fd = frame_udp(f->here, 5000, f->there, 4000);
	guard(f, true);
	netns_sh("nft 'add table inet other; add chain inet other o { type route hook output "
		 "priority -150; }; add rule inet other o meta mark set 0'");
	CU_ASSERT(guarded(fd));
	netns_sh("nft delete table inet other");
	netns_sh("nft 'add table inet other; add chain inet other s { type nat hook postrouting "
		 "priority 100; }; add rule inet other s oifname wire snat ip to 10.1.0.7'");
	close(fd);
	fd = frame_udp(f->here, 5000, f->there, 4000);
	OK(host.ops->rules_del(host.ctx));
	CU_ASSERT_EQUAL(way_out(fd), NOWHERE);
	OK(HOST(rules_set, "lk0"));
	netns_sh("nft 'add chain inet other d { type nat hook output priority -100; }; "
		 "add rule inet other d udp dport 4000 dnat ip to 10.2.0.10'");
	netns_sh("conntrack -F 2>/dev/null || true");
	close(fd);
	fd = frame_udp(f->here, 5000, f->there, 4000);
	CU_ASSERT(way_out(fd) != BY_WIRE);
	close(fd);
	end();
}

static void refused(struct flow w)
{
	CU_ASSERT_EQUAL(HOST(flow_guard, "lk0", &w, true), ERR_INVAL);
}

static void test_flow_guard_refused(void)
{
	struct flow good, w;

	if (!begin())
		return;
	good = flow(&families[0], IPPROTO_UDP, 5000);
	w = good;
	w.remote_port = 0;
	refused(w);
	w = good;
	w.local = (struct ip_addr){0};
	refused(w);
	w = good;
	w.remote = (struct ip_addr){0}; /* a listener's has no port there */
	refused(w);
	w = good;
	w.remote = flow(&families[1], IPPROTO_UDP, 5000).remote;
	refused(w);
	w = good;
	w.proto = IPPROTO_ICMP;
	refused(w);
	w = good;
	w.no_ports = 1;
	refused(w);
	CU_ASSERT_EQUAL(HOST(flow_guard, "a b", &good, true), ERR_INVAL);
	CU_ASSERT_EQUAL(HOST(flow_guard_only, "a b", NULL, 0), ERR_INVAL);
	CU_ASSERT(strstr(netns_read("nft list tables"), "latchkey") == NULL);
	end();
}

/* The table as nft prints it is one that it reads. */
static void test_flow_guard_listing(void)
{
	int fd;

	if (!begin())
		return;
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		guard(&families[i], true);
	CU_ASSERT(strstr(netns_read("nft list table inet latchkey-lk0/flows"),
			 "10.1.0.1 . 5000 . 10.2.0.9 . 4000 . udp") != NULL);
	netns_sh("(echo flush ruleset; nft list ruleset) >rules.$$ && nft -f rules.$$; rc=$?; "
		 "rm rules.$$; exit $rc");
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		fd = frame_udp(families[i].here, 5000, families[i].there, 4000);
		CU_ASSERT(guarded(fd));
		close(fd);
	}
	end();
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* change_many - flows number from..to-1; seconds for each. */
static double change_many(uint32_t from, uint32_t to, bool add)
{
	struct flow w = flow(&families[1], IPPROTO_TCP, 0);
	double began = now();

	for (uint32_t i = from; i < to; i++) {
		memcpy(w.remote.b + 10, &i, sizeof(i));
		w.local_port = (uint16_t)(1 + i % 60000);
		if (HOST(flow_guard, "lk0", &w, add))
			return -1;
	}
	return (now() - began) / (to - from);
}

/* One more costs the same among many: with a look through all of them it would be a hundred times
 * as much. LATCHKEY_FLOWS: how many, else 20,000. */
static void test_flow_guard_many(void)
{
	const char *text = getenv("LATCHKEY_FLOWS");
	uint32_t num = text ? (uint32_t)atoi(text) : 20000;
	double first, rest, last, gone;
	int fd;

	if (!begin())
		return;
	first = change_many(0, 500, true);
	rest = change_many(500, num - 500, true);
	last = change_many(num - 500, num, true);
	fd = frame_udp(families[1].here, 5000, families[1].there, 4000);
	CU_ASSERT(open_to_all(fd));
	guard(&families[1], true);
	CU_ASSERT(guarded(fd));
	gone = change_many(0, 500, false);
	tap_diag("%u flows: %.0f us each at first, %.0f, %.0f at last, %.0f to remove", num,
		 first * 1e6, rest * 1e6, last * 1e6, gone * 1e6);
	CU_ASSERT(first > 0 && rest > 0 && last > 0 && gone > 0);
	CU_ASSERT(last < 20 * first && gone < 40 * first);
	CU_ASSERT(guarded(fd));
	close(fd);
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_L1_ports_of_listeners),
	TAP_TEST(test_L9_of_those_only),
	TAP_TEST(test_L2_one_flow),
	TAP_TEST(test_L2_guard_replaced),
	TAP_TEST(test_L1_no_way),
	TAP_TEST(test_L1_others_rules),
	TAP_TEST(test_flow_guard_refused),
	TAP_TEST(test_flow_guard_listing),
	TAP_TEST(test_flow_guard_many),
};

TAP_MAIN("api/flow_guard", tests)
