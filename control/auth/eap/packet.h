/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - EAP packets (RFC 3748 4), parse and build side by side. Pure functions over untrusted
 * bytes, any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/writer.h"

/* enum eap_code - RFC 3748 4. */
enum eap_code {
	EAP_REQUEST = 1,
	EAP_RESPONSE = 2,
	EAP_SUCCESS = 3,
	EAP_FAILURE = 4,
};

/* enum eap_type - RFC 3748 5 and IANA: what we look at. */
enum eap_type {
	EAP_TYPE_NONE = 0, /* a method that is not chosen yet */
	EAP_TYPE_IDENTITY = 1,
	EAP_TYPE_NOTIFICATION = 2,
	EAP_TYPE_NAK = 3,
	EAP_TYPE_TLS = 13,
	EAP_TYPE_MSCHAPV2 = 26,
};

/* EAP_HEADER_LEN - code, identifier, length. EAP_PACKET_MAX - bytes of a packet that is looked at
 * or made; IKE carries it in fragments of its own where it must. */
#define EAP_HEADER_LEN 4
#define EAP_PACKET_MAX 4096

/* struct eap_packet - type and data of requests and responses; success and failure have none. */
struct eap_packet {
	uint8_t code, id, type;
	struct bytes data;
};

/* eap_packet_parse - *out is a view. What is behind the packet's own length is padding (RFC 3748
 * 4). Errors: TRUNCATED, MALFORMED (length, code, or a success with data), LIMIT. */
MUST_USE enum err eap_packet_parse(struct eap_packet *out, struct bytes in) NONNULL(1);

/* eap_packet_begin - header of a packet whose data follow in w; type NONE: there are none.
 * eap_packet_end - its length; mark is what begin returned. */
size_t eap_packet_begin(struct writer *w, enum eap_code code, uint8_t id, uint8_t type) NONNULL(1);
void eap_packet_end(struct writer *w, size_t mark) NONNULL(1);

/* eap_type_name - "mschapv2"; NULL of a type that is not spoken here. */
const char *eap_type_name(uint8_t type);
