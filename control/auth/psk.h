/* SPDX-License-Identifier: Apache-2.0 */
/*
 * psk.h - the AUTH value of a pre-shared key (RFC 7296 2.15).
 * Thread: the engine's control thread.
 */
#pragma once

#include "base/secret.h"
#include "control/crypto/prf.h"

/* struct auth_octets - what one side signs: InitiatorSignedOctets or ResponderSignedOctets. */
struct auth_octets {
	uint16_t prf;
	struct bytes message;      /* that side's first message, IKE header to end, as sent */
	struct bytes nonce;        /* the other side's nonce */
	struct bytes id_body;      /* that side's ID payload after its generic header, as sent */
	const struct secret *sk_p; /* that side's SK_pi or SK_pr */
	struct bytes int_auth; /* what went between IKE_SA_INIT and IKE_AUTH (RFC 9242 3.3.2), the
				* same for both sides; empty if nothing did */
};

/* auth_resumed_compute - AUTH of an IKE SA that is resumed: prf(octets.sk_p, octets), without a pad
 * and a secret (RFC 5723 5.1). Errors: UNSUPPORTED (prf), CRYPTO. */
MUST_USE enum err auth_resumed_compute(struct crypto_ctx *c, uint8_t out[static PRF_LEN_MAX],
				       const struct auth_octets *octets) NONNULL(1, 3);

/* auth_psk_compute - prf(prf(psk, "Key Pad for IKEv2"), octets) into out[prf_len(prf)]. Errors:
 * INVAL (empty key), UNSUPPORTED (prf), CRYPTO. */
MUST_USE enum err auth_psk_compute(struct crypto_ctx *c, uint8_t out[static PRF_LEN_MAX],
				   const struct auth_octets *octets, struct bytes psk)
	NONNULL(1, 3);
