/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/esp: what the ESP data path costs on one core, outbound and inbound, by AEAD back end and
 * packet size, with the cipher's own cost measured in the same run beside it. The back ends and
 * sizes take turns, so that a machine that drifts drifts for all. bench/README.md describes it.
 */
#include "bench/esp.h"

#include "base/alloc.h"

#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define RESULTS_MAX 32

static const char usage[] =
	"usage: esp [--json] [--aead NAME] [--alg NAME] [--sizes N,N...]\n"
	"           [--device NAME [--module FILE]]\n"
	"           [--runs N] [--packets N] [--sas N[,N...]] [--flows N] [--cache N] [--window "
	"N]\n"
	"           [--latches N] [--esn] [--udp] [--passes]\n"
	"           [--ipcomp text|random]\n"
	"Costs of the ESP data path in TSC cycles per packet. Defaults: every back end, "
	"aes256gcm16,\n"
	"sizes 64,128,256,512,1024,1400,imix, 25 runs of 16384 packets, 1 SA, 8 flows in each, "
	"replay window 1024.\n"
	"--latches: TCP flows, each case without and with latches and tokens by turns, with room "
	"for\n"
	"so many flows, half of it taken.\n"
	"--ipcomp: packets are compressed, of text or of what does not get shorter by it.\n"
	"--device: and a lookaside device of DPDK's of that name, such as crypto_aesni_mb.\n"
	"--sas with several numbers, or one of more than 200: what so many SAs cost, with one back "
	"end\nand size.\n";

/* ---- options ------------------------------------------------------------------------------------
 */

/* A number from lo to hi, or a message and exit. */
static uint32_t number(const char *text, const char *what, uint32_t lo, uint32_t hi)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || v < lo || v > hi) {
		fprintf(stderr, "esp: %s is a number from %u to %u, not '%s'\n", what, lo, hi,
			text);
		exit(2);
	}
	return (uint32_t)v;
}

static void set_sizes(struct bench_options *o, char *list)
{
	o->num_sizes = 0;
	for (char *p = strtok(list, ","); p; p = strtok(NULL, ",")) {
		if (o->num_sizes == ARRAY_LEN(o->sizes)) {
			fprintf(stderr, "esp: at most %zu sizes\n", ARRAY_LEN(o->sizes));
			exit(2);
		}
		o->sizes[o->num_sizes++] =
			strcmp(p, "imix") == 0 ? BENCH_IMIX : number(p, "a size", 40, 1900);
	}
}

/* A list, or more than what can take turns, is compared. */
static void set_sas(struct bench_options *o, char *list)
{
	bool several = strchr(list, ',') != NULL;

	o->num_many = 0;
	for (char *p = strtok(list, ","); p; p = strtok(NULL, ",")) {
		uint32_t num = number(p, "--sas", 1, BENCH_SAS_MAX);

		if (!several && num <= BENCH_SAS_TURN) {
			o->sas = num;
			return;
		}
		if (o->num_many == ARRAY_LEN(o->many)) {
			fprintf(stderr, "esp: at most %zu numbers of SAs\n", ARRAY_LEN(o->many));
			exit(2);
		}
		o->many[o->num_many++] = num;
	}
	if (!o->num_many) {
		fputs("esp: --sas has no number\n", stderr);
		exit(2);
	}
}

static enum aead_alg alg_of(const char *name)
{
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
		if (strcmp(name, aead_alg_name(alg)) == 0)
			return alg;
	fprintf(stderr, "esp: there is no algorithm '%s'; there are", name);
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
		fprintf(stderr, " %s", aead_alg_name(alg));
	fputc('\n', stderr);
	exit(2);
}

