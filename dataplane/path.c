/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/path.h"

#include "base/alloc.h"
#include "dataplane/schedule.h"
#include "dataplane/steer.h"

/* struct draft - the paths of the next table, as they are worked on. */
struct draft {
	struct path path[PATHS_MAX];
	uint32_t num, num_active, num_used;
	enum path_schedule schedule;
	bool on_loan;
	struct steer *steer;
	uint16_t alone; /* as path_set_alone() was told */
};

static struct path_count *count_new(uint32_t num_workers)
{
	return mem_alloc_aligned(CACHE_LINE, sizeof(struct path_count) +
						     num_workers * sizeof(struct path_counters));
}

static void free_count(struct rcu_head *head)
{
	mem_free_aligned(container_of(head, struct path_count, rcu));
}

static void free_table(struct rcu_head *head)
{
	mem_free_aligned(container_of(head, struct path_table, rcu));
}

/* ---- a table ---------------------------------------------------------------------------------
 */

/* begin - the draft is the set as it is. */
static void begin(struct draft *d, const struct path_set *s)
{
	const struct path_table *t = s->table;

	d->num = t->num;
	d->num_active = 0;
	d->num_used = 0;
	d->on_loan = false;
	d->schedule = t->schedule;
	d->steer = s->steer;
	d->alone = s->alone;
	memcpy(d->path, t->path, t->num * sizeof(t->path[0]));
}

/* LAST - of a path that is being left, after all others. */
#define LAST (UINT8_MAX + 1u)

static uint32_t rank(const struct path *p)
{
	return p->leaving ? LAST : p->priority;
}

/* best - the smallest rank of a usable path. */
static uint32_t best(const struct draft *d)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < d->num; i++) {
		if (d->path[i].usable && rank(&d->path[i]) < least)
			least = rank(&d->path[i]);
	}
	return least;
}

/* comes_first - a's place is before b's. */
static bool comes_first(const struct path *a, const struct path *b)
{
	if (a->active != b->active)
		return a->active;
	return a->steered != b->steered ? a->steered : a->id < b->id;
}

static void sort(struct draft *d)
{
	for (uint32_t i = 1; i < d->num; i++) {
		for (uint32_t k = i; k > 0 && comes_first(&d->path[k], &d->path[k - 1]); k--) {
			const struct path p = d->path[k];

			d->path[k] = d->path[k - 1];
			d->path[k - 1] = p;
		}
	}
}

static bool ties_name(const struct path_set *s, uint16_t id)
{
	list_for_each (n, &s->ties)
		if (list_entry(n, struct path_tie, node)->path == id)
			return true;
	return false;
}

/* borrow - where no path is usable the best one that is lent comes first. */
static void borrow(struct draft *d)
{
	uint32_t best = PATHS_MAX;

	for (uint32_t i = 0; i < d->num; i++) {
		const struct path *p = &d->path[i];

		if (p->lent && (best == PATHS_MAX || rank(p) < rank(&d->path[best])))
			best = i;
	}
	d->on_loan = d->num_active == 0 && best < PATHS_MAX;
	if (!d->on_loan)
		return;
	const struct path first = d->path[best];

	memmove(&d->path[1], &d->path[0], best * sizeof(d->path[0]));
	d->path[0] = first;
}

/* choose - which paths are active, and the order that comes of it. A path that was not so until now
 * has missed what others were given in the meantime, which is not made up for. */
static void choose(struct draft *d, struct path_set *s)
{
	const uint32_t least = best(d), most = schedule_of(d->schedule)->one ? 1 : PATHS_MAX;
	bool was[PATHS_MAX];

	for (uint32_t i = 0; i < d->num; i++) {
		was[i] = d->path[i].active;
		d->path[i].active = false;
	}
	/* By id, whatever was active until now. */
	for (uint32_t n = 0; n < d->num; n++) {
		struct path *next = NULL;

		for (uint32_t i = 0; i < d->num; i++) {
			struct path *p = &d->path[i];

			if (p->usable && !p->active && rank(p) == least &&
			    (!next || p->id < next->id))
				next = p;
		}
		if (!next || d->num_active == most)
			break;
		next->active = true;
		if (!was[next - d->path]) {
			next->since = ++s->last_since;
			next->even_ns = 0; /* of the others that there were */
		}
		d->num_active++;
	}
	for (uint32_t i = 0; i < d->num; i++) {
		struct path *p = &d->path[i];

		p->steered = p->usable && !p->leaving &&
			     (steer_names(d->steer, p->id) || ties_name(s, p->id));
		d->num_used += p->active || p->steered;
	}
	sort(d);
	borrow(d);
}

