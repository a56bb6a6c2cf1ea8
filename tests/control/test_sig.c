/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures, their AlgorithmIdentifiers, and the checks of public keys. */
#include "control/auth/algorithm.h"
#include "control/ike/wire/proto.h"
#include "tests/control/hex.h"
#include "tests/pki.h"

static struct rng_seeded rng;
static struct crypto_ctx *ctx;

static void setup(void)
{
	if (ctx)
		return;
	rng_seeded_init(&rng, 7);
	CU_ASSERT_EQUAL_FATAL(crypto_ctx_new(&ctx, &rng.rng), ERR_OK);
}

static struct bytes unhex(uint8_t *out, size_t cap, const char *text)
{
	struct hex h;

	hex_read(&h, text);
	if (h.len > cap)
		abort();
	memcpy(out, h.b, h.len);
	return bytes_of(out, h.len);
}

static struct bytes text_bytes(const char *text)
{
	return bytes_of(text, strlen(text));
}

/* ---- vectors --------------------------------------------------------------------------------- */

/* SubjectPublicKeyInfo in front of a point: P-256 (RFC 5480) and Ed25519 (RFC 8410). */
#define SPKI_P256    "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
#define SPKI_ED25519 "302a300506032b6570032100"

static const struct {
	struct sig_scheme scheme;
	const char *spki, *message, *sig;
} vectors[] = {
	/* RFC 4754 8.1 */
	{{SIG_ECDSA_RAW, SIG_SHA2_256},
	 SPKI_P256 "2442a5cc0ecd015fa3ca31dc8e2bbc70bf42d60cbca20085e0822cb04235e970"
		   "6fc98bd7e50211a4a27102fa3549df79ebcb4bf246b80945cddfe7d509bbfd7d",
	 "616263",
	 "cb28e0999b9c7715fd0a80d8e47a77079716cbbf917dd72e97566ea1c066957c"
	 "86fa3bb4e26cad5bf90b7f81899256ce7594bb1ea0c89212748bff3b3d5b0315"},
	/* RFC 8032 7.1, tests 1, 2 and 3 */
	{{SIG_ED25519, SIG_IDENTITY},
	 SPKI_ED25519 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
	 "",
	 "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
	 "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{{SIG_ED25519, SIG_IDENTITY},
	 SPKI_ED25519 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
	 "72",
	 "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	 "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{{SIG_ED25519, SIG_IDENTITY},
	 SPKI_ED25519 "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
	 "af82",
	 "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
	 "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void test_published_vectors(void)
{
	setup();
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		uint8_t spki[256], message[64], sig[256];
		struct bytes s = unhex(spki, sizeof(spki), vectors[i].spki);
		struct bytes m = unhex(message, sizeof(message), vectors[i].message);
		struct bytes v = unhex(sig, sizeof(sig), vectors[i].sig);
		struct key_info info;
		char why[KEY_WHY_MAX];

		CU_ASSERT_EQUAL(key_check(&info, why, s), ERR_OK);
		CU_ASSERT_EQUAL(sig_verify(ctx, vectors[i].scheme, s, m, v), ERR_OK);
		sig[3] ^= 1;
		CU_ASSERT_EQUAL(sig_verify(ctx, vectors[i].scheme, s, m, v), ERR_AUTH);
	}
}

/* ---- every scheme ---------------------------------------------------------------------------- */

static const struct {
	const char *key;
	struct sig_scheme scheme;
} schemes[] = {
	{"rsa2048", {SIG_RSA_PSS, SIG_SHA2_256}},   {"rsa2048", {SIG_RSA_PSS, SIG_SHA2_384}},
	{"rsa2048", {SIG_RSA_PSS, SIG_SHA2_512}},   {"rsa2048", {SIG_RSA_PKCS1, SIG_SHA2_256}},
	{"rsa2048", {SIG_RSA_PKCS1, SIG_SHA2_384}}, {"rsa2048", {SIG_RSA_PKCS1, SIG_SHA2_512}},
	{"P-256", {SIG_ECDSA, SIG_SHA2_256}},       {"P-384", {SIG_ECDSA, SIG_SHA2_384}},
	{"P-521", {SIG_ECDSA, SIG_SHA2_512}},       {"P-521", {SIG_ECDSA, SIG_SHA2_256}},
	{"P-256", {SIG_ECDSA_RAW, SIG_SHA2_256}},   {"P-384", {SIG_ECDSA_RAW, SIG_SHA2_384}},
	{"P-521", {SIG_ECDSA_RAW, SIG_SHA2_512}},   {"ed25519", {SIG_ED25519, SIG_IDENTITY}},
	{"ed448", {SIG_ED448, SIG_IDENTITY}},
};

static void test_every_scheme(void)
{
	const struct bytes message = text_bytes("what is signed");

	setup();
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		const struct pki_key *key = pki_key_get(schemes[i].key);
		uint8_t sig[SIG_MAX];
		size_t len;

		CU_ASSERT_EQUAL(
			sig_sign(ctx, sig, &len, schemes[i].scheme, pki_private(key), message),
			ERR_OK);
		CU_ASSERT_EQUAL(sig_verify(ctx, schemes[i].scheme, pki_spki(key), message,
					   bytes_of(sig, len)),
				ERR_OK);
		for (size_t j = 0; j < ARRAY_LEN(schemes); j++) {
			const bool same = schemes[j].scheme.form == schemes[i].scheme.form &&
					  schemes[j].scheme.hash == schemes[i].scheme.hash;

			if (!same)
				CU_ASSERT_NOT_EQUAL(sig_verify(ctx, schemes[j].scheme,
							       pki_spki(key), message,
							       bytes_of(sig, len)),
						    ERR_OK);
		}
	}
}

/* The same stream of random bytes gives the same signature. */
static void test_signatures_are_repeatable(void)
{
	const struct pki_key *key = pki_key_get("P-256");
	uint8_t sig[2][SIG_MAX];
	size_t len[2];

	for (int i = 0; i < 2; i++) {
		struct rng_seeded source;
		struct crypto_ctx *c;

		rng_seeded_init(&source, 99);
		CU_ASSERT_EQUAL_FATAL(crypto_ctx_new(&c, &source.rng), ERR_OK);
		CU_ASSERT_EQUAL(sig_sign(c, sig[i], &len[i],
					 (struct sig_scheme){SIG_ECDSA, SIG_SHA2_256},
					 pki_private(key), text_bytes("x")),
				ERR_OK);
		crypto_ctx_free(c);
	}
	CU_ASSERT_TRUE(bytes_equal(bytes_of(sig[0], len[0]), bytes_of(sig[1], len[1])));
}

/* ---- S24: only 1 is yes ---------------------------------------------------------------------- */

static void refused(struct sig_scheme scheme, const struct pki_key *key, struct bytes sig)
{
	enum err e = sig_verify(ctx, scheme, pki_spki(key), text_bytes("what is signed"), sig);

	CU_ASSERT_NOT_EQUAL(e, ERR_OK);
}

static void test_S24_zero_empty_and_cut(void)
{
	static const uint8_t zero[SIG_MAX];

	setup();
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		const struct pki_key *key = pki_key_get(schemes[i].key);
		uint8_t sig[SIG_MAX + 1];
		size_t len;

		for (size_t n = 0; n <= 260; n += n < 8 ? 1 : 4)
			refused(schemes[i].scheme, key, bytes_of(zero, n));
		CU_ASSERT_EQUAL(sig_sign(ctx, sig, &len, schemes[i].scheme, pki_private(key),
					 text_bytes("what is signed")),
				ERR_OK);
		for (size_t n = 0; n < len; n += 7)
			refused(schemes[i].scheme, key, bytes_of(sig, n));
		sig[len] = 0;
		refused(schemes[i].scheme, key, bytes_of(sig, len + 1));
	}
}

