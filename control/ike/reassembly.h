/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reassembly.h - received fragments of one message until it is whole (RFC 7383 2.6), one for each
 * direction of an IKE SA (S2): an array and a bitmap, at most IKE_MAX_FRAGMENTS pieces, each
 * authenticated before it is stored, so that whatever order they come in costs the same; the bytes
 * of all that a peer (an IPv4 address or IPv6 /64) has begun are bounded together. Control thread.
 */
#pragma once

#include "control/ike/sa.h"
#include "control/ike/wire/skf.h"

/* REASSEMBLY_MAX - bytes of one message; REASSEMBLY_PEER_MAX - of all unfinished ones of a peer. */
#define REASSEMBLY_MAX      IKE_MAX_MESSAGE
#define REASSEMBLY_PEER_MAX (4 * (size_t)REASSEMBLY_MAX)

struct reassembly;

/* All of a process's reassemblies share one table `debtors`: what each peer has begun. */

/* reassembly_wants - a fragment is worth being decrypted: it is not there yet, and is of the same
 * cut as the others or of a finer one (RFC 7383 2.6). r may be NULL: none has come. */
bool reassembly_wants(const struct reassembly *r, const struct skf *f) NONNULL(2);

/* reassembly_add - keep the text of an authentic fragment that is wanted; a finer cut forgets what
 * the coarser one has left. *r is made when needed, for a peer at from. Errors: NOMEM, LIMIT (bytes
 * of the message or of the peer): nothing was kept. */
MUST_USE enum err reassembly_add(struct htab *debtors, struct reassembly **r,
				 const struct ip_addr *from, const struct skf *f, struct bytes text)
	NONNULL(1, 2, 3, 4);

/* reassembly_whole - all fragments are there: the payloads go to buf, which takes REASSEMBLY_MAX
 * bytes, and the type of the first of them to *out_first. */
bool reassembly_whole(const struct reassembly *r, struct bytes *out, uint8_t *out_first, void *buf)
	NONNULL(2, 3, 4);

/* reassembly_drop - wipe and forget; *r becomes NULL. */
void reassembly_drop(struct htab *debtors, struct reassembly **r) NONNULL(1, 2);
