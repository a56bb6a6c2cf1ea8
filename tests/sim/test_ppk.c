/* SPDX-License-Identifier: Apache-2.0 */
/* Post-quantum pre-shared keys (RFC 8784): who has which, who demands one, and what is told. */
#include <string.h>

#include "base/alloc.h"
#include "control/ike/core.h"
#include "control/ike/ppk.h"
#include "tests/pki_conf.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

#define KEY   "0s6cqO0lN2Cw0xPJmkc2u0L2K3RZz3QyVbRw8b2Q0yL2U="
#define OTHER "0s7cqO0lN2Cw0xPJmkc2u0L2K3RZz3QyVbRw8b2Q0yL2U="
#define PSK   "ike { secret = 0123456789abcdef }"
#define EAP   "eap-carol { id = carol@example.org\n secret = Ar3etTnp }"
#define HAS   "secrets { " PSK "\n" EAP "\n ppk { id = carol-ppk\n secret = " KEY " } }"
#define WRONG "secrets { " PSK "\n" EAP "\n ppk { id = carol-ppk\n secret = " OTHER " } }"
#define NONE  "secrets { " PSK "\n" EAP " }"
#define NAMES "ppk_id = carol-ppk"
#define MUST  "ppk_id = carol-ppk\n ppk_required = yes"

/* struct way - how both prove themselves. */
static const struct way {
	const char *a_local, *a_remote, *b_local, *b_remote;
	const char *peer_of_a, *peer_of_b;
} ways[] = {
	{"auth = psk\n id = host%u.example", "auth = psk\n id = host%u.example",
	 "auth = psk\n id = host%u.example", "auth = psk\n id = host%u.example", "group-psk",
	 "group-psk"},
	{"auth = pubkey\n id = host%u.example", "auth = pubkey\n id = host%u.example",
	 "auth = pubkey\n id = host%u.example", "auth = pubkey\n id = host%u.example",
	 "pkix-inline", "pkix-inline"},
	{"auth = eap-mschapv2\n id = carol@example.org", "auth = pubkey\n id = host%u.example",
	 "auth = pubkey\n id = host%u.example", "auth = eap-mschapv2", "pkix-inline", "eap"},
	{"auth = null", "auth = pubkey\n id = host%u.example",
	 "auth = pubkey\n id = host%u.example", "auth = null", "pkix-inline", "none"},
};

static struct sim *world(const struct way *w, const char *a, const char *a_has, const char *b,
			 const char *b_has)
{
	const struct wish left = {
		.local = w->a_local, .remote = w->a_remote, .conn = a, .more = a_has};
	const struct wish right = {
		.local = w->b_local, .remote = w->b_remote, .conn = b, .more = b_has};

	return wish_world(&left, &right, true);
}

/* ---- what is agreed on ----------------------------------------------------------------------- */

/* Used, or done without; in either case as both see it, and it stays with re-keyed IKE SAs. */
static void stands(const struct way *w, struct sim *s, bool ppk)
{
	wish_go(s, "net", 0);
	for (unsigned side = 0; side < 2; side++) {
		if (!sim_up(s))
			tap_diag("A: %s; B: %s", s->n[A].last_text, s->n[B].last_text);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_STRING_EQUAL(wish_seen(s, A).method, w->peer_of_a);
		CU_ASSERT_STRING_EQUAL(wish_seen(s, B).method, w->peer_of_b);
		CU_ASSERT_EQUAL(wish_seen(s, A).proof.ppk, ppk);
		CU_ASSERT_EQUAL(wish_seen(s, B).proof.ppk, ppk);
		CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
		sim_run(s, s->now_ns + 5 * NS_PER_S);
	}
	CU_ASSERT_EQUAL(s->n[A].rekeyed_ike, 2);
	sim_free(s);
}

