/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/ppk.h"

#include <stdio.h>

#include "control/auth/verify.h"
#include "control/ike/auth.h"
#include "control/ike/handlers.h"

/* PEER_LINES_PER_S - lines that a peer can cause at will. */
#define PEER_LINES_PER_S 20

static bool wanted(const struct conf_conn *conn)
{
	return conn->ppk_id.len || conn->ppk_required;
}

static bool has_keys(const struct handshake *hs)
{
	return hs->ppk.keys.sk_d.len != 0;
}

/* What a PPK is called, for people. */
static const char *name_of(char buf[static 128], const struct ike_sa *sa)
{
	return ike_id_text(buf, 128, &sa->hs->ppk.id);
}

/* ---- IKE_SA_INIT ----------------------------------------------------------------------------- */

void ppk_offer(struct step *s)
{
	const struct ike_sa *sa = s->sa;

	if (sa->initiator ? wanted(sa->conn) : sa->hs->ppk.offered)
		wire_notify_build(&s->b, NOTIFY_USE_PPK, bytes_of(NULL, 0));
}

void ppk_seen(struct step *s)
{
	const struct ike_sa *sa = s->sa;
	struct wire_notify n;

	sa->hs->ppk.offered = wire_notify_find(&n, s->msg, NOTIFY_USE_PPK) &&
			      (sa->initiator ? wanted(sa->conn) : conf_uses_ppk(sa->conf));
}

/* ---- initiator ------------------------------------------------------------------------------- */

enum err ppk_ask_i(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;
	struct handshake *hs = s->sa->hs;

	if (conn->ppk_required && !conn->ppk_id.len)
		return step_fail(s, IKE_REASON_PPK_UNKNOWN, 0,
				 "connection %s demands a PPK and does not say which: set `ppk_id`",
				 conn->name);
	if (conn->ppk_required && !hs->ppk.offered)
		return step_fail(
			s, IKE_REASON_PPK_MISSING, 0,
			"the peer has no PPK (RFC 8784), and connection %s demands one: add "
			"it to `secrets` there, or set `ppk_required = no` here",
			conn->name);
	if (hs->ppk.offered && conn->ppk_id.len) {
		hs->ppk.id = conn->ppk_id;
		return step_ask(s, IKE_ASK_PPK);
	}
	step_pass(s, IKE_ASK_PPK);
	return ERR_OK;
}

/* There is none here. */
static enum err without(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;
	char name[128];

	if (conn->ppk_required)
		return step_fail(s, IKE_REASON_PPK_UNKNOWN, 0,
				 "there is no PPK %s, which connection %s demands: add it to "
				 "`secrets`",
				 name_of(name, s->sa), conn->name);
	LOG(WARN, IKE, conn->name, "[%u] there is no PPK %s in `secrets`: it goes on without",
	    s->sa->unique, name_of(name, s->sa));
	return ERR_OK;
}

enum err ppk_answered_i(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	enum err e = ppk_take_answer(s);

	if (!e && hs->ppk.id.len && !has_keys(hs))
		e = without(s);
	/* A server that wants EAP signs before there is a PPK; what goes without it comes first. */
	hs->ppk.mixing = has_keys(hs) && s->sa->conn->ppk_required &&
			 s->sa->conn->local.auth != CONF_AUTH_EAP;
	return e ? e : auth_ask_own(s);
}

bool ppk_made(struct ike_sa *sa)
{
	struct handshake *hs = sa->hs;
	struct handshake_ppk *p = &hs->ppk;

	if (!has_keys(hs) || p->mixing)
		return false;
	p->mixing = true;
	p->plain_len = 0;
	if (!sa->conn->ppk_required) {
		memcpy(p->plain, hs->own_auth, hs->own_auth_len);
		p->plain_len = hs->own_auth_len;
	}
	hs->own_auth_len = 0;
	return true;
}

