/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.h - every truncation and every single-bit change of an input, each in a heap block of
 * exactly its size, so that a sanitizer sees any byte read beyond it. Main thread.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* sweep_fn - told one variant; changed_bit is -1 for a truncation. */
typedef void (*sweep_fn)(struct bytes variant, long changed_bit);

static inline void sweep_run(const uint8_t *p, size_t len, long bit, sweep_fn fn)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	if (len)
		memcpy(copy, p, len);
	if (bit >= 0)
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
	fn(bytes_of(copy, len), bit);
	free(copy);
}

/* sweep - all variants of len bytes at p; returns how many there were. */
static inline size_t sweep(const uint8_t *p, size_t len, sweep_fn fn)
{
	for (size_t cut = 0; cut < len; cut++)
		sweep_run(p, cut, -1, fn);
	for (size_t bit = 0; bit < len * 8; bit++)
		sweep_run(p, len, (long)bit, fn);
	return len * 9;
}
