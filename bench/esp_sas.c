/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the passes cost by the number of SAs, each with a policy, a group and one flow of its own.
 * Warm: the same few in turn. Cold: each packet is of an SA drawn among all, so that beyond some
 * thousand its policy, flow and keys are in memory and not in a cache. All numbers and both kinds
 * take turns.
 */
#include "bench/esp.h"

#define WARM 32

static enum err backend_of(const char **out, const struct bench_options *o)
{
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		if ((*be)->supports(o->alg) && (!o->aead || strcmp((*be)->name, o->aead) == 0)) {
			*out = (*be)->name;
			return ERR_OK;
		}
	return ERR_NOT_FOUND;
}

static enum err open_one(struct path_bench **out, struct bench_result results[2],
			 const struct bench_options *o, uint32_t num)
{
	struct bench_options mine = *o;
	const char *aead;
	enum err e = backend_of(&aead, o);

	if (e != ERR_OK)
		return e;
	for (int cold = 0; cold < 2; cold++) {
		results[cold].aead = aead;
		results[cold].size = o->sizes[0];
		results[cold].sas = num;
		results[cold].cold = cold;
	}
	mine.sas = num;
	mine.flows = 1;
	e = path_bench_new(out, &mine, aead, o->sizes[0]);
	return e == ERR_OK ? path_bench_prime(*out) : e;
}

static enum err run_one(struct path_bench *b, struct bench_result *r)
{
	struct path_cost cost;
	enum err e;

	path_bench_among(b, r->cold ? r->sas : WARM, r->cold);
	e = path_bench_run(b, &cost);
	if (e != ERR_OK)
		return e;
	series_add(&r->path_out, cost.out);
	series_add(&r->path_in, cost.in);
	for (uint32_t i = 0; i < PASS_NUM; i++)
		series_add(&r->pass[i], cost.pass[i]);
	return ERR_OK;
}

static enum err run_all(struct path_bench **benches, struct bench_result *results,
			const struct bench_options *o)
{
	enum err e = ERR_OK;

	for (uint32_t run = 0; run < o->runs; run++)
		for (uint32_t i = 0; i < 2 * o->num_many && e == ERR_OK; i++)
			e = run_one(benches[i / 2], &results[i]);
	return e;
}

enum err sas_bench_run(struct bench_result *out, const struct bench_options *o)
{
	struct path_bench *benches[ARRAY_LEN(o->many)] = {NULL};
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < o->num_many && e == ERR_OK; i++)
		e = open_one(&benches[i], &out[2 * i], o, o->many[i]);
	if (e == ERR_OK)
		e = run_all(benches, out, o);
	for (uint32_t i = 0; i < o->num_many; i++)
		path_bench_free(benches[i]);
	return e;
}
