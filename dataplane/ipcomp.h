/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipcomp.h - payload compression inside ESP (RFC 3173) by DEFLATE (RFC 2394): what ESP would carry,
 * in a tunnel the whole inner packet, becomes a header of four bytes and raw DEFLATE data (RFC
 * 1951) when that is shorter, and goes as it is otherwise. Each packet stands for itself: nothing
 * of one is used for another.
 *
 * Off unless both sides agreed on it. A length then says something of what is in a packet: who can
 * have text of his own sent beside a secret, and sees the lengths, can guess the secret.
 *
 * Nothing here relies on packets that shrink: what a path takes is compared with the length that a
 * packet came with (out_fit()). What arrives becomes as long as an IP packet can be, and no longer.
 * How long that takes is bounded by what arrives alone: data of many empty blocks, each with a
 * table of its own, takes some 40 times as long as what a peer would send (latchkey.conf(5),
 * ipcomp).
 */
#pragma once

#include "dataplane/packet.h"

struct worker;

/* IPCOMP_HEADER_LEN - next header, flags, CPI (RFC 3173 3). IPCOMP_MAX_LEN - what is uncompressed
 * has so many bytes at most. */
#define IPCOMP_HEADER_LEN 4
#define IPCOMP_MAX_LEN    65535

/* IPCOMP_MIN_LEN - shorter ones are not tried (RFC 3173 2.2). */
#define IPCOMP_MIN_LEN 90

/* IPCOMP_TRIES - attempts in a row that come to nothing until packets are let by without one (RFC
 * 3173 2.2): IPCOMP_SKIP of them, then, after one more attempt that comes to nothing, twice as
 * many, and so on up to IPCOMP_SKIP_MAX. */
#define IPCOMP_TRIES    4
#define IPCOMP_SKIP     8
#define IPCOMP_SKIP_MAX 256

/* struct ipcomp - of one SA. Worker: rw, control: r relaxed. */
struct ipcomp {
	uint16_t cpi;      /* constant: in: ours, out: the peer's */
	uint16_t num_vain; /* attempts in a row that came to nothing */
	uint16_t skip;     /* packets that are let by before the next attempt */
	uint16_t next_skip;
	uint64_t packets; /* that were compressed */
	uint64_t saved;   /* bytes that they had more before */
};

/* struct ipcomp_work - what a worker compresses with: the codecs' memory and room for a packet. */
struct ipcomp_work;

/* ipcomp_new - for an SA; NULL on shortage; mem_free(). Control. */
MALLOC_LIKE struct ipcomp *ipcomp_new(uint16_t cpi);

/* ipcomp_work_new - NULL on shortage. ipcomp_work_free - NULL is accepted. Control. */
MALLOC_LIKE struct ipcomp_work *ipcomp_work_new(void);
void ipcomp_work_free(struct ipcomp_work *k);

/* ipcomp_pack - p is what ESP is about to carry, with its next_header: it becomes shorter, or stays
 * as it is. Worker. */
void ipcomp_pack(struct ipcomp_work *k, struct ipcomp *c, struct packet *p) NONNULL(1, 2, 3);

/* ipcomp_unpack - p is what ESP carried under next header 108 by an SA of w: it gets the next
 * header and the bytes that it had before. Returns it or the longer packet that took its place;
 * NULL: it is dropped, not agreed on, by another CPI, or no DEFLATE data of an IP packet's length.
 * Worker. */
struct packet *ipcomp_unpack(struct worker *w, struct packet *p) NONNULL(1, 2);
