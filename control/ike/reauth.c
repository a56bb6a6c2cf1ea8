/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/reauth.h"

#include "control/child/child.h"
#include "control/ike/index.h"
#include "control/ike/methods.h"
#include "control/ike/mif_plan.h"
#include "control/ike/mobike.h"
#include "control/ike/step.h"
#include "control/ike/task.h"

/* DRAIN_NS - what is under way by the old SAs arrives before they are closed. */
#define DRAIN_NS (1 * NS_PER_S)

static struct ike_sa *find(const struct ike_engine *e, uint32_t unique)
{
	list_for_each (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->unique == unique && sa_usable(sa))
			return sa;
	}
	return NULL;
}

static bool lives(const struct ike_child *c)
{
	return c->state == CHILD_INSTALLED && !c->replaced_by && !c->redundant;
}

static bool has_child(const struct ike_sa *sa)
{
	list_for_each (n, &sa->children)
		if (lives(list_entry(n, struct ike_child, node)))
			return true;
	return false;
}

/* The one that is to be in the place of old; NULL: there is none, or it was once. */
static struct ike_sa *renewal_of(const struct ike_sa *old)
{
	struct ike_sa *sa = old->renewed_by ? sa_by_spi(old->e, old->renewed_by) : NULL;

	return sa && sa->reauth_of == old->unique ? sa : NULL;
}

static bool is_under_way(const struct ike_sa *old)
{
	const struct ike_sa *sa = renewal_of(old);

	return sa && sa->state <= SA_ESTABLISHED && !sa->ended;
}

/* The one in whose place sa is to be, while it is up. */
static struct ike_sa *old_of(const struct ike_sa *sa)
{
	struct ike_sa *old = sa->reauth_of ? sa_by_spi(sa->e, sa->reauth_spi) : NULL;

	return old && old->unique == sa->reauth_of && sa_usable(old) ? old : NULL;
}

static void tie(struct ike_sa *sa, struct ike_sa *old)
{
	sa->reauth_of = old->unique;
	sa->reauth_spi = sa_our_spi(old);
	old->renewed_by = sa_our_spi(sa);
}

/* ---- begin ----------------------------------------------------------------------------------- */

/* The child of this name; a connection that has none of the old one's names has its first. */
static const struct conf_child *child_of(const struct conf_conn *conn, const char *name)
{
	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];

		if (conf_negotiated(c->mode) && (!name || strcmp(c->name, name) == 0))
			return c;
	}
	return NULL;
}

static enum err add_task(struct ike_sa *sa, const struct conf_child *conf, struct child_wish *wish)
{
	struct task *t = task_new(list_empty(&sa->tasks) ? TASK_SA_INIT : TASK_CHILD_NEW, 0);

	if (!t)
		return ERR_NOMEM;
	t->child_conf = conf;
	t->wish = wish_get(wish);
	t->request = sa->request;
	task_add(sa, t);
	return ERR_OK;
}

/* The handshake, with the first child, and the others after it. */
static enum err add_tasks(struct ike_sa *sa, const struct ike_sa *old)
{
	enum err e = ERR_OK;

	list_for_each (n, &old->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);
		const struct conf_child *conf = child_of(sa->conn, c->conf->name);

		if (!e && conf && lives(c) && !c->worker)
			e = add_task(sa, conf, c->wish);
	}
	if (!e && list_empty(&sa->tasks))
		e = add_task(sa, has_child(old) ? child_of(sa->conn, NULL) : NULL, NULL);
	return e;
}

/* An IKE SA that is to be in the place of old; nothing is begun. */
static enum err make(struct ike_sa **out, struct ike_sa *old, const struct conf_conn *conn,
		     const struct ike_reauth_params *p, const struct path_addr *path, uint16_t port)
{
	struct ike_engine *e = old->e;
	struct ike_sa *sa;
	enum err err = sa_new(e, &sa, true, e->conf, conn);

	if (err)
		return err;
	sa_set_path(sa, path);
	sa->port = port;
	sa->request = p->request;
	sa->methods = p->methods;
	tie(sa, old);
	sa->reauth_proof = auth_proof_get(old->proof);
	sa->redirect.num = old->redirect.num; /* whoever goes round and round renews, too */
	sa->redirect.since_ns = old->redirect.since_ns;
	if (old->redirect.from.family != IP_NONE) /* the configured address still means it */
		sa->origin = old->origin;
	err = add_tasks(sa, old);
	if (err) {
		sa->quiet = true;
		sa_kill(sa, IKE_REASON_RESOURCES, NULL, e->now_ns);
		return err;
	}
	*out = sa;
	return ERR_OK;
}

static enum err begin(struct ike_sa *old, const struct conf_conn *conn,
		      const struct ike_reauth_params *p, const struct path_addr *path,
		      uint16_t port, uint64_t now_ns)
{
	struct ike_sa *sa;
	enum err err = make(&sa, old, conn, p, path, port);

	if (err)
		return err;
	step_task(sa, now_ns);
	return sa->state == SA_I_INIT ? ERR_OK : ERR_NOMEM;
}

