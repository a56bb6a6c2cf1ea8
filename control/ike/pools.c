/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/pools.h"

#include <stddef.h>

#include "base/alloc.h"
#include "control/ike/wire/proto.h"

/* struct pool - the leases of one; size of them can be had. */
struct pool {
	struct list_node node;
	char *name;
	struct ip_addr lo, hi;
	uint64_t size;
	uint64_t next; /* addresses before this one have had a lease */
	struct htab by_addr, by_owner;
	struct list_node free; /* leases that nobody has */
	uint32_t num_free;
};

void pools_init(struct pools *p, const struct rng *rng)
{
	list_init(&p->list);
	p->rng = rng;
}

/* ---- leases ---------------------------------------------------------------------------------- */

static struct bytes addr_key(const struct ip_addr *a)
{
	return bytes_of(a, sizeof(*a));
}

static struct bytes owner_key(const struct ike_id *id)
{
	return bytes_of(id, offsetof(struct ike_id, data) + id->len);
}

/* Who has no name cannot be known again. */
static bool has_name(const struct ike_id *id)
{
	return id->type != 0 && id->type != ID_NULL;
}

static void own(struct lease *l, const struct ike_id *peer)
{
	memset(&l->owner, 0, sizeof(l->owner));
	if (!has_name(peer))
		return;
	l->owner.type = peer->type;
	l->owner.len = peer->len;
	memcpy(l->owner.data, peer->data, peer->len);
	htab_insert(&l->pool->by_owner, &l->by_owner, owner_key(&l->owner));
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
	htab_remove(&l->pool->by_addr, &l->by_addr);
	if (list_linked(&l->node)) {
		list_remove(&l->node);
		l->pool->num_free--;
	}
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
	htab_fini(&p->by_addr);
	htab_fini(&p->by_owner);
	mem_free(p->name);
	mem_free(p);
}

void pools_fini(struct pools *p)
{
	list_for_each_safe (n, &p->list)
		pool_free(list_entry(n, struct pool, node));
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
	list_init(&p->free);
	list_push_back(&ps->list, &p->node);
	p->name = str_dup(name);
	e = p->name ? htab_init(&p->by_addr, ps->rng) : ERR_NOMEM;
	if (!e)
		e = htab_init(&p->by_owner, ps->rng);
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

/* Of the peer's leases: that which it asks for, in use or not (it may be about to replace the
 * connection that has it), or one that it gave back. */
static struct lease *known(struct pool *p, const struct ike_id *peer, const struct ip_addr *wanted)
{
	struct lease *back = NULL;

	if (!has_name(peer))
		return NULL;
	for (struct htab_node *n = htab_find(&p->by_owner, owner_key(peer)); n; n = htab_next(n)) {
		struct lease *l = container_of(n, struct lease, by_owner);

		if (!is_within(p, &l->addr))
			continue;
		if (ip_addr_equal(&l->addr, wanted))
			return take(l);
		if (!l->refs)
			back = l;
	}
	return back ? take(back) : NULL;
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

/* fresh - one that has no lease. Errors: FULL, NOMEM. */
static enum err fresh(struct lease **out, struct pool *p, const struct ike_id *peer)
{
	struct ip_addr a = p->lo;
	struct lease *l;

	while (p->next < p->size && (a = nth(p, p->next), htab_find(&p->by_addr, addr_key(&a))))
		p->next++; /* from before the pool was another one */
	if (p->next == p->size)
		return ERR_FULL;
	l = mem_alloc(sizeof(*l));
	if (!l)
		return ERR_NOMEM;
	p->next++;
	l->pool = p;
	l->refs = 1;
	l->addr = a;
	htab_insert(&p->by_addr, &l->by_addr, addr_key(&l->addr));
	own(l, peer);
	*out = l;
	return ERR_OK;
}

/* again - one that somebody else gave back: the first of them. */
static struct lease *again(struct pool *p, const struct ike_id *peer)
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
		   const struct ike_id *peer, const struct ip_addr *wanted)
{
	struct pool *p;
	enum err e = pool_for(&p, ps, conf);

	if (e)
		return e;
	*out = known(p, peer, wanted);
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

	for (size_t i = 0; p && i < p->by_addr.num_buckets; i++)
		for (struct htab_node *n = p->by_addr.buckets[i]; n; n = n->next)
			fn(ctx, container_of(n, struct lease, by_addr));
}
