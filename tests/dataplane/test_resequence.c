/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of one SA that come by paths of different length reach the host in the order of their
 * numbers: what waits for what, and for how long. Path k of a test is B's port 4500 + k - 1. */
#include "base/alloc.h"
#include "dataplane/sa.h"
#include "tests/dataplane/shape.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define BOUND_NS (20 * NS_PER_MS)

static uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET], got[BED_MAX_PACKET];

static struct path_addr addr_of(const struct bed *bed, const struct side *s, uint16_t k)
{
	struct path_addr a = s->path;

	if (s == &bed->a)
		a.remote.port = (uint16_t)(4499 + k);
	else
		a.local.port = (uint16_t)(4499 + k);
	return a;
}

static void add(const struct bed *bed, const struct side *s, uint16_t k)
{
	const struct path_params p = {
		.id = k, .port = s->outer, .addr = addr_of(bed, s, k), .weight = 1, .usable = true};

	CU_ASSERT_EQUAL_FATAL(dataplane_path_put(s->dp, s->pathset, &p), ERR_OK);
}

static void with_esn(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->esn = true;
	p->mif = true;
	p->replay_window = 4096;
}

static void wide(struct child_params *p, bool is_a)
{
	with_esn(p, is_a);
	p->esn = false;
}

static void wide_transport(struct child_params *p, bool is_a)
{
	wide(p, is_a);
	bed_mode(p, is_a, SA_TRANSPORT);
}

/* begin_order - three paths, and B puts packets in order; num_packets: its pool. */
static void begin_order(struct bed *bed, uint32_t packets, uint32_t num_packets,
			void (*tweak)(struct child_params *p, bool is_a))
{
	bed_init(bed, &(struct bed_options){
			      .open_wire = true, .num_packets = num_packets, .num_frames = 1024});
	bed_pair(bed, 1, tweak);
	for (uint16_t k = 1; k <= 3; k++) {
		add(bed, &bed->a, k);
		add(bed, &bed->b, k);
	}
	CU_ASSERT_EQUAL_FATAL(dataplane_child_resequence(bed->b.dp, 1, packets, BOUND_NS, false),
			      ERR_OK);
}

/* inject - B gets the packet with this number by path k, in its next turn. */
static void inject(struct bed *bed, uint64_t seq, uint16_t k, bool esn)
{
	struct bed_esp e = {.pair = 1, .seq = seq, .next_header = 4, .esn = esn};
	const struct path_addr from = addr_of(bed, &bed->b, k);
	size_t n = bed_udp4(inner, true, 1, 2, (uint32_t)seq, 40);

	e.pad_len = bed_pad(n);
	n = bed_seal(bed, esp, &e, inner, n);
	CU_ASSERT_EQUAL(memory_inject(bed->b.wire, esp, n, &from), ERR_OK);
}

static void comes(struct bed *bed, uint64_t seq, uint16_t k)
{
	inject(bed, seq, k, false);
	bed_turn_one(bed, &bed->b);
}

/* next_is - what B's host gets next: a packet's number, 0 = nothing. */
static uint32_t next_is(struct bed *bed)
{
	return bed_receive(&bed->b, got) ? load_be32(got + 28) : 0;
}

/* host_gets - exactly those from first to last. */
static void host_gets(struct bed *bed, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i <= last; i++)
		CU_ASSERT_EQUAL(next_is(bed), i);
	CU_ASSERT_EQUAL(next_is(bed), 0);
}

static uint64_t held(const struct bed *bed)
{
	struct dataplane_stats st;

	dataplane_stats(bed->b.dp, &st);
	return st.held;
}

/* pass_time - turns without packets, a millisecond each. */
static void pass_time(struct bed *bed, uint32_t ms)
{
	while (ms--) {
		bed->now += NS_PER_MS;
		bed_turn_one(bed, &bed->b);
	}
}

/* two_paths - both deliver: 1 and 2 have come. */
static void two_paths(struct bed *bed)
{
	comes(bed, 1, 1);
	comes(bed, 2, 2);
	host_gets(bed, 1, 2);
}

