/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer.h - PKCS#11 tokens as the engine reaches them: an interface, so that an engine that is
 * embedded loads no module of a token's vendor: api/token/token.h is the daemon's. Nothing here
 * waits.
 *
 * Thread: the engine's.
 */
#pragma once

#include "control/engine.h"

/* SIGNER_WHY_MAX - room for a clause about what went wrong. */
#define SIGNER_WHY_MAX 160

/* struct signer_answer - data lives until the next call of next(); it is empty if why is not.
 * Whoever made it is believed in nothing. */
struct signer_answer {
	uint64_t id;
	struct bytes data;
	char why[SIGNER_WHY_MAX];
};

/* struct signer_ops - fd: readable when next() may have an answer. begin: all is copied. Errors:
 * LIMIT (too many are under way: again when one has ended); all else is told by the answer, which
 * may be there at once. next: take one; false if there is none. close: what is under way is given
 * up. */
struct signer_ops {
	int (*fd)(void *ctx);
	enum err (*begin)(void *ctx, const struct ike_token_task *task);
	bool (*next)(void *ctx, struct signer_answer *out);
	void (*close)(void *ctx);
};

/* struct signer - ops NULL: no tokens are reached. */
struct signer {
	const struct signer_ops *ops;
	void *ctx;
};
