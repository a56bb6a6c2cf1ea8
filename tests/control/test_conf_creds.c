/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of a configuration file: the folders beside it, the files it names, passphrases, and
 * what is said about those that are not usable. */
#include "control/conf/conf.h"
#include "tests/pki_conf.h"
#include "tests/tap/tap.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/latchkey-creds-XXXXXX";
static struct pki_cert root, own;

static const char *path_of(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fchmod(fileno(file), 0600);
	fputs(text, file);
	fclose(file);
}

static void put_encrypted(const char *name, const struct pki_key *k, const char *passphrase)
{
	const unsigned char *at = k->private;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)k->private_len);
	FILE *file = fopen(path_of(name), "w");

	CU_ASSERT_FATAL(key && file);
	fchmod(fileno(file), 0600);
	CU_ASSERT_EQUAL(PEM_write_PKCS8PrivateKey(file, key, EVP_aes_256_cbc(), passphrase,
						  (int)strlen(passphrase), NULL, NULL),
			1);
	fclose(file);
	EVP_PKEY_free(key);
}

/* Folders with a root, a certificate, its key; and a file that is none of it in each. */
static void set_up(void)
{
	static const char *const names[] = {"x509", "x509ca", "x509crl", "pubkey", "private"};

	if (root.len)
		return;
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		CU_ASSERT_EQUAL_FATAL(mkdir(path_of(names[i]), 0700), 0);
	pki_cert_make(&root, &(struct pki_params){.subject = "/CN=Root", .ca = "critical,CA:TRUE"});
	pki_cert_make(&own, &(struct pki_params){.subject = "/C=CH/CN=gw",
						 .names = "DNS:gw.example",
						 .issuer = &root,
						 .key = pki_key_get("ed25519")});
	put("x509ca/root.pem", pki_pem("CERTIFICATE", pki_der(&root)));
	put("x509/own.pem", pki_pem("CERTIFICATE", pki_der(&own)));
	put("private/own.pem", pki_pem("PRIVATE KEY", pki_private(own.key)));
	put("pubkey/peer.pem", pki_pem("PUBLIC KEY", pki_spki(pki_key_get("P-256"))));
}

/* Load a file of this text; the remarks go to diags. */
static enum err load(struct conf **out, struct conf_diags *diags, const char *text)
{
	memset(diags, 0, sizeof(*diags));
	put("latchkey.conf", text);
	return conf_load(out, diags, path_of("latchkey.conf"));
}

static struct conf_diags diags;

static struct conf *must_load(const char *text)
{
	struct conf *conf = NULL;
	enum err e = load(&conf, &diags, text);

	if (e)
		tap_diag("%s", diags.list[0].text);
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
	return conf;
}

static uint32_t count(const struct conf *conf, enum cred_kind kind)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < conf->creds.num; i++)
		num += conf->creds.list[i]->kind == kind;
	return num;
}

static void test_folders(void)
{
	struct conf *conf;

	set_up();
	conf = must_load("connections { a { remote { id = b } } }\n");
	CU_ASSERT_EQUAL(diags.num, 0);
	CU_ASSERT_EQUAL(count(conf, CRED_CA), 1);
	CU_ASSERT_EQUAL(count(conf, CRED_CERT), 1);
	CU_ASSERT_EQUAL(count(conf, CRED_KEY), 1);
	CU_ASSERT_EQUAL(count(conf, CRED_PUBKEY), 1);
	for (uint32_t i = 0; i < conf->creds.num; i++) {
		const struct cred *c = conf->creds.list[i];

		if (c->kind == CRED_CERT)
			CU_ASSERT_PTR_NOT_NULL(conf_private_key(conf, c));
		if (c->kind == CRED_PUBKEY)
			CU_ASSERT_PTR_NULL(conf_private_key(conf, c));
	}
	conf_forget_secrets(conf);
	CU_ASSERT_EQUAL(count(conf, CRED_KEY), 0);
	CU_ASSERT_EQUAL(count(conf, CRED_CERT), 1);
	conf_put(conf);
}

static void test_bad_files_are_left_out(void)
{
	struct conf *conf;

	set_up();
	put("x509ca/zz.pem", pki_pem("CERTIFICATE", pki_der(&own)));
	put("x509/zz.pem", "nothing");
	put("private/zz.pem", "");
	conf = must_load("connections { }\n");
	CU_ASSERT_EQUAL(diags.num, 3);
	CU_ASSERT_EQUAL(diags.num_errors, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[0].text, "x509ca/zz.pem is left out: it is not an "
							  "authority's: its basic constraints"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(diags.list[1].text, "x509/zz.pem is left out: it is not a certificate"));
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[2].text, "it is no file, or empty, or too long"));
	conf_put(conf);
	unlink(path_of("x509ca/zz.pem"));
	unlink(path_of("x509/zz.pem"));
	unlink(path_of("private/zz.pem"));
}

