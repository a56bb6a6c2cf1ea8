/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/crypto/aead.h"

#include "base/log.h"
#include "dataplane/crypto/backends.h"

#include <assert.h>
#include <pthread.h>

/* Fastest first: measured by bench/esp, ipsec-mb is ahead at every packet size. */
static const struct aead_backend *const backends[] = {
#ifdef LATCHKEY_IPSEC_MB
	&aead_ipsec_mb,
#endif
	&aead_openssl,
	&aead_sodium,
	NULL,
};

#define NUM_BACKENDS (ARRAY_LEN(backends) - 1)

/* Verdicts of the start-up test; written once, under the once flag. */
static pthread_once_t tested = PTHREAD_ONCE_INIT;
static enum err verdicts[NUM_BACKENDS][AEAD_NUM];

const struct aead_backend *const *aead_backends(void)
{
	return backends;
}

size_t aead_alg_key_len(enum aead_alg alg)
{
	switch (alg) {
	case AEAD_AES_GCM_16_128:
		return 16;
	case AEAD_AES_GCM_16_256:
	case AEAD_CHACHA20_POLY1305:
		return 32;
	case AEAD_NONE:
	case AEAD_NUM:
	default:
		return 0;
	}
}

const char *aead_alg_name(enum aead_alg alg)
{
	switch (alg) {
	case AEAD_AES_GCM_16_128:
		return "aes128gcm16";
	case AEAD_AES_GCM_16_256:
		return "aes256gcm16";
	case AEAD_CHACHA20_POLY1305:
		return "chacha20poly1305";
	case AEAD_NONE:
	case AEAD_NUM:
	default:
		return "none";
	}
}

static void test_one(size_t i, enum aead_alg alg)
{
	const struct aead_backend *be = backends[i];

	if (!be->supports(alg))
		return;
	verdicts[i][alg] = aead_self_test(be, alg);
	if (verdicts[i][alg] != ERR_OK)
		LOG(ERROR, ESP, NULL,
		    "the %s back end failed its self-test for %s and is not used for it", be->name,
		    aead_alg_name(alg));
}

static void test_all(void)
{
	for (size_t i = 0; i < NUM_BACKENDS; i++)
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			test_one(i, alg);
}

static enum err verdict(const struct aead_backend *be, enum aead_alg alg)
{
	for (size_t i = 0; i < NUM_BACKENDS; i++)
		if (backends[i] == be)
			return verdicts[i][alg];
	return ERR_NOT_FOUND;
}

enum err aead_pick(const struct aead_backend **out, const struct aead_backend *const *list,
		   aead_judge_fn *judge, enum aead_alg alg, const char *name)
{
	enum err e = name ? ERR_NOT_FOUND : ERR_UNSUPPORTED;

	for (; *list; list++) {
		const struct aead_backend *be = *list;

		if (name && strcmp(be->name, name) != 0) /* public data: names */
			continue;
		if (!be->supports(alg)) {
			e = name ? ERR_UNSUPPORTED : e;
			continue;
		}
		e = judge(be, alg);
		if (e == ERR_OK) {
			*out = be;
			return ERR_OK;
		}
	}
	return e;
}

enum err aead_select(const struct aead_backend **out, enum aead_alg alg, const char *name)
{
	int failed = pthread_once(&tested, test_all);

	assert(!failed);
	(void)failed;
	return aead_pick(out, backends, verdict, alg, name);
}
