/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_plan.h - from pairs of traffic selectors to what a packet filter can look up: boxes in the
 * space (local address, remote address, protocol, two more numbers). Boxes that do not overlap can
 * live in one interval set of the kernel, whose look-up does not slow down with their number; the
 * few that overlap another one become rules. Pure functions.
 */
#pragma once

#include "base/host.h"

/* enum box_kind - what a box says beside its addresses. */
enum box_kind {
	BOX_ADDR,  /* nothing: every protocol */
	BOX_PROTO, /* the protocol */
	BOX_PORTS, /* and a = local port, b = remote port */
	BOX_ICMP,  /* ICMP or ICMPv6: a = type, b = code */
	BOX_FRAG,  /* the protocol, of later fragments, which show no port */
	BOX_NUM_KINDS
};

/* struct guard_box - inclusive ranges. */
struct guard_box {
	struct ip_addr local_lo, local_hi;
	struct ip_addr remote_lo, remote_hi;
	uint16_t a_lo, a_hi, b_lo, b_hi;
	uint8_t kind; /* enum box_kind */
	uint8_t proto;
	bool loose;   /* overlaps a box of the set: a rule of its own */
	bool pass;    /* of guard_plan_holes(): traffic that is not guarded */
	bool capture; /* of guard_plan_holes(): guarded and captured */
};

/* struct guard_plan - the boxes, without those that lie inside another. */
struct guard_plan {
	struct guard_box *boxes;
	size_t num, cap;
	bool ordered; /* of guard_plan_holes() */
};

/*
 * guard_plan_make - boxes for these entries, for the captured ones only if captured_only. A pair
 * whose families or protocols differ matches no packet and makes no box. What has ports also makes
 * a box for later fragments. OPAQUE ports and ports of protocols that have none count as any, so
 * that the guard is never narrower than the policy. On success end with guard_plan_fini(). Errors:
 * INVAL (a selector is not ts_valid()), NOMEM.
 */
MUST_USE enum err guard_plan_make(struct guard_plan *out, const struct guard_entry *entries,
				  size_t num_entries, bool captured_only) NONNULL(1);

/*
 * guard_plan_holes - what is asked before everything else, in order: the holes (entries that pass)
 * and, before them, guarded entries that stand before a hole. All boxes are loose. A hole is never
 * wider than its policy: of traffic whose ports are not seen nothing passes by a hole for ports.
 * Empty without holes. Errors: as guard_plan_make().
 */
MUST_USE enum err guard_plan_holes(struct guard_plan *out, const struct guard_entry *entries,
				   size_t num_entries) NONNULL(1);

/* guard_plan_fini - free it; the zero state is accepted. */
void guard_plan_fini(struct guard_plan *plan) NONNULL(1);

/* guard_plan_has - a box of this kind and family, loose or in the set. */
bool guard_plan_has(const struct guard_plan *plan, enum box_kind kind, enum ip_family family,
		    bool loose) NONNULL(1);
