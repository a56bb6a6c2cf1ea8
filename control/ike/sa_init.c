/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/sa_init.h"

#include <stdio.h>

#include "base/alloc.h"
#include "control/ike/admit.h"
#include "control/ike/auth.h"
#include "control/ike/halfopen.h"
#include "control/ike/handlers.h"
#include "control/ike/index.h"
#include "control/ike/intermediate.h"
#include "control/ike/match.h"
#include "control/ike/mif.h"
#include "control/ike/mobike.h"
#include "control/ike/ppk.h"
#include "control/ike/puzzle.h"
#include "control/ike/receive.h"
#include "control/ike/redirect.h"
#include "control/ike/wire/cert.h"
#include "control/ike/wire/nat.h"
#include "control/ike/offer.h"
#include "control/ike/window.h"

/* MAX_COOKIES - how often a responder may ask for another cookie. */
#define MAX_COOKIES 4

/* NOTIFY_CHILDLESS - CHILDLESS_IKEV2_SUPPORTED (RFC 6023): an IKE SA without a first Child SA. */
#define NOTIFY_CHILDLESS 16418

/* ---- initiator ------------------------------------------------------------------------------- */

enum err sa_init_keep(uint8_t **p, size_t *len, const struct reply *message)
{
	uint8_t *copy = mem_dup(message->bytes, message->len);

	if (!copy)
		return ERR_NOMEM;
	mem_free(*p);
	*p = copy;
	*len = message->len;
	return ERR_OK;
}

/* Keep what was sent: AUTH covers the last IKE_SA_INIT request. */
static enum err keep(uint8_t **p, size_t *len, const uint8_t *from, size_t n)
{
	return sa_init_keep(p, len, &(struct reply){.bytes = (uint8_t *)(uintptr_t)from, .len = n});
}

enum err sa_init_rest_i(struct step *s)
{
	struct ike_sa *sa = s->sa;
	enum err e = nat_build(s->e->crypto, &s->b, sa->spi_i, 0, &sa->path, sa->udp_wanted);

	if (sa->conn->fragmentation != FRAGMENTATION_NO)
		wire_notify_build(&s->b, NOTIFY_FRAGMENTATION_SUPPORTED, bytes_of(NULL, 0));
	mif_show(s);
	return e;
}

enum err sa_init_repeat(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs = sa->hs;
	enum err e;

	sa->udp_wanted = sa->conn->encap || s->e->env.udp_only;
	step_request(s, IKE_SA_INIT);
	if (hs->cookie_len)
		wire_notify_build(&s->b, NOTIFY_COOKIE, bytes_of(hs->cookie, hs->cookie_len));
	if (hs->puzzle.solution_len)
		wire_solution_build(&s->b, bytes_of(hs->puzzle.solution, hs->puzzle.solution_len));
	sa_offer_build(&s->b, SA_KIND_IKE, 0, sa->conn->ike, sa->conn->num_ike);
	wire_ke_build(&s->b, hs->group, dh_public(hs->dh));
	wire_nonce_build(&s->b, nonce_bytes(&hs->ni));
	if (auth_wants_signature(sa))
		wire_hashes_build(&s->b);
	ppk_offer(s);
	if (sa_offers_addke(sa->conn->ike, sa->conn->num_ike))
		wire_notify_build(&s->b, NOTIFY_INTERMEDIATE_EXCHANGE_SUPPORTED, bytes_of(NULL, 0));
	e = sa_init_rest_i(s);
	redirect_show(s);
	if (!e)
		e = step_finish(s);
	if (!e)
		e = keep(&hs->request, &hs->request_len, s->reply.bytes, s->reply.len);
	return e;
}

enum err sa_init_start(struct step *s)
{
	struct ike_sa *sa = s->sa;
	char remote[ENDPOINT_TEXT_MAX];
	struct handshake *hs;
	enum err e;

	sa_handshake_free(sa); /* of an attempt to resume */
	sa->hs = hs = mem_alloc(sizeof(*hs));
	if (!hs)
		return ERR_NOMEM;
	hs->group = sa_first_dh(sa->conn->ike, sa->conn->num_ike);
	e = dh_new(s->e->crypto, &hs->dh, hs->group);
	if (!e)
		e = nonce_fill(s->e, &hs->ni);
	if (!e)
		e = sa_init_repeat(s);
	if (!e)
		action_event(sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, sa->request,
			     "IKE_SA_INIT sent to %s", endpoint_text(remote, &sa->path.remote));
	return e;
}

