/* SPDX-License-Identifier: Apache-2.0 */
#include "base/htab.h"

#include "base/alloc.h"

#include <sodium.h>

#define BUCKETS_FIRST 16

static uint64_t hash_key(const struct htab *t, struct bytes key)
{
	uint64_t h;

	static_assert(sizeof(h) == crypto_shorthash_siphash24_BYTES, "a SipHash value");
	static_assert(sizeof(t->sip_key) == crypto_shorthash_siphash24_KEYBYTES, "a SipHash key");
	crypto_shorthash_siphash24((unsigned char *)&h, key.len ? key.p : (const uint8_t *)"",
				   key.len, t->sip_key);
	return h;
}

static struct htab_node **bucket(const struct htab *t, uint64_t hash)
{
	return &t->buckets[hash & (t->num_buckets - 1)];
}

static enum err make(struct htab *t, struct htab fresh)
{
	fresh.num_buckets = BUCKETS_FIRST;
	fresh.buckets = mem_alloc_array(fresh.num_buckets, sizeof(fresh.buckets[0]));
	if (!fresh.buckets)
		return ERR_NOMEM;
	*t = fresh;
	return ERR_OK;
}

enum err htab_init(struct htab *t, const struct rng *rng)
{
	struct htab fresh = {.num = 0};
	enum err e = rng_fill(rng, fresh.sip_key, sizeof(fresh.sip_key));

	return e ? e : make(t, fresh);
}

enum err htab_init_like(struct htab *t, const struct htab *other)
{
	struct htab fresh = {.num = 0};

	memcpy(fresh.sip_key, other->sip_key, sizeof(fresh.sip_key));
	return make(t, fresh);
}

void htab_fini(struct htab *t)
{
	mem_free(t->buckets);
	*t = (struct htab){0};
}

/* Doubling splits each chain in two, keeping its order (newest first). Without memory for it the
 * table goes on with longer chains. */
static void grow(struct htab *t)
{
	size_t half = t->num_buckets;
	struct htab_node **more = mem_alloc_array(half, 2 * sizeof(more[0]));

	if (!more)
		return;
	for (size_t i = 0; i < half; i++) {
		struct htab_node **low = &more[i];
		struct htab_node **high = &more[i + half];

		for (struct htab_node *n = t->buckets[i]; n; n = n->next) {
			struct htab_node ***tail = n->hash & half ? &high : &low;

			**tail = n;
			n->at = *tail;
			*tail = &n->next;
		}
		*low = *high = NULL;
	}
	mem_free(t->buckets);
	t->buckets = more;
	t->num_buckets = 2 * half;
}

void htab_insert(struct htab *t, struct htab_node *node, struct bytes key)
{
	struct htab_node **b;

	assert(t->buckets);
	if (t->num >= t->num_buckets)
		grow(t);
	node->hash = hash_key(t, key);
	node->key = key;
	b = bucket(t, node->hash);
	node->next = *b;
	node->at = b;
	if (*b)
		(*b)->at = &node->next;
	*b = node;
	t->num++;
}

void htab_remove(struct htab *t, struct htab_node *node)
{
	assert(node->at && *node->at == node);
	*node->at = node->next;
	if (node->next)
		node->next->at = node->at;
	node->next = NULL;
	node->at = NULL;
	t->num--;
}

struct htab_node *htab_find(const struct htab *t, struct bytes key)
{
	struct htab_node *n;
	uint64_t hash;

	if (t->num == 0)
		return NULL;
	hash = hash_key(t, key);
	for (n = *bucket(t, hash); n; n = n->next) {
		if (n->hash == hash && bytes_equal(n->key, key))
			return n;
	}
	return NULL;
}

struct htab_node *htab_next(const struct htab_node *node)
{
	struct htab_node *n = node->next;

	while (n && (n->hash != node->hash || !bytes_equal(n->key, node->key)))
		n = n->next;
	return n;
}
