/* SPDX-License-Identifier: Apache-2.0 */
/* mif_ops.c - what this side wants of its paths, and what its data path finds out about them. */
#include "base/alloc.h"
#include "control/ike/index.h"
#include "control/ike/mif.h"
#include "control/ike/mif_plan.h"
#include "control/ike/mobike.h"
#include "control/ike/task.h"

/* OPS_MAX - operations that may be asked for at once. */
#define OPS_MAX 8
/* QUEUE_MAX - that may wait on an IKE SA: more only come if its peer does not answer. */
#define QUEUE_MAX 64

static_assert((int)IKE_PATHS_FAILOVER == MIF_FAILOVER && (int)IKE_PATHS_FLOW == MIF_FLOW &&
		      (int)IKE_PATHS_SPRAY == MIF_SPRAY &&
		      (int)IKE_PATHS_DUPLICATE == MIF_DUPLICATE &&
		      (int)IKE_PATHS_AS_BEFORE == MIF_KEEP_POLICY,
	      "the caller's names are those of the wire");

/* struct asked - operations on one IKE SA, not yet in its queue. */
struct asked {
	struct mif_pending *list[OPS_MAX];
	uint32_t num;
	uint16_t last_id; /* the largest number that is given away */
};

static void asked_free(struct asked *a)
{
	for (uint32_t i = 0; i < a->num; i++)
		mif_pending_free(a->list[i]);
}

/* ---- which path is meant --------------------------------------------------------------------- */

static struct sa_path *by_address(struct sa_paths *t, const struct path_addr *addr)
{
	for (uint8_t i = 0; i < t->num; i++) {
		struct sa_path *p = &t->list[i];

		if (ip_addr_equal(&p->addr.local.addr, &addr->local.addr) &&
		    (ip_addr_is_any(&addr->remote.addr) ||
		     ip_addr_equal(&p->addr.remote.addr, &addr->remote.addr)))
			return p;
	}
	return NULL;
}

/* New paths of operations that wait or are under way have numbers already. */
static uint16_t last_given(const struct ike_sa *sa)
{
	uint16_t last = sa->mif.paths.last_id;

	list_for_each (n, &sa->mif.ops) {
		const struct mif_op *op = &list_entry(n, struct mif_pending, node)->op;

		if (op->has & MIF_HAS_OWN && op->path > last)
			last = op->path;
	}
	return last;
}

static bool makes_path(const struct ike_path_op *op, const struct sa_path *found)
{
	return op->act == IKE_PATH_ADD ||
	       ((op->act == IKE_PATH_SOFT || op->act == IKE_PATH_HARD) && !op->id && !found);
}

static uint16_t port_of(const struct endpoint *e, const struct ike_path_op *op, uint16_t as_ike)
{
	if (op->addr.encap == ENCAP_NONE)
		return 0;
	return e->port ? e->port : as_ike;
}

/* The ends of a new path, into an operation that makes it. */
static enum err new_ends(struct ike_sa *sa, struct mif_op *out, const struct ike_path_op *op)
{
	const struct ip_addr *remote = ip_addr_is_any(&op->addr.remote.addr)
					       ? &sa->path.remote.addr
					       : &op->addr.remote.addr;

	if (!mobike_addr_usable(&op->addr.local.addr) || !mobike_addr_usable(remote) ||
	    op->addr.local.addr.family != remote->family)
		return ERR_INVAL;
	out->has |= MIF_HAS_OWN | MIF_HAS_PEERS;
	out->own.at.addr = op->addr.local.addr;
	out->own.at.port = port_of(&op->addr.local, op, sa->path.local.port);
	out->own.nat = op->nat;
	out->peers.at.addr = *remote;
	out->peers.at.port = port_of(&op->addr.remote, op, sa->path.remote.port);
	return ERR_OK;
}

/* ---- an operation ---------------------------------------------------------------------------- */

