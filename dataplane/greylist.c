/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/greylist.h"

#include "base/alloc.h"

#define NUM_WORDS (((size_t)1 << GREYLIST_BITS) / 64)

enum err greylist_init(struct greylist *g, const struct rng *rng)
{
	*g = (struct greylist){.newer = 0};
	for (unsigned i = 0; i < 2; i++) {
		g->halves[i] = mem_alloc_array(NUM_WORDS, sizeof(uint64_t));
		if (!g->halves[i]) {
			greylist_fini(g);
			return ERR_NOMEM;
		}
	}
	return rng_fill(rng, g->key, sizeof(g->key));
}

void greylist_fini(struct greylist *g)
{
	mem_free(g->halves[0]);
	mem_free(g->halves[1]);
	*g = (struct greylist){.newer = 0};
}

/* Clearing a half takes some microseconds, every other second of a flood. */
static void turn(struct greylist *g, uint64_t now_ns)
{
	const uint64_t age_ns = now_ns - g->since_ns;

	if (age_ns < GREYLIST_HALF_NS)
		return;
	if (age_ns >= 2 * GREYLIST_HALF_NS) /* so is the newer one */
		memset(g->halves[g->newer], 0, NUM_WORDS * sizeof(uint64_t));
	g->newer ^= 1;
	memset(g->halves[g->newer], 0, NUM_WORDS * sizeof(uint64_t));
	g->since_ns = now_ns;
}

/* Who sent it, and the SPI of his: what repeats has both. */
static uint64_t bit_of(const struct greylist *g, const struct packet *p)
{
	uint8_t in[sizeof(struct endpoint) + 8], out[crypto_shorthash_BYTES];

	memcpy(in, &p->from.remote, sizeof(struct endpoint));
	memcpy(in + sizeof(struct endpoint), p->data, 8);
	crypto_shorthash(out, in, sizeof(in), g->key);
	return load_be64(out) & (((uint64_t)1 << GREYLIST_BITS) - 1);
}

bool greylist_again(struct greylist *g, const struct packet *p, uint64_t now_ns)
{
	const uint64_t bit = bit_of(g, p), mask = (uint64_t)1 << (bit % 64);
	bool again;

	turn(g, now_ns);
	again = (g->halves[0][bit / 64] | g->halves[1][bit / 64]) & mask;
	g->halves[g->newer][bit / 64] |= mask;
	return again;
}
