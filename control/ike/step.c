/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/step.h"

#include <stdio.h>

#include "base/alloc.h"
#include "control/auth/eap/eap.h"
#include "control/child/work.h"
#include "control/ike/ask.h"
#include "control/ike/followup.h"
#include "control/ike/halfopen.h"
#include "control/ike/intermediate.h"
#include "control/ike/reauth.h"
#include "control/ike/rekey_work.h"
#include "control/ike/task.h"
#include "control/ike/window.h"
#include "control/ike/offer.h"
#include "control/ike/wire/skf.h"

/* STEPS_MAX - rows that one input may run in a row (S10): answers that need no ask. */
#define STEPS_MAX 8
/* PEER_LINES_PER_S - events that a peer can cause at will. */
#define PEER_LINES_PER_S 20

static bool in_handshake(enum sa_state s)
{
	return s < SA_ESTABLISHED;
}

/* The only place that assigns a state other than SA_DEAD. */
static void enter(struct step *s)
{
	struct ike_sa *sa = s->sa;
	const struct transition *row = s->row;
	uint64_t bound = row->timeout_ns;

	if (s->stay)
		return;
	if (sa->state != row->next)
		LOG(DEBUG, IKE, sa->conn ? sa->conn->name : NULL, "[%u] %s -> %s: %s", sa->unique,
		    sa_state_name(sa->state), sa_state_name(row->next), row->story);
	if (row->next == SA_DEAD) {
		sa_end(sa, s->now_ns);
		return;
	}
	if (row->next == SA_DELETING || row->next == SA_REKEYED)
		window_in_abandon(sa);
	if (bound && sa->state != row->next) {
		if (bound == HALF_OPEN)
			bound = halfopen_bound(sa->e);
		timer_set(&sa->e->timers, &sa->state_timer, s->now_ns + bound);
	}
	sa->state = row->next;
}

uint64_t step_bits(const struct ike_msg *msg)
{
	uint64_t bits = msg->present & ~(PAYLOAD_BIT(PAYLOAD_SA) - 1);
	struct wire_notify n;

	if (!(msg->present & (PAYLOAD_BIT(PAYLOAD_NOTIFY) | PAYLOAD_BIT(PAYLOAD_DELETE))))
		return bits;
	if (wire_notify_find_error(&n, msg))
		bits |= HAS_ERROR;
	if (wire_notify_find(&n, msg, NOTIFY_REKEY_SA))
		bits |= HAS_REKEY;
	if (wire_notify_find(&n, msg, NOTIFY_COOKIE))
		bits |= HAS_COOKIE;
	if (wire_notify_find(&n, msg, NOTIFY_PUZZLE))
		bits |= HAS_PUZZLE;
	if (wire_notify_find(&n, msg, NOTIFY_INVALID_KE_PAYLOAD))
		bits |= HAS_INVALID_KE;
	if (wire_notify_find(&n, msg, NOTIFY_AUTHENTICATION_FAILED))
		bits |= HAS_AUTH_FAILED;
	if (wire_notify_find(&n, msg, NOTIFY_UPDATE_SA_ADDRESSES))
		bits |= HAS_UPDATE_SA;
	if (wire_notify_find(&n, msg, NOTIFY_ADDITIONAL_IP4_ADDRESS) ||
	    wire_notify_find(&n, msg, NOTIFY_ADDITIONAL_IP6_ADDRESS) ||
	    wire_notify_find(&n, msg, NOTIFY_NO_ADDITIONAL_ADDRESSES))
		bits |= HAS_ADDRESSES;
	if (wire_notify_find(&n, msg, NOTIFY_TICKET_NACK))
		bits |= HAS_TICKET_NACK;
	if (wire_notify_find(&n, msg, NOTIFY_MIF_OP))
		bits |= HAS_MIF_OP;
	if (wire_notify_find(&n, msg, NOTIFY_REDIRECT))
		bits |= HAS_REDIRECT;
	for (uint32_t i = 0; i < msg->num; i++) {
		struct wire_delete d;

		if (msg->payloads[i].type == PAYLOAD_DELETE &&
		    !wire_delete_parse(&d, msg->payloads[i].body) && d.protocol == PROTO_IKE)
			bits |= HAS_DELETE_IKE;
	}
	return bits;
}

