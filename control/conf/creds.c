/* SPDX-License-Identifier: Apache-2.0 */
#include "control/conf/creds.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "control/conf/values.h"

#define CREDS_MAX 4096
#define PATH_MAX_ 1024

/* ---- lists ----------------------------------------------------------------------------------- */

static struct cred **find(const struct conf_creds *creds, const struct cred *c)
{
	for (uint32_t i = 0; i < creds->num; i++) {
		if (creds->list[i]->kind == c->kind &&
		    bytes_equal(cred_der(creds->list[i]), cred_der(c)))
			return &creds->list[i];
	}
	return NULL;
}

static bool has_uris(const struct cred *c)
{
	return c->crl_uris.num || c->ocsp_uris.num || c->cert_bases.num;
}

enum err creds_add(struct conf_creds *creds, struct cred *c)
{
	struct cred **list = find(creds, c);

	if (list && has_uris(c) && !has_uris(*list)) {
		cred_put(*list);
		*list = cred_get(c);
	}
	if (list)
		return ERR_OK;
	if (creds->num == CREDS_MAX)
		return ERR_LIMIT;
	list = mem_grow(creds->list, creds->num + 1, sizeof(creds->list[0]));
	if (!list)
		return ERR_NOMEM;
	creds->list = list;
	list[creds->num++] = cred_get(c);
	return ERR_OK;
}

void creds_fini(struct conf_creds *creds)
{
	while (creds->num)
		cred_put(creds->list[--creds->num]);
	mem_free(creds->list);
	*creds = (struct conf_creds){0};
}

/* ---- values ---------------------------------------------------------------------------------- */

static const char *folder_of(enum cred_kind kind)
{
	switch (kind) {
	case CRED_CERT:
		return "x509";
	case CRED_CA:
		return "x509ca";
	case CRED_CRL:
		return "x509crl";
	case CRED_PUBKEY:
		return "pubkey";
	case CRED_KEY:
	default:
		return "private";
	}
}

/* What was read goes to the list, or is a remark: of authorities all, else the first. e: of reading
 * it; the bundle is dropped. what: "'FILE' " or "". */
static enum err take_bundle(struct check *c, struct conf_creds *creds, const struct tree *node,
			    struct cred_bundle *b, enum err e, const char *what)
{
	const bool all = !e && b->list[0]->kind == CRED_CA;

	if (e && e != ERR_NOMEM) {
		CHECK_ERROR(c, node, "%sis not usable: %s", what, b->why);
		return ERR_OK;
	}
	if (all && b->bad)
		CHECK_ERROR(c, node, "%sis not usable: its certificate %u: %s", what, b->nth,
			    b->why);
	for (uint32_t i = 0; !e && i < b->num && (all || i == 0); i++)
		e = creds_add(creds, b->list[i]);
	cred_bundle_fini(b);
	return e;
}

bool creds_path(struct check *c, char *out, size_t size, const struct tree *node,
		enum cred_kind kind, const char *name)
{
	int n;

	if (name[0] != '/' && !c->folder) {
		CHECK_ERROR(c, node, "'%.80s': files cannot be named here, only with a whole path",
			    name);
		return false;
	}
	n = name[0] == '/' ? snprintf(out, size, "%s", name)
			   : snprintf(out, size, "%s/%s/%s", c->folder, folder_of(kind), name);
	if (n >= 0 && (size_t)n < size)
		return true;
	CHECK_ERROR(c, node, "the name of a file is too long");
	return false;
}

static enum err take_path(struct check *c, struct conf_creds *creds, const struct tree *node,
			  enum cred_kind kind, const char *name)
{
	struct cred_bundle bundle;
	char path[PATH_MAX_], what[160];
	enum err e;

	if (!creds_path(c, path, sizeof(path), node, kind, name))
		return ERR_OK;
	e = cred_import_bundle_file(&bundle, kind, path, bytes_of(NULL, 0));
	snprintf(what, sizeof(what), "'%.140s' ", path);
	return take_bundle(c, creds, node, &bundle, e, what);
}

