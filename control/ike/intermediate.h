/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intermediate.h - what goes between IKE_SA_INIT and IKE_AUTH (RFC 9242): additional key exchanges,
 * one after the other (RFC 9370 2.2.2). Each is protected by the keys before it and gives new ones;
 * AUTH covers them all. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* struct intermediate - the key exchanges of one handshake, made and under way. */
struct intermediate;

/* intermediate_start - as initiator, begin the first one. Errors: NOMEM, CRYPTO, and those of
 * step_finish(). */
MUST_USE enum err intermediate_start(struct step *s) NONNULL(1);

/* intermediate_expect - as responder, be ready for the first one. Errors: NOMEM. */
MUST_USE enum err intermediate_expect(struct ike_sa *sa) NONNULL(1);

/* intermediate_next - the method of the next key exchange, or of the one under way; DH_NONE when
 * all that were agreed on are made. */
uint16_t intermediate_next(const struct ike_sa *sa) NONNULL(1);

/* intermediate_octets - IntAuth, which both sides' AUTH covers (RFC 9242 3.3.2); empty if no
 * exchange was made. im may be NULL; the view lives as long as it is not changed. */
struct bytes intermediate_octets(const struct intermediate *im);

/* intermediate_repeat_key - what the fragments of a request that was answered were sealed with: the
 * answer to an IKE_INTERMEDIATE has taken the keys of its request out of use. */
struct ike_aead *intermediate_repeat_key(const struct ike_sa *sa) NONNULL(1);

/* intermediate_free - wipe and free; NULL is accepted. */
void intermediate_free(struct intermediate *im);
