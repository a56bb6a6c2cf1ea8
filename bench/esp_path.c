/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole data path over drivers that do next to nothing: an inner port that offers packets (it
 * writes an IPv4 and a UDP header; the payload is what is left in the buffer, as if a device had
 * put it there), a wire that moves pointers, and an inner port that takes them. The drivers' own
 * cost is measured and taken off.
 */
#include "bench/esp.h"
#include "bench/tunnel.h"

#include "base/alloc.h"
#include "base/rcu.h"
#include "dataplane/dataplane.h"
#include "dataplane/driver.h"
#include "dataplane/pool.h"
#include "dataplane/state.h"

#include <netinet/in.h>
#include <stdio.h>

#define HEADERS_LEN 40 /* IPv4, and UDP or TCP */
#define BODY_MAX    2048
#define NUM_PACKETS (4 * BENCH_BATCH)
/* Either side's networks, where each SA has one address. */
#define NEAR 0x0a000000 /* 10/8 */
#define FAR  0xac100000 /* 172.16/12 */

/* struct end - one data path and its two ports. */
struct end {
	struct dataplane *dp;
	uint64_t driver_cycles; /* of this turn */
	double *path, *driver;  /* cycles a packet, turn by turn */
	double *pass[PASS_NUM]; /* the same, where the build counts them */
};

/* struct inner - the port on the clear side. */
struct inner {
	struct driver driver;
	struct path_bench *bench;
	struct end *end;
};

/* struct wire_end - the port on the protected side. */
struct wire_end {
	struct driver driver;
	struct path_bench *bench;
	struct end *end;
};

struct path_bench {
	struct end sender, receiver;
	struct pktvec wire;
	struct path_addr from; /* as the receiver sees what is on the wire */
	uint32_t offer;        /* packets to be offered in this turn */
	uint32_t size;
	uint32_t num_turns;
	uint32_t num_templates;
	uint8_t (*templates)[HEADERS_LEN];
	uint32_t among, next; /* templates that packets are made of: in turn */
	bool drawn;           /* or as they are drawn: next is the last number then */
	uint64_t now_ns;
	uint64_t num_arrived, num_damaged;
	bool check; /* look at what arrives, byte by byte */
	bool whole; /* write all of each packet: it does not stay what it was */
	uint64_t num_wire, wire_bytes;
	uint8_t body[BODY_MAX]; /* behind the headers of every packet */
};

/* ---- drivers ------------------------------------------------------------------------------------
 */

/* fill_body - what packets carry; words and numbers of a log, or of a generator. */
static void fill_body(uint8_t body[BODY_MAX], enum bench_ipcomp kind)
{
	static const char *const words[] = {"GET",     "/index.html", "200",   "PUT",
					    "/status", "user=alice",  "error", "timeout"};
	uint32_t draw = 1, at = 0;

	while (at < BODY_MAX) {
		char line[80];
		int n;

		draw = draw * 1664525 + 1013904223;
		n = snprintf(line, sizeof(line), "2026-11-30T12:%02u:%02u %s %s %u\n", draw >> 27,
			     draw >> 22 & 31, words[draw >> 29], words[draw >> 26 & 7], draw >> 16);
		if (kind != BENCH_TEXT) {
			line[0] = (char)(draw >> 24);
			n = 1;
		}
		n = at + (uint32_t)n < BODY_MAX ? n : (int)(BODY_MAX - at);
		memcpy(body + at, line, (size_t)n);
		at += (uint32_t)n;
	}
}

static void write_body(const struct path_bench *b, struct packet *p)
{
	memcpy(p->data + HEADERS_LEN, b->body, p->len - HEADERS_LEN);
}

/* next_template - which one it is. */
static uint32_t next_template(struct path_bench *b)
{
	uint32_t i = b->next;

	if (b->drawn) {
		b->next = b->next * 1664525 + 1013904223;
		return (uint32_t)((uint64_t)b->next * b->among >> 32);
	}
	b->next = i + 1 < b->among ? i + 1 : 0;
	return i;
}

