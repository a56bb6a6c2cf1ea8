/* SPDX-License-Identifier: Apache-2.0 */
/* What the mirror tells of a host's links, routes and neighbours, and a port's shadow: in a
 * namespace of the test's own. */
#include "api/host/host.h"

#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/netns.h"
#include "tests/tap/tap.h"

#define TOLD_MAX 512

/* struct stand - a host, and what its mirror has told. */
struct stand {
	struct host host;
	struct host_mirror *mirror;
	int fd;
	struct host_change told[TOLD_MAX];
	size_t num;
};

static void on_change(void *arg, const struct host_change *c)
{
	struct stand *s = arg;

	if (s->num < TOLD_MAX)
		s->told[s->num++] = *c;
}

/* hear - all that is told within a while. */
static void hear(struct stand *s)
{
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(s->host.ops->mirror_read(s->host.ctx, s->mirror, on_change, s),
				ERR_OK);
		netns_wait(10);
	}
}

static bool begin(struct stand *s)
{
	*s = (struct stand){.fd = -1};
	if (!netns_enter())
		return false;
	netns_sh("ip link add one type veth peer name two");
	netns_sh("ip link set one up && ip link set two up");
	netns_sh("ip address add 10.9.0.1/24 dev one");
	CU_ASSERT_EQUAL_FATAL(host_linux_open(&s->host), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(s->host.ops->mirror_open(s->host.ctx, &s->mirror, &s->fd), ERR_OK);
	return true;
}

static void end(struct stand *s)
{
	s->host.ops->mirror_close(s->host.ctx, s->mirror);
	s->host.ops->close(s->host.ctx);
}

/* last - the newest word about a route to dst or, kind NEIGH, about that address. */
static const struct host_change *last(const struct stand *s, enum host_change_kind kind,
				      const char *text, uint8_t len)
{
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&a, text), ERR_OK);
	for (size_t i = s->num; i-- > 0;) {
		const struct host_change *c = &s->told[i];
		bool route = kind == HOST_CHANGE_ROUTE;

		if (c->kind == kind && ip_addr_equal(route ? &c->dst.addr : &c->addr, &a) &&
		    (!route || c->dst.len == len))
			return c;
	}
	return NULL;
}

static size_t count(const struct stand *s, enum host_change_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < s->num; i++)
		n += s->told[i].kind == kind;
	return n;
}

static void test_first_all_there_is(void)
{
	const struct host_change *c;
	struct stand s;

	if (!begin(&s))
		return;
	netns_sh("ip neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev one nud permanent");
	netns_sh("ip route add 10.8.0.0/16 via 10.9.0.7 metric 5");
	netns_sh("ip route add blackhole 10.7.0.0/16");
	hear(&s);
	CU_ASSERT_TRUE(count(&s, HOST_CHANGE_BEGIN) >= 1);
	CU_ASSERT_TRUE(count(&s, HOST_CHANGE_END) >= 1);
	CU_ASSERT_TRUE(count(&s, HOST_CHANGE_LINK) >= 3); /* lo, one, two */
	c = last(&s, HOST_CHANGE_ROUTE, "10.9.0.1", 32);
	CU_ASSERT_TRUE(c && !c->gone && c->route == HOST_ROUTE_LOCAL && c->table == 255);
	c = last(&s, HOST_CHANGE_ROUTE, "10.8.0.0", 16);
	CU_ASSERT_TRUE(c && c->route == HOST_ROUTE_FORWARD && c->table == 254 && c->metric == 5);
	CU_ASSERT_TRUE(c && c->gateway.b[3] == 7 && c->ifindex);
	c = last(&s, HOST_CHANGE_ROUTE, "10.7.0.0", 16);
	CU_ASSERT_TRUE(c && c->route == HOST_ROUTE_OTHER);
	c = last(&s, HOST_CHANGE_NEIGH, "10.9.0.7", 0);
	CU_ASSERT_TRUE(c && !c->gone && !c->stale && c->mac[5] == 7);
	end(&s);
}

