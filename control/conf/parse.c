/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.c - the grammar of swanctl.conf and strongswan.conf: sections in braces, `key = value` up
 * to the end of the line, `#` comments, quoted strings, `include`, and sections that inherit from
 * others (`name : base { ... }`). See strongswan.conf(5). Bounded in depth, nodes, bytes and files.
 */
#include "base/alloc.h"
#include "control/conf/conf.h"
#include "control/conf/diag.h"
#include "control/conf/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_LEN  255
#define VALUE_MAX_LEN 65535
#define FILE_MAX_LEN  (16u << 20)
#define INCLUDE_DEPTH 10
#define FILES_MAX     4096
#define PATH_MAX_LEN  4095

/* struct source - what one parse has read so far, over all its files. */
struct source {
	struct tree *root;
	struct conf_diags *diags;
	struct inherit inherit;
	size_t num_nodes;
	uint32_t num_files;
	bool includes; /* allowed */
};

/* struct text - one file being read; end is the byte after the last. */
struct text {
	struct source *src;
	const char *file; /* name for remarks, kept by the root */
	const char *at, *end;
	uint32_t line;
	uint32_t include_depth;
};

static enum err parse_sections(struct text *t, struct tree *section, uint32_t depth,
			       uint32_t opened_line);
static enum err read_file(struct source *src, struct tree *section, const char *path,
			  uint32_t depth, uint32_t include_depth);

#define FAIL(t, line_, ...)                                                                   \
	(conf_diag_add((t)->src->diags, true,                                                 \
		       (struct conf_place){.file = (t)->file, .line = (line_)}, __VA_ARGS__), \
	 ERR_CONFIG)

static bool at_end(const struct text *t)
{
	return t->at == t->end;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct text *t)
{
	while (!at_end(t) && is_blank(*t->at))
		t->at++;
}

static void skip_comment(struct text *t)
{
	while (!at_end(t) && *t->at != '\n')
		t->at++;
}

/* Blanks, line ends and comments. */
static void skip_space(struct text *t)
{
	while (!at_end(t)) {
		if (*t->at == '#')
			skip_comment(t);
		else if (*t->at == '\n' || is_blank(*t->at))
			t->line += *t->at++ == '\n';
		else
			return;
	}
}

static bool is_name_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && !strchr(".,:{}=\"#", c);
}

/* Errors: CONFIG. out[NAME_MAX_LEN + 1]. */
static enum err read_name(struct text *t, char *out)
{
	const char *start = t->at;
	size_t len;

	while (!at_end(t) && is_name_char(*t->at))
		t->at++;
	len = (size_t)(t->at - start);
	if (len == 0)
		return FAIL(t, t->line, "a name was expected here, not '%c'",
			    at_end(t) ? ' ' : *t->at);
	if (len > NAME_MAX_LEN)
		return FAIL(t, t->line, "a name may have at most %d characters", NAME_MAX_LEN);
	memcpy(out, start, len);
	out[len] = '\0';
	return ERR_OK;
}

/* struct value - a value being put together. */
struct value {
	char *buf;
	size_t len, cap;
};

static enum err value_add(struct text *t, struct value *v, char c)
{
	if (v->len >= VALUE_MAX_LEN)
		return FAIL(t, t->line, "a value may have at most %d bytes", VALUE_MAX_LEN);
	if (v->len + 1 >= v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 64;
		char *buf = mem_alloc(cap);

		if (!buf)
			return ERR_NOMEM;
		if (v->buf) {
			memcpy(buf, v->buf, v->len);
			secret_wipe(v->buf, v->len);
			mem_free(v->buf);
		}
		v->buf = buf;
		v->cap = cap;
	}
	v->buf[v->len++] = c;
	v->buf[v->len] = '\0';
	return ERR_OK;
}

/* A shared secret may have been in it. */
static void value_fini(struct value *v)
{
	if (v->buf)
		secret_wipe(v->buf, v->cap);
	mem_free(v->buf);
}

static char unescape(char c)
{
	return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
}

/* "..." with \n \r \t, \<line end> for nothing and \x for x. */
static enum err read_quoted(struct text *t, struct value *v)
{
	uint32_t opened = t->line;
	enum err e = ERR_OK;

