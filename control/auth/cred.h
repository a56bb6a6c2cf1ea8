/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cred.h - credentials: certificates, revocation lists, public and private keys, as immutable,
 * counted objects. They are held as DER: a private key in secret memory, from which it is decoded
 * for one signature at a time; certificates and lists also as OpenSSL decoded them on import.
 * Imports check what can be checked of one object alone (S25); whether a certificate is to be
 * believed is chain.h's question. Control thread, but for imports: any.
 */
#pragma once

#include "base/secret.h"
#include "control/auth/key.h"
#include "dataplane/dataplane.h"

/* enum cred_kind - what a credential is. */
enum cred_kind {
	CRED_CERT,   /* an end's certificate */
	CRED_CA,     /* a certification authority's, which is believed: an anchor */
	CRED_CRL,    /* certificates that were taken back */
	CRED_PUBKEY, /* a public key without a certificate */
	CRED_KEY,    /* a private key */
};

/* Bounds of what is read: a file, and a certificate of a peer (S11, S27). */
#define CRED_FILE_MAX (1 << 20)
#define CRED_CERT_MAX 16384

/* CRED_URIS_MAX - places that an authority publishes what it took back at, of a kind. CRED_URL_MAX
 * - of a URL with its NUL. */
#define CRED_URIS_MAX 4
#define CRED_URL_MAX  512

/* struct cred_uris - URLs of HTTP. */
struct cred_uris {
	char *list[CRED_URIS_MAX];
	uint32_t num;
};

struct x509_st;     /* OpenSSL's X509 */
struct X509_crl_st; /* and its X509_CRL */

/* struct cred - one credential; der is the certificate, the list, or the SubjectPublicKeyInfo of a
 * key. info and spki are unset in a list; its not_after_s is nextUpdate, 0 if it does not say. */
struct cred {
	uint32_t refs;
	enum cred_kind kind;
	char *name; /* the file, or what the control socket calls it */
	uint8_t *der;
	size_t len;
	uint8_t *spki;
	size_t spki_len;
	uint8_t *subject; /* certificates, DER */
	size_t subject_len;
	struct x509_st *x509;    /* certificates, decoded: that takes longer than all the rest */
	struct X509_crl_st *crl; /* lists, decoded */
	struct key_info info;
	struct secret key; /* private keys: PKCS#8, DER */
	int64_t not_before_s, not_after_s;
	/* CRED_CA: where lists and OCSP responders are, beside what its certificates say, and what
	 * the URLs of its certificates begin with (RFC 7296 3.6) */
	struct cred_uris crl_uris, ocsp_uris, cert_bases;
	bool is_ca;   /* basic constraints say so */
	bool is_root; /* signed by itself */
	bool told;    /* CRED_CRL: why it does not count was said; the control thread's alone */
};

/* struct cred_source - bytes to import: PEM or DER. A passphrase opens an encrypted private key. */
struct cred_source {
	enum cred_kind kind;
	const char *name;
	struct bytes data;
	struct bytes passphrase;
	bool unproven; /* of a peer: key_check_quick() has to do until it is vouched for */
};

/* cred_import - *out has one reference. why[] is a sentence about what is wrong. Errors: MALFORMED
 * (not of this kind), AUTH (an encrypted key, and no passphrase or a wrong one), LIMIT (weak),
 * UNSUPPORTED, INVAL (no CA), NOMEM, CRYPTO. */
MUST_USE enum err cred_import(struct cred **out, char why[static KEY_WHY_MAX],
			      const struct cred_source *source) NONNULL(1, 3);

/* cred_from_peer - a certificate as it came in a CERT payload: DER alone, of bounded length,
 * its key looked at by key_check_quick() alone. Errors: MALFORMED, LIMIT, UNSUPPORTED, NOMEM,
 * CRYPTO. */
MUST_USE enum err cred_from_peer(struct cred **out, char why[static KEY_WHY_MAX], struct bytes der)
	NONNULL(1);

/* CRED_BUNDLE_MAX - certificates or lists of one file that are read (S3, S27). */
#define CRED_BUNDLE_MAX 512

/* struct cred_bundle - what one source holds of its kind: num references. bad: how many more cannot
 * be used; why is about the first of these, which is number nth (from 1). */
struct cred_bundle {
	struct cred **list;
	uint32_t num, bad, nth;
	char why[KEY_WHY_MAX];
};

/* cred_import_bundle - all certificates or revocation lists of a source, PEM one after the other;
 * of other kinds the first. Nothing usable is an error. Errors: as cred_import(), of the first;
 * LIMIT (too many). cred_import_bundle_file - the same from a file. cred_bundle_fini - drop the
 * references; of the zero state, too. */
MUST_USE enum err cred_import_bundle(struct cred_bundle *out, const struct cred_source *source)
	NONNULL(1, 2);
MUST_USE enum err cred_import_bundle_file(struct cred_bundle *out, enum cred_kind kind,
					  const char *path, struct bytes passphrase) NONNULL(1, 3);
void cred_bundle_fini(struct cred_bundle *b) NONNULL(1);

/* cred_wipe_freed - from now on what OpenSSL gives back is wiped, in the whole process: for a
 * program to call before all else. Errors: BAD_STATE (OpenSSL has memory already; all stays as it
 * was). */
MUST_USE enum err cred_wipe_freed(void);

/* cred_get, cred_put - references; the last one wipes and frees. put(NULL) is accepted. */
struct cred *cred_get(struct cred *c) NONNULL(1);
void cred_put(struct cred *c);

/* cred_url_ok - of HTTP, printable, of bounded length. */
bool cred_url_ok(struct bytes url);

/* cred_uris_add - of a credential that nobody else knows of yet. Errors: INVAL (cred_url_ok()),
 * LIMIT, NOMEM. */
MUST_USE enum err cred_uris_add(struct cred_uris *uris, const char *uri) NONNULL(1, 2);

/* cred_same_key - both hold the same public key. */
bool cred_same_key(const struct cred *a, const struct cred *b) NONNULL(1, 2);

/* cred_spki, cred_der, cred_subject - views that live as long as the reference. */
struct bytes cred_spki(const struct cred *c) NONNULL(1);
struct bytes cred_der(const struct cred *c) NONNULL(1);
struct bytes cred_subject(const struct cred *c) NONNULL(1);

/* cred_subject_text - a certificate's subject for people, cut to fit; "" without one. Returns buf.
 */
const char *cred_subject_text(char *buf, size_t size, const struct cred *c) NONNULL(1, 3);

/* cred_has_id - the identity is in the certificate: a subjectAltName of its type, or the subject
 * itself (RFC 4945 3.1). A key id is the subject key identifier or a hash of the key. */
bool cred_has_id(const struct cred *cert, const struct ike_id *id) NONNULL(1, 2);
