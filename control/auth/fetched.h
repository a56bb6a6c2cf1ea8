/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetched.h - what URLs named: revocation lists that were fetched, are to be, or could not be.
 * Control never touches the network: whoever owns the keyring asks fetched_next() what is wanted,
 * and tells fetched_learn() what came of it. Nothing here is believed: a list counts where an
 * authority has signed it, and chain.h looks.
 *
 * What came is kept until room is needed. Whether it is out of date is for who uses it to say; then
 * it is wanted again, but not sooner than FETCHED_AGAIN_S after the last time: a server is not
 * asked for each handshake, whatever it says. Thread: the keyring's.
 */
#pragma once

#include "control/auth/cred.h"

/* FETCHED_MAX - URLs of which something is known at a time. */
#define FETCHED_MAX     256
#define FETCHED_AGAIN_S 30
#define FETCHED_WHY_MAX 200

struct fetched;

/* fetched_new - empty. fetched_free - NULL accepted. */
MALLOC_LIKE struct fetched *fetched_new(void);
void fetched_free(struct fetched *f);

/* fetched_want - the list at this URL (cred_url_ok()) would help, for what is here does not.
 * True if it is being fetched, so that it is worth to wait; else *out_why is why nothing came of
 * it, "" if something did; it lives as long as the next call. */
bool fetched_want(struct fetched *f, const char **out_why, struct bytes url, int64_t wall_s)
	NONNULL(1, 2);

/* fetched_next - one that is wanted and was not given out yet; false if there is none. *out_url
 * lives until fetched_learn(). */
bool fetched_next(struct fetched *f, uint64_t *out_id, const char **out_url) NONNULL(1, 2, 3);

/* fetched_learn - what came: data, or without it why nothing did. Untrusted. Unknown ids are
 * ignored. */
void fetched_learn(struct fetched *f, uint64_t id, struct bytes data, const char *why,
		   int64_t wall_s) NONNULL(1, 4);

/* fetched_each_list - every list that is here. */
void fetched_each_list(struct fetched *f, void (*fn)(void *ctx, const struct cred *list), void *ctx)
	NONNULL(1, 2);
