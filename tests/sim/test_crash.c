/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that restarts without its SAs is found by its token (RFC 6290), and by nothing else. */
#include <stdio.h>
#include <string.h>

#include "control/child/child.h"
#include "control/ike/crash.h"
#include "control/ike/index.h"
#include "control/ike/task.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};
static const uint8_t secrets[2][32] = {{1, 2, 3, 4}, {5, 6, 7, 8}};

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static struct ike_stats stats(struct sim *s, unsigned side)
{
	struct ike_stats st;

	ike_stats(s->n[side].e, &st);
	return st;
}

static void give_secret(struct sim *s, unsigned side)
{
	CU_ASSERT_EQUAL(ike_engine_crash_secret(s->n[side].e, bytes_of(secrets[side], 32)), ERR_OK);
}

static struct sim *begin(const struct sim_options *opt, bool secret_a, bool secret_b)
{
	struct sim *s = sim_new(1, opt);

	if (secret_a)
		give_secret(s, A);
	if (secret_b)
		give_secret(s, B);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	return s;
}

static struct ike_sa *sa_of(struct sim *s, unsigned side)
{
	list_for_each (n, &s->n[side].e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->state == SA_ESTABLISHED)
			return sa;
	}
	return NULL;
}

/* As a process that is killed and begins anew: nothing is said, and nothing is left. */
static void restart(struct sim *s, unsigned side)
{
	struct ike_engine *e = s->n[side].e;

	list_for_each (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		sa->quiet = true;
		sa_kill(sa, IKE_REASON_LOCAL, NULL, s->now_ns);
	}
	engine_sweep(e, s->now_ns);
	sim_settle(s, side);
	CU_ASSERT_TRUE(sim_clean(s, side));
}

/* A packet of `from` meets no SA: as the data path of the other side says it. */
static void stray(struct sim *s, unsigned from)
{
	const struct ike_sa *sa = sa_of(s, from);
	const struct ike_child *c;
	struct path_addr back;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	c = list_entry(sa->children.next, struct ike_child, node);
	back = (struct path_addr){
		.local = sa->path.remote, .remote = sa->path.local, .encap = sa->path.encap};
	ike_stray(s->n[!from].e, &back, 0, c->spi_out, s->now_ns);
	sim_settle(s, !from);
}

/* ---- found ----------------------------------------------------------------------------------- */

/* Either side is found, by one packet, within a round trip or two; it is not told that its IKE SA
 * is gone, of which it knows nothing. */
static void test_S44_found(void)
{
	for (unsigned lost = 0; lost < 2; lost++) {
		const struct sim_options opt = {.wire = calm};
		struct sim *s = begin(&opt, true, true);

		restart(s, lost);
		stray(s, !lost);
		after(s, 100 * NS_PER_MS);
		CU_ASSERT_EQUAL(s->n[!lost].ike_down, 1);
		CU_ASSERT_EQUAL(s->n[!lost].last_down, IKE_REASON_NO_ANSWER);
		CU_ASSERT_TRUE(sim_clean(s, !lost));
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		sim_free(s);
	}
}

/* With nothing to send liveness checks come to the same. */
static void test_S44_found_by_liveness(void)
{
	const struct sim_options opt = {.wire = calm, .conf = {sim_conf(A, "dpd_delay = 10s", "")}};
	struct sim *s = begin(&opt, true, true);

	restart(s, B);
	after(s, 11 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].last_down, IKE_REASON_NO_ANSWER);
	CU_ASSERT_TRUE(sim_clean(s, A));
	sim_free(s);
}

/* Without a secret there are no tokens, and it takes as long as it always took. */
static void test_S44_no_secret(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt, true, false);

	CU_ASSERT_FALSE(sa_of(s, A)->crash.has_token);
	CU_ASSERT_TRUE(sa_of(s, B)->crash.has_token);
	restart(s, B);
	stray(s, A);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 0);
	after(s, 90 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	sim_free(s);
}

static void test_S44_short_secret(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_EQUAL(ike_engine_crash_secret(s->n[A].e, bytes_of(secrets[A], 15)), ERR_INVAL);
	CU_ASSERT_EQUAL(ike_engine_crash_secret(s->n[A].e, bytes_of(NULL, 0)), ERR_OK);
	sim_free(s);
}

