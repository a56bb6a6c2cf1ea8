/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/bundle.h"

#include <openssl/asn1.h>
#include <openssl/err.h>

/* Of CertificateOrCRL, whose tags are explicit. */
#define TAG_CERT 0
#define TAG_CRL  1

/* struct element - one of DER: whole with its header, and what is in it. */
struct element {
	int tag, class;
	struct bytes whole, inner;
};

/* One that is constructed, of definite length. */
static enum err take(struct element *out, struct bytes *rest)
{
	const unsigned char *at = rest->p;
	long len;
	int flags;

	if (!rest->len)
		return ERR_MALFORMED;
	ERR_set_mark();
	flags = ASN1_get_object(&at, &len, &out->tag, &out->class, (long)rest->len);
	ERR_pop_to_mark();
	if (flags != V_ASN1_CONSTRUCTED) /* else an error, primitive, or of no definite length */
		return ERR_MALFORMED;
	out->inner = bytes_of(at, (size_t)len);
	out->whole = bytes_of(rest->p, (size_t)(at - rest->p) + (size_t)len);
	*rest = bytes_of(rest->p + out->whole.len, rest->len - out->whole.len);
	return ERR_OK;
}

static bool is_sequence(const struct element *e)
{
	return e->class == V_ASN1_UNIVERSAL && e->tag == V_ASN1_SEQUENCE;
}

enum err bundle_open(struct bytes *out, struct bytes der)
{
	struct element e;

	if (take(&e, &der) || !is_sequence(&e) || der.len)
		return ERR_MALFORMED;
	*out = e.inner;
	return ERR_OK;
}

enum err bundle_next(struct bytes *out, struct bytes *rest)
{
	while (rest->len) {
		struct element choice, value;

		if (take(&choice, rest) || choice.class != V_ASN1_CONTEXT_SPECIFIC ||
		    (choice.tag != TAG_CERT && choice.tag != TAG_CRL) ||
		    take(&value, &choice.inner) || !is_sequence(&value) || choice.inner.len)
			return ERR_MALFORMED;
		if (choice.tag == TAG_CRL)
			continue;
		*out = value.whole;
		return ERR_OK;
	}
	return ERR_NOT_FOUND;
}
