/* SPDX-License-Identifier: Apache-2.0 */
/* eap_i.c - IKE_AUTH with EAP as initiator (RFC 7296 2.16). */
#include "base/alloc.h"
#include "control/ike/crash.h"
#include "control/ike/eap.h"
#include "control/ike/handlers.h"
#include "control/ike/ppk.h"

/* EAP alone is to authenticate both (RFC 5998). */
static bool is_alone(const struct ike_sa *sa)
{
	return sa->conn->remote.auth == CONF_AUTH_EAP;
}

/* The conversation's first packet waits until the server has proven itself (S23). */
static enum err hold(struct step *s)
{
	const struct bytes packet = ike_msg_body(s->msg, PAYLOAD_EAP);
	struct handshake *hs = s->sa->hs;

	mem_free(hs->eap_first);
	hs->eap_first = mem_dup(packet.p, packet.len);
	hs->eap_first_len = packet.len;
	return hs->eap_first || !packet.len ? ERR_OK : ERR_NOMEM;
}

static enum err not_wanted(struct step *s)
{
	return step_fail(s, IKE_REASON_AUTH_FAILED_PEER, 0,
			 "the peer wants EAP of this side, and connection %s proves itself "
			 "otherwise: set `auth = eap` in its `local` section",
			 s->sa->conn->name);
}

enum err eap_server_response(struct step *s)
{
	enum err e;

	if (s->sa->conn->local.auth != CONF_AUTH_EAP)
		return not_wanted(s);
	if (is_alone(s->sa))
		return step_fail(s, IKE_REASON_AUTH_FAILED_PEER, 0,
				 "the server proves itself by more than EAP: set in `remote` of "
				 "connection %s what by",
				 s->sa->conn->name);
	if (s->sa->conn->remote.auth != CONF_AUTH_PUBKEY) /* S23 */
		return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
				 "the server wants to know who we are, and connection %s asks it "
				 "for no signature that is believed: nothing is told",
				 s->sa->conn->name);
	e = auth_take_peer(s, PAYLOAD_IDR);
	if (!e)
		e = hold(s);
	return e ? e : auth_ask_peer(s);
}

enum err eap_alone_response(struct step *s)
{
	enum err e;

	if (s->sa->conn->local.auth != CONF_AUTH_EAP)
		return not_wanted(s);
	if (!is_alone(s->sa)) /* S23 */
		return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, 0,
				 "the server wants to know who we are, and does not say who it is "
				 "(no AUTH): nothing is told");
	e = eap_take_id(s, PAYLOAD_IDR);
	if (!e) /* it proves that it is this one later, or none; our name is told before (S23) */
		e = auth_check_id(s, &s->sa->remote_id);
	if (!e)
		e = hold(s);
	if (!e)
		step_pass(s, IKE_ASK_VERIFY_CHAIN);
	return e;
}

static enum err begin(struct step *s)
{
	const struct conf_side *local = &s->sa->conn->local;
	const struct eap_params p = {
		.crypto = s->e->crypto,
		.type = local->eap,
		.alone = is_alone(s->sa),
		.identity = local->eap_id.type ? local->eap_id : s->sa->local_id,
	};

	return eap_new(&s->sa->hs->eap, &p);
}

enum err eap_verify_i(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	enum err e = is_alone(s->sa) ? ERR_OK : auth_check_peer(s);

	if (!e)
		e = begin(s);
	return e ? e : eap_feed(s, bytes_of(hs->eap_first, hs->eap_first_len));
}

enum err eap_response_i(struct step *s)
{
	return eap_feed(s, ike_msg_body(s->msg, PAYLOAD_EAP));
}

enum err eap_answer_i(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	enum err e = eap_proceed(s);

	if (!e && eap_wants(hs->eap) == EAP_WANTS_NOTHING)
		e = eap_make_own(s);
	if (!e && hs->own_auth_len && ppk_made(s->sa))
		e = eap_make_own(s);
	if (e || eap_waits(hs->eap))
		return e;
	step_request(s, IKE_AUTH);
	if (!hs->own_auth_len) {
		eap_build(s);
		return ERR_OK;
	}
	auth_build_own(s);
	ppk_build(s);
	crash_offer(s, s->sa);
	return ERR_OK;
}

enum err eap_final_i(struct step *s)
{
	enum err e = eap_take_auth(s);

	if (!e)
		e = ppk_take_i(s);
	if (!e)
		e = eap_check_auth(s, is_alone(s->sa));
	if (!e)
		e = ppk_settle(s);
	if (!e)
		e = auth_take_offers(s);
	return e ? e : step_ask(s, IKE_ASK_AUTHORIZE);
}
