/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protection classes at sockets of the real kernel: out of a frame into the mark of a datagram, out
 * of a socket's mark into a frame; nobody else's rules change either. A host 10.1.0.1, fd01::1 with
 * the device lk0, behind which everything else is.
 */
#include "api/host/host.h"

#include "tests/api/frames.h"
#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK(call) CU_ASSERT_EQUAL(call, ERR_OK)

static const struct family {
	const char *here, *there;
} families[] = {{"10.1.0.1", "10.2.0.9"}, {"fd01::1", "fd02::9"}};

static struct host host;
static int tap;
static struct frame frame;

#define HOST(op, ...) host.ops->op(host.ctx, __VA_ARGS__)

static int device(const char *name)
{
	struct host_tap t;
	uint32_t queues;

	CU_ASSERT_FATAL(HOST(tap_open, &t, &queues, name, 0, 1) == ERR_OK);
	OK(HOST(link_set, name, 1400, NULL));
	return t.fd;
}

static bool begin(void)
{
	if (!netns_enter())
		return false;
	CU_ASSERT_FATAL(host_linux_open(&host) == ERR_OK);
	tap = device("lk0");
	netns_sh("ip addr add 10.1.0.1/32 dev lk0; ip -6 addr add fd01::1/128 dev lk0 nodad; "
		 "ip route add 10.2.0.0/16 dev lk0; ip -6 route add fd02::/16 dev lk0");
	netns_wait_for6("fd01::1");
	return true;
}

static void end(void)
{
	close(tap);
	host.ops->close(host.ctx);
}

/* foreign - somebody else's rules, in a table of their own. */
static void foreign(const char *hook, int priority, const char *rule)
{
	netns_sh("nft add table inet other; nft 'add chain inet other c_%s { type filter hook %s "
		 "priority %d; }'; nft add rule inet other c_%s '%s'",
		 hook, hook, priority, hook, rule);
}

/* ask - a frame that the socket sent, to be answered. */
static void ask(int fd)
{
	CU_ASSERT(send(fd, "ping", 4, 0) == 4);
	CU_ASSERT_FATAL(frame_read(tap, &frame));
}

/* ---- inbound ----------------------------------------------------------------------------------
 */

/* answered - the mark with which an answer of this class arrives. */
static uint32_t answered(int fd, uint32_t token)
{
	uint32_t mark;
	size_t len = 0;

	frame_turn(&frame, token);
	frame_write(tap, &frame);
	frame_turn(&frame, token);
	CU_ASSERT(frame_recv(fd, &mark, &len));
	CU_ASSERT_EQUAL(len, 4);
	return mark;
}

static void every_token(const struct family *f)
{
	int fd = frame_udp(f->here, 5000, f->there, 4000);

	ask(fd);
	for (uint32_t bit = 0; bit < 28; bit++) {
		CU_ASSERT_EQUAL(answered(fd, 1u << bit), 1u << bit);
		CU_ASSERT_EQUAL(answered(fd, 0), 0);
	}
	CU_ASSERT_EQUAL(answered(fd, 0x0a5c3e71), 0x0a5c3e71);
	/* A frame cannot say that it was captured, or is ours. */
	CU_ASSERT_EQUAL(answered(fd, 0xffffffff), HOST_MARK_TOKEN);
	close(fd);
}

static void test_A12_every_token(void)
{
	if (!begin())
		return;
	OK(HOST(token_set, "lk0"));
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		every_token(&families[i]);
	end();
}

/* A rule of others that restores a connection's mark, or sets one, comes before ours. */
static void test_A12_others_marks(void)
{
	if (!begin())
		return;
	OK(HOST(token_set, "lk0"));
	foreign("prerouting", -150, "meta mark set 0x0badbad0 ct mark set meta mark");
	foreign("input", 2147483646, "meta mark set ct mark");
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		every_token(&families[i]);
	end();
}

/* What came by another interface has no class, whatever its mark says; the rest of it stays. */
static void test_E1_elsewhere(void)
{
	uint32_t mark, sent = 0x8a5c3e71;
	size_t len;

	if (!begin())
		return;
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const char *here = families[i].here;
		int a = frame_udp(here, 5000, here, 5001), b = frame_udp(here, 5001, NULL, 0);

		CU_ASSERT(setsockopt(a, SOL_SOCKET, SO_MARK, &sent, sizeof(sent)) == 0);
		OK(HOST(token_del, "lk0"));
		CU_ASSERT(send(a, "ping", 4, 0) == 4);
		CU_ASSERT(frame_recv(b, &mark, &len));
		CU_ASSERT_EQUAL(mark, sent);
		OK(HOST(token_set, "lk0"));
		CU_ASSERT(send(a, "ping", 4, 0) == 4);
		CU_ASSERT(frame_recv(b, &mark, &len));
		CU_ASSERT_EQUAL(mark, 0x80000000);
		close(a);
		close(b);
	}
	end();
}

