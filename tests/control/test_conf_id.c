/* SPDX-License-Identifier: Apache-2.0 */
/* Identities as swanctl.conf spells them, which of them satisfies which (S22), and whose secret is
 * whose. */
#include "control/conf/conf.h"
#include "tests/tap/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* C=CH, CN=x in DER, both as PrintableString. */
#define DN_CH_X                                                \
	"\x30\x19\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02" \
	"CH\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x13\x01x"

static const struct {
	const char *text;
	enum err err;
	uint8_t type;
	const char *data;
	size_t len;
} id_rows[] = {
	{"%any", ERR_OK, 0, "", 0},
	{"", ERR_OK, 0, "", 0},
	{"*", ERR_OK, 0, "", 0},
	{"0.0.0.0", ERR_OK, 0, "", 0},
	{"192.0.2.1", ERR_OK, 1, "\xc0\x00\x02\x01", 4},
	{"2001:db8::1", ERR_OK, 5, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16},
	{"gw.example.com", ERR_OK, 2, "gw.example.com", 14},
	{"@gw", ERR_OK, 2, "gw", 2},
	{"user@example.com", ERR_OK, 3, "user@example.com", 16},
	{"@@user@example.com", ERR_OK, 3, "user@example.com", 16},
	{"@#00ff10", ERR_OK, 11, "\x00\xff\x10", 3},
	{"fqdn:x y", ERR_OK, 2, "x y", 3},
	{"dns:x", ERR_OK, 2, "x", 1},
	{"email:x", ERR_OK, 3, "x", 1},
	{"keyid:some key", ERR_OK, 11, "some key", 8},
	{"keyid:#abcd", ERR_OK, 11, "\xab\xcd", 2},
	{"ipv4:#0a000001", ERR_OK, 1, "\x0a\x00\x00\x01", 4},
	{"ipv4:10.0.0.1", ERR_MALFORMED, 0, "", 0},
	{"ipv6:#00", ERR_MALFORMED, 0, "", 0},
	{"@#", ERR_MALFORMED, 0, "", 0},
	{"@#0", ERR_MALFORMED, 0, "", 0},
	{"@#xy", ERR_MALFORMED, 0, "", 0},
	{"@", ERR_MALFORMED, 0, "", 0},
	{"keyid:", ERR_MALFORMED, 0, "", 0},
	{"C=CH, CN=x", ERR_OK, 9, DN_CH_X, sizeof(DN_CH_X) - 1},
	{"/C=CH/CN=x", ERR_OK, 9, DN_CH_X, sizeof(DN_CH_X) - 1},
	{"asn1dn:C = CH , CN=\"x\"", ERR_OK, 9, DN_CH_X, sizeof(DN_CH_X) - 1},
	{"2.5.4.6=CH, 2.5.4.3=x", ERR_OK, 9, DN_CH_X, sizeof(DN_CH_X) - 1},
	{"C=CH, CN=", ERR_MALFORMED, 0, "", 0},
	{"C=CH, x", ERR_MALFORMED, 0, "", 0},
	{"asn1dn:", ERR_MALFORMED, 0, "", 0},
	{"{9}:x", ERR_UNSUPPORTED, 0, "", 0},
};

static void test_parse(void)
{
	for (size_t i = 0; i < ARRAY_LEN(id_rows); i++) {
		struct ike_id id;
		enum err e = conf_id_parse(&id, id_rows[i].text);

		if (e != id_rows[i].err)
			tap_diag("'%s': %s", id_rows[i].text, err_name(e));
		CU_ASSERT_EQUAL(e, id_rows[i].err);
		if (e)
			continue;
		CU_ASSERT_EQUAL(id.type, id_rows[i].type);
		CU_ASSERT_EQUAL_FATAL(id.len, id_rows[i].len);
		CU_ASSERT_EQUAL(memcmp(id.data, id_rows[i].data, id.len), 0);
	}
}

static void test_parse_bounds(void)
{
	char text[300];
	struct ike_id id;

	memset(text, 'x', sizeof(text));
	text[256] = '\0';
	CU_ASSERT_EQUAL(conf_id_parse(&id, text), ERR_OK);
	memset(text, 'x', sizeof(text));
	text[257] = '\0';
	CU_ASSERT_EQUAL(conf_id_parse(&id, text), ERR_LIMIT);
}

