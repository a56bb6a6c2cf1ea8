/* SPDX-License-Identifier: Apache-2.0 */
/* Additional key exchanges with re-keys and new Child SAs (RFC 9370 2.2.4). What crosses is in
 * test_collisions.c. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "control/ike/followup.h"
#include "control/ike/task.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

#define IKE_TWO "proposals = aes256gcm16-prfsha384-x25519-ke1_ecp256-ke4_ecp384"
#define ESP_TWO "esp_proposals = aes256gcm16-x25519-ke1_ecp384-ke2_ecp521"

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};
static const struct sim_wire rough = {
	.loss = 20, .repeat = 10, .reorder = 20, .jitter_ns = 20 * NS_PER_MS, .ask_ns = NS_PER_MS};

/* struct watch - what goes over the wire; meddle may change it. */
struct watch {
	unsigned followups[2]; /* requests by each side */
	bool (*meddle)(struct sim *s, unsigned from, uint8_t *bytes, size_t *len);
};

static bool watch(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct watch *w = ctx;

	w->followups[from] += bytes[18] == IKE_FOLLOWUP_KE && !(bytes[19] & IKE_FLAG_RESPONSE);
	return !w->meddle || w->meddle(s, from, bytes, len);
}

static struct sim *world(struct watch *w, const struct sim_wire *wire, uint64_t seed)
{
	const char *more = IKE_TWO "\n mobike = no\n encap = no";
	const struct sim_options opt = {
		.wire = *wire, .conf = {sim_conf(A, more, ESP_TWO), sim_conf(B, more, ESP_TWO)}};
	struct sim *s = sim_new(seed, &opt);

	s->tap = watch;
	s->tap_ctx = w;
	return s;
}

static struct sim *up(struct watch *w)
{
	struct sim *s = world(w, &calm, 1);

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_TRUE_FATAL(sim_run_until(s, s->now_ns + 10 * NS_PER_S, sim_up));
	sim_run(s, s->now_ns + 6 * NS_PER_S); /* each knows that the other has it */
	return s;
}

static void after(struct sim *s, uint64_t ns)
{
	char why[200];

	sim_run(s, s->now_ns + ns);
	if (!sim_same(s, why))
		tap_diag("%s / %s / %s", why, s->n[A].last_text, s->n[B].last_text);
	CU_ASSERT_TRUE(sim_same(s, why));
}

static void expect_one(struct sim *s)
{
	CU_ASSERT_TRUE(sim_up(s));
	for (unsigned side = 0; side < 2; side++)
		CU_ASSERT_TRUE(sim_num_sas(s, side) == 1 && sim_num_pairs(s, side) == 1);
}

/* By either side, the child and the IKE SA, whose names tell by what they were made. */
static void test_rekey(void)
{
	struct watch w = {0};
	struct sim *s = up(&w);

	CU_ASSERT_TRUE(!w.followups[A] && !w.followups[B]);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
		after(s, 10 * NS_PER_S);
		expect_one(s);
		CU_ASSERT_EQUAL(w.followups[side], 2);
		CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
		after(s, 10 * NS_PER_S);
		expect_one(s);
		CU_ASSERT_EQUAL(w.followups[side], 4);
		CU_ASSERT_EQUAL(s->n[side].rekeyed_ike, 1 + side);
	}
	CU_ASSERT_STRING_EQUAL(
		list_entry(s->n[A].e->sas.next, struct ike_sa, node)->proposal,
		"AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519/KE1_ECP_256/KE4_ECP_384");
	sim_free(s);
}

static void test_new_child(void)
{
	struct watch w = {0};
	struct sim *s = up(&w);

	CU_ASSERT_EQUAL(sim_terminate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_initiate(s, B, "tun"), ERR_OK);
	after(s, 10 * NS_PER_S);
	expect_one(s);
	CU_ASSERT_EQUAL(w.followups[B], 2);
	sim_free(s);
}

