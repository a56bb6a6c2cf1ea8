/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/md4.h"

#include "base/secret.h"

#define BLOCK_LEN 64
/* PADDED_MAX - the input, one bit, zeros, and its length in bits in 8 bytes. */
#define PADDED_MAX (MD4_INPUT_MAX + BLOCK_LEN)

static uint32_t turn(uint32_t x, unsigned bits)
{
	return x << bits | x >> (32 - bits);
}

/* The three functions of 3.4, one for each round. */
static uint32_t mix(unsigned round, uint32_t x, uint32_t y, uint32_t z)
{
	switch (round) {
	case 0:
		return (x & y) | (~x & z);
	case 1:
		return (x & y) | (x & z) | (y & z);
	default:
		return x ^ y ^ z;
	}
}

static void block(uint32_t state[4], const uint8_t p[static BLOCK_LEN])
{
	static const uint32_t constants[3] = {0, 0x5a827999, 0x6ed9eba1};
	static const uint8_t turns[3][4] = {{3, 7, 11, 19}, {3, 5, 9, 13}, {3, 9, 11, 15}};
	static const uint8_t order[3][16] = {
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
		{0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}};
	uint32_t s[4], x[16];

	for (unsigned i = 0; i < 16; i++)
		x[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 |
		       (uint32_t)p[4 * i + 2] << 16 | (uint32_t)p[4 * i + 3] << 24;
	memcpy(s, state, sizeof(s));
	for (unsigned i = 0; i < 48; i++) {
		const unsigned round = i / 16;
		/* The word that changes goes backwards: a, d, c, b. */
		const unsigned at = (4 - i % 4) % 4;

		s[at] = turn(s[at] + mix(round, s[(at + 1) % 4], s[(at + 2) % 4], s[(at + 3) % 4]) +
				     x[order[round][i % 16]] + constants[round],
			     turns[round][i % 4]);
	}
	for (unsigned i = 0; i < 4; i++)
		state[i] += s[i];
	secret_wipe(x, sizeof(x));
	secret_wipe(s, sizeof(s));
}

void md4(uint8_t out[static MD4_LEN], struct bytes input)
{
	uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
	const size_t padded = (input.len + 1 + 8 + BLOCK_LEN - 1) / BLOCK_LEN * BLOCK_LEN;
	uint8_t buf[PADDED_MAX] = {0};

	assert(input.len <= MD4_INPUT_MAX);
	if (input.len)
		memcpy(buf, input.p, input.len);
	buf[input.len] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		buf[padded - 8 + i] = (uint8_t)((uint64_t)input.len * 8 >> 8 * i);
	for (size_t at = 0; at < padded; at += BLOCK_LEN)
		block(state, buf + at);
	for (unsigned i = 0; i < MD4_LEN; i++)
		out[i] = (uint8_t)(state[i / 4] >> 8 * (i % 4));
	secret_wipe(buf, sizeof(buf));
	secret_wipe(state, sizeof(state));
}
