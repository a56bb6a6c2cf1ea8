/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h - checks the peer's AUTH payload and, if it is right, makes the evidence (struct
 * auth_proof) without which no SA is established. This is the only place that makes one (S20).
 * Whether the proven identity is the one configured is the caller's next question (S22:
 * conf_id_matches() on auth_proof_params()->peer). Thread: the engine's control thread.
 */
#pragma once

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
	bool psk_is_group; /* more than one identity may use the key */
};

/* auth_verify_psk - constant-time check; *out has one reference, for auth_proof_put(). Errors: AUTH
 * (wrong value or empty key), UNSUPPORTED (method is not Shared Key MIC, prf), MALFORMED or LIMIT
 * (ID payload), NOMEM, CRYPTO. */
MUST_USE enum err auth_verify_psk(struct crypto_ctx *c, struct auth_proof **out,
				  const struct auth_psk_params *params) NONNULL(1, 2, 3);
