/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg.h - IKE messages as received: header (RFC 7296 3.1) and chain of payloads (3.2). A parsed
 * message borrows the bytes it was parsed from. Pure functions over untrusted bytes, any thread.
 */
#pragma once

#include "base/reader.h"
#include "control/ike/wire/proto.h"

/* struct ike_header - numbers in host order; SPIs are read as big-endian numbers. */
struct ike_header {
	uint64_t spi_i, spi_r;
	uint8_t next_payload;
	uint8_t major, minor;
	uint8_t exchange;
	uint8_t flags;
	uint32_t msgid;
	uint32_t length; /* of the whole message */
};

/* struct ike_payload - one payload; body is what follows its generic header. */
struct ike_payload {
	uint8_t type;
	bool critical;
	uint8_t next; /* its Next Payload field: for SK the type of the first payload inside */
	struct bytes body;
};

/* struct ike_msg - a message: of an outer one the chain ends with SK, of an opened one (sk.h) the
 * payloads are those inside and the header is the outer one's. */
struct ike_msg {
	struct ike_header h;
	struct bytes raw;   /* the whole message as received, encrypted or not; of one that came in
			     * fragments the last of these */
	struct bytes chain; /* the payloads, one after the other, and the type of the first */
	uint8_t first;
	struct ike_payload payloads[IKE_MAX_PAYLOADS];
	uint32_t num;
	uint64_t present;             /* PAYLOAD_BIT of every known type found */
	uint8_t count[PAYLOAD_LIMIT]; /* how many of each known type */
	uint8_t unknown_critical;     /* type of the first unknown critical payload, else 0 */
};

/* ike_header_parse - the header alone, of whatever major version; nothing but its presence is
 * checked. Errors: TRUNCATED. */
MUST_USE enum err ike_header_parse(struct ike_header *out, struct bytes datagram) NONNULL(1);

/*
 * ike_msg_parse - header and payload chain of a datagram (without non-ESP marker). The length field
 * must be the datagram's length; the chain must fill it exactly; SK and SKF end it. Unknown
 * payloads that are not critical are passed over, unknown critical ones are reported in
 * unknown_critical (the caller answers UNSUPPORTED_CRITICAL_PAYLOAD, 2.5). *out is unspecified
 * after an error. Errors: TRUNCATED, MALFORMED, LIMIT (size, number of payloads), UNSUPPORTED
 * (major version is not 2).
 */
MUST_USE enum err ike_msg_parse(struct ike_msg *out, struct bytes datagram) NONNULL(1);

/* ike_chain_parse - a bare chain that begins with a payload of type first, into out->payloads, num,
 * present, count, unknown_critical, chain, first; the rest of *out stays. allow_sk: SK or SKF may
 * end it. Errors: TRUNCATED, MALFORMED, LIMIT. For sk.c and tests. */
MUST_USE enum err ike_chain_parse(struct ike_msg *out, uint8_t first, struct bytes chain,
				  bool allow_sk) NONNULL(1);

/* ike_msg_check - every payload of the mask required is present, and none but those of the mask
 * repeatable more than once (S4). What is present beside them is not an error (2.5). Errors:
 * MALFORMED. */
MUST_USE enum err ike_msg_check(const struct ike_msg *m, uint64_t required, uint64_t repeatable)
	NONNULL(1);

/* ike_msg_find - the first payload of a type, NULL if there is none. */
const struct ike_payload *ike_msg_find(const struct ike_msg *m, uint8_t type) NONNULL(1);

/* ike_msg_body - the body of the first payload of a type; empty with p NULL if there is none. */
struct bytes ike_msg_body(const struct ike_msg *m, uint8_t type) NONNULL(1);
