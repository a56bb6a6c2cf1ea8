/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c - whole configurations: made from a tree, or from another one and a change. */
#include "control/conf/conf.h"

#include "base/alloc.h"
#include "control/conf/creds.h"

#include <stdio.h>

#define CONNS_MAX   65536
#define SECRETS_MAX 65536
#define POOLS_MAX   4096

static struct conf *conf_alloc(void)
{
	struct conf *conf = mem_alloc(sizeof(*conf));

	if (conf) {
		conf->refs = 1;
		daemon_defaults(&conf->daemon);
	}
	return conf;
}

struct conf *conf_get(struct conf *c)
{
	c->refs++;
	return c;
}

void conf_forget_secrets(struct conf *c)
{
	uint32_t kept = 0;

	while (c->num_secrets)
		secret_put(c->secrets[--c->num_secrets]);
	for (uint32_t i = 0; i < c->creds.num; i++) {
		struct cred *cred = c->creds.list[i];

		if (cred->kind == CRED_KEY)
			cred_put(cred);
		else
			c->creds.list[kept++] = cred;
	}
	c->creds.num = kept;
}

void conf_put(struct conf *c)
{
	if (!c || --c->refs > 0)
		return;
	for (uint32_t i = 0; i < c->num_conns; i++)
		conf_conn_put(c->conns[i]);
	conf_forget_secrets(c);
	creds_fini(&c->creds);
	for (uint32_t i = 0; i < c->num_pools; i++)
		conf_pool_put(c->pools[i]);
	mem_free(c->pools);
	mem_free(c->conns);
	mem_free(c->secrets);
	mem_free(c);
}

/* Takes the reference over, also when it fails. */
static enum err add_conn(struct conf *conf, struct conf_conn *conn)
{
	struct conf_conn **list = NULL;

	if (conf->num_conns < CONNS_MAX)
		list = mem_grow(conf->conns, conf->num_conns + 1, sizeof(conf->conns[0]));
	if (!list) {
		conf_conn_put(conn);
		return conf->num_conns < CONNS_MAX ? ERR_NOMEM : ERR_LIMIT;
	}
	conf->conns = list;
	list[conf->num_conns++] = conn;
	return ERR_OK;
}

static enum err check_conn(struct check *c, struct conf_conn **out, const struct tree *node)
{
	size_t mark = check_enter(c, node->name);
	enum err e = ERR_OK;

	*out = NULL;
	if (node->kind != TREE_SECTION)
		CHECK_ERROR(c, node, "is a section: { ... } was expected");
	else if (check_name(c, node))
		e = conn_check(c, out, node);
	check_leave(c, mark);
	return e;
}

enum err set_connections(struct check *c, void *obj, const struct tree *node)
{
	tree_for_each (section, node) {
		struct conf_conn *conn;
		enum err e = check_conn(c, &conn, section);

		if (!e && conn)
			e = add_conn(obj, conn);
		if (e)
			return e;
	}
	return ERR_OK;
}

enum err set_secrets(struct check *c, void *obj, const struct tree *node)
{
	return check_section(c, SCOPE_SECRETS, obj, node);
}

enum err set_daemon(struct check *c, void *obj, const struct tree *node)
{
	return check_section(c, SCOPE_DAEMON, &((struct conf *)obj)->daemon, node);
}

/* Takes the reference over, also when it fails. */
static enum err add_pool(struct conf *conf, struct conf_pool *pool)
{
	struct conf_pool **list = NULL;

	if (conf->num_pools < POOLS_MAX)
		list = mem_grow(conf->pools, conf->num_pools + 1, sizeof(conf->pools[0]));
	if (!list) {
		conf_pool_put(pool);
		return conf->num_pools < POOLS_MAX ? ERR_NOMEM : ERR_LIMIT;
	}
	conf->pools = list;
	list[conf->num_pools++] = pool;
	return ERR_OK;
}

static enum err check_pool(struct check *c, struct conf_pool **out, const struct tree *node)
{
	size_t mark = check_enter(c, node->name);
	enum err e = ERR_OK;

	*out = NULL;
	if (node->kind != TREE_SECTION)
		CHECK_ERROR(c, node, "is a section: { ... } was expected");
	else if (check_name(c, node))
		e = pool_check(c, out, node);
	check_leave(c, mark);
	return e;
}

enum err set_pools(struct check *c, void *obj, const struct tree *node)
{
	tree_for_each (section, node) {
		struct conf_pool *pool;
		enum err e = check_pool(c, &pool, section);

		if (!e && pool)
			e = add_pool(obj, pool);
		if (e)
			return e;
	}
	return ERR_OK;
}

