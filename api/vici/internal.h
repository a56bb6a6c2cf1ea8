/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of the management server share: clients, waiting commands, the table
 * of commands, and how things are put into trees. Control thread.
 */
#pragma once

#include "api/vici/proto.h"
#include "api/vici/server.h"
#include "base/list.h"

/* enum vici_event_id - events that a client can register for; vici_event_name() names them. */
enum vici_event_id {
	EV_LOG,
	EV_CONTROL_LOG,
	EV_LIST_SA,
	EV_LIST_POLICY,
	EV_LIST_CONN,
	EV_LIST_CERT,
	EV_LIST_AUTHORITY,
	EV_IKE_UPDOWN,
	EV_IKE_REKEY,
	EV_IKE_UPDATE,
	EV_CHILD_UPDOWN,
	EV_CHILD_REKEY,
	EV_LATCHKEY_CONN,
	EV_LATCHKEY_SA,
	EV_LATCHKEY_POLICY,
	EV_LATCHKEY_PATH,
	EV_LATCHKEY_PATH_EVENT,
	EV_NUM
};
const char *vici_event_name(enum vici_event_id id);

/* REQUEST_FIRST - numbers of our requests are larger than those that the engine gives itself. */
#define REQUEST_FIRST (1ull << 63)

/* struct vici_client - one connection. */
struct vici_client {
	struct list_node node; /* server's clients */
	struct vici_server *server;
	void (*wake)(void *ctx);
	void *ctx;
	uint8_t *in; /* what has come of the packets not handled yet */
	size_t in_len, in_cap;
	uint8_t *out; /* out_len bytes to be written from out_at on */
	size_t out_at, out_len, out_cap;
	uint32_t events; /* bits by enum vici_event_id */
	bool doomed;
	bool in_input;   /* vici_client_input() is running: its caller looks for output */
	struct job *job; /* command that waits for events, NULL if none */
};

/* struct failure - the last failed negotiation of a connection, or of nobody's. */
struct failure {
	struct list_node node;
	char *conn; /* "" when no connection was chosen */
	char *child;
	char text[BACKEND_TEXT_MAX];
	char remote[ENDPOINT_TEXT_MAX];
	char phase[32];                                 /* "IKE_AUTH", or "" */
	char here[IKE_OFFER_MAX], there[IKE_OFFER_MAX]; /* as in struct ike_event */
	enum ike_reason reason;
	int64_t wall_s;
	bool over; /* the connection has come up since */
};

/* PATH_EVENTS_MAX - that are remembered. struct path_event - one of them. */
#define PATH_EVENTS_MAX 32
struct path_event {
	enum engine_path_news news;
	char conn[64]; /* cut to fit */
	uint32_t ike_id;
	uint16_t id, from;
	struct path_addr addr;
	int64_t wall_s;
};

/* struct vici_server - see server.h. */
struct vici_server {
	const struct backend *backend;
	struct list_node clients;
	uint32_t num_clients;
	struct list_node jobs;
	uint64_t next_request;
	struct list_node failures; /* newest first */
	uint32_t num_failures;
	struct path_event path_events[PATH_EVENTS_MAX]; /* a ring: number n is at n % MAX */
	uint64_t num_path_events;                       /* since the start */
	bool in_log;
};

/* vici_client_send - queue a packet for the client. Too much unread or no memory dooms it. */
void vici_client_send(struct vici_client *c, enum vici_type type, const char *name,
		      const struct tree *message) NONNULL(1);

/* vici_client_wants - the client has registered for the event. */
bool vici_client_wants(const struct vici_client *c, enum vici_event_id id) NONNULL(1);

/* vici_client_event - an event to one client, if it wants it. */
void vici_client_event(struct vici_client *c, enum vici_event_id id, const struct tree *message)
	NONNULL(1, 3);

/* vici_broadcast - an event to everyone who wants it; vici_anyone_wants - is there anyone? */
void vici_broadcast(struct vici_server *s, enum vici_event_id id, const struct tree *message)
	NONNULL(1, 3);
