/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - RADIUS packets as a client of EAP has them (RFC 2865, RFC 3579): build of requests,
 * parse and proof of answers, keys of Microsoft's attributes (RFC 2548), side by side. Pure
 * functions over untrusted bytes. Thread: the engine's control thread.
 */
#pragma once

#include "base/writer.h"
#include "control/crypto/md5.h"

/* enum radius_code - RFC 2865 4: what a client sends, and what it is answered. */
enum radius_code {
	RADIUS_ACCESS_REQUEST = 1,
	RADIUS_ACCESS_ACCEPT = 2,
	RADIUS_ACCESS_REJECT = 3,
	RADIUS_ACCESS_CHALLENGE = 11,
};

/* enum radius_type - attributes that are sent or looked at (RFC 2865 5, RFC 3579 3). */
enum radius_type {
	RADIUS_USER_NAME = 1,
	RADIUS_SERVICE_TYPE = 6,
	RADIUS_FRAMED_MTU = 12,
	RADIUS_REPLY_MESSAGE = 18,
	RADIUS_STATE = 24,
	RADIUS_VENDOR_SPECIFIC = 26,
	RADIUS_SESSION_TIMEOUT = 27,
	RADIUS_CALLED_STATION_ID = 30,
	RADIUS_CALLING_STATION_ID = 31,
	RADIUS_NAS_IDENTIFIER = 32,
	RADIUS_NAS_PORT_TYPE = 61,
	RADIUS_EAP_MESSAGE = 79,
	RADIUS_MESSAGE_AUTHENTICATOR = 80,
};

/* RADIUS_HEADER_LEN - code, identifier, length, authenticator. RADIUS_PACKET_MAX - of a packet (RFC
 * 2865 3). RADIUS_VALUE_MAX - of one attribute's value. RADIUS_AUTHENTICATOR_LEN - of a request's
 * and an answer's authenticator. RADIUS_MSK_MAX - of two keys of the longest kind. */
#define RADIUS_HEADER_LEN        20
#define RADIUS_PACKET_MAX        4096
#define RADIUS_VALUE_MAX         253
#define RADIUS_AUTHENTICATOR_LEN MD5_LEN
#define RADIUS_MSK_MAX           128

/* radius_request_begin - header and, before all else, a Message-Authenticator that is empty: where
 * it is first nobody can put something of his choice before it ("Blast-RADIUS"). The authenticator
 * is random and of this request alone. radius_put - an attribute of at most RADIUS_VALUE_MAX bytes,
 * longer ones are cut; radius_put_u32 - a number. radius_put_eap - an EAP packet, in as many pieces
 * as it takes (RFC 3579 3.1). radius_request_finish - length and Message-Authenticator under the
 * secret that the server has; *out is a view. Errors: FULL, LIMIT, CRYPTO. */
void radius_request_begin(struct writer *w, uint8_t id,
			  const uint8_t authenticator[static RADIUS_AUTHENTICATOR_LEN]) NONNULL(1);
void radius_put(struct writer *w, enum radius_type type, struct bytes value) NONNULL(1);
void radius_put_u32(struct writer *w, enum radius_type type, uint32_t value) NONNULL(1);
void radius_put_eap(struct writer *w, struct bytes packet) NONNULL(1);
MUST_USE enum err radius_request_finish(struct crypto_ctx *c, struct bytes *out, struct writer *w,
					struct bytes secret) NONNULL(1, 2, 3);

/* struct radius_packet - a packet whose attributes follow the format; nothing of it is proven. All
 * views. whole: header and attributes. eap_len: of all EAP-Message attributes together. Of what may
 * be there once the first counts, but of two Message-Authenticators the packet is none. */
struct radius_packet {
	uint8_t code, id;
	struct bytes whole;
	size_t mac_at; /* of the Message-Authenticator's value in whole; 0: there is none */
	struct bytes state, user_name, reply;
	struct bytes recv_key, send_key; /* MS-MPPE-Recv-Key, MS-MPPE-Send-Key, encrypted */
	uint32_t session_s;              /* 0: no Session-Timeout */
	size_t eap_len;
};

/* radius_parse - what is behind the packet's own length is padding (RFC 2865 3). Errors: TRUNCATED,
 * MALFORMED, LIMIT (longer than RADIUS_PACKET_MAX). */
MUST_USE enum err radius_parse(struct radius_packet *out, struct bytes in) NONNULL(1);

/* radius_eap - the EAP packet, put together; p->eap_len bytes. */
void radius_eap(uint8_t *out, const struct radius_packet *p) NONNULL(1, 2);

/* struct radius_proof - what an answer is proven by: the secret that is shared with the server, and
 * the authenticator of the request that it answers. */
struct radius_proof {
	struct bytes secret;
	const uint8_t *authenticator;
};

/* radius_verify - both of an answer's authenticators are right: that of RFC 2865 3, which is an MD5
 * and can be forged, and the Message-Authenticator of RFC 3579 3.2, without which nothing is
 * believed. Errors: AUTH, CRYPTO. */
MUST_USE enum err radius_verify(struct crypto_ctx *c, const struct radius_packet *p,
				const struct radius_proof *proof) NONNULL(1, 2, 3);

/* radius_msk - the master session key of an answer that was verified: what the client sends by,
 * then what it receives by (RFC 3748 7.10 as RFC 2548 2.4 carries it), with zeros behind if it has
 * fewer than 64 bytes, as that of EAP-MSCHAPv2. out holds RADIUS_MSK_MAX bytes. Errors: NOT_FOUND
 * (a key is not there), MALFORMED, CRYPTO. */
MUST_USE enum err radius_msk(struct crypto_ctx *c, uint8_t out[static RADIUS_MSK_MAX],
			     size_t *out_len, const struct radius_packet *p,
			     const struct radius_proof *proof) NONNULL(1, 3, 4, 5);
