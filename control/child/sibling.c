/* SPDX-License-Identifier: Apache-2.0 */
#include "control/child/sibling.h"

#include "control/child/accept.h"
#include "control/child/create.h"
#include "control/child/traffic.h"
#include "control/ike/handlers.h"
#include "control/ike/task.h"

/* PEER_LINES_PER_S - lines that a peer can cause at will. */
#define PEER_LINES_PER_S 20

/* struct traits - what siblings have in common (RFC 9611 4). */
struct traits {
	const struct conf_child *conf;
	const struct ts *local, *remote;
	uint32_t num_local, num_remote;
	const struct sa_chosen *chosen;
	enum sa_mode mode;
	bool ipcomp;
};

static struct traits traits_of(const struct ike_child *c)
{
	return (struct traits){.conf = c->conf,
			       .local = c->ts,
			       .remote = c->ts + c->num_local,
			       .num_local = c->num_local,
			       .num_remote = c->num_remote,
			       .chosen = &c->chosen,
			       .mode = c->mode,
			       .ipcomp = c->ipcomp};
}

static struct traits traits_of_work(const struct child_work *w)
{
	return (struct traits){.conf = w->conf,
			       .local = w->local.ts,
			       .remote = w->remote.ts,
			       .num_local = w->local.num,
			       .num_remote = w->remote.num,
			       .chosen = &w->chosen,
			       .mode = w->transport ? SA_TRANSPORT : SA_TUNNEL,
			       .ipcomp = w->ipcomp};
}

static bool same_ts(const struct ts *a, uint32_t num_a, const struct ts *b, uint32_t num_b)
{
	return num_a == num_b && memcmp(a, b, num_a * sizeof(*a)) == 0;
}

static bool alike(const struct traits *a, const struct traits *b)
{
	return strcmp(a->conf->name, b->conf->name) == 0 && a->mode == b->mode &&
	       a->ipcomp == b->ipcomp && a->chosen->esn == b->chosen->esn &&
	       memcmp(&a->chosen->encr, &b->chosen->encr, sizeof(a->chosen->encr)) == 0 &&
	       same_ts(a->local, a->num_local, b->local, b->num_local) &&
	       same_ts(a->remote, a->num_remote, b->remote, b->num_remote);
}

static bool in_use(const struct ike_child *c)
{
	return c->siblings && c->state == CHILD_INSTALLED && !c->replaced_by && !c->redundant;
}

static struct ike_child *find_shared(const struct ike_sa *sa, const struct traits *like)
{
	list_for_each (n, &sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);
		struct traits t = traits_of(c);

		if (in_use(c) && !c->worker && alike(&t, like))
			return c;
	}
	return NULL;
}

/* num_for - pairs for a worker (index and 1 more), or, with 0, for any. */
static uint32_t num_for(const struct ike_sa *sa, const struct traits *like, uint32_t worker)
{
	uint32_t num = 0;

	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);
		struct traits t = traits_of(c);

		num += in_use(c) && c->worker && (!worker || c->worker == worker) &&
		       alike(&t, like);
	}
	return num;
}

static bool is_made_for(const struct child_work *w, const struct ike_child *shared, uint32_t worker)
{
	return w && w->siblings && w->like == shared->id && w->worker == worker;
}

/* is_asked_for - a task of ours is about it already. */
static bool is_asked_for(const struct ike_child *shared, uint32_t worker)
{
	list_for_each (n, &shared->sa->tasks) {
		const struct task *t = list_entry(n, struct task, node);

		if (t->kind == TASK_CHILD_SIBLING && t->child == shared->id && t->worker == worker)
			return true;
	}
	return is_made_for(shared->sa->out.x.child, shared, worker);
}

/* may_have - a pair for this worker beside the shared one is wanted, and not there. */
static bool may_have(const struct ike_child *shared, uint32_t worker)
{
	struct traits like;

	if (!shared || !in_use(shared) || shared->worker || shared->no_more ||
	    worker > shared->sa->e->num_workers)
		return false;
	like = traits_of(shared);
	return !num_for(shared->sa, &like, worker) &&
	       !is_made_for(shared->sa->in.x.child, shared, worker);
}

bool sibling_any(const struct ike_child *c)
{
	struct traits like = traits_of(c);

	return c->siblings && !c->worker && num_for(c->sa, &like, 0);
}

void sibling_build(struct step *s, const struct child_work *w)
{
	struct be32 id = be32_make(w->worker - 1);

	if (w->siblings)
		wire_notify_build(&s->b, NOTIFY_SA_RESOURCE_INFO,
				  bytes_of(&id, w->worker ? sizeof(id) : 0));
}

/* ---- responder ------------------------------------------------------------------------------- */

/* least - the worker with the fewest pairs beside the shared one; index and 1 more. A pair that is
 * being made by us counts; one that is still to be asked for does not, since it is not asked for
 * once the peer's is there. */
static uint32_t least(const struct ike_child *shared)
{
	struct traits like = traits_of(shared);
	uint32_t best = 1, best_num = UINT32_MAX;

	for (uint32_t worker = 1; worker <= shared->sa->e->num_workers; worker++) {
		uint32_t num = num_for(shared->sa, &like, worker) +
			       is_made_for(shared->sa->out.x.child, shared, worker);

		if (num < best_num) {
			best = worker;
			best_num = num;
		}
	}
	return best;
}

