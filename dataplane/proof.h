/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof.h - auth_proof: evidence that a peer was authenticated, and protection classes made from
 * it. A proof is immutable and counted. It is made in one place only (control/auth, after AUTH is
 * verified; a test holds this), and no Child SA exists without one (S20).
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* enum auth_method - how the peer proved its identity (draft-ietf-btns-abstract-api 7). The numbers
 * stand in files (latch_store.h): another one goes to the end. */
enum auth_method {
	AUTH_METHOD_NONE,
	AUTH_METHOD_PSK,          /* unique pre-shared key */
	AUTH_METHOD_GROUP_PSK,    /* a pre-shared key that more than one identity may use */
	AUTH_METHOD_PKIX_TRUSTED, /* a signature by the key of a certificate that is here itself */
	AUTH_METHOD_PKIX_INLINE,  /* the same of one that was sent, and leads to an anchor */
	AUTH_METHOD_PUBKEY,       /* a signature by a raw public key that was configured */
	AUTH_METHOD_BTNS, /* a signature by a key that was sent, and that is all (RFC 5386) */
	AUTH_METHOD_LEAPOFFAITH,  /* the same, by the key that it had when it was first seen */
	AUTH_METHOD_EAP,          /* by EAP: auth_proof_params.eap says by which method */
	AUTH_METHOD_PKIX_OFFLINE, /* as inline, of one that was fetched (by hash and URL) */
	AUTH_NUM_METHODS
};

/* auth_method_name - "psk", "group-psk", "pkix-inline": short and stable, for lists. */
const char *auth_method_name(enum auth_method method);

/* struct ike_id - an identification payload body as value: type (RFC 7296 3.5) and data. */
struct ike_id {
	uint8_t type;
	uint16_t len;
	uint8_t data[256];
};

/* struct auth_proof_params - what was proven; copied, keys and names too. Keys are
 * SubjectPublicKeyInfo and empty where a side has none; ca is the subject (DER) of the anchor that
 * the peer's certificate leads to, subject that of the certificate itself, each empty without one,
 * or if nobody vouches for it. initiator: this side began the IKE SA, the first of its series. eap:
 * IANA's number of the method, with AUTH_METHOD_EAP. ppk: a post-quantum pre-shared key is in the
 * keys that follow (RFC 8784). */
struct auth_proof_params {
	enum auth_method method;
	uint8_t eap;
	bool initiator;
	bool ppk;
	struct ike_id local;
	struct ike_id peer;
	struct bytes local_key;
	struct bytes peer_key;
	struct bytes ca;
	struct bytes subject;
};

struct auth_proof;

/* CLASS_Q_* - quality of protection, as far as it tells classes apart. */
#define CLASS_Q_PRIVACY   0x01 /* nobody on the way reads the text */
#define CLASS_Q_INTEGRITY 0x02 /* nor changes it */
#define CLASS_Q_REPLAY    0x04 /* what comes twice is found */
#define CLASS_Q_TUNNEL    0x08 /* tunnel mode, else transport */
#define CLASS_Q_COMPRESS  0x10 /* bytes in and on the wire need not map linearly */

/* struct class_info - what a protection class stands for: all that its members have in common. */
struct class_info {
	uint8_t quality; /* CLASS_Q_* */
	enum auth_method method;
	struct ike_id local;
	struct ike_id peer;
};

/* auth_proof_new - evidence, one reference; NULL on shortage. Only control/auth may call it. */
MALLOC_LIKE struct auth_proof *auth_proof_new(const struct auth_proof_params *params) NONNULL(1);

/* auth_proof_get, auth_proof_put - take and drop a reference (atomic; any thread). put(NULL) is
 * accepted. get returns its argument. */
struct auth_proof *auth_proof_get(struct auth_proof *p) NONNULL(1);
void auth_proof_put(struct auth_proof *p);

/* auth_proof_params - what was proven; lives as long as the reference. */
const struct auth_proof_params *auth_proof_params(const struct auth_proof *p) NONNULL(1);
