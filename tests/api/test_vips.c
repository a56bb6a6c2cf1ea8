/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that peers lend, and what stands on the host while they last: it is a fake one. */
#include "api/engine/internal.h"
#include "base/alloc.h"
#include "tests/fake_host.h"
#include "tests/tap/tap.h"

#define LENT  "addr lk0 10.3.0.7/32"
#define ROUTE "route 10.2.0.0/16 dev lk0"

static struct fake_host host;
static struct engine e;
static struct sa_group group;

static const char text[] =
	"connections {\n"
	" road { remote_addrs = 192.0.2.2\n vips = 0.0.0.0\n children { net { } }\n"
	" local { auth = psk\n } remote { auth = psk\n } }\n"
	" other { remote_addrs = 192.0.2.3\n vips = 0.0.0.0\n children { net { } }\n"
	" local { auth = psk\n } remote { auth = psk\n } }\n"
	" own { remote_addrs = 192.0.2.4\n vips = 0.0.0.0\n interface = own0\n"
	" children { net { } }\n local { auth = psk\n } remote { auth = psk\n } }\n"
	"}\n";

static struct conf *conf_of(void)
{
	struct conf_diags diags = {0};
	struct tree *tree = NULL;
	struct conf *conf = NULL;

	CU_ASSERT_FATAL(conf_parse_text(&tree, &diags, "test", text, strlen(text)) == ERR_OK);
	CU_ASSERT(conf_new(&conf, &diags, tree) == ERR_OK);
	for (uint32_t i = 0; i < diags.num; i++)
		tap_diag("%s", diags.list[i].text);
	tree_free(tree);
	CU_ASSERT_FATAL(conf != NULL);
	return conf;
}

static struct ip_addr addr(const char *a)
{
	struct ip_addr out = {0};

	CU_ASSERT_FATAL(ip_addr_parse(&out, a) == ERR_OK);
	return out;
}

/* begin - an engine of which only this is there: a device, a configuration, a group whose traffic
 * comes from 10.3.0.0/24 and has its route. */
static void begin(void)
{
	fake_host_init(&host);
	e = (struct engine){.host = host.host, .has_device = true, .conf = conf_of()};
	memcpy(e.daemon.interface, "lk0", 4);
	list_init(&e.vips);
	list_init(&e.groups);
	list_init(&e.routes);
	group = (struct sa_group){.num_local = 1, .num_remote = 1, .policy = 1};
	CU_ASSERT_FATAL(ts_parse(&group.local[0], "10.3.0.0/24") == ERR_OK);
	CU_ASSERT_FATAL(ts_parse(&group.remote[0], "10.2.0.0/16") == ERR_OK);
	list_push_back(&e.groups, &group.node);
	routes_group(&e, &group, ROUTE_WANT);
	CU_ASSERT(fake_host_has(&host, ROUTE) && host.num_lines == 1);
}

/* end - nothing is left on the host, except for what is named. */
static void end(const char *left)
{
	vips_fini(&e);
	routes_group(&e, &group, ROUTE_DROP);
	CU_ASSERT(list_empty(&e.vips));
	CU_ASSERT(left ? fake_host_has(&host, left) : true);
	CU_ASSERT_EQUAL(host.num_lines, left ? 1 : 0);
	list_remove(&group.node);
	conf_put(e.conf);
	fake_host_fini(&host);
}

static void lend(const char *conn, const char *a)
{
	const struct ip_addr got = addr(a);

	vips_add(&e, conn, &got);
}

static void take_back(const char *conn, const char *a)
{
	const struct ip_addr got = addr(a);

	vips_remove(&e, conn, &got);
}

/* lent - it is there, and the source of what is routed into the tunnel; or neither. */
static bool lent(void)
{
	const bool there = fake_host_has(&host, LENT);
	struct ip_addr src, is = addr("10.3.0.7");

	CU_ASSERT_EQUAL(fake_host_has(&host, ROUTE " src 10.3.0.7"), there);
	CU_ASSERT_EQUAL(fake_host_has(&host, ROUTE), !there);
	CU_ASSERT_EQUAL(vips_in(&e, &src, &group.local[0]), there);
	CU_ASSERT(!there || ip_addr_equal(&src, &is));
	return there;
}

static void test_comes_and_goes(void)
{
	begin();
	for (int i = 0; i < 2; i++) {
		lend("road", "10.3.0.7");
		CU_ASSERT(lent());
		take_back("road", "10.3.0.7");
		CU_ASSERT(!lent());
		take_back("road", "10.3.0.7"); /* what nobody has */
	}
	lend("road", "10.3.0.7");
	CU_ASSERT(lent());
	end(NULL); /* with the engine */
}

/* Only what a group's selectors let its traffic come from is the source of its routes. */
static void test_source_is_within_the_selectors(void)
{
	begin();
	lend("road", "10.4.0.7");
	lend("road", "fd00:3::7");
	CU_ASSERT(fake_host_has(&host, "addr lk0 10.4.0.7/32"));
	CU_ASSERT(fake_host_has(&host, "addr lk0 fd00:3::7/128"));
	CU_ASSERT(fake_host_has(&host, ROUTE));
	lend("road", "10.3.0.7");
	CU_ASSERT(lent());
	end(NULL);
}

/* The IKE SA that replaces one, by a new authentication too, has the same address: it never goes
 * in between, and with the last one it does. */
