/* SPDX-License-Identifier: Apache-2.0 */
/* auth_sig.c - what IKE_AUTH needs for signatures beside AUTH itself: certificates and requests for
 * them (RFC 7296 3.6, 3.7), and the asks for our signature and the peer's key. */
#include "base/alloc.h"
#include "control/auth/verify.h"
#include "control/ike/auth.h"
#include "control/ike/match.h"
#include "control/ike/wire/cert.h"

void auth_certs_free(struct ike_cert *list, uint32_t *num)
{
	for (uint32_t i = 0; i < *num; i++)
		mem_free((void *)(uintptr_t)list[i].data.p);
	*num = 0;
}

/* Append a copy. Errors: NOMEM, LIMIT. */
static enum err add_cert(struct ike_cert *list, uint32_t *num, uint8_t encoding, struct bytes data)
{
	uint8_t *copy;

	if (*num == IKE_MAX_CERTS)
		return ERR_LIMIT;
	copy = mem_dup(data.p, data.len);
	if (!copy)
		return ERR_NOMEM;
	list[(*num)++] = (struct ike_cert){.encoding = encoding, .data = bytes_of(copy, data.len)};
	return ERR_OK;
}

enum err auth_certs_copy(struct ike_cert *out, uint32_t *out_num, const struct ike_cert *certs,
			 uint32_t num)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; !e && i < num; i++)
		e = add_cert(out, out_num, certs[i].encoding, certs[i].data);
	return e;
}

/* ---- what the peer sends --------------------------------------------------------------------- */

/* Certificates are taken by URL where an authority's configuration says what these begin with. */
static bool fetches(const struct ike_sa *sa)
{
	const struct conf *conf = sa->conf;

	for (uint32_t i = 0; sa->e->env.fetches && conf->daemon.fetch && i < conf->creds.num; i++) {
		if (conf->creds.list[i]->cert_bases.num)
			return true;
	}
	return false;
}

static bool is_looked_at(const struct ike_sa *sa, uint8_t encoding)
{
	return encoding == CERT_X509_SIGNATURE || encoding == CERT_RAW_PUBLIC_KEY ||
	       encoding == CERT_OCSP_CONTENT ||
	       ((encoding == CERT_HASH_AND_URL || encoding == CERT_BUNDLE_AND_URL) && fetches(sa));
}

static enum err take_cert(struct ike_sa *sa, struct bytes body)
{
	struct wire_cert c;
	enum err e = wire_cert_parse(&c, body);

	if (e || !is_looked_at(sa, c.encoding))
		return e;
	return add_cert(sa->hs->certs, &sa->hs->num_certs, c.encoding, c.data);
}

static void take_lookup(struct handshake *hs, const struct ike_msg *m)
{
	struct wire_notify n;

	hs->peer_fetches |= wire_notify_find(&n, m, NOTIFY_HTTP_CERT_LOOKUP_SUPPORTED);
}

/* More authorities than are looked at are passed over: they only help to choose. */
static enum err take_certreq(struct handshake *hs, struct bytes body)
{
	struct wire_cert c;
	enum err e = wire_certreq_parse(&c, body);
	size_t room = sizeof(hs->authorities) - hs->authorities_len;

	if (e)
		return e;
	hs->asked_raw |= c.encoding == CERT_RAW_PUBLIC_KEY;
	hs->asked_ocsp |= c.encoding == CERT_OCSP_CONTENT;
	if (c.encoding != CERT_X509_SIGNATURE)
		return ERR_OK;
	hs->asked_x509 = true;
	if (c.data.len < room)
		room = c.data.len;
	memcpy(hs->authorities + hs->authorities_len, c.data.p, room);
	hs->authorities_len += room;
	return ERR_OK;
}

static enum err take_announced(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct wire_notify n;

	if (!wire_notify_find(&n, s->msg, NOTIFY_SUPPORTED_AUTH_METHODS))
		return ERR_OK;
	hs->peer_announces = true;
	return auth_announced_parse(&hs->announced, n.data);
}

