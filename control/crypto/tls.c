/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "base/alloc.h"
#include "control/auth/key.h"
#include "control/crypto/ctx_priv.h"

/* What may sign: SHA-2 alone (S28). */
#define SIGNATURES                                                                            \
	"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:RSA-PSS+SHA256:RSA-PSS+SHA384:" \
	"RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512"
/* Of TLS 1.2: forward secrecy and AEAD. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS  "X25519:P-256:P-384:P-521"
/* Certificates come as they are (RFC 8879 is in OpenSSL from 3.2 on): nobody who has proven nothing
 * yet has us inflate what it sends. */
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
#define PLAIN_CERTS (SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION)
#else
#define PLAIN_CERTS 0
#endif

struct crypto_tls {
	struct crypto_ctx *crypto;
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
	uint8_t *certs[TLS_MAX_CERTS];
	size_t cert_len[TLS_MAX_CERTS];
	uint32_t num_certs;
	bool server, believed, asked;
	char why[120];
};

static enum err give_up(struct crypto_tls *t, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (!t->why[0])
		snprintf(t->why, sizeof(t->why), "TLS: %s", reason ? reason : what);
	return ERR_AUTH;
}

/* A copy of the chain, for whoever is asked about it. */
static bool keep_chain(struct crypto_tls *t, X509_STORE_CTX *store)
{
	const STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
	const int num = sk_X509_num(chain);

	if (num < 1 || num > TLS_MAX_CERTS)
		return false;
	for (int i = (int)t->num_certs; i < num; i++) {
		unsigned char *der = NULL;
		const int len = i2d_X509(sk_X509_value(chain, i), &der);

		if (len <= 0)
			return false;
		t->certs[i] = mem_dup(der, (size_t)len);
		t->cert_len[i] = (size_t)len;
		OPENSSL_free(der);
		if (!t->certs[i])
			return false;
		t->num_certs++;
	}
	return true;
}

/* TLS verifies by the key before a server can ask anybody about the certificate: one that costs too
 * much, or is none at all, is not tried (S27). */
static bool key_fits(struct crypto_tls *t, X509_STORE_CTX *store)
{
	unsigned char *der = NULL;
	const int len =
		i2d_X509_PUBKEY(X509_get_X509_PUBKEY(X509_STORE_CTX_get0_cert(store)), &der);
	char why[KEY_WHY_MAX] = "its public key cannot be read";
	struct key_info info;
	const bool fits = len > 0 && !key_check_quick(&info, why, bytes_of(der, (size_t)len));

	OPENSSL_free(der);
	if (!fits)
		snprintf(t->why, sizeof(t->why), "%.119s", why);
	return fits;
}

/* A client stops here, before anything that says who it is, until the server is believed (S23); a
 * server can ask when all is there, since it has said who it is already. */
static int take_chain(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct crypto_tls *t = SSL_get_app_data(ssl);

	(void)arg;
	if (!key_fits(t, store) || !keep_chain(t, store))
		return 0;
	t->asked = true;
	if (!t->server && !t->believed)
		SSL_set_retry_verify(ssl);
	return 1;
}

static bool configure(SSL_CTX *ctx)
{
	SSL_CTX_set_security_level(ctx, 2); /* 112 bits */
	/* Without RFC 5746, as charon's is: nothing is ever negotiated again, on either side. Nor
	 * is the extended master secret (RFC 7627) demanded, which charon's lacks too: no session
	 * is ever resumed either. */
	SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | PLAIN_CERTS |
					 SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_max_cert_list(ctx, TLS_PENDING_MAX);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, take_chain, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set1_groups_list(ctx, GROUPS) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1 &&
	       SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) == 1 &&
	       SSL_CTX_set_num_tickets(ctx, 0) == 1;
}

static bool use_cert(struct crypto_tls *t, struct bytes der, bool own)
{
	const unsigned char *at = der.p;
	X509 *cert = X509_new_ex(t->crypto->lib, NULL);
	bool ok = cert && d2i_X509(&cert, &at, (long)der.len);

	if (ok && own)
		ok = SSL_CTX_use_certificate(t->ctx, cert) == 1;
	else if (ok)
		ok = SSL_CTX_add1_chain_cert(t->ctx, cert) == 1;
	X509_free(cert);
	return ok;
}

static bool use_key(struct crypto_tls *t, struct bytes pkcs8)
{
	const unsigned char *at = pkcs8.p;
	EVP_PKEY *key = d2i_AutoPrivateKey_ex(NULL, &at, (long)pkcs8.len, t->crypto->lib, NULL);
	bool ok = key && SSL_CTX_use_PrivateKey(t->ctx, key) == 1;

	EVP_PKEY_free(key);
	return ok && SSL_CTX_check_private_key(t->ctx) == 1;
}

