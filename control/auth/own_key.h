/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_key.h - what this side proves itself by: which of its keys, in files or on tokens, and what
 * is shown beside a signature. keyring.h's, and of a program that holds the key itself (outside.h).
 */
#pragma once

#include "control/auth/key.h"
#include "control/engine.h"

/* own_key_lets - `local.auth` lets a key of this kind and length sign. A pure function. */
bool own_key_lets(const struct ike_ask *ask, const struct key_info *info) NONNULL(1, 2);

/* own_key_is_sent - `send_cert`, and what the peer asked for, let a CERT payload of this encoding
 * go with the signature. A pure function. */
bool own_key_is_sent(const struct ike_ask *ask, uint8_t encoding) NONNULL(1);

/* own_key_sign - answers IKE_ASK_SIGN: the AUTH payload's data, and certificates. own_key_for_tls -
 * answers IKE_ASK_EAP_KEY: a private key in a file and its certificates. False: keyring_refuse()
 * was told why, and k->waits is set if it may be another answer when something has come. What *out
 * points to stays as ike_keyring_answer() says. */
bool own_key_sign(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
		  const struct ike_ask *ask, int64_t wall_s) NONNULL(1, 2, 3, 4);
bool own_key_for_tls(struct ike_keyring *k, struct ike_answer *out, const struct conf *conf,
		     const struct ike_ask *ask, int64_t wall_s) NONNULL(1, 2, 3, 4);
