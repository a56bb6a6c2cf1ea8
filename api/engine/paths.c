/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.c - several paths to a peer: what the keying engine has agreed on goes to the data path,
 * which says whether they carry; and which ones this host wants, by configuration and addresses,
 * where it decides.
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

/* ADDRS_MAX - addresses of this host that are looked at. OPS_AT_ONCE - operations in one request.
 */
#define ADDRS_MAX   64
#define OPS_AT_ONCE 8

/* ---- from the keying engine to the data path ---------------------------------------------------
 */

/* is_known - a usable path of the set ends at this host: the peer is there. */
static bool is_known(struct engine *e, uint32_t set, const struct ip_addr *remote)
{
	struct path_info list[PATHS_MAX];
	uint32_t num = dataplane_path_list(e->dp, list, set);

	for (uint32_t i = 0; i < num; i++)
		if (list[i].usable && ip_addr_equal(&list[i].addr.remote.addr, remote))
			return true;
	return false;
}

/* probe_all - each path of the set is probed from now on. */
static void probe_all(struct engine *e, uint32_t set, uint16_t learned)
{
	struct path_info list[PATHS_MAX];
	uint32_t num = dataplane_path_list(e->dp, list, set);

	for (uint32_t i = 0; i < num; i++) {
		enum err err = dataplane_path_probe(e->dp, set, list[i].id, list[i].id == learned,
						    engine_now(e));

		if (err == ERR_NOMEM)
			LOG(ERROR, NET, NULL, "no memory to watch a path");
	}
}

/* WINDOW - of replay: a gigabit a second of packets of 1,000 bytes by paths whose delays differ by
 * half a second. ORDER_LENGTH, WAIT_NS - where packets are sprayed so many wait at most, and for so
 * long, for one by a slower path. */
#define WINDOW       65536
#define ORDER_LENGTH 4096
#define WAIT_NS      (100 * NS_PER_MS)

void paths_child(struct engine *e, const struct peer_rec *p, uint64_t child)
{
	if (!p->several)
		return;
	if (dataplane_child_window(e->dp, child, WINDOW))
		LOG(WARN, CHD, NULL, "a replay window is too small for several paths: no memory");
	if (p->sprayed && dataplane_child_resequence(e->dp, child, ORDER_LENGTH, WAIT_NS))
		LOG(WARN, CHD, NULL, "packets of several paths are in no order: no memory");
}

void paths_put(struct engine *e, struct peer_rec *p, const struct ike_action *a)
{
	struct path_params params = {.id = a->say.id,
				     .priority = a->say.priority,
				     .weight = a->say.weight,
				     .usable = a->say.usable};
	uint32_t mtu;
	enum err err;

	params.port = actions_esp_path(e, &params.addr, a);
	const bool learned = !is_known(e, p->set, &params.addr.remote.addr);

	err = dataplane_path_put(e->dp, p->set, &params);
	if (err) {
		LOG(ERROR, NET, NULL, "a path to a peer cannot be used: %s", err_text(err));
		return;
	}
	if (!p->several) {
		p->several = true;
		actions_each_child(e, p, paths_child);
	}
	if (!e->host.ops->link_mtu(e->host.ctx, &mtu, &params.addr.remote.addr) &&
	    dataplane_path_mtu(e->dp, p->set, params.id, (uint16_t)(mtu < UINT16_MAX ? mtu : 0)))
		LOG(DEBUG, NET, NULL, "a path is gone before its MTU is known");
	probe_all(e, p->set, learned ? params.id : 0);
}

void paths_take(struct engine *e, struct peer_rec *p, const struct ike_action *a)
{
	enum err err = dataplane_path_take(e->dp, p->set, a->say.id);

	if (err && err != ERR_NOT_FOUND)
		LOG(ERROR, NET, NULL, "a path to a peer stays: %s", err_text(err));
}

void paths_tie(struct engine *e, uint64_t child, uint16_t path)
{
	enum err err = dataplane_child_path(e->dp, child, path);

	if (err && err != ERR_NOT_FOUND)
		LOG(ERROR, CHD, NULL, "a child does not go by its path: %s", err_text(err));
}

void paths_schedule(struct engine *e, struct peer_rec *p, const struct ike_action *a)
{
	static const enum path_schedule schedules[] = {
		[IKE_PATHS_FAILOVER] = SCHEDULE_FAILOVER,
		[IKE_PATHS_FLOW] = SCHEDULE_FLOW,
		[IKE_PATHS_SPRAY] = SCHEDULE_SPRAY,
		[IKE_PATHS_DUPLICATE] = SCHEDULE_DUPLICATE,
	};

	if (a->say.policy >= ARRAY_LEN(schedules))
		return;
	if (dataplane_path_schedule(e->dp, p->set, schedules[a->say.policy]))
		LOG(ERROR, NET, NULL, "no memory to spread packets over paths");
	if (a->say.policy != IKE_PATHS_SPRAY || p->sprayed)
		return;
	p->sprayed = true;
	actions_each_child(e, p, paths_child);
}

