/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.h - the anti-replay window of an inbound SA (RFC 4303 3.4.3) as the ring of words of RFC
 * 6479, for 64-bit sequence numbers. Check before decryption, commit after authentication: commit
 * checks again, since one batch can hold a packet twice. Thread: the worker that owns the SA.
 */
#pragma once

#include "base/attr.h"

#define REPLAY_WINDOW_MIN 64u
#define REPLAY_WINDOW_MAX (1u << 20)

/* struct replay - bit (seq % 64) of word (seq / 64 & mask) is set when seq was seen. */
struct replay {
	uint64_t top;         /* highest authenticated sequence number; 0 = none yet */
	uint32_t window;      /* packets: a power of two */
	uint32_t mask;        /* number of words - 1; the words hold more than the window */
	bool off;             /* only count: accept everything */
	struct replay *older; /* chain of windows that were replaced */
	uint64_t words[];
};

/* replay_new - a window of at least `window` packets, rounded up to a power of two within
 * REPLAY_WINDOW_MIN and _MAX; 0 = no check. NULL on shortage. Free with
 * mem_free_aligned(). */
MALLOC_LIKE struct replay *replay_new(uint32_t window);

/* replay_check - seq may be accepted if it is authentic. */
static inline bool replay_check(const struct replay *r, uint64_t seq)
{
	if (unlikely(seq == 0)) /* never sent (RFC 4303 2.2), and the mark of one that cannot be */
		return false;
	if (seq > r->top || r->off)
		return true;
	if (r->top - seq >= r->window)
		return false;
	return !(r->words[seq >> 6 & r->mask] >> (seq & 63) & 1);
}

/* replay_advance - the window's top becomes seq, which is beyond it: clear the words it moves over.
 */
void replay_advance(struct replay *r, uint64_t seq) NONNULL(1);

/* replay_commit - check again and remember an authenticated seq; false if it may not be accepted.
 */
MUST_USE static inline bool replay_commit(struct replay *r, uint64_t seq)
{
	if (likely(seq > r->top)) {
		if (likely(seq >> 6 == r->top >> 6))
			r->top = seq;
		else
			replay_advance(r, seq);
	} else if (unlikely(!replay_check(r, seq))) {
		return false;
	}
	if (likely(r->top - seq < r->window))
		r->words[seq >> 6 & r->mask] |= 1ull << (seq & 63);
	return true;
}

/* replay_copy - make `to`, which is new, continue where `from` stands. What the smaller window no
 * longer knew counts as seen. */
void replay_copy(struct replay *to, const struct replay *from) NONNULL(1, 2);

/* replay_extend - the 64-bit sequence number of an ESN packet from its low half (RFC 4303 A2.2);
 * one guess. 0, which is never valid, when the number would lie before the first. */
uint64_t replay_extend(const struct replay *r, uint32_t seq_low) NONNULL(1);
