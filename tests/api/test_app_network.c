/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network interface itself, called by OpenSSL's client as it is: who comes in and who is
 * refused, messages in whatever parts, strangers that are slow or many, callers that do not read.
 */
#include "api/app/listen_tls.h"
#include "api/app/proto.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/api/fake_app.h"
#include "tests/pki.h"
#include "tests/tap/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_S   86400
#define TURN_NS (50 * NS_PER_US)

/* ---- certificates --------------------------------------------------------------------------- */

/* Made once: an authority and what it has issued, and another one of the same name. */
static struct pki_cert ca, other_ca, server, caller_cert, middle, below, short_lived;
static struct pki_key keys[3];

static void issue(struct pki_cert *out, const char *subject, const struct pki_cert *by,
		  struct pki_params params)
{
	params.subject = subject;
	params.issuer = by;
	pki_cert_make(out, &params);
}

static void make_certs(void)
{
	if (ca.len)
		return;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		pki_key_make(&keys[i], "P-256");
	issue(&ca, "/CN=authority", NULL,
	      (struct pki_params){
		      .ca = "critical,CA:TRUE", .usage = "keyCertSign,cRLSign", .key = &keys[0]});
	issue(&other_ca, "/CN=authority", NULL,
	      (struct pki_params){
		      .ca = "critical,CA:TRUE", .usage = "keyCertSign,cRLSign", .key = &keys[1]});
	issue(&server, "/CN=server", &ca, (struct pki_params){.names = "IP:127.0.0.1"});
	issue(&caller_cert, "/CN=operator", &ca,
	      (struct pki_params){.extended = "clientAuth", .serial = 77});
	issue(&middle, "/CN=middle", &ca,
	      (struct pki_params){.ca = "critical,CA:TRUE",
				  .usage = "keyCertSign,cRLSign",
				  .key = &keys[2],
				  .serial = 78});
	issue(&below, "/CN=operator", &middle, (struct pki_params){.extended = "clientAuth"});
	issue(&short_lived, "/CN=operator", &ca,
	      (struct pki_params){.from_s = time(NULL) - DAY_S, .until_s = time(NULL) + DAY_S});
}

static void put_file(char out[static CONF_PATH_MAX], const char *dir, const char *name,
		     const char *label, struct bytes der)
{
	FILE *f;

	snprintf(out, CONF_PATH_MAX, "%s/%s", dir, name);
	f = fopen(out, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(pki_pem(label, der), f);
	fclose(f);
}

/* ---- the interface -------------------------------------------------------------------------- */

/* struct stand - a server at a port of the loop, in a loop of our own. */
struct stand {
	uv_loop_t loop;
	struct fake_app fake;
	struct conf_app conf;
	struct app_server *server;
	struct app_listen_tls *listen;
	char dir[40];
	struct sockaddr_in sin;
};

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

static void configure(struct stand *s)
{
	struct conf_network *n = &s->conf.network;
	static uint8_t crl[4096];

	make_certs();
	put_file(n->certificate, s->dir, "server.pem", "CERTIFICATE", pki_der(&server));
	put_file(n->key, s->dir, "key.pem", "PRIVATE KEY", pki_private(server.key));
	put_file(n->ca, s->dir, "ca.pem", "CERTIFICATE", pki_der(&ca));
	put_file(n->crl, s->dir, "crl.pem", "X509 CRL",
		 bytes_of(crl, pki_crl_make(crl, &ca, (const long[]){99}, 1, time(NULL) - DAY_S,
					    time(NULL) + DAY_S)));
	n->crl[0] = '\0';
	n->addrs[0] = (struct ip_addr){.family = IP_V4, .b = {127, 0, 0, 1}};
	n->num_addrs = 1;
	n->port = free_port();
	n->num_users = 1;
	n->users[0] = (struct conf_user){.name = "operator", .read_all = true};
	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&n->users[0].id, "CN=operator"), ERR_OK);
}

static enum err open_it(struct stand *s)
{
	char why[TLS_WHY_MAX] = "";
	enum err e = app_listen_tls_open(&s->listen, why, &s->loop, s->server, &s->conf.network);

	CU_ASSERT_EQUAL(e == ERR_OK, why[0] == '\0');
	return e;
}

