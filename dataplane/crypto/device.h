/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - a lookaside device: what works on packets beside the worker. Operations are given to
 * one of its queues and come back from it later; in between the packet's bytes are the device's. A
 * device has keys of its own making. Beside it there is always a back end of the processor's
 * (aead.h), which does what the device does not take.
 *
 * Thread: control, but submit and complete: a queue's one user. The last queue is the control
 * thread's, for self-tests.
 */
#pragma once

#include "dataplane/crypto/aead.h"

/* AEAD_DEVICE_DEPTH - operations that a queue holds at most. */
#define AEAD_DEVICE_DEPTH 1024

/* AEAD_DEVICE_TIMEOUT_NS - an operation that takes longer will not come back. */
#define AEAD_DEVICE_TIMEOUT_NS (200 * UINT64_C(1000000))

/* struct aead_use - what a key of a device is for: one direction, with one length of additional
 * data (8, or 12 with ESN). */
struct aead_use {
	enum aead_alg alg;
	bool encrypts;
	uint8_t aad_len;
};

/* struct aead_done - an operation that came back; ok: as in struct aead_op. */
struct aead_done {
	void *ref;
	bool ok;
};

struct aead_device;

/* struct aead_device_ops - what a device implements. */
struct aead_device_ops {
	/* supports - one that may be asked for a key. */
	bool (*supports)(const struct aead_device *d, const struct aead_use *use);
	/* key_new - from what aead_backend.key_new takes; iv_key NULL where no secret IV is made.
	 * Errors: NOMEM (so many keys it does not hold), UNSUPPORTED, CRYPTO. */
	enum err (*key_new)(struct aead_device *d, struct aead_key **out,
			    const struct aead_use *use, const uint8_t *key, const uint8_t *iv_key);
	/* key_free - wipe and free; NULL is accepted. No operation under it is on its way. */
	void (*key_free)(struct aead_device *d, struct aead_key *key);
	/* submit - the first so many of n operations as it has room for; returns how many. Each
	 * brings its ref back. What an operation points at stays; the operation need not. */
	uint32_t (*submit)(struct aead_device *d, uint32_t queue, const struct aead_op *ops,
			   void *const *refs, uint32_t n);
	/* complete - up to n that are done, in any order; returns how many. Never waits. */
	uint32_t (*complete)(struct aead_device *d, uint32_t queue, struct aead_done *out,
			     uint32_t n);
	/* close - the device touches no memory any more; frees it. All keys are freed. */
	void (*close)(struct aead_device *d);
};

/* struct aead_device - embedded in an implementation. */
struct aead_device {
	const struct aead_device_ops *ops;
	const char *name;    /* as it was asked for */
	uint32_t num_queues; /* constant; the workers' and one more */
	uint32_t max_len;    /* constant: longest text that it takes */
	bool lost;           /* atomic: it did not answer, and is given nothing any more */
};

/* aead_device_lost - see struct aead_device; any thread. */
static inline bool aead_device_lost(const struct aead_device *d)
{
	return __atomic_load_n(&d->lost, __ATOMIC_RELAXED);
}

/* aead_device_lose - it did not answer. Returns true the first time. Any thread. */
static inline bool aead_device_lose(struct aead_device *d)
{
	return !__atomic_exchange_n(&d->lost, true, __ATOMIC_RELAXED);
}

/* struct aead_wait - for what a device has. Zero-initialised. */
struct aead_wait {
	uint64_t until_ns;
	bool once_more;
};

/* aead_wait_on - between two looks; came: at the last one something was there. False: nothing came
 * for AEAD_DEVICE_TIMEOUT_NS, nor at a look after that: it may be we who were away meanwhile. */
bool aead_wait_on(struct aead_wait *w, bool came) NONNULL(1);

/* aead_device_supports - one way of use of alg at least is supported. */
bool aead_device_supports(const struct aead_device *d, enum aead_alg alg) NONNULL(1);

/* aead_device_backend - d as a back end that waits for it, in the control thread: for self-tests
 * and benches. What d does not have of an algorithm is OpenSSL's. There is one at a time; it ends
 * with d. */
const struct aead_backend *aead_device_backend(struct aead_device *d) NONNULL(1);
