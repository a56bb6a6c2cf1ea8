/* SPDX-License-Identifier: Apache-2.0 */
/* path_event.c - what happens to paths: the last of it is kept for lists, and told as it comes
 * (event latchkey-path-event). */
#include "api/vici/internal.h"

#include <stdio.h>

static const char *news_name(enum engine_path_news news)
{
	static const char *const names[ENGINE_PATH_NEWS_NUM] = {
		[ENGINE_PATH_NEW] = "new",         [ENGINE_PATH_USABLE] = "usable",
		[ENGINE_PATH_LOST] = "lost",       [ENGINE_PATH_ELSEWHERE] = "elsewhere",
		[ENGINE_PATH_MOVED] = "moved",     [ENGINE_PATH_GONE] = "gone",
		[ENGINE_PATH_DRAINED] = "drained", [ENGINE_PATH_DONE] = "done",
		[ENGINE_PATH_REFUSED] = "refused",
	};

	return names[news];
}

static enum err fill(struct tree *t, const struct path_event *ev)
{
	char text[ENDPOINT_TEXT_MAX];

	TRY(tree_setf(t, "event", "%s", news_name(ev->news)));
	TRY(tree_setf(t, "connection", "%s", ev->conn));
	TRY(tree_setf(t, "uniqueid", "%u", ev->ike_id));
	TRY(tree_setf(t, "number", "%u", ev->id));
	if (ev->from)
		TRY(tree_setf(t, "from", "%u", ev->from));
	TRY(tree_setf(t, "local", "%s", endpoint_text(text, &ev->addr.local)));
	TRY(tree_setf(t, "remote", "%s", endpoint_text(text, &ev->addr.remote)));
	return tree_setf(t, "time", "%lld", (long long)ev->wall_s);
}

static void broadcast(struct vici_server *s, const struct path_event *ev)
{
	struct tree *t;

	if (!vici_anyone_wants(s, EV_LATCHKEY_PATH_EVENT))
		return;
	t = tree_new();
	if (t && !fill(t, ev))
		vici_broadcast(s, EV_LATCHKEY_PATH_EVENT, t);
	tree_free(t);
}

/* What a peer says of a request is the business of who asked. */
void path_event_note(struct vici_server *s, const struct engine_path_event *event)
{
	struct path_event *ev;

	if (event->news == ENGINE_PATH_DONE || event->news == ENGINE_PATH_REFUSED)
		return;
	ev = &s->path_events[s->num_path_events++ % PATH_EVENTS_MAX];
	*ev = (struct path_event){.news = event->news,
				  .ike_id = event->ike_id,
				  .id = event->id,
				  .from = event->from,
				  .addr = event->addr,
				  .wall_s = clock_wall_s()};
	snprintf(ev->conn, sizeof(ev->conn), "%s", event->conn ? event->conn : "");
	broadcast(s, ev);
}

enum err path_events_fill(const struct vici_server *s, struct tree *parent)
{
	const uint64_t num = s->num_path_events;
	uint64_t i = num > PATH_EVENTS_MAX ? num - PATH_EVENTS_MAX : 0;
	struct tree *t;
	char name[24];

	for (; i < num; i++) {
		snprintf(name, sizeof(name), "%llu", (unsigned long long)i);
		TRY(tree_add_section(parent, &t, name));
		TRY(fill(t, &s->path_events[i % PATH_EVENTS_MAX]));
	}
	return ERR_OK;
}
