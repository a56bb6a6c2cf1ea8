/* SPDX-License-Identifier: Apache-2.0 */
/* Several paths to one peer: which of them packets leave by, with each schedule, and what is known
 * of those that packets come by. Path k of a test is B's port 4500 + k. */
#include "dataplane/fit.h"
#include "dataplane/schedule.h"
#include "tests/dataplane/shape.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#include "base/alloc.h"

#define PORT0 4500 /* path 0 would have it; path 1 is the one that the bed begins with */

static uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET], big[65536];

/* went - datagrams and bytes that left by each path, as the wire saw them. */
static struct {
	uint32_t num[PATHS_MAX + 2];
	uint64_t bytes[PATHS_MAX + 2];
} went;

/* addr_of - path k as this side has it. */
static struct path_addr addr_of(const struct bed *bed, const struct side *s, uint16_t k)
{
	struct path_addr a = s->path;

	if (s == &bed->a)
		a.remote.port = (uint16_t)(PORT0 + k);
	else
		a.local.port = (uint16_t)(PORT0 + k);
	return a;
}

static enum err put(const struct bed *bed, const struct side *s, uint16_t k, uint8_t priority,
		    uint16_t weight, bool usable)
{
	const struct path_params p = {.id = k,
				      .port = s->outer,
				      .addr = addr_of(bed, s, k),
				      .priority = priority,
				      .weight = weight,
				      .usable = usable};

	return dataplane_path_put(s->dp, s->pathset, &p);
}

static void must_put(const struct bed *bed, const struct side *s, uint16_t k, uint8_t priority,
		     uint16_t weight, bool usable)
{
	CU_ASSERT_EQUAL_FATAL(put(bed, s, k, priority, weight, usable), ERR_OK);
}

static void tunnel(struct child_params *p, bool is_a)
{
	bed_mode(p, is_a, SA_TUNNEL);
	p->copy_dscp = DSCP_COPY_OUT;
}

static void transport(struct child_params *p, bool is_a)
{
	bed_mode(p, is_a, SA_TRANSPORT);
}

/* begin_paths - num paths with these weights at both sides, all usable, and A's schedule. */
static void begin_paths(struct bed *bed, bool open_wire, enum sa_mode mode,
			enum path_schedule schedule, const uint16_t *weights, uint16_t num)
{
	memset(&went, 0, sizeof(went));
	bed_init(bed, &(struct bed_options){.open_wire = open_wire,
					    .flow_cache_len = 4096,
					    .num_packets = 1024,
					    .num_frames = 512});
	bed_pair(bed, 1, mode == SA_TRANSPORT ? transport : tunnel);
	for (uint16_t k = 1; k <= num; k++) {
		must_put(bed, &bed->a, k, 0, weights[k - 1], true);
		must_put(bed, &bed->b, k, 0, weights[k - 1], true);
	}
	CU_ASSERT_EQUAL_FATAL(dataplane_path_schedule(bed->a.dp, bed->a.pathset, schedule), ERR_OK);
}

/* collect - what A's wire has; returns how many, *out_last (may be NULL): the last one's path. */
static uint32_t collect(struct bed *bed, uint16_t *out_last)
{
	struct path_addr to;
	uint32_t num = 0;
	size_t len;

	while (memory_take(bed->a.wire, got, sizeof(got), &len, &to)) {
		const uint32_t k = to.remote.port - PORT0;

		CU_ASSERT_FATAL(k >= 1 && k <= PATHS_MAX + 1);
		went.num[k]++;
		went.bytes[k] += len;
		if (out_last)
			*out_last = (uint16_t)k;
		num++;
	}
	return num;
}

/* leaves_by - one packet of a flow; the path it left by, 0: it did not, or in copies. */
static uint16_t leaves_by(struct bed *bed, uint16_t flow, size_t len)
{
	uint16_t k = 0;

	bed_send(&bed->a, buf, bed_udp4(buf, true, flow, 9, 3, len));
	bed_turn_one(bed, &bed->a);
	return collect(bed, &k) == 1 ? k : 0;
}

static struct path_info info_of(const struct side *s, uint16_t k)
{
	struct path_info info = {0};

	CU_ASSERT_EQUAL(dataplane_path_info(s->dp, &info, s->pathset, k), ERR_OK);
	CU_ASSERT_EQUAL(info.id, k);
	return info;
}

/* counted - the counters of A's paths are what the wire saw. */
static void counted(const struct bed *bed, uint16_t num)
{
	for (uint16_t k = 1; k <= num; k++) {
		const struct path_info i = info_of(&bed->a, k);

		CU_ASSERT_EQUAL(i.tx_packets, went.num[k]);
		CU_ASSERT_EQUAL(i.tx_bytes, went.bytes[k]);
	}
}

static const struct path_table *table_of(const struct side *s)
{
	return ((struct path_set *)slots_get(s->dp->pathsets, s->pathset))->table;
}

static enum err set_alone(struct side *s, uint16_t k)
{
	static const uint64_t even_ns[PATHS_MAX] = {NS_PER_MS, NS_PER_MS, NS_PER_MS};

	return path_set_alone(slots_get(s->dp->pathsets, s->pathset), &s->dp->retired, k, even_ns);
}

