/* SPDX-License-Identifier: Apache-2.0 */
#include "control/conf/inherit.h"

#include "base/alloc.h"
#include "control/conf/diag.h"

/* struct inherit_ref - section wants what the section at path holds. */
struct inherit_ref {
	struct tree *section;
	char *path;
	enum {
		REF_OPEN,
		REF_ACTIVE,
		REF_DONE
	} state;
};

/* struct job - one resolution. */
struct job {
	struct inherit *in;
	struct tree *root;
	struct conf_diags *diags;
	size_t *num_nodes;
	uint32_t depth;
};

/* A chain of bases is not longer than this, and there are not more references. */
#define CHAIN_MAX 32
#define REFS_MAX  16384

enum err inherit_add(struct inherit *in, struct tree *section, const char *path, size_t len)
{
	struct inherit_ref *ref;

	if (in->num == REFS_MAX)
		return ERR_LIMIT;
	if (in->num == in->cap) {
		size_t cap = in->cap ? in->cap * 2 : 16;
		struct inherit_ref *refs = mem_grow(in->refs, cap, sizeof(*refs));

		if (!refs)
			return ERR_NOMEM;
		in->refs = refs;
		in->cap = cap;
	}
	ref = &in->refs[in->num];
	*ref = (struct inherit_ref){.section = section, .path = mem_alloc(len + 1)};
	if (!ref->path)
		return ERR_NOMEM;
	memcpy(ref->path, path, len);
	in->num++;
	return ERR_OK;
}

void inherit_fini(struct inherit *in)
{
	for (size_t i = 0; i < in->num; i++)
		mem_free(in->refs[i].path);
	mem_free(in->refs);
	*in = (struct inherit){0};
}

static enum err fail(struct job *job, const struct inherit_ref *ref, const char *why)
{
	struct conf_place at = {.file = ref->section->file, .line = ref->section->line};

	conf_diag_add(job->diags, true, at, "section '%s' inherits from '%s', %s",
		      ref->section->name, ref->path, why);
	return ERR_CONFIG;
}

/* The section at a dotted path, NULL if there is none. */
static struct tree *find(struct tree *at, const char *path)
{
	char name[256];

	while (at && *path) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		at = tree_child(at, name);
		path += len + (path[len] == '.');
	}
	return at && at->kind == TREE_SECTION ? at : NULL;
}

/* node is section or lies below it. Depth is bounded by the parser. */
static bool holds(const struct tree *section, const struct tree *node)
{
	if (section == node)
		return true;
	tree_for_each (c, section) {
		if (c->kind == TREE_SECTION && holds(c, node))
			return true;
	}
	return false;
}

static enum err copy_missing(struct job *job, struct tree *to, const struct tree *from);

static enum err copy_child(struct job *job, struct tree *to, const struct tree *c)
{
	struct tree *mine = tree_child(to, c->name);
	bool made = !mine;
	enum err e = ERR_OK;

	if (mine && (mine->kind != TREE_SECTION || c->kind != TREE_SECTION))
		return ERR_OK;
	if (made && ++*job->num_nodes > CONF_NODES_MAX)
		return ERR_LIMIT;
	if (made && c->kind == TREE_SECTION)
		e = tree_add_section(to, &mine, c->name);
	else if (made)
		e = tree_add_value(to, &mine, c->name, c->value, c->value_len);
	if (!e && made) {
		mine->file = c->file;
		mine->line = c->line;
	}
	if (!e && c->kind == TREE_SECTION)
		e = copy_missing(job, mine, c);
	return e;
}

static enum err copy_missing(struct job *job, struct tree *to, const struct tree *from)
{
	enum err e = ERR_OK;

	tree_for_each (c, from) {
		e = copy_child(job, to, c);
		if (e)
			break;
	}
	return e;
}

/* Bases come first: what they inherit themselves, they and their sections, is passed on. */
static enum err resolve(struct job *job, size_t i)
{
	struct inherit_ref *ref = &job->in->refs[i];
	struct tree *base = find(job->root, ref->path);
	enum err e = ERR_OK;

	if (ref->state == REF_DONE)
		return ERR_OK;
	if (ref->state == REF_ACTIVE)
		return fail(job, ref, "which inherits from it");
	if (!base)
		return fail(job, ref, "which is not there");
	if (holds(base, ref->section))
		return fail(job, ref, "which it is part of");
	if (job->depth++ == CHAIN_MAX)
		return fail(job, ref, "at the end of too long a chain");
	ref->state = REF_ACTIVE;
	for (size_t j = 0; !e && j < job->in->num; j++) {
		if (job->in->refs[j].state != REF_DONE && holds(base, job->in->refs[j].section))
			e = resolve(job, j);
	}
	if (e)
		return e;
	job->depth--;
	e = copy_missing(job, ref->section, base);
	ref->state = REF_DONE;
	return e == ERR_LIMIT ? fail(job, ref, "and that makes too many settings") : e;
}

static void drop_cleared(struct tree *section)
{
	list_for_each_safe (n, &section->children) {
		struct tree *c = list_entry(n, struct tree, node);

		if (c->kind == TREE_SECTION)
			drop_cleared(c);
		else if (c->value_len == 0)
			tree_remove(c);
	}
}

static bool is_known_root(const char *name)
{
	static const char *const known[] = {"connections", "secrets", "pools", "authorities",
					    "latchkey"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(name, known[i]) == 0)
			return true;
	}
	return false;
}

static void drop_bases(struct job *job)
{
	for (size_t i = 0; i < job->in->num; i++) {
		struct tree *base;

		job->in->refs[i].path[strcspn(job->in->refs[i].path, ".")] = '\0';
		base = tree_child(job->root, job->in->refs[i].path);
		if (base && !is_known_root(base->name))
			tree_remove(base);
	}
}

/* Copies may lie deeper than anything that was written; users of a tree rely on the bound. */
static enum err check_depth(struct job *job, const struct tree *section, uint32_t depth)
{
	struct conf_place at = {.file = section->file, .line = section->line};
	enum err e = ERR_OK;

	if (depth >= TREE_DEPTH_MAX) {
		conf_diag_add(job->diags, true, at,
			      "section '%s' is nested deeper than %d by what it inherits",
			      section->name, TREE_DEPTH_MAX);
		return ERR_CONFIG;
	}
	tree_for_each (c, section) {
		if (c->kind == TREE_SECTION)
			e = check_depth(job, c, depth + 1);
		if (e)
			break;
	}
	return e;
}

enum err inherit_resolve(struct inherit *in, struct tree *root, size_t *num_nodes,
			 struct conf_diags *diags)
{
	struct job job = {.in = in, .root = root, .diags = diags, .num_nodes = num_nodes};
	enum err e = ERR_OK;

	for (size_t i = 0; !e && i < in->num; i++)
		e = resolve(&job, i);
	if (e)
		return e;
	drop_bases(&job);
	drop_cleared(root);
	return in->num ? check_depth(&job, root, 0) : ERR_OK;
}
