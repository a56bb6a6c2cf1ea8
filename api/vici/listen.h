/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h - joins a vici_server to a unix socket in a libuv loop: accepts, reads, writes, times.
 * Thread: the loop's.
 */
#pragma once

#include <uv.h>

#include "api/vici/server.h"

struct vici_listen;

/* vici_listen_open - listen at path (mode 0600, made anew; a socket that a dead daemon left there
 * is replaced, one that still answers is BUSY). server and loop are borrowed. Errors: SYS, BUSY,
 * LIMIT (path too long), NOMEM. */
MUST_USE enum err vici_listen_open(struct vici_listen **out, uv_loop_t *loop, const char *path,
				   struct vici_server *server) NONNULL(1, 2, 3, 4);

/* vici_listen_close - stop listening, remove the socket, close all clients. Memory goes when the
 * loop has run its close callbacks: run it once more (done(arg) is called then; may be NULL). NULL
 * is accepted. */
void vici_listen_close(struct vici_listen *l, void (*done)(void *arg), void *arg);
