/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rekey_ike.c - CREATE_CHILD_SA in place of an IKE SA (RFC 7296 1.3.2, 2.8, 2.18, 2.25.2). The new
 * IKE SA inherits path, identities, proof and all children; the old one is closed by who began.
 */
#include "base/alloc.h"
#include "control/child/child.h"
#include "control/ike/auth_life.h"
#include "control/ike/crash.h"
#include "control/ike/handlers.h"
#include "control/ike/index.h"
#include "control/ike/lifetime.h"
#include "control/ike/mif.h"
#include "control/ike/mobike.h"
#include "control/ike/reauth.h"
#include "control/ike/redirect.h"
#include "control/ike/rekey_work.h"
#include "control/ike/resume.h"
#include "control/ike/task.h"
#include "control/ike/vips.h"
#include "control/ike/offer.h"

#define MAX_RETRIES 20
/* AGAIN_NS - after a re-key that was refused for good, as long as the SA lives. */
#define AGAIN_NS (60 * NS_PER_S)
/* LOSER_NS - how long an IKE SA that lost a collision waits for the peer's delete before it is
 * closed by us. The peer may not even know of it, if our response was still under way when we
 * closed the old IKE SA. */
#define LOSER_NS (30 * NS_PER_S)

enum err rekey_work_new(struct ike_sa *old, struct rekey_work **out, bool initiator)
{
	struct rekey_work *w = mem_alloc(sizeof(*w));
	enum err e;

	if (!w)
		return ERR_NOMEM;
	e = sa_new(old->e, &w->sa, initiator, old->conf, old->conn);
	if (e) {
		mem_free(w);
		return e;
	}
	w->sa->quiet = true;
	*out = w;
	return ERR_OK;
}

void rekey_work_free(struct ike_sa *old, struct rekey_work *w)
{
	if (!w)
		return;
	if (w->sa)
		sa_kill(w->sa, IKE_REASON_LOCAL, NULL, old->e->now_ns);
	dh_free(w->dh);
	secret_fini(&w->shared);
	ke_series_fini(&w->more);
	secret_wipe(w, sizeof(*w));
	mem_free(w);
}

/* ---- taking over ----------------------------------------------------------------------------- */

/* agree - g^ir. */
static enum err agree(struct step *s, struct rekey_work *w, struct bytes peer_ke)
{
	enum err e;

	secret_fini(&w->shared); /* of the same response, when memory was short the first time */
	e = dh_compute_shared(w->dh, &w->shared, peer_ke);
	return e != ERR_MALFORMED ? e
				  : step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
					      "the peer's key share cannot be used");
}

static enum err derive(struct step *s, struct rekey_work *w)
{
	struct ike_sa *new = w->sa;
	struct secret more = {0};
	enum err e = ke_series_join(&w->more, &more);

	if (e)
		return e;
	sa_chosen_text(new->proposal, &new->suite);
	e = ike_keys_derive(s->e->crypto, &new->keys,
			    &(struct ike_keys_params){.encr = new->suite.encr,
						      .prf = new->suite.prf,
						      .spi_i = new->spi_i,
						      .spi_r = new->spi_r,
						      .ni = nonce_bytes(&w->ni),
						      .nr = nonce_bytes(&w->nr),
						      .dh = &w->shared,
						      .more = more.len ? &more : NULL,
						      .rekeyed = &s->sa->keys});
	secret_fini(&more);
	if (!e)
		e = sa_keys_install(new);
	if (e)
		ike_keys_fini(&new->keys);
	return e;
}

/* The new IKE SA is up, as yet without children. Cannot fail. */
static struct ike_sa *establish(struct step *s, struct rekey_work *w)
{
	struct ike_sa *old = s->sa, *new = w->sa;

	w->sa = NULL;
	sa_set_path(new, &old->path);
	new->port = old->port;
	new->peer = peer_get(old->peer);
	new->local_id = old->local_id;
	new->remote_id = old->remote_id;
	new->fragments = old->fragments;
	new->nat_local = old->nat_local;
	new->nat_remote = old->nat_remote;
	new->udp_wanted = old->udp_wanted;
	new->origin = old->origin;
	new->methods = old->methods;
	new->session_ns = old->session_ns;
	new->confirmed = new->initiator; /* else the peer may not have our response yet */
	new->proof = auth_proof_get(old->proof);
	step_inherit(new, s->now_ns);
	return new;
}

