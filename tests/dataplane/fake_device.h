/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_device.h - a lookaside device that does what the test says: late, in any order, not all,
 * wrong, or never. It works on a packet at the moment at which it gives it back, with OpenSSL.
 */
#pragma once

#include "dataplane/crypto/device.h"

#define FAKE_QUEUES 5

/* struct fake_job - an operation that it has. */
struct fake_job {
	struct aead_op op;
	struct aead_key *key;
	void *ref;
	uint64_t since_ns;
};

/* struct fake_queue - first in, first out, unless said otherwise. */
struct fake_queue {
	uint32_t num;
	struct fake_job jobs[AEAD_DEVICE_DEPTH];
};

/* struct fake_device - what the test sets is atomic where workers run. */
struct fake_device {
	struct aead_device device;
	struct fake_queue queues[FAKE_QUEUES];
	uint64_t num_done; /* atomic */

	/* Set by the test. */
	uint32_t room;     /* operations that a queue holds */
	uint64_t delay_ns; /* real time until one is done */
	uint32_t most;     /* gives back so many at a time */
	bool shut;         /* gives nothing back */
	uint64_t nap_ns;   /* who looks the second time is away so long and finds nothing; then 0 */
	bool backwards;    /* the last one first */
	uint32_t fail;     /* every so many-th fails; 0: none */
	bool wrong;        /* spoils every text */
	uint32_t max_keys;
	uint32_t algs; /* 1 << enum aead_alg */

	/* What it saw. */
	uint32_t looks; /* with nap_ns */
	int num_keys;
	uint32_t num_early; /* keys freed while an operation was under them */
	bool closed;
};

/* fake_device_new - one that has all algorithms and is quick; closing it frees its keys' memory,
 * and leaves this struct to the test. */
struct fake_device *fake_device_new(void);
void fake_device_free(struct fake_device *f);