static enum err take(struct step *s, bool certs)
{
	struct handshake *hs = s->sa->hs;
	enum err e = ERR_OK;

	/* A request that was dropped for want of memory comes again. */
	auth_certs_free(hs->certs, &hs->num_certs);
	take_lookup(hs, s->msg);
	if (!s->sa->initiator && take_announced(s)) /* a responder's was in IKE_SA_INIT */
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "what the peer announces of methods (SUPPORTED_AUTH_METHODS) does "
				 "not follow the format");
	for (uint32_t i = 0; !e && i < s->msg->num; i++) {
		const struct ike_payload *p = &s->msg->payloads[i];

		if (p->type == PAYLOAD_CERT && certs)
			e = take_cert(s->sa, p->body);
		else if (p->type == PAYLOAD_CERTREQ)
			e = take_certreq(hs, p->body);
	}
	if (!e || e == ERR_NOMEM)
		return e;
	return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
			 e == ERR_LIMIT
				 ? "the peer sends more than %d certificates, or longer ones than "
				   "are looked at"
				 : "a certificate payload of the peer does not follow the format "
				   "(at most %d are looked at)",
			 IKE_MAX_CERTS);
}

enum err auth_take_certs(struct step *s)
{
	return take(s, true);
}

enum err auth_keep_certs(struct handshake *hs, const struct ike_cert *certs, uint32_t num)
{
	auth_certs_free(hs->certs, &hs->num_certs);
	return auth_certs_copy(hs->certs, &hs->num_certs, certs, num);
}

enum err auth_take_certreqs(struct step *s)
{
	return take(s, false);
}

enum err auth_take_init(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct wire_notify n;
	enum err e = take_announced(s);

	if (e)
		return e;
	take_lookup(hs, s->msg);
	if (wire_notify_find(&n, s->msg, NOTIFY_SIGNATURE_HASH_ALGORITHMS)) {
		hs->peer_speaks_7427 = true;
		e = wire_hashes_parse(&hs->peer_hashes, n.data);
	}
	for (uint32_t i = 0; !e && i < s->msg->num; i++) {
		if (s->msg->payloads[i].type == PAYLOAD_CERTREQ)
			e = take_certreq(hs, s->msg->payloads[i].body);
	}
	return e;
}

/* ---- what we ask the peer for ---------------------------------------------------------------- */

/* struct request - what is asked for: kinds of proof, and authorities each named once. */
struct request {
	bool raw, x509, ocsp;
	const uint8_t *ids[IKE_MAX_CERTREQS];
	uint32_t num;
};

static void add_authority(struct request *r, const struct cred *ca)
{
	const struct bytes id = bytes_of(ca->info.spki_id, KEY_ID_LEN);

	for (uint32_t i = 0; i < r->num; i++) {
		if (bytes_equal(bytes_of(r->ids[i], KEY_ID_LEN), id))
			return;
	}
	if (r->num < IKE_MAX_CERTREQS)
		r->ids[r->num++] = id.p;
}

/* What would do for this connection. */
static void add_wishes(struct request *r, const struct conf *conf, const struct conf_conn *conn)
{
	const struct conf_side *remote = &conn->remote;
	const struct conf_creds *creds = remote->cacerts.num ? &remote->cacerts : &conf->creds;
	const bool any = conf_auth_rank(remote->auth) < CONF_RANK_PROVEN;

	if (!conf_auth_signs(remote->auth) || !conn->send_certreq)
		return;
	r->raw |= any || remote->pubkeys.num;
	r->x509 |= any || !remote->pubkeys.num;
	if (any || remote->pubkeys.num)
		return;
	r->ocsp |= conn->ocsp_request;
	for (uint32_t i = 0; i < creds->num; i++) {
		if (creds->list[i]->kind == CRED_CA)
			add_authority(r, creds->list[i]);
	}
}

/* A responder does not know yet who the peer is: whatever connection it may be for counts, and the
 * chosen one's authorities come first. */
