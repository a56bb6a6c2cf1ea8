/* SPDX-License-Identifier: Apache-2.0 */
/*
 * radius.h - the RADIUS client of a gateway that relays EAP (RFC 2865, RFC 3579): identifiers,
 * retransmission, several servers, and what an answer must be to be believed. It is sans-I/O: its
 * inputs are requests, datagrams and the passing of time; its outputs are datagrams and answers.
 * After every input take all datagrams, then all answers, and ask radius_deadline() when to come
 * back. Thread: the engine's control thread.
 */
#pragma once

#include "base/addr.h"
#include "base/clock.h"
#include "base/rng.h"

/* RADIUS_SERVERS_MAX - servers. RADIUS_NAME_MAX - of one's name, with the 0. RADIUS_DATAGRAM_MAX -
 * of a packet (RFC 2865 3). RADIUS_TOKEN_MAX - of what leads a conversation back to its server.
 * RADIUS_WHY_MAX - of a clause. */
#define RADIUS_SERVERS_MAX  8
#define RADIUS_NAME_MAX     32
#define RADIUS_DATAGRAM_MAX 4096
#define RADIUS_TOKEN_MAX    258
#define RADIUS_WHY_MAX      240

/* RADIUS_BUDGET_NS - a request that has no answer after so long has failed, however many servers
 * are left: whoever asked has a deadline of his own. */
#define RADIUS_BUDGET_NS (18 * NS_PER_S)

/* RADIUS_DOWN_NS - so long a server that did not answer is asked after all others. */
#define RADIUS_DOWN_NS (60 * NS_PER_S)

/* struct radius_server - where a server is, and the secret that is shared with it. */
struct radius_server {
	char name[RADIUS_NAME_MAX];
	struct endpoint addr;
	struct bytes secret;
};

/* struct radius_config - servers in order of preference. nas: this host's name for itself, a
 * string. timeout_ns: a request is repeated after it, then after 1.5 times as long each time, tries
 * times in all; then the next server has its turn. All is copied. */
struct radius_config {
	const struct radius_server *servers;
	uint32_t num_servers;
	const char *nas;
	uint64_t timeout_ns;
	uint32_t tries;
};

struct radius;

/* radius_new - a client without servers; it draws from rng, which must outlive it. Errors: NOMEM,
 * CRYPTO. radius_free - what is under way is given up; NULL is accepted. */
MUST_USE enum err radius_new(struct radius **out, const struct rng *rng, uint64_t now_ns)
	NONNULL(1, 2);
void radius_free(struct radius *r);

/* radius_configure - from now on these servers. If anything is other than before, what is under way
 * fails, and no conversation that was begun goes on. Errors: NOMEM (then there are none). */
MUST_USE enum err radius_configure(struct radius *r, const struct radius_config *config,
				   uint64_t now_ns) NONNULL(1, 2);

/* struct radius_request - an EAP response to be judged. id comes back with the answer. token: of
 * the last answer of this conversation, empty at first. name: of who proves himself, as the server
 * knows him. called, calling: addresses of this side and of his, texts. All is copied. */
struct radius_request {
	uint64_t id;
	struct bytes eap, token, name;
	const char *called, *calling;
};

/* radius_begin - ask. Errors: NOT_FOUND (there are no servers), BAD_STATE (the servers are others
 * than when the conversation began), LIMIT (the packet, the name or the number of requests under
 * way is too large), NOMEM, CRYPTO. */
MUST_USE enum err radius_begin(struct radius *r, const struct radius_request *request,
			       uint64_t now_ns) NONNULL(1, 2);

/* radius_receive - a datagram that came from a server, by its number, to the port that its requests
 * leave from. What is not a proven answer to a request under way is counted and does nothing. */
void radius_receive(struct radius *r, uint32_t server, struct bytes datagram, uint64_t now_ns)
	NONNULL(1);

/* radius_run - what is due. radius_deadline - when that is; TIME_NEVER: nothing is. */
void radius_run(struct radius *r, uint64_t now_ns) NONNULL(1);
uint64_t radius_deadline(const struct radius *r) NONNULL(1);

/* struct radius_datagram - to be sent to a server; bytes live until the next input. fresh: nothing
 * else that is under way was sent to it: a new port may be used. */
struct radius_datagram {
	uint32_t server;
	bool fresh;
	struct bytes bytes;
};

/* radius_send_next - take one; false if there is none. */
bool radius_send_next(struct radius *r, struct radius_datagram *out) NONNULL(1, 2);

/* enum radius_outcome - what a server said. */
enum radius_outcome {
	RADIUS_FAILED,     /* nothing that can be used: why */
	RADIUS_CHALLENGED, /* eap is the next request */
	RADIUS_ACCEPTED,   /* it is who he says: msk; eap is a success, or empty */
	RADIUS_REJECTED,   /* it is not: why; eap is a failure, or empty */
};

/* struct radius_answer - to the request with this id. name: whom the server takes him for; empty:
 * it does not say. session_s: how long that holds; 0: for ever. silent: FAILED, and no server said
 * anything. All is borrowed until the next input or answer. */
struct radius_answer {
	uint64_t id;
	enum radius_outcome outcome;
	bool silent;
	struct bytes eap, msk, token, name;
	uint32_t session_s;
	const char *why;
};

/* radius_answer_next - take one; false if there is none. */
bool radius_answer_next(struct radius *r, struct radius_answer *out) NONNULL(1, 2);

/* struct radius_stats - of a server, since it was configured. dropped: datagrams that were no
 * proven answers to anything under way. */
struct radius_stats {
	uint64_t sent, answered, dropped, silent;
};

/* radius_stats - by number; zeros if there is no such server. */
void radius_stats(const struct radius *r, uint32_t server, struct radius_stats *out) NONNULL(1, 3);

/* radius_server_addr - where a server is; NULL if there is no such one. */
const struct endpoint *radius_server_addr(const struct radius *r, uint32_t server) NONNULL(1);
