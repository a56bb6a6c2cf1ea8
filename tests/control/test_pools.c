/* SPDX-License-Identifier: Apache-2.0 */
/* Who is lent which address of a pool, and who has it again. */
#include "control/ike/pools.h"

#include <string.h>

#include "base/alloc.h"
#include "control/ike/wire/proto.h"
#include "tests/tap/tap.h"

static struct rng_seeded rng;
static struct pools pools;
static const struct ip_addr any = {.family = IP_V4};

static void begin(void)
{
	rng_seeded_init(&rng, 1);
	CU_ASSERT_EQUAL_FATAL(pools_init(&pools, &rng.rng), ERR_OK);
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = {.family = 0};

	CU_ASSERT_EQUAL(ip_addr_parse(&a, text), ERR_OK);
	return a;
}

static struct conf_pool range(const char *lo, const char *hi)
{
	static char name[] = "p";

	return (struct conf_pool){.refs = 1, .name = name, .lo = addr(lo), .hi = addr(hi)};
}

/* of_conn - to the peer of a connection; many: who may be several. */
static struct lease *of_conn(const struct conf_pool *conf, const char *conn, bool many,
			     const char *who, const char *wanted)
{
	const struct ip_addr a = wanted ? addr(wanted) : any;
	struct ike_id id = {.type = ID_NULL};
	const struct pool_peer peer = {.conn = conn, .id = &id, .many = many};
	struct lease *l = NULL;

	if (who)
		CU_ASSERT_EQUAL(conf_id_parse(&id, who), ERR_OK);
	return pool_lend(&l, &pools, conf, &peer, &a) ? NULL : l;
}

static struct lease *lend_to(const struct conf_pool *conf, const char *who, const char *wanted)
{
	return of_conn(conf, "road", false, who, wanted);
}

static bool is(const struct lease *l, const char *text)
{
	const struct ip_addr a = addr(text);

	return l && ip_addr_equal(&l->addr, &a);
}

static void count(void *ctx, const struct lease *l)
{
	unsigned *num = ctx;

	num[l->refs > 0]++;
}

/* Each has its own, and again the one that it had. */
static void test_the_same_again(void)
{
	const struct conf_pool p = range("10.3.0.254", "10.3.1.9");
	struct lease *alice, *bob, *carol;
	unsigned num[2] = {0};

	begin();
	alice = lend_to(&p, "alice.example", NULL);
	bob = lend_to(&p, "bob.example", NULL);
	CU_ASSERT_TRUE(is(alice, "10.3.0.254") && is(bob, "10.3.0.255"));
	lease_put(alice);
	carol = lend_to(&p, "carol.example", NULL);
	CU_ASSERT_TRUE(is(carol, "10.3.1.0")); /* alice may come back */
	alice = lend_to(&p, "alice.example", NULL);
	CU_ASSERT_TRUE(is(alice, "10.3.0.254"));
	lease_put(carol);
	pool_each(&pools, "p", count, num);
	CU_ASSERT_TRUE(num[0] == 1 && num[1] == 2);
	pool_each(&pools, "q", count, num);
	CU_ASSERT_TRUE(num[0] == 1 && num[1] == 2);
	lease_put(alice);
	lease_put(bob);
	pools_fini(&pools);
}

/* A peer that asks for what it has, has it twice, as when it makes its connection anew; nobody else
 * does, nor who does not ask for it, nor who has no name. */
static void test_asked_for(void)
{
	const struct conf_pool p = range("10.3.0.1", "10.3.0.9");
	struct lease *l[7];

	begin();
	l[0] = lend_to(&p, "alice.example", NULL);
	l[1] = lend_to(&p, "alice.example", "10.3.0.1");
	CU_ASSERT_TRUE(l[0] == l[1] && l[0]->refs == 2);
	l[2] = lend_to(&p, "bob.example", "10.3.0.1");
	CU_ASSERT_TRUE(is(l[2], "10.3.0.2"));
	l[3] = lend_to(&p, "alice.example", NULL);
	CU_ASSERT_TRUE(is(l[3], "10.3.0.3"));
	l[4] = lend_to(&p, NULL, NULL);
	l[5] = lend_to(&p, NULL, "10.3.0.4");
	CU_ASSERT_TRUE(is(l[4], "10.3.0.4") && is(l[5], "10.3.0.5"));
	l[6] = lend_to(&p, "bob.example", "10.9.9.9"); /* not of the pool */
	CU_ASSERT_TRUE(is(l[6], "10.3.0.6"));
	for (size_t i = 0; i < ARRAY_LEN(l); i++)
		lease_put(l[i]);
	/* Of two that it had, that which it asks for. */
	l[0] = lend_to(&p, "alice.example", "10.3.0.3");
	CU_ASSERT_TRUE(is(l[0], "10.3.0.3"));
	l[1] = lend_to(&p, "alice.example", "10.3.0.3");
	CU_ASSERT_PTR_EQUAL(l[0], l[1]);
	lease_put(l[0]);
	lease_put(l[1]);
	pools_fini(&pools);
}

