/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.h - builds messages in a caller-owned buffer, with a sticky error: write everything, then
 * check once with writer_finish(). Lengths nest: writer_begin_*() leaves room for a length field,
 * writer_end_*() fills it in. One thread per writer.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* struct writer - len bytes of buf[cap] are written; err is the first failure (FULL or LIMIT). */
struct writer {
	uint8_t *buf;
	size_t cap;
	size_t len;
	enum err err;
};

/* writer_init - write to cap bytes at buf, which stay the caller's. */
void writer_init(struct writer *w, void *buf, size_t cap) NONNULL(1, 2);

/* writer_u8, _u16, _u32, _u64 - append a big-endian number. */
void writer_u8(struct writer *w, uint8_t v) NONNULL(1);
void writer_u16(struct writer *w, uint16_t v) NONNULL(1);
void writer_u32(struct writer *w, uint32_t v) NONNULL(1);
void writer_u64(struct writer *w, uint64_t v) NONNULL(1);

/* writer_bytes - append len bytes; p may be NULL if len is 0. */
void writer_bytes(struct writer *w, const void *p, size_t len) NONNULL(1);

/* writer_zero - append len zero bytes. */
void writer_zero(struct writer *w, size_t len) NONNULL(1);

/* writer_reserve - append len bytes to be filled in by the caller; NULL after an error. */
MUST_USE uint8_t *writer_reserve(struct writer *w, size_t len) NONNULL(1);

/*
 * writer_begin_u8/u16/u32 - append a length field of that width; returns the mark to end it with.
 * writer_end_u8/u16/u32 - fill in the number of bytes after the field, plus `extra` (for formats
 * that count a header in front of the field). LIMIT if it does not fit the field.
 */
size_t writer_begin_u8(struct writer *w) NONNULL(1);
size_t writer_begin_u16(struct writer *w) NONNULL(1);
size_t writer_begin_u32(struct writer *w) NONNULL(1);
void writer_end_u8(struct writer *w, size_t mark, size_t extra) NONNULL(1);
void writer_end_u16(struct writer *w, size_t mark, size_t extra) NONNULL(1);
void writer_end_u32(struct writer *w, size_t mark, size_t extra) NONNULL(1);

/* writer_finish - the sticky error, and on success the bytes written. Errors: FULL, LIMIT. */
MUST_USE enum err writer_finish(const struct writer *w, struct bytes *out) NONNULL(1, 2);
