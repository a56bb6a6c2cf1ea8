/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sa_init.h - what the rest needs of IKE_SA_INIT (RFC 7296 1.2). Control thread.
 */
#pragma once

#include "control/ike/sa.h"

struct ike_datagram;

/* sa_init_receive - an IKE_SA_INIT request: repeats, reflections, floods and cookies (2.6, S40 to
 * S43) are dealt with without state; what remains becomes a half-open IKE SA. */
void sa_init_receive(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
		     uint64_t now_ns) NONNULL(1, 2, 3);

/* sa_init_derive - g^ir and the keys; once for each SPI pair (S42). Errors: BAD_STATE (tried
 * before), MALFORMED (the peer's public value), NOMEM, CRYPTO. */
MUST_USE enum err sa_init_derive(struct ike_sa *sa) NONNULL(1);
