/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/dpdk: two gateways in one thread, from frame to frame: DPDK's buffers, the fast lane and
 * the whole data path. net_null gives frames, into which a header is written; the first gateway
 * encrypts them into a net_ring; the second one takes them there, decrypts and forwards them into
 * another net_null. Beside it the ceiling: the same devices and bursts with nothing in between, as
 * testpmd's "io" mode forwards. bench/README.md describes it.
 */
#include "bench/esp.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/pool.h"
#include "drivers/dpdk.h"
#include "drivers/lane.h"

#include <getopt.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_LEN  42 /* Ethernet, IPv4, UDP */
#define LAN       0
#define WAN       1
#define NUM_FLOWS 8
#define KEY_LEN   36
#define TURNS_MAX 4096
#define SIZES_MAX 8
#define INNER_MIN 28 /* IPv4, UDP */
#define INNER_MAX 1900

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1}, mac_b[6] = {2, 0, 0, 0, 0, 2},
		     mac_c[6] = {2, 0, 0, 0, 0, 3};

/* struct half - a device's port of which only one direction is used. */
struct half {
	struct driver driver;
	struct driver *device;
	bool receives, sends;
	bool makes; /* a source: the heads of the packets it gives are these */
	uint8_t heads[NUM_FLOWS][HEAD_LEN];
	uint32_t turn;
	uint64_t num_sent;
};

/* struct gateway - one of the two. */
struct gateway {
	struct dataplane *dp;
	struct lane *lane;
	uint16_t outer;
	int far[2];
};

static void must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "dpdk: %s: %s\n", what, err_text(e));
	exit(1);
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* make_head - of flow's packets. */
static void make_head(uint8_t head[static HEAD_LEN], uint32_t inner_len, uint32_t flow)
{
	static const uint8_t addresses[8] = {10, 1, 0, 9, 10, 2, 0, 9};
	uint8_t *h = head + 14;
	uint32_t sum = 0;

	memset(head, 0, HEAD_LEN);
	memcpy(head, mac_a, 6);
	memcpy(head + 6, mac_c, 6);
	store_be16(head + 12, 0x0800);
	h[0] = 0x45;
	store_be16(h + 2, (uint16_t)inner_len);
	h[8] = 64;
	h[9] = 17;
	memcpy(h + 12, addresses, sizeof(addresses));
	for (int i = 0; i < 20; i += 2)
		sum += load_be16(h + i);
	sum = (sum >> 16) + (sum & 0xffff);
	store_be16(h + 10, (uint16_t)~sum);
	store_be16(h + 20, (uint16_t)(20000 + flow));
	store_be16(h + 22, 5001);
	store_be16(h + 24, (uint16_t)(inner_len - 20));
}

static uint32_t half_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct half *half = container_of(d, struct half, driver);
	uint32_t before = out->num;

	if (!half->receives)
		return 0;
	half->device->ops->rx(half->device, pool, out);
	for (uint32_t i = before; half->makes && i < out->num; i++)
		memcpy(out->pkt[i]->data, half->heads[half->turn++ % NUM_FLOWS], HEAD_LEN);
	return out->num - before;
}

static void half_tx(struct driver *d, struct pktvec *v)
{
	struct half *half = container_of(d, struct half, driver);

	if (half->sends) {
		half->num_sent += v->num;
		half->device->ops->tx(half->device, v);
		return;
	}
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

static int half_fd(const struct driver *d)
{
	(void)d;
	return -1;
}

/* The devices are closed at the end, all at once. */
static void half_close(struct driver *d)
{
	(void)d;
}

static const struct driver_ops half_ops = {
	.name = "half", .rx = half_rx, .tx = half_tx, .fd = half_fd, .close = half_close};

static struct half half_of(struct driver *device, bool receives, bool sends)
{
	return (struct half){.driver = {.ops = &half_ops},
			     .device = device,
			     .receives = receives,
			     .sends = sends};
}

/* source_of - a half that gives packets of NUM_FLOWS flows. */
static struct half source_of(struct driver *device, uint32_t inner_len)
{
	struct half half = half_of(device, true, false);

	half.makes = true;
	for (uint32_t i = 0; i < NUM_FLOWS; i++)
		make_head(half.heads[i], inner_len, i);
	return half;
}

/* ---- gateways -------------------------------------------------------------------------------- */

static struct ip_addr ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	const uint8_t bytes[4] = {a, b, c, d};

	return ip_addr_v4(bytes);
}

