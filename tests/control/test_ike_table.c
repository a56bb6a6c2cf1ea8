/* SPDX-License-Identifier: Apache-2.0 */
/* The transition table as data: what it may and may not say. */
#include <string.h>

#include "control/child/child.h"
#include "control/ike/handlers.h"
#include "tests/tap/tap.h"

#define BIT(name) PAYLOAD_BIT(PAYLOAD_##name)

static void test_rows_are_whole(void)
{
	size_t num;
	const struct transition *t = transition_table(&num);

	CU_ASSERT_TRUE(num > 50);
	for (size_t i = 0; i < num; i++) {
		CU_ASSERT_PTR_NOT_NULL(t[i].handle);
		CU_ASSERT_TRUE(t[i].story && strlen(t[i].story) > 10);
		CU_ASSERT_TRUE(t[i].state < SA_DEAD);
		CU_ASSERT_TRUE(t[i].next > SA_NONE && t[i].next <= SA_DEAD);
		if (t[i].on == ON_REQUEST || t[i].on == ON_RESPONSE)
			CU_ASSERT_TRUE(t[i].what >= IKE_SA_INIT && t[i].what <= IKE_FOLLOWUP_KE);
		if (t[i].on == ON_START)
			CU_ASSERT_TRUE(t[i].task != TASK_NONE);
	}
}

static void test_every_state_is_reached_and_left(void)
{
	size_t num;
	const struct transition *t = transition_table(&num);

	for (enum sa_state s = SA_I_INIT; s < SA_DEAD; s++) {
		bool reached = false, left = false;

		for (size_t i = 0; i < num; i++) {
			reached |= t[i].next == s && t[i].state != s;
			left |= t[i].state == s && t[i].next != s;
		}
		if (!reached || !left)
			tap_diag("state %s: reached %d, left %d", sa_state_name(s), reached, left);
		CU_ASSERT_TRUE(reached && left);
	}
}

/* S20: no message leads to ESTABLISHED; only the last answer of a verified handshake does. */
static void test_S20_only_the_last_answer_establishes(void)
{
	size_t num, found = 0;
	const struct transition *t = transition_table(&num);

	for (size_t i = 0; i < num; i++) {
		if (t[i].next < SA_ESTABLISHED || t[i].next == SA_DEAD ||
		    t[i].state >= SA_ESTABLISHED || t[i].task == TASK_TELL)
			continue;
		CU_ASSERT_EQUAL(t[i].on, ON_ANSWER);
		CU_ASSERT_TRUE(t[i].state == SA_I_ACCEPT || t[i].state == SA_R_ACCEPT);
		found++;
	}
	CU_ASSERT_EQUAL(found, 2);
}

/* Before AUTH is verified a peer can cause nothing but the handshake's own steps, of which EAP has
 * more than one. */
static void test_S20_nothing_else_before_auth(void)
{
	for (enum sa_state s = SA_NONE; s < SA_ESTABLISHED; s++) {
		CU_ASSERT_FALSE(transition_knows(s, ON_REQUEST, CREATE_CHILD_SA));
		CU_ASSERT_FALSE(transition_knows(s, ON_REQUEST, INFORMATIONAL));
		CU_ASSERT_FALSE(transition_knows(s, ON_RESPONSE, CREATE_CHILD_SA));
		if (s != SA_R_INIT && s != SA_R_EAP && s != SA_R_RESUMED)
			CU_ASSERT_FALSE(transition_knows(s, ON_REQUEST, IKE_AUTH));
	}
}

/* S4: of all sets of payloads, IKE_AUTH is taken with IDi and AUTH, and a child whole or not at
 * all. */
static void test_S4_required_payloads(void)
{
	static const uint64_t bits[] = {BIT(IDI), BIT(IDR), BIT(AUTH), BIT(SA),
					BIT(TSI), BIT(TSR), BIT(KE),   BIT(NONCE)};
	unsigned taken = 0;

	for (unsigned set = 0; set < 1u << ARRAY_LEN(bits); set++) {
		const uint64_t child = BIT(SA) | BIT(TSI) | BIT(TSR);
		const struct transition *t;
		uint64_t have = 0;

		for (unsigned i = 0; i < ARRAY_LEN(bits); i++)
			have |= set & 1u << i ? bits[i] : 0;
		CU_ASSERT_PTR_NULL(transition_find(SA_R_INIT, ON_REQUEST, IKE_AUTH, TASK_NONE,
						   have | KEYS_MORE));
		have |= KEYS_DONE;
		t = transition_find(SA_R_INIT, ON_REQUEST, IKE_AUTH, TASK_NONE, have);
		if (!t || t->handle != auth_request)
			continue;
		taken++;
		CU_ASSERT_TRUE((have & BIT(IDI)) && (have & BIT(AUTH)));
		CU_ASSERT_TRUE((have & child) == child || !(have & child));
		CU_ASSERT_FALSE(have & (BIT(KE) | BIT(NONCE)));
	}
	CU_ASSERT_EQUAL(taken, 4);
}

static enum err (*handler_for(enum task_kind ours, uint64_t have))(struct step *)
{
	const struct transition *t =
		transition_find(SA_ESTABLISHED, ON_REQUEST, CREATE_CHILD_SA, ours, have);

	return t ? t->handle : NULL;
}

/* S4, S9: an additional key exchange is a KE payload, and has its place before IKE_AUTH, or behind
 * a CREATE_CHILD_SA. */
