/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h - the seam between the calls of <latchkey/ipsec.h> and who answers them: the daemon
 * behind a unix socket (unix.c), that of another host (api/remote), or an engine in this process,
 * whose server (api/app/server.h) is given the messages directly. A back end carries whole messages
 * of api/app/proto.h.
 *
 * Thread: calls come one at a time, from whatever thread; but fd may be polled meanwhile.
 */
#pragma once

#include <sys/types.h>

#include "base/attr.h"

#define IPSEC_PRIVATE __attribute__((visibility("default")))

/* struct ipsec_backend - functions return -1 with errno set when they fail. */
struct ipsec_backend {
	/* open - *out is a new connection. Errors: ECONNREFUSED and others. */
	int (*open)(void **out);
	/* send - one message and a descriptor or -1, which stays the caller's. Errors: EAGAIN (no
	 * room now: poll for writing), ECONNRESET; EBADF, EDEADLK, EMFILE, ENOMEM are of this
	 * message alone. */
	int (*send)(void *conn, const void *bytes, size_t len, int fd);
	/* recv - the next message; 0: the other side has closed. Errors: EAGAIN (none), ECONNRESET.
	 */
	ssize_t (*recv)(void *conn, void *buf, size_t room);
	/* fd - readable when recv() has something, or turn() something to do. */
	int (*fd)(void *conn);
	void (*close)(void *conn);
	/* turn - wait until recv() may have something, timeout_ms at most, and meanwhile do what
	 * who answers has to do; NULL: that is another process's business, and fd is polled.
	 * Called while others send and receive; conn is not freed under it. */
	void (*turn)(void *conn, int timeout_ms);
	/* why - a sentence about what failed last in this thread, opening or being heard; "": none.
	 * NULL: it has none ever. */
	const char *(*why)(void);
};

/* ipsec_backend_use - this one from the next connection on; NULL: the daemon. The connection that
 * is there ends. ipsec_backend_fail - note a sentence for this thread and set errno; returns -1.
 * For liblatchkey-engine, liblatchkey-remote and tests: they are in no header that is installed,
 * and may be others in the next version. */
IPSEC_PRIVATE void ipsec_backend_use(const struct ipsec_backend *backend);
IPSEC_PRIVATE int ipsec_backend_fail(int err, const char *text);

/* unix_backend - the daemon. */
extern const struct ipsec_backend unix_backend;
