/* SPDX-License-Identifier: Apache-2.0 */
/* Data paths that probe the paths between them (wires.h). */
#include "dataplane/sa.h"
#include "tests/dataplane/wires.h"
#include "tests/tap/tap.h"

static uint8_t buf[BED_MAX_PACKET];

static void asked_first(void)
{
	struct path_quality q;
	struct path_info info;

	wires_begin(true);
	wires_both(1, 1, true);
	wires_both(2, 0, false);
	wires_run(9);
	CU_ASSERT_EQUAL(wires.told[0][2].usable, 0);
	wires_run(10);
	CU_ASSERT_EQUAL(wires.told[0][2].usable, 1);
	CU_ASSERT_EQUAL(wires.told[1][2].usable, 1);
	wires.a_sends = 1;
	wires_run(100);
	CU_ASSERT_EQUAL(dataplane_path_info(wires.bed.a.dp, &info, wires.bed.a.pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(info.usable && info.active && info.tx_packets >= 100);
	CU_ASSERT_EQUAL(dataplane_path_quality(wires.bed.a.dp, &q, wires.bed.a.pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(q.rtt_ns >= 10 * NS_PER_MS && q.rtt_ns <= 12 * NS_PER_MS);
	/* B knows that A uses it. */
	CU_ASSERT_EQUAL(dataplane_path_quality(wires.bed.b.dp, &q, wires.bed.b.pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(q.used_by_peer);
	CU_ASSERT_EQUAL(dataplane_path_take(wires.bed.a.dp, wires.bed.a.pathset, 2), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_path_quality(wires.bed.a.dp, &q, wires.bed.a.pathset, 2),
			ERR_NOT_FOUND);
	bed_fini(&wires.bed);
}

/* M1: a path is used when it has answered, at either side, and not before. */
static void test_M1_asked_first(void)
{
	wires_in_both(asked_first);
}

static void hole_under_payload(void)
{
	wires_begin(true);
	wires_both(1, 0, true);
	wires_both(2, 1, false);
	wires.a_sends = 1;
	wires_run(1000);
	CU_ASSERT_EQUAL(wires.told[0][1].lost, 0);
	uint64_t before = wires.sent - wires.received, at = wires.bed.now;

	wires.wire[1].black = true;
	wires_run(200);
	CU_ASSERT_EQUAL(wires.told[0][1].lost, 1);
	CU_ASSERT_TRUE(wires.told[0][1].at_ns - at <= 100 * NS_PER_MS);
	CU_ASSERT_TRUE(wires.sent - wires.received <= before + 100);
	/* Nobody switched it off and on again: it comes back by itself. */
	wires.wire[1].black = false;
	wires_run(6000);
	CU_ASSERT_EQUAL(wires.told[0][1].usable, 1);
	CU_ASSERT_EQUAL(wires.told[0][2].lost, 0);
	bed_fini(&wires.bed);
}

/* M6: what leaves by a path that has become a black hole goes by the other one soon. */
static void test_M6_hole_under_payload(void)
{
	wires_in_both(hole_under_payload);
}

static void another_mapping(void)
{
	struct path_info info;

	wires_begin(true);
	wires_both(1, 0, true);
	wires_both(2, 1, false);
	wires.a_sends = wires.b_sends = 1;
	wires_run(500);
	wires.wire[1].nat_port = 40000;
	for (uint32_t i = 0; i < 100 && !wires.told[1][1].moved; i++) {
		wires_run(1);
		CU_ASSERT_TRUE(wires.told[1][1].moved || wires.payload_to_nat == 0);
	}
	CU_ASSERT_EQUAL(wires.told[1][1].moved, 1);
	CU_ASSERT_TRUE(wires.to_nat[1] >= 2 && wires.to_nat[1] <= 2 + 3);
	wires_run(500);
	CU_ASSERT_EQUAL(dataplane_path_info(wires.bed.b.dp, &info, wires.bed.b.pathset, 1), ERR_OK);
	CU_ASSERT_EQUAL(info.addr.remote.port, 40000);
	CU_ASSERT_TRUE(info.usable);
	CU_ASSERT_TRUE(wires.payload_to_nat >= 400);
	CU_ASSERT_EQUAL(wires.told[0][1].lost + wires.told[0][1].moved, 0);
	struct path_info list[PATHS_MAX];

	CU_ASSERT_EQUAL(dataplane_path_list(wires.bed.b.dp, list, wires.bed.b.pathset), 2);
	CU_ASSERT_EQUAL(dataplane_path_info(wires.bed.b.dp, &info, wires.bed.b.pathset, 0x8001),
			ERR_NOT_FOUND); /* the place where it was asked is free again */
	bed_fini(&wires.bed);
}

/* M12: a translator maps a path anew: it is found there, no payload having gone there before it
 * answered; the other side notices nothing. */
static void test_M12_another_mapping(void)
{
	wires_in_both(another_mapping);
}

/* An address that the peer told is sent three messages, and no payload, as long as it is silent. */
static void test_S57_told_address(void)
{
	struct path_info info;

	wires_begin(true);
	wires_both(1, 1, true);
	wires.wire[2].black = true;
	wires_put(&wires.bed.b, 2, 0, false);
	wires_probe(&wires.bed.b, 2, true);
	wires.b_sends = 1;
	wires_run(20000);
	CU_ASSERT_EQUAL(dataplane_path_info(wires.bed.b.dp, &info, wires.bed.b.pathset, 2), ERR_OK);
	CU_ASSERT_EQUAL(info.tx_packets, 3);
	CU_ASSERT_FALSE(info.usable);
	/* Whatever is said of the path: whether it carries is not for that to say. */
	wires_put(&wires.bed.b, 2, 0, true);
	wires_run(100);
	CU_ASSERT_EQUAL(dataplane_path_info(wires.bed.b.dp, &info, wires.bed.b.pathset, 2), ERR_OK);
	CU_ASSERT_FALSE(info.usable);
	bed_fini(&wires.bed);
}

static bool is_usable(struct side *s, uint16_t k)
{
	struct path_info info;

	CU_ASSERT_EQUAL(dataplane_path_info(s->dp, &info, s->pathset, k), ERR_OK);
	return info.usable;
}

/* back - A's path k was there and is gone since; B says that it is there again, and then that the
 * one in use, whose number is `old`, is gone. Returns whether A sends by it before it has answered.
 */
static bool back(uint16_t k, uint16_t old)
{
	struct side *a = &wires.bed.a;

	wires_put(a, k, 0, false);
	wires_probe(a, k, true);
	CU_ASSERT_FALSE(is_usable(a, k)); /* there is another one */
	CU_ASSERT_EQUAL(dataplane_path_take(a->dp, a->pathset, old), ERR_OK);
	return is_usable(a, k);
}

/* M4: who comes back to where it answered lately is sent payload before it has answered again, if
 * there is nothing else; nobody else is, and it is believed once. */
static void test_M4_lately(void)
{
	struct side *a = &wires.bed.a;

	wires_begin(true);
	wires_both(1, 0, true);
	wires_both(2, 1, false);
	wires.a_sends = 1;
	wires_run(100);
	CU_ASSERT_EQUAL(dataplane_path_take(a->dp, a->pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(back(2, 1));
	wires_run(1000);
	CU_ASSERT_EQUAL(wires.told[0][2].lost, 0);

	wires.wire[1].black = true;
	CU_ASSERT_TRUE(back(1, 2)); /* somebody else is there now */
	wires_run(300);
	CU_ASSERT_FALSE(is_usable(a, 1));
	wires_put(a, 2, 0, true);
	CU_ASSERT_EQUAL(dataplane_path_take(a->dp, a->pathset, 1), ERR_OK);
	CU_ASSERT_FALSE(back(1, 2));

	wires.wire[1].black = false;
	wires_put(a, 2, 0, true);
	CU_ASSERT_FALSE(back(3, 2)); /* it never answered */
	bed_fini(&wires.bed);

	wires_begin(true);
	wires_both(1, 0, true);
	wires_both(2, 1, false);
	wires_run(100);
	CU_ASSERT_EQUAL(dataplane_path_take(a->dp, a->pathset, 2), ERR_OK);
	wires.bed.now += 61 * NS_PER_S; /* that was not lately */
	wires_run(1);
	CU_ASSERT_FALSE(back(2, 1));
	bed_fini(&wires.bed);
}

/* Messages go by the pair in use; without one nothing is asked, and no path fails of it. */
static void test_pairs_come_and_go(void)
{
	wires_begin(false);
	wires_both(1, 0, true);
	wires_both(2, 0, false);
	wires_run(1000);
	CU_ASSERT_EQUAL(wires.told[0][2].usable + wires.told[0][1].lost, 0);
	bed_pair(&wires.bed, 1, wires_pair);
	wires_run(50);
	CU_ASSERT_EQUAL(wires.told[0][2].usable, 1);
	bed_pair(&wires.bed, 2, wires_pair);
	dataplane_child_remove(wires.bed.a.dp, 1, CHILD_BOTH);
	dataplane_child_remove(wires.bed.b.dp, 1, CHILD_BOTH);
	wires.a_sends = 1;
	wires_run(2000);
	CU_ASSERT_EQUAL(wires.told[0][1].lost + wires.told[0][2].lost, 0);
	dataplane_child_remove(wires.bed.a.dp, 2, CHILD_BOTH);
	dataplane_child_remove(wires.bed.b.dp, 2, CHILD_BOTH);
	wires.a_sends = 0;
	wires_run(2000);
	CU_ASSERT_EQUAL(wires.told[0][1].lost + wires.told[0][2].lost, 0);
	bed_fini(&wires.bed);
}

static uint64_t later_by_3_ms(void)
{
	return wires.bed.now + 3 * NS_PER_MS;
}

/* M7: a message about a path arrives when the clock says, not when the worker's turn began: a turn
 * may have begun long before. */
static void test_M7_time_of_arrival(void)
{
	struct path_quality q;

	wires_begin(true);
	for (uint32_t i = 0; i < wires.bed.a.dp->num_workers; i++)
		wires.bed.a.dp->workers[i]->clock = later_by_3_ms;
	wires_both(1, 0, true);
	wires_run(1000);
	CU_ASSERT_EQUAL(dataplane_path_quality(wires.bed.a.dp, &q, wires.bed.a.pathset, 1), ERR_OK);
	CU_ASSERT_TRUE(q.rtt_ns >= 13 * NS_PER_MS && q.rtt_ns <= 15 * NS_PER_MS);
	bed_fini(&wires.bed);
}

static void weights_follow(void)
{
	struct path_info before, after;
	struct side *a;
	uint64_t lost;

	wires_begin(true);
	a = &wires.bed.a;
	wires_both(1, 0, true);
	wires_both(2, 0, false);
	CU_ASSERT_EQUAL(dataplane_path_schedule(a->dp, a->pathset, SCHEDULE_SPRAY), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_window(wires.bed.b.dp, 1, 4096), ERR_OK);
	wires.wire[1].per_step = 8;
	wires.wire[2].per_step = 2;
	wires.a_sends = 8;
	wires_run(10000);
	lost = wires.sent - wires.received;
	CU_ASSERT_EQUAL(dataplane_path_info(a->dp, &before, a->pathset, 2), ERR_OK);
	wires_run(5000);
	CU_ASSERT_EQUAL(dataplane_path_info(a->dp, &after, a->pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(wires.sent - wires.received < lost + 40000 / 50); /* some were under way */
	CU_ASSERT_TRUE(after.tx_packets - before.tx_packets > 40000 / 20);
	bed_fini(&wires.bed);
}

/* M7: packets are sprayed as paths were seen to take them: of 8,000 a second, over paths that take
 * 8,000 and 2,000, hardly any is lost, where a quarter would be by equal parts. */
static void test_M7_weights_follow(void)
{
	wires_in_both(weights_follow);
}

/* M7: where all paths have more than they take the queues before them become level, so that none
 * overflows before the others do. */
static void test_M7_queues_level(void)
{
	struct side *a;

	wires_begin(true);
	a = &wires.bed.a;
	wires_both(1, 0, true);
	wires_both(2, 0, false);
	CU_ASSERT_EQUAL(dataplane_path_schedule(a->dp, a->pathset, SCHEDULE_SPRAY), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_window(wires.bed.b.dp, 1, 4096), ERR_OK);
	wires.queue_steps = 200;
	wires.wire[1].per_step = wires.wire[2].per_step = 4;
	wires.a_sends = 8; /* messages come on top of that */
	wires_run(500);
	wires.wire[1].waiting += 12 * 4;
	wires_run(2000);
	int32_t more = (int32_t)wires.wire[1].waiting - (int32_t)wires.wire[2].waiting;

	CU_ASSERT_TRUE(more > -4 * 4 && more < 4 * 4);
	CU_ASSERT_TRUE(wires.wire[1].waiting + wires.wire[2].waiting > 12 * 4);
	CU_ASSERT_EQUAL(wires.told[0][1].lost + wires.told[0][2].lost, 0);
	bed_fini(&wires.bed);
}

/* num_by - packets that A sent by path k. */
static uint64_t num_by(uint16_t k)
{
	struct path_info info;

	CU_ASSERT_EQUAL(dataplane_path_info(wires.bed.a.dp, &info, wires.bed.a.pathset, k), ERR_OK);
	return info.tx_packets;
}

static void quickest_path(void)
{
	struct side *a;
	uint64_t first, second;

	wires_begin(true);
	a = &wires.bed.a;
	wires.wire[1].delay_ms = 30;
	wires_both(1, 0, true);
	wires_both(2, 0, false);
	CU_ASSERT_EQUAL(dataplane_path_schedule(a->dp, a->pathset, SCHEDULE_SPRAY), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_window(wires.bed.a.dp, 1, 4096), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_window(wires.bed.b.dp, 1, 4096), ERR_OK);
	wires.a_sends = 1;
	wires_run(1000);
	CU_ASSERT_TRUE(num_by(1) > 200 && num_by(2) > 200); /* nothing is received */
	wires.b_sends = 12;
	wires_run(500);
	first = num_by(1);
	second = num_by(2);
	wires_run(1000);
	CU_ASSERT_TRUE(num_by(1) - first < 100); /* messages */
	CU_ASSERT_TRUE(num_by(2) - second >= 1000);
	/* It swallows all: the other one has what it had. */
	wires.wire[2].black = true;
	wires_run(200);
	first = num_by(1);
	wires_run(500);
	CU_ASSERT_TRUE(num_by(1) - first >= 500);
	wires.wire[2].black = false;
	wires_run(6000);
	CU_ASSERT_EQUAL(wires.told[0][2].lost, 1);
	CU_ASSERT_EQUAL(wires.told[0][1].lost, 0);
	/* An upload. */
	wires.b_sends = 0;
	wires.a_sends = 8;
	wires_run(500);
	first = num_by(1);
	second = num_by(2);
	wires_run(1000);
	CU_ASSERT_TRUE(num_by(1) - first > 2000 && num_by(2) - second > 2000);
	bed_fini(&wires.bed);
}

/* M7: a side that receives sends what little it does by the quickest path, as long as that
 * answers; one that sends by all. */
static void test_M7_quickest_path(void)
{
	wires_in_both(quickest_path);
}

/* What is no message is counted, and harms nobody. */
static void test_no_message(void)
{
	struct dataplane_stats stats;

	wires_begin(true);
	wires_both(1, 0, true);
	wires_both(2, 0, false);
	wires_run(50);
	memset(buf, 7, 96);
	CU_ASSERT_EQUAL(dataplane_probe_send(wires.bed.a.dp, 1, 1, buf, 96), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_probe_send(wires.bed.a.dp, 1, 2, buf, 5), ERR_OK);
	wires_run(50);
	dataplane_stats(wires.bed.b.dp, &stats);
	CU_ASSERT_EQUAL(stats.probes_refused, 2);
	CU_ASSERT_EQUAL(wires.told[0][1].lost + wires.told[1][1].lost, 0);
	bed_fini(&wires.bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M1_asked_first),      TAP_TEST(test_M6_hole_under_payload),
	TAP_TEST(test_M12_another_mapping), TAP_TEST(test_S57_told_address),
	TAP_TEST(test_pairs_come_and_go),   TAP_TEST(test_M7_time_of_arrival),
	TAP_TEST(test_M7_weights_follow),   TAP_TEST(test_M7_queues_level),
	TAP_TEST(test_M7_quickest_path),    TAP_TEST(test_no_message),
	TAP_TEST(test_M4_lately),
};

TAP_MAIN("dataplane/probing", tests)
