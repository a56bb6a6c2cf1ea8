/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checksum.h"

/* Four words at a time in 64-bit lanes, which do not overflow: the compiler has registers for it.
 */
typedef uint64_t lanes __attribute__((vector_size(32)));

#define BLOCK 64

static uint64_t add_blocks(const uint8_t *p, size_t num)
{
	lanes a = {0}, b = {0};
	const lanes low = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};

	for (size_t i = 0; i < num; i++, p += BLOCK) {
		lanes x, y;

		memcpy(&x, p, sizeof(x));
		memcpy(&y, p + sizeof(x), sizeof(y));
		a += (x & low) + (x >> 32);
		b += (y & low) + (y >> 32);
	}
	a += b;
	return a[0] + a[1] + a[2] + a[3];
}

static uint64_t add_rest(uint64_t sum, const uint8_t *p, size_t len)
{
	uint16_t word = 0;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word))
		sum += checksum_get(p);
	if (len)
		memcpy(&word, p, 1);
	return sum + word;
}

uint64_t checksum_add(uint64_t sum, const void *p, size_t len)
{
	const uint8_t *bytes = p;
	size_t num = len / BLOCK;

	if (num)
		sum += add_blocks(bytes, num);
	return add_rest(sum, bytes + num * BLOCK, len % BLOCK);
}
