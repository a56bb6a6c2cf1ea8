/* SPDX-License-Identifier: Apache-2.0 */
/* binding.c - what an application may know of an authentication: channel bindings (RFC 5056), a
 * short name of the peer's key, names in certificates. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <string.h>

#include "control/auth/dn.h"
#include "control/auth/key.h"
#include "control/engine.h"

#define B64 sodium_base64_VARIANT_ORIGINAL_NO_PADDING

/* ---- channel bindings ------------------------------------------------------------------------ */

/* The initiator's key comes first, so that both ends have the same. */
static enum err ends_of(struct bytes out[2], const struct auth_proof *proof)
{
	const struct auth_proof_params *p = auth_proof_params(proof);

	if (!p->local_key.len || !p->peer_key.len)
		return ERR_NOT_FOUND;
	out[p->initiator ? 0 : 1] = p->local_key;
	out[p->initiator ? 1 : 0] = p->peer_key;
	return ERR_OK;
}

static enum err bind_keys(uint8_t *out, size_t cap, size_t *out_len, const struct bytes ends[2])
{
	if (ends[0].len + ends[1].len > cap)
		return ERR_LIMIT;
	memcpy(out, ends[0].p, ends[0].len);
	memcpy(out + ends[0].len, ends[1].p, ends[1].len);
	*out_len = ends[0].len + ends[1].len;
	return ERR_OK;
}

static enum err bind_hash(uint8_t *out, size_t cap, size_t *out_len, const struct bytes ends[2])
{
	crypto_hash_sha256_state state;

	if (cap < crypto_hash_sha256_BYTES)
		return ERR_LIMIT;
	crypto_hash_sha256_init(&state);
	for (unsigned i = 0; i < 2; i++)
		crypto_hash_sha256_update(&state, ends[i].p, ends[i].len);
	crypto_hash_sha256_final(&state, out);
	*out_len = crypto_hash_sha256_BYTES;
	return ERR_OK;
}

enum err ike_channel_binding(uint8_t *out, size_t cap, size_t *out_len,
			     const struct auth_proof *proof, enum ike_binding form)
{
	struct bytes ends[2];
	enum err e = ends_of(ends, proof);

	if (e)
		return e;
	return form == IKE_BINDING_KEYS ? bind_keys(out, cap, out_len, ends)
					: bind_hash(out, cap, out_len, ends);
}

/* ---- a name for the key ---------------------------------------------------------------------- */

/* modulus - of an RSA key, as RFC 3110 2 writes it: the most significant byte first, no zeros in
 * front; 0 bytes of any other key. */
static size_t modulus(uint8_t out[static KEY_RSA_BITS_MAX / 8], struct bytes spki)
{
	const unsigned char *at = spki.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
	BIGNUM *n = NULL;
	int len = 0;

	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
	    BN_num_bits(n) <= KEY_RSA_BITS_MAX)
		len = BN_bn2bin(n, out);
	BN_free(n);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return len > 0 ? (size_t)len : 0;
}

enum err ike_pubkey_id(char out[static IKE_PUBKEY_ID_MAX], const struct auth_proof *proof)
{
	const struct bytes key = auth_proof_params(proof)->peer_key;
	uint8_t name[KEY_RSA_BITS_MAX / 8];
	char text[16];
	size_t len;

	if (!key.len)
		return ERR_NOT_FOUND;
	len = modulus(name, key);
	if (!len)
		crypto_hash_sha256(name, key.p, key.len);
	sodium_bin2base64(text, sizeof(text), name, 7, B64);
	memcpy(out, text, IKE_PUBKEY_ID_MAX - 1);
	out[IKE_PUBKEY_ID_MAX - 1] = 0;
	return ERR_OK;
}

/* ---- names in certificates ------------------------------------------------------------------- */

static enum err name_text(char *buf, size_t size, struct bytes der)
{
	if (!der.len)
		return ERR_NOT_FOUND;
	dn_text(buf, size, der);
	return buf[0] ? ERR_OK : ERR_NOT_FOUND;
}

enum err ike_certificate_dn(char *buf, size_t size, const struct auth_proof *proof)
{
	return name_text(buf, size, auth_proof_params(proof)->subject);
}

enum err ike_authority_dn(char *buf, size_t size, const struct auth_proof *proof)
{
	return name_text(buf, size, auth_proof_params(proof)->ca);
}
