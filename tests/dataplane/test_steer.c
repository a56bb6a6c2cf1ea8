/* SPDX-License-Identifier: Apache-2.0 */
/* Rules by which packets go by a path of their own (M8). Path k of a test is B's port 4499 + k. */
#include "base/alloc.h"
#include "dataplane/fit.h"
#include "dataplane/steer.h"
#include "tests/dataplane/shape.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define EF     46 /* RFC 3246 */
#define BIT(n) (UINT64_C(1) << (n))

static uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET], big[65536];
static enum sa_mode mode;

static struct ts ts_of(const char *text)
{
	struct ts ts = {0};

	CU_ASSERT_EQUAL_FATAL(ts_parse(&ts, text), ERR_OK);
	return ts;
}

static void tweak(struct child_params *p, bool is_a)
{
	p->mif = true;
	bed_mode(p, is_a, mode);
}

static bool leaving; /* of what put() puts */

static void put(const struct bed *bed, uint16_t k, uint8_t priority, bool usable)
{
	struct path_params p = {.id = k,
				.port = bed->a.outer,
				.addr = bed->a.path,
				.priority = priority,
				.weight = 1,
				.usable = usable,
				.leaving = leaving};

	p.addr.remote.port = (uint16_t)(4499 + k);
	CU_ASSERT_EQUAL_FATAL(dataplane_path_put(bed->a.dp, bed->a.pathset, &p), ERR_OK);
}

/* begin_rules - path 1 is the one that is used, 2 and 3 are backups. */
static void begin_rules(struct bed *bed, enum sa_mode m, const struct path_rule *rules,
			uint32_t num)
{
	mode = m;
	bed_init(bed,
		 &(struct bed_options){.open_wire = true, .frame_len = 65536, .num_packets = 512});
	bed_pair(bed, 1, tweak);
	for (uint16_t k = 1; k <= 3; k++)
		put(bed, k, k > 1, true);
	CU_ASSERT_EQUAL_FATAL(dataplane_path_rules(bed->a.dp, bed->a.pathset, rules, num), ERR_OK);
}

/* collect - datagrams on the wire; *out_path: theirs, 0 if they went by several. */
static uint32_t collect(struct bed *bed, uint16_t *out_path)
{
	struct path_addr to;
	uint32_t num = 0;
	size_t len;

	*out_path = 0;
	while (memory_take(bed->a.wire, got, sizeof(got), &len, &to)) {
		const uint16_t k = (uint16_t)(to.remote.port - 4499);

		*out_path = num == 0 || *out_path == k ? k : 0;
		num++;
	}
	return num;
}

/* leaves_by - the path of one packet to this port with this DSCP. */
static uint16_t leaves_by(struct bed *bed, uint16_t port, uint8_t dscp)
{
	uint16_t k;
	size_t n = bed_udp4(buf, true, 1, port, 3, 100);

	buf[1] = (uint8_t)(dscp << 2);
	bed_send(&bed->a, buf, n);
	bed_turn_one(bed, &bed->a);
	return collect(bed, &k) == 1 ? k : 0;
}

/* M8: a class goes by its path while that is usable, and then by the schedule's. */
static void test_M8_dscp(void)
{
	const struct path_rule rule = {.path = 2, .dscps = BIT(EF)};

	for (int i = 0; i < 2; i++) {
		struct bed bed;
		size_t n;
		uint16_t k;

		begin_rules(&bed, i ? SA_TRANSPORT : SA_TUNNEL, &rule, 1);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF), 2);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 1);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF + 1), 1);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 63), 1);
		put(&bed, 2, 1, false);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF), 1);
		put(&bed, 2, 1, true);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF), 2);
		CU_ASSERT_EQUAL(dataplane_path_take(bed.a.dp, bed.a.pathset, 2), ERR_OK);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF), 1);
		put(&bed, 2, 1, true); /* it need not be there when the rule is made */
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF), 2);
		if (mode == SA_TUNNEL) {
			n = bed_udp6(buf, true, 1, 9, 3, 100);
			store_be16(buf, 0x6000 | EF << 6);
			bed_send(&bed.a, buf, n);
			bed_turn_one(&bed, &bed.a);
			CU_ASSERT(collect(&bed, &k) == 1 && k == 2);
		}
		CU_ASSERT_EQUAL(dataplane_path_rules(bed.a.dp, bed.a.pathset, NULL, 0), ERR_OK);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF), 1);
		CU_ASSERT_EQUAL(bed.a.dp->workers[0]->num_steered, 0);
		CU_ASSERT_EQUAL(bed_drops(&bed.a), 0);
		bed_fini(&bed);
	}
}

