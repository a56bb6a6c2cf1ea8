/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/announce.h"

#include <stdio.h>

#include "base/reader.h"
#include "control/ike/wire/proto.h"

/* SHORT_LEN - length and method; LINKED_LEN - and the number of an authority in CERTREQ, 0 = any.
 */
#define SHORT_LEN  2
#define LINKED_LEN 3

/* ---- parse ----------------------------------------------------------------------------------- */

static void take(struct auth_announced *a, uint8_t method, struct bytes algorithm)
{
	if (method == AUTH_SHARED_KEY_MIC)
		a->psk = true;
	else if (method == AUTH_NULL)
		a->null = true;
	else
		a->schemes |= auth_sig_announced(method, algorithm);
}

/* The length is that of all of it. Errors: NOT_FOUND (there is none), MALFORMED, TRUNCATED. */
static enum err take_next(struct auth_announced *a, struct reader *r)
{
	uint8_t len, method, link;
	struct reader one;

	if (reader_empty(r))
		return ERR_NOT_FOUND;
	if (reader_u8(r, &len))
		return ERR_TRUNCATED;
	if (len < SHORT_LEN)
		return ERR_MALFORMED;
	if (reader_sub(r, &one, len - 1u) || reader_u8(&one, &method))
		return ERR_TRUNCATED;
	(void)!reader_u8(&one, &link);
	take(a, method, reader_rest(&one));
	return ERR_OK;
}

enum err auth_announced_parse(struct auth_announced *out, struct bytes data)
{
	struct auth_announced a = {0};
	struct reader r;
	enum err e;

	reader_init(&r, data.p, data.len);
	while (!(e = take_next(&a, &r)))
		;
	if (e != ERR_NOT_FOUND)
		return e;
	*out = a;
	return ERR_OK;
}

/* ---- build ----------------------------------------------------------------------------------- */

static void write_short(struct writer *w, uint8_t method)
{
	writer_u8(w, SHORT_LEN);
	writer_u8(w, method);
}

static void write_linked(struct writer *w, uint8_t method, struct bytes algorithm)
{
	writer_u8(w, (uint8_t)(LINKED_LEN + algorithm.len));
	writer_u8(w, method);
	writer_u8(w, 0);
	writer_bytes(w, algorithm.p, algorithm.len);
}

void auth_announced_write(struct writer *w, const struct auth_announced *a)
{
	struct bytes algorithm;
	uint8_t method;

	for (uint32_t bit = 0; bit < 32; bit++) {
		if (a->schemes & 1u << bit && auth_sig_announce(&method, &algorithm, bit))
			write_linked(w, method, algorithm);
	}
	if (a->psk)
		write_short(w, AUTH_SHARED_KEY_MIC);
	if (a->null)
		write_short(w, AUTH_NULL);
}

/* ---- text ------------------------------------------------------------------------------------ */

const char *auth_announced_text(char buf[static AUTH_ANNOUNCED_TEXT_MAX],
				const struct auth_announced *a)
{
	static const struct {
		uint32_t forms;
		const char *name;
	} kinds[] = {
		{AUTH_FORM_BITS(SIG_RSA_PSS) | AUTH_FORM_BITS(SIG_RSA_PKCS1), "RSA"},
		{AUTH_FORM_BITS(SIG_ECDSA) | AUTH_FORM_BITS(SIG_ECDSA_RAW), "ECDSA"},
		{AUTH_FORM_BITS(SIG_ED25519) | AUTH_FORM_BITS(SIG_ED448), "EdDSA"},
	};
	char names[40] = "";
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (a->schemes & kinds[i].forms)
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
					       at ? ", " : "", kinds[i].name);
	}
	snprintf(buf, AUTH_ANNOUNCED_TEXT_MAX, "%s%s%s%s%s%s%s", a->psk ? "psk" : "",
		 a->psk && at ? " or " : "", at ? "pubkey (" : "", names, at ? ")" : "",
		 a->null && (at || a->psk) ? " or " : "", a->null ? "null" : "");
	return buf;
}
