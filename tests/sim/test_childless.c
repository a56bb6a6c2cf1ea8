/* SPDX-License-Identifier: Apache-2.0 */
/* IKE SAs that are made without a first child, which follows (RFC 6023). */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};
static const struct sim_wire rough = {
	.loss = 30, .repeat = 5, .reorder = 10, .jitter_ns = 20 * NS_PER_MS, .ask_ns = NS_PER_MS};

static const char *conf_text(unsigned side, const char *childless)
{
	char extra[60];

	snprintf(extra, sizeof(extra), "childless = %s", childless);
	return sim_conf_anywhere(side, extra, "esp_proposals = aes256gcm16-x25519");
}

/* struct watch - what A has sent. strip: its IKE_AUTH asks for no child, whatever it wanted. */
struct watch {
	unsigned first_children, exchanges;
	bool strip;
};

static bool watch(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static struct forge_msg m;
	struct watch *w = ctx;
	uint32_t num = 0;

	if (from != A || bytes[19] & IKE_FLAG_RESPONSE)
		return true;
	w->exchanges += bytes[18] == CREATE_CHILD_SA;
	if (bytes[18] != IKE_AUTH || !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++) {
		const uint8_t type = m.payloads[i].type;

		w->first_children += type == PAYLOAD_SA;
		if (type != PAYLOAD_SA && type != PAYLOAD_TSI && type != PAYLOAD_TSR)
			m.payloads[num++] = m.payloads[i];
	}
	m.num = num;
	if (w->strip)
		*len = forge_close(s, &m, from, bytes, 2048);
	return true;
}

static struct sim *begin(struct watch *w, const char *a, const char *b)
{
	const struct sim_options opt = {.wire = calm, .conf = {conf_text(A, a), conf_text(B, b)}};
	struct sim *s = sim_new(1, &opt);

	s->tap = watch;
	s->tap_ctx = w;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	return s;
}

static void expect_up(struct sim *s)
{
	CU_ASSERT_TRUE(sim_up(s));
	for (unsigned side = 0; side < 2; side++)
		CU_ASSERT_TRUE(sim_num_pairs(s, side) == 1 && !s->n[side].failed);
}

/* The child has a key exchange of its own, and what asked for it is answered. */
static void test_child_follows(void)
{
	static const char *const rows[][2] = {
		{"prefer", "allow"}, {"prefer", "force"}, {"force", "allow"}, {"force", "prefer"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct watch w = {0};
		struct sim *s = begin(&w, rows[i][0], rows[i][1]);

		expect_up(s);
		CU_ASSERT_TRUE(w.first_children == 0 && w.exchanges == 1);
		CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		expect_up(s);
		sim_free(s);
	}
}

static void test_with_the_first(void)
{
	static const char *const rows[][2] = {
		{"allow", "prefer"}, {"prefer", "never"}, {"never", "allow"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct watch w = {0};
		struct sim *s = begin(&w, rows[i][0], rows[i][1]);

		expect_up(s);
		CU_ASSERT_TRUE(w.first_children == 1 && w.exchanges == 0);
		sim_free(s);
	}
}

/* Who insists on what the other does not do says so. */
static void test_not_agreed(void)
{
	struct watch w = {0};
	struct sim *s = begin(&w, "force", "never");

	CU_ASSERT_TRUE(!sim_num_pairs(s, A) && !sim_num_pairs(s, B));
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_UNSUPPORTED);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "`childless = prefer`"));
	sim_free(s);
	s = begin(&w, "allow", "force"); /* the IKE SA stands */
	CU_ASSERT_TRUE(!sim_num_pairs(s, A) && !sim_num_pairs(s, B));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "NO_ADDITIONAL_SAS"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "it is to be made after it"));
	w.exchanges = 0;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s) && w.exchanges == 1);
	sim_free(s);
	w = (struct watch){.strip = true};
	s = begin(&w, "allow", "never");
	CU_ASSERT_TRUE(!sim_num_pairs(s, A) && !sim_num_pairs(s, B));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "an IKE SA without a child"));
	sim_free(s);
}

static void test_lossy(void)
{
	unsigned up = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		const struct sim_options opt = {
			.wire = rough, .conf = {conf_text(A, "prefer"), conf_text(B, "allow")}};
		struct sim *s = sim_new(seed, &opt);

		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		up += sim_run_until(s, s->now_ns + 60 * NS_PER_S, sim_up);
		sim_free(s);
	}
	CU_ASSERT_TRUE(up >= 299);
}

static void test_fail_every_allocation(void)
{
	uint64_t total = 0;

	for (uint64_t nth = 0; nth <= total; nth++) {
		const struct sim_options opt = {
			.wire = calm, .conf = {conf_text(A, "force"), conf_text(B, "allow")}};
		struct sim *s = sim_new(1, &opt);
		uint64_t before = alloc_count();

		alloc_fail_nth(nth);
		(void)!sim_initiate(s, A, "tun");
		sim_run(s, s->now_ns + NS_PER_S / 2);
		alloc_fail_nth(0);
		if (nth == 0)
			total = alloc_count() - before;
		sim_run(s, s->now_ns + 100 * NS_PER_S);
		CU_ASSERT_EQUAL(sim_num_pairs(s, A), sim_num_pairs(s, B));
		(void)!sim_terminate(s, A, NULL);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_TRUE(sim_clean(s, A));
		sim_free(s);
	}
	CU_ASSERT_TRUE(total > 30);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_child_follows),
	TAP_TEST(test_with_the_first),
	TAP_TEST(test_not_agreed),
	TAP_TEST(test_lossy),
	TAP_TEST(test_fail_every_allocation),
};
TAP_MAIN("sim_childless", tests)
