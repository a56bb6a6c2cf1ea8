/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/auth.h"

#include <stdio.h>

#include "base/alloc.h"
#include "control/auth/verify.h"
#include "control/child/work.h"
#include "control/ike/auth_life.h"
#include "control/ike/handlers.h"
#include "control/ike/index.h"
#include "control/ike/intermediate.h"
#include "control/ike/methods.h"
#include "control/ike/mif.h"
#include "control/ike/ppk.h"
#include "control/ike/task.h"

/* PEER_LINES_PER_S - lines that a peer can cause at will. */
#define PEER_LINES_PER_S 20

struct auth_octets auth_octets_of(const struct ike_sa *sa, bool own, struct bytes id_body)
{
	const struct handshake *hs = sa->hs;
	const bool initiators = sa->initiator == own;

	return (struct auth_octets){
		.prf = sa->suite.prf,
		.message = initiators ? bytes_of(hs->request, hs->request_len)
				      : bytes_of(hs->response, hs->response_len),
		.nonce = nonce_bytes(initiators ? &hs->nr : &hs->ni),
		.id_body = id_body,
		.sk_p = ppk_sk_p(sa, initiators),
		.int_auth = intermediate_octets(hs->between),
	};
}

static enum err no_secret(struct step *s)
{
	char peer[128], local[128];

	/* Nothing was said yet by an initiator who lacks the secret of its own AUTH. */
	return step_fail(s, IKE_REASON_NO_SECRET,
			 s->sa->state == SA_I_SECRET ? 0 : NOTIFY_AUTHENTICATION_FAILED,
			 "there is no pre-shared key for %s (peer) and %s (local): add one to "
			 "`secrets`",
			 ike_id_text(peer, sizeof(peer), &s->sa->remote_id),
			 ike_id_text(local, sizeof(local), &s->sa->local_id));
}

static enum err make_psk(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	uint8_t buf[WIRE_ID_BODY_MAX];
	struct auth_octets o = auth_octets_of(s->sa, true, wire_id_body(buf, &s->sa->local_id));
	enum err e;

	if (!s->answer->secret.len)
		return no_secret(s);
	e = auth_psk_compute(s->e->crypto, hs->own_auth, &o, s->answer->secret);
	if (e)
		return e;
	hs->own_method = AUTH_SHARED_KEY_MIC;
	hs->own_auth_len = prf_len(s->sa->suite.prf);
	return ERR_OK;
}

/* Nobody's key is SK_pi or SK_pr (RFC 7619 2.1). */
static enum err make_null(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	uint8_t buf[WIRE_ID_BODY_MAX];
	struct auth_octets o = auth_octets_of(s->sa, true, wire_id_body(buf, &s->sa->local_id));
	enum err e =
		auth_psk_compute(s->e->crypto, hs->own_auth, &o, bytes_of(o.sk_p->p, o.sk_p->len));

	if (e)
		return e;
	hs->own_method = AUTH_NULL;
	hs->own_auth_len = prf_len(s->sa->suite.prf);
	return ERR_OK;
}

enum err auth_make_own(struct step *s)
{
	switch (s->sa->conn->local.auth) {
	case CONF_AUTH_PSK:
		return make_psk(s);
	case CONF_AUTH_NULL:
		return make_null(s);
	case CONF_AUTH_EAP: /* the key comes later */
		return ERR_OK;
	case CONF_AUTH_PUBKEY:
	case CONF_AUTH_BTNS:
	case CONF_AUTH_LEAPOFFAITH:
	default:
		return auth_take_signature(s);
	}
}

void auth_build_own(struct step *s)
{
	const struct handshake *hs = s->sa->hs;

	wire_auth_build(&s->b, hs->own_method, bytes_of(hs->own_auth, hs->own_auth_len));
}

