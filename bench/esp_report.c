/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/esp.h"

#include "bench/machine.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <sys/utsname.h>

/* ---- the peer -------------------------------------------------------------------------------- */

/*
 * VPP 26.06, native VAES AES-256-GCM, tunnel mode IPv4, anti-replay on: cycles per packet of its
 * ESP encrypt and decrypt nodes on an x86-64 virtual machine (2.6 GHz TSC, AVX-512 with VAES and
 * VPCLMULQDQ), and ipsec-mb 1.3 called directly on that machine in the same session. VPP is not
 * in Debian, so its figures are carried over to this machine by their ratio to ipsec-mb's.
 */
struct peer {
	uint32_t inner_len;
	double node[2]; /* out, in */
	double raw[2];
};
static const struct peer vpp[] = {
	{64, {95, 102}, {113, 93}},
	{512, {174, 171}, {180, 150}},
	{1400, {325, 304}, {313, 294}},
};

/* What VPP's node would cost here; 0 if that cannot be said. */
static double vpp_here(const struct bench_options *o, const struct bench_result *results,
		       size_t num, uint32_t inner_len, bool in)
{
	if (o->alg != AEAD_AES_GCM_16_256 || o->sas != 1)
		return 0;
	for (size_t i = 0; i < num; i++)
		for (size_t k = 0; k < ARRAY_LEN(vpp); k++)
			if (strcmp(results[i].aead, "ipsec-mb") == 0 &&
			    results[i].size == inner_len && vpp[k].inner_len == inner_len)
				return vpp[k].node[in] / vpp[k].raw[in] *
				       series_median(in ? &results[i].raw_in : &results[i].raw_out);
	return 0;
}

/* ---- for machines ------------------------------------------------------------------------------
 */

static uint32_t mean_text_len(enum aead_alg alg, uint32_t size)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < BENCH_IMIX_NUM; i++)
		sum += esp_text_len(alg, bench_len(size, i));
	return sum / BENCH_IMIX_NUM;
}

static json_t *result_json(const struct bench_options *o, const struct bench_result *results,
			   size_t num, size_t i, bool in, double tsc_hz)
{
	const struct bench_result *r = &results[i];
	const struct series *path = in ? &r->path_in : &r->path_out;
	const struct series *raw = in ? &r->raw_in : &r->raw_out;
	double cycles = series_median(path), peer = vpp_here(o, results, num, r->size, in);

	return json_pack("{s:s, s:s, s:b, s:b, s:i, s:i, s:o, s:o, s:f, s:f, s:f, s:o}", "aead",
			 r->aead, "direction", in ? "in" : "out", "latched", r->latched, "imix",
			 r->size == BENCH_IMIX, "inner_bytes", (int)bench_mean_len(r->size),
			 "esp_text_bytes", (int)mean_text_len(o->alg, r->size), "path_cycles",
			 bench_series_json(path), "crypto_cycles", bench_series_json(raw), "ratio",
			 cycles / series_median(raw), "mpps", tsc_hz / cycles / 1e6,
			 "driver_cycles", series_median(in ? &r->driver_in : &r->driver_out),
			 "vpp_cycles_scaled", peer > 0 ? json_real(peer) : json_null());
}

/* Packets a second, in millions, out and in again with the benchmark's own drivers. */
static double loop_mpps(const struct bench_result *r, double tsc_hz)
{
	return tsc_hz / 1e6 /
	       (series_median(&r->path_out) + series_median(&r->path_in) +
		series_median(&r->driver_out) + series_median(&r->driver_in));
}

static json_t *loop_json(const struct bench_result *r, double tsc_hz)
{
	return json_pack("{s:s, s:b, s:i, s:f}", "aead", r->aead, "imix", r->size == BENCH_IMIX,
			 "inner_bytes", (int)bench_mean_len(r->size), "mpps", loop_mpps(r, tsc_hz));
}

static const char *const ipcomp_name[] = {
	[BENCH_PLAIN] = "none", [BENCH_TEXT] = "text", [BENCH_RANDOM] = "random"};

static json_t *settings_json(const struct bench_options *o)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:s, s:s}", "alg",
			 aead_alg_name(o->alg), "batch", BENCH_BATCH, "runs", (int)o->runs,
			 "packets", (int)o->packets, "sas", (int)o->sas, "flows_per_sa",
			 (int)o->flows, "flow_cache", (int)o->cache, "replay_window",
			 (int)o->window, "latches", (int)o->latches, "esn", o->esn, "encapsulation",
			 o->udp ? "udp" : "none", "ipcomp", ipcomp_name[o->ipcomp]);
}

static json_t *sas_json(const struct bench_result *r)
{
	return json_pack("{s:s, s:i, s:b, s:i, s:o, s:o}", "aead", r->aead, "num", (int)r->sas,
			 "cold", r->cold, "inner_bytes", (int)bench_mean_len(r->size), "out_cycles",
			 bench_series_json(&r->path_out), "in_cycles",
			 bench_series_json(&r->path_in));
}

