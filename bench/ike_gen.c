/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike-gen - generates handshakes for bench/ike.
 *
 * usage: ike-gen pair NUM INITIATOR.conf RESPONDER.conf
 *        ike-gen drive SECONDS RATE ADDRESS LOCAL COUNT INITIATOR.conf
 *        ike-gen flood SECONDS RATE INTERFACE MAC ADDRESS PORT INITIATOR.conf
 *
 * Each prints one line of JSON; see the files that do the work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/ike_gen.h"

#include "base/log.h"

void gen_must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "ike-gen: %s: %s\n", what, err_name(e));
	exit(1);
}

struct conf *gen_conf(const char *file)
{
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	struct conf *conf = NULL;
	enum err e = diags ? conf_load(&conf, diags, file) : ERR_NOMEM;

	for (uint32_t i = 0; e && diags && i < diags->num && i < ARRAY_LEN(diags->list); i++)
		fprintf(stderr, "%s\n", diags->list[i].text);
	mem_free(diags);
	gen_must(e, file);
	return conf;
}

uint64_t gen_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void write_line(void *ctx, enum log_level level, enum log_subsystem sub, const char *conn,
		       const char *line)
{
	(void)ctx;
	(void)sub;
	fprintf(stderr, "%s %s: %s\n", log_level_name(level), conn ? conn : "-", line);
}

void gen_quiet(void)
{
	static struct log_sink sink = {.write = write_line};

	for (unsigned i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		sink.levels[i] = LOG_ERROR;
	log_use(&sink);
}

/* ---- a side ---------------------------------------------------------------------------------- */

static enum err spi_reserve(void *ctx, uint32_t *out, uint64_t replaces, uint32_t worker)
{
	struct side *s = ctx;

	(void)replaces;
	(void)worker;
	*out = ++s->last_spi;
	return ERR_OK;
}

static void spi_release(void *ctx, uint32_t spi)
{
	(void)ctx;
	(void)spi;
}

static enum err child_stats(void *ctx, struct child_stats *out, uint64_t child)
{
	(void)ctx;
	(void)child;
	*out = (struct child_stats){0};
	return ERR_OK;
}

void side_open(struct side *s)
{
	const struct ike_env env = {.rng = rng_system(),
				    .spi_reserve = spi_reserve,
				    .spi_release = spi_release,
				    .child_stats = child_stats,
				    .ctx = s,
				    .max_paths = 6,
				    .path_window = 65536};
	const struct ike_limits limits = {0};

	s->last_spi = 0x1000;
	gen_must(ike_engine_new(&s->e, &env, &limits, clock_now_ns()), "engine");
	gen_must(ike_keyring_new(&s->keyring, rng_system()), "keyring");
	ike_engine_configure(s->e, s->conf);
}

void side_close(struct side *s)
{
	ike_engine_free(s->e);
	ike_keyring_free(s->keyring);
}

/* Nothing is fetched here, so that the first answer is the last one. */
static void answer(struct side *s, const struct ike_ask *ask, uint64_t now_ns)
{
	struct ike_answer a = {0};

	ike_keyring_answer(s->keyring, &a, s->conf, ask, clock_wall_s());
	ike_answer(s->e, ask->id, &a, now_ns);
}

void side_settle(struct side *s, uint64_t now_ns)
{
	struct ike_action a;

	while (ike_action_next(s->e, &a)) {
		if (a.kind == IKE_ACTION_SEND)
			s->send(s, &a);
		else if (a.kind == IKE_ACTION_ASK)
			answer(s, a.ask, now_ns);
		else if (a.kind == IKE_ACTION_EVENT)
			s->tell(s, a.event);
		s->children += a.kind == IKE_ACTION_CHILD_ADD;
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		int (*run)(int argc, char **argv);
	} words[] = {{"pair", pair_run}, {"drive", drive_run}, {"flood", flood_run}};

	gen_quiet();
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(words); i++)
		if (strcmp(argv[1], words[i].word) == 0)
			return words[i].run(argc - 1, argv + 1);
	fprintf(stderr, "usage: ike-gen pair|drive|flood ...\n");
	return 2;
}