/* With EAP the tokens are in the last messages. */
static void test_S44_eap(void)
{
	const struct sim_options opt = {.wire = calm,
					.conf = {sim_conf_eap(A, "", ""), sim_conf_eap(B, "", "")},
					.by_keyring = true,
					.sign = true};
	struct sim *s = begin(&opt, true, true);

	CU_ASSERT_TRUE(sa_of(s, A)->crash.has_token && sa_of(s, B)->crash.has_token);
	restart(s, B);
	stray(s, A);
	after(s, 100 * NS_PER_MS);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	sim_free(s);
}

/* ---- the IKE SA is re-keyed ------------------------------------------------------------------ */

/* The new SPIs have tokens of their own, of both sides (RFC 6290 4.3). */
static void test_S44_rekeyed(void)
{
	for (unsigned by = 0; by < 2; by++)
		for (unsigned lost = 0; lost < 2; lost++) {
			const struct sim_options opt = {.wire = calm};
			struct sim *s = begin(&opt, true, true);

			CU_ASSERT_EQUAL(sim_rekey(s, by, NULL), ERR_OK);
			after(s, 10 * NS_PER_S);
			CU_ASSERT_EQUAL(s->n[by].rekeyed_ike, 1);
			restart(s, lost);
			stray(s, !lost);
			after(s, 100 * NS_PER_MS);
			CU_ASSERT_EQUAL(s->n[!lost].ike_down, 1);
			sim_free(s);
		}
}

/* The token of an IKE SA that was replaced ends none of its children. */
static void test_S44_replaced(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt, true, true);
	struct ike_sa *old = sa_of(s, A);
	const struct ike_header h = {.spi_i = old->spi_i, .spi_r = old->spi_r};
	uint8_t token[CRASH_TOKEN_LEN];

	CU_ASSERT_EQUAL(crash_token(s->n[B].e, token, h.spi_i, h.spi_r), ERR_OK);
	CU_ASSERT_FALSE(crash_may_show(s->n[B].e, &h));
	CU_ASSERT_EQUAL(sim_rekey(s, A, NULL), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(crash_may_show(s->n[B].e, &h));
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* ---- whom to believe ------------------------------------------------------------------------- */

/* An unprotected answer to what A is waiting for, with num tokens. */
static size_t answer(uint8_t *out, size_t cap, const struct ike_sa *sa, const struct bytes *tokens,
		     size_t num)
{
	const struct ike_header h = {
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.exchange = sa->out.exchange_type,
		.flags = (uint8_t)(IKE_FLAG_RESPONSE | (sa->initiator ? 0 : IKE_FLAG_INITIATOR)),
		.msgid = sa->out.x.next_id,
	};
	struct ike_builder b;
	struct bytes message = {0};

	ike_build_begin(&b, out, cap, &h);
	wire_notify_build(&b, NOTIFY_INVALID_IKE_SPI, bytes_of(NULL, 0));
	for (size_t i = 0; i < num; i++)
		wire_token_build(&b, tokens[i]);
	CU_ASSERT_EQUAL(ike_build_finish(&b, &message, NULL), ERR_OK);
	return message.len;
}

/* A asks whether B lives, and does not hear it. */
static struct sim *asking(uint8_t token[static CRASH_TOKEN_LEN])
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt, true, true);
	struct ike_sa *sa = sa_of(s, A);

	CU_ASSERT_EQUAL(crash_token(s->n[B].e, token, sa->spi_i, sa->spi_r), ERR_OK);
	s->n[B].deaf = true;
	CU_ASSERT_EQUAL(task_need(sa, TASK_LIVENESS, 0), ERR_OK);
	step_task(sa, s->now_ns);
	sim_settle(s, A);
	CU_ASSERT_TRUE(sa->out.waiting);
	return s;
}

