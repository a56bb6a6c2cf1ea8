/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latch_make.c - a connection where none is configured, for a profile that says so (`make`):
 * between this host and the flow's other end, in transport mode, with a peer that is nobody or has
 * but a key (RFC 5386, RFC 7619). It stands as one that was loaded by a socket does, until the
 * configuration is loaded again.
 */
#include "api/engine/latch.h"

#include <stdio.h>

#include "base/alloc.h"

/* Connections that are made at most: each new one is a configuration of its own. */
#define MADE_MAX 256

static enum err put_side(struct tree *conn, const char *name, const char *auth)
{
	struct tree *side;

	TRY(tree_section(conn, &side, name));
	return tree_setf(side, "auth", "%s", auth);
}

static enum err put_child(struct tree *conn, const struct flow *f)
{
	struct tree *children, *child;
	char local[IP_TEXT_MAX], remote[IP_TEXT_MAX];

	TRY(tree_section(conn, &children, "children"));
	TRY(tree_section(children, &child, "flow"));
	TRY(tree_setf(child, "mode", "transport"));
	TRY(tree_setf(child, "local_ts", "%s", ip_addr_text(local, &f->local)));
	return tree_setf(child, "remote_ts", "%s", ip_addr_text(remote, &f->remote));
}

/* describe - as a file would have it. */
static enum err describe(struct tree *conn, const struct flow *f, bool has_key)
{
	char local[IP_TEXT_MAX], remote[IP_TEXT_MAX];

	TRY(tree_setf(conn, "local_addrs", "%s", ip_addr_text(local, &f->local)));
	TRY(tree_setf(conn, "remote_addrs", "%s", ip_addr_text(remote, &f->remote)));
	TRY(put_side(conn, "local", has_key ? "pubkey" : "null"));
	TRY(put_side(conn, "remote", has_key ? "btns" : "null"));
	return put_child(conn, f);
}

/* has_own_key - there is a private key to sign with, so that a peer can know us again. */
static bool has_own_key(const struct conf *conf)
{
	for (uint32_t i = 0; i < conf->creds.num; i++) {
		if (conf->creds.list[i]->kind == CRED_KEY)
			return true;
	}
	return false;
}

static uint32_t num_made(const struct conf *conf)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < conf->num_conns; i++)
		num += strncmp(conf->conns[i]->name, MADE_PREFIX, strlen(MADE_PREFIX)) == 0;
	return num;
}

static enum err use(struct engine *e, const struct tree *conn)
{
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	struct conf *next;
	enum err err = diags ? conf_with_conn(&next, diags, e->conf, conn) : ERR_NOMEM;

	if (err && diags && diags->num)
		LOG(WARN, CFG, NULL, "no connection can be made: %s", diags->list[0].text);
	mem_free(diags);
	if (err)
		return err;
	err = engine_configure(e, next);
	conf_put(next);
	return err;
}

enum err needs_make(struct engine *e, const struct latch_needs *n, const struct flow *flow)
{
	const bool key = n->methods >> AUTH_METHOD_BTNS & 1 && has_own_key(e->conf);
	struct tree *root, *conn;
	char name[64], remote[IP_TEXT_MAX];
	enum err err;

	if (!n->make || n->has_peer || (!key && !(n->methods >> AUTH_METHOD_NONE & 1)))
		return ERR_NOT_FOUND;
	if (num_made(e->conf) >= MADE_MAX)
		return ERR_FULL;
	snprintf(name, sizeof(name), MADE_PREFIX "%s", ip_addr_text(remote, &flow->remote));
	if (conf_find_conn(e->conf, name))
		return ERR_EXISTS;
	root = tree_new();
	if (!root)
		return ERR_NOMEM;
	err = tree_section(root, &conn, name);
	if (!err)
		err = describe(conn, flow, key);
	if (!err)
		err = use(e, conn);
	tree_free(root);
	return err;
}
