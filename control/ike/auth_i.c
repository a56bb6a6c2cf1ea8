/* SPDX-License-Identifier: Apache-2.0 */
/* auth_i.c - IKE_AUTH as initiator (RFC 7296 1.2). */
#include "control/child/accept.h"
#include "control/child/create.h"
#include "control/child/traffic.h"
#include "control/child/work.h"
#include "control/ike/auth.h"
#include "control/ike/auth_life.h"
#include "control/ike/crash.h"
#include "control/ike/handlers.h"
#include "control/ike/mif.h"
#include "control/ike/mobike.h"
#include "control/ike/ppk.h"
#include "control/ike/redirect.h"
#include "control/ike/resume.h"
#include "control/ike/vips.h"

/* is_childless - an IKE SA by itself (RFC 6023): no child is wanted, or it is to come after it. */
static bool is_childless(const struct ike_sa *sa)
{
	const enum conf_childless how = sa->conn->childless;

	return !sa->out.task->child_conf || how == CHILDLESS_FORCE ||
	       (how == CHILDLESS_PREFER && sa->hs->childless && !sa->conn->num_vips);
}

static enum err begin_child(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct task *t = sa->out.task;
	struct child_work *w;
	enum err e;

	if (is_childless(sa) && !sa->hs->childless)
		return step_fail(s, IKE_REASON_UNSUPPORTED, 0,
				 "the peer cannot do without a first child (RFC 6023): %s",
				 t->child_conf ? "`childless = prefer` would take it so"
					       : "name one");
	if (is_childless(sa))
		return ERR_OK;
	e = child_work_begin(sa, &w, SA_KIND_CHILD_AUTH, t);
	if (e)
		return e;
	s->x->child = w;
	w->ni = sa->hs->ni;
	w->nr = sa->hs->nr;
	return traffic_offer(s, w, t->has_flow ? &t->flow : NULL);
}

static enum err build(struct step *s)
{
	const struct ike_sa *sa = s->sa;
	const struct conf_side *remote = &sa->conn->remote;
	const struct handshake *hs = sa->hs;

	step_request(s, IKE_AUTH);
	wire_id_build(&s->b, PAYLOAD_IDI, &sa->local_id);
	auth_build_certs(s);
	if (!hs->resume.held) /* else it is known who the peer is */
		auth_build_certreq(s);
	if (sa->conn->unique != UNIQUE_NEVER && sa->local_id.type != ID_NULL &&
	    auth_first_contact(sa))
		wire_notify_build(&s->b, NOTIFY_INITIAL_CONTACT, bytes_of(NULL, 0));
	if (remote->id.type && !remote->pattern)
		wire_id_build(&s->b, PAYLOAD_IDR, &remote->id);
	if (hs->own_auth_len) /* else EAP is asked for */
		auth_build_own(s);
	else if (remote->auth == CONF_AUTH_EAP)
		wire_notify_build(&s->b, NOTIFY_EAP_ONLY_AUTHENTICATION, bytes_of(NULL, 0));
	ppk_build(s);
	if (hs->own_auth_len)
		crash_offer(s, sa);
	if (hs->peer_announces) /* it knows what that is */
		auth_build_announced(s);
	mobike_offer(s);
	mif_offer(s);
	resume_offer(s);
	vips_request(sa, &s->b);
	return s->x->child ? child_offer(s, s->x->child, 0) : ERR_OK;
}

/* Whoever answers is never the one that EAP asks (RFC 7296 2.16); with EAP on both sides it is the
 * one that asks, and proves itself by the same (RFC 5998). */
static enum err check_ways(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;

	if (conn->remote.auth == CONF_AUTH_EAP && conn->local.auth != CONF_AUTH_EAP)
		return step_fail(s, IKE_REASON_UNSUPPORTED, 0,
				 "the peer of connection %s proves itself by EAP: it is the one "
				 "that has to begin",
				 conn->name);
	return ERR_OK;
}

/* Where the peer may not have the PPK, AUTH without it is made first, and then the one with it: a
 * signature is asked for once more. */
static enum err make_own(struct step *s)
{
	const enum conf_auth auth = s->sa->conn->local.auth;
	enum err e = auth_make_own(s);

	if (e || auth == CONF_AUTH_EAP || !ppk_made(s->sa))
		return e;
	s->stay = conf_auth_signs(auth);
	return s->stay ? auth_ask_own(s) : auth_make_own(s);
}

enum err auth_request_i(struct step *s)
{
	enum err e = begin_child(s);

	return e ? e : build(s);
}

enum err auth_start(struct step *s)
{
	enum err e = check_ways(s);

	if (!e)
		e = make_own(s);
	if (e || s->stay)
		return e;
	return auth_request_i(s);
}

/* The answer about the first Child SA: taken, or why it is not to be. */
static enum err take_child(struct step *s)
{
	struct child_work *w = s->x->child;
	struct wire_notify n;
	enum err e;

	if (!w)
		return ERR_OK;
	if (s->msg->present & PAYLOAD_BIT(PAYLOAD_SA))
		e = child_take(s, w);
	else if (wire_notify_find_error(&n, s->msg))
		e = child_refused(s, &n);
	else
		e = step_fail_child(s, IKE_REASON_PEER_ERROR, 0,
				    "the peer ignored the offer of child %s", w->conf->name);
	if (!e || !s->fail.only_child)
		return e;
	auth_child_failed(s);
	return ERR_OK;
}

