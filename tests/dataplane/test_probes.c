/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages about paths, inside ESP: by which path they leave, who gets them, and who never
 * does. Path k of a test is B's port 4500 + k - 1. */
#include "base/alloc.h"
#include "dataplane/sa.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static const struct bed_options open_wire = {.open_wire = true, .num_packets = 1024};
static uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET], text[PROBE_MAX_LEN + 1];
static enum sa_mode mode;
static bool mif;

static void tweak(struct child_params *p, bool is_a)
{
	p->mif = mif;
	bed_mode(p, is_a, mode);
}

static struct path_addr addr_of(const struct bed *bed, const struct side *s, uint16_t k)
{
	struct path_addr a = s->path;

	if (s == &bed->a)
		a.remote.port = (uint16_t)(4499 + k);
	else
		a.local.port = (uint16_t)(4499 + k);
	return a;
}

/* add - path k, which is not usable. */
static void add(const struct bed *bed, const struct side *s, uint16_t k)
{
	const struct path_params p = {
		.id = k, .port = s->outer, .addr = addr_of(bed, s, k), .weight = 1};

	CU_ASSERT_EQUAL_FATAL(dataplane_path_put(s->dp, s->pathset, &p), ERR_OK);
}

static void begin_probes(struct bed *bed, const struct bed_options *options, enum sa_mode m,
			 bool on)
{
	mode = m;
	mif = on;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 5 + 1);
	bed_init(bed, options);
	bed_pair(bed, 1, tweak);
	add(bed, &bed->a, 2);
	add(bed, &bed->b, 2);
}

/* probe_is - the next event of B is a message of len bytes by path id, and by these addresses. */
static void probe_is(struct side *s, uint16_t id, const struct path_addr *from, size_t len)
{
	struct dp_event ev;

	CU_ASSERT_FATAL(dataplane_event_next(s->dp, &ev));
	if (ev.kind == DP_EVENT_CHILD_USED) {
		dp_event_release(s->dp, &ev);
		CU_ASSERT_FATAL(dataplane_event_next(s->dp, &ev));
	}
	CU_ASSERT_EQUAL(ev.kind, DP_EVENT_PROBE);
	CU_ASSERT_EQUAL(ev.child, 1);
	CU_ASSERT_EQUAL(ev.path_id, id);
	CU_ASSERT_EQUAL(ev.port, s->outer);
	CU_ASSERT_EQUAL(ev.time_ns, NS_PER_S);
	CU_ASSERT_EQUAL(ev.came_packets, id != 0); /* the first one by its path */
	CU_ASSERT(id ? ev.came_bytes > len : ev.came_bytes == 0);
	CU_ASSERT_EQUAL(memcmp(&ev.path, from, sizeof(*from)), 0);
	CU_ASSERT_EQUAL_FATAL(ev.bytes.len, len);
	CU_ASSERT_EQUAL(memcmp(ev.bytes.p, text, len), 0);
	dp_event_release(s->dp, &ev);
}

/* take - the datagram that A sent, and where. */
static size_t take(struct bed *bed, struct path_addr *to)
{
	size_t len = 0;

	return memory_take(bed->a.wire, got, sizeof(got), &len, to) ? len : 0;
}

/* M9: by the path that was named, though nothing else goes there; to the control thread of the
 * other side, with the path that it came by; to no host. */
static void test_M9_both_ways(void)
{
	for (int i = 0; i < 2; i++) {
		struct path_info info;
		struct bed bed;

		begin_probes(&bed, &(struct bed_options){.num_packets = 1024},
			     i ? SA_TRANSPORT : SA_TUNNEL, true);
		for (uint16_t k = 1; k <= 2; k++) {
			const struct path_addr b = addr_of(&bed, &bed.b, k);
			const struct path_addr a = addr_of(&bed, &bed.a, k);

			CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, k, text, 96), ERR_OK);
			bed_turn(&bed);
			probe_is(&bed.b, k, &b, 96);
			CU_ASSERT_EQUAL(dataplane_probe_send(bed.b.dp, 1, k, text, PROBE_MAX_LEN),
					ERR_OK);
			bed_turn(&bed);
			probe_is(&bed.a, k, &a, PROBE_MAX_LEN);
			CU_ASSERT_EQUAL(dataplane_path_info(bed.b.dp, &info, bed.b.pathset, k),
					ERR_OK);
			CU_ASSERT(info.rx_packets == 1 && info.tx_packets == 1);
		}
		CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 1, NULL, 0), ERR_OK);
		bed_turn(&bed);
		CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_PROBE), 1);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
		CU_ASSERT_EQUAL(bed_receive(&bed.a, got), 0);
		CU_ASSERT_EQUAL(bed_drops(&bed.a) + bed_drops(&bed.b), 0);
		bed_fini(&bed);
	}
}