static enum err request(struct ike_engine *e, const struct ike_reauth_params *p, uint64_t now_ns)
{
	struct ike_sa *old = find(e, p->ike_id);
	const struct conf_conn *conn =
		old ? conf_find_conn(e->conf, p->conn ? p->conn : old->conn->name) : NULL;

	if (!conn)
		return ERR_NOT_FOUND;
	if (p->methods && !(p->methods & conf_auth_methods(conn->remote.auth)))
		return ERR_UNSUPPORTED;
	if (is_under_way(old))
		return ERR_EXISTS;
	return begin(old, conn, p, &old->path, old->port, now_ns);
}

enum err reauth_elsewhere(struct ike_sa *old, struct ike_sa **out, const struct path_addr *path)
{
	const struct ike_reauth_params p = {.methods = old->methods};
	const struct conf_conn *conn = conf_find_conn(old->e->conf, old->conn->name);
	enum err e;

	if (!conn)
		return ERR_NOT_FOUND;
	if (is_under_way(old))
		return ERR_EXISTS;
	e = make(out, old, conn, &p, path, old->port);
	if (!e)
		step_task_later(*out);
	return e;
}

const struct ike_sa *reauth_old(const struct ike_sa *sa)
{
	return old_of(sa);
}

bool reauth_replaces(const struct ike_sa *old)
{
	return is_under_way(old);
}

enum err reauth_again(struct ike_sa *old, uint64_t now_ns)
{
	const struct ike_reauth_params p = {.methods = old->methods};
	const struct conf_conn *conn = conf_find_conn(old->e->conf, old->conn->name);

	if (!conn)
		return ERR_NOT_FOUND;
	if (is_under_way(old))
		return ERR_EXISTS;
	return begin(old, conn, &p, &old->path, old->port, now_ns);
}

enum err reauth_along(struct ike_sa *old, const struct path_addr *path, uint16_t port,
		      uint64_t now_ns)
{
	const struct ike_reauth_params p = {.methods = old->methods};
	const struct conf_conn *conn = conf_find_conn(old->e->conf, old->conn->name);

	if (!conn)
		return ERR_NOT_FOUND;
	if (is_under_way(old))
		return ERR_EXISTS;
	return old->vips.num ? ERR_UNSUPPORTED : begin(old, conn, &p, path, port, now_ns);
}

enum err ike_reauthenticate(struct ike_engine *e, const struct ike_reauth_params *params,
			    uint64_t now_ns)
{
	enum err err;

	e->now_ns = now_ns;
	err = request(e, params, now_ns);
	engine_sweep(e, now_ns);
	return err;
}

/* ---- end ------------------------------------------------------------------------------------- */

static void close_sa(struct ike_sa *sa, enum ike_reason reason, uint64_t not_before_ns)
{
	struct task *t = task_new(TASK_IKE_DELETE, 0);

	sa->reason = reason;
	if (!t) {
		LOG(WARN, IKE, sa->conn->name, "out of memory: an IKE SA ends by its lifetime");
		return;
	}
	t->not_before_ns = not_before_ns;
	task_add(sa, t);
	step_task_later(sa);
}

void reauth_gone(struct ike_sa *sa)
{
	struct ike_sa *old = old_of(sa);

	if (old)
		mobike_answer(old, MIF_POLICY_DENIED);
	if (old && task_need(old, TASK_LIVENESS, 0) != ERR_NOMEM)
		step_task_later(old);
}

void reauth_settle(struct ike_sa *sa)
{
	struct ike_sa *old = old_of(sa);

	if (!sa->reauth_of || sa->state != SA_ESTABLISHED)
		return;
	if (old && !has_child(sa) && has_child(old)) {
		action_event_named(sa, IKE_EVENT_FAILED, NULL, false, IKE_REASON_REFUSED,
				   sa->request,
				   "the peer was authenticated again, and no child came of it: "
				   "what it had before stays");
		mobike_answer(old, MIF_POLICY_DENIED);
		close_sa(sa, IKE_REASON_LOCAL, 0);
	} else if (old) {
		mobike_answer(old, MIF_OK);
		close_sa(old, IKE_REASON_REPLACED, sa->e->now_ns + DRAIN_NS);
	}
	sa->reauth_of = 0;
}

void reauth_hand_on(struct ike_sa *from, struct ike_sa *to)
{
	struct ike_sa *old = old_of(from);

	if (!old)
		return;
	tie(to, old);
	to->reauth_proof = auth_proof_get(old->proof);
	from->reauth_of = 0;
}

void reauth_follow(const struct ike_sa *old, struct ike_sa *new)
{
	struct ike_sa *sa = renewal_of(old);

	if (sa)
		tie(sa, new);
}

bool reauth_same_key(const struct ike_sa *sa)
{
	const struct bytes none = bytes_of(NULL, 0);
	const struct bytes key = sa->proof ? auth_proof_params(sa->proof)->peer_key : none;
	const struct bytes was =
		sa->reauth_proof ? auth_proof_params(sa->reauth_proof)->peer_key : none;

	return key.len && bytes_equal(key, was);
}