static void prepare(struct stand *s)
{
	memset(s, 0, sizeof(*s));
	fake_app_init(&s->fake);
	s->conf = (struct conf_app){.clients_per_uid = 8,
				    .latches_per_uid = 8,
				    .requests_per_second = 100000,
				    .queue_per_uid = 1u << 20};
	snprintf(s->dir, sizeof(s->dir), "/tmp/latchkey-network-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(s->dir));
	configure(s);
	s->sin = (struct sockaddr_in){.sin_family = AF_INET,
				      .sin_addr = {htonl(INADDR_LOOPBACK)},
				      .sin_port = htons(s->conf.network.port)};
	uv_loop_init(&s->loop);
	signal(SIGPIPE, SIG_IGN); /* the callers are plain ones */
}

static void start(struct stand *s)
{
	CU_ASSERT_EQUAL_FATAL(app_server_new(&s->server, &s->fake.backend, &s->conf, 1), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(open_it(s), ERR_OK);
}

static void stand_up(struct stand *s)
{
	prepare(s);
	start(s);
}

static void tear_down(struct stand *s)
{
	static const char *const files[] = {"server.pem", "key.pem", "ca.pem", "crl.pem"};
	char path[80];

	app_listen_tls_close(s->listen);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&s->loop), 0);
	app_server_free(s->server);
	fake_app_fini(&s->fake);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", s->dir, files[i]);
		unlink(path);
	}
	CU_ASSERT_EQUAL(rmdir(s->dir), 0);
}

/* The network of the loop takes a moment, too. */
static void turn(struct stand *s, int times)
{
	while (times-- > 0) {
		uv_run(&s->loop, UV_RUN_NOWAIT);
		usleep(200);
		s->fake.now_ns += TURN_NS;
	}
}

/* ---- callers -------------------------------------------------------------------------------- */

/* struct caller - one end of a connection, as OpenSSL makes it. */
struct caller {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
};

/* struct calling - who calls: with which certificate (NULL: none), and what comes with it; a
 * version of TLS (0: any). */
struct calling {
	const struct pki_cert *cert, *more;
	int version;
	const char *groups; /* NULL: as it is usual */
};

/* By 127.0.0.host of this host, which has them all. */
static int connected_by(const struct stand *s, uint32_t host)
{
	struct sockaddr_in own = {.sin_family = AF_INET,
				  .sin_addr = {htonl((INADDR_LOOPBACK & 0xffffff00) + host)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)&s->sin, sizeof(s->sin)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int connected(const struct stand *s)
{
	return connected_by(s, 1);
}

static X509 *x509_of(const struct pki_cert *c)
{
	const unsigned char *at = c->der;

	return d2i_X509(NULL, &at, (long)c->len);
}

static void show(SSL_CTX *ctx, const struct calling *how)
{
	const unsigned char *at = how->cert->key->private;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)how->cert->key->private_len);
	X509 *x = x509_of(how->cert);

	CU_ASSERT_EQUAL_FATAL(SSL_CTX_use_certificate(ctx, x), 1);
	CU_ASSERT_EQUAL_FATAL(SSL_CTX_use_PrivateKey(ctx, key), 1);
	if (how->more)
		CU_ASSERT_EQUAL(SSL_CTX_add_extra_chain_cert(ctx, x509_of(how->more)), 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void call_by(struct caller *c, const struct stand *s, uint32_t host,
		    const struct calling *how)
{
	c->fd = connected_by(s, host);
	c->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(c->ctx, 0);
	if (how->version)
		SSL_CTX_set_max_proto_version(c->ctx, how->version);
	if (how->groups)
		CU_ASSERT_EQUAL_FATAL(SSL_CTX_set1_groups_list(c->ctx, how->groups), 1);
	if (how->cert)
		show(c->ctx, how);
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
}

static void call(struct caller *c, const struct stand *s, const struct calling *how)
{
	call_by(c, s, 1, how);
}

static void hang_up(struct caller *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}

static bool waits(const struct caller *c, int res)
{
	int e = SSL_get_error(c->ssl, res);

	ERR_clear_error(); /* so that the next one's is its own */
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

/* Whether the other end has closed. */
static bool is_over(int fd)
{
	char c;
	ssize_t len = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return len == 0 || (len < 0 && errno != EAGAIN);
}

/* Until the caller thinks that it stands; TLS 1.3 lets him think so before he is looked at. */
static bool shake(struct caller *c, struct stand *s)
{
	for (int i = 0; i < 1000; i++) {
		int res = SSL_do_handshake(c->ssl);

		if (res == 1)
			return true;
		if (!waits(c, res))
			return false;
		turn(s, 1);
	}
	return false;
}

static size_t frame(uint8_t *out, uint16_t verb, uint32_t id)
{
	struct writer w;

	writer_init(&w, out + 2, APP_HEADER_LEN);
	app_put_header(&w, verb, 0, 0, id);
	store_be16(out, (uint16_t)w.len);
	return 2 + w.len;
}

/* Reads so many bytes; false if it ends before. */
static bool get(struct caller *c, struct stand *s, uint8_t *out, size_t len)
{
	size_t at = 0;

	for (int i = 0; i < 2000 && at < len; i++) {
		int res = SSL_read(c->ssl, out + at, (int)(len - at));

		if (res > 0)
			at += (size_t)res;
		else if (!waits(c, res))
			return false;
		else
			turn(s, 1);
	}
	return at == len;
}

/* The code of the next answer; -1 if none comes. */
static int answer(struct caller *c, struct stand *s, struct app_msg *msg)
{
	static uint8_t buf[APP_MESSAGE_MAX];
	uint8_t head[2];
	size_t len;

	if (!get(c, s, head, 2))
		return -1;
	len = load_be16(head);
	if (len > sizeof(buf) || !get(c, s, buf, len))
		return -1;
	CU_ASSERT_EQUAL_FATAL(app_msg_parse(msg, buf, len), ERR_OK);
	return msg->code;
}

static bool say(struct caller *c, uint16_t verb, uint32_t id)
{
	uint8_t buf[2 + APP_HEADER_LEN];
	size_t len = frame(buf, verb, id);

	return SSL_write(c->ssl, buf, (int)len) == (int)len;
}

/* Comes, and asks; whether there is an answer. */
static bool comes_in(struct stand *s, const struct calling *how)
{
	struct app_msg msg;
	struct caller c;
	bool in;

	call(&c, s, how);
	in = shake(&c, s) && say(&c, APP_HELLO, 1) && answer(&c, s, &msg) == APP_OK;
	hang_up(&c);
	turn(s, 5);
	s->fake.now_ns += NS_PER_S; /* another may come */
	return in;
}

/* ---- who comes in --------------------------------------------------------------------------- */

static void test_A9_who_is_named_asks(void)
{
	struct app_msg msg;
	struct stand s;
	struct caller c;

	stand_up(&s);
	call(&c, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&c, &s));
	CU_ASSERT_EQUAL(SSL_version(c.ssl), TLS1_3_VERSION);
	CU_ASSERT_TRUE(say(&c, APP_HELLO, 5));
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), APP_OK);
	CU_ASSERT_EQUAL(msg.id, 5);
	CU_ASSERT_EQUAL(app_attr_u32(&msg.attrs, APP_A_RIGHTS, 0),
			APP_RIGHT_READ_OWN | APP_RIGHT_READ_ALL);
	CU_ASSERT_TRUE(say(&c, APP_PROFILES, 6));
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), APP_OK);
	CU_ASSERT_EQUAL(msg.attrs.num, s.fake.num_profiles);
	CU_ASSERT_TRUE(say(&c, APP_RUN, 7));
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), APP_PERM);
	/* Nothing by which it could be taken up again. */
	CU_ASSERT_FALSE(SSL_SESSION_is_resumable(SSL_get0_session(c.ssl)));
	CU_ASSERT_EQUAL(app_listen_tls_refused(s.listen), 0);
	hang_up(&c);
	turn(&s, 5);
	tear_down(&s);
}

