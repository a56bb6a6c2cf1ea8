/* SPDX-License-Identifier: Apache-2.0 */
/* Puzzles before a first message is worked on (RFC 8019), both roles. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/ike/halfopen.h"
#include "control/ike/wire/payload.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

static struct ike_stats stats(const struct sim *s, unsigned side)
{
	struct ike_stats st;

	ike_stats(s->n[side].e, &st);
	return st;
}

/* A world in which B gives puzzles as `b` says, and A solves them as `a` says. conn goes into both
 * connections. */
static struct sim *world(uint64_t seed, const char *conn, const char *a, const char *b)
{
	static char text[2][4096];
	const struct sim_options opt = {.wire = calm, .conf = {text[A], text[B]}};
	struct sim *s;

	for (unsigned side = 0; side < 2; side++)
		snprintf(text[side], sizeof(text[side]), "%s latchkey { %s\n }\n",
			 sim_conf(side, conn, ""), side == A ? a : b);
	s = sim_new(seed, &opt);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static const char always[] = "puzzles = always\n puzzle_difficulty = 8";

/* ---- solved ---------------------------------------------------------------------------------- */

static void test_R8019_solved(void)
{
	struct sim *s = world(1, "", "", always);

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S / 2); /* before anything is repeated */
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(stats(s, B).puzzles_set, 1);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_solved, 1);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_failed + stats(s, B).puzzles_spared, 0);
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	sim_free(s);
}

/* By whichever PRF the initiator offers. */
static void test_R8019_of_each_prf(void)
{
	static const char *const prfs[] = {"prfsha256", "prfsha384", "prfsha512"};
	char conn[100];

	for (size_t i = 0; i < ARRAY_LEN(prfs); i++) {
		struct sim *s;

		snprintf(conn, sizeof(conn), "proposals = aes256gcm16-%s-x25519", prfs[i]);
		s = world(1 + i, conn, "", always);
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, NS_PER_S / 2);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_EQUAL(stats(s, B).puzzles_solved, 1);
		sim_free(s);
	}
}

/* Lost, repeated and late messages: it comes up, and the two agree. */
static void test_R8019_on_a_bad_wire(void)
{
	char why[200];

	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct sim *s = world(seed, "", "", always);

		s->wire = (struct sim_wire){.loss = 25,
					    .repeat = 20,
					    .reorder = 20,
					    .delay_ns = 30 * NS_PER_MS,
					    .reorder_ns = 3 * NS_PER_S,
					    .ask_ns = 2 * NS_PER_S};
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, 75 * NS_PER_S);
		s->wire = calm;
		after(s, 120 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s) && sim_same(s, why));
		sim_free(s);
	}
}

/* The group of the key share is the wrong one: that costs no second puzzle. */
static void test_R8019_another_group(void)
{
	struct sim *s = world(1, "", "", always);
	static char text[2][4096];
	static const char *const groups[] = {"ecp256-x25519", "x25519"};
	struct sim_options opt = {.wire = calm, .conf = {text[A], text[B]}};
	char conn[100];

	sim_free(s);
	for (unsigned side = 0; side < 2; side++) {
		snprintf(conn, sizeof(conn), "proposals = aes256gcm16-prfsha256-%s", groups[side]);
		snprintf(text[side], sizeof(text[side]), "%s latchkey { %s\n }\n",
			 sim_conf(side, conn, ""), side == A ? "" : always);
	}
	s = sim_new(1, &opt);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S / 2);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(stats(s, B).puzzles_set, 1);
	sim_free(s);
}

/* ---- not solved ------------------------------------------------------------------------------ */

/* Who knows nothing of puzzles sends the cookie alone, and is let in sooner or later. */
static void test_R8019_who_solves_none(void)
{
	uint64_t spared = 0, set = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct sim *s = world(seed, "", "puzzle_max = 0", always);

		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, 60 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_EQUAL(stats(s, B).puzzles_solved + stats(s, B).puzzles_failed, 0);
		spared += stats(s, B).puzzles_spared;
		set += stats(s, B).puzzles_set;
		sim_free(s);
	}
	CU_ASSERT_EQUAL(spared, 20);
	CU_ASSERT_TRUE(set >= 20);
}

static bool deaf_to_cookies(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct wire_notify n;
	struct ike_msg m;

	(void)s;
	(void)ctx;
	return from == B || ike_msg_parse(&m, bytes_of(bytes, *len)) ||
	       !wire_notify_find(&n, &m, NOTIFY_COOKIE);
}

/* A puzzle that is more difficult than the configuration lets is not solved, and if nobody answers
 * then, that is said to be why. */
static void test_R8019_too_difficult(void)
{
	struct sim *s =
		world(1, "", "puzzle_max = 17", "puzzles = always\n puzzle_difficulty = 18");

	s->tap = deaf_to_cookies;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 100 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].failed, 1);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_NO_ANSWER);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "had 18 bits, and `puzzle_max` is 17"));
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 0);
	sim_free(s);
}

static bool never(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	(void)s;
	(void)side;
	(void)ctx;
	return ask->kind != IKE_ASK_PUZZLE;
}

