/* SPDX-License-Identifier: Apache-2.0 */
/* The SPD's layers and generations, and that nothing stale in a flow cache is ever used. */
#include "tests/dataplane/testbed.h"

#include "tests/tap/tap.h"

/* add - a policy from 10.1/16 to 10.2/16 on A. */
static uint32_t add(struct bed *bed, enum policy_layer layer, enum policy_action action,
		    uint32_t priority, uint32_t demanded)
{
	struct policy_params p = {
		.layer = layer,
		.action = action,
		.priority = priority,
		.group = bed->a.group,
		.class_demanded = demanded,
		.local = &bed->a.local4,
		.remote = &bed->a.remote4,
		.num_local = 1,
		.num_remote = 1,
	};
	uint32_t id = 0;

	CU_ASSERT_EQUAL_FATAL(dataplane_policy_add(bed->a.dp, &id, &p), ERR_OK);
	return id;
}

/* fate - what becomes of a packet from A now: DROP_NONE = it was sent. */
static enum drop_reason fate(struct bed *bed)
{
	uint64_t before[DROP_NUM];
	uint8_t buf[BED_MAX_PACKET];

	for (int i = 0; i < DROP_NUM; i++)
		before[i] = bed_dropped(&bed->a, (enum drop_reason)i);
	bed_send(&bed->a, buf, bed_udp4(buf, true, 5, 6, 7, 8));
	bed_turn(bed);
	while (bed_receive(&bed->b, buf))
		;
	for (int i = 1; i < DROP_NUM; i++) {
		if (bed_dropped(&bed->a, (enum drop_reason)i) != before[i])
			return (enum drop_reason)i;
	}
	return DROP_NONE;
}

static void test_layers_and_priorities(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	/* A configuration entry of a larger priority number changes nothing, a smaller one does. */
	uint32_t later = add(&bed, POLICY_CONFIG, POLICY_DISCARD, 9, 0);

	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	dataplane_policy_remove(bed.a.dp, bed.a.policy);
	CU_ASSERT_EQUAL(fate(&bed), DROP_POLICY_DISCARD);
	uint32_t app = add(&bed, POLICY_APPLICATION, POLICY_BYPASS, 100, 0);

	CU_ASSERT_EQUAL(fate(&bed), DROP_POLICY_BYPASS);
	uint32_t latch = add(&bed, POLICY_LATCH, POLICY_PROTECT, 100, 0);

	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	dataplane_policy_remove(bed.a.dp, latch);
	CU_ASSERT_EQUAL(fate(&bed), DROP_POLICY_BYPASS);
	dataplane_policy_remove(bed.a.dp, app);
	CU_ASSERT_EQUAL(fate(&bed), DROP_POLICY_DISCARD);
	dataplane_policy_remove(bed.a.dp, later);
	CU_ASSERT_EQUAL(fate(&bed), DROP_NO_POLICY);
	bed_fini(&bed);
}

static void test_same_priority_oldest_first(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	uint32_t first = add(&bed, POLICY_APPLICATION, POLICY_DISCARD, 5, 0);
	uint32_t second = add(&bed, POLICY_APPLICATION, POLICY_BYPASS, 5, 0);

	CU_ASSERT_EQUAL(fate(&bed), DROP_POLICY_DISCARD);
	dataplane_policy_remove(bed.a.dp, first);
	CU_ASSERT_EQUAL(fate(&bed), DROP_POLICY_BYPASS);
	dataplane_policy_remove(bed.a.dp, second);
	dataplane_policy_remove(bed.a.dp, second); /* unknown now: ignored */
	bed_fini(&bed);
}

static void test_refused(void)
{
	struct bed bed;
	struct policy_params p = {.layer = POLICY_CONFIG, .action = POLICY_PROTECT};
	struct ts wrong;
	uint32_t id;

	bed_init(&bed, NULL);
	p.local = &bed.a.local4;
	p.remote = &bed.a.remote4;
	p.num_local = p.num_remote = 1;
	p.group = bed.a.group + 1;
	CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_NOT_FOUND);
	p.group = bed.a.group;
	p.num_local = 0;
	CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_INVAL);
	p.num_local = 65;
	CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_INVAL);
	p.num_local = 1;
	wrong = bed.a.local4;
	wrong.lo = bed.a.local6.lo;
	p.local = &wrong;
	CU_ASSERT_EQUAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_INVAL);
	bed_fini(&bed);
}

