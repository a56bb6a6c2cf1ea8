/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that say nothing (RFC 4303 2.6): when they leave, how long they are, that they are
 * dropped where they arrive, and that they stop with their SA. */
#include "dataplane/fit.h"
#include "dataplane/path.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define TICK_NS (2 * NS_PER_MS)
#define PADDING 500
#define PADDED  (8 + 8 + PADDING + 4 + 16) /* AES-GCM: header, IV, text with its trailer, ICV */

static struct child_params wanted; /* what tweak() sets */

static void tweak(struct child_params *p, bool is_a)
{
	if (!is_a)
		return;
	p->dummies = wanted.dummies;
	p->dummy_len = wanted.dummy_len;
	p->tfc_padding = wanted.dummy_len;
	p->copy_df = wanted.copy_df;
	p->worker = wanted.worker;
}

/* start - A sends that many a second, B none; the clock is not 0. */
static void start(struct bed *bed, uint32_t dummies, uint32_t len, uint16_t mtu)
{
	wanted = (struct child_params){.dummies = dummies, .dummy_len = len};
	bed_init(bed, &(struct bed_options){.open_wire = true, .num_packets = 128});
	bed->now = 5 * NS_PER_S;
	bed_pair(bed, 1, tweak);
	if (mtu)
		CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed->a.dp, bed->a.pathset, mtu), ERR_OK);
}

/* struct seen - what A sent in a while. */
struct seen {
	unsigned num;
	size_t shortest, longest;
};

static void look(struct bed *bed, struct seen *seen)
{
	uint8_t esp[BED_MAX_PACKET];
	size_t len;

	while ((len = bed_capture(&bed->a, esp)) != 0) {
		seen->num++;
		seen->shortest = seen->num == 1 || len < seen->shortest ? len : seen->shortest;
		seen->longest = len > seen->longest ? len : seen->longest;
		bed_deliver(&bed->b, esp, len);
	}
}

/* pass - so long; every `traffic` ticks A's host sends a packet (0: never). */
static struct seen pass(struct bed *bed, uint64_t ns, unsigned traffic)
{
	struct seen seen = {0};
	uint8_t buf[BED_MAX_PACKET];
	unsigned tick = 0;

	for (uint64_t end = bed->now + ns; bed->now < end; bed->now += TICK_NS, tick++) {
		if (traffic && tick % traffic == 0)
			bed_send(&bed->a, buf, bed_udp4(buf, true, 1, 2, tick, 20 + tick % 300));
		bed_turn_one(bed, &bed->a);
		look(bed, &seen);
		bed_turn_one(bed, &bed->b);
	}
	return seen;
}

static unsigned delivered(struct bed *bed)
{
	uint8_t buf[BED_MAX_PACKET];
	unsigned num = 0;

	while (bed_receive(&bed->b, buf))
		num++;
	return num;
}

/* Without traffic as many leave as are asked for, all of one length, and B drops them all. */
static void test_alone(void)
{
	struct bed bed;

	start(&bed, 20, PADDING, 0);
	struct seen seen = pass(&bed, 2 * NS_PER_S, 0);

	CU_ASSERT(seen.num >= 36 && seen.num <= 41);
	CU_ASSERT_EQUAL(seen.shortest, PADDED);
	CU_ASSERT_EQUAL(seen.longest, PADDED);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_DUMMY), seen.num);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), seen.num);
	CU_ASSERT_EQUAL(delivered(&bed), 0);
	bed_fini(&bed);
}

/* Beside traffic only what is missing; all look alike, and what is none arrives. */
static void test_beside_traffic(void)
{
	static const struct {
		unsigned every;       /* ticks: packets of the host */
		unsigned least, most; /* dummies in two seconds, at 20 a second */
	} rows[] = {{20, 0, 1}, {5, 0, 1}, {50, 18, 25}, {500, 33, 40}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed bed;
		unsigned sent = (1000 + rows[i].every - 1) / rows[i].every;

		start(&bed, 20, PADDING, 0);
		struct seen seen = pass(&bed, 2 * NS_PER_S, rows[i].every);
		unsigned dummies = seen.num - sent;

		CU_ASSERT(dummies >= rows[i].least && dummies <= rows[i].most);
		CU_ASSERT_EQUAL(seen.shortest, PADDED);
		CU_ASSERT_EQUAL(seen.longest, PADDED);
		CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_DUMMY), dummies);
		CU_ASSERT_EQUAL(delivered(&bed), sent);
		bed_fini(&bed);
	}
}

/* As long as is said, but no longer than the path takes; where that is not known, not too long. */
static void test_length(void)
{
	static const struct {
		uint32_t len;
		uint16_t mtu;
		size_t least, most; /* of the outer packet */
	} rows[] = {
		{100, 1300, 164, 164},
		{4000, 1300, 1297, 1300},
		{TFC_PADDING_PATH, 1300, 1297, 1300},
		{TFC_PADDING_PATH, 600, 597, 600},
		{TFC_PADDING_PATH, 0, 560, 700},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed bed;

		start(&bed, 100, rows[i].len, rows[i].mtu);
		struct seen seen = pass(&bed, NS_PER_S / 2, 0);

		CU_ASSERT(seen.num >= 40);
		CU_ASSERT_EQUAL(seen.shortest, seen.longest);
		CU_ASSERT(28 + seen.shortest >= rows[i].least && 28 + seen.longest <= rows[i].most);
		CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_DUMMY), seen.num);
		bed_fini(&bed);
	}
}