	for (t->at++; !e; t->at++) {
		if (at_end(t))
			return FAIL(t, opened, "the string that begins here is not closed");
		if (*t->at == '"')
			break;
		t->line += *t->at == '\n';
		if (*t->at != '\\' || t->at + 1 == t->end) {
			e = value_add(t, v, *t->at);
			continue;
		}
		t->at++;
		if (*t->at == '\r' && t->at + 1 < t->end && t->at[1] == '\n')
			t->at++;
		if (*t->at == '\n')
			t->line++;
		else
			e = value_add(t, v, unescape(*t->at));
	}
	if (!e)
		t->at++;
	return e;
}

static bool ends_value(const struct text *t)
{
	return at_end(t) || strchr("\n#}", *t->at);
}

/* Words and strings up to the end of the line, a comment or the section's brace, joined by single
 * spaces. *out_any is false when there is nothing: the value is cleared. */
static enum err read_value(struct text *t, struct value *v, bool *out_any)
{
	enum err e = ERR_OK;

	*out_any = false;
	for (skip_blanks(t); !e && !ends_value(t); skip_blanks(t)) {
		if (*out_any)
			e = value_add(t, v, ' ');
		*out_any = true;
		if (!e && *t->at == '"') {
			e = read_quoted(t, v);
			continue;
		}
		while (!e && !ends_value(t) && !is_blank(*t->at) && *t->at != '"')
			e = value_add(t, v, *t->at++);
	}
	return e;
}

static void mark(struct text *t, struct tree *node, uint32_t line)
{
	node->file = t->file;
	node->line = line;
}

static enum err count_node(struct text *t, uint32_t line)
{
	if (++t->src->num_nodes > CONF_NODES_MAX)
		return FAIL(t, line, "there are more than %u settings", CONF_NODES_MAX);
	return ERR_OK;
}

/* A name is a value or a section, not both: inheritance would not know which is meant. */
static enum err check_kind(struct text *t, const struct tree *section, enum tree_kind kind,
			   const char *name, uint32_t line)
{
	const struct tree *old = tree_child(section, name);

	if (old && old->kind != kind)
		return FAIL(t, line, "'%s' is a %s in line %u", name,
			    old->kind == TREE_SECTION ? "section" : "value", old->line);
	return ERR_OK;
}

static enum err parse_value(struct text *t, struct tree *section, const char *name, uint32_t line)
{
	struct value v = {0};
	bool any;
	enum err e = check_kind(t, section, TREE_VALUE, name, line);

	t->at++;
	if (!e)
		e = count_node(t, line);
	if (!e)
		e = read_value(t, &v, &any);
	if (!e)
		e = tree_set(section, name, v.buf ? v.buf : "", v.len);
	if (!e)
		mark(t, tree_child(section, name), line);
	value_fini(&v);
	return e;
}

/* `: a, b.c` between a section's name and its brace. */
static enum err parse_references(struct text *t, struct tree *section, uint32_t line)
{
	enum err e = ERR_OK;

	do {
		const char *start;

		t->at++;
		skip_space(t);
		start = t->at;
		while (!at_end(t) && (is_name_char(*t->at) || *t->at == '.'))
			t->at++;
		if (t->at == start || t->at - start > NAME_MAX_LEN)
			return FAIL(t, line, "the name of a section was expected after ':'");
		e = inherit_add(&t->src->inherit, section, start, (size_t)(t->at - start));
		if (e == ERR_LIMIT)
			e = FAIL(t, line, "too many sections inherit from others");
		skip_space(t);
	} while (!e && !at_end(t) && *t->at == ',');
	return e;
}

static enum err parse_section(struct text *t, struct tree *parent, const char *name, uint32_t line,
			      uint32_t depth)
{
	struct tree *section;
	enum err e;

	if (depth + 1 >= TREE_DEPTH_MAX)
		return FAIL(t, line, "sections are nested deeper than %d", TREE_DEPTH_MAX);
	e = check_kind(t, parent, TREE_SECTION, name, line);
	if (!e)
		e = count_node(t, line);
	if (!e)
		e = tree_section(parent, &section, name);
	if (e)
		return e;
	if (!section->line)
		mark(t, section, line);
	if (!at_end(t) && *t->at == ':')
		e = parse_references(t, section, line);
	if (e)
		return e;
	if (at_end(t) || *t->at != '{')
		return FAIL(t, line, "'{' was expected to open section '%s'", name);
	t->at++;
	return parse_sections(t, section, depth + 1, line);
}

