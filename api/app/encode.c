/* SPDX-License-Identifier: Apache-2.0 */
/* encode.c - latches, classes and profiles as attributes, demands and profiles from them. */
#include "api/app/internal.h"

#include <stdio.h>

static_assert(LATCH_CLOSED == 4 && APP_PART_NONE == 4 && APP_ASK_YES == 2,
	      "the protocol has these numbers");

/* The protocol's numbers are those of programs, and stay when ours change. */
static const uint8_t methods[AUTH_NUM_METHODS] = {
	[AUTH_METHOD_NONE] = APP_METHOD_NONE,
	[AUTH_METHOD_PSK] = APP_METHOD_PRESHAREDKEY,
	[AUTH_METHOD_GROUP_PSK] = APP_METHOD_GROUPKEY,
	[AUTH_METHOD_PKIX_TRUSTED] = APP_METHOD_PKIX_TRUSTED,
	[AUTH_METHOD_PKIX_INLINE] = APP_METHOD_PKIX_INLINE,
	[AUTH_METHOD_PUBKEY] = APP_METHOD_PUBKEY,
	[AUTH_METHOD_BTNS] = APP_METHOD_BTNS,
	[AUTH_METHOD_LEAPOFFAITH] = APP_METHOD_LEAPOFFAITH,
	[AUTH_METHOD_EAP] = APP_METHOD_EAP,
	[AUTH_METHOD_PKIX_OFFLINE] = APP_METHOD_PKIX_OFFLINE,
};

static void put_methods(struct writer *w, const uint8_t *list, uint32_t num)
{
	uint8_t bytes[AUTH_NUM_METHODS];

	assert(num <= ARRAY_LEN(bytes));
	for (uint32_t i = 0; i < num; i++)
		bytes[i] = methods[list[i]];
	app_put_bytes(w, APP_A_METHODS, bytes_of(bytes, num));
}

/* Methods that nothing here speaks, and one that is there twice, are no list. */
static enum err take_methods(uint8_t *list, uint32_t *num, struct bytes v)
{
	*num = 0;
	for (size_t i = 0; i < v.len; i++) {
		uint32_t m = 0;

		while (m < AUTH_NUM_METHODS && methods[m] != v.p[i])
			m++;
		if (m == AUTH_NUM_METHODS || memchr(list, (int)m, *num))
			return ERR_INVAL;
		list[(*num)++] = (uint8_t)m;
	}
	return ERR_OK;
}

void put_latch(struct writer *w, const struct app_latch *l)
{
	size_t mark = app_begin(w, APP_A_LATCH_INFO);

	app_put_u64(w, APP_A_LATCH, l->id);
	app_put_flow(w, APP_A_FLOW, &l->flow);
	app_put_u32(w, APP_A_STATE, l->state);
	app_put_bool(w, APP_A_LISTENER, l->listener);
	app_put_u32(w, APP_A_UID, l->uid);
	app_put_u32(w, APP_A_TOKEN, l->token);
	if (l->reason != IKE_REASON_NONE)
		app_put_text(w, APP_A_REASON, ike_reason_name(l->reason));
	app_put_text(w, APP_A_TEXT, l->text);
	app_put_text(w, APP_A_PROFILE, l->demand.profile);
	app_put_text(w, APP_A_PEER, l->demand.peer);
	app_end(w, mark);
}

static void put_id(struct writer *w, uint16_t type, const struct ike_id *id)
{
	char text[APP_ID_MAX];

	app_put_text(w, type, ike_id_text(text, sizeof(text), id));
}

/* What does not fit an attribute is none that we know of, and is left out. */
static void put_key(struct writer *w, uint16_t type, struct bytes key)
{
	if (key.len <= 2048)
		app_put_bytes(w, type, key);
}

/* Names that were vouched for, a short name of the key, and what binds a channel to both keys. */
static void put_names(struct writer *w, const struct auth_proof *proof)
{
	uint8_t hash[IKE_BINDING_MAX];
	char text[APP_ID_MAX];
	size_t len;

	if (!ike_authority_dn(text, sizeof(text), proof))
		app_put_text(w, APP_A_CA, text);
	if (!ike_certificate_dn(text, sizeof(text), proof))
		app_put_text(w, APP_A_SUBJECT, text);
	if (!ike_pubkey_id(text, proof))
		app_put_text(w, APP_A_PUBKEY_ID, text);
	if (!ike_channel_binding(hash, sizeof(hash), &len, proof, IKE_BINDING_SHA256))
		app_put_bytes(w, APP_A_BINDING_HASH, bytes_of(hash, len));
}

