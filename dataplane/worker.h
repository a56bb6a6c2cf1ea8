/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - one worker: its queues of the ports, packets, flow cache and timers, and the turn it
 * makes again and again: receive, all passes, transmit, due timers. Run to completion; nothing
 * waits between turns but held packets, reports, and what was handed to another worker. Thread: the
 * worker, unless said otherwise.
 */
#pragma once

#include <pthread.h>

#include "base/counter.h"
#include "base/list.h"
#include "base/ring.h"
#include "base/slots.h"
#include "base/timers.h"
#include "dataplane/allowance.h"
#include "dataplane/driver.h"
#include "dataplane/events.h"
#include "dataplane/greylist.h"
#include "dataplane/flow_cache.h"
#include "dataplane/handoff.h"
#include "dataplane/hold.h"
#include "dataplane/pass_cycles.h"
#include "dataplane/pool.h"
#include "dataplane/reasm.h"
#include "dataplane/resequence.h"
#include "dataplane/super.h"

/* WORKER_MAX_PORTS - ports of a data path. WORKER_NO_PORT - there is none. A port has a queue,
 * which is a driver, at one or more workers; its number is the same at all of them. */
#define WORKER_MAX_PORTS 64
#define WORKER_NO_PORT   0xffff

/* IKE_SEND_MAX - IKE datagrams on their way to a worker at most, and bytes in each. */
#define IKE_SEND_MAX     1024
#define IKE_SEND_MAX_LEN 65000

/* PROBE_SEND_MAX - control messages about paths on their way to a worker at most. */
#define PROBE_SEND_MAX 1024

/* struct worker_counters - written by the worker, read relaxed by control. */
struct worker_counters {
	uint64_t rx, made, tx, held, punted, handed_off, taken, consumed;
	uint64_t unlatched; /* flows that there was no room to latch */
	uint64_t untold;    /* events about latches that were lost */
	uint64_t by_device; /* operations that a lookaside device gave back */
	uint64_t drops[DROP_NUM];
};

/* scope_port, port_scope - a virtual interface's scope is its port's number + 1. */
static inline uint16_t scope_port(uint32_t scope)
{
	return (uint16_t)(scope - 1);
}

static_assert(WORKER_MAX_PORTS < UINT16_MAX, "a scope has 16 bits in a flow_id");

static inline uint32_t port_scope(uint16_t port)
{
	return port + 1u;
}

/* struct worker_ready - what is to be received from in a turn: ports as bits, and of those that
 * have sources which, if that is known. */
struct worker_ready {
	uint64_t ports;
	struct driver_ready sources[WORKER_MAX_PORTS];
};
static_assert(WORKER_MAX_PORTS <= 64, "a bit each");

/* struct worker_sender - by a port that a worker has no queue of, see dataplane_sender(). */
struct worker_sender {
	struct driver driver;
	struct worker *worker;
	uint16_t port;
};

/* struct worker - see the fields' comments for who touches them. */
struct worker {
	/* Of this turn. */
	uint64_t now_ns;                /* control: r relaxed */
	uint64_t handed;                /* bits of the workers that were handed something */
	struct aead_op ops[PKTVEC_MAX]; /* of the vector between prepare or look-up and crypto */

	/* Tables of the control thread, read by RCU. */
	const struct spd *spd;
	const struct slots *sad;       /* inbound SPI -> struct esp_sa */
	struct esp_sa *const *dummies; /* SAs that send them (dummy.h) */
	struct latch_table *latches;
	const struct listeners *const *listeners;
	const uint64_t *change; /* atomic: bumped when held packets should be looked at again */
	struct worker *const *workers; /* all of them; constant */
	uint32_t num_workers;          /* constant */
	uint16_t index;                /* constant: of this one */

	/* The worker's own. */
	struct aead_work *crypto;
	struct ipcomp_work *ipcomp; /* NULL until one of its SAs needs it. control: w, before the SA
				     * is there */
	struct pool *pool, *longer; /* see pool.h */
	uint32_t num_longer;        /* constant */
	struct flow_cache flows;
	struct hold hold;
	struct reasm reasm;
	struct fragment_cut cut; /* out_fit()'s, from one call to the next */
	struct super super;      /* the same */
	struct allowance tell;   /* ICMP messages we send */
	struct allowance hear;   /* and what we are told */
	struct allowance stray;  /* reports of ESP without an SA */
	struct allowance alert;  /* reports that a latched flow's packet was another's */
	struct timers timers;
	struct timer hold_timer, reasm_timer, dummy_timer, order_timer;
	uint64_t (*clock)(void);  /* what turns' times are of; NULL: nobody knows between them */
	uint32_t num_steered;     /* path sets with rules. atomic; control: rw */
	uint32_t num_orders;      /* SAs that are resequenced. atomic; control: rw */
	uint32_t num_waiting;     /* packets that wait for ones with smaller numbers */
	uint32_t max_waiting;     /* constant */
	struct list_node waiting; /* of struct resequence: where some do */
	struct resequence *unfinished;      /* in_order()'s, from one call to the next */
	uint64_t order_due;                 /* what order_timer is set for */
	struct pktvec tx[WORKER_MAX_PORTS]; /* on their way out in this turn */
	struct worker_counters count;
	struct lookaside *lookaside; /* its queue of a lookaside device; NULL: none. Constant */
	bool by_ports;               /* some ports encrypt and decrypt (inline.h). Constant */
#ifdef LATCHKEY_PASS_CYCLES
	uint64_t cycles[PASS_NUM]; /* spent in each pass; bench/esp: rw between turns */
#endif