/* Children and what is still to be done go over to the new one. */
static void take_over(struct ike_sa *old, struct ike_sa *new)
{
	new->quiet = false;
	new->established_ns = old->e->now_ns;
	children_move(old, new);
	vips_move(old, new);
	tasks_move(old, new);
	mobike_inherit(new, old);
	mif_inherit(new, old);
	reauth_follow(old, new);
	auth_life_inherit(new, old);
	redirect_inherit(new, old);
	crash_tell(new);
	resume_end(old, IKE_REASON_REPLACED);
	old->quiet = true;
	old->successor = sa_our_spi(new);
	lifetime_replaced(old);
	action_event(new, IKE_EVENT_IKE_REKEYED, NULL, IKE_REASON_NONE, 0,
		     "re-keyed: %s, in place of [%u]", new->proposal, old->unique);
	step_task_later(new);
}

/* It gives way to another one: closed by us, or left to the peer to close. */
static void give_way(struct ike_sa *sa, bool by_us)
{
	sa->quiet = true;
	lifetime_replaced(sa);
	if (by_us && task_need(sa, TASK_IKE_DELETE, 0) == ERR_NOMEM)
		LOG(WARN, IKE, sa->conn->name, "out of memory: an old IKE SA ends by itself");
	if (by_us)
		step_task_later(sa);
	else
		timer_set(&sa->e->timers, &sa->state_timer, sa->e->now_ns + LOSER_NS);
}

static struct ike_sa *rival_of(const struct ike_sa *old, const struct rekey_work *w)
{
	struct ike_sa *r = w && w->rival && !w->settled ? sa_by_spi(old->e, w->rival) : NULL;

	return r && r->state == SA_ESTABLISHED ? r : NULL;
}

void rekey_settle(struct ike_sa *old, bool go_on)
{
	struct ike_sa *rival = rival_of(old, old->out.x.rekey);

	if (rival && go_on)
		take_over(old, rival);
	else if (rival)
		give_way(rival, true);
}

void rekey_used(struct ike_sa *sa)
{
	struct ike_sa *old = sa->reserve ? sa_by_spi(sa->e, sa->reserve) : NULL;

	sa->reserve = 0;
	if (!old || rival_of(old, old->out.x.rekey) != sa)
		return;
	old->out.x.rekey->settled = true;
	take_over(old, sa);
}

/* ---- initiator ------------------------------------------------------------------------------- */

enum err ike_rekey_start(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct conf_conn *conn = sa->conn;
	struct rekey_work *w;
	enum err e = rekey_work_new(sa, &w, true);

	if (e)
		return e;
	s->x->rekey = w;
	w->group = sa->out.task->group ? sa->out.task->group : sa->suite.dh;
	e = dh_new(s->e->crypto, &w->dh, w->group);
	if (!e)
		e = nonce_fill(s->e, &w->ni);
	if (e)
		return e;
	step_request(s, CREATE_CHILD_SA);
	sa_offer_build(&s->b, SA_KIND_IKE_REKEY, w->sa->spi_i, conn->ike, conn->num_ike);
	wire_nonce_build(&s->b, nonce_bytes(&w->ni));
	wire_ke_build(&s->b, w->group, dh_public(w->dh));
	return ERR_OK;
}

static enum err parse_share(struct step *s, struct wire_ke *ke, struct nonce *nonce)
{
	struct bytes n;

	if (wire_ke_parse(ke, ike_msg_body(s->msg, PAYLOAD_KE)) ||
	    wire_nonce_parse(&n, ike_msg_body(s->msg, PAYLOAD_NONCE)))
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's re-key does not follow the format");
	nonce_set(nonce, n);
	return ERR_OK;
}

static enum err take_answer(struct step *s, struct rekey_work *w)
{
	const struct conf_conn *conn = s->sa->conn;
	struct sa_payload answer;
	struct wire_ke ke;
	enum err e = parse_share(s, &ke, &w->nr);

	if (e)
		return e;
	if (sa_parse(&answer, ike_msg_body(s->msg, PAYLOAD_SA)) ||
	    sa_check(&w->sa->suite, &answer, SA_KIND_IKE_REKEY, conn->ike, conn->num_ike) ||
	    w->sa->suite.dh != w->group || ke.group != w->group || !w->sa->suite.spi)
		return step_fail(s, IKE_REASON_MALFORMED, 0,
				 "the peer's answer to the re-key is not among our proposals");
	sa_set_peer_spi(w->sa, w->sa->suite.spi);
	crash_take(w->sa, s->msg);
	return agree(s, w, ke.value);
}

/* gives_up - the peer's re-key crossed ours, and ours has the lowest nonce (2.8.1). If ours goes
 * on, the peer's goes no further where it waits for more key exchanges. */
static bool gives_up(struct step *s, const struct rekey_work *w)
{
	if (!w->rival_waits && !rival_of(s->sa, w))
		return false;
	if (nonce_loses(&w->ni, &w->nr, &w->rival_nonce))
		return true;
	if (followup_of_ike(s->sa))
		followup_drop(s->sa);
	return false;
}