static void test_A9_no_certificate(void)
{
	struct stand s;

	stand_up(&s);
	CU_ASSERT_FALSE(comes_in(&s, &(struct calling){.cert = NULL}));
	CU_ASSERT_EQUAL(app_listen_tls_refused(s.listen), 1);
	tear_down(&s);
}

static void test_A9_older_version(void)
{
	struct stand s;

	stand_up(&s);
	CU_ASSERT_FALSE(
		comes_in(&s, &(struct calling){.cert = &caller_cert, .version = TLS1_2_VERSION}));
	CU_ASSERT_EQUAL(app_listen_tls_refused(s.listen), 1);
	CU_ASSERT_TRUE(
		comes_in(&s, &(struct calling){.cert = &caller_cert, .version = TLS1_3_VERSION}));
	tear_down(&s);
}

static void test_A9_who_is_refused(void)
{
	static const struct {
		const char *subject;
		bool other;
		struct pki_params params;
		bool in;
	} rows[] = {
		{"/CN=operator", false, {.extended = "clientAuth"}, true},
		{"/CN=operator", false, {.names = "DNS:operator"}, true},
		/* Of another authority, even one that has the same name. */
		{"/CN=operator", true, {.extended = "clientAuth"}, false},
		{"/CN=somebody", false, {.extended = "clientAuth"}, false},
		{"/CN=operator", false, {.extended = "serverAuth"}, false},
		{"/CN=operator", false, {.from_s = 1, .until_s = 1700000000}, false},
		{"/CN=operator", false, {.from_s = 4000000000, .until_s = 4100000000}, false},
		{"/CN=operator", false, {.hash = "SHA1"}, false},
		{"/CN=operator", false, {.usage = "critical,keyAgreement"}, false},
		{"/CN=operator", false, {.usage = "critical,keyEncipherment"}, false},
		{"/CN=operator", false, {.usage = "critical,digitalSignature"}, true},
	};
	static struct pki_cert cert;
	struct stand s;

	stand_up(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t before = app_listen_tls_refused(s.listen);
		bool in;

		issue(&cert, rows[i].subject, rows[i].other ? &other_ca : &ca, rows[i].params);
		in = comes_in(&s, &(struct calling){.cert = &cert});
		CU_ASSERT_EQUAL(in, rows[i].in);
		if (in != rows[i].in)
			tap_diag("row %zu", i);
		CU_ASSERT_EQUAL(app_listen_tls_refused(s.listen) - before, !rows[i].in);
	}
	/* By itself, or below one that is not there and not shown. */
	issue(&cert, "/CN=operator", NULL, (struct pki_params){.extended = "clientAuth"});
	CU_ASSERT_FALSE(comes_in(&s, &(struct calling){.cert = &cert}));
	CU_ASSERT_FALSE(comes_in(&s, &(struct calling){.cert = &below}));
	CU_ASSERT_TRUE(comes_in(&s, &(struct calling){.cert = &below, .more = &middle}));
	tear_down(&s);
}

