/* SPDX-License-Identifier: Apache-2.0 */
/* Workers in threads of their own while the control thread re-keys, changes policies, moves paths
 * and grows windows: no packet is lost. Built with ThreadSanitizer this is also the race test. */
#include <time.h>

#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define NUM_PACKETS 6000 /* in each direction */
#define IN_FLIGHT   64
#define REKEY_EVERY 300
#define TIME_OUT_NS (60 * NS_PER_S)

/* struct lane - one direction, as the test sees it. */
struct lane {
	struct side *from, *to;
	uint32_t sent, got;
	uint32_t wrong;
};

static void not_active(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->outbound_active = false;
}

static void pump(struct lane *l)
{
	uint8_t buf[BED_MAX_PACKET];
	bool a_to_b = l->from->local4.lo.b[1] == 1;
	size_t n;

	for (int i = 0; i < 16 && l->sent < NUM_PACKETS && l->sent - l->got < IN_FLIGHT; i++) {
		n = bed_udp4(buf, a_to_b, (uint16_t)(l->sent % 7), 9, l->sent, 40 + l->sent % 100);
		bed_send(l->from, buf, n);
		l->sent++;
	}
	while ((n = bed_receive(l->to, buf)) != 0) {
		l->wrong += load_be32(buf + 28) != l->got;
		l->got++;
	}
}

/* struct rekeying - pair `newest` is in use; what was sent before is remembered, so that an old
 * pair goes only when nothing of it can be on its way. */
struct rekeying {
	uint64_t newest;
	uint32_t sent_ab, sent_ba; /* when newest became active */
};

static void rekey(struct bed *bed, struct rekeying *r, const struct lane *ab, const struct lane *ba)
{
	if (r->newest > 1) {
		dataplane_child_remove(bed->a.dp, r->newest - 1, CHILD_BOTH);
		dataplane_child_remove(bed->b.dp, r->newest - 1, CHILD_BOTH);
	}
	r->newest++;
	bed_pair(bed, r->newest, not_active);
	CU_ASSERT_EQUAL(dataplane_child_activate(bed->a.dp, r->newest), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_activate(bed->b.dp, r->newest), ERR_OK);
	r->sent_ab = ab->sent;
	r->sent_ba = ba->sent;
	CU_ASSERT_EQUAL(dataplane_child_window(bed->b.dp, r->newest, 1024), ERR_OK);
}

/* disturb - changes that must not touch the traffic. */
static void disturb(struct bed *bed, uint32_t turn, uint32_t *ike_sent)
{
	struct policy_params p = {.layer = POLICY_LATCH,
				  .action = POLICY_DISCARD,
				  .num_local = 1,
				  .num_remote = 1,
				  .local = &bed->a.local4,
				  .remote = &bed->a.local4};
	const uint8_t ike[28] = {(uint8_t)turn}; /* a header */
	struct dataplane_stats st;
	struct child_stats cs;
	uint32_t id = 0;

	switch (turn % 4) {
	case 0:
		CU_ASSERT_EQUAL(dataplane_policy_add(bed->a.dp, &id, &p), ERR_OK);
		dataplane_policy_remove(bed->a.dp, id);
		break;
	case 1:
		CU_ASSERT_EQUAL(dataplane_pathset_move(bed->a.dp, bed->a.pathset, bed->a.outer,
						       &bed->a.path),
				ERR_OK);
		break;
	case 2:
		dataplane_stats(bed->b.dp, &st);
		if (dataplane_child_stats(bed->b.dp, &cs, 1) == ERR_OK)
			CU_ASSERT_NOT_EQUAL(cs.token, 0);
		break;
	default:
		CU_ASSERT_EQUAL(dataplane_ike_send(bed->a.dp, bed->a.outer, &bed->a.path, ike,
						   sizeof(ike), false),
				ERR_OK);
		(*ike_sent)++;
		break;
	}
}

static void tell_drops(const struct side *s)
{
	CU_ASSERT_EQUAL(bed_drops(s), 0);
	for (int i = 0; i < DROP_NUM; i++) {
		if (bed_dropped(s, (enum drop_reason)i))
			tap_diag("%s: %llu", drop_name((enum drop_reason)i),
				 (unsigned long long)bed_dropped(s, (enum drop_reason)i));
	}
}

