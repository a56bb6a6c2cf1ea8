/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the data path as its own control functions see it. Thread: control, but for what the
 * tables' headers allow workers to read.
 */
#pragma once

#include "base/htab.h"
#include "base/timers.h"
#include "dataplane/class.h"
#include "dataplane/listener.h"
#include "dataplane/path.h"
#include "dataplane/worker.h"

/* struct dataplane - its workers, and the tables that they share. */
struct dataplane {
	struct worker *workers[WORKERS_MAX];
	uint32_t num_pairs[WORKERS_MAX];    /* control: pairs of SAs that each owns */
	uint32_t num_reserved[WORKERS_MAX]; /* and SPIs that name it, not installed yet */
	uint32_t num_workers;
	uint32_t num_ports;
	uint32_t event_turn; /* control: worker that is asked first for an event */
	int event_fd;        /* eventfd: workers -> control; -1 before workers_new() */
	bool running;
	bool latch_tcp; /* constant: see dataplane_config */

	/* Read by workers. */
	struct spd spd;
	struct slots *sad;
	struct esp_sa *dummies; /* RCU: SAs that send them (dummy.h) */
	struct latch_table *latches;
	struct listeners *listeners; /* RCU; NULL: none */
	uint64_t change;             /* atomic: see dataplane_changed() */

	/* Control's own. */
	struct driver gone[WORKER_MAX_PORTS]; /* in place of virtual interfaces that went */
	struct rng rng;
	struct class_table *classes;                /* and workers: class_groups() */
	uint32_t sweep_at;                          /* of dataplane_latch_sweep() */
	struct slots *groups, *pathsets, *policies; /* handle -> object */
	struct htab children;                       /* id -> struct child */
	struct htab outbound;                       /* SPI of an outbound SA -> struct child */
	struct rcu_queue retired;
	struct timers probes;    /* of path sets whose paths are probed (probing.h) */
	uint64_t probes_refused; /* messages that are none */
	struct list_node told;   /* of these, who has something to report */
	uint64_t next_uid;       /* of struct sa_conf; never 0 */
	const struct aead_backend *aead[AEAD_NUM];
	struct aead_device *device; /* NULL: none */
	uint32_t device_algs;       /* that it does: 1 << enum aead_alg */
	bool device_full;           /* it was said that it has no room for more keys */
	struct inline_ports *ports; /* that encrypt and decrypt (inline.h); NULL: none */
	bool ports_full;            /* it was said that they take no more keys */
};

/* dataplane_changed - held packets may have become sendable, or lost their policy: release the
 * change to the worker and wake it. */
void dataplane_changed(struct dataplane *dp) NONNULL(1);

/* handle_enter - obj gets a handle, published in its table. Errors: NOMEM, FULL, CRYPTO.
 * handle_leave - the handle names nothing any more; what it named, or NULL. */
MUST_USE enum err handle_enter(struct slots *table, uint32_t *out, void *obj) NONNULL(1, 2, 3);
void *handle_leave(struct slots *table, uint32_t id) NONNULL(1);

/* dataplane_outbound - the SA that sends with this SPI, the newest of them; NULL if there is none.
 */
struct esp_sa *dataplane_outbound(const struct dataplane *dp, uint32_t spi) NONNULL(1);

/* dataplane_paths_of - the paths of a pair; NULL: there is no such pair. */
struct path_set *dataplane_paths_of(const struct dataplane *dp, uint64_t child) NONNULL(1);

/* dataplane_mif_child - a pair that messages about the set's paths may go by, the one in use rather
 * than others; 0: none. */
uint64_t dataplane_mif_child(const struct path_set *s) NONNULL(1);

/* dataplane_device_give - an SA that nothing reaches yet to the lookaside device, if there is one,
 * it has the algorithm, and has room. dataplane_device_close - no worker runs and no SA is left. */
void dataplane_device_give(struct dataplane *dp, struct esp_sa *sa,
			   const struct child_params *params, enum child_half dir) NONNULL(1, 2, 3);
void dataplane_device_close(struct dataplane *dp) NONNULL(1);

/* dataplane_inline_give - an SA that nothing reaches yet to the ports that encrypt and decrypt, if
 * there are any and they take it; true: they do. dataplane_inline_close - as above. */
MUST_USE bool dataplane_inline_give(struct dataplane *dp, struct esp_sa *sa,
				    const struct child_params *params, enum child_half dir)
	NONNULL(1, 2, 3);
void dataplane_inline_close(struct dataplane *dp) NONNULL(1);

/* latches_forget - no class has this handle any more. */
void latches_forget(void *ctx, uint32_t token) NONNULL(1);

/* dataplane_children_free - take away every pair; workers are stopped. */
void dataplane_children_free(struct dataplane *dp) NONNULL(1);