/* One pattern: blanks end it, \ takes away a character's meaning, quotes are possible. */
static enum err read_pattern(struct text *t, struct value *v)
{
	enum err e = ERR_OK;

	skip_blanks(t);
	if (!at_end(t) && *t->at == '"')
		return read_quoted(t, v);
	while (!e && !ends_value(t) && !is_blank(*t->at)) {
		if (*t->at == '\\' && t->at + 1 < t->end)
			t->at++;
		e = value_add(t, v, *t->at++);
	}
	return e;
}

/* A relative pattern is relative to the directory of the including file. */
static enum err absolute_pattern(struct text *t, char out[PATH_MAX_LEN + 1], const char *pattern)
{
	const char *slash = strrchr(t->file, '/');
	int n;

	if (pattern[0] == '/' || !slash)
		n = snprintf(out, PATH_MAX_LEN + 1, "%s", pattern);
	else
		n = snprintf(out, PATH_MAX_LEN + 1, "%.*s/%s", (int)(slash - t->file), t->file,
			     pattern);
	if (n < 0 || n > PATH_MAX_LEN)
		return FAIL(t, t->line, "the path to include is too long");
	return ERR_OK;
}

static bool has_wildcard(const char *pattern)
{
	return strpbrk(pattern, "*?[") != NULL;
}

/* A pattern that matches nothing is fine, a plain name that is not there is not. */
static enum err include_files(struct text *t, struct tree *section, const char *pattern,
			      uint32_t depth, uint32_t line)
{
	char path[PATH_MAX_LEN + 1];
	glob_t found;
	int res;
	enum err e = absolute_pattern(t, path, pattern);

	if (e)
		return e;
	if (!has_wildcard(path))
		return read_file(t->src, section, path, depth, t->include_depth + 1);
	errno = 0;
	res = glob(path, GLOB_ERR, NULL, &found);
	if (res == GLOB_NOMATCH || (res == GLOB_ABORTED && errno == ENOENT))
		return ERR_OK;
	if (res)
		return FAIL(t, line, "'%s' cannot be searched: %s", path, strerror(errno));
	for (size_t i = 0; !e && i < found.gl_pathc; i++)
		e = read_file(t->src, section, found.gl_pathv[i], depth, t->include_depth + 1);
	globfree(&found);
	return e;
}

static enum err parse_include(struct text *t, struct tree *section, uint32_t depth)
{
	struct value v = {0};
	uint32_t line = t->line;
	enum err e = read_pattern(t, &v);

	if (!e && v.len == 0)
		e = FAIL(t, line, "a file name was expected after 'include'");
	else if (!e && !t->src->includes)
		e = FAIL(t, line, "'include' is not possible here");
	else if (!e && t->include_depth + 1 > INCLUDE_DEPTH)
		e = FAIL(t, line, "files include each other deeper than %d", INCLUDE_DEPTH);
	else if (!e)
		e = include_files(t, section, v.buf, depth, line);
	value_fini(&v);
	return e;
}

/* `include` is a statement only before a blank and something that is not '=', '{' or ':'. */
static bool is_include(const struct text *t, const char *name)
{
	const char *p = t->at;

	if (strcmp(name, "include") != 0 || at_end(t) || !is_blank(*p))
		return false;
	while (p < t->end && is_blank(*p))
		p++;
	return p == t->end || !strchr("={:", *p);
}

static enum err parse_statement(struct text *t, struct tree *section, uint32_t depth)
{
	char name[NAME_MAX_LEN + 1];
	uint32_t line = t->line;
	enum err e = read_name(t, name);

	if (e)
		return e;
	if (is_include(t, name))
		return parse_include(t, section, depth);
	skip_blanks(t);
	if (!at_end(t) && *t->at == '=')
		return parse_value(t, section, name, line);
	if (!at_end(t) && *t->at == '.')
		return FAIL(t, line, "a name may not contain '.'");
	skip_space(t);
	if (at_end(t) || (*t->at != '{' && *t->at != ':'))
		return FAIL(t, line, "'=' or '{' was expected after '%s'", name);
	return parse_section(t, section, name, line, depth);
}

