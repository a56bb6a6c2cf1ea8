/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dn.h - distinguished names as identities (ID_DER_ASN1_DN, RFC 7296 3.5): from text as strongSwan
 * writes it, to text, and compared name by name. Pure functions; DER may be hostile. Any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* dn_parse - "C=DE, O=Example, CN=gw" (or "/C=DE/O=Example/CN=gw") as DER in out[cap]; keys are
 * OpenSSL's short names, long names or dotted numbers, and E for emailAddress. *out_wild: a value
 * is "*", which stands for any. Errors: MALFORMED, LIMIT, NOMEM. */
MUST_USE enum err dn_parse(uint8_t *out, size_t cap, size_t *out_len, bool *out_wild,
			   const char *text) NONNULL(1, 3, 4, 5);

/* dn_text - for people, in the same spelling, cut to fit; "" if it is no name. Returns buf. */
const char *dn_text(char *buf, size_t size, struct bytes der) NONNULL(1);

/* dn_equal - the same relative names in the same order, their values compared without regard to the
 * string type and the case of ASCII letters. wild: a value "*" of `a` stands for any value. False
 * if either is no name. */
bool dn_equal(struct bytes a, struct bytes b, bool wild);

/* dn_digest - the same for names that are equal (not wild), and hardly ever for others. */
#define DN_DIGEST_LEN 16
void dn_digest(uint8_t out[static DN_DIGEST_LEN], struct bytes der);