/* struct opening - what a first message is made of. */
struct opening {
	struct dh *dh;
	struct nonce ni;
	uint16_t group;
	bool ke_retried;
	uint8_t num_cookies;
	size_t cookie_len;
	struct handshake_puzzle puzzle;
};

static void swap(struct handshake *hs, struct opening *o)
{
	const struct opening before = {.dh = hs->dh,
				       .ni = hs->ni,
				       .group = hs->group,
				       .ke_retried = hs->ke_retried,
				       .num_cookies = hs->num_cookies,
				       .cookie_len = hs->cookie_len,
				       .puzzle = hs->puzzle};

	hs->dh = o->dh;
	hs->ni = o->ni;
	hs->group = o->group;
	hs->ke_retried = o->ke_retried;
	hs->num_cookies = o->num_cookies;
	hs->cookie_len = o->cookie_len;
	hs->puzzle = o->puzzle;
	*o = before;
}

/* Begin with o instead. If memory is short the request that was sent stands, with what it was made
 * of: its answer comes again. */
static enum err open_with(struct step *s, struct opening *o)
{
	struct handshake *hs = s->sa->hs;
	enum err e = dh_new(s->e->crypto, &o->dh, o->group);

	if (e)
		return e;
	swap(hs, o);
	e = sa_init_repeat(s);
	if (e)
		swap(hs, o);
	dh_free(o->dh);
	return e;
}

enum err sa_init_again(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;
	struct opening o = {.group = sa_first_dh(conn->ike, conn->num_ike)};
	enum err e = nonce_fill(s->e, &o.ni);

	return e ? e : open_with(s, &o);
}

enum err sa_init_cookie_of(const struct step *s, struct bytes *out)
{
	const struct handshake *hs = s->sa->hs;
	struct wire_notify n;

	if (!wire_notify_find(&n, s->msg, NOTIFY_COOKIE) || n.data.len > sizeof(hs->cookie) ||
	    hs->num_cookies == MAX_COOKIES)
		return ERR_MALFORMED;
	*out = n.data;
	return ERR_OK;
}

void sa_init_set_cookie(struct handshake *hs, struct bytes cookie)
{
	memcpy(hs->cookie, cookie.p, cookie.len);
	hs->cookie_len = cookie.len;
}

enum err sa_init_cookie(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct bytes cookie;
	enum err e = sa_init_cookie_of(s, &cookie);

	if (e)
		return e;
	puzzle_call_off(s->sa);
	sa_init_set_cookie(hs, cookie);
	hs->puzzle = (struct handshake_puzzle){0};
	e = sa_init_repeat(s);
	if (!e) /* else it comes again */
		hs->num_cookies++;
	return e;
}

/* offers - what could not be agreed on: our proposals, and the peer's where it has named some. */
static void offers(struct step *s, const struct sa_payload *peer)
{
	char here[OFFER_TEXT_MAX], there[OFFER_TEXT_MAX] = "";
	const struct conf_conn *conn = s->sa->conn;

	offer_text(here, SA_KIND_IKE, conn->ike, conn->num_ike);
	step_offers(s, here, peer ? offer_peer_text(there, peer) : there);
}

static enum err refuse_group(struct step *s, uint16_t group)
{
	const char *word = conf_transform_word(TRANSFORM_DH, group, 0);
	const char *conn = s->sa->conn->name;
	char number[24], here[OFFER_TEXT_MAX];

	snprintf(number, sizeof(number), "group %u", group);
	offer_text(here, SA_KIND_IKE, s->sa->conn->ike, s->sa->conn->num_ike);
	step_offers(s, here, word ? word : number);
	return step_fail(s, IKE_REASON_INVALID_KE, 0,
			 "the peer wants %s for the key exchange (INVALID_KE_PAYLOAD): add it to "
			 "`proposals` of connection %s, or change the peer's",
			 word ? word : number, conn);
}

enum err sa_init_invalid_ke(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;
	const struct handshake *hs = s->sa->hs;
	struct opening o = {.ni = hs->ni,
			    .ke_retried = true,
			    .num_cookies = hs->num_cookies,
			    .cookie_len = hs->cookie_len,
			    .puzzle = hs->puzzle};
	struct wire_notify n;

	if (!wire_notify_find(&n, s->msg, NOTIFY_INVALID_KE_PAYLOAD) ||
	    wire_notify_u16(&o.group, &n))
		return ERR_MALFORMED;
	if (hs->ke_retried && o.group == hs->group) /* the same, to a repeat of the first one */
		return ERR_MALFORMED;
	if (hs->ke_retried || o.group == hs->group ||
	    !sa_offers_dh(conn->ike, conn->num_ike, o.group))
		return refuse_group(s, o.group);
	return open_with(s, &o);
}

