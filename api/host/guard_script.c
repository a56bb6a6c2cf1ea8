/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/guard_script.h"

/* Bit 31 and bit 30 as nft reads them; checked against base/host.h below. */
#define NOT_OURS "meta mark & 0x80000000 == 0x80000000 accept"
#define CAPTURE  "meta mark set meta mark | 0x40000000"
#define PASS     "meta mark set meta mark | 0x20000000"
static_assert(HOST_MARK_OUTER == 0x80000000u && HOST_MARK_CAPTURE == 0x40000000u &&
		      HOST_MARK_PASS == 0x20000000u,
	      "as above");

/* Neighbour discovery must go by the wire, or the outer packets would find no way either. A hop
 * limit of 255 shows that it comes from the link (RFC 4861 6.1, 7.1). */
#define NEIGHBOURS "icmpv6 type { 133-136 } ip6 hoplimit 255 accept"

#define FRAG_V4 "ip frag-off & 0x1fff != 0"
#define FRAG_V6 "frag frag-off != 0"

/* The two groups of sets: what is guarded, and the part of it that is captured. */
#define ALL      "all"
#define CAPTURED "cap"

static const enum ip_family families[] = {IP_V4, IP_V6};

static const char *const kind_names[BOX_NUM_KINDS] = {
	[BOX_ADDR] = "addr", [BOX_PROTO] = "proto", [BOX_PORTS] = "ports",
	[BOX_ICMP] = "icmp", [BOX_FRAG] = "frag",
};

/* capturing: there only while something is captured, as a chain costs each packet that comes by. */
static const struct base_chain {
	const char *name, *hook;
	bool capturing;
} base_chains[] = {
	{"wire", "type filter hook prerouting priority -300", false},
	{"input", "type filter hook input priority -300", false},
	{"forward", "type filter hook forward priority -300", false},
	{"leave", "type filter hook postrouting priority -300", false},
	{"leave_nat", "type filter hook postrouting priority 2147483647", false},
	/* After destination NAT (-100), before the packet is routed for good. */
	{"output", "type route hook output priority -90", true},
	{"transit", "type filter hook prerouting priority -90", true},
};

static const char *const inner_chains[] = {"in", "out", "capture"};

static const char *ip_word(enum ip_family family)
{
	return family == IP_V4 ? "ip" : "ip6";
}

/* captures - anything is captured, or marked as what passes. */
static bool captures(const struct guard_spec *spec)
{
	for (size_t i = 0; i < spec->holes->num; i++)
		if (spec->holes->boxes[i].pass || spec->holes->boxes[i].capture)
			return true;
	return spec->captured->num > 0;
}

/* add_chain - it may be there. */
static void add_chain(struct text *t, const char *device, const struct base_chain *c)
{
	text_add(t, "add chain inet latchkey-%s %s { %s; policy accept; }\n", device, c->name,
		 c->hook);
}

/* ---- sets -------------------------------------------------------------------------------------
 */

static void add_set(struct text *t, const char *device, const char *group, enum box_kind kind,
		    enum ip_family family, char x)
{
	const char *addr = family == IP_V4 ? "ipv4_addr" : "ipv6_addr";
	const char *icmp = family == IP_V4 ? "icmp" : "icmpv6";

	text_add(t, "add set inet latchkey-%s %s_%s%d_%c { type %s . %s", device, group,
		 kind_names[kind], (int)family, x, addr, addr);
	if (kind == BOX_ICMP)
		text_add(t, " . %s_type . %s_code", icmp, icmp);
	else if (kind != BOX_ADDR)
		text_add(t, " . inet_proto");
	if (kind == BOX_PORTS)
		text_add(t, " . inet_service . inet_service");
	text_add(t, "; flags interval; }\n");
}

static void add_addrs(struct text *t, const struct ip_addr *lo, const struct ip_addr *hi)
{
	char lo_text[IP_TEXT_MAX], hi_text[IP_TEXT_MAX];

	text_add(t, "%s-%s", ip_addr_text(lo_text, lo), ip_addr_text(hi_text, hi));
}

static void add_element(struct text *t, const struct guard_box *b)
{
	add_addrs(t, &b->local_lo, &b->local_hi);
	text_add(t, " . ");
	add_addrs(t, &b->remote_lo, &b->remote_hi);
	if (b->kind != BOX_ADDR && b->kind != BOX_ICMP)
		text_add(t, " . %u", b->proto);
	if (b->kind == BOX_PORTS || b->kind == BOX_ICMP)
		text_add(t, " . %u-%u . %u-%u", b->a_lo, b->a_hi, b->b_lo, b->b_hi);
	text_add(t, ", ");
}

