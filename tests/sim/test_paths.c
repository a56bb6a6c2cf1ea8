/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on paths (docs/multiple-interfaces.md, sections 4 and 5): one each, and who says what;
 * honest peers and others. */
#include "control/ike/move.h"
#include "tests/sim/pathsim.h"
#include "tests/tap/tap.h"

/* A new path is there on both sides, and carries nothing until each has heard from the
   other. */
static void test_M10_add_and_remove(void)
{
	struct sim *s = pathsim_up();
	uint16_t id = 0;

	expect_same(s);
	CU_ASSERT_EQUAL(add(s, A, 1, &id), ERR_OK);
	CU_ASSERT_EQUAL(id, 2);
	CU_ASSERT_PTR_NOT_NULL(sim_path_find(s, A, 2)); /* before the peer has answered */
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 1);
	expect_same(s);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(sim_path_find(s, side, 2));
		CU_ASSERT_FALSE(sim_path_find(s, side, 2)->usable);
		CU_ASSERT_TRUE(sim_path_find(s, side, 1)->usable);
	}
	expect_by(s, 0);
	sim_probe(s);
	CU_ASSERT_TRUE(sim_path_find(s, A, 2)->usable && sim_path_find(s, B, 2)->usable);
	expect_by(s, 0); /* it waits: its priority is 1 */
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 2), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, B, 2));
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 2), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 1), ERR_PERM); /* the last one */
	CU_ASSERT_EQUAL(add(s, A, 2, &id), ERR_OK);
	CU_ASSERT_EQUAL(id, 3); /* numbers are not used again */
	after(s, NS_PER_S);
	expect_same(s);
	sim_free(s);
}

static void test_too_many_paths(void)
{
	struct sim *s = pathsim_up();
	uint16_t id = 0;

	for (unsigned i = 2; i <= MIF_PATHS_MAX; i++) {
		CU_ASSERT_EQUAL(add(s, A, 1 + i % 2, &id), ERR_OK);
		CU_ASSERT_EQUAL(id, i);
		after(s, NS_PER_S / 10);
	}
	CU_ASSERT_EQUAL(add(s, A, 1, &id), ERR_LIMIT);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.num, MIF_PATHS_MAX);
	expect_same(s);
	sim_free(s);
}

/* Make before break: nothing is lost, and IKE goes there, too. */
static void test_soft(void)
{
	struct sim *s = pathsim_up();

	s->traffic = true;
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 2)->priority, 0);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 1)->priority, 1);
	expect_by(s, 0); /* it is not usable yet */
	sim_probe(s);
	expect_by(s, 1);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	sim_have(s, A, 6, 1); /* the old address goes only now */
	expect_by(s, 1);
	CU_ASSERT_EQUAL(s->n[A].lost_packets + s->n[B].lost_packets, 0);
	sim_free(s);
}

/* The old address is gone: one message says all. */
static void test_hard(void)
{
	struct sim *s = pathsim_up();
	const struct ike_path_op op = {.act = IKE_PATH_HARD, .addr = between(A, 1)};
	struct sim_node *a = &s->n[A];
	uint16_t id = 0;

	s->traffic = true;
	a->addrs[0] = a->addrs[--a->num_addrs]; /* nobody says so */
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, &id), ERR_OK);
	CU_ASSERT_EQUAL(id, 2);
	after(s, 20 * NS_PER_MS);
	CU_ASSERT_EQUAL(a->done, 1); /* it was answered where it came from */
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, B, 1));
	CU_ASSERT_FALSE(sim_path_find(s, B, 2)->usable);
	sim_probe(s);
	expect_by(s, 1);
	CU_ASSERT_EQUAL(sim_rekey(s, B, NULL), ERR_OK);
	after(s, 3 * NS_PER_S);
	expect_same(s);
	expect_by(s, 1);
	sim_free(s);
}

/* Who goes elsewhere sends there at once, if nothing else carries; the other side not before it was
 * answered there. */
