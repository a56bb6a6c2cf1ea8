/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two gateways whose workers run in threads of their own, each with a queue of both ports: frames
 * come by any queue, the wire between brings them to another worker than the one that sent them,
 * and each pair of SAs is a worker's. Every packet arrives once, whole and in the order of its
 * flow; what is the host's goes by the shadow's queue that belongs to the wire's; what the lane
 * leaves to the host goes by a port of one worker only. Meanwhile routes change and counters are
 * read. There are no losses, and the books are exact.
 */
#include "drivers/lane.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "dataplane/dataplane.h"
#include "drivers/memory.h"

#include "tests/tap/tap.h"

#define LAN         0
#define WAN         1
#define WORKERS     3
#define ETHERNET    14
#define HEAD        (ETHERNET + 20 + 8)
#define PAYLOAD     32
#define FRAME_LEN   (HEAD + PAYLOAD)
#define KEY_LEN     36
#define IN_FLIGHT   96 /* no ring is ever full */
#define TIME_OUT_NS (60 * NS_PER_S)

static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}},
		     mac_host[6] = {2, 0, 0, 0, 0, 3};

/* struct gateway - and what is at its other ends, by queue. */
struct gateway {
	struct dataplane *dp;
	struct lane *lane;
	struct memory_port *lan[WORKERS], *tap;
	int shadow[2][WORKERS];
	uint16_t outer, tap_port;
};

/* struct play - num_queues of each port; sent and next: numbers of a flow, by way (the sending
 * gateway), pair and queue that it came by. To the peer's client, or to the peer itself. */
struct play {
	struct gateway gw[2];
	uint32_t num_queues;
	uint32_t sent[2][WORKERS][WORKERS][2], next[2][WORKERS][WORKERS][2];
	uint64_t num_sent, num_taken;
	uint32_t to_host[2][WORKERS], from_host[2][WORKERS]; /* frames that are no IP packets */
};

/* ---- frames ---------------------------------------------------------------------------------- */

/* make - number n of a flow. */
static void make(uint8_t f[static FRAME_LEN], uint32_t way, uint32_t pair, uint32_t queue,
		 bool local, uint32_t n, uint8_t ttl)
{
	const uint8_t addresses[8] = {10, (uint8_t)(way + 1), (uint8_t)pair, 9,
				      10, (uint8_t)(2 - way), (uint8_t)pair, local ? 1 : 9};
	uint8_t *h = f + ETHERNET;
	uint32_t sum = 0;

	memset(f, 0, FRAME_LEN);
	memcpy(f, mac[way], 6);
	memcpy(f + 6, mac_host, 6);
	store_be16(f + 12, 0x0800);
	h[0] = 0x45;
	store_be16(h + 2, FRAME_LEN - ETHERNET);
	h[8] = ttl;
	h[9] = 17;
	memcpy(h + 12, addresses, sizeof(addresses));
	for (int i = 0; i < 20; i += 2)
		sum += load_be16(h + i);
	store_be16(h + 10, (uint16_t) ~((sum >> 16) + sum));
	store_be16(h + 20, (uint16_t)(1000 + queue));
	store_be16(h + 22, 2000);
	store_be16(h + 24, 8 + PAYLOAD);
	h[28] = (uint8_t)way;
	h[29] = (uint8_t)pair;
	h[30] = (uint8_t)queue;
	h[31] = local;
	store_be32(h + 32, n);
	for (uint32_t i = 8; i < PAYLOAD; i++)
		h[28 + i] = (uint8_t)(n + i);
}

/* arrived - an inner packet that way's peer got: the flow's next one, and as it was sent. */
static void arrived(struct play *p, uint32_t way, const uint8_t *h, bool local)
{
	uint8_t wanted[FRAME_LEN];
	uint32_t pair = h[29], queue = h[30];

	CU_ASSERT_FATAL(h[28] == way && pair < WORKERS && queue < p->num_queues);
	CU_ASSERT_EQUAL(h[31], local);
	/* A router on either side; the host itself takes it as it came. */
	make(wanted, way, pair, queue, local, p->next[way][pair][queue][local]++, local ? 63 : 62);
	CU_ASSERT_EQUAL(memcmp(h, wanted + ETHERNET, FRAME_LEN - ETHERNET), 0);
	p->num_taken++;
}

