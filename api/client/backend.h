/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h - the seam between the calls of <latchkey/ipsec.h> and who answers them: the daemon
 * behind a unix socket (unix.c), or an engine in this process, whose server (api/app/server.h) is
 * given the messages directly. A back end carries whole messages of api/app/proto.h.
 *
 * Thread: calls come one at a time, from whatever thread; but fd may be polled meanwhile.
 */
#pragma once

#include <sys/types.h>

#include "base/attr.h"

/* struct ipsec_backend - functions return -1 with errno set when they fail. */
struct ipsec_backend {
	/* open - *out is a new connection. Errors: ECONNREFUSED and others. */
	int (*open)(void **out);
	/* send - one message and a descriptor or -1, which stays the caller's. Errors: EAGAIN (no
	 * room now: poll for writing), ECONNRESET. */
	int (*send)(void *conn, const void *bytes, size_t len, int fd);
	/* recv - the next message; 0: the other side has closed. Errors: EAGAIN (none), ECONNRESET.
	 */
	ssize_t (*recv)(void *conn, void *buf, size_t room);
	/* fd - readable when recv() has something. */
	int (*fd)(void *conn);
	void (*close)(void *conn);
};

/* ipsec_backend_use - this one from the next connection on; NULL: the daemon. For
 * liblatchkey-engine and for tests: it does not leave the library. */
void ipsec_backend_use(const struct ipsec_backend *backend);

/* unix_backend - the daemon. */
extern const struct ipsec_backend unix_backend;
