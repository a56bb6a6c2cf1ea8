/* SPDX-License-Identifier: Apache-2.0 */
/* Inner fragments across a data path: which wait to be whole, and by which policy and SA the whole
 * goes. Every turn checks the books. */
#include "dataplane/reasm.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static const struct bed_options open_wire = {.open_wire = true};

/* parts_of - the packet at buf in fragments of at most max bytes, each given to `each`. */
static unsigned parts_of(const uint8_t *buf, size_t len, uint32_t max,
			 void (*each)(void *ctx, const uint8_t *part, size_t n), void *ctx)
{
	struct pool *pool = pool_new(2, 9000);
	struct packet *p = packet_get(pool), *part = packet_get(pool);
	struct fragment_cut c;
	unsigned num = 0;
	bool more = true;

	memcpy(p->data, buf, len);
	p->len = (uint32_t)len;
	p->fragment_at = 40;
	p->fragment_next = 6;
	p->fragment_id = 77;
	CU_ASSERT_FATAL(fragment_cut_begin(&c, p, max));
	while (more) {
		more = fragment_cut_next(&c, part);
		each(ctx, part->data, part->len);
		num++;
	}
	packet_put(p);
	packet_put(part);
	pool_free(pool);
	return num;
}

static void to_host(void *ctx, const uint8_t *part, size_t n)
{
	bed_send(ctx, part, n);
}

/* struct sealing - parts that arrive by an SA of A. */
struct sealing {
	struct bed *bed;
	uint64_t seq, pair, other; /* other: of every second part; 0 = none */
};

static void to_wire(void *ctx, const uint8_t *part, size_t n)
{
	struct sealing *s = ctx;
	uint8_t esp[BED_MAX_PACKET];
	struct bed_esp e = {.pair = s->other && s->seq % 2 ? s->other : s->pair,
			    .seq = ++s->seq,
			    .pad_len = bed_pad(n),
			    .next_header = part[0] >> 4 == 4 ? 4 : 41};
	uint32_t spi = s->bed->b.spi_in;

	if (s->other && e.pair == s->pair)
		s->bed->b.spi_in = s->bed->a.spi_in; /* see test_S56_two_sas() */
	bed_deliver(&s->bed->b, esp, bed_seal(s->bed, esp, &e, part, n));
	s->bed->b.spi_in = spi;
}

static void only_dns(struct child_params *p, bool is_a)
{
	static struct ts dns;

	if (is_a)
		return;
	CU_ASSERT_EQUAL(ts_parse(&dns, "10.2.0.0/16[udp/53]"), ERR_OK);
	p->local = &dns;
	p->num_local = p->num_remote = 1;
}

/* S56: what a later fragment is part of shows only in the first: the whole is admitted or not. */
static void test_S56_fragments_by_port(void)
{
	static const uint16_t ports[] = {53, 54};

	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
		struct bed bed;
		struct sealing s = {.bed = &bed, .pair = 1};
		size_t n = bed_udp4(inner, true, 999, ports[i], 5, 3000);

		store_be16(inner + 10, ip4_checksum(inner, 20));
		bed_init(&bed, &open_wire);
		bed_pair(&bed, 1, only_dns);
		CU_ASSERT_EQUAL(parts_of(inner, n, 1200, to_wire, &s), 3);
		bed_turn_one(&bed, &bed.b);
		size_t len = bed_receive(&bed.b, got);

		CU_ASSERT_EQUAL(len, ports[i] == 53 ? n : 0);
		CU_ASSERT(len == 0 || memcmp(got, inner, n) == 0);
		CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_SA_SELECTOR_IN), ports[i] == 54);
		bed_fini(&bed);
	}
}