enum err set_authorities(struct check *c, void *obj, const struct tree *node)
{
	struct conf *conf = obj;

	tree_for_each (section, node) {
		size_t mark = check_enter(c, section->name);
		enum err e = ERR_OK;

		if (section->kind != TREE_SECTION)
			CHECK_ERROR(c, section, "is a section: { ... } was expected");
		else if (check_name(c, section))
			e = authority_check(c, &conf->creds, section);
		check_leave(c, mark);
		if (e)
			return e;
	}
	return ERR_OK;
}

static enum err build(struct conf **out, struct conf_diags *diags, const struct tree *tree,
		      const char *folder)
{
	struct check c = {.diags = diags, .folder = folder};
	uint32_t errors = diags->num_errors;
	struct conf *conf = conf_alloc();
	enum err e;

	if (!conf)
		return ERR_NOMEM;
	e = check_section(&c, SCOPE_ROOT, conf, tree);
	if (!e)
		e = creds_folders(&c, &conf->creds);
	for (uint32_t i = 0; !e && i < conf->num_conns; i++)
		conn_check_open(&c, conf->conns[i], &conf->creds);
	creds_passphrases_free(&c);
	if (diags->num_errors == errors)
		radius_check(&c, conf);
	if (!e && diags->num_errors != errors)
		e = ERR_CONFIG;
	if (e) {
		conf_put(conf);
		return e;
	}
	*out = conf;
	return ERR_OK;
}

enum err conf_new(struct conf **out, struct conf_diags *diags, const struct tree *tree)
{
	return build(out, diags, tree, NULL);
}

enum err conf_load(struct conf **out, struct conf_diags *diags, const char *file)
{
	const char *slash = strrchr(file, '/');
	struct tree *tree;
	char folder[768];
	enum err e = conf_parse_file(&tree, diags, file);
	int n = slash ? snprintf(folder, sizeof(folder), "%.*s", (int)(slash - file), file)
		      : snprintf(folder, sizeof(folder), ".");

	if (e)
		return e;
	e = n < 0 || (size_t)n >= sizeof(folder) ? ERR_LIMIT : build(out, diags, tree, folder);
	tree_free(tree);
	return e;
}

/* struct edit - what a copy leaves out or exchanges. */
struct edit {
	const char *drop_conn, *drop_secret; /* NULL: none */
	bool drop_all_conns, drop_all_secrets;
	const char *drop_pool;
	bool drop_all_pools;
	struct conf_conn *conn; /* to put in the place of the dropped one; borrowed */
	struct conf_pool *pool;
	struct conf_secret *secret;
	const struct conf_token *drop_token; /* the same one; NULL: none */
	struct bytes drop_handle;            /* of tokens */
	const uint8_t *drop_key;             /* its bits_id */
	const char *drop_authority;          /* its name */
	bool drop_all_creds;
	struct cred *cred;
	bool dropped;
};

static bool is_named(const char *name, const char *wanted)
{
	return wanted && strcmp(name, wanted) == 0;
}

static enum err copy_conns(struct conf *to, const struct conf *from, struct edit *edit)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; !e && i < from->num_conns; i++) {
		struct conf_conn *conn = from->conns[i];

		if (edit->drop_all_conns || is_named(conn->name, edit->drop_conn)) {
			edit->dropped = true;
			conn = edit->conn;
			edit->conn = NULL;
		}
		if (conn)
			e = add_conn(to, conf_conn_get(conn));
	}
	if (!e && edit->conn)
		e = add_conn(to, conf_conn_get(edit->conn));
	return e;
}

static enum err add_secret(struct conf *to, struct conf_secret *s)
{
	struct conf_secret **list = NULL;

	if (to->num_secrets < SECRETS_MAX)
		list = mem_grow(to->secrets, to->num_secrets + 1, sizeof(to->secrets[0]));
	if (!list)
		return to->num_secrets < SECRETS_MAX ? ERR_NOMEM : ERR_LIMIT;
	s->refs++;
	to->secrets = list;
	list[to->num_secrets++] = s;
	return ERR_OK;
}

/* Keys on tokens are no shared secrets, and have no names of their own. */
static bool drops_token(const struct edit *edit, const struct conf_token *t)
{
	return (edit->drop_token && conf_token_equal(t, edit->drop_token)) ||
	       (edit->drop_handle.len &&
		bytes_equal(bytes_of(t->handle, t->handle_len), edit->drop_handle));
}

