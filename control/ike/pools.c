/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/pools.h"

#include <sodium.h>

#include "base/alloc.h"
#include "control/ike/wire/proto.h"

/* struct pool - the leases of one; size of them can be had. */
struct pool {
	struct list_node node;
	char *name;
	struct pools *all;
	struct ip_addr lo, hi;
	uint64_t size;
	uint64_t next; /* addresses before this one have had a lease */
	uint64_t num;  /* leases of addresses that it has or had */
	struct htab by_owner;
	struct list_node free; /* leases that nobody has */
	uint32_t num_free;
};

enum err pools_init(struct pools *p, const struct rng *rng)
{
	list_init(&p->list);
	p->rng = rng;
	return htab_init(&p->by_addr, rng);
}

/* ---- leases ---------------------------------------------------------------------------------- */

static struct bytes addr_key(const struct ip_addr *a)
{
	return bytes_of(a, sizeof(*a));
}

/* Who has no name cannot be known again. */
static bool has_name(const struct ike_id *id)
{
	return id->type != 0 && id->type != ID_NULL;
}

/* owner_key - the connection and the identity. */
static void owner_key(uint8_t out[static POOL_OWNER_LEN], const struct pool_peer *peer)
{
	crypto_generichash_state h;

	crypto_generichash_init(&h, NULL, 0, POOL_OWNER_LEN);
	crypto_generichash_update(&h, (const uint8_t *)peer->conn, strlen(peer->conn) + 1);
	crypto_generichash_update(&h, &peer->id->type, 1);
	crypto_generichash_update(&h, peer->id->data, peer->id->len);
	crypto_generichash_final(&h, out, POOL_OWNER_LEN);
}

static void own(struct lease *l, const struct pool_peer *peer)
{
	l->owner = *peer->id;
	if (!has_name(peer->id)) {
		l->owner.type = 0;
		return;
	}
	owner_key(l->owner_key, peer);
	htab_insert(&l->pool->by_owner, &l->by_owner, bytes_of(l->owner_key, POOL_OWNER_LEN));
}

static void disown(struct lease *l)
{
	if (l->owner.type)
		htab_remove(&l->pool->by_owner, &l->by_owner);
	l->owner.type = 0;
}

static void lease_free(struct lease *l)
{
	disown(l);
	htab_remove(&l->pool->all->by_addr, &l->by_addr);
	if (list_linked(&l->node)) {
		list_remove(&l->node);
		l->pool->num_free--;
	}
	l->pool->num--;
	mem_free(l);
}

static bool is_within(const struct pool *p, const struct ip_addr *a)
{
	return a->family == p->lo.family && ip_addr_cmp(&p->lo, a) <= 0 &&
	       ip_addr_cmp(a, &p->hi) <= 0;
}

static struct lease *take(struct lease *l)
{
	if (l->refs++ == 0) {
		list_remove(&l->node);
		l->pool->num_free--;
	}
	return l;
}

/* What nobody with a name had is the first to be used again: nobody comes back for it. */
void lease_put(struct lease *l)
{
	struct pool *p = l->pool;

	if (--l->refs > 0)
		return;
	if (l->owner.type)
		list_push_back(&p->free, &l->node);
	else
		list_push_front(&p->free, &l->node);
	p->num_free++;
	if (!is_within(p, &l->addr))
		lease_free(l);
	else if (p->num_free > LEASES_KEPT)
		lease_free(list_entry(p->free.next, struct lease, node));
}

/* ---- pools ----------------------------------------------------------------------------------- */

static void pool_free(struct pool *p)
{
	list_for_each_safe (n, &p->free)
		lease_free(list_entry(n, struct lease, node));
	list_remove(&p->node);
	htab_fini(&p->by_owner);
	mem_free(p->name);
	mem_free(p);
}

void pools_fini(struct pools *p)
{
	if (p->rng)
		list_for_each_safe (n, &p->list)
			pool_free(list_entry(n, struct pool, node));
	htab_fini(&p->by_addr);
}