/* S56: half of a packet by one SA and half by another are no packet. */
static void test_S56_two_sas(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	struct sealing s = {.bed = &bed, .pair = 1, .other = 2};
	size_t n = bed_udp4(inner, true, 1, 2, 5, 3000);
	struct dataplane_stats st;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	uint32_t first = bed.b.spi_in;

	bed_pair(&bed, 2, NULL);
	bed.a.spi_in = first; /* B's SPI of the first pair: A has no use for its own here */
	parts_of(inner, n, 1200, to_wire, &s);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
	dataplane_stats(bed.b.dp, &st);
	CU_ASSERT_EQUAL(st.held, 3);
	bed.now += REASM_NS + NS_PER_S;
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_FRAGMENT_EXPIRED), 3);
	bed_fini(&bed);
}

/* IPv4 arrives whole; IPv6 in the fragments that its sender made, one behind the other. */
static void test_in(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	struct sealing s = {.bed = &bed, .pair = 1};
	struct dataplane_stats st;
	size_t n = bed_udp4(inner, true, 1, 2, 5, 3000);

	store_be16(inner + 10, ip4_checksum(inner, 20));
	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(parts_of(inner, n, 1200, to_wire, &s), 3);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
	CU_ASSERT_EQUAL(memcmp(got, inner, n), 0);
	n = bed_udp6(inner, true, 1, 2, 5, 3000);
	unsigned num = parts_of(inner, n, 1280, to_wire, &s), at = 0;

	bed_turn_one(&bed, &bed.b);
	for (unsigned i = 0; i < num; i++) {
		struct fragment f;
		size_t len = bed_receive(&bed.b, got);

		CU_ASSERT_FATAL(len <= 1280 &&
				fragment_parse(&f, got, (uint32_t)len) == FRAGMENT_PART);
		CU_ASSERT(f.offset == at && f.id == 77 && f.more == (i + 1 < num));
		CU_ASSERT_EQUAL(memcmp(got + f.at, inner + 40 + at, f.len), 0);
		at += f.len;
	}
	CU_ASSERT_EQUAL(at, n - 40);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
	dataplane_stats(bed.b.dp, &st);
	CU_ASSERT(st.consumed == 3 + num + 1 && st.made == 2 + num);
	bed_fini(&bed);
}

/* Beginnings alone wait, with a timer, and do not keep the worker from ending. */
static void test_in_without_last(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	struct sealing s = {.bed = &bed, .pair = 1};
	size_t n = bed_udp4(inner, true, 1, 2, 5, 3000);

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	store_be16(inner + 6, IP4_MF); /* the packet that is cut is itself only a beginning */
	n -= (n - 20) % 8;
	store_be16(inner + 2, (uint16_t)n);
	parts_of(inner, n, 1200, to_wire, &s);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	CU_ASSERT_EQUAL(dataplane_poll_next(bed.b.dp) <= bed.now + REASM_NS + NS_PER_MS, true);
	bed_fini(&bed);
}

/* out_parts - A's host sends a packet of 3,028 bytes to this port in fragments; how many ESP
 * packets leave with this SPI, and with others. */
static void out_parts(struct bed *bed, uint16_t port, uint32_t spi, unsigned *with, unsigned *other)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t n = bed_udp4(buf, true, 999, port, 5, 3000);

	*with = *other = 0;
	parts_of(buf, n, 1200, to_host, &bed->a);
	bed_turn_one(bed, &bed->a);
	while (bed_capture(&bed->a, buf)) {
		*with += load_be32(buf) == spi;
		*other += load_be32(buf) != spi;
	}
}

/* S56: a policy for one port and one for the rest, each with an SA: all fragments of a packet leave
 * by the same one, that of the first fragment's port. */
