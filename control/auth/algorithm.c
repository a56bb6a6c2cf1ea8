/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/algorithm.h"

#include <stdio.h>

#include "base/reader.h"
#include "control/ike/wire/proto.h"

/* OIDs with tag and length. */
#define OID_SHA_(n) 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, n
#define OID_RSA_(n) 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, n
#define NULL_       0x05, 0x00
#define RSA_PKCS1_ID_(n)                       \
	{                                      \
		0x30, 0x0d, OID_RSA_(n), NULL_ \
	}
#define ECDSA_ID_(n)                                                                \
	{                                                                           \
		0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, n \
	}
#define EDDSA_ID_(n)                                  \
	{                                             \
		0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, n \
	}
/* Our own form: parameters of a hash are NULL, the trailer, which is the default, is left out. */
#define PSS_ID_(n, salt)                                                                        \
	{                                                                                       \
		0x30, 0x41, OID_RSA_(0x0a), 0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, OID_SHA_(n),    \
			NULL_, 0xa1, 0x1c, 0x30, 0x1a, OID_RSA_(0x08), 0x30, 0x0d, OID_SHA_(n), \
			NULL_, 0xa2, 0x03, 0x02, 0x01, salt                                     \
	}
/* The form printed in RFC 7427 A.4.3, which spells the trailer out. */
#define PSS_TRAILER_ID_(n, salt)                                                                \
	{                                                                                       \
		0x30, 0x46, OID_RSA_(0x0a), 0x30, 0x39, 0xa0, 0x0f, 0x30, 0x0d, OID_SHA_(n),    \
			NULL_, 0xa1, 0x1c, 0x30, 0x1a, OID_RSA_(0x08), 0x30, 0x0d, OID_SHA_(n), \
			NULL_, 0xa2, 0x03, 0x02, 0x01, salt, 0xa3, 0x03, 0x02, 0x01, 0x01       \
	}
/* Without the parameters of the hash, as RFC 4055 2.1 lets. */
#define PSS_BARE_ID_(n, salt)                                                                      \
	{                                                                                          \
		0x30, 0x3d, OID_RSA_(0x0a), 0x30, 0x30, 0xa0, 0x0d, 0x30, 0x0b, OID_SHA_(n), 0xa1, \
			0x1a, 0x30, 0x18, OID_RSA_(0x08), 0x30, 0x0b, OID_SHA_(n), 0xa2, 0x03,     \
			0x02, 0x01, salt                                                           \
	}

#define ID_MAX 72

/* Of several spellings of one scheme the first is ours. */
static const struct algorithm {
	struct sig_scheme scheme;
	uint8_t id[ID_MAX];
} algorithms[] = {
	{{SIG_RSA_PSS, SIG_SHA2_256}, PSS_ID_(0x01, 32)},
	{{SIG_RSA_PSS, SIG_SHA2_384}, PSS_ID_(0x02, 48)},
	{{SIG_RSA_PSS, SIG_SHA2_512}, PSS_ID_(0x03, 64)},
	{{SIG_RSA_PSS, SIG_SHA2_256}, PSS_TRAILER_ID_(0x01, 32)},
	{{SIG_RSA_PSS, SIG_SHA2_384}, PSS_TRAILER_ID_(0x02, 48)},
	{{SIG_RSA_PSS, SIG_SHA2_512}, PSS_TRAILER_ID_(0x03, 64)},
	{{SIG_RSA_PSS, SIG_SHA2_256}, PSS_BARE_ID_(0x01, 32)},
	{{SIG_RSA_PSS, SIG_SHA2_384}, PSS_BARE_ID_(0x02, 48)},
	{{SIG_RSA_PSS, SIG_SHA2_512}, PSS_BARE_ID_(0x03, 64)},
	{{SIG_RSA_PKCS1, SIG_SHA2_256}, RSA_PKCS1_ID_(0x0b)},
	{{SIG_RSA_PKCS1, SIG_SHA2_384}, RSA_PKCS1_ID_(0x0c)},
	{{SIG_RSA_PKCS1, SIG_SHA2_512}, RSA_PKCS1_ID_(0x0d)},
	{{SIG_ECDSA, SIG_SHA2_256}, ECDSA_ID_(0x02)},
	{{SIG_ECDSA, SIG_SHA2_384}, ECDSA_ID_(0x03)},
	{{SIG_ECDSA, SIG_SHA2_512}, ECDSA_ID_(0x04)},
	{{SIG_ED25519, SIG_IDENTITY}, EDDSA_ID_(0x70)},
	{{SIG_ED448, SIG_IDENTITY}, EDDSA_ID_(0x71)},
};

