/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - what leads the traffic of SA groups into the virtual interface. */
#include "api/engine/internal.h"
#include "base/alloc.h"

#define PREFIXES_MAX 64

static struct route_rec *route_find(struct engine *e, const struct ip_prefix *dst)
{
	list_for_each (n, &e->routes) {
		struct route_rec *r = list_entry(n, struct route_rec, node);

		if (r->dst.len == dst->len && ip_addr_equal(&r->dst.addr, &dst->addr))
			return r;
	}
	return NULL;
}

static void route_set(struct engine *e, const struct ip_prefix *dst, const struct ip_addr *src)
{
	char text[PREFIX_TEXT_MAX];

	if (e->host.ops->route_add(e->host.ctx, dst, e->daemon.interface, src))
		LOG(ERROR, KNL, NULL, "the route to %s by %s cannot be set",
		    ip_prefix_text(text, dst), e->daemon.interface);
}

static void route_want(struct engine *e, const struct ip_prefix *dst, const struct ip_addr *src)
{
	struct route_rec *r = route_find(e, dst);

	if (r) {
		r->refs++;
		return;
	}
	r = mem_alloc(sizeof(*r));
	if (!r) {
		LOG(ERROR, KNL, NULL, "no memory for a route");
		return;
	}
	r->dst = *dst;
	r->refs = 1;
	list_push_back(&e->routes, &r->node);
	route_set(e, dst, src);
}

static void route_drop(struct engine *e, const struct ip_prefix *dst)
{
	struct route_rec *r = route_find(e, dst);

	if (!r || --r->refs)
		return;
	if (!e->leave_host && e->host.ops->route_del(e->host.ctx, dst, e->daemon.interface))
		LOG(WARN, KNL, NULL, "a route could not be removed");
	list_remove(&r->node);
	mem_free(r);
}

/* needs_capture - a destination route would take more than the policy protects. */
static bool needs_capture(const struct ts *local, const struct ts *remote)
{
	return local->proto || remote->proto || local->port_lo || local->port_hi != 0xffff ||
	       remote->port_lo || remote->port_hi != 0xffff;
}

bool routes_need_capture(const struct sa_group *g)
{
	/* Between two hosts the route would be one to the peer itself. */
	if (g->transport)
		return true;
	for (uint32_t l = 0; l < g->num_local; l++)
		for (uint32_t r = 0; r < g->num_remote; r++)
			if (needs_capture(&g->local[l], &g->remote[r]))
				return true;
	return false;
}

/* source_in - a local address that the group's traffic may come from, rather one that a peer has
 * lent; unset if there is none (a gateway for networks behind it needs none). */
static struct ip_addr source_in(struct engine *e, const struct sa_group *g, uint8_t family)
{
	struct ip_addr src = {.family = IP_NONE};

	for (uint32_t i = 0; i < g->num_local; i++)
		if (g->local[i].lo.family == family && vips_in(e, &src, &g->local[i]))
			return src;
	for (uint32_t i = 0; i < g->num_local && !src.family; i++)
		if (g->local[i].lo.family == family &&
		    e->host.ops->local_in(e->host.ctx, &src, &g->local[i]))
			src = (struct ip_addr){.family = IP_NONE};
	return src;
}

static void route_do(struct engine *e, enum route_what what, const struct ip_prefix *dst,
		     const struct ip_addr *src)
{
	if (what == ROUTE_WANT)
		route_want(e, dst, src);
	else if (what == ROUTE_DROP)
		route_drop(e, dst);
	else
		route_set(e, dst, src);
}

void routes_group(struct engine *e, const struct sa_group *g, enum route_what what)
{
	struct ip_prefix prefixes[PREFIXES_MAX];
	struct ip_addr src;
	size_t num;

	if (g->vif || routes_need_capture(g))
		return;
	for (uint32_t i = 0; i < g->num_remote; i++) {
		if (ts_to_prefixes(&g->remote[i], prefixes, &num, PREFIXES_MAX)) {
			LOG(ERROR, KNL, g->conn, "%s: a remote_ts needs too many routes", g->child);
			continue;
		}
		src = what == ROUTE_DROP ? (struct ip_addr){.family = IP_NONE}
					 : source_in(e, g, g->remote[i].lo.family);
		for (size_t p = 0; p < num; p++)
			route_do(e, what, &prefixes[p], &src);
	}
}

void routes_host(struct engine *e, enum route_what what, const struct ip_addr *host,
		 const struct ip_addr *src)
{
	const struct ip_prefix dst = {.addr = *host, .len = (uint8_t)(ip_addr_len(host) * 8)};

	route_do(e, what, &dst, src);
}

void routes_again(struct engine *e)
{
	list_for_each (n, &e->groups) {
		const struct sa_group *g = list_entry(n, struct sa_group, node);

		if (g->policy)
			routes_group(e, g, ROUTE_AGAIN);
	}
}
