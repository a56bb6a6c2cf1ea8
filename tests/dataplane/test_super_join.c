/* SPDX-License-Identifier: Apache-2.0 */
/* What the host gets as one: successive packets of a flow under the rules of its own receive
 * offload, and nothing that it would not have joined itself. */
#include "tests/dataplane/flight.h"

#include "tests/tap/tap.h"

static struct flight f;
static struct rng_seeded rng;

static void test_joined(void)
{
	flight_begin(&f, FLIGHT_JOIN_ALL);
	for (int which = 0; which < 8; which++) {
		struct shape s = shape_flow(which);

		f.num = 0;
		for (uint32_t i = 0; i < 20; i++) {
			flight_add(&f, &s, i * 1000, i < 19 ? 1000 : 400, i > 0);
			s.id++;
		}
		flight_carry(&f);
		CU_ASSERT(flight_right(&f));
		struct dataplane_stats st;
		dataplane_stats(f.bed.b.dp, &st);
		CU_ASSERT_EQUAL(st.tx_packets, 20u * (unsigned)(which + 1));
	}
	bed_fini(&f.bed);
}

/* Only what the driver takes. */
static void test_joined_if_taken(void)
{
	for (int joins = 0; joins < 16; joins++) {
		flight_begin(&f, (uint8_t)joins);
		for (int which = 0; which < 4; which++) {
			static const uint8_t kinds[] = {JOIN_TCP4, JOIN_TCP6, JOIN_UDP4, JOIN_UDP6};
			struct shape s = shape_flow(which);

			f.num = 0;
			for (uint32_t i = 0; i < 3; i++) {
				flight_add(&f, &s, i * 1000, 1000, i > 0 && (joins & kinds[which]));
				s.id++;
			}
			flight_carry(&f);
			CU_ASSERT(flight_right(&f));
		}
		bed_fini(&f.bed);
	}
}

/* struct word - one of a header: of what it was `keep` is kept, and then these bits are flipped. */
struct word {
	uint8_t at;
	uint16_t keep, flip;
};

/* Of whom something holds. */
#define NEVER  0
#define OF_V4  0x1
#define OF_V6  0x2
#define OF_TCP 0x4
#define OF_UDP 0x8
#define ALWAYS (OF_V4 | OF_V6)

/* What is different in the third of five packets: it goes behind those before it, or what follows
 * behind it, or neither. */
static const struct odd {
	const char *what;
	struct word v4, v6, tcp, udp; /* in the header of such packets */
	bool stays;                   /* in those that follow too */
	bool late;                    /* after the checksums were made */
	int shift, shift_on;          /* of its place in the flow, of theirs */
	int longer;
	uint8_t behind, after;
} odds[] = {
	{"nothing", .behind = ALWAYS, .after = ALWAYS},
	{"TTL", .v4 = {8, 0x00ff, 0x0900}, .v6 = {6, 0xff00, 9}, .stays = true, .after = ALWAYS},
	{"TOS", .v4 = {0, 0xff00, 2}, .v6 = {0, 0xff00, 0x20}, .stays = true, .after = ALWAYS},
	{"DF", .v4 = {6, 0xffff, 0x4000}, .behind = OF_V6, .after = OF_V6},
	{"identification", .v4 = {4, 0, 999}, .behind = OF_V6, .after = OF_V6},
	{"identification stays", .v4 = {4, 0, 11}, .behind = OF_V6, .after = OF_V6},
	{"a gap", .shift = 5, .shift_on = 5, .behind = OF_UDP, .after = ALWAYS},
	{"again", .shift = -1000, .behind = OF_UDP, .after = OF_UDP},
	{"acknowledgement", .tcp = {10, 0, 78}, .stays = true, .behind = OF_UDP, .after = ALWAYS},
	{"window", .tcp = {14, 0, 501}, .stays = true, .behind = OF_UDP, .after = ALWAYS},
	{"option", .tcp = {30, 0x00ff, 0}, .stays = true, .behind = OF_UDP, .after = ALWAYS},
	{"ECE", .tcp = {12, 0xffff, 0x40}, .behind = OF_UDP, .after = OF_UDP},
	{"CWR", .tcp = {12, 0xffff, 0x80}, .behind = OF_UDP, .after = OF_UDP},
	{"URG", .tcp = {12, 0xffff, 0x20}, .behind = OF_UDP, .after = OF_UDP},
	{"RST", .tcp = {12, 0xffff, 0x04}, .behind = OF_UDP, .after = OF_UDP},
	{"SYN", .tcp = {12, 0xffff, 0x02}, .behind = OF_UDP, .after = OF_UDP},
	{"PSH", .tcp = {12, 0xffff, 0x08}, .behind = ALWAYS, .after = OF_UDP},
	{"FIN", .tcp = {12, 0xffff, 0x01}, .behind = ALWAYS, .after = OF_UDP},
	{"no ACK", .tcp = {12, 0xffff, 0x10}, .behind = OF_UDP, .after = OF_UDP},
	{"longer", .longer = 1, .after = ALWAYS}, /* one of the next, shorter ones goes with it */
	{"shorter", .longer = -1, .behind = ALWAYS},
	{"wrong sum", .tcp = {16, 0xffff, 1}, .udp = {6, 0xffff, 1}, .late = true},
	{"wrong IP sum", .v4 = {10, 0xffff, 1}, .late = true, .behind = OF_V6, .after = OF_V6},
	{"no sum", .udp = {6, 0, 0}, .late = true, .behind = OF_TCP, .after = OF_TCP},
};

