/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - an ordered tree of sections, string values and string lists: what a swanctl.conf file
 * and a VICI message both are. Configuration, control-socket messages and status reports are all
 * such trees. Not shared between threads.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"

/* enum tree_kind - what a node is. */
enum tree_kind {
	TREE_SECTION,
	TREE_VALUE,
	TREE_LIST,
};

/* struct tree_file - the name of a source file, kept by the root for the nodes below it. */
struct tree_file {
	struct tree_file *next;
	char name[];
};

/* struct tree - a node; owned by its parent. Values may hold any bytes and are NUL-terminated as
 * well, so that text can be used as a string. */
struct tree {
	struct list_node node; /* in the parent's children */
	enum tree_kind kind;
	uint32_t line;           /* in the source file; 0 if it came by the socket */
	const char *file;        /* from tree_add_file() of the root, or NULL */
	struct tree_file *files; /* root only */
	char *name;              /* key; "" for the root and for list items */
	char *value;             /* TREE_VALUE only */
	size_t value_len;
	struct list_node children; /* sections and values of a section, items (values) of a list */
};

/* TREE_DEPTH_MAX - sections may nest this deep; readers of untrusted input enforce it. */
#define TREE_DEPTH_MAX 16

/* tree_new - an empty root section; NULL on shortage. tree_free - whole tree; NULL is accepted. */
MALLOC_LIKE struct tree *tree_new(void);
void tree_free(struct tree *t);

/* tree_section - the child section `name`, made if it is not there. Errors: NOMEM. */
MUST_USE enum err tree_section(struct tree *parent, struct tree **out, const char *name)
	NONNULL(1, 2, 3);

/* tree_add_section - a new child section, also if one of that name exists. Errors: NOMEM. */
MUST_USE enum err tree_add_section(struct tree *parent, struct tree **out, const char *name)
	NONNULL(1, 2, 3);

/* tree_set - set (replace) the value of key. Errors: NOMEM. tree_setf formats. */
MUST_USE enum err tree_set(struct tree *parent, const char *key, const void *value, size_t len)
	NONNULL(1, 2);
MUST_USE enum err tree_setf(struct tree *parent, const char *key, const char *fmt, ...)
	NONNULL(1, 2, 3) PRINTF_LIKE(3, 4);

/* tree_list - the list `name`, made if it is not there. tree_append adds an item. Errors: NOMEM. */
MUST_USE enum err tree_list(struct tree *parent, struct tree **out, const char *name)
	NONNULL(1, 2, 3);
MUST_USE enum err tree_append(struct tree *list, const void *value, size_t len) NONNULL(1);

/* tree_add_value, tree_add_list - a new child, also if one of that name exists: constant time, for
 * readers of untrusted messages. Errors: NOMEM. */
MUST_USE enum err tree_add_value(struct tree *parent, struct tree **out, const char *key,
				 const void *value, size_t len) NONNULL(1, 2, 3);
MUST_USE enum err tree_add_list(struct tree *parent, struct tree **out, const char *name)
	NONNULL(1, 2, 3);

/* tree_add_file - keep a source file's name as long as root lives, for `file` of its nodes. Errors:
 * NOMEM. */
MUST_USE enum err tree_add_file(struct tree *root, const char **out, const char *name)
	NONNULL(1, 2, 3);

/* tree_child - first child of this name, NULL if there is none. */
struct tree *tree_child(const struct tree *parent, const char *name) NONNULL(1, 2);

/* tree_get - the value of key as a string; NULL if there is none or it is not a value. */
const char *tree_get(const struct tree *parent, const char *key) NONNULL(1, 2);

/* tree_merge - move the children of `from` (which is freed) into `to`: sections merge by name,
 * values and lists replace. Errors: none, nothing is allocated. */
void tree_merge(struct tree *to, struct tree *from) NONNULL(1, 2);

/* tree_remove - unlink and free a child. */
void tree_remove(struct tree *child) NONNULL(1);

/* tree_for_each - c goes over the children of parent. */
#define tree_for_each(c, parent)                                                      \
	for (struct tree *c = list_entry((parent)->children.next, struct tree, node); \
	     &c->node != &(parent)->children; c = list_entry(c->node.next, struct tree, node))
