/* SPDX-License-Identifier: Apache-2.0 */
/*
 * puzzle_check.h - the other side of puzzle.h: is it solved? Thread: the engine's control thread.
 */
#pragma once

#include "control/crypto/ctx.h"
#include "control/puzzle.h"

/* puzzle_check - each key's value ends with as many zero bits as p wants; the first that does not
 * ends it, so that what is made up costs one call of the PRF. Errors: AUTH (it is not solved),
 * MALFORMED (a key that is longer than the PRF's own, 8.2), UNSUPPORTED, CRYPTO. */
MUST_USE enum err puzzle_check(struct crypto_ctx *c, const struct puzzle *p,
			       const struct bytes keys[static PUZZLE_KEYS]) NONNULL(1, 2);
