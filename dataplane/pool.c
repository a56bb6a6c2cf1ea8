/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pool.h"

#include "base/alloc.h"
#include "base/bytes.h"

/* struct heap_packet - at the beginning of a cache line. */
struct heap_packet {
	alignas(CACHE_LINE) struct packet packet;
};

/* struct heap_pool - a stack of free packets, so that the one used last (warm) is used next. */
struct heap_pool {
	struct pool pool;
	uint32_t num;
	uint32_t num_free;
	struct packet **free;
	struct heap_packet *packets;
	uint8_t *bufs;
	/* What other threads gave back: a list linked through the buffers. Any number of them add
	 * to it, and the owner takes all of it at once, so that there is no moment at which a link
	 * that was read can be reused; it is never full, however many threads and packets there
	 * are. */
	alignas(CACHE_LINE) struct packet *returned; /* atomic */
	struct pool away;
};

/* reset - empty data after the standard headroom; `from` is filled in by whoever needs it. */
static inline void reset(struct packet *p)
{
	p->data = p->buf + PACKET_HEADROOM;
	p->len = 0;
	memset(&p->sa, 0, offsetof(struct packet, from) - offsetof(struct packet, sa));
}

/* link_of - where the next one of the list is kept: nobody uses a free packet's buffer. */
static struct packet **link_of(const struct packet *p)
{
	return (struct packet **)(void *)p->buf;
}

/* collect - take back what other threads gave back. */
static void collect(struct heap_pool *hp)
{
	/* Acquire pairs with the release in away_put(): they are done with the packets. */
	struct packet *p = __atomic_exchange_n(&hp->returned, NULL, __ATOMIC_ACQUIRE);

	while (p) {
		struct packet *next = *link_of(p);

		p->pool = &hp->pool;
		hp->pool.num_away--;
		hp->free[hp->num_free++] = p;
		p = next;
	}
}

static uint32_t heap_get(struct pool *pool, struct packet **out, uint32_t n)
{
	struct heap_pool *hp = container_of(pool, struct heap_pool, pool);

	if (unlikely(__atomic_load_n(&hp->returned, __ATOMIC_RELAXED) != NULL))
		collect(hp);
	if (n > hp->num_free)
		n = hp->num_free;
	for (uint32_t i = 0; i < n; i++) {
		out[i] = hp->free[--hp->num_free];
		reset(out[i]);
	}
	return n;
}

static void heap_put(struct pool *pool, struct packet **pkts, uint32_t n)
{
	struct heap_pool *hp = container_of(pool, struct heap_pool, pool);

	assert(n <= hp->num - hp->num_free);
	memcpy(hp->free + hp->num_free, pkts, n * sizeof(*pkts));
	hp->num_free += n;
}

static const struct pool_ops heap_ops = {.get = heap_get, .put = heap_put};

static uint32_t away_get(struct pool *pool, struct packet **out, uint32_t n)
{
	(void)pool, (void)out, (void)n;
	return 0;
}

static void away_put(struct pool *pool, struct packet **pkts, uint32_t n)
{
	struct heap_pool *hp = container_of(pool, struct heap_pool, away);

	for (uint32_t i = 0; i < n; i++) {
		struct packet **link = link_of(pkts[i]);

		*link = __atomic_load_n(&hp->returned, __ATOMIC_RELAXED);
		/* Release pairs with the acquire in collect(). */
		while (!__atomic_compare_exchange_n(&hp->returned, link, pkts[i], true,
						    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			;
	}
}

static const struct pool_ops away_ops = {.get = away_get, .put = away_put};

static void carve(struct heap_pool *hp, uint32_t stride)
{
	for (uint32_t i = 0; i < hp->num; i++) {
		struct packet *p = &hp->packets[hp->num - 1 - i].packet;

		p->buf = hp->bufs + (size_t)(hp->num - 1 - i) * stride;
		p->cap = PACKET_HEADROOM + hp->pool.data_room + PACKET_TAILROOM;
		p->pool = &hp->pool;
		hp->free[i] = p;
	}
}

struct pool *pool_new(uint32_t num, uint32_t data_room)
{
	size_t stride = PACKET_HEADROOM + (size_t)data_room + PACKET_TAILROOM;
	struct heap_pool *hp = mem_alloc_aligned(CACHE_LINE, sizeof(*hp));

	/* The stack is the owner's, line by line. */
	size_t free_len =
		(num * sizeof(struct packet *) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;

	/* An odd number of cache lines, so that headers do not all fall into the same cache sets.
	 */
	stride = ((stride + CACHE_LINE - 1) / CACHE_LINE | 1) * CACHE_LINE;
	if (!hp)
		return NULL;
	hp->away = (struct pool){.ops = &away_ops};
	hp->pool = (struct pool){.ops = &heap_ops, .data_room = data_room, .away = &hp->away};
	hp->num = hp->num_free = num;
	hp->free = mem_alloc_aligned(CACHE_LINE, free_len);
	hp->packets = mem_alloc_aligned(CACHE_LINE, num * sizeof(struct heap_packet));
	hp->bufs = mem_alloc_aligned(CACHE_LINE, num * stride);
	if (!hp->free || !hp->packets || !hp->bufs) {
		hp->num = hp->num_free = 0;
		pool_free(&hp->pool);
		return NULL;
	}
	carve(hp, (uint32_t)stride);
	return &hp->pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	struct heap_pool *hp = container_of(pool, struct heap_pool, pool);

	collect(hp);
	assert(hp->num_free == hp->num);
	mem_free_aligned(hp->free);
	mem_free_aligned(hp->packets);
	mem_free_aligned(hp->bufs);
	mem_free_aligned(hp);
}

uint32_t pool_num_free(const struct pool *pool)
{
	static_assert(offsetof(struct heap_pool, pool) == 0, "the cast keeps const");
	const struct heap_pool *hp = (const struct heap_pool *)(const void *)pool;
	uint32_t num = hp->num_free;

	for (const struct packet *p = __atomic_load_n(&hp->returned, __ATOMIC_ACQUIRE); p;
	     p = *link_of(p))
		num++;
	return num;
}

uint32_t pool_num_away(struct pool *pool)
{
	struct heap_pool *hp = container_of(pool, struct heap_pool, pool);

	collect(hp);
	return pool->num_away;
}
