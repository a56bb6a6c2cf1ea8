/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the data path as its own control functions see it. Thread: control, but for what the
 * tables' headers allow workers to read.
 */
#pragma once

#include "base/htab.h"
#include "dataplane/class.h"
#include "dataplane/path.h"
#include "dataplane/worker.h"

/* struct dataplane - one worker for now; sibling SAs on more come later. */
struct dataplane {
	struct worker worker;

	/* Read by workers. */
	struct spd spd;
	struct slots *sad;
	uint64_t change; /* atomic: see dataplane_changed() */

	/* Control's own. */
	struct rng rng;
	struct class_table *classes;
	struct slots *groups, *pathsets, *policies; /* handle -> object */
	struct htab children;                       /* id -> struct child */
	struct rcu_queue retired;
	uint64_t next_uid; /* of struct sa_conf; never 0 */
	const struct aead_backend *aead[AEAD_NUM];
};

/* dataplane_changed - held packets may have become sendable, or lost their policy: release the
 * change to the worker and wake it. */
void dataplane_changed(struct dataplane *dp) NONNULL(1);

/* dataplane_children_free - take away every pair; workers are stopped. */
void dataplane_children_free(struct dataplane *dp) NONNULL(1);