/* M7: what comes early by one path waits for what the other brings. */
static void test_M7_waits_for_the_other_path(void)
{
	struct bed bed;

	begin_order(&bed, 64, 256, wide);
	two_paths(&bed);
	comes(&bed, 3, 1);
	host_gets(&bed, 3, 3);
	comes(&bed, 5, 1);
	comes(&bed, 7, 1);
	CU_ASSERT_EQUAL(held(&bed), 2);
	host_gets(&bed, 1, 0);
	comes(&bed, 4, 2);
	host_gets(&bed, 4, 5);
	comes(&bed, 6, 2);
	host_gets(&bed, 6, 7);
	CU_ASSERT_EQUAL(held(&bed), 0);
	CU_ASSERT_EQUAL(dataplane_poll_next(bed.b.dp), bed.now + BOUND_NS);
	pass_time(&bed, 25);
	CU_ASSERT_EQUAL(dataplane_poll_next(bed.b.dp), TIME_NEVER);
	bed_fini(&bed);
}

/* even - what comes by path 1 waits for 10 ms as if the others were longer by that; k: the path
 * that carries all that B sends meanwhile, 0: none does any more. */
static void even(struct bed *bed, uint16_t k)
{
	static const uint64_t even_ns[PATHS_MAX] = {10 * NS_PER_MS};
	struct dataplane *dp = bed->b.dp;

	CU_ASSERT_EQUAL_FATAL(dataplane_path_schedule(dp, bed->b.pathset, SCHEDULE_SPRAY), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(
		path_set_alone(slots_get(dp->pathsets, bed->b.pathset), &dp->retired, k, even_ns),
		ERR_OK);
}

/* M7: while a transfer is received what comes by the quicker path is as late as all others, though
 * nothing before it is missing: until its time has come, or all paths are past it. */
static void test_M7_as_late_as_others(void)
{
	struct bed bed;

	begin_order(&bed, 64, 256, wide);
	two_paths(&bed);
	even(&bed, 1);
	comes(&bed, 3, 1);
	pass_time(&bed, 9);
	host_gets(&bed, 1, 0);
	CU_ASSERT_EQUAL(held(&bed), 1);
	pass_time(&bed, 1);
	host_gets(&bed, 3, 3);
	comes(&bed, 5, 2); /* the longer path's do not wait for themselves */
	comes(&bed, 4, 1);
	host_gets(&bed, 4, 5);
	comes(&bed, 6, 1);
	comes(&bed, 7, 1);
	host_gets(&bed, 1, 0);
	comes(&bed, 8, 2);
	host_gets(&bed, 6, 8);

	/* Each has a time of its own, and what is missing has none. */
	comes(&bed, 9, 1);
	pass_time(&bed, 6);
	comes(&bed, 10, 1);
	comes(&bed, 12, 1);
	pass_time(&bed, 4);
	host_gets(&bed, 9, 9);
	pass_time(&bed, 6);
	host_gets(&bed, 10, 10);
	pass_time(&bed, 3);
	host_gets(&bed, 1, 0);
	comes(&bed, 11, 2);
	host_gets(&bed, 11, 12);
	CU_ASSERT_EQUAL(held(&bed), 0);

	comes(&bed, 13, 1);
	host_gets(&bed, 1, 0);
	even(&bed, 0);
	pass_time(&bed, 10);
	host_gets(&bed, 13, 13);
	comes(&bed, 14, 1);
	host_gets(&bed, 14, 14);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

/* M7: what every path has gone beyond is lost: nothing waits for it. */
static void test_M7_lost_is_not_waited_for(void)
{
	struct bed bed;

	begin_order(&bed, 64, 256, wide);
	two_paths(&bed);
	comes(&bed, 5, 1); /* 3 was lost */
	comes(&bed, 7, 1);
	host_gets(&bed, 1, 0);
	comes(&bed, 4, 2);
	host_gets(&bed, 4, 5); /* 6 may come still */
	comes(&bed, 8, 2);     /* or not */
	host_gets(&bed, 7, 8);
	comes(&bed, 6, 2); /* which was wrong: it goes on at once all the same */
	host_gets(&bed, 6, 6);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

/* M7: no packet waits longer than its time, whatever came before or after it. */
static void test_M7_time_is_bounded(void)
{
	struct bed bed;

	begin_order(&bed, 64, 256, wide);
	two_paths(&bed);
	comes(&bed, 9, 1);
	pass_time(&bed, 10);
	comes(&bed, 4, 1);
	comes(&bed, 6, 1);
	pass_time(&bed, 9);
	comes(&bed, 12, 1);
	host_gets(&bed, 1, 0);
	pass_time(&bed, 2); /* the time of 9 is over, and with it that of what is before it */
	CU_ASSERT_EQUAL(next_is(&bed), 4);
	CU_ASSERT_EQUAL(next_is(&bed), 6);
	host_gets(&bed, 9, 9);
	pass_time(&bed, 17);
	host_gets(&bed, 1, 0);
	pass_time(&bed, 2);
	host_gets(&bed, 12, 12);
	comes(&bed, 3, 2); /* late */
	host_gets(&bed, 3, 3);
	comes(&bed, 13, 1);
	host_gets(&bed, 13, 13);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 1, 64, 2 * BOUND_NS, false), ERR_OK);
	comes(&bed, 15, 1);
	pass_time(&bed, 39);
	host_gets(&bed, 1, 0);
	pass_time(&bed, 2);
	host_gets(&bed, 15, 15);
	bed_fini(&bed);
}

/* in_turns - A sends by one path at a time: 1 to 3 by the first. */
static void in_turns(struct bed *bed)
{
	begin_order(bed, 64, 256, wide);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed->b.dp, 1, 64, BOUND_NS, true), ERR_OK);
	for (uint64_t seq = 1; seq <= 3; seq++)
		comes(bed, seq, 1);
	host_gets(bed, 1, 3);
}

