/* SPDX-License-Identifier: Apache-2.0 */
/* Puzzles (RFC 8019 7.1.3). The keys were found with another implementation of HMAC, in order, from
 * zero on. */
#include "control/crypto/puzzle_check.h"

#include "control/conf/conf.h"
#include "tests/control/hex.h"

static struct rng_seeded rng;

/* The cookie of the examples in RFC 8019 4.4. */
static const char cookie[] = "739ae7492d8a810cf5e8dc0f9626c9dda773c5a3";

struct solved {
	uint16_t prf;
	uint8_t bits; /* of the least of them, and no more */
	const char *keys;
};

static const struct solved solved[] = {
	{PRF_HMAC_SHA2_256, 12, "000000df 000028b7 00002ed1 0000340a"},
	{PRF_HMAC_SHA2_384, 11, "0000055c 000006be 00000aab 00001648"},
	{PRF_HMAC_SHA2_512, 10, "00000743 00000914 00000bc1 00000bf4"},
};

static enum err check(struct crypto_ctx *c, const struct solved *s, uint8_t bits)
{
	struct bytes keys[PUZZLE_KEYS];
	struct hex all, text;

	hex_read(&all, s->keys);
	hex_read(&text, cookie);
	for (size_t i = 0; i < PUZZLE_KEYS; i++)
		keys[i] = bytes_of(all.b + i * (all.len / 4), all.len / 4);
	return puzzle_check(c, &(struct puzzle){s->prf, bits, hex_view(&text)}, keys);
}

static void test_R8019_check(void)
{
	static const struct solved lengths[] = {
		{PRF_HMAC_SHA2_256, 9, "01d0 021d 0528 0664"},
		{PRF_HMAC_SHA2_256, 9, "00013a 00025e 000335 000597"},
		{PRF_HMAC_SHA2_256, 9,
		 "00000000000000000000000000000000000000000000000000000000000001b9"
		 "0000000000000000000000000000000000000000000000000000000000000461"
		 "00000000000000000000000000000000000000000000000000000000000006ce"
		 "0000000000000000000000000000000000000000000000000000000000000e87"},
	};
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(solved); i++) {
		CU_ASSERT_EQUAL(check(c, &solved[i], solved[i].bits), ERR_OK);
		CU_ASSERT_EQUAL(check(c, &solved[i], 1), ERR_OK);
		CU_ASSERT_EQUAL(check(c, &solved[i], (uint8_t)(solved[i].bits + 1)), ERR_AUTH);
		CU_ASSERT_EQUAL(check(c, &solved[i], 255), ERR_AUTH);
	}
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
		CU_ASSERT_EQUAL(check(c, &lengths[i], lengths[i].bits), ERR_OK);
	crypto_ctx_free(c);
}

/* A key that is longer than the PRF's own is none (8.2), nor is a PRF that there is not. */
static void test_R8019_refused(void)
{
	uint8_t zeros[4 * 65] = {0};
	const struct bytes text = bytes_of(zeros, 20);
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct puzzle_solver *s = NULL;
	struct bytes keys[PUZZLE_KEYS];
	static const uint16_t prfs[] = {0, 1, 2, 4, 8, 65535};

	for (size_t len = 0; len <= 65; len++) {
		for (size_t i = 0; i < PUZZLE_KEYS; i++)
			keys[i] = bytes_of(zeros, len);
		CU_ASSERT_EQUAL(
			puzzle_check(c, &(struct puzzle){PRF_HMAC_SHA2_256, 200, text}, keys),
			len >= 1 && len <= 32 ? ERR_AUTH : ERR_MALFORMED);
	}
	for (size_t i = 0; i < ARRAY_LEN(prfs); i++) {
		CU_ASSERT_EQUAL(puzzle_check(c, &(struct puzzle){prfs[i], 8, text}, keys),
				ERR_UNSUPPORTED);
		CU_ASSERT_EQUAL(puzzle_solver_new(&s, &(struct puzzle){prfs[i], 8, text}),
				ERR_UNSUPPORTED);
	}
	CU_ASSERT_EQUAL(puzzle_solver_new(&s, &(struct puzzle){5, 0, text}), ERR_LIMIT);
	CU_ASSERT_EQUAL(puzzle_solver_new(&s, &(struct puzzle){5, PUZZLE_BITS_MAX + 1, text}),
			ERR_LIMIT);
	CU_ASSERT_EQUAL(puzzle_solver_new(&s, &(struct puzzle){5, 8, bytes_of(zeros, 65)}),
			ERR_LIMIT);
	CU_ASSERT_PTR_NULL(s);
	crypto_ctx_free(c);
}

static void test_R8019_solve(void)
{
	struct hex text;

	hex_read(&text, cookie);
	for (size_t i = 0; i < ARRAY_LEN(solved); i++) {
		const struct puzzle p = {solved[i].prf, solved[i].bits, hex_view(&text)};
		struct puzzle_solver *s;
		struct bytes solution;

		CU_ASSERT_EQUAL_FATAL(puzzle_solver_new(&s, &p), ERR_OK);
		/* A slice leaves off where it is. */
		while (!puzzle_solver_run(s, 100))
			CU_ASSERT_EQUAL(puzzle_solver_solution(s).len, 0);
		CU_ASSERT_TRUE(puzzle_solver_run(s, 100));
		solution = puzzle_solver_solution(s);
		CU_ASSERT_TRUE(hex_equal(solved[i].keys, solution.p, solution.len));
		puzzle_solver_free(s);
	}
	puzzle_solver_free(NULL);
}

/* The examples printed in RFC 8019 4.4 were not made by its own 7.1.3: not one of the keys gives
 * the value beside it. What the text says is what counts. */
static void test_R8019_printed_examples(void)
{
	static const struct solved printed[] = {
		{PRF_HMAC_SHA2_256, 18, "061840 073324 0c8a2a 0d94c8"},
		{PRF_HMAC_SHA2_256, 22, "005d9e57 010d8959 0110778d 01187e37"},
	};
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(printed); i++) {
		struct bytes same[PUZZLE_KEYS];
		struct hex keys, text;

		hex_read(&keys, printed[i].keys);
		hex_read(&text, cookie);
		for (size_t k = 0; k < PUZZLE_KEYS; k++) {
			for (size_t n = 0; n < PUZZLE_KEYS; n++)
				same[n] = bytes_of(keys.b + k * (keys.len / 4), keys.len / 4);
			CU_ASSERT_EQUAL(
				puzzle_check(c,
					     &(struct puzzle){printed[i].prf, printed[i].bits,
							      hex_view(&text)},
					     same),
				ERR_AUTH);
		}
	}
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_R8019_check),
	TAP_TEST(test_R8019_refused),
	TAP_TEST(test_R8019_solve),
	TAP_TEST(test_R8019_printed_examples),
};

TAP_MAIN("control/puzzle", tests)
