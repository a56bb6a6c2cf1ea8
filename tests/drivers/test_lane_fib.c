/* SPDX-License-Identifier: Apache-2.0 */
/* The fast lane's table of routes and neighbours: what is found in it, by each of its readers, and
 * that it follows the host's. */
#include "drivers/lane/fib.h"

#include <stdlib.h>

#include "tests/drivers/lane_stand.h"
#include "tests/tap/tap.h"

/* ---- the table ------------------------------------------------------------------------------ */

#define NUM_RANDOM 400

static bool covers(const struct fib_route *r, const struct ip_addr *a)
{
	const struct ip_prefix p = {.addr = r->dst, .len = r->len};

	return r->dst.family == a->family && ip_prefix_contains(&p, a);
}

static struct ip_addr random_addr(void)
{
	struct ip_addr a = {.family = random() & 1 ? IP_V4 : IP_V6};

	for (int i = 0; i < (a.family == IP_V4 ? 4 : 16); i++)
		a.b[i] = (uint8_t)(random() & 3);
	return a;
}

/* Against the definition: the longest prefix that covers the address. */
static void test_longest_prefix(void)
{
	static struct fib_route routes[NUM_RANDOM];
	struct fib_reader r;
	struct fib *f;
	uint32_t found = 0;

	CU_ASSERT_EQUAL_FATAL(fib_reader_init(&r), ERR_OK);
	srandom(4301);
	for (uint32_t i = 0; i < NUM_RANDOM; i++) {
		routes[i].dst = random_addr();
		routes[i].len = (uint8_t)(random() % (routes[i].dst.family == IP_V4 ? 33 : 129));
		routes[i].set = FIB_MAIN;
		routes[i].metric = (uint32_t)random() & 3;
	}
	f = fib_new(1, routes, NUM_RANDOM, NULL, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_PTR_EQUAL(fib_read(&r, f), &r);
	for (int n = 0; n < 20000; n++) {
		struct ip_addr a = random_addr();
		const struct fib_route *is = fib_route(f, FIB_MAIN, &a), *best = NULL;

		for (uint32_t i = 0; i < NUM_RANDOM; i++)
			if (covers(&routes[i], &a) &&
			    (!best || routes[i].len > best->len ||
			     (routes[i].len == best->len && routes[i].metric < best->metric)))
				best = &routes[i];
		CU_ASSERT_EQUAL_FATAL(is != NULL, best != NULL);
		CU_ASSERT_PTR_EQUAL_FATAL(fib_find(&r, a.family, a.b)->route, is);
		CU_ASSERT_PTR_EQUAL_FATAL(fib_find(&r, a.family, a.b)->route,
					  is); /* as it was kept */
		if (!is)
			continue;
		found++;
		CU_ASSERT_EQUAL_FATAL(is->len, best->len);
		CU_ASSERT_EQUAL_FATAL(is->metric, best->metric);
		CU_ASSERT_PTR_NULL(fib_route(f, FIB_PROTECT, &a));
	}
	CU_ASSERT_TRUE(found > 1000);
	fib_free(f);
	fib_reader_fini(&r);
}

/* What a worker keeps is its own, and of this table only: one that lies where another did knows
 * nothing of it. */
static void test_readers(void)
{
	const struct ip_addr a = stand_addr("10.1.2.3");
	const struct fib_route here = {.dst = a, .len = 32, .set = FIB_MAIN, .local = true};
	struct fib_reader r[2];
	struct fib *f[8];

	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(fib_reader_init(&r[i]), ERR_OK);
		CU_ASSERT_PTR_NULL(fib_read(&r[i], NULL));
	}
	for (uint64_t i = 0; i < ARRAY_LEN(f); i++) {
		f[i] = fib_new(i + 1, &here, i % 2, NULL, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f[i]);
		for (int k = 0; k < 2; k++)
			CU_ASSERT_EQUAL(fib_find(fib_read(&r[k], f[i]), IP_V4, a.b)->local, i % 2);
		fib_free(f[i]); /* the next one is likely to lie there */
	}
	for (int i = 0; i < 2; i++)
		fib_reader_fini(&r[i]);
}

/* ---- following the host --------------------------------------------------------------------- */

static void test_routes_that_change(void)
{
	const struct host_change dump_begin = {.kind = HOST_CHANGE_BEGIN};
	const struct host_change dump_end = {.kind = HOST_CHANGE_END};
	struct host_change gone = {.kind = HOST_CHANGE_ROUTE, .table = MAIN, .gone = true};
	struct lane_stats st;
	struct stand s;

	stand_begin(&s);
	stand_tell_all(&s);
	stand_tell_neigh(&s, "192.0.2.253", IF_WAN, stand_client_mac, false);
	stand_make_v4(&s, LAN, "10.2.0.9", "203.0.113.9");
	stand_tell_route(&s, MAIN, "0.0.0.0/0", IF_WAN, "192.0.2.253"); /* ip route replace */
	stand_settle(&s);
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_forwarded(&s, WAN, stand_client_mac));
	stand_tell_route(&s, MAIN, "203.0.113.0/24", IF_LAN, "10.1.0.9"); /* one that is longer */
	stand_settle(&s);
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_forwarded(&s, LAN, stand_client_mac));
	CU_ASSERT_EQUAL(ip_prefix_parse(&gone.dst, "203.0.113.0/24"), ERR_OK);
	gone.ifindex = IF_WAN; /* not that one: it went by another device */
	lane_change(s.lane, &gone);
	stand_settle(&s);
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_forwarded(&s, LAN, stand_client_mac));
	gone.ifindex = IF_LAN;
	lane_change(s.lane, &gone);
	stand_settle(&s);
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_forwarded(&s, WAN, stand_client_mac));
	/* What a dump does not name is gone. */
	lane_change(s.lane, &dump_begin);
	stand_tell_route(&s, MAIN, "10.1.0.0/24", IF_LAN, NULL);
	lane_change(s.lane, &dump_end);
	stand_settle(&s);
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_at_tap(&s));
	lane_stats(s.lane, 0, &st);
	CU_ASSERT_EQUAL(st.routes, 1);
	CU_ASSERT_EQUAL(st.neighbours, 0);
	stand_end(&s);
}