static uint32_t offer(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct inner *in = container_of(d, struct inner, driver);
	struct path_bench *b = in->bench;
	uint32_t n = b->offer < pktvec_room(out) ? b->offer : pktvec_room(out);

	if (in->end != &b->sender)
		return 0;
	uint64_t start = bench_tsc();

	n = pool->ops->get(pool, out->pkt + out->num, n);
	for (uint32_t i = 0; i < n; i++) {
		struct packet *p = out->pkt[out->num + i];

		memcpy(p->data, b->templates[next_template(b)], HEADERS_LEN);
		p->len = load_be16(p->data + 2);
		if (b->check || b->whole)
			write_body(b, p);
	}
	out->num += n;
	b->offer -= n;
	in->end->driver_cycles += bench_tsc() - start;
	return n;
}

static bool intact(const struct path_bench *b, const struct packet *p)
{
	if (p->len < HEADERS_LEN || p->len != load_be16(p->data + 2) || p->data[0] != 0x45)
		return false;
	return !b->check || !memcmp(p->data + HEADERS_LEN, b->body, p->len - HEADERS_LEN);
}

static void take(struct driver *d, struct pktvec *v)
{
	struct inner *in = container_of(d, struct inner, driver);
	struct path_bench *b = in->bench;
	uint64_t start = bench_tsc();

	for (uint32_t i = 0; i < v->num; i++)
		b->num_damaged += !intact(b, v->pkt[i]);
	b->num_arrived += v->num;
	if (v->num > 0)
		v->pkt[0]->pool->ops->put(v->pkt[0]->pool, v->pkt, v->num);
	v->num = 0;
	in->end->driver_cycles += bench_tsc() - start;
}

static void wire_put(struct driver *d, struct pktvec *v)
{
	struct wire_end *w = container_of(d, struct wire_end, driver);
	struct pktvec *wire = &w->bench->wire;
	uint64_t start = bench_tsc();

	for (uint32_t i = 0; i < v->num; i++) {
		w->bench->wire_bytes += v->pkt[i]->len;
		pktvec_push(wire, v->pkt[i]);
	}
	w->bench->num_wire += v->num;
	v->num = 0;
	w->end->driver_cycles += bench_tsc() - start;
}

/* As a driver that has just received it would deliver the packet. */
static void forget(struct packet *p, const struct path_addr *from)
{
	struct packet fresh = {
		.data = p->data,
		.len = p->len,
		.cap = p->cap,
		.buf = p->buf,
		.pool = p->pool,
		.from = *from,
	};

	*p = fresh;
}

static uint32_t wire_get(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct wire_end *w = container_of(d, struct wire_end, driver);
	struct path_bench *b = w->bench;
	uint32_t n = b->wire.num;

	(void)pool; /* the sender's packets travel on, and go home when they are freed */
	if (w->end != &b->receiver)
		return 0;
	uint64_t start = bench_tsc();

	for (uint32_t i = 0; i < n; i++) {
		forget(b->wire.pkt[i], &b->from);
		pktvec_push(out, b->wire.pkt[i]);
	}
	b->wire.num = 0;
	w->end->driver_cycles += bench_tsc() - start;
	return n;
}

static int no_fd(const struct driver *d)
{
	(void)d;
	return -1;
}

static void close_inner(struct driver *d)
{
	mem_free(container_of(d, struct inner, driver));
}

static void close_wire(struct driver *d)
{
	mem_free(container_of(d, struct wire_end, driver));
}

static const struct driver_ops inner_ops = {
	.name = "bench-inner", .rx = offer, .tx = take, .fd = no_fd, .close = close_inner};
static const struct driver_ops wire_ops = {
	.name = "bench-wire", .rx = wire_get, .tx = wire_put, .fd = no_fd, .close = close_wire};

/* ---- set-up ---------------------------------------------------------------------------------- */

static enum err attach_inner(struct path_bench *b, struct end *end)
{
	struct inner *in = mem_alloc(sizeof(*in));
	uint16_t port;

	if (!in)
		return ERR_NOMEM;
	in->driver = (struct driver){.ops = &inner_ops, .role = PORT_INNER, .mtu = 9000};
	in->bench = b;
	in->end = end;
	return dataplane_attach(end->dp, &port, &in->driver);
}

static enum err attach_wire(struct path_bench *b, struct end *end, uint16_t *out_port)
{
	struct wire_end *w = mem_alloc(sizeof(*w));

	if (!w)
		return ERR_NOMEM;
	w->driver = (struct driver){.ops = &wire_ops, .role = PORT_OUTER};
	w->bench = b;
	w->end = end;
	return dataplane_attach(end->dp, out_port, &w->driver);
}

