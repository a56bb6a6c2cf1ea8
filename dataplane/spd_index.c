/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/spd_index.h"

#include "base/alloc.h"
#include "dataplane/spd.h"

#define MIN_BUCKETS 16

enum side {
	REMOTE,
	LOCAL
};

/* family_of - as an index; flows and selectors have one of the two. */
static inline unsigned int family_of(const struct ip_addr *a)
{
	return a->family == IP_V6;
}

static inline uint64_t ones(unsigned int num)
{
	return num ? UINT64_MAX << (64 - num) : 0;
}

static inline uint64_t hash_of(const struct spd_index *x, enum side side, const struct ip_addr *a,
			       unsigned int len, uint32_t scope)
{
	uint64_t hi = load_be64(a->b) & ones(len < 64 ? len : 64);
	uint64_t lo = load_be64(a->b + 8) & ones(len < 64 ? 0 : len - 64);
	uint64_t what = (uint64_t)scope << 32 | (uint64_t)a->family << 16 | len << 1 | side;

	return flow_mix(flow_mix(hi ^ x->seed[0], lo ^ x->seed[1]) ^ x->seed[1], what ^ x->seed[0]);
}

/* ---- inserting and removing ------------------------------------------------------------------ */

static struct spd_table *table_new(struct spd_index *x, uint64_t num, uint32_t turn)
{
	struct spd_table *t = mem_alloc(sizeof(*t) + num * sizeof(struct spd_place *));

	if (t) {
		t->index = x;
		t->mask = num - 1;
		t->turn = turn;
	}
	return t;
}

enum err spd_index_init(struct spd_index *x, const struct rng *rng)
{
	*x = (struct spd_index){.num = 0};
	x->table = table_new(x, MIN_BUCKETS, 0);
	return x->table ? rng_fill(rng, x->seed, sizeof(x->seed)) : ERR_NOMEM;
}

void spd_index_fini(struct spd_index *x)
{
	mem_free(x->table);
	*x = (struct spd_index){.num = 0};
}

/* link_place - in the entries' order, so that a reader stops at the first that matches. */
static void link_place(struct spd_table *t, struct spd_place *p)
{
	struct spd_place **at = &t->buckets[p->hash & t->mask];

	while (*at && !spd_before(p->entry, (*at)->entry))
		at = &(*at)->next[t->turn];
	rcu_publish(p->next[t->turn], *at);
	rcu_publish(*at, p);
}

static void unlink_place(struct spd_table *t, struct spd_place *p)
{
	struct spd_place **at = &t->buckets[p->hash & t->mask];

	while (*at != p)
		at = &(*at)->next[t->turn];
	rcu_publish(*at, p->next[t->turn]);
}

static void table_settled(struct rcu_head *head)
{
	struct spd_table *t = container_of(head, struct spd_table, rcu);

	t->index->settling = false;
	mem_free(t);
}

/* grow - by the links that no reader follows any more: those of a table before this one are waited
 * for, if there were that many entries since (each table is four times the last). */
static void grow(struct spd_index *x, struct rcu_queue *q)
{
	struct spd_table *old = x->table;

	if (x->settling)
		rcu_flush(q);
	assert(!x->settling);
	struct spd_table *t = table_new(x, (old->mask + 1) * 4, !old->turn);

	if (!t)
		return;
	for (uint64_t i = 0; i <= old->mask; i++) {
		for (struct spd_place *p = old->buckets[i]; p; p = p->next[old->turn])
			link_place(t, p);
	}
	rcu_publish(x->table, t);
	x->settling = true;
	rcu_defer(q, &old->rcu, table_settled);
}

/* count - a prefix length is used once more, or once less. */
static void count(struct spd_index *x, const struct spd_place *p, int by)
{
	unsigned int family = p->family == IP_V6;
	uint64_t *word = &x->lens[p->side][family][p->len / 64];
	uint32_t *num = &x->counts[p->side][family][p->len];
	uint64_t bit = 1ull << p->len % 64;

	*num += (uint32_t)by;
	__atomic_store_n(word, *num ? *word | bit : *word & ~bit, __ATOMIC_RELAXED);
	x->num += (uint64_t)by;
}

