/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passes.h - the way of a packet, in order. Each pass takes all packets of `in`, gives every one
 * exactly one fate, and leaves those that go on in `out`, which it empties first. No allocation,
 * system call, lock or formatted print. Thread: the worker.
 */
#pragma once

#include "dataplane/worker.h"

struct sa_conf;

/* Outbound: clear packets from an inner port. */

/* out_classify - flow, policy, SA. Drops what no policy protects; holds what has no SA yet; hands
 * over what another worker's SA protects. */
void out_classify(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);
/* out_fit - packets that the path takes: cuts super-packets, and longer ones that may be cut, tells
 * the senders of others (RFC 4301 8); the outer DF, TCP's MSS, traffic flow padding. Packets may
 * become more than out holds: what is left stays in `in`, or with the worker (out_fit_pending()),
 * and the pass is called again until nothing is. */
void out_fit(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);

/* out_fit_pending - a packet is being cut. */
static inline bool out_fit_pending(const struct worker *w)
{
	return w->cut.whole || w->super.whole;
}

/* out_prepare - compression (RFC 3173), sequence number, ESP header, IV, padding, outer TOS byte;
 * fills w->ops for out (RFC 4303 3.3). */
void out_prepare(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);
/* out_encrypt - runs w->ops. */
void out_encrypt(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);
/* out_path - chooses the path and sends; out is not used. */
void out_path(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);

/* Inbound: datagrams from an outer port. */

/* in_demux - tells ESP, IKE and keepalives apart (RFC 3948 2). Punts IKE. Cuts super-datagrams,
 * which may become more than out holds: what is left stays in `in`, and the pass is called again
 * until nothing is. */
void in_demux(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);
/* in_lookup - SA by SPI, replay check; fills w->ops for out (RFC 4303 3.4.2, 3.4.3). Hands over
 * what another worker's SA protects. */
void in_lookup(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);
/* in_decrypt - runs w->ops; drops what is not authentic. */
void in_decrypt(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);
/* in_commit - replay commit, counters and lifetimes, reports (first use, peer moved). */
void in_commit(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);
/* in_finish - padding, next header, compression, fragments, selectors, protection class, TOS byte,
 * TCP's MSS (RFC 4303 3.4.4, RFC 4301 5.2). */
void in_finish(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);
/* in_join - chains what the driver of the virtual interface takes as one (packet->next_part). */
void in_join(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);
/* in_deliver - stamps the token and hands to the inner port; out is not used. */
void in_deliver(struct worker *w, struct pktvec *in, struct pktvec *out) NONNULL(1, 2, 3);

/* out_hold - packets without an SA: kept, and the control thread asked for one. One that cannot be
 * kept is dropped. */
void out_hold(struct worker *w, struct packet *p, const struct flow_entry *e) NONNULL(1, 2, 3);

/* in_probe - for in_finish(): a control message about paths goes to the control thread: never to a
 * host, and whatever the selectors are. */
void in_probe(struct worker *w, struct packet *p, const struct sa_conf *c) NONNULL(1, 2, 3);

/* in_wire - for in_demux(): p with PACKET_F_IP becomes a datagram (which goes on: returned), one in
 * the making, or what it tells; what is told is reported. NULL: nothing goes on now. */
struct packet *in_wire(struct worker *w, struct packet *p) NONNULL(1, 2);

/* pass_join - take a fragment (PACKET_F_FRAGMENT) of this context (reasm.h); the packet if it is
 * whole now, else NULL. Its fragments are consumed and it is made, as the books have it. */
struct packet *pass_join(struct worker *w, struct packet *p, uint64_t context) NONNULL(1, 2);

/* pass_prefetch - the memory that the next packets' headers are in. */
static inline void pass_prefetch(const struct pktvec *v, uint32_t i)
{
	if (i + 2 < v->num)
		__builtin_prefetch(v->pkt[i + 2]->data, 1);
}
