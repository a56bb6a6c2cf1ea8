/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of a vector that the host may have as one: successive ones of a TCP or UDP flow, under
 * the same rules as its own receive offload (GRO) has, so that nothing is lost by it: equal headers
 * but for what tells them apart, in sequence, of one length but the last, and each with a checksum
 * that is right. One whose checksum is wrong goes by itself, as it is. Nothing is copied: they are
 * chained, and the driver of the virtual interface writes them together.
 */
#include <netinet/in.h>

#include "base/checksum.h"
#include "dataplane/mss.h"
#include "dataplane/passes.h"

#define IP4_LEN 20 /* without options: others go by themselves */
#define UDP_LEN 8

#define TCP_SEQ_AT 4
#define TCP_ACK_AT 8
#define TCP_LEN_AT 12
#define TCP_SUM_AT 16
#define UDP_SUM_AT 6
#define TCP_FIN    0x01
#define TCP_PSH    0x08
#define TCP_ACK    0x10
#define TCP_ECE    0x40

/* NUM_OPEN - chains of a vector that may go on, each of a flow of its own. */
#define NUM_OPEN 8

/* struct segment - where things are in a packet of TCP or UDP. */
struct segment {
	struct packet *p;
	uint32_t at, head_len, len; /* transport header, all headers, payload */
	bool v6, tcp;
	bool joins; /* it is such that it may be joined with others */
};

/* struct chain - what it began with, and where it ends. */
struct chain {
	struct segment first;
	struct packet *last;
	uint32_t len; /* of it all, as one IP packet */
	bool checked; /* the first one's checksum */
	bool fixed;   /* IPv4: all have one identification, else each is the next */
	bool open;
};

static bool parse_v4(struct segment *s, const uint8_t *h, uint32_t len)
{
	if (len < IP4_LEN || h[0] != 0x45 || (load_be16(h + 6) & (IP4_MF | IP4_OFFSET_MASK)))
		return false;
	s->at = IP4_LEN;
	s->tcp = h[9] == IPPROTO_TCP;
	s->joins = load_be16(h + 2) == len && checksum_fold(checksum_add(0, h, IP4_LEN)) == 0xffff;
	return s->tcp || h[9] == IPPROTO_UDP;
}

static bool parse_v6(struct segment *s, const uint8_t *h, uint32_t len)
{
	if (len < IP6_LEN || h[0] >> 4 != 6)
		return false;
	s->at = IP6_LEN;
	s->v6 = true;
	s->tcp = h[6] == IPPROTO_TCP;
	s->joins = IP6_LEN + load_be16(h + 4) == len;
	return s->tcp || h[6] == IPPROTO_UDP;
}

/* parse - false: it is of no flow that is joined. */
static bool parse(struct segment *s, struct packet *p)
{
	const uint8_t *h = p->data;

	*s = (struct segment){.p = p};
	if (!parse_v4(s, h, p->len) && !parse_v6(s, h, p->len))
		return false;
	const uint8_t *t = h + s->at;
	uint32_t min = s->tcp ? TCP_MIN_LEN : UDP_LEN;

	if (p->len - s->at < min)
		return false;
	s->head_len = s->at + (s->tcp ? (t[TCP_LEN_AT] >> 4) * 4u : UDP_LEN);
	if (s->head_len < s->at + min || s->head_len >= p->len ||
	    p->flags & (PACKET_F_JOINED | PACKET_F_FRAGMENT))
		s->joins = false;
	else
		s->len = p->len - s->head_len;
	if (s->tcp)
		s->joins = s->joins && (t[TCP_FLAGS_AT] & TCP_ACK) &&
			   !(t[TCP_FLAGS_AT] & ~(TCP_ACK | TCP_PSH | TCP_FIN | TCP_ECE));
	else
		s->joins = s->joins && load_be16(t + UDP_SUM_AT) != 0 &&
			   load_be16(t + 4) == p->len - s->at;
	return true;
}

/* joins_of - the chains that the driver takes which p goes to. */
static inline uint8_t joins_of(const struct worker *w, const struct packet *p)
{
	uint16_t port = packet_inner_port(w, p);

	return port < w->num_ports && w->ports[port] ? w->ports[port]->joins : 0;
}

/* any_joins - there is a driver that takes chains. */
static bool any_joins(const struct worker *w)
{
	for (uint16_t port = 0; port < w->num_ports; port++) {
		if (w->ports[port] && w->ports[port]->joins)
			return true;
	}
	return false;
}

/* kind_of - which of JOIN_* it would be. */
static uint8_t kind_of(const struct segment *s)
{
	if (s->tcp)
		return s->v6 ? JOIN_TCP6 : JOIN_TCP4;
	return s->v6 ? JOIN_UDP6 : JOIN_UDP4;
}

/* same_flow - addresses and ports, protection class and interface. */
static bool same_flow(const struct segment *a, const struct segment *b)
{
	const uint8_t *x = a->p->data, *y = b->p->data;

	return a->v6 == b->v6 && a->tcp == b->tcp && a->p->token == b->p->token &&
	       a->p->scope == b->p->scope &&
	       memcmp(x + (a->v6 ? 8 : 12), y + (a->v6 ? 8 : 12), a->v6 ? 32 : 8) == 0 &&
	       memcmp(x + a->at, y + a->at, 4) == 0;
}

