/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments on their way to being whole packets, in the worker's books: each is held, then either
 * consumed by the packet it is part of, which is made, or dropped for its reason. */
#include "dataplane/passes.h"

/* settle - what the reassembler gave up on its own account. */
static void settle(struct worker *w)
{
	struct reasm *r = &w->reasm;

	counter_add(&w->count.drops[DROP_FRAGMENT_OVERLAP], r->num_spoilt);
	counter_add(&w->count.drops[DROP_FRAGMENT_FULL], r->num_displaced);
	counter_add(&w->count.drops[DROP_FRAGMENT_EXPIRED], r->num_expired);
	r->num_spoilt = r->num_displaced = r->num_expired = 0;
	worker_count_held(w);
}

void worker_expire_fragments(struct timer *t, uint64_t now_ns)
{
	struct worker *w = container_of(t, struct worker, reasm_timer);

	reasm_expire(&w->reasm, now_ns);
	settle(w);
	if (reasm_next(&w->reasm) != TIME_NEVER)
		timer_set(&w->timers, t, reasm_next(&w->reasm));
}

void worker_forget_fragments(struct worker *w, uint64_t context)
{
	reasm_forget(&w->reasm, context);
	settle(w);
}

struct packet *pass_join(struct worker *w, struct packet *p, uint64_t context)
{
	struct fragment f;
	struct packet *whole = NULL;
	enum drop_reason why = DROP_FRAGMENT_MALFORMED;
	uint32_t num = 0;

	/* One that was put together is not a part of another (RFC 8200 4.5). */
	if (!(p->flags & PACKET_F_JOINED) && fragment_parse(&f, p->data, p->len) == FRAGMENT_PART)
		why = reasm_add(&w->reasm, &whole, &num, p, &f, context, w->now_ns);
	if (why == DROP_NONE)
		packet_put(p);
	else
		worker_drop(w, p, why);
	counter_add(&w->count.consumed, num);
	counter_add(&w->count.made, whole != NULL);
	settle(w);
	if (!timer_is_set(&w->reasm_timer) && reasm_next(&w->reasm) != TIME_NEVER)
		timer_set(&w->timers, &w->reasm_timer, reasm_next(&w->reasm));
	return whole;
}
