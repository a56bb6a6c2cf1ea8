/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataplane.h - the data path as the rest of Latchkey sees it: policies, paths, security
 * associations and events. The data path knows nothing of IKE.
 *
 * Thread: unless said otherwise every function here is called by one control thread. Workers run in
 * threads of their own (dataplane_start) or when the embedder polls (dataplane_poll).
 */
#pragma once

#include "base/addr.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "dataplane/crypto/aead.h"
#include "dataplane/proof.h"

struct aead_device;
struct inline_ports;
struct dataplane;
struct driver;

/* DATAPLANE_WORKERS_MAX - workers of a data path. */
#define DATAPLANE_WORKERS_MAX 64

/* struct dataplane_config - zero means the default given. */
struct dataplane_config {
	const char *aead; /* back end to insist on where it has the algorithm; NULL: fastest */
	uint32_t flow_cache_len;  /* entries per worker, rounded up to a power of two; 16384 */
	uint32_t num_packets;     /* packet buffers per worker; 4096 */
	uint32_t packet_room;     /* data bytes per packet buffer; 2048 */
	uint32_t hold_packets;    /* packets that wait for an SA, per policy; 16 */
	uint64_t hold_ns;         /* how long they wait; 10 s */
	uint32_t num_workers;     /* at most DATAPLANE_WORKERS_MAX; 1 */
	uint32_t handoff_packets; /* on their way from one worker to another at most; 512 */
	uint32_t num_latches;     /* flows that are latched at a time at least; 256 */
	bool latch_tcp;           /* each TCP connection of an inner port that is no router's is
				   * latched when it begins */
	uint32_t reasm_packets;   /* put together from fragments at a time, 65 KiB each; 32 */
	const struct rng *rng;    /* NULL = rng_system() */
};

/* dataplane_new - an idle data path. Errors: NOMEM, NOT_FOUND (no such AEAD back end), CRYPTO (its
 * self-test failed), INVAL (workers), SYS. */
MUST_USE enum err dataplane_new(struct dataplane **out, const struct dataplane_config *config)
	NONNULL(1, 2);

/* dataplane_num_workers - as many as it was made with, numbered from 0. */
uint32_t dataplane_num_workers(const struct dataplane *dp) NONNULL(1);

/* dataplane_free - stops workers, closes drivers, wipes keys. NULL is accepted. */
void dataplane_free(struct dataplane *dp);

/* dataplane_attach - give a port to the data path, which owns the driver from now on: the queue of
 * worker 0. Before dataplane_start(). Errors: FULL (64 ports). */
MUST_USE enum err dataplane_attach(struct dataplane *dp, uint16_t *out_port, struct driver *driver)
	NONNULL(1, 2, 3);

/* dataplane_attach_queue - one more queue of a port, for another worker: a socket with
 * SO_REUSEPORT, a queue of a TAP or of a network card, as a driver of its own. A worker without a
 * queue of the port sends by a worker that has one. Before dataplane_start(); the driver is the
 * data path's on success. Errors: NOT_FOUND (port, worker), INVAL (a driver for the other
 * side, or a virtual interface, which has one queue), EXISTS. */
MUST_USE enum err dataplane_attach_queue(struct dataplane *dp, uint16_t port, uint32_t worker,
					 struct driver *driver) NONNULL(1, 4);

/* dataplane_sender - what a worker sends by a port with: its own queue, or, where it has none, a
 * driver that has another worker send. For a driver of this worker that leaves packets to another
 * port within its tx: their `port` is that one then. The data path's; when all queues are attached.
 * NULL: no such port or worker. */
struct driver *dataplane_sender(struct dataplane *dp, uint16_t port, uint32_t worker) NONNULL(1);

/* dataplane_vif_add - an inner port with traffic of its own: policies and pairs with this
 * *out_scope (never 0) have to do with no packet of another port, so that the same inner addresses
 * may be known by several. At any time; workers that run wait meanwhile. The driver is the data
 * path's on success; *out_port names its descriptor. Errors: FULL, INVAL (not an inner driver), SYS
 * (the workers cannot go on: stop). */
MUST_USE enum err dataplane_vif_add(struct dataplane *dp, uint32_t *out_scope, uint16_t *out_port,
				    struct driver *driver) NONNULL(1, 2, 3, 4);

/* dataplane_vif_only - from the return on packets of this class alone come out there, until it is
 * removed; others are dropped (CLASS). 0: any. Errors: NOT_FOUND, SYS (as above). */
MUST_USE enum err dataplane_vif_only(struct dataplane *dp, uint32_t scope, uint32_t token)
	NONNULL(1);

/* dataplane_vif_remove - closes the driver; no policy or pair may have the scope any more (asserted
 * for policies). Errors: NOT_FOUND, SYS. */
MUST_USE enum err dataplane_vif_remove(struct dataplane *dp, uint32_t scope) NONNULL(1);