static void test_goes_over(void)
{
	begin();
	lend("road", "10.3.0.7");
	for (int i = 0; i < 3; i++) {
		const size_t calls = host.num_calls;

		lend("road", "10.3.0.7");
		take_back("road", "10.3.0.7");
		CU_ASSERT_EQUAL(host.num_calls, calls);
		CU_ASSERT(lent());
	}
	take_back("road", "10.3.0.7");
	CU_ASSERT(!lent());
	end(NULL);
}

/* The same address from two peers stays until neither lends it, whichever is first to go. */
static void test_two_peers(void)
{
	for (int i = 0; i < 2; i++) {
		begin();
		lend("road", "10.3.0.7");
		host.local = addr("10.3.0.7"); /* as the host says from now on */
		lend("other", "10.3.0.7");
		CU_ASSERT_EQUAL(fake_host_count(&host, "addr"), 1);
		take_back(i ? "road" : "other", "10.3.0.7");
		CU_ASSERT(lent());
		host.local.family = IP_NONE;
		take_back(i ? "other" : "road", "10.3.0.7");
		CU_ASSERT(!lent());
		end(NULL);
	}
}

/* What the host has already is not put on, and not taken from it when the peer wants it back. */
static void test_S57_what_the_host_has_stays(void)
{
	const struct ip_prefix own = {.addr = addr("10.3.0.7"), .len = 32};

	begin();
	CU_ASSERT(e.host.ops->addr_add(e.host.ctx, "lk0", &own) == ERR_OK);
	host.local = own.addr;
	lend("road", "10.3.0.7");
	CU_ASSERT(lent());
	take_back("road", "10.3.0.7");
	CU_ASSERT(fake_host_has(&host, LENT));
	lend("road", "10.3.0.7");
	end(LENT);
}

/* A connection with an interface of its own has its addresses there. */
static void test_interface_of_its_own(void)
{
	begin();
	lend("own", "10.3.0.9");
	CU_ASSERT(fake_host_has(&host, "addr own0 10.3.0.9/32"));
	CU_ASSERT_EQUAL(fake_host_count(&host, "addr"), 1);
	e.conf->conns[2]->interface[0] = '\0'; /* a new configuration: it is still where it was */
	take_back("own", "10.3.0.9");
	CU_ASSERT_EQUAL(fake_host_count(&host, "addr"), 0);
	end(NULL);
}

/* An address that the host refuses is the source of nothing; it is taken off as little as on, and
 * lent again it is tried again. */
static void test_S33_refused_by_the_host(void)
{
	begin();
	fake_host_fail(&host, "addr_add", ERR_SYS, 0);
	lend("road", "10.3.0.7");
	CU_ASSERT(!lent());
	routes_again(&e);
	CU_ASSERT(!lent());
	fake_host_fail(&host, "addr_del", ERR_SYS, 0); /* stays set: it is not asked for */
	take_back("road", "10.3.0.7");
	CU_ASSERT(!lent());
	CU_ASSERT_PTR_NOT_NULL(host.fail_op);
	fake_host_fail(&host, NULL, ERR_OK, 0);
	lend("road", "10.3.0.7");
	CU_ASSERT(lent());
	end(NULL);
}

/* What cannot be taken off is forgotten all the same: the next loan begins anew. */
static void test_not_taken_off(void)
{
	begin();
	lend("road", "10.3.0.7");
	fake_host_fail(&host, "addr_del", ERR_SYS, 0);
	take_back("road", "10.3.0.7");
	CU_ASSERT(list_empty(&e.vips));
	CU_ASSERT(fake_host_has(&host, ROUTE)); /* nothing is sent from it any more */
	lend("road", "10.3.0.7");
	CU_ASSERT(lent());
	end(NULL);
}

/* A host that says no in the middle: the address is there, and the route when it is set again. */
static void test_route_refused(void)
{
	begin();
	fake_host_fail(&host, "route_add", ERR_SYS, 0);
	lend("road", "10.3.0.7");
	CU_ASSERT(fake_host_has(&host, LENT) && fake_host_has(&host, ROUTE));
	routes_again(&e);
	CU_ASSERT(lent());
	end(NULL);
}

static void test_shortage_of_memory(void)
{
	begin();
	for (uint64_t nth = 1; nth <= 2; nth++) {
		alloc_fail_nth(nth);
		lend("road", "10.3.0.7");
		alloc_fail_nth(0);
		CU_ASSERT(!lent());
		take_back("road", "10.3.0.7"); /* as it comes with the end of its IKE SA */
		CU_ASSERT(!lent());
	}
	end(NULL);
}

/* A start that failed leaves what stands guarded as it is. */
static void test_left_on_the_host(void)
{
	begin();
	lend("road", "10.3.0.7");
	e.leave_host = true;
	vips_fini(&e);
	CU_ASSERT(fake_host_has(&host, LENT));
	e.leave_host = false;
	end(LENT);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_comes_and_goes),
	TAP_TEST(test_source_is_within_the_selectors),
	TAP_TEST(test_goes_over),
	TAP_TEST(test_two_peers),
	TAP_TEST(test_S57_what_the_host_has_stays),
	TAP_TEST(test_interface_of_its_own),
	TAP_TEST(test_S33_refused_by_the_host),
	TAP_TEST(test_not_taken_off),
	TAP_TEST(test_route_refused),
	TAP_TEST(test_shortage_of_memory),
	TAP_TEST(test_left_on_the_host),
};

TAP_MAIN("api/vips", tests)
