/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_hand.c - paths by hand: what a command says of the paths of an IKE SA is done at once, and
 * is kept as long as the IKE SA and those that re-key it, so that neither the configuration nor a
 * change of addresses undoes it.
 */
#include <stdio.h>

#include "api/engine/internal.h"
#include "base/alloc.h"

/* ---- what was said --------------------------------------------------------------------------- */

struct hand *hand_of(struct engine *e, uint64_t peer)
{
	list_for_each (n, &e->hands) {
		struct hand *h = list_entry(n, struct hand, node);

		if (peer && h->peer == peer)
			return h;
	}
	return NULL;
}

static struct hand *hand_make(struct engine *e, uint64_t peer)
{
	struct hand *h = hand_of(e, peer);

	if (h)
		return h;
	h = mem_alloc(sizeof(*h));
	if (!h)
		return NULL;
	h->peer = peer;
	list_push_back(&e->hands, &h->node);
	return h;
}

/* The request ends with the IKE SA. */
static void hand_lost(struct engine *e, const struct hand *h)
{
	const struct ike_path_say say = {.request = h->request};

	if (h->waiting)
		path_events_refused(e, &say, "the connection has gone", true);
}

static void hand_free(struct hand *h)
{
	list_remove(&h->node);
	mem_free(h);
}

/* Whoever is told may say something new: by then they are nobody's any more. */
void hands_sweep(struct engine *e)
{
	struct list_node gone;

	list_init(&gone);
	list_for_each_safe (n, &e->hands) {
		struct hand *h = list_entry(n, struct hand, node);

		if (!h->seen) {
			list_remove(&h->node);
			list_push_back(&gone, &h->node);
		}
		h->seen = false;
	}
	list_for_each_safe (n, &gone) {
		struct hand *h = list_entry(n, struct hand, node);

		path_leaves_gone(e, h->peer, h->waiting ? h->request : 0);
		hand_lost(e, h);
		hand_free(h);
	}
}

void hands_fini(struct engine *e)
{
	list_for_each_safe (n, &e->hands)
		hand_free(list_entry(n, struct hand, node));
}

void hands_answered(struct engine *e, uint64_t peer, uint64_t request, bool done)
{
	struct hand *h = hand_of(e, peer);

	if (!h || h->request != request)
		return;
	h->waiting = false;
	if (done)
		return;
	h->said = h->before;
	e->paths_dirty = true;
}

void hand_removed(struct engine *e, uint64_t peer, const struct ike_path_info *path)
{
	const struct conf_path ends = {
		.local = path->addr.local.addr, .remote = path->addr.remote.addr, .weight = 1};
	struct hand *h = hand_of(e, peer);

	if (!h)
		return;
	said_note(&h->said, SAID_REMOVED, &ends);
	e->paths_dirty = true;
}

/* ---- whose paths, and which ------------------------------------------------------------------ */

/* struct target - an IKE SA that is meant. */
struct target {
	struct list_node node;
	struct ike_sa_info sa; /* its list of paths, numbers and connection alone are looked at */
};

/* struct handling - a request on its way. done, first: how many IKE SAs took it, and why the first
 * one did not. */
struct handling {
	struct engine *e;
	const struct engine_path_request *req;
	struct ours ours;
	bool has_ours;
	struct list_node targets;
	uint32_t done;
	enum err first;
	uint16_t id; /* the path, where it was done last */
	char *text;  /* ENGINE_TEXT_MAX bytes: of first */
};

static bool is_meant(const struct engine_path_request *req, const struct ike_sa_info *sa)
{
	char id[ENGINE_ID_MAX];

	if (sa->state == IKE_STATE_CONNECTING || sa->state == IKE_STATE_DELETING)
		return false;
	if (req->ike_id && req->ike_id != sa->unique)
		return false;
	if (!req->name)
		return req->ike_id != 0;
	return (sa->conn && strcmp(sa->conn, req->name) == 0) ||
	       (sa->remote_id &&
		strcmp(ike_id_text(id, sizeof(id), sa->remote_id), req->name) == 0);
}

static void collect(void *ctx, const struct ike_sa_info *sa)
{
	struct handling *h = ctx;
	struct target *t;

	if (!is_meant(h->req, sa))
		return;
	t = mem_alloc(sizeof(*t));
	if (!t) {
		h->first = ERR_NOMEM;
		return;
	}
	t->sa = *sa;
	list_push_back(&h->targets, &t->node);
}

/* why - the first failure is what is told; returns err. */
static enum err why(struct handling *h, enum err err, const char *fmt, ...) PRINTF_LIKE(3, 4);
static enum err why(struct handling *h, enum err err, const char *fmt, ...)
{
	va_list ap;

	if (!h->first) {
		h->first = err;
		va_start(ap, fmt);
		vsnprintf(h->text, ENGINE_TEXT_MAX, fmt, ap);
		va_end(ap);
	}
	return err;
}