/* num_even - paths that do not deliver at once what comes by them. */
static uint32_t num_even(const struct side *s)
{
	const struct path_table *t = table_of(s);
	uint32_t num = 0;

	for (uint32_t i = 0; i < t->num; i++)
		num += t->path[i].even_ns != 0;
	return num;
}

/* M6: the usable path of the smallest priority carries all, of equals the one with the smallest id;
 * without any nothing leaves, and that is counted. */
static void test_M6_failover(void)
{
	static const uint16_t weights[] = {1, 1, 1, 1};

	for (int mode = 0; mode < 2; mode++) {
		struct bed bed;

		begin_paths(&bed, true, mode ? SA_TRANSPORT : SA_TUNNEL, SCHEDULE_FAILOVER, weights,
			    3);
		CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 1);
		must_put(&bed, &bed.a, 1, 2, 1, true);
		must_put(&bed, &bed.a, 2, 2, 1, true);
		CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 3); /* now the others are backups */
		must_put(&bed, &bed.a, 3, 0, 1, false);
		CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 1);
		CU_ASSERT(info_of(&bed.a, 1).active && !info_of(&bed.a, 2).active);
		must_put(&bed, &bed.a, 1, 2, 1, false);
		CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 2);
		must_put(&bed, &bed.a, 2, 2, 1, false);
		CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 0);
		CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NO_PATH), 1);
		CU_ASSERT_EQUAL(table_of(&bed.a)->num_active, 0);
		must_put(&bed, &bed.a, 3, 7, 1, true);
		CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 3);
		CU_ASSERT_EQUAL(bed_drops(&bed.a), 1);
		counted(&bed, 3);
		bed_fini(&bed);
	}
}

/* A backup is one for the other schedules, too. */
static void test_M6_backup_waits(void)
{
	static const uint16_t weights[] = {1, 1, 1};

	for (int s = SCHEDULE_FLOW; s < SCHEDULE_NUM; s++) {
		struct bed bed;

		begin_paths(&bed, true, s & 1 ? SA_TRANSPORT : SA_TUNNEL, (enum path_schedule)s,
			    weights, 3);
		must_put(&bed, &bed.a, 3, 1, 1, true);
		for (uint16_t i = 0; i < 32; i++)
			leaves_by(&bed, i, 100);
		CU_ASSERT(went.num[1] > 0 && went.num[2] > 0 && went.num[3] == 0);
		must_put(&bed, &bed.a, 1, 0, 1, false);
		must_put(&bed, &bed.a, 2, 0, 1, false);
		CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 3);
		counted(&bed, 3);
		bed_fini(&bed);
	}
}

/* M7: with equal packets no path is ever a packet from its share, whatever the weights. */
static void test_M7_spray_by_weight(void)
{
	static const uint16_t rows[][3] = {
		{1, 1, 1}, {3, 1, 1}, {100, 30, 1}, {65535, 65534, 65533}, {7, 5, 3}};

	for (size_t r = 0; r < 2 * ARRAY_LEN(rows); r++) {
		const uint16_t *wt = rows[r / 2];
		const double all = wt[0] + wt[1] + wt[2];
		struct bed bed;

		begin_paths(&bed, true, r & 1 ? SA_TRANSPORT : SA_TUNNEL, SCHEDULE_SPRAY, wt, 3);
		for (uint32_t n = 1; n <= 400; n++) {
			CU_ASSERT_NOT_EQUAL(leaves_by(&bed, (uint16_t)n, 100), 0);
			for (uint32_t k = 1; k <= 3; k++) {
				const double off = went.num[k] - n * wt[k - 1] / all;

				CU_ASSERT(off > -1.5 && off < 1.5);
			}
		}
		counted(&bed, 3);
		bed_fini(&bed);
	}
}

static void spray_by_bytes(enum sa_mode mode)
{
	static const uint16_t weights[] = {2, 1};
	uint64_t all = 0;
	struct bed bed;

	begin_paths(&bed, true, mode, SCHEDULE_SPRAY, weights, 2);
	for (uint32_t n = 0; n < 600; n++) {
		leaves_by(&bed, (uint16_t)n, n % 3 ? 1200 : 10);
		all = went.bytes[1] + went.bytes[2];
		CU_ASSERT(went.bytes[1] * 3 + 3 * 1300 > all * 2);
		CU_ASSERT(went.bytes[1] * 3 < all * 2 + 3 * 1300);
	}
	CU_ASSERT(all > 400 * 1200);
	counted(&bed, 2);
	bed_fini(&bed);
}

/* Bytes count: of long and short packets each path gets its weight's share, and never more than a
 * packet beyond it. */
static void test_M7_spray_by_bytes(void)
{
	spray_by_bytes(SA_TUNNEL);
	spray_by_bytes(SA_TRANSPORT);
}