/* dataplane_num_ports - ports attached so far; they are numbered from 0. dataplane_port_fd - what a
 * worker's queue of a port wants waited for; -1: nothing, or it has none. */
uint16_t dataplane_num_ports(const struct dataplane *dp) NONNULL(1);
int dataplane_port_fd(const struct dataplane *dp, uint16_t port, uint32_t worker) NONNULL(1);

/* dataplane_start - run each worker in its own thread: sleeps in epoll when idle, off-line for RCU.
 * dataplane_stop - and join them. Errors: SYS, BAD_STATE (already running). */
MUST_USE enum err dataplane_start(struct dataplane *dp) NONNULL(1);
void dataplane_stop(struct dataplane *dp) NONNULL(1);

/* dataplane_use_device - a lookaside device (crypto/device.h) for the SAs that are added from now
 * on, where it has their algorithm and passed its self-test: its bit in out_algs, that of each that
 * it failed in out_failed (1 << enum aead_alg). It has a queue for each worker and one more. The
 * device is the data path's, which closes it when it fails. Before dataplane_start(). Errors:
 * NOMEM, UNSUPPORTED (no algorithm is left), EXISTS (a device, or ports), INVAL (queues). */
MUST_USE enum err dataplane_use_device(struct dataplane *dp, uint32_t *out_algs,
				       uint32_t *out_failed, struct aead_device *device)
	NONNULL(1, 2, 3, 4);

/* dataplane_use_inline - ports that encrypt and decrypt (crypto/inline.h), for the SAs that are
 * added from now on; drivers that send by them are attached. They are the data path's, which closes
 * them when it fails, and otherwise before the drivers. Before dataplane_start(). Errors: EXISTS
 * (they or a lookaside device are there). */
MUST_USE enum err dataplane_use_inline(struct dataplane *dp, struct inline_ports *ports)
	NONNULL(1, 2);

/* dataplane_poll - without threads: one turn of each worker, in order (receive, all passes,
 * transmit, due timers); returns packets received and taken from other workers. Any one thread at a
 * time, which is an RCU reader during the call only and must not be registered as one itself. The
 * same input, times and rng give the same output. */
uint32_t dataplane_poll(struct dataplane *dp, uint64_t now_ns) NONNULL(1);

/* dataplane_poll_next - when the workers' next timer is due, on poll's clock; TIME_NEVER if none; 0
 * if packets are on their way between workers. */
uint64_t dataplane_poll_next(const struct dataplane *dp) NONNULL(1);

/* dataplane_reclaim - free what was retired and no reader holds any more; once per loop turn. */
void dataplane_reclaim(struct dataplane *dp) NONNULL(1);

/* ---- paths --------------------------------------------------------------------------------- */

/* PATHS_MAX - paths to one peer at a time. */
#define PATHS_MAX 8

/* enum path_schedule - how packets are spread over the paths to a peer. Those that are usable and
 * have the smallest priority of these are active: the others wait. */
enum path_schedule {
	SCHEDULE_FAILOVER,  /* one path alone is active, of equals the one with the smallest id */
	SCHEDULE_FLOW,      /* all packets of an inner flow by one path, flows by weight */
	SCHEDULE_SPRAY,     /* packet by packet, bytes by weight */
	SCHEDULE_DUPLICATE, /* a copy by each active path */
	SCHEDULE_NUM
};

/* struct path_params - one path. */
struct path_params {
	uint16_t id;   /* its name in the set, 1 to 32767 */
	uint16_t port; /* outer port it uses */
	struct path_addr addr;
	uint8_t priority; /* smaller is used first */
	uint16_t weight;  /* 1 to 65535 */
	bool usable;      /* packets may be sent by it; what comes by it is taken anyway */
	bool leaving; /* they are only if no other path is usable, whatever rules and ties say */
	/* Of a new path that is not usable: bytes of the authentic message that the peer named its
	 * end by, if that came from there; else 0. While no path is usable payload goes there then,
	 * three bytes at most for each that came from there, for three seconds or until it has
	 * answered (docs/multiple-interfaces.md 7). */
	uint32_t came;
};

/* struct path_info - what a path is and has carried. Packets that come from addresses of no path
 * count only where there is one path, as its own: its peer moved. Nor do those count that another
 * path brought before. */
struct path_info {
	struct path_addr addr;
	uint16_t port; /* outer port it uses */
	uint16_t pmtu; /* largest outer IP packet, by the link or as routers said; 0 = not known */
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes;
	uint16_t id, weight;
	uint8_t priority;
	bool usable, active, leaving;
	uint32_t generation; /* how often its addresses changed */
};

/* dataplane_path_put - add a path to a set, or change the one that has this id: at once, while
 * packets go on. Its counters go on as well; with other addresses what was known of its MTU is
 * forgotten. Errors: NOT_FOUND (set), INVAL (id, weight), FULL (PATHS_MAX), NOMEM: nothing changed.
 */