/* M8: by selectors, with a side left open, and of several rules by the first that matches. */
static void test_M8_selectors(void)
{
	const struct path_rule rules[] = {
		{.path = 3, .remote = ts_of("10.2.0.0/16[udp/53]")},
		{.path = 2, .dscps = BIT(EF), .remote = ts_of("10.2.0.0/16[udp/53-60]")},
		{.path = 2, .local = ts_of("10.1.0.1[udp/1]"), .remote = ts_of("10.2.0.1[udp/70]")},
		{.path = 1, .local = ts_of("10.9.0.0/16")},
	};
	struct bed bed;
	uint16_t k;
	size_t n;

	begin_rules(&bed, SA_TUNNEL, rules, ARRAY_LEN(rules));
	CU_ASSERT_EQUAL(leaves_by(&bed, 53, EF), 3);
	CU_ASSERT_EQUAL(leaves_by(&bed, 54, EF), 2);
	CU_ASSERT_EQUAL(leaves_by(&bed, 54, 0), 1);
	CU_ASSERT_EQUAL(leaves_by(&bed, 70, 0), 2);
	CU_ASSERT_EQUAL(leaves_by(&bed, 71, 0), 1);
	n = bed_udp6(buf, true, 1, 53, 3, 100); /* of another family */
	bed_send(&bed.a, buf, n);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT(collect(&bed, &k) == 1 && k == 1);
	bed_fini(&bed);
}

/* M8: whatever the schedule is: one path, one copy. */
static void test_M8_any_schedule(void)
{
	const struct path_rule rule = {.path = 3, .dscps = BIT(EF)};

	for (int s = 0; s < SCHEDULE_NUM; s++) {
		struct bed bed;
		uint32_t by[4] = {0};

		begin_rules(&bed, SA_TUNNEL, &rule, 1);
		put(&bed, 2, 0, true);
		CU_ASSERT_EQUAL(
			dataplane_path_schedule(bed.a.dp, bed.a.pathset, (enum path_schedule)s),
			ERR_OK);
		for (uint16_t port = 1; port < 30; port++) {
			CU_ASSERT_EQUAL(leaves_by(&bed, port, EF), 3);
			by[leaves_by(&bed, port, 0)]++;
		}
		CU_ASSERT_EQUAL(by[3], 0);
		CU_ASSERT(s == SCHEDULE_DUPLICATE ? by[0] == 29 : by[0] == 0);
		bed_fini(&bed);
	}
}

/* A vector of both kinds, and a control message: each goes its way, in order. */
static void test_M8_mixed(void)
{
	const struct path_rule rule = {.path = 2, .dscps = BIT(EF)};
	uint32_t num[4] = {0}, seq[4] = {0};
	struct path_addr to;
	struct bed bed;
	size_t len;

	begin_rules(&bed, SA_TUNNEL, &rule, 1);
	for (uint32_t i = 0; i < 60; i++) {
		size_t n = bed_udp4(buf, true, 1, 9, i, 100);

		buf[1] = i % 3 ? 0 : EF << 2;
		bed_send(&bed.a, buf, n);
	}
	CU_ASSERT_EQUAL(dataplane_probe_send(bed.a.dp, 1, 3, buf, 96), ERR_OK);
	bed_turn_one(&bed, &bed.a);
	while (memory_take(bed.a.wire, got, sizeof(got), &len, &to)) {
		const uint32_t k = to.remote.port - 4499u;

		CU_ASSERT(load_be32(got + 4) > seq[k]);
		seq[k] = load_be32(got + 4);
		num[k]++;
	}
	CU_ASSERT(num[1] == 40 && num[2] == 20 && num[3] == 1);
	bed_fini(&bed);
}

