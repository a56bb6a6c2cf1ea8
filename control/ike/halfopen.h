/* SPDX-License-Identifier: Apache-2.0 */
/*
 * halfopen.h - responders' IKE SAs that are not authenticated yet: found again by the initiator's
 * address and SPI, counted by source, bounded (S40, S43). Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* struct source - half-open IKE SAs from one IPv4 address or IPv6 /64. */
struct source {
	struct htab_node node;
	struct ip_addr addr; /* the last 8 bytes of an IPv6 address are zero */
	uint32_t num;
};

/* halfopen_find - the half-open or young IKE SA of a repeated IKE_SA_INIT request, or NULL. */
struct ike_sa *halfopen_find(const struct ike_engine *e, const struct endpoint *from,
			     uint64_t spi_i) NONNULL(1, 2);

/* halfopen_enter - from now on it is found and counted. Errors: NOMEM. */
MUST_USE enum err halfopen_enter(struct ike_sa *sa) NONNULL(1);

/* halfopen_authenticated - it no longer counts; repeats of its IKE_SA_INIT are still found. */
void halfopen_authenticated(struct ike_sa *sa) NONNULL(1);

/* halfopen_leave - it is not found any more. One that never entered is accepted. One that said who
 * it is and failed to prove it counts for its source a few seconds longer. */
void halfopen_leave(struct ike_sa *sa) NONNULL(1);

/* halfopen_full - one more from this source may not be begun. */
bool halfopen_full(const struct ike_engine *e, const struct ip_addr *from) NONNULL(1, 2);

/* halfopen_crowded - cookies are to be asked for. */
bool halfopen_crowded(const struct ike_engine *e) NONNULL(1);

/* halfopen_puzzling - puzzles are to be given (RFC 8019). halfopen_difficulty - of how many zero
 * bits, to this source: as configured, up to two more in a greater crowd, and up to two more for
 * who has half-open IKE SAs already, or failed lately. halfopen_chance - how many of 256 who solve
 * none are let in: half, down to one of sixteen when the crowd is half way between the threshold
 * and as many as there can be, and nobody then, so that who solves them finds room. But for a few:
 * halfopen_turn - it is this source's turn; halfopen_turn_had - an IKE SA has come of it. */
bool halfopen_puzzling(const struct ike_engine *e) NONNULL(1);
uint8_t halfopen_difficulty(const struct ike_engine *e, const struct ip_addr *from) NONNULL(1, 2);
uint32_t halfopen_chance(const struct ike_engine *e) NONNULL(1);
bool halfopen_turn(const struct ike_engine *e, const struct ip_addr *from) NONNULL(1, 2);
void halfopen_turn_had(struct ike_engine *e) NONNULL(1);

/* halfopen_bound - how long a half-open IKE SA may last: short in a crowd (S43). */
uint64_t halfopen_bound(const struct ike_engine *e) NONNULL(1);
