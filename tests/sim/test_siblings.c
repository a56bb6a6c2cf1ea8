/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of Child SAs for single workers beside one that all share (RFC 9611). A has three workers,
 * B two. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const uint32_t workers[2] = {3, 2};

/* struct watch - what the wire sees, and what it makes of B's answers to CREATE_CHILD_SA. */
struct watch {
	uint32_t requests;  /* CREATE_CHILD_SA of either side */
	uint16_t refuse;    /* B's answers become this error; 0 = none */
	bool narrow;        /* its TSi ends earlier */
	uint8_t strip_from; /* IKE_AUTH of this side and 1 more loses N(SA_RESOURCE_INFO) */
};

static void send_forged(struct sim *s, const struct forge_msg *m, unsigned from)
{
	uint8_t out[2048];
	size_t n = forge_close(s, m, from, out, sizeof(out));

	CU_ASSERT_FATAL(n > 0);
	sim_inject(s, !from, out, n);
}

static void refuse(struct forge_msg *m, uint16_t type)
{
	static uint8_t body[4];

	store_be16(body + 2, type);
	m->payloads[0] =
		(struct ike_payload){.type = PAYLOAD_NOTIFY, .body = bytes_of(body, sizeof(body))};
	m->num = 1;
}

/* narrow - the range of A's addresses ends at 10.1.0.255. */
static void narrow(struct forge_msg *m)
{
	static uint8_t body[256];

	for (uint32_t i = 0; i < m->num; i++) {
		struct ike_payload *p = &m->payloads[i];

		if (p->type != PAYLOAD_TSI)
			continue;
		CU_ASSERT_FATAL(p->body.len == 20);
		memcpy(body, p->body.p, p->body.len);
		body[18] = 0;
		p->body = bytes_of(body, 20);
	}
}

static void strip(struct forge_msg *m)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < m->num; i++) {
		struct wire_notify n;

		if (m->payloads[i].type != PAYLOAD_NOTIFY ||
		    wire_notify_parse(&n, m->payloads[i].body) || n.type != NOTIFY_SA_RESOURCE_INFO)
			m->payloads[num++] = m->payloads[i];
	}
	CU_ASSERT_EQUAL(num + 1, m->num);
	m->num = num;
}

static bool watch(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct watch *w = ctx;
	static struct forge_msg m;
	const bool answer = bytes[19] & IKE_FLAG_RESPONSE;

	w->requests += bytes[18] == CREATE_CHILD_SA && !answer;
	if (bytes[18] == IKE_AUTH && w->strip_from == from + 1) {
		CU_ASSERT_FATAL(forge_open(s, &m, from, bytes, *len));
		strip(&m);
		send_forged(s, &m, from);
		return false;
	}
	if (from != B || bytes[18] != CREATE_CHILD_SA || !answer || (!w->refuse && !w->narrow))
		return true;
	CU_ASSERT_FATAL(forge_open(s, &m, from, bytes, *len));
	if (w->refuse)
		refuse(&m, w->refuse);
	else
		narrow(&m);
	send_forged(s, &m, from);
	return false;
}

/* Both on port 500, where sim_inject() delivers. */
static const char *conf_of(unsigned side, const char *child)
{
	return sim_conf(side, "encap = no\n mobike = no\n rekey_time = 0s", child);
}

