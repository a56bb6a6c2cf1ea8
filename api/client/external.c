/* SPDX-License-Identifier: Apache-2.0 */
/*
 * external.c - the external form of an iToken:
 *	ipsec-identity 1 METHOD EAP KIND NAME AUTHORITY KEY
 * Names have %XX for what is not a letter, a digit or one of -._@, "-" stands for none; the key is
 * in hexadecimal digits. It is read strictly: one identity has one form.
 */
#include "api/client/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX  "ipsec-identity 1 "
#define KEY_MAX 2048
/* A word of each, all of it escaped. */
#define FORM_MAX (64 + 2 * 3 * ID_ROOM + 2 * KEY_MAX)

static bool is_plain(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       (ch && strchr("._@-", ch));
}

static char digit(unsigned int v)
{
	return "0123456789abcdef"[v & 15];
}

/* "-" alone is none, so a name that is "-" is escaped. */
static char *put_name(char *at, const char *name)
{
	bool dash = strcmp(name, "-") == 0;

	*at++ = ' ';
	if (!*name)
		*at++ = '-';
	for (; *name; name++) {
		if (is_plain(*name) && !dash) {
			*at++ = *name;
			continue;
		}
		*at++ = '%';
		*at++ = digit((unsigned char)*name >> 4);
		*at++ = digit((unsigned char)*name);
	}
	return at;
}

static char *put_key(char *at, const struct blob *key)
{
	*at++ = ' ';
	if (!key->len)
		*at++ = '-';
	for (size_t i = 0; i < key->len; i++) {
		*at++ = digit(key->p[i] >> 4);
		*at++ = digit(key->p[i]);
	}
	*at = '\0';
	return at;
}

int ipsec_export_iToken(const ipsec_iToken_t token, char *out, size_t *len)
{
	struct ipsec_iToken *t = as_itoken(token);
	char form[FORM_MAX], *at = form;
	size_t room, needed;

	if (!t || !len)
		return t ? fail(EINVAL, "there is no length") : -1;
	if (!t->method || t->key.len > KEY_MAX)
		return fail(ENOENT, "the token holds no identity that was proven");
	at += snprintf(at, 64, PREFIX "%u %u %u", t->method, t->eap, t->kind);
	at = put_name(at, t->identity);
	at = put_name(at, t->authority);
	at = put_key(at, &t->key);
	needed = (size_t)(at - form) + 1;
	room = *len;
	*len = needed;
	if (!out || needed > room)
		return fail(ERANGE, "there is too little room for the form");
	memcpy(out, form, needed);
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int value_of(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Two hexadecimal digits; -1: they are none. */
static int take_byte(const char *at)
{
	int hi = value_of(at[0]), lo = hi < 0 ? -1 : value_of(at[1]);

	return lo < 0 ? -1 : hi << 4 | lo;
}

static bool take_number(const char **at, uint32_t *out, uint32_t most)
{
	char *end;
	unsigned long v;

	if (**at < '0' || **at > '9' || (**at == '0' && (*at)[1] != ' '))
		return false;
	v = strtoul(*at, &end, 10);
	if (*end != ' ' || v > most)
		return false;
	*out = (uint32_t)v;
	*at = end + 1;
	return true;
}

static bool take_name(const char **at, char out[static ID_ROOM])
{
	const char *in = *at;
	bool dash = false;
	size_t len = 0;

	if (in[0] == '-' && in[1] == ' ') {
		*at = in + 2;
		out[0] = '\0';
		return true;
	}
	while (*in != ' ' && len < ID_ROOM - 1) {
		bool escaped = *in == '%';
		int v = escaped ? take_byte(in + 1) : is_plain(*in) ? *in : -1;

		/* No control character, and nothing escaped that needs it not. */
		if (v < ' ' || v == 0x7f || (escaped && v != '-' && is_plain((char)v)))
			return false;
		dash |= escaped && v == '-';
		in += escaped ? 3 : 1;
		out[len++] = (char)v;
	}
	out[len] = '\0';
	if (*in != ' ' || len == 0 || (dash && len > 1))
		return false;
	*at = in + 1;
	return true;
}

static bool take_key(const char *at, struct blob *out)
{
	size_t len = strlen(at);
	uint8_t key[KEY_MAX];

	*out = (struct blob){0};
	if (strcmp(at, "-") == 0)
		return true;
	if (len == 0 || len % 2 || len / 2 > sizeof(key))
		return false;
	for (size_t i = 0; i < len / 2; i++) {
		int v = take_byte(at + 2 * i);

		if (v < 0)
			return false;
		key[i] = (uint8_t)v;
	}
	out->p = mem_dup(key, len / 2);
	out->len = out->p ? len / 2 : 0;
	return true;
}

int ipsec_import_iToken(ipsec_iToken_t token, const char *text)
{
	struct ipsec_iToken *t = as_itoken(token), read = {.tag = TAG_ITOKEN};
	const char *at = text;

	if (!t)
		return -1;
	if (!text || strncmp(at, PREFIX, sizeof(PREFIX) - 1) != 0)
		return fail(EINVAL, "that is no external form of an identity");
	at += sizeof(PREFIX) - 1;
	if (!take_number(&at, &read.method, APP_NUM_METHODS - 1) || read.method == 0 ||
	    !take_number(&at, &read.eap, 255) || !take_number(&at, &read.kind, 255) ||
	    !take_name(&at, read.identity) || !take_name(&at, read.authority) ||
	    !take_key(at, &read.key))
		return fail(EINVAL, "that is no external form of an identity");
	if (!read.key.len && strcmp(at, "-") != 0)
		return fail(ENOMEM, "memory is short");
	itoken_fini(t);
	*t = read;
	return 0;
}
