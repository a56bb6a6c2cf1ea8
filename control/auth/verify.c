/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/verify.h"

#include <sodium.h>
#include <stdio.h>

#include "base/alloc.h"
#include "control/auth/cred.h"
#include "control/ike/wire/payload.h"

/* The AUTH value is the one that this key makes. */
static enum err check_mac(struct crypto_ctx *c, const struct auth_psk_params *p, struct bytes key)
{
	uint8_t expected[PRF_LEN_MAX];
	bool equal;
	enum err e = auth_psk_compute(c, expected, &p->octets, key);

	if (e)
		return e;
	equal = secret_equal(expected, prf_len(p->octets.prf), p->auth.p, p->auth.len);
	secret_wipe(expected, sizeof(expected));
	return equal ? ERR_OK : ERR_AUTH;
}

static enum err prove(struct auth_proof **out, const struct auth_proof_params *proven)
{
	struct auth_proof *proof = auth_proof_new(proven);

	if (!proof)
		return ERR_NOMEM;
	*out = proof;
	return ERR_OK;
}

enum err auth_verify_psk(struct crypto_ctx *c, struct auth_proof **out,
			 const struct auth_psk_params *params)
{
	struct auth_proof_params proven = {.method = params->psk_is_group ? AUTH_METHOD_GROUP_PSK
									  : AUTH_METHOD_PSK,
					   .initiator = params->initiator,
					   .local = *params->local};
	enum err e;

	if (params->method != AUTH_SHARED_KEY_MIC)
		return ERR_UNSUPPORTED;
	if (!params->psk.len)
		return ERR_AUTH;
	e = wire_id_parse(&proven.peer, params->octets.id_body);
	if (!e)
		e = check_mac(c, params, params->psk);
	return e ? e : prove(out, &proven);
}

enum err auth_verify_null(struct crypto_ctx *c, struct auth_proof **out,
			  const struct auth_psk_params *params)
{
	const struct auth_proof_params proven = {.method = AUTH_METHOD_NONE,
						 .initiator = params->initiator,
						 .local = *params->local,
						 .peer = {.type = ID_NULL}};
	const struct secret *sk_p = params->octets.sk_p;
	enum err e;

	if (params->method != AUTH_NULL)
		return ERR_UNSUPPORTED;
	e = check_mac(c, params, bytes_of(sk_p->p, sk_p->len));
	return e ? e : prove(out, &proven);
}

enum err auth_check_eap(struct crypto_ctx *c, const struct auth_psk_params *params)
{
	if (params->method != AUTH_SHARED_KEY_MIC)
		return ERR_UNSUPPORTED;
	if (!params->psk.len)
		return ERR_AUTH;
	return check_mac(c, params, params->psk);
}

enum err auth_verify_eap(struct crypto_ctx *c, struct auth_proof **out,
			 const struct auth_psk_params *params)
{
	struct auth_proof_params proven = {.method = AUTH_METHOD_EAP,
					   .eap = params->eap,
					   .initiator = params->initiator,
					   .local = *params->local,
					   .local_key = params->local_key};
	enum err e = ERR_OK;

	if (params->proven)
		proven.peer = *params->proven;
	else
		e = wire_id_parse(&proven.peer, params->octets.id_body);
	if (!e)
		e = auth_check_eap(c, params);
	return e ? e : prove(out, &proven);
}

enum err auth_verify_resumed(struct crypto_ctx *c, struct auth_proof **out,
			     const struct auth_psk_params *params,
			     const struct auth_proof_params *proven)
{
	uint8_t expected[PRF_LEN_MAX];
	bool equal;
	enum err e;

	if (params->method != AUTH_SHARED_KEY_MIC)
		return ERR_UNSUPPORTED;
	e = auth_resumed_compute(c, expected, &params->octets);
	if (e)
		return e;
	equal = secret_equal(expected, prf_len(params->octets.prf), params->auth.p,
			     params->auth.len);
	secret_wipe(expected, sizeof(expected));
	return equal ? prove(out, proven) : ERR_AUTH;
}

enum err auth_octets_signed(struct crypto_ctx *c, uint8_t **out, size_t *out_len,
			    const struct auth_octets *octets)
{
	const size_t len = prf_len(octets->prf);
	uint8_t maced_id[PRF_LEN_MAX], *at;
	const struct bytes parts[] = {octets->message, octets->nonce, bytes_of(maced_id, len),
				      octets->int_auth};
	size_t total = 0;
	enum err e;

	if (!len)
		return ERR_UNSUPPORTED;
	e = prf_compute(c, maced_id, octets->prf, bytes_of(octets->sk_p->p, octets->sk_p->len),
			&octets->id_body, 1);
	if (e)
		return e;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		total += parts[i].len;
	*out = at = mem_alloc(total);
	if (!at)
		return ERR_NOMEM;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (parts[i].len)
			memcpy(at, parts[i].p, parts[i].len);
		at += parts[i].len;
	}
	*out_len = total;
	return ERR_OK;
}

