/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/reasm.h"

#include "base/alloc.h"
#include "dataplane/tos.h"

#define NUM_UNITS (65536 / FRAGMENT_UNIT)
#define NUM_WORDS (NUM_UNITS / 64)

/* struct reasm_key - which packet a fragment is of (RFC 791 3.2, RFC 8200 4.5). */
struct reasm_key {
	uint64_t context;
	uint8_t addrs[32]; /* source, destination */
	uint32_t id;
	uint8_t family;
	uint8_t proto; /* IPv4 only: IPv6 fragments may name different headers */
	uint16_t zero;
};
static_assert(sizeof(struct reasm_key) == 48, "compared as bytes");

/* struct reasm_slot - one packet in the making. */
struct reasm_slot {
	struct reasm_key key;
	bool used;
	bool spoilt;  /* nothing comes of it; kept to know its late fragments by */
	uint8_t ecns; /* bit 1 << codepoint: seen */
	uint64_t since_ns;
	struct packet *packet; /* NULL if spoilt */
	struct fragment first; /* the fragment with offset 0; len 0: not here yet */
	uint32_t num;          /* fragments in it */
	uint32_t have;         /* bytes of payload that are here */
	uint32_t total;        /* of them in all; 0 = not known */
	uint32_t end;          /* the furthest that one reached */
	uint32_t longest;      /* payload of a fragment */
	uint64_t map[NUM_WORDS];
};

enum err reasm_init(struct reasm *r, uint32_t num)
{
	*r = (struct reasm){.num_slots = num, .share = num / 4 ? num / 4 : 1};
	r->slots = mem_alloc_array(num, sizeof(*r->slots));
	r->pool = pool_new(num, REASM_ROOM);
	if (r->slots && r->pool)
		return ERR_OK;
	reasm_fini(r);
	return ERR_NOMEM;
}

/* clear - the place is free; returns how many fragments were in it. */
static uint32_t clear(struct reasm *r, struct reasm_slot *s)
{
	uint32_t num = s->num;

	if (s->packet)
		packet_put(s->packet);
	r->num -= num;
	s->packet = NULL;
	s->used = false;
	s->num = 0;
	return num;
}

void reasm_empty(struct reasm *r)
{
	for (uint32_t i = 0; r->slots && i < r->num_slots; i++)
		clear(r, &r->slots[i]);
}

void reasm_fini(struct reasm *r)
{
	reasm_empty(r);
	mem_free(r->slots);
	pool_free(r->pool);
	*r = (struct reasm){0};
}

/* spoil - the packet goes, its place remembers it until its time is over. */
static void spoil(struct reasm *r, struct reasm_slot *s)
{
	r->num_spoilt += clear(r, s);
	s->used = true;
	s->spoilt = true;
}

static struct reasm_key key_of(const uint8_t *ip, const struct fragment *f, uint64_t context)
{
	struct reasm_key k = {.context = context, .id = f->id, .family = f->v6 ? 6 : 4};

	memcpy(k.addrs, ip + (f->v6 ? 8 : 12), f->v6 ? 32 : 8);
	if (!f->v6)
		k.proto = f->proto;
	return k;
}

/* struct choice - what a look over all places found. */
struct choice {
	struct reasm_slot *same, *free, *oldest, *own; /* own: oldest of the same context */
	uint32_t num_own;
};

/* older - the one to give up first: one that is spoilt, else that which waits longer. */
static struct reasm_slot *older(struct reasm_slot *a, struct reasm_slot *b)
{
	if (!a || a->spoilt != b->spoilt)
		return !a || b->spoilt ? b : a;
	return b->since_ns < a->since_ns ? b : a;
}

static struct choice look(const struct reasm *r, const struct reasm_key *k)
{
	struct choice c = {0};

	for (uint32_t i = 0; i < r->num_slots; i++) {
		struct reasm_slot *s = &r->slots[i];

		if (!s->used) {
			c.free = s;
			continue;
		}
		if (s->key.context == k->context) {
			if (memcmp(&s->key, k, sizeof(*k)) == 0) {
				c.same = s;
				return c;
			}
			c.own = older(c.own, s);
			c.num_own++;
		}
		c.oldest = older(c.oldest, s);
	}
	return c;
}

