/* SPDX-License-Identifier: Apache-2.0 */
/* Key derivation against values computed with Python's hmac from the formulas of RFC 7296 2.13,
 * 2.14, 2.17, 2.18. test_wire_corpus.c checks against strongSwan's keys. */
#include "control/crypto/keys.h"
#include "control/crypto/prf.h"

#include "base/alloc.h"
#include "tests/control/hex.h"

static struct rng_seeded rng;
static uint8_t ni[32], nr[64], shared[32];
static struct secret dh;

static const struct {
	uint16_t prf, key_bits;
	const char *d, *ei, *er, *pi, *pr;
	const char *i2r, *r2i;         /* child without PFS, of the same cipher */
	const char *pfs_i2r, *pfs_r2i; /* with PFS */
	const char *rekeyed_d;         /* SK_d after a re-key to PRF_HMAC_SHA2_384, 256 bits */
} vectors[] = {
	{PRF_HMAC_SHA2_256, 128, "00dde524e71c3267ce12736fdecd3ae457d6fbb8df05717071cc8bef2496e771",
	 "2a6eb39d8b27b355d27c1662b117a12f9363255e", "f2b90b3c4f4a43bdd5b4f440f4e83b99ac16833d",
	 "a5d7d5f85b90d6b1f07061ac8eaeffb57fedef4b60e4da0f503bdf6606474b1f",
	 "0d79248dba692e6ef89844d1a126971add7930f22d5b54e64b7fa0574d71834b",
	 "95d5489e504f3f09d2d11ff6a8badbc5c2ba534a", "2f6dae79a506c917989dc734a6d0d16a838b2f76",
	 "04bfeffd30fba327a3670bb9e8d639457cccc01d", "e359e152e4196b528de21d5e87028a31130ed3c7",
	 "3fd9413437ebb11950057398482b7992665519c41e0b595f92b544ff0ece5dbc"
	 "4ded59b41124eb141778432926314d86"},
	{PRF_HMAC_SHA2_256, 256, "00dde524e71c3267ce12736fdecd3ae457d6fbb8df05717071cc8bef2496e771",
	 "2a6eb39d8b27b355d27c1662b117a12f9363255ef2b90b3c4f4a43bdd5b4f440f4e83b99",
	 "ac16833da5d7d5f85b90d6b1f07061ac8eaeffb57fedef4b60e4da0f503bdf6606474b1f",
	 "0d79248dba692e6ef89844d1a126971add7930f22d5b54e64b7fa0574d71834b",
	 "bdc0f7e5cf861c862eb4de3aa93350b2a10abbb46b7162270e64e7fea6fc0080",
	 "95d5489e504f3f09d2d11ff6a8badbc5c2ba534a2f6dae79a506c917989dc734a6d0d16a",
	 "838b2f7610f8fb2803dde36e9c05baba5a25b79cd68135c3a32a6b0973ce193c4cff5ffb",
	 "04bfeffd30fba327a3670bb9e8d639457cccc01de359e152e4196b528de21d5e87028a31",
	 "130ed3c72bd7c37260ad45710c2415b869fc10567005b157f09907bfad7e4b1414b6f7a2",
	 "3fd9413437ebb11950057398482b7992665519c41e0b595f92b544ff0ece5dbc"
	 "4ded59b41124eb141778432926314d86"},
	{PRF_HMAC_SHA2_384, 256,
	 "4dae68d5dd4553f1625322c7dc237a3c17e5110c5584d4acfe278eaa8ff52a93"
	 "f48f86e9ff4ab3c9f3d9c0f743a5cba9",
	 "5aa4b5210438ebe9e97bbc809bcd0722d4d09f5a45bbb3bf631d1f76c3f07ef479f6d739",
	 "355727eeaa23c5d58240d1f62eb4e1e206520ca17d5c7c905bafb0f4483e6352b207e096",
	 "a0b62b78db3bdeee979cf5675508304b569279b3521c0ad8b239575af9f73316"
	 "2339b0153646c13dc2e1b399dab33980",
	 "21820319c6215cbc7df864339f21fd9165c890fa65e19389ce999e57c93bcc71"
	 "ce632d1704c82d617d8ba6a6db31e6b6",
	 "fd141f9fb3c382f6dcab3e35a2e202b00ecd7d4cbfd3bf08972badf081d28bf0a14a1a01",
	 "6f8d0a171c610aeb7d10a3b0278752a0ef9ec3320e143e7488722647a77cc0053cdf0ba0",
	 "fd4754b94b8c856793e7e75eab5f12ee0879c02bdf2d5a9e1ce932c2354b6cffc8b0e5bc",
	 "32d8b8208c694850169f0c908947e77f997b24474eb10263d2b40bd893c624db5a209f17",
	 "983cf70cc5cf34d758e9cf507373058aa3c754e591b45a29e4f81fb0fe274fbe"
	 "2327bccd8df90fc6d5f3caca1aabe71a"},
};

