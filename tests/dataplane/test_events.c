/* SPDX-License-Identifier: Apache-2.0 */
/* What workers report, IKE in both directions, and lifetimes. */
#include <poll.h>

#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static const struct bed_options open_wire = {.open_wire = true};

static bool readable(struct side *s)
{
	struct pollfd p = {.fd = dataplane_event_fd(s->dp), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* carry - one packet from A to B over the open wire; false if it did not arrive. */
static bool carry(struct bed *bed, size_t payload)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len;

	bed_send(&bed->a, buf, bed_udp4(buf, true, 1, 2, 3, payload));
	bed_turn_one(bed, &bed->a);
	len = bed_capture(&bed->a, buf);
	if (len == 0)
		return false;
	bed_deliver(&bed->b, buf, len);
	bed_turn_one(bed, &bed->b);
	return bed_receive(&bed->b, buf) != 0;
}

static void test_used_once(void)
{
	struct dp_event ev;
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 9, NULL);
	CU_ASSERT(!readable(&bed.b));
	for (int i = 0; i < 5; i++)
		CU_ASSERT(carry(&bed, 10));
	CU_ASSERT(readable(&bed.b));
	CU_ASSERT(bed_event(&bed.b, &ev));
	CU_ASSERT_EQUAL(ev.kind, DP_EVENT_CHILD_USED);
	CU_ASSERT_EQUAL(ev.child, 9);
	CU_ASSERT_EQUAL(ev.time_ns, NS_PER_S);
	CU_ASSERT(!bed_event(&bed.b, &ev));
	CU_ASSERT(!readable(&bed.b));
	bed_fini(&bed);
}

static void packet_limits(struct child_params *p, bool is_a)
{
	if (is_a)
		p->lifetime = (struct sa_lifetime){.soft_packets = 3, .hard_packets = 5};
}

static void test_lifetime_in_packets(void)
{
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, packet_limits);
	for (int i = 1; i <= 8; i++) {
		CU_ASSERT_EQUAL(carry(&bed, 10), i <= 5);
		CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_SOFT), i == 3);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_LIFETIME), 3);
	bed_fini(&bed);
}

/* The end is reported as soon as there is a record for it, even if there was none as it came: the
 * SA sends nothing any more, and nobody would make another one. */
static void test_end_is_reported_later(void)
{
	struct events *q;
	uint32_t num_free;
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, packet_limits);
	q = &bed.a.dp->workers[0]->events;
	num_free = q->num_free;
	q->num_free = 0; /* all are with the control thread */
	for (int i = 1; i <= 6; i++)
		CU_ASSERT_EQUAL(carry(&bed, 10), i <= 5);
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_HARD), 0);
	q->num_free = num_free;
	CU_ASSERT(!carry(&bed, 10));
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_HARD), 1);
	CU_ASSERT(!carry(&bed, 10));
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_HARD), 0);
	bed_fini(&bed);
}

static void byte_limits(struct child_params *p, bool is_a)
{
	if (!is_a)
		p->lifetime = (struct sa_lifetime){.soft_bytes = 300, .hard_bytes = 500};
}

static void test_lifetime_in_bytes_inbound(void)
{
	struct bed bed;
	uint32_t hard = 0, soft = 0;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, byte_limits);
	for (int i = 1; i <= 8; i++) {
		struct dp_event ev;

		CU_ASSERT_EQUAL(carry(&bed, 72), i <= 5); /* 100 bytes each */
		while (bed_event(&bed.b, &ev)) {
			soft += ev.kind == DP_EVENT_SOFT;
			hard += ev.kind == DP_EVENT_HARD;
		}
		CU_ASSERT_EQUAL(soft, i >= 3);
		CU_ASSERT_EQUAL(hard, i >= 5);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_LIFETIME), 3);
	bed_fini(&bed);
}

static void test_end_is_reported_later_inbound(void)
{
	struct events *q;
	uint32_t num_free;
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, byte_limits);
	q = &bed.b.dp->workers[0]->events;
	num_free = q->num_free;
	q->num_free = 0;
	for (int i = 1; i <= 6; i++)
		CU_ASSERT_EQUAL(carry(&bed, 72), i <= 5); /* 100 bytes each */
	q->num_free = num_free;
	CU_ASSERT(!carry(&bed, 72));
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_HARD), 1);
	bed_fini(&bed);
}

