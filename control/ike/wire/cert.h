/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.h - payloads of public-key authentication, parse and build side by side: Certificate (RFC
 * 7296 3.6), Certificate Request (3.7), and the notify SIGNATURE_HASH_ALGORITHMS (RFC 7427 4).
 * Parsers take the body and borrow it. Pure functions over untrusted bytes, any thread.
 */
#pragma once

#include "control/crypto/sig.h"
#include "control/ike/wire/build.h"

/* struct wire_cert - encoding (enum ike_cert_encoding, or one that is not looked at) and data. */
struct wire_cert {
	uint8_t encoding;
	struct bytes data;
};

/* wire_cert_parse - Errors: TRUNCATED, MALFORMED (no data), LIMIT (more than IKE_CERT_LEN_MAX). */
MUST_USE enum err wire_cert_parse(struct wire_cert *out, struct bytes body) NONNULL(1);
void wire_cert_build(struct ike_builder *b, uint8_t encoding, struct bytes data) NONNULL(1);

/* wire_certreq_parse - data: hashes of authorities' keys, KEY_ID_LEN bytes each, for X.509; any for
 * other encodings; may be empty. Errors: TRUNCATED, MALFORMED (no whole hash). */
MUST_USE enum err wire_certreq_parse(struct wire_cert *out, struct bytes body) NONNULL(1);

/* wire_certreq_begin - open a request; the hashes go to the writer that is returned. */
struct writer *wire_certreq_begin(struct ike_builder *b, uint8_t encoding) NONNULL(1);

/* wire_hashes_parse - SIG_HASH_BIT()s of the algorithms that we know; SHA-1 is not one (S28).
 * Errors: MALFORMED (odd length). wire_hashes_build - all that we verify, as a notify. */
MUST_USE enum err wire_hashes_parse(uint32_t *out, struct bytes data) NONNULL(1);
void wire_hashes_build(struct ike_builder *b) NONNULL(1);