static void test_R8784_a_ppk(void)
{
	static const struct {
		const char *a, *a_has, *b, *b_has;
		bool ppk;
	} rows[] = {
		{NAMES, HAS, NAMES, HAS, true},
		{NAMES, HAS, NULL, HAS, true},
		{MUST, HAS, NULL, HAS, true},
		{NAMES, HAS, MUST, HAS, true},
		{MUST, HAS, MUST, HAS, true},
		{MUST, HAS, "ppk_required = yes", HAS, true},
		{NULL, HAS, NAMES, HAS, false},
		{NAMES, HAS, NULL, NONE, false},
		{NAMES, HAS, NAMES, NONE, false},
		{NAMES, NONE, NAMES, HAS, false},
		{NAMES, HAS, "ppk_id = other", HAS, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		for (size_t k = 0; k < ARRAY_LEN(rows); k++)
			stands(&ways[i],
			       world(&ways[i], rows[k].a, rows[k].a_has, rows[k].b, rows[k].b_has),
			       rows[k].ppk);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void refused(struct sim *s, unsigned side, enum ike_reason reason, const char *word)
{
	wish_go(s, "net", 0);
	sim_run(s, s->now_ns + 80 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[!side].child_up, 0);
	wish_refused(s, side, reason, word);
}

/* What is demanded is not left out, whichever side demands it. */
static void test_R8784_demanded(void)
{
	static const struct {
		const char *a, *a_has, *b, *b_has;
		unsigned side;
		enum ike_reason reason;
		const char *word;
	} rows[] = {
		{MUST, HAS, NULL, NONE, A, IKE_REASON_PPK_MISSING, "the peer has no PPK"},
		{MUST, NONE, MUST, HAS, A, IKE_REASON_PPK_UNKNOWN, "there is no PPK"},
		{"ppk_required = yes", HAS, MUST, HAS, A, IKE_REASON_PPK_UNKNOWN, "set `ppk_id`"},
		{NULL, HAS, MUST, HAS, B, IKE_REASON_PPK_MISSING, "uses no PPK"},
		{NAMES, NONE, MUST, HAS, B, IKE_REASON_PPK_MISSING, "uses no PPK"},
		{NAMES, HAS, MUST, NONE, B, IKE_REASON_PPK_UNKNOWN, "is not known here"},
		{MUST, HAS, NAMES, NONE, B, IKE_REASON_PPK_UNKNOWN, "is not known here"},
		{MUST, HAS, "ppk_id = other", HAS, B, IKE_REASON_PPK_UNKNOWN, "asks for other"},
	};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		for (size_t k = 0; k < ARRAY_LEN(rows); k++)
			refused(world(&ways[i], rows[k].a, rows[k].a_has, rows[k].b, rows[k].b_has),
				rows[k].side, rows[k].reason, rows[k].word);
}

/* One of the same name that differs is an error: the AUTH beside it is for who does not know it. */
static void test_R8784_another_ppk(void)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		refused(world(&ways[i], NAMES, WRONG, NAMES, HAS), B, IKE_REASON_PPK_WRONG,
			"another PPK of the name carol-ppk");
		refused(world(&ways[i], NAMES, HAS, MUST, WRONG), B, IKE_REASON_PPK_WRONG,
			"another PPK of the name carol-ppk");
		refused(world(&ways[i], MUST, WRONG, NAMES, HAS), B, IKE_REASON_AUTH_FAILED_LOCAL,
			"PPKs carol-ppk");
	}
}

/* A turns strict while B, which knows no PPK, looks at its AUTH. */
static bool turn_strict(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	(void)ctx;
	if (side == B && ask->kind == IKE_ASK_AUTHORIZE)
		((struct conf_conn *)(uintptr_t)conf_find_conn(s->n[A].conf, "net"))->ppk_required =
			true;
	return true;
}

/* Nor by a responder that says nothing of it. */
static void test_R8784_left_out_by_the_responder(void)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct sim *s = world(&ways[i], NAMES, HAS, "ppk_id = other", NONE);

		s->asked = turn_strict;
		wish_go(s, "net", 0);
		sim_run(s, s->now_ns + 80 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[B].ike_down, 1); /* it was told */
		s->n[B].child_up = 0;
		wish_refused(s, A, IKE_REASON_PPK_MISSING, "does not use the PPK");
	}
}

/* The initiator hears which of its secrets to compare. */
static void test_told_to_the_initiator(void)
{
	struct sim *s = world(&ways[0], MUST, WRONG, NAMES, HAS);

	refused(s, A, IKE_REASON_AUTH_FAILED_PEER, "secret and PPK of connection net");
}