MUST_USE enum err dataplane_path_put(struct dataplane *dp, uint32_t set,
				     const struct path_params *params) NONNULL(1, 3);

/* dataplane_path_take - take a path away. Errors: NOT_FOUND, BUSY (it is the only one: say that it
 * is not usable), NOMEM: nothing changed. */
MUST_USE enum err dataplane_path_take(struct dataplane *dp, uint32_t set, uint16_t id) NONNULL(1);

/* dataplane_path_info - one path; its counters are slightly behind. Errors: NOT_FOUND. */
MUST_USE enum err dataplane_path_info(struct dataplane *dp, struct path_info *out, uint32_t set,
				      uint16_t id) NONNULL(1, 2);

/* dataplane_path_list - all paths of a set, active ones first, then by id, and not where one of
 * them may have moved to; returns how many, 0 if there is no such set. */
uint32_t dataplane_path_list(struct dataplane *dp, struct path_info out[static PATHS_MAX],
			     uint32_t set) NONNULL(1);

/* dataplane_path_mtu - as dataplane_pathset_mtu(), of one path. Errors: NOT_FOUND. */
MUST_USE enum err dataplane_path_mtu(struct dataplane *dp, uint32_t set, uint16_t id, uint16_t mtu)
	NONNULL(1);

/* dataplane_path_schedule - how the set's packets are spread from now on; FAILOVER at first.
 * Errors: NOT_FOUND (set), INVAL (no such schedule), NOMEM. */
MUST_USE enum err dataplane_path_schedule(struct dataplane *dp, uint32_t set,
					  enum path_schedule schedule) NONNULL(1);

/* struct path_quality - what probes have found out of a path. */
struct path_quality {
	bool usable;
	bool used_by_peer, left_by_peer; /* as it said last */
	uint32_t loss_permille;          /* of the latest probes */
	uint64_t rtt_ns, rtt_var_ns;     /* RFC 6298; 0: not known */
	uint64_t rate;                   /* bytes a second it was seen to take; 0: not known */
};

/* enum path_origin - how an end of a path is known that has not answered by it yet. */
enum path_origin {
	PATH_OWN,      /* this side's configuration or IKE has it */
	PATH_LEARNED,  /* the peer told it */
	PATH_PRESUMED, /* as OWN, and payload goes there already: nothing else was left */
};

/* dataplane_path_owe - bytes of IKE went to an address of the peer's: fewer may go there by paths
 * that have not answered. Unknown sets are ignored. */
void dataplane_path_owe(struct dataplane *dp, uint32_t set, const struct ip_addr *to, size_t bytes)
	NONNULL(1, 3);

/* dataplane_path_probe - from now on probes say whether the path may be used, and DP_EVENT_PATH
 * tells when that changes; they go by pairs of the set that have `mif` (docs/multiple-interfaces.md
 * 7). It may be used at once if it is usable now, else when it has answered. LEARNED: it is used
 * before it has answered if its address did so lately, by a path that was taken, and nothing else
 * is usable. It ends with dataplane_path_take(). Errors: NOT_FOUND, EXISTS, INVAL (ids
 * over 32767), FULL, NOMEM: nothing is lent to the path any more (`came`). */
MUST_USE enum err dataplane_path_probe(struct dataplane *dp, uint32_t set, uint16_t id,
				       enum path_origin origin, uint64_t now_ns) NONNULL(1);

/* dataplane_path_link - the link that a path begins with is down: nothing is sent by it from the
 * return on, as if probes had failed, unless no other path is left; or it is up again, and is asked
 * at once. Errors: NOT_FOUND (no such path, or it is not probed). */
MUST_USE enum err dataplane_path_link(struct dataplane *dp, uint32_t set, uint16_t id, bool up,
				      uint64_t now_ns) NONNULL(1);

/* dataplane_probe_turn - send what is due, on the workers' clock, after dataplane_event_next() had
 * nothing more to say; returns when it is to be called again: TIME_NEVER, not before something
 * happens. */
uint64_t dataplane_probe_turn(struct dataplane *dp, uint64_t now_ns) NONNULL(1);

/* dataplane_path_quality - Errors: NOT_FOUND (no such path, or it is not probed). */
MUST_USE enum err dataplane_path_quality(struct dataplane *dp, struct path_quality *out,
					 uint32_t set, uint16_t id) NONNULL(1, 2);

/* PATH_RULES_MAX - rules of a set. */
#define PATH_RULES_MAX 16

/* struct path_rule - packets that go by one path whatever the schedule is, while that is usable. */
struct path_rule {
	uint16_t path;           /* its id; it need not be there yet */
	uint64_t dscps;          /* bit n: packets whose inner header has DSCP n; 0: any */
	struct ts local, remote; /* only flows within; unset: any address there */
};

/* dataplane_path_rules - these steer the set's packets from now on, and no others; of each packet
 * the first rule that matches. num 0: none. Errors: NOT_FOUND (set), INVAL (number, selectors, or
 * a rule that matches anything), NOMEM: nothing changed. */