static void add_port(struct gateway *g, uint32_t i, struct half *half, const uint8_t *mac)
{
	struct lane_port_params p = {.frames = &half->driver, .ifindex = i + 1, .mtu = 2000};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends))
		exit(1);
	p.shadow = ends[0];
	g->far[i] = ends[1];
	memcpy(p.mac, mac, 6);
	must(lane_add_port(g->lane, &p), "a port");
}

static void tell_route(struct gateway *g, uint32_t table, struct ip_addr dst, uint8_t len,
		       uint32_t port)
{
	const struct host_change c = {
		.kind = HOST_CHANGE_ROUTE,
		.table = table,
		.route = table == 255 ? HOST_ROUTE_LOCAL : HOST_ROUTE_FORWARD,
		.ifindex = port + 1,
		.dst = {.addr = dst, .len = len},
	};

	lane_change(g->lane, &c);
}

static void tell_host(struct gateway *g, struct ip_addr own, struct ip_addr near,
		      const uint8_t *near_mac, struct ip_addr peer, const uint8_t *peer_mac)
{
	struct host_change c = {.kind = HOST_CHANGE_NEIGH, .addr = near, .ifindex = LAN + 1};

	tell_route(g, 255, own, 32, WAN);
	tell_route(g, 254, ip(192, 0, 2, 0), 24, WAN);
	tell_route(g, 254, near, 24, LAN);
	memcpy(c.mac, near_mac, 6);
	lane_change(g->lane, &c);
	c.addr = peer;
	c.ifindex = WAN + 1;
	memcpy(c.mac, peer_mac, 6);
	lane_change(g->lane, &c);
	for (uint32_t i = 0; i < 2; i++) {
		const struct host_change link = {
			.kind = HOST_CHANGE_LINK, .ifindex = i + 1, .up = true, .mtu = 2000};

		lane_change(g->lane, &link);
		lane_link(g->lane, i, true);
	}
	must(lane_settle(g->lane), "routes");
}

static void open_gateway(struct gateway *g, struct half *lan, struct half *wan, const uint8_t *mac,
			 const char *aead)
{
	const struct dataplane_config config = {.aead = aead, .num_packets = 1024};
	const struct lane_params params = {.port_ike = 500, .port_nat_t = 4500};
	uint16_t port;

	must(dataplane_new(&g->dp, &config), "a data path");
	must(lane_new(&g->lane, &params), "a lane");
	add_port(g, LAN, lan, mac);
	add_port(g, WAN, wan, mac);
	must(dataplane_attach(g->dp, &port, lane_inner(g->lane)), "the inner port");
	must(dataplane_attach(g->dp, &g->outer, lane_outer(g->lane)), "the outer port");
}

