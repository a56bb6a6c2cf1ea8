/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inherit.h - sections that take over what other sections hold (`name : base, x.y { ... }`). The
 * parser collects the references; once everything is read they are carried out as copies. Control
 * thread.
 */
#pragma once

#include "control/conf/conf.h"

/* CONF_NODES_MAX - settings and sections in a configuration at most, copies included. */
#define CONF_NODES_MAX 1000000u

struct inherit_ref;

/* struct inherit - the references of one parse; the zero state has none. */
struct inherit {
	struct inherit_ref *refs;
	size_t num, cap;
};

/* inherit_add - section names a base: an absolute dotted path of len bytes, copied. Errors: NOMEM.
 */
MUST_USE enum err inherit_add(struct inherit *in, struct tree *section, const char *path,
			      size_t len) NONNULL(1, 2, 3);

/* inherit_resolve - copy into every section what it lacks of its bases, nearest first; take away
 * cleared values and top-level sections that only served as bases. *num_nodes counts on. Errors:
 * CONFIG (unknown base, circle, too much), NOMEM. */
MUST_USE enum err inherit_resolve(struct inherit *in, struct tree *root, size_t *num_nodes,
				  struct conf_diags *diags) NONNULL(1, 2, 3, 4);

/* inherit_fini - forget the references. */
void inherit_fini(struct inherit *in) NONNULL(1);