/* Parts of one packet go by its path. */
static void test_M8_parts(void)
{
	const struct path_rule rule = {.path = 2, .local = ts_of("10.0.0.0/8")};
	struct shape s = {.udp = true, .seg_len = 200, .len = 4000};
	struct bed bed;
	uint16_t k;
	size_t n;

	begin_rules(&bed, SA_TUNNEL, &rule, 1);
	n = shape_super(big, &s);
	CU_ASSERT_EQUAL(memory_inject_super(bed.a.host, big, n, s.seg_len, NULL), ERR_OK);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT(collect(&bed, &k) == 20 && k == 2);
	CU_ASSERT_EQUAL(dataplane_path_mtu(bed.a.dp, bed.a.pathset, 2, 600), ERR_OK);
	bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 9, 3, 1400));
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT(collect(&bed, &k) >= 3 && k == 2);
	bed_fini(&bed);
}

/* A path that rules name says how long packets may be, as an active one does, while it is usable.
 */
static void test_M8_narrowest(void)
{
	const struct path_rule rule = {.path = 3, .dscps = BIT(EF)};
	struct bed bed;

	begin_rules(&bed, SA_TUNNEL, &rule, 1);
	const struct sa_group *g = slots_get(bed.a.dp->groups, bed.a.group);
	const struct path_set *s = slots_get(bed.a.dp->pathsets, bed.a.pathset);

	for (uint16_t k = 1; k <= 3; k++)
		CU_ASSERT_EQUAL(
			dataplane_path_mtu(bed.a.dp, bed.a.pathset, k, (uint16_t)(1500 - 100 * k)),
			ERR_OK);
	const uint32_t len = fit_len(g->newest, s->table, bed.now);

	CU_ASSERT_EQUAL(len, fit_by(g->newest, path_with(s->table, 3), false, bed.now));
	put(&bed, 3, 1, false);
	CU_ASSERT_EQUAL(fit_len(g->newest, s->table, bed.now),
			fit_by(g->newest, path_with(s->table, 1), false, bed.now));
	CU_ASSERT(fit_len(g->newest, s->table, bed.now) > len);
	bed_fini(&bed);
}

/* M5: packets of a tied SA go by its path while that is usable; a rule knows better; other SAs of
 * the peer go as they went. */
static void test_M5_tied(void)
{
	const struct path_rule rule = {.path = 3, .dscps = BIT(EF)};

	for (int i = 0; i < 2; i++) {
		struct bed bed;

		begin_rules(&bed, i ? SA_TRANSPORT : SA_TUNNEL, &rule, 1);
		CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 2), ERR_OK);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 2);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF), 3);
		put(&bed, 2, 1, false);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 1);
		put(&bed, 2, 1, true);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 2);
		bed_pair(&bed, 2, tweak); /* re-keyed, and nobody said that it is tied */
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 1);
		CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 2, 7), ERR_OK);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 1); /* it need not be there yet */
		put(&bed, 7, 1, true);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 7);
		CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 2, 0), ERR_OK);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 1);
		CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 3, 2), ERR_NOT_FOUND);
		dataplane_child_remove(bed.a.dp, 1, CHILD_OUT);
		CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 2), ERR_NOT_FOUND);
		CU_ASSERT_EQUAL(bed_drops(&bed.a), 0);
		bed_fini(&bed);
	}
}

