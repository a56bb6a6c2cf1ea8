/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions that are left to others: may this peer have an IKE SA (A16), may it have this traffic
 * (L4). Each says yes, no, or nothing, and what that means on the wire. */
#include <string.h>

#include "control/child/child.h"
#include "tests/sim/forge.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

static const struct wish psk = {.local = "auth = psk\n id = host%u.example",
				.remote = "auth = psk\n id = host%u.example",
				.more = "secrets { ike-1 { secret = \"a fairly long secret\" } }"};

/* ---- may this peer ----------------------------------------------------------------------------
 */

/* struct wire - the error notifications that a side sent: exchange, type, when. */
struct wire {
	unsigned from;
	bool silent; /* its question about the peer is not answered */
	uint32_t num;
	uint8_t exchange[8];
	uint16_t type[8];
	uint64_t at_ns[8];
	uint64_t asked_ns;
};

static void note_errors(struct sim *s, struct wire *w, const struct forge_msg *m)
{
	for (uint32_t i = 0; i < m->num; i++) {
		struct wire_notify n;

		if (m->payloads[i].type != PAYLOAD_NOTIFY ||
		    wire_notify_parse(&n, m->payloads[i].body) || n.type >= 16384 || w->num == 8)
			continue;
		w->exchange[w->num] = m->h.exchange;
		w->type[w->num] = n.type;
		w->at_ns[w->num++] = s->now_ns;
	}
}

static bool watch(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static struct forge_msg m;
	struct wire *w = ctx;

	if (from == w->from && forge_open(s, &m, from, bytes, *len))
		note_errors(s, w, &m);
	return true;
}

static bool leave_open(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	struct wire *w = ctx;

	if (ask->kind != IKE_ASK_AUTHORIZE || side != w->from)
		return true;
	w->asked_ns = s->now_ns;
	CU_ASSERT_PTR_NOT_NULL(ask->proof);
	return !w->silent;
}

static struct sim *watched(struct wire *w)
{
	struct sim *s = wish_world(&psk, &psk, false);

	s->tap = watch;
	s->asked = leave_open;
	s->tap_ctx = w;
	return s;
}

static void check_refused(struct sim *s, const struct wire *w, uint8_t exchange, uint64_t after_ns)
{
	CU_ASSERT_TRUE(w->num > 0);
	CU_ASSERT_EQUAL(w->exchange[0], exchange);
	CU_ASSERT_EQUAL(w->type[0], NOTIFY_AUTHENTICATION_FAILED);
	CU_ASSERT_TRUE(w->at_ns[0] - w->asked_ns >= after_ns);
	CU_ASSERT_TRUE(w->at_ns[0] - w->asked_ns < after_ns + NS_PER_S);
	CU_ASSERT_EQUAL(s->n[w->from].last_failure, IKE_REASON_REFUSED);
	CU_ASSERT_EQUAL(s->n[w->from].child_up, 0);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_TRUE(sim_clean(s, side));
		CU_ASSERT_EQUAL(sim_num_sas(s, side), 0);
	}
	sim_free(s);
}

/* A no of the responder is its response to IKE_AUTH; one of the initiator, who has that, an
 * exchange of its own (RFC 7296 2.21.2). */
static void test_A16_rejected(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct wire w = {.from = side};
		struct sim *s = watched(&w);

		s->n[side].refuse_peer = true;
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(s->n[A].last_failure,
				side == B ? IKE_REASON_AUTH_FAILED_PEER : IKE_REASON_REFUSED);
		check_refused(s, &w, side == B ? IKE_AUTH : INFORMATIONAL, 0);
	}
}

/* No answer in time is a no. */
static void test_A16_no_answer_in_time(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct wire w = {.from = side, .silent = true};
		struct sim *s = watched(&w);

		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(s->n[side].child_up, 0);
		CU_ASSERT_EQUAL(w.num, 0);
		sim_run(s, s->now_ns + 30 * NS_PER_S);
		check_refused(s, &w, side == B ? IKE_AUTH : INFORMATIONAL, 20 * NS_PER_S);
	}
}

/* IKE_AUTH waits for a late yes, however often the peer asks again. */
static uint64_t late_ask;

static bool keep_ask(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	(void)s;
	(void)ctx;
	if (side != B || ask->kind != IKE_ASK_AUTHORIZE)
		return true;
	late_ask = ask->id;
	return false;
}

static void test_A16_accepted_late(void)
{
	struct sim *s = wish_world(&psk, &psk, false);

	s->asked = keep_ask;
	wish_go(s, "net", 0);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up + s->n[B].ike_up, 0);
	sim_answer(s, B, late_ask, IKE_ASK_AUTHORIZE, true);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(s->n[A].ike_up, 1);
	sim_free(s);
}

/* ---- may it have this traffic -----------------------------------------------------------------
 */

/* struct decision - how a side answers about children. */
struct decision {
	unsigned side;
	struct ts without[3];
	uint32_t num_without;
	const char *text;
	enum ike_reason reason;
	bool refuse;
	uint32_t num;
};

static bool decide(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	struct decision *d = ctx;

	if (side != d->side || ask->kind != IKE_ASK_CHILD_ACCEPT)
		return true;
	d->num++;
	ike_answer(s->n[side].e, ask->id,
		   &(struct ike_answer){.allow = !d->refuse,
					.without = d->without,
					.num_without = d->num_without,
					.text = d->text,
					.reason = d->reason},
		   s->now_ns);
	return false;
}

static struct sim *decided(struct decision *d)
{
	struct sim *s = wish_world(&psk, &psk, false);

	s->asked = decide;
	s->tap_ctx = d;
	return s;
}