static struct bytes id_of(const struct algorithm *a)
{
	return bytes_of(a->id, 2 + (size_t)a->id[1]);
}

static enum err find(struct sig_scheme *out, struct bytes id)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		if (bytes_equal(id_of(&algorithms[i]), id)) {
			*out = algorithms[i].scheme;
			return ERR_OK;
		}
	}
	return ERR_UNSUPPORTED;
}

static enum err parse_7427(struct auth_sig *out, struct bytes value)
{
	struct auth_sig a = {.raw_kind = KEY_NONE};
	struct bytes id;
	struct reader r;
	uint8_t len;
	enum err e;

	reader_init(&r, value.p, value.len);
	if ((e = reader_u8(&r, &len)) || (e = reader_bytes(&r, &id, len)) ||
	    (e = find(&a.scheme, id)))
		return e;
	a.sig = reader_rest(&r);
	if (!a.sig.len)
		return ERR_MALFORMED;
	*out = a;
	return ERR_OK;
}

static const struct raw_method {
	uint8_t method;
	enum key_kind kind;
	enum sig_hash hash;
} raw_methods[] = {
	{AUTH_ECDSA_256, KEY_ECP_256, SIG_SHA2_256},
	{AUTH_ECDSA_384, KEY_ECP_384, SIG_SHA2_384},
	{AUTH_ECDSA_521, KEY_ECP_521, SIG_SHA2_512},
};

enum err auth_sig_parse(struct auth_sig *out, uint8_t method, struct bytes value)
{
	if (method == AUTH_DIGITAL_SIGNATURE)
		return parse_7427(out, value);
	for (size_t i = 0; i < ARRAY_LEN(raw_methods); i++) {
		if (raw_methods[i].method != method)
			continue;
		*out = (struct auth_sig){.scheme = {SIG_ECDSA_RAW, raw_methods[i].hash},
					 .raw_kind = raw_methods[i].kind,
					 .sig = value};
		return value.len ? ERR_OK : ERR_MALFORMED;
	}
	return ERR_UNSUPPORTED;
}

void auth_sig_write(struct writer *w, uint8_t method, struct sig_scheme scheme, struct bytes sig)
{
	for (size_t i = 0; method == AUTH_DIGITAL_SIGNATURE && i < ARRAY_LEN(algorithms); i++) {
		const struct algorithm *a = &algorithms[i];

		if (a->scheme.form != scheme.form || a->scheme.hash != scheme.hash)
			continue;
		writer_u8(w, (uint8_t)id_of(a).len);
		writer_bytes(w, id_of(a).p, id_of(a).len);
		break;
	}
	writer_bytes(w, sig.p, sig.len);
}

uint8_t auth_sig_method(struct sig_scheme scheme, enum key_kind kind)
{
	for (size_t i = 0; scheme.form == SIG_ECDSA_RAW && i < ARRAY_LEN(raw_methods); i++) {
		if (raw_methods[i].kind == kind)
			return raw_methods[i].method;
	}
	return AUTH_DIGITAL_SIGNATURE;
}

/* The hash as strong as the key comes first, then any stronger one, then any other. */
static enum sig_hash best_hash(enum key_kind kind, uint32_t mask)
{
	enum sig_hash first = kind == KEY_ECP_384   ? SIG_SHA2_384
			      : kind == KEY_ECP_521 ? SIG_SHA2_512
						    : SIG_SHA2_256;

	for (int h = (int)first; h <= SIG_SHA2_512; h++) {
		if (mask & SIG_HASH_BIT(h))
			return (enum sig_hash)h;
	}
	for (int h = (int)first - 1; h >= SIG_SHA2_256; h--) {
		if (mask & SIG_HASH_BIT(h))
			return (enum sig_hash)h;
	}
	return SIG_IDENTITY; /* none: fits no such key */
}

static struct sig_scheme scheme_for(enum key_kind kind, uint32_t hashes, uint32_t allowed)
{
	const enum sig_hash hash = best_hash(kind, hashes & allowed);

