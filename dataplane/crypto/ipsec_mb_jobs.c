/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chain of cipher and HMAC is a job; a batch of jobs fills the library's lanes, which work on up
 * to 16 packets at once: CBC encryption and SHA-2 of one packet alone are chains of dependent steps
 * that leave a processor waiting. A manager holds the lanes; each call gives it a batch and takes
 * all of it back, so nothing of a packet or key stays in it from one batch to the next (the library
 * wipes lanes that are done: SAFE_DATA is how Debian builds it).
 */
#include "base/alloc.h"
#include "base/secret.h"
#include "dataplane/crypto/ipsec_mb.h"

#include <openssl/crypto.h>

/* Written once, by ipsec_mb_hmac_ask(). */
static struct {
	keyexp_t expand_128, expand_192, expand_256;
	hash_one_block_t sha256, sha384, sha512;
	aes_cfb_t cfb_one;
} functions;

void ipsec_mb_hmac_ask(const IMB_MGR *mgr)
{
	functions.expand_128 = mgr->keyexp_128;
	functions.expand_192 = mgr->keyexp_192;
	functions.expand_256 = mgr->keyexp_256;
	functions.sha256 = mgr->sha256_one_block;
	functions.sha384 = mgr->sha384_one_block;
	functions.sha512 = mgr->sha512_one_block;
	functions.cfb_one = mgr->aes128_cfb_one;
}

/* hash_key - the state of the hash after the block that holds the MAC's key. */
static void hash_key(uint8_t out[static 64], const struct aead_shape *shape, const uint8_t *key,
		     uint8_t with)
{
	uint8_t block[128];

	memset(block, with, sizeof(block));
	for (size_t i = 0; i < shape->auth_len; i++)
		block[i] ^= key[i];
	if (shape->auth_len == 32)
		functions.sha256(block, out);
	else if (shape->auth_len == 48)
		functions.sha384(block, out);
	else
		functions.sha512(block, out);
	secret_wipe(block, sizeof(block));
}

void ipsec_mb_hmac_init(struct ipsec_mb_hmac *k, const struct aead_shape *shape, const uint8_t *key,
			const uint8_t *iv_key)
{
	uint8_t unused[sizeof(k->iv)];

	if (shape->key_len == 16)
		functions.expand_128(key, k->enc, k->dec);
	else if (shape->key_len == 24)
		functions.expand_192(key, k->enc, k->dec);
	else if (shape->key_len == 32)
		functions.expand_256(key, k->enc, k->dec);
	if (iv_key) {
		functions.expand_128(iv_key, k->iv, unused);
		secret_wipe(unused, sizeof(unused));
	}
	hash_key(k->inner, shape, key + shape->key_len, 0x36);
	hash_key(k->outer, shape, key + shape->key_len, 0x5c);
	k->key_len = shape->key_len;
	k->iv_len = shape->iv_len;
	k->icv_len = shape->icv_len;
	k->has_iv = iv_key != NULL;
	k->hash = shape->auth_len == 32   ? IMB_AUTH_HMAC_SHA_256
		  : shape->auth_len == 48 ? IMB_AUTH_HMAC_SHA_384
					  : IMB_AUTH_HMAC_SHA_512;
	k->alive = true;
}

enum err ipsec_mb_manager_new(void **out)
{
	void *memory = mem_alloc_aligned(CACHE_LINE, imb_get_mb_mgr_size());
	IMB_MGR *mgr;

	if (!memory)
		return ERR_NOMEM;
	mgr = imb_set_pointers_mb_mgr(memory, 0, 1);
	init_mb_mgr_auto(mgr, NULL);
	*out = mgr;
	return ERR_OK;
}

void ipsec_mb_manager_free(void *manager)
{
	if (!manager)
		return;
	secret_wipe(manager, imb_get_mb_mgr_size());
	mem_free_aligned(manager);
}

/* The IV's place holds a number that is used once; its encryption nobody can foretell (S53). One
 * block of CFB over zeros is AES of the IV. */
static bool make_iv(const struct ipsec_mb_hmac *k, struct aead_op *op)
{
	static const uint8_t zeros[AEAD_IV_MAX];
	uint8_t *iv = op->text - AEAD_IV_MAX;

	if (!k->has_iv)
		return false;
	functions.cfb_one(iv, zeros, iv, k->iv, AEAD_IV_MAX);
	return true;
}

/* set_job - all that does not depend on the direction. The high half of a sequence number is hashed
 * behind the text, where the ICV's place is: that of a received packet must have been saved. */
