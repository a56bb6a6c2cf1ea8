/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/admit.h"

#include "control/crypto/puzzle_check.h"
#include "control/ike/halfopen.h"
#include "control/ike/receive.h"

/* PUZZLE_NS - so long a puzzle may be solved, or up to COOKIE_STEP_NS less: as long as any cookie
 * lives (cookie.h). */
#define PUZZLE_NS COOKIE_ROLL_NS

/* ---- cookies --------------------------------------------------------------------------------- */

static struct cookie_request request_of(const struct ike_msg *m, const struct ike_datagram *dg,
					struct bytes ni)
{
	return (struct cookie_request){
		.ni = ni, .from = &dg->path.remote.addr, .spi_i = m->h.spi_i};
}

static bool has_cookie(const struct ike_engine *e, struct cookie_asked *out, struct bytes *cookie,
		       const struct ike_msg *m, const struct cookie_request *r)
{
	struct wire_notify n;

	if (!wire_notify_find(&n, m, NOTIFY_COOKIE) ||
	    cookie_check(&e->cookies, out, n.data, r, e->now_ns))
		return false;
	*cookie = n.data;
	return true;
}

bool admit_proven(const struct ike_engine *e, const struct ike_msg *m,
		  const struct ike_datagram *dg, struct bytes ni)
{
	const struct cookie_request r = request_of(m, dg, ni);
	struct cookie_asked asked;
	struct bytes cookie;

	return has_cookie(e, &asked, &cookie, m, &r);
}

static void demand(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
		   const struct cookie_request *r, const struct wire_puzzle *puzzle)
{
	uint8_t cookie[COOKIE_LEN];

	if (cookie_make(e->crypto, &e->cookies, cookie, r, puzzle ? puzzle->bits : 0, e->now_ns))
		return;
	e->stats.cookies_sent++;
	if (puzzle)
		e->stats.puzzles_set++;
	receive_demand(e, &m->h, dg, bytes_of(cookie, sizeof(cookie)), puzzle);
}

/* ---- puzzles (RFC 8019 7.1) -------------------------------------------------------------------
 */

/* The PRF by which the sender of a request is to solve, and did: the first of its SA payload that
 * there is here. 0: there is none. */
static uint16_t prf_of(const struct ike_msg *m)
{
	struct sa_payload offer;

	return sa_parse(&offer, ike_msg_body(m, PAYLOAD_SA)) ? 0 : sa_common_prf(&offer);
}

static void set_puzzle(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
		       const struct cookie_request *r)
{
	const struct wire_puzzle p = {.prf = prf_of(m), .bits = halfopen_difficulty(e, r->from)};

	if (p.prf)
		demand(e, m, dg, r, &p);
	else /* nothing would come of it (7.1.1.2) */
		receive_refuse_unprotected(e, &m->h, dg, NOTIFY_NO_PROPOSAL_CHOSEN,
					   bytes_of(NULL, 0));
}

static bool is_spent(const struct ike_engine *e, struct bytes cookie)
{
	const uint64_t tag = cookie_tag(cookie);
	bool found = false;

	for (size_t i = 0; i < SPENT_PUZZLES; i++)
		found |= e->spent[i] == tag;
	return found;
}

void admit_spend(struct ike_engine *e)
{
	if (e->solved)
		e->spent[e->spent_next++ % SPENT_PUZZLES] = e->solved;
	if (e->by_turn)
		halfopen_turn_had(e);
}

static bool is_solved(struct ike_engine *e, const struct ike_msg *m, uint8_t bits,
		      struct bytes cookie)
{
	const struct puzzle p = {.prf = prf_of(m), .bits = bits, .text = cookie};
	struct bytes keys[PUZZLE_KEYS];

	return !wire_solution_parse(keys, ike_msg_body(m, PAYLOAD_PS)) &&
	       !puzzle_check(e->crypto, &p, keys);
}

static bool is_lucky(struct ike_engine *e, const struct ip_addr *from)
{
	const uint32_t chance = halfopen_chance(e);
	uint8_t drawn;

	if (!chance) {
		e->by_turn = halfopen_turn(e, from);
		return e->by_turn;
	}
	return !engine_random(e, &drawn, sizeof(drawn)) && drawn < chance;
}

/* Who does not solve puzzles may not know of them: some of these are let in, by chance, the fewer
 * the more there are (7.1), and a few each second in whatever crowd (7.1.4). The others get no
 * answer, so that each time that they ask again is another chance. */
static bool is_spared(struct ike_engine *e, const struct ip_addr *from)
{
	const bool spared = is_lucky(e, from);

	if (spared)
		e->stats.puzzles_spared++;
	else
		e->stats.dropped++;
	return spared;
}

/* A request with a cookie, at a time of puzzles (7.1.4, 7.1.5). */
static bool judge(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
		  const struct cookie_request *r, const struct cookie_asked *asked,
		  struct bytes cookie)
{
	if (!asked->bits || e->now_ns - asked->made_ns > PUZZLE_NS) {
		set_puzzle(e, m, dg, r);
		return false;
	}
	if (!ike_msg_find(m, PAYLOAD_PS))
		return is_spared(e, r->from);
	if (!is_solved(e, m, asked->bits, cookie)) {
		e->stats.puzzles_failed++;
		return is_spared(e, r->from);
	}
	if (is_spent(e, cookie)) {
		e->stats.puzzles_failed++;
		set_puzzle(e, m, dg, r);
		return false;
	}
	e->stats.puzzles_solved++;
	e->solved = cookie_tag(cookie);
	return true;
}

bool admit(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
	   struct bytes ni, bool known)
{
	const bool flood = halfopen_puzzling(e);
	/* A ticket has been earned, and costs no Diffie-Hellman: a cookie is enough (4.5). */
	const bool puzzles = flood && m->h.exchange == IKE_SA_INIT;
	const struct cookie_request r = request_of(m, dg, ni);
	struct cookie_asked asked;
	struct bytes cookie;

	e->solved = 0;
	e->by_turn = false;
	if (!known && !flood && !halfopen_crowded(e))
		return true;
	if (has_cookie(e, &asked, &cookie, m, &r))
		return !puzzles || judge(e, m, dg, &r, &asked, cookie);
	if (puzzles)
		set_puzzle(e, m, dg, &r);
	else
		demand(e, m, dg, &r, NULL);
	return false;
}
