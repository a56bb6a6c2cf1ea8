/* SPDX-License-Identifier: Apache-2.0 */
/* The engine behind the vtable that control sockets are written against (backend.h). */
#include "api/engine/backend.h"

#include <stdio.h>

#include "api/engine/internal.h"

static uint64_t backend_now(void *ctx)
{
	return engine_now(ctx);
}

static struct conf *backend_conf(void *ctx)
{
	return engine_conf(ctx);
}

static enum err backend_configure(void *ctx, struct conf *next, char text[BACKEND_TEXT_MAX])
{
	enum err err = engine_configure(ctx, next);

	if (err)
		snprintf(text, BACKEND_TEXT_MAX, "the configuration cannot be put in force: %s",
			 err_text(err));
	return err;
}

static void backend_flush(void *ctx)
{
	const struct engine *e = ctx;

	ike_keyring_flush(e->keyring);
}

static enum err backend_load(void *ctx, struct conf_diags *diags)
{
	return engine_reload(ctx, diags);
}

static enum err backend_check(void *ctx, struct conf_diags *diags, const char *file)
{
	return engine_check(ctx, diags, file);
}

static void
backend_each_policy(void *ctx, void (*fn)(void *arg, const struct engine_policy *policy), void *arg)
{
	engine_each_policy(ctx, fn, arg);
}

static enum err backend_initiate(void *ctx, const struct backend_initiate *what,
				 char text[BACKEND_TEXT_MAX])
{
	enum err err = engine_up(ctx, what->conn, what->child, what->request);

	if (err == ERR_NOT_FOUND)
		snprintf(text, BACKEND_TEXT_MAX, "no connection or child is called '%s'",
			 what->child  ? what->child
			 : what->conn ? what->conn
				      : "");
	else if (err && err != ERR_EXISTS)
		snprintf(text, BACKEND_TEXT_MAX, "it cannot be started: %s", err_text(err));
	return err;
}

static enum err backend_terminate(void *ctx, uint32_t *out_num, const struct ike_select *sel,
				  bool force)
{
	(void)force; /* DELETE is sent and the SA is gone when its answer or the last try is */
	return engine_down(ctx, out_num, sel);
}

static enum err backend_rekey(void *ctx, uint32_t *out_num, const struct ike_select *sel)
{
	return engine_rekey(ctx, out_num, sel);
}

static enum err backend_redirect(void *ctx, uint32_t *out_num, const struct engine_redirect *r)
{
	return engine_redirect(ctx, out_num, r);
}

static enum err backend_path(void *ctx, uint32_t *out_num, uint16_t *out_id,
			     const struct engine_path_request *req, char text[BACKEND_TEXT_MAX])
{
	return engine_path(ctx, out_num, out_id, req, text);
}

static uint32_t backend_paths(void *ctx, struct engine_path_info out[PATHS_MAX], uint64_t peer)
{
	return engine_paths(ctx, out, peer);
}

static void backend_each_sa(void *ctx, void (*fn)(void *arg, const struct ike_sa_info *sa),
			    void *arg)
{
	engine_each_sa(ctx, fn, arg);
}

static void backend_each_lease(void *ctx, const char *pool,
			       void (*fn)(void *arg, const struct ike_lease *l), void *arg)
{
	engine_each_lease(ctx, pool, fn, arg);
}

static enum err backend_child_stats(void *ctx, struct child_stats *out, uint64_t child)
{
	return engine_child_stats(ctx, out, child);
}

static enum err backend_path_info(void *ctx, struct path_info *out, uint32_t ike_id)
{
	return engine_path_info(ctx, out, ike_id);
}

static void backend_each_port(void *ctx, void (*fn)(void *arg, const struct engine_port_info *port),
			      void *arg)
{
	engine_each_port(ctx, fn, arg);
}

static bool backend_worker_stats(void *ctx, struct dataplane_worker_stats *out, uint32_t worker)
{
	return engine_worker_stats(ctx, out, worker);
}

static void backend_stats(void *ctx, struct backend_stats *out)
{
	out->start_wall_s = engine_started_s(ctx);
	out->uptime_ns = (uint64_t)(clock_wall_s() - out->start_wall_s) * NS_PER_S;
	engine_ike_stats(ctx, &out->ike);
	engine_dp_stats(ctx, &out->data);
}

static const struct backend_ops engine_backend_ops = {
	.now = backend_now,
	.conf = backend_conf,
	.configure = backend_configure,
	.load = backend_load,
	.flush = backend_flush,
	.check = backend_check,
	.initiate = backend_initiate,
	.terminate = backend_terminate,
	.rekey = backend_rekey,
	.redirect = backend_redirect,
	.path = backend_path,
	.paths = backend_paths,
	.each_sa = backend_each_sa,
	.each_lease = backend_each_lease,
	.each_policy = backend_each_policy,
	.child_stats = backend_child_stats,
	.path_info = backend_path_info,
	.each_port = backend_each_port,
	.worker_stats = backend_worker_stats,
	.stats = backend_stats,
	.drop_name = dataplane_drop_name,
};

struct backend engine_backend(struct engine *e)
{
	return (struct backend){.ops = &engine_backend_ops, .ctx = e};
}