static void test_named_files(void)
{
	static const char text[] = "connections { a { local { certs = own.pem\n }\n"
				   " remote { cacerts = root.pem\n pubkeys = peer.pem\n } } }\n";
	struct conf *conf;

	set_up();
	conf = must_load(text);
	CU_ASSERT_EQUAL(conf->conns[0]->local.certs.num, 1);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.cacerts.num, 1);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.pubkeys.num, 1);
	/* Without an identity ours is the certificate's subject. */
	CU_ASSERT_EQUAL(conf->conns[0]->local.id.type, 9);
	CU_ASSERT_TRUE(cred_has_id(conf->conns[0]->local.certs.list[0], &conf->conns[0]->local.id));
	conf_put(conf);
}

/* The remark that has this in it, or NULL. */
static const char *remark_with(const char *part)
{
	for (uint32_t i = 0; i < diags.num && i < ARRAY_LEN(diags.list); i++) {
		if (strstr(diags.list[i].text, part))
			return diags.list[i].text;
	}
	return NULL;
}

static bool is_called_open(const char *conn)
{
	char text[300];

	snprintf(text, sizeof(text), "connections { gw { %s } }\n", conn);
	conf_put(must_load(text));
	return remark_with("connections.gw: takes whoever has a certificate of any authority");
}

/* Whoever takes anybody under any authority is told, unless that is what was said. */
static void test_open_connections(void)
{
	static const char *const closed[] = {
		"remote { id = peer.example }",
		"remote { id = \"C=CH, CN=*\" }",
		"remote { id = *.example }",
		"remote { id = %any }",
		"remote { cacerts = root.pem }",
		"remote { certs = own.pem }",
		"remote { pubkeys = peer.pem }",
		"local { auth = psk }\n remote { auth = psk }",
		"children { a { mode = pass\n start_action = trap } }",
	};
	struct conf_diags *more = calloc(1, sizeof(*more));
	struct conf *conf, *next;
	struct tree *tree;

	set_up();
	CU_ASSERT_TRUE(is_called_open(""));
	CU_ASSERT_TRUE(is_called_open("remote { auth = ecdsa }"));
	CU_ASSERT_TRUE(is_called_open("local { certs = own.pem }\n children { a { } }"));
	for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
		if (is_called_open(closed[i]))
			tap_diag("%s", closed[i]);
		CU_ASSERT_FALSE(is_called_open(closed[i]));
	}
	/* one that comes by the control socket, too */
	conf = must_load("connections { }\n");
	CU_ASSERT_FATAL(more != NULL);
	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&tree, more, "t", "gw { }", 6), ERR_OK);
	CU_ASSERT_EQUAL(conf_with_conn(&next, more, conf, tree_child(tree, "gw")), ERR_OK);
	CU_ASSERT_EQUAL(more->num, 1);
	conf_put(next);
	/* and without an authority there is nobody to be taken */
	CU_ASSERT_EQUAL(conf_with_conn(&next, more, NULL, tree_child(tree, "gw")), ERR_OK);
	CU_ASSERT_EQUAL(more->num, 1);
	conf_put(next);
	conf_put(conf);
	tree_free(tree);
	free(more);
}

/* Certificates and keys beside a secret are not asked for, and that is said. */
static void test_creds_beside_psk(void)
{
	static const struct {
		const char *text, *remark;
	} rows[] = {
		{"remote { auth = psk\n cacerts = root.pem }",
		 "connections.a.remote: `cacerts` has no effect"},
		{"remote { auth = psk\n certs = own.pem }",
		 "connections.a.remote: `certs` has no effect"},
		{"remote { pubkeys = peer.pem\n auth = psk }",
		 "connections.a.remote: `pubkeys` has no effect"},
		{"local { certs = own.pem\n auth = psk }",
		 "connections.a.local: `certs` has no effect"},
		{"local { auth = psk\n cert { file = own.pem } }",
		 "connections.a.local: `certs` has no effect"},
	};

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[300];

		snprintf(text, sizeof(text), "connections { a { %s\n %s } }\n", rows[i].text,
			 strstr(rows[i].text, "local") ? "remote { id = b }" : "");
		conf_put(must_load(text));
		CU_ASSERT_EQUAL(diags.num, 1);
		CU_ASSERT_PTR_NOT_NULL(remark_with(rows[i].remark));
	}
	conf_put(must_load("connections { a { local { auth = psk }\n remote { auth = psk } } }\n"));
	CU_ASSERT_EQUAL(diags.num, 0);
}