MUST_USE enum err dataplane_path_rules(struct dataplane *dp, uint32_t set,
				       const struct path_rule *rules, uint32_t num) NONNULL(1);

/* dataplane_pathset_add - the paths to one peer, shared by all its SAs; one usable path at first,
 * with id 1, priority 0 and weight 1. *out_set is its handle (never 0). Errors: NOMEM. The
 * functions that follow are about a set's first path, as dataplane_path_list() has them. */
MUST_USE enum err dataplane_pathset_add(struct dataplane *dp, uint32_t *out_set, uint16_t port,
					const struct path_addr *addr) NONNULL(1, 2, 4);

/* dataplane_pathset_move - replace the path's addresses (NAT rebinding, MOBIKE); generation + 1.
 * Errors: NOT_FOUND, NOMEM. */
MUST_USE enum err dataplane_pathset_move(struct dataplane *dp, uint32_t set, uint16_t port,
					 const struct path_addr *addr) NONNULL(1, 4);

/* dataplane_pathset_mtu - what the link that the path begins with takes: outer IP packets are no
 * longer if that can be helped; 0 = not known, which is so after add and move. Errors: NOT_FOUND.
 */
MUST_USE enum err dataplane_pathset_mtu(struct dataplane *dp, uint32_t set, uint16_t mtu)
	NONNULL(1);

/* dataplane_pathset_info - the current path. Errors: NOT_FOUND. */
MUST_USE enum err dataplane_pathset_info(struct dataplane *dp, struct path_info *out, uint32_t set)
	NONNULL(1, 2);

/* dataplane_pathset_remove - no SA may use it any more (asserted). */
void dataplane_pathset_remove(struct dataplane *dp, uint32_t set) NONNULL(1);

/* ---- policies (SPD, RFC 4301 4.4.1) -------------------------------------------------------- */

/* enum policy_layer - looked up in this order; within a layer by priority, then age. */
enum policy_layer {
	POLICY_LATCH,
	POLICY_APPLICATION,
	POLICY_CONFIG,
	POLICY_NUM_LAYERS
};

/* enum policy_action - what to do with a packet that matches. */
enum policy_action {
	POLICY_DISCARD,
	POLICY_BYPASS,
	POLICY_PROTECT,
};

/* struct policy_params - one SPD entry: any local selector with any remote one. Copied. */
struct policy_params {
	enum policy_layer layer;
	enum policy_action action;
	uint32_t priority;       /* smaller is looked at first */
	uint32_t group;          /* PROTECT: SA group that protects it */
	uint64_t owner;          /* who asked for it; comes back with an acquire */
	uint32_t class_demanded; /* protection class the traffic must have; 0 = the group's */
	uint32_t scope;          /* traffic of this virtual interface; 0 = of the shared ports */
	const struct ts *local;
	const struct ts *remote;
	uint32_t num_local, num_remote; /* 1 to 64 each */
};

/* dataplane_group_add - an SA group: the SAs that protect the same traffic with the same peer (re-
 * keyed ones and siblings). *out_group is never 0. Errors: NOMEM. */
MUST_USE enum err dataplane_group_add(struct dataplane *dp, uint32_t *out_group) NONNULL(1, 2);

/* dataplane_group_remove - no SA or policy may name it (asserted). */
void dataplane_group_remove(struct dataplane *dp, uint32_t group) NONNULL(1);

/* dataplane_policy_add - effective for every packet looked at after the call returns; *out_id names
 * it. Errors: NOMEM, INVAL (selectors), NOT_FOUND (group). */
MUST_USE enum err dataplane_policy_add(struct dataplane *dp, uint32_t *out_id,
				       const struct policy_params *params) NONNULL(1, 2, 3);

/* dataplane_policy_remove - as immediate. Unknown ids are ignored. */
void dataplane_policy_remove(struct dataplane *dp, uint32_t id) NONNULL(1);

/* ---- security associations ----------------------------------------------------------------- */

/* enum sa_mode - how the packet is carried (RFC 4303 3.1). */
enum sa_mode {
	SA_TUNNEL,    /* whole */
	SA_TRANSPORT, /* without its IP header: that is the path's. The selectors name one address
		       * here and one there, of one family, between which the traffic is */
};

/* struct sa_lifetime - limits; 0 = none. Soft: an event, once. Hard: packets are dropped. */
struct sa_lifetime {
	uint64_t soft_bytes, hard_bytes;
	uint64_t soft_packets, hard_packets;
};

/* enum dscp_copy - where the DSCP of a tunnel's headers is copied to (RFC 4301 5.1.2). ECN always
 * follows RFC 6040. */
enum dscp_copy {
	DSCP_COPY_NONE = 0,
	DSCP_COPY_OUT = 1, /* inner to outer, as a packet is sent; else the outer one is 0 */
	DSCP_COPY_IN = 2,  /* outer to inner, as one is received; else the inner one is kept */
	DSCP_COPY_BOTH = 3,
};