static void add_pair(struct gateway *g, bool second, const uint32_t spi[2], uint8_t key[2][KEY_LEN],
		     bool udp)
{
	const struct ip_prefix near = {.addr = ip(10, 1, 0, 0), .len = 24};
	const struct ip_prefix far = {.addr = ip(10, 2, 0, 0), .len = 24};
	const struct ts ts[2] = {ts_from_prefix(&near), ts_from_prefix(&far)};
	const struct endpoint ends[2] = {
		{.addr = ip(192, 0, 2, 1), .port = udp ? 4500 : 0},
		{.addr = ip(192, 0, 2, 2), .port = udp ? 4500 : 0},
	};
	const struct path_addr path = {.local = ends[second],
				       .remote = ends[!second],
				       .encap = udp ? ENCAP_UDP : ENCAP_NONE};
	const struct auth_proof_params who = {.method = AUTH_METHOD_PSK};
	struct child_params c = {
		.id = 1,
		.spi_in = spi[second],
		.spi_out = spi[!second],
		.alg = AEAD_AES_GCM_16_256,
		.key_in = bytes_of(key[second], KEY_LEN),
		.key_out = bytes_of(key[!second], KEY_LEN),
		.outbound_active = true,
		.replay_window = 1024,
		.local = &ts[second],
		.remote = &ts[!second],
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

	must(dataplane_group_add(g->dp, &c.group), "a group");
	policy.group = c.group;
	must(dataplane_policy_add(g->dp, &id, &policy), "a policy");
	must(dataplane_pathset_add(g->dp, &c.pathset, g->outer, &path), "a path");
	c.proof = auth_proof_new(&who);
	must(c.proof ? dataplane_child_add(g->dp, &c) : ERR_NOMEM, "an SA");
	auth_proof_put(c.proof);
}

static void join(struct gateway g[2], bool udp)
{
	uint8_t key[2][KEY_LEN];
	uint32_t spi[2];

	must(rng_fill(rng_system(), key, sizeof(key)), "keys");
	for (int i = 0; i < 2; i++)
		must(dataplane_spi_reserve(g[i].dp, &spi[i]), "an SPI");
	for (int i = 0; i < 2; i++)
		add_pair(&g[i], i, spi, key, udp);
	tell_host(&g[0], ip(192, 0, 2, 1), ip(10, 1, 0, 9), mac_c, ip(192, 0, 2, 2), mac_b);
	tell_host(&g[1], ip(192, 0, 2, 2), ip(10, 2, 0, 9), mac_c, ip(192, 0, 2, 1), mac_a);
}

/* ---- measuring ------------------------------------------------------------------------------- */

/* struct options - from the command line. */
struct options {
	const char *module, *aead;
	uint32_t runs, turns;
	uint32_t sizes[SIZES_MAX], num_sizes;
	bool udp;
};

/* struct devices - null_in, ring, null_out; see above. */
struct devices {
	struct driver *in, *ring, *out;
};

/* loop - of the median turn: what other processes take is left out; mean: and it is not. */
static double loop(struct gateway g[2], uint32_t turns, uint64_t *now_ns, double *mean)
{
	uint64_t begin = bench_tsc();
	double cycles[TURNS_MAX];

	for (uint32_t i = 0; i < turns; i++) {
		uint64_t start = bench_tsc();

		dataplane_poll(g[0].dp, *now_ns);
		dataplane_poll(g[1].dp, *now_ns);
		*now_ns += 10000;
		cycles[i] = (double)(bench_tsc() - start) / BENCH_BATCH;
	}
	*mean = (double)(bench_tsc() - begin) / turns / BENCH_BATCH;
	return median_of(cycles, turns);
}

/* ceiling - the same devices, bursts and vtables, and nothing in between. */
static double ceiling(const struct half *source, const struct half *sink, uint32_t turns)
{
	struct driver *in = source->device, *out = sink->device;
	double cycles[TURNS_MAX];

	for (uint32_t i = 0; i < turns; i++) {
		uint64_t start = bench_tsc();
		struct pktvec v = {.num = 0};

		in->ops->rx(in, NULL, &v);
		out->ops->tx(out, &v);
		cycles[i] = (double)(bench_tsc() - start) / BENCH_BATCH;
	}
	return median_of(cycles, turns);
}

static void show_drops(struct dataplane *dp)
{
	struct dataplane_stats s;
	const char *text, *name;

	dataplane_stats(dp, &s);
	for (uint32_t i = 0; (name = dataplane_drop_name(i, &text)) != NULL; i++)
		if (s.drops[i])
			fprintf(stderr, "dpdk: dropped %llu: %s\n", (unsigned long long)s.drops[i],
				text);
}

static void close_gateway(struct gateway *g)
{
	dataplane_free(g->dp);
	lane_free(g->lane);
	close(g->far[LAN]);
	close(g->far[WAN]);
}

/* measure - one size; every packet must arrive. */
static void measure(const struct options *o, const struct devices *d, uint32_t inner_len,
		    double tsc_hz)
{
	struct half source = source_of(d->in, inner_len);
	struct half wire_out = half_of(d->ring, false, true);
	struct half wire_in = half_of(d->ring, true, false);
	struct half sink = half_of(d->out, false, true);
	struct gateway g[2] = {0};
	struct series path = {0}, all = {0}, io = {0};
	double mean;
	uint64_t now_ns = NS_PER_S, want;

	open_gateway(&g[0], &source, &wire_out, mac_a, o->aead);
	open_gateway(&g[1], &sink, &wire_in, mac_b, o->aead);
	join(g, o->udp);
	loop(g, 16, &now_ns, &mean);
	for (uint32_t i = 0; i < o->runs; i++) {
		series_add(&path, loop(g, o->turns, &now_ns, &mean));
		series_add(&all, mean);
		series_add(&io, ceiling(&source, &sink, o->turns));
	}
	want = (uint64_t)BENCH_BATCH * (16 + (uint64_t)o->runs * o->turns);
	if (sink.num_sent != want) {
		fprintf(stderr, "dpdk: %llu of %llu packets arrived\n",
			(unsigned long long)sink.num_sent, (unsigned long long)want);
		show_drops(g[0].dp);
		show_drops(g[1].dp);
		exit(1);
	}
	printf("%6u %10.0f %10.2f %10.2f %12.0f %10.2f\n", inner_len, series_median(&path),
	       tsc_hz / series_median(&path) / 1e6, tsc_hz / series_median(&all) / 1e6,
	       series_median(&io), tsc_hz / series_median(&io) / 1e6);
	for (int i = 0; i < 2; i++)
		close_gateway(&g[i]);
}

static double measure_tsc_hz(void)
{
	uint64_t ns = clock_now_ns(), tsc = bench_tsc();

	while (clock_now_ns() - ns < 100 * NS_PER_MS)
		;
	return (double)(bench_tsc() - tsc) * 1e9 / (double)(clock_now_ns() - ns);
}

static void usage(void)
{
	fputs("usage: dpdk [--module FILE] [--aead NAME] [--sizes N,N...] [--runs N] [--turns N] "
	      "[--udp]\n",
	      stderr);
	exit(2);
}

static void set_sizes(struct options *o, const char *list)
{
	char *end;

	for (o->num_sizes = 0; o->num_sizes < SIZES_MAX; list = end + 1) {
		unsigned long size = strtoul(list, &end, 10);

		if (size < INNER_MIN || size > INNER_MAX || (*end && *end != ','))
			break;
		o->sizes[o->num_sizes++] = (uint32_t)size;
		if (!*end)
			return;
	}
	usage();
}

static void options_init(struct options *o, int argc, char **argv)
{
	static const struct option list[] = {{"module", required_argument, NULL, 'm'},
					     {"aead", required_argument, NULL, 'a'},
					     {"sizes", required_argument, NULL, 's'},
					     {"runs", required_argument, NULL, 'r'},
					     {"turns", required_argument, NULL, 't'},
					     {"udp", no_argument, NULL, 'u'},
					     {NULL, 0, NULL, 0}};
	int c;

	*o = (struct options){.runs = 11, .turns = 256, .sizes = {64, 512, 1400}, .num_sizes = 3};
	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (c == 'm')
			o->module = optarg;
		else if (c == 'a')
			o->aead = optarg;
		else if (c == 's')
			set_sizes(o, optarg);
		else if (c == 'r')
			o->runs = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == 't')
			o->turns = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == 'u')
			o->udp = true;
		else
			exit(2);
	}
	if (!o->runs || o->runs > BENCH_RUNS_MAX || !o->turns || o->turns > TURNS_MAX ||
	    optind != argc)
		usage();
}

