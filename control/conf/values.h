/* SPDX-License-Identifier: Apache-2.0 */
/*
 * values.h - the kinds of values in a configuration, as swanctl.conf(5) spells them. Pure
 * functions; MALFORMED unless said otherwise.
 */
#pragma once

#include "base/tree.h"

/* value_bool - yes/true/enabled/1, no/false/disabled/0. */
MUST_USE enum err value_bool(bool *out, const char *text) NONNULL(1, 2);

/* value_u64 - a decimal number up to max. Errors: MALFORMED, LIMIT. */
MUST_USE enum err value_u64(uint64_t *out, const char *text, uint64_t max) NONNULL(1, 2);

/* value_time - seconds, or with a suffix s, m, h, d; result in ns, at most 100 years. Errors:
 * MALFORMED, LIMIT. */
MUST_USE enum err value_time(uint64_t *out_ns, const char *text) NONNULL(1, 2);

/* value_size - bytes, or with a suffix k, m, g (powers of 1024). Errors: MALFORMED, LIMIT. */
MUST_USE enum err value_size(uint64_t *out, const char *text) NONNULL(1, 2);

/* struct value_items - walks the items of a value: those of a list node, or of a text between
 * commas, blanks around them taken away, empty ones left out. */
struct value_items {
	const struct tree *node;
	struct list_node *next; /* list node */
	const char *rest;       /* text */
};

/* VALUE_ITEM_MAX - an item's size with its NUL. */
#define VALUE_ITEM_MAX 512

/* value_items_init - walk node, a value or a list. value_items_next - copy the next item to out;
 * NOT_FOUND after the last. Errors: LIMIT (item too long), NOT_FOUND. */
void value_items_init(struct value_items *it, const struct tree *node) NONNULL(1, 2);
MUST_USE enum err value_items_next(struct value_items *it, char out[static VALUE_ITEM_MAX])
	NONNULL(1);
