/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flight.h - packets on their way from A's host to B's, and whether that host gets them joined as
 * it should: cut again by the rules of super.h they are, byte by byte, what was sent.
 */
#pragma once

#include "tests/dataplane/shape.h"
#include "tests/dataplane/testbed.h"

#define FLIGHT_JOIN_ALL (JOIN_TCP4 | JOIN_TCP6 | JOIN_UDP4 | JOIN_UDP6)

/* struct sent - a packet on its way to B, as it is. */
struct sent {
	uint8_t bytes[1600];
	size_t len;
	bool joined; /* with the one before it */
	bool fixed_id;
};

struct flight {
	struct bed bed;
	struct sent sent[4 * PKTVEC_MAX];
	uint32_t num;
	uint8_t big[65536], got[BED_MAX_PACKET]; /* what came last */
};

/* flight_begin - a data path on either side, B's of which joins what the host takes: JOIN_*. */
void flight_begin(struct flight *f, uint8_t joins) NONNULL(1);

/* flight_add - a packet from A, len bytes from `offset` of what its flow carries; `joined`: it is
 * to be behind the last one of its flow. */
struct sent *flight_add(struct flight *f, const struct shape *s, uint32_t offset, uint32_t len,
			bool joined) NONNULL(1, 2);

/* flight_resum - the checksums again, after the test changed something. */
void flight_resum(struct sent *p) NONNULL(1);

/* flight_carry - through the tunnel, in one turn of B. */
void flight_carry(struct flight *f) NONNULL(1);

/* flight_same - the bytes are p, but for an identification that need not go on. */
bool flight_same(const uint8_t *bytes, size_t len, const struct sent *p, bool any_id) NONNULL(1, 3);

/* flight_right - B's host got all as it is to be. With one flow only. */
bool flight_right(struct flight *f) NONNULL(1);
