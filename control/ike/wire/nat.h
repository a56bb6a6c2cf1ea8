/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat.h - NAT detection hashes (RFC 7296 2.23): SHA-1 of SPIs, address and port.
 * Thread: the engine's control thread.
 */
#pragma once

#include "base/addr.h"
#include "control/ike/wire/payload.h"

/* nat_hash - for one end of a datagram; spi_r is 0 in the first request. Errors: CRYPTO. */
MUST_USE enum err nat_hash(struct crypto_ctx *c, uint8_t out[static SHA1_LEN], uint64_t spi_i,
			   uint64_t spi_r, const struct endpoint *end) NONNULL(1, 5);

/* nat_build - both NAT_DETECTION payloads of a message sent along path (local is the source).
 * force: send a source hash that cannot match, so that the peer encapsulates in UDP. Errors:
 * CRYPTO. */
MUST_USE enum err nat_build(struct crypto_ctx *c, struct ike_builder *b, uint64_t spi_i,
			    uint64_t spi_r, const struct path_addr *path, bool force)
	NONNULL(1, 2, 5);

/* struct nat_found - what a received message says. known: both kinds of hashes were there. */
struct nat_found {
	bool known;
	bool peer;  /* the peer's address or port was translated */
	bool local; /* ours was */
};

/* nat_detect - compare the hashes of a message that came along path. spi_i and spi_r are those its
 * sender used: from its header. Errors: CRYPTO. */
MUST_USE enum err nat_detect(struct crypto_ctx *c, struct nat_found *out, const struct ike_msg *m,
			     const struct path_addr *path) NONNULL(1, 2, 3, 4);
