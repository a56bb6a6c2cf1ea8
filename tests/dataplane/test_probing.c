/* SPDX-License-Identifier: Apache-2.0 */
/* Two data paths that probe the paths between them, with payload on the way, in steps of a
 * millisecond. Path k of a test is B's port 4499 + k. */
#include "dataplane/sa.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define PATHS       3
#define FLYING_MAX  1024
#define STEP_NS     NS_PER_MS
#define QUEUE_STEPS 20

/* struct wire - of a path, both ways. */
struct wire {
	uint32_t delay_ms;
	uint32_t per_step; /* A's packets at most, and as many that wait; 0: all */
	uint32_t waiting;  /* for the next steps */
	bool black;
	uint16_t nat_port; /* that B sees A's packets come from; 0: as it is */
};

/* struct flying - a datagram on its way. */
struct flying {
	uint64_t at_ns;
	struct side *to;
	struct path_addr from;
	size_t len;
	uint8_t bytes[512];
};

/* struct told - what a side reported of a path. */
struct told {
	uint32_t usable, lost, moved;
	uint64_t at_ns; /* the last one */
};

static struct {
	struct bed bed;
	struct wire wire[PATHS + 1];
	struct flying flying[FLYING_MAX];
	uint32_t num;
	struct told told[2][PATHS + 1]; /* A's, B's */
	uint32_t a_sends, b_sends;      /* payload a step */
	uint32_t queue_steps;           /* that packets of A wait at most */
	uint32_t tag;
	uint64_t sent, received;            /* from A to B */
	uint64_t to_nat[PATHS + 1], astray; /* datagrams of B to the NAT's port, to its old one */
	uint64_t payload_to_nat;
} w;

static uint8_t buf[BED_MAX_PACKET];

static struct path_addr addr_of(const struct side *s, uint16_t k)
{
	struct path_addr a = s->path;

	if (s == &w.bed.a)
		a.remote.port = (uint16_t)(4499 + k);
	else
		a.local.port = (uint16_t)(4499 + k);
	return a;
}

static enum sa_mode mode;

static void tweak(struct child_params *p, bool is_a)
{
	p->mif = true;
	bed_mode(p, is_a, mode);
}

/* in_both - of a test: by pairs in tunnel mode, and in transport mode. */
static void in_both(void (*body)(void))
{
	for (int i = 0; i < 2; i++) {
		mode = i ? SA_TRANSPORT : SA_TUNNEL;
		body();
	}
	mode = SA_TUNNEL;
}

/* set_up - a pair, and path 1 which is used. */
static void set_up(bool pair)
{
	memset(&w, 0, sizeof(w));
	bed_init(&w.bed, &(struct bed_options){.open_wire = true, .num_packets = 1024});
	if (pair)
		bed_pair(&w.bed, 1, tweak);
	w.queue_steps = QUEUE_STEPS;
	for (uint16_t k = 1; k <= PATHS; k++)
		w.wire[k].delay_ms = 5;
}

static void put(struct side *s, uint16_t k, uint8_t priority, bool usable)
{
	const struct path_params p = {.id = k,
				      .port = s->outer,
				      .addr = addr_of(s, k),
				      .priority = priority,
				      .weight = 1,
				      .usable = usable};

	CU_ASSERT_EQUAL_FATAL(dataplane_path_put(s->dp, s->pathset, &p), ERR_OK);
}

static void probe(struct side *s, uint16_t k, bool learned)
{
	CU_ASSERT_EQUAL_FATAL(dataplane_path_probe(s->dp, s->pathset, k, learned, w.bed.now),
			      ERR_OK);
}

/* both - path k at both sides, probed. */
static void both(uint16_t k, uint8_t priority, bool usable)
{
	struct side *sides[] = {&w.bed.a, &w.bed.b};

	for (int i = 0; i < 2; i++) {
		put(sides[i], k, priority, usable);
		probe(sides[i], k, false);
	}
}

