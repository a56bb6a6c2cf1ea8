/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dummy.h"

#include "dataplane/fit.h"

/* DUMMY_LEN - of one that is to be as long as the path takes, while that is not known. */
#define DUMMY_LEN 576

void dummies_begin(struct esp_sa **list, struct esp_sa *sa)
{
	if (!sa->conf->dummies)
		return;
	for (const struct esp_sa *at = *list; at; at = at->next_dummy) {
		if (at == sa)
			return;
	}
	rcu_publish(sa->next_dummy, *list);
	rcu_publish(*list, sa);
}

void dummies_end(struct esp_sa **list, struct esp_sa *sa)
{
	while (*list && *list != sa)
		list = &(*list)->next_dummy;
	if (*list)
		rcu_publish(*list, sa->next_dummy);
}

/* due - when the next one is, if nothing leaves by sa before. An SA that another of its group took
 * the place of, or another worker's, sends none. */
static uint64_t due(const struct worker *w, const struct esp_sa *sa, const struct sa_conf *c)
{
	if (sa->owner != w->index || rcu_deref(c->group->newest) != sa)
		return TIME_NEVER;
	return sa->last_ns + NS_PER_S / c->dummies;
}

static uint32_t len_of(const struct esp_sa *sa, const struct path_table *t, uint32_t room,
		       uint64_t now_ns)
{
	uint32_t max = fit_text(sa, t, now_ns), len = rcu_deref(sa->conf)->dummy_len;

	if (len == TFC_PADDING_PATH)
		len = max == FIT_ANY ? DUMMY_LEN : max;
	len = len < max ? len : max;
	return len < room ? len : room;
}

/* make - zeros, for they are encrypted; routers may cut it where they may cut what it is to be
 * taken for. NULL: there is no packet to make it of, or nowhere to send it. */
static struct packet *make(struct worker *w, struct esp_sa *sa, const struct sa_conf *c)
{
	const struct path_table *t = path_table_of(c->paths);
	struct packet *p = path_first(t) ? packet_get(w->pool) : NULL;

	if (!p)
		return NULL;
	p->sa = sa;
	p->len = len_of(sa, t, p->pool->data_room, w->now_ns);
	p->flags |= PACKET_F_DUMMY;
	if (c->copy_df != DF_CLEAR && !path_in_doubt(t, w->now_ns))
		p->flags |= PACKET_F_DF;
	memset(p->data, 0, p->len);
	counter_add(&w->count.made, 1);
	return p;
}

void dummies_due(struct timer *t, uint64_t now_ns)
{
	struct worker *w = container_of(t, struct worker, dummy_timer);
	struct pktvec v = {.num = 0};
	uint64_t next = TIME_NEVER;

	for (struct esp_sa *sa = rcu_deref(*w->dummies); sa; sa = rcu_deref(sa->next_dummy)) {
		const struct sa_conf *c = rcu_deref(sa->conf);
		uint64_t at = due(w, sa, c);

		if (at <= now_ns) {
			struct packet *p = make(w, sa, c);

			if (p)
				pktvec_push(&v, p);
			at = now_ns + NS_PER_S / c->dummies;
		}
		if (pktvec_room(&v) == 0)
			worker_protect(w, &v);
		next = at < next ? at : next;
	}
	worker_protect(w, &v);
	timer_set(&w->timers, t, next);
}
