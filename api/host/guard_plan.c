/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/guard_plan.h"

#include <netinet/in.h>

#include "base/alloc.h"

/* ---- boxes ------------------------------------------------------------------------------------
 */

static bool comparable(const struct guard_box *x, const struct guard_box *y)
{
	return x->kind == y->kind && x->local_lo.family == y->local_lo.family &&
	       x->proto == y->proto;
}

static bool addr_inside(const struct ip_addr *lo, const struct ip_addr *hi,
			const struct ip_addr *in_lo, const struct ip_addr *in_hi)
{
	return ip_addr_cmp(in_lo, lo) <= 0 && ip_addr_cmp(hi, in_hi) <= 0;
}

static bool addr_meets(const struct ip_addr *lo, const struct ip_addr *hi,
		       const struct ip_addr *other_lo, const struct ip_addr *other_hi)
{
	return ip_addr_cmp(lo, other_hi) <= 0 && ip_addr_cmp(other_lo, hi) <= 0;
}

/* box_inside - every packet of x is one of y. */
static bool box_inside(const struct guard_box *x, const struct guard_box *y)
{
	return comparable(x, y) &&
	       addr_inside(&x->local_lo, &x->local_hi, &y->local_lo, &y->local_hi) &&
	       addr_inside(&x->remote_lo, &x->remote_hi, &y->remote_lo, &y->remote_hi) &&
	       y->a_lo <= x->a_lo && x->a_hi <= y->a_hi && y->b_lo <= x->b_lo && x->b_hi <= y->b_hi;
}

static bool box_meets(const struct guard_box *x, const struct guard_box *y)
{
	return comparable(x, y) &&
	       addr_meets(&x->local_lo, &x->local_hi, &y->local_lo, &y->local_hi) &&
	       addr_meets(&x->remote_lo, &x->remote_hi, &y->remote_lo, &y->remote_hi) &&
	       x->a_lo <= y->a_hi && y->a_lo <= x->a_hi && x->b_lo <= y->b_hi && y->b_lo <= x->b_hi;
}

static enum err plan_add(struct guard_plan *plan, struct guard_box box)
{
	box.loose = plan->ordered;
	for (size_t i = 0; i < plan->num; i++) {
		if (box_inside(&box, &plan->boxes[i]))
			return ERR_OK;
		if (!plan->boxes[i].loose && box_meets(&box, &plan->boxes[i]))
			box.loose = true;
	}
	if (plan->num == plan->cap) {
		size_t cap = plan->cap ? plan->cap * 2 : 16;
		struct guard_box *grown = mem_grow(plan->boxes, cap, sizeof(*grown));

		if (!grown)
			return ERR_NOMEM;
		plan->boxes = grown;
		plan->cap = cap;
	}
	plan->boxes[plan->num++] = box;
	return ERR_OK;
}

/* ---- from selectors ---------------------------------------------------------------------------
 */