/* What is not solved in time is left out. */
static void test_R8019_takes_too_long(void)
{
	struct sim *s = world(1, "", "", always);

	s->asked = never;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 39 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 0);
	after(s, 50 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(stats(s, B).puzzles_spared, 1);
	sim_free(s);
}

/* ---- what responders may say -------------------------------------------------------------------
 */

/* struct change - what the next answers of B with a PUZZLE are made to say. */
struct change {
	size_t at; /* of the notify's body: 2 its type, 4 the PRF, 6 the bits */
	uint16_t type;
	uint8_t value[2];
	uint8_t len;
	uint32_t times;
};

static bool changing(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct change *c = ctx;
	struct wire_notify n;
	struct ike_msg m;

	(void)s;
	if (from != B || !c->times || ike_msg_parse(&m, bytes_of(bytes, *len)) ||
	    !wire_notify_find(&n, &m, NOTIFY_PUZZLE))
		return true;
	c->times--;
	for (uint32_t i = 0; i < m.num; i++) {
		if (!wire_notify_parse(&n, m.payloads[i].body) && n.type == c->type)
			memcpy(bytes + (m.payloads[i].body.p - bytes) + c->at, c->value, c->len);
	}
	return true;
}

static struct ike_stats changed(struct change c, const char *b)
{
	struct sim *s = world(3, "proposals = aes256gcm16-prfsha256-x25519", "", b);
	struct ike_stats st;

	s->tap = changing;
	s->tap_ctx = &c;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 60 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(c.times, 0);
	st = stats(s, B);
	sim_free(s);
	return st;
}

/* As much as the initiator can afford (7.1.1.1). */
static void test_R8019_difficulty_is_left_to_us(void)
{
	const struct change c = {6, NOTIFY_PUZZLE, {0}, 1, 1};

	CU_ASSERT_EQUAL(changed(c, "puzzles = always\n puzzle_difficulty = 12").puzzles_solved, 1);
}

/* A PRF that was not offered is none to be used; the cookie alone is sent. */
static void test_R8019_another_prf(void)
{
	const struct change c = {4, NOTIFY_PUZZLE, {0, PRF_HMAC_SHA2_512}, 2, 1};
	const struct ike_stats st = changed(c, always);

	CU_ASSERT_EQUAL(st.puzzles_failed + st.puzzles_solved, 0);
	CU_ASSERT_EQUAL(st.puzzles_spared, 1);
}

/* A PUZZLE without a COOKIE is as if it had not come (7.1.2). */
static void test_R8019_puzzle_without_cookie(void)
{
	const struct change c = {2, NOTIFY_COOKIE, {0x9f, 0xff}, 2, 1};
	const struct ike_stats st = changed(c, always);

	CU_ASSERT_EQUAL(st.puzzles_set, 2);
	CU_ASSERT_EQUAL(st.puzzles_solved, 1);
}

/* The responder's secret is another one each time that a solution is ready: a few times that is
 * taken, and no more. */
static bool forgetting(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	uint32_t *times = ctx;
	struct ike_msg m;

	if (from != A || ike_msg_parse(&m, bytes_of(bytes, *len)) || !ike_msg_find(&m, PAYLOAD_PS))
		return true;
	if (*times) {
		cookie_jar_fini(&s->n[B].e->cookies);
		--*times;
	}
	return true;
}

static void test_R8019_cookie_changes_meanwhile(void)
{
	for (uint32_t times = 1; times <= 100; times += 99) {
		struct sim *s = world(3, "", "", always);
		uint32_t left = times;

		s->tap = forgetting;
		s->tap_ctx = &left;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, 100 * NS_PER_S);
		CU_ASSERT_EQUAL(sim_up(s), times == 1);
		if (times > 1)
			CU_ASSERT_TRUE(stats(s, A).sent < 30);
		CU_ASSERT_EQUAL(sim_num_sas(s, A), times == 1);
		sim_free(s);
	}
}

/* ---- while one is solved ----------------------------------------------------------------------
 */

/* struct solver - of A: what it was asked. */
struct solver {
	uint8_t bits; /* up to so many are solved */
	uint32_t asks;
	uint64_t ask;  /* the last one */
	uint32_t lost; /* so many answers of B are lost, or */
	bool bent;     /* are changed so that they are none */
};

static bool up_to(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	struct solver *v = ctx;

	(void)s;
	(void)side;
	if (ask->kind != IKE_ASK_PUZZLE)
		return true;
	v->asks++;
	v->ask = ask->id;
	return ask->puzzle->bits <= v->bits;
}

static bool spoil(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct solver *v = ctx;
	struct bytes ke;
	struct ike_msg m;

	(void)s;
	if (from != B || !v->lost)
		return true;
	v->lost--;
	if (!v->bent)
		return false;
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, bytes_of(bytes, *len)), ERR_OK);
	ke = ike_msg_body(&m, PAYLOAD_KE);
	CU_ASSERT_TRUE_FATAL(ke.len > 2);
	bytes[ke.p - bytes + 1] ^= 1; /* its group */
	return true;
}

static struct ike_sa *sa_of(struct sim *s, unsigned side)
{
	CU_ASSERT_FATAL(!list_empty(&s->n[side].e->sas));
	return list_entry(s->n[side].e->sas.next, struct ike_sa, node);
}

