/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline.h - ports that encrypt an ESP packet as it leaves by them, and decrypt one as it comes.
 * Headers, padding, trailer, IV and numbers are ours: a port writes the text and the ICV, or says
 * whether the ICV was right. Only the port knows, and only when a packet is given to it, whether
 * it does one; beside it there is always a back end of the processor's (aead.h) for what it does
 * not.
 *
 * Thread: control.
 */
#pragma once

#include "base/addr.h"
#include "dataplane/crypto/aead.h"

/* struct inline_use - what a key is for: one direction of an SA with 32-bit sequence numbers. */
struct inline_use {
	enum aead_alg alg;
	bool encrypts, tunnel;
	uint32_t spi;
	/* Where its packets go and come from: of others the port does none. */
	const struct path_addr *path;
	struct bytes material; /* cipher key || salt */
};

struct inline_key;
struct inline_ports;

/* struct inline_ops - what they implement. */
struct inline_ops {
	/* key_new - at one of the ports at least, from now on. The material is not kept. Errors:
	 * UNSUPPORTED (none does such), NOMEM, CRYPTO (refused). */
	enum err (*key_new)(struct inline_ports *p, struct inline_key **out,
			    const struct inline_use *use);
	/* key_free - no worker gives a packet to a port with it any more; what a port has may be on
	 * its way still, for which it keeps the key for a while. NULL is accepted. */
	void (*key_free)(struct inline_ports *p, struct inline_key *key);
	/* settle - that while is over for some: now and then. */
	void (*settle)(struct inline_ports *p);
	/* close - all keys are freed; the ports are open still. */
	void (*close)(struct inline_ports *p);
};

/* struct inline_ports - embedded in an implementation. */
struct inline_ports {
	const struct inline_ops *ops;
};
