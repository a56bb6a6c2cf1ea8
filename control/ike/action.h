/* SPDX-License-Identifier: Apache-2.0 */
/*
 * action.h - the queue of what the caller is to do. Whatever takes something away (an SA, a path
 * set) is queued in a cell that was allocated with the object, so that shortage of memory never
 * leaves an SA behind in the data path. Control thread.
 */
#pragma once

#include "base/list.h"
#include "control/engine.h"
#include "control/ike/wire/names.h"

struct ike_sa;
struct ike_child;
struct ike_peer;

/* struct action_cell - one queued action; what is large hangs from it. */
struct action_cell {
	struct list_node node;
	enum ike_action_kind kind;
	enum child_half half;
	uint16_t port;
	bool raw;
	uint64_t id;           /* child, peer or ask */
	struct path_addr path; /* ADDRESS_*: the address is path.local.addr */
	uint8_t *bytes;        /* SEND */
	size_t len;
	struct ike_path_say say;
	struct conf *conf; /* ADDRESS_*: keeps conn alive */
	const char *conn;
	struct action_child *child; /* CHILD_ADD */
	struct action_event *event; /* EVENT */
};

/* struct action_event - an event with its text and what keeps its names alive. */
struct action_event {
	struct ike_event event;
	struct conf *conf;
	char text[400];
	char phase[WIRE_NAME_MAX];
	char here[IKE_OFFER_MAX], there[IKE_OFFER_MAX];
};

/* struct action_child - an installation order with its keys, selectors and names. */
struct action_child {
	struct ike_child_add add;
	struct secret key_in, key_out;
	struct ts *ts; /* local ones, then remote ones */
	struct conf *conf;
};

/* struct actions - the queue, and spare cells promised to living objects. */
struct actions {
	struct list_node queue;
	struct list_node spare;
	struct action_cell *current; /* handed out last */
};

/* actions_init, actions_fini - nothing queued; fini forgets and wipes what is. */
void actions_init(struct actions *a) NONNULL(1);
void actions_fini(struct actions *a) NONNULL(1);

/* actions_promise - put n cells by for actions that must not fail. Errors: NOMEM (then none). */
MUST_USE enum err actions_promise(struct actions *a, uint32_t n) NONNULL(1);

/* action_simple - queue an action that needs a promised cell: the caller fills the result in. */
struct action_cell *action_simple(struct actions *a, enum ike_action_kind kind, uint64_t id)
	NONNULL(1);

/* actions_release - give n promised cells back that were not needed. */
void actions_release(struct actions *a, uint32_t n) NONNULL(1);

/* action_send - queue a datagram; bytes are copied. Errors: NOMEM. */
MUST_USE enum err action_send(struct ike_engine *e, const struct path_addr *path, uint16_t port,
			      struct bytes bytes) NONNULL(1, 2);

/* action_sent_to - what was just queued goes to this IKE SA's peer. */
void action_sent_to(struct ike_sa *sa) NONNULL(1);

/* action_keepalive - queue the one-byte NAT keepalive (RFC 3948 2.3); lost if memory is short. */
void action_keepalive(struct ike_engine *e, const struct path_addr *path, uint16_t port)
	NONNULL(1, 2);

/* action_event - queue an event about an SA, and perhaps a child of it; lost if memory is short. */
void action_event(struct ike_sa *sa, enum ike_event_kind kind, const struct ike_child *child,
		  enum ike_reason reason, uint64_t request, const char *fmt, ...) NONNULL(1)
	PRINTF_LIKE(6, 7);

/* action_event_named - the same about a child that does not exist: its configuration's name, and
 * whether it was to be for one flow alone. */
void action_event_named(struct ike_sa *sa, enum ike_event_kind kind, const char *child, bool narrow,
			enum ike_reason reason, uint64_t request, const char *text) NONNULL(1, 7);

/* action_drop_ask - an ask whose SA is gone is no longer put. */
void action_drop_ask(struct actions *a, uint64_t ask) NONNULL(1);