static void log_peers(struct step *s, const struct child_work *w, const struct wire_notify *n)
{
	char text[WIRE_RESOURCE_MAX];

	if (log_limited(&s->e->log_limit, PEER_LINES_PER_S, s->now_ns))
		LOG(INFO, CHD, s->sa->conn->name, "%s: a pair for worker %u, the peer's is for %s",
		    w->conf->name, w->worker - 1, wire_resource_text(text, n->data));
}

enum err sibling_choose(struct step *s, struct child_work *w)
{
	const uint32_t max = s->e->limits.siblings_max;
	const struct traits like = traits_of_work(w);
	struct ike_child *shared;
	struct wire_notify n;

	if (w->replaces)
		return ERR_OK;
	w->siblings = w->conf->per_cpu_sas && wire_notify_find(&n, s->msg, NOTIFY_SA_RESOURCE_INFO);
	shared = w->siblings ? find_shared(s->sa, &like) : NULL;
	if (!shared)
		return ERR_OK;
	if (num_for(s->sa, &like, 0) >= max)
		return step_fail_child(s, IKE_REASON_RESOURCES, NOTIFY_TS_MAX_QUEUE,
				       "the peer has %u pairs of child %s beside the shared one "
				       "and wants more",
				       max, w->conf->name);
	w->like = shared->id;
	w->worker = least(shared);
	log_peers(s, w, &n);
	return child_work_move(s->sa, w);
}

/* ---- initiator ------------------------------------------------------------------------------- */

enum err sibling_take(struct step *s, struct child_work *w)
{
	const struct ike_child *shared = w->like ? child_find(s->e, w->like) : NULL;
	const struct traits ours = traits_of_work(w);
	struct wire_notify n;

	if (w->replaces)
		return ERR_OK;
	if (!w->worker) {
		w->siblings = w->siblings && wire_notify_find(&n, s->msg, NOTIFY_SA_RESOURCE_INFO);
		return ERR_OK;
	}
	if (shared) {
		const struct traits like = traits_of(shared);

		if (!alike(&like, &ours))
			return step_fail_child(s, IKE_REASON_PEER_ERROR, 0,
					       "the peer's pair is not like the first one");
	}
	if (wire_notify_find(&n, s->msg, NOTIFY_SA_RESOURCE_INFO))
		log_peers(s, w, &n);
	return ERR_OK;
}

void ike_child_alone(struct ike_engine *e, uint64_t child, uint32_t worker, uint64_t now_ns)
{
	struct ike_child *c = child_find(e, child);
	struct task *t = NULL;

	e->now_ns = now_ns;
	if (may_have(c, worker + 1) && !is_asked_for(c, worker + 1))
		t = task_new(TASK_CHILD_SIBLING, child);
	if (t) {
		t->worker = worker + 1;
		task_add(c->sa, t);
		step_task(c->sa, now_ns);
	}
	engine_sweep(e, now_ns);
}

enum err child_sibling_start(struct step *s)
{
	const struct task *t = s->sa->out.task;
	struct ike_child *shared = child_find(s->e, t->child);
	struct child_work *w;
	enum err e;

	if (!may_have(shared, t->worker))
		return ERR_OK;
	e = child_work_sibling(s->sa, &w, shared, t->worker);
	if (e)
		return e;
	s->x->child = w;
	e = traffic_offer(s, w, NULL);
	if (e)
		return e;
	step_request(s, CREATE_CHILD_SA);
	return child_offer(s, w, t->group);
}

/* no_more - the shared pair does without others until it is made anew. That is no failure. */
static enum err no_more(struct step *s, const char *why)
{
	const struct child_work *w = s->x->child;
	struct ike_child *shared = child_find(s->e, w->like);

	if (shared)
		shared->no_more = true;
	LOG(INFO, CHD, s->sa->conn->name,
	    "%s: no pair for worker %u: %s; its packets go by the shared one", w->conf->name,
	    w->worker - 1, why);
	s->fail = (struct failure){.reason = IKE_REASON_NONE};
	return ERR_OK;
}

enum err child_sibling_response(struct step *s)
{
	struct child_work *w = s->x->child;
	enum err e = child_take(s, w);

	if (!e)
		e = child_take_on(s, w);
	if (!e)
		return ERR_OK;
	if (e != ERR_PEER || !s->fail.only_child)
		return e;
	if (child_is_made(w) && !child_prepare(s, w)) /* the peer has installed it */
		child_close_unused(s, w, s->fail.reason);
	return no_more(s, s->fail.text);
}

enum err child_sibling_allowed(struct step *s)
{
	struct child_work *w = s->x->child;

	if (child_work_is_closed(w))
		return no_more(s, "the peer closed it as soon as it was made");
	if (child_accept(s, w)) {
		child_close_unused(s, w, IKE_REASON_REFUSED);
		return no_more(s, s->fail.text);
	}
	(void)child_install(s, w, true);
	return ERR_OK;
}

enum err child_sibling_refused(struct step *s)
{
	struct wire_notify n;
	char name[WIRE_NAME_MAX];

	if (!wire_notify_find_error(&n, s->msg))
		return ERR_MALFORMED;
	if (n.type != NOTIFY_TS_MAX_QUEUE && n.type != NOTIFY_NO_ADDITIONAL_SAS &&
	    !child_try_again(s, &n))
		return ERR_OK;
	return no_more(s, wire_notify_name(name, n.type));
}
