/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/latch.h"

#include "base/alloc.h"
#include "dataplane/spd.h"

#define MIN_NUM    64u
#define MAX_NUM    (1u << 24)
#define WAYS       8u
#define NUM_CHOICE 2u /* buckets of a flow */

/* A tag is a place's state: EMPTY, or the flow's hash with TAG_USED; TAG_READY once the latch may
 * be read, TAG_GONE until no reader can be at it any more. */
#define TAG_EMPTY UINT64_C(0)
#define TAG_USED  UINT64_C(1)
#define TAG_READY UINT64_C(2)
#define TAG_GONE  UINT64_C(4)
#define TAG_BITS  UINT64_C(7)

/* struct latch_bucket - the tags of eight places: one line. */
struct latch_bucket {
	alignas(CACHE_LINE) uint64_t tags[WAYS]; /* atomic */
};

/* struct more - a latch of control's that had no place. */
struct more {
	struct rcu_head rcu;
	struct more *next; /* RCU: control w, workers r */
	uint64_t tag;      /* of a place that is ready */
	struct latch latch;
};

/* struct home - of the flows whose first bucket this is. */
struct home {
	uint32_t gen;      /* atomic */
	struct more *more; /* RCU: control w, workers r */
};

struct latch_table {
	struct latch_bucket *buckets;
	struct latch *latches; /* WAYS to a bucket */
	struct home *homes;    /* one for each bucket */
	struct spd *spd;
	uint64_t seed[2];
	uint32_t mask;        /* of buckets */
	uint32_t num;         /* atomic */
	uint32_t asked;       /* room that was asked for */
	struct rcu_head wait; /* control: of latch_remove() */
};

static_assert(sizeof(struct latch) <= CACHE_LINE, "a latch is a line");

struct latch_table *latch_table_new(uint32_t num, struct spd *spd, const struct rng *rng)
{
	struct latch_table *t = mem_alloc(sizeof(*t));
	uint32_t size = MIN_NUM;

	/* Two of three places can be filled before a flow finds both of its buckets full. */
	while (size / 3 * 2 < num && size < MAX_NUM)
		size *= 2;
	if (!t)
		return NULL;
	t->asked = num < MIN_NUM ? MIN_NUM : num;
	t->mask = size / WAYS - 1;
	t->spd = spd;
	t->buckets = mem_alloc_aligned(CACHE_LINE, size / WAYS * sizeof(*t->buckets));
	t->latches = mem_alloc_array(size, sizeof(*t->latches));
	t->homes = mem_alloc_array(size / WAYS, sizeof(*t->homes));
	if (!t->buckets || !t->latches || !t->homes ||
	    rng_fill(rng, t->seed, sizeof(t->seed)) != ERR_OK) {
		latch_table_free(t);
		return NULL;
	}
	return t;
}

void latch_table_free(struct latch_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; t->homes && i <= t->mask; i++) {
		while (t->homes[i].more) {
			struct more *m = t->homes[i].more;

			t->homes[i].more = m->next;
			mem_free(m);
		}
	}
	mem_free_aligned(t->buckets);
	mem_free(t->latches);
	mem_free(t->homes);
	mem_free(t);
}

uint32_t latch_table_num(const struct latch_table *t)
{
	return __atomic_load_n(&t->num, __ATOMIC_RELAXED);
}

uint32_t latch_table_room(const struct latch_table *t)
{
	return (t->mask + 1) * WAYS;
}

static uint64_t hash(const struct latch_table *t, const struct flow_id *id)
{
	const uint64_t s0 = t->seed[0], s1 = t->seed[1];
	uint64_t h = flow_mix(id->what ^ s0, id->addr[0] ^ s1);

	h ^= flow_mix(id->addr[1] ^ s1, id->addr[2] ^ ~s0) ^ flow_mix(id->addr[3] ^ ~s1, s0);
	return flow_mix(h ^ s0, s1 ^ UINT64_C(0x9e3779b97f4a7c15));
}

/* struct where - a flow's tag, and where it may be. */
struct where {
	uint64_t tag;
	uint32_t buckets[NUM_CHOICE];
};

static struct where where(const struct latch_table *t, const struct flow_id *id)
{
	uint64_t h = hash(t, id);

	return (struct where){
		.tag = (h & ~TAG_BITS) | TAG_USED | TAG_READY,
		.buckets = {(uint32_t)(h >> 4) & t->mask, (uint32_t)(h >> 36) & t->mask},
	};
}