/* ---- outbound ---------------------------------------------------------------------------------
 */

/* demanded - the frame's class; -1: it is the device's own address. */
static int64_t demanded(void)
{
	static const uint8_t says[] = {HOST_DEMAND_MAC};
	struct ifreq ifr = {.ifr_name = "lk0"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint32_t token;

	CU_ASSERT(ioctl(fd, SIOCGIFHWADDR, &ifr) == 0);
	close(fd);
	if (memcmp(frame.b + 6, ifr.ifr_hwaddr.sa_data, 6) == 0)
		return -1;
	CU_ASSERT(memcmp(frame.b + 6, says, sizeof(says)) == 0);
	memcpy(&token, frame.b + 8, sizeof(token));
	return token;
}

static void send_big(int fd)
{
	static const char data[1300];

	CU_ASSERT(send(fd, data, sizeof(data), 0) == (ssize_t)sizeof(data));
	CU_ASSERT_FATAL(frame_read(tap, &frame));
}

static void test_D4_demand(void)
{
	if (!begin())
		return;
	OK(HOST(token_set, "lk0"));
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		int fd = frame_udp(families[i].here, 5000, families[i].there, 4000);
		uint32_t mark = 0x60000000;

		ask(fd);
		CU_ASSERT_EQUAL(demanded(), -1);
		CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0);
		OK(HOST(socket_mark, fd, 0x0a5c3e71));
		ask(fd);
		CU_ASSERT_EQUAL(demanded(), 0x0a5c3e71);
		send_big(fd);
		CU_ASSERT_EQUAL(demanded(), 0x0a5c3e71);
		/* The rest of its mark is its own, and none demands nothing. */
		OK(HOST(socket_mark, fd, 0));
		CU_ASSERT(getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &(socklen_t){sizeof(mark)}) ==
			  0);
		CU_ASSERT_EQUAL(mark, 0x60000000);
		ask(fd);
		CU_ASSERT_EQUAL(demanded(), -1);
		/* Marks of others' are no demands. */
		mark = 0x0a5c3e71;
		CU_ASSERT(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0);
		ask(fd);
		CU_ASSERT_EQUAL(demanded(), -1);
		close(fd);
	}
	end();
}

/* What others do to the mark of a packet does not change what its socket demands. */
static void test_D4_others_marks(void)
{
	if (!begin())
		return;
	OK(HOST(token_set, "lk0"));
	foreign("output", -150, "meta mark set 0x10000017");
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		int fd = frame_udp(families[i].here, 5000, families[i].there, 4000);

		OK(HOST(socket_mark, fd, 0x0a5c3e71));
		ask(fd);
		CU_ASSERT_EQUAL(demanded(), 0x0a5c3e71);
		close(fd);
	}
	end();
}

/* What a socket demands does not leave by another interface: it is captured, whatever others do to
 * its mark, or, where there is no way, dropped. Its own host is none. */
static void test_D4_elsewhere(void)
{
	uint32_t mark;
	size_t len;
	int wire;

	if (!begin())
		return;
	wire = device("wire");
	netns_sh("ip route add 10.3.0.0/16 dev wire; ip -6 route add fd03::/16 dev wire");
	OK(HOST(rules_set, "lk0"));
	OK(HOST(token_set, "lk0"));
	foreign("output", -150, "meta mark set 0x10000017");
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		int fd = frame_udp(families[i].here, 5000, i ? "fd03::9" : "10.3.0.9", 4000);
		int other = frame_udp(families[i].here, 5001, families[i].here, 5002);
		int inside = frame_udp(families[i].here, 5002, NULL, 0);

		CU_ASSERT(send(fd, "ping", 4, 0) == 4);
		CU_ASSERT(frame_read(wire, &frame) && frame_none(tap));
		OK(HOST(socket_mark, fd, 0x0a5c3e71));
		ask(fd);
		CU_ASSERT_EQUAL(demanded(), 0x0a5c3e71);
		CU_ASSERT(frame_none(wire));
		OK(host.ops->rules_del(host.ctx));
		(void)send(fd, "ping", 4, 0);
		CU_ASSERT(frame_none(wire) && frame_none(tap));
		OK(HOST(rules_set, "lk0"));
		OK(HOST(socket_mark, other, 0x0a5c3e71));
		CU_ASSERT(send(other, "ping", 4, 0) == 4);
		CU_ASSERT(frame_recv(inside, &mark, &len) && (mark & HOST_MARK_TOKEN) == 0);
		close(fd);
		close(other);
		close(inside);
	}
	close(wire);
	end();
}

