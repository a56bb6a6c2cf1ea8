/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - the engine's parts, shared by the files of this folder only. Loop thread.
 *
 *   engine.c   life, and one turn
 *   loop.c     what wakes us, behind one descriptor
 *   crypto.c   a lookaside device for ciphers
 *   gateway.c  DPDK's ports and the fast lane between them; gateway_ports.c, gateway_follow.c
 *   device.c   the virtual interface, and what is opened at the start
 *   sockets.c  the outer sockets, a set for each worker
 *   actions.c  carries out what the keying engine decided
 *   policy.c   SA groups and their policies
 *   guard.c    what the packet filter is to hold of all of them
 *   shunts.c   what passes or is dropped, without SAs
 *   priority.c the order of policies
 *   roam.c     the host's addresses change: whom to tell
 *   vif.c      virtual interfaces of connections' own
 *   vif_class.c whose a packet is, by the one of these that it came by
 *   held.c     addresses of transport mode that the host has lost
 *   routes.c   what leads their traffic to the virtual interface
 *   connect.c  brings connections up, and takes them down
 *   redirect.c which peers another gateway is named to
 *   puzzler.c  puzzles of gateways in a flood, in a thread of its own
 *   resolver.c names to addresses, in threads of their own
 *   starters.c which of them by themselves, and when again
 *   waiters.c  requests for what is under way already
 *   paths.c    several paths to a peer; path_plan.c, path_settle.c, path_hand.c which ones,
 *              path_leave.c which are removed in order, path_events.c what happens to them,
 *              path_link.c links that go down
 *   vips.c     addresses and name servers that peers lend
 *   asks.c     answers the keying engine's questions from the configuration
 *   latch.h    latches of applications, in files of their own
 *   status.c   events to observers, lists, figures
 *   keylog.c   session keys for packet analysers, in test builds only
 */
#pragma once

#include "api/engine/engine.h"
#include "api/engine/path_plan.h"
#include "api/engine/puzzler.h"
#include "api/engine/resolver.h"
#include "base/htab.h"
#include "base/timers.h"

/* HOST_AGAIN_NS - how long until what the host refused is tried again. */
#define HOST_AGAIN_NS (2 * NS_PER_S)

/* struct sa_group - the SAs that protect one child configuration's traffic with one peer. Named by
 * the data path's group number, which is also the owner of its policy. */
struct sa_group {
	struct htab_node by_id;
	struct list_node node;
	uint32_t id;
	uint32_t policy; /* 0 = none installed */
	struct vif *vif; /* NULL: the shared interface */
	char *conn;
	char *child;
	struct ts local[CONF_MAX_TS];
	struct ts remote[CONF_MAX_TS];
	uint32_t num_local, num_remote;
	uint32_t priority;        /* of the policy, the data path's */
	bool transport;           /* between the two hosts of the IKE SA */
	uint32_t num_pairs;       /* child_recs that name this group */
	uint32_t num_outbound;    /* of these, with an outbound SA */
	struct auth_proof *proof; /* of the newest pair, NULL if there was none; a reference */
	bool trap;                /* the configuration wants the policy whether or not SAs are up */
	bool fail_closed;  /* SAs were lost, not ended: keep the policy until told otherwise */
	bool acquiring;    /* a negotiation that a packet asked for is under way */
	uint32_t acquires; /* that failed in a row */
	uint64_t acquire_after_ns; /* no other one before */
};

/* PRIORITY_STEP - between priorities as configured and those of the data path. */
#define PRIORITY_STEP 4u

/* struct shunt - a child with mode = pass or drop. */
struct shunt {
	struct list_node node;
	uint32_t policy;
	uint32_t priority; /* the data path's */
	enum policy_action action;
	char *conn;
	char *child;
	struct ts local[CONF_MAX_TS];
	struct ts remote[CONF_MAX_TS];
	uint32_t num_local, num_remote;
	bool wanted;   /* by the configuration that is looked at */
	bool of_latch; /* not by a configuration: an application asked */
};

/* struct child_rec - an installed pair. */
struct child_rec {
	struct htab_node by_id;
	uint64_t id;
	uint64_t peer;
	struct sa_group *group;
	struct held *held; /* NULL: its addresses are not kept */
	enum child_half half;
};

