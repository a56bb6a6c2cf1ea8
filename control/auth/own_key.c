/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/own_key.h"

#include <stdio.h>

#include "control/auth/keyring.h"
#include "control/auth/token_key.h"
#include "control/ike/wire/proto.h"

/* struct choice - a key, here or on a token, what certifies it (NULL: nothing), and how good that
 * is. */
struct choice {
	const struct cred *cert;
	const struct cred *public; /* the certificate or raw key */
	const struct cred *key;
	const struct conf_secret *token;
	struct sig_scheme scheme;
	uint32_t score;
};

static bool names_authority(const struct ike_ask *ask, const struct cred *ca)
{
	for (size_t i = 0; i + KEY_ID_LEN <= ask->authorities.len; i += KEY_ID_LEN) {
		if (bytes_equal(bytes_of(ask->authorities.p + i, KEY_ID_LEN),
				bytes_of(ca->info.spki_id, KEY_ID_LEN)))
			return true;
	}
	return false;
}

/* One whose authority the peer named is better than any other. */
static uint32_t score(const struct conf *conf, const struct ike_ask *ask, const struct cred *cert)
{
	const struct cred *above[CHAIN_MAX];
	uint32_t num = chain_above(above, CHAIN_MAX, cert, &conf->creds);

	for (uint32_t i = 0; i < num; i++) {
		if (names_authority(ask, above[i]))
			return 2;
	}
	return 1;
}

bool own_key_lets(const struct ike_ask *ask, const struct key_info *info)
{
	const struct conf_sign *sign = &ask->config->local.sign;

	return (sign->kinds & KEY_BIT(info->kind)) &&
	       (info->kind != KEY_RSA || info->bits >= sign->rsa_bits);
}

/* What a token is asked is asked again when it has answered. */
static bool refuse_token(struct ike_keyring *k, enum tokens_state state, const char *why)
{
	char text[TOKENS_WHY_MAX + 40];

	k->waits |= state == TOKENS_WAITS;
	snprintf(text, sizeof(text), "the token: %s",
		 state == TOKENS_WAITS ? "it has not answered yet" : why);
	keyring_refuse(k, IKE_REASON_NO_KEY, text);
	return false;
}

/* The private key, here or on a token; false: there is none, or none yet. */
static bool find_private(struct ike_keyring *k, struct choice *c, const struct conf *conf,
			 int64_t wall_s)
{
	const char *why = "";
	enum tokens_state state;

	c->key = conf_private_key(conf, c->public);
	if (c->key)
		return true;
	state = k->reaches ? token_key_find(k->tokens, &c->token, &why, conf, c->public, wall_s)
			   : TOKENS_NOT;
	if (state == TOKENS_HERE)
		return true;
	if (state == TOKENS_WAITS || why[0])
		return refuse_token(k, state, why);
	keyring_refuse(k, IKE_REASON_NO_KEY, "there is no private key for its certificate or key");
	return false;
}

/* ANNOUNCED_SCORE - what the peer has announced is better than anything else about a key. */
#define ANNOUNCED_SCORE 4

/* As the peer has announced (RFC 9593) that it lets; what it has not is tried all the same, if
 * there is nothing else. */
static bool is_announced(struct sig_scheme *out, const struct ike_ask *ask,
			 const struct key_info *info)
{
	const struct conf_sign *sign = &ask->config->local.sign;
	const uint32_t not_ours = sign->pss ? AUTH_FORM_BITS(SIG_RSA_PKCS1) : 0;

	return auth_sig_announced_choose(out, info->kind, ask->peer_hashes, sign->hashes,
					 ask->peer_schemes & ~not_ours);
}

