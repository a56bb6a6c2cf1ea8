/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - memory for keys: guard pages, locked where the limit allows (one warning where it does
 * not), left out of core dumps, wiped on free and in a forked child. Never an argument of a log
 * call. Any thread may allocate; one owner per secret.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* struct secret - len bytes at p in the key arena; the zero state is an empty secret. */
struct secret {
	uint8_t *p;
	size_t len;
};

/* secret_init - len zero bytes (1 to 65536), aligned to 16. Errors: NOMEM, LIMIT; BAD_STATE in a
 * process forked from the arena's owner; UNSUPPORTED where the kernel cannot keep memory out of a
 * child or a core dump. End with secret_fini(). Small secrets share pages. */
MUST_USE enum err secret_init(struct secret *s, size_t len) NONNULL(1);

/* secret_init_copy - a secret holding a copy of len bytes at p. Errors: as secret_init(). */
MUST_USE enum err secret_init_copy(struct secret *s, const void *p, size_t len) NONNULL(1);

/* secret_fini - wipe and give back; the zero state is accepted and is what remains. Aborts if
 * something was written behind the secret's end. */
void secret_fini(struct secret *s) NONNULL(1);

/* secret_move - transfer ownership from `from`, which becomes empty, to `to`, which was empty. */
void secret_move(struct secret *to, struct secret *from) NONNULL(1, 2);

/* secret_equal - constant time in the content (not in the lengths). */
bool secret_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/* secret_wipe - overwrite len bytes in a way that the compiler keeps. */
void secret_wipe(void *p, size_t len);

/* secret_alive - false in a process that was forked from the owner of the arena: its keys are zero
 * and nothing may be encrypted (RFC 4303 nonce safety). Two loads; for once-a-batch use. */
bool secret_alive(void);

/* secret_locked - true if the key arena is locked in memory (for a status report). */
bool secret_locked(void);