/* In transport mode too; and the length is that of what ESP carries. */
static void transport(struct child_params *p, bool is_a)
{
	static struct ts ends[4];
	struct ts *local = &ends[is_a ? 0 : 2], *remote = local + 1;

	*local = p->local[0];
	*remote = p->remote[0];
	local->hi = local->lo;
	remote->hi = remote->lo;
	p->local = local;
	p->remote = remote;
	p->num_local = p->num_remote = 1;
	p->mode = SA_TRANSPORT;
	tweak(p, is_a);
	p->tfc_padding = 0;
}

static void test_transport(void)
{
	struct bed bed;

	wanted = (struct child_params){.dummies = 100, .dummy_len = TFC_PADDING_PATH};
	bed_init(&bed, &(struct bed_options){.open_wire = true, .num_packets = 128});
	bed_pair(&bed, 1, transport);
	CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed.a.dp, bed.a.pathset, 1000), ERR_OK);
	struct seen seen = pass(&bed, NS_PER_S / 2, 0);

	CU_ASSERT(seen.num >= 40);
	CU_ASSERT(28 + seen.shortest >= 997 && 28 + seen.longest <= 1000);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_DUMMY), seen.num);
	bed_fini(&bed);
}

static uint64_t out_seq(const struct bed *bed, uint64_t id)
{
	struct child_stats stats;

	CU_ASSERT_EQUAL_FATAL(dataplane_child_stats(bed->a.dp, &stats, id), ERR_OK);
	return stats.out_seq;
}

/* They leave by the SA that packets leave by, and by none once it is gone. */
static void test_rekey(void)
{
	struct bed bed;
	struct seen seen;
	uint64_t before;

	start(&bed, 50, PADDING, 0);
	seen = pass(&bed, NS_PER_S, 0);
	CU_ASSERT(seen.num > 40);
	bed_pair(&bed, 2, tweak);
	before = out_seq(&bed, 1);
	seen = pass(&bed, NS_PER_S, 0);
	CU_ASSERT_EQUAL(out_seq(&bed, 1), before);
	CU_ASSERT_EQUAL(out_seq(&bed, 2), seen.num);
	CU_ASSERT(seen.num > 40 && seen.num < 52);
	dataplane_child_remove(bed.a.dp, 2, CHILD_OUT);
	seen = pass(&bed, NS_PER_S, 0);
	CU_ASSERT_EQUAL(out_seq(&bed, 1), before + seen.num);
	CU_ASSERT(seen.num > 40);
	dataplane_child_remove(bed.a.dp, 1, CHILD_BOTH);
	CU_ASSERT_PTR_NULL(bed.a.dp->dummies);
	seen = pass(&bed, NS_PER_S, 0);
	CU_ASSERT_EQUAL(seen.num, 0);
	bed_fini(&bed);
}

/* Who asks for none sends none, and nobody asks for more than the clock has ticks. */
static void test_none_and_too_many(void)
{
	struct bed bed;

	start(&bed, 0, PADDING, 0);
	struct seen seen = pass(&bed, NS_PER_S, 0);

	CU_ASSERT_EQUAL(seen.num, 0);
	CU_ASSERT_EQUAL(worker_next(bed.a.dp->workers[0]), TIME_NEVER);
	struct child_params p = bed_child_params(&bed.a, 7);

	p.dummies = DUMMIES_MAX + 1;
	CU_ASSERT_EQUAL(dataplane_child_add(bed.a.dp, &p), ERR_INVAL);
	bed_fini(&bed);
}

/* The worker that owns the SA sends them, by its own queue or by that of another. */
static void test_workers(void)
{
	struct bed bed;
	unsigned num = 0;

	wanted = (struct child_params){.dummies = 100, .dummy_len = PADDING, .worker = 3};
	bed_init(&bed,
		 &(struct bed_options){
			 .num_packets = 128, .num_workers = 3, .num_inner = 3, .num_outer = 1});
	for (uint64_t id = 1; id <= 6; id++)
		bed_pair(&bed, id, tweak);
	for (unsigned i = 0; i < 500; i++, bed.now += TICK_NS)
		bed_turn(&bed);
	for (uint64_t id = 1; id <= 6; id++)
		num += out_seq(&bed, id) > 0;
	CU_ASSERT_EQUAL(num, 1); /* one group: its newest SA */
	CU_ASSERT(bed_dropped(&bed.b, DROP_DUMMY) > 80);
	CU_ASSERT_EQUAL(bed.a.dp->workers[0]->count.made + bed.a.dp->workers[1]->count.made, 0);
	CU_ASSERT(bed.a.dp->workers[2]->count.made > 80);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_alone),     TAP_TEST(test_beside_traffic), TAP_TEST(test_length),
	TAP_TEST(test_transport), TAP_TEST(test_rekey),          TAP_TEST(test_none_and_too_many),
	TAP_TEST(test_workers),
};

TAP_MAIN("dataplane/dummy", tests)
