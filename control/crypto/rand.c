/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/rand.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/alloc.h"

#define RAND_NAME "LATCHKEY-RAND"
/* RAND_REQUEST_MAX - the most bytes that OpenSSL may ask for at once; it splits what is more. */
#define RAND_REQUEST_MAX 65536

/* struct rand_prov - one loaded provider: the library context's source of randomness. */
struct rand_prov {
	const struct rng *rng;
};

/* struct rand_gen - one generator (OpenSSL makes a primary, a public and a private one). */
struct rand_gen {
	const struct rand_prov *prov;
	int state; /* EVP_RAND_STATE_* */
};

static void *gen_new(void *provctx, void *parent, const OSSL_DISPATCH *parent_calls)
{
	struct rand_gen *g = mem_alloc(sizeof(*g));

	(void)parent;
	(void)parent_calls;
	if (!g)
		return NULL;
	g->prov = provctx;
	g->state = EVP_RAND_STATE_UNINITIALISED;
	return g;
}

static void gen_free(void *gen)
{
	mem_free(gen);
}

static int gen_instantiate(void *gen, unsigned int strength, int prediction_resistance,
			   const unsigned char *personal, size_t personal_len,
			   const OSSL_PARAM params[])
{
	(void)strength;
	(void)prediction_resistance;
	(void)personal;
	(void)personal_len;
	(void)params;
	((struct rand_gen *)gen)->state = EVP_RAND_STATE_READY;
	return 1;
}

static int gen_uninstantiate(void *gen)
{
	((struct rand_gen *)gen)->state = EVP_RAND_STATE_UNINITIALISED;
	return 1;
}

static int gen_generate(void *gen, unsigned char *out, size_t len, unsigned int strength,
			int prediction_resistance, const unsigned char *more, size_t more_len)
{
	const struct rand_gen *g = gen;

	(void)strength;
	(void)prediction_resistance;
	(void)more;
	(void)more_len;
	return g->prov->rng && rng_fill(g->prov->rng, out, len) == ERR_OK;
}

/* A library context belongs to one thread, so there is nothing to lock. */
static int gen_enable_locking(void *gen)
{
	(void)gen;
	return 1;
}

static int gen_get_params(void *gen, OSSL_PARAM params[])
{
	const struct rand_gen *g = gen;
	OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE);

	if (p && !OSSL_PARAM_set_int(p, g->state))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH);
	if (p && !OSSL_PARAM_set_uint(p, 256))
		return 0;
	p = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST);
	return !p || OSSL_PARAM_set_size_t(p, RAND_REQUEST_MAX);
}

static const OSSL_PARAM *gen_gettable_params(void *gen, void *provctx)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_int(OSSL_RAND_PARAM_STATE, NULL),
		OSSL_PARAM_uint(OSSL_RAND_PARAM_STRENGTH, NULL),
		OSSL_PARAM_size_t(OSSL_RAND_PARAM_MAX_REQUEST, NULL),
		OSSL_PARAM_END,
	};

	(void)gen;
	(void)provctx;
	return known;
}

static const OSSL_DISPATCH gen_calls[] = {
	{OSSL_FUNC_RAND_NEWCTX, (void (*)(void))gen_new},
	{OSSL_FUNC_RAND_FREECTX, (void (*)(void))gen_free},
	{OSSL_FUNC_RAND_INSTANTIATE, (void (*)(void))gen_instantiate},
	{OSSL_FUNC_RAND_UNINSTANTIATE, (void (*)(void))gen_uninstantiate},
	{OSSL_FUNC_RAND_GENERATE, (void (*)(void))gen_generate},
	{OSSL_FUNC_RAND_ENABLE_LOCKING, (void (*)(void))gen_enable_locking},
	{OSSL_FUNC_RAND_GET_CTX_PARAMS, (void (*)(void))gen_get_params},
	{OSSL_FUNC_RAND_GETTABLE_CTX_PARAMS, (void (*)(void))gen_gettable_params},
	{0, NULL},
};

static const OSSL_ALGORITHM *prov_query(void *provctx, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM generators[] = {
		{RAND_NAME, "provider=latchkey", gen_calls, "injected randomness"},
		{NULL, NULL, NULL, NULL},
	};

	(void)provctx;
	*no_cache = 0;
	return operation == OSSL_OP_RAND ? generators : NULL;
}

static void prov_teardown(void *provctx)
{
	mem_free(provctx);
}

static const OSSL_DISPATCH prov_calls[] = {
	{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))prov_query},
	{OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))prov_teardown},
	{0, NULL},
};

static int prov_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
		     const OSSL_DISPATCH **out_calls, void **out_provctx)
{
	struct rand_prov *p = mem_alloc(sizeof(*p));

	(void)handle;
	(void)core;
	if (!p)
		return 0;
	*out_provctx = p;
	*out_calls = prov_calls;
	return 1;
}

enum err rand_install(OSSL_LIB_CTX *lib, OSSL_PROVIDER **out, const struct rng *rng)
{
	OSSL_PROVIDER *prov;
	struct rand_prov *p;

	if (OSSL_PROVIDER_add_builtin(lib, "latchkey", prov_init) != 1)
		return ERR_CRYPTO;
	prov = OSSL_PROVIDER_load(lib, "latchkey");
	if (!prov)
		return ERR_CRYPTO;
	p = OSSL_PROVIDER_get0_provider_ctx(prov);
	p->rng = rng;
	if (RAND_set_DRBG_type(lib, RAND_NAME, "provider=latchkey", NULL, NULL) != 1) {
		OSSL_PROVIDER_unload(prov);
		return ERR_CRYPTO;
	}
	*out = prov;
	return ERR_OK;
}
