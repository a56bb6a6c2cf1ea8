/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tree.h"

#include "base/alloc.h"

#include "tests/tap/tap.h"

#include <stdio.h>
#include <stdlib.h>

/* The whole tree in one line: name{...}, name=value, name[a,b]. */
static void print(char *out, size_t size, const struct tree *t)
{
	tree_for_each (c, t) {
		size_t used = strlen(out);

		if (c->kind == TREE_VALUE) {
			snprintf(out + used, size - used, "%s%s%s ", c->name, *c->name ? "=" : "",
				 c->value);
			continue;
		}
		snprintf(out + used, size - used, "%s%s", c->name,
			 c->kind == TREE_LIST ? "[" : "{");
		print(out, size, c);
		used = strlen(out);
		if (out[used - 1] == ' ')
			out[--used] = '\0';
		snprintf(out + used, size - used, "%s ", c->kind == TREE_LIST ? "]" : "}");
	}
}

static const char *text(const struct tree *t)
{
	static char buf[1024];

	buf[0] = '\0';
	print(buf, sizeof(buf), t);
	if (*buf)
		buf[strlen(buf) - 1] = '\0';
	return buf;
}

static struct tree *new_tree(void)
{
	struct tree *t = tree_new();

	CU_ASSERT_FATAL(t != NULL);
	return t;
}

static void set(struct tree *t, const char *key, const char *value)
{
	CU_ASSERT_EQUAL(tree_set(t, key, value, strlen(value)), ERR_OK);
}

static struct tree *section(struct tree *t, const char *name)
{
	struct tree *s = NULL;

	CU_ASSERT_EQUAL_FATAL(tree_section(t, &s, name), ERR_OK);
	return s;
}

static struct tree *list(struct tree *t, const char *name, const char *first, const char *second)
{
	struct tree *l = NULL;

	CU_ASSERT_EQUAL_FATAL(tree_list(t, &l, name), ERR_OK);
	CU_ASSERT_EQUAL(tree_append(l, first, strlen(first)), ERR_OK);
	if (second)
		CU_ASSERT_EQUAL(tree_append(l, second, strlen(second)), ERR_OK);
	return l;
}

static void test_building_and_asking(void)
{
	struct tree *t = new_tree();
	struct tree *gw = section(section(t, "connections"), "gw");

	set(gw, "version", "2");
	CU_ASSERT_EQUAL(tree_setf(gw, "port", "%d", 4500), ERR_OK);
	list(gw, "proposals", "aes128gcm16-prfsha256-x25519", "default");
	CU_ASSERT_STRING_EQUAL(text(t), "connections{gw{version=2 port=4500 "
					"proposals[aes128gcm16-prfsha256-x25519 default]}}");
	CU_ASSERT_PTR_EQUAL(section(section(t, "connections"), "gw"), gw);
	CU_ASSERT_STRING_EQUAL(tree_get(gw, "port"), "4500");
	CU_ASSERT_PTR_NULL(tree_get(gw, "none"));
	CU_ASSERT_PTR_NULL(tree_get(gw, "proposals"));
	CU_ASSERT_PTR_NULL(tree_child(t, "gw"));
	tree_free(t);
	tree_free(NULL);
}

static void test_values_hold_any_bytes(void)
{
	struct tree *t = new_tree();
	const struct tree *v;

	CU_ASSERT_EQUAL(tree_set(t, "blob", "a\0b\xff", 4), ERR_OK);
	v = tree_child(t, "blob");
	CU_ASSERT_EQUAL_FATAL(v->value_len, 4);
	CU_ASSERT(memcmp(v->value, "a\0b\xff", 5) == 0);
	CU_ASSERT_EQUAL(tree_set(t, "empty", NULL, 0), ERR_OK);
	CU_ASSERT_STRING_EQUAL(tree_get(t, "empty"), "");
	tree_free(t);
}

