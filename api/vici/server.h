/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the management socket's protocol (VICI, as strongSwan's README.md of its vici plugin
 * describes it) without the socket: bytes of each client come in, bytes go out, commands act on a
 * struct backend. It owns no descriptor and reads no clock; api/vici/listen.h joins it to libuv.
 *
 * Commands that take longer (initiate, terminate) answer when the events about them arrive or their
 * time is over. Thread: control thread.
 */
#pragma once

#include "api/engine/backend.h"
#include "base/log.h"

struct vici_server;
struct vici_client;

/* VICI_CLIENTS_MAX - connections at once. VICI_QUEUE_MAX - unsent bytes of one client: whoever
 * leaves more unread is cut off, so that a stalled client costs no more than this (S63). */
#define VICI_CLIENTS_MAX 64
#define VICI_QUEUE_MAX   (8u << 20)

/* vici_server_new - a server without clients; backend is borrowed for its life. Errors: NOMEM. */
MUST_USE enum err vici_server_new(struct vici_server **out, const struct backend *backend)
	NONNULL(1, 2);

/* vici_server_free - all clients must be closed (asserted). NULL is accepted. */
void vici_server_free(struct vici_server *s);

/* vici_server_event - tell clients and waiting commands; every event of the engine, in order. */
void vici_server_event(struct vici_server *s, const struct ike_event *event) NONNULL(1, 2);

/* vici_server_path_event - likewise what happens to paths. */
void vici_server_path_event(struct vici_server *s, const struct engine_path_event *event)
	NONNULL(1, 2);

/* vici_server_log - a log line for those who listen (event "log"). Cheap when nobody does; lines
 * that come up while one is being delivered are left out. Call it from the log sink. */
void vici_server_log(struct vici_server *s, enum log_level level, enum log_subsystem sub,
		     const char *conn, const char *line) NONNULL(1, 5);

/* vici_server_run - end commands whose time is over, and take up what clients sent while a command
 * of theirs was waiting. vici_server_deadline - when to call it next;
 * TIME_NEVER if nothing is to be done, 0 at once. The clock is the backend's. */
void vici_server_run(struct vici_server *s, uint64_t now_ns) NONNULL(1);
uint64_t vici_server_deadline(const struct vici_server *s) NONNULL(1);

/* vici_server_now - the backend's clock. */
uint64_t vici_server_now(const struct vici_server *s) NONNULL(1);

/* vici_client_open - a client has connected. wake(ctx) is called when there is output that was not
 * there before or when the client is to be dropped; never from within vici_client_input() of the
 * same client, whose caller looks anyway. wake only takes a note: it calls nothing of this header.
 * Errors: FULL, NOMEM. */
MUST_USE enum err vici_client_open(struct vici_server *s, struct vici_client **out,
				   void (*wake)(void *ctx), void *ctx) NONNULL(1, 2, 3);

/* vici_client_input - bytes have arrived; they are copied. Errors: MALFORMED, LIMIT, NOMEM: drop
 * the client at once (vici_client_close). */
MUST_USE enum err vici_client_input(struct vici_client *c, const void *bytes, size_t len)
	NONNULL(1, 2);

/* vici_client_output - what is to be written next; empty if nothing. Valid until the next call for
 * this client. vici_client_sent - len bytes of it were written. */
struct bytes vici_client_output(const struct vici_client *c) NONNULL(1);
void vici_client_sent(struct vici_client *c, size_t len) NONNULL(1);

/* vici_client_doomed - the client was too slow or memory ran out: close it. */
bool vici_client_doomed(const struct vici_client *c) NONNULL(1);

/* vici_client_close - the client is gone. What it began goes on; nobody is told. */
void vici_client_close(struct vici_client *c) NONNULL(1);
