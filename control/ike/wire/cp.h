/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cp.h - the Configuration payload (RFC 7296 2.19, 3.15): addresses of a network behind the peer
 * for this host, and the name servers there. Parsers borrow nothing. Pure functions over untrusted
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

/* Bounds (S3): what is named more often than this is an error. */
#define CP_MAX_ADDRS 8
#define CP_MAX_DNS   8
#define CP_MAX_ATTRS 64

/* struct cp - what a payload says, as far as we know it. An address without a value, as requests
 * have it, is not in the list but in wants_v4 or wants_v6. */
struct cp {
	uint8_t type;
	bool wants_v4, wants_v6; /* an address of this family is named, with or without a value */
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
