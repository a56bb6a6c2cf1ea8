/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that wait for a security association, and the acquire that asks for one. */
#include "tests/dataplane/testbed.h"

#include "tests/tap/tap.h"

static void send_one(struct bed *bed, uint32_t tag)
{
	uint8_t buf[BED_MAX_PACKET];

	bed_send(&bed->a, buf, bed_udp4(buf, true, 1111, 2222, tag, 20));
	bed_turn_one(bed, &bed->a);
}

static uint64_t held(struct side *s)
{
	struct dataplane_stats st;

	dataplane_stats(s->dp, &st);
	return st.held;
}

static void test_acquire_then_sent_in_order(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct dp_event ev;
	struct bed bed;
	uint32_t got = 0;

	bed_init(&bed, NULL);
	for (uint32_t i = 0; i < 5; i++)
		send_one(&bed, i);
	CU_ASSERT_EQUAL(held(&bed.a), 5);
	CU_ASSERT(bed_event(&bed.a, &ev));
	CU_ASSERT_EQUAL(ev.kind, DP_EVENT_ACQUIRE);
	CU_ASSERT_EQUAL(ev.owner, 77);
	CU_ASSERT_EQUAL(ev.group, bed.a.group);
	CU_ASSERT_EQUAL(ev.flow.local_port, 1111);
	CU_ASSERT_EQUAL(ev.flow.remote_port, 2222);
	CU_ASSERT_EQUAL(ev.flow.proto, 17);
	CU_ASSERT(!bed_event(&bed.a, &ev)); /* once */
	bed_pair(&bed, 1, NULL);
	bed_turn(&bed);
	CU_ASSERT_EQUAL(held(&bed.a), 0);
	while (bed_receive(&bed.b, buf))
		CU_ASSERT_EQUAL(load_be32(buf + 28), got++);
	CU_ASSERT_EQUAL(got, 5);
	bed_fini(&bed);
}

static void test_acquire_repeats_once_a_second(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	for (uint32_t i = 0; i < 9; i++) {
		send_one(&bed, i);
		bed.now += 250 * NS_PER_MS;
	}
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_ACQUIRE), 3); /* at 0, 1 and 2 s */
	bed_fini(&bed);
}

/* A full queue asks on: the first acquire may have come to nothing, and what waits is kept for
 * long. */
static void test_acquire_repeats_while_full(void)
{
	struct events *q;
	uint32_t num_free;
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.hold_packets = 2});
	for (uint32_t i = 0; i < 9; i++) {
		send_one(&bed, i);
		bed.now += 250 * NS_PER_MS;
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HOLD_FULL), 7);
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_ACQUIRE), 3); /* at 0, 1 and 2 s */
	/* Without a record it is asked by the next packet. */
	bed.now += NS_PER_S;
	bed_turn_one(&bed, &bed.a); /* takes the records back */
	q = &bed.a.dp->workers[0]->events;
	num_free = q->num_free;
	q->num_free = 0;
	send_one(&bed, 9);
	q->num_free = num_free;
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_ACQUIRE), 0);
	send_one(&bed, 10);
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_ACQUIRE), 1);
	bed_fini(&bed);
}

/* Another policy's packets have an acquire and a bound of their own. */
static void test_bounded_per_policy(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct policy_params p = {.layer = POLICY_APPLICATION, .action = POLICY_PROTECT};
	struct ts dns;
	struct bed bed;
	uint32_t id;

	bed_init(&bed, &(struct bed_options){.hold_packets = 4});
	for (uint32_t i = 0; i < 10; i++)
		send_one(&bed, i);
	CU_ASSERT_EQUAL(held(&bed.a), 4);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HOLD_FULL), 6);
	CU_ASSERT_EQUAL(ts_parse(&dns, "10.2.0.0/16[udp/53]"), ERR_OK);
	p.group = bed.a.group;
	p.local = &bed.a.local4;
	p.remote = &dns;
	p.num_local = p.num_remote = 1;
	CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_OK);
	bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 53, 0, 20));
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(held(&bed.a), 5);
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_ACQUIRE), 2);
	bed_fini(&bed);
}

static void test_bounded_in_all(void)
{
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.hold_packets = 1000, .num_packets = 64});
	for (uint32_t i = 0; i < 100; i++)
		send_one(&bed, i);
	CU_ASSERT_EQUAL(held(&bed.a), 16); /* a quarter of the buffers */
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HOLD_FULL), 84);
	bed_pair(&bed, 1, NULL);
	bed_turn(&bed);
	CU_ASSERT_EQUAL(held(&bed.a), 0);
	bed_fini(&bed);
}