/* struct uses - what lane_used() told: how many neighbours, and the last one. */
struct uses {
	uint32_t num, ifindex;
	struct ip_addr addr;
};

static void on_used(void *arg, uint32_t ifindex, const struct ip_addr *a)
{
	struct uses *u = arg;

	u->num++;
	u->ifindex = ifindex;
	u->addr = *a;
}

static uint32_t num_used(struct stand *s)
{
	struct uses u = {0};

	lane_used(s->lane, 10, on_used, &u);
	if (u.num) {
		const struct ip_addr client = stand_addr("10.1.0.9");

		CU_ASSERT_EQUAL(u.ifindex, IF_LAN);
		CU_ASSERT_TRUE(ip_addr_equal(&u.addr, &client));
	}
	return u.num;
}

/* A neighbour not heard of for a while is sent to as before, each packet by the lane and in its
 * place, and the host is told of that once between two looks; one that is gone has none by the
 * lane.
 */
static void test_neighbour_that_ages(void)
{
	struct stand s;

	stand_begin(&s);
	CU_ASSERT_EQUAL(num_used(&s), 0); /* before there is a table */
	stand_tell_all(&s);
	stand_make_v4(&s, LAN, "10.2.0.9", "10.1.0.9");
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_forwarded(&s, LAN, stand_client_mac));
	CU_ASSERT_EQUAL(num_used(&s), 0); /* it was heard of */
	stand_tell_neigh(&s, "10.1.0.9", IF_LAN, stand_client_mac, true);
	stand_settle(&s);
	CU_ASSERT_EQUAL(num_used(&s), 0); /* nothing was sent to it */
	for (int i = 0; i < 3; i++) {
		stand_decrypted(&s);
		CU_ASSERT_TRUE(stand_forwarded(&s, LAN, stand_client_mac));
		stand_decrypted(&s);
		CU_ASSERT_TRUE(stand_forwarded(&s, LAN, stand_client_mac));
		stand_tell_neigh(&s, "10.1.0.8", IF_LAN, stand_router_mac,
				 i % 2); /* another one's affair */
		stand_settle(&s);
		CU_ASSERT_EQUAL(num_used(&s), 1);
		CU_ASSERT_EQUAL(num_used(&s), 0);
	}
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_forwarded(&s, LAN, stand_client_mac));
	stand_tell_neigh(&s, "10.1.0.9", IF_LAN, stand_router_mac, false); /* another card */
	stand_settle(&s);
	CU_ASSERT_EQUAL(num_used(&s), 0); /* it has just been heard of */
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_forwarded(&s, LAN, stand_router_mac));
	stand_tell_neigh(&s, "10.1.0.9", IF_LAN, NULL, false);
	stand_settle(&s);
	stand_decrypted(&s);
	CU_ASSERT_TRUE(stand_at_tap(&s));
	stand_end(&s);
}

/* So many at a time, and each in its turn; none while the table is behind. */
static void test_many_neighbours_that_age(void)
{
	struct uses u = {0};
	struct stand s;
	char text[20];

	stand_begin(&s);
	stand_tell_all(&s);
	for (int i = 20; i < 25; i++) {
		snprintf(text, sizeof(text), "10.1.0.%d", i);
		stand_tell_neigh(&s, text, IF_LAN, stand_client_mac, true);
	}
	stand_settle(&s);
	for (int round = 0; round < 5; round++) {
		for (int i = 20; i < 25; i++) {
			snprintf(text, sizeof(text), "10.1.0.%d", i);
			stand_make_v4(&s, LAN, "10.2.0.9", text);
			stand_decrypted(&s);
			CU_ASSERT_TRUE(stand_forwarded(&s, LAN, stand_client_mac));
		}
		if (round == 4) {
			stand_tell_neigh(&s, "10.1.0.20", IF_LAN, stand_router_mac, false);
			lane_used(s.lane, 2, on_used, &u);
			CU_ASSERT_EQUAL(u.num, 8);
			break;
		}
		lane_used(s.lane, 2, on_used, &u);
		CU_ASSERT_EQUAL(u.num, 2 * (uint32_t)(round + 1));
	}
	stand_settle(&s);
	lane_used(s.lane, 10, on_used, &u);
	CU_ASSERT_EQUAL(u.num, 8 + 4);
	lane_used(s.lane, 10, on_used, &u);
	CU_ASSERT_EQUAL(u.num, 8 + 4);
	stand_end(&s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_longest_prefix),           TAP_TEST(test_readers),
	TAP_TEST(test_routes_that_change),       TAP_TEST(test_neighbour_that_ages),
	TAP_TEST(test_many_neighbours_that_age),
};
TAP_MAIN("drivers/lane_fib", tests)