static bool begins_or_ends(const struct ike_path_info *p, const struct ip_addr *a, bool remote)
{
	return ip_addr_equal(remote ? &p->addr.remote.addr : &p->addr.local.addr, a);
}

/* find_by_address - the one path that begins at the request's address, or else ends there; NULL and
 * OK: none does. Errors: INVAL (several do). */
static enum err find_by_address(struct handling *h, const struct ike_path_info **out,
				const struct ike_sa_info *sa)
{
	char text[IP_TEXT_MAX];

	*out = NULL;
	for (int end = 0; end < 2 && !*out; end++)
		for (uint32_t i = 0; i < sa->num_path_list; i++) {
			const struct ike_path_info *p = &sa->path_list[i];

			if (!begins_or_ends(p, &h->req->local, end))
				continue;
			if (*out)
				return why(h, ERR_INVAL,
					   "paths %u and %u both have %s: name one by its number",
					   (*out)->id, p->id, ip_addr_text(text, &h->req->local));
			*out = p;
		}
	return ERR_OK;
}

static enum err find_path(struct handling *h, const struct ike_path_info **out,
			  const struct ike_sa_info *sa)
{
	*out = NULL;
	if (!h->req->id)
		return find_by_address(h, out, sa);
	for (uint32_t i = 0; i < sa->num_path_list; i++)
		if (sa->path_list[i].id == h->req->id)
			*out = &sa->path_list[i];
	return ERR_OK;
}

/* ---- what cannot be, in sentences ------------------------------------------------------------ */

static enum err no_such_path(struct handling *h, const struct ike_sa_info *sa)
{
	char text[IP_TEXT_MAX];

	if (h->req->id)
		return why(h, ERR_NOT_FOUND,
			   "%s has no path %u: `latchkey paths` shows those that there are",
			   sa->conn, h->req->id);
	return why(h, ERR_NOT_FOUND,
		   "%s has no path at %s: `latchkey paths` shows those that there are", sa->conn,
		   ip_addr_text(text, &h->req->local));
}

static enum err not_ours(struct handling *h)
{
	char text[IP_TEXT_MAX];

	return why(h, ERR_INVAL,
		   "%s is no address of this host: a path begins at one that an interface has",
		   ip_addr_text(text, &h->req->local));
}

/* failed - what the keying engine says against it. */
static enum err failed(struct handling *h, enum err err, const struct ike_sa_info *sa)
{
	switch ((int)err) {
	case ERR_EXISTS:
		return why(h, err, "that path of %s is being removed already", sa->conn);
	case ERR_UNSUPPORTED:
		if (h->req->tag)
			return why(h, err, "the peer of %s moves all of its traffic or none",
				   sa->conn);
		return why(h, err,
			   "the peer of %s has agreed to one path alone: several need "
			   "multiple_interfaces on both sides, and a peer that knows it",
			   sa->conn);
	case ERR_PERM:
		if (!sa->paths)
			return why(
				h, err,
				"the peer began %s, and who began decides from where and to where "
				"it goes: say it there",
				sa->conn);
		return why(h, err,
			   sa->paths_decides
				   ? "%s keeps its last path, and what the other side cannot do: "
				     "add another one first"
				   : "the peer decides about the paths of %s: say it there, or "
				     "set multiple_interfaces = decide here and connect anew",
			   sa->conn);
	case ERR_LIMIT:
		return why(h, err,
			   "%s has %u paths, and has no room for more, or its peer has not "
			   "answered for long: remove one, or wait",
			   sa->conn, sa->num_path_list);
	case ERR_INVAL:
		return why(h, err,
			   "that pair of addresses can be no path of %s: both are of one version "
			   "of IP, of single hosts, and of two of them",
			   sa->conn);
	case ERR_NOT_FOUND:
		if (h->req->tag)
			return why(h, err, "no child of %s that is up has path_tag = %s", sa->conn,
				   h->req->tag);
		return no_such_path(h, sa);
	default:
		return why(h, err, "the paths of %s stay as they are: %s", sa->conn, err_text(err));
	}
}

/* ---- what is done ---------------------------------------------------------------------------- */

