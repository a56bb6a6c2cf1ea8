/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dpdk.h - what the files of bench/dpdk share. One thread.
 *
 *   dpdk.c           options, devices, measuring
 *   dpdk_gateways.c  two gateways over halves of devices
 *   dpdk_peers.c     other programs that are measured by turns with it
 *   dpdk_report.c    the table, and JSON
 */
#pragma once

#include "bench/esp.h"
#include "dataplane/dataplane.h"
#include "drivers/dpdk.h"
#include "tests/drivers/gateways.h"

#define DPDK_SIZES_MAX 8
#define DPDK_HEAD_LEN  42 /* Ethernet, IPv4, UDP */
#define DPDK_NUM_FLOWS 8
#define DPDK_WINDOW    1024

/* struct dpdk_options - from the command line. */
struct dpdk_options {
	const char *module, *aead;
	const char *secgw, *testpmd; /* programs that take turns with ours; NULL: they do not */
	uint32_t runs, turns;
	uint32_t seconds; /* that each takes in a run, where there are others */
	uint32_t sizes[DPDK_SIZES_MAX], num_sizes;
	bool udp, json;
};

/* struct dpdk_result - of one size; Mpps are by the clock, all turns. What was not asked for has no
 * values. */
struct dpdk_result {
	uint32_t inner_len;
	struct series cycles, mpps, io_cycles;
	struct series secgw_mpps, to_secgw;     /* ours over it, run by run */
	struct series testpmd_mpps, to_testpmd; /* the same */
};

/* dpdk_must - or say what went wrong, and exit. */
void dpdk_must(enum err e, const char *what) NONNULL(2);

/* ---- gateways (dpdk_gateways.c) ---------------------------------------------------------------
 */

/* struct half - a device's port of which only one direction is used. */
struct half {
	struct driver driver;
	struct driver *device;
	bool receives, sends;
	bool makes; /* a source: the heads of the packets it gives are these */
	uint8_t heads[DPDK_NUM_FLOWS][DPDK_HEAD_LEN];
	uint32_t turn;
	uint64_t num_sent;
};

/* half_of - one that receives or sends. source_of - one that gives packets of DPDK_NUM_FLOWS flows
 * in the device's frames. */
struct half half_of(struct driver *device, bool receives, bool sends);
struct half source_of(struct driver *device, uint32_t inner_len);

/* bench_gateways_open - two that have a pair of SAs between them: what g[0] gets from `source` goes
 * by the wire to g[1] and from there to `sink`. The halves outlive them. */
void bench_gateways_open(struct gateway g[static 2], struct half *source,
			 struct half wire[static 2], struct half *sink,
			 const struct dpdk_options *o) NONNULL(2, 4, 5);

/* bench_gateways_show_drops - to stderr. */
void bench_gateways_show_drops(const struct gateway g[static 2]);

/* ---- peers (dpdk_peers.c) ----------------------------------------------------------------------
 */

/* peer_secgw - million packets a second that ipsec-secgw encrypts and decrypts on this thread's
 * first processor. peer_testpmd - that testpmd takes from one net_null and gives to another there.
 * Frames of inner_len and an Ethernet header. Exits when it does not run. */
double peer_secgw(const char *program, uint32_t inner_len, uint32_t seconds) NONNULL(1);
double peer_testpmd(const char *program, uint32_t inner_len, uint32_t seconds) NONNULL(1);

/* ---- the report (dpdk_report.c) -----------------------------------------------------------------
 */

/* dpdk_report_table - for people. dpdk_report_json - bench/README.md has the schema. tsc_hz: cycles
 * a second. Errors: NOMEM. */
void dpdk_report_table(FILE *to, const struct dpdk_options *o, const struct dpdk_result *results,
		       double tsc_hz) NONNULL(1, 2, 3);
MUST_USE enum err dpdk_report_json(FILE *to, const struct dpdk_options *o,
				   const struct dpdk_result *results, double tsc_hz)
	NONNULL(1, 2, 3);