/* M3: where paths take turns what the new one brings waits for what the old one may bring still,
 * and for nothing else. */
static void test_M3_turns(void)
{
	struct bed bed;

	in_turns(&bed);
	comes(&bed, 5, 1); /* of one path alone what is missing is lost */
	host_gets(&bed, 5, 5);
	comes(&bed, 8, 2);
	comes(&bed, 10, 2);
	host_gets(&bed, 1, 0);
	comes(&bed, 6, 1);
	host_gets(&bed, 6, 6);
	comes(&bed, 7, 1);
	CU_ASSERT_EQUAL(next_is(&bed), 7);
	CU_ASSERT_EQUAL(next_is(&bed), 8);
	comes(&bed, 11, 2);
	host_gets(&bed, 10, 11);
	comes(&bed, 13, 2); /* 12 was to come by the second path, whatever the first one brings */
	host_gets(&bed, 13, 13);
	comes(&bed, 15, 1); /* the turn goes back, and 14 is lost */
	comes(&bed, 16, 1);
	host_gets(&bed, 1, 0);
	pass_time(&bed, 19);
	host_gets(&bed, 1, 0);
	pass_time(&bed, 2);
	host_gets(&bed, 15, 16);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

/* M4: nothing is waited for by a path that was silent before the turn, or is gone. */
static void test_M4_turn_after_silence(void)
{
	struct bed bed;

	in_turns(&bed);
	pass_time(&bed, 21);
	comes(&bed, 6, 2); /* 4 and 5 are lost with the first path */
	host_gets(&bed, 6, 6);
	comes(&bed, 9, 3); /* 7 and 8 may come by the second */
	host_gets(&bed, 1, 0);
	CU_ASSERT_EQUAL(dataplane_path_take(bed.b.dp, bed.b.pathset, 2), ERR_OK);
	comes(&bed, 10, 3);
	host_gets(&bed, 9, 10);
	bed_fini(&bed);
}

/* What is said later holds: of packets that are sprayed each path is waited for, and of flows none.
 */
static void test_M3_turns_end(void)
{
	struct bed bed;

	in_turns(&bed);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 1, 64, BOUND_NS, false), ERR_OK);
	comes(&bed, 4, 2);
	comes(&bed, 6, 2);
	host_gets(&bed, 4, 4);
	comes(&bed, 5, 1);
	host_gets(&bed, 5, 6);
	comes(&bed, 8, 2);
	host_gets(&bed, 1, 0);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 1, 0, 0, false), ERR_OK);
	comes(&bed, 10, 1);
	CU_ASSERT_EQUAL(next_is(&bed), 8);
	host_gets(&bed, 10, 10);
	comes(&bed, 9, 2);
	host_gets(&bed, 9, 9);
	CU_ASSERT_EQUAL(held(&bed), 0);
	bed_fini(&bed);
}