static void fail_text(struct step *s, enum ike_reason reason, uint16_t notify, const char *fmt,
		      va_list ap)
{
	s->fail.reason = reason;
	s->fail.notify = notify;
	vsnprintf(s->fail.text, sizeof(s->fail.text), fmt, ap);
}

enum err step_fail(struct step *s, enum ike_reason reason, uint16_t notify, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_text(s, reason, notify, fmt, ap);
	va_end(ap);
	return ERR_PEER;
}

enum err step_fail_child(struct step *s, enum ike_reason reason, uint16_t notify, const char *fmt,
			 ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_text(s, reason, notify, fmt, ap);
	va_end(ap);
	s->fail.only_child = true;
	return ERR_PEER;
}

static_assert(OFFER_TEXT_MAX == IKE_OFFER_MAX, "texts of offers go into failures whole");

void step_offers(struct step *s, const char *here, const char *there)
{
	snprintf(s->fail.here, sizeof(s->fail.here), "%s", here);
	snprintf(s->fail.there, sizeof(s->fail.there), "%s", there);
}

void step_report(struct step *s, const struct failure *f, const char *child, bool narrow)
{
	const struct step *before = s->e->failing;

	s->fail = *f;
	s->e->failing = s;
	action_event_named(s->sa, IKE_EVENT_FAILED, child, narrow, s->fail.reason, s->sa->request,
			   s->fail.text);
	s->e->failing = before;
	s->fail = (struct failure){.reason = IKE_REASON_NONE};
}

uint8_t step_exchange(const struct step *s)
{
	if (s->msg)
		return s->msg->h.exchange;
	if (s->requesting)
		return s->exchange;
	return s->x == &s->sa->in.x ? s->sa->in.exchange_type : s->sa->out.exchange_type;
}

/* ---- messages ------------------------------------------------------------------------------- */

static void begin(struct step *s, uint8_t exchange, uint8_t flags, uint32_t id, bool no_state)
{
	const struct ike_sa *sa = s->sa;
	const struct ike_header h = {
		.spi_i = sa->spi_i,
		.spi_r = no_state ? 0 : sa->spi_r,
		.exchange = exchange,
		.flags = (uint8_t)(flags | (sa->initiator ? IKE_FLAG_INITIATOR : 0)),
		.msgid = id,
	};

	ike_build_begin(&s->b, s->e->out, sizeof(s->e->out), &h);
	if (!exchange_is_first(exchange))
		ike_build_sk(&s->b);
	s->building = true;
}

void step_reply(struct step *s)
{
	const struct window_in *in = &s->sa->in;

	begin(s, in->exchange_type, IKE_FLAG_RESPONSE, in->x.next_id, false);
}

void step_request(struct step *s, uint8_t exchange)
{
	struct window_out *out = &s->sa->out;
	/* What follows a response at once goes when that has closed the window. */
	const uint32_t after = s->row->on == ON_RESPONSE;

	s->requesting = true;
	s->exchange = exchange;
	if (exchange_is_first(exchange))
		out->x.next_id = 0; /* also with a cookie or another group (2.6) */
	begin(s, exchange, 0, exchange_is_first(exchange) ? 0 : out->x.next_id + after, false);
}

/* What an IKE message may take of an IP packet of the configured size; 0 = it is never cut. UDP and
 * the marker of port 4500 (RFC 3948 2.2) come off too. */
static size_t room(const struct ike_sa *sa)
{
	const bool v6 = sa->path.remote.addr.family == IP_V6;
	const size_t least = v6 ? 1280 : 576;
	const size_t size = sa->conf->daemon.fragment_size;

	if (!sa->fragments)
		return 0;
	return (size ? size : least) - (v6 ? 40 : 20) - 8 - 4;
}