/* PATHS_AGREED - to a peer: two more places are left for where paths may have moved to. */
#define PATHS_AGREED (PATHS_MAX - 2)

/* PATHS_WINDOW - of replay, with several paths: a gigabit a second of packets of 1,000 bytes by
 * paths whose delays differ by half a second. */
#define PATHS_WINDOW 65536

/* struct peer_rec - the keying engine's name for a path set, and the data path's. */
struct peer_rec {
	struct htab_node by_id;
	struct htab_node by_set;
	uint64_t peer;
	uint32_t set;
	enum path_encap encap;
	bool several;                /* its paths are agreed on one by one, and probed (paths.c) */
	enum path_schedule schedule; /* by which it is sent to, and sends */
	bool steered;                /* rules name paths for some of them (path_rules.c) */
	/* path_events.c: what observers were told of its paths, and for whom */
	struct list_node changed; /* engine's changed, while `telling` */
	bool telling;
	char *conn;
	uint32_t ike_id;
	struct path_info told[PATHS_MAX];
	uint32_t num_told;
	uint32_t links_down; /* path_link.c: bits by path numbers below 32, of links that are */
};

/* struct hand - what was said by hand of the paths to a peer; it goes with the last IKE SA that has
 * the path set. before: and what had been said before the last request, which the peer may refuse.
 */
struct hand {
	struct list_node node;
	uint64_t peer; /* the keying engine's name */
	struct said said, before;
	uint64_t request;
	bool waiting; /* the peer has not said what it does of that one */
	bool seen;    /* there is such an IKE SA */
};

/* struct leaving - a path that is removed by hand in order: left, drained, removed (path_leave.c).
 */
struct leaving {
	struct list_node node;
	struct timer timer; /* what was waited for has happened, or takes too long */
	struct engine *engine;
	uint64_t peer;    /* the keying engine's name */
	uint64_t leave;   /* request by which it is left */
	uint64_t request; /* that is answered when it is removed, 0 = none */
	uint16_t id;
	struct ike_path_info path; /* as it was */
	bool removing;             /* the peer is told that it goes */
	bool refused;              /* and keeps it */
	bool answered;             /* it has said what it does of `leave` */
	bool over;                 /* who asked has been told: that answer alone is waited for */
	const char *note;          /* what came of the waiting; NULL: it goes on */
};

/* struct route_rec - a route into the virtual interface and how many groups want it. */
struct route_rec {
	struct list_node node;
	struct ip_prefix dst;
	uint32_t refs;
};

/* struct starter - a child that is to be up by itself (start_action = start). */
struct starter {
	struct list_node node;
	struct timer retry;
	struct engine *engine;
	char *conn;
	char *child;
	uint32_t tries; /* that failed in a row, for the pause before the next */
	uint32_t asked; /* of these, which the peer did not answer or refused */
	uint64_t request;
	bool stopped; /* taken down by hand: leave it */
};

/* struct waiter - a request for what is under way by another request: it is told the same end. */
struct waiter {
	struct list_node node;
	char *conn;
	char *child;
	uint64_t request;
};

/* struct connect_wish - what a request wants in particular, see struct ike_initiate_params. */
struct connect_wish {
	const struct flow *flow; /* NULL if no packet or flow asks */
	bool narrow;
	uint32_t methods;
	const struct conf_proposal *suite; /* NULL: as configured */
	uint32_t num_suite;
};

/* struct resolving - a name that is being looked up for engine_up(). */
struct resolving {
	struct list_node node;
	uint64_t id; /* the resolver's answer has it */
	char *conn;
	char *child;
	uint64_t request;
	struct connect_wish wish; /* of what follows */
	struct flow flow;
	struct conf_proposal suite[CONF_MAX_PROPOSALS];
};

/* struct loop_source - a descriptor, and what is called when it is readable. The descriptor is its
 * owner's; ready may be NULL: then it is only what wakes us. */
struct loop_source {
	int fd;
	void (*ready)(struct engine *e, struct loop_source *s);
};

/* VIFS_MAX - virtual interfaces of connections' own; the data path has no more ports. */
#define VIFS_MAX 64

