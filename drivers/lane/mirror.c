/* SPDX-License-Identifier: Apache-2.0 */
/* What the host told of its links, routes and neighbours, each by its key, and the table that
 * workers read, made anew of all of them. Control. */
#include "drivers/lane/internal.h"

#include "base/alloc.h"

#define TABLE_DEFAULT 253
#define TABLE_MAIN    254
#define TABLE_LOCAL   255

/* struct mirror_key - what tells one route or neighbour from another. */
struct mirror_key {
	uint32_t kind, table, metric, ifindex;
	struct ip_addr addr;
	uint32_t len;
};
static_assert(sizeof(struct mirror_key) == 40, "hashed as bytes");

struct mirror_entry {
	struct htab_node by_key;
	struct list_node node;
	struct mirror_key key;
	uint32_t generation;
	struct host_change what;
};

uint8_t lane_port_of(const struct lane *l, uint32_t ifindex)
{
	for (uint32_t i = 0; i < l->num_ports; i++)
		if (l->ports[i].ifindex == ifindex)
			return (uint8_t)i;
	return FIB_NO_PORT;
}

/* ---- links ---------------------------------------------------------------------------------- */

static void set_up(struct lane_port *port)
{
	__atomic_store_n(&port->up, port->carrier && port->shadow_up, __ATOMIC_RELAXED);
}

static void link_change(struct lane *l, const struct host_change *c)
{
	uint8_t i = lane_port_of(l, c->ifindex);

	if (i == FIB_NO_PORT)
		return;
	l->ports[i].shadow_up = c->up && !c->gone;
	set_up(&l->ports[i]);
	if (!c->gone && c->mtu)
		__atomic_store_n(&l->ports[i].mtu, c->mtu, __ATOMIC_RELAXED);
}

void lane_link(struct lane *l, uint32_t port, bool up)
{
	if (port >= l->num_ports)
		return;
	l->ports[port].carrier = up;
	set_up(&l->ports[port]);
	if (l->queues[0]->num_wires) /* not closed yet */
		shadow_carrier(&l->queues[0]->wires[port], up);
}

/* ---- entries -------------------------------------------------------------------------------- */

/* The device is part of a neighbour's key only: a route that goes by another one now is told of as
 * one that took the old one's place. */
static struct mirror_key key_of(const struct host_change *c)
{
	struct mirror_key k = {.kind = c->kind};

	if (c->kind == HOST_CHANGE_ROUTE) {
		k.table = c->table;
		k.metric = c->metric;
		k.addr = c->dst.addr;
		k.len = c->dst.len;
	} else {
		k.addr = c->addr;
		k.ifindex = c->ifindex;
	}
	return k;
}

static void forget(struct mirror *m, struct mirror_entry *e)
{
	htab_remove(&m->entries, &e->by_key);
	list_remove(&e->node);
	mem_free(e);
	m->dirty = true;
}

/* is_told - nothing that a worker would see is different. */
static bool is_told(const struct host_change *a, const struct host_change *b)
{
	return a->ifindex == b->ifindex && a->route == b->route && a->stale == b->stale &&
	       ip_addr_equal(&a->gateway, &b->gateway) && memcmp(a->mac, b->mac, 6) == 0;
}

static void remember(struct mirror *m, const struct host_change *c)
{
	struct mirror_key k = key_of(c);
	struct htab_node *n = htab_find(&m->entries, bytes_of(&k, sizeof(k)));
	struct mirror_entry *e = n ? container_of(n, struct mirror_entry, by_key) : NULL;

	if (c->gone) {
		/* What took its place under the same key stays. */
		if (e && (c->kind == HOST_CHANGE_NEIGH || e->what.ifindex == c->ifindex))
			forget(m, e);
		return;
	}
	if (!e) {
		e = mem_alloc(sizeof(*e));
		if (!e) /* then the host goes on doing it */
			return;
		e->key = k;
		htab_insert(&m->entries, &e->by_key, bytes_of(&e->key, sizeof(e->key)));
		list_push_back(&m->list, &e->node);
		m->dirty = true;
	} else if (!is_told(&e->what, c)) {
		m->dirty = true;
	}
	e->what = *c;
	e->generation = m->generation;
}

/* sweep - what the dump did not name is gone. */
static void sweep(struct mirror *m)
{
	list_for_each_safe (n, &m->list) {
		struct mirror_entry *e = list_entry(n, struct mirror_entry, node);

		if (e->generation != m->generation)
			forget(m, e);
	}
}

