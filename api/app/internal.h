/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the server's files share. Thread: the loop's. */
#pragma once

#include "api/app/proto.h"
#include "api/app/quota.h"
#include "api/app/server.h"
#include "base/host.h"
#include "base/htab.h"

/* struct app_out - a message that waits to be sent. */
struct app_out {
	struct list_node node; /* client's out */
	size_t len;
	uint8_t bytes[];
};

/* struct app_client - one connection. */
struct app_client {
	struct list_node node; /* server's clients */
	struct app_server *server;
	struct app_peer peer;
	struct app_user *user;
	uint64_t number; /* what the engine knows it by; not used again */
	uint32_t rights;
	void (*wake)(void *ctx);
	void *ctx;
	struct list_node out;
	size_t queued;
	bool events;
	bool doomed;
	bool in_input; /* app_client_input() is running: its caller looks for output */
};

/* struct held - a latch that the server has to do with. maker: the number that the engine has
 * it under; client: whose it is now, 0 = nobody's until somebody finds it. counted: in the user's
 * quota. */
struct held {
	struct list_node node;
	struct htab_node by_id;
	uint64_t id, maker, client;
	struct app_user *user;
	bool keep, counted;
};

/* struct wait - a REQUIRE or RUN that is not answered yet. */
struct wait {
	struct list_node node;
	struct app_client *client;
	uint32_t id;
	uint16_t verb;
	uint64_t latch;
	uint64_t deadline_ns;
};

/* struct path_wait - a PATH whose peers have not all answered: num of them are to. */
struct path_wait {
	struct list_node node;
	struct app_client *client;
	uint32_t id;
	uint64_t request, deadline_ns;
	uint32_t num, answered;
	uint16_t path;
	enum app_code code;
	char text[APP_TEXT_MAX];
};

/* struct ask - a decision that a client may make. */
struct ask {
	struct list_node node;
	uint64_t id, maker, client, deadline_ns;
};

/* APP_WAITS_MAX, APP_ASKS_MAX - open at once, of one client. */
#define APP_WAITS_MAX 64
#define APP_ASKS_MAX  64

/* struct app_server - see server.h. */
struct app_server {
	const struct app_backend *backend;
	struct conf_app conf;
	uint64_t instance;
	uint64_t next_client;
	struct list_node clients;
	uint32_t num_clients;
	struct list_node latches, waits, path_waits, asks;
	struct htab by_id; /* of latches */
	struct app_users users;
};

/* struct call - a request that is being answered. out: the answer's attributes; deferred: the
 * answer comes later. sock: of the descriptor, if the verb is about a socket. */
struct call {
	struct app_client *client;
	struct app_server *server;
	const struct app_ops *ops;
	void *ctx; /* the backend's */
	const struct app_msg *msg;
	const struct app_attrs *in;
	int fd;
	bool has_sock;
	struct host_socket sock;
	struct writer out;
	uint32_t num_entries; /* of a list, in out */
	bool deferred;
	char text[APP_TEXT_MAX]; /* why not, for people */
};

/* struct verb - one row of the table. An error is the answer; NOMEM too. */
struct verb {
	uint32_t right;
	enum {
		FD_NONE,
		FD_SOCKET,       /* there has to be one */
		FD_MAYBE_SOCKET, /* there may be */
		FD_FILE,
	} fd;
	enum err (*run)(struct call *call);
};

#define VERB(name) MUST_USE enum err name(struct call *call)
VERB(verb_hello); /* verbs_read.c */
VERB(verb_socket_token);
VERB(verb_token_info);
VERB(verb_interface_token);
VERB(verb_latch_find);
VERB(verb_latch_inquire);
VERB(verb_profiles);
VERB(verb_list);
VERB(verb_latch_create); /* verbs_latch.c */
VERB(verb_latch_release);
VERB(verb_require);
VERB(verb_demand);
VERB(verb_reauthenticate);
VERB(verb_delete);
VERB(verb_trigger);
VERB(verb_run);    /* verbs_run.c */
VERB(verb_decide); /* verbs_set.c */
VERB(verb_events);
VERB(verb_profile_set);
VERB(verb_credential_add);
VERB(verb_path); /* verbs_path.c */
VERB(verb_paths);

