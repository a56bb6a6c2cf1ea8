/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/replay.h"

#include "base/alloc.h"

#define WORD_BITS 64u

static uint32_t round_up(uint32_t window)
{
	uint32_t w = REPLAY_WINDOW_MIN;

	while (w < window && w < REPLAY_WINDOW_MAX)
		w *= 2;
	return w;
}

/* lines - whole cache lines: the owner writes for each packet, and what is beside may be another
 * worker's. */
static size_t lines(size_t len)
{
	return (len + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

struct replay *replay_new(uint32_t window)
{
	uint32_t size = round_up(window);
	/* One word more than the window needs, because its lower edge lies inside a word; a power
	 * of two, for the mask. */
	uint32_t num_words = 2 * size / WORD_BITS;
	struct replay *r =
		mem_alloc_aligned(CACHE_LINE, lines(sizeof(*r) + num_words * sizeof(r->words[0])));

	if (!r)
		return NULL;
	r->window = size;
	r->mask = num_words - 1;
	r->off = window == 0;
	return r;
}

void replay_advance(struct replay *r, uint64_t seq)
{
	uint64_t first = (r->top >> 6) + 1;
	uint64_t last = seq >> 6;

	if (last - first > r->mask && last >= first)
		first = last - r->mask;
	for (uint64_t w = first; w <= last; w++)
		r->words[w & r->mask] = 0;
	r->top = seq;
}

/* seen_bits - word number w of the sequence space as `r` knows it; what it forgot counts as seen.
 */
static uint64_t seen_bits(const struct replay *r, uint64_t w)
{
	uint64_t low = r->top >= r->window ? r->top - r->window + 1 : 0; /* oldest it still knows */
	uint64_t start = w * WORD_BITS;

	if (start + WORD_BITS - 1 < low)
		return UINT64_MAX;
	uint64_t bits = r->words[w & r->mask];

	return start < low ? bits | ((1ull << (low - start)) - 1) : bits;
}

void replay_copy(struct replay *to, const struct replay *from)
{
	uint64_t last = from->top >> 6;
	uint64_t first = last > to->mask ? last - to->mask : 0;

	for (uint64_t w = first; w <= last; w++)
		to->words[w & to->mask] = seen_bits(from, w);
	to->top = from->top;
}

uint64_t replay_extend(const struct replay *r, uint32_t seq_low)
{
	uint32_t top_low = (uint32_t)r->top;
	uint32_t top_high = (uint32_t)(r->top >> 32);
	uint32_t edge = top_low - (r->window - 1); /* modulo 2^32 */
	uint32_t high;

	if (top_low >= r->window - 1) {
		if (seq_low < edge && top_high == UINT32_MAX)
			return 0;
		high = seq_low >= edge ? top_high : top_high + 1;
	} else {
		if (seq_low >= edge && top_high == 0)
			return 0;
		high = seq_low >= edge ? top_high - 1 : top_high;
	}
	return (uint64_t)high << 32 | seq_low;
}
