/* SPDX-License-Identifier: Apache-2.0 */
/* creds.c - certificates, authorities and private keys that come by the socket, go, or are listed.
 * No private key ever leaves: a list tells that there is one. */
#include "api/vici/internal.h"
#include "base/alloc.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

#define HEX_ID_LEN     (2 * KEY_ID_LEN + 1)
#define HEX_HANDLE_LEN (2 * CONF_TOKEN_HANDLE_MAX + 1)

static const char *hex_id(char out[static HEX_ID_LEN], const uint8_t id[static KEY_ID_LEN])
{
	for (size_t i = 0; i < KEY_ID_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
	return out;
}

/* Put a credential in force; takes the reference over. */
static enum err add(struct call *call, struct cred *cred)
{
	struct conf *next;
	enum err e = conf_with_cred(&next, call->ops->conf(call->ctx), cred);

	cred_put(cred);
	if (e == ERR_NOMEM)
		return e;
	return e ? reply_failed(call->out, e, "%s", err_text(e)) : put_in_force(call, next);
}

/* All of a bundle at once; drops it. */
static enum err add_bundle(struct call *call, struct cred_bundle *b)
{
	struct conf *next = NULL;
	enum err e = ERR_OK;

	for (uint32_t i = 0; !e && i < b->num; i++) {
		struct conf *more;

		e = conf_with_cred(&more, next ? next : call->ops->conf(call->ctx), b->list[i]);
		if (!e) {
			conf_put(next);
			next = more;
		}
	}
	cred_bundle_fini(b);
	if (!e)
		return put_in_force(call, next);
	conf_put(next);
	return e == ERR_NOMEM ? e : reply_failed(call->out, e, "%s", err_text(e));
}

/* A credential out of the message's `data`; NULL if the call was answered with what is wrong. */
static struct cred *import(struct call *call, enum cred_kind kind, const char *key,
			   const char *name, enum err *out_err)
{
	const struct tree *data = tree_child(call->in, key);
	char why[KEY_WHY_MAX];
	struct cred *cred;
	enum err e;

	if (!data || data->kind != TREE_VALUE) {
		*out_err = reply_failed(call->out, ERR_INVAL, "'%s' is missing", key);
		return NULL;
	}
	e = cred_import(&cred, why,
			&(struct cred_source){.kind = kind,
					      .name = name,
					      .data = bytes_of(data->value, data->value_len)});
	if (!e)
		return cred;
	*out_err =
		e == ERR_NOMEM ? e : reply_failed(call->out, e, "the data cannot be used: %s", why);
	return NULL;
}

/* "X509" with a flag, or the older words "x509", "x509ca", "x509crl". Errors: UNSUPPORTED. */
static enum err kind_of(enum cred_kind *out, const struct tree *in)
{
	static const struct {
		const char *type, *flag;
		enum cred_kind kind;
	} known[] = {
		{"X509", "NONE", CRED_CERT},    {"X509", "CA", CRED_CA},
		{"X509_CRL", "NONE", CRED_CRL}, {"PUBKEY", "NONE", CRED_PUBKEY},
		{"x509ca", "NONE", CRED_CA},    {"x509crl", "NONE", CRED_CRL},
	};
	const char *type = tree_get(in, "type"), *flag = tree_get(in, "flag");

	for (size_t i = 0; type && i < ARRAY_LEN(known); i++) {
		if (strcasecmp(type, known[i].type) == 0 &&
		    strcasecmp(flag ? flag : "NONE", known[i].flag) == 0) {
			*out = known[i].kind;
			return ERR_OK;
		}
	}
	return ERR_UNSUPPORTED;
}

enum err cmd_load_cert(struct call *call)
{
	const char *type = tree_get(call->in, "type"), *flag = tree_get(call->in, "flag");
	const struct tree *data = tree_child(call->in, "data");
	struct cred_source source = {.name = "control socket"};
	struct cred_bundle bundle;
	enum err e = kind_of(&source.kind, call->in);

	if (e)
		return reply_failed(call->out, e,
				    "certificates of type '%.20s' with flag '%.20s' are not "
				    "supported",
				    type ? type : "", flag ? flag : "");
	if (!data || data->kind != TREE_VALUE)
		return reply_failed(call->out, ERR_INVAL, "'data' is missing");
	source.data = bytes_of(data->value, data->value_len);
	e = cred_import_bundle(&bundle, &source);
	if (e == ERR_NOMEM)
		return e;
	if (e)
		return reply_failed(call->out, e, "the data cannot be used: %s", bundle.why);
	if (bundle.bad)
		LOG(WARN, CFG, NULL,
		    "of certificates by the control socket %u are left out; the first is number "
		    "%u: %s",
		    bundle.bad, bundle.nth, bundle.why);
	return add_bundle(call, &bundle);
}

enum err cmd_load_key(struct call *call)
{
	enum err e = ERR_OK;
	struct cred *cred = import(call, CRED_KEY, "data", "control socket", &e);
	char id[HEX_ID_LEN];

	if (!cred)
		return e;
	hex_id(id, cred->info.bits_id);
	TRY(add(call, cred));
	return tree_setf(call->out, "id", "%s", id);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_id(uint8_t out[static KEY_ID_LEN], const char *text)
{
	if (!text || strlen(text) != 2 * KEY_ID_LEN)
		return false;
	for (size_t i = 0; i < KEY_ID_LEN; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* A key on a token has its handle for an id: which key it is only the token knows. */
static const char *hex_handle(char out[static HEX_HANDLE_LEN], const struct conf_token *t)
{
	out[0] = '\0';
	for (uint32_t i = 0; i < t->handle_len; i++)
		snprintf(out + (size_t)2 * i, 3, "%02x", t->handle[i]);
	return out;
}

static const struct conf_secret *token_with(const struct conf *conf, const char *id)
{
	char handle[HEX_HANDLE_LEN];

	for (uint32_t i = 0; id && i < conf->num_secrets; i++) {
		const struct conf_token *t = conf->secrets[i]->token;

		if (t && strcasecmp(hex_handle(handle, t), id) == 0)
			return conf->secrets[i];
	}
	return NULL;
}

/* The one that the old configuration has not. */
static const struct conf_token *new_token(const struct conf *next, const struct conf *old)
{
	for (uint32_t i = 0; i < next->num_secrets; i++) {
		bool known = !next->secrets[i]->token;

		for (uint32_t j = 0; j < old->num_secrets; j++)
			known |= old->secrets[j] == next->secrets[i];
		if (!known)
			return next->secrets[i]->token;
	}
	return NULL;
}

/* Whether the token is there, and the PIN right, is seen when the key is needed: nobody waits. */
enum err cmd_load_token(struct call *call)
{
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	struct conf *old = call->ops->conf(call->ctx), *next;
	char handle[HEX_HANDLE_LEN] = "";
	const struct conf_token *made;
	const char *why = NULL;
	enum err e = diags ? conf_with_token(&next, diags, old, call->in) : ERR_NOMEM;

	if (!e) {
		made = new_token(next, old);
		if (made)
			hex_handle(handle, made);
		e = put_in_force(call, next);
		e = e ? e : tree_setf(call->out, "id", "%s", handle);
	} else if (e != ERR_NOMEM) {
		for (uint32_t i = 0; i < diags->num && !why; i++)
			why = diags->list[i].error ? diags->list[i].text : NULL;
		e = reply_failed(call->out, e, "%s", why ? why : err_text(e));
	}
	mem_free(diags);
	return e;
}

enum err cmd_flush_certs(struct call *call)
{
	if (call->ops->flush)
		call->ops->flush(call->ctx);
	return reply_ok(call->out);
}

enum err cmd_unload_key(struct call *call)
{
	const char *text = tree_get(call->in, "id");
	struct conf *conf = call->ops->conf(call->ctx), *next;
	const struct conf_secret *token = token_with(conf, text);
	uint8_t id[KEY_ID_LEN];
	enum err e;

	if (token) {
		e = conf_without_token(&next, conf,
				       bytes_of(token->token->handle, token->token->handle_len));
		return e ? e : put_in_force(call, next);
	}
	if (!parse_id(id, text))
		return reply_failed(call->out, ERR_INVAL, "'id' is not a key's id in hexadecimal");
	e = conf_without_key(&next, conf, id);
	if (e == ERR_NOT_FOUND)
		return reply_failed(call->out, e, "there is no key with this id");
	return e ? e : put_in_force(call, next);
}

enum err cmd_get_keys(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);
	char id[HEX_ID_LEN], handle[HEX_HANDLE_LEN];
	struct tree *list;

	TRY(tree_list(call->out, &list, "keys"));
	for (uint32_t i = 0; i < conf->creds.num; i++) {
		if (conf->creds.list[i]->kind == CRED_KEY)
			TRY(tree_append(list, hex_id(id, conf->creds.list[i]->info.bits_id),
					2 * KEY_ID_LEN));
	}
	for (uint32_t i = 0; i < conf->num_secrets; i++) {
		const struct conf_token *t = conf->secrets[i]->token;

		if (t)
			TRY(tree_append(list, hex_handle(handle, t), (size_t)2 * t->handle_len));
	}
	return ERR_OK;
}

/* ---- authorities ----------------------------------------------------------------------------- */

/* What is no URL of HTTP is left out, and of more than there is room for the first ones count:
 * other programs send what they like. */
static enum err take_uri(struct cred_uris *uris, const struct tree *item)
{
	const enum err e = cred_uris_add(uris, item->value);

	if (e && e != ERR_NOMEM)
		LOG(WARN, CFG, NULL,
		    "of an authority's URLs '%.60s' is left out: HTTP alone, and %d at most",
		    item->value, CRED_URIS_MAX);
	return e == ERR_NOMEM ? e : ERR_OK;
}

static enum err take_uris(struct cred_uris *uris, const struct tree *section, const char *key)
{
	const struct tree *node = tree_child(section, key);

	if (!node || node->kind == TREE_VALUE)
		return node ? take_uri(uris, node) : ERR_OK;
	tree_for_each (item, node) {
		if (item->kind == TREE_VALUE)
			TRY(take_uri(uris, item));
	}
	return ERR_OK;
}

enum err cmd_load_authority(struct call *call)
{
	const struct tree *section = NULL;
	struct call inner = *call;
	struct cred *cred;
	enum err e = ERR_OK;

	tree_for_each (c, call->in)
		section = c->kind == TREE_SECTION ? c : section;
	if (!section)
		return reply_failed(call->out, ERR_INVAL, "one authority was expected");
	inner.in = section;
	cred = import(&inner, CRED_CA, "cacert", section->name, &e);
	if (cred && (take_uris(&cred->crl_uris, section, "crl_uris") ||
		     take_uris(&cred->ocsp_uris, section, "ocsp_uris") ||
		     take_uris(&cred->cert_bases, section, "cert_uri_base"))) {
		cred_put(cred);
		return ERR_NOMEM;
	}
	return cred ? add(call, cred) : e;
}

enum err cmd_unload_authority(struct call *call)
{
	const char *name = tree_get(call->in, "name");
	struct conf *next;
	enum err e;

	if (!name)
		return reply_failed(call->out, ERR_INVAL, "'name' is missing");
	e = conf_without_authority(&next, call->ops->conf(call->ctx), name);
	if (e == ERR_NOT_FOUND)
		return reply_failed(call->out, e, "there is no authority '%s'", name);
	return e ? e : put_in_force(call, next);
}

/* Files and what the socket brought as a mere certificate have names of another kind. */
static bool is_named_authority(const struct cred *c)
{
	return c->kind == CRED_CA && !strchr(c->name, '/') && !strchr(c->name, ' ');
}

enum err cmd_get_authorities(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);
	struct tree *list;

	TRY(tree_list(call->out, &list, "authorities"));
	for (uint32_t i = 0; i < conf->creds.num; i++) {
		const struct cred *c = conf->creds.list[i];

		if (is_named_authority(c))
			TRY(tree_append(list, c->name, strlen(c->name)));
	}
	return ERR_OK;
}

static enum err fill_uris(struct tree *t, const char *key, const struct cred_uris *uris)
{
	struct tree *list;

	for (uint32_t i = 0; i < uris->num; i++) {
		TRY(tree_list(t, &list, key));
		TRY(tree_append(list, uris->list[i], strlen(uris->list[i])));
	}
	return ERR_OK;
}

static enum err fill_authority(struct tree *t, const struct cred *c)
{
	struct tree *section;
	char name[300];

	TRY(tree_add_section(t, &section, c->name));
	TRY(tree_setf(section, "cacert", "%s", cred_subject_text(name, sizeof(name), c)));
	TRY(fill_uris(section, "crl_uris", &c->crl_uris));
	TRY(fill_uris(section, "ocsp_uris", &c->ocsp_uris));
	return c->cert_bases.num ? tree_setf(section, "cert_uri_base", "%s", c->cert_bases.list[0])
				 : ERR_OK;
}

/* One event with one credential. */
static enum err send_event(struct call *call, enum vici_event_id id, const struct cred *c,
			   enum err (*fill)(struct tree *t, const struct cred *c))
{
	struct tree *t = tree_new();
	enum err e = t ? fill(t, c) : ERR_NOMEM;

	if (!e)
		vici_client_event(call->client, id, t);
	tree_free(t);
	return e;
}

enum err cmd_list_authorities(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);
	const char *name = tree_get(call->in, "name");

	for (uint32_t i = 0; i < conf->creds.num && !call->client->doomed; i++) {
		const struct cred *c = conf->creds.list[i];

		if (is_named_authority(c) && (!name || strcmp(name, c->name) == 0))
			TRY(send_event(call, EV_LIST_AUTHORITY, c, fill_authority));
	}
	return ERR_OK;
}

/* ---- list-certs ------------------------------------------------------------------------------ */

static enum err set_time(struct tree *t, const char *key, int64_t at_s)
{
	char text[64];
	time_t at = (time_t)at_s;
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%a %b %d %H:%M:%S %Y", &tm);
	return tree_setf(t, key, "%s", text);
}

static enum err fill_cert(struct tree *t, const struct cred *c)
{
	char name[300];
	struct tree *data;

	TRY(tree_setf(t, "type", "%s",
		      c->kind == CRED_PUBKEY ? "PUBKEY"
		      : c->kind == CRED_CRL  ? "X509_CRL"
					     : "X509"));
	TRY(tree_setf(t, "flag", "%s", c->kind == CRED_CA ? "CA" : "NONE"));
	if (c->subject_len) {
		TRY(tree_setf(t, "subject", "%s", cred_subject_text(name, sizeof(name), c)));
		TRY(set_time(t, "not-before", c->not_before_s));
		TRY(set_time(t, "not-after", c->not_after_s));
	}
	return tree_add_value(t, &data, "data", (const char *)c->der, c->len);
}

static enum err fill_own_cert(struct tree *t, const struct cred *c)
{
	TRY(fill_cert(t, c));
	return tree_setf(t, "has_privkey", "yes");
}

/* type and flag of the request: nothing, "ANY", or as in the events. */
static bool matches(const struct cred *c, const struct tree *in)
{
	const char *type = tree_get(in, "type"), *flag = tree_get(in, "flag");
	const char *subject = tree_get(in, "subject");
	char name[300];

	if (c->kind == CRED_KEY)
		return false;
	if (type && strcasecmp(type, "ANY") != 0 &&
	    strcasecmp(type, c->kind == CRED_PUBKEY ? "PUBKEY"
			     : c->kind == CRED_CRL  ? "X509_CRL"
						    : "X509") != 0)
		return false;
	if (flag && strcasecmp(flag, "ANY") != 0 &&
	    strcasecmp(flag, c->kind == CRED_CA ? "CA" : "NONE") != 0)
		return false;
	return !subject || strcmp(subject, cred_subject_text(name, sizeof(name), c)) == 0;
}

static enum err send_all(struct call *call, const struct conf_creds *creds)
{
	const struct conf *conf = call->ops->conf(call->ctx);

	for (uint32_t i = 0; i < creds->num && !call->client->doomed; i++) {
		const struct cred *c = creds->list[i];
		bool own = c->spki_len && conf_private_key(conf, c);

		if (matches(c, call->in))
			TRY(send_event(call, EV_LIST_CERT, c, own ? fill_own_cert : fill_cert));
	}
	return ERR_OK;
}

enum err cmd_list_certs(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);

	if (!vici_client_wants(call->client, EV_LIST_CERT))
		return ERR_OK;
	TRY(send_all(call, &conf->creds));
	for (uint32_t i = 0; i < conf->num_conns; i++) {
		const struct conf_side *sides[] = {&conf->conns[i]->local, &conf->conns[i]->remote};

		for (size_t j = 0; j < ARRAY_LEN(sides); j++) {
			TRY(send_all(call, &sides[j]->certs));
			TRY(send_all(call, &sides[j]->cacerts));
			TRY(send_all(call, &sides[j]->pubkeys));
		}
	}
	return ERR_OK;
}
