/* SPDX-License-Identifier: Apache-2.0 */
/*
 * esp.h - what the files of bench/esp share. One thread. All costs are in cycles of the time stamp
 * counter (TSC), which ticks at a constant rate whatever the core's clock does, per packet.
 */
#pragma once

#include "dataplane/crypto/aead.h"
#include "dataplane/crypto/device.h"
#include "dataplane/pass_cycles.h"

#include <stdio.h>

/* BENCH_BATCH - packets offered to the data path at a time: a full vector. */
#define BENCH_BATCH 64

/* BENCH_RUNS_MAX - repetitions at most. */
#define BENCH_RUNS_MAX 101

/* bench_tsc - the counter, not before everything above it in the program was done. */
static inline uint64_t bench_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence\n\trdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* struct series - one figure, once for each repetition. series.c */
struct series {
	uint32_t num;
	double value[BENCH_RUNS_MAX];
};

/* series_add - one more value. series_median, _min, _max - of at least one value. */
void series_add(struct series *s, double v) NONNULL(1);
double series_median(const struct series *s) NONNULL(1);
double series_min(const struct series *s) NONNULL(1);
double series_max(const struct series *s) NONNULL(1);

/* median_of - of num > 0 values, which it sorts. */
double median_of(double *v, size_t num) NONNULL(1);

/* enum bench_ipcomp - payload compression, and what it has to do with. */
enum bench_ipcomp {
	BENCH_PLAIN,  /* none */
	BENCH_TEXT,   /* lines of a log */
	BENCH_RANDOM, /* what does not get shorter */
};

/* struct bench_options - from the command line. */
struct bench_options {
	bool json;
	const char *aead;   /* one back end only; NULL = all */
	const char *device; /* and DPDK's lookaside devices of this driver; NULL = none */
	const char *module; /* DPDK's; NULL = where it was installed */
	enum aead_alg alg;
	uint32_t runs;    /* repetitions */
	uint32_t packets; /* per repetition and figure, a multiple of BENCH_BATCH */
	uint32_t sas;     /* security associations that take turns, 1 to BENCH_SAS_TURN */
	uint32_t flows;   /* flows in each */
	uint32_t window;  /* replay window */
	uint32_t cache;   /* entries of the flow cache; 0 = the data path's own number */
	uint32_t latches; /* 0: flows are not latched, and are UDP; else they are TCP, by turns not
			   * latched and latched, with room for so many, half of which is taken */
	bool latched;     /* of one case: they are */
	bool esn;
	enum bench_ipcomp ipcomp;
	bool udp;          /* RFC 3948 instead of raw ESP */
	bool passes;       /* what each pass costs */
	uint32_t sizes[8]; /* BENCH_IMIX is one */
	uint32_t num_sizes;
	uint32_t many[8]; /* or numbers of SAs to compare, 1 to BENCH_SAS_MAX */
	uint32_t num_many;
};

/* BENCH_SAS_TURN, BENCH_SAS_MAX - SAs at most that take turns, and that are compared. */
#define BENCH_SAS_TURN 200
#define BENCH_SAS_MAX  1000000

/* bench_device_new - one more device of o->device; NULL: it was said why not. bench_device_end -
 * all are closed. esp_device.c */
#define BENCH_DEVICES_MAX 48
struct aead_device *bench_device_new(const struct bench_options *o) NONNULL(1);
void bench_device_end(void);

/* struct bench_result - one back end and size, or number of SAs. path_*: the passes, without the
 * drivers. */
struct bench_result {
	const char *aead;
	uint32_t size;
	uint32_t sas;
	bool latched;
	bool cold;       /* each packet's SA is drawn among all */
	double wire_len; /* bytes of ESP a packet */
	struct series raw_out, raw_in;
	struct series path_out, path_in;
	struct series driver_out, driver_in;
	struct series pass[PASS_NUM]; /* in a build that counts them */
};

/* BENCH_IMIX - a size of its own: of 12 packets 7 have 64 bytes, 4 have 570 and one has 1400. */
#define BENCH_IMIX     0
#define BENCH_IMIX_NUM 12

/* bench_len - inner bytes of the i-th packet. bench_mean_len - of all of them. */
static inline uint32_t bench_len(uint32_t size, uint32_t i)
{
	static const uint16_t imix[BENCH_IMIX_NUM] = {64,   570, 64,  64, 570, 64,
						      1400, 64,  570, 64, 64,  570};

	return size == BENCH_IMIX ? imix[i % BENCH_IMIX_NUM] : size;
}