static bool drops_secret(const struct edit *edit, const struct conf_secret *s)
{
	if (s->kind == CONF_SECRET_RADIUS) /* of the file alone */
		return false;
	return edit->drop_all_secrets ||
	       (s->token ? drops_token(edit, s->token) : is_named(s->name, edit->drop_secret));
}

static enum err copy_secrets(struct conf *to, const struct conf *from, struct edit *edit)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; !e && i < from->num_secrets; i++) {
		struct conf_secret *s = from->secrets[i];

		if (drops_secret(edit, s)) {
			edit->dropped = true;
			s = edit->secret;
			edit->secret = NULL;
		}
		if (s)
			e = add_secret(to, s);
	}
	if (!e && edit->secret)
		e = add_secret(to, edit->secret);
	return e;
}

static enum err copy_pools(struct conf *to, const struct conf *from, struct edit *edit)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; !e && i < from->num_pools; i++) {
		struct conf_pool *pool = from->pools[i];

		if (edit->drop_all_pools || is_named(pool->name, edit->drop_pool)) {
			edit->dropped = true;
			pool = edit->pool;
			edit->pool = NULL;
		}
		if (pool)
			e = add_pool(to, conf_pool_get(pool));
	}
	if (!e && edit->pool)
		e = add_pool(to, conf_pool_get(edit->pool));
	return e;
}

static bool drops_cred(const struct edit *edit, const struct cred *c)
{
	if (edit->drop_key && c->kind == CRED_KEY &&
	    bytes_equal(bytes_of(c->info.bits_id, KEY_ID_LEN),
			bytes_of(edit->drop_key, KEY_ID_LEN)))
		return true;
	return edit->drop_all_creds ||
	       (c->kind == CRED_CA && is_named(c->name, edit->drop_authority));
}

static enum err copy_creds(struct conf *to, const struct conf *from, struct edit *edit)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; !e && i < from->creds.num; i++) {
		if (drops_cred(edit, from->creds.list[i]))
			edit->dropped = true;
		else
			e = creds_add(&to->creds, from->creds.list[i]);
	}
	return !e && edit->cred ? creds_add(&to->creds, edit->cred) : e;
}

static enum err conf_edit(struct conf **out, const struct conf *old, struct edit *edit)
{
	struct conf *conf = conf_alloc();
	enum err e;

	if (!conf)
		return ERR_NOMEM;
	if (old)
		conf->daemon = old->daemon;
	e = copy_conns(conf, old ? old : conf, edit);
	if (!e)
		e = copy_secrets(conf, old ? old : conf, edit);
	if (!e)
		e = copy_pools(conf, old ? old : conf, edit);
	if (!e)
		e = copy_creds(conf, old ? old : conf, edit);
	if (e) {
		conf_put(conf);
		return e;
	}
	*out = conf;
	return ERR_OK;
}