void paths_news(struct engine *e, const struct ike_action *a)
{
	char text[ENDPOINT_TEXT_MAX];

	(void)e;
	switch ((enum ike_path_news)a->say.news) {
	case IKE_PATH_DONE:
		LOG(INFO, NET, a->conn, "the peer has done what was said of path %u", a->say.id);
		break;
	case IKE_PATH_REFUSED:
		LOG(WARN, NET, a->conn, "the peer refuses what was said of path %u (status %u)",
		    a->say.id, a->say.status);
		break;
	case IKE_PATH_PROPOSED:
		LOG(INFO, NET, a->conn, "the peer may be reached at %s, too",
		    endpoint_text(text, &a->path.remote));
		break;
	case IKE_PATH_LEFT:
		LOG(INFO, NET, a->conn, "the peer sends nothing by path %u any more", a->say.id);
		break;
	}
}

void paths_dp_event(struct engine *e, const struct dp_event *ev, uint64_t now_ns)
{
	struct htab_node *n =
		htab_find(&e->peers_by_set, bytes_of(&ev->pathset, sizeof(ev->pathset)));
	const struct peer_rec *p = n ? container_of(n, struct peer_rec, by_set) : NULL;
	const bool seen = ev->kind == DP_EVENT_PATH_MOVED && ev->path.encap == ENCAP_UDP;

	if (!p)
		return;
	ike_path_usable(e->ike, p->peer, ev->path_id, ev->usable, seen ? &ev->path.remote : NULL,
			now_ns);
	e->paths_dirty |= ev->usable; /* others may go now */
}

/* ---- which paths are wanted -------------------------------------------------------------------
 */

/* struct wanted - the paths of one IKE SA as they should be. */
struct wanted {
	struct conf_path path[CONF_MAX_PATHS];
	uint32_t num;
};

/* struct ours - the host's addresses. */
struct ours {
	struct ip_addr list[ADDRS_MAX];
	uint32_t num;
};

static bool is_ours(const struct ours *ours, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < ours->num; i++)
		if (ip_addr_equal(&ours->list[i], a))
			return true;
	return false;
}

/* is_protected - what the connection protects is no address to be reached at. */
static bool is_protected(const struct conf_conn *conn, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];

		for (uint32_t j = 0; j < c->num_local_ts; j++)
			if (!c->local_ts[j].dynamic && ts_match(&c->local_ts[j].ts, a, 0, 0))
				return true;
	}
	return false;
}

/* want - as configured, as far as the host has the addresses; without configured ones each address
 * that is of the version that IKE goes by. */
static void want(struct wanted *w, const struct ours *ours, const struct conf_conn *conn,
		 const struct ike_sa_info *sa)
{
	w->num = 0;
	for (uint32_t i = 0; i < conn->num_paths; i++)
		if (is_ours(ours, &conn->paths[i].local))
			w->path[w->num++] = conn->paths[i];
	for (uint32_t i = 0; !conn->num_paths && i < ours->num && w->num < CONF_MAX_PATHS; i++)
		if (ours->list[i].family == sa->path.remote.addr.family &&
		    !is_protected(conn, &ours->list[i]))
			w->path[w->num++] = (struct conf_path){.local = ours->list[i], .weight = 1};
}

bool paths_is(const struct ike_path_info *p, const struct conf_path *want)
{
	return ip_addr_equal(&p->addr.local.addr, &want->local) &&
	       (ip_addr_is_any(&want->remote) ||
		ip_addr_equal(&p->addr.remote.addr, &want->remote));
}

static const struct conf_path *wanted_as(const struct wanted *w, const struct ike_path_info *p)
{
	for (uint32_t i = 0; i < w->num; i++)
		if (paths_is(p, &w->path[i]))
			return &w->path[i];
	return NULL;
}

static bool is_there(const struct ike_sa_info *sa, const struct conf_path *want)
{
	for (uint32_t i = 0; i < sa->num_path_list; i++)
		if (paths_is(&sa->path_list[i], want))
			return true;
	return false;
}

/* struct ops - operations for one IKE SA; all of them fit. */
struct ops {
	struct ike_path_op op[2 * CONF_MAX_PATHS + 8];
	uint32_t num;
};

static enum ike_path_policy policy_of(const struct conf_conn *conn)
{
	return (enum ike_path_policy)(conn->path_policy - CONF_PATHS_FAILOVER);
}

static void add_missing(const struct engine *e, struct ops *ops, const struct wanted *w,
			const struct conf_conn *conn, const struct ike_sa_info *sa)
{
	for (uint32_t i = 0; i < w->num; i++) {
		const struct conf_path *p = &w->path[i];

		if (!is_there(sa, p))
			ops->op[ops->num++] = (struct ike_path_op){
				.act = IKE_PATH_ADD,
				.addr = {.local.addr = p->local, .remote.addr = p->remote},
				.port = e->outer_port,
				.priority = p->priority,
				.weight = p->weight,
				.policy = policy_of(conn),
			};
	}
}

