/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/internal.h"

void status_event(struct engine *e, const struct ike_event *ev)
{
	if (ev->kind == IKE_EVENT_FAILED)
		LOG(WARN, IKE, ev->conn, "%s",
		    ev->text && ev->text[0] ? ev->text : ike_reason_name(ev->reason));
	list_for_each_safe (n, &e->observers) {
		struct engine_observer *o = list_entry(n, struct engine_observer, node);

		if (o->event)
			o->event(o, ev);
	}
}

void engine_each_sa(struct engine *e, void (*fn)(void *ctx, const struct ike_sa_info *sa),
		    void *ctx)
{
	ike_each_sa(e->ike, fn, ctx);
}

void engine_each_lease(struct engine *e, const char *pool,
		       void (*fn)(void *ctx, const struct ike_lease *l), void *ctx)
{
	ike_each_lease(e->ike, pool, fn, ctx);
}

static void each_shunt(struct engine *e, void (*fn)(void *ctx, const struct engine_policy *policy),
		       void *ctx)
{
	list_for_each (n, &e->shunts) {
		const struct shunt *s = list_entry(n, struct shunt, node);
		const struct engine_policy p = {
			.conn = s->conn,
			.child = s->child,
			.action = s->action,
			.priority = s->priority / PRIORITY_STEP,
			.trap = true,
			.local = s->local,
			.remote = s->remote,
			.num_local = s->num_local,
			.num_remote = s->num_remote,
		};

		fn(ctx, &p);
	}
}

void engine_each_policy(struct engine *e, void (*fn)(void *ctx, const struct engine_policy *policy),
			void *ctx)
{
	list_for_each (n, &e->groups) {
		const struct sa_group *g = list_entry(n, struct sa_group, node);
		struct engine_policy p = {
			.conn = g->conn,
			.child = g->child,
			.action = POLICY_PROTECT,
			.priority = g->priority / PRIORITY_STEP,
			.trap = g->trap,
			.closed = !g->num_outbound,
			.num_sas = g->num_pairs,
			.local = g->local,
			.remote = g->remote,
			.num_local = g->num_local,
			.num_remote = g->num_remote,
		};

		if (g->policy)
			fn(ctx, &p);
	}
	each_shunt(e, fn, ctx);
}

enum err engine_child_stats(struct engine *e, struct child_stats *out, uint64_t child)
{
	return dataplane_child_stats(e->dp, out, child);
}

void engine_ike_stats(struct engine *e, struct ike_stats *out)
{
	ike_stats(e->ike, out);
}

void engine_dp_stats(struct engine *e, struct dataplane_stats *out)
{
	dataplane_stats(e->dp, out);
}

bool engine_worker_stats(struct engine *e, struct dataplane_worker_stats *out, uint32_t worker)
{
	return dataplane_worker_stats(e->dp, out, worker);
}

enum err engine_class(struct engine *e, struct class_info *out, uint32_t token)
{
	return dataplane_class(e->dp, out, token);
}

int64_t engine_started_s(const struct engine *e)
{
	return e->started_s;
}

struct path_query {
	struct engine *engine;
	struct path_info *out;
	uint32_t ike_id;
	bool found;
};

static void path_of(void *ctx, const struct ike_sa_info *sa)
{
	struct path_query *q = ctx;

	if (sa->unique == q->ike_id)
		q->found = sa->num_children > 0 &&
			   actions_path_info(q->engine, q->out, sa->children[0].id) == ERR_OK;
}

enum err engine_path_info(struct engine *e, struct path_info *out, uint32_t ike_id)
{
	struct path_query q = {.engine = e, .out = out, .ike_id = ike_id};

	ike_each_sa(e->ike, path_of, &q);
	return q.found ? ERR_OK : ERR_NOT_FOUND;
}
