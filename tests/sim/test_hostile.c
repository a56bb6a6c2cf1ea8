/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that no honest peer sends, at every point of the protocol. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/ike/step.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_options plain = {.wire = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS}};

/* struct script - what a tap does to which message. */
struct script {
	uint32_t at; /* which datagram, counted from 0 */
	uint32_t seen;
	uint32_t what; /* the mutation's own number */
	bool done;     /* the mutation applied */
	void (*mutate)(struct script *sc, struct forge_msg *m);
};

static bool run_script(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct script *sc = ctx;
	static uint8_t out[FORGE_BUF];
	struct forge_msg m;
	size_t n;

	if (sc->seen++ != sc->at || !forge_open(s, &m, from, bytes, *len))
		return true;
	sc->mutate(sc, &m);
	if (!sc->done)
		return true;
	n = forge_close(s, &m, from, out, sizeof(out));
	if (!n || n > *len + 512)
		return true;
	/* send_datagram() gave room for the message alone: inject what is longer */
	if (n > *len) {
		sim_inject(s, !from, out, n);
		return false;
	}
	memcpy(bytes, out, n);
	*len = n;
	return true;
}

/* A scene with every exchange: handshake, re-keys from both sides, a new child, deletes. */
static void play(struct sim *s)
{
	(void)!sim_initiate(s, A, "tun");
	sim_run(s, s->now_ns + NS_PER_S);
	(void)!sim_rekey(s, A, "tun");
	sim_run(s, s->now_ns + NS_PER_S);
	(void)!sim_rekey(s, B, "tun");
	sim_run(s, s->now_ns + NS_PER_S);
	(void)!sim_rekey(s, B, NULL);
	sim_run(s, s->now_ns + NS_PER_S);
	(void)!sim_terminate(s, B, "tun");
	sim_run(s, s->now_ns + NS_PER_S);
	(void)!sim_initiate(s, B, "tun");
	sim_run(s, s->now_ns + NS_PER_S);
	(void)!sim_terminate(s, A, NULL);
	sim_run(s, s->now_ns + NS_PER_S);
}

static uint32_t count_messages(void)
{
	struct sim *s = sim_new(1, &plain);
	struct ike_stats a, b;

	play(s);
	ike_stats(s->n[A].e, &a);
	ike_stats(s->n[B].e, &b);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	CU_ASSERT_EQUAL(a.dropped + b.dropped, 0);
	sim_free(s);
	return (uint32_t)(a.sent + b.sent);
}

/* Whatever happened, it ends: nothing is left once all time limits are over. */
static void ends_clean(struct sim *s)
{
	(void)!sim_terminate(s, A, NULL);
	(void)!sim_terminate(s, B, NULL);
	sim_run(s, s->now_ns + 300 * NS_PER_S);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(sim_clean(s, i));
		CU_ASSERT_EQUAL(sim_num_sas(s, i), 0);
	}
}

static bool mutated(uint32_t at, uint32_t what, void (*mutate)(struct script *, struct forge_msg *))
{
	struct script sc = {.at = at, .what = what, .mutate = mutate};
	struct sim *s = sim_new(1, &plain);

	s->tap = run_script;
	s->tap_ctx = &sc;
	play(s);
	ends_clean(s);
	sim_free(s);
	return sc.done;
}

static void omit(struct script *sc, struct forge_msg *m)
{
	if (sc->what >= m->num)
		return;
	for (uint32_t i = sc->what; i + 1 < m->num; i++)
		m->payloads[i] = m->payloads[i + 1];
	m->num--;
	sc->done = true;
}

static void twice(struct script *sc, struct forge_msg *m)
{
	if (sc->what >= m->num || m->num == IKE_MAX_PAYLOADS)
		return;
	m->payloads[m->num] = m->payloads[sc->what];
	m->num++;
	sc->done = true;
}

