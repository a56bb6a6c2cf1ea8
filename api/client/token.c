/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - tokens: making, copying, comparing, and what the daemon says of them. */
#include "api/client/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static_assert((int)IPSEC_AUTH_PUBKEY == (int)APP_METHOD_PUBKEY &&
		      (int)IPSEC_AUTH_PUBKEY + 1 == (int)APP_NUM_METHODS &&
		      (int)IPSEC_PART_NONE == 4 && (int)IPSEC_LATCH_CLOSED == 4,
	      "the protocol has the header's numbers");

/* The tag is the first member of both, and all that is looked at before it is known. */
struct ipsec_pToken *as_ptoken(const void *token)
{
	uint32_t tag = 0;

	if (token)
		memcpy(&tag, token, sizeof(tag));
	if (tag == TAG_PTOKEN)
		return (struct ipsec_pToken *)(uintptr_t)token;
	fail(EINVAL, "this is no pToken");
	return NULL;
}

struct ipsec_iToken *as_itoken(const void *token)
{
	uint32_t tag = 0;

	if (token)
		memcpy(&tag, token, sizeof(tag));
	if (tag == TAG_ITOKEN)
		return (struct ipsec_iToken *)(uintptr_t)token;
	fail(EINVAL, "this is no iToken");
	return NULL;
}

/* ---- identities ----------------------------------------------------------------------------- */

static void blob_free(struct blob *b)
{
	mem_free(b->p);
	*b = (struct blob){0};
}

static int blob_copy(struct blob *to, struct bytes from)
{
	*to = (struct blob){0};
	if (from.len == 0)
		return 0;
	to->p = mem_dup(from.p, from.len);
	to->len = to->p ? from.len : 0;
	return to->p ? 0 : -1;
}

void itoken_fini(struct ipsec_iToken *t)
{
	blob_free(&t->key);
	blob_free(&t->binding);
	*t = (struct ipsec_iToken){.tag = TAG_ITOKEN};
}

int itoken_copy(struct ipsec_iToken *to, const struct ipsec_iToken *from)
{
	*to = *from;
	to->key = to->binding = (struct blob){0};
	if (!blob_copy(&to->key, bytes_of(from->key.p, from->key.len)) &&
	    !blob_copy(&to->binding, bytes_of(from->binding.p, from->binding.len)))
		return 0;
	itoken_fini(to);
	return fail(ENOMEM, "memory is short");
}

/* Both keys, the initiator's first; nothing where an end has shown none. */
static int bind_keys(struct blob *out, const struct app_attrs *class)
{
	struct bytes own = app_attr_bytes(class, APP_A_LOCAL_KEY),
		     peer = app_attr_bytes(class, APP_A_PEER_KEY);
	bool first = app_attr_bool(class, APP_A_INITIATOR, false);
	struct bytes a = first ? own : peer, b = first ? peer : own;

	*out = (struct blob){0};
	if (!a.len || !b.len)
		return 0;
	out->p = mem_alloc(a.len + b.len);
	if (!out->p)
		return -1;
	memcpy(out->p, a.p, a.len);
	memcpy(out->p + a.len, b.p, b.len);
	out->len = a.len + b.len;
	return 0;
}

int itoken_take(struct ipsec_iToken *t, const struct app_attrs *class, bool local)
{
	struct bytes hash = app_attr_bytes(class, APP_A_BINDING_HASH);

	itoken_fini(t);
	app_attr_text(class, local ? APP_A_LOCAL : APP_A_PEER, t->identity, sizeof(t->identity));
	if (blob_copy(&t->key, app_attr_bytes(class, local ? APP_A_LOCAL_KEY : APP_A_PEER_KEY)))
		return fail(ENOMEM, "memory is short");
	if (local)
		return 0;
	t->method = app_attr_u32(class, APP_A_METHOD, 0);
	t->eap = app_attr_u32(class, APP_A_EAP, 0);
	t->kind = app_attr_u32(class, APP_A_PEER_KIND, 0);
	app_attr_text(class, APP_A_CA, t->authority, sizeof(t->authority));
	app_attr_text(class, APP_A_SUBJECT, t->subject, sizeof(t->subject));
	app_attr_text(class, APP_A_PUBKEY_ID, t->key_id, sizeof(t->key_id));
	t->has_hash = hash.len == sizeof(t->binding_hash);
	if (t->has_hash)
		memcpy(t->binding_hash, hash.p, hash.len);
	if (!bind_keys(&t->binding, class))
		return 0;
	itoken_fini(t);
	return fail(ENOMEM, "memory is short");
}