static void test_S4_additional_key_exchanges(void)
{
	for (enum sa_state s = SA_NONE; s < SA_ESTABLISHED; s++) {
		CU_ASSERT_FALSE(transition_knows(s, ON_REQUEST, IKE_FOLLOWUP_KE));
		CU_ASSERT_FALSE(transition_knows(s, ON_RESPONSE, IKE_FOLLOWUP_KE));
		CU_ASSERT_EQUAL(transition_knows(s, ON_REQUEST, IKE_INTERMEDIATE), s == SA_R_INIT);
		CU_ASSERT_EQUAL(transition_knows(s, ON_RESPONSE, IKE_INTERMEDIATE), s == SA_I_PPK);
	}
	for (enum sa_state s = SA_ESTABLISHED; s < SA_DEAD; s++) {
		CU_ASSERT_FALSE(transition_knows(s, ON_REQUEST, IKE_INTERMEDIATE));
		CU_ASSERT_FALSE(transition_knows(s, ON_RESPONSE, IKE_INTERMEDIATE));
	}
	CU_ASSERT_PTR_NULL(transition_find(SA_R_INIT, ON_REQUEST, IKE_INTERMEDIATE, TASK_NONE,
					   BIT(KE) | KEYS_DONE));
	CU_ASSERT_PTR_NULL(
		transition_find(SA_R_INIT, ON_REQUEST, IKE_INTERMEDIATE, TASK_NONE, KEYS_MORE));
	CU_ASSERT_PTR_NULL(transition_find(SA_R_INIT, ON_REQUEST, IKE_INTERMEDIATE, TASK_NONE,
					   BIT(KE) | BIT(SA) | KEYS_MORE));
	CU_ASSERT_PTR_NULL(
		transition_find(SA_ESTABLISHED, ON_REQUEST, IKE_FOLLOWUP_KE, TASK_NONE, 0));
	CU_ASSERT_PTR_NULL(transition_find(SA_ESTABLISHED, ON_REQUEST, IKE_FOLLOWUP_KE, TASK_NONE,
					   BIT(KE) | BIT(NONCE)));
}

/* RFC 7296 2.25: who has to wait for whom. */
static void test_S32_crossing_requests(void)
{
	const uint64_t ike = BIT(SA) | BIT(NONCE) | BIT(KE);
	const uint64_t child = BIT(SA) | BIT(NONCE) | BIT(TSI) | BIT(TSR);

	CU_ASSERT_PTR_EQUAL(handler_for(TASK_NONE, ike), ike_rekey_request);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_LIVENESS, ike), ike_rekey_request);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_CHILD_NEW, ike), refuse_temporarily);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_CHILD_REKEY, ike), refuse_temporarily);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_CHILD_SIBLING, ike), refuse_temporarily);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_CHILD_DELETE, ike), refuse_temporarily);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_IKE_REKEY, ike), ike_rekey_crossing);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_IKE_REKEY_CROSSED, ike), refuse_temporarily);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_NONE, child), child_new_request);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_CHILD_SIBLING, child), child_new_request);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_NONE, child | HAS_REKEY), child_rekey_request);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_CHILD_REKEY, child | HAS_REKEY), child_rekey_request);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_IKE_REKEY, child), refuse_temporarily);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_IKE_REKEY, child | HAS_REKEY), refuse_temporarily);
	CU_ASSERT_PTR_EQUAL(handler_for(TASK_IKE_REKEY_CROSSED, child), refuse_temporarily);
	CU_ASSERT_PTR_NULL(handler_for(TASK_NONE, BIT(SA) | BIT(NONCE)));
	CU_ASSERT_PTR_NULL(handler_for(TASK_NONE, child | BIT(IDI)));
}

/* One IKE SA of the peer's stands by while ours is decided on: neither is there another one, nor
 * does what waits for more key exchanges go on to make one. */
static void test_S32_one_stands_by(void)
{
	const uint64_t waits[] = {0, IKE_WAITS};

	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		const struct transition *t =
			transition_find(SA_ESTABLISHED, ON_REQUEST, IKE_FOLLOWUP_KE,
					TASK_IKE_REKEY_CROSSED, BIT(KE) | waits[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		CU_ASSERT_PTR_EQUAL(t->handle, refuse_temporarily);
		CU_ASSERT_EQUAL(t->next, SA_ESTABLISHED);
		t = transition_find(SA_ESTABLISHED, ON_REQUEST, IKE_FOLLOWUP_KE, TASK_IKE_REKEY,
				    BIT(KE) | waits[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		CU_ASSERT_PTR_EQUAL(t->handle, followup_request);
	}
}

/* Goals: 2 KiB for a Child SA pair, 8 KiB for an idle IKE SA. */
static void test_sizes(void)
{
	tap_diag("struct ike_sa %zu bytes, struct ike_child %zu bytes", sizeof(struct ike_sa),
		 sizeof(struct ike_child));
	CU_ASSERT_TRUE(sizeof(struct ike_sa) < 4096);
	CU_ASSERT_TRUE(sizeof(struct ike_child) < 1024);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_rows_are_whole),
	TAP_TEST(test_every_state_is_reached_and_left),
	TAP_TEST(test_S20_only_the_last_answer_establishes),
	TAP_TEST(test_S20_nothing_else_before_auth),
	TAP_TEST(test_S4_required_payloads),
	TAP_TEST(test_S4_additional_key_exchanges),
	TAP_TEST(test_S32_crossing_requests),
	TAP_TEST(test_S32_one_stands_by),
	TAP_TEST(test_sizes),
};

TAP_MAIN("control/ike_table", tests)
