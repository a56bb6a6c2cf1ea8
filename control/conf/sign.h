/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.h - the words of `auth` that mean signatures, as swanctl.conf(5) spells them: "pubkey",
 * "rsa-3072-sha256", "rsa/pss", "ecdsa-384-sha384", "ed25519", "pubkey-sha256-sha384". Pure, any
 * thread.
 */
#pragma once

#include "control/conf/conf.h"

#define SIGN_WORD_MAX 32

/* sign_parse - false if a word is unknown or out of place; bad[] is it. */
bool sign_parse(struct conf_sign *out, char bad[static SIGN_WORD_MAX], const char *text)
	NONNULL(1, 3);