/* enum df_copy - the outer IPv4 header's "do not fragment" (RFC 4301 8.1). With DF_CLEAR no packet
 * is too big: what must not be cut itself is cut outside. */
enum df_copy {
	DF_COPY, /* of the inner header; IPv6 counts as set */
	DF_CLEAR,
	DF_SET,
};

/* MSS_CLAMP_PATH - as the path takes it. TFC_PADDING_PATH - to the length that the path takes. */
#define MSS_CLAMP_PATH   1
#define TFC_PADDING_PATH UINT32_MAX

/* DUMMIES_MAX - a second: the workers' timers count milliseconds. */
#define DUMMIES_MAX 1000

/* enum child_share - whose packets a pair sends, where a group has several (RFC 9611). */
enum child_share {
	SHARE_ALL,   /* those of every worker; the newest pair does */
	SHARE_ASK,   /* the same, and who has no pair of its own is reported: DP_EVENT_SIBLING */
	SHARE_OWNER, /* its worker's; those of others only where no pair is for all */
};

/* struct child_params - a pair of ESP SAs, inbound and outbound. Everything is copied; the keys go
 * to secret memory and proof is counted. */
struct child_params {
	uint64_t id;      /* the keying engine's name for the pair, unique */
	uint32_t group;   /* SA group it joins */
	uint32_t pathset; /* paths to the peer */
	uint32_t scope;   /* virtual interface of its traffic; 0 = the shared port */
	uint32_t spi_in;  /* from dataplane_spi_reserve(), host order */
	uint32_t spi_out; /* the peer's, host order */
	enum aead_alg alg;
	struct bytes key_in; /* cipher key || salt || MAC key: aead_alg_material_len() bytes */
	struct bytes key_out;
	enum sa_mode mode;
	enum dscp_copy copy_dscp;
	enum df_copy copy_df;
	uint16_t mss_clamp;   /* TCP MSS at most, both ways; 0 = as it is, or MSS_CLAMP_PATH */
	uint32_t tfc_padding; /* inner packets become so long at least (RFC 4303 2.7), but not
			       * longer than the path takes: TFC_PADDING_PATH is just that; 0 = off
			       */
	uint32_t dummies;     /* packets a second that leave at least: when there are fewer, dummies
			       * (RFC 4303 2.6) make up for them; 0 to DUMMIES_MAX */
	uint32_t dummy_len;   /* their length, or TFC_PADDING_PATH; no longer than the path takes */
	bool ipcomp;          /* payload compression by DEFLATE (RFC 3173, RFC 2394), both ways;
			       * not with tfc_padding, whose lengths it would take away */
	uint16_t cpi_in;      /* with ipcomp: how what is compressed is marked that we receive, */
	uint16_t cpi_out;     /* and that the peer does: each is its receiver's choice */
	bool mif;             /* the peer is another of our kind, and has said so: packets with the
			       * next header 253 are control messages about paths, of either
			       * side; without this they are dropped */
	bool esn;             /* 64-bit sequence numbers (RFC 4303 2.2.1) */
	bool outbound_active; /* send on it at once; else after dataplane_child_activate() */
	uint32_t replay_window; /* packets, 0 = no check, else rounded up to 64..2^20 */
	struct sa_lifetime lifetime;
	const struct ts *local;
	const struct ts *remote;
	uint32_t num_local, num_remote; /* 1 to 64 each */
	/* SA_TRANSPORT through a NAT: our and its own address as the peer sees them, which its
	 * transport checksums are made over (RFC 7296 2.23.1); unset: as in the selectors. */
	struct ip_addr seen_local, seen_remote;
	struct auth_proof *proof; /* whom the traffic is protected with; a reference is taken */
	/* Worker that owns the pair, and 1 more; 0: where the group's other pairs are, else the one
	 * that spi_in names. */
	uint32_t worker;
	enum child_share share;
};

/* struct child_stats - counters of a pair. Times are on the worker's clock, 0 = never. */
struct child_stats {
	uint64_t in_packets, in_bytes, out_packets, out_bytes; /* inner bytes */
	uint64_t in_last_ns, out_last_ns;
	uint64_t out_seq; /* last sequence number sent */
	uint64_t in_replay, in_auth_failed;
	/* With ipcomp: packets that were compressed, and how many bytes they had more before. */
	uint64_t in_compressed, in_saved, out_compressed, out_saved;
	uint32_t token;  /* protection class handle */
	uint32_t worker; /* that owns the pair */
};

/* enum child_half - which SAs of a pair. */
enum child_half {
	CHILD_IN = 1,
	CHILD_OUT = 2,
	CHILD_BOTH = 3,
};