static struct sim *begin(struct watch *w, const char *a, const char *b, uint32_t max, uint64_t seed)
{
	const struct sim_options opt = {
		.conf = {conf_of(A, a), conf_of(B, b)},
		.limits = {{.siblings_max = max}, {.siblings_max = max}},
		.workers = {workers[A], workers[B]},
	};
	struct sim *s = sim_new(seed, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->tap = w ? watch : NULL;
	s->tap_ctx = w;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	return s;
}

static struct sim *up(struct watch *w)
{
	return begin(w, "per_cpu_sas = yes", "per_cpu_sas = yes", 0, 1);
}

static void all_alone(struct sim *s, unsigned side)
{
	for (uint32_t i = 0; i < workers[side]; i++)
		sim_alone(s, side, i);
}

static void wait_s(struct sim *s, uint64_t seconds)
{
	sim_run(s, s->now_ns + seconds * NS_PER_S);
}

/* num_for - pairs of a side in use for a worker (index and 1 more; 0: shared by all). */
static uint32_t num_for(const struct sim *s, unsigned side, uint32_t worker)
{
	const enum child_share share = worker ? SHARE_OWNER : SHARE_ASK;
	uint32_t num = 0;

	for (uint32_t i = 0; i < s->n[side].num_pairs; i++) {
		const struct sim_pair *p = &s->n[side].pairs[i];

		num += p->in && p->out && p->worker == worker && p->share == share;
	}
	return num;
}

static bool have(const struct sim *s, unsigned side, uint32_t shared, uint32_t w0, uint32_t w1,
		 uint32_t w2)
{
	return num_for(s, side, 0) == shared && num_for(s, side, 1) == w0 &&
	       num_for(s, side, 2) == w1 && num_for(s, side, 3) == w2 &&
	       sim_num_pairs(s, side) == shared + w0 + w1 + w2;
}

static bool same(struct sim *s)
{
	char why[200];
	bool ok = sim_same(s, why);

	if (!ok)
		tap_diag("%s", why);
	return ok;
}

static uint32_t num_sent_on(const struct sim_node *n)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < n->num_pairs; i++)
		num += n->pairs[i].worker && n->pairs[i].active;
	return num;
}

/* Who was asked for a pair sends by it when the peer has: before, the answer may still be on its
 * way, and by the shared pair all arrives. */
static void test_waits_for_the_peer(void)
{
	struct watch w = {0};
	struct sim *s = up(&w);
	const struct sim_node *b = &s->n[B];

	sim_alone(s, A, 1);
	wait_s(s, 1);
	CU_ASSERT_TRUE(have(s, A, 1, 0, 1, 0) && have(s, B, 1, 1, 0, 0));
	CU_ASSERT_EQUAL(num_sent_on(&s->n[A]), 1);
	CU_ASSERT_EQUAL(num_sent_on(b), 0);
	for (uint32_t i = 0; i < b->num_pairs; i++)
		if (b->pairs[i].worker)
			ike_child_used(b->e, b->pairs[i].id, s->now_ns);
	sim_settle(s, B);
	CU_ASSERT_EQUAL(num_sent_on(b), 1);
	sim_free(s);
}

/* One pair is there at first; each worker's own comes when it is needed, once, and the other side
 * spreads them over its own workers. */
static void test_on_demand(void)
{
	struct watch w = {0};
	struct sim *s = up(&w);

	CU_ASSERT_TRUE(have(s, A, 1, 0, 0, 0) && have(s, B, 1, 0, 0, 0));
	CU_ASSERT_EQUAL(w.requests, 0);
	sim_alone(s, A, 1);
	sim_alone(s, A, 1);
	wait_s(s, 1);
	CU_ASSERT_TRUE(have(s, A, 1, 0, 1, 0) && have(s, B, 1, 1, 0, 0));
	CU_ASSERT_EQUAL(w.requests, 1);
	all_alone(s, A);
	all_alone(s, A);
	wait_s(s, 1);
	CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 1) && have(s, B, 1, 2, 1, 0));
	CU_ASSERT_EQUAL(w.requests, 3);
	all_alone(s, B); /* it has what it needs */
	for (uint32_t i = 0; i < s->n[A].num_pairs; i++)
		for (uint32_t worker = 0; worker <= workers[A]; worker++) /* too late, or nobody */
			ike_child_alone(s->n[A].e, s->n[A].pairs[i].id, worker, s->now_ns);
	ike_child_alone(s->n[A].e, 4711, 1, s->now_ns);
	sim_settle(s, A);
	wait_s(s, 1);
	CU_ASSERT_EQUAL(w.requests, 3);
	CU_ASSERT_TRUE(same(s));
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	sim_free(s);
}

/* Who does not want siblings, or does not know of them, has one pair, and is not asked for more. */
static void test_not_agreed(void)
{
	static const char *const conf[][2] = {
		{"per_cpu_sas = yes", "per_cpu_sas = no"}, {"", "per_cpu_sas = yes"}, {"", ""}};

	for (size_t i = 0; i < ARRAY_LEN(conf); i++) {
		struct watch w = {0};
		struct sim *s = begin(&w, conf[i][A], conf[i][B], 0, 1);

		for (unsigned side = A; side <= B; side++)
			ike_child_alone(s->n[side].e, s->n[side].pairs[0].id, 1, s->now_ns);
		wait_s(s, 5);
		CU_ASSERT_EQUAL(w.requests, 0);
		CU_ASSERT_EQUAL(s->n[A].pairs[0].share, SHARE_ALL);
		CU_ASSERT_EQUAL(s->n[B].pairs[0].share, SHARE_ALL);
		sim_free(s);
	}
	for (uint8_t side = A; side <= B; side++) {
		struct watch w = {.strip_from = side + 1};
		struct sim *s = up(&w);

		all_alone(s, A);
		wait_s(s, 5);
		CU_ASSERT_EQUAL(w.requests, 0);
		CU_ASSERT_EQUAL(s->n[A].pairs[0].share, SHARE_ALL);
		sim_free(s);
	}
}

