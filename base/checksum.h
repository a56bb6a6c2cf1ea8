/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.h - the Internet checksum (RFC 1071). A sum is one of 16-bit words as they lie in
 * memory, whatever the byte order of the machine; parts may be added in any order as long as each
 * but the last has an even length. Pure functions, any thread.
 */
#pragma once

#include "base/bytes.h"

/* checksum_add - sum and the len bytes at p; an odd last byte is followed by a zero.
 * checksum_add_plain - the same by what every processor has; for tests. */
uint64_t checksum_add(uint64_t sum, const void *p, size_t len);
uint64_t checksum_add_plain(uint64_t sum, const void *p, size_t len);

/* checksum_value - what a 16-bit field of this value adds. */
static inline uint64_t checksum_value(uint16_t v)
{
	struct be16 be = be16_make(v);
	uint16_t word;

	memcpy(&word, &be, sizeof(word));
	return word;
}

/* checksum_fold - the sum as one word, not complemented. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* checksum_get, checksum_put - a word of a sum as it is stored. */
static inline uint16_t checksum_get(const uint8_t *p)
{
	uint16_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline void checksum_put(uint8_t *p, uint16_t word)
{
	memcpy(p, &word, sizeof(word));
}

/* checksum_less - sum without `word`. */
static inline uint64_t checksum_less(uint64_t sum, uint64_t word)
{
	return sum + (uint16_t)~word;
}

/* checksum_pseudo - the pseudo header's part that does not depend on the length: addresses of the
 * IP header h (version 4 or 6) and protocol (RFC 9293 3.1, RFC 8200 8.1). */
static inline uint64_t checksum_pseudo(const uint8_t *h, uint8_t proto)
{
	bool v6 = h[0] >> 4 == 6;

	return checksum_add(checksum_value(proto), h + (v6 ? 8 : 12), v6 ? 32 : 8);
}
