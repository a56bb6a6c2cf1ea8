/* SPDX-License-Identifier: Apache-2.0 */
/*
 * class.h - protection classes: a 32-bit handle that names {peer identity, local identity, quality
 * of protection}. Siblings, re-keyed SAs and all paths share one class; it is what a packet's token
 * is and what a policy demands. Thread: control.
 */
#pragma once

#include "base/rng.h"
#include "dataplane/proof.h"

/* A handle is index (20 bits) | generation << 20 (8 bits); 4 bits are spare. 0 names nothing. */
#define CLASS_INDEX_BITS 20
#define CLASS_GEN_BITS   8

/* CLASS_REST - an index is used again only after so many others were given back. */
#define CLASS_REST 4096

struct class_table;

/* class_table_new - an empty table; NULL on shortage or if rng fails. */
MALLOC_LIKE struct class_table *class_table_new(const struct rng *rng) NONNULL(1);

/* class_table_free - all classes. NULL is accepted. */
void class_table_free(struct class_table *t);

/* class_get - the class of what was proven; the same identities and method give the same handle
 * while any reference lives. End with class_put(). Errors: NOMEM, FULL. */
MUST_USE enum err class_get(struct class_table *t, uint32_t *out,
			    const struct auth_proof_params *proven) NONNULL(1, 2, 3);

/* class_put - drop one reference; the handle of a class without references is stale. */
void class_put(struct class_table *t, uint32_t handle) NONNULL(1);

/* class_info - what a class stands for. Errors: NOT_FOUND (stale, or never was). */
MUST_USE enum err class_info(const struct class_table *t, struct class_info *out, uint32_t handle)
	NONNULL(1, 2);

/* class_live - the handle names a class that has references. */
bool class_live(const struct class_table *t, uint32_t handle) NONNULL(1);
