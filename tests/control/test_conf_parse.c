/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of swanctl.conf: what it makes of text, and what it says about text that is wrong. */
#include "control/conf/conf.h"
#include "tests/tap/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Appends a tree as "a=b;c{d=e;}" with the values' bytes as they are. */
static void write_tree(char *out, size_t size, const struct tree *t)
{
	tree_for_each (c, t) {
		size_t used = strlen(out);

		if (c->kind == TREE_SECTION) {
			snprintf(out + used, size - used, "%s{", c->name);
			write_tree(out, size, c);
			used = strlen(out);
			snprintf(out + used, size - used, "}");
		} else {
			snprintf(out + used, size - used, "%s=%s;", c->name, c->value);
		}
	}
}

struct row {
	const char *text, *tree;
};

static const struct row good[] = {
	{"", ""},
	{"\n\n# only a comment", ""},
	{"a = b", "a=b;"},
	{"a = b\n", "a=b;"},
	{"a=b\n", "a=b;"},
	{"  a\t=\tb  \n", "a=b;"},
	{"a = b\r\nc = d\r\n", "a=b;c=d;"},
	{"a = b c   d\n", "a=b c d;"},
	{"a = b # comment\n", "a=b;"},
	{"a = b#comment\n", "a=b;"},
	{"a = \"b # } c\"\n", "a=b # } c;"},
	{"a = \"b  c\"\n", "a=b  c;"},
	{"a = \"b\" \"c\"\n", "a=b c;"},
	{"a = x\"b\"\n", "a=x b;"},
	{"a = \"\\\"\\\\\\n\\t\\x\"\n", "a=\"\\\n\tx;"},
	{"a = \"b\\\nc\"\n", "a=bc;"},
	{"a = \"b\nc\"\n", "a=b\nc;"},
	{"a = b = c { d\n", "a=b = c { d;"},
	{"a = b\na = c\n", "a=c;"},
	{"a = b\na =\n", ""},
	{"a = \"\"\n", ""},
	{"s { a = b }", "s{a=b;}"},
	{"s {a=b}", "s{a=b;}"},
	{"s { a = b } c = d", "s{a=b;}c=d;"},
	{"s\n{\n}\n", "s{}"},
	{"s # comment\n { }\n", "s{}"},
	{"s { t { u { } } v { a = 1 } }", "s{t{u{}}v{a=1;}}"},
	{"s { a = 1\n b = 2 } s { b = 3\n c = 4 }", "s{a=1;b=3;c=4;}"},
	{"connections { c { remote { id = x } children { n { remote_ts = 10.0.0.0/8 } } } }",
	 "connections{c{remote{id=x;}children{n{remote_ts=10.0.0.0/8;}}}}"},
	{"include = 3\n", "include=3;"},
	{"include { a = 3 }\n", "include{a=3;}"},
	{"gw-1.x = 2\n", NULL},
	/* inheritance */
	{"b { x = 1\n y = 2\n s { z = 3 } } connections { c : b { y = 9 } }",
	 "connections{c{y=9;x=1;s{z=3;}}}"},
	{"connections { c : b, d { } } b { x = 1 } d { x = 2\n y = 3 }",
	 "connections{c{x=1;y=3;}}"},
	{"b { x = 1 } connections { c : b { x =\n } }", "connections{c{}}"},
	{"connections { c { x = 1\n s { y = 2 } } d : connections.c { s { z = 3 } } }",
	 "connections{c{x=1;s{y=2;}}d{s{z=3;y=2;}x=1;}}"},
	{"connections { e : connections.d { } d : connections.c { } c : b { } } b { x = 1 }",
	 "connections{e{x=1;}d{x=1;}c{x=1;}}"},
};

static void test_good(void)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct conf_diags diags = {0};
		struct tree *t = NULL;
		char got[1024] = "";
		enum err e = conf_parse_text(&t, &diags, "f", good[i].text, strlen(good[i].text));

		if (!good[i].tree) {
			CU_ASSERT_EQUAL(e, ERR_CONFIG);
			continue;
		}
		CU_ASSERT_EQUAL(e, ERR_OK);
		if (e) {
			tap_diag("'%s': %s", good[i].text, diags.list[0].text);
			continue;
		}
		write_tree(got, sizeof(got), t);
		if (strcmp(got, good[i].tree) != 0)
			tap_diag("'%s' became '%s' instead of '%s'", good[i].text, got,
				 good[i].tree);
		CU_ASSERT_STRING_EQUAL(got, good[i].tree);
		tree_free(t);
	}
}

