/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_follow.c - the lane is told of the host's routes and neighbours, and of the wires'
 * carriers, which are the shadows' from then on: so the host hears of a cable that is pulled, and
 * with it who follows the host (path_link.c). The devices are told of the MTUs that their shadows
 * were given.
 */
#include "api/engine/gateway.h"

#include "drivers/dpdk.h"
#include "drivers/lane.h"

#define HOST(e, op, ...) ((e)->host.ops->op((e)->host.ctx, __VA_ARGS__))

/* How often the wires are looked at: a link that is lost is not to be found out by probes first. */
#define TICK_NS (100 * NS_PER_MS)
/* How often a neighbour that is sent to, and not heard of, is asked for at most. */
#define USED_NS NS_PER_S
/* Each is a request that the kernel answers at once, unless others hold its lock. */
#define USED_MAX 256

/* follow_mtu - the shadow's MTU was changed by hand: the device's follows where it can. */
static void follow_mtu(struct gateway *g, uint32_t i, uint32_t mtu)
{
	const char *name = g->engine->daemon.dpdk.ports[i].name;

	if (!mtu || mtu == g->mtu[i])
		return;
	g->mtu[i] = mtu;
	if (dpdk_module(g->dpdk)->set_mtu(g->frames[i], mtu))
		LOG(INFO, KNL, NULL, "%s: MTU %u; the device stays as it is", name, mtu);
	else
		LOG(INFO, KNL, NULL, "%s: MTU %u", name, mtu);
}

/* look_at_wires - a shadow's carrier is that of its port's wire. */
static void look_at_wires(struct gateway *g)
{
	for (uint32_t i = 0; i < g->num_ports; i++) {
		const bool up = dpdk_module(g->dpdk)->is_up(g->frames[i]);

		if (up == g->up[i])
			continue;
		g->up[i] = up;
		lane_link(g->lane, i, up);
		LOG(WARN, KNL, NULL, "%s: the link is %s", g->engine->daemon.dpdk.ports[i].name,
		    up ? "up" : "down");
	}
}

static void on_change(void *arg, const struct host_change *c)
{
	struct gateway *g = arg;

	lane_change(g->lane, c);
	g->links_changed |= c->kind == HOST_CHANGE_LINK;
	for (uint32_t i = 0; c->kind == HOST_CHANGE_LINK && i < g->num_ports; i++)
		if (g->ifindex[i] == c->ifindex && !c->gone)
			follow_mtu(g, i, c->mtu);
}

static void on_mirror(struct engine *e, struct loop_source *s)
{
	struct gateway *g = container_of(s, struct gateway, source);

	if (HOST(e, mirror_read, g->mirror, on_change, g)) {
		LOG(ERROR, KNL, NULL, "the host's routes are not followed any more");
		loop_unwatch(e, s);
		g->follows = false;
		return;
	}
	/* It may be one that a port stands on, which then need not wait for the tick. */
	if (g->links_changed)
		look_at_wires(g);
	g->links_changed = false;
	if (lane_settle(g->lane))
		LOG(ERROR, KNL, NULL, "no memory for the routes: those of before stay");
}

/* on_used - of what the lane sends to a neighbour the host sees nothing. One that is gone meanwhile
 * is told of by the mirror. */
static void on_used(void *arg, uint32_t ifindex, const struct ip_addr *addr)
{
	struct engine *e = arg;
	enum err err = HOST(e, neigh_use, ifindex, addr);

	if (err && err != ERR_NOT_FOUND)
		LOG(DEBUG, KNL, NULL, "a neighbour is not asked for: %s", err_text(err));
}

static void on_tick(struct timer *t, uint64_t now_ns)
{
	struct gateway *g = container_of(t, struct gateway, tick);
	struct engine *e = g->engine;

	look_at_wires(g);
	if (g->follows && now_ns - g->used_ns >= USED_NS) {
		g->used_ns = now_ns;
		lane_used(g->lane, USED_MAX, on_used, e);
	}
	/* What a change left behind is tried again. */
	if (lane_settle(g->lane))
		LOG(ERROR, KNL, NULL, "no memory for the routes: those of before stay");
	timer_set(&e->timers, t, now_ns + TICK_NS);
}

enum err gateway_follow(struct engine *e, struct gateway *g)
{
	enum err err = HOST(e, mirror_open, &g->mirror, &g->source.fd);

	if (err) {
		LOG(ERROR, KNL, NULL, "the host's routes cannot be followed: %s", err_text(err));
		return err;
	}
	g->source.ready = on_mirror;
	err = loop_watch(e, &g->source);
	if (err)
		return err;
	g->follows = true;
	timer_init(&g->tick, on_tick);
	timer_set(&e->timers, &g->tick, engine_now(e) + TICK_NS);
	on_mirror(e, &g->source); /* the first dump begins */
	return ERR_OK;
}