enum err sa_init_refused(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;
	char name[WIRE_NAME_MAX];
	struct wire_notify n;

	if (!wire_notify_find_error(&n, s->msg))
		return ERR_MALFORMED;
	if (n.type == NOTIFY_NO_PROPOSAL_CHOSEN) {
		offers(s, NULL);
		return step_fail(s, IKE_REASON_NO_PROPOSAL, 0,
				 "the peer refused our proposals (NO_PROPOSAL_CHOSEN): it does not "
				 "accept %s; compare `proposals` of connection %s with the peer's",
				 s->fail.here, conn->name);
	}
	return step_fail(s, IKE_REASON_PEER_ERROR, 0,
			 "the peer refused the connection with %s: its log says more",
			 wire_notify_name(name, n.type));
}

static enum err take_peer_ke(struct handshake *hs, const struct wire_ke *ke)
{
	if (ke->value.len != dh_public_len(ke->group) || ke->value.len > sizeof(hs->peer_ke))
		return ERR_MALFORMED;
	memcpy(hs->peer_ke, ke->value.p, ke->value.len);
	hs->peer_ke_len = ke->value.len;
	return ERR_OK;
}

/* Additional key exchanges go between IKE_SA_INIT and IKE_AUTH, if both sides can do that (RFC 9370
 * 2.2.1). */
static enum err take_intermediate(struct step *s, uint16_t notify)
{
	struct ike_sa *sa = s->sa;
	char remote[ENDPOINT_TEXT_MAX];
	struct wire_notify n;

	sa->hs->intermediate = wire_notify_find(&n, s->msg, NOTIFY_INTERMEDIATE_EXCHANGE_SUPPORTED);
	if (sa->hs->intermediate || !sa_next_addke(&sa->suite, 0))
		return ERR_OK;
	return step_fail(
		s, IKE_REASON_NO_PROPOSAL, notify,
		"%s has additional key exchanges in its proposal and does not say that it "
		"speaks IKE_INTERMEDIATE (RFC 9242), by which they are made: take ke1_ and "
		"what follows out of `proposals` on both sides",
		endpoint_text(remote, &sa->path.remote));
}

/* The offered algorithms as sa_check() wants them; an answer outside them is a broken peer. */
static enum err check_answer(struct step *s, struct sa_chosen *out)
{
	const struct conf_conn *conn = s->sa->conn;
	struct sa_payload answer;
	enum err e = sa_parse(&answer, ike_msg_body(s->msg, PAYLOAD_SA));

	if (!e)
		e = sa_check(out, &answer, SA_KIND_IKE, conn->ike, conn->num_ike);
	if (e != ERR_NO_PROPOSAL)
		return e;
	offers(s, &answer);
	return step_fail(s, IKE_REASON_NO_PROPOSAL, 0,
			 "the peer chose algorithms that connection %s did not offer", conn->name);
}

/* With a NAT, or if UDP is wanted all the same, both sides go on on port 4500 (2.23), and so they
 * do where addresses may change (RFC 4555 3.3). */
static enum err float_ports(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct nat_found found;
	enum err e = nat_detect(s->e->crypto, &found, s->msg, &s->dg->path);

	if (e)
		return e;
	sa->nat_local = found.known && found.local;
	sa->nat_remote = found.known && found.peer;
	if (sa->path.encap == ENCAP_UDP || !found.known ||
	    !(found.local || found.peer || sa->udp_wanted || sa->conn->mobike))
		return ERR_OK;
	sa->path.encap = ENCAP_UDP;
	sa->path.local.port = sa->conf->daemon.port_nat_t ? sa->conf->daemon.port_nat_t : 4500;
	if (sa->path.remote.port == 500)
		sa->path.remote.port = 4500;
	return ERR_OK;
}