static const struct row bad[] = {
	{"a\n", "f:1: '=' or '{' was expected after 'a'"},
	{"a b\n", "f:1: '=' or '{' was expected after 'a'"},
	{"\n\n= b\n", "f:3: a name was expected here, not '='"},
	{"a.b = c\n", "f:1: a name may not contain '.'"},
	{"s {\n a = b\n", "f:1: section 's' is not closed"},
	{"s { }\n}\n", "f:2: '}' closes no section"},
	{"a = \"b\n\n", "f:1: the string that begins here is not closed"},
	{"a = 1\na { }\n", "f:2: 'a' is a value in line 1"},
	{"a { }\na = 1\n", "f:2: 'a' is a section in line 1"},
	{"include x.conf\n", "f:1: 'include' is not possible here"},
	{"s : { }\n", "f:1: the name of a section was expected after ':'"},
	{"s : t\n", "f:1: '{' was expected to open section 's'"},
	{"s : t { }\n", "f:1: section 's' inherits from 't', which is not there"},
	{"s : s { }\n", "f:1: section 's' inherits from 's', which it is part of"},
	{"a : b { }\nb : a { }\n", "f:1: section 'a' inherits from 'b', which inherits from it"},
	{"\x01 = b\n", "f:1: a name was expected here, not '?'"},
};

static void test_bad(void)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct conf_diags diags = {0};
		struct tree *t = NULL;
		enum err e = conf_parse_text(&t, &diags, "f", bad[i].text, strlen(bad[i].text));

		CU_ASSERT_EQUAL(e, ERR_CONFIG);
		CU_ASSERT_PTR_NULL(t);
		CU_ASSERT_EQUAL(diags.num_errors, 1);
		if (strcmp(diags.list[0].text, bad[i].tree) != 0)
			tap_diag("'%s': %s", bad[i].text, diags.list[0].text);
		CU_ASSERT_STRING_EQUAL(diags.list[0].text, bad[i].tree);
	}
}

static enum err parse(const char *text, size_t len)
{
	struct conf_diags *diags = calloc(1, sizeof(*diags));
	struct tree *t;
	enum err e = conf_parse_text(&t, diags, "f", text, len);

	if (!e)
		tree_free(t);
	free(diags);
	return e;
}

static void test_bounds(void)
{
	char *big = calloc(1, 1 << 20), *p = big;

	if (!big)
		abort();
	for (int i = 0; i < TREE_DEPTH_MAX - 1; i++)
		p += sprintf(p, "s {");
	for (int i = 0; i < TREE_DEPTH_MAX - 1; i++)
		*p++ = '}';
	CU_ASSERT_EQUAL(parse(big, (size_t)(p - big)), ERR_OK);
	p = big;
	for (int i = 0; i < TREE_DEPTH_MAX; i++)
		p += sprintf(p, "s {");
	for (int i = 0; i < TREE_DEPTH_MAX; i++)
		*p++ = '}';
	CU_ASSERT_EQUAL(parse(big, (size_t)(p - big)), ERR_CONFIG);
	memset(big, 'n', 300);
	memcpy(big + 255, " = x", 4);
	CU_ASSERT_EQUAL(parse(big, 259), ERR_OK);
	memset(big, 'n', 300);
	memcpy(big + 256, " = x", 4);
	CU_ASSERT_EQUAL(parse(big, 260), ERR_CONFIG);
	memset(big, 'v', 70000);
	memcpy(big, "a = ", 4);
	CU_ASSERT_EQUAL(parse(big, 4 + 65535), ERR_OK);
	CU_ASSERT_EQUAL(parse(big, 4 + 65536), ERR_CONFIG);
	CU_ASSERT_EQUAL(parse("a = \0", 5), ERR_CONFIG);
	free(big);
}

/* Copies of copies: each section holds all of the one before twice. */
static void test_inheritance_is_bounded(void)
{
	char *big = calloc(1, 1 << 16), *p = big;

	if (!big)
		abort();
	p += sprintf(p, "s0 { a = 1\n b = 2 }\n");
	for (int i = 1; i < 30; i++)
		p += sprintf(p, "s%d { x : s%d { }\n y : s%d { } }\n", i, i - 1, i - 1);
	CU_ASSERT_EQUAL(parse(big, (size_t)(p - big)), ERR_CONFIG);
	/* A copy of a copy lies deeper each time. */
	for (int deep = 13; deep <= 15; deep++) {
		p = big;
		p += sprintf(p, "connections { s0 { a = 1 }\n");
		for (int i = 1; i <= deep; i++)
			p += sprintf(p, "s%d { x : connections.s%d { } }\n", i, i - 1);
		p += sprintf(p, "}");
		CU_ASSERT_EQUAL(parse(big, (size_t)(p - big)), deep == 13 ? ERR_OK : ERR_CONFIG);
	}
	p = big;
	p += sprintf(p, "connections { ");
	for (int i = 0; i < 500; i++)
		p += sprintf(p, "c%d : connections.c%d { }\n", i, i + 1);
	p += sprintf(p, "c500 { a = 1 } }");
	CU_ASSERT_EQUAL(parse(big, (size_t)(p - big)), ERR_CONFIG);
	free(big);
}

static const char sample[] = "b { x = 1 }\nconnections { c : b { # comment\n a = \"q\\n\" z\n"
			     " s { t = u } } }\nsecrets\n{ ike-1 { secret = 0xabcdef } }\n";

