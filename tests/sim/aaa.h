/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aaa.h - the server that knows clients, behind a gateway which passes EAP on to it (RFC 3579), as
 * answers to asks have it: EAP-MSCHAPv2 with one client's password, several conversations at a
 * time. One world at a time.
 */
#pragma once

#include "control/engine.h"

/* aaa_begin - the server for the next world, its randomness seeded. aaa_end - forgets all. */
void aaa_begin(uint64_t seed);
void aaa_end(void);

/* aaa_answer - what it says to IKE_ASK_EAP_SERVER; valid until the next call. */
void aaa_answer(const struct ike_ask *ask, struct ike_answer *out) NONNULL(1, 2);

/* aaa_accepted - clients since aaa_begin(). */
uint32_t aaa_accepted(void);
