/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one connection to the daemon's management socket, a request at a time. Blocking, with
 * a deadline. One thread.
 */
#pragma once

#include "api/vici/proto.h"
#include "base/clock.h"

/* struct client - a connection; what was received and not used yet is in `in`. */
struct client {
	int fd;
	uint64_t deadline_ns; /* TIME_NEVER: none */
	uint8_t *in;
	size_t in_len, in_cap;
};

/* client_open - connect to the socket at path. Errors: SYS (errno), LIMIT (path too long). */
MUST_USE enum err client_open(struct client *c, const char *path) NONNULL(1, 2);

/* client_close - the zero state is not accepted: open it first. */
void client_close(struct client *c) NONNULL(1);

/* client_listen - have these events sent from now on. Errors: as client_call. */
MUST_USE enum err client_listen(struct client *c, const char *event) NONNULL(1, 2);

/* client_event_fn - an event that came while an answer was awaited; message is borrowed. */
typedef void client_event_fn(void *arg, const char *event, const struct tree *message);

/* client_call - run a command and wait for its answer, which the caller frees. message and on_event
 * may be NULL. Errors: SYS (errno), TIMEOUT, PEER (the daemon closed the connection), MALFORMED,
 * NOT_FOUND (the daemon does not know the command or event), NOMEM. */
MUST_USE enum err client_call(struct client *c, struct tree **out, const char *command,
			      const struct tree *message, client_event_fn *on_event, void *arg)
	NONNULL(1, 2, 3);

/* client_watch - hand every event to on_event until the deadline. Errors: TIMEOUT (that is how it
 * ends well), SYS (errno), PEER (the daemon closed the connection), MALFORMED, NOMEM. */
MUST_USE enum err client_watch(struct client *c, client_event_fn *on_event, void *arg)
	NONNULL(1, 2);