/* Who has seen A's request answers it. */
static void forge_notify(struct sim *s, uint16_t type, struct bytes data,
			 const struct wire_puzzle *puzzle)
{
	const struct ike_header h = {
		.spi_i = sa_of(s, A)->spi_i, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_RESPONSE};
	struct ike_builder b;
	struct bytes message;
	uint8_t buf[512];

	ike_build_begin(&b, buf, sizeof(buf), &h);
	wire_notify_build(&b, type, data);
	if (puzzle)
		wire_puzzle_build(&b, puzzle);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &message, NULL), ERR_OK);
	sim_inject(s, A, message.p, message.len);
}

static void forge_puzzle(struct sim *s, uint8_t tag, uint16_t prf, uint8_t bits)
{
	const struct wire_puzzle p = {.prf = prf, .bits = bits};
	uint8_t cookie[COOKIE_LEN];

	memset(cookie, tag, sizeof(cookie));
	forge_notify(s, NOTIFY_COOKIE, bytes_of(cookie, sizeof(cookie)), &p);
}

static bool is_solving(struct sim *s, const struct solver *v)
{
	return sa_of(s, A)->state == SA_I_PUZZLE && ask_find(s->n[A].e, v->ask);
}

/* Before B's answer has come A is told to solve a puzzle that takes it long. */
static struct sim *forged(struct solver *v, const char *a, const char *b)
{
	struct sim *s = world(1, a, "", b);

	s->wire.delay_ns = 20 * NS_PER_MS;
	s->asked = up_to;
	s->tap = spoil;
	s->tap_ctx = v;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	forge_puzzle(s, 1, PRF_HMAC_SHA2_256, 22);
	CU_ASSERT_TRUE_FATAL(is_solving(s, v));
	return s;
}

/* The answer of who was meant is taken, also if that one comes to a repeat of the request. */
static void test_R8019_forged_puzzle(void)
{
	for (uint32_t lost = 0; lost < 3; lost++) {
		struct solver v = {.lost = lost};
		struct sim *s = forged(&v, "", "");
		uint64_t sent;

		after(s, 10 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_EQUAL(v.lost, 0);
		CU_ASSERT_TRUE(stats(s, A).retransmitted >= lost);
		CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
		CU_ASSERT_PTR_NULL(ask_find(s->n[A].e, v.ask)); /* called off */
		sent = stats(s, A).sent;
		sim_answer(s, A, v.ask, IKE_ASK_PUZZLE, true);
		CU_ASSERT_EQUAL(stats(s, A).sent, sent);
		CU_ASSERT_TRUE(sim_up(s));
		sim_free(s);
	}
}

/* struct caught - B's answer, which has not come. */
struct caught {
	uint8_t bytes[2048];
	size_t len;
};

static bool catch_answer(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct caught *c = ctx;

	(void)s;
	if (from != B || c->len)
		return true;
	CU_ASSERT_TRUE_FATAL(*len <= sizeof(c->bytes));
	memcpy(c->bytes, bytes, *len);
	c->len = *len;
	return false;
}

/* Short of memory for what follows an answer, A has no key pair any more: whatever comes then is
 * too late, and nothing is left. */
static void test_R8019_no_memory_for_the_answer(void)
{
	static const char two[] = "proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256";

	for (uint64_t nth = 1; nth < 80; nth++) {
		struct caught c = {.len = 0};
		struct sim *s = world(1, two, "", "");
		uint8_t cookie[COOKIE_LEN] = {1};

		s->tap = catch_answer;
		s->tap_ctx = &c;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, 50 * NS_PER_MS);
		CU_ASSERT_TRUE_FATAL(c.len > 0);
		alloc_fail_nth(nth);
		sim_inject(s, A, c.bytes, c.len);
		alloc_fail_nth(0);
		if (!list_empty(&s->n[A].e->sas))
			forge_notify(s, NOTIFY_COOKIE, bytes_of(cookie, sizeof(cookie)), NULL);
		after(s, 10 * NS_PER_S);
		for (unsigned side = 0; side < 2; side++)
			(void)!sim_terminate(s, side, NULL);
		after(s, 200 * NS_PER_S);
		CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
		sim_free(s);
	}
}

/* A cookie that could not be shown for want of memory is taken when it comes again. */
static void test_R8019_no_memory_for_the_cookie(void)
{
	for (uint64_t nth = 1; nth < 10; nth++) {
		struct solver v = {.lost = 9};
		struct sim *s = forged(&v, "", "");
		uint8_t cookie[COOKIE_LEN] = {7};

		alloc_fail_nth(nth);
		forge_notify(s, NOTIFY_COOKIE, bytes_of(cookie, sizeof(cookie)), NULL);
		alloc_fail_nth(0);
		forge_notify(s, NOTIFY_COOKIE, bytes_of(cookie, sizeof(cookie)), NULL);
		CU_ASSERT_TRUE(sa_of(s, A)->hs->num_cookies >= 1);
		CU_ASSERT_EQUAL(sa_of(s, A)->state, SA_I_INIT);
		sim_free(s);
	}
}

