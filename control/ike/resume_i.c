/* SPDX-License-Identifier: Apache-2.0 */
/* resume_i.c - session resumption as client (RFC 5723 4). */
#include <stdio.h>

#include "base/alloc.h"
#include "control/ike/auth.h"
#include "control/ike/handlers.h"
#include "control/ike/index.h"
#include "control/ike/mif.h"
#include "control/ike/redirect.h"
#include "control/ike/resume.h"
#include "control/ike/sa_init.h"
#include "control/ike/task.h"
#include "control/ike/window.h"

/* RESUME_TRIES - sends of IKE_SESSION_RESUME before a whole handshake is begun: about 14 s. */
#define RESUME_TRIES 5
/* MAX_COOKIES - how often a gateway may ask for another cookie. */
#define MAX_COOKIES 4

/* ---- tickets that are held ------------------------------------------------------------------- */

void resume_offer(struct step *s)
{
	if (s->sa->conn->resumption)
		wire_notify_build(&s->b, NOTIFY_TICKET_REQUEST, bytes_of(NULL, 0));
}

/* A lifetime in seconds, and the ticket (RFC 5723 7.2). It may be left out for want of memory. */
void resume_take(struct step *s)
{
	struct handshake_resume *r = &s->sa->hs->resume;
	struct wire_notify n;

	if (!s->sa->conn->resumption || !wire_notify_find(&n, s->msg, NOTIFY_TICKET_LT_OPAQUE) ||
	    n.data.len > 4 + TICKET_MAX)
		return;
	mem_free(r->got);
	r->got_len = n.data.len - 4;
	r->got = mem_dup(n.data.p + 4, r->got_len);
	r->got_ns = load_be32(n.data.p) * NS_PER_S;
}

/* A connection may be one with several peers; who sends us to another one stands for that. */
static const struct ip_addr *remote_of(const struct ike_sa *sa)
{
	return sa->origin.family == IP_NONE ? &sa->path.remote.addr : &sa->origin;
}

static struct held_ticket *find(const struct ike_engine *e, const char *conn,
				const struct ip_addr *remote)
{
	list_for_each (n, &e->held) {
		struct held_ticket *h = list_entry(n, struct held_ticket, node);

		if (strcmp(h->conn, conn) == 0 && ip_addr_equal(&h->remote, remote))
			return h;
	}
	return NULL;
}

static struct held_ticket *find_for(const struct ike_sa *sa)
{
	return find(sa->e, sa->conn->name, remote_of(sa));
}

