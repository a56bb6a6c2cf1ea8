/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/lane/fib.h"

#include "base/alloc.h"

#define LENGTHS_MAX 130 /* of both families */
#define KEPT_BITS   10  /* of a reader's places */
#define KEPT_LEN    (sizeof(struct fib_dst) << KEPT_BITS)

/* struct lengths - of the prefixes of one set and family, the longest first. */
struct lengths {
	uint32_t num;
	uint8_t len[LENGTHS_MAX];
};

/* struct fib - two tables of open addressing: places hold an index and 1 more. */
struct fib {
	struct rcu_head rcu;
	struct fib_route *routes;
	struct fib_neigh *neighs;
	uint32_t *route_places, *neigh_places;
	size_t route_mask, neigh_mask, num_neighs;
	uint64_t generation;
	struct lengths lengths[2][2]; /* by enum fib_set, IPv6 */
};

/* ---- hashing -------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	return h;
}

static uint64_t hash(const struct ip_addr *a, uint32_t what)
{
	uint64_t lo, hi;

	memcpy(&lo, a->b, sizeof(lo));
	memcpy(&hi, a->b + 8, sizeof(hi));
	return mix(mix(lo ^ ((uint64_t)what << 32 | a->family)) + hi * 31);
}

static uint64_t route_hash(const struct ip_addr *a, uint8_t len, uint8_t set)
{
	return hash(a, (uint32_t)len << 1 | set);
}

/* masked - the address without its host bits. */
static struct ip_addr masked(const struct ip_addr *a, uint8_t len)
{
	struct ip_addr m = *a;
	uint64_t lo, hi;

	hi = len >= 64 ? UINT64_MAX : len ? ~(UINT64_MAX >> len) : 0;
	lo = len >= 128 ? UINT64_MAX : len > 64 ? ~(UINT64_MAX >> (len - 64)) : 0;
	store_be64(m.b, load_be64(m.b) & hi);
	store_be64(m.b + 8, load_be64(m.b + 8) & lo);
	return m;
}

/* ---- looking up ----------------------------------------------------------------------------- */

static struct fib_route *probe(const struct fib *f, const struct ip_addr *dst, uint8_t len,
			       uint8_t set)
{
	for (size_t at = route_hash(dst, len, set);; at++) {
		uint32_t place = f->route_places[at & f->route_mask];

		if (!place)
			return NULL;
		struct fib_route *r = &f->routes[place - 1];

		if (r->len == len && r->set == set && ip_addr_equal(&r->dst, dst))
			return r;
	}
}

const struct fib_route *fib_route(const struct fib *f, enum fib_set set, const struct ip_addr *a)
{
	const struct lengths *l = &f->lengths[set][a->family == IP_V6];

	for (uint32_t i = 0; i < l->num; i++) {
		struct ip_addr dst = masked(a, l->len[i]);
		const struct fib_route *r = probe(f, &dst, l->len[i], (uint8_t)set);

		if (r)
			return r;
	}
	return NULL;
}

struct fib_neigh *fib_neigh(const struct fib *f, uint8_t port, const struct ip_addr *a)
{
	for (size_t at = hash(a, port);; at++) {
		uint32_t place = f->neigh_places[at & f->neigh_mask];

		if (!place)
			return NULL;
		struct fib_neigh *n = &f->neighs[place - 1];

		if (n->port == port && ip_addr_equal(&n->addr, a))
			return n;
	}
}

struct fib_neigh *fib_neighs(const struct fib *f, size_t *out_num)
{
	*out_num = f->num_neighs;
	return f->neighs;
}

/* place_of - in the kept ones; senders may choose addresses that meet there, and gain a look-up. */
static size_t place_of(uint64_t lo, uint64_t hi)
{
	return (size_t)((lo ^ hi * 31) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - KEPT_BITS));
}

/* Kept apart: what is found every time stays short. */
static __attribute__((noinline)) void look_up(const struct fib *f, struct fib_dst *d,
					      uint8_t family, const uint8_t *b)
{
	const struct ip_addr addr = family == IP_V4 ? ip_addr_v4(b) : ip_addr_v6(b);
	const struct ip_addr *a = &addr;
	const struct fib_route *r = fib_route(f, FIB_MAIN, a);

	*d = (struct fib_dst){.addr = addr,
			      .route = r,
			      .local = r && r->local,
			      .protect = fib_route(f, FIB_PROTECT, a) != NULL};
	if (r && !r->local && r->port != FIB_NO_PORT)
		d->neigh = fib_neigh(f, r->port, r->gateway.family ? &r->gateway : a);
}