/* Every bit counts, and so does the length; a wrong token changes nothing. */
static void test_S44_forged(void)
{
	uint8_t token[CRASH_TOKEN_LEN], bad[CRASH_TOKEN_LEN + 1], m[256];
	struct sim *s = asking(token);
	struct ike_sa *sa = sa_of(s, A);
	struct bytes one;
	size_t len;

	for (unsigned bit = 0; bit < 8 * CRASH_TOKEN_LEN; bit++) {
		memcpy(bad, token, sizeof(token));
		bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
		one = bytes_of(bad, sizeof(token));
		len = answer(m, sizeof(m), sa, &one, 1);
		sim_inject(s, A, m, len);
	}
	memcpy(bad, token, sizeof(token));
	bad[CRASH_TOKEN_LEN] = 0;
	for (size_t n = 0; n <= sizeof(bad); n++) {
		one = bytes_of(bad, n);
		len = answer(m, sizeof(m), sa, &one, n != CRASH_TOKEN_LEN);
		sim_inject(s, A, m, len);
	}
	CU_ASSERT_EQUAL(sa->state, SA_ESTABLISHED);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 0);
	s->n[B].deaf = false;
	after(s, 5 * NS_PER_S);
	CU_ASSERT_FALSE(sa->out.waiting);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* The right one among four (RFC 6290 4.5). */
static void test_S44_one_of_four(void)
{
	uint8_t token[CRASH_TOKEN_LEN], m[512];
	struct sim *s = asking(token);
	const struct bytes four[] = {bytes_of(secrets[0], 32), bytes_of(secrets[1], 16),
				     bytes_of(secrets[1], 32), bytes_of(token, sizeof(token))};
	size_t len = answer(m, sizeof(m), sa_of(s, A), four, 4);

	sim_inject(s, A, m, len);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	CU_ASSERT_TRUE(sim_clean(s, A));
	sim_free(s);
}

/* Cut anywhere, and with any bit other of what is said of the token or of itself, but for the
 * protocol that it is said to be of, the answer ends nothing. */
static void test_S44_sweep(void)
{
	uint8_t token[CRASH_TOKEN_LEN], m[256], bent[256];
	struct sim *s = asking(token);
	struct ike_sa *sa = sa_of(s, A);
	const struct bytes one = bytes_of(token, sizeof(token));
	const size_t len = answer(m, sizeof(m), sa, &one, 1);

	for (size_t n = 0; n < len; n++)
		sim_inject(s, A, m, n);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 0);
	for (size_t bit = 8 * (len - CRASH_TOKEN_LEN - 3); bit < 8 * len; bit++) {
		memcpy(bent, m, len);
		bent[bit / 8] ^= (uint8_t)(1u << bit % 8);
		sim_inject(s, A, bent, len);
	}
	CU_ASSERT_EQUAL(sa->state, SA_ESTABLISHED);
	/* It is heard still. */
	sim_inject(s, A, m, len);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	sim_free(s);
}

/* A right token that nobody asked for, under another number: dropped. */
static void test_S44_only_an_answer(void)
{
	uint8_t token[CRASH_TOKEN_LEN], m[256];
	struct sim *s = asking(token);
	struct ike_sa *sa = sa_of(s, A);
	const struct bytes one = bytes_of(token, sizeof(token));
	const size_t len = answer(m, sizeof(m), sa, &one, 1);

	m[27 - 4]++;
	sim_inject(s, A, m, len);
	CU_ASSERT_EQUAL(sa->state, SA_ESTABLISHED);
	m[27 - 4]--;
	s->n[B].deaf = false;
	after(s, 5 * NS_PER_S);
	CU_ASSERT_FALSE(sa->out.waiting);
	sim_inject(s, A, m, len);
	CU_ASSERT_EQUAL(sa->state, SA_ESTABLISHED);
	sim_free(s);
}

/* ---- when a token is shown ------------------------------------------------------------------- */

struct seen {
	unsigned from;
	uint32_t tokens, answers, hints;
	uint8_t last[CRASH_TOKEN_LEN];
};

static bool look(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct seen *seen = ctx;
	struct wire_notify n;
	struct ike_msg m;

	(void)s;
	if (from != seen->from || ike_msg_parse(&m, bytes_of(bytes, *len)))
		return true;
	seen->answers += wire_notify_find(&n, &m, NOTIFY_INVALID_IKE_SPI);
	seen->hints += wire_notify_find(&n, &m, NOTIFY_INVALID_SPI);
	if (wire_notify_find(&n, &m, NOTIFY_QUICK_CRASH_DETECTION)) {
		seen->tokens++;
		memcpy(seen->last, n.data.p, sizeof(seen->last));
	}
	return true;
}

