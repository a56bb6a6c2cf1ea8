/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ike/core.h"
#include "tests/sim/aaa.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

/* AGAIN - how often A looks whether it has what its packets need. */
#define AGAIN (4 * NS_PER_S)

struct life *life_of(struct sim *s)
{
	return s->tap_ctx;
}

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

struct ike_sa *life_established(struct sim *s, unsigned side)
{
	list_for_each (n, &s->n[side].e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->state == SA_ESTABLISHED)
			return sa;
	}
	return NULL;
}

/* ---- what is seen ---------------------------------------------------------------------------- */

static bool is_anybodys(const struct ike_msg *m)
{
	struct wire_notify n;

	return wire_notify_find(&n, m, NOTIFY_INVALID_IKE_SPI) ||
	       wire_notify_find(&n, m, NOTIFY_INVALID_SPI);
}

/* Names and passwords are for the peer alone. */
static bool tells(const uint8_t *bytes, size_t len)
{
	static const char *const secrets[] = {"host1.example", "host2.example", CAROL,
					      CAROLS_PASSWORD};

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		if (memmem(bytes, len, secrets[i], strlen(secrets[i])))
			return true;
	return false;
}

/* After the first exchange all is encrypted, but that somebody knows nothing of an SA. */
static bool watch(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct life *l = ctx;
	struct wire_notify n;
	struct ike_msg m;
	bool sealed;

	l->clear |= tells(bytes, *len);
	if (ike_msg_parse(&m, bytes_of(bytes, *len)))
		return true;
	sealed = bytes[16] == PAYLOAD_SK || bytes[16] == PAYLOAD_SKF;
	l->clear |= !sealed && m.h.exchange != IKE_SA_INIT && m.h.exchange != IKE_SESSION_RESUME &&
		    !is_anybodys(&m);
	l->exchanges[m.h.exchange]++;
	l->parts[PART_FRAGMENTS] |= bytes[16] == PAYLOAD_SKF;
	l->parts[PART_KES] |= m.h.exchange == IKE_INTERMEDIATE;
	l->parts[PART_CHILD_KES] |= m.h.exchange == IKE_FOLLOWUP_KE;
	l->parts[PART_TOKENS] |= !sealed && wire_notify_find(&n, &m, NOTIFY_QUICK_CRASH_DETECTION);
	l->parts[PART_COOKIES] |= !sealed && wire_notify_find(&n, &m, NOTIFY_COOKIE);
	return !l->meddle || l->meddle(s, from, l->ctx);
}

static void look_at(struct life *l, const struct ike_sa *sa)
{
	if (sa->state != SA_ESTABLISHED)
		return;
	l->parts[PART_PPK] |= auth_proof_params(sa->proof)->ppk;
	l->parts[PART_REDIRECT] |= sa->redirect.num > 0;
}

/* What stands now. */
void life_look(struct sim *s)
{
	struct life *l = life_of(s);
	struct ike_stats st;

	for (unsigned side = 0; side < 2; side++)
		list_for_each (n, &s->n[side].e->sas) {
			look_at(l, list_entry(n, struct ike_sa, node));
		}
	ike_stats(s->n[B].e, &st);
	l->parts[PART_REAUTH] |= s->n[A].reauth || s->n[B].reauth;
	l->parts[PART_VIPS] |= s->n[A].num_lent > 0;
	l->parts[PART_RESUMPTION] |= st.resumed > 0;
	l->parts[PART_MOBIKE] |= s->n[A].moves + s->n[B].moves > 0;
}

/* ---- its course ------------------------------------------------------------------------------ */

static void serve_clients(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *a)
{
	(void)n;
	if (ask->kind == IKE_ASK_EAP_SERVER)
		aaa_answer(ask, a);
}

struct sim *life_begin(struct life *l, struct drawn d, const struct sim_wire *wire, uint64_t seed)
{
	struct sim_options opt = {.wire = *wire, .by_keyring = true};
	struct sim *s;

	*l = (struct life){.d = d};
	aaa_begin(seed);
	for (unsigned side = 0; side < 2; side++) {
		opt.ready[side] = d.conf[side];
		opt.serve[side] = d.way->fetches[side] ? papers_serve : NULL;
		if (drawn_has(&d, PART_TOKENS))
			opt.tokens[side] = side ? "a secret of B's own" : "a secret of A's own";
	}
	s = sim_new(seed, &opt);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->tap = watch;
	s->tap_ctx = l;
	s->strays = true;
	s->n[B].forge = serve_clients;
	sim_have(s, A, 1, 0);
	sim_have(s, B, 3, 0);
	return s;
}

