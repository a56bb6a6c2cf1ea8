/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/workers: what several workers carry beside one (P8). One data path seals what its inner
 * port offers for so many peers, and its outer port brings it back, sealed, to the other end of
 * each pair: sequence number, encryption, path, look-up, replay check, decryption, policy. The
 * drivers do next to nothing, each worker has its own, and nothing is handed over. One worker and
 * several take turns, so that whatever else the machine does meets both.
 */
#include "bench/esp.h"
#include "bench/tunnel.h"

#include "base/alloc.h"
#include "base/counter.h"
#include "dataplane/dataplane.h"
#include "dataplane/driver.h"
#include "dataplane/pool.h"

#include <getopt.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>

#define HEADERS_LEN  28 /* IPv4, UDP */
#define WORKERS_MOST 16

/* struct queue - a worker's queues of both ports. Its own but for the counters. */
struct queue {
	alignas(CACHE_LINE) struct driver inner;
	struct driver outer;
	struct pktvec wire; /* from tx to rx of the outer one */
	uint32_t next;      /* peer whose packet is offered next */
	uint32_t first, num_peers;
	uint32_t len;
	uint64_t arrived, wrong; /* control: r relaxed */
};

static const struct path_addr wire_addr = {.encap = ENCAP_UDP};
static struct queue *queues;

static void must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "bench/workers: %s: %s\n", what, err_text(e));
	exit(1);
}

/* ---- drivers -------------------------------------------------------------------------------- */

static void write_headers(struct packet *p, uint32_t peer, uint32_t len)
{
	const uint8_t addresses[8] = {10, 1, (uint8_t)peer, 5, 10, 2, (uint8_t)peer, 9};

	memset(p->data, 0, HEADERS_LEN);
	p->data[0] = 0x45;
	store_be16(p->data + 2, (uint16_t)len);
	p->data[8] = 64;
	p->data[9] = IPPROTO_UDP;
	memcpy(p->data + 12, addresses, sizeof(addresses));
	store_be16(p->data + 20, 20000);
	store_be16(p->data + 22, 5001);
	store_be16(p->data + 24, (uint16_t)(len - 20));
	p->len = len;
}

static uint32_t offer(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct queue *q = container_of(d, struct queue, inner);
	uint32_t n = pool->ops->get(pool, out->pkt + out->num, pktvec_room(out));

	for (uint32_t i = 0; i < n; i++) {
		write_headers(out->pkt[out->num++], q->first + q->next, q->len);
		q->next = (q->next + 1) % q->num_peers;
	}
	return n;
}