static void build_set(struct text *t, const struct guard_spec *spec, const char *group,
		      const struct guard_plan *plan, enum box_kind kind, enum ip_family family,
		      char x)
{
	if (!guard_plan_has(plan, kind, family, false))
		return;
	add_set(t, spec->device, group, kind, family, x);
	text_add(t, "flush set inet latchkey-%s %s_%s%d_%c\n", spec->device, group,
		 kind_names[kind], (int)family, x);
	text_add(t, "add element inet latchkey-%s %s_%s%d_%c { ", spec->device, group,
		 kind_names[kind], (int)family, x);
	for (size_t i = 0; i < plan->num; i++) {
		const struct guard_box *b = &plan->boxes[i];

		if (b->kind == kind && b->local_lo.family == family && !b->loose)
			add_element(t, b);
	}
	text_add(t, "}\n");
}

static void build_sets(struct text *t, const struct guard_spec *spec, char x)
{
	for (enum box_kind kind = 0; kind < BOX_NUM_KINDS; kind++)
		for (size_t f = 0; f < ARRAY_LEN(families); f++) {
			build_set(t, spec, ALL, spec->all, kind, families[f], x);
			/* Fragments are left to the guard: they cannot be captured by port. */
			if (kind != BOX_FRAG)
				build_set(t, spec, CAPTURED, spec->captured, kind, families[f], x);
		}
}

/* ---- look-ups ---------------------------------------------------------------------------------
 */

/* add_match - the left side of a rule that asks a set. inbound: the destination is local. */
static void add_match(struct text *t, const char *group, enum box_kind kind, enum ip_family family,
		      char x, bool inbound)
{
	const char *ip = ip_word(family), *icmp = family == IP_V4 ? "icmp" : "icmpv6";
	const char *local = inbound ? "d" : "s", *remote = inbound ? "s" : "d";

	if (kind == BOX_FRAG)
		text_add(t, "%s ", family == IP_V4 ? FRAG_V4 : FRAG_V6);
	text_add(t, "%s %saddr . %s %saddr", ip, local, ip, remote);
	if (kind == BOX_ICMP)
		text_add(t, " . %s type . %s code", icmp, icmp);
	else if (kind != BOX_ADDR)
		text_add(t, " . meta l4proto");
	if (kind == BOX_PORTS)
		text_add(t, " . th %sport . th %sport", local, remote);
	text_add(t, " @%s_%s%d_%c ", group, kind_names[kind], (int)family, x);
}

/* add_loose_match - the left side of a rule for one box. */
static void add_loose_match(struct text *t, const struct guard_box *b, bool inbound)
{
	enum ip_family family = b->local_lo.family;
	const char *ip = ip_word(family), *icmp = family == IP_V4 ? "icmp" : "icmpv6";
	const char *local = inbound ? "d" : "s", *remote = inbound ? "s" : "d";

	if (b->kind == BOX_FRAG)
		text_add(t, "%s ", family == IP_V4 ? FRAG_V4 : FRAG_V6);
	text_add(t, "%s %saddr ", ip, local);
	add_addrs(t, &b->local_lo, &b->local_hi);
	text_add(t, " %s %saddr ", ip, remote);
	add_addrs(t, &b->remote_lo, &b->remote_hi);
	if (b->kind == BOX_ICMP)
		text_add(t, " %s type %u-%u %s code %u-%u", icmp, b->a_lo, b->a_hi, icmp, b->b_lo,
			 b->b_hi);
	else if (b->kind != BOX_ADDR)
		text_add(t, " meta l4proto %u", b->proto);
	if (b->kind == BOX_PORTS)
		text_add(t, " th %sport %u-%u th %sport %u-%u", local, b->a_lo, b->a_hi, remote,
			 b->b_lo, b->b_hi);
	text_add(t, " ");
}

/* struct lookup - one inner chain: which boxes, seen from which side, and what becomes of a hit. */
struct lookup {
	const char *chain, *group, *action;
	const struct guard_plan *plan;
	bool inbound;
};

/* hole_action - what becomes of a packet that matches a box of the ordered list. */
static const char *hole_action(const struct lookup *l, const struct guard_box *b)
{
	if (strcmp(l->group, CAPTURED) != 0)
		return b->pass ? "accept" : l->action;
	if (b->pass)
		return PASS " accept";
	return b->capture ? CAPTURE " accept" : "accept";
}

