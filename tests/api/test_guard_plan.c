/* SPDX-License-Identifier: Apache-2.0 */
/* From selectors to boxes: against a model that asks the selectors themselves, packet by packet. */
#include "api/host/guard_plan.h"

#include "api/host/guard_script.h"
#include "base/alloc.h"

#include "tests/tap/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct guard_entry entry(const char *local, const char *remote)
{
	struct guard_entry e = {0};

	CU_ASSERT_FATAL(ts_parse(&e.local, local) == ERR_OK);
	CU_ASSERT_FATAL(ts_parse(&e.remote, remote) == ERR_OK);
	return e;
}

static struct guard_plan plan_of(const struct guard_entry *entries, size_t num)
{
	struct guard_plan plan = {0};

	CU_ASSERT_FATAL(guard_plan_make(&plan, entries, num, false) == ERR_OK);
	return plan;
}

static size_t count(const struct guard_plan *plan, enum box_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->num; i++)
		n += plan->boxes[i].kind == kind;
	return n;
}

static void test_kinds(void)
{
	static const struct {
		const char *local, *remote;
		size_t kinds[BOX_NUM_KINDS]; /* how many boxes of each */
	} cases[] = {
		{"10.0.0.0/8", "10.1.0.0/16", {[BOX_ADDR] = 1}},
		{"fd00::/8", "fd01::/16", {[BOX_ADDR] = 1}},
		{"10.0.0.0/8[tcp]", "10.1.0.0/16", {[BOX_PROTO] = 1}},
		{"10.0.0.0/8", "10.1.0.0/16[esp]", {[BOX_PROTO] = 1}},
		{"10.0.0.0/8[tcp/80]", "10.1.0.0/16[tcp]", {[BOX_PORTS] = 1, [BOX_FRAG] = 1}},
		{"10.0.0.0/8[/80]", "10.1.0.0/16", {[BOX_PORTS] = 5, [BOX_FRAG] = 5}},
		/* One that shows no port must not slip through: any port. */
		{"10.0.0.0/8[tcp/opaque]", "10.1.0.0/16[tcp/opaque]", {[BOX_PROTO] = 1}},
		/* Protocols without ports. */
		{"10.0.0.0/8[50/7]", "10.1.0.0/16[50]", {[BOX_PROTO] = 1}},
		/* ICMP: one type, a few codes, part of a type, several types. */
		{"10.0.0.0/8[icmp/2048]", "10.1.0.0/16[icmp]", {[BOX_ICMP] = 1, [BOX_FRAG] = 1}},
		{"10.0.0.0/8[icmp]", "10.1.0.0/16[icmp/769-772]", {[BOX_ICMP] = 1, [BOX_FRAG] = 1}},
		{"10.0.0.0/8[icmp/769-1279]",
		 "10.1.0.0/16[icmp]",
		 {[BOX_ICMP] = 2, [BOX_FRAG] = 1}},
		{"10.0.0.0/8[icmp/769-2049]",
		 "10.1.0.0/16[icmp]",
		 {[BOX_ICMP] = 3, [BOX_FRAG] = 1}},
		/* ICMP's number in the wrong family has no types. */
		{"fd00::/8[icmp/2048]", "fd01::/16[icmp]", {[BOX_PROTO] = 1}},
		{"fd00::/8[58/32768]", "fd01::/16[58]", {[BOX_ICMP] = 1, [BOX_FRAG] = 1}},
		/* Pairs that match no packet. */
		{"10.0.0.0/8", "fd01::/16", {0}},
		{"10.0.0.0/8[tcp]", "10.1.0.0/16[udp]", {0}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct guard_entry e = entry(cases[i].local, cases[i].remote);
		struct guard_plan plan = plan_of(&e, 1);
		size_t total = 0;

		for (enum box_kind k = 0; k < BOX_NUM_KINDS; k++) {
			if (count(&plan, k) != cases[i].kinds[k])
				tap_diag("%s to %s: %zu of kind %d", cases[i].local,
					 cases[i].remote, count(&plan, k), (int)k);
			CU_ASSERT_EQUAL(count(&plan, k), cases[i].kinds[k]);
			total += cases[i].kinds[k];
		}
		CU_ASSERT_EQUAL(plan.num, total);
		guard_plan_fini(&plan);
	}
}

static void test_inside_and_crossing(void)
{
	struct guard_entry e[] = {
		entry("10.0.0.0/16", "10.1.0.0/24"), /* in the set */
		entry("10.0.0.0/16", "10.1.0.0/24"), /* the same */
		entry("10.0.7.0/24", "10.1.0.9/32"), /* inside */
		entry("10.0.7.0/24", "10.1.0.0/16"), /* crosses: a rule */
		entry("10.0.7.1/32", "10.1.5.0/24"), /* inside that rule */
		entry("10.2.0.0/16", "10.1.0.0/16"), /* apart */
	};
	struct guard_plan plan = plan_of(e, ARRAY_LEN(e));

	CU_ASSERT_EQUAL_FATAL(plan.num, 3);
	CU_ASSERT(!plan.boxes[0].loose && plan.boxes[1].loose && !plan.boxes[2].loose);
	CU_ASSERT(guard_plan_has(&plan, BOX_ADDR, IP_V4, true));
	CU_ASSERT(guard_plan_has(&plan, BOX_ADDR, IP_V4, false));
	CU_ASSERT(!guard_plan_has(&plan, BOX_ADDR, IP_V6, false));
	CU_ASSERT(!guard_plan_has(&plan, BOX_PROTO, IP_V4, false));
	guard_plan_fini(&plan);
	guard_plan_fini(&plan);
}

static void test_captured_only(void)
{
	struct guard_entry e[] = {entry("10.0.0.0/16", "10.1.0.0/24"),
				  entry("10.0.1.0/24", "10.1.0.0/24")};
	struct guard_plan plan;

	e[1].capture = 1;
	CU_ASSERT_FATAL(guard_plan_make(&plan, e, 2, true) == ERR_OK);
	CU_ASSERT_EQUAL(plan.num, 1);
	guard_plan_fini(&plan);
}

static void test_invalid_and_shortage(void)
{
	struct guard_entry e[20], bad = entry("10.0.0.0/16", "10.1.0.0/24");
	struct guard_plan plan;

	bad.remote.lo.family = IP_V6;
	CU_ASSERT_EQUAL(guard_plan_make(&plan, &bad, 1, false), ERR_INVAL);
	for (size_t i = 0; i < ARRAY_LEN(e); i++) {
		e[i] = entry("10.0.0.0/16", "10.1.0.0/24");
		e[i].remote.lo.b[0] = e[i].remote.hi.b[0] = (uint8_t)(20 + i);
	}
	for (uint64_t n = 1; n <= 2; n++) {
		alloc_fail_nth(n);
		CU_ASSERT_EQUAL(guard_plan_make(&plan, e, ARRAY_LEN(e), false), ERR_NOMEM);
	}
	alloc_fail_nth(0);
	CU_ASSERT_EQUAL(guard_plan_make(&plan, e, ARRAY_LEN(e), false), ERR_OK);
	CU_ASSERT_EQUAL(plan.num, ARRAY_LEN(e));
	guard_plan_fini(&plan);
	CU_ASSERT_EQUAL(guard_plan_make(&plan, NULL, 0, false), ERR_OK);
	CU_ASSERT_EQUAL(plan.num, 0);
}

/* ---- model: small addresses, so that boxes touch and cross often -------------------------------
 */

static struct ts random_ts(uint8_t proto)
{
	uint8_t lo[4] = {10, 0, 0, (uint8_t)(rand() % 8)}, hi[4] = {10, 0, 0, 0};
	struct ts t = {.proto = proto, .port_hi = UINT16_MAX};

	hi[3] = (uint8_t)(lo[3] + rand() % (8 - lo[3]));
	t.lo = ip_addr_v4(lo);
	t.hi = ip_addr_v4(hi);
	if (proto && rand() % 2) {
		t.port_lo = (uint16_t)(rand() % 8);
		t.port_hi = (uint16_t)(t.port_lo + rand() % (8 - t.port_lo));
	}
	return t;
}

static bool model(const struct guard_entry *e, size_t num, const struct flow *f)
{
	for (size_t i = 0; i < num; i++)
		if (ts_match(&e[i].local, &f->local, f->proto, f->local_port) &&
		    ts_match(&e[i].remote, &f->remote, f->proto, f->remote_port))
			return true;
	return false;
}

static bool in_box(const struct guard_box *b, const struct flow *f)
{
	if (ip_addr_cmp(&f->local, &b->local_lo) < 0 || ip_addr_cmp(&f->local, &b->local_hi) > 0 ||
	    ip_addr_cmp(&f->remote, &b->remote_lo) < 0 ||
	    ip_addr_cmp(&f->remote, &b->remote_hi) > 0)
		return false;
	if (b->kind != BOX_ADDR && b->proto != f->proto)
		return false;
	return b->kind != BOX_PORTS || (f->local_port >= b->a_lo && f->local_port <= b->a_hi &&
					f->remote_port >= b->b_lo && f->remote_port <= b->b_hi);
}

static bool planned(const struct guard_plan *plan, const struct flow *f)
{
	for (size_t i = 0; i < plan->num; i++)
		if (plan->boxes[i].kind != BOX_FRAG && in_box(&plan->boxes[i], f))
			return true;
	return false;
}

static bool no_overlap_in_sets(const struct guard_plan *plan)
{
	for (size_t i = 0; i < plan->num; i++)
		for (size_t j = 0; j < i; j++) {
			const struct guard_box *x = &plan->boxes[i], *y = &plan->boxes[j];

			if (x->loose || y->loose || x->kind != y->kind || x->proto != y->proto)
				continue;
			if (ip_addr_cmp(&x->local_lo, &y->local_hi) <= 0 &&
			    ip_addr_cmp(&y->local_lo, &x->local_hi) <= 0 &&
			    ip_addr_cmp(&x->remote_lo, &y->remote_hi) <= 0 &&
			    ip_addr_cmp(&y->remote_lo, &x->remote_hi) <= 0 && x->a_lo <= y->a_hi &&
			    y->a_lo <= x->a_hi && x->b_lo <= y->b_hi && y->b_lo <= x->b_hi)
				return false;
		}
	return true;
}

static void test_against_model(void)
{
	static const uint8_t protos[] = {0, 6, 17};
	unsigned matched = 0, loose = 0, wrong = 0, overlapping = 0;

	srand(43);
	for (int round = 0; round < 300; round++) {
		struct guard_entry e[12];
		size_t num = (size_t)(rand() % 12 + 1);

		for (size_t i = 0; i < num; i++) {
			uint8_t proto = protos[rand() % 3];

			e[i] = (struct guard_entry){.local = random_ts(proto),
						    .remote = random_ts(proto)};
		}
		struct guard_plan plan = plan_of(e, num);
		overlapping += !no_overlap_in_sets(&plan);
		for (size_t i = 0; i < plan.num; i++)
			loose += plan.boxes[i].loose;
		for (int i = 0; i < 300; i++) {
			struct flow f = {.proto = protos[1 + rand() % 2],
					 .local_port = (uint16_t)(rand() % 9),
					 .remote_port = (uint16_t)(rand() % 9)};
			uint8_t a[4] = {10, 0, 0, (uint8_t)(rand() % 8)};
			uint8_t b[4] = {10, 0, 0, (uint8_t)(rand() % 8)};

			f.local = ip_addr_v4(a);
			f.remote = ip_addr_v4(b);
			matched += model(e, num, &f);
			wrong += model(e, num, &f) != planned(&plan, &f);
		}
		guard_plan_fini(&plan);
	}
	tap_diag("%u of 90000 packets matched, %u boxes were rules", matched, loose);
	CU_ASSERT(matched > 1000 && matched < 89000 && loose > 100);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(overlapping, 0);
}

/* first - the entry that decides; NULL if none matches. */
static const struct guard_entry *first(const struct guard_entry *e, size_t num,
				       const struct flow *f)
{
	for (size_t i = 0; i < num; i++)
		if (model(&e[i], 1, f))
			return &e[i];
	return NULL;
}

/* guarded - what the two plans together say. */
static bool guarded(const struct guard_plan *holes, const struct guard_plan *all,
		    const struct flow *f)
{
	for (size_t i = 0; i < holes->num; i++)
		if (holes->boxes[i].kind != BOX_FRAG && in_box(&holes->boxes[i], f))
			return !holes->boxes[i].pass;
	return planned(all, f);
}

/* The first entry that matches decides, whatever crosses whatever. */
static void test_S58_holes_against_model(void)
{
	static const uint8_t protos[] = {0, 6, 17};
	unsigned passed = 0, stopped = 0, wrong = 0;

	srand(44);
	for (int round = 0; round < 300; round++) {
		struct guard_plan all, holes;
		struct guard_entry e[8];

		for (size_t i = 0; i < ARRAY_LEN(e); i++) {
			uint8_t proto = protos[rand() % 3];

			e[i] = (struct guard_entry){.local = random_ts(proto),
						    .remote = random_ts(proto),
						    .pass = rand() % 3 == 0};
		}
		all = plan_of(e, ARRAY_LEN(e));
		CU_ASSERT_EQUAL_FATAL(guard_plan_holes(&holes, e, ARRAY_LEN(e)), ERR_OK);
		for (int i = 0; i < 300; i++) {
			uint8_t a[4] = {10, 0, 0, (uint8_t)(rand() % 8)};
			uint8_t b[4] = {10, 0, 0, (uint8_t)(rand() % 8)};
			struct flow f = {.local = ip_addr_v4(a),
					 .remote = ip_addr_v4(b),
					 .proto = protos[1 + rand() % 2],
					 .local_port = (uint16_t)(rand() % 9),
					 .remote_port = (uint16_t)(rand() % 9)};
			const struct guard_entry *decides = first(e, ARRAY_LEN(e), &f);

			passed += decides && decides->pass;
			stopped += decides && !decides->pass;
			wrong += guarded(&holes, &all, &f) != (decides && !decides->pass);
		}
		guard_plan_fini(&all);
		guard_plan_fini(&holes);
	}
	CU_ASSERT(passed > 1000 && stopped > 1000);
	CU_ASSERT_EQUAL(wrong, 0);
}

static size_t num_holes(const char *local, const char *remote)
{
	struct guard_entry e = entry(local, remote);
	struct guard_plan holes;
	size_t num;

	e.pass = 1;
	CU_ASSERT_EQUAL_FATAL(guard_plan_holes(&holes, &e, 1), ERR_OK);
	num = holes.num;
	for (size_t i = 0; i < num; i++)
		CU_ASSERT_NOT_EQUAL(holes.boxes[i].kind, BOX_FRAG);
	guard_plan_fini(&holes);
	return num;
}

/* What cannot be said exactly makes no hole: fragments show no port, and so on. */
static void test_S58_no_hole_is_too_wide(void)
{
	CU_ASSERT_EQUAL(num_holes("10.0.0.0/8", "10.1.0.0/16"), 1);
	CU_ASSERT_EQUAL(num_holes("10.0.0.0/8[tcp/80]", "10.1.0.0/16[tcp]"), 1);
	CU_ASSERT_EQUAL(num_holes("10.0.0.0/8[/80]", "10.1.0.0/16"), 5);
	CU_ASSERT_EQUAL(num_holes("10.0.0.0/8[icmp/8]", "10.1.0.0/16[icmp]"), 1);
	CU_ASSERT_EQUAL(num_holes("10.0.0.0/8[icmp/8]", "10.1.0.0/16[icmp/8]"), 0);
	CU_ASSERT_EQUAL(num_holes("10.0.0.0/8[tcp/opaque]", "10.1.0.0/16"), 0);
	CU_ASSERT_EQUAL(num_holes("10.0.0.0/8[gre/7]", "10.1.0.0/16"), 0);
	CU_ASSERT_EQUAL(num_holes("10.0.0.0/8[gre]", "10.1.0.0/16"), 1);
}

static bool in_icmp(const struct guard_plan *plan, unsigned type, unsigned code)
{
	for (size_t i = 0; i < plan->num; i++) {
		const struct guard_box *b = &plan->boxes[i];

		if (b->kind == BOX_ICMP && type >= b->a_lo && type <= b->a_hi && code >= b->b_lo &&
		    code <= b->b_hi)
			return true;
	}
	return false;
}

/* Of every type and code: what a selector names is guarded, or passes, and nothing else. */
static void test_S58_icmp_types_and_codes(void)
{
	static const char *const ranges[] = {"8",         "8(0)",        "0",    "0(3)-0(9)",
					     "3(4)-5(1)", "3-5",         "3(4)", "254(3)-255(255)",
					     "255(255)",  "0(1)-255(0)", "7-8"};

	for (size_t i = 0; i < 2 * ARRAY_LEN(ranges); i++) {
		char local[TS_TEXT_MAX] = "10.0.0.0/8[icmp]", remote[TS_TEXT_MAX];
		char *narrow = i % 2 ? local : remote;
		struct guard_plan plan, holes;
		unsigned wrong = 0;

		snprintf(remote, sizeof(remote), "10.1.0.0/16[icmp]");
		snprintf(narrow, TS_TEXT_MAX, "10.%u.0.0/16[icmp/%s]", i % 2 ? 0 : 1,
			 ranges[i / 2]);
		struct guard_entry e = entry(local, remote);
		const struct ts *t = i % 2 ? &e.local : &e.remote;

		plan = plan_of(&e, 1);
		e.pass = 1;
		CU_ASSERT_EQUAL_FATAL(guard_plan_holes(&holes, &e, 1), ERR_OK);
		for (unsigned n = 0; n <= UINT16_MAX; n++) {
			const bool named = n >= t->port_lo && n <= t->port_hi;

			wrong += in_icmp(&plan, n >> 8, n & 255) != named;
			wrong += in_icmp(&holes, n >> 8, n & 255) != named;
		}
		if (wrong)
			tap_diag("%s: %u are wrong", narrow, wrong);
		CU_ASSERT_EQUAL(wrong, 0);
		guard_plan_fini(&plan);
		guard_plan_fini(&holes);
	}
}

static void test_scripts_out_of_memory(void)
{
	static const uint16_t ports[] = {500, 4500};
	struct guard_entry e = entry("10.0.0.0/8[tcp/80]", "10.1.0.0/16[tcp]");
	struct guard_plan plan = plan_of(&e, 1);
	struct guard_spec spec = {
		.device = "lk0",
		.ports = ports,
		.num_ports = 2,
		.all = &plan,
		.captured = &plan,
		.holes = &plan,
	};
	struct text t = {0}, long_piece = {0};
	char big[TEXT_PIECE_MAX + 2];

	alloc_fail_nth(1);
	guard_script_build(&t, &spec, 'a');
	alloc_fail_nth(0);
	CU_ASSERT_EQUAL(t.err, ERR_NOMEM);
	text_fini(&t);
	guard_script_build(&t, &spec, 'a');
	guard_script_switch(&t, &spec, 'a');
	guard_script_clear(&t, "lk0", 'b');
	CU_ASSERT_EQUAL(t.err, ERR_OK);
	CU_ASSERT_EQUAL(strlen(t.s), t.len);
	text_fini(&t);
	guard_plan_fini(&plan);
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	text_add(&long_piece, "abc");
	text_add(&long_piece, "%s", big);
	CU_ASSERT_EQUAL(long_piece.err, ERR_LIMIT);
	CU_ASSERT_STRING_EQUAL(long_piece.s, "abc");
	text_fini(&long_piece);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_kinds),
	TAP_TEST(test_inside_and_crossing),
	TAP_TEST(test_captured_only),
	TAP_TEST(test_invalid_and_shortage),
	TAP_TEST(test_against_model),
	TAP_TEST(test_S58_holes_against_model),
	TAP_TEST(test_S58_no_hole_is_too_wide),
	TAP_TEST(test_S58_icmp_types_and_codes),
	TAP_TEST(test_scripts_out_of_memory),
};

TAP_MAIN("api/guard_plan", tests)
