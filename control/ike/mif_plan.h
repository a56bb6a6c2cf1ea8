/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mif_plan.h - operations on paths as a plan: they are tried on a copy of the IKE SA's table, one
 * after the other, and what came of all of them is carried out at once, or nothing is
 * (docs/multiple-interfaces.md, sections 4 and 5). Control thread.
 */
#pragma once

#include "control/child/child.h"
#include "control/ike/sa.h"

/* struct mif_plan - about 14 KiB. */
struct mif_plan {
	struct ike_sa *sa;
	bool ours;    /* the operations are of this side */
	bool no_ties; /* children stay where they are */
	bool tied;    /* the plan has to do with children */
	struct sa_paths next;
	struct mif_op ops[MIF_OPS_MAX];
	uint16_t ports[MIF_OPS_MAX]; /* outer port that a new path uses */
	struct mif_result results[MIF_OPS_MAX];
	uint32_t num;
	uint32_t num_spis; /* that were looked for */
	uint8_t failed[4 * MIF_SPIS_MAX];
	size_t failed_len;
	const struct ike_datagram *dg; /* that the peer's operations came by; NULL: they are ours */
	struct sa_paths saved;         /* from before a transaction that is all or nothing */
};

/* plan_begin - nothing is planned yet. Operations go into ops[] and num. */
void plan_begin(struct mif_plan *p, struct ike_sa *sa, bool ours) NONNULL(1, 2);

/* plan_try - each of the operations; results[] says what came of it. */
void plan_try(struct mif_plan *p) NONNULL(1);

/* plan_try_one - operation number i alone, as plan_try() does. */
void plan_try_one(struct mif_plan *p, uint32_t i) NONNULL(1);

/* plan_presume - where nothing carries of what this side has decided, the path that it wants most
 * is taken to: there is nothing to be lost. The peer's end of it no message told, so that no
 * stranger is sent anything; its probes go beside the payload. */
void plan_presume(struct mif_plan *p) NONNULL(1);

/* plan_without - these paths are not planned either, unless it is the last one, and no child is
 * tied to one that is not. */
void plan_without(struct mif_plan *p, const uint16_t *ids, uint8_t num) NONNULL(1);

/* mif_has_tag - the child's configuration gives it this tag. */
bool mif_has_tag(const struct ike_child *c, struct bytes tag) NONNULL(1);

/* plan_is_dry - one of the operations only asks what would be: none of the message is done. */
bool plan_is_dry(const struct mif_plan *p) NONNULL(1);

/* plan_actions - how many actions plan_commit() takes, which must not fail: actions_promise() them
 * before. plan_commit - the plan becomes what is. */
uint32_t plan_actions(const struct mif_plan *p) NONNULL(1);
void plan_commit(struct mif_plan *p) NONNULL(1);

/* paths_find - by number; NULL if there is none. */
struct sa_path *paths_find(struct sa_paths *t, uint16_t id) NONNULL(1);

/* paths_rank - its priority, or behind all of them: it is being left. */
uint32_t paths_rank(const struct sa_path *p) NONNULL(1);

/* paths_active - packets of this side go by it (or, with a policy of one, would if it were the
 * first): it is usable, and no usable one has a smaller rank. */
bool paths_active(const struct sa_paths *t, const struct sa_path *p) NONNULL(1, 2);

/* paths_best - the usable path of the smallest rank and, of these, number; NULL: none is. */
const struct sa_path *paths_best(const struct sa_paths *t) NONNULL(1);

/* paths_wanted - the one that the decider wants most, usable or not; there is a path. */
struct sa_path *paths_wanted(struct sa_paths *t) NONNULL(1);

/* path_put - queue IKE_ACTION_PATH_PUT in a promised cell. */
void path_put(struct ike_sa *sa, const struct sa_path *p) NONNULL(1, 2);