static struct ike_id id_of(const char *text)
{
	struct ike_id id;

	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&id, text), ERR_OK);
	return id;
}

static const struct {
	const char *configured, *peer;
	bool matches;
} match_rows[] = {
	{"%any", "anything.example", true},
	{"%any", "10.0.0.1", true},
	{"gw.example.com", "gw.example.com", true},
	{"gw.example.com", "GW.Example.COM", true},
	{"gw.example.com", "gw.example.co", false},
	{"gw.example.com", "gw.example.com.evil", false},
	{"gw.example.com", "email:gw.example.com", false},
	{"gw.example.com", "keyid:gw.example.com", false},
	{"10.0.0.1", "10.0.0.1", true},
	{"10.0.0.1", "10.0.0.2", false},
	{"10.0.0.1", "fqdn:10.0.0.1", false},
	{"keyid:abc", "keyid:abc", true},
	{"keyid:abc", "keyid:ABC", false},
	{"*.example.com", "gw.example.com", true},
	{"*.example.com", "a.b.EXAMPLE.com", true},
	{"*.example.com", ".example.com", false},
	{"*.example.com", "example.com", false},
	{"*.example.com", "gw.example.com.evil", false},
	{"*.example.com", "keyid:gw.example.com", false},
	{"*.example.com", "email:x@gw.example.com", true},
	{"*@example.com", "user@example.com", true},
	{"*@example.com", "user@evil-example.com", false},
	{"*@example.com", "fqdn:user@example.com", false},
	{"*@example.com", "@@@example.com", false},
};

/* Through the validator, for a pattern is found there. */
static struct conf *conf_with_remote(const char *id)
{
	static struct conf_diags diags;
	struct conf *conf;
	struct tree *t;
	char text[256];

	memset(&diags, 0, sizeof(diags));
	snprintf(text, sizeof(text),
		 "connections { a { local { auth = psk\n} remote { auth = psk\n id = \"%s\"\n} } }",
		 id);
	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&t, &diags, "f", text, strlen(text)), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_new(&conf, &diags, t), ERR_OK);
	tree_free(t);
	return conf;
}

static void test_S22_matches(void)
{
	for (size_t i = 0; i < ARRAY_LEN(match_rows); i++) {
		struct conf *conf = conf_with_remote(match_rows[i].configured);
		struct ike_id peer = id_of(match_rows[i].peer);
		bool got = conf_id_matches(&conf->conns[0]->remote, &peer);

		if (got != match_rows[i].matches)
			tap_diag("'%s' for '%s'", match_rows[i].peer, match_rows[i].configured);
		CU_ASSERT_EQUAL(got, match_rows[i].matches);
		conf_put(conf);
	}
}

/* What is equal is found under one digest: whatever its case, and the string types of a name; and
 * of what is not the digests are others: names of other attributes, or in other sets, too. */
static void test_digest(void)
{
	static const uint8_t one_set[] = {0x30, 24,   0x31, 22, 0x30, 9,   0x06, 3,  0x55,
					  4,    6,    0x13, 2,  'D',  'E', 0x30, 9,  0x06,
					  3,    0x55, 4,    3,  0x13, 2,   'g',  'w'};
	static const char *const texts[] = {"gw.example.com",
					    "GW.example.COM",
					    "gw.example.org",
					    "a@gw.example.com",
					    "A@gw.example.com",
					    "192.0.2.1",
					    "2001:db8::1",
					    "keyid:gw.example.com",
					    "keyid:GW.example.com",
					    "C=DE, CN=gw",
					    "C=de, CN=GW",
					    "C=DE, CN=gw, OU=b",
					    "C=DE, CN=gwb",
					    "C=DE, OU=gw",
					    "C=DEC, N=gw",
					    "CN=*",
					    "%any"};
	uint8_t digests[ARRAY_LEN(texts) + 2][CONF_ID_DIGEST_LEN];
	struct ike_id ids[ARRAY_LEN(texts) + 2];
	struct ike_id *utf8 = &ids[ARRAY_LEN(texts)], *set = &ids[ARRAY_LEN(texts) + 1];
	unsigned equal = 0;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ids[i] = id_of(texts[i]);
	*utf8 = *set = ids[9];
	CU_ASSERT_EQUAL_FATAL(utf8->data[utf8->len - 4], 0x13); /* PrintableString */
	utf8->data[utf8->len - 4] = 0x0c;                       /* UTF8String */
	set->len = sizeof(one_set);
	memcpy(set->data, one_set, sizeof(one_set));
	CU_ASSERT_TRUE(conf_id_equal(set, set));
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		conf_id_digest(digests[i], &ids[i]);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		for (size_t j = 0; j < i; j++) {
			const bool same = conf_id_equal(&ids[i], &ids[j]);

			equal += same;
			CU_ASSERT_EQUAL(memcmp(digests[i], digests[j], CONF_ID_DIGEST_LEN) == 0,
					same);
		}
	CU_ASSERT_EQUAL(equal, 5);
}

