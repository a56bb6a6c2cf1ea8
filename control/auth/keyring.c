/* SPDX-License-Identifier: Apache-2.0 */
/* keyring.c - asks answered from what the configuration holds: see control/engine.h. */
#include "control/auth/keyring.h"

#include <stdio.h>

#include "base/alloc.h"
#include "control/auth/bundle.h"
#include "control/auth/own_key.h"
#include "control/auth/pins.h"
#include "control/ike/wire/proto.h"

enum err ike_keyring_new(struct ike_keyring **out, const struct rng *rng)
{
	struct ike_keyring *k = mem_alloc(sizeof(*k));
	enum err e;

	if (!k)
		return ERR_NOMEM;
	k->fetched = fetched_new(rng);
	k->tokens = tokens_new();
	e = k->fetched && k->tokens ? crypto_ctx_new(&k->crypto, rng) : ERR_NOMEM;
	if (e) {
		fetched_free(k->fetched);
		tokens_free(k->tokens);
		mem_free(k);
		return e;
	}
	*out = k;
	return ERR_OK;
}

static void forget(struct ike_keyring *k)
{
	while (k->num_peer)
		cred_put(k->peer[--k->num_peer]);
	k->peer_fetched = false;
	k->num_stapled = 0;
	while (k->num_own)
		cred_put(k->own[--k->num_own]);
}

void ike_keyring_free(struct ike_keyring *k)
{
	if (!k)
		return;
	forget(k);
	crypto_ctx_free(k->crypto);
	fetched_free(k->fetched);
	tokens_free(k->tokens);
	mem_free(k);
}

void keyring_refuse(struct ike_keyring *k, enum ike_reason reason, const char *text)
{
	k->fault.reason = reason;
	if (text != k->fault.text)
		snprintf(k->fault.text, sizeof(k->fault.text), "%s", text);
}

enum err keyring_place(char url[static CRED_URL_MAX], size_t *out_len, const char *base,
		       const uint8_t hash[static SHA1_LEN])
{
	size_t len = strlen(base);

	if (len + 2 * SHA1_LEN >= CRED_URL_MAX)
		return ERR_LIMIT;
	memcpy(url, base, len);
	for (size_t i = 0; i < SHA1_LEN; i++, len += 2)
		snprintf(url + len, CRED_URL_MAX - len, "%02x", hash[i]);
	*out_len = len;
	return ERR_OK;
}

/* ---- the peer's key -------------------------------------------------------------------------- */

/* A certificate that lies here, in the store or in the connection itself. */
static bool is_stored(const struct conf *conf, const struct ike_ask *ask, const struct cred *c)
{
	const struct conf_creds *lists[] = {&ask->config->remote.certs, &conf->creds};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (uint32_t j = 0; j < lists[i]->num; j++) {
			if (lists[i]->list[j]->kind == CRED_CERT &&
			    bytes_equal(cred_der(lists[i]->list[j]), cred_der(c)))
				return true;
		}
	}
	return false;
}

static void trust_add(struct ike_keyring *k, struct ike_answer *out, struct cred *c,
		      struct bytes ca, bool stored)
{
	const bool fetched = k->num_peer && c == k->peer[0] && k->peer_fetched;

	if (out->num_trust == TRUST_MAX)
		return;
	k->trust[out->num_trust++] = c->kind == CRED_PUBKEY
					     ? (struct ike_trust){.key = cred_spki(c)}
					     : (struct ike_trust){.cert = cred_der(c),
								  .parsed = c,
								  .ca = ca,
								  .stored = stored,
								  .fetched = fetched};
	out->trust = k->trust;
}

static bool import_one(struct ike_keyring *k, struct bytes der)
{
	char why[KEY_WHY_MAX];
	enum err e;

	if (k->num_peer == ARRAY_LEN(k->peer)) { /* a bundle holds as many as it likes */
		keyring_refuse(k, IKE_REASON_CERT_PATH_LENGTH,
			       "it shows more certificates than are looked at");
		return false;
	}
	e = cred_from_peer(&k->peer[k->num_peer], why, der);
	if (e) {
		k->fault.reason = e == ERR_LIMIT ? IKE_REASON_CERT_WEAK : IKE_REASON_CERT_INVALID;
		snprintf(k->fault.text, sizeof(k->fault.text),
			 "a certificate that it sent is not usable: %s", why);
		return false;
	}
	k->num_peer++;
	return true;
}