static void test_expires(void)
{
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.hold_ns = 3 * NS_PER_S});
	send_one(&bed, 0);
	bed.now += 2 * NS_PER_S;
	send_one(&bed, 1);
	CU_ASSERT(dataplane_poll_next(bed.a.dp) <= bed.now + NS_PER_S);
	bed.now += NS_PER_S - 2 * NS_PER_MS;
	bed_turn(&bed);
	CU_ASSERT_EQUAL(held(&bed.a), 2);
	bed.now += 3 * NS_PER_MS;
	bed_turn(&bed);
	CU_ASSERT_EQUAL(held(&bed.a), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HOLD_EXPIRED), 1);
	bed.now += 2 * NS_PER_S;
	bed_turn(&bed);
	CU_ASSERT_EQUAL(held(&bed.a), 0);
	CU_ASSERT_EQUAL(dataplane_poll_next(bed.a.dp), TIME_NEVER); /* nothing ticks */
	bed_fini(&bed);
}

/* A change that does not help them leaves packets waiting, in order, with their deadline. */
static void test_still_waiting_after_a_change(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;
	uint32_t other, got = 0;
	struct policy_params p = {.layer = POLICY_CONFIG, .action = POLICY_DISCARD};

	bed_init(&bed, &(struct bed_options){.hold_ns = 3 * NS_PER_S});
	for (uint32_t i = 0; i < 5; i++)
		send_one(&bed, i);
	p.local = &bed.a.remote4;
	p.remote = &bed.a.remote4;
	p.num_local = p.num_remote = 1;
	for (uint32_t i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &other, &p), ERR_OK);
		bed.now += 100 * NS_PER_MS;
		bed_turn(&bed);
		CU_ASSERT_EQUAL(held(&bed.a), 5);
	}
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_ACQUIRE), 3); /* after 0, 1 and 2 s */
	bed_pair(&bed, 1, NULL);
	bed_turn(&bed);
	while (bed_receive(&bed.b, buf))
		CU_ASSERT_EQUAL(load_be32(buf + 28), got++);
	CU_ASSERT_EQUAL(got, 5);
	bed_fini(&bed);
}

/* Being looked at again and again does not make a packet wait longer. */
static void test_changes_do_not_prolong(void)
{
	struct bed bed;

	bed_init(&bed, &(struct bed_options){.hold_ns = 3 * NS_PER_S});
	send_one(&bed, 0);
	for (int i = 0; i < 29; i++) {
		dataplane_changed(bed.a.dp);
		bed.now += 100 * NS_PER_MS;
		bed_turn(&bed);
		CU_ASSERT_EQUAL(held(&bed.a), 1);
	}
	bed.now += 102 * NS_PER_MS;
	bed_turn(&bed);
	CU_ASSERT_EQUAL(held(&bed.a), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HOLD_EXPIRED), 1);
	bed_fini(&bed);
}

static void test_policy_goes_while_packets_wait(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	for (uint32_t i = 0; i < 5; i++)
		send_one(&bed, i);
	dataplane_policy_remove(bed.a.dp, bed.a.policy);
	dataplane_reclaim(bed.a.dp);
	bed_turn(&bed);
	CU_ASSERT_EQUAL(held(&bed.a), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NO_POLICY), 5);
	bed_fini(&bed);
}

/* The last SA goes: packets wait again, and another acquire is raised. */
static void test_sa_goes(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	send_one(&bed, 0);
	CU_ASSERT_EQUAL(held(&bed.a), 0);
	dataplane_child_remove(bed.a.dp, 1, CHILD_OUT);
	send_one(&bed, 1);
	CU_ASSERT_EQUAL(held(&bed.a), 1);
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_ACQUIRE), 1);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_acquire_then_sent_in_order),
	TAP_TEST(test_acquire_repeats_once_a_second),
	TAP_TEST(test_acquire_repeats_while_full),
	TAP_TEST(test_bounded_per_policy),
	TAP_TEST(test_bounded_in_all),
	TAP_TEST(test_expires),
	TAP_TEST(test_still_waiting_after_a_change),
	TAP_TEST(test_changes_do_not_prolong),
	TAP_TEST(test_policy_goes_while_packets_wait),
	TAP_TEST(test_sa_goes),
};

TAP_MAIN("dataplane/hold", tests)
