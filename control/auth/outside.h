/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outside.h - answers of a program that holds the private key elsewhere, or judges the peer's
 * certificate itself, become answers that the engine goes on with. Nothing is decided here that is
 * decided elsewhere: the signature is the peer's to verify, the peer's own is verified as ever
 * (verify.h, S24, S25), and identities are compared where they always are (S22). Control thread.
 */
#pragma once

#include "control/auth/algorithm.h"
#include "control/engine.h"

/* struct outside - an answer and what it points to. */
struct outside {
	struct ike_answer answer;
	uint8_t auth[AUTH_SIG_MAX];
	uint8_t key[KEY_SPKI_MAX];
	struct ike_trust trust;
	char why[KEY_WHY_MAX];
};

/* outside_take - out->answer is what `answer` to `ask` means: the same, but for a scheme, `vouched`
 * and refusals that say nothing. What is impossible becomes a refusal that says so. Both are
 * borrowed for as long as *out is used. */
void outside_take(struct outside *out, const struct ike_ask *ask, const struct ike_answer *answer)
	NONNULL(1, 2, 3);