static void swap(struct script *sc, struct forge_msg *m)
{
	struct ike_payload p;

	if (sc->what + 1 >= m->num)
		return;
	p = m->payloads[sc->what];
	m->payloads[sc->what] = m->payloads[sc->what + 1];
	m->payloads[sc->what + 1] = p;
	sc->done = true;
}

static void cut(struct script *sc, struct forge_msg *m)
{
	if (sc->what >= m->num || !m->payloads[sc->what].body.len)
		return;
	m->payloads[sc->what].body.len--;
	sc->done = true;
}

static void test_S4_every_payload_of_every_message(void)
{
	static void (*const mutations[])(struct script *, struct forge_msg *) = {omit, twice, swap,
										 cut};
	uint32_t num = count_messages(), applied = 0;

	CU_ASSERT_TRUE(num >= 18);
	for (uint32_t at = 0; at < num; at++)
		for (size_t k = 0; k < ARRAY_LEN(mutations); k++)
			for (uint32_t what = 0; what < 12; what++) {
				if (!mutated(at, what, mutations[k]))
					break;
				applied++;
			}
	tap_diag("%u messages, %u mutations", num, applied);
	CU_ASSERT_TRUE(applied > 150);
}

/* ---- contents from a peer that holds the keys
 * ------------------------------------------------------- */

static uint32_t scatter(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x >> 8;
}

/* One to four bytes somewhere in the payloads become others; the message is sealed again. */
static void garble(struct script *sc, struct forge_msg *m)
{
	uint32_t x = sc->what * 2654435761u + 1, changes = 1 + scatter(&x) % 4;

	for (uint32_t i = 0; m->num && i < changes; i++) {
		const struct ike_payload *p = &m->payloads[scatter(&x) % m->num];

		if (!p->body.len)
			continue;
		m->buf[(size_t)(p->body.p - m->buf) + scatter(&x) % p->body.len] ^=
			(uint8_t)(1u << scatter(&x) % 8);
		sc->done = true;
	}
}

/* The state machine meets well-sealed nonsense everywhere: it ends clean each time. SIM_GARBLED
 * sets how many (600). */
static void test_garbled_contents(void)
{
	const char *v = getenv("SIM_GARBLED");
	uint32_t num = v ? (uint32_t)strtoul(v, NULL, 10) : 600, messages = count_messages(),
		 done = 0;

	for (uint32_t i = 0; i < num; i++)
		done += mutated(i % messages, i, garble);
	tap_diag("%u garbled", done);
	CU_ASSERT_TRUE(done > num / 2);
}

/* ---- what is required (S4) ----------------------------------------------------------------------
 */

/* struct strict - every copy of one handshake message loses or doubles a payload. */
struct strict {
	uint8_t exchange, type;
	bool response, doubled, applied;
};

static void change(struct strict *st, struct forge_msg *m)
{
	for (uint32_t i = 0; i < m->num; i++) {
		if (m->payloads[i].type != st->type)
			continue;
		if (st->doubled)
			m->payloads[m->num++] = m->payloads[i];
		else
			m->payloads[i] = m->payloads[--m->num];
		st->applied = true;
		return;
	}
}

static bool be_strict(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static uint8_t out[FORGE_BUF];
	struct strict *st = ctx;
	struct forge_msg m;
	size_t n;

	if (bytes[18] != st->exchange || !(bytes[19] & IKE_FLAG_RESPONSE) == st->response ||
	    !forge_open(s, &m, from, bytes, *len))
		return true;
	change(st, &m);
	n = forge_close(s, &m, from, out, sizeof(out));
	if (n)
		sim_inject(s, !from, out, n);
	return false;
}