static void test_D4_tcp(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	int fd;

	if (!begin())
		return;
	OK(HOST(token_set, "lk0"));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	memcpy(&to.sin_addr, "\x0a\x02\x00\x09", 4);
	OK(HOST(socket_mark, fd, 0x0a5c3e71));
	CU_ASSERT(connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno == EINPROGRESS);
	CU_ASSERT_FATAL(frame_read(tap, &frame));
	CU_ASSERT_EQUAL(demanded(), 0x0a5c3e71);
	close(fd);
	end();
}

/* ---- what stands ------------------------------------------------------------------------------
 */

static bool stands(const char *what)
{
	return strstr(netns_read("nft list tables"), what) != NULL;
}

/* It outlives whoever set it, can be set again, is one for all devices, and goes with the last. */
static void test_token_tables(void)
{
	int other;

	if (!begin())
		return;
	OK(HOST(token_del, "lk0"));
	OK(HOST(token_set, "lk0"));
	OK(HOST(token_set, "lk0"));
	other = device("lk1");
	OK(HOST(token_set, "lk1"));
	host.ops->close(host.ctx);
	CU_ASSERT_FATAL(host_linux_open(&host) == ERR_OK);
	every_token(&families[0]);
	OK(HOST(token_del, "lk1"));
	OK(HOST(token_del, "lk1"));
	every_token(&families[1]);
	CU_ASSERT(strstr(netns_read("nft list ruleset"), "lk1") == NULL);
	/* A device that went took its chain along, or left it. */
	OK(HOST(token_set, "lk1"));
	close(other);
	OK(HOST(link_del, "lk1"));
	OK(HOST(token_del, "lk1"));
	CU_ASSERT(stands("table inet latchkey/token") && stands("table netdev latchkey/token"));
	OK(HOST(token_del, "lk0"));
	CU_ASSERT(!stands("latchkey"));
	CU_ASSERT_EQUAL(HOST(token_set, "lk9"), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(HOST(token_set, "a b"), ERR_INVAL);
	CU_ASSERT_EQUAL(HOST(token_del, "a b"), ERR_INVAL);
	end();
}

/* What nft prints of the tables is how it would say it, and what it prints of the one for sockets
 * it reads as well. (The other one's rule is none that its grammar has.) */
static void test_token_listing(void)
{
	if (!begin())
		return;
	OK(HOST(token_set, "lk0"));
	CU_ASSERT(strstr(netns_read("nft list table inet latchkey/token"),
			 "elements = { \"lk0\" }") != NULL);
	CU_ASSERT(strstr(netns_read("nft list table netdev latchkey/token"),
			 "@ll,64,32 set meta mark & 0x0fffffff") != NULL);
	end();
}

/* What was listed does the same when it is loaded again, if nft does not turn the bytes of a mark
 * round meanwhile, as newer ones do: what is listed looks the same, with and without that. */
static void test_token_listing_again(void)
{
	const char *turned;

	if (!begin())
		return;
	OK(HOST(token_set, "lk0"));
	turned = netns_read("(echo flush ruleset; nft list table inet latchkey/token) >rules.$$ && "
			    "nft --debug=netlink -f rules.$$ >loaded.$$ && "
			    "grep -c byteorder loaded.$$; rm -f rules.$$ loaded.$$");
	CU_ASSERT_FATAL(turned[0] != '\0'); /* it was loaded */
	if (strcmp(turned, "0") == 0)
		every_token(&families[0]);
	else
		tap_skip("this nft loads what it listed with other bytes");
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A12_every_token), TAP_TEST(test_A12_others_marks),
	TAP_TEST(test_E1_elsewhere),    TAP_TEST(test_D4_demand),
	TAP_TEST(test_D4_others_marks), TAP_TEST(test_D4_elsewhere),
	TAP_TEST(test_D4_tcp),          TAP_TEST(test_token_tables),
	TAP_TEST(test_token_listing),   TAP_TEST(test_token_listing_again),
};

TAP_MAIN("api/host_tokens", tests)