static uint64_t tag_at(const struct latch_table *t, uint32_t bucket, uint32_t way)
{
	return __atomic_load_n(&t->buckets[bucket].tags[way], __ATOMIC_SEQ_CST);
}

static void set_tag(struct latch_table *t, uint32_t place, uint64_t tag)
{
	__atomic_store_n(&t->buckets[place / WAYS].tags[place % WAYS], tag, __ATOMIC_SEQ_CST);
}

uint32_t latch_generation(const struct latch_table *t, const struct flow_id *id)
{
	return __atomic_load_n(&t->homes[where(t, id).buckets[0]].gen, __ATOMIC_ACQUIRE);
}

/* changed - after the change: whoever reads the new generation reads the change too. */
static void changed(struct latch_table *t, const struct flow_id *id)
{
	__atomic_fetch_add(&t->homes[where(t, id).buckets[0]].gen, 1, __ATOMIC_RELEASE);
	spd_next_epoch(t->spd);
}

static struct more *more_of(const struct latch_table *t, const struct where *w)
{
	return __atomic_load_n(&t->homes[w->buckets[0]].more, __ATOMIC_SEQ_CST);
}

struct latch *latch_find(const struct latch_table *t, const struct flow_id *id)
{
	const struct where w = where(t, id);

	for (uint32_t c = 0; c < NUM_CHOICE; c++) {
		for (uint32_t way = 0; way < WAYS; way++) {
			struct latch *l = &t->latches[w.buckets[c] * WAYS + way];

			if (unlikely(tag_at(t, w.buckets[c], way) == w.tag) &&
			    flow_equal(&l->id, id))
				return l;
		}
	}
	for (struct more *m = more_of(t, &w); m; m = rcu_deref(m->next)) {
		if (unlikely(m->tag == w.tag) && flow_equal(&m->latch.id, id))
			return &m->latch;
	}
	return NULL;
}

/* num_alike - places with the flow's tag, ready or being made ready, and latches without one. */
static uint32_t num_alike(const struct latch_table *t, const struct where *w)
{
	uint32_t num = 0, choices = w->buckets[0] == w->buckets[1] ? 1 : NUM_CHOICE;

	for (uint32_t c = 0; c < choices; c++) {
		for (uint32_t way = 0; way < WAYS; way++)
			num += (tag_at(t, w->buckets[c], way) | TAG_READY) == w->tag;
	}
	for (const struct more *m = more_of(t, w); m; m = rcu_deref(m->next))
		num += m->tag == w->tag;
	return num;
}

static uint32_t num_empty(const struct latch_table *t, uint32_t bucket)
{
	uint32_t num = 0;

	for (uint32_t way = 0; way < WAYS; way++)
		num += tag_at(t, bucket, way) == TAG_EMPTY;
	return num;
}

/* claim - a place of the emptier bucket is the flow's, not ready yet. Errors: FULL. */
static enum err claim(struct latch_table *t, uint32_t *out, const struct where *w)
{
	uint32_t first = num_empty(t, w->buckets[1]) > num_empty(t, w->buckets[0]);