/* struct vif - one of them. */
struct vif {
	struct list_node node;
	char name[16];
	uint32_t scope; /* 0 = not attached */
	uint16_t port;
	uint32_t num_groups;       /* that name it */
	struct loop_source source; /* polled */
	bool made;                 /* a device of ours; removed with it */
	bool foreign;              /* a driver of the caller's: it stays */
	bool wanted;               /* a connection names it */
	bool marks;                /* sockets are told by marks whose a packet of it is */
	bool mixed;                /* packets of several classes came out, or may have */
	uint32_t ifindex;          /* 0 = not known */
	uint32_t only;             /* the class that alone comes out; 0 = none yet, or mixed */
	uint64_t told_until_ns;    /* so long what was told of it is believed */
	struct timer lift;         /* then others may come out, or it may go */
	struct engine *engine;
};

struct engine {
	struct host host;
	struct conf *conf;
	struct conf_daemon daemon; /* as at the start: devices and ports do not change meanwhile */
	struct dataplane *dp;
	uint32_t num_workers; /* of dp */
	struct ike_engine *ike;
	struct ike_keyring *keyring;
	bool polled, asking;
	uint64_t (*now)(void *ctx); /* NULL = clock_now_ns() */
	const struct rng *rng;
	bool (*ask)(void *ctx, const struct ike_ask *ask);
	void *ctx; /* of now and ask */

	int epoll_fd; /* what holds all sources */
	struct loop_source timer, dp_events, watch, names, peers_names;
	struct loop_source *port_sources; /* polled: those of the data path's ports */
	uint32_t num_port_sources;
	uint64_t armed_ns;                          /* what the timer is set to; 0 = not known */
	struct resolver *resolver, *peers_resolver; /* of our names, and of those that peers say */
	struct fetcher fetcher;                     /* ops NULL: nothing is fetched */
	struct loop_source fetches;
	struct signer signer; /* ops NULL: no tokens are reached */
	struct loop_source signs;
	struct puzzler *puzzler;
	struct loop_source puzzles;
	struct list_node unanswered; /* questions that wait for what is fetched, or for a token */
	bool fetched;                /* something of it is known that they were not asked about */
	struct aaa *aaa;             /* RADIUS servers */

	struct log_sink sink;
	const struct log_sink *outer_sink;
	struct list_node observers;

	uint16_t outer_port; /* UDP: IKE, and ESP in UDP */
	uint16_t esp_port;   /* bare ESP, if has_esp_port */
	bool has_outer_port, has_esp_port, took_ports;
	struct gateway *gateway; /* NULL: no DPDK's ports */
	struct dpdk *dpdk;       /* without them: for a lookaside device alone */
	uint32_t mtu;            /* of the virtual interface now */
	bool has_marks;          /* they tell sockets of classes, by every interface */
	bool has_device, has_rules, guard_dirty, has_guard;
	bool leave_host; /* the start failed: what stands guarded stays so; host is not ours */

	struct timers timers;
	struct timer again;      /* what the host refused: the guard, a route to a peer */
	struct timer roam;       /* a change of the host's addresses is being waited out */
	uint32_t hurries, looks; /* that were not waited out since it was due, and looked at */
	struct ours ours;        /* the host's addresses, as they were looked at last */
	struct ours listed;      /* the same for the keying engine, while they are watched */
	bool watching, has_listed;
	bool adrift;     /* and somebody went from one that was not among them */
	bool wants_ends; /* a trap waits for a route to its peer */
	bool told;       /* the log has that already */
	struct htab groups_by_id, children, peers, peers_by_set;
	struct latches *latches;
	struct list_node vifs, groups, shunts, routes, starters, resolving, waiters, vips, hands,
		leavings, held;
	struct list_node changed; /* peers whose paths are others than was told */
	uint16_t path_refused;    /* status of an operation of the transaction that is told of */

	uint64_t next_request, next_lookup;
	int64_t started_s;
	uint64_t probe_ns; /* when paths are looked after again */
	bool paths_dirty;  /* which ones are wanted may be others */
	bool stopping, turning, turn_again;
	uint64_t stop_deadline_ns;
	void (*stopped)(void *ctx);
	void *stopped_ctx;
	bool dns_dirty, has_dns; /* name servers may have changed; there are some in the file */
	char *resolv_file;
	char *conf_file;
	char *latch_file;
	char *keylog_dir;
	struct ike_keylog keylog;
};

