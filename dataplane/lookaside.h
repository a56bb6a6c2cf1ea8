/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookaside.h - packets that are with a lookaside device (crypto/device.h). out_encrypt() and
 * in_decrypt() give theirs to the device and go on with nothing; what comes back goes on in a later
 * turn, in the order in which it was given. Until then the worker does not sleep, and passes no
 * quiescent state (base/rcu.h), so that SAs and paths stay; when control waits for one, the worker
 * waits for the device. A device that does not answer in time is lost: what it has is dropped, and
 * SAs go on with the processor.
 *
 * Thread: the worker, unless said otherwise.
 */
#pragma once

#include "dataplane/crypt.h"
#include "dataplane/crypto/device.h"

/* LOOKASIDE_MAX - packets with the device each way, at most. */
#define LOOKASIDE_MAX (AEAD_DEVICE_DEPTH / 2)
static_assert(LOOKASIDE_MAX >= 2 * PKTVEC_MAX, "a vector fits while another is on its way");

/* struct lookaside_slot - a packet in its turn. done: it may go on once all before it are. */
struct lookaside_slot {
	struct packet *packet;
	uint64_t since_ns; /* of the worker's clock */
	bool done, ok;
};

/* struct lookaside_line - packets in the order in which they were given. */
struct lookaside_line {
	uint32_t first, num;
	struct lookaside_slot slots[LOOKASIDE_MAX];
};

/* struct lookaside - a worker's part of the device: the queue with its number. */
struct lookaside {
	struct aead_device *device;
	uint32_t num_given; /* to the device, and not back */
	struct lookaside_line lines[CRYPT_WAYS];
	/* What a lost device had, and may still write to: their buffers, until it is closed. */
	struct packet *kept[CRYPT_WAYS * LOOKASIDE_MAX];
	uint32_t num_kept;
	bool untold; /* control does not know yet that it is lost */
};

/* aead_lookaside - in place of a back end: the SA's key is the device's. */
extern const struct aead_backend aead_lookaside;

/* lookaside_new - for a worker; NULL on shortage. lookaside_free - after the device was closed:
 * packets that it had are given back; NULL is accepted. Control. */
MALLOC_LIKE struct lookaside *lookaside_new(struct aead_device *device) NONNULL(1);
void lookaside_free(struct lookaside *l);

/* lookaside_num - packets that have not gone on. */
static inline uint32_t lookaside_num(const struct lookaside *l)
{
	return l->lines[CRYPT_OUT].num + l->lines[CRYPT_IN].num;
}

/* lookaside_behind - nothing more should be received now. */
static inline bool lookaside_behind(const struct lookaside *l)
{
	return l->lines[CRYPT_OUT].num > LOOKASIDE_MAX / 2 ||
	       l->lines[CRYPT_IN].num > LOOKASIDE_MAX / 2;
}

/* lookaside_crypt - the pass, of a worker that has a device. Some packets of `in` may go on at
 * once, and some that were given before. */
void lookaside_crypt(struct worker *w, enum crypt_way way, struct pktvec *in, struct pktvec *out)
	NONNULL(1, 3, 4);

/* lookaside_poll - asks the device what is done, and whether it should have been for long.
 * lookaside_take - up to a vector of packets that go on, in order; returns how many. */
void lookaside_poll(struct worker *w) NONNULL(1);
uint32_t lookaside_take(struct worker *w, enum crypt_way way, struct pktvec *out) NONNULL(1, 3);

/* lookaside_lose - the device does not answer: what it has of this worker is dropped, and control
 * is told once. */
void lookaside_lose(struct worker *w) NONNULL(1);
