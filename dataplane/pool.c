/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pool.h"

#include "base/alloc.h"
#include "base/bytes.h"

/* struct heap_pool - a stack of free packets, so that the one used last (warm) is used next. */
struct heap_pool {
	struct pool pool;
	uint32_t num;
	uint32_t num_free;
	struct packet **free;
	struct packet *packets;
	uint8_t *bufs;
};

/* reset - empty data after the standard headroom; `from` is filled in by whoever needs it. */
static inline void reset(struct packet *p)
{
	p->data = p->buf + PACKET_HEADROOM;
	p->len = 0;
	memset(&p->sa, 0, offsetof(struct packet, from) - offsetof(struct packet, sa));
}

static uint32_t heap_get(struct pool *pool, struct packet **out, uint32_t n)
{
	struct heap_pool *hp = container_of(pool, struct heap_pool, pool);

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

static void carve(struct heap_pool *hp, uint32_t stride)
{
	for (uint32_t i = 0; i < hp->num; i++) {
		struct packet *p = &hp->packets[hp->num - 1 - i];

		p->buf = hp->bufs + (size_t)(hp->num - 1 - i) * stride;
		p->cap = PACKET_HEADROOM + hp->pool.data_room + PACKET_TAILROOM;
		p->pool = &hp->pool;
		hp->free[i] = p;
	}
}

struct pool *pool_new(uint32_t num, uint32_t data_room)
{
	size_t stride = PACKET_HEADROOM + (size_t)data_room + PACKET_TAILROOM;
	struct heap_pool *hp = mem_alloc(sizeof(*hp));

	/* An odd number of cache lines, so that headers do not all fall into the same cache sets.
	 */
	stride = ((stride + CACHE_LINE - 1) / CACHE_LINE | 1) * CACHE_LINE;
	if (!hp)
		return NULL;
	hp->pool = (struct pool){.ops = &heap_ops, .data_room = data_room};
	hp->num = hp->num_free = num;
	hp->free = mem_alloc_array(num, sizeof(struct packet *));
	hp->packets = mem_alloc_array(num, sizeof(struct packet));
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

	assert(hp->num_free == hp->num);
	mem_free(hp->free);
	mem_free(hp->packets);
	mem_free_aligned(hp->bufs);
	mem_free(hp);
}

uint32_t pool_num_free(const struct pool *pool)
{
	static_assert(offsetof(struct heap_pool, pool) == 0, "the cast keeps const");
	return ((const struct heap_pool *)(const void *)pool)->num_free;
}
