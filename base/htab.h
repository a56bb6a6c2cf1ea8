/* SPDX-License-Identifier: Apache-2.0 */
/*
 * htab.h - an intrusive chained hash table keyed by bytes under a secret SipHash key (libsodium),
 * so that a peer cannot choose collisions. One owner thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/rng.h"

/* struct htab_node - embedded in the object; the key bytes must live as long as it is in. */
struct htab_node {
	struct htab_node *next;
	struct htab_node *
		*at; /* what points here: nodes of one key may be many, and go in any order */
	uint64_t hash;
	struct bytes key;
};

/* struct htab - grows by doubling; the zero state holds nothing. */
struct htab {
	struct htab_node **buckets;
	size_t num_buckets;
	size_t num;
	uint8_t sip_key[16];
};

/* htab_init - an empty table with a key from rng. Errors: NOMEM, CRYPTO. */
MUST_USE enum err htab_init(struct htab *t, const struct rng *rng) NONNULL(1, 2);

/* htab_init_like - an empty table with the key of another one. Errors: NOMEM. */
MUST_USE enum err htab_init_like(struct htab *t, const struct htab *other) NONNULL(1, 2);

/* htab_fini - the buckets; the nodes are the caller's. */
void htab_fini(struct htab *t) NONNULL(1);

/* htab_insert - enter node under key (borrowed). Duplicates are allowed, the newest is found. */
void htab_insert(struct htab *t, struct htab_node *node, struct bytes key) NONNULL(1, 2);

/* htab_remove - take out a node that is in the table. */
void htab_remove(struct htab *t, struct htab_node *node) NONNULL(1, 2);

/* htab_next - the next older node with the same key; NULL: there is none. */
MUST_USE struct htab_node *htab_next(const struct htab_node *node) NONNULL(1);

/* htab_find - the newest node with this key, NULL if there is none. */
MUST_USE struct htab_node *htab_find(const struct htab *t, struct bytes key) NONNULL(1);