static void test_M4_sent_at_once(void)
{
	const struct ike_path_op ops[] = {
		{.act = IKE_PATH_ADD, .addr = between(A, 1), .policy = IKE_PATHS_AS_BEFORE},
		{.act = IKE_PATH_REMOVE, .id = 1}};
	struct sim *s = pathsim_up();

	CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 2, NULL), ERR_OK);
	CU_ASSERT_TRUE(sim_path_find(s, A, 2)->usable);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_TRUE(sim_path_find(s, A, 2)->usable);
	CU_ASSERT_FALSE(sim_path_find(s, B, 2)->usable);
	sim_probe(s);
	expect_by(s, 1);
	CU_ASSERT_EQUAL(add(s, A, 2, NULL), ERR_OK); /* path 2 carries */
	CU_ASSERT_FALSE(sim_path_find(s, A, 3)->usable);
	sim_free(s);
}

/* The other side may send there in measure if what told it of the path came from there, once for a
 * message; and not to what was only told. */
static void test_S57_named_from_there(void)
{
	const struct ike_path_op ops[] = {
		{.act = IKE_PATH_ADD, .addr = between(A, 1), .policy = IKE_PATHS_AS_BEFORE},
		{.act = IKE_PATH_ADD, .addr = between(A, 1), .policy = IKE_PATHS_AS_BEFORE},
		{.act = IKE_PATH_REMOVE, .id = 1}};
	struct sim *s = pathsim_up();

	CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 3, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_path_find(s, B, 2)->came > 100 && sim_path_find(s, B, 2)->came < 300);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 3)->came, 0);
	CU_ASSERT_EQUAL(s->n[B].sent_to, NET(B)->peer->id); /* the answer counts, too */
	CU_ASSERT_EQUAL(sim_path_find(s, A, 2)->came + sim_path_find(s, A, 3)->came, 0);
	sim_probe(s);
	CU_ASSERT_EQUAL(add(s, A, 2, NULL), ERR_OK); /* said from where path 2 begins */
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 4)->came, 0);
	sim_free(s);
}

/* The only address goes, and another one comes later: what was to be said meanwhile, or is under
 * way, holds up nothing. Copies are sent a second apart. */
static void test_M4_nothing_before_it(void)
{
	struct sim *s = pathsim_up();

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 1), ERR_OK);
	after(s, NS_PER_S);
	for (unsigned turn = 0; turn < 3; turn++) {
		const unsigned to = turn % 2 ? 1 : 0;
		const struct ike_path_op ops[] = {{.act = IKE_PATH_ADD,
						   .addr = between(A, to),
						   .policy = IKE_PATHS_AS_BEFORE},
						  {.act = IKE_PATH_REMOVE, .id = NET(A)->mif.ike}};

		sim_have(s, A, 0, 0);
		if (turn == 2)
			CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
		after(s, NS_PER_S / 10);
		CU_ASSERT_EQUAL(NET(A)->out.waiting, turn == 2); /* who said something waits */
		sim_have(s, A, 1u << to, to);
		CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 2, NULL), ERR_OK);
		after(s, 150 * NS_PER_MS);
		expect_same(s);
		sim_probe(s);
		expect_by(s, to);
		CU_ASSERT_EQUAL(NET(B)->mobike.peers.num, 0); /* it was told at last */
	}
	sim_free(s);
}

/* goes_elsewhere - a request of A's goes to another of the peer's addresses, too. */
static bool goes_elsewhere(struct sim *s)
{
	struct sa_target to;

	return mobike_detour(NET(A), &to, 0);
}

/* A request goes by another way, too, if its own address is gone, and not because the host does not
 * say that it has it: an embedder's says nothing, and a long list is cut off. */
static void test_M4_not_listed(void)
{
	struct sim *s = pathsim_up();
	struct sim_node *n = &s->n[A];

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_FALSE(goes_elsewhere(s));
	n->unlisted = true;
	CU_ASSERT_FALSE(goes_elsewhere(s));
	sim_have(s, A, 6, 1);
	CU_ASSERT_FALSE(goes_elsewhere(s) || NET(A)->mobike.untold);
	n->unlisted = false;
	n->others = 64;
	sim_have(s, A, 6, 1);
	CU_ASSERT_FALSE(goes_elsewhere(s) || NET(A)->mobike.untold);
	n->others = 10;
	sim_have(s, A, 6, 1);
	CU_ASSERT_TRUE(goes_elsewhere(s) && NET(A)->mobike.untold);
	n->unlisted = true;
	sim_have(s, A, 0, 0); /* and there is no way */
	CU_ASSERT_TRUE(NET(A)->mobike.untold);
	sim_free(s);
}

