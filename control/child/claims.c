/* SPDX-License-Identifier: Apache-2.0 */
#include "control/child/claims.h"

#include "control/ike/move.h"
#include "control/ike/task.h"

static uint32_t rank(const struct ike_sa *sa)
{
	return conf_auth_rank(sa->conn->remote.auth);
}

static bool meets(const struct ts *a, uint32_t num_a, const struct ts *b, uint32_t num_b)
{
	struct ts both;

	for (uint32_t i = 0; i < num_a; i++)
		for (uint32_t j = 0; j < num_b; j++)
			if (ts_intersect(&both, &a[i], &b[j]))
				return true;
	return false;
}

/* ---- configured ------------------------------------------------------------------------------ */

static bool meets_addrs(const struct ts_list *l, const struct conf_addr *addrs, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++)
		if (!addrs[i].any && !addrs[i].name && meets(l->ts, l->num, &addrs[i].range, 1))
			return true;
	return false;
}

/* What is `dynamic` is known as far as the addresses are; whoever has it now is looked at too. */
static bool meets_conf(const struct ts_list *l, const struct conf_ts *conf, uint32_t num,
		       const struct conf_addr *addrs, uint32_t num_addrs)
{
	for (uint32_t i = 0; i < num; i++)
		if (conf[i].dynamic ? meets_addrs(l, addrs, num_addrs)
				    : meets(l->ts, l->num, &conf[i].ts, 1))
			return true;
	return false;
}

/* Locally every `dynamic` is an address of this host: it counts as met. */
static bool meets_local(const struct ts_list *l, const struct conf_child *c)
{
	for (uint32_t i = 0; i < c->num_local_ts; i++)
		if (c->local_ts[i].dynamic || meets(l->ts, l->num, &c->local_ts[i].ts, 1))
			return true;
	return false;
}

static const struct conf_child *named_by(const struct conf_conn *conn, const struct child_work *w)
{
	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];

		if (conf_negotiated(c->mode) && meets_local(&w->local, c) &&
		    meets_conf(&w->remote, c->remote_ts, c->num_remote_ts, conn->remote_addrs,
			       conn->num_remote_addrs))
			return c;
	}
	return NULL;
}

static enum err check_configured(struct step *s, const struct child_work *w)
{
	const struct conf *conf = s->e->conf;
	char text[TS_TEXT_MAX];

	for (uint32_t i = 0; i < conf->num_conns; i++) {
		const struct conf_conn *c = conf->conns[i];
		const struct conf_child *child =
			conf_auth_rank(c->remote.auth) > rank(s->sa) ? named_by(c, w) : NULL;

		if (child)
			return step_fail_child(
				s, IKE_REASON_TS_UNACCEPTABLE, NOTIFY_TS_UNACCEPTABLE,
				"a peer that may be anybody would have %s, which child %s of "
				"connection %s is for: narrow `remote_ts` of connection %s",
				ts_text(text, &w->remote.ts[0]), child->name, c->name,
				s->sa->conn->name);
	}
	return ERR_OK;
}

/* ---- installed ------------------------------------------------------------------------------- */

/* All that tells nobody from nobody is where it is. That it is not behind a translator, where there
 * are many, is what it says. */
static bool same_place(const struct ike_sa *a, const struct ike_sa *b)
{
	return path_same_remote(&a->path, &b->path);
}

/* The peer comes back, and what it forgot is still here: nobody is known by where it is. */
static bool same_peer(const struct ike_sa *sa, const struct ike_sa *o)
{
	if (strcmp(o->conn->name, sa->conn->name) != 0)
		return false;
	return sa->remote_id.type == ID_NULL ? same_place(sa, o)
					     : conf_id_equal(&sa->remote_id, &o->remote_id);
}

static const struct ike_child *has_part(const struct ike_sa *o, const struct ts *local,
					uint32_t num_local, const struct ts *remote,
					uint32_t num_remote)
{
	list_for_each (n, &o->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);

		if (c->state != CHILD_LINGERING && meets(c->ts, c->num_local, local, num_local) &&
		    meets(c->ts + c->num_local, c->num_remote, remote, num_remote))
			return c;
	}
	return NULL;
}

static enum err check_installed(struct step *s, const struct child_work *w)
{
	char text[TS_TEXT_MAX];

	list_for_each (n, &s->e->sas) {
		const struct ike_sa *o = list_entry(n, struct ike_sa, node);
		const struct ike_child *c =
			o == s->sa || !o->conn || rank(o) < rank(s->sa) || same_peer(s->sa, o)
				? NULL
				: has_part(o, w->local.ts, w->local.num, w->remote.ts,
					   w->remote.num);

		if (c)
			return step_fail_child(
				s, IKE_REASON_TS_UNACCEPTABLE, NOTIFY_TS_UNACCEPTABLE,
				"a peer that may be anybody would have %s, which another peer has "
				"(child %s of connection %s)",
				ts_text(text, &w->remote.ts[0]), c->conf->name, o->conn->name);
	}
	return ERR_OK;
}

enum err claims_check(struct step *s, const struct child_work *w)
{
	enum err e;

	if (rank(s->sa) == CONF_RANK_PROVEN)
		return ERR_OK;
	e = check_configured(s, w);
	return e || !s->sa->proof ? e : check_installed(s, w);
}

void claims_take(struct step *s, const struct ike_child *c)
{
	/* Everybody who has one was proven: there may be many, and nothing to be taken. */
	if (!s->e->had_unproven)
		return;
	list_for_each (n, &s->e->sas) {
		struct ike_sa *o = list_entry(n, struct ike_sa, node);

		if (o == s->sa || !o->conn || rank(o) >= rank(s->sa) ||
		    o->state != SA_ESTABLISHED ||
		    !has_part(o, c->ts, c->num_local, c->ts + c->num_local, c->num_remote))
			continue;
		o->reason = IKE_REASON_REPLACED;
		/* The peer may be slow to answer what it was asked before. */
		children_remove_all(o, IKE_REASON_REPLACED);
		if (task_need(o, TASK_IKE_DELETE, 0) != ERR_NOMEM)
			step_task_later(o);
	}
}

static bool has_dynamic(const struct conf_child *c)
{
	for (uint32_t i = 0; i < c->num_remote_ts; i++)
		if (c->remote_ts[i].dynamic)
			return true;
	return false;
}

bool claims_stay(const struct ike_sa *sa, const struct ip_addr *to)
{
	if (rank(sa) == CONF_RANK_PROVEN || ip_addr_equal(&sa->path.remote.addr, to))
		return false;
	for (uint32_t i = 0; i < sa->conn->num_children; i++)
		if (conf_negotiated(sa->conn->children[i].mode) &&
		    has_dynamic(&sa->conn->children[i]))
			return true;
	return false;
}
