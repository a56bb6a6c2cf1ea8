/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.h - one step of the protocol: a message, an answer or a task meets the state of an IKE SA,
 * the transition table names the handler, and the outcome decides the next state. Handlers never
 * assign a state; step.c does, after success. Control thread.
 */
#pragma once

#include "control/ike/sa.h"
#include "control/ike/wire/build.h"
#include "control/ike/wire/names.h"

/* enum trigger - what makes a step. */
enum trigger {
	ON_START,    /* a task of ours begins: the handler builds the request */
	ON_REQUEST,  /* a request of the peer */
	ON_RESPONSE, /* the response to ours */
	ON_ANSWER,   /* an answer to an ask */
};

/* Bits of a message beside PAYLOAD_BIT(): what the table tells requests apart by. */
#define HAS_ERROR       (UINT64_C(1) << 0) /* an error notify */
#define HAS_REKEY       (UINT64_C(1) << 1) /* N(REKEY_SA) */
#define HAS_COOKIE      (UINT64_C(1) << 2) /* N(COOKIE) */
#define HAS_INVALID_KE  (UINT64_C(1) << 3) /* N(INVALID_KE_PAYLOAD) */
#define HAS_DELETE_IKE  (UINT64_C(1) << 4) /* D of the IKE SA */
#define HAS_AUTH_FAILED (UINT64_C(1) << 5) /* N(AUTHENTICATION_FAILED) */
#define HAS_UPDATE_SA   (UINT64_C(1) << 6) /* N(UPDATE_SA_ADDRESSES) */
#define HAS_ADDRESSES   (UINT64_C(1) << 7) /* N(ADDITIONAL_*_ADDRESS), N(NO_ADDITIONAL_ADDRESSES) */
#define HAS_MIF_OP      (UINT64_C(1) << 8) /* N(MIF_OP) */
#define HAS_REDIRECT    (UINT64_C(1) << 9) /* N(REDIRECT) */
#define HAS_TICKET_NACK (UINT64_C(1) << 10) /* N(TICKET_NACK) */
#define HAS_PUZZLE      (UINT64_C(1) << 14) /* N(PUZZLE) */
/* And of the IKE SA before it is authenticated: the key exchanges that were agreed on are made, or
 * are not all made yet. */
#define KEYS_DONE (UINT64_C(1) << 11)
#define KEYS_MORE (UINT64_C(1) << 12)
/* And of one that is: a re-key of it waits for more key exchanges. */
#define IKE_WAITS (UINT64_C(1) << 13)

/* struct reply - a finished message that is not sent yet. */
struct reply {
	uint8_t *bytes;
	size_t len;
};

struct transition;

/* struct step - the context of a handler. */
struct step {
	struct ike_engine *e;
	struct ike_sa *sa;
	struct exchange *x; /* &sa->in.x or &sa->out.x */
	const struct transition *row;
	const struct ike_msg *msg;       /* REQUEST, RESPONSE; opened */
	const struct ike_datagram *dg;   /* REQUEST, RESPONSE */
	const struct ike_answer *answer; /* ANSWER */
	uint64_t now_ns;
	struct failure fail;
	struct ike_builder b;
	bool building; /* b is open */
	struct reply reply;
	bool requesting;  /* b or reply is a request of ours */
	uint8_t exchange; /* its exchange type */
	bool pass;        /* the ask that would follow is not needed: as if it were allowed */
	enum ike_ask_kind pass_kind;
	bool stay;   /* the state stays: more key exchanges follow, or, ANSWER, its question is put
		      * once more, about something else */
	bool stands; /* RESPONSE: it may be anybody's: the request stays under way */
	bool asked;  /* step_ask() was called */
	bool again;  /* RESPONSE: the task starts anew (cookie, group) */
	bool later;  /* RESPONSE: the task starts anew after a while */
};

/* struct transition - a row of the table. */
struct transition {
	enum sa_state state;
	enum trigger on;
	uint8_t what;        /* exchange type, or enum ike_ask_kind for ON_ANSWER */
	enum task_kind task; /* ON_START, ON_RESPONSE, ON_ANSWER: of this exchange; ON_REQUEST: ours
			      * that is under way. TASK_NONE = any */
	uint64_t need;       /* payloads (and HAS_ bits) without which the row does not fit */
	uint64_t may;        /* payloads that may be there too; others make it not fit */
	enum err (*handle)(struct step *s);
	enum sa_state next;
	uint64_t timeout_ns; /* the next state's bound; 0 = none, HALF_OPEN = the limit's */
	const char *story;
};

