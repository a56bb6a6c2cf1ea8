/* SPDX-License-Identifier: Apache-2.0 */
/* The replay window against a model that remembers every sequence number ever accepted. */
#include "dataplane/replay.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "tests/tap/tap.h"

#define MODEL_MAX 20000

/* struct model - all accepted numbers, relative to base; slow and plain. */
struct model {
	uint64_t base;
	uint64_t top;
	uint64_t window;
	bool seen[MODEL_MAX];
};

static bool model_check(const struct model *m, uint64_t seq)
{
	if (seq == 0 || (seq <= m->top && m->top - seq >= m->window))
		return false;
	return !m->seen[seq - m->base];
}

static void model_commit(struct model *m, uint64_t seq)
{
	m->seen[seq - m->base] = true;
	if (seq > m->top)
		m->top = seq;
}

static uint32_t draw(struct rng_seeded *rng, uint32_t below)
{
	uint32_t v = 0;

	CU_ASSERT_EQUAL_FATAL(rng_fill(&rng->rng, &v, sizeof(v)), ERR_OK);
	return v % below;
}

/* next_seq - mostly near the top, sometimes far ahead or far behind. */
static uint64_t next_seq(struct rng_seeded *rng, const struct model *m)
{
	uint32_t kind = draw(rng, 100);
	uint64_t back = draw(rng, kind < 80 ? 2 * (uint32_t)m->window : 40);
	uint64_t ahead = kind >= 98 ? draw(rng, 300) : draw(rng, 4);
	uint64_t seq = m->top + ahead;

	if (kind < 90)
		return seq - m->base > back ? seq - back : m->base;
	return seq;
}

/* compare - run both side by side; grow_to: the window is replaced by a larger one half way. */
static void compare(uint64_t seed, uint32_t window, uint32_t grow_to, uint64_t base)
{
	struct model *m = calloc(1, sizeof(*m)); /* system allocator: a test */
	struct replay *r = replay_new(window);
	struct rng_seeded rng;
	uint32_t differ = 0, accepted = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	rng_seeded_init(&rng, seed);
	m->base = base;
	m->top = r->top = base;
	m->window = r->window;
	for (int i = 0; i < 8000 && m->top - base < MODEL_MAX - 700; i++) {
		uint64_t seq = next_seq(&rng, m);
		bool want = model_check(m, seq);

		if (grow_to && i == 3000) {
			struct replay *bigger = replay_new(grow_to);
			uint64_t edge = m->top >= m->window ? m->top - m->window + 1 : 0;

			CU_ASSERT_PTR_NOT_NULL_FATAL(bigger);
			replay_copy(bigger, r);
			mem_free_aligned(r);
			r = bigger;
			for (uint64_t s = base; s < edge; s++)
				m->seen[s - base] = true; /* unknown counts as seen */
			m->window = r->window;
			want = model_check(m, seq);
		}
		differ += replay_check(r, seq) != want;
		differ += replay_commit(r, seq) != want;
		if (want) {
			model_commit(m, seq);
			accepted++;
		}
	}
	CU_ASSERT_EQUAL(differ, 0);
	CU_ASSERT(accepted > 1000);
	CU_ASSERT_EQUAL(r->top, m->top);
	mem_free_aligned(r);
	free(m);
}

static void test_S51_model(void)
{
	static const uint32_t windows[] = {1, 64, 65, 128, 1000, 4096};

	for (uint64_t seed = 0; seed < 5; seed++) {
		for (size_t i = 0; i < ARRAY_LEN(windows); i++)
			compare(seed, windows[i], 0, 0);
	}
}

static void test_model_across_2_32(void)
{
	for (uint64_t seed = 0; seed < 5; seed++)
		compare(seed, 256, 0, (1ull << 32) - 5000);
}

static void test_growth(void)
{
	for (uint64_t seed = 0; seed < 10; seed++) {
		compare(seed, 64, 128, 0);
		compare(seed, 64, 4096, 0);
		compare(seed, 128, 1024, (1ull << 32) - 3000);
	}
}

