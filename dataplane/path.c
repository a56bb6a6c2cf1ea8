/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/path.h"

#include "base/alloc.h"

static struct path *make(struct path_set *s, uint16_t port, const struct path_addr *addr)
{
	struct path *p = mem_alloc(sizeof(*p));

	if (!p)
		return NULL;
	p->id = s->id;
	p->port = port;
	p->addr = *addr;
	p->counters = s->counters;
	return p;
}

struct path_set *path_set_new(uint16_t port, const struct path_addr *addr, uint32_t num_workers)
{
	struct path_set *s = mem_alloc_aligned(
		CACHE_LINE, sizeof(*s) + num_workers * sizeof(struct path_counters));

	if (!s)
		return NULL;
	s->num_workers = num_workers;
	s->path = make(s, port, addr);
	if (!s->path) {
		mem_free_aligned(s);
		return NULL;
	}
	return s;
}

struct path_counters path_set_count(const struct path_set *s)
{
	struct path_counters sum = {0};

	for (uint32_t i = 0; i < s->num_workers; i++) {
		const struct path_counters *c = &s->counters[i];

		sum.tx_packets += counter_get(&c->tx_packets);
		sum.tx_bytes += counter_get(&c->tx_bytes);
		sum.rx_packets += counter_get(&c->rx_packets);
		sum.rx_bytes += counter_get(&c->rx_bytes);
	}
	return sum;
}

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

static void free_path(struct rcu_head *head)
{
	mem_free(container_of(head, struct path, rcu));
}

static void free_set(struct rcu_head *head)
{
	struct path_set *s = container_of(head, struct path_set, rcu);

	mem_free(s->path);
	mem_free_aligned(s);
}

void path_set_retire(struct path_set *s, struct rcu_queue *q)
{
	rcu_defer(q, &s->rcu, free_set);
}

enum err path_set_move(struct path_set *s, struct rcu_queue *q, uint16_t port,
		       const struct path_addr *addr)
{
	struct path *old = s->path;
	struct path *p = make(s, port, addr);

	if (!p)
		return ERR_NOMEM;
	p->generation = old->generation + 1;
	rcu_publish(s->path, p);
	rcu_defer(q, &old->rcu, free_path);
	return ERR_OK;
}
