/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/dpdk.h"
#include "bench/machine.h"

/* ---- for machines ------------------------------------------------------------------------------
 */

static json_t *series_or_null(const struct series *s)
{
	return s->num ? bench_series_json(s) : json_null();
}

static json_t *result_json(const struct dpdk_result *r)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "inner_bytes",
			 (int)r->inner_len, "cycles", bench_series_json(&r->cycles), "mpps",
			 bench_series_json(&r->mpps), "io_cycles", bench_series_json(&r->io_cycles),
			 "secgw_mpps", series_or_null(&r->secgw_mpps), "secgw_ratio",
			 series_or_null(&r->to_secgw), "testpmd_mpps",
			 series_or_null(&r->testpmd_mpps), "testpmd_ratio",
			 series_or_null(&r->to_testpmd));
}

static json_t *settings_json(const struct dpdk_options *o)
{
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:s}", "alg", "aes256gcm16",
			 "aead", o->aead ? o->aead : "fastest", "batch", BENCH_BATCH, "runs",
			 (int)o->runs, "turns", (int)o->turns, "flows", DPDK_NUM_FLOWS,
			 "replay_window", DPDK_WINDOW, "peer_seconds", (int)o->seconds,
			 "encapsulation", o->udp ? "udp" : "none");
}

enum err dpdk_report_json(FILE *to, const struct dpdk_options *o, const struct dpdk_result *results,
			  double tsc_hz)
{
	json_t *list = json_array();
	json_t *root =
		json_pack("{s:s, s:o, s:o, s:O}", "schema", "latchkey-bench-dpdk/1", "machine",
			  machine_json(tsc_hz), "settings", settings_json(o), "results", list);
	enum err e = ERR_NOMEM;

	for (uint32_t i = 0; i < o->num_sizes; i++)
		json_array_append_new(list, result_json(&results[i]));
	if (root && json_array_size(list) == o->num_sizes &&
	    json_dumpf(root, to, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 &&
	    fputc('\n', to) != EOF)
		e = ERR_OK;
	json_decref(list);
	json_decref(root);
	return e;
}

/* ---- for people ---------------------------------------------------------------------------------
 */

static void peer_columns(FILE *to, const struct series *mpps, const struct series *ratio)
{
	if (mpps->num)
		fprintf(to, " %10.2f %6.2f x (%.2f..%.2f)", series_median(mpps),
			series_median(ratio), series_min(ratio), series_max(ratio));
}

void dpdk_report_table(FILE *to, const struct dpdk_options *o, const struct dpdk_result *results,
		       double tsc_hz)
{
	fprintf(to,
		"two gateways, aes256gcm16, %s, one core, TSC %.3f GHz, %u runs of %u packets%s\n",
		o->udp ? "ESP in UDP" : "bare ESP", tsc_hz / 1e9, o->runs, o->turns * BENCH_BATCH,
		o->secgw || o->testpmd ? " and more, by turns with others" : "");
	fprintf(to, "%6s %10s %10s %10s %12s %10s%s%s\n", "inner", "cycles", "Mpps", "with all",
		"io cycles", "io Mpps", o->secgw ? "      secgw with all is        " : "",
		o->testpmd ? "    testpmd with all is" : "");
	for (uint32_t i = 0; i < o->num_sizes; i++) {
		const struct dpdk_result *r = &results[i];
		double cycles = series_median(&r->cycles), io = series_median(&r->io_cycles);

		fprintf(to, "%6u %10.0f %10.2f %10.2f %12.0f %10.2f", r->inner_len, cycles,
			tsc_hz / cycles / 1e6, series_median(&r->mpps), io, tsc_hz / io / 1e6);
		peer_columns(to, &r->secgw_mpps, &r->to_secgw);
		peer_columns(to, &r->testpmd_mpps, &r->to_testpmd);
		fputc('\n', to);
	}
}