/* make_other - no IP packet: number n of a queue. */
static void make_other(uint8_t f[static FRAME_LEN], uint32_t queue, uint32_t n)
{
	memset(f, (uint8_t)queue, FRAME_LEN);
	store_be16(f + 12, 0x0806);
	store_be32(f + 14, n);
}

/* ---- gateways -------------------------------------------------------------------------------- */

PRINTF_LIKE(1, 2) static struct ip_prefix prefix(const char *format, ...)
{
	struct ip_prefix p;
	char text[32];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(&p, text), ERR_OK);
	return p;
}

static void add_port(struct play *p, uint32_t i, uint32_t port, struct driver *const *frames)
{
	struct gateway *g = &p->gw[i];
	int ends[2], ours[WORKERS];
	struct lane_port_params params = {
		.frames = frames, .shadows = ours, .ifindex = port + 1, .mtu = 1500};

	for (uint32_t q = 0; q < p->num_queues; q++) {
		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends),
				      0);
		ours[q] = ends[0];
		g->shadow[port][q] = ends[1];
	}
	memcpy(params.mac, mac[i], 6);
	CU_ASSERT_EQUAL_FATAL(lane_add_port(g->lane, &params), ERR_OK);
}

static void open_gateway(struct play *p, uint32_t i)
{
	const struct dataplane_config config = {.num_workers = WORKERS, .num_packets = 1024};
	const struct lane_params params = {
		.port_ike = 500, .port_nat_t = 4500, .idle_us = 50, .num_queues = p->num_queues};
	const struct memory_params inner = {.role = PORT_INNER};
	struct gateway *g = &p->gw[i];
	struct driver *frames[WORKERS];

	CU_ASSERT_EQUAL_FATAL(dataplane_new(&g->dp, &config), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(lane_new(&g->lane, &params), ERR_OK);
	for (uint32_t q = 0; q < p->num_queues; q++)
		CU_ASSERT_EQUAL_FATAL(memory_open(&frames[q], &g->lan[q], &inner), ERR_OK);
	add_port(p, i, LAN, frames);
}

/* join_wires - what worker q of one sends worker q + 1 of the other receives. */
static void join_wires(struct play *p)
{
	const struct memory_params inner = {.role = PORT_INNER};
	struct driver *frames[2][WORKERS];

	for (uint32_t q = 0; q < p->num_queues; q++)
		CU_ASSERT_EQUAL_FATAL(memory_open_pair(&frames[0][q],
						       &frames[1][(q + 1) % p->num_queues], &inner),
				      ERR_OK);
	for (uint32_t i = 0; i < 2; i++)
		add_port(p, i, WAN, frames[i]);
}

static void attach(struct play *p, struct gateway *g)
{
	const struct memory_params inner = {.role = PORT_INNER};
	struct driver *tap;
	uint16_t port = 0;

	for (uint32_t q = 0; q < p->num_queues; q++) {
		struct driver *a = lane_inner(g->lane, q), *b = lane_outer(g->lane, q);

		CU_ASSERT_EQUAL_FATAL(q ? dataplane_attach_queue(g->dp, port, q, a)
					: dataplane_attach(g->dp, &port, a),
				      ERR_OK);
		CU_ASSERT_EQUAL_FATAL(q ? dataplane_attach_queue(g->dp, g->outer, q, b)
					: dataplane_attach(g->dp, &g->outer, b),
				      ERR_OK);
	}
	CU_ASSERT_EQUAL_FATAL(memory_open(&tap, &g->tap, &inner), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_attach(g->dp, &g->tap_port, tap), ERR_OK);
	for (uint32_t q = 0; q < p->num_queues; q++)
		lane_use_host(g->lane, q, dataplane_sender(g->dp, g->tap_port, q), NULL, NULL);
}

static void tell_route(struct gateway *g, uint32_t table, struct ip_prefix to, uint32_t port,
		       bool gone)
{
	const struct host_change c = {
		.kind = HOST_CHANGE_ROUTE,
		.table = table,
		.route = table == 255 ? HOST_ROUTE_LOCAL : HOST_ROUTE_FORWARD,
		.ifindex = port + 1,
		.dst = to,
		.gone = gone,
	};

	lane_change(g->lane, &c);
}

static void tell_neighbour(struct gateway *g, struct ip_prefix at, uint32_t port,
			   const uint8_t *whose)
{
	struct host_change c = {.kind = HOST_CHANGE_NEIGH, .addr = at.addr, .ifindex = port + 1};

	memcpy(c.mac, whose, 6);
	lane_change(g->lane, &c);
}

static void tell_host(struct gateway *g, uint32_t i)
{
	tell_route(g, 255, prefix("192.0.2.%u/32", i + 1), WAN, false);
	tell_route(g, 254, prefix("192.0.2.0/24"), WAN, false);
	tell_neighbour(g, prefix("192.0.2.%u/32", 2 - i), WAN, mac[!i]);
	for (uint32_t pair = 0; pair < WORKERS; pair++) {
		tell_route(g, 255, prefix("10.%u.%u.1/32", i + 1, pair), LAN, false);
		tell_route(g, 254, prefix("10.%u.%u.0/24", i + 1, pair), LAN, false);
		tell_neighbour(g, prefix("10.%u.%u.9/32", i + 1, pair), LAN, mac_host);
	}
	for (uint32_t port = 0; port < 2; port++) {
		const struct host_change link = {
			.kind = HOST_CHANGE_LINK, .ifindex = port + 1, .up = true, .mtu = 1500};

		lane_change(g->lane, &link);
		lane_link(g->lane, port, true);
	}
	CU_ASSERT_EQUAL_FATAL(lane_settle(g->lane), ERR_OK);
}

/* add_pair - of networks of its own; `owner` on one side, the next worker on the other. */
static void add_pair(struct play *p, uint32_t i, uint32_t pair, const uint32_t spi[2],
		     uint8_t key[2][KEY_LEN])
{
	struct gateway *g = &p->gw[i];
	const struct ip_prefix nets[2] = {prefix("10.%u.%u.0/24", i + 1, pair),
					  prefix("10.%u.%u.0/24", 2 - i, pair)};
	const struct ts ts[2] = {ts_from_prefix(&nets[0]), ts_from_prefix(&nets[1])};
	const struct path_addr path = {
		.local = {.addr = prefix("192.0.2.%u/32", i + 1).addr, .port = 4500},
		.remote = {.addr = prefix("192.0.2.%u/32", 2 - i).addr, .port = 4500},
		.encap = ENCAP_UDP};
	const struct auth_proof_params who = {.method = AUTH_METHOD_PSK};
	struct child_params c = {
		.id = pair + 1,
		.worker = (pair + i) % WORKERS + 1,
		.spi_in = spi[i],
		.spi_out = spi[!i],
		.alg = AEAD_AES_GCM_16_256,
		.key_in = bytes_of(key[i], KEY_LEN),
		.key_out = bytes_of(key[!i], KEY_LEN),
		.outbound_active = true,
		.replay_window = 64,
		.local = &ts[0],
		.remote = &ts[1],
		.num_local = 1,
		.num_remote = 1,
	};
	struct policy_params policy = {.layer = POLICY_CONFIG,
				       .action = POLICY_PROTECT,
				       .local = c.local,
				       .remote = c.remote,
				       .num_local = 1,
				       .num_remote = 1};
	uint32_t id;

	CU_ASSERT_EQUAL_FATAL(dataplane_group_add(g->dp, &c.group), ERR_OK);
	policy.group = c.group;
	CU_ASSERT_EQUAL_FATAL(dataplane_policy_add(g->dp, &id, &policy), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_pathset_add(g->dp, &c.pathset, g->outer, &path), ERR_OK);
	c.proof = auth_proof_new(&who);
	CU_ASSERT_FATAL(c.proof != NULL);
	CU_ASSERT_EQUAL_FATAL(dataplane_child_add(g->dp, &c), ERR_OK);
	auth_proof_put(c.proof);
}

static void begin(struct play *p, uint32_t num_queues)
{
	*p = (struct play){.num_queues = num_queues};
	for (uint32_t i = 0; i < 2; i++)
		open_gateway(p, i);
	join_wires(p);
	for (uint32_t i = 0; i < 2; i++) {
		attach(p, &p->gw[i]);
		tell_host(&p->gw[i], i);
	}
	for (uint32_t pair = 0; pair < WORKERS; pair++) {
		uint8_t key[2][KEY_LEN];
		uint32_t spi[2];

		memset(key, (int)pair, sizeof(key));
		key[1][0] = 0xff;
		for (uint32_t i = 0; i < 2; i++)
			CU_ASSERT_EQUAL_FATAL(dataplane_spi_reserve_at(p->gw[i].dp, &spi[i],
								       (pair + i) % WORKERS + 1),
					      ERR_OK);
		for (uint32_t i = 0; i < 2; i++)
			add_pair(p, i, pair, spi, key);
	}
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(dataplane_start(p->gw[i].dp), ERR_OK);
}

/* ---- traffic --------------------------------------------------------------------------------- */

static void give(struct play *p, uint64_t n)
{
	uint32_t way = n & 1, pair = (uint32_t)(n >> 1) % WORKERS;
	uint32_t queue = (uint32_t)random() % p->num_queues;
	bool local = random() % 8 == 0;
	uint8_t f[FRAME_LEN];

	make(f, way, pair, queue, local, p->sent[way][pair][queue][local]++, 64);
	CU_ASSERT_EQUAL(memory_inject(p->gw[way].lan[queue], f, FRAME_LEN, NULL), ERR_OK);
	p->num_sent++;
}

/* take_lan - what left by a LAN: packets of the other way, by whichever queue; the host's frames by
 * the queue that they came by. */
static void take_lan(struct play *p, uint32_t i, uint32_t queue)
{
	uint8_t f[2048], wanted[FRAME_LEN];
	size_t len;

	while (memory_take(p->gw[i].lan[queue], f, sizeof(f), &len, NULL)) {
		CU_ASSERT_EQUAL_FATAL(len, FRAME_LEN);
		if (load_be16(f + 12) == 0x0800) {
			CU_ASSERT_EQUAL(memcmp(f, mac_host, 6), 0);
			arrived(p, !i, f + ETHERNET, false);
			continue;
		}
		make_other(wanted, queue, p->from_host[i][queue]++);
		CU_ASSERT_EQUAL(memcmp(f, wanted, FRAME_LEN), 0);
	}
}

static void take_host(struct play *p, uint32_t i)
{
	uint8_t f[2048], wanted[FRAME_LEN];
	size_t len;

	while (memory_take(p->gw[i].tap, f, sizeof(f), &len, NULL)) {
		CU_ASSERT_EQUAL_FATAL(len, FRAME_LEN - ETHERNET);
		arrived(p, !i, f, true);
	}
	for (uint32_t q = 0; q < p->num_queues; q++) {
		while (recv(p->gw[i].shadow[LAN][q], f, sizeof(f), 0) == FRAME_LEN) {
			make_other(wanted, q, p->to_host[i][q]++);
			CU_ASSERT_EQUAL(memcmp(f, wanted, FRAME_LEN), 0);
		}
	}
}

static void take(struct play *p)
{
	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t q = 0; q < p->num_queues; q++)
			take_lan(p, i, q);
		take_host(p, i);
	}
}