/* With a list, who stands in it; and everybody, if it is not in force. */
static void test_A9_revoked(void)
{
	static uint8_t crl[4096];
	struct stand s;

	for (int i = 0; i < 3; i++) {
		int64_t until = time(NULL) + (i == 2 ? -1 : DAY_S);

		prepare(&s);
		put_file(s.conf.network.crl, s.dir, "crl.pem", "X509 CRL",
			 bytes_of(crl, pki_crl_make(crl, &ca, (const long[]){i == 1 ? 77 : 99}, 1,
						    time(NULL) - DAY_S, until)));
		start(&s);
		CU_ASSERT_EQUAL(comes_in(&s, &(struct calling){.cert = &caller_cert}), i == 0);
		tear_down(&s);
	}
}

/* So do those who vouch for him, if their own authority has a list that says so, or none. */
static void test_A9_revoked_between(void)
{
	static const struct {
		bool list_of_top;
		long serial;
		bool in;
	} rows[] = {{true, 99, true}, {true, 78, false}, {false, 0, false}};
	static uint8_t crl[4096];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t from = time(NULL) - DAY_S, until = time(NULL) + DAY_S;
		const char *path;
		struct stand s;
		FILE *f;

		prepare(&s);
		path = s.conf.network.crl;
		put_file(s.conf.network.crl, s.dir, "crl.pem", "X509 CRL",
			 bytes_of(crl, pki_crl_make(crl, &middle, NULL, 0, from, until)));
		f = fopen(path, "a");
		if (rows[i].list_of_top)
			fputs(pki_pem("X509 CRL",
				      bytes_of(crl, pki_crl_make(crl, &ca, &rows[i].serial, 1, from,
								 until))),
			      f);
		fclose(f);
		start(&s);
		CU_ASSERT_EQUAL(comes_in(&s, &(struct calling){.cert = &below, .more = &middle}),
				rows[i].in);
		tear_down(&s);
	}
}

/* A certificate in the file of lists is none that is believed: lists come from anywhere. */
static void test_A9_no_authority_among_lists(void)
{
	static struct pki_cert cert, third_ca;
	static uint8_t crl[4096];
	struct stand s;
	FILE *f;

	prepare(&s);
	issue(&third_ca, "/CN=somebody", NULL,
	      (struct pki_params){
		      .ca = "critical,CA:TRUE", .usage = "keyCertSign,cRLSign", .key = &keys[1]});
	snprintf(s.conf.network.crl, CONF_PATH_MAX, "%s/crl.pem", s.dir);
	f = fopen(s.conf.network.crl, "a");
	fputs(pki_pem("CERTIFICATE", pki_der(&third_ca)), f);
	fputs(pki_pem("X509 CRL",
		      bytes_of(crl, pki_crl_make(crl, &third_ca, NULL, 0, time(NULL) - DAY_S,
						 time(NULL) + DAY_S))),
	      f);
	fclose(f);
	start(&s);
	issue(&cert, "/CN=operator", &third_ca, (struct pki_params){.extended = "clientAuth"});
	CU_ASSERT_FALSE(comes_in(&s, &(struct calling){.cert = &cert}));
	CU_ASSERT_TRUE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	tear_down(&s);
}

/* No group that costs us more than it does him. */
static void test_A9_groups(void)
{
	struct stand s;

	stand_up(&s);
	CU_ASSERT_FALSE(
		comes_in(&s, &(struct calling){.cert = &caller_cert, .groups = "ffdhe2048"}));
	CU_ASSERT_FALSE(comes_in(&s, &(struct calling){.cert = &caller_cert, .groups = "P-521"}));
	CU_ASSERT_TRUE(comes_in(&s, &(struct calling){.cert = &caller_cert, .groups = "P-384"}));
	tear_down(&s);
}