/* So is what asks for less: a cookie alone, an easier puzzle, another group. */
static void test_R8019_cookie_instead(void)
{
	struct solver v = {.asks = 0};
	struct sim *s = forged(&v, "", "cookies = always");

	after(s, NS_PER_S / 2); /* before anything is repeated */
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(stats(s, B).cookies_sent, 1);
	CU_ASSERT_EQUAL(v.asks, 1);
	CU_ASSERT_PTR_NULL(ask_find(s->n[A].e, v.ask));
	sim_free(s);
}

static void test_R8019_easier_instead(void)
{
	struct solver v = {.bits = 8};
	struct sim *s = forged(&v, "", always);

	after(s, NS_PER_S / 2);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(stats(s, B).puzzles_set, 1);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_solved, 1);
	CU_ASSERT_EQUAL(v.asks, 2);
	sim_free(s);
}

static void test_R8019_group_instead(void)
{
	static const uint8_t none_of_ours[] = {0, 14};
	struct solver v = {.asks = 0};
	struct sim *s = forged(&v, "proposals = aes256gcm16-prfsha256-x25519-ecp256", "");

	forge_notify(s, NOTIFY_INVALID_KE_PAYLOAD, bytes_of(none_of_ours, 2), NULL);
	CU_ASSERT_TRUE(is_solving(s, &v));
	forge_notify(s, NOTIFY_INVALID_KE_PAYLOAD, bytes_of((const uint8_t[]){0, 19}, 2), NULL);
	CU_ASSERT_EQUAL(sa_of(s, A)->state, SA_I_INIT);
	CU_ASSERT_PTR_NULL(ask_find(s->n[A].e, v.ask));
	sim_free(s);
}

/* What is no easier is not begun with, whoever sends it and whatever its cookie: B itself has
 * another one every ten seconds. */
static void test_R8019_no_other(void)
{
	struct sim *s = world(1, "proposals = aes256gcm16-prfsha256-x25519", "",
			      "puzzles = always\n puzzle_difficulty = 12");
	struct solver v = {.bits = 0};

	s->asked = up_to;
	s->tap_ctx = &v;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 35 * NS_PER_S);
	CU_ASSERT_TRUE(stats(s, B).puzzles_set > 5); /* the request was repeated */
	forge_puzzle(s, 2, PRF_HMAC_SHA2_256, 12);
	forge_puzzle(s, 3, PRF_HMAC_SHA2_256, 13);
	forge_puzzle(s, 4, PRF_HMAC_SHA2_256, 0); /* as many as we like */
	forge_puzzle(s, 5, PRF_HMAC_SHA2_512, 1); /* not offered */
	CU_ASSERT_TRUE(is_solving(s, &v));
	CU_ASSERT_EQUAL(v.asks, 1);
	sim_answer(s, A, v.ask, IKE_ASK_PUZZLE, true);
	after(s, NS_PER_S / 2);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(stats(s, B).puzzles_solved, 1);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_failed, 0);
	sim_free(s);
}

/* Nor does it use up what a responder may ask for: whoever forges easier and easier ones is solved
 * the last of them, and then the one who was meant. */
