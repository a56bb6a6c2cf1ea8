/* SPDX-License-Identifier: Apache-2.0 */
/*
 * algorithm.h - AUTH values that are signatures: methods 14 (RFC 7427), 9 to 11 (RFC 4754). Method
 * 1 is an RSA signature whose hash is SHA-1 by custom, and is not among them (S28). Pure functions,
 * any thread.
 */
#pragma once

#include "base/writer.h"
#include "control/crypto/sig.h"

/* struct auth_sig - an AUTH value taken apart; sig is borrowed. raw_kind is the curve that methods
 * 9 to 11 name, KEY_NONE with method 14. */
struct auth_sig {
	struct sig_scheme scheme;
	enum key_kind raw_kind;
	struct bytes sig;
};

/* AUTH_SIG_MAX - bytes of the longest AUTH value that is a signature. */
#define AUTH_SIG_MAX (1 + 80 + SIG_MAX)

/* auth_sig_parse - method and value of an AUTH payload. An AlgorithmIdentifier is compared byte for
 * byte with those that there are (RFC 7427 A): OpenSSL never parses it. Errors: UNSUPPORTED
 * (another method or algorithm, SHA-1 among them), MALFORMED, TRUNCATED. */
MUST_USE enum err auth_sig_parse(struct auth_sig *out, uint8_t method, struct bytes value)
	NONNULL(1);

/* auth_sig_write - the value for sig with method 14, and without anything around it else. */
void auth_sig_write(struct writer *w, uint8_t method, struct sig_scheme scheme, struct bytes sig)
	NONNULL(1);

/* auth_sig_method - 14, or with SIG_ECDSA_RAW the number of the key's curve. */
uint8_t auth_sig_method(struct sig_scheme scheme, enum key_kind kind);

/* AUTH_SCHEME_BIT - a scheme's bit in a mask. AUTH_FORM_BITS - of all schemes of this form. */
#define AUTH_SCHEME_BIT(form, hash) (1u << ((unsigned)(form)*4 + (unsigned)(hash)-SIG_SHA2_256))
#define AUTH_FORM_BITS(form)        (0xfu << (unsigned)(form)*4)

/* auth_sig_announced - what a peer lets that announces this method, with method 14 and this
 * AlgorithmIdentifier: AUTH_SCHEME_BIT()s, 0 = nothing that is known here. auth_sig_announce - the
 * same of a bit's number: *out_id is empty but with method 14. False: there is no such scheme. */
uint32_t auth_sig_announced(uint8_t method, struct bytes id);
bool auth_sig_announce(uint8_t *out_method, struct bytes *out_id, uint32_t bit) NONNULL(1, 2);

/* auth_sig_announced_choose - as auth_sig_choose(), of the schemes in `announced` alone. */
bool auth_sig_announced_choose(struct sig_scheme *out, enum key_kind kind, uint32_t hashes,
			       uint32_t allowed, uint32_t announced) NONNULL(1);

/* auth_sig_choose - how a key of this kind signs for a peer that can verify `hashes`
 * (SIG_HASH_BIT()s; 0: it does not speak RFC 7427); allowed are the hashes that our own
 * configuration lets. False: there is no way, why[] says why. */
bool auth_sig_choose(struct sig_scheme *out, char why[static KEY_WHY_MAX], enum key_kind kind,
		     uint32_t hashes, uint32_t allowed) NONNULL(1);