/* An identity with a NUL in it is not what it looks like. */
static void test_S22_nul_in_identity(void)
{
	struct conf *conf = conf_with_remote("*.example.com");
	struct ike_id peer = id_of("evil0.example.com");

	peer.data[4] = '\0';
	CU_ASSERT_FALSE(conf_id_matches(&conf->conns[0]->remote, &peer));
	conf_put(conf);
	conf = conf_with_remote("gw.example.com");
	peer = id_of("gw.example.com");
	peer.data[peer.len++] = '\0';
	CU_ASSERT_FALSE(conf_id_matches(&conf->conns[0]->remote, &peer));
	conf_put(conf);
}

/* Secrets by name and owners; the one found for (local, peer), and whether others may know it. */
static const char secrets[] =
	"secrets {\n"
	"ike-pair { id-1 = me\n id-2 = one\n secret = pair-pair-pair-pair\n }\n"
	"ike-peer { id = one\n secret = peer-peer-peer-peer\n }\n"
	"ike-two { id-1 = two\n id-2 = three\n secret = two-two-two-two-two\n }\n"
	"ike-mine { id = me2\n secret = mine-mine-mine-mine\n }\n"
	"ike-any { id-1 = me3\n id-2 = %any\n secret = any-any-any-any-any\n }\n"
	"}\n";

static const struct {
	const char *local, *peer, *name;
	bool group;
} psk_rows[] = {
	{"me", "one", "ike-pair", false},
	{"other", "one", "ike-peer", false},
	{"me", "two", "ike-two", true},
	{"two", "three", "ike-two", false},
	{"me2", "whoever", "ike-mine", true},
	{"me3", "whoever", "ike-any", true},
	/* One of two owners is no key for a third. */
	{"me", "stranger", "ike-any", true},
	{"two", "stranger", "ike-any", true},
};

static struct conf *conf_of(const char *text)
{
	static struct conf_diags diags;
	struct conf *conf;
	struct tree *t;

	memset(&diags, 0, sizeof(diags));
	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&t, &diags, "f", text, strlen(text)), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_new(&conf, &diags, t), ERR_OK);
	tree_free(t);
	return conf;
}

static void test_find_psk(void)
{
	struct conf *conf = conf_of(secrets);

	for (size_t i = 0; i < ARRAY_LEN(psk_rows); i++) {
		struct ike_id local = id_of(psk_rows[i].local), peer = id_of(psk_rows[i].peer);
		bool group = false;
		const struct conf_secret *s = conf_find_psk(conf, &group, &local, &peer);

		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		if (strcmp(s->name, psk_rows[i].name) != 0)
			tap_diag("%s - %s: %s", psk_rows[i].local, psk_rows[i].peer, s->name);
		CU_ASSERT_STRING_EQUAL(s->name, psk_rows[i].name);
		CU_ASSERT_EQUAL(group, psk_rows[i].group);
	}
	conf_put(conf);
}

static void test_no_psk(void)
{
	struct conf *conf = conf_of("secrets { ike { id-1 = a\n id-2 = b\n"
				    "secret = 0123456789abcdef\n } }");
	struct ike_id a = id_of("a"), b = id_of("b"), c = id_of("c");
	bool group;

	CU_ASSERT_PTR_NOT_NULL(conf_find_psk(conf, &group, &a, &b));
	CU_ASSERT_PTR_NULL(conf_find_psk(conf, &group, &a, &c));
	CU_ASSERT_PTR_NULL(conf_find_psk(conf, &group, &c, &c));
	conf_put(conf);
	conf = conf_of("secrets { ike { secret = 0123456789abcdef\n } }");
	CU_ASSERT_PTR_NOT_NULL(conf_find_psk(conf, &group, &a, &c));
	CU_ASSERT_TRUE(group);
	conf_put(conf);
}

