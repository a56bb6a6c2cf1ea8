/* SPDX-License-Identifier: Apache-2.0 */
/*
 * liblatchkey-remote before a network interface with a fake engine: the calls of <latchkey/ipsec.h>
 * as a caller of another host has them, who is believed by whom, and a daemon that goes and comes
 * back.
 */
#include "api/client/backend.h"
#include "api/include/latchkey/ipsec_remote.h"
#include "tests/api/app_stand.h"
#include "tests/pki.h"
#include "tests/tap/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

#define FAILS(call, err)                                     \
	do {                                                 \
		errno = 0;                                   \
		CU_ASSERT_EQUAL(call, -1);                   \
		CU_ASSERT_EQUAL(errno, err);                 \
		CU_ASSERT_TRUE(*ipsec_last_error() != '\0'); \
	} while (0)

/* struct both - the other host, whose socket for programs of its own is the local one here, and
 * what its callers have. */
struct both {
	struct app_stand stand;
	struct ipsec_remote admin, reader;
	char port[8];
	char files[10][CONF_PATH_MAX];
	uint32_t num_files;
};

static struct both both;
static struct pki_cert ca, other_ca, server, admin, reader, foreign, nobody;
static struct pki_key keys[2];

/* ---- certificates --------------------------------------------------------------------------- */

static void issue(struct pki_cert *out, const char *subject, const struct pki_cert *by,
		  struct pki_params params)
{
	params.subject = subject;
	params.issuer = by;
	pki_cert_make(out, &params);
}

static void make_certs(void)
{
	const struct pki_params authority = {.ca = "critical,CA:TRUE",
					     .usage = "keyCertSign,cRLSign"};

	if (ca.len)
		return;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		pki_key_make(&keys[i], "P-256");
	issue(&ca, "/CN=authority", NULL,
	      (struct pki_params){.ca = authority.ca, .usage = authority.usage, .key = &keys[0]});
	issue(&other_ca, "/CN=authority", NULL,
	      (struct pki_params){.ca = authority.ca, .usage = authority.usage, .key = &keys[1]});
	issue(&server, "/CN=server", &ca,
	      (struct pki_params){.names = "IP:127.0.0.1", .serial = 5});
	issue(&admin, "/CN=admin", &ca, (struct pki_params){.extended = "clientAuth"});
	issue(&reader, "/CN=reader", &ca, (struct pki_params){.extended = "clientAuth"});
	issue(&nobody, "/CN=nobody", &ca, (struct pki_params){.extended = "clientAuth"});
	issue(&foreign, "/CN=admin", &other_ca, (struct pki_params){.extended = "clientAuth"});
}

static const char *put(struct both *b, const char *name, const char *label, struct bytes der)
{
	char *path = b->files[b->num_files++];
	FILE *f;

	CU_ASSERT_TRUE_FATAL(b->num_files <= ARRAY_LEN(b->files));
	snprintf(path, CONF_PATH_MAX, "%s/%s", b->stand.dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(pki_pem(label, der), f);
	fclose(f);
	return path;
}

static const char *put_cert(struct both *b, const char *name, const struct pki_cert *cert)
{
	return put(b, name, "CERTIFICATE", pki_der(cert));
}

/* ---- two hosts ------------------------------------------------------------------------------ */

static uint16_t free_port(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	getsockname(fd, (struct sockaddr *)&sin, &len);
	close(fd);
	return ntohs(sin.sin_port);
}

static struct conf_user user(const char *name, const char *id)
{
	struct conf_user u = {.name = ""};

	snprintf(u.name, sizeof(u.name), "%s", name);
	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&u.id, id), ERR_OK);
	return u;
}

static void configure(struct both *b)
{
	struct conf_network *n = &b->stand.conf.network;

	*n = (struct conf_network){.num_addrs = 1, .port = free_port(), .num_users = 2};
	n->addrs[0] = (struct ip_addr){.family = IP_V4, .b = {127, 0, 0, 1}};
	snprintf(b->port, sizeof(b->port), "%u", n->port);
	snprintf(n->certificate, sizeof(n->certificate), "%s", put_cert(b, "server", &server));
	snprintf(n->key, sizeof(n->key), "%s",
		 put(b, "server.key", "PRIVATE KEY", pki_private(server.key)));
	snprintf(n->ca, sizeof(n->ca), "%s", put_cert(b, "ca", &ca));
	n->users[0] = user("admin", "CN=admin");
	n->users[0].admin = true;
	n->users[1] = user("reader", "CN=reader");
	n->users[1].read_all = true;
	b->admin = (struct ipsec_remote){
		.size = sizeof(b->admin),
		.host = "127.0.0.1",
		.port = b->port,
		.certificate = put_cert(b, "admin", &admin),
		.key = put(b, "admin.key", "PRIVATE KEY", pki_private(admin.key)),
		.ca = n->ca,
	};
	b->reader = b->admin;
	b->reader.certificate = put_cert(b, "reader", &reader);
	b->reader.key = put(b, "reader.key", "PRIVATE KEY", pki_private(reader.key));
}

