/* SPDX-License-Identifier: Apache-2.0 */
/* event.c - what happened, for the application. */
#include "api/client/internal.h"

#include <errno.h>
#include <string.h>

int ipsec_event_fd(void)
{
	return events_open();
}

static int take_peer(struct ipsec_app_event *out, const struct app_attrs *in)
{
	struct app_attrs class;

	if (app_attr_inside(in, APP_A_CLASS, &class))
		return 0;
	out->peer = ipsec_create_iToken();
	if (out->peer && !itoken_take(out->peer, &class, false))
		return 0;
	ipsec_free_iToken(out->peer);
	out->peer = NULL;
	return -1;
}

static void take_path(struct ipsec_app_event *out, const struct app_attrs *in)
{
	out->news = (enum ipsec_path_news)(app_attr_u32(in, APP_A_PATH_NEWS, 0) + 1);
	out->path = app_attr_u32(in, APP_A_PATH, 0);
	out->from = app_attr_u32(in, APP_A_FROM, 0);
	app_attr_text(in, APP_A_CONN, out->connection, sizeof(out->connection));
	path_ends_take(&out->local, &out->remote, in);
}

static int take_message(struct ipsec_app_event *out, const struct app_msg *msg)
{
	static const struct {
		uint16_t verb;
		enum ipsec_app_event_kind kind;
	} kinds[] = {
		{APP_EV_LATCH, IPSEC_APP_EVENT_LATCH},
		{APP_EV_SPAWNED, IPSEC_APP_EVENT_SPAWNED},
		{APP_EV_ASK, IPSEC_APP_EVENT_ASK},
		{APP_EV_PATH, IPSEC_APP_EVENT_PATH},
	};
	struct ipsec_latch_info info = {0};
	struct app_attrs in;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].verb == msg->verb)
			out->kind = kinds[i].kind;
	}
	if (!app_attr_inside(&msg->attrs, APP_A_LATCH_INFO, &in))
		latch_info_take(&info, &in);
	out->latch = info.number;
	out->state = info.state;
	out->reason = info.reason;
	memcpy(out->text, info.text, sizeof(out->text));
	out->parent = app_attr_u64(&msg->attrs, APP_A_PARENT, 0);
	out->ask = app_attr_u64(&msg->attrs, APP_A_ASK, 0);
	out->timeout_ms = app_attr_u32(&msg->attrs, APP_A_TIMEOUT_MS, 0);
	if (out->kind == IPSEC_APP_EVENT_PATH)
		take_path(out, &msg->attrs);
	return out->kind == IPSEC_APP_EVENT_ASK ? take_peer(out, &msg->attrs) : 0;
}

/* SIZE_BEFORE - of the event before there were paths in it. */
#define SIZE_BEFORE offsetof(struct ipsec_app_event, news)

/* One that this library or its caller does not know yet is passed over. */
int ipsec_event_next(struct ipsec_app_event *out)
{
	enum ipsec_app_event_kind kind;
	struct ipsec_app_event event;
	struct reply reply;

	if (!out || (out->size != sizeof(*out) && out->size != SIZE_BEFORE))
		return fail(EINVAL, "the size is of another version");
	while (event_take(&kind, &reply)) {
		event = (struct ipsec_app_event){.size = out->size, .kind = kind};
		if (!kind && take_message(&event, &reply.msg))
			return -1;
		if (!event.kind || (event.kind == IPSEC_APP_EVENT_PATH && out->size == SIZE_BEFORE))
			continue;
		memcpy(out, &event, out->size);
		return 1;
	}
	return 0;
}

int ipsec_decide(uint64_t ask, bool accept)
{
	struct request req;
	struct reply reply;

	request_begin(&req, APP_DECIDE);
	app_put_u64(&req.w, APP_A_ASK, ask);
	app_put_bool(&req.w, APP_A_ACCEPT, accept);
	return transact(&req, -1, USUAL_MS, &reply);
}
