/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of a handshake's cryptography fails once: a clean error each time, nothing leaks
 * (sanitizers tell), and with memory again it works. */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "control/auth/verify.h"
#include "control/crypto/dh.h"
#include "control/crypto/ike_aead.h"
#include "control/crypto/keys.h"
#include "control/ike/wire/proto.h"
#include "tests/control/hex.h"

static const uint16_t groups[] = {DH_CURVE_25519, DH_ECP_256,   DH_ECP_384,  DH_ECP_521,
				  DH_MODP_2048,   DH_MODP_3072, DH_MODP_4096};
static uint8_t nonce[32];
static struct rng_seeded rng;

/* What OpenSSL allocates by itself behind the key exchange, in which a refusal leaks memory of its
 * own: the nth is refused; 0 = none. */
static uint64_t refuse_nth, num_asked, left;
static bool watched;

static bool refused(void)
{
	num_asked++;
	return left && --left == 0;
}

static void *watched_malloc(size_t len, const char *file, int line)
{
	(void)file, (void)line;
	return refused() ? NULL : malloc(len);
}

static void *watched_realloc(void *p, size_t len, const char *file, int line)
{
	(void)file, (void)line;
	return refused() ? NULL : realloc(p, len);
}

static void watched_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

/* OpenSSL takes another allocator only before its first allocation. */
__attribute__((constructor)) static void watch(void)
{
	watched = CRYPTO_set_mem_functions(watched_malloc, watched_realloc, watched_free) == 1;
}

/* struct all - what a handshake holds. */
struct all {
	struct crypto_ctx *c;
	struct dh *dh;
	struct secret shared;
	struct ike_keys ike;
	struct child_keys child;
	struct ike_aead *aead;
	struct auth_proof *proof;
};

static enum err verify(struct all *a)
{
	static const uint8_t id[] = {ID_FQDN, 0, 0, 0, 'a'};
	const struct ike_id local = {.type = ID_FQDN, .len = 1};
	struct auth_psk_params p = {.local = &local, .method = AUTH_SHARED_KEY_MIC};
	uint8_t value[PRF_LEN_MAX];
	enum err e;

	p.octets = (struct auth_octets){.prf = PRF_HMAC_SHA2_256, .sk_p = &a->ike.sk_pi};
	p.octets.id_body = bytes_of(id, sizeof(id));
	p.psk = bytes_of("key", 3);
	e = auth_psk_compute(a->c, value, &p.octets, p.psk);
	p.auth = bytes_of(value, 32);
	return e == ERR_OK ? auth_verify_psk(a->c, &a->proof, &p) : e;
}

static enum err everything(struct all *a, uint16_t group)
{
	const struct bytes n = bytes_of(nonce, sizeof(nonce));
	struct ike_keys_params p = {.encr = {ENCR_AES_GCM_16, 256, 0}, .prf = PRF_HMAC_SHA2_256};
	enum err e;

	rng_seeded_init(&rng, 1);
	if ((e = crypto_ctx_new(&a->c, &rng.rng)) || (e = dh_new(a->c, &a->dh, group)) ||
	    (e = dh_compute_shared(a->dh, &a->shared, dh_public(a->dh))))
		return e;
	num_asked = 0;
	left = refuse_nth;
	p.ni = p.nr = n;
	p.dh = &a->shared;
	if ((e = ike_keys_derive(a->c, &a->ike, &p)) ||
	    (e = child_keys_derive(a->c, &a->child, &a->ike, p.encr, n, n, &a->shared, NULL)) ||
	    (e = ike_aead_new(a->c, &a->aead, p.encr, &a->ike.sk_ei)))
		return e;
	return verify(a);
}

static void give_back(struct all *a)
{
	auth_proof_put(a->proof);
	ike_aead_free(a->aead);
	child_keys_fini(&a->child);
	ike_keys_fini(&a->ike);
	secret_fini(&a->shared);
	dh_free(a->dh);
	crypto_ctx_free(a->c);
	*a = (struct all){0};
}

/* KEPT_MAX - of a result that is compared: the secret of the exchange, and keys of either kind. */
#define KEPT_MAX (DH_SHARED_MAX + 4 * PRF_LEN_MAX)

static size_t keep(uint8_t out[static KEPT_MAX], const struct all *a)
{
	const struct secret *const parts[] = {&a->shared, &a->ike.sk_d, &a->ike.sk_pr,
					      &a->child.i2r, &a->child.r2i};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		CU_ASSERT_FATAL(parts[i]->len > 0 && len + parts[i]->len <= KEPT_MAX);
		memcpy(out + len, parts[i]->p, parts[i]->len);
		len += parts[i]->len;
	}
	return len;
}

static void test_every_allocation_fails_once(void)
{
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		struct all a = {0};
		uint64_t before = alloc_count(), num, failed = 0;
		uint8_t right[KEPT_MAX], got[KEPT_MAX];
		size_t len;

		CU_ASSERT_EQUAL_FATAL(everything(&a, groups[g]), ERR_OK);
		num = alloc_count() - before;
		len = keep(right, &a);
		give_back(&a);
		CU_ASSERT(num >= 5);
		for (uint64_t i = 1; i <= num; i++) {
			enum err e;

			alloc_fail_nth(i);
			e = everything(&a, groups[g]);
			alloc_fail_nth(0);
			/* OpenSSL can do without one of its own generators' allocations: then the
			 * result is the right one. */
			if (e == ERR_OK)
				CU_ASSERT(secret_equal(got, keep(got, &a), right, len))
			else
				CU_ASSERT(e == ERR_NOMEM || e == ERR_CRYPTO);
			failed += e != ERR_OK;
			give_back(&a);
		}
		CU_ASSERT(failed + 1 >= num);
		CU_ASSERT_EQUAL(everything(&a, groups[g]), ERR_OK);
		give_back(&a);
	}
}

/* What OpenSSL could not do is an error, or was done all the same: never another result (S6). */
static void test_S6_failing_library_is_a_return(void)
{
	struct all a = {0};
	uint64_t total, failed = 0;
	uint8_t right[KEPT_MAX], got[KEPT_MAX];
	size_t len;

	CU_ASSERT_FATAL(watched);
	CU_ASSERT_EQUAL_FATAL(everything(&a, DH_CURVE_25519), ERR_OK);
	total = num_asked;
	len = keep(right, &a);
	give_back(&a);
	CU_ASSERT(total > 50);
	for (uint64_t n = 1; n <= total; n++) {
		enum err e;

		refuse_nth = n;
		e = everything(&a, DH_CURVE_25519);
		refuse_nth = left = 0;
		CU_ASSERT(e || secret_equal(got, keep(got, &a), right, len));
		failed += e != ERR_OK;
		give_back(&a);
	}
	CU_ASSERT(failed > total / 2);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_every_allocation_fails_once),
	TAP_TEST(test_S6_failing_library_is_a_return),
};

TAP_MAIN("control/crypto_oom", tests)
