/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E1 and what goes with it: a passed socket is what the kernel says, not what its owner says, and
 * it is known when it was closed. A host 10.1.0.1, fd01::1 with the device lk0.
 */
#include "api/host/linux.h"

#include "base/mptcp.h"
#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK(call) CU_ASSERT_EQUAL(call, ERR_OK)

#define HERE4 "10.1.0.1"
#define HERE6 "fd01::1"

static struct host host;
static int ns;

#define HOST(op, ...) host.ops->op(host.ctx, __VA_ARGS__)

static void addresses(void)
{
	netns_sh("ip addr add " HERE4 "/32 dev lo; ip -6 addr add " HERE6 "/128 dev lo nodad");
	netns_wait_for6(HERE6);
}

static bool begin(void)
{
	if (!netns_enter())
		return false;
	ns = netns_current();
	CU_ASSERT_FATAL(host_linux_open(&host) == ERR_OK);
	addresses();
	return true;
}

static void end(void)
{
	host.ops->close(host.ctx);
	close(ns);
}

static struct sockaddr_storage place(const char *text, uint16_t port, socklen_t *len)
{
	struct sockaddr_storage ss;
	struct endpoint e = {.port = port};

	CU_ASSERT_FATAL(ip_addr_parse(&e.addr, text) == ERR_OK);
	*len = endpoint_to_sockaddr(&ss, &e);
	return ss;
}

static int open_at(int type, const char *local, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage ss = place(local, port, &len);
	int fd = socket(ss.ss_family, type | SOCK_CLOEXEC, 0), on = 1;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	CU_ASSERT(bind(fd, (struct sockaddr *)&ss, len) == 0);
	return fd;
}

/* open_only6 - bound to any IPv6 address, and to those alone. */
static int open_only6(uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage ss = place("::", port, &len);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	CU_ASSERT(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0);
	CU_ASSERT(bind(fd, (struct sockaddr *)&ss, len) == 0);
	return fd;
}

static void connect_to(int fd, const char *remote, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage ss = place(remote, port, &len);

	CU_ASSERT(connect(fd, (struct sockaddr *)&ss, len) == 0);
}

static struct host_socket inspect(int fd)
{
	struct host_socket s = {0};

	OK(HOST(socket_inspect, &s, fd, NULL));
	return s;
}

/* flow_is - "LOCAL[PORT] REMOTE[PORT] PROTO". */
static bool flow_is(const struct flow *f, const char *wanted)
{
	char local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX], got[160];
	struct endpoint l = {.addr = f->local, .port = f->local_port};
	struct endpoint r = {.addr = f->remote, .port = f->remote_port};

	snprintf(got, sizeof(got), "%s %s %u", endpoint_text(local, &l),
		 r.addr.family ? endpoint_text(remote, &r) : "-", f->proto);
	if (strcmp(got, wanted) == 0)
		return true;
	tap_diag("got:    %s", got);
	tap_diag("wanted: %s", wanted);
	return false;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	CU_ASSERT(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0);
	return cookie;
}

/* ---- what it is -------------------------------------------------------------------------------
 */

