/* SPDX-License-Identifier: Apache-2.0 */
/* Puzzles are solved beside the loop, by turns, for so long and no longer (RFC 8019). */
#include "api/engine/puzzler.h"

#include <poll.h>

#include "base/clock.h"
#include "control/conf/conf.h"
#include "control/crypto/puzzle_check.h"
#include "tests/control/hex.h"

/* PATIENCE_NS - what no machine takes for what is asked here. */
#define PATIENCE_NS (300 * NS_PER_S)

static struct rng_seeded rng;
static const uint8_t cookie[36] = {1, 2, 3};

static struct puzzle of(uint8_t bits)
{
	return (struct puzzle){PRF_HMAC_SHA2_256, bits, bytes_of(cookie, sizeof(cookie))};
}

/* The next answer, when it is there. */
static struct puzzler_answer wait_for(struct puzzler *p)
{
	struct pollfd fd = {.fd = puzzler_fd(p), .events = POLLIN};
	struct puzzler_answer a = {0};

	while (!puzzler_next(p, &a))
		CU_ASSERT_EQUAL_FATAL(poll(&fd, 1, -1), 1);
	return a;
}

static bool is_right(const struct puzzler_answer *a, uint8_t bits)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	const struct puzzle p = of(bits);
	struct bytes keys[PUZZLE_KEYS];
	bool right = a->len == PUZZLE_SOLUTION_LEN;

	for (size_t i = 0; i < PUZZLE_KEYS; i++)
		keys[i] = bytes_of(a->solution + i * PUZZLE_KEY_LEN, PUZZLE_KEY_LEN);
	right = right && puzzle_check(c, &p, keys) == ERR_OK;
	crypto_ctx_free(c);
	return right;
}

static struct puzzler *opened(void)
{
	struct puzzler *p;

	CU_ASSERT_EQUAL_FATAL(puzzler_open(&p), ERR_OK);
	return p;
}

/* An easy one does not wait for a hard one that came before. */
static void test_R8019_in_a_thread(void)
{
	struct puzzler *p = opened();
	struct puzzler_answer a;
	const struct puzzle hard = of(18), easy = of(8);

	CU_ASSERT_FALSE(puzzler_next(p, &a));
	for (int round = 0; round < 2; round++) { /* the thread has ended between them, or not */
		CU_ASSERT_EQUAL(puzzler_begin(p, 1, &hard, PATIENCE_NS), ERR_OK);
		CU_ASSERT_EQUAL(puzzler_begin(p, 2, &easy, PATIENCE_NS), ERR_OK);
		a = wait_for(p);
		CU_ASSERT_EQUAL(a.id, 2);
		CU_ASSERT_TRUE(is_right(&a, 8));
		a = wait_for(p);
		CU_ASSERT_EQUAL(a.id, 1);
		CU_ASSERT_TRUE(is_right(&a, 18));
		CU_ASSERT_FALSE(puzzler_next(p, &a));
	}
	puzzler_close(p);
}

/* What cannot be solved in time is given up, and what nobody waits for any more is, too. */
static void test_R8019_given_up(void)
{
	const struct puzzle hopeless = of(PUZZLE_BITS_MAX);
	struct puzzler *p = opened();
	struct puzzler_answer a;

	CU_ASSERT_EQUAL(puzzler_begin(p, 7, &hopeless, 0), ERR_OK);
	a = wait_for(p);
	CU_ASSERT_EQUAL(a.id, 7);
	CU_ASSERT_EQUAL(a.len, 0);
	for (uint64_t id = 1; id <= PUZZLER_MAX; id++)
		CU_ASSERT_EQUAL(puzzler_begin(p, id, &hopeless, PATIENCE_NS), ERR_OK);
	puzzler_close(p);
	puzzler_close(NULL);
}

/* However many gateways set one; and there is room again when an answer is taken. */
static void test_R8019_so_many_at_a_time(void)
{
	const struct puzzle hopeless = of(PUZZLE_BITS_MAX);
	struct puzzler *p = opened();
	uint64_t id;

	for (id = 1; id <= PUZZLER_MAX; id++)
		CU_ASSERT_EQUAL(puzzler_begin(p, id, &hopeless, 0), ERR_OK);
	CU_ASSERT_EQUAL(puzzler_begin(p, id, &hopeless, 0), ERR_LIMIT);
	(void)wait_for(p);
	CU_ASSERT_EQUAL(puzzler_begin(p, id, &hopeless, 0), ERR_OK);
	CU_ASSERT_EQUAL(puzzler_begin(p, id, &hopeless, 0), ERR_LIMIT);
	puzzler_close(p);
}

static bool is_not(void *ctx, uint64_t id)
{
	return id != *(const uint64_t *)ctx;
}

/* What nobody waits for is not worked on, has no answer, and makes room; all others go on. */
static void test_R8019_called_off(void)
{
	const struct puzzle hopeless = of(PUZZLE_BITS_MAX), easy = of(8);
	struct puzzler *p = opened();
	struct pollfd fd = {.fd = puzzler_fd(p), .events = POLLIN};
	struct puzzler_answer a;
	uint64_t off = 1;

	for (uint64_t id = 1; id <= PUZZLER_MAX; id++)
		CU_ASSERT_EQUAL(puzzler_begin(p, id, &hopeless, PATIENCE_NS), ERR_OK);
	puzzler_sift(p, is_not, &off);
	CU_ASSERT_EQUAL(puzzler_wanted(p), PUZZLER_MAX - 1);
	CU_ASSERT_EQUAL(poll(&fd, 1, 60000), 1); /* long before its time */
	CU_ASSERT_FALSE(puzzler_next(p, &a));
	CU_ASSERT_EQUAL(puzzler_begin(p, 99, &easy, PATIENCE_NS), ERR_OK);
	for (off = 2; off <= PUZZLER_MAX; off++)
		puzzler_sift(p, is_not, &off);
	CU_ASSERT_EQUAL(puzzler_wanted(p), 1);
	a = wait_for(p);
	CU_ASSERT_EQUAL(a.id, 99);
	CU_ASSERT_TRUE(is_right(&a, 8));
	CU_ASSERT_EQUAL(puzzler_wanted(p), 0);
	puzzler_close(p);
}

static void test_refused(void)
{
	const struct puzzle none = of(PUZZLE_BITS_MAX + 1);
	struct puzzler *p = opened();
	struct puzzler_answer a;

	CU_ASSERT_EQUAL(puzzler_begin(p, 1, &none, PATIENCE_NS), ERR_LIMIT);
	CU_ASSERT_FALSE(puzzler_next(p, &a));
	puzzler_close(p);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_R8019_in_a_thread),
	TAP_TEST(test_R8019_given_up),
	TAP_TEST(test_R8019_so_many_at_a_time),
	TAP_TEST(test_R8019_called_off),
	TAP_TEST(test_refused),
};

TAP_MAIN("api/puzzler", tests)