static void set_ipcomp(struct bench_options *o, const char *what)
{
	if (strcmp(what, "text") != 0 && strcmp(what, "random") != 0) {
		fprintf(stderr, "esp: --ipcomp is text or random, not '%s'\n", what);
		exit(2);
	}
	o->ipcomp = *what == 't' ? BENCH_TEXT : BENCH_RANDOM;
}

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},
	{"aead", required_argument, NULL, 'a'},
	{"device", required_argument, NULL, 'd'},
	{"module", required_argument, NULL, 'm'},
	{"alg", required_argument, NULL, 'g'},
	{"sizes", required_argument, NULL, 's'},
	{"runs", required_argument, NULL, 'r'},
	{"packets", required_argument, NULL, 'p'},
	{"sas", required_argument, NULL, 'S'},
	{"flows", required_argument, NULL, 'f'},
	{"cache", required_argument, NULL, 'c'},
	{"window", required_argument, NULL, 'w'},
	{"latches", required_argument, NULL, 'l'},
	{"esn", no_argument, NULL, 'e'},
	{"udp", no_argument, NULL, 'u'},
	{"ipcomp", required_argument, NULL, 'i'},
	{"passes", no_argument, NULL, 'P'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void set_option(struct bench_options *o, int c, char *arg)
{
	switch (c) {
	case 'j':
		o->json = true;
		break;
	case 'a':
		o->aead = arg;
		break;
	case 'd':
		o->device = arg;
		break;
	case 'm':
		o->module = arg;
		break;
	case 'g':
		o->alg = alg_of(arg);
		break;
	case 's':
		set_sizes(o, arg);
		break;
	case 'r':
		o->runs = number(arg, "--runs", 1, BENCH_RUNS_MAX);
		break;
	case 'p':
		o->packets = number(arg, "--packets", BENCH_BATCH, 10000000) & ~(BENCH_BATCH - 1U);
		break;
	case 'S':
		set_sas(o, arg);
		break;
	case 'f':
		o->flows = number(arg, "--flows", 1, 10000);
		break;
	case 'c':
		o->cache = number(arg, "--cache", 64, 1 << 24);
		break;
	case 'w':
		o->window = number(arg, "--window", 0, 1 << 20);
		break;
	case 'l':
		o->latches = number(arg, "--latches", 64, 8 << 20);
		break;
	case 'e':
		o->esn = true;
		break;
	case 'i':
		set_ipcomp(o, arg);
		break;
	case 'u':
		o->udp = true;
		break;
	case 'P':
		o->passes = true;
		break;
	default:
		fputs(usage, c == 'h' ? stdout : stderr);
		exit(c == 'h' ? 0 : 2);
	}
}

/* check_passes - that --passes can be had. */
static void check_passes(const struct bench_options *o)
{
	const char *why = NULL;

#ifndef LATCHKEY_PASS_CYCLES
	why = "is for a build with -Dpass_cycles=true";
#endif
	if (o->json)
		why = "is for people, not --json";
	if (!o->passes || !why)
		return;
	fprintf(stderr, "esp: --passes %s\n", why);
	exit(2);
}

static struct bench_options options(int argc, char **argv)
{
	struct bench_options o = {
		.alg = AEAD_AES_GCM_16_256,
		.runs = 25,
		.packets = 16384,
		.sas = 1,
		.flows = 8,
		.window = 1024,
		.sizes = {64, 128, 256, 512, 1024, 1400, BENCH_IMIX},
		.num_sizes = 7,
	};
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(&o, c, optarg);
	if (optind != argc) {
		fputs(usage, stderr);
		exit(2);
	}
	check_passes(&o);
	return o;
}

/* ---- measuring
 * ----------------------------------------------------------------------------------- */

static void stay_on_this_core(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		perror("esp: sched_setaffinity");
}

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double measure_tsc_hz(void)
{
	uint64_t ns = monotonic_ns(), tsc = bench_tsc();

	while (monotonic_ns() - ns < 100000000)
		;
	tsc = bench_tsc() - tsc;
	return (double)tsc * 1e9 / (double)(monotonic_ns() - ns);
}

/* struct bench_case - a back end and size while it is measured. */
struct bench_case {
	struct bench_result *result;
	struct raw_bench *raw;
	struct path_bench *path;
};

static enum err case_open(struct bench_case *c, const struct bench_options *o,
			  const struct aead_backend *be, uint32_t size)
{
	enum err e = raw_bench_new(&c->raw, o, be, size);

	if (e == ERR_OK)
		e = path_bench_new(&c->path, o, be->name, size);
	c->result->aead = be->name;
	c->result->size = size;
	c->result->sas = o->sas;
	return e;
}

static enum err case_run(struct bench_case *c)
{
	struct bench_result *r = c->result;
	struct path_cost cost;
	double encrypt, decrypt;
	enum err e = raw_bench_run(c->raw, &encrypt, &decrypt);

	if (e == ERR_OK)
		e = path_bench_run(c->path, &cost);
	if (e != ERR_OK)
		return e;
	series_add(&r->raw_out, encrypt);
	series_add(&r->raw_in, decrypt);
	series_add(&r->path_out, cost.out);
	series_add(&r->path_in, cost.in);
	series_add(&r->driver_out, cost.driver_out);
	series_add(&r->driver_in, cost.driver_in);
	r->wire_len = path_bench_wire_len(c->path);
	for (uint32_t i = 0; i < PASS_NUM; i++)
		series_add(&r->pass[i], cost.pass[i]);
	return ERR_OK;
}

/* open_size - by one back end; with o->latches also latched. */
static enum err open_size(struct bench_case *cases, size_t *num, const struct bench_options *o,
			  struct bench_result *results, const struct aead_backend *be,
			  uint32_t size)
{
	struct bench_options with = *o;
	enum err e = ERR_OK;

	for (int i = 0; i < (o->latches ? 2 : 1) && e == ERR_OK && *num < RESULTS_MAX; i++) {
		with.latched = i;
		cases[*num].result = &results[*num];
		results[*num].latched = with.latched;
		e = case_open(&cases[*num], &with, be, size);
		++*num;
	}
	return e;
}

static enum err open_all(struct bench_case *cases, size_t *num, const struct bench_options *o,
			 struct bench_result *results)
{
	for (const struct aead_backend *const *be = aead_backends(); *be; be++) {
		if ((o->aead && strcmp((*be)->name, o->aead) != 0) || !(*be)->supports(o->alg))
			continue;
		for (uint32_t i = 0; i < o->num_sizes; i++) {
			enum err e = open_size(cases, num, o, results, *be, o->sizes[i]);

			if (e != ERR_OK)
				return e;
		}
	}
	return *num > 0 ? ERR_OK : ERR_NOT_FOUND;
}

/* open_device - the cases of the lookaside device, if one is asked for. */
static enum err open_device(struct bench_case *cases, size_t *num, const struct bench_options *o,
			    struct bench_result *results, struct aead_device **out)
{
	struct aead_device *d = o->device ? bench_device_new(o) : NULL;
	enum err e = o->device && !d ? ERR_NOT_FOUND : ERR_OK;

	*out = d;
	for (uint32_t i = 0; d && e == ERR_OK && i < o->num_sizes && *num < RESULTS_MAX; i++) {
		struct bench_case *c = &cases[*num];

		c->result = &results[*num];
		*c->result = (struct bench_result){
			.aead = o->device, .size = o->sizes[i], .sas = o->sas};
		++*num;
		/* The path's devices were tried last; the cipher alone has this one. */
		e = path_bench_new(&c->path, o, o->device, o->sizes[i]);
		if (e == ERR_OK)
			e = raw_bench_new(&c->raw, o, aead_device_backend(d), o->sizes[i]);
	}
	return e;
}

static enum err run_all(struct bench_case *cases, size_t num, const struct bench_options *o)
{
	enum err e = ERR_OK;

	for (uint32_t run = 0; run < o->runs; run++)
		for (size_t i = 0; i < num && e == ERR_OK; i++)
			e = case_run(&cases[i]);
	return e;
}

/* measure - every back end and size. */
static enum err measure(const struct bench_options *o, struct bench_result *results,
			size_t *out_num)
{
	static struct bench_case cases[RESULTS_MAX];
	struct aead_device *device = NULL;
	size_t num = 0;
	enum err e = open_all(cases, &num, o, results);

	if (e == ERR_OK)
		e = open_device(cases, &num, o, results, &device);
	if (e == ERR_OK)
		e = run_all(cases, num, o);
	for (size_t i = 0; i < num; i++) {
		raw_bench_free(cases[i].raw);
		path_bench_free(cases[i].path);
	}
	if (device)
		device->ops->close(device);
	bench_device_end();
	*out_num = num;
	return e;
}

static enum err report(const struct bench_options *o, const struct bench_result *results,
		       size_t num, double tsc_hz)
{
	if (o->json)
		return report_json(stdout, o, results, num, tsc_hz);
	if (o->num_many)
		report_sas(stdout, o, results, num, tsc_hz);
	else
		report_table(stdout, o, results, num, tsc_hz);
	if (o->passes)
		report_passes(stdout, o, results, num);
	return ERR_OK;
}

int main(int argc, char **argv)
{
	static struct bench_result results[RESULTS_MAX];
	struct bench_options o = options(argc, argv);
	size_t num = 2 * o.num_many;
	double tsc_hz;
	enum err e;

	stay_on_this_core();
	tsc_hz = measure_tsc_hz();
	e = num > 0 ? sas_bench_run(results, &o) : measure(&o, results, &num);
	if (e == ERR_OK)
		e = report(&o, results, num, tsc_hz);
	if (e != ERR_OK)
		fprintf(stderr, "esp: %s\n", err_text(e));
	return e == ERR_OK ? 0 : 1;
}