#define HALF_OPEN UINT64_MAX

/* transition_find - the row for a step, or NULL. have: the message's bits. */
const struct transition *transition_find(enum sa_state state, enum trigger on, uint8_t what,
					 enum task_kind task, uint64_t have);

/* transition_table - all rows, for tests and documentation. */
const struct transition *transition_table(size_t *out_num) NONNULL(1);

/* transition_knows - some row of this state and trigger takes this exchange: what does not fit then
 * is a malformed message, otherwise one out of order. */
bool transition_knows(enum sa_state state, enum trigger on, uint8_t what);

/* step_message - run the step for a message that passed window and authentication. */
void step_message(struct ike_sa *sa, const struct ike_msg *msg, const struct ike_datagram *dg,
		  uint64_t now_ns) NONNULL(1, 2, 3);

/* step_invalid - the same for a request that is authentic but cannot be parsed. */
void step_invalid(struct ike_sa *sa, const struct ike_header *h, const struct ike_datagram *dg,
		  uint16_t notify, uint16_t data, uint64_t now_ns) NONNULL(1, 2, 3);

/* step_answer - run the step for an answer to x's ask. */
void step_answer(struct ike_sa *sa, struct exchange *x, enum ike_ask_kind kind,
		 const struct ike_answer *answer, uint64_t now_ns) NONNULL(1, 2, 4);

/* step_task - begin what is next if the window is free. */
void step_task(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* step_task_later - the same from the next ike_run() on, when sa is not the one of this step. */
void step_task_later(struct ike_sa *sa) NONNULL(1);

/* step_inherit - a new IKE SA made by a re-key is established at once: it has the proof of the one
 * it comes from (S20). */
void step_inherit(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* step_fail - note why and what the peer is to hear; always returns ERR_PEER, for `return`.
 * Not MUST_USE: it cannot fail itself. */
enum err step_fail(struct step *s, enum ike_reason reason, uint16_t notify, const char *fmt, ...)
	NONNULL(1) PRINTF_LIKE(4, 5);

/* step_fail_child - the same when only the Child SA fails. Not MUST_USE: as above. */
enum err step_fail_child(struct step *s, enum ike_reason reason, uint16_t notify, const char *fmt,
			 ...) NONNULL(1) PRINTF_LIKE(4, 5);

/* step_offers - what this side and the peer offer or ask for, of which they could not agree; told
 * with the failure that follows. Texts are cut to fit. */
void step_offers(struct step *s, const char *here, const char *there) NONNULL(1, 2, 3);

/* step_report - an event about a failure that ends neither the step nor the SA; child is the name
 * of what failed, or NULL, narrow as in struct ike_event. f may be s->fail, which is empty after
 * it. */
void step_report(struct step *s, const struct failure *f, const char *child, bool narrow)
	NONNULL(1, 2);

/* step_exchange - the type of the exchange that the step is part of. */
uint8_t step_exchange(const struct step *s) NONNULL(1);

/* step_reply - begin the response; payloads follow in s->b. step_finish - close it and take memory
 * for it: what comes after in the handler must not fail. Called by step.c if the handler does not.
 * Errors: NOMEM, FULL, LIMIT, CRYPTO, EXHAUSTED. */
void step_reply(struct step *s) NONNULL(1);
MUST_USE enum err step_finish(struct step *s) NONNULL(1);

/* step_request - begin a request of an exchange type (ON_START, ON_ANSWER in the handshake). */
void step_request(struct step *s, uint8_t exchange) NONNULL(1);

/* step_ask - put an ask about this exchange; it waits while the SA's other one is open. Errors:
 * NOMEM. step_pass - go on as if it had been put and allowed. */
MUST_USE enum err step_ask(struct step *s, enum ike_ask_kind kind) NONNULL(1);
void step_pass(struct step *s, enum ike_ask_kind kind) NONNULL(1);

/* step_bits - what the table looks at. */
uint64_t step_bits(const struct ike_msg *msg) NONNULL(1);
