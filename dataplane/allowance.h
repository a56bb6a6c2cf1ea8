/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allowance.h - a bucket: what may be done so often a second. Thread: its owner.
 */
#pragma once

#include "base/clock.h"

/* struct allowance - the zero state is one that was never asked. */
struct allowance {
	uint64_t filled_ns;
	uint32_t left;
};

/* allowance_take - once more is within what may be done in the second that began with the first
 * time; false: it is not. */
MUST_USE static inline bool allowance_take(struct allowance *a, uint32_t a_second, uint64_t now_ns)
{
	if (now_ns - a->filled_ns >= NS_PER_S || a->filled_ns == 0) {
		a->filled_ns = now_ns ? now_ns : 1;
		a->left = a_second;
	}
	if (a->left == 0)
		return false;
	a->left--;
	return true;
}