/* A path that brought nothing for a second is not waited for; with one path nothing ever waits. */
static void test_M6_silent_path(void)
{
	struct bed bed;

	begin_order(&bed, 64, 256, wide);
	two_paths(&bed);
	bed.now += 990 * NS_PER_MS;
	comes(&bed, 3, 1);
	comes(&bed, 5, 1);
	host_gets(&bed, 3, 3);
	pass_time(&bed, 10);
	comes(&bed, 7, 1);
	CU_ASSERT_EQUAL(next_is(&bed), 5);
	host_gets(&bed, 7, 7);
	comes(&bed, 10, 1);
	host_gets(&bed, 10, 10);
	CU_ASSERT_EQUAL(held(&bed), 0);
	bed_fini(&bed);
}

/* The ring is bounded: who comes too far ahead moves it on. */
static void test_S63_depth(void)
{
	struct bed bed;

	begin_order(&bed, 8, 256, wide);
	two_paths(&bed);
	for (uint64_t seq = 4; seq <= 10; seq++)
		comes(&bed, seq, 1);
	host_gets(&bed, 1, 0);
	CU_ASSERT_EQUAL(held(&bed), 7);
	comes(&bed, 11, 1);
	host_gets(&bed, 4, 11);
	comes(&bed, 13, 1);
	comes(&bed, 4000, 1); /* far ahead */
	host_gets(&bed, 13, 13);
	CU_ASSERT_EQUAL(held(&bed), 1);
	comes(&bed, 3995, 2);
	host_gets(&bed, 3995, 3995);
	comes(&bed, 4001, 2);
	host_gets(&bed, 4000, 4001);
	bed_fini(&bed);
}

/* Half of the worker's buffers are left to what comes. */
static void test_S63_buffers(void)
{
	struct bed bed;

	begin_order(&bed, 1024, 64, wide);
	two_paths(&bed);
	for (uint64_t seq = 4; seq <= 4 + 32; seq++)
		comes(&bed, seq, 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_BUFFER), 0);
	host_gets(&bed, 4, 36);
	for (uint64_t seq = 40; seq <= 1000; seq += 2) {
		comes(&bed, seq, 1);
		CU_ASSERT(held(&bed) <= 32);
	}
	for (uint32_t i = 40; i <= 936; i += 2)
		CU_ASSERT_EQUAL(next_is(&bed), i);
	CU_ASSERT_EQUAL(next_is(&bed), 0);
	bed_fini(&bed);
}

/* More than a vector becomes ready at once: all of it goes on, in order, in that turn. */
static void test_many_at_once(void)
{
	struct bed bed;

	begin_order(&bed, 512, 1024, wide);
	two_paths(&bed);
	for (uint64_t seq = 4; seq <= 303; seq++)
		comes(&bed, seq, 1);
	host_gets(&bed, 1, 0);
	for (uint64_t seq = 305; seq <= 320; seq++)
		inject(&bed, seq, 1, false);
	inject(&bed, 3, 2, false); /* in the midst of a vector */
	for (uint64_t seq = 321; seq <= 340; seq++)
		inject(&bed, seq, 1, false);
	inject(&bed, 304, 2, false);
	bed_turn_one(&bed, &bed.b);
	host_gets(&bed, 3, 340);
	CU_ASSERT_EQUAL(held(&bed), 0);
	for (uint64_t seq = 342; seq <= 541; seq++)
		comes(&bed, seq, 1);
	pass_time(&bed, 21); /* and by the timer */
	host_gets(&bed, 342, 541);
	bed_fini(&bed);
}

