/* SPDX-License-Identifier: Apache-2.0 */
/*
 * md4.h - MD4 (RFC 1320), for the password hash of MSCHAPv2 (RFC 2759 8.3) and nothing else: it is
 * broken, and OpenSSL has it in its legacy provider alone, which a process is not made to load for
 * this. Any thread.
 */
#pragma once

#include "base/bytes.h"

/* MD4_LEN - bytes of a value. MD4_INPUT_MAX - of the longest input: 256 characters of UTF-16. */
#define MD4_LEN       16
#define MD4_INPUT_MAX 512

/* md4 - the hash of an input of at most MD4_INPUT_MAX bytes; leaves no copy of it. */
void md4(uint8_t out[static MD4_LEN], struct bytes input);