/* S53: the last sequence number is used, then nothing is sent any more; well before, a report. */
static void test_S53_sequence_numbers_end(void)
{
	struct child_stats st;
	struct bed bed;
	uint64_t window_top = UINT32_MAX - 2;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	struct esp_sa *in = slots_get(bed.b.dp->sad, bed.b.spi_in);
	struct sa_group *g = slots_get(bed.a.dp->groups, bed.a.group);

	in->replay->top = window_top;
	g->newest->seq = window_top;
	CU_ASSERT(carry(&bed, 10));
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_SOFT), 1);
	CU_ASSERT(carry(&bed, 10));
	CU_ASSERT(!carry(&bed, 10));
	CU_ASSERT(!carry(&bed, 10));
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_SEQ_EXHAUSTED), 2);
	CU_ASSERT_EQUAL(bed_events(&bed.a, DP_EVENT_HARD), 1);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.out_seq, UINT32_MAX);
	bed_fini(&bed);
}

/* S57: only an authentic packet with the newest number says that the peer is elsewhere. */
static void test_S57_moved(void)
{
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET];
	struct bed_esp e = {.pair = 1, .next_header = 4, .seq = 10};
	struct dp_event ev;
	struct path_addr other;
	struct path_info info;
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	other = bed.b.path;
	other.remote.port = 5555;
	size_t n = bed_udp4(inner, true, 1, 2, 3, 10);
	e.pad_len = bed_pad(n);
	bed_deliver(&bed.b, esp, bed_seal(&bed, esp, &e, inner, n));
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_MOVED), 0);
	e.seq = 9; /* older, from elsewhere: delivered, but nobody moved */
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, esp, bed_seal(&bed, esp, &e, inner, n), &other),
			ERR_OK);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_MOVED), 0);
	e.seq = 11; /* not authentic */
	n = bed_seal(&bed, esp, &e, inner, n);
	esp[20] ^= 1;
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, esp, n, &other), ERR_OK);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_MOVED), 0);
	esp[20] ^= 1;
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, esp, n, &other), ERR_OK);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT(bed_event(&bed.b, &ev));
	CU_ASSERT_EQUAL(ev.kind, DP_EVENT_MOVED);
	CU_ASSERT_EQUAL(ev.child, 1);
	CU_ASSERT_EQUAL(ev.port, bed.b.outer);
	CU_ASSERT_EQUAL(memcmp(&ev.path, &other, sizeof(other)), 0);
	e.seq = 12; /* once a second at most */
	CU_ASSERT_EQUAL(
		memory_inject(bed.b.wire, esp,
			      bed_seal(&bed, esp, &e, inner, bed_udp4(inner, true, 1, 2, 3, 10)),
			      &other),
		ERR_OK);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_MOVED), 0);
	/* Control moves the path; answers go there, and nobody moved any more. */
	CU_ASSERT_EQUAL(dataplane_pathset_move(bed.b.dp, bed.b.pathset, bed.b.outer, &other),
			ERR_OK);
	CU_ASSERT_EQUAL(dataplane_pathset_info(bed.b.dp, &info, bed.b.pathset), ERR_OK);
	CU_ASSERT_EQUAL(info.addr.remote.port, 5555);
	CU_ASSERT_EQUAL(info.rx_packets, 4); /* the counters go on */
	n = bed_udp4(inner, false, 2, 1, 3, 10);
	bed_send(&bed.b, inner, n);
	bed_turn_one(&bed, &bed.b);
	struct path_addr to;
	size_t len;

	CU_ASSERT(memory_take(bed.b.wire, esp, sizeof(esp), &len, &to));
	CU_ASSERT_EQUAL(to.remote.port, 5555);
	bed_fini(&bed);
}