/* Fragments are sent if both announce that they take them (RFC 7383 2.3) and we are to. */
static bool take_fragmentation(struct step *s)
{
	struct wire_notify n;
	const bool known = wire_notify_find(&n, s->msg, NOTIFY_FRAGMENTATION_SUPPORTED);

	s->sa->hs->fragments = known && s->sa->conn->fragmentation == FRAGMENTATION_YES;
	s->sa->fragments = s->sa->hs->fragments;
	return known && s->sa->conn->fragmentation != FRAGMENTATION_NO;
}

static enum err parse_share(struct step *s, struct wire_ke *ke, struct bytes *nonce)
{
	enum err e = wire_ke_parse(ke, ike_msg_body(s->msg, PAYLOAD_KE));

	return e ? e : wire_nonce_parse(nonce, ike_msg_body(s->msg, PAYLOAD_NONCE));
}

enum err sa_init_seen_i(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct wire_notify n;
	enum err e = float_ports(s);

	if (!e)
		e = keep(&hs->response, &hs->response_len, s->dg->bytes.p, s->dg->bytes.len);
	if (e)
		return e;
	hs->childless = wire_notify_find(&n, s->msg, NOTIFY_CHILDLESS);
	(void)take_fragmentation(s);
	mif_seen(s);
	return ERR_OK;
}

enum err sa_init_response(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs = sa->hs;
	struct bytes nonce;
	struct wire_ke ke;
	enum err e = parse_share(s, &ke, &nonce);

	if (!e && (s->msg->h.spi_r == 0 || ke.group != hs->group))
		e = ERR_MALFORMED;
	if (!e)
		e = take_peer_ke(hs, &ke);
	if (!e)
		e = check_answer(s, &sa->suite);
	if (!e && sa->suite.dh != hs->group)
		e = ERR_MALFORMED;
	if (!e)
		e = take_intermediate(s, 0);
	if (!e)
		e = auth_take_init(s);
	if (!e)
		e = sa_init_seen_i(s);
	if (e)
		return e;
	nonce_set(&hs->nr, nonce);
	ppk_seen(s);
	sa_set_peer_spi(sa, s->msg->h.spi_r);
	e = sa_init_derive(sa);
	if (e)
		return step_fail(s, IKE_REASON_MALFORMED, 0,
				 "the peer's key share cannot be used: %s", err_text(e));
	sa->local_id = match_local_id(sa->conn, &sa->path);
	sa->remote_id = sa->conn->remote.id;
	puzzle_call_off(sa);
	action_event(sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, sa->request,
		     "IKE_SA_INIT answered: %s%s", sa->proposal,
		     sa->nat_local || sa->nat_remote ? ", with a NAT on the way" : "");
	e = sa_next_addke(&sa->suite, 0) ? intermediate_start(s) : ppk_ask_i(s);
	if (e && !s->fail.reason) /* the key pair is used up: this answer cannot come again */
		return step_fail(s, IKE_REASON_RESOURCES, 0, "this side could not go on: %s",
				 err_text(e));
	return e;
}

enum err sa_init_derive(struct ike_sa *sa)
{
	struct handshake *hs = sa->hs;
	struct secret shared = {0};
	enum err e;

	if (!hs->dh)
		return ERR_BAD_STATE;
	e = dh_compute_shared(hs->dh, &shared, bytes_of(hs->peer_ke, hs->peer_ke_len));
	if (e != ERR_NOMEM) {
		dh_free(hs->dh);
		hs->dh = NULL;
	}
	if (e)
		return e;
	sa_chosen_text(sa->proposal, &sa->suite);
	e = ike_keys_derive(sa->e->crypto, &sa->keys,
			    &(struct ike_keys_params){.encr = sa->suite.encr,
						      .prf = sa->suite.prf,
						      .spi_i = sa->spi_i,
						      .spi_r = sa->spi_r,
						      .ni = nonce_bytes(&hs->ni),
						      .nr = nonce_bytes(&hs->nr),
						      .dh = &shared});
	secret_fini(&shared);
	if (!e)
		e = sa_keys_install(sa);
	return e;
}

/* ---- responder ------------------------------------------------------------------------------- */

static enum err choose(struct step *s, const struct wire_ke *ke)
{
	struct ike_sa *sa = s->sa;
	char remote[ENDPOINT_TEXT_MAX];
	struct sa_payload offer;
	enum err e = sa_parse(&offer, ike_msg_body(s->msg, PAYLOAD_SA));

