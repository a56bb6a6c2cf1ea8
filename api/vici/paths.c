/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.c - latchkey-paths: the paths of every IKE SA (event latchkey-path); what happened to paths
 * last comes in the answer.
 */
#include "api/vici/internal.h"

/* struct sending - on its way. ike: of this connection alone, or NULL. */
struct sending {
	struct call *call;
	const char *ike;
	enum err err;
};

static enum err fill(const struct backend *b, struct tree *root, const struct ike_sa_info *sa)
{
	char id[ENGINE_ID_MAX];
	struct tree *t;

	TRY(tree_add_section(root, &t, sa->conn ? sa->conn : "(unnamed)"));
	TRY(tree_setf(t, "uniqueid", "%u", sa->unique));
	TRY(tree_setf(t, "remote-id", "%s",
		      sa->remote_id ? ike_id_text(id, sizeof(id), sa->remote_id) : "%any"));
	return sa_paths(b, t, sa);
}

static void send_paths(void *arg, const struct ike_sa_info *sa)
{
	struct sending *s = arg;
	struct tree *t;

	if (s->err || s->call->client->doomed || sa->state == IKE_STATE_CONNECTING ||
	    (s->ike && (!sa->conn || strcmp(sa->conn, s->ike) != 0)))
		return;
	t = tree_new();
	s->err = t ? fill(s->call->server->backend, t, sa) : ERR_NOMEM;
	if (!s->err)
		vici_client_event(s->call->client, EV_LATCHKEY_PATH, t);
	tree_free(t);
}

enum err cmd_latchkey_paths(struct call *call)
{
	struct sending s = {.call = call, .ike = tree_get(call->in, "ike")};

	struct tree *events;

	if (vici_client_wants(call->client, EV_LATCHKEY_PATH))
		call->ops->each_sa(call->ctx, send_paths, &s);
	if (s.err)
		return s.err;
	TRY(tree_section(call->out, &events, "events"));
	return path_events_fill(call->server, events);
}