static void test_R8019_easier_and_easier(void)
{
	struct solver v = {.bits = 10};
	struct sim *s = forged(&v, "", always);

	for (uint8_t bits = 21; bits > 8; bits--)
		forge_puzzle(s, bits, PRF_HMAC_SHA2_256, bits);
	CU_ASSERT_EQUAL(v.asks, 14);
	after(s, 5 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(stats(s, B).puzzles_solved, 1);
	sim_free(s);
}

/* A cookie that the request has already is no news. */
static void test_R8019_cookie_again(void)
{
	struct solver v = {.asks = 0};
	struct sim *s = world(1, "", "", "");
	uint8_t cookie[COOKIE_LEN] = {7};

	s->n[B].deaf = true;
	s->asked = up_to;
	s->tap_ctx = &v;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	forge_notify(s, NOTIFY_COOKIE, bytes_of(cookie, sizeof(cookie)), NULL);
	forge_puzzle(s, 1, PRF_HMAC_SHA2_256, 22);
	forge_notify(s, NOTIFY_COOKIE, bytes_of(cookie, sizeof(cookie)), NULL);
	CU_ASSERT_TRUE(is_solving(s, &v));
	cookie[0]++;
	forge_notify(s, NOTIFY_COOKIE, bytes_of(cookie, sizeof(cookie)), NULL);
	CU_ASSERT_EQUAL(sa_of(s, A)->state, SA_I_INIT);
	sim_free(s);
}

/* What is no good answer, or a refusal, which anybody could have sent too, stops nothing. */
static void test_R8019_refusals_wait(void)
{
	struct solver v = {.lost = 1, .bent = true};
	struct sim *s = forged(&v, "", "");

	forge_notify(s, NOTIFY_NO_PROPOSAL_CHOSEN, bytes_of(NULL, 0), NULL);
	after(s, NS_PER_S / 2);
	CU_ASSERT_EQUAL(v.lost, 0);
	CU_ASSERT_TRUE(is_solving(s, &v));
	CU_ASSERT_EQUAL(s->n[A].failed, 0);
	after(s, 2 * NS_PER_S); /* its repeat is as it should be */
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* Nobody is given up for not answering while what he asked for is solved. */
static void test_R8019_patience(void)
{
	struct sim *s = world(1, "", "", always);
	struct solver v = {.bits = 0};

	s->asked = up_to;
	s->tap_ctx = &v;
	s->n[A].e->limits.retransmit_tries = 3; /* six seconds */
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 30 * NS_PER_S);
	CU_ASSERT_EQUAL_FATAL(sim_num_sas(s, A), 1);
	CU_ASSERT_TRUE(is_solving(s, &v));
	sim_answer(s, A, v.ask, IKE_ASK_PUZZLE, true);
	after(s, NS_PER_S / 2);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* ---- what initiators may say -------------------------------------------------------------------
 */

struct kept {
	uint8_t bytes[2048];
	size_t len;
	struct bytes solution; /* in bytes */
};

/* A's request with a solution is kept, and does not arrive. */
static bool keep(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct kept *k = ctx;
	struct ike_msg m;

	(void)s;
	if (from != A || k->len || ike_msg_parse(&m, bytes_of(bytes, *len)) ||
	    !ike_msg_find(&m, PAYLOAD_PS))
		return !k->len;
	memcpy(k->bytes, bytes, *len);
	k->len = *len;
	k->solution = ike_msg_body(&m, PAYLOAD_PS);
	k->solution.p = k->bytes + (k->solution.p - bytes);
	return false;
}

static struct sim *kept(struct kept *k, uint64_t seed)
{
	struct sim *s = world(seed, "", "", "puzzles = always\n puzzle_difficulty = 12");

	*k = (struct kept){.len = 0};
	s->tap = keep;
	s->tap_ctx = k;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S / 2);
	CU_ASSERT_EQUAL_FATAL(k->solution.len, 16);
	return s;
}

/* So many are half open that nobody is spared out of turn. */
static void crowd(struct sim *s, bool there)
{
	s->n[B].e->half_open_num += there ? 600u : -600u;
}

static void no_turns(struct sim *s)
{
	s->n[B].e->turn_ns = TIME_NEVER;
}

static bool takes(struct sim *s, const struct kept *k)
{
	uint32_t before = sim_num_sas(s, B);

	crowd(s, true);
	no_turns(s);
	sim_inject(s, B, k->bytes, k->len);
	crowd(s, false);
	return sim_num_sas(s, B) > before;
}

static void test_R8019_every_bit(void)
{
	struct kept k;
	struct sim *s = kept(&k, 1);
	uint8_t *p = k.bytes + (k.solution.p - k.bytes);

	for (size_t bit = 0; bit < k.solution.len * 8; bit++) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_FALSE(takes(s, &k));
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CU_ASSERT_EQUAL(stats(s, B).puzzles_failed, 128);
	CU_ASSERT_TRUE(takes(s, &k));
	CU_ASSERT_EQUAL(stats(s, B).puzzles_solved, 1);
	sim_free(s);
}

/* Four keys are four, and each is checked. */
static void test_R8019_each_of_four(void)
{
	struct kept k, good;
	struct sim *s = kept(&k, 1);
	uint8_t *p = k.bytes + (k.solution.p - k.bytes);

	good = k;
	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < 4; j++) {
			if (i == j)
				continue;
			memcpy(p + 4 * i, p + 4 * j, 4);
			CU_ASSERT_FALSE(takes(s, &k));
			memcpy(k.bytes, good.bytes, k.len);
		}
		memset(p + 4 * i, 0xff, 4);
		CU_ASSERT_FALSE(takes(s, &k));
		memcpy(k.bytes, good.bytes, k.len);
	}
	CU_ASSERT_TRUE(takes(s, &k));
	sim_free(s);
}

/* A solution is of one cookie, and the cookie of one address and nonce. */
static void test_R8019_of_another_cookie(void)
{
	struct kept k, other;
	struct sim *s = kept(&k, 1), *s2 = kept(&other, 2);
	uint8_t *p = k.bytes + (k.solution.p - k.bytes);

	CU_ASSERT_FALSE_FATAL(bytes_equal(k.solution, other.solution));
	memcpy(p, other.solution.p, other.solution.len);
	CU_ASSERT_FALSE(takes(s, &k));
	sim_inject(s, B, other.bytes, other.len); /* the other's cookie, too */
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 0);
	sim_free(s);
	sim_free(s2);
}

/* One solution makes one IKE SA: when that is gone the same is worth nothing. */
static void test_R8019_spent(void)
{
	struct kept k;
	struct sim *s = kept(&k, 1);
	uint64_t set;

	CU_ASSERT_TRUE(takes(s, &k));
	s->n[A].deaf = true;
	(void)!sim_terminate(s, B, NULL);
	after(s, 11 * NS_PER_S);
	while (!list_empty(&s->n[B].e->sas)) {
		struct ike_sa *sa = list_entry(s->n[B].e->sas.next, struct ike_sa, node);

		sa_kill(sa, IKE_REASON_LOCAL, NULL, s->now_ns);
		engine_sweep(s->n[B].e, s->now_ns);
	}
	sim_settle(s, B);
	set = stats(s, B).puzzles_set;
	CU_ASSERT_FALSE(takes(s, &k));
	CU_ASSERT_EQUAL(stats(s, B).puzzles_failed, 1);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_set, set + 1); /* it may solve another */
	sim_free(s);
}

