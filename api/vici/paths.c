/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.c - latchkey-paths: the paths of every IKE SA (event latchkey-path), and latchkey-path:
 * one of them is added, removed, or goes before the others.
 */
#include "api/vici/internal.h"

#include <stdlib.h>

/* ---- what there is --------------------------------------------------------------------------- */

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

	if (vici_client_wants(call->client, EV_LATCHKEY_PATH))
		call->ops->each_sa(call->ctx, send_paths, &s);
	return s.err;
}

/* ---- what is done ---------------------------------------------------------------------------- */

/* take_number - *out stays where nothing is said; false: it is none, or over max. */
static bool take_number(uint32_t *out, const struct tree *in, const char *key, uint32_t max)
{
	const char *text = tree_get(in, key);
	char *end;
	unsigned long v;

	if (!text)
		return true;
	v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || v > max)
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool take_address(struct ip_addr *out, const struct tree *in, const char *key)
{
	const char *text = tree_get(in, key);

	return !text || ip_addr_parse(out, text) == ERR_OK;
}

static bool take_act(enum engine_path_act *out, const struct tree *in)
{
	static const char *const acts[] = {
		[ENGINE_PATH_ADD] = "add",       [ENGINE_PATH_REMOVE] = "remove",
		[ENGINE_PATH_SOFT] = "soft",     [ENGINE_PATH_HARD] = "hard",
		[ENGINE_PATH_PREFER] = "prefer",
	};
	const char *text = tree_get(in, "act");

	for (size_t i = 0; text && i < ARRAY_LEN(acts); i++)
		if (strcmp(acts[i], text) == 0) {
			*out = (enum engine_path_act)i;
			return true;
		}
	return false;
}

/* take - the request; false: *out_key is what cannot be understood. */
static bool take(struct engine_path_request *out, const char **out_key, const struct tree *in)
{
	uint32_t id = 0, priority = 0, weight = 1;
	const struct {
		const char *key;
		bool ok;
	} taken[] = {
		{"act", take_act(&out->act, in)},
		{"ike-id", take_number(&out->ike_id, in, "ike-id", UINT32_MAX)},
		{"path", take_number(&id, in, "path", UINT16_MAX)},
		{"local", take_address(&out->local, in, "local")},
		{"remote", take_address(&out->remote, in, "remote")},
		{"priority", take_number(&priority, in, "priority", UINT8_MAX)},
		{"weight", take_number(&weight, in, "weight", UINT16_MAX) && weight > 0},
	};

	out->name = tree_get(in, "name");
	out->id = (uint16_t)id;
	out->priority = (uint8_t)priority;
	out->weight = (uint16_t)weight;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (!taken[i].ok) {
			*out_key = taken[i].key;
			return false;
		}
	return true;
}

/* lacks - what is needed and was not said, or NULL. */
static const char *lacks(const struct engine_path_request *req)
{
	const bool any = ip_addr_is_any(&req->local);

	if (!req->name && !req->ike_id)
		return "whose path is it: `name` or `ike-id`?";
	if (req->act == ENGINE_PATH_ADD && any)
		return "where does the path begin: `local`?";
	return !req->id && any ? "which path is it: `path` or `local`?" : NULL;
}

enum err cmd_latchkey_path(struct call *call)
{
	struct engine_path_request req = {.act = ENGINE_PATH_ADD};
	char text[BACKEND_TEXT_MAX];
	const char *key, *lack;
	uint32_t num = 0;
	uint16_t id = 0;
	enum err e;

	if (!take(&req, &key, call->in))
		return reply_failed(call->out, ERR_INVAL, "`%s` is not said as it has to be", key);
	lack = lacks(&req);
	if (lack)
		return reply_failed(call->out, ERR_INVAL, "%s", lack);
	if (!call->ops->path)
		return reply_failed(call->out, ERR_UNSUPPORTED, "%s", err_text(ERR_UNSUPPORTED));
	e = call->ops->path(call->ctx, &num, &id, &req, text);
	if (e)
		return reply_failed(call->out, e, "%s", text);
	TRY(reply_ok(call->out));
	TRY(tree_setf(call->out, "matches", "%u", num));
	return tree_setf(call->out, "path", "%u", id);
}
