/* SPDX-License-Identifier: Apache-2.0 */
/* Four workers in threads of their own that all receive packets of one SA: it has one writer, and
 * sleepers are woken. */
#include <sched.h>
#include <time.h>

#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define WORKERS     4
#define OWNER       2
#define ROUNDS      60
#define ROUND       40 /* packets of a round, for each worker */
#define TIME_OUT_NS (60 * NS_PER_S)

static const struct bed_options four = {.open_wire = true, .num_workers = WORKERS};

static void own(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->worker = OWNER + 1;
	p->replay_window = 1024;
}

static struct dataplane_stats stats_of(const struct side *s)
{
	struct dataplane_stats st;

	dataplane_stats(s->dp, &st);
	return st;
}

/* wait_for - until the side has sent or dropped so many packets; false: it did not. */
static bool wait_for(const struct side *s, uint64_t num)
{
	uint64_t end = clock_now_ns() + TIME_OUT_NS;

	while (stats_of(s).tx_packets + bed_drops(s) < num) {
		if (clock_now_ns() > end)
			return false;
		sched_yield();
	}
	return true;
}

/* take - the owner's next packet on its way out by one of the test's ends; 0: there is none, after
 * a while. The worker counts it a moment before. */
static size_t take(size_t (*from)(struct side *s, uint32_t worker, uint8_t *buf), struct side *s,
		   uint8_t buf[static BED_MAX_PACKET])
{
	uint64_t end = clock_now_ns() + TIME_OUT_NS;
	size_t n;

	while ((n = from(s, OWNER, buf)) == 0 && clock_now_ns() < end)
		sched_yield();
	return n;
}

static void begin(struct bed *bed, struct side *running)
{
	bed_init(bed, &four);
	bed->threaded = true;
	bed_pair(bed, 1, own);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(running->dp), ERR_OK);
}

/* finish - nobody but the owner has sent anything, and everything is where it was. */
static void finish(struct bed *bed, struct side *running)
{
	struct dataplane_stats st;

	dataplane_stop(running->dp);
	bed_balance(running);
	st = stats_of(running);
	CU_ASSERT_EQUAL(st.handed_off, st.taken);
	for (uint32_t i = 0; i < WORKERS; i++) {
		struct worker *w = running->dp->workers[i];

		CU_ASSERT_EQUAL(w->count.tx != 0, i == OWNER);
		CU_ASSERT_EQUAL(pool_num_free(w->pool), 256);
	}
	bed_fini(bed);
}

/* Each packet comes to all four workers at the same time: one of the four is accepted. */
static void test_S51_one_accept(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .next_header = 4};
	uint64_t accepted = 0;
	struct child_stats cs;
	struct bed bed;

	begin(&bed, &bed.b);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		for (uint32_t i = 0; i < ROUND; i++) {
			size_t n = bed_udp4(inner, true, 1, 2, i, 42);

			e.seq++;
			e.pad_len = bed_pad(n);
			n = bed_seal(&bed, esp, &e, inner, n);
			for (uint32_t w = 0; w < WORKERS; w++)
				bed_deliver_to(&bed.b, w, esp, n);
		}
		CU_ASSERT_FATAL(wait_for(&bed.b, (uint64_t)round * ROUND * WORKERS));
		for (uint32_t i = 0; i < ROUND; i++)
			accepted += take(bed_receive_from, &bed.b, inner) != 0;
		CU_ASSERT_EQUAL(bed_receive_from(&bed.b, OWNER, inner), 0);
	}
	CU_ASSERT_EQUAL(accepted, ROUNDS * ROUND);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), ROUNDS * ROUND * (WORKERS - 1));
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), ROUNDS * ROUND * (WORKERS - 1));
	CU_ASSERT_EQUAL(stats_of(&bed.b).handed_off, ROUNDS * ROUND * (WORKERS - 1));
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.b.dp, &cs, 1), ERR_OK);
	CU_ASSERT_EQUAL(cs.in_packets, ROUNDS * ROUND);
	CU_ASSERT_EQUAL(cs.in_replay, ROUNDS * ROUND * (WORKERS - 1));
	finish(&bed, &bed.b);
}

/* All four workers receive clear packets of one SA: no sequence number, which is the IV, comes
 * twice, and none is left out. */
static void test_S53_one_writer(void)
{
	uint8_t buf[BED_MAX_PACKET];
	uint64_t sent = 0, seq = 0;
	struct bed bed;

	begin(&bed, &bed.a);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		for (uint32_t i = 0; i < ROUND; i++) {
			for (uint32_t w = 0; w < WORKERS; w++, sent++)
				bed_send_to(&bed.a, w, buf,
					    bed_udp4(buf, true, (uint16_t)w, 2, i, 42));
		}
		CU_ASSERT_FATAL(wait_for(&bed.a, sent));
		for (uint32_t i = 0; i < ROUND * WORKERS; i++) {
			CU_ASSERT_NOT_EQUAL_FATAL(take(bed_capture_from, &bed.a, buf), 0);
			CU_ASSERT_EQUAL(load_be32(buf + 4), ++seq);
			CU_ASSERT_EQUAL(load_be64(buf + 8), seq);
		}
	}
	CU_ASSERT_EQUAL(seq, sent);
	CU_ASSERT_EQUAL(stats_of(&bed.a).handed_off, sent / WORKERS * (WORKERS - 1));
	finish(&bed, &bed.a);
}

/* A packet at a time, each when all workers sleep: the owner is woken each time, at once, and
 * without a timer that could help. A second start is as good as the first. */
