/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/task.h"

#include "base/alloc.h"
#include "control/child/child.h"
#include "control/ike/followup.h"

/* HELD_MAX_NS - what of ours the peer's key exchanges hold back waits no longer, however many it
 * begins one after the other: longer than a responder waits for the next of a negotiation. */
#define HELD_MAX_NS (30 * NS_PER_S)

struct task *task_new(enum task_kind kind, uint64_t child)
{
	struct task *t = mem_alloc(sizeof(*t));

	if (!t)
		return NULL;
	t->kind = kind;
	t->child = child;
	return t;
}

void task_free(struct task *t)
{
	if (!t)
		return;
	wish_put(t->wish);
	mem_free(t->data);
	mem_free(t);
}

void task_add(struct ike_sa *sa, struct task *t)
{
	list_push_back(&sa->tasks, &t->node);
}

void task_put_back(struct ike_sa *sa, struct task *t)
{
	list_push_front(&sa->tasks, &t->node);
}

struct task *task_find(const struct ike_sa *sa, enum task_kind kind, uint64_t child)
{
	struct task *under_way = sa->out.task;

	if (under_way && under_way->kind == kind && (!child || under_way->child == child))
		return under_way;
	list_for_each (n, &sa->tasks) {
		struct task *t = list_entry(n, struct task, node);

		if (t->kind == kind && (!child || t->child == child))
			return t;
	}
	return NULL;
}

enum err task_need(struct ike_sa *sa, enum task_kind kind, uint64_t child)
{
	struct task *t;

	if (task_find(sa, kind, child))
		return ERR_EXISTS;
	t = task_new(kind, child);
	if (!t)
		return ERR_NOMEM;
	task_add(sa, t);
	return ERR_OK;
}

/* The order in which waiting tasks are begun. */
static unsigned urgency(enum task_kind k)
{
	if (k == TASK_TELL || k == TASK_IKE_DELETE)
		return 0;
	if (k == TASK_MOBIKE_UPDATE || k == TASK_MOBIKE_CHECK || k == TASK_MIF)
		return 1;
	return k == TASK_CHILD_DELETE ? 2 : 3;
}

/* While a negotiation of the peer's waits for more key exchanges ours would only cross it. */
static bool waits_for_followup(enum task_kind k)
{
	return k == TASK_CHILD_NEW || k == TASK_CHILD_REKEY || k == TASK_CHILD_SIBLING ||
	       k == TASK_CHILD_DELETE || k == TASK_IKE_REKEY;
}

static bool is_held(const struct ike_sa *sa, const struct task *t)
{
	return sa->followup && waits_for_followup(t->kind);
}

/* Until when at most it waits for that: it counts over all of them, also on an IKE SA that took
 * this one's place. */
static uint64_t held_until(struct task *t, uint64_t now_ns)
{
	if (!t->held_ns)
		t->held_ns = now_ns;
	return t->held_ns + HELD_MAX_NS;
}

/* When a task may begin: until now_ns = now, TIME_NEVER = when something else has ended. */
static uint64_t begins_at(const struct ike_sa *sa, struct task *t, uint64_t now_ns)
{
	const uint64_t confirmed = sa->state >= SA_ESTABLISHED ? sa_unconfirmed_until(sa) : 0;
	const struct ike_child *c;
	uint64_t held;

	if (confirmed > now_ns)
		return confirmed;
	if (t->not_before_ns > now_ns)
		return t->not_before_ns;
	if (t->kind == TASK_IKE_REKEY &&
	    sa->in.busy) /* a Child SA of the peer's is being decided */
		return TIME_NEVER;
	held = is_held(sa, t) ? held_until(t, now_ns) : 0;
	if (held > now_ns)
		return held;
	if (t->kind == TASK_MIF && sa->mobike.pending) /* path 1 is being moved */
		return TIME_NEVER;
	if (t->kind != TASK_CHILD_REKEY && t->kind != TASK_CHILD_SIBLING)
		return 0;
	c = child_find(sa->e, t->child);
	return c ? child_unconfirmed_until(c) : 0;
}

struct task *task_next(struct ike_sa *sa, uint64_t now_ns)
{
	struct task *best = NULL;
	uint64_t wake = TIME_NEVER;

	list_for_each (n, &sa->tasks) {
		struct task *t = list_entry(n, struct task, node);
		uint64_t at = begins_at(sa, t, now_ns);

		if (at > now_ns)
			wake = at < wake ? at : wake;
		else if (!best || urgency(t->kind) < urgency(best->kind))
			best = t;
	}
	if (wake != TIME_NEVER)
		timer_set(&sa->e->timers, &sa->task_timer, wake);
	if (!best)
		return NULL;
	list_remove(&best->node);
	if (is_held(sa, best)) /* the peer may begin again, and cross ours */
		followup_drop(sa);
	return best;
}

void task_drop(struct ike_sa *sa, struct task *t)
{
	LOG(DEBUG, IKE, sa->conn ? sa->conn->name : NULL, "[%u] task %d has no place in state %s",
	    sa->unique, (int)t->kind, sa_state_name(sa->state));
	task_free(t);
}

void tasks_fail(struct ike_sa *sa, enum ike_reason reason, const char *text)
{
	struct list_node *n;

	while ((n = list_pop_front(&sa->tasks))) {
		struct task *t = list_entry(n, struct task, node);

		if (t->request && t->request != sa->request)
			action_event_named(sa, IKE_EVENT_FAILED,
					   t->child_conf ? t->child_conf->name : NULL,
					   wish_narrow(t->wish), reason, t->request, text);
		task_free(t);
	}
}

void tasks_move(struct ike_sa *from, struct ike_sa *to)
{
	list_for_each_safe (n, &from->tasks) {
		struct task *t = list_entry(n, struct task, node);

		list_remove(n);
		if (t->kind == TASK_IKE_REKEY || t->kind == TASK_LIVENESS)
			task_free(t);
		else
			task_add(to, t);
	}
	if (!task_find(to, TASK_IKE_DELETE, 0))
		return;
	to->reason = from->reason;
	to->request = from->request;
	mem_free(to->end_text);
	to->end_text = from->end_text;
	from->end_text = NULL;
}

static void wake(struct timer *t, uint64_t now_ns)
{
	step_task(container_of(t, struct ike_sa, task_timer), now_ns);
}

void tasks_init(struct ike_sa *sa)
{
	list_init(&sa->tasks);
	timer_init(&sa->task_timer, wake);
}
