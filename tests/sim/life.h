/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.h - a world of two sides that have agreed on many things at a time (drawn.h), from its
 * first message to its last, and what has to be true of it whatever happened between. One at a
 * time.
 */
#pragma once

#include "control/ike/sa.h"
#include "tests/sim/drawn.h"

#define A 0
#define B 1

/* LIFE_LIVENESS - after it whoever is not there is given up: dpd_delay, and the time that a request
 * is repeated for. LIFE_MINUTE - within it the first child is to be up. */
#define LIFE_LIVENESS (115 * NS_PER_S)
#define LIFE_MINUTE   (60 * NS_PER_S)

/* struct outcome - of one life. */
struct outcome {
	bool established;     /* within a minute */
	bool proven;          /* each side by the way that was drawn */
	bool same, up, flows; /* once the network holds still */
	bool told;            /* each failure had its reason */
	bool clear;           /* something was sent that only the two may know */
	bool ended;           /* nothing was left when all was closed */
	bool leaked;
	uint32_t rounds; /* drawn_rounds() */
	char why[200], drawn[400];
	uint8_t digest[32];
};

/* struct life - tap_ctx of its world. meddle: sees what is sent, and false loses it; NULL: nobody
 * does. */
struct life {
	struct drawn d;
	bool wants; /* A has packets for "tun" */
	bool clear;
	bool parts[NUM_PARTS]; /* that came into their own */
	uint64_t exchanges[256];
	bool (*meddle)(struct sim *s, unsigned from, void *ctx);
	void *ctx;
};

/* life_begin - nothing was sent yet; takes d over. life_over - all is freed, and out has the
 * digest. */
struct sim *life_begin(struct life *l, struct drawn d, const struct sim_wire *wire, uint64_t seed);
void life_over(struct sim *s, struct outcome *out);

/* life_of - of its world. */
struct life *life_of(struct sim *s);

/* life_first - A begins, until the first child is up or a minute has passed. */
void life_first(struct sim *s, struct outcome *out);

/* life_want - A has packets for "tun" from now on, and asks for it whenever there is none. */
void life_want(struct sim *s);

/* life_look - parts that have come into their own by now. */
void life_look(struct sim *s);

/* life_still - nothing is lost any more, until whoever is not there was given up. life_judge - both
 * have the same, and packets pass. life_end - both close all they have, and nothing is left. */
void life_still(struct sim *s);
void life_judge(struct sim *s, struct outcome *out);
void life_end(struct sim *s, struct outcome *out);

/* life_right - of what has to be true all is, but for the first minute. life_tell - a line about
 * it. */
bool life_right(const struct outcome *out);
void life_tell(const struct outcome *out, const char *which);

/* life_established - an IKE SA of a side that is up, or NULL. */
struct ike_sa *life_established(struct sim *s, unsigned side);