/* A solution is good for as long as it was said, and no longer. */
static void test_R8019_too_late(void)
{
	struct kept k;
	struct sim *s = kept(&k, 1);

	after(s, 58 * NS_PER_S);
	CU_ASSERT_TRUE(takes(s, &k));
	sim_free(s);
	s = kept(&k, 1);
	after(s, 61 * NS_PER_S);
	CU_ASSERT_FALSE(takes(s, &k));
	sim_free(s);
}

/* ---- when --------------------------------------------------------------------------------------
 */

/* A copy of A's first request from another address each. */
static void strangers(struct sim *s, const struct kept *k, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++) {
		const uint8_t addr[4] = {198, 18, (uint8_t)(i >> 8), (uint8_t)i};
		struct ike_datagram dg = {
			.path = {.local = s->n[B].addr,
				 .remote = {.addr = ip_addr_v4(addr), .port = 500}},
			.bytes = bytes_of(k->bytes, k->len)};

		ike_receive(s->n[B].e, &dg, s->now_ns);
		sim_settle(s, B);
	}
}

static bool keep_first(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct kept *k = ctx;

	(void)s;
	if (from == A && !k->len) {
		memcpy(k->bytes, bytes, *len);
		k->len = *len;
	}
	return false;
}

static struct sim *anybodys(struct kept *k, const char *b)
{
	static char text[1024];
	const struct sim_options opt = {.wire = calm, .conf[B] = text};
	struct sim *s;

	snprintf(text, sizeof(text),
		 "connections { net { local { auth = psk }\n remote { auth = psk }\n"
		 " children { tun { } } } }\n latchkey { %s\n }\n",
		 b);
	s = sim_new(1, &opt);
	*k = (struct kept){.len = 0};
	s->tap = keep_first;
	s->tap_ctx = k;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_TRUE_FATAL(k->len > 0);
	return s;
}

/* As many as that may be half open before there are puzzles; then nothing is kept of who solves
 * none. */
static void test_R8019_threshold(void)
{
	struct kept k;
	struct sim *s = anybodys(&k, "puzzle_threshold = 20");

	strangers(s, &k, 500);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 20);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_set, 480);
	CU_ASSERT_EQUAL(stats(s, B).cookies_sent, 480);
	sim_free(s);
	s = anybodys(&k, "puzzle_threshold = 50"); /* cookies before that */
	strangers(s, &k, 500);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 30);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_set, 0);
	sim_free(s);
	s = anybodys(&k, "puzzle_threshold = 20\n puzzles = never");
	strangers(s, &k, 500);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 30);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_set, 0);
	sim_free(s);
}

/* Nothing in common: nothing would come of a puzzle (7.1.1.2). */
static void test_R8019_no_common_prf(void)
{
	struct kept k;
	struct sim *s = anybodys(&k, always);
	struct sa_payload offer;
	struct ike_msg m;
	uint64_t sent;

	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, bytes_of(k.bytes, k.len)), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(sa_parse(&offer, ike_msg_body(&m, PAYLOAD_SA)), ERR_OK);
	CU_ASSERT_EQUAL(sa_common_prf(&offer), PRF_HMAC_SHA2_256);
	for (size_t i = 28; i + 8 < k.len; i++) { /* transforms of type PRF become those of SHA-1 */
		static const uint8_t head[] = {0, 0, 8, TRANSFORM_PRF, 0};

		if (memcmp(k.bytes + i, head, sizeof(head)) == 0)
			k.bytes[i + 6] = 2;
	}
	sent = stats(s, B).sent;
	strangers(s, &k, 10);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_set, 0);
	CU_ASSERT_EQUAL(stats(s, B).sent, sent + 10);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 0);
	sim_free(s);
}

/* The greater the crowd, and the more there is of one source, the more difficult; and the fewer are
 * spared. */
static void test_R8019_how_difficult(void)
{
	static const struct {
		uint32_t half_open;
		uint8_t bits;
		uint32_t chance;
	} cases[] = {{0, 16, 128},  {100, 16, 128}, {199, 16, 99}, {200, 17, 99}, {399, 17, 42},
		     {400, 18, 42}, {549, 18, 16},  {550, 18, 0},  {1000, 18, 0}};
	struct kept k;
	struct sim *s = anybodys(&k, "");
	struct ike_engine *e = s->n[B].e;
	const struct ip_addr from = sim_addr(A, 0);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		e->half_open_num = cases[i].half_open;
		CU_ASSERT_EQUAL(halfopen_puzzling(e), cases[i].half_open >= 100);
		CU_ASSERT_EQUAL(halfopen_difficulty(e, &from), cases[i].bits);
		CU_ASSERT_EQUAL(halfopen_chance(e), cases[i].chance);
	}
	e->half_open_num = 100;
	for (uint32_t failed = 1; failed <= 6; failed++) {
		e->failed[failed] = (struct failed_peer){from, s->now_ns + NS_PER_S};
		e->now_ns = s->now_ns;
		CU_ASSERT_EQUAL(halfopen_difficulty(e, &from), failed < 2   ? 16
							       : failed < 4 ? 17
									    : 18);
	}
	e->half_open_num = 0;
	sim_free(s);
}