/* build_holes - in front of everything else: the first box that matches decides. */
static void build_holes(struct text *t, const char *device, const struct lookup *l,
			const struct guard_plan *holes, char x)
{
	for (size_t i = 0; i < holes->num; i++) {
		text_add(t, "add rule inet latchkey-%s %s_%c ", device, l->chain, x);
		add_loose_match(t, &holes->boxes[i], l->inbound);
		text_add(t, "%s\n", hole_action(l, &holes->boxes[i]));
	}
}

static void build_lookup(struct text *t, const char *device, const struct lookup *l, char x)
{
	bool captured = strcmp(l->group, CAPTURED) == 0;

	for (enum box_kind kind = 0; kind < BOX_NUM_KINDS; kind++)
		for (size_t f = 0; f < ARRAY_LEN(families); f++) {
			if ((captured && kind == BOX_FRAG) ||
			    !guard_plan_has(l->plan, kind, families[f], false))
				continue;
			text_add(t, "add rule inet latchkey-%s %s_%c ", device, l->chain, x);
			add_match(t, l->group, kind, families[f], x, l->inbound);
			text_add(t, "%s\n", l->action);
		}
	for (size_t i = 0; i < l->plan->num; i++) {
		if (!l->plan->boxes[i].loose || (captured && l->plan->boxes[i].kind == BOX_FRAG))
			continue;
		text_add(t, "add rule inet latchkey-%s %s_%c ", device, l->chain, x);
		add_loose_match(t, &l->plan->boxes[i], l->inbound);
		text_add(t, "%s\n", l->action);
	}
}

static void build_table(struct text *t, const struct guard_spec *spec, char x)
{
	const char *device = spec->device;

	text_add(t, "add table inet latchkey-%s\n", device);
	text_add(t, "add counter inet latchkey-%s entering\n", device);
	text_add(t, "add counter inet latchkey-%s leaving\n", device);
	for (size_t i = 0; i < ARRAY_LEN(base_chains); i++)
		if (!base_chains[i].capturing || captures(spec))
			add_chain(t, device, &base_chains[i]);
	for (size_t i = 0; i < ARRAY_LEN(inner_chains); i++) {
		text_add(t, "add chain inet latchkey-%s %s_%c\n", device, inner_chains[i], x);
		text_add(t, "flush chain inet latchkey-%s %s_%c\n", device, inner_chains[i], x);
	}
}

void guard_script_build(struct text *t, const struct guard_spec *spec, char x)
{
	const struct lookup lookups[] = {
		{"in", ALL, "counter name entering drop", spec->all, true},
		{"out", ALL, "counter name leaving drop", spec->all, false},
		{"capture", CAPTURED, CAPTURE, spec->captured, false},
	};

	build_table(t, spec, x);
	build_sets(t, spec, x);
	for (size_t i = 0; i < ARRAY_LEN(lookups); i++) {
		build_holes(t, spec->device, &lookups[i], spec->holes, x);
		build_lookup(t, spec->device, &lookups[i], x);
	}
}

/* ---- base chains ------------------------------------------------------------------------------
 */

static void add_rule(struct text *t, const char *device, const char *chain, const char *rule)
{
	text_add(t, "add rule inet latchkey-%s %s %s\n", device, chain, rule);
}

/* add_own_side - what goes by the device, or never leaves the host, is not the guard's. */
static void add_own_side(struct text *t, const struct guard_spec *spec, const char *chain,
			 const char *dir)
{
	text_add(t, "add rule inet latchkey-%s %s %sname { \"lo\", \"%s\"", spec->device, chain,
		 dir, spec->device);
	for (size_t i = 0; i < spec->num_devices; i++)
		text_add(t, ", \"%s\"", spec->devices[i]);
	text_add(t, " } accept\n");
}

/* add_way_back - into which virtual interface traffic goes is for the operator's routes to say:
 * where they send an address there, it comes from there and from nowhere else. */
static void add_way_back(struct text *t, const struct guard_spec *spec, const char *chain)
{
	for (size_t i = 0; i < spec->num_devices; i++)
		text_add(t,
			 "add rule inet latchkey-%s %s fib saddr oifname \"%s\" counter name "
			 "entering drop\n",
			 spec->device, chain, spec->devices[i]);
}

static void add_jump(struct text *t, const char *device, const char *chain, const char *to, char x)
{
	text_add(t, "add rule inet latchkey-%s %s jump %s_%c\n", device, chain, to, x);
}

/* switch_arriving - our own outer traffic arrives at our sockets: IKE and ESP in UDP, later
 * fragments of it, which show no port (alone they make no datagram), raw ESP, and answers to what
 * the host itself fetches in the clear by TCP or asks RADIUS servers by UDP, whose sockets have no
 * port of their own. */
