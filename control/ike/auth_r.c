/* SPDX-License-Identifier: Apache-2.0 */
/* auth_r.c - IKE_AUTH as responder (RFC 7296 1.2). */
#include "control/auth/verify.h"
#include "control/child/accept.h"
#include "control/child/traffic.h"
#include "control/ike/auth.h"
#include "control/ike/auth_life.h"
#include "control/ike/candidates.h"
#include "control/ike/crash.h"
#include "control/ike/handlers.h"
#include "control/ike/index.h"
#include "control/ike/match.h"
#include "control/ike/mif.h"
#include "control/ike/mobike.h"
#include "control/ike/ppk.h"
#include "control/ike/redirect.h"
#include "control/ike/resume.h"
#include "control/ike/vips.h"

/* PEER_LINES_PER_S - lines that a peer can cause at will. */
#define PEER_LINES_PER_S 20

static enum err no_connection(struct step *s)
{
	const struct ike_id *wanted = &s->sa->hs->idr_wanted;
	char peer[128], text[128];

	if (s->sa->hs->auth_method == AUTH_NULL)
		return step_fail(
			s, IKE_REASON_NO_CONFIG, NOTIFY_AUTHENTICATION_FAILED,
			"no connection takes a peer that does not authenticate itself: one "
			"with `auth = null` in its `remote` section would");
	return step_fail(s, IKE_REASON_NO_CONFIG, NOTIFY_AUTHENTICATION_FAILED,
			 "no connection takes a peer that says it is %s and wants to speak to %s: "
			 "compare `local.id` and `remote.id`",
			 ike_id_text(peer, sizeof(peer), &s->sa->remote_id),
			 wanted->type ? ike_id_text(text, sizeof(text), wanted) : "anybody");
}

/* The connections for these addresses and claimed identities; what is claimed is proven later. */
enum err auth_choose_connection(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs = sa->hs;
	const struct conf_conn *conns[MATCH_MAX];
	const struct match_ids ids = {.path = &sa->path,
				      .suite = &sa->suite,
				      .peer = &sa->remote_id,
				      .method = hs->auth_method,
				      .wanted = &hs->idr_wanted};
	uint32_t num;

	if (s->msg->present & PAYLOAD_BIT(PAYLOAD_IDR) &&
	    wire_id_parse(&hs->idr_wanted, ike_msg_body(s->msg, PAYLOAD_IDR)))
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's IDr payload does not follow the format");
	num = match_identities(conns, sa->conf, &ids);
	if (!num)
		return no_connection(s);
	sa->conn = conns[0];
	/* A request that was dropped for want of memory comes again. */
	candidates_free(hs->candidates);
	hs->candidates = NULL;
	return num > 1 ? candidates_new(&hs->candidates, conns, num, s->msg) : ERR_OK;
}

/* no_child_fails - without its first child the IKE SA stands all the same. */
static enum err no_child_fails(struct step *s, enum err e)
{
	if (!e || !s->fail.only_child)
		return e;
	auth_child_failed(s);
	return ERR_OK;
}

static enum err without_child(struct step *s)
{
	return step_fail(
		s, IKE_REASON_NO_CONFIG, NOTIFY_INVALID_SYNTAX,
		"the peer makes an IKE SA without a child, which `childless` of connection "
		"%s does not allow",
		s->sa->conn->name);
}

static enum err with_child(struct step *s)
{
	return step_fail_child(s, IKE_REASON_NO_CONFIG, NOTIFY_NO_ADDITIONAL_SAS,
			       "the peer makes a child with the IKE SA, which `childless` of "
			       "connection %s does not allow: it is to be made after it",
			       s->sa->conn->name);
}

static enum err begin_child(struct step *s)
{
	const enum conf_childless how = s->sa->conn->childless;
	struct child_work *w;
	enum err e;

	if (!(s->msg->present & PAYLOAD_BIT(PAYLOAD_SA)))
		return how == CHILDLESS_NEVER ? without_child(s) : no_child_fails(s, vips_asked(s));
	e = child_work_asked(s->sa, &w, SA_KIND_CHILD_AUTH);
	if (e)
		return e;
	s->x->child = w;
	w->ni = s->sa->hs->ni;
	w->nr = s->sa->hs->nr;
	e = how == CHILDLESS_FORCE ? with_child(s) : vips_asked(s);
	if (!e)
		e = child_choose(s, w);
	return no_child_fails(s, e);
}

/* What the request comes to if the peer is of the connection that was chosen. */
enum err auth_take_connection(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct conf_conn *conn = sa->conn;

	sa->fragments = sa->hs->fragments && conn->fragmentation == FRAGMENTATION_YES;
	sa->local_id = match_local_id(conn, &sa->path);
	crash_take(sa, s->msg);
	mobike_take(s);
	mif_take(s);
	resume_asked(s);
	child_work_free(sa, s->x->child);
	s->x->child = NULL;
	sa->hs->child_error = 0;
	return begin_child(s);
}

void auth_take_path(struct step *s)
{
	sa_set_path(s->sa, &s->dg->path); /* the initiator may have floated to port 4500 */
	s->sa->port = s->dg->port;
	s->sa->hs->initial_contact =
		wire_notify_find(&(struct wire_notify){0}, s->msg, NOTIFY_INITIAL_CONTACT);
}

