/* SPDX-License-Identifier: Apache-2.0 */
/* The section latchkey.app.network: off unless it is there, what it needs, files, and users. */
#include "tests/pki_conf.h"
#include "tests/control/load_text.h"
#include "tests/tap/tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[40];
static struct pki_cert ca, server, other;

static void put_file(const char *name, const char *label, struct bytes der, mode_t mode)
{
	char path[80];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(label ? pki_pem(label, der) : "nothing", f);
	fclose(f);
	chmod(path, mode);
}

static void make_files(void)
{
	static struct pki_key key, third;

	if (ca.len)
		return;
	snprintf(dir, sizeof(dir), "/tmp/latchkey-network-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	pki_key_make(&key, "P-256");
	pki_key_make(&third, "P-256");
	pki_cert_make(&ca, &(struct pki_params){.subject = "/CN=ca", .ca = "critical,CA:TRUE"});
	pki_cert_make(&server,
		      &(struct pki_params){.subject = "/CN=server", .issuer = &ca, .key = &key});
	pki_cert_make(&other,
		      &(struct pki_params){.subject = "/CN=other", .issuer = &ca, .key = &third});
	put_file("ca", "CERTIFICATE", pki_der(&ca), 0644);
	put_file("server", "CERTIFICATE", pki_der(&server), 0644);
	put_file("other", "CERTIFICATE", pki_der(&other), 0644);
	put_file("key", "PRIVATE KEY", pki_private(server.key), 0600);
	put_file("open", "PRIVATE KEY", pki_private(server.key), 0644);
	put_file("bad", NULL, bytes_of(NULL, 0), 0600);
}

#define USERS "users { boss { id = \"CN=boss\"\n rights = admin\n } }"

/* struct keys - NULL: as it should be; "": it is not there. */
struct keys {
	const char *addresses, *port, *certificate, *key, *ca, *crl, *users;
};

static void put_key(char *text, size_t size, const char *name, const char *value, const char *usual,
		    bool file)
{
	value = value ? value : usual;
	if (*value)
		snprintf(text + strlen(text), size - strlen(text), "%s = %s%s%s\n", name,
			 file ? dir : "", file ? "/" : "", value);
}

static enum err load(struct conf **out, struct conf_diags *diags, const struct keys *k)
{
	char text[2048] = "latchkey { app { network {\n";

	make_files();
	put_key(text, sizeof(text), "addresses", k->addresses, "192.0.2.1, 2001:db8::1", false);
	put_key(text, sizeof(text), "port", k->port, "4505", false);
	put_key(text, sizeof(text), "certificate", k->certificate, "server", true);
	put_key(text, sizeof(text), "key", k->key, "key", true);
	put_key(text, sizeof(text), "ca", k->ca, "ca", true);
	put_key(text, sizeof(text), "crl", k->crl, "", true);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\n} } }\n",
		 k->users ? k->users : USERS);
	return load_text(out, diags, text);
}

/* A9: without the section nobody from another host may ask anything. */
static void test_A9_off_by_default(void)
{
	static struct conf_diags diags;
	struct conf *conf;
	struct tree *t;

	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&t, &diags, "f", "latchkey { app { } }", 20), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_new(&conf, &diags, t), ERR_OK);
	CU_ASSERT_EQUAL(conf->daemon.app.network.num_addrs, 0);
	CU_ASSERT_EQUAL(conf->daemon.app.network.num_users, 0);
	CU_ASSERT_EQUAL(conf->daemon.app.network.port, 0);
	tree_free(t);
	conf_put(conf);
}

static void test_values(void)
{
	static struct conf_diags diags;
	const struct conf_network *n;
	struct conf *conf;
	char path[80];

	CU_ASSERT_EQUAL_FATAL(
		load(&conf, &diags,
		     &(struct keys){.users =
					    "users { boss { id = \"C=CH, CN=boss\"\n rights = "
					    "admin\n }\n probe { id = probe@example.net\n rights "
					    "= read_all, configure\n }\n idle { id = x.example\n } "
					    "}"}),
		ERR_OK);
	n = &conf->daemon.app.network;
	CU_ASSERT_EQUAL(diags.num, 0);
	CU_ASSERT_EQUAL(n->num_addrs, 2);
	CU_ASSERT_EQUAL(n->addrs[1].family, IP_V6);
	CU_ASSERT_EQUAL(n->port, 4505);
	snprintf(path, sizeof(path), "%s/server", dir);
	CU_ASSERT_STRING_EQUAL(n->certificate, path);
	CU_ASSERT_STRING_EQUAL(n->crl, "");
	CU_ASSERT_EQUAL(n->num_users, 3);
	CU_ASSERT_STRING_EQUAL(n->users[0].name, "boss");
	CU_ASSERT_TRUE(n->users[0].admin && !n->users[0].read_all && !n->users[0].configure);
	CU_ASSERT_TRUE(!n->users[1].admin && n->users[1].read_all && n->users[1].configure);
	CU_ASSERT_TRUE(!n->users[2].admin && !n->users[2].read_all && !n->users[2].configure);
	CU_ASSERT_EQUAL(n->users[1].id.len, strlen("probe@example.net"));
	conf_put(conf);
}

