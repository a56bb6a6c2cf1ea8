/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of transport mode that the host loses while pairs use them: the host is a fake one. */
#include "api/engine/internal.h"
#include "tests/fake_host.h"
#include "tests/tap/tap.h"

#define HELD4  "addr lk0 192.0.2.1/32"
#define ROUTE4 "route 192.0.2.2/32 dev lk0 src 192.0.2.1"
#define HELD6  "addr lk0 2001:db8::1/128"
#define ROUTE6 "route 2001:db8::2/128 dev lk0 src 2001:db8::1"

static struct fake_host host;
static struct engine e;

static struct ip_addr addr(const char *a)
{
	struct ip_addr out = {0};

	CU_ASSERT_FATAL(ip_addr_parse(&out, a) == ERR_OK);
	return out;
}

/* begin - an engine of which only this is there: a device. The host has 192.0.2.1 and 2001:db8::1.
 */
static void begin(void)
{
	fake_host_init(&host);
	e = (struct engine){.host = host.host, .has_device = true};
	memcpy(e.daemon.interface, "lk0", 4);
	list_init(&e.held);
	list_init(&e.groups);
	list_init(&e.routes);
}

static void end(void)
{
	CU_ASSERT(list_empty(&e.held));
	CU_ASSERT(list_empty(&e.routes));
	CU_ASSERT_EQUAL(host.num_lines, 0);
	fake_host_fini(&host);
}

/* have - the host's IPv4 address is this one now, and the engine hears of it. */
static void have(const char *a)
{
	host.source4 = addr(a);
	held_settle(&e);
}

static struct held *get(const char *local, const char *remote, bool routed)
{
	const struct ip_addr l = addr(local), r = addr(remote);
	struct held *h = held_get(&e, &l, &r, routed);

	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	return h;
}

/* stand - these and no other lines; NULL ends. */
static bool stand(const char *a, const char *b, const char *c, const char *d)
{
	const char *lines[] = {a, b, c, d};
	size_t num = 0;

	for (size_t i = 0; i < ARRAY_LEN(lines) && lines[i]; i++) {
		if (!fake_host_has(&host, lines[i])) {
			tap_diag("%s is missing", lines[i]);
			return false;
		}
		num++;
	}
	return host.num_lines == num;
}

/* As long as the host has it nothing is done; without it the virtual interface has it, and what is
 * for the peer goes there; and both are gone when the host has it back. */
static void test_M9_lost_and_back(void)
{
	struct held *h;

	begin();
	h = get("192.0.2.1", "192.0.2.2", true);
	CU_ASSERT_TRUE(stand(NULL, NULL, NULL, NULL));
	for (int i = 0; i < 2; i++) {
		have("198.51.100.1");
		CU_ASSERT_TRUE(stand(HELD4, ROUTE4, NULL, NULL));
		have("203.0.113.1"); /* what has nothing to do with it */
		CU_ASSERT_TRUE(stand(HELD4, ROUTE4, NULL, NULL));
		have("192.0.2.1");
		CU_ASSERT_TRUE(stand(NULL, NULL, NULL, NULL));
	}
	held_put(&e, h);
	end();
}

/* It may have been the only one. */
static void test_M9_no_address_left(void)
{
	struct held *h;

	begin();
	host.source6 = (struct ip_addr){.family = IP_NONE};
	h = get("192.0.2.1", "192.0.2.2", true);
	host.source4 = (struct ip_addr){.family = IP_NONE};
	held_settle(&e);
	CU_ASSERT_TRUE(stand(HELD4, ROUTE4, NULL, NULL));
	held_put(&e, h);
	end();
}

