/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move.h - where a peer is reached. What an authentic packet came from is at first only a place to
 * ask: at most three bytes go there for each that came, and only an answer from there moves the SA
 * and its children (S57; RFC 7296 2.23, RFC 4555 3.5, 3.7). Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* sa_move - the IKE SA and its children go along path from now on; if memory is short all stays as
 * it is, and the next packet from there asks again. */
void sa_move(struct ike_sa *sa, const struct path_addr *path, uint16_t port) NONNULL(1, 2);

/* sa_left - the peer was reached at this address until now: what still comes from there was under
 * way.
 */
void sa_left(struct ike_sa *sa, const struct endpoint *where) NONNULL(1, 2);

/* sa_move_children - the children go where sa->path says. Errors: NOMEM (they stay). */
MUST_USE enum err sa_move_children(struct ike_sa *sa) NONNULL(1);

/* path_same_remote, path_same_addrs - the same remote endpoint; the same pair of addresses, with
 * whatever ports. */
bool path_same_remote(const struct path_addr *a, const struct path_addr *b) NONNULL(1, 2);
bool path_same_addrs(const struct path_addr *a, const struct path_addr *b) NONNULL(1, 2);

/* SA_PROBE_ESP - what an ESP packet's length is at least, in an IKE message's terms. */
#define SA_PROBE_ESP 64

/* sa_probe - something authentic of len bytes came from another address, as after a NAT's change of
 * mind (RFC 7296 2.23): our next request goes there too, and only its answer from there moves the
 * SA. Ignored unless the peer is behind a NAT. */
void sa_probe(struct ike_sa *sa, const struct path_addr *path, uint16_t port, size_t len,
	      uint64_t now_ns) NONNULL(1, 2);

/* sa_probe_begin - the same because the peer says so (RFC 4555 3.5); the check is queued. nat_*: as
 * on that path. Errors: NOMEM. */
MUST_USE enum err sa_probe_begin(struct ike_sa *sa, const struct path_addr *path, uint16_t port,
				 size_t len) NONNULL(1, 2);

/* sa_probe_heard - len authentic bytes came along path. sa_probe_sent - len bytes went there. */
void sa_probe_heard(struct ike_sa *sa, const struct path_addr *path, size_t len) NONNULL(1, 2);
void sa_probe_sent(struct ike_sa *sa, const struct path_addr *path, size_t len) NONNULL(1, 2);

/* sa_probed - a response of the peer came along path: it is there. */
void sa_probed(struct ike_sa *sa, const struct path_addr *path, uint16_t port) NONNULL(1, 2);

/* struct sa_target - where one copy of a request goes. */
struct sa_target {
	struct path_addr path;
	uint16_t port;
};

/* sa_target - for the copy number `tries` of our request of len bytes; false: this one is not sent,
 * since what may go to an unproven address is used up. */
bool sa_target(struct ike_sa *sa, struct sa_target *out, uint32_t tries, size_t len) NONNULL(1, 2);
