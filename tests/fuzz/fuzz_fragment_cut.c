/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_fragment_cut: IP fragments as they are, to the reassembler, and what comes of them cut
 *again. An input is a list of records
 *
 *	op (1 byte) || length (2 bytes, big endian) || that many bytes of an IP packet
 *
 * A whole packet is no longer than its fragments make it and has a header that says so; cut to the
 * length that it is to have, it makes no more fragments than it came in but for one (the last may
 * have been the longest, and no whole units), and these make it again.
 */
#include <stdlib.h>

#include "dataplane/flow.h"
#include "dataplane/fragment.h"
#include "dataplane/icmp.h"
#include "dataplane/mss.h"
#include "dataplane/reasm.h"

/* Bits of an op. */
#define OP_CONTEXT 0x03 /* which SA it came by */
#define OP_LATER   0x04 /* ten seconds later than the one before */
#define OP_KEEP    0x08 /* a whole packet stays on its way until the end */
#define OP_AGAIN   0x10 /* the bytes of the record before, once more, with this op */

#define SLOTS   4
#define MAX_LEN 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* struct world - one reassembler, another that sees only what was cut, and their packets. */
struct world {
	struct reasm reasm, again;
	struct pool *pool;
	struct packet *kept[SLOTS];
	uint32_t num_kept;
	uint64_t now;
};

/* say - its length in its header is its length. */
static void say(const struct packet *p)
{
	must(p->data >= p->buf && p->len <= p->cap - packet_headroom(p));
	if (p->data[0] >> 4 == 4)
		must(load_be16(p->data + 2) == p->len && !(load_be16(p->data + 6) & ~IP4_DF));
	else
		must(load_be16(p->data + 4) + IP6_LEN == p->len);
}

static void add_again(struct world *w, const struct packet *part, const struct packet *whole,
		      bool last)
{
	struct packet *out = NULL;
	struct fragment f;
	uint32_t num;

	must(fragment_parse(&f, part->data, part->len) == FRAGMENT_PART);
	must(reasm_add(&w->again, &out, &num, part, &f, 1, w->now) == DROP_NONE);
	must(last == (out != NULL));
	if (!out)
		return;
	must(out->len == whole->len);
	if (out->data[0] >> 4 == 6)
		must(memcmp(out->data, whole->data, out->len) == 0);
	packet_put(out);
}

/* cut - in parts that may be as long as those it came in, which were num. */
static void cut(struct world *w, struct packet *whole, uint32_t num)
{
	struct fragment_cut c;
	bool more = true;

	/* With another limit to each header there may be nothing to cut. */
	if (whole->len <= whole->mtu || whole->mtu > MAX_LEN)
		return;
	must(fragment_cut_begin(&c, whole, whole->mtu));
	for (uint32_t i = 0; more; i++) {
		struct packet *part = packet_get(w->pool);

		must(part && i <= num);
		more = fragment_cut_next(&c, part);
		must(part->len <= whole->mtu);
		add_again(w, part, whole, !more);
		packet_put(part);
	}
}

/* look - what the passes look at in a packet. */
static void look(struct world *w, struct packet *p)
{
	struct packet *out = packet_get(w->pool);
	struct flow_id id;

	must(out);
	if (flow_parse(&id, p, FLOW_OUT)) {
		if (mss_is_syn(p))
			mss_clamp(p, 500);
		if (icmp_too_big(out, p, 1300))
			must(out->len <= ICMP6_MAX_LEN);
	}
	packet_put(out);
}

static void finished(struct world *w, struct packet *whole, uint32_t num, uint8_t op)
{
	must(num > 0 && whole->flags & PACKET_F_JOINED);
	say(whole);
	cut(w, whole, num);
	look(w, whole);
	if (op & OP_KEEP)
		w->kept[w->num_kept++] = whole;
	else
		packet_put(whole);
}

static void record(struct world *w, uint8_t op, const uint8_t *bytes, size_t len)
{
	struct packet *p = packet_get(w->pool), *whole = NULL;
	struct fragment f;
	uint32_t num = 0;

	must(p);
	/* At the end of the buffer: what is read behind it is found. */
	p->data = p->buf + p->cap - len;
	memcpy(p->data, bytes, len);
	p->len = (uint32_t)len;
	w->now += op & OP_LATER ? 10 * NS_PER_S : 0;
	reasm_expire(&w->reasm, w->now);
	if (fragment_parse(&f, p->data, p->len) == FRAGMENT_PART) {
		must(f.head_len <= f.at && f.at + f.len <= p->len);
		enum drop_reason why =
			reasm_add(&w->reasm, &whole, &num, p, &f, op & OP_CONTEXT, w->now);

		must(why == DROP_NONE || !whole);
		if (whole)
			finished(w, whole, num, op);
	}
	look(w, p);
	packet_put(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world w = {.pool = pool_new(3, MAX_LEN), .now = NS_PER_S};
	size_t last = 0, last_len = 0;

	must(w.pool && reasm_init(&w.reasm, SLOTS) == ERR_OK && reasm_init(&w.again, 1) == ERR_OK);
	for (size_t at = 0; len - at >= 3;) {
		uint8_t op = data[at];
		size_t n = load_be16(data + at + 1);

		at += 3;
		n = n < len - at ? n : len - at;
		n = n < MAX_LEN ? n : MAX_LEN;
		if (op & OP_AGAIN) {
			record(&w, op, data + last, last_len);
			continue;
		}
		last = at;
		last_len = n;
		record(&w, op, data + at, n);
		at += n;
	}
	for (uint32_t i = 0; i < w.num_kept; i++)
		packet_put(w.kept[i]);
	reasm_empty(&w.reasm);
	must(w.reasm.num == 0 && pool_num_free(w.reasm.pool) == SLOTS);
	reasm_fini(&w.reasm);
	reasm_fini(&w.again);
	pool_free(w.pool);
	return 0;
}
