/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/cred.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "control/auth/dn.h"

static enum err say(char why[static KEY_WHY_MAX], enum err e, const char *text)
{
	snprintf(why, KEY_WHY_MAX, "%s", text);
	return e;
}

static bool is_pem(struct bytes data)
{
	static const char mark[] = "-----BEGIN ";

	return data.len && memmem(data.p, data.len, mark, sizeof(mark) - 1) != NULL;
}

static enum err keep(uint8_t **out, size_t *out_len, const void *p, int len)
{
	if (len <= 0)
		return ERR_CRYPTO;
	*out = mem_dup(p, (size_t)len);
	if (!*out)
		return ERR_NOMEM;
	*out_len = (size_t)len;
	return ERR_OK;
}

/* Without this OpenSSL asks the terminal, also about what is no private key. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static bool seconds_of(int64_t *out, const ASN1_TIME *t)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*out = timegm(&tm);
	return true;
}

static enum err keep_spki(struct cred *c, char why[static KEY_WHY_MAX], const X509 *x, bool quick)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	enum err e = keep(&c->spki, &c->spki_len, der, len);

	OPENSSL_free(der);
	if (e)
		return e;
	return quick ? key_check_quick(&c->info, why, cred_spki(c))
		     : key_check(&c->info, why, cred_spki(c));
}

static enum err keep_subject(struct cred *c, const X509 *x)
{
	unsigned char *der = NULL;
	int len = i2d_X509_NAME(X509_get_subject_name(x), &der);
	enum err e = keep(&c->subject, &c->subject_len, der, len);

	OPENSSL_free(der);
	return e;
}

static enum err fill_cert(struct cred *c, char why[static KEY_WHY_MAX], X509 *x, bool quick)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);
	enum err e = keep(&c->der, &c->len, der, len);

	OPENSSL_free(der);
	if (!e)
		e = keep_spki(c, why, x, quick);
	if (!e)
		e = keep_subject(c, x);
	if (e)
		return e;
	if (!seconds_of(&c->not_before_s, X509_get0_notBefore(x)) ||
	    !seconds_of(&c->not_after_s, X509_get0_notAfter(x)))
		return say(why, ERR_MALFORMED, "its times of validity cannot be read");
	if (X509_get_extension_flags(x) & EXFLAG_INVALID)
		return say(why, ERR_MALFORMED, "one of its extensions is malformed");
	c->is_ca = X509_check_ca(x) == 1;
	c->is_root = (X509_get_extension_flags(x) & EXFLAG_SS) != 0;
	if (c->kind == CRED_CA && !c->is_ca)
		return say(why, ERR_INVAL,
			   "it is not an authority's: its basic constraints lack CA");
	return ERR_OK;
}

static X509 *decode_cert(struct bytes data)
{
	const unsigned char *at = data.p;
	BIO *bio;
	X509 *x;

	if (!is_pem(data)) {
		x = d2i_X509(NULL, &at, (long)data.len);
		if (x && at == data.p + data.len)
			return x;
		X509_free(x);
		return NULL;
	}
	bio = BIO_new_mem_buf(data.p, (int)data.len);
	x = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	return x;
}

static enum err import_cert(struct cred *c, char why[static KEY_WHY_MAX],
			    const struct cred_source *source)
{
	X509 *x = decode_cert(source->data);

	if (!x)
		return say(why, ERR_MALFORMED, "it is not a certificate");
	c->x509 = x;
	return fill_cert(c, why, x, source->unproven);
}

/* ---- revocation lists ------------------------------------------------------------------------ */