/* ---- who solves none in a great crowd -----------------------------------------------------------
 */

/* struct asking - requests of who knows nothing of puzzles: A's first one, with the cookie that B
 * gave with one. */
struct asking {
	struct forge_msg m; /* the cookie's notify is in front */
	uint8_t notify[4 + COOKIE_LEN];
	struct cookie_request r;
};

static void asking_of(struct asking *q, struct sim *s, const struct kept *k)
{
	static const uint8_t head[4] = {0, 0, 0x40, 0x06};

	CU_ASSERT_TRUE_FATAL(forge_open(s, &q->m, A, k->bytes, k->len));
	for (uint32_t i = 0; i < q->m.num; i++)
		if (q->m.payloads[i].type == PAYLOAD_NONCE)
			q->r.ni = q->m.payloads[i].body;
	memmove(q->m.payloads + 1, q->m.payloads, q->m.num++ * sizeof(q->m.payloads[0]));
	memcpy(q->notify, head, sizeof(head));
	q->m.payloads[0] = (struct ike_payload){.type = PAYLOAD_NOTIFY,
						.body = bytes_of(q->notify, sizeof(q->notify))};
}

/* Number i of the strangers sends it, under an SPI that is new each time. True: it was let in. */
static bool ask_from(struct asking *q, struct sim *s, uint32_t i)
{
	const uint8_t addr[4] = {198, 18, (uint8_t)(i >> 8), (uint8_t)i};
	struct ike_datagram dg = {
		.path = {.local = s->n[B].addr, .remote = {.addr = ip_addr_v4(addr), .port = 500}}};
	struct ike_engine *e = s->n[B].e;
	const uint64_t before = stats(s, B).puzzles_spared;
	uint8_t out[FORGE_BUF];

	q->r.from = &dg.path.remote.addr;
	q->r.spi_i = ++q->m.h.spi_i;
	CU_ASSERT_EQUAL_FATAL(
		cookie_make(e->crypto, &e->cookies, q->notify + 4, &q->r, 16, s->now_ns), ERR_OK);
	dg.bytes = bytes_of(out, forge_close(s, &q->m, A, out, sizeof(out)));
	ike_receive(e, &dg, s->now_ns);
	sim_settle(s, B);
	return stats(s, B).puzzles_spared > before;
}

/* How many of those were let in that ask every so often for ten seconds, from so many addresses. No
 * second, wherever it begins, has more than eight. */
static uint32_t let_in(struct sim *s, const struct kept *k, uint64_t every_ns, uint32_t addresses)
{
	static struct asking q;
	uint64_t when[200] = {0};
	uint32_t num = 0;

	asking_of(&q, s, k);
	crowd(s, true);
	for (uint32_t i = 0; i < 10 * NS_PER_S / every_ns; i++) {
		after(s, every_ns);
		if (!ask_from(&q, s, i % addresses))
			continue;
		CU_ASSERT_TRUE_FATAL(num < ARRAY_LEN(when));
		when[num++] = s->now_ns;
		if (num > 8)
			CU_ASSERT_TRUE(when[num - 1] - when[num - 9] >= NS_PER_S);
	}
	crowd(s, false);
	return num;
}

/* However many ask, of those who solve no puzzle about four a second are let in. */
static void test_R8019_so_many_a_second(void)
{
	static const uint64_t every[] = {25 * NS_PER_MS, 5 * NS_PER_MS, NS_PER_MS};

	for (size_t i = 0; i < ARRAY_LEN(every); i++) {
		struct kept k;
		struct sim *s = anybodys(&k, "");
		const uint32_t num = let_in(s, &k, every[i], 10000);

		tap_diag("%u of %u", num, (uint32_t)(10 * NS_PER_S / every[i]));
		CU_ASSERT_TRUE(num >= 20 && num <= 80);
		CU_ASSERT_EQUAL(stats(s, B).puzzles_solved, 0);
		sim_free(s);
	}
}

/* Where as many are half open as there can be nobody is, and no turn is used up by that. */
static void test_R8019_no_room(void)
{
	static struct asking q;
	struct kept k;
	struct sim *s = anybodys(&k, "");
	struct ike_engine *e = s->n[B].e;

	asking_of(&q, s, &k);
	e->half_open_num = e->limits.half_open_max;
	CU_ASSERT_FALSE(ask_from(&q, s, 1));
	e->half_open_num--;
	CU_ASSERT_TRUE(ask_from(&q, s, 1));
	e->half_open_num -= e->limits.half_open_max - 1;
	sim_free(s);
}

/* One address has no more of it for asking more often: one IKE SA, and when that is gone another.
 */
static void test_R8019_one_address(void)
{
	struct kept k;
	struct sim *s = anybodys(&k, "");
	const uint32_t num = let_in(s, &k, 5 * NS_PER_MS, 1);

	CU_ASSERT_TRUE(num >= 1 && num <= 3);
	sim_free(s);
}

