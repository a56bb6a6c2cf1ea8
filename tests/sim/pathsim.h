/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pathsim.h - a world for operations on paths (docs/multiple-interfaces.md, sections 4 and 5): each
 * of the two has two IPv4 addresses and an IPv6 one, connections "net" and "other" and several
 * children; and a peer that says what it likes. One thread.
 */
#pragma once

#include "control/ike/mif_plan.h"
#include "control/ike/mobike.h"
#include "tests/sim/forge.h"

#define A 0
#define B 1

/* calm, rough - wires that lose nothing, and much. */
extern const struct sim_wire calm, rough;

/* pathsim_begin - child "tun" of "net" is up by path 1, between the first addresses of both, and a
 * packet is sent every 50 ms where there is traffic. pathsim_make - out of the usual
 * configurations, with MOBIKE or without, "tun" in this mode. pathsim_up - calm, in tunnel mode.
 * pathsim_up_with_two
 * - with child "two", and path 2 between the second addresses. */
struct sim *pathsim_begin(uint64_t seed, const struct sim_options *opt);
struct sim *pathsim_make(uint64_t seed, const struct sim_wire *wire, bool mobike,
			 enum sa_mode mode);
struct sim *pathsim_up(void);
struct sim *pathsim_up_with_two(void);

/* after - so much time passes. */
void after(struct sim *s, uint64_t ns);

/* pathsim_sa - the IKE SA of a connection that is not replaced. NET - that of "net" in the world s.
 * pathsim_pair - a child's pair that is in use. */
struct ike_sa *pathsim_sa(struct sim *s, unsigned side, const char *conn);
#define NET(side) pathsim_sa(s, side, "net")
struct sim_pair *pathsim_pair(struct sim *s, unsigned side, const char *name);

/* between - where a new path is to be: between addresses number i of both. end_of - one end of it,
 * as operations have it. */
struct path_addr between(unsigned side, unsigned i);
struct mif_endpoint end_of(unsigned side, unsigned i);

/* path_ops - a side does this, for a child or, NULL, the whole of "net"; *id: of a path that is to
 * be (NULL: nobody asks). add - a path between addresses number i. act_on - with path number id. */
enum err path_ops(struct sim *s, unsigned side, const char *child, const struct ike_path_op *ops,
		  uint32_t num, uint16_t *id);
enum err add(struct sim *s, unsigned side, unsigned i, uint16_t *id);
enum err act_on(struct sim *s, unsigned side, const char *child, enum ike_path_act act,
		uint16_t id);

/* same_paths - both sides have the same paths, and so have their data paths; else why[] says what
 * differs. expect_same - asserts that. expect_by - what is sent goes between addresses number i of
 * both, and all of it arrives. */
bool same_paths(struct sim *s, char why[static 200]);
void expect_same(struct sim *s);
void expect_by(struct sim *s, unsigned i);

/* struct answer - what came back for operations that were made by hand. */
struct answer {
	unsigned from;
	bool elsewhere; /* they are sent from where nobody was before */
	bool got;
	size_t asked_len, len;
	struct forge_msg m;
};

/* say - a peer that holds the keys sends operations as it likes, 8 at most; *a: what it is told,
 * a->elsewhere is read. result_of - result number i in it; false: it has none. status_of - what one
 * operation comes to. */
void say(struct sim *s, unsigned from, struct answer *a, const struct mif_op *ops, uint32_t num);
bool result_of(const struct answer *a, uint32_t i, struct mif_result *out);
uint16_t status_of(struct sim *s, unsigned from, const struct mif_op *op);

/* count_messages - for sim.tap: each side's, in the uint32_t[2] at ctx. */
bool count_messages(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx);