static void prepare(void)
{
	for (size_t i = 0; i < sizeof(ni); i++)
		ni[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(nr); i++)
		nr[i] = (uint8_t)(64 + i);
	for (size_t i = 0; i < sizeof(shared); i++)
		shared[i] = (uint8_t)(200 + i);
	if (secret_init_copy(&dh, shared, sizeof(shared)) != ERR_OK)
		abort();
}

static struct ike_keys_params params_of(uint16_t prf, uint16_t key_bits)
{
	return (struct ike_keys_params){
		.encr = {.id = ENCR_AES_GCM_16, .key_bits = key_bits},
		.prf = prf,
		.spi_i = 0x1122334455667788,
		.spi_r = 0x99aabbccddeeff00,
		.ni = bytes_of(ni, sizeof(ni)),
		.nr = bytes_of(nr, sizeof(nr)),
		.dh = &dh,
	};
}

static bool is(const char *hex, const struct secret *s)
{
	return hex_equal(hex, s->p, s->len);
}

static void test_first_ike_sa(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct ike_keys_params p = params_of(vectors[i].prf, vectors[i].key_bits);
		struct ike_keys k = {0};

		CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, &k, &p), ERR_OK);
		CU_ASSERT(is(vectors[i].d, &k.sk_d));
		CU_ASSERT(is(vectors[i].ei, &k.sk_ei));
		CU_ASSERT(is(vectors[i].er, &k.sk_er));
		CU_ASSERT(is(vectors[i].pi, &k.sk_pi));
		CU_ASSERT(is(vectors[i].pr, &k.sk_pr));
		CU_ASSERT_EQUAL(k.sk_ei.len, encr_key_len(p.encr));
		CU_ASSERT_EQUAL(k.prf, vectors[i].prf);
		ike_keys_fini(&k);
		CU_ASSERT_PTR_NULL(k.sk_d.p);
	}
	crypto_ctx_free(c);
}

/* SK_d, SK_pi and SK_pr of the same rows with this PPK in them (RFC 8784 3), made with Python's
 * hmac.
 */
#define PPK "0123456789abcdef0123456789abcdef"
static const struct {
	const char *d, *pi, *pr;
} mixed[] = {
	{"2546eb3b15d823c55cbdb1c740372d8fdc018d15456b2ea83110d1168d395881",
	 "0777b8247f39b3883b0e699f19f9c3943e68a5ff20ca179a10d0c9d6f60554c5",
	 "259e23e7e7c3a3cdf0eea345e6135f7628e7f7f9ca87c9004ace99c42b2f2f25"},
	{"2546eb3b15d823c55cbdb1c740372d8fdc018d15456b2ea83110d1168d395881",
	 "259e23e7e7c3a3cdf0eea345e6135f7628e7f7f9ca87c9004ace99c42b2f2f25",
	 "31d3fbefd0ada33c13e17a59fa7d0c03f82e8fac2161bb04847e1a9c67df0308"},
	{"94d15a89c9558b5f167a13cee46a8b2742c88ff07b91260078d9176470cdf90a859cd380b26617651b5c7564b"
	 "6500320",
	 "c5f7350cf1b57cbb4f46c3e2f9aa051f002aa74678a5b3cbedec2115a97e90a2a5ddeb25ffc4121facb2e1c5b"
	 "1c71a9a",
	 "1d48740fdc4bcb4adf4757c0bc1ed361cd723d9194db8ea5feae9f815adb0ff9342259dd34f1d67235413cb0a"
	 "57aa1be"},
};

