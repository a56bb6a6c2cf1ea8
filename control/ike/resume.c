/* SPDX-License-Identifier: Apache-2.0 */
/* resume.c - what both sides of session resumption have in common (RFC 5723 5.1). */
#include "control/ike/resume.h"

#include "base/alloc.h"
#include "control/auth/verify.h"
#include "control/ike/auth.h"
#include "control/ike/eap.h"

static void held_free(struct held_ticket *h)
{
	if (!h)
		return;
	mem_free(h->conn);
	secret_fini(&h->sk_d);
	auth_proof_put(h->proof);
	auth_certs_free(h->certs, &h->num_certs);
	if (h->ticket)
		secret_wipe(h->ticket, h->ticket_len);
	mem_free(h->ticket);
	mem_free(h);
}

void resume_fini(struct handshake_resume *r)
{
	secret_fini(&r->text);
	secret_wipe(&r->ticket, sizeof(r->ticket));
	held_free(r->held);
	r->held = NULL;
	mem_free(r->got);
	r->got = NULL;
}

void resume_free_all(struct ike_engine *e)
{
	list_for_each_safe (n, &e->held) {
		struct held_ticket *h = list_entry(n, struct held_ticket, node);

		list_remove(&h->node);
		held_free(h);
	}
}

bool resume_is_certified(const struct auth_proof_params *p)
{
	return p->method == AUTH_METHOD_PKIX_TRUSTED || p->method == AUTH_METHOD_PKIX_INLINE ||
	       (p->method == AUTH_METHOD_EAP && p->eap == CONF_EAP_TLS);
}

enum err resume_certs(const struct ike_sa *sa, const struct auth_proof_params *p,
		      struct ike_cert out[static TICKET_CERTS], uint32_t *out_num)
{
	const struct handshake *hs = sa->hs;
	struct ike_cert shown[IKE_MAX_CERTS];
	const struct ike_cert *from = hs->certs;
	uint32_t num = hs->num_certs;
	const struct ike_id *id;

	if (hs->eap && p->method == AUTH_METHOD_EAP) {
		num = eap_asked_certs(sa, shown, &id);
		from = shown;
	}
	*out_num = 0;
	for (uint32_t i = 0; i < num; i++) {
		if (from[i].encoding == CERT_OCSP_CONTENT) /* it would be old by then */
			continue;
		if (from[i].encoding != CERT_X509_SIGNATURE)
			return ERR_UNSUPPORTED;
		if (*out_num == TICKET_CERTS)
			return ERR_LIMIT;
		out[(*out_num)++] = from[i];
	}
	return ERR_OK;
}

bool resume_still_holds(const struct ike_answer *a, const struct ike_cert *certs, uint32_t num)
{
	if (!num)
		return true;
	for (uint32_t i = 0; a->allow && i < a->num_trust; i++)
		if (bytes_equal(a->trust[i].cert, certs[0].data))
			return true;
	return false;
}

enum err resume_derive(struct ike_sa *sa, const struct secret *sk_d)
{
	const struct handshake *hs = sa->hs;
	enum err e;

	sa_chosen_text(sa->proposal, &sa->suite);
	e = ike_keys_derive(sa->e->crypto, &sa->keys,
			    &(struct ike_keys_params){.encr = sa->suite.encr,
						      .prf = sa->suite.prf,
						      .spi_i = sa->spi_i,
						      .spi_r = sa->spi_r,
						      .ni = nonce_bytes(&hs->ni),
						      .nr = nonce_bytes(&hs->nr),
						      .resumed = sk_d});
	return e ? e : sa_keys_install(sa);
}

enum err resume_make_own(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	uint8_t buf[WIRE_ID_BODY_MAX];
	struct auth_octets o = auth_octets_of(s->sa, true, wire_id_body(buf, &s->sa->local_id));
	enum err e = auth_resumed_compute(s->e->crypto, hs->own_auth, &o);

	if (e)
		return e;
	hs->own_method = AUTH_SHARED_KEY_MIC;
	hs->own_auth_len = prf_len(s->sa->suite.prf);
	return ERR_OK;
}

/* With the one or the other transcript of a responder (S41). */
static enum err verify(struct step *s, struct auth_proof **out,
		       const struct auth_proof_params *proven, struct bytes request)
{
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;
	struct auth_psk_params p = {
		.octets =
			auth_octets_of(sa, false, bytes_of(hs->peer_id_body, hs->peer_id_body_len)),
		.local = &sa->local_id,
		.method = hs->auth_method,
		.auth = bytes_of(hs->auth, hs->auth_len),
	};

	if (!sa->initiator)
		p.octets.message = request;
	return auth_verify_resumed(s->e->crypto, out, &p, proven);
}

enum err resume_auth_check(struct step *s, const struct auth_proof_params *proven)
{
	const struct handshake *hs = s->sa->hs;
	struct auth_proof *proof = NULL;
	char peer[128];
	enum err e = verify(s, &proof, proven, bytes_of(hs->request, hs->request_len));

	if (e == ERR_AUTH && hs->request2)
		e = verify(s, &proof, proven, bytes_of(hs->request2, hs->request2_len));
	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return e;
	if (e)
		return step_fail(
			s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
			"the AUTH value of %s does not show that it has the keys of the IKE "
			"SA that it resumes",
			ike_id_text(peer, sizeof(peer), &s->sa->remote_id));
	return auth_admit(s, proof);
}

void resume_end(struct ike_sa *sa, enum ike_reason reason)
{
	if (sa->state == SA_I_RESUME && sa->hs && reason == IKE_REASON_NO_ANSWER)
		resume_back(sa);
	if (reason != IKE_REASON_NO_ANSWER)
		ticket_spend(&sa->e->tickets, sa->ticket);
	list_for_each_safe (n, &sa->e->held) {
		struct held_ticket *h = list_entry(n, struct held_ticket, node);

		if (!h->owner || h->owner != sa_our_spi(sa))
			continue;
		h->owner = 0;
		if (reason == IKE_REASON_NO_ANSWER)
			continue;
		list_remove(&h->node);
		held_free(h);
	}
}
