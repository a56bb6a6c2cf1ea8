/* SPDX-License-Identifier: Apache-2.0 */
/* mif_ask.c - our operations on paths, and the peer's answer: docs/multiple-interfaces.md 5. */
#include "base/alloc.h"
#include "control/ike/handlers.h"
#include "control/ike/mif.h"
#include "control/ike/mif_plan.h"

static bool is_meant(const struct mif_pending *pd, const struct ike_child *c)
{
	return c->state == CHILD_INSTALLED && !c->redundant &&
	       (pd->child ? c->conf == pd->child : c->unique == pd->child_id);
}

/* The operation as it is sent, with the SPIs that its children have now. */
static enum err encode(struct ike_sa *sa, struct mif_pending *pd, uint8_t *buf, size_t cap)
{
	uint8_t spis[4 * MIF_SPIS_MAX];
	struct mif_op op = pd->op;
	struct bytes out;
	struct writer w;
	size_t len = 0;
	enum err e;

	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);

		if (!(pd->child || pd->child_id) || !is_meant(pd, c) || len == sizeof(spis))
			continue;
		store_be32(spis + len, c->spi_in);
		len += 4;
	}
	if (op.selector.kind == MIF_SELECT_SPIS && !len)
		store_be32(spis + len, 0), len += 4; /* they are gone: the peer finds none either */
	if (op.selector.kind == MIF_SELECT_SPIS)
		op.selector.bytes = bytes_of(spis, len);
	if (op.selector.kind == MIF_SELECT_DOMAIN)
		op.selector.bytes = bytes_of(pd->tag, pd->tag_len);
	writer_init(&w, buf, cap);
	mif_op_write(&w, &op);
	e = writer_finish(&w, &out);
	if (e)
		return e;
	pd->bytes = mem_dup(out.p, out.len);
	pd->len = out.len;
	return pd->bytes ? ERR_OK : ERR_NOMEM;
}

/* The operations of one transaction are in one message. */
static uint32_t num_of(const struct ike_sa *sa, uint16_t transaction)
{
	uint32_t num = 0;

	list_for_each (n, &sa->mif.ops)
		num += list_entry(n, struct mif_pending, node)->op.transaction == transaction;
	return num;
}

/* Whole transactions, as many as one message may have and a buffer takes; they are marked as sent.
 * A question what would be is a message of its own, since nothing of that one is done. */
static enum err choose(struct step *s)
{
	const struct ike_sa *sa = s->sa;
	const struct mif_pending *last = NULL;
	uint32_t num = 0;
	size_t len = 0;

	list_for_each (n, &sa->mif.ops) {
		struct mif_pending *pd = list_entry(n, struct mif_pending, node);
		const uint16_t t = pd->op.transaction;
		enum err e;

		if (last && last->op.transaction != t &&
		    (num + num_of(sa, t) > sa->mif.peer.max_ops || len > IKE_BUF_LEN / 4 ||
		     (last->op.flags | pd->op.flags) & MIF_DRY))
			break;
		e = pd->bytes ? ERR_OK : encode(s->sa, pd, s->e->out, IKE_BUF_LEN);
		if (e)
			return e;
		pd->sent = true;
		last = pd;
		num++;
		len += pd->len;
	}
	return ERR_OK;
}

static bool is_under_way(const struct ike_sa *sa)
{

	list_for_each (n, &sa->mif.ops) {
		struct mif_pending *pd = list_entry(n, struct mif_pending, node);

		if (pd->sent)
			return true;
	}
	return false;
}

static void plan_sent(struct mif_plan *p, struct ike_sa *sa)
{

	plan_begin(p, sa, true);
	list_for_each (n, &sa->mif.ops) {
		struct mif_pending *pd = list_entry(n, struct mif_pending, node);

		if (!pd->sent || p->num == MIF_OPS_MAX)
			continue;
		if (mif_op_parse(&p->ops[p->num], bytes_of(pd->bytes, pd->len)))
			p->ops[p->num] = (struct mif_op){.refused = MIF_UNSUPPORTED_OP};
		p->ports[p->num++] = pd->port;
	}
}

