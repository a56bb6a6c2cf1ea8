/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/crypto/aead.h"

#include "base/alloc.h"
#include "base/log.h"
#include "dataplane/crypto/backends.h"

#include <pthread.h>

/* Fastest first, as bench/esp measures them at every packet size. */
static const struct aead_backend *const backends[] = {
#ifdef LATCHKEY_VAES
	&aead_vaes,
#endif
#ifdef LATCHKEY_IPSEC_MB
	&aead_ipsec_mb,
#endif
	&aead_openssl,  &aead_sodium, NULL,
};

#define NUM_BACKENDS (ARRAY_LEN(backends) - 1)

/* Verdicts of the start-up tests: each is given once, when the pair is first asked for. */
static pthread_mutex_t judging = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool given;
	enum err is;
} verdicts[NUM_BACKENDS][AEAD_NUM];

const struct aead_backend *const *aead_backends(void)
{
	return backends;
}

enum err aead_work_new(struct aead_work **out)
{
	struct aead_work *work = mem_alloc(sizeof(*work));
	enum err e = work ? ERR_OK : ERR_NOMEM;

#ifdef LATCHKEY_IPSEC_MB
	if (work)
		e = ipsec_mb_work_new(&work->ipsec_mb);
#endif
	if (e != ERR_OK) {
		mem_free(work);
		return e;
	}
	*out = work;
	return ERR_OK;
}

void aead_work_free(struct aead_work *work)
{
	if (!work)
		return;
#ifdef LATCHKEY_IPSEC_MB
	ipsec_mb_work_free(work->ipsec_mb);
#endif
	mem_free(work);
}

static enum err try_out(const struct aead_backend *be, enum aead_alg alg)
{
	enum err e = aead_self_test(be, alg);

	if (e != ERR_OK)
		LOG(ERROR, ESP, NULL,
		    "the %s back end failed its self-test for %s and is not used for it", be->name,
		    aead_alg_name(alg));
	return e;
}

static enum err verdict(const struct aead_backend *be, enum aead_alg alg)
{
	enum err e;
	size_t i = 0;

	while (i < NUM_BACKENDS && backends[i] != be)
		i++;
	if (i == NUM_BACKENDS)
		return ERR_NOT_FOUND;
	pthread_mutex_lock(&judging);
	if (!verdicts[i][alg].given) {
		verdicts[i][alg].is = try_out(be, alg);
		verdicts[i][alg].given = verdicts[i][alg].is != ERR_NOMEM;
	}
	e = verdicts[i][alg].is;
	pthread_mutex_unlock(&judging);
	return e;
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
	return aead_pick(out, backends, verdict, alg, name);
}
