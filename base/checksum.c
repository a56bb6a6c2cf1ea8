/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checksum.h"

/* Words of 32 bits in 64-bit lanes, which do not overflow. As many lanes as a register has: the
 * sums of wider ones the compiler keeps in memory. */
typedef uint64_t lanes2 __attribute__((vector_size(16)));

#define BLOCK 64
#define LOW   UINT64_C(0xffffffff)

/* halves_2 - those of each lane at p, added. */
static inline lanes2 halves_2(const uint8_t *p)
{
	const lanes2 low = {LOW, LOW};
	lanes2 x;

	memcpy(&x, p, sizeof(x));
	return (x & low) + (x >> 32);
}

static uint64_t add_blocks_2(const uint8_t *p, size_t num)
{
	lanes2 a = {0}, b = {0}, c = {0}, d = {0};

	for (; num; num--, p += BLOCK) {
		a += halves_2(p);
		b += halves_2(p + 16);
		c += halves_2(p + 32);
		d += halves_2(p + 48);
	}
	a += b + c + d;
	return a[0] + a[1];
}

#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2")))

typedef uint64_t lanes4 __attribute__((vector_size(32)));

static inline AVX2 lanes4 halves_4(const uint8_t *p)
{
	const lanes4 low = {LOW, LOW, LOW, LOW};
	lanes4 x;

	memcpy(&x, p, sizeof(x));
	return (x & low) + (x >> 32);
}

static AVX2 uint64_t add_blocks_4(const uint8_t *p, size_t num)
{
	lanes4 a = {0}, b = {0};

	for (; num; num--, p += BLOCK) {
		a += halves_4(p);
		b += halves_4(p + 32);
	}
	a += b;
	return a[0] + a[1] + a[2] + a[3];
}

#endif

static uint64_t add_rest(uint64_t sum, const uint8_t *p, size_t len)
{
	uint64_t words;
	uint16_t word = 0;

	for (; len >= sizeof(words); len -= sizeof(words), p += sizeof(words)) {
		memcpy(&words, p, sizeof(words));
		sum += (words & LOW) + (words >> 32);
	}
	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word))
		sum += checksum_get(p);
	if (len)
		memcpy(&word, p, 1);
	return sum + word;
}

uint64_t checksum_add_plain(uint64_t sum, const void *p, size_t len)
{
	const uint8_t *bytes = p;
	size_t num = len / BLOCK;

	sum += add_blocks_2(bytes, num);
	return add_rest(sum, bytes + num * BLOCK, len % BLOCK);
}

uint64_t checksum_add(uint64_t sum, const void *p, size_t len)
{
#ifdef __x86_64__
	const uint8_t *bytes = p;
	size_t num = len / BLOCK;

	if (num && __builtin_cpu_supports("avx2")) {
		sum += add_blocks_4(bytes, num);
		return add_rest(sum, bytes + num * BLOCK, len % BLOCK);
	}
#endif
	return checksum_add_plain(sum, p, len);
}