/* S1: every cut and every turned bit gives a tree or an error, and never reads beyond the end. */
static void test_S1_sweep(void)
{
	size_t len = strlen(sample), ok = 0;

	for (size_t cut = 0; cut <= len; cut++) {
		char *copy = malloc(cut ? cut : 1);

		memcpy(copy, sample, cut);
		ok += parse(copy, cut) == ERR_OK;
		free(copy);
	}
	CU_ASSERT_TRUE(ok > 3 && ok < len / 2);
	for (size_t bit = 0; bit < len * 8; bit++) {
		char *copy = malloc(len);
		enum err e;

		memcpy(copy, sample, len);
		copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
		e = parse(copy, len);
		CU_ASSERT_TRUE(e == ERR_OK || e == ERR_CONFIG);
		free(copy);
	}
}

/* struct files - a directory with files in it. */
struct files {
	char dir[32];
};

static void files_make(struct files *f)
{
	char sub[64];

	snprintf(f->dir, sizeof(f->dir), "/tmp/lk-conf-XXXXXX");
	if (!mkdtemp(f->dir))
		abort();
	snprintf(sub, sizeof(sub), "%s/conf.d", f->dir);
	if (mkdir(sub, 0700))
		abort();
}

static void files_write(const struct files *f, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file))
		abort();
}

static enum err files_parse(const struct files *f, struct tree **out, struct conf_diags *diags,
			    const char *name)
{
	char path[128];

	memset(diags, 0, sizeof(*diags));
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return conf_parse_file(out, diags, path);
}

static void files_remove(struct files *f)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void test_include(void)
{
	const struct tree *conn;
	struct conf_diags diags;
	char got[512] = "";
	struct files f;
	struct tree *t;

	files_make(&f);
	files_write(&f, "main.conf",
		    "connections {\n include conf.d/*.conf\n}\ninclude nothing/*.conf\n"
		    "include \"other.conf\" # the last word\n");
	files_write(&f, "conf.d/1.conf", "a { x = 1 }\n");
	files_write(&f, "conf.d/2.conf", "\n\nb { x = 2 }\na { y = 3 }\n");
	files_write(&f, "other.conf", "connections { a { x = 4 } }\n");
	CU_ASSERT_EQUAL_FATAL(files_parse(&f, &t, &diags, "main.conf"), ERR_OK);
	write_tree(got, sizeof(got), t);
	CU_ASSERT_STRING_EQUAL(got, "connections{a{x=4;y=3;}b{x=2;}}");
	conn = tree_child(tree_child(t, "connections"), "b");
	CU_ASSERT_EQUAL(conn->line, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(conn->file, "/conf.d/2.conf"));
	tree_free(t);
	files_remove(&f);
}

static void test_include_refused(void)
{
	struct conf_diags diags;
	struct files f;
	struct tree *t;

	files_make(&f);
	files_write(&f, "gone.conf", "include not-there.conf\n");
	CU_ASSERT_EQUAL(files_parse(&f, &t, &diags, "gone.conf"), ERR_SYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[0].text, "not-there.conf: No such file"));
	files_write(&f, "loop.conf", "include loop.conf\n");
	CU_ASSERT_EQUAL(files_parse(&f, &t, &diags, "loop.conf"), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[0].text, "include each other deeper than"));
	files_write(&f, "bomb.conf", "include bomb.con*\ninclude bomb.con*\ninclude bomb.con*\n");
	CU_ASSERT_EQUAL(files_parse(&f, &t, &diags, "bomb.conf"), ERR_CONFIG);
	files_write(&f, "open.conf", "s {\ninclude close.conf\n");
	files_write(&f, "close.conf", "\n}\n");
	CU_ASSERT_EQUAL(files_parse(&f, &t, &diags, "open.conf"), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[0].text, "close.conf:2: '}' closes no section"));
	files_write(&f, "dir.conf", "include conf.d\n");
	CU_ASSERT_EQUAL(files_parse(&f, &t, &diags, "dir.conf"), ERR_SYS);
	files_write(&f, "none.conf", "include \n");
	CU_ASSERT_EQUAL(files_parse(&f, &t, &diags, "none.conf"), ERR_CONFIG);
	CU_ASSERT_EQUAL(files_parse(&f, &t, &diags, "not-there.conf"), ERR_SYS);
	files_remove(&f);
}

static void test_lines(void)
{
	struct conf_diags diags = {0};
	const struct tree *c;
	struct tree *t;

	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&t, &diags, "f", sample, strlen(sample)), ERR_OK);
	c = tree_child(tree_child(t, "connections"), "c");
	CU_ASSERT_EQUAL(c->line, 2);
	CU_ASSERT_EQUAL(tree_child(c, "a")->line, 3);
	CU_ASSERT_EQUAL(tree_child(c, "x")->line, 1);
	CU_ASSERT_STRING_EQUAL(tree_child(c, "a")->file, "f");
	tree_free(t);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_good),
	TAP_TEST(test_bad),
	TAP_TEST(test_bounds),
	TAP_TEST(test_inheritance_is_bounded),
	TAP_TEST(test_S1_sweep),
	TAP_TEST(test_include),
	TAP_TEST(test_include_refused),
	TAP_TEST(test_lines),
};
TAP_MAIN("conf_parse", tests)
