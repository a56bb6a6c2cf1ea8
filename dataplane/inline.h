/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline.h - SAs whose packets a port encrypts and decrypts (crypto/inline.h). out_encrypt() leaves
 * such a packet open: it goes on as one without bytes, its text behind its end (packet.h), to be
 * encrypted as late as can be. Its driver has it encrypted by the port that it leaves by, which it
 * asks (driver_ops.takes), or by us (driver.seal); for a driver that knows nothing of this it is
 * done before. Nothing else makes bytes of it, so that no mistake on the way sends it clear.
 *
 * Thread: the worker, unless said otherwise.
 */
#pragma once

#include "dataplane/crypt.h"
#include "dataplane/crypto/inline.h"

/* inline_crypt - the pass, of a worker some of whose ports do this. */
void inline_crypt(struct worker *w, enum crypt_way way, struct pktvec *in, struct pktvec *out)
	NONNULL(1, 3, 4);

/* inline_seal - encrypt an open packet; see struct driver. inline_seal_all - all of v that are
 * open; what fails is dropped. */
MUST_USE bool inline_seal(void *worker, struct packet *p) NONNULL(1, 2);
void inline_seal_all(struct worker *w, struct pktvec *v) NONNULL(1, 2);
