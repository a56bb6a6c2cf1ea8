/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.h - where a peer is reached: a path is a pair of outer addresses, an encapsulation and a
 * port of ours; a path set is all paths to one peer, shared by all its SAs. They stand in a table
 * that is published by RCU and made anew by every change: workers read it, and write nothing but
 * their own counters, which outlive the table. The outer header is made by the path's driver.
 */
#pragma once

#include "base/addr.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/list.h"
#include "base/rcu.h"
#include "dataplane/dataplane.h"

struct schedule;
struct probing;
struct steer;

/* struct path_counters - of a path, over all its generations, one for each worker: that worker: rw,
 * control: r relaxed. */
struct path_counters {
	alignas(CACHE_LINE) uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t rx_packets, rx_bytes;
	uint64_t spent;   /* spray: what it was given, in bytes by its weight. Worker only */
	uint32_t since;   /* spray: path->since that `spent` is of. Worker only */
	uint32_t watched; /* atomic: the next packet is to be told of (path_watch()) */
};

static_assert(sizeof(struct path_counters) == CACHE_LINE, "no two workers share a line");

/* struct path_count - a path's counters, which go when the path is taken away. */
struct path_count {
	struct rcu_head rcu;
	int64_t loan; /* atomic: bytes that may go to where it ends before that has answered, see
		       * path_earn(); below 0: more went. worker, control: rw */
	uint64_t lent_ns; /* since when there is, less the time that it was elsewhere; 0: not yet
			   * known. control: rw */
	bool was_lent, closed;     /* there was such a loan; it is over, unpaid. control: rw */
	struct path_counters by[]; /* worker */
};

/* PATH_LOAN - bytes that an address which has not answered is sent at most for each that came
 * authentic from there (RFC 9000 8.1). PATH_HEADERS - that a packet has in front of ESP at most:
 * counted of what is sent and not of what came. PATH_RESERVE - bytes that payload leaves to what
 * does not ask: three probes, and IKE's answer. */
#define PATH_LOAN    3
#define PATH_HEADERS 48
#define PATH_RESERVE 640

/* PATH_PMTU_NS - what a router said of a path's MTU is tried again after (RFC 8201 4).
 * PATH_DOUBT_NS - what nobody vouches for only makes us careful for so long. */
#define PATH_PMTU_NS  (600 * NS_PER_S)
#define PATH_DOUBT_NS (30 * NS_PER_S)

/* struct path - one path as one table has it; constant but for what is known of its MTU. Its first
 * line is what packets are held against. */
struct path {
	alignas(CACHE_LINE) struct path_addr addr;
	uint16_t id;             /* in its set; never 0 */
	uint16_t port;           /* outer port of the data path */
	uint16_t link_mtu;       /* atomic: largest outer IP packet by the link; 0 = not known */
	uint16_t pmtu;           /* atomic: and as a router said. control: w, worker: r */
	uint64_t pmtu_until_ns;  /* atomic, on the worker's clock, as what follows */
	uint64_t doubt_until_ns; /* somebody says that the MTU is less */
	struct path_count *count;
	uint64_t even_ns; /* what comes by it waits so long for what other paths may bring; 0: only
			   * if something before it is missing */
	uint32_t generation; /* how often its addresses changed */
	uint32_t since;      /* another number each time it becomes active */
	uint32_t stride;     /* spray: what a byte costs, PATH_STRIDE / weight */
	uint16_t weight;     /* never 0 */
	uint8_t priority;    /* smaller is used first */
	bool usable;         /* packets may be sent */
	bool leaving;        /* by no other path, that is: comes after all priorities */
	bool active;         /* they are: it is among the table's first ones */
	bool steered;        /* usable, not leaving, and some are by a rule or a tie: behind the
			      * active ones */
	bool lent;           /* not usable, but within count->loan they may be, where none is */
};

/* PATH_STRIDE - of a path of weight 1: a datagram's length times it, and a worker's sum of these,
 * are compared in 64 bits that may wrap. */
#define PATH_STRIDE (UINT32_C(1) << 31)

/* PATH_BUCKETS - flows are told apart by so many values of their hash. */
#define PATH_BUCKETS 256

/* struct path_table - the paths of a set: active ones first, then those that rules name, then by
 * id; on loan: the one that is used first. */
struct path_table {
	const struct schedule *spread; /* NULL: all packets go by the first; none if not active */
	uint8_t *buckets; /* flow: PATH_BUCKETS indices of active paths, behind path[]; else NULL */
	const struct steer *steer; /* NULL: no packet is steered */
	const struct path
		*alone; /* spray: the active path that carries all for now; NULL: all do */
	uint32_t num, num_active;
	uint32_t num_used; /* active ones, and those that rules name */
	enum path_schedule schedule;
	bool on_loan; /* no path is usable, and the first one is lent */
	struct rcu_head rcu;
	struct path path[];
};