/* Numbers of 64 bits: past 2^32 as before it. */
static void test_wrap(void)
{
	const uint64_t at = UINT64_C(0xfffffff0);
	struct bed bed;

	begin_order(&bed, 64, 256, with_esn);
	for (uint64_t quarter = 1; quarter < 4; quarter++) {
		inject(&bed, quarter << 30, 1, true);
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT_EQUAL(next_is(&bed), (uint32_t)(quarter << 30));
	}
	for (uint64_t i = 0; i < 32; i++) {
		const uint64_t seq = at + (i ^ 1); /* two by two the wrong way round */

		inject(&bed, seq, (uint16_t)(1 + (seq & 1)), true);
		bed_turn_one(&bed, &bed.b);
	}
	for (uint32_t i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(next_is(&bed), (uint32_t)at + i);
	CU_ASSERT(bed_receive(&bed.b, got) != 0 && load_be32(got + 28) == 0);
	host_gets(&bed, 1, 15);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

/* What comes twice is delivered once, and a copy says nothing of its path. */
static void test_M16_copies(void)
{
	struct bed bed;

	begin_order(&bed, 64, 256, wide);
	two_paths(&bed);
	comes(&bed, 4, 1);
	comes(&bed, 4, 2);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), 1);
	comes(&bed, 3, 2);
	host_gets(&bed, 3, 4);
	comes(&bed, 3, 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), 2);
	host_gets(&bed, 1, 0);
	bed_fini(&bed);
}

static void no_window(struct child_params *p, bool is_a)
{
	wide(p, is_a);
	p->replay_window = 0;
}

static void comes_probe(struct bed *bed, uint64_t seq)
{
	const struct bed_esp e = {
		.pair = 1, .seq = seq, .next_header = ESP_PROBE, .pad_len = bed_pad(96)};

	memset(inner, 0, 96);
	bed_deliver(&bed->b, esp, bed_seal(bed, esp, &e, inner, 96));
	bed_turn_one(bed, &bed->b);
	CU_ASSERT_EQUAL(bed_events(&bed->b, DP_EVENT_PROBE), 1);
}

/* Without a window what comes twice is delivered twice: the copy of one that waits does not wait,
 * and takes the place of none. */
static void test_M16_copies_without_a_window(void)
{
	struct bed bed;

	begin_order(&bed, 64, 256, no_window);
	two_paths(&bed);
	comes(&bed, 5, 1);
	host_gets(&bed, 1, 0);
	comes(&bed, 5, 1);
	host_gets(&bed, 5, 5);
	CU_ASSERT_EQUAL_FATAL(held(&bed), 1);
	comes(&bed, 3, 2);
	host_gets(&bed, 3, 3);
	comes(&bed, 4, 2);
	host_gets(&bed, 4, 5);
	for (int i = 0; i < 2; i++)
		comes_probe(&bed, 8);
	comes(&bed, 6, 1);
	comes(&bed, 7, 2);
	host_gets(&bed, 6, 7);
	CU_ASSERT_EQUAL(held(&bed), 0);
	pass_time(&bed, 25);
	CU_ASSERT_EQUAL(dataplane_poll_next(bed.b.dp), TIME_NEVER);
	CU_ASSERT_EQUAL(pool_num_free(bed.b.dp->workers[0]->pool), 256);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

/* Control messages do not wait, nor does anything wait for their numbers, or for the path that they
 * came by: it need not be one that packets go by. */
static void test_probes_do_not_wait(void)
{
	struct bed_esp e = {.pair = 1, .seq = 5, .next_header = ESP_PROBE, .pad_len = bed_pad(96)};
	struct path_addr from;
	struct bed bed;
	size_t n;

	begin_order(&bed, 64, 256, wide);
	two_paths(&bed);
	from = addr_of(&bed, &bed.b, 3);
	memset(inner, 0, 96);
	n = bed_seal(&bed, esp, &e, inner, 96);
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, esp, n, &from), ERR_OK);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_PROBE), 1);
	comes(&bed, 4, 1);
	comes(&bed, 6, 1);
	host_gets(&bed, 1, 0);
	comes(&bed, 3, 2);
	CU_ASSERT_EQUAL(next_is(&bed), 3);
	CU_ASSERT_EQUAL(next_is(&bed), 4);
	host_gets(&bed, 6, 6);
	comes(&bed, 8, 1);
	comes(&bed, 9, 2); /* 7 is lost, whatever path 3 may bring */
	host_gets(&bed, 8, 9);
	bed_fini(&bed);
}

/* The SA goes while packets wait: they are dropped and counted, before or after its memory is
 * free, and buffers and books are whole. */