static void take(struct driver *d, struct pktvec *v)
{
	struct queue *q = container_of(d, struct queue, inner);
	uint64_t wrong = 0;

	for (uint32_t i = 0; i < v->num; i++)
		wrong += v->pkt[i]->len != q->len || v->pkt[i]->data[16] != 10 ||
			 v->pkt[i]->data[17] != 2;
	counter_add(&q->arrived, v->num);
	counter_add(&q->wrong, wrong);
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

static void wire_put(struct driver *d, struct pktvec *v)
{
	struct queue *q = container_of(d, struct queue, outer);

	for (uint32_t i = 0; i < v->num; i++)
		pktvec_push(&q->wire, v->pkt[i]);
	v->num = 0;
}

/* As a driver that has just received it would deliver the packet. */
static void forget(struct packet *p)
{
	struct packet fresh = {
		.data = p->data,
		.len = p->len,
		.cap = p->cap,
		.buf = p->buf,
		.pool = p->pool,
		.from = wire_addr,
	};

	*p = fresh;
}

static uint32_t wire_get(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct queue *q = container_of(d, struct queue, outer);
	uint32_t n = q->wire.num;

	(void)pool;
	for (uint32_t i = 0; i < n; i++) {
		forget(q->wire.pkt[i]);
		pktvec_push(out, q->wire.pkt[i]);
	}
	q->wire.num = 0;
	return n;
}

static int no_fd(const struct driver *d)
{
	(void)d;
	return -1;
}

static void close_inner(struct driver *d)
{
	(void)d;
}

static void close_outer(struct driver *d)
{
	struct queue *q = container_of(d, struct queue, outer);

	for (uint32_t i = 0; i < q->wire.num; i++)
		packet_put(q->wire.pkt[i]);
	q->wire.num = 0;
}

static const struct driver_ops inner_ops = {
	.name = "bench-inner", .rx = offer, .tx = take, .fd = no_fd, .close = close_inner};
static const struct driver_ops outer_ops = {
	.name = "bench-wire", .rx = wire_get, .tx = wire_put, .fd = no_fd, .close = close_outer};

/* ---- set-up --------------------------------------------------------------------------------- */

/* struct options - from the command line. */
struct options {
	uint32_t workers, runs, ms, size;
	enum aead_alg alg;
};

/* add_half - one end of peer number i's pairs: near is the side that it sends from. */
static void add_half(struct dataplane *dp, const struct options *o, uint32_t i, bool far,
		     const uint32_t spi[2], const uint8_t *key, uint32_t set, uint32_t worker)
{
	const uint32_t left = 0x0a010000 | i << 8, right = 0x0a020000 | i << 8;
	struct ts local = tunnel_ts(far ? right : left, 24),
		  remote = tunnel_ts(far ? left : right, 24);
	const size_t key_len = aead_alg_material_len(o->alg);
	struct child_params c = {
		.id = 2 * i + far + 1,
		.pathset = set,
		.spi_in = spi[far],
		.spi_out = spi[!far],
		.alg = o->alg,
		.key_in = bytes_of(key, key_len),
		.key_out = bytes_of(key, key_len),
		.outbound_active = true,
		.replay_window = 1024,
		.local = &local,
		.remote = &remote,
		.num_local = 1,
		.num_remote = 1,
		.worker = worker + 1,
	};

	must(tunnel_add(dp, NULL, &c), "a tunnel");
}

static void add_peer(struct dataplane *dp, const struct options *o, uint32_t i, uint32_t worker,
		     uint32_t set)
{
	uint8_t key[AEAD_KEY_MAX];
	uint32_t spi[2];

	must(rng_fill(rng_system(), key, sizeof(key)), "a key");
	for (int far = 0; far < 2; far++)
		must(dataplane_spi_reserve_at(dp, &spi[far], worker + 1), "an SPI");
	for (int far = 0; far < 2; far++)
		add_half(dp, o, i, far, spi, key, set, worker);
	secret_wipe(key, sizeof(key));
}

static void attach(struct dataplane *dp, uint16_t ports[2], uint32_t worker, struct queue *q)
{
	q->inner = (struct driver){.ops = &inner_ops, .role = PORT_INNER, .mtu = 9000};
	q->outer = (struct driver){.ops = &outer_ops, .role = PORT_OUTER};
	if (worker == 0) {
		must(dataplane_attach(dp, &ports[0], &q->inner), "a port");
		must(dataplane_attach(dp, &ports[1], &q->outer), "a port");
	} else {
		must(dataplane_attach_queue(dp, ports[0], worker, &q->inner), "a queue");
		must(dataplane_attach_queue(dp, ports[1], worker, &q->outer), "a queue");
	}
}

/* build - so many workers for o->workers peers. */
static struct dataplane *build(const struct options *o, uint32_t num)
{
	const struct dataplane_config config = {.num_packets = 4 * BENCH_BATCH, .num_workers = num};
	struct dataplane *dp;
	uint16_t ports[2];
	uint32_t set;

	must(dataplane_new(&dp, &config), "the data path");
	for (uint32_t w = 0; w < num; w++) {
		queues[w] = (struct queue){.first = w * o->workers / num,
					   .num_peers = o->workers / num,
					   .len = o->size};
		attach(dp, ports, w, &queues[w]);
	}
	must(dataplane_pathset_add(dp, &set, ports[1], &wire_addr), "a path");
	for (uint32_t i = 0; i < o->workers; i++)
		add_peer(dp, o, i, i * num / o->workers, set);
	return dp;
}

/* ---- measuring ------------------------------------------------------------------------------ */

static uint64_t arrived(uint32_t num)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < num; w++)
		sum += counter_get(&queues[w].arrived);
	return sum;
}

