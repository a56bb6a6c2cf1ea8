/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_fragments: fragments in any order, overlapping, repeated, contradicting each other, beside a
 * simple model. An input is a list of records
 *
 *	which (1 byte) || offset (2 bytes, units of 8) || len (1 byte) || more, content (1 byte)
 *
 * of eight packets in both versions and two contexts. What is put together must be what the model
 * has, at the same moment. A record with the highest bit of `which` is bytes as they are.
 */
#include <stdlib.h>

#include "dataplane/reasm.h"

#define NUM 8
#define MAX 2048 /* payload that the model has room for */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* struct model - one packet: a byte each for what is there. */
struct model {
	uint8_t bytes[MAX + 256];
	bool there[MAX + 256];
	uint32_t end, total; /* total: 0 = not known */
	bool spoilt;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* expect - what the fragment does to the model; *whole: it is complete now. */
static enum drop_reason expect(struct model *m, const struct fragment *f, const uint8_t *payload,
			       bool *whole)
{
	uint32_t end = f->offset + f->len, have = 0, same = 0, num = 0;

	*whole = false;
	if (m->spoilt || (m->total && (end > m->total || (!f->more && end != m->total))) ||
	    (!f->more && m->end > end)) {
		m->spoilt = true;
		return DROP_FRAGMENT_OVERLAP;
	}
	/* An odd last part takes its whole unit. */
	for (uint32_t i = f->offset; i < (end + 7) / 8 * 8; i++) {
		have += m->there[i / 8 * 8];
		num++;
	}
	for (uint32_t i = f->offset; i < end; i++)
		same += m->there[i] && m->bytes[i] == payload[i - f->offset];
	if (have) {
		if (have == num && same == f->len)
			return DROP_FRAGMENT_REPEATED;
		m->spoilt = true;
		return DROP_FRAGMENT_OVERLAP;
	}
	for (uint32_t i = f->offset; i < end; i++) {
		m->there[i] = true;
		m->bytes[i] = payload[i - f->offset];
	}
	m->end = end > m->end ? end : m->end;
	m->total = f->more ? m->total : end;
	*whole = m->total > 0;
	for (uint32_t i = 0; i < m->total; i++)
		*whole = *whole && m->there[i];
	return DROP_NONE;
}

/* make - the fragment as a packet in p. */
static void make(struct packet *p, const uint8_t *r)
{
	uint32_t at = (load_be16(r + 1) % (MAX / 8)) * 8, n = r[3];
	bool more = r[4] & 1, v6 = r[0] & 1;
	uint8_t *h = p->data;

	memset(h, 0, 48);
	p->len = (v6 ? 48 : 20) + n;
	if (v6) {
		h[0] = 0x60;
		store_be16(h + 4, (uint16_t)(8 + n));
		h[6] = 44;
		h[40] = 17;
		store_be16(h + 42, (uint16_t)(at | more));
		store_be32(h + 44, r[0] & 2);
	} else {
		h[0] = 0x45;
		store_be16(h + 2, (uint16_t)(20 + n));
		store_be16(h + 4, r[0] & 2);
		store_be16(h + 6, (uint16_t)((more ? IP4_MF : 0) | at / 8));
		h[9] = 17;
	}
	for (uint32_t i = 0; i < n; i++) /* two kinds of content, by position */
		h[p->len - n + i] = (uint8_t)((at + i) * 7 + (r[4] >> 1 & 1));
}

static void check_whole(const struct model *m, const struct packet *w)
{
	struct fragment f;

	must(w->len == w->fragment_at + m->total || w->data[0] >> 4 == 4);
	must(memcmp(w->data + w->len - m->total, m->bytes, m->total) == 0);
	must(fragment_parse(&f, w->data, w->len) == FRAGMENT_WHOLE);
}

/* raw - bytes as they are: nothing but what a packet can be comes out. */
static void raw(struct reasm *r, struct pool *pool, const uint8_t *bytes, size_t len)
{
	struct packet *p = packet_get(pool), *whole = NULL;
	struct fragment f;
	uint32_t num;

	must(p != NULL);
	memcpy(p->data, bytes, len);
	p->len = (uint32_t)len;
	if (fragment_parse(&f, p->data, p->len) == FRAGMENT_PART) {
		must(f.at + f.len <= len);
		(void)reasm_add(r, &whole, &num, p, &f, 99, 1);
	}
	if (whole)
		packet_put(whole);
	packet_put(p);
}

static void record(struct reasm *r, struct pool *pool, struct model *models, const uint8_t *bytes)
{
	struct model *m = &models[bytes[0] % NUM];
	struct packet *p = packet_get(pool), *whole = NULL;
	struct fragment f;
	uint32_t num = 0;
	bool complete = false;

	must(p != NULL);
	make(p, bytes);
	if (fragment_parse(&f, p->data, p->len) == FRAGMENT_PART) {
		enum drop_reason wanted = expect(m, &f, p->data + f.at, &complete);
		enum drop_reason got = reasm_add(r, &whole, &num, p, &f, 4u + (bytes[0] & 4u), 1);

		must(got == wanted && complete == (whole != NULL));
	}
	if (whole) {
		check_whole(m, whole);
		packet_put(whole);
		*m = (struct model){0};
	}
	packet_put(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct model models[NUM];
	struct pool *pool = pool_new(1, 512);
	struct reasm r;

	memset(models, 0, sizeof(models));
	must(pool && reasm_init(&r, NUM) == ERR_OK);
	while (len >= 5) {
		if (data[0] & 0x80) {
			raw(&r, pool, data, len < 256 ? len : 256);
			break; /* it may push others out: the model knows nothing of that */
		}
		record(&r, pool, models, data);
		must(r.num <= 4096);
		data += 5;
		len -= 5;
	}
	reasm_fini(&r);
	pool_free(pool);
	return 0;
}
