/* SPDX-License-Identifier: Apache-2.0 */
#include "control/engine.h"

#include "base/alloc.h"
#include "control/ike/ask.h"
#include "control/ike/core.h"
#include "control/ike/index.h"
#include "control/ike/resume.h"
#include "control/ike/sa.h"
#include "control/ike/task.h"

#define SPI_INDEX_BITS 20
#define TICK_NS        (10 * NS_PER_MS)

static void set_limits(struct ike_limits *out, const struct ike_limits *in)
{
	static const struct ike_limits none = {0};

	if (!in)
		in = &none;
	*out = *in;
#define DEFAULT(field, value) out->field = in->field ? in->field : (value)
	DEFAULT(cookie_threshold, 30);
	DEFAULT(puzzle_threshold, 100);
	DEFAULT(half_open_max, 1000);
	DEFAULT(half_open_per_source, 8);
	DEFAULT(half_open_ns, 60 * NS_PER_S);
	DEFAULT(retransmit_ns, NS_PER_S);
	DEFAULT(retransmit_max_ns, 4 * NS_PER_S);
	DEFAULT(retransmit_tries, 20);
	DEFAULT(siblings_max, 64);
#undef DEFAULT
}

static enum err make_tables(struct ike_engine *e, const struct rng *rng)
{
	enum err err = crypto_ctx_new(&e->crypto, rng);

	if (err)
		return err;
	e->spis = slots_new(64, SPI_INDEX_BITS, rng);
	if (!e->spis)
		return ERR_NOMEM;
	err = htab_init(&e->half_open, rng);
	if (!err)
		err = htab_init(&e->sources, rng);
	if (!err)
		err = htab_init(&e->debtors, rng);
	if (!err)
		err = htab_init(&e->asks, rng);
	if (!err)
		err = htab_init(&e->children, rng);
	if (!err)
		err = htab_init_like(&e->spis_out, &e->children);
	if (!err)
		err = sa_index_init(&e->index, &e->children);
	return err ? err : pools_init(&e->pools, rng);
}

enum err ike_engine_new(struct ike_engine **out, const struct ike_env *env,
			const struct ike_limits *limits, uint64_t now_ns)
{
	struct ike_engine *e = mem_alloc(sizeof(*e));
	enum err err;

	if (!e)
		return ERR_NOMEM;
	e->env = *env;
	e->num_workers = env->num_workers ? env->num_workers : 1;
	e->now_ns = now_ns;
	set_limits(&e->limits, limits);
	list_init(&e->sas);
	list_init(&e->held);
	actions_init(&e->actions);
	timers_init(&e->timers, TICK_NS, now_ns);
	err = make_tables(e, env->rng);
	if (err) {
		ike_engine_free(e);
		return err;
	}
	*out = e;
	return ERR_OK;
}

void ike_engine_free(struct ike_engine *e)
{
	if (!e)
		return;
	list_for_each (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		sa->quiet = true;
		sa_kill(sa, IKE_REASON_LOCAL, NULL, e->now_ns);
	}
	engine_sweep(e, e->now_ns);
	resume_free_all(e);
	resume_void(e);
	pools_fini(&e->pools);
	actions_fini(&e->actions);
	cookie_jar_fini(&e->cookies);
	secret_fini(&e->crash_secret);
	htab_fini(&e->half_open);
	htab_fini(&e->sources);
	htab_fini(&e->debtors);
	htab_fini(&e->asks);
	htab_fini(&e->children);
	htab_fini(&e->spis_out);
	sa_index_fini(&e->index);
	slots_free(e->spis);
	crypto_ctx_free(e->crypto);
	conf_put(e->conf);
	secret_wipe(e->in, sizeof(e->in));
	secret_wipe(e->out, sizeof(e->out));
	mem_free(e);
}

void ike_engine_configure(struct ike_engine *e, struct conf *conf)
{
	struct conf *old = e->conf;

	resume_void(e);     /* what was proven was by the old one, */
	resume_free_all(e); /* here as there */
	e->conf = conf_get(conf);
	conf_put(old);
}

enum err engine_random(struct ike_engine *e, void *out, size_t len)
{
	return rng_fill(e->env.rng, out, len);
}

uint64_t engine_spread(struct ike_engine *e, uint64_t range_ns)
{
	uint64_t v;

	if (!range_ns || engine_random(e, &v, sizeof(v)))
		return 0;
	return v % range_ns;
}

/* As many as died, however many there are: strangers can cause it. */
void engine_sweep(struct ike_engine *e, uint64_t now_ns)
{
	struct ike_sa *sa;

	(void)now_ns;
	while ((sa = e->dead)) {
		e->dead = sa->next_dead;
		sa_free(sa);
	}
}

void ike_run(struct ike_engine *e, uint64_t now_ns)
{
	e->now_ns = now_ns;
	timers_run(&e->timers, now_ns);
	engine_sweep(e, now_ns);
}

uint64_t ike_deadline(const struct ike_engine *e)
{
	return timers_next(&e->timers);
}
