/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.h - what the packets of a vector need of their SAs, asked of memory for all of them before
 * it is needed: of thousands of SAs it is in no cache, and a packet would wait for one line after
 * the other. Thread: the worker that owns the SAs.
 */
#pragma once

#include "dataplane/sa.h"

/* AHEAD_SAS - pairs in a data path that are so many. With fewer, asking costs more than it saves.
 */
#define AHEAD_SAS 4096

/* AHEAD_KEY_LEN - of a key: what a short packet needs of it. */
#define AHEAD_KEY_LEN (9 * CACHE_LINE)

/* ahead - bytes that are going to be read. */
static inline void ahead(const void *at, size_t len)
{
	for (size_t i = 0; i < len; i += CACHE_LINE)
		__builtin_prefetch((const uint8_t *)at + i);
}

/* ahead_sa - the two lines that a batch writes. */
static inline void ahead_sa(const struct esp_sa *sa)
{
	__builtin_prefetch(sa, 1);
	__builtin_prefetch((const uint8_t *)sa + CACHE_LINE, 1);
}

/* ahead_parts - what an SA that is there already points at. */
static inline void ahead_parts(const struct esp_sa *sa)
{
	ahead(rcu_deref(sa->conf), offsetof(struct sa_conf, rcu));
	ahead(sa->key, AHEAD_KEY_LEN);
}
