/* SPDX-License-Identifier: Apache-2.0 */
/* mobike_exchange.c - the exchanges of MOBIKE (RFC 4555 3.5 to 3.7). */
#include "control/child/claims.h"
#include "control/ike/handlers.h"
#include "control/ike/mif.h"
#include "control/ike/mobike.h"
#include "control/ike/move.h"
#include "control/ike/task.h"
#include "control/ike/wire/nat.h"

/* CHECKS_MAX - checks of one new address that may come to nothing. */
#define CHECKS_MAX 5
/* UPDATE_COOKIE_LEN, CHECK_COOKIE_LEN - of COOKIE2. The longer what says where we are, the more the
 * peer may say there before it has proof (S57). */
#define UPDATE_COOKIE_LEN 64
#define CHECK_COOKIE_LEN  16
/* CHECK_LEN - bytes of a check at most. */
#define CHECK_LEN 120
/* REFUSALS_MAX - paths that the peer may refuse one after the other. */
#define REFUSALS_MAX (1 + MOBIKE_ADDRS_MAX)

static enum err build_cookie(struct step *s, uint8_t len)
{
	struct sa_mobike *m = &s->sa->mobike;
	enum err e = engine_random(s->e, m->cookie, len);

	m->cookie_len = len;
	if (!e)
		wire_notify_build(&s->b, NOTIFY_COOKIE2, bytes_of(m->cookie, len));
	return e;
}

/* Whoever answers has read the request, and so is where it went (3.7). */
static enum err check_cookie(struct step *s)
{
	const struct sa_mobike *m = &s->sa->mobike;
	struct wire_notify n;

	if (wire_notify_find(&n, s->msg, NOTIFY_COOKIE2) &&
	    bytes_equal(n.data, bytes_of(m->cookie, m->cookie_len)))
		return ERR_OK;
	return step_fail(s, IKE_REASON_MALFORMED, 0,
			 "the peer's answer about its address lacks the cookie that was asked for");
}

/* ---- UPDATE_SA_ADDRESSES --------------------------------------------------------------------- */

enum err mobike_update_start(struct step *s)
{
	struct ike_sa *sa = s->sa;
	enum err e;

	if (!sa->mobike.on || !sa->mobike.initiator)
		return ERR_OK;
	if (!mif_first(sa)) { /* it goes by another path by now: that one is known */
		sa->mobike.pending = sa->mobike.esp_waits = false;
		mobike_answer(sa, MIF_ABORTED);
		return ERR_OK;
	}
	sa->mobike.restart = false;
	step_request(s, INFORMATIONAL);
	wire_notify_build(&s->b, NOTIFY_UPDATE_SA_ADDRESSES, bytes_of(NULL, 0));
	e = nat_build(s->e->crypto, &s->b, sa->spi_i, sa->spi_r, &sa->path, sa->udp_wanted);
	return e ? e : build_cookie(s, UPDATE_COOKIE_LEN);
}

/* The peer does not want these addresses: other ones, as long as there are any. */
static enum err refused(struct step *s, uint16_t type)
{
	struct ike_sa *sa = s->sa;
	struct sa_mobike *m = &sa->mobike;
	char local[IP_TEXT_MAX], remote[IP_TEXT_MAX], name[WIRE_NAME_MAX];
	struct path_addr path;

	LOG(WARN, IKE, sa->conn->name, "[%u] the peer refuses the addresses %s and %s with %s",
	    sa->unique, ip_addr_text(local, &sa->path.local.addr),
	    ip_addr_text(remote, &sa->path.remote.addr), wire_notify_name(name, type));
	m->pending = false;
	mobike_answer(sa, MIF_POLICY_DENIED);
	if (m->refusals < REFUSALS_MAX && mobike_candidate(sa, &path)) {
		m->refusals++;
		mobike_go(sa, &path, s->now_ns);
		s->again = true;
	}
	return ERR_OK;
}

static enum err confirmed(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct sa_mobike *m = &sa->mobike;
	const enum path_encap before = sa_esp_encap(sa);
	struct nat_found found;
	enum err e = nat_detect(s->e->crypto, &found, s->msg, &s->dg->path);

	if (e)
		return e;
	if (found.known)
		mobike_nat(sa, found.local, found.peer, s->now_ns);
	m->has_seen_as = false;
	mobike_detected(s);
	if ((m->esp_waits || sa_esp_encap(sa) != before) && sa_move_children(sa)) {
		s->later = true; /* short of memory: once more, then */
		return ERR_OK;
	}
	m->pending = m->esp_waits = false;
	mobike_answer(sa, MIF_OK);
	m->refusals = 0;
	mobike_moved(sa, s->now_ns);
	return ERR_OK;
}

enum err mobike_update_response(struct step *s)
{
	struct sa_mobike *m = &s->sa->mobike;
	struct wire_notify n;
	enum err e;

	if (m->restart) { /* elsewhere again meanwhile (3.5) */
		s->again = true;
		return ERR_OK;
	}
	if (wire_notify_find(&n, s->msg, NOTIFY_UNACCEPTABLE_ADDRESSES) ||
	    wire_notify_find(&n, s->msg, NOTIFY_UNEXPECTED_NAT_DETECTED))
		return refused(s, n.type);
	e = check_cookie(s);
	return e ? e : confirmed(s);
}

/* Where it may begin from says nothing of where a peer may go to; that it is there it has to show.
 */
