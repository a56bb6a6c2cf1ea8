/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline.h - inline crypto (rte_security): keys at the ports that encrypt and decrypt, and what
 * they are told of a packet. A key has a session at each port that took it; whether one is there,
 * and for the packet's path, is asked as the packet leaves.
 *
 * inline.c has the keys, of sessions (inline_session.c) and rules (inline_rule.c): control;
 * inline_burst.c uses them: worker.
 */
#pragma once

#include "dataplane/crypto/inline.h"
#include "drivers/dpdk/module.h"

struct dpdk_port;
struct rte_flow;
struct rte_mbuf;
struct rte_mempool;

/* struct inline_session - at one port. rule: what brings it packets; NULL for those we send. */
struct inline_session {
	void *session; /* NULL: that port did not take the key */
	struct rte_flow *rule;
	bool metadata; /* each packet is to be marked by the port's own function */
};

/* struct inline_key - constant, but for what links those that are freed. */
struct inline_key {
	struct path_addr path; /* that it is for */
	struct inline_session at[DPDK_INLINE_PORTS_MAX];
	struct inline_key *next;
	uint64_t freed; /* of DPDK's timer */
};

/* inline_session_new - of the port with this context, for an SA; pool: for what it keeps of it.
 * Errors: UNSUPPORTED (it does none such), NOMEM, CRYPTO (refused). */
MUST_USE enum err inline_session_new(struct inline_session *out, void *context,
				     struct rte_mempool *pool, const struct inline_use *use)
	NONNULL(1, 2, 3, 4);

/* inline_rule_new - packets of the SA that come by the port are decrypted. Where they go then is as
 * with all others. NULL: it is refused. */
struct rte_flow *inline_rule_new(uint16_t port, void *session, const struct inline_use *use)
	NONNULL(2, 3);

/* inline_usable - the port with this context does for some SAs what we want of it. */
bool inline_usable(void *context) NONNULL(1);

/* inline_open - see struct dpdk_module. */
MUST_USE enum err inline_open(struct inline_ports **out, struct driver *const *frames, uint32_t num,
			      uint32_t num_sessions, char text[static DPDK_TEXT_MAX]) NONNULL(1, 2);

/* inline_takes - of a queue of a port with inline crypto; see struct driver_ops. */
bool inline_takes(const struct driver *d, const struct packet *p) NONNULL(1, 2);

/* inline_mbuf - an open packet as the port is given it. NULL: the port has no key for it, cannot be
 * told, or there is no mbuf; p is given up. */
struct rte_mbuf *inline_mbuf(struct packet *p, const struct dpdk_port *port) NONNULL(1, 2);

/* inline_flags - what the port found of a packet that came. */
uint16_t inline_flags(const struct rte_mbuf *m) NONNULL(1);