static void test_E1_datagrams(void)
{
	struct host_socket s;
	uint64_t cookie;
	int fd, only6;

	if (!begin())
		return;
	fd = open_at(SOCK_DGRAM, HERE4, 4000);
	cookie = cookie_of(fd);
	s = inspect(fd);
	CU_ASSERT(flow_is(&s.flow, HERE4 "[4000] - 17"));
	CU_ASSERT(s.here && !s.connected && !s.listening && !s.live && !s.flow.no_ports);
	CU_ASSERT(cookie && s.cookie == cookie);
	/* Connected, elsewhere, and not any more: it is the same socket with another flow. */
	connect_to(fd, "127.0.0.9", 9);
	s = inspect(fd);
	CU_ASSERT(flow_is(&s.flow, HERE4 "[4000] 127.0.0.9[9] 17") && s.connected && s.here);
	connect_to(fd, HERE4, 10);
	s = inspect(fd);
	CU_ASSERT(flow_is(&s.flow, HERE4 "[4000] " HERE4 "[10] 17") && s.cookie == cookie);
	CU_ASSERT(connect(fd, &(struct sockaddr){.sa_family = AF_UNSPEC},
			  sizeof(struct sockaddr)) == 0);
	s = inspect(fd);
	CU_ASSERT(!s.connected && s.flow.remote.family == IP_NONE && s.cookie == cookie);
	close(fd);
	/* IPv6, unset, which is IPv4 too unless it is said; and IPv4 in IPv6's clothes. */
	fd = open_at(SOCK_DGRAM, "::", 4001);
	s = inspect(fd);
	CU_ASSERT(flow_is(&s.flow, "%any[4001] - 17") && s.here && s.cookie != cookie);
	only6 = open_only6(4009);
	s = inspect(only6);
	CU_ASSERT(flow_is(&s.flow, "::[4009] - 17"));
	close(only6);
	connect_to(fd, HERE6, 7);
	s = inspect(fd);
	CU_ASSERT(flow_is(&s.flow, HERE6 "[4001] " HERE6 "[7] 17") && s.here);
	close(fd);
	fd = open_at(SOCK_DGRAM, "::", 4002);
	connect_to(fd, "::ffff:10.1.0.1", 7);
	s = inspect(fd);
	CU_ASSERT(flow_is(&s.flow, HERE4 "[4002] " HERE4 "[7] 17") && s.here);
	close(fd);
	end();
}

/* struct pair - both ends of a connection. */
struct pair {
	int listener, client, server;
};

static void connection(struct pair *p, const char *at)
{
	p->listener = open_at(SOCK_STREAM, at, 4000);
	CU_ASSERT(listen(p->listener, 1) == 0);
	p->client = open_at(SOCK_STREAM, at, 4001);
	connect_to(p->client, at, 4000);
	p->server = accept(p->listener, NULL, NULL);
	CU_ASSERT_FATAL(p->server >= 0);
}

static void close_pair(struct pair *p)
{
	close(p->listener);
	close(p->client);
	close(p->server);
}

static void test_E1_connections(void)
{
	struct host_socket s;
	struct pair p;

	if (!begin())
		return;
	connection(&p, HERE6);
	s = inspect(p.listener);
	CU_ASSERT(flow_is(&s.flow, HERE6 "[4000] - 6"));
	CU_ASSERT(s.listening && !s.connected && !s.live && s.here);
	s = inspect(p.server);
	CU_ASSERT(flow_is(&s.flow, HERE6 "[4000] " HERE6 "[4001] 6"));
	CU_ASSERT(!s.listening && s.connected && s.live && s.here);
	/* One direction closed, then both. */
	CU_ASSERT(shutdown(p.client, SHUT_WR) == 0);
	netns_wait(20);
	s = inspect(p.client);
	CU_ASSERT(s.live && s.connected);
	s = inspect(p.server);
	CU_ASSERT(s.live && s.connected);
	CU_ASSERT(shutdown(p.server, SHUT_WR) == 0);
	netns_wait(20);
	s = inspect(p.client);
	CU_ASSERT(!s.live);
	s = inspect(p.server);
	CU_ASSERT(!s.live);
	close_pair(&p);
	end();
}

static bool alive(const struct host_socket *s, uint64_t cookie)
{
	bool out = false;

	CU_ASSERT_EQUAL(HOST(socket_alive, &out, &s->flow, cookie), ERR_OK);
	return out;
}

