/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike_gen.h - keying engines for bench/ike: one side without a data path, which its user joins to
 * another one or to a socket. One thread.
 */
#pragma once

#include "base/alloc.h"
#include "base/clock.h"
#include "control/engine.h"

/* struct side - one keying engine with the credentials of its configuration. What it wants done
 * goes to its user: `send` what is to leave, `tell` what happened. Child SAs are counted, and
 * nothing else becomes of them. */
struct side {
	struct ike_engine *e;
	struct ike_keyring *keyring;
	struct conf *conf; /* borrowed */
	uint32_t last_spi;
	uint64_t children;
	void (*send)(struct side *s, const struct ike_action *a);
	void (*tell)(struct side *s, const struct ike_event *ev);
	void *ctx;
};

/* gen_must - end the program, and say why, unless e is ERR_OK. */
void gen_must(enum err e, const char *what);

/* gen_conf - a configuration file, with the credentials beside it; ends the program if it is wrong.
 */
struct conf *gen_conf(const char *file);

/* gen_ns - monotonic nanoseconds, for what is measured. */
uint64_t gen_ns(void);

/* gen_quiet - nothing is logged but errors. */
void gen_quiet(void);

/* side_open - an engine; s->conf, send and tell are set. side_close - forget it all; the peer is
 * told nothing. */
void side_open(struct side *s);
void side_close(struct side *s);

/* side_settle - carry out what the engine wants done, after each call to it. */
void side_settle(struct side *s, uint64_t now_ns);

/* struct strangers - microseconds of processor time that an engine takes for one message of whoever
 * has no IKE SA with it: a first one that is refused; of an IKE SA that there is not; a hint that
 * ESP met no SA; ESP without an SA. */
struct strangers {
	double refused_us, unknown_us, hint_us, stray_us;
};

/* strangers_measure - what they take s->e; first: an IKE_SA_INIT request that it would answer. What
 * it sends goes to s->send. */
void strangers_measure(struct strangers *out, struct side *s, struct bytes first);

/* ---- what the program can do -------------------------------------------------------------------
 */

/* pair_run - NUM handshakes between two engines; drive_run - handshakes with a responder, over
 * sockets; flood_run - first messages from addresses that nobody has. Each returns the program's
 * exit status; argv[0] is the word that named it. */
int pair_run(int argc, char **argv);
int drive_run(int argc, char **argv);
int flood_run(int argc, char **argv);
