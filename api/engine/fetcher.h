/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetcher.h - what a URL names, fetched for the engine: revocation lists. An interface, so that an
 * engine that is embedded needs no HTTP: api/fetch/fetch.h is the daemon's. Nothing here waits.
 *
 * Thread: the engine's.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* FETCH_URL_MAX, FETCH_LEN_MAX, FETCH_MS - bounds: of a URL with its NUL, of what is fetched, and
 * of the time that it may take, from the look-up of the name to the last byte (S27). FETCH_AT_ONCE,
 * FETCH_WAITING - fetches under way at a time, and those that wait for one of these to end. */
#define FETCH_URL_MAX 512
#define FETCH_LEN_MAX 65536
#define FETCH_MS      2000
#define FETCH_AT_ONCE 8
#define FETCH_WAITING 64

/* FETCH_WHY_MAX - room for a clause about what went wrong. */
#define FETCH_WHY_MAX 160

/* struct fetch_request - id comes back with the answer. type: of body, which is then posted; NULL:
 * nothing is. local: the server may be this host itself, or have an address of the link. All is
 * copied. */
struct fetch_request {
	uint64_t id;
	const char *url;
	const char *type;
	struct bytes body;
	bool local;
};

/* struct fetch_answer - data lives until the next fetch_next(); it is empty if why is not. */
struct fetch_answer {
	uint64_t id;
	struct bytes data;
	char why[FETCH_WHY_MAX];
};

/* struct fetcher_ops - fd: readable when dispatch has something to do, and next perhaps an answer.
 * begin: Errors: LIMIT (too many wait: again when one has ended), NOMEM; all else is told by the
 * answer, which may be there at once. next: take one; false if there is none. close: what is under
 * way is given up. */
struct fetcher_ops {
	int (*fd)(void *ctx);
	void (*dispatch)(void *ctx);
	enum err (*begin)(void *ctx, const struct fetch_request *request);
	bool (*next)(void *ctx, struct fetch_answer *out);
	void (*close)(void *ctx);
};

/* struct fetcher - ops NULL: there is none. */
struct fetcher {
	const struct fetcher_ops *ops;
	void *ctx;
};