static struct both *set_up(void)
{
	make_certs();
	memset(&both, 0, sizeof(both));
	app_stand_up(&both.stand);
	app_stand_stop(&both.stand);
	configure(&both);
	app_stand_start(&both.stand);
	return &both;
}

static void tear_down(struct both *b)
{
	for (uint32_t i = 0; i < b->num_files; i++)
		unlink(b->files[i]);
	app_stand_down(&b->stand);
}

static void count_profile(void *arg, const struct ipsec_profile *profile)
{
	CU_ASSERT_TRUE(profile->name[0] != '\0');
	++*(uint32_t *)arg;
}

static bool answers(void)
{
	uint32_t num = 0;

	return ipsec_each_profile(count_profile, &num) == 0 && num == 3;
}

/* ---- steps in the serving thread ------------------------------------------------------------ */

static void any_flow(struct fake_app *f, void *arg)
{
	(void)arg;
	f->any_flow = true;
	f->create_state = LATCH_ESTABLISHED;
}

static void first_breaks(struct fake_app *f, void *arg)
{
	(void)arg;
	fake_app_state(f, f->latches[0].id, LATCH_BROKEN, IKE_REASON_NO_ANSWER,
		       "the peer is silent");
}

static void what_was_done(struct fake_app *f, void *arg)
{
	struct fake_app *out = arg;

	out->triggered = f->triggered;
	out->deleted = f->deleted;
	out->num_latches = f->num_latches;
}

static struct fake_app done(struct both *b)
{
	struct fake_app out;

	app_stand_do(&b->stand, what_was_done, &out);
	return out;
}

/* ---- a whole life --------------------------------------------------------------------------- */

static int udp(void)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

/* A program of the other host latches a flow, which stays. */
static uint64_t latch_there(struct both *b)
{
	struct ipsec_latch *latch = NULL;
	uint64_t number;
	int fd = udp();

	app_stand_do(&b->stand, any_flow, NULL);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_create(&latch, fd, NULL, IPSEC_LATCH_KEEP), 0);
	number = ipsec_latch_number(latch);
	ipsec_latch_free(latch);
	close(fd);
	return number;
}

static void note_latch(void *arg, const struct ipsec_latch_info *info)
{
	*(struct ipsec_latch_info *)arg = *info;
}

static int next_event(struct ipsec_app_event *out)
{
	struct pollfd p = {.fd = ipsec_event_fd(), .events = POLLIN};
	int res;

	*out = (struct ipsec_app_event){.size = sizeof(*out)};
	while ((res = ipsec_event_next(out)) == 0 && poll(&p, 1, 5000) > 0)
		;
	return res;
}

static void test_A9_life(void)
{
	struct both *b = set_up();
	struct ipsec_latch_info info = {.size = sizeof(info)};
	struct ipsec_latch *latch = NULL;
	struct ipsec_app_event event;
	uint64_t number = latch_there(b);

	CU_ASSERT_EQUAL_FATAL(ipsec_remote_use(&b->admin), 0);
	CU_ASSERT_TRUE(answers());
	CU_ASSERT_EQUAL(ipsec_each_latch(note_latch, &info), 0);
	CU_ASSERT_EQUAL(info.number, number);
	CU_ASSERT_EQUAL(info.uid, geteuid());
	CU_ASSERT_EQUAL(info.state, IPSEC_LATCH_ESTABLISHED);
	CU_ASSERT_TRUE(ipsec_event_fd() >= 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_by_number(&latch, number), 0);
	CU_ASSERT_EQUAL(ipsec_latch_trigger(latch), 0);
	CU_ASSERT_EQUAL(done(b).triggered, number);
	CU_ASSERT_EQUAL(ipsec_latch_delete(latch), 0);
	CU_ASSERT_EQUAL(done(b).deleted, number);
	app_stand_do(&b->stand, first_breaks, NULL);
	CU_ASSERT_EQUAL(next_event(&event), 1);
	CU_ASSERT_EQUAL(event.kind, IPSEC_APP_EVENT_LATCH);
	CU_ASSERT_EQUAL(event.state, IPSEC_LATCH_BROKEN);
	CU_ASSERT_EQUAL(event.latch, number);
	CU_ASSERT_EQUAL(ipsec_latch_inquire(latch, &info), 0);
	CU_ASSERT_EQUAL(info.state, IPSEC_LATCH_BROKEN);
	CU_ASSERT_EQUAL(info.reason, IPSEC_REASON_NO_ANSWER);
	CU_ASSERT_EQUAL(ipsec_latch_release(latch), 0);
	FAILS(ipsec_latch_by_number(&latch, number), ENOENT);
	tear_down(b);
}

