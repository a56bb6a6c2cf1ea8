/* SPDX-License-Identifier: Apache-2.0 */
/*
 * puzzle.h - client puzzles (RFC 8019 7.1.3): four different keys for which PRF(key, text) ends
 * with enough zero bits. To find them takes 4 * 2^bits calls of the PRF, to check them four. A
 * solver is one thread's at a time, any thread's: it has a context of its own, and none of the
 * engine's.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* PUZZLE_KEYS - of a solution. PUZZLE_KEY_LEN - bytes of each key that a solver finds.
 * PUZZLE_TEXT_MAX - of what is solved for: a cookie (RFC 7296 2.6). PUZZLE_BITS_MAX - more are not
 * tried: there would not be enough keys. */
#define PUZZLE_KEYS         4
#define PUZZLE_KEY_LEN      4
#define PUZZLE_SOLUTION_LEN (PUZZLE_KEYS * PUZZLE_KEY_LEN)
#define PUZZLE_TEXT_MAX     64
#define PUZZLE_BITS_MAX     28

/* struct puzzle - what is to be solved; text is borrowed. bits: 1 to PUZZLE_BITS_MAX. */
struct puzzle {
	uint16_t prf; /* enum ike_prf */
	uint8_t bits;
	struct bytes text;
};

struct puzzle_solver;

/* puzzle_solver_new - begin with the first key; text is copied. Errors: NOMEM, CRYPTO, UNSUPPORTED
 * (the PRF), LIMIT (bits, or a text that is longer). */
MUST_USE enum err puzzle_solver_new(struct puzzle_solver **out, const struct puzzle *p)
	NONNULL(1, 2);

/* puzzle_solver_free - NULL accepted. */
void puzzle_solver_free(struct puzzle_solver *s);

/* puzzle_solver_run - try so many keys more, about a million a second; true: it is over, solved or
 * not. */
bool puzzle_solver_run(struct puzzle_solver *s, uint32_t tries) NONNULL(1);

/* puzzle_solver_solution - the four keys, one after the other; empty: they are not found, or there
 * are not so many. Borrowed from s. */
struct bytes puzzle_solver_solution(const struct puzzle_solver *s) NONNULL(1);
