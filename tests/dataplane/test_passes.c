/* SPDX-License-Identifier: Apache-2.0 */
/* Each pass by itself: every packet of a mixed vector leaves it with exactly one fate, and those
 * that go on keep their order. */
#include "tests/dataplane/testbed.h"

#include "dataplane/passes.h"
#include "tests/tap/tap.h"

typedef void pass_fn(struct worker *w, struct pktvec *in, struct pktvec *out);

/* struct books - where a worker's packets went so far; those waiting in tx vectors go on
 * (FATE_NEXT). */
struct books {
	uint64_t fates[FATE_NUM];
};

static struct books read_books(const struct worker *w)
{
	struct books b = {0};

	for (int i = 0; i < DROP_NUM; i++)
		b.fates[FATE_DROP] += counter_get(&w->count.drops[i]);
	b.fates[FATE_HOLD] = w->hold.num + w->reasm.num;
	b.fates[FATE_PUNT] = counter_get(&w->count.punted);
	b.fates[FATE_HANDOFF] = counter_get(&w->count.handed_off);
	b.fates[FATE_CONSUMED] = counter_get(&w->count.consumed);
	b.fates[FATE_NEXT] = counter_get(&w->count.tx);
	for (uint16_t port = 0; port < w->num_ports; port++)
		b.fates[FATE_NEXT] += w->tx[port].num;
	return b;
}

/* run - one pass over v, which becomes what it passes on; checks the fates. Returns how many did
 * not go on. */
static uint32_t run(struct worker *w, pass_fn *pass, struct pktvec *v)
{
	struct pktvec in = *v, out = {.num = 99};
	struct books before = read_books(w), after;
	uint64_t num = 0;
	uint32_t next = 0;

	pass(w, v, &out);
	after = read_books(w);
	for (int f = 0; f < FATE_NUM; f++)
		num += after.fates[f] - before.fates[f];
	CU_ASSERT_EQUAL(in.num, num + out.num);
	for (uint32_t i = 0; i < in.num && next < out.num; i++)
		next += in.pkt[i] == out.pkt[next];
	CU_ASSERT_EQUAL(next, out.num); /* in order, none made up */
	*v = out;
	return in.num - out.num;
}

static void push(struct worker *w, struct pktvec *v, const uint8_t *bytes, size_t len,
		 uint16_t port, const struct path_addr *from)
{
	struct packet *p = packet_get(w->pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	memcpy(p->data, bytes, len);
	p->len = (uint32_t)len;
	p->port = port;
	if (from)
		p->from = *from;
	pktvec_push(v, p);
}

/* settle - the packets were not received by a turn, so the books do not know of them yet. */
static void settle(struct side *s, uint32_t pushed)
{
	counter_add(&s->dp->workers[0]->count.rx, pushed);
}

static void test_outbound(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct pktvec v = {.num = 0};
	struct bed bed;
	struct worker *w;

	bed_init(&bed, &(struct bed_options){.open_wire = true});
	bed_pair(&bed, 1, NULL);
	w = bed.a.dp->workers[0];
	for (uint32_t i = 0; i < 60; i++) {
		size_t n = bed_udp4(buf, true, 1, 2, i, 30 + i);

		if (i % 5 == 1)
			buf[0] = 0x15; /* no IP version */
		if (i % 5 == 2)
			buf[16] = 11; /* no policy */
		push(w, &v, buf, n, bed.a.inner, NULL);
	}
	CU_ASSERT_EQUAL(run(w, out_classify, &v), 24);
	((struct sa_group *)slots_get(bed.a.dp->groups, bed.a.group))->newest->seq =
		UINT32_MAX - 30;
	CU_ASSERT_EQUAL(run(w, out_prepare, &v), 6); /* sequence numbers end */
	CU_ASSERT_EQUAL(run(w, out_encrypt, &v), 0);
	CU_ASSERT_EQUAL(run(w, out_path, &v), 30);
	settle(&bed.a, 60);
	bed_turn_one(&bed, &bed.a);
	for (uint32_t i = 0; i < 30; i++) {
		CU_ASSERT_NOT_EQUAL(bed_capture(&bed.a, buf), 0);
		CU_ASSERT_EQUAL(load_be32(buf + 4), UINT32_MAX - 29 + i);
	}
	bed_fini(&bed);
}

static void test_outbound_held(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct pktvec v = {.num = 0};
	struct bed bed;
	struct worker *w;

	bed_init(&bed, NULL);
	w = bed.a.dp->workers[0];
	for (uint32_t i = 0; i < 30; i++)
		push(w, &v, buf, bed_udp4(buf, true, 1, 2, i, 30), bed.a.inner, NULL);
	CU_ASSERT_EQUAL(run(w, out_classify, &v), 30); /* 16 held, 14 dropped */
	CU_ASSERT_EQUAL(w->hold.num, 16);
	settle(&bed.a, 30);
	bed_fini(&bed);
}

/* make_arrival - one of eight kinds of datagram. */
static size_t make_arrival(struct bed *bed, uint8_t *out, uint32_t i)
{
	uint8_t inner[BED_MAX_PACKET];
	size_t n = bed_udp4(inner, true, 1, 2, i, 30 + i);
	struct bed_esp e = {.pair = 1, .seq = i + 1, .next_header = 4, .pad_len = bed_pad(n)};

	memset(out, 0, 60);
	switch (i % 8) {
	case 0: /* IKE */
		return 40;
	case 1: /* keepalive */
		out[0] = 0xff;
		return 1;
	case 2: /* unknown SPI */
		out[0] = 1;
		return 60;
	case 3: /* another header than the payload's */
		e.next_header = 41;
		break;
	case 4: /* not authentic */
		n = bed_seal(bed, out, &e, inner, n);
		out[30] ^= 1;
		return n;
	case 5: /* the number of one that is in the vector already (but for the first) */
		e.seq = i - 5;
		break;
	default:
		break;
	}
	return bed_seal(bed, out, &e, inner, n);
}

static void test_inbound(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct pktvec v = {.num = 0};
	struct bed bed;
	struct worker *w;

	bed_init(&bed, &(struct bed_options){.open_wire = true});
	bed_pair(&bed, 1, NULL);
	w = bed.b.dp->workers[0];
	for (uint32_t i = 8; i < 64; i++)
		push(w, &v, buf, make_arrival(&bed, buf, i), bed.b.outer, &bed.b.path);
	CU_ASSERT_EQUAL(v.num, 56);
	CU_ASSERT_EQUAL(run(w, in_demux, &v), 14);  /* IKE, keepalives */
	CU_ASSERT_EQUAL(run(w, in_lookup, &v), 7);  /* unknown SPIs */
	CU_ASSERT_EQUAL(run(w, in_decrypt, &v), 7); /* not authentic */
	CU_ASSERT_EQUAL(run(w, in_commit, &v), 6);  /* copies within the vector */
	CU_ASSERT_EQUAL(run(w, in_finish, &v), 7);  /* IPv4 called IPv6 */
	CU_ASSERT_EQUAL(run(w, in_deliver, &v), 15);
	settle(&bed.b, 56);
	bed_turn_one(&bed, &bed.b);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_outbound),
	TAP_TEST(test_outbound_held),
	TAP_TEST(test_inbound),
};

TAP_MAIN("dataplane/passes", tests)