static void try_one(struct ike_keyring *k, struct choice *best, const struct conf *conf,
		    const struct ike_ask *ask, const struct cred *public, int64_t wall_s)
{
	const struct conf_sign *sign = &ask->config->local.sign;
	struct choice c = {.public = public};
	char why[KEY_WHY_MAX];
	bool announced;

	if (public->kind != CRED_PUBKEY)
		c.cert = public;
	if (!find_private(k, &c, conf, wall_s))
		return;
	if (!own_key_lets(ask, &public->info)) {
		keyring_refuse(k, IKE_REASON_NO_KEY, "its key is not what `local.auth` asks for");
		return;
	}
	announced = is_announced(&c.scheme, ask, &public->info);
	if (!announced &&
	    !auth_sig_choose(&c.scheme, why, public->info.kind, ask->peer_hashes, sign->hashes)) {
		keyring_refuse(k, IKE_REASON_NO_KEY, why);
		return;
	}
	c.score = (c.cert ? score(conf, ask, c.cert) : 1) + (announced ? ANNOUNCED_SCORE : 0);
	if (c.score > best->score)
		*best = c;
}

/* Without certificates or keys of the connection's own: any that holds our identity. */
static void try_store(struct ike_keyring *k, struct choice *best, const struct conf *conf,
		      const struct ike_ask *ask, int64_t wall_s)
{
	for (uint32_t i = 0; i < conf->creds.num; i++) {
		const struct cred *c = conf->creds.list[i];

		if (c->kind == CRED_CERT && cred_has_id(c, ask->local_id))
			try_one(k, best, conf, ask, c, wall_s);
	}
}

static void try_token(struct ike_keyring *k, struct choice *best, const struct conf *conf,
		      const struct ike_ask *ask, const struct conf_token *where, int64_t wall_s)
{
	const char *why = "this program speaks to no tokens";
	struct cred *cert = NULL;
	enum tokens_state state =
		k->reaches ? token_key_cert(k->tokens, &cert, &why, conf, where, wall_s)
			   : TOKENS_NOT;

	if (state != TOKENS_HERE) {
		refuse_token(k, state, why);
		return;
	}
	k->own[k->num_own++] = cred_get(cert);
	if (cred_has_id(cert, ask->local_id))
		try_one(k, best, conf, ask, cert, wall_s);
	else
		keyring_refuse(k, IKE_REASON_NO_KEY,
			       "the certificate on the token does not hold that identity");
}

static void choose(struct ike_keyring *k, struct choice *best, const struct conf *conf,
		   const struct ike_ask *ask, int64_t wall_s)
{
	const struct conf_side *local = &ask->config->local;

	keyring_refuse(k, IKE_REASON_NO_KEY,
		       "there is no certificate with that identity (x509, `local.certs`) and no "
		       "public key "
		       "(`local.pubkeys`)");
	for (uint32_t i = 0; i < local->certs.num; i++) {
		if (cred_has_id(local->certs.list[i], ask->local_id))
			try_one(k, best, conf, ask, local->certs.list[i], wall_s);
	}
	for (uint32_t i = 0; i < local->num_tokens && i < CONF_MAX_TOKENS; i++)
		try_token(k, best, conf, ask, &local->tokens[i], wall_s);
	for (uint32_t i = 0; i < local->pubkeys.num && !best->score; i++)
		try_one(k, best, conf, ask, local->pubkeys.list[i], wall_s);
	if (!local->certs.num && !local->pubkeys.num && !local->num_tokens)
		try_store(k, best, conf, ask, wall_s);
}

bool own_key_is_sent(const struct ike_ask *ask, uint8_t encoding)
{
	switch (ask->config->send_cert) {
	case CONF_SEND_CERT_ALWAYS:
		return true;
	case CONF_SEND_CERT_NEVER:
		return false;
	case CONF_SEND_CERT_IFASKED:
	default:
		return encoding == CERT_X509_SIGNATURE ? ask->asked_x509 : ask->asked_raw;
	}
}

/* A certificate as it is sent: where its authority publishes it, and the peer fetches, by the hash
 * of it and a URL that ends with that hash (RFC 7296 3.6). */
