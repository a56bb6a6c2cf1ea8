/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.h - api/engine/signer.h over PKCS#11. A module is a token's vendor's code: it runs in a
 * process of its own, forked before the daemon has a thread, which holds no keys of the daemon's,
 * reads nothing from the network, and loads no module but those that it was forked with. If a
 * module crashes, or answers nothing for TOKEN_S seconds, that process is made anew, and what it
 * was doing has failed.
 */
#pragma once

#include "api/engine/signer.h"
#include "control/conf/conf.h"

/* TOKEN_S - seconds that a token has for one thing. TOKEN_AT_ONCE - things that are under way at a
 * time, of which tokens do one after the other. */
#define TOKEN_S       10
#define TOKEN_AT_ONCE 8

/* token_open - to be called before there is a thread. out->ops stays NULL without modules. Errors:
 * NOMEM, SYS. */
MUST_USE enum err token_open(struct signer *out, const struct conf_module *modules, uint32_t num)
	NONNULL(1);