/* IPv6 as well; each by itself. */
static void test_M9_both_versions(void)
{
	struct held *four, *six;

	begin();
	four = get("192.0.2.1", "192.0.2.2", true);
	six = get("2001:db8::1", "2001:db8::2", true);
	host.source6 = addr("2001:db8:2::1");
	held_settle(&e);
	CU_ASSERT_TRUE(stand(HELD6, ROUTE6, NULL, NULL));
	have("198.51.100.1");
	CU_ASSERT_TRUE(stand(HELD6, ROUTE6, HELD4, ROUTE4));
	held_put(&e, six);
	CU_ASSERT_TRUE(stand(HELD4, ROUTE4, NULL, NULL));
	held_put(&e, four);
	end();
}

/* As long as a pair is left that is between these addresses: a re-keyed one comes before the old
 * one goes. */
static void test_M9_while_it_is_used(void)
{
	struct held *old, *new;

	begin();
	old = get("192.0.2.1", "192.0.2.2", true);
	have("198.51.100.1");
	new = get("192.0.2.1", "192.0.2.2", true);
	CU_ASSERT_PTR_EQUAL(old, new);
	held_put(&e, old);
	CU_ASSERT_TRUE(stand(HELD4, ROUTE4, NULL, NULL));
	held_put(&e, new);
	CU_ASSERT_TRUE(stand(NULL, NULL, NULL, NULL));
	held_put(&e, get("192.0.2.1", "192.0.2.2", true)); /* made when it was gone already */
	held_put(&e, NULL);
	end();
}

/* Two peers: the address goes with the last of them, each route with its own. */
static void test_M9_two_peers(void)
{
	struct held *one, *two;

	begin();
	one = get("192.0.2.1", "192.0.2.2", true);
	two = get("192.0.2.1", "192.0.2.9", true);
	have("198.51.100.1");
	CU_ASSERT_TRUE(stand(HELD4, ROUTE4, "route 192.0.2.9/32 dev lk0 src 192.0.2.1", NULL));
	held_put(&e, one);
	CU_ASSERT_TRUE(stand(HELD4, "route 192.0.2.9/32 dev lk0 src 192.0.2.1", NULL, NULL));
	held_put(&e, two);
	end();
}

/* What goes into an interface of a connection's own is for the operator's routes to say. */
static void test_M9_routes_of_the_operator(void)
{
	struct held *h;

	begin();
	h = get("192.0.2.1", "192.0.2.2", false);
	have("198.51.100.1");
	CU_ASSERT_TRUE(stand(HELD4, NULL, NULL, NULL));
	have("192.0.2.1");
	held_put(&e, h);
	end();
}

/* What the host refuses is tried again when something changes; whether it lost anything when its
 * addresses cannot be read nobody knows. */
static void test_M9_refused(void)
{
	struct held *h;

	begin();
	h = get("192.0.2.1", "192.0.2.2", true);
	host.source4 = addr("198.51.100.1");
	fake_host_fail(&host, "addrs", ERR_SYS, 0);
	held_settle(&e);
	CU_ASSERT_TRUE(stand(NULL, NULL, NULL, NULL));
	fake_host_fail(&host, "addr_add", ERR_SYS, 0);
	held_settle(&e);
	CU_ASSERT_TRUE(stand(NULL, NULL, NULL, NULL));
	held_settle(&e);
	CU_ASSERT_TRUE(stand(HELD4, ROUTE4, NULL, NULL));
	held_put(&e, h);
	end();
}

/* Without a device of ours there is nothing to put it on. */
static void test_M9_no_device(void)
{
	struct held *h;

	begin();
	e.has_device = false;
	h = get("192.0.2.1", "192.0.2.2", true);
	have("198.51.100.1");
	CU_ASSERT_TRUE(stand(NULL, NULL, NULL, NULL));
	held_put(&e, h);
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M9_lost_and_back), TAP_TEST(test_M9_no_address_left),
	TAP_TEST(test_M9_both_versions), TAP_TEST(test_M9_while_it_is_used),
	TAP_TEST(test_M9_two_peers),     TAP_TEST(test_M9_routes_of_the_operator),
	TAP_TEST(test_M9_refused),       TAP_TEST(test_M9_no_device),
};

TAP_MAIN("api/held", tests)
