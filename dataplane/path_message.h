/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_message.h - what two data paths say to each other of a path, inside ESP (next header
 * ESP_PROBE, sa.h): a probe and its answer. docs/multiple-interfaces.md has the protocol. Pure
 * functions, any thread.
 */
#pragma once

#include "base/addr.h"

/* PATH_MESSAGE_LEN - of a message; a longer one is a later version's, which adds at the end. */
#define PATH_MESSAGE_LEN 96

#define PATH_CHALLENGE_LEN 16

/* enum path_message_type - who asks, and who answers. */
enum path_message_type {
	PATH_PROBE = 1,
	PATH_ANSWER = 2,
};

#define PATH_MESSAGE_ACTIVE 0x0001 /* its sender sends payload by this path */
#define PATH_MESSAGE_LEFT   0x0002 /* it does not, and all that it sent by it has left */

/* struct path_traffic - what has gone by a path. */
struct path_traffic {
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes;
};

/* struct path_message - all of it. */
struct path_message {
	enum path_message_type type;
	uint16_t path;            /* the path's number, as both ends have it; never 0 */
	uint16_t flags;           /* PATH_MESSAGE_*; others are not looked at */
	uint32_t held_us;         /* ANSWER: from the probe's arrival until it was answered */
	uint64_t sent_us;         /* PROBE: its sender's clock; ANSWER: copied */
	struct endpoint observed; /* where its sender saw the other end last; unset: nothing yet */
	uint8_t challenge[PATH_CHALLENGE_LEN]; /* PROBE: random; ANSWER: copied */
	struct path_traffic traffic;           /* of its sender */
	uint64_t top; /* highest sequence number that came by the SAs of the pair it is sent with */
};

/* path_message_build - its PATH_MESSAGE_LEN bytes. */
void path_message_build(uint8_t out[static PATH_MESSAGE_LEN], const struct path_message *m)
	NONNULL(2);

/* path_message_parse - Errors: MALFORMED (too short, version, type, path 0, what stands for an
 * address is none). */
MUST_USE enum err path_message_parse(struct path_message *out, struct bytes b) NONNULL(1);