/* others - the n-th frame that is no IP packet, each way of every queue. */
static void others(struct play *p, uint32_t n)
{
	uint8_t f[FRAME_LEN];

	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t q = 0; q < p->num_queues; q++) {
			make_other(f, q, n);
			CU_ASSERT_EQUAL(memory_inject(p->gw[i].lan[q], f, FRAME_LEN, NULL), ERR_OK);
			CU_ASSERT_EQUAL(send(p->gw[i].shadow[LAN][q], f, FRAME_LEN, 0), FRAME_LEN);
		}
	}
}

/* meddle - what control does while workers work. */
static void meddle(struct play *p, uint64_t n)
{
	struct gateway *g = &p->gw[n & 1];
	struct dataplane_stats s;
	struct lane_stats ls;

	tell_route(g, 254, prefix("10.9.%u.0/24", (uint32_t)n & 0xff), WAN, n & 4);
	lane_link(g->lane, WAN, true);
	CU_ASSERT_EQUAL(lane_settle(g->lane), ERR_OK);
	lane_stats(g->lane, LAN, &ls);
	dataplane_stats(g->dp, &s);
}

/* wait_for - until so many arrived, and of the others so many each way; false: they do not. */
static bool wait_for(struct play *p, uint64_t num, uint32_t num_others)
{
	uint64_t end = clock_now_ns() + TIME_OUT_NS;

	for (;;) {
		bool done = p->num_taken >= num;

		for (uint32_t i = 0; i < 2; i++)
			for (uint32_t q = 0; q < p->num_queues; q++)
				done = done && p->to_host[i][q] >= num_others &&
				       p->from_host[i][q] >= num_others;
		if (done)
			return true;
		if (clock_now_ns() > end)
			return false;
		take(p);
		sched_yield();
	}
}

