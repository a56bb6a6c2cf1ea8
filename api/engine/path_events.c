/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_events.c - observers are told what happens to the paths to a peer: after the actions of a
 * turn the paths that there are are compared with those that were told of, so that steps on the way
 * (two priorities that change places) are nobody's news.
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

static void tell(struct engine *e, const struct engine_path_event *ev)
{
	list_for_each_safe (n, &e->observers) {
		struct engine_observer *o = list_entry(n, struct engine_observer, node);

		if (o->path)
			o->path(o, ev);
	}
}

static void tell_of(struct engine *e, const struct peer_rec *p, enum engine_path_news news,
		    const struct path_info *path, uint16_t from)
{
	tell(e, &(struct engine_path_event){.news = news,
					    .conn = p->conn,
					    .ike_id = p->ike_id,
					    .id = path->id,
					    .from = from,
					    .addr = path->addr,
					    .text = ""});
}

static const struct path_info *find(const struct path_info *list, uint32_t num, uint16_t id)
{
	for (uint32_t i = 0; i < num; i++)
		if (list[i].id == id)
			return &list[i];
	return NULL;
}

/* first_active - the number of the first path that traffic goes by, 0: of none. */
static uint16_t first_active(const struct path_info *list, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++)
		if (list[i].active)
			return list[i].id;
	return 0;
}

static bool is_elsewhere(const struct path_info *a, const struct path_info *b)
{
	return memcmp(&a->addr.local, &b->addr.local, sizeof(a->addr.local)) != 0 ||
	       memcmp(&a->addr.remote, &b->addr.remote, sizeof(a->addr.remote)) != 0;
}

/* tell_changes - of one path; was NULL: it is new. */
static void tell_changes(struct engine *e, const struct peer_rec *p, const struct path_info *now,
			 const struct path_info *was)
{
	if (!was)
		tell_of(e, p, ENGINE_PATH_NEW, now, 0);
	else if (is_elsewhere(was, now))
		tell_of(e, p, ENGINE_PATH_ELSEWHERE, now, 0);
	if (now->usable && (!was || !was->usable))
		tell_of(e, p, ENGINE_PATH_USABLE, now, 0);
	else if (was && was->usable && !now->usable)
		tell_of(e, p, ENGINE_PATH_LOST, now, 0);
}

static void tell_peer(struct engine *e, struct peer_rec *p)
{
	struct path_info list[PATHS_MAX];
	const uint32_t num = dataplane_path_list(e->dp, list, p->set);
	const uint16_t from = first_active(p->told, p->num_told);

	for (uint32_t i = 0; i < p->num_told; i++)
		if (!find(list, num, p->told[i].id))
			tell_of(e, p, ENGINE_PATH_GONE, &p->told[i], 0);
	for (uint32_t i = 0; i < num; i++)
		tell_changes(e, p, &list[i], find(p->told, p->num_told, list[i].id));
	for (uint32_t i = 0; i < num; i++) {
		const struct path_info *was = find(p->told, p->num_told, list[i].id);

		if (list[i].active && (!was || !was->active))
			tell_of(e, p, ENGINE_PATH_MOVED, &list[i], from);
	}
	memcpy(p->told, list, num * sizeof(list[0]));
	p->num_told = num;
}

void path_events_changed(struct engine *e, struct peer_rec *p, const struct ike_action *a)
{
	if (a->say.ike_id)
		p->ike_id = a->say.ike_id;
	if (!p->telling)
		list_push_back(&e->changed, &p->changed);
	p->telling = true;
}

void path_events_conn(struct peer_rec *p, const char *conn)
{
	if (!p->conn && conn)
		p->conn = str_dup(conn); /* without memory it is told without a name */
}

void path_events_tell(struct engine *e)
{
	list_for_each_safe (n, &e->changed) {
		struct peer_rec *p = list_entry(n, struct peer_rec, changed);

		list_remove(&p->changed);
		p->telling = false;
		tell_peer(e, p);
	}
}

void path_events_forget(struct peer_rec *p)
{
	if (p->telling)
		list_remove(&p->changed);
	mem_free(p->conn);
}

void path_events_drained(struct engine *e, const struct peer_rec *p, uint16_t id)
{
	const struct path_info *path = find(p->told, p->num_told, id);

	if (path)
		tell_of(e, p, ENGINE_PATH_DRAINED, path, 0);
}

static void answer(struct engine *e, const struct ike_path_say *say, struct engine_path_event ev)
{
	ev.ike_id = say->ike_id;
	ev.id = say->id;
	ev.request = say->request;
	tell(e, &ev);
}

void path_events_done(struct engine *e, const struct ike_path_say *say, const char *note)
{
	answer(e, say,
	       (struct engine_path_event){.news = ENGINE_PATH_DONE, .text = note ? note : ""});
}

void path_events_refused(struct engine *e, const struct ike_path_say *say, const char *text,
			 bool own)
{
	answer(e, say,
	       (struct engine_path_event){.news = ENGINE_PATH_REFUSED, .own = own, .text = text});
}