static struct pool *pool_find(const struct pools *ps, const char *name)
{
	list_for_each (n, &ps->list) {
		struct pool *p = list_entry(n, struct pool, node);

		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

static enum err pool_new(struct pool **out, struct pools *ps, const char *name)
{
	struct pool *p = mem_alloc(sizeof(*p));
	enum err e;

	if (!p)
		return ERR_NOMEM;
	p->all = ps;
	list_init(&p->free);
	list_push_back(&ps->list, &p->node);
	p->name = str_dup(name);
	e = p->name ? htab_init(&p->by_owner, ps->rng) : ERR_NOMEM;
	if (e) {
		pool_free(p);
		return e;
	}
	*out = p;
	return ERR_OK;
}

/* The configuration has other addresses now: those that are in use stay until they are given back.
 */
static void resize(struct pool *p, const struct conf_pool *conf)
{
	if (ip_addr_equal(&p->lo, &conf->lo) && ip_addr_equal(&p->hi, &conf->hi))
		return;
	p->lo = conf->lo;
	p->hi = conf->hi;
	p->size = conf_pool_size(conf);
	p->next = 0;
	list_for_each_safe (n, &p->free) {
		struct lease *l = list_entry(n, struct lease, node);

		if (!is_within(p, &l->addr))
			lease_free(l);
	}
}

static enum err pool_for(struct pool **out, struct pools *ps, const struct conf_pool *conf)
{
	enum err e = ERR_OK;

	*out = pool_find(ps, conf->name);
	if (!*out)
		e = pool_new(out, ps, conf->name);
	if (!e)
		resize(*out, conf);
	return e;
}

/* ---- lending --------------------------------------------------------------------------------- */

/* known - of the peer's leases that which it asks for, in use or not (it may be about to replace
 * the connection that has it), or one that it gave back. *out_used: how many it has in use. */
static struct lease *known(uint32_t *out_used, struct pool *p, const struct pool_peer *peer,
			   const struct ip_addr *wanted)
{
	struct lease *back = NULL;
	uint8_t key[POOL_OWNER_LEN];

	*out_used = 0;
	if (!has_name(peer->id))
		return NULL;
	owner_key(key, peer);
	for (struct htab_node *n = htab_find(&p->by_owner, bytes_of(key, sizeof(key))); n;
	     n = htab_next(n)) {
		struct lease *l = container_of(n, struct lease, by_owner);

		*out_used += l->refs > 0;
		if (!is_within(p, &l->addr) || (l->refs && peer->many))
			continue;
		if (ip_addr_equal(&l->addr, wanted))
			return take(l);
		if (!l->refs)
			back = l;
	}
	return back && *out_used < LEASES_EACH ? take(back) : NULL;
}

static struct ip_addr nth(const struct pool *p, uint64_t n)
{
	struct ip_addr a = p->lo;

	for (size_t i = ip_addr_len(&a); n && i-- > 0; n >>= 8) {
		n += a.b[i];
		a.b[i] = (uint8_t)n;
	}
	return a;
}

/* is_held - the address has a lease already, which another pool may have made that had it before,
 * and forgets it if nobody has it. */
static bool is_held(const struct pool *p, const struct ip_addr *a)
{
	struct htab_node *n = htab_find(&p->all->by_addr, addr_key(a));
	struct lease *l = n ? container_of(n, struct lease, by_addr) : NULL;

	if (l && l->pool != p && !l->refs) {
		lease_free(l);
		l = NULL;
	}
	return l != NULL;
}

/* next_fresh - the next address that has no lease; those that were forgotten come again when all
 * others have had one. False: there is none. */
static bool next_fresh(struct pool *p, struct ip_addr *out)
{
	for (unsigned round = 0; round < 2; round++, p->next = 0) {
		for (; p->next < p->size; p->next++) {
			*out = nth(p, p->next);
			if (!is_held(p, out))
				return true;
		}
		if (p->num >= p->size)
			return false;
	}
	p->next = p->size;
	return false;
}

/* fresh - one that has no lease. Errors: FULL, NOMEM. */
static enum err fresh(struct lease **out, struct pool *p, const struct pool_peer *peer)
{
	struct ip_addr a;
	struct lease *l;

	if (!next_fresh(p, &a))
		return ERR_FULL;
	l = mem_alloc(sizeof(*l));
	if (!l)
		return ERR_NOMEM;
	p->next++;
	p->num++;
	l->pool = p;
	l->refs = 1;
	l->addr = a;
	htab_insert(&p->all->by_addr, &l->by_addr, addr_key(&l->addr));
	own(l, peer);
	*out = l;
	return ERR_OK;
}

/* again - one that somebody else gave back: the first of them. */
static struct lease *again(struct pool *p, const struct pool_peer *peer)
{
	struct lease *l;

	if (list_empty(&p->free))
		return NULL;
	l = take(list_entry(p->free.next, struct lease, node));
	disown(l);
	own(l, peer);
	return l;
}

/* Nobody's are used again before those that were never lent. */
static bool has_nobodys(const struct pool *p)
{
	return !list_empty(&p->free) && !list_entry(p->free.next, struct lease, node)->owner.type;
}

enum err pool_lend(struct lease **out, struct pools *ps, const struct conf_pool *conf,
		   const struct pool_peer *peer, const struct ip_addr *wanted)
{
	uint32_t used;
	struct pool *p;
	enum err e = pool_for(&p, ps, conf);

	if (e)
		return e;
	*out = known(&used, p, peer, wanted);
	if (!*out && used >= LEASES_EACH)
		return ERR_FULL;
	if (!*out && has_nobodys(p))
		*out = again(p, peer);
	if (*out)
		return ERR_OK;
	e = fresh(out, p, peer);
	if (e == ERR_FULL && (*out = again(p, peer)))
		return ERR_OK;
	return e;
}

void pool_each(const struct pools *ps, const char *name,
	       void (*fn)(void *ctx, const struct lease *l), void *ctx)
{
	const struct pool *p = pool_find(ps, name);

	for (size_t i = 0; p && i < ps->by_addr.num_buckets; i++)
		for (struct htab_node *n = ps->by_addr.buckets[i]; n; n = n->next)
			if (container_of(n, struct lease, by_addr)->pool == p)
				fn(ctx, container_of(n, struct lease, by_addr));
}
