/* SPDX-License-Identifier: Apache-2.0 */
/* attr.c - attributes of tokens: one table of what they are, and the accessors by it. */
#include "api/client/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* enum form - how an attribute is passed. MADE: a text that is put together when it is asked for.
 */
enum form {
	NONE,
	BOOL,
	NUMBER,
	TEXT,
	BYTES,
	IDENTITY,
	METHODS,
	MADE,
};

/* struct row - where it lies in the token; room of a TEXT. write: an application may set it. */
struct row {
	enum form form;
	size_t at, room;
	bool write;
};

#define P(attr, form_, member, write_)                                                 \
	[IPSEC_API_ATTR_##attr] = {.form = form_,                                      \
				   .at = offsetof(struct ipsec_pToken, member),        \
				   .room = sizeof(((struct ipsec_pToken *)0)->member), \
				   .write = write_}
#define I(attr, form_, member, write_)                                                 \
	[IPSEC_API_ATTR_##attr] = {.form = form_,                                      \
				   .at = offsetof(struct ipsec_iToken, member),        \
				   .room = sizeof(((struct ipsec_iToken *)0)->member), \
				   .write = write_}

static const struct row p_rows[] = {
	P(PRIVACY_PROTECTED, BOOL, privacy, true),
	P(INTEGRITY_PROTECTED, BOOL, integrity, true),
	P(COMPRESSION_AVAILABLE, BOOL, compression, false),
	P(TUNNEL_MODE, BOOL, tunnel, true),
	P(ITOKEN, IDENTITY, remote, true),
	P(LOCAL_ITOKEN, IDENTITY, local, true),
	P(POLICY_NAME, TEXT, policy, true),
	P(AUTH_METHODS, METHODS, methods, true),
	P(PART, NUMBER, part, true),
	P(SUITE, TEXT, suite, true),
	P(REPLAY_PROTECTED, BOOL, replay, false),
	P(INDETERMINATE, BOOL, indeterminate, false),
	P(INFORMATION_STRING, MADE, tag, false),
	P(AUDIT_STRING, MADE, tag, false),
};

static const struct row i_rows[] = {
	I(AUDIT_STRING, MADE, tag, false),
	I(AUTH_METHOD, NUMBER, method, false),
	I(EAP_METHOD, NUMBER, eap, false),
	I(IDENTITY, TEXT, identity, true),
	I(CERTIFICATE_AUTHORITY_DN, TEXT, authority, false),
	I(CERTIFICATE_DN, TEXT, subject, false),
	I(PUBKEY_ID, TEXT, key_id, false),
	I(CHANNEL_BINDING, BYTES, binding, false),
	I(CHANNEL_BINDING_HASH, BYTES, binding_hash, false),
	I(PUBLIC_KEY, BYTES, key, false),
};

static const struct row *row_of(const struct row *rows, size_t num, uint32_t type)
{
	const struct row *r = type < num ? &rows[type] : NULL;

	if (r && r->form != NONE)
		return r;
	fail(EINVAL, "such a token has no such attribute");
	return NULL;
}

/* ---- getting -------------------------------------------------------------------------------- */

static int give(uint32_t *len, void *val, const void *from, size_t size)
{
	uint32_t room = *len;

	*len = (uint32_t)size;
	if (size > room || !val)
		return fail(ERANGE, "there is too little room for the attribute");
	memcpy(val, from, size);
	return 0;
}

static int give_text(uint32_t *len, void *val, const char *text)
{
	if (!text[0])
		return fail(ENOENT, "the attribute is not known");
	return give(len, val, text, strlen(text) + 1);
}

static int give_number(uint32_t *len, void *val, uint32_t v)
{
	if (!v)
		return fail(ENOENT, "the attribute is not known");
	return give(len, val, &v, sizeof(v));
}

static void describe(char out[static 1024], const struct ipsec_iToken *t)
{
	snprintf(out, 1024, "%s, by %s%s%s%s%s", t->identity[0] ? t->identity : "nobody",
		 ipsec_auth_method_name((enum ipsec_auth_method)t->method),
		 t->authority[0] ? ", vouched for by " : "", t->authority,
		 t->key_id[0] ? ", key " : "", t->key_id);
}

