/* SPDX-License-Identifier: Apache-2.0 */
/*
 * class.h - protection classes: a 32-bit handle that names {peer identity, local identity, method,
 * quality of protection}. Siblings, re-keyed SAs and all paths share one class; it is what a
 * packet's token is, and what a policy or a latch demands. Thread: control, but for class_groups().
 */
#pragma once

#include "base/list.h"
#include "base/rng.h"
#include "dataplane/proof.h"

struct sa_group;

/* A handle is index (20 bits) | generation << 20 (8 bits); 4 bits are spare. 0 names nothing. The
 * first generation is drawn: what a packet was marked with by a daemon that is gone most likely
 * names nobody in the next one's life. */
#define CLASS_INDEX_BITS 20
#define CLASS_GEN_BITS   8

/* CLASS_REST - an index is used for others again only after so many rest: until then a class
 * without references keeps its name, and has it again when its peer comes back. */
#define CLASS_REST 4096

struct class_table;

/* class_table_new - an empty table; NULL on shortage or if rng fails. forgotten (may be NULL) is
 * told of each handle that names nothing any more. */
MALLOC_LIKE struct class_table *class_table_new(const struct rng *rng,
						void (*forgotten)(void *ctx, uint32_t handle),
						void *ctx) NONNULL(1);

/* class_table_free - all classes. NULL is accepted. */
void class_table_free(struct class_table *t);

/* class_get - the class of what was proven, with CLASS_Q_* bits; the same identities, method and
 * quality give the same handle. End with class_put(). Errors: NOMEM, FULL. */
MUST_USE enum err class_get(struct class_table *t, uint32_t *out,
			    const struct auth_proof_params *proven, uint8_t quality)
	NONNULL(1, 2, 3);

/* class_hold - one more reference to a handle that is known. Errors: NOT_FOUND. */
MUST_USE enum err class_hold(struct class_table *t, uint32_t handle) NONNULL(1);

/* class_put - drop one reference; a class without any rests. */
void class_put(struct class_table *t, uint32_t handle) NONNULL(1);

/* class_info - what a class stands for, also while it rests. Errors: NOT_FOUND (forgotten, or never
 * was). */
MUST_USE enum err class_info(const struct class_table *t, struct class_info *out, uint32_t handle)
	NONNULL(1, 2);

/* class_live - the handle names a class that has references. */
bool class_live(const struct class_table *t, uint32_t handle) NONNULL(1);

/* class_groups - where the groups of SAs of a class are linked (sa_group.next_of_class), NULL if it
 * never had any. Any registered reader. class_groups_make - for control, which links them: NULL on
 * shortage. */
struct sa_group *const *class_groups(const struct class_table *t, uint32_t handle) NONNULL(1);
struct sa_group **class_groups_make(struct class_table *t, uint32_t handle) NONNULL(1);
