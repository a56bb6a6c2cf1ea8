/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S58, at the level of packets: what policy protects neither enters nor leaves in the clear. A host
 * with a network behind it and a neighbour on the wire, which also plays whatever lies beyond:
 *
 *	lan (10.3.0.2, fd03::2) -- lan0 [host 10.3.0.1] wire0 (10.1.0.1, fd01::1)
 *	       -- wire1 (10.1.0.2, fd01::2; also 10.9.0.7, fd09::7) [neighbour]
 *
 * Each check is first seen to fail without the guard.
 */
#include "api/host/host.h"

#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OK(call) CU_ASSERT_EQUAL(call, ERR_OK)

#define HOST_V4 "10.1.0.1"
#define HOST_V6 "fd01::1"
#define FAR_V4  "10.9.0.7"
#define FAR_V6  "fd09::7"
#define NEXT_V4 "10.1.0.2"
#define NEXT_V6 "fd01::2"
#define LAN_V4  "10.3.0.2"
#define LAN_V6  "fd03::2"

static struct lab {
	struct host host;
	int here, neighbour, lan; /* namespaces */
	int tap;
} lab;

static struct guard_entry entry(const char *local, const char *remote, bool capture)
{
	struct guard_entry e = {.capture = capture};

	CU_ASSERT_FATAL(ts_parse(&e.local, local) == ERR_OK);
	CU_ASSERT_FATAL(ts_parse(&e.remote, remote) == ERR_OK);
	return e;
}

static void guard(const struct guard_entry *entries, size_t num)
{
	CU_ASSERT_FATAL(lab.host.ops->guard_set(lab.host.ctx, "lk0", entries, num) == ERR_OK);
}

static void guard_one(const char *local, const char *remote, bool capture)
{
	struct guard_entry e = entry(local, remote, capture);

	guard(&e, 1);
}

static bool begin(void)
{
	uint32_t queues;
	struct host_tap tap;

	if (!netns_enter())
		return false;
	lab.here = netns_current();
	lab.neighbour = netns_make();
	lab.lan = netns_make();
	netns_sh("echo 1 >/proc/sys/net/ipv4/ip_forward; "
		 "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; "
		 "ip link add wire0 type veth peer name wire1 && "
		 "ip link add lan0 type veth peer name lan1");
	netns_switch(lab.neighbour);
	netns_sh("nsenter --net=/proc/%d/fd/%d ip link set wire1 netns /proc/%d/fd/%d && "
		 "ip link set wire1 up && ip addr add " NEXT_V4 "/24 dev wire1 && "
		 "ip -6 addr add " NEXT_V6 "/64 dev wire1 nodad && ip addr add " FAR_V4
		 "/32 dev lo && ip -6 addr add " FAR_V6 "/128 dev lo nodad && "
		 "ip route add default via " HOST_V4 " && ip -6 route add default via " HOST_V6,
		 getpid(), lab.here, getpid(), lab.neighbour);
	netns_switch(lab.lan);
	netns_sh("nsenter --net=/proc/%d/fd/%d ip link set lan1 netns /proc/%d/fd/%d && "
		 "ip link set lan1 up && ip addr add " LAN_V4 "/24 dev lan1 && "
		 "ip -6 addr add " LAN_V6
		 "/64 dev lan1 nodad && ip route add default via 10.3.0.1 && "
		 "ip -6 route add default via fd03::1",
		 getpid(), lab.here, getpid(), lab.lan);
	netns_switch(lab.here);
	netns_sh("ip link set wire0 up && ip addr add " HOST_V4 "/24 dev wire0 && "
		 "ip -6 addr add " HOST_V6 "/64 dev wire0 nodad && ip link set lan0 up && "
		 "ip addr add 10.3.0.1/24 dev lan0 && ip -6 addr add fd03::1/64 dev lan0 nodad && "
		 "ip route add default via " NEXT_V4 " && ip -6 route add default via " NEXT_V6);
	CU_ASSERT_FATAL(host_linux_open(&lab.host) == ERR_OK);
	OK(lab.host.ops->tap_open(lab.host.ctx, &tap, &queues, "lk0", 0, 1));
	lab.tap = tap.fd;
	OK(lab.host.ops->link_set(lab.host.ctx, "lk0", 1400, NULL));
	OK(lab.host.ops->rules_set(lab.host.ctx, "lk0"));
	return true;
}

static void end(void)
{
	if (lab.tap >= 0)
		close(lab.tap);
	lab.host.ops->close(lab.host.ctx);
	close(lab.here);
	close(lab.neighbour);
	close(lab.lan);
}

/* ---- probes -----------------------------------------------------------------------------------
 */

