/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/lookaside.h"

#include "base/alloc.h"

const struct aead_backend aead_lookaside = {.name = "lookaside"};

struct lookaside *lookaside_new(struct aead_device *device)
{
	struct lookaside *l = mem_alloc(sizeof(*l));

	if (l)
		l->device = device;
	return l;
}

void lookaside_free(struct lookaside *l)
{
	if (!l)
		return;
	assert(lookaside_num(l) == 0);
	for (uint32_t i = 0; i < l->num_kept; i++)
		packet_put(l->kept[i]);
	mem_free(l);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static struct lookaside_slot *slot_at(struct lookaside_line *line, uint32_t i)
{
	return &line->slots[(line->first + i) % LOOKASIDE_MAX];
}

static struct lookaside_slot *push(struct worker *w, enum crypt_way way, struct packet *p)
{
	struct lookaside_line *line = &w->lookaside->lines[way];
	struct lookaside_slot *s = slot_at(line, line->num++);

	*s = (struct lookaside_slot){.packet = p, .since_ns = w->now_ns};
	return s;
}

/* take - the first ones that are done, max at most, go on. */
static uint32_t take(struct worker *w, enum crypt_way way, struct pktvec *out, uint32_t max)
{
	struct lookaside_line *line = &w->lookaside->lines[way];
	uint32_t n = 0;

	for (; n < max && line->num && slot_at(line, 0)->done; n++) {
		const struct lookaside_slot *s = slot_at(line, 0);

		line->first = (line->first + 1) % LOOKASIDE_MAX;
		line->num--;
		crypt_judge(w, way, s->packet, s->ok, out);
	}
	if (n)
		worker_count_held(w);
	return n;
}

uint32_t lookaside_take(struct worker *w, enum crypt_way way, struct pktvec *out)
{
	out->num = 0;
	return take(w, way, out, PKTVEC_MAX);
}

/* ---- the device ------------------------------------------------------------------------------ */

/* collect - what is done; something was. */
static bool collect(struct worker *w)
{
	struct lookaside *l = w->lookaside;
	struct aead_done done[AEAD_BATCH_MAX];
	uint32_t n = AEAD_BATCH_MAX;
	bool any = false;

	while (l->num_given && n == AEAD_BATCH_MAX) {
		n = l->device->ops->complete(l->device, w->index, done, AEAD_BATCH_MAX);
		l->num_given -= n;
		any = any || n;
		counter_add(&w->count.by_device, n);
		for (uint32_t i = 0; i < n; i++) {
			struct lookaside_slot *s = done[i].ref;

			s->done = true;
			s->ok = done[i].ok;
		}
	}
	return any;
}

static bool is_late(const struct worker *w, struct lookaside_line *line)
{
	const struct lookaside_slot *s = slot_at(line, 0);

	return line->num && !s->done && w->now_ns - s->since_ns > AEAD_DEVICE_TIMEOUT_NS;
}

/* tell - control that the device is lost. */
static void tell(struct worker *w)
{
	const struct dp_event ev = {.kind = DP_EVENT_DEVICE, .time_ns = w->now_ns};

	if (events_push(&w->events, &ev, NULL))
		w->lookaside->untold = false;
}

void lookaside_poll(struct worker *w)
{
	struct lookaside *l = w->lookaside;

	if (unlikely(l->untold))
		tell(w);
	if (!l->num_given)
		return;
	(void)collect(w);
	if (unlikely(is_late(w, &l->lines[CRYPT_OUT]) || is_late(w, &l->lines[CRYPT_IN])))
		lookaside_lose(w);
}

/* keep - the packet is given up now, and its buffer when the device cannot write there any more. */
static void keep(struct worker *w, struct packet *p)
{
	struct lookaside *l = w->lookaside;

	p->drop_reason = DROP_DEVICE;
	counter_add(&w->count.drops[DROP_DEVICE], 1);
	l->kept[l->num_kept++] = p;
}

/* lose_line - what is not done goes; the others keep their order. */
static void lose_line(struct worker *w, struct lookaside_line *line)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < line->num; i++) {
		struct lookaside_slot *s = slot_at(line, i);

		if (s->done)
			*slot_at(line, left++) = *s;
		else
			keep(w, s->packet);
	}
	line->num = left;
}

