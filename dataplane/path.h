/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.h - where a peer is reached: a path is a pair of outer addresses, an encapsulation and a
 * port of ours; a path set is all paths to one peer, shared by all its SAs. One path at first. A
 * path is immutable and published by RCU: moving it makes a new one with the next generation. The
 * outer header is made by the path's driver.
 */
#pragma once

#include "base/addr.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/rcu.h"

/* enum path_state - whether packets may be sent. */
enum path_state {
	PATH_USABLE,
	PATH_DOWN,
};

/* struct path_counters - of a path, over all its generations, one for each worker: that worker: rw,
 * control: r relaxed. */
struct path_counters {
	alignas(CACHE_LINE) uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t rx_packets, rx_bytes;
};

static_assert(sizeof(struct path_counters) == CACHE_LINE, "no two workers share a line");

/* PATH_PMTU_NS - what a router said of a path's MTU is tried again after (RFC 8201 4).
 * PATH_DOUBT_NS - what nobody vouches for only makes us careful for so long. */
#define PATH_PMTU_NS  (600 * NS_PER_S)
#define PATH_DOUBT_NS (30 * NS_PER_S)

/* struct path - one generation of a path; immutable but for what is known of its MTU. */
struct path {
	uint32_t id;
	uint32_t generation;
	enum path_state state;
	uint16_t port;           /* outer port of the data path */
	uint16_t link_mtu;       /* atomic: largest outer IP packet by the link; 0 = not known */
	uint16_t pmtu;           /* atomic: and as a router said. control: w, worker: r */
	uint64_t pmtu_until_ns;  /* atomic, on the worker's clock, as what follows */
	uint64_t doubt_until_ns; /* somebody says that the MTU is less */
	struct path_addr addr;
	struct path_counters *counters; /* by worker */
	struct rcu_head rcu;
};

/* struct path_set - the paths to one peer. */
struct path_set {
	struct path *path; /* RCU. control: w, worker: r */
	uint32_t id;       /* handle */
	uint32_t num_refs; /* Child SAs that use it. control: rw */
	uint32_t num_workers;
	struct rcu_head rcu;
	struct path_counters counters[]; /* num_workers */
};

/* path_set_new - a set with one usable path; NULL on shortage. Control thread. */
MALLOC_LIKE struct path_set *path_set_new(uint16_t port, const struct path_addr *addr,
					  uint32_t num_workers) NONNULL(2);

/* path_set_count - the sums over the workers, slightly behind. Control thread. */
struct path_counters path_set_count(const struct path_set *s) NONNULL(1);

/* path_set_retire - free the set when no worker reads it any more. Control thread. */
void path_set_retire(struct path_set *s, struct rcu_queue *q) NONNULL(1, 2);

/* path_set_move - replace the path's addresses. Errors: NOMEM. Control thread. */
MUST_USE enum err path_set_move(struct path_set *s, struct rcu_queue *q, uint16_t port,
				const struct path_addr *addr) NONNULL(1, 2, 4);

/* path_pick - the path for the next packets of a batch; NULL if none is usable. Worker; valid until
 * its next quiescent state. */
static inline const struct path *path_pick(const struct path_set *s)
{
	const struct path *p = rcu_deref(s->path);

	return likely(p->state == PATH_USABLE) ? p : NULL;
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

/* path_in_doubt - the MTU may be less than path_mtu(). Worker. */
static inline bool path_in_doubt(const struct path *p, uint64_t now_ns)
{
	return unlikely(now_ns < __atomic_load_n(&p->doubt_until_ns, __ATOMIC_RELAXED));
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