/* Too large for one datagram (RFC 7383 2.5). */
static bool must_split(const struct step *s)
{
	const struct ike_builder *b = &s->b;
	const size_t limit = room(s->sa);

	return limit && b->sk_at && !b->w.err &&
	       b->iv_at + ike_build_sealed_len(b->w.len - b->iv_at - IKE_AEAD_IV_LEN, s->sa->seal) >
		       limit;
}

enum err step_finish(struct step *s)
{
	struct bytes message;
	enum err e;

	s->building = false;
	if (must_split(s))
		return skf_split(&s->reply.bytes, &s->reply.len, &s->b, s->sa->seal, room(s->sa));
	e = ike_build_finish(&s->b, &message, s->b.sk_at ? s->sa->seal : NULL);
	if (e)
		return e;
	s->reply.bytes = mem_dup(message.p, message.len);
	if (!s->reply.bytes)
		return ERR_NOMEM;
	s->reply.len = message.len;
	return ERR_OK;
}

/* Hand the finished message to its window, which sends it. */
static void commit(struct step *s)
{
	struct reply r = s->reply;

	if (!r.bytes)
		return;
	s->reply = (struct reply){0};
	if (s->requesting)
		window_out_send(s->sa, s->exchange, r.bytes, r.len, s->now_ns);
	else
		window_in_answer(s->sa, r.bytes, r.len, s->now_ns);
	s->requesting = false;
}

/* An error notify alone (2.21). If even that fails, the peer's repeat is handled afresh. */
static void refuse(struct step *s)
{
	const struct failure *f = &s->fail;
	const struct window_in *in = &s->sa->in;
	const uint8_t type = (uint8_t)f->data;

	begin(s, in->exchange_type, IKE_FLAG_RESPONSE, in->x.next_id, s->sa->state == SA_NONE);
	if (f->eap) {
		const struct bytes packet = eap_failed(s->sa->hs->eap);

		writer_bytes(ike_build_payload(&s->b, PAYLOAD_EAP), packet.p, packet.len);
	}
	if (f->notify == NOTIFY_INVALID_KE_PAYLOAD)
		wire_notify_ke_build(&s->b, f->data);
	else if (f->notify == NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD)
		wire_notify_build(&s->b, f->notify, bytes_of(&type, 1));
	else if (f->notify == NOTIFY_CHILD_SA_NOT_FOUND)
		wire_notify_spi_build(&s->b, f->notify, f->spi);
	else
		wire_notify_build(&s->b, f->notify, bytes_of(NULL, 0));
	if (step_finish(s))
		window_in_abandon(s->sa);
	else
		commit(s);
}

/* ---- outcomes ------------------------------------------------------------------------------- */

static bool of_peer(const struct step *s)
{
	return s->x == &s->sa->in.x;
}

/* What the exchange was for is over, one way or the other. */
static void exchange_end(struct step *s)
{
	child_work_free(s->sa, s->x->child);
	s->x->child = NULL;
	rekey_work_free(s->sa, s->x->rekey);
	s->x->rekey = NULL;
	s->x->kind = TASK_NONE;
	if (!of_peer(s)) {
		task_free(s->sa->out.task);
		s->sa->out.task = NULL;
	}
}

/* A task that is to be tried again: later after TEMPORARY_FAILURE, at once with another group. */
static void task_again(struct step *s)
{
	struct window_out *out = &s->sa->out;
	struct task *t = out->task;

	out->task = NULL;
	exchange_end(s);
	t->retries++;
	if (s->later)
		t->not_before_ns = s->now_ns + NS_PER_S + engine_spread(s->e, 2 * NS_PER_S);
	task_put_back(s->sa, t);
}