/* What nobody calls itself is for people to read, and nothing is looked up by it (RFC 7619 2.2). */
static void take_nobody(struct step *s)
{
	struct ike_sa *sa = s->sa;
	char claimed[128];

	if (sa->remote_id.type != ID_NULL &&
	    log_limited(&s->e->log_limit, PEER_LINES_PER_S, s->now_ns))
		LOG(INFO, IKE, sa->conn ? sa->conn->name : NULL,
		    "[%u] the peer does not authenticate itself: that it is %s is not believed",
		    sa->unique, ike_id_text(claimed, sizeof(claimed), &sa->remote_id));
	sa->remote_id = (struct ike_id){.type = ID_NULL};
}

enum err auth_take_peer(struct step *s, uint8_t id_payload)
{
	struct bytes id = ike_msg_body(s->msg, id_payload);
	struct handshake *hs = s->sa->hs;
	struct wire_auth auth;

	if (wire_id_parse(&s->sa->remote_id, id) || id.len > sizeof(hs->peer_id_body) ||
	    wire_auth_parse(&auth, ike_msg_body(s->msg, PAYLOAD_AUTH)) ||
	    auth.value.len > sizeof(hs->auth))
		return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				 "the peer's identity or AUTH payload does not follow the format");
	memcpy(hs->peer_id_body, id.p, id.len);
	hs->peer_id_body_len = id.len;
	memcpy(hs->auth, auth.value.p, auth.value.len);
	hs->auth_len = auth.value.len;
	hs->auth_method = auth.method;
	if (auth.method == AUTH_NULL)
		take_nobody(s);
	return auth_take_certs(s);
}

/* By a secret of the answer, or none (`auth = null`). */
static enum err verify_mac(struct step *s, struct auth_proof **out, struct bytes request)
{
	const bool null = s->sa->conn->remote.auth == CONF_AUTH_NULL;
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;
	struct auth_psk_params p = {
		.octets =
			auth_octets_of(sa, false, bytes_of(hs->peer_id_body, hs->peer_id_body_len)),
		.local = &sa->local_id,
		.method = hs->auth_method,
		.auth = ppk_auth(hs),
		.psk = s->answer->secret,
		.psk_is_group = s->answer->secret_is_group,
		.initiator = sa->initiator,
	};

	if (!sa->initiator)
		p.octets.message = request;
	return null ? auth_verify_null(s->e->crypto, out, &p)
		    : auth_verify_psk(s->e->crypto, out, &p);
}

static enum err wrong_auth(struct step *s, enum err e)
{
	char peer[128], doubt[PPK_DOUBT];

	ike_id_text(peer, sizeof(peer), &s->sa->remote_id);
	if (s->sa->conn->remote.auth == CONF_AUTH_NULL)
		return step_fail(
			s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
			e == ERR_UNSUPPORTED
				? "the peer %s authenticates itself, and nobody is wanted: set "
				  "`auth = null` there, or its method in `remote` here"
				: "the AUTH value of %s is wrong: IKE_SA_INIT was changed on the "
				  "way%s",
			peer, ppk_doubt(doubt, s->sa));
	if (e == ERR_UNSUPPORTED)
		return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
				 "the peer %s does not authenticate itself with a pre-shared key: "
				 "set `auth = psk` there",
				 peer);
	return step_fail(
		s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
		"the AUTH value of %s is wrong: the pre-shared keys of the two sides differ%s",
		peer, ppk_doubt(doubt, s->sa));
}

static enum err wrong_identity(struct step *s, const struct ike_id *id)
{
	char peer[128], text[128];
	const struct conf_side *side = &s->sa->conn->remote;
	const char *want = side->eap_id.type ? ike_id_text(text, sizeof(text), &side->eap_id)
			   : side->pattern   ? side->pattern
					     : ike_id_text(text, sizeof(text), &side->id);

	step_offers(s, want, ike_id_text(peer, sizeof(peer), id));
	return step_fail(s, IKE_REASON_ID_MISMATCH, NOTIFY_AUTHENTICATION_FAILED,
			 "the peer is %s but `remote.id` of connection %s asks for %s", peer,
			 s->sa->conn->name, want);
}

enum err auth_check_id(struct step *s, const struct ike_id *id)
{
	return conf_proven_matches(&s->sa->conn->remote, id) ? ERR_OK : wrong_identity(s, id);
}

