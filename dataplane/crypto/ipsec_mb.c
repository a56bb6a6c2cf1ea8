/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intel-ipsec-mb 1.3 and 2.0. Combined modes by its direct functions: one call a packet does
 * everything, and the job and burst interfaces only add their own bookkeeping to it for GCM (78
 * cycles a packet of 84 bytes directly, 85 by burst, 90 by job; 249, 264, 270 at 1420). For these
 * the library's manager is only a table of functions for this processor: it is asked once and given
 * back. Encrypt-then-MAC gains from many packets at a time: ipsec_mb_jobs.c. What is not ours to
 * change: each call stores 0 to the library's global error number, so workers on several cores
 * share that one cache line; with two of them, 68-byte packets cost 2 to 3 % more than in two
 * processes.
 */
#include "base/alloc.h"
#include "base/secret.h"
#include "dataplane/crypto/ipsec_mb.h"

#include <openssl/crypto.h>
#include <pthread.h>

/* From 2.0 on the library cannot emulate AES-NI. */
#ifndef IMB_FEATURE_AESNI_EMU
#define IMB_FEATURE_AESNI_EMU 0
#endif

/* struct gcm - the functions of one key length. */
struct gcm {
	aes_gcm_pre_t expand;
	aes_gcm_enc_dec_t enc;
	aes_gcm_enc_dec_t dec;
	aes_gmac_init_t gmac_init;
	aes_gmac_update_t gmac_update;
	aes_gmac_finalize_t gmac_finalize;
};

/* struct chacha - the functions of ChaCha20-Poly1305: three calls a packet. */
struct chacha {
	chacha_poly_init_t init;
	chacha_poly_enc_dec_update_t enc;
	chacha_poly_enc_dec_update_t dec;
	chacha_poly_finalize_t finalize;
};

/* Written once, under the once flag; constant afterwards. */
static pthread_once_t asked = PTHREAD_ONCE_INIT;
static bool usable;
static struct gcm gcm_128, gcm_192, gcm_256;
static struct chacha chacha;

/* SCHEDULE_LEN - the schedule without the padding at its end: with the arena's canary it then just
 * fits a slot of 1 KiB. */
#define SCHEDULE_LEN \
	(offsetof(struct gcm_key_data, ghash_keys) + sizeof(((struct gcm_key_data *)0)->ghash_keys))

struct aead_key {
	enum aead_kind kind;
	const void *schedule; /* in memory: struct gcm_key_data, or the key of ChaCha20 itself, or
			       * struct ipsec_mb_hmac */
	const struct gcm *gcm;
	struct secret memory;
};

/* Without AES-NI the library would emulate it, slower than OpenSSL and not in constant time. */
static bool fit(IMB_MGR *mgr)
{
	const uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
	const uint64_t tested = IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;

	return imb_get_errno(mgr) == 0 && (mgr->features & needed) == needed &&
	       !(mgr->features & IMB_FEATURE_AESNI_EMU) &&
	       (mgr->features & tested) != IMB_FEATURE_SELF_TEST;
}

static void ask(void)
{
	IMB_MGR *mgr = alloc_mb_mgr(0);

	if (!mgr)
		return;
	init_mb_mgr_auto(mgr, NULL);
	usable = fit(mgr);
	gcm_128 = (struct gcm){mgr->gcm128_pre,   mgr->gcm128_enc,     mgr->gcm128_dec,
			       mgr->gmac128_init, mgr->gmac128_update, mgr->gmac128_finalize};
	gcm_192 = (struct gcm){mgr->gcm192_pre,   mgr->gcm192_enc,     mgr->gcm192_dec,
			       mgr->gmac192_init, mgr->gmac192_update, mgr->gmac192_finalize};
	gcm_256 = (struct gcm){mgr->gcm256_pre,   mgr->gcm256_enc,     mgr->gcm256_dec,
			       mgr->gmac256_init, mgr->gmac256_update, mgr->gmac256_finalize};
	ipsec_mb_hmac_ask(mgr);
	chacha =
		(struct chacha){mgr->chacha20_poly1305_init, mgr->chacha20_poly1305_enc_update,
				mgr->chacha20_poly1305_dec_update, mgr->chacha20_poly1305_finalize};
	free_mb_mgr(mgr);
}

static bool usable_here(void)
{
	return pthread_once(&asked, ask) == 0 && usable;
}

static bool supports(enum aead_alg alg)
{
	return aead_alg_key_len(alg) != 0 && usable_here();
}

/* The schedule in the key arena, on a cache line of its own. */
static enum err schedule_new(struct aead_key *k, const struct gcm *gcm, const uint8_t *key)
{
	struct gcm_key_data *schedule;
	enum err e = secret_init(&k->memory, SCHEDULE_LEN);

	if (e != ERR_OK)
		return e;
	if ((uintptr_t)k->memory.p % alignof(struct gcm_key_data) != 0) {
		secret_fini(&k->memory);
		e = secret_init(&k->memory, SCHEDULE_LEN + alignof(struct gcm_key_data));
		if (e != ERR_OK)
			return e;
	}
	schedule = (void *)(k->memory.p +
			    (-(uintptr_t)k->memory.p & (alignof(struct gcm_key_data) - 1)));
	gcm->expand(key, schedule);
	k->schedule = schedule;
	return ERR_OK;
}

static const struct gcm *gcm_of(size_t key_len)
{
	return key_len == 16 ? &gcm_128 : key_len == 24 ? &gcm_192 : &gcm_256;
}