static void test_S56_fragments_out_by_policy(void)
{
	unsigned with, other;
	struct bed bed;
	struct policy_params p = {.layer = POLICY_LATCH, .action = POLICY_PROTECT};
	struct ts dns;
	uint32_t id;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	uint32_t any_spi = bed.b.spi_in;

	out_parts(&bed, 53, any_spi, &with, &other);
	CU_ASSERT(with == 3 && other == 0);
	CU_ASSERT(!spd_wants_whole(&bed.a.dp->spd)); /* each went by itself */
	CU_ASSERT_EQUAL(ts_parse(&dns, "10.2.0.0/16[udp/53]"), ERR_OK);
	p.local = &bed.a.local4;
	p.remote = &dns;
	p.num_local = p.num_remote = 1;
	uint32_t any_group = bed.a.group;

	CU_ASSERT_EQUAL(dataplane_group_add(bed.a.dp, &bed.a.group), ERR_OK);
	p.group = bed.a.group;
	CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_OK);
	bed_pair(&bed, 2, NULL); /* for the new group */
	bed.a.group = any_group;
	CU_ASSERT(spd_wants_whole(&bed.a.dp->spd));
	out_parts(&bed, 53, bed.b.spi_in, &with, &other);
	CU_ASSERT(with == 3 && other == 0);
	out_parts(&bed, 54, any_spi, &with, &other);
	CU_ASSERT(with == 3 && other == 0);
	dataplane_policy_remove(bed.a.dp, id);
	CU_ASSERT(!spd_wants_whole(&bed.a.dp->spd));
	bed_fini(&bed);
}

static void dns_out(struct child_params *p, bool is_a)
{
	static struct ts dns;

	CU_ASSERT_EQUAL(ts_parse(&dns, "10.2.0.0/16[udp/53]"), ERR_OK);
	if (is_a) {
		p->remote = &dns;
		p->num_local = p->num_remote = 1;
	}
}

/* The same where only the SA has ports, and it is told when the SA goes. */
static void test_out_by_sa(void)
{
	unsigned with, other;
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, dns_out);
	out_parts(&bed, 53, bed.b.spi_in, &with, &other);
	CU_ASSERT(with == 3 && other == 0);
	out_parts(&bed, 54, bed.b.spi_in, &with, &other);
	CU_ASSERT(with == 0 && other == 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_SA_SELECTOR_OUT), 1);
	CU_ASSERT(spd_wants_whole(&bed.a.dp->spd));
	dataplane_child_remove(bed.a.dp, 1, CHILD_BOTH);
	CU_ASSERT(!spd_wants_whole(&bed.a.dp->spd));
	bed_fini(&bed);
}

/* A packet put together waits for an SA as others do, and is cut again as it leaves. */
static void test_out_held(void)
{
	unsigned with, other;
	struct bed bed;
	struct policy_params p = {.layer = POLICY_LATCH, .action = POLICY_PROTECT};
	struct ts dns;
	uint8_t buf[BED_MAX_PACKET];
	uint32_t id;

	bed_init(&bed, &open_wire);
	CU_ASSERT_EQUAL(ts_parse(&dns, "10.2.0.0/16[udp/53]"), ERR_OK);
	p.local = &bed.a.local4;
	p.remote = &dns;
	p.num_local = p.num_remote = 1;
	p.group = bed.a.group;
	CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_OK);
	out_parts(&bed, 53, 0, &with, &other);
	CU_ASSERT(with == 0 && other == 0);
	CU_ASSERT_EQUAL(bed.a.dp->workers[0]->hold.num, 1);
	bed_pair(&bed, 1, NULL);
	bed_turn_one(&bed, &bed.a);
	for (other = 0; bed_capture(&bed.a, buf);)
		other++;
	CU_ASSERT_EQUAL(other, 3);
	bed_fini(&bed);
}

/* One that sends beginnings and never ends: what it holds is bounded, and others get through. */
static void test_flood(void)
{
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct bed bed;
	struct sealing s = {.bed = &bed, .pair = 1};
	struct dataplane_stats st;
	size_t n;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	for (uint32_t i = 0; i < 300; i++) {
		n = bed_udp4(inner, true, 1, 2, 5, 100);
		store_be16(inner + 4, (uint16_t)i);
		store_be16(inner + 6, IP4_MF);
		n -= (n - 20) % 8;
		store_be16(inner + 2, (uint16_t)n);
		to_wire(&s, inner, n);
		bed_turn_one(&bed, &bed.b);
		dataplane_stats(bed.b.dp, &st);
		CU_ASSERT(st.held <= 32);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_FRAGMENT_FULL), 300 - 32);
	n = bed_udp4(inner, true, 1, 2, 5, 3000);
	store_be16(inner + 4, 9999);
	parts_of(inner, n, 1200, to_wire, &s);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
	bed_fini(&bed);
}

