/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tls/tls.h"

#include "base/alloc.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

/* Bounds of what a stranger may send: bytes of certificates, and how many up to the anchor. */
#define CERTS_MAX 12288
#define DEPTH_MAX 6

/* GROUPS - of key exchange: no finite field, whose largest costs a server a tenth of a second for a
 * message of a stranger's. */
#define GROUPS "X25519:P-256:P-384"
/* Certificates come as they are (RFC 8879 is in OpenSSL from 3.2 on): nobody who has proven nothing
 * yet has us inflate what it sends. */
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
#define PLAIN_CERTS (SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION)
#else
#define PLAIN_CERTS 0
#endif

struct tls_end {
	SSL_CTX *ctx;
	bool server;
};

struct tls_channel {
	SSL *ssl;
	int fd;
	struct bytes key; /* a server's, until its client has said something */
	bool (*accepts)(void *ctx, struct bytes cert);
	void *ctx;
	bool refused; /* by accepts() */
	char why[TLS_WHY_MAX];
};

static enum err say(char why[static TLS_WHY_MAX], enum err e, const char *text)
{
	snprintf(why, TLS_WHY_MAX, "%s", text);
	return e;
}

/* What OpenSSL says of its last failure. */
static enum err say_openssl(char why[static TLS_WHY_MAX], enum err e, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	snprintf(why, TLS_WHY_MAX, "%s%s%s", what, *what ? ": " : "", reason ? reason : "a fault");
	ERR_clear_error();
	return e;
}

/* ---- the socket, without signals ------------------------------------------------------------ */

static int fd_of(BIO *bio)
{
	return ((struct tls_channel *)BIO_get_data(bio))->fd;
}

static int bio_write(BIO *bio, const char *p, int len)
{
	ssize_t n = send(fd_of(bio), p, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int bio_read(BIO *bio, char *p, int room)
{
	ssize_t n = recv(fd_of(bio), p, (size_t)room, MSG_DONTWAIT);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *p)
{
	(void)bio;
	(void)num;
	(void)p;
	return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

/* Of the whole process, for as long as it lives: channels refer to it. */
static BIO_METHOD *method;

static void make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "latchkey");

	if (m && BIO_meth_set_write(m, bio_write) && BIO_meth_set_read(m, bio_read) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		method = m;
	else
		BIO_meth_free(m);
}

/* ---- an end --------------------------------------------------------------------------------- */

/* The chain is believed by now; whether this one may come is the caller's question. */
static bool leaf_accepted(struct tls_channel *c, X509_STORE_CTX *store)
{
	unsigned char *der = NULL;
	int len = i2d_X509(X509_STORE_CTX_get0_cert(store), &der);
	bool ok = len > 0 && c->accepts(c->ctx, bytes_of(der, (size_t)len));

	OPENSSL_free(der);
	return ok;
}

/* An anchor is believed because it is in the file: no list need speak of it. */
static int on_fault(int ok, X509_STORE_CTX *store)
{
	const int last = sk_X509_num(X509_STORE_CTX_get0_chain(store)) - 1;

	if (ok || X509_STORE_CTX_get_error(store) != X509_V_ERR_UNABLE_TO_GET_CRL ||
	    X509_STORE_CTX_get_error_depth(store) < last)
		return ok;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

/* Within the handshake, so that it fails for who is refused. */
static int verify(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_channel *c = SSL_get_app_data(ssl);

	(void)arg;
	X509_STORE_CTX_set_verify_cb(store, on_fault);
	if (X509_verify_cert(store) != 1)
		return 0;
	/* RFC 8446 4.4.2.2: it signs; all bits are set without the extension. */
	if (!(X509_get_key_usage(X509_STORE_CTX_get0_cert(store)) & KU_DIGITAL_SIGNATURE)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
		return 0;
	}
	if (!c->accepts || leaf_accepted(c, store))
		return 1;
	c->refused = true;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

/* load_crls - lists and nothing else: a certificate in the same file would be believed. */
static bool load_crls(X509_STORE *store, const char *path)
{
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());

	return lookup && X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) > 0;
}

static bool load(SSL_CTX *ctx, char why[static TLS_WHY_MAX], const struct tls_end_params *p)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx); /* empty: no default paths */

	if (SSL_CTX_use_certificate_chain_file(ctx, p->certificate) != 1)
		return say_openssl(why, ERR_CONFIG, p->certificate), false;
	if (X509_STORE_load_file(store, p->ca) != 1)
		return say_openssl(why, ERR_CONFIG, p->ca), false;
	if (p->crl && !load_crls(store, p->crl))
		return say_openssl(why, ERR_CONFIG, p->crl), false;
	return true;
}

