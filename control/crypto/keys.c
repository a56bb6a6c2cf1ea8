/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/keys.h"

#include "control/crypto/prf.h"

size_t encr_key_len(struct conf_encr encr)
{
	return aead_alg_material_len(encr_aead_alg(encr));
}

#define WITH_HASH(encr, bits, name)                                              \
	{{encr, bits, INTEG_HMAC_SHA2_256_128}, AEAD_##name##_SHA2_256},         \
		{{encr, bits, INTEG_HMAC_SHA2_384_192}, AEAD_##name##_SHA2_384}, \
	{                                                                        \
		{encr, bits, INTEG_HMAC_SHA2_512_256}, AEAD_##name##_SHA2_512    \
	}

enum aead_alg encr_aead_alg(struct conf_encr encr)
{
	static const struct {
		struct conf_encr encr;
		enum aead_alg alg;
	} known[] = {
		{{ENCR_AES_GCM_16, 128, INTEG_NONE}, AEAD_AES_GCM_16_128},
		{{ENCR_AES_GCM_16, 256, INTEG_NONE}, AEAD_AES_GCM_16_256},
		{{ENCR_CHACHA20_POLY1305, 0, INTEG_NONE}, AEAD_CHACHA20_POLY1305},
		WITH_HASH(ENCR_AES_CBC, 128, AES_CBC_128),
		WITH_HASH(ENCR_AES_CBC, 192, AES_CBC_192),
		WITH_HASH(ENCR_AES_CBC, 256, AES_CBC_256),
		WITH_HASH(ENCR_NULL, 0, NULL),
		{{ENCR_AES_GMAC, 128, INTEG_NONE}, AEAD_AES_GMAC_128},
		{{ENCR_AES_GMAC, 192, INTEG_NONE}, AEAD_AES_GMAC_192},
		{{ENCR_AES_GMAC, 256, INTEG_NONE}, AEAD_AES_GMAC_256},
		{{ENCR_AES_GCM_16_IIV, 128, INTEG_NONE}, AEAD_AES_GCM_16_IIV_128},
		{{ENCR_AES_GCM_16_IIV, 256, INTEG_NONE}, AEAD_AES_GCM_16_IIV_256},
		{{ENCR_CHACHA20_POLY1305_IIV, 0, INTEG_NONE}, AEAD_CHACHA20_POLY1305_IIV},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const struct conf_encr *k = &known[i].encr;

		if (k->id == encr.id && k->key_bits == encr.key_bits && k->integ == encr.integ)
			return known[i].alg;
	}
	return AEAD_NONE;
}

/* view - its bytes; NULL has none. */
static struct bytes view(const struct secret *s)
{
	return s ? bytes_of(s->p, s->len) : bytes_of(NULL, 0);
}

/* cut - the next len bytes of keying material as a secret of its own. */
static enum err cut(struct secret *out, const struct secret *material, size_t *at, size_t len)
{
	enum err e = secret_init_copy(out, material->p + *at, len);

	*at += len;
	return e;
}

/* SKEYSEED = prf(Ni | Nr, g^ir) for a first IKE SA (2.14), or, under the prf and SK_d of the IKE SA
 * that is re-keyed, prf(SK_d, g^ir | Ni | Nr) (2.18), with the results of additional key exchanges
 * behind it (RFC 9370 2.2.4), or, of one that is resumed, prf(SK_d, "Resumption" | Ni | Nr) (RFC
 * 5723 5.1). *out_len is that prf's output. */
static enum err skeyseed(struct crypto_ctx *c, uint8_t out[static PRF_LEN_MAX], size_t *out_len,
			 const struct ike_keys_params *p)
{
	static const char label[] = "Resumption";
	uint8_t nonces[512];
	const struct bytes dh = p->resumed ? bytes_of(label, sizeof(label) - 1) : view(p->dh);
	const struct bytes parts[] = {dh, p->ni, p->nr, view(p->more)};

	if (p->resumed) {
		*out_len = prf_len(p->prf);
		return prf_compute(c, out, p->prf, view(p->resumed), parts, 3);
	}
	if (p->rekeyed) {
		*out_len = prf_len(p->rekeyed->prf);
		return prf_compute(c, out, p->rekeyed->prf, view(&p->rekeyed->sk_d), parts, 4);
	}
	if (p->ni.len > sizeof(nonces) / 2 || p->nr.len > sizeof(nonces) / 2)
		return ERR_LIMIT;
	memcpy(nonces, p->ni.p, p->ni.len);
	memcpy(nonces + p->ni.len, p->nr.p, p->nr.len);
	*out_len = prf_len(p->prf);
	return prf_compute(c, out, p->prf, bytes_of(nonces, p->ni.len + p->nr.len), &dh, 1);
}

/* {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr);
 * with a combined mode SK_ai and SK_ar are empty (RFC 5282 7). */
static enum err expand(struct crypto_ctx *c, struct secret *material, const uint8_t *seed,
		       size_t seed_len, const struct ike_keys_params *p)
{
	const struct be64 spi_i = be64_make(p->spi_i), spi_r = be64_make(p->spi_r);
	const struct bytes parts[] = {p->ni, p->nr, bytes_of(&spi_i, 8), bytes_of(&spi_r, 8)};

	return prf_plus(c, material, p->prf, bytes_of(seed, seed_len), parts, 4);
}

/* join - SK_e* || SK_a* as one secret, from where they lie in the keying material. */
static enum err join(struct secret *out, const uint8_t *encr, size_t encr_len, const uint8_t *auth,
		     size_t auth_len)
{
	enum err e = secret_init(out, encr_len + auth_len);

	if (e != ERR_OK)
		return e;
	memcpy(out->p, encr, encr_len);
	memcpy(out->p + encr_len, auth, auth_len);
	return ERR_OK;
}

static enum err distribute(struct ike_keys *k, const struct secret *material, size_t prf)
{
	const size_t auth = aead_shape(encr_aead_alg(k->encr))->auth_len;
	const size_t encr = encr_key_len(k->encr) - auth;
	const uint8_t *sk_a = material->p + prf, *sk_e = sk_a + 2 * auth;
	size_t at = 0;
	enum err e = cut(&k->sk_d, material, &at, prf);

	if (e == ERR_OK)
		e = join(&k->sk_ei, sk_e, encr, sk_a, auth);
	if (e == ERR_OK)
		e = join(&k->sk_er, sk_e + encr, encr, sk_a + auth, auth);
	at += 2 * (encr + auth);
	if (e == ERR_OK)
		e = cut(&k->sk_pi, material, &at, prf);
	return e == ERR_OK ? cut(&k->sk_pr, material, &at, prf) : e;
}

enum err ike_keys_derive(struct crypto_ctx *c, struct ike_keys *out,
			 const struct ike_keys_params *params)
{
	struct ike_keys k = {.encr = params->encr, .prf = params->prf};
	struct secret material = {0};
	uint8_t seed[PRF_LEN_MAX];
	size_t seed_len = 0, prf = prf_len(params->prf), encr = encr_key_len(params->encr);
	enum err e;

	if (!prf || !encr)
		return ERR_UNSUPPORTED;
	e = skeyseed(c, seed, &seed_len, params);
	if (e == ERR_OK)
		e = secret_init(&material, 3 * prf + 2 * encr);
	if (e == ERR_OK)
		e = expand(c, &material, seed, seed_len, params);
	if (e == ERR_OK)
		e = distribute(&k, &material, prf);
	secret_wipe(seed, sizeof(seed));
	secret_fini(&material);
	if (e != ERR_OK) {
		ike_keys_fini(&k);
		return e;
	}
	*out = k;
	return ERR_OK;
}

void ike_keys_fini(struct ike_keys *k)
{
	secret_fini(&k->sk_d);
	secret_fini(&k->sk_ei);
	secret_fini(&k->sk_er);
	secret_fini(&k->sk_pi);
	secret_fini(&k->sk_pr);
	*k = (struct ike_keys){0};
}

/* SK = prf+(PPK, SK'), of the same length. */
static enum err mix(struct crypto_ctx *c, struct secret *out, uint16_t prf, struct bytes ppk,
		    const struct secret *sk)
{
	const struct bytes seed = view(sk);
	enum err e = secret_init(out, sk->len);

	return e ? e : prf_plus(c, out, prf, ppk, &seed, 1);
}

enum err ppk_keys_derive(struct crypto_ctx *c, struct ppk_keys *out, const struct ike_keys *ike,
			 struct bytes ppk)
{
	struct ppk_keys k = {.sk_d = {0}};
	enum err e = ppk.len ? mix(c, &k.sk_d, ike->prf, ppk, &ike->sk_d) : ERR_INVAL;

	if (!e)
		e = mix(c, &k.sk_pi, ike->prf, ppk, &ike->sk_pi);
	if (!e)
		e = mix(c, &k.sk_pr, ike->prf, ppk, &ike->sk_pr);
	if (e) {
		ppk_keys_fini(&k);
		return e;
	}
	*out = k;
	return ERR_OK;
}

void ppk_keys_use(struct ike_keys *ike, struct ppk_keys *k)
{
	secret_fini(&ike->sk_d);
	secret_fini(&ike->sk_pi);
	secret_fini(&ike->sk_pr);
	secret_move(&ike->sk_d, &k->sk_d);
	secret_move(&ike->sk_pi, &k->sk_pi);
	secret_move(&ike->sk_pr, &k->sk_pr);
}

void ppk_keys_fini(struct ppk_keys *k)
{
	secret_fini(&k->sk_d);
	secret_fini(&k->sk_pi);
	secret_fini(&k->sk_pr);
	*k = (struct ppk_keys){.sk_d = {0}};
}

/* KEYMAT = prf+(SK_d, [g^ir] | Ni | Nr [| SK(1) | ...]); what the initiator sends is keyed first.
 */
enum err child_keys_derive(struct crypto_ctx *c, struct child_keys *out, const struct ike_keys *ike,
			   struct conf_encr encr, struct bytes ni, struct bytes nr,
			   const struct secret *dh, const struct secret *more)
{
	const struct bytes parts[] = {view(dh), ni, nr, view(more)};
	struct child_keys k = {0};
	struct secret material = {0};
	size_t len = encr_key_len(encr), at = 0;
	enum err e;

	if (!len)
		return ERR_UNSUPPORTED;
	e = secret_init(&material, 2 * len);
	if (e == ERR_OK)
		e = prf_plus(c, &material, ike->prf, view(&ike->sk_d), parts, 4);
	if (e == ERR_OK)
		e = cut(&k.i2r, &material, &at, len);
	if (e == ERR_OK)
		e = cut(&k.r2i, &material, &at, len);
	secret_fini(&material);
	if (e != ERR_OK) {
		child_keys_fini(&k);
		return e;
	}
	*out = k;
	return ERR_OK;
}

void child_keys_fini(struct child_keys *k)
{
	secret_fini(&k->i2r);
	secret_fini(&k->r2i);
}