/* leave - path k carries only if no other one is usable. */
static void leave(const struct bed *bed, uint16_t k, bool usable)
{
	leaving = true;
	put(bed, k, 0, usable);
	leaving = false;
}

/* M15: nothing goes by a path that is left, whatever its priority, ties and rules say, while
 * another one is usable; where none is, all does. */
static void test_M15_left(void)
{
	const struct path_rule rule = {.path = 3, .dscps = BIT(EF)};

	for (int s = 0; s < SCHEDULE_NUM; s++) {
		struct bed bed;

		begin_rules(&bed, s % 2 ? SA_TRANSPORT : SA_TUNNEL, &rule, 1);
		CU_ASSERT_EQUAL(
			dataplane_path_schedule(bed.a.dp, bed.a.pathset, (enum path_schedule)s),
			ERR_OK);
		CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 2), ERR_OK);
		leave(&bed, 2, true);
		for (uint16_t port = 1; port < 30; port++)
			CU_ASSERT_EQUAL(leaves_by(&bed, port, 0), 1);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF), 3);
		leave(&bed, 3, true);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, EF), 1);
		put(&bed, 2, 1, true); /* taken back */
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 2);
		leave(&bed, 2, false);
		leave(&bed, 1, false);
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 3);
		put(&bed, 1, 255, true); /* the last priority goes before it */
		CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 1);
		CU_ASSERT_EQUAL(bed_drops(&bed.a), 0);
		bed_fini(&bed);
	}
}

/* M5: whatever the schedule is. */
static void test_M5_any_schedule(void)
{
	for (int s = 0; s < SCHEDULE_NUM; s++) {
		struct bed bed;

		begin_rules(&bed, SA_TUNNEL, NULL, 0);
		put(&bed, 2, 0, true);
		CU_ASSERT_EQUAL(
			dataplane_path_schedule(bed.a.dp, bed.a.pathset, (enum path_schedule)s),
			ERR_OK);
		CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 3), ERR_OK);
		for (uint16_t port = 1; port < 30; port++)
			CU_ASSERT_EQUAL(leaves_by(&bed, port, 0), 3);
		bed_fini(&bed);
	}
}

/* M5: the path to which an SA is tied says how long packets may be while it is so. */
static void test_M5_narrowest(void)
{
	struct bed bed;

	begin_rules(&bed, SA_TUNNEL, NULL, 0);
	const struct sa_group *g = slots_get(bed.a.dp->groups, bed.a.group);
	const struct path_set *s = slots_get(bed.a.dp->pathsets, bed.a.pathset);

	for (uint16_t k = 1; k <= 3; k++)
		CU_ASSERT_EQUAL(
			dataplane_path_mtu(bed.a.dp, bed.a.pathset, k, (uint16_t)(1500 - 100 * k)),
			ERR_OK);
	const uint32_t wide = fit_len(g->newest, s->table, bed.now);

	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 3), ERR_NOMEM);
	alloc_fail_nth(0);
	CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 1);
	put(&bed, 2, 1, true); /* the table is made anew */
	CU_ASSERT_EQUAL(fit_len(g->newest, s->table, bed.now), wide);
	CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 3), ERR_OK);
	CU_ASSERT_EQUAL(fit_len(g->newest, s->table, bed.now),
			fit_by(g->newest, path_with(s->table, 3), false, bed.now));
	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 0), ERR_NOMEM);
	alloc_fail_nth(0);
	CU_ASSERT_EQUAL(leaves_by(&bed, 9, 0), 3);
	CU_ASSERT_EQUAL(dataplane_child_path(bed.a.dp, 1, 0), ERR_OK);
	CU_ASSERT_EQUAL(fit_len(g->newest, s->table, bed.now), wide);
	bed_fini(&bed);
}

