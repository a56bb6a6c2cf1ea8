/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wish.h - worlds whose two sides authenticate themselves in ways of their own choice.
 */
#pragma once

#include "tests/sim/sim.h"

#define A 0
#define B 1

/* struct wish - what a side says: connection "net", child "tun". In local %u is the side's number,
 * in remote the other's. */
struct wish {
	const char *local, *remote; /* sections */
	const char *conn;           /* further keys of the connection, or NULL */
	const char *remote_ts;      /* NULL: 10.N.0.0/16 */
	const char *conns;          /* further connections, or NULL */
	const char *more;           /* further sections, or NULL */
};

/* wish_text - the configuration of a side, in a buffer of the side's own. wish_conf - the same,
 * parsed; one reference. */
const char *wish_text(unsigned side, const struct wish *w);
struct conf *wish_conf(unsigned side, const struct wish *w);

/* wish_world - both sides, calm; asks are answered from the configurations. sign: each has a
 * certificate and its key, and the authority of both. */
struct sim *wish_world(const struct wish *a, const struct wish *b, bool sign);

/* wish_configure - a side has this configuration from now on; takes conf over. */
void wish_configure(struct sim *s, unsigned side, struct conf *conf);

/* wish_go - side A brings up child "tun" of a connection, from its address number `from`; then a
 * few seconds pass. */
void wish_go(struct sim *s, const char *conn, unsigned from);

/* wish_fetched - for sim_node.forge: the certificate of this side's peer was fetched. _stored - and
 * is here itself, too. */
void wish_fetched(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer);
void wish_fetched_stored(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer);

/* struct wish_seen - the IKE SAs that a side lists: how many are established, and the last one's
 * proof. */
struct wish_seen {
	const char *method; /* "" without one */
	struct auth_proof_params proof;
	uint32_t num, num_children;
};
struct wish_seen wish_seen(struct sim *s, unsigned side);

/* wish_proved - up, each side's peer was authenticated so, and that stays with re-keyed IKE SAs;
 * ends the world. wish_refused - side refused the other for this reason, in a sentence with this
 * word, and nothing stands; ends the world. */
void wish_proved(struct sim *s, const char *peer_of_a, const char *peer_of_b);
void wish_refused(struct sim *s, unsigned side, enum ike_reason reason, const char *word);