/* struct signer - the peer's public key, from its certificate or from the configuration. */
struct signer {
	struct cred *cert; /* NULL: a raw key */
	struct key_info info;
	struct bytes spki;
};

/* The certificate, which costs as much to take apart as a signature to verify. */
static enum err take_cert(struct signer *out, char why[static KEY_WHY_MAX],
			  const struct auth_signature_params *p)
{
	if (!p->parsed)
		return cred_from_peer(&out->cert, why, p->cert);
	out->cert = cred_get(p->parsed);
	return ERR_OK;
}

/* Whoever it is: known by its key alone, or by the name under which the key is remembered. Nobody
 * vouches for it, so that the costly part of the check is left out (S27): a modulus that is none
 * harms who made it. */
static enum err find_anybody(struct signer *out, char why[static KEY_WHY_MAX],
			     const struct auth_signature_params *p, struct ike_id *peer)
{
	enum err e = ERR_OK;

	if (p->cert.len)
		e = take_cert(out, why, p);
	if (e)
		return e;
	out->spki = out->cert ? cred_spki(out->cert) : p->key;
	e = key_check_quick(&out->info, why, out->spki);
	if (e)
		return e;
	if (p->proven == AUTH_METHOD_LEAPOFFAITH)
		return ERR_OK;
	*peer = (struct ike_id){.type = ID_KEY_ID, .len = crypto_hash_sha256_BYTES};
	crypto_hash_sha256(peer->data, out->spki.p, out->spki.len);
	return ERR_OK;
}

static enum err find_signer(struct signer *out, char why[static KEY_WHY_MAX],
			    const struct auth_signature_params *p, const struct ike_id *peer)
{
	enum err e;

	if (!p->cert.len) {
		out->spki = p->key;
		return key_check(&out->info, why, p->key);
	}
	e = take_cert(out, why, p);
	if (e)
		return e;
	out->spki = cred_spki(out->cert);
	/* All of it now: who vouches for the key has been found. Of others than RSA's there is no
	 * more than what was looked at. */
	out->info = out->cert->info;
	e = out->info.kind == KEY_RSA ? key_check(&out->info, why, out->spki) : ERR_OK;
	if (e)
		return e;
	if (cred_has_id(out->cert, peer))
		return ERR_OK;
	snprintf(why, KEY_WHY_MAX, "its certificate does not hold that identity");
	return ERR_NOT_FOUND;
}

enum err auth_check_cert(char why[static KEY_WHY_MAX], struct bytes cert, const struct ike_id *id)
{
	const struct auth_signature_params p = {.cert = cert};
	struct signer s = {.cert = NULL};
	enum err e = find_signer(&s, why, &p, id);

	cred_put(s.cert);
	return e;
}

/* struct word - a bit of a set, and what people call it. */
struct word {
	uint32_t bit;
	const char *text;
};

/* words_of - those that are in the set, with commas; cut to fit. */
static const char *words_of(char *buf, size_t size, const struct word *words, size_t num,
			    uint32_t set)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < num && at < size; i++) {
		if (set & words[i].bit)
			at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "",
					       words[i].text);
	}
	return buf;
}

static void wrong_kind(char why[static KEY_WHY_MAX], enum key_kind kind, uint32_t let)
{
	struct word words[KEY_NUM_KINDS];
	char names[100];

	for (unsigned i = 0; i < KEY_NUM_KINDS; i++)
		words[i] = (struct word){KEY_BIT(i), key_kind_name((enum key_kind)i)};
	snprintf(why, KEY_WHY_MAX, "its key is %s, and `auth` lets %s alone", key_kind_name(kind),
		 words_of(names, sizeof(names), words, ARRAY_LEN(words), let));
}

static void wrong_hash(char why[static KEY_WHY_MAX], enum sig_hash hash, uint32_t let)
{
	static const struct word words[] = {{SIG_HASH_BIT(SIG_SHA2_256), "SHA-256"},
					    {SIG_HASH_BIT(SIG_SHA2_384), "SHA-384"},
					    {SIG_HASH_BIT(SIG_SHA2_512), "SHA-512"},
					    {SIG_HASH_BIT(SIG_IDENTITY), "EdDSA's own hash"}};
	char has[60], names[60];

	snprintf(why, KEY_WHY_MAX, "its signature has %s, and `auth` lets %s alone",
		 words_of(has, sizeof(has), words, ARRAY_LEN(words), SIG_HASH_BIT(hash)),
		 words_of(names, sizeof(names), words, ARRAY_LEN(words), let));
}