static void test_then_what_changes(void)
{
	const struct host_change *c;
	struct stand s;

	if (!begin(&s))
		return;
	hear(&s);
	netns_sh("ip route add 10.8.0.0/16 via 10.9.0.7");
	netns_sh("ip neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev one nud stale");
	hear(&s);
	c = last(&s, HOST_CHANGE_ROUTE, "10.8.0.0", 16);
	CU_ASSERT_TRUE(c && !c->gone && c->gateway.b[3] == 7);
	c = last(&s, HOST_CHANGE_NEIGH, "10.9.0.7", 0);
	CU_ASSERT_TRUE(c && !c->gone && c->stale);
	netns_sh("ip route change 10.8.0.0/16 via 10.9.0.8");
	netns_sh("ip neigh del 10.9.0.7 dev one");
	hear(&s);
	c = last(&s, HOST_CHANGE_ROUTE, "10.8.0.0", 16);
	CU_ASSERT_TRUE(c && !c->gone && c->gateway.b[3] == 8);
	c = last(&s, HOST_CHANGE_NEIGH, "10.9.0.7", 0);
	CU_ASSERT_TRUE(c && c->gone);
	netns_sh("ip route del 10.8.0.0/16");
	hear(&s);
	c = last(&s, HOST_CHANGE_ROUTE, "10.8.0.0", 16);
	CU_ASSERT_TRUE(c && c->gone);
	end(&s);
}

/* The kernel does not tell of the IPv4 routes that go with a link: the dump after it does not name
 * them. */
static void test_routes_that_go_with_a_link(void)
{
	struct stand s;

	if (!begin(&s))
		return;
	/* An address that goes is a reason too. */
	netns_sh("echo 1 > /proc/sys/net/ipv6/conf/one/disable_ipv6");
	hear(&s);
	CU_ASSERT_PTR_NOT_NULL(last(&s, HOST_CHANGE_ROUTE, "10.9.0.0", 24));
	s.num = 0;
	netns_sh("ip link set one down");
	hear(&s);
	CU_ASSERT_TRUE(count(&s, HOST_CHANGE_BEGIN) >= 1);
	CU_ASSERT_TRUE(count(&s, HOST_CHANGE_END) >= 1);
	CU_ASSERT_PTR_NULL(last(&s, HOST_CHANGE_ROUTE, "10.9.0.0", 24));
	end(&s);
}

/* expect_use - the neighbour's state before and after it was used. */
static void expect_use(struct stand *s, const char *text, const char *before, const char *after)
{
	const uint32_t ifindex = if_nametoindex("one");
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&a, text), ERR_OK);
	netns_sh("ip neigh show %s dev one | grep -q %s", text, before);
	CU_ASSERT_EQUAL(s->host.ops->neigh_use(s->host.ctx, ifindex, &a), ERR_OK);
	netns_sh("ip neigh show %s dev one | grep -q %s", text, after);
}

/* Nothing is sent at once: of one that is not heard of for a while the kernel waits for a word of
 * its own accord (DELAY), and then asks. */
static void test_neighbours_that_are_used(void)
{
	const struct ip_addr unknown = ip_addr_v4((const uint8_t[]){10, 9, 0, 9});
	struct stand s;

	if (!begin(&s))
		return;
	netns_sh("ip neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev one nud stale");
	netns_sh("ip neigh add fd00:9::7 lladdr 02:00:00:00:00:07 dev one nud stale");
	expect_use(&s, "10.9.0.7", "STALE", "DELAY");
	expect_use(&s, "10.9.0.7", "DELAY", "DELAY");
	expect_use(&s, "fd00:9::7", "STALE", "DELAY");
	CU_ASSERT_EQUAL(s.host.ops->neigh_use(s.host.ctx, if_nametoindex("one"), &unknown),
			ERR_NOT_FOUND);
	CU_ASSERT_STRING_EQUAL(netns_read("ip neigh show 10.9.0.9 dev one | grep -c ."), "0");
	end(&s);
}

/* What the kernel asks for by itself, or somebody else answers for, is not told of as stale: used,
 * it would not be what it was. */
static void test_neighbours_of_others(void)
{
	static const struct {
		const char *add;
		bool stale;
	} rows[] = {
		{"nud stale", true},
		{"nud stale extern_learn", false},
		{"nud reachable", false},
	};
	const struct host_change *c;
	char text[20];
	struct stand s;

	if (!begin(&s))
		return;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		netns_sh("ip neigh add 10.9.0.%zu lladdr 02:00:00:00:00:07 dev one %s", 10 + i,
			 rows[i].add);
	hear(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), "10.9.0.%zu", 10 + i);
		c = last(&s, HOST_CHANGE_NEIGH, text, 0);
		CU_ASSERT_TRUE(c && !c->gone && c->stale == rows[i].stale);
		if (!c || c->stale != rows[i].stale)
			tap_diag("%s", rows[i].add);
	}
	end(&s);
}

