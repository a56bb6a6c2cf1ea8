/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rekey.c - CREATE_CHILD_SA in place of a Child SA (RFC 7296 1.3.3, 2.8). No packet is lost: the
 * responder receives on both and sends on the old pair until the new one is used; the initiator
 * sends on the new one at once and then closes the old one, whose inbound half lingers.
 */
#include "control/child/accept.h"
#include "control/child/create.h"
#include "control/child/traffic.h"
#include "control/child/work.h"
#include "control/ike/handlers.h"

static bool can_be_rekeyed(const struct ike_child *c)
{
	return c && c->state == CHILD_INSTALLED && !c->replaced_by && !c->redundant;
}

/* ---- initiator ------------------------------------------------------------------------------- */

enum err child_rekey_start(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct task *t = sa->out.task;
	struct ike_child *old = child_find(s->e, t->child);
	struct child_work *w;
	enum err e;

	if (!can_be_rekeyed(old))
		return ERR_OK;
	e = child_work_rekey(sa, &w, true, old);
	if (e)
		return e;
	s->x->child = w;
	w->request = t->request;
	e = traffic_offer(s, w, NULL);
	if (e)
		return e;
	step_request(s, CREATE_CHILD_SA);
	wire_notify_spi_build(&s->b, NOTIFY_REKEY_SA, old->spi_in);
	return child_offer(s, w, t->group);
}

/* lost_collision - both sides re-keyed the same pair, and ours has the lowest nonce: it gives way
 * to the peer's (2.8.1), and is closed by us if it is made. That holds if the peer's is closed
 * already: the peer counts on it. */
static bool lost_collision(const struct child_work *w)
{
	return (w->rival || w->rival_waits) && nonce_loses(&w->ni, &w->nr, &w->rival_nonce);
}

/* gives_up - what lost goes no further, so that nothing is made that is to be closed again
 * (RFC 9370 2.2.4). If ours goes on, the peer's does not. */
static bool gives_up(struct step *s, const struct child_work *w)
{
	if (!w->rival && !w->rival_waits)
		return false;
	if (lost_collision(w))
		return true;
	if (followup_of_child(s->sa, w->replaces))
		followup_drop(s->sa);
	return false;
}

enum err child_rekey_response(struct step *s)
{
	struct child_work *w = s->x->child;
	enum err e = child_take(s, w);

	if (e && s->fail.only_child && child_is_made(w) && !child_prepare(s, w))
		child_close_unused(s, w, s->fail.reason);
	if (e)
		return e;
	if (!child_is_made(w) && gives_up(s, w)) {
		s->later = true; /* unless the peer's own comes to its end */
		return ERR_OK;
	}
	return child_take_on(s, w);
}

/* The old pair and, after a collision, the peer's new one give way to ours. */
static void replace(struct step *s, struct child_work *w, struct ike_child *new)
{
	struct ike_child *old = child_find(s->e, w->replaces);
	struct ike_child *rival = w->rival ? child_find(s->e, w->rival) : NULL;

	if (rival) { /* the peer closes it */
		rival->redundant = true;
		timer_cancel(&s->e->timers, &rival->rekey_timer);
	}
	if (!old)
		return;
	old->replaced_by = new->id;
	if (child_delete(old, IKE_REASON_REPLACED, 0))
		LOG(WARN, CHD, old->conf->name, "out of memory: the old pair ends by its lifetime");
}

enum err child_rekey_allowed_i(struct step *s)
{
	struct child_work *w = s->x->child;
	struct ike_child *old = child_find(s->e, w->replaces);
	enum err e;

	if (child_work_is_closed(w)) /* with the new pair the peer wants the old one closed */
		return old ? child_delete(old, IKE_REASON_PEER_DELETE, 0) : ERR_OK;
	e = child_accept(s, w);
	if (e) {
		child_close_unused(s, w, IKE_REASON_REFUSED);
		return e;
	}
	if (w->unwanted) {
		child_close_unused(s, w, w->unwanted);
		return old ? child_delete(old, w->unwanted, 0) : ERR_OK;
	}
	if (lost_collision(w))
		child_close_unused(s, w, IKE_REASON_REPLACED);
	else
		replace(s, w, child_install(s, w, true));
	return ERR_OK;
}

enum err child_rekey_refused(struct step *s)
{
	const struct child_work *w = s->x->child;
	struct ike_child *old = child_find(s->e, w->replaces);
	struct wire_notify n;

