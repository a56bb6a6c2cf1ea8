/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/dpdk: two gateways in one thread, from frame to frame: DPDK's buffers, the fast lane and
 * the whole data path. net_null gives frames, into which a header is written; the first gateway
 * encrypts them into a net_ring; the second one takes them there, decrypts and forwards them into
 * another net_null. Beside it the ceiling: the same devices and bursts with nothing in between; and
 * programs of DPDK's own, which take turns with it. bench/README.md describes it.
 */
#include "bench/dpdk.h"

#include "base/clock.h"

#include <getopt.h>
#include <stdlib.h>

#define TURNS_MAX   4096
#define PARTS_MAX   4096
#define SECONDS_MAX 60
#define INNER_MIN   28 /* IPv4, UDP */
#define INNER_MAX   1900

/* struct devices - null_in, ring, null_out; see above. */
struct devices {
	struct driver *in, *ring, *out;
};

/* ---- measuring ------------------------------------------------------------------------------- */

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

/* one_run - of ours: where others take turns it is as long as theirs. Returns how many turns. */
static uint64_t one_run(const struct dpdk_options *o, struct gateway g[2], struct dpdk_result *r,
			uint64_t *now_ns, double tsc_hz)
{
	static double part[PARTS_MAX];
	uint64_t begin = clock_now_ns(), begin_tsc = bench_tsc();
	uint32_t num = 0;
	double mean;

	do {
		part[num++] = loop(g, o->turns, now_ns, &mean);
	} while ((o->secgw || o->testpmd) && num < PARTS_MAX &&
		 clock_now_ns() - begin < o->seconds * NS_PER_S);
	mean = (double)(bench_tsc() - begin_tsc) / ((double)num * o->turns * BENCH_BATCH);
	series_add(&r->cycles, median_of(part, num));
	series_add(&r->mpps, tsc_hz / mean / 1e6);
	return (uint64_t)num * o->turns;
}

static double last(const struct series *s)
{
	return s->value[s->num - 1];
}

static void peers_run(const struct dpdk_options *o, struct dpdk_result *r, double tsc_hz)
{
	if (o->secgw) {
		series_add(&r->secgw_mpps, peer_secgw(o->secgw, r->inner_len, o->seconds));
		series_add(&r->to_secgw, last(&r->mpps) / last(&r->secgw_mpps));
	}
	if (o->testpmd) {
		series_add(&r->testpmd_mpps, peer_testpmd(o->testpmd, r->inner_len, o->seconds));
		series_add(&r->to_testpmd, last(&r->mpps) / last(&r->testpmd_mpps));
	}
	(void)tsc_hz;
}

/* measure - one size; every packet must arrive. */
static void measure(const struct dpdk_options *o, const struct devices *d, struct dpdk_result *r,
		    double tsc_hz)
{
	struct half source = source_of(d->in, r->inner_len);
	struct half wire[2] = {half_of(d->ring, false, true), half_of(d->ring, true, false)};
	struct half sink = half_of(d->out, false, true);
	struct gateway g[2] = {0};
	uint64_t now_ns = NS_PER_S, turns = 16;
	double mean;

	bench_gateways_open(g, &source, wire, &sink, o);
	loop(g, 16, &now_ns, &mean);
	for (uint32_t i = 0; i < o->runs; i++) {
		turns += one_run(o, g, r, &now_ns, tsc_hz);
		series_add(&r->io_cycles, ceiling(&source, &sink, o->turns));
		peers_run(o, r, tsc_hz);
	}
	if (sink.num_sent != BENCH_BATCH * turns) {
		fprintf(stderr, "dpdk: %llu of %llu packets arrived\n",
			(unsigned long long)sink.num_sent,
			(unsigned long long)(BENCH_BATCH * turns));
		bench_gateways_show_drops(g);
		exit(1);
	}
	gateways_close(g);
}

static double measure_tsc_hz(void)
{
	uint64_t ns = clock_now_ns(), tsc = bench_tsc();

	while (clock_now_ns() - ns < 100 * NS_PER_MS)
		;
	return (double)(bench_tsc() - tsc) * 1e9 / (double)(clock_now_ns() - ns);
}

/* ---- options --------------------------------------------------------------------------------- */

static void usage(void)
{
	fputs("usage: dpdk [--json] [--module FILE] [--aead NAME] [--sizes N,N...] [--runs N] "
	      "[--turns N] [--udp]\n"
	      "            [--secgw PROGRAM] [--testpmd PROGRAM] [--seconds N]\n",
	      stderr);
	exit(2);
}

