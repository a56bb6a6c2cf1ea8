/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifetime.h - an IKE SA's timers: bound of a state, re-key, hard end, liveness (RFC 7296 2.4), NAT
 * keepalives (RFC 3948 4). Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* lifetime_init - timers that are not set. lifetime_fini - unset them. */
void lifetime_init(struct ike_sa *sa) NONNULL(1);
void lifetime_fini(struct ike_sa *sa) NONNULL(1);

/* lifetime_start - the SA is established: from now on it ages. */
void lifetime_start(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* lifetime_nat - NAT keepalives begin or end, as sa->nat_local says. */
void lifetime_nat(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* lifetime_replaced - it is only waiting for its delete. */
void lifetime_replaced(struct ike_sa *sa) NONNULL(1);