ipsec_iToken_t ipsec_create_iToken(void)
{
	struct ipsec_iToken *t = mem_alloc(sizeof(*t));

	if (t)
		t->tag = TAG_ITOKEN;
	else
		fail(ENOMEM, "memory is short");
	return t;
}

int ipsec_free_iToken(ipsec_iToken_t token)
{
	if (!token)
		return 0;
	if (!as_itoken(token))
		return -1;
	itoken_fini(token);
	token->tag = 0; /* so that a second time is noticed while the memory is unused */
	mem_free(token);
	return 0;
}

int ipsec_dup_iToken(const ipsec_iToken_t token, ipsec_iToken_t *out)
{
	struct ipsec_iToken *t = as_itoken(token), *copy;

	if (!t || !out)
		return t ? fail(EINVAL, "there is no place for the copy") : -1;
	copy = mem_alloc(sizeof(*copy));
	if (!copy)
		return fail(ENOMEM, "memory is short");
	if (itoken_copy(copy, t)) {
		mem_free(copy);
		return -1;
	}
	*out = copy;
	return 0;
}

/* Certificates by whatever way they came are one way of proof: the key decides. */
static uint32_t way_of(uint32_t method)
{
	return method == IPSEC_AUTH_PKIX_INLINE || method == IPSEC_AUTH_PKIX_OFFLINE
		       ? (uint32_t)IPSEC_AUTH_PKIX_TRUSTED
		       : method;
}

static bool same_blob(const struct blob *a, const struct blob *b)
{
	return bytes_equal(bytes_of(a->p, a->len), bytes_of(b->p, b->len));
}

static bool same_identity(const struct ipsec_iToken *a, const struct ipsec_iToken *b)
{
	return a->kind == b->kind && way_of(a->method) == way_of(b->method) && a->eap == b->eap &&
	       strcmp(a->identity, b->identity) == 0 && strcmp(a->authority, b->authority) == 0 &&
	       same_blob(&a->key, &b->key);
}

int ipsec_cmp_iToken(ipsec_iToken_t a, ipsec_iToken_t b)
{
	if (!as_itoken(a) || !as_itoken(b))
		return -1;
	return !same_identity(a, b);
}

/* ---- protections ---------------------------------------------------------------------------- */

void ptoken_reset(struct ipsec_pToken *t)
{
	if (t->remote.tag == TAG_ITOKEN)
		itoken_fini(&t->remote);
	if (t->local.tag == TAG_ITOKEN)
		itoken_fini(&t->local);
	memset(t, 0, sizeof(*t));
	t->tag = TAG_PTOKEN;
	t->remote.tag = t->local.tag = TAG_ITOKEN;
}

#define BIT(attr) (1u << IPSEC_API_ATTR_##attr)

int ptoken_take(struct ipsec_pToken *t, const struct app_attrs *class)
{
	if (itoken_take(&t->remote, class, false) || itoken_take(&t->local, class, true))
		return -1;
	t->privacy = app_attr_u32(class, APP_A_PRIVACY, 0) == 2;
	t->integrity = app_attr_u32(class, APP_A_INTEGRITY, 0) == 2;
	t->tunnel = app_attr_u32(class, APP_A_TUNNEL, 0) == 2;
	t->compression = app_attr_bool(class, APP_A_COMPRESSION, false);
	t->replay = app_attr_bool(class, APP_A_REPLAY, false);
	t->indeterminate = app_attr_bool(class, APP_A_INDETERMINATE, false);
	app_attr_text(class, APP_A_SUITE, t->suite, sizeof(t->suite));
	app_attr_text(class, APP_A_CONN, t->policy, sizeof(t->policy));
	t->set = BIT(PRIVACY_PROTECTED) | BIT(INTEGRITY_PROTECTED) | BIT(COMPRESSION_AVAILABLE) |
		 BIT(TUNNEL_MODE) | BIT(ITOKEN) | BIT(LOCAL_ITOKEN) | BIT(REPLAY_PROTECTED) |
		 BIT(INDETERMINATE);
	if (t->suite[0])
		t->set |= BIT(SUITE);
	if (t->policy[0])
		t->set |= BIT(POLICY_NAME);
	t->known = true;
	return 0;
}