static bool any_port(const struct ts *t)
{
	/* OPAQUE (lo 65535, hi 0) is any to us: what shows no port must not slip through. */
	return t->port_lo > t->port_hi || (t->port_lo == 0 && t->port_hi == UINT16_MAX);
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

static bool is_icmp(uint8_t proto, uint8_t family)
{
	return proto == (family == IP_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static enum err add_plain(struct guard_plan *plan, struct guard_box box, enum box_kind kind)
{
	box.kind = (uint8_t)kind;
	box.a_lo = box.b_lo = 0;
	box.a_hi = box.b_hi = UINT16_MAX;
	return plan_add(plan, box);
}

static enum err add_ports(struct guard_plan *plan, struct guard_box box, uint8_t proto,
			  const struct ts *local, const struct ts *remote)
{
	enum err err;

	box.kind = BOX_PORTS;
	box.proto = proto;
	box.a_lo = any_port(local) ? 0 : local->port_lo;
	box.a_hi = any_port(local) ? UINT16_MAX : local->port_hi;
	box.b_lo = any_port(remote) ? 0 : remote->port_lo;
	box.b_hi = any_port(remote) ? UINT16_MAX : remote->port_hi;
	err = plan_add(plan, box);
	return err || box.pass ? err : add_plain(plan, box, BOX_FRAG);
}

/* add_any_with_ports - "port 80 of whatever has ports". */
static enum err add_any_with_ports(struct guard_plan *plan, struct guard_box box,
				   const struct ts *local, const struct ts *remote)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP,
					 IPPROTO_UDPLITE};
	enum err err = ERR_OK;

	for (size_t i = 0; i < ARRAY_LEN(protos) && !err; i++)
		err = add_ports(plan, box, protos[i], local, remote);
	return err;
}

static enum err add_icmp_box(struct guard_plan *plan, struct guard_box box, unsigned type_lo,
			     unsigned type_hi, unsigned code_lo, unsigned code_hi)
{
	if (type_lo > type_hi)
		return ERR_OK;
	box.kind = BOX_ICMP;
	box.a_lo = (uint16_t)type_lo;
	box.a_hi = (uint16_t)type_hi;
	box.b_lo = (uint16_t)code_lo;
	box.b_hi = (uint16_t)code_hi;
	return plan_add(plan, box);
}

/* add_icmp - a range of type << 8 | code: part of the first type, whole types, part of the last. */
static enum err add_icmp(struct guard_plan *plan, struct guard_box box, const struct ts *range)
{
	unsigned type_lo = range->port_lo >> 8, code_lo = range->port_lo & 255;
	unsigned type_hi = range->port_hi >> 8, code_hi = range->port_hi & 255;
	enum err err;

	if (any_port(range))
		return ERR_OK;
	if (type_lo == type_hi) {
		err = add_icmp_box(plan, box, type_lo, type_hi, code_lo, code_hi);
	} else {
		err = add_icmp_box(plan, box, type_lo, type_lo, code_lo, 255);
		if (!err)
			err = add_icmp_box(plan, box, type_lo + 1, type_hi - 1, 0, 255);
		if (!err)
			err = add_icmp_box(plan, box, type_hi, type_hi, 0, code_hi);
	}
	return err || box.pass ? err : add_plain(plan, box, BOX_FRAG);
}

static bool opaque(const struct ts *t)
{
	return t->port_lo > t->port_hi;
}

/* too_wide - the boxes of this pair say more than the pair does: it makes no hole. */
static bool too_wide(const struct ts *local, const struct ts *remote, uint8_t proto)
{
	bool one = !any_port(local), other = !any_port(remote);

	if (opaque(local) || opaque(remote))
		return true;
	if (is_icmp(proto, local->lo.family))
		return one && other;
	return (one || other) && proto && !has_ports(proto);
}

static enum err add_pair(struct guard_plan *plan, const struct guard_entry *e)
{
	const struct ts *local = &e->local, *remote = &e->remote;
	bool ports = !any_port(local) || !any_port(remote);
	struct guard_box box = {
		.local_lo = local->lo,
		.local_hi = local->hi,
		.remote_lo = remote->lo,
		.remote_hi = remote->hi,
		.proto = local->proto ? local->proto : remote->proto,
		.pass = e->pass,
		.capture = e->capture,
	};
	enum err err;

	if (!ts_valid(local) || !ts_valid(remote))
		return ERR_INVAL;
	if (local->lo.family != remote->lo.family ||
	    (local->proto && remote->proto && local->proto != remote->proto))
		return ERR_OK;
	if (e->pass && too_wide(local, remote, box.proto))
		return ERR_OK;
	if (!box.proto)
		return ports ? add_any_with_ports(plan, box, local, remote)
			     : add_plain(plan, box, BOX_ADDR);
	if (ports && has_ports(box.proto))
		return add_ports(plan, box, box.proto, local, remote);
	if (ports && is_icmp(box.proto, local->lo.family)) {
		/* Either side's selector may carry type and code (RFC 4301 4.4.1.1). */
		err = add_icmp(plan, box, local);
		return err ? err : add_icmp(plan, box, remote);
	}
	return add_plain(plan, box, BOX_PROTO);
}

enum err guard_plan_make(struct guard_plan *out, const struct guard_entry *entries,
			 size_t num_entries, bool captured_only)
{
	struct guard_plan plan = {0};
	enum err err = ERR_OK;

	for (size_t i = 0; i < num_entries && !err; i++)
		if (!entries[i].pass && (!captured_only || entries[i].capture))
			err = add_pair(&plan, &entries[i]);
	if (err)
		guard_plan_fini(&plan);
	else
		*out = plan;
	return err;
}

enum err guard_plan_holes(struct guard_plan *out, const struct guard_entry *entries,
			  size_t num_entries)
{
	struct guard_plan plan = {.ordered = true};
	enum err err = ERR_OK;

	while (num_entries && !entries[num_entries - 1].pass)
		num_entries--;
	for (size_t i = 0; i < num_entries && !err; i++)
		err = add_pair(&plan, &entries[i]);
	if (err)
		guard_plan_fini(&plan);
	else
		*out = plan;
	return err;
}

void guard_plan_fini(struct guard_plan *plan)
{
	mem_free(plan->boxes);
	*plan = (struct guard_plan){0};
}

bool guard_plan_has(const struct guard_plan *plan, enum box_kind kind, enum ip_family family,
		    bool loose)
{
	for (size_t i = 0; i < plan->num; i++)
		if (plan->boxes[i].kind == kind && plan->boxes[i].local_lo.family == family &&
		    plan->boxes[i].loose == loose)
			return true;
	return false;
}