/* What a path missed while it was not usable, or before it was there, is not made up for. */
static void test_M7_spray_without_bursts(void)
{
	static const uint16_t weights[] = {1, 1};
	uint32_t before[4];
	struct bed bed;

	begin_paths(&bed, true, SA_TUNNEL, SCHEDULE_SPRAY, weights, 2);
	must_put(&bed, &bed.a, 2, 0, 1, false);
	for (uint16_t i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(leaves_by(&bed, i, 100), 1);
	must_put(&bed, &bed.a, 2, 0, 1, true);
	memcpy(before, went.num, sizeof(before));
	for (uint16_t i = 0; i < 20; i++)
		leaves_by(&bed, i, 100);
	CU_ASSERT_EQUAL(went.num[1] - before[1], 10);
	CU_ASSERT_EQUAL(went.num[2] - before[2], 10);
	must_put(&bed, &bed.a, 3, 0, 2, true);
	memcpy(before, went.num, sizeof(before));
	for (uint16_t i = 0; i < 40; i++)
		leaves_by(&bed, i, 100);
	CU_ASSERT_EQUAL(went.num[1] - before[1], 10);
	CU_ASSERT_EQUAL(went.num[2] - before[2], 10);
	CU_ASSERT_EQUAL(went.num[3] - before[3], 20);
	bed_fini(&bed);
}

/* A whole vector at once: in order on each path, and alternately on the two. */
static void test_M7_spray_of_a_vector(void)
{
	static const uint16_t weights[] = {1, 1};
	uint32_t seq[PATHS_MAX + 2] = {0};
	struct path_addr to;
	struct bed bed;
	size_t len;

	begin_paths(&bed, true, SA_TUNNEL, SCHEDULE_SPRAY, weights, 2);
	for (uint16_t i = 0; i < 100; i++)
		bed_send(&bed.a, buf, bed_udp4(buf, true, i, 9, 3, 100));
	while (bed_turn_one(&bed, &bed.a))
		;
	while (memory_take(bed.a.wire, got, sizeof(got), &len, &to)) {
		const uint32_t k = to.remote.port - PORT0, last = seq[k];

		seq[k] = load_be32(got + 4);
		CU_ASSERT(seq[k] == (last ? last + 2 : k));
		went.num[k]++;
		went.bytes[k] += len;
	}
	CU_ASSERT(went.num[1] == 50 && went.num[2] == 50);
	counted(&bed, 2);
	bed_fini(&bed);
}

/* owners - of 600 flows: the path of each. */
static void owners(struct bed *bed, uint16_t of[static 600])
{
	for (uint16_t f = 0; f < 600; f++) {
		of[f] = leaves_by(bed, f, 40);
		CU_ASSERT_NOT_EQUAL(of[f], 0);
		CU_ASSERT_EQUAL(leaves_by(bed, f, 900), of[f]);
	}
}

/* buckets - so many the path has. */
static uint32_t buckets(const struct side *s, uint16_t k)
{
	const struct path_table *t = table_of(s);
	uint32_t num = 0;

	for (uint32_t b = 0; b < PATH_BUCKETS; b++)
		num += t->path[t->buckets[b]].id == k;
	return num;
}

static void flow_stays(enum sa_mode mode)
{
	static const uint16_t weights[] = {1, 2, 5};
	uint16_t before[600], after[600];
	uint32_t moved = 0;
	struct bed bed;

	begin_paths(&bed, true, mode, SCHEDULE_FLOW, weights, 3);
	CU_ASSERT(buckets(&bed.a, 1) == 32 && buckets(&bed.a, 2) == 64 &&
		  buckets(&bed.a, 3) == 160);
	owners(&bed, before);
	owners(&bed, after);
	CU_ASSERT_EQUAL(memcmp(before, after, sizeof(before)), 0);
	/* 600 flows by chance into buckets: 375 of them are expected at path 3. */
	CU_ASSERT(went.num[3] > 4 * 320 && went.num[3] < 4 * 430);
	CU_ASSERT(went.num[1] > 4 * 45 && went.num[1] < 4 * 110);
	must_put(&bed, &bed.a, 1, 0, 1, false);
	CU_ASSERT(buckets(&bed.a, 2) == 73 && buckets(&bed.a, 3) == 183);
	owners(&bed, after);
	for (int f = 0; f < 600; f++)
		CU_ASSERT(before[f] == 1 ? after[f] != 1 : after[f] == before[f]);
	must_put(&bed, &bed.a, 1, 0, 1, true);
	CU_ASSERT_EQUAL(buckets(&bed.a, 1), 32);
	owners(&bed, before);
	for (int f = 0; f < 600; f++) {
		CU_ASSERT(before[f] == 1 || after[f] == before[f]);
		moved += after[f] != before[f];
	}
	CU_ASSERT(moved > 40 && moved < 120); /* 32 of 256 buckets */
	counted(&bed, 3);
	bed_fini(&bed);
}

/* M7, M8: a flow stays on its path, flows are shared out by weight, and when a path goes or comes
 * only those change that must. */
static void test_M8_flow(void)
{
	flow_stays(SA_TUNNEL);
	flow_stays(SA_TRANSPORT);
}

/* Shares that are no whole numbers: the next above or below, and all buckets are somebody's. */
static void test_M8_shares(void)
{
	static const uint16_t rows[][PATHS_MAX] = {{1, 1, 1},
						   {65535, 1},
						   {1, 2, 3, 4, 5, 6, 7, 8},
						   {65535, 65535, 1},
						   {9, 9, 9, 9, 9}};

	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		uint32_t all = 0, sum = 0;
		uint16_t num = 0;
		struct bed bed;

		while (num < PATHS_MAX && rows[r][num])
			all += rows[r][num++];
		begin_paths(&bed, true, SA_TUNNEL, SCHEDULE_FLOW, rows[r], num);
		for (uint16_t k = 1; k <= num; k++) {
			const uint32_t has = buckets(&bed.a, k), want = 256u * rows[r][k - 1] / all;

			CU_ASSERT(has == want || has == want + 1);
			sum += has;
		}
		CU_ASSERT_EQUAL(sum, PATH_BUCKETS);
		bed_fini(&bed);
	}
}

