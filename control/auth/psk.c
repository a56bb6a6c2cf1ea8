/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/psk.h"

#define KEY_PAD     "Key Pad for IKEv2"
#define KEY_PAD_LEN (sizeof(KEY_PAD) - 1)

enum err auth_psk_compute(struct crypto_ctx *c, uint8_t out[static PRF_LEN_MAX],
			  const struct auth_octets *octets, struct bytes psk)
{
	const struct bytes pad = bytes_of(KEY_PAD, KEY_PAD_LEN);
	const size_t len = prf_len(octets->prf);
	uint8_t maced_id[PRF_LEN_MAX], key[PRF_LEN_MAX];
	const struct bytes parts[] = {octets->message, octets->nonce, bytes_of(maced_id, len),
				      octets->int_auth};
	enum err e;

	if (!len)
		return ERR_UNSUPPORTED;
	if (!psk.len)
		return ERR_INVAL;
	e = prf_compute(c, maced_id, octets->prf, bytes_of(octets->sk_p->p, octets->sk_p->len),
			&octets->id_body, 1);
	if (e == ERR_OK)
		e = prf_compute(c, key, octets->prf, psk, &pad, 1);
	if (e == ERR_OK)
		e = prf_compute(c, out, octets->prf, bytes_of(key, len), parts, ARRAY_LEN(parts));
	secret_wipe(key, sizeof(key));
	secret_wipe(maced_id, sizeof(maced_id));
	return e;
}

enum err auth_resumed_compute(struct crypto_ctx *c, uint8_t out[static PRF_LEN_MAX],
			      const struct auth_octets *octets)
{
	const struct bytes key = bytes_of(octets->sk_p->p, octets->sk_p->len);
	const size_t len = prf_len(octets->prf);
	uint8_t maced_id[PRF_LEN_MAX];
	const struct bytes parts[] = {octets->message, octets->nonce, bytes_of(maced_id, len)};
	enum err e;

	if (!len)
		return ERR_UNSUPPORTED;
	e = prf_compute(c, maced_id, octets->prf, key, &octets->id_body, 1);
	if (e == ERR_OK)
		e = prf_compute(c, out, octets->prf, key, parts, ARRAY_LEN(parts));
	secret_wipe(maced_id, sizeof(maced_id));
	return e;
}