/* launch - onto the wire that its addresses name. */
static void launch(struct side *s, const uint8_t *bytes, size_t len, const struct path_addr *to)
{
	const bool is_a = s == &w.bed.a;
	const uint16_t k = (uint16_t)((is_a ? to->remote.port : to->local.port) - 4499);
	struct flying *f = &w.flying[w.num];
	struct wire *wire = &w.wire[k];
	uint64_t late_ns = 0;

	CU_ASSERT_FATAL(k >= 1 && k <= PATHS && w.num < FLYING_MAX && len <= sizeof(f->bytes));
	if (!is_a && wire->nat_port && to->remote.port == wire->nat_port) {
		w.to_nat[k]++;
		w.payload_to_nat += len > 200;
	} else if (!is_a && wire->nat_port) {
		w.astray++;
		return;
	}
	if (wire->black)
		return;
	if (is_a && wire->per_step && wire->waiting >= w.queue_steps * wire->per_step)
		return;
	if (is_a && wire->per_step)
		late_ns = wire->waiting++ / wire->per_step * STEP_NS;
	*f = (struct flying){.at_ns = w.bed.now + wire->delay_ms * NS_PER_MS + late_ns,
			     .to = is_a ? &w.bed.b : &w.bed.a,
			     .len = len};
	memcpy(f->bytes, bytes, len);
	f->from = *to;
	f->from.local = to->remote;
	f->from.remote = to->local;
	if (is_a && wire->nat_port)
		f->from.remote.port = wire->nat_port;
	if (!is_a && wire->nat_port)
		f->from.local.port = w.bed.a.path.local.port;
	w.num++;
}

static void events(struct side *s)
{
	struct told *told = w.told[s == &w.bed.b];
	struct dp_event ev;

	while (dataplane_event_next(s->dp, &ev)) {
		if (ev.kind == DP_EVENT_PATH || ev.kind == DP_EVENT_PATH_MOVED) {
			struct told *t = &told[ev.path_id];

			CU_ASSERT_EQUAL(ev.pathset, s->pathset);
			t->moved += ev.kind == DP_EVENT_PATH_MOVED;
			t->usable += ev.kind == DP_EVENT_PATH && ev.usable;
			t->lost += ev.kind == DP_EVENT_PATH && !ev.usable;
			t->at_ns = w.bed.now;
		}
		dp_event_release(s->dp, &ev);
	}
	(void)dataplane_probe_turn(s->dp, w.bed.now);
}

static void turn(struct side *s)
{
	struct path_addr to;
	size_t len;

	bed_turn_one(&w.bed, s);
	events(s);
	bed_turn_one(&w.bed, s);
	while (memory_take(s->wire, buf, sizeof(buf), &len, &to))
		launch(s, buf, len, &to);
	while (bed_receive(s, buf))
		w.received += s == &w.bed.b;
}

static void arrive(void)
{
	for (uint32_t i = 0; i < w.num;) {
		const struct flying *f = &w.flying[i];

		if (f->at_ns > w.bed.now) {
			i++;
			continue;
		}
		CU_ASSERT_EQUAL(memory_inject(f->to->wire, f->bytes, f->len, &f->from), ERR_OK);
		f->to->injected++;
		w.flying[i] = w.flying[--w.num];
	}
}

static void run_ms(uint32_t ms)
{
	while (ms--) {
		w.bed.now += STEP_NS;
		for (uint16_t k = 1; k <= PATHS; k++) {
			struct wire *wire = &w.wire[k];

			wire->waiting -=
				wire->waiting < wire->per_step ? wire->waiting : wire->per_step;
		}
		for (uint32_t i = 0; i < w.a_sends; i++, w.sent++)
			bed_send(&w.bed.a, buf, bed_udp4(buf, true, 1, 2, w.tag++, 200));
		for (uint32_t i = 0; i < w.b_sends; i++)
			bed_send(&w.bed.b, buf, bed_udp4(buf, false, 2, 1, w.tag++, 200));
		arrive();
		turn(&w.bed.a);
		turn(&w.bed.b);
	}
}