static enum err take_data(struct check *c, struct conf_creds *creds, const struct tree *node,
			  enum cred_kind kind, const struct tree *value)
{
	const struct cred_source source = {
		.kind = kind, .name = node->name, .data = bytes_of(value->value, value->value_len)};
	struct cred_bundle bundle;
	enum err e = cred_import_bundle(&bundle, &source);

	return take_bundle(c, creds, node, &bundle, e, "");
}

/* A certificate itself: DER or PEM. The name of a file is neither. */
static bool is_data(const struct tree *value)
{
	return value->value_len && ((uint8_t)value->value[0] == 0x30 ||
				    memmem(value->value, value->value_len, "-----BEGIN ", 11));
}

static enum err take_names(struct check *c, struct conf_creds *creds, const struct tree *node,
			   enum cred_kind kind)
{
	char item[VALUE_ITEM_MAX];
	struct value_items it;
	enum err e;

	value_items_init(&it, node);
	while (!(e = value_items_next(&it, item))) {
		e = take_path(c, creds, node, kind, item);
		if (e)
			return e;
	}
	if (e != ERR_NOT_FOUND)
		CHECK_ERROR(c, node, "the name of a file is too long");
	return ERR_OK;
}

static enum err take_list(struct check *c, struct conf_creds *creds, const struct tree *node,
			  enum cred_kind kind)
{
	tree_for_each (item, node) {
		enum err e = take_data(c, creds, node, kind, item);

		if (e)
			return e;
	}
	return ERR_OK;
}

/* A binary first byte that is also a letter of a file's name ('0') is DER only from the socket. */
enum err creds_take(struct check *c, struct conf_creds *creds, const struct tree *node,
		    enum cred_kind kind)
{
	if (node->kind == TREE_LIST)
		return take_list(c, creds, node, kind);
	if (is_data(node) && (!node->file || (uint8_t)node->value[0] != 0x30))
		return take_data(c, creds, node, kind, node);
	return take_names(c, creds, node, kind);
}

enum err creds_take_file(struct check *c, struct conf_creds *creds, const struct tree *node,
			 enum cred_kind kind)
{
	const char *name;

	return take_text(c, &name, node) ? take_path(c, creds, node, kind, name) : ERR_OK;
}

/* ---- folders --------------------------------------------------------------------------------- */

static struct bytes passphrase_for(const struct check *c, const char *file)
{
	for (uint32_t i = 0; i < c->num_passphrases; i++) {
		if (strcmp(c->passphrases[i].file, file) == 0)
			return bytes_of(c->passphrases[i].value.p, c->passphrases[i].value.len);
	}
	return bytes_of(NULL, 0);
}

void creds_warn_readable(struct check *c, const char *path)
{
	struct stat st;

	if (!stat(path, &st) && st.st_mode & 077)
		conf_diag_add(c->diags, false, (struct conf_place){.file = NULL},
			      "%.140s is open to other users (mode %04o): chmod 600 it, and make "
			      "another key if somebody may have read it",
			      path, (unsigned)(st.st_mode & 07777));
}

static enum err load_one(struct check *c, struct conf_creds *creds, enum cred_kind kind,
			 const char *path, const char *file)
{
	static const struct conf_place nowhere = {.file = NULL};
	struct cred_bundle b;
	struct stat st;
	enum err e;

	if (stat(path, &st))
		st = (struct stat){0}; /* what is wrong is told when it is read */
	if (S_ISDIR(st.st_mode))
		return ERR_OK;
	if (kind == CRED_KEY)
		creds_warn_readable(c, path);
	e = cred_import_bundle_file(&b, kind, path, passphrase_for(c, file));
	if (e == ERR_NOMEM)
		return e;
	if (e) {
		conf_diag_add(c->diags, false, nowhere, "%.140s is left out: %s", path, b.why);
		return ERR_OK;
	}
	if (b.bad)
		conf_diag_add(c->diags, false, nowhere,
			      "%.140s: %u in it are left out; the first is number %u: %s", path,
			      b.bad, b.nth, b.why);
	for (uint32_t i = 0; !e && i < b.num; i++)
		e = creds_add(creds, b.list[i]);
	cred_bundle_fini(&b);
	return e;
}