/* Neither side takes a handshake message without a required payload, or with one twice. */
static void test_S4_required_once(void)
{
	static const struct strict cases[] = {
		{.exchange = IKE_SA_INIT, .type = PAYLOAD_SA},
		{.exchange = IKE_SA_INIT, .type = PAYLOAD_KE},
		{.exchange = IKE_SA_INIT, .type = PAYLOAD_NONCE},
		{.exchange = IKE_AUTH, .type = PAYLOAD_AUTH},
		{.exchange = IKE_AUTH, .type = PAYLOAD_IDI},
		{.exchange = IKE_AUTH, .type = PAYLOAD_IDR, .response = true},
		{.exchange = IKE_AUTH, .type = PAYLOAD_AUTH, .response = true},
		{.exchange = IKE_AUTH, .type = PAYLOAD_SA, .response = true},
		{.exchange = IKE_AUTH, .type = PAYLOAD_TSI},
		{.exchange = IKE_AUTH, .type = PAYLOAD_TSR, .response = true},
	};

	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		struct strict st = cases[i / 2];
		struct sim *s = sim_new(1, &plain);

		st.doubled = i & 1;
		s->tap = be_strict;
		s->tap_ctx = &st;
		(void)!sim_initiate(s, A, "tun");
		sim_run(s, s->now_ns + 3 * NS_PER_S);
		CU_ASSERT_TRUE(st.applied);
		CU_ASSERT_FALSE(sim_up(s));
		CU_ASSERT_EQUAL(s->n[A].ike_up, 0);
		s->tap = NULL;
		ends_clean(s);
		sim_free(s);
	}
}

/* ---- replay and reflection (S31)
 * ----------------------------------------------------------------- */

struct record {
	uint8_t bytes[64][2048];
	size_t len[64];
	unsigned from[64];
	uint32_t num;
};

static bool recording(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct record *r = ctx;

	(void)s;
	if (r->num < 64 && *len <= sizeof(r->bytes[0])) {
		memcpy(r->bytes[r->num], bytes, *len);
		r->len[r->num] = *len;
		r->from[r->num++] = from;
	}
	return true;
}

struct snapshot {
	enum sa_state state[16];
	uint32_t in[16], out[16], num, pairs;
};

static struct snapshot look(struct sim *s, unsigned side)
{
	struct snapshot shot = {.num = 0, .pairs = s->n[side].num_pairs};

	list_for_each (n, &s->n[side].e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->state == SA_R_INIT) /* anybody may begin: it is not a change of ours */
			continue;
		shot.state[shot.num] = sa->state;
		shot.in[shot.num] = sa->in.x.next_id;
		shot.out[shot.num++] = sa->out.x.next_id;
	}
	return shot;
}

/* Everything recorded so far comes again, to where it went and to where it came from. */
static void throw_all(struct sim *s, struct record *r, uint32_t num)
{
	for (unsigned side = 0; side < 2; side++) {
		for (uint32_t i = 0; i < num; i++) {
			struct snapshot before = look(s, side), after;
			struct ike_stats st;

			ike_stats(s->n[side].e, &st);
			sim_inject(s, side, r->bytes[i], r->len[i]);
			after = look(s, side);
			CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof(before)), 0);
		}
	}
}

/* After every message of the scene, all before it are replayed and reflected: no state changes. */
static void test_S31_replay_and_reflect(void)
{
	struct record *r = calloc(1, sizeof(*r));
	struct sim *s = sim_new(1, &plain);
	uint32_t seen = 0;

	s->tap = recording;
	s->tap_ctx = r;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	for (unsigned i = 0; i < 6; i++) {
		sim_run(s, s->now_ns + NS_PER_S);
		seen = r->num;
		throw_all(s, r, seen);
		r->num = seen; /* answers to repeats are repeats */
		if (i == 0)
			CU_ASSERT_TRUE(sim_up(s));
		(void)!sim_rekey(s, i & 1, i % 3 == 2 ? NULL : "tun");
	}
	CU_ASSERT_TRUE(seen > 12);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	ends_clean(s);
	sim_free(s);
	free(r);
}

