/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cp.h - the Configuration payload (RFC 7296 2.19, 3.15): addresses of a network for a host that is
 * elsewhere, and the name servers there. Parsers borrow nothing. Pure functions over untrusted
 * bytes, any thread.
 */
#pragma once

#include "base/addr.h"
#include "control/ike/wire/build.h"

/* enum cp_type - 3.15. */
enum cp_type {
	CFG_REQUEST = 1,
	CFG_REPLY = 2,
	CFG_SET = 3,
	CFG_ACK = 4,
};

/* Bounds (S3): of addresses and name servers more are left out; more attributes are an error. */
#define CP_MAX_ADDRS 8
#define CP_MAX_DNS   8
#define CP_MAX_ATTRS 256

/* struct cp - what a payload says, as far as we know it. An address that is asked for without a
 * value is 0.0.0.0 or ::. */
struct cp {
	uint8_t type;
	struct ip_addr addrs[CP_MAX_ADDRS];
	struct ip_addr dns[CP_MAX_DNS];
	uint32_t num_addrs, num_dns;
};

/* cp_parse - addresses must be such as a host can have: no loopback, multicast, link-local or
 * unspecified ones in a reply. Unknown attributes are passed over (3.15.1). Errors: TRUNCATED,
 * MALFORMED (a length or address that cannot be), LIMIT. */
MUST_USE enum err cp_parse(struct cp *out, struct bytes body) NONNULL(1);

/* cp_build - a payload of cp->type with these addresses and name servers; those that are 0.0.0.0 or
 * :: are asked for without a value. */
void cp_build(struct ike_builder *b, const struct cp *cp) NONNULL(1, 2);

/* cp_add - one more attribute into the payload that cp_build() began. */
void cp_add(struct ike_builder *b, uint16_t type, struct bytes value) NONNULL(1);