static enum err send_ops(struct step *s)
{

	step_request(s, INFORMATIONAL);
	list_for_each (n, &s->sa->mif.ops) {
		struct mif_pending *pd = list_entry(n, struct mif_pending, node);

		if (pd->sent)
			wire_notify_build(&s->b, NOTIFY_MIF_OP, bytes_of(pd->bytes, pd->len));
	}
	return step_finish(s);
}

static bool all_ok(const struct mif_plan *p)
{
	for (uint32_t i = 0; i < p->num; i++)
		if (p->results[i].status != MIF_OK)
			return false;
	return true;
}

/* This side's table is changed before the peer has answered, so that the probes of both meet; its
 * children go elsewhere when it has. */
static enum err begin(struct step *s, struct mif_plan *p)
{
	struct ike_sa *sa = s->sa;
	uint32_t num;
	enum err e;

	if (!sa->mif.before)
		sa->mif.before = mem_alloc(sizeof(*sa->mif.before));
	if (!sa->mif.before)
		return ERR_NOMEM;
	plan_sent(p, sa);
	p->no_ties = true;
	plan_try(p);
	plan_presume(p);
	num = plan_is_dry(p) ? 0 : plan_actions(p);
	e = actions_promise(&s->e->actions, num);
	if (e)
		return e;
	e = send_ops(s);
	if (e) {
		actions_release(&s->e->actions, num);
		return e;
	}
	*sa->mif.before = sa->mif.paths;
	sa->mif.num_gone = 0;
	sa->mif.all_done = all_ok(p);
	sa->mif.asked = true;
	if (!plan_is_dry(p))
		plan_commit(p);
	mif_settle(sa, s->now_ns);
	return ERR_OK;
}

static void forget_sent(struct ike_sa *sa)
{
	list_for_each_safe (n, &sa->mif.ops) {
		struct mif_pending *pd = list_entry(n, struct mif_pending, node);

		if (!pd->sent)
			continue;
		list_remove(n);
		mif_pending_free(pd);
	}
}

static void unmark(struct ike_sa *sa)
{

	list_for_each (n, &sa->mif.ops) {
		struct mif_pending *pd = list_entry(n, struct mif_pending, node);

		pd->sent = false;
		mem_free(pd->bytes);
		pd->bytes = NULL;
	}
}

