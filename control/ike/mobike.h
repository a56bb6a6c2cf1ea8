/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mobike.h - an IKE SA whose addresses change (RFC 4555). The side that began the first IKE SA of a
 * series decides: it tells the other with UPDATE_SA_ADDRESSES, tries other pairs of addresses when
 * nothing is answered any more (3.10), and finds out when a NAT maps it elsewhere (3.8). The other
 * side says what addresses it has, and follows after it has asked at the new one. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* mobike_offer - into an IKE_AUTH message: MOBIKE_SUPPORTED and our other addresses, if the
 * connection wants it and, as responder, the peer offered it. */
void mobike_offer(struct step *s) NONNULL(1);

/* mobike_take - from the peer's IKE_AUTH message, once sa->conn is known. */
void mobike_take(struct step *s) NONNULL(1);

/* mobike_inherit - an IKE SA that takes another one's place goes on where that one was. */
void mobike_inherit(struct ike_sa *sa, struct ike_sa *old) NONNULL(1, 2);

/* mobike_heard - an authentic message came: from where the peer is asked for, or, as response to
 * what was tried, along another path. */
void mobike_heard(struct ike_sa *sa, const struct ike_header *h, const struct ike_datagram *dg,
		  uint64_t now_ns) NONNULL(1, 2, 3);

/* mobike_go - we decide that the SA goes along path: requests at once, children too unless the peer
 * has yet to answer from there (3.5); the peer is told. */
void mobike_go(struct ike_sa *sa, const struct path_addr *path, uint64_t now_ns) NONNULL(1, 2);

/* mobike_keep - the peer is no longer talked to at `left`, but at sa->path: what it told is which
 * addresses it has beside the one in use (RFC 4555 3.4), and that is another one now. It stays one
 * to be found at until the peer tells anew. For who decides about addresses; else nothing happens.
 */
void mobike_keep(struct ike_sa *sa, const struct ip_addr *left) NONNULL(1, 2);

/* mobike_moved - the peer knows where we are. mobike_greet - the next of a few messages after that,
 * which only give it room to ask. */
void mobike_moved(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);
void mobike_greet(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* mobike_detour - beside copy number `tries` of a request another one goes along *out: after a few,
 * or, of several paths, if our end of that of IKE is gone. False if there is no reason or no other
 * path. */
bool mobike_detour(struct ike_sa *sa, struct sa_target *out, uint32_t tries) NONNULL(1, 2);

/* mobike_candidate - another pair of addresses to reach the peer by; false if there is none. */
bool mobike_candidate(struct ike_sa *sa, struct path_addr *out) NONNULL(1, 2);

/* mobike_ours - the addresses that the peer may be told of beside the one in use. */
void mobike_ours(const struct ike_sa *sa, struct mobike_addrs *out) NONNULL(1, 2);

/* mobike_settled - the IKE SA goes by another path from now on: the peer is told of our other
 * addresses if it could not be before. */
void mobike_settled(struct ike_sa *sa) NONNULL(1);

/* mobike_is_ours - it is an address of this host. */
bool mobike_is_ours(const struct ike_sa *sa, const struct ip_addr *a) NONNULL(1, 2);

/* mobike_question - what asks whether the peer lives: behind a NAT whose mapping is not known yet
 * it is also told where we are, so that a mapping that changed before is mended (3.8). */
enum task_kind mobike_question(const struct ike_sa *sa) NONNULL(1);

/* mobike_detect - NAT detection into a question whether the peer lives, where we are behind a NAT.
 * mobike_detected - the answer: has the NAT changed its mind? (3.8) Errors: CRYPTO. */
MUST_USE enum err mobike_detect(struct step *s) NONNULL(1);
void mobike_detected(struct step *s) NONNULL(1);

/* mobike_echo - what the answer to any INFORMATIONAL request has of it: COOKIE2, and NAT detection
 * if the request has it (3.7, 3.8). Errors: CRYPTO. */
MUST_USE enum err mobike_echo(struct step *s) NONNULL(1);

/* mobike_nat - the path has these NATs from now on: keepalives begin or end. */
void mobike_nat(struct ike_sa *sa, bool local, bool remote, uint64_t now_ns) NONNULL(1);

/* mobike_answer - the owner hears what came of the move that it asked for, if it asked for one:
 * status is 0, or an enum mif_status that says why not. */
void mobike_answer(struct ike_sa *sa, uint16_t status) NONNULL(1);

/* mobike_path - an operation of the owner (ike_path()) on an IKE SA whose peer knows of one path
 * only: SOFT and HARD move it, by MOBIKE or with another one in its place. Errors: UNSUPPORTED
 * (another operation), PERM (the peer decides), NOT_FOUND (a path is named by number), INVAL (an
 * address that this host has not, or that the peer is not known to have), EXISTS (one in its place
 * is being made), NOMEM. request: told with the news of what came
 * of it. */
MUST_USE enum err mobike_path(struct ike_sa *sa, const struct ike_path_op *op, uint64_t request,
			      uint64_t now_ns) NONNULL(1, 2);
