/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.c - several paths to a peer: what the keying engine has agreed on goes to the data path,
 * which says whether they carry. path_hand.c has which ones this host wants.
 */
#include "api/engine/internal.h"

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

/* probe_all - each path of the set is probed from now on; origin: of the path `id`. */
static void probe_all(struct engine *e, uint32_t set, uint16_t id, enum path_origin origin)
{
	struct path_info list[PATHS_MAX];
	uint32_t num = dataplane_path_list(e->dp, list, set);

	for (uint32_t i = 0; i < num; i++) {
		enum err err =
			dataplane_path_probe(e->dp, set, list[i].id,
					     list[i].id == id ? origin : PATH_OWN, engine_now(e));

		if (err == ERR_NOMEM)
			LOG(ERROR, NET, NULL, "no memory to watch a path");
	}
}

/* origin_of - a path that is to be put. One that the peer told of is asked for as far as that may
 * go, unless the peer is known to be there; one by which payload goes at once is new. */
static enum path_origin origin_of(struct engine *e, uint32_t set, const struct ike_action *a)
{
	struct path_info info;

	if (a->say.told)
		return is_known(e, set, &a->path.remote.addr) ? PATH_OWN : PATH_LEARNED;
	return a->say.usable && dataplane_path_info(e->dp, &info, set, a->say.id) ? PATH_PRESUMED
										  : PATH_OWN;
}

/* orders - how many packets wait for one by a slower path, and for how long: all the time where
 * they are sprayed, and when one path takes over from another. Flows and copies have their order
 * already.
 */
static const struct {
	uint32_t packets; /* 0: none waits */
	uint64_t wait_ns;
	bool turns;
} orders[] = {
	[SCHEDULE_FAILOVER] = {2048, 50 * NS_PER_MS, true},
	[SCHEDULE_FLOW] = {0},
	[SCHEDULE_SPRAY] = {4096, 100 * NS_PER_MS, false},
	[SCHEDULE_DUPLICATE] = {0},
};

void paths_child(struct engine *e, const struct peer_rec *p, uint64_t child)
{
	if (!p->several)
		return;
	if (dataplane_child_window(e->dp, child, PATHS_WINDOW))
		LOG(WARN, CHD, NULL, "a replay window is too small for several paths: no memory");
	if (dataplane_child_resequence(e->dp, child, orders[p->schedule].packets,
				       orders[p->schedule].wait_ns, orders[p->schedule].turns))
		LOG(WARN, CHD, NULL, "packets of several paths are in no order: no memory");
}

void paths_put(struct engine *e, struct peer_rec *p, const struct ike_action *a)
{
	struct path_params params = {.id = a->say.id,
				     .priority = a->say.priority,
				     .weight = a->say.weight,
				     .usable = a->say.usable,
				     .leaving = a->say.leaving,
				     .came = a->say.came};
	uint32_t mtu;
	enum err err;

	params.port = actions_esp_path(e, &params.addr, a);
	const enum path_origin origin = origin_of(e, p->set, a);

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
	probe_all(e, p->set, params.id, origin);
}

void paths_take(struct engine *e, struct peer_rec *p, const struct ike_action *a)
{
	enum err err = dataplane_path_take(e->dp, p->set, a->say.id);

	if (err && err != ERR_NOT_FOUND)
		LOG(ERROR, NET, NULL, "a path to a peer stays: %s", err_text(err));
	path_leave_event(e, p->peer, a->say.id, false); /* that is not waited for, if it was */
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
	if (dataplane_path_schedule(e->dp, p->set, schedules[a->say.policy])) {
		LOG(ERROR, NET, NULL, "no memory to spread packets over paths");
		return;
	}
	p->schedule = schedules[a->say.policy];
	actions_each_child(e, p, paths_child);
}

/* answered - what came of an operation; of a transaction of several the last one ends it. */
static void answered(struct engine *e, const struct ike_action *a)
{
	const struct ike_path_say *say = &a->say;
	const char *note;
	uint16_t refused;

	/* Those that are well but for the others do not hide why. */
	if (say->status && (!e->path_refused || say->status < e->path_refused))
		e->path_refused = say->status;
	if (say->more)
		return;
	refused = e->path_refused;
	e->path_refused = 0;
	if (!say->request)
		return;
	if (path_left(e, say->request, refused != 0))
		return;
	hands_answered(e, a->peer, say->request, !refused);
	note = path_leave_end(e, a->peer, say->request, refused != 0);
	if (refused)
		path_events_refused(e, say, ike_path_status_text(refused), false);
	else
		path_events_done(e, say, note);
}

void paths_news(struct engine *e, const struct ike_action *a)
{
	char text[ENDPOINT_TEXT_MAX];

	switch ((enum ike_path_news)a->say.news) {
	case IKE_PATH_DONE:
		LOG(INFO, NET, a->conn, "the peer has done what was said of path %u", a->say.id);
		answered(e, a);
		break;
	case IKE_PATH_REFUSED:
		LOG(WARN, NET, a->conn, "the peer refuses what was said of path %u: %s", a->say.id,
		    ike_path_status_text(a->say.status));
		answered(e, a);
		break;
	case IKE_PATH_PROPOSED:
		LOG(INFO, NET, a->conn, "the peer may be reached at %s, too",
		    endpoint_text(text, &a->path.remote));
		break;
	}
}

/* came - news of where traffic goes now come first. What an observer says then waits for the turn
 * that follows: another one within this would tell the same news again. */
static void came(struct engine *e, const struct peer_rec *p, uint16_t id)
{
	const bool turning = e->turning;

	e->turning = true;
	path_events_tell(e);
	LOG(INFO, NET, p->conn, "the peer's last packets have come by path %u", id);
	path_events_drained(e, p, id);
	e->turning = turning;
}

void paths_dp_event(struct engine *e, const struct dp_event *ev, uint64_t now_ns)
{
	struct htab_node *n =
		htab_find(&e->peers_by_set, bytes_of(&ev->pathset, sizeof(ev->pathset)));
	const struct peer_rec *p = n ? container_of(n, struct peer_rec, by_set) : NULL;
	const bool seen = ev->kind == DP_EVENT_PATH_MOVED && ev->path.encap == ENCAP_UDP;

	if (!p)
		return;
	if (ev->kind == DP_EVENT_PATH_CAME) {
		came(e, p, ev->path_id);
		return;
	}
	if (ev->kind == DP_EVENT_PATH_DRAINED || !ev->usable)
		path_leave_event(e, p->peer, ev->path_id, ev->usable);
	if (ev->kind == DP_EVENT_PATH_DRAINED)
		return;
	ike_path_usable(e->ike, p->peer, ev->path_id, ev->usable, seen ? &ev->path.remote : NULL,
			now_ns);
	e->paths_dirty |= ev->usable; /* others may go now */
}