enum err mif_start(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct mif_plan *p;
	enum err e;

	if (!sa->mif.on || list_empty(&sa->mif.ops))
		return ERR_OK;
	if (sa->mif.asked && is_under_way(sa)) /* once more, on another IKE SA */
		return send_ops(s);
	p = mem_alloc(sizeof(*p));
	e = p ? choose(s) : ERR_NOMEM;
	if (!e)
		e = begin(s, p);
	mem_free(p);
	if (e == ERR_FULL || e == ERR_LIMIT) /* they never fit */
		forget_sent(sa);
	else if (e)
		unmark(sa);
	return e;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* An answer without a result for each means that the peer did nothing. */
static void take_results(struct step *s, struct mif_plan *p)
{
	uint16_t status[MIF_OPS_MAX];
	struct mif_result r;
	struct bytes data;
	uint32_t at = 0, num = 0;

	for (; num < p->num && mif_next(&data, s->msg, NOTIFY_MIF_RESULT, &at); num++) {
		if (mif_result_parse(&r, data) || r.transaction != p->ops[num].transaction)
			break;
		status[num] = r.status;
	}
	for (uint32_t i = 0; i < p->num; i++)
		p->results[i] = (struct mif_result){.transaction = p->ops[i].transaction,
						    .path = p->ops[i].path,
						    .status = num == p->num ? status[i]
									    : MIF_UNSUPPORTED_OP};
}

/* What was found out of paths since before stays. */
static void keep_found(struct mif_plan *p)
{
	struct sa_mif *m = &p->sa->mif;

	for (uint8_t i = 0; i < p->next.num; i++) {
		struct sa_path *path = &p->next.list[i];
		const struct sa_path *now = paths_find(&m->paths, path->id);

		if (!now)
			continue;
		path->usable = now->usable;
		path->addr = now->addr;
		path->port = now->port;
	}
	if (m->paths.last_id > p->next.last_id) /* a number is never used again */
		p->next.last_id = m->paths.last_id;
}

/* If all was done the table is what it is already; else it is the one from before with what was. */
static void settle_plan(struct mif_plan *p)
{
	struct sa_mif *m = &p->sa->mif;
	const bool all = m->all_done && all_ok(p);

	p->next = *m->before;
	for (uint32_t i = 0; i < p->num && !plan_is_dry(p); i++) {
		const struct mif_result r = p->results[i];

		if (r.status == MIF_OK)
			plan_try_one(p, i);
		p->results[i] = r;
	}
	keep_found(p);
	if (all || plan_is_dry(p))
		p->next = m->paths;
	plan_without(p, m->gone, all ? 0 : m->num_gone);
}

/* The request that the plan's i-th operation serves: they are those that were sent, in order. */
static uint64_t request_of(const struct ike_sa *sa, uint32_t i)
{
	list_for_each (n, &sa->mif.ops) {
		const struct mif_pending *pd = list_entry(n, struct mif_pending, node);

		if (pd->sent && i-- == 0)
			return pd->request;
	}
	return 0;
}

/* The next operation is of the same transaction. */
static bool is_followed(const struct mif_plan *p, uint32_t i)
{
	return i + 1 < p->num && p->ops[i + 1].transaction == p->ops[i].transaction;
}

static void tell_results(const struct mif_plan *p)
{
	for (uint32_t i = 0; i < p->num; i++) {
		const struct mif_result *r = &p->results[i];
		const bool ok = r->status == MIF_OK;

		if (!ok)
			LOG(WARN, IKE, p->sa->conn->name,
			    "[%u] the peer does not do operation %u on path %u: %s", p->sa->unique,
			    p->ops[i].op, r->path, mif_status_name(r->status));
		mif_news(p->sa,
			 &(struct ike_path_say){.id = r->path,
						.news = ok ? IKE_PATH_DONE : IKE_PATH_REFUSED,
						.status = r->status,
						.request = request_of(p->sa, i),
						.more = is_followed(p, i)},
			 NULL);
	}
}

static void tell_query(struct step *s)
{
	char local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];
	struct bytes data;
	struct mif_op op;
	uint32_t at = 0;

	while (mif_next(&data, s->msg, NOTIFY_MIF_OP, &at))
		if (!mif_op_parse(&op, data) && op.op == MIF_QUERY && !op.refused)
			LOG(INFO, IKE, s->sa->conn->name,
			    "[%u] the peer has path %u from %s to %s, priority %u, weight %u%s",
			    s->sa->unique, op.path, endpoint_text(local, &op.own.at),
			    endpoint_text(remote, &op.peers.at), op.schedule.priority,
			    op.schedule.weight, op.state.active ? ", in use" : "");
}

/* If memory is short the answer is as if it had been lost: the peer gives it again. */
static enum err end(struct step *s, struct mif_plan *p)
{
	struct ike_sa *sa = s->sa;

	plan_sent(p, sa);
	take_results(s, p);
	settle_plan(p);
	if (actions_promise(&s->e->actions, plan_actions(p)))
		return ERR_NOMEM;
	plan_commit(p);
	sa->mif.asked = false;
	tell_results(p);
	tell_query(s);
	forget_sent(sa);
	mif_settle(sa, s->now_ns);
	s->again = !list_empty(&sa->mif.ops);
	return ERR_OK;
}

enum err mif_response(struct step *s)
{
	struct mif_plan *p;
	enum err e;

	if (!s->sa->mif.on)
		return ERR_OK;
	p = mem_alloc(sizeof(*p));
	e = p ? end(s, p) : ERR_NOMEM;
	mem_free(p);
	return e;
}
