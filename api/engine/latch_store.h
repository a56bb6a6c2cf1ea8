/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latch_store.h - a journal of the latches of applications, so that those of a process that is
 * killed are known to the next one (RFC 5660 2.3: none is silently open). A record is appended
 * before a latch stands and after it is gone; the next process reads them, and begins the file
 * anew. The file is root's; what is no record ends it. Loop thread.
 */
#pragma once

#include "api/engine/app.h"

/* struct latch_saved - what is known of a latch when its process is gone. */
struct latch_saved {
	uint64_t id; /* that it had */
	bool keep;
	bool tied;     /* to whom is known */
	bool upgrades; /* a policy that let its flow pass in the clear was there before it */
	struct flow flow;
	bool listener;
	uint64_t cookie;
	uint32_t uid;
	struct app_demand demand;
	struct class_info whom; /* tied */
};

/* latch_store_read - what stands in the file: each latch as it was last, in any order. A file that
 * is not there has none. Errors: SYS, NOMEM, CRYPTO, PERM (others can write there), LIMIT. */
MUST_USE enum err latch_store_read(const char *path,
				   void (*fn)(void *ctx, const struct latch_saved *saved),
				   void *ctx) NONNULL(1, 2);

struct latch_store;

/* latch_store_new - an empty journal beside the file at path, whose place it takes with
 * latch_store_commit(): after all that is to be in it. Errors: SYS, NOMEM, LIMIT.
 * latch_store_close - NULL is accepted; one that was not committed is taken away. */
MUST_USE enum err latch_store_new(struct latch_store **out, const char *path) NONNULL(1, 2);
MUST_USE enum err latch_store_commit(struct latch_store *s) NONNULL(1);
void latch_store_close(struct latch_store *s);

/* latch_store_put - a latch as it is now. latch_store_gone - it is no more. Errors: SYS.
 * latch_store_len - bytes so far. */
MUST_USE enum err latch_store_put(struct latch_store *s, const struct latch_saved *saved)
	NONNULL(1, 2);
MUST_USE enum err latch_store_gone(struct latch_store *s, uint64_t id) NONNULL(1);
uint64_t latch_store_len(const struct latch_store *s) NONNULL(1);

/* latch_store_parse - fn for the records in len bytes, one after the other up to what is none;
 * saved is NULL where a latch is gone. Returns how many bytes those took. */
size_t latch_store_parse(const void *bytes, size_t len,
			 void (*fn)(void *ctx, uint64_t id, const struct latch_saved *saved),
			 void *ctx) NONNULL(1, 3);
