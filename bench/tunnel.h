/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel.h - what the benchmarks have many of: a policy, its group, and the pair of SAs in it.
 */
#pragma once

#include "dataplane/dataplane.h"

/* tunnel_add - the pair as c says, in a group of its own, which is put into c; a policy of the same
 * selectors, owned by c->id, protects by it. c->proof may be missing: then it is one of a
 * pre-shared key. out_policy may be NULL. Errors: those of dataplane.h; what was made stays. */
MUST_USE enum err tunnel_add(struct dataplane *dp, uint32_t *out_policy, struct child_params *c)
	NONNULL(1, 3);

/* tunnel_ts - all traffic of a prefix: the first len bits of address. */
struct ts tunnel_ts(uint32_t address, uint8_t len);