static void add_values(struct mif_op *out, const struct ike_path_op *op)
{
	if (op->act == IKE_PATH_ADD || op->act == IKE_PATH_SCHEDULE) {
		out->has |= MIF_HAS_SCHEDULE;
		out->schedule = (struct mif_schedule){.policy = (uint8_t)op->policy,
						      .priority = op->priority,
						      .weight = op->weight ? op->weight : 1};
	}
	if (op->idle_ms && op->dead_ms && op->act != IKE_PATH_REMOVE && op->act != IKE_PATH_QUERY &&
	    op->act != IKE_PATH_LEAVE) {
		out->has |= MIF_HAS_LIVENESS;
		out->liveness = (struct mif_liveness){op->idle_ms, op->dead_ms};
	}
}

static enum err name_path(struct ike_sa *sa, struct asked *a, struct mif_pending *pd,
			  const struct ike_path_op *op)
{
	const bool any = ip_addr_is_any(&op->addr.local.addr);
	struct sa_path *found = op->id ? paths_find(&sa->mif.paths, op->id)
				: any  ? NULL
				       : by_address(&sa->mif.paths, &op->addr);

	if (makes_path(op, found)) {
		if (any || a->last_id == UINT16_MAX)
			return any ? ERR_INVAL : ERR_LIMIT;
		/* Who does not decide proposes an end, and the other one gives the path its number.
		 */
		pd->op.path = sa->mif.decides ? ++a->last_id : 0;
		return new_ends(sa, &pd->op, op);
	}
	if (found)
		pd->op.path = found->id;
	else if (op->id && op->id <= a->last_id) /* one that is only asked for as yet */
		pd->op.path = op->id;
	else if (op->id || !any || (op->act != IKE_PATH_SCHEDULE && op->act != IKE_PATH_QUERY))
		return ERR_NOT_FOUND;
	return ERR_OK;
}

static const struct conf_child *conf_child(const struct ike_sa *sa, const char *name)
{
	for (uint32_t i = 0; name && i < sa->conn->num_children; i++)
		if (strcmp(sa->conn->children[i].name, name) == 0)
			return &sa->conn->children[i];
	return NULL;
}

static enum err name_children(struct ike_sa *sa, struct mif_pending *pd,
			      const struct ike_select *sel)
{
	if (!sel->child && !sel->child_id)
		return ERR_OK;
	if (pd->op.op != MIF_SOFT && pd->op.op != MIF_HARD)
		return ERR_OK;
	if (!(sa->mif.peer.caps & sa->e->env.path_caps & MIF_CAP_BULK))
		return ERR_UNSUPPORTED;
	pd->child = conf_child(sa, sel->child);
	pd->child_id = sel->child_id;
	if (sel->child && !pd->child)
		return ERR_NOT_FOUND;
	pd->op.has |= MIF_HAS_SELECTOR;
	pd->op.selector.kind = MIF_SELECT_SPIS;
	return ERR_OK;
}

static bool is_any_tagged(const struct ike_sa *sa, struct bytes tag)
{
	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);

		if (c->state == CHILD_INSTALLED && mif_has_tag(c, tag))
			return true;
	}
	return false;
}

static enum err name_domain(struct ike_sa *sa, struct mif_pending *pd, const char *tag)
{
	const size_t len = tag ? strlen(tag) : 0;

	if (!tag)
		return ERR_OK;
	if ((pd->op.op != MIF_SOFT && pd->op.op != MIF_HARD) || pd->op.has & MIF_HAS_SELECTOR ||
	    !len || len > sizeof(pd->tag))
		return ERR_INVAL;
	if (!(sa->mif.peer.caps & sa->e->env.path_caps & MIF_CAP_BULK))
		return ERR_UNSUPPORTED;
	if (!is_any_tagged(sa, bytes_of(tag, len)))
		return ERR_NOT_FOUND;
	pd->op.has |= MIF_HAS_SELECTOR;
	pd->op.selector.kind = MIF_SELECT_DOMAIN;
	memcpy(pd->tag, tag, len);
	pd->tag_len = (uint8_t)len;
	return ERR_OK;
}