/* What was shown is right, and not what the request demands. */
static enum err wrong_method(struct step *s, const struct auth_proof_params *proven)
{
	char peer[128], demanded[METHODS_TEXT_MAX];

	return step_fail(s, IKE_REASON_METHOD, NOTIFY_AUTHENTICATION_FAILED,
			 "the peer %s proved itself by %s, and the request demands %s",
			 ike_id_text(peer, sizeof(peer), &proven->peer),
			 auth_method_name(proven->method), methods_text(demanded, s->sa->methods));
}

/* S22: the one choke point of identities, and of methods (A14). Takes the proof over. */
enum err auth_admit(struct step *s, struct auth_proof *proof)
{
	const struct auth_proof_params *proven = auth_proof_params(proof);
	struct ike_sa *sa = s->sa;
	const bool matches = conf_proven_matches(&sa->conn->remote, &proven->peer);
	enum err e;

	if (matches && (!sa->methods || sa->methods & 1u << proven->method)) {
		auth_proof_put(sa->proof); /* of a copy of the message, which was dropped */
		sa->proof = proof;
		/* It is known by its key, or by its name in EAP. */
		if (sa->conn->remote.auth == CONF_AUTH_BTNS || proven->method == AUTH_METHOD_EAP)
			sa->remote_id = proven->peer;
		return ERR_OK;
	}
	e = matches ? wrong_method(s, proven) : wrong_identity(s, &proven->peer);
	auth_proof_put(proof);
	return e;
}

enum err auth_without_eap(struct step *s)
{
	char peer[128];

	if (s->sa->conn->remote.auth != CONF_AUTH_EAP)
		return ERR_OK;
	return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
			 "the peer %s is to prove itself by EAP, and sends AUTH at once: set "
			 "`auth = eap` there, or its method in `remote` of connection %s",
			 ike_id_text(peer, sizeof(peer), &s->sa->remote_id), s->sa->conn->name);
}

static enum err find_mac(struct step *s, struct auth_proof **out)
{
	const struct handshake *hs = s->sa->hs;
	enum err e = verify_mac(s, out, bytes_of(hs->request, hs->request_len));

	if (e == ERR_AUTH && hs->request2) /* the other transcript (S41) */
		e = verify_mac(s, out, bytes_of(hs->request2, hs->request2_len));
	return e;
}

static enum err retry_mac(struct step *s)
{
	struct auth_proof *proof = NULL;
	enum err e = find_mac(s, &proof);

	auth_proof_put(proof);
	return e;
}

static enum err check_mac(struct step *s)
{
	struct auth_proof *proof;
	enum err e = auth_without_eap(s);

	if (e)
		return e;
	if (s->sa->conn->remote.auth == CONF_AUTH_PSK && !s->answer->secret.len)
		return no_secret(s);
	e = find_mac(s, &proof);
	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return e;
	if (e == ERR_AUTH && ppk_plainly(s, retry_mac))
		return ppk_differs(s);
	return e ? wrong_auth(s, e) : auth_admit(s, proof);
}

/* ---- signatures ------------------------------------------------------------------------------ */

/* What the proof will say: a certificate that a program vouches for was sent, if it does not say
 * otherwise. */
static enum auth_method method_of(const struct conf_conn *conn, const struct ike_trust *trust)
{
	if (conn->remote.auth == CONF_AUTH_BTNS)
		return AUTH_METHOD_BTNS;
	if (conn->remote.auth == CONF_AUTH_LEAPOFFAITH)
		return AUTH_METHOD_LEAPOFFAITH;
	if (!trust->cert.len)
		return AUTH_METHOD_PUBKEY;
	if (trust->stored)
		return AUTH_METHOD_PKIX_TRUSTED;
	return trust->fetched ? AUTH_METHOD_PKIX_OFFLINE : AUTH_METHOD_PKIX_INLINE;
}