/* A certificate lets him in for as long as it is one. */
static void test_A9_expires(void)
{
	struct stand s;
	struct caller c, longer;

	stand_up(&s);
	call(&c, &s, &(struct calling){.cert = &short_lived});
	call(&longer, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&c, &s) && shake(&longer, &s));
	turn(&s, 5);
	s.fake.now_ns += (DAY_S - 60) * NS_PER_S;
	turn(&s, 2);
	CU_ASSERT_FALSE(is_over(c.fd));
	s.fake.now_ns += 61 * NS_PER_S;
	turn(&s, 2);
	CU_ASSERT_TRUE(is_over(c.fd));
	CU_ASSERT_FALSE(is_over(longer.fd));
	hang_up(&c);
	hang_up(&longer);
	turn(&s, 5);
	tear_down(&s);
}

/* Names are those of the configuration of the moment, rights too. */
static void test_A9_configured_anew(void)
{
	struct app_msg msg;
	struct stand s;
	struct caller c;

	stand_up(&s);
	call(&c, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&c, &s));
	CU_ASSERT_TRUE(say(&c, APP_HELLO, 1));
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), APP_OK);
	s.conf.network.num_users = 0;
	app_server_configure(s.server, &s.conf);
	turn(&s, 3);
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), -1);
	hang_up(&c);
	CU_ASSERT_FALSE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	tear_down(&s);
}

/* A name that is somebody else's by now: who came by it before is out, and comes no more. */
static void test_A9_another_identity(void)
{
	struct app_msg msg;
	struct stand s;
	struct caller c;

	stand_up(&s);
	call(&c, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&c, &s));
	CU_ASSERT_TRUE(say(&c, APP_HELLO, 1));
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), APP_OK);
	app_server_configure(s.server, &s.conf);
	turn(&s, 3);
	CU_ASSERT_TRUE(say(&c, APP_HELLO, 2));
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), APP_OK);
	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&s.conf.network.users[0].id, "CN=somebody"), ERR_OK);
	app_server_configure(s.server, &s.conf);
	turn(&s, 3);
	(void)!say(&c, APP_HELLO, 3);
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), -1);
	CU_ASSERT_FALSE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	hang_up(&c);
	turn(&s, 3);
	tear_down(&s);
}

static bool is_there(struct caller *c)
{
	uint8_t byte;

	return SSL_peek(c->ssl, &byte, 1) == 1;
}

/* ---- messages ------------------------------------------------------------------------------- */

/* Byte by byte, many in one record, and a large one that needs several. */
static void test_A9_in_parts(void)
{
	static uint8_t many[500 * (2 + APP_HEADER_LEN)], large[2 + APP_MESSAGE_MAX];
	uint8_t one[2 + APP_HEADER_LEN];
	struct app_msg msg;
	struct stand s;
	struct caller c;
	size_t len = 0;

	stand_up(&s);
	call(&c, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&c, &s));
	frame(one, APP_HELLO, 1);
	for (size_t i = 0; i < sizeof(one); i++) {
		CU_ASSERT_EQUAL(SSL_write(c.ssl, one + i, 1), 1);
		turn(&s, 1);
	}
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), APP_OK);
	for (uint32_t i = 0; i < 500; i++)
		len += frame(many + len, APP_HELLO, i);
	CU_ASSERT_EQUAL(SSL_write(c.ssl, many, (int)len), (int)len);
	for (uint32_t i = 0; i < 500; i++) {
		CU_ASSERT_EQUAL_FATAL(answer(&c, &s, &msg), APP_OK);
		CU_ASSERT_EQUAL(msg.id, i);
	}
	/* An attribute that may be passed over fills it. */
	frame(large, APP_HELLO, 9);
	store_be16(large, APP_MESSAGE_MAX);
	store_be16(large + 2 + APP_HEADER_LEN, APP_A_OPTIONAL);
	store_be16(large + 4 + APP_HEADER_LEN, APP_MESSAGE_MAX - APP_HEADER_LEN - 4);
	CU_ASSERT_EQUAL(SSL_write(c.ssl, large, sizeof(large)), (int)sizeof(large));
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), APP_OK);
	hang_up(&c);
	turn(&s, 5);
	tear_down(&s);
}

