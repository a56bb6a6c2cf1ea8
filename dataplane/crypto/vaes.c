/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM with the 256-bit forms of AES and carry-less multiplication (VAES, VPCLMULQDQ), several
 * packets of a batch at a time: vaes_gcm.c says how.
 */
#include "dataplane/crypto/vaes.h"

#include <cpuid.h>
#include <pthread.h>

/* Written once, under the once flag: the question costs a virtual machine microseconds. */
static pthread_once_t asked = PTHREAD_ONCE_INIT;
static bool usable;

/* The compiler's own test knows whether the system saves 256-bit registers, but not everywhere the
 * newer instructions. */
static void ask(void)
{
	unsigned a, b, c = 0, d;

	usable = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("aes") &&
		 __builtin_cpu_supports("pclmul") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
		 (c & bit_VAES) && (c & bit_VPCLMULQDQ);
}

static bool supports(enum aead_alg alg)
{
	return aead_shape(alg)->kind == AEAD_KIND_GCM && aead_alg_key_len(alg) != 0 &&
	       pthread_once(&asked, ask) == 0 && usable;
}

static enum err key_new(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			size_t key_len, const uint8_t *iv_key)
{
	struct secret memory = {0};
	struct aead_key *k;
	enum err e;

	(void)iv_key; /* the IV is no secret */
	if (!supports(alg))
		return ERR_UNSUPPORTED;
	if (key_len != aead_alg_key_len(alg))
		return ERR_INVAL;
	e = secret_init(&memory, sizeof(*k));
	if (e != ERR_OK)
		return e;
	k = (void *)memory.p;
	vaes_key_expand(k, key, key_len);
	secret_move(&k->memory, &memory);
	*out = k;
	return ERR_OK;
}

static void key_free(struct aead_key *key)
{
	struct secret memory = {0};

	if (!key)
		return;
	secret_move(&memory, &key->memory);
	secret_fini(&memory);
}

/* choose - those of a batch whose keys have so many rounds. */
static uint32_t choose(struct aead_op **out, struct aead_op *ops, uint32_t n, uint32_t rounds)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < n; i++) {
		out[num] = &ops[i];
		num += ops[i].key->rounds == rounds;
	}
	return num;
}

static void run(struct aead_op *ops, uint32_t n, void (*gcm)(struct aead_op *const *, uint32_t))
{
	static const uint32_t rounds[] = {14, 10};
	struct aead_op *chosen[AEAD_BATCH_MAX];
	uint32_t left = n;

	for (uint32_t i = 0; i < n; i++)
		ops[i].ok = false; /* and so it stays in a forked child, whose keys are zero */
	for (size_t i = 0; i < ARRAY_LEN(rounds) && left > 0; i++) {
		uint32_t num = choose(chosen, ops, n, rounds[i]);

		if (num > 0)
			gcm(chosen, num);
		left -= num;
	}
}

static void encrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	(void)work;
	run(ops, n, vaes_gcm_encrypt);
}

static void decrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	(void)work;
	run(ops, n, vaes_gcm_decrypt);
}

const struct aead_backend aead_vaes = {
	.name = "vaes",
	.supports = supports,
	.key_new = key_new,
	.key_free = key_free,
	.encrypt = encrypt,
	.decrypt = decrypt,
};