static int is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static enum err load_folder(struct check *c, struct conf_creds *creds, const char *name,
			    enum cred_kind kind)
{
	char path[PATH_MAX_];
	struct dirent **found;
	enum err e = ERR_OK;
	int num;

	snprintf(path, sizeof(path), "%.700s/%s", c->folder, name);
	num = scandir(path, &found, is_visible, alphasort);
	if (num < 0)
		return ERR_OK;
	for (int i = 0; i < num; i++) {
		snprintf(path, sizeof(path), "%.700s/%s/%s", c->folder, name, found[i]->d_name);
		if (!e)
			e = load_one(c, creds, kind, path, found[i]->d_name);
		free(found[i]); /* the C library's, not ours */
	}
	free(found);
	return e;
}

enum err creds_folders(struct check *c, struct conf_creds *creds)
{
	static const struct {
		const char *name;
		enum cred_kind kind;
	} folders[] = {
		{"x509ca", CRED_CA},     {"x509", CRED_CERT},   {"x509crl", CRED_CRL},
		{"pubkey", CRED_PUBKEY}, {"private", CRED_KEY}, {"rsa", CRED_KEY},
		{"ecdsa", CRED_KEY},     {"pkcs8", CRED_KEY},
	};
	enum err e = ERR_OK;

	for (size_t i = 0; c->folder && !e && i < ARRAY_LEN(folders); i++)
		e = load_folder(c, creds, folders[i].name, folders[i].kind);
	return e;
}

/* ---- secrets.private, rsa, ecdsa, pkcs8: passphrases ----------------------------------------- */

/* struct passphrase_draft - what a section says. */
struct passphrase_draft {
	const char *file;
	const char *secret;
};

enum err set_key_file(struct check *c, void *obj, const struct tree *node)
{
	take_text(c, &((struct passphrase_draft *)obj)->file, node);
	return ERR_OK;
}

enum err set_key_secret(struct check *c, void *obj, const struct tree *node)
{
	take_text(c, &((struct passphrase_draft *)obj)->secret, node);
	return ERR_OK;
}

static enum err add_passphrase(struct check *c, const struct passphrase_draft *d)
{
	struct creds_passphrase *list =
		mem_grow(c->passphrases, c->num_passphrases + 1, sizeof(*list));

	if (!list)
		return ERR_NOMEM;
	c->passphrases = list;
	list[c->num_passphrases] = (struct creds_passphrase){.file = d->file};
	if (secret_init_copy(&list[c->num_passphrases].value, d->secret, strlen(d->secret)))
		return ERR_NOMEM;
	c->num_passphrases++;
	return ERR_OK;
}

static bool is_there(const struct check *c, const char *file)
{
	static const char *const folders[] = {"private", "rsa", "ecdsa", "pkcs8"};
	char path[PATH_MAX_];
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		snprintf(path, sizeof(path), "%.700s/%s/%.200s", c->folder, folders[i], file);
		if (stat(path, &st) == 0)
			return true;
	}
	return false;
}

enum err set_key_passphrase(struct check *c, void *obj, const struct tree *node)
{
	struct passphrase_draft d = {0};
	enum err e = check_section(c, SCOPE_KEY_SECRET, &d, node);

	(void)obj;
	if (e)
		return e;
	if (!d.file || !d.secret || !*d.secret)
		CHECK_ERROR(c, node, "'file' and 'secret' were expected");
	else if (strchr(d.file, '/'))
		CHECK_ERROR(c, node, "'%.80s': a file in the folder `private`, without a path",
			    d.file);
	else if (c->folder && !is_there(c, d.file))
		CHECK_ERROR(c, node, "there is no file '%.80s' in the folder `private`", d.file);
	else
		return add_passphrase(c, &d);
	return ERR_OK;
}