/* What is no message ends the connection, and no other one. */
static void test_A9_hostile(void)
{
	static const uint8_t starts[][16] = {
		{0x20, 0x01},                         /* a byte more than a message has */
		{0x00, 0x0b},                         /* less than its header */
		{0x00, 0x0c, 'x'},                    /* no message */
		{0x00, 0x0c, 0x4c, 0x6b, 1, 1, 0, 1}, /* an answer */
		{0x00, 0x0c, 0x4c, 0x6b, 2, 0, 0, 1}, /* another version */
	};
	struct app_msg msg;
	struct stand s;
	struct caller c, good;

	stand_up(&s);
	call(&good, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&good, &s));
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		call(&c, &s, &(struct calling){.cert = &caller_cert});
		CU_ASSERT_TRUE_FATAL(shake(&c, &s));
		CU_ASSERT_TRUE(SSL_write(c.ssl, starts[i], i < 2 ? 2 : 14) > 0);
		CU_ASSERT_EQUAL(answer(&c, &s, &msg), -1);
		CU_ASSERT_FALSE(waits(&c, SSL_read(c.ssl, &msg, 1)));
		hang_up(&c);
	}
	CU_ASSERT_TRUE(say(&good, APP_HELLO, 1));
	CU_ASSERT_EQUAL(answer(&good, &s, &msg), APP_OK);
	hang_up(&good);
	turn(&s, 5);
	tear_down(&s);
}

/* E21: of one that sends without end one message is read a turn, and all of them in the end, though
 * its descriptor says nothing more: they came in one record. */
static void test_A9_fair(void)
{
	static uint8_t many[200 * (2 + APP_HEADER_LEN)];
	struct app_msg msg;
	struct stand s;
	struct caller busy;
	size_t len = 0, got = 0;
	int turns = 0;

	stand_up(&s);
	call(&busy, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&busy, &s));
	turn(&s, 5);
	for (uint32_t i = 0; i < 200; i++)
		len += frame(many + len, APP_HELLO, i);
	CU_ASSERT_EQUAL(SSL_write(busy.ssl, many, (int)len), (int)len);
	for (; turns < 1000 && got < 200; turns++) {
		turn(&s, 1);
		while (got < 200 && is_there(&busy)) {
			CU_ASSERT_EQUAL_FATAL(answer(&busy, &s, &msg), APP_OK);
			CU_ASSERT_EQUAL(msg.id, got);
			got++;
		}
	}
	CU_ASSERT_EQUAL(got, 200);
	CU_ASSERT_TRUE(turns >= 199);
	hang_up(&busy);
	turn(&s, 5);
	tear_down(&s);
}