/* What is about a socket or a file of this host, whatever the caller's rights. */
static void test_A9_no_socket(void)
{
	struct both *b = set_up();
	ipsec_pToken_t token = ipsec_create_pToken();
	const char *names[] = {"peer.example"};
	struct ipsec_latch *latch;
	int fd = udp();

	app_stand_do(&b->stand, any_flow, NULL);
	CU_ASSERT_EQUAL_FATAL(ipsec_remote_use(&b->admin), 0);
	FAILS(ipsec_get_socket_pToken(fd, token), EPERM);
	FAILS(ipsec_latch_create(&latch, fd, NULL, 0), EPERM);
	FAILS(ipsec_latch_find(&latch, fd, 0), EPERM);
	FAILS(ipsec_require(fd, NULL, "peer.example"), EPERM);
	FAILS(ipsec_add_secret(names, 1, "secret", 6), EPERM);
	CU_ASSERT_EQUAL(done(b).num_latches, 0);
	/* On this host again. */
	CU_ASSERT_EQUAL(ipsec_remote_use(NULL), 0);
	CU_ASSERT_EQUAL(ipsec_latch_create(&latch, fd, NULL, 0), 0);
	ipsec_latch_free(latch);
	ipsec_free_pToken(token);
	close(fd);
	tear_down(b);
}

/* Who may read all reads, and no more. */
static void test_A9_rights_of_a_reader(void)
{
	struct ipsec_profile profile = {.size = sizeof(profile), .name = "secure"};
	struct both *b = set_up();
	struct ipsec_latch_info info = {.size = sizeof(info)};
	struct ipsec_latch *latch = NULL;
	uint64_t number = latch_there(b);

	CU_ASSERT_EQUAL_FATAL(ipsec_remote_use(&b->reader), 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_by_number(&latch, number), 0);
	CU_ASSERT_EQUAL(ipsec_latch_inquire(latch, &info), 0);
	FAILS(ipsec_latch_trigger(latch), EPERM);
	FAILS(ipsec_latch_delete(latch), EPERM);
	FAILS(ipsec_set_profile(&profile), EPERM);
	FAILS(ipsec_latch_release(latch), EPERM);
	CU_ASSERT_EQUAL(done(b).num_latches, 1);
	tear_down(b);
}

/* ---- who is believed ------------------------------------------------------------------------ */

static void refused(const struct ipsec_remote *r, const char *why)
{
	CU_ASSERT_EQUAL(ipsec_remote_use(r), 0);
	FAILS(ipsec_each_profile(count_profile, &(uint32_t){0}), ECONNREFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(ipsec_last_error(), why));
	if (!strstr(ipsec_last_error(), why))
		tap_diag("%s, not %s", ipsec_last_error(), why);
}

static void test_A9_server_is_believed(void)
{
	static uint8_t crl[4096];
	struct both *b = set_up();
	struct ipsec_remote r = b->admin;
	int64_t from = time(NULL) - DAY_S, until = time(NULL) + DAY_S;

	r.ca = put_cert(b, "other-ca", &other_ca);
	refused(&r, "is not believed");
	r = b->admin;
	r.host = "localhost"; /* the same, and not in its certificate */
	refused(&r, "is not believed");
	r = b->admin;
	r.crl = put(b, "crl", "X509 CRL",
		    bytes_of(crl, pki_crl_make(crl, &ca, (const long[]){5}, 1, from, until)));
	refused(&r, "revoked");
	unlink(r.crl);
	b->num_files--;
	r.crl = put(b, "crl", "X509 CRL",
		    bytes_of(crl, pki_crl_make(crl, &ca, (const long[]){6}, 1, from, until)));
	CU_ASSERT_EQUAL(ipsec_remote_use(&r), 0);
	CU_ASSERT_TRUE(answers());
	tear_down(b);
}

static void test_A9_caller_is_believed(void)
{
	struct both *b = set_up();
	struct ipsec_remote r = b->admin;

	r.certificate = put_cert(b, "foreign", &foreign);
	refused(&r, "the other host's daemon refuses");
	unlink(r.certificate);
	b->num_files--;
	r.certificate = put_cert(b, "nobody", &nobody);
	refused(&r, "the other host's daemon refuses");
	CU_ASSERT_EQUAL(ipsec_remote_use(&b->admin), 0);
	CU_ASSERT_TRUE(answers());
	tear_down(b);
}

