/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/mif_plan.h"

#include "control/child/claims.h"
#include "control/ike/mobike.h"

#define PRIORITY_LATER 1 /* of a path of which nothing else is said */

/* ---- the table ------------------------------------------------------------------------------- */

struct sa_path *paths_find(struct sa_paths *t, uint16_t id)
{
	for (uint8_t i = 0; i < t->num; i++)
		if (t->list[i].id == id)
			return &t->list[i];
	return NULL;
}

uint32_t paths_rank(const struct sa_path *p)
{
	return p->leaving ? UINT8_MAX + 1u : p->priority;
}

const struct sa_path *paths_best(const struct sa_paths *t)
{
	const struct sa_path *best = NULL;

	for (uint8_t i = 0; i < t->num; i++) {
		const struct sa_path *p = &t->list[i];

		if (p->usable && (!best || paths_rank(p) < paths_rank(best)))
			best = p;
	}
	return best;
}

struct sa_path *paths_wanted(struct sa_paths *t)
{
	struct sa_path *best = &t->list[0];

	for (uint8_t i = 1; i < t->num; i++)
		if (paths_rank(&t->list[i]) < paths_rank(best))
			best = &t->list[i];
	return best;
}

bool paths_active(const struct sa_paths *t, const struct sa_path *p)
{
	const struct sa_path *best = paths_best(t);

	if (!p->usable || paths_rank(p) != paths_rank(best))
		return false;
	return t->policy != MIF_FAILOVER || p == best;
}

static void take(struct sa_paths *t, uint16_t id)
{
	for (uint8_t i = 0; i < t->num; i++)
		if (t->list[i].id == id) {
			memmove(&t->list[i], &t->list[i + 1],
				(size_t)(t->num - i - 1) * sizeof(t->list[0]));
			t->num--;
			return;
		}
}

/* ---- children -------------------------------------------------------------------------------- */

/* Children that were tied to a path that goes are as the others. */
static void untie(struct mif_plan *p, uint16_t path)
{

	list_for_each (n, &p->sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		if (!path || c->path_next == path)
			c->path_next = 0;
	}
}

bool mif_has_tag(const struct ike_child *c, struct bytes tag)
{
	const char *own = c->conf->path_tag;

	return own[0] && bytes_equal(bytes_of(own, strlen(own)), tag);
}

static bool is_there(const struct ike_child *c)
{
	return c->state == CHILD_INSTALLED && !c->redundant;
}

static void tie(struct mif_plan *p, struct ike_child *c, uint16_t path)
{
	struct ike_child *next = c->replaced_by ? child_find(p->sa->e, c->replaced_by) : NULL;

	c->path_next = path;
	if (next && next->sa == p->sa)
		next->path_next = path;
}

/* The SPIs that an operation names are those by which its sender receives. */
static struct ike_child *by_spi(const struct mif_plan *p, uint32_t spi)
{
	list_for_each (n, &p->sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		if (is_there(c) && (p->ours ? c->spi_in : c->spi_out) == spi)
			return c;
	}
	return NULL;
}

static uint16_t tie_spis(struct mif_plan *p, uint32_t i)
{
	const struct bytes spis = p->ops[i].selector.bytes;
	const uint32_t num = mif_num_spis(spis);
	uint8_t *failed = p->failed + p->failed_len;
	uint32_t num_failed = 0;

	p->num_spis += num;
	if (p->num_spis > MIF_SPIS_MAX)
		return MIF_UNSUPPORTED_OP;
	for (uint32_t k = 0; k < num; k++)
		if (!by_spi(p, mif_spi(spis, k)))
			store_be32(failed + 4 * num_failed++, mif_spi(spis, k));
	p->results[i].failed = bytes_of(failed, 4 * num_failed);
	p->failed_len += 4 * num_failed;
	if (num_failed == num || (num_failed && p->ops[i].flags & MIF_ATOMIC))
		return MIF_EMPTY_SELECTOR;
	for (uint32_t k = 0; k < num; k++) {
		struct ike_child *c = by_spi(p, mif_spi(spis, k));

		if (c)
			tie(p, c, p->ops[i].path);
	}
	return MIF_OK;
}