/* struct probe - one flow in one direction: UDP from (at, src, sport) to (dst, dport). */
struct probe {
	int from_ns, to_ns;
	const char *src, *dst;
	uint16_t sport, dport;
	const char *device; /* SO_BINDTODEVICE of the sender */
	uint32_t mark;      /* of the sender */
	size_t len;
};

static socklen_t address(struct sockaddr_storage *ss, const char *text, uint16_t port)
{
	struct endpoint e = {.port = port};

	CU_ASSERT_FATAL(ip_addr_parse(&e.addr, text) == ERR_OK);
	return endpoint_to_sockaddr(ss, &e);
}

static int udp_socket(int ns, const char *addr, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, addr, port);
	int fd, on = 1;

	netns_switch(ns);
	fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
		tap_diag("bind %s port %u: %s", addr, port, strerror(errno));
		CU_FAIL_FATAL("bind");
	}
	netns_switch(lab.here);
	return fd;
}

static void send_to(int fd, const struct probe *p)
{
	static uint8_t payload[4000];
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, p->dst, p->dport);

	if (p->device)
		CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, p->device,
				     (socklen_t)strlen(p->device)) == 0);
	if (p->mark)
		CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_MARK, &p->mark, sizeof(p->mark)) == 0);
	/* The filter may answer EPERM: that is a drop too. */
	(void)!sendto(fd, payload, p->len ? p->len : 20, 0, (struct sockaddr *)&ss, len);
}

static unsigned drain(int fd, int first_wait_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	uint8_t buf[4096];
	unsigned n = 0;

	while (poll(&pfd, 1, n ? 20 : first_wait_ms) > 0 && recv(fd, buf, sizeof(buf), 0) >= 0)
		n++;
	return n;
}

/* count_arriving - three datagrams of a flow are sent; how many come, waiting for the first one. */
static unsigned count_arriving(struct probe p, int wait_ms)
{
	int to = udp_socket(p.to_ns, p.dst, p.dport), from = udp_socket(p.from_ns, p.src, p.sport);
	unsigned n;

	for (int i = 0; i < 3; i++)
		send_to(from, &p);
	n = drain(to, wait_ms);
	close(to);
	close(from);
	return n;
}

/* passes - all of a flow comes. blocked - nothing of it does. */
static bool passes(struct probe p)
{
	return count_arriving(p, 2000) == 3;
}

static bool blocked(struct probe p)
{
	return count_arriving(p, 100) == 0;
}

static struct probe spoof4(void)
{
	return (struct probe){lab.neighbour, lab.here, FAR_V4, HOST_V4, 4000, 7777, NULL, 0, 0};
}

static struct probe spoof6(void)
{
	return (struct probe){lab.neighbour, lab.here, FAR_V6, HOST_V6, 4000, 7777, NULL, 0, 0};
}

static struct probe leak4(void)
{
	return (struct probe){lab.here, lab.neighbour, HOST_V4, FAR_V4, 4000, 7777, NULL, 0, 0};
}

static struct probe leak6(void)
{
	return (struct probe){lab.here, lab.neighbour, HOST_V6, FAR_V6, 4000, 7777, NULL, 0, 0};
}

static struct probe with_ports(struct probe p, uint16_t sport, uint16_t dport)
{
	p.sport = sport;
	p.dport = dport;
	return p;
}