bool vici_anyone_wants(const struct vici_server *s, enum vici_event_id id) NONNULL(1);

/* vici_client_input's second half: handle packets until one has to wait or none is whole. */
MUST_USE enum err vici_client_work(struct vici_client *c) NONNULL(1);

/*
 * struct command - one row of the table. run() fills in `out`, the answer, or starts a job and sets
 * client->job: then the answer comes when the job ends. Errors: NOMEM (dooms the client); a command
 * that fails answers success = no.
 */
struct call {
	struct vici_client *client;
	struct vici_server *server;
	const struct backend_ops *ops;
	void *ctx; /* the backend's */
	const struct tree *in;
	struct tree *out;
};
struct command {
	const char *name;
	enum err (*run)(struct call *call);
};
extern const struct command vici_commands[];

/* reply_ok - success = yes. reply_failed - success = no, errmsg, and the error's name for our own
 * programs. */
MUST_USE enum err reply_ok(struct tree *out) NONNULL(1);
MUST_USE enum err reply_failed(struct tree *out, enum err why, const char *fmt, ...) NONNULL(1, 3)
	PRINTF_LIKE(3, 4);

/* Commands, by file. */
#define COMMAND(name) MUST_USE enum err name(struct call *call)
COMMAND(cmd_version); /* status.c */
COMMAND(cmd_stats);
COMMAND(cmd_latchkey_stats);

/* set_ports - the section "ports" of the answer, where there are any. ports.c */
MUST_USE enum err set_ports(struct call *call, bool counters) NONNULL(1);
COMMAND(cmd_get_algorithms);
COMMAND(cmd_load_conn); /* load.c */
COMMAND(cmd_unload_conn);
COMMAND(cmd_get_conns);
COMMAND(cmd_load_pool);
COMMAND(cmd_unload_pool);
COMMAND(cmd_load_shared);
COMMAND(cmd_unload_shared);
COMMAND(cmd_get_shared);
COMMAND(cmd_clear_creds);
COMMAND(cmd_load_cert); /* creds.c */
COMMAND(cmd_load_key);
COMMAND(cmd_load_token);
COMMAND(cmd_flush_certs);
COMMAND(cmd_unload_key);
COMMAND(cmd_get_keys);
COMMAND(cmd_load_authority);
COMMAND(cmd_unload_authority);
COMMAND(cmd_get_authorities);
COMMAND(cmd_list_authorities);
COMMAND(cmd_list_certs);
COMMAND(cmd_initiate); /* job.c */
COMMAND(cmd_terminate);
COMMAND(cmd_rekey);
COMMAND(cmd_redirect);
COMMAND(cmd_latchkey_path);
COMMAND(cmd_list_sas); /* list.c */
COMMAND(cmd_list_conns);
COMMAND(cmd_list_policies);
COMMAND(cmd_latchkey_show);     /* show.c */
COMMAND(cmd_latchkey_policies); /* policies.c */
COMMAND(cmd_get_pools);         /* pools.c */
COMMAND(cmd_latchkey_paths);    /* paths.c */
COMMAND(cmd_latchkey_load);     /* reload.c */
COMMAND(cmd_latchkey_check);

/* put_in_force - make `next` the configuration and answer the call; takes the reference. load.c */
MUST_USE enum err put_in_force(struct call *call, struct conf *next) NONNULL(1, 2);

/* job_path_event - an answer of a peer may end a waiting command. */
void job_path_event(struct vici_server *s, const struct engine_path_event *event) NONNULL(1, 2);

/* path_request_take - latchkey-path's message: act (add, remove, soft, hard, prefer), now (yes: of
 * remove), name or ike-id, path or local, remote, priority, weight, tag. Name and tag are the
 * message's. Errors: INVAL (text says what is wrong). path_request.c */
MUST_USE enum err path_request_take(struct engine_path_request *out, const struct tree *in,
				    char text[BACKEND_TEXT_MAX]) NONNULL(1, 2, 3);