/* Certificates as PEM, one after the other. */
static const char *bundle_of(const struct pki_cert *const *certs, size_t num)
{
	static char text[65536];
	size_t len = 0;

	for (size_t i = 0; i < num; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "# %zu\n%s", i,
					pki_pem("CERTIFICATE", pki_der(certs[i])));
	return text;
}

/* A file with several: all authorities, or an end's certificate and those above it. */
static void test_bundles(void)
{
	static struct pki_cert second, third, below;
	const struct pki_cert *const authorities[] = {&second, &third, &own, &below};
	const struct pki_cert *const chain[] = {&own, &below};
	struct conf *conf;

	set_up();
	pki_cert_make(&second, &(struct pki_params){.subject = "/CN=Second", .ca = "CA:TRUE"});
	pki_cert_make(&third, &(struct pki_params){.subject = "/CN=Third", .ca = "CA:TRUE"});
	pki_cert_make(&below, &(struct pki_params){
				      .subject = "/CN=Below", .ca = "CA:TRUE", .issuer = &root});
	put("x509ca/zz.pem", bundle_of(authorities, 2));
	conf = must_load("connections { a { remote { cacerts = zz.pem } } }\n");
	CU_ASSERT_EQUAL(diags.num, 0);
	CU_ASSERT_EQUAL(count(conf, CRED_CA), 3);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.cacerts.num, 2);
	conf_put(conf);
	/* one of them is no authority's: the others count, but not where they are named */
	put("x509ca/zz.pem", bundle_of(authorities, 4));
	conf = must_load("connections { }\n");
	CU_ASSERT_EQUAL(count(conf, CRED_CA), 4);
	CU_ASSERT_PTR_NOT_NULL(remark_with(
		"1 in it are left out; the first is number 3: it is not an authority's"));
	conf_put(conf);
	CU_ASSERT_EQUAL(load(&conf, &diags, "connections { a { remote { cacerts = zz.pem } } }\n"),
			ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(remark_with("its certificate 3: it is not an authority's"));
	unlink(path_of("x509ca/zz.pem"));
	/* no anchors in x509, and pinned is the first alone */
	put("x509/own.pem", bundle_of(chain, 2));
	conf = must_load(
		"connections { a { local { certs = own.pem }\n remote { certs = own.pem } } }\n");
	CU_ASSERT_EQUAL(count(conf, CRED_CA), 1);
	CU_ASSERT_EQUAL(count(conf, CRED_CERT), 2);
	CU_ASSERT_EQUAL(conf->conns[0]->local.certs.num, 1);
	CU_ASSERT_EQUAL(conf->conns[0]->remote.certs.num, 1);
	CU_ASSERT_TRUE(
		cred_has_id(conf->conns[0]->remote.certs.list[0], &conf->conns[0]->local.id));
	conf_put(conf);
	put("x509/own.pem", pki_pem("CERTIFICATE", pki_der(&own)));
}

