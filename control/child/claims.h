/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claims.h - whose traffic a peer may have that may be anybody (conf_auth_rank()): none that
 * another connection names for a peer that proves who it is, and none that another peer has now
 * (RFC 7619 2.5, RFC 5386 3.1, S29). Control thread.
 */
#pragma once

#include "control/child/work.h"

/* claims_check - the negotiated selectors of w are nobody else's, if the peer may be anybody; what
 * others have now counts once it is known which anybody it is (sa->proof). Errors: PEER (s->fail
 * says whose they are). */
MUST_USE enum err claims_check(struct step *s, const struct child_work *w) NONNULL(1, 2);

/* claims_take - c was installed for a peer that proved who it is: those that may be anybody and
 * have a part of its traffic are closed. */
void claims_take(struct step *s, const struct ike_child *c) NONNULL(1, 2);

/* claims_stay - the peer may be anybody, and has its own address (`remote_ts` = dynamic): with
 * another one it would have that of whoever comes after it. */
bool claims_stay(const struct ike_sa *sa, const struct ip_addr *to) NONNULL(1, 2);
