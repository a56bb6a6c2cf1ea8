/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/internal.h"
#include "base/alloc.h"

static struct child_rec *child_find(struct engine *e, uint64_t id)
{
	struct htab_node *n = engine_find(&e->children, &id, sizeof(id));

	return n ? container_of(n, struct child_rec, by_id) : NULL;
}

struct peer_rec *actions_peer(struct engine *e, uint64_t peer)
{
	struct htab_node *n = engine_find(&e->peers, &peer, sizeof(peer));

	return n ? container_of(n, struct peer_rec, by_id) : NULL;
}

/* ---- path sets ------------------------------------------------------------------------------ */

/* How ESP goes where IKE goes by a->path: the same way if that is UDP encapsulation,
 * else by the port for bare ESP, where addresses have no ports; a gateway's lane does both. */
uint16_t actions_esp_path(const struct engine *e, struct path_addr *out, const struct ike_action *a)
{
	uint16_t lane;
	bool gateway = gateway_outer(e, &lane);

	*out = a->path;
	if (a->path.encap != ENCAP_NONE || !e->has_esp_port)
		return gateway ? lane : a->port;
	out->local.port = out->remote.port = 0;
	return gateway ? lane : e->esp_port;
}

static void pathset_add(struct engine *e, const struct ike_action *a)
{
	struct peer_rec *p = mem_alloc(sizeof(*p));
	struct path_addr path;
	uint16_t port = actions_esp_path(e, &path, a);

	if (!p || dataplane_pathset_add(e->dp, &p->set, port, &path)) {
		LOG(ERROR, NET, NULL, "no memory for the paths of a peer");
		mem_free(p);
		return; /* its children will fail for want of a path set, and say so */
	}
	p->peer = a->peer;
	p->encap = (enum path_encap)a->path.encap;
	htab_insert(&e->peers, &p->by_id, bytes_of(&p->peer, sizeof(p->peer)));
	htab_insert(&e->peers_by_set, &p->by_set, bytes_of(&p->set, sizeof(p->set)));
	device_fit_mtu(e, p->set, &a->path.remote.addr);
	path_events_changed(e, p, a);
}

static void pathset_move(struct engine *e, const struct ike_action *a)
{
	struct peer_rec *p = actions_peer(e, a->peer);
	struct path_addr path;
	uint16_t port = actions_esp_path(e, &path, a);

	if (!p)
		return;
	if (dataplane_pathset_move(e->dp, p->set, port, &path)) {
		LOG(ERROR, NET, NULL, "no memory to move a path: the old one stays");
		return;
	}
	p->encap = (enum path_encap)a->path.encap;
	device_fit_mtu(e, p->set, &a->path.remote.addr);
	path_events_changed(e, p, a);
}

static void peer_free(struct engine *e, struct peer_rec *p)
{
	dataplane_pathset_remove(e->dp, p->set);
	path_events_forget(p);
	htab_remove(&e->peers, &p->by_id);
	htab_remove(&e->peers_by_set, &p->by_set);
	mem_free(p);
}

static void pathset_remove(struct engine *e, const struct ike_action *a)
{
	struct peer_rec *p = actions_peer(e, a->peer);

	if (p)
		peer_free(e, p);
}

/* ---- children ------------------------------------------------------------------------------- */

static enum err child_group(struct engine *e, struct sa_group **out,
			    const struct ike_child_add *add)
{
	struct child_rec *old = add->replaces ? child_find(e, add->replaces) : NULL;

	if (!old)
		return policy_group_for(e, out, add);
	*out = old->group;
	return ERR_OK;
}

/* mss_clamp - TCP sees the route to the peer in transport mode, not the virtual interface that
 * takes its packets, and what that one does not take the host would tell it as the peer's path MTU.
 */
static uint16_t mss_clamp(const struct engine *e, const struct child_params *params)
{
	uint32_t most = e->mtu - (params->local[0].lo.family == IP_V6 ? 60 : 40);
	bool given = params->mss_clamp && params->mss_clamp != MSS_CLAMP_PATH;

	if (params->mode != SA_TRANSPORT || (given && params->mss_clamp < most))
		return params->mss_clamp;
	return (uint16_t)most;
}

