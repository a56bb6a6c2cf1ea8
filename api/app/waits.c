/* SPDX-License-Identifier: Apache-2.0 */
/* waits.c - requests that are answered when a latch stands or fails, or when their time is over. */
#include "api/app/internal.h"

#include "base/alloc.h"

#include <stdio.h>

/* A latch that fails stays: what the application sends goes nowhere until it is released. */
#define DEFAULT_MS 30000
#define LONGEST_MS 600000

static uint32_t num_of(const struct app_server *s, const struct app_client *c)
{
	uint32_t num = 0;

	list_for_each (n, &s->waits)
		num += list_entry(n, struct wait, node)->client == c;
	return num;
}

enum err wait_add(struct call *call, uint64_t latch)
{
	uint64_t ms = app_attr_u32(call->in, APP_A_TIMEOUT_MS, DEFAULT_MS);
	struct wait *w;

	if (num_of(call->server, call->client) == APP_WAITS_MAX)
		return ERR_FULL;
	w = mem_alloc(sizeof(*w));
	if (!w)
		return ERR_NOMEM;
	w->client = call->client;
	w->id = call->msg->id;
	w->verb = call->msg->verb;
	w->latch = latch;
	w->deadline_ns =
		app_server_now(call->server) + (ms < LONGEST_MS ? ms : LONGEST_MS) * NS_PER_MS;
	list_push_back(&call->server->waits, &w->node);
	call->deferred = true;
	return ERR_OK;
}

enum app_code put_outcome(struct writer *w, const struct app_latch *latch)
{
	app_put_u64(w, APP_A_LATCH, latch->id);
	if (latch->state == LATCH_ESTABLISHED) {
		app_put_u32(w, APP_A_TOKEN, latch->token);
		return APP_OK;
	}
	app_put_text(w, APP_A_REASON, ike_reason_name(latch->reason));
	app_put_text(w, APP_A_TEXT,
		     latch->text[0] ? latch->text : "the flow could not be protected");
	return APP_FAILED;
}

/* The code is known last: bytes 6 and 7 of the header. */
static void answer(struct wait *wait, const struct app_latch *latch)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct writer w;
	enum app_code code = APP_TIMEOUT;

	writer_init(&w, buf, sizeof(buf));
	app_put_header(&w, wait->verb, APP_F_ANSWER, 0, wait->id);
	if (latch) {
		code = put_outcome(&w, latch);
	} else {
		app_put_u64(&w, APP_A_LATCH, wait->latch);
		app_put_text(&w, APP_A_TEXT, "the peer did not answer in time");
	}
	store_be16(buf + 6, (uint16_t)code);
	send_message(wait->client, &w);
	list_remove(&wait->node);
	mem_free(wait);
}

void wait_tell(struct app_server *s, const struct app_latch *latch)
{
	if (latch->state == LATCH_LARVAL || latch->state == LATCH_LISTENER)
		return;
	list_for_each_safe (n, &s->waits) {
		struct wait *w = list_entry(n, struct wait, node);

		if (w->latch == latch->id)
			answer(w, latch);
	}
}

void waits_run(struct app_server *s, uint64_t now_ns)
{
	list_for_each_safe (n, &s->waits) {
		struct wait *w = list_entry(n, struct wait, node);

		if (w->deadline_ns > now_ns)
			continue;
		if (w->verb == APP_RUN)
			cgroup_end(s, w->latch);
		answer(w, NULL);
	}
}

uint64_t waits_deadline(const struct app_server *s)
{
	uint64_t first = TIME_NEVER;

	list_for_each (n, &s->waits) {
		uint64_t at = list_entry(n, struct wait, node)->deadline_ns;

		first = at < first ? at : first;
	}
	return first;
}

void waits_gone(struct app_server *s, const struct app_client *c)
{
	list_for_each_safe (n, &s->waits) {
		struct wait *w = list_entry(n, struct wait, node);

		if (w->client != c)
			continue;
		list_remove(&w->node);
		mem_free(w);
	}
}