static enum err check_strength(char why[static KEY_WHY_MAX], const struct auth_signature_params *p,
			       const struct signer *s, const struct auth_sig *sig)
{
	const bool ecdsa = KEY_BIT(s->info.kind) & KEY_BITS_ECDSA;

	if (!(p->kinds & KEY_BIT(s->info.kind)))
		wrong_kind(why, s->info.kind, p->kinds);
	else if (!(p->hashes & SIG_HASH_BIT(sig->scheme.hash)))
		wrong_hash(why, sig->scheme.hash, p->hashes);
	else if (p->pss && sig->scheme.form == SIG_RSA_PKCS1)
		snprintf(why, KEY_WHY_MAX, "its signature is not RSASSA-PSS, as `auth` demands");
	else if ((s->info.kind == KEY_RSA && s->info.bits < p->rsa_bits) ||
		 (ecdsa && s->info.bits < p->ecdsa_bits))
		snprintf(why, KEY_WHY_MAX, "its key has %u bits, and `auth` demands %u",
			 s->info.bits, ecdsa ? p->ecdsa_bits : p->rsa_bits);
	else
		return ERR_OK;
	return ERR_LIMIT;
}

static enum err check_signature(struct crypto_ctx *c, char why[static KEY_WHY_MAX],
				const struct auth_signature_params *p, const struct signer *s)
{
	struct auth_sig sig;
	uint8_t *octets;
	size_t len;
	enum err e = auth_sig_parse(&sig, p->method, p->auth);

	if (e) {
		snprintf(why, KEY_WHY_MAX,
			 p->method == AUTH_RSA_SIGNATURE
				 ? "it signs with SHA-1 (method 1): RFC 7427 is needed there"
				 : "its AUTH value has an unknown method or algorithm");
		return e;
	}
	if (sig.raw_kind != KEY_NONE && sig.raw_kind != s->info.kind)
		e = ERR_AUTH;
	if (!e)
		e = check_strength(why, p, s, &sig);
	if (!e)
		e = auth_octets_signed(c, &octets, &len, &p->octets);
	if (e)
		return e;
	e = sig_verify(c, sig.scheme, s->spki, bytes_of(octets, len), sig.sig);
	mem_free(octets);
	return e == ERR_UNSUPPORTED ? ERR_AUTH : e;
}

enum err auth_verify_signature(struct crypto_ctx *c, struct auth_proof **out,
			       char why[static KEY_WHY_MAX],
			       const struct auth_signature_params *params)
{
	struct auth_proof_params proven = {.initiator = params->initiator,
					   .local = *params->local,
					   .local_key = params->local_key,
					   .ca = params->ca};
	const bool anybody =
		params->proven == AUTH_METHOD_BTNS || params->proven == AUTH_METHOD_LEAPOFFAITH;
	struct signer s = {.cert = NULL};
	struct auth_proof *proof = NULL;
	enum err e = wire_id_parse(&proven.peer, params->octets.id_body);

	why[0] = '\0';
	if (!e && anybody)
		e = find_anybody(&s, why, params, &proven.peer);
	else if (!e)
		e = find_signer(&s, why, params, &proven.peer);
	if (!e)
		e = check_signature(c, why, params, &s);
	if (!e) {
		proven.method = params->proven;
		proven.peer_key = s.spki;
		if (s.cert && !anybody)
			proven.subject = cred_subject(s.cert);
		proof = auth_proof_new(&proven);
		e = proof ? ERR_OK : ERR_NOMEM;
	}
	cred_put(s.cert);
	if (!e)
		*out = proof;
	return e;
}

static enum err replace(struct auth_proof **proof, const struct auth_proof_params *proven)
{
	struct auth_proof *more = auth_proof_new(proven);

	if (!more)
		return ERR_NOMEM;
	auth_proof_put(*proof);
	*proof = more;
	return ERR_OK;
}

enum err auth_proof_sign(struct auth_proof **proof, struct bytes local_key)
{
	struct auth_proof_params proven = *auth_proof_params(*proof);

	proven.local_key = local_key;
	return replace(proof, &proven);
}

enum err auth_proof_mix(struct auth_proof **proof)
{
	struct auth_proof_params proven = *auth_proof_params(*proof);

	proven.ppk = true;
	return replace(proof, &proven);
}