/* engine_turn - after any input: carry out actions, settle policies, reclaim, re-arm the timer. */
void engine_turn(struct engine *e) NONNULL(1);

/* engine_find - the container of a node found under an 8-byte or 4-byte number, or NULL. */
struct htab_node *engine_find(const struct htab *t, const void *id, size_t len) NONNULL(1, 2);

/* loop.c: sources may be added and taken away at any time, but not by their own ready(). */
MUST_USE enum err loop_open(struct engine *e) NONNULL(1);
void loop_close(struct engine *e) NONNULL(1);
MUST_USE enum err loop_watch(struct engine *e, struct loop_source *s) NONNULL(1, 2);
void loop_unwatch(struct engine *e, const struct loop_source *s) NONNULL(1, 2);
void loop_arm(struct engine *e, uint64_t at_ns, uint64_t now_ns) NONNULL(1);
void loop_dispatch(struct engine *e) NONNULL(1);

/* device.c */
MUST_USE enum err device_open(struct engine *e) NONNULL(1);
MUST_USE enum err device_tap_open(struct engine *e, struct host_tap *out, uint32_t *out_num,
				  const char *name, uint32_t num) NONNULL(1, 2, 3, 4);
void device_bound_supers(struct engine *e, const char *name) NONNULL(1, 2);
MUST_USE bool device_tokens(struct engine *e, const char *name, bool tun) NONNULL(1, 2);
MUST_USE enum err device_attach(struct engine *e, const struct engine_port *ports, uint32_t num)
	NONNULL(1);
void device_close_port(struct driver *driver) NONNULL(1);
MUST_USE enum err device_failed(const struct engine *e, const char *what, enum err err)
	NONNULL(1, 2);
void device_close(struct engine *e) NONNULL(1);
void device_fit_mtu(struct engine *e, uint32_t set, const struct ip_addr *remote) NONNULL(1, 3);

/* sockets.c: queue_attach() - the driver as a worker's queue of a port, which worker 0's makes. */
MUST_USE enum err sockets_open(struct engine *e) NONNULL(1);
MUST_USE enum err queue_attach(struct engine *e, uint16_t *port, uint32_t worker,
			       struct driver *driver) NONNULL(1, 2, 4);

/* gateway.c: nothing, if no ports are configured. gateway_use_host() - what the lane leaves to the
 * host goes by the port of the virtual interface and by the sockets, once they have all their
 * queues. gateway_outer() - where ESP goes, if there is one. */
struct gateway;
MUST_USE enum err gateway_open(struct engine *e) NONNULL(1);
void gateway_use_host(struct engine *e, uint16_t tap) NONNULL(1);
bool gateway_outer(const struct engine *e, uint16_t *out_port) NONNULL(1, 2);
bool gateway_is_outer(const struct engine *e, uint16_t port) NONNULL(1);
void gateway_close(struct engine *e) NONNULL(1);
/* gateway_dpdk - DPDK, started if it was not. Errors: as told in the log. */
MUST_USE enum err gateway_dpdk(struct engine *e, struct dpdk **out) NONNULL(1, 2);

/* crypto.c: crypto_open() - once the data path has its ports. crypto_lost() - DP_EVENT_DEVICE. */
void crypto_open(struct engine *e) NONNULL(1);
void crypto_lost(struct engine *e) NONNULL(1);

/* vif.c */
struct vif *vif_find(struct engine *e, const char *name) NONNULL(1, 2);
bool vif_has_port(const struct engine *e, uint16_t port) NONNULL(1);
bool vif_is_own(const struct engine *e, const struct conf_conn *conn) NONNULL(1);
MUST_USE enum err vif_attach(struct engine *e, const char *name, struct driver *driver)
	NONNULL(1, 2, 3);
void vif_configure(struct engine *e) NONNULL(1);
void vif_settle(struct engine *e) NONNULL(1);
void vif_fit_mtu(struct engine *e) NONNULL(1);
MUST_USE enum err vif_guard(struct engine *e) NONNULL(1);
void vif_fini(struct engine *e) NONNULL(1);

