/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/cookie.h"

#include <sodium.h>

#include "tests/control/hex.h"

static struct rng_seeded rng;
static const uint8_t nonce[32] = {1, 2, 3};
static const uint8_t host_a[4] = {192, 0, 2, 1}, host_b[4] = {192, 0, 2, 2};

static enum err check(const struct cookie_jar *jar, const uint8_t *cookie, uint64_t now)
{
	const struct ip_addr from = ip_addr_v4(host_a);
	const struct cookie_request r = {bytes_of(nonce, 32), &from, 77};
	struct cookie_asked asked;

	return cookie_check(jar, &asked, bytes_of(cookie, COOKIE_LEN), &r, now);
}

static void make(struct crypto_ctx *c, struct cookie_jar *jar, uint8_t *out, uint64_t now)
{
	const struct ip_addr from = ip_addr_v4(host_a);
	const struct cookie_request r = {bytes_of(nonce, 32), &from, 77};

	CU_ASSERT_EQUAL_FATAL(cookie_make(c, jar, out, &r, 17, now), ERR_OK);
}

static void test_S40_bound_to_request(void)
{
	const struct ip_addr a = ip_addr_v4(host_a), b = ip_addr_v4(host_b);
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct cookie_jar jar = {0};
	uint8_t cookie[COOKIE_LEN], other[32] = {1, 2, 4};

	const struct cookie_request others[] = {{bytes_of(nonce, 32), &b, 77},
						{bytes_of(nonce, 32), &a, 78},
						{bytes_of(other, 32), &a, 77},
						{bytes_of(nonce, 31), &a, 77}};
	struct cookie_asked asked;

	make(c, &jar, cookie, 5);
	CU_ASSERT_EQUAL(check(&jar, cookie, 6), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		CU_ASSERT_EQUAL(
			cookie_check(&jar, &asked, bytes_of(cookie, COOKIE_LEN), &others[i], 6),
			ERR_AUTH);
	cookie_jar_fini(&jar);
	crypto_ctx_free(c);
}

/* The parts of what is hashed cannot change places: a cookie for an IPv6 address whose last bytes
 * are somebody's IPv4 address must not prove that one with the rest as the end of the nonce. */
static void test_S40_address_and_nonce_do_not_mix(void)
{
	uint8_t host6[16] = {0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}, joined[32 + 12];
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	const struct ip_addr victim = ip_addr_v4(host_a);
	struct cookie_jar jar = {0};
	uint8_t cookie[COOKIE_LEN];

	memcpy(host6 + 12, host_a, 4);
	const struct ip_addr from = ip_addr_v6(host6);

	memcpy(joined, nonce, 32);
	memcpy(joined + 32, host6, 12);
	const struct cookie_request r = {bytes_of(nonce, 32), &from, 77};
	const struct cookie_request mixed = {bytes_of(joined, sizeof(joined)), &victim, 77};
	struct cookie_asked asked;

	CU_ASSERT_EQUAL_FATAL(cookie_make(c, &jar, cookie, &r, 0, 5), ERR_OK);
	CU_ASSERT_EQUAL(cookie_check(&jar, &asked, bytes_of(cookie, COOKIE_LEN), &mixed, 6),
			ERR_AUTH);
	cookie_jar_fini(&jar);
	crypto_ctx_free(c);
}

static void test_S40_every_change_is_noticed(void)
{
	const struct ip_addr a = ip_addr_v4(host_a);
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct cookie_jar jar = {0};
	uint8_t cookie[COOKIE_LEN + 1] = {0};
	const struct cookie_request r = {bytes_of(nonce, 32), &a, 77};
	struct cookie_asked asked;

	make(c, &jar, cookie, 5);
	for (size_t bit = 0; bit < COOKIE_LEN * 8; bit++) {
		cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_EQUAL(check(&jar, cookie, 5), ERR_AUTH);
		cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len <= COOKIE_LEN + 1; len++)
		CU_ASSERT_EQUAL(cookie_check(&jar, &asked, bytes_of(cookie, len), &r, 5),
				len == COOKIE_LEN ? ERR_OK : ERR_AUTH);
	cookie_jar_fini(&jar);
	crypto_ctx_free(c);
}

static void test_rolling(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct cookie_jar jar = {0};
	uint8_t first[COOKIE_LEN], second[COOKIE_LEN], third[COOKIE_LEN];

	make(c, &jar, first, 0);
	make(c, &jar, second, 1);
	CU_ASSERT(memcmp(first, second, COOKIE_LEN) == 0);
	make(c, &jar, second, COOKIE_ROLL_NS - 1); /* of the same secret, and known to be later */
	CU_ASSERT(first[0] == second[0] && memcmp(first, second, COOKIE_LEN) != 0);
	make(c, &jar, second, COOKIE_ROLL_NS);
	CU_ASSERT(memcmp(first, second, COOKIE_LEN) != 0);
	/* The one before lives on for one period. */
	CU_ASSERT_EQUAL(check(&jar, first, COOKIE_ROLL_NS), ERR_OK);
	CU_ASSERT_EQUAL(check(&jar, second, COOKIE_ROLL_NS), ERR_OK);
	CU_ASSERT_EQUAL(check(&jar, first, 2 * COOKIE_ROLL_NS), ERR_AUTH);
	CU_ASSERT_EQUAL(check(&jar, second, 3 * COOKIE_ROLL_NS - 1), ERR_OK);
	CU_ASSERT_EQUAL(check(&jar, second, 3 * COOKIE_ROLL_NS), ERR_AUTH);
	make(c, &jar, third, 2 * COOKIE_ROLL_NS);
	CU_ASSERT_EQUAL(check(&jar, first, 2 * COOKIE_ROLL_NS), ERR_AUTH);
	CU_ASSERT_EQUAL(check(&jar, second, 2 * COOKIE_ROLL_NS), ERR_OK);
	/* Versions wrap without an old one coming back to life. */
	for (uint64_t i = 3; i < 600; i++)
		make(c, &jar, third, i * COOKIE_ROLL_NS);
	CU_ASSERT_EQUAL(check(&jar, third, 599 * COOKIE_ROLL_NS), ERR_OK);
	CU_ASSERT_EQUAL(check(&jar, first, 599 * COOKIE_ROLL_NS), ERR_AUTH);
	cookie_jar_fini(&jar);
	CU_ASSERT_PTR_NULL(jar.secrets[0].p);
	crypto_ctx_free(c);
}

/* What was asked for with a cookie, and when, is told by it alone (RFC 8019 7.1.1.3). */
static void test_R8019_cookie_tells(void)
{
	const struct ip_addr a = ip_addr_v4(host_a);
	const struct cookie_request r = {bytes_of(nonce, 32), &a, 77};
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct cookie_asked asked = {0};
	struct cookie_jar jar = {0};
	uint8_t cookie[COOKIE_LEN];

	for (uint64_t i = 0; i < 2000; i++) {
		const uint64_t now = 7 * NS_PER_S + i * 77 * NS_PER_MS;

		CU_ASSERT_EQUAL_FATAL(cookie_make(c, &jar, cookie, &r, (uint8_t)i, now), ERR_OK);
		CU_ASSERT_EQUAL(cookie_check(&jar, &asked, bytes_of(cookie, COOKIE_LEN), &r,
					     now + 59 * NS_PER_S),
				ERR_OK);
		CU_ASSERT_EQUAL(asked.bits, (uint8_t)i);
		if (asked.bits)
			CU_ASSERT(asked.made_ns <= now && now - asked.made_ns < COOKIE_STEP_NS);
	}
	cookie_jar_fini(&jar);
	crypto_ctx_free(c);
}

/* A jar that has made none accepts none, not even zeros. */
static void test_empty_jar(void)
{
	const struct cookie_jar jar = {0};
	const struct ip_addr from = ip_addr_v4(host_a);
	const struct be64 spi = be64_make(77);
	uint8_t cookie[COOKIE_LEN] = {0};
	crypto_generichash_state h;

	for (unsigned int version = 0; version < 256; version++) {
		cookie[0] = (uint8_t)version;
		CU_ASSERT_EQUAL(check(&jar, cookie, 5), ERR_AUTH);
	}
	/* What no secret at all would give. */
	for (unsigned int version = 0; version < 256; version++) {
		cookie[0] = (uint8_t)version;
		crypto_generichash_init(&h, NULL, 0, COOKIE_LEN - 4);
		crypto_generichash_update(&h, (const uint8_t *)&from, sizeof(from));
		crypto_generichash_update(&h, (const uint8_t *)&spi, sizeof(spi));
		crypto_generichash_update(&h, cookie, 4);
		crypto_generichash_update(&h, nonce, sizeof(nonce));
		crypto_generichash_final(&h, cookie + 4, COOKIE_LEN - 4);
		CU_ASSERT_EQUAL(check(&jar, cookie, 5), ERR_AUTH);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S40_bound_to_request),
	TAP_TEST(test_S40_every_change_is_noticed),
	TAP_TEST(test_S40_address_and_nonce_do_not_mix),
	TAP_TEST(test_rolling),
	TAP_TEST(test_R8019_cookie_tells),
	TAP_TEST(test_empty_jar),
};

TAP_MAIN("control/cookie", tests)
