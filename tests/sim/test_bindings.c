/* SPDX-License-Identifier: Apache-2.0 */
/* Channel bindings of real handshakes: equal at both ends, and not through a man in the middle. */
#include <stdio.h>
#include <string.h>

#include "tests/pki_conf.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

static const struct wish any = {.local = "auth = pubkey\n id = host%u.example",
				.remote = "auth = btns"};
static const struct wish sign = {.local = "auth = pubkey\n id = host%u.example",
				 .remote = "auth = pubkey\n id = host%u.example"};
static const struct wish psk = {.local = "auth = psk\n id = host%u.example",
				.remote = "auth = psk\n id = host%u.example",
				.more = "secrets { ike-1 { secret = \"a fairly long secret\" } }"};

/* A side has a certificate that it signed itself with the key of this kind. */
static void certify(struct sim *s, unsigned side, const char *kind)
{
	struct pki_cert made;
	char names[40];

	snprintf(names, sizeof(names), "DNS:host%u.example", side + 1);
	pki_cert_make(&made, &(struct pki_params){.subject = "/C=CH/CN=Anybody",
						  .names = names,
						  .key = pki_key_get(kind)});
	wish_configure(s, side,
		       pki_add(pki_add(conf_get(s->n[side].conf), CRED_CERT, pki_der(&made)),
			       CRED_KEY, pki_private(made.key)));
}

/* struct value - a side's binding, in both forms, and what else its proof says. */
struct value {
	enum err err;
	uint8_t keys[IKE_BINDING_MAX], hash[32];
	size_t keys_len, hash_len;
	char key_id[IKE_PUBKEY_ID_MAX], subject[200], authority[200];
	enum err key_id_err, subject_err, authority_err;
};

static void take(void *ctx, const struct ike_sa_info *sa)
{
	struct value *v = ctx;

	v->err = ike_channel_binding(v->keys, sizeof(v->keys), &v->keys_len, sa->proof,
				     IKE_BINDING_KEYS);
	CU_ASSERT_EQUAL(ike_channel_binding(v->hash, sizeof(v->hash), &v->hash_len, sa->proof,
					    IKE_BINDING_SHA256),
			v->err);
	v->key_id_err = ike_pubkey_id(v->key_id, sa->proof);
	v->subject_err = ike_certificate_dn(v->subject, sizeof(v->subject), sa->proof);
	v->authority_err = ike_authority_dn(v->authority, sizeof(v->authority), sa->proof);
}

static void value(struct value *out, struct sim *s, unsigned side)
{
	*out = (struct value){.err = ERR_BAD_STATE};
	CU_ASSERT_TRUE(sim_up(s));
	ike_each_sa(s->n[side].e, take, out);
}

static bool equal(const struct value *a, const struct value *b)
{
	return !a->err && !b->err && a->hash_len == 32 && !memcmp(a->hash, b->hash, 32) &&
	       a->keys_len == b->keys_len && !memcmp(a->keys, b->keys, a->keys_len);
}

/* Two who are known by their keys alone, and these keys. */
static struct sim *channel(const char *kind_a, const char *kind_b)
{
	struct sim *s = wish_world(&any, &any, false);

	certify(s, A, kind_a);
	certify(s, B, kind_b);
	wish_go(s, "net", 0);
	return s;
}

/* Equal, and the same after IKE SAs that either side re-keyed: whoever began those. */
static void test_D_binding_is_equal_at_both_ends(void)
{
	struct sim *s = channel("P-256", "ed25519");
	struct value first, a, b;

	value(&first, s, A);
	for (unsigned side = 0; side < 2; side++) {
		value(&a, s, A);
		value(&b, s, B);
		CU_ASSERT_TRUE(equal(&a, &b));
		CU_ASSERT_TRUE(equal(&a, &first));
		CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
	}
	CU_ASSERT_EQUAL(s->n[A].rekeyed_ike, 2);
	CU_ASSERT_EQUAL(memcmp(a.keys, pki_spki(pki_key_get("P-256")).p,
			       pki_spki(pki_key_get("P-256")).len),
			0);
	CU_ASSERT_STRING_NOT_EQUAL(a.key_id, b.key_id);
	sim_free(s);
}

/* A and B each speak to somebody in the middle, who has keys of his own, the same or two. */
static void test_D_binding_shows_a_man_in_the_middle(void)
{
	static const char *const middle[][2] = {{"P-384", "P-384"}, {"P-384", "P-521"}};

	for (size_t i = 0; i < ARRAY_LEN(middle); i++) {
		struct sim *to_a = channel("P-256", middle[i][0]);
		struct sim *to_b = channel(middle[i][1], "ed25519");
		struct value a, b, in_a, in_b;

		value(&a, to_a, A);
		value(&in_a, to_a, B);
		value(&in_b, to_b, A);
		value(&b, to_b, B);
		CU_ASSERT_TRUE(equal(&a, &in_a));
		CU_ASSERT_TRUE(equal(&b, &in_b));
		CU_ASSERT_FALSE(equal(&a, &b));
		CU_ASSERT_NOT_EQUAL(memcmp(a.hash, b.hash, 32), 0);
		sim_free(to_a);
		sim_free(to_b);
	}
}

/* Who has no key has no binding, no key's name and no certificate's. */
static void test_D_secrets_bind_nothing(void)
{
	struct sim *s = wish_world(&psk, &psk, false);
	struct value v;

	wish_go(s, "net", 0);
	value(&v, s, A);
	CU_ASSERT_EQUAL(v.err, ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(v.key_id_err, ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(v.subject_err, ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(v.authority_err, ERR_NOT_FOUND);
	sim_free(s);
}

/* The certificate itself, where the configuration would name the key that is in it. */
static void with_certificate(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *a)
{
	(void)n;
	if (ask->kind == IKE_ASK_VERIFY_CHAIN)
		*a = (struct ike_answer){.allow = true, .vouched = true};
}

/* Names are those of a certificate that somebody vouches for. */
static void test_D_names_of_certificates(void)
{
	struct sim *s = wish_world(&sign, &sign, true);
	struct value v;

	wish_go(s, "net", 0);
	value(&v, s, A);
	CU_ASSERT_STRING_EQUAL(v.subject, "C=CH, CN=host2.example");
	CU_ASSERT_STRING_EQUAL(v.authority, "C=CH, CN=Sim root");
	value(&v, s, B);
	CU_ASSERT_STRING_EQUAL(v.subject, "C=CH, CN=host1.example");
	CU_ASSERT_EQUAL(v.key_id_err, ERR_OK);
	CU_ASSERT_EQUAL(strlen(v.key_id), 9);
	sim_free(s);
	s = wish_world(&any, &any, false);
	s->n[A].forge = with_certificate;
	certify(s, A, "P-256");
	certify(s, B, "ed25519");
	wish_go(s, "net", 0);
	value(&v, s, A);
	CU_ASSERT_EQUAL(v.err, ERR_OK);
	CU_ASSERT_EQUAL(v.subject_err, ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(v.authority_err, ERR_NOT_FOUND);
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_D_binding_is_equal_at_both_ends),
	TAP_TEST(test_D_binding_shows_a_man_in_the_middle),
	TAP_TEST(test_D_secrets_bind_nothing),
	TAP_TEST(test_D_names_of_certificates),
};

TAP_MAIN("bindings", tests)