/* RFC 8446 4.6.3: new keys without end bring no message, and are a turn's work each. */
static void test_A9_new_keys(void)
{
	struct app_msg msg;
	struct stand s;
	struct caller c;
	const int on = 1;
	int turns = 0;

	stand_up(&s);
	call(&c, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&c, &s));
	turn(&s, 5);
	setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (int i = 0; i < 50; i++) {
		CU_ASSERT_EQUAL(SSL_key_update(c.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		CU_ASSERT_EQUAL(SSL_do_handshake(c.ssl), 1);
	}
	CU_ASSERT_TRUE(say(&c, APP_HELLO, 1));
	for (; turns < 1000 && !is_there(&c); turns++)
		turn(&s, 1);
	CU_ASSERT_EQUAL(answer(&c, &s, &msg), APP_OK);
	CU_ASSERT_TRUE(turns >= 50);
	hang_up(&c);
	turn(&s, 5);
	tear_down(&s);
}

/* S63: what is not read waits, up to a bound; then it is over. */
static void test_A9_slow_reader(void)
{
	struct app_msg msg;
	struct stand s;
	struct caller slow, good;
	const int room = 65536;
	uint32_t sent = 0;

	stand_up(&s);
	call(&slow, &s, &(struct calling){.cert = &caller_cert});
	setsockopt(slow.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	call(&good, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&slow, &s) && shake(&good, &s));
	while (sent < 200000 && say(&slow, APP_PROFILES, sent)) {
		sent++;
		uv_run(&s.loop, UV_RUN_NOWAIT);
		s.fake.now_ns += 10 * NS_PER_MS; /* no wait for what it costs */
	}
	CU_ASSERT_TRUE(sent > 100 && sent < 200000);
	CU_ASSERT_TRUE(say(&good, APP_HELLO, 1));
	CU_ASSERT_EQUAL(answer(&good, &s, &msg), APP_OK);
	hang_up(&slow);
	hang_up(&good);
	turn(&s, 5);
	tear_down(&s);
}

/* ---- strangers ------------------------------------------------------------------------------ */

/* Who says nothing, or half of it, has ten seconds; nobody else is kept waiting. */
static void test_A9_slow_handshake(void)
{
	struct stand s;
	int silent, half;
	uint64_t start;

	stand_up(&s);
	start = s.fake.now_ns;
	silent = connected(&s);
	half = connected(&s);
	CU_ASSERT_EQUAL(send(half, "\x16\x03\x01\x02\x00\x01", 6, 0), 6);
	turn(&s, 5);
	CU_ASSERT_TRUE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	s.fake.now_ns = start + APP_TLS_TIME_NS - NS_PER_MS;
	turn(&s, 5);
	CU_ASSERT_FALSE(is_over(silent));
	CU_ASSERT_FALSE(is_over(half));
	s.fake.now_ns += 2 * NS_PER_MS;
	turn(&s, 5);
	CU_ASSERT_TRUE(is_over(silent));
	CU_ASSERT_TRUE(is_over(half));
	CU_ASSERT_EQUAL(app_listen_tls_refused(s.listen), 2);
	close(silent);
	close(half);
	tear_down(&s);
}

/* Of one address a few at once; those that are up are none of them. */
static void test_A9_strangers_of_an_address(void)
{
	struct stand s;
	struct caller c;
	int fds[APP_TLS_STRANGERS_EACH + 2];
	uint32_t over = 0;

	stand_up(&s);
	call(&c, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE_FATAL(shake(&c, &s));
	turn(&s, 5);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = connected(&s);
	turn(&s, 5);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		over += is_over(fds[i]);
	CU_ASSERT_EQUAL(over, 2);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	turn(&s, 5);
	CU_ASSERT_TRUE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	hang_up(&c);
	turn(&s, 5);
	tear_down(&s);
}

/* Of all addresses together there are so many; whoever has been there longest goes for another, and
 * who comes to say something is served. */
static void test_A9_strangers_at_once(void)
{
	struct stand s;
	int fds[APP_TLS_STRANGERS_MAX + 2];
	uint32_t over = 0;

	stand_up(&s);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = connected_by(&s, 2 + (uint32_t)i);
		turn(&s, 1);
	}
	turn(&s, 5);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		over += is_over(fds[i]);
	CU_ASSERT_EQUAL(over, 2);
	CU_ASSERT_TRUE(is_over(fds[0]) && is_over(fds[1]));
	CU_ASSERT_TRUE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	CU_ASSERT_TRUE(is_over(fds[2]) && !is_over(fds[3]));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	turn(&s, 5);
	tear_down(&s);
}

/* What handshakes take of the processor is one user's share: more of them wait. */
static void test_A9_strangers_share(void)
{
	struct stand s;
	uint32_t in = 0;
	uint64_t now;

	stand_up(&s);
	now = s.fake.now_ns;
	for (int i = 0; i < 200; i++) {
		struct caller c;

		call_by(&c, &s, 2 + (uint32_t)i % 250, &(struct calling){.cert = &caller_cert});
		for (int k = 0; k < 20 && !SSL_is_init_finished(c.ssl); k++) {
			(void)!SSL_do_handshake(c.ssl);
			ERR_clear_error();
			uv_run(&s.loop, UV_RUN_NOWAIT);
			usleep(100);
		}
		in += SSL_is_init_finished(c.ssl);
		hang_up(&c);
		s.fake.now_ns = now += 3 * NS_PER_MS; /* accepting rests no longer */
	}
	CU_ASSERT(in > 3 && in < 150);
	s.fake.now_ns += 10 * NS_PER_S;
	turn(&s, 5);
	CU_ASSERT_TRUE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	tear_down(&s);
}

/* Whether he is turned away at once. */
static bool comes_and_goes(struct stand *s, uint32_t host)
{
	int fd = connected_by(s, host);
	bool over;

	turn(s, 2);
	over = is_over(fd);
	close(fd);
	turn(s, 2);
	s->fake.now_ns += 2 * NS_PER_MS; /* accepting rests no longer */
	return over;
}

/* One address does not have them all. */
static void test_A9_rate_of_an_address(void)
{
	struct stand s;
	uint32_t over = 0;

	stand_up(&s);
	for (uint32_t i = 0; i < APP_TLS_STRANGERS_RATE + 6; i++)
		over += comes_and_goes(&s, 2);
	CU_ASSERT_EQUAL(over, APP_TLS_STRANGERS_RATE + 6 - APP_TLS_RATE_EACH);
	CU_ASSERT_TRUE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	CU_ASSERT_FALSE(comes_and_goes(&s, 2));
	tear_down(&s);
}

/* Each handshake costs a signature: of many in a second only so many are begun. */
static void test_A9_strangers_a_second(void)
{
	struct stand s;
	uint32_t over = 0;

	stand_up(&s);
	for (uint32_t i = 0; i < APP_TLS_STRANGERS_RATE + 6; i++)
		over += comes_and_goes(&s, 2 + i % 200);
	CU_ASSERT_EQUAL(over, 6);
	CU_ASSERT_FALSE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	CU_ASSERT_TRUE(comes_in(&s, &(struct calling){.cert = &caller_cert}));
	tear_down(&s);
}

/* The quota of a name, as everybody's. */
static void test_A9_connections_of_a_user(void)
{
	struct caller c[9];
	struct app_msg msg;
	struct stand s;

	stand_up(&s);
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		call(&c[i], &s, &(struct calling){.cert = &caller_cert});
		CU_ASSERT_TRUE(shake(&c[i], &s));
		CU_ASSERT_TRUE(say(&c[i], APP_HELLO, 1));
		CU_ASSERT_EQUAL(answer(&c[i], &s, &msg), i < 8 ? APP_OK : -1);
		s.fake.now_ns += NS_PER_S;
	}
	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		hang_up(&c[i]);
	turn(&s, 5);
	tear_down(&s);
}

