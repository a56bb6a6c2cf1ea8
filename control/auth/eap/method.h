/* SPDX-License-Identifier: Apache-2.0 */
/*
 * method.h - what an EAP method is to the conversation that carries it (eap.c). Each method is one
 * file and one constant. Thread: the engine's control thread.
 */
#pragma once

#include "base/secret.h"
#include "control/auth/eap/eap.h"

/* struct eap_method - state_len bytes of state, zero at first, are wiped with the conversation.
 * start: a server's first request. process: the data of the other side's packet; *w gets those of
 * the answer. It sets x->done and x->msk when this side has no more doubts; AGAIN: x->wants says
 * what is missing, and the same packet comes again with x->answer. Errors: AUTH (x->why), MALFORMED
 * and the like, CRYPTO, NOMEM. */
struct eap_method {
	uint8_t type;
	bool alone; /* good enough without another proof of the server (RFC 5998 4) */
	size_t state_len;
	enum err (*start)(struct eap *x, struct writer *w);
	enum err (*process)(struct eap *x, struct bytes data, struct writer *w);
	/* fini: what the state holds; chain: as eap_chain(). NULL: nothing. */
	void (*fini)(void *state);
	uint32_t (*chain)(const void *state, struct bytes out[static EAP_MAX_CERTS]);
};

/* EAP_NAME_MAX - of a name that goes to another server, which has no room for more. */
#define EAP_NAME_MAX 253

/* struct eap - one conversation. */
struct eap {
	struct eap_params params;
	const struct eap_method *method; /* NULL until one is chosen */
	void *state;
	enum eap_wants wants;
	uint8_t id; /* of the last request */
	uint32_t rounds;
	bool named; /* server: the identity is known */
	bool vague; /* relay: but not by a name: the server has to say whom it means */
	bool done;  /* the method is complete */
	bool over;  /* success was said: the key may be used */
	bool broken;
	const struct eap_answer *answer; /* to x->wants, while process() runs again; else NULL */
	struct secret msk;
	uint8_t token[EAP_TOKEN_MAX], name[EAP_NAME_MAX]; /* of a relay */
	size_t token_len, name_len;
	uint32_t session_s;
	uint8_t relayed_type; /* the last method that was seen pass */
	char why[250];
	uint8_t out[EAP_PACKET_MAX], held[EAP_PACKET_MAX];
	size_t out_len, held_len;
};

extern const struct eap_method eap_mschapv2, eap_tls;

/* relay.c: a server that has another one behind it, which is asked by EAP_WANTS_SERVER. begin - the
 * client's name is known: its answer to a question for it goes first (RFC 3579 2.1). take - the
 * client's packet, of which p is a view. answer - x->answer. Errors: as eap_take(). */
MUST_USE enum err eap_relay_begin(struct eap *x) NONNULL(1);
MUST_USE enum err eap_relay_take(struct eap *x, const struct eap_packet *p) NONNULL(1, 2);
MUST_USE enum err eap_relay_answer(struct eap *x) NONNULL(1);

/* eap_fail - note why; always returns AUTH, for `return`. Not MUST_USE: it cannot fail itself. */
enum err eap_fail(struct eap *x, const char *fmt, ...) NONNULL(1) PRINTF_LIKE(2, 3);