/* lists_json - what was measured to the list that it belongs into. False: shortage. */
static bool lists_json(json_t *list, json_t *loops, json_t *sas, const struct bench_options *o,
		       const struct bench_result *results, size_t num, double tsc_hz)
{
	for (size_t i = 0; i < num && o->num_many; i++)
		json_array_append_new(sas, sas_json(&results[i]));
	if (o->num_many)
		return json_array_size(sas) == num;
	for (size_t i = 0; i < num; i++) {
		json_array_append_new(list, result_json(o, results, num, i, false, tsc_hz));
		json_array_append_new(list, result_json(o, results, num, i, true, tsc_hz));
		json_array_append_new(loops, loop_json(&results[i], tsc_hz));
	}
	return json_array_size(list) == 2 * num && json_array_size(loops) == num;
}

enum err report_json(FILE *to, const struct bench_options *o, const struct bench_result *results,
		     size_t num, double tsc_hz)
{
	json_t *list = json_array(), *loops = json_array(), *sas = json_array();
	json_t *root = json_pack("{s:s, s:o, s:o, s:O, s:O, s:O}", "schema", "latchkey-bench-esp/1",
				 "machine", machine_json(tsc_hz), "settings", settings_json(o),
				 "results", list, "loops", loops, "sas", sas);
	enum err e = ERR_NOMEM;

	if (root && lists_json(list, loops, sas, o, results, num, tsc_hz) &&
	    json_dumpf(root, to, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 &&
	    fputc('\n', to) != EOF)
		e = ERR_OK;
	json_decref(list);
	json_decref(loops);
	json_decref(sas);
	json_decref(root);
	return e;
}

/* ---- for people ---------------------------------------------------------------------------------
 */

/* size_name - for the table, to buf. */
static const char *size_name(char buf[static 12], uint32_t size)
{
	if (size == BENCH_IMIX)
		return "imix";
	snprintf(buf, 12, "%u", size);
	return buf;
}

static void table_row(FILE *to, const struct bench_options *o, const struct bench_result *results,
		      size_t num, size_t i, bool in, double tsc_hz)
{
	const struct bench_result *r = &results[i];
	const struct series *path = in ? &r->path_in : &r->path_out;
	char size[12];
	double cycles = series_median(path);
	double raw = series_median(in ? &r->raw_in : &r->raw_out);
	double peer = vpp_here(o, results, num, r->size, in);

	fprintf(to, "%-9s %-4s %6s  %8.0f (%4.0f..%5.0f) %8.2f %8.0f %8.2f %9.0f",
		r->latched ? "  latched" : r->aead, in ? "in" : "out", size_name(size, r->size),
		cycles, series_min(path), series_max(path), tsc_hz / cycles / 1e6, raw,
		cycles / raw, series_median(in ? &r->driver_in : &r->driver_out));
	if (peer > 0)
		fprintf(to, " %7.0f", peer);
	fputc('\n', to);
}

static void machine_line(FILE *to, double tsc_hz)
{
	char cpu[MACHINE_CPU_MAX];
	struct utsname u;

	machine_cpu(cpu);
	uname(&u);
	fprintf(to, "%s, TSC %.3f GHz, Linux %s, OpenSSL %s, ipsec-mb %s\n", cpu, tsc_hz / 1e9,
		u.release, OpenSSL_version(OPENSSL_VERSION_STRING), machine_ipsec_mb());
}

/* latched_row - what latches and tokens cost: a case beside the same one with them, run by run. */
static void latched_row(FILE *to, const struct bench_result *without, bool in)
{
	const struct bench_result *with = without + 1;
	const struct series *a = in ? &without->path_in : &without->path_out;
	const struct series *b = in ? &with->path_in : &with->path_out;
	struct series ratio = {0};
	char size[12];

	for (uint32_t i = 0; i < a->num; i++)
		series_add(&ratio, b->value[i] / a->value[i]);
	fprintf(to, "latched: %s %s %s B: %+.1f of 100 (median of pairs), %+.1f (least of each)\n",
		without->aead, in ? "in" : "out", size_name(size, without->size),
		100 * (series_median(&ratio) - 1), 100 * (series_min(b) / series_min(a) - 1));
}

void report_table(FILE *to, const struct bench_options *o, const struct bench_result *results,
		  size_t num, double tsc_hz)
{
	char size[12];

	machine_line(to, tsc_hz);
	fprintf(to,
		"one core, %s, tunnel mode IPv4, %s, %s, IPComp %s, replay window %u, %u SA x %u "
		"flows, "
		"medians of %u x %u packets\n\n",
		aead_alg_name(o->alg), o->udp ? "UDP encapsulation" : "raw ESP",
		o->esn ? "ESN" : "no ESN", ipcomp_name[o->ipcomp], o->window, o->sas, o->flows,
		o->runs, o->packets);
	fprintf(to, "%-9s %-4s %6s  %8s %13s  %8s %8s %8s %9s %7s\n", "AEAD", "", "inner B",
		"cycles", "(min..max)", "Mpps", "crypto", "ratio", "(drivers)", "VPP*");
	for (size_t i = 0; i < num; i++) {
		table_row(to, o, results, num, i, false, tsc_hz);
		table_row(to, o, results, num, i, true, tsc_hz);
	}
	fputc('\n', to);
	for (size_t i = 0; o->latches && i + 1 < num; i += 2) {
		latched_row(to, &results[i], false);
		latched_row(to, &results[i], true);
	}
	for (size_t i = 0; o->ipcomp && i < num; i++)
		fprintf(to, "%s %s B: %.0f bytes of ESP\n", results[i].aead,
			size_name(size, results[i].size), results[i].wire_len);
	fputs("\nout and in again, drivers included, Mpps:", to);
	for (size_t i = 0; i < num; i++)
		fprintf(to, "%s %s %s B %.2f", i ? "," : "", results[i].aead,
			size_name(size, results[i].size), loop_mpps(&results[i], tsc_hz));
	fprintf(to, "\n\ncycles: TSC cycles a packet from one driver to the other, without them; "
		    "crypto: the cipher alone\n"
		    "in the same run; VPP*: VPP 26.06's ESP nodes, carried over by their ratio to "
		    "ipsec-mb's cipher cost.\n");
}

/* ---- by number of SAs --------------------------------------------------------------------------
 */

static void sas_row(FILE *to, const struct bench_result *r)
{
	fprintf(to, "%9u %-5s %7.0f (%5.0f..%6.0f) %7.0f (%5.0f..%6.0f)\n", r->sas,
		r->cold ? "cold" : "warm", series_median(&r->path_out), series_min(&r->path_out),
		series_max(&r->path_out), series_median(&r->path_in), series_min(&r->path_in),
		series_max(&r->path_in));
}

void report_sas(FILE *to, const struct bench_options *o, const struct bench_result *results,
		size_t num, double tsc_hz)
{
	machine_line(to, tsc_hz);
	fprintf(to,
		"one core, %s by %s, inner packets of %u bytes, %s, replay window %u, one flow in "
		"each SA,\nmedians of %u x %u packets\n\n",
		aead_alg_name(o->alg), results[0].aead, bench_mean_len(results[0].size),
		o->udp ? "UDP encapsulation" : "raw ESP", o->window, o->runs, o->packets);
	fprintf(to, "%9s %-5s %7s %15s %7s %15s\n", "SAs", "", "out", "(min..max)", "in",
		"(min..max)");
	for (size_t i = 0; i < num; i++)
		sas_row(to, &results[i]);
}

/* ---- pass by pass ------------------------------------------------------------------------------
 */

static const char *const pass_names[PASS_NUM] = {
#define PASS_NAME(pass) [PASS_##pass] = #pass,
	PASSES(PASS_NAME)
#undef PASS_NAME
};

/* rest_of - what a direction costs beside its passes: the turn around them. */
static double rest_of(const struct bench_result *r, bool in)
{
	double rest = series_median(in ? &r->path_in : &r->path_out);

	for (uint32_t i = in ? PASS_in_demux : 0; i < (in ? PASS_NUM : PASS_in_demux); i++)
		rest -= series_median(&r->pass[i]);
	return rest;
}

static void rest_row(FILE *to, const struct bench_result *results, size_t num, bool in)
{
	fprintf(to, "%-14s", in ? "in: the turn" : "out: the turn");
	for (size_t i = 0; i < num; i++)
		fprintf(to, " %13.1f", rest_of(&results[i], in));
	fputc('\n', to);
}

/* column - what is measured there, to buf. */
static const char *column(char buf[static 32], const struct bench_options *o,
			  const struct bench_result *r)
{
	char size[12];

	if (o->num_many)
		snprintf(buf, 32, "%u %s", r->sas, r->cold ? "cold" : "warm");
	else
		snprintf(buf, 32, "%s %s", r->aead, size_name(size, r->size));
	return buf;
}

void report_passes(FILE *to, const struct bench_options *o, const struct bench_result *results,
		   size_t num)
{
	char name[32];

	fprintf(to, "\n%-14s", "cycles a packet");
	for (size_t i = 0; i < num; i++)
		fprintf(to, " %13s", column(name, o, &results[i]));
	fputc('\n', to);
	for (uint32_t pass = 0; pass < PASS_NUM; pass++) {
		if (pass == PASS_in_demux)
			rest_row(to, results, num, false);
		fprintf(to, "%-14s", pass_names[pass]);
		for (size_t i = 0; i < num; i++)
			fprintf(to, " %13.1f", series_median(&results[i].pass[pass]));
		fputc('\n', to);
	}
	rest_row(to, results, num, true);
}