	if (e)
		return e;
	e = match_proposal(&sa->conn, &sa->suite, sa->conf, &sa->path, &offer, ke->group);
	endpoint_text(remote, &sa->path.remote);
	if (e == ERR_NOT_FOUND)
		return step_fail(s, IKE_REASON_NO_CONFIG, NOTIFY_NO_PROPOSAL_CHOSEN,
				 "no connection has %s among its `remote_addrs`", remote);
	if (e) {
		offers(s, &offer);
		return step_fail(s, IKE_REASON_NO_PROPOSAL, NOTIFY_NO_PROPOSAL_CHOSEN,
				 "no proposal of %s is among `proposals` of connection %s "
				 "(NO_PROPOSAL_CHOSEN): add one of the peer's: %s",
				 remote, sa->conn->name, s->fail.there);
	}
	if (sa->suite.dh == ke->group)
		return ERR_OK;
	(void)step_fail(s, IKE_REASON_INVALID_KE, NOTIFY_INVALID_KE_PAYLOAD,
			"%s sent a key share of group %u; group %u is asked for", remote, ke->group,
			sa->suite.dh);
	s->fail.data = sa->suite.dh;
	return ERR_PEER;
}

enum err sa_init_seen_r(struct step *s)
{
	struct nat_found found;
	enum err e = nat_detect(s->e->crypto, &found, s->msg, &s->dg->path);

	if (e)
		return e;
	s->sa->nat_local = found.known && found.local;
	s->sa->nat_remote = found.known && found.peer;
	return ERR_OK;
}

enum err sa_init_rest_r(struct step *s)
{
	struct ike_sa *sa = s->sa;
	enum err e =
		nat_build(s->e->crypto, &s->b, sa->spi_i, sa->spi_r, &sa->path, sa->udp_wanted);

	if (sa->conn->childless != CHILDLESS_NEVER)
		wire_notify_build(&s->b, NOTIFY_CHILDLESS, bytes_of(NULL, 0));
	if (take_fragmentation(s))
		wire_notify_build(&s->b, NOTIFY_FRAGMENTATION_SUPPORTED, bytes_of(NULL, 0));
	mif_seen(s);
	if (sa->hs->mif_vendor)
		mif_show(s);
	return e;
}

static enum err build_response(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs = sa->hs;
	enum err e;

	sa->udp_wanted = sa->conn->encap || s->e->env.udp_only;
	step_reply(s);
	sa_answer_build(&s->b, &sa->suite, 0);
	wire_ke_build(&s->b, sa->suite.dh, dh_public(hs->dh));
	wire_nonce_build(&s->b, nonce_bytes(&hs->nr));
	auth_build_certreq(s);
	if (hs->peer_speaks_7427 || auth_wants_signature(sa))
		wire_hashes_build(&s->b);
	auth_build_announced(s);
	ppk_seen(s);
	ppk_offer(s);
	if (hs->between)
		wire_notify_build(&s->b, NOTIFY_INTERMEDIATE_EXCHANGE_SUPPORTED, bytes_of(NULL, 0));
	e = sa_init_rest_r(s);
	if (!e)
		e = step_finish(s);
	if (!e)
		e = keep(&hs->response, &hs->response_len, s->reply.bytes, s->reply.len);
	return e;
}

enum err sa_init_request(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct handshake *hs;
	struct bytes nonce;
	struct wire_ke ke;
	enum err e = parse_share(s, &ke, &nonce);

	if (!e)
		e = choose(s, &ke);
	if (!e && mobike_translated(s->msg, &s->dg->path))
		e = step_fail(s, IKE_REASON_PEER_ERROR, NOTIFY_UNEXPECTED_NAT_DETECTED,
			      "the peer forbids translators, and there is one on the way");
	if (e)
		return e;
	sa->hs = hs = mem_alloc(sizeof(*hs));
	if (!hs)
		return ERR_NOMEM;
	nonce_set(&hs->ni, nonce);
	hs->group = sa->suite.dh;
	redirect_seen(s);
	e = take_intermediate(s, NOTIFY_NO_PROPOSAL_CHOSEN);
	if (!e && sa_next_addke(&sa->suite, 0))
		e = intermediate_expect(sa);
	if (!e)
		e = take_peer_ke(hs, &ke);
	if (!e)
		e = keep(&hs->request, &hs->request_len, s->dg->bytes.p, s->dg->bytes.len);
	if (!e)
		e = auth_take_init(s);
	if (!e)
		e = sa_init_seen_r(s);
	/* All that can fail by what the peer wrote is above: what is refused never counts as half
	 * open, and so must not cost a key pair (S43). */
	if (!e)
		e = dh_new(s->e->crypto, &hs->dh, hs->group);
	if (!e)
		e = nonce_fill(s->e, &hs->nr);
	if (!e)
		e = build_response(s);
	return e ? e : halfopen_enter(sa);
}