/* A flow cache entry that points to a removed policy, group and SA is looked up again; the memory
 * was freed, so a sanitizer sees any use. */
static void test_stale_entries_are_not_followed(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	for (uint64_t id = 1; id < 20; id++) {
		bed_pair(&bed, id, NULL);
		CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
		dataplane_child_remove(bed.a.dp, id, CHILD_BOTH);
		dataplane_reclaim(bed.a.dp);
		if (id % 2) {
			dataplane_policy_remove(bed.a.dp, bed.a.policy);
			dataplane_group_remove(bed.a.dp, bed.a.group);
			dataplane_reclaim(bed.a.dp);
			CU_ASSERT_EQUAL(fate(&bed), DROP_NO_POLICY);
			CU_ASSERT_EQUAL(dataplane_group_add(bed.a.dp, &bed.a.group), ERR_OK);
			bed.a.policy = add(&bed, POLICY_CONFIG, POLICY_PROTECT, 0, 0);
		}
		dataplane_child_remove(bed.b.dp, id, CHILD_BOTH);
	}
	bed_fini(&bed);
}

static void not_active(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->outbound_active = false;
}

static uint64_t out_packets(struct side *s, uint64_t id)
{
	struct child_stats st = {0};

	CU_ASSERT_EQUAL(dataplane_child_stats(s->dp, &st, id), ERR_OK);
	return st.out_packets;
}

static void test_newest_active_is_used(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	bed_pair(&bed, 2, not_active);
	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	CU_ASSERT_EQUAL(out_packets(&bed.a, 1), 2);
	CU_ASSERT_EQUAL(dataplane_child_activate(bed.a.dp, 2), ERR_OK);
	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	CU_ASSERT_EQUAL(out_packets(&bed.a, 2), 1);
	CU_ASSERT_EQUAL(dataplane_child_activate(bed.a.dp, 1), ERR_OK); /* and back */
	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	CU_ASSERT_EQUAL(out_packets(&bed.a, 1), 3);
	dataplane_child_remove(bed.a.dp, 1, CHILD_OUT);
	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	CU_ASSERT_EQUAL(out_packets(&bed.a, 2), 2);
	CU_ASSERT_EQUAL(out_packets(&bed.a, 1), 3); /* kept after removal */
	CU_ASSERT_EQUAL(dataplane_child_activate(bed.a.dp, 1), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_child_activate(bed.a.dp, 9), ERR_NOT_FOUND);
	bed_fini(&bed);
}

static void narrow(struct child_params *p, bool is_a)
{
	static struct ts host_a, host_b;

	CU_ASSERT_EQUAL(ts_parse(&host_a, "10.1.0.9"), ERR_OK);
	CU_ASSERT_EQUAL(ts_parse(&host_b, "10.2.0.0/16"), ERR_OK);
	p->local = is_a ? &host_a : &host_b;
	p->remote = is_a ? &host_b : &host_a;
	p->num_local = p->num_remote = 1;
}

static void test_narrowed_sa(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, narrow);
	CU_ASSERT_EQUAL(fate(&bed), DROP_SA_SELECTOR_OUT); /* 10.1.0.1 is outside */
	bed_pair(&bed, 2, NULL);
	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	CU_ASSERT_EQUAL(dataplane_child_activate(bed.a.dp, 1),
			ERR_OK); /* newest, but not fitting */
	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	CU_ASSERT_EQUAL(out_packets(&bed.a, 2), 2);
	bed_fini(&bed);
}

static void test_class_demanded_outbound(void)
{
	struct child_stats st;
	struct bed bed;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &st, 1), ERR_OK);
	uint32_t id = add(&bed, POLICY_LATCH, POLICY_PROTECT, 0, st.token);

	CU_ASSERT_EQUAL(fate(&bed), DROP_NONE);
	dataplane_policy_remove(bed.a.dp, id);
	add(&bed, POLICY_LATCH, POLICY_PROTECT, 0, st.token + 1);
	CU_ASSERT_EQUAL(fate(&bed), DROP_CLASS);
	bed_fini(&bed);
}