/* DATAPLANE_SPI_SHIFT, dataplane_spi_mask, dataplane_spi_worker - an inbound SPI names the worker
 * that its packets should arrive at, of so many, by the bits under the mask: who spreads packets
 * over the workers' queues of a port spares them the way from one to another. They arrive at the
 * right SA from any. As many bits as it takes: a device compares bits, but does not divide. */
#define DATAPLANE_SPI_SHIFT 22
static inline uint32_t dataplane_spi_mask(uint32_t num_workers)
{
	uint32_t values = 1;

	while (values < num_workers)
		values *= 2;
	return (values - 1) << DATAPLANE_SPI_SHIFT;
}

static inline uint32_t dataplane_spi_worker(uint32_t spi, uint32_t num_workers)
{
	uint32_t named = (spi & dataplane_spi_mask(num_workers)) >> DATAPLANE_SPI_SHIFT;

	return named < num_workers ? named : named - num_workers;
}

/* dataplane_spi_reserve - an inbound SPI that names nothing yet, but the worker with the fewest
 * pairs, those that are being negotiated included. dataplane_spi_reserve_at - the same, that names
 * this worker (its number and 1 more, as in child_params; 0 is as above). Errors: FULL, NOMEM,
 * CRYPTO; NOT_FOUND (no such worker). */
MUST_USE enum err dataplane_spi_reserve(struct dataplane *dp, uint32_t *out_spi) NONNULL(1, 2);
MUST_USE enum err dataplane_spi_reserve_at(struct dataplane *dp, uint32_t *out_spi, uint32_t worker)
	NONNULL(1, 2);

/* dataplane_spi_release - give back an SPI that was reserved but never installed. */
void dataplane_spi_release(struct dataplane *dp, uint32_t spi) NONNULL(1);

/* dataplane_child_add - install a pair: receiving works when the call returns. Errors: NOMEM,
 * UNSUPPORTED, CRYPTO, NOT_FOUND (group, path set or worker), INVAL, EXISTS. */
MUST_USE enum err dataplane_child_add(struct dataplane *dp, const struct child_params *params)
	NONNULL(1, 2);

/* dataplane_child_activate - send on this pair from now on, in preference to older ones of the
 * group. Errors: NOT_FOUND. */
MUST_USE enum err dataplane_child_activate(struct dataplane *dp, uint64_t id) NONNULL(1);

/* dataplane_child_path - packets of the outbound SA leave by the path with this id while it is
 * usable, whatever the schedule is, unless a rule of dataplane_path_rules() says more of them; 0:
 * as the schedule has it, which is so at first. The path need not be there yet. Errors: NOT_FOUND
 * (child, its outbound SA), NOMEM: nothing changed. */
MUST_USE enum err dataplane_child_path(struct dataplane *dp, uint64_t id, uint16_t path) NONNULL(1);

/* dataplane_child_window - let the inbound SA's replay window grow to `window` packets; a smaller
 * one changes nothing. The worker takes it over with its next packet. Errors: NOT_FOUND, NOMEM. */
MUST_USE enum err dataplane_child_window(struct dataplane *dp, uint64_t id, uint32_t window)
	NONNULL(1);

/* dataplane_child_resequence - packets of the inbound SA go to the host in the order of their
 * numbers from now on, until it is removed: one waits while a smaller number may come by another
 * path, up to so many packets (to 65536, rounded up to a power of two; 0: none waits) and for
 * bound_ns each (at most a second; counted in whole milliseconds). turns: the peer sends by one
 * path at a time, so that nothing waits but where it goes over to another one. Once it is on a
 * further call changes bound_ns and turns alone, or ends it. Control messages about paths never
 * wait. The replay window is to be as large at least. Errors: NOT_FOUND (child, its inbound SA),
 * INVAL, NOMEM. */
MUST_USE enum err dataplane_child_resequence(struct dataplane *dp, uint64_t id, uint32_t packets,
					     uint64_t bound_ns, bool turns) NONNULL(1);

/* dataplane_child_remove - take away one or both SAs of a pair; the SPI is released with the
 * inbound one. What is gone already is ignored. */
void dataplane_child_remove(struct dataplane *dp, uint64_t id, enum child_half half) NONNULL(1);

/* dataplane_class - whom a packet's token (a protection class) stands for. Errors: NOT_FOUND: it
 * names nobody, or nobody any more. */
MUST_USE enum err dataplane_class(const struct dataplane *dp, struct class_info *out,
				  uint32_t token) NONNULL(1, 2);

/* dataplane_group_token - the class of the group's traffic; 0: it never had any. dataplane_serves -
 * an SA of the class is there to send this flow by. */
uint32_t dataplane_group_token(const struct dataplane *dp, uint32_t group) NONNULL(1);
bool dataplane_serves(const struct dataplane *dp, uint32_t token, const struct flow *flow)
	NONNULL(1, 3);

/* dataplane_bypasses - by its policy, which latches are not asked about, the flow passes in the
 * clear. */
bool dataplane_bypasses(const struct dataplane *dp, const struct flow *flow) NONNULL(1, 2);