void creds_passphrases_free(struct check *c)
{
	for (uint32_t i = 0; i < c->num_passphrases; i++)
		secret_fini(&c->passphrases[i].value);
	mem_free(c->passphrases);
	c->passphrases = NULL;
	c->num_passphrases = 0;
}

/* ---- authorities ----------------------------------------------------------------------------- */

/* struct authority_draft - one section. */
struct authority_draft {
	struct conf_creds creds;
	const struct tree *crl_uris, *ocsp_uris, *cert_base; /* NULL: there are none */
};

enum err set_authority_cacert(struct check *c, void *obj, const struct tree *node)
{
	return creds_take(c, &((struct authority_draft *)obj)->creds, node, CRED_CA);
}

enum err set_authority_file(struct check *c, void *obj, const struct tree *node)
{
	return creds_take_file(c, &((struct authority_draft *)obj)->creds, node, CRED_CA);
}

enum err set_authority_crl_uris(struct check *c, void *obj, const struct tree *node)
{
	(void)c;
	((struct authority_draft *)obj)->crl_uris = node;
	return ERR_OK;
}

enum err set_authority_ocsp_uris(struct check *c, void *obj, const struct tree *node)
{
	(void)c;
	((struct authority_draft *)obj)->ocsp_uris = node;
	return ERR_OK;
}

enum err set_authority_cert_base(struct check *c, void *obj, const struct tree *node)
{
	(void)c;
	((struct authority_draft *)obj)->cert_base = node;
	return ERR_OK;
}

static enum err add_uris(struct check *c, struct cred_uris *uris, const struct tree *node)
{
	size_t mark = check_enter(c, node->name);
	char uri[VALUE_ITEM_MAX];
	struct value_items it;
	enum err e;

	value_items_init(&it, node);
	while (!(e = value_items_next(&it, uri)) && !(e = cred_uris_add(uris, uri)))
		;
	if (e == ERR_INVAL)
		CHECK_ERROR(c, node, "'%.60s' is not a URL of HTTP", uri);
	else if (e == ERR_LIMIT)
		CHECK_ERROR(c, node, "takes %d URLs at most, of %d characters", CRED_URIS_MAX,
			    CRED_URL_MAX - 1);
	check_leave(c, mark);
	return e == ERR_NOMEM ? e : ERR_OK;
}

/* The section's name, and what else it says, for one of its certificates. */
static enum err complete(struct check *c, struct cred *cred, const char *name,
			 const struct authority_draft *d)
{
	char *copy = str_dup(name);
	enum err e = ERR_OK;

	if (!copy)
		return ERR_NOMEM;
	mem_free(cred->name);
	cred->name = copy;
	if (d->crl_uris)
		e = add_uris(c, &cred->crl_uris, d->crl_uris);
	if (!e && d->ocsp_uris)
		e = add_uris(c, &cred->ocsp_uris, d->ocsp_uris);
	if (!e && d->cert_base)
		e = add_uris(c, &cred->cert_bases, d->cert_base);
	return e;
}

enum err authority_check(struct check *c, struct conf_creds *creds, const struct tree *section)
{
	struct authority_draft d = {0};
	uint32_t errors = c->diags->num_errors;
	enum err e = check_section(c, SCOPE_AUTHORITY, &d, section);

	if (!e && c->diags->num_errors == errors && !d.creds.num)
		CHECK_ERROR(c, section, "a certificate was expected: 'cacert' or 'file'");
	for (uint32_t i = 0; !e && i < d.creds.num; i++) {
		e = complete(c, d.creds.list[i], section->name, &d);
		if (!e)
			e = creds_add(creds, d.creds.list[i]);
	}
	creds_fini(&d.creds);
	return e;
}
