/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "api/embed/internal.h"
#include "base/alloc.h"

/* Events that wait for ipsec_engine_next_event() at most. */
#define WAITING_MAX 256
#define NAME_MAX    256
#define TEXT_MAX    1024

/* struct queued_event - with copies of its strings. */
struct queued_event {
	struct list_node node;
	struct ipsec_event event;
	char connection[NAME_MAX], child[NAME_MAX], text[TEXT_MAX];
};

static const enum ipsec_event_kind kinds[] = {
	[IKE_EVENT_IKE_UP] = IPSEC_EVENT_IKE_UP,
	[IKE_EVENT_IKE_REKEYED] = IPSEC_EVENT_IKE_REKEYED,
	[IKE_EVENT_IKE_DOWN] = IPSEC_EVENT_IKE_DOWN,
	[IKE_EVENT_CHILD_UP] = IPSEC_EVENT_CHILD_UP,
	[IKE_EVENT_CHILD_REKEYED] = IPSEC_EVENT_CHILD_REKEYED,
	[IKE_EVENT_CHILD_DOWN] = IPSEC_EVENT_CHILD_DOWN,
	[IKE_EVENT_FAILED] = IPSEC_EVENT_FAILED,
	[IKE_EVENT_PROGRESS] = IPSEC_EVENT_PROGRESS,
};

static const char *copy(char *out, size_t size, const char *in)
{
	if (!in)
		return NULL;
	snprintf(out, size, "%s", in);
	return out;
}

static struct queued_event *pop(struct ipsec_engine *e)
{
	struct list_node *n = list_pop_front(&e->events);

	if (!n)
		return NULL;
	e->num_events--;
	return list_entry(n, struct queued_event, node);
}

/* queue - for want of memory an event is lost, as when too many wait. */
static void queue(struct ipsec_engine *e, const struct ipsec_event *event)
{
	struct queued_event *q = mem_alloc(sizeof(*q));

	if (!q)
		return;
	if (e->num_events == WAITING_MAX)
		mem_free(pop(e));
	q->event = *event;
	q->event.connection = copy(q->connection, sizeof(q->connection), event->connection);
	q->event.child = copy(q->child, sizeof(q->child), event->child);
	q->event.text = copy(q->text, sizeof(q->text), event->text);
	list_push_back(&e->events, &q->node);
	e->num_events++;
}

static void tell(struct ipsec_engine *e, const struct ipsec_event *event)
{
	if (e->params.event)
		e->params.event(e->params.ctx, event);
	else
		queue(e, event);
}

static void on_event(struct engine_observer *o, const struct ike_event *ev)
{
	struct ipsec_engine *e = container_of(o, struct ipsec_engine, observer);
	const struct ipsec_event event = {
		.kind = kinds[ev->kind],
		.reason = ike_reason_name(ev->reason),
		.connection = ev->conn,
		.child = ev->child,
		.ike_id = ev->ike_id,
		.child_id = ev->child_id,
		.request = ev->request,
		.path = path_out(&ev->path),
		.text = ev->text ? ev->text : "",
	};

	tell(e, &event);
}

/* In a sentence, with what is said of it. */
static const char *sentence_of(char buf[TEXT_MAX], const struct engine_path_event *ev)
{
	static const struct {
		const char *before, *after;
	} texts[ENGINE_PATH_NEWS_NUM] = {
		[ENGINE_PATH_NEW] = {"path", " is there, and is asked"},
		[ENGINE_PATH_USABLE] = {"path", " carries"},
		[ENGINE_PATH_LOST] = {"path", " does not carry any more"},
		[ENGINE_PATH_ELSEWHERE] = {"path", " has other ends"},
		[ENGINE_PATH_MOVED] = {"path", " has the traffic"},
		[ENGINE_PATH_GONE] = {"path", " is removed"},
		[ENGINE_PATH_DRAINED] = {"the last packets have come by path", ""},
		[ENGINE_PATH_DONE] = {"what was said of path", " is done"},
		[ENGINE_PATH_REFUSED] = {"what was said of path", " is refused"},
	};

	snprintf(buf, TEXT_MAX, "%s %u%s%s%s", texts[ev->news].before, ev->id,
		 texts[ev->news].after, ev->text[0] ? ": " : "", ev->text);
	return buf;
}

static void on_path(struct engine_observer *o, const struct engine_path_event *ev)
{
	struct ipsec_engine *e = container_of(o, struct ipsec_engine, observer);
	char text[TEXT_MAX];
	const struct ipsec_event event = {
		.kind = (enum ipsec_event_kind)(IPSEC_EVENT_PATH_NEW + (int)ev->news),
		.reason = ike_reason_name(IKE_REASON_NONE),
		.connection = ev->conn,
		.ike_id = ev->ike_id,
		.request = ev->request,
		.path = path_out(&ev->addr),
		.text = sentence_of(text, ev),
		.path_number = ev->id,
		.path_from = ev->from,
	};

	embed_app_path_event(e->app, ev);
	tell(e, &event);
}

static_assert(IPSEC_EVENT_PATH_NEW + ENGINE_PATH_USABLE == (int)IPSEC_EVENT_PATH_USABLE &&
		      IPSEC_EVENT_PATH_NEW + ENGINE_PATH_LOST == (int)IPSEC_EVENT_PATH_LOST &&
		      IPSEC_EVENT_PATH_NEW + ENGINE_PATH_ELSEWHERE ==
			      (int)IPSEC_EVENT_PATH_ELSEWHERE &&
		      IPSEC_EVENT_PATH_NEW + ENGINE_PATH_MOVED == (int)IPSEC_EVENT_PATH_MOVED &&
		      IPSEC_EVENT_PATH_NEW + ENGINE_PATH_GONE == (int)IPSEC_EVENT_PATH_GONE &&
		      IPSEC_EVENT_PATH_NEW + ENGINE_PATH_DRAINED == (int)IPSEC_EVENT_PATH_DRAINED &&
		      IPSEC_EVENT_PATH_NEW + ENGINE_PATH_DONE == (int)IPSEC_EVENT_PATH_DONE &&
		      IPSEC_EVENT_PATH_NEW + ENGINE_PATH_REFUSED == (int)IPSEC_EVENT_PATH_REFUSED,
	      "news are in the engine's order");

void events_observe(struct ipsec_engine *e)
{
	e->observer.event = on_event;
	e->observer.path = on_path;
	engine_observe(e->core, &e->observer);
}

void events_stopped(struct ipsec_engine *e)
{
	const struct ipsec_event event = {
		.kind = IPSEC_EVENT_STOPPED,
		.reason = ike_reason_name(IKE_REASON_NONE),
		.text = "",
	};

	tell(e, &event);
}

void events_free(struct ipsec_engine *e)
{
	struct queued_event *q;

	while ((q = pop(e)))
		mem_free(q);
	mem_free(e->shown);
	e->shown = NULL;
}

int ipsec_engine_next_event(struct ipsec_engine *e, struct ipsec_event *out)
{
	const struct log_sink *before = embed_enter(e);
	int rc = -1;

	errno = EINVAL;
	if (!e->params.event) {
		mem_free(e->shown);
		e->shown = pop(e);
		rc = e->shown != NULL;
		if (e->shown)
			*out = e->shown->event;
	}
	embed_leave(e, before);
	return rc;
}