static void pause_ms(uint32_t ms)
{
	const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

/* check - everything was carried, by whom it should. */
static void check(struct dataplane *dp, uint32_t num)
{
	struct dataplane_stats st;
	uint64_t drops = 0;

	dataplane_stats(dp, &st);
	for (size_t i = 0; i < ARRAY_LEN(st.drops); i++)
		drops += st.drops[i];
	for (uint32_t w = 0; w < num; w++)
		drops += queues[w].wrong;
	if (!drops && !st.handed_off)
		return;
	fprintf(stderr, "bench/workers: %llu packets were lost or wrong, %llu handed over\n",
		(unsigned long long)drops, (unsigned long long)st.handed_off);
	exit(1);
}

/* measure - packets a second that so many workers carry there and back. */
static double measure(const struct options *o, uint32_t num)
{
	struct dataplane *dp = build(o, num);
	uint64_t from_ns, to_ns, from, to;

	must(dataplane_start(dp), "the workers");
	pause_ms(o->ms / 4 + 1);
	from = arrived(num);
	from_ns = clock_now_ns();
	pause_ms(o->ms);
	to = arrived(num);
	to_ns = clock_now_ns();
	dataplane_stop(dp);
	check(dp, num);
	dataplane_free(dp);
	return (double)(to - from) * (double)NS_PER_S / (double)(to_ns - from_ns);
}

static uint32_t number(const char *text, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || v < min || v > max) {
		fprintf(stderr, "bench/workers: '%s' is not a number from %u to %u\n", text, min,
			max);
		exit(2);
	}
	return (uint32_t)v;
}

static struct options take_options(int argc, char **argv)
{
	static const struct option known[] = {{"workers", required_argument, NULL, 'w'},
					      {"runs", required_argument, NULL, 'r'},
					      {"ms", required_argument, NULL, 'm'},
					      {"size", required_argument, NULL, 's'},
					      {0}};
	struct options o = {
		.workers = 2, .runs = 9, .ms = 1000, .size = 1400, .alg = AEAD_AES_GCM_16_256};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'w')
			o.workers = number(optarg, 2, WORKERS_MOST);
		else if (c == 'r')
			o.runs = number(optarg, 1, BENCH_RUNS_MAX);
		else if (c == 'm')
			o.ms = number(optarg, 10, 60000);
		else if (c == 's')
			o.size = number(optarg, 64, 1900);
		else
			exit(2);
	}
	return o;
}

int main(int argc, char **argv)
{
	const struct options o = take_options(argc, argv);
	struct series one = {0}, all = {0}, ratio = {0};

	queues = mem_alloc_aligned(CACHE_LINE, WORKERS_MOST * sizeof(*queues));
	if (!queues)
		must(ERR_NOMEM, "the queues");
	for (uint32_t i = 0; i < o.runs; i++) {
		double a = measure(&o, 1), b = measure(&o, o.workers);

		series_add(&one, a);
		series_add(&all, b);
		series_add(&ratio, b / a);
	}
	mem_free_aligned(queues);
	printf("%u peers, packets of %u bytes sealed and opened: 1 worker %.3f million a second, "
	       "%u workers %.3f, ratio %.2f (%.2f to %.2f)\n",
	       o.workers, o.size, series_median(&one) / 1e6, o.workers, series_median(&all) / 1e6,
	       series_median(&ratio), series_min(&ratio), series_max(&ratio));
	return 0;
}