static void test_S24_every_bit(void)
{
	setup();
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		const struct pki_key *key = pki_key_get(schemes[i].key);
		uint8_t sig[SIG_MAX];
		size_t len;

		CU_ASSERT_EQUAL(sig_sign(ctx, sig, &len, schemes[i].scheme, pki_private(key),
					 text_bytes("what is signed")),
				ERR_OK);
		for (size_t bit = 0; bit < len * 8; bit += 5) {
			sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
			refused(schemes[i].scheme, key, bytes_of(sig, len));
			sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

/* As in Wycheproof's ecdsa_secp256r1_sha256_test: r and s that are 0, 1, negative, as large as the
 * order, larger, of another type, and encodings that are BER and no DER. */
static void test_S24_ecdsa_wycheproof(void)
{
#define N "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
	static const char *const bad[] = {
		"3006020100020100",
		"3006020100020101",
		"3006020101020100",
		"3006020101020101",
		"30060201ff020101",
		"30060201010201ff",
		"3026020101022100" N,
		"3026022100" N "020101",
		"3026022100" N "020100",
		"3046022100" N "022100" N,
		"300602010102010100",
		"30800201010201010000",
		"308106020101020101",
		"300702010102020001",
		"30080201010201010500",
		"30050201010200",
		"3003020101",
		"3000",
		"30",
		"0500",
		"3006050005000000",
		"300a090380fe01090380fe01",
		"3006010101010101",
		"308400000006020101020101",
	};

	setup();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t sig[160];

		refused((struct sig_scheme){SIG_ECDSA, SIG_SHA2_256}, pki_key_get("P-256"),
			unhex(sig, sizeof(sig), bad[i]));
	}
	for (size_t i = 0; i < 3; i++) {
		static const char *const raw[] = {N N, "00" N, N "00"};
		uint8_t sig[160];

		refused((struct sig_scheme){SIG_ECDSA_RAW, SIG_SHA2_256}, pki_key_get("P-256"),
			unhex(sig, sizeof(sig), raw[i]));
	}
#undef N
}

/* The right signature, encoded with a length in long form or with a needless zero in front of r. */
static void test_S24_ecdsa_other_encodings(void)
{
	const struct sig_scheme scheme = {SIG_ECDSA, SIG_SHA2_256};
	const struct pki_key *key = pki_key_get("P-256");
	uint8_t sig[SIG_MAX], other[SIG_MAX];
	size_t len;

	setup();
	CU_ASSERT_EQUAL_FATAL(
		sig_sign(ctx, sig, &len, scheme, pki_private(key), text_bytes("what is signed")),
		ERR_OK);
	other[0] = 0x30;
	other[1] = 0x81;
	memcpy(other + 2, sig + 1, len - 1);
	refused(scheme, key, bytes_of(other, len + 1));
	memcpy(other, sig, 4);
	other[1]++;
	other[3]++;
	other[4] = 0;
	memcpy(other + 5, sig + 4, len - 4);
	refused(scheme, key, bytes_of(other, len + 1));
}

/* ---- S25: keys ------------------------------------------------------------------------------- */

static enum err check_key(const char *kind, char why[static KEY_WHY_MAX])
{
	static struct pki_key key;
	struct key_info info;

	pki_key_make(&key, kind);
	return key_check(&info, why, pki_spki(&key));
}

static void test_S25_kinds_and_sizes(void)
{
	char why[KEY_WHY_MAX];

	CU_ASSERT_EQUAL(check_key("rsa2048", why), ERR_OK);
	CU_ASSERT_EQUAL(check_key("rsa1024", why), ERR_LIMIT);
	CU_ASSERT_STRING_EQUAL(why, "its RSA key has 1024 bits: 2048 to 8192 are accepted");
	CU_ASSERT_EQUAL(check_key("rsa2040", why), ERR_LIMIT);
	CU_ASSERT_EQUAL(check_key("secp256k1", why), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(check_key("P-224", why), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(check_key("dsa", why), ERR_UNSUPPORTED);
}

/* The bytes of an RSA key's exponent are at the end of its SubjectPublicKeyInfo: 02 03 01 00 01. */
static void test_S25_rsa_exponents(void)
{
	static const uint8_t bad[][3] = {
		{0x00, 0x00, 0x03}, {0x01, 0x00, 0x00}, {0x00, 0xff, 0xff}, {0x00, 0x00, 0x01}};
	struct pki_key key = *pki_key_get("rsa2048");
	struct key_info info;
	char why[KEY_WHY_MAX];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memcpy(key.spki + key.spki_len - 3, bad[i], 3);
		CU_ASSERT_NOT_EQUAL(key_check(&info, why, pki_spki(&key)), ERR_OK);
		CU_ASSERT_STRING_EQUAL(
			why, "its RSA exponent is even, below 65537 or longer than 64 bits");
	}
	memcpy(key.spki + key.spki_len - 3, "\1\0\1", 3);
	CU_ASSERT_EQUAL(key_check(&info, why, pki_spki(&key)), ERR_OK);
	key.spki[key.spki_len - 6] ^= 1; /* the modulus is even */
	CU_ASSERT_EQUAL(key_check(&info, why, pki_spki(&key)), ERR_LIMIT);
	CU_ASSERT_STRING_EQUAL(why, "its RSA key is degenerate");
}

static void test_S25_degenerate_points(void)
{
	static const char *const bad[] = {
		SPKI_ED25519 "0000000000000000000000000000000000000000000000000000000000000000",
		SPKI_ED25519 "0100000000000000000000000000000000000000000000000000000000000000",
		SPKI_ED25519 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		SPKI_ED25519 "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		SPKI_P256 "0000000000000000000000000000000000000000000000000000000000000000"
			  "0000000000000000000000000000000000000000000000000000000000000000",
		SPKI_P256 "2442a5cc0ecd015fa3ca31dc8e2bbc70bf42d60cbca20085e0822cb04235e970"
			  "6fc98bd7e50211a4a27102fa3549df79ebcb4bf246b80945cddfe7d509bbfd7c",
		"3019301306072a8648ce3d020106082a8648ce3d030107030200"
		"00",
		"30",
		"",
	};
	struct key_info info;
	char why[KEY_WHY_MAX];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t spki[256];

		CU_ASSERT_NOT_EQUAL(key_check(&info, why, unhex(spki, sizeof(spki), bad[i])),
				    ERR_OK);
		CU_ASSERT_TRUE(why[0] != '\0');
	}
}

static void test_keys_cut_and_changed(void)
{
	const struct pki_key *keys[] = {pki_key_get("P-256"), pki_key_get("ed25519")};
	struct key_info info;
	char why[KEY_WHY_MAX];

	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		struct pki_key key = *keys[k];

		for (size_t n = 0; n < key.spki_len; n++)
			CU_ASSERT_NOT_EQUAL(key_check(&info, why, bytes_of(key.spki, n)), ERR_OK);
		for (size_t bit = 0; bit < key.spki_len * 8; bit++) {
			key.spki[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (key_check(&info, why, pki_spki(&key)))
				CU_ASSERT_TRUE(why[0] != '\0');
			key.spki[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

/* ---- AlgorithmIdentifiers -------------------------------------------------------------------- */

/* RFC 7427 A and RFC 8420 A.1, with their length in front; the signature is "sig". */
static const struct {
	const char *value;
	struct sig_scheme scheme;
	bool ours;
} algorithms[] = {
	{"0f300d06092a864886f70d01010b0500", {SIG_RSA_PKCS1, SIG_SHA2_256}, true},
	{"0f300d06092a864886f70d01010c0500", {SIG_RSA_PKCS1, SIG_SHA2_384}, true},
	{"0f300d06092a864886f70d01010d0500", {SIG_RSA_PKCS1, SIG_SHA2_512}, true},
	{"0c300a06082a8648ce3d040302", {SIG_ECDSA, SIG_SHA2_256}, true},
	{"0c300a06082a8648ce3d040303", {SIG_ECDSA, SIG_SHA2_384}, true},
	{"0c300a06082a8648ce3d040304", {SIG_ECDSA, SIG_SHA2_512}, true},
	{"07300506032b6570", {SIG_ED25519, SIG_IDENTITY}, true},
	{"07300506032b6571", {SIG_ED448, SIG_IDENTITY}, true},
	{"48304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70"
	 "d"
	 "010108300d06096086480165030402010500a203020120a303020101",
	 {SIG_RSA_PSS, SIG_SHA2_256},
	 false},
	{"43304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70"
	 "d"
	 "010108300d06096086480165030402010500a203020120",
	 {SIG_RSA_PSS, SIG_SHA2_256},
	 true},
	{"43304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70"
	 "d"
	 "010108300d06096086480165030402020500a203020130",
	 {SIG_RSA_PSS, SIG_SHA2_384},
	 true},
};

static void test_algorithm_identifiers(void)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		uint8_t value[128], built[AUTH_SIG_MAX];
		struct bytes id = unhex(value, sizeof(value), algorithms[i].value), b;
		struct auth_sig a;
		struct writer w;

		memcpy(value + id.len, "sig", 3);
		id.len += 3;
		CU_ASSERT_EQUAL(auth_sig_parse(&a, AUTH_DIGITAL_SIGNATURE, id), ERR_OK);
		CU_ASSERT_EQUAL(a.scheme.form, algorithms[i].scheme.form);
		CU_ASSERT_EQUAL(a.scheme.hash, algorithms[i].scheme.hash);
		CU_ASSERT_TRUE(bytes_equal(a.sig, text_bytes("sig")));
		writer_init(&w, built, sizeof(built));
		auth_sig_write(&w, AUTH_DIGITAL_SIGNATURE, a.scheme, a.sig);
		CU_ASSERT_EQUAL(writer_finish(&w, &b), ERR_OK);
		CU_ASSERT_EQUAL(bytes_equal(b, id), algorithms[i].ours);
		for (size_t n = 0; n < id.len - 2; n++)
			CU_ASSERT_NOT_EQUAL(
				auth_sig_parse(&a, AUTH_DIGITAL_SIGNATURE, bytes_of(value, n)),
				n < id.len - 3 ? ERR_OK : ERR_INVAL);
	}
}

/* S28: every algorithm with SHA-1 is refused, and so is the method that means it. */
static void test_S28_no_sha1(void)
{
	static const char *const bad[] = {
		"0f300d06092a864886f70d0101050500aa", /* sha1WithRSAEncryption */
		"0b300906072a8648ce3d0401aa",         /* ecdsa-with-SHA1 */
		"0f300d06092a864886f70d01010a3000aa", /* RSASSA-PSS, all default */
		"0f300d06092a864886f70d0101040500aa", /* md5WithRSAEncryption */
		"0f300d06092a864886f70d01010e0500aa", /* sha224WithRSAEncryption */
	};
	struct auth_sig a;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint8_t value[128];

		CU_ASSERT_NOT_EQUAL(auth_sig_parse(&a, AUTH_DIGITAL_SIGNATURE,
						   unhex(value, sizeof(value), bad[i])),
				    ERR_OK);
	}
	for (unsigned method = 0; method < 256; method++) {
		bool known = method == AUTH_ECDSA_256 || method == AUTH_ECDSA_384 ||
			     method == AUTH_ECDSA_521;

		if (method != AUTH_DIGITAL_SIGNATURE)
			CU_ASSERT_EQUAL(auth_sig_parse(&a, (uint8_t)method, text_bytes("sig")),
					known ? ERR_OK : ERR_UNSUPPORTED);
	}
}

/* How we sign for whom. */
static void test_choice_of_scheme(void)
{
	static const struct {
		enum key_kind kind;
		uint32_t hashes, allowed;
		struct sig_scheme scheme;
		bool none;
	} rows[] = {
		{KEY_RSA, SIG_HASHES_ALL, SIG_HASHES_ALL, {SIG_RSA_PSS, SIG_SHA2_256}, false},
		{KEY_RSA,
		 SIG_HASHES_ALL,
		 SIG_HASH_BIT(SIG_SHA2_512),
		 {SIG_RSA_PSS, SIG_SHA2_512},
		 false},
		{KEY_RSA,
		 SIG_HASH_BIT(SIG_SHA2_384),
		 SIG_HASHES_ALL,
		 {SIG_RSA_PSS, SIG_SHA2_384},
		 false},
		{KEY_RSA, 0, SIG_HASHES_ALL, {0, 0}, true},
		{KEY_RSA, SIG_HASH_BIT(1), SIG_HASHES_ALL, {0, 0}, true},
		{KEY_RSA, SIG_HASH_BIT(SIG_SHA2_256), SIG_HASH_BIT(SIG_SHA2_512), {0, 0}, true},
		{KEY_ECP_384, SIG_HASHES_ALL, SIG_HASHES_ALL, {SIG_ECDSA, SIG_SHA2_384}, false},
		{KEY_ECP_384,
		 SIG_HASH_BIT(SIG_SHA2_256),
		 SIG_HASHES_ALL,
		 {SIG_ECDSA, SIG_SHA2_256},
		 false},
		{KEY_ECP_256, 0, SIG_HASHES_ALL, {SIG_ECDSA_RAW, SIG_SHA2_256}, false},
		{KEY_ECP_521, 0, SIG_HASHES_ALL, {SIG_ECDSA_RAW, SIG_SHA2_512}, false},
		{KEY_ED25519, SIG_HASHES_ALL, SIG_HASHES_ALL, {SIG_ED25519, SIG_IDENTITY}, false},
		{KEY_ED25519, SIG_HASH_BIT(SIG_SHA2_256), SIG_HASHES_ALL, {0, 0}, true},
		{KEY_ED25519, 0, SIG_HASHES_ALL, {0, 0}, true},
		{KEY_ED448, SIG_HASHES_ALL, SIG_HASHES_ALL, {SIG_ED448, SIG_IDENTITY}, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sig_scheme s = {0, 0};
		char why[KEY_WHY_MAX] = "";
		bool ok = auth_sig_choose(&s, why, rows[i].kind, rows[i].hashes, rows[i].allowed);

		CU_ASSERT_EQUAL(ok, !rows[i].none);
		CU_ASSERT_EQUAL(why[0] != '\0', rows[i].none);
		if (ok) {
			CU_ASSERT_EQUAL(s.form, rows[i].scheme.form);
			CU_ASSERT_EQUAL(s.hash, rows[i].scheme.hash);
		}
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_published_vectors),
	TAP_TEST(test_every_scheme),
	TAP_TEST(test_signatures_are_repeatable),
	TAP_TEST(test_S24_zero_empty_and_cut),
	TAP_TEST(test_S24_every_bit),
	TAP_TEST(test_S24_ecdsa_wycheproof),
	TAP_TEST(test_S24_ecdsa_other_encodings),
	TAP_TEST(test_S25_kinds_and_sizes),
	TAP_TEST(test_S25_rsa_exponents),
	TAP_TEST(test_S25_degenerate_points),
	TAP_TEST(test_keys_cut_and_changed),
	TAP_TEST(test_algorithm_identifiers),
	TAP_TEST(test_S28_no_sha1),
	TAP_TEST(test_choice_of_scheme),
};

TAP_MAIN("sig", tests)