/* A message from addresses of no path says so, and moves nobody; packets of hosts still do. */
static void test_S57_probe_moves_nobody(void)
{
	struct path_addr from, to;
	struct bed bed;
	size_t len;

	begin_probes(&bed, &open_wire, SA_TUNNEL, true);
	from = addr_of(&bed, &bed.b, 77);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 1, text, 96), ERR_OK);
	bed_turn_one(&bed, &bed.a);
	len = take(&bed, &to);
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, got, len, &from), ERR_OK);
	bed_turn_one(&bed, &bed.b);
	probe_is(&bed.b, 0, &from, 96);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_MOVED), 0);
	bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 2, 3, 40));
	bed_turn_one(&bed, &bed.a);
	len = take(&bed, &to);
	CU_ASSERT_EQUAL(memory_inject(bed.b.wire, got, len, &from), ERR_OK);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_MOVED), 1);
	bed_fini(&bed);
}

/* Without the other side's word there is no such thing: neither out nor in, in no mode. */
static void test_M14_only_if_agreed(void)
{
	for (int i = 0; i < 2; i++) {
		struct bed_esp e = {.pair = 1, .seq = 1, .next_header = ESP_PROBE};
		struct bed bed;

		begin_probes(&bed, &open_wire, i ? SA_TRANSPORT : SA_TUNNEL, false);
		CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 1, text, 96), ERR_BAD_STATE);
		e.pad_len = bed_pad(96);
		bed_deliver(&bed.b, got, bed_seal(&bed, got, &e, text, 96));
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NEXT_HEADER), 1);
		CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_PROBE), 0);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
		bed_fini(&bed);
	}
}

/* In transport mode an application's packets have next headers of its choice: not this one. */
static void test_S56_no_application_probes(void)
{
	for (int on = 0; on < 2; on++) {
		struct path_addr to;
		struct bed bed;
		size_t n;

		begin_probes(&bed, &open_wire, SA_TRANSPORT, on);
		n = bed_udp4(buf, true, 1, 2, 3, 100);
		buf[9] = ESP_PROBE;
		bed_send(&bed.a, buf, n);
		bed_turn_one(&bed, &bed.a);
		CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NEXT_HEADER), on);
		CU_ASSERT_EQUAL(take(&bed, &to) == 0, on);
		bed_fini(&bed);
	}
}

/* sealed_probes - B gets num messages of the peer's, from sequence number seq on. */
static void sealed_probes(struct bed *bed, uint64_t seq, uint32_t num, size_t len)
{
	while (num--) {
		struct bed_esp e = {
			.pair = 1, .seq = seq++, .next_header = ESP_PROBE, .pad_len = bed_pad(len)};

		bed_deliver(&bed->b, got, bed_seal(bed, got, &e, buf, len));
		bed_turn_one(bed, &bed->b);
	}
}

/* S63: they come so often a second, and have half as many records as IKE, which keeps its own. */
static void test_S63_probes_at_a_rate(void)
{
	uint8_t ike[100] = {0};
	uint32_t num = 0;
	struct bed bed;

	begin_probes(&bed, &open_wire, SA_TUNNEL, true);
	for (uint32_t i = 0; i < 2100; i++) {
		sealed_probes(&bed, 1 + i, 1, 96);
		num += bed_events(&bed.b, DP_EVENT_PROBE);
	}
	CU_ASSERT_EQUAL(num, 2000);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PROBE_RATE), 100);
	bed.now += NS_PER_S;
	sealed_probes(&bed, 3000, 300, 96); /* and nobody takes them */
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PUNT_FULL), 300 - 128);
	bed_deliver(&bed.b, ike, sizeof(ike));
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PUNT_FULL), 300 - 128);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_IKE), 1);
	bed_fini(&bed);
}

/* S63: nor does IKE that nobody takes keep them out. */
static void test_S63_probes_beside_ike(void)
{
	uint8_t ike[100] = {[4 + 8] = 1}; /* it says that it was answered */
	struct bed bed;

	begin_probes(&bed, &open_wire, SA_TUNNEL, true);
	for (uint32_t i = 0; i < 300; i++) {
		bed_deliver(&bed.b, ike, sizeof(ike));
		bed_turn_one(&bed, &bed.b);
	}
	sealed_probes(&bed, 1, 60, 96);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PUNT_FULL), 300 - 256);
	CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_PROBE), 60);
	sealed_probes(&bed, 100, 200, 96); /* what control has given back counts no more */
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_PUNT_FULL), 300 - 256 + 200 - 128);
	bed_fini(&bed);
}

/* Any length comes as it is: what it means is not looked at here. */
static void test_lengths(void)
{
	static const size_t lens[] = {0, 1, 95, 96, 97, 600, 1400};
	struct bed bed;

	begin_probes(&bed, &open_wire, SA_TUNNEL, true);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		struct dp_event ev;

		sealed_probes(&bed, 1 + i, 1, lens[i]);
		do {
			CU_ASSERT_FATAL(bed_event(&bed.b, &ev));
		} while (ev.kind != DP_EVENT_PROBE);
		CU_ASSERT_EQUAL(ev.bytes.len, lens[i]);
	}
	CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