/* begin - a place and a buffer for a packet of which nothing is here; NULL if there is none. */
static struct reasm_slot *begin(struct reasm *r, struct choice *c, const struct reasm_key *k,
				uint64_t now_ns)
{
	struct reasm_slot *s = c->free;

	if (!s)
		s = c->num_own >= r->share ? c->own : c->oldest;
	if (s->used)
		r->num_displaced += clear(r, s);
	struct packet *p = packet_get(r->pool);

	if (!p) /* all buffers are with whole packets that are on their way */
		return NULL;
	*s = (struct reasm_slot){.key = *k, .used = true, .packet = p, .since_ns = now_ns};
	p->data += FRAGMENT_HEAD_MAX;
	return s;
}

/* ---- what has come -------------------------------------------------------------------------- */

/* bits_of - those of word w that units [from, to) have. */
static uint64_t bits_of(uint32_t w, uint32_t from, uint32_t to)
{
	uint32_t lo = from > w * 64 ? from - w * 64 : 0;
	uint32_t hi = to < w * 64 + 64 ? to - w * 64 : 64;

	return (hi == 64 ? ~0ull : (1ull << hi) - 1) & ~((1ull << lo) - 1);
}

/* overlaps - some of the units are there; *all: each of them is. */
static bool overlaps(const struct reasm_slot *s, uint32_t from, uint32_t to, bool *all)
{
	bool some = false;

	*all = true;
	for (uint32_t w = from / 64; w <= (to - 1) / 64; w++) {
		uint64_t bits = bits_of(w, from, to);

		some = some || (s->map[w] & bits);
		*all = *all && (s->map[w] & bits) == bits;
	}
	return some;
}

static void mark(struct reasm_slot *s, uint32_t from, uint32_t to)
{
	for (uint32_t w = from / 64; w <= (to - 1) / 64; w++)
		s->map[w] |= bits_of(w, from, to);
}

/* contradicts - of two ends one is wrong, or something lies behind the end. */
static bool contradicts(const struct reasm_slot *s, const struct fragment *f)
{
	uint32_t end = f->offset + f->len;

	if (s->total)
		return end > s->total || (!f->more && end != s->total);
	return !f->more && s->end > end;
}

/* judge - may the fragment join the others? One that repeats what is here does no harm. */
static enum drop_reason judge(const struct reasm_slot *s, const uint8_t *payload,
			      const struct fragment *f)
{
	uint32_t from = f->offset / FRAGMENT_UNIT;
	uint32_t to = (f->offset + f->len + FRAGMENT_UNIT - 1) / FRAGMENT_UNIT;
	bool all;

	if (s->spoilt || contradicts(s, f))
		return DROP_FRAGMENT_OVERLAP;
	if (!overlaps(s, from, to, &all))
		return DROP_NONE;
	return all && memcmp(s->packet->data + f->offset, payload, f->len) == 0
		       ? DROP_FRAGMENT_REPEATED
		       : DROP_FRAGMENT_OVERLAP;
}

static void take(struct reasm *r, struct reasm_slot *s, const struct packet *p,
		 const struct fragment *f)
{
	struct packet *whole = s->packet;
	uint32_t end = f->offset + f->len;

	memcpy(whole->data + f->offset, p->data + f->at, f->len);
	mark(s, f->offset / FRAGMENT_UNIT, (end + FRAGMENT_UNIT - 1) / FRAGMENT_UNIT);
	if (f->offset == 0) {
		s->first = *f;
		memcpy(whole->data - f->head_len, p->data, f->head_len);
	}
	s->ecns |= (uint8_t)(1u << (tos_get(p->data) & TOS_ECN));
	s->have += f->len;
	s->end = end > s->end ? end : s->end;
	s->total = f->more ? s->total : end;
	s->longest = f->len > s->longest ? f->len : s->longest;
	s->num++;
	r->num++;
}

/* ---- the whole packet ----------------------------------------------------------------------- */

/* head4 - the first fragment's header becomes the packet's. It was cut once and may be again, so DF
 * goes (a sender that cuts and forbids cutting means the way that its fragments came). */
static void head4(uint8_t *h, const struct fragment *first, uint32_t total)
{
	store_be16(h + 2, (uint16_t)(first->head_len + total));
	store_be16(h + 6, 0);
	store_be16(h + 10, ip4_checksum(h, first->head_len));
}

