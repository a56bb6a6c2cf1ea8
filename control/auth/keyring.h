/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring.h - what a connection says about this side's own signature, whoever makes it: the keyring
 * (control/engine.h) or a program that holds the key itself (outside.h). Pure functions.
 */
#pragma once

#include "control/auth/key.h"
#include "control/engine.h"

/* keyring_lets - `local.auth` lets a key of this kind and length sign. */
bool keyring_lets(const struct ike_ask *ask, const struct key_info *info) NONNULL(1, 2);

/* keyring_sends - `send_cert`, and what the peer asked for, let a CERT payload of this encoding go
 * with the signature. */
bool keyring_sends(const struct ike_ask *ask, uint8_t encoding) NONNULL(1);
