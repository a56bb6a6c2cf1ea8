/* SPDX-License-Identifier: Apache-2.0 */
/* Which connection a peer is for: addresses, then identities. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ike/match.h"
#include "tests/tap/tap.h"

static const char text[] =
	"connections {\n"
	" any { local { auth = psk }\n remote { auth = psk } }\n"
	" net { remote_addrs = 192.0.2.0/24\n local { auth = psk\n id = us.example }\n"
	"  remote { auth = psk\n id = *.example } }\n"
	" host { remote_addrs = 192.0.2.9\n proposals = aes128gcm16-prfsha256-x25519\n"
	"  local { auth = psk }\n remote { auth = psk\n id = nine.example } }\n"
	" other { local_addrs = 198.51.100.1\n local { auth = psk }\n remote { auth = psk } }\n"
	"}\n";

/* Peers that identities do not tell apart, and one that does not sign. */
static const char signers[] =
	"connections {\n"
	" first { remote { id = *.example } }\n"
	" secret { local { auth = psk }\n remote { auth = psk } }\n"
	" any { }\n"
	" exact { remote { id = nine.example } }\n"
	" second { remote { id = *.example } }\n"
	" other { remote { id = ten.example } }\n"
	" far { remote_addrs = 198.51.100.1\n remote { id = nine.example } }\n"
	"}\n";

static struct conf *parse_text(const char *from)
{
	struct conf_diags *diags = calloc(1, sizeof(*diags));
	struct tree *tree = NULL;
	struct conf *conf = NULL;

	if (conf_parse_text(&tree, diags, "test", from, strlen(from)) ||
	    conf_new(&conf, diags, tree))
		conf = NULL;
	for (uint32_t i = 0; i < diags->num && i < 64; i++)
		if (diags->list[i].error)
			tap_diag("%s", diags->list[i].text);
	tree_free(tree);
	free(diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	return conf;
}

static struct conf *parse(void)
{
	return parse_text(text);
}

static struct path_addr path_of(const char *local, const char *remote)
{
	struct path_addr p = {.local = {.port = 500}, .remote = {.port = 500}};

	CU_ASSERT_EQUAL(ip_addr_parse(&p.local.addr, local), ERR_OK);
	CU_ASSERT_EQUAL(ip_addr_parse(&p.remote.addr, remote), ERR_OK);
	return p;
}

static uint32_t score(const struct conf *conf, const char *name, const struct path_addr *path)
{
	return match_addrs(conf_find_conn(conf, name), path);
}

static void test_addresses(void)
{
	struct conf *conf = parse();
	struct path_addr nine = path_of("203.0.113.1", "192.0.2.9");
	struct path_addr far = path_of("203.0.113.1", "8.8.8.8");
	struct path_addr six = path_of("2001:db8::1", "2001:db8::2");

	CU_ASSERT_TRUE(score(conf, "host", &nine) > score(conf, "net", &nine));
	CU_ASSERT_TRUE(score(conf, "net", &nine) > score(conf, "any", &nine));
	CU_ASSERT_TRUE(score(conf, "any", &nine) > 0);
	CU_ASSERT_EQUAL(score(conf, "other", &nine), 0);
	CU_ASSERT_EQUAL(score(conf, "host", &far), 0);
	CU_ASSERT_EQUAL(score(conf, "net", &far), 0);
	CU_ASSERT_EQUAL(score(conf, "net", &six), 0);
	CU_ASSERT_TRUE(score(conf, "any", &six) > 0);
	conf_put(conf);
}

static struct ike_id fqdn(const char *name)
{
	struct ike_id id = {.type = ID_FQDN, .len = (uint16_t)strlen(name)};