static int get_i(const struct ipsec_iToken *t, uint32_t type, uint32_t *len, void *val)
{
	const struct row *r = row_of(i_rows, ARRAY_LEN(i_rows), type);
	const char *at = r ? (const char *)t + r->at : NULL;
	const struct blob *blob = type == IPSEC_API_ATTR_PUBLIC_KEY ? &t->key : &t->binding;
	char text[1024];

	if (!r)
		return -1;
	if (r->form == TEXT)
		return give_text(len, val, at);
	if (r->form == NUMBER)
		return give_number(len, val, *(const uint32_t *)(const void *)at);
	if (r->form == MADE) {
		describe(text, t);
		return give_text(len, val, text);
	}
	if (type == IPSEC_API_ATTR_CHANNEL_BINDING_HASH && t->has_hash)
		return give(len, val, t->binding_hash, sizeof(t->binding_hash));
	if (type == IPSEC_API_ATTR_CHANNEL_BINDING_HASH || !blob->len)
		return fail(ENOENT, "the attribute is not known");
	return give(len, val, blob->p, blob->len);
}

/* The methods of a template, as numbers. */
static int give_methods(const struct ipsec_pToken *t, uint32_t *len, void *val)
{
	uint32_t list[APP_NUM_METHODS];

	for (uint32_t i = 0; i < t->num_methods; i++)
		list[i] = t->methods[i];
	return give(len, val, list, t->num_methods * sizeof(list[0]));
}

static int give_identity(const struct ipsec_iToken *from, uint32_t *len, void *val)
{
	ipsec_iToken_t copy;

	if (*len < sizeof(copy) || !val) {
		*len = sizeof(copy);
		return fail(ERANGE, "there is too little room for the attribute");
	}
	if (ipsec_dup_iToken((ipsec_iToken_t)(uintptr_t)from, &copy))
		return -1;
	*len = sizeof(copy);
	memcpy(val, &copy, sizeof(copy));
	return 0;
}

static int give_made(const struct ipsec_pToken *t, uint32_t type, uint32_t *len, void *val)
{
	char peer[1024], text[2048];

	describe(peer, &t->remote);
	if (type == IPSEC_API_ATTR_INFORMATION_STRING)
		snprintf(text, sizeof(text), "%s: %s%s", peer,
			 t->privacy ? "encrypted" : "not encrypted",
			 t->integrity ? ", protected from changes" : "");
	else
		snprintf(text, sizeof(text), "peer=%s local=%s conn=%s mode=%s suite=%s%s", peer,
			 t->local.identity, t->policy, t->tunnel ? "tunnel" : "transport",
			 t->suite[0] ? t->suite : "-", t->replay ? " replay" : "");
	return give_text(len, val, text);
}

static int get_p(struct ipsec_pToken *t, uint32_t type, uint32_t *len, void *val)
{
	const struct row *r = row_of(p_rows, ARRAY_LEN(p_rows), type);
	const char *at = r ? (const char *)t + r->at : NULL;
	int yes;

	if (!r || ptoken_know(t))
		return -1;
	if (r->form == MADE)
		return t->handle ? give_made(t, type, len, val)
				 : fail(ENOENT, "a template has no such attribute");
	if (!(t->set & 1u << type))
		return fail(ENOENT, "the attribute is not known");
	switch (r->form) {
	case BOOL:
		yes = *(const bool *)at;
		return give(len, val, &yes, sizeof(yes));
	case NUMBER:
		return give_number(len, val, *(const uint32_t *)(const void *)at);
	case TEXT:
		return give_text(len, val, at);
	case METHODS:
		return give_methods(t, len, val);
	case IDENTITY:
		return give_identity((const struct ipsec_iToken *)(const void *)at, len, val);
	case NONE:
	case BYTES:
	case MADE:
	default:
		return fail(EINVAL, "such a token has no such attribute");
	}
}

static uint32_t tag_of(const void *token)
{
	uint32_t tag = 0;

	if (token)
		memcpy(&tag, token, sizeof(tag));
	return tag;
}

int ipsec_get_token_attr(const void *token, uint32_t type, uint32_t *len, void *val)
{
	if (!len)
		return fail(EINVAL, "there is no length");
	if (tag_of(token) == TAG_ITOKEN)
		return get_i(as_itoken(token), type, len, val);
	return as_ptoken(token) ? get_p(as_ptoken(token), type, len, val) : -1;
}

/* ---- setting -------------------------------------------------------------------------------- */

static int take_text(char *to, size_t room, uint32_t len, const void *val)
{
	const char *text = val;

	if (len < 2 || text[len - 1] != '\0' || memchr(text, '\0', len - 1))
		return fail(EINVAL, "a text ends with its 0, and has something before");
	if (len > room)
		return fail(EINVAL, "the text is too long");
	memcpy(to, text, len);
	return 0;
}