void put_proof(struct writer *w, const struct auth_proof *proof)
{
	const struct auth_proof_params *p = auth_proof_params(proof);

	app_put_u32(w, APP_A_METHOD, methods[p->method]);
	if (p->method == AUTH_METHOD_EAP)
		app_put_u32(w, APP_A_EAP, p->eap);
	put_id(w, APP_A_PEER, &p->peer);
	put_id(w, APP_A_LOCAL, &p->local);
	app_put_u32(w, APP_A_PEER_KIND, p->peer.type);
	put_key(w, APP_A_PEER_KEY, p->peer_key);
	put_key(w, APP_A_LOCAL_KEY, p->local_key);
	app_put_bool(w, APP_A_INITIATOR, p->initiator);
	put_names(w, proof);
}

static uint32_t yes_no(bool yes)
{
	return yes ? APP_ASK_YES : APP_ASK_NO;
}

void put_class(struct writer *w, const struct app_class *c)
{
	size_t mark = app_begin(w, APP_A_CLASS);

	app_put_u32(w, APP_A_TOKEN, c->token);
	app_put_bool(w, APP_A_UP, c->up);
	app_put_u32(w, APP_A_PRIVACY, yes_no(c->quality.privacy));
	app_put_u32(w, APP_A_INTEGRITY, yes_no(c->quality.integrity));
	app_put_u32(w, APP_A_TUNNEL, yes_no(c->quality.tunnel));
	app_put_bool(w, APP_A_COMPRESSION, c->quality.compression);
	app_put_bool(w, APP_A_REPLAY, c->quality.replay);
	app_put_bool(w, APP_A_INDETERMINATE, c->quality.indeterminate);
	app_put_text(w, APP_A_SUITE, c->quality.suite);
	app_put_text(w, APP_A_CONN, c->conn);
	if (c->proof)
		put_proof(w, c->proof);
	app_end(w, mark);
}

void put_profile(struct writer *w, const struct app_profile *p)
{
	size_t mark = app_begin(w, APP_A_PROFILE_INFO);

	app_put_text(w, APP_A_PROFILE, p->name);
	put_methods(w, p->methods, p->num_methods);
	app_put_u32(w, APP_A_PRIVACY, yes_no(p->privacy));
	app_put_u32(w, APP_A_INTEGRITY, yes_no(p->integrity));
	app_put_bool(w, APP_A_CLEAR, p->clear);
	app_put_bool(w, APP_A_MAKE, p->make);
	app_put_u32(w, APP_A_PART, p->part);
	app_put_text(w, APP_A_SUITES, p->suites);
	app_put_bool(w, APP_A_BYPASS, p->bypass);
	app_end(w, mark);
}

enum err take_demand(struct app_demand *out, const struct app_attrs *in)
{
	struct app_demand d = {0};

	app_attr_text(in, APP_A_PROFILE, d.profile, sizeof(d.profile));
	app_attr_text(in, APP_A_PEER, d.peer, sizeof(d.peer));
	app_attr_text(in, APP_A_LOCAL, d.local, sizeof(d.local));
	app_attr_text(in, APP_A_SUITE, d.suite, sizeof(d.suite));
	d.part = (uint8_t)app_attr_u32(in, APP_A_PART, APP_PART_PROFILE);
	d.privacy = (uint8_t)app_attr_u32(in, APP_A_PRIVACY, APP_ASK_PROFILE);
	d.integrity = (uint8_t)app_attr_u32(in, APP_A_INTEGRITY, APP_ASK_PROFILE);
	d.tunnel = (uint8_t)app_attr_u32(in, APP_A_TUNNEL, APP_ASK_PROFILE);
	d.token = app_attr_u32(in, APP_A_TOKEN, 0);
	if (d.token & ~APP_TOKEN_MASK)
		return ERR_INVAL;
	TRY(take_methods(d.methods, &d.num_methods, app_attr_bytes(in, APP_A_METHODS)));
	*out = d;
	return ERR_OK;
}

enum err take_profile(struct app_profile *out, const struct app_attrs *in)
{
	struct app_profile p = {0};

	app_attr_text(in, APP_A_PROFILE, p.name, sizeof(p.name));
	app_attr_text(in, APP_A_SUITES, p.suites, sizeof(p.suites));
	p.part = (uint8_t)app_attr_u32(in, APP_A_PART, APP_PART_IKE_ONLY);
	p.privacy = app_attr_u32(in, APP_A_PRIVACY, APP_ASK_YES) != APP_ASK_NO;
	p.integrity = app_attr_u32(in, APP_A_INTEGRITY, APP_ASK_YES) != APP_ASK_NO;
	p.clear = app_attr_bool(in, APP_A_CLEAR, false);
	p.make = app_attr_bool(in, APP_A_MAKE, false);
	TRY(take_methods(p.methods, &p.num_methods, app_attr_bytes(in, APP_A_METHODS)));
	if (!p.name[0] || p.num_methods == 0 || p.part == APP_PART_PROFILE)
		return ERR_INVAL;
	*out = p;
	return ERR_OK;
}