ipsec_pToken_t ipsec_create_pToken(void)
{
	struct ipsec_pToken *t = mem_alloc(sizeof(*t));

	if (t)
		ptoken_reset(t);
	else
		fail(ENOMEM, "memory is short");
	return t;
}

int ipsec_free_pToken(ipsec_pToken_t token)
{
	if (!token)
		return 0;
	if (!as_ptoken(token))
		return -1;
	ptoken_reset(token);
	token->tag = 0;
	mem_free(token);
	return 0;
}

int ipsec_dup_pToken(const ipsec_pToken_t token, ipsec_pToken_t *out)
{
	struct ipsec_pToken *t = as_ptoken(token), *copy;

	if (!t || !out)
		return t ? fail(EINVAL, "there is no place for the copy") : -1;
	copy = mem_alloc(sizeof(*copy));
	if (!copy)
		return fail(ENOMEM, "memory is short");
	*copy = *t;
	copy->remote = copy->local = (struct ipsec_iToken){.tag = TAG_ITOKEN};
	if (itoken_copy(&copy->remote, &t->remote) || itoken_copy(&copy->local, &t->local)) {
		ptoken_reset(copy);
		mem_free(copy);
		return -1;
	}
	*out = copy;
	return 0;
}

/* What a class has in common: two handles of one daemon's life are compared as they are. */
int ipsec_cmp_pToken(ipsec_pToken_t a, ipsec_pToken_t b)
{
	if (!as_ptoken(a) || !as_ptoken(b))
		return -1;
	if (a->handle && b->handle && a->instance == b->instance)
		return a->handle != b->handle;
	if (!a->handle != !b->handle)
		return 1;
	if (ptoken_know(a) || ptoken_know(b))
		return -1;
	return !(same_identity(&a->remote, &b->remote) &&
		 strcmp(a->local.identity, b->local.identity) == 0 && a->privacy == b->privacy &&
		 a->integrity == b->integrity && a->tunnel == b->tunnel &&
		 a->compression == b->compression && a->replay == b->replay);
}

/* ---- a template as a demand ----------------------------------------------------------------- */

static void put_ask(struct writer *w, const struct ipsec_pToken *t, uint32_t bit, uint16_t type,
		    bool yes)
{
	if (t->set & bit)
		app_put_u32(w, type, yes ? 2 : 1);
}

int put_demand(struct writer *w, const struct ipsec_pToken *t)
{
	if (!t)
		return 0;
	if (t->handle) {
		app_put_u32(w, APP_A_TOKEN, t->handle);
		return 0;
	}
	if (t->remote.method)
		return fail(EINVAL, "a template has its methods by IPSEC_API_ATTR_AUTH_METHODS");
	if (strlen(t->policy) > 31)
		return fail(EINVAL, "a profile's name has 31 characters at most");
	app_put_text(w, APP_A_PROFILE, t->policy);
	app_put_text(w, APP_A_PEER, t->remote.identity);
	app_put_text(w, APP_A_LOCAL, t->local.identity);
	app_put_text(w, APP_A_SUITE, t->suite);
	app_put_bytes(w, APP_A_METHODS, bytes_of(t->methods, t->num_methods));
	if (t->part)
		app_put_u32(w, APP_A_PART, t->part);
	put_ask(w, t, BIT(PRIVACY_PROTECTED), APP_A_PRIVACY, t->privacy);
	put_ask(w, t, BIT(INTEGRITY_PROTECTED), APP_A_INTEGRITY, t->integrity);
	put_ask(w, t, BIT(TUNNEL_MODE), APP_A_TUNNEL, t->tunnel);
	return 0;
}