/* path_event_note - remember it, and tell who listens. path_events_fill - the last ones as sections
 * of `parent`, the oldest first. path_event.c */
void path_event_note(struct vici_server *s, const struct engine_path_event *event) NONNULL(1, 2);
MUST_USE enum err path_events_fill(const struct vici_server *s, struct tree *parent) NONNULL(1, 2);

/* job_event - a waiting command may end by this event. jobs_run, jobs_deadline - by time. job_free
 * - forget a job: its client has gone. job.c */
void job_event(struct vici_server *s, const struct ike_event *event) NONNULL(1, 2);
void jobs_run(struct vici_server *s, uint64_t now_ns) NONNULL(1);
uint64_t jobs_deadline(const struct vici_server *s) NONNULL(1);
void job_free(struct job *job);

/* failure_note - remember why a negotiation failed, or that its connection is up. failure_of - the
 * last one of a connection, NULL if none. failures_free - forget all. failure.c */
void failure_note(struct vici_server *s, const struct ike_event *event) NONNULL(1, 2);
const struct failure *failure_of(const struct vici_server *s, const char *conn) NONNULL(1, 2);
void failures_free(struct vici_server *s) NONNULL(1);

/* sa_section - append a section named like the connection with what list-sas tells about an IKE SA,
 * and the children from `first` on, at most num of them (0: none and no child-sas section). sa.c */
MUST_USE enum err sa_section(const struct backend *backend, struct tree *parent,
			     const struct ike_sa_info *sa, uint32_t first, uint32_t num)
	NONNULL(1, 2, 3);
/* sa_fill - the same of the IKE SA itself into a section that is there, sa_child - of one child. */
MUST_USE enum err sa_fill(const struct backend *backend, struct tree *t,
			  const struct ike_sa_info *sa) NONNULL(1, 2, 3);
MUST_USE enum err sa_child(const struct backend *backend, struct tree *t,
			   const struct ike_sa_info *sa, const struct ike_child_info *child)
	NONNULL(1, 2, 3, 4);
/* sa_path - the path of an IKE SA as a section `path`. sa.c */
MUST_USE enum err sa_path(const struct backend *backend, struct tree *parent,
			  const struct ike_sa_info *sa) NONNULL(1, 2, 3);
/* sa_paths - who decides about its paths and how they are used, where several are agreed on, and
 * each of them in the section `paths`. sa.c */
MUST_USE enum err sa_paths(const struct backend *backend, struct tree *t,
			   const struct ike_sa_info *sa) NONNULL(1, 2, 3);
/* SA_CHILDREN_CHUNK - children in one event at most, so that it fits a packet. */
#define SA_CHILDREN_CHUNK 100
/* sa_state_text - "ESTABLISHED". sa.c */
const char *sa_state_text(enum ike_sa_state state);

/* mode_name - as strongSwan calls it: "TUNNEL", "TRANSPORT", "PASS", "DROP". conns.c */
const char *mode_name(enum conf_mode mode);

/* conn_section - append a section with what list-conns tells about a connection. conns.c */
MUST_USE enum err conn_section(struct tree *parent, const struct conf_conn *conn) NONNULL(1, 2);
/* ts_list - configured selectors as the list `name`. addrs_list - addresses. conns.c */
MUST_USE enum err ts_list(struct tree *parent, const char *name, const struct conf_ts *list,
			  uint32_t num) NONNULL(1, 2);
MUST_USE enum err addrs_list(struct tree *parent, const char *name, const struct conf_addr *list,
			     uint32_t num) NONNULL(1, 2);

/* updown_event - tell who listens that an SA came up, went down or was re-keyed. updown.c */
void updown_event(struct vici_server *s, const struct ike_event *event) NONNULL(1, 2);

/* TRY - return the first failure; only where nothing is owned. */
#define TRY(expr)                           \
	do {                                \
		enum err try_err_ = (expr); \
		if (try_err_)               \
			return try_err_;    \
	} while (0)
