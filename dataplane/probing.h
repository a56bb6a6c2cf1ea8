/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probing.h - a path set whose paths are probed: its prober, the pair of SAs that messages go by,
 * and addresses that a path may have moved to. Thread: control.
 */
#pragma once

#include "base/timers.h"
#include "dataplane/prober.h"
#include "dataplane/quickest.h"
#include "dataplane/state.h"

/* PROBING_TICK_NS - a turn comes so late at most. */
#define PROBING_TICK_NS NS_PER_MS

/* PATH_ELSEWHERE - in the number of a path: not this path, but where it may have moved to. Numbers
 * that peers agree on are smaller. */
#define PATH_ELSEWHERE 0x8000

/* struct proven - an address of the peer that answered by a path that is gone since. */
struct proven {
	struct endpoint remote;
	uint64_t answered_ns; /* 0: none */
	uint64_t rtt_ns;
};

/* struct owed - what may still go to an address of the peer's that had not answered when a path to
 * it was taken away, or went elsewhere: another one to there begins with that. */
struct owed {
	struct ip_addr remote; /* whatever its port */
	uint64_t taken_ns;     /* 0: none */
	uint64_t spent_ns;     /* of its time */
	int64_t loan;
	bool closed; /* it had its time */
};

/* struct probing - of a set; made when its first path is probed. */
struct probing {
	struct dataplane *dp;
	struct path_set *set;
	uint64_t child; /* the pair that messages go by; 0: none */
	uint64_t top;   /* highest sequence number that came by it, as far as we know */
	struct prober prober;
	struct prober_io io;
	struct timer timer;
	uint64_t weighed_ns; /* when weights were set by what was measured */
	struct quickest quickest;
	struct list_node told; /* in dp->told while something of `changed` waits to be told */
	uint16_t changed[PROBER_PATHS];     /* paths that became usable, or not any more; 0: none */
	uint16_t moved[PROBER_PATHS];       /* paths that have other addresses */
	uint16_t came[PROBER_PATHS];        /* by which the peer's last packets have come */
	uint16_t drained[PROBER_PATHS];     /* and this side's have arrived there */
	struct proven proven[PROBER_PATHS]; /* a ring */
	uint32_t next_proven;
	struct owed owed[PROBER_PATHS]; /* each of another address */
};

/* probing_free - with its set. NULL is accepted. */
void probing_free(struct probing *pr);

/* probing_put - path_set_put() for a set whose paths are probed: whether one that is may be used is
 * not for the params to say, unless it has other addresses now; then it is asked anew. */
MUST_USE enum err probing_put(struct probing *pr, const struct path_params *params) NONNULL(1, 2);

/* probing_took - a path was taken away, and was this. */
void probing_took(struct probing *pr, const struct path *was) NONNULL(1, 2);

/* probing_child - messages go by this pair from now on; 0: by none, and nothing is asked. */
void probing_child(struct probing *pr, uint64_t child) NONNULL(1);

/* probing_message - DP_EVENT_PROBE. probing_busy - DP_EVENT_BUSY. */
void probing_message(struct probing *pr, const struct dp_event *ev, uint64_t now_ns) NONNULL(1, 2);
void probing_busy(struct probing *pr, uint16_t path, uint64_t now_ns) NONNULL(1);

/* probing_changed - what goes by which path may be other. */
void probing_changed(struct probing *pr) NONNULL(1);

/* probing_report - the next DP_EVENT_PATH, _MOVED, _CAME or _DRAINED; false: there is none. */
bool probing_report(struct dataplane *dp, struct dp_event *out) NONNULL(1, 2);
