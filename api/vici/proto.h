/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proto.h - VICI's encoding (strongSwan's README.md of its vici plugin): packets with a 32-bit
 * length in front, a type, for some types a name, and a message, which is a tree of sections,
 * values and lists. Pure functions, any thread.
 */
#pragma once

#include "base/tree.h"

/* VICI_PACKET_MAX - bytes of a packet after its length. VICI_NAME_MAX - of a name. VICI_VALUE_MAX -
 * of a value. VICI_LEN_SIZE - of the length in front of a packet. */
#define VICI_PACKET_MAX (512u * 1024)
#define VICI_NAME_MAX   255
#define VICI_VALUE_MAX  65535
#define VICI_LEN_SIZE   4

/* VICI_SOCKET - the socket's name in the daemon's run directory. */
#define VICI_SOCKET "latchkey.vici"

/* enum vici_type - what a packet is. CMD_REQUEST, EVENT_REGISTER, EVENT_UNREGISTER and EVENT carry
 * a name. */
enum vici_type {
	VICI_CMD_REQUEST = 0,
	VICI_CMD_RESPONSE = 1,
	VICI_CMD_UNKNOWN = 2,
	VICI_EVENT_REGISTER = 3,
	VICI_EVENT_UNREGISTER = 4,
	VICI_EVENT_CONFIRM = 5,
	VICI_EVENT_UNKNOWN = 6,
	VICI_EVENT = 7,
};

/* enum vici_element - what comes next in a message. */
enum vici_element {
	VICI_SECTION_START = 1,
	VICI_SECTION_END = 2,
	VICI_KEY_VALUE = 3,
	VICI_LIST_START = 4,
	VICI_LIST_ITEM = 5,
	VICI_LIST_END = 6,
};

/* struct vici_packet - a packet taken apart; body is borrowed from what was parsed. */
struct vici_packet {
	enum vici_type type;
	char name[VICI_NAME_MAX + 1]; /* "" for types without one */
	struct bytes body;
};

/* vici_packet_parse - the len bytes of a packet after its length field. Errors: TRUNCATED,
 * MALFORMED (unknown type, a name that is not text). */
MUST_USE enum err vici_packet_parse(struct vici_packet *out, const void *bytes, size_t len)
	NONNULL(1);

/* vici_message_decode - a message as a tree; the caller frees it. Names are text, values any bytes.
 * Errors: TRUNCATED, MALFORMED, LIMIT (deeper than TREE_DEPTH_MAX), NOMEM. */
MUST_USE enum err vici_message_decode(struct tree **out, struct bytes message) NONNULL(1);

/* vici_packet_encode - a whole packet, length field included, in fresh memory (mem_free). name is
 * NULL for types without one, message NULL if there is none. Errors: LIMIT (a bound of the format
 * or VICI_PACKET_MAX), NOMEM. */
MUST_USE enum err vici_packet_encode(uint8_t **out, size_t *out_len, enum vici_type type,
				     const char *name, const struct tree *message) NONNULL(1, 2);