/* Whoever begins to speak IKE with us may name a URL: nothing of it is of his choice but the hash
 * (S27). */
static bool is_published(const struct conf *conf, struct bytes hash, struct bytes url)
{
	char place[CRED_URL_MAX];
	size_t len;

	for (uint32_t i = 0; i < conf->creds.num; i++) {
		const struct cred_uris *bases = &conf->creds.list[i]->cert_bases;

		for (uint32_t j = 0; j < bases->num; j++) {
			if (!keyring_place(place, &len, bases->list[j], hash.p) &&
			    bytes_equal(bytes_of(place, len), url))
				return true;
		}
	}
	return false;
}

static bool refuse_url(struct ike_keyring *k, struct bytes url, const char *why)
{
	k->fault.reason = IKE_REASON_CERT_INVALID;
	snprintf(k->fault.text, sizeof(k->fault.text), "its certificate at %.*s: %s",
		 url.len < 120 ? (int)url.len : 120, (const char *)url.p, why);
	return false;
}

/* All certificates of a bundle, the end's own first. */
static bool import_bundle(struct ike_keyring *k, struct bytes der)
{
	struct bytes rest, cert;
	enum err e = bundle_open(&rest, der);

	while (!e && !(e = bundle_next(&cert, &rest))) {
		if (!import_one(k, cert))
			return false;
	}
	if (e == ERR_NOT_FOUND)
		return true;
	keyring_refuse(k, IKE_REASON_CERT_INVALID,
		       "the bundle of certificates that it shows does not follow the format");
	return false;
}

/* A certificate, or a bundle, that is shown by its hash and a URL: what is there has that hash, or
 * is none. */
static bool import_url(struct ike_keyring *k, const struct conf *conf, const struct ike_cert *c,
		       int64_t wall_s)
{
	const struct bytes shown = c->data;
	const struct bytes hash = bytes_of(shown.p, SHA1_LEN);
	const struct bytes url = shown.len > SHA1_LEN
					 ? bytes_of(shown.p + SHA1_LEN, shown.len - SHA1_LEN)
					 : bytes_of(NULL, 0);
	const struct fetched_ref ref = {.kind = FETCHED_CERT, .url = url, .key = hash};
	struct fetched_data data;
	uint8_t found[SHA1_LEN];
	const char *why;

	if (!cred_url_ok(url)) {
		keyring_refuse(k, IKE_REASON_CERT_INVALID,
			       "it shows a certificate by what is no URL of HTTP");
		return false;
	}
	if (!k->fetches || !is_published(conf, hash, url))
		return refuse_url(k, url, "certificates are not fetched there (cert_uri_base)");
	if (fetched_data(k->fetched, &data, &ref) &&
	    !crypto_sha1(k->crypto, found, &data.data, 1) &&
	    bytes_equal(bytes_of(found, sizeof(found)), hash)) {
		k->peer_fetched |= !k->num_peer;
		return c->encoding == CERT_BUNDLE_AND_URL ? import_bundle(k, data.data)
							  : import_one(k, data.data);
	}
	if (fetched_want(k->fetched, &why, &ref, wall_s)) {
		k->waits = true;
		return refuse_url(k, url, "it is being fetched");
	}
	return refuse_url(k, url, why[0] ? why : "what is there has another hash");
}

/* All that are to be fetched are wanted at once. */
static bool import_certs(struct ike_keyring *k, const struct conf *conf, const struct ike_ask *ask,
			 int64_t wall_s)
{
	bool ok = true;

	for (uint32_t i = 0; i < ask->num_certs && i < IKE_MAX_CERTS; i++) {
		const struct ike_cert *c = &ask->certs[i];

		if (c->encoding == CERT_X509_SIGNATURE)
			ok = ok && import_one(k, c->data);
		else if (c->encoding == CERT_HASH_AND_URL || c->encoding == CERT_BUNDLE_AND_URL)
			ok = (ok || k->waits) && import_url(k, conf, c, wall_s) && ok;
		else if (c->encoding == CERT_OCSP_CONTENT)
			k->stapled[k->num_stapled++] = c->data;
	}
	return ok;
}

