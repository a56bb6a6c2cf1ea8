/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - the composition: one data path, one keying engine, the host's devices and routes. What
 * the daemon, the control socket and the library for embedders are built on. It has no loop of its
 * own: whoever has one waits until engine_fd() is readable and calls engine_dispatch().
 *
 * Thread: one at a time, for everything here. No signal handler, no fork, no exit.
 */
#pragma once

#include "api/engine/fetcher.h"
#include "api/engine/signer.h"
#include "base/host.h"
#include "base/log.h"
#include "control/conf/conf.h"
#include "control/engine.h"
#include "dataplane/dataplane.h"

struct engine;

/* struct engine_port - a driver of the caller's, in place of the devices and sockets that the host
 * would open. Which outer port is which: that with `bare` carries ESP without UDP, the other one
 * IKE and ESP in UDP. */
struct engine_port {
	struct driver *driver;
	bool bare;
	const char *name; /* inner: for the connections that name it as their interface; NULL or "":
			   * shared; copied */
};

/* struct engine_params - what an engine is made of. host, fetcher and signer are taken over
 * (closed with the engine); conf is counted. */
struct engine_params {
	struct host host;
	struct fetcher fetcher; /* ops NULL: nothing is fetched */
	struct signer signer;   /* ops NULL: no keys on tokens */
	struct conf *conf;
	const char *conf_file;   /* what engine_reload() reads; NULL = nothing; copied */
	const char *resolv_file; /* name servers that peers name are written there, in the format of
				  * resolv.conf(5); NULL = nowhere; copied */
	const char *latch_file;  /* where the latches of applications are known to the next process;
				  * NULL = nowhere; copied */
	const char *crash_file;  /* the secret by which peers know of a restart (crash_secret.h);
				  * NULL: they do not */
	const char
		*keylog_dir; /* test builds only: where keys are written; NULL = nowhere; copied */

	/* For embedders; zero for the daemon. */
	const struct engine_port *ports; /* with num_ports > 0 the host opens nothing; the drivers
					  * are taken over, also on failure */
	uint32_t num_ports;
	bool polled;                /* the data path runs in engine_dispatch() and has no thread */
	uint64_t (*now)(void *ctx); /* NULL = clock_now_ns(); only with polled */
	const struct rng *rng;      /* NULL = rng_system(); outlives the engine */
	/* ask - takes a question: true if engine_answer() was or will be called for it; false or
	 * NULL: it is answered from the configuration. */
	bool (*ask)(void *ctx, const struct ike_ask *ask);
	void *ctx; /* of now and ask */
};

/* engine_new - open devices and sockets, install what the configuration asks for, start the worker.
 * Errors: NOMEM; SYS, PERM (the log says what could not be opened); CRYPTO; NOT_FOUND (no such
 * AEAD back end). On failure host, fetcher and signer stay the caller's, and the interface and the
 * guard stay as they stand: a restart that fails does not open what was guarded. */
MUST_USE enum err engine_new(struct engine **out, const struct engine_params *params) NONNULL(1, 2);

/* engine_fd - readable when engine_dispatch() is to be called; for as long as the engine lives. */
int engine_fd(const struct engine *e) NONNULL(1);

/* engine_dispatch - do all that is to be done now; never blocks. Calling it too often is harmless.
 */
void engine_dispatch(struct engine *e) NONNULL(1);

/* engine_deadline - when engine_dispatch() has something to do though nothing arrives, on the
 * engine's clock; TIME_NEVER if it has not. engine_wake - make engine_fd() readable. */
uint64_t engine_deadline(const struct engine *e) NONNULL(1);
void engine_wake(struct engine *e) NONNULL(1);

/* engine_stop - orderly end: tell every peer (DELETE) and wait for them, 2 seconds at most; then
 * `done` is called from engine_dispatch() or from here, and after that engine_free() may be. */
void engine_stop(struct engine *e, void (*done)(void *ctx), void *ctx) NONNULL(1, 2);

/* engine_free - remove routes, rules, guard and device, and free everything. Not from within
 * engine_dispatch(). NULL is accepted. */
void engine_free(struct engine *e);

/* engine_abandon - as engine_free(), but routes, rules, guard and device stay as they stand, and
 * the host, the fetcher and the signer are the caller's again: for a start that fails after
 * engine_new(). */
void engine_abandon(struct engine *e) NONNULL(1);

/* engine_configure - replace the configuration: new policies are installed, those that are gone are
 * removed, SAs of connections that changed or went stay until they end. The old one loses its
 * secrets, whoever refers to it. Errors: NOMEM: the old configuration is whole. */