static long dropped(const char *counter)
{
	return strtol(netns_read("nft list counter inet latchkey-lk0 %s | sed -n 's/.*packets "
				 "\\([0-9]*\\).*/\\1/p'",
				 counter),
		      NULL, 10);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void test_S58_spoofed_clear_packets(void)
{
	if (!begin())
		return;
	for (int rp = 0; rp <= 2; rp += 2) {
		netns_sh("for i in all wire0; do echo %d >/proc/sys/net/ipv4/conf/$i/rp_filter; "
			 "done",
			 rp);
		OK(lab.host.ops->guard_del(lab.host.ctx));
		CU_ASSERT(passes(spoof4()));
		CU_ASSERT(passes(spoof6()));
		struct guard_entry e[] = {entry("10.1.0.0/24", "10.9.0.0/16", false),
					  entry("fd01::/64", "fd09::/16", false)};
		guard(e, 2);
		CU_ASSERT(blocked(spoof4()));
		CU_ASSERT(blocked(spoof6()));
		CU_ASSERT_EQUAL(dropped("entering"), 6);
	}
	/* Others than the policy's are not touched. */
	struct probe near = spoof4();
	near.src = NEXT_V4;
	CU_ASSERT(passes(near));
	end();
}

/* Interfaces of single connections: the operator's routes say what is behind one. */
static void test_S58_what_routes_send_there_comes_from_there(void)
{
	static const char *const own[] = {"vf1"};
	struct probe near;

	if (!begin())
		return;
	near = spoof4();
	near.src = NEXT_V4;
	netns_sh("for i in all wire0; do echo 0 >/proc/sys/net/ipv4/conf/$i/rp_filter; done; "
		 "ip tuntap add vf1 mode tap && ip link set vf1 up && "
		 "ip route add 10.9.0.0/16 dev vf1 && ip -6 route add fd09::/16 dev vf1");
	guard(NULL, 0);
	CU_ASSERT(passes(spoof4()));
	CU_ASSERT(passes(spoof6()));
	OK(lab.host.ops->guard_devices(lab.host.ctx, own, 1));
	guard(NULL, 0);
	CU_ASSERT(blocked(spoof4()));
	CU_ASSERT(blocked(spoof6()));
	CU_ASSERT_EQUAL(dropped("entering"), 6);
	CU_ASSERT(passes(near)); /* what they do not send there is not touched */
	netns_sh("ip route del 10.9.0.0/16 dev vf1");
	CU_ASSERT(passes(spoof4()));
	OK(lab.host.ops->guard_devices(lab.host.ctx, NULL, 0));
	guard(NULL, 0);
	CU_ASSERT(passes(spoof6()));
	end();
}

static void test_S58_leaks(void)
{
	struct guard_entry e[] = {entry("10.1.0.0/24", "10.9.0.0/16", false),
				  entry("fd01::/64", "fd09::/16", false)};
	struct ip_prefix far4, far6;
	struct probe p;

	if (!begin())
		return;
	CU_ASSERT_FATAL(!ip_prefix_parse(&far4, "10.9.0.0/16") &&
			!ip_prefix_parse(&far6, "fd09::/16"));
	CU_ASSERT(passes(leak4()));
	CU_ASSERT(passes(leak6()));
	OK(lab.host.ops->route_add(lab.host.ctx, &far4, "lk0", NULL));
	OK(lab.host.ops->route_add(lab.host.ctx, &far6, "lk0", NULL));
	/* The route alone is not enough: a socket bound to the wire, a narrower route injected. */
	CU_ASSERT(blocked(leak4()));
	p = leak4();
	p.device = "wire0";
	CU_ASSERT(passes(p));
	netns_sh("ip route add " FAR_V4 "/32 via " NEXT_V4 " table 4301");
	CU_ASSERT(passes(leak4()));
	guard(e, 2);
	CU_ASSERT(blocked(leak4()));
	netns_sh("ip route del " FAR_V4 "/32 table 4301");
	CU_ASSERT(blocked(p));
	p = leak6();
	p.device = "wire0";
	CU_ASSERT(blocked(p));
	CU_ASSERT_EQUAL(dropped("leaving"), 9);
	/* Even without routes, rules and device: what a killed daemon's host may come to. */
	close(lab.tap);
	lab.tap = -1;
	CU_ASSERT(blocked(leak4()));
	OK(lab.host.ops->rules_del(lab.host.ctx));
	CU_ASSERT(blocked(leak4()));
	OK(lab.host.ops->link_del(lab.host.ctx, "lk0"));
	CU_ASSERT(blocked(leak4()));
	CU_ASSERT(blocked(leak6()));
	/* Our own outer traffic passes, and what no policy protects. */
	p = leak4();
	p.mark = HOST_MARK_OUTER;
	CU_ASSERT(passes(p));
	p = leak6();
	p.mark = HOST_MARK_OUTER | 5;
	CU_ASSERT(passes(p));
	p.mark = HOST_MARK_CAPTURE;
	CU_ASSERT(blocked(p));
	p = leak4();
	p.dst = NEXT_V4;
	CU_ASSERT(passes(p));
	OK(lab.host.ops->guard_del(lab.host.ctx));
	CU_ASSERT(passes(leak4()));
	end();
}

static void test_S58_forwarded(void)
{
	struct guard_entry e[] = {entry("10.3.0.0/24", "10.9.0.0/16", false),
				  entry("fd03::/64", "fd09::/16", false)};
	struct probe out4, out6, in4, in6;

	if (!begin())
		return;
	out4 = (struct probe){lab.lan, lab.neighbour, LAN_V4, FAR_V4, 4000, 7777, NULL, 0, 0};
	out6 = (struct probe){lab.lan, lab.neighbour, LAN_V6, FAR_V6, 4000, 7777, NULL, 0, 0};
	in4 = (struct probe){lab.neighbour, lab.lan, FAR_V4, LAN_V4, 4000, 7777, NULL, 0, 0};
	in6 = (struct probe){lab.neighbour, lab.lan, FAR_V6, LAN_V6, 4000, 7777, NULL, 0, 0};
	CU_ASSERT(passes(out4) && passes(out6) && passes(in4) && passes(in6));
	guard(e, 2);
	CU_ASSERT(blocked(out4));
	CU_ASSERT(blocked(out6));
	CU_ASSERT(blocked(in4));
	CU_ASSERT(blocked(in6));
	/* Not even to IKE's ports: those of others are not ours. */
	CU_ASSERT(blocked(with_ports(in4, 4500, 4500)));
	end();
}

/* A masquerade hides neither direction's addresses from the guard. */
static void test_S58_source_translation(void)
{
	struct probe out4;

	if (!begin())
		return;
	out4 = (struct probe){lab.lan, lab.neighbour, LAN_V4, FAR_V4, 4000, 7777, NULL, 0, 0};
	guard_one("10.3.0.0/24", "10.9.0.0/16", false);
	netns_sh(
		"nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority "
		"100; }; add rule ip nat post oifname wire0 masquerade'");
	CU_ASSERT(blocked(out4));
	guard_one("10.1.0.0/24", "10.9.0.0/16", false);
	CU_ASSERT(blocked(out4));
	end();
}

/* translate - what comes to this port of UDP is for another address. */
static void translate(uint16_t port, const char *to)
{
	netns_sh("nft 'add table ip nat; add chain ip nat pre { type nat hook prerouting priority "
		 "-100; }; add rule ip nat pre iifname wire0 udp dport %u dnat to %s'",
		 port, to);
}

/* passes_unguarded - the probe that the guard stopped arrives without it. */
static void passes_unguarded(int from, int to, const struct probe *p)
{
	send_to(from, p);
	CU_ASSERT_EQUAL(drain(to, 150), 0);
	OK(lab.host.ops->guard_del(lab.host.ctx));
	send_to(from, p);
	CU_ASSERT_EQUAL(drain(to, 2000), 1);
	close(to);
	close(from);
}

/* Destination NAT leads nothing around the guard. */
static void test_S58_destination_translation(void)
{
	struct probe in4, p = spoof4();
	int to, from;

	if (!begin())
		return;
	in4 = (struct probe){lab.neighbour, lab.lan, FAR_V4, LAN_V4, 4000, 7777, NULL, 0, 0};
	/* Neither to what is protected, */
	guard_one("10.3.0.0/24", "10.9.0.0/16", false);
	translate(7777, LAN_V4);
	to = udp_socket(lab.lan, LAN_V4, 7777);
	from = udp_socket(lab.neighbour, FAR_V4, 4001);
	send_to(from, &p);
	CU_ASSERT_EQUAL(drain(to, 150), 0);
	/* nor to something else what was sent to a protected address, */
	guard_one("10.1.0.0/24", "10.9.0.0/16", false);
	passes_unguarded(from, to, &p);
	/* nor to a protected address of this host, */
	translate(7779, HOST_V4);
	p = with_ports(in4, 4003, 7779);
	p.dst = "10.3.0.1";
	to = udp_socket(lab.here, HOST_V4, 7779);
	from = udp_socket(lab.neighbour, FAR_V4, 4003);
	guard_one(HOST_V4 "/32", "10.9.0.0/16", false);
	passes_unguarded(from, to, &p);
	/* nor to our own ports what was sent to others'. */
	translate(4500, "10.3.0.1");
	p = with_ports(in4, 4002, 4500);
	to = udp_socket(lab.here, "10.3.0.1", 4500);
	from = udp_socket(lab.neighbour, FAR_V4, 4002);
	guard_one(LAN_V4 "/32", "10.9.0.0/16", false);
	passes_unguarded(from, to, &p);
	end();
}

static void test_ports_and_protocols(void)
{
	struct guard_entry e[] = {
		entry("10.1.0.1/32[udp/7777]", "10.9.0.0/16[udp]", false),
		entry("fd01::1/128[udp]", "fd09::/16[udp/2000-3000]", false),
		entry("10.1.0.1/32[icmp/2048]", "10.9.0.0/16[icmp]", false),
	};
	struct probe p;

	if (!begin())
		return;
	guard(e, 3);
	CU_ASSERT(blocked(spoof4()));
	CU_ASSERT(passes(with_ports(spoof4(), 7777, 7778)));
	CU_ASSERT(blocked(with_ports(leak4(), 7777, 99)));
	CU_ASSERT(passes(with_ports(leak4(), 7776, 7777)));
	CU_ASSERT(blocked(with_ports(spoof6(), 2000, 1)));
	CU_ASSERT(blocked(with_ports(leak6(), 1, 3000)));
	CU_ASSERT(passes(with_ports(leak6(), 1, 3001)));
	CU_ASSERT(passes(with_ports(spoof6(), 1999, 2500)));
	/* Echo requests are protected, their answers are not. */
	netns_sh("! ping -c 1 -W 0.2 -I " HOST_V4 " " FAR_V4 " >/dev/null");
	netns_in(lab.neighbour, "! ping -c 1 -W 0.2 -I " FAR_V4 " " HOST_V4 " >/dev/null");
	netns_sh("ping -c 1 -W 1 " NEXT_V4 " >/dev/null");
	OK(lab.host.ops->guard_del(lab.host.ctx));
	netns_sh("ping -c 1 -W 1 -I " HOST_V4 " " FAR_V4 " >/dev/null");
	/* Fragments that show no port are dropped with the first one. */
	guard_one("10.3.0.0/24[udp/7777]", "10.9.0.0/16[udp]", false);
	p = (struct probe){lab.lan, lab.neighbour, LAN_V4, FAR_V4, 7777, 7777, NULL, 0, 3000};
	CU_ASSERT(blocked(p));
	CU_ASSERT_EQUAL(dropped("leaving"), 9);
	end();
}

static void test_own_outer_arrives(void)
{
	struct guard_entry e[] = {entry(HOST_V4 "/32", NEXT_V4 "/32", true),
				  entry(HOST_V6 "/128", NEXT_V6 "/128", true)};
	struct probe p4, p6;

	if (!begin())
		return;
	p4 = (struct probe){lab.neighbour, lab.here, NEXT_V4, HOST_V4, 500, 500, NULL, 0, 0};
	p6 = (struct probe){lab.neighbour, lab.here, NEXT_V6, HOST_V6, 4500, 4500, NULL, 0, 0};
	guard(e, 2);
	/* The neighbour cache is cold: resolving must work under the guard. */
	netns_sh("ip neigh flush all; ip -6 neigh flush all");
	netns_in(lab.neighbour, "ip neigh flush all; ip -6 neigh flush all");
	CU_ASSERT(passes(p4));
	CU_ASSERT(passes(p6));
	struct probe out6 = with_ports(p6, 4500, 4500);
	out6.from_ns = lab.here;
	out6.to_ns = lab.neighbour;
	out6.src = HOST_V6;
	out6.dst = NEXT_V6;
	out6.mark = HOST_MARK_OUTER;
	netns_sh("ip -6 neigh flush all");
	CU_ASSERT(passes(out6));
	/* A NAT may have changed the peer's port, and the datagram may come in fragments. */
	CU_ASSERT(passes(with_ports(p4, 61234, 4500)));
	p4.len = 3000;
	CU_ASSERT(passes(with_ports(p4, 4500, 4500)));
	p6.len = 3000;
	CU_ASSERT(passes(p6));
	/* Anything else between the two is protected. */
	CU_ASSERT(blocked(with_ports(p4, 4500, 4501)));
	p4.len = p6.len = 0;
	CU_ASSERT(blocked(with_ports(p4, 500, 7777)));
	CU_ASSERT(blocked(with_ports(p6, 500, 7777)));
	/* Other ports, once they are ours. */
	int fd;
	OK(lab.host.ops->udp_open(lab.host.ctx, &fd, IP_V4, 7778, 1));
	guard(e, 2);
	close(fd);
	CU_ASSERT(passes(with_ports(p4, 500, 7778)));
	CU_ASSERT(blocked(with_ports(p4, 500, 500)));
	end();
}

/* connects - TCP from here to where the neighbour listens, by a socket with this mark. */
static bool connects(const char *src, const char *dst, uint32_t mark)
{
	struct sockaddr_storage to, from;
	socklen_t to_len = address(&to, dst, 8080), from_len = address(&from, src, 0);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), error = -1;
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(error);

	CU_ASSERT_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&from, from_len) == 0);
	if (mark)
		CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0);
	(void)!connect(fd, (struct sockaddr *)&to, to_len);
	if (poll(&pfd, 1, mark ? 5000 : 100) > 0)
		CU_ASSERT(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
	close(fd);
	return error == 0;
}