static bool same_conn(const struct conf_conn *a, const struct conf_conn *b)
{
	return strcmp(a->name, b->name) == 0 &&
	       memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

/* The old pointer if the connection is what it was. */
static struct conf_conn *keep_if_same(const struct conf *old, struct conf_conn *conn)
{
	for (uint32_t i = 0; old && i < old->num_conns; i++) {
		if (same_conn(old->conns[i], conn))
			return old->conns[i];
	}
	return conn;
}

enum err conf_with_conn(struct conf **out, struct conf_diags *diags, struct conf *old,
			const struct tree *conn)
{
	struct check c = {.diags = diags};
	struct edit edit = {.drop_conn = conn->name};
	struct conf_conn *made;
	enum err e = check_conn(&c, &made, conn);

	if (!e && !made)
		e = ERR_CONFIG;
	if (e)
		return e;
	if (old)
		conn_check_open(&c, made, &old->creds);
	edit.conn = keep_if_same(old, made);
	e = conf_edit(out, old, &edit);
	conf_conn_put(made);
	return e;
}

enum err conf_without_conn(struct conf **out, struct conf *old, const char *name)
{
	struct edit edit = {.drop_conn = name, .drop_all_conns = !name};
	enum err e = conf_edit(out, old, &edit);

	if (e || edit.dropped || !name)
		return e;
	conf_put(*out);
	return ERR_NOT_FOUND;
}

enum err conf_with_secret(struct conf **out, struct conf_diags *diags, struct conf *old,
			  const struct conf_secret_params *secret)
{
	static const struct tree nowhere = {.name = NULL};
	struct check c = {.diags = diags};
	struct edit edit = {.drop_secret = secret->name};
	enum err e;

	check_enter(&c, "secrets");
	check_enter(&c, secret->name);
	e = secret_new_from(&c, &edit.secret, secret, &nowhere);
	if (!e && !edit.secret)
		e = ERR_CONFIG;
	if (!e) {
		struct conf_secret *made = edit.secret;

		e = conf_edit(out, old, &edit);
		secret_put(made);
	}
	return e;
}

enum err conf_with_token(struct conf **out, struct conf_diags *diags, struct conf *old,
			 const struct tree *section)
{
	struct check c = {.diags = diags};
	struct conf_secret *made;
	struct edit edit = {0};
	enum err e;

	check_enter(&c, "token");
	e = token_secret_new(&c, &made, "token", section);
	if (e || !made)
		return e ? e : ERR_CONFIG;
	edit.secret = made;
	edit.drop_token = made->token;
	e = conf_edit(out, old, &edit);
	secret_put(made);
	return e;
}

enum err conf_without_secret(struct conf **out, struct conf *old, const char *name)
{
	struct edit edit = {.drop_secret = name, .drop_all_secrets = !name};
	enum err e = conf_edit(out, old, &edit);

	if (e || edit.dropped || !name)
		return e;
	conf_put(*out);
	return ERR_NOT_FOUND;
}

enum err conf_with_pool(struct conf **out, struct conf_diags *diags, struct conf *old,
			const struct tree *pool)
{
	struct check c = {.diags = diags};
	struct edit edit = {.drop_pool = pool->name};
	struct conf_pool *made;
	enum err e = check_pool(&c, &made, pool);

	if (!e && !made)
		e = ERR_CONFIG;
	if (e)
		return e;
	edit.pool = made;
	e = conf_edit(out, old, &edit);
	conf_pool_put(made);
	return e;
}

enum err conf_without_pool(struct conf **out, struct conf *old, const char *name)
{
	struct edit edit = {.drop_pool = name, .drop_all_pools = !name};
	enum err e = conf_edit(out, old, &edit);

	if (e || edit.dropped || !name)
		return e;
	conf_put(*out);
	return ERR_NOT_FOUND;
}

enum err conf_with_cred(struct conf **out, struct conf *old, struct cred *cred)
{
	struct edit edit = {.cred = cred};

	return conf_edit(out, old, &edit);
}

static enum err without(struct conf **out, struct conf *old, struct edit *edit)
{
	enum err e = conf_edit(out, old, edit);

	if (e || edit->dropped)
		return e;
	conf_put(*out);
	return ERR_NOT_FOUND;
}

enum err conf_without_key(struct conf **out, struct conf *old, const uint8_t id[static KEY_ID_LEN])
{
	struct edit edit = {.drop_key = id};

	return without(out, old, &edit);
}

enum err conf_without_token(struct conf **out, struct conf *old, struct bytes handle)
{
	struct edit edit = {.drop_handle = handle};

	return without(out, old, &edit);
}

enum err conf_without_authority(struct conf **out, struct conf *old, const char *name)
{
	struct edit edit = {.drop_authority = name};

	return without(out, old, &edit);
}

enum err conf_without_creds(struct conf **out, struct conf *old)
{
	struct edit edit = {.drop_all_creds = true, .drop_all_secrets = true};

	return conf_edit(out, old, &edit);
}

const struct cred *conf_private_key(const struct conf *c, const struct cred *public)
{
	for (uint32_t i = 0; i < c->creds.num; i++) {
		const struct cred *key = c->creds.list[i];

		if (key->kind == CRED_KEY && cred_same_key(key, public))
			return key;
	}
	return NULL;
}

const struct conf_conn *conf_find_conn(const struct conf *c, const char *name)
{
	for (uint32_t i = 0; i < c->num_conns; i++) {
		if (strcmp(c->conns[i]->name, name) == 0)
			return c->conns[i];
	}
	return NULL;
}

static const struct conf_child *child_of(const struct conf_conn *conn, const char *child)
{
	for (uint32_t i = 0; i < conn->num_children; i++) {
		if (strcmp(conn->children[i].name, child) == 0)
			return &conn->children[i];
	}
	return NULL;
}

const struct conf_child *conf_find_child(const struct conf *c, const struct conf_conn **out_conn,
					 const char *conn, const char *child)
{
	for (uint32_t i = 0; i < c->num_conns; i++) {
		const struct conf_child *found;

		if (conn && strcmp(c->conns[i]->name, conn) != 0)
			continue;
		found = child_of(c->conns[i], child);
		if (found && out_conn)
			*out_conn = c->conns[i];
		if (found)
			return found;
	}
	return NULL;
}
