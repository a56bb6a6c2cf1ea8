/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer.h - packets that go by a path of their own: rules of a path set, by the flow and by the
 * DSCP of the inner header, of which the first that matches names the path. Where that is not
 * usable the schedule decides as of any other packet. Thread: the worker, unless said otherwise.
 */
#pragma once

#include "base/rcu.h"
#include "dataplane/dataplane.h"
#include "dataplane/flow.h"

/* STEER_SHIFT - packet->flow of what is steered: the path's id, over 16 bits of the flow's hash. */
#define STEER_SHIFT 16

/* struct steer - the rules of a set; immutable. */
struct steer {
	uint32_t num;
	struct rcu_head rcu;
	struct path_rule rule[];
};

/* steer_valid - the rules are such as steer_new() takes. steer_new - num rules, 1 at least; a side
 * that is left open takes any address; NULL on shortage. steer_retire - free it when no worker
 * reads it any more; NULL is accepted. Control. */
bool steer_valid(const struct path_rule *rules, uint32_t num);
MALLOC_LIKE struct steer *steer_new(const struct path_rule *rules, uint32_t num) NONNULL(1);
void steer_retire(struct steer *s, struct rcu_queue *q) NONNULL(2);

/* steer_names - a rule names this path. Control. */
bool steer_names(const struct steer *s, uint16_t id);

/* steer_find - the path that p, of this flow, is to go by; 0: of none. */
uint16_t steer_find(const struct steer *s, const struct flow_id *id, const struct packet *p)
	NONNULL(1, 2, 3);