static void succeed(struct step *s)
{
	struct ike_sa *sa = s->sa;

	if (s->row->on == ON_RESPONSE && !s->stands)
		window_out_close(sa);
	commit(s);
	enter(s);
	if (sa->state == SA_DEAD || s->pass || s->x->ask.open || s->x->ask.waiting)
		return;
	if (of_peer(s))
		exchange_end(s);
	else if (s->again || s->later)
		task_again(s);
	else if (!sa->out.waiting && s->row->on != ON_START)
		exchange_end(s);
}

static const char *child_name(const struct step *s)
{
	if (s->x->child && s->x->child->conf)
		return s->x->child->conf->name;
	if (!of_peer(s) && s->sa->out.task && s->sa->out.task->child_conf)
		return s->sa->out.task->child_conf->name;
	return NULL;
}

static bool is_narrow(const struct step *s)
{
	const struct task *t = s->sa->out.task;

	return wish_narrow(s->x->child ? s->x->child->wish : t ? t->wish : NULL);
}

/* A responder that has answered IKE_AUTH, with EAP the last one, believes itself established;
 * whoever refuses that answer has a notify for it, and whoever is short of memory takes it all
 * back. */
static bool must_tell(const struct step *s)
{
	const enum sa_state state = s->sa->state;

	if (state == SA_I_EAP_SERVER || state == SA_I_EAP_WORK)
		return false;
	return !of_peer(s) && state > SA_I_SECRET && (!s->row || s->row->on != ON_START) &&
	       (s->fail.notify || s->fail.reason == IKE_REASON_RESOURCES ||
		(s->sa->hs && s->sa->hs->elsewhere));
}

/* The handshake is over. The initiator tells a responder that may believe itself established. */
static void fail_handshake(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct task *tell = NULL;

	if (must_tell(s))
		tell = task_new(TASK_TELL, 0);
	if (!tell) {
		sa_kill(sa, s->fail.reason, s->fail.text, s->now_ns);
		return;
	}
	action_event_named(sa, IKE_EVENT_FAILED, NULL, false, s->fail.reason, sa->request,
			   s->fail.text);
	sa->e->stats.failed++;
	sa->ended = true;
	tell->notify = s->fail.notify;
	exchange_end(s);
	tasks_fail(sa, s->fail.reason, s->fail.text);
	task_add(sa, tell);
}

static void fail_request(struct step *s)
{
	/* INVALID_SYNTAX ends the IKE SA on both sides (2.21.3). */
	bool fatal = in_handshake(s->sa->state) || s->fail.notify == NOTIFY_INVALID_SYNTAX;

	if (s->fail.notify)
		refuse(s);
	if (in_handshake(s->sa->state) && s->sa->state == SA_NONE)
		s->sa->quiet =
			s->fail.reason == IKE_REASON_INVALID_KE || /* a step, not a failure */
			s->fail.notify == NOTIFY_TICKET_NACK;
	if (fatal) {
		sa_kill(s->sa, s->fail.reason, s->fail.text, s->now_ns);
		return;
	}
	if (s->fail.notify != NOTIFY_TEMPORARY_FAILURE &&
	    log_limited(&s->e->log_limit, PEER_LINES_PER_S, s->now_ns))
		action_event_named(s->sa, IKE_EVENT_FAILED, child_name(s), false, s->fail.reason, 0,
				   s->fail.text);
	exchange_end(s);
}

static void fail_own(struct step *s)
{
	struct ike_sa *sa = s->sa;
	uint64_t request = sa->out.task ? sa->out.task->request : 0;

	if (sa->out.waiting) /* this is the response, whether or not a row takes it */
		window_out_close(sa);
	if (in_handshake(sa->state)) {
		fail_handshake(s);
		return;
	}
	if (!s->fail.only_child) {
		sa_kill(sa, s->fail.reason, s->fail.text, s->now_ns);
		return;
	}
	action_event_named(sa, IKE_EVENT_FAILED, child_name(s), is_narrow(s), s->fail.reason,
			   request, s->fail.text);
	sa->e->stats.failed++;
	exchange_end(s);
}

