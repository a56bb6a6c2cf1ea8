/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/window.h"

#include <stdio.h>

#include <sodium.h>

#include "base/alloc.h"
#include "control/ike/ask.h"
#include "control/ike/mobike.h"
#include "control/ike/move.h"
#include "control/ike/puzzle.h"
#include "control/ike/reassembly.h"
#include "control/ike/resume.h"
#include "control/ike/task.h"

static void digest(uint8_t out[16], struct bytes raw)
{
	crypto_generichash(out, 16, raw.p, raw.len, NULL, 0);
}

/* Each of the messages by itself, always all of them (RFC 7383 2.6.1). What memory is short for is
 * as if it had been lost: it is sent or asked for again. */
static void send_all(struct ike_sa *sa, const struct path_addr *path, uint16_t port,
		     struct bytes messages)
{
	while (messages.len) {
		const size_t len = skf_message_len(messages);

		if (!action_send(sa->e, path, port, bytes_of(messages.p, len))) {
			sa->sent_ns = sa->e->now_ns;
			action_sent_to(sa);
		}
		messages = bytes_of(messages.p + len, messages.len - len);
	}
}

static void send_response(struct ike_sa *sa, const struct path_addr *path, uint16_t port)
{
	struct window_in *in = &sa->in;

	send_all(sa, path, port, bytes_of(in->response, in->response_len));
	sa_probe_sent(sa, path, in->response_len);
}

/* A peer that moved repeats its request from where it is now, and so may whoever recorded it: where
 * it did not come from the first time no more than three bytes go for one (S57). */
static bool may_repeat(const struct window_in *in, const struct ike_datagram *dg)
{
	return path_same_remote(&in->path, &dg->path) || in->response_len <= 3 * dg->bytes.len;
}

static enum window_verdict check_request(struct ike_sa *sa, uint32_t id,
					 const struct ike_datagram *dg)
{
	struct window_in *in = &sa->in;
	uint8_t d[16];

	if (id == in->x.next_id)
		return in->busy ? WINDOW_DROP : WINDOW_NEW;
	if (id != in->x.next_id - 1 || !in->response || in->busy)
		return WINDOW_DROP;
	digest(d, dg->bytes);
	if (memcmp(d, in->digest, sizeof(d)) != 0 || !may_repeat(in, dg))
		return WINDOW_DROP;
	send_response(sa, &dg->path, dg->port);
	return WINDOW_REPEAT;
}

static enum window_verdict check_response(const struct ike_sa *sa, const struct ike_header *h)
{
	const struct window_out *out = &sa->out;

	if (!out->waiting || h->msgid != out->x.next_id || h->exchange != out->exchange_type)
		return WINDOW_DROP;
	return WINDOW_NEW;
}

enum window_verdict window_check(struct ike_sa *sa, const struct ike_header *h,
				 const struct ike_datagram *dg)
{
	if (h->flags & IKE_FLAG_RESPONSE)
		return check_response(sa, h);
	return check_request(sa, h->msgid, dg);
}

enum window_verdict window_check_fragment(const struct ike_sa *sa, const struct ike_header *h,
					  uint16_t number)
{
	const struct window_in *in = &sa->in;

	if (h->flags & IKE_FLAG_RESPONSE)
		return check_response(sa, h);
	if (in->busy)
		return WINDOW_DROP;
	if (h->msgid == in->x.next_id)
		return WINDOW_NEW;
	if (h->msgid != in->x.next_id - 1 || !in->response || number != 1 ||
	    h->exchange != in->exchange_type)
		return WINDOW_DROP;
	return WINDOW_REPEAT;
}

void window_in_repeat(struct ike_sa *sa, const struct ike_datagram *dg)
{
	if (may_repeat(&sa->in, dg))
		send_response(sa, &dg->path, dg->port);
}

void window_in_open(struct ike_sa *sa, uint8_t exchange, const struct ike_datagram *dg)
{
	struct window_in *in = &sa->in;

	in->busy = true;
	in->exchange_type = exchange;
	in->path = dg->path;
	in->port = dg->port;
	/* The digest of the last answered request goes: a repeat of it is older than this one. */
	digest(in->digest, dg->bytes);
	reassembly_drop(&sa->e->debtors, &in->parts);
}

void window_in_answer(struct ike_sa *sa, uint8_t *bytes, size_t len, uint64_t now_ns)
{
	struct window_in *in = &sa->in;

	(void)now_ns;
	mem_free(in->response);
	in->response = bytes;
	in->response_len = len;
	in->busy = false;
	in->x.next_id++;
	send_response(sa, &in->path, in->port);
}

void window_in_abandon(struct ike_sa *sa)
{
	sa->in.busy = false;
	ask_close(&sa->in.x.ask);
}

