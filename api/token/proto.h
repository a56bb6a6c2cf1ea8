/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proto.h - what the daemon and the process that speaks to tokens tell each other: one packet each
 * way for each thing, of fixed form, between two ends of one program. The daemon looks at all that
 * comes as at something from outside, for a module may have written it.
 */
#pragma once

#include "api/token/token.h"

#define TOKEN_PIN_MAX    256
#define TOKEN_RESULT_MAX 16384

/* struct token_request - a struct ike_token_task; it holds a PIN: wipe it. */
struct token_request {
	uint64_t id; /* not 0 */
	uint64_t slot;
	uint32_t op;     /* enum ike_token_op */
	uint32_t scheme; /* enum ike_scheme */
	uint32_t handle_len, pin_len, data_len;
	char module[CONF_NAME_MAX];
	uint8_t handle[CONF_TOKEN_HANDLE_MAX];
	uint8_t pin[TOKEN_PIN_MAX];
	uint8_t data[IKE_TOKEN_DATA_MAX];
};

/* struct token_reply - id 0: all that was under way is lost. why: a clause; "" with a result. */
struct token_reply {
	uint64_t id;
	uint32_t len;
	char why[SIGNER_WHY_MAX];
	uint8_t result[TOKEN_RESULT_MAX];
};

/* token_keep - the forked process: does what comes by fd until its other end is closed. Does not
 * return. */
_Noreturn void token_keep(int fd, const struct conf_module *modules, uint32_t num);