enum err auth_take_offers(struct step *s)
{
	enum err e;

	auth_life_take(s->sa, s->msg, s->now_ns);
	crash_take(s->sa, s->msg);
	mobike_take(s);
	mif_take(s);
	e = redirect_keep(s);
	if (e || s->sa->hs->elsewhere) /* nothing else is offered */
		return e;
	resume_take(s);
	e = vips_take(s);
	return e ? e : take_child(s);
}

enum err auth_response(struct step *s)
{
	enum err e;

	if (s->sa->conn->local.auth == CONF_AUTH_EAP)
		return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
				 "the peer does not ask who we are, and connection %s wants to say "
				 "it by EAP",
				 s->sa->conn->name);
	e = auth_take_peer(s, PAYLOAD_IDR);
	if (!e)
		e = ppk_take_i(s);
	if (!e)
		e = auth_take_offers(s);
	return e ? e : auth_ask_peer(s);
}

/* What we proved ourselves by is among what the peer said that it takes, if it said anything. */
static bool is_announced(const struct ike_sa *sa)
{
	const struct auth_announced *a = &sa->hs->announced;

	if (!auth_announced_any(a) || sa->conn->local.auth == CONF_AUTH_EAP)
		return true;
	if (sa->conn->local.auth == CONF_AUTH_PSK)
		return a->psk;
	return sa->conn->local.auth == CONF_AUTH_NULL ? a->null : a->schemes != 0;
}

const char *auth_credential(const struct conf_side *side)
{
	static const char *const names[] = {
		[CONF_AUTH_PSK] = "secret",         [CONF_AUTH_PUBKEY] = "certificate or key",
		[CONF_AUTH_NULL] = "`auth = null`", [CONF_AUTH_BTNS] = "key",
		[CONF_AUTH_LEAPOFFAITH] = "key",    [CONF_AUTH_EAP] = "name or password",
	};

	return side->eap == CONF_EAP_TLS ? "certificate" : names[side->auth];
}

enum err auth_refused(struct step *s)
{
	const char *conn = s->sa->conn->name;
	char name[WIRE_NAME_MAX], announced[AUTH_ANNOUNCED_TEXT_MAX];
	struct wire_notify n;

	if (!wire_notify_find_error(&n, s->msg))
		return ERR_MALFORMED;
	if (n.type == NOTIFY_AUTHENTICATION_FAILED && !is_announced(s->sa))
		return step_fail(s, IKE_REASON_AUTH_FAILED_PEER, 0,
				 "the peer does not accept our identity or our key "
				 "(AUTHENTICATION_FAILED), and had announced that it takes %s: "
				 "compare `local.auth` of connection %s with the peer's `remote`",
				 auth_announced_text(announced, &s->sa->hs->announced), conn);
	if (n.type == NOTIFY_AUTHENTICATION_FAILED)
		return step_fail(s, IKE_REASON_AUTH_FAILED_PEER, 0,
				 "the peer does not accept our identity or our key "
				 "(AUTHENTICATION_FAILED): compare `local.id`, `remote.id` and the "
				 "%s%s of connection %s with the peer's",
				 auth_credential(&s->sa->conn->local),
				 s->sa->hs->ppk.mixing ? " and PPK" : "", conn);
	return step_fail(s, IKE_REASON_PEER_ERROR, 0,
			 "the peer refused the connection with %s: its log says more",
			 wire_notify_name(name, n.type));
}

enum err auth_verify_i(struct step *s)
{
	enum err e = auth_check_peer(s);

	if (!e)
		e = ppk_settle(s);
	return e ? e : step_ask(s, IKE_ASK_AUTHORIZE);
}

enum err auth_authorized_i(struct step *s)
{
	if (!s->answer->allow)
		return auth_refuse(s);
	if (s->sa->hs->elsewhere)
		return redirect_auth(s);
	if (s->x->child && !s->sa->hs->child_error)
		return step_ask(s, IKE_ASK_CHILD_ACCEPT);
	step_pass(s, IKE_ASK_CHILD_ACCEPT);
	return ERR_OK;
}

enum err auth_accepted_i(struct step *s)
{
	struct child_work *w = s->x->child;
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;
	const bool agreed = w && !hs->child_error;
	enum err e = peer_new(s->e, &sa->peer);

	if (!e && agreed)
		e = child_prepare(s, w);
	if (e)
		return e;
	auth_established(s);
	resume_keep(s);
	vips_install(sa);
	if (w && !agreed) {
		auth_child_report(s, &hs->child_failure);
		if (w->chosen.spi && !child_prepare(s, w)) /* the peer has installed it */
			child_close_unused(s, w, hs->child_failure.reason);
	} else if (w && child_accept(s, w)) {
		const enum ike_reason reason = s->fail.reason;

		auth_child_report(s, &s->fail);
		child_close_unused(s, w, reason);
	} else if (w) {
		(void)child_install(s, w, true);
	} else if (sa->out.task->child_conf) { /* it comes now, by an exchange of its own */
		sa->out.task->kind = TASK_CHILD_NEW;
		s->again = true;
	}
	sa_handshake_free(sa);
	return ERR_OK;
}