/* L9: whether a socket is there still, or another one has its place. */
static void test_L9_alive(void)
{
	struct host_socket s;
	struct pair p;
	int fd;

	if (!begin())
		return;
	fd = open_at(SOCK_DGRAM, HERE4, 4000);
	connect_to(fd, HERE4, 10);
	s = inspect(fd);
	CU_ASSERT(alive(&s, s.cookie));
	CU_ASSERT(!alive(&s, s.cookie + (1u << 20)));
	close(fd);
	CU_ASSERT(!alive(&s, s.cookie));
	fd = open_at(SOCK_DGRAM, HERE4, 4000);
	connect_to(fd, HERE4, 10);
	CU_ASSERT(!alive(&s, s.cookie)); /* the same flow, of another socket */
	close(fd);
	connection(&p, HERE6);
	s = inspect(p.server);
	CU_ASSERT(alive(&s, s.cookie));
	s = inspect(p.client);
	CU_ASSERT(alive(&s, s.cookie));
	CU_ASSERT(!alive(&s, s.cookie + (1u << 20)));
	s = inspect(p.listener);
	CU_ASSERT(alive(&s, s.cookie));
	close_pair(&p);
	CU_ASSERT(!alive(&s, s.cookie));
	/* What the kernel does not find by its ends: bound to a device, or not connected yet. */
	fd = open_at(SOCK_DGRAM, HERE4, 4000);
	CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0);
	connect_to(fd, HERE4, 10);
	s = inspect(fd);
	CU_ASSERT(alive(&s, s.cookie));
	CU_ASSERT(!alive(&s, s.cookie + (1u << 20)));
	close(fd);
	CU_ASSERT(!alive(&s, s.cookie));
	fd = open_at(SOCK_STREAM, HERE4, 4005);
	s = inspect(fd);
	s.flow.remote = s.flow.local;
	s.flow.remote_port = 10; /* as it was named for a connection that is to come */
	CU_ASSERT(alive(&s, s.cookie));
	close(fd);
	CU_ASSERT(!alive(&s, s.cookie));
	end();
}

static void refused(int fd)
{
	struct host_socket s;

	CU_ASSERT_EQUAL(HOST(socket_inspect, &s, fd, NULL), ERR_INVAL);
	CU_ASSERT_EQUAL(HOST(socket_mark, fd, 1), ERR_INVAL);
	close(fd);
}

