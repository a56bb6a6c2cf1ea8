/* SPDX-License-Identifier: Apache-2.0 */
/* What the wire itself brings: outer fragments, and messages about the MTU of a path, which are
 * believed or not (S57). */
#include "dataplane/fit.h"
#include "dataplane/fragment.h"
#include "dataplane/icmp.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static void start(struct bed *bed)
{
	bed_init(bed, &(struct bed_options){.open_wire = true});
	bed_pair(bed, 1, NULL);
	CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed->a.dp, bed->a.pathset, 1500), ERR_OK);
}

/* sends - A's host sends len bytes that are not to be cut; the ESP packet's length, 0 if none. */
static size_t sends(struct bed *bed, size_t len, uint8_t esp[static BED_MAX_PACKET])
{
	uint8_t buf[BED_MAX_PACKET];
	size_t n = bed_udp4(buf, true, 1, 2, 3, len - 28);

	store_be16(buf + 6, IP4_DF);
	bed_send(&bed->a, buf, n);
	bed_turn_one(bed, &bed->a);
	return bed_capture(&bed->a, esp);
}

/* ptb - "fragmentation needed" as a router sends it to A, about this datagram of A's, of which so
 * many bytes of ESP are quoted. Returns its length. */
static size_t ptb(uint8_t *out, const struct bed *bed, const uint8_t *esp, size_t len, uint16_t mtu)
{
	uint8_t *quote = out + 28, *u = quote + 20;

	memset(out, 0, 56);
	out[0] = quote[0] = 0x45;
	out[9] = 1;
	memcpy(out + 12, "\xc6\x33\x64\x01", 4);
	memcpy(out + 16, bed->a.path.local.addr.b, 4);
	out[20] = 3;
	out[21] = 4;
	store_be16(out + 26, mtu);
	store_be16(quote + 2, 1400);
	quote[9] = 17;
	memcpy(quote + 12, bed->a.path.local.addr.b, 4);
	memcpy(quote + 16, bed->a.path.remote.addr.b, 4);
	store_be16(u, bed->a.path.local.port);
	store_be16(u + 2, bed->a.path.remote.port);
	memcpy(u + 8, esp, len);
	store_be16(out + 2, (uint16_t)(56 + len));
	return 56 + len;
}

/* hears - A gets such a message, and its control thread looks at what there is. */
static void hears(struct bed *bed, const uint8_t *esp, size_t len, uint16_t mtu)
{
	uint8_t icmp[200];
	struct dp_event ev;
	size_t n = ptb(icmp, bed, esp, len, mtu);

	CU_ASSERT_EQUAL(memory_inject(bed->a.wire, icmp, n, NULL), ERR_OK);
	bed_turn_one(bed, &bed->a);
	while (bed_event(&bed->a, &ev))
		;
}

static const struct path_table *table_of(const struct side *s)
{
	return ((struct path_set *)slots_get(s->dp->pathsets, s->pathset))->table;
}

static const struct path *path_of(const struct side *s)
{
	return table_of(s)->path;
}

/* doubted - A believes nothing, but is careful for a while, which is over then. */
static void doubted(struct bed *bed)
{
	const struct path *path = path_of(&bed->a);

	CU_ASSERT(path_mtu(path, bed->now) == 1500 && path_in_doubt(table_of(&bed->a), bed->now));
	bed->now += PATH_DOUBT_NS;
	CU_ASSERT(!path_in_doubt(table_of(&bed->a), bed->now));
}

/* S57: who quotes what was not sent just now makes nothing smaller. */
static void test_S57_not_believed(void)
{
	uint8_t esp[BED_MAX_PACKET], wrong[8];
	struct bed bed;

	start(&bed);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_NOT_EQUAL(sends(&bed, 1300, esp), 0);
	store_be32(wrong, load_be32(esp) ^ 1); /* another SPI */
	store_be32(wrong + 4, 10);
	hears(&bed, wrong, 8, 1000);
	doubted(&bed);
	CU_ASSERT_NOT_EQUAL(sends(&bed, 1300, esp), 0);
	memcpy(wrong, esp, 8);
	store_be32(wrong + 4, 12); /* a number that was not sent yet */
	hears(&bed, wrong, 8, 1000);
	doubted(&bed);
	hears(&bed, esp, 8, 1000); /* sent, but long ago */
	doubted(&bed);
	CU_ASSERT_NOT_EQUAL(sends(&bed, 1300, esp), 0);
	hears(&bed, esp, 0, 1000); /* a router that quotes too little to tell */
	doubted(&bed);
	bed_fini(&bed);
}