static void test_R8784_mixed(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	static_assert(ARRAY_LEN(mixed) == ARRAY_LEN(vectors), "row by row");
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct ike_keys_params p = params_of(vectors[i].prf, vectors[i].key_bits);
		struct ike_keys k = {0};
		struct ppk_keys m = {.sk_d = {0}};

		CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, &k, &p), ERR_OK);
		CU_ASSERT_EQUAL(ppk_keys_derive(c, &m, &k, bytes_of(NULL, 0)), ERR_INVAL);
		CU_ASSERT_EQUAL_FATAL(ppk_keys_derive(c, &m, &k, bytes_of(PPK, strlen(PPK))),
				      ERR_OK);
		CU_ASSERT(is(vectors[i].d, &k.sk_d));
		ppk_keys_use(&k, &m);
		CU_ASSERT_PTR_NULL(m.sk_d.p);
		CU_ASSERT(is(mixed[i].d, &k.sk_d));
		CU_ASSERT(is(mixed[i].pi, &k.sk_pi));
		CU_ASSERT(is(mixed[i].pr, &k.sk_pr));
		CU_ASSERT(is(vectors[i].ei, &k.sk_ei));
		ppk_keys_fini(&m);
		ike_keys_fini(&k);
	}
	crypto_ctx_free(c);
}

/* SK_d and SK_pr of IKE SAs that resume those of the same rows (RFC 5723 5.1), made with Python's
 * hmac.
 */
static const struct {
	const char *d, *pr;
} resumed[] = {
	{"a2dd97e8df641e60450ad8af768fddd066823ad752018df7ab1d6e202794b58b",
	 "c1f0f7a633637948389517e566a7474103e1f8945e6377c465676cfda92dbdf2"},
	{"a2dd97e8df641e60450ad8af768fddd066823ad752018df7ab1d6e202794b58b",
	 "98a7082d1c001ed54c5e6b77ae3e7941ba46af823821bd38938a62fb9b0168b1"},
	{"3615a4f8d137e3384a80dca8fba8f3357445ba5d9bdf38ea129af13f230136b1e5f2341d0d518fc6bd55da0b6"
	 "f215d51",
	 "75b508551abd23cb1381b32bc1e2f52f08001790b27961d843a7cf357602ea5b24ca7b5819d0eec1a8bc355bc"
	 "a496ee2"},
};

static void test_R5723_resumed(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	static_assert(ARRAY_LEN(resumed) == ARRAY_LEN(vectors), "row by row");
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct ike_keys_params p = params_of(vectors[i].prf, vectors[i].key_bits);
		struct ike_keys old = {0}, k = {0};

		CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, &old, &p), ERR_OK);
		p.dh = NULL;
		p.resumed = &old.sk_d;
		CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, &k, &p), ERR_OK);
		CU_ASSERT(is(resumed[i].d, &k.sk_d));
		CU_ASSERT(is(resumed[i].pr, &k.sk_pr));
		ike_keys_fini(&k);
		ike_keys_fini(&old);
	}
	crypto_ctx_free(c);
}