/* ---- the end --------------------------------------------------------------------------------- */

/* check_workers - those with queues received, each sealed or opened its pair, none lost anything.
 */
static void check_workers(struct play *p, const struct gateway *g)
{
	struct dataplane_worker_stats w;
	struct dataplane_stats s;

	dataplane_stats(g->dp, &s);
	CU_ASSERT_EQUAL(s.handed_off, s.taken);
	CU_ASSERT(s.taken > p->num_sent / 4);
	CU_ASSERT_EQUAL(s.rx_packets + s.made, s.tx_packets);
	for (uint32_t i = 0; i < WORKERS; i++) {
		CU_ASSERT_FATAL(dataplane_worker_stats(g->dp, &w, i));
		CU_ASSERT_EQUAL(w.drops, 0);
		CU_ASSERT_EQUAL(w.num_pairs, 1);
		CU_ASSERT((i < p->num_queues) == (w.rx_packets > p->num_sent / 16));
		CU_ASSERT(i < p->num_queues || w.rx_packets == 0);
		CU_ASSERT(w.rx_packets + w.taken > p->num_sent / 16);
	}
}

/* check_lane - its counters are those of all queues. */
static void check_lane(struct play *p, uint32_t i, uint64_t num, uint32_t num_others)
{
	struct lane_stats lan, wan;

	lane_stats(p->gw[i].lane, LAN, &lan);
	lane_stats(p->gw[i].lane, WAN, &wan);
	CU_ASSERT_EQUAL(lan.rx_inner, num / 2);
	CU_ASSERT_EQUAL(wan.tx_fast, num / 2);
	CU_ASSERT_EQUAL(wan.rx_outer, num / 2);
	CU_ASSERT_EQUAL(lan.tx_fast + lan.left_to_host, num / 2);
	CU_ASSERT(lan.left_to_host > num / 32);
	CU_ASSERT_EQUAL(lan.rx_host, (uint64_t)num_others * p->num_queues);
	CU_ASSERT_EQUAL(lan.tx_host, (uint64_t)num_others * p->num_queues);
}

