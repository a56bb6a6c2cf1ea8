/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody says of a path's MTU, judged (S57). A router on the way quotes the packet it could
 * not pass on: who names an SPI of ours and a sequence number that was sent just now has seen our
 * packets, and is believed. Anybody else may be making it up, or be a router that quotes too
 * little: then nothing shrinks, but for a while our packets may be cut on their way, which is right
 * in either case. Our own host is believed.
 */
#include "dataplane/workers.h"

/* TOLD_SEQS - packets in flight at most, in sequence numbers: 100 ms of a million a second. */
#define TOLD_SEQS 131072u
/* TOLD_NS - and in time. */
#define TOLD_NS (10 * NS_PER_S)

/* struct told - a report on its way through the path sets. */
struct told {
	const struct dp_event *ev;
	bool believed;
};

/* goes_there - our own host does not say to which port. */
static bool goes_there(const struct path *p, const struct path_addr *to)
{
	return p->addr.encap == to->encap &&
	       ip_addr_equal(&p->addr.remote.addr, &to->remote.addr) &&
	       (to->remote.port == 0 || to->remote.port == p->addr.remote.port);
}

/* was_sent - the packet that is quoted may be one of sa's latest. */
static bool was_sent(const struct esp_sa *sa, const struct dp_event *ev)
{
	uint32_t behind = (uint32_t)counter_get(&sa->seq) - ev->seq;

	return behind < TOLD_SEQS && behind < counter_get(&sa->seq) &&
	       ev->time_ns <= counter_get(&sa->last_ns) + TOLD_NS;
}

static void consider(void *ctx, uint64_t id, void *obj)
{
	const struct told *t = ctx;
	struct path_set *s = obj;

	(void)id;
	for (uint32_t i = 0; i < s->table->num; i++) {
		struct path *p = &s->table->path[i];

		if (!goes_there(p, &t->ev->path))
			continue;
		if (t->believed)
			path_learn_pmtu(p, t->ev->mtu, t->ev->time_ns);
		else
			path_doubt(p, t->ev->time_ns);
	}
}

/* path_there - the path of a set that packets like this one go by; NULL: none. */
static struct path *path_there(const struct path_set *s, const struct path_addr *to)
{
	for (uint32_t i = 0; i < s->table->num; i++) {
		if (goes_there(&s->table->path[i], to))
			return &s->table->path[i];
	}
	return NULL;
}

void told_judge(struct dataplane *dp, const struct dp_event *ev)
{
	const struct esp_sa *sa = dataplane_outbound(dp, ev->spi);
	struct told t = {.ev = ev, .believed = ev->trusted};

	struct path *p = sa ? path_there(sa->conf->paths, &ev->path) : NULL;

	if (p && was_sent(sa, ev)) {
		path_learn_pmtu(p, ev->mtu, ev->time_ns);
		return;
	}
	slots_each(dp->pathsets, consider, &t);
}