void lookaside_lose(struct worker *w)
{
	struct lookaside *l = w->lookaside;

	l->untold = aead_device_lose(l->device) || l->untold;
	if (l->untold)
		tell(w);
	lose_line(w, &l->lines[CRYPT_OUT]);
	lose_line(w, &l->lines[CRYPT_IN]);
	l->num_given = 0; /* it is not asked again */
	worker_count_held(w);
}

/* ---- the pass -------------------------------------------------------------------------------- */

/* struct batch - operations for the device. */
struct batch {
	uint32_t num;
	struct aead_op ops[AEAD_BATCH_MAX];
	void *slots[AEAD_BATCH_MAX];
};

/* by_worker - the processor does it; it waits for its turn all the same. */
static void by_worker(struct worker *w, enum crypt_way way, const struct aead_op *op,
		      struct lookaside_slot *s)
{
	const struct esp_sa *sa = s->packet->sa;
	struct aead_op own = *op;

	own.key = sa->spare_key;
	crypt_run(w, way, sa->spare, &own, 1);
	s->done = true;
	s->ok = own.ok;
}

/* make_room - for n packets more; as many go on as must. */
static void make_room(struct worker *w, enum crypt_way way, uint32_t n, struct pktvec *out)
{
	struct lookaside_line *line = &w->lookaside->lines[way];
	struct aead_wait wait = {0};

	while (LOOKASIDE_MAX - line->num < n) {
		if (!take(w, way, out, n - (LOOKASIDE_MAX - line->num)) &&
		    !aead_wait_on(&wait, collect(w)))
			lookaside_lose(w);
	}
}

/* submit - all of the batch; what a device that is lost did not take, the worker does. */
static void submit(struct worker *w, enum crypt_way way, const struct batch *b)
{
	struct lookaside *l = w->lookaside;
	struct aead_wait wait = {0};
	uint32_t given = 0, n;

	while (given < b->num) {
		n = l->device->ops->submit(l->device, w->index, b->ops + given, b->slots + given,
					   b->num - given);
		given += n;
		l->num_given += n;
		if (!n && !aead_wait_on(&wait, collect(w)))
			break;
	}
	if (likely(given == b->num))
		return;
	for (; given < b->num; given++)
		by_worker(w, way, &b->ops[given], b->slots[given]);
	lookaside_lose(w);
}

/* give - packets from..to of `in`, of SAs whose keys are the device's; `out` has so many at most as
 * `in` had up to here. */
static void give(struct worker *w, enum crypt_way way, const struct pktvec *in, uint32_t from,
		 uint32_t to, struct pktvec *out)
{
	const struct aead_device *d = w->lookaside->device;
	struct batch b = {.num = 0};

	make_room(w, way, to - from, out);
	for (uint32_t i = from; i < to; i++) {
		struct lookaside_slot *s = push(w, way, in->pkt[i]);

		if (unlikely(aead_device_lost(d) || w->ops[i].len > d->max_len)) {
			by_worker(w, way, &w->ops[i], s);
			continue;
		}
		b.ops[b.num] = w->ops[i];
		b.slots[b.num++] = s;
	}
	submit(w, way, &b);
	worker_count_held(w);
	(void)take(w, way, out, to - out->num);
}

void lookaside_crypt(struct worker *w, enum crypt_way way, struct pktvec *in, struct pktvec *out)
{
	out->num = 0;
	for (uint32_t i = 0, n; i < in->num; i += n) {
		const struct aead_backend *be = in->pkt[i]->sa->aead;

		n = crypt_same_backend(in, i);
		if (likely(be == &aead_lookaside)) {
			give(w, way, in, i, i + n, out);
			continue;
		}
		crypt_run(w, way, be, &w->ops[i], n);
		for (uint32_t k = i; k < i + n; k++)
			crypt_judge(w, way, in->pkt[k], w->ops[k].ok, out);
	}
}