void life_over(struct sim *s, struct outcome *out)
{
	struct life *l = life_of(s);

	out->clear = l->clear;
	sim_digest(s, out->digest);
	sim_free(s);
	drawn_free(&l->d);
	aaa_end();
}

static bool a_is_up(struct sim *s)
{
	return s->n[A].ike_up > 0;
}

/* Who it is and how that was proven. */
static bool is_proven(struct sim *s, const struct way *w)
{
	for (unsigned side = 0; side < 2; side++) {
		const struct ike_sa *sa = life_established(s, side);

		if (!sa || strcmp(auth_method_name(auth_proof_params(sa->proof)->method),
				  w->proof[side]) != 0)
			return false;
	}
	return true;
}

void life_first(struct sim *s, struct outcome *out)
{
	const uint64_t start = s->now_ns;
	struct life *l = life_of(s);

	*out = (struct outcome){.told = true, .rounds = drawn_rounds(&l->d)};
	snprintf(out->drawn, sizeof(out->drawn), "%s", drawn_text(&l->d));
	(void)!sim_initiate(s, A, "tun");
	if (sim_run_until(s, start + LIFE_MINUTE, a_is_up) && life_established(s, A))
		l->parts[PART_CHILDLESS] = list_empty(&life_established(s, A)->children);
	out->established = sim_run_until(s, start + LIFE_MINUTE, sim_up);
	out->proven = !out->established || is_proven(s, l->d.way);
	/* A had nothing else by which to believe B. */
	l->parts[PART_UNREQUESTED] = out->established;
}

/* A's packets ask for "tun" when there is none. */
static void want(struct sim *s, unsigned side)
{
	bool there = false;

	if (!life_of(s)->wants)
		return;
	for (uint32_t i = 0; i < s->n[side].num_pairs; i++)
		there |= s->n[side].pairs[i].out && !strcmp(s->n[side].pairs[i].name, "tun");
	if (!there)
		(void)!sim_initiate(s, side, "tun");
	sim_at(s, s->now_ns + AGAIN, want, side);
}

void life_want(struct sim *s)
{
	life_of(s)->wants = true;
	want(s, A);
}

void life_still(struct sim *s)
{
	for (unsigned side = 0; side < 2; side++) /* nobody stays without */
		sim_have(s, side, 3, 0);
	s->wire.loss = s->wire.reorder = s->wire.repeat = 0;
	s->packet_ns = NS_PER_S / 2;
	after(s, 2 * LIFE_LIVENESS);
}

/* For a second every packet arrives, in either direction. Who proves itself anew just then may lose
 * one. */
static bool flows(struct sim *s)
{
	bool all = false;

	s->packet_ns = 50 * NS_PER_MS;
	for (unsigned i = 0; i < 10 && !all; i++) {
		const uint64_t got[] = {s->n[A].got_packets, s->n[B].got_packets};
		const uint64_t lost = s->n[A].lost_packets + s->n[B].lost_packets;

		after(s, NS_PER_S);
		all = s->n[A].got_packets - got[A] >= 15 && s->n[B].got_packets - got[B] >= 15 &&
		      s->n[A].lost_packets + s->n[B].lost_packets == lost;
	}
	return all;
}

void life_judge(struct sim *s, struct outcome *out)
{
	/* a re-key may be under way just now: it is over in a moment */
	for (unsigned i = 0; i < 40 && !(out->same && out->up); i++) {
		after(s, NS_PER_S);
		out->same = sim_same(s, out->why);
		out->up = sim_up(s);
	}
	out->flows = flows(s);
	life_look(s);
}

void life_end(struct sim *s, struct outcome *out)
{
	struct ike_stats st;

	life_of(s)->wants = s->traffic = false;
	for (unsigned side = 0; side < 2; side++)
		(void)!sim_terminate(s, side, NULL);
	after(s, 300 * NS_PER_S);
	out->ended = true;
	for (unsigned side = 0; side < 2; side++) {
		ike_stats(s->n[side].e, &st);
		out->ended &=
			sim_clean(s, side) && !sim_num_sas(s, side) && !st.half_open && !st.closing;
		out->told &= !s->n[side].unsaid;
	}
}

bool life_right(const struct outcome *o)
{
	return o->proven && o->same && o->up && o->flows && o->told && !o->clear && o->ended &&
	       !o->leaked;
}

void life_tell(const struct outcome *o, const char *which)
{
	tap_diag("%s (%s): up within a minute %d, proven %d, same %d, up %d, flows %d, told %d, "
		 "in the clear %d, ended %d, leaked %d: %s",
		 which, o->drawn, o->established, o->proven, o->same, o->up, o->flows, o->told,
		 o->clear, o->ended, o->leaked, o->why);
}