static int listener(const char *addr)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, addr, 8080);
	int fd;

	netns_switch(lab.neighbour);
	fd = socket(ss.ss_family, SOCK_STREAM, 0);
	CU_ASSERT_FATAL(fd >= 0 && bind(fd, (struct sockaddr *)&ss, len) == 0 &&
			listen(fd, 8) == 0);
	netns_switch(lab.here);
	return fd;
}

/* What the host fetches in the clear leaves, and what answers it arrives; nobody else's does. */
static void test_S27_own_connections(void)
{
	struct guard_entry e[] = {entry(HOST_V4 "/32", NEXT_V4 "/32", true),
				  entry(HOST_V6 "/128", NEXT_V6 "/128", true)};
	int fd4, fd6;

	if (!begin())
		return;
	fd4 = listener(NEXT_V4);
	fd6 = listener(NEXT_V6);
	guard(e, 2);
	CU_ASSERT(connects(HOST_V4, NEXT_V4, HOST_MARK_OUTER));
	CU_ASSERT(connects(HOST_V6, NEXT_V6, HOST_MARK_OUTER));
	CU_ASSERT(!connects(HOST_V4, NEXT_V4, 0));
	CU_ASSERT(!connects(HOST_V6, NEXT_V6, 0));
	close(fd4);
	close(fd6);
	end();
}