static enum err child_install(struct engine *e, struct child_rec *c,
			      const struct ike_child_add *add)
{
	struct child_params params = add->params;
	struct peer_rec *peer = actions_peer(e, add->peer);
	enum err err;

	if (!peer)
		return ERR_NOMEM;
	if (peer->encap == ENCAP_NONE && !e->has_esp_port)
		return ERR_UNSUPPORTED; /* a peer without NAT traversal, a host without raw ESP */
	err = child_group(e, &c->group, add);
	if (err)
		return err;
	params.mss_clamp = mss_clamp(e, &params);
	params.group = c->group->id;
	params.pathset = peer->set;
	params.scope = c->group->vif ? c->group->vif->scope : 0;
	return dataplane_child_add(e->dp, &params);
}

static void child_add(struct engine *e, const struct ike_child_add *add)
{
	struct child_rec *c = mem_alloc(sizeof(*c));
	enum err err = c ? child_install(e, c, add) : ERR_NOMEM;
	struct child_stats st;

	if (err) {
		LOG(ERROR, CHD, add->conn, "%s cannot be installed: %s", add->child, err_text(err));
		mem_free(c);
		ike_child_failed(e->ike, add->params.id, err, engine_now(e));
		return;
	}
	c->id = add->params.id;
	c->peer = add->peer;
	c->half = CHILD_BOTH;
	c->group->num_pairs++;
	c->group->num_outbound++;
	policy_joined(e, c->group, add->params.proof);
	if (c->group->vif && !dataplane_child_stats(e->dp, &st, c->id))
		vif_class_joined(e, c->group->vif, st.token);
	htab_insert(&e->children, &c->by_id, bytes_of(&c->id, sizeof(c->id)));
	paths_child(e, actions_peer(e, c->peer), c->id);
	path_events_conn(actions_peer(e, c->peer), add->conn);
	if (add->params.mode == SA_TRANSPORT && add->params.mif)
		c->held = held_get(e, &add->params.local[0].lo, &add->params.remote[0].lo,
				   !c->group->vif);
}

static void child_activate(struct engine *e, uint64_t id)
{
	if (dataplane_child_activate(e->dp, id))
		LOG(WARN, CHD, NULL, "a pair to be used is not there any more");
}

static void child_forget(struct engine *e, struct child_rec *c)
{
	held_put(e, c->held);
	c->group->num_pairs--;
	htab_remove(&e->children, &c->by_id);
	mem_free(c);
}

static void child_remove(struct engine *e, uint64_t id, enum child_half half)
{
	struct child_rec *c = child_find(e, id);

	if (!c)
		return;
	dataplane_child_remove(e->dp, id, half);
	if (c->half & half & CHILD_OUT)
		c->group->num_outbound--;
	c->half &= ~half;
	if (!c->half)
		child_forget(e, c);
}

bool actions_has_paths(struct engine *e, uint64_t child)
{
	const struct child_rec *c = child_find(e, child);
	const struct peer_rec *p = c ? actions_peer(e, c->peer) : NULL;

	return p && p->several;
}

void actions_each_child(struct engine *e, const struct peer_rec *p,
			void (*fn)(struct engine *e, const struct peer_rec *p, uint64_t child))
{
	for (size_t i = 0; i < e->children.num_buckets; i++) {
		for (struct htab_node *n = e->children.buckets[i]; n; n = n->next) {
			const struct child_rec *c = container_of(n, struct child_rec, by_id);

			if (c->peer == p->peer)
				fn(e, p, c->id);
		}
	}
}

/* path_action - of a peer that is there. */
static void path_action(struct engine *e, const struct ike_action *a,
			void (*fn)(struct engine *e, struct peer_rec *p,
				   const struct ike_action *a))
{
	struct peer_rec *p = actions_peer(e, a->peer);

	if (!p)
		return;
	fn(e, p, a);
	path_events_changed(e, p, a);
}

enum err actions_path_info(struct engine *e, struct path_info *out, uint64_t child)
{
	struct child_rec *c = child_find(e, child);
	struct peer_rec *p = c ? actions_peer(e, c->peer) : NULL;

	return p ? dataplane_pathset_info(e->dp, out, p->set) : ERR_NOT_FOUND;
}