static void test_setting_again_replaces(void)
{
	struct tree *t = new_tree();

	set(t, "a", "1");
	set(t, "b", "2");
	set(t, "a", "3");
	CU_ASSERT_STRING_EQUAL(text(t), "a=3 b=2");
	/* Another kind of the same name gives way. */
	section(t, "a");
	CU_ASSERT_STRING_EQUAL(text(t), "b=2 a{}");
	list(t, "a", "x", NULL);
	CU_ASSERT_STRING_EQUAL(text(t), "b=2 a[x]");
	set(t, "a", "4");
	CU_ASSERT_STRING_EQUAL(text(t), "b=2 a=4");
	tree_free(t);
}

static void test_long_formatted_values(void)
{
	struct tree *t = new_tree();

	for (int width = 250; width < 260; width++) {
		CU_ASSERT_EQUAL(tree_setf(t, "a", "%0*d", width, 7), ERR_OK);
		CU_ASSERT_EQUAL(strlen(tree_get(t, "a")), (size_t)width);
		CU_ASSERT_EQUAL(atoi(tree_get(t, "a")), 7);
	}
	tree_free(t);
}

static void test_sections_of_one_name(void)
{
	struct tree *t = new_tree();
	struct tree *a, *b, *v;

	CU_ASSERT_EQUAL(tree_add_section(t, &a, "x"), ERR_OK);
	CU_ASSERT_EQUAL(tree_add_section(t, &b, "x"), ERR_OK);
	CU_ASSERT(a != b);
	CU_ASSERT_PTR_EQUAL(tree_child(t, "x"), a);
	CU_ASSERT_EQUAL(tree_add_value(a, &v, "k", "1", 1), ERR_OK);
	CU_ASSERT_EQUAL(tree_add_value(a, &v, "k", "2", 1), ERR_OK);
	CU_ASSERT_EQUAL(tree_add_list(a, &v, "k"), ERR_OK);
	CU_ASSERT_STRING_EQUAL(text(t), "x{k=1 k=2 k[]} x{}");
	tree_remove(a);
	CU_ASSERT_PTR_EQUAL(tree_child(t, "x"), b);
	tree_free(t);
}

static void test_merge(void)
{
	struct tree *to = new_tree(), *from = new_tree();
	struct tree *conn = section(section(to, "connections"), "gw");
	struct tree *more = section(section(from, "connections"), "gw");

	set(conn, "version", "1");
	set(conn, "kept", "yes");
	list(conn, "proposals", "old1", "old2");
	set(conn, "kind", "value");
	set(more, "version", "2");
	list(more, "proposals", "new", NULL);
	set(section(more, "kind"), "now", "section");
	set(section(section(from, "connections"), "other"), "a", "b");
	set(section(from, "secrets"), "s", "t");
	tree_merge(to, from);
	CU_ASSERT_STRING_EQUAL(text(to), "connections{gw{kept=yes version=2 proposals[new] "
					 "kind{now=section}} other{a=b}} secrets{s=t}");
	tree_free(to);
}

static void test_merge_keeps_the_names_of_files(void)
{
	struct tree *to = new_tree(), *from = new_tree();
	const char *a, *b;

	CU_ASSERT_EQUAL(tree_add_file(to, &a, "a.conf"), ERR_OK);
	CU_ASSERT_EQUAL(tree_add_file(from, &b, "b.conf"), ERR_OK);
	section(to, "x")->file = a;
	section(from, "y")->file = b;
	tree_merge(to, from);
	/* A sanitizer sees it if the name went with its root. */
	CU_ASSERT_STRING_EQUAL(tree_child(to, "x")->file, "a.conf");
	CU_ASSERT_STRING_EQUAL(tree_child(to, "y")->file, "b.conf");
	tree_free(to);
}