/* Raw public keys: those that are configured, or of these the one that the peer shows. */
static bool trust_pubkeys(struct ike_keyring *k, struct ike_answer *out, const struct ike_ask *ask)
{
	const struct conf_creds *pinned = &ask->config->remote.pubkeys;
	const struct ike_cert *shown = NULL;

	for (uint32_t i = 0; i < ask->num_certs; i++) {
		if (ask->certs[i].encoding == CERT_RAW_PUBLIC_KEY)
			shown = &ask->certs[i];
	}
	for (uint32_t i = 0; i < pinned->num; i++) {
		if (!shown || bytes_equal(shown->data, cred_spki(pinned->list[i])))
			trust_add(k, out, pinned->list[i], bytes_of(NULL, 0), true);
	}
	keyring_refuse(k, IKE_REASON_CERT_UNKNOWN_CA,
		       "the public key that it shows is not among `remote.pubkeys`");
	return out->num_trust > 0;
}

/* ---- any key (RFC 5386) ---------------------------------------------------------------------- */

/* What the peer shows first as its own: a raw key, or that of a certificate, of which nothing else
 * is believed. */
static struct bytes shown_key(struct ike_keyring *k, const struct conf *conf,
			      const struct ike_ask *ask, int64_t wall_s)
{
	for (uint32_t i = 0; i < ask->num_certs; i++) {
		if (ask->certs[i].encoding == CERT_RAW_PUBLIC_KEY)
			return ask->certs[i].data;
	}
	keyring_refuse(k, IKE_REASON_CERT_UNKNOWN_CA,
		       "it shows neither a public key nor a certificate");
	if (!import_certs(k, conf, ask, wall_s) || !k->num_peer)
		return bytes_of(NULL, 0);
	return cred_spki(k->peer[0]);
}

static bool holds_key(const struct conf_creds *creds, struct bytes spki)
{
	for (uint32_t i = 0; i < creds->num; i++) {
		const enum cred_kind kind = creds->list[i]->kind;

		if ((kind == CRED_CERT || kind == CRED_PUBKEY) &&
		    bytes_equal(cred_spki(creds->list[i]), spki))
			return true;
	}
	return false;
}

/* A key that is here is somebody's: of a peer that is asked for more than any key, or our own. */
static bool is_somebodys(const struct conf *conf, struct bytes spki)
{
	if (holds_key(&conf->creds, spki))
		return true;
	for (uint32_t i = 0; i < conf->num_conns; i++) {
		const struct conf_conn *c = conf->conns[i];

		if (holds_key(&c->remote.pubkeys, spki) || holds_key(&c->remote.certs, spki) ||
		    holds_key(&c->local.pubkeys, spki) || holds_key(&c->local.certs, spki))
			return true;
	}
	return false;
}

static bool was_seen_so(struct ike_keyring *k, const struct conf *conf, const struct ike_ask *ask,
			struct bytes spki)
{
	char why[PINS_WHY_MAX] = "it cannot be remembered";
	const enum err e = pins_check(why, conf->daemon.known_peers, ask->peer_id, spki);

	if (e)
		keyring_refuse(k, e == ERR_AUTH ? IKE_REASON_KEY_CHANGED : IKE_REASON_RESOURCES,
			       why);
	return !e;
}

/* Its signature was right: the key is its own. */
static bool answer_authorize(struct ike_keyring *k, const struct conf *conf,
			     const struct ike_ask *ask)
{
	const struct auth_proof_params *p = ask->proof ? auth_proof_params(ask->proof) : NULL;
	char why[PINS_WHY_MAX] = "it cannot be remembered";
	enum err e;

	if (!p || p->method != AUTH_METHOD_LEAPOFFAITH)
		return true;
	e = pins_keep(why, conf->daemon.known_peers, &p->peer, p->peer_key);
	if (e)
		keyring_refuse(k, e == ERR_AUTH ? IKE_REASON_KEY_CHANGED : IKE_REASON_RESOURCES,
			       why);
	return !e;
}