/* same_ip - version, TOS, flow label, DF, TTL. */
static bool same_ip(const struct segment *a, const struct segment *b)
{
	const uint8_t *x = a->p->data, *y = b->p->data;

	if (a->v6)
		return memcmp(x, y, 4) == 0 && x[7] == y[7];
	return x[1] == y[1] && x[8] == y[8] && memcmp(x + 6, y + 6, 2) == 0;
}

/* same_tcp - acknowledgement, flags but those that end something, window, options. */
static bool same_tcp(const struct segment *a, const struct segment *b)
{
	const uint8_t *x = a->p->data + a->at, *y = b->p->data + b->at;
	uint8_t differ = x[TCP_FLAGS_AT] ^ y[TCP_FLAGS_AT];

	return a->head_len == b->head_len && !(differ & ~(TCP_PSH | TCP_FIN)) &&
	       memcmp(x + TCP_ACK_AT, y + TCP_ACK_AT, 5) == 0 && memcmp(x + 14, y + 14, 2) == 0 &&
	       memcmp(x + 18, y + 18, a->head_len - a->at - 18) == 0;
}

/* next_id - IPv4's identification goes on as it did; with DF it may be the same all along. */
static bool next_id(struct chain *c, const struct segment *s)
{
	if (s->v6)
		return true;
	const uint8_t *h = s->p->data;
	uint16_t step = (uint16_t)(load_be16(h + 4) - load_be16(c->last->data + 4));

	if (step == 0 && (load_be16(h + 6) & IP4_DF) && (!c->first.p->num_parts || c->fixed)) {
		c->fixed = true;
		return true;
	}
	return step == 1 && !c->fixed;
}

/* is_right - the transport checksum. */
static bool is_right(const struct segment *s)
{
	const uint8_t *h = s->p->data;
	uint32_t len = s->p->len - s->at;
	uint64_t sum = checksum_pseudo(h, s->tcp ? IPPROTO_TCP : IPPROTO_UDP);

	return checksum_fold(checksum_add(sum + checksum_value((uint16_t)len), h + s->at, len)) ==
	       0xffff;
}

/* goes_on - s may be behind the chain, whose flow it is of. Its checksum is looked at last. */
static bool goes_on(struct chain *c, const struct segment *s)
{
	const struct segment *first = &c->first;
	uint32_t sent = first->len * (first->p->num_parts + 1u);

	if (!c->open || !s->joins || s->len > first->len || c->len + s->len > UINT16_MAX ||
	    first->p->num_parts + 1 == PKTVEC_MAX || !same_ip(first, s))
		return false;
	if (s->tcp && (!same_tcp(first, s) ||
		       load_be32(s->p->data + s->at + TCP_SEQ_AT) !=
			       load_be32(first->p->data + first->at + TCP_SEQ_AT) + sent))
		return false;
	if (!next_id(c, s))
		return false;
	if (!c->checked) {
		c->checked = true;
		c->open = is_right(first);
	}
	return c->open && is_right(s);
}

/* ends - nothing may be behind s. */
static bool ends(const struct chain *c, const struct segment *s)
{
	return s->len < c->first.len ||
	       (s->tcp && s->p->data[s->at + TCP_FLAGS_AT] & (TCP_PSH | TCP_FIN));
}

static void append(struct chain *c, const struct segment *s)
{
	struct packet *head = c->first.p;

	head->seg_len = (uint16_t)c->first.len;
	head->head_len = (uint16_t)c->first.head_len;
	head->num_parts++;
	c->last->next_part = s->p;
	c->last = s->p;
	c->len += s->len;
	c->open = !ends(c, s);
}

static void start(struct chain *c, const struct segment *s)
{
	*c = (struct chain){.first = *s, .last = s->p, .len = s->p->len};
	c->open = s->joins && !ends(c, s);
}

/* chain_of - that of s's flow; NULL: there is none. */
static struct chain *chain_of(struct chain *open, uint32_t num, const struct segment *s)
{
	for (uint32_t i = 0; i < num; i++) {
		if (same_flow(&open[i].first, s))
			return &open[i];
	}
	return NULL;
}

void in_join(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	struct chain open[NUM_OPEN];
	uint32_t num = 0, turn = 0;

	if (!any_joins(w)) {
		pktvec_copy(out, in);
		return;
	}
	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++) {
		uint8_t joins = joins_of(w, in->pkt[i]);
		struct segment s;

		if (!joins || !parse(&s, in->pkt[i]) || !(joins & kind_of(&s))) {
			pktvec_push(out, in->pkt[i]);
			continue;
		}
		struct chain *c = chain_of(open, num, &s);

		if (c && goes_on(c, &s)) {
			append(c, &s);
			continue;
		}
		/* What comes later of this flow is not joined with what was before this one. */
		if (!c)
			c = num < NUM_OPEN ? &open[num++] : &open[turn++ % NUM_OPEN];
		start(c, &s);
		pktvec_push(out, in->pkt[i]);
	}
}
