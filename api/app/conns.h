/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conns.h - the connections of a server's clients in a libuv loop, whatever carries them:
 * accepting, when to read and to write, time, closing. It never blocks, and takes one message of
 * each user a turn, of his connections in their order, so that none waits for another's many. What
 * its work for a user takes of the processor it has the server charge him with. A transport
 * (listen.c) moves the messages. Thread: the loop's.
 */
#pragma once

#include <uv.h>

#include "api/app/closer.h"
#include "api/app/quota.h"
#include "api/app/server.h"
#include "base/list.h"

struct conns;

/* struct conn - one accepted connection; the transport's own begins with it. Closing: it lives
 * until the loop has let go of its handle. */
struct conn {
	struct list_node node;      /* conns' list */
	struct list_node turn_node; /* conns' readable, while queued */
	uv_poll_t poll;
	struct conns *conns;
	struct app_client *client; /* NULL: it is not known yet who it is */
	uint64_t owner; /* whose descriptors may come by it (closer.h); 0: it brings none */
	int fd;
	int events;           /* that are polled for */
	uint64_t deadline_ns; /* closed then; TIME_NEVER; conn_deadline() sets it */
	bool dirty; /* wake() was called, or it was too early to read: look_ns says when */
	bool queued;
	bool closed;
};

/* struct conn_ops - a transport. */
struct conn_ops {
	/* admit - somebody has connected: conn_open(); false: he is turned away, and fd gone. */
	bool (*admit)(struct conns *conns, int fd);
	/* read - one step: a message that goes to the client, or what comes before there is one.
	 * Errors: AGAIN (nothing more now); any other ends the connection. */
	enum err (*read)(struct conn *c);
	/* write - a message, all of it; after AGAIN (no room now) the next call has the same one.
	 * Any other error ends the connection. */
	enum err (*write)(struct conn *c, struct bytes message);
	/* has_input - there is some that the descriptor does not tell of. wants_write - so that
	 * reading can go on. closed - nothing of it is used any more. Each may be NULL. */
	bool (*has_input)(struct conn *c);
	bool (*wants_write)(struct conn *c);
	void (*closed)(struct conn *c);
};

/* CONNS_DOORS_MAX - sockets that are listened at. */
#define CONNS_DOORS_MAX 4

/* struct conns - all of a transport, which begins with it and is freed with its last handle. */
struct conns {
	uv_loop_t *loop;
	struct app_server *server;
	const struct conn_ops *ops;
	struct door {
		uv_poll_t poll;
		int fd;
	} doors[CONNS_DOORS_MAX];
	uint32_t num_doors;
	uv_check_t check;     /* after each sleep: one message of each user who has some */
	uv_prepare_t prepare; /* before it: flush, and set the timer */
	uv_timer_t timer;
	struct closer *closer;
	struct list_node list, readable;
	uint32_t num, num_handles;
	uint64_t turn;
	struct app_user strangers; /* all of whom it is not known who they are: one user's share */
	uint64_t look_ns;   /* when one of the list is next to be looked at, or accepting goes on */
	uint64_t accept_ns; /* when that is; 0: it does */
	uint32_t refused;   /* since it last rested */
	uint64_t open_ns; /* what accepting one took the last time: who connects is charged with it
			   */
};

/* conns_open - *c, the beginning of what mem_alloc() gave, has no connection yet. End with
 * conns_close(); after an error nothing is to be ended. Errors: NOMEM, SYS. */
MUST_USE enum err conns_open(struct conns *c, uv_loop_t *loop, struct app_server *server,
			     const struct conn_ops *ops) NONNULL(1, 2, 3, 4);

/* conns_listen - at this socket too, which is closed with it, also if this fails. Errors: SYS,
 * LIMIT. */
MUST_USE enum err conns_listen(struct conns *c, int fd) NONNULL(1);

/* conns_close - all connections and doors; the memory goes when the loop has run its close
 * callbacks. */
void conns_close(struct conns *c) NONNULL(1);

/* conn_open - c, which mem_alloc() gave, is the connection fd. False: both are gone. */
MUST_USE bool conn_open(struct conns *conns, struct conn *c, int fd) NONNULL(1, 2);

/* conn_begin - now it is known who it is. Errors: FULL (a quota), NOMEM. */
MUST_USE enum err conn_begin(struct conn *c, const struct app_peer *peer) NONNULL(1, 2);

/* conn_deadline - it is closed then, unless another time is set before. */
void conn_deadline(struct conn *c, uint64_t deadline_ns) NONNULL(1);

/* conns_drop - close fd, in which `owner` (not 0) has had a hand: it is at its end at once, and
 * gone when closing it has taken its time. */
void conns_drop(struct conns *conns, int fd, uint64_t owner) NONNULL(1);

/* conn_close - it ends; once is enough. */
void conn_close(struct conn *c) NONNULL(1);