/* common - how long the prefix is that covers a range. */
static unsigned int common(const struct ts *ts)
{
	uint64_t hi = load_be64(ts->lo.b) ^ load_be64(ts->hi.b);
	uint64_t lo = load_be64(ts->lo.b + 8) ^ load_be64(ts->hi.b + 8);
	unsigned int max = ts->lo.family == IP_V4 ? 32 : 128;
	unsigned int len = hi   ? (unsigned int)__builtin_clzll(hi)
			   : lo ? 64 + (unsigned int)__builtin_clzll(lo)
				: 128;

	return len < max ? len : max;
}

static unsigned int shortest(const struct ts *ts, uint32_t num)
{
	unsigned int min = SPD_LENS;

	for (uint32_t i = 0; i < num; i++)
		min = common(&ts[i]) < min ? common(&ts[i]) : min;
	return min;
}

static bool is_there(const struct spd_place *places, uint32_t num, uint64_t hash)
{
	for (uint32_t i = 0; i < num; i++) {
		if (places[i].hash == hash)
			return true;
	}
	return false;
}

uint32_t spd_index_add(struct spd_index *x, struct spd_entry *e, struct spd_place *places,
		       struct rcu_queue *q)
{
	const struct ts *local = e->ts, *remote = e->ts + e->num_local;
	bool by_local = shortest(local, e->num_local) > shortest(remote, e->num_remote);
	enum side side = by_local ? LOCAL : REMOTE;
	const struct ts *ts = by_local ? local : remote;
	uint32_t num_ts = by_local ? e->num_local : e->num_remote, num = 0;

	for (uint32_t i = 0; i < num_ts; i++) {
		unsigned int len = common(&ts[i]);
		uint64_t hash = hash_of(x, side, &ts[i].lo, len, e->scope);

		if (is_there(places, num, hash)) /* selectors that differ in ports, say */
			continue;
		places[num] = (struct spd_place){.entry = e,
						 .hash = hash,
						 .side = (uint8_t)side,
						 .family = ts[i].lo.family,
						 .len = (uint8_t)len};
		link_place(x->table, &places[num]);
		count(x, &places[num++], 1);
	}
	if (x->num > x->table->mask)
		grow(x, q);
	return num;
}

void spd_index_remove(struct spd_index *x, struct spd_place *places, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++) {
		unlink_place(x->table, &places[i]);
		count(x, &places[i], -1);
	}
}

/* ---- looking up ------------------------------------------------------------------------------ */

/* first_of - of the matching entries with this hash, if it is before `best`. */
static const struct spd_entry *first_of(const struct spd_table *t, uint64_t hash,
					const struct flow_key *key, const struct spd_entry *best)
{
	for (const struct spd_place *p = rcu_deref(t->buckets[hash & t->mask]); p;
	     p = rcu_deref(p->next[t->turn])) {
		const struct spd_entry *e = p->entry;

		if (best && !spd_before(e, best))
			break;
		if (p->hash == hash && e->scope == key->scope &&
		    flow_match(key, e->ts, e->num_local, e->ts + e->num_local, e->num_remote))
			return e;
	}
	return best;
}

/* first_by - of the entries that lie under a prefix of this address. */
static const struct spd_entry *first_by(const struct spd_index *x, enum side side,
					const struct flow_key *key, const struct spd_entry *best)
{
	const struct ip_addr *a = side == LOCAL ? &key->flow.local : &key->flow.remote;
	const uint64_t *lens = x->lens[side][family_of(a)];
	const struct spd_table *t = rcu_deref(x->table);

	for (unsigned int w = 0; w < SPD_LEN_WORDS; w++) {
		for (uint64_t left = __atomic_load_n(&lens[w], __ATOMIC_RELAXED); left;
		     left &= left - 1) {
			unsigned int len = w * 64 + (unsigned int)__builtin_ctzll(left);

			best = first_of(t, hash_of(x, side, a, len, key->scope), key, best);
		}
	}
	return best;
}

const struct spd_entry *spd_index_find(const struct spd_index *x, const struct flow_key *key)
{
	return first_by(x, LOCAL, key, first_by(x, REMOTE, key, NULL));
}