/* What one packet is cut into stays one flow: segments of a super-packet, fragments. */
static void test_M8_parts_of_one(void)
{
	static const uint16_t weights[] = {1, 1};
	struct bed bed;

	memset(&went, 0, sizeof(went));
	bed_init(&bed,
		 &(struct bed_options){.open_wire = true, .frame_len = 65536, .num_packets = 512});
	bed_pair(&bed, 1, NULL);
	for (uint16_t k = 1; k <= 2; k++)
		must_put(&bed, &bed.a, k, 0, weights[k - 1], true);
	CU_ASSERT_EQUAL(dataplane_path_schedule(bed.a.dp, bed.a.pathset, SCHEDULE_FLOW), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_path_mtu(bed.a.dp, bed.a.pathset, 2, 600), ERR_OK);
	for (uint16_t flow = 0; flow < 32; flow++) {
		struct shape s = {.udp = true, .seg_len = 200, .len = 4000};
		const uint16_t of = leaves_by(&bed, flow, 40);
		size_t n = shape_super(big, &s);
		uint16_t k;

		CU_ASSERT_EQUAL(memory_inject_super(bed.a.host, big, n, s.seg_len, NULL), ERR_OK);
		bed_turn_one(&bed, &bed.a);
		const uint32_t one = went.num[1], two = went.num[2];

		CU_ASSERT_EQUAL(collect(&bed, &k), 20);
		CU_ASSERT(went.num[1] - one == 20 || went.num[2] - two == 20);
		bed_send(&bed.a, buf, bed_udp4(buf, true, flow, 9, 3, 1400));
		bed_turn_one(&bed, &bed.a);
		const uint32_t before = went.num[of];

		CU_ASSERT(collect(&bed, &k) >= 3 && k == of);
		CU_ASSERT(went.num[of] - before >= 3);
	}
	CU_ASSERT(went.num[1] > 0 && went.num[2] > 0);
	counted(&bed, 2);
	bed_fini(&bed);
}

/* M16: every packet goes by every active path, one at least comes, and one alone is delivered: the
 * replay window takes the others. The books balance at every turn. */
static void test_M16_duplicate(void)
{
	static const uint16_t weights[] = {1, 1, 1};

	for (int mode = 0; mode < 2; mode++) {
		struct dataplane_stats st;
		struct bed bed;

		begin_paths(&bed, false, mode ? SA_TRANSPORT : SA_TUNNEL, SCHEDULE_DUPLICATE,
			    weights, 3);
		for (uint32_t i = 0; i < 100; i++) {
			size_t n = bed_udp4(buf, true, 7, 9, i, i * 12);

			bed_send(&bed.a, buf, n);
			bed_turn(&bed);
			CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
			CU_ASSERT_EQUAL(memcmp(got + 28, buf + 28, n - 28), 0);
			CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
		}
		CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), 200);
		dataplane_stats(bed.a.dp, &st);
		CU_ASSERT_EQUAL(st.made, 200);
		CU_ASSERT_EQUAL(st.tx_packets, 300);
		for (uint16_t k = 1; k <= 3; k++)
			CU_ASSERT_EQUAL(info_of(&bed.a, k).tx_packets, 100);
		CU_ASSERT_EQUAL(info_of(&bed.a, 1).tx_bytes, info_of(&bed.a, 3).tx_bytes);
		CU_ASSERT_EQUAL(bed_events(&bed.b, DP_EVENT_MOVED), 0);
		bed_fini(&bed);
	}
}

/* lost - by chance: one of five. */
static bool lost(struct rng_seeded *rng)
{
	return shape_below(rng, 5) == 0;
}

static void fly_in_duplicate(enum sa_mode mode)
{
	static const uint16_t weights[] = {1, 1};
	uint32_t num = 0, last = 0;
	struct rng_seeded rng;
	struct path_addr to;
	struct bed bed;
	size_t len;

	rng_seeded_init(&rng, 16);
	begin_paths(&bed, true, mode, SCHEDULE_DUPLICATE, weights, 2);
	for (uint32_t i = 1; i <= 5000; i++) {
		bed_send(&bed.a, buf, bed_udp4(buf, true, 7, 9, i, 60));
		bed_turn_one(&bed, &bed.a);
		while (memory_take(bed.a.wire, got, sizeof(got), &len, &to)) {
			struct path_addr from =
				addr_of(&bed, &bed.b, (uint16_t)(to.remote.port - PORT0));

			if (!lost(&rng))
				CU_ASSERT_EQUAL(memory_inject(bed.b.wire, got, len, &from), ERR_OK);
		}
		bed_turn_one(&bed, &bed.b);
		while (bed_receive(&bed.b, got)) {
			CU_ASSERT(load_be32(got + 28) > last);
			last = load_be32(got + 28);
			num++;
		}
	}
	tap_diag("%u of 5000 came", num);
	CU_ASSERT(num >= 4750 && num < 4900);
	bed_fini(&bed);
}