static void test_ike_both_ways(void)
{
	static const uint8_t message[] = "an IKE message of some length";
	uint8_t buf[BED_MAX_PACKET];
	struct path_addr plain;
	struct dp_event ev;
	struct bed bed;
	size_t len;

	bed_init(&bed, &open_wire);
	/* With encapsulation the marker is added and taken away. */
	CU_ASSERT_EQUAL(dataplane_ike_send(bed.a.dp, bed.a.outer, &bed.a.path, message,
					   sizeof(message), false),
			ERR_OK);
	bed_turn_one(&bed, &bed.a);
	len = bed_capture(&bed.a, buf);
	CU_ASSERT_EQUAL(len, 4 + sizeof(message));
	CU_ASSERT_EQUAL(load_be32(buf), 0);
	bed_deliver(&bed.b, buf, len);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_FATAL(dataplane_event_next(bed.b.dp, &ev));
	CU_ASSERT_EQUAL(ev.kind, DP_EVENT_IKE);
	CU_ASSERT_EQUAL(ev.port, bed.b.outer);
	CU_ASSERT_EQUAL(ev.bytes.len, sizeof(message));
	CU_ASSERT_EQUAL(memcmp(ev.bytes.p, message, sizeof(message)), 0);
	CU_ASSERT_EQUAL(memcmp(&ev.path, &bed.b.path, sizeof(ev.path)), 0);
	dp_event_release(bed.b.dp, &ev);
	/* Without (port 500) there is none, in either direction. */
	plain = bed.a.path;
	plain.encap = ENCAP_NONE;
	plain.local.port = plain.remote.port = 500;
	CU_ASSERT_EQUAL(
		dataplane_ike_send(bed.a.dp, bed.a.outer, &plain, message, sizeof(message), false),
		ERR_OK);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT(memory_take(bed.a.wire, buf, sizeof(buf), &len, NULL));
	CU_ASSERT_EQUAL(len, sizeof(message));
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, buf, len, &plain), ERR_OK);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_FATAL(dataplane_event_next(bed.b.dp, &ev));
	CU_ASSERT_EQUAL(ev.bytes.len, sizeof(message));
	dp_event_release(bed.b.dp, &ev);
	bed_fini(&bed);
}

static void test_keepalive(void)
{
	static const uint8_t keepalive = 0xff;
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &open_wire);
	CU_ASSERT_EQUAL(dataplane_ike_send(bed.a.dp, bed.a.outer, &bed.a.path, &keepalive, 1, true),
			ERR_OK);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_capture(&bed.a, buf), 1);
	CU_ASSERT_EQUAL(buf[0], 0xff);
	bed_deliver(&bed.b, buf, 1);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_KEEPALIVE), 1);
	bed_fini(&bed);
}

static void test_ike_send_refused(void)
{
	static uint8_t big[IKE_SEND_MAX_LEN + 1];
	struct bed bed;
	uint32_t sent = 0;

	bed_init(&bed, &open_wire);
	CU_ASSERT_EQUAL(dataplane_ike_send(bed.a.dp, 7, &bed.a.path, big, 5, false), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_ike_send(bed.a.dp, bed.a.inner, &bed.a.path, big, 5, false),
			ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(
		dataplane_ike_send(bed.a.dp, bed.a.outer, &bed.a.path, big, sizeof(big), false),
		ERR_LIMIT);
	while (dataplane_ike_send(bed.a.dp, bed.a.outer, &bed.a.path, big, 5, false) == ERR_OK)
		sent++;
	CU_ASSERT_EQUAL(sent, IKE_SEND_MAX);
	bed_turn_one(&bed, &bed.a); /* most find the wire full: counted */
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TX_FULL), IKE_SEND_MAX - 256);
	CU_ASSERT_EQUAL(dataplane_ike_send(bed.a.dp, bed.a.outer, &bed.a.path, big,
					   IKE_SEND_MAX_LEN, false),
			ERR_OK);
	bed_turn_one(&bed, &bed.a); /* more than the wire's frames hold */
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TX_ERROR), 1);
	bed_fini(&bed);
}

/* Where an IKE header behind its marker has the receiver's SPI and the first payload's type. */
#define SPI_AT   (4 + 8)
#define FIRST_AT (4 + 16)

static void deliver_many(struct bed *bed, const uint8_t *ike, size_t len, int num)
{
	for (int i = 0; i < num; i++) {
		bed_deliver(&bed->b, ike, len);
		bed_turn_one(bed, &bed->b);
	}
}

/* A flood of first messages that nobody reads leaves room for whoever has a cookie or an SPI, and
 * for who comes again. */