/* holds - for the packets of this shape. */
static bool holds(uint8_t of_whom, const struct shape *s)
{
	return of_whom & ((s->v6 ? OF_V6 : OF_V4) | (s->udp ? OF_UDP : OF_TCP));
}

static void change_word(uint8_t *h, const struct word *w)
{
	if (w->at || w->keep)
		store_be16(h + w->at, (uint16_t)((load_be16(h + w->at) & w->keep) ^ w->flip));
}

static void change(struct sent *p, const struct odd *o, const struct shape *s)
{
	uint8_t *h = p->bytes;

	change_word(h, s->v6 ? &o->v6 : &o->v4);
	change_word(h + shape_l4(h), s->udp ? &o->udp : &o->tcp);
	if (!o->late)
		flight_resum(p);
}

/* five - the third is the odd one. */
static void five(const struct odd *o, struct shape s)
{
	uint32_t at = 0;

	f.num = 0;
	for (int i = 0; i < 5; i++) {
		int shift = i == 2 ? o->shift : i > 2 ? o->shift_on : 0;
		uint32_t len = (uint32_t)(1000 + (i == 2 ? o->longer : 0));
		struct sent *p = flight_add(&f, &s, (uint32_t)((int)at + shift), len, i > 0);

		if (i == 2 || (i > 2 && o->stays))
			change(p, o, &s);
		at += len;
		s.id++;
	}
	f.sent[2].joined = holds(o->behind, &s);
	f.sent[3].joined = holds(o->after, &s);
	if (o->longer > 0)
		f.sent[4].joined = false;
}

static void right_or_fail(const char *what, int which)
{
	bool right = flight_right(&f);

	CU_ASSERT(right);
	if (!right)
		tap_diag("%s, flow %d", what, which);
	while (bed_receive(&f.bed.b, f.got))
		;
}

/* A packet in the middle that differs: it and what follows is a packet of its own, or goes on. */
static void test_not_joined(void)
{
	flight_begin(&f, FLIGHT_JOIN_ALL);
	for (int which = 0; which < 8; which++) {
		for (size_t c = 0; c < ARRAY_LEN(odds); c++) {
			five(&odds[c], shape_flow(which));
			flight_carry(&f);
			right_or_fail(odds[c].what, which);
		}
	}
	bed_fini(&f.bed);
}

/* What is never joined, though all packets of the flow are so. behind: of whom nothing is changed.
 */
