/* SPDX-License-Identifier: Apache-2.0 */
#include "base/writer.h"

void writer_init(struct writer *w, void *buf, size_t cap)
{
	*w = (struct writer){.buf = buf, .cap = cap};
}

uint8_t *writer_reserve(struct writer *w, size_t len)
{
	uint8_t *p;

	if (w->err)
		return NULL;
	if (len > w->cap - w->len) {
		w->err = ERR_FULL;
		return NULL;
	}
	p = w->buf + w->len;
	w->len += len;
	return p;
}

void writer_u8(struct writer *w, uint8_t v)
{
	uint8_t *p = writer_reserve(w, sizeof(v));

	if (p)
		*p = v;
}

void writer_u16(struct writer *w, uint16_t v)
{
	uint8_t *p = writer_reserve(w, sizeof(v));

	if (p)
		store_be16(p, v);
}

void writer_u32(struct writer *w, uint32_t v)
{
	uint8_t *p = writer_reserve(w, sizeof(v));

	if (p)
		store_be32(p, v);
}

void writer_u64(struct writer *w, uint64_t v)
{
	uint8_t *p = writer_reserve(w, sizeof(v));

	if (p)
		store_be64(p, v);
}

void writer_bytes(struct writer *w, const void *p, size_t len)
{
	uint8_t *to = writer_reserve(w, len);

	if (to && len > 0)
		memcpy(to, p, len);
}

void writer_zero(struct writer *w, size_t len)
{
	uint8_t *to = writer_reserve(w, len);

	if (to && len > 0)
		memset(to, 0, len);
}

/* The mark is the offset just after the length field. */
static size_t begin(struct writer *w, size_t width)
{
	writer_zero(w, width);
	return w->len;
}

/* Where the length field before mark stands and what belongs into it; NULL after an error. */
static uint8_t *end(struct writer *w, size_t width, size_t mark, size_t extra, uint64_t *out)
{
	if (w->err)
		return NULL;
	assert(mark >= width && mark <= w->len);
	if (__builtin_add_overflow(w->len - mark, extra, out) || *out >> (8 * width)) {
		w->err = ERR_LIMIT;
		return NULL;
	}
	return w->buf + mark - width;
}

size_t writer_begin_u8(struct writer *w)
{
	return begin(w, 1);
}

size_t writer_begin_u16(struct writer *w)
{
	return begin(w, 2);
}

size_t writer_begin_u32(struct writer *w)
{
	return begin(w, 4);
}

void writer_end_u8(struct writer *w, size_t mark, size_t extra)
{
	uint64_t v;
	uint8_t *p = end(w, 1, mark, extra, &v);

	if (p)
		*p = (uint8_t)v;
}

void writer_end_u16(struct writer *w, size_t mark, size_t extra)
{
	uint64_t v;
	uint8_t *p = end(w, 2, mark, extra, &v);

	if (p)
		store_be16(p, (uint16_t)v);
}

void writer_end_u32(struct writer *w, size_t mark, size_t extra)
{
	uint64_t v;
	uint8_t *p = end(w, 4, mark, extra, &v);

	if (p)
		store_be32(p, (uint32_t)v);
}

enum err writer_finish(const struct writer *w, struct bytes *out)
{
	if (w->err)
		return w->err;
	*out = bytes_of(w->buf, w->len);
	return ERR_OK;
}
