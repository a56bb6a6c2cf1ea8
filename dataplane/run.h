/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - a run: successive packets of one SA. Its hot bytes are copied once, its counters are
 * written once, and its lifetime is looked at once, at the end. Thread: the worker that owns the
 * SA.
 */
#pragma once

#include "dataplane/passes.h"
#include "dataplane/sa.h"

/* struct sa_run - whose packets these are, and how many of them and of their bytes there may be
 * within the hard lifetime. A pass counts both in variables of its own, which stay in registers. */
struct sa_run {
	struct esp_sa *sa; /* NULL = no run yet */
	const struct sa_conf *conf;
	uint64_t max_packets, max_bytes;
};

/* run_over - one more packet would go beyond the hard lifetime. */
static inline bool run_over(const struct sa_run *r, uint64_t packets, uint64_t bytes)
{
	return packets >= r->max_packets || bytes >= r->max_bytes;
}

/* run_begin - packets of `sa` follow. run_end - count them, report lifetimes; a run that never
 * began is accepted. */
void run_begin(struct sa_run *r, struct esp_sa *sa) NONNULL(1, 2);
void run_end(struct worker *w, const struct sa_run *r, uint64_t packets, uint64_t bytes)
	NONNULL(1, 2);

/* run_report - tell the control thread something about the SA once: flag is SA_F_USED, _SOFT or
 * _HARD. Without a free record it is tried again later. */
void run_report(struct worker *w, struct esp_sa *sa, uint8_t flag) NONNULL(1, 2);