static void test_rekey_under_traffic(void)
{
	struct bed bed;
	struct rekeying r = {.newest = 1};
	uint64_t end = clock_now_ns() + TIME_OUT_NS;
	uint32_t ike = 0, ike_sent = 0, turn = 0;

	bed_init(&bed, NULL);
	bed.threaded = true;
	bed_pair(&bed, 1, NULL);
	struct lane ab = {.from = &bed.a, .to = &bed.b}, ba = {.from = &bed.b, .to = &bed.a};

	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.a.dp), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.b.dp), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_start(bed.b.dp), ERR_BAD_STATE);
	while ((ab.got < NUM_PACKETS || ba.got < NUM_PACKETS) && clock_now_ns() < end) {
		pump(&ab);
		pump(&ba);
		if (ab.sent - r.sent_ab > REKEY_EVERY && ab.got >= r.sent_ab && ba.got >= r.sent_ba)
			rekey(&bed, &r, &ab, &ba);
		if (turn % 16 == 0 && ike_sent - ike < 8)
			disturb(&bed, turn / 16, &ike_sent);
		turn++;
		ike += bed_events(&bed.b, DP_EVENT_IKE);
		dataplane_reclaim(bed.a.dp);
		dataplane_reclaim(bed.b.dp);
	}
	dataplane_stop(bed.a.dp);
	dataplane_stop(bed.b.dp);
	bed_balance(&bed.a);
	bed_balance(&bed.b);
	CU_ASSERT_EQUAL(ab.got, NUM_PACKETS);
	CU_ASSERT_EQUAL(ba.got, NUM_PACKETS);
	CU_ASSERT_EQUAL(ab.wrong + ba.wrong, 0); /* in order, each once */
	tell_drops(&bed.a);
	tell_drops(&bed.b);
	CU_ASSERT(r.newest >= 10);
	CU_ASSERT(ike > 0);
	tap_diag("%llu pairs, %u turns, %u IKE datagrams", (unsigned long long)r.newest, turn, ike);
	bed_fini(&bed);
}

/* Packets that wait while the worker sleeps are sent when the SA comes: it is woken. */
static void test_worker_is_woken(void)
{
	uint8_t buf[BED_MAX_PACKET];
	uint64_t end = clock_now_ns() + 10 * NS_PER_S;
	struct dp_event ev;
	struct bed bed;
	bool asked = false, got = false;

	/* They may wait so long that no timer comes to help. */
	bed_init(&bed, &(struct bed_options){.hold_ns = 3600 * NS_PER_S});
	bed.threaded = true;
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.a.dp), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.b.dp), ERR_OK);
	bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 2, 3, 4));
	while (!asked && clock_now_ns() < end)
		asked = bed_event(&bed.a, &ev) && ev.kind == DP_EVENT_ACQUIRE;
	CU_ASSERT(asked);
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	bed_pair(&bed, 1, NULL);
	while (!got && clock_now_ns() < end)
		got = bed_receive(&bed.b, buf) != 0;
	CU_ASSERT(got);
	dataplane_stop(bed.a.dp);
	dataplane_stop(bed.b.dp);
	bed_fini(&bed);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Idle workers sleep: in 300 ms all threads together use next to nothing. */
static void test_idle_costs_nothing(void)
{
	struct bed bed;
	uint64_t before, used;

	bed_init(&bed, NULL);
	bed.threaded = true;
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.a.dp), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.b.dp), ERR_OK);
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	before = cpu_ns();
	nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
	used = cpu_ns() - before;
	CU_ASSERT(used < 5 * NS_PER_MS);
	tap_diag("%llu us of processor time in 300 ms", (unsigned long long)(used / NS_PER_US));
	dataplane_stop(bed.a.dp);
	dataplane_stop(bed.b.dp);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_rekey_under_traffic),
	TAP_TEST(test_worker_is_woken),
	TAP_TEST(test_idle_costs_nothing),
};

TAP_MAIN("dataplane/threads", tests)
