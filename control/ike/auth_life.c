/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/auth_life.h"

#include "control/ike/reauth.h"
#include "control/ike/task.h"

/* AGAIN_NS - after an attempt that came to nothing. SOONEST_NS - a peer that wants it at once has
 * it no sooner after the last time. MARGIN_MAX_NS - what it is begun before the time that a peer
 * says, a tenth of that, is no longer. */
#define AGAIN_NS      (30 * NS_PER_S)
#define SOONEST_NS    (10 * NS_PER_S)
#define MARGIN_MAX_NS (60 * NS_PER_S)

static void arm(struct ike_sa *sa)
{
	const struct sa_auth_life *a = &sa->auth_life;
	const uint64_t at = a->due_ns < a->end_ns ? a->due_ns : a->end_ns;

	if (at != TIME_NEVER)
		timer_set(&sa->e->timers, &sa->auth_life.timer, at);
	else
		timer_cancel(&sa->e->timers, &sa->auth_life.timer);
}

/* It is the other side's turn alone: by EAP it alone can begin, it asks for the addresses that it
 * is lent, and who has no one name here could be another when we call. */
static bool is_theirs(const struct ike_sa *sa)
{
	const struct conf_side *remote = &sa->conn->remote;

	return !sa->auth_life.began &&
	       (remote->auth == CONF_AUTH_EAP || sa->conn->local.auth == CONF_AUTH_EAP ||
		sa->lent || !remote->id.type || remote->pattern);
}

static void close_sa(struct ike_sa *sa, uint64_t now_ns)
{
	sa->auth_life.due_ns = sa->auth_life.end_ns = TIME_NEVER;
	sa->reason = IKE_REASON_EXPIRED;
	if (task_need(sa, TASK_IKE_DELETE, 0) == ERR_NOMEM)
		sa_kill(sa, IKE_REASON_EXPIRED, "its time is over, and memory is short", now_ns);
	else
		step_task(sa, now_ns);
}

static void due(struct timer *t, uint64_t now_ns)
{
	struct ike_sa *sa = container_of(t, struct ike_sa, auth_life.timer);
	struct sa_auth_life *a = &sa->auth_life;
	enum err err = ERR_EXISTS;

	if (!sa_usable(sa))
		return;
	if (now_ns >= a->end_ns) {
		close_sa(sa, now_ns);
		return;
	}
	if (!is_theirs(sa))
		err = reauth_again(sa, now_ns);
	if (err && err != ERR_EXISTS)
		LOG(WARN, IKE, sa->conn->name, "[%u] its peer is not asked again who it is: %s",
		    sa->unique, err_text(err));
	a->due_ns = is_theirs(sa) ? TIME_NEVER : now_ns + AGAIN_NS;
	arm(sa);
}

void auth_life_init(struct ike_sa *sa)
{
	sa->auth_life.due_ns = sa->auth_life.end_ns = TIME_NEVER;
	timer_init(&sa->auth_life.timer, due);
}

void auth_life_fini(struct ike_sa *sa)
{
	timer_cancel(&sa->e->timers, &sa->auth_life.timer);
}

/* Who answered waits for the other side, which is to be first. */
void auth_life_start(struct ike_sa *sa, uint64_t now_ns)
{
	const struct conf_conn *conn = sa->conn;
	struct sa_auth_life *a = &sa->auth_life;
	uint64_t spread = conn->rand_ns < conn->reauth_ns / 2 ? conn->rand_ns : conn->reauth_ns / 2;

	a->began = sa->initiator;
	if (conn->reauth_ns) {
		const struct handshake_resume *r = &sa->hs->resume;

		spread = sa->initiator ? engine_spread(sa->e, spread) : 0;
		a->end_ns = now_ns + conn->reauth_ns + conn->over_ns;
		if (r->text.len && r->ticket.auth_until_ns < a->end_ns)
			a->end_ns = r->ticket.auth_until_ns; /* a ticket is no new proof */
		if (now_ns + conn->reauth_ns - spread < a->due_ns)
			a->due_ns = now_ns + conn->reauth_ns - spread;
	}
	arm(sa);
}

/* What this side says of it, or, if that is sooner, a server that knows the peer. */
void auth_life_offer(struct step *s)
{
	const struct ike_sa *sa = s->sa;
	const uint64_t reauth_ns = sa->conn->reauth_ns;
	uint64_t until_ns = sa->session_ns, seconds = 0;
	struct be32 data;

	if (reauth_ns && s->now_ns + reauth_ns < until_ns)
		until_ns = s->now_ns + reauth_ns;
	if (until_ns != TIME_NEVER && until_ns > s->now_ns)
		seconds = (until_ns - s->now_ns) / NS_PER_S;
	data = be32_make((uint32_t)(seconds < UINT32_MAX ? seconds : UINT32_MAX));
	if (seconds)
		wire_notify_build(&s->b, NOTIFY_AUTH_LIFETIME, bytes_of(&data, sizeof(data)));
}

void auth_life_take(struct ike_sa *sa, const struct ike_msg *m, uint64_t now_ns)
{
	struct sa_auth_life *a = &sa->auth_life;
	uint64_t left, margin;
	struct wire_notify n;

	if (!(sa->state < SA_ESTABLISHED ? sa->initiator : a->began) ||
	    !wire_notify_find(&n, m, NOTIFY_AUTH_LIFETIME))
		return;
	left = load_be32(n.data.p) * NS_PER_S;
	margin = left / 10 < MARGIN_MAX_NS ? left / 10 : MARGIN_MAX_NS;
	left -= margin + engine_spread(sa->e, margin);
	if (left < SOONEST_NS)
		left = SOONEST_NS;
	if (now_ns + left < a->due_ns)
		a->due_ns = now_ns + left;
	if (sa->state == SA_ESTABLISHED)
		arm(sa);
}

void auth_life_inherit(struct ike_sa *new, struct ike_sa *old)
{
	struct sa_auth_life *a = &new->auth_life;

	a->began = old->auth_life.began;
	a->due_ns = old->auth_life.due_ns;
	a->end_ns = old->auth_life.end_ns;
	auth_life_fini(old);
	arm(new);
}