/* dataplane_child_stats - counters, slightly behind. Errors: NOT_FOUND. */
MUST_USE enum err dataplane_child_stats(struct dataplane *dp, struct child_stats *out, uint64_t id)
	NONNULL(1, 2);

/* ---- latches (RFC 5660) -----------------------------------------------------------------------
 */

/* dataplane_latch_set - the flow is tied to this protection class for both ways, or, shut, nothing
 * of it passes: from the return on, until dataplane_latch_end(). What is latched already changes.
 * scope as in policies. Errors: NOMEM; NOT_FOUND (class), INVAL (neither). */
MUST_USE enum err dataplane_latch_set(struct dataplane *dp, const struct flow *flow, uint32_t scope,
				      uint32_t token, bool shut) NONNULL(1, 2);
void dataplane_latch_end(struct dataplane *dp, const struct flow *flow, uint32_t scope)
	NONNULL(1, 2);

/* struct latch_info - of one flow. */
struct latch_info {
	uint32_t token;
	uint32_t listener; /* whose flow it is; 0 = no listener's */
	bool held;         /* by dataplane_latch_set(); else a worker latched it by itself */
	bool shut;
	bool late; /* the flow was there before */
	bool ends; /* TCP: it is being closed */
};

/* dataplane_latch_get - Errors: NOT_FOUND. */
MUST_USE enum err dataplane_latch_get(const struct dataplane *dp, struct latch_info *out,
				      const struct flow *flow, uint32_t scope) NONNULL(1, 2, 3);
/* dataplane_latch_over - nothing of it was let in for as long as what a worker latched is kept. */
bool dataplane_latch_over(const struct dataplane *dp, const struct flow *flow, uint32_t scope,
			  uint64_t now_ns) NONNULL(1, 2);

uint32_t dataplane_num_latches(const struct dataplane *dp) NONNULL(1);

/* dataplane_latch_sweep - about once a second, with the workers' clock: what they latched by
 * themselves and is over goes. */
void dataplane_latch_sweep(struct dataplane *dp, uint64_t now_ns) NONNULL(1);

/* struct listener_params - who may begin flows with a local end: address (unset: any), protocol and
 * port. Each of its flows is latched; what is not let in is dropped. */
struct listener_params {
	struct flow local; /* its family and, if it is set, its address; the remote end is unset */
	uint32_t scope;
	uint32_t number;  /* comes back in events; never 0 */
	uint32_t methods; /* 1 << enum auth_method of those that are let in */
	uint8_t quality;  /* CLASS_Q_* that is demanded */
	bool named;       /* these classes alone */
	const uint32_t *tokens;
	uint32_t num_tokens;
};

/* dataplane_listeners_set - these, and no others; from the return on. Errors: NOMEM. */
MUST_USE enum err dataplane_listeners_set(struct dataplane *dp,
					  const struct listener_params *params, uint32_t num)
	NONNULL(1);

/* ---- events, and datagrams that are not ESP ------------------------------------------------- */

/* enum dp_event_kind - what a worker reports. */
enum dp_event_kind {
	DP_EVENT_IKE,        /* an IKE datagram: path, port, bytes (without the non-ESP marker) */
	DP_EVENT_ACQUIRE,    /* a packet needs an SA: owner, group, flow; repeated at most once a
			      * second per policy and worker while packets wait */
	DP_EVENT_SIBLING,    /* worker sends by a pair that others use too (SHARE_ASK), and has none
			      * of its own: child, worker, flow; at most once a minute for each */
	DP_EVENT_CHILD_USED, /* first authenticated packet of an inbound SA: child */
	DP_EVENT_SOFT,       /* soft lifetime reached: child */
	DP_EVENT_HARD,       /* hard lifetime or sequence numbers used up: child */
	DP_EVENT_DEVICE,     /* the lookaside device did not answer and is not used any more */
	DP_EVENT_SPAWNED,    /* a listener has a new flow: listener, flow, scope, token */
	DP_EVENT_FOREIGN,    /* a packet of a latched flow was of another class, and dropped: flow,
			      * scope, token; a few a second at most */
	DP_EVENT_STRAY,      /* ESP of an unknown SPI: path, port, spi; a few a second at most */
	DP_EVENT_TOLD,       /* the data path's own: dataplane_event_next() does not return it */
	DP_EVENT_PROBE,      /* a control message about paths, authentic: child, path, port, bytes,
			      * top; path_id: whose addresses these are, 0 = no path's. Where paths
			      * are probed (dataplane_path_probe()) it is the data path's own */
	DP_EVENT_BUSY,       /* the data path's own: payload leaves by a path that is watched */
	DP_EVENT_PATH,       /* a path that is probed may be used from now on, or may not: pathset,
			      * path_id, usable, path, port */
	DP_EVENT_PATH_MOVED, /* it was found at other addresses, and is used there: the same */
	DP_EVENT_PATH_CAME,  /* this side does not send by it, nor does the peer, whose last
			      * packets have come: the same. Of one that failed nobody knows. Once
			      * a second at most, unless it was used meanwhile */
	DP_EVENT_PATH_DRAINED, /* and this side's have arrived there: the same */
	DP_EVENT_MOVED, /* authenticated packet with the newest sequence number came from other
			 * addresses than the path's: child, path, port */
};