static void test_loopback_lives(void)
{
	struct probe p4, p6;

	if (!begin())
		return;
	struct guard_entry e[] = {entry("0.0.0.0/0", "0.0.0.0/0", true),
				  entry("::/0", "::/0", true)};
	guard(e, 2);
	p4 = (struct probe){lab.here, lab.here, "10.3.0.1", HOST_V4, 4000, 7777, NULL, 0, 0};
	p6 = (struct probe){lab.here, lab.here, "fd03::1", HOST_V6, 4000, 7777, NULL, 0, 0};
	CU_ASSERT(passes(p4));
	CU_ASSERT(passes(p6));
	p4.src = p4.dst = "127.0.0.1";
	p6.src = p6.dst = "::1";
	CU_ASSERT(passes(p4));
	CU_ASSERT(passes(p6));
	CU_ASSERT(blocked(leak4()));
	CU_ASSERT(blocked(spoof6()));
	end();
}

/* tapped - datagrams of a flow that came to the virtual interface: frames with this UDP port. */
static unsigned tapped(uint16_t dport)
{
	struct pollfd pfd = {.fd = lab.tap, .events = POLLIN};
	uint8_t frame[2048];
	unsigned n = 0;
	ssize_t len;

	while (poll(&pfd, 1, 50) > 0 && (len = read(lab.tap, frame, sizeof(frame))) > 0) {
		size_t at = load_be16(frame + 12) == ETH_P_IP ? 14 + 20 : 14 + 40;

		if ((size_t)len >= at + 8 && load_be16(frame + at + 2) == dport)
			n++;
	}
	return n;
}

