/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h - checks the peer's AUTH payload and, if it is right, makes the evidence (struct
 * auth_proof) without which no SA is established. This is the only place that makes one (S20).
 * Whether the proven identity is the one configured is the caller's next question (S22:
 * conf_id_matches() on auth_proof_params()->peer). Thread: the engine's control thread.
 */
#pragma once

#include "control/auth/algorithm.h"
#include "control/auth/psk.h"
#include "dataplane/dataplane.h"

/* struct auth_psk_params - one verification. octets are the peer's; the identity that is proven is
 * read from octets.id_body, so that the two cannot differ. */
struct auth_psk_params {
	struct auth_octets octets;
	const struct ike_id *local; /* ours, for the proof */
	uint8_t method;             /* from the AUTH payload */
	struct bytes auth;          /* from the AUTH payload */
	struct bytes psk;
	bool psk_is_group;           /* more than one identity may use the key */
	uint8_t eap;                 /* auth_verify_eap(): the method that made the key */
	const struct ike_id *proven; /* and whom it proved; NULL: octets.id_body says */
	struct bytes local_key;      /* and our key, if we signed */
	bool initiator;              /* this side began, for the proof */
};

/* auth_verify_psk - constant-time check; *out has one reference, for auth_proof_put(). Errors: AUTH
 * (wrong value or empty key), UNSUPPORTED (method is not Shared Key MIC, prf), MALFORMED or LIMIT
 * (ID payload), NOMEM, CRYPTO. */
MUST_USE enum err auth_verify_psk(struct crypto_ctx *c, struct auth_proof **out,
				  const struct auth_psk_params *params) NONNULL(1, 2, 3);

/* auth_verify_null - the same of a peer that is nobody (RFC 7619 2.1): its key is octets.sk_p, psk
 * is not looked at, and what is proven is ID_NULL, whatever its ID payload says. The value shows
 * that nobody changed IKE_SA_INIT, and no more. Errors: as auth_verify_psk(). */
MUST_USE enum err auth_verify_null(struct crypto_ctx *c, struct auth_proof **out,
				   const struct auth_psk_params *params) NONNULL(1, 2, 3);

/* auth_check_eap - whether the AUTH value is the one that an EAP method's key makes (RFC
 * 7296 2.16); psk is that key. auth_verify_eap - the same, and *out is the evidence that the
 * method's peer is who it proved to be: an empty key proves nothing (S21). Errors: as
 * auth_verify_psk(). */
MUST_USE enum err auth_check_eap(struct crypto_ctx *c, const struct auth_psk_params *params)
	NONNULL(1, 2);
MUST_USE enum err auth_verify_eap(struct crypto_ctx *c, struct auth_proof **out,
				  const struct auth_psk_params *params) NONNULL(1, 2, 3);

/* auth_verify_resumed - the same of an IKE SA that is resumed (RFC 5723 5.1): its AUTH shows that
 * the peer has the keys that follow from the old one's, and what was proven then is proven; psk is
 * not looked at. Errors: as auth_verify_psk(). */
MUST_USE enum err auth_verify_resumed(struct crypto_ctx *c, struct auth_proof **out,
				      const struct auth_psk_params *params,
				      const struct auth_proof_params *proven) NONNULL(1, 2, 3, 4);

/* auth_check_cert - a certificate (DER) that is vouched for is of this identity, and its key good
 * enough (S22, S25): for who signs elsewhere, in EAP-TLS. why[] says what is not. Errors: NOT_FOUND
 * (another's), MALFORMED, LIMIT, UNSUPPORTED, NOMEM, CRYPTO. */
MUST_USE enum err auth_check_cert(char why[static KEY_WHY_MAX], struct bytes cert,
				  const struct ike_id *id) NONNULL(3);

/* struct auth_signature_params - one verification of a signature. octets are the peer's; the
 * identity that is proven is read from octets.id_body. Either cert (DER, an end's that was found
 * good; parsed: the same taken apart, or NULL) or key (SubjectPublicKeyInfo, configured for this
 * connection) is set. */
struct auth_signature_params {
	struct auth_octets octets;
	const struct ike_id *local; /* ours, for the proof */
	struct bytes local_key;     /* ours, for the proof; empty if there is none yet */
	uint8_t method;             /* from the AUTH payload */
	struct bytes auth;          /* from the AUTH payload */
	struct bytes cert;
	struct cred *parsed;
	struct bytes key;
	struct bytes ca;         /* subject of the anchor, empty if there is none */
	enum auth_method proven; /* what the proof will say of it */
	bool initiator;          /* this side began, for the proof */
	uint32_t kinds;          /* KEY_BIT()s that may sign */
	uint32_t hashes;         /* SIG_HASH_BIT()s that may be used */
	bool pss;                /* of RSA only RSASSA-PSS */
	uint32_t rsa_bits;       /* at least */
	uint32_t ecdsa_bits;     /* at least */
};

/* auth_verify_signature - with BTNS any key that is shown does: what is proven then is the key, by
 * its hash as a key id, and neither the name in the ID payload nor one in a certificate (RFC 5386);
 * with LEAPOFFAITH it is the name, and the caller's business that it has this key. Otherwise the
 * signature is right (S24), the key strong enough (S25), the hash SHA-2 (S28), and a certificate
 * names the identity; *out has one reference. why[] says what is not. Errors: AUTH (wrong
 * signature), NOT_FOUND (the certificate does not hold the identity), UNSUPPORTED (method or
 * algorithm), LIMIT (weaker than is asked for), MALFORMED, NOMEM, CRYPTO. */
MUST_USE enum err auth_verify_signature(struct crypto_ctx *c, struct auth_proof **out,
					char why[static KEY_WHY_MAX],
					const struct auth_signature_params *params)
	NONNULL(1, 2, 4);

/* auth_proof_sign - the same evidence, and that this side signed with local_key: *proof is replaced
 * by a new one. Errors: NOMEM (*proof is as before). */
MUST_USE enum err auth_proof_sign(struct auth_proof **proof, struct bytes local_key) NONNULL(1);

/* auth_proof_mix - the same evidence, and that a PPK is in the keys (RFC 8784): *proof is replaced
 * by a new one. Errors: NOMEM (*proof is as before). */
MUST_USE enum err auth_proof_mix(struct auth_proof **proof) NONNULL(1);

/* auth_octets_signed - the octets themselves, which a signature covers (RFC 7296 2.15), in memory
 * to be freed with mem_free(). Errors: NOMEM, UNSUPPORTED (prf), CRYPTO. */
MUST_USE enum err auth_octets_signed(struct crypto_ctx *c, uint8_t **out, size_t *out_len,
				     const struct auth_octets *octets) NONNULL(1, 2, 3, 4);