static void test_merge_of_nothing(void)
{
	struct tree *to = new_tree();

	tree_merge(to, new_tree());
	CU_ASSERT_STRING_EQUAL(text(to), "");
	set(to, "a", "1");
	tree_merge(to, new_tree());
	CU_ASSERT_STRING_EQUAL(text(to), "a=1");
	tree_free(to);
}

static void test_very_deep_trees_are_freed(void)
{
	struct tree *t = new_tree();
	struct tree *at = t;

	for (int i = 0; i < 200000; i++)
		at = section(at, "d");
	tree_free(t);
	CU_PASS("the stack was deep enough");
}

/* What is given back is wiped first: shared secrets pass through trees. */
static uint8_t *watched;
static size_t watched_len;
static int num_dirty;

static void *watching_realloc(void *ctx, void *p, size_t size)
{
	(void)ctx;
	if (size > 0)
		return realloc(p, size);
	if (p && p == watched) {
		for (size_t i = 0; i < watched_len; i++)
			num_dirty += watched[i] != 0;
		watched = NULL;
	}
	free(p);
	return NULL;
}

static void watch(const struct tree *t, const char *key)
{
	struct tree *v = tree_child(t, key);

	watched = (uint8_t *)v->value;
	watched_len = v->value_len;
}

static void test_values_are_wiped(void)
{
	const struct alloc_ops ops = {.realloc = watching_realloc};
	struct tree *t, *from;

	num_dirty = 0;
	alloc_set_ops(&ops);
	t = new_tree();
	set(t, "secret", "correct horse");
	watch(t, "secret");
	set(t, "secret", "battery staple");
	CU_ASSERT_PTR_NULL(watched);
	watch(t, "secret");
	from = new_tree();
	set(from, "secret", "third");
	tree_merge(t, from);
	CU_ASSERT_PTR_NULL(watched);
	watch(t, "secret");
	tree_free(t);
	CU_ASSERT_PTR_NULL(watched);
	CU_ASSERT_EQUAL(num_dirty, 0);
	alloc_set_ops(NULL);
}

/* Each allocation fails once; the tree stays whole and nothing leaks (a sanitizer sees it). */
static enum err build(struct tree *t)
{
	struct tree *s, *l;
	const char *file;
	enum err e = tree_section(t, &s, "s");

	if (!e)
		e = tree_set(s, "k", "v", 1);
	if (!e)
		e = tree_set(s, "k", "w", 1);
	if (!e)
		e = tree_setf(s, "f", "%0300d", 1);
	if (!e)
		e = tree_list(s, &l, "k");
	if (!e)
		e = tree_append(l, "x", 1);
	if (!e)
		e = tree_add_file(t, &file, "name");
	return e;
}

static void test_shortage_of_memory(void)
{
	uint64_t n;
	enum err e = ERR_NOMEM;

	alloc_fail_nth(1);
	CU_ASSERT_PTR_NULL(tree_new());
	alloc_fail_nth(2);
	CU_ASSERT_PTR_NULL(tree_new());
	for (n = 1; e && n < 100; n++) {
		struct tree *t = new_tree();

		alloc_fail_nth(n);
		e = build(t);
		alloc_fail_nth(0);
		CU_ASSERT(e == ERR_NOMEM || e == ERR_OK);
		CU_ASSERT_EQUAL(build(t), ERR_OK);
		tree_free(t);
	}
	CU_ASSERT(n > 12 && n < 100);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_building_and_asking),
	TAP_TEST(test_values_hold_any_bytes),
	TAP_TEST(test_setting_again_replaces),
	TAP_TEST(test_long_formatted_values),
	TAP_TEST(test_sections_of_one_name),
	TAP_TEST(test_merge),
	TAP_TEST(test_merge_keeps_the_names_of_files),
	TAP_TEST(test_merge_of_nothing),
	TAP_TEST(test_very_deep_trees_are_freed),
	TAP_TEST(test_values_are_wiped),
	TAP_TEST(test_shortage_of_memory),
};
TAP_MAIN("base/tree", tests)
