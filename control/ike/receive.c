/* SPDX-License-Identifier: Apache-2.0 */
/* receive.c - a datagram's way to its IKE SA: header, SPI, window, authentication, then a step. */
#include "control/ike/receive.h"

#include "control/ike/crash.h"
#include "control/ike/halfopen.h"
#include "control/ike/intermediate.h"
#include "control/ike/mobike.h"
#include "control/ike/move.h"
#include "control/ike/reassembly.h"
#include "control/ike/sa_init.h"
#include "control/ike/step.h"
#include "control/ike/wire/sk.h"
#include "control/ike/window.h"

/* ERRORS_PER_S - unprotected error answers to strangers; never longer than what they answer. */
#define ERRORS_PER_S 20

static bool is_response(const struct ike_header *h)
{
	return h->flags & IKE_FLAG_RESPONSE;
}

/* What anybody can cause has a bound, and costs nothing beyond it. */
static bool may_answer(struct ike_engine *e, const struct ike_header *h, uint16_t notify)
{
	return !is_response(h) && (notify >= NOTIFY_STATUS_FIRST ||
				   log_limited(&e->error_limit, ERRORS_PER_S, e->now_ns));
}

/* Under the SPIs, the exchange and the number of the request. token: ours, or empty; puzzle: or
 * NULL. */
static void answer_unprotected(struct ike_engine *e, const struct ike_header *h,
			       const struct ike_datagram *dg, uint16_t notify, struct bytes data,
			       struct bytes token, const struct wire_puzzle *puzzle)
{
	const struct ike_header answer = {
		.spi_i = h->spi_i,
		.spi_r = h->spi_r,
		.exchange = h->exchange,
		.flags = (uint8_t)(IKE_FLAG_RESPONSE |
				   (h->flags & IKE_FLAG_INITIATOR ? 0 : IKE_FLAG_INITIATOR)),
		.msgid = h->msgid,
	};
	struct ike_builder b;
	struct bytes message;

	ike_build_begin(&b, e->out, sizeof(e->out), &answer);
	wire_notify_build(&b, notify, data);
	if (token.len)
		wire_token_build(&b, token);
	if (puzzle)
		wire_puzzle_build(&b, puzzle);
	if (ike_build_finish(&b, &message, NULL) || message.len > 3 * dg->bytes.len)
		return;
	(void)!action_send(e, &dg->path, dg->port, message); /* nobody waits for it */
}

void receive_refuse_unprotected(struct ike_engine *e, const struct ike_header *h,
				const struct ike_datagram *dg, uint16_t notify, struct bytes data)
{
	if (may_answer(e, h, notify))
		answer_unprotected(e, h, dg, notify, data, bytes_of(NULL, 0), NULL);
}

void receive_demand(struct ike_engine *e, const struct ike_header *h, const struct ike_datagram *dg,
		    struct bytes cookie, const struct wire_puzzle *puzzle)
{
	if (may_answer(e, h, NOTIFY_COOKIE))
		answer_unprotected(e, h, dg, NOTIFY_COOKIE, cookie, bytes_of(NULL, 0), puzzle);
}

static bool is_protected(const struct ike_msg *m)
{
	return m->present & (PAYLOAD_BIT(PAYLOAD_SK) | PAYLOAD_BIT(PAYLOAD_SKF));
}

/* The IKE SA that the message is of is not ours, or no longer: who has it may know by our token
 * that it is gone (RFC 6290 4.5). */
static void unknown(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg)
{
	uint8_t token[CRASH_TOKEN_LEN] = {0};
	bool shows;

	e->stats.dropped++;
	if (!may_answer(e, &m->h, NOTIFY_INVALID_IKE_SPI))
		return;
	shows = is_protected(m) && !crash_token(e, token, m->h.spi_i, m->h.spi_r) &&
		crash_may_show(e, &m->h);
	answer_unprotected(e, &m->h, dg, NOTIFY_INVALID_IKE_SPI, bytes_of(NULL, 0),
			   bytes_of(token, shows ? sizeof(token) : 0), NULL);
	secret_wipe(token, sizeof(token));
}

