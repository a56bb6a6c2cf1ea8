/* SPDX-License-Identifier: Apache-2.0 */
/* The AUTH value of who is nobody (RFC 7619 2.1), beside values that Python's hmac made:
 * prf(prf(SK_p, "Key Pad for IKEv2"), message | nonce | prf(SK_p, ID_NULL)). */
#include <string.h>

#include "control/auth/verify.h"
#include "control/conf/conf.h"
#include "control/ike/wire/proto.h"
#include "tests/control/hex.h"
#include "tests/tap/tap.h"

static const uint8_t id_null[] = {ID_NULL, 0, 0, 0};

/* struct vector - SK_p is 1, 2, 3 and so on; the message 0 to 119, the nonce 200 to 231. */
static const struct vector {
	uint16_t prf;
	const char *auth;
} vectors[] = {
	{PRF_HMAC_SHA2_256, "966b106b93112056c4c4c4b67f369742121a2e252d4ad6126a5afb70ba3cd2f2"},
	{PRF_HMAC_SHA2_384, "f2e404b8294c0fb169feb079ea4effcbcba5fdce8afce57f2cc6daa09b497079"
			    "e4986698097adb6580683c497714b47d"},
	{PRF_HMAC_SHA2_512, "0ac90ca828c279064796e1c40f833e9952eefda3b230d32ea6caa931c6da7f01"
			    "2f255963b22ed492c686f26852149bfa10f4ed69c9383ad25439efb146c70d77"},
};

static uint8_t message[120], nonce[32];

static struct auth_psk_params params_of(const struct vector *v, struct secret *sk_p,
					const struct hex *auth, const struct ike_id *local)
{
	uint8_t key[PRF_LEN_MAX];

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(nonce); i++)
		nonce[i] = (uint8_t)(200 + i);
	for (size_t i = 0; i < prf_len(v->prf); i++)
		key[i] = (uint8_t)(i + 1);
	CU_ASSERT_EQUAL_FATAL(secret_init_copy(sk_p, key, prf_len(v->prf)), ERR_OK);
	return (struct auth_psk_params){
		.octets = {.prf = v->prf,
			   .message = bytes_of(message, sizeof(message)),
			   .nonce = bytes_of(nonce, sizeof(nonce)),
			   .id_body = bytes_of(id_null, sizeof(id_null)),
			   .sk_p = sk_p},
		.local = local,
		.method = AUTH_NULL,
		.auth = bytes_of(auth->b, auth->len),
	};
}

static void test_null_vectors(void)
{
	const struct ike_id local = {.type = ID_NULL};
	struct rng_seeded rng;
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct auth_proof *proof = NULL;
		struct auth_psk_params p;
		struct secret sk_p;
		struct hex auth;

		hex_read(&auth, vectors[i].auth);
		p = params_of(&vectors[i], &sk_p, &auth, &local);
		CU_ASSERT_EQUAL(auth_verify_null(c, &proof, &p), ERR_OK);
		CU_ASSERT_EQUAL(auth_proof_params(proof)->method, AUTH_METHOD_NONE);
		CU_ASSERT_EQUAL(auth_proof_params(proof)->peer.type, ID_NULL);
		auth_proof_put(proof);
		/* by no other function, of no other method, of no other length */
		CU_ASSERT_EQUAL(auth_verify_psk(c, &proof, &p), ERR_UNSUPPORTED);
		p.method = AUTH_SHARED_KEY_MIC;
		CU_ASSERT_EQUAL(auth_verify_null(c, &proof, &p), ERR_UNSUPPORTED);
		p.method = AUTH_NULL;
		for (p.auth.len = 0; p.auth.len < auth.len; p.auth.len++)
			CU_ASSERT_EQUAL(auth_verify_null(c, &proof, &p), ERR_AUTH);
		secret_fini(&sk_p);
	}
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_null_vectors),
};

TAP_MAIN("control/auth", tests)
