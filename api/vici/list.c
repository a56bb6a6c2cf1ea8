/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - the commands that stream events: list-sas, list-conns, list-policies. */
#include "api/vici/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* struct listing - one list-sas on its way. */
struct listing {
	struct call *call;
	const char *ike, *child;
	uint32_t ike_id, child_id;
	enum err err;
};

static bool has_child(const struct listing *l, const struct ike_sa_info *sa)
{
	if (!l->child && !l->child_id)
		return true;
	for (uint32_t i = 0; i < sa->num_children; i++) {
		if (l->child && strcmp(sa->children[i].name, l->child) == 0)
			return true;
		if (l->child_id && sa->children[i].unique == l->child_id)
			return true;
	}
	return false;
}

static bool is_wanted(const struct listing *l, const struct ike_sa_info *sa)
{
	if (l->ike && (!sa->conn || strcmp(sa->conn, l->ike) != 0))
		return false;
	if (l->ike_id && sa->unique != l->ike_id)
		return false;
	return has_child(l, sa);
}

static enum err send_sa(struct call *call, const struct ike_sa_info *sa, uint32_t first)
{
	struct tree *t = tree_new();
	enum err e;

	if (!t)
		return ERR_NOMEM;
	e = sa_section(call->server->backend, t, sa, first, SA_CHILDREN_CHUNK);
	if (!e)
		vici_client_event(call->client, EV_LIST_SA, t);
	tree_free(t);
	return e;
}

/* An SA with very many children takes several events. */
static void list_sa(void *arg, const struct ike_sa_info *sa)
{
	struct listing *l = arg;
	uint32_t first = 0;

	if (l->err || l->call->client->doomed || !is_wanted(l, sa))
		return;
	do {
		l->err = send_sa(l->call, sa, first);
		first += SA_CHILDREN_CHUNK;
	} while (!l->err && first < sa->num_children);
}

static uint32_t id_of(const struct tree *in, const char *key)
{
	const char *text = tree_get(in, key);

	return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

enum err cmd_list_sas(struct call *call)
{
	struct listing l = {
		.call = call,
		.ike = tree_get(call->in, "ike"),
		.child = tree_get(call->in, "child"),
		.ike_id = id_of(call->in, "ike-id"),
		.child_id = id_of(call->in, "child-id"),
	};

	/* Events are made for those who get them: who asks a thousand times costs nobody else time.
	 */
	if (vici_client_wants(call->client, EV_LIST_SA))
		call->ops->each_sa(call->ctx, list_sa, &l);
	return l.err;
}

static enum err send_conn(struct call *call, const struct conf_conn *conn)
{
	struct tree *t = tree_new();
	enum err e;

	if (!t)
		return ERR_NOMEM;
	e = conn_section(t, conn);
	if (!e)
		vici_client_event(call->client, EV_LIST_CONN, t);
	tree_free(t);
	return e;
}

enum err cmd_list_conns(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);
	const char *ike = tree_get(call->in, "ike");

	if (!vici_client_wants(call->client, EV_LIST_CONN))
		return ERR_OK;
	for (uint32_t i = 0; i < conf->num_conns && !call->client->doomed; i++) {
		if (!ike || strcmp(conf->conns[i]->name, ike) == 0)
			TRY(send_conn(call, conf->conns[i]));
	}
	return ERR_OK;
}

static enum err fill_policy(struct tree *t, const struct conf_conn *conn,
			    const struct conf_child *child)
{
	char name[300];
	struct tree *section;

	snprintf(name, sizeof(name), "%.120s/%.120s", conn->name, child->name);
	TRY(tree_section(t, &section, name));
	TRY(tree_setf(section, "child", "%s", child->name));
	TRY(tree_setf(section, "ike", "%s", conn->name));
	TRY(tree_setf(section, "mode", "%s", mode_name(child->mode)));
	TRY(ts_list(section, "local-ts", child->local_ts, child->num_local_ts));
	return ts_list(section, "remote-ts", child->remote_ts, child->num_remote_ts);
}

static enum err send_policy(struct call *call, const struct conf_conn *conn,
			    const struct conf_child *child)
{
	struct tree *t = tree_new();
	enum err e;

	if (!t)
		return ERR_NOMEM;
	e = fill_policy(t, conn, child);
	if (!e)
		vici_client_event(call->client, EV_LIST_POLICY, t);
	tree_free(t);
	return e;
}

static bool says_yes(const struct tree *in, const char *key)
{
	const char *text = tree_get(in, key);

	return text && strcmp(text, "yes") == 0;
}

/* What strongSwan's programs ask for by kind: children that are trapped, and policies without SAs.
 */
static bool is_asked_for(const struct tree *in, const struct conf_child *child)
{
	return (child->start_action & ACTION_TRAP) &&
	       says_yes(in, child->mode == CONF_PASS   ? "pass"
			    : child->mode == CONF_DROP ? "drop"
						       : "trap");
}

enum err cmd_list_policies(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);
	const char *ike = tree_get(call->in, "ike"), *name = tree_get(call->in, "child");

	if (!vici_client_wants(call->client, EV_LIST_POLICY))
		return ERR_OK;
	for (uint32_t i = 0; i < conf->num_conns; i++) {
		const struct conf_conn *conn = conf->conns[i];

		if (ike && strcmp(conn->name, ike) != 0)
			continue;
		for (uint32_t j = 0; j < conn->num_children; j++) {
			const struct conf_child *child = &conn->children[j];

			if (is_asked_for(call->in, child) &&
			    (!name || strcmp(child->name, name) == 0))
				TRY(send_policy(call, conn, child));
		}
	}
	return ERR_OK;
}