/* An initiator does not answer its own first request. */
static void test_S31_own_request_comes_back(void)
{
	struct record *r = calloc(1, sizeof(*r));
	struct sim *s = sim_new(1, &plain);
	struct ike_stats st;

	s->tap = recording;
	s->tap_ctx = r;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_EQUAL(r->num, 1);
	sim_inject(s, A, r->bytes[0], r->len[0]);
	ike_stats(s->n[A].e, &st);
	CU_ASSERT_EQUAL(st.half_open, 0);
	CU_ASSERT_EQUAL(r->num, 1);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
	free(r);
}

/* ---- bits of IKE_SA_INIT (S28)
 * -------------------------------------------------------------------- */

struct flip {
	uint32_t at, seen;
	size_t bit, bits;
};

static bool flipping(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct flip *f = ctx;

	(void)s;
	(void)from;
	if (f->seen++ != f->at)
		return true;
	f->bits = *len * 8;
	if (f->bit < f->bits)
		bytes[f->bit / 8] ^= (uint8_t)(1u << f->bit % 8);
	return true;
}

/* The attacker drops every repeat, so that no clean copy arrives. */
static bool drop_repeats(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct flip *f = ctx;
	struct ike_header h;

	if (f->seen > f->at && !ike_header_parse(&h, bytes_of(bytes, *len)) &&
	    h.exchange == IKE_SA_INIT && f->seen > 1)
		return false;
	return flipping(s, from, bytes, len, ctx);
}

static bool in_state(struct sim *s, unsigned side, enum sa_state want)
{
	list_for_each (n, &s->n[side].e->sas) {
		if (list_entry(n, struct ike_sa, node)->state == want)
			return true;
	}
	return false;
}

static bool anything_up(struct sim *s)
{
	return s->n[A].ike_up || in_state(s, B, SA_ESTABLISHED) || s->n[A].num_pairs;
}

/* One bit of the request or of the response is not what was sent: nothing is established. (The
 * responder may believe so until the initiator, who alone sees a changed response, tells it.) */
static bool flip_one(struct sim *s, uint32_t at, size_t bit, size_t *out_bits)
{
	struct flip f = {.at = at, .bit = bit};
	bool up;

	s->tap = drop_repeats;
	s->tap_ctx = &f;
	s->n[A].ike_up = s->n[B].ike_up = 0;
	(void)!sim_initiate(s, A, "tun");
	sim_run(s, s->now_ns + NS_PER_S / 2);
	up = anything_up(s) || (at == 0 && s->n[B].ike_up);
	*out_bits = f.bits;
	s->tap = NULL;
	(void)!sim_terminate(s, A, NULL);
	(void)!sim_terminate(s, B, NULL);
	sim_run(s, s->now_ns + 100 * NS_PER_S);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	return up;
}

static void test_S28_flip_every_bit_of_sa_init(void)
{
	struct sim *s = sim_new(1, &plain);
	uint32_t established = 0, tried = 0;
	size_t bits;

	for (uint32_t at = 0; at < 2; at++) {
		bits = 1;
		for (size_t bit = 0; bit < bits; bit++, tried++)
			if (flip_one(s, at, bit, &bits)) {
				established++;
				tap_diag("message %u bit %zu: established", at, bit);
			}
	}
	CU_ASSERT_TRUE(flip_one(s, 99, 0, &bits)); /* untouched it is established */
	tap_diag("%u bits", tried);
	CU_ASSERT_TRUE(tried > 2000);
	CU_ASSERT_EQUAL(established, 0);
	sim_free(s);
}

/* ---- every state, every message (S9)
 * --------------------------------------------------------------- */

static const uint8_t exchanges[] = {0,
				    33,
				    IKE_SA_INIT,
				    IKE_AUTH,
				    CREATE_CHILD_SA,
				    INFORMATIONAL,
				    IKE_SESSION_RESUME,
				    IKE_INTERMEDIATE,
				    IKE_FOLLOWUP_KE,
				    255};