/* M16: each of two paths loses a fifth by chance: a twenty-fifth is lost to the application, and
 * nothing comes twice. */
static void test_M16_lossy_paths(void)
{
	fly_in_duplicate(SA_TUNNEL);
	fly_in_duplicate(SA_TRANSPORT);
}

/* told - packets of a class that leave by each path with the DSCP that they have. */
static void told(enum sa_mode mode, enum path_schedule schedule)
{
	static const uint16_t weights[] = {1, 1, 1};
	const uint8_t ef = 46 << 2;
	struct child_stats st;
	struct memory_meta m;
	uint32_t by = 0;
	struct bed bed;
	size_t len;

	begin_paths(&bed, true, mode, schedule, weights, 3);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.b.dp, &st, 1), ERR_OK);
	CU_ASSERT_NOT_EQUAL(st.token, 0);
	for (uint16_t i = 0; i < 60; i++) {
		uint32_t num = 0;

		len = bed_udp4(buf, true, i, 9, i, 60);
		buf[1] = ef;
		bed_send(&bed.a, buf, len);
		bed_turn_one(&bed, &bed.a);
		while (memory_take_meta(bed.a.wire, got, sizeof(got), &len, &m)) {
			const uint16_t k = (uint16_t)(m.to.remote.port - PORT0);
			const struct path_addr from = addr_of(&bed, &bed.b, k);

			CU_ASSERT_EQUAL(m.dscp_ecn, ef);
			CU_ASSERT_EQUAL(memory_inject(bed.b.wire, got, len, &from), ERR_OK);
			by |= 1u << k;
		}
		bed_turn_one(&bed, &bed.b);
		while (memory_take_meta(bed.b.host, got, sizeof(got), &len, &m)) {
			CU_ASSERT_EQUAL(m.token, st.token);
			CU_ASSERT(got[1] == ef ||
				  mode == SA_TRANSPORT); /* there it is the outer one */
			num++;
		}
		CU_ASSERT_EQUAL(num, 1);
	}
	CU_ASSERT_EQUAL(by, schedule == SCHEDULE_FAILOVER ? 2 : 14);
	bed_fini(&bed);
}

/* M11: by whatever path a packet goes its class is told, and its DSCP is that of the sender. */
static void test_M11_by_every_path(void)
{
	for (int s = SCHEDULE_FAILOVER; s <= SCHEDULE_DUPLICATE; s++) {
		told(SA_TUNNEL, (enum path_schedule)s);
		told(SA_TRANSPORT, (enum path_schedule)s);
	}
}

/* Without a buffer a copy is dropped, and that is counted; the packet itself goes on. */
static void test_M16_no_buffer(void)
{
	struct bed bed;
	uint32_t sent = 0;

	memset(&went, 0, sizeof(went));
	bed_init(&bed, &(struct bed_options){.open_wire = true, .num_packets = 20});
	bed_pair(&bed, 1, NULL);
	must_put(&bed, &bed.a, 1, 0, 1, true);
	must_put(&bed, &bed.a, 2, 0, 1, true);
	CU_ASSERT_EQUAL(dataplane_path_schedule(bed.a.dp, bed.a.pathset, SCHEDULE_DUPLICATE),
			ERR_OK);
	for (uint16_t i = 0; i < 16; i++)
		bed_send(&bed.a, buf, bed_udp4(buf, true, i, 9, 3, 100));
	while (bed_turn_one(&bed, &bed.a))
		;
	sent = collect(&bed, NULL);
	CU_ASSERT_EQUAL(went.num[1], 16);
	CU_ASSERT_EQUAL(went.num[2], 4);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_NO_BUFFER), 12);
	CU_ASSERT_EQUAL(sent + bed_drops(&bed.a), 32);
	counted(&bed, 2);
	bed_fini(&bed);
}

/* A path's arrivals are counted by their addresses, and only who comes from those of none has
 * moved. */
static void test_arrivals(void)
{
	static const uint16_t weights[] = {1, 1, 1};
	static const uint16_t by[] = {1, 2, 2, 3, 1, 9, 3, 9};
	uint64_t packets[10] = {0}, bytes[10] = {0};
	struct path_addr from, to;
	struct dp_event ev;
	struct bed bed;
	size_t len;

	begin_paths(&bed, true, SA_TUNNEL, SCHEDULE_FAILOVER, weights, 3);
	for (size_t i = 0; i < ARRAY_LEN(by); i++) {
		bed_send(&bed.a, buf, bed_udp4(buf, true, 7, 9, 3, 60 + i));
		bed_turn_one(&bed, &bed.a);
		CU_ASSERT_FATAL(memory_take(bed.a.wire, got, sizeof(got), &len, &to));
		from = addr_of(&bed, &bed.b, by[i]);
		CU_ASSERT_EQUAL(memory_inject(bed.b.wire, got, len, &from), ERR_OK);
		packets[by[i]]++;
		bytes[by[i]] += len;
	}
	bed_turn_one(&bed, &bed.b); /* all in one vector */
	for (uint16_t k = 1; k <= 3; k++) {
		CU_ASSERT_EQUAL(info_of(&bed.b, k).rx_packets, packets[k]);
		CU_ASSERT_EQUAL(info_of(&bed.b, k).rx_bytes, bytes[k]);
	}
	CU_ASSERT(bed_event(&bed.b, &ev) && ev.kind == DP_EVENT_CHILD_USED);
	CU_ASSERT(bed_event(&bed.b, &ev) && ev.kind == DP_EVENT_MOVED);
	CU_ASSERT_EQUAL(ev.path.local.port, PORT0 + 9);
	CU_ASSERT_FALSE(bed_event(&bed.b, &ev));
	for (size_t i = 0; i < ARRAY_LEN(by); i++)
		CU_ASSERT_NOT_EQUAL(bed_receive(&bed.b, got), 0); /* whatever they came by */
	bed_fini(&bed);
}