enum err ppk_take_i(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;
	struct handshake_ppk *p = &s->sa->hs->ppk;
	struct wire_notify n;
	char name[128];

	if (!has_keys(s->sa->hs) || wire_notify_find(&n, s->msg, NOTIFY_PPK_IDENTITY))
		return ERR_OK;
	p->mixing = false;
	if (conn->ppk_required)
		return step_fail(s, IKE_REASON_PPK_MISSING, NOTIFY_AUTHENTICATION_FAILED,
				 "the peer does not use the PPK %s, and connection %s demands it",
				 name_of(name, s->sa), conn->name);
	LOG(WARN, IKE, conn->name, "[%u] the peer does not use the PPK %s: it goes on without",
	    s->sa->unique, name_of(name, s->sa));
	return ERR_OK;
}

/* ---- responder ------------------------------------------------------------------------------- */

static enum err take_request(struct step *s)
{
	struct handshake_ppk *p = &s->sa->hs->ppk;
	struct wire_notify n;
	enum err e = ERR_OK;

	/* A request that was dropped for want of memory comes again. */
	p->id.len = 0;
	p->named = false;
	p->plain_len = 0;
	ppk_keys_fini(&p->keys);
	if (!p->offered)
		return ERR_OK;
	if (wire_notify_find(&n, s->msg, NOTIFY_NO_PPK_AUTH) && n.data.len <= sizeof(p->plain)) {
		memcpy(p->plain, n.data.p, n.data.len);
		p->plain_len = n.data.len;
	}
	if (wire_notify_find(&n, s->msg, NOTIFY_PPK_IDENTITY))
		e = wire_ppk_parse(&p->id, n.data);
	p->named = p->id.len || e;
	if (!e || e == ERR_UNSUPPORTED) /* of another type: one that is not known here */
		return ERR_OK;
	return step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
			 "the peer's PPK_IDENTITY does not follow the format");
}

enum err ppk_ask_r(struct step *s)
{
	enum err e = take_request(s);

	if (e)
		return e;
	if (s->sa->hs->ppk.id.len)
		return step_ask(s, IKE_ASK_PPK);
	step_pass(s, IKE_ASK_PPK);
	return ERR_OK;
}

enum err ppk_take_answer(struct step *s)
{
	struct handshake_ppk *p = &s->sa->hs->ppk;

	if (!p->id.len || !s->answer->secret.len)
		return ERR_OK;
	return ppk_keys_derive(s->e->crypto, &p->keys, &s->sa->keys, s->answer->secret);
}

enum err ppk_answered_r(struct step *s)
{
	enum err e = ppk_take_answer(s);

	return e ? e : auth_ask_peer(s);
}

static enum err missing(struct step *s)
{
	char peer[128];

	return step_fail(s, IKE_REASON_PPK_MISSING, NOTIFY_AUTHENTICATION_FAILED,
			 "the peer %s uses no PPK (RFC 8784), and connection %s demands one: set "
			 "`ppk_id` there, or `ppk_required = no` here",
			 ike_id_text(peer, sizeof(peer), &s->sa->remote_id), s->sa->conn->name);
}

/* Its name is unknown, or not the one that the connection has. */
static enum err unknown(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;
	char name[128], want[128], peer[128];

	ike_id_text(peer, sizeof(peer), &s->sa->remote_id);
	if (!s->sa->hs->ppk.id.len)
		return step_fail(s, IKE_REASON_PPK_UNKNOWN, NOTIFY_AUTHENTICATION_FAILED,
				 "the peer %s names a PPK in a way that is not supported", peer);
	if (has_keys(s->sa->hs))
		return step_fail(s, IKE_REASON_PPK_UNKNOWN, NOTIFY_AUTHENTICATION_FAILED,
				 "the peer %s uses the PPK %s, and `ppk_id` of connection %s asks "
				 "for %s",
				 peer, name_of(name, s->sa), conn->name,
				 ike_id_text(want, sizeof(want), &conn->ppk_id));
	return step_fail(
		s, IKE_REASON_PPK_UNKNOWN, NOTIFY_AUTHENTICATION_FAILED,
		"the peer %s uses the PPK %s, which is not known here: add it to `secrets`", peer,
		name_of(name, s->sa));
}