static void switch_arriving(struct text *t, const struct guard_spec *spec, const char *chain,
			    char x)
{
	const char *device = spec->device;

	add_own_side(t, spec, chain, "iif");
	add_rule(t, device, chain, NEIGHBOURS);
	text_add(t, "add rule inet latchkey-%s %s udp dport { ", device, chain);
	for (size_t i = 0; i < spec->num_ports; i++)
		text_add(t, "%u, ", spec->ports[i]);
	text_add(t, "} fib daddr type local accept\n");
	add_rule(t, device, chain, "meta l4proto esp fib daddr type local accept");
	add_rule(t, device, chain, FRAG_V4 " meta l4proto udp fib daddr type local accept");
	add_rule(t, device, chain, FRAG_V6 " meta l4proto udp fib daddr type local accept");
	if (spec->sockets)
		add_rule(t, device, chain,
			 "meta l4proto { tcp, udp } fib daddr type local " GUARD_OF_SOCKET
			 " accept");
	add_jump(t, device, chain, "in", x);
}

static void switch_leaving(struct text *t, const struct guard_spec *spec, const char *chain,
			   const char *to, char x)
{
	const char *device = spec->device;

	add_own_side(t, spec, chain, "oif");
	add_rule(t, device, chain, NOT_OURS);
	add_rule(t, device, chain, NEIGHBOURS);
	add_jump(t, device, chain, to, x);
}

/* switch_capturing - what a route leads to the device may be what passes, so output looks at it as
 * well. */
static void switch_capturing(struct text *t, const struct guard_spec *spec, char x)
{
	const char *device = spec->device;

	if (!captures(spec))
		return;
	text_add(t, "add rule inet latchkey-%s output oifname { \"lo\"", device);
	for (size_t i = 0; i < spec->num_devices; i++)
		text_add(t, ", \"%s\"", spec->devices[i]);
	text_add(t, " } accept\n");
	add_rule(t, device, "output", NOT_OURS);
	add_rule(t, device, "output", NEIGHBOURS);
	add_jump(t, device, "output", "capture", x);
	add_own_side(t, spec, "transit", "iif");
	add_jump(t, device, "transit", "capture", x);
}

/* empty_base - all base chains, of which those that are of no use go. */
static void empty_base(struct text *t, const struct guard_spec *spec)
{
	for (size_t i = 0; i < ARRAY_LEN(base_chains); i++) {
		const struct base_chain *c = &base_chains[i];
		bool useless = c->capturing && !captures(spec);

		/* Made first, so that it may be absent. */
		if (useless)
			add_chain(t, spec->device, c);
		text_add(t, "flush chain inet latchkey-%s %s\n", spec->device, c->name);
		if (useless)
			text_add(t, "delete chain inet latchkey-%s %s\n", spec->device, c->name);
	}
}

void guard_script_switch(struct text *t, const struct guard_spec *spec, char x)
{
	const char *device = spec->device;

	empty_base(t, spec);
	switch_arriving(t, spec, "wire", x);
	add_way_back(t, spec, "wire");
	switch_arriving(t, spec, "input", x);
	add_own_side(t, spec, "forward", "iif");
	add_jump(t, device, "forward", "in", x);
	switch_leaving(t, spec, "leave", "out", x);
	switch_leaving(t, spec, "leave_nat", "out", x);
	switch_capturing(t, spec, x);
}

static void clear_set(struct text *t, const char *device, const char *group, enum box_kind kind,
		      enum ip_family family, char x)
{
	/* Made first, so that it may be absent. */
	add_set(t, device, group, kind, family, x);
	text_add(t, "delete set inet latchkey-%s %s_%s%d_%c\n", device, group, kind_names[kind],
		 (int)family, x);
}

void guard_script_clear(struct text *t, const char *device, char x)
{
	for (size_t i = 0; i < ARRAY_LEN(inner_chains); i++) {
		text_add(t, "add chain inet latchkey-%s %s_%c\n", device, inner_chains[i], x);
		text_add(t, "flush chain inet latchkey-%s %s_%c\n", device, inner_chains[i], x);
		text_add(t, "delete chain inet latchkey-%s %s_%c\n", device, inner_chains[i], x);
	}
	for (enum box_kind kind = 0; kind < BOX_NUM_KINDS; kind++)
		for (size_t f = 0; f < ARRAY_LEN(families); f++) {
			clear_set(t, device, ALL, kind, families[f], x);
			clear_set(t, device, CAPTURED, kind, families[f], x);
		}
}