/* What waited takes over until the new path is usable. */
static void test_hard_with_a_backup(void)
{
	struct sim *s = pathsim_up();
	const struct ike_path_op op = {.act = IKE_PATH_HARD, .addr = between(A, 2)};

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, A, 1));
	expect_by(s, 1);
	sim_probe(s);
	expect_by(s, 2);
	sim_free(s);
}

/* Priorities, weights and the policy in one transaction; a path that fails makes room for the next.
 */
static void test_schedule(void)
{
	const struct ike_path_op ops[] = {{.act = IKE_PATH_SCHEDULE,
					   .id = 1,
					   .priority = 5,
					   .weight = 10,
					   .policy = IKE_PATHS_FLOW},
					  {.act = IKE_PATH_SCHEDULE,
					   .id = 2,
					   .priority = 5,
					   .weight = 20,
					   .policy = IKE_PATHS_AS_BEFORE},
					  {.act = IKE_PATH_SCHEDULE, .policy = IKE_PATHS_FLOW}};
	struct sim *s = pathsim_up();

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 3, NULL), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.policy, MIF_FLOW);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 2)->weight, 20);
	for (unsigned side = 0; side < 2; side++)
		for (uint16_t id = 1; id <= 2; id++)
			CU_ASSERT_TRUE(paths_active(&NET(side)->mif.paths,
						    paths_find(&NET(side)->mif.paths, id)));
	s->n[A].num_addrs = 0; /* the first path's address, and the third one */
	s->n[A].addrs[s->n[A].num_addrs++] = sim_addr(A, 1);
	sim_probe(s);
	CU_ASSERT_FALSE(sim_path_find(s, B, 1)->usable);
	expect_by(s, 1);
	sim_free(s);
}

/* A policy that the peer cannot follow is not asked for. */
static void test_policy_of_both(void)
{
	struct sim *s = pathsim_up();
	const struct ike_path_op op = {.act = IKE_PATH_SCHEDULE, .policy = IKE_PATHS_DUPLICATE};

	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_PERM);
	NET(A)->mif.peer.caps |= MIF_CAP_DUPLICATE;
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_PERM);
	sim_free(s);
}

/* ---- who says what --------------------------------------------------------------------------- */

/* The side that does not decide proposes, and says what it has lost. */
static void test_M10_the_follower(void)
{
	struct sim *s = pathsim_up();
	const struct ip_addr b1 = sim_addr(B, 1);
	uint16_t id = 77;

	CU_ASSERT_EQUAL(act_on(s, B, NULL, IKE_PATH_SOFT, 1), ERR_PERM);
	CU_ASSERT_EQUAL(act_on(s, B, NULL, IKE_PATH_SCHEDULE, 1), ERR_PERM);
	CU_ASSERT_EQUAL(add(s, B, 1, &id), ERR_OK);
	CU_ASSERT_EQUAL(id, 0);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].proposed, 1);
	CU_ASSERT_TRUE(ip_addr_equal(&s->n[A].last_proposed.remote.addr, &b1));
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 1); /* it is heard, and that is all */
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(act_on(s, B, NULL, IKE_PATH_REMOVE, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, A, 1));
	expect_by(s, 1);
	sim_free(s);
}

/* Operations that are refused, and a question that is not. own: where there is one, the address of
 * which side, and which. */