static uint16_t tie_traffic(struct mif_plan *p, uint32_t i)
{
	uint16_t status = MIF_EMPTY_SELECTOR;
	struct ts_list own, peers;

	if (mif_selector_ts(&own, &peers, &p->ops[i].selector))
		return MIF_UNSUPPORTED_OP;
	list_for_each (n, &p->sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		const struct ts_list *local = p->ours ? &own : &peers;
		const struct ts_list *remote = p->ours ? &peers : &own;

		if (!is_there(c) || !ts_list_within(c->ts, c->num_local, local->ts, local->num) ||
		    !ts_list_within(c->ts + c->num_local, c->num_remote, remote->ts, remote->num))
			continue;
		tie(p, c, p->ops[i].path);
		status = MIF_OK;
	}
	return status;
}

static uint16_t tie_domain(struct mif_plan *p, uint32_t i)
{
	uint16_t status = MIF_EMPTY_SELECTOR;

	list_for_each (n, &p->sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		if (!is_there(c) || !mif_has_tag(c, p->ops[i].selector.bytes))
			continue;
		tie(p, c, p->ops[i].path);
		status = MIF_OK;
	}
	return status;
}

static uint16_t tie_some(struct mif_plan *p, uint32_t i)
{
	if (p->no_ties)
		return MIF_OK;
	if (!(p->sa->e->env.path_caps & MIF_CAP_BULK))
		return MIF_UNSUPPORTED_OP;
	p->tied = true;
	switch (p->ops[i].selector.kind) {
	case MIF_SELECT_SPIS:
		return tie_spis(p, i);
	case MIF_SELECT_TS:
		return tie_traffic(p, i);
	case MIF_SELECT_DOMAIN:
		return tie_domain(p, i);
	case MIF_SELECT_ALL:
		break;
	}
	return MIF_EMPTY_SELECTOR;
}

/* ---- operations ------------------------------------------------------------------------------ */

static uint8_t room(const struct ike_sa *sa)
{
	const uint8_t ours = sa->e->env.max_paths, theirs = sa->mif.peer.max_paths;
	const uint8_t least = ours < theirs ? ours : theirs;

	return least < MIF_PATHS_MAX ? least : MIF_PATHS_MAX;
}

/* The address that IKE comes to is ours, also where the host does not say which it has. */
static bool is_ours(const struct ike_sa *sa, const struct ip_addr *a)
{
	return ip_addr_equal(&sa->path.local.addr, a) || mobike_is_ours(sa, a);
}

/* What the peer names as its end must be another host's, and what it names as ours must be ours;
 * behind a translator it cannot know that one. */
static uint16_t ends(const struct mif_plan *p, const struct mif_op *op, struct path_addr *out)
{
	const struct ike_sa *sa = p->sa;
	const struct mif_endpoint *local = p->ours ? &op->own : &op->peers;
	const struct mif_endpoint *remote = p->ours ? &op->peers : &op->own;
	const bool said = op->has & (p->ours ? MIF_HAS_OWN : MIF_HAS_PEERS);
	const bool known = said && is_ours(sa, &local->at.addr);

	*out = sa->path;
	out->ifindex = 0;
	if (p->ours || known)
		out->local = local->at;
	else if (said && !sa->nat_local)
		return MIF_BAD_ENDPOINT;
	if (op->has & (p->ours ? MIF_HAS_PEERS : MIF_HAS_OWN))
		out->remote = remote->at;
	out->encap = op->own.at.port ? ENCAP_UDP : ENCAP_NONE;
	if (!out->local.port)
		out->local.port = sa->path.local.port;
	if (!out->remote.port)
		out->remote.port = sa->path.remote.port;
	if (out->local.addr.family != out->remote.addr.family ||
	    mobike_is_ours(sa, &out->remote.addr))
		return MIF_BAD_ENDPOINT;
	return p->ours || !claims_stay(sa, &out->remote.addr) ? MIF_OK : MIF_POLICY_DENIED;
}

static uint16_t may_spread(const struct mif_plan *p, uint8_t policy)
{
	static const uint16_t needs[MIF_NUM_POLICIES] = {[MIF_SPRAY] =
								 MIF_CAP_SPRAY | MIF_CAP_RESEQUENCE,
							 [MIF_DUPLICATE] = MIF_CAP_DUPLICATE};
	const uint16_t both = p->sa->e->env.path_caps & p->sa->mif.peer.caps;

	if (policy == MIF_KEEP_POLICY)
		return MIF_OK;
	return (both & needs[policy]) == needs[policy] ? MIF_OK : MIF_POLICY_DENIED;
}

/* may_carry - both sides can have several paths for the mode of each child that there is, or that
 * the connection may get. */
