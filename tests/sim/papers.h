/* SPDX-License-Identifier: Apache-2.0 */
/*
 * papers.h - certificates of the two sides that say where more is to be learned about them, and
 * whoever publishes that: a list, a responder, certificates by their hash. All is made once in a
 * process, so that the same seed gives the same run. One thread.
 */
#pragma once

#include "tests/sim/sim.h"

/* enum papers - what a side's certificate says, or what lies here beside it. */
enum papers {
	PAPERS_NONE,
	PAPERS_PLAIN,     /* as sim_creds() */
	PAPERS_TWO_KEYS,  /* the same, and one for an RSA key, P-256 first */
	PAPERS_LIST,      /* the authority's list lies here */
	PAPERS_LIST_AT,   /* the list is published */
	PAPERS_RESPONDER, /* a responder is asked */
	PAPERS_BY_URL,    /* the certificate is published, too, by its hash; the list lies here */
};

/* papers_add - the configuration and what a side has of them; takes conf over. */
struct conf *papers_add(struct conf *conf, unsigned side, enum papers kind) NONNULL(1);

/* papers_serve - struct sim_node's serve: what is published. papers_served - how often so far, by
 * what. */
void papers_serve(struct sim_node *n, const struct ike_want *want);
uint64_t papers_served(enum papers kind);