/* alone - the active path that carries all. One that is active no more does not; nor does one that
 * is left alone, for it has nothing to be as late as. */
static const struct path *alone(const struct path_table *t, uint16_t id)
{
	if (t->num_active < 2)
		return NULL;
	for (uint32_t i = 0; t->schedule == SCHEDULE_SPRAY && i < t->num_active; i++) {
		if (t->path[i].id == id)
			return &t->path[i];
	}
	return NULL;
}

/* make - the table of a draft; NULL on shortage. */
static struct path_table *make(const struct draft *d, const struct path_table *old)
{
	const struct schedule *spread = d->num_active > 1 ? schedule_of(d->schedule) : NULL;
	const size_t len = sizeof(struct path_table) + d->num * sizeof(struct path);
	struct path_table *t =
		mem_alloc_aligned(CACHE_LINE, len + (spread && spread->deal ? PATH_BUCKETS : 0));

	if (!t)
		return NULL;
	t->spread = spread;
	t->num = d->num;
	t->num_active = d->num_active;
	t->num_used = d->num_used;
	t->schedule = d->schedule;
	t->on_loan = d->on_loan;
	t->steer = d->steer;
	memcpy(t->path, d->path, d->num * sizeof(t->path[0]));
	t->alone = alone(t, d->alone);
	for (uint32_t i = 0; i < t->num && !t->alone; i++)
		t->path[i].even_ns = 0;
	if (spread && spread->deal) {
		t->buckets = (uint8_t *)&t->path[t->num];
		spread->deal(t, old);
	}
	return t;
}

/* publish - the draft takes the table's place. */
static enum err publish(struct path_set *s, struct rcu_queue *q, struct draft *d)
{
	struct path_table *old = s->table, *t;

	choose(d, s);
	t = make(d, old);
	if (!t)
		return ERR_NOMEM;
	rcu_publish(s->table, t);
	rcu_defer(q, &old->rcu, free_table);
	if (s->steer != d->steer)
		steer_retire(s->steer, q);
	s->steer = d->steer;
	s->alone = t->alone ? d->alone : 0;
	return ERR_OK;
}

/* ---- changes ---------------------------------------------------------------------------------
 */

/* move - p is another way, whose MTU is not known. */
static void move(struct path *p, uint16_t port, const struct path_addr *addr)
{
	p->generation++;
	p->lent = false;
	p->link_mtu = p->pmtu = 0;
	p->pmtu_until_ns = p->doubt_until_ns = 0;
	p->port = port;
	p->addr = *addr;
}

/* set - p is as params say. */
static void set(struct path *p, const struct path_params *params)
{
	if (p->port != params->port || memcmp(&p->addr, &params->addr, sizeof(p->addr)) != 0)
		move(p, params->port, &params->addr);
	p->id = params->id;
	p->priority = params->priority;
	p->weight = params->weight;
	p->stride = PATH_STRIDE / params->weight;
	p->usable = params->usable;
	p->leaving = params->leaving;
	p->lent = p->lent && !p->usable;
}

/* lend - a new path that ends where its peer was heard, of whom so many bytes came. */
static void lend(struct path *p, uint32_t came)
{
	p->lent = !p->usable;
	p->count->was_lent = true;
	path_earn(p, came);
}

static struct path *find(struct draft *d, uint16_t id)
{
	for (uint32_t i = 0; i < d->num; i++) {
		if (d->path[i].id == id)
			return &d->path[i];
	}
	return NULL;
}

