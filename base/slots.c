/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slots.h"

#include "base/alloc.h"

#include <assert.h>

/*
 * The table is cut into chunks that are made when they are needed and never move. Chunk numbers are
 * handed out in random order, and each identifier takes a random free slot; new chunks come while
 * half of the slots are still free, so that there is always much to choose from.
 */
#define CHUNK_BITS_MAX 10

/* Writer: rw. Readers: load both, see slots_get(). */
struct slot {
	uint64_t id;
	void *obj;
};

struct chunk {
	struct slot slots[1 << CHUNK_BITS_MAX];
	uint64_t reserved[(1 << CHUNK_BITS_MAX) / 64]; /* writer only */
};

struct slots {
	unsigned int id_bits;
	unsigned int index_bits;
	unsigned int chunk_bits;
	uint32_t num_chunks; /* places in chunks[] */
	uint32_t made;       /* of these, chunks that exist: order[0..made) */
	uint32_t *order;     /* a permutation of chunk numbers, random as far as made */
	uint32_t *free;      /* free slot numbers, num_free of them */
	size_t num_free;
	size_t num_reserved; /* writer: w, readers: r relaxed */
	const struct rng *rng;
	struct chunk *chunks[];
};

struct slots *slots_new(unsigned id_bits, unsigned index_bits, const struct rng *rng)
{
	unsigned int chunk_bits = index_bits < CHUNK_BITS_MAX ? index_bits : CHUNK_BITS_MAX;
	uint32_t num_chunks = 1u << (index_bits - chunk_bits);
	struct slots *s;

	assert(id_bits == 32 || id_bits == 64);
	assert(index_bits >= 1 && index_bits <= 28);
	s = mem_alloc(sizeof(*s) + num_chunks * sizeof(s->chunks[0]));
	if (!s)
		return NULL;
	s->order = mem_alloc_array(num_chunks, sizeof(s->order[0]));
	if (!s->order) {
		mem_free(s);
		return NULL;
	}
	for (uint32_t i = 0; i < num_chunks; i++)
		s->order[i] = i;
	s->id_bits = id_bits;
	s->index_bits = index_bits;
	s->chunk_bits = chunk_bits;
	s->num_chunks = num_chunks;
	s->rng = rng;
	return s;
}

void slots_free(struct slots *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->made; i++)
		mem_free(s->chunks[s->order[i]]);
	mem_free(s->free);
	mem_free(s->order);
	mem_free(s);
}

static size_t capacity(const struct slots *s)
{
	return (size_t)s->made << s->chunk_bits;
}

/* A number below n. The bias of the division is below 2^-35: n is at most 2^28. */
static enum err below(const struct slots *s, uint64_t *out, uint64_t n)
{
	uint64_t v;
	enum err e = rng_fill(s->rng, &v, sizeof(v));

	if (!e)
		*out = v % n;
	return e;
}

/* One more chunk, at a random one of the numbers that are left. */
static enum err grow(struct slots *s)
{
	uint32_t per_chunk = 1u << s->chunk_bits;
	uint32_t *more;
	struct chunk *c;
	uint64_t pick;
	uint32_t number;
	enum err e;

	if (s->made == s->num_chunks)
		return ERR_FULL;
	e = below(s, &pick, s->num_chunks - s->made);
	if (e)
		return e;
	more = mem_grow(s->free, capacity(s) + per_chunk, sizeof(more[0]));
	if (!more)
		return ERR_NOMEM;
	s->free = more;
	c = mem_alloc(sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	number = s->order[s->made + pick];
	s->order[s->made + pick] = s->order[s->made];
	s->order[s->made++] = number;
	for (uint32_t i = 0; i < per_chunk; i++)
		s->free[s->num_free++] = (number << s->chunk_bits) + i;
	/* Readers may look at any identifier at any time; pairs with the acquire in slot_of(). */
	rcu_publish(s->chunks[number], c);
	return ERR_OK;
}

static struct chunk *chunk_of(const struct slots *s, uint64_t id)
{
	uint64_t index = id & ((1ull << s->index_bits) - 1);

	return rcu_deref(s->chunks[index >> s->chunk_bits]);
}

static uint32_t in_chunk(const struct slots *s, uint64_t id)
{
	return (uint32_t)id & ((1u << s->chunk_bits) - 1);
}

static uint64_t reserved_bit(const struct slots *s, uint64_t id)
{
	return 1ull << (in_chunk(s, id) % 64);
}

static uint64_t *reserved_word(const struct slots *s, struct chunk *c, uint64_t id)
{
	return &c->reserved[in_chunk(s, id) / 64];
}

/* The slot of an identifier that the caller must have reserved. */
static struct slot *reserved_slot(const struct slots *s, uint64_t id)
{
	struct chunk *c = chunk_of(s, id);