static void test_capture(void)
{
	struct guard_entry e[] = {
		entry(HOST_V4 "/32", NEXT_V4 "/32", true),
		entry("10.1.0.0/24[udp]", FAR_V4 "/32[udp/7777]", true),
		entry(HOST_V6 "/128[udp]", NEXT_V6 "/128[udp/7777]", true),
		entry("10.3.0.0/24[udp]", FAR_V4 "/32[udp/7777]", true),
		entry("10.1.0.0/24", "10.8.0.0/16", false),
	};
	struct probe next4 = leak4(), next6 = leak6(), p;

	if (!begin())
		return;
	next4 = leak4();
	next6 = leak6();
	next4.dst = NEXT_V4;
	next6.dst = NEXT_V6;
	CU_ASSERT(passes(next4));
	CU_ASSERT_EQUAL(tapped(7777), 0);
	guard(e, ARRAY_LEN(e));
	/* Host to host, and by port: no route says so, and none could. */
	CU_ASSERT(blocked(next4));
	CU_ASSERT_EQUAL(tapped(7777), 3);
	CU_ASSERT(blocked(leak4()));
	CU_ASSERT_EQUAL(tapped(7777), 3);
	CU_ASSERT(blocked(next6));
	CU_ASSERT_EQUAL(tapped(7777), 3);
	CU_ASSERT(passes(with_ports(next6, 4000, 7778)));
	CU_ASSERT(passes(with_ports(leak4(), 4000, 7778)));
	CU_ASSERT_EQUAL(tapped(7778), 0);
	/* On its way through. */
	p = (struct probe){lab.lan, lab.neighbour, LAN_V4, FAR_V4, 4000, 7777, NULL, 0, 0};
	CU_ASSERT(blocked(p));
	CU_ASSERT_EQUAL(tapped(7777), 3);
	CU_ASSERT(passes(with_ports(p, 4000, 7778)));
	/* Not our own outer traffic, and not what is routed instead. */
	next4.mark = HOST_MARK_OUTER;
	CU_ASSERT(passes(next4));
	CU_ASSERT_EQUAL(tapped(7777), 0);
	end();
}