static void watch(struct sim *s, unsigned from, struct seen *seen)
{
	*seen = (struct seen){.from = from};
	s->tap = look;
	s->tap_ctx = seen;
}

/* A message that says that it is protected, under whatever SPIs. */
static void ask_under(struct sim *s, unsigned to, uint64_t spi_i, uint64_t spi_r, uint8_t flags,
		      bool sealed)
{
	uint8_t m[28 + 64] = {0};

	store_be64(m, spi_i);
	store_be64(m + 8, spi_r);
	m[16] = sealed ? PAYLOAD_SK : PAYLOAD_NOTIFY;
	m[17] = 0x20;
	m[18] = sealed ? INFORMATIONAL : CREATE_CHILD_SA;
	m[19] = flags;
	m[27] = sizeof(m);
	m[31] = 64;
	sim_inject(s, to, m, sizeof(m));
}

/* Whoever can have a token of SPIs that live ends somebody else's IKE SA: under neither of them
 * alone, in neither role, and of no half-open one is any shown (RFC 6290 9.2). */
static void test_S44_never_while_it_lives(void)
{
	static const uint8_t roles[] = {0, IKE_FLAG_INITIATOR, IKE_FLAG_RESPONSE,
					IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE};
	const uint64_t other = 0x0102030405060708;
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt, true, true);
	const uint64_t i = sa_of(s, A)->spi_i, r = sa_of(s, A)->spi_r;
	const uint64_t pairs[][2] = {{i, r}, {r, i}, {i, other}, {other, i}, {r, other}, {other, r},
				     {i, i}, {r, r}, {i, 0},     {0, r},     {other, 0}};
	struct seen seen;

	for (unsigned side = 0; side < 2; side++) {
		watch(s, side, &seen);
		for (size_t p = 0; p < ARRAY_LEN(pairs); p++)
			for (size_t f = 0; f < ARRAY_LEN(roles); f++) {
				ask_under(s, side, pairs[p][0], pairs[p][1], roles[f], true);
				s->now_ns += NS_PER_S;
			}
		CU_ASSERT_EQUAL(seen.tokens, 0);
		CU_ASSERT_TRUE(seen.answers > 0);
	}
	/* Of nobody's SPIs one is: not of a message in the clear, and of no answer. */
	watch(s, B, &seen);
	ask_under(s, B, other, other + 1, IKE_FLAG_INITIATOR, false);
	ask_under(s, B, other, other + 1, IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE, true);
	CU_ASSERT_EQUAL(seen.tokens, 0);
	ask_under(s, B, other, other + 1, IKE_FLAG_INITIATOR, true);
	CU_ASSERT_EQUAL(seen.tokens, 1);
	sim_free(s);
}

static void test_S44_never_of_half_open(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);
	const struct ike_sa *sa;
	struct seen seen;

	give_secret(s, A);
	give_secret(s, B);
	s->quiet_ask = true;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	sa = list_entry(s->n[B].e->sas.next, struct ike_sa, node);
	CU_ASSERT_TRUE(sa->state < SA_ESTABLISHED);
	watch(s, B, &seen);
	ask_under(s, B, sa->spi_i + 1, sa->spi_r, 0, true);
	ask_under(s, B, sa->spi_i, sa->spi_r + 1, IKE_FLAG_INITIATOR, true);
	CU_ASSERT_EQUAL(seen.tokens, 0);
	CU_ASSERT_EQUAL(seen.answers, 2);
	sim_free(s);
}