	memcpy(id.data, name, id.len);
	return id;
}

/* The connections' names, the best first. */
static const char *found(const struct conf *conf, const struct path_addr *path, const char *peer,
			 const char *wanted, uint16_t key_bits, uint8_t method)
{
	const struct sa_chosen suite = {.encr = {ENCR_AES_GCM_16, key_bits, 0},
					.prf = PRF_HMAC_SHA2_256,
					.dh = DH_CURVE_25519};
	const struct ike_id id = fqdn(peer), none = {0}, want = fqdn(wanted ? wanted : "");
	const struct match_ids ids = {.path = path,
				      .suite = &suite,
				      .peer = &id,
				      .method = method,
				      .wanted = wanted ? &want : &none};
	const struct conf_conn *list[MATCH_MAX];
	uint32_t num = match_identities(list, conf, &ids);
	static char names[400];
	size_t len = 0;

	names[0] = 0;
	for (uint32_t i = 0; i < num; i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? " " : "",
					list[i]->name);
	return names;
}

static const char *chosen(const struct conf *conf, const struct path_addr *path, const char *peer,
			  const char *wanted, uint16_t key_bits)
{
	return found(conf, path, peer, wanted, key_bits, AUTH_SHARED_KEY_MIC);
}

static void test_identities(void)
{
	struct conf *conf = parse();
	struct path_addr nine = path_of("203.0.113.1", "192.0.2.9");

	CU_ASSERT_STRING_EQUAL(chosen(conf, &nine, "nine.example", NULL, 128), "host");
	CU_ASSERT_STRING_EQUAL(chosen(conf, &nine, "ten.example", NULL, 256), "net");
	CU_ASSERT_STRING_EQUAL(chosen(conf, &nine, "ten.elsewhere", NULL, 256), "any");
	/* the negotiated algorithms must be the connection's */
	CU_ASSERT_STRING_EQUAL(chosen(conf, &nine, "nine.example", NULL, 256), "net");
	/* whom the initiator wants to speak to */
	CU_ASSERT_STRING_EQUAL(chosen(conf, &nine, "ten.example", "us.example", 256), "net");
	CU_ASSERT_STRING_EQUAL(chosen(conf, &nine, "ten.example", "them.example", 256), "");
	conf_put(conf);
}

static void test_S29_several_connections(void)
{
	struct conf *conf = parse_text(signers);
	struct path_addr nine = path_of("203.0.113.1", "192.0.2.9");
	char many[2000] = "connections {\n";
	size_t len = strlen(many);

	/* by identity, then as they stand there; never another kind of AUTH */
	CU_ASSERT_STRING_EQUAL(
		found(conf, &nine, "nine.example", NULL, 256, AUTH_DIGITAL_SIGNATURE),
		"exact first second any");
	CU_ASSERT_STRING_EQUAL(
		found(conf, &nine, "nine.elsewhere", NULL, 256, AUTH_DIGITAL_SIGNATURE), "any");
	CU_ASSERT_STRING_EQUAL(found(conf, &nine, "nine.example", NULL, 256, AUTH_SHARED_KEY_MIC),
			       "secret");
	conf_put(conf);
	/* a secret is for an identity; one that wants a signature is there for what it can say */
	conf = parse();
	CU_ASSERT_STRING_EQUAL(found(conf, &nine, "ten.example", NULL, 256, AUTH_SHARED_KEY_MIC),
			       "net");
	CU_ASSERT_STRING_EQUAL(found(conf, &nine, "ten.example", NULL, 256, AUTH_DIGITAL_SIGNATURE),
			       "net");
	conf_put(conf);
	/* not without bounds, and the best is among them wherever it stands */
	for (int i = 0; i < MATCH_MAX + 4; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len, " c%d { }\n", i);
	snprintf(many + len, sizeof(many) - len, " best { remote { id = nine.example } } }\n");
	conf = parse_text(many);
	CU_ASSERT_STRING_EQUAL(
		found(conf, &nine, "nine.example", NULL, 256, AUTH_DIGITAL_SIGNATURE),
		"best c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11 c12 c13 c14");
	conf_put(conf);
}

static void test_local_id(void)
{
	struct conf *conf = parse();
	struct path_addr four = path_of("203.0.113.1", "192.0.2.9");
	struct path_addr six = path_of("2001:db8::1", "2001:db8::2");
	struct ike_id id = match_local_id(conf_find_conn(conf, "any"), &four);
	char buf[64];

	CU_ASSERT_STRING_EQUAL(ike_id_text(buf, sizeof(buf), &id), "203.0.113.1");
	id = match_local_id(conf_find_conn(conf, "any"), &six);
	CU_ASSERT_STRING_EQUAL(ike_id_text(buf, sizeof(buf), &id), "2001:db8::1");
	id = match_local_id(conf_find_conn(conf, "net"), &four);
	CU_ASSERT_STRING_EQUAL(ike_id_text(buf, sizeof(buf), &id), "us.example");
	conf_put(conf);
}

/* What a peer calls itself cannot break a line or a buffer (S8). */
static void test_S8_identity_text(void)
{
	struct ike_id id = fqdn("evil\n\033[2Jname");
	char buf[16], tiny[4];

	CU_ASSERT_STRING_EQUAL(ike_id_text(buf, sizeof(buf), &id), "evil??[2Jname");
	CU_ASSERT_STRING_EQUAL(ike_id_text(tiny, sizeof(tiny), &id), "evi");
	id.len = 256;
	memset(id.data, 'a', sizeof(id.data));
	CU_ASSERT_EQUAL(strlen(ike_id_text(buf, sizeof(buf), &id)), sizeof(buf) - 1);
	id.type = ID_KEY_ID;
	CU_ASSERT_TRUE(strlen(ike_id_text(buf, sizeof(buf), &id)) < sizeof(buf));
	id.type = ID_IPV4_ADDR;
	CU_ASSERT_STRING_EQUAL(ike_id_text(buf, sizeof(buf), &id), "");
	id.type = 0;
	CU_ASSERT_STRING_EQUAL(ike_id_text(buf, sizeof(buf), &id), "%any");
}

static const struct tap_test tests[] = {
	TAP_TEST(test_addresses),
	TAP_TEST(test_identities),
	TAP_TEST(test_S29_several_connections),
	TAP_TEST(test_local_id),
	TAP_TEST(test_S8_identity_text),
};

TAP_MAIN("control/ike_match", tests)
