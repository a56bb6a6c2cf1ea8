/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments put together again (RFC 7383 2.6, S2). */
#include "control/ike/reassembly.h"

#include "base/alloc.h"
#include "tests/tap/tap.h"

static struct rng_seeded rng;
static struct htab debtors;
static struct ip_addr peer;
static uint8_t out_buf[REASSEMBLY_MAX];

static void set_up(void)
{
	const uint8_t addr[4] = {192, 0, 2, 1};

	rng_seeded_init(&rng, 1);
	CU_ASSERT_EQUAL_FATAL(htab_init(&debtors, &rng.rng), ERR_OK);
	peer = ip_addr_v4(addr);
}

static void tear_down(void)
{
	CU_ASSERT_EQUAL(debtors.num, 0);
	htab_fini(&debtors);
}

static struct skf numbered(uint16_t number, uint16_t total)
{
	return (struct skf){
		.number = number, .total = total, .first = number == 1 ? PAYLOAD_SA : 0};
}

/* Fragment `number`, whose text is its number len times. */
static enum err add(struct reassembly **r, uint16_t number, uint16_t total, size_t len)
{
	static uint8_t text[REASSEMBLY_MAX];
	const struct skf f = numbered(number, total);

	memset(text, number, len);
	return reassembly_add(&debtors, r, &peer, &f, bytes_of(text, len));
}

static bool wants(const struct reassembly *r, uint16_t number, uint16_t total)
{
	const struct skf f = numbered(number, total);

	return reassembly_wants(r, &f);
}

static bool whole(const struct reassembly *r, struct bytes *text)
{
	uint8_t first = 0;

	if (!reassembly_whole(r, text, &first, out_buf))
		return false;
	CU_ASSERT_EQUAL(first, PAYLOAD_SA);
	return true;
}

/* All fragments of a message of `total` in an order: step by step away from 0. */
static uint64_t play(uint16_t total, uint16_t begin, uint16_t step)
{
	struct reassembly *r = NULL;
	uint64_t before = alloc_count();
	struct bytes text;

	for (uint16_t i = 0; i < total; i++) {
		const uint16_t number = (uint16_t)((begin + i * step) % total + 1);

		CU_ASSERT_FALSE(whole(r, &text));
		CU_ASSERT_TRUE(wants(r, number, total));
		CU_ASSERT_EQUAL(add(&r, number, total, 10), ERR_OK);
		CU_ASSERT_FALSE(wants(r, number, total)); /* not twice */
	}
	CU_ASSERT_TRUE_FATAL(whole(r, &text));
	CU_ASSERT_EQUAL(text.len, 10u * total);
	for (size_t i = 0; i < text.len; i++)
		CU_ASSERT_EQUAL(text.p[i], i / 10 + 1);
	reassembly_drop(&debtors, &r);
	return alloc_count() - before;
}

/* The worst order costs what the best one costs: a place in an array each. */
static void test_S2_any_order(void)
{
	uint64_t best;

	set_up();
	best = play(64, 0, 1);
	CU_ASSERT_EQUAL(play(64, 63, 63), best); /* backwards */
	for (uint16_t step = 3; step < 64; step += 2)
		CU_ASSERT_EQUAL(play(64, step, step), best);
	for (uint16_t total = 1; total < 64; total++)
		(void)play(total, 0, 1);
	tear_down();
}

static void test_S2_finer_cut_wins(void)
{
	struct reassembly *r = NULL;
	struct bytes text;

	set_up();
	CU_ASSERT_EQUAL(add(&r, 1, 2, 100), ERR_OK);
	CU_ASSERT_FALSE(wants(r, 1, 1)); /* coarser: late or forged */
	CU_ASSERT_TRUE(wants(r, 1, 3));
	CU_ASSERT_EQUAL(add(&r, 3, 3, 50), ERR_OK);
	CU_ASSERT_FALSE(wants(r, 2, 2));
	CU_ASSERT_TRUE(wants(r, 1, 3)); /* what the coarser cut had is forgotten */
	CU_ASSERT_EQUAL(add(&r, 1, 3, 50), ERR_OK);
	CU_ASSERT_EQUAL(add(&r, 2, 3, 50), ERR_OK);
	CU_ASSERT_TRUE_FATAL(whole(r, &text));
	CU_ASSERT_EQUAL(text.len, 150);
	reassembly_drop(&debtors, &r);
	tear_down();
}

static void test_S2_budget(void)
{
	struct reassembly *r[6] = {NULL};
	const uint8_t other[4] = {192, 0, 2, 2};

	set_up();
	CU_ASSERT_EQUAL(add(&r[0], 1, 3, REASSEMBLY_MAX - 10), ERR_OK);
	CU_ASSERT_EQUAL(add(&r[0], 2, 3, 11), ERR_LIMIT);
	CU_ASSERT_EQUAL(add(&r[0], 2, 3, 10), ERR_OK);
	CU_ASSERT_EQUAL(add(&r[0], 3, 3, 0), ERR_OK);
	for (int i = 1; i < 4; i++)
		CU_ASSERT_EQUAL(add(&r[i], 1, 2, REASSEMBLY_MAX), ERR_OK);
	CU_ASSERT_EQUAL(add(&r[4], 1, 2, 1), ERR_LIMIT); /* the peer has had its share */
	CU_ASSERT_PTR_NULL(r[4]);
	peer = ip_addr_v4(other);
	CU_ASSERT_EQUAL(add(&r[5], 1, 2, REASSEMBLY_MAX), ERR_OK);
	reassembly_drop(&debtors, &r[5]);
	peer.b[3] = 1;
	reassembly_drop(&debtors, &r[0]);
	CU_ASSERT_EQUAL(add(&r[4], 1, 2, 1), ERR_OK); /* and has it again */
	for (int i = 0; i < 6; i++)
		reassembly_drop(&debtors, &r[i]);
	tear_down();
}

/* An attacker of many addresses in one /64 is one peer. */
static void test_S2_network(void)
{
	struct reassembly *r[5] = {NULL};
	uint8_t addr[16] = {0x20, 0x01, 0x0d, 0xb8};

	set_up();
	for (int i = 0; i < 5; i++) {
		addr[15] = (uint8_t)i;
		peer = ip_addr_v6(addr);
		CU_ASSERT_EQUAL(add(&r[i], 1, 2, REASSEMBLY_MAX), i < 4 ? ERR_OK : ERR_LIMIT);
	}
	for (int i = 0; i < 5; i++)
		reassembly_drop(&debtors, &r[i]);
	tear_down();
}

static void test_short_of_memory(void)
{
	struct reassembly *r = NULL;
	uint64_t n;
	enum err e;

	set_up();
	for (n = 1;; n++) {
		alloc_fail_nth(n);
		e = add(&r, 1, 2, 10);
		alloc_fail_nth(0);
		if (!e)
			break;
		CU_ASSERT_EQUAL(e, ERR_NOMEM);
		CU_ASSERT_PTR_NULL(r);
		CU_ASSERT_EQUAL(debtors.num, 0);
	}
	CU_ASSERT_EQUAL(n, 4);
	reassembly_drop(&debtors, &r);
	tear_down();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S2_any_order), TAP_TEST(test_S2_finer_cut_wins), TAP_TEST(test_S2_budget),
	TAP_TEST(test_S2_network),   TAP_TEST(test_short_of_memory),
};

TAP_MAIN("control/reassembly", tests)
