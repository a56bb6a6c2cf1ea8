/* SPDX-License-Identifier: Apache-2.0 */
/*
 * greylist.h - first messages of IKE that there was no room for. What a flood brings comes once;
 * whoever waits for an answer sends the same again after a second or two, and goes before the flood
 * then (S43). They are remembered as bits, two seconds in one half and as long in the other, so
 * that some that were not there are found as well: it decides nothing but who waits. One worker.
 */
#pragma once

#include <sodium.h>

#include "base/rng.h"
#include "dataplane/packet.h"

/* GREYLIST_BITS - of each half, as a power of two: a quarter of a MiB, which is not touched before
 * there is a flood. GREYLIST_HALF_NS - after so long the older half is forgotten. */
#define GREYLIST_BITS    21
#define GREYLIST_HALF_NS UINT64_C(2000000000)

/* struct greylist - see above. */
struct greylist {
	uint64_t *halves[2];
	uint32_t newer;    /* 0 or 1 */
	uint64_t since_ns; /* the newer one is used since then */
	uint8_t key[crypto_shorthash_KEYBYTES];
};

/* greylist_init - Errors: NOMEM, CRYPTO. greylist_fini - the zero state is accepted. */
MUST_USE enum err greylist_init(struct greylist *g, const struct rng *rng) NONNULL(1, 2);
void greylist_fini(struct greylist *g) NONNULL(1);

/* greylist_again - the message of p (its IKE header is at data) came before, within two to four
 * seconds, or one like it; in any case it has come now. */
bool greylist_again(struct greylist *g, const struct packet *p, uint64_t now_ns) NONNULL(1, 2);
