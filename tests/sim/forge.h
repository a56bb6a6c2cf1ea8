/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forge.h - opens, changes and makes messages of the simulated engines: a peer that holds the right
 * keys and breaks every rule.
 */
#pragma once

#include "control/ike/sa.h"
#include "control/ike/wire/build.h"
#include "tests/sim/sim.h"

#define FORGE_BUF 8192

/* struct forge_msg - a message opened: payloads borrow buf. */
struct forge_msg {
	struct ike_header h;
	bool encrypted;
	bool by_peer; /* with the key that its receiver has: the sender has renewed its own since */
	uint32_t num;
	struct ike_payload payloads[IKE_MAX_PAYLOADS];
	uint8_t buf[FORGE_BUF];
};

/* forge_sa - the IKE SA of a side that has these SPIs, or NULL. */
struct ike_sa *forge_sa(struct sim *s, unsigned side, const struct ike_header *h);

/* forge_open - a message as sent by a side; false if it cannot be opened. */
bool forge_open(struct sim *s, struct forge_msg *out, unsigned from, const uint8_t *bytes,
		size_t len);

/* forge_close - the message again, with whatever payloads it has now; returns its length. */
size_t forge_close(struct sim *s, const struct forge_msg *m, unsigned from, uint8_t *out,
		   size_t cap);

/* forge_bare - a message of a side on its established IKE SA sa (the one it has): an exchange, a
 * flag, a number, and payloads. */
size_t forge_bare(struct sim *s, struct ike_sa *sa, uint8_t exchange, uint8_t flags, uint32_t msgid,
		  const struct ike_payload *payloads, uint32_t num, uint8_t *out, size_t cap);

/* forge_lost - neither side has got answers for so long that it has given up every IKE SA.
 * forge_lost_by - one of them. */
void forge_lost(struct sim *s) NONNULL(1);
void forge_lost_by(struct sim *s, unsigned side) NONNULL(1);