/* To come is a request, too: who comes over and over has so many of them. */
static void test_A9_comes_again(void)
{
	struct app_msg msg;
	struct stand s;
	struct caller c;

	prepare(&s);
	s.conf.requests_per_second = 4;
	start(&s);
	for (int i = 0; i < 3; i++) {
		call(&c, &s, &(struct calling){.cert = &caller_cert});
		CU_ASSERT_TRUE(shake(&c, &s));
		CU_ASSERT_TRUE(say(&c, APP_HELLO, 1));
		CU_ASSERT_EQUAL(answer(&c, &s, &msg), i < 2 ? APP_OK : -1);
		hang_up(&c);
		turn(&s, 5);
	}
	tear_down(&s);
}

/* ---- opening -------------------------------------------------------------------------------- */

static uint32_t num_open(void)
{
	uint32_t num = 0;

	for (int fd = 0; fd < 256; fd++)
		num += fcntl(fd, F_GETFD) >= 0;
	return num;
}

static void test_not_opened(void)
{
	struct app_listen_tls *l;
	char why[TLS_WHY_MAX], keep[CONF_PATH_MAX];
	struct stand s;
	uint32_t before;

	stand_up(&s);
	before = num_open();
	CU_ASSERT_EQUAL(app_listen_tls_open(&l, why, &s.loop, s.server, &s.conf.network), ERR_BUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "127.0.0.1["));
	char *files[] = {s.conf.network.certificate, s.conf.network.key, s.conf.network.ca};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		memcpy(keep, files[i], sizeof(keep));
		snprintf(files[i], CONF_PATH_MAX, "%s/none.pem", s.dir);
		CU_ASSERT_EQUAL(app_listen_tls_open(&l, why, &s.loop, s.server, &s.conf.network),
				ERR_CONFIG);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "none.pem"));
		memcpy(files[i], keep, sizeof(keep));
	}
	turn(&s, 3);
	CU_ASSERT_EQUAL(num_open(), before);
	tear_down(&s);
}

/* With handshakes and connections under way nothing is left (tear_down() asserts it). */
static void test_close_under_way(void)
{
	struct stand s;
	struct caller c;
	int fd;

	stand_up(&s);
	call(&c, &s, &(struct calling){.cert = &caller_cert});
	CU_ASSERT_TRUE(shake(&c, &s));
	CU_ASSERT_TRUE(say(&c, APP_HELLO, 1));
	fd = connected(&s);
	turn(&s, 3);
	tear_down(&s);
	hang_up(&c);
	close(fd);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A9_who_is_named_asks),
	TAP_TEST(test_A9_no_certificate),
	TAP_TEST(test_A9_older_version),
	TAP_TEST(test_A9_who_is_refused),
	TAP_TEST(test_A9_revoked),
	TAP_TEST(test_A9_revoked_between),
	TAP_TEST(test_A9_no_authority_among_lists),
	TAP_TEST(test_A9_groups),
	TAP_TEST(test_A9_expires),
	TAP_TEST(test_A9_configured_anew),
	TAP_TEST(test_A9_another_identity),
	TAP_TEST(test_A9_in_parts),
	TAP_TEST(test_A9_hostile),
	TAP_TEST(test_A9_fair),
	TAP_TEST(test_A9_new_keys),
	TAP_TEST(test_A9_slow_reader),
	TAP_TEST(test_A9_slow_handshake),
	TAP_TEST(test_A9_strangers_of_an_address),
	TAP_TEST(test_A9_strangers_at_once),
	TAP_TEST(test_A9_strangers_share),
	TAP_TEST(test_A9_rate_of_an_address),
	TAP_TEST(test_A9_strangers_a_second),
	TAP_TEST(test_A9_connections_of_a_user),
	TAP_TEST(test_A9_comes_again),
	TAP_TEST(test_not_opened),
	TAP_TEST(test_close_under_way),
};

TAP_MAIN("app_network", tests)