/* struct path_tie - a Child SA that goes by one path; in path_set.ties while it does. Its owner's.
 */
struct path_tie {
	struct list_node node;
	uint16_t path; /* id */
};

/* struct path_set - the paths to one peer; there is always one. */
struct path_set {
	struct path_table *table; /* RCU. control: w, worker: r */
	uint32_t id;              /* handle */
	uint32_t num_refs;        /* Child SAs that use it. control: rw */
	uint32_t num_workers;
	uint32_t last_since; /* control: rw */
	uint16_t alone; /* spray: the path that carries all for now; 0: none does. control: rw */
	struct list_node children; /* control: pairs that messages about paths may go by, best
				    * first */
	struct list_node ties;     /* control: rw */
	struct probing *probing;   /* control: NULL, no path is probed */
	struct steer *steer;       /* the table's. control: rw */
	struct rcu_head rcu;
};

/* path_set_new - a set with one usable path, whose id is 1; NULL on shortage. Control thread. */
MALLOC_LIKE struct path_set *path_set_new(uint16_t port, const struct path_addr *addr,
					  uint32_t num_workers) NONNULL(2);

/* path_set_retire - free the set when no worker reads it any more. Control thread. */
void path_set_retire(struct path_set *s, struct rcu_queue *q) NONNULL(1, 2);

/* path_set_put - add or change a path; params are valid. Errors: FULL, NOMEM. path_set_take - one
 * goes. Errors: NOT_FOUND, BUSY (it is the only one), NOMEM. path_set_schedule - how packets are
 * spread from now on. Errors: NOMEM. What fails changes nothing. Control thread. */
MUST_USE enum err path_set_put(struct path_set *s, struct rcu_queue *q,
			       const struct path_params *params) NONNULL(1, 2, 3);
MUST_USE enum err path_set_take(struct path_set *s, struct rcu_queue *q, uint16_t id) NONNULL(1, 2);
MUST_USE enum err path_set_schedule(struct path_set *s, struct rcu_queue *q,
				    enum path_schedule schedule) NONNULL(1, 2);

/* path_set_close - no payload goes by a path any more that has not answered, and to where it ends
 * not before that has. Errors: NOT_FOUND, NOMEM. Control thread. */
MUST_USE enum err path_set_close(struct path_set *s, struct rcu_queue *q, uint16_t id)
	NONNULL(1, 2);

/* path_set_weigh - other weights for the active paths, in the table's order. Errors: NOMEM. Control
 * thread. */
MUST_USE enum err path_set_weigh(struct path_set *s, struct rcu_queue *q,
				 const uint64_t weight[static PATHS_MAX]) NONNULL(1, 2, 3);

/* path_set_alone - spray: all packets go by the active path with this id from now on, and what
 * comes by the i-th active path, where packets are put in order, waits for even_ns[i] even if it is
 * the next one, unless all paths are past it. 0: by all active ones again, and nothing does.
 * Errors: NOMEM: nothing changed. Control thread. */
MUST_USE enum err path_set_alone(struct path_set *s, struct rcu_queue *q, uint16_t path,
				 const uint64_t even_ns[static PATHS_MAX]) NONNULL(1, 2, 4);

/* path_watch - each worker reports the next packet of payload that it sends by the path
 * (DP_EVENT_BUSY), once. Control thread. */
void path_watch(const struct path *p, uint32_t num_workers) NONNULL(1);

/* path_set_steer - rules from now on, which pass to the set; NULL: none. Errors: NOMEM: nothing
 * changed. Control thread. */
MUST_USE enum err path_set_steer(struct path_set *s, struct rcu_queue *q, struct steer *steer)
	NONNULL(1, 2);

/* path_set_tie - the tie, which is in the list or not yet, is to this path from now on; 0: it
 * leaves the list. Errors: NOMEM: nothing changed. Control thread. */
MUST_USE enum err path_set_tie(struct path_set *s, struct rcu_queue *q, struct path_tie *tie,
			       uint16_t path) NONNULL(1, 2, 3);

/* path_set_move - other addresses for the first path, of which nothing is known: even if they are
 * the same. Errors: NOMEM. Control thread. */
MUST_USE enum err path_set_move(struct path_set *s, struct rcu_queue *q, uint16_t port,
				const struct path_addr *addr) NONNULL(1, 2, 4);

/* path_set_find - the path with this id, as it is now; NULL: there is none. Control thread. */
struct path *path_set_find(const struct path_set *s, uint16_t id) NONNULL(1);

/* path_count_sum - over the workers, slightly behind but for what the caller counts itself. Control
 * thread, and any worker that the path is in a table of. */