	for (uint32_t c = 0; c < NUM_CHOICE; c++) {
		uint32_t bucket = w->buckets[c ^ first];

		for (uint32_t way = 0; way < WAYS; way++) {
			uint64_t empty = TAG_EMPTY;

			if (__atomic_compare_exchange_n(&t->buckets[bucket].tags[way], &empty,
							w->tag & ~TAG_READY, false,
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
				*out = bucket * WAYS + way;
				return ERR_OK;
			}
		}
	}
	return ERR_FULL;
}

/* has_room - for one more of its kind. */
static bool has_room(const struct latch_table *t, uint64_t word, uint32_t listener)
{
	uint32_t more = listener ? t->asked / 8 : 0;

	return latch_flags(word) & LATCH_F_HELD || latch_table_num(t) < t->asked + more;
}

/* Of two who latch one flow at a time each sees the other's claim, one of them at least: all that
 * is made sequentially consistent for. A tag alike that is another flow's is as rare as a hash of
 * 61 bits lets it be, and costs that flow a packet. */
enum err latch_enter(struct latch_table *t, struct latch **out, const struct flow_id *id,
		     uint64_t word, uint32_t used_s, uint32_t listener)
{
	const struct where w = where(t, id);
	uint32_t place;

	if (latch_find(t, id))
		return ERR_EXISTS;
	enum err e = has_room(t, word, listener) ? claim(t, &place, &w) : ERR_FULL;

	if (e != ERR_OK)
		return e;
	if (num_alike(t, &w) != 1) {
		set_tag(t, place, TAG_EMPTY); /* it was never ready: no reader is at it */
		return ERR_AGAIN;
	}
	struct latch *l = &t->latches[place];

	l->id = *id;
	l->listener = listener;
	__atomic_store_n(&l->word, word, __ATOMIC_RELAXED);
	__atomic_store_n(&l->used_s, used_s, __ATOMIC_RELAXED);
	set_tag(t, place, w.tag);
	__atomic_fetch_add(&t->num, 1, __ATOMIC_RELAXED);
	changed(t, id);
	*out = l;
	return ERR_OK;
}

/* ---- without a place, by control -------------------------------------------------------------
 */

static void more_free(struct rcu_head *head)
{
	mem_free(container_of(head, struct more, rcu));
}

/* unlink - whoever is at it finds the way on. */
static void unlink_more(struct latch_table *t, struct more *m, struct rcu_queue *q)
{
	struct more **at = &t->homes[where(t, &m->latch.id).buckets[0]].more;

	while (*at != m)
		at = &(*at)->next;
	rcu_publish(*at, m->next);
	rcu_defer(q, &m->rcu, more_free);
}

/* As latch_enter(): a worker that latches the flow meanwhile sees this one, or is seen. */
enum err latch_enter_held(struct latch_table *t, struct latch **out, const struct flow_id *id,
			  uint64_t word, struct rcu_queue *q)
{
	enum err e = latch_enter(t, out, id, word, 0, 0);
	const struct where w = where(t, id);
	struct more **first = &t->homes[w.buckets[0]].more, *m;

	if (e != ERR_FULL)
		return e;
	m = mem_alloc(sizeof(*m));
	if (!m)
		return ERR_NOMEM;
	*m = (struct more){.next = *first, .tag = w.tag, .latch = {.id = *id, .word = word}};
	__atomic_store_n(first, m, __ATOMIC_SEQ_CST);
	if (num_alike(t, &w) != 1) {
		unlink_more(t, m, q);
		return ERR_AGAIN;
	}
	__atomic_fetch_add(&t->num, 1, __ATOMIC_RELAXED);
	changed(t, id);
	*out = &m->latch;
	return ERR_OK;
}

bool latch_change(struct latch_table *t, struct latch *l, uint64_t from, uint64_t to)
{
	if (!__atomic_compare_exchange_n(&l->word, &from, to, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return false;
	changed(t, &l->id);
	return true;
}

/* struct leaving - a place that is empty when all readers were quiescent. */
struct leaving {
	struct rcu_head rcu;
	struct latch_table *table;
	uint32_t place;
};

static void left(struct rcu_head *head)
{
	struct leaving *g = container_of(head, struct leaving, rcu);

	set_tag(g->table, g->place, TAG_EMPTY);
	mem_free(g);
}

static void nothing_left(struct rcu_head *head)
{
	(void)head;
}

static bool has_place(const struct latch_table *t, const struct latch *l)
{
	return l >= t->latches && l < t->latches + latch_table_room(t);
}

static void remove_more(struct latch_table *t, struct latch *l, struct rcu_queue *q)
{
	unlink_more(t, container_of(l, struct more, latch), q);
	__atomic_fetch_sub(&t->num, 1, __ATOMIC_RELAXED);
	changed(t, &l->id);
}

void latch_remove(struct latch_table *t, struct latch *l, struct rcu_queue *q)
{
	if (!has_place(t, l)) {
		remove_more(t, l, q);
		return;
	}
	struct leaving *g = mem_alloc(sizeof(*g));
	uint32_t place = (uint32_t)(l - t->latches);

	set_tag(t, place, TAG_USED | TAG_GONE);
	__atomic_fetch_sub(&t->num, 1, __ATOMIC_RELAXED);
	changed(t, &l->id);
	if (g) {
		g->table = t;
		g->place = place;
		rcu_defer(q, &g->rcu, left);
		return;
	}
	/* Without memory to wait later, wait now. */
	rcu_defer(q, &t->wait, nothing_left);
	rcu_flush(q);
	set_tag(t, place, TAG_EMPTY);
}

void latch_each(struct latch_table *t, uint32_t *at, uint32_t n,
		void (*fn)(void *ctx, struct latch *l), void *ctx)
{
	uint32_t room = latch_table_room(t), place = *at;

	for (; n > 0 && place < room; n--, place++) {
		if (tag_at(t, place / WAYS, place % WAYS) & TAG_READY)
			fn(ctx, &t->latches[place]);
	}
	*at = place < room ? place : 0;
}
