/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - what this side asks for: bring up, close, re-key. */
#include <stdio.h>

#include "base/alloc.h"
#include "control/child/traffic.h"
#include "control/ike/core.h"
#include "control/ike/index.h"
#include "control/ike/methods.h"
#include "control/ike/request.h"
#include "control/ike/step.h"
#include "control/ike/resume.h"
#include "control/ike/task.h"

/* An IKE SA of the connection that can take another Child SA, now or when it is up. */
static struct ike_sa *find_for(struct ike_engine *e, const struct conf_conn *conn,
			       const struct path_addr *path, uint32_t methods)
{
	struct ike_sa *connecting = NULL;

	list_for_each (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (!sa->conn || strcmp(sa->conn->name, conn->name) != 0 ||
		    (!ip_addr_equal(&sa->path.remote.addr, &path->remote.addr) &&
		     !ip_addr_equal(&sa->origin, &path->remote.addr)) ||
		    !methods_meet(sa, methods))
			continue;
		if (sa_usable(sa))
			return sa;
		if (sa->initiator && sa->state >= SA_I_INIT && sa->state <= SA_I_ACCEPT &&
		    !sa->ended)
			connecting = sa;
	}
	return connecting;
}

static bool covers(const struct ike_child *c, const struct flow *f)
{
	return flow_within(f, c->ts, c->num_local, c->ts + c->num_local, c->num_remote);
}

/* The child is up as it is wished and, if a packet asked, it would take the packet. */
static bool is_up(const struct ike_sa *sa, const struct conf_child *conf,
		  const struct child_wish *wish, const struct flow *flow)
{
	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);

		if (c->state == CHILD_INSTALLED && !c->replaced_by && !c->redundant && !c->worker &&
		    strcmp(c->conf->name, conf->name) == 0 && wish_met(wish, c->wish) &&
		    (!flow || covers(c, flow)))
			return true;
	}
	return false;
}

static bool is_about(const struct task *t, const struct task *like)
{
	return t && t->child_conf && strcmp(t->child_conf->name, like->child_conf->name) == 0 &&
	       wish_met(like->wish, t->wish);
}

static bool is_under_way(const struct ike_sa *sa, const struct task *like)
{
	if (is_about(sa->out.task, like))
		return true;
	list_for_each (n, &sa->tasks)
		if (is_about(list_entry(n, struct task, node), like))
			return true;
	return false;
}

static enum err make_task(struct task **out, const struct ike_initiate_params *p,
			  enum task_kind kind, const struct conf_child *child)
{
	struct task *t = task_new(kind, 0);
	enum err e;

	if (!t)
		return ERR_NOMEM;
	e = wish_new(&t->wish, p);
	if (e) {
		task_free(t);
		return e;
	}
	t->child_conf = child;
	t->request = p->request;
	t->has_flow = p->flow != NULL;
	if (p->flow)
		t->flow = *p->flow;
	*out = t;
	return ERR_OK;
}

/* The configuration that an existing IKE SA was made with decides about its children. */
static const struct conf_child *same_child(const struct conf_conn *conn, const char *name)
{
	for (uint32_t i = 0; i < conn->num_children; i++)
		if (strcmp(conn->children[i].name, name) == 0)
			return &conn->children[i];
	return NULL;
}

/* A packet outside the configured selectors asks for nothing that can be had. */
static const struct flow *useful_flow(const struct ike_sa *sa, const struct conf_child *child,
				      const struct flow *flow)
{
	return flow && traffic_allows(sa, child, flow) ? flow : NULL;
}

static enum err add_child(struct ike_sa *sa, const struct ike_initiate_params *p, uint64_t now_ns)
{
	const struct conf_child *child = p->child ? same_child(sa->conn, p->child) : NULL;
	struct task *t;
	enum err e;

	if (!p->child)
		return ERR_EXISTS;
	if (!child || !conf_negotiated(child->mode))
		return ERR_NOT_FOUND;
	e = make_task(&t, p, TASK_CHILD_NEW, child);
	if (e)
		return e;
	if (is_under_way(sa, t) || is_up(sa, child, t->wish, useful_flow(sa, child, p->flow))) {
		task_free(t);
		return ERR_EXISTS;
	}
	task_add(sa, t);
	step_task(sa, now_ns);
	return ERR_OK;
}

static enum err begin_sa(struct ike_engine *e, const struct conf_conn *conn,
			 const struct conf_child *child, const struct ike_initiate_params *p,
			 uint64_t now_ns)
{
	struct ike_sa *sa;
	struct task *t;
	enum err err;

	if (p->methods && !(p->methods & conf_auth_methods(conn->remote.auth)))
		return ERR_UNSUPPORTED;
	err = make_task(&t, p, TASK_SA_INIT, child);
	if (err)
		return err;
	err = sa_new(e, &sa, true, e->conf, conn);
	if (err) {
		task_free(t);
		return err;
	}
	sa_set_path(sa, &p->path);
	sa->port = p->port;
	sa->request = p->request;
	sa->methods = p->methods;
	if (resume_can(sa))
		t->kind = TASK_RESUME;
	task_add(sa, t);
	step_task(sa, now_ns);
	return sa->state >= SA_I_INIT && sa->state <= SA_I_RESUME ? ERR_OK : ERR_NOMEM;
}