/* make_room - an entry of a list comes: what is full goes first. verbs_read.c */
void make_room(struct call *call) NONNULL(1);

/* verbs_path.c: as waits_run(), waits_deadline() and waits_gone() of what is said of paths. */
void path_waits_run(struct app_server *s, uint64_t now_ns) NONNULL(1);
uint64_t path_waits_deadline(const struct app_server *s) NONNULL(1);
void path_waits_gone(struct app_server *s, const struct app_client *c) NONNULL(1, 2);

/* send_message - queue a message; too much unread or no memory dooms the client. */
void send_message(struct app_client *c, const struct writer *w) NONNULL(1, 2);

/* send_part - answer what is in call->out with MORE, and begin anew. verbs_read.c's lists. */
void send_part(struct call *call) NONNULL(1);

/* client_find - by number; NULL if it is gone. */
struct app_client *client_find(const struct app_server *s, uint64_t number) NONNULL(1);

/* deny - log, rate-limited, what a client may not; returns e. */
MUST_USE enum err deny(struct call *call, enum err e, const char *why) NONNULL(1, 3);

/* latches.c: latch_own - the latch that the request names, if it is the client's own or he has the
 * right `all`; else NOT_FOUND. held_add - note that it is the client's. held_find - NULL if it is
 * not known. held_drop - forget. held_gone - a client has gone. */
MUST_USE enum err latch_own(struct call *call, struct app_latch *out, uint32_t all) NONNULL(1, 2);
MUST_USE bool latch_is_own(const struct call *call, const struct app_latch *latch) NONNULL(1, 2);
MUST_USE enum err held_add(struct app_server *s, const struct app_latch *latch, uint64_t client,
			   bool counted, bool keep) NONNULL(1, 2);
struct held *held_find(const struct app_server *s, uint64_t id) NONNULL(1);
void held_drop(struct app_server *s, struct held *rec) NONNULL(1);
void held_gone(struct app_server *s, const struct app_client *c) NONNULL(1, 2);

/* verbs_run.c: cgroup_end - one that did not stand in time. cgroup_event - what became of one. */
void cgroup_end(struct app_server *s, uint64_t id) NONNULL(1);
void cgroup_event(struct app_server *s, const struct app_latch *latch) NONNULL(1, 2);

/* waits.c: wait_add - the client's request `id` is answered when the latch stands or fails.
 * Errors: FULL, NOMEM. wait_tell - a latch's state. waits_gone - of a client. require_answer - put
 * what became of a latch into call->out; AGAIN: nothing yet. */
MUST_USE enum err wait_add(struct call *call, uint64_t latch) NONNULL(1);
void wait_tell(struct app_server *s, const struct app_latch *latch) NONNULL(1, 2);
void waits_gone(struct app_server *s, const struct app_client *c) NONNULL(1, 2);
void waits_run(struct app_server *s, uint64_t now_ns) NONNULL(1);
uint64_t waits_deadline(const struct app_server *s) NONNULL(1);
MUST_USE enum app_code put_outcome(struct writer *w, const struct app_latch *latch) NONNULL(1, 2);

/* encode.c: put_latch, put_class, put_profile - as attributes inside; take_demand, take_profile -
 * the reverse. Errors: INVAL. method_of - APP_METHOD_* of an enum auth_method. */
void put_latch(struct writer *w, const struct app_latch *latch) NONNULL(1, 2);
void put_class(struct writer *w, const struct app_class *class) NONNULL(1, 2);
void put_proof(struct writer *w, const struct auth_proof *proof) NONNULL(1, 2);
void put_profile(struct writer *w, const struct app_profile *profile) NONNULL(1, 2);
MUST_USE enum err take_demand(struct app_demand *out, const struct app_attrs *in) NONNULL(1, 2);
MUST_USE enum err take_profile(struct app_profile *out, const struct app_attrs *in) NONNULL(1, 2);

/* TRY - return the first failure; only where nothing is owned. */
#define TRY(expr)                           \
	do {                                \
		enum err try_err_ = (expr); \
		if (try_err_)               \
			return try_err_;    \
	} while (0)