/* ---- the table ------------------------------------------------------------------------------ */

static void send_ike(struct engine *e, const struct ike_action *a)
{
	const struct peer_rec *p = a->peer ? actions_peer(e, a->peer) : NULL;
	enum err err =
		dataplane_ike_send(e->dp, a->port, &a->path, a->bytes.p, a->bytes.len, a->raw);

	if (err) /* as good as lost on the wire: retransmission mends it */
		LOG(DEBUG, NET, NULL, "a datagram could not be sent: %s", err_text(err));
	if (p)
		dataplane_path_owe(e->dp, p->set, &a->path.remote.addr, a->bytes.len);
}

static bool lost(enum ike_reason r)
{
	return r == IKE_REASON_NO_ANSWER || r == IKE_REASON_EXPIRED || r == IKE_REASON_RESOURCES;
}

static void event(struct engine *e, const struct ike_event *ev)
{
	if (ev->conn && lost(ev->reason) &&
	    (ev->kind == IKE_EVENT_IKE_DOWN || ev->kind == IKE_EVENT_CHILD_DOWN))
		policy_lost(e, ev->conn, ev->child);
	e->paths_dirty |= ev->kind == IKE_EVENT_IKE_UP || ev->kind == IKE_EVENT_IKE_DOWN ||
			  ev->kind == IKE_EVENT_CHILD_UP;
	e->dns_dirty |= ev->dns && (ev->kind == IKE_EVENT_IKE_UP || ev->kind == IKE_EVENT_IKE_DOWN);
	connect_event(e, ev);
	latches_ike_event(e, ev);
	status_event(e, ev);
}

void actions_run(struct engine *e)
{
	struct ike_action a;

	while (ike_action_next(e->ike, &a)) {
		switch (a.kind) {
		case IKE_ACTION_SEND:
			send_ike(e, &a);
			break;
		case IKE_ACTION_PATHSET_ADD:
			pathset_add(e, &a);
			break;
		case IKE_ACTION_PATHSET_MOVE:
			pathset_move(e, &a);
			break;
		case IKE_ACTION_PATHSET_REMOVE:
			pathset_remove(e, &a);
			break;
		case IKE_ACTION_CHILD_ADD:
			child_add(e, a.child_add);
			break;
		case IKE_ACTION_CHILD_ACTIVATE:
			child_activate(e, a.child);
			break;
		case IKE_ACTION_CHILD_REMOVE:
			child_remove(e, a.child, a.half);
			break;
		case IKE_ACTION_PATH_PUT:
			path_action(e, &a, paths_put);
			break;
		case IKE_ACTION_PATH_TAKE:
			path_action(e, &a, paths_take);
			break;
		case IKE_ACTION_PATH_SCHEDULE:
			path_action(e, &a, paths_schedule);
			break;
		case IKE_ACTION_PATH_NEWS:
			paths_news(e, &a);
			break;
		case IKE_ACTION_CHILD_PATH:
			paths_tie(e, a.child, a.say.id);
			break;
		case IKE_ACTION_ADDRESS_ADD:
			vips_add(e, a.conn, &a.address);
			break;
		case IKE_ACTION_ADDRESS_REMOVE:
			vips_remove(e, a.conn, &a.address);
			break;
		case IKE_ACTION_ASK:
			asks_answer(e, a.ask);
			break;
		case IKE_ACTION_EVENT:
			event(e, a.event);
			break;
		}
	}
}

/* free_all - empty a table whose nodes are removed by fn. */
static void free_all(struct engine *e, struct htab *t,
		     void (*fn)(struct engine *e, struct htab_node *n))
{
	for (size_t i = 0; i < t->num_buckets; i++)
		while (t->buckets[i])
			fn(e, t->buckets[i]);
}

static void child_drop(struct engine *e, struct htab_node *n)
{
	struct child_rec *c = container_of(n, struct child_rec, by_id);

	child_remove(e, c->id, CHILD_BOTH);
}

static void peer_drop(struct engine *e, struct htab_node *n)
{
	peer_free(e, container_of(n, struct peer_rec, by_id));
}

void actions_forget(struct engine *e)
{
	free_all(e, &e->children, child_drop);
	free_all(e, &e->peers, peer_drop);
}
