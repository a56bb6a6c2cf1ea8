/* SPDX-License-Identifier: Apache-2.0 */
/* cert_id.c - whether an identity is in a certificate (RFC 4945 3.1). */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <strings.h>

#include "control/auth/cred.h"
#include "control/auth/dn.h"

/* Identification types (RFC 7296 3.5). */
#define ID_IPV4_ADDR   1
#define ID_FQDN        2
#define ID_RFC822_ADDR 3
#define ID_IPV6_ADDR   5
#define ID_DER_ASN1_DN 9
#define ID_KEY_ID      11

/* The kind of alternative name that an identity type asks for, -1 for none. */
static int name_type(uint8_t id_type)
{
	switch (id_type) {
	case ID_IPV4_ADDR:
	case ID_IPV6_ADDR:
		return GEN_IPADD;
	case ID_FQDN:
		return GEN_DNS;
	case ID_RFC822_ADDR:
		return GEN_EMAIL;
	case ID_DER_ASN1_DN:
		return GEN_DIRNAME;
	default:
		return -1;
	}
}

/* No wildcards, no end at a NUL: the whole name or nothing. */
static bool text_equal(const ASN1_STRING *name, const struct ike_id *id)
{
	size_t len = (size_t)ASN1_STRING_length(name);
	const unsigned char *p = ASN1_STRING_get0_data(name);

	return len == id->len && !memchr(p, '\0', len) &&
	       strncasecmp((const char *)p, (const char *)id->data, len) == 0;
}

static bool octets_equal(const ASN1_STRING *s, const struct ike_id *id)
{
	return bytes_equal(bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)),
			   bytes_of(id->data, id->len));
}

static bool directory_equal(X509_NAME *name, const struct ike_id *id)
{
	unsigned char *der = NULL;
	int len = i2d_X509_NAME(name, &der);
	bool same =
		len > 0 && dn_equal(bytes_of(der, (size_t)len), bytes_of(id->data, id->len), false);

	OPENSSL_free(der);
	return same;
}

static bool name_equal(const GENERAL_NAME *name, const struct ike_id *id)
{
	if (name->type != name_type(id->type))
		return false;
	switch (name->type) {
	case GEN_DNS:
	case GEN_EMAIL:
		return text_equal(name->d.ia5, id);
	case GEN_IPADD:
		return octets_equal(name->d.iPAddress, id);
	case GEN_DIRNAME:
		return directory_equal(name->d.directoryName, id);
	default:
		return false;
	}
}

static bool has_alternative_name(X509 *x, const struct ike_id *id)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++)
		found = name_equal(sk_GENERAL_NAME_value(names, i), id);
	GENERAL_NAMES_free(names);
	return found;
}

static bool has_key_id(const struct cred *cert, X509 *x, const struct ike_id *id)
{
	const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(x);
	const struct bytes wanted = bytes_of(id->data, id->len);

	return (ski && octets_equal(ski, id)) ||
	       bytes_equal(bytes_of(cert->info.bits_id, KEY_ID_LEN), wanted) ||
	       bytes_equal(bytes_of(cert->info.spki_id, KEY_ID_LEN), wanted);
}

static bool has_id(const struct cred *cert, X509 *x, const struct ike_id *id)
{
	if (id->type == ID_KEY_ID)
		return has_key_id(cert, x, id);
	if (id->type == ID_DER_ASN1_DN &&
	    dn_equal(cred_subject(cert), bytes_of(id->data, id->len), false))
		return true;
	return name_type(id->type) >= 0 && has_alternative_name(x, id);
}

bool cred_has_id(const struct cred *cert, const struct ike_id *id)
{
	bool found;

	ERR_set_mark();
	found = cert->x509 && id->len && has_id(cert, cert->x509, id);
	ERR_pop_to_mark();
	return found;
}