static enum err set_up(SSL_CTX *ctx, char why[static TLS_WHY_MAX], const struct tls_end_params *p)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST |
			      (p->crl ? X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL : 0);

	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, GROUPS) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    X509_VERIFY_PARAM_set_flags(param, flags) != 1)
		return say_openssl(why, ERR_CRYPTO, "TLS 1.3");
	SSL_CTX_set_security_level(ctx, 2); /* 112 bits: no SHA-1, RSA of 2048 bits and more */
	SSL_CTX_set_options(ctx, PLAIN_CERTS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(ctx, CERTS_MAX);
	SSL_CTX_set_verify_depth(ctx, DEPTH_MAX);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY); /* one record a call, whatever is in it */
	return load(ctx, why, p) ? ERR_OK : ERR_CONFIG;
}

enum err tls_end_new(struct tls_end **out, char why[static TLS_WHY_MAX],
		     const struct tls_end_params *p)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tls_end *e = mem_alloc(sizeof(*e));
	enum err err = ERR_OK;

	if (!e)
		return say(why, ERR_NOMEM, "memory is short");
	pthread_once(&once, make_method);
	e->server = p->server;
	e->ctx = SSL_CTX_new(p->server ? TLS_server_method() : TLS_client_method());
	if (!method || !e->ctx)
		err = say_openssl(why, ERR_CRYPTO, "TLS");
	if (!err)
		err = set_up(e->ctx, why, p);
	if (err)
		tls_end_free(e);
	else
		*out = e;
	return err;
}

void tls_end_free(struct tls_end *e)
{
	if (!e)
		return;
	SSL_CTX_free(e->ctx);
	mem_free(e);
}

/* ---- a channel ------------------------------------------------------------------------------ */

static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* OpenSSL holds the key until the handshake is over. */
static enum err use_key(struct tls_channel *c)
{
	BIO *bio = BIO_new_mem_buf(c->key.p, (int)c->key.len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	enum err e = ERR_OK;

	if (!key)
		e = say(c->why, ERR_CONFIG, "the key is no private key in PEM, or is encrypted");
	else if (SSL_use_PrivateKey(c->ssl, key) != 1)
		e = say(c->why, ERR_CONFIG, "the key is not that of the certificate");
	EVP_PKEY_free(key);
	BIO_free(bio);
	return e;
}

/* Nothing is done with the key for somebody who connects and says nothing. */
static int give_key(SSL *ssl, void *arg)
{
	(void)ssl;
	return use_key(arg) ? 0 : 1;
}

/* A name is in a subjectAltName; the subject's common name is none (RFC 9525). */
static enum err use_name(struct tls_channel *c, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(c->ssl);

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
						       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
		return ERR_OK;
	return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
			       SSL_set_tlsext_host_name(c->ssl, name) == 1
		       ? ERR_OK
		       : ERR_CRYPTO;
}

static enum err begin(struct tls_channel *c, struct tls_end *e, const struct tls_channel_params *p)
{
	BIO *bio = BIO_new(method);
	enum err err = ERR_OK;

