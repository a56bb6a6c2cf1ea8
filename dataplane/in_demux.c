/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/passes.h"

#define MARKER_LEN     4 /* RFC 3948 2.2: where the SPI would be, four zero bytes */
#define KEEPALIVE_BYTE 0xff

/* enum outer_kind - what a datagram carries. */
enum outer_kind {
	OUTER_ESP,
	OUTER_IKE,
	OUTER_KEEPALIVE,
};

/* kind_of - RFC 3948 2; what came by UDP without encapsulation is IKE (port 500), and what came by
 * IP itself is ESP. */
static enum outer_kind kind_of(const struct packet *p)
{
	if (p->from.encap != ENCAP_UDP)
		return p->from.local.port ? OUTER_IKE : OUTER_ESP;
	if (p->len == 1 && p->data[0] == KEEPALIVE_BYTE)
		return OUTER_KEEPALIVE;
	return p->len >= MARKER_LEN && load_be32(p->data) == 0 ? OUTER_IKE : OUTER_ESP;
}

/* Of an IKE header (RFC 7296 3.1): the receiver's SPI, and the type of the first payload. */
#define IKE_SPI_AT       8
#define IKE_FIRST_AT     16
#define IKE_HEAD_LEN     28
#define IKE_FIRST_NOTIFY 41

/* is_unheard - a message, at least a header, that anybody can have sent who never got an answer: it
 * has no SPI of ours, and what comes first in it is no notify, as a cookie does (RFC 7296 2.6). */
static bool is_unheard(const struct packet *p)
{
	return load_be64(p->data + IKE_SPI_AT) == 0 && p->data[IKE_FIRST_AT] != IKE_FIRST_NOTIFY;
}

/* must_wait - in a flood of first messages there is room for whoever has come further, and for who
 * comes again (S43). These two are equals: the worker cannot tell whether an SPI is ours, and who
 * makes one up is not to keep out those who say who they are. */
static bool must_wait(struct worker *w, const struct packet *p)
{
	if (!events_busy(&w->events, 6) || !is_unheard(p))
		return false;
	return !greylist_again(&w->greylist, p, w->now_ns);
}

/* punt - to the control thread, without the marker. */
static void punt(struct worker *w, struct packet *p)
{
	if (p->from.encap == ENCAP_UDP) {
		p->data += MARKER_LEN;
		p->len -= MARKER_LEN;
	}
	if (p->len < IKE_HEAD_LEN) {
		worker_drop(w, p, DROP_MALFORMED_IKE);
		return;
	}
	if (must_wait(w, p)) {
		worker_drop(w, p, DROP_PUNT_FULL);
		return;
	}
	struct dp_event ev = {
		.kind = DP_EVENT_IKE,
		.port = p->port,
		.path = p->from,
		.bytes = bytes_of(p->data, p->len),
		.time_ns = w->now_ns,
	};

	if (events_push(&w->events, &ev, p))
		counter_add(&w->count.punted, 1);
	else
		worker_drop(w, p, DROP_PUNT_FULL);
}

/* came_with - part came as p did. */
static void came_with(struct packet *part, const struct packet *p)
{
	part->from = p->from;
	part->port = p->port;
	part->dscp_ecn = p->dscp_ecn;
}

/* cut_off - the next datagram of the super-datagram p, whose rest begins behind it; *last: there is
 * no rest. NULL: there is no buffer, and p is dropped. */
static struct packet *cut_off(struct worker *w, struct packet *p, bool *last)
{
	uint32_t len = p->len < p->seg_len ? p->len : p->seg_len;
	struct packet *part = packet_get(len <= w->pool->data_room ? w->pool : w->longer);

	*last = !part || len == p->len;
	if (!part) {
		worker_drop(w, p, DROP_NO_BUFFER);
		return NULL;
	}
	memcpy(part->data, p->data, len);
	part->len = len;
	came_with(part, p);
	counter_add(&w->count.made, 1);
	p->data += len;
	p->len -= len;
	if (*last) {
		counter_add(&w->count.consumed, 1);
		packet_put(p);
	}
	return part;
}

/* take_first - the first datagram of a super-datagram that came in parts; *slot: those behind it.
 */
static struct packet *take_first(struct worker *w, struct packet **slot)
{
	struct packet *p = *slot, *rest = p->next_part;

	came_with(rest, p);
	rest->seg_len = rest->next_part ? p->seg_len : 0;
	rest->num_parts = (uint8_t)(p->num_parts - 1);
	p->next_part = NULL;
	p->seg_len = 0;
	p->num_parts = 0;
	counter_add(&w->count.made, 1);
	*slot = rest;
	return p;
}

/* next_datagram - of what is in *slot; *last: there is no more. NULL: dropped. */
static struct packet *next_datagram(struct worker *w, struct packet **slot, bool *last)
{
	*last = !(*slot)->seg_len;
	if (likely(*last))
		return *slot;
	return (*slot)->next_part ? take_first(w, slot) : cut_off(w, *slot, last);
}

/* goes_beside - the super-datagram p, or what is left of it, goes into out as a whole, or there is
 * nothing else there: what the sender had together is to be joined again for the host. */
static bool goes_beside(const struct packet *p, const struct pktvec *out)
{
	if (p->next_part)
		return out->num == 0 || p->num_parts < pktvec_room(out);
	return out->num == 0 || p->len <= (uint32_t)p->seg_len * pktvec_room(out);
}

/* demux - p goes on in out if it is ESP. */
static void demux(struct worker *w, struct packet *p, struct pktvec *out)
{
	if (unlikely(p->flags & (PACKET_F_IP | PACKET_F_TOLD))) {
		p = in_wire(w, p);
		if (!p)
			return;
	}
	switch (kind_of(p)) {
	case OUTER_ESP:
		pktvec_push(out, p);
		break;
	case OUTER_IKE:
		punt(w, p);
		break;
	case OUTER_KEEPALIVE:
		worker_drop(w, p, DROP_KEEPALIVE);
		break;
	}
}

/* as_they_are - how many from in->pkt[i] on are single ESP packets and nothing else; they go to
 * out, in which there is room for all. */
static uint32_t as_they_are(const struct pktvec *in, uint32_t i, struct pktvec *out)
{
	uint32_t n;

	for (n = 0; i + n < in->num; n++) {
		struct packet *p = in->pkt[i + n];

		pass_prefetch(in, i + n);
		if (unlikely(p->seg_len || p->flags & (PACKET_F_IP | PACKET_F_TOLD) ||
			     kind_of(p) != OUTER_ESP))
			break;
		out->pkt[out->num + n] = p;
	}
	out->num += n;
	return n;
}

void in_demux(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	uint32_t i = 0;

	out->num = 0;
	i = as_they_are(in, 0, out);
	while (i < in->num && pktvec_room(out)) {
		struct packet *p = in->pkt[i];
		bool last;

		if (unlikely(p->seg_len) && !goes_beside(p, out))
			break;
		pass_prefetch(in, i);
		p = next_datagram(w, &in->pkt[i], &last);
		i += last;
		if (likely(p != NULL))
			demux(w, p, out);
	}
	in->num -= i;
	memmove(in->pkt, in->pkt + i, in->num * sizeof(in->pkt[0]));
}