static uint16_t may_carry(const struct mif_plan *p)
{
	const struct conf_conn *conn = p->sa->conn;
	uint16_t needs = 0;

	list_for_each (n, &p->sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);

		needs |= c->mode == SA_TRANSPORT ? MIF_CAP_TRANSPORT : MIF_CAP_TUNNEL;
	}
	for (uint32_t i = 0; i < conn->num_children; i++) {
		if (conf_negotiated(conn->children[i].mode))
			needs |= conn->children[i].mode == CONF_TRANSPORT ? MIF_CAP_TRANSPORT
									  : MIF_CAP_TUNNEL;
	}
	return needs & ~(p->sa->e->env.path_caps & p->sa->mif.peer.caps) ? MIF_POLICY_DENIED
									 : MIF_OK;
}

static uint16_t add(struct mif_plan *p, uint32_t i)
{
	const struct mif_op *op = &p->ops[i];
	struct sa_path new = {.id = op->path,
			      .weight = 1,
			      .priority = PRIORITY_LATER,
			      .port = p->ports[i],
			      .nat = op->own.nat && !p->ours,
			      .liveness = op->liveness};
	uint16_t status = ends(p, op, &new.addr);

	if (!op->path || op->path <= p->next.last_id)
		return MIF_BAD_PATH_ID;
	if (p->next.num >= room(p->sa))
		return MIF_PATH_LIMIT;
	if (!status)
		status = may_carry(p);
	if (!status && op->has & MIF_HAS_SCHEDULE)
		status = may_spread(p, op->schedule.policy);
	if (status)
		return status;
	if (op->has & MIF_HAS_SCHEDULE) {
		new.priority = op->schedule.priority;
		new.weight = op->schedule.weight;
		if (op->schedule.policy != MIF_KEEP_POLICY)
			p->next.policy = op->schedule.policy;
	}
	p->next.list[p->next.num++] = new;
	p->next.last_id = op->path;
	return MIF_OK;
}

static uint16_t do_add(struct mif_plan *p, uint32_t i)
{
	const struct mif_op *op = &p->ops[i];
	struct path_addr ignored;

	if (!op->path && p->ours != p->sa->mif.decides) /* a proposal, which is heard */
		return ends(p, op, &ignored);
	return add(p, i);
}

static uint16_t do_remove(struct mif_plan *p, uint32_t i)
{
	const uint16_t id = p->ops[i].path;

	if (!paths_find(&p->next, id))
		return MIF_UNKNOWN_PATH;
	if (p->next.num == 1)
		return MIF_POLICY_DENIED;
	take(&p->next, id);
	untie(p, id);
	return MIF_OK;
}

/* The path goes before all others; on a hard handover those that went before it are gone. */
static void prefer(struct mif_plan *p, uint16_t id, bool hard)
{
	uint8_t least = UINT8_MAX;

	for (uint8_t i = 0; i < p->next.num; i++)
		if (p->next.list[i].id != id && p->next.list[i].priority < least)
			least = p->next.list[i].priority;
	for (uint8_t i = p->next.num; i-- > 0;) {
		struct sa_path *o = &p->next.list[i];

		if (o->id == id)
			o->priority = 0, o->leaving = false;
		else if (hard && o->priority == least)
			take(&p->next, o->id);
		else if (!o->priority)
			o->priority = PRIORITY_LATER;
	}
	if (p->no_ties)
		return;
	p->tied = true;
	untie(p, 0);
}

static uint16_t do_move(struct mif_plan *p, uint32_t i)
{
	const struct mif_op *op = &p->ops[i];
	const bool all = !(op->has & MIF_HAS_SELECTOR) || op->selector.kind == MIF_SELECT_ALL;
	const struct sa_paths before = p->next;
	uint16_t status = op->has & MIF_HAS_OWN ? add(p, i) : MIF_OK;

	if (!status && !paths_find(&p->next, op->path))
		status = MIF_UNKNOWN_PATH;
	if (!status && all)
		prefer(p, op->path, op->op == MIF_HARD);
	else if (!status)
		status = tie_some(p, i);
	if (status)
		p->next = before;
	return status;
}

static uint16_t do_multihoming(struct mif_plan *p, uint32_t i)
{
	const struct mif_op *op = &p->ops[i];
	struct sa_path *path = paths_find(&p->next, op->path);
	const uint16_t status = may_spread(p, op->schedule.policy);

	if (op->path && !path)
		return MIF_UNKNOWN_PATH;
	if (status)
		return status;
	if (op->schedule.policy != MIF_KEEP_POLICY)
		p->next.policy = op->schedule.policy;
	if (!path)
		return MIF_OK;
	path->priority = op->schedule.priority;
	path->weight = op->schedule.weight;
	path->leaving = false;
	if (op->has & MIF_HAS_LIVENESS)
		path->liveness = op->liveness;
	return MIF_OK;
}