static enum err ask_one(struct ike_sa *sa, struct asked *a, const struct ike_select *sel,
			const struct ike_path_op *op, uint8_t flags)
{
	static const uint8_t ops[] = {
		[IKE_PATH_ADD] = MIF_ADD,     [IKE_PATH_REMOVE] = MIF_REMOVE,
		[IKE_PATH_SOFT] = MIF_SOFT,   [IKE_PATH_HARD] = MIF_HARD,
		[IKE_PATH_QUERY] = MIF_QUERY, [IKE_PATH_SCHEDULE] = MIF_MULTIHOMING,
		[IKE_PATH_LEAVE] = MIF_LEAVE};
	struct mif_pending *pd;
	enum err e;

	if ((unsigned)op->act >= ARRAY_LEN(ops))
		return ERR_INVAL;
	if (!sa->mif.decides && op->act != IKE_PATH_ADD && op->act != IKE_PATH_REMOVE &&
	    op->act != IKE_PATH_QUERY)
		return ERR_PERM;
	pd = mem_alloc(sizeof(*pd));
	if (!pd)
		return ERR_NOMEM;
	a->list[a->num++] = pd;
	pd->op.op = ops[op->act];
	pd->op.flags = (uint8_t)(flags | (op->dry ? MIF_DRY : 0));
	pd->op.transaction = (uint16_t)(sa->mif.last + 1);
	pd->port = op->port;
	pd->request = sel->request;
	e = name_path(sa, a, pd, op);
	if (!e)
		e = name_children(sa, pd, sel);
	if (!e)
		e = name_domain(sa, pd, op->tag);
	add_values(&pd->op, op);
	return e;
}

static uint32_t num_waiting(const struct ike_sa *sa)
{
	uint32_t num = 0;

	list_for_each (n, &sa->mif.ops)
		num++;
	return num;
}

static enum err enqueue(struct ike_sa *sa, struct asked *a)
{
	enum err e = task_need(sa, TASK_MIF, 0);

	if (e && e != ERR_EXISTS)
		return e;
	sa->mif.last++;
	for (uint32_t i = 0; i < a->num; i++)
		list_push_back(&sa->mif.ops, &a->list[i]->node);
	a->num = 0;
	return ERR_OK;
}

static enum err as_err(uint16_t status)
{
	static const struct {
		enum mif_status status;
		enum err e;
	} same[] = {{MIF_OK, ERR_OK},
		    {MIF_PATH_LIMIT, ERR_LIMIT},
		    {MIF_UNKNOWN_PATH, ERR_NOT_FOUND},
		    {MIF_BAD_ENDPOINT, ERR_INVAL},
		    {MIF_ABORTED, ERR_OK}}; /* because of another one */

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (same[i].status == status)
			return same[i].e;
	return ERR_PERM;
}