/* Nothing was said about why: the message is as if it had been lost, or memory is short. */
static void fail_silently(struct step *s, enum err e)
{
	s->e->stats.dropped++;
	LOG(DEBUG, IKE, NULL, "[%u] %s: %s", s->sa->unique, s->row->story, err_text(e));
	if (s->sa->state == SA_NONE) {
		s->sa->quiet = s->row->on == ON_REQUEST;
		sa_kill(s->sa, IKE_REASON_RESOURCES, err_text(e), s->now_ns);
		return;
	}
	if (s->row->on == ON_RESPONSE)
		return;
	if (s->row->on == ON_REQUEST) {
		exchange_end(s);
		window_in_abandon(s->sa);
		return;
	}
	(void)step_fail_child(s, IKE_REASON_RESOURCES, of_peer(s) ? NOTIFY_TEMPORARY_FAILURE : 0,
			      "this side could not go on: %s", err_text(e));
	if (of_peer(s))
		fail_request(s);
	else
		fail_own(s);
}

static void fail(struct step *s, enum err e)
{
	mem_free(s->reply.bytes);
	s->reply = (struct reply){0};
	s->building = s->requesting = false;
	if (s->asked) /* not what was asked before, if this message is nothing to it */
		ask_close(&s->x->ask);
	s->e->failing = s;
	if (s->fail.reason == IKE_REASON_NONE)
		fail_silently(s, e);
	else if (of_peer(s))
		fail_request(s);
	else
		fail_own(s);
	s->e->failing = NULL;
}

/* Run the row, and those that follow at once because their ask is not needed. */
static void run(struct step *s)
{
	static const struct ike_answer allowed = {.allow = true};

	for (int i = 0; i < STEPS_MAX; i++) {
		enum err e = s->row->handle(s);

		if (!e && s->building)
			e = step_finish(s);
		if (e) {
			fail(s, e);
			return;
		}
		succeed(s);
		if (!s->pass || s->sa->state == SA_DEAD)
			return;
		s->pass = false;
		s->answer = &allowed;
		s->row = transition_find(s->sa->state, ON_ANSWER, s->pass_kind, s->x->kind, 0);
		assert(s->row);
	}
}

/* ---- what makes a step ---------------------------------------------------------------------- */

static struct step step_of(struct ike_sa *sa, struct exchange *x, uint64_t now_ns)
{
	return (struct step){.e = sa->e, .sa = sa, .x = x, .now_ns = now_ns};
}

static void out_of_order(struct step *s)
{
	s->e->stats.dropped++;
	if (of_peer(s))
		window_in_abandon(s->sa);
	LOG(DEBUG, IKE, NULL, "[%u] exchange %u has no place in state %s", s->sa->unique,
	    s->msg->h.exchange, sa_state_name(s->sa->state));
}

/* No row takes the message. If the exchange belongs here its payloads do not. */
static void no_row(struct step *s, bool response)
{
	char name[WIRE_NAME_MAX];
	uint8_t exchange = s->msg->h.exchange;
	bool known = transition_knows(s->sa->state, response ? ON_RESPONSE : ON_REQUEST, exchange);

	if (!known && in_handshake(s->sa->state)) {
		out_of_order(s);
		return;
	}
	if (exchange_is_first(exchange)) { /* anybody can have sent it (3.10.1, INVALID_SYNTAX) */
		out_of_order(s);
		return;
	}
	(void)step_fail(s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
			in_handshake(s->sa->state) && intermediate_next(s->sa)
				? "the peer's %s message is not the next of the key exchanges that "
				  "were agreed on"
				: "the peer's %s message lacks payloads or has some that do not "
				  "belong there",
			wire_exchange_name(name, exchange));
	fail(s, ERR_PEER);
}

