/* SPDX-License-Identifier: Apache-2.0 */
/* create.c - CREATE_CHILD_SA for a new Child SA (RFC 7296 1.3.1). */
#include "control/child/create.h"

#include "control/child/accept.h"
#include "control/child/traffic.h"
#include "control/child/work.h"
#include "control/ike/handlers.h"
#include "control/ike/offer.h"

/* MAX_RETRIES - how often one task is begun again after a refusal that may pass. */
#define MAX_RETRIES 20
/* MAX_CHILDREN - what one peer may have on one IKE SA. */
#define MAX_CHILDREN 256

enum err child_new_start(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct task *t = sa->out.task;
	struct child_work *w;
	enum err e;

	if (!t->has_flow && child_by_name(sa, t->child_conf, t->wish))
		return ERR_OK; /* the peer was quicker */
	e = child_work_begin(sa, &w, SA_KIND_CHILD, t);
	if (e)
		return e;
	s->x->child = w;
	e = traffic_offer(s, w, t->has_flow ? &t->flow : NULL);
	if (e)
		return e;
	step_request(s, CREATE_CHILD_SA);
	return child_offer(s, w, t->group);
}

static uint32_t num_children(const struct ike_sa *sa)
{
	uint32_t num = 0;

	list_for_each (n, &sa->children) {
		num++;
	}
	return num;
}

enum err child_new_request(struct step *s)
{
	enum err e;

	if (!sa_usable(s->sa))
		return refuse_temporarily(s);
	if (num_children(s->sa) >= MAX_CHILDREN)
		return step_fail_child(s, IKE_REASON_RESOURCES, NOTIFY_NO_ADDITIONAL_SAS,
				       "the peer has %d children already and wants more",
				       MAX_CHILDREN);
	e = child_work_asked(s->sa, &s->x->child, SA_KIND_CHILD);

	if (!e)
		e = child_choose(s, s->x->child);
	if (e)
		return e;
	s->x->kind = TASK_PEER_CHILD_NEW;
	return step_ask(s, IKE_ASK_CHILD_ACCEPT);
}

/* What was agreed on is made, and the peer told. */
static enum err complete(struct step *s, struct child_work *w)
{
	enum err e = child_prepare(s, w);

	if (e)
		return e;
	step_reply(s);
	child_answer(s, w);
	e = step_finish(s);
	/* Beside a pair that is there one for a worker waits for a packet of the peer's, which has
	 * it then for sure: the answer may take longer than what is sent by it. */
	if (!e)
		(void)child_install(s, w, !w->worker);
	return e;
}

enum err child_new_allowed_r(struct step *s)
{
	struct child_work *w = s->x->child;
	enum err e = child_accept(s, w);

	if (e)
		return e;
	if (!sa_next_addke(&w->chosen, w->more.done))
		return complete(s, w);
	step_reply(s);
	child_answer(s, w);
	return followup_await(s);
}

enum err child_followup(struct step *s)
{
	struct child_work *w = s->x->child;
	bool more;
	enum err e;

	if (!w)
		return ERR_BAD_STATE;
	e = followup_take(s, &more, &w->more, &w->chosen);
	if (e || more)
		return e;
	e = child_prepare(s, w);
	if (!e)
		e = step_ask(s, IKE_ASK_CHILD_ACCEPT);
	if (e)
		ke_series_undo(&w->more);
	return e;
}

enum err child_new_response(struct step *s)
{
	struct child_work *w = s->x->child;
	enum err e = child_take(s, w);

	if (e && s->fail.only_child && child_is_made(w) && !child_prepare(s, w))
		child_close_unused(s, w, s->fail.reason); /* the peer has installed it */
	return e ? e : child_take_on(s, w);
}

enum err child_new_allowed_i(struct step *s)
{
	struct child_work *w = s->x->child;
	enum err e;