/* vif_class.c: vif_class_open() - a device was made. vif_class_joined() - packets of this class may
 * come out of it from now on. vif_class_busy() - it was told of, and must stay a while.
 * vif_class_of() - the one class of what comes by the device of this index to an address; it stays
 * so for *out_ms. Errors: NOT_FOUND. */
void vif_class_open(struct engine *e, struct vif *v) NONNULL(1, 2);
void vif_class_joined(struct engine *e, struct vif *v, uint32_t token) NONNULL(1, 2);
bool vif_class_busy(struct engine *e, struct vif *v) NONNULL(1, 2);
MUST_USE enum err vif_class_of(struct engine *e, uint32_t *out_token, uint32_t *out_ms,
			       uint32_t ifindex, const struct ip_addr *to) NONNULL(1, 2, 3, 5);

/* actions.c */
void actions_run(struct engine *e) NONNULL(1);
MUST_USE enum err actions_path_info(struct engine *e, struct path_info *out, uint64_t child)
	NONNULL(1, 2);
/* actions_esp_path - where ESP goes if IKE goes by a's path, and by which port. actions_has_paths -
 * the child's peer has several paths, which are probed. */
uint16_t actions_esp_path(const struct engine *e, struct path_addr *out, const struct ike_action *a)
	NONNULL(1, 2, 3);
bool actions_has_paths(struct engine *e, uint64_t child) NONNULL(1);
/* actions_each_child - of a peer. */
struct peer_rec *actions_peer(struct engine *e, uint64_t peer) NONNULL(1);
void actions_each_child(struct engine *e, const struct peer_rec *p,
			void (*fn)(struct engine *e, const struct peer_rec *p, uint64_t child))
	NONNULL(1, 2, 3);
void actions_forget(struct engine *e) NONNULL(1);

/* paths.c: what an action is about a path of the peer; DP_EVENT_PATH and _MOVED. */
void paths_put(struct engine *e, struct peer_rec *p, const struct ike_action *a) NONNULL(1, 2, 3);
void paths_take(struct engine *e, struct peer_rec *p, const struct ike_action *a) NONNULL(1, 2, 3);
void paths_schedule(struct engine *e, struct peer_rec *p, const struct ike_action *a)
	NONNULL(1, 2, 3);
/* paths_child - a pair of a peer is new, or its peer has more than one path now. */
void paths_child(struct engine *e, const struct peer_rec *p, uint64_t child) NONNULL(1, 2);
/* paths_tie - a pair's packets go by this path while it is usable; 0: as all of the peer's. */
void paths_tie(struct engine *e, uint64_t child, uint16_t path) NONNULL(1);
void paths_news(struct engine *e, const struct ike_action *a) NONNULL(1, 2);
void paths_dp_event(struct engine *e, const struct dp_event *ev, uint64_t now_ns) NONNULL(1, 2);

/* path_link.c: path_links() - paths are left at once whose links are down, or whose addresses have
 * gone: before it is settled what that means. */
void path_links(struct engine *e) NONNULL(1);

/* path_settle.c: where this side decides the paths are those that are wanted. */
void paths_settle(struct engine *e) NONNULL(1);

/* path_rules.c: path_rules_set() - the rules of the connection's paths for what this side sends.
 * struct path_tying - the SAs of a child that are to go by this path. path_rules_ties() - of an IKE
 * SA, those that do not all do so yet; returns how many, one for each child of the connection at
 * most. path_rules_tie() - they do, and the peer is told. */
void path_rules_set(struct engine *e, const struct ours *ours, const struct conf_conn *conn,
		    const struct ike_sa_info *sa) NONNULL(1, 2, 3, 4);
struct path_tying {
	const char *child; /* the configuration's */
	uint16_t path;
};
uint32_t path_rules_ties(struct path_tying *out, const struct ours *ours,
			 const struct conf_conn *conn, const struct ike_sa_info *sa)
	NONNULL(1, 2, 3, 4);
void path_rules_tie(struct engine *e, uint32_t ike_id, const struct path_tying *t) NONNULL(1, 3);

