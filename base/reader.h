/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - the only way untrusted control bytes are read. A reader never advances when a call
 * fails and always advances by what it returned when it succeeds; after a structure is read, its
 * end is checked with reader_empty(). It borrows the bytes. One thread per reader.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* struct reader - `left` unread bytes begin at `at`. */
struct reader {
	const uint8_t *at;
	size_t left;
};

/* reader_init - read len bytes at p from the beginning. */
void reader_init(struct reader *r, const void *p, size_t len) NONNULL(1);

/* reader_u8, _u16, _u32, _u64 - a big-endian number. Errors: TRUNCATED. */
MUST_USE enum err reader_u8(struct reader *r, uint8_t *out) NONNULL(1, 2);
MUST_USE enum err reader_u16(struct reader *r, uint16_t *out) NONNULL(1, 2);
MUST_USE enum err reader_u32(struct reader *r, uint32_t *out) NONNULL(1, 2);
MUST_USE enum err reader_u64(struct reader *r, uint64_t *out) NONNULL(1, 2);

/* reader_bytes - a view of the next len bytes. Errors: TRUNCATED. */
MUST_USE enum err reader_bytes(struct reader *r, struct bytes *out, size_t len) NONNULL(1, 2);

/* reader_copy - copy the next len bytes to out. Errors: TRUNCATED. */
MUST_USE enum err reader_copy(struct reader *r, void *out, size_t len) NONNULL(1, 2);

/* reader_sub - a reader over the next len bytes, which this one passes over. Errors: TRUNCATED. */
MUST_USE enum err reader_sub(struct reader *r, struct reader *out, size_t len) NONNULL(1, 2);

/* reader_skip - pass over len bytes. Errors: TRUNCATED. */
MUST_USE enum err reader_skip(struct reader *r, size_t len) NONNULL(1);

/* reader_rest - a view of all that is unread; the reader is empty afterwards. Cannot fail. */
struct bytes reader_rest(struct reader *r) NONNULL(1);

/* reader_empty - nothing is left. */
static inline bool reader_empty(const struct reader *r)
{
	return r->left == 0;
}
