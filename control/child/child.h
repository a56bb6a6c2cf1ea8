/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - a Child SA: a pair of ESP SAs in the data path and its life from installation to the
 * end of its inbound half (RFC 7296 1.3, 2.8). Control thread.
 */
#pragma once

#include "control/child/wish.h"
#include "control/ike/sa.h"

/* enum child_state - where a pair stands. */
enum child_state {
	CHILD_INSTALLED,
	CHILD_DELETING,  /* our delete is queued or under way */
	CHILD_LINGERING, /* closed; only the inbound half is there, for packets in flight */
};

/* struct ike_child - a pair. */
struct ike_child {
	struct list_node node; /* of its IKE SA */
	struct htab_node by_id, by_spi_out;
	struct ike_sa *sa;
	uint64_t id;
	uint32_t unique;
	struct conf *conf_ref;
	const struct conf_child *conf;
	struct ike_peer *peer;
	enum child_state state;
	enum sa_mode mode;
	bool ipcomp; /* payload compression, with these CPIs */
	uint16_t cpi_in, cpi_out;
	uint32_t worker;                /* that it is for, and 1 more; 0 = all */
	uint16_t path;                  /* that it is tied to; 0 = it goes as all do */
	uint16_t path_next, path_saved; /* while operations are looked at (mif_plan.c) */
	bool in, out;                   /* halves that the data path has */
	bool active;                    /* we send on it */
	bool redundant;                 /* lost a collision, or was refused: its end is no news */
	bool confirmed; /* the peer is known to have it: it was used, or another request came */
	bool siblings;  /* it is one of several (sibling.h) */
	bool no_more;   /* shared: the peer has refused a sibling of it */
	bool spi_kept;  /* the data path never took the inbound SPI: it is given back at the end */
	uint8_t cells;  /* actions promised and not used */
	uint32_t spi_in, spi_out;
	struct sa_chosen chosen;
	char proposal[SA_TEXT_MAX];
	struct ts *ts; /* local ones, then remote ones */
	uint32_t num_local, num_remote;
	struct ip_addr seen_local, seen_remote; /* transport mode: as in struct child_work */
	uint64_t replaces, replaced_by;
	struct child_wish *wish; /* what it was made for, if that was something in particular */
	uint64_t asked; /* request that it was made for, or the first of its like; 0 = none */
	enum ike_reason reason; /* of its end, once it is decided here */
	uint64_t request;       /* of who asked for its end */
	uint64_t installed_ns, rekey_ns, expire_ns;
	uint64_t used_ns; /* as last asked: a packet, or its beginning */
	struct timer rekey_timer, end_timer, idle_timer;
};

/* child_find - by engine-wide id, or NULL; also those that linger. */
struct ike_child *child_find(const struct ike_engine *e, uint64_t id) NONNULL(1);

/* child_by_spi_out - the pair of an IKE SA that sends with this SPI and is not closed, or NULL. */
struct ike_child *child_by_spi_out(const struct ike_sa *sa, uint32_t spi) NONNULL(1);

/* child_sending, child_sending_next - those of all IKE SAs that send with this SPI, those that
 * linger too; NULL: there is no other one. */
struct ike_child *child_sending(const struct ike_engine *e, uint32_t spi) NONNULL(1);
struct ike_child *child_sending_next(const struct ike_child *c) NONNULL(1);

/* child_by_name - the pair of this configuration that meets the wish, no worker's own, that is in
 * use on an IKE SA, or NULL. */
struct ike_child *child_by_name(const struct ike_sa *sa, const struct conf_child *conf,
				const struct child_wish *wish) NONNULL(1, 2);

/* CHILDREN_REPLACED_MAX - pairs of an IKE SA that the peer may have replaced without closing them.
 */
#define CHILDREN_REPLACED_MAX 32

/* CHILDREN_LINGER_MAX - pairs of an IKE SA that were replaced and closed and still receive: the one
 * that does so for the longest time ends for another one. */
#define CHILDREN_LINGER_MAX 128

/* child_start - it is installed: list, timers, event. */
void child_start(struct ike_child *c, bool active, uint64_t now_ns) NONNULL(1);

/* children_confirm - the peer goes on with another request: it has our last response, so it has
 * what we installed then. */
void children_confirm(struct ike_sa *sa) NONNULL(1);

/* child_unconfirmed_until - it was made by the peer's exchange, and the peer may not have our
 * response yet: a re-key by us waits until then. 0 = no need to wait. */
uint64_t child_unconfirmed_until(const struct ike_child *c) NONNULL(1);

/* child_activate - send on it from now on. */
void child_activate(struct ike_child *c) NONNULL(1);

/* child_delete - close it: queues the delete exchange. Errors: NOMEM. */
MUST_USE enum err child_delete(struct ike_child *c, enum ike_reason reason, uint64_t request)
	NONNULL(1);

/* child_is_wish - what is closed for this reason was not wanted here any more, by somebody or by
 * the configuration: nothing is to be in its place. */
bool child_is_wish(enum ike_reason reason);

/* child_closed - both sides have closed it. If it was replaced its inbound half lingers, and
 * whatever replaced it is sent on; otherwise it is gone, and the event tells reason. */
void child_closed(struct ike_child *c, enum ike_reason reason, uint64_t now_ns) NONNULL(1);

/* child_remove - take it out of the data path and free it. */
void child_remove(struct ike_child *c) NONNULL(1);

/* children_remove_all - with their IKE SA. */
void children_remove_all(struct ike_sa *sa, enum ike_reason reason) NONNULL(1);

/* children_move - they belong to another IKE SA from now on (2.8). */
void children_move(struct ike_sa *from, struct ike_sa *to) NONNULL(1, 2);
