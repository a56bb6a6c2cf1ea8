/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.h - names to addresses, in threads of their own because a name server may take its time.
 * Control thread. The threads hold nothing of the engine: a resolver that is closed waits for
 * nobody.
 */
#pragma once

#include "base/addr.h"

struct resolver;

/* resolver_open - max_waiting: names that may wait at a time. Errors: NOMEM, SYS. resolver_close -
 * what is under way finds nobody. NULL is accepted. */
MUST_USE enum err resolver_open(struct resolver **out, uint32_t max_waiting) NONNULL(1);
void resolver_close(struct resolver *r);

/* resolver_fd - readable when there is an answer. */
int resolver_fd(const struct resolver *r) NONNULL(1);

/* resolver_begin - look `name` up; id comes back with the answer. At most 4 names are looked up at
 * the same time, the others wait their turn. Errors: NOMEM, SYS, LIMIT. */
MUST_USE enum err resolver_begin(struct resolver *r, uint64_t id, const char *name) NONNULL(1, 3);

/* resolver_sift - those that wait and that nobody wants any more are not looked up. */
void resolver_sift(struct resolver *r, bool (*wanted)(void *ctx, uint64_t id), void *ctx)
	NONNULL(1, 2);

/* struct resolver_answer - family IP_NONE: there is no such name, or nobody who could tell. */
struct resolver_answer {
	uint64_t id;
	struct ip_addr addr;
};

/* resolver_next - take an answer; false if there is none. */
bool resolver_next(struct resolver *r, struct resolver_answer *out) NONNULL(1, 2);