static void test_lossy(void)
{
	unsigned right = 0;

	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct watch w = {0};
		struct sim *s = world(&w, &rough, seed);
		char why[200];

		(void)!sim_initiate(s, A, "tun");
		sim_run(s, s->now_ns + 40 * NS_PER_S);
		(void)!sim_rekey(s, seed & 1, "tun");
		sim_run(s, s->now_ns + 3 * NS_PER_S);
		(void)!sim_rekey(s, seed >> 1 & 1, NULL);
		sim_run(s, s->now_ns + 200 * NS_PER_S);
		if (sim_up(s) && sim_same(s, why))
			right++;
		else
			tap_diag("seed %lu: %s / %s", (unsigned long)seed, s->n[A].last_text,
				 s->n[B].last_text);
		sim_free(s);
	}
	CU_ASSERT_TRUE(right >= 99);
}

/* ---- a peer that breaks the rules
 * ----------------------------------------------------------------
 */

static bool instead(struct sim *s, unsigned from, const struct forge_msg *m)
{
	static uint8_t out[FORGE_BUF];
	const size_t len = forge_close(s, m, from, out, sizeof(out));

	CU_ASSERT_FATAL(len > 0);
	sim_inject(s, !from, out, len);
	return false;
}

static bool is_link(const struct ike_payload *p)
{
	struct wire_notify n;

	return p->type == PAYLOAD_NOTIFY && !wire_notify_parse(&n, p->body) &&
	       n.type == NOTIFY_ADDITIONAL_KEY_EXCHANGE;
}

/* The request names another link: nothing is known of that, and all begins again. */
static bool other_link(struct sim *s, unsigned from, uint8_t *bytes, size_t *len)
{
	static struct forge_msg m;

	if (bytes[18] != IKE_FOLLOWUP_KE || bytes[19] & IKE_FLAG_RESPONSE ||
	    !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++)
		if (is_link(&m.payloads[i]))
			m.buf[m.payloads[i].body.p - m.buf + (long)m.payloads[i].body.len - 1] ^= 1;
	((struct watch *)s->tap_ctx)->meddle = NULL;
	return instead(s, from, &m);
}

static void test_R_another_link(void)
{
	struct watch w = {0};
	struct sim *s = up(&w);

	w.meddle = other_link;
	CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S / 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "not known here"));
	after(s, 30 * NS_PER_S);
	expect_one(s);
	CU_ASSERT_EQUAL(w.followups[A], 3); /* one in vain, then two */
	sim_free(s);
}

/* The response has no link, although another key exchange was agreed on. */
static bool no_link(struct sim *s, unsigned from, uint8_t *bytes, size_t *len)
{
	static struct forge_msg m;
	uint32_t num = 0;

	if (bytes[18] != CREATE_CHILD_SA || !(bytes[19] & IKE_FLAG_RESPONSE) ||
	    !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++)
		if (!is_link(&m.payloads[i]))
			m.payloads[num++] = m.payloads[i];
	m.num = num;
	return instead(s, from, &m);
}

/* Nothing is made of a negotiation without its last key exchange, and what waits is forgotten. */
static void test_R_nothing_without_the_last(void)
{
	for (unsigned ike = 0; ike < 2; ike++) {
		struct watch w = {0};
		struct sim *s = up(&w);
		const uint64_t pairs = s->n[A].activations;

		w.meddle = no_link;
		CU_ASSERT_EQUAL(sim_rekey(s, A, ike ? NULL : "tun"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "ADDITIONAL_KEY_EXCHANGE"));
		CU_ASSERT_TRUE(!w.followups[A] && s->n[A].activations == pairs);
		CU_ASSERT_TRUE(list_entry(s->n[B].e->sas.next, struct ike_sa, node)->followup !=
			       NULL);
		w.meddle = NULL;
		after(s, 25 * NS_PER_S);
		CU_ASSERT_TRUE(list_entry(s->n[B].e->sas.next, struct ike_sa, node)->followup ==
			       NULL);
		expect_one(s);
		sim_free(s);
	}
}