static void add_all_wishes(struct request *r, const struct ike_sa *sa)
{
	add_wishes(r, sa->conf, sa->conn);
	for (uint32_t i = 0; !sa->initiator && i < sa->conf->num_conns; i++) {
		const struct conf_conn *c = sa->conf->conns[i];

		if (c != sa->conn && match_may(c, &sa->path, &sa->suite))
			add_wishes(r, sa->conf, c);
	}
}

bool auth_wants_signature(const struct ike_sa *sa)
{
	bool wants = conf_auth_signs(sa->conn->remote.auth);

	for (uint32_t i = 0; !sa->initiator && i < sa->conf->num_conns; i++) {
		const struct conf_conn *c = sa->conf->conns[i];

		wants |= conf_auth_signs(c->remote.auth) && match_may(c, &sa->path, &sa->suite);
	}
	return wants;
}

void auth_build_certreq(struct step *s)
{
	struct request r = {.num = 0};
	struct writer *w;

	add_all_wishes(&r, s->sa);
	if (r.raw)
		wire_certreq_begin(&s->b, CERT_RAW_PUBLIC_KEY);
	if (!r.x509)
		return;
	w = wire_certreq_begin(&s->b, CERT_X509_SIGNATURE);
	for (uint32_t i = 0; i < r.num; i++)
		writer_bytes(w, r.ids[i], KEY_ID_LEN);
	/* RFC 4806 3.1: no responder is believed but whom the authority itself lets. */
	if (r.ocsp)
		wire_certreq_begin(&s->b, CERT_OCSP_CONTENT);
	if (fetches(s->sa))
		wire_notify_build(&s->b, NOTIFY_HTTP_CERT_LOOKUP_SUPPORTED, bytes_of(NULL, 0));
}

/* The schemes that a side may sign by, as `auth` says. */
static uint32_t schemes_of(const struct conf_sign *sign)
{
	static const struct {
		uint32_t kinds, forms;
	} rows[] = {
		{KEY_BIT(KEY_RSA), AUTH_FORM_BITS(SIG_RSA_PSS) | AUTH_FORM_BITS(SIG_RSA_PKCS1)},
		{KEY_BITS_ECDSA, AUTH_FORM_BITS(SIG_ECDSA)},
		{KEY_BIT(KEY_ED25519), AUTH_SCHEME_BIT(SIG_ED25519, SIG_IDENTITY)},
		{KEY_BIT(KEY_ED448), AUTH_SCHEME_BIT(SIG_ED448, SIG_IDENTITY)},
		{KEY_BIT(KEY_ECP_256), AUTH_SCHEME_BIT(SIG_ECDSA_RAW, SIG_SHA2_256)},
		{KEY_BIT(KEY_ECP_384), AUTH_SCHEME_BIT(SIG_ECDSA_RAW, SIG_SHA2_384)},
		{KEY_BIT(KEY_ECP_521), AUTH_SCHEME_BIT(SIG_ECDSA_RAW, SIG_SHA2_512)},
	};
	uint32_t schemes = 0, of_hashes = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		schemes |= sign->kinds & rows[i].kinds ? rows[i].forms : 0;
	for (unsigned form = SIG_RSA_PKCS1; form <= SIG_ED448; form++)
		of_hashes |= sign->hashes >> SIG_SHA2_256 << form * 4;
	if (sign->pss)
		schemes &= ~AUTH_FORM_BITS(SIG_RSA_PKCS1);
	return schemes & of_hashes;
}

/* What would do for this connection; EAP is what is left to who sends no AUTH. */
static void announce(struct auth_announced *a, const struct conf_conn *conn)
{
	const struct conf_side *remote = &conn->remote;

	a->psk |= remote->auth == CONF_AUTH_PSK;
	a->null |= remote->auth == CONF_AUTH_NULL;
	if (conf_auth_signs(remote->auth))
		a->schemes |= schemes_of(&remote->sign);
}

