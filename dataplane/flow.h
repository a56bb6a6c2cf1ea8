/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h - which conversation an inner IP packet belongs to, and whether selectors match it (RFC
 * 4301 4.4.1.1). Pure functions, any thread.
 */
#pragma once

#include "base/addr.h"
#include "dataplane/packet.h"

/* enum flow_dir - which end of an inner packet is ours. */
enum flow_dir {
	FLOW_OUT, /* its source is local */
	FLOW_IN,  /* its destination is local */
};

/* struct flow_key - a flow, and whether its ports are not known: a fragment that is not the first
 * has none (RFC 4301 7). */
struct flow_key {
	struct flow flow;
	uint32_t no_ports; /* 0 or 1 */
	uint32_t zero;
};
static_assert(sizeof(struct flow_key) == 56, "compared and hashed as seven words");

/* flow_parse - the key of the inner packet p, which is cut to the length its IP header names (what
 * follows is link or TFC padding, RFC 4303 2.7). False if it is not well-formed. */
MUST_USE bool flow_parse(struct flow_key *out, struct packet *p, enum flow_dir dir) NONNULL(1, 2);

/* flow_match - some local selector and some remote one match. Where ports are not known only the
 * selectors that admit any port, or OPAQUE, match. ICMP's type and code are both ends' port. */
bool flow_match(const struct flow_key *key, const struct ts *local, uint32_t num_local,
		const struct ts *remote, uint32_t num_remote) NONNULL(1);

/* FLOW_MAX_SELECTORS - of one side of a policy or SA. */
#define FLOW_MAX_SELECTORS 64

/* flow_selectors_valid - 1 to FLOW_MAX_SELECTORS valid selectors. ts may be NULL if num is 0. */
bool flow_selectors_valid(const struct ts *ts, uint32_t num);