/* The path stays, and answers; what goes by it goes by another one, if that is usable. */
static uint16_t do_leave(struct mif_plan *p, uint32_t i)
{
	struct sa_path *path = paths_find(&p->next, p->ops[i].path);

	if (!path)
		return MIF_UNKNOWN_PATH;
	if (p->next.num == 1)
		return MIF_POLICY_DENIED;
	path->leaving = true;
	return MIF_OK;
}

/* There is such a path; with 0 all are meant. */
static uint16_t do_query(struct mif_plan *p, uint32_t i)
{
	const uint16_t id = p->ops[i].path;

	return !id || paths_find(&p->next, id) ? MIF_OK : MIF_UNKNOWN_PATH;
}

/* follower: the side that does not decide may say it, too. */
static const struct {
	uint16_t (*try)(struct mif_plan *p, uint32_t i);
	bool follower;
} table[] = {
	[MIF_ADD] = {do_add, false},
	[MIF_REMOVE] = {do_remove, true},
	[MIF_SOFT] = {do_move, false},
	[MIF_HARD] = {do_move, false},
	[MIF_MULTIHOMING] = {do_multihoming, false},
	[MIF_QUERY] = {do_query, true},
	[MIF_LEAVE] = {do_leave, false},
};

/* ---- the plan -------------------------------------------------------------------------------- */

void plan_begin(struct mif_plan *p, struct ike_sa *sa, bool ours)
{

	p->sa = sa;
	p->ours = ours;
	p->no_ties = p->tied = false;
	p->dg = NULL;
	p->next = sa->mif.paths;
	p->num = p->num_spis = 0;
	p->failed_len = 0;
	list_for_each (n, &sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		c->path_next = c->path;
	}
}

void plan_try_one(struct mif_plan *p, uint32_t i)
{
	const struct mif_op *op = &p->ops[i];
	const bool decides = p->ours == p->sa->mif.decides;
	const bool proposal = op->op == MIF_ADD && !op->path;
	struct mif_result *r = &p->results[i];

	*r = (struct mif_result){.transaction = op->transaction, .path = op->path};
	if (op->refused)
		r->status = op->refused;
	else if (!decides && !table[op->op].follower && !proposal)
		r->status = MIF_POLICY_DENIED;
	else
		r->status = table[op->op].try(p, i);
}

static void save(struct mif_plan *p, bool back)
{

	if (back)
		p->next = p->saved;
	else
		p->saved = p->next;
	list_for_each (n, &p->sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		if (back)
			c->path_next = c->path_saved;
		else
			c->path_saved = c->path_next;
	}
}

void plan_presume(struct mif_plan *p)
{
	if (p->ours && p->sa->mif.decides && !paths_best(&p->next))
		paths_wanted(&p->next)->usable = true;
}

void plan_without(struct mif_plan *p, const uint16_t *ids, uint8_t num)
{
	for (uint8_t i = 0; i < num && p->next.num > 1; i++)
		take(&p->next, ids[i]);
	list_for_each (n, &p->sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		if (!paths_find(&p->next, c->path_next))
			c->path_next = 0;
	}
}

static bool is_atomic(const struct mif_plan *p, uint32_t i, uint16_t transaction)
{
	return i < p->num && p->ops[i].flags & MIF_ATOMIC && p->ops[i].transaction == transaction;
}

/* Operations that follow each other with one number and ATOMIC; returns the first after them. */
static uint32_t try_together(struct mif_plan *p, uint32_t from)
{
	const uint16_t transaction = p->ops[from].transaction;
	uint32_t end = from, bad = 0;

	save(p, false);
	for (; is_atomic(p, end, transaction); end++) {
		plan_try_one(p, end);
		bad += p->results[end].status != MIF_OK;
	}
	if (!bad)
		return end;
	save(p, true);
	for (uint32_t i = from; i < end; i++)
		if (p->results[i].status == MIF_OK)
			p->results[i].status = MIF_ABORTED;
	return end;
}

bool plan_is_dry(const struct mif_plan *p)
{
	for (uint32_t i = 0; i < p->num; i++)
		if (p->ops[i].flags & MIF_DRY)
			return true;
	return false;
}

void plan_try(struct mif_plan *p)
{
	uint32_t i = 0;

	while (i < p->num) {
		if (p->ops[i].flags & MIF_ATOMIC)
			i = try_together(p, i);
		else
			plan_try_one(p, i++);
	}
}