	if (!wire_notify_find_error(&n, s->msg))
		return ERR_MALFORMED;
	if (!can_be_rekeyed(old)) /* the peer re-keyed or closed it meanwhile */
		return ERR_OK;
	if (n.type == NOTIFY_CHILD_SA_NOT_FOUND) {
		child_closed(old, IKE_REASON_PEER_DELETE, s->now_ns);
		return ERR_OK;
	}
	return child_try_again(s, &n);
}

/* ---- responder ------------------------------------------------------------------------------- */

static enum err not_found(struct step *s, uint32_t spi)
{
	(void)step_fail_child(s, IKE_REASON_PEER_ERROR, NOTIFY_CHILD_SA_NOT_FOUND,
			      "the peer re-keys a child that is not here (SPI %08x)", spi);
	s->fail.spi = spi;
	return ERR_PEER;
}

static enum err not_now(struct step *s)
{
	return step_fail_child(s, IKE_REASON_PEER_ERROR, NOTIFY_TEMPORARY_FAILURE,
			       "the peer re-keys a child that is being closed");
}

/* hoards - the peer replaces pairs and closes none of those it replaced. */
static bool hoards(const struct ike_sa *sa)
{
	uint32_t num = 0;

	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);

		num += c->replaced_by && c->state == CHILD_INSTALLED;
	}
	return num >= CHILDREN_REPLACED_MAX;
}

static enum err no_more(struct step *s)
{
	return step_fail_child(s, IKE_REASON_RESOURCES, NOTIFY_TEMPORARY_FAILURE,
			       "the peer has re-keyed %d children and closed none of the old ones",
			       CHILDREN_REPLACED_MAX);
}

enum err child_rekey_request(struct step *s)
{
	struct ike_child *old;
	struct child_work *w;
	struct wire_notify n;
	enum err e;

	if (!sa_usable(s->sa))
		return refuse_temporarily(s);
	if (!wire_notify_find(&n, s->msg, NOTIFY_REKEY_SA) || n.spi.len != 4)
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's re-key names no child");
	old = child_by_spi_out(s->sa, load_be32(n.spi.p));
	if (!old && s->sa->out.x.child) /* perhaps the one that we are about to have */
		return not_now(s);
	if (!old)
		return not_found(s, load_be32(n.spi.p));
	if (!can_be_rekeyed(old))
		return not_now(s);
	if (hoards(s->sa))
		return no_more(s);
	e = child_work_rekey(s->sa, &w, false, old);
	if (e)
		return e;
	s->x->child = w;
	e = child_choose(s, w);
	if (e)
		return e;
	s->x->kind = TASK_PEER_CHILD_REKEY;
	return step_ask(s, IKE_ASK_CHILD_ACCEPT);
}

/* If our own re-key of the same pair is under way, its outcome decides between the two. new: what
 * the peer's has come to, NULL while that waits for more key exchanges. */
static void note_collision(struct step *s, const struct child_work *w, const struct ike_child *new)
{
	struct child_work *ours = s->sa->out.x.child;

	if (!ours || ours->replaces != w->replaces)
		return;
	ours->rival = new ? new->id : 0;
	ours->rival_waits = !new;
	ours->rival_nonce = *nonce_lower(&w->ni, &w->nr);
}

/* What was agreed on is made, and the peer told. */
static enum err complete(struct step *s, struct child_work *w, struct ike_child *old)
{
	struct ike_child *new;
	enum err e = child_prepare(s, w);

	if (e)
		return e;
	step_reply(s);
	child_answer(s, w);
	e = step_finish(s);
	if (e)
		return e;
	new = child_install(s, w, false);
	old->replaced_by = new->id;
	note_collision(s, w, new);
	return ERR_OK;
}

enum err child_rekey_allowed_r(struct step *s)
{
	struct child_work *w = s->x->child, *ours = s->sa->out.x.child;
	struct ike_child *old = child_find(s->e, w->replaces);
	enum err e;

	if (!can_be_rekeyed(old))
		return not_now(s);
	e = child_accept(s, w);
	if (e)
		return e;
	if (!sa_next_addke(&w->chosen, w->more.done))
		return complete(s, w, old);
	if (ours && ours->replaces == w->replaces &&
	    ours->more.dh) /* it is decided: ours goes on */
		return not_now(s);
	step_reply(s);
	child_answer(s, w);
	e = followup_await(s);
	if (!e)
		note_collision(s, w, NULL);
	return e;
}
