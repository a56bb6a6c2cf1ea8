/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vif_class.c - whose a packet is, by the interface that it came by: for sockets that no mark can
 * tell (a TUN, a host without nftables). An interface that nothing ever came out of is its first
 * class's: the data path lets no other's packets out of it. Once there is another one it is
 * nobody's, until it is made anew, for what is read now may have come before.
 *
 * Who asks may believe the answer for VIF_TOLD_NS from when he asked, so that not every datagram is
 * a question. So long others' packets are dropped, and the device stays, that its index names no
 * other one meanwhile. Loop thread.
 */
#include "api/engine/internal.h"

/* VIF_TOLD_NS - how long an answer holds. VIF_SPARE_NS - what is done after that waits for so much
 * longer. */
#define VIF_TOLD_NS  NS_PER_S
#define VIF_SPARE_NS (NS_PER_S / 10)

static bool look_at(const struct engine *e, const struct vif *v, struct host_link *out,
		    const struct ip_addr *addr)
{
	return e->host.ops->link_look && !e->host.ops->link_look(e->host.ctx, out, v->name, addr);
}

/* lift - what was told is believed no more. */
static void lift(struct timer *t, uint64_t now_ns)
{
	struct vif *v = container_of(t, struct vif, lift);

	(void)now_ns;
	if (v->mixed && v->scope && dataplane_vif_only(v->engine->dp, v->scope, 0))
		LOG(ERROR, KNL, NULL, "%s: the data path cannot go on", v->name);
}

void vif_class_open(struct engine *e, struct vif *v)
{
	static const struct ip_addr none;
	struct host_link link;

	timer_init(&v->lift, lift);
	if (v->marks)
		return;
	if (!look_at(e, v, &link, &none)) {
		v->mixed = true;
		return;
	}
	v->ifindex = link.ifindex;
	v->mixed = link.used;
	if (v->mixed)
		LOG(INFO, KNL, NULL,
		    "%s was used before: it does not tell sockets whose a packet is", v->name);
}

static void mix(struct engine *e, struct vif *v)
{
	LOG(INFO, KNL, NULL,
	    "%s carries the packets of several peers or qualities: it does not tell sockets whose "
	    "one is",
	    v->name);
	v->mixed = true;
	v->only = 0;
	timer_set(&e->timers, &v->lift, v->told_until_ns);
}

void vif_class_joined(struct engine *e, struct vif *v, uint32_t token)
{
	if (!v->ifindex || v->mixed || v->only == token)
		return;
	if (v->only) {
		mix(e, v);
		return;
	}
	if (dataplane_vif_only(e->dp, v->scope, token)) {
		LOG(ERROR, KNL, NULL, "%s: the data path cannot go on", v->name);
		v->mixed = true;
		return;
	}
	v->only = token;
}

bool vif_class_busy(struct engine *e, struct vif *v)
{
	if (v->told_until_ns <= engine_now(e))
		return false;
	if (!timer_is_set(&v->lift))
		timer_set(&e->timers, &v->lift, v->told_until_ns);
	return true;
}

/* What the host sends to an address of the device itself, or to many, it takes for what came by the
 * device, whoever sent it. */
static bool is_from_it(const struct host_link *link, const struct ip_addr *to)
{
	bool many = to->family == IP_V4 ? to->b[0] >= 224 : to->b[0] == 0xff;

	return !link->has && !many;
}

enum err vif_class_of(struct engine *e, uint32_t *out_token, uint32_t *out_ms, uint32_t ifindex,
		      const struct ip_addr *to)
{
	list_for_each (n, &e->vifs) {
		struct vif *v = list_entry(n, struct vif, node);
		struct host_link link;

		if (!v->only || v->ifindex != ifindex || !v->wanted)
			continue;
		if (!look_at(e, v, &link, to) || link.ifindex != ifindex || !is_from_it(&link, to))
			return ERR_NOT_FOUND;
		v->told_until_ns = engine_now(e) + VIF_TOLD_NS + VIF_SPARE_NS;
		*out_token = v->only;
		*out_ms = VIF_TOLD_NS / NS_PER_MS;
		return ERR_OK;
	}
	return ERR_NOT_FOUND;
}