/* struct dp_event - valid until dp_event_release(). */
struct dp_event {
	enum dp_event_kind kind;
	uint16_t port;
	uint16_t worker; /* SIBLING: its index */
	uint16_t path_id;
	uint32_t pathset;
	bool usable;
	uint64_t top;                      /* PROBE: highest sequence number that came by the SA */
	uint64_t came_packets, came_bytes; /* PROBE: by its path until then, itself too */
	uint32_t group;
	uint64_t owner;
	uint64_t child;
	struct flow flow;
	struct path_addr path;
	struct bytes bytes;
	uint32_t scope, token, listener; /* SPAWNED, FOREIGN */
	uint64_t time_ns;                /* when the worker saw it */
	uint32_t spi;                    /* STRAY; TOLD: of the packet that is quoted */
	uint32_t seq;                    /* TOLD: the same; what follows too */
	uint16_t mtu;
	bool trusted;
	void *storage; /* the data path's */
};

/* dataplane_event_fd - readable when events wait; for the control thread's loop. */
int dataplane_event_fd(const struct dataplane *dp) NONNULL(1);

/* dataplane_event_next - take one; false if there is none. End each with dp_event_release(). */
bool dataplane_event_next(struct dataplane *dp, struct dp_event *out) NONNULL(1, 2);
void dp_event_release(struct dataplane *dp, struct dp_event *ev) NONNULL(1, 2);

/* dataplane_ike_send - send len bytes of IKE by the worker that owns the socket; the non-ESP marker
 * (RFC 3948 2.2) is added when path->encap is ENCAP_UDP. raw: send the bytes as they are (a NAT
 * keepalive, 0xFF). Errors: FULL, LIMIT (65,000 bytes), NOT_FOUND (no such outer port). */
MUST_USE enum err dataplane_ike_send(struct dataplane *dp, uint16_t port,
				     const struct path_addr *path, const void *bytes, size_t len,
				     bool raw) NONNULL(1, 3, 4);

/* PROBE_MAX_LEN - bytes of a control message about paths that we send. */
#define PROBE_MAX_LEN 1152

/* dataplane_probe_send - len bytes as a control message about paths, by the outbound SA of a child
 * and by exactly that path of its set, whether or not that is usable. A worker sends it in its next
 * turn; if child or path are gone by then it is not sent. Errors: NOT_FOUND (child, its outbound
 * SA, path), BAD_STATE (the child is without mif), LIMIT (length), FULL, NOMEM. */
MUST_USE enum err dataplane_probe_send(struct dataplane *dp, uint64_t child, uint16_t path,
				       const void *bytes, size_t len) NONNULL(1);

/* struct dataplane_stats - sums over the workers. Between turns the books balance: rx_packets +
 * made
 * + taken = tx_packets + held + punted + handed_off + consumed + all drops. What was handed off and
 * not taken is on its way between two workers. */
struct dataplane_stats {
	uint64_t rx_packets;      /* taken from drivers */
	uint64_t made;            /* what control sent, whole packets, fragments, ICMP, copies */
	uint64_t tx_packets;      /* sent by drivers */
	uint64_t held;            /* waiting for an SA, for other fragments or for their turn */
	uint64_t punted;          /* IKE and messages about paths given to control */
	uint64_t handed_off;      /* to another worker */
	uint64_t taken;           /* from another worker */
	uint64_t consumed;        /* fragments that were put together, packets that were cut */
	uint64_t drops[64];       /* by enum drop_reason */
	uint64_t probes_refused;  /* control messages about paths that are none */
	uint64_t offload_refused; /* packets together that the host did not take so */
};

/* dataplane_stats - slightly behind while the worker runs. */
void dataplane_stats(struct dataplane *dp, struct dataplane_stats *out) NONNULL(1, 2);

/* struct dataplane_worker_stats - of one worker; the packets' counters as in dataplane_stats. */
struct dataplane_worker_stats {
	uint64_t rx_packets, tx_packets;
	uint64_t handed_off, taken;
	uint64_t by_device; /* encrypted or decrypted by a lookaside device */
	uint64_t drops;     /* for any reason */
	uint32_t num_pairs; /* of SAs that it owns */
};

/* dataplane_worker_stats - of the worker with this number; false: there is none. */
MUST_USE bool dataplane_worker_stats(struct dataplane *dp, struct dataplane_worker_stats *out,
				     uint32_t worker) NONNULL(1, 2);

/* dataplane_drop_name - name and sentence of drops[i]; NULL past the last. */
const char *dataplane_drop_name(uint32_t i, const char **out_text);
