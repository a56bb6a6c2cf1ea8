/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.h - how the packets of a peer's SAs are spread over the active paths to it. Thread: the
 * worker, unless said otherwise.
 */
#pragma once

#include "dataplane/path.h"
#include "dataplane/worker.h"

/* struct schedule - one way to do it, for tables with two active paths or more. */
struct schedule {
	/* send - n successive packets of one SA leave. */
	void (*send)(struct worker *w, const struct path_table *t, struct packet *const *pkts,
		     uint32_t n);
	/* deal - whose each of the table's buckets is; as in the table before where it can be.
	 * NULL: it has none. Control. */
	void (*deal)(struct path_table *t, const struct path_table *old);
	bool one; /* one path is active at most */
};

/* schedule_of - any thread. */
const struct schedule *schedule_of(enum path_schedule schedule);

/* schedule_tell - a path that is watched carries something. */
void schedule_tell(struct worker *w, const struct path *path, const struct packet *p)
	NONNULL(1, 2, 3);

/* schedule_go_by - packets leave by this path, which is theirs already; bytes of all of them. */
static inline void schedule_go_by(struct worker *w, const struct path *path,
				  struct packet *const *pkts, uint32_t n, uint64_t bytes)
{
	struct path_counters *c = &path->count->by[w->index];

	if (unlikely(__atomic_load_n(&c->watched, __ATOMIC_RELAXED)))
		schedule_tell(w, path, pkts[0]);
	counter_add(&c->tx_packets, n);
	counter_add(&c->tx_bytes, bytes);
	worker_tx_run(w, path->port, pkts, n);
}
