/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eap.h - one EAP conversation (RFC 3748) as IKEv2 carries it (RFC 7296 2.16): packets go in and
 * come out, in lockstep, without socket or clock; what is not known here (a password) is asked for
 * and answered later. Identity, Notification and Nak are handled here, the rest by methods. Only
 * methods that authenticate both sides and make keys are there: without an MSK nothing is proven
 * (S21). Thread: the engine's control thread.
 */
#pragma once

#include "control/auth/eap/packet.h"
#include "control/crypto/ctx.h"
#include "dataplane/dataplane.h"

/* EAP_MSK_LEN - bytes of a master session key. EAP_ROUNDS_MAX - packets that a conversation may
 * take of each side (S10). */
#define EAP_MSK_LEN    64
#define EAP_ROUNDS_MAX 64

/* enum eap_wants - what a conversation waits for. */
enum eap_wants {
	EAP_WANTS_PACKET,  /* eap_packet() is to be sent, and eap_take() gets what comes back */
	EAP_WANTS_SECRET,  /* the password of eap_identity(): eap_answer() */
	EAP_WANTS_KEY,     /* this side's certificates and private key: eap_answer() */
	EAP_WANTS_CHAIN,   /* whether eap_chain() is the other side's: eap_answer() */
	EAP_WANTS_SERVER,  /* a relay: what the server behind it says of eap_relayed(): eap_answer()
			    */
	EAP_WANTS_NOTHING, /* over, and right: eap_msk(). A server has its success to send */
};

/* struct eap_params - a new conversation. */
struct eap_params {
	struct crypto_ctx *crypto;
	bool server;        /* this side asks, the other proves who it is; else the other way */
	uint8_t type;       /* the method; NONE: any that is asked for (not as server) */
	bool alone;         /* nothing but EAP authenticates the server (RFC 5998) */
	bool asks_identity; /* server: the identity is asked for; else it is as given */
	bool relay;         /* server: another one behind it judges, by its own methods; no type */
	struct ike_id identity; /* of the side that proves who it is */
};

struct eap;

/* eap_new - one conversation; identities are copied. Errors: NOMEM, UNSUPPORTED (a server's method
 * is not there, or is not good enough alone). eap_free - wipes all; NULL is accepted. */
MUST_USE enum err eap_new(struct eap **out, const struct eap_params *params) NONNULL(1, 2);
void eap_free(struct eap *x);

/* eap_begin - as server, first of all: eap_packet() is the first request. Errors: CRYPTO, FULL,
 * AUTH (a relay cannot tell its server of the identity: eap_why()). */
MUST_USE enum err eap_begin(struct eap *x) NONNULL(1);

/* eap_take - a packet of the other side. Errors: AUTH (it failed: eap_why()), MALFORMED, TRUNCATED,
 * LIMIT (a packet that does not follow the format, or has no place here), CRYPTO, NOMEM. After an
 * error the conversation is over. */
MUST_USE enum err eap_take(struct eap *x, struct bytes packet) NONNULL(1);

/* EAP_TOKEN_MAX - of what leads a relay's conversation back to its server. struct eap_relayed -
 * what the server behind a relay said. accepted: the client is who it says, msk is the key of both,
 * and packet is a success or empty; else packet is the next request, or a failure (why says why).
 * token: goes to the server with the next packet. name: whom it takes the client for; empty: for
 * whom it says it is, which is nobody if that is no name (a DN, a key's). session_s: how long that
 * holds, 0 = for ever. */
#define EAP_TOKEN_MAX 260
struct eap_relayed {
	bool accepted;
	struct bytes packet, msk, token, name;
	uint32_t session_s;
};

/* struct eap_answer - relayed: SERVER's; NULL: it says nothing (why). secret: SECRET's password,
 * KEY's private key (PKCS#8, DER); empty: there is none. certs: KEY's, our own first, DER.
 * believed: CHAIN's, and why not: a clause, or NULL. All is borrowed during the call. */
struct eap_answer {
	struct bytes secret;
	const struct bytes *certs;
	uint32_t num_certs;
	bool believed;
	const char *why;
	const struct eap_relayed *relayed;
};

/* eap_answer - what eap_wants() asked for. Errors: as eap_take(). */
MUST_USE enum err eap_answer(struct eap *x, const struct eap_answer *answer) NONNULL(1, 2);

/* EAP_MAX_CERTS - of a chain. eap_chain - the certificates (DER) that the other side shows, its own
 * first, views; returns how many. */
#define EAP_MAX_CERTS 10
uint32_t eap_chain(const struct eap *x, struct bytes out[static EAP_MAX_CERTS]) NONNULL(1);

/* eap_relayed - SERVER: the client's packet; eap_name - how the client calls itself; eap_token -
 * what its answer to the last one said is to go with it; empty: it is the first. Views.
 * eap_session_s - of a relay that is done: how long it holds; 0: for ever. */
struct bytes eap_relayed(const struct eap *x) NONNULL(1);
struct bytes eap_name(const struct eap *x) NONNULL(1);
struct bytes eap_token(const struct eap *x) NONNULL(1);
uint32_t eap_session_s(const struct eap *x) NONNULL(1);

/* eap_wants - after any of the above. */
enum eap_wants eap_wants(const struct eap *x) NONNULL(1);

/* eap_packet - what is to be sent, a view; empty if there is nothing. */
struct bytes eap_packet(const struct eap *x) NONNULL(1);

/* eap_failed - the packet by which a server says that it failed, a view. */
struct bytes eap_failed(struct eap *x) NONNULL(1);

/* eap_msk - the key that both sides have: empty unless the method is complete and the server said
 * so (S21). */
struct bytes eap_msk(const struct eap *x) NONNULL(1);

/* eap_identity - who proves itself by it. eap_type - by which method; NONE while there is none. */
const struct ike_id *eap_identity(const struct eap *x) NONNULL(1);
uint8_t eap_type(const struct eap *x) NONNULL(1);

/* eap_why - a clause about what failed; "" if there is none. */
const char *eap_why(const struct eap *x) NONNULL(1);

/* eap_alone_fits - a method authenticates both sides well enough by itself (RFC 5998 4). */
bool eap_alone_fits(uint8_t type);

/* eap_id_of - the identity that a name in EAP stands for: user@domain or a plain name. Errors:
 * MALFORMED (empty, or not text), LIMIT. */
MUST_USE enum err eap_id_of(struct ike_id *out, struct bytes name) NONNULL(1);