	/* Ports: constant once the worker runs. */
	struct driver *ports[WORKER_MAX_PORTS]; /* queues; NULL: another worker has them */
	enum port_role roles[WORKER_MAX_PORTS];
	uint32_t scopes[WORKER_MAX_PORTS];  /* of inner ports; 0 = shared */
	uint32_t only[WORKER_MAX_PORTS];    /* the one class that comes out there; 0 = any */
	uint16_t senders[WORKER_MAX_PORTS]; /* worker that sends by the port for this one */
	uint64_t routed;                    /* bits of the ports that are a router's */
	uint64_t latched;                   /* of those whose TCP connections are latched */
	uint16_t num_ports;
	uint16_t inner_port; /* where decrypted packets go */

	/* Between the threads. */
	struct inbox inbox;
	struct events events;
	struct greylist greylist; /* of first messages of IKE */
	struct ring *ike_out;     /* control -> worker: packets to send */
	struct ring *ike_done;    /* worker -> control: to be freed */
	struct pool ike_pool;     /* gives nothing, takes back into ike_done */
	uint32_t ike_num;         /* control: datagrams between ike_send and reclaim */
	struct ring *probe_out;   /* control -> worker: messages to send */
	struct ring *probe_done;  /* worker -> control: to be freed */
	struct list_node probes;  /* control: those between probe_send and reclaim */
	uint32_t num_probes;      /* control: of them */
	pthread_t thread;
	bool running;      /* control */
	bool stop;         /* atomic: control -> worker */
	uint64_t polled;   /* bits of the ports that are poll-mode */
	uint32_t idle_us;  /* polled: the longest sleep; 0 = none */
	uint32_t num_idle; /* polls: turns without a packet */
	int wake_fd;       /* eventfd: control or worker -> sleeping worker; -1 unless prepared */
	int epoll_fd;

	struct worker_sender far[WORKER_MAX_PORTS]; /* made as control asks for them */
};

static_assert(alignof(struct worker) == CACHE_LINE && alignof(struct inbox) == CACHE_LINE &&
		      sizeof(struct inbox) == CACHE_LINE,
	      "what one worker writes and what others do are lines apart");

/* packet_inner_port - where a decrypted packet goes: the virtual interface that is its SA's own,
 * else the shared one. */
static inline uint16_t packet_inner_port(const struct worker *w, const struct packet *p)
{
	return unlikely(p->scope) ? scope_port(p->scope) : w->inner_port;
}

/* struct worker_params - num_packets of packet_room bytes; the tables outlive the worker. */
struct worker_params {
	uint32_t flow_cache_len, num_packets, packet_room, hold_packets, reasm_packets;
	uint64_t hold_ns;
	const struct rng *rng;
	const struct spd *spd;
	const struct slots *sad;
	struct latch_table *latches;
	const struct class_table *classes;
	const struct listeners *const *listeners;
	struct esp_sa *const *dummies;
	const uint64_t *change;
	struct worker *const *workers; /* all, once all are made */
	uint32_t num_workers, handoff_packets;
	uint16_t index;
	int event_fd;
};

/* worker_init - Errors: NOMEM, CRYPTO. worker_empty - it gives up every packet that it holds; the
 * drivers are closed already. worker_fini - the rest; all others are empty. Control. */
MUST_USE enum err worker_init(struct worker *w, const struct worker_params *params) NONNULL(1, 2);
void worker_empty(struct worker *w) NONNULL(1);
void worker_fini(struct worker *w) NONNULL(1);

/* worker_turn - one turn at now_ns that receives from what is ready, NULL: all ports are asked.
 * Returns packets received and taken from other workers. The thread must be an on-line RCU reader,
 * or the control thread itself. */
uint32_t worker_turn(struct worker *w, const struct worker_ready *ready, uint64_t now_ns)
	NONNULL(1);

/* worker_next - when the next timer is due; TIME_NEVER if none is set. */
uint64_t worker_next(const struct worker *w) NONNULL(1);

/* worker_count_held - packets that wait, fragments that do, and what is with a lookaside device,
 * after their number changed. */
void worker_count_held(struct worker *w) NONNULL(1);

/* worker_settle - waits for what is with the lookaside device, and sends what comes of it: nothing
 * that RCU holds for this worker is used any more. */
void worker_settle(struct worker *w) NONNULL(1);