/* answer - B sends a packet to A; what A makes of it. */
static enum drop_reason answer(struct bed *bed)
{
	uint8_t buf[BED_MAX_PACKET];
	uint64_t class_drops = bed_dropped(&bed->a, DROP_CLASS);
	uint64_t discards = bed_dropped(&bed->a, DROP_POLICY_DISCARD);

	bed_send(&bed->b, buf, bed_udp4(buf, false, 6, 5, 7, 8));
	bed_turn(bed);
	if (bed_dropped(&bed->a, DROP_CLASS) != class_drops)
		return DROP_CLASS;
	if (bed_dropped(&bed->a, DROP_POLICY_DISCARD) != discards)
		return DROP_POLICY_DISCARD;
	CU_ASSERT_NOT_EQUAL(bed_receive(&bed->a, buf), 0);
	return DROP_NONE;
}

/* S56: what policy demands inbound: its class, else its group's SAs; a change counts at once. */
static void test_S56_class_demanded_inbound(void)
{
	struct child_stats st;
	struct bed bed;
	uint32_t other;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(answer(&bed), DROP_NONE);
	uint32_t id = add(&bed, POLICY_LATCH, POLICY_PROTECT, 0, st.token + 1);

	CU_ASSERT_EQUAL(answer(&bed), DROP_CLASS);
	CU_ASSERT_EQUAL(answer(&bed), DROP_CLASS);
	dataplane_policy_remove(bed.a.dp, id);
	CU_ASSERT_EQUAL(answer(&bed), DROP_NONE);
	id = add(&bed, POLICY_LATCH, POLICY_DISCARD, 0, 0);
	CU_ASSERT_EQUAL(answer(&bed), DROP_POLICY_DISCARD);
	dataplane_policy_remove(bed.a.dp, id);
	/* A policy of another group, whose SAs are of another class or none. */
	uint32_t group = bed.a.group;

	CU_ASSERT_EQUAL(dataplane_group_add(bed.a.dp, &other), ERR_OK);
	bed.a.group = other;
	id = add(&bed, POLICY_LATCH, POLICY_PROTECT, 0, 0);
	CU_ASSERT_EQUAL(answer(&bed), DROP_CLASS);
	/* The same peer's SA in that group makes the class the same. */
	bed_pair(&bed, 2, NULL);
	CU_ASSERT_EQUAL(answer(&bed), DROP_NONE);
	bed.a.group = group;
	bed_fini(&bed);
}

/* The whole cache is smaller than the number of flows: they push each other out, nothing is lost.
 */
static void test_more_flows_than_places(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;
	uint32_t got = 0;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	for (uint32_t i = 0; i < 1000; i++) {
		bed_send(&bed.a, buf, bed_udp4(buf, true, (uint16_t)i, 1, i, 8));
		bed_turn(&bed);
		while (bed_receive(&bed.b, buf))
			got++;
	}
	CU_ASSERT_EQUAL(got, 1000);
	bed_fini(&bed);
}

/* ---- a router's port ------------------------------------------------------------------------- */

static uint16_t seen_flags; /* of the packet that was delivered last */
static void (*real_tx)(struct driver *d, struct pktvec *v);

static void spy_tx(struct driver *d, struct pktvec *v)
{
	seen_flags = v->num ? v->pkt[0]->flags : 0;
	real_tx(d, v);
}

/* on_b - a policy of B about what A's network sends on to B's, as a hub between two has it. */
static uint32_t on_b(struct bed *bed, enum policy_action action, uint16_t port)
{
	struct ts from = bed->b.remote4, to = bed->b.local4;
	struct policy_params p = {.layer = POLICY_CONFIG,
				  .action = action,
				  .group = bed->b.group,
				  .local = &from,
				  .remote = &to,
				  .num_local = 1,
				  .num_remote = 1};
	uint32_t id = 0;

	to.proto = port ? 17 : 0;
	if (port)
		to.port_lo = to.port_hi = port;
	CU_ASSERT_EQUAL_FATAL(dataplane_policy_add(bed->b.dp, &id, &p), ERR_OK);
	return id;
}