static void test_sleepers_are_woken(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;

	begin(&bed, &bed.a);
	for (uint64_t i = 1; i <= 40; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		bed_send_to(&bed.a, i % WORKERS, buf, bed_udp4(buf, true, 1, 2, 3, 4));
		CU_ASSERT_FATAL(wait_for(&bed.a, i));
		CU_ASSERT_NOT_EQUAL(take(bed_capture_from, &bed.a, buf), 0);
		if (i == 20) {
			dataplane_stop(bed.a.dp);
			CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.a.dp), ERR_OK);
			CU_ASSERT_EQUAL(dataplane_start(bed.a.dp), ERR_BAD_STATE);
		}
	}
	finish(&bed, &bed.a);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Idle workers sleep, also when they have handed packets over. */
static void test_idle_costs_nothing(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;
	uint64_t before;

	begin(&bed, &bed.a);
	for (uint32_t w = 0; w < WORKERS; w++)
		bed_send_to(&bed.a, w, buf, bed_udp4(buf, true, 1, 2, 3, 4));
	CU_ASSERT_FATAL(wait_for(&bed.a, WORKERS));
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	before = cpu_ns();
	nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
	CU_ASSERT(cpu_ns() - before < 5 * NS_PER_MS);
	finish(&bed, &bed.a);
}

#define LATCHERS 2  /* workers */
#define SHUT     80 /* ports that are, from the beginning */
#define PORTS    200

static struct flow port_flow(uint16_t port)
{
	struct flow f = {.local_port = port, .remote_port = 80, .proto = 17};

	CU_ASSERT_EQUAL(ip_addr_parse(&f.local, "10.1.0.1"), ERR_OK);
	CU_ASSERT_EQUAL(ip_addr_parse(&f.remote, "10.2.0.1"), ERR_OK);
	return f;
}

/* change - what control does to a flow in this round: another class, none, or nothing. */
static void change(struct dataplane *dp, uint32_t round, uint16_t port, uint32_t token)
{
	struct flow f = port_flow(port);

	switch ((round + port) % 3) {
	case 0:
		CU_ASSERT_EQUAL(dataplane_latch_set(dp, &f, 0, token, false), ERR_OK);
		break;
	case 1:
		dataplane_latch_end(dp, &f, 0);
		break;
	default:
		CU_ASSERT_EQUAL(dataplane_latch_set(dp, &f, 0, 0, true), ERR_OK);
	}
}

static void send_all(struct side *a, uint16_t from, uint16_t to, uint32_t tag)
{
	uint8_t buf[BED_MAX_PACKET];

	for (uint16_t port = from; port < to; port++)
		for (uint32_t w = 0; w < LATCHERS; w++)
			bed_send_to(a, w, buf, bed_udp4(buf, true, port, 80, tag, 42));
}

/* drain - what left, so that there is room for more. */
static void drain(struct side *a)
{
	uint8_t buf[BED_MAX_PACKET];

	for (uint32_t w = 0; w < LATCHERS; w++)
		while (bed_capture_from(a, w, buf))
			;
}

/* L1: packets go through two workers while control latches and unlatches their flows, more than the
 * table has places for: of a flow that is shut nothing passes at any time, and in the end each is
 * as it was said last. */
static void test_L1_latches_come_and_go(void)
{
	const struct bed_options options = {
		.open_wire = true, .num_workers = LATCHERS, .num_latches = 64};
	const uint64_t per_round = (PORTS - SHUT / 2) * LATCHERS;
	uint64_t sent = 0, shut = 0, dropped;
	struct child_stats cs;
	struct bed bed;

	bed_init(&bed, &options);
	bed.threaded = true;
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL_FATAL(dataplane_child_stats(bed.a.dp, &cs, 1), ERR_OK);
	for (uint16_t port = 1; port <= SHUT; port++) {
		struct flow f = port_flow(port);

		CU_ASSERT_EQUAL(dataplane_latch_set(bed.a.dp, &f, 0, 0, true), ERR_OK);
	}
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.a.dp), ERR_OK);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		send_all(&bed.a, SHUT / 2 + 1, PORTS + 1, round);
		sent += per_round;
		shut += SHUT / 2 * LATCHERS;
		for (uint16_t port = SHUT + 1; port <= PORTS; port++)
			change(bed.a.dp, round, port, cs.token);
		dataplane_reclaim(bed.a.dp);
		CU_ASSERT_FATAL(wait_for(&bed.a, sent));
		drain(&bed.a);
	}
	dropped = bed_dropped(&bed.a, DROP_LATCH);
	CU_ASSERT(dropped >= shut && dropped < sent);
	for (uint16_t port = SHUT + 1; port <= PORTS; port++)
		change(bed.a.dp, 0, port, cs.token);
	for (uint16_t port = 1; port <= PORTS; port++) {
		bool is_shut = port <= SHUT || port % 3 == 2;

		send_all(&bed.a, port, (uint16_t)(port + 1), 1);
		sent += LATCHERS;
		CU_ASSERT_FATAL(wait_for(&bed.a, sent));
		dropped += is_shut ? LATCHERS : 0;
		CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_LATCH), dropped);
	}
	drain(&bed.a);
	dataplane_stop(bed.a.dp);
	bed_balance(&bed.a);
	CU_ASSERT_EQUAL(bed_drops(&bed.a), dropped);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_L1_latches_come_and_go), TAP_TEST(test_S51_one_accept),
	TAP_TEST(test_S53_one_writer),         TAP_TEST(test_sleepers_are_woken),
	TAP_TEST(test_idle_costs_nothing),
};

TAP_MAIN("dataplane/workers_threads", tests)