MUST_USE enum err engine_configure(struct engine *e, struct conf *conf) NONNULL(1, 2);

/* engine_load_conf - read and validate a file; diags hold every remark, also on success. Errors:
 * SYS (cannot be read), CONFIG, NOMEM, LIMIT. Any thread. */
MUST_USE enum err engine_load_conf(struct conf **out, struct conf_diags *diags, const char *file)
	NONNULL(1, 2, 3);

/* engine_addresses_changed - addresses or routes of the host are others: connections follow (RFC
 * 4555), or are made anew. For a host whose watch_open() is UNSUPPORTED; else it comes by itself.
 */
void engine_addresses_changed(struct engine *e) NONNULL(1);

/* engine_reload - read the configuration file again and put it in force; on an error the old one
 * stays whole and diags say why. Errors: as engine_load_conf(), NOT_FOUND (there is no file). */
MUST_USE enum err engine_reload(struct engine *e, struct conf_diags *diags) NONNULL(1, 2);

/* engine_check - as engine_load_conf() of `file` (NULL: the engine's own), and forget it. Errors:
 * as there; NOT_FOUND (there is no file). */
MUST_USE enum err engine_check(struct engine *e, struct conf_diags *diags, const char *file)
	NONNULL(1, 2);

/* engine_conf - the current configuration, borrowed. */
struct conf *engine_conf(struct engine *e) NONNULL(1);

/* engine_up - bring up a child (conn may be NULL: found by the child's name) or, with child NULL,
 * an IKE SA. Resolves names first. The outcome comes to observers as an event with this request
 * number (engine_request() makes one). Errors: NOT_FOUND; EXISTS (it is up). */
MUST_USE enum err engine_up(struct engine *e, const char *conn, const char *child, uint64_t request)
	NONNULL(1);

/* engine_down, engine_rekey - see ike_terminate(), ike_rekey(). Down also means: do not bring it up
 * again by yourself, and let pass what was stopped when the SAs were lost; if that was all there
 * was to do, it is OK with *out_num = 0. */
MUST_USE enum err engine_down(struct engine *e, uint32_t *out_num, const struct ike_select *sel)
	NONNULL(1, 2, 3);
MUST_USE enum err engine_rekey(struct engine *e, uint32_t *out_num, const struct ike_select *sel)
	NONNULL(1, 2, 3);

/* struct engine_redirect - whom another gateway is named, as people say it; at least one of the
 * first four. */
struct engine_redirect {
	const char *conn;    /* NULL: any */
	uint32_t ike_id;     /* 0: any */
	const char *peer_ip; /* an address, a prefix or "LOW-HIGH" that the peer is of; NULL: any */
	const char *peer_id; /* its identity, or "*" and how that ends; NULL: any */
	const char *gateway; /* an address or a name */
};

/* engine_redirect - see ike_redirect(). Errors: as there; INVAL also for what is no address or
 * identity, or if nobody is named. */
MUST_USE enum err engine_redirect(struct engine *e, uint32_t *out_num,
				  const struct engine_redirect *r) NONNULL(1, 2, 3);

/* ENGINE_TEXT_MAX - room for one sentence that tells people why. ENGINE_ID_MAX - for an identity.
 */
#define ENGINE_TEXT_MAX 512
#define ENGINE_ID_MAX   300

/* enum engine_path_act - what is done about a path by hand. */
enum engine_path_act {
	ENGINE_PATH_ADD,    /* one more, from local to remote, with priority and weight */
	ENGINE_PATH_REMOVE, /* it goes, when the last packets have come by it, or `now` */
	ENGINE_PATH_SOFT,   /* traffic moves there as soon as it carries; the others wait */
	ENGINE_PATH_HARD,   /* the same; those that had it go */
	ENGINE_PATH_PREFER, /* its priority is the first one; IKE stays where it is */
};

/* ENGINE_LEAVE_NS - the last packets by a path that is removed are waited for no longer. */
#define ENGINE_LEAVE_NS (2 * NS_PER_S)

/* struct engine_path_request - name: of a connection, or the peer's identity as lists show it; all
 * IKE SAs that it means are concerned. The path is that with number `id`; with 0 the one that
 * begins, or else ends, at `local`, where SOFT and HARD make a new one if that is an address of
 * this host. With a tag SOFT and HARD are about the children alone that have it (`path_tag`), of
 * both sides, and the path must be there. What is said holds as long as the IKE SA and those that
 * re-key it, whatever the configuration has. A path that carries is removed in order, where this
 * side decides: traffic goes by others (`leaving`), the last packets of both sides are waited for,
 * and then it goes; so it does if it fails meanwhile, or ENGINE_LEAVE_NS after the peer has heard
 * of it. Where no other path carries by then it stays. */