static bool acceptable(const struct path_addr *path)
{
	return mobike_addr_usable(&path->remote.addr) && path->remote.port;
}

static enum err follow(struct step *s, const struct nat_found *found)
{
	struct ike_sa *sa = s->sa;
	const struct path_addr *path = &s->dg->path;
	const bool local = found->known ? found->local : sa->nat_local;
	const bool remote = found->known ? found->peer : sa->nat_remote;
	const enum path_encap before = sa_esp_encap(sa);
	enum err e;

	if (!path_same_remote(&sa->path, path)) {
		e = sa_probe_begin(sa, path, s->dg->port, s->dg->bytes.len);
		if (!e) {
			sa->probe.nat_local = local;
			sa->probe.nat_remote = remote;
		}
		return e;
	}
	sa->probe.on = false; /* it is where it has answered from before */
	mobike_nat(sa, local, remote, s->now_ns);
	if (path_same_addrs(&sa->path, path) && sa_esp_encap(sa) == before)
		return ERR_OK;
	sa_move(sa, path, s->dg->port);
	return ERR_OK;
}

static enum err refuse(struct step *s, uint16_t type)
{
	char remote[ENDPOINT_TEXT_MAX], name[WIRE_NAME_MAX];

	LOG(WARN, IKE, s->sa->conn->name, "[%u] the peer wants to go to %s: refused with %s",
	    s->sa->unique, endpoint_text(remote, &s->dg->path.remote),
	    wire_notify_name(name, type));
	step_reply(s);
	wire_notify_build(&s->b, type, bytes_of(NULL, 0));
	return mobike_echo(s);
}

enum err mobike_update_request(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct nat_found found;
	enum err e;

	if (!sa->mobike.on || sa->mobike.initiator) /* it is not the peer's to say */
		return informational_request(s);
	if (mobike_translated(s->msg, &s->dg->path))
		return refuse(s, NOTIFY_UNEXPECTED_NAT_DETECTED);
	if (!mif_first(sa) || !acceptable(&s->dg->path) ||
	    claims_stay(sa, &s->dg->path.remote.addr))
		return refuse(s, NOTIFY_UNACCEPTABLE_ADDRESSES);
	e = nat_detect(s->e->crypto, &found, s->msg, &s->dg->path);
	if (!e)
		e = follow(s, &found);
	if (e)
		return e;
	step_reply(s);
	return mobike_echo(s);
}

/* ---- the other addresses --------------------------------------------------------------------- */

enum err mobike_addrs_start(struct step *s)
{
	struct sa_mobike *m = &s->sa->mobike;

	if (!m->on)
		return ERR_OK;
	mobike_ours(s->sa, &m->ours);
	step_request(s, INFORMATIONAL);
	if (m->ours.num)
		mobike_addrs_build(&s->b, &m->ours);
	else
		wire_notify_build(&s->b, NOTIFY_NO_ADDITIONAL_ADDRESSES, bytes_of(NULL, 0));
	return ERR_OK;
}

enum err mobike_addrs_response(struct step *s)
{
	struct mobike_addrs now;

	mobike_ours(s->sa, &now);
	s->again = now.num != s->sa->mobike.ours.num ||
		   memcmp(now.list, s->sa->mobike.ours.list, now.num * sizeof(now.list[0])) != 0;
	return ERR_OK;
}

/* The list is whole with the address that it came from: where we send is not among them any more.
 */
static bool has_left(const struct ike_sa *sa, const struct path_addr *path)
{
	return sa->mobike.initiator && !mif_rules(sa) &&
	       !ip_addr_equal(&sa->path.remote.addr, &path->remote.addr) &&
	       mobike_addr_usable(&path->remote.addr) &&
	       !mobike_addrs_have(&sa->mobike.peers, &sa->path.remote.addr);
}

enum err mobike_addrs_request(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct path_addr path = s->dg->path;

	if (sa->mobike.on) {
		mobike_addrs_take(&sa->mobike.peers, s->msg);
		path.ifindex = 0;
		if (has_left(sa, &path))
			mobike_go(sa, &path, s->now_ns);
	}
	return informational_request(s);
}

/* ---- is it there? ---------------------------------------------------------------------------- */

enum err mobike_check_start(struct step *s)
{
	if (!s->sa->probe.on)
		return ERR_OK;
	s->sa->probe.strayed = false;
	step_request(s, INFORMATIONAL);
	return build_cookie(s, CHECK_COOKIE_LEN);
}

enum err mobike_check_response(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct sa_probe *p = &sa->probe;
	char text[ENDPOINT_TEXT_MAX];
	enum err e = check_cookie(s);

	if (e || !p->on)
		return e;
	endpoint_text(text, &p->path.remote);
	if (path_same_remote(&p->path, &s->dg->path) && !p->strayed) {
		p->on = false;
		mobike_nat(sa, p->nat_local, p->nat_remote, s->now_ns);
		sa_move(sa, &s->dg->path, s->dg->port);
		LOG(INFO, IKE, sa->conn->name, "[%u] the peer is at %s now", sa->unique, text);
		return ERR_OK;
	}
	if (++p->checks < CHECKS_MAX && p->credit >= CHECK_LEN) {
		s->again = true;
		return ERR_OK;
	}
	p->on = false;
	LOG(WARN, IKE, sa->conn->name, "[%u] the peer does not answer from %s: it is not followed",
	    sa->unique, text);
	return ERR_OK;
}