/* S56: where protocols matter, and an IPv6 fragment header can name another one than the first
 * fragment's upper layer, packets are put together before they are looked up. */
static void test_S56_fragments_out_by_protocol(void)
{
	struct bed bed;
	struct policy_params p = {.layer = POLICY_LATCH, .action = POLICY_DISCARD};
	struct dataplane_stats st;
	uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct ts udp;
	uint32_t id;
	size_t n = bed_udp6(buf, true, 1, 2, 3, 3000);

	/* Destination options in front of UDP: they are behind the fragment header. */
	memmove(buf + 48, buf + 40, n - 40);
	memcpy(buf + 40, (const uint8_t[]){IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0}, 8);
	buf[6] = IPPROTO_DSTOPTS;
	n += 8;
	store_be16(buf + 4, (uint16_t)(n - 40));
	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(ts_parse(&udp, "fd02::/32[udp]"), ERR_OK);
	p.local = &bed.a.local6;
	p.remote = &udp;
	p.num_local = p.num_remote = 1;
	CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_OK);
	parts_of(buf, n, 1200, to_host, &bed.a);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_capture(&bed.a, got), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_POLICY_DISCARD), 1);
	dataplane_stats(bed.a.dp, &st);
	CU_ASSERT_EQUAL(st.held, 0);
	dataplane_policy_remove(bed.a.dp, id);
	CU_ASSERT(!spd_wants_whole(&bed.a.dp->spd));
	bed_fini(&bed);
}

/* Packets that wait for an SA do not take all the buffers in which others are put together. */
static void test_waiting_leaves_buffers(void)
{
	struct bed bed;
	struct policy_params p = {.layer = POLICY_LATCH, .action = POLICY_PROTECT};
	uint8_t inner[BED_MAX_PACKET], got[BED_MAX_PACKET];
	struct sealing s = {.bed = &bed, .pair = 1};
	size_t n;

	bed_init(&bed, &(struct bed_options){.open_wire = true, .hold_packets = 100});
	bed_pair(&bed, 1, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct ts dns;
		uint32_t id;

		CU_ASSERT_EQUAL(ts_parse(&dns, i ? "10.1.0.0/16[udp/53]" : "10.1.0.0/16[udp/54]"),
				ERR_OK);
		p.local = &bed.b.local4;
		p.remote = &dns;
		p.num_local = p.num_remote = 1;
		CU_ASSERT_EQUAL(dataplane_group_add(bed.b.dp, &p.group), ERR_OK);
		CU_ASSERT_EQUAL(dataplane_policy_add(bed.b.dp, &id, &p), ERR_OK);
	}
	for (unsigned i = 0; i < 100; i++) { /* B's host sends what no SA protects */
		n = bed_udp4(inner, false, 9, (uint16_t)(53 + i % 2), i, 3000);
		store_be16(inner + 4, (uint16_t)i);
		parts_of(inner, n, 1200, to_host, &bed.b);
		bed_turn_one(&bed, &bed.b);
	}
	CU_ASSERT(bed.b.dp->workers[0]->hold.num > 0);
	CU_ASSERT(bed_dropped(&bed.b, DROP_HOLD_FULL) > 0);
	n = bed_udp4(inner, true, 1, 2, 5, 3000);
	parts_of(inner, n, 1200, to_wire, &s);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S56_fragments_by_port),
	TAP_TEST(test_S56_two_sas),
	TAP_TEST(test_in),
	TAP_TEST(test_in_without_last),
	TAP_TEST(test_S56_fragments_out_by_policy),
	TAP_TEST(test_out_by_sa),
	TAP_TEST(test_out_held),
	TAP_TEST(test_flood),
	TAP_TEST(test_S56_fragments_out_by_protocol),
	TAP_TEST(test_waiting_leaves_buffers),
};

TAP_MAIN("dataplane/join", tests)