static void test_M2_sa_goes(void)
{
	for (int way = 0; way < 4; way++) {
		struct bed bed;

		begin_order(&bed, 64, 256, wide);
		two_paths(&bed);
		comes(&bed, 4, 1);
		comes(&bed, 6, 1);
		if (way < 3)
			dataplane_child_remove(bed.b.dp, 1, CHILD_BOTH);
		if (way == 1)
			dataplane_reclaim(bed.b.dp);
		if (way == 2)
			bed.now += NS_PER_S; /* and all is due */
		if (way < 3) {
			bed_turn_one(&bed, &bed.b);
			CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_SA), 2);
			CU_ASSERT_EQUAL(held(&bed), 0);
			host_gets(&bed, 1, 0);
			comes(&bed, 3, 2);
			CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_SA), 3);
		}
		bed_fini(&bed); /* or with packets that wait */
	}
}

static void test_refused(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 2, 64, 1, false), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 1, 0, 1, false), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 1, RESEQUENCE_MAX + 1, 1, false),
			ERR_INVAL);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 1, 64, NS_PER_S + 1, false),
			ERR_INVAL);
	for (uint64_t n = 1; n <= 3; n++) {
		alloc_fail_nth(n);
		CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 1, 64, 1, false), ERR_NOMEM);
		alloc_fail_nth(0);
	}
	CU_ASSERT_EQUAL(bed.b.dp->workers[0]->num_orders, 0);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 1, RESEQUENCE_MAX, NS_PER_S, false),
			ERR_OK);
	dataplane_child_remove(bed.b.dp, 1, CHILD_IN);
	CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, 1, 64, 1, false), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(bed.b.dp->workers[0]->num_orders, 0);
	bed_fini(&bed);
}

/* ---- from end to end --------------------------------------------------------------------------
 */

/* struct flight - a datagram on its way by one of two paths of different length. */
struct flight {
	uint8_t bytes[200];
	size_t len;
	uint64_t at;
	uint16_t k;
};

static struct {
	struct flight f[4096];
	uint32_t num;
	uint64_t delay[3]; /* of paths 1 and 2 */
	struct rng_seeded rng;
	uint32_t one_of; /* so many one is lost of; 0 = none */
	uint32_t lost;
} air;

/* depart - what A sent is on its way, or lost; some of it comes twice. */
static void depart(struct bed *bed)
{
	struct path_addr to;
	size_t len;

	while (memory_take(bed->a.wire, got, sizeof(got), &len, &to)) {
		struct flight *f = &air.f[air.num];

		if (air.one_of && shape_below(&air.rng, air.one_of) == 0) {
			air.lost++;
			continue;
		}
		CU_ASSERT_FATAL(air.num + 2 < ARRAY_LEN(air.f) && len <= sizeof(f->bytes));
		*f = (struct flight){.len = len, .k = (uint16_t)(to.remote.port - 4499)};
		memcpy(f->bytes, got, len);
		f->at = bed->now + air.delay[f->k];
		air.num++;
		if (air.one_of && shape_below(&air.rng, 20) == 0) {
			air.f[air.num] = *f;
			air.f[air.num++].at += 3 * NS_PER_MS;
		}
	}
}

/* arrive - what is due by now, in the order in which it left. */
static void arrive(struct bed *bed)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < air.num; i++) {
		const struct path_addr from = addr_of(bed, &bed->b, air.f[i].k);

		if (air.f[i].at > bed->now)
			air.f[left++] = air.f[i];
		else
			CU_ASSERT_EQUAL(
				memory_inject(bed->b.wire, air.f[i].bytes, air.f[i].len, &from),
				ERR_OK);
	}
	air.num = left;
	bed_turn_one(bed, &bed->b);
}

/* outcome of a flight of num packets: those that came, and those that came behind a later one. */
struct outcome {
	uint32_t num, reordered;
	uint64_t longest_ns; /* from sender to host */
};

static struct outcome fly(struct bed *bed, uint32_t num, void (*meanwhile)(struct bed *, uint32_t))
{
	static uint64_t left_at[8192];
	struct outcome o = {0};
	uint32_t last = 0, tag;

