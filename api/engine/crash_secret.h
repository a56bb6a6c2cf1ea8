/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash_secret.h - the file of the secret that outlives the process, of which peers have tokens
 * (RFC 6290): 32 random bytes. It is made once, for its owner alone, and not believed if others may
 * read or write it. Loop thread, at the start.
 */
#pragma once

#include "base/rng.h"
#include "base/secret.h"

/* CRASH_SECRET_LEN - bytes of it. CRASH_SECRET_WHY - room for a clause. */
#define CRASH_SECRET_LEN 32
#define CRASH_SECRET_WHY 300

/* crash_secret_open - read it, or if there is no file make it from rng, and the folder that it is
 * in; out was empty. Errors: PERM (the file is not its owner's alone), MALFORMED, SYS, LIMIT (the
 * name's length), NOMEM, CRYPTO; why[] says what to do. */
MUST_USE enum err crash_secret_open(struct secret *out, char why[static CRASH_SECRET_WHY],
				    const char *path, const struct rng *rng) NONNULL(1, 3, 4);