/* Nor who says that a packet of ours went elsewhere: not that path shrinks, and not the SA's. */
static void test_S57_of_another_path(void)
{
	uint8_t esp[BED_MAX_PACKET], icmp[200];
	static const size_t at[] = {28 + 19, 28 + 20 + 3}; /* the address it went to, the port */

	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct dp_event ev;
		struct bed bed;

		start(&bed);
		CU_ASSERT_NOT_EQUAL(sends(&bed, 1300, esp), 0);
		size_t n = ptb(icmp, &bed, esp, 8, 1000);

		icmp[at[i]] ^= 1;
		CU_ASSERT_EQUAL(memory_inject(bed.a.wire, icmp, n, NULL), ERR_OK);
		bed_turn_one(&bed, &bed.a);
		CU_ASSERT(!bed_event(&bed.a, &ev));
		CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TOLD), 1);
		CU_ASSERT_EQUAL(path_mtu(path_of(&bed.a), bed.now), 1500);
		CU_ASSERT(!path_in_doubt(table_of(&bed.a), bed.now));
		bed_fini(&bed);
	}
}

/* Who saw our packets is, for ten minutes, and senders inside are told in turn. */
static void test_S57_believed(void)
{
	uint8_t esp[BED_MAX_PACKET], icmp[BED_MAX_PACKET];
	struct path_info info;
	struct bed bed;

	start(&bed);
	const struct path *path = path_of(&bed.a);

	CU_ASSERT_NOT_EQUAL(sends(&bed, 1300, esp), 0);
	hears(&bed, esp, 0, 1000);
	hears(&bed, esp, 8, 1200);
	CU_ASSERT(path_mtu(path, bed.now) == 1200 && !path_in_doubt(table_of(&bed.a), bed.now));
	CU_ASSERT_EQUAL(dataplane_pathset_info(bed.a.dp, &info, bed.a.pathset), ERR_OK);
	CU_ASSERT_EQUAL(info.pmtu, 1200);
	hears(&bed, esp, 8, 1400); /* more is not believed by word */
	CU_ASSERT_EQUAL(path_mtu(path, bed.now), 1200);
	hears(&bed, esp, 8, 68);
	CU_ASSERT_EQUAL(path_mtu(path, bed.now), 576);
	CU_ASSERT_EQUAL(sends(&bed, 1300, esp), 0);
	CU_ASSERT_EQUAL(bed_receive(&bed.a, icmp), ICMP_MAX_LEN);
	bed.now += PATH_PMTU_NS;
	CU_ASSERT_EQUAL(path_mtu(path, bed.now), 1500); /* it is tried again */
	CU_ASSERT_NOT_EQUAL(sends(&bed, 1300, esp), 0);
	hears(&bed, esp, 8, 1200);
	CU_ASSERT_EQUAL(path_mtu(path, bed.now), 1200);
	CU_ASSERT_EQUAL(dataplane_pathset_move(bed.a.dp, bed.a.pathset, bed.a.outer, &bed.a.path),
			ERR_OK);
	CU_ASSERT_EQUAL(path_mtu(path_of(&bed.a), bed.now), 0); /* another way */
	bed_fini(&bed);
}

/* What is said often is looked at some times a second, and costs the control thread no event. */
static void test_S57_at_a_rate(void)
{
	uint8_t esp[8] = {0}, icmp[200];
	struct dp_event ev;
	struct bed bed;

	start(&bed);
	const struct events *events = &bed.a.dp->workers[0]->events;
	size_t n = ptb(icmp, &bed, esp, 8, 1000);

	for (int i = 0; i < 500; i++) {
		CU_ASSERT_EQUAL(memory_inject(bed.a.wire, icmp, n, NULL), ERR_OK);
		bed_turn_one(&bed, &bed.a);
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TOLD), 500);
	CU_ASSERT_EQUAL(events->num_free, EVENTS_NUM - WORKER_HEARS);
	CU_ASSERT(!bed_event(&bed.a, &ev));
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(events->num_free, EVENTS_NUM);
	bed_fini(&bed);
}