static const struct refusal {
	unsigned from;
	uint16_t status;
	struct mif_op op;
	struct {
		unsigned side, nth;
	} own;
} refusals[] = {
	{A, MIF_BAD_PATH_ID, .op = {.op = MIF_ADD, .path = 0, .has = MIF_HAS_OWN}, .own = {A, 1}},
	{A, MIF_BAD_PATH_ID, .op = {.op = MIF_ADD, .path = 1, .has = MIF_HAS_OWN}, .own = {A, 1}},
	{A, MIF_BAD_ENDPOINT, .op = {.op = MIF_ADD, .path = 2, .has = MIF_HAS_OWN}, .own = {B, 1}},
	{A, MIF_BAD_ENDPOINT, .op = {.op = MIF_ADD, .path = 2, .has = MIF_HAS_OWN}, .own = {A, 2}},
	{A, MIF_BAD_ENDPOINT, .op = {.op = MIF_ADD, .path = 2, .has = MIF_HAS_OWN | MIF_HAS_PEERS},
	 .own = {A, 1}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_REMOVE, .path = 2}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_SOFT, .path = 2}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_HARD, .path = 0}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_QUERY, .path = 2}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_LEAVE, .path = 2}},
	{A, MIF_POLICY_DENIED, .op = {.op = MIF_LEAVE, .path = 1}},
	{A, MIF_POLICY_DENIED, .op = {.op = MIF_REMOVE, .path = 1}},
	{A, MIF_POLICY_DENIED,
	 .op = {.op = MIF_MULTIHOMING,
		.path = 1,
		.has = MIF_HAS_SCHEDULE,
		.schedule = {MIF_SPRAY, 0, 1}}},
	{A, MIF_UNSUPPORTED_OP, .op = {.op = 8, .path = 1}},
	{A, MIF_UNSUPPORTED_OP, .op = {.op = MIF_REMOVE, .flags = 4, .path = 1}},
	{B, MIF_POLICY_DENIED, .op = {.op = MIF_SOFT, .path = 1}},
	{B, MIF_POLICY_DENIED, .op = {.op = MIF_HARD, .path = 1}},
	{B, MIF_POLICY_DENIED, .op = {.op = MIF_ADD, .path = 2, .has = MIF_HAS_OWN}, .own = {B, 1}},
	{B, MIF_POLICY_DENIED,
	 .op = {.op = MIF_MULTIHOMING,
		.path = 1,
		.has = MIF_HAS_SCHEDULE,
		.schedule = {MIF_FAILOVER, 1, 1}}},
	{B, MIF_POLICY_DENIED, .op = {.op = MIF_REMOVE, .path = 1}},
	{A, MIF_OK, .op = {.op = MIF_QUERY, .path = 0}},
};

/* refusal_of - what the other side says to it. */
static uint16_t refusal_of(struct sim *s, const struct refusal *r)
{
	const uint8_t stranger[4] = {203, 0, 113, 99};
	struct mif_op op = r->op;

	op.transaction = (uint16_t)(100 + (r - refusals));
	op.own = end_of(r->own.side, r->own.nth);
	op.peers = (struct mif_endpoint){.at = {ip_addr_v4(stranger), 4500, 0}};
	return status_of(s, r->from, &op);
}

/* Each refusal, and nothing is changed by it. */
static void test_M10_refusals(void)
{
	struct sim *s = pathsim_up();

	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const uint16_t status = refusal_of(s, &refusals[i]);

		if (status != refusals[i].status)
			tap_diag("row %zu: %s", i, mif_status_name(status));
		CU_ASSERT_EQUAL(status, refusals[i].status);
		for (unsigned side = 0; side < 2; side++)
			CU_ASSERT_TRUE(NET(side)->mif.paths.num == 1 &&
				       !NET(side)->mif.paths.policy &&
				       !NET(side)->mif.paths.list[0].priority);
	}
	expect_same(s);
	expect_by(s, 0);
	sim_free(s);
}

