/* SPDX-License-Identifier: Apache-2.0 */
/* Negotiation: docs/multiple-interfaces.md, section 3; and the path of IKE, section 4. */
#include "control/ike/mif.h"

#include "base/alloc.h"
#include "control/ike/index.h"
#include "control/ike/mif_plan.h"
#include "control/ike/mobike.h"
#include "control/ike/task.h"
#include "control/ike/window.h"

/* The connection lets, and the data path can. */
static bool is_wanted(const struct ike_sa *sa)
{
	return sa->conn->interfaces != INTERFACES_NO && sa->e->env.max_paths >= MIF_PATHS_MIN;
}

void mif_show(struct step *s)
{
	if (is_wanted(s->sa))
		mif_vendor_build(&s->b);
}

void mif_seen(struct step *s)
{
	s->sa->hs->mif_vendor = is_wanted(s->sa) && mif_vendor_find(s->msg);
}

/* What the smallest replay window of the connection's children holds when there are several paths.
 */
static uint32_t window_of(const struct ike_sa *sa)
{
	const struct conf_conn *conn = sa->conn;
	const uint32_t grown = sa->e->env.path_window;
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];

		if (conf_negotiated(c->mode) && c->replay_window && c->replay_window < least)
			least = c->replay_window;
	}
	return least > grown ? least : grown;
}

static uint16_t caps_of(const struct ike_sa *sa)
{
	const bool decides = sa->conn->interfaces == INTERFACES_DECIDE;

	return (uint16_t)(sa->e->env.path_caps | (decides ? MIF_CAP_DECIDES : 0));
}

void mif_offer(struct step *s)
{
	const struct ike_sa *sa = s->sa;
	const uint8_t max = sa->e->env.max_paths;

	if (!sa->hs->mif_vendor || !is_wanted(sa) || (!sa->initiator && !sa->mif.on))
		return;
	mif_supported_build(&s->b, &(struct mif_supported){
					   .version = MIF_VERSION,
					   .max_paths = max < MIF_PATHS_MAX ? max : MIF_PATHS_MAX,
					   .caps = caps_of(sa),
					   .max_ops = MIF_OPS_MAX,
					   .window = window_of(sa)});
}

/* The initiator decides, unless the responder alone wants to. */
static bool decides(const struct ike_sa *sa, uint16_t peers)
{
	const bool ours = caps_of(sa) & MIF_CAP_DECIDES, theirs = peers & MIF_CAP_DECIDES;

	return sa->initiator ? ours || !theirs : ours && !theirs;
}

void mif_take(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct wire_notify n;

	mif_end(sa);
	if (!sa->hs->mif_vendor || !is_wanted(sa) ||
	    !wire_notify_find(&n, s->msg, NOTIFY_MIF_SUPPORTED) ||
	    mif_supported_parse(&sa->mif.peer, n.data))
		return;
	list_init(&sa->mif.ops);
	sa->mif.on = true;
	sa->mif.decides = decides(sa, sa->mif.peer.caps);
}

/* ---- life ------------------------------------------------------------------------------------ */

void mif_begin(struct ike_sa *sa)
{
	struct sa_mif *m = &sa->mif;

	if (!m->on)
		return;
	m->ike = MIF_FIRST_PATH;
	m->paths = (struct sa_paths){.num = 1, .last_id = MIF_FIRST_PATH};
	m->paths.list[0] = (struct sa_path){.id = MIF_FIRST_PATH,
					    .weight = 1,
					    .usable = true,
					    .nat = sa->nat_remote,
					    .port = sa->port,
					    .addr = sa->path};
	m->paths.list[0].addr.encap = (uint8_t)sa_esp_encap(sa);
}

void mif_pending_free(struct mif_pending *p)
{
	if (!p)
		return;
	mem_free(p->bytes);
	mem_free(p);
}

void mif_end(struct ike_sa *sa)
{
	struct list_node *n;

	if (!sa->mif.on)
		return;
	while ((n = list_pop_front(&sa->mif.ops)))
		mif_pending_free(list_entry(n, struct mif_pending, node));
	mem_free(sa->mif.done);
	mem_free(sa->mif.before);
	sa->mif = (struct sa_mif){.on = false};
}

/* What was under way is sent again, as it was: the peer knows by its number whether it has done it.
 */
void mif_inherit(struct ike_sa *sa, struct ike_sa *old)
{
	struct list_node *n;

	if (!old->mif.on)
		return;
	sa->mif = old->mif;
	list_init(&sa->mif.ops);
	old->mif.done = NULL;
	old->mif.before = NULL;
	while ((n = list_pop_front(&old->mif.ops)))
		list_push_back(&sa->mif.ops, n);
	old->mif.ike = 0;
	if (mif_rules(sa)) {
		sa_set_path(sa, &old->path);
		sa->port = old->port;
	}
	if (!list_empty(&sa->mif.ops) && task_need(sa, TASK_MIF, 0) == ERR_NOMEM)
		LOG(WARN, IKE, sa->conn->name, "out of memory: the peer is told of paths late");
}