static void arm(struct ike_sa *sa, uint64_t now_ns)
{
	struct window_out *out = &sa->out;
	uint64_t spread = engine_spread(sa->e, out->interval_ns / 5);

	/* Plus or minus a tenth, so that many peers do not repeat in step. */
	timer_set(&sa->e->timers, &out->timer,
		  now_ns + out->interval_ns - out->interval_ns / 10 + spread);
}

static void send_request(struct ike_sa *sa)
{
	struct window_out *out = &sa->out;
	const struct bytes request = bytes_of(out->request, out->request_len);
	struct sa_target to;

	if (sa_target(sa, &to, out->tries, request.len))
		send_all(sa, &to.path, to.port, request);
	if (mobike_detour(sa, &to, out->tries))
		send_all(sa, &to.path, to.port, request);
	out->tries++;
}

void window_out_send(struct ike_sa *sa, uint8_t exchange, uint8_t *bytes, size_t len,
		     uint64_t now_ns)
{
	struct window_out *out = &sa->out;

	mem_free(out->request);
	out->request = bytes;
	out->request_len = len;
	out->exchange_type = exchange;
	out->waiting = true;
	out->tries = 0;
	out->interval_ns = sa->e->limits.retransmit_ns;
	if (exchange_is_first(exchange))
		out->x.next_id = 0; /* again 0 with a cookie or another group (RFC 7296 2.6) */
	send_request(sa);
	arm(sa, now_ns);
}

void window_out_repeat(struct ike_sa *sa)
{
	send_request(sa);
	sa->out.tries--;
}

void window_out_hurry(struct ike_sa *sa, uint64_t now_ns)
{
	sa->out.tries = 0;
	sa->out.interval_ns = sa->e->limits.retransmit_ns;
	send_request(sa);
	arm(sa, now_ns);
}

void window_out_close(struct ike_sa *sa)
{
	struct window_out *out = &sa->out;

	timer_cancel(&sa->e->timers, &out->timer);
	mem_free(out->request);
	out->request = NULL;
	out->request_len = 0;
	reassembly_drop(&sa->e->debtors, &out->parts);
	out->waiting = false;
	out->x.next_id++;
}

static void give_up(struct ike_sa *sa, uint64_t now_ns)
{
	char remote[ENDPOINT_TEXT_MAX], text[240];

	if (sa->state == SA_DELETING || sa->state == SA_REKEYED) {
		sa_end(sa, now_ns);
		return;
	}
	if (task_find(sa, TASK_IKE_DELETE, 0)) { /* it was to end, and not for want of an answer */
		sa_kill(sa, sa->reason ? sa->reason : IKE_REASON_LOCAL, sa->end_text, now_ns);
		return;
	}
	endpoint_text(remote, &sa->path.remote);
	snprintf(text, sizeof(text),
		 sa->state == SA_ESTABLISHED
			 ? "%s does not answer any more: its IKE SA is given up"
			 : "no answer from %s: is the address right, the peer up, and UDP 500 and "
			   "4500 open on the way?",
		 remote);
	if (sa->state == SA_I_INIT)
		puzzle_in_vain(text, sizeof(text), sa);
	sa_kill(sa, IKE_REASON_NO_ANSWER, text, now_ns);
}

/* The interval grows by 1.8 up to the limit's ceiling. */
static void retransmit(struct timer *t, uint64_t now_ns)
{
	struct window_out *out = container_of(t, struct window_out, timer);
	struct ike_sa *sa = container_of(out, struct ike_sa, out);

	if (resume_in_vain(sa, now_ns))
		return;
	if (out->tries >= sa->e->limits.retransmit_tries && !puzzle_under_way(sa)) {
		give_up(sa, now_ns);
		return;
	}
	out->interval_ns = out->interval_ns * 9 / 5;
	if (out->interval_ns > sa->e->limits.retransmit_max_ns)
		out->interval_ns = sa->e->limits.retransmit_max_ns;
	send_request(sa);
	sa->e->stats.retransmitted++;
	arm(sa, now_ns);
}

void window_init(struct ike_sa *sa)
{
	timer_init(&sa->out.timer, retransmit);
}

void window_fini(struct ike_sa *sa)
{
	timer_cancel(&sa->e->timers, &sa->out.timer);
	mem_free(sa->out.request);
	task_free(sa->out.task);
	mem_free(sa->in.response);
	reassembly_drop(&sa->e->debtors, &sa->in.parts);
	reassembly_drop(&sa->e->debtors, &sa->out.parts);
	sa->out.request = sa->in.response = NULL;
	sa->out.task = NULL;
	sa->out.waiting = false;
}