/* As requests for certificates. */
void auth_build_announced(struct step *s)
{
	const struct ike_sa *sa = s->sa;
	struct auth_announced a = {0};
	uint8_t buf[AUTH_ANNOUNCED_MAX];
	struct bytes data;
	struct writer w;

	announce(&a, sa->conn);
	for (uint32_t i = 0; !sa->initiator && i < sa->conf->num_conns; i++) {
		if (match_may(sa->conf->conns[i], &sa->path, &sa->suite))
			announce(&a, sa->conf->conns[i]);
	}
	writer_init(&w, buf, sizeof(buf));
	auth_announced_write(&w, &a);
	if (!writer_finish(&w, &data) && data.len)
		wire_notify_build(&s->b, NOTIFY_SUPPORTED_AUTH_METHODS, data);
}

/* ---- asks ------------------------------------------------------------------------------------ */

enum err auth_ask_own(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	uint8_t buf[WIRE_ID_BODY_MAX];
	struct auth_octets o;
	enum err e;

	if (s->sa->conn->local.auth == CONF_AUTH_PSK)
		return step_ask(s, IKE_ASK_SECRET);
	if (s->sa->conn->local.auth == CONF_AUTH_NULL || s->sa->conn->local.auth == CONF_AUTH_EAP) {
		step_pass(s, IKE_ASK_SIGN);
		return ERR_OK;
	}
	o = auth_octets_of(s->sa, true, wire_id_body(buf, &s->sa->local_id));
	mem_free(hs->octets);
	hs->octets = NULL;
	e = auth_octets_signed(s->e->crypto, &hs->octets, &hs->octets_len, &o);
	return e ? e : step_ask(s, IKE_ASK_SIGN);
}

enum err auth_ask_peer(struct step *s)
{
	const enum conf_auth auth = s->sa->conn->remote.auth;

	if (auth == CONF_AUTH_NULL) {
		step_pass(s, IKE_ASK_VERIFY_CHAIN);
		return ERR_OK;
	}
	return step_ask(s, auth == CONF_AUTH_PSK ? IKE_ASK_SECRET : IKE_ASK_VERIFY_CHAIN);
}

static enum err no_signature(struct step *s)
{
	const struct ike_answer *a = s->answer;
	char local[128];

	return step_fail(s, a->reason ? a->reason : IKE_REASON_NO_KEY,
			 s->sa->initiator ? 0 : NOTIFY_AUTHENTICATION_FAILED,
			 "this side cannot sign as %s: %s",
			 ike_id_text(local, sizeof(local), &s->sa->local_id),
			 a->text ? a->text : "there was no answer in time");
}

enum err auth_take_signature(struct step *s)
{
	const struct ike_answer *a = s->answer;
	struct handshake *hs = s->sa->hs;
	enum err e = ERR_OK;

	if (!a->allow || !a->auth.len)
		return no_signature(s);
	if (a->auth.len > sizeof(hs->own_auth) || a->key.len > sizeof(hs->own_key))
		return ERR_LIMIT;
	auth_certs_free(hs->own_certs, &hs->num_own_certs);
	for (uint32_t i = 0; !e && i < a->num_certs; i++)
		e = add_cert(hs->own_certs, &hs->num_own_certs, a->certs[i].encoding,
			     a->certs[i].data);
	if (e)
		return e;
	memcpy(hs->own_auth, a->auth.p, a->auth.len);
	hs->own_auth_len = a->auth.len;
	hs->own_method = a->auth_method;
	memcpy(hs->own_key, a->key.p, a->key.len);
	hs->own_key_len = a->key.len;
	mem_free(hs->octets);
	hs->octets = NULL;
	return ERR_OK;
}

void auth_build_certs(struct step *s)
{
	const struct handshake *hs = s->sa->hs;

	for (uint32_t i = 0; i < hs->num_own_certs; i++)
		wire_cert_build(&s->b, hs->own_certs[i].encoding, hs->own_certs[i].data);
}
