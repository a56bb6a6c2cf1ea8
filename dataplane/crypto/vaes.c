/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM with the 256-bit forms of AES and carry-less multiplication (VAES, VPCLMULQDQ), several
 * packets of a batch at a time: vaes_gcm.c and vaes_whole.c say how.
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

/* The 16 bytes in front of the text go through the kernels as they are: with an IV in the packet
 * they are the packet's own. */
static bool supports(enum aead_alg alg)
{
	return aead_shape(alg)->kind == AEAD_KIND_GCM && aead_shape(alg)->iv_len == 8 &&
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

static inline uint32_t vectors_of(const struct aead_op *op)
{
	return (op->len + VAES_FRONT + VAES_VECTOR - 1) / VAES_VECTOR;
}

/* class_of - which operations can go together: twice the vectors of small ones, 0 for the longer
 * ones, plus one for keys of 14 rounds. */
static inline uint32_t class_of(const struct aead_op *op)
{
	const uint32_t vectors = vectors_of(op);

	return (vectors > VAES_WHOLE_VECTORS ? 0 : 2 * vectors) + (op->key->rounds == 14);
}

/* alike - one key and one number of vectors, as most batches have; all: those of the batch. */
static bool alike(struct aead_op **all, struct aead_op *ops, uint32_t n)
{
	const uintptr_t key = (uintptr_t)ops[0].key;
	const uint32_t vectors = vectors_of(&ops[0]);
	uintptr_t differ = 0;

	for (uint32_t i = 0; i < n; i++) {
		all[i] = &ops[i];
		differ |= ((uintptr_t)ops[i].key ^ key) | (vectors_of(&ops[i]) ^ vectors);
	}
	return differ == 0;
}

/* choose - those of a batch of that class. */
static uint32_t choose(struct aead_op **out, struct aead_op *ops, uint32_t n, uint32_t class)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < n; i++) {
		out[num] = &ops[i];
		num += class_of(&ops[i]) == class;
	}
	return num;
}

static void run_class(struct aead_op *const *ops, uint32_t n, uint32_t class, bool encrypts)
{
	if (class < 2)
		vaes_gcm_long(ops, n, encrypts);
	else
		vaes_gcm_whole(ops, n, class / 2, encrypts);
}

static void run(struct aead_op *ops, uint32_t n, bool encrypts)
{
	struct aead_op *chosen[AEAD_BATCH_MAX];
	uint32_t left = 0;

	if (unlikely(n == 0))
		return;
	if (unlikely(ops[0].key->rounds == 0)) { /* in a forked child, where keys are zero */
		for (uint32_t i = 0; i < n; i++)
			ops[i].ok = false;
		return;
	}
	if (likely(alike(chosen, ops, n))) {
		run_class(chosen, n, class_of(&ops[0]), encrypts);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		left |= 1u << class_of(&ops[i]);
	for (; left; left &= left - 1) {
		uint32_t class = (uint32_t)__builtin_ctz(left);

		run_class(chosen, choose(chosen, ops, n, class), class, encrypts);
	}
}

static void encrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	(void)work;
	run(ops, n, true);
}

static void decrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	(void)work;
	run(ops, n, false);
}

const struct aead_backend aead_vaes = {
	.name = "vaes",
	.supports = supports,
	.key_new = key_new,
	.key_free = key_free,
	.encrypt = encrypt,
	.decrypt = decrypt,
};