/* Pairs of SPIs have tokens of their own, in either order; other secrets make other ones. */
static void test_S44_tokens_differ(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);
	static const uint64_t pairs[][2] = {{1, 2}, {2, 1}, {1, 3}, {3, 2}};
	uint8_t t[ARRAY_LEN(pairs) + 1][CRASH_TOKEN_LEN];

	CU_ASSERT_EQUAL(crash_token(s->n[A].e, t[0], 1, 2), ERR_NOT_FOUND);
	give_secret(s, A);
	give_secret(s, B);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		CU_ASSERT_EQUAL(crash_token(s->n[A].e, t[i], pairs[i][0], pairs[i][1]), ERR_OK);
	CU_ASSERT_EQUAL(crash_token(s->n[B].e, t[ARRAY_LEN(pairs)], 1, 2), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		for (size_t j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(memcmp(t[i], t[j], CRASH_TOKEN_LEN), 0);
	sim_free(s);
}

static void test_S44_bounded(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt, true, true);
	struct seen seen;

	watch(s, B, &seen);
	for (unsigned i = 0; i < 200; i++)
		ask_under(s, B, 7, 1000 + i, IKE_FLAG_INITIATOR, true);
	CU_ASSERT_EQUAL(seen.tokens, 20);
	restart(s, B);
	for (unsigned i = 0; i < 200; i++)
		stray(s, A);
	CU_ASSERT_EQUAL(seen.hints, 20);
	sim_free(s);
}

/* ---- hints ----------------------------------------------------------------------------------- */

static size_t hint(uint8_t *out, size_t cap, uint32_t spi, uint64_t spi_i, uint8_t flags)
{
	const struct ike_header h = {
		.spi_i = spi_i, .exchange = INFORMATIONAL, .flags = (uint8_t)flags};
	const struct be32 data = be32_make(spi);
	struct ike_builder b;
	struct bytes message = {0};

	ike_build_begin(&b, out, cap, &h);
	wire_notify_build(&b, NOTIFY_INVALID_SPI, bytes_of(&data, 4));
	CU_ASSERT_EQUAL(ike_build_finish(&b, &message, NULL), ERR_OK);
	return message.len;
}

/* Anybody can say it: it is asked about once in a while, never answered, and a peer that lives is
 * left alone. */
static void test_S44_forged_hints(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt, true, true);
	const struct ike_child *c = list_entry(sa_of(s, A)->children.next, struct ike_child, node);
	const uint64_t before = stats(s, A).sent;
	uint8_t m[64];
	size_t len = hint(m, sizeof(m), c->spi_out, 0, IKE_FLAG_INITIATOR);

	for (unsigned i = 0; i < 1000; i++) {
		sim_inject(s, A, m, len);
		after(s, 10 * NS_PER_MS);
	}
	CU_ASSERT_TRUE(stats(s, A).sent - before >= 4);
	CU_ASSERT_TRUE(stats(s, A).sent - before <= 6);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(s->n[A].ike_down, 0);
	sim_free(s);
}

static void test_S44_hints_of_nothing(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt, true, true);
	const struct ike_child *c = list_entry(sa_of(s, A)->children.next, struct ike_child, node);
	const uint64_t before = stats(s, A).sent;
	uint8_t m[64], bent[64];
	size_t len = hint(m, sizeof(m), c->spi_in, 0, IKE_FLAG_INITIATOR);

	sim_inject(s, A, m, len); /* of what comes in, of which nobody can say that */
	len = hint(m, sizeof(m), c->spi_out, 5, IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE);
	sim_inject(s, A, m, len);
	len = hint(m, sizeof(m), c->spi_out, 0, IKE_FLAG_INITIATOR);
	for (size_t n = 0; n < len; n++)
		sim_inject(s, A, m, n);
	for (size_t bit = 8 * (len - 4); bit < 8 * len; bit++) {
		memcpy(bent, m, len);
		bent[bit / 8] ^= (uint8_t)(1u << bit % 8);
		sim_inject(s, A, bent, len);
	}
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(stats(s, A).sent, before);
	sim_free(s);
}

/* same_spi - all children of e send with this SPI from now: each had it from another peer. */
static void same_spi(struct ike_engine *e, uint32_t spi)
{
	list_for_each (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);
		struct ike_child *c = list_entry(sa->children.next, struct ike_child, node);

		htab_remove(&e->spis_out, &c->by_spi_out);
		c->spi_out = spi;
		htab_insert(&e->spis_out, &c->by_spi_out, bytes_of(&c->spi_out, sizeof(spi)));
	}
}

/* Peers choose SPIs by themselves, and two may have the same: which of them a hint is about is not
 * said, so all are asked, up to four. */