struct path_counters path_count_sum(const struct path *p, uint32_t num_workers) NONNULL(1);

/* path_table_of - the paths of a set. Worker; valid until its next quiescent state. */
static inline const struct path_table *path_table_of(const struct path_set *s)
{
	return rcu_deref(s->table);
}

/* path_first - the path for a packet that nothing spreads; NULL if none is usable. */
static inline const struct path *path_first(const struct path_table *t)
{
	return likely(t->num_active) ? t->path : NULL;
}

/* path_with - the path with this id; NULL: there is none. */
static inline const struct path *path_with(const struct path_table *t, uint32_t id)
{
	for (uint32_t i = 0; i < t->num; i++) {
		if (t->path[i].id == id)
			return &t->path[i];
	}
	return NULL;
}

/* path_mtu - the largest outer IP packet now; 0 = not known. Worker. */
static inline uint32_t path_mtu(const struct path *p, uint64_t now_ns)
{
	uint32_t link = __atomic_load_n(&p->link_mtu, __ATOMIC_RELAXED);
	uint32_t pmtu = __atomic_load_n(&p->pmtu, __ATOMIC_RELAXED);

	if (likely(!pmtu) || now_ns >= __atomic_load_n(&p->pmtu_until_ns, __ATOMIC_RELAXED))
		return link;
	return !link || pmtu < link ? pmtu : link;
}

/* path_earn - bytes came authentic, and for the first time, from where a lent path ends: three
 * times as many may go there. path_owe - some went there that do not wait for it: messages. Worker
 * or control thread. */
static inline void path_earn(const struct path *p, uint64_t bytes)
{
	__atomic_fetch_add(&p->count->loan, (int64_t)(PATH_LOAN * bytes), __ATOMIC_RELAXED);
}

static inline void path_owe(const struct path *p, uint64_t bytes)
{
	__atomic_fetch_sub(&p->count->loan, (int64_t)bytes, __ATOMIC_RELAXED);
}

/* path_borrow - so many bytes of payload may go to where a lent path ends, and count as sent;
 * false: that would be too many. Several workers may ask at once: what is there is given once.
 * Worker. */
static inline bool path_borrow(const struct path *p, uint32_t bytes)
{
	int64_t loan = __atomic_load_n(&p->count->loan, __ATOMIC_RELAXED);

	do {
		if (loan < PATH_RESERVE + (int64_t)bytes)
			return false;
	} while (!__atomic_compare_exchange_n(&p->count->loan, &loan, loan - (int64_t)bytes, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

/* path_num_used - the paths by which packets may leave now, the table's first ones; that may be
 * again if there is none. Never 0. */
static inline uint32_t path_num_used(const struct path_table *t)
{
	return likely(t->num_used <= 1) ? 1 : t->num_used;
}

/* path_in_doubt - the MTU of a path that packets leave by may be less than path_mtu(). Worker. */
static inline bool path_in_doubt(const struct path_table *t, uint64_t now_ns)
{
	for (uint32_t i = 0; i < path_num_used(t); i++) {
		const struct path *p = &t->path[i];

		if (unlikely(now_ns < __atomic_load_n(&p->doubt_until_ns, __ATOMIC_RELAXED)))
			return true;
	}
	return false;
}

/* path_learn_pmtu - a router that saw one of our packets says: no longer than mtu; bounded below by
 * what every link takes. path_doubt - somebody may have said so. path_set_link_mtu - 0 = not known.
 * Control. */
void path_learn_pmtu(struct path *p, uint32_t mtu, uint64_t now_ns) NONNULL(1);
void path_doubt(struct path *p, uint64_t now_ns) NONNULL(1);
void path_set_link_mtu(struct path *p, uint32_t mtu) NONNULL(1);

/* path_is_from - a datagram with these addresses came by this path. The interface does not count,
 * and an unset local address is any. */
static inline bool path_is_from(const struct path *p, uint16_t port, const struct path_addr *from)
{
	const struct path_addr *a = &p->addr;

	if (p->port != port || a->encap != from->encap)
		return false;
	if (memcmp(&a->remote, &from->remote, sizeof(a->remote)) != 0)
		return false;
	if (a->local.port != from->local.port)
		return false;
	return memcmp(&a->local.addr, &from->local.addr, sizeof(a->local.addr)) == 0 ||
	       ip_addr_is_any(&a->local.addr);
}

/* path_by - the path of the table that a datagram with these addresses came by; NULL: by none. */
static inline const struct path *path_by(const struct path_table *t, uint16_t port,
					 const struct path_addr *from)
{
	for (uint32_t i = 0; i < t->num; i++) {
		if (path_is_from(&t->path[i], port, from))
			return &t->path[i];
	}
	return NULL;
}