static const struct odd never[] = {
	{"no ACK", .tcp = {12, 0xffff, 0x10}, .behind = OF_UDP},
	{"CWR", .tcp = {12, 0xffff, 0x80}, .behind = OF_UDP},
	{"URG", .tcp = {12, 0xffff, 0x20}, .behind = OF_UDP},
	{"RST", .tcp = {12, 0xffff, 0x04}, .behind = OF_UDP},
	{"SYN", .tcp = {12, 0xffff, 0x02}, .behind = OF_UDP},
	{"no sum", .udp = {6, 0, 0}, .late = true, .behind = OF_TCP},
};

static void test_never_joined(void)
{
	flight_begin(&f, FLIGHT_JOIN_ALL);
	for (int which = 0; which < 8; which++) {
		for (size_t c = 0; c < ARRAY_LEN(never); c++) {
			struct shape s = shape_flow(which);
			bool joined = holds(never[c].behind, &s);

			f.num = 0;
			for (uint32_t i = 0; i < 5; i++) {
				change(flight_add(&f, &s, i * 1000, 1000, joined && i > 0),
				       &never[c], &s);
				s.id++;
			}
			flight_carry(&f);
			right_or_fail(never[c].what, which);
		}
	}
	bed_fini(&f.bed);
}

/* Another flow's packet between them: nothing is dropped, and the rest goes on without it. */
static void test_another_flow_between(void)
{
	static const struct odd port = {"port", .tcp = {0, 0xffff, 1}, .udp = {0, 0xffff, 1}};

	flight_begin(&f, FLIGHT_JOIN_ALL);
	for (int which = 0; which < 8; which++) {
		five(&port, shape_flow(which));
		flight_carry(&f);
		CU_ASSERT_EQUAL(bed_drops(&f.bed.b), 0);
		while (bed_receive(&f.bed.b, f.got))
			;
	}
	bed_fini(&f.bed);
}

/* DF and one identification for all: that goes as well, but not by halves. */
static void test_fixed_id(void)
{
	struct shape s = shape_flow(4);

	flight_begin(&f, FLIGHT_JOIN_ALL);
	for (uint32_t i = 0; i < 5; i++)
		flight_add(&f, &s, i * 1000, 1000, i > 0)->fixed_id = true;
	s.id++;
	flight_add(&f, &s, 5000, 1000, false);
	s.id++;
	flight_add(&f, &s, 6000, 1000, true);
	flight_add(&f, &s, 7000, 1000, false);
	flight_carry(&f);
	CU_ASSERT(flight_right(&f));
	bed_fini(&f.bed);
	/* Without DF not at all. */
	s = shape_flow(0);
	flight_begin(&f, FLIGHT_JOIN_ALL);
	for (uint32_t i = 0; i < 5; i++)
		flight_add(&f, &s, i * 1000, 1000, false);
	flight_carry(&f);
	CU_ASSERT(flight_right(&f));
	bed_fini(&f.bed);
}

/* Damaged on the way to our peer: whatever bit it is, the host gets the packet as it came. */
static void test_nothing_is_laundered(void)
{
	rng_seeded_init(&rng, 3);
	flight_begin(&f, FLIGHT_JOIN_ALL);
	for (int round = 0; round < 400; round++) {
		struct shape s = shape_flow((int)shape_below(&rng, 8));
		uint32_t bad = shape_below(&rng, 6), found = 0, num = 0;
		struct memory_meta meta;
		size_t len;

		f.num = 0;
		for (uint32_t i = 0; i < 6; i++) {
			flight_add(&f, &s, i * 1000, 1000, false);
			s.id++;
		}
		size_t at =
			shape_l4(f.sent[bad].bytes) + 4; /* not the ports: another flow is fine */
		at += shape_below(&rng, (uint32_t)(f.sent[bad].len - at));
		f.sent[bad].bytes[at] ^= (uint8_t)(1u << shape_below(&rng, 8));
		flight_carry(&f);
		while (memory_take_meta(f.bed.b.host, f.big, sizeof(f.big), &len, &meta)) {
			num += meta.seg_len ? (uint32_t)((len - 28) / meta.seg_len) : 1;
			found += !meta.seg_len && flight_same(f.big, len, &f.sent[bad], false);
		}
		CU_ASSERT_EQUAL(found, 1);
		CU_ASSERT_EQUAL(num, 6);
	}
	bed_fini(&f.bed);
}