/* worker_expire_fragments - of the timer: give up packets whose fragments do not come.
 * worker_forget_fragments - those of a context that ends; workers are stopped. */
void worker_expire_fragments(struct timer *t, uint64_t now_ns) NONNULL(1);
void worker_forget_fragments(struct worker *w, uint64_t context) NONNULL(1);

/* worker_clock - the time of its last turn. Any thread. */
static inline uint64_t worker_clock(const struct worker *w)
{
	return __atomic_load_n(&w->now_ns, __ATOMIC_RELAXED);
}

/* WORKER_TELLS - ICMP messages sent a second; WORKER_HEARS - of those received, looked at. */
#define WORKER_TELLS 100
#define WORKER_HEARS 50

/* WORKER_ALERTS - DP_EVENT_FOREIGN a second. WORKER_STRAYS - DP_EVENT_STRAY. */
#define WORKER_ALERTS 10
#define WORKER_STRAYS 10

/* worker_may - once more is within what may be done in this second. */
MUST_USE bool worker_may(const struct worker *w, struct allowance *a, uint32_t a_second)
	NONNULL(1, 2);

/* worker_drop - give p up. */
void worker_drop(struct worker *w, struct packet *p, enum drop_reason why) NONNULL(1, 2);

/* worker_flush - what is on its way out by a port is sent now. */
void worker_flush(struct worker *w, uint16_t port) NONNULL(1);

/* worker_tx_run - as worker_tx(), n packets in this order. */
void worker_tx_run(struct worker *w, uint16_t port, struct packet *const *pkts, uint32_t n)
	NONNULL(1, 3);

/* worker_tx - send p by a port before the turn ends. */
static inline void worker_tx(struct worker *w, uint16_t port, struct packet *p)
{
	if (unlikely(port >= w->num_ports)) {
		worker_drop(w, p, DROP_NO_PORT);
		return;
	}
	if (unlikely(pktvec_room(&w->tx[port]) == 0))
		worker_flush(w, port);
	pktvec_push(&w->tx[port], p);
}

/* worker_prepare - what it sleeps with; of all workers, before the first starts. worker_start - a
 * thread that turns while there is work and sleeps otherwise. Errors: SYS. Control thread. */
MUST_USE enum err worker_prepare(struct worker *w) NONNULL(1);
MUST_USE enum err worker_start(struct worker *w) NONNULL(1);

/* worker_stop - join the thread; one that does not run is accepted. worker_unprepare - when none
 * runs. Control thread. */
void worker_stop(struct worker *w) NONNULL(1);
void worker_unprepare(struct worker *w) NONNULL(1);

/* worker_wake - a sleeping worker looks at its rings. Control thread. worker_ring_bell - the same
 * for a prepared worker; any worker. */
void worker_wake(struct worker *w) NONNULL(1);
void worker_ring_bell(const struct worker *w) NONNULL(1);

/* worker_ike_send - see dataplane_ike_send(). worker_ike_reclaim - free what was sent. Control. */
MUST_USE enum err worker_ike_send(struct worker *w, uint16_t port, const struct path_addr *to,
				  struct bytes bytes, bool raw) NONNULL(1, 3);
void worker_ike_reclaim(struct worker *w) NONNULL(1);

/* worker_deliver - what was decrypted and is in order goes on from there. v is empty then. Worker.
 */
void worker_deliver(struct worker *w, struct pktvec *v) NONNULL(1, 2);

/* worker_protect - packets that have their SA go on from there: numbered, encrypted, sent. v is
 * empty then. Worker. */
void worker_protect(struct worker *w, struct pktvec *v) NONNULL(1, 2);

/* worker_probe_send - see dataplane_probe_send(); sa is this worker's. Errors: FULL, NOMEM.
 * worker_probe_forget - what waits to be sent by this SA is not. worker_probe_reclaim - free what
 * was sent. Control. */
MUST_USE enum err worker_probe_send(struct worker *w, struct esp_sa *sa, uint16_t path,
				    struct bytes bytes) NONNULL(1, 2);
void worker_probe_forget(struct worker *w, const struct esp_sa *sa) NONNULL(1, 2);
void worker_probe_reclaim(struct worker *w) NONNULL(1);

/* worker_probe_init - the rings. Errors: NOMEM. worker_probe_fini - and what is in them. Control.
 */
MUST_USE enum err worker_probe_init(struct worker *w) NONNULL(1);
void worker_probe_fini(struct worker *w) NONNULL(1);

/* worker_probe_take - put the messages that control wants sent on their way. */
void worker_probe_take(struct worker *w) NONNULL(1);

/* worker_ike_init - the rings. Errors: NOMEM. worker_ike_fini - and what is in them. Control. */
MUST_USE enum err worker_ike_init(struct worker *w) NONNULL(1);
void worker_ike_fini(struct worker *w) NONNULL(1);

/* worker_ike_take - put what control wants sent on its way. */
void worker_ike_take(struct worker *w) NONNULL(1);