static void end(struct play *p)
{
	for (uint32_t i = 0; i < 2; i++) {
		dataplane_free(p->gw[i].dp);
		lane_free(p->gw[i].lane);
		for (uint32_t q = 0; q < p->num_queues; q++) {
			memory_close_far(p->gw[i].lan[q]);
			close(p->gw[i].shadow[LAN][q]);
			close(p->gw[i].shadow[WAN][q]);
		}
		memory_close_far(p->gw[i].tap);
	}
}

static void play(uint32_t num_queues)
{
	const char *wanted = getenv("QUEUES_PACKETS");
	uint64_t num = wanted ? strtoull(wanted, NULL, 10) & ~1ull : 20000;
	uint32_t num_others = 0;
	struct play p;

	srandom(9611);
	begin(&p, num_queues);
	for (uint64_t n = 0; n < num; n++) {
		if (n % 512 == 0) {
			meddle(&p, n / 512);
			others(&p, num_others++);
			CU_ASSERT_FATAL(wait_for(&p, n, num_others));
		}
		give(&p, n);
		CU_ASSERT_FATAL(wait_for(&p, n < IN_FLIGHT ? 0 : n - IN_FLIGHT, 0));
	}
	CU_ASSERT_FATAL(wait_for(&p, num, num_others));
	for (uint32_t i = 0; i < 2; i++)
		dataplane_stop(p.gw[i].dp);
	take(&p);
	CU_ASSERT_EQUAL(p.num_taken, num);
	for (uint32_t i = 0; i < 2; i++) {
		check_workers(&p, &p.gw[i]);
		check_lane(&p, i, num, num_others);
	}
	end(&p);
}

static void test_a_queue_for_each_worker(void)
{
	play(WORKERS);
}

/* The last worker has none: it is handed what its SAs are for, and has others send. */
static void test_fewer_queues_than_workers(void)
{
	play(WORKERS - 1);
}

static void test_one_queue(void)
{
	play(1);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_a_queue_for_each_worker),
	TAP_TEST(test_fewer_queues_than_workers),
	TAP_TEST(test_one_queue),
};

TAP_MAIN("drivers/queues", tests)
