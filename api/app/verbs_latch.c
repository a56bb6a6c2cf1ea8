/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_latch.c - latches of one's own flows: make, wait for, release, act on. */
#include "api/app/internal.h"

#include <netinet/in.h>
#include <stdio.h>

static enum err refuse(struct call *call, enum err e, const char *text)
{
	snprintf(call->text, sizeof(call->text), "%s", text);
	return e;
}

/*
 * The flow is the socket's own. A socket that is bound and not connected may name its peer: a TCP
 * connection is latched before its first packet then (RFC 5660 2.2). That the local end is his the
 * socket proves; it is not shared, or the other one who has it shares it knowingly (SO_REUSEADDR).
 */
static enum err flow_of(struct call *call, struct flow *out, bool listener)
{
	const struct flow *own = &call->sock.flow;
	struct flow named;

	*out = *own;
	if (listener && call->sock.connected)
		return refuse(call, ERR_BAD_STATE, "a connected socket is no listener");
	if (listener && own->local_port == 0)
		return refuse(call, ERR_BAD_STATE, "the socket is not bound");
	/* Two who bind one port with SO_REUSEADDR cannot both listen: who does has it. */
	if (listener && own->proto == IPPROTO_TCP && !call->sock.listening)
		return refuse(call, ERR_BAD_STATE, "the socket does not listen");
	if (listener || call->sock.connected)
		return ERR_OK;
	if (app_attr_flow(call->in, APP_A_REMOTE, &named))
		return refuse(call, ERR_BAD_STATE, "the socket is not connected");
	if (ip_addr_is_any(&own->local) || own->local_port == 0)
		return refuse(call, ERR_BAD_STATE, "the socket is not bound to an address");
	if (named.remote.family != own->local.family || ip_addr_is_any(&named.remote))
		return refuse(call, ERR_INVAL, "the peer's address is of another kind");
	out->remote = named.remote;
	out->remote_port = named.remote_port;
	return ERR_OK;
}

static enum err params_of(struct call *call, struct app_latch_params *p)
{
	memset(p, 0, sizeof(*p));
	p->listener = app_attr_bool(call->in, APP_A_LISTENER, false);
	p->keep = app_attr_bool(call->in, APP_A_KEEP, false);
	p->cookie = call->sock.cookie;
	p->client = call->client->number;
	p->uid = call->client->peer.uid;
	TRY(flow_of(call, &p->flow, p->listener));
	p->connected = !p->listener && call->sock.connected && p->flow.proto == IPPROTO_UDP;
	TRY(take_demand(&p->demand, call->in));
	return app_demand_check(call->server->backend, &p->demand, &p->flow, call->client->rights,
				call->text);
}

/* *out is what stands now. It may have gone already: then it was CLOSED, and the event said so. */
static enum err create(struct call *call, struct app_latch *out, const struct app_latch_params *p)
{
	uint32_t most = call->server->conf.latches_per_uid;
	uint64_t id;

	if (!p->instead && call->client->user->num_latches >= most) {
		refuse(call, ERR_FULL, "the user has too many latches");
		return deny(call, ERR_FULL, "too many latches");
	}
	TRY(call->ops->latch_create(call->ctx, &id, p, call->text));
	memset(out, 0, sizeof(*out));
	if (call->ops->latch_info(call->ctx, out, id)) {
		*out = (struct app_latch){.id = id, .state = LATCH_CLOSED};
		return ERR_OK;
	}
	if (!held_add(call->server, out, p->client, true, p->keep))
		return ERR_OK;
	(void)call->ops->latch_release(call->ctx, id);
	return ERR_NOMEM;
}

enum err verb_latch_create(struct call *call)
{
	struct app_latch_params params;
	struct app_latch latch;

	TRY(params_of(call, &params));
	TRY(create(call, &latch, &params));
	app_put_u64(&call->out, APP_A_LATCH, latch.id);
	return ERR_OK;
}

/* Who asks again gets what stands, if it is what he asks for. In the place of what has failed comes
 * another: nothing passes in between. */
