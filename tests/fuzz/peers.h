/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - for fuzz targets: the two engines of tests/sim with the wire and the asks in the hands
 * of an input. What an engine sends is a letter, what it asks is a question; both wait until the
 * input says what becomes of them. The same input gives the same run.
 */
#pragma once

#include <stdlib.h>

#include "control/ike/sa.h"
#include "tests/sim/sim.h"

#define LETTERS_MAX   96
#define QUESTIONS_MAX 16

/* must - what must hold; otherwise the line is told, and the run ends: that is a finding. */
#define must(ok) ((ok) ? (void)0 : peers_finding(#ok, __FILE__, __LINE__))
_Noreturn void peers_finding(const char *what, const char *file, int line);

/* struct input - what is left of the input; behind its end all is zero. */
struct input {
	const uint8_t *p;
	size_t len;
};

static inline uint8_t take(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->p++;
}

/* struct letter - a datagram, by its path as the receiver sees it. */
struct letter {
	unsigned from;
	struct path_addr path;
	bool waiting;
	size_t len;
	uint8_t bytes[SIM_MAX_REQUEST];
};

/* struct question - an ask that is open, or was. */
struct question {
	unsigned side;
	uint64_t id;
	enum ike_ask_kind kind;
};

/* struct peers - two engines. */
struct peers {
	struct sim *s;
	struct letter letters[LETTERS_MAX]; /* a ring: those sent last, also the delivered ones */
	unsigned num_letters;               /* ever sent */
	struct question questions[QUESTIONS_MAX];
	unsigned num_questions;
	bool by_hand; /* letters wait; otherwise the wire is that of tests/sim */
	bool asks;    /* questions wait */
};

/* peers_begin, peers_end - a world whose engines have the configuration of these texts, which stay:
 * they are parsed once. peers_text - a copy of such a text, for good. */
void peers_begin(struct peers *p, uint64_t seed, struct sim_options *opt);
void peers_end(struct peers *p);
const char *peers_text(const char *text);

/* peers_waiting - letters that wait. peers_pick - the nth of them, modulo their number, or NULL. */
unsigned peers_waiting(const struct peers *p);
struct letter *peers_pick(struct peers *p, unsigned n);

/* peers_any - the nth letter before the last one, waiting or not, or NULL. */
struct letter *peers_any(struct peers *p, unsigned n);

/* peers_forget - no letter waits any more. */
void peers_forget(struct peers *p);

/* peers_question - take the nth question, modulo their number; false if there is none. */
bool peers_question(struct peers *p, struct question *out, unsigned n);

/* peers_settled - both sides hold the same and nothing is under way. */
bool peers_settled(struct peers *p);

/* peers_sa - the nth IKE SA of a side, modulo their number, or NULL. */
struct ike_sa *peers_sa(struct peers *p, unsigned side, unsigned n);
