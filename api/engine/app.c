/* SPDX-License-Identifier: Apache-2.0 */
/* app.c - the engine for the application socket's server, see app.h. */
#include "api/engine/latch.h"

#include <stdio.h>

#include "base/alloc.h"

static uint64_t op_now(void *ctx)
{
	return engine_now(ctx);
}

static enum err op_socket_inspect(void *ctx, struct host_socket *out, int fd,
				  const struct flow *pair)
{
	struct engine *e = ctx;

	return e->host.ops->socket_inspect ? e->host.ops->socket_inspect(e->host.ctx, out, fd, pair)
					   : ERR_UNSUPPORTED;
}

static enum err op_socket_mark(void *ctx, int fd, uint32_t token)
{
	struct engine *e = ctx;

	return e->host.ops->socket_mark ? e->host.ops->socket_mark(e->host.ctx, fd, token)
					: ERR_UNSUPPORTED;
}

/* ---- latches -----------------------------------------------------------------------------------
 */

static enum err op_latch_create(void *ctx, uint64_t *out_id, const struct app_latch_params *params,
				char text[APP_TEXT_MAX])
{
	text[0] = 0;
	return latch_create(ctx, out_id, params, text);
}

static enum err op_latch_release(void *ctx, uint64_t id)
{
	struct engine *e = ctx;
	struct latch_rec *l = latches_find(e, id);

	if (!l)
		return ERR_NOT_FOUND;
	latch_release(e, l);
	engine_turn(e);
	return ERR_OK;
}

static enum err op_latch_info(void *ctx, struct app_latch *out, uint64_t id)
{
	const struct latch_rec *l = latches_find(ctx, id);

	if (!l)
		return ERR_NOT_FOUND;
	*out = l->pub;
	return ERR_OK;
}

static enum err op_latch_find(void *ctx, struct app_latch *out, const struct flow *flow,
			      bool listener)
{
	const struct latch_rec *l = latch_of_flow(ctx, flow, listener);

	if (!l)
		return ERR_NOT_FOUND;
	*out = l->pub;
	return ERR_OK;
}

static void op_latch_client_gone(void *ctx, uint64_t client)
{
	latch_client_gone(ctx, client);
}

static void op_latch_socket_gone(void *ctx, uint64_t cookie)
{
	latch_socket_gone(ctx, cookie);
}

static void op_latch_socket_seen(void *ctx, const struct host_socket *sock)
{
	latch_socket_seen(ctx, sock);
}

/* ---- tokens ------------------------------------------------------------------------------------
 */

static enum err op_flow_token(void *ctx, uint32_t *out_token, const struct flow *flow)
{
	const struct engine *e = ctx;
	struct latch_info info;

	if (dataplane_latch_get(e->dp, &info, flow, 0) || info.shut || !info.token)
		return ERR_NOT_FOUND;
	if (info.late)
		return ERR_BAD_STATE;
	*out_token = info.token;
	return ERR_OK;
}

static bool op_has_marks(void *ctx)
{
	return ((const struct engine *)ctx)->has_marks;
}

static enum err op_interface_token(void *ctx, uint32_t *out_token, uint32_t *out_ms,
				   uint32_t ifindex, const struct ip_addr *to)
{
	return vif_class_of(ctx, out_token, out_ms, ifindex, to);
}

/* struct suite_query - the algorithms of the newest pair of a class. */
struct suite_query {
	const struct engine *e;
	uint32_t token;
	struct app_quality *out;
	uint64_t newest_ns;
};

static void find_suite(void *arg, const struct ike_sa_info *sa)
{
	struct suite_query *q = arg;
	struct child_stats st;

	for (uint32_t i = 0; i < sa->num_children; i++) {
		const struct ike_child_info *c = &sa->children[i];

		if (dataplane_child_stats(q->e->dp, &st, c->id) || st.token != q->token ||
		    c->installed_ns < q->newest_ns)
			continue;
		q->newest_ns = c->installed_ns;
		q->out->indeterminate = !c->narrow;
		snprintf(q->out->suite, sizeof(q->out->suite), "%s", c->proposal);
	}
}

static void fill_quality(const struct engine *e, struct app_quality *out, uint32_t token,
			 uint8_t quality)
{
	struct suite_query q = {.e = e, .token = token, .out = out};

	*out = (struct app_quality){
		.privacy = quality & CLASS_Q_PRIVACY,
		.integrity = quality & CLASS_Q_INTEGRITY,
		.replay = quality & CLASS_Q_REPLAY,
		.tunnel = quality & CLASS_Q_TUNNEL,
		.compression = quality & CLASS_Q_COMPRESS,
		.indeterminate = true,
	};
	ike_each_sa(e->ike, find_suite, &q);
}

static enum err op_class_info(void *ctx, struct app_class *out, uint32_t token)
{
	const struct engine *e = ctx;
	struct app_class c = {.token = token};
	struct class_info info;

