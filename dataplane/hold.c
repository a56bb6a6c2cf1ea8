/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/hold.h"

#include "base/alloc.h"
#include "dataplane/pool.h"

#define NUM_BUCKETS 256u

/* struct hold_item - one waiting packet. */
struct hold_item {
	struct packet *packet;
	struct hold_queue *queue;
};

/* struct hold_queue - what is known of one policy's packets. */
struct hold_queue {
	struct hold_queue *next; /* in its bucket or in the free list */
	uint32_t policy;
	uint32_t num;
	uint64_t acquire_ns; /* last report; valid if acquired */
	bool acquired;
};

enum err hold_init(struct hold *h, uint32_t cap, uint32_t per_policy, uint64_t wait_ns)
{
	*h = (struct hold){.cap = cap, .per_policy = per_policy, .wait_ns = wait_ns};
	h->ring = mem_alloc_array(cap, sizeof(*h->ring));
	h->queues = mem_alloc_array(cap, sizeof(*h->queues));
	h->buckets = mem_alloc_array(NUM_BUCKETS, sizeof(struct hold_queue *));
	if (!h->ring || !h->queues || !h->buckets) {
		hold_fini(h);
		return ERR_NOMEM;
	}
	for (uint32_t i = 0; i < cap; i++) {
		h->queues[i].next = h->free;
		h->free = &h->queues[i];
	}
	return ERR_OK;
}

void hold_fini(struct hold *h)
{
	struct packet *p;

	while ((p = hold_pop(h)) != NULL)
		packet_put(p);
	mem_free(h->ring);
	mem_free(h->queues);
	mem_free(h->buckets);
	*h = (struct hold){0};
}

/* bucket_of - policy ids are random in their low bits already. */
static struct hold_queue **bucket_of(const struct hold *h, uint32_t policy)
{
	return &h->buckets[policy % NUM_BUCKETS];
}

static struct hold_queue *find(const struct hold *h, uint32_t policy)
{
	struct hold_queue *q = *bucket_of(h, policy);

	while (q && q->policy != policy)
		q = q->next;
	return q;
}

/* obtain - the queue of a policy; there is one for each packet that may wait, so it never fails
 * while there is room, except when queues of the round that hold_tidy() ends are still there. */
static struct hold_queue *obtain(struct hold *h, uint32_t policy)
{
	struct hold_queue *q = find(h, policy);

	if (q || !h->free)
		return q;
	q = h->free;
	h->free = q->next;
	*q = (struct hold_queue){.policy = policy, .next = *bucket_of(h, policy)};
	*bucket_of(h, policy) = q;
	return q;
}

static bool is_due(const struct hold_queue *q, uint64_t now_ns)
{
	return !q->acquired || now_ns - q->acquire_ns >= HOLD_ACQUIRE_NS;
}

bool hold_due(const struct hold *h, uint32_t policy, uint64_t now_ns)
{
	const struct hold_queue *q = find(h, policy);

	return q && q->num && is_due(q, now_ns);
}

static bool is_joined(const struct packet *p)
{
	return (p->flags & PACKET_F_JOINED) != 0;
}

static bool is_super(const struct packet *p)
{
	return p->seg_len != 0;
}

enum hold_result hold_push(struct hold *h, struct packet *p, uint32_t policy, uint64_t now_ns)
{
	struct hold_queue *q = h->num < h->cap ? obtain(h, policy) : NULL;

	if (!q || q->num >= h->per_policy)
		return HOLD_FULL;
	if ((is_joined(p) && h->num_joined >= h->max_joined) ||
	    (is_super(p) && h->num_super >= h->max_super))
		return HOLD_FULL;
	if (p->hold_until_ns == 0)
		p->hold_until_ns = now_ns + h->wait_ns;
	h->ring[(h->head + h->num) % h->cap] = (struct hold_item){.packet = p, .queue = q};
	h->num++;
	q->num++;
	h->num_joined += is_joined(p);
	h->num_super += is_super(p);
	return is_due(q, now_ns) ? HOLD_ACQUIRE : HOLD_KEPT;
}

void hold_acquired(struct hold *h, uint32_t policy, uint64_t now_ns)
{
	struct hold_queue *q = find(h, policy);

	if (!q)
		return;
	q->acquired = true;
	q->acquire_ns = now_ns;
}

struct packet *hold_pop(struct hold *h)
{
	if (h->num == 0)
		return NULL;
	struct hold_item *item = &h->ring[h->head];

	h->head = (h->head + 1) % h->cap;
	h->num--;
	item->queue->num--;
	h->num_joined -= is_joined(item->packet);
	h->num_super -= is_super(item->packet);
	return item->packet;
}

uint64_t hold_deadline(const struct hold *h)
{
	return h->num ? h->ring[h->head].packet->hold_until_ns : TIME_NEVER;
}

void hold_tidy(struct hold *h)
{
	for (uint32_t b = 0; b < NUM_BUCKETS; b++) {
		for (struct hold_queue **at = &h->buckets[b]; *at;) {
			struct hold_queue *q = *at;

			if (q->num) {
				at = &q->next;
				continue;
			}
			*at = q->next;
			q->next = h->free;
			h->free = q;
		}
	}
}
