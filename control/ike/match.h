/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.h - which connection a peer's request belongs to: by addresses first, then by identities
 * (RFC 4301 4.4.3). Control thread.
 */
#pragma once

#include "control/ike/sa.h"

/* match_addrs - how well a path fits a connection's addresses; 0 = not at all. */
uint32_t match_addrs(const struct conf_conn *conn, const struct path_addr *path) NONNULL(1, 2);

/* match_proposal - as responder, before identities are known: the best connection for a path that
 * accepts one of the offered proposals. Errors: NOT_FOUND (no connection for these addresses),
 * NO_PROPOSAL (*out_conn is the best one all the same). */
MUST_USE enum err match_proposal(const struct conf_conn **out_conn, struct sa_chosen *out,
				 const struct conf *conf, const struct path_addr *path,
				 const struct sa_payload *offer, uint16_t ke_group)
	NONNULL(1, 2, 3, 4, 5);

/* struct match_ids - what IKE_AUTH told. */
struct match_ids {
	const struct path_addr *path;
	const struct sa_chosen *suite; /* negotiated already: the connection must accept it */
	const struct ike_id *peer;
	bool psk; /* the peer's AUTH is by a pre-shared key, else by a signature */
	const struct ike_id *wanted; /* IDr of the request; type 0 if there was none */
};

/* match_identities - the best connection for a path and identities, NULL if there is none. */
const struct conf_conn *match_identities(const struct conf *conf, const struct match_ids *ids)
	NONNULL(1, 2);

/* match_local_id - who we are on this connection: as configured, else our address. */
struct ike_id match_local_id(const struct conf_conn *conn, const struct path_addr *path)
	NONNULL(1, 2);