/* Who owns the SA steers, whoever the packet came to. */
static void test_several_workers(void)
{
	const struct path_rule rule = {.path = 2, .dscps = BIT(EF)};
	struct bed bed;
	uint16_t k;

	mode = SA_TUNNEL;
	bed_init(&bed, &(struct bed_options){.open_wire = true,
					     .num_workers = 3,
					     .num_outer = 1,
					     .handoff_packets = 64});
	bed_pair(&bed, 1, tweak);
	put(&bed, 2, 1, true);
	CU_ASSERT_EQUAL(dataplane_path_rules(bed.a.dp, bed.a.pathset, &rule, 1), ERR_OK);
	for (uint32_t i = 0; i < 6; i++) {
		size_t n = bed_udp4(buf, true, 1, 9, i, 100);

		buf[1] = i % 2 ? EF << 2 : 0;
		bed_send_to(&bed.a, i % 3, buf, n);
		for (int turn = 0; turn < 4; turn++)
			bed_turn_one(&bed, &bed.a);
		CU_ASSERT(collect(&bed, &k) == 1 && k == 1 + i % 2);
	}
	bed_fini(&bed);
}

static void test_refused(void)
{
	struct path_rule rules[PATH_RULES_MAX + 1], good = {.path = 1, .dscps = BIT(63)};
	struct path_rule bad[] = {
		{.path = 0, .dscps = 1},
		{.path = 1},
		{.path = 1, .local = ts_of("10.0.0.0/8"), .remote = ts_of("fd00::/8")},
		{.path = 1, .local = ts_of("10.0.0.0/8")},
		{.path = 1, .remote = ts_of("10.0.0.0/8")},
	};
	struct bed bed;
	uint32_t set;

	bad[3].local.lo.b[0] = 11; /* beyond its end */
	bad[4].remote.lo.b[0] = 11;
	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	const struct worker *w = bed.a.dp->workers[0];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(dataplane_path_rules(bed.a.dp, bed.a.pathset, &bad[i], 1),
				ERR_INVAL);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		rules[i] = good;
	CU_ASSERT_EQUAL(dataplane_path_rules(bed.a.dp, bed.a.pathset, rules, PATH_RULES_MAX + 1),
			ERR_INVAL);
	CU_ASSERT_EQUAL(dataplane_path_rules(bed.a.dp, 0, rules, 1), ERR_NOT_FOUND);
	for (uint64_t n = 1; n <= 2; n++) {
		alloc_fail_nth(n);
		CU_ASSERT_EQUAL(dataplane_path_rules(bed.a.dp, bed.a.pathset, rules, 1), ERR_NOMEM);
		alloc_fail_nth(0);
	}
	CU_ASSERT_EQUAL(w->num_steered, 0);
	CU_ASSERT_EQUAL(dataplane_path_rules(bed.a.dp, bed.a.pathset, rules, PATH_RULES_MAX),
			ERR_OK);
	CU_ASSERT_EQUAL(dataplane_path_rules(bed.a.dp, bed.a.pathset, rules, 2), ERR_OK);
	CU_ASSERT_EQUAL(w->num_steered, 1);
	CU_ASSERT_EQUAL(dataplane_pathset_add(bed.a.dp, &set, bed.a.outer, &bed.a.path), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_path_rules(bed.a.dp, set, rules, 2), ERR_OK);
	dataplane_pathset_remove(bed.a.dp, set);
	dataplane_reclaim(bed.a.dp);
	CU_ASSERT_EQUAL(w->num_steered, 1);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M5_tied),      TAP_TEST(test_M5_any_schedule),
	TAP_TEST(test_M5_narrowest), TAP_TEST(test_M8_dscp),
	TAP_TEST(test_M8_selectors), TAP_TEST(test_M8_any_schedule),
	TAP_TEST(test_M8_mixed),     TAP_TEST(test_M8_parts),
	TAP_TEST(test_M8_narrowest), TAP_TEST(test_several_workers),
	TAP_TEST(test_refused),      TAP_TEST(test_M15_left),
};

TAP_MAIN("dataplane/steer", tests)