/* Sets of payloads: types in order, 0-terminated. */
static const uint8_t contents[][8] = {
	{0},
	{PAYLOAD_SA, PAYLOAD_KE, PAYLOAD_NONCE},
	{PAYLOAD_SA, PAYLOAD_NONCE, PAYLOAD_TSI, PAYLOAD_TSR},
	{PAYLOAD_SA, PAYLOAD_NONCE, PAYLOAD_KE, PAYLOAD_TSI, PAYLOAD_TSR},
	{PAYLOAD_IDI, PAYLOAD_AUTH, PAYLOAD_SA, PAYLOAD_TSI, PAYLOAD_TSR},
	{PAYLOAD_IDR, PAYLOAD_AUTH, PAYLOAD_SA, PAYLOAD_TSI, PAYLOAD_TSR},
	{PAYLOAD_IDR, PAYLOAD_AUTH},
	{PAYLOAD_IDI, PAYLOAD_SA, PAYLOAD_TSI, PAYLOAD_TSR},
	{PAYLOAD_NOTIFY},
	{PAYLOAD_DELETE},
	{PAYLOAD_NOTIFY, PAYLOAD_DELETE, PAYLOAD_NOTIFY},
	{PAYLOAD_EAP},
	{PAYLOAD_CP, PAYLOAD_VENDOR, PAYLOAD_CERT},
	{PAYLOAD_CERTREQ, PAYLOAD_CERT, PAYLOAD_CERT},
	{PAYLOAD_KE},
	{PAYLOAD_KE, PAYLOAD_NOTIFY},
	{PAYLOAD_CP},
	{PAYLOAD_TSI, PAYLOAD_TSI},
};

static const uint8_t zeros[64];

/* A body for a payload: empty, zeros, or well formed as far as bytes without meaning can be. */
static struct bytes body_of(uint8_t type, unsigned variant)
{
	static const uint8_t notify_cookie[] = {0, 0, 0x40, 0x06, 1, 2, 3, 4};
	static const uint8_t notify_temporary[] = {0, 0, 0, 43};
	static const uint8_t notify_ke[] = {0, 0, 0, 17, 0, 19};
	static const uint8_t delete_ike[] = {1, 0, 0, 0};
	static const uint8_t delete_esp[] = {3, 4, 0, 1, 1, 2, 3, 4};

	if (variant == 0)
		return bytes_of(zeros, 0);
	if (variant == 1)
		return bytes_of(zeros, sizeof(zeros));
	if (type == PAYLOAD_NOTIFY)
		return variant == 2   ? bytes_of(notify_cookie, sizeof(notify_cookie))
		       : variant == 3 ? bytes_of(notify_temporary, sizeof(notify_temporary))
				      : bytes_of(notify_ke, sizeof(notify_ke));
	if (type == PAYLOAD_DELETE)
		return variant == 2 ? bytes_of(delete_ike, sizeof(delete_ike))
				    : bytes_of(delete_esp, sizeof(delete_esp));
	return bytes_of(zeros, 36);
}

static unsigned waiting_side;
static enum sa_state waiting_state;
static uint32_t probed;

/* What a half-open IKE SA is sent has keys once the initiator has the answer. */
static bool reached(struct sim *s)
{
	list_for_each (n, &s->n[waiting_side].e->sas) {
		const struct ike_sa *sa = list_entry(n, struct ike_sa, node);
		const struct ike_header h = {.spi_i = sa->spi_i, .spi_r = sa->spi_r};

		if (sa->state == waiting_state && (waiting_side == A || forge_sa(s, A, &h)))
			return true;
	}
	return false;
}

