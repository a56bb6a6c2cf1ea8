/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/class.h"

#include "base/alloc.h"
#include "base/htab.h"
#include "base/rcu.h"
#include "base/writer.h"

#define INDEX_MASK ((1u << CLASS_INDEX_BITS) - 1)
#define GEN_MASK   ((1u << CLASS_GEN_BITS) - 1)

/* KEY_MAX - method, quality, then each identity as type, length, data. */
#define KEY_MAX (2 + 2 * (1 + 2 + sizeof(((struct ike_id *)0)->data)))

/* CHUNK_BITS - heads of the classes' groups come in chunks, whose places never change. */
#define CHUNK_BITS 10
#define CHUNK_LEN  (1u << CHUNK_BITS)
#define NUM_CHUNKS (1u << (CLASS_INDEX_BITS - CHUNK_BITS))

/* struct class - one slot; it stays in place when it is free, to remember its generation. */
struct class
{
	struct htab_node node; /* keyed by key */
	uint8_t *key;
	struct class_info *info;
	uint32_t num_refs;
	uint32_t handle;
	struct list_node resting; /* linked while there are no references */
};

/* struct class_table - classes without references rest, first in, first out. */
struct class_table {
	struct htab by_key;
	struct class **slots; /* by index; slot 0 is not used */
	uint32_t num_slots;
	uint32_t cap;
	uint8_t first_gen; /* of each index */
	struct list_node resting;
	uint32_t num_resting;
	void (*forgotten)(void *ctx, uint32_t handle);
	void *ctx;
	struct sa_group **chunks[NUM_CHUNKS]; /* RCU: control w, workers r */
};

struct class_table *class_table_new(const struct rng *rng,
				    void (*forgotten)(void *ctx, uint32_t handle), void *ctx)
{
	struct class_table *t = mem_alloc(sizeof(*t));

	if (!t)
		return NULL;
	if (rng_fill(rng, &t->first_gen, sizeof(t->first_gen)) != ERR_OK ||
	    htab_init(&t->by_key, rng) != ERR_OK) {
		mem_free(t);
		return NULL;
	}
	t->num_slots = 1;
	list_init(&t->resting);
	t->forgotten = forgotten;
	t->ctx = ctx;
	return t;
}

void class_table_free(struct class_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 1; i < t->num_slots; i++) {
		mem_free(t->slots[i]->key);
		mem_free(t->slots[i]->info);
		mem_free(t->slots[i]);
	}
	for (uint32_t i = 0; i < NUM_CHUNKS; i++)
		mem_free(t->chunks[i]);
	mem_free(t->slots);
	htab_fini(&t->by_key);
	mem_free(t);
}

static struct class *class_of(const struct class_table *t, uint32_t handle)
{
	uint32_t index = handle & INDEX_MASK;

	if (index == 0 || index >= t->num_slots)
		return NULL;
	struct class *c = t->slots[index];

	return c->info && c->handle == handle ? c : NULL;
}

static enum err write_key(uint8_t *buf, struct bytes *out, const struct auth_proof_params *proven,
			  uint8_t quality)
{
	const struct ike_id *ids[] = {&proven->peer, &proven->local};
	struct writer w;

	writer_init(&w, buf, KEY_MAX);
	writer_u8(&w, (uint8_t)proven->method);
	writer_u8(&w, quality);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		if (ids[i]->len > sizeof(ids[i]->data))
			return ERR_INVAL;
		writer_u8(&w, ids[i]->type);
		writer_u16(&w, ids[i]->len);
		writer_bytes(&w, ids[i]->data, ids[i]->len);
	}
	return writer_finish(&w, out);
}

static enum err add_slot(struct class_table *t, struct class **out)
{
	if (t->num_slots > INDEX_MASK)
		return ERR_FULL;
	if (t->num_slots >= t->cap) {
		uint32_t cap = t->cap ? 2 * t->cap : 16;
		struct class **grown = mem_grow(t->slots, cap, sizeof(*grown));

		if (!grown)
			return ERR_NOMEM;
		t->slots = grown;
		t->cap = cap;
	}
	struct class *c = mem_alloc(sizeof(*c));

	if (!c)
		return ERR_NOMEM;
	c->handle = t->num_slots | (uint32_t)t->first_gen << CLASS_INDEX_BITS;
	t->slots[t->num_slots++] = c;
	*out = c;
	return ERR_OK;
}