/* Additional key exchanges are begun only if the outcome is to stay, so that no IKE SA is made that
 * is to be closed again. */
static enum err go_on(struct step *s, struct rekey_work *w)
{
	struct ike_sa *rival;

	if (w->settled)
		return ERR_OK;
	if (!gives_up(s, w)) {
		s->stay = true;
		return followup_send(s, &w->more, &w->sa->suite);
	}
	rival = rival_of(s->sa, w);
	if (rival) {
		take_over(s->sa, rival);
	} else {
		s->stay = true;
		s->later = true; /* unless the peer's own comes to its end */
	}
	return ERR_OK;
}

/* end_with_the_peer - which has closed all of it, though this one not yet as far as we know. */
static void end_with_the_peer(struct ike_sa *sa)
{
	const enum err e = task_need(sa, TASK_IKE_DELETE, 0);

	if (!e) /* it was not to end here */
		sa_say_end(sa, IKE_REASON_PEER_DELETE, "the peer closed it");
	if (e != ERR_NOMEM)
		step_task_later(sa);
}

/* The new IKE SA is there: it takes over, or gives way. If what it gives way to is closed already,
 * the peer has ended all of it: that it closes the old one, too, is under way. */
static enum err finish(struct step *s, struct rekey_work *w)
{
	const bool lost = w->rival && nonce_loses(&w->ni, &w->nr, &w->rival_nonce);
	struct ike_sa *rival = rival_of(s->sa, w), *new;
	enum err e = derive(s, w);

	if (e)
		return e;
	new = establish(s, w);
	if (w->settled || lost) {
		give_way(new, true);
		if (rival)
			take_over(s->sa, rival);
		else if (!w->settled)
			end_with_the_peer(s->sa);
		return ERR_OK;
	}
	if (rival)
		give_way(rival, false);
	followup_drop(s->sa);
	take_over(s->sa, new);
	give_way(s->sa, true);
	return ERR_OK;
}

enum err ike_rekey_response(struct step *s)
{
	struct rekey_work *w = s->x->rekey;
	enum err e = take_answer(s, w);

	if (e)
		return e;
	return sa_next_addke(&w->sa->suite, 0) ? go_on(s, w) : finish(s, w);
}

enum err ike_rekey_followup(struct step *s)
{
	struct rekey_work *w = s->x->rekey;
	bool more;
	enum err e = followup_take(s, &more, &w->more, &w->sa->suite);

	s->stay = more;
	if (e || more)
		return e;
	e = finish(s, w);
	if (e)
		ke_series_undo(&w->more);
	return e;
}

static bool other_group(struct step *s, const struct wire_notify *n)
{
	const struct conf_conn *conn = s->sa->conn;
	struct task *t = s->sa->out.task;
	uint16_t group;

	if (n->type != NOTIFY_INVALID_KE_PAYLOAD || wire_notify_u16(&group, n) || t->group ||
	    group == DH_NONE || !sa_offers_dh(conn->ike, conn->num_ike, group))
		return false;
	t->group = group;
	s->again = true;
	return true;
}

enum err ike_rekey_refused(struct step *s)
{
	char name[WIRE_NAME_MAX];
	struct wire_notify n;

	if (!wire_notify_find_error(&n, s->msg))
		return ERR_MALFORMED;
	if (other_group(s, &n))
		return ERR_OK;
	if ((n.type == NOTIFY_TEMPORARY_FAILURE || n.type == NOTIFY_STATE_NOT_FOUND) &&
	    s->sa->out.task->retries < MAX_RETRIES) {
		s->later = true;
		return ERR_OK;
	}
	timer_set(&s->e->timers, &s->sa->rekey_timer, s->now_ns + AGAIN_NS);
	return step_fail_child(s, IKE_REASON_PEER_ERROR, 0,
			       "the peer refused to re-key the IKE SA with %s",
			       wire_notify_name(name, n.type));
}

enum err ike_rekey_refused_crossed(struct step *s)
{
	rekey_settle(s->sa, true);
	return ERR_OK;
}

/* ---- responder ------------------------------------------------------------------------------- */

enum err refuse_temporarily(struct step *s)
{
	return step_fail_child(s, IKE_REASON_PEER_ERROR, NOTIFY_TEMPORARY_FAILURE,
			       "the peer's request crosses one of ours: it is to try again");
}

static enum err choose(struct step *s, struct rekey_work *w, uint16_t group)
{
	char here[OFFER_TEXT_MAX], there[OFFER_TEXT_MAX];
	const struct conf_conn *conn = s->sa->conn;
	struct sa_payload offer;