static void bring(struct sim *s, enum sa_state state, unsigned *out_side)
{
	const bool responder = state >= SA_R_INIT && state <= SA_R_ACCEPT;

	*out_side = waiting_side = responder ? B : A;
	waiting_state = state;
	if (state == SA_I_PUZZLE)
		sim_puzzles(s, B);
	(void)!sim_initiate(s, A, "tun");
	if (state == SA_I_JUDGE || state == SA_I_RESUME || state == SA_I_RESUMED ||
	    state == SA_R_RESUMED || state == SA_R_JUDGE) {
		sim_run(s, s->now_ns + NS_PER_S);
		forge_lost(s);
		(void)!sim_initiate(s, A, "tun");
	} else if (state == SA_I_FIND || state > SA_ESTABLISHED) {
		sim_run(s, s->now_ns + NS_PER_S);
		if (state == SA_I_FIND)
			(void)!sim_redirect(s, B, "gw.example");
		else if (state == SA_REKEYED)
			(void)!sim_rekey(s, B, NULL);
		else
			(void)!sim_terminate(s, A, NULL);
	}
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 5 * NS_PER_S, reached));
}

/* Who sends to an IKE SA: the peer, or whoever likes while no peer has keys, in the clear. */
static struct ike_sa *sender_to(struct sim *s, unsigned side, const struct ike_sa *sa)
{
	const struct ike_header h = {.spi_i = sa->spi_i, .spi_r = sa->spi_r};
	struct ike_sa *peer = forge_sa(s, !side, &h);
	static struct ike_sa anybody;

	anybody.spi_i = sa->spi_i;
	anybody.spi_r = sa->spi_r ? sa->spi_r : 1;
	anybody.initiator = !sa->initiator;
	return peer ? peer : &anybody;
}

/* One message into one state: payloads by their types, 0-terminated, each with what a variant says,
 * or with a notify of its own. */
static void probe(struct sim *s, enum sa_state state, uint8_t exchange, bool response,
		  const uint8_t *types, unsigned variant, const struct bytes *notify)
{
	const struct ike_sa *sa = NULL;
	struct ike_payload p[8];
	uint8_t buf[2048];
	uint32_t num = 0;
	unsigned side;
	size_t len;

	bring(s, state, &side);
	list_for_each (n, &s->n[side].e->sas) {
		if (list_entry(n, struct ike_sa, node)->state == state)
			sa = list_entry(n, struct ike_sa, node);
	}
	CU_ASSERT_FATAL(sa != NULL);
	for (; types[num]; num++)
		p[num] = (struct ike_payload){.type = types[num],
					      .body = notify ? *notify
							     : body_of(types[num], variant)};
	len = forge_bare(s, sender_to(s, side, sa), exchange, response ? IKE_FLAG_RESPONSE : 0,
			 response ? sa->out.x.next_id : sa->in.x.next_id, p, num, buf, sizeof(buf));
	CU_ASSERT_FATAL(len > 0);
	sim_inject(s, side, buf, len);
	probed++;
	ends_clean(s);
}

#define EXTRA SIM_PPK "\n resumption = yes"
#define KES   "proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256"

/* struct world - states, SA_NONE behind the last one, that the two go through with this. */
static const struct world {
	enum sa_state states[16];
	const char *(*conf)(unsigned side, const char *extra, const char *child_extra);
	const char *extra;
	bool sign;
} worlds[] = {
	{{SA_I_INIT, SA_I_SECRET, SA_I_AUTH, SA_I_VERIFY, SA_I_AUTHORIZE, SA_I_ACCEPT, SA_R_INIT,
	  SA_R_VERIFY, SA_R_AUTHORIZE, SA_R_ACCEPT, SA_ESTABLISHED, SA_REKEYED, SA_DELETING},
	 sim_conf,
	 "",
	 false},
	{{SA_I_EAP_SERVER, SA_I_EAP_WORK, SA_I_EAP, SA_R_EAP_SIGN, SA_R_EAP, SA_R_EAP_WORK,
	  SA_R_EAP_PPK},
	 sim_conf_eap,
	 EXTRA,
	 true},
	{{SA_I_PPK, SA_R_PPK, SA_R_SIGN, SA_I_JUDGE, SA_I_RESUME, SA_I_RESUMED, SA_R_RESUMED,
	  SA_R_JUDGE},
	 sim_conf_sign,
	 EXTRA,
	 true},
	/* with a key exchange between IKE_SA_INIT and IKE_AUTH */
	{{SA_I_PPK, SA_R_INIT, SA_ESTABLISHED}, sim_conf, KES, false},
	{{SA_I_FIND}, sim_conf, "follow_redirects = yes", false},
	/* by itself, since there are puzzles from then on */
	{{SA_I_PUZZLE}, sim_conf, "", false},
};

