/* SPDX-License-Identifier: Apache-2.0 */
/* resume_r.c - session resumption as gateway (RFC 5723 4). */
#include "base/alloc.h"
#include "control/ike/auth.h"
#include "control/ike/halfopen.h"
#include "control/ike/handlers.h"
#include "control/ike/match.h"
#include "control/ike/redirect.h"
#include "control/ike/resume.h"
#include "control/ike/sa_init.h"

/* PEER_LINES_PER_S - lines that a peer can cause at will. */
#define PEER_LINES_PER_S 20

/* ---- tickets that are given ------------------------------------------------------------------ */

void resume_asked(struct step *s)
{
	struct wire_notify n;

	s->sa->hs->resume.asked = wire_notify_find(&n, s->msg, NOTIFY_TICKET_REQUEST);
}

void resume_void(struct ike_engine *e)
{
	ticket_jar_void(&e->tickets);
}

/* Whom nobody vouches for has no ticket, nor one whose certificate would not come with it: it could
 * not be asked again whether it still holds. */
static bool may_have_one(const struct ticket *t)
{
	switch (t->proven.method) {
	case AUTH_METHOD_PSK:
	case AUTH_METHOD_GROUP_PSK:
	case AUTH_METHOD_PUBKEY:
	case AUTH_METHOD_PKIX_TRUSTED:
	case AUTH_METHOD_PKIX_INLINE:
	case AUTH_METHOD_EAP:
		return t->num_certs || !resume_is_certified(&t->proven);
	case AUTH_METHOD_PKIX_OFFLINE: /* by URL: there may be another one by then */
	case AUTH_METHOD_NONE:
	case AUTH_METHOD_BTNS:
	case AUTH_METHOD_LEAPOFFAITH:
	case AUTH_NUM_METHODS:
	default:
		return false;
	}
}