/* Nor does it have anybody's turn by asking for what is refused, which keeps no IKE SA. */
static void test_R8019_refused_has_no_turn(void)
{
	static struct asking q;
	struct kept k;
	struct sim *s = anybodys(&k, "");
	struct bytes right;
	uint8_t other[200];
	uint32_t i = 0;

	asking_of(&q, s, &k);
	while (q.m.payloads[i].type != PAYLOAD_KE)
		i++;
	CU_ASSERT_TRUE_FATAL(q.m.payloads[i].body.len <= sizeof(other));
	memcpy(other, q.m.payloads[i].body.p, q.m.payloads[i].body.len);
	other[1] ^= 1; /* another group */
	crowd(s, true);
	after(s, NS_PER_S);
	right = q.m.payloads[i].body;
	q.m.payloads[i].body.p = other;
	CU_ASSERT_TRUE(ask_from(&q, s, 1));
	q.m.payloads[i].body = right;
	CU_ASSERT_TRUE(ask_from(&q, s, 2));
	CU_ASSERT_FALSE(ask_from(&q, s, 3));
	crowd(s, false);
	sim_free(s);
}

/* How many of 20 clients are up within their 20 tries that solve no puzzles, while others that do
 * not either ask every so often, from so many addresses. */
static uint32_t up_among(uint64_t every_ns, uint32_t addresses)
{
	static char text[2][4096];
	const struct sim_options opt = {.wire = calm, .conf = {text[A], text[B]}};
	uint32_t up = 0;

	snprintf(text[A], sizeof(text[A]), "%s latchkey { puzzle_max = 0\n }\n",
		 sim_conf(A, "", ""));
	snprintf(text[B], sizeof(text[B]), "%s", sim_conf_anywhere(B, "", ""));
	for (uint64_t seed = 1; seed <= 20; seed++) {
		static struct asking q;
		struct sim *s = sim_new(seed, &opt);
		struct kept k = {.len = 0};

		s->tap = keep_first;
		s->tap_ctx = &k;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		s->tap = NULL;
		s->addresses = true; /* what answers the others does not come to A */
		asking_of(&q, s, &k);
		crowd(s, true);
		for (uint32_t i = 0; i < 75 * NS_PER_S / every_ns && !sim_up(s); i++) {
			after(s, every_ns);
			(void)ask_from(&q, s, i % addresses);
		}
		up += sim_up(s);
		crowd(s, false);
		sim_free(s);
	}
	tap_diag("%u of 20", up);
	return up;
}

/* Of 40 others a second, from as many addresses and as evenly as can be, one try in twenty gets in
 * between: two of three clients are up. Who has fewer than 20 addresses keeps nobody out, however
 * often he asks. */
static void test_R8019_strangers_without_puzzles(void)
{
	CU_ASSERT_TRUE(up_among(NS_PER_S / 40, 10000) >= 10);
	CU_ASSERT_EQUAL(up_among(NS_PER_S / 400, 15), 20);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_R8019_solved),
	TAP_TEST(test_R8019_of_each_prf),
	TAP_TEST(test_R8019_on_a_bad_wire),
	TAP_TEST(test_R8019_another_group),
	TAP_TEST(test_R8019_who_solves_none),
	TAP_TEST(test_R8019_too_difficult),
	TAP_TEST(test_R8019_takes_too_long),
	TAP_TEST(test_R8019_difficulty_is_left_to_us),
	TAP_TEST(test_R8019_another_prf),
	TAP_TEST(test_R8019_puzzle_without_cookie),
	TAP_TEST(test_R8019_cookie_changes_meanwhile),
	TAP_TEST(test_R8019_forged_puzzle),
	TAP_TEST(test_R8019_no_memory_for_the_answer),
	TAP_TEST(test_R8019_no_memory_for_the_cookie),
	TAP_TEST(test_R8019_cookie_instead),
	TAP_TEST(test_R8019_easier_instead),
	TAP_TEST(test_R8019_group_instead),
	TAP_TEST(test_R8019_no_other),
	TAP_TEST(test_R8019_easier_and_easier),
	TAP_TEST(test_R8019_cookie_again),
	TAP_TEST(test_R8019_refusals_wait),
	TAP_TEST(test_R8019_patience),
	TAP_TEST(test_R8019_every_bit),
	TAP_TEST(test_R8019_each_of_four),
	TAP_TEST(test_R8019_of_another_cookie),
	TAP_TEST(test_R8019_spent),
	TAP_TEST(test_R8019_too_late),
	TAP_TEST(test_R8019_threshold),
	TAP_TEST(test_R8019_no_common_prf),
	TAP_TEST(test_R8019_how_difficult),
	TAP_TEST(test_R8019_so_many_a_second),
	TAP_TEST(test_R8019_no_room),
	TAP_TEST(test_R8019_one_address),
	TAP_TEST(test_R8019_refused_has_no_turn),
	TAP_TEST(test_R8019_strangers_without_puzzles),
};

TAP_MAIN("sim/puzzles", tests)
