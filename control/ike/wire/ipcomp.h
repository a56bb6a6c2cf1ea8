/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipcomp.h - N(IPCOMP_SUPPORTED) (RFC 7296 3.10.1): by which algorithm its sender will take what is
 * compressed, and the CPI that this is marked by then.
 */
#pragma once

#include "control/ike/wire/payload.h"

/* enum ipcomp_transform - those that we know. */
enum ipcomp_transform {
	IPCOMP_DEFLATE = 2, /* RFC 2394 */
};

/* struct wire_ipcomp - what a message says: of several the first that says DEFLATE, else the first.
 */
struct wire_ipcomp {
	uint16_t cpi;
	uint8_t transform;
	uint32_t num; /* how many it says */
};

/* wire_ipcomp_find - false if the message says none. Attributes of a transform are passed over:
 * DEFLATE has none. */
bool wire_ipcomp_find(struct wire_ipcomp *out, const struct ike_msg *m) NONNULL(1, 2);

/* wire_ipcomp_build - one of them. */
void wire_ipcomp_build(struct ike_builder *b, uint16_t cpi, uint8_t transform) NONNULL(1);