	switch (kind) {
	case KEY_RSA:
		return (struct sig_scheme){SIG_RSA_PSS, hash};
	case KEY_ED25519:
		return (struct sig_scheme){SIG_ED25519, SIG_IDENTITY};
	case KEY_ED448:
		return (struct sig_scheme){SIG_ED448, SIG_IDENTITY};
	case KEY_ECP_256:
	case KEY_ECP_384:
	case KEY_ECP_521:
		if (hashes)
			return (struct sig_scheme){SIG_ECDSA, hash};
		return (struct sig_scheme){SIG_ECDSA_RAW, best_hash(kind, SIG_HASHES_ALL)};
	case KEY_NONE:
	case KEY_NUM_KINDS:
	default:
		return (struct sig_scheme){SIG_RSA_PKCS1, SIG_IDENTITY};
	}
}

bool auth_sig_choose(struct sig_scheme *out, char why[static KEY_WHY_MAX], enum key_kind kind,
		     uint32_t hashes, uint32_t allowed)
{
	const struct sig_scheme s = scheme_for(kind, hashes, allowed);
	const uint32_t usable = hashes ? hashes & allowed : allowed;

	if (sig_fits(kind, s) && (usable & SIG_HASH_BIT(s.hash)) &&
	    (hashes || s.form == SIG_ECDSA_RAW)) {
		*out = s;
		return true;
	}
	if (!hashes)
		snprintf(why, KEY_WHY_MAX,
			 "the peer says nothing of signatures by RFC 7427 (it may want another "
			 "method), and %s signatures without it %s",
			 key_kind_name(kind), kind == KEY_RSA ? "use SHA-1" : "do not exist");
	else
		snprintf(why, KEY_WHY_MAX,
			 "the peer verifies no %s signature with a hash that is allowed here",
			 key_kind_name(kind));
	return false;
}

/* ---- what is announced (RFC 9593) -------------------------------------------------------------
 */

uint32_t auth_sig_announced(uint8_t method, struct bytes id)
{
	struct sig_scheme s;

	if (method == AUTH_DIGITAL_SIGNATURE)
		return find(&s, id) ? 0 : AUTH_SCHEME_BIT(s.form, s.hash);
	for (size_t i = 0; i < ARRAY_LEN(raw_methods); i++) {
		if (raw_methods[i].method == method)
			return AUTH_SCHEME_BIT(SIG_ECDSA_RAW, raw_methods[i].hash);
	}
	return 0;
}

bool auth_sig_announce(uint8_t *out_method, struct bytes *out_id, uint32_t bit)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		const struct algorithm *a = &algorithms[i];

		if (1u << bit != AUTH_SCHEME_BIT(a->scheme.form, a->scheme.hash))
			continue;
		*out_method = AUTH_DIGITAL_SIGNATURE;
		*out_id = id_of(a);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(raw_methods); i++) {
		if (1u << bit != AUTH_SCHEME_BIT(SIG_ECDSA_RAW, raw_methods[i].hash))
			continue;
		*out_method = raw_methods[i].method;
		*out_id = bytes_of(NULL, 0);
		return true;
	}
	return false;
}

/* The hashes of a form that are announced. */
static uint32_t hashes_of(uint32_t announced, enum sig_form form)
{
	return (announced & AUTH_FORM_BITS(form)) >> (unsigned)form * 4 << SIG_SHA2_256;
}

/* A curve's number without RFC 7427 says its hash, too. */
static bool is_of_curve(enum key_kind kind, struct sig_scheme s)
{
	for (size_t i = 0; s.form == SIG_ECDSA_RAW && i < ARRAY_LEN(raw_methods); i++) {
		if (raw_methods[i].kind == kind && raw_methods[i].hash != s.hash)
			return false;
	}
	return true;
}

bool auth_sig_announced_choose(struct sig_scheme *out, enum key_kind kind, uint32_t hashes,
			       uint32_t allowed, uint32_t announced)
{
	static const enum sig_form forms[] = {SIG_ED25519,   SIG_ED448, SIG_RSA_PSS,
					      SIG_RSA_PKCS1, SIG_ECDSA, SIG_ECDSA_RAW};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const bool raw = forms[i] == SIG_ECDSA_RAW;
		const uint32_t mask =
			hashes_of(announced, forms[i]) & allowed & (raw ? SIG_HASHES_ALL : hashes);
		const struct sig_scheme s = {forms[i], best_hash(kind, mask)};

		if (!(mask & SIG_HASH_BIT(s.hash)) || !sig_fits(kind, s) || !is_of_curve(kind, s))
			continue;
		*out = s;
		return true;
	}
	return false;
}
