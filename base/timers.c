/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timers.h"

#include <assert.h>

/*
 * A timer lies on the level of the highest group of SLOT_BITS in which its due tick differs from
 * the wheel's: so every occupied slot of a level is ahead of the wheel's own place there, nothing
 * wraps, and the first occupied slot of the lowest occupied level comes first. What differs above
 * the top level waits on the list `far`; what is due when it is set waits on `overdue`.
 */
#define SLOT_BITS  6
#define WHEEL_BITS (SLOT_BITS * TIMERS_LEVELS)
/* No timer is due here, not even with ticks of a nanosecond: TIME_NEVER cannot be set. */
#define NO_TICK UINT64_MAX
static_assert(1 << SLOT_BITS == TIMERS_SLOTS, "one bit of occupied[] a slot");

static uint64_t due_tick(const struct timers *w, const struct timer *t)
{
	return t->at_ns / w->tick_ns + (t->at_ns % w->tick_ns != 0);
}

static unsigned int slot_at(uint64_t tick, unsigned int level)
{
	return (unsigned int)(tick >> (SLOT_BITS * level)) & (TIMERS_SLOTS - 1);
}

static struct timer *timer_of(struct list_node *n)
{
	return list_entry(n, struct timer, node);
}

void timers_init(struct timers *w, uint64_t tick_ns, uint64_t now_ns)
{
	assert(tick_ns > 0);
	*w = (struct timers){.tick_ns = tick_ns, .now_tick = now_ns / tick_ns};
	w->far_tick = NO_TICK;
	list_init(&w->far);
	list_init(&w->overdue);
	for (unsigned int level = 0; level < TIMERS_LEVELS; level++) {
		for (unsigned int i = 0; i < TIMERS_SLOTS; i++)
			list_init(&w->slots[level][i]);
	}
}

void timer_init(struct timer *t, void (*fire)(struct timer *t, uint64_t now_ns))
{
	*t = (struct timer){.at_ns = TIME_NEVER, .fire = fire};
}

bool timer_is_set(const struct timer *t)
{
	return list_linked(&t->node);
}

static void place(struct timers *w, struct timer *t)
{
	uint64_t due = due_tick(w, t);
	unsigned int level, i;

	if (due <= w->now_tick) {
		list_push_back(&w->overdue, &t->node);
		return;
	}
	if ((due ^ w->now_tick) >> WHEEL_BITS) {
		if (due < w->far_tick)
			w->far_tick = due;
		list_push_back(&w->far, &t->node);
		return;
	}
	level = (unsigned int)(63 - __builtin_clzll(due ^ w->now_tick)) / SLOT_BITS;
	i = slot_at(due, level);
	w->occupied[level] |= 1ull << i;
	list_push_back(&w->slots[level][i], &t->node);
}

/* Take t off its list; if that was a slot and is empty now, its bit goes too. */
static void unlink_timer(struct timers *w, struct timer *t)
{
	struct list_node *next = t->node.next;
	uintptr_t off;

	list_remove(&t->node);
	if (!list_empty(next))
		return;
	off = (uintptr_t)next - (uintptr_t)w->slots;
	if ((uintptr_t)next >= (uintptr_t)w->slots && off < sizeof(w->slots)) {
		size_t n = off / sizeof(w->slots[0][0]);

		w->occupied[n / TIMERS_SLOTS] &= ~(1ull << (n % TIMERS_SLOTS));
	}
}

void timer_set(struct timers *w, struct timer *t, uint64_t at_ns)
{
	timer_cancel(w, t);
	if (at_ns == TIME_NEVER)
		return;
	t->at_ns = at_ns;
	w->num_set++;
	place(w, t);
}

void timer_cancel(struct timers *w, struct timer *t)
{
	if (!timer_is_set(t))
		return;
	unlink_timer(w, t);
	t->at_ns = TIME_NEVER;
	w->num_set--;
}

/* The tick at which the wheel must next be looked at: a timer's own tick on level 0 and for overdue
 * ones, the beginning of a slot's span above, of a turn of the wheel for far ones. */
static uint64_t next_tick(const struct timers *w)
{
	if (!list_empty(&w->overdue))
		return w->now_tick;
	for (unsigned int level = 0; level < TIMERS_LEVELS; level++) {
		unsigned int shift = SLOT_BITS * level;

		if (w->occupied[level]) {
			uint64_t i = (uint64_t)__builtin_ctzll(w->occupied[level]);
			uint64_t turn = w->now_tick >> shift >> SLOT_BITS << SLOT_BITS;

			return (turn | i) << shift;
		}
	}
	return list_empty(&w->far) ? NO_TICK : w->far_tick >> WHEEL_BITS << WHEEL_BITS;
}

uint64_t timers_next(const struct timers *w)
{
	uint64_t tick = next_tick(w);
	uint64_t ns;

	if (w->num_set == 0)
		return TIME_NEVER;
	/* The last tick of all may end after the end of time. */
	if (__builtin_mul_overflow(tick, w->tick_ns, &ns) || ns == TIME_NEVER)
		return TIME_NEVER - 1;
	return ns;
}

static void move_all(struct list_node *from, struct list_node *to)
{
	struct list_node *n;

	while ((n = list_pop_front(from)) != NULL)
		list_push_back(to, n);
}

/* Sort a list of later timers in again, now that they are nearer. */
static void place_again(struct timers *w, struct list_node *slot)
{
	struct list_node later;
	struct list_node *n;

	list_init(&later);
	move_all(slot, &later);
	while ((n = list_pop_front(&later)) != NULL)
		place(w, timer_of(n));
}

/* The wheel stands at a tick where something is: bring it down level by level; what is due now ends
 * on the overdue list. */
static void cascade(struct timers *w)
{
	if (w->far_tick >> WHEEL_BITS <= w->now_tick >> WHEEL_BITS) {
		w->far_tick = NO_TICK;
		place_again(w, &w->far);
	}
	for (unsigned int level = TIMERS_LEVELS; level-- > 0;) {
		unsigned int i = slot_at(w->now_tick, level);

		if (w->occupied[level] & 1ull << i) {
			w->occupied[level] &= ~(1ull << i);
			place_again(w, &w->slots[level][i]);
		}
	}
}

size_t timers_run(struct timers *w, uint64_t now_ns)
{
	uint64_t target = now_ns / w->tick_ns;
	struct list_node due;
	struct list_node *n;
	size_t num = 0;

	/* First gather, then fire: what fire() sets for the past waits for the next run, and what
	 * it cancels is taken off the list of the due. */
	list_init(&due);
	move_all(&w->overdue, &due);
	for (uint64_t tick; (tick = next_tick(w)) <= target && tick != NO_TICK;) {
		w->now_tick = tick;
		cascade(w);
		move_all(&w->overdue, &due);
	}
	if (target > w->now_tick)
		w->now_tick = target;
	while ((n = list_pop_front(&due)) != NULL) {
		struct timer *t = timer_of(n);

		t->at_ns = TIME_NEVER;
		w->num_set--;
		num++;
		t->fire(t, now_ns);
	}
	return num;
}