static void set_sizes(struct dpdk_options *o, const char *list)
{
	char *end;

	for (o->num_sizes = 0; o->num_sizes < DPDK_SIZES_MAX; list = end + 1) {
		unsigned long size = strtoul(list, &end, 10);

		if (size < INNER_MIN || size > INNER_MAX || (*end && *end != ','))
			break;
		o->sizes[o->num_sizes++] = (uint32_t)size;
		if (!*end)
			return;
	}
	usage();
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *end || n > UINT32_MAX ? 0 : (uint32_t)n;
}

static void set_option(struct dpdk_options *o, int c, const char *arg)
{
	switch (c) {
	case 'j':
		o->json = true;
		break;
	case 'm':
		o->module = arg;
		break;
	case 'a':
		o->aead = arg;
		break;
	case 's':
		set_sizes(o, arg);
		break;
	case 'r':
		o->runs = number(arg);
		break;
	case 't':
		o->turns = number(arg);
		break;
	case 'u':
		o->udp = true;
		break;
	case 'g':
		o->secgw = arg;
		break;
	case 'p':
		o->testpmd = arg;
		break;
	case 'd':
		o->seconds = number(arg);
		break;
	default:
		usage();
	}
}

static void options_init(struct dpdk_options *o, int argc, char **argv)
{
	static const struct option list[] = {{"json", no_argument, NULL, 'j'},
					     {"module", required_argument, NULL, 'm'},
					     {"aead", required_argument, NULL, 'a'},
					     {"sizes", required_argument, NULL, 's'},
					     {"runs", required_argument, NULL, 'r'},
					     {"turns", required_argument, NULL, 't'},
					     {"udp", no_argument, NULL, 'u'},
					     {"secgw", required_argument, NULL, 'g'},
					     {"testpmd", required_argument, NULL, 'p'},
					     {"seconds", required_argument, NULL, 'd'},
					     {NULL, 0, NULL, 0}};
	int c;

	*o = (struct dpdk_options){
		.runs = 11, .turns = 256, .seconds = 3, .sizes = {64, 512, 1400}, .num_sizes = 3};
	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1)
		set_option(o, c, optarg);
	/* What ipsec-secgw is told to do is bare ESP. */
	if (!o->runs || o->runs > BENCH_RUNS_MAX || !o->turns || o->turns > TURNS_MAX ||
	    !o->seconds || o->seconds > SECONDS_MAX || (o->secgw && o->udp) || optind != argc)
		usage();
}

/* ---- devices --------------------------------------------------------------------------------- */

static struct driver *open_device(const struct dpdk_module *m, const char *device)
{
	char text[DPDK_TEXT_MAX] = "";
	struct driver *d;
	enum err e = m->open(&d, device, 1, 0, 0, text);

	if (e)
		fprintf(stderr, "dpdk: %s\n", text);
	dpdk_must(e, device);
	return d;
}

static void measure_all(const struct dpdk_options *o, const struct dpdk_module *m,
			struct dpdk_result *results, double tsc_hz)
{
	struct devices d = {.ring = open_device(m, "net_ring0"),
			    .out = open_device(m, "net_null9")};
	char device[64];

	for (uint32_t i = 0; i < o->num_sizes; i++) {
		results[i].inner_len = o->sizes[i];
		snprintf(device, sizeof(device), "net_null%u,size=%u", i, o->sizes[i] + 14);
		d.in = open_device(m, device);
		measure(o, &d, &results[i], tsc_hz);
		d.in->ops->close(d.in);
	}
	d.ring->ops->close(d.ring);
	d.out->ops->close(d.out);
}

int main(int argc, char **argv)
{
	static struct dpdk_result results[DPDK_SIZES_MAX];
	const struct dpdk_params params = {
		.memory_mb = 96, .num_packets = 8191, .packet_room = 2048};
	char text[DPDK_TEXT_MAX] = "";
	struct dpdk_options o;
	struct dpdk *dpdk;

	options_init(&o, argc, argv);
	if (dpdk_load(&dpdk, o.module, NULL, text) || dpdk_module(dpdk)->start(&params, text)) {
		fprintf(stderr, "dpdk: %s\n", text);
		return 1;
	}
	double tsc_hz = measure_tsc_hz();

	measure_all(&o, dpdk_module(dpdk), results, tsc_hz);
	dpdk_unload(dpdk);
	if (o.json)
		dpdk_must(dpdk_report_json(stdout, &o, results, tsc_hz), "the report");
	else
		dpdk_report_table(stdout, &o, results, tsc_hz);
	return 0;
}