/* forget - the class that rested longest names nothing any more; its slot has the next generation.
 */
static struct class *forget(struct class_table *t)
{
	struct list_node *oldest = t->resting.next;
	struct class *c = list_entry(oldest, struct class, resting);

	uint32_t gen = (c->handle >> CLASS_INDEX_BITS) + 1;

	list_remove(oldest);
	t->num_resting--;
	if (c->info) {
		htab_remove(&t->by_key, &c->node);
		mem_free(c->key);
		mem_free(c->info);
		c->key = NULL;
		c->info = NULL;
		if (t->forgotten)
			t->forgotten(t->ctx, c->handle);
	}
	c->handle = (c->handle & INDEX_MASK) | (gen & GEN_MASK) << CLASS_INDEX_BITS;
	return c;
}

static enum err take_slot(struct class_table *t, struct class **out)
{
	if (t->num_resting <= CLASS_REST) {
		enum err e = add_slot(t, out);

		if (e != ERR_FULL || t->num_resting == 0)
			return e;
	}
	*out = forget(t);
	return ERR_OK;
}

static void refer(struct class_table *t, struct class *c)
{
	if (c->num_refs++ == 0 && list_linked(&c->resting)) {
		list_remove(&c->resting);
		t->num_resting--;
	}
}

static struct class_info *info_new(const struct auth_proof_params *proven, uint8_t quality)
{
	struct class_info *info = mem_alloc(sizeof(*info));

	if (info)
		*info = (struct class_info){
			.method = proven->method,
			.quality = quality,
			.local = proven->local,
			.peer = proven->peer,
		};
	return info;
}

enum err class_get(struct class_table *t, uint32_t *out, const struct auth_proof_params *proven,
		   uint8_t quality)
{
	uint8_t buf[KEY_MAX];
	struct bytes key;
	struct class *c;
	enum err e = write_key(buf, &key, proven, quality);

	if (e != ERR_OK)
		return e;
	struct htab_node *node = htab_find(&t->by_key, key);

	if (node) {
		c = container_of(node, struct class, node);
		refer(t, c);
		*out = c->handle;
		return ERR_OK;
	}
	uint8_t *copy = mem_dup(key.p, key.len);
	struct class_info *info = info_new(proven, quality);

	e = copy && info ? take_slot(t, &c) : ERR_NOMEM;
	if (e != ERR_OK) {
		mem_free(copy);
		mem_free(info);
		return e;
	}
	c->key = copy;
	c->info = info;
	refer(t, c);
	htab_insert(&t->by_key, &c->node, bytes_of(copy, key.len));
	*out = c->handle;
	return ERR_OK;
}

enum err class_hold(struct class_table *t, uint32_t handle)
{
	struct class *c = class_of(t, handle);

	if (!c)
		return ERR_NOT_FOUND;
	refer(t, c);
	return ERR_OK;
}

void class_put(struct class_table *t, uint32_t handle)
{
	struct class *c = class_of(t, handle);

	assert(c && c->num_refs);
	if (--c->num_refs)
		return;
	list_push_back(&t->resting, &c->resting);
	t->num_resting++;
}

enum err class_info(const struct class_table *t, struct class_info *out, uint32_t handle)
{
	const struct class *c = class_of(t, handle);

	if (!c)
		return ERR_NOT_FOUND;
	*out = *c->info;
	return ERR_OK;
}

bool class_live(const struct class_table *t, uint32_t handle)
{
	const struct class *c = class_of(t, handle);

	return c && c->num_refs;
}

struct sa_group *const *class_groups(const struct class_table *t, uint32_t handle)
{
	uint32_t index = handle & INDEX_MASK;
	struct sa_group **chunk = rcu_deref(t->chunks[index >> CHUNK_BITS]);

	return chunk ? &chunk[index & (CHUNK_LEN - 1)] : NULL;
}

struct sa_group **class_groups_make(struct class_table *t, uint32_t handle)
{
	uint32_t index = handle & INDEX_MASK;
	struct sa_group ***at = &t->chunks[index >> CHUNK_BITS];

	if (!*at) {
		struct sa_group **chunk = mem_alloc_array(CHUNK_LEN, sizeof(struct sa_group *));

		if (!chunk)
			return NULL;
		rcu_publish(*at, chunk);
	}
	return &(*at)[index & (CHUNK_LEN - 1)];
}