static struct sim *world_of(const struct world *w)
{
	struct sim_options opt = {.wire = {.delay_ns = 20 * NS_PER_MS, .ask_ns = 20 * NS_PER_MS},
				  .by_keyring = w->sign,
				  .sign = w->sign};

	for (unsigned side = 0; side < 2; side++)
		opt.conf[side] = sim_with_ppk(side, w->conf(side, w->extra, ""));
	return sim_new(3, &opt);
}

/* Of all worlds. */
static void each_state(void (*fn)(struct sim *s, enum sa_state state))
{
	for (size_t w = 0; w < ARRAY_LEN(worlds); w++) {
		struct sim *s = world_of(&worlds[w]);

		for (size_t i = 0; i < ARRAY_LEN(worlds[w].states) && worlds[w].states[i]; i++)
			fn(s, worlds[w].states[i]);
		sim_free(s);
	}
}

static void every_message(struct sim *s, enum sa_state state)
{
	for (size_t j = 0; j < ARRAY_LEN(exchanges); j++)
		for (size_t k = 0; k < ARRAY_LEN(contents); k++)
			for (unsigned v = 0; v < 8; v++)
				probe(s, state, exchanges[j], v & 1, contents[k], v / 2, NULL);
}

static void test_S9_every_state_every_message(void)
{
	probed = 0;
	each_state(every_message);
	tap_diag("%u messages", probed);
	CU_ASSERT_TRUE(probed > 10000);
}

/* NOTIFIES - status types that the standards give, and those of private use that are known here. */
#define NOTIFIES_FIRST   NOTIFY_INITIAL_CONTACT
#define NOTIFIES_LAST    NOTIFY_SA_RESOURCE_INFO
#define NOTIFIES_PRIVATE (NOTIFY_MIF_RESULT - NOTIFY_MIF_SUPPORTED + 1)

static uint16_t notify_of(unsigned i)
{
	const unsigned of_standards = NOTIFIES_LAST - NOTIFIES_FIRST + 1;

	return (uint16_t)(i < of_standards ? NOTIFIES_FIRST + i
					   : NOTIFY_MIF_SUPPORTED + i - of_standards);
}

/* Alone in a message, without data and with some. */
static void every_notify(struct sim *s, enum sa_state state)
{
	static const uint8_t in[] = {IKE_AUTH, INFORMATIONAL, IKE_FOLLOWUP_KE};
	static const uint8_t types[] = {PAYLOAD_NOTIFY, 0};
	const unsigned num = NOTIFIES_LAST - NOTIFIES_FIRST + 1 + NOTIFIES_PRIVATE;

	for (unsigned i = 0; i < num; i++)
		for (unsigned v = 0; v < 4 * ARRAY_LEN(in); v++) {
			uint8_t body[44] = {
				[7] = 4, [8] = 1, [9] = 4, [10] = 192, [12] = 2, [13] = 2};
			const struct bytes notify = bytes_of(body, v & 1 ? sizeof(body) : 4);

			store_be16(body + 2, notify_of(i));
			probe(s, state, in[v / 4], v & 2, types, 0, &notify);
		}
}

static void test_S9_every_state_every_notify(void)
{
	probed = 0;
	each_state(every_notify);
	tap_diag("%u messages", probed);
	CU_ASSERT_TRUE(probed > 10000);
}

/* ---- what is refused costs nothing ------------------------------------------------------------
 */

/* struct refused - a payload that A's first request does not get past B with. */
struct refused {
	uint8_t type, len;
	uint8_t body[8];
};