/* wire_parts - B gets an outer IP packet that carries this ESP, in fragments, last one first. */
static void wire_parts(struct bed *bed, bool udp, const uint8_t *esp, size_t len)
{
	struct pool *pool = pool_new(12, 3000);
	struct packet *p = packet_get(pool), *part[10];
	struct fragment_cut c;
	uint32_t num = 0, at = udp ? 28 : 20;
	bool more = true;

	p->len = (uint32_t)(at + len);
	memset(p->data, 0, 28);
	p->data[0] = 0x45;
	store_be16(p->data + 2, (uint16_t)p->len);
	store_be16(p->data + 4, 77);
	p->data[9] = udp ? 17 : 50;
	memcpy(p->data + 12, bed->a.path.local.addr.b, 4);
	memcpy(p->data + 16, bed->b.path.local.addr.b, 4);
	store_be16(p->data + 20, 4500);
	store_be16(p->data + 22, 4500);
	store_be16(p->data + 24, (uint16_t)(8 + len));
	memcpy(p->data + at, esp, len);
	CU_ASSERT_FATAL(fragment_cut_begin(&c, p, 400));
	while (more) {
		part[num] = packet_get(pool);
		more = fragment_cut_next(&c, part[num++]);
	}
	CU_ASSERT(num >= 3);
	while (num) {
		num--;
		CU_ASSERT_EQUAL(memory_inject(bed->b.wire, part[num]->data, part[num]->len, NULL),
				ERR_OK);
		packet_put(part[num]);
	}
	packet_put(p);
	pool_free(pool);
}

/* A port that gives what is on the wire: outer fragments are put together, headers taken off. */
static void test_outer_fragments(void)
{
	for (int udp = 0; udp < 2; udp++) {
		uint8_t esp[BED_MAX_PACKET], got[BED_MAX_PACKET];
		struct dataplane_stats st;
		struct bed bed;

		start(&bed);
		wire_parts(&bed, udp, esp, sends(&bed, 1200, esp));
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 1200);
		CU_ASSERT_EQUAL(bed_drops(&bed.b), 0);
		dataplane_stats(bed.b.dp, &st);
		CU_ASSERT(st.made == 1 && st.consumed >= 3);
		bed_fini(&bed);
	}
}

/* Every bit and length of an outer packet and of a message: counted, never more. */
static void test_hostile(void)
{
	uint8_t esp[BED_MAX_PACKET], icmp[200], copy[200];
	struct dp_event ev;
	struct bed bed;

	start(&bed);
	CU_ASSERT_NOT_EQUAL(sends(&bed, 200, esp), 0);
	size_t n = ptb(icmp, &bed, esp, 8, 1000);

	for (size_t i = 0; i < n * 9; i++) {
		memcpy(copy, icmp, n);
		if (i < n * 8)
			copy[i / 8] ^= (uint8_t)(1 << i % 8);
		size_t len = i < n * 8 ? n : i - n * 8;

		CU_ASSERT_EQUAL(memory_inject(bed.a.wire, copy, len, NULL), ERR_OK);
		if (i % 50 == 0)
			bed.now += NS_PER_S;
		bed_turn_one(&bed, &bed.a); /* the books are checked */
		while (bed_event(&bed.a, &ev))
			CU_ASSERT_FATAL(ev.kind != DP_EVENT_TOLD);
	}
	CU_ASSERT(path_mtu(path_of(&bed.a), bed.now) >= 576);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S57_not_believed), TAP_TEST(test_S57_of_another_path),
	TAP_TEST(test_S57_believed),     TAP_TEST(test_S57_at_a_rate),
	TAP_TEST(test_outer_fragments),  TAP_TEST(test_hostile),
};

TAP_MAIN("dataplane/told", tests)
