/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/puzzle.h"

#include <stdio.h>

#include "control/ike/ask.h"
#include "control/ike/handlers.h"
#include "control/ike/sa_init.h"

/* EFFORT - zero bits that are solved for where the responder leaves it to us (7.1.1.1): a quarter
 * of a second's work. */
#define EFFORT 16

/* What is in our configuration decides, since the difficulty is anybody's word. */
static bool is_worth_it(const struct step *s, const struct wire_puzzle *p)
{
	const struct conf_conn *conn = s->sa->conn;
	const uint8_t max = s->sa->conf->daemon.puzzle_max;

	return max && p->bits <= max && sa_offers_prf(conn->ike, conn->num_ike, p->prf);
}

/* It is tried without: so that nobody wonders if it is not answered then. */
static void leave_out(struct step *s, const struct wire_puzzle *p)
{
	const uint8_t max = s->sa->conf->daemon.puzzle_max;

	s->sa->hs->puzzle.asked.bits = p->bits;
	s->sa->hs->puzzle.refused = true;
	if (max && p->bits <= max)
		action_event(s->sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, s->sa->request,
			     "the peer wants a puzzle solved by an algorithm that is not in "
			     "`proposals` of connection %s: going on without",
			     s->sa->conn->name);
	else
		action_event(s->sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, s->sa->request,
			     "the peer wants a puzzle of %u bits solved, and `puzzle_max` is %u: "
			     "going on without, which it may not answer",
			     p->bits, max);
}

static uint8_t bits_of(const struct step *s, const struct wire_puzzle *p)
{
	const uint8_t max = s->sa->conf->daemon.puzzle_max;

	return p->bits ? p->bits : max < EFFORT ? max : EFFORT;
}

/* An answer to an earlier copy of the request that came late: what is under way has this cookie. */
static bool is_answered(const struct step *s, const struct wire_puzzle *p)
{
	const struct handshake *hs = s->sa->hs;
	struct wire_notify n;

	return hs->puzzle.solution_len && wire_notify_find(&n, s->msg, NOTIFY_COOKIE) &&
	       bytes_equal(n.data, bytes_of(hs->cookie, hs->cookie_len)) &&
	       p->bits <= hs->puzzle.asked.bits;
}

static enum err take_on(struct step *s, const struct wire_puzzle *p)
{
	struct handshake *hs = s->sa->hs;
	enum err e = step_ask(s, IKE_ASK_PUZZLE);

	if (e)
		return e;
	hs->puzzle.asked.prf = p->prf;
	hs->puzzle.asked.bits = bits_of(s, p);
	action_event(s->sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, s->sa->request,
		     "the peer wants a puzzle of %u bits solved before it answers",
		     hs->puzzle.asked.bits);
	return ERR_OK;
}

static enum err parse(const struct step *s, struct wire_puzzle *out)
{
	struct wire_notify n;

	return wire_notify_find(&n, s->msg, NOTIFY_PUZZLE) ? wire_puzzle_parse(out, n.data)
							   : ERR_MALFORMED;
}

enum err puzzle_given(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct wire_puzzle p;
	struct bytes cookie;
	enum err e = parse(s, &p);

	if (!e && is_answered(s, &p))
		e = ERR_EXISTS;
	if (!e)
		e = sa_init_cookie_of(s, &cookie);
	if (e)
		return e;
	puzzle_call_off(s->sa);
	memcpy(hs->puzzle.cookie, cookie.p, cookie.len);
	hs->puzzle.asked.text = bytes_of(hs->puzzle.cookie, cookie.len);
	hs->puzzle.refused = false;
	s->stands = true;
	if (is_worth_it(s, &p)) {
		e = take_on(s, &p);
	} else {
		leave_out(s, &p);
		step_pass(s, IKE_ASK_PUZZLE);
	}
	return e;
}

enum err puzzle_solved(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct handshake_puzzle *p = &hs->puzzle;
	const struct bytes solution = s->answer->solution;
	enum err e;

	sa_init_set_cookie(hs, p->asked.text);
	p->solution_len = 0;
	if (s->answer->allow && solution.len == sizeof(p->solution)) {
		memcpy(p->solution, solution.p, solution.len);
		p->solution_len = solution.len;
	} else if (!p->refused) {
		p->refused = true;
		action_event(s->sa, IKE_EVENT_PROGRESS, NULL, IKE_REASON_NONE, s->sa->request,
			     "the peer's puzzle of %u bits was not solved in time: going on "
			     "without, which it may not answer",
			     p->asked.bits);
	}
	e = sa_init_repeat(s);
	if (!e)
		hs->num_cookies++;
	return e;
}

/* ---- while one is solved ----------------------------------------------------------------------
 */

bool puzzle_under_way(const struct ike_sa *sa)
{
	return sa->state == SA_I_PUZZLE && (sa->out.x.ask.open || sa->out.x.ask.waiting);
}

void puzzle_call_off(struct ike_sa *sa)
{
	if (puzzle_under_way(sa))
		ask_close(&sa->out.x.ask);
}

enum err puzzle_another(struct step *s)
{
	struct wire_puzzle p;
	enum err e = parse(s, &p);

	if (e)
		return e;
	if (puzzle_under_way(s->sa) &&
	    (!is_worth_it(s, &p) || bits_of(s, &p) >= s->sa->hs->puzzle.asked.bits))
		return ERR_EXISTS;
	return puzzle_given(s);
}

enum err puzzle_cookie(struct step *s)
{
	struct handshake *hs = s->sa->hs;
	struct bytes cookie;
	enum err e = sa_init_cookie_of(s, &cookie);

	if (e)
		return e;
	/* The request under way shows it already: this answers an earlier one. */
	if (bytes_equal(cookie, bytes_of(hs->cookie, hs->cookie_len)))
		return ERR_EXISTS;
	e = sa_init_cookie(s);
	if (e)
		hs->cookie_len = 0; /* it is not shown, and taken when it comes again */
	return e;
}

enum err puzzle_group(struct step *s)
{
	const struct conf_conn *conn = s->sa->conn;
	const struct handshake *hs = s->sa->hs;
	struct wire_notify n;
	uint16_t group;
	enum err e;

	if (!wire_notify_find(&n, s->msg, NOTIFY_INVALID_KE_PAYLOAD) || wire_notify_u16(&group, &n))
		return ERR_MALFORMED;
	/* What would end the attempt waits (puzzle.h). */
	if (hs->ke_retried || group == hs->group || !sa_offers_dh(conn->ike, conn->num_ike, group))
		return ERR_EXISTS;
	e = sa_init_invalid_ke(s);
	if (!e)
		puzzle_call_off(s->sa);
	return e;
}

void puzzle_in_vain(char *text, size_t size, const struct ike_sa *sa)
{
	const struct handshake *hs = sa->hs;
	char remote[ENDPOINT_TEXT_MAX];

	if (!hs || !hs->puzzle.refused)
		return;
	endpoint_text(remote, &sa->path.remote);
	if (hs->puzzle.asked.bits > sa->conf->daemon.puzzle_max)
		snprintf(text, size,
			 "%s is in a flood, and does not answer who solves no puzzle; its own had "
			 "%u bits, and `puzzle_max` is %u: raise it, to 23 at most, or try again "
			 "later",
			 remote, hs->puzzle.asked.bits, sa->conf->daemon.puzzle_max);
	else
		snprintf(text, size,
			 "%s is in a flood, and does not answer who solves no puzzle, which this "
			 "side could not: try again later",
			 remote);
}