/* S58: a hole lets through what it names, and nothing that something before it guards. */
static void test_S58_holes(void)
{
	struct guard_entry e[] = {
		entry("10.1.0.0/24[udp]", FAR_V4 "/32[udp/7779]", false),
		entry("10.1.0.0/24[udp]", FAR_V4 "/32[udp/7777-7780]", false),
		entry("fd01::/64[udp]", FAR_V6 "/128[udp/7777-7780]", false),
		entry("10.1.0.0/24[udp]", FAR_V4 "/32", true),
		entry("fd01::/64", FAR_V6 "/128", false),
	};

	if (!begin())
		return;
	e[1].pass = e[2].pass = 1;
	guard(e, ARRAY_LEN(e));
	CU_ASSERT(passes(with_ports(leak4(), 4000, 7777)));
	CU_ASSERT(passes(with_ports(leak4(), 4000, 7780)));
	CU_ASSERT(passes(with_ports(leak6(), 4000, 7779)));
	CU_ASSERT_EQUAL(tapped(7777), 0); /* nor was it captured */
	CU_ASSERT(blocked(with_ports(leak4(), 4000, 7779)));
	CU_ASSERT(blocked(with_ports(leak4(), 4000, 7781)));
	CU_ASSERT(blocked(with_ports(leak6(), 4000, 7781)));
	CU_ASSERT_EQUAL(tapped(7781), 3);
	/* Without them. */
	guard(e + 3, 2);
	CU_ASSERT(blocked(with_ports(leak4(), 4000, 7777)));
	CU_ASSERT(blocked(with_ports(leak6(), 4000, 7779)));
	/* What passes is marked for the routes, also where nothing is captured. */
	guard(e + 1, 2);
	CU_ASSERT_STRING_EQUAL(
		netns_read("nft list chain inet latchkey-lk0 output | grep -c 'jump capture_'"),
		"1");
	end();
}

static void test_overlaps(void)
{
	/* Contained, equal, crossing, and crossing in ports: all of it must hold at once. */
	struct guard_entry e[] = {
		entry("10.1.0.1/32", "10.9.0.0/24", false),
		entry("10.1.0.0/24", "10.9.0.7/32", false),
		entry("10.1.0.1/32", "10.9.0.7/32", false),
		entry("10.1.0.1/32", "10.9.0.0/24", false),
		entry("fd01::1/128[udp/7000-7777]", "fd09::/16[udp]", false),
		entry("fd01::/64[udp/7777-7779]", "fd09::7/128[udp]", false),
		entry("10.1.0.0/24", "fd09::/16", false),
		entry("10.1.0.0/24[tcp]", "10.1.0.0/24[udp]", false),
	};
	static const uint16_t ports[] = {6999, 7000, 7500, 7777, 7778, 7779, 7780};
	struct probe p = spoof4();

	if (!begin())
		return;
	guard(e, ARRAY_LEN(e));
	guard(e, ARRAY_LEN(e));
	CU_ASSERT(blocked(spoof4()));
	CU_ASSERT(blocked(leak4()));
	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		CU_ASSERT(ports[i] < 7000 || ports[i] > 7779
				  ? passes(with_ports(spoof6(), 1, ports[i]))
				  : blocked(with_ports(spoof6(), 1, ports[i])));
	p = spoof4();
	p.src = NEXT_V4;
	CU_ASSERT(passes(p));
	/* Fewer entries: what is no longer protected passes again. */
	guard(e, 1);
	CU_ASSERT(passes(spoof6()));
	CU_ASSERT(blocked(spoof4()));
	guard(NULL, 0);
	CU_ASSERT(passes(spoof4()));
	end();
}

/* While the guard is replaced over and over under traffic, nothing slips through. */
static void test_no_gap(void)
{
	struct guard_entry e[40];
	struct sockaddr_storage ss;
	unsigned replaced = 0, sent = 0;
	char text[64];
	int to, from, stop;
	pid_t pid;

	if (!begin())
		return;
	e[0] = entry("10.1.0.0/24", "10.9.0.0/16", false);
	for (size_t i = 1; i < ARRAY_LEN(e); i++) {
		snprintf(text, sizeof(text), "10.%zu.0.0/16", 20 + i);
		e[i] = entry("10.1.0.0/24", text, false);
	}
	guard(e, 1);
	to = udp_socket(lab.here, HOST_V4, 7777);
	from = udp_socket(lab.neighbour, FAR_V4, 4000);
	CU_ASSERT(fcntl(from, F_SETFL, 0) == 0);
	socklen_t len = address(&ss, HOST_V4, 7777);
	int pipe_fds[2];
	CU_ASSERT_FATAL(pipe(pipe_fds) == 0);
	fflush(stdout);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		struct pollfd pfd = {.fd = pipe_fds[0], .events = POLLIN};

		close(pipe_fds[1]);
		while (poll(&pfd, 1, 0) == 0)
			for (int i = 0; i < 64; i++, sent++)
				(void)!sendto(from, "x", 1, 0, (struct sockaddr *)&ss, len);
		_exit(0);
	}
	close(pipe_fds[0]);
	stop = pipe_fds[1];
	for (time_t until = time(NULL) + 3; time(NULL) < until; replaced++)
		guard(e, 1 + replaced % ARRAY_LEN(e));
	close(stop);
	CU_ASSERT(waitpid(pid, NULL, 0) == pid);
	tap_diag("replaced %u times under %ld packets", replaced, dropped("entering"));
	CU_ASSERT(replaced > 10 && dropped("entering") > 1000);
	CU_ASSERT_EQUAL(drain(to, 100), 0);
	/* The other side of the test: without the guard that sender is heard. */
	OK(lab.host.ops->guard_del(lab.host.ctx));
	CU_ASSERT(sendto(from, "x", 1, 0, (struct sockaddr *)&ss, len) == 1);
	CU_ASSERT_EQUAL(drain(to, 100), 1);
	close(to);
	close(from);
	end();
}