struct path *path_set_find(const struct path_set *s, uint16_t id)
{
	for (uint32_t i = 0; i < s->table->num; i++) {
		if (s->table->path[i].id == id)
			return &s->table->path[i];
	}
	return NULL;
}

enum err path_set_put(struct path_set *s, struct rcu_queue *q, const struct path_params *params)
{
	struct path_count *count = NULL;
	struct draft d;
	struct path *p;
	enum err e;

	begin(&d, s);
	p = find(&d, params->id);
	if (!p) {
		if (d.num == PATHS_MAX)
			return ERR_FULL;
		count = count_new(s->num_workers);
		if (!count)
			return ERR_NOMEM;
		p = &d.path[d.num++];
		*p = (struct path){.count = count, .port = params->port, .addr = params->addr};
	}
	set(p, params);
	if (count && params->came)
		lend(p, params->came);
	e = publish(s, q, &d);
	if (e != ERR_OK)
		mem_free_aligned(count);
	return e;
}

enum err path_set_close(struct path_set *s, struct rcu_queue *q, uint16_t id)
{
	struct path_count *count;
	struct draft d;
	struct path *p;
	enum err e;

	begin(&d, s);
	p = find(&d, id);
	if (!p)
		return ERR_NOT_FOUND;
	count = p->count;
	p->lent = false;
	e = publish(s, q, &d);
	if (e == ERR_OK)
		count->closed = true;
	return e;
}

enum err path_set_move(struct path_set *s, struct rcu_queue *q, uint16_t port,
		       const struct path_addr *addr)
{
	struct draft d;

	begin(&d, s);
	move(&d.path[0], port, addr);
	return publish(s, q, &d);
}

enum err path_set_weigh(struct path_set *s, struct rcu_queue *q,
			const uint64_t weight[static PATHS_MAX])
{
	struct draft d;

	begin(&d, s);
	for (uint32_t i = 0; i < s->table->num_active; i++) {
		/* Measured by what a peer says: none is nothing, and none is too much. */
		const uint64_t w = weight[i] < UINT16_MAX ? weight[i] : UINT16_MAX;

		d.path[i].weight = (uint16_t)(w ? w : 1);
		d.path[i].stride = PATH_STRIDE / d.path[i].weight;
	}
	return publish(s, q, &d);
}

enum err path_set_alone(struct path_set *s, struct rcu_queue *q, uint16_t path,
			const uint64_t even_ns[static PATHS_MAX])
{
	struct draft d;

	begin(&d, s);
	d.alone = path;
	for (uint32_t i = 0; i < s->table->num_active; i++)
		d.path[i].even_ns = even_ns[i];
	return publish(s, q, &d);
}

void path_watch(const struct path *p, uint32_t num_workers)
{
	for (uint32_t i = 0; i < num_workers; i++)
		__atomic_store_n(&p->count->by[i].watched, 1, __ATOMIC_RELAXED);
}

enum err path_set_take(struct path_set *s, struct rcu_queue *q, uint16_t id)
{
	struct path_count *count;
	struct draft d;
	struct path *p;
	enum err e;

	begin(&d, s);
	p = find(&d, id);
	if (!p)
		return ERR_NOT_FOUND;
	if (d.num == 1)
		return ERR_BUSY;
	count = p->count;
	*p = d.path[--d.num];
	e = publish(s, q, &d);
	if (e == ERR_OK)
		rcu_defer(q, &count->rcu, free_count);
	return e;
}

enum err path_set_schedule(struct path_set *s, struct rcu_queue *q, enum path_schedule schedule)
{
	struct draft d;

	begin(&d, s);
	d.schedule = schedule;
	return publish(s, q, &d);
}

enum err path_set_steer(struct path_set *s, struct rcu_queue *q, struct steer *steer)
{
	struct draft d;

	begin(&d, s);
	d.steer = steer;
	return publish(s, q, &d);
}

