/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes.h - wire integers that cannot be used as numbers by accident, and byte views. be16, be32
 * and be64 are byte arrays: alignment 1, so wire structures need no packing. Any thread.
 */
#pragma once

#include <assert.h>
#include <string.h>

#include "base/attr.h"

struct be16 {
	uint8_t b[2];
};
struct be32 {
	uint8_t b[4];
};
struct be64 {
	uint8_t b[8];
};

/* struct bytes - a borrowed view of len bytes; p may be NULL only if len is 0. */
struct bytes {
	const uint8_t *p;
	size_t len;
};

/* load_be16/32/64 - read a big-endian number from any address. */
static inline uint16_t load_be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t load_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

/* store_be16/32/64 - write a big-endian number to any address. */
static inline void store_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void store_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void store_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

static inline uint16_t be16_get(struct be16 v)
{
	return load_be16(v.b);
}

static inline uint32_t be32_get(struct be32 v)
{
	return load_be32(v.b);
}

static inline uint64_t be64_get(struct be64 v)
{
	return load_be64(v.b);
}

static inline struct be16 be16_make(uint16_t v)
{
	struct be16 r;

	store_be16(r.b, v);
	return r;
}

static inline struct be32 be32_make(uint32_t v)
{
	struct be32 r;

	store_be32(r.b, v);
	return r;
}

static inline struct be64 be64_make(uint64_t v)
{
	struct be64 r;

	store_be64(r.b, v);
	return r;
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian hosts are not supported yet");
static_assert(sizeof(struct be32) == 4 && alignof(struct be32) == 1, "wire integers are bytes");

/* bytes_of - a view of len bytes at p. */
static inline struct bytes bytes_of(const void *p, size_t len)
{
	return (struct bytes){.p = p, .len = len};
}

/* bytes_equal - same length and content. Not constant time: never for secrets or tags. */
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}