/* A question is answered with all that the other side has. */
static void test_query(void)
{
	const struct mif_op query = {.op = MIF_QUERY, .transaction = 50};
	struct sim *s = pathsim_up();
	struct answer a = {.elsewhere = false};
	unsigned told = 0;

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_QUERY, 0), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 2);
	say(s, A, &a, &query, 1);
	for (uint32_t k = 0; k < a.m.num; k++) {
		struct wire_notify n;
		struct ip_addr b;
		struct mif_op op;

		if (a.m.payloads[k].type != PAYLOAD_NOTIFY ||
		    wire_notify_parse(&n, a.m.payloads[k].body) || n.type != NOTIFY_MIF_OP)
			continue;
		CU_ASSERT_EQUAL_FATAL(mif_op_parse(&op, n.data), ERR_OK);
		CU_ASSERT_EQUAL(op.refused, 0);
		CU_ASSERT_EQUAL(op.path, ++told);
		CU_ASSERT_EQUAL(op.transaction, 50);
		CU_ASSERT_EQUAL(op.state.state, told == 1 ? MIF_PATH_USABLE : MIF_PATH_VALIDATING);
		CU_ASSERT_EQUAL(op.state.active, told == 1);
		b = sim_addr(B, told - 1);
		CU_ASSERT_TRUE(ip_addr_equal(&op.own.at.addr, &b));
		b = sim_addr(A, told - 1);
		CU_ASSERT_TRUE(ip_addr_equal(&op.peers.at.addr, &b));
	}
	CU_ASSERT_EQUAL(told, 2);
	sim_free(s);
}

/* Where the peer has not been it is not told of paths: somebody may have sent its question from a
 * victim's address. */
static void test_S57_long_answers(void)
{
	struct mif_op query = {.op = MIF_QUERY, .transaction = 50};
	struct answer a = {.elsewhere = true};
	struct sim *s = pathsim_up();

	for (unsigned i = 0; i < 7; i++) {
		CU_ASSERT_EQUAL(add(s, A, 2, NULL), ERR_OK);
		after(s, NS_PER_S);
	}
	say(s, A, &a, &query, 1);
	CU_ASSERT_TRUE(a.len <= 3 * a.asked_len);
	a.elsewhere = false;
	query.transaction++;
	say(s, A, &a, &query, 1);
	CU_ASSERT_TRUE(a.len > 3 * a.asked_len);
	sim_free(s);
}

/* ---- all or nothing, and questions ----------------------------------------------------------- */

/* The peer refuses the second one: neither is done, and this side takes both back. */
static void test_atomic(void)
{
	const uint8_t victim[4] = {203, 0, 113, 99};
	struct ike_path_op ops[] = {{.act = IKE_PATH_ADD, .addr = between(A, 1)},
				    {.act = IKE_PATH_ADD, .addr = between(A, 1)}};
	struct sim *s = pathsim_up();

	ops[1].addr.remote.addr = ip_addr_v4(victim);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 2, NULL), ERR_OK);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 3);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].refused, 2);
	CU_ASSERT_EQUAL(s->n[A].last_status, MIF_BAD_ENDPOINT);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 1);
	expect_same(s);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &ops[0], 1, NULL), ERR_OK);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &ops[1], 1, NULL), ERR_OK); /* each by itself */
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].refused, 3);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 2);
	expect_same(s);
	sim_free(s);
}

static void test_dry(void)
{
	struct ike_path_op op = {.act = IKE_PATH_HARD, .addr = between(A, 1), .dry = true};
	struct sim *s = pathsim_up();

	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 1);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num + NET(B)->mif.paths.num, 2);
	expect_same(s);
	expect_by(s, 0);
	op.dry = false;
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 2);
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, B, 1));
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M10_add_and_remove),
	TAP_TEST(test_too_many_paths),
	TAP_TEST(test_soft),
	TAP_TEST(test_hard),
	TAP_TEST(test_M4_nothing_before_it),
	TAP_TEST(test_M4_not_listed),
	TAP_TEST(test_M4_sent_at_once),
	TAP_TEST(test_S57_named_from_there),
	TAP_TEST(test_hard_with_a_backup),
	TAP_TEST(test_schedule),
	TAP_TEST(test_policy_of_both),
	TAP_TEST(test_M10_the_follower),
	TAP_TEST(test_M10_refusals),
	TAP_TEST(test_query),
	TAP_TEST(test_S57_long_answers),
	TAP_TEST(test_atomic),
	TAP_TEST(test_dry),
};

TAP_MAIN("sim/paths", tests)