enum err request_initiate(struct ike_engine *e, const struct ike_initiate_params *p,
			  uint64_t now_ns)
{
	const struct conf_conn *conn = e->conf ? conf_find_conn(e->conf, p->conn) : NULL;
	const struct conf_child *child = NULL;
	struct ike_sa *sa;

	if (!conn)
		return ERR_NOT_FOUND;
	if (p->child) {
		child = same_child(conn, p->child);
		if (!child || !conf_negotiated(child->mode))
			return ERR_NOT_FOUND;
	}
	sa = find_for(e, conn, &p->path, p->methods);
	if (sa && (!child || same_child(sa->conn, child->name)))
		return add_child(sa, p, now_ns);
	return begin_sa(e, conn, child, p, now_ns);
}

enum err ike_initiate(struct ike_engine *e, const struct ike_initiate_params *params,
		      uint64_t now_ns)
{
	enum err err;

	e->now_ns = now_ns;
	err = request_initiate(e, params, now_ns);
	engine_sweep(e, now_ns);
	return err;
}

/* ---- selection --------------------------------------------------------------------------------
 */

static bool sa_selected(const struct ike_sa *sa, const struct ike_select *sel)
{
	if (sa->state == SA_DEAD || sa->quiet)
		return false;
	if (sel->conn && (!sa->conn || strcmp(sa->conn->name, sel->conn) != 0))
		return false;
	return !sel->ike_id || sa->unique == sel->ike_id;
}

static bool child_selected(const struct ike_child *c, const struct ike_select *sel)
{
	if (c->state != CHILD_INSTALLED || c->replaced_by || c->redundant)
		return false;
	if (sel->child && strcmp(c->conf->name, sel->child) != 0)
		return false;
	return !sel->child_id || c->unique == sel->child_id;
}

static bool wants_children(const struct ike_select *sel)
{
	return sel->child || sel->child_id;
}

static uint32_t each_selected(struct ike_engine *e, const struct ike_select *sel,
			      bool (*on_sa)(struct ike_sa *sa, uint64_t request),
			      bool (*on_child)(struct ike_child *c, uint64_t request),
			      uint64_t now_ns)
{
	uint32_t num = 0;

	list_for_each_safe (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (!sa_selected(sa, sel))
			continue;
		if (!wants_children(sel))
			num += on_sa(sa, sel->request);
		list_for_each_safe (m, &sa->children) {
			struct ike_child *c = list_entry(m, struct ike_child, node);

			if (wants_children(sel) && child_selected(c, sel))
				num += on_child(c, sel->request);
		}
		step_task(sa, now_ns);
	}
	return num;
}

/* ---- close ------------------------------------------------------------------------------------
 */

/* A handshake under way: nobody waits for it any more. If the peer may believe the SA to be up, it
 * is closed as soon as that is known. */
static bool terminate_early(struct ike_sa *sa)
{
	if (sa->initiator && sa->state >= SA_I_AUTH) {
		if (task_need(sa, TASK_IKE_DELETE, 0) == ERR_NOMEM)
			return false;
		action_event(sa, IKE_EVENT_FAILED, NULL, IKE_REASON_LOCAL, sa->request,
			     "given up as asked");
		sa->ended = true;
		return true;
	}
	sa_kill(sa, IKE_REASON_LOCAL, "given up as asked", sa->e->now_ns);
	return true;
}

static bool terminate_sa(struct ike_sa *sa, uint64_t request)
{
	if (sa->state < SA_ESTABLISHED)
		return !sa->ended && terminate_early(sa);
	if (sa->state != SA_ESTABLISHED)
		return false;
	sa->reason = IKE_REASON_LOCAL;
	sa->request = request;
	list_for_each (n, &sa->children) {
		list_entry(n, struct ike_child, node)->request = request;
	}
	return task_need(sa, TASK_IKE_DELETE, 0) != ERR_NOMEM;
}

static bool terminate_child(struct ike_child *c, uint64_t request)
{
	return !child_delete(c, IKE_REASON_LOCAL, request);
}

enum err ike_terminate(struct ike_engine *e, uint32_t *out_num, const struct ike_select *sel,
		       uint64_t now_ns)
{
	uint32_t num;

	e->now_ns = now_ns;
	num = each_selected(e, sel, terminate_sa, terminate_child, now_ns);
	engine_sweep(e, now_ns);
	if (!num)
		return ERR_NOT_FOUND;
	*out_num = num;
	return ERR_OK;
}

/* ---- re-key -----------------------------------------------------------------------------------
 */

static bool rekey_sa(struct ike_sa *sa, uint64_t request)
{
	(void)request;
	return sa_usable(sa) && task_need(sa, TASK_IKE_REKEY, 0) != ERR_NOMEM;
}

static bool rekey_child(struct ike_child *c, uint64_t request)
{
	struct task *t;
	enum err e;

	if (!sa_usable(c->sa))
		return false;
	e = task_need(c->sa, TASK_CHILD_REKEY, c->id);
	t = task_find(c->sa, TASK_CHILD_REKEY, c->id);
	if (t && !e)
		t->request = request;
	return e != ERR_NOMEM;
}

enum err ike_rekey(struct ike_engine *e, uint32_t *out_num, const struct ike_select *sel,
		   uint64_t now_ns)
{
	uint32_t num;

	e->now_ns = now_ns;
	num = each_selected(e, sel, rekey_sa, rekey_child, now_ns);
	engine_sweep(e, now_ns);
	if (!num)
		return ERR_NOT_FOUND;
	*out_num = num;
	return ERR_OK;
}
