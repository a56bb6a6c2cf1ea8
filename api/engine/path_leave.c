/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_leave.c - a path is removed in order, as the owner said: both sides send by others and go on
 * receiving by it (LEAVE), the last packets of both come, and then it goes (REMOVE). What is waited
 * for may not happen: the wait is bounded, and ends at once if the path fails.
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

/* What came of the waiting, for people. */
static const char drained_note[] = "the last packets of both sides have come by it";
static const char failed_note[] = "it failed meanwhile, and was not waited for";
static const char late_note[] = "its last packets were waited for in vain";
static const char refused_note[] = "the peer does not leave a path first";

static struct leaving *find(struct engine *e, uint64_t peer, uint16_t id)
{
	list_for_each (n, &e->leavings) {
		struct leaving *l = list_entry(n, struct leaving, node);

		if (l->peer == peer && l->id == id && !l->over)
			return l;
	}
	return NULL;
}

static void leaving_free(struct leaving *l)
{
	timer_cancel(&l->engine->timers, &l->timer);
	list_remove(&l->node);
	mem_free(l);
}

/* leaving_end - who asked is told. That LEAVE is answered later is news to nobody, and taken back.
 */
static void leaving_end(struct leaving *l)
{
	timer_cancel(&l->engine->timers, &l->timer);
	l->over = true;
	if (l->answered)
		leaving_free(l);
}

/* decide - the waiting is over: not from within what told so. */
static void decide(struct leaving *l, const char *note)
{
	if (l->note || l->removing)
		return;
	l->note = note;
	timer_set(&l->engine->timers, &l->timer, engine_now(l->engine));
}

/* ---- it goes --------------------------------------------------------------------------------- */

/* struct wanted - the IKE SA that has a peer's paths now. */
struct wanted {
	uint64_t peer;
	struct ike_sa_info sa; /* unique 0: there is none */
};

static void look(void *ctx, const struct ike_sa_info *sa)
{
	struct wanted *w = ctx;

	if (sa->peer == w->peer && sa->paths && sa->state != IKE_STATE_DELETING)
		w->sa = *sa;
}

static const struct ike_path_info *path_of(const struct ike_sa_info *sa, uint16_t id)
{
	for (uint32_t i = 0; i < sa->num_path_list; i++)
		if (sa->path_list[i].id == id)
			return &sa->path_list[i];
	return NULL;
}

/* answer - to who asked for it; text: why it stays. Nothing is waited for any more. */
static void answer(struct leaving *l, const struct ike_sa_info *sa, const char *text)
{
	const struct ike_path_say say = {.ike_id = sa->unique, .id = l->id, .request = l->request};
	struct engine *e = l->engine;
	const char *note = l->note;

	leaving_end(l);
	if (text)
		path_events_refused(e, &say, text, true);
	else
		path_events_done(e, &say, note);
}

/* take_back - it carries as before. */
static void take_back(struct engine *e, const struct ike_sa_info *sa, uint16_t id)
{
	const struct ike_path_info *p = path_of(sa, id);
	const struct ike_select sel = {.ike_id = sa->unique};
	struct ike_path_op op = {.act = IKE_PATH_SCHEDULE, .id = id, .policy = IKE_PATHS_AS_BEFORE};
	uint32_t num;
	enum err err;

	if (!p || !p->leaving)
		return;
	op.priority = p->priority;
	op.weight = p->weight;
	err = ike_path(e->ike, &num, NULL, &sel, &op, 1, engine_now(e));
	if (err)
		LOG(WARN, NET, sa->conn, "path %u stays one that is left: %s", id, err_text(err));
}

static void stay(struct leaving *l, const struct ike_sa_info *sa, const char *text)
{
	take_back(l->engine, sa, l->id);
	l->note = NULL;
	answer(l, sa, text);
}

static void go(struct leaving *l, const struct ike_sa_info *sa)
{
	const struct engine_path_request req = {.act = ENGINE_PATH_REMOVE,
						.ike_id = sa->unique,
						.id = l->id,
						.now = true,
						.request = l->request};
	const struct ike_path_info path = l->path;
	struct engine *e = l->engine;
	char text[ENGINE_TEXT_MAX];
	uint16_t id;
	uint32_t num;

	l->removing = true; /* the answer ends it, and may come while it is asked */
	LOG(INFO, NET, sa->conn, "path %u is removed: %s", l->id, l->note);
	if (engine_path(e, &num, &id, &req, text))
		stay(l, sa, text);
	else
		hand_removed(e, sa->peer, &path);
}

