/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h - one direction of a wire: when what enters it comes out, if at all. The model has no I/O
 * and reads no clock: `wire` has it for real frames, tests/sim for a virtual clock, and a test
 * knows to the nanosecond what it has to do. One owner.
 *
 * What enters is sent one after the other at the rate, behind what still waits; what finds no room
 * to wait is gone. Then it may be lost, is under way for the delay, and order is kept, whatever the
 * jitter is and whenever the delay becomes shorter; only what `reorder` chooses comes out of order.
 *
 * Chance is a function of the seed, of how many entered since it was set, and of what is decided:
 * the same frames are lost whatever the delay is, and a test can say beforehand which.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"

#define LINE_MILLION 1000000u

/* LINE_COPIES - the most that come out of one that entered. */
#define LINE_COPIES 2

/* struct line_rules - what it does; all 0 is a line without any property. Shares are in a million.
 */
struct line_rules {
	uint64_t rate;      /* bit/s; 0 = there is no rate, and nothing waits */
	uint64_t queue_ns;  /* what would wait longer than this is gone; 0 = no such bound */
	uint64_t queue_len; /* bytes that may wait; 0 = no such bound */
	uint64_t delay_ns;
	uint64_t jitter_ns;  /* less than this is added, differently for each */
	uint64_t loss;       /* share */
	uint64_t burst;      /* so many are lost one after the other; 0 = 1 */
	uint64_t duplicate;  /* share that comes twice */
	uint64_t reorder;    /* share that comes late_ns later and holds up nothing */
	uint64_t late_ns;    /* for those */
	uint64_t black_hole; /* nothing comes out of what enters now */
};

/* struct line_counts - what became of what entered: in = lost + full + swallowed + out - again. */
struct line_counts {
	uint64_t in, in_len, out, out_len;
	uint64_t lost, full, swallowed, again, late;
};

/* struct line - one direction; all 0 but for `rules` and line_seed() is how it begins. */
struct line {
	struct line_rules rules;
	struct line_counts counts;
	uint64_t seed, n; /* since line_seed() */
	uint64_t free_ns; /* when the last one that entered has been sent */
	uint64_t last_ns; /* when the last one in order comes out */
	uint64_t to_lose; /* of the burst that began */
};

/* line_seed - from now on chance is that of this seed; counts stay. */
void line_seed(struct line *l, uint64_t seed) NONNULL(1);

/* line_take - one of len bytes enters at `now`, which is never earlier than at the last call.
 * Returns how many come out, and when, by the clock of `now`.
 */
MUST_USE uint32_t line_take(struct line *l, uint64_t out_due[static LINE_COPIES], size_t len,
			    uint64_t now) NONNULL(1, 2);

/* line_order - does to the rules of both directions what a text says: orders with ";" between, each
 * "[left|right] NAME VALUE", without a side for both. Names: rate (bits: "100M", 0), queue ("50ms"
 * or bytes: "64k"), delay, jitter, late ("20ms", "150us"), loss, duplicate, reorder ("2.5%"), burst
 * (a number), blackhole ("on", "off"). Returns NULL, or what is wrong: then nothing was changed.
 */
MUST_USE const char *line_order(struct line_rules rules[static 2], const char *text) NONNULL(1, 2);
