/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket.h - tickets by value (RFC 5723): what a gateway has to know of an IKE SA to resume it,
 * sealed under a key of its own, for the client to keep. The keys are in memory and nowhere else: a
 * disk that is stolen opens no ticket, and nothing is resumed that a process with another
 * configuration, or one that does not know any more which tickets were used, has given. Two at most
 * are held; each numbers its tickets, and a bit says which of them are spent. Pure but for the
 * random source; control thread.
 */
#pragma once

#include "base/rng.h"
#include "base/secret.h"
#include "control/engine.h"
#include "control/ike/wire/proposal.h"

/* TICKET_MAX - bytes of a ticket that is given: it comes back in one datagram. TICKET_TEXT_MAX - of
 * what is in it. TICKET_CERTS - certificates that it may hold. */
#define TICKET_OVERHEAD (1 + 8 + 24 + 16)
#define TICKET_MAX      4096
#define TICKET_TEXT_MAX (TICKET_MAX - TICKET_OVERHEAD)
#define TICKET_CERTS    4

/* TICKET_NS - none is good for longer. TICKET_AUTH_NS - nor longer than this after the peer has
 * proven itself by what proves it, however often its IKE SA was resumed meanwhile. TICKETS_PER_KEY
 * - numbers of a key. */
#define TICKET_NS       (12 * UINT64_C(3600) * NS_PER_S)
#define TICKET_AUTH_NS  (24 * UINT64_C(3600) * NS_PER_S)
#define TICKETS_PER_KEY 65536

/* struct ticket_id - one ticket; key 0: none. */
struct ticket_id {
	uint64_t key;
	uint32_t number;
};

/* struct ticket - what is in one. Views of the text that it was parsed from; sealed, they are
 * copied. idi: what the peer called itself in its ID payload; who it is says `proven`. certs: what
 * the peer showed, to be judged again. */
struct ticket {
	struct ticket_id id;
	uint64_t expires_ns, auth_until_ns; /* engine's clock */
	struct conf_encr encr;
	uint16_t prf, dh;
	uint16_t addke[CONF_MAX_ADDKE]; /* as struct sa_chosen has them */
	struct bytes sk_d;
	struct bytes conn; /* the connection's name */
	struct ike_id idi;
	struct auth_proof_params proven;
	struct ike_cert certs[TICKET_CERTS];
	uint32_t num_certs;
};

/* ticket_write - as text of cap bytes at buf. Errors: FULL (too long), LIMIT. ticket_parse - *out
 * borrows the text. Errors: TRUNCATED, MALFORMED, LIMIT. */
MUST_USE enum err ticket_write(uint8_t *buf, size_t cap, struct bytes *out, const struct ticket *t)
	NONNULL(1, 3, 4);
MUST_USE enum err ticket_parse(struct ticket *out, struct bytes text) NONNULL(1);

/* struct ticket_key - one key and what was spent of its numbers. */
struct ticket_key {
	uint64_t id;       /* 0: there is none */
	uint64_t until_ns; /* gives no tickets any more */
	struct secret key;
	uint32_t next;
	uint8_t *spent; /* a bit each */
};

/* struct ticket_jar - the keys, the newest first. The zero state has none. End with
 * ticket_jar_void(). */
struct ticket_jar {
	struct ticket_key keys[2];
};

/* ticket_jar_void - no ticket that was given is good any more. */
void ticket_jar_void(struct ticket_jar *jar) NONNULL(1);

/* ticket_seal - number and seal t into out[TICKET_MAX]; t->id says which it is. Errors: FULL (too
 * long), LIMIT, NOMEM, CRYPTO (no randomness). */
MUST_USE enum err ticket_seal(struct ticket_jar *jar, const struct rng *rng, uint8_t *out,
			      size_t *out_len, struct ticket *t, uint64_t now_ns)
	NONNULL(1, 2, 3, 4, 5);

/* ticket_open - a ticket that came from outside; *text, which is the caller's to end, holds what
 * *out borrows. Errors: NOT_FOUND (of no key that there is), AUTH (changed), EXISTS (spent),
 * TIMEOUT (too old), TRUNCATED, MALFORMED, LIMIT, NOMEM. */
MUST_USE enum err ticket_open(const struct ticket_jar *jar, struct ticket *out, struct secret *text,
			      struct bytes sealed, uint64_t now_ns) NONNULL(1, 2, 3);

/* ticket_spend - it is not good any more; of a key that is gone it is not anyhow. ticket_is_spent -
 * or of no key that there is. */
void ticket_spend(struct ticket_jar *jar, struct ticket_id id) NONNULL(1);
bool ticket_is_spent(const struct ticket_jar *jar, struct ticket_id id) NONNULL(1);