static struct ike_cert show(struct ike_keyring *k, uint8_t place[static SHA1_LEN + CRED_URL_MAX],
			    const struct ike_ask *ask, const struct cred *cert,
			    const struct cred *issuer)
{
	const struct bytes der = cred_der(cert);
	const char *base = issuer && issuer->cert_bases.num ? issuer->cert_bases.list[0] : NULL;
	size_t len;

	if (!ask->peer_fetches || !base || crypto_sha1(k->crypto, place, &der, 1) ||
	    keyring_place((char *)place + SHA1_LEN, &len, base, place))
		return (struct ike_cert){.encoding = CERT_X509_SIGNATURE, .data = der};
	return (struct ike_cert){.encoding = CERT_HASH_AND_URL,
				 .data = bytes_of(place, SHA1_LEN + len)};
}

/* The certificate and those above it; the root is the peer's own. */
static void add_certs(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
		      const struct ike_ask *ask, const struct choice *c)
{
	const struct cred *above[CHAIN_MAX - 1];
	uint32_t num = c->cert ? chain_above(above, CHAIN_MAX - 1, c->cert, &conf->creds) : 0;

	k->certs[out->num_certs++] =
		c->cert ? show(k, k->places[0], ask, c->cert, num ? above[0] : NULL)
			: (struct ike_cert){.encoding = CERT_RAW_PUBLIC_KEY,
					    .data = cred_der(c->public)};
	for (uint32_t i = 0; i < num && !above[i]->is_root; i++, out->num_certs++)
		k->certs[out->num_certs] = show(k, k->places[out->num_certs], ask, above[i],
						i + 1 < num ? above[i + 1] : NULL);
	out->certs = k->certs;
}

/* What an OCSP responder says of our certificate, to a peer that asks (RFC 4806): behind all
 * certificates. True if it is worth to wait for it; the peer does without it if nothing comes. */
static bool add_staple(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
		       const struct ike_ask *ask, const struct choice *c, int64_t wall_s)
{
	static const struct conf_sign any = {.kinds = KEY_BITS_ANY, .hashes = SIG_HASHES_ALL};
	const struct cred *above = NULL;
	struct cred *certs[2] = {(struct cred *)(uintptr_t)c->cert};
	const struct chain_params p = {.certs = certs,
				       .num_certs = ARRAY_LEN(certs),
				       .store = &conf->creds,
				       .sign = &any,
				       .fetched = k->fetched,
				       .wall_s = wall_s};
	struct bytes said;

	if (!k->fetches || !ask->asked_ocsp || !ask->config->ocsp_reply || !c->cert ||
	    !chain_above(&above, 1, c->cert, &conf->creds))
		return false;
	certs[1] = (struct cred *)(uintptr_t)above;
	if (chain_staple(&said, &p))
		return true;
	if (said.len && said.len <= IKE_CERT_LEN_MAX && out->num_certs < IKE_MAX_CERTS)
		k->certs[out->num_certs++] =
			(struct ike_cert){.encoding = CERT_OCSP_CONTENT, .data = said};
	return false;
}

/* A token that signs wrongly would look to the peer like somebody else. */
static enum err sign_by_token(struct ike_keyring *k, uint8_t sig[static SIG_MAX], size_t *out_len,
			      const struct conf *conf, const struct choice *c,
			      const struct ike_ask *ask, int64_t wall_s)
{
	const struct token_key_signing what = {.secret = c->token,
					       .public = c->public,
					       .scheme = c->scheme,
					       .octets = ask->octets};
	struct sig_scheme der = c->scheme;
	struct bytes made = {0};
	const char *why;
	enum tokens_state state = token_key_sign(k->tokens, &made, &why, conf, &what, wall_s);

	der.form = der.form == SIG_ECDSA_RAW ? SIG_ECDSA : der.form;
	if (state == TOKENS_HERE &&
	    (made.len > SIG_MAX ||
	     sig_verify(k->crypto, der, cred_spki(c->public), ask->octets, made))) {
		state = TOKENS_NOT;
		why = "what it signed is not signed by its key";
	}
	if (state != TOKENS_HERE) {
		refuse_token(k, state, why);
		return ERR_AGAIN;
	}
	if (c->scheme.form == SIG_ECDSA_RAW)
		return sig_ecdsa_raw(sig, out_len, c->public->info.kind, made);
	memcpy(sig, made.p, made.len);
	*out_len = made.len;
	return ERR_OK;
}