/* A secret one of whose owners is of a type that is not supported is refused: it would be more
 * peers' than it was meant for. */
static void test_unsupported_owner(void)
{
	static const char *const owners[] = {"id = \"{7}:x\"\n",
					     "id-a = own.example\n id-b = \"{7}:x\"\n"};

	for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
		static struct conf_diags diags;
		struct conf *conf;
		struct tree *t;
		char text[256];

		memset(&diags, 0, sizeof(diags));
		snprintf(text, sizeof(text), "secrets { ike { %s secret = 0123456789abcdef\n } }",
			 owners[i]);
		CU_ASSERT_EQUAL_FATAL(conf_parse_text(&t, &diags, "f", text, strlen(text)), ERR_OK);
		CU_ASSERT_EQUAL(conf_new(&conf, &diags, t), ERR_CONFIG);
		tree_free(t);
	}
}

/* What an ESP proposal names and does not take leaves nothing behind. */
static void test_prf_of_esp(void)
{
	struct conf_proposal with[CONF_MAX_PROPOSALS], without[CONF_MAX_PROPOSALS];
	char text[200];
	uint32_t n;

	CU_ASSERT_EQUAL(
		conf_proposals_parse(with, &n, text, sizeof(text), "aes256gcm16-prfsha384", false),
		ERR_OK);
	CU_ASSERT_EQUAL(conf_proposals_parse(without, &n, text, sizeof(text), "aes256gcm16", false),
			ERR_OK);
	CU_ASSERT_EQUAL(memcmp(&with[0], &without[0], sizeof(with[0])), 0);
}

static void test_proposals(void)
{
	struct conf_proposal p[CONF_MAX_PROPOSALS];
	char text[200];
	uint32_t n;

	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text),
					     "AES256GCM16-aes128gcm16-aes256gcm128-prfsha384-"
					     "prfsha256-x25519-ecp384, default",
					     true),
			ERR_OK);
	CU_ASSERT_EQUAL(n, 3); /* the default is two: with and without integrity algorithms */
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_EQUAL(p[0].num_encr, 2);
	CU_ASSERT_EQUAL(p[0].encr[0].key_bits, 256);
	CU_ASSERT_EQUAL(p[0].encr[1].key_bits, 128);
	CU_ASSERT_EQUAL(p[0].prf[0], PRF_HMAC_SHA2_384);
	CU_ASSERT_EQUAL(p[0].dh[1], DH_ECP_384);
	CU_ASSERT_EQUAL(p[0].num_esn, 0);
	/* The default begins with what costs least. */
	CU_ASSERT(p[1].num_prf == 3 && p[1].prf[0] == PRF_HMAC_SHA2_256 &&
		  p[1].prf[2] == PRF_HMAC_SHA2_512);
	CU_ASSERT(p[1].num_dh == 7 && p[1].dh[0] == DH_CURVE_25519 && p[1].dh[1] == DH_ECP_256 &&
		  p[1].dh[2] == DH_ECP_384 && p[1].dh[3] == DH_ECP_521);
	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text), "", true), ERR_CONFIG);
	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text),
					     "default,default,default,default,default,default,"
					     "default,default,default",
					     true),
			ERR_CONFIG);
}

static void test_proposals_of_esp(void)
{
	struct conf_proposal p[CONF_MAX_PROPOSALS];
	char text[200];
	uint32_t n;

	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text),
					     "aes256gcm16-esn-noesn,aes128gcm16-ecp256", false),
			ERR_OK);
	CU_ASSERT_EQUAL(p[0].num_esn, 2);
	CU_ASSERT_EQUAL(p[0].esn[0], 1);
	CU_ASSERT_EQUAL(p[1].num_esn, 1);
	CU_ASSERT_EQUAL(p[1].dh[0], DH_ECP_256);
	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text),
					     "chacha20poly1305-aes128gcm16, default", false),
			ERR_OK);
	CU_ASSERT(p[0].num_encr == 2 && p[0].encr[0].id == ENCR_CHACHA20_POLY1305 &&
		  p[0].encr[0].key_bits == 0 && p[0].encr[1].key_bits == 128);
	CU_ASSERT(p[1].num_encr == 3 && p[1].encr[0].id == ENCR_AES_GCM_16 &&
		  p[1].encr[2].id == ENCR_CHACHA20_POLY1305 && p[1].num_integ == 0);
	CU_ASSERT(n == 3 && p[2].num_encr == 3 && p[2].encr[0].id == ENCR_AES_CBC &&
		  p[2].encr[0].key_bits == 256 && p[2].num_integ == 3 && p[2].num_prf == 0);
}

