/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.h - which connections a peer's request may belong to: by addresses first, then by
 * identities (RFC 4301 4.4.3). Control thread.
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

/* match_may - the same once the algorithms are agreed upon: a peer on this path may turn out to be
 * of this connection. */
bool match_may(const struct conf_conn *conn, const struct path_addr *path,
	       const struct sa_chosen *suite) NONNULL(1, 2, 3);

/* MATCH_EAP - no method of AUTH, nor one that wire_auth_parse() gives: the peer wants EAP. */
#define MATCH_EAP 0

/* struct match_ids - what IKE_AUTH told. */
struct match_ids {
	const struct path_addr *path;
	const struct sa_chosen *suite; /* negotiated already: the connection must accept it */
	const struct ike_id *peer;
	uint8_t method;              /* of the peer's AUTH, or MATCH_EAP: it sent none */
	const struct ike_id *wanted; /* IDr of the request; type 0 if there was none */
};

/* MATCH_MAX - connections among which the proof of a peer's identity decides. */
#define MATCH_MAX 16

/* match_identities - the connections for a path and identities, the best first, of equal ones the
 * first of the configuration: those that want a signature if the peer signs, else the best alone.
 * Returns how many. */
uint32_t match_identities(const struct conf_conn *out[MATCH_MAX], const struct conf *conf,
			  const struct match_ids *ids) NONNULL(1, 2, 3);

/* match_local_id - who we are on this connection: as configured, else our address. */
struct ike_id match_local_id(const struct conf_conn *conn, const struct path_addr *path)
	NONNULL(1, 2);