enum err auth_request(struct step *s)
{
	enum err e = auth_take_peer(s, PAYLOAD_IDI);

	if (e)
		return e;
	auth_take_path(s);
	e = auth_choose_connection(s);
	if (!e)
		e = auth_without_eap(s);
	if (!e)
		e = auth_take_connection(s);
	return e ? e : ppk_ask_r(s);
}

/* All that could be tried was: the best one's reason is told. */
static enum err nobody_believes(struct step *s)
{
	const struct candidates *c = s->sa->hs->candidates;

	s->sa->conn = c->conns[0];
	return step_fail(s, c->first.reason, c->first.notify, "%.250s (connections tried: %u)",
			 c->first.text, c->at);
}

/* Other connections for the same identity may believe in other authorities, certificates or keys,
 * and ask for less. Each verifies the proof by itself and compares the identity (S22). */
static enum err try_next(struct step *s)
{
	struct candidates *c = s->sa->hs->candidates;
	const struct conf_conn *next = candidates_next(c, &s->fail);
	enum err e;

	if (!next)
		return nobody_believes(s);
	if (log_limited(&s->e->log_limit, PEER_LINES_PER_S, s->now_ns))
		LOG(INFO, IKE, s->sa->conn->name, "[%u] %s: connection %s is tried", s->sa->unique,
		    s->fail.text, next->name);
	s->fail = (struct failure){.reason = IKE_REASON_NONE};
	s->msg = &c->msg;
	s->sa->conn = next;
	e = auth_take_connection(s);
	s->msg = NULL;
	s->stay = true;
	return e ? e : auth_ask_peer(s);
}

/* The secret that verified the peer's AUTH makes ours too. */
enum err auth_verify_r(struct step *s)
{
	enum err e = auth_check_peer(s);

	if (e == ERR_PEER && s->sa->hs->candidates)
		return try_next(s);
	if (!e)
		e = ppk_settle(s);
	if (!e)
		e = auth_check_unique(s);
	if (e)
		return e;
	if (s->row->what != IKE_ASK_SECRET || s->sa->conn->local.auth != CONF_AUTH_PSK)
		return auth_ask_own(s);
	e = auth_make_own(s);
	if (!e)
		step_pass(s, IKE_ASK_SIGN);
	return e;
}

enum err auth_signed_r(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;
	enum err e = hs->own_auth_len ? ERR_OK : auth_make_own(s);

	if (!e && hs->own_key_len)
		e = auth_proof_sign(&sa->proof, bytes_of(hs->own_key, hs->own_key_len));
	return e ? e : step_ask(s, IKE_ASK_AUTHORIZE);
}

/* lend - the addresses that the peer asks for, and its child is for them. */
static enum err lend(struct step *s)
{
	enum err e;

	if (s->sa->hs->child_error)
		return ERR_OK;
	e = vips_lend(s);
	if (!e && s->x->child)
		e = traffic_lent(s, s->x->child);
	return no_child_fails(s, e);
}

enum err auth_authorized_r(struct step *s)
{
	enum err e;

	if (!s->answer->allow)
		return auth_refuse(s);
	s->sa->hs->redirected = redirect_wanted(s->sa);
	if (s->sa->hs->redirected) {
		child_work_free(s->sa, s->x->child);
		s->x->child = NULL;
		s->sa->hs->child_error = 0;
		step_pass(s, IKE_ASK_CHILD_ACCEPT);
		return ERR_OK;
	}
	e = lend(s);
	if (e)
		return e;
	if (s->x->child && !s->sa->hs->child_error)
		return step_ask(s, IKE_ASK_CHILD_ACCEPT);
	step_pass(s, IKE_ASK_CHILD_ACCEPT);
	return ERR_OK;
}

static enum err build(struct step *s, bool agreed)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs = sa->hs;

	step_reply(s);
	if (!hs->eap) { /* else the first response had them */
		wire_id_build(&s->b, PAYLOAD_IDR, &sa->local_id);
		auth_build_certs(s);
	}
	auth_build_own(s);
	ppk_build(s);
	if (hs->redirected)
		redirect_build(s);
	else
		resume_give(s);
	if (hs->child_error)
		vips_lend_end(sa);
	crash_offer(s, sa);
	auth_life_offer(s);
	vips_reply(sa, &s->b);
	mobike_offer(s);
	mif_offer(s);
	if (agreed)
		child_answer(s, s->x->child);
	else if (hs->child_error)
		wire_notify_build(&s->b, hs->child_error, bytes_of(NULL, 0));
	return step_finish(s);
}

enum err auth_accepted_r(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;
	bool agreed;
	enum err e = peer_new(s->e, &sa->peer);

	if (e)
		return e;
	if (s->x->child && !hs->child_error && child_accept(s, s->x->child))
		auth_child_failed(s);
	agreed = s->x->child && !hs->child_error;
	if (agreed)
		e = child_prepare(s, s->x->child);
	if (!e)
		e = build(s, agreed);
	if (e)
		return e;
	auth_established(s);
	if (agreed)
		(void)child_install(s, s->x->child, true);
	else if (hs->child_error)
		auth_child_report(s, &hs->child_failure);
	if (hs->redirected)
		redirect_left(sa, s->now_ns);
	sa_handshake_free(sa);
	return ERR_OK;
}
