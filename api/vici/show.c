/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show.c - latchkey-show: every connection, those that are down too, with the reason of its last
 * failure (event latchkey-conn), and every SA with its path (event latchkey-sa). Negotiations that
 * failed before a connection was chosen come in the answer.
 */
#include "api/vici/internal.h"

/* struct survey - what the SAs say about one connection; over all of them if conn is NULL. */
struct survey {
	const char *conn;
	const char *child; /* count children of this name */
	uint32_t num_up, num_connecting, num_children;
};

static void survey_sa(void *arg, const struct ike_sa_info *sa)
{
	struct survey *s = arg;

	if (!sa->conn || strcmp(sa->conn, s->conn) != 0)
		return;
	if (sa->state == IKE_STATE_CONNECTING)
		s->num_connecting++;
	else
		s->num_up++;
	for (uint32_t i = 0; i < sa->num_children; i++) {
		if (!s->child || strcmp(sa->children[i].name, s->child) == 0)
			s->num_children++;
	}
}

static struct survey survey(struct call *call, const char *conn, const char *child)
{
	struct survey s = {.conn = conn, .child = child};

	call->ops->each_sa(call->ctx, survey_sa, &s);
	return s;
}

static const char *conn_state(const struct survey *s)
{
	if (s->num_children)
		return "up";
	return s->num_up ? "no-child" : s->num_connecting ? "connecting" : "down";
}

static enum err set_failure(struct tree *parent, const char *name, const struct failure *f)
{
	struct tree *t;

	TRY(tree_add_section(parent, &t, name));
	TRY(tree_setf(t, "reason", "%s", ike_reason_name(f->reason)));
	TRY(tree_setf(t, "text", "%s", f->text));
	TRY(tree_setf(t, "time", "%lld", (long long)f->wall_s));
	TRY(tree_setf(t, "age", "%lld", (long long)(clock_wall_s() - f->wall_s)));
	TRY(tree_setf(t, "remote", "%s", f->remote));
	if (f->child)
		TRY(tree_setf(t, "child", "%s", f->child));
	if (f->phase[0])
		TRY(tree_setf(t, "phase", "%s", f->phase));
	if (f->here[0])
		TRY(tree_setf(t, "here", "%s", f->here));
	if (f->there[0])
		TRY(tree_setf(t, "there", "%s", f->there));
	return tree_setf(t, "over", "%s", f->over ? "yes" : "no");
}

static enum err fill_child(struct call *call, struct tree *parent, const struct conf_conn *conn,
			   const struct conf_child *child)
{
	struct survey s = survey(call, conn->name, child->name);
	struct tree *t;

	TRY(tree_section(parent, &t, child->name));
	TRY(tree_setf(t, "state", "%s", s.num_children ? "up" : "down"));
	TRY(tree_setf(t, "trap", "%s", child->start_action & ACTION_TRAP ? "yes" : "no"));
	TRY(ts_list(t, "local-ts", child->local_ts, child->num_local_ts));
	return ts_list(t, "remote-ts", child->remote_ts, child->num_remote_ts);
}

static enum err fill_conn(struct call *call, struct tree *root, const struct conf_conn *conn)
{
	const struct failure *f = failure_of(call->server, conn->name);
	struct survey s = survey(call, conn->name, NULL);
	struct tree *t, *children;

	TRY(tree_add_section(root, &t, conn->name));
	TRY(tree_setf(t, "state", "%s", conn_state(&s)));
	TRY(tree_setf(t, "ike-sas", "%u", s.num_up + s.num_connecting));
	TRY(addrs_list(t, "local_addrs", conn->local_addrs, conn->num_local_addrs));
	TRY(addrs_list(t, "remote_addrs", conn->remote_addrs, conn->num_remote_addrs));
	TRY(tree_section(t, &children, "children"));
	for (uint32_t i = 0; i < conn->num_children; i++)
		TRY(fill_child(call, children, conn, &conn->children[i]));
	return f ? set_failure(t, "last-failure", f) : ERR_OK;
}

static enum err send_conn(struct call *call, const struct conf_conn *conn)
{
	struct tree *t = tree_new();
	enum err e;

	if (!t)
		return ERR_NOMEM;
	e = fill_conn(call, t, conn);
	if (!e)
		vici_client_event(call->client, EV_LATCHKEY_CONN, t);
	tree_free(t);
	return e;
}

/* struct sending - the SAs on their way. */
struct sending {
	struct call *call;
	enum err err;
};

static enum err fill_sa(const struct backend *b, struct tree *t, const struct ike_sa_info *sa,
			uint32_t first)
{
	TRY(sa_section(b, t, sa, first, SA_CHILDREN_CHUNK));
	return sa_path(b, list_entry(t->children.next, struct tree, node), sa);
}

static void send_sa(void *arg, const struct ike_sa_info *sa)
{
	struct sending *s = arg;
	uint32_t first = 0;

	do {
		struct tree *t = tree_new();

		if (s->err || s->call->client->doomed) {
			tree_free(t);
			return;
		}
		s->err = t ? fill_sa(s->call->server->backend, t, sa, first) : ERR_NOMEM;
		if (!s->err)
			vici_client_event(s->call->client, EV_LATCHKEY_SA, t);
		tree_free(t);
		first += SA_CHILDREN_CHUNK;
	} while (!s->err && first < sa->num_children);
}

enum err cmd_latchkey_show(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);
	const struct failure *nobodys = failure_of(call->server, "");
	struct sending s = {.call = call};

	for (uint32_t i = 0; i < conf->num_conns && !call->client->doomed; i++)
		if (vici_client_wants(call->client, EV_LATCHKEY_CONN))
			TRY(send_conn(call, conf->conns[i]));
	if (vici_client_wants(call->client, EV_LATCHKEY_SA))
		call->ops->each_sa(call->ctx, send_sa, &s);
	if (!s.err && nobodys)
		s.err = set_failure(call->out, "last-refused", nobodys);
	return s.err ? s.err : set_ports(call, false);
}
