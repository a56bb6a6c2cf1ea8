/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reauth.h - who an established IKE SA is with is asked again, perhaps in another way (RFC 7296
 * 2.8.3): an IKE SA of its own is made with the same peer, by IKE_SA_INIT and IKE_AUTH, and the
 * same children; only when it has them the old one is closed. If it comes to nothing the old one
 * stays as it was. Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* reauth_along - a new one along this path, which the peer is told of in no other way. Errors:
 * NOT_FOUND (its connection is gone from the configuration), EXISTS (one is under way), UNSUPPORTED
 * (it has lent this host addresses, which are in one place at a time), NOMEM, LIMIT. */
MUST_USE enum err reauth_along(struct ike_sa *old, const struct path_addr *path, uint16_t port,
			       uint64_t now_ns) NONNULL(1, 2);

/* reauth_again - a new one by the same path, as the configuration says now. Errors: NOT_FOUND,
 * EXISTS (as above), NOMEM, LIMIT. */
MUST_USE enum err reauth_again(struct ike_sa *old, uint64_t now_ns) NONNULL(1);

/* reauth_elsewhere - a new one with another gateway, at the end of path, which begins with the next
 * turn. Errors: as reauth_again(). */
MUST_USE enum err reauth_elsewhere(struct ike_sa *old, struct ike_sa **out,
				   const struct path_addr *path) NONNULL(1, 2, 3);

/* reauth_old - the one whose place sa is to take, while it is up; NULL: there is none. */
const struct ike_sa *reauth_old(const struct ike_sa *sa) NONNULL(1);

/* reauth_replaces - a new one that is to be in its place is being made. */
bool reauth_replaces(const struct ike_sa *old) NONNULL(1);

/* reauth_gone - sa, which comes to nothing, was to be in another's place: that one is asked whether
 * its peer is there, where it was to move. */
void reauth_gone(struct ike_sa *sa) NONNULL(1);

/* reauth_settle - sa has nothing more to do: if it is to be in another's place, and has a child
 * where that one has some, that one is closed; else it is closed itself. */
void reauth_settle(struct ike_sa *sa) NONNULL(1);

/* reauth_hand_on - to is what from was to be: in the place of another one. */
void reauth_hand_on(struct ike_sa *from, struct ike_sa *to) NONNULL(1, 2);

/* reauth_follow - new is in the place of old: so it is for what was to replace old. */
void reauth_follow(const struct ike_sa *old, struct ike_sa *new) NONNULL(1, 2);

/* reauth_same_key - both IKE SAs' peers have signed, and by the same key: it is the same peer. */
bool reauth_same_key(const struct ike_sa *sa) NONNULL(1);
