/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - listener latches (RFC 5660 2.3): who may begin flows with a local address, protocol
 * and port. Each flow of one that is let in is latched by itself. Control replaces the whole set;
 * workers read it by RCU.
 */
#pragma once

#include "base/rcu.h"
#include "dataplane/flow.h"
#include "dataplane/sa.h"

/* struct listener - immutable. */
struct listener {
	struct flow_id id; /* of the local side: the address may be zeros, any */
	uint32_t number;   /* for events; never 0 */
	uint32_t methods;  /* 1 << enum auth_method of those that are let in */
	uint8_t quality;   /* CLASS_Q_* that is demanded */
	bool named;        /* the classes in tokens alone are let in */
	uint32_t num_tokens;
	uint32_t first_token; /* in the set's tokens */
};

/* struct listeners - sorted by id. */
struct listeners {
	struct rcu_head rcu;
	uint32_t num, num_tokens;
	uint32_t *tokens; /* behind list */
	struct listener list[];
};

/* listener_id - of the local side of a flow; any: of the wildcard address. */
struct flow_id listener_id(const struct flow_id *id, bool any) NONNULL(1);

/* listeners_new - a set without members of so many; the caller fills list and tokens, then calls
 * listeners_sort(). NULL on shortage. listeners_retire - NULL is accepted. */
MALLOC_LIKE struct listeners *listeners_new(uint32_t num, uint32_t num_tokens);
void listeners_sort(struct listeners *s) NONNULL(1);
void listeners_retire(struct listeners *s, struct rcu_queue *q) NONNULL(2);

/* listeners_find - the one for a flow: that with its local address before that with any; NULL: none
 * is. Any worker. */
const struct listener *listeners_find(const struct listeners *s, const struct flow_id *id)
	NONNULL(2);

/* listener_allows - what came by such an SA, or is to leave by it, may be of a flow of l. */
bool listener_allows(const struct listeners *s, const struct listener *l, const struct sa_conf *c)
	NONNULL(1, 2, 3);
