/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reasm.h - IP packets that are being put together from fragments (RFC 791 3.2, RFC 8200 4.5). Each
 * has a place and a buffer for the longest packet there is; what a fragment carries is copied there
 * at once, and a bit for each unit of eight bytes says what has come: any order costs the same.
 * Fragments of different contexts (SAs, the wire, the host) never meet. Where there is no place the
 * oldest packet of a context that has more than its share goes, else the oldest of all. Overlapping
 * fragments spoil their packet, and what comes of it later (RFC 5722, RFC 8200 4.5). Thread: its
 * worker.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"
#include "dataplane/fragment.h"
#include "dataplane/pool.h"

/* REASM_NS - how long a packet's fragments are waited for. RFC 8200 4.5 has 60 s as the longest. */
#define REASM_NS (30 * NS_PER_S)

/* REASM_ROOM - what a buffer must hold: the longest packet, IPv6's header beside it. */
#define REASM_ROOM (FRAGMENT_HEAD_MAX + 65536)

/* Contexts that are not an SA's (whose are uid << 2). */
#define REASM_HOST 1 /* from the inner side, | scope << 2 */
#define REASM_WIRE 2 /* outer fragments */

struct reasm_slot;

/* struct reasm - one worker's. */
struct reasm {
	uint32_t num;       /* fragments that are held */
	uint32_t num_slots; /* packets that are put together at a time */
	uint32_t share;     /* of them for one context, as long as others want some */
	struct reasm_slot *slots;
	struct pool *pool; /* buffers; whole packets go back there */
	/* Fragments given up since the owner looked: to be counted and set to 0. */
	uint32_t num_spoilt, num_displaced, num_expired;
};

/* reasm_init - num places and buffers. Errors: NOMEM. reasm_empty - give up all fragments.
 * reasm_fini - whole packets must be back. */
MUST_USE enum err reasm_init(struct reasm *r, uint32_t num) NONNULL(1);
void reasm_empty(struct reasm *r) NONNULL(1);
void reasm_fini(struct reasm *r) NONNULL(1);

/* reasm_add - what p carries, which stays the caller's: f is its header. DROP_NONE: taken, and
 * *out_whole is the packet if this was the last that was missing (in the buffer of a packet that is
 * the caller's now), else NULL; *out_num is then how many fragments it was. Else why the fragment
 * is of no use. */
enum drop_reason reasm_add(struct reasm *r, struct packet **out_whole, uint32_t *out_num,
			   const struct packet *p, const struct fragment *f, uint64_t context,
			   uint64_t now_ns) NONNULL(1, 2, 3, 4, 5);

/* reasm_expire - give up what is over. reasm_forget - and what is of this context, which ends or
 * comes to mean something else; counted with what expired. reasm_next - when that will be;
 * TIME_NEVER if nothing is being put together. */
void reasm_expire(struct reasm *r, uint64_t now_ns) NONNULL(1);
void reasm_forget(struct reasm *r, uint64_t context) NONNULL(1);
uint64_t reasm_next(const struct reasm *r) NONNULL(1);