	if (!bio)
		return ERR_NOMEM;
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_app_data(c->ssl, c);
	if (e->server) {
		SSL_set_accept_state(c->ssl);
		SSL_set_cert_cb(c->ssl, give_key, c);
		return ERR_OK;
	}
	SSL_set_connect_state(c->ssl);
	err = use_key(c);
	return err ? err : use_name(c, p->name);
}

enum err tls_channel_new(struct tls_channel **out, char why[static TLS_WHY_MAX], struct tls_end *e,
			 const struct tls_channel_params *p)
{
	struct tls_channel *c = mem_alloc(sizeof(*c));
	enum err err = ERR_NOMEM;

	assert(e->server ? p->accepts != NULL : p->name != NULL);
	if (c) {
		*c = (struct tls_channel){
			.fd = p->fd, .key = p->key, .accepts = p->accepts, .ctx = p->ctx};
		c->ssl = SSL_new(e->ctx);
	}
	if (c && c->ssl)
		err = begin(c, e, p);
	ERR_clear_error();
	if (!err) {
		*out = c;
		return ERR_OK;
	}
	say(why, err, c && c->why[0] ? c->why : err_text(err));
	tls_channel_free(c);
	return err;
}

void tls_channel_free(struct tls_channel *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	mem_free(c);
}

/* ---- what is said --------------------------------------------------------------------------- */

static enum err failed(struct tls_channel *c)
{
	long verdict = SSL_get_verify_result(c->ssl);

	if (c->why[0]) /* the key */
		ERR_clear_error();
	else if (c->refused)
		say(c->why, ERR_AUTH, "nobody who may come has this certificate");
	else if (verdict != X509_V_OK)
		snprintf(c->why, sizeof(c->why), "the certificate: %s",
			 X509_verify_cert_error_string(verdict));
	else
		say_openssl(c->why, ERR_AUTH, "");
	ERR_clear_error();
	return ERR_AUTH;
}

/* What came of an operation that returned res, which is not what was wished. */
static enum err outcome(struct tls_channel *c, int res)
{
	switch (SSL_get_error(c->ssl, res)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return ERR_AGAIN;
	case SSL_ERROR_SSL:
		return failed(c);
	case SSL_ERROR_ZERO_RETURN:
	case SSL_ERROR_SYSCALL:
	default:
		say(c->why, ERR_SYS, "the other end has gone");
		ERR_clear_error();
		return ERR_SYS;
	}
}

enum err tls_handshake(struct tls_channel *c)
{
	int res;

	ERR_clear_error();
	res = SSL_do_handshake(c->ssl);
	if (res != 1)
		return outcome(c, res);
	SSL_certs_clear(c->ssl); /* the key is not needed any more */
	ERR_clear_error();       /* what accepts() has tried */
	return ERR_OK;
}

uint64_t tls_lasts_s(const struct tls_channel *c)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(c->ssl);
	int64_t least = INT64_MAX;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		int days = 0, seconds = 0;
		int64_t left = 0;

		if (ASN1_TIME_diff(&days, &seconds, NULL,
				   X509_get0_notAfter(sk_X509_value(chain, i))) == 1)
			left = (int64_t)days * 86400 + seconds;
		least = left < least ? left : least;
	}
	return least < 0 ? 0 : (uint64_t)least;
}

enum err tls_read(struct tls_channel *c, void *buf, size_t room, size_t *out_len)
{
	int res;

	ERR_clear_error();
	res = SSL_read_ex(c->ssl, buf, room, out_len);
	return res == 1 ? ERR_OK : outcome(c, res);
}

enum err tls_write(struct tls_channel *c, struct bytes bytes)
{
	size_t sent;
	int res;

	ERR_clear_error();
	res = SSL_write_ex(c->ssl, bytes.p, bytes.len, &sent);
	return res == 1 ? ERR_OK : outcome(c, res);
}

bool tls_has_input(const struct tls_channel *c)
{
	return SSL_pending(c->ssl) > 0;
}

bool tls_wants_write(const struct tls_channel *c)
{
	return SSL_want(c->ssl) == SSL_WRITING;
}

const char *tls_why(const struct tls_channel *c)
{
	return c->why;
}