/* set_order - paths that are there have the priorities and weights that are wanted. */
static void set_order(struct ops *ops, const struct wanted *w, const struct conf_conn *conn,
		      const struct ike_sa_info *sa)
{
	for (uint32_t i = 0; i < sa->num_path_list; i++) {
		const struct ike_path_info *p = &sa->path_list[i];
		const struct conf_path *want = wanted_as(w, p);

		if (want && (want->priority != p->priority || want->weight != p->weight ||
			     sa->path_policy != policy_of(conn)))
			ops->op[ops->num++] = (struct ike_path_op){
				.act = IKE_PATH_SCHEDULE,
				.id = p->id,
				.priority = want->priority,
				.weight = want->weight,
				.policy = policy_of(conn),
			};
	}
}

/* remove_others - paths that are not wanted go when their address has gone, or a wanted one
 * carries. */
static void remove_others(struct ops *ops, const struct wanted *w, const struct ours *ours,
			  const struct ike_sa_info *sa)
{
	bool carries = false;

	for (uint32_t i = 0; i < sa->num_path_list; i++)
		carries |= sa->path_list[i].usable && wanted_as(w, &sa->path_list[i]);
	for (uint32_t i = 0; w->num && i < sa->num_path_list; i++) {
		const struct ike_path_info *p = &sa->path_list[i];

		if (!wanted_as(w, p) && (carries || !is_ours(ours, &p->addr.local.addr)))
			ops->op[ops->num++] =
				(struct ike_path_op){.act = IKE_PATH_REMOVE, .id = p->id};
	}
}

/* struct pending - what is to be done at one IKE SA: not while they are listed. */
struct pending {
	struct list_node node;
	uint32_t ike_id;
	struct ops ops;
	uint32_t num_ties;
	struct path_tying ties[]; /* as many as the connection has children */
};

/* struct settling - a walk over all of them. */
struct settling {
	struct engine *e;
	struct ours ours;
	struct list_node pending;
};

static void settle_sa(void *ctx, const struct ike_sa_info *sa)
{
	struct settling *s = ctx;
	const struct conf_conn *conn = conf_find_conn(s->e->conf, sa->conn);
	struct pending *p;
	struct wanted w;

	if (!conn || !sa->paths || conn->path_policy == CONF_PATHS_NONE)
		return;
	path_rules_set(s->e, conn, sa);
	if (!sa->paths_decides)
		return;
	p = mem_alloc(sizeof(*p) + conn->num_children * sizeof(p->ties[0]));
	if (!p) {
		LOG(ERROR, NET, sa->conn, "no memory to look after its paths");
		return;
	}
	p->ike_id = sa->unique;
	want(&w, &s->ours, conn, sa);
	add_missing(s->e, &p->ops, &w, conn, sa);
	set_order(&p->ops, &w, conn, sa);
	remove_others(&p->ops, &w, &s->ours, sa);
	p->num_ties = path_rules_ties(p->ties, conn, sa);
	list_push_back(&s->pending, &p->node);
}

static void operate(struct engine *e, const struct pending *p)
{
	const struct ike_select sel = {.ike_id = p->ike_id};
	uint32_t num;

	for (uint32_t i = 0; i < p->ops.num; i += OPS_AT_ONCE) {
		uint32_t n = p->ops.num - i < OPS_AT_ONCE ? p->ops.num - i : OPS_AT_ONCE;
		enum err err = ike_path(e->ike, &num, NULL, &sel, &p->ops.op[i], n, engine_now(e));

		if (err)
			LOG(WARN, NET, NULL, "paths of IKE SA %u cannot be set up: %s", p->ike_id,
			    err_text(err));
	}
	for (uint32_t i = 0; i < p->num_ties; i++)
		path_rules_tie(e, p->ike_id, &p->ties[i]);
}

/* are_wanted - some connection says something of paths. */
static bool are_wanted(const struct conf *conf)
{
	for (uint32_t i = 0; i < conf->num_conns; i++)
		if (conf->conns[i]->path_policy != CONF_PATHS_NONE)
			return true;
	return false;
}

void paths_settle(struct engine *e)
{
	struct settling s = {.e = e};

	e->paths_dirty = false;
	if (!are_wanted(e->conf))
		return;
	s.ours.num = roam_addrs(e, s.ours.list, ADDRS_MAX);
	list_init(&s.pending);
	ike_each_sa(e->ike, settle_sa, &s);
	list_for_each_safe (n, &s.pending) {
		struct pending *p = list_entry(n, struct pending, node);

		operate(e, p);
		list_remove(&p->node);
		mem_free(p);
	}
}
