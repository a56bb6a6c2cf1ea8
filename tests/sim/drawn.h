/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drawn.h - what a seed draws: a way in which the two sides prove who they are, and everything that
 * can be agreed on beside it, as far as it goes together.
 */
#pragma once

#include "tests/sim/papers.h"

#define CAROL           "carol@example.org"
#define CAROLS_PASSWORD "Ar3etTnp"

/* struct way - how the two prove themselves. In local and remote %u is the side's number. */
struct way {
	const char *name;
	const char *local[2], *remote[2];
	enum papers papers;
	bool fetches[2];      /* what is published */
	bool a_begins;        /* B cannot: who proves itself by EAP does */
	uint32_t without;     /* PART_BIT()s that do not go with it */
	uint32_t rounds;      /* exchanges until both are up, if nothing is drawn beside it */
	const char *proof[2]; /* of the peer, as each side has it */
};

/* enum part - what may be agreed on beside it. */
enum part {
	PART_PPK,         /* RFC 8784 */
	PART_VIPS,        /* configuration payloads, and a pool */
	PART_KES,         /* additional key exchanges of the IKE SA (RFC 9242, RFC 9370) */
	PART_CHILD_KES,   /* and of children */
	PART_CHILDLESS,   /* RFC 6023 */
	PART_REDIRECT,    /* RFC 5685 */
	PART_RESUMPTION,  /* RFC 5723 */
	PART_TOKENS,      /* RFC 6290 */
	PART_REAUTH,      /* RFC 4478 */
	PART_COOKIES,     /* RFC 7296 2.6 */
	PART_MOBIKE,      /* RFC 4555 */
	PART_FRAGMENTS,   /* RFC 7383, small ones */
	PART_UNREQUESTED, /* certificates are sent without a request for them */
	NUM_PARTS
};
#define PART_BIT(p) (1u << (p))

/* struct drawn - of one seed. conf: both sides', a reference each. */
struct drawn {
	const struct way *way;
	uint32_t parts; /* PART_BIT()s */
	struct conf *conf[2];
};

/* drawn_make - the same for the same seed. drawn_of - this way, and of the parts those that go
 * together, the first ones first. drawn_free - gives the references back. */
struct drawn drawn_make(uint64_t seed);
struct drawn drawn_of(const struct way *way, uint32_t parts) NONNULL(1);
void drawn_free(struct drawn *d) NONNULL(1);

/* drawn_has - a part was drawn. drawn_rounds - exchanges until the first child is up. drawn_text -
 * the names of all that was, in a static buffer. */
bool drawn_has(const struct drawn *d, enum part part) NONNULL(1);
uint32_t drawn_rounds(const struct drawn *d) NONNULL(1);
const char *drawn_text(const struct drawn *d) NONNULL(1);

/* drawn_way - the number of a way, below drawn_num_ways(), and its row. drawn_part_name - for
 * people. */
size_t drawn_num_ways(void);
const struct way *drawn_way(size_t i);
size_t drawn_way_number(const struct way *w) NONNULL(1);
const char *drawn_part_name(enum part part);