static void leave_out(struct decision *d, const char *ts)
{
	CU_ASSERT_EQUAL_FATAL(ts_parse(&d->without[d->num_without++], ts), ERR_OK);
}

/* struct selectors - of the only child of a side. */
struct selectors {
	uint32_t num_children, num_local, num_remote;
	char local[3][TS_TEXT_MAX], remote[3][TS_TEXT_MAX];
};

static void look(void *ctx, const struct ike_sa_info *sa)
{
	struct selectors *l = ctx;

	for (uint32_t i = 0; i < sa->num_children; i++) {
		const struct ike_child_info *c = &sa->children[i];

		l->num_children++;
		l->num_local = c->num_local;
		l->num_remote = c->num_remote;
		for (uint32_t k = 0; k < 3; k++) {
			if (k < c->num_local)
				(void)ts_text(l->local[k], &c->local[k]);
			if (k < c->num_remote)
				(void)ts_text(l->remote[k], &c->remote[k]);
		}
	}
}

static struct selectors selectors(struct sim *s, unsigned side)
{
	struct selectors l = {.num_children = 0};

	ike_each_sa(s->n[side].e, look, &l);
	return l;
}

static void check_narrowed(struct sim *s)
{
	const struct selectors a = selectors(s, A), b = selectors(s, B);
	char why[200] = "";

	CU_ASSERT_TRUE(sim_same(s, why));
	CU_ASSERT_EQUAL(a.num_children, 1);
	CU_ASSERT_EQUAL(b.num_children, 1);
	CU_ASSERT_EQUAL(b.num_remote, 2);
	CU_ASSERT_EQUAL(a.num_local, 2);
	CU_ASSERT_STRING_EQUAL(b.remote[0], "10.1.0.0..10.1.0.6");
	CU_ASSERT_STRING_EQUAL(b.remote[1], "10.1.0.8..10.1.255.255");
	CU_ASSERT_STRING_EQUAL(a.local[0], b.remote[0]);
	CU_ASSERT_STRING_EQUAL(a.local[1], b.remote[1]);
	CU_ASSERT_STRING_EQUAL(a.remote[0], "10.2.0.0/16");
}

/* The responder leaves out what is another's: in IKE_AUTH, in a child beside, in re-keys. */
static void test_L4_narrowed_by_the_responder(void)
{
	struct decision d = {.side = B};
	struct sim *s = decided(&d);
	struct ike_select sel = {.conn = "net", .child = "tun"};
	uint32_t num;

	leave_out(&d, "10.1.0.7/32[tcp/80]");
	leave_out(&d, "192.0.2.0/24");
	wish_go(s, "net", 0);
	check_narrowed(s);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	check_narrowed(s);
	CU_ASSERT_EQUAL(ike_terminate(s->n[A].e, &num, &sel, s->now_ns), ERR_OK);
	sim_settle(s, A);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	wish_go(s, "net", 0); /* CREATE_CHILD_SA this time */
	check_narrowed(s);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	CU_ASSERT_EQUAL(d.num, 3);
	sim_free(s);
}

/* Where nothing remains the peer hears TS_UNACCEPTABLE, and keeps its IKE SA. */
static void test_L4_nothing_remains(void)
{
	struct decision d = {.side = B, .text = "a latch has it"};
	struct sim *s = decided(&d);

	leave_out(&d, "10.0.0.0/8");
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_TS_UNACCEPTABLE);
	CU_ASSERT_EQUAL(s->n[B].last_failure, IKE_REASON_TS_UNACCEPTABLE);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "another's here: a latch has it"));
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[A].failed, 2);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 1);
	CU_ASSERT_EQUAL(s->n[A].num_pairs + s->n[B].num_pairs, 0);
	CU_ASSERT_EQUAL(s->n[A].num_spis + s->n[B].num_spis, 0);
	sim_free(s);
}

/* What the peer has installed cannot be narrowed any more: the initiator closes it. */
static void test_L4_refused_by_the_initiator(void)
{
	struct decision d = {.side = A};
	struct sim *s = decided(&d);

	leave_out(&d, "10.2.0.7/32");
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_TS_UNACCEPTABLE);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "10.2.0.7"));
	wish_go(s, "net", 0);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].child_up, 0);
	CU_ASSERT_EQUAL(s->n[A].failed, 2);
	CU_ASSERT_EQUAL(s->n[A].num_pairs + s->n[B].num_pairs, 0);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	d.num_without = 0;
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[A].child_up, 1);
	leave_out(&d, "10.2.0.7/32"); /* a re-key, too: the old pair goes on */
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 0);
	CU_ASSERT_EQUAL(selectors(s, A).num_children, 1);
	sim_free(s);
}

/* A no has its reason. */
static void test_L4_refused_with_a_reason(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct decision d = {.side = side,
				     .refuse = true,
				     .reason = IKE_REASON_TS_UNACCEPTABLE,
				     .text = "it would take a latched flow"};
		struct sim *s = decided(&d);

		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(s->n[side].last_failure, IKE_REASON_TS_UNACCEPTABLE);
		CU_ASSERT_STRING_EQUAL(s->n[side].last_text,
				       "child tun was refused here: it would take a latched flow");
		CU_ASSERT_EQUAL(s->n[A].num_pairs, 0);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A16_rejected),
	TAP_TEST(test_A16_no_answer_in_time),
	TAP_TEST(test_A16_accepted_late),
	TAP_TEST(test_L4_narrowed_by_the_responder),
	TAP_TEST(test_L4_nothing_remains),
	TAP_TEST(test_L4_refused_by_the_initiator),
	TAP_TEST(test_L4_refused_with_a_reason),
};

TAP_MAIN("decisions", tests)
