/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resequence.h - an inbound SA's packets in the order of their numbers, where its peer sends them
 * by several paths of different length: spraying one flow would look like loss to it otherwise. A
 * packet waits while one with a smaller number may still come: until each path that lately
 * delivered has delivered a greater number, else for a bounded time, in a bounded ring. What comes
 * later still goes on at once. With one path nothing waits.
 *
 * A peer that sends by one path at a time (`turns`) changes it now and then: then packets wait only
 * for what may still come by those before. Of what the path in use has gone beyond since its turn
 * began the rest is lost, and nothing comes by a path that has been taken out of the set.
 *
 * The SA may go, and be freed, while packets of it wait: control says so first, and the worker then
 * touches nothing but the packets, which it drops. Thread: the worker that owns the SA, unless said
 * otherwise.
 */
#pragma once

#include "base/list.h"
#include "base/rcu.h"
#include "dataplane/packet.h"
#include "dataplane/pktvec.h"

struct worker;
struct timer;

/* RESEQUENCE_MAX - packets that may wait of one SA. RESEQUENCE_MAX_NS - for so long. */
#define RESEQUENCE_MAX    65536
#define RESEQUENCE_MAX_NS (1000000000ull)

/* RESEQUENCE_PATHS - paths that are told apart, and one more for what came from addresses of none.
 */
#define RESEQUENCE_PATHS 9

/* struct resequence_path - what a path has delivered. */
struct resequence_path {
	uint64_t highest; /* sequence number; 0 = nothing */
	uint64_t seen_ns; /* when it last did */
	uint16_t id;      /* 0: of no path */
};

/* struct resequence_entry - when a packet came, by its number; it may be gone since. */
struct resequence_entry {
	uint64_t seq, at_ns;
};

/* struct resequence - of one inbound SA. */
struct resequence {
	uint64_t next; /* every number below it has gone on, or is late; 0 = none came yet */
	uint64_t top;  /* the greatest number that came, probes left out */
	uint64_t turn; /* what the path in use brought first, since another one was */
	struct resequence_path *last; /* that delivered last */
	struct resequence_path *used; /* the path in use: that delivered the greatest number */
	uint64_t until;               /* numbers below it are not waited for any more */
	uint64_t bound_ns;            /* atomic; 0: nothing waits. control: w */
	bool turns;                   /* atomic. control: w */
	uint32_t mask;                /* constant: numbers from next to next + mask have a place */
	uint32_t num;                 /* places that are taken */
	uint32_t first;               /* of entry[]: the oldest */
	uint32_t num_entries;
	struct resequence_path path[RESEQUENCE_PATHS];
	struct packet **place;          /* by number & mask */
	struct resequence_entry *entry; /* a ring of mask + 1, in the order they came */
	struct list_node node;          /* in worker->waiting while num > 0 */

	/* Between the threads. */
	uint32_t waits;          /* atomic: num, for control; 0: the worker is done with it */
	bool gone;               /* atomic: its SA is. control: w */
	struct rcu_queue *queue; /* control */
	struct rcu_head rcu;
};

/* resequence_new - for up to `packets` that wait, each for bound_ns; turns: the peer sends by one
 * path at a time. NULL on shortage. resequence_set - otherwise from now on. Control. */
MALLOC_LIKE struct resequence *resequence_new(uint32_t packets, uint64_t bound_ns, bool turns);
void resequence_set(struct resequence *r, uint64_t bound_ns, bool turns) NONNULL(1);

/* resequence_retire - its SA goes: no packet comes any more once RCU has waited, and what waits is
 * dropped. Freed when the worker is done with it. NULL is accepted. Control. */
void resequence_retire(struct resequence *r, struct rcu_queue *q) NONNULL(2);

/* in_order - a pass (passes.h): packets go on in order, or wait. They may be more than out holds:
 * what is left stays in `in` or waits (worker->unfinished), and the pass is called again until
 * nothing is. */
void in_order(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);

/* resequence_due - of the worker's timer: what waited long enough goes on, and what is left of SAs
 * that are gone is dropped. resequence_empty - all packets are given up; nothing runs. */
void resequence_due(struct timer *t, uint64_t now_ns) NONNULL(1);
void resequence_empty(struct worker *w) NONNULL(1);
