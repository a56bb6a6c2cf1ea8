/* SPDX-License-Identifier: Apache-2.0 */
/* mif_request.c - the peer's operations on paths: docs/multiple-interfaces.md 5. */
#include <sodium.h>

#include "base/alloc.h"
#include "control/ike/handlers.h"
#include "control/ike/mif.h"
#include "control/ike/mif_plan.h"
#include "control/ike/mobike.h"
#include "control/ike/move.h"

/* RESULTS_MAX - bytes of all results of a message, with their lengths. */
#define RESULTS_MAX (MIF_OPS_MAX * 10 + 4 * MIF_SPIS_MAX)

bool mif_next(struct bytes *out, const struct ike_msg *m, uint16_t type, uint32_t *at)
{
	struct wire_notify n;

	for (; *at < m->num; ++*at)
		if (m->payloads[*at].type == PAYLOAD_NOTIFY &&
		    !wire_notify_parse(&n, m->payloads[*at].body) && n.type == type) {
			*out = n.data;
			++*at;
			return true;
		}
	return false;
}

/* What the peer did to the table meanwhile holds, too, if this side's own operations under way come
 * to nothing. Those of the decider are in an order; the other side can only take a path away, which
 * it does of those that it has, whether they are in the table from before or not. */
static void meanwhile(struct mif_plan *before, const struct mif_plan *done)
{
	struct sa_mif *m = &done->sa->mif;

	plan_begin(before, done->sa, done->ours);
	before->no_ties = true;
	before->next = *m->before;
	for (uint32_t i = 0; i < done->num; i++) {
		const struct mif_op *op = &before->ops[i];

		before->ops[i] = done->ops[i];
		before->ports[i] = done->ports[i];
		if (done->results[i].status != MIF_OK)
			continue;
		if (!m->decides)
			plan_try_one(before, i);
		else if (op->op == MIF_REMOVE && m->num_gone < MIF_PATHS_MAX)
			m->gone[m->num_gone++] = op->path;
	}
	*m->before = before->next;
}

static void digest(const struct ike_msg *m, uint8_t out[16])
{
	crypto_generichash_state state;
	struct bytes data;
	uint32_t at = 0;

	crypto_generichash_init(&state, NULL, 0, 16);
	while (mif_next(&data, m, NOTIFY_MIF_OP, &at))
		crypto_generichash_update(&state, data.p, data.len);
	crypto_generichash_final(&state, out, 16);
}

/* Numbers go round (RFC 1982). */
static bool is_newer(uint16_t a, uint16_t than)
{
	return (int16_t)(uint16_t)(a - than) > 0;
}

static enum err parse_ops(struct step *s, struct mif_plan *p)
{
	const struct sa_mif *m = &s->sa->mif;
	struct bytes data;
	uint32_t at = 0;

	while (mif_next(&data, s->msg, NOTIFY_MIF_OP, &at)) {
		struct mif_op *op = &p->ops[p->num];

		if (p->num == MIF_OPS_MAX || mif_op_parse(op, data))
			return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
					 "an operation on paths of the peer does not follow the "
					 "format");
		if (!is_newer(op->transaction, m->last_in))
			op->refused = MIF_STALE;
		p->ports[p->num++] = s->dg->port;
	}
	return ERR_OK;
}

/* What came of it, to be said again as it is: results, each behind its length. */
static enum err keep_results(struct mif_plan *p, uint8_t **out, size_t *out_len)
{
	uint8_t *buf = mem_alloc(RESULTS_MAX);
	struct writer w;
	struct bytes all;

	if (!buf)
		return ERR_NOMEM;
	writer_init(&w, buf, RESULTS_MAX);
	for (uint32_t i = 0; i < p->num; i++) {
		const size_t mark = writer_begin_u16(&w);

		mif_result_write(&w, &p->results[i]);
		writer_end_u16(&w, mark, 0);
	}
	if (writer_finish(&w, &all)) {
		mem_free(buf);
		return ERR_NOMEM;
	}
	*out = buf;
	*out_len = all.len;
	return ERR_OK;
}

static uint8_t state_of(const struct sa_path *path)
{
	if (!path->usable)
		return MIF_PATH_VALIDATING;
	return path->leaving ? MIF_PATH_DRAINING : MIF_PATH_USABLE;
}

static void describe(struct step *s, const struct mif_op *asked, const struct sa_path *path)
{
	const struct sa_paths *t = &s->sa->mif.paths;
	const uint16_t port = path->addr.encap == ENCAP_UDP;
	struct mif_op op = {.op = MIF_QUERY,
			    .path = path->id,
			    .transaction = asked->transaction,
			    .has = MIF_HAS_OWN | MIF_HAS_PEERS | MIF_HAS_SCHEDULE | MIF_HAS_STATE,
			    .own = {.at = path->addr.local},
			    .peers = {.at = path->addr.remote, .nat = path->nat},
			    .schedule = {t->policy, path->priority, path->weight},
			    .state = {state_of(path), paths_active(t, path)}};

	op.own.at.port *= port;
	op.peers.at.port *= port;
	mif_op_build(&s->b, &op);
}