static enum err verify_signature(struct step *s, struct auth_proof **out,
				 char why[static KEY_WHY_MAX], const struct ike_trust *trust,
				 struct bytes request)
{
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;
	const struct conf_sign *sign = &sa->conn->remote.sign;
	struct auth_signature_params p = {
		.octets =
			auth_octets_of(sa, false, bytes_of(hs->peer_id_body, hs->peer_id_body_len)),
		.local = &sa->local_id,
		.local_key = bytes_of(hs->own_key, hs->own_key_len),
		.method = hs->auth_method,
		.auth = ppk_auth(hs),
		.cert = trust->cert,
		.parsed = trust->parsed,
		.key = trust->key,
		.ca = trust->ca,
		.proven = method_of(sa->conn, trust),
		.initiator = sa->initiator,
		.kinds = sign->kinds,
		.hashes = sign->hashes,
		.pss = sign->pss,
		.rsa_bits = sign->rsa_bits,
		.ecdsa_bits = sign->ecdsa_bits,
	};

	if (!sa->initiator)
		p.octets.message = request;
	return auth_verify_signature(s->e->crypto, out, why, &p);
}

/* Any key that speaks for the peer will do; the last one's fault is told. */
static enum err find_signature(struct step *s, struct auth_proof **out,
			       char why[static KEY_WHY_MAX])
{
	const struct handshake *hs = s->sa->hs;
	enum err e = ERR_AUTH;

	for (uint32_t i = 0; i < s->answer->num_trust; i++) {
		const struct ike_trust *t = &s->answer->trust[i];

		e = verify_signature(s, out, why, t, bytes_of(hs->request, hs->request_len));
		if (e == ERR_AUTH && hs->request2) /* the other transcript (S41) */
			e = verify_signature(s, out, why, t,
					     bytes_of(hs->request2, hs->request2_len));
		if (!e || e == ERR_NOMEM || e == ERR_CRYPTO)
			return e;
	}
	return e;
}

static enum err wrong_signature(struct step *s, enum err e, const char *why)
{
	const enum ike_reason reason = e == ERR_NOT_FOUND ? IKE_REASON_CERT_NAME
				       : e == ERR_LIMIT   ? IKE_REASON_CERT_WEAK
							  : IKE_REASON_AUTH_FAILED_LOCAL;
	char peer[128], doubt[PPK_DOUBT];

	ike_id_text(peer, sizeof(peer), &s->sa->remote_id);
	if (why[0])
		return step_fail(s, reason, NOTIFY_AUTHENTICATION_FAILED, "%s is not believed: %s",
				 peer, why);
	return step_fail(s, reason, NOTIFY_AUTHENTICATION_FAILED,
			 "%s is not believed: the signature in its AUTH payload is wrong%s", peer,
			 ppk_doubt(doubt, s->sa));
}

static enum err retry_signature(struct step *s)
{
	struct auth_proof *proof = NULL;
	char why[KEY_WHY_MAX];
	enum err e = find_signature(s, &proof, why);

	auth_proof_put(proof);
	return e;
}

static enum err not_trusted(struct step *s)
{
	const struct ike_answer *a = s->answer;
	char peer[128];

	return step_fail(s, a->reason ? a->reason : IKE_REASON_REFUSED,
			 NOTIFY_AUTHENTICATION_FAILED, "%s is not believed: %s",
			 ike_id_text(peer, sizeof(peer), &s->sa->remote_id),
			 a->text ? a->text : "its certificate was not vouched for in time");
}

/* A name that stands in full in one connection is remembered of its peers alone: else whoever calls
 * from elsewhere would choose the key by which that one's peer is known. */
static bool comes_before(const struct conf_side *a, const struct conf_side *b)
{
	const uint32_t x = conf_auth_rank(a->auth), y = conf_auth_rank(b->auth);

	if (x != y || a->auth != CONF_AUTH_LEAPOFFAITH)
		return x > y;
	return a->id.type && !a->pattern && (!b->id.type || b->pattern);
}

/* Who is believed for less does not call itself by a name that another connection wants more for
 * (RFC 5386 3): that one's peers would not be told from it, and it is no way around what that one
 * asks. */