void step_message(struct ike_sa *sa, const struct ike_msg *msg, const struct ike_datagram *dg,
		  uint64_t now_ns)
{
	const bool response = msg->h.flags & IKE_FLAG_RESPONSE;
	struct step s = step_of(sa, response ? &sa->out.x : &sa->in.x, now_ns);
	uint64_t bits;

	s.msg = msg;
	s.dg = dg;
	if (ike_msg_check(msg, 0, PAYLOAD_REPEATABLE) || wire_notify_check(msg)) {
		if (in_handshake(sa->state) && exchange_is_first(msg->h.exchange)) {
			out_of_order(&s); /* anybody can have sent it */
			return;
		}
		if (!response)
			window_in_open(sa, msg->h.exchange, dg);
		(void)step_fail(&s, IKE_REASON_MALFORMED, NOTIFY_INVALID_SYNTAX,
				"the peer repeats a payload that may be there once");
		fail(&s, ERR_PEER);
		return;
	}
	bits = step_bits(msg);
	if (in_handshake(sa->state))
		bits |= intermediate_next(sa) ? KEYS_MORE : KEYS_DONE;
	if (followup_of_ike(sa))
		bits |= IKE_WAITS;
	if (!response)
		children_confirm(sa);
	if (!response && !(bits & HAS_DELETE_IKE))
		rekey_used(sa);
	s.row = transition_find(sa->state, response ? ON_RESPONSE : ON_REQUEST, msg->h.exchange,
				sa->out.x.kind, bits);
	if (!response)
		window_in_open(sa, msg->h.exchange, dg);
	if (s.row)
		run(&s);
	else
		no_row(&s, response);
}

void step_invalid(struct ike_sa *sa, const struct ike_header *h, const struct ike_datagram *dg,
		  uint16_t notify, uint16_t data, uint64_t now_ns)
{
	const bool response = h->flags & IKE_FLAG_RESPONSE;
	struct step s = step_of(sa, response ? &sa->out.x : &sa->in.x, now_ns);

	if (!response)
		window_in_open(sa, h->exchange, dg);
	(void)step_fail(
		&s, notify == NOTIFY_INVALID_SYNTAX ? IKE_REASON_MALFORMED : IKE_REASON_UNSUPPORTED,
		notify,
		notify == NOTIFY_INVALID_SYNTAX
			? "a message of the peer does not follow the format"
			: "the peer uses a payload that must be understood and is not");
	s.fail.data = data;
	fail(&s, ERR_PEER);
}

void step_answer(struct ike_sa *sa, struct exchange *x, enum ike_ask_kind kind,
		 const struct ike_answer *answer, uint64_t now_ns)
{
	struct step s = step_of(sa, x, now_ns);

	s.answer = answer;
	s.row = transition_find(sa->state, ON_ANSWER, (uint8_t)kind, x->kind, 0);
	if (s.row)
		run(&s);
}

void step_task(struct ike_sa *sa, uint64_t now_ns)
{
	while (sa->state != SA_DEAD && !sa->out.task && !sa->out.waiting) {
		struct step s = step_of(sa, &sa->out.x, now_ns);
		struct task *t = task_next(sa, now_ns);

		if (!t && list_empty(&sa->tasks))
			reauth_settle(sa);
		if (!t)
			return;
		s.row = transition_find(sa->state, ON_START, 0, t->kind, 0);
		if (!s.row) {
			task_drop(sa, t);
			continue;
		}
		sa->out.task = t;
		sa->out.x.kind = t->kind;
		run(&s);
		if (sa->out.task && !sa->out.waiting && sa->state != SA_DEAD && !s.x->ask.open &&
		    !s.x->ask.waiting)
			exchange_end(&s); /* the handler found nothing to do */
	}
}

void step_task_later(struct ike_sa *sa)
{
	timer_set(&sa->e->timers, &sa->task_timer, sa->e->now_ns);
}

void step_inherit(struct ike_sa *sa, uint64_t now_ns)
{
	assert(sa->state == SA_NONE && sa->proof);
	sa->state = SA_ESTABLISHED;
	sa_established(sa, now_ns);
}