/* join_ties - the tie is in the list if it is to a path. */
static void join_ties(struct path_set *s, struct path_tie *tie, uint16_t path)
{
	list_remove(&tie->node);
	tie->path = path;
	if (path)
		list_push_back(&s->ties, &tie->node);
}

enum err path_set_tie(struct path_set *s, struct rcu_queue *q, struct path_tie *tie, uint16_t path)
{
	const uint16_t before = tie->path;
	struct draft d;
	enum err e;

	begin(&d, s);
	join_ties(s, tie, path);
	e = publish(s, q, &d);
	if (e != ERR_OK)
		join_ties(s, tie, before);
	return e;
}

/* ---- a set -----------------------------------------------------------------------------------
 */

static void free_set(struct rcu_head *head)
{
	struct path_set *s = container_of(head, struct path_set, rcu);

	for (uint32_t i = 0; i < s->table->num; i++)
		mem_free_aligned(s->table->path[i].count);
	mem_free_aligned(s->table);
	mem_free(s->steer);
	mem_free(s);
}

struct path_set *path_set_new(uint16_t port, const struct path_addr *addr, uint32_t num_workers)
{
	const struct path_params first = {
		.id = 1, .port = port, .addr = *addr, .weight = 1, .usable = true};
	struct path_set *s = mem_alloc(sizeof(*s));
	struct draft d = {.num = 1};

	if (!s)
		return NULL;
	s->num_workers = num_workers;
	list_init(&s->children);
	list_init(&s->ties);
	d.path[0].count = count_new(num_workers);
	if (d.path[0].count) {
		d.path[0].port = port;
		d.path[0].addr = *addr;
		set(&d.path[0], &first);
		choose(&d, s);
		s->table = make(&d, NULL);
	}
	if (!s->table) {
		mem_free_aligned(d.path[0].count);
		mem_free(s);
		return NULL;
	}
	return s;
}

void path_set_retire(struct path_set *s, struct rcu_queue *q)
{
	rcu_defer(q, &s->rcu, free_set);
}

struct path_counters path_count_sum(const struct path *p, uint32_t num_workers)
{
	struct path_counters sum = {0};

	for (uint32_t i = 0; i < num_workers; i++) {
		const struct path_counters *c = &p->count->by[i];

		sum.tx_packets += counter_get(&c->tx_packets);
		sum.tx_bytes += counter_get(&c->tx_bytes);
		sum.rx_packets += counter_get(&c->rx_packets);
		sum.rx_bytes += counter_get(&c->rx_bytes);
	}
	return sum;
}

/* ---- the MTU of a path -----------------------------------------------------------------------
 */

/* Below these no router of today is believed: RFC 791 3.1's datagram that every host takes, and
 * RFC 8200 5. */
#define PMTU_MIN_V4 576
#define PMTU_MIN_V6 1280

void path_learn_pmtu(struct path *p, uint32_t mtu, uint64_t now_ns)
{
	uint32_t min = p->addr.remote.addr.family == IP_V6 ? PMTU_MIN_V6 : PMTU_MIN_V4;
	uint32_t known = path_mtu(p, now_ns);

	mtu = mtu < min ? min : mtu;
	if (known && mtu >= known)
		return;
	__atomic_store_n(&p->pmtu_until_ns, now_ns + PATH_PMTU_NS, __ATOMIC_RELAXED);
	__atomic_store_n(&p->pmtu, (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&p->doubt_until_ns, 0, __ATOMIC_RELAXED);
}

void path_doubt(struct path *p, uint64_t now_ns)
{
	__atomic_store_n(&p->doubt_until_ns, now_ns + PATH_DOUBT_NS, __ATOMIC_RELAXED);
}

void path_set_link_mtu(struct path *p, uint32_t mtu)
{
	uint32_t min = p->addr.remote.addr.family == IP_V6 ? PMTU_MIN_V6 : PMTU_MIN_V4;

	if (mtu)
		mtu = mtu < min ? min : mtu < UINT16_MAX ? mtu : UINT16_MAX;
	__atomic_store_n(&p->link_mtu, (uint16_t)mtu, __ATOMIC_RELAXED);
}