static void test_child_sa(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct ike_keys_params p = params_of(vectors[i].prf, vectors[i].key_bits);
		struct ike_keys k = {0};
		struct child_keys child = {0};

		CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, &k, &p), ERR_OK);
		CU_ASSERT_EQUAL(child_keys_derive(c, &child, &k, p.encr, p.ni, p.nr, NULL, NULL),
				ERR_OK);
		CU_ASSERT(is(vectors[i].i2r, &child.i2r));
		CU_ASSERT(is(vectors[i].r2i, &child.r2i));
		child_keys_fini(&child);
		CU_ASSERT_PTR_NULL(child.i2r.p);
		CU_ASSERT_EQUAL(child_keys_derive(c, &child, &k, p.encr, p.ni, p.nr, &dh, NULL),
				ERR_OK);
		CU_ASSERT(is(vectors[i].pfs_i2r, &child.i2r));
		CU_ASSERT(is(vectors[i].pfs_r2i, &child.r2i));
		child_keys_fini(&child);
		ike_keys_fini(&k);
	}
	crypto_ctx_free(c);
}

/* SKEYSEED is made with the old SA's prf, everything else with the new one's (2.18). */
static void test_rekeyed_ike_sa(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct ike_keys_params p = params_of(vectors[i].prf, vectors[i].key_bits);
		struct ike_keys_params again = params_of(PRF_HMAC_SHA2_384, 256);
		struct ike_keys k = {0}, k2 = {0};

		CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, &k, &p), ERR_OK);
		again.rekeyed = &k;
		CU_ASSERT_EQUAL(ike_keys_derive(c, &k2, &again), ERR_OK);
		CU_ASSERT(is(vectors[i].rekeyed_d, &k2.sk_d));
		ike_keys_fini(&k);
		ike_keys_fini(&k2);
	}
	crypto_ctx_free(c);
}

static void test_ciphers(void)
{
	const struct conf_encr gcm128 = {ENCR_AES_GCM_16, 128, 0},
			       gcm256 = {ENCR_AES_GCM_16, 256, 0};
	const struct conf_encr chacha = {ENCR_CHACHA20_POLY1305, 0, 0};

	CU_ASSERT_EQUAL(encr_key_len(gcm128), 20);
	CU_ASSERT_EQUAL(encr_key_len(gcm256), 36);
	CU_ASSERT_EQUAL(encr_aead_alg(gcm128), AEAD_AES_GCM_16_128);
	CU_ASSERT_EQUAL(encr_aead_alg(gcm256), AEAD_AES_GCM_16_256);
	CU_ASSERT_EQUAL(encr_key_len(chacha), 36);
	CU_ASSERT_EQUAL(encr_aead_alg(chacha), AEAD_CHACHA20_POLY1305);
	for (uint16_t id = 0; id < 32; id++) {
		for (uint16_t bits = 0; bits < 512; bits += 64) {
			for (uint16_t integ = 0; integ < 20; integ++) {
				const struct conf_encr encr = {id, bits, integ};
				const bool aes = bits == 128 || bits == 192 || bits == 256;
				const bool sha2 = integ >= 12 && integ <= 14;
				const bool good =
					id == ENCR_AES_GCM_16 ? aes && bits != 192 && !integ
					: id == ENCR_CHACHA20_POLY1305 ? !bits && !integ
					: id == ENCR_AES_CBC           ? aes && sha2
					: id == ENCR_NULL              ? !bits && sha2
					: id == ENCR_AES_GMAC          ? aes && !integ
					: id == ENCR_AES_GCM_16_IIV ? aes && bits != 192 && !integ
					: id == ENCR_CHACHA20_POLY1305_IIV ? !bits && !integ
									   : false;

				CU_ASSERT_EQUAL(encr_key_len(encr) != 0, good);
				CU_ASSERT_EQUAL(encr_aead_alg(encr) != AEAD_NONE, good);
			}
		}
	}
	/* RFC 4868 2.1.1: the MAC's key is as long as its hash. */
	CU_ASSERT_EQUAL(encr_key_len((struct conf_encr){12, 256, 14}), 32 + 64);
	CU_ASSERT_EQUAL(encr_key_len((struct conf_encr){11, 0, 13}), 48);
	CU_ASSERT_EQUAL(encr_key_len((struct conf_encr){21, 192, 0}), 24 + 4);
}

/* {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} (RFC 7296 2.14): what a combined mode with
 * as much keying material has in one piece lies in two here. */