struct engine_path_request {
	enum engine_path_act act;
	const char *name; /* NULL: ike_id alone says it */
	uint32_t ike_id;  /* this IKE SA alone; 0: all */
	uint16_t id;
	struct ip_addr local, remote; /* remote unset: where IKE goes */
	uint8_t priority;             /* ADD */
	uint16_t weight;              /* ADD; 0: 1 */
	bool now;                     /* REMOVE: nothing is waited for */
	const char *tag;              /* SOFT, HARD; NULL: all traffic */
	uint64_t request;             /* 0 = none; a peer that refuses it later undoes it */
};

/* engine_path - begin; of each IKE SA that does it observers are told DONE or REFUSED, also by its
 * going. *out_num: how many IKE SAs do it; *out_id: the path's number on the last of
 * them, 0 = the peer gives it one. text: why not, if none does. Errors: NOT_FOUND (nothing of that
 * name is up, no such path), UNSUPPORTED (the peer has one path alone), PERM (the peer decides),
 * EXISTS (there is such a path), INVAL (addresses), LIMIT, NOMEM. */
MUST_USE enum err engine_path(struct engine *e, uint32_t *out_num, uint16_t *out_id,
			      const struct engine_path_request *req,
			      char text[static ENGINE_TEXT_MAX]) NONNULL(1, 2, 3, 4);

/* struct engine_path_info - a path to a peer. probed: there is a quality. */
struct engine_path_info {
	struct path_info path;
	struct path_quality quality;
	bool probed;
};

/* engine_paths - those to a peer, named as in ike_sa_info, as dataplane_path_list() has them;
 * returns how many. */
uint32_t engine_paths(struct engine *e, struct engine_path_info out[static PATHS_MAX],
		      uint64_t peer) NONNULL(1);

/* engine_request - a fresh request number, never 0. */
uint64_t engine_request(struct engine *e) NONNULL(1);

/* enum engine_path_news - what happened to a path. */
enum engine_path_news {
	ENGINE_PATH_NEW,       /* it is there, and asked */
	ENGINE_PATH_USABLE,    /* it carries */
	ENGINE_PATH_LOST,      /* it does not any more */
	ENGINE_PATH_ELSEWHERE, /* its ends are others */
	ENGINE_PATH_MOVED,     /* traffic goes by it from now on; from: by which one before */
	ENGINE_PATH_GONE,      /* it was removed */
	ENGINE_PATH_DRAINED, /* both sides send by others, and the peer's last packets have come */
	ENGINE_PATH_DONE,    /* the peer does what the request asked for */
	ENGINE_PATH_REFUSED, /* or it does not, and all is as it was: text */
	ENGINE_PATH_NEWS_NUM
};

/* struct engine_path_event - borrowed during the call. */
struct engine_path_event {
	enum engine_path_news news;
	const char *conn; /* NULL: not known */
	uint32_t ike_id;  /* unique number of the IKE SA */
	uint16_t id;
	uint16_t from; /* MOVED; 0: by none */
	struct path_addr addr;
	uint64_t request; /* DONE, REFUSED */
	bool own;         /* REFUSED: not by the peer, but by this side */
	const char *text; /* REFUSED, DONE: a clause, or ""; else "" */
};

/* struct engine_observer - is told of every event, of what happens to paths, and of every log line;
 * embedded in the observer's state. Each function may be NULL. Must not call engine_free(). */
struct engine_observer {
	struct list_node node;
	void (*event)(struct engine_observer *o, const struct ike_event *ev);
	void (*path)(struct engine_observer *o, const struct engine_path_event *ev);
	void (*log)(struct engine_observer *o, enum log_level level, enum log_subsystem sub,
		    const char *connection, const char *line);
};
void engine_observe(struct engine *e, struct engine_observer *o) NONNULL(1, 2);
void engine_unobserve(struct engine *e, struct engine_observer *o) NONNULL(1, 2);

/* engine_vif_add - a driver for the connections that name this interface, at any time; it is the
 * engine's, also on failure. Errors: EXISTS, NOMEM, FULL, SYS. engine_vif_remove - Errors:
 * NOT_FOUND, BUSY (traffic of a connection goes by it). */
