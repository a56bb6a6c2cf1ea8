/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_path.c - the paths to peers: what there is, what is done about one, what happens to them.
 */
#include "api/app/internal.h"

#include "base/alloc.h"

#include <stdio.h>

#define DEFAULT_MS 8000
#define LONGEST_MS 600000
#define WAITS_MAX  64 /* open at once, of one client */

static_assert((int)APP_PATH_ADD == ENGINE_PATH_ADD && (int)APP_PATH_REMOVE == ENGINE_PATH_REMOVE &&
		      (int)APP_PATH_SOFT == ENGINE_PATH_SOFT &&
		      (int)APP_PATH_HARD == ENGINE_PATH_HARD &&
		      (int)APP_PATH_PREFER == ENGINE_PATH_PREFER,
	      "acts are the engine's");
static_assert((int)APP_PATH_NEW == ENGINE_PATH_NEW && (int)APP_PATH_USABLE == ENGINE_PATH_USABLE &&
		      (int)APP_PATH_LOST == ENGINE_PATH_LOST &&
		      (int)APP_PATH_ELSEWHERE == ENGINE_PATH_ELSEWHERE &&
		      (int)APP_PATH_MOVED == ENGINE_PATH_MOVED &&
		      (int)APP_PATH_GONE == ENGINE_PATH_GONE &&
		      (int)APP_PATH_DRAINED == ENGINE_PATH_DRAINED &&
		      (int)APP_NUM_PATH_NEWS == ENGINE_PATH_DONE,
	      "news are the engine's");

static void put_ends(struct writer *w, const struct path_addr *a)
{
	const struct flow ends = {.local = a->local.addr,
				  .remote = a->remote.addr,
				  .local_port = a->local.port,
				  .remote_port = a->remote.port};

	app_put_flow(w, APP_A_FLOW, &ends);
}

/* ---- what there is --------------------------------------------------------------------------- */

/* What is not known is not said. */
static void put_quality(struct writer *w, const struct path_quality *q)
{
	const uint64_t rtt_us = q->rtt_ns / NS_PER_US;

	if (rtt_us)
		app_put_u32(w, APP_A_RTT_US, rtt_us < UINT32_MAX ? (uint32_t)rtt_us : UINT32_MAX);
	app_put_u32(w, APP_A_LOSS, q->loss_permille < 1000 ? q->loss_permille : 1000);
	if (q->rate)
		app_put_u64(w, APP_A_RATE, q->rate);
}

static void put_data(struct writer *w, const struct engine_path_info *data)
{
	const struct path_info *p = &data->path;

	if (p->pmtu)
		app_put_u32(w, APP_A_MTU, p->pmtu);
	app_put_u64(w, APP_A_RX_PACKETS, p->rx_packets);
	app_put_u64(w, APP_A_RX_BYTES, p->rx_bytes);
	app_put_u64(w, APP_A_TX_PACKETS, p->tx_packets);
	app_put_u64(w, APP_A_TX_BYTES, p->tx_bytes);
	if (data->probed)
		put_quality(w, &data->quality);
}

static void put_path(void *arg, const struct app_path *p)
{
	struct call *call = arg;
	struct writer *w = &call->out;
	size_t mark;

	make_room(call);
	mark = app_begin(w, APP_A_PATH_INFO);
	app_put_u32(w, APP_A_PATH, p->id);
	app_put_text(w, APP_A_CONN, p->conn);
	app_put_text(w, APP_A_PEER, p->peer);
	put_ends(w, p->addr);
	app_put_bool(w, APP_A_UDP, p->addr->encap == ENCAP_UDP);
	app_put_u32(w, APP_A_PATH_STATE, p->active ? 2 : p->usable ? 1 : 0);
	app_put_u32(w, APP_A_PRIORITY, p->priority);
	app_put_u32(w, APP_A_WEIGHT, p->weight);
	app_put_bool(w, APP_A_DECIDES, p->decides);
	if (p->data)
		put_data(w, p->data);
	app_end(w, mark);
}

enum err verb_paths(struct call *call)
{
	call->ops->each_path(call->ctx, put_path, call);
	return ERR_OK;
}

/* ---- what is done ---------------------------------------------------------------------------- */

static uint32_t num_of(const struct app_server *s, const struct app_client *c)
{
	uint32_t num = 0;

	list_for_each (n, &s->path_waits)
		num += list_entry(n, struct path_wait, node)->client == c;
	return num;
}

/* wait_new - before the engine is asked: answers may come while it is. */
static enum err wait_new(struct call *call, struct path_wait **out)
{
	uint64_t ms = app_attr_u32(call->in, APP_A_TIMEOUT_MS, DEFAULT_MS);
	struct path_wait *w;

	if (num_of(call->server, call->client) == WAITS_MAX)
		return ERR_FULL;
	w = mem_alloc(sizeof(*w));
	if (!w)
		return ERR_NOMEM;
	w->client = call->client;
	w->id = call->msg->id;
	w->request = call->ops->request(call->ctx);
	w->deadline_ns =
		app_server_now(call->server) + (ms < LONGEST_MS ? ms : LONGEST_MS) * NS_PER_MS;
	list_push_back(&call->server->path_waits, &w->node);
	*out = w;
	return ERR_OK;
}

static void wait_free(struct path_wait *w)
{
	list_remove(&w->node);
	mem_free(w);
}

