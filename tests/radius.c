/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/radius.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/bytes.h"

/* MAC_LEN - of the attribute. KEY_MAX - of a hidden key with its length and zeros. */
#define MAC_LEN (2 + MD5_LEN)
#define KEY_MAX 96

static void md5(uint8_t out[static MD5_LEN], const struct bytes *parts, size_t num)
{
	EVP_MD_CTX *h = EVP_MD_CTX_new();

	assert(h && EVP_DigestInit_ex(h, EVP_md5(), NULL));
	for (size_t i = 0; i < num; i++)
		assert(EVP_DigestUpdate(h, parts[i].p, parts[i].len));
	assert(EVP_DigestFinal_ex(h, out, NULL));
	EVP_MD_CTX_free(h);
}

static void put_mac(struct writer *w)
{
	static const uint8_t none[MD5_LEN];

	radius_put(w, RADIUS_MESSAGE_AUTHENTICATOR, bytes_of(none, sizeof(none)));
}

/* Both authenticators are made over the request's one in the place of this one's. */
static void seal(uint8_t *buf, size_t len, const struct say *say, size_t num_macs)
{
	uint8_t mac[MD5_LEN];
	const struct bytes parts[] = {bytes_of(buf, len), say->secret};

	memcpy(buf + 4, say->request.p + 4, MD5_LEN);
	if (num_macs)
		assert(HMAC(EVP_md5(), say->secret.p, (int)say->secret.len, buf, len, mac, NULL));
	mac[0] ^= say->bad_mac;
	if (num_macs) /* what stands before the last one is covered by it */
		memcpy(buf + RADIUS_HEADER_LEN + (num_macs - 1) * MAC_LEN + 2, mac, MD5_LEN);
	md5(mac, parts, ARRAY_LEN(parts));
	memcpy(buf + 4, mac, MD5_LEN);
}

struct bytes radius_say(uint8_t *buf, const struct say *say)
{
	const size_t num_macs = say->no_mac ? 0 : say->two_macs ? 2 : 1;
	struct bytes packet = {0};
	struct writer w;

	writer_init(&w, buf, RADIUS_PACKET_MAX);
	writer_u8(&w, (uint8_t)say->code);
	writer_u8(&w, say->request.p[1]);
	writer_u16(&w, (uint16_t)(RADIUS_HEADER_LEN + num_macs * MAC_LEN + say->attrs.len));
	writer_zero(&w, MD5_LEN);
	for (size_t i = 0; i < num_macs; i++)
		put_mac(&w);
	writer_bytes(&w, say->attrs.p, say->attrs.len);
	assert(!writer_finish(&w, &packet));
	seal(buf, packet.len, say, num_macs);
	return packet;
}

void radius_hide(struct writer *w, uint8_t type, struct bytes key, struct bytes request,
		 struct bytes secret)
{
	static const uint8_t salt[] = {0x80 | 0x0a, 0x0b};
	uint8_t plain[KEY_MAX] = {(uint8_t)key.len}, hidden[KEY_MAX], mask[MD5_LEN];
	const size_t len = (1 + key.len + MD5_LEN - 1) / MD5_LEN * MD5_LEN;
	struct bytes before = bytes_of(request.p + 4, MD5_LEN);

	assert(len <= KEY_MAX);
	memcpy(plain + 1, key.p, key.len);
	for (size_t at = 0; at < len; at += MD5_LEN) {
		const struct bytes parts[] = {secret, before, bytes_of(salt, sizeof(salt))};

		md5(mask, parts, at ? 2 : 3);
		for (size_t i = 0; i < MD5_LEN; i++)
			hidden[at + i] = plain[at + i] ^ mask[i];
		before = bytes_of(hidden + at, MD5_LEN);
	}
	writer_u8(w, RADIUS_VENDOR_SPECIFIC);
	writer_u8(w, (uint8_t)(2 + 4 + 2 + sizeof(salt) + len));
	writer_u32(w, 311);
	writer_u8(w, type);
	writer_u8(w, (uint8_t)(2 + sizeof(salt) + len));
	writer_bytes(w, salt, sizeof(salt));
	writer_bytes(w, hidden, len);
}