static enum err take_existing(struct call *call, struct app_latch *out,
			      const struct app_latch_params *p)
{
	TRY(call->ops->latch_find(call->ctx, out, &p->flow, p->listener));
	if (!latch_is_own(call, out) || (out->state <= LATCH_ESTABLISHED &&
					 memcmp(&out->demand, &p->demand, sizeof(p->demand))))
		return refuse(call, ERR_EXISTS, "the flow is latched otherwise");
	if (out->state <= LATCH_ESTABLISHED)
		return held_add(call->server, out, call->client->number, false, p->keep);
	struct app_latch_params next = *p;

	next.instead = out->id;
	return create(call, out, &next);
}

enum err verb_require(struct call *call)
{
	struct app_latch_params params;
	struct app_latch latch = {0};
	enum err e;

	TRY(params_of(call, &params));
	e = create(call, &latch, &params);
	if (e == ERR_EXISTS)
		e = take_existing(call, &latch, &params);
	if (e)
		return e;
	if (latch.state == LATCH_LARVAL)
		return wait_add(call, latch.id);
	if (latch.state == LATCH_LISTENER) {
		app_put_u64(&call->out, APP_A_LATCH, latch.id);
		return ERR_OK;
	}
	return put_outcome(&call->out, &latch) == APP_OK ? ERR_OK : ERR_PEER;
}

enum err verb_latch_release(struct call *call)
{
	struct app_latch latch;
	struct held *rec;

	TRY(latch_own(call, &latch, APP_RIGHT_ADMIN));
	TRY(call->ops->latch_release(call->ctx, latch.id));
	rec = held_find(call->server, latch.id);
	if (rec)
		held_drop(call->server, rec);
	return ERR_OK;
}

enum err verb_demand(struct call *call)
{
	uint32_t token = app_attr_u32(call->in, APP_A_TOKEN, 0);

	if (token & ~APP_TOKEN_MASK)
		return ERR_INVAL;
	if (token && !call->ops->class_reaches(call->ctx, token, &call->sock.flow))
		return deny(call, ERR_NOT_FOUND, "the token reaches no socket of his");
	return call->ops->socket_mark(call->ctx, call->fd, token);
}

/* The latch that follows is in the place of the old one, for the quota too; it is whose that was,
 * if an administrator has it made. */
enum err verb_reauthenticate(struct call *call)
{
	struct app_demand demand;
	struct app_latch latch, next;
	struct held *rec;
	uint64_t id, client;
	bool keep;

	TRY(latch_own(call, &latch, APP_RIGHT_ADMIN));
	TRY(take_demand(&demand, call->in));
	if (!call->ops->reauthenticate)
		return ERR_UNSUPPORTED;
	TRY(app_demand_check(call->server->backend, &demand, &latch.flow, call->client->rights,
			     call->text));
	rec = held_find(call->server, latch.id);
	keep = rec && rec->keep;
	client = latch_is_own(call, &latch) ? call->client->number : rec ? rec->client : 0;
	TRY(call->ops->reauthenticate(call->ctx, &id, latch.id, &demand, call->text));
	app_put_u64(&call->out, APP_A_LATCH, id);
	memset(&next, 0, sizeof(next));
	if (call->ops->latch_info(call->ctx, &next, id))
		return ERR_OK;
	rec = held_find(call->server, latch.id);
	if (rec)
		held_drop(call->server, rec);
	return held_add(call->server, &next, client, true, keep);
}

enum err verb_delete(struct call *call)
{
	struct app_latch latch;

	TRY(latch_own(call, &latch, APP_RIGHT_ADMIN));
	return call->ops->sa_delete(call->ctx, latch.id);
}

enum err verb_trigger(struct call *call)
{
	struct app_latch latch;

	TRY(latch_own(call, &latch, APP_RIGHT_ADMIN));
	return call->ops->trigger ? call->ops->trigger(call->ctx, latch.id) : ERR_UNSUPPORTED;
}