static int take_methods(struct ipsec_pToken *t, uint32_t len, const void *val)
{
	uint32_t list[APP_NUM_METHODS - 1], num = len / sizeof(list[0]);

	if (len % sizeof(list[0]) || len > sizeof(list))
		return fail(EINVAL, "that is no list of methods");
	memcpy(list, val, len);
	for (uint32_t i = 0; i < num; i++) {
		if (list[i] == 0 || list[i] >= APP_NUM_METHODS)
			return fail(EINVAL, "there is no such method");
		t->methods[i] = (uint8_t)list[i];
	}
	t->num_methods = num;
	return 0;
}

static int take_number(uint32_t *to, uint32_t len, const void *val, uint32_t most)
{
	uint32_t v;

	if (len != sizeof(v))
		return fail(EINVAL, "that is no number");
	memcpy(&v, val, sizeof(v));
	if (v > most)
		return fail(EINVAL, "there is no such number");
	*to = v;
	return 0;
}

static int take_bool(bool *to, uint32_t len, const void *val)
{
	int v;

	if (len != sizeof(v))
		return fail(EINVAL, "that is no truth value");
	memcpy(&v, val, sizeof(v));
	*to = v != 0;
	return 0;
}

static int take_identity(struct ipsec_iToken *to, uint32_t len, const void *val)
{
	struct ipsec_iToken *from;
	ipsec_iToken_t token;

	if (len != sizeof(token))
		return fail(EINVAL, "that is no iToken");
	memcpy(&token, val, sizeof(token));
	from = as_itoken(token);
	if (!from)
		return -1;
	itoken_fini(to);
	/* Of an identity that was got the name is meant: how he proves it says the template. */
	snprintf(to->identity, sizeof(to->identity), "%s", from->identity);
	return 0;
}

static int set_p(struct ipsec_pToken *t, uint32_t type, uint32_t len, const void *val)
{
	const struct row *r = row_of(p_rows, ARRAY_LEN(p_rows), type);
	char *at = r ? (char *)t + r->at : NULL;
	int res = -1;

	if (!r)
		return -1;
	if (t->handle || !r->write)
		return fail(EACCES, "what is known of a protection is not changed");
	if (r->form == BOOL)
		res = take_bool((bool *)at, len, val);
	else if (r->form == NUMBER)
		res = take_number((uint32_t *)(void *)at, len, val, IPSEC_PART_NONE);
	else if (r->form == TEXT)
		res = take_text(at, r->room, len, val);
	else if (r->form == METHODS)
		res = take_methods(t, len, val);
	else if (r->form == IDENTITY)
		res = take_identity((struct ipsec_iToken *)(void *)at, len, val);
	if (!res)
		t->set |= 1u << type;
	return res;
}

static int set_i(struct ipsec_iToken *t, uint32_t type, uint32_t len, const void *val)
{
	const struct row *r = row_of(i_rows, ARRAY_LEN(i_rows), type);

	if (!r)
		return -1;
	if (!r->write || (t->identity[0] && !t->wished))
		return fail(EACCES, "what is known of an identity is not changed");
	if (take_text((char *)t + r->at, r->room, len, val))
		return -1;
	t->wished = true;
	return 0;
}

int ipsec_set_token_attr(const void *token, uint32_t type, uint32_t len, const void *val)
{
	if (!val)
		return fail(EINVAL, "there is no value");
	if (tag_of(token) == TAG_ITOKEN)
		return set_i(as_itoken(token), type, len, val);
	return as_ptoken(token) ? set_p(as_ptoken(token), type, len, val) : -1;
}

/* ---- with types ----------------------------------------------------------------------------- */

/* Is the attribute of this form, of this kind of token? */
static int check(const void *token, uint32_t tag, uint32_t type, enum form form)
{
	bool p = tag == TAG_PTOKEN;
	const struct row *r;

	if (!(p ? (void *)as_ptoken(token) : (void *)as_itoken(token)))
		return -1;
	r = p ? row_of(p_rows, ARRAY_LEN(p_rows), type) : row_of(i_rows, ARRAY_LEN(i_rows), type);
	if (!r)
		return -1;
	if (r->form == form || (form == TEXT && r->form == MADE))
		return 0;
	return fail(EINVAL, "the attribute is of another type");
}

static int get_text(const void *token, uint32_t tag, uint32_t attr, char *out, size_t room)
{
	uint32_t len = room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;

	if (!out)
		return fail(EINVAL, "there is no place for the text");
	return check(token, tag, attr, TEXT) ? -1 : ipsec_get_token_attr(token, attr, &len, out);
}

