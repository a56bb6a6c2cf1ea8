/* SPDX-License-Identifier: Apache-2.0 */
/*
 * puzzler.h - solves what gateways in a flood ask for (RFC 8019), in a thread of its own because
 * that takes seconds. It has one processor at most, with little priority, and solves several
 * puzzles by turns, so that none waits for a harder one. Control thread.
 */
#pragma once

#include "control/puzzle.h"

struct puzzler;

/* puzzler_open - there is no thread while there is nothing to solve. Errors: NOMEM, SYS.
 * puzzler_close - what is under way is given up; waits a few milliseconds for that. NULL is
 * accepted. */
MUST_USE enum err puzzler_open(struct puzzler **out) NONNULL(1);
void puzzler_close(struct puzzler *p);

/* puzzler_fd - readable when there is an answer. */
int puzzler_fd(const struct puzzler *p) NONNULL(1);

/* PUZZLER_MAX - puzzles at a time: of more none would be solved in time, by turns, and each takes
 * memory. */
#define PUZZLER_MAX 16

/* puzzler_begin - solve this one for so long and no longer; id comes back with the answer. Errors:
 * those of puzzle_solver_new(), LIMIT (PUZZLER_MAX answers are still to be taken), SYS (no thread).
 */
MUST_USE enum err puzzler_begin(struct puzzler *p, uint64_t id, const struct puzzle *puzzle,
				uint64_t for_ns) NONNULL(1, 3);

/* puzzler_sift - what nobody waits for any more, as wanted() says of its id, is called off: it is
 * not worked on from the next few milliseconds on, and has no answer; until then it counts among
 * PUZZLER_MAX. puzzler_wanted - how many are left, those included whose answers are not taken. */
void puzzler_sift(struct puzzler *p, bool (*wanted)(void *ctx, uint64_t id), void *ctx)
	NONNULL(1, 2);
uint32_t puzzler_wanted(const struct puzzler *p) NONNULL(1);

/* struct puzzler_answer - len 0: it was not solved. */
struct puzzler_answer {
	uint64_t id;
	uint8_t solution[PUZZLE_SOLUTION_LEN];
	size_t len;
};

/* puzzler_next - take an answer; false if there is none. */
bool puzzler_next(struct puzzler *p, struct puzzler_answer *out) NONNULL(1, 2);
