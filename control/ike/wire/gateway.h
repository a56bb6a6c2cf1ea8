/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.h - data of REDIRECT and REDIRECTED_FROM (RFC 5685 9.2, 9.3): the type and length of what
 * names a gateway, that, and in IKE_SA_INIT the initiator's nonce. Pure.
 */
#pragma once

#include "control/ike/wire/payload.h"

/* enum gateway_type - what names it. */
enum gateway_type {
	GATEWAY_IPV4 = 1,
	GATEWAY_IPV6 = 2,
	GATEWAY_FQDN = 3,
};

/* WIRE_GATEWAY_MAX - bytes of such data without a nonce. WIRE_GATEWAY_TEXT - room for the name, for
 * people. */
#define WIRE_GATEWAY_MAX  (2 + 255)
#define WIRE_GATEWAY_TEXT 256

/* struct wire_gateway - views. */
struct wire_gateway {
	uint8_t type;       /* enum gateway_type */
	struct bytes name;  /* 4 or 16 bytes of an address, or 1 to 255 of a name */
	struct bytes nonce; /* what follows */
};

/* wire_gateway_parse - Errors: TRUNCATED, MALFORMED (an unknown type, a length that is not its). */
MUST_USE enum err wire_gateway_parse(struct wire_gateway *out, struct bytes data) NONNULL(1);

/* wire_gateway_data - without nonce, into buf. wire_gateway_build - as the data of a notify. */
struct bytes wire_gateway_data(uint8_t buf[static WIRE_GATEWAY_MAX], const struct wire_gateway *g)
	NONNULL(2);
void wire_gateway_build(struct ike_builder *b, uint16_t type, const struct wire_gateway *g)
	NONNULL(1, 3);

/* wire_gateway_text - what of its name can be printed; returns buf. */
const char *wire_gateway_text(char buf[static WIRE_GATEWAY_TEXT], const struct wire_gateway *g)
	NONNULL(2);