/* ask - the operations, and if they can be done what was said is noted. */
static enum err ask(struct handling *h, const struct target *t, const struct ike_path_op *ops,
		    uint32_t num, const struct said *said)
{
	const struct ike_select sel = {.ike_id = t->sa.unique, .request = h->req->request};
	struct hand *hand = hand_make(h->e, t->sa.peer);
	uint16_t id = 0;
	uint32_t n;
	enum err err;

	if (!hand)
		return why(h, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
	err = ike_path(h->e->ike, &n, &id, &sel, ops, num, engine_now(h->e));
	if (err)
		return failed(h, err, &t->sa);
	h->id = id ? id : ops[0].id;
	h->done++;
	hand->before = hand->said;
	if (said)
		hand->said = *said;
	hand->request = h->req->request;
	hand->waiting = hand->request != 0;
	return ERR_OK;
}

/* said_so_far - a copy of it, to be changed; NULL where the peer decides: nothing is noted then. */
static const struct said *said_so_far(struct handling *h, struct said *copy, const struct target *t)
{
	const struct hand *hand = hand_of(h->e, t->sa.peer);

	*copy = hand ? hand->said : (struct said){.num = 0};
	return t->sa.paths_decides ? copy : NULL;
}

static const struct conf_conn *conn_of(const struct handling *h, const struct target *t)
{
	return t->sa.conn ? conf_find_conn(h->e->conf, t->sa.conn) : NULL;
}

/* new_path - the operation that makes one from the request's addresses, and how it is noted. */
static struct ike_path_op new_path(const struct handling *h, struct conf_path *out_note,
				   const struct target *t, enum ike_path_act act)
{
	const struct engine_path_request *req = h->req;
	const struct ip_addr remote =
		ip_addr_is_any(&req->remote) ? t->sa.path.remote.addr : req->remote;

	*out_note = (struct conf_path){.local = req->local,
				       .remote = remote,
				       .priority = req->priority,
				       .weight = req->weight ? req->weight : 1};
	return (struct ike_path_op){
		.act = act,
		.addr = {.local.addr = req->local,
			 .remote.addr = t->sa.paths ? remote : req->remote,
			 .encap = path_encap_of(&t->sa)},
		.port = h->e->outer_port,
		.priority = out_note->priority,
		.weight = out_note->weight,
		.policy = IKE_PATHS_AS_BEFORE,
	};
}

static enum err do_add(struct handling *h, const struct target *t)
{
	struct ike_path_op op;
	struct conf_path note;
	struct said said;
	const struct said *noted = said_so_far(h, &said, t);

	if (h->has_ours && !ours_has(&h->ours, &h->req->local))
		return not_ours(h);
	op = new_path(h, &note, t, IKE_PATH_ADD);
	for (uint32_t i = 0; i < t->sa.num_path_list; i++)
		if (ip_addr_equal(&t->sa.path_list[i].addr.local.addr, &note.local) &&
		    ip_addr_equal(&t->sa.path_list[i].addr.remote.addr, &note.remote))
			return why(h, ERR_EXISTS, "that is path %u of %s already",
				   t->sa.path_list[i].id, t->sa.conn);
	said_note(&said, SAID_ADDED, &note);
	return ask(h, t, &op, 1, noted);
}

static enum err remove_now(struct handling *h, const struct target *t, uint16_t id)
{
	const struct ike_path_op op = {.act = IKE_PATH_REMOVE, .id = id};
	struct said said;
	const struct said *noted = said_so_far(h, &said, t);

	said_remove(&said, &h->ours, conn_of(h, t), &t->sa, id);
	return ask(h, t, &op, 1, noted);
}

/* remove_in_order - what is done in the end is noted then. */
static enum err remove_in_order(struct handling *h, const struct target *t, uint16_t id)
{
	enum err err;

	if (!hand_make(h->e, t->sa.peer))
		return why(h, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
	err = path_leave(h->e, &t->sa, id, h->req->request);
	if (err)
		return failed(h, err, &t->sa);
	h->id = id;
	h->done++;
	return ERR_OK;
}

/* Of what does not carry nothing is waited for. */
static enum err do_remove(struct handling *h, const struct target *t)
{
	const struct ike_path_info *p;
	enum err err = find_path(h, &p, &t->sa);

	if (err || !p)
		return err ? err : no_such_path(h, &t->sa);
	if (h->req->now || !t->sa.paths_decides || !p->usable)
		return remove_now(h, t, p->id);
	return remove_in_order(h, t, p->id);
}

/* move_to_new - to an address of this host that no path begins at yet. */
static enum err move_to_new(struct handling *h, const struct target *t, enum ike_path_act act)
{
	struct ike_path_op op;
	struct conf_path note;
	struct target with = *t;
	struct said said;
	const struct said *noted = said_so_far(h, &said, t);

	if (h->req->id || (h->has_ours && !ours_has(&h->ours, &h->req->local)))
		return no_such_path(h, &t->sa);
	op = new_path(h, &note, t, act);
	if (with.sa.num_path_list < ARRAY_LEN(with.sa.path_list))
		with.sa.path_list[with.sa.num_path_list++] = (struct ike_path_info){
			.id = UINT16_MAX, .weight = 1, .addr = op.addr}; /* whatever it will be */
	said_note(&said, SAID_ADDED, &note);
	said_move(&said, &h->ours, conn_of(h, t), &with.sa, UINT16_MAX, act == IKE_PATH_HARD);
	return ask(h, t, &op, 1, noted);
}

/* move_some - what has the tag: the order of the paths stays, and so what was said of it. */
static enum err move_some(struct handling *h, const struct target *t, const struct ike_path_info *p,
			  enum ike_path_act act)
{
	struct ike_path_op op = {.act = act, .port = h->e->outer_port, .tag = h->req->tag};

	if (!t->sa.paths)
		return failed(h, ERR_UNSUPPORTED, &t->sa);
	if (!p)
		return no_such_path(h, &t->sa);
	op.id = p->id;
	return ask(h, t, &op, 1, NULL);
}

static enum err move(struct handling *h, const struct target *t, enum ike_path_act act)
{
	const struct ike_path_info *p;
	struct ike_path_op op = {.act = act, .port = h->e->outer_port};
	struct said said;
	const struct said *noted = said_so_far(h, &said, t);
	enum err err = find_path(h, &p, &t->sa);

	if (err)
		return err;
	if (h->req->tag)
		return move_some(h, t, p, act);
	if (!p)
		return move_to_new(h, t, act);
	op.id = p->id;
	said_move(&said, &h->ours, conn_of(h, t), &t->sa, p->id, act == IKE_PATH_HARD);
	return ask(h, t, &op, 1, noted);
}

static enum err do_soft(struct handling *h, const struct target *t)
{
	return move(h, t, IKE_PATH_SOFT);
}

static enum err do_hard(struct handling *h, const struct target *t)
{
	return move(h, t, IKE_PATH_HARD);
}

static enum err do_prefer(struct handling *h, const struct target *t)
{
	struct ike_path_op ops[OPS_AT_ONCE];
	const struct ike_path_info *p;
	struct said said;
	const struct said *noted = said_so_far(h, &said, t);
	enum err err = find_path(h, &p, &t->sa);

	if (err || !p)
		return err ? err : no_such_path(h, &t->sa);
	said_move(&said, &h->ours, conn_of(h, t), &t->sa, p->id, false);
	return ask(h, t, ops, said_prefer_ops(ops, &t->sa, p->id), noted);
}

static void each_target(struct handling *h)
{
	static enum err (*const acts[])(struct handling * h, const struct target *t) = {
		[ENGINE_PATH_ADD] = do_add,       [ENGINE_PATH_REMOVE] = do_remove,
		[ENGINE_PATH_SOFT] = do_soft,     [ENGINE_PATH_HARD] = do_hard,
		[ENGINE_PATH_PREFER] = do_prefer,
	};

	list_for_each_safe (n, &h->targets) {
		struct target *t = list_entry(n, struct target, node);
		enum err err = acts[h->req->act](h, t);

		if (err)
			LOG(DEBUG, NET, t->sa.conn, "a path is not changed by hand: %s",
			    err_text(err));
		list_remove(&t->node);
		mem_free(t);
	}
}

static enum err nobody(struct handling *h)
{
	return why(h, ERR_NOT_FOUND,
		   "nothing called '%s' is up, neither a connection nor a peer: `latchkey up` "
		   "brings it up",
		   h->req->name ? h->req->name : "");
}

enum err engine_path(struct engine *e, uint32_t *out_num, uint16_t *out_id,
		     const struct engine_path_request *req, char text[static ENGINE_TEXT_MAX])
{
	const struct log_sink *before = log_use(&e->sink);
	struct handling h = {.e = e, .req = req, .text = text};

	text[0] = 0;
	roam_ours(e, &h.ours);
	h.has_ours = h.ours.num > 0; /* a library's host may not know */
	list_init(&h.targets);
	ike_each_sa(e->ike, collect, &h);
	if (list_empty(&h.targets))
		(void)nobody(&h);
	each_target(&h);
	*out_num = h.done;
	*out_id = h.id;
	if (h.done) {
		h.first = ERR_OK;
		text[0] = 0;
	}
	engine_turn(e);
	log_use(before);
	return h.first;
}

/* ---- what there is --------------------------------------------------------------------------- */

uint32_t engine_paths(struct engine *e, struct engine_path_info out[static PATHS_MAX],
		      uint64_t peer)
{
	struct htab_node *n = engine_find(&e->peers, &peer, sizeof(peer));
	const struct peer_rec *p = n ? container_of(n, struct peer_rec, by_id) : NULL;
	struct path_info list[PATHS_MAX];
	uint32_t num = p ? dataplane_path_list(e->dp, list, p->set) : 0;

	for (uint32_t i = 0; i < num; i++) {
		out[i] = (struct engine_path_info){.path = list[i]};
		out[i].probed = dataplane_path_quality(e->dp, &out[i].quality, p->set,
						       list[i].id) == ERR_OK;
	}
	return num;
}