static void set_job(IMB_JOB *job, struct aead_op *op, const struct ipsec_mb_hmac *k, uint8_t *icv)
{
	const uint32_t front = AEAD_HEAD_LEN + k->iv_len;
	uint32_t high_len;
	const uint8_t *high = aead_high_half(op, &high_len);

	memcpy(op->icv, high, high_len);
	job->cipher_mode = k->key_len ? IMB_CIPHER_CBC : IMB_CIPHER_NULL;
	job->enc_keys = k->enc;
	job->dec_keys = k->dec;
	job->key_len_in_bytes = k->key_len;
	job->src = op->text - front;
	job->dst = op->text;
	job->cipher_start_src_offset_in_bytes = front;
	job->msg_len_to_cipher_in_bytes = op->len;
	job->iv = op->text - k->iv_len;
	job->iv_len_in_bytes = k->iv_len;
	job->hash_alg = k->hash;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = front + op->len + high_len;
	job->u.HMAC._hashed_auth_key_xor_ipad = k->inner;
	job->u.HMAC._hashed_auth_key_xor_opad = k->outer;
	job->auth_tag_output = icv;
	job->auth_tag_output_len_in_bytes = k->icv_len;
	job->user_data = op;
}

static void note_done(IMB_JOB *const *jobs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct aead_op *op = jobs[i]->user_data;

		op->ok = jobs[i]->status == IMB_STATUS_COMPLETED;
	}
}

/* name_suites - since 1.4 the library looks a job's algorithms up when it is told to, and a burst
 * relies on that. */
static void name_suites(IMB_MGR *mgr, IMB_JOB *const *jobs, uint32_t n)
{
#if IMB_VERSION_NUM >= IMB_VERSION(1, 4, 0)
	for (uint32_t i = 0; i < n; i++)
		imb_set_session(mgr, jobs[i]);
#else
	(void)mgr;
	(void)jobs;
	(void)n;
#endif
}

/* run - submit the jobs and wait for all of them. The lengths are the data path's own, checked
 * already. */
static void run(IMB_MGR *mgr, IMB_JOB **jobs, uint32_t n)
{
	uint32_t done;

	name_suites(mgr, jobs, n);
	done = IMB_SUBMIT_BURST_NOCHECK(mgr, n, jobs);
	do {
		note_done(jobs, done);
		n -= done;
		done = n > 0 ? IMB_FLUSH_BURST(mgr, n, jobs) : 0;
	} while (done > 0);
}

void ipsec_mb_hmac_encrypt(void *manager, struct aead_op *const *ops,
			   const struct ipsec_mb_hmac *const *keys, uint32_t n)
{
	IMB_JOB *jobs[AEAD_BATCH_MAX];
	uint32_t num = 0;

	IMB_GET_NEXT_BURST((IMB_MGR *)manager, n, jobs);
	for (uint32_t i = 0; i < n; i++) {
		const struct ipsec_mb_hmac *k = keys[i];

		ops[i]->ok = false;
		if (!k->alive || (k->key_len && !make_iv(k, ops[i])))
			continue;
		set_job(jobs[num], ops[i], k, ops[i]->icv);
		jobs[num]->cipher_direction = IMB_DIR_ENCRYPT;
		jobs[num++]->chain_order = IMB_ORDER_CIPHER_HASH;
	}
	if (num > 0)
		run(manager, jobs, num);
}

void ipsec_mb_hmac_decrypt(void *manager, struct aead_op *const *ops,
			   const struct ipsec_mb_hmac *const *keys, uint32_t n)
{
	uint8_t made[AEAD_BATCH_MAX][AEAD_ICV_MAX], came[AEAD_BATCH_MAX][AEAD_ICV_MAX];
	IMB_JOB *jobs[AEAD_BATCH_MAX];
	uint32_t num = 0;

	IMB_GET_NEXT_BURST((IMB_MGR *)manager, n, jobs);
	for (uint32_t i = 0; i < n; i++) {
		const struct ipsec_mb_hmac *k = keys[i];

		ops[i]->ok = false;
		if (!k->alive)
			continue;
		memcpy(came[i], ops[i]->icv, k->icv_len);
		set_job(jobs[num], ops[i], k, made[i]);
		jobs[num]->cipher_direction = IMB_DIR_DECRYPT;
		jobs[num++]->chain_order = IMB_ORDER_HASH_CIPHER;
	}
	if (num > 0)
		run(manager, jobs, num);
	for (uint32_t i = 0; i < n; i++)
		ops[i]->ok = ops[i]->ok && CRYPTO_memcmp(made[i], came[i], keys[i]->icv_len) == 0;
	secret_wipe(made, sizeof(made));
}