/* What is no flow of one socket's own is none: a raw socket that says UDP is not that. */
static void test_E1_no_flow(void)
{
	struct host_socket s;
	int pair[2], fd;

	if (!begin())
		return;
	CU_ASSERT(pipe(pair) == 0);
	refused(pair[0]);
	refused(pair[1]);
	CU_ASSERT(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	refused(pair[0]);
	refused(pair[1]);
	refused(-1);
	refused(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
	refused(socket(AF_INET6, SOCK_RAW, IPPROTO_TCP));
	refused(socket(AF_PACKET, SOCK_DGRAM, 0));
	/* A raw one of another protocol has no ports, though its address has a number there. */
	fd = socket(AF_INET, SOCK_RAW, 253);
	s = inspect(fd);
	CU_ASSERT(s.flow.proto == 253 && s.flow.no_ports && !s.flow.local_port && s.here);
	close(fd);
	end();
}

/* ---- of several pairs -------------------------------------------------------------------------
 */

#define ALSO4 "10.1.0.2"

static int open_mptcp(const char *local, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage ss = place(local, port, &len);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP), on = 1;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	CU_ASSERT(bind(fd, (struct sockaddr *)&ss, len) == 0);
	return fd;
}

/* several - a connection of MPTCP between two addresses of this host, the server's other one is
 * announced: the kernel adds a pair. */
static void several(struct pair *p)
{
	netns_sh("ip addr add " ALSO4
		 "/32 dev lo; ip mptcp limits set subflow 2 add_addr_accepted 2;"
		 "ip mptcp endpoint add " ALSO4 " dev lo signal");
	p->listener = open_mptcp("0.0.0.0", 4000);
	CU_ASSERT(listen(p->listener, 1) == 0);
	p->client = open_mptcp(HERE4, 4001);
}

static uint32_t pairs_in_time(struct flow out[static MPTCP_PAIRS_MAX], int fd, uint32_t wanted)
{
	uint32_t num = 0;

	for (int i = 0; i < 200 && (num = mptcp_pairs(out, fd)) < wanted; i++)
		netns_wait(10);
	return num;
}

/* kernel - 608 is Linux 6.8, from which on it tells of sockets that are bound and no more. */
static int kernel(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	CU_ASSERT_FATAL(uname(&u) == 0);
	CU_ASSERT(sscanf(u.release, "%d.%d", &major, &minor) == 2);
	return major * 100 + minor;
}

/* L11: each pair of a connection of MPTCP is a flow, and a socket, of its own. */
static void test_L11_pairs(void)
{
	struct flow at[MPTCP_PAIRS_MAX];
	struct host_socket s, first, second;
	struct pair p;
	uint64_t bound = 0;

	if (!begin())
		return;
	several(&p);
	s = inspect(p.listener);
	CU_ASSERT(flow_is(&s.flow, "0.0.0.0[4000] - 6") && s.listening && !s.connected && s.here);
	CU_ASSERT(alive(&s, s.cookie) && s.cookie != cookie_of(p.listener));
	if (kernel() >= 608) {
		s = inspect(p.client);
		CU_ASSERT(flow_is(&s.flow, HERE4 "[4001] - 6"));
		CU_ASSERT(!s.connected && !s.listening && !s.live);
		bound = s.cookie;
	}
	connect_to(p.client, HERE4, 4000);
	p.server = accept(p.listener, NULL, NULL);
	CU_ASSERT(write(p.server, "x", 1) == 1);
	CU_ASSERT_EQUAL_FATAL(pairs_in_time(at, p.client, 2), 2);
	first = inspect(p.client);
	CU_ASSERT(flow_is(&first.flow, HERE4 "[4001] " HERE4 "[4000] 6"));
	CU_ASSERT(first.connected && first.live && first.here && alive(&first, first.cookie));
	CU_ASSERT(!bound ||
		  first.cookie == bound); /* it is what was latched before it was connected */
	CU_ASSERT_EQUAL(memcmp(&first.flow, &at[0], sizeof(at[0])), 0);
	OK(HOST(socket_inspect, &second, p.client, &at[1]));
	CU_ASSERT(ip_addr_cmp(&second.flow.remote, &at[1].remote) == 0);
	CU_ASSERT(second.flow.remote.b[3] == 2 && second.live && second.cookie != first.cookie);
	CU_ASSERT(alive(&second, second.cookie) && !alive(&second, first.cookie + (1u << 20)));
	/* A pair of somebody else's, though the kernel has such a socket: the server's. */
	s = second;
	s.flow.local = second.flow.remote;
	s.flow.local_port = second.flow.remote_port;
	s.flow.remote = second.flow.local;
	s.flow.remote_port = second.flow.local_port;
	CU_ASSERT_EQUAL(HOST(socket_inspect, &s, p.client, &s.flow), ERR_NOT_FOUND);
	OK(HOST(socket_inspect, &s, p.server, &s.flow));
	CU_ASSERT(s.live && s.cookie != second.cookie);
	close_pair(&p);
	netns_wait(50);
	CU_ASSERT(!alive(&first, first.cookie) && !alive(&second, second.cookie));
	end();
}

/* What it demands each of its pairs demands, those that come later too. */
static void test_L11_demand(void)
{
	struct flow at[MPTCP_PAIRS_MAX];
	struct pair p;

	if (!begin())
		return;
	netns_sh("printf 'table ip t {\\n chain o {\\n type filter hook output priority 0\\n"
		 " meta mark & 0x1fffffff == 0x10000abc ip daddr " ALSO4
		 " tcp flags & (syn | ack) == syn counter\\n }\\n }\\n' | nft -f -");
	several(&p);
	OK(HOST(socket_mark, p.client, 0xabc));
	connect_to(p.client, HERE4, 4000);
	p.server = accept(p.listener, NULL, NULL);
	CU_ASSERT(write(p.server, "x", 1) == 1);
	CU_ASSERT_EQUAL(pairs_in_time(at, p.client, 2), 2);
	netns_sh("nft list table ip t | grep -q 'packets 1 '");
	close_pair(&p);
	end();
}

/* ---- where it is ------------------------------------------------------------------------------
 */

static void test_E1_foreign_namespace(void)
{
	struct host_socket s;
	int other, fd;

	if (!begin())
		return;
	other = netns_make();
	netns_switch(other);
	addresses();
	fd = open_at(SOCK_DGRAM, HERE4, 4000);
	connect_to(fd, HERE4, 9);
	netns_switch(ns);
	s = inspect(fd);
	CU_ASSERT(flow_is(&s.flow, HERE4 "[4000] " HERE4 "[9] 17"));
	CU_ASSERT(!s.here);
	close(fd);
	close(other);
	end();
}

static void borrowed(int domain, int level, int option, const char *address)
{
	socklen_t len;
	struct sockaddr_storage ss = place(address, 4000, &len);
	int fd = socket(domain, SOCK_DGRAM, 0), on = 1;
	struct host_socket s;

	CU_ASSERT(setsockopt(fd, level, option, &on, sizeof(on)) == 0);
	CU_ASSERT(bind(fd, (struct sockaddr *)&ss, len) == 0);
	s = inspect(fd);
	CU_ASSERT(s.flow.local_port == 4000 && !ip_addr_is_any(&s.flow.local));
	CU_ASSERT(!s.here);
	close(fd);
}

static void test_E1_borrowed_address(void)
{
	if (!begin())
		return;
	netns_sh("ip route add 203.0.113.0/24 dev lo; ip -6 route add 2001:db8::/32 dev lo");
	borrowed(AF_INET, IPPROTO_IP, IP_FREEBIND, "203.0.113.7");
	borrowed(AF_INET, IPPROTO_IP, IP_FREEBIND, "198.51.100.7");
	borrowed(AF_INET, IPPROTO_IP, IP_TRANSPARENT, "203.0.113.7");
	borrowed(AF_INET6, IPPROTO_IPV6, IPV6_FREEBIND, "2001:db8::7");
	borrowed(AF_INET6, IPPROTO_IP, IP_FREEBIND, "::ffff:203.0.113.7");
	end();
}

/* ---- its mark ---------------------------------------------------------------------------------
 */

static uint32_t mark_of(int fd)
{
	uint32_t mark = 0;
	socklen_t len = sizeof(mark);

	CU_ASSERT(getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &len) == 0);
	return mark;
}

