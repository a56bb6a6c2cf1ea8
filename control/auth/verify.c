/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/verify.h"

#include "control/ike/wire/payload.h"

enum err auth_verify_psk(struct crypto_ctx *c, struct auth_proof **out,
			 const struct auth_psk_params *params)
{
	struct auth_proof_params proven = {0};
	uint8_t expected[PRF_LEN_MAX];
	struct auth_proof *proof;
	bool equal;
	enum err e;

	if (params->method != AUTH_SHARED_KEY_MIC)
		return ERR_UNSUPPORTED;
	if (!params->psk.len)
		return ERR_AUTH;
	proven.method = params->psk_is_group ? AUTH_METHOD_GROUP_PSK : AUTH_METHOD_PSK;
	proven.local = *params->local;
	e = wire_id_parse(&proven.peer, params->octets.id_body);
	if (e != ERR_OK)
		return e;
	e = auth_psk_compute(c, expected, &params->octets, params->psk);
	if (e != ERR_OK)
		return e;
	equal = secret_equal(expected, prf_len(params->octets.prf), params->auth.p,
			     params->auth.len);
	secret_wipe(expected, sizeof(expected));
	if (!equal)
		return ERR_AUTH;
	proof = auth_proof_new(&proven);
	if (!proof)
		return ERR_NOMEM;
	*out = proof;
	return ERR_OK;
}