const char *ike_path_status_text(uint16_t status)
{
	static const struct {
		enum mif_status status;
		const char *text;
	} texts[] = {
		{MIF_UNSUPPORTED_OP, "it cannot do that"},
		{MIF_UNKNOWN_PATH, "it has no such path"},
		{MIF_PATH_LIMIT, "it has as many paths as it can have"},
		{MIF_EMPTY_SELECTOR, "it has no such SAs"},
		{MIF_POLICY_DENIED, "its configuration does not let it"},
		{MIF_BAD_ENDPOINT, "one of the addresses cannot be: is the remote one the peer's?"},
		{MIF_STALE, "something newer was said before"},
		{MIF_BAD_PATH_ID, "it had a path of this number before"},
		{MIF_ABORTED, "it does not do a part of it"},
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "it does not say why";
}

/* What this side can see of it by itself, where nothing waits that may change it. */
static enum err foresee(struct ike_sa *sa, const struct asked *a)
{
	struct mif_plan *p;
	enum err e = ERR_OK;

	if (!list_empty(&sa->mif.ops))
		return ERR_OK;
	p = mem_alloc(sizeof(*p));
	if (!p)
		return ERR_NOMEM;
	plan_begin(p, sa, true);
	p->no_ties = true;
	p->num = a->num;
	for (uint32_t i = 0; i < a->num; i++) {
		p->ops[i] = a->list[i]->op;
		p->ports[i] = a->list[i]->port;
	}
	plan_try(p);
	for (uint32_t i = 0; !e && i < p->num; i++)
		e = as_err(p->results[i].status);
	mem_free(p);
	return e;
}

static enum err ask(struct ike_sa *sa, uint16_t *out_id, const struct ike_select *sel,
		    const struct ike_path_op *ops, uint32_t num)
{
	struct asked a = {.last_id = last_given(sa)};
	uint16_t id = 0;
	enum err e = ERR_OK;

	if (num > sa->mif.peer.max_ops || num_waiting(sa) + num > QUEUE_MAX)
		return ERR_LIMIT;
	for (uint32_t i = 0; !e && i < num; i++)
		e = ask_one(sa, &a, sel, &ops[i], num > 1 ? MIF_ATOMIC : 0);
	for (uint32_t i = 0; i < a.num; i++)
		if (a.list[i]->op.has & MIF_HAS_OWN)
			id = a.list[i]->op.path;
	if (!e)
		e = foresee(sa, &a);
	if (!e)
		e = enqueue(sa, &a);
	asked_free(&a);
	if (!e && out_id)
		*out_id = id;
	return e;
}

/* ---- what the caller says -------------------------------------------------------------------- */

static bool is_selected(const struct ike_sa *sa, const struct ike_select *sel)
{
	return sa->state == SA_ESTABLISHED && !sa->quiet &&
	       (!sel->conn || strcmp(sa->conn->name, sel->conn) == 0) &&
	       (!sel->ike_id || sa->unique == sel->ike_id);
}

/* go_alone - the peer knows of one path only: that one moves, as far as it can. */
static enum err go_alone(struct ike_sa *sa, const struct ike_select *sel,
			 const struct ike_path_op *ops, uint32_t num, uint64_t now_ns)
{
	if (num != 1 || sel->child || sel->child_id || ops->tag)
		return ERR_UNSUPPORTED;
	return mobike_path(sa, ops, sel->request, now_ns);
}

enum err ike_path(struct ike_engine *e, uint32_t *out_num, uint16_t *out_id,
		  const struct ike_select *sel, const struct ike_path_op *ops, uint32_t num,
		  uint64_t now_ns)
{
	enum err first = ERR_NOT_FOUND;
	uint32_t done = 0, seen = 0;

	e->now_ns = now_ns;
	if (!num || num > OPS_MAX)
		return ERR_INVAL;
	list_for_each_safe (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);
		enum err err;

		if (!is_selected(sa, sel))
			continue;
		err = sa->mif.on ? ask(sa, out_id, sel, ops, num)
				 : go_alone(sa, sel, ops, num, now_ns);
		if (err && !seen++)
			first = err;
		done += !err;
		if (!err)
			step_task(sa, now_ns);
	}
	engine_sweep(e, now_ns);
	if (!done)
		return first;
	*out_num = done;
	return ERR_OK;
}

/* The IKE SA that speaks for a peer's paths: of a series, the one that is not replaced. */
static struct ike_sa *of_peer(struct ike_engine *e, uint64_t peer)
{
	list_for_each (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->mif.on && sa->state == SA_ESTABLISHED && sa->peer && sa->peer->id == peer)
			return sa;
	}
	return NULL;
}

static void set_usable(struct ike_sa *sa, struct sa_path *p, bool usable,
		       const struct endpoint *seen, uint64_t now_ns)
{
	const bool moved = usable && seen && memcmp(&p->addr.remote, seen, sizeof(*seen)) != 0;

	if (p->usable == usable && !moved)
		return;
	if (sa->peer->added && actions_promise(&sa->e->actions, 1)) {
		LOG(WARN, IKE, sa->conn->name, "out of memory: a path stays as it was");
		return;
	}
	p->usable = usable;
	if (moved)
		p->addr.remote = *seen;
	if (sa->peer->added)
		path_put(sa, p);
	if (moved && sa->mif.ike == p->id) { /* IKE follows its path */
		struct path_addr path = sa->path;

		path.remote = *seen;
		sa_set_path(sa, &path);
		sa->probe.on = false;
	}
	mif_settle(sa, now_ns);
}

void ike_path_usable(struct ike_engine *e, uint64_t peer, uint16_t id, bool usable,
		     const struct endpoint *seen, uint64_t now_ns)
{
	struct ike_sa *sa = of_peer(e, peer);
	struct sa_path *p = sa ? paths_find(&sa->mif.paths, id) : NULL;

	e->now_ns = now_ns;
	if (p) {
		set_usable(sa, p, usable, seen, now_ns);
		step_task(sa, now_ns);
	}
	engine_sweep(e, now_ns);
}