static void head6(uint8_t *h, const struct fragment *first, uint32_t total)
{
	store_be16(h + 4, (uint16_t)(first->head_len - IP6_LEN + total));
	h[first->next_at] = first->proto;
}

/* set_ecn - a mark of congestion on one fragment is one on the packet; beside a fragment that
 * cannot be marked it can only be told by dropping (RFC 3168 5.3). */
static bool set_ecn(uint8_t *h, uint8_t ecns)
{
	if (!(ecns & 1u << ECN_CE))
		return true;
	if (ecns & 1u << ECN_NOT_ECT)
		return false;
	tos_set(h, tos_get(h) | ECN_CE);
	return true;
}

/* fits - its length can be said, now that its header is known. */
static bool fits(const struct reasm_slot *s)
{
	return s->total + s->first.head_len - (s->first.v6 ? IP6_LEN : 0) <= 65535;
}

static struct packet *finish(struct reasm_slot *s, const struct packet *last)
{
	struct packet *w = s->packet;
	/* Behind the first one's headers, which all will have: if it is cut again, no more
	 * fragments come of it than it was, but for one that the last one's odd end makes. */
	uint32_t mtu = s->first.at + s->longest;

	w->data -= s->first.head_len;
	w->len = s->first.head_len + s->total;
	if (s->first.v6)
		head6(w->data, &s->first, s->total);
	else
		head4(w->data, &s->first, s->total);
	w->flags = (last->flags & ~PACKET_F_FRAGMENT) | PACKET_F_JOINED;
	w->fragment_id = s->first.id;
	w->fragment_at = (uint16_t)s->first.head_len;
	w->fragment_next = (uint8_t)s->first.next_at;
	w->mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
	w->sa = last->sa;
	w->path = last->path;
	w->seq = last->seq;
	w->token = last->token;
	w->port = last->port;
	w->dscp_ecn = last->dscp_ecn;
	w->next_header = last->next_header;
	w->from = last->from;
	return w;
}

/* complete - take the packet out of its place. */
static enum drop_reason complete(struct reasm *r, struct reasm_slot *s, struct packet **out,
				 uint32_t *out_num, const struct packet *last)
{
	if (!fits(s) || !set_ecn(s->packet->data - s->first.head_len, s->ecns)) {
		spoil(r, s);
		return DROP_NONE; /* counted with the others */
	}
	*out = finish(s, last);
	s->packet = NULL;
	*out_num = clear(r, s);
	return DROP_NONE;
}

enum drop_reason reasm_add(struct reasm *r, struct packet **out_whole, uint32_t *out_num,
			   const struct packet *p, const struct fragment *f, uint64_t context,
			   uint64_t now_ns)
{
	struct reasm_key key = key_of(p->data, f, context);
	struct choice c = look(r, &key);
	struct reasm_slot *s = c.same ? c.same : begin(r, &c, &key, now_ns);

	*out_whole = NULL;
	if (!s)
		return DROP_FRAGMENT_FULL;
	enum drop_reason why = judge(s, p->data + f->at, f);

	if (why == DROP_FRAGMENT_OVERLAP && !s->spoilt)
		spoil(r, s);
	if (why != DROP_NONE)
		return why;
	take(r, s, p, f);
	return s->have == s->total ? complete(r, s, out_whole, out_num, p) : DROP_NONE;
}

void reasm_expire(struct reasm *r, uint64_t now_ns)
{
	for (uint32_t i = 0; i < r->num_slots; i++) {
		struct reasm_slot *s = &r->slots[i];

		if (s->used && s->since_ns + REASM_NS <= now_ns)
			r->num_expired += clear(r, s);
	}
}

void reasm_forget(struct reasm *r, uint64_t context)
{
	for (uint32_t i = 0; i < r->num_slots; i++) {
		struct reasm_slot *s = &r->slots[i];

		if (s->used && s->key.context == context)
			r->num_expired += clear(r, s);
	}
}

uint64_t reasm_next(const struct reasm *r)
{
	uint64_t next = TIME_NEVER;

	for (uint32_t i = 0; i < r->num_slots; i++) {
		const struct reasm_slot *s = &r->slots[i];

		if (s->used && s->since_ns + REASM_NS < next)
			next = s->since_ns + REASM_NS;
	}
	return next;
}