static void drop(struct held_ticket *h)
{
	struct handshake_resume r = {.held = h};

	list_remove(&h->node);
	resume_fini(&r);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Without what vouches for the peer there would be nothing to judge it by later. */
static enum err hold_certs(const struct ike_sa *sa, struct held_ticket *h)
{
	const struct auth_proof_params *p = auth_proof_params(sa->proof);
	const struct held_ticket *was = sa->hs->resume.held;
	struct ike_cert certs[TICKET_CERTS];
	uint32_t num = 0;
	enum err e;

	if (was)
		return auth_certs_copy(h->certs, &h->num_certs, was->certs, was->num_certs);
	if (p->method == AUTH_METHOD_PKIX_OFFLINE) /* by URL: there may be another one by then */
		return ERR_UNSUPPORTED;
	if (!resume_is_certified(p))
		return ERR_OK;
	e = resume_certs(sa, p, certs, &num);
	if (!e && !num)
		e = ERR_NOT_FOUND;
	return e ? e : auth_certs_copy(h->certs, &h->num_certs, certs, num);
}

/* Who was resumed has proven itself when the IKE SA was made that began it all. */
static enum err hold(struct ike_sa *sa, struct held_ticket *h, uint64_t now_ns)
{
	struct handshake *hs = sa->hs;
	enum err e = wire_id_parse(&h->idr, bytes_of(hs->peer_id_body, hs->peer_id_body_len));

	h->conn = str_dup(sa->conn->name);
	if (!e && !h->conn)
		e = ERR_NOMEM;
	if (!e)
		e = secret_init_copy(&h->sk_d, sa->keys.sk_d.p, sa->keys.sk_d.len);
	if (!e)
		e = hold_certs(sa, h);
	if (e)
		return e;
	h->remote = *remote_of(sa);
	h->owner = sa_our_spi(sa);
	h->auth_until_ns =
		hs->resume.held ? hs->resume.held->auth_until_ns : now_ns + TICKET_AUTH_NS;
	h->expires_ns = smaller(now_ns + smaller(hs->resume.got_ns, TICKET_NS), h->auth_until_ns);
	h->suite = sa->suite;
	h->proof = auth_proof_get(sa->proof);
	h->local_id = sa->local_id;
	h->ticket = hs->resume.got;
	h->ticket_len = hs->resume.got_len;
	hs->resume.got = NULL;
	return ERR_OK;
}

/* Those that are good for nothing any more, and the one whose place another one takes. */
static void make_room(const struct ike_sa *sa, uint64_t now_ns)
{
	const struct held_ticket *old = find_for(sa);

	list_for_each_safe (n, &sa->e->held) {
		struct held_ticket *h = list_entry(n, struct held_ticket, node);

		if (h == old || h->expires_ns <= now_ns)
			drop(h);
	}
}

void resume_keep(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct held_ticket *h;
	enum err e;

	if (!sa->hs->resume.got || sa->conf != s->e->conf)
		return;
	make_room(sa, s->now_ns);
	h = mem_alloc(sizeof(*h));
	if (!h)
		return;
	list_push_back(&s->e->held, &h->node);
	e = hold(sa, h, s->now_ns);
	if (!e)
		return;
	LOG(INFO, IKE, sa->conn->name,
	    "the peer's ticket is not kept, since what vouches for the peer could not be judged "
	    "again: %s",
	    err_text(e));
	drop(h);
}

bool resume_can(const struct ike_sa *sa)
{
	struct held_ticket *h = find_for(sa);

	if (!h || h->owner || sa->reauth_of)
		return false;
	if (h->expires_ns <= sa->e->now_ns) {
		drop(h);
		return false;
	}
	return !sa->methods || sa->methods & 1u << auth_proof_params(h->proof)->method;
}

/* ---- IKE_SESSION_RESUME ---------------------------------------------------------------------- */

/*
 *   HDR, [N(COOKIE),] Ni, N(TICKET_OPAQUE), N+  -->
 */
static enum err build(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs = sa->hs;
	const struct held_ticket *h = hs->resume.held;
	enum err e;

	sa->udp_wanted = sa->conn->encap || s->e->env.udp_only;
	step_request(s, IKE_SESSION_RESUME);
	if (hs->cookie_len)
		wire_notify_build(&s->b, NOTIFY_COOKIE, bytes_of(hs->cookie, hs->cookie_len));
	wire_nonce_build(&s->b, nonce_bytes(&hs->ni));
	wire_notify_build(&s->b, NOTIFY_TICKET_OPAQUE, bytes_of(h->ticket, h->ticket_len));
	e = sa_init_rest_i(s);
	redirect_show(s);
	if (!e)
		e = step_finish(s);
	return e ? e : sa_init_keep(&hs->request, &hs->request_len, &s->reply);
}

enum err resume_begin(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct held_ticket *h = find_for(sa);
	enum err e;

	if (!h)
		return ERR_BAD_STATE;
	sa->hs = mem_alloc(sizeof(*sa->hs));
	if (!sa->hs)
		return ERR_NOMEM;
	e = nonce_fill(s->e, &sa->hs->ni);
	if (!e)
		e = auth_keep_certs(sa->hs, h->certs, h->num_certs);
	if (e)
		return e;
	list_remove(&h->node); /* used once */
	sa->hs->resume.held = h;
	sa->local_id = h->local_id;
	sa->remote_id = h->idr;
	if (h->num_certs)
		return step_ask(s, IKE_ASK_VERIFY_CHAIN);
	step_pass(s, IKE_ASK_VERIFY_CHAIN);
	return ERR_OK;
}

/* A whole handshake is to follow, and tells anew who the two are. */
static void forget_who(struct ike_sa *sa)
{
	sa->local_id = sa->remote_id = (struct ike_id){0};
}

/* why_without - what is against the ticket, as of now: it was judged meanwhile, which takes its
 * time. What vouched for the peer may have expired, or was taken back. NULL: nothing. */
static const char *why_without(const struct step *s, const struct held_ticket *h)
{
	if (s->sa->conf != s->e->conf)
		return "another configuration was loaded";
	if (h->expires_ns <= s->now_ns)
		return "its time is over";
	if (resume_still_holds(s->answer, h->certs, h->num_certs))
		return NULL;
	return s->answer->text ? s->answer->text : "the peer's certificate is not vouched for";
}

/* The peer may have another certificate by now. */
static enum err go_without(struct step *s, const char *why)
{
	struct ike_sa *sa = s->sa;
	char peer[128];

	action_event(sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, sa->request,
		     "the ticket for %s is not shown, a whole handshake follows: %s",
		     ike_id_text(peer, sizeof(peer), &sa->remote_id), why);
	resume_fini(&sa->hs->resume);
	forget_who(sa);
	sa->out.task->kind = TASK_SA_INIT;
	s->again = true;
	return ERR_OK;
}

enum err resume_start(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const char *why = why_without(s, sa->hs->resume.held);
	char remote[ENDPOINT_TEXT_MAX];
	enum err e;

	if (why)
		return go_without(s, why);
	e = build(s);
	if (e)
		return e;
	endpoint_text(remote, &sa->path.remote);
	LOG(INFO, IKE, sa->conn->name, "[%u] a ticket is shown to %s, to resume", sa->unique,
	    remote);
	action_event(sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, sa->request,
		     "IKE_SESSION_RESUME sent to %s", remote);
	return ERR_OK;
}

enum err resume_cookie(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct wire_notify n;
	enum err e;

	if (!wire_notify_find(&n, s->msg, NOTIFY_COOKIE) || n.data.len > sizeof(hs->cookie) ||
	    hs->num_cookies == MAX_COOKIES)
		return ERR_MALFORMED;
	memcpy(hs->cookie, n.data.p, n.data.len);
	hs->cookie_len = n.data.len;
	e = build(s);
	if (!e) /* else it comes again */
		hs->num_cookies++;
	return e;
}

enum err resume_refused(struct step *s)
{
	struct ike_sa *sa = s->sa;

	action_event(sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, sa->request,
		     "the peer does not take the ticket: a whole handshake follows");
	resume_fini(&sa->hs->resume);
	forget_who(sa);
	sa->out.task->kind = TASK_SA_INIT;
	s->again = true;
	return ERR_OK;
}

void resume_back(struct ike_sa *sa)
{
	struct held_ticket *h = sa->hs->resume.held;

	sa->hs->resume.held = NULL;
	forget_who(sa);
	if (h && sa->conf == sa->e->conf && !find(sa->e, h->conn, &h->remote))
		list_push_back(&sa->e->held, &h->node);
	else if (h)
		resume_fini(&(struct handshake_resume){.held = h});
}

bool resume_in_vain(struct ike_sa *sa, uint64_t now_ns)
{
	const uint32_t most = sa->e->limits.retransmit_tries;
	struct task *t = sa->out.task;

	if (sa->state != SA_I_RESUME || sa->out.tries < (most < RESUME_TRIES ? most : RESUME_TRIES))
		return false;
	resume_back(sa);
	window_out_close(sa);
	t->kind = TASK_SA_INIT;
	sa->out.task = NULL;
	task_put_back(sa, t);
	step_task(sa, now_ns);
	return true;
}

enum err resume_response(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs = sa->hs;
	const struct held_ticket *h = hs->resume.held;
	struct bytes nonce;
	enum err e = wire_nonce_parse(&nonce, ike_msg_body(s->msg, PAYLOAD_NONCE));

	if (!e && s->msg->h.spi_r == 0)
		e = ERR_MALFORMED;
	if (!e)
		e = sa_init_seen_i(s);
	if (e)
		return e;
	nonce_set(&hs->nr, nonce);
	sa_set_peer_spi(sa, s->msg->h.spi_r);
	sa->suite = h->suite;
	s->again = true; /* it goes on with IKE_AUTH */
	return resume_derive(sa, &h->sk_d);
}

/* ---- IKE_AUTH -------------------------------------------------------------------------------- */

enum err resume_prove(struct step *s)
{
	enum err e = resume_make_own(s);

	return e ? e : auth_request_i(s);
}

enum err resume_auth_response(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct held_ticket *h = sa->hs->resume.held;
	char peer[128], was[128];
	enum err e = auth_take_peer(s, PAYLOAD_IDR);

	if (e)
		return e;
	if (!ike_id_same(&sa->remote_id, &h->idr))
		return step_fail(s, IKE_REASON_ID_MISMATCH, NOTIFY_AUTHENTICATION_FAILED,
				 "the peer is %s, and it was %s whose IKE SA is resumed",
				 ike_id_text(peer, sizeof(peer), &sa->remote_id),
				 ike_id_text(was, sizeof(was), &h->idr));
	e = resume_auth_check(s, auth_proof_params(h->proof));
	if (!e)
		e = auth_take_offers(s);
	return e ? e : step_ask(s, IKE_ASK_AUTHORIZE);
}

enum err resume_auth_refused(struct step *s)
{
	char name[WIRE_NAME_MAX];
	struct wire_notify n;

	if (!wire_notify_find_error(&n, s->msg))
		return ERR_MALFORMED;
	return step_fail(s, IKE_REASON_AUTH_FAILED_PEER, 0,
			 "the peer did not let the IKE SA of connection %s be resumed (%s): the "
			 "ticket is gone, and the next attempt is a whole handshake",
			 s->sa->conn->name, wire_notify_name(name, n.type));
}
