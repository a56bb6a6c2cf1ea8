/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.h - a hierarchical timer wheel: set, cancel and fire cost O(1); nothing ticks when nothing
 * is due (timers_next() says how long one may sleep). Used by each worker and by the keying engine.
 * One owner thread per wheel.
 */
#pragma once

#include "base/clock.h"
#include "base/list.h"

/* struct timer - embedded in its object. fire() is called once, unset, and may set it again or free
 * the object. */
struct timer {
	struct list_node node;
	uint64_t at_ns; /* due time; TIME_NEVER while not set */
	void (*fire)(struct timer *t, uint64_t now_ns);
};

#define TIMERS_LEVELS 6
#define TIMERS_SLOTS  64

/* struct timers - a wheel of TIMERS_LEVELS x TIMERS_SLOTS lists with ticks of tick_ns. Never copied
 * or moved while in use. */
struct timers {
	uint64_t tick_ns;
	uint64_t now_tick;
	size_t num_set;
	uint64_t occupied[TIMERS_LEVELS]; /* one bit a slot */
	struct list_node slots[TIMERS_LEVELS][TIMERS_SLOTS];
	struct list_node overdue; /* due when they were set: fire at the next run */
	struct list_node far;     /* beyond the top level */
	uint64_t far_tick;        /* no timer in `far` is due before */
};

/* timers_init - an empty wheel at now_ns; a timer fires at most one tick_ns late, never early. */
void timers_init(struct timers *w, uint64_t tick_ns, uint64_t now_ns) NONNULL(1);

/* timer_init - a timer that is not set. */
void timer_init(struct timer *t, void (*fire)(struct timer *t, uint64_t now_ns)) NONNULL(1, 2);

/* timer_set - (re)arm for at_ns; a time in the past fires at the next run (from fire(): not in this
 * one). TIME_NEVER disarms. */
void timer_set(struct timers *w, struct timer *t, uint64_t at_ns) NONNULL(1, 2);

/* timer_cancel - disarm; one that is not set is accepted. */
void timer_cancel(struct timers *w, struct timer *t) NONNULL(1, 2);

/* timer_is_set - armed and not yet fired. */
bool timer_is_set(const struct timer *t) NONNULL(1);

/* timers_next - the time before which nothing fires (exact or early); TIME_NEVER if none is set. */
uint64_t timers_next(const struct timers *w) NONNULL(1);

/* timers_run - fire all that are due at now_ns, in order of tick; returns how many fired. A jump of
 * any size costs O(levels x slots), not O(ticks). */
size_t timers_run(struct timers *w, uint64_t now_ns) NONNULL(1);