/* ---- what is derived ------------------------------------------------------------------------- */

static const struct ike_sa *only_sa(struct sim *s, unsigned side)
{
	CU_ASSERT_FALSE_FATAL(list_empty(&s->n[side].e->sas));
	return list_entry(s->n[side].e->sas.next, struct ike_sa, node);
}

/* struct spy - SK_d as it was before the PPK, and after. */
static uint8_t plain[2][64];
static size_t plain_len;

static bool spy(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	(void)ctx;
	if (ask->kind == IKE_ASK_PPK) {
		const struct secret *sk_d = &only_sa(s, side)->keys.sk_d;

		memcpy(plain[side], sk_d->p, sk_d->len);
		plain_len = sk_d->len;
	}
	return true;
}

/* Both have the same SK_d, and it is not the one that g^ir gives alone. */
static void test_R8784_it_is_in_the_keys(void)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct sim *s = world(&ways[i], MUST, HAS, MUST, HAS);
		const struct secret *a, *b;

		s->asked = spy;
		plain_len = 0;
		wish_go(s, "net", 0);
		a = &only_sa(s, A)->keys.sk_d;
		b = &only_sa(s, B)->keys.sk_d;
		CU_ASSERT_EQUAL_FATAL(a->len, plain_len);
		CU_ASSERT_EQUAL(memcmp(plain[A], plain[B], plain_len), 0);
		CU_ASSERT_EQUAL(memcmp(a->p, b->p, a->len), 0);
		CU_ASSERT_NOT_EQUAL(memcmp(a->p, plain[A], a->len), 0);
		wish_proved(s, ways[i].peer_of_a, ways[i].peer_of_b);
	}
}

/* An answer that does not come is none. */
static void test_no_answer(void)
{
	struct sim *s = world(&ways[0], MUST, HAS, MUST, HAS);

	s->quiet_ask = true;
	refused(s, A, IKE_REASON_PPK_UNKNOWN, "there is no PPK");
}

/* Several connections may be for the peer: each is tried with what it demands. */
static void test_R8784_of_several_connections(void)
{
	static const char first[] =
		"strict { remote_addrs = 0.0.0.0/0\n ppk_id = other\n"
		"ppk_required = yes\n local { auth = pubkey\n id = host2.example }\n"
		"remote { auth = pubkey\n id = host1.example } }";
	const struct way *w = &ways[1];
	const struct wish left = {
		.local = w->a_local, .remote = w->a_remote, .conn = NAMES, .more = HAS};
	const struct wish right = {
		.local = w->b_local, .remote = w->b_remote, .conns = first, .more = HAS};

	stands(w, wish_world(&left, &right, true), true);
}

/* Each allocation fails once: errors are clean, and all ends. */
static void test_fail_every_allocation(void)
{
	uint64_t before = alloc_count(), num;
	struct sim *s = world(&ways[1], NAMES, HAS, NAMES, HAS);

	wish_go(s, "net", 0);
	num = alloc_count() - before;
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
	for (uint64_t n = 1; n <= num; n++) {
		s = world(&ways[n % 3], NAMES, HAS, NAMES, HAS);
		alloc_fail_nth(n);
		(void)!sim_initiate(s, A, "tun");
		sim_run(s, s->now_ns + 5 * NS_PER_S);
		alloc_fail_nth(0);
		for (unsigned side = 0; side < 2; side++) {
			CU_ASSERT_TRUE(!wish_seen(s, side).num || wish_seen(s, side).proof.ppk);
			(void)!sim_terminate(s, side, NULL);
		}
		sim_run(s, s->now_ns + 300 * NS_PER_S);
		CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
		CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_R8784_a_ppk),
	TAP_TEST(test_R8784_demanded),
	TAP_TEST(test_R8784_another_ppk),
	TAP_TEST(test_R8784_left_out_by_the_responder),
	TAP_TEST(test_told_to_the_initiator),
	TAP_TEST(test_R8784_it_is_in_the_keys),
	TAP_TEST(test_no_answer),
	TAP_TEST(test_R8784_of_several_connections),
	TAP_TEST(test_fail_every_allocation),
};

TAP_MAIN("sim/ppk", tests)
