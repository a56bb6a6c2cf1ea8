/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pins.h - the file of known peers: the key that each had when it was first seen (leap of faith), a
 * line for each, as ssh has it:
 *
 *	fqdn:gw.example.com SHA256:<base64 of the key's hash> <base64 of its SubjectPublicKeyInfo>
 *
 * Empty lines and such that begin with '#' are comments. It is read when it is asked for, so that a
 * line that is deleted counts at once, and written as a new file that takes the old one's place.
 * Control thread, but pins_scan(): pure, over untrusted bytes.
 */
#pragma once

#include "control/auth/key.h"
#include "dataplane/dataplane.h"

/* PINS_FILE_MAX - bytes of a file: some thousand peers. PINS_WHY_MAX - room for a sentence. */
#define PINS_FILE_MAX (1 << 20)
#define PINS_WHY_MAX  400

/* PINS_LABEL_MAX - room for an identity as it stands in a line. */
#define PINS_LABEL_MAX 540

/* pins_label - an identity as a word: its type, and what can be printed or "#" and hex. */
void pins_label(char out[static PINS_LABEL_MAX], const struct ike_id *id) NONNULL(2);

/* enum pins_found - what the lines say about an identity and a key. */
enum pins_found {
	PINS_NONE,  /* the identity was never seen */
	PINS_SAME,  /* with this key */
	PINS_OTHER, /* with another one only */
	PINS_BAD,   /* a line is none: nothing is known */
};

/* pins_scan - look through the text of a file. *out_line: of PINS_SAME, PINS_BAD, and the first of
 * PINS_OTHER. */
enum pins_found pins_scan(uint32_t *out_line, struct bytes text, const char *label,
			  struct bytes spki) NONNULL(1, 3);

/* pins_check - the identity may have this key: it has the one that it had, or was never seen.
 * Errors: AUTH (another key), MALFORMED, SYS, LIMIT, NOMEM; why[] is a clause that says what to do.
 */
MUST_USE enum err pins_check(char why[static PINS_WHY_MAX], const char *path,
			     const struct ike_id *id, struct bytes spki) NONNULL(2, 3);

/* pins_keep - the same, and one that was never seen has a line from now on. Errors: the same. */
MUST_USE enum err pins_keep(char why[static PINS_WHY_MAX], const char *path,
			    const struct ike_id *id, struct bytes spki) NONNULL(2, 3);