enum err ppk_choose(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;
	struct handshake *hs = s->sa->hs;
	struct handshake_ppk *p = &hs->ppk;
	char name[128];

	if (s->sa->initiator)
		return ERR_OK;
	p->mixing = has_keys(hs) && (!conn->ppk_id.len || conf_ppk_id_equal(&conn->ppk_id, &p->id));
	if (p->mixing)
		return ERR_OK;
	if (!p->named)
		return conn->ppk_required ? missing(s) : ERR_OK;
	if (conn->ppk_required || !p->plain_len)
		return unknown(s);
	if (log_limited(&s->e->log_limit, PEER_LINES_PER_S, s->now_ns))
		LOG(WARN, IKE, conn->name,
		    "[%u] the PPK %s of the peer is not known here: it goes on without",
		    s->sa->unique, p->id.len ? name_of(name, s->sa) : "(of another type)");
	return ERR_OK;
}

/* ---- AUTH ------------------------------------------------------------------------------------ */

const struct secret *ppk_sk_p(const struct ike_sa *sa, bool initiators)
{
	const struct ppk_keys *mixed = &sa->hs->ppk.keys;

	if (sa->hs->ppk.mixing)
		return initiators ? &mixed->sk_pi : &mixed->sk_pr;
	return initiators ? &sa->keys.sk_pi : &sa->keys.sk_pr;
}

struct bytes ppk_auth(const struct handshake *hs)
{
	const struct handshake_ppk *p = &hs->ppk;

	return p->named && !p->mixing ? bytes_of(p->plain, p->plain_len)
				      : bytes_of(hs->auth, hs->auth_len);
}

void ppk_build(struct step *s)
{
	const struct handshake_ppk *p = &s->sa->hs->ppk;

	if (!s->sa->initiator && p->used)
		wire_ppk_build(&s->b, NULL);
	if (!s->sa->initiator || !p->mixing)
		return;
	wire_ppk_build(&s->b, &p->id);
	if (p->plain_len)
		wire_notify_build(&s->b, NOTIFY_NO_PPK_AUTH, bytes_of(p->plain, p->plain_len));
}

bool ppk_plainly(struct step *s, enum err (*retry)(struct step *s))
{
	struct handshake_ppk *p = &s->sa->hs->ppk;
	bool right;

	if (!p->mixing || !p->plain_len || s->sa->initiator)
		return false;
	p->mixing = false;
	right = !retry(s);
	p->mixing = true;
	return right;
}

const char *ppk_doubt(char buf[static PPK_DOUBT], const struct ike_sa *sa)
{
	char name[128];

	buf[0] = '\0';
	if (sa->hs->ppk.mixing)
		snprintf(buf, PPK_DOUBT, " (or the PPKs %s of the two sides differ)",
			 name_of(name, sa));
	return buf;
}

enum err ppk_differs(struct step *s)
{
	char peer[128], name[128];

	return step_fail(
		s, IKE_REASON_PPK_WRONG, NOTIFY_AUTHENTICATION_FAILED,
		"the peer %s has another PPK of the name %s: make the two in `secrets` the "
		"same",
		ike_id_text(peer, sizeof(peer), &s->sa->remote_id), name_of(name, s->sa));
}

enum err ppk_settle(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake_ppk *p = &sa->hs->ppk;

	if (p->mixing) {
		enum err e = auth_proof_mix(&sa->proof);

		if (e)
			return e;
		ppk_keys_use(&sa->keys, &p->keys);
	}
	p->used = p->mixing;
	p->mixing = false;
	ppk_keys_fini(&p->keys);
	return ERR_OK;
}

void ppk_fini(struct handshake_ppk *p)
{
	ppk_keys_fini(&p->keys);
}
