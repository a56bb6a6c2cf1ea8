/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/eap.h"

#include "control/auth/verify.h"

/* It failed. An initiator's peer may believe nothing yet, and is told nothing; a responder says so
 * in EAP's words too. */
static enum err failed(struct step *s, enum err e)
{
	const bool server = !s->sa->initiator;
	const struct eap *x = s->sa->hs->eap;
	char peer[128];

	ike_id_text(peer, sizeof(peer), server ? eap_identity(x) : &s->sa->remote_id);
	s->fail.eap = server;
	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return step_fail(s, IKE_REASON_RESOURCES, server ? NOTIFY_AUTHENTICATION_FAILED : 0,
				 "EAP cannot go on with %s: %s", peer, err_text(e));
	if (server)
		return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
				 "%s is not believed by EAP: %s", peer,
				 eap_why(x)[0] ? eap_why(x) : err_text(e));
	return step_fail(s, IKE_REASON_AUTH_FAILED_PEER, 0, "EAP with %s failed: %s", peer,
			 eap_why(x)[0] ? eap_why(x) : err_text(e));
}

static enum err want(struct step *s)
{
	if (eap_wants(s->sa->hs->eap) == EAP_WANTS_SECRET)
		return step_ask(s, IKE_ASK_EAP_SECRET);
	step_pass(s, IKE_ASK_EAP_SECRET);
	return ERR_OK;
}

enum err eap_feed(struct step *s, struct bytes packet)
{
	enum err e = eap_take(s->sa->hs->eap, packet);

	if (!e)
		e = want(s);
	return e ? failed(s, e) : ERR_OK;
}

enum err eap_proceed(struct step *s)
{
	struct eap *x = s->sa->hs->eap;
	enum err e;

	if (eap_wants(x) != EAP_WANTS_SECRET)
		return ERR_OK;
	e = eap_answer(x, s->answer->allow ? s->answer->secret : bytes_of(NULL, 0));
	return e ? failed(s, e) : ERR_OK;
}

void eap_build(struct step *s)
{
	const struct bytes packet = eap_packet(s->sa->hs->eap);

	writer_bytes(ike_build_payload(&s->b, PAYLOAD_EAP), packet.p, packet.len);
}

enum err eap_make_own(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	uint8_t buf[WIRE_ID_BODY_MAX];
	struct auth_octets o = auth_octets_of(s->sa, true, wire_id_body(buf, &s->sa->local_id));
	enum err e = auth_psk_compute(s->e->crypto, hs->own_auth, &o, eap_msk(hs->eap));

	if (e)
		return e;
	hs->own_method = AUTH_SHARED_KEY_MIC;
	hs->own_auth_len = prf_len(s->sa->suite.prf);
	return ERR_OK;
}

enum err eap_take_id(struct step *s, uint8_t id_payload)
{
	struct bytes id = ike_msg_body(s->msg, id_payload);
	struct handshake *hs = s->sa->hs;

	if (wire_id_parse(&s->sa->remote_id, id) || id.len > sizeof(hs->peer_id_body) ||
	    s->sa->remote_id.type == ID_NULL)
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's identity does not follow the format, or is nobody's");
	memcpy(hs->peer_id_body, id.p, id.len);
	hs->peer_id_body_len = id.len;
	return auth_take_certs(s);
}

/* With the one or the other transcript of a responder (S41). */
static enum err verify(struct step *s, const struct wire_auth *auth, struct auth_proof **out,
		       struct bytes request)
{
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;
	struct auth_psk_params p = {
		.octets =
			auth_octets_of(sa, false, bytes_of(hs->peer_id_body, hs->peer_id_body_len)),
		.local = &sa->local_id,
		.method = auth->method,
		.auth = auth->value,
		.psk = eap_msk(hs->eap),
		.eap = eap_type(hs->eap),
		.proven = sa->initiator ? NULL : eap_identity(hs->eap),
		.local_key = bytes_of(hs->own_key, hs->own_key_len),
		.initiator = sa->initiator,
	};

	if (!sa->initiator)
		p.octets.message = request;
	return out ? auth_verify_eap(s->e->crypto, out, &p) : auth_check_eap(s->e->crypto, &p);
}

enum err eap_check_auth(struct step *s, bool proves)
{
	const struct handshake *hs = s->sa->hs;
	struct auth_proof *proof = NULL;
	struct wire_auth auth;
	char peer[128];
	enum err e;

	if (wire_auth_parse(&auth, ike_msg_body(s->msg, PAYLOAD_AUTH)))
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's AUTH payload does not follow the format");
	e = verify(s, &auth, proves ? &proof : NULL, bytes_of(hs->request, hs->request_len));
	if (e == ERR_AUTH && hs->request2)
		e = verify(s, &auth, proves ? &proof : NULL,
			   bytes_of(hs->request2, hs->request2_len));
	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return e;
	if (e)
		return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
				 eap_msk(hs->eap).len
					 ? "the AUTH value of %s is not made of the key that EAP "
					   "came to"
					 : "%s sends AUTH before EAP is complete",
				 ike_id_text(peer, sizeof(peer), &s->sa->remote_id));
	return proves ? auth_admit(s, proof) : ERR_OK;
}