/* ---- before there is any state --------------------------------------------------------------- */

/* The same initiator again: byte for byte, or now with a cookie that it was asked for by an answer
 * to an earlier copy. Both transcripts are kept, since it may use either (S41). */
static void repeated(struct ike_sa *sa, const struct ike_msg *m, const struct ike_datagram *dg)
{
	struct handshake *hs = sa->hs;
	struct bytes ni;

	if (window_check(sa, &m->h, dg) == WINDOW_REPEAT)
		return;
	sa->e->stats.dropped++;
	if (sa->state != (m->h.exchange == IKE_SA_INIT ? SA_R_INIT : SA_R_RESUMED) || !hs ||
	    hs->request2 || wire_nonce_parse(&ni, ike_msg_body(m, PAYLOAD_NONCE)) ||
	    !bytes_equal(ni, nonce_bytes(&hs->ni)) || !admit_proven(sa->e, m, dg, ni))
		return;
	if (keep(&hs->request2, &hs->request2_len, dg->bytes.p, dg->bytes.len))
		return;
	if (sa->in.x.next_id != 1) /* it has our response, and made another key exchange since */
		return;
	if (!action_send(sa->e, &sa->in.path, sa->in.port,
			 bytes_of(sa->in.response, sa->in.response_len)))
		sa->sent_ns = sa->e->now_ns;
}

static void begin(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
		  uint64_t now_ns)
{
	struct ike_sa *sa;

	if (sa_new(e, &sa, false, e->conf, NULL)) {
		e->stats.dropped++;
		return;
	}
	sa_set_peer_spi(sa, m->h.spi_i);
	sa_set_path(sa, &dg->path);
	sa->port = dg->port;
	step_message(sa, m, dg, now_ns);
	if (sa->state == SA_R_INIT)
		admit_spend(e);
	if (sa->state == SA_NONE) { /* no row took it */
		sa->quiet = true;
		sa_kill(sa, IKE_REASON_MALFORMED, NULL, now_ns);
	}
}

/* A well-formed header of a first message (3.1). A request under an SPI of our own is one of our
 * own requests come back (S31). */
static bool is_first(const struct ike_engine *e, const struct ike_header *h)
{
	return h->spi_i && !h->spi_r && !h->msgid && (h->flags & IKE_FLAG_INITIATOR) && e->conf &&
	       !sa_by_spi(e, h->spi_i);
}

/* The client to whom our answer to its ticket did not come makes a whole handshake of it, under the
 * same SPI. */
static bool is_given_up(const struct ike_sa *sa, const struct ike_msg *m)
{
	struct bytes ni;

	return sa->state == SA_R_RESUMED && m->h.exchange == IKE_SA_INIT &&
	       !wire_nonce_parse(&ni, ike_msg_body(m, PAYLOAD_NONCE)) &&
	       !bytes_equal(ni, nonce_bytes(&sa->hs->ni));
}

static void give_way(struct ike_sa *sa, uint64_t now_ns)
{
	sa->quiet = true;
	sa_kill(sa, IKE_REASON_LOCAL, NULL, now_ns);
}

void sa_init_receive(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
		     uint64_t now_ns)
{
	struct ike_sa *sa = halfopen_find(e, &dg->path.remote, m->h.spi_i);
	struct bytes ni;

	if (sa && !is_given_up(sa, m)) {
		repeated(sa, m, dg);
		return;
	}
	if (!is_first(e, &m->h) || wire_nonce_parse(&ni, ike_msg_body(m, PAYLOAD_NONCE))) {
		e->stats.dropped++;
		return;
	}
	if (m->unknown_critical) {
		receive_refuse_unprotected(e, &m->h, dg, NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD,
					   bytes_of(&m->unknown_critical, 1));
		return;
	}
	/* Nothing ends by what whoever has seen an SPI can send from another's address. */
	if (!admit(e, m, dg, ni, sa != NULL))
		return;
	if (sa)
		give_way(sa, now_ns);
	if (halfopen_full(e, &dg->path.remote.addr)) {
		e->stats.dropped++;
		return;
	}
	begin(e, m, dg, now_ns);
}
