/* SPDX-License-Identifier: Apache-2.0 */
#include "base/htab.h"

#include "base/alloc.h"

#include "tests/tap/tap.h"

struct item {
	struct htab_node node;
	uint32_t key;
	bool in;
};

static struct rng_seeded rng;

static struct bytes key_of(const uint32_t *key)
{
	return bytes_of(key, sizeof(*key));
}

static void open_table(struct htab *t)
{
	rng_seeded_init(&rng, 3);
	CU_ASSERT_EQUAL_FATAL(htab_init(t, &rng.rng), ERR_OK);
}

static void test_insert_find_remove(void)
{
	struct item a = {.key = 1}, b = {.key = 2};
	const uint32_t none = 3;
	struct htab t;

	open_table(&t);
	htab_insert(&t, &a.node, key_of(&a.key));
	htab_insert(&t, &b.node, key_of(&b.key));
	CU_ASSERT_PTR_EQUAL(htab_find(&t, key_of(&a.key)), &a.node);
	CU_ASSERT_PTR_EQUAL(htab_find(&t, key_of(&b.key)), &b.node);
	CU_ASSERT_PTR_NULL(htab_find(&t, key_of(&none)));
	htab_remove(&t, &a.node);
	CU_ASSERT_PTR_NULL(htab_find(&t, key_of(&a.key)));
	CU_ASSERT_EQUAL(t.num, 1);
	htab_fini(&t);
}

static void test_keys_of_any_length(void)
{
	static const char text[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	struct htab_node nodes[sizeof(text)];
	struct htab t;

	open_table(&t);
	for (size_t len = 0; len < sizeof(text); len++)
		htab_insert(&t, &nodes[len], bytes_of(len ? text : NULL, len));
	for (size_t len = 0; len < sizeof(text); len++)
		CU_ASSERT_PTR_EQUAL(htab_find(&t, bytes_of(text, len)), &nodes[len]);
	htab_fini(&t);
}

/* Several nodes with one key: the newest is found, also after the table has grown. */
static void test_the_newest_is_found(void)
{
	struct item twins[3] = {{.key = 9}, {.key = 9}, {.key = 9}};
	static struct item others[500];
	struct htab t;

	open_table(&t);
	for (int i = 0; i < 3; i++)
		htab_insert(&t, &twins[i].node, key_of(&twins[i].key));
	for (uint32_t i = 0; i < ARRAY_LEN(others); i++) {
		others[i].key = 1000 + i;
		htab_insert(&t, &others[i].node, key_of(&others[i].key));
	}
	for (int i = 2; i >= 0; i--) {
		CU_ASSERT_PTR_EQUAL(htab_find(&t, key_of(&twins[0].key)), &twins[i].node);
		CU_ASSERT_PTR_EQUAL(htab_next(&twins[i].node), i ? &twins[i - 1].node : NULL);
		htab_remove(&t, &twins[i].node);
	}
	CU_ASSERT_PTR_NULL(htab_find(&t, key_of(&twins[0].key)));
	htab_fini(&t);
}

static void test_random_use_against_a_model(void)
{
	static struct item items[2000];
	struct htab t;
	size_t num = 0;

	open_table(&t);
	for (uint32_t i = 0; i < ARRAY_LEN(items); i++)
		items[i] = (struct item){.key = i * 0x10000};
	for (int step = 0; step < 50000; step++) {
		uint32_t r = 0;
		struct item *it;

		CU_ASSERT_EQUAL(rng_fill(&rng.rng, &r, sizeof(r)), ERR_OK);
		it = &items[r % ARRAY_LEN(items)];
		if (it->in)
			htab_remove(&t, &it->node);
		else
			htab_insert(&t, &it->node, key_of(&it->key));
		it->in = !it->in;
		num += it->in ? 1 : -1;
		it = &items[(r >> 12) % ARRAY_LEN(items)];
		CU_ASSERT(htab_find(&t, key_of(&it->key)) == (it->in ? &it->node : NULL));
	}
	CU_ASSERT_EQUAL(t.num, num);
	CU_ASSERT(t.num_buckets >= t.num);
	htab_fini(&t);
}

/* Keys that differ in few bits spread: no chain is long, whatever the key of the table. */
static void test_chains_are_short(void)
{
	static struct item items[4096];
	struct htab t;
	size_t longest = 0;

	open_table(&t);
	for (uint32_t i = 0; i < ARRAY_LEN(items); i++) {
		items[i].key = i << 20;
		htab_insert(&t, &items[i].node, key_of(&items[i].key));
	}
	for (size_t i = 0; i < t.num_buckets; i++) {
		size_t len = 0;

		for (const struct htab_node *n = t.buckets[i]; n; n = n->next)
			len++;
		longest = len > longest ? len : longest;
	}
	CU_ASSERT(longest <= 12);
	htab_fini(&t);
}

/* Equal hashes are not equal keys: here made by changing the key behind the table's back. */
static void test_keys_are_compared_not_hashes(void)
{
	struct item a = {.key = 1};
	const uint32_t asked = 1;
	struct htab t;

	open_table(&t);
	htab_insert(&t, &a.node, key_of(&a.key));
	CU_ASSERT_PTR_EQUAL(htab_find(&t, key_of(&asked)), &a.node);
	a.key = 2;
	CU_ASSERT_PTR_NULL(htab_find(&t, key_of(&asked)));
	htab_fini(&t);
}

static void test_tables_have_different_keys(void)
{
	struct htab a, b;

	rng_seeded_init(&rng, 1);
	CU_ASSERT_EQUAL(htab_init(&a, &rng.rng), ERR_OK);
	CU_ASSERT_EQUAL(htab_init(&b, &rng.rng), ERR_OK);
	CU_ASSERT(memcmp(a.sip_key, b.sip_key, sizeof(a.sip_key)) != 0);
	htab_fini(&a);
	htab_fini(&b);
}

static void test_shortage_of_memory(void)
{
	static struct item items[100];
	struct htab t = {.num = 77};

	rng_seeded_init(&rng, 1);
	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(htab_init(&t, &rng.rng), ERR_NOMEM);
	CU_ASSERT_EQUAL(t.num, 77);
	open_table(&t);
	for (uint32_t i = 0; i < ARRAY_LEN(items); i++) {
		items[i].key = i;
		alloc_fail_nth(1);
		htab_insert(&t, &items[i].node, key_of(&items[i].key));
	}
	alloc_fail_nth(0);
	CU_ASSERT_EQUAL(t.num_buckets, 16);
	for (uint32_t i = 0; i < ARRAY_LEN(items); i++)
		CU_ASSERT_PTR_EQUAL(htab_find(&t, key_of(&items[i].key)), &items[i].node);
	htab_fini(&t);
}

static void test_the_zero_state_holds_nothing(void)
{
	struct htab t = {0};

	CU_ASSERT_PTR_NULL(htab_find(&t, bytes_of("x", 1)));
	htab_fini(&t);
	CU_ASSERT_PTR_NULL(t.buckets);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_insert_find_remove),
	TAP_TEST(test_keys_of_any_length),
	TAP_TEST(test_the_newest_is_found),
	TAP_TEST(test_random_use_against_a_model),
	TAP_TEST(test_chains_are_short),
	TAP_TEST(test_keys_are_compared_not_hashes),
	TAP_TEST(test_tables_have_different_keys),
	TAP_TEST(test_shortage_of_memory),
	TAP_TEST(test_the_zero_state_holds_nothing),
};
TAP_MAIN("base/htab", tests)
