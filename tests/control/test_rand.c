/* SPDX-License-Identifier: Apache-2.0 */
/* All randomness of a context comes from the injected source: same seed, same keys. */
#include "control/crypto/ctx.h"

#include <openssl/rand.h>
#include <pthread.h>

#include "control/conf/conf.h"
#include "control/crypto/ctx_priv.h"
#include "control/crypto/dh.h"
#include "tests/control/hex.h"

static const uint16_t groups[] = {DH_CURVE_25519, DH_ECP_256,   DH_ECP_384,  DH_ECP_521,
				  DH_MODP_2048,   DH_MODP_3072, DH_MODP_4096};

/* struct counted - a source that counts what is drawn and can be told to fail. */
struct counted {
	struct rng rng;
	struct rng_seeded seeded;
	size_t drawn;
	bool broken;
};

static enum err counted_fill(void *ctx, void *out, size_t len)
{
	struct counted *c = ctx;

	c->drawn += len;
	return c->broken ? ERR_CRYPTO : rng_fill(&c->seeded.rng, out, len);
}

static void counted_init(struct counted *c, uint64_t seed)
{
	*c = (struct counted){.rng = {.fill = counted_fill, .ctx = c}};
	rng_seeded_init(&c->seeded, seed);
}

#define DRAWN_MAX 4096

/* One key of each group, and each one's shared secret with itself. */
static size_t draw_keys(uint8_t out[static DRAWN_MAX], uint64_t seed)
{
	struct rng_seeded rng;
	struct crypto_ctx *c = seeded_ctx(&rng, seed);
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		struct secret shared = {0};
		struct dh *dh = NULL;

		CU_ASSERT_EQUAL_FATAL(dh_new(c, &dh, groups[i]), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(dh_compute_shared(dh, &shared, dh_public(dh)), ERR_OK);
		memcpy(out + at, dh_public(dh).p, dh_public(dh).len);
		at += dh_public(dh).len;
		memcpy(out + at, shared.p, shared.len);
		at += shared.len;
		secret_fini(&shared);
		dh_free(dh);
	}
	/* Whatever blinding drew is part of the stream too. */
	CU_ASSERT_EQUAL(rng_fill(&rng.rng, out + at, 16), ERR_OK);
	crypto_ctx_free(c);
	return at + 16;
}

static void test_same_seed_same_keys(void)
{
	static uint8_t a[DRAWN_MAX], b[DRAWN_MAX], other[DRAWN_MAX];
	const size_t len = draw_keys(a, 7);

	CU_ASSERT_EQUAL(draw_keys(b, 7), len);
	CU_ASSERT(memcmp(a, b, len) == 0);
	draw_keys(other, 8);
	CU_ASSERT(memcmp(a, other, 32) != 0);
}

static void test_two_contexts_do_not_mix(void)
{
	struct rng_seeded r1, r2;
	struct crypto_ctx *c1 = seeded_ctx(&r1, 1), *c2 = seeded_ctx(&r2, 1);

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		struct dh *d1 = NULL, *d2 = NULL;

		CU_ASSERT_EQUAL_FATAL(dh_new(c1, &d1, groups[i]), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(dh_new(c2, &d2, groups[i]), ERR_OK);
		CU_ASSERT(bytes_equal(dh_public(d1), dh_public(d2)));
		dh_free(d1);
		dh_free(d2);
	}
	crypto_ctx_free(c1);
	crypto_ctx_free(c2);
}

static void test_draws_from_source(void)
{
	struct counted source;
	struct crypto_ctx *c = NULL;

	counted_init(&source, 3);
	CU_ASSERT_EQUAL_FATAL(crypto_ctx_new(&c, &source.rng), ERR_OK);
	CU_ASSERT_PTR_EQUAL(crypto_ctx_rng(c), &source.rng);
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		const size_t before = source.drawn;
		struct dh *dh = NULL;

		CU_ASSERT_EQUAL_FATAL(dh_new(c, &dh, groups[i]), ERR_OK);
		/* A private MODP value has twice the bits of the group's strength, 112 at least. */
		CU_ASSERT(source.drawn >=
			  before +
				  (dh_shared_len(groups[i]) < 256 ? dh_shared_len(groups[i]) : 28));
		dh_free(dh);
	}
	crypto_ctx_free(c);
}

static void test_S6_failing_source_is_a_return(void)
{
	struct counted source;
	struct crypto_ctx *c = NULL;

	counted_init(&source, 3);
	CU_ASSERT_EQUAL_FATAL(crypto_ctx_new(&c, &source.rng), ERR_OK);
	source.broken = true;
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		struct dh *dh = NULL;

		CU_ASSERT_EQUAL(dh_new(c, &dh, groups[i]), ERR_CRYPTO);
		CU_ASSERT_PTR_NULL(dh);
	}
	crypto_ctx_free(c);
}

/* An embedder's own use of OpenSSL is left alone: its generator and its error queue. */
static void test_default_context_untouched(void)
{
	struct counted source;
	struct crypto_ctx *c = NULL;
	struct dh *dh = NULL;
	struct secret shared = {0};
	uint8_t zero[32] = {0}, out[32];
	size_t before;

	counted_init(&source, 3);
	ERR_clear_error();
	ERR_raise(ERR_LIB_USER, 77);
	CU_ASSERT_EQUAL_FATAL(crypto_ctx_new(&c, &source.rng), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dh_new(c, &dh, DH_CURVE_25519), ERR_OK);
	CU_ASSERT_EQUAL(dh_compute_shared(dh, &shared, bytes_of(zero, 32)), ERR_MALFORMED);
	CU_ASSERT_EQUAL(ERR_GET_REASON(ERR_peek_last_error()), 77);
	ERR_clear_error();
	before = source.drawn;
	CU_ASSERT_EQUAL(RAND_bytes(out, sizeof(out)), 1);
	CU_ASSERT_EQUAL(source.drawn, before);
	dh_free(dh);
	crypto_ctx_free(c);
}

/* An engine may be made in one thread, run in another and be freed in a third. */
static void *use_in_thread(void *arg)
{
	struct dh *dh = NULL;

	CU_ASSERT_EQUAL(dh_new(arg, &dh, DH_ECP_256), ERR_OK);
	dh_free(dh);
	return NULL;
}

static void *free_in_thread(void *arg)
{
	use_in_thread(arg);
	crypto_ctx_free(arg);
	return NULL;
}

static void test_threads(void)
{
	struct rng_seeded rng;
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	pthread_t t;

	use_in_thread(c);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, use_in_thread, c), 0);
	pthread_join(t, NULL);
	use_in_thread(c);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, free_in_thread, c), 0);
	pthread_join(t, NULL);
}

static void test_sha1(void)
{
	struct rng_seeded rng;
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	const struct bytes parts[] = {bytes_of("a", 1), bytes_of(NULL, 0), bytes_of("bc", 2)};
	uint8_t out[SHA1_LEN];

	/* FIPS 180-4, "abc". */
	CU_ASSERT_EQUAL(crypto_sha1(c, out, parts, 3), ERR_OK);
	CU_ASSERT(hex_equal("a9993e364706816aba3e25717850c26c9cd0d89d", out, sizeof(out)));
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_same_seed_same_keys),
	TAP_TEST(test_two_contexts_do_not_mix),
	TAP_TEST(test_draws_from_source),
	TAP_TEST(test_S6_failing_source_is_a_return),
	TAP_TEST(test_default_context_untouched),
	TAP_TEST(test_threads),
	TAP_TEST(test_sha1),
};

TAP_MAIN("control/rand", tests)
