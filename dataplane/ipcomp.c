/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/ipcomp.h"

#include <libdeflate.h>
#include <netinet/in.h>

#include "base/alloc.h"
#include "dataplane/sa.h"
#include "dataplane/worker.h"

/* LEVEL - of libdeflate's: the quickest; those above take a third longer for a hundredth of the
 * bytes.
 */
#define LEVEL 1

struct ipcomp_work {
	struct libdeflate_compressor *compressor;
	struct libdeflate_decompressor *decompressor;
	uint8_t room[IPCOMP_MAX_LEN];
};

struct ipcomp *ipcomp_new(uint16_t cpi)
{
	struct ipcomp *c = mem_alloc(sizeof(*c));

	if (!c)
		return NULL;
	c->cpi = cpi;
	c->next_skip = IPCOMP_SKIP;
	return c;
}

struct ipcomp_work *ipcomp_work_new(void)
{
	struct ipcomp_work *k = mem_alloc(sizeof(*k));

	if (!k)
		return NULL;
	k->compressor = libdeflate_alloc_compressor(LEVEL);
	k->decompressor = libdeflate_alloc_decompressor();
	if (!k->compressor || !k->decompressor) {
		ipcomp_work_free(k);
		return NULL;
	}
	return k;
}

void ipcomp_work_free(struct ipcomp_work *k)
{
	if (!k)
		return;
	libdeflate_free_compressor(k->compressor);
	libdeflate_free_decompressor(k->decompressor);
	mem_free(k);
}

/* ---- out ------------------------------------------------------------------------------------ */

/* is_worth_it - p is tried. */
static bool is_worth_it(struct ipcomp *c, const struct packet *p)
{
	if (p->flags & (PACKET_F_DUMMY | PACKET_F_PROBE) || p->len < IPCOMP_MIN_LEN)
		return false;
	if (!c->skip)
		return true;
	c->skip--;
	return false;
}

/* note_vain - an attempt came to nothing. */
static void note_vain(struct ipcomp *c)
{
	if (++c->num_vain < IPCOMP_TRIES)
		return;
	c->num_vain = IPCOMP_TRIES - 1;
	c->skip = c->next_skip;
	if (c->next_skip < IPCOMP_SKIP_MAX)
		c->next_skip *= 2;
}

static void note_packed(struct ipcomp *c, uint32_t saved)
{
	c->num_vain = 0;
	c->next_skip = IPCOMP_SKIP;
	counter_add(&c->packets, 1);
	counter_add(&c->saved, saved);
}

void ipcomp_pack(struct ipcomp_work *k, struct ipcomp *c, struct packet *p)
{
	uint8_t *h = p->data;
	size_t n;

	if (!is_worth_it(c, p))
		return;
	/* With its header it has to be shorter (RFC 3173 2.2): there is no more room than that. */
	n = libdeflate_deflate_compress(k->compressor, h, p->len, k->room,
					p->len - IPCOMP_HEADER_LEN - 1);
	if (n == 0) {
		note_vain(c);
		return;
	}
	note_packed(c, p->len - IPCOMP_HEADER_LEN - (uint32_t)n);
	memcpy(h + IPCOMP_HEADER_LEN, k->room, n);
	h[0] = p->next_header;
	h[1] = 0;
	store_be16(h + 2, c->cpi);
	p->next_header = IPPROTO_COMP;
	p->len = IPCOMP_HEADER_LEN + (uint32_t)n;
}

/* ---- in ------------------------------------------------------------------------------------- */

/* inflate - the data of p in k->room; false if it is none, or of more bytes than there may be. What
 * is behind its end, which it says itself, is traffic flow padding (RFC 4303 2.7). */
static bool inflate(struct ipcomp_work *k, const struct packet *p, uint32_t *out_len)
{
	size_t used, n;

	if (libdeflate_deflate_decompress_ex(k->decompressor, p->data + IPCOMP_HEADER_LEN,
					     p->len - IPCOMP_HEADER_LEN, k->room, sizeof(k->room),
					     &used, &n) != LIBDEFLATE_SUCCESS)
		return false;
	*out_len = (uint32_t)n;
	return true;
}

/* longer - a packet with more room in place of p; NULL: there is none. */
static struct packet *longer(struct worker *w, struct packet *p)
{
	struct packet *q = packet_get(w->longer);

	if (!q)
		return NULL;
	q->sa = p->sa;
	q->seq = p->seq;
	q->flags = p->flags;
	q->port = p->port;
	q->dscp_ecn = p->dscp_ecn;
	q->path = p->path;
	q->from = p->from;
	counter_add(&w->count.made, 1);
	counter_add(&w->count.consumed, 1);
	packet_put(p);
	return q;
}

static bool has_room(const struct packet *p, uint32_t len)
{
	return p->cap - packet_headroom(p) >= len + PACKET_TAILROOM;
}

static struct packet *dropped(struct worker *w, struct packet *p, enum drop_reason why)
{
	worker_drop(w, p, why);
	return NULL;
}

struct packet *ipcomp_unpack(struct worker *w, struct packet *p)
{
	struct ipcomp *c = p->sa->ipcomp;
	const uint32_t before = p->len;
	uint32_t len;
	uint8_t next;

	if (!c)
		return dropped(w, p, DROP_IPCOMP);
	if (p->len < IPCOMP_HEADER_LEN)
		return dropped(w, p, DROP_IPCOMP_DATA);
	if (load_be16(p->data + 2) != c->cpi)
		return dropped(w, p, DROP_IPCOMP);
	if (!inflate(w->ipcomp, p, &len))
		return dropped(w, p, DROP_IPCOMP_DATA);
	next = p->data[0];
	if (!has_room(p, len)) {
		struct packet *q = longer(w, p);

		if (!q)
			return dropped(w, p, DROP_NO_BUFFER);
		p = q;
	}
	memcpy(p->data, w->ipcomp->room, len);
	p->len = len;
	p->next_header = next;
	counter_add(&c->packets, 1);
	counter_add(&c->saved, len > before ? len - before : 0);
	return p;
}