static void test_refused(void)
{
	const struct {
		struct keys keys;
		const char *text;
	} rows[] = {
		{{.addresses = ""}, "has no 'addresses'"},
		{{.addresses = "gw.example"}, "'gw.example' is no address"},
		{{.addresses = "1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4, 1.1.1.5"},
		 "more than 4 addresses"},
		{{.port = ""}, "has no 'port'"},
		{{.port = "0"}, "0 is no port"},
		{{.certificate = ""}, "has no 'certificate'"},
		{{.certificate = "none"}, "is not usable: it cannot be read"},
		{{.certificate = "bad"}, "is not usable"},
		{{.certificate = "other"}, "the key is not that of the certificate"},
		{{.key = ""}, "has no 'key'"},
		{{.key = "server"}, "is not usable"},
		{{.ca = ""}, "has no 'ca'"},
		{{.ca = "other"}, "is not usable"}, /* it is none */
		{{.crl = "ca"}, "is not usable"},
		{{.users = ""}, "has no 'users'"},
		{{.users = "users { }"}, "has no 'users'"},
		{{.users = "users { boss { rights = admin\n } }"}, "has no 'id'"},
		{{.users = "users { boss { id = %any\n } }"},
		 "'%any' is no identity that is one user's"},
		{{.users = "users { boss { id = \"CN=*\"\n } }"}, "'CN=*' names many"},
		{{.users = "users { boss { id = *.example.net\n } }"},
		 "'*.example.net' names many"},
		{{.users = "users { boss { id = a.b\n rights = interact\n } }"},
		 "'interact' is none of read_all, configure and admin"},
		{{.users = "users { boss { id = a.b\n right = admin\n } }"},
		 "did you mean 'rights'?"},
		{{.users = "users { a23456789012345678901234567890123 { id = a.b\n } }"},
		 "has more than 31 characters"},
		{{.users = USERS "\nport = 70000"}, "70000"},
	};
	static struct conf_diags diags;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *conf;
		bool said = false;

		CU_ASSERT_EQUAL(load(&conf, &diags, &rows[i].keys), ERR_CONFIG);
		for (uint32_t d = 0; d < diags.num; d++)
			said |= strstr(diags.list[d].text, rows[i].text) != NULL;
		CU_ASSERT_TRUE(said);
		if (!said)
			tap_diag("%s: %s", rows[i].text, diags.list[0].text);
	}
}

static void test_too_many_users(void)
{
	static struct conf_diags diags;
	char users[1024] = "users {";
	struct conf *conf;

	for (int i = 0; i <= CONF_NETWORK_USERS; i++)
		snprintf(users + strlen(users), 40, " u%d { id = u%d.example\n }", i, i);
	strcat(users, " }");
	CU_ASSERT_EQUAL(load(&conf, &diags, &(struct keys){.users = users}), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[0].text, "there are more than 16"));
}

/* As of every private key: others who can read it are a warning. */
static void test_key_that_others_read(void)
{
	static struct conf_diags diags;
	struct conf *conf;

	CU_ASSERT_EQUAL_FATAL(load(&conf, &diags, &(struct keys){.key = "open"}), ERR_OK);
	CU_ASSERT_EQUAL(diags.num, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[0].text, "is open to other users (mode 0644)"));
	conf_put(conf);
}

/* The file has the same name. */
static void add_authority(void)
{
	static struct pki_cert more;
	char path[80];
	FILE *f;

	pki_cert_make(&more, &(struct pki_params){.subject = "/CN=more", .ca = "critical,CA:TRUE"});
	snprintf(path, sizeof(path), "%s/ca", dir);
	f = fopen(path, "a");
	fputs(pki_pem("CERTIFICATE", pki_der(&more)), f);
	fclose(f);
}

/* Whether it is to be opened anew: where it is, and what the files hold; not for other users. */
static void test_digest(void)
{
	const struct keys same = {.port = NULL}, port = {.port = "4506"},
			  addrs = {.addresses = "192.0.2.1"},
			  users = {.users = "users { x { id = x.example\n } }"};
	const struct keys *const all[] = {&same, &users, &port, &addrs, &same};
	static struct conf_diags diags;
	uint8_t first[32] = {0};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct conf *conf;
		const struct conf_network *n;

		if (i == 4)
			add_authority();
		CU_ASSERT_EQUAL_FATAL(load(&conf, &diags, all[i]), ERR_OK);
		n = &conf->daemon.app.network;
		if (i == 0)
			memcpy(first, n->digest, sizeof(first));
		CU_ASSERT_EQUAL(memcmp(first, n->digest, sizeof(first)) == 0, i < 2);
		conf_put(conf);
	}
}

/* The last one: what the others share goes. */
static void test_files_are_gone(void)
{
	static const char *const names[] = {"ca", "server", "other", "key", "open", "bad"};
	char path[80];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	CU_ASSERT_TRUE(!dir[0] || rmdir(dir) == 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A9_off_by_default),
	TAP_TEST(test_values),
	TAP_TEST(test_refused),
	TAP_TEST(test_too_many_users),
	TAP_TEST(test_key_that_others_read),
	TAP_TEST(test_digest),
	TAP_TEST(test_files_are_gone),
};

TAP_MAIN("conf_network", tests)