	TRY(dataplane_class(e->dp, &info, token));
	list_for_each (n, &e->groups) {
		const struct sa_group *g = list_entry(n, struct sa_group, node);

		if (!g->proof || dataplane_group_token(e->dp, g->id) != token)
			continue;
		c.proof = g->proof;
		c.conn = g->conn;
		c.up |= g->num_outbound > 0;
	}
	if (!c.proof)
		return ERR_NOT_FOUND; /* it rests: who it was is known, but not what it proved */
	fill_quality(e, &c.quality, token, info.quality);
	*out = c;
	return ERR_OK;
}

/* within - some selector has this end, whose address may be any. Where there is no port yet it may
 * become any: a selector of some ports alone is not his. */
static bool within(const struct ts *ts, uint32_t num, const struct flow *local)
{
	for (uint32_t i = 0; i < num; i++) {
		bool addr = ip_addr_is_any(&local->local) ||
			    (ts[i].lo.family == local->local.family &&
			     ip_addr_cmp(&ts[i].lo, &local->local) <= 0 &&
			     ip_addr_cmp(&local->local, &ts[i].hi) <= 0);
		bool port = local->local_port ? ts[i].port_lo <= local->local_port &&
							local->local_port <= ts[i].port_hi
					      : ts[i].port_lo == 0 && ts[i].port_hi == UINT16_MAX;

		if (addr && port && (!ts[i].proto || ts[i].proto == local->proto))
			return true;
	}
	return false;
}

static bool op_class_reaches(void *ctx, uint32_t token, const struct flow *local)
{
	const struct engine *e = ctx;

	list_for_each (n, &e->groups) {
		const struct sa_group *g = list_entry(n, struct sa_group, node);

		if (dataplane_group_token(e->dp, g->id) == token &&
		    within(g->local, g->num_local, local))
			return true;
	}
	return false;
}

/* ---- actions -----------------------------------------------------------------------------------
 */

/* struct of_latch - the IKE SA whose child serves a class. */
struct of_latch {
	const struct engine *e;
	uint32_t token, ike_id;
	const char *conn;
};

static void find_ike(void *arg, const struct ike_sa_info *sa)
{
	struct of_latch *q = arg;
	struct child_stats st;

	for (uint32_t i = 0; i < sa->num_children && !q->ike_id; i++) {
		if (dataplane_child_stats(q->e->dp, &st, sa->children[i].id) ||
		    st.token != q->token)
			continue;
		q->ike_id = sa->unique;
		q->conn = sa->conn;
	}
}

static enum err op_reauthenticate(void *ctx, uint64_t *out_id, uint64_t id,
				  const struct app_demand *demand, char text[APP_TEXT_MAX])
{
	struct engine *e = ctx;
	struct latch_rec *l = latches_find(e, id);
	struct of_latch q = {.e = e, .token = l ? l->pub.token : 0};
	const struct conf_conn *conn = NULL;
	struct ike_reauth_params params = {0};
	struct latch_needs needs;
	enum err err;

	text[0] = 0;
	if (!l || l->pub.listener || l->pub.state != LATCH_ESTABLISHED)
		return ERR_NOT_FOUND;
	TRY(needs_of(e, &needs, demand, text));
	ike_each_sa(e->ike, find_ike, &q);
	if (!q.ike_id || !needs_child(e, &conn, &needs, &l->pub.flow)) {
		snprintf(text, APP_TEXT_MAX,
			 "no connection would have the peer prove itself so: add one for its "
			 "address");
		return ERR_NOT_FOUND;
	}
	params.ike_id = q.ike_id;
	params.conn = q.conn && strcmp(q.conn, conn->name) == 0 ? NULL : conn->name;
	params.methods = needs.methods;
	params.request = engine_request(e);
	err = ike_reauthenticate(e->ike, &params, engine_now(e));
	if (err)
		return err;
	l = latch_follow(e, l, demand, &needs);
	if (!l)
		return ERR_NOMEM;
	l->request = params.request;
	l->reauth = true;
	*out_id = l->pub.id;
	engine_turn(e);
	return ERR_OK;
}

static enum err op_trigger(void *ctx, uint64_t id)
{
	struct engine *e = ctx;
	struct latch_rec *l = latches_find(e, id);

	if (!l)
		return ERR_NOT_FOUND;
	l->next_ns = 0;
	l->ended = false;
	latch_settle(e, l);
	engine_turn(e);
	return ERR_OK;
}

/* struct of_class - the Child SAs that serve a class. */
struct of_class {
	const struct engine *e;
	uint32_t token, num;
	uint32_t ids[64];
};

static void collect(void *arg, const struct ike_sa_info *sa)
{
	struct of_class *q = arg;
	struct child_stats st;

	for (uint32_t i = 0; i < sa->num_children && q->num < ARRAY_LEN(q->ids); i++) {
		if (!dataplane_child_stats(q->e->dp, &st, sa->children[i].id) &&
		    st.token == q->token)
			q->ids[q->num++] = sa->children[i].unique;
	}
}

static enum err op_sa_delete(void *ctx, uint64_t id)
{
	struct engine *e = ctx;
	struct latch_rec *l = latches_find(e, id);
	struct of_class q = {.e = e, .token = l ? l->pub.token : 0};
	uint32_t num;

