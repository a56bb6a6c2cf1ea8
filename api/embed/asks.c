/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "api/embed/internal.h"

#define ID_TEXT_MAX 264

/* What a program can be asked; the others are answered from the configuration. */
static const enum ipsec_ask_kind kinds[] = {
	[IKE_ASK_SECRET] = IPSEC_ASK_SECRET,
	[IKE_ASK_AUTHORIZE] = IPSEC_ASK_AUTHORIZE,
	[IKE_ASK_CHILD_ACCEPT] = IPSEC_ASK_CHILD_ACCEPT,
};

static const char *id_text(char buf[ID_TEXT_MAX], const struct ike_id *id)
{
	return id && id->type ? ike_id_text(buf, ID_TEXT_MAX, id) : NULL;
}

bool asks_take(void *ctx, const struct ike_ask *ask)
{
	struct ipsec_engine *e = ctx;
	struct ipsec_selector local[CONF_MAX_TS], remote[CONF_MAX_TS];
	char local_id[ID_TEXT_MAX], peer_id[ID_TEXT_MAX];
	const struct ipsec_ask out = {
		.id = ask->id,
		.kind = ask->kind < ARRAY_LEN(kinds) ? kinds[ask->kind] : (enum ipsec_ask_kind)0,
		.deadline_ns = ask->deadline_ns,
		.connection = ask->conn,
		.child = ask->child,
		.local_id = id_text(local_id, ask->local_id),
		.peer_id = id_text(peer_id, ask->peer_id),
		.local_ts = local,
		.remote_ts = remote,
		.num_local_ts = ask->num_local,
		.num_remote_ts = ask->num_remote,
	};

	if (!out.kind)
		return false;
	if (ask->num_local)
		selectors_out(local, ask->local, ask->num_local);
	if (ask->num_remote)
		selectors_out(remote, ask->remote, ask->num_remote);
	return e->params.ask(e->params.ctx, &out);
}

int ipsec_engine_answer(struct ipsec_engine *e, uint64_t id, const struct ipsec_answer *answer)
{
	const struct log_sink *before = embed_enter(e);
	const struct ike_answer ours = {
		.allow = answer->allow,
		.secret = bytes_of(answer->secret, answer->allow ? answer->secret_len : 0),
		.secret_is_group = answer->secret_is_shared,
	};
	int rc = -1;

	errno = EINVAL;
	if (e->core) {
		engine_answer(e->core, id, &ours);
		rc = 0;
	}
	embed_leave(e, before);
	return rc;
}