const struct fib_dst *fib_find(struct fib_reader *r, uint8_t family, const uint8_t *a)
{
	uint64_t lo = 0, hi = 0, kept_lo, kept_hi;
	uint32_t v4;

	/* In words, never put together from bytes: a load that spans stores waits for them. */
	if (likely(family == IP_V4)) {
		memcpy(&v4, a, sizeof(v4));
		lo = v4;
	} else {
		memcpy(&lo, a, sizeof(lo));
		memcpy(&hi, a + 8, sizeof(hi));
	}
	struct fib_dst *d = &r->kept[place_of(lo, hi)];

	memcpy(&kept_lo, d->addr.b, sizeof(kept_lo));
	memcpy(&kept_hi, d->addr.b + 8, sizeof(kept_hi));
	if (unlikely(kept_lo != lo || kept_hi != hi || d->addr.family != family))
		look_up(r->fib, d, family, a);
	return d;
}

/* A table may lie where one before it did, so its generation is what tells. */
struct fib_reader *fib_read(struct fib_reader *r, const struct fib *f)
{
	if (!f)
		return NULL;
	r->fib = f;
	if (unlikely(r->generation != f->generation)) {
		memset(r->kept, 0, KEPT_LEN);
		r->generation = f->generation;
	}
	return r;
}

enum err fib_reader_init(struct fib_reader *r)
{
	*r = (struct fib_reader){.kept = mem_alloc_aligned(CACHE_LINE, KEPT_LEN)};
	return r->kept ? ERR_OK : ERR_NOMEM;
}

void fib_reader_fini(struct fib_reader *r)
{
	mem_free_aligned(r->kept);
	r->kept = NULL;
}

/* ---- making --------------------------------------------------------------------------------- */

static size_t places_for(size_t num)
{
	size_t size = 8;

	while (size < 2 * num)
		size *= 2;
	return size;
}

static void add_length(struct lengths *l, uint8_t len)
{
	uint32_t at = 0;

	while (at < l->num && l->len[at] > len)
		at++;
	if (at < l->num && l->len[at] == len)
		return;
	memmove(l->len + at + 1, l->len + at, l->num - at);
	l->len[at] = len;
	l->num++;
}

static void add_route(struct fib *f, const struct fib_route *from, size_t index)
{
	struct fib_route r = *from;
	struct fib_route *there;
	size_t at;

	r.dst = masked(&r.dst, r.len);
	there = probe(f, &r.dst, r.len, r.set);
	if (there) {
		/* What is the host itself is so whatever else is said. */
		if (r.local > there->local || (r.local == there->local && r.metric < there->metric))
			*there = r;
		return;
	}
	at = route_hash(&r.dst, r.len, r.set);
	while (f->route_places[at & f->route_mask])
		at++;
	f->routes[index] = r;
	f->route_places[at & f->route_mask] = (uint32_t)index + 1;
	add_length(&f->lengths[r.set][r.dst.family == IP_V6], r.len);
}

static void add_neigh(struct fib *f, const struct fib_neigh *n, size_t index)
{
	size_t at = hash(&n->addr, n->port);

	while (f->neigh_places[at & f->neigh_mask])
		at++;
	f->neighs[index] = *n;
	f->neigh_places[at & f->neigh_mask] = (uint32_t)index + 1;
}

struct fib *fib_new(uint64_t generation, const struct fib_route *routes, size_t num_routes,
		    const struct fib_neigh *neighs, size_t num_neighs)
{
	struct fib *f = mem_alloc(sizeof(*f));

	if (!f)
		return NULL;
	f->generation = generation;
	f->route_mask = places_for(num_routes) - 1;
	f->neigh_mask = places_for(num_neighs) - 1;
	f->num_neighs = num_neighs;
	f->routes = mem_alloc_array(num_routes + 1, sizeof(*f->routes));
	f->neighs = mem_alloc_array(num_neighs + 1, sizeof(*f->neighs));
	f->route_places = mem_alloc_array(f->route_mask + 1, sizeof(*f->route_places));
	f->neigh_places = mem_alloc_array(f->neigh_mask + 1, sizeof(*f->neigh_places));
	if (!f->routes || !f->neighs || !f->route_places || !f->neigh_places) {
		fib_free(f);
		return NULL;
	}
	for (size_t i = 0; i < num_routes; i++)
		add_route(f, &routes[i], i);
	for (size_t i = 0; i < num_neighs; i++)
		add_neigh(f, &neighs[i], i);
	return f;
}

void fib_free(struct fib *f)
{
	if (!f)
		return;
	mem_free(f->routes);
	mem_free(f->neighs);
	mem_free(f->route_places);
	mem_free(f->neigh_places);
	mem_free(f);
}

static void retired(struct rcu_head *head)
{
	fib_free(container_of(head, struct fib, rcu));
}

void fib_retire(struct fib *f, struct rcu_queue *q)
{
	if (f)
		rcu_defer(q, &f->rcu, retired);
}