static enum err expand(struct aead_key *k, const struct aead_shape *shape, const uint8_t *key,
		       const uint8_t *iv_key)
{
	enum err e;

	k->kind = shape->kind;
	switch (shape->kind) {
	case AEAD_KIND_GCM:
	case AEAD_KIND_GMAC:
		k->gcm = gcm_of(shape->key_len);
		return schedule_new(k, k->gcm, key);
	case AEAD_KIND_HMAC:
		e = secret_init(&k->memory, sizeof(struct ipsec_mb_hmac));
		if (e == ERR_OK)
			ipsec_mb_hmac_init((void *)k->memory.p, shape, key, iv_key);
		break;
	case AEAD_KIND_CHACHA:
	default:
		e = secret_init_copy(&k->memory, key, shape->key_len);
		break;
	}
	k->schedule = k->memory.p;
	return e;
}

static enum err key_new(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			size_t key_len, const uint8_t *iv_key)
{
	struct aead_key *k;
	enum err e;

	if (!supports(alg))
		return ERR_UNSUPPORTED;
	if (key_len != aead_alg_key_len(alg))
		return ERR_INVAL;
	k = mem_alloc(sizeof(*k));
	if (!k)
		return ERR_NOMEM;
	e = expand(k, aead_shape(alg), key, iv_key);
	if (e != ERR_OK) {
		mem_free(k);
		return e;
	}
	*out = k;
	return ERR_OK;
}

static void key_free(struct aead_key *key)
{
	if (!key)
		return;
	secret_fini(&key->memory);
	mem_free(key);
}

enum err ipsec_mb_work_new(void **out)
{
	if (!usable_here()) {
		*out = NULL;
		return ERR_OK;
	}
	return ipsec_mb_manager_new(out);
}

void ipsec_mb_work_free(void *work)
{
	ipsec_mb_manager_free(work);
}

/* union state - what the library keeps between the calls for one packet; wiped after a batch. */
union state {
	struct gcm_context_data gcm;
	struct chacha20_poly1305_context_data chacha;
};

/* chacha_crypt - in place, with the ICV to icv. */
static void chacha_crypt(struct aead_op *op, struct chacha20_poly1305_context_data *ctx,
			 chacha_poly_enc_dec_update_t update, uint8_t icv[static AEAD_TAG_LEN])
{
	const void *key = op->key->schedule;

	chacha.init(key, ctx, op->nonce, op->aad, op->aad_len);
	if (op->len)
		update(key, ctx, op->text, op->text, op->len);
	chacha.finalize(ctx, icv, AEAD_TAG_LEN);
}

/* gmac - SPI and sequence number, and then IV and text as they lie there (RFC 4543 3.3). */
static void gmac(const struct aead_op *op, struct gcm_context_data *ctx,
		 uint8_t icv[static AEAD_TAG_LEN])
{
	const struct gcm *gcm = op->key->gcm;
	const void *key = op->key->schedule;

	gcm->gmac_init(key, ctx, op->nonce, AEAD_NONCE_LEN);
	gcm->gmac_update(key, ctx, op->aad, op->aad_len);
	gcm->gmac_update(key, ctx, op->text - 8, op->len + 8);
	gcm->gmac_finalize(key, ctx, icv, AEAD_TAG_LEN);
}

/* crypt - one packet in place, with the ICV to icv, unless it waits for others (false). */
static inline bool crypt(struct aead_op *op, union state *state, uint8_t icv[static AEAD_TAG_LEN],
			 bool encrypts)
{
	const struct aead_key *k = op->key;

	if (likely(k->kind == AEAD_KIND_GCM))
		(encrypts ? k->gcm->enc : k->gcm->dec)(k->schedule, &state->gcm, op->text, op->text,
						       op->len, op->nonce, op->aad, op->aad_len,
						       icv, AEAD_TAG_LEN);
	else if (k->kind == AEAD_KIND_CHACHA)
		chacha_crypt(op, &state->chacha, encrypts ? chacha.enc : chacha.dec, icv);
	else if (k->kind == AEAD_KIND_GMAC)
		gmac(op, &state->gcm, icv);
	else
		return false;
	return true;
}

static void encrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	struct aead_op *jobs[AEAD_BATCH_MAX];
	const struct ipsec_mb_hmac *keys[AEAD_BATCH_MAX];
	uint32_t num_jobs = 0;
	union state state;

	for (uint32_t i = 0; i < n; i++) {
		struct aead_op *op = &ops[i];

		op->ok = true;
		if (crypt(op, &state, op->icv, true))
			continue;
		keys[num_jobs] = op->key->schedule;
		jobs[num_jobs++] = op;
	}
	secret_wipe(&state, sizeof(state));
	if (num_jobs > 0)
		ipsec_mb_hmac_encrypt(work->ipsec_mb, jobs, keys, num_jobs);
}

static void decrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	struct aead_op *jobs[AEAD_BATCH_MAX];
	const struct ipsec_mb_hmac *keys[AEAD_BATCH_MAX];
	uint32_t num_jobs = 0;
	union state state;
	uint8_t icv[AEAD_TAG_LEN];

	for (uint32_t i = 0; i < n; i++) {
		struct aead_op *op = &ops[i];

		if (crypt(op, &state, icv, false)) {
			op->ok = CRYPTO_memcmp(icv, op->icv, AEAD_TAG_LEN) == 0;
			continue;
		}
		keys[num_jobs] = op->key->schedule;
		jobs[num_jobs++] = op;
	}
	secret_wipe(&state, sizeof(state));
	secret_wipe(icv, sizeof(icv));
	if (num_jobs > 0)
		ipsec_mb_hmac_decrypt(work->ipsec_mb, jobs, keys, num_jobs);
}

const struct aead_backend aead_ipsec_mb = {
	.name = "ipsec-mb",
	.supports = supports,
	.key_new = key_new,
	.key_free = key_free,
	.encrypt = encrypt,
	.decrypt = decrypt,
};