/* The peer has been there: a long answer may go there, too (S57). */
static bool is_proven(const struct ike_sa *sa, const struct path_addr *path)
{
	for (uint8_t i = 0; i < sa->mif.paths.num; i++)
		if (sa->mif.paths.list[i].usable &&
		    path_same_remote(&sa->mif.paths.list[i].addr, path))
			return true;
	return path_same_remote(&sa->path, path);
}

/* Paths are told of once in a message: by the first question about them. */
static void answer_query(struct step *s)
{
	const struct sa_paths *t = &s->sa->mif.paths;
	struct bytes data;
	struct mif_op op;
	uint32_t at = 0;

	if (!is_proven(s->sa, &s->dg->path))
		return;
	while (mif_next(&data, s->msg, NOTIFY_MIF_OP, &at)) {
		if (mif_op_parse(&op, data) || op.op != MIF_QUERY || op.refused)
			continue;
		for (uint8_t i = 0; i < t->num; i++)
			if (!op.path || op.path == t->list[i].id)
				describe(s, &op, &t->list[i]);
		return;
	}
}

static enum err build_answer(struct step *s, const uint8_t *results, size_t len)
{
	step_reply(s);
	for (size_t at = 0; at < len; at += 2u + load_be16(results + at))
		wire_notify_build(&s->b, NOTIFY_MIF_RESULT,
				  bytes_of(results + at + 2, load_be16(results + at)));
	answer_query(s);
	return mobike_echo(s);
}

static void tell_owner(const struct mif_plan *p)
{
	for (uint32_t i = 0; i < p->num; i++) {
		const struct mif_op *op = &p->ops[i];
		struct path_addr path = p->sa->path;

		if (p->results[i].status != MIF_OK)
			continue;
		path.remote = op->own.at;
		if (op->op == MIF_ADD && !op->path)
			mif_news(p->sa, &(struct ike_path_say){.news = IKE_PATH_PROPOSED}, &path);
	}
}

static void remember(struct mif_plan *p, uint8_t *done, size_t len, const uint8_t d[16])
{
	struct sa_mif *m = &p->sa->mif;

	mem_free(m->done);
	m->done = done;
	m->done_len = len;
	memcpy(m->digest, d, 16);
	for (uint32_t i = 0; i < p->num; i++)
		if (is_newer(p->ops[i].transaction, m->last_in))
			m->last_in = p->ops[i].transaction;
}

/* The answer is made, and memory taken for what is done after it, which cannot fail. */
static enum err prepare(struct step *s, const struct mif_plan *p, const uint8_t *done, size_t len)
{
	const uint32_t num = plan_is_dry(p) ? 0 : plan_actions(p);
	enum err e = actions_promise(&s->e->actions, num);

	if (e)
		return e;
	e = build_answer(s, done, len);
	if (!e)
		e = step_finish(s);
	if (e)
		actions_release(&s->e->actions, num);
	return e;
}

/* Tried, answered, and only then done. */
static enum err carry_out(struct step *s, struct mif_plan *p, struct mif_plan *before,
			  const uint8_t d[16])
{
	uint8_t *done;
	size_t len;
	enum err e = keep_results(p, &done, &len);

	if (e)
		return e;
	e = prepare(s, p, done, len);
	if (e) {
		mem_free(done);
		return e;
	}
	remember(p, done, len, d);
	if (plan_is_dry(p))
		return ERR_OK;
	if (s->sa->mif.asked)
		meanwhile(before, p);
	plan_commit(p);
	tell_owner(p);
	mif_settle(s->sa, s->now_ns);
	return ERR_OK;
}

static enum err with_plans(struct step *s, struct mif_plan *p, struct mif_plan *before,
			   const uint8_t d[16])
{
	enum err e;

	plan_begin(p, s->sa, false);
	p->dg = s->dg;
	e = parse_ops(s, p);
	if (e)
		return e;
	plan_try(p);
	return carry_out(s, p, before, d);
}

enum err mif_request(struct step *s)
{
	struct sa_mif *m = &s->sa->mif;
	struct mif_plan *plans;
	uint8_t d[16];
	enum err e;

	if (!m->on)
		return informational_request(s);
	digest(s->msg, d);
	if (m->done && memcmp(d, m->digest, sizeof(d)) == 0) /* the same once more */
		return build_answer(s, m->done, m->done_len);
	plans = mem_alloc_array(2, sizeof(*plans));
	if (!plans)
		return ERR_NOMEM;
	e = with_plans(s, &plans[0], &plans[1], d);
	mem_free(plans);
	return e;
}
