/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/events.h"

#include <unistd.h>

#include "base/alloc.h"
#include "dataplane/pool.h"

enum err events_init(struct events *q, uint32_t max_ike, int fd)
{
	*q = (struct events){.max_ike = max_ike < EVENTS_NUM_IKE ? max_ike : EVENTS_NUM_IKE};
	q->fd = fd;
	q->out = ring_new(EVENTS_NUM);
	q->back = ring_new(EVENTS_NUM);
	q->records = mem_alloc_array(EVENTS_NUM, sizeof(*q->records));
	q->free = mem_alloc_array(EVENTS_NUM, sizeof(struct event_record *));
	if (!q->out || !q->back || !q->records || !q->free) {
		events_fini(q);
		return ERR_NOMEM;
	}
	while (q->num_free < EVENTS_NUM) {
		q->records[q->num_free].queue = q;
		q->free[q->num_free] = &q->records[q->num_free];
		q->num_free++;
	}
	return ERR_OK;
}

void events_fini(struct events *q)
{
	for (uint32_t i = 0; q->records && i < EVENTS_NUM; i++) {
		if (q->records[i].packet)
			packet_put(q->records[i].packet);
	}
	ring_free(q->out);
	ring_free(q->back);
	mem_free(q->records);
	mem_free(q->free);
	*q = (struct events){0};
}

/* is_probe - that events_push() counts by itself. */
static bool is_probe(const struct dp_event *ev, const struct packet *packet)
{
	return packet && ev->kind == DP_EVENT_PROBE;
}

bool events_push(struct events *q, const struct dp_event *ev, struct packet *packet)
{
	const bool probe = is_probe(ev, packet), ike = packet && !probe;

	if (q->num_free == 0 || (ike && q->num_ike >= q->max_ike))
		return false;
	struct event_record *r = q->free[q->num_free - 1];

	r->ev = *ev;
	r->ev.storage = r;
	r->packet = packet;
	if (!ring_push(q->out, r)) /* cannot be: the ring holds all records */
		return false;
	q->num_free--;
	q->num_ike += ike;
	q->num_probes += probe;
	q->notify = true;
	return true;
}

void events_collect(struct events *q)
{
	struct event_record *r;

	while ((r = ring_pop(q->back)) != NULL) {
		if (r->packet) {
			const bool probe = is_probe(&r->ev, r->packet);

			packet_put(r->packet);
			r->packet = NULL;
			q->num_ike -= !probe;
			q->num_probes -= probe;
		}
		q->free[q->num_free++] = r;
	}
}

void events_flush(struct events *q)
{
	uint64_t one = 1;

	if (!q->notify)
		return;
	q->notify = false;
	ssize_t n = write(q->fd, &one, sizeof(one));

	(void)n; /* fails only when the counter is full: then it is readable anyway */
}

struct event_record *events_pop(struct events *q)
{
	return ring_pop(q->out);
}

void events_release(struct events *q, struct event_record *r)
{
	bool pushed = ring_push(q->back, r);

	assert(pushed); /* the ring holds all records */
}