/* path_hand.c: hand_of() - NULL: nothing was said. hands_sweep() - those that were not seen go.
 * hands_answered() - the peer does what a request asked for, or does not. hand_removed() - a path
 * that was to go is not to come again, whoever took it away. */
struct hand *hand_of(struct engine *e, uint64_t peer) NONNULL(1);
void hands_sweep(struct engine *e) NONNULL(1);
void hands_answered(struct engine *e, uint64_t peer, uint64_t request, bool done) NONNULL(1);
void hand_removed(struct engine *e, uint64_t peer, const struct ike_path_info *path) NONNULL(1, 3);
void hands_fini(struct engine *e) NONNULL(1);

/* path_leave.c: path_leave() - the path is left, and removed when the last packets have come by it;
 * request is answered then. Errors: EXISTS (that is being done), those of ike_path(). path_left() -
 * the peer's answer to a request; true: it was about leaving one, and the wait begins.
 * path_leave_end() - its answer to another one, which may have gone to several peers; returns what
 * came of the waiting if a path that was left goes by it, else NULL.
 * path_leave_event() - the last packets have come by a path, or else it has failed.
 * path_leaves_gone() - the peer's IKE SA has gone; told: a request that is answered for that, or 0.
 */
MUST_USE enum err path_leave(struct engine *e, const struct ike_sa_info *sa, uint16_t id,
			     uint64_t request) NONNULL(1, 2);
bool path_left(struct engine *e, uint64_t request, bool refused) NONNULL(1);
const char *path_leave_end(struct engine *e, uint64_t peer, uint64_t request, bool refused)
	NONNULL(1);
void path_leave_event(struct engine *e, uint64_t peer, uint16_t id, bool drained) NONNULL(1);
void path_leaves_gone(struct engine *e, uint64_t peer, uint64_t told) NONNULL(1);
void path_leaves_fini(struct engine *e) NONNULL(1);

/* app_path.c: as struct app_ops has them. */
struct app_path;
MUST_USE enum err app_path_op(void *ctx, uint32_t *out_num, uint16_t *out_id,
			      const struct engine_path_request *req, char text[ENGINE_TEXT_MAX]);
uint64_t app_request(void *ctx);
void app_each_path(void *ctx, void (*fn)(void *arg, const struct app_path *path), void *arg);

/* path_events.c: path_events_changed() - the peer's paths may be others now, by an action;
 * path_events_tell() - observers are told of what is other. path_events_forget() - the peer goes.
 * path_events_drained() - one of the peer's paths. path_events_done(), path_events_refused() - what
 * came of a request, with a clause about it, which done() needs not; own: it was not the peer. */
void path_events_changed(struct engine *e, struct peer_rec *p, const struct ike_action *a)
	NONNULL(1, 2, 3);
void path_events_conn(struct peer_rec *p, const char *conn) NONNULL(1);
void path_events_tell(struct engine *e) NONNULL(1);
void path_events_forget(struct peer_rec *p) NONNULL(1);
void path_events_drained(struct engine *e, const struct peer_rec *p, uint16_t id) NONNULL(1, 2);
void path_events_done(struct engine *e, const struct ike_path_say *say, const char *note)
	NONNULL(1, 2);
void path_events_refused(struct engine *e, const struct ike_path_say *say, const char *text,
			 bool own) NONNULL(1, 2, 3);

/* policy.c */
MUST_USE enum err policy_group_for(struct engine *e, struct sa_group **out,
				   const struct ike_child_add *add) NONNULL(1, 2, 3);
struct sa_group *policy_find(struct engine *e, uint32_t id) NONNULL(1);
void policy_joined(struct engine *e, struct sa_group *g, struct auth_proof *proof) NONNULL(1, 2);
void policy_lost(struct engine *e, const char *conn, const char *child) NONNULL(1, 2);
bool policy_release(struct engine *e, const char *conn, const char *child) NONNULL(1);
void policy_init(struct engine *e) NONNULL(1);
void policy_configure(struct engine *e) NONNULL(1);
void policy_settle(struct engine *e) NONNULL(1);
void policy_fini(struct engine *e) NONNULL(1);