	assert(c && (*reserved_word(s, c, id) & reserved_bit(s, id)));
	assert(c->slots[in_chunk(s, id)].id == id);
	return &c->slots[in_chunk(s, id)];
}

/* Random bits above the slot number, other than at its last use. A source that never gives such
 * bits is broken: of a good one 64 draws fail with a probability of 2^-64 at most. */
static enum err fresh_id(const struct slots *s, uint64_t *out, uint32_t index, uint64_t last,
			 uint32_t of, uint32_t rest)
{
	uint64_t mask = (1ull << (s->id_bits - s->index_bits)) - 1;

	for (int tries = 0; tries < 64; tries++) {
		uint64_t v;
		enum err e = rng_fill(s->rng, &v, sizeof(v));

		if (e)
			return e;
		v &= mask;
		v = v - v % of + rest;
		if (v > mask)
			continue;
		v = v << s->index_bits | index;
		if (v > 255 && v != last) {
			*out = v;
			return ERR_OK;
		}
	}
	return ERR_CRYPTO;
}

enum err slots_reserve(struct slots *s, uint64_t *out_id)
{
	return slots_reserve_as(s, out_id, 1, 0);
}

enum err slots_reserve_as(struct slots *s, uint64_t *out_id, uint32_t of, uint32_t rest)
{
	uint64_t id = 0;
	uint64_t pick;
	struct chunk *c;
	struct slot *slot;
	enum err e;

	assert(rest < of && of <= 1ull << (s->id_bits - s->index_bits));
	if (s->num_free <= capacity(s) / 2) {
		e = grow(s);
		if (e && s->num_free == 0)
			return e;
	}
	e = below(s, &pick, s->num_free);
	if (e)
		return e;
	c = chunk_of(s, s->free[pick]);
	slot = &c->slots[in_chunk(s, s->free[pick])];
	e = fresh_id(s, &id, s->free[pick], slot->id, of, rest);
	if (e)
		return e;
	s->free[pick] = s->free[--s->num_free];
	__atomic_store_n(&s->num_reserved, s->num_reserved + 1, __ATOMIC_RELAXED);
	*reserved_word(s, c, id) |= reserved_bit(s, id);
	/* Pairs with the first load in slots_get(): whoever sees the new identifier sees that the
	 * object of the last one is gone. */
	__atomic_store_n(&slot->id, id, __ATOMIC_RELEASE);
	*out_id = id;
	return ERR_OK;
}

void slots_publish(struct slots *s, uint64_t id, void *obj)
{
	/* Pairs with the load of obj in slots_get(): the object is complete, and the slot's
	 * identifier is not older than it. */
	rcu_publish(reserved_slot(s, id)->obj, obj);
}

void slots_withdraw(struct slots *s, uint64_t id)
{
	rcu_publish(reserved_slot(s, id)->obj, NULL);
}

void slots_release(struct slots *s, uint64_t id)
{
	struct slot *slot = reserved_slot(s, id);

	assert(!slot->obj);
	*reserved_word(s, chunk_of(s, id), id) &= ~reserved_bit(s, id);
	s->free[s->num_free++] = (uint32_t)(id & ((1ull << s->index_bits) - 1));
	__atomic_store_n(&s->num_reserved, s->num_reserved - 1, __ATOMIC_RELAXED);
}

/* A reader may be delayed while the slot goes to another identifier. An object is only believed if
 * the identifier is the same before and after it was loaded. */
void *slots_get(const struct slots *s, uint64_t id)
{
	struct chunk *c = chunk_of(s, id);
	struct slot *slot;
	void *obj;

	if (!c)
		return NULL;
	slot = &c->slots[in_chunk(s, id)];
	if (__atomic_load_n(&slot->id, __ATOMIC_ACQUIRE) != id)
		return NULL;
	obj = rcu_deref(slot->obj);
	return likely(__atomic_load_n(&slot->id, __ATOMIC_RELAXED) == id) ? obj : NULL;
}

void slots_ahead(const struct slots *s, uint64_t id)
{
	const struct chunk *c = chunk_of(s, id);

	if (c)
		__builtin_prefetch(&c->slots[in_chunk(s, id)]);
}

size_t slots_num(const struct slots *s)
{
	return __atomic_load_n(&s->num_reserved, __ATOMIC_RELAXED);
}

void slots_each(struct slots *s, void (*fn)(void *ctx, uint64_t id, void *obj), void *ctx)
{
	for (uint32_t i = 0; i < s->made; i++) {
		struct chunk *c = s->chunks[s->order[i]];

		for (uint32_t j = 0; j < 1u << s->chunk_bits; j++) {
			if (c->slots[j].obj)
				fn(ctx, c->slots[j].id, c->slots[j].obj);
		}
	}
}