/* The same name in another connection is another peer, and of a key that a group has nobody shares
 * what is in use. */
static void test_S22_whose_name(void)
{
	const struct conf_pool p = range("10.3.0.1", "10.3.0.9");
	struct lease *l[4];

	begin();
	l[0] = of_conn(&p, "staff", false, "alice.example", NULL);
	l[1] = of_conn(&p, "guests", false, "alice.example", "10.3.0.1");
	CU_ASSERT_TRUE(is(l[1], "10.3.0.2"));
	l[2] = of_conn(&p, "group", true, "bob.example", NULL);
	l[3] = of_conn(&p, "group", true, "bob.example", "10.3.0.3");
	CU_ASSERT_TRUE(is(l[2], "10.3.0.3") && is(l[3], "10.3.0.4"));
	for (size_t i = 0; i < ARRAY_LEN(l); i++)
		lease_put(l[i]);
	l[0] = of_conn(&p, "guests", false, "alice.example", "10.3.0.1");
	CU_ASSERT_TRUE(is(l[0], "10.3.0.2"));
	lease_put(l[0]);
	pools_fini(&pools);
}

/* One peer does not empty a pool. */
static void test_S43_share_of_one(void)
{
	const struct conf_pool p = range("10.3.0.1", "10.3.0.40");
	struct lease *l[LEASES_EACH + 1];

	begin();
	for (unsigned i = 0; i < LEASES_EACH; i++) {
		l[i] = lend_to(&p, "alice.example", NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(l[i]);
	}
	CU_ASSERT_PTR_NULL(lend_to(&p, "alice.example", NULL));
	l[LEASES_EACH] = lend_to(&p, "alice.example", "10.3.0.3"); /* that it has */
	CU_ASSERT_PTR_EQUAL(l[LEASES_EACH], l[2]);
	lease_put(l[LEASES_EACH]);
	l[LEASES_EACH] = lend_to(&p, "bob.example", NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l[LEASES_EACH]);
	for (size_t i = 0; i < ARRAY_LEN(l); i++)
		lease_put(l[i]);
	pools_fini(&pools);
}

/* Two pools that have an address: it is lent once, also when one of them is new. */
static void test_two_pools(void)
{
	static char other[] = "q";
	const struct conf_pool p = range("10.3.0.1", "10.3.0.3");
	struct conf_pool q = range("10.3.0.2", "10.3.0.5");
	struct lease *l[4];
	unsigned num[2] = {0};

	q.name = other;
	begin();
	for (unsigned i = 0; i < 3; i++)
		l[i] = lend_to(&p, (const char *[]){"a.x", "b.x", "c.x"}[i], NULL);
	lease_put(l[2]); /* 10.3.0.3 */
	l[2] = lend_to(&q, "d.x", NULL);
	l[3] = lend_to(&q, "e.x", NULL);
	CU_ASSERT_TRUE(is(l[2], "10.3.0.3") && is(l[3], "10.3.0.4"));
	CU_ASSERT_PTR_NULL(lend_to(&p, "c.x", NULL)); /* all of it is in use */
	pool_each(&pools, "p", count, num);
	CU_ASSERT_TRUE(num[0] == 0 && num[1] == 2);
	pool_each(&pools, "q", count, num);
	CU_ASSERT_TRUE(num[0] == 0 && num[1] == 4);
	for (size_t i = 0; i < ARRAY_LEN(l); i++)
		lease_put(l[i]);
	pools_fini(&pools);
}

/* What was given back longest ago goes first, and before it what nobody can come back for. */
static void test_all_lent(void)
{
	const struct conf_pool p = range("10.3.0.1", "10.3.0.4");
	struct lease *l[4], *again;

	begin();
	l[0] = lend_to(&p, "a.example", NULL);
	l[1] = lend_to(&p, "b.example", NULL);
	l[2] = lend_to(&p, NULL, NULL);
	lease_put(l[2]);
	l[2] = lend_to(&p, "c.example", NULL);
	CU_ASSERT_TRUE(is(l[2], "10.3.0.3")); /* nobody's: before one that is new */
	l[3] = lend_to(&p, "d.example", NULL);
	CU_ASSERT_TRUE(is(l[3], "10.3.0.4"));
	CU_ASSERT_PTR_NULL(lend_to(&p, "e.example", NULL));
	lease_put(l[1]);
	lease_put(l[0]);
	again = lend_to(&p, "e.example", NULL);
	CU_ASSERT_TRUE(is(again, "10.3.0.2"));
	l[1] = lend_to(&p, "b.example", "10.3.0.2"); /* it is another's now */
	CU_ASSERT_TRUE(is(l[1], "10.3.0.1"));
	CU_ASSERT_PTR_NULL(lend_to(&p, "a.example", NULL));
	lease_put(l[1]);
	lease_put(l[2]);
	lease_put(l[3]);
	lease_put(again);
	pools_fini(&pools);
}

/* The administrator changes the addresses: what is lent stays until it is given back. */
static void test_other_addresses(void)
{
	const struct conf_pool before = range("10.3.0.1", "10.3.0.3");
	const struct conf_pool after = range("10.3.0.2", "10.3.0.5");
	struct lease *l[5];
	unsigned num[2] = {0};

	begin();
	for (unsigned i = 0; i < 3; i++)
		l[i] = lend_to(&before, (const char *[]){"a.x", "b.x", "c.x"}[i], NULL);
	lease_put(l[2]);
	l[3] = lend_to(&after, "d.x", NULL);
	CU_ASSERT_TRUE(is(l[3], "10.3.0.4")); /* b has the first, c had the second */
	l[4] = lend_to(&after, "a.x", "10.3.0.1");
	CU_ASSERT_TRUE(is(l[4], "10.3.0.5")); /* that one is none of the pool's now */
	l[2] = lend_to(&after, "c.x", NULL);
	CU_ASSERT_TRUE(is(l[2], "10.3.0.3"));
	CU_ASSERT_PTR_NULL(lend_to(&after, "e.x", NULL));
	for (size_t i = 0; i < ARRAY_LEN(l); i++)
		lease_put(l[i]);
	pool_each(&pools, "p", count, num);
	CU_ASSERT_TRUE(num[0] == 4 && num[1] == 0);
	l[0] = lend_to(&before, "z.x", NULL);
	CU_ASSERT_TRUE(is(l[0], "10.3.0.1"));
	lease_put(l[0]);
	pools_fini(&pools);
}

/* The last byte's carry, in IPv6; and as many are remembered as said, the first ones go. */
static void test_many(void)
{
	struct conf_pool p = range("10.0.0.0", "10.255.255.255");
	struct lease *l;
	unsigned num[2] = {0};
	char name[32];

	begin();
	for (unsigned i = 0; i < LEASES_KEPT + 10; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		l = lend_to(&p, name, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(l);
		lease_put(l);
	}
	pool_each(&pools, "p", count, num);
	CU_ASSERT_EQUAL(num[0], LEASES_KEPT);
	l = lend_to(&p, "n0.example", NULL);
	CU_ASSERT_TRUE(is(l, "10.1.0.10"));
	lease_put(l);
	l = lend_to(&p, "n10.example", NULL);
	CU_ASSERT_FALSE(is(l, "10.0.0.10")); /* the one before took its place among them */
	lease_put(l);
	l = lend_to(&p, "n12.example", NULL);
	CU_ASSERT_TRUE(is(l, "10.0.0.12"));
	lease_put(l);
	pools_fini(&pools);

	/* What was forgotten is lent again when all others were. */
	p = range("10.0.0.0", "10.1.0.3");
	begin();
	for (unsigned i = 0; i < LEASES_KEPT + 4; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		l = lend_to(&p, name, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(l);
		lease_put(l);
	}
	l = lend_to(&p, "another.example", NULL);
	CU_ASSERT_TRUE(is(l, "10.0.0.0")); /* not one that somebody may come back for */
	lease_put(l);
	pools_fini(&pools);
	begin();
	p = range("fd00::ffff:ffff:ffff:fffe", "fd00::1:0:0:0:9");
	for (unsigned i = 0; i < 3; i++) {
		l = lend_to(&p, (const char *[]){"a.x", "b.x", "c.x"}[i], NULL);
		CU_ASSERT_TRUE(
			is(l, (const char *[]){"fd00::ffff:ffff:ffff:fffe",
					       "fd00::ffff:ffff:ffff:ffff", "fd00::1:0:0:0:0"}[i]));
		lease_put(l);
	}
	pools_fini(&pools);
}

static void test_out_of_memory(void)
{
	const struct conf_pool p = range("10.3.0.1", "10.3.0.4");
	struct lease *l = NULL;
	uint64_t n = 0;

	do {
		begin();
		alloc_fail_nth(++n);
		l = lend_to(&p, "a.example", NULL);
		alloc_fail_nth(0);
		if (l)
			lease_put(l);
		pools_fini(&pools);
	} while (!l && n < 100);
	CU_ASSERT_TRUE(l && n > 3);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S22_whose_name),  TAP_TEST(test_S43_share_of_one),
	TAP_TEST(test_two_pools),       TAP_TEST(test_the_same_again),
	TAP_TEST(test_asked_for),       TAP_TEST(test_all_lent),
	TAP_TEST(test_other_addresses), TAP_TEST(test_many),
	TAP_TEST(test_out_of_memory),
};
TAP_MAIN("pools", tests)