static struct ike_sa *sa_of(struct sim *s, unsigned side)
{
	return list_entry(s->n[side].e->sas.next, struct ike_sa, node);
}

static bool closed_by_b(struct sim *s)
{
	return sim_num_pairs(s, B) == 0;
}

/* A peer that begins one negotiation after the other and ends none: what B has to do on its own
 * waits for it a while, and not for ever. Then what waits is forgotten. */
static void test_R_one_after_the_other(void)
{
	struct watch w = {.meddle = no_link};
	struct sim *s = up(&(struct watch){0});
	bool closed = false;

	s->tap_ctx = &w;
	CU_ASSERT_EQUAL(sim_rekey(s, A, NULL), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(sim_terminate(s, B, "tun"), ERR_OK);
	for (unsigned i = 0; i < 12 && !closed; i++) {
		CU_ASSERT_PTR_NOT_NULL(sa_of(s, B)->followup);
		closed = sim_run_until(s, s->now_ns + 5 * NS_PER_S, closed_by_b);
		CU_ASSERT_TRUE(!closed || i >= 4);
		if (!closed)
			(void)!sim_rekey(s, A, NULL);
	}
	CU_ASSERT_TRUE(closed);
	CU_ASSERT_PTR_NULL(sa_of(s, B)->followup);
	w.meddle = NULL;
	after(s, 30 * NS_PER_S);
	CU_ASSERT_TRUE(closed_by_b(s) && sim_num_sas(s, B) == 1);
	sim_free(s);
}

/* What was put off for a while still waits for the peer's key exchanges when that is over. */
static void test_put_off_waits_too(void)
{
	struct watch w = {.meddle = no_link};
	struct sim *s = up(&(struct watch){0});
	struct task *t;

	s->tap_ctx = &w;
	CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(sim_rekey(s, B, "tun"), ERR_OK);
	t = task_find(sa_of(s, B), TASK_CHILD_REKEY, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	t->not_before_ns = s->now_ns + NS_PER_S;
	step_task_later(sa_of(s, B));
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_PTR_NOT_NULL(sa_of(s, B)->followup);
	CU_ASSERT_PTR_NULL(sa_of(s, B)->out.task);
	CU_ASSERT_PTR_EQUAL(task_find(sa_of(s, B), TASK_CHILD_REKEY, 0), t);
	CU_ASSERT_EQUAL(s->n[B].failed, 0);
	w.meddle = NULL;
	after(s, 30 * NS_PER_S);
	CU_ASSERT_PTR_NULL(sa_of(s, B)->followup);
	CU_ASSERT_EQUAL(w.followups[B], 2);
	expect_one(s);
	sim_free(s);
}

static void test_fail_every_allocation(void)
{
	for (unsigned ike = 0; ike < 2; ike++) {
		uint64_t total = 0;

		for (uint64_t nth = 0; nth <= total; nth++) {
			struct watch w = {0};
			struct sim *s = up(&w);
			uint64_t before = alloc_count();

			alloc_fail_nth(nth);
			(void)!sim_rekey(s, A, ike ? NULL : "tun");
			sim_run(s, s->now_ns + NS_PER_S / 2);
			alloc_fail_nth(0);
			if (nth == 0)
				total = alloc_count() - before;
			s->traffic = true;
			after(s, 200 * NS_PER_S);
			(void)!sim_terminate(s, A, NULL);
			(void)!sim_terminate(s, B, NULL);
			sim_run(s, s->now_ns + 100 * NS_PER_S);
			CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
			sim_free(s);
		}
		CU_ASSERT_TRUE(total > 20);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_rekey),
	TAP_TEST(test_new_child),
	TAP_TEST(test_lossy),
	TAP_TEST(test_R_another_link),
	TAP_TEST(test_R_nothing_without_the_last),
	TAP_TEST(test_R_one_after_the_other),
	TAP_TEST(test_put_off_waits_too),
	TAP_TEST(test_fail_every_allocation),
};
TAP_MAIN("sim_followup", tests)
