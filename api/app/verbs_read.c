/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_read.c - what a client may learn: tokens, classes, latches, profiles. */
#include "api/app/internal.h"

#include <netinet/in.h>

/* Room that an entry of a list may need. */
#define ENTRY_MAX 1400

enum err verb_hello(struct call *call)
{
	app_put_u32(&call->out, APP_A_VERSION, APP_VERSION);
	app_put_u64(&call->out, APP_A_INSTANCE, call->server->instance);
	app_put_u32(&call->out, APP_A_RIGHTS, call->client->rights);
	app_put_bool(&call->out, APP_A_MARKS, call->ops->has_marks(call->ctx));
	return ERR_OK;
}

/* Of a TCP socket without a connection the ends are a claim. */
enum err verb_socket_token(struct call *call)
{
	const struct host_socket *sock = &call->sock;
	uint32_t token;

	if (!sock->connected)
		return ERR_BAD_STATE;
	if (sock->flow.proto == IPPROTO_TCP && !sock->live)
		return deny(call, ERR_NOT_FOUND, "the socket has no connection");
	TRY(call->ops->flow_token(call->ctx, &token, &sock->flow));
	app_put_u32(&call->out, APP_A_TOKEN, token);
	return ERR_OK;
}

enum err verb_token_info(struct call *call)
{
	uint32_t token = app_attr_u32(call->in, APP_A_TOKEN, 0);
	struct app_class class = {0};
	bool reaches;

	if (!token)
		return ERR_INVAL;
	reaches = call->has_sock && call->ops->class_reaches(call->ctx, token, &call->sock.flow);
	if (!reaches && !(call->client->rights & APP_RIGHT_READ_ALL))
		return deny(call, ERR_NOT_FOUND, "the token reaches no socket of his");
	TRY(call->ops->class_info(call->ctx, &class, token));
	put_class(&call->out, &class);
	return ERR_OK;
}

/* Of a datagram that is said to have come to a socket, which has to be one that it may come to. */
enum err verb_interface_token(struct call *call)
{
	uint32_t ifindex = app_attr_u32(call->in, APP_A_INTERFACE, 0), token, ms;
	struct flow to;

	if (!ifindex || app_attr_flow(call->in, APP_A_FLOW, &to) || !to.local.family)
		return ERR_INVAL;
	TRY(call->ops->interface_token(call->ctx, &token, &ms, ifindex, &to.local));
	if (!call->ops->class_reaches(call->ctx, token, &call->sock.flow))
		return deny(call, ERR_NOT_FOUND, "the token reaches no socket of his");
	app_put_u32(&call->out, APP_A_TOKEN, token);
	app_put_u32(&call->out, APP_A_TIMEOUT_MS, ms);
	return ERR_OK;
}

enum err verb_latch_find(struct call *call)
{
	struct app_latch latch = {0};
	bool listener = app_attr_bool(call->in, APP_A_LISTENER, false);

	TRY(call->ops->latch_find(call->ctx, &latch, &call->sock.flow, listener));
	if (!latch_is_own(call, &latch))
		return deny(call, ERR_NOT_FOUND, "the latch is another's");
	TRY(held_add(call->server, &latch, call->client->number, false, false));
	put_latch(&call->out, &latch);
	return ERR_OK;
}

enum err verb_latch_inquire(struct call *call)
{
	struct app_latch latch;

	TRY(latch_own(call, &latch, APP_RIGHT_READ_ALL));
	put_latch(&call->out, &latch);
	return ERR_OK;
}

void make_room(struct call *call)
{
	if (call->out.cap - call->out.len < ENTRY_MAX || call->num_entries == APP_ATTRS_MAX) {
		send_part(call);
		call->num_entries = 0;
	}
	call->num_entries++;
}

enum err verb_profiles(struct call *call)
{
	struct app_profile p;

	for (uint32_t i = 0; memset(&p, 0, sizeof(p)), call->ops->profile_each(call->ctx, &p, i);
	     i++) {
		make_room(call);
		put_profile(&call->out, &p);
	}
	return ERR_OK;
}

enum err verb_list(struct call *call)
{
	list_for_each (n, &call->server->latches) {
		const struct held *rec = list_entry(n, struct held, node);
		struct app_latch latch = {0};

		if (call->ops->latch_info(call->ctx, &latch, rec->id))
			continue;
		make_room(call);
		put_latch(&call->out, &latch);
	}
	return ERR_OK;
}