static X509_CRL *decode_crl(struct bytes data)
{
	const unsigned char *at = data.p;
	X509_CRL *x;
	BIO *bio;

	if (!is_pem(data)) {
		x = d2i_X509_CRL(NULL, &at, (long)data.len);
		if (x && at == data.p + data.len)
			return x;
		X509_CRL_free(x);
		return NULL;
	}
	bio = BIO_new_mem_buf(data.p, (int)data.len);
	x = bio ? PEM_read_bio_X509_CRL(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	return x;
}

static enum err import_crl(struct cred *c, char why[static KEY_WHY_MAX], struct bytes data)
{
	X509_CRL *x = decode_crl(data);
	unsigned char *der = NULL;
	enum err e;
	int len;

	if (!x)
		return say(why, ERR_MALFORMED, "it is not a revocation list");
	c->crl = x;
	/* OpenSSL takes one for a whole list if it is not asked to use deltas (RFC 5280 5.2.4). */
	if (X509_CRL_get_ext_by_NID(x, NID_delta_crl, -1) >= 0)
		return say(why, ERR_UNSUPPORTED,
			   "it holds only what changed in another revocation list (delta CRL)");
	if (X509_CRL_get0_nextUpdate(x) &&
	    !seconds_of(&c->not_after_s, X509_CRL_get0_nextUpdate(x)))
		return say(why, ERR_MALFORMED, "its time of validity cannot be read");
	len = i2d_X509_CRL(x, &der);
	e = keep(&c->der, &c->len, der, len);
	OPENSSL_free(der);
	return e;
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* keep_public - the SubjectPublicKeyInfo is a key's der and its spki. */
static enum err keep_public(struct cred *c, char why[static KEY_WHY_MAX], const EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	enum err e = keep(&c->der, &c->len, der, len);

	if (!e)
		e = keep(&c->spki, &c->spki_len, der, len);
	OPENSSL_free(der);
	return e ? e : key_check(&c->info, why, cred_spki(c));
}

static EVP_PKEY *decode_public(struct bytes data)
{
	const unsigned char *at = data.p;
	EVP_PKEY *key;
	BIO *bio;

	if (!is_pem(data)) {
		key = d2i_PUBKEY(NULL, &at, (long)data.len);
		if (key && at == data.p + data.len)
			return key;
		EVP_PKEY_free(key);
		return NULL;
	}
	bio = BIO_new_mem_buf(data.p, (int)data.len);
	key = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	return key;
}

static enum err import_pubkey(struct cred *c, char why[static KEY_WHY_MAX], struct bytes data)
{
	EVP_PKEY *key = decode_public(data);
	enum err e;

	if (!key)
		return say(why, ERR_MALFORMED, "it is not a public key");
	e = keep_public(c, why, key);
	EVP_PKEY_free(key);
	return e;
}

/* struct passphrase - given, and whether it was asked for. */
struct passphrase {
	struct bytes text;
	bool asked;
};

static int give_passphrase(char *buf, int size, int writing, void *arg)
{
	struct passphrase *p = arg;

	(void)writing;
	p->asked = true;
	if (!p->text.len || p->text.len > (size_t)size)
		return -1;
	memcpy(buf, p->text.p, p->text.len);
	return (int)p->text.len;
}

static EVP_PKEY *decode_private(struct bytes data, struct passphrase *pass)
{
	const unsigned char *at = data.p;
	EVP_PKEY *key = NULL;
	BIO *bio;

	if (!is_pem(data))
		key = d2i_AutoPrivateKey(NULL, &at, (long)data.len);
	if (key)
		return key;
	bio = BIO_new_mem_buf(data.p, (int)data.len);
	if (bio && is_pem(data))
		key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, pass);
	else if (bio)
		key = d2i_PKCS8PrivateKey_bio(bio, NULL, give_passphrase, pass);
	BIO_free(bio);
	return key;
}

/* The private half belongs to the public one, and both are sound. */
static bool is_pair(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool ok = ctx && EVP_PKEY_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static enum err keep_private(struct cred *c, EVP_PKEY *key)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	unsigned char *der = NULL;
	int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	enum err e = len > 0 ? secret_init_copy(&c->key, der, (size_t)len) : ERR_CRYPTO;

	if (len > 0)
		OPENSSL_clear_free(der, (size_t)len);
	PKCS8_PRIV_KEY_INFO_free(info);
	return e;
}

static enum err import_key(struct cred *c, char why[static KEY_WHY_MAX],
			   const struct cred_source *source)
{
	struct passphrase pass = {.text = source->passphrase};
	EVP_PKEY *key = decode_private(source->data, &pass);
	enum err e;

	if (!key && pass.asked)
		return say(why, ERR_AUTH,
			   pass.text.len ? "its passphrase is wrong"
					 : "it is encrypted, and there is no passphrase for it");
	if (!key)
		return say(why, ERR_MALFORMED, "it is not a private key");
	e = keep_public(c, why, key);
	if (!e && !is_pair(key))
		e = say(why, ERR_LIMIT, "the private key does not fit its public half");
	if (!e)
		e = keep_private(c, key);
	EVP_PKEY_free(key);
	return e;
}

/* ---- any of them ----------------------------------------------------------------------------- */

static enum err import(struct cred *c, char why[static KEY_WHY_MAX],
		       const struct cred_source *source)
{
	if (!source->data.len || source->data.len > CRED_FILE_MAX)
		return say(why, ERR_MALFORMED, "it is empty or too long");
	switch (source->kind) {
	case CRED_CERT:
	case CRED_CA:
		return import_cert(c, why, source);
	case CRED_CRL:
		return import_crl(c, why, source->data);
	case CRED_PUBKEY:
		return import_pubkey(c, why, source->data);
	case CRED_KEY:
	default:
		return import_key(c, why, source);
	}
}

enum err cred_import(struct cred **out, char why[static KEY_WHY_MAX],
		     const struct cred_source *source)
{
	struct cred *c = mem_alloc(sizeof(*c));
	enum err e;

	why[0] = '\0';
	if (!c)
		return ERR_NOMEM;
	c->refs = 1;
	c->kind = source->kind;
	c->name = str_dup(source->name ? source->name : "");
	ERR_set_mark();
	e = c->name ? import(c, why, source) : ERR_NOMEM;
	ERR_pop_to_mark();
	if (e) {
		if (!why[0])
			snprintf(why, KEY_WHY_MAX, "%s", err_text(e));
		cred_put(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

enum err cred_from_peer(struct cred **out, char why[static KEY_WHY_MAX], struct bytes der)
{
	const struct cred_source source = {
		.kind = CRED_CERT, .name = "peer", .data = der, .unproven = true};
	struct cred *c;
	enum err e;

	if (der.len > CRED_CERT_MAX)
		return say(why, ERR_LIMIT, "it is too long");
	if (!der.len || der.p[0] != 0x30) /* no PEM from the network */
		return say(why, ERR_MALFORMED, "it is not a certificate");
	e = cred_import(&c, why, &source);
	if (e)
		return e;
	if (!bytes_equal(cred_der(c), der)) { /* one certificate has one encoding */
		cred_put(c);
		return say(why, ERR_MALFORMED, "it is not encoded as DER");
	}
	*out = c;
	return ERR_OK;
}

/* Only a regular file is read: a device or a pipe would keep the reader waiting. */
static enum err read_file(uint8_t **out, size_t *out_len, char why[static KEY_WHY_MAX],
			  const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	enum err e = ERR_SYS;
	ssize_t n = -1;

	if (fd < 0 || fstat(fd, &st)) {
		snprintf(why, KEY_WHY_MAX, "it cannot be read: %s", strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > CRED_FILE_MAX) {
		e = say(why, ERR_LIMIT, "it is no file, or empty, or too long");
	} else {
		*out = mem_alloc((size_t)st.st_size);
		n = *out ? read(fd, *out, (size_t)st.st_size) : -1;
		e = !*out ? ERR_NOMEM : n == st.st_size ? ERR_OK : ERR_SYS;
		*out_len = (size_t)st.st_size;
	}
	if (fd >= 0)
		close(fd);
	return e;
}

/* ---- several in one source ------------------------------------------------------------------- */

/* Takes the reference over. */
static enum err bundle_add(struct cred_bundle *b, struct cred *c)
{
	struct cred **list = mem_grow(b->list, b->num + 1, sizeof(b->list[0]));

	if (!list) {
		cred_put(c);
		return ERR_NOMEM;
	}
	b->list = list;
	list[b->num++] = c;
	return ERR_OK;
}

/* *first is kept of the first that cannot be used. */
static enum err bundle_take(struct cred_bundle *b, enum err *first,
			    const struct cred_source *source)
{
	char why[KEY_WHY_MAX];
	struct cred *c;
	enum err e = cred_import(&c, why, source);

	if (!e)
		return bundle_add(b, c);
	if (e == ERR_NOMEM)
		return e;
	if (b->bad++ == 0) {
		*first = e;
		b->nth = b->num + 1;
		memcpy(b->why, why, sizeof(why));
	}
	return ERR_OK;
}

/* The next block with this label; false at the end, and at what is no PEM. */
static bool next_block(BIO *bio, const char *label, unsigned char **der, long *len)
{
	char *name = NULL;
	const bool ok = PEM_bytes_read_bio(der, len, &name, label, bio, no_passphrase, NULL) == 1;

	OPENSSL_free(name);
	return ok;
}

static enum err read_blocks(struct cred_bundle *b, enum err *first,
			    const struct cred_source *source, BIO *bio)
{
	const char *label = source->kind == CRED_CRL ? PEM_STRING_X509_CRL : PEM_STRING_X509;
	struct cred_source one = *source;
	unsigned char *der;
	enum err e = ERR_OK;
	long len;

	while (!e && next_block(bio, label, &der, &len)) {
		one.data = bytes_of(der, (size_t)len);
		e = b->num + b->bad < CRED_BUNDLE_MAX ? bundle_take(b, first, &one)
						      : say(b->why, ERR_LIMIT, "it holds too many");
		OPENSSL_free(der);
	}
	if (e || b->num + b->bad == 0 ||
	    ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		return e;
	if (b->bad++ == 0) {
		*first = ERR_MALFORMED;
		b->nth = b->num + 1;
		snprintf(b->why, sizeof(b->why), "what follows is not PEM");
	}
	return ERR_OK;
}

static enum err import_blocks(struct cred_bundle *b, enum err *first,
			      const struct cred_source *source)
{
	BIO *bio = BIO_new_mem_buf(source->data.p, (int)source->data.len);
	enum err e = ERR_NOMEM;

	ERR_set_mark();
	if (bio)
		e = read_blocks(b, first, source, bio);
	BIO_free(bio);
	ERR_pop_to_mark();
	return e;
}

enum err cred_import_bundle(struct cred_bundle *out, const struct cred_source *source)
{
	const bool many =
		source->kind == CRED_CERT || source->kind == CRED_CA || source->kind == CRED_CRL;
	enum err e = ERR_OK, first = ERR_OK;

	*out = (struct cred_bundle){0};
	if (many && is_pem(source->data) && source->data.len <= CRED_FILE_MAX)
		e = import_blocks(out, &first, source);
	if (!e && !out->num && !out->bad)
		e = bundle_take(out, &first, source);
	if (!e && !out->num)
		e = first;
	if (!e)
		return ERR_OK;
	if (!out->why[0])
		snprintf(out->why, sizeof(out->why), "%s", err_text(e));
	cred_bundle_fini(out);
	return e;
}

void cred_bundle_fini(struct cred_bundle *b)
{
	while (b->num)
		cred_put(b->list[--b->num]);
	mem_free(b->list);
	b->list = NULL;
}

enum err cred_import_bundle_file(struct cred_bundle *out, enum cred_kind kind, const char *path,
				 struct bytes passphrase)
{
	struct cred_source source = {.kind = kind, .name = path, .passphrase = passphrase};
	uint8_t *data = NULL;
	size_t len = 0;
	enum err e;

	*out = (struct cred_bundle){0};
	e = read_file(&data, &len, out->why, path);
	source.data = bytes_of(data, len);
	if (!e)
		e = cred_import_bundle(out, &source);
	if (data)
		secret_wipe(data, len);
	mem_free(data);
	if (e && !out->why[0])
		snprintf(out->why, sizeof(out->why), "%s", err_text(e));
	return e;
}

/* ---- references ------------------------------------------------------------------------------ */

struct cred *cred_get(struct cred *c)
{
	c->refs++;
	return c;
}

static void uris_fini(struct cred_uris *u)
{
	while (u->num)
		mem_free(u->list[--u->num]);
}

void cred_put(struct cred *c)
{
	if (!c || --c->refs > 0)
		return;
	secret_fini(&c->key);
	X509_free(c->x509);
	X509_CRL_free(c->crl);
	uris_fini(&c->crl_uris);
	uris_fini(&c->ocsp_uris);
	uris_fini(&c->cert_bases);
	mem_free(c->name);
	mem_free(c->der);
	mem_free(c->spki);
	mem_free(c->subject);
	mem_free(c);
}

bool cred_url_ok(struct bytes url)
{
	static const char scheme[] = "http://";
	const size_t len = strlen(scheme);

	if (url.len <= len || url.len >= CRED_URL_MAX ||
	    strncasecmp((const char *)url.p, scheme, len) != 0)
		return false;
	for (size_t i = 0; i < url.len; i++) {
		if (url.p[i] <= ' ' || url.p[i] >= 0x7f)
			return false;
	}
	return true;
}

enum err cred_uris_add(struct cred_uris *uris, const char *uri)
{
	char *copy;

	if (!cred_url_ok(bytes_of(uri, strlen(uri))))
		return ERR_INVAL;
	if (uris->num == CRED_URIS_MAX)
		return ERR_LIMIT;
	copy = str_dup(uri);
	if (!copy)
		return ERR_NOMEM;
	uris->list[uris->num++] = copy;
	return ERR_OK;
}

bool cred_same_key(const struct cred *a, const struct cred *b)
{
	return a->spki_len && bytes_equal(cred_spki(a), cred_spki(b));
}

struct bytes cred_spki(const struct cred *c)
{
	return bytes_of(c->spki, c->spki_len);
}

struct bytes cred_der(const struct cred *c)
{
	return bytes_of(c->der, c->len);
}

struct bytes cred_subject(const struct cred *c)
{
	return bytes_of(c->subject, c->subject_len);
}

const char *cred_subject_text(char *buf, size_t size, const struct cred *c)
{
	return dn_text(buf, size, cred_subject(c));
}