static void test_A9_no_such_file_or_host(void)
{
	struct both *b = set_up();
	struct ipsec_remote r = b->admin;
	char port[8];

	r.key = "/nowhere";
	refused(&r, "/nowhere cannot be read");
	r = b->admin;
	r.key = r.certificate;
	refused(&r, "the key is no private key");
	r = b->admin;
	r.ca = "/nowhere";
	refused(&r, "/nowhere");
	r = b->admin;
	snprintf(port, sizeof(port), "%u", free_port());
	r.port = port;
	refused(&r, "does not answer");
	r = b->admin;
	r.host = "nowhere.invalid";
	refused(&r, "nowhere.invalid");
	tear_down(b);
}

/* One that accepts and says nothing keeps nobody for ever. */
static void test_A9_silent_host(void)
{
	struct both *b = set_up();
	struct ipsec_remote r = b->admin;
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	char port[8];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	time_t start = time(NULL);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	CU_ASSERT_EQUAL(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&sin, &len);
	snprintf(port, sizeof(port), "%u", ntohs(sin.sin_port));
	r.port = port;
	refused(&r, "does not answer");
	CU_ASSERT_TRUE(time(NULL) - start < 20);
	close(fd);
	tear_down(b);
}

/* ---- the other host goes -------------------------------------------------------------------- */

static void test_A9_comes_back(void)
{
	struct both *b = set_up();
	struct ipsec_app_event event;
	struct ipsec_latch *latch = NULL;
	struct ipsec_latch_info info = {.size = sizeof(info)};
	uint64_t number = latch_there(b);

	CU_ASSERT_EQUAL_FATAL(ipsec_remote_use(&b->reader), 0);
	CU_ASSERT_TRUE(ipsec_event_fd() >= 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_by_number(&latch, number), 0);
	app_stand_stop(&b->stand);
	CU_ASSERT_EQUAL(next_event(&event), 1);
	CU_ASSERT_EQUAL(event.kind, IPSEC_APP_EVENT_DISCONNECTED);
	FAILS(ipsec_each_profile(count_profile, &(uint32_t){0}), ECONNREFUSED);
	app_stand_start(&b->stand);
	CU_ASSERT_EQUAL(next_event(&event), 1);
	CU_ASSERT_EQUAL(event.kind, IPSEC_APP_EVENT_RECONNECTED);
	CU_ASSERT_TRUE(answers());
	/* Its number may be another's now. */
	FAILS(ipsec_latch_inquire(latch, &info), ESTALE);
	ipsec_latch_free(latch);
	tear_down(b);
}

/* A daemon that comes back and refuses is no second one that has gone. */
static void test_A9_refused_after(void)
{
	struct both *b = set_up();
	struct ipsec_app_event event = {.size = sizeof(event)};
	struct pollfd p = {.events = POLLIN};
	time_t start;

	CU_ASSERT_EQUAL_FATAL(ipsec_remote_use(&b->reader), 0);
	p.fd = ipsec_event_fd();
	CU_ASSERT_TRUE(answers());
	app_stand_stop(&b->stand);
	b->stand.conf.network.num_users = 1;
	app_stand_start(&b->stand);
	CU_ASSERT_EQUAL(next_event(&event), 1);
	CU_ASSERT_EQUAL(event.kind, IPSEC_APP_EVENT_DISCONNECTED);
	for (start = time(NULL); time(NULL) - start < 4; poll(&p, 1, 500))
		CU_ASSERT_EQUAL(ipsec_event_next(&event), 0);
	FAILS(ipsec_each_profile(count_profile, &(uint32_t){0}), ECONNREFUSED);
	tear_down(b);
}

static void test_arguments(void)
{
	struct both *b = set_up();
	char text[2000];
	const char **fields[] = {&b->admin.host, &b->admin.port, &b->admin.certificate,
				 &b->admin.key, &b->admin.ca};

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *was = *fields[i];

		*fields[i] = NULL;
		FAILS(ipsec_remote_use(&b->admin), EINVAL);
		*fields[i] = "";
		FAILS(ipsec_remote_use(&b->admin), EINVAL);
		*fields[i] = text;
		FAILS(ipsec_remote_use(&b->admin), ENAMETOOLONG);
		*fields[i] = was;
	}
	b->admin.size--;
	FAILS(ipsec_remote_use(&b->admin), EINVAL);
	tear_down(b);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A9_life),
	TAP_TEST(test_A9_no_socket),
	TAP_TEST(test_A9_rights_of_a_reader),
	TAP_TEST(test_A9_server_is_believed),
	TAP_TEST(test_A9_caller_is_believed),
	TAP_TEST(test_A9_no_such_file_or_host),
	TAP_TEST(test_A9_silent_host),
	TAP_TEST(test_A9_comes_back),
	TAP_TEST(test_A9_refused_after),
	TAP_TEST(test_arguments),
};

TAP_MAIN("remote", tests)