/* Counters go on when a path moves or others come and go; what was known of its MTU does not. */
static void test_changes(void)
{
	static const uint16_t weights[] = {1, 1};
	struct path_params p = {.id = 2, .weight = 1, .usable = true};
	struct path_info list[PATHS_MAX];
	struct bed bed;

	begin_paths(&bed, true, SA_TUNNEL, SCHEDULE_SPRAY, weights, 2);
	CU_ASSERT_EQUAL(dataplane_path_mtu(bed.a.dp, bed.a.pathset, 2, 1400), ERR_OK);
	for (uint16_t i = 0; i < 10; i++)
		leaves_by(&bed, i, 100);
	must_put(&bed, &bed.a, 2, 0, 7, true);
	CU_ASSERT_EQUAL(info_of(&bed.a, 2).pmtu, 1400);
	CU_ASSERT_EQUAL(info_of(&bed.a, 2).generation, 0);
	p.port = bed.a.outer;
	p.addr = addr_of(&bed, &bed.a, 8);
	CU_ASSERT_EQUAL(dataplane_path_put(bed.a.dp, bed.a.pathset, &p), ERR_OK);
	CU_ASSERT(info_of(&bed.a, 2).generation == 1 && info_of(&bed.a, 2).pmtu == 0);
	CU_ASSERT_EQUAL(info_of(&bed.a, 2).tx_packets, 5);
	must_put(&bed, &bed.a, 3, 0, 1, true);
	CU_ASSERT_EQUAL(dataplane_path_take(bed.a.dp, bed.a.pathset, 1), ERR_OK);
	CU_ASSERT_EQUAL(info_of(&bed.a, 2).tx_packets, 5);
	CU_ASSERT_EQUAL(info_of(&bed.a, 3).tx_packets, 0);
	dataplane_reclaim(bed.a.dp);
	for (uint16_t i = 0; i < 10; i++)
		leaves_by(&bed, i, 100);
	CU_ASSERT_EQUAL(went.num[8], 5);
	CU_ASSERT_EQUAL(info_of(&bed.a, 2).tx_packets, 10);
	CU_ASSERT_EQUAL(info_of(&bed.a, 3).tx_packets, 5);
	must_put(&bed, &bed.a, 2, 1, 1, true);
	CU_ASSERT_EQUAL(dataplane_path_list(bed.a.dp, list, bed.a.pathset), 2);
	CU_ASSERT(list[0].id == 3 && list[0].active && list[1].id == 2 && !list[1].active);
	CU_ASSERT(list[1].usable && list[1].priority == 1);
	bed_fini(&bed);
}

/* The narrowest of the active paths says how long packets may be, one in doubt whether they may be
 * cut; those that wait say nothing. */
static void test_narrowest(void)
{
	static const uint16_t weights[] = {1, 1, 1};
	struct bed bed;

	begin_paths(&bed, true, SA_TUNNEL, SCHEDULE_SPRAY, weights, 3);
	const struct sa_group *g = slots_get(bed.a.dp->groups, bed.a.group);
	const struct esp_sa *sa = g->newest;

	CU_ASSERT_EQUAL(fit_len(sa, table_of(&bed.a), bed.now), FIT_ANY);
	for (uint16_t k = 1; k <= 3; k++)
		CU_ASSERT_EQUAL(
			dataplane_path_mtu(bed.a.dp, bed.a.pathset, k, (uint16_t)(1500 - 100 * k)),
			ERR_OK);
	const uint32_t len = fit_by(sa, &table_of(&bed.a)->path[2], false, bed.now);

	CU_ASSERT_EQUAL(fit_len(sa, table_of(&bed.a), bed.now), len);
	CU_ASSERT(len < 1200);
	bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 9, 3, 1100)); /* too long for path 3 alone */
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT(collect(&bed, NULL) == 1);
	bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 9, 3, 1150));
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT(collect(&bed, NULL) == 2);
	CU_ASSERT(!path_in_doubt(table_of(&bed.a), bed.now));
	path_doubt(path_set_find(slots_get(bed.a.dp->pathsets, bed.a.pathset), 3), bed.now);
	CU_ASSERT(path_in_doubt(table_of(&bed.a), bed.now));
	must_put(&bed, &bed.a, 3, 1, 1, true);
	CU_ASSERT(fit_len(sa, table_of(&bed.a), bed.now) > len + 90);
	CU_ASSERT(!path_in_doubt(table_of(&bed.a), bed.now));
	bed_fini(&bed);
}