	if (child_work_is_closed(w))
		return step_fail_child(s, IKE_REASON_PEER_DELETE, 0,
				       "the peer closed child %s as soon as it was made",
				       w->conf->name);
	e = child_accept(s, w);
	if (e) {
		child_close_unused(s, w, IKE_REASON_REFUSED);
		return e;
	}
	(void)child_install(s, w, true);
	return ERR_OK;
}

/* What was offered of that which the peer refuses; what it wants instead it does not say. */
static void offered(struct step *s, uint16_t notify)
{
	const struct child_work *w = s->x->child;
	char here[OFFER_TEXT_MAX];
	uint32_t num;
	const struct conf_proposal *esp = wish_esp(&num, w->wish, w->conf);

	if (notify == NOTIFY_NO_PROPOSAL_CHOSEN)
		step_offers(s, offer_text(here, w->kind, esp, num), "");
	else if (notify == NOTIFY_TS_UNACCEPTABLE)
		step_offers(s, offer_ts_text(here, &w->local, &w->remote), "");
}

/* What the peer says about a Child SA that it does not want, for people. */
enum err child_refused(struct step *s, const struct wire_notify *n)
{
	const char *conn = s->sa->conn->name, *child = s->x->child->conf->name;
	char name[WIRE_NAME_MAX];

	offered(s, n->type);
	if (n->type == NOTIFY_NO_PROPOSAL_CHOSEN)
		return step_fail_child(s, IKE_REASON_NO_PROPOSAL, 0,
				       "the peer refused the ESP proposals of child %s "
				       "(NO_PROPOSAL_CHOSEN): compare `esp_proposals` with the "
				       "peer's",
				       child);
	if (n->type == NOTIFY_TS_UNACCEPTABLE)
		return step_fail_child(s, IKE_REASON_TS_UNACCEPTABLE, 0,
				       "the peer refused the traffic selectors of child %s "
				       "(TS_UNACCEPTABLE): compare `local_ts` and `remote_ts` of "
				       "connection %s with the peer's",
				       child, conn);
	if (n->type == NOTIFY_INTERNAL_ADDRESS_FAILURE)
		return step_fail_child(s, IKE_REASON_PEER_ERROR, 0,
				       "the peer lends no virtual address for child %s "
				       "(INTERNAL_ADDRESS_FAILURE): its pool is empty, or does not "
				       "have what `vips` of connection %s asks for",
				       child, conn);
	if (n->type == NOTIFY_FAILED_CP_REQUIRED)
		return step_fail_child(s, IKE_REASON_PEER_ERROR, 0,
				       "the peer lends an address to whoever asks for one, and "
				       "refuses child %s without (FAILED_CP_REQUIRED): set `vips` "
				       "of connection %s",
				       child, conn);
	return step_fail_child(s, IKE_REASON_PEER_ERROR, 0, "the peer refused child %s with %s",
			       child, wire_notify_name(name, n->type));
}

/* INVALID_KE_PAYLOAD: once, with a group that we offered (S30). */
static bool other_group(struct step *s, const struct wire_notify *n)
{
	const struct child_work *w = s->x->child;
	struct task *t = s->sa->out.task;
	const struct conf_proposal *esp;
	uint16_t group;
	uint32_t num;

	if (n->type != NOTIFY_INVALID_KE_PAYLOAD || wire_notify_u16(&group, n) || t->group ||
	    group == DH_NONE)
		return false;
	esp = wish_esp(&num, w->wish, w->conf);
	if (!sa_offers_dh(esp, num, group))
		return false;
	t->group = group;
	s->again = true;
	return true;
}

enum err child_try_again(struct step *s, const struct wire_notify *n)
{
	if (other_group(s, n))
		return ERR_OK;
	if ((n->type != NOTIFY_TEMPORARY_FAILURE && n->type != NOTIFY_STATE_NOT_FOUND) ||
	    s->sa->out.task->retries >= MAX_RETRIES)
		return child_refused(s, n);
	s->later = true;
	return ERR_OK;
}

enum err child_new_refused(struct step *s)
{
	struct wire_notify n;

	if (!wire_notify_find_error(&n, s->msg))
		return ERR_MALFORMED;
	return child_try_again(s, &n);
}