static const struct conf_conn *named_by_another(const struct ike_sa *sa)
{
	const struct conf *conf = sa->e->conf;

	for (uint32_t i = 0; i < conf->num_conns; i++) {
		const struct conf_conn *c = conf->conns[i];

		if ((c->remote.id.type || c->remote.pattern) &&
		    comes_before(&c->remote, &sa->conn->remote) &&
		    conf_id_matches(&c->remote, &sa->remote_id))
			return c;
	}
	return NULL;
}

/* Whom we call, and whose key is remembered by a name, has one: else whoever answers would choose
 * another each time. */
static bool has_no_name(const struct ike_sa *sa)
{
	const struct conf_side *remote = &sa->conn->remote;

	return sa->initiator && remote->auth == CONF_AUTH_LEAPOFFAITH &&
	       (!remote->id.type || remote->pattern);
}

static enum err check_signature(struct step *s)
{
	const struct conf_conn *other = named_by_another(s->sa);
	char why[KEY_WHY_MAX] = "", peer[128];
	struct auth_proof *proof;
	enum err e;

	if (s->sa->hs->auth_method == AUTH_SHARED_KEY_MIC || s->sa->hs->auth_method == AUTH_NULL)
		return step_fail(s, IKE_REASON_AUTH_FAILED_LOCAL, NOTIFY_AUTHENTICATION_FAILED,
				 "the peer %s %s, and a signature is wanted: set `auth = pubkey` "
				 "there",
				 ike_id_text(peer, sizeof(peer), &s->sa->remote_id),
				 s->sa->hs->auth_method == AUTH_NULL
					 ? "does not authenticate itself"
					 : "authenticates itself with a pre-shared key");
	if (has_no_name(s->sa))
		return step_fail(
			s, IKE_REASON_ID_MISMATCH, NOTIFY_AUTHENTICATION_FAILED,
			"connection %s does not say by which name the key of whom it calls "
			"is remembered: set `remote.id`",
			s->sa->conn->name);
	if (other)
		return step_fail(s, IKE_REASON_ID_MISMATCH, NOTIFY_AUTHENTICATION_FAILED,
				 "the peer says that it is %s, whom connection %s asks for itself",
				 ike_id_text(peer, sizeof(peer), &s->sa->remote_id), other->name);
	if (!s->answer->allow)
		return not_trusted(s);
	e = find_signature(s, &proof, why);
	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return e;
	if (e == ERR_AUTH && ppk_plainly(s, retry_signature))
		return ppk_differs(s);
	return e ? wrong_signature(s, e, why) : auth_admit(s, proof);
}

enum err auth_refuse(struct step *s)
{
	const struct ike_answer *a = s->answer;
	char peer[128];

	if (!a->text)
		return step_fail(s, IKE_REASON_REFUSED, NOTIFY_AUTHENTICATION_FAILED,
				 "the authenticated peer was refused here");
	return step_fail(s, a->reason, NOTIFY_AUTHENTICATION_FAILED, "%s is not believed: %s",
			 ike_id_text(peer, sizeof(peer), &s->sa->remote_id), a->text);
}

enum err auth_check_peer(struct step *s)
{
	enum err e = ppk_choose(s);

	if (e)
		return e;
	return conf_auth_signs(s->sa->conn->remote.auth) ? check_signature(s) : check_mac(s);
}

void auth_child_failed(struct step *s)
{
	struct handshake *hs = s->sa->hs;

	hs->child_error = s->fail.notify ? s->fail.notify : NOTIFY_NO_PROPOSAL_CHOSEN;
	hs->child_failure = s->fail;
	s->fail = (struct failure){.reason = IKE_REASON_NONE};
}

/* Another one joins the same two, as far as the peer's name is known yet. */
static bool is_contact(const struct ike_sa *sa, const struct ike_sa *o)
{
	if (strcmp(o->conn->name, sa->conn->name) == 0)
		return true;
	if (!conf_id_equal(&o->local_id, &sa->local_id))
		return false;
	return sa->remote_id.type ? conf_id_equal(&o->remote_id, &sa->remote_id)
				  : ip_addr_equal(&o->path.remote.addr, &sa->path.remote.addr);
}

