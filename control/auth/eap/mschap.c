/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/eap/mschap.h"

#include "base/reader.h"
#include "base/secret.h"
#include "control/crypto/des.h"

/* One character of UTF-8 (RFC 3629 4): neither longer than needed nor a surrogate. Errors:
 * INVAL. */
static enum err take_character(struct reader *r, uint32_t *out)
{
	static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
	uint8_t first, more;
	unsigned num;
	uint32_t v;

	if (reader_u8(r, &first))
		return ERR_INVAL;
	num = first < 0x80 ? 0 : first < 0xc0 ? 4 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
	if (num == 4 || first >= 0xf8)
		return ERR_INVAL;
	v = num ? first & (0x3fu >> num) : first;
	for (unsigned i = 0; i < num; i++) {
		if (reader_u8(r, &more) || (more & 0xc0) != 0x80)
			return ERR_INVAL;
		v = v << 6 | (more & 0x3f);
	}
	if (v < least[num] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return ERR_INVAL;
	*out = v;
	return ERR_OK;
}

static bool put_unit(uint8_t out[static MD4_INPUT_MAX], size_t *len, uint32_t unit)
{
	if (*len + 2 > MD4_INPUT_MAX)
		return false;
	out[(*len)++] = (uint8_t)unit;
	out[(*len)++] = (uint8_t)(unit >> 8);
	return true;
}

enum err mschap_hash(uint8_t out[static MD4_LEN], struct bytes password)
{
	uint8_t text[MD4_INPUT_MAX];
	enum err e = ERR_OK;
	size_t len = 0;
	struct reader r;
	uint32_t v = 0;

	reader_init(&r, password.p, password.len);
	while (!e && !reader_empty(&r)) {
		bool fits;

		e = take_character(&r, &v);
		if (e)
			break;
		if (v < 0x10000)
			fits = put_unit(text, &len, v);
		else
			fits = put_unit(text, &len, 0xd800 | (v - 0x10000) >> 10) &&
			       put_unit(text, &len, 0xdc00 | ((v - 0x10000) & 0x3ff));
		e = fits ? ERR_OK : ERR_LIMIT;
	}
	if (!e)
		md4(out, bytes_of(text, len));
	secret_wipe(text, sizeof(text));
	return e;
}

struct bytes mschap_user(struct bytes name)
{
	for (size_t i = name.len; i > 0; i--) {
		if (name.p[i - 1] == '\\')
			return bytes_of(name.p + i, name.len - i);
	}
	return name;
}

/* ChallengeHash(): 8 bytes of the hash of both challenges and the name. */
static enum err challenge_hash(struct crypto_ctx *c, uint8_t out[static SHA1_LEN],
			       const struct mschap *m)
{
	const struct bytes parts[] = {
		bytes_of(m->peer_challenge, sizeof(m->peer_challenge)),
		bytes_of(m->authenticator_challenge, sizeof(m->authenticator_challenge)), m->user};

	return crypto_sha1(c, out, parts, ARRAY_LEN(parts));
}

enum err mschap_response(struct crypto_ctx *c, uint8_t out[static MSCHAP_NT_RESPONSE_LEN],
			 const struct mschap *m)
{
	uint8_t challenge[SHA1_LEN], keys[3 * DES_KEY_LEN] = {0};
	enum err e = challenge_hash(c, challenge, m);

	memcpy(keys, m->hash, MD4_LEN);
	for (unsigned i = 0; !e && i < 3; i++)
		e = des_block(c, out + i * DES_BLOCK_LEN, keys + i * DES_KEY_LEN, challenge);
	secret_wipe(keys, sizeof(keys));
	return e;
}

#define TEXT(s) bytes_of(s, sizeof(s) - 1)

enum err mschap_authenticator(struct crypto_ctx *c, uint8_t out[static MSCHAP_AUTHENTICATOR_LEN],
			      const struct mschap *m,
			      const uint8_t response[static MSCHAP_NT_RESPONSE_LEN])
{
	uint8_t twice[MD4_LEN], digest[SHA1_LEN], challenge[SHA1_LEN];
	const struct bytes first[] = {bytes_of(twice, sizeof(twice)),
				      bytes_of(response, MSCHAP_NT_RESPONSE_LEN),
				      TEXT("Magic server to client signing constant")};
	const struct bytes second[] = {bytes_of(digest, sizeof(digest)), bytes_of(challenge, 8),
				       TEXT("Pad to make it do more than one iteration")};
	enum err e;

	md4(twice, bytes_of(m->hash, MD4_LEN));
	e = crypto_sha1(c, digest, first, ARRAY_LEN(first));
	if (!e)
		e = challenge_hash(c, challenge, m);
	if (!e)
		e = crypto_sha1(c, out, second, ARRAY_LEN(second));
	secret_wipe(twice, sizeof(twice));
	secret_wipe(digest, sizeof(digest));
	return e;
}

/* GetAsymmetricStartKey(): which of the two directions is in the text. */
static enum err start_key(struct crypto_ctx *c, uint8_t out[static MSCHAP_KEY_LEN],
			  struct bytes master, struct bytes direction)
{
	static const uint8_t zeros[40];
	uint8_t digest[SHA1_LEN], pad[40];
	const struct bytes parts[] = {master, bytes_of(zeros, sizeof(zeros)), direction,
				      bytes_of(pad, sizeof(pad))};
	enum err e;

	memset(pad, 0xf2, sizeof(pad));
	e = crypto_sha1(c, digest, parts, ARRAY_LEN(parts));
	if (!e)
		memcpy(out, digest, MSCHAP_KEY_LEN);
	secret_wipe(digest, sizeof(digest));
	return e;
}

enum err mschap_keys(struct crypto_ctx *c, uint8_t out_send[static MSCHAP_KEY_LEN],
		     uint8_t out_receive[static MSCHAP_KEY_LEN], const struct mschap *m,
		     const uint8_t response[static MSCHAP_NT_RESPONSE_LEN])
{
	uint8_t twice[MD4_LEN], master[SHA1_LEN];
	const struct bytes parts[] = {bytes_of(twice, sizeof(twice)),
				      bytes_of(response, MSCHAP_NT_RESPONSE_LEN),
				      TEXT("This is the MPPE Master Key")};
	const struct bytes key = bytes_of(master, MSCHAP_KEY_LEN);
	enum err e;

	md4(twice, bytes_of(m->hash, MD4_LEN));
	e = crypto_sha1(c, master, parts, ARRAY_LEN(parts));
	if (!e)
		e = start_key(c, out_send, key,
			      TEXT("On the client side, this is the send key; on the server side, "
				   "it is the receive key."));
	if (!e)
		e = start_key(c, out_receive, key,
			      TEXT("On the client side, this is the receive key; on the server "
				   "side, it is the send key."));
	secret_wipe(twice, sizeof(twice));
	secret_wipe(master, sizeof(master));
	return e;
}