/* roam.c: roam_source() and roam_addrs() are ike_env's, ctx is the engine */
MUST_USE enum err roam_open(struct engine *e) NONNULL(1);
void roam_close(struct engine *e) NONNULL(1);
MUST_USE enum err roam_source(void *ctx, struct ip_addr *out, const struct conf_conn *conn,
			      const struct ip_addr *remote) NONNULL(1, 2, 3, 4);
/* roam_ours - with their interfaces; none where the host does not say. */
void roam_ours(struct engine *e, struct ours *out) NONNULL(1, 2);
uint32_t roam_addrs(void *ctx, struct ip_addr *out, uint32_t max) NONNULL(1, 2);

/* routes.c: those of one group come, go, or stay with the source that is right now (routes_again():
 * those of all groups). routes_need_capture() - destination routes would take more than the group
 * protects: it has none. */
enum route_what {
	ROUTE_WANT,
	ROUTE_DROP,
	ROUTE_AGAIN,
};
void routes_group(struct engine *e, const struct sa_group *g, enum route_what what) NONNULL(1, 2);
void routes_again(struct engine *e) NONNULL(1);
bool routes_need_capture(const struct sa_group *g) NONNULL(1);

/* routes_host - one to this host, whoever sends, whose preferred source is src. */
void routes_host(struct engine *e, enum route_what what, const struct ip_addr *host,
		 const struct ip_addr *src) NONNULL(1, 3, 4);

/* held.c: held_get() - a pair in transport mode is between these addresses, and the peer makes them
 * again whatever path its packets take; routed: what goes to remote is led by us, not by routes of
 * the operator's. NULL: no memory, which is logged. held_put() - it is gone; NULL is accepted.
 * held_settle() - the host's addresses may have changed. */
struct held;
struct held *held_get(struct engine *e, const struct ip_addr *local, const struct ip_addr *remote,
		      bool routed) NONNULL(1, 2, 3);
void held_put(struct engine *e, struct held *h) NONNULL(1);
void held_settle(struct engine *e) NONNULL(1);

/* connect.c */
MUST_USE enum err connect_bring_up(struct engine *e, const struct conf_conn *conn,
				   const char *child, uint64_t request,
				   const struct connect_wish *wish) NONNULL(1, 2);
bool connect_is_resolving(const struct engine *e, const char *conn, const char *child)
	NONNULL(1, 2, 3);
bool connect_is_named(const char *name, const char *wanted);
void connect_acquire(struct engine *e, uint32_t group, const struct flow *flow) NONNULL(1, 3);
void connect_event(struct engine *e, const struct ike_event *ev) NONNULL(1, 2);
bool connect_stop(struct engine *e, const char *conn, const char *child) NONNULL(1);
MUST_USE enum err connect_local(struct engine *e, struct ip_addr *out, const struct conf_conn *conn,
				const struct ip_addr *remote) NONNULL(1, 2, 3, 4);
const struct conf_addr *connect_remote(const struct conf_conn *conn) NONNULL(1);
MUST_USE enum err connect_init(struct engine *e) NONNULL(1);
void connect_fini(struct engine *e) NONNULL(1);

/* vips.c: vips_in() finds an address that a peer has lent and the host has, within ts. */
void vips_add(struct engine *e, const char *conn, const struct ip_addr *a) NONNULL(1, 2, 3);
void vips_remove(struct engine *e, const char *conn, const struct ip_addr *a) NONNULL(1, 2, 3);
bool vips_in(const struct engine *e, struct ip_addr *out, const struct ts *ts) NONNULL(1, 2, 3);
void vips_settle(struct engine *e) NONNULL(1);
void vips_fini(struct engine *e) NONNULL(1);

/* priority.c: of a policy, by its action and selectors unless one is configured; guard.c has the
 * same order. */
uint32_t priority_of(const struct policy_params *p, uint32_t configured) NONNULL(1);

/* shunts.c */
void shunts_configure(struct engine *e) NONNULL(1);
void shunts_fini(struct engine *e) NONNULL(1);

/* shunt_add - the flow (a listener's: all to its port) passes in the clear until shunt_remove(),
 * unless a policy with a priority of its own says otherwise. Errors: NOMEM. */
