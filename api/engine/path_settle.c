/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_settle.c - where this side decides about the paths of an IKE SA it gets those that are
 * wanted (path_plan.h): after whatever may have changed them.
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

/* struct pending - what is to be done at one IKE SA: not while they are listed. */
struct pending {
	struct list_node node;
	uint32_t ike_id;
	struct path_ops ops;
	uint32_t num_ties;
	struct path_tying ties[]; /* as many as the connection has children */
};

/* struct settling - a walk over all of them. */
struct settling {
	struct engine *e;
	struct ours ours;
	struct list_node pending;
};

static void settle_sa(void *ctx, const struct ike_sa_info *sa)
{
	struct settling *s = ctx;
	const struct conf_conn *conn = sa->conn ? conf_find_conn(s->e->conf, sa->conn) : NULL;
	struct hand *hand = hand_of(s->e, sa->peer);
	struct pending *p;

	if (hand)
		hand->seen = true;
	if (!conn || !sa->paths)
		return;
	path_rules_set(s->e, &s->ours, conn, sa);
	if (!sa->paths_decides || (conn->path_policy == CONF_PATHS_NONE && !hand))
		return;
	p = mem_alloc(sizeof(*p) + conn->num_children * sizeof(p->ties[0]));
	if (!p) {
		LOG(ERROR, NET, sa->conn, "no memory to look after its paths");
		return;
	}
	p->ike_id = sa->unique;
	path_plan(&p->ops, &s->ours, conn, sa, hand ? &hand->said : NULL, s->e->outer_port);
	p->num_ties = path_rules_ties(p->ties, &s->ours, conn, sa);
	list_push_back(&s->pending, &p->node);
}

static void operate(struct engine *e, const struct pending *p)
{
	const struct ike_select sel = {.ike_id = p->ike_id};
	uint32_t num;

	for (uint32_t i = 0; i < p->ops.num; i += OPS_AT_ONCE) {
		uint32_t n = p->ops.num - i < OPS_AT_ONCE ? p->ops.num - i : OPS_AT_ONCE;
		enum err err = ike_path(e->ike, &num, NULL, &sel, &p->ops.op[i], n, engine_now(e));

		if (err)
			LOG(WARN, NET, NULL, "paths of IKE SA %u cannot be set up: %s", p->ike_id,
			    err_text(err));
	}
	for (uint32_t i = 0; i < p->num_ties; i++)
		path_rules_tie(e, p->ike_id, &p->ties[i]);
}

/* are_wanted - somebody says something of paths: a connection, or a person. */
static bool are_wanted(const struct engine *e)
{
	for (uint32_t i = 0; i < e->conf->num_conns; i++)
		if (e->conf->conns[i]->path_policy != CONF_PATHS_NONE)
			return true;
	return !list_empty(&e->hands);
}

void paths_settle(struct engine *e)
{
	struct settling s = {.e = e};

	e->paths_dirty = false;
	if (!are_wanted(e))
		return;
	roam_ours(e, &s.ours);
	list_init(&s.pending);
	ike_each_sa(e->ike, settle_sa, &s);
	hands_sweep(e);
	list_for_each_safe (n, &s.pending) {
		struct pending *p = list_entry(n, struct pending, node);

		operate(e, p);
		list_remove(&p->node);
		mem_free(p);
	}
}