static void test_S43_room_for_who_was_answered(void)
{
	uint8_t ike[64] = {0}, cookie[64] = {[FIRST_AT] = 41}, known[64] = {[SPI_AT + 7] = 1};
	uint32_t dropped;
	struct dp_event ev;
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	for (unsigned i = 1; i <= 100; i++) { /* a quarter of 256 buffers may wait */
		ike[4] = (uint8_t)i;
		deliver_many(&bed, ike, sizeof(ike), 1);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PUNT_FULL), 100 - 48);
	dropped = 100 - 48;
	deliver_many(&bed, cookie, sizeof(cookie), 4);
	deliver_many(&bed, known, sizeof(known), 5);
	deliver_many(&bed, ike, sizeof(ike), 7); /* again: whoever says that he was answered */
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PUNT_FULL), dropped);
	deliver_many(&bed, known, sizeof(known), 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PUNT_FULL), dropped + 1);
	while (bed_event(&bed.b, &ev))
		;
	bed_turn_one(&bed, &bed.b); /* takes the buffers back */
	bed_fini(&bed);
}

/* What is too short to be IKE takes no room, by whichever port it comes. */
static void test_S43_shorter_than_a_header(void)
{
	const uint8_t ike[4 + 28] = {0};
	struct path_addr plain;
	struct dp_event ev;
	struct bed bed;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	deliver_many(&bed, ike, 4 + 27, 100);
	deliver_many(&bed, ike, 4, 1);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_IKE), 101);
	plain = bed.b.path;
	plain.encap = ENCAP_NONE;
	plain.local.port = plain.remote.port = 500;
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, ike, 27, &plain), ERR_OK);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_IKE), 102);
	CU_ASSERT_FALSE(bed_event(&bed.b, &ev));
	deliver_many(&bed, ike, 4 + 28, 1);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_IKE), 1);
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 102);
	bed_fini(&bed);
}

/* A flood of IKE that nobody reads: bounded, counted, and what must be reported still is. */
static void test_punt_is_bounded(void)
{
	uint8_t ike[64] = {[SPI_AT] = 1};
	struct dp_event ev;
	struct bed bed;
	uint32_t num = 0;

	bed_init(&bed, &open_wire);
	bed_pair(&bed, 1, NULL);
	for (int i = 0; i < 100; i++) {
		bed_deliver(&bed.b, ike, sizeof(ike));
		bed_turn_one(&bed, &bed.b);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PUNT_FULL),
			36); /* a quarter of 256 buffers wait */
	CU_ASSERT(carry(&bed, 5));
	while (bed_event(&bed.b, &ev)) {
		num++;
		if (num == 65)
			CU_ASSERT_EQUAL(ev.kind, DP_EVENT_CHILD_USED);
	}
	CU_ASSERT_EQUAL(num, 65);
	bed_turn_one(&bed, &bed.b); /* takes the buffers back */
	CU_ASSERT_EQUAL(pool_num_free(bed.b.dp->workers[0]->pool), 256);
	bed_fini(&bed);
}

/* Events that nobody took, and packets that wait, are freed with the data path. */
static void test_freed_with_events_waiting(void)
{
	uint8_t ike[64] = {0}, buf[BED_MAX_PACKET];
	struct dp_event ev;
	struct bed bed;

	bed_init(&bed, &open_wire);
	for (int i = 0; i < 10; i++) {
		bed_deliver(&bed.b, ike, sizeof(ike));
		bed_send(&bed.b, buf, bed_udp4(buf, false, 1, 2, 3, 5));
		CU_ASSERT_EQUAL(
			dataplane_ike_send(bed.b.dp, bed.b.outer, &bed.b.path, ike, 5, false),
			ERR_OK);
	}
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT(dataplane_event_next(bed.b.dp, &ev)); /* taken, never released */
	CU_ASSERT_EQUAL(dataplane_ike_send(bed.b.dp, bed.b.outer, &bed.b.path, ike, 5, false),
			ERR_OK);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_used_once),
	TAP_TEST(test_lifetime_in_packets),
	TAP_TEST(test_lifetime_in_bytes_inbound),
	TAP_TEST(test_end_is_reported_later),
	TAP_TEST(test_end_is_reported_later_inbound),
	TAP_TEST(test_S53_sequence_numbers_end),
	TAP_TEST(test_S57_moved),
	TAP_TEST(test_ike_both_ways),
	TAP_TEST(test_keepalive),
	TAP_TEST(test_ike_send_refused),
	TAP_TEST(test_punt_is_bounded),
	TAP_TEST(test_S43_room_for_who_was_answered),
	TAP_TEST(test_S43_shorter_than_a_header),
	TAP_TEST(test_freed_with_events_waiting),
};

TAP_MAIN("dataplane/events", tests)