/* Flows that are mixed are joined each for itself, up to as many as are kept open. */
static void test_flows_by_turns(void)
{
	struct memory_meta meta;
	uint32_t supers = 0, segments = 0, num_flows = 6;
	size_t len;

	flight_begin(&f, FLIGHT_JOIN_ALL);
	for (uint32_t i = 0; i < 10; i++) {
		for (uint32_t flow = 0; flow < num_flows; flow++) {
			struct shape s = shape_flow(flow & 3);
			s.id = (uint16_t)(100 * flow + i);
			struct sent *p = flight_add(&f, &s, i * 500, 500, false);

			store_be16(p->bytes + shape_l4(p->bytes), (uint16_t)(2000 + flow));
			flight_resum(p);
		}
	}
	flight_carry(&f);
	while (memory_take_meta(f.bed.b.host, f.big, sizeof(f.big), &len, &meta)) {
		CU_ASSERT_EQUAL(meta.seg_len, 500);
		segments += (uint32_t)len / 500;
		supers++;
	}
	CU_ASSERT(supers == num_flows && segments == 60);
	bed_fini(&f.bed);
}

#define TOGETHER 44 /* segments: three are more than two vectors, and one is not half of one */

/* seal_queued - what was queued from `first` on as B's wire's super-datagram. */
static void seal_queued(uint32_t first)
{
	size_t at = 0, n = 0;

	for (uint32_t i = first; i < f.num; i++) {
		bed_send(&f.bed.a, f.sent[i].bytes, f.sent[i].len);
		bed_turn_one(&f.bed, &f.bed.a);
		n = bed_capture(&f.bed.a, f.got);
		CU_ASSERT_FATAL(n && at + n <= sizeof(f.big));
		memcpy(f.big + at, f.got, n);
		at += n;
	}
	CU_ASSERT_EQUAL_FATAL(
		memory_inject_super(f.bed.b.wire, f.big, at, (uint16_t)n, &f.bed.b.path), ERR_OK);
}

/* A super-datagram is one vector's affair, whatever came with it, so that the host has one
 * super-packet for each and not parts that end where vectors do. */
static void check_together_in(bool apart)
{
	const struct bed_options o = {.open_wire = true,
				      .frame_len = 65536,
				      .num_packets = 512,
				      .joins = FLIGHT_JOIN_ALL};
	struct shape s = shape_flow(4);
	struct memory_meta meta;
	uint32_t num = 0;
	size_t len;

	bed_init(&f.bed, &o);
	bed_pair(&f.bed, 1, NULL);
	memory_come_apart(f.bed.b.wire, apart);
	f.num = 0;
	for (uint32_t i = 0; i < 3 * TOGETHER; i++) {
		flight_add(&f, &s, i * 1000, 1000, i % TOGETHER != 0);
		s.id++;
		if (f.num % TOGETHER == 0)
			seal_queued(f.num - TOGETHER);
	}
	bed_turn_one(&f.bed, &f.bed.b);
	for (; memory_take_meta(f.bed.b.host, f.big, sizeof(f.big), &len, &meta); num++)
		CU_ASSERT(meta.seg_len == 1000 && len / 1000 == TOGETHER);
	CU_ASSERT_EQUAL(num, 3);
	bed_fini(&f.bed);
}

static void test_together_in(void)
{
	check_together_in(false);
	check_together_in(true);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_together_in),     TAP_TEST(test_joined),
	TAP_TEST(test_joined_if_taken), TAP_TEST(test_not_joined),
	TAP_TEST(test_never_joined),    TAP_TEST(test_another_flow_between),
	TAP_TEST(test_fixed_id),        TAP_TEST(test_nothing_is_laundered),
	TAP_TEST(test_flows_by_turns),
};

TAP_MAIN("dataplane/super_join", tests)