static void test_socket_mark(void)
{
	uint32_t other = 0xe0000000;
	int fd;

	if (!begin())
		return;
	fd = open_at(SOCK_DGRAM, HERE4, 4000);
	CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_MARK, &other, sizeof(other)) == 0);
	OK(HOST(socket_mark, fd, 0x0fffffff));
	CU_ASSERT_EQUAL(mark_of(fd), 0xffffffff);
	OK(HOST(socket_mark, fd, 5));
	CU_ASSERT_EQUAL(mark_of(fd), 0xf0000005);
	CU_ASSERT_EQUAL(HOST(socket_mark, fd, 0x10000000), ERR_INVAL);
	CU_ASSERT_EQUAL(HOST(socket_mark, fd, 0x80000001), ERR_INVAL);
	CU_ASSERT_EQUAL(mark_of(fd), 0xf0000005);
	OK(HOST(socket_mark, fd, 0));
	CU_ASSERT_EQUAL(mark_of(fd), 0xe0000000);
	close(fd);
	end();
}

/* ---- its end ----------------------------------------------------------------------------------
 */

static uint64_t told[4096];
static size_t num_told;

static void note(void *arg, uint64_t cookie)
{
	(void)arg;
	if (num_told < ARRAY_LEN(told))
		told[num_told++] = cookie;
}

/* is_told - within half a second. */
static bool is_told(int events, uint64_t cookie)
{
	struct pollfd p = {.fd = events, .events = POLLIN};
	bool lost;

	do {
		OK(HOST(sockets_read, events, &lost, note, NULL));
		CU_ASSERT(!lost);
		for (size_t i = 0; i < num_told; i++)
			if (told[i] == cookie)
				return true;
	} while (poll(&p, 1, 500) == 1);
	return false;
}

/* killed - the cookie of a socket whose process was killed. */
static uint64_t killed(int type)
{
	int fds[2], fd;
	uint64_t cookie;
	pid_t pid;

	CU_ASSERT_FATAL(pipe(fds) == 0);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		fd = open_at(type, HERE6, 4500);
		cookie = cookie_of(fd);
		if (write(fds[1], &cookie, sizeof(cookie)) != sizeof(cookie))
			_exit(1);
		for (;;)
			pause();
	}
	CU_ASSERT(read(fds[0], &cookie, sizeof(cookie)) == sizeof(cookie));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	return cookie;
}