static void test_proposals_with_key_exchanges(void)
{
	struct conf_proposal p[CONF_MAX_PROPOSALS];
	char text[200];
	uint32_t n;

	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text),
					     "aes256gcm16-prfsha256-x25519-modp1536", true),
			ERR_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "'modp1536' is left out"));
	CU_ASSERT_EQUAL(p[0].num_dh, 1);
	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text),
					     "aes256gcm16-sha512-prfsha512-ecp521-modp2048-"
					     "modp3072-modp4096, aes256gcm16-sha2_512-ecp521",
					     true),
			ERR_OK);
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT(p[0].num_prf == 1 && p[0].prf[0] == PRF_HMAC_SHA2_512);
	CU_ASSERT(p[0].num_dh == 4 && p[0].dh[0] == DH_ECP_521 && p[0].dh[1] == DH_MODP_2048 &&
		  p[0].dh[2] == DH_MODP_3072 && p[0].dh[3] == DH_MODP_4096);
	CU_ASSERT_EQUAL(p[1].prf[0], PRF_HMAC_SHA2_512);
}

/* Combined modes and other ciphers go into proposals of their own (RFC 7296 3.3). */
static void test_proposals_with_integrity(void)
{
	struct conf_proposal p[CONF_MAX_PROPOSALS];
	char text[300];
	uint32_t n;

	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text),
					     "aes128-aes256gcm16-aes256-sha384-sha256-x25519",
					     true),
			ERR_OK);
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_EQUAL_FATAL(n, 2);
	CU_ASSERT(p[0].num_encr == 1 && p[0].encr[0].id == ENCR_AES_GCM_16 && !p[0].num_integ);
	CU_ASSERT(p[1].num_encr == 2 && p[1].encr[0].id == ENCR_AES_CBC &&
		  p[1].encr[0].key_bits == 128 && p[1].encr[1].key_bits == 256);
	CU_ASSERT(p[1].num_integ == 2 && p[1].integ[0] == INTEG_HMAC_SHA2_384_192);
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT(p[i].num_prf == 2 && p[i].prf[0] == PRF_HMAC_SHA2_384 &&
			  p[i].prf[1] == PRF_HMAC_SHA2_256);
	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text),
					     "null-sha256, aes192gmac, aes-sha512-esn", false),
			ERR_OK);
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_EQUAL_FATAL(n, 3);
	CU_ASSERT(p[0].encr[0].id == ENCR_NULL && p[0].integ[0] == INTEG_HMAC_SHA2_256_128);
	CU_ASSERT(p[1].encr[0].id == ENCR_AES_GMAC && p[1].encr[0].key_bits == 192);
	CU_ASSERT(p[1].num_integ == 0 && p[1].num_prf == 0);
	CU_ASSERT(p[2].encr[0].key_bits == 128 && p[2].integ[0] == INTEG_HMAC_SHA2_512_256);
	/* Nothing goes without a MAC: not even what hides nothing. */
	CU_ASSERT_EQUAL(conf_proposals_parse(p, &n, text, sizeof(text), "null", false), ERR_CONFIG);
	CU_ASSERT_EQUAL(
		conf_proposals_parse(p, &n, text, sizeof(text), "aes256-prfsha256-x25519", true),
		ERR_CONFIG);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_parse),
	TAP_TEST(test_parse_bounds),
	TAP_TEST(test_S22_matches),
	TAP_TEST(test_digest),
	TAP_TEST(test_S22_nul_in_identity),
	TAP_TEST(test_find_psk),
	TAP_TEST(test_no_psk),
	TAP_TEST(test_unsupported_owner),
	TAP_TEST(test_proposals),
	TAP_TEST(test_prf_of_esp),
	TAP_TEST(test_proposals_of_esp),
	TAP_TEST(test_proposals_with_key_exchanges),
	TAP_TEST(test_proposals_with_integrity),
};
TAP_MAIN("conf_id", tests)