/* A peer may have more workers than we: what it makes is taken. */
static void test_one_worker(void)
{
	const struct sim_options opt = {
		.conf = {conf_of(A, "per_cpu_sas = yes"), conf_of(B, "per_cpu_sas = yes")},
		.workers = {3, 1},
	};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	wait_s(s, 1);
	CU_ASSERT_EQUAL(s->n[B].pairs[0].share, SHARE_ALL); /* nobody there has to ask */
	all_alone(s, A);
	wait_s(s, 1);
	CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 1));
	CU_ASSERT_EQUAL(num_for(s, B, 1), 3);
	CU_ASSERT_TRUE(same(s));
	sim_free(s);
}

/* As many as the other side takes; then the shared one is enough, until it is made anew. */
static void test_S3_too_many(void)
{
	struct watch w = {0};
	struct sim *s = begin(&w, "per_cpu_sas = yes", "per_cpu_sas = yes", 2, 1);

	all_alone(s, A);
	wait_s(s, 5);
	CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 0) && have(s, B, 1, 1, 1, 0));
	CU_ASSERT_EQUAL(w.requests, 3);
	CU_ASSERT_EQUAL(s->n[A].failed, 0);
	CU_ASSERT_EQUAL(s->n[B].failed, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "2 pairs of child tun"));
	all_alone(s, A);
	wait_s(s, 5);
	CU_ASSERT_EQUAL(w.requests, 3);
	CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK); /* all three */
	wait_s(s, 10);
	CU_ASSERT_EQUAL(w.requests, 6);
	all_alone(s, A);
	wait_s(s, 5);
	CU_ASSERT_EQUAL(w.requests, 7);
	CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 0) && have(s, B, 1, 1, 1, 0));
	CU_ASSERT_TRUE(same(s));
	sim_free(s);
}

/* Whatever a peer says to it, the shared pair works on, and no failure is reported. */
static void test_refused(void)
{
	static const uint16_t errors[] = {NOTIFY_TS_MAX_QUEUE, NOTIFY_NO_ADDITIONAL_SAS,
					  NOTIFY_NO_PROPOSAL_CHOSEN, NOTIFY_TS_UNACCEPTABLE, 9999};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		struct watch w = {.refuse = errors[i]};
		struct sim *s = up(&w);

		all_alone(s, A);
		wait_s(s, 5);
		CU_ASSERT_EQUAL(w.requests, 1);
		w.refuse = 0;
		all_alone(s, A);
		wait_s(s, 5);
		CU_ASSERT_EQUAL(w.requests, 1);
		CU_ASSERT_TRUE(have(s, A, 1, 0, 0, 0));
		CU_ASSERT_EQUAL(s->n[A].failed + s->n[A].child_down, 0);
		sim_free(s);
	}
}

static void test_refused_for_now(void)
{
	struct watch w = {.refuse = NOTIFY_TEMPORARY_FAILURE};
	struct sim *s = up(&w);

	sim_alone(s, A, 2);
	sim_run(s, s->now_ns + NS_PER_S / 2);
	CU_ASSERT_TRUE(have(s, A, 1, 0, 0, 0));
	w.refuse = 0;
	wait_s(s, 5);
	CU_ASSERT_TRUE(have(s, A, 1, 0, 0, 1));
	CU_ASSERT_EQUAL(s->n[A].failed, 0);
	sim_free(s);
}

/* asked_once - for all its workers A asks once, gets none, and neither takes it for a failure. */
static void asked_once(struct sim *s, const struct watch *w)
{
	all_alone(s, A);
	wait_s(s, 10);
	CU_ASSERT_EQUAL(w->requests, 1);
	CU_ASSERT_TRUE(have(s, A, 1, 0, 0, 0) && have(s, B, 1, 0, 0, 0));
	CU_ASSERT_EQUAL(s->n[A].failed, 0);
	sim_free(s);
}

