/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the application socket's server without the socket: messages of each client come in,
 * with a descriptor perhaps, and messages go out. It decides who may do what (rights.h) and how
 * much (quota.h), and asks a struct app_backend for the rest. It reads no clock; api/app/listen.h
 * joins it to libuv, and a program that embeds the engine gives it messages itself.
 *
 * A client may do what the administrator lets his user, on what is his: a flow is his who passes
 * its socket, which is looked at with each request and closed before the answer; a latch is his who
 * made it, or who passes the socket that it was made for. Of what is not his he learns nothing: it
 * is answered for as what is not there. A client from another host is a name that the administrator
 * gave, with the rights that stand beside it and nothing of his own. Thread: the loop's.
 */
#pragma once

#include "api/app/rights.h"

struct app_server;
struct app_client;

/* APP_CLIENTS_MAX - connections at once, of all users. APP_CLIENT_QUEUE_MAX - bytes that one client
 * has not read: whoever leaves more is cut off (S63). */
#define APP_CLIENTS_MAX      1024
#define APP_CLIENT_QUEUE_MAX (256u << 10)

/* app_server_new - a server without clients; backend is borrowed for its life, conf copied.
 * instance: number of this life of the daemon, another one each time. Errors: NOMEM, CRYPTO. */
MUST_USE enum err app_server_new(struct app_server **out, const struct app_backend *backend,
				 const struct conf_app *conf, uint64_t instance) NONNULL(1, 2, 3);

/* app_server_free - all clients must be closed (asserted). NULL is accepted. */
void app_server_free(struct app_server *s);

/* app_server_configure - rights and quotas are these from now on, for who is connected too; who
 * asks from another host and is not named any more is cut off. app_server_conf - what is in force.
 */
void app_server_configure(struct app_server *s, const struct conf_app *conf) NONNULL(1, 2);
const struct conf_app *app_server_conf(const struct app_server *s) NONNULL(1);

/* app_server_event - tell clients and answer those that wait; every event of the engine, in order.
 */
void app_server_event(struct app_server *s, const struct app_event *event) NONNULL(1, 2);

/* app_server_path_event - the same of what happens to paths; who may configure, or read all, is
 * told. */
void app_server_path_event(struct app_server *s, const struct engine_path_event *event)
	NONNULL(1, 2);

/* app_server_run - answer those whose time is over. app_server_deadline - when to call it next;
 * TIME_NEVER if nobody waits. app_server_now - the backend's clock. */
void app_server_run(struct app_server *s, uint64_t now_ns) NONNULL(1);
uint64_t app_server_deadline(const struct app_server *s) NONNULL(1);
uint64_t app_server_now(const struct app_server *s) NONNULL(1);

/* app_server_admits - whether a user may have one more connection now; it counts as a request. Who
 * connects over and over is turned away before anything is made for him. */
MUST_USE bool app_server_admits(struct app_server *s, const struct app_peer *peer) NONNULL(1, 2);

/* app_client_open - a client has connected. wake(ctx) is called when there is output that was not
 * there before or when the client is to be dropped; never from within app_client_input() of the
 * same client, whose caller looks anyway. wake only takes a note. Errors: FULL (a quota), NOMEM. */
MUST_USE enum err app_client_open(struct app_server *s, struct app_client **out,
				  const struct app_peer *peer, void (*wake)(void *ctx), void *ctx)
	NONNULL(1, 2, 3, 4);

/* app_client_input - a message has arrived, with a descriptor or -1, which the caller closes
 * afterwards. Errors: MALFORMED, TRUNCATED, LIMIT, UNSUPPORTED: drop the client at once
 * (app_client_close). */
MUST_USE enum err app_client_input(struct app_client *c, const void *bytes, size_t len, int fd)
	NONNULL(1);

/* app_client_turn - whether the client's user has not had one in this turn of the loop (never 0);
 * then this is it. app_client_charge - the work for the client took so much of the processor: what
 * is more than APP_SHARE (quota.h) of the time that his requests count for his user waits for. */
MUST_USE bool app_client_turn(struct app_client *c, uint64_t turn) NONNULL(1);

/* app_client_user - whose it is, to be charged when it is closed: valid until the next client. */
struct app_user *app_client_user(struct app_client *c) NONNULL(1);
void app_client_charge(struct app_client *c, uint64_t worked_ns) NONNULL(1);

/* app_client_wait - ns until the client may send a request; 0: now. A request that comes earlier is
 * refused. */
uint64_t app_client_wait(struct app_client *c) NONNULL(1);

/* app_client_output - the next message for the client; empty if there is none. Valid until the next
 * call for this client. app_client_sent - it was sent. */
struct bytes app_client_output(const struct app_client *c) NONNULL(1);
void app_client_sent(struct app_client *c) NONNULL(1);

/* app_client_doomed - the client was too slow or memory ran out: close it. */
bool app_client_doomed(const struct app_client *c) NONNULL(1);

/* app_client_close - the client is gone: what he made is released, but what is to be kept. */
void app_client_close(struct app_client *c) NONNULL(1);