static struct ip_addr ip(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint8_t bytes[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};

	return ip_addr_v4(bytes);
}

static struct path_addr path_between(const struct bench_options *o, bool reversed)
{
	struct endpoint left = {.addr = ip(192, 0, 2, 1), .port = o->udp ? 4500 : 0};
	struct endpoint right = {.addr = ip(192, 0, 2, 2), .port = o->udp ? 4500 : 0};

	return (struct path_addr){
		.local = reversed ? right : left,
		.remote = reversed ? left : right,
		.encap = o->udp ? ENCAP_UDP : ENCAP_NONE,
	};
}

/* struct tunnel - what both ends of SA number i have in common. */
struct tunnel {
	uint32_t i;
	uint32_t spi[2]; /* inbound at the sender, at the receiver */
	uint8_t key[2][AEAD_KEY_MAX];
};

static enum err end_add(struct end *end, const struct bench_options *o, const struct tunnel *t,
			bool is_receiver, uint32_t set)
{
	struct ts near = tunnel_ts(NEAR | t->i, 32), far = tunnel_ts(FAR | t->i, 32);
	const size_t key_len = aead_alg_material_len(o->alg);
	struct child_params c = {
		.id = t->i + 1,
		.pathset = set,
		.spi_in = t->spi[is_receiver],
		.spi_out = t->spi[!is_receiver],
		.alg = o->alg,
		.key_in = bytes_of(t->key[is_receiver], key_len),
		.key_out = bytes_of(t->key[!is_receiver], key_len),
		.mode = SA_TUNNEL,
		.esn = o->esn,
		.ipcomp = o->ipcomp != BENCH_PLAIN,
		.cpi_in = 256,
		.cpi_out = 256,
		.outbound_active = true,
		.replay_window = o->window,
		.local = is_receiver ? &far : &near,
		.remote = is_receiver ? &near : &far,
		.num_local = 1,
		.num_remote = 1,
	};

	return tunnel_add(end->dp, NULL, &c);
}

static enum err add_tunnels(struct path_bench *b, const struct bench_options *o,
			    const uint32_t sets[2])
{
	struct tunnel t;
	enum err e = ERR_OK;

	for (t.i = 0; t.i < o->sas && e == ERR_OK; t.i++) {
		e = dataplane_spi_reserve(b->sender.dp, &t.spi[0]);
		if (e == ERR_OK)
			e = dataplane_spi_reserve(b->receiver.dp, &t.spi[1]);
		if (e == ERR_OK)
			e = rng_fill(rng_system(), t.key, sizeof(t.key));
		if (e == ERR_OK)
			e = end_add(&b->sender, o, &t, false, sets[0]);
		if (e == ERR_OK)
			e = end_add(&b->receiver, o, &t, true, sets[1]);
	}
	secret_wipe(&t, sizeof(t));
	return e;
}

/* use_device - one of its own, which has the algorithm. */
static enum err use_device(struct dataplane *dp, const struct bench_options *o)
{
	struct aead_device *d = bench_device_new(o);
	uint32_t algs, failed;
	enum err e = d ? dataplane_use_device(dp, &algs, &failed, d) : ERR_NOT_FOUND;

	return e == ERR_OK && !(algs >> o->alg & 1) ? ERR_UNSUPPORTED : e;
}

/* hold_latches - so many flows of others, half of all that there is room for. */
static enum err hold_latches(struct dataplane *dp, const struct bench_options *o)
{
	enum err e = ERR_OK;

	for (uint32_t i = 0; o->latched && i < o->latches / 2 && e == ERR_OK; i++) {
		const struct flow f = {
			.local = ip(10, i >> 16 & 255, i >> 8 & 255, i & 255),
			.remote = ip(10, 255, 0, i >> 24),
			.local_port = 22,
			.remote_port = 40000,
			.proto = IPPROTO_TCP,
		};

		e = dataplane_latch_set(dp, &f, 0, 0, true);
	}
	return e;
}