/* A responder derives its keys when the first IKE_AUTH comes, once for each SPI pair (S42). */
static bool have_keys(struct ike_sa *sa)
{
	enum err e;

	if (sa->open)
		return true;
	if (sa->state != SA_R_INIT)
		return false;
	e = sa_init_derive(sa);
	if (e)
		LOG(DEBUG, IKE, NULL, "[%u] no keys: %s", sa->unique, err_text(e));
	return !e;
}

/* An authenticated message: the peer lives, and a NAT may have given it another address. With
 * MOBIKE the peer says so instead (RFC 4555 3.8). */
static void heard(struct ike_sa *sa, const struct ike_header *h, const struct ike_datagram *dg,
		  uint64_t now_ns)
{
	sa->seen_ns = now_ns;
	if (sa->state >= SA_ESTABLISHED)
		sa_confirm(sa);
	if (sa->mobike.on)
		mobike_heard(sa, h, dg, now_ns);
	else if (is_response(h))
		sa_probed(sa, &dg->path, dg->port);
	else
		sa_probe(sa, &dg->path, dg->port, dg->bytes.len, now_ns);
}

/* The peer no longer knows an IKE SA that we are closing: the response was lost, and this is as
 * good. Whoever forges it only spares us the repeats. One that it does not know yet
 * it may still come to have, but for one that gave way to another. */
static bool is_gone(const struct ike_sa *sa, const struct ike_msg *m)
{
	struct wire_notify n;

	return sa->state == SA_DELETING && (sa->confirmed || sa->quiet) && is_response(&m->h) &&
	       wire_notify_find(&n, m, NOTIFY_INVALID_IKE_SPI);
}

/* An authentic message: of what its payloads are, err says whether they could be parsed. */
static void opened(struct ike_sa *sa, const struct ike_msg *inner, enum err err,
		   const struct ike_datagram *dg, uint64_t now_ns)
{
	heard(sa, &inner->h, dg, now_ns);
	if (err)
		step_invalid(sa, &inner->h, dg, NOTIFY_INVALID_SYNTAX, 0, now_ns);
	else if (inner->unknown_critical)
		step_invalid(sa, &inner->h, dg, NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD,
			     inner->unknown_critical, now_ns);
	else
		step_message(sa, inner, dg, now_ns);
}

static void encrypted(struct ike_sa *sa, const struct ike_msg *outer, const struct ike_datagram *dg,
		      uint64_t now_ns)
{
	struct ike_engine *e = sa->e;
	struct ike_msg inner;
	bool authentic = false;
	enum err err;

	if (!have_keys(sa)) {
		e->stats.dropped++;
		return;
	}
	err = sk_open(&inner, &authentic, e->in, sizeof(e->in), outer, sa->open);
	if (authentic)
		opened(sa, &inner, err, dg, now_ns);
	else
		e->stats.dropped++;
}

/* ---- fragments (RFC 7383 2.6) ---------------------------------------------------------------- */

/* The message is whole: it goes on as if it had come in one piece. */
static void reassembled(struct ike_sa *sa, const struct ike_msg *outer,
			const struct ike_datagram *dg, uint64_t now_ns)
{
	struct ike_engine *e = sa->e;
	struct reassembly **parts = is_response(&outer->h) ? &sa->out.parts : &sa->in.parts;
	struct ike_msg inner = {.h = outer->h, .raw = outer->raw};
	struct bytes chain;
	uint8_t first;

	if (!reassembly_whole(*parts, &chain, &first, e->in))
		return;
	reassembly_drop(&e->debtors, parts);
	opened(sa, &inner, ike_chain_parse(&inner, first, chain, false), dg, now_ns);
}

/* False if it was not good for anything. Nothing is kept, and nothing is answered, of what is not
 * authentic (S2). */