static bool trust_any(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
		      const struct ike_ask *ask, int64_t wall_s)
{
	const struct bytes spki = shown_key(k, conf, ask, wall_s);

	if (!spki.len)
		return false;
	if (is_somebodys(conf, spki)) {
		keyring_refuse(
			k, IKE_REASON_REFUSED,
			"its key is known here: it is not just anybody's, and wants a connection "
			"that asks for it");
		return false;
	}
	if (ask->config->remote.auth == CONF_AUTH_LEAPOFFAITH && !was_seen_so(k, conf, ask, spki))
		return false;
	k->trust[out->num_trust++] = (struct ike_trust){.key = spki};
	out->trust = k->trust;
	return true;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static bool lists(const struct conf_creds *creds, const struct cred *c)
{
	for (uint32_t i = 0; i < creds->num; i++) {
		if (bytes_equal(cred_der(creds->list[i]), cred_der(c)))
			return true;
	}
	return false;
}

/* A chain from these certificates, the end's own first. */
static bool trust_chain(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
			const struct ike_ask *ask, struct cred *const *certs, uint32_t num,
			int64_t wall_s)
{
	const struct conf_side *remote = &ask->config->remote;
	const struct chain_params p = {
		.certs = certs,
		.num_certs = num,
		.anchors = remote->cacerts.num ? &remote->cacerts : &conf->creds,
		.store = &conf->creds,
		.sign = &remote->sign,
		.revocation = remote->revocation,
		.fetched = k->fetches ? k->fetched : NULL,
		.stapled = k->stapled,
		.num_stapled = ask->config->ocsp_request ? k->num_stapled : 0,
		.wall_s = wall_s,
	};
	struct bytes ca;
	enum err e = chain_verify(&ca, &k->fault, &p);

	k->waits |= k->fault.waits;
	if (e && e != ERR_AUTH)
		keyring_refuse(k, IKE_REASON_RESOURCES, err_text(e));
	if (!e)
		trust_add(k, out, certs[0], ca, is_stored(conf, ask, certs[0]));
	return !e;
}

/* Certificates of the peer that are configured need lead nowhere, unless authorities are too. */
static bool trust_pinned(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
			 const struct ike_ask *ask, int64_t wall_s)
{
	const struct conf_side *remote = &ask->config->remote;

	if (k->num_peer && !lists(&remote->certs, k->peer[0])) {
		keyring_refuse(k, IKE_REASON_CERT_UNKNOWN_CA,
			       "the certificate that it sent is not among `remote.certs`");
		return false;
	}
	for (uint32_t i = 0; i < remote->certs.num; i++) {
		struct cred *c = remote->certs.list[i];

		if (k->num_peer && !bytes_equal(cred_der(c), cred_der(k->peer[0])))
			continue;
		if (chain_valid_at(&k->fault, c, wall_s))
			continue;
		if (!remote->cacerts.num)
			trust_add(k, out, c, bytes_of(NULL, 0), true);
		else
			(void)trust_chain(k, out, conf, ask, &c, 1, wall_s);
	}
	return out->num_trust > 0;
}

/* The peer sent nothing: its certificate may lie here. */
static bool trust_store(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
			const struct ike_ask *ask, int64_t wall_s)
{
	keyring_refuse(
		k, IKE_REASON_CERT_UNKNOWN_CA,
		"it sent no certificate, and there is none of it here (x509, `remote.certs`, "
		"`remote.pubkeys`)");
	for (uint32_t i = 0; i < conf->creds.num; i++) {
		struct cred *c = conf->creds.list[i];

		if (c->kind == CRED_CERT && cred_has_id(c, ask->peer_id))
			(void)trust_chain(k, out, conf, ask, &c, 1, wall_s);
	}
	return out->num_trust > 0;
}

static bool answer_chain(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
			 const struct ike_ask *ask, int64_t wall_s)
{
	const struct conf_side *remote = &ask->config->remote;

	if (conf_auth_rank(remote->auth) < CONF_RANK_PROVEN)
		return trust_any(k, out, conf, ask, wall_s);
	if (remote->pubkeys.num)
		return trust_pubkeys(k, out, ask);
	if (!import_certs(k, conf, ask, wall_s))
		return false;
	if (remote->certs.num)
		return trust_pinned(k, out, conf, ask, wall_s);
	if (k->num_peer)
		return trust_chain(k, out, conf, ask, k->peer, k->num_peer, wall_s);
	return trust_store(k, out, conf, ask, wall_s);
}

/* ---- any ask --------------------------------------------------------------------------------- */

static bool answer_secret(struct ike_answer *out, const struct conf *conf,
			  const struct ike_ask *ask)
{
	const struct conf_secret *s =
		conf_find_psk(conf, &out->secret_is_group, ask->local_id, ask->peer_id);

	if (s)
		out->secret = bytes_of(s->value.p, s->value.len);
	return s != NULL;
}

static bool answer_password(struct ike_answer *out, const struct conf *conf,
			    const struct ike_ask *ask)
{
	const struct conf_secret *s = conf_find_password(conf, ask->eap_id);

	if (s)
		out->secret = bytes_of(s->value.p, s->value.len);
	return s != NULL;
}

static bool answer_ppk(struct ike_answer *out, const struct conf *conf, const struct ike_ask *ask)
{
	const struct conf_secret *s = conf_find_ppk(conf, ask->ppk_id);

	if (s)
		out->secret = bytes_of(s->value.p, s->value.len);
	return s != NULL;
}

void ike_keyring_answer(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
			const struct ike_ask *ask, int64_t wall_s)
{
	forget(k);
	k->waits = false;
	*out = (struct ike_answer){.allow = true};
	if (ask->kind == IKE_ASK_SECRET)
		out->allow = answer_secret(out, conf, ask);
	else if (ask->kind == IKE_ASK_EAP_SECRET)
		out->allow = answer_password(out, conf, ask);
	else if (ask->kind == IKE_ASK_EAP_KEY)
		out->allow = own_key_for_tls(k, out, conf, ask, wall_s);
	else if (ask->kind == IKE_ASK_SIGN)
		out->allow = own_key_sign(k, out, conf, ask, wall_s);
	else if (ask->kind == IKE_ASK_VERIFY_CHAIN)
		out->allow = answer_chain(k, out, conf, ask, wall_s);
	else if (ask->kind == IKE_ASK_AUTHORIZE)
		out->allow = answer_authorize(k, conf, ask);
	else if (ask->kind == IKE_ASK_PPK)
		out->allow = answer_ppk(out, conf, ask);
	if (out->allow || ask->kind == IKE_ASK_SECRET || ask->kind == IKE_ASK_EAP_SECRET ||
	    ask->kind == IKE_ASK_PPK)
		return;
	out->reason = k->fault.reason;
	out->text = k->fault.text;
}

/* ---- what is fetched for it -------------------------------------------------------------------
 */

static_assert(IKE_WANT_URL_MAX == CRED_URL_MAX, "the same");

void ike_keyring_fetches(struct ike_keyring *k, bool fetches)
{
	k->fetches = fetches;
}

bool ike_keyring_waits(const struct ike_keyring *k)
{
	return k->waits;
}

bool ike_keyring_want(struct ike_keyring *k, struct ike_want *out)
{
	struct fetched_task t;

	if (!fetched_next(k->fetched, &t))
		return false;
	*out = (struct ike_want){.id = t.id, .url = t.url, .type = t.type, .body = t.body};
	return true;
}

void ike_keyring_put_back(struct ike_keyring *k, uint64_t id)
{
	fetched_put_back(k->fetched, id);
}

void ike_keyring_learn(struct ike_keyring *k, uint64_t id, struct bytes data, const char *why,
		       int64_t wall_s)
{
	fetched_learn(k->fetched, id, data, why, wall_s);
}

/* ---- what tokens do for it ------------------------------------------------------------------- */

void ike_keyring_tokens(struct ike_keyring *k, bool reached)
{
	k->reaches = reached;
}

bool ike_keyring_token(struct ike_keyring *k, struct ike_token_task *out)
{
	return tokens_next(k->tokens, out);
}

void ike_keyring_token_put_back(struct ike_keyring *k, uint64_t id)
{
	tokens_put_back(k->tokens, id);
}

void ike_keyring_token_learn(struct ike_keyring *k, uint64_t id, struct bytes data, const char *why,
			     int64_t wall_s)
{
	tokens_learn(k->tokens, id, data, why, wall_s);
}

void ike_keyring_round(struct ike_keyring *k)
{
	tokens_round(k->tokens);
}

bool ike_keyring_unclaimed(struct ike_keyring *k)
{
	return tokens_unclaimed(k->tokens);
}

void ike_keyring_flush(struct ike_keyring *k)
{
	fetched_forget(k->fetched);
	tokens_forget(k->tokens);
}
