/* SPDX-License-Identifier: Apache-2.0 */
/*
 * des.h - one block by DES, for MSCHAPv2 (RFC 2759 8.6) and nothing else. OpenSSL's ordinary
 * provider has triple DES, which is DES with one key three times. Thread: as ctx.h.
 */
#pragma once

#include "control/crypto/ctx.h"

#define DES_BLOCK_LEN 8
/* DES_KEY_LEN - 56 bits, without parity. */
#define DES_KEY_LEN 7

/* des_block - encrypt one block. Errors: CRYPTO (a library that has no triple DES, too). */
MUST_USE enum err des_block(struct crypto_ctx *c, uint8_t out[static DES_BLOCK_LEN],
			    const uint8_t key[static DES_KEY_LEN],
			    const uint8_t in[static DES_BLOCK_LEN]) NONNULL(1);
