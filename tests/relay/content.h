/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content.h - what is sent to be compared where it arrives: all of it follows from a seed and a
 * number, so each byte is known at both ends, and no two datagrams have much in common. Pure
 * functions, but for the books, which lie in a file that both ends have mapped.
 */
#pragma once

#include "base/bytes.h"

/* CONTENT_FLOWS - of a direction. RAW: packets that are written whole, so that some can have wrong
 * checksums; a datagram that is one of those says that it is of flow SPOILT. */
#define CONTENT_FLOWS  6
#define CONTENT_RAW    4
#define CONTENT_SPOILT 0xffff
/* CONTENT_MIN - a datagram has room for what it says of itself. */
#define CONTENT_MIN 20

/* struct content_stamp - the beginning of a datagram; check: of all the rest. */
struct content_stamp {
	uint32_t check;
	uint16_t flow, len;
	uint64_t n;
};

/* struct content_books - of a direction: datagrams given, by flow, and the newest that arrived and
 * one; that no more are given; how many had wrong checksums. Sender: the first row; receiver: the
 * second. */
struct content_books {
	uint64_t given[CONTENT_FLOWS], spoilt, is_done;
	uint64_t top[CONTENT_FLOWS], is_over;
};

/* content_port - where a flow goes. */
static inline uint16_t content_port(uint32_t flow)
{
	return (uint16_t)(7000 + flow);
}

/* content_is_v6 - every other flow. */
static inline bool content_is_v6(uint32_t flow)
{
	return flow & 1;
}

/* content_mix - a number that looks like chance, of a number. */
static inline uint64_t content_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* content_make - datagram n of a flow, len bytes, at least CONTENT_MIN. */
void content_make(uint8_t *at, uint64_t seed, uint16_t flow, uint64_t n, uint16_t len) NONNULL(1);

/* content_read - what it is; false: it is not as it was made. */
MUST_USE bool content_read(struct content_stamp *out, const uint8_t *at, size_t len, uint64_t seed)
	NONNULL(1, 2);

/* content_fill - len bytes of a stream from `offset` on. content_is - they are those. */
void content_fill(uint8_t *at, uint64_t seed, uint64_t offset, size_t len) NONNULL(1);
MUST_USE bool content_is(const uint8_t *at, uint64_t seed, uint64_t offset, size_t len) NONNULL(1);

/* content_map - the books in a file, which is made if it is not there; NULL: it cannot be. */
struct content_books *content_map(const char *path) NONNULL(1);