	for (uint32_t i = 1; i <= num + 200; i++) {
		bed->now += NS_PER_MS / 2;
		if (meanwhile)
			meanwhile(bed, i);
		if (i <= num) {
			left_at[i] = bed->now;
			bed_send(&bed->a, inner, bed_udp4(inner, true, 1, 2, i, 40));
			bed_turn_one(bed, &bed->a);
			depart(bed);
		}
		arrive(bed);
		while ((tag = next_is(bed)) != 0) {
			const uint64_t took = bed->now - left_at[tag];

			o.longest_ns = took > o.longest_ns ? took : o.longest_ns;
			o.reordered += tag < last;
			last = tag > last ? tag : last;
			o.num++;
		}
	}
	return o;
}

static void begin_flight(struct bed *bed, enum sa_mode mode, bool in_turn, uint64_t one,
			 uint64_t two, uint32_t one_of)
{
	air.num = air.lost = 0;
	air.delay[1] = one;
	air.delay[2] = two;
	air.one_of = one_of;
	rng_seeded_init(&air.rng, 7);
	bed_init(bed,
		 &(struct bed_options){.open_wire = true, .num_packets = 1024, .num_frames = 1024});
	bed_pair(bed, 1, mode == SA_TRANSPORT ? wide_transport : wide);
	for (uint16_t k = 1; k <= 2; k++) {
		add(bed, &bed->a, k);
		add(bed, &bed->b, k);
	}
	if (in_turn)
		CU_ASSERT_EQUAL_FATAL(
			dataplane_child_resequence(bed->b.dp, 1, 1024, 80 * NS_PER_MS, false),
			ERR_OK);
}

static void spray_in_order(enum sa_mode mode)
{
	for (int in_turn = 0; in_turn < 2; in_turn++) {
		struct outcome o;
		struct bed bed;

		begin_flight(&bed, mode, in_turn, 5 * NS_PER_MS, 60 * NS_PER_MS, 0);
		CU_ASSERT_EQUAL(dataplane_path_schedule(bed.a.dp, bed.a.pathset, SCHEDULE_SPRAY),
				ERR_OK);
		o = fly(&bed, 4000, NULL);
		tap_diag("in turn %d: %u came, %u behind a later one, at most %llu ms", in_turn,
			 o.num, o.reordered, (unsigned long long)(o.longest_ns / NS_PER_MS));
		CU_ASSERT_EQUAL(o.num, 4000);
		CU_ASSERT(in_turn ? o.reordered <= 60 : o.reordered > 1500);
		CU_ASSERT(o.longest_ns <= 61 * NS_PER_MS);
		bed_fini(&bed);
	}
}

/* M7: sprayed over 5 and 60 ms: in order but for the very first, which come before the longer path
 * is known to be one. Without it half of them are not. */
static void test_M7_spray_in_order(void)
{
	spray_in_order(SA_TUNNEL);
	spray_in_order(SA_TRANSPORT);
}

static void spray_with_losses(enum sa_mode mode)
{
	struct outcome o;
	struct bed bed;

	begin_flight(&bed, mode, true, 5 * NS_PER_MS, 30 * NS_PER_MS, 50);
	CU_ASSERT_EQUAL(dataplane_path_schedule(bed.a.dp, bed.a.pathset, SCHEDULE_SPRAY), ERR_OK);
	o = fly(&bed, 4000, NULL);
	tap_diag("%u came, %u lost, %u behind a later one, at most %llu ms", o.num, air.lost,
		 o.reordered, (unsigned long long)(o.longest_ns / NS_PER_MS));
	CU_ASSERT(air.lost > 40);
	CU_ASSERT_EQUAL(o.num, 4000 - air.lost);
	CU_ASSERT(o.reordered <= 30);
	CU_ASSERT(o.longest_ns <= (30 + 80 + 2) * NS_PER_MS);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), bed_dropped(&bed.b, DROP_REPLAY));
	bed_fini(&bed);
}

/* M7: with losses and copies as well: what was not lost comes, once, and no later than the bound.
 */
static void test_M7_spray_with_losses(void)
{
	spray_with_losses(SA_TUNNEL);
	spray_with_losses(SA_TRANSPORT);
}