static const uint8_t mac[6] = {2, 0, 0, 0, 0xab, 0xcd};

/* offloads - that are wanted, and that there are. */
static uint32_t offloads;

static enum err open_shadow(struct stand *s, int *fds, uint32_t *num, uint32_t *ifindex,
			    const char *name)
{
	return s->host.ops->shadow_open(s->host.ctx, fds, num, ifindex, name, mac, 1500, &offloads);
}

/* expect_header - what comes out of the device has a header of offloads: of neighbour discovery,
 * which it sends by itself. */
static void expect_header(int fd)
{
	static const uint8_t nothing[10];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint8_t buf[2048];

	netns_sh("ping -c 1 -W 1 192.0.2.9 >/dev/null || true");
	CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 5000), 1);
	CU_ASSERT_TRUE_FATAL(read(fd, buf, sizeof(buf)) > 10 + 14);
	CU_ASSERT_EQUAL(memcmp(buf, nothing, 4), 0);
	CU_ASSERT_EQUAL(memcmp(buf + 10 + 6, "\x02\0\0\0\xab\xcd", 6), 0);
}

static void test_shadow(void)
{
	uint32_t ifindex = 0, again = 0, num = 1;
	struct stand s;
	int fds[3] = {-1, -1, -1};

	if (!begin(&s))
		return;
	CU_ASSERT_EQUAL_FATAL(s.host.ops->shadow_open(s.host.ctx, fds, &num, &ifindex, "wan", mac,
						      1400, &offloads),
			      ERR_OK);
	CU_ASSERT_TRUE(ifindex > 0);
	CU_ASSERT_STRING_EQUAL(netns_read("ip -o link show wan | grep -o 02:00:00:00:ab:cd"),
			       "02:00:00:00:ab:cd");
	CU_ASSERT_STRING_EQUAL(netns_read("ip -o link show wan | grep -o 'mtu 1400'"), "mtu 1400");
	CU_ASSERT_STRING_EQUAL(netns_read("ip -o link show wan | grep -c NOARP"), "0");
	CU_ASSERT_EQUAL(num, 1);
	/* Another process would take some of the frames. */
	CU_ASSERT_EQUAL(open_shadow(&s, fds, &num, &again, "wan"), ERR_BUSY);
	close(fds[0]);
	/* It stays, with its addresses, and is opened again, with more queues. */
	netns_sh("ip address add 192.0.2.1/24 dev wan");
	num = 3;
	CU_ASSERT_EQUAL_FATAL(open_shadow(&s, fds, &num, &again, "wan"), ERR_OK);
	CU_ASSERT_EQUAL(again, ifindex);
	CU_ASSERT_EQUAL(num, 3);
	CU_ASSERT_STRING_EQUAL(netns_read("ip -o -4 address show wan | grep -c 192.0.2.1"), "1");
	for (uint32_t i = 0; i < num; i++)
		close(fds[i]);
	CU_ASSERT_EQUAL(offloads, 0);
	/* Now it leaves to the wire what it is told to. */
	offloads = HOST_OFFLOAD_SUM | HOST_OFFLOAD_TCP4;
	num = 1;
	CU_ASSERT_EQUAL_FATAL(open_shadow(&s, fds, &num, &again, "wan"), ERR_OK);
	CU_ASSERT_EQUAL(offloads, HOST_OFFLOAD_SUM | HOST_OFFLOAD_TCP4);
	expect_header(fds[0]);
	close(fds[0]);
	offloads = 0;
	num = 3;
	/* One that somebody made with one queue has that. */
	netns_sh("ip tuntap add mode tap name lan");
	CU_ASSERT_EQUAL_FATAL(open_shadow(&s, fds, &num, &again, "lan"), ERR_OK);
	CU_ASSERT_EQUAL(num, 1);
	close(fds[0]);
	CU_ASSERT_EQUAL(open_shadow(&s, fds, &num, &again, "a/b"), ERR_INVAL);
	CU_ASSERT_NOT_EQUAL(open_shadow(&s, fds, &num, &again, "one"), ERR_OK); /* a veth */
	end(&s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_first_all_there_is),         TAP_TEST(test_then_what_changes),
	TAP_TEST(test_routes_that_go_with_a_link), TAP_TEST(test_neighbours_that_are_used),
	TAP_TEST(test_neighbours_of_others),       TAP_TEST(test_shadow),
};
TAP_MAIN("api/mirror", tests)