static void test_refused(void)
{
	struct bed bed;
	uint32_t num = 0;
	enum err e;

	begin_probes(&bed, &open_wire, SA_TUNNEL, true);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 2, 1, text, 96), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 3, text, 96), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 1, text, PROBE_MAX_LEN + 1), ERR_LIMIT);
	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 1, text, 96), ERR_NOMEM);
	alloc_fail_nth(0);
	while ((e = dataplane_probe_send(bed.a.dp, 1, 1, text, 96)) == ERR_OK)
		num++;
	CU_ASSERT_EQUAL(e, ERR_FULL);
	CU_ASSERT_EQUAL(num, 1024);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 1, text, 96), ERR_OK);
	dataplane_child_remove(bed.a.dp, 1, CHILD_OUT);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 1, text, 96), ERR_NOT_FOUND);
	bed_fini(&bed);
}

/* SA, path or all of it go while messages wait. */
static void test_gone_meanwhile(void)
{
	struct dataplane_stats st;
	struct path_addr to;
	struct bed bed;

	begin_probes(&bed, &open_wire, SA_TUNNEL, true);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 2, text, 96), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_path_take(bed.a.dp, bed.a.pathset, 2), ERR_OK);
	dataplane_reclaim(bed.a.dp);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NO_PATH), 1);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 1, text, 96), ERR_OK);
	bed_pair(&bed, 2, tweak);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 2, 1, text, 96), ERR_OK);
	dataplane_child_remove(bed.a.dp, 1, CHILD_BOTH);
	dataplane_reclaim(bed.a.dp);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_NOT_EQUAL(take(&bed, &to), 0);
	CU_ASSERT_EQUAL(load_be32(got), bed.b.spi_in); /* the other SA's alone */
	CU_ASSERT_EQUAL(take(&bed, &to), 0);
	dataplane_stats(bed.a.dp, &st);
	CU_ASSERT_EQUAL(st.made, 2);
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 2, 1, text, 96), ERR_OK);
	bed_fini(&bed); /* one waits still */
}

/* Among packets of hosts: each goes its way. */
static void test_among_others(void)
{
	uint32_t num[2] = {0};
	struct path_addr to;
	struct bed bed;

	begin_probes(&bed, &open_wire, SA_TUNNEL, true);
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 2, text, 96), ERR_OK);
		bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 2, 3, 40));
	}
	bed_turn_one(&bed, &bed.a);
	while (take(&bed, &to))
		num[to.remote.port - 4500]++;
	CU_ASSERT(num[0] == 20 && num[1] == 20);
	bed_fini(&bed);
}

/* While workers run, and pairs come and go: with the sanitizers that is the test. */
static void test_under_traffic(void)
{
	const uint64_t end = clock_now_ns() + 60 * NS_PER_S;
	uint32_t num = 0, sent = 0;
	struct bed bed;

	begin_probes(&bed, &(struct bed_options){.num_packets = 1024}, SA_TUNNEL, true);
	bed.threaded = true;
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.a.dp), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.b.dp), ERR_OK);
	for (uint64_t id = 2; id < 200; id++) {
		bed_pair(&bed, id, tweak);
		for (int i = 0; i < 4; i++)
			sent += dataplane_probe_send(bed.a.dp, id, (uint16_t)(1 + i % 2), text,
						     96) == ERR_OK;
		/* Of every other pair what comes is waited for. */
		for (uint32_t before = num; id % 2 && num == before && clock_now_ns() < end;)
			num += bed_events(&bed.b, DP_EVENT_PROBE);
		dataplane_child_remove(bed.a.dp, id - 1, CHILD_BOTH);
		dataplane_child_remove(bed.b.dp, id - 2, CHILD_BOTH);
		dataplane_reclaim(bed.a.dp);
		dataplane_reclaim(bed.b.dp);
	}
	dataplane_stop(bed.a.dp);
	dataplane_stop(bed.b.dp);
	num += bed_events(&bed.b, DP_EVENT_PROBE);
	CU_ASSERT(sent == 792 && num >= 99 && num <= sent);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M9_both_ways),
	TAP_TEST(test_S57_probe_moves_nobody),
	TAP_TEST(test_M14_only_if_agreed),
	TAP_TEST(test_S56_no_application_probes),
	TAP_TEST(test_S63_probes_at_a_rate),
	TAP_TEST(test_S63_probes_beside_ike),
	TAP_TEST(test_lengths),
	TAP_TEST(test_refused),
	TAP_TEST(test_gone_meanwhile),
	TAP_TEST(test_among_others),
	TAP_TEST(test_under_traffic),
};

TAP_MAIN("dataplane/probes", tests)