static enum err set_up(struct crypto_tls *t, const struct crypto_tls_params *p)
{
	t->ctx = SSL_CTX_new_ex(t->crypto->lib, NULL,
				p->server ? TLS_server_method() : TLS_client_method());
	if (!t->ctx || !configure(t->ctx))
		return ERR_CRYPTO;
	for (uint32_t i = 0; i < p->num_certs; i++)
		if (!use_cert(t, p->certs[i], i == 0))
			return ERR_INVAL;
	if (!p->num_certs || !use_key(t, p->key))
		return ERR_INVAL;
	t->ssl = SSL_new(t->ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (!t->ssl || !t->in || !t->out) {
		BIO_free(t->in);
		BIO_free(t->out);
		return ERR_NOMEM;
	}
	BIO_set_mem_eof_return(t->in, -1); /* more may come */
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_app_data(t->ssl, t);
	if (p->server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	return ERR_OK;
}

enum err crypto_tls_new(struct crypto_tls **out, struct crypto_ctx *c,
			const struct crypto_tls_params *params)
{
	struct crypto_tls *t = mem_alloc(sizeof(*t));
	enum err e;

	if (!t)
		return ERR_NOMEM;
	t->crypto = c;
	t->server = params->server;
	ERR_set_mark();
	e = set_up(t, params);
	ERR_pop_to_mark();
	crypto_ctx_leave(c);
	if (e) {
		crypto_tls_free(t);
		return e;
	}
	*out = t;
	return ERR_OK;
}

void crypto_tls_free(struct crypto_tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	crypto_ctx_leave(t->crypto);
	for (uint32_t i = 0; i < t->num_certs; i++)
		mem_free(t->certs[i]);
	mem_free(t);
}

enum err crypto_tls_give(struct crypto_tls *t, struct bytes records)
{
	if (records.len && BIO_write(t->in, records.p, (int)records.len) != (int)records.len)
		return ERR_NOMEM;
	return ERR_OK;
}

static enum err step(struct crypto_tls *t, enum crypto_tls_state *out)
{
	const int r = SSL_do_handshake(t->ssl);

	*out = TLS_TALKS;
	if (r == 1) {
		if (!t->asked)
			return give_up(t, "the other end shows no certificate");
		*out = t->believed ? TLS_IS_UP : TLS_ASKS;
		return ERR_OK;
	}
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return ERR_OK;
	case SSL_ERROR_WANT_RETRY_VERIFY:
		*out = TLS_ASKS;
		return ERR_OK;
	default:
		return give_up(t, "the handshake failed");
	}
}

enum err crypto_tls_step(struct crypto_tls *t, enum crypto_tls_state *out)
{
	enum err e;

	ERR_clear_error();
	e = step(t, out);
	ERR_clear_error();
	crypto_ctx_leave(t->crypto);
	return e;
}

size_t crypto_tls_pending(const struct crypto_tls *t)
{
	return BIO_ctrl_pending(t->out);
}

size_t crypto_tls_take(struct crypto_tls *t, uint8_t *out, size_t max)
{
	const int n = BIO_read(t->out, out, (int)max);

	return n > 0 ? (size_t)n : 0;
}

uint32_t crypto_tls_chain(const struct crypto_tls *t, struct bytes out[static TLS_MAX_CERTS])
{
	for (uint32_t i = 0; i < t->num_certs; i++)
		out[i] = bytes_of(t->certs[i], t->cert_len[i]);
	return t->num_certs;
}

void crypto_tls_believe(struct crypto_tls *t)
{
	t->believed = true;
}

bool crypto_tls_is_13(const struct crypto_tls *t)
{
	return SSL_version(t->ssl) == TLS1_3_VERSION;
}

enum err crypto_tls_say_done(struct crypto_tls *t)
{
	static const uint8_t zero;
	enum err e;

	ERR_clear_error();
	e = SSL_write(t->ssl, &zero, 1) == 1 ? ERR_OK : ERR_CRYPTO;
	ERR_clear_error();
	crypto_ctx_leave(t->crypto);
	return e;
}

enum err crypto_tls_heard_done(struct crypto_tls *t)
{
	uint8_t said[2];
	enum err e = ERR_OK;
	int n;

	ERR_clear_error();
	n = SSL_read(t->ssl, said, sizeof(said));
	if (n <= 0)
		e = SSL_get_error(t->ssl, n) == SSL_ERROR_WANT_READ
			    ? ERR_AGAIN
			    : give_up(t, "the server gave up");
	else if (n != 1 || said[0] != 0)
		e = give_up(t, "the server says something else than that it is done");
	ERR_clear_error();
	crypto_ctx_leave(t->crypto);
	return e;
}

enum err crypto_tls_export(struct crypto_tls *t, uint8_t *out, size_t len)
{
	static const uint8_t type[] = {13}; /* EAP-TLS's */
	static const char of_12[] = "client EAP encryption";
	static const char of_13[] = "EXPORTER_EAP_TLS_Key_Material";
	int ok;

	if (!SSL_is_init_finished(t->ssl) || !t->believed)
		return ERR_BAD_STATE;
	ERR_clear_error();
	ok = crypto_tls_is_13(t)
		     ? SSL_export_keying_material(t->ssl, out, len, of_13, sizeof(of_13) - 1, type,
						  sizeof(type), 1)
		     : SSL_export_keying_material(t->ssl, out, len, of_12, sizeof(of_12) - 1, NULL,
						  0, 0);
	ERR_clear_error();
	return ok == 1 ? ERR_OK : ERR_CRYPTO;
}

const char *crypto_tls_why(const struct crypto_tls *t)
{
	return t->why;
}
