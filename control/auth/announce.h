/* SPDX-License-Identifier: Apache-2.0 */
/*
 * announce.h - by which methods of authentication a side lets its peer prove itself: the data of
 * SUPPORTED_AUTH_METHODS (RFC 9593 3.2), parse and build side by side. What is announced helps the
 * peer to choose among what it has, and lets nobody do anything: it is compared with nothing when
 * AUTH comes. Pure functions over untrusted bytes, any thread.
 */
#pragma once

#include "base/writer.h"
#include "control/auth/algorithm.h"

/* struct auth_announced - psk: by a shared key, null: not at all; schemes: by signatures,
 * AUTH_SCHEME_BIT()s. All zero: nothing was announced, or not yet (RFC 9593 3.1). */
struct auth_announced {
	bool psk, null;
	uint32_t schemes;
};

/* auth_announced_any - anything is announced. */
static inline bool auth_announced_any(const struct auth_announced *a)
{
	return a->psk || a->null || a->schemes;
}

/* auth_announced_parse - methods and algorithms that are not known here, and to which authority one
 * is tied, are passed over. Errors: MALFORMED, TRUNCATED. */
MUST_USE enum err auth_announced_parse(struct auth_announced *out, struct bytes data) NONNULL(1);

/* AUTH_ANNOUNCED_MAX - bytes of everything that can be announced here. auth_announced_write - tied
 * to no authority. */
#define AUTH_ANNOUNCED_MAX 512
void auth_announced_write(struct writer *w, const struct auth_announced *a) NONNULL(1, 2);

/* AUTH_ANNOUNCED_TEXT_MAX - room for the text. auth_announced_text - the same for people, as `auth`
 * has it: "psk or pubkey (RSA)". Returns buf. */
#define AUTH_ANNOUNCED_TEXT_MAX 80
const char *auth_announced_text(char buf[static AUTH_ANNOUNCED_TEXT_MAX],
				const struct auth_announced *a) NONNULL(2);