void lane_change(struct lane *l, const struct host_change *c)
{
	switch (c->kind) {
	case HOST_CHANGE_BEGIN:
		l->mirror.generation++;
		break;
	case HOST_CHANGE_END:
		sweep(&l->mirror);
		break;
	case HOST_CHANGE_LINK:
		link_change(l, c);
		break;
	case HOST_CHANGE_ROUTE:
	case HOST_CHANGE_NEIGH:
		remember(&l->mirror, c);
		break;
	}
}

/* ---- the table ------------------------------------------------------------------------------ */

/* route_of - false: of a table that has no say. */
static bool route_of(struct fib_route *out, const struct lane *l, const struct host_change *c)
{
	if (c->table != TABLE_MAIN && c->table != TABLE_DEFAULT && c->table != TABLE_LOCAL &&
	    c->table != HOST_ROUTE_TABLE)
		return false;
	*out = (struct fib_route){
		.dst = c->dst.addr,
		.len = c->dst.len,
		.gateway = c->gateway,
		.set = c->table == HOST_ROUTE_TABLE ? FIB_PROTECT : FIB_MAIN,
		.port = c->route == HOST_ROUTE_FORWARD ? lane_port_of(l, c->ifindex) : FIB_NO_PORT,
		.local = c->route == HOST_ROUTE_LOCAL,
		/* Table "default" comes after "main". */
		.metric = c->table == TABLE_DEFAULT ? UINT32_MAX : c->metric,
	};
	return true;
}

static bool neigh_of(struct fib_neigh *out, const struct lane *l, const struct host_change *c)
{
	const struct fib_neigh *before;

	*out = (struct fib_neigh){
		.addr = c->addr, .port = lane_port_of(l, c->ifindex), .stale = c->stale};
	if (out->port == FIB_NO_PORT)
		return false;
	/* What changed may be another's affair: that this one is used is not forgotten. */
	before = l->fib ? fib_neigh(l->fib, out->port, &out->addr) : NULL;
	if (before)
		out->used = out->stale && __atomic_load_n(&before->used, __ATOMIC_RELAXED);
	memcpy(out->macs, c->mac, 6);
	memcpy(out->macs + 6, l->ports[out->port].mac, 6);
	return true;
}

static struct fib *make(struct lane *l)
{
	struct fib_route *routes = mem_alloc_array(l->mirror.entries.num + 1, sizeof(*routes));
	struct fib_neigh *neighs = mem_alloc_array(l->mirror.entries.num + 1, sizeof(*neighs));
	struct fib *f = NULL;
	uint32_t num_routes = 0, num_neighs = 0;

	if (!routes || !neighs)
		goto out;
	list_for_each (n, &l->mirror.list) {
		const struct host_change *c = &list_entry(n, struct mirror_entry, node)->what;

		if (c->kind == HOST_CHANGE_ROUTE)
			num_routes += route_of(&routes[num_routes], l, c);
		else
			num_neighs += neigh_of(&neighs[num_neighs], l, c);
	}
	f = fib_new(++l->generation, routes, num_routes, neighs, num_neighs);
	l->num_routes = num_routes;
	l->num_neighs = num_neighs;
out:
	mem_free(routes);
	mem_free(neighs);
	return f;
}

enum err lane_settle(struct lane *l)
{
	struct fib *before = l->fib, *next;

	rcu_flush(&l->retired);
	if (!l->mirror.dirty)
		return ERR_OK;
	next = make(l);
	if (!next)
		return ERR_NOMEM;
	rcu_publish(l->fib, next);
	fib_retire(before, &l->retired);
	l->mirror.dirty = false;
	return ERR_OK;
}

void lane_used(struct lane *l, uint32_t max,
	       void (*fn)(void *arg, uint32_t ifindex, const struct ip_addr *a), void *arg)
{
	size_t num = 0;
	struct fib_neigh *neighs = l->fib ? fib_neighs(l->fib, &num) : NULL;

	if (l->mirror.dirty) /* what workers have is not what is so */
		return;
	for (size_t i = 0; i < num && max; i++) {
		struct fib_neigh *n = &neighs[l->used_at++ % num];

		if (!__atomic_load_n(&n->used, __ATOMIC_RELAXED))
			continue;
		__atomic_store_n(&n->used, false, __ATOMIC_RELAXED);
		fn(arg, l->ports[n->port].ifindex, &n->addr);
		max--;
	}
}

enum err mirror_init(struct lane *l)
{
	list_init(&l->mirror.list);
	return htab_init(&l->mirror.entries, rng_system());
}

void mirror_fini(struct lane *l)
{
	list_for_each_safe (n, &l->mirror.list)
		forget(&l->mirror, list_entry(n, struct mirror_entry, node));
	htab_fini(&l->mirror.entries);
}