/* A server said who the peer is and for how long, and would not be asked again. */
static bool is_judged_elsewhere(const struct conf_conn *conn)
{
	return conn->remote.auth == CONF_AUTH_EAP && conn->remote.eap == CONF_EAP_RADIUS;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* As long as the IKE SA itself would have lived. */
static uint64_t lifetime(const struct conf_conn *conn)
{
	return conn->rekey_ns ? smaller(conn->rekey_ns + conn->over_ns, TICKET_NS) : TICKET_NS;
}

/* When the peer, who proves itself now, is to do so again. */
static uint64_t proof_ends(const struct conf_conn *conn, uint64_t now_ns)
{
	return now_ns + (conn->reauth_ns ? smaller(conn->reauth_ns + conn->over_ns, TICKET_AUTH_NS)
					 : TICKET_AUTH_NS);
}

static enum err make(struct step *s, uint8_t *out, size_t *out_len, uint64_t *out_until)
{
	struct ike_sa *sa = s->sa;
	const struct handshake *hs = sa->hs;
	const bool again = hs->resume.text.len;
	struct ticket t = {
		.auth_until_ns =
			again ? hs->resume.ticket.auth_until_ns : proof_ends(sa->conn, s->now_ns),
		.encr = sa->suite.encr,
		.prf = sa->suite.prf,
		.dh = sa->suite.dh,
		.sk_d = bytes_of(sa->keys.sk_d.p, sa->keys.sk_d.len),
		.conn = bytes_of(sa->conn->name, strlen(sa->conn->name)),
		.proven = *auth_proof_params(sa->proof),
	};
	enum err e = wire_id_parse(&t.idi, bytes_of(hs->peer_id_body, hs->peer_id_body_len));

	memcpy(t.addke, sa->suite.addke, sizeof(t.addke));
	if (!e && resume_is_certified(&t.proven))
		e = resume_certs(sa, &t.proven, t.certs, &t.num_certs);
	if (!e && (!may_have_one(&t) || is_judged_elsewhere(sa->conn)))
		e = ERR_PERM;
	if (!e && sa->conf != s->e->conf) /* proven by what may not count any more */
		e = ERR_PERM;
	t.expires_ns = smaller(s->now_ns + lifetime(sa->conn), t.auth_until_ns);
	if (!e && t.expires_ns < s->now_ns + NS_PER_S)
		e = ERR_TIMEOUT;
	if (!e)
		e = ticket_seal(&s->e->tickets, s->e->env.rng, out, out_len, &t, s->now_ns);
	if (e)
		return e;
	sa->ticket = t.id;
	*out_until = t.expires_ns;
	return ERR_OK;
}

void resume_give(struct step *s)
{
	uint8_t data[4 + TICKET_MAX];
	uint64_t until;
	size_t len;
	enum err e;

	if (!s->sa->hs->resume.asked || !s->sa->conn->resumption)
		return;
	e = make(s, data + 4, &len, &until);
	if (e) {
		LOG(DEBUG, IKE, s->sa->conn->name, "[%u] no ticket: %s", s->sa->unique,
		    err_text(e));
		wire_notify_build(&s->b, NOTIFY_TICKET_NACK, bytes_of(NULL, 0));
		return;
	}
	store_be32(data, (uint32_t)((until - s->now_ns) / NS_PER_S));
	wire_notify_build(&s->b, NOTIFY_TICKET_LT_OPAQUE, bytes_of(data, 4 + len));
	s->e->stats.tickets_given++;
	secret_wipe(data, sizeof(data));
}

/* ---- IKE_SESSION_RESUME ---------------------------------------------------------------------- */

static enum err refuse(struct step *s, const char *why)
{
	char remote[ENDPOINT_TEXT_MAX];

	s->e->stats.tickets_refused++;
	if (log_limited(&s->e->log_limit, PEER_LINES_PER_S, s->now_ns))
		LOG(INFO, IKE, NULL,
		    "the ticket of %s is refused, a whole handshake should follow: %s",
		    endpoint_text(remote, &s->sa->path.remote), why);
	return step_fail(s, IKE_REASON_REFUSED, NOTIFY_TICKET_NACK, "%s", why);
}

static const char *why_not(enum err e)
{
	static const char *const why[] = {
		[ERR_NOT_FOUND] =
			"it is of no key that there is: this process began after it, or has "
			"another configuration",
		[ERR_EXISTS] = "it was used, or its IKE SA was closed or re-keyed",
		[ERR_TIMEOUT] = "it is too old",
		[ERR_AUTH] = "it was changed",
	};

	return (size_t)e < ARRAY_LEN(why) && why[e] ? why[e] : "it does not follow the format";
}

/* The connection that it is for takes the peer from where it is. */
static const struct conf_conn *find_conn(const struct ike_sa *sa, const struct ticket *t)
{
	for (uint32_t i = 0; i < sa->conf->num_conns; i++) {
		const struct conf_conn *c = sa->conf->conns[i];

		if (bytes_equal(bytes_of(c->name, strlen(c->name)), t->conn))
			return c->resumption && match_may(c, &sa->path, &sa->suite) ? c : NULL;
	}
	return NULL;
}

static enum err take_ticket(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake_resume *r = &sa->hs->resume;
	struct wire_notify n;
	enum err e;

	if (!wire_notify_find(&n, s->msg, NOTIFY_TICKET_OPAQUE))
		return ERR_MALFORMED;
	e = ticket_open(&s->e->tickets, &r->ticket, &r->text, n.data, s->now_ns);
	if (e == ERR_NOMEM)
		return e;
	if (e)
		return refuse(s, why_not(e));
	sa->suite = (struct sa_chosen){.kind = SA_KIND_IKE,
				       .encr = r->ticket.encr,
				       .prf = r->ticket.prf,
				       .dh = r->ticket.dh};
	memcpy(sa->suite.addke, r->ticket.addke, sizeof(sa->suite.addke));
	sa->conn = find_conn(sa, &r->ticket);
	return sa->conn ? ERR_OK : refuse(s, "its connection does not take it from there");
}

/*
 *                                <--  HDR, Nr, N+
 */
static enum err build(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs = sa->hs;
	enum err e;

	sa->udp_wanted = sa->conn->encap || s->e->env.udp_only;
	step_reply(s);
	wire_nonce_build(&s->b, nonce_bytes(&hs->nr));
	e = sa_init_rest_r(s);
	if (!e)
		e = step_finish(s);
	return e ? e : sa_init_keep(&hs->response, &hs->response_len, &s->reply);
}

enum err resume_request(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs;
	struct bytes nonce;
	enum err e = wire_nonce_parse(&nonce, ike_msg_body(s->msg, PAYLOAD_NONCE));
	const struct reply request = {.bytes = (uint8_t *)(uintptr_t)s->dg->bytes.p,
				      .len = s->dg->bytes.len};

	if (e)
		return e;
	sa->hs = hs = mem_alloc(sizeof(*hs));
	if (!hs)
		return ERR_NOMEM;
	e = take_ticket(s);
	if (e)
		return e;
	nonce_set(&hs->ni, nonce);
	redirect_seen(s);
	e = sa_init_keep(&hs->request, &hs->request_len, &request);
	if (!e)
		e = nonce_fill(s->e, &hs->nr);
	if (!e)
		e = sa_init_seen_r(s);
	if (!e) {
		struct secret sk_d = {.p = (uint8_t *)(uintptr_t)hs->resume.ticket.sk_d.p,
				      .len = hs->resume.ticket.sk_d.len}; /* a view */

		e = resume_derive(sa, &sk_d);
	}
	if (!e)
		e = build(s);
	return e ? e : halfopen_enter(sa);
}

/* ---- IKE_AUTH -------------------------------------------------------------------------------- */

/* Who they say they are is who they were. */
static enum err check_ids(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	const struct ticket *t = &hs->resume.ticket;
	char peer[128], was[128];

	if (!ike_id_same(&s->sa->remote_id, &t->idi))
		return step_fail(s, IKE_REASON_ID_MISMATCH, NOTIFY_AUTHENTICATION_FAILED,
				 "the peer says it is %s, and its ticket is %s's",
				 ike_id_text(peer, sizeof(peer), &s->sa->remote_id),
				 ike_id_text(was, sizeof(was), &t->idi));
	if (!(s->msg->present & PAYLOAD_BIT(PAYLOAD_IDR)))
		return ERR_OK;
	if (!wire_id_parse(&hs->idr_wanted, ike_msg_body(s->msg, PAYLOAD_IDR)) &&
	    ike_id_same(&hs->idr_wanted, &t->proven.local))
		return ERR_OK;
	return step_fail(s, IKE_REASON_ID_MISMATCH, NOTIFY_AUTHENTICATION_FAILED,
			 "the peer %s wants to speak to another one than its ticket is of",
			 ike_id_text(peer, sizeof(peer), &s->sa->remote_id));
}

/* Two may show the same one: the first that has its keys has used it. */
static enum err spend(struct step *s)
{
	const struct ticket_id id = s->sa->hs->resume.ticket.id;

	if (ticket_is_spent(&s->e->tickets, id)) {
		s->e->stats.tickets_refused++;
		return step_fail(s, IKE_REASON_REFUSED, NOTIFY_AUTHENTICATION_FAILED,
				 "the ticket was used meanwhile, or another configuration is in "
				 "force");
	}
	ticket_spend(&s->e->tickets, id);
	return ERR_OK;
}

enum err resume_auth_request(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct ticket *t = &sa->hs->resume.ticket;
	enum err e = auth_take_peer(s, PAYLOAD_IDI);

	if (e)
		return e;
	auth_take_path(s);
	sa->local_id = t->proven.local;
	e = check_ids(s);
	if (!e)
		e = resume_auth_check(s, &t->proven);
	if (!e)
		e = spend(s);
	if (!e)
		e = auth_take_connection(s);
	if (e)
		return e;
	sa->local_id = t->proven.local;
	e = auth_keep_certs(sa->hs, t->certs, t->num_certs);
	if (!e)
		e = resume_make_own(s);
	if (!e && t->num_certs)
		return step_ask(s, IKE_ASK_VERIFY_CHAIN);
	step_pass(s, IKE_ASK_VERIFY_CHAIN);
	return e;
}

/* What vouched for the peer then still does: it has not expired, nor was it taken back. */
enum err resume_judged(struct step *s)
{
	const struct ticket *t = &s->sa->hs->resume.ticket;
	const struct ike_answer *a = s->answer;
	char peer[128];
	enum err e;

	if (!resume_still_holds(a, t->certs, t->num_certs))
		return step_fail(s, a->reason ? a->reason : IKE_REASON_REFUSED,
				 NOTIFY_AUTHENTICATION_FAILED, "%s is not believed any more: %s",
				 ike_id_text(peer, sizeof(peer), &s->sa->remote_id),
				 a->text ? a->text : "its certificate is not vouched for");
	s->e->stats.resumed++;
	e = auth_check_unique(s);
	return e ? e : step_ask(s, IKE_ASK_AUTHORIZE);
}
