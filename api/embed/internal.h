/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - the library for embedders: latchkey/engine.h over api/engine, shared by the files of
 * this folder only. What is here is held by the engine's lock.
 *
 *   engine.c    life, turning, requests
 *   configure.c text and files, and what was wrong with them
 *   attach.c    drivers of ours
 *   driver.c    a driver of the program's own
 *   port.c      clear packets without an interface
 *   events.c    what happened
 *   asks.c      questions and answers
 *   lists.c     SAs and figures
 *   convert.c   values of ours as values of theirs
 *   no_host.c   a host whose devices, routes and filters are not touched
 *   use.c       <latchkey/ipsec.h>'s calls, answered here
 *   passed.c    sockets that these are about
 */
#pragma once

#include <pthread.h>

#include "api/engine/engine.h"
#include "api/engine/app.h"
#include "api/include/latchkey/engine.h"
#include "base/htab.h"
#include "dataplane/driver.h"

#define PORTS_MAX 64

/* struct ipsec_port - the program's end of a port of packets. */
struct ipsec_port {
	struct list_node node;
	struct memory_port *far;
	char name[16]; /* "" = shared */
};

struct ipsec_engine {
	pthread_mutex_t lock; /* recursive: callbacks call us */
	struct ipsec_engine_params params;
	struct log_sink sink;
	struct rng rng;
	struct engine *core;                 /* NULL before the start */
	struct conf *conf;                   /* before the start: what was configured, or NULL */
	struct engine_port ports[PORTS_MAX]; /* before the start */
	char names[PORTS_MAX][16];           /* of inner ones */
	uint32_t num_ports;
	bool has_outer, has_bare;
	struct list_node packet_ports;
	unsigned int depth;    /* calls within calls: callbacks' */
	struct embed_app *app; /* NULL: no program's calls were led here yet */

	struct engine_observer observer;
	struct list_node events; /* that wait, without a callback */
	uint32_t num_events;
	struct queued_event *shown; /* what the program has */

	char *error; /* what the last call has to tell, NULL = nothing */
	bool begun, running, stopped;
};

/* embed_enter, embed_leave - the lock, and our sink for this thread's log lines; *before is what
 * enter() returned. */
const struct log_sink *embed_enter(struct ipsec_engine *e) NONNULL(1);
void embed_leave(struct ipsec_engine *e, const struct log_sink *before) NONNULL(1);

/* embed_fail - -1, with the errno that an error is; 0 for OK. */
int embed_fail(enum err err);

/* embed_error - what ipsec_engine_error() says from now on. configure.c */
void embed_error(struct ipsec_engine *e, const char *text) NONNULL(1, 2);

/* attach.c */
MUST_USE enum err embed_take(struct ipsec_engine *e, struct driver *d, bool bare, const char *name)
	NONNULL(1, 2);
bool embed_vif_ok(const struct ipsec_engine *e, const char *name) NONNULL(1);
bool embed_may_attach(const struct ipsec_engine *e, const char *name) NONNULL(1);
void embed_drop_ports(struct ipsec_engine *e) NONNULL(1);

/* driver.c */
MUST_USE enum err program_driver_open(struct driver **out, const struct ipsec_driver_ops *ops,
				      void *ctx, enum port_role role, uint32_t mtu) NONNULL(1, 2);

/* port.c */
void ports_free(struct ipsec_engine *e) NONNULL(1);
void ports_free_named(struct ipsec_engine *e, const char *name) NONNULL(1, 2);

/* events.c */
void events_observe(struct ipsec_engine *e) NONNULL(1);
void events_stopped(struct ipsec_engine *e) NONNULL(1);
void events_free(struct ipsec_engine *e) NONNULL(1);

/* asks.c: the engine's hook; ctx is the struct ipsec_engine. */
bool asks_take(void *ctx, const struct ike_ask *ask);

/* convert.c */
struct ipsec_endpoint endpoint_out(const struct endpoint *ep) NONNULL(1);
struct ipsec_path path_out(const struct path_addr *p) NONNULL(1);
struct path_addr path_in(const struct ipsec_path *p) NONNULL(1);
struct ipsec_selector selector_out(const struct ts *ts) NONNULL(1);
void selectors_out(struct ipsec_selector *out, const struct ts *ts, uint32_t num) NONNULL(1, 2);

/* embed_inside - whether this thread is in a call of an engine: a callback is. */
bool embed_inside(void);

/* use.c: embed_serve - answer what came by <latchkey/ipsec.h>, at the end of each call. embed_unuse
 * - it is answered here no longer; before the lock. embed_app_free - let go of what it had. */
void embed_serve(struct embed_app *a) NONNULL(1);
void embed_unuse(struct ipsec_engine *e) NONNULL(1);
void embed_app_free(struct embed_app *a);
/* embed_app_path_event - what happens to a path, for who called; NULL: nobody has. */
struct engine_path_event;
void embed_app_path_event(struct embed_app *a, const struct engine_path_event *event) NONNULL(2);

/* struct passed - sockets that calls were about, by their number: the kernel tells nobody without
 * privilege that one was closed, so they are looked at. Zero to begin with. */
struct passed {
	struct list_node list; /* the next to be looked at first */
	struct htab by_cookie;
	uint64_t look_ns;
};

/* passed.c: passed_inspect - look at a socket, and remember it. passed_look - of some that are
 * remembered tell the engine that they are gone; does little, and that once a second. */
MUST_USE enum err passed_init(struct passed *p) NONNULL(1);
void passed_fini(struct passed *p) NONNULL(1);
MUST_USE enum err passed_inspect(struct passed *p, const struct app_backend *backend,
				 struct host_socket *out, int fd, const struct flow *pair)
	NONNULL(1, 2, 3);
void passed_look(struct passed *p, const struct app_backend *backend) NONNULL(1, 2);

/* embed_socket_inspect - the host's operation; ctx is the struct ipsec_engine. use.c */
MUST_USE enum err embed_socket_inspect(void *ctx, struct host_socket *out, int fd,
				       const struct flow *pair);

/* no_host - nothing of the host is touched; it still knows from which address it would reach a
 * peer, and what a socket is that the program itself passes. */
struct host no_host(struct ipsec_engine *e) NONNULL(1);
