/* SPDX-License-Identifier: Apache-2.0 */
/*
 * held.c - in transport mode the selectors name an address of this host for as long as the SAs
 * last, whatever paths packets take by then (docs/multiple-interfaces.md 10). When the host loses
 * it the virtual interface has it instead, so that programs go on using it, and what they send to
 * the peer's address is routed there: the route that led to it is gone, or another one would have
 * new connections leave from another address, in the clear. When an interface has it again, or no
 * pair is between these addresses any more, both go.
 *
 * What a process that was killed has left there stays until the next orderly stop: what was guarded
 * stays so, and nothing else is led to it.
 *
 * Not before the loss: while the host has an address twice the kernel keeps routes that it would
 * drop with the one that goes.
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

/* struct held - two addresses with pairs between them. */
struct held {
	struct list_node node;
	struct ip_addr local, remote;
	uint32_t refs; /* pairs */
	bool routed;   /* the operator's routes do not say where it goes */
	bool there;    /* the virtual interface has it */
};

static struct ip_prefix whole(const struct ip_addr *a)
{
	return (struct ip_prefix){.addr = *a, .len = (uint8_t)(ip_addr_len(a) * 8)};
}

/* is_held - the virtual interface has the address. */
static bool is_held(const struct engine *e, const struct ip_addr *a)
{
	list_for_each (n, &e->held) {
		const struct held *h = list_entry(n, struct held, node);

		if (h->there && ip_addr_equal(&h->local, a))
			return true;
	}
	return false;
}

static void put_on(struct engine *e, struct held *h)
{
	const struct ip_prefix p = whole(&h->local);
	const bool before = is_held(e, &h->local);
	char text[IP_TEXT_MAX];

	if (e->host.ops->addr_add(e->host.ctx, e->daemon.interface, &p)) {
		LOG(ERROR, KNL, NULL, "the address %s cannot be held on %s: what uses it stops",
		    ip_addr_text(text, &h->local), e->daemon.interface);
		return;
	}
	h->there = true;
	if (h->routed)
		routes_host(e, ROUTE_WANT, &h->remote, &h->local);
	if (!before)
		LOG(INFO, KNL, NULL, "%s is held on %s while no other interface has it",
		    ip_addr_text(text, &h->local), e->daemon.interface);
}

static void take_off(struct engine *e, struct held *h)
{
	const struct ip_prefix p = whole(&h->local);
	char text[IP_TEXT_MAX];

	h->there = false;
	if (h->routed)
		routes_host(e, ROUTE_DROP, &h->remote, &h->local);
	if (is_held(e, &h->local) || e->leave_host)
		return;
	if (e->host.ops->addr_del(e->host.ctx, e->daemon.interface, &p))
		LOG(WARN, KNL, NULL, "the address %s could not be removed from %s",
		    ip_addr_text(text, &h->local), e->daemon.interface);
	else
		LOG(INFO, KNL, NULL, "%s is not held on %s any more", ip_addr_text(text, &h->local),
		    e->daemon.interface);
}

void held_settle(struct engine *e)
{
	struct ours ours;
	size_t num;

	if (!e->has_device || list_empty(&e->held))
		return;
	if (e->host.ops->addrs(e->host.ctx, ours.list, &num, ADDRS_MAX) || num == ADDRS_MAX)
		return; /* nothing is known to be gone */
	ours.num = (uint32_t)num;
	list_for_each (n, &e->held) {
		struct held *h = list_entry(n, struct held, node);
		const bool gone = !ours_has(&ours, &h->local);

		if (gone && !h->there)
			put_on(e, h);
		else if (gone && h->routed) /* the kernel may have dropped it */
			routes_host(e, ROUTE_AGAIN, &h->remote, &h->local);
		else if (!gone && h->there)
			take_off(e, h);
	}
}

static struct held *find(const struct engine *e, const struct ip_addr *local,
			 const struct ip_addr *remote, bool routed)
{
	list_for_each (n, &e->held) {
		struct held *h = list_entry(n, struct held, node);

		if (h->routed == routed && ip_addr_equal(&h->local, local) &&
		    ip_addr_equal(&h->remote, remote))
			return h;
	}
	return NULL;
}

struct held *held_get(struct engine *e, const struct ip_addr *local, const struct ip_addr *remote,
		      bool routed)
{
	struct held *h = find(e, local, remote, routed);

	if (!h) {
		h = mem_alloc(sizeof(*h));
		if (!h) {
			LOG(ERROR, KNL, NULL, "no memory to hold an address of transport mode");
			return NULL;
		}
		h->local = *local;
		h->remote = *remote;
		h->routed = routed;
		list_push_back(&e->held, &h->node);
		held_settle(e);
	}
	h->refs++;
	return h;
}

void held_put(struct engine *e, struct held *h)
{
	if (!h || --h->refs)
		return;
	list_remove(&h->node);
	if (h->there)
		take_off(e, h);
	mem_free(h);
}