void mif_announce(struct ike_sa *sa)
{
	struct sa_paths *t = &sa->mif.paths;
	struct action_cell *c;

	if (!mif_rules(sa))
		return;
	if (actions_promise(&sa->e->actions, t->num + 2u)) {
		LOG(WARN, IKE, sa->conn->name, "out of memory: paths are not used");
		return;
	}
	c = action_simple(&sa->e->actions, IKE_ACTION_PATH_SCHEDULE, sa->peer->id);
	c->say.policy = t->policy;
	for (uint8_t i = 0; i < t->num; i++)
		path_put(sa, &t->list[i]);
	if (paths_find(t, MIF_FIRST_PATH))
		actions_release(&sa->e->actions, 1);
	else
		action_simple(&sa->e->actions, IKE_ACTION_PATH_TAKE, sa->peer->id)->say.id =
			MIF_FIRST_PATH;
}

void mif_tie_like(struct ike_child *c, const struct ike_child *old)
{
	struct ike_sa *sa = c->sa;

	if (!old || !old->path)
		return;
	c->path = old->path;
	if (actions_promise(&sa->e->actions, 1)) {
		LOG(WARN, IKE, sa->conn->name, "out of memory: a child goes as all do");
		c->path = 0;
		return;
	}
	action_simple(&sa->e->actions, IKE_ACTION_CHILD_PATH, c->id)->say.id = c->path;
}

void mif_news(struct ike_sa *sa, const struct ike_path_say *say, const struct path_addr *path)
{
	struct action_cell *c = mem_alloc(sizeof(*c));

	if (!c) {
		LOG(WARN, IKE, sa->conn->name, "out of memory: news of a path are lost");
		return;
	}
	c->kind = IKE_ACTION_PATH_NEWS;
	c->id = sa->peer->id;
	c->say = *say;
	c->say.ike_id = sa->unique;
	if (path)
		c->path = *path;
	list_push_back(&sa->e->actions.queue, &c->node);
}

/* ---- the path of IKE ------------------------------------------------------------------------- */

bool mif_rules(const struct ike_sa *sa)
{
	const struct sa_paths *t = &sa->mif.paths;

	return sa->mif.on && t->num && (t->num > 1 || t->list[0].id != MIF_FIRST_PATH);
}

bool mif_first(const struct ike_sa *sa)
{
	return !sa->mif.on || sa->mif.ike == MIF_FIRST_PATH;
}

static void go(struct ike_sa *sa, const struct sa_path *p, uint64_t now_ns)
{
	struct path_addr path = p->addr;
	char text[ENDPOINT_TEXT_MAX];

	sa->mif.ike = p->id;
	path.encap = sa->path.encap; /* of IKE */
	sa_set_path(sa, &path);
	sa->port = p->port;
	LOG(INFO, IKE, sa->conn->name, "[%u] goes by path %u to %s now", sa->unique, p->id,
	    endpoint_text(text, &p->addr.remote));
	if (sa->out.waiting)
		window_out_hurry(sa, now_ns);
	mobike_settled(sa);
}

/* Where nothing is usable the decider goes where it said that it is (a hard handover); the other
 * side waits until the peer has answered from somewhere (S57). */
void mif_settle(struct ike_sa *sa, uint64_t now_ns)
{
	struct sa_mif *m = &sa->mif;
	const struct sa_path *now = paths_find(&m->paths, m->ike);
	const struct sa_path *best = paths_best(&m->paths);

	if (!best && !now && m->decides)
		go(sa, paths_wanted(&m->paths), now_ns);
	else if (!now && !best)
		m->ike = 0;
	else if (best && best != now &&
		 (!now || !now->usable || paths_rank(best) < paths_rank(now)))
		go(sa, best, now_ns);
}

enum err mif_moved(struct ike_sa *sa)
{
	struct sa_path *p = paths_find(&sa->mif.paths, sa->mif.ike);

	if (!p)
		return ERR_OK;
	if (mif_rules(sa) && actions_promise(&sa->e->actions, 1))
		return ERR_NOMEM;
	p->addr = sa->path;
	p->addr.encap = (uint8_t)sa_esp_encap(sa);
	p->port = sa->port;
	if (mif_rules(sa))
		path_put(sa, p);
	return ERR_OK;
}

void mif_first_moved(struct ike_sa *sa, const struct path_addr *path, uint16_t port)
{
	struct sa_path *p = paths_find(&sa->mif.paths, MIF_FIRST_PATH);

	if (!p)
		return;
	if (sa->peer->added && actions_promise(&sa->e->actions, 1)) {
		LOG(WARN, IKE, sa->conn->name, "out of memory: path 1 stays where it was");
		return;
	}
	p->addr.local = path->local;
	p->addr.remote = path->remote;
	p->port = port;
	if (sa->peer->added)
		path_put(sa, p);
}