static void put_answer(struct writer *out, const struct path_wait *w)
{
	app_put_u32(out, APP_A_PATH, w->path);
	app_put_text(out, APP_A_TEXT, w->text);
}

static void answer_later(struct path_wait *w)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct writer out;

	writer_init(&out, buf, sizeof(buf));
	app_put_header(&out, APP_PATH, APP_F_ANSWER, (uint16_t)w->code, w->id);
	put_answer(&out, w);
	send_message(w->client, &out);
	wait_free(w);
}

static struct engine_path_request request_of(const struct call *call, const char *name)
{
	struct engine_path_request req = {
		.act = (enum engine_path_act)app_attr_u32(call->in, APP_A_PATH_ACT, 0),
		.name = name,
		.id = (uint16_t)app_attr_u32(call->in, APP_A_PATH, 0),
		.priority = (uint8_t)app_attr_u32(call->in, APP_A_PRIORITY, 0),
		.weight = (uint16_t)app_attr_u32(call->in, APP_A_WEIGHT, 1),
	};
	struct flow ends = {0};

	if (app_attr_flow(call->in, APP_A_FLOW, &ends) == ERR_OK) {
		req.local = ends.local;
		req.remote = ends.remote;
	}
	return req;
}

/* is_whole - it says what, whose, and which. */
static bool is_whole(const struct call *call, const struct engine_path_request *req)
{
	const bool any = ip_addr_is_any(&req->local);

	return app_attr(call->in, APP_A_PATH_ACT) && req->name[0] &&
	       (req->act == ENGINE_PATH_ADD ? !any : req->id || !any);
}

/* ask - the engine; what it says is in the wait. */
static enum err ask(struct call *call, struct path_wait *w, const struct engine_path_request *req)
{
	char text[ENGINE_TEXT_MAX] = "";
	enum err e = call->ops->path(call->ctx, &w->num, &w->path, req, text);

	if (e)
		snprintf(call->text, sizeof(call->text), "%.*s", (int)sizeof(call->text) - 1, text);
	return e;
}

enum err verb_path(struct call *call)
{
	char name[APP_ID_MAX];
	struct engine_path_request req =
		request_of(call, app_attr_text(call->in, APP_A_PEER, name, sizeof(name)));
	struct path_wait *w = NULL;
	enum err e;

	if (!is_whole(call, &req))
		return ERR_INVAL;
	TRY(wait_new(call, &w));
	req.request = w->request;
	e = ask(call, w, &req);
	call->deferred = !e && w->answered < w->num;
	if (call->deferred)
		return ERR_OK;
	if (!e)
		put_answer(&call->out, w);
	if (!e && w->code)
		e = ERR_PEER; /* the answer is in place */
	wait_free(w);
	return e;
}

void path_waits_run(struct app_server *s, uint64_t now_ns)
{
	list_for_each_safe (n, &s->path_waits) {
		struct path_wait *w = list_entry(n, struct path_wait, node);

		if (w->deadline_ns > now_ns)
			continue;
		w->code = APP_TIMEOUT;
		snprintf(w->text, sizeof(w->text),
			 "the peer did not answer in time; what was said goes on");
		answer_later(w);
	}
}

uint64_t path_waits_deadline(const struct app_server *s)
{
	uint64_t first = TIME_NEVER;

	list_for_each (n, &s->path_waits) {
		uint64_t at = list_entry(n, struct path_wait, node)->deadline_ns;

		first = at < first ? at : first;
	}
	return first;
}

void path_waits_gone(struct app_server *s, const struct app_client *c)
{
	list_for_each_safe (n, &s->path_waits) {
		struct path_wait *w = list_entry(n, struct path_wait, node);

		if (w->client == c)
			wait_free(w);
	}
}

/* ---- what happens ---------------------------------------------------------------------------- */

/* Of several peers the first that refuses says why. */
static void answered(struct app_server *s, const struct engine_path_event *ev)
{
	list_for_each_safe (n, &s->path_waits) {
		struct path_wait *w = list_entry(n, struct path_wait, node);

		if (w->request != ev->request)
			continue;
		w->answered++;
		if (ev->news == ENGINE_PATH_REFUSED && !w->code) {
			w->code = APP_FAILED;
			snprintf(w->text, sizeof(w->text), "%s%s",
				 ev->own ? "" : "the peer refuses it: ", ev->text);
		}
		if (w->num && w->answered >= w->num)
			answer_later(w);
	}
}

static void tell(struct app_client *c, const struct engine_path_event *ev)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	app_put_header(&w, APP_EV_PATH, APP_F_EVENT, APP_OK, 0);
	app_put_u32(&w, APP_A_PATH_NEWS, ev->news);
	app_put_u32(&w, APP_A_PATH, ev->id);
	app_put_text(&w, APP_A_CONN, ev->conn);
	put_ends(&w, &ev->addr);
	if (ev->from)
		app_put_u32(&w, APP_A_FROM, ev->from);
	send_message(c, &w);
}

void app_server_path_event(struct app_server *s, const struct engine_path_event *event)
{
	if (event->news == ENGINE_PATH_DONE || event->news == ENGINE_PATH_REFUSED) {
		answered(s, event);
		return;
	}
	list_for_each (n, &s->clients) {
		struct app_client *c = list_entry(n, struct app_client, node);

		if (c->events && c->rights & (APP_RIGHT_CONFIGURE | APP_RIGHT_READ_ALL))
			tell(c, event);
	}
}
