/* SPDX-License-Identifier: Apache-2.0 */
/* network.c - the section latchkey.app.network: who may ask from another host, and what shows it.
 */
#include "base/alloc.h"
#include "control/conf/creds.h"
#include "control/conf/values.h"

#include <sodium.h>
#include <stdio.h>

/* ---- where ---------------------------------------------------------------------------------- */

enum err set_network_addresses(struct check *c, void *obj, const struct tree *node)
{
	struct conf_network *n = obj;
	char item[VALUE_ITEM_MAX];
	struct value_items it;
	enum err e;

	value_items_init(&it, node);
	while (!(e = value_items_next(&it, item))) {
		if (n->num_addrs == CONF_NETWORK_ADDRS)
			CHECK_ERROR(c, node, "more than %d addresses", CONF_NETWORK_ADDRS);
		else if (ip_addr_parse(&n->addrs[n->num_addrs], item))
			CHECK_ERROR(c, node, "'%.60s' is no address", item);
		else
			n->num_addrs++;
	}
	return ERR_OK;
}

enum err set_network_port(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, UINT16_MAX))
		return ERR_OK;
	if (v == 0)
		CHECK_ERROR(c, node, "0 is no port");
	((struct conf_network *)obj)->port = (uint16_t)v;
	return ERR_OK;
}

/* ---- files ---------------------------------------------------------------------------------- */

static enum err take_file(struct check *c, char out[static CONF_PATH_MAX], const struct tree *node,
			  enum cred_kind kind)
{
	const char *name;

	if (take_text(c, &name, node) && !creds_path(c, out, CONF_PATH_MAX, node, kind, name))
		out[0] = '\0';
	return ERR_OK;
}

enum err set_network_certificate(struct check *c, void *obj, const struct tree *node)
{
	return take_file(c, ((struct conf_network *)obj)->certificate, node, CRED_CERT);
}

enum err set_network_key(struct check *c, void *obj, const struct tree *node)
{
	return take_file(c, ((struct conf_network *)obj)->key, node, CRED_KEY);
}

enum err set_network_ca(struct check *c, void *obj, const struct tree *node)
{
	return take_file(c, ((struct conf_network *)obj)->ca, node, CRED_CA);
}

enum err set_network_crl(struct check *c, void *obj, const struct tree *node)
{
	return take_file(c, ((struct conf_network *)obj)->crl, node, CRED_CRL);
}

/* ---- users ---------------------------------------------------------------------------------- */

enum err set_network_user_id(struct check *c, void *obj, const struct tree *node)
{
	struct conf_user *u = obj;
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (conf_id_parse(&u->id, text) || !u->id.type)
		CHECK_ERROR(c, node, "'%.60s' is no identity that is one user's", text);
	else if (strchr(text, '*'))
		CHECK_ERROR(c, node, "'%.60s' names many: each user has an identity", text);
	return ERR_OK;
}

enum err set_network_user_rights(struct check *c, void *obj, const struct tree *node)
{
	struct conf_user *u = obj;
	const struct {
		const char *word;
		bool *right;
	} words[] = {
		{"read_all", &u->read_all}, {"configure", &u->configure}, {"admin", &u->admin}};
	char item[VALUE_ITEM_MAX];
	struct value_items it;

	value_items_init(&it, node);
	while (!value_items_next(&it, item)) {
		bool found = false;

		for (size_t i = 0; i < ARRAY_LEN(words); i++) {
			if (strcmp(item, words[i].word) == 0)
				*words[i].right = found = true;
		}
		if (!found)
			CHECK_ERROR(c, node,
				    "'%.40s' is none of read_all, configure and admin, which a "
				    "user of another host may have",
				    item);
	}
	return ERR_OK;
}

static enum err add_user(struct check *c, struct conf_network *n, const struct tree *section)
{
	struct conf_user u = {.name = ""};
	enum err e;

	if (!check_short_name(c, section))
		return ERR_OK;
	snprintf(u.name, sizeof(u.name), "%s", section->name);
	e = check_section(c, SCOPE_NETWORK_USER, &u, section);
	if (!u.id.type)
		CHECK_ERROR(c, section, "has no 'id'");
	n->users[n->num_users++] = u;
	return e;
}

enum err set_network_users(struct check *c, void *obj, const struct tree *node)
{
	struct conf_network *n = obj;