MUST_USE enum err shunt_add(struct engine *e, struct shunt **out, const struct flow *flow)
	NONNULL(1, 2, 3);
void shunt_remove(struct engine *e, struct shunt *s) NONNULL(1, 2);

/* guard.c */
MUST_USE enum err guard_update(struct engine *e) NONNULL(1);
void guard_flush(struct engine *e) NONNULL(1);

/* starters.c */
struct starter *starter_find(struct engine *e, const char *conn, const char *child) NONNULL(1, 2);
void starter_begin(struct engine *e, const char *conn, const char *child) NONNULL(1, 2, 3);
void starter_failed(struct engine *e, struct starter *s, bool asked_peer) NONNULL(1, 2);
void starters_resume(struct engine *e, const char *conn, const char *child) NONNULL(1, 2);
void starters_configure(struct engine *e) NONNULL(1);
bool starters_stop(struct engine *e, const char *conn, const char *child) NONNULL(1);
void starters_fini(struct engine *e) NONNULL(1);

/* waiters.c */
MUST_USE enum err waiters_add(struct engine *e, const char *conn, const char *child,
			      uint64_t request) NONNULL(1, 2);
void waiters_up(struct engine *e, const char *conn) NONNULL(1);
void waiters_event(struct engine *e, const struct ike_event *ev) NONNULL(1, 2);
bool waiters_is_up(struct engine *e, const char *conn, const char *child) NONNULL(1, 2);
void waiters_fini(struct engine *e) NONNULL(1);

/* latch_events.c and others, see latch.h: latches_settle() - whatever has changed is acted on. */
struct latches;
MUST_USE enum err latches_open(struct engine *e) NONNULL(1);
void latches_close(struct engine *e) NONNULL(1);
void latches_configure(struct engine *e) NONNULL(1);

/* latches_guard_only - whatever flows an earlier process left guarded, those of now are. */
void latches_guard_only(struct engine *e) NONNULL(1);
void latches_restore(struct engine *e) NONNULL(1);
void latches_settle(struct engine *e) NONNULL(1);
void latches_ike_event(struct engine *e, const struct ike_event *ev) NONNULL(1, 2);
void latches_dp_event(struct engine *e, const struct dp_event *ev) NONNULL(1, 2);
void latches_conflict(struct engine *e, const struct ike_ask *ask) NONNULL(1, 2);

/* asks.c */

/* aaa.c: RADIUS servers. aaa_open - none is asked yet. Errors: NOMEM, CRYPTO. aaa_configure - those
 * of e->conf from now on. aaa_ask - an EAP_SERVER ask is answered in its time. aaa_run - what is
 * due; aaa_deadline - when that is. */
MUST_USE enum err aaa_open(struct engine *e) NONNULL(1);
void aaa_close(struct engine *e) NONNULL(1);
void aaa_configure(struct engine *e) NONNULL(1);
void aaa_ask(struct engine *e, const struct ike_ask *ask) NONNULL(1, 2);
void aaa_run(struct engine *e) NONNULL(1);
uint64_t aaa_deadline(const struct engine *e) NONNULL(1);

/* asks_fetch - begin what is wanted, as far as there is room, and take what has come; true if
 * anything is known now that was not, also that nothing comes. local: as in fetch_request. */
bool asks_fetch(struct ike_keyring *keyring, const struct fetcher *fetcher, bool local)
	NONNULL(1, 2);

/* asks_sign - the same of what tokens are to do. */
bool asks_sign(struct ike_keyring *keyring, const struct signer *signer) NONNULL(1, 2);
void asks_answer(struct engine *e, const struct ike_ask *ask) NONNULL(1, 2);
/* asks_settle - what is not asked any more is not worked on. */
void asks_settle(struct engine *e) NONNULL(1);
MUST_USE enum err asks_open(struct engine *e) NONNULL(1);
void asks_close(struct engine *e) NONNULL(1);

/* status.c */
void status_event(struct engine *e, const struct ike_event *ev) NONNULL(1, 2);

/* keylog.c: keylog_hook() is NULL unless this is a test build and a directory was given. */
const struct ike_keylog *keylog_hook(struct engine *e) NONNULL(1);
