/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cookie.h - stateless cookies (RFC 7296 2.6; S40): version of the secret || BLAKE2b keyed with it
 * of IPi | SPIi | Ni. The secret rolls every COOKIE_ROLL_NS; the one before is still accepted. An
 * unproven source costs no state. Thread: the engine's control thread.
 */
#pragma once

#include "base/addr.h"
#include "base/clock.h"
#include "base/secret.h"
#include "control/crypto/ctx.h"

#define COOKIE_LEN     33
#define COOKIE_ROLL_NS (60 * NS_PER_S)

/* struct cookie_jar - the secrets; one per engine. The zero state is usable. */
struct cookie_jar {
	struct secret secrets[2]; /* by version & 1; empty = none yet */
	uint8_t version;          /* of the newest */
	uint64_t rolled_ns;       /* when it was made */
};

/* cookie_jar_fini - wipe; the zero state remains. */
void cookie_jar_fini(struct cookie_jar *jar) NONNULL(1);

/* cookie_make - the cookie for a request; rolls the secret when it is due. Errors: CRYPTO, NOMEM.
 */
MUST_USE enum err cookie_make(struct crypto_ctx *c, struct cookie_jar *jar,
			      uint8_t out[static COOKIE_LEN], struct bytes ni,
			      const struct ip_addr *from, uint64_t spi_i, uint64_t now_ns)
	NONNULL(1, 2, 5);

/* cookie_check - constant-time check of a returned cookie. Errors: AUTH (not ours or too old:
 * answer with a fresh one). */
MUST_USE enum err cookie_check(const struct cookie_jar *jar, struct bytes cookie, struct bytes ni,
			       const struct ip_addr *from, uint64_t spi_i, uint64_t now_ns)
	NONNULL(1, 4);
