/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/wish.h"

#include <stdio.h>
#include <string.h>

#include "tests/tap/tap.h"

static const char *or_none(const char *text)
{
	return text ? text : "";
}

/* text with every %u replaced. */
static void number(char *out, size_t size, const char *text, unsigned n)
{
	size_t at = 0;

	for (; *text && at + 2 < size; text++) {
		const bool mark = text[0] == '%' && text[1] == 'u';

		out[at++] = mark ? (char)('0' + n) : *text;
		text += mark;
	}
	out[at] = 0;
}

const char *wish_text(unsigned side, const struct wish *w)
{
	static char text[2][8192];
	const unsigned us = side + 1, them = 2 - side;
	char local[1200], remote[1200], ts[40];

	number(local, sizeof(local), w->local, us);
	number(remote, sizeof(remote), w->remote, them);
	snprintf(ts, sizeof(ts), "10.%u.0.0/16", them);
	snprintf(text[side], sizeof(text[side]),
		 "connections {\n %s\n net {\n %s\n"
		 " local { %s }\n remote { %s }\n"
		 " children { tun { local_ts = 10.%u.0.0/16\n remote_ts = %s } } } }\n%s\n",
		 or_none(w->conns), or_none(w->conn), local, remote, us,
		 w->remote_ts ? w->remote_ts : ts, or_none(w->more));
	return text[side];
}

struct conf *wish_conf(unsigned side, const struct wish *w)
{
	struct conf *conf = sim_conf_parse(wish_text(side, w));

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	return conf;
}

struct sim *wish_world(const struct wish *a, const struct wish *b, bool sign)
{
	const struct sim_options opt = {
		.wire = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 50 * NS_PER_MS},
		.conf = {wish_text(A, a), wish_text(B, b)},
		.by_keyring = true,
		.sign = sign};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

void wish_configure(struct sim *s, unsigned side, struct conf *conf)
{
	conf_put(s->n[side].conf);
	s->n[side].conf = conf;
	ike_engine_configure(s->n[side].e, conf);
}

void wish_go(struct sim *s, const char *conn, unsigned from)
{
	const struct ike_initiate_params p = {
		.conn = conn,
		.child = "tun",
		.path = {.local = {.addr = sim_addr(A, from), .port = 500}, .remote = s->n[B].addr},
		.request = 1};

	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
}

static void see(void *ctx, const struct ike_sa_info *sa)
{
	struct wish_seen *seen = ctx;

	if (sa->state != IKE_STATE_ESTABLISHED)
		return;
	seen->num++;
	seen->num_children += sa->num_children;
	seen->proof = *auth_proof_params(sa->proof);
	seen->method = auth_method_name(seen->proof.method);
}

struct wish_seen wish_seen(struct sim *s, unsigned side)
{
	struct wish_seen seen = {.method = ""};

	ike_each_sa(s->n[side].e, see, &seen);
	return seen;
}

static void be_fetched(const struct ike_ask *ask, struct ike_answer *answer, bool stored)
{
	static struct ike_trust trust;

	if (ask->kind != IKE_ASK_VERIFY_CHAIN)
		return;
	CU_ASSERT_EQUAL_FATAL(answer->num_trust, 1);
	trust = answer->trust[0];
	trust.fetched = true;
	trust.stored = stored;
	answer->trust = &trust;
}

void wish_fetched(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer)
{
	(void)n;
	be_fetched(ask, answer, false);
}

void wish_fetched_stored(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer)
{
	(void)n;
	be_fetched(ask, answer, true);
}

void wish_proved(struct sim *s, const char *peer_of_a, const char *peer_of_b)
{
	for (unsigned side = 0; side < 2; side++) {
		if (!sim_up(s))
			tap_diag("A: %s; B: %s", s->n[A].last_text, s->n[B].last_text);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_STRING_EQUAL(wish_seen(s, A).method, peer_of_a);
		CU_ASSERT_STRING_EQUAL(wish_seen(s, B).method, peer_of_b);
		CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
		sim_run(s, s->now_ns + 5 * NS_PER_S);
	}
	CU_ASSERT_EQUAL(s->n[A].rekeyed_ike, 2);
	sim_free(s);
}

void wish_refused(struct sim *s, unsigned side, enum ike_reason reason, const char *word)
{
	if (s->n[side].last_failure != reason || !strstr(s->n[side].last_text, word))
		tap_diag("side %c: %s: %s", 'A' + (int)side,
			 ike_reason_name(s->n[side].last_failure), s->n[side].last_text);
	CU_ASSERT_EQUAL(s->n[side].last_failure, reason);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[side].last_text, word));
	CU_ASSERT_EQUAL(s->n[side].ike_up, 0);
	CU_ASSERT_EQUAL(s->n[side].child_up, 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(sim_clean(s, i));
		CU_ASSERT_EQUAL(sim_num_sas(s, i), 0);
	}
	sim_free(s);
}
