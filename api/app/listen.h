/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h - joins an app_server to a unix socket of whole messages (SOCK_SEQPACKET) in a libuv
 * loop, for the programs of this host: learns who it is, reads messages with their descriptors.
 * Thread: the loop's.
 */
#pragma once

#include "api/app/conns.h"

struct app_listen;

/* app_listen_open - listen at path (mode 0666: everybody may; made anew; a socket that a dead
 * daemon left there is replaced, one that still answers is BUSY). server and loop are borrowed.
 * Errors: SYS, BUSY, LIMIT (path too long), NOMEM. */
MUST_USE enum err app_listen_open(struct app_listen **out, uv_loop_t *loop, const char *path,
				  struct app_server *server) NONNULL(1, 2, 3, 4);

/* app_listen_close - stop listening, remove the socket, close all clients. Memory goes when the
 * loop has run its close callbacks: run it once more. NULL is accepted. */
void app_listen_close(struct app_listen *l);