/* A pair that is not like the first one is closed, and no other is asked for. */
static void test_unlike(void)
{
	struct watch w = {.narrow = true};

	asked_once(up(&w), &w);
}

static void test_unwelcome(void)
{
	for (unsigned side = A; side <= B; side++) {
		struct watch w = {0};
		struct sim *s = up(&w);

		s->n[side].refuse_child = true;
		asked_once(s, &w);
	}
}

/* Re-keyed, by either side or both at once, each is for the worker that it was for. */
static void test_S32_rekeyed(void)
{
	for (unsigned by = A; by <= B + 1; by++) {
		struct sim *s = up(NULL);

		all_alone(s, A);
		wait_s(s, 1);
		CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 1) && have(s, B, 1, 2, 1, 0));
		for (int i = 0; i < 2; i++) {
			if (by != B)
				CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
			if (by != A)
				CU_ASSERT_EQUAL(sim_rekey(s, B, "tun"), ERR_OK);
			wait_s(s, 60);
			CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 1) && have(s, B, 1, 2, 1, 0));
		}
		CU_ASSERT_TRUE(s->n[A].rekeyed_child >= 8 && s->n[B].rekeyed_child >= 8);
		CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
		CU_ASSERT_TRUE(same(s));
		sim_free(s);
	}
}

/* They go over to an IKE SA that takes the place of theirs, and others are made there. */
static void test_ike_rekeyed(void)
{
	struct sim *s = up(NULL);

	sim_alone(s, A, 0);
	wait_s(s, 1);
	CU_ASSERT_EQUAL(sim_rekey(s, B, NULL), ERR_OK);
	sim_alone(s, A, 1);
	wait_s(s, 20);
	sim_alone(s, A, 2);
	wait_s(s, 5);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_ike, 1);
	CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 1) && have(s, B, 1, 2, 1, 0));
	CU_ASSERT_TRUE(same(s));
	sim_free(s);
}

/* struct search - the number for people of a pair for a worker (index and 1 more; 0: shared). */
struct search {
	uint32_t worker, unique;
};

static void look(void *ctx, const struct ike_sa_info *sa)
{
	struct search *q = ctx;

	for (uint32_t i = 0; i < sa->num_children; i++) {
		CU_ASSERT_TRUE(sa->children[i].siblings);
		if (sa->children[i].worker == q->worker)
			q->unique = sa->children[i].unique;
	}
}

static void close_one(struct sim *s, unsigned side, uint32_t worker)
{
	struct search q = {.worker = worker};
	struct ike_select sel = {.conn = "net"};
	uint32_t num = 0;

	ike_each_sa(s->n[side].e, look, &q);
	CU_ASSERT_NOT_EQUAL_FATAL(q.unique, 0);
	sel.child_id = q.unique;
	CU_ASSERT_EQUAL(ike_terminate(s->n[side].e, &num, &sel, s->now_ns), ERR_OK);
	CU_ASSERT_EQUAL(num, 1);
	sim_settle(s, side);
	wait_s(s, 1);
}

/* One of them is closed, by either side: the others stay, and it is made again when it is needed.
 * The shared one is, when somebody wants the child. */
static void test_closed(void)
{
	struct sim *s = up(NULL);

	all_alone(s, A);
	wait_s(s, 1);
	close_one(s, A, 2);
	CU_ASSERT_TRUE(have(s, A, 1, 1, 0, 1));
	close_one(s, B, 1);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), 2);
	all_alone(s, A);
	wait_s(s, 1);
	CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 1) && have(s, B, 1, 2, 1, 0));
	close_one(s, B, 0);
	CU_ASSERT_TRUE(have(s, A, 0, 1, 1, 1) && have(s, B, 0, 2, 1, 0));
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	wait_s(s, 1);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_EXISTS);
	CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 1) && have(s, B, 1, 2, 1, 0));
	CU_ASSERT_TRUE(same(s));
	CU_ASSERT_EQUAL(sim_terminate(s, A, "tun"), ERR_OK);
	wait_s(s, 5);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A) + sim_num_pairs(s, B), 0);
	sim_free(s);
}

/* B has made the shared pair and answered, and A has not heard it: a sibling would be the first one
 * there. B waits until A is known to have it. */