/* is_anew - a path is where that one was. */
static bool is_anew(const struct ike_sa_info *sa, const struct ike_path_info *was)
{
	for (uint32_t i = 0; i < sa->num_path_list; i++) {
		const struct path_addr *is = &sa->path_list[i].addr;

		if (ip_addr_equal(&is->local.addr, &was->addr.local.addr) &&
		    ip_addr_equal(&is->remote.addr, &was->addr.remote.addr))
			return true;
	}
	return false;
}

static void finish(struct leaving *l)
{
	struct wanted w = {.peer = l->peer};
	const struct ike_path_info *p;

	ike_each_sa(l->engine->ike, look, &w);
	p = path_of(&w.sa, l->id);
	/* Who asked has been told, and did not say it again. */
	if (l->refused || l->over) {
		if (l->refused || !find(l->engine, l->peer, l->id))
			take_back(l->engine, &w.sa, l->id);
		leaving_end(l);
		return;
	}
	if (!w.sa.unique) {
		answer(l, &w.sa, "the connection has gone");
		return;
	}
	if (!p) { /* its address has gone, and may come again */
		if (!is_anew(&w.sa, &l->path))
			hand_removed(l->engine, l->peer, &l->path);
		answer(l, &w.sa, NULL);
		return;
	}
	if (!l->note && p->active) {
		stay(l, &w.sa, "no other path carries: it stays (`--now` removes it all the same)");
		return;
	}
	if (!l->note)
		l->note = late_note;
	go(l, &w.sa);
}

static void on_timer(struct timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	finish(container_of(timer, struct leaving, timer));
}

/* ---- it is left ------------------------------------------------------------------------------ */

enum err path_leave(struct engine *e, const struct ike_sa_info *sa, uint16_t id, uint64_t request)
{
	const struct ike_path_op op = {.act = IKE_PATH_LEAVE, .id = id};
	struct ike_select sel = {.ike_id = sa->unique, .request = engine_request(e)};
	struct leaving *l = find(e, sa->peer, id) ? NULL : mem_alloc(sizeof(*l));
	const struct ike_path_info *p = path_of(sa, id);
	uint32_t num;
	enum err err;

	if (!l)
		return find(e, sa->peer, id) ? ERR_EXISTS : ERR_NOMEM;
	l->engine = e;
	l->peer = sa->peer;
	l->leave = sel.request;
	l->request = request ? request : engine_request(e);
	l->id = id;
	if (p)
		l->path = *p;
	timer_init(&l->timer, on_timer);
	list_push_back(&e->leavings, &l->node);
	err = ike_path(e->ike, &num, NULL, &sel, &op, 1, engine_now(e));
	if (err) {
		leaving_free(l);
		return err;
	}
	LOG(INFO, NET, sa->conn, "path %u is left: its last packets are waited for", id);
	return ERR_OK;
}

bool path_left(struct engine *e, uint64_t request, bool refused)
{
	list_for_each (n, &e->leavings) {
		struct leaving *l = list_entry(n, struct leaving, node);

		if (l->leave != request)
			continue;
		l->answered = true;
		if (l->over)
			timer_set(&e->timers, &l->timer, engine_now(e));
		else if (refused)
			decide(l, refused_note);
		else if (!l->note)
			timer_set(&e->timers, &l->timer, engine_now(e) + ENGINE_LEAVE_NS);
		return true;
	}
	return false;
}

void path_leave_event(struct engine *e, uint64_t peer, uint16_t id, bool drained)
{
	struct leaving *l = find(e, peer, id);

	if (l)
		decide(l, drained ? drained_note : failed_note);
}

const char *path_leave_end(struct engine *e, uint64_t peer, uint64_t request, bool refused)
{
	list_for_each (n, &e->leavings) {
		struct leaving *l = list_entry(n, struct leaving, node);
		const char *note = l->note;

		if (!l->removing || l->over || l->peer != peer || l->request != request)
			continue;
		l->refused = refused;
		if (refused)
			timer_set(&e->timers, &l->timer, engine_now(e));
		else
			leaving_end(l);
		return note;
	}
	return NULL;
}

void path_leaves_gone(struct engine *e, uint64_t peer, uint64_t told)
{
	list_for_each_safe (n, &e->leavings) {
		struct leaving *l = list_entry(n, struct leaving, node);

		if (l->peer != peer)
			continue;
		l->answered = true; /* nothing more will be */
		if (l->over || (l->removing && l->request == told)) {
			leaving_free(l);
			continue;
		}
		l->removing = false;
		l->note = NULL;
		decide(l, failed_note);
	}
}

void path_leaves_fini(struct engine *e)
{
	list_for_each_safe (n, &e->leavings)
		leaving_free(list_entry(n, struct leaving, node));
}