/* A's first request, with one more payload before the others, so that it is the one that counts. */
static bool add_first(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	const struct refused *r = ctx;
	static uint8_t out[FORGE_BUF];
	struct forge_msg m;
	size_t n;

	if (from != A || !forge_open(s, &m, from, bytes, *len) || m.num == IKE_MAX_PAYLOADS)
		return false;
	if (r->len) {
		memmove(m.payloads + 1, m.payloads, m.num * sizeof(m.payloads[0]));
		m.payloads[0] =
			(struct ike_payload){.type = r->type, .body = bytes_of(r->body, r->len)};
		m.num++;
	}
	n = forge_close(s, &m, from, out, sizeof(out));
	CU_ASSERT_TRUE_FATAL(n > 0);
	sim_inject(s, B, out, n);
	return false;
}

/* How often B draws randomness for it. */
static uint64_t draws(const struct refused *r, bool *half_open)
{
	struct sim *s = sim_new(1, &plain);
	const uint64_t before = s->n[B].rng.counter;
	struct ike_stats st;
	uint64_t num;

	s->tap = add_first;
	s->tap_ctx = (void *)(uintptr_t)r;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	num = s->n[B].rng.counter - before;
	ike_stats(s->n[B].e, &st);
	*half_open = st.half_open > 0;
	sim_free(s);
	return num;
}

/* The limits of half-open IKE SAs do not hold for what never is one: no key pair is made of it. */
static void test_S43_no_key_pair_for_what_is_refused(void)
{
	static const struct refused
		none = {0},
		cases[] = {
			{PAYLOAD_NOTIFY, 7, {0, 0, 0x40, 0x2f, 0, 2, 0}}, /* hash algorithms, odd */
			{PAYLOAD_NOTIFY,
			 5,
			 {0, 0, 0x40, 0x3b, 9}}, /* authentication methods, cut */
			{PAYLOAD_CERTREQ,
			 8,
			 {CERT_X509_SIGNATURE, 1, 2, 3}}, /* no whole key identifier */
		};
	bool half_open;
	uint64_t whole = draws(&none, &half_open);

	CU_ASSERT_TRUE(half_open);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const uint64_t num = draws(&cases[i], &half_open);

		CU_ASSERT_FALSE(half_open);
		CU_ASSERT_EQUAL(num + 2, whole); /* but for the key pair and the nonce */
	}
}

/* ---- memory
 * ---------------------------------------------------------------------------------------- */

/* Each allocation of the whole scene fails once: errors are clean, nothing leaks, all ends. */
static void test_fail_every_allocation(void)
{
	uint64_t first, last, before = alloc_count();
	struct sim *s = sim_new(1, &plain);

	first = alloc_count() - before;
	play(s);
	sim_free(s);
	last = alloc_count() - before;
	tap_diag("allocations %lu to %lu", (unsigned long)first, (unsigned long)last);
	CU_ASSERT_TRUE(last - first > 300);
	for (uint64_t n = 1; n <= last - first; n++) {
		s = sim_new(1, &plain);
		alloc_fail_nth(n);
		play(s);
		alloc_fail_nth(0);
		sim_run(s, s->now_ns + 100 * NS_PER_S);
		ends_clean(s);
		sim_free(s);
	}
	for (uint64_t n = 1; n <= first; n++) {
		alloc_fail_nth(n);
		s = sim_new(1, &plain);
		alloc_fail_nth(0);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S4_every_payload_of_every_message),
	TAP_TEST(test_garbled_contents),
	TAP_TEST(test_S4_required_once),
	TAP_TEST(test_S31_own_request_comes_back),
	TAP_TEST(test_S31_replay_and_reflect),
	TAP_TEST(test_S28_flip_every_bit_of_sa_init),
	TAP_TEST(test_S9_every_state_every_message),
	TAP_TEST(test_S9_every_state_every_notify),
	TAP_TEST(test_S43_no_key_pair_for_what_is_refused),
	TAP_TEST(test_fail_every_allocation),
};

TAP_MAIN("sim/hostile", tests)