/* change_path - every 100 packets the other path is the one that is used. */
static void change_path(struct bed *bed, uint32_t i)
{
	struct path_params p = {.id = 2, .port = bed->a.outer, .weight = 1, .usable = true};

	if (i % 100)
		return;
	p.addr = addr_of(bed, &bed->a, 2);
	p.priority = i / 100 % 2 ? 0 : 9;
	CU_ASSERT_EQUAL(dataplane_path_put(bed->a.dp, bed->a.pathset, &p), ERR_OK);
	p.id = 1;
	p.addr = addr_of(bed, &bed->a, 1);
	p.priority = 5;
	CU_ASSERT_EQUAL(dataplane_path_put(bed->a.dp, bed->a.pathset, &p), ERR_OK);
}

static void hand_over(enum sa_mode mode)
{
	struct outcome o;
	struct bed bed;

	begin_flight(&bed, mode, true, 25 * NS_PER_MS, 5 * NS_PER_MS, 0);
	o = fly(&bed, 4000, change_path);
	CU_ASSERT_EQUAL(o.num, 4000);
	CU_ASSERT_EQUAL(o.reordered, 0);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

/* M3: a soft handover to a shorter path and back, 40 times: none lost, none twice, and none behind
 * a later one. */
static void test_M3_handover_in_order(void)
{
	hand_over(SA_TUNNEL);
	hand_over(SA_TRANSPORT);
}

/* SAs come and go while workers run and packets wait: nothing leaks, and nobody reads what is gone
 * (with the sanitizers that is the test). */
static void test_sas_go_under_traffic(void)
{
	const uint64_t end = clock_now_ns() + 60 * NS_PER_S;
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.num_packets = 1024});
	bed.threaded = true;
	for (uint16_t k = 1; k <= 2; k++) {
		add(&bed, &bed.a, k);
		add(&bed, &bed.b, k);
	}
	CU_ASSERT_EQUAL(dataplane_path_schedule(bed.a.dp, bed.a.pathset, SCHEDULE_SPRAY), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.a.dp), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.b.dp), ERR_OK);
	for (uint64_t id = 1; id < 150; id++) {
		uint32_t num = 0;

		bed_pair(&bed, id, wide);
		CU_ASSERT_EQUAL(dataplane_child_resequence(bed.b.dp, id, 256, 5 * NS_PER_MS, false),
				ERR_OK);
		for (uint32_t i = 0; i < 40; i++)
			bed_send(&bed.a, inner, bed_udp4(inner, true, 1, 2, i, 40));
		while (num < 5 + id % 30 && clock_now_ns() < end)
			num += bed_receive(&bed.b, got) != 0;
		dataplane_child_remove(bed.b.dp, id, CHILD_BOTH);
		dataplane_child_remove(bed.a.dp, id, CHILD_BOTH);
		dataplane_reclaim(bed.a.dp);
		dataplane_reclaim(bed.b.dp);
		while (bed_receive(&bed.b, got))
			;
	}
	CU_ASSERT(clock_now_ns() < end);
	dataplane_stop(bed.a.dp);
	dataplane_stop(bed.b.dp);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M7_waits_for_the_other_path),
	TAP_TEST(test_M7_as_late_as_others),
	TAP_TEST(test_M7_lost_is_not_waited_for),
	TAP_TEST(test_M7_time_is_bounded),
	TAP_TEST(test_M6_silent_path),
	TAP_TEST(test_S63_depth),
	TAP_TEST(test_S63_buffers),
	TAP_TEST(test_many_at_once),
	TAP_TEST(test_wrap),
	TAP_TEST(test_M16_copies),
	TAP_TEST(test_M16_copies_without_a_window),
	TAP_TEST(test_probes_do_not_wait),
	TAP_TEST(test_M2_sa_goes),
	TAP_TEST(test_refused),
	TAP_TEST(test_M7_spray_in_order),
	TAP_TEST(test_M7_spray_with_losses),
	TAP_TEST(test_M3_handover_in_order),
	TAP_TEST(test_M3_turns),
	TAP_TEST(test_M4_turn_after_silence),
	TAP_TEST(test_M3_turns_end),
	TAP_TEST(test_sas_go_under_traffic),
};

TAP_MAIN("dataplane/resequence", tests)