	if (sa_parse(&offer, ike_msg_body(s->msg, PAYLOAD_SA)))
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's SA payload does not follow the format");
	if (sa_select(&w->sa->suite, &offer, SA_KIND_IKE_REKEY, conn->ike, conn->num_ike, group) ||
	    !w->sa->suite.spi) {
		step_offers(s, offer_text(here, SA_KIND_IKE_REKEY, conn->ike, conn->num_ike),
			    offer_peer_text(there, &offer));
		return step_fail_child(s, IKE_REASON_NO_PROPOSAL, NOTIFY_NO_PROPOSAL_CHOSEN,
				       "no proposal of the peer's re-key is among `proposals` of "
				       "connection %s: add one of the peer's: %s",
				       conn->name, there);
	}
	if (w->sa->suite.dh == group)
		return ERR_OK;
	(void)step_fail_child(s, IKE_REASON_INVALID_KE, NOTIFY_INVALID_KE_PAYLOAD,
			      "group %u is asked for instead of %u", w->sa->suite.dh, group);
	s->fail.data = w->sa->suite.dh;
	return ERR_PEER;
}

/* SA, Nr, KEr, or, after additional key exchanges, KEr of the last one. */
static void build_answer(struct step *s, const struct rekey_work *w)
{
	step_reply(s);
	if (w->more.done) {
		wire_ke_build(&s->b, dh_group(w->more.dh), dh_public(w->more.dh));
		return;
	}
	sa_answer_build(&s->b, &w->sa->suite, w->sa->spi_r);
	wire_nonce_build(&s->b, nonce_bytes(&w->nr));
	wire_ke_build(&s->b, w->sa->suite.dh, dh_public(w->dh));
	crash_offer(s, w->sa);
}

/* Negotiate; the new SA is left in the exchange's work. */
static enum err negotiate(struct step *s)
{
	struct rekey_work *w;
	struct wire_ke ke;
	enum err e;

	if (!sa_usable(s->sa)) /* it is to be closed (2.25.2), and its end is not put off */
		return refuse_temporarily(s);
	if (s->sa->peer->refs >= PEER_REFS_MAX)
		return step_fail_child(s, IKE_REASON_RESOURCES, NOTIFY_TEMPORARY_FAILURE,
				       "the peer re-keys the IKE SA and closes none of the old "
				       "ones");
	e = rekey_work_new(s->sa, &w, false);
	if (e)
		return e;
	s->x->rekey = w;
	e = parse_share(s, &ke, &w->ni);
	if (!e)
		e = choose(s, w, ke.group);
	if (!e)
		e = nonce_fill(s->e, &w->nr);
	if (!e)
		e = dh_new(s->e->crypto, &w->dh, w->sa->suite.dh);
	if (e)
		return e;
	sa_set_peer_spi(w->sa, w->sa->suite.spi);
	return agree(s, w, ke.value);
}

/* Beside a re-key of ours that is not decided: the peer's new IKE SA waits for that. */
static void stand_by(struct step *s, struct rekey_work *w)
{
	struct rekey_work *ours = s->sa->out.x.rekey;
	struct ike_sa *new;

	ours->rival_nonce = *nonce_lower(&w->ni, &w->nr);
	ours->rival_waits = false;
	new = establish(s, w);
	new->reserve = sa_our_spi(s->sa);
	ours->rival = sa_our_spi(new);
	s->sa->out.x.kind = TASK_IKE_REKEY_CROSSED;
	s->stay = true;
}

enum err ike_rekey_complete(struct step *s)
{
	struct rekey_work *w = s->x->rekey;
	enum err e;

	build_answer(s, w);
	e = step_finish(s);
	if (!e)
		e = derive(s, w);
	if (e)
		return e;
	if (s->sa->out.x.kind == TASK_IKE_REKEY)
		stand_by(s, w);
	else
		take_over(s->sa, establish(s, w));
	return ERR_OK;
}

/* Answer what was negotiated: whole, or with the first link of more key exchanges. */
static enum err answer(struct step *s)
{
	struct rekey_work *w = s->x->rekey;

	if (!sa_next_addke(&w->sa->suite, 0))
		return ike_rekey_complete(s);
	build_answer(s, w);
	s->stay = true;
	return followup_await(s);
}

enum err ike_rekey_request(struct step *s)
{
	enum err e = negotiate(s);

	return e ? e : answer(s);
}

enum err ike_rekey_crossing(struct step *s)
{
	struct rekey_work *ours = s->sa->out.x.rekey;
	enum err e;

	if (ours->more.dh) /* decided already: ours goes on */
		return refuse_temporarily(s);
	e = negotiate(s);
	if (!e)
		e = answer(s);
	if (!e && !s->x->rekey) { /* it waits */
		const struct rekey_work *w = followup_of_ike(s->sa);

		ours->rival_waits = true;
		ours->rival_nonce = *nonce_lower(&w->ni, &w->nr);
	}
	return e;
}
