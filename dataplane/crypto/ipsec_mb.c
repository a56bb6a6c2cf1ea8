/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intel-ipsec-mb 1.3, by its direct functions: one call a packet does everything, and the job and
 * burst interfaces only add their own bookkeeping to it for GCM (78 cycles a packet of 84 bytes
 * directly, 85 by burst, 90 by job; 249, 264, 270 at 1420).
 *
 * The library's manager is only a table of functions for this processor: it is asked once and given
 * back. What is not ours to change: each call stores 0 to the library's global error number, so
 * workers on several cores share that one cache line; with two of them, 68-byte packets cost 2 to 3
 * % more than in two processes.
 */
#include "base/alloc.h"
#include "base/secret.h"
#include "dataplane/crypto/backends.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <pthread.h>

/* struct gcm - the functions of one key length. */
struct gcm {
	aes_gcm_pre_t expand;
	aes_gcm_enc_dec_t enc;
	aes_gcm_enc_dec_t dec;
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
static struct gcm gcm_128, gcm_256;
static struct chacha chacha;

/* SCHEDULE_LEN - the schedule without the padding at its end: with the arena's canary it then just
 * fits a slot of 1 KiB. */
#define SCHEDULE_LEN \
	(offsetof(struct gcm_key_data, ghash_keys) + sizeof(((struct gcm_key_data *)0)->ghash_keys))

struct aead_key {
	const void *schedule;  /* in memory: struct gcm_key_data, or the key of ChaCha20 itself */
	aes_gcm_enc_dec_t enc; /* NULL for ChaCha20-Poly1305 */
	aes_gcm_enc_dec_t dec;
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
	gcm_128 = (struct gcm){mgr->gcm128_pre, mgr->gcm128_enc, mgr->gcm128_dec};
	gcm_256 = (struct gcm){mgr->gcm256_pre, mgr->gcm256_enc, mgr->gcm256_dec};
	chacha =
		(struct chacha){mgr->chacha20_poly1305_init, mgr->chacha20_poly1305_enc_update,
				mgr->chacha20_poly1305_dec_update, mgr->chacha20_poly1305_finalize};
	free_mb_mgr(mgr);
}

static bool supports(enum aead_alg alg)
{
	return aead_alg_key_len(alg) != 0 && pthread_once(&asked, ask) == 0 && usable;
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

static enum err key_new(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			size_t key_len)
{
	const bool is_gcm = alg != AEAD_CHACHA20_POLY1305;
	const struct gcm *gcm = key_len == 16 ? &gcm_128 : &gcm_256;
	struct aead_key *k;
	enum err e;

	if (!supports(alg))
		return ERR_UNSUPPORTED;
	if (key_len != aead_alg_key_len(alg))
		return ERR_INVAL;
	k = mem_alloc(sizeof(*k));
	if (!k)
		return ERR_NOMEM;
	e = is_gcm ? schedule_new(k, gcm, key) : secret_init_copy(&k->memory, key, key_len);
	if (e != ERR_OK) {
		mem_free(k);
		return e;
	}
	if (is_gcm) {
		k->enc = gcm->enc;
		k->dec = gcm->dec;
	} else {
		k->schedule = k->memory.p;
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

/* union work - what the library keeps between the calls for one packet; wiped after a batch. */
union work {
	struct gcm_context_data gcm;
	struct chacha20_poly1305_context_data chacha;
};

/* chacha_crypt - in place, with the ICV to icv. */
static void chacha_crypt(struct aead_op *op, struct chacha20_poly1305_context_data *ctx,
			 chacha_poly_enc_dec_update_t update, uint8_t icv[static AEAD_ICV_LEN])
{
	const void *key = op->key->schedule;

	chacha.init(key, ctx, op->nonce, op->aad, op->aad_len);
	if (op->len)
		update(key, ctx, op->text, op->text, op->len);
	chacha.finalize(ctx, icv, AEAD_ICV_LEN);
}

static void encrypt(struct aead_op *ops, uint32_t n)
{
	union work work;

	for (uint32_t i = 0; i < n; i++) {
		struct aead_op *op = &ops[i];

		if (op->key->enc)
			op->key->enc(op->key->schedule, &work.gcm, op->text, op->text, op->len,
				     op->nonce, op->aad, op->aad_len, op->icv, AEAD_ICV_LEN);
		else
			chacha_crypt(op, &work.chacha, chacha.enc, op->icv);
		op->ok = true;
	}
	secret_wipe(&work, sizeof(work));
}

static void decrypt(struct aead_op *ops, uint32_t n)
{
	union work work;
	uint8_t icv[AEAD_ICV_LEN];

	for (uint32_t i = 0; i < n; i++) {
		struct aead_op *op = &ops[i];

		if (op->key->dec)
			op->key->dec(op->key->schedule, &work.gcm, op->text, op->text, op->len,
				     op->nonce, op->aad, op->aad_len, icv, AEAD_ICV_LEN);
		else
			chacha_crypt(op, &work.chacha, chacha.dec, icv);
		op->ok = CRYPTO_memcmp(icv, op->icv, AEAD_ICV_LEN) == 0;
	}
	secret_wipe(&work, sizeof(work));
	secret_wipe(icv, sizeof(icv));
}

const struct aead_backend aead_ipsec_mb = {
	.name = "ipsec-mb",
	.supports = supports,
	.key_new = key_new,
	.key_free = key_free,
	.encrypt = encrypt,
	.decrypt = decrypt,
};
