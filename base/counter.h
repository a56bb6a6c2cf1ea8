/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter.h - counters with one writer: the owner adds without a locked instruction, any thread may
 * read a value that is slightly behind.
 */
#pragma once

#include "base/attr.h"

/* counter_add - add n; owner thread only. */
static inline void counter_add(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

/* counter_set - replace the value; owner thread only. */
static inline void counter_set(uint64_t *c, uint64_t v)
{
	__atomic_store_n(c, v, __ATOMIC_RELAXED);
}

/* counter_get - the value; any thread. */
static inline uint64_t counter_get(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}
