/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkcs11.h - tokens by PKCS#11 (OASIS PKCS#11 2.40), over p11-kit, which loads the modules: logins
 * and signatures. It blocks: it is for the process of token.h alone.
 *
 * A token counts wrong PINs, and locks itself: a PIN that was wrong, or over which the module
 * ended or hung, is not tried again, and none is where the token says that one more would be the
 * last.
 */
#pragma once

#include "api/token/proto.h"

struct pkcs11;
struct pkcs11_wrong;

/* pkcs11_wrong_new - what is remembered of such PINs: it is shared by all processes that
 * are forked from the one that has made it, and outlives each. NULL without memory. */
struct pkcs11_wrong *pkcs11_wrong_new(void);

/* pkcs11_new - nothing is loaded yet; modules and wrong are borrowed. NULL without memory, or wrong
 * NULL: no PIN is tried that may have been wrong. */
struct pkcs11 *pkcs11_new(const struct conf_module *modules, uint32_t num,
			  struct pkcs11_wrong *wrong);

/* pkcs11_do - what is asked; p NULL: it fails. */
void pkcs11_do(struct pkcs11 *p, struct token_reply *out, const struct token_request *request)
	NONNULL(2, 3);
