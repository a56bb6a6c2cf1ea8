/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts.h - what the parts of the simulation need of each other: sim.c has the clock and the wire,
 * data.c what stands for the data paths, answers.c carries out what the engines say, make.c makes
 * worlds and judge.c compares their sides. Tests use sim.h.
 */
#pragma once

#include "tests/sim/sim.h"

/* ---- sim.c ----------------------------------------------------------------------------------- */

/* sim_note, sim_note_u64 - into the hash of everything that happened. */
void sim_note(struct sim *s, const void *p, size_t len);
void sim_note_u64(struct sim *s, uint64_t v);

/* sim_push - something happens later; takes f.bytes over. */
void sim_push(struct sim *s, struct sim_fly f);

/* sim_delay - of the next datagram, as drawn. */
uint64_t sim_delay(struct sim *s);

/* sim_path_seen - a path as the other side of whoever sends by it sees it. */
struct path_addr sim_path_seen(struct sim *s, unsigned from, const struct path_addr *path);

/* sim_has - a side has the address now. sim_passes - there is a way for what `from` sends along
 * path. sim_arrives - who receives it has the address and the port that it was sent to. */
bool sim_has(const struct sim_node *n, const struct ip_addr *a);
bool sim_passes(struct sim *s, unsigned from, const struct path_addr *path);
bool sim_arrives(const struct sim *s, const struct sim_fly *f);

/* sim_by_wire - one goes out onto the wire between its addresses; returns how many come out of it,
 * and when. */
uint32_t sim_by_wire(struct sim *s, unsigned from, const struct path_addr *path, size_t len,
		     uint64_t due[static LINE_COPIES]);

/* sim_send_datagram - an IKE message, or a keepalive, goes out. */
void sim_send_datagram(struct sim *s, unsigned from, const struct ike_action *a);

/* Of struct ike_env; ctx is the side's struct sim_node. */
enum err sim_source_for(void *ctx, struct ip_addr *out, const struct conf_conn *conn,
			const struct ip_addr *remote);
uint32_t sim_local_addrs(void *ctx, struct ip_addr *out, uint32_t max);

/* ---- data.c ---------------------------------------------------------------------------------- */

/* Of struct ike_env, too. */
enum err sim_spi_reserve(void *ctx, uint32_t *out, uint64_t replaces, uint32_t worker);
void sim_spi_release(void *ctx, uint32_t spi);
enum err sim_child_stats(void *ctx, struct child_stats *out, uint64_t child);

/* sim_data_act - carries out an action that is for the data path; false: it is for others. */
bool sim_data_act(struct sim *s, unsigned side, const struct ike_action *a);

/* sim_send_packet - a side sends one packet on each child, now and every while from now on.
 * sim_receive_packet - one has come. */
void sim_send_packet(struct sim *s, unsigned from);
void sim_receive_packet(struct sim *s, const struct sim_fly *f);

/* sim_is_outbound - packets of its child go out on it. */
bool sim_is_outbound(const struct sim_node *n, const struct sim_pair *p);

/* sim_data_fini - a side has no pair, path set, SPI or address any more. */
void sim_data_fini(struct sim_node *n);