	tree_for_each (section, node) {
		size_t mark = check_enter(c, section->name);
		enum err e = ERR_OK;

		if (n->num_users < CONF_NETWORK_USERS)
			e = add_user(c, n, section);
		else
			CHECK_ERROR(c, section, "there are more than %d", CONF_NETWORK_USERS);
		check_leave(c, mark);
		if (e)
			return e;
	}
	return ERR_OK;
}

/* ---- together ------------------------------------------------------------------------------- */

/* What a file holds; empty, and a remark, if it is not usable. Errors: NOMEM. */
static enum err read_file(struct check *c, struct cred_bundle *out, const struct tree *node,
			  enum cred_kind kind, const char *path)
{
	enum err e;

	*out = (struct cred_bundle){0};
	if (!path[0])
		return ERR_OK;
	e = cred_import_bundle_file(out, kind, path, bytes_of(NULL, 0));
	if (e && e != ERR_NOMEM)
		CHECK_ERROR(c, node, "'%.140s' is not usable: %s", path, out->why);
	else if (out->bad)
		CHECK_ERROR(c, node, "'%.140s' is not usable: its number %u: %s", path, out->nth,
			    out->why);
	return e == ERR_NOMEM ? e : ERR_OK;
}

static void add_bundle(crypto_generichash_state *h, const struct cred_bundle *b)
{
	for (uint32_t i = 0; i < b->num; i++) {
		struct bytes der = cred_der(b->list[i]); /* of a key its public half */

		crypto_generichash_update(h, der.p, der.len);
	}
}

/* The files, in the order of enum cred_kind's use here. */
enum {
	CERTIFICATE,
	KEY,
	AUTHORITIES,
	REVOKED,
	NUM_FILES
};

static void digest(struct conf_network *n, const struct cred_bundle files[static NUM_FILES])
{
	crypto_generichash_state h;

	crypto_generichash_init(&h, NULL, 0, sizeof(n->digest));
	crypto_generichash_update(&h, (const uint8_t *)n->addrs, sizeof(n->addrs));
	crypto_generichash_update(&h, (const uint8_t *)&n->port, sizeof(n->port));
	for (size_t i = 0; i < NUM_FILES; i++)
		add_bundle(&h, &files[i]);
	crypto_generichash_final(&h, n->digest, sizeof(n->digest));
}

static enum err check_files(struct check *c, struct conf_network *n, const struct tree *node)
{
	const struct {
		enum cred_kind kind;
		const char *path;
	} kinds[NUM_FILES] = {
		[CERTIFICATE] = {CRED_CERT, n->certificate},
		[KEY] = {CRED_KEY, n->key},
		[AUTHORITIES] = {CRED_CA, n->ca},
		[REVOKED] = {CRED_CRL, n->crl},
	};
	struct cred_bundle files[NUM_FILES] = {0};
	enum err e = ERR_OK;

	for (size_t i = 0; !e && i < NUM_FILES; i++)
		e = read_file(c, &files[i], node, kinds[i].kind, kinds[i].path);
	if (!e && files[CERTIFICATE].num && files[KEY].num &&
	    !cred_same_key(files[CERTIFICATE].list[0], files[KEY].list[0]))
		CHECK_ERROR(c, node, "the key is not that of the certificate");
	if (n->key[0])
		creds_warn_readable(c, n->key);
	digest(n, files);
	for (size_t i = 0; i < NUM_FILES; i++)
		cred_bundle_fini(&files[i]);
	return e;
}

enum err set_network(struct check *c, void *obj, const struct tree *node)
{
	struct conf_network *n = &((struct conf_app *)obj)->network;
	enum err e = check_section(c, SCOPE_NETWORK, n, node);
	const struct {
		bool there;
		const char *what;
	} needed[] = {
		{n->num_addrs, "addresses"}, {n->port, "port"}, {n->certificate[0], "certificate"},
		{n->key[0], "key"},          {n->ca[0], "ca"},  {n->num_users, "users"}};

	for (size_t i = 0; !e && i < ARRAY_LEN(needed); i++) {
		if (!needed[i].there)
			CHECK_ERROR(c, node, "has no '%s'", needed[i].what);
	}
	return e ? e : check_files(c, n, node);
}