MUST_USE enum err engine_vif_add(struct engine *e, const char *name, struct driver *driver)
	NONNULL(1, 2, 3);
MUST_USE enum err engine_vif_remove(struct engine *e, const char *name) NONNULL(1, 2);

/* engine_has_vif - engine_vif_add() under this name would say EXISTS. */
bool engine_has_vif(struct engine *e, const char *name) NONNULL(1, 2);

/* engine_answer - the answer to a question that `ask` took. Late or unknown ids are ignored. */
void engine_answer(struct engine *e, uint64_t id, const struct ike_answer *answer) NONNULL(1, 3);

/* engine_class - whom a packet's token stands for, see dataplane_class(). */
MUST_USE enum err engine_class(struct engine *e, struct class_info *out, uint32_t token)
	NONNULL(1, 2);

/* struct engine_policy - an SPD entry that the engine has installed; borrowed during the call. */
struct engine_policy {
	const char *conn, *child;
	enum policy_action action;
	uint32_t priority;
	bool trap;        /* stands whether or not there are SAs */
	bool closed;      /* PROTECT: no SA can send now: packets wait for one or are dropped */
	uint32_t num_sas; /* pairs of SAs that serve it */
	const struct ts *local, *remote;
	uint32_t num_local, num_remote;
};

/* engine_each_policy - call fn for every one, the newest group last. fn changes nothing. */
void engine_each_policy(struct engine *e, void (*fn)(void *ctx, const struct engine_policy *policy),
			void *ctx) NONNULL(1, 2);

/* struct engine_port_info - a port of a gateway's; borrowed during the call. */
struct engine_port_info {
	const char *name, *device, *driver;
	const char *offloads; /* that are in use: "tx_checksum tso4"; "" or NULL: none */
	uint8_t mac[6];
	bool up;
	uint32_t mtu;
	uint32_t speed_mbps;           /* 0 = not known */
	uint32_t num_queues;           /* each way, one worker's each */
	const char *spread;            /* who spreads flows over them: "rss", "host", "none" */
	const char *steered;           /* ESP that goes by its SPI: "esp4 esp6 udp4 udp6", some */
	uint64_t rx_packets, rx_bytes; /* as the device counts */
	uint64_t tx_packets, tx_bytes;
	uint64_t rx_lost, rx_error, tx_error;
	uint64_t rx_inner, rx_esp, rx_host; /* frames by whose they were */
	uint64_t tx_fast, tx_host;
	uint64_t rx_inline, tx_inline; /* ESP that the device decrypted and encrypted */
	uint64_t left_to_host; /* packets that the lane did not send itself; told of the first */
};

/* engine_each_port - call fn for every one. */
void engine_each_port(struct engine *e, void (*fn)(void *ctx, const struct engine_port_info *port),
		      void *ctx) NONNULL(1, 2);

/* engine_each_sa, engine_each_lease - as ike_each_sa() and ike_each_lease(). engine_child_stats,
 * engine_ike_stats, engine_dp_stats, engine_worker_stats (false: no such worker): figures.
 * engine_now: the engine's clock. engine_started_s: wall clock of its start. */
void engine_each_sa(struct engine *e, void (*fn)(void *ctx, const struct ike_sa_info *sa),
		    void *ctx) NONNULL(1, 2);
void engine_each_lease(struct engine *e, const char *pool,
		       void (*fn)(void *ctx, const struct ike_lease *l), void *ctx)
	NONNULL(1, 2, 3);
MUST_USE enum err engine_child_stats(struct engine *e, struct child_stats *out, uint64_t child)
	NONNULL(1, 2);
void engine_ike_stats(struct engine *e, struct ike_stats *out) NONNULL(1, 2);
void engine_dp_stats(struct engine *e, struct dataplane_stats *out) NONNULL(1, 2);
MUST_USE bool engine_worker_stats(struct engine *e, struct dataplane_worker_stats *out,
				  uint32_t worker) NONNULL(1, 2);
uint64_t engine_now(const struct engine *e) NONNULL(1);
int64_t engine_started_s(const struct engine *e) NONNULL(1);

/* engine_path_info - the path in use of an IKE SA by its unique number. Errors: NOT_FOUND. */
MUST_USE enum err engine_path_info(struct engine *e, struct path_info *out, uint32_t ike_id)
	NONNULL(1, 2);

/* struct backend, engine_backend - the engine for a control socket's server, see backend.h. */
struct backend;
struct backend engine_backend(struct engine *e) NONNULL(1);
