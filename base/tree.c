/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tree.h"

#include "base/alloc.h"
#include "base/secret.h"

#include <stdarg.h>
#include <stdio.h>

static struct tree *node_new(enum tree_kind kind, const char *name)
{
	struct tree *t = mem_alloc(sizeof(*t));

	if (!t)
		return NULL;
	t->kind = kind;
	list_init(&t->children);
	t->name = str_dup(name);
	if (!t->name) {
		mem_free(t);
		return NULL;
	}
	return t;
}

/* Values are wiped: shared secrets pass through trees on their way in. */
static void value_free(char *value, size_t len)
{
	if (value)
		secret_wipe(value, len);
	mem_free(value);
}

static char *value_new(const void *value, size_t len)
{
	char *copy;

	if (len == SIZE_MAX)
		return NULL;
	copy = mem_alloc(len + 1);
	if (copy && len > 0)
		memcpy(copy, value, len);
	return copy;
}

struct tree *tree_new(void)
{
	return node_new(TREE_SECTION, "");
}

static void files_free(struct tree_file *f)
{
	while (f) {
		struct tree_file *next = f->next;

		mem_free(f);
		f = next;
	}
}

static struct tree *first_child(const struct tree *t)
{
	if (list_empty(&t->children))
		return NULL;
	return list_entry(t->children.next, struct tree, node);
}

/* Without recursion: each child leaves its own children to the root before it goes. */
void tree_free(struct tree *t)
{
	struct tree *c;

	if (!t)
		return;
	while ((c = first_child(t)) != NULL) {
		struct list_node *n;

		list_remove(&c->node);
		while ((n = list_pop_front(&c->children)) != NULL)
			list_push_back(&t->children, n);
		value_free(c->value, c->value_len);
		files_free(c->files);
		mem_free(c->name);
		mem_free(c);
	}
	value_free(t->value, t->value_len);
	files_free(t->files);
	mem_free(t->name);
	mem_free(t);
}

void tree_remove(struct tree *child)
{
	list_remove(&child->node);
	tree_free(child);
}

struct tree *tree_child(const struct tree *parent, const char *name)
{
	tree_for_each (c, parent) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

const char *tree_get(const struct tree *parent, const char *key)
{
	const struct tree *c = tree_child(parent, key);

	return c && c->kind == TREE_VALUE ? c->value : NULL;
}

static enum err add(struct tree *parent, struct tree **out, enum tree_kind kind, const char *name)
{
	struct tree *t = node_new(kind, name);

	if (!t)
		return ERR_NOMEM;
	list_push_back(&parent->children, &t->node);
	*out = t;
	return ERR_OK;
}

/* The child of this name if it is of this kind, else a new one in its place. */
static enum err child_of_kind(struct tree *parent, struct tree **out, enum tree_kind kind,
			      const char *name)
{
	struct tree *old = tree_child(parent, name);
	enum err e;

	if (old && old->kind == kind) {
		*out = old;
		return ERR_OK;
	}
	e = add(parent, out, kind, name);
	if (!e && old)
		tree_remove(old);
	return e;
}

enum err tree_section(struct tree *parent, struct tree **out, const char *name)
{
	return child_of_kind(parent, out, TREE_SECTION, name);
}

enum err tree_add_section(struct tree *parent, struct tree **out, const char *name)
{
	return add(parent, out, TREE_SECTION, name);
}

enum err tree_add_list(struct tree *parent, struct tree **out, const char *name)
{
	return add(parent, out, TREE_LIST, name);
}

enum err tree_add_value(struct tree *parent, struct tree **out, const char *key, const void *value,
			size_t len)
{
	char *copy = value_new(value, len);
	enum err e;

	if (!copy)
		return ERR_NOMEM;
	e = add(parent, out, TREE_VALUE, key);
	if (e) {
		value_free(copy, len);
		return e;
	}
	(*out)->value = copy;
	(*out)->value_len = len;
	return ERR_OK;
}

enum err tree_add_file(struct tree *root, const char **out, const char *name)
{
	size_t len = strlen(name) + 1;
	struct tree_file *f = mem_alloc(sizeof(*f) + len);

	if (!f)
		return ERR_NOMEM;
	memcpy(f->name, name, len);
	f->next = root->files;
	root->files = f;
	*out = f->name;
	return ERR_OK;
}

enum err tree_list(struct tree *parent, struct tree **out, const char *name)
{
	return child_of_kind(parent, out, TREE_LIST, name);
}

enum err tree_set(struct tree *parent, const char *key, const void *value, size_t len)
{
	char *copy = value_new(value, len);
	struct tree *t;
	enum err e;

	if (!copy)
		return ERR_NOMEM;
	e = child_of_kind(parent, &t, TREE_VALUE, key);
	if (e) {
		value_free(copy, len);
		return e;
	}
	value_free(t->value, t->value_len);
	t->value = copy;
	t->value_len = len;
	return ERR_OK;
}

enum err tree_setf(struct tree *parent, const char *key, const char *fmt, ...)
{
	char small[256];
	char *text = small;
	va_list ap;
	int len;
	enum err e;

	va_start(ap, fmt);
	len = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (len < 0)
		return ERR_INVAL;
	if ((size_t)len >= sizeof(small)) {
		text = mem_alloc((size_t)len + 1);
		if (!text)
			return ERR_NOMEM;
		va_start(ap, fmt);
		vsnprintf(text, (size_t)len + 1, fmt, ap);
		va_end(ap);
	}
	e = tree_set(parent, key, text, (size_t)len);
	if (text != small)
		mem_free(text);
	return e;
}

enum err tree_append(struct tree *list, const void *value, size_t len)
{
	struct tree *item;

	return tree_add_value(list, &item, "", value, len);
}

/* Recursion is bounded by TREE_DEPTH_MAX, which whoever reads a tree from outside enforces. */
void tree_merge(struct tree *to, struct tree *from)
{
	struct tree_file **end = &to->files;
	struct list_node *n;

	while ((n = list_pop_front(&from->children)) != NULL) {
		struct tree *c = list_entry(n, struct tree, node);
		struct tree *old = tree_child(to, c->name);

		if (old && old->kind == TREE_SECTION && c->kind == TREE_SECTION) {
			tree_merge(old, c);
			continue;
		}
		list_push_back(&to->children, &c->node);
		if (old)
			tree_remove(old);
	}
	/* The names of the files, which the moved nodes go on pointing to. */
	while (*end)
		end = &(*end)->next;
	*end = from->files;
	from->files = NULL;
	tree_free(from);
}