static bool fragment(struct ike_sa *sa, const struct ike_msg *outer, const struct ike_datagram *dg,
		     uint64_t now_ns)
{
	struct ike_engine *e = sa->e;
	struct reassembly **parts = is_response(&outer->h) ? &sa->out.parts : &sa->in.parts;
	enum window_verdict verdict;
	struct bytes text = {0};
	bool authentic = false;
	struct skf f;

	if (exchange_is_first(outer->h.exchange) || skf_parse(&f, outer))
		return false;
	verdict = window_check_fragment(sa, &outer->h, f.number);
	if (verdict == WINDOW_DROP || (verdict == WINDOW_NEW && !reassembly_wants(*parts, &f)))
		return false;
	if (!have_keys(sa) ||
	    sk_decrypt(&text, &authentic, e->in, sizeof(e->in), &f.sealed,
		       verdict == WINDOW_REPEAT ? intermediate_repeat_key(sa) : sa->open))
		return false;
	if (verdict == WINDOW_REPEAT) {
		window_in_repeat(sa, dg);
		return false;
	}
	if (reassembly_add(&e->debtors, parts, &dg->path.remote.addr, &f, text))
		return false;
	reassembled(sa, outer, dg, now_ns);
	return true;
}

/* Nothing is known yet of who answers: each message may be another's. */
static bool is_early(const struct ike_sa *sa)
{
	return sa->state == SA_I_INIT || sa->state == SA_I_PUZZLE || sa->state == SA_I_RESUME;
}

/* The SA that a message names, if its sender has the other role and the other SPI fits. */
static struct ike_sa *find_sa(const struct ike_engine *e, const struct ike_header *h)
{
	const bool from_initiator = h->flags & IKE_FLAG_INITIATOR;
	const uint64_t ours = from_initiator ? h->spi_r : h->spi_i;
	const uint64_t theirs = from_initiator ? h->spi_i : h->spi_r;
	struct ike_sa *sa = sa_by_spi(e, ours);

	if (!sa || sa->initiator == from_initiator || sa->state == SA_DEAD)
		return NULL;
	if (is_early(sa))
		return sa;
	return sa_peer_spi(sa) == theirs ? sa : NULL;
}

static void for_sa(struct ike_sa *sa, const struct ike_msg *m, const struct ike_datagram *dg,
		   uint64_t now_ns)
{
	if (m->present & PAYLOAD_BIT(PAYLOAD_SKF)) {
		if (!fragment(sa, m, dg, now_ns))
			sa->e->stats.dropped++;
		step_task(sa, now_ns);
		return;
	}
	if (window_check(sa, &m->h, dg) != WINDOW_NEW) {
		sa->e->stats.dropped++;
		return;
	}
	if (!is_protected(m) && is_response(&m->h) && crash_proven(sa, m))
		crash_end(sa, now_ns);
	else if (is_gone(sa, m))
		sa_end(sa, now_ns);
	else if (!exchange_is_first(m->h.exchange))
		encrypted(sa, m, dg, now_ns);
	else if (is_response(&m->h) && is_early(sa) && !m->unknown_critical)
		step_message(sa, m, dg, now_ns);
	else
		sa->e->stats.dropped++;
	step_task(sa, now_ns);
}

static void dispatch(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
		     uint64_t now_ns)
{
	const struct ike_header *h = &m->h;
	struct ike_sa *sa;

	if (exchange_is_first(h->exchange) && !is_response(h)) {
		sa_init_receive(e, m, dg, now_ns);
		return;
	}
	if (h->exchange == INFORMATIONAL && !is_response(h) && !is_protected(m)) {
		e->stats.dropped++;
		crash_hint(e, m, now_ns);
		return;
	}
	sa = find_sa(e, h);
	if (sa)
		for_sa(sa, m, dg, now_ns);
	else
		unknown(e, m, dg);
}

static void malformed(struct ike_engine *e, const struct ike_datagram *dg, enum err err)
{
	struct ike_header h;

	e->stats.malformed++;
	if (err == ERR_UNSUPPORTED && !ike_header_parse(&h, dg->bytes) &&
	    h.major > IKE_MAJOR_VERSION)
		receive_refuse_unprotected(e, &h, dg, NOTIFY_INVALID_MAJOR_VERSION,
					   bytes_of(NULL, 0));
}

void ike_receive(struct ike_engine *e, const struct ike_datagram *dg, uint64_t now_ns)
{
	struct ike_msg m;
	enum err err;

	e->now_ns = now_ns;
	e->stats.received++;
	err = ike_msg_parse(&m, dg->bytes);
	if (err)
		malformed(e, dg, err);
	else
		dispatch(e, &m, dg, now_ns);
	engine_sweep(e, now_ns);
}