/* A guard that an earlier process left is taken over, and the table holds nothing twice. */
static void test_taken_over(void)
{
	static const char *const names = "nft -j list table inet latchkey-lk0 | jq -r "
					 "'[.nftables[] | (.set // .chain // empty).name] | sort | "
					 "join(\" \")'";
	struct guard_entry e[] = {entry("10.1.0.0/24", "10.9.0.0/16", false),
				  entry("10.1.0.0/24[udp/7]", "10.9.0.0/16[udp]", true)};
	struct host other;

	if (!begin())
		return;
	guard(e, 2);
	CU_ASSERT_FATAL(host_linux_open(&other) == ERR_OK);
	OK(other.ops->guard_set(other.ctx, "lk0", e, 1));
	CU_ASSERT_STRING_EQUAL(netns_read("%s", names),
			       "all_addr4_b capture_b forward in_b input leave leave_nat out_b "
			       "wire"); /* nothing is captured any more */
	/* One that died half way: the leftovers of the unused half do no harm. */
	netns_sh("nft 'add chain inet latchkey-lk0 in_a; add rule inet latchkey-lk0 in_a drop; add "
		 "set inet latchkey-lk0 all_addr4_a { type ipv4_addr . ipv4_addr; flags interval; "
		 "}; "
		 "add element inet latchkey-lk0 all_addr4_a { 1.2.3.4 . 5.6.7.8 }'");
	CU_ASSERT(passes(
		(struct probe){lab.neighbour, lab.here, NEXT_V4, HOST_V4, 1, 2, NULL, 0, 0}));
	OK(other.ops->guard_set(other.ctx, "lk0", e, 2));
	CU_ASSERT_STRING_EQUAL(
		netns_read("%s", names),
		"all_addr4_a all_frag4_a all_ports4_a cap_ports4_a capture_a forward "
		"in_a input leave leave_nat out_a output transit wire");
	CU_ASSERT_STRING_EQUAL(netns_read("nft -j list set inet latchkey-lk0 all_addr4_a | jq -c "
					  "'.nftables[1].set.elem'"),
			       "[{\"concat\":[{\"prefix\":{\"addr\":\"10.1.0.0\",\"len\":24}},"
			       "{\"prefix\":{\"addr\":\"10.9.0.0\",\"len\":16}}]}]");
	CU_ASSERT(blocked(spoof4()));
	/* A daemon with another device does not touch it. */
	OK(other.ops->guard_set(other.ctx, "lk7", NULL, 0));
	OK(other.ops->guard_del(other.ctx));
	CU_ASSERT(blocked(spoof4()));
	other.ops->close(other.ctx);
	CU_ASSERT(blocked(spoof4()));
	OK(lab.host.ops->guard_del(lab.host.ctx));
	CU_ASSERT_STRING_EQUAL(netns_read("nft list ruleset"), "");
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S58_spoofed_clear_packets),
	TAP_TEST(test_S58_what_routes_send_there_comes_from_there),
	TAP_TEST(test_S58_leaks),
	TAP_TEST(test_S58_forwarded),
	TAP_TEST(test_S58_source_translation),
	TAP_TEST(test_S58_destination_translation),
	TAP_TEST(test_ports_and_protocols),
	TAP_TEST(test_own_outer_arrives),
	TAP_TEST(test_S27_own_connections),
	TAP_TEST(test_loopback_lives),
	TAP_TEST(test_capture),
	TAP_TEST(test_S58_holes),
	TAP_TEST(test_overlaps),
	TAP_TEST(test_no_gap),
	TAP_TEST(test_taken_over),
};

TAP_MAIN("api/guard", tests)
