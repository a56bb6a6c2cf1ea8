/* SPDX-License-Identifier: Apache-2.0 */
/* eap_r.c - IKE_AUTH with EAP as responder (RFC 7296 2.16). */
#include "control/ike/candidates.h"
#include "control/ike/crash.h"
#include "control/ike/eap.h"
#include "control/ike/handlers.h"
#include "control/ike/ppk.h"

/* PEER_LINES_PER_S - lines that a peer can cause at will. */
#define PEER_LINES_PER_S 20

/* EAP alone is to authenticate both (RFC 5998). */
static bool is_alone(const struct ike_sa *sa)
{
	return sa->conn->local.auth == CONF_AUTH_EAP;
}

static enum err not_offered(struct step *s)
{
	char peer[128];

	return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
			 "the peer %s wants to authenticate itself by EAP, which is not offered "
			 "here: set `auth = psk` or `auth = pubkey` there, or a method of EAP in "
			 "`remote` here",
			 ike_id_text(peer, sizeof(peer), &s->sa->remote_id));
}

/* The request has the offers of the last one, which come to something when EAP is over: it is
 * kept. */
static enum err keep_request(struct step *s)
{
	const struct conf_conn *conns[MATCH_MAX] = {s->sa->conn};
	struct handshake *hs = s->sa->hs;

	return hs->candidates ? ERR_OK : candidates_new(&hs->candidates, conns, 1, s->msg);
}

enum err eap_begin_r(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct wire_notify n;
	enum err e = eap_take_id(s, PAYLOAD_IDI);

	if (e)
		return e;
	sa->hs->auth_method = MATCH_EAP;
	auth_take_path(s);
	e = auth_choose_connection(s);
	if (!e && sa->conn->remote.auth != CONF_AUTH_EAP)
		return not_offered(s);
	if (!e && is_alone(sa) && !wire_notify_find(&n, s->msg, NOTIFY_EAP_ONLY_AUTHENTICATION))
		return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
				 "connection %s proves itself by EAP alone, and the peer does not "
				 "say that it takes that (RFC 5998)",
				 sa->conn->name);
	if (!e)
		e = keep_request(s);
	if (e)
		return e;
	sa->fragments = sa->hs->fragments && sa->conn->fragmentation == FRAGMENTATION_YES;
	sa->local_id = match_local_id(sa->conn, &sa->path);
	return auth_ask_own(s);
}

static enum err begin(struct step *s)
{
	const struct conf_side *remote = &s->sa->conn->remote;
	const bool relays = remote->eap == CONF_EAP_RADIUS;
	struct handshake *hs = s->sa->hs;
	const struct eap_params p = {
		.crypto = s->e->crypto,
		.server = true,
		.type = relays ? EAP_TYPE_NONE : remote->eap,
		.relay = relays,
		.alone = is_alone(s->sa),
		.asks_identity = remote->eap_asks,
		.identity = s->sa->remote_id,
	};
	enum err e = eap_new(&hs->eap, &p);
	char peer[128];

	if (!e)
		e = eap_begin(hs->eap);
	if (e != ERR_AUTH)
		return e;
	return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
			 "%s is not believed by EAP: %s",
			 ike_id_text(peer, sizeof(peer), &s->sa->remote_id), eap_why(hs->eap));
}

enum err eap_signed_r(struct step *s)
{
	enum err e = is_alone(s->sa) ? ERR_OK : auth_make_own(s);

	if (!e)
		e = begin(s);
	if (!e && eap_waits(s->sa->hs->eap)) { /* the first word is another server's */
		s->stay = true;
		return eap_want(s);
	}
	return e ? e : eap_begun_r(s);
}

enum err eap_begun_r(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	enum err e = eap_waits(hs->eap) ? eap_proceed(s) : ERR_OK;

	if (e)
		return e;
	step_reply(s);
	wire_id_build(&s->b, PAYLOAD_IDR, &s->sa->local_id);
	auth_build_certs(s);
	if (hs->own_auth_len)
		auth_build_own(s);
	hs->own_auth_len = 0; /* the last one is of EAP's key */
	eap_build(s);
	return ERR_OK;
}

enum err eap_request_r(struct step *s)
{
	return eap_feed(s, ike_msg_body(s->msg, PAYLOAD_EAP));
}

/* It is known already that it will fail, and whether the peer waits for the end is not. */
static void say_doubt(struct step *s)
{
	const struct eap *x = s->sa->hs->eap;
	char peer[128];

	if (eap_why(x)[0] && log_limited(&s->e->log_limit, PEER_LINES_PER_S, s->now_ns))
		LOG(INFO, IKE, s->sa->conn->name, "[%u] EAP of %s: %s", s->sa->unique,
		    ike_id_text(peer, sizeof(peer), eap_identity(x)), eap_why(x));
}

enum err eap_answer_r(struct step *s)
{
	enum err e = eap_proceed(s);

	if (e || eap_waits(s->sa->hs->eap))
		return e;
	say_doubt(s);
	step_reply(s);
	eap_build(s);
	return ERR_OK;
}

enum err eap_final_r(struct step *s)
{
	enum err e = eap_take_auth(s);

	if (e)
		return e;
	crash_take(s->sa, s->msg);
	return ppk_ask_r(s);
}

enum err eap_verify_r(struct step *s)
{
	enum err e = ppk_take_answer(s);

	if (!e)
		e = eap_check_auth(s, true);
	if (!e)
		e = ppk_settle(s);
	if (!e)
		e = auth_check_unique(s);
	if (!e)
		e = eap_make_own(s);
	if (e)
		return e;
	if (eap_session_s(s->sa->hs->eap))
		s->sa->session_ns = s->now_ns + eap_session_s(s->sa->hs->eap) * (uint64_t)NS_PER_S;
	s->msg = &s->sa->hs->candidates->msg;
	e = auth_take_connection(s);
	s->msg = NULL;
	return e ? e : step_ask(s, IKE_ASK_AUTHORIZE);
}