static enum err open_end(struct path_bench *b, struct end *end, const struct bench_options *o,
			 const char *aead, uint32_t *out_set)
{
	const bool by_device = o->device && strcmp(aead, o->device) == 0;
	const struct dataplane_config config = {.aead = by_device ? NULL : aead,
						.num_packets = NUM_PACKETS,
						.flow_cache_len = o->cache,
						.num_latches = o->latched ? o->latches : 0,
						.latch_tcp = o->latched};
	struct path_addr addr = path_between(o, end == &b->receiver);
	uint16_t port = 0;
	enum err e;

	end->path = mem_alloc_array(b->num_turns, sizeof(double));
	end->driver = mem_alloc_array(b->num_turns, sizeof(double));
	e = end->path && end->driver ? dataplane_new(&end->dp, &config) : ERR_NOMEM;
	for (uint32_t i = 0; i < PASS_NUM && e == ERR_OK; i++) {
		end->pass[i] = mem_alloc_array(b->num_turns, sizeof(double));
		e = end->pass[i] ? ERR_OK : ERR_NOMEM;
	}
	if (e == ERR_OK && by_device)
		e = use_device(end->dp, o);
	if (e == ERR_OK)
		e = attach_inner(b, end);
	if (e == ERR_OK)
		e = attach_wire(b, end, &port);
	if (e == ERR_OK)
		e = dataplane_pathset_add(end->dp, out_set, port, &addr);
	if (e == ERR_OK)
		e = hold_latches(end->dp, o);
	if (end == &b->receiver)
		b->from = addr;
	return e;
}

static uint16_t ip_checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 20; i += 2)
		sum += load_be16(header + i);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* fill_tcp - a segment in the midst of a connection. */
static void fill_tcp(uint8_t *h)
{
	h[12] = 5 << 4;
	h[13] = 0x10;
}

static void fill_template(uint8_t h[HEADERS_LEN], const struct bench_options *o, uint32_t inner_len,
			  uint32_t sa, uint32_t flow)
{
	memset(h, 0, HEADERS_LEN);
	h[0] = 0x45;
	store_be16(h + 2, (uint16_t)inner_len);
	h[8] = 64;
	h[9] = o->latches ? IPPROTO_TCP : IPPROTO_UDP;
	store_be32(h + 12, NEAR | sa);
	store_be32(h + 16, FAR | sa);
	store_be16(h + 10, ip_checksum(h));
	store_be16(h + 20, (uint16_t)(20000 + flow));
	store_be16(h + 22, 5001);
	if (o->latches)
		fill_tcp(h + 20);
	else
		store_be16(h + 24, (uint16_t)(inner_len - 20));
}

static enum err make_templates(struct path_bench *b, const struct bench_options *o)
{
	b->num_templates = o->sas * o->flows * (b->size == BENCH_IMIX ? BENCH_IMIX_NUM : 1);
	b->templates = mem_alloc_array(b->num_templates, sizeof(*b->templates));
	if (!b->templates)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < b->num_templates; i++)
		fill_template(b->templates[i], o, bench_len(b->size, i), i % o->sas,
			      i / o->sas % o->flows);
	return ERR_OK;
}

enum err path_bench_new(struct path_bench **out, const struct bench_options *o, const char *aead,
			uint32_t size)
{
	struct path_bench *b = mem_alloc(sizeof(*b));
	uint32_t sets[2] = {0, 0};
	enum err e;

	if (!b)
		return ERR_NOMEM;
	b->size = size;
	b->num_turns = o->packets / BENCH_BATCH;
	b->now_ns = 1000000000;
	b->whole = o->ipcomp != BENCH_PLAIN;
	fill_body(b->body, o->ipcomp);
	e = make_templates(b, o);
	if (e == ERR_OK)
		e = open_end(b, &b->sender, o, aead, &sets[0]);
	if (e == ERR_OK)
		e = open_end(b, &b->receiver, o, aead, &sets[1]);
	if (e == ERR_OK)
		e = add_tunnels(b, o, sets);
	path_bench_among(b, b->num_templates, false);
	if (e != ERR_OK) {
		path_bench_free(b);
		return e;
	}
	*out = b;
	return ERR_OK;
}

double path_bench_wire_len(const struct path_bench *b)
{
	return (double)b->wire_bytes / (double)b->num_wire;
}

static void close_end(struct end *end)
{
	dataplane_free(end->dp);
	mem_free(end->path);
	mem_free(end->driver);
	for (uint32_t i = 0; i < PASS_NUM; i++)
		mem_free(end->pass[i]);
}

void path_bench_free(struct path_bench *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; i < b->wire.num; i++)
		packet_put(b->wire.pkt[i]);
	close_end(&b->receiver);
	close_end(&b->sender);
	mem_free(b->templates);
	mem_free(b);
}

