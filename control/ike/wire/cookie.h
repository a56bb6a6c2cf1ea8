/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cookie.h - stateless cookies (RFC 7296 2.6; S40): version of the secret || what was asked for
 * with it || BLAKE2b keyed with the secret of IPi | SPIi | what was asked for | Ni. The secret
 * rolls every COOKIE_ROLL_NS; the one before is still accepted. An unproven source costs no state.
 * What was asked for is the difficulty of a puzzle (RFC 8019 7.1.1.3), and when. Copies of one
 * request get the same cookie while the secret is the same, and with a puzzle within a step of
 * COOKIE_STEP_NS. Thread: the engine's control thread.
 */
#pragma once

#include "base/addr.h"
#include "base/clock.h"
#include "base/secret.h"
#include "control/crypto/ctx.h"

#define COOKIE_LEN     36
#define COOKIE_ROLL_NS (60 * NS_PER_S)
#define COOKIE_STEP_NS (10 * NS_PER_S)

/* struct cookie_jar - the secrets; one per engine. The zero state is usable. */
struct cookie_jar {
	struct secret secrets[2]; /* by version & 1; empty = none yet */
	uint8_t version;          /* of the newest */
	uint64_t rolled_ns[2];    /* when each was made */
};

/* cookie_jar_fini - wipe; the zero state remains. */
void cookie_jar_fini(struct cookie_jar *jar) NONNULL(1);

/* struct cookie_request - the request that a cookie is for. */
struct cookie_request {
	struct bytes ni;
	const struct ip_addr *from;
	uint64_t spi_i;
};

/* struct cookie_asked - what was asked for with it: a puzzle of so many bits, 0 = none; made_ns: up
 * to COOKIE_STEP_NS before that, and without a puzzle when the secret was made. */
struct cookie_asked {
	uint8_t bits;
	uint64_t made_ns;
};

/* cookie_make - the cookie for a request that a puzzle of so many bits goes with; rolls the secret
 * when it is due. Errors: CRYPTO, NOMEM. */
MUST_USE enum err cookie_make(struct crypto_ctx *c, struct cookie_jar *jar,
			      uint8_t out[static COOKIE_LEN], const struct cookie_request *request,
			      uint8_t bits, uint64_t now_ns) NONNULL(1, 2, 4);

/* cookie_check - constant-time check of a returned cookie; *out is what was asked for with it.
 * Errors: AUTH (not ours or too old: answer with a fresh one). */
MUST_USE enum err cookie_check(const struct cookie_jar *jar, struct cookie_asked *out,
			       struct bytes cookie, const struct cookie_request *request,
			       uint64_t now_ns) NONNULL(1, 2, 4);

/* cookie_tag - 64 bits of a cookie that was checked, by which it is told from all others. */
uint64_t cookie_tag(struct bytes cookie);