/* What cannot be: nothing changes. */
static void test_refused(void)
{
	static const uint16_t weights[] = {1, 1, 1, 1, 1, 1, 1, 1};
	struct path_info info;
	struct bed bed;
	const uint32_t no_set = 0;

	begin_paths(&bed, true, SA_TUNNEL, SCHEDULE_FLOW, weights, PATHS_MAX);
	CU_ASSERT_EQUAL(put(&bed, &bed.a, 9, 0, 1, true), ERR_FULL);
	CU_ASSERT_EQUAL(put(&bed, &bed.a, 0, 0, 1, true), ERR_INVAL);
	CU_ASSERT_EQUAL(put(&bed, &bed.a, 1, 0, 0, true), ERR_INVAL);
	CU_ASSERT_EQUAL(dataplane_path_info(bed.a.dp, &info, bed.a.pathset, 9), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_path_info(bed.a.dp, &info, no_set, 1), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_path_take(bed.a.dp, bed.a.pathset, 9), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_path_take(bed.a.dp, no_set, 1), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_path_mtu(bed.a.dp, bed.a.pathset, 9, 1400), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_path_schedule(bed.a.dp, no_set, SCHEDULE_FLOW), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_path_schedule(bed.a.dp, bed.a.pathset, SCHEDULE_NUM), ERR_INVAL);
	for (uint16_t k = 1; k < PATHS_MAX; k++)
		CU_ASSERT_EQUAL(dataplane_path_take(bed.a.dp, bed.a.pathset, k), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_path_take(bed.a.dp, bed.a.pathset, PATHS_MAX), ERR_BUSY);
	for (uint64_t n = 1; n < 3; n++) {
		alloc_fail_nth(n);
		CU_ASSERT_EQUAL(put(&bed, &bed.a, 1, 0, 1, true), ERR_NOMEM);
		alloc_fail_nth(0);
	}
	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(put(&bed, &bed.a, PATHS_MAX, 0, 1, false), ERR_NOMEM);
	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(dataplane_path_schedule(bed.a.dp, bed.a.pathset, SCHEDULE_SPRAY),
			ERR_NOMEM);
	alloc_fail_nth(0);
	CU_ASSERT(table_of(&bed.a)->num == 1 && table_of(&bed.a)->path[0].usable);
	CU_ASSERT_EQUAL(table_of(&bed.a)->schedule, SCHEDULE_FLOW);
	CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), PATHS_MAX);
	bed_fini(&bed);
}

/* Workers that own no SA of a flow hand its packets over, and those without a queue what leaves. */
static void test_several_workers(void)
{
	for (int s = 0; s < SCHEDULE_NUM; s++) {
		struct dataplane_stats st;
		struct bed bed;

		bed_init(&bed, &(struct bed_options){
				       .num_workers = 3, .num_outer = 1, .handoff_packets = 64});
		bed_pair(&bed, 1, NULL);
		for (uint16_t k = 1; k <= 2; k++) {
			must_put(&bed, &bed.a, k, 0, 1, true);
			must_put(&bed, &bed.b, k, 0, 1, true);
		}
		CU_ASSERT_EQUAL(
			dataplane_path_schedule(bed.a.dp, bed.a.pathset, (enum path_schedule)s),
			ERR_OK);
		for (uint32_t i = 0; i < 40; i++) {
			bed_send_to(&bed.a, i % 3, buf,
				    bed_udp4(buf, true, (uint16_t)i, 9, i, 100));
			for (int turn = 0; turn < 3; turn++)
				bed_turn(&bed);
		}
		dataplane_stats(bed.b.dp, &st);
		CU_ASSERT_EQUAL(bed_drops(&bed.b), s == SCHEDULE_DUPLICATE ? 40 : 0);
		CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), bed_drops(&bed.b));
		const uint64_t one = info_of(&bed.b, 1).rx_packets;
		const uint64_t two = info_of(&bed.b, 2).rx_packets;

		CU_ASSERT_EQUAL(one + two, 40);
		CU_ASSERT(s == SCHEDULE_FAILOVER    ? two == 0
			  : s != SCHEDULE_DUPLICATE ? two > 9
						    : 1);
		bed_fini(&bed);
	}
}

/* Paths come, go and change while workers send by them: nothing is lost, and nobody reads what is
 * gone (with the sanitizers that is the test). */