static void test_window_sizes(void)
{
	static const struct {
		uint32_t asked, given;
	} rows[] = {{1, 64}, {64, 64}, {65, 128}, {1u << 20, 1u << 20}, {UINT32_MAX, 1u << 20}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct replay *r = replay_new(rows[i].asked);

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CU_ASSERT_EQUAL(r->window, rows[i].given);
		/* The whole window works, its edges included. */
		CU_ASSERT(replay_commit(r, 2 * (uint64_t)r->window));
		CU_ASSERT(replay_commit(r, r->window + 1));
		CU_ASSERT(!replay_commit(r, r->window));
		CU_ASSERT(!replay_commit(r, r->window + 1));
		mem_free_aligned(r);
	}
}

static void test_off(void)
{
	struct replay *r = replay_new(0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT(replay_commit(r, 5000));
	CU_ASSERT(replay_commit(r, 5000));
	CU_ASSERT(replay_commit(r, 1));
	CU_ASSERT(!replay_commit(r, 0));
	CU_ASSERT_EQUAL(r->top, 5000);
	mem_free_aligned(r);
}

static void test_jump(void)
{
	struct replay *r = replay_new(64);

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (uint64_t s = 1; s <= 200; s++)
		CU_ASSERT(replay_commit(r, s));
	CU_ASSERT(replay_commit(r, UINT64_MAX - 3)); /* far beyond: everything is cleared once */
	CU_ASSERT(replay_commit(r, UINT64_MAX - 60));
	CU_ASSERT(replay_commit(r, UINT64_MAX));
	CU_ASSERT(!replay_commit(r, UINT64_MAX - 3));
	CU_ASSERT(!replay_commit(r, 200));
	mem_free_aligned(r);
}

/* extended - RFC 4303 A2.2 as written, with the subspaces of figure 9. */
static uint64_t extended(uint64_t top, uint32_t window, uint32_t seq_low)
{
	uint32_t tl = (uint32_t)top, th = (uint32_t)(top >> 32);
	uint64_t seq_high;

	if (tl >= window - 1)
		seq_high = seq_low >= tl - window + 1 ? th : (uint64_t)th + 1;
	else
		seq_high = seq_low >= (uint32_t)(tl - window + 1) ? (uint64_t)th - 1 : th;
	return seq_high > UINT32_MAX ? 0 : seq_high << 32 | seq_low;
}

static void test_S52_esn_high_half(void)
{
	static const uint64_t tops[] = {0,
					1,
					62,
					63,
					64,
					0x7fffffff,
					0xffffffc0,
					0xffffffff,
					0x100000000,
					0x100000001,
					0x10000003e,
					0x10000003f,
					0x5ffffffff,
					0xffffffff00000000,
					0xffffffffffffffff};
	struct replay *r = replay_new(64);
	uint32_t differ = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (size_t t = 0; t < ARRAY_LEN(tops); t++) {
		r->top = tops[t];
		for (int64_t d = -200; d <= 200; d++) {
			uint32_t low = (uint32_t)(tops[t] + (uint64_t)d);

			differ += replay_extend(r, low) != extended(tops[t], 64, low);
			/* What lies inside the window or just ahead is recovered exactly. */
			if (d > -64 && (d >= 0 || tops[t] >= (uint64_t)-d) &&
			    (d <= 0 || tops[t] <= UINT64_MAX - (uint64_t)d))
				CU_ASSERT_EQUAL(replay_extend(r, low), tops[t] + (uint64_t)d);
		}
	}
	CU_ASSERT_EQUAL(differ, 0);
	mem_free_aligned(r);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S51_model),
	TAP_TEST(test_model_across_2_32),
	TAP_TEST(test_growth),
	TAP_TEST(test_window_sizes),
	TAP_TEST(test_off),
	TAP_TEST(test_jump),
	TAP_TEST(test_S52_esn_high_half),
};

TAP_MAIN("dataplane/replay", tests)
