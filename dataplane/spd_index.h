/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spd_index.h - finds the entries of the SPD that may be about a flow, however many there are. Each
 * entry lies in a hash table under the prefixes that cover its remote selectors, or its local ones
 * if these say more; a look-up tries the flow's addresses at each prefix length that is in use, of
 * which there are few. The index leads to every entry that matches and to some that do not: whether
 * one does is for its selectors to say, and which of several for their order. Control inserts and
 * removes, workers read by RCU.
 */
#pragma once

#include "base/rcu.h"
#include "base/rng.h"
#include "dataplane/flow.h"

struct spd_entry;

/* SPD_LENS - lengths of a prefix; words of a set of them. */
#define SPD_LENS      129
#define SPD_LEN_WORDS 3

/* struct spd_place - one place of an entry. Its links take turns: a larger table is made with the
 * one while readers of the smaller follow the other. Constant but for these. */
struct spd_place {
	struct spd_place *next[2]; /* RCU */
	struct spd_entry *entry;
	uint64_t hash;
	uint8_t side, family, len; /* of the prefix: remote or local, enum ip_family */
};

/* struct spd_table - the places, by their hash; in each bucket in the entries' order. */
struct spd_table {
	struct rcu_head rcu;
	struct spd_index *index;
	uint64_t mask;
	uint32_t turn;               /* which link it is made with */
	struct spd_place *buckets[]; /* RCU */
};

/* struct spd_index - control: rw, worker: r what is said to be atomic or RCU. */
struct spd_index {
	struct spd_table *table; /* RCU */
	uint64_t seed[2];
	uint64_t lens[2][2][SPD_LEN_WORDS]; /* atomic: in use, by side and family */
	/* Control's own. */
	uint32_t counts[2][2][SPD_LENS];
	uint64_t num;  /* places */
	bool settling; /* a smaller table is read still: no larger one now */
};

/* spd_index_init - empty. Errors: NOMEM, CRYPTO. spd_index_fini - the table; zero is accepted. */
MUST_USE enum err spd_index_init(struct spd_index *x, const struct rng *rng) NONNULL(1, 2);
void spd_index_fini(struct spd_index *x) NONNULL(1);

/* spd_index_add, spd_index_remove - an entry with its places: as many as it has selectors on the
 * side with more; how many are used is returned, and what is to be removed. The table grows if
 * there is memory for that; else buckets become longer. Control. */
uint32_t spd_index_add(struct spd_index *x, struct spd_entry *e, struct spd_place *places,
		       struct rcu_queue *q) NONNULL(1, 2, 3, 4);
void spd_index_remove(struct spd_index *x, struct spd_place *places, uint32_t num) NONNULL(1, 2);

/* spd_index_find - of the entries that match the flow the first in order, NULL if none does.
 * Worker. */
const struct spd_entry *spd_index_find(const struct spd_index *x, const struct flow_key *key)
	NONNULL(1, 2);