/* Cut anywhere a bundle holds what is whole; S3, S27: and no more than so many. */
static void test_S3_bundle_bounds(void)
{
	const struct pki_cert *const two[] = {&root, &root};
	struct cred_source source = {.kind = CRED_CA, .name = "t"};
	struct cred_bundle b;
	size_t len, one;
	char *text, *many;

	set_up();
	text = strdup(bundle_of(two, 2));
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	len = strlen(text);
	one = len / 2;
	for (size_t cut = 0; cut <= len; cut += 13) {
		source.data = bytes_of(text, cut);
		if (!cred_import_bundle(&b, &source))
			CU_ASSERT_TRUE(b.num == 1 || (b.num == 2 && cut == len));
		cred_bundle_fini(&b);
	}
	source.data = bytes_of(text, len - 40);
	CU_ASSERT_EQUAL(cred_import_bundle(&b, &source), ERR_OK);
	CU_ASSERT_TRUE(b.num == 1 && b.bad == 1 && b.nth == 2);
	cred_bundle_fini(&b);
	text[one + 100] = '!';
	source.data = bytes_of(text, len);
	CU_ASSERT_EQUAL(cred_import_bundle(&b, &source), ERR_OK);
	CU_ASSERT_TRUE(b.num == 1 && b.bad == 1 && b.nth == 2);
	cred_bundle_fini(&b);
	many = malloc((CRED_BUNDLE_MAX + 1) * one + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(many);
	for (size_t i = 0; i <= CRED_BUNDLE_MAX; i++)
		memcpy(many + i * one, text, one);
	source.data = bytes_of(many, CRED_BUNDLE_MAX * one);
	CU_ASSERT_EQUAL(cred_import_bundle(&b, &source), ERR_OK);
	CU_ASSERT_EQUAL(b.num, CRED_BUNDLE_MAX);
	cred_bundle_fini(&b);
	source.data = bytes_of(many, (CRED_BUNDLE_MAX + 1) * one);
	CU_ASSERT_EQUAL(cred_import_bundle(&b, &source), ERR_LIMIT);
	CU_ASSERT_PTR_NOT_NULL(strstr(b.why, "too many"));
	cred_bundle_fini(&b);
	free(many);
	free(text);
}

/* A private key that others can get at: one warning that says which. */
static void test_readable_key(void)
{
	static const struct {
		mode_t mode;
		uint32_t num;
	} rows[] = {{0600, 0}, {0400, 0}, {0644, 1}, {0640, 1}, {0604, 1}, {0620, 1}};
	char mode[20];

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CU_ASSERT_EQUAL(chmod(path_of("private/own.pem"), rows[i].mode), 0);
		CU_ASSERT_EQUAL(chmod(path_of("x509/own.pem"), rows[i].mode), 0);
		conf_put(must_load("connections { }\n"));
		CU_ASSERT_EQUAL(diags.num, rows[i].num);
		snprintf(mode, sizeof(mode), "(mode %04o)", (unsigned)rows[i].mode);
		CU_ASSERT_TRUE(!rows[i].num ||
			       (remark_with("private/own.pem is open") && remark_with(mode)));
	}
	CU_ASSERT_EQUAL(chmod(path_of("private/own.pem"), 0600), 0);
}

static void refused(const char *text, const char *remark)
{
	struct conf *conf;

	CU_ASSERT_EQUAL(load(&conf, &diags, text), ERR_CONFIG);
	if (!strstr(diags.list[0].text, remark))
		tap_diag("%s", diags.list[0].text);
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[0].text, remark));
}

static void test_named_files_refused(void)
{
	set_up();
	refused("connections { a { local {\n certs = nowhere.pem\n } } }\n",
		"latchkey.conf:2: connections.a.local.certs: '");
	refused("connections { a { local {\n certs = nowhere.pem\n } } }\n",
		"x509/nowhere.pem' is not usable: it cannot be read");
	refused("connections { a { remote {\n cacerts = ../x509/own.pem\n } } }\n",
		"it is not an authority's");
	refused("connections { a { remote {\n pubkeys = /dev/zero\n } } }\n", "it is no file");
	refused("connections { a { local {\n certs = own.pem\n id = else.example\n } } }\n",
		"none of `certs` holds the identity `id`");
	refused("secrets { private-a { file = nowhere.pem\n secret = x\n } }\n",
		"there is no file 'nowhere.pem' in the folder `private`");
}

static void test_passphrases(void)
{
	static const char right[] = "secrets { private-a { file = enc.pem\n secret = right\n } }\n";
	static const char wrong[] = "secrets { private-a { file = enc.pem\n secret = wrong\n } }\n";
	struct conf *conf;

	set_up();
	put_encrypted("private/enc.pem", pki_key_get("P-384"), "right");
	conf = must_load(right);
	CU_ASSERT_EQUAL(diags.num, 0);
	CU_ASSERT_EQUAL(count(conf, CRED_KEY), 2);
	conf_put(conf);
	conf = must_load(wrong);
	CU_ASSERT_EQUAL(count(conf, CRED_KEY), 1);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(diags.list[0].text, "enc.pem is left out: its passphrase is wrong"));
	CU_ASSERT_PTR_NULL(strstr(diags.list[0].text, "secret"));
	conf_put(conf);
	conf = must_load("connections { }\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[0].text, "there is no passphrase for it"));
	conf_put(conf);
	unlink(path_of("private/enc.pem"));
}