static void test_order_of_mac_keys(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct ike_keys_params p = params_of(PRF_HMAC_SHA2_256, 256);
	const struct bytes parts[] = {p.ni, p.nr, bytes_of("\0\0\0\0\0\0\0\1", 8),
				      bytes_of("\0\0\0\0\0\0\0\2", 8)};
	struct secret all = {0};
	struct ike_keys k = {0};
	uint8_t seed[PRF_LEN_MAX], nonces[512];
	const struct bytes g = bytes_of(p.dh->p, p.dh->len);

	p.spi_i = 1;
	p.spi_r = 2;
	p.encr = (struct conf_encr){ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_384_192};
	memcpy(nonces, p.ni.p, p.ni.len);
	memcpy(nonces + p.ni.len, p.nr.p, p.nr.len);
	CU_ASSERT_EQUAL(prf_compute(c, seed, p.prf, bytes_of(nonces, p.ni.len + p.nr.len), &g, 1),
			ERR_OK);
	CU_ASSERT_EQUAL_FATAL(secret_init(&all, 32 + 2 * 48 + 2 * 16 + 2 * 32), ERR_OK);
	CU_ASSERT_EQUAL(prf_plus(c, &all, p.prf, bytes_of(seed, 32), parts, 4), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, &k, &p), ERR_OK);
	CU_ASSERT(k.sk_ei.len == 16 + 48 && k.sk_er.len == 16 + 48);
	CU_ASSERT_EQUAL(memcmp(k.sk_d.p, all.p, 32), 0);
	CU_ASSERT_EQUAL(memcmp(k.sk_ei.p + 16, all.p + 32, 48), 0);
	CU_ASSERT_EQUAL(memcmp(k.sk_er.p + 16, all.p + 80, 48), 0);
	CU_ASSERT_EQUAL(memcmp(k.sk_ei.p, all.p + 128, 16), 0);
	CU_ASSERT_EQUAL(memcmp(k.sk_er.p, all.p + 144, 16), 0);
	CU_ASSERT_EQUAL(memcmp(k.sk_pi.p, all.p + 160, 32), 0);
	CU_ASSERT_EQUAL(memcmp(k.sk_pr.p, all.p + 192, 32), 0);
	ike_keys_fini(&k);
	secret_fini(&all);
	crypto_ctx_free(c);
}

static void test_refusals(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct ike_keys_params p = params_of(PRF_HMAC_SHA2_256, 192);
	const struct conf_encr cbc = {12, 256, 0};
	uint8_t big[300] = {0};
	struct ike_keys k = {0};
	struct child_keys child = {0};

	CU_ASSERT_EQUAL(ike_keys_derive(c, &k, &p), ERR_UNSUPPORTED);
	p = params_of(2, 256);
	CU_ASSERT_EQUAL(ike_keys_derive(c, &k, &p), ERR_UNSUPPORTED);
	p = params_of(PRF_HMAC_SHA2_256, 256);
	p.ni = bytes_of(big, 257);
	CU_ASSERT_EQUAL(ike_keys_derive(c, &k, &p), ERR_LIMIT);
	CU_ASSERT_PTR_NULL(k.sk_d.p);
	p = params_of(PRF_HMAC_SHA2_256, 256);
	CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, &k, &p), ERR_OK);
	CU_ASSERT_EQUAL(child_keys_derive(c, &child, &k, cbc, p.ni, p.nr, NULL, NULL),
			ERR_UNSUPPORTED);
	ike_keys_fini(&k);
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_first_ike_sa),      TAP_TEST(test_R8784_mixed),
	TAP_TEST(test_R5723_resumed),     TAP_TEST(test_child_sa),
	TAP_TEST(test_rekeyed_ike_sa),    TAP_TEST(test_ciphers),
	TAP_TEST(test_order_of_mac_keys), TAP_TEST(test_refusals),
};

int main(void)
{
	prepare();
	return tap_main("control/keys", tests, ARRAY_LEN(tests));
}
