/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/class.h"

#include <stdio.h>

#include "base/bytes.h"
#include "tests/tap/tap.h"

static struct auth_proof_params proof(const char *local, const char *peer)
{
	struct auth_proof_params p = {.method = AUTH_METHOD_PSK};

	p.local.type = p.peer.type = 2;
	p.local.len = (uint16_t)strlen(local);
	p.peer.len = (uint16_t)strlen(peer);
	memcpy(p.local.data, local, p.local.len);
	memcpy(p.peer.data, peer, p.peer.len);
	return p;
}

#define QUALITY (CLASS_Q_PRIVACY | CLASS_Q_INTEGRITY)

static uint32_t num_forgotten, last_forgotten;

static void note(void *ctx, uint32_t handle)
{
	(void)ctx;
	num_forgotten++;
	last_forgotten = handle;
}

static uint32_t get(struct class_table *t, const char *local, const char *peer)
{
	struct auth_proof_params p = proof(local, peer);
	uint32_t handle = 0;

	CU_ASSERT_EQUAL_FATAL(class_get(t, &handle, &p, QUALITY), ERR_OK);
	return handle;
}

static struct class_table *table(void)
{
	static struct rng_seeded rng;

	rng_seeded_init(&rng, 1);
	struct class_table *t = class_table_new(&rng.rng, note, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

static void test_same_identities_share(void)
{
	struct class_table *t = table();
	uint32_t one = get(t, "a", "b");

	CU_ASSERT_NOT_EQUAL(one, 0);
	CU_ASSERT_EQUAL(one >> 28, 0);
	CU_ASSERT_EQUAL(get(t, "a", "b"), one);
	class_put(t, one);
	CU_ASSERT(class_live(t, one));
	CU_ASSERT_EQUAL(get(t, "a", "b"), one);
	class_table_free(t);
}

static void test_anything_else_differs(void)
{
	struct class_table *t = table();
	struct auth_proof_params p = proof("a", "b");
	uint32_t first = get(t, "a", "b"), other;

	CU_ASSERT_NOT_EQUAL(get(t, "b", "a"), first);
	CU_ASSERT_NOT_EQUAL(get(t, "a", "bc"), first);
	CU_ASSERT_NOT_EQUAL(get(t, "ab", ""), get(t, "a", "b"));
	p.method = AUTH_METHOD_GROUP_PSK; /* another quality */
	CU_ASSERT_EQUAL(class_get(t, &other, &p, QUALITY), ERR_OK);
	CU_ASSERT_NOT_EQUAL(other, first);
	p = proof("a", "b");
	p.peer.type = 3;
	CU_ASSERT_EQUAL(class_get(t, &other, &p, QUALITY), ERR_OK);
	CU_ASSERT_NOT_EQUAL(other, first);
	p.peer.len = 257; /* longer than an identity can be */
	CU_ASSERT_EQUAL(class_get(t, &other, &p, QUALITY), ERR_INVAL);
	class_table_free(t);
}

static void test_tells_whom_it_stands_for(void)
{
	struct class_table *t = table();
	uint32_t handle = get(t, "here", "there");
	struct class_info info;

	CU_ASSERT_EQUAL(class_info(t, &info, handle), ERR_OK);
	CU_ASSERT_EQUAL(info.method, AUTH_METHOD_PSK);
	CU_ASSERT(info.local.len == 4 && memcmp(info.local.data, "here", 4) == 0);
	CU_ASSERT(info.peer.len == 5 && memcmp(info.peer.data, "there", 5) == 0);
	CU_ASSERT_EQUAL(class_info(t, &info, 0), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(class_info(t, &info, handle + 1), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(info.quality, QUALITY);
	class_table_free(t);
}

static void test_quality_tells_apart(void)
{
	struct class_table *t = table();
	struct auth_proof_params p = proof("a", "b");
	uint32_t first = get(t, "a", "b"), other;

	CU_ASSERT_EQUAL(class_get(t, &other, &p, QUALITY | CLASS_Q_TUNNEL), ERR_OK);
	CU_ASSERT_NOT_EQUAL(other, first);
	CU_ASSERT_EQUAL(class_get(t, &other, &p, CLASS_Q_INTEGRITY), ERR_OK);
	CU_ASSERT_NOT_EQUAL(other, first);
	class_table_free(t);
}

/* What was marked in one life of a daemon names nobody in the next, but for one in 256. */
static void test_D1_another_life(void)
{
	struct rng_seeded rng;
	struct class_info info;
	uint32_t known = 0;

	rng_seeded_init(&rng, 2);
	struct class_table *before = class_table_new(&rng.rng, NULL, NULL);
	uint32_t marked = get(before, "a", "b");

	for (uint32_t i = 0; i < 64; i++) {
		struct class_table *t = class_table_new(&rng.rng, NULL, NULL);

		(void)get(t, "a", "someone else");
		known += class_info(t, &info, marked) == ERR_OK;
		class_table_free(t);
	}
	CU_ASSERT_TRUE(known <= 2);
	class_table_free(before);
}

/* A peer that was away is who it was, and what was said of it stays known meanwhile. */
static void test_D1_comes_back_as_itself(void)
{
	struct class_table *t = table();
	uint32_t first = get(t, "a", "b");
	struct class_info info;

	class_put(t, first);
	CU_ASSERT(!class_live(t, first));
	CU_ASSERT_EQUAL(class_info(t, &info, first), ERR_OK);
	CU_ASSERT_EQUAL(class_hold(t, first), ERR_OK);
	CU_ASSERT(class_live(t, first));
	class_put(t, first);
	CU_ASSERT_NOT_EQUAL(get(t, "a", "c"), first);
	CU_ASSERT_EQUAL(get(t, "a", "b"), first);
	CU_ASSERT(class_live(t, first));
	CU_ASSERT_EQUAL(class_hold(t, first + 77), ERR_NOT_FOUND);
	class_table_free(t);
}

static void test_heads_of_groups(void)
{
	struct class_table *t = table();
	uint32_t first = get(t, "a", "b");

	CU_ASSERT_PTR_NULL(class_groups(t, first));
	struct sa_group **head = class_groups_make(t, first);

	CU_ASSERT_PTR_NOT_NULL_FATAL(head);
	CU_ASSERT_PTR_NULL(*head);
	CU_ASSERT_PTR_EQUAL(class_groups(t, first), head);
	CU_ASSERT_PTR_EQUAL(class_groups_make(t, first), head);
	CU_ASSERT_PTR_NULL(class_groups(t, 1u << 19));
	class_table_free(t);
}

static void test_not_reused_soon(void)
{
	struct class_table *t = table();
	uint32_t first = get(t, "a", "b"), soonest = 0;

	num_forgotten = 0;
	class_put(t, first);
	CU_ASSERT(!class_live(t, first));
	for (uint32_t i = 1; i < 3 * CLASS_REST && !soonest; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		uint32_t h = get(t, name, "x");

		CU_ASSERT_NOT_EQUAL_FATAL(h, first);
		if ((h & 0xfffff) == (first & 0xfffff))
			soonest = i;
		CU_ASSERT(!class_live(t, first));
		class_put(t, h);
	}
	CU_ASSERT(soonest >= CLASS_REST); /* and it does come back, with another generation */
	CU_ASSERT_EQUAL(last_forgotten, first);
	CU_ASSERT_EQUAL(num_forgotten, 1);
	CU_ASSERT_EQUAL(class_info(t, &(struct class_info){0}, first), ERR_NOT_FOUND);
	class_table_free(t);
}

static void test_full(void)
{
	struct class_table *t = table();
	struct auth_proof_params p = proof("a", "");
	uint32_t h = 0, last = 0, num = 0;

	p.peer.len = 4;
	for (; num < 1u << 21; num++) {
		store_be32(p.peer.data, num);
		if (class_get(t, &h, &p, QUALITY) != ERR_OK)
			break;
		last = h;
	}
	CU_ASSERT_EQUAL(num, (1u << CLASS_INDEX_BITS) - 1);
	class_put(t,
		  last); /* one slot is free: it is used again at once, since there is no other */
	CU_ASSERT_EQUAL(class_get(t, &h, &p, QUALITY), ERR_OK);
	CU_ASSERT_NOT_EQUAL(h, last);
	CU_ASSERT_EQUAL(h & 0xfffff, last & 0xfffff);
	class_table_free(t);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_same_identities_share),
	TAP_TEST(test_anything_else_differs),
	TAP_TEST(test_tells_whom_it_stands_for),
	TAP_TEST(test_quality_tells_apart),
	TAP_TEST(test_D1_another_life),
	TAP_TEST(test_D1_comes_back_as_itself),
	TAP_TEST(test_heads_of_groups),
	TAP_TEST(test_not_reused_soon),
	TAP_TEST(test_full),
};

TAP_MAIN("dataplane/class", tests)