static struct driver *open_device(const struct dpdk_module *m, const char *device)
{
	char text[DPDK_TEXT_MAX] = "";
	struct driver *d;
	enum err e = m->open(&d, device, 1, 0, text);

	if (e)
		fprintf(stderr, "dpdk: %s\n", text);
	must(e, device);
	return d;
}

int main(int argc, char **argv)
{
	const struct dpdk_params params = {
		.memory_mb = 96, .num_packets = 8191, .packet_room = 2048};
	char text[DPDK_TEXT_MAX] = "", device[64];
	const struct dpdk_module *m;
	struct devices d = {0};
	struct dpdk *dpdk;
	struct options o;

	options_init(&o, argc, argv);
	if (dpdk_load(&dpdk, o.module, NULL, text) || dpdk_module(dpdk)->start(&params, text)) {
		fprintf(stderr, "dpdk: %s\n", text);
		return 1;
	}
	m = dpdk_module(dpdk);
	double tsc_hz = measure_tsc_hz();

	printf("two gateways, aes256gcm16, %s, one core, TSC %.3f GHz, %u runs of %u packets\n"
	       "%6s %10s %10s %10s %12s %10s\n",
	       o.udp ? "ESP in UDP" : "bare ESP", tsc_hz / 1e9, o.runs, o.turns * BENCH_BATCH,
	       "inner", "cycles", "Mpps", "with all", "io cycles", "io Mpps");
	d.ring = open_device(m, "net_ring0");
	d.out = open_device(m, "net_null9");
	for (uint32_t i = 0; i < o.num_sizes; i++) {
		snprintf(device, sizeof(device), "net_null%u,size=%u", i, o.sizes[i] + 14);
		d.in = open_device(m, device);
		measure(&o, &d, o.sizes[i], tsc_hz);
		d.in->ops->close(d.in);
	}
	d.ring->ops->close(d.ring);
	d.out->ops->close(d.out);
	dpdk_unload(dpdk);
	return 0;
}
