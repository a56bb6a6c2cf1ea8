/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latch_flow.h - a worker latches flows: each TCP connection of the host when its first packet
 * passes, and each flow of a listener; and it judges packets of flows that are latched (RFC 5660
 * 2.2). Thread: the worker.
 */
#pragma once

#include "dataplane/mss.h"
#include "dataplane/worker.h"

/* LATCH_TCP_FLAGS - FIN, SYN, RST: what begins or ends a connection. */
#define LATCH_TCP_FLAGS 0x07
#define TCP_FIN         0x01
#define TCP_RST         0x04
#define TCP_ACK         0x10

/* latch_is_tcp - and its port latches connections. */
static inline bool latch_is_tcp(const struct worker *w, const struct flow_id *id, uint16_t port)
{
	return (uint8_t)(id->what >> 32) == IPPROTO_TCP && w->latched >> (port & 63) & 1;
}

/* latch_tcp_flags - those of the TCP header of a packet whose flow is TCP; TCP_ACK if it shows
 * none. */
static inline uint8_t latch_tcp_flags(const struct packet *p)
{
	const uint8_t *h = p->data;

	if (likely(h[0] == 0x45 && p->len >= 20 + TCP_MIN_LEN))
		return h[20 + TCP_FLAGS_AT];
	uint32_t at = h[0] >> 4 == 4 ? (h[0] & 0x0fu) * 4 : 40;

	/* Behind IPv6 extension headers a connection counts as one that was there before. */
	if (unlikely(h[h[0] >> 4 == 4 ? 9 : 6] != IPPROTO_TCP || p->len < at + TCP_MIN_LEN))
		return TCP_ACK;
	return h[at + TCP_FLAGS_AT];
}

/* latch_out - before p leaves, of a flow with no latch yet or a TCP packet that begins or ends its
 * connection: e is its entry, and an SA was found for it. DROP_NONE: it may. */
enum drop_reason latch_out(struct worker *w, const struct packet *p, struct flow_entry *e,
			   uint16_t port) NONNULL(1, 2, 3);

/* latch_in - the same for p, which came by an SA of this configuration and which policy lets in. */
enum drop_reason latch_in(struct worker *w, const struct packet *p, struct flow_entry *e,
			  const struct sa_conf *c, uint16_t port) NONNULL(1, 2, 3, 4);

/* latch_is_error - packets of the flow are ICMP errors. latch_error_in - for each of them that
 * policy lets in: about a latched flow its own peer may say something, and nobody else. */
bool latch_is_error(const struct flow_entry *e) NONNULL(1);
enum drop_reason latch_error_in(const struct worker *w, const struct packet *p,
				const struct sa_conf *c) NONNULL(1, 2, 3);

/* latch_watches - each packet of the flow is to be looked at: a connection that is not up yet, or
 * is about to end. */
bool latch_watches(const struct flow_entry *e) NONNULL(1);

/* latch_out_due, latch_in_due - these are to be asked. Due for TCP whatever is known of the flow
 * when something begins or ends. */
static inline bool latch_out_due(const struct worker *w, const struct packet *p,
				 const struct flow_entry *e, uint16_t port)
{
	const bool is_tcp = latch_is_tcp(w, &e->id, port);

	if (!e->latch && ((is_tcp && !e->no_room) || rcu_deref(*w->listeners)))
		return true;
	return is_tcp && unlikely(latch_tcp_flags(p) & LATCH_TCP_FLAGS);
}
static inline bool latch_in_wanted(const struct worker *w, const struct flow_entry *e,
				   uint16_t port)
{
	return rcu_deref(*w->listeners) || latch_is_tcp(w, &e->id, port);
}
static inline bool latch_in_due(const struct worker *w, const struct packet *p,
				const struct flow_entry *e, uint16_t port)
{
	return latch_is_tcp(w, &e->id, port) && unlikely(latch_tcp_flags(p) & LATCH_TCP_FLAGS);
}
