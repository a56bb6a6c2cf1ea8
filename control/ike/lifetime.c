/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/lifetime.h"

#include <stdio.h>

#include "control/child/child.h"
#include "control/ike/mobike.h"
#include "control/ike/step.h"
#include "control/ike/task.h"

/* KEEPALIVE_NS - RFC 3948 4: default interval of NAT keepalives. */
#define KEEPALIVE_NS (20 * NS_PER_S)

/* Whoever knows the peer said so long, and nothing of longer; or it lost against another IKE SA,
 * and the peer does not close it. */
static void end_by_delete(struct ike_sa *sa, uint64_t now_ns)
{
	if (task_need(sa, TASK_IKE_DELETE, 0) == ERR_NOMEM) {
		timer_set(&sa->e->timers, &sa->state_timer, now_ns + NS_PER_S);
		return;
	}
	if (!sa->quiet)
		sa_say_end(sa, IKE_REASON_EXPIRED,
			   "the time is over that the server which knows the peer gave it "
			   "(Session-Timeout)");
	step_task(sa, now_ns);
}

/* The bound of a handshake state, or the hard end of an established SA. */
static void state_over(struct timer *t, uint64_t now_ns)
{
	struct ike_sa *sa = container_of(t, struct ike_sa, state_timer);

	if (sa->state == SA_ESTABLISHED && (now_ns >= sa->session_ns || sa->quiet))
		end_by_delete(sa, now_ns);
	else if (sa->state == SA_ESTABLISHED)
		sa_kill(sa, IKE_REASON_EXPIRED,
			"its lifetime is over and no re-key succeeded in time", now_ns);
	else if (sa->state > SA_ESTABLISHED)
		sa_end(sa, now_ns);
	else
		sa_kill(sa, IKE_REASON_NO_ANSWER,
			"the peer began a connection and did not go on with it", now_ns);
}

static void rekey_due(struct timer *t, uint64_t now_ns)
{
	struct ike_sa *sa = container_of(t, struct ike_sa, rekey_timer);
	enum err e = task_need(sa, TASK_IKE_REKEY, 0);

	if (e == ERR_NOMEM)
		timer_set(&sa->e->timers, t, now_ns + NS_PER_S);
	step_task(sa, now_ns);
}

/* When the peer was last heard: by IKE or by ESP. */
static uint64_t last_heard(const struct ike_sa *sa)
{
	const struct ike_env *env = &sa->e->env;
	uint64_t last = sa->seen_ns;

	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);
		struct child_stats st;

		if (c->in && env->child_stats && !env->child_stats(env->ctx, &st, c->id) &&
		    st.in_last_ns > last)
			last = st.in_last_ns;
	}
	return last;
}

static void dpd_due(struct timer *t, uint64_t now_ns)
{
	struct ike_sa *sa = container_of(t, struct ike_sa, dpd_timer);
	uint64_t delay = sa->conn->dpd_delay_ns;
	uint64_t quiet = now_ns - last_heard(sa);

	if (quiet > now_ns) /* heard after this run began */
		quiet = 0;
	if (quiet >= delay) {
		if (!sa->out.waiting && task_need(sa, mobike_question(sa), 0) != ERR_NOMEM)
			step_task(sa, now_ns);
		quiet = 0;
	}
	if (sa->state == SA_ESTABLISHED)
		timer_set(&sa->e->timers, t, now_ns + delay - quiet);
}

/* When something was last sent on the path: by IKE or by ESP. */
static uint64_t last_sent(const struct ike_sa *sa)
{
	const struct ike_env *env = &sa->e->env;
	uint64_t last = sa->sent_ns;

	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);
		struct child_stats st;

		if (c->out && env->child_stats && !env->child_stats(env->ctx, &st, c->id) &&
		    st.out_last_ns > last)
			last = st.out_last_ns;
	}
	return last;
}

static void keepalive_due(struct timer *t, uint64_t now_ns)
{
	struct ike_sa *sa = container_of(t, struct ike_sa, keepalive_timer);
	uint64_t due = last_sent(sa) + KEEPALIVE_NS;

	if (due <= now_ns) {
		action_keepalive(sa->e, &sa->path, sa->port);
		sa->sent_ns = now_ns;
		due = now_ns + KEEPALIVE_NS;
	}
	timer_set(&sa->e->timers, t, due);
}

void lifetime_init(struct ike_sa *sa)
{
	timer_init(&sa->state_timer, state_over);
	timer_init(&sa->rekey_timer, rekey_due);
	timer_init(&sa->dpd_timer, dpd_due);
	timer_init(&sa->keepalive_timer, keepalive_due);
	sa->rekey_ns = sa->expire_ns = sa->session_ns = TIME_NEVER;
}

void lifetime_fini(struct ike_sa *sa)
{
	struct timers *w = &sa->e->timers;

	timer_cancel(w, &sa->state_timer);
	timer_cancel(w, &sa->rekey_timer);
	timer_cancel(w, &sa->dpd_timer);
	timer_cancel(w, &sa->keepalive_timer);
}

void lifetime_start(struct ike_sa *sa, uint64_t now_ns)
{
	const struct conf_conn *conn = sa->conn;
	struct timers *w = &sa->e->timers;
	uint64_t spread = engine_spread(sa->e, conn->rand_ns);

	if (conn->rekey_ns) {
		if (spread >= conn->rekey_ns)
			spread = conn->rekey_ns / 2;
		sa->rekey_ns = now_ns + conn->rekey_ns - spread;
		timer_set(w, &sa->rekey_timer, sa->rekey_ns);
		if (conn->over_ns) {
			sa->expire_ns = now_ns + conn->rekey_ns + conn->over_ns;
			timer_set(w, &sa->state_timer, sa->expire_ns);
		}
	}
	if (sa->session_ns < sa->expire_ns)
		timer_set(w, &sa->state_timer, sa->session_ns);
	if (conn->dpd_delay_ns)
		timer_set(w, &sa->dpd_timer, now_ns + conn->dpd_delay_ns);
	lifetime_nat(sa, now_ns);
}

void lifetime_nat(struct ike_sa *sa, uint64_t now_ns)
{
	struct timers *w = &sa->e->timers;

	if (!sa->nat_local)
		timer_cancel(w, &sa->keepalive_timer);
	else if (!timer_is_set(&sa->keepalive_timer))
		timer_set(w, &sa->keepalive_timer, now_ns + KEEPALIVE_NS);
}

void lifetime_replaced(struct ike_sa *sa)
{
	struct timers *w = &sa->e->timers;

	timer_cancel(w, &sa->rekey_timer);
	timer_cancel(w, &sa->dpd_timer);
	timer_cancel(w, &sa->keepalive_timer);
	sa->rekey_ns = TIME_NEVER;
}