/* Errors: AGAIN (a token has not signed; why was said), CRYPTO. */
static enum err sign(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
		     const struct choice *c, const struct ike_ask *ask, int64_t wall_s)
{
	uint8_t sig[SIG_MAX];
	struct writer w;
	size_t len;
	enum err e = c->key ? sig_sign(k->crypto, sig, &len, c->scheme,
				       bytes_of(c->key->key.p, c->key->key.len), ask->octets)
			    : sign_by_token(k, sig, &len, conf, c, ask, wall_s);

	if (e)
		return e;
	out->auth_method = auth_sig_method(c->scheme, c->public->info.kind);
	writer_init(&w, k->auth, sizeof(k->auth));
	auth_sig_write(&w, out->auth_method, c->scheme, bytes_of(sig, len));
	out->key = cred_spki(c->public);
	return writer_finish(&w, &out->auth);
}

/* What is shown beside the signature; false: it is waited for, before a signature is made, for
 * whoever waits is asked again whenever anything comes. */
static bool add_shown(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
		      const struct ike_ask *ask, const struct choice *c, int64_t wall_s)
{
	if (!own_key_is_sent(ask, c->cert ? CERT_X509_SIGNATURE : CERT_RAW_PUBLIC_KEY))
		return true;
	add_certs(k, out, conf, ask, c);
	k->waits = add_staple(k, out, conf, ask, c, wall_s);
	if (k->waits)
		keyring_refuse(k, IKE_REASON_RESOURCES,
			       "what an OCSP responder says of its certificate has not come yet");
	return !k->waits;
}

bool own_key_sign(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
		  const struct ike_ask *ask, int64_t wall_s)
{
	struct choice best = {.score = 0};
	enum err e;

	choose(k, &best, conf, ask, wall_s);
	if (!best.score)
		return false;
	k->waits = false; /* for others, which are not needed */
	if (!add_shown(k, out, conf, ask, &best, wall_s))
		return false;
	e = sign(k, out, conf, &best, ask, wall_s);
	if (e && e != ERR_AGAIN)
		keyring_refuse(k, IKE_REASON_RESOURCES, err_text(e));
	return !e;
}

static bool has_tokens(const struct conf *conf, const struct ike_ask *ask)
{
	bool has = ask->config->local.num_tokens;

	for (uint32_t i = 0; i < conf->num_secrets; i++)
		has |= conf->secrets[i]->kind == CONF_SECRET_TOKEN;
	return has;
}

/* TLS signs itself, with whatever hash is agreed on there, and always shows the certificate. What
 * is on a token is of no use to it: nobody waits for that, nor is it better than a key in a file.
 */
bool own_key_for_tls(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
		     const struct ike_ask *ask, int64_t wall_s)
{
	const bool reaches = k->reaches;
	struct ike_ask any = *ask;
	struct choice best = {.score = 0};

	any.peer_hashes = SIG_HASHES_ALL;
	any.peer_fetches = false; /* TLS knows certificates alone */
	k->reaches = false;
	choose(k, &best, conf, &any, wall_s);
	k->reaches = reaches;
	if (!best.score && has_tokens(conf, ask))
		keyring_refuse(
			k, IKE_REASON_NO_KEY,
			"there is no certificate of it with a key in a file, and a token signs for "
			"IKE alone: EAP-TLS takes a key that lies in a file");
	else if (best.score && !best.cert)
		keyring_refuse(k, IKE_REASON_NO_KEY,
			       "EAP-TLS takes a certificate, and there is a key alone");
	if (!best.key || !best.cert)
		return false;
	add_certs(k, out, conf, &any, &best);
	out->secret = bytes_of(best.key->key.p, best.key->key.len);
	return true;
}