	if (!l || !q.token)
		return ERR_NOT_FOUND;
	ike_each_sa(e->ike, collect, &q);
	for (uint32_t i = 0; i < q.num; i++)
		(void)!ike_terminate(e->ike, &num, &(struct ike_select){.child_id = q.ids[i]},
				     engine_now(e));
	l->ended = true;
	engine_turn(e);
	return q.num ? ERR_OK : ERR_NOT_FOUND;
}

static enum err op_decide(void *ctx, uint64_t client, uint64_t ask, bool accept)
{
	struct engine *e = ctx;

	list_for_each (n, &e->latches->waiting) {
		struct latch_rec *l = list_entry(n, struct latch_rec, node);

		if (!ask || l->ask != ask || l->pub.client != client)
			continue;
		latch_decided(e, l, accept);
		engine_turn(e);
		return ERR_OK;
	}
	return ERR_NOT_FOUND;
}

static enum err op_cgroup_demand(void *ctx, struct app_latch *out, int fd,
				 const struct app_demand *demand, uint64_t client, uint32_t uid,
				 char text[APP_TEXT_MAX])
{
	text[0] = 0;
	return cgroup_demand(ctx, out, fd, demand, client, uid, text);
}

static enum err op_cgroup_release(void *ctx, uint64_t id)
{
	return cgroup_release(ctx, id);
}

/* ---- profiles and credentials
 * -------------------------------------------------------------------- */

static bool op_profile_each(void *ctx, struct app_profile *out, uint32_t i)
{
	const struct engine *e = ctx;

	if (i >= e->latches->num_profiles)
		return false;
	*out = e->latches->profiles[i];
	return true;
}

static enum err op_profile_set(void *ctx, const struct app_profile *profile)
{
	struct engine *e = ctx;

	return profile_set(e->latches, profile);
}

/* use - the configuration with what came by the socket, in place of the old one. */
static enum err use(struct engine *e, struct conf *next)
{
	enum err err = engine_configure(e, next);

	conf_put(next);
	return err;
}

static enum err op_secret_add(void *ctx, const char *const *ids, uint32_t num_ids,
			      struct bytes secret, char text[APP_TEXT_MAX])
{
	struct engine *e = ctx;
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	char name[80];
	const struct conf_secret_params p = {
		.name = name, .value = secret, .owners = ids, .num_owners = num_ids};
	struct conf *next = NULL;
	enum err err = ERR_NOMEM;

	text[0] = 0;
	snprintf(name, sizeof(name), "app-%.60s", num_ids ? ids[num_ids - 1] : "any");
	if (diags)
		err = conf_with_secret(&next, diags, e->conf, &p);
	if (err && diags && diags->num)
		snprintf(text, APP_TEXT_MAX, "%.*s", APP_TEXT_MAX - 1, diags->list[0].text);
	mem_free(diags);
	return err ? err : use(e, next);
}

static enum err op_cert_add(void *ctx, bool authority, struct bytes cert, char text[APP_TEXT_MAX])
{
	struct engine *e = ctx;
	const struct cred_source source = {
		.kind = authority ? CRED_CA : CRED_CERT, .name = "application", .data = cert};
	struct cred *cred = NULL;
	struct conf *next = NULL;
	char why[KEY_WHY_MAX];
	enum err err = cred_import(&cred, why, &source);

	text[0] = 0;
	if (err) {
		snprintf(text, APP_TEXT_MAX, "%.200s", why);
		return err == ERR_NOMEM ? err : ERR_INVAL;
	}
	err = conf_with_cred(&next, e->conf, cred);
	cred_put(cred);
	return err ? err : use(e, next);
}

struct app_backend engine_app(struct engine *e)
{
	static const struct app_ops ops = {
		.now = op_now,
		.socket_inspect = op_socket_inspect,
		.socket_mark = op_socket_mark,
		.latch_create = op_latch_create,
		.latch_release = op_latch_release,
		.latch_info = op_latch_info,
		.latch_find = op_latch_find,
		.latch_client_gone = op_latch_client_gone,
		.latch_socket_gone = op_latch_socket_gone,
		.latch_socket_seen = op_latch_socket_seen,
		.flow_token = op_flow_token,
		.has_marks = op_has_marks,
		.interface_token = op_interface_token,
		.class_info = op_class_info,
		.class_reaches = op_class_reaches,
		.reauthenticate = op_reauthenticate,
		.trigger = op_trigger,
		.sa_delete = op_sa_delete,
		.decide = op_decide,
		.cgroup_demand = op_cgroup_demand,
		.cgroup_release = op_cgroup_release,
		.path = app_path_op,
		.request = app_request,
		.each_path = app_each_path,
		.profile_each = op_profile_each,
		.profile_set = op_profile_set,
		.secret_add = op_secret_add,
		.cert_add = op_cert_add,
	};

	return (struct app_backend){.ops = &ops, .ctx = e};
}

void engine_app_observe(struct engine *e, void (*tell)(void *ctx, const struct app_event *event),
			void *ctx)
{
	e->latches->tell = tell;
	e->latches->ctx = ctx;
}