static inline uint32_t bench_mean_len(uint32_t size)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < BENCH_IMIX_NUM; i++)
		sum += bench_len(size, i);
	return sum / BENCH_IMIX_NUM;
}

/* esp_text_len - bytes that are encrypted for an inner packet: with padding and trailer. */
static inline uint32_t esp_text_len(enum aead_alg alg, uint32_t inner_len)
{
	const uint32_t align = aead_shape(alg)->align;

	return (inner_len + 2 + align - 1) & ~(align - 1);
}

/* ---- the crypto alone (esp_raw.c) ------------------------------------------------------------ */

struct raw_bench;

/* raw_bench_new - as many packets as o says, for inner packets of that size. Errors: NOMEM, and
 * those of key_new. */
MUST_USE enum err raw_bench_new(struct raw_bench **out, const struct bench_options *o,
				const struct aead_backend *be, uint32_t size) NONNULL(1, 2, 3);
void raw_bench_free(struct raw_bench *b);

/* raw_bench_run - cost of encrypting and of decrypting them: the median batch's. Errors: CRYPTO. */
MUST_USE enum err raw_bench_run(struct raw_bench *b, double *out_encrypt, double *out_decrypt)
	NONNULL(1, 2, 3);

/* ---- the data path (esp_path.c) ---------------------------------------------------------------
 */

/* struct path_cost - cycles per packet of the passes and of the benchmark's own drivers. */
struct path_cost {
	double out, in;
	double driver_out, driver_in;
	double pass[PASS_NUM]; /* in a build that counts them */
};

struct path_bench;

/* path_bench_new - two data paths, one encrypting and one decrypting, joined by a wire of memory,
 * with SAs, policies and paths as a tunnel has them; aead may be o->device. Errors: those of
 * dataplane.h. */
MUST_USE enum err path_bench_new(struct path_bench **out, const struct bench_options *o,
				 const char *aead, uint32_t size) NONNULL(1, 2, 3);
void path_bench_free(struct path_bench *b);

/* path_bench_run - send as many packets through as its options say; the costs are the median
 * turn's. Every packet must arrive as it was: else CRYPTO, and the drop counters go to stderr. */
MUST_USE enum err path_bench_run(struct path_bench *b, struct path_cost *out) NONNULL(1, 2);

/* path_bench_wire_len - bytes that a packet had on the wire, the mean of all so far. */
double path_bench_wire_len(const struct path_bench *b) NONNULL(1);

/* path_bench_among - packets are of the first num flows from now, in turn, or drawn among them. */
void path_bench_among(struct path_bench *b, uint32_t num, bool drawn) NONNULL(1);

/* path_bench_prime - one packet of every flow, whose SAs so have been used. Errors: as of
 * path_bench_run(). */
MUST_USE enum err path_bench_prime(struct path_bench *b) NONNULL(1);

/* ---- many SAs (esp_sas.c) ---------------------------------------------------------------------
 */

/* sas_bench_run - each number of SAs in o->many, warm and cold, by turns; out has twice as many
 * places. Errors: NOT_FOUND (no back end), those of path_bench_new() and path_bench_run(). */
MUST_USE enum err sas_bench_run(struct bench_result *out, const struct bench_options *o)
	NONNULL(1, 2);

/* ---- the report (esp_report.c) -----------------------------------------------------------------
 */

/* report_passes - what each pass costs, for people. */
void report_passes(FILE *to, const struct bench_options *o, const struct bench_result *results,
		   size_t num) NONNULL(1, 2, 3);

/* report_table, report_sas - for people. report_json - bench/README.md has the schema. tsc_hz:
 * cycles a second. Errors: NOMEM. */
void report_table(FILE *to, const struct bench_options *o, const struct bench_result *results,
		  size_t num, double tsc_hz) NONNULL(1, 2, 3);
void report_sas(FILE *to, const struct bench_options *o, const struct bench_result *results,
		size_t num, double tsc_hz) NONNULL(1, 2, 3);
MUST_USE enum err report_json(FILE *to, const struct bench_options *o,
			      const struct bench_result *results, size_t num, double tsc_hz)
	NONNULL(1, 2, 3);