static void test_S44_hint_about_several(void)
{
	static const char *const conns[] = {"net", "net2", "net3", "net4", "net5"};
	const struct sim_options opt = {
		.wire = calm, .conf = {sim_conf_twins(5, ""), sim_conf(B, "unique = never", "")}};
	struct sim *s = sim_new(1, &opt);
	uint64_t before;
	uint8_t m[64];
	size_t len;

	give_secret(s, A);
	give_secret(s, B);
	for (unsigned i = 0; i < ARRAY_LEN(conns); i++) {
		const struct ike_initiate_params p = {
			.conn = conns[i],
			.child = "tun",
			.path = {.local = s->n[A].addr, .remote = s->n[B].addr},
		};

		CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
		sim_settle(s, A);
		after(s, NS_PER_S);
	}
	CU_ASSERT_EQUAL_FATAL(sim_num_sas(s, A), 5);
	same_spi(s->n[A].e, 0x12345678);
	before = stats(s, A).sent;
	len = hint(m, sizeof(m), 0x12345678, 0, IKE_FLAG_INITIATOR);
	sim_inject(s, A, m, len);
	CU_ASSERT_EQUAL(stats(s, A).sent, before + 4);
	sim_free(s);
}

/* A request under way goes out once more, and is given up no sooner. */
static void test_S44_hint_while_waiting(void)
{
	uint8_t token[CRASH_TOKEN_LEN], m[64];
	struct sim *s = asking(token);
	struct ike_sa *sa = sa_of(s, A);
	const struct ike_child *c = list_entry(sa->children.next, struct ike_child, node);
	const uint32_t tries = sa->out.tries;
	const uint64_t sent = stats(s, A).sent;
	size_t len = hint(m, sizeof(m), c->spi_out, 0, IKE_FLAG_INITIATOR);

	sim_inject(s, A, m, len);
	CU_ASSERT_EQUAL(stats(s, A).sent, sent + 1);
	CU_ASSERT_EQUAL(sa->out.tries, tries);
	sim_free(s);
}

/* Who has an IKE SA with us is not told: a hint is for those who do not know that we restarted. */
static void test_S44_no_hint_to_who_is_known(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt, true, true);
	struct seen seen;

	watch(s, B, &seen);
	stray(s, A);
	CU_ASSERT_EQUAL(seen.hints, 0);
	restart(s, B);
	stray(s, A);
	CU_ASSERT_EQUAL(seen.hints, 1);
	sim_free(s);
}

/* It is known by where it is, and not by where it was. */
static void test_S44_no_hint_to_who_has_moved(void)
{
	static const uint8_t elsewhere[4] = {203, 0, 113, 77};
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt, true, true);
	struct path_addr path = sa_of(s, B)->path;
	const struct endpoint was = path.remote;
	struct seen seen;

	watch(s, B, &seen);
	path.remote.addr = ip_addr_v4(elsewhere);
	sa_set_path(sa_of(s, B), &path);
	ike_stray(s->n[B].e, &path, 0, 1, s->now_ns);
	sim_settle(s, B);
	CU_ASSERT_EQUAL(seen.hints, 0);
	path.remote = was;
	ike_stray(s->n[B].e, &path, 0, 1, s->now_ns);
	sim_settle(s, B);
	CU_ASSERT_EQUAL(seen.hints, 1);
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S44_found),
	TAP_TEST(test_S44_found_by_liveness),
	TAP_TEST(test_S44_no_secret),
	TAP_TEST(test_S44_short_secret),
	TAP_TEST(test_S44_eap),
	TAP_TEST(test_S44_rekeyed),
	TAP_TEST(test_S44_replaced),
	TAP_TEST(test_S44_forged),
	TAP_TEST(test_S44_one_of_four),
	TAP_TEST(test_S44_sweep),
	TAP_TEST(test_S44_only_an_answer),
	TAP_TEST(test_S44_never_while_it_lives),
	TAP_TEST(test_S44_never_of_half_open),
	TAP_TEST(test_S44_tokens_differ),
	TAP_TEST(test_S44_bounded),
	TAP_TEST(test_S44_forged_hints),
	TAP_TEST(test_S44_hints_of_nothing),
	TAP_TEST(test_S44_hint_about_several),
	TAP_TEST(test_S44_hint_while_waiting),
	TAP_TEST(test_S44_no_hint_to_who_is_known),
	TAP_TEST(test_S44_no_hint_to_who_has_moved),
};

TAP_MAIN("sim/crash", tests)