static void test_changes_under_traffic(void)
{
	static const uint16_t weights[] = {1, 1};
	const uint64_t end = clock_now_ns() + 60 * NS_PER_S;
	uint32_t sent = 0, num = 0, turn = 0;
	struct bed bed;

	begin_paths(&bed, false, SA_TUNNEL, SCHEDULE_SPRAY, weights, 2);
	bed.threaded = true;
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.a.dp), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(bed.b.dp), ERR_OK);
	while (num < 6000 && clock_now_ns() < end) {
		for (int i = 0; i < 16 && sent < 6000 && sent - num < 48; i++)
			bed_send(&bed.a, buf,
				 bed_udp4(buf, true, (uint16_t)(sent % 50), 9, sent, 80)),
				sent++;
		while (bed_receive(&bed.b, got))
			num++;
		const uint16_t k = (uint16_t)(2 + turn % 4);

		if (put(&bed, &bed.a, k, (uint8_t)(turn % 3), 3, turn % 5) == ERR_OK && turn % 3)
			CU_ASSERT_EQUAL(dataplane_path_take(bed.a.dp, bed.a.pathset, k), ERR_OK);
		CU_ASSERT_EQUAL(
			dataplane_path_schedule(bed.a.dp, bed.a.pathset,
						(enum path_schedule)(turn % SCHEDULE_DUPLICATE)),
			ERR_OK);
		turn++;
		bed_events(&bed.b, DP_EVENT_MOVED);
		dataplane_reclaim(bed.a.dp);
		dataplane_reclaim(bed.b.dp);
	}
	dataplane_stop(bed.a.dp);
	dataplane_stop(bed.b.dp);
	CU_ASSERT_EQUAL(num, 6000);
	CU_ASSERT(turn > 100);
	CU_ASSERT_EQUAL(bed_drops(&bed.a) + bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

/* M7: one path carries all for a time, though others are active, and these are as they were when it
 * ends: by its word, or as the path is not active any more. */
static void test_M7_one_carries_all(void)
{
	static const uint16_t weights[] = {1, 1, 2};
	struct bed bed;

	begin_paths(&bed, true, SA_TUNNEL, SCHEDULE_SPRAY, weights, 3);
	CU_ASSERT_EQUAL(set_alone(&bed.a, 3), ERR_OK);
	for (uint16_t i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(leaves_by(&bed, i, 100), 3);
	for (uint16_t k = 1; k <= 3; k++)
		CU_ASSERT(info_of(&bed.a, k).active);
	CU_ASSERT_EQUAL(num_even(&bed.a), 3);
	CU_ASSERT_EQUAL(table_of(&bed.a)->path[0].id, 1); /* it is the set's first one still */
	CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 1), ERR_OK);
	CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 1); /* a tie goes before */
	CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 0), ERR_OK);
	CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 3);
	CU_ASSERT_EQUAL(set_alone(&bed.a, 0), ERR_OK);
	CU_ASSERT_EQUAL(num_even(&bed.a), 0);
	for (uint16_t i = 0; i < 16; i++)
		leaves_by(&bed, i, 100);
	CU_ASSERT_EQUAL(went.num[1], 1 + 4); /* what they missed is not made up for */
	CU_ASSERT_EQUAL(went.num[2], 4);
	CU_ASSERT_EQUAL(went.num[3], 17 + 8);

	CU_ASSERT_EQUAL(set_alone(&bed.a, 2), ERR_OK);
	CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 2);
	CU_ASSERT_EQUAL(num_even(&bed.a), 3);
	must_put(&bed, &bed.a, 2, 0, 1, false); /* a hole */
	CU_ASSERT_EQUAL(num_even(&bed.a), 0);
	for (uint16_t i = 0; i < 16; i++)
		leaves_by(&bed, i, 100);
	must_put(&bed, &bed.a, 2, 0, 1, true);
	for (uint16_t i = 0; i < 16; i++)
		leaves_by(&bed, i, 100);
	CU_ASSERT(went.num[1] > 5 + 6 && went.num[2] > 4 + 1 && went.num[3] > 25 + 12);

	CU_ASSERT_EQUAL(set_alone(&bed.a, 2), ERR_OK);
	must_put(&bed, &bed.a, 3, 0, 2, false);
	CU_ASSERT_PTR_NOT_NULL(table_of(&bed.a)->alone);
	must_put(&bed, &bed.a, 3, 0, 2, true); /* how late that is has to be found out anew */
	CU_ASSERT_EQUAL(num_even(&bed.a), 2);
	must_put(&bed, &bed.a, 1, 0, 1, false);
	must_put(&bed, &bed.a, 3, 0, 2, false);
	CU_ASSERT_PTR_NULL(table_of(&bed.a)->alone); /* the one that is left waits for none */
	CU_ASSERT_EQUAL(num_even(&bed.a), 0);
	must_put(&bed, &bed.a, 1, 0, 1, true);
	must_put(&bed, &bed.a, 3, 0, 2, true);
	CU_ASSERT_PTR_NULL(table_of(&bed.a)->alone);

	CU_ASSERT_EQUAL(set_alone(&bed.a, 2), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_path_schedule(bed.a.dp, bed.a.pathset, SCHEDULE_DUPLICATE),
			      ERR_OK);
	CU_ASSERT_EQUAL(leaves_by(&bed, 1, 100), 0); /* in copies */
	counted(&bed, 3);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M6_failover),
	TAP_TEST(test_M6_backup_waits),
	TAP_TEST(test_M7_spray_by_weight),
	TAP_TEST(test_M7_spray_by_bytes),
	TAP_TEST(test_M7_spray_without_bursts),
	TAP_TEST(test_M7_spray_of_a_vector),
	TAP_TEST(test_M7_one_carries_all),
	TAP_TEST(test_M8_flow),
	TAP_TEST(test_M8_shares),
	TAP_TEST(test_M8_parts_of_one),
	TAP_TEST(test_M16_duplicate),
	TAP_TEST(test_M16_lossy_paths),
	TAP_TEST(test_M11_by_every_path),
	TAP_TEST(test_M16_no_buffer),
	TAP_TEST(test_arrivals),
	TAP_TEST(test_changes),
	TAP_TEST(test_narrowest),
	TAP_TEST(test_refused),
	TAP_TEST(test_several_workers),
	TAP_TEST(test_changes_under_traffic),
};

TAP_MAIN("dataplane/paths", tests)