bool auth_first_contact(const struct ike_sa *sa)
{
	list_for_each (n, &sa->e->sas) {
		const struct ike_sa *o = list_entry(n, struct ike_sa, node);

		if (o != sa && o->conn && o->state == SA_ESTABLISHED && is_contact(sa, o))
			return false;
	}
	return true;
}

/* The same two are joined by it already. A name that is good enough for one connection says nothing
 * about another's peers: that one may ask for more than this one did. Who is nobody is not found by
 * sa_first_of(). */
static bool is_twin(const struct ike_sa *sa, const struct ike_sa *o)
{
	return o != sa && o->state == SA_ESTABLISHED && !o->quiet &&
	       strcmp(o->conn->name, sa->conn->name) == 0 &&
	       conf_id_equal(&o->remote_id, &sa->remote_id) &&
	       conf_id_equal(&o->local_id, &sa->local_id);
}

/* INITIAL_CONTACT (2.4): the peer has no other SA with us; or `unique` says that it is to have one
 * only. What we still have is closed in the orderly way, in case it was only slow to arrive. When
 * both begin at once, one of the two is established before the other's AUTH is read, so that not
 * both are closed. Who is sent elsewhere has nothing here in its place yet. */
static bool replaces_older(const struct ike_sa *sa)
{
	if (sa->conn->unique == UNIQUE_NEVER || sa->hs->redirected)
		return false;
	return sa->hs->initial_contact || (sa->conn->unique == UNIQUE_REPLACE && !sa->initiator);
}

enum err auth_check_unique(struct step *s)
{
	char peer[128], there[ENDPOINT_TEXT_MAX];
	const struct ike_sa *o;
	struct ike_sa *sa = s->sa;

	if (sa->conn->unique != UNIQUE_KEEP)
		return ERR_OK;
	for (o = sa_first_of(s->e, &sa->remote_id); o; o = sa_next_of(o)) {
		if (!is_twin(sa, o) || !sa_usable(o) ||
		    ip_addr_equal(&o->path.remote.addr, &sa->path.remote.addr))
			continue;
		return step_fail(s, IKE_REASON_REFUSED, NOTIFY_AUTHENTICATION_FAILED,
				 "%s is connected from %s already, and `unique = keep` of "
				 "connection %s lets nobody take its place",
				 ike_id_text(peer, sizeof(peer), &sa->remote_id),
				 endpoint_text(there, &o->path.remote), sa->conn->name);
	}
	return ERR_OK;
}

static void close_older(struct step *s)
{
	struct ike_sa *sa = s->sa, *o;

	for (o = sa_first_of(s->e, &sa->remote_id); o; o = sa_next_of(o)) {
		if (!is_twin(sa, o))
			continue;
		o->reason = IKE_REASON_REPLACED;
		if (task_need(o, TASK_IKE_DELETE, 0) != ERR_NOMEM)
			step_task_later(o);
	}
}

void auth_established(struct step *s)
{
	char remote[ENDPOINT_TEXT_MAX], peer[128];
	struct ike_sa *sa = s->sa;

	if (sa->origin.family == IP_NONE) /* else that of the one whose place it takes */
		sa->origin = sa->path.remote.addr;
	sa->confirmed = true;
	mif_begin(sa);
	sa_established(sa, s->now_ns);
	auth_life_start(sa, s->now_ns);
	action_event(sa, IKE_EVENT_IKE_UP, NULL, IKE_REASON_NONE, sa->request,
		     "established with %s (%s), %s%s",
		     ike_id_text(peer, sizeof(peer), &sa->remote_id),
		     endpoint_text(remote, &sa->path.remote), sa->proposal,
		     sa->hs->resume.held || sa->hs->resume.text.len ? ", resumed" : "");
	if (replaces_older(sa))
		close_older(s);
}

void auth_child_report(struct step *s, const struct failure *f)
{
	const struct child_work *w = s->x->child; /* NULL: none was asked for, but an address was */

	s->e->stats.failed++;
	step_report(s, f, w && w->conf ? w->conf->name : NULL, w && wish_narrow(w->wish));
}
