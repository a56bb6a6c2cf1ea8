/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/eap.h"

#include <stdio.h>

#include "control/auth/verify.h"
#include "control/ike/ppk.h"

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

/* By what each wish is answered. */
static const enum ike_ask_kind kinds[] = {
	[EAP_WANTS_PACKET] = IKE_ASK_EAP_SECRET, /* passed */
	[EAP_WANTS_SECRET] = IKE_ASK_EAP_SECRET,  [EAP_WANTS_KEY] = IKE_ASK_EAP_KEY,
	[EAP_WANTS_CHAIN] = IKE_ASK_VERIFY_CHAIN, [EAP_WANTS_NOTHING] = IKE_ASK_EAP_SECRET,
	[EAP_WANTS_SERVER] = IKE_ASK_EAP_SERVER,
};

bool eap_waits(const struct eap *x)
{
	return eap_wants(x) != EAP_WANTS_PACKET && eap_wants(x) != EAP_WANTS_NOTHING;
}

enum err eap_want(struct step *s)
{
	const struct eap *x = s->sa->hs->eap;

	if (eap_waits(x))
		return step_ask(s, kinds[eap_wants(x)]);
	step_pass(s, kinds[eap_wants(x)]);
	return ERR_OK;
}

enum err eap_feed(struct step *s, struct bytes packet)
{
	enum err e = eap_take(s->sa->hs->eap, packet);

	if (!e)
		e = eap_want(s);
	return e ? failed(s, e) : ERR_OK;
}

/* Whose certificate the other side has to show. */
static const struct ike_id *shown_id(const struct ike_sa *sa)
{
	const struct ike_id *aaa = &sa->conn->local.aaa_id;

	if (!sa->initiator)
		return eap_identity(sa->hs->eap);
	return aaa->type ? aaa : &sa->remote_id;
}

/* What is vouched for is what was shown in TLS, and its key speaks for the identity (S22). */
static bool believes(const struct step *s, char why[static KEY_WHY_MAX])
{
	struct bytes chain[EAP_MAX_CERTS];
	const struct ike_answer *a = s->answer;

	snprintf(why, KEY_WHY_MAX, "%.150s",
		 a->text ? a->text : "its certificate is not the one that is vouched for");
	if (!a->allow || !eap_chain(s->sa->hs->eap, chain))
		return false;
	for (uint32_t i = 0; i < a->num_trust; i++) {
		if (bytes_equal(a->trust[i].cert, chain[0]))
			return !auth_check_cert(why, chain[0], shown_id(s->sa));
	}
	return false;
}

/* Nobody who knows the peer could be asked: that says nothing of the peer. */
static enum err not_asked(struct step *s)
{
	const struct ike_answer *a = s->answer;
	char peer[128];

	s->fail.eap = true;
	return step_fail(s, a->reason ? a->reason : IKE_REASON_REFUSED,
			 NOTIFY_AUTHENTICATION_FAILED, "who %s is could not be found out: %.220s",
			 ike_id_text(peer, sizeof(peer), eap_identity(s->sa->hs->eap)),
			 a->text ? a->text : "no answer in time");
}

static enum err relay(struct step *s)
{
	const struct ike_aaa *aaa = s->answer->aaa;
	struct eap_relayed relayed;
	struct eap_answer answer = {.why = s->answer->text};
	enum err e;

	if (!s->answer->allow || !aaa)
		return not_asked(s);
	relayed = (struct eap_relayed){.accepted = aaa->accepted,
				       .packet = aaa->packet,
				       .msk = aaa->key,
				       .token = aaa->token,
				       .name = aaa->name,
				       .session_s = aaa->session_s};
	answer.relayed = &relayed;
	e = eap_answer(s->sa->hs->eap, &answer);
	return e ? failed(s, e) : ERR_OK;
}

enum err eap_proceed(struct step *s)
{
	struct eap *x = s->sa->hs->eap;
	struct bytes certs[EAP_MAX_CERTS];
	const struct ike_answer *a = s->answer;
	struct eap_answer answer = {.certs = certs, .why = a->text};
	char why[KEY_WHY_MAX];
	enum err e;

	if (!eap_waits(x))
		return ERR_OK;
	if (eap_wants(x) == EAP_WANTS_SERVER)
		return relay(s);
	if (eap_wants(x) == EAP_WANTS_CHAIN) {
		answer.believed = believes(s, why);
		answer.why = why;
	} else if (a->allow) {
		answer.secret = a->secret;
		while (answer.num_certs < a->num_certs && answer.num_certs < EAP_MAX_CERTS) {
			certs[answer.num_certs] = a->certs[answer.num_certs].data;
			answer.num_certs++;
		}
	}
	e = eap_answer(x, &answer);
	if (!e && eap_waits(x)) {
		s->stay = true;
		e = eap_want(s);
	}
	return e ? failed(s, e) : ERR_OK;
}

uint32_t eap_asked_certs(const struct ike_sa *sa, struct ike_cert out[static IKE_MAX_CERTS],
			 const struct ike_id **out_id)
{
	struct bytes chain[EAP_MAX_CERTS];
	const uint32_t num = eap_chain(sa->hs->eap, chain);

	for (uint32_t i = 0; i < num; i++)
		out[i] = (struct ike_cert){.encoding = CERT_X509_SIGNATURE, .data = chain[i]};
	*out_id = shown_id(sa);
	return num;
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
	return auth_take_certreqs(s); /* certificates are EAP's own */
}

/* With the one or the other transcript of a responder (S41). */
static enum err verify(struct step *s, struct auth_proof **out, struct bytes request)
{
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;
	struct auth_psk_params p = {
		.octets =
			auth_octets_of(sa, false, bytes_of(hs->peer_id_body, hs->peer_id_body_len)),
		.local = &sa->local_id,
		.method = hs->auth_method,
		.auth = ppk_auth(hs),
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

enum err eap_take_auth(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct wire_auth auth;

	if (wire_auth_parse(&auth, ike_msg_body(s->msg, PAYLOAD_AUTH)) ||
	    auth.value.len > sizeof(hs->auth))
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's AUTH payload does not follow the format");
	memcpy(hs->auth, auth.value.p, auth.value.len);
	hs->auth_len = auth.value.len;
	hs->auth_method = auth.method;
	return ERR_OK;
}

static enum err find(struct step *s, struct auth_proof **out)
{
	const struct handshake *hs = s->sa->hs;
	enum err e = verify(s, out, bytes_of(hs->request, hs->request_len));

	if (e == ERR_AUTH && hs->request2)
		e = verify(s, out, bytes_of(hs->request2, hs->request2_len));
	return e;
}

static enum err retry(struct step *s)
{
	return find(s, NULL);
}

static enum err wrong(struct step *s)
{
	char peer[128], doubt[PPK_DOUBT];

	ike_id_text(peer, sizeof(peer), &s->sa->remote_id);
	if (!eap_msk(s->sa->hs->eap).len)
		return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
				 "%s sends AUTH before EAP is complete", peer);
	return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
			 "the AUTH value of %s is not made of the key that EAP came to%s", peer,
			 ppk_doubt(doubt, s->sa));
}

enum err eap_check_auth(struct step *s, bool proves)
{
	struct auth_proof *proof = NULL;
	enum err e = ppk_choose(s);

	if (e)
		return e;
	e = find(s, proves ? &proof : NULL);
	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return e;
	if (e == ERR_AUTH && ppk_plainly(s, retry))
		return ppk_differs(s);
	if (e)
		return wrong(s);
	return proves ? auth_admit(s, proof) : ERR_OK;
}
