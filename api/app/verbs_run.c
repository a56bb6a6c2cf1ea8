/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_run.c - what the processes of a control group demand, for programs that do not ask. */
#include "api/app/internal.h"

#include <stdio.h>
#include <sys/stat.h>

/* Who owns the directory may put processes there; nobody else has them demand anything. */
static enum err check_owner(struct call *call)
{
	struct stat st;
	uint32_t uid = call->client->peer.uid;

	if (fstat(call->fd, &st) || !S_ISDIR(st.st_mode)) {
		snprintf(call->text, sizeof(call->text), "that is no control group's directory");
		return ERR_INVAL;
	}
	if (uid == 0 || st.st_uid == uid)
		return ERR_OK;
	snprintf(call->text, sizeof(call->text), "the control group is another user's");
	return deny(call, ERR_PERM, "the control group is another's");
}

static enum err check_quota(struct call *call)
{
	if (call->client->user->num_latches < call->server->conf.latches_per_uid)
		return ERR_OK;
	snprintf(call->text, sizeof(call->text), "the user has too many latches");
	return deny(call, ERR_FULL, "too many latches");
}

enum err verb_run(struct call *call)
{
	const struct flow anywhere = {0};
	struct app_demand demand;
	struct app_latch latch;
	enum err e;

	memset(&latch, 0, sizeof(latch));
	TRY(check_owner(call));
	TRY(take_demand(&demand, call->in));
	TRY(app_demand_check(call->server->backend, &demand, &anywhere, call->client->rights,
			     call->text));
	TRY(check_quota(call));
	if (!call->ops->cgroup_demand)
		return ERR_UNSUPPORTED;
	TRY(call->ops->cgroup_demand(call->ctx, &latch, call->fd, &demand, call->client->number,
				     call->client->peer.uid, call->text));
	/* The engine says when it ends: it may outlive who asked. */
	e = held_add(call->server, &latch, call->client->number, true, true);
	if (!e && latch.state == LATCH_LARVAL)
		e = wait_add(call, latch.id);
	else if (!e)
		e = put_outcome(&call->out, &latch) == APP_OK ? ERR_OK : ERR_PEER;
	if (e)
		cgroup_end(call->server, latch.id);
	return e;
}

void cgroup_end(struct app_server *s, uint64_t id)
{
	struct held *rec = held_find(s, id);

	(void)!s->backend->ops->cgroup_release(s->backend->ctx, id);
	if (rec)
		held_drop(s, rec);
}

void cgroup_event(struct app_server *s, const struct app_latch *latch)
{
	struct held *rec = latch->state == LATCH_CLOSED ? held_find(s, latch->id) : NULL;

	wait_tell(s, latch);
	if (rec)
		held_drop(s, rec);
}