static void test_D2_closed(void)
{
	static const char *const at[] = {HERE4, HERE6};
	uint64_t cookie, server, client;
	int events, fd, other;
	struct pair p;

	if (!begin())
		return;
	num_told = 0;
	OK(HOST(sockets_open, &events));
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		fd = open_at(SOCK_DGRAM, at[i], 4000);
		cookie = cookie_of(fd);
		CU_ASSERT(!is_told(events, cookie));
		/* A copy of the descriptor keeps it. */
		other = dup(fd);
		close(fd);
		CU_ASSERT(!is_told(events, cookie));
		close(other);
		CU_ASSERT(is_told(events, cookie));
		connection(&p, at[i]);
		server = cookie_of(p.server);
		client = cookie_of(p.client);
		close_pair(&p);
		CU_ASSERT(is_told(events, server));
		CU_ASSERT(is_told(events, client));
	}
	CU_ASSERT(is_told(events, killed(SOCK_DGRAM)));
	CU_ASSERT(is_told(events, killed(SOCK_STREAM)));
	/* Another namespace's are not ours to know. */
	other = netns_make();
	netns_switch(other);
	addresses();
	fd = open_at(SOCK_DGRAM, HERE4, 4000);
	cookie = cookie_of(fd);
	close(fd);
	netns_switch(ns);
	CU_ASSERT(!is_told(events, cookie));
	close(other);
	close(events);
	end();
}

/* overrun - the kernel had no room for some. It tells of closed sockets from a queue of work of its
 * own, which may be late; that there was no room shows before anything is read. */
static bool overrun(int events)
{
	struct pollfd p = {.fd = events};

	return poll(&p, 1, 20000) == 1 && p.revents & POLLERR;
}

/* Who does not read in time is told that he missed some, once. */
static void test_D2_closed_too_many(void)
{
	bool lost = false;
	int events, small = 1, large = 1 << 20;

	if (!begin())
		return;
	OK(HOST(sockets_open, &events));
	CU_ASSERT(setsockopt(events, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
	for (int i = 0; i < 200; i++)
		close(open_at(SOCK_DGRAM, HERE4, 4000));
	CU_ASSERT_FATAL(overrun(events));
	/* For what is late there is room. */
	CU_ASSERT(setsockopt(events, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large)) == 0);
	OK(HOST(sockets_read, events, &lost, note, NULL));
	CU_ASSERT(lost);
	for (int i = 0; i < 4; i++) {
		OK(HOST(sockets_read, events, &lost, note, NULL));
		CU_ASSERT(!lost);
		netns_wait(10);
	}
	close(events);
	end();
}

/* Messages of any length and content are read within their bounds. */
static void test_sockets_parse(void)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_msg body;
	} m = {.head = {.nlmsg_len = sizeof(m), .nlmsg_type = SOCK_DIAG_BY_FAMILY}};

	m.body.id.idiag_cookie[0] = 0x11223344;
	m.body.id.idiag_cookie[1] = 0x55667788;
	num_told = 0;
	host_sockets_parse(&m, sizeof(m), note, NULL);
	CU_ASSERT(num_told == 1 && told[0] == 0x5566778811223344);
	for (size_t len = 0; len < sizeof(m); len++) {
		void *copy = malloc(len ? len : 1);

		num_told = 0;
		CU_ASSERT_FATAL(copy != NULL);
		memcpy(copy, &m, len);
		host_sockets_parse(copy, len, note, NULL);
		CU_ASSERT_EQUAL(num_told, 0);
		if (len >= sizeof(struct nlmsghdr)) {
			((struct nlmsghdr *)copy)->nlmsg_len = (uint32_t)len;
			host_sockets_parse(copy, len, note, NULL);
			CU_ASSERT_EQUAL(num_told, 0);
		}
		free(copy);
	}
	for (size_t bit = 0; bit < 8 * sizeof(m); bit++) {
		((uint8_t *)&m)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		host_sockets_parse(&m, sizeof(m), note, NULL);
		((uint8_t *)&m)[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_E1_datagrams),        TAP_TEST(test_E1_connections),
	TAP_TEST(test_E1_no_flow),          TAP_TEST(test_E1_foreign_namespace),
	TAP_TEST(test_E1_borrowed_address), TAP_TEST(test_socket_mark),
	TAP_TEST(test_D2_closed),           TAP_TEST(test_D2_closed_too_many),
	TAP_TEST(test_sockets_parse),       TAP_TEST(test_L9_alive),
	TAP_TEST(test_L11_pairs),           TAP_TEST(test_L11_demand),
};

TAP_MAIN("api/host_sockets", tests)