/* Statements up to the closing brace, or to the end of the file at its top. */
static enum err parse_sections(struct text *t, struct tree *section, uint32_t depth,
			       uint32_t opened_line)
{
	for (;;) {
		enum err e;

		skip_space(t);
		if (at_end(t) && opened_line)
			return FAIL(t, opened_line, "section '%s' is not closed", section->name);
		if (at_end(t))
			return ERR_OK;
		if (*t->at == '}' && !opened_line)
			return FAIL(t, t->line, "'}' closes no section");
		if (*t->at == '}') {
			t->at++;
			return ERR_OK;
		}
		e = parse_statement(t, section, depth);
		if (e)
			return e;
	}
}

static enum err parse_text(struct source *src, struct tree *section, const char *name,
			   struct bytes bytes, uint32_t depth, uint32_t include_depth)
{
	struct text t = {
		.src = src,
		.at = (const char *)bytes.p,
		.end = (const char *)bytes.p + bytes.len,
		.line = 1,
		.include_depth = include_depth,
	};
	enum err e = tree_add_file(src->root, &t.file, name);

	if (e)
		return e;
	if (bytes.len > FILE_MAX_LEN)
		return FAIL(&t, 1, "a file may have at most %u bytes", FILE_MAX_LEN);
	if (bytes.len && memchr(bytes.p, '\0', bytes.len))
		return FAIL(&t, 1, "this is not a text file");
	return parse_sections(&t, section, depth, 0);
}

#define FILE_FAIL(src, path, ...) \
	(conf_diag_add((src)->diags, true, (struct conf_place){0}, __VA_ARGS__), ERR_SYS)

/* The whole file; *out is wiped by the caller, for it may hold secrets. */
static enum err slurp(struct source *src, const char *path, struct bytes *out, uint8_t **out_buf)
{
	struct stat st;
	size_t got = 0;
	uint8_t *buf = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0) {
		enum err e = FILE_FAIL(src, path, "%s: %s", path, strerror(errno));

		if (fd >= 0)
			close(fd);
		return e;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX_LEN) {
		close(fd);
		return FILE_FAIL(src, path, "%s: not a file of at most %u bytes", path,
				 FILE_MAX_LEN);
	}
	buf = mem_alloc((size_t)st.st_size + 1);
	while (buf && got < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + got, (size_t)st.st_size - got);

		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		got += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	if (!buf)
		return ERR_NOMEM;
	*out_buf = buf;
	*out = bytes_of(buf, got);
	return ERR_OK;
}

static enum err read_file(struct source *src, struct tree *section, const char *path,
			  uint32_t depth, uint32_t include_depth)
{
	uint8_t *buf = NULL;
	struct bytes bytes;
	enum err e;

	if (++src->num_files > FILES_MAX) {
		conf_diag_add(src->diags, true, (struct conf_place){0},
			      "more than %d files are included", FILES_MAX);
		return ERR_CONFIG;
	}
	e = slurp(src, path, &bytes, &buf);
	if (!e)
		e = parse_text(src, section, path, bytes, depth, include_depth);
	if (buf)
		secret_wipe(buf, bytes.len);
	mem_free(buf);
	return e;
}

/* Ends a parse: inheritance, then what was cleared by an empty assignment. */
static enum err finish(struct source *src, struct tree **out, enum err e)
{
	if (!e)
		e = inherit_resolve(&src->inherit, src->root, &src->num_nodes, src->diags);
	inherit_fini(&src->inherit);
	if (e) {
		tree_free(src->root);
		return e;
	}
	*out = src->root;
	return ERR_OK;
}

enum err conf_parse_file(struct tree **out, struct conf_diags *diags, const char *file)
{
	struct source src = {.root = tree_new(), .diags = diags, .includes = true};

	if (!src.root)
		return ERR_NOMEM;
	return finish(&src, out, read_file(&src, src.root, file, 0, 0));
}

enum err conf_parse_text(struct tree **out, struct conf_diags *diags, const char *name,
			 const char *text, size_t len)
{
	struct source src = {.root = tree_new(), .diags = diags};

	if (!src.root)
		return ERR_NOMEM;
	return finish(&src, out, parse_text(&src, src.root, name, bytes_of(text, len), 0, 0));
}
