/* SPDX-License-Identifier: Apache-2.0 */
/* D4: a packet that demands a protection class leaves by an SA of that class or not at all. */
#include "tests/dataplane/testbed.h"

#include "tests/tap/tap.h"

static struct auth_proof *another; /* of the pair that is made */
static uint32_t owner;

static struct auth_proof *other_proof(void)
{
	struct auth_proof_params p = {.method = AUTH_METHOD_PSK};

	p.local.type = p.peer.type = 2;
	p.local.len = p.peer.len = 1;
	p.local.data[0] = 'a';
	p.peer.data[0] = 'z';
	return auth_proof_new(&p);
}

static void tweak(struct child_params *p, bool is_a)
{
	if (is_a && another)
		p->proof = another;
	p->worker = owner;
}

/* pair - with its class: one of two peers; worker: its owner's number and 1, or 0. */
static uint32_t pair(struct bed *bed, uint64_t id, struct auth_proof *proof, uint32_t worker)
{
	struct child_stats st = {0};

	another = proof;
	owner = worker;
	bed_pair(bed, id, tweak);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed->a.dp, &st, id), ERR_OK);
	return st.token;
}

static uint64_t sent(struct bed *bed, uint64_t id)
{
	struct child_stats st = {0};

	CU_ASSERT_EQUAL(dataplane_child_stats(bed->a.dp, &st, id), ERR_OK);
	return st.out_packets;
}

static void demand(struct bed *bed, uint32_t worker, uint32_t token)
{
	uint8_t buf[BED_MAX_PACKET];
	size_t len = bed_udp4(buf, true, 6, 5, 7, 8);

	bed->a.injected++;
	CU_ASSERT_EQUAL(memory_inject_demand(bed->a.hosts[worker], buf, len, token), ERR_OK);
}

/* by - the pair by which a packet of the one flow goes; 0: none. */
static uint64_t by(struct bed *bed, uint32_t token)
{
	uint64_t one = sent(bed, 1), two = sent(bed, 2);

	demand(bed, 0, token);
	bed_turn(bed);
	if (sent(bed, 1) == one + 1)
		return sent(bed, 2) == two ? 1 : 0;
	return sent(bed, 2) == two + 1 ? 2 : 0;
}

static void test_D4_packet_demands(void)
{
	struct auth_proof *other = other_proof();
	uint32_t first, second;
	struct bed bed;

	bed_init(&bed, NULL);
	first = pair(&bed, 1, NULL, 0);
	second = pair(&bed, 2, other, 0);
	CU_ASSERT_NOT_EQUAL(first, second);
	/* One flow, its packets mixed; the newest pair sends what demands nothing. */
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(by(&bed, 0), 2);
		CU_ASSERT_EQUAL(by(&bed, first), 1);
		CU_ASSERT_EQUAL(by(&bed, second), 2);
	}
	CU_ASSERT_EQUAL(by(&bed, first + 77), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_CLASS), 1);
	dataplane_child_remove(bed.a.dp, 1, CHILD_BOTH);
	demand(&bed, 0, first);
	bed_turn(&bed);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_CLASS), 2);
	auth_proof_put(other);
	bed_fini(&bed);
}

/* L10: what a policy would let pass in the clear goes protected where it demands that, and else
 * not at all; what is discarded stays so. */
static void test_L10_packet_demands(void)
{
	struct policy_params p = {.layer = POLICY_LATCH, .num_local = 1, .num_remote = 1};
	uint32_t first, id;
	struct bed bed;

	bed_init(&bed, NULL);
	first = pair(&bed, 1, NULL, 0);
	CU_ASSERT_EQUAL(pair(&bed, 2, NULL, 0), first);
	p.local = &bed.a.local4;
	p.remote = &bed.a.remote4;
	p.action = POLICY_BYPASS;
	CU_ASSERT_EQUAL_FATAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_OK);
	CU_ASSERT_EQUAL(by(&bed, 0), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_POLICY_BYPASS), 1);
	CU_ASSERT_EQUAL(by(&bed, first), 2);
	CU_ASSERT_EQUAL(by(&bed, first + 77), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_CLASS), 1);
	dataplane_policy_remove(bed.a.dp, id);
	p.action = POLICY_DISCARD;
	CU_ASSERT_EQUAL_FATAL(dataplane_policy_add(bed.a.dp, &id, &p), ERR_OK);
	CU_ASSERT_EQUAL(by(&bed, first), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_POLICY_DISCARD), 1);
	bed_fini(&bed);
}

/* What it demands goes with it while it waits for an SA. */
static void test_D4_held(void)
{
	struct auth_proof *other = other_proof();
	uint32_t first;
	struct bed bed;

	bed_init(&bed, NULL);
	first = pair(&bed, 1, NULL, 0);
	dataplane_child_remove(bed.a.dp, 1, CHILD_OUT);
	demand(&bed, 0, first);
	demand(&bed, 0, first + 77);
	demand(&bed, 0, 0);
	bed_turn(&bed);
	CU_ASSERT_EQUAL(bed_drops(&bed.a), 0);
	pair(&bed, 2, NULL, 0);
	bed_turn(&bed);
	CU_ASSERT_EQUAL(sent(&bed, 2), 2);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_CLASS), 1);
	auth_proof_put(other);
	bed_fini(&bed);
}

/* And to another worker, whose SA has the class. */
static void test_D4_handed_over(void)
{
	const struct bed_options two = {.num_workers = 2};
	struct auth_proof *other = other_proof();
	uint32_t first, second;
	struct bed bed;

	bed_init(&bed, &two);
	first = pair(&bed, 1, NULL, 1);
	second = pair(&bed, 2, other, 2);
	for (uint32_t worker = 0; worker < 2; worker++) {
		demand(&bed, worker, first);
		demand(&bed, worker, second);
		demand(&bed, worker, second);
		demand(&bed, worker, first + 77);
	}
	for (int i = 0; i < 4; i++)
		bed_turn(&bed);
	CU_ASSERT_EQUAL(sent(&bed, 1), 2);
	CU_ASSERT_EQUAL(sent(&bed, 2), 4);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_CLASS), 2);
	auth_proof_put(other);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_D4_packet_demands),
	TAP_TEST(test_L10_packet_demands),
	TAP_TEST(test_D4_held),
	TAP_TEST(test_D4_handed_over),
};

TAP_MAIN("dataplane/demand", tests)