/* ---- measuring --------------------------------------------------------------------------------
 */

static void show_drops(const char *which, struct dataplane *dp)
{
	struct dataplane_stats s;
	const char *text;
	const char *name;

	dataplane_stats(dp, &s);
	fprintf(stderr, "%s: received %llu, sent %llu, held %llu, punted %llu\n", which,
		(unsigned long long)s.rx_packets, (unsigned long long)s.tx_packets,
		(unsigned long long)s.held, (unsigned long long)s.punted);
	for (uint32_t i = 0; (name = dataplane_drop_name(i, &text)) != NULL; i++)
		if (s.drops[i] > 0)
			fprintf(stderr, "%s: dropped %llu: %s (%s)\n", which,
				(unsigned long long)s.drops[i], name, text);
}

/* note_passes - what the turn spent in each pass. */
static void note_passes(struct end *end, uint32_t turn)
{
#ifdef LATCHKEY_PASS_CYCLES
	uint64_t *cycles = end->dp->workers[0]->cycles;

	for (uint32_t i = 0; i < PASS_NUM; i++) {
		end->pass[i][turn] = (double)cycles[i] / BENCH_BATCH;
		cycles[i] = 0;
	}
#else
	(void)end, (void)turn;
#endif
}

/* One turn of an end; i is its number among those that are measured. */
static void turn(struct path_bench *b, struct end *end, uint32_t i)
{
	uint64_t start = bench_tsc(), total;

	end->driver_cycles = 0;
	dataplane_poll(end->dp, b->now_ns);
	total = bench_tsc() - start;
	end->path[i] = (double)(total - end->driver_cycles) / BENCH_BATCH;
	end->driver[i] = (double)end->driver_cycles / BENCH_BATCH;
	note_passes(end, i);
}

static void pump(struct path_bench *b, uint32_t num_turns)
{
	for (uint32_t i = 0; i < num_turns; i++) {
		b->offer = BENCH_BATCH;
		turn(b, &b->sender, i);
		turn(b, &b->receiver, i);
		b->now_ns += 10000;
	}
}

static enum err all_arrived(struct path_bench *b, uint64_t num)
{
	if (b->num_arrived == num && b->num_damaged == 0)
		return ERR_OK;
	fprintf(stderr, "%llu of %llu packets arrived, %llu of them damaged\n",
		(unsigned long long)b->num_arrived, (unsigned long long)num,
		(unsigned long long)b->num_damaged);
	show_drops("outbound", b->sender.dp);
	show_drops("inbound", b->receiver.dp);
	return ERR_CRYPTO;
}

void path_bench_among(struct path_bench *b, uint32_t num, bool drawn)
{
	b->among = num < b->num_templates ? num : b->num_templates;
	b->drawn = drawn;
	b->next = 0;
}

enum err path_bench_prime(struct path_bench *b)
{
	uint32_t left = (b->num_templates + BENCH_BATCH - 1) / BENCH_BATCH;
	uint64_t num = (uint64_t)left * BENCH_BATCH;

	path_bench_among(b, b->num_templates, false);
	b->num_arrived = 0;
	b->check = true;
	while (left > 0) {
		uint32_t n = left < b->num_turns ? left : b->num_turns;

		pump(b, n);
		left -= n;
	}
	return all_arrived(b, num);
}

enum err path_bench_run(struct path_bench *b, struct path_cost *out)
{
	const uint32_t warm_up = b->num_turns < 4 ? b->num_turns : 4;
	enum err e;

	b->num_arrived = 0;
	rcu_thread_register(); /* as a worker's thread does */
	b->check = true;
	pump(b, warm_up);
	b->check = false;
	pump(b, warm_up);
	pump(b, b->num_turns);
	rcu_thread_unregister();
	e = all_arrived(b, (uint64_t)BENCH_BATCH * (2 * warm_up + b->num_turns));
	if (e != ERR_OK)
		return e;
	out->out = median_of(b->sender.path, b->num_turns);
	out->in = median_of(b->receiver.path, b->num_turns);
	out->driver_out = median_of(b->sender.driver, b->num_turns);
	out->driver_in = median_of(b->receiver.driver, b->num_turns);
	for (uint32_t i = 0; i < PASS_NUM; i++)
		out->pass[i] = median_of(
			i < PASS_in_demux ? b->sender.pass[i] : b->receiver.pass[i], b->num_turns);
	return ERR_OK;
}
