/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/dn.h"

#include <ctype.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <strings.h>

/* A relative name's text. */
#define RDN_MAX 512

static X509_NAME *decode(struct bytes der)
{
	const unsigned char *at = der.p;
	X509_NAME *name = der.len ? d2i_X509_NAME(NULL, &at, (long)der.len) : NULL;

	if (name && at == der.p + der.len)
		return name;
	X509_NAME_free(name);
	return NULL;
}

/* ---- from text ------------------------------------------------------------------------------- */

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		text[--len] = '\0';
	len = strlen(text);
	if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
		text[len - 1] = '\0';
		text++;
	}
	return text;
}

/* PrintableString where that can hold it, as strongSwan encodes it, else UTF8String. */
static int string_type(const ASN1_OBJECT *key, const char *value)
{
	static const char printable[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					"0123456789 '()+,-./:=?";

	if (OBJ_obj2nid(key) == NID_pkcs9_emailAddress || OBJ_obj2nid(key) == NID_domainComponent)
		return V_ASN1_IA5STRING;
	return strspn(value, printable) == strlen(value) ? V_ASN1_PRINTABLESTRING
							 : V_ASN1_UTF8STRING;
}

/* What strongSwan calls differently than OpenSSL, and in any case. */
static ASN1_OBJECT *find_key(const char *key)
{
	static const struct {
		const char *key, *name;
	} other[] = {
		{"E", "emailAddress"}, {"EMAIL", "emailAddress"}, {"SN", "serialNumber"},
		{"S", "surname"},      {"G", "givenName"},        {"T", "title"},
		{"D", "description"},  {"I", "initials"},         {"N", "name"},
	};
	static const char *const plain[] = {"C", "CN", "O", "OU", "L", "ST", "DC", "UID"};

	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		if (strcasecmp(key, other[i].key) == 0)
			return OBJ_txt2obj(other[i].name, 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (strcasecmp(key, plain[i]) == 0)
			return OBJ_txt2obj(plain[i], 0);
	}
	return OBJ_txt2obj(key, 0);
}

static enum err add_rdn(X509_NAME *name, char *text, bool *wild)
{
	char *value = strchr(text, '=');
	ASN1_OBJECT *oid;
	const char *key;
	bool ok;

	if (!value)
		return ERR_MALFORMED;
	*value++ = '\0';
	key = trim(text);
	value = trim(value);
	oid = find_key(key);
	if (!oid || !*value) {
		ASN1_OBJECT_free(oid);
		return ERR_MALFORMED;
	}
	*wild |= value[0] == '*' && value[1] == '\0';
	ok = X509_NAME_add_entry_by_OBJ(name, oid, string_type(oid, value),
					(const unsigned char *)value, (int)strlen(value), -1,
					0) == 1;
	ASN1_OBJECT_free(oid);
	return ok ? ERR_OK : ERR_MALFORMED;
}

/* The next relative name's text between separators; quotes hide them. */
static bool next_rdn(char out[static RDN_MAX], const char **text, char separator)
{
	bool quoted = false;
	size_t len = 0;

	for (; **text && (quoted || **text != separator); (*text)++) {
		quoted ^= **text == '"';
		if (len + 1 >= RDN_MAX)
			return false;
		out[len++] = **text;
	}
	out[len] = '\0';
	*text += **text == separator;
	return true;
}

static enum err parse(X509_NAME *name, bool *wild, const char *text)
{
	const char separator = text[0] == '/' ? '/' : ',';
	char rdn[RDN_MAX];
	enum err e = ERR_OK;

	text += separator == '/';
	while (!e && *text)
		e = next_rdn(rdn, &text, separator) ? add_rdn(name, rdn, wild) : ERR_LIMIT;
	return !e && X509_NAME_entry_count(name) == 0 ? ERR_MALFORMED : e;
}

enum err dn_parse(uint8_t *out, size_t cap, size_t *out_len, bool *out_wild, const char *text)
{
	X509_NAME *name = X509_NAME_new();
	unsigned char *at = out;
	bool wild = false;
	enum err e;
	int len;

	if (!name)
		return ERR_NOMEM;
	ERR_set_mark();
	e = parse(name, &wild, text);
	len = e ? 0 : i2d_X509_NAME(name, NULL);
	if (!e && (len <= 0 || (size_t)len > cap))
		e = ERR_LIMIT;
	if (!e) {
		*out_len = (size_t)i2d_X509_NAME(name, &at);
		*out_wild = wild;
	}
	ERR_pop_to_mark();
	X509_NAME_free(name);
	return e;
}

/* ---- to text --------------------------------------------------------------------------------- */

static void print(char *buf, size_t size, const X509_NAME *name)
{
	const unsigned long flags = (XN_FLAG_ONELINE & ~(unsigned long)XN_FLAG_SPC_EQ &
				     ~(unsigned long)ASN1_STRFLGS_ESC_QUOTE);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (bio && X509_NAME_print_ex(bio, name, 0, flags) >= 0) {
		len = BIO_get_mem_data(bio, &text);
		if (len > 0)
			snprintf(buf, size, "%.*s", (int)len, text);
	}
	BIO_free(bio);
}

const char *dn_text(char *buf, size_t size, struct bytes der)
{
	X509_NAME *name;

	if (!size)
		return buf;
	buf[0] = '\0';
	ERR_set_mark();
	name = decode(der);
	if (name)
		print(buf, size, name);
	X509_NAME_free(name);
	ERR_pop_to_mark();
	return buf;
}

/* ---- compared -------------------------------------------------------------------------------- */

static bool same_folded(const unsigned char *a, const unsigned char *b, int len)
{
	for (int i = 0; i < len; i++) {
		if (tolower(a[i]) != tolower(b[i]))
			return false;
	}
	return true;
}

/* A NUL inside a value has ended many a comparison too early: it equals nothing. */
static bool same_value(const ASN1_STRING *a, const ASN1_STRING *b, bool wild)
{
	unsigned char *utf_a = NULL, *utf_b = NULL;
	int len_a = ASN1_STRING_to_UTF8(&utf_a, a), len_b = ASN1_STRING_to_UTF8(&utf_b, b);
	bool same = len_a >= 0 && len_b >= 0 && !memchr(utf_b, '\0', (size_t)len_b);

	if (same && !(wild && len_a == 1 && utf_a[0] == '*'))
		same = len_a == len_b && same_folded(utf_a, utf_b, len_a);
	OPENSSL_free(utf_a);
	OPENSSL_free(utf_b);
	return same;
}

static bool same_name(const X509_NAME *a, const X509_NAME *b, bool wild)
{
	int num = X509_NAME_entry_count(a);

	if (num != X509_NAME_entry_count(b) || num == 0)
		return false;
	for (int i = 0; i < num; i++) {
		const X509_NAME_ENTRY *x = X509_NAME_get_entry(a, i),
				      *y = X509_NAME_get_entry(b, i);

		if (OBJ_cmp(X509_NAME_ENTRY_get_object(x), X509_NAME_ENTRY_get_object(y)) != 0 ||
		    X509_NAME_ENTRY_set(x) != X509_NAME_ENTRY_set(y) ||
		    !same_value(X509_NAME_ENTRY_get_data(x), X509_NAME_ENTRY_get_data(y), wild))
			return false;
	}
	return true;
}

bool dn_equal(struct bytes a, struct bytes b, bool wild)
{
	X509_NAME *x, *y;
	bool same;

	ERR_set_mark();
	x = decode(a);
	y = decode(b);
	same = x && y && same_name(x, y, wild);
	X509_NAME_free(x);
	X509_NAME_free(y);
	ERR_pop_to_mark();
	return same;
}

static void hash_number(crypto_generichash_state *h, int number)
{
	uint8_t be[4];

	store_be32(be, (uint32_t)number);
	crypto_generichash_update(h, be, sizeof(be));
}

/* What same_name() compares of an entry, each part behind its length. */
static void hash_entry(crypto_generichash_state *h, const X509_NAME_ENTRY *entry)
{
	const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
	unsigned char *utf = NULL;
	const int len = ASN1_STRING_to_UTF8(&utf, X509_NAME_ENTRY_get_data(entry));

	hash_number(h, X509_NAME_ENTRY_set(entry));
	hash_number(h, (int)OBJ_length(type));
	crypto_generichash_update(h, OBJ_get0_data(type), OBJ_length(type));
	hash_number(h, len);
	for (int i = 0; i < len; i++)
		utf[i] = (unsigned char)tolower(utf[i]);
	if (len > 0)
		crypto_generichash_update(h, utf, (size_t)len);
	OPENSSL_free(utf);
}

void dn_digest(uint8_t out[static DN_DIGEST_LEN], struct bytes der)
{
	crypto_generichash_state h;
	X509_NAME *name;

	crypto_generichash_init(&h, NULL, 0, DN_DIGEST_LEN);
	ERR_set_mark();
	name = decode(der);
	for (int i = 0; i < X509_NAME_entry_count(name); i++)
		hash_entry(&h, X509_NAME_get_entry(name, i));
	X509_NAME_free(name);
	ERR_pop_to_mark();
	crypto_generichash_final(&h, out, DN_DIGEST_LEN);
}