static void test_authorities(void)
{
	struct conf *conf, *less;
	char text[400];

	set_up();
	snprintf(text, sizeof(text), "authorities { mine { file = %s/x509ca/root.pem\n } }\n",
		 folder);
	conf = must_load(text);
	CU_ASSERT_EQUAL(count(conf, CRED_CA), 1); /* the same as in the folder */
	CU_ASSERT_EQUAL(conf_without_authority(&less, conf, "nobody"), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(conf_without_authority(&less, conf, "mine"), ERR_OK);
	CU_ASSERT_EQUAL(count(less, CRED_CA), 0);
	conf_put(less);
	conf_put(conf);
}

/* The authority of the section is the one of the folder, and knows where its lists are. */
static void test_places_of_lists(void)
{
	static const char list[] = "authorities { mine { cacert = root.pem\n crl_uris = %s\n"
				   "ocsp_uris = http://192.0.2.8/\n"
				   "cert_uri_base = http://192.0.2.7/certs/\n } }\n";
	static const struct {
		const char *uris, *remark;
	} rows[] = {
		{"ldap://a/b", "'ldap://a/b' is not a URL of HTTP"},
		{"http://192.0.2.9/1, http://192.0.2.9/2, http://192.0.2.9/3, http://192.0.2.9/4, "
		 "http://192.0.2.9/5",
		 "takes 4 URLs at most"},
	};
	struct conf *conf, *none;
	char text[400];

	set_up();
	snprintf(text, sizeof(text), list, "http://192.0.2.9/1, http://192.0.2.9/2");
	conf = must_load(text);
	CU_ASSERT_EQUAL(count(conf, CRED_CA), 1);
	for (uint32_t i = 0; i < conf->creds.num; i++) {
		const struct cred *c = conf->creds.list[i];

		if (c->kind != CRED_CA)
			continue;
		CU_ASSERT_EQUAL_FATAL(c->crl_uris.num, 2);
		CU_ASSERT_STRING_EQUAL(c->crl_uris.list[1], "http://192.0.2.9/2");
		CU_ASSERT_EQUAL_FATAL(c->cert_bases.num, 1);
		CU_ASSERT_STRING_EQUAL(c->cert_bases.list[0], "http://192.0.2.7/certs/");
		CU_ASSERT_EQUAL_FATAL(c->ocsp_uris.num, 1);
		CU_ASSERT_STRING_EQUAL(c->ocsp_uris.list[0], "http://192.0.2.8/");
	}
	conf_put(conf);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), list, rows[i].uris);
		CU_ASSERT_EQUAL(load(&none, &diags, text), ERR_CONFIG);
		CU_ASSERT_PTR_NOT_NULL(remark_with(rows[i].remark));
	}
}

/* A key that was exchanged for another in the same file makes another connection. */
static void test_exchanged_files(void)
{
	static const char text[] = "connections { a { remote { auth = pubkey\n"
				   "pubkeys = peer.pem } } }\n";
	struct conf *first, *same, *other;

	set_up();
	first = must_load(text);
	same = must_load(text);
	put("pubkey/peer.pem", pki_pem("PUBLIC KEY", pki_spki(pki_key_get("P-384"))));
	other = must_load(text);
	CU_ASSERT_EQUAL(memcmp(first->conns[0]->digest, same->conns[0]->digest,
			       sizeof(first->conns[0]->digest)),
			0);
	CU_ASSERT_NOT_EQUAL(memcmp(first->conns[0]->digest, other->conns[0]->digest,
				   sizeof(first->conns[0]->digest)),
			    0);
	conf_put(first);
	conf_put(same);
	conf_put(other);
}

static void test_clean_up(void)
{
	static const char *const names[] = {"latchkey.conf",   "x509ca/root.pem", "x509/own.pem",
					    "private/own.pem", "pubkey/peer.pem", "x509",
					    "x509ca",          "x509crl",         "pubkey",
					    "private"};

	set_up();
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)!remove(path_of(names[i]));
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_folders),
	TAP_TEST(test_bad_files_are_left_out),
	TAP_TEST(test_named_files),
	TAP_TEST(test_open_connections),
	TAP_TEST(test_readable_key),
	TAP_TEST(test_creds_beside_psk),
	TAP_TEST(test_named_files_refused),
	TAP_TEST(test_passphrases),
	TAP_TEST(test_authorities),
	TAP_TEST(test_places_of_lists),
	TAP_TEST(test_exchanged_files),
	TAP_TEST(test_bundles),
	TAP_TEST(test_S3_bundle_bounds),
	TAP_TEST(test_clean_up),
};

TAP_MAIN("conf_creds", tests)