int ipsec_pToken_get_bool(ipsec_pToken_t token, enum ipsec_attr attr, bool *out)
{
	uint32_t len = sizeof(int);
	int v;

	if (check(token, TAG_PTOKEN, attr, BOOL) || ipsec_get_token_attr(token, attr, &len, &v))
		return -1;
	*out = v != 0;
	return 0;
}

int ipsec_pToken_get_text(ipsec_pToken_t token, enum ipsec_attr attr, char *out, size_t room)
{
	return get_text(token, TAG_PTOKEN, attr, out, room);
}

int ipsec_pToken_get_iToken(ipsec_pToken_t token, enum ipsec_attr attr, ipsec_iToken_t out)
{
	const struct ipsec_iToken *from;
	struct ipsec_iToken copy;

	if (!as_itoken(out) || check(token, TAG_PTOKEN, attr, IDENTITY) || ptoken_know(token))
		return -1;
	if (!(token->set & 1u << attr))
		return fail(ENOENT, "the attribute is not known");
	from = attr == IPSEC_API_ATTR_ITOKEN ? &token->remote : &token->local;
	if (itoken_copy(&copy, from))
		return -1;
	itoken_fini(out);
	*out = copy;
	return 0;
}

int ipsec_pToken_set_bool(ipsec_pToken_t token, enum ipsec_attr attr, bool v)
{
	int yes = v;

	return check(token, TAG_PTOKEN, attr, BOOL)
		       ? -1
		       : ipsec_set_token_attr(token, attr, sizeof(yes), &yes);
}

int ipsec_pToken_set_number(ipsec_pToken_t token, enum ipsec_attr attr, uint32_t v)
{
	return check(token, TAG_PTOKEN, attr, NUMBER)
		       ? -1
		       : ipsec_set_token_attr(token, attr, sizeof(v), &v);
}

int ipsec_pToken_set_text(ipsec_pToken_t token, enum ipsec_attr attr, const char *v)
{
	if (!v || strlen(v) > 1024)
		return fail(EINVAL, "that is no text for it");
	return check(token, TAG_PTOKEN, attr, TEXT)
		       ? -1
		       : ipsec_set_token_attr(token, attr, (uint32_t)strlen(v) + 1, v);
}

int ipsec_pToken_set_iToken(ipsec_pToken_t token, enum ipsec_attr attr, ipsec_iToken_t v)
{
	return check(token, TAG_PTOKEN, attr, IDENTITY)
		       ? -1
		       : ipsec_set_token_attr(token, attr, sizeof(v), &v);
}

int ipsec_pToken_set_methods(ipsec_pToken_t token, const enum ipsec_auth_method *methods,
			     size_t num)
{
	uint32_t list[APP_NUM_METHODS];

	if (num >= ARRAY_LEN(list))
		return fail(EINVAL, "there are not as many methods");
	for (size_t i = 0; i < num; i++)
		list[i] = (uint32_t)methods[i];
	return ipsec_set_token_attr(token, IPSEC_API_ATTR_AUTH_METHODS,
				    (uint32_t)(num * sizeof(list[0])), list);
}

int ipsec_iToken_get_method(ipsec_iToken_t token, enum ipsec_auth_method *out)
{
	uint32_t v, len = sizeof(v);

	if (check(token, TAG_ITOKEN, IPSEC_API_ATTR_AUTH_METHOD, NUMBER) ||
	    ipsec_get_token_attr(token, IPSEC_API_ATTR_AUTH_METHOD, &len, &v))
		return -1;
	*out = (enum ipsec_auth_method)v;
	return 0;
}

int ipsec_iToken_get_text(ipsec_iToken_t token, enum ipsec_attr attr, char *out, size_t room)
{
	return get_text(token, TAG_ITOKEN, attr, out, room);
}

int ipsec_iToken_get_bytes(ipsec_iToken_t token, enum ipsec_attr attr, void *out, size_t *len)
{
	uint32_t n;
	int res;

	if (!len || check(token, TAG_ITOKEN, attr, BYTES))
		return len ? -1 : fail(EINVAL, "there is no length");
	n = *len < UINT32_MAX ? (uint32_t)*len : UINT32_MAX;
	res = ipsec_get_token_attr(token, attr, &n, out);
	if (!res || errno == ERANGE)
		*len = n;
	return res;
}

int ipsec_iToken_set_identity(ipsec_iToken_t token, const char *identity)
{
	if (!identity || strlen(identity) >= ID_ROOM)
		return fail(EINVAL, "that is no identity");
	return as_itoken(token) ? ipsec_set_token_attr(token, IPSEC_API_ATTR_IDENTITY,
						       (uint32_t)strlen(identity) + 1, identity)
				: -1;
}