/* left_to_host - a packet for this port, of which B's policies ask something as it goes on. */
static bool left_to_host(struct bed *bed, uint16_t dst_port)
{
	uint8_t buf[BED_MAX_PACKET];

	seen_flags = 0x8000;
	bed_send(&bed->a, buf, bed_udp4(buf, true, 5, dst_port, 7, 8));
	for (int i = 0; i < 3; i++)
		bed_turn(bed);
	CU_ASSERT(bed_receive(&bed->b, buf) > 0);
	CU_ASSERT_NOT_EQUAL(seen_flags, 0x8000);
	return seen_flags & PACKET_F_HOST;
}

static void own_by_last(struct child_params *p, bool is_a)
{
	p->worker = is_a ? 0 : 2;
}

static void set_routed(struct bed *bed, uint32_t num, bool routed)
{
	for (uint32_t i = 0; i < num; i++)
		bed->b.dp->workers[i]->routed = (uint64_t)routed << bed->b.inner;
}

/* judged_again - by the worker that owns the SA; of two it has no queue of the inner port. */
static void judged_again(uint32_t num_workers)
{
	const struct bed_options o = {.num_workers = num_workers, .num_inner = 1};
	static struct driver_ops ops;
	struct driver *d;
	struct bed bed;
	uint32_t id;

	bed_init(&bed, &o);
	bed_pair(&bed, 1, num_workers > 1 ? own_by_last : NULL);
	d = bed.b.dp->workers[0]->ports[bed.b.inner];
	ops = *d->ops;
	real_tx = ops.tx;
	ops.tx = spy_tx;
	d->ops = &ops;
	set_routed(&bed, num_workers, true);
	CU_ASSERT_FALSE(left_to_host(&bed, 80));
	id = on_b(&bed, POLICY_PROTECT, 80);
	CU_ASSERT_TRUE(left_to_host(&bed, 80));
	CU_ASSERT_FALSE(left_to_host(&bed, 81));
	dataplane_policy_remove(bed.b.dp, id);
	CU_ASSERT_FALSE(left_to_host(&bed, 80));
	id = on_b(&bed, POLICY_DISCARD, 0);
	CU_ASSERT_TRUE(left_to_host(&bed, 80));
	dataplane_policy_remove(bed.b.dp, id);
	id = on_b(&bed, POLICY_BYPASS, 0);
	CU_ASSERT_FALSE(left_to_host(&bed, 80));
	dataplane_policy_remove(bed.b.dp, id);
	id = on_b(&bed, POLICY_PROTECT, 0);
	CU_ASSERT_TRUE(left_to_host(&bed, 80));
	set_routed(&bed, num_workers, false); /* a host's own */
	CU_ASSERT_FALSE(left_to_host(&bed, 80));
	bed_fini(&bed);
}

/* S58: what was decrypted and is forwarded is judged by the policies where it goes. */
static void test_S58_forwarded_is_judged_again(void)
{
	judged_again(1);
	judged_again(2);
}

/* A router's port is that at all workers, whoever has its queues. */
static void test_routed_at_all_workers(void)
{
	const struct memory_params inner = {.role = PORT_INNER};
	struct memory_port *far;
	struct dataplane *dp;
	struct driver *d;
	uint16_t port;

	CU_ASSERT_EQUAL_FATAL(
		dataplane_new(&dp, &(struct dataplane_config){.num_workers = 2, .num_packets = 64}),
		ERR_OK);
	for (int routed = 0; routed < 2; routed++) {
		CU_ASSERT_EQUAL_FATAL(memory_open(&d, &far, &inner), ERR_OK);
		d->routed = routed;
		CU_ASSERT_EQUAL_FATAL(dataplane_attach(dp, &port, d), ERR_OK);
		for (int i = 0; i < 2; i++)
			CU_ASSERT_EQUAL(dp->workers[i]->routed >> port & 1, routed);
		memory_close_far(far);
	}
	dataplane_free(dp);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_layers_and_priorities),
	TAP_TEST(test_same_priority_oldest_first),
	TAP_TEST(test_refused),
	TAP_TEST(test_stale_entries_are_not_followed),
	TAP_TEST(test_newest_active_is_used),
	TAP_TEST(test_narrowed_sa),
	TAP_TEST(test_class_demanded_outbound),
	TAP_TEST(test_S56_class_demanded_inbound),
	TAP_TEST(test_more_flows_than_places),
	TAP_TEST(test_S58_forwarded_is_judged_again),
	TAP_TEST(test_routed_at_all_workers),
};

TAP_MAIN("dataplane/policy", tests)