static void asked_first(void)
{
	struct path_quality q;
	struct path_info info;

	set_up(true);
	both(1, 1, true);
	both(2, 0, false);
	run_ms(9);
	CU_ASSERT_EQUAL(w.told[0][2].usable, 0);
	run_ms(10);
	CU_ASSERT_EQUAL(w.told[0][2].usable, 1);
	CU_ASSERT_EQUAL(w.told[1][2].usable, 1);
	w.a_sends = 1;
	run_ms(100);
	CU_ASSERT_EQUAL(dataplane_path_info(w.bed.a.dp, &info, w.bed.a.pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(info.usable && info.active && info.tx_packets >= 100);
	CU_ASSERT_EQUAL(dataplane_path_quality(w.bed.a.dp, &q, w.bed.a.pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(q.rtt_ns >= 10 * NS_PER_MS && q.rtt_ns <= 12 * NS_PER_MS);
	/* B knows that A uses it. */
	CU_ASSERT_EQUAL(dataplane_path_quality(w.bed.b.dp, &q, w.bed.b.pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(q.used_by_peer);
	CU_ASSERT_EQUAL(dataplane_path_take(w.bed.a.dp, w.bed.a.pathset, 2), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_path_quality(w.bed.a.dp, &q, w.bed.a.pathset, 2), ERR_NOT_FOUND);
	bed_fini(&w.bed);
}

/* M1: a path is used when it has answered, at either side, and not before. */
static void test_M1_asked_first(void)
{
	in_both(asked_first);
}

static void hole_under_payload(void)
{
	set_up(true);
	both(1, 0, true);
	both(2, 1, false);
	w.a_sends = 1;
	run_ms(1000);
	CU_ASSERT_EQUAL(w.told[0][1].lost, 0);
	uint64_t before = w.sent - w.received, at = w.bed.now;

	w.wire[1].black = true;
	run_ms(200);
	CU_ASSERT_EQUAL(w.told[0][1].lost, 1);
	CU_ASSERT_TRUE(w.told[0][1].at_ns - at <= 100 * NS_PER_MS);
	CU_ASSERT_TRUE(w.sent - w.received <= before + 100);
	/* Nobody switched it off and on again: it comes back by itself. */
	w.wire[1].black = false;
	run_ms(6000);
	CU_ASSERT_EQUAL(w.told[0][1].usable, 1);
	CU_ASSERT_EQUAL(w.told[0][2].lost, 0);
	bed_fini(&w.bed);
}

/* M6: what leaves by a path that has become a black hole goes by the other one soon. */
static void test_M6_hole_under_payload(void)
{
	in_both(hole_under_payload);
}

static void another_mapping(void)
{
	struct path_info info;

	set_up(true);
	both(1, 0, true);
	both(2, 1, false);
	w.a_sends = w.b_sends = 1;
	run_ms(500);
	w.wire[1].nat_port = 40000;
	for (uint32_t i = 0; i < 100 && !w.told[1][1].moved; i++) {
		run_ms(1);
		CU_ASSERT_TRUE(w.told[1][1].moved || w.payload_to_nat == 0);
	}
	CU_ASSERT_EQUAL(w.told[1][1].moved, 1);
	CU_ASSERT_TRUE(w.to_nat[1] >= 2 && w.to_nat[1] <= 2 + 3);
	run_ms(500);
	CU_ASSERT_EQUAL(dataplane_path_info(w.bed.b.dp, &info, w.bed.b.pathset, 1), ERR_OK);
	CU_ASSERT_EQUAL(info.addr.remote.port, 40000);
	CU_ASSERT_TRUE(info.usable);
	CU_ASSERT_TRUE(w.payload_to_nat >= 400);
	CU_ASSERT_EQUAL(w.told[0][1].lost + w.told[0][1].moved, 0);
	struct path_info list[PATHS_MAX];

	CU_ASSERT_EQUAL(dataplane_path_list(w.bed.b.dp, list, w.bed.b.pathset), 2);
	CU_ASSERT_EQUAL(dataplane_path_info(w.bed.b.dp, &info, w.bed.b.pathset, 0x8001),
			ERR_NOT_FOUND); /* the place where it was asked is free again */
	bed_fini(&w.bed);
}

/* M12: a translator maps a path anew: it is found there, no payload having gone there before it
 * answered; the other side notices nothing. */
static void test_M12_another_mapping(void)
{
	in_both(another_mapping);
}

/* An address that the peer told is sent three messages, and no payload, as long as it is silent. */
static void test_S57_told_address(void)
{
	struct path_info info;

	set_up(true);
	both(1, 1, true);
	w.wire[2].black = true;
	put(&w.bed.b, 2, 0, false);
	probe(&w.bed.b, 2, true);
	w.b_sends = 1;
	run_ms(20000);
	CU_ASSERT_EQUAL(dataplane_path_info(w.bed.b.dp, &info, w.bed.b.pathset, 2), ERR_OK);
	CU_ASSERT_EQUAL(info.tx_packets, 3);
	CU_ASSERT_FALSE(info.usable);
	/* Whatever is said of the path: whether it carries is not for that to say. */
	put(&w.bed.b, 2, 0, true);
	run_ms(100);
	CU_ASSERT_EQUAL(dataplane_path_info(w.bed.b.dp, &info, w.bed.b.pathset, 2), ERR_OK);
	CU_ASSERT_FALSE(info.usable);
	bed_fini(&w.bed);
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
	struct side *a = &w.bed.a;

	put(a, k, 0, false);
	probe(a, k, true);
	CU_ASSERT_FALSE(is_usable(a, k)); /* there is another one */
	CU_ASSERT_EQUAL(dataplane_path_take(a->dp, a->pathset, old), ERR_OK);
	return is_usable(a, k);
}

/* M4: who comes back to where it answered lately is sent payload before it has answered again, if
 * there is nothing else; nobody else is, and it is believed once. */
static void test_M4_lately(void)
{
	struct side *a = &w.bed.a;

	set_up(true);
	both(1, 0, true);
	both(2, 1, false);
	w.a_sends = 1;
	run_ms(100);
	CU_ASSERT_EQUAL(dataplane_path_take(a->dp, a->pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(back(2, 1));
	run_ms(1000);
	CU_ASSERT_EQUAL(w.told[0][2].lost, 0);

	w.wire[1].black = true;
	CU_ASSERT_TRUE(back(1, 2)); /* somebody else is there now */
	run_ms(300);
	CU_ASSERT_FALSE(is_usable(a, 1));
	put(a, 2, 0, true);
	CU_ASSERT_EQUAL(dataplane_path_take(a->dp, a->pathset, 1), ERR_OK);
	CU_ASSERT_FALSE(back(1, 2));

	w.wire[1].black = false;
	put(a, 2, 0, true);
	CU_ASSERT_FALSE(back(3, 2)); /* it never answered */
	bed_fini(&w.bed);

	set_up(true);
	both(1, 0, true);
	both(2, 1, false);
	run_ms(100);
	CU_ASSERT_EQUAL(dataplane_path_take(a->dp, a->pathset, 2), ERR_OK);
	w.bed.now += 61 * NS_PER_S; /* that was not lately */
	run_ms(1);
	CU_ASSERT_FALSE(back(2, 1));
	bed_fini(&w.bed);
}

/* Messages go by the pair in use; without one nothing is asked, and no path fails of it. */
static void test_pairs_come_and_go(void)
{
	set_up(false);
	both(1, 0, true);
	both(2, 0, false);
	run_ms(1000);
	CU_ASSERT_EQUAL(w.told[0][2].usable + w.told[0][1].lost, 0);
	bed_pair(&w.bed, 1, tweak);
	run_ms(50);
	CU_ASSERT_EQUAL(w.told[0][2].usable, 1);
	bed_pair(&w.bed, 2, tweak);
	dataplane_child_remove(w.bed.a.dp, 1, CHILD_BOTH);
	dataplane_child_remove(w.bed.b.dp, 1, CHILD_BOTH);
	w.a_sends = 1;
	run_ms(2000);
	CU_ASSERT_EQUAL(w.told[0][1].lost + w.told[0][2].lost, 0);
	dataplane_child_remove(w.bed.a.dp, 2, CHILD_BOTH);
	dataplane_child_remove(w.bed.b.dp, 2, CHILD_BOTH);
	w.a_sends = 0;
	run_ms(2000);
	CU_ASSERT_EQUAL(w.told[0][1].lost + w.told[0][2].lost, 0);
	bed_fini(&w.bed);
}

static void weights_follow(void)
{
	struct path_info before, after;
	struct side *a;
	uint64_t lost;

	set_up(true);
	a = &w.bed.a;
	both(1, 0, true);
	both(2, 0, false);
	CU_ASSERT_EQUAL(dataplane_path_schedule(a->dp, a->pathset, SCHEDULE_SPRAY), ERR_OK);
	w.wire[1].per_step = 8;
	w.wire[2].per_step = 2;
	w.a_sends = 8;
	run_ms(10000);
	lost = w.sent - w.received;
	CU_ASSERT_EQUAL(dataplane_path_info(a->dp, &before, a->pathset, 2), ERR_OK);
	run_ms(5000);
	CU_ASSERT_EQUAL(dataplane_path_info(a->dp, &after, a->pathset, 2), ERR_OK);
	CU_ASSERT_TRUE(w.sent - w.received - lost < 40000 / 50);
	CU_ASSERT_TRUE(after.tx_packets - before.tx_packets > 40000 / 20);
	bed_fini(&w.bed);
}

/* M7: packets are sprayed as paths were seen to take them: of 8,000 a second, over paths that take
 * 8,000 and 2,000, hardly any is lost, where a quarter would be by equal parts. */
static void test_M7_weights_follow(void)
{
	in_both(weights_follow);
}

/* M7: where all paths have more than they take the queues before them become level, so that none
 * overflows before the others do. */
static void test_M7_queues_level(void)
{
	struct side *a;

	set_up(true);
	a = &w.bed.a;
	both(1, 0, true);
	both(2, 0, false);
	CU_ASSERT_EQUAL(dataplane_path_schedule(a->dp, a->pathset, SCHEDULE_SPRAY), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_window(w.bed.b.dp, 1, 4096), ERR_OK);
	w.queue_steps = 200;
	w.wire[1].per_step = w.wire[2].per_step = 4;
	w.a_sends = 8; /* messages come on top of that */
	run_ms(500);
	w.wire[1].waiting += 12 * 4;
	run_ms(1500);
	int32_t more = (int32_t)w.wire[1].waiting - (int32_t)w.wire[2].waiting;

	CU_ASSERT_TRUE(more > -4 * 4 && more < 4 * 4);
	CU_ASSERT_TRUE(w.wire[1].waiting + w.wire[2].waiting > 12 * 4);
	CU_ASSERT_EQUAL(w.told[0][1].lost + w.told[0][2].lost, 0);
	bed_fini(&w.bed);
}

/* What is no message is counted, and harms nobody. */
static void test_no_message(void)
{
	struct dataplane_stats stats;

	set_up(true);
	both(1, 0, true);
	both(2, 0, false);
	run_ms(50);
	memset(buf, 7, 96);
	CU_ASSERT_EQUAL(dataplane_probe_send(w.bed.a.dp, 1, 1, buf, 96), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_probe_send(w.bed.a.dp, 1, 2, buf, 5), ERR_OK);
	run_ms(50);
	dataplane_stats(w.bed.b.dp, &stats);
	CU_ASSERT_EQUAL(stats.probes_refused, 2);
	CU_ASSERT_EQUAL(w.told[0][1].lost + w.told[1][1].lost, 0);
	bed_fini(&w.bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M1_asked_first),      TAP_TEST(test_M6_hole_under_payload),
	TAP_TEST(test_M12_another_mapping), TAP_TEST(test_S57_told_address),
	TAP_TEST(test_pairs_come_and_go),   TAP_TEST(test_M7_weights_follow),
	TAP_TEST(test_M7_queues_level),     TAP_TEST(test_no_message),
	TAP_TEST(test_M4_lately),
};

TAP_MAIN("dataplane/probing", tests)