static void test_not_before_the_first(void)
{
	struct sim *s = up(NULL);

	close_one(s, A, 0);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	s->n[A].deaf = true;
	sim_run(s, s->now_ns + NS_PER_S / 10);
	CU_ASSERT_TRUE(have(s, B, 1, 0, 0, 0) && have(s, A, 0, 0, 0, 0));
	s->n[A].deaf = false;
	sim_alone(s, B, 1);
	wait_s(s, 30);
	CU_ASSERT_TRUE(have(s, A, 1, 1, 0, 0) && have(s, B, 1, 0, 1, 0));
	CU_ASSERT_TRUE(same(s));
	sim_free(s);
}

/* Nobody sends: the workers' own pairs are closed, and the shared one after the last of them. */
static void test_inactive(void)
{
	const char *child = "per_cpu_sas = yes\n inactivity = 30s";
	struct sim *s = begin(NULL, child, "per_cpu_sas = yes", 0, 1);

	wait_s(s, 5);
	all_alone(s, A);
	wait_s(s, 26); /* 32 s after the first pair */
	CU_ASSERT_TRUE(have(s, A, 1, 1, 1, 1));
	wait_s(s, 10);
	CU_ASSERT_TRUE(have(s, A, 1, 0, 0, 0));
	wait_s(s, 30);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A) + sim_num_pairs(s, B), 0);
	sim_free(s);
}

/* Both sides want all of theirs at once, on a bad wire, with re-keys in between. In the end both
 * hold the same pairs, and every worker has its own. */
static void test_both_at_once(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct sim *s = begin(NULL, "per_cpu_sas = yes", "per_cpu_sas = yes", 0, seed);
		uint32_t num;

		s->wire.loss = s->wire.repeat = s->wire.reorder = 20;
		s->wire.jitter_ns = 20 * NS_PER_MS;
		s->wire.ask_ns = 20 * NS_PER_MS;
		all_alone(s, A);
		all_alone(s, B);
		if (seed % 3 == 0)
			CU_ASSERT_EQUAL(sim_rekey(s, seed % 2, "tun"), ERR_OK);
		wait_s(s, 3);
		if (seed % 4 == 0)
			CU_ASSERT_EQUAL(sim_rekey(s, seed % 2, NULL), ERR_OK);
		wait_s(s, 200);
		s->wire.loss = s->wire.repeat = s->wire.reorder = 0;
		all_alone(s, A); /* one that was asked for while the shared pair was re-keyed */
		all_alone(s, B);
		wait_s(s, 60);
		num = sim_num_pairs(s, A);
		for (unsigned side = A; side <= B; side++)
			for (uint32_t i = 1; i <= workers[side]; i++)
				CU_ASSERT_TRUE(num_for(s, side, i) >= 1);
		CU_ASSERT_EQUAL(num_for(s, A, 0), 1);
		CU_ASSERT_EQUAL(num_for(s, B, 0), 1);
		CU_ASSERT_TRUE(num >= 4 && num <= 6);
		CU_ASSERT_TRUE(same(s));
		sim_free(s);
	}
}

/* On a good wire no worker of the side that has more of them has two. */
static void test_none_too_many(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct sim *s = begin(NULL, "per_cpu_sas = yes", "per_cpu_sas = yes", 0, seed);

		all_alone(s, A);
		all_alone(s, B);
		wait_s(s, 60);
		for (uint32_t i = 1; i <= workers[A]; i++)
			CU_ASSERT_EQUAL(num_for(s, A, i), 1);
		for (uint32_t i = 1; i <= workers[B]; i++)
			CU_ASSERT_TRUE(num_for(s, B, i) >= 1);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_waits_for_the_peer),
	TAP_TEST(test_on_demand),
	TAP_TEST(test_not_agreed),
	TAP_TEST(test_one_worker),
	TAP_TEST(test_S3_too_many),
	TAP_TEST(test_refused),
	TAP_TEST(test_refused_for_now),
	TAP_TEST(test_unlike),
	TAP_TEST(test_unwelcome),
	TAP_TEST(test_S32_rekeyed),
	TAP_TEST(test_ike_rekeyed),
	TAP_TEST(test_closed),
	TAP_TEST(test_not_before_the_first),
	TAP_TEST(test_inactive),
	TAP_TEST(test_both_at_once),
	TAP_TEST(test_none_too_many),
};

TAP_MAIN("sim/siblings", tests)
