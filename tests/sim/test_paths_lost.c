/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on paths where messages are lost and come twice, memory is short, a path is left, and
 * MOBIKE is beside it: in the end both sides have the same paths. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/sim/pathsim.h"
#include "tests/tap/tap.h"

/* The allocation that fails, counted from now; 0: none does. */
static unsigned fails_at;

static void *failing_realloc(void *ctx, void *p, size_t size)
{
	(void)ctx;
	if (size && fails_at && --fails_at == 0)
		return NULL;
	if (size)
		return realloc(p, size);
	free(p);
	return NULL;
}

/* Before anything is allocated. */
__attribute__((constructor)) static void may_fail(void)
{
	static const struct alloc_ops ops = {.realloc = failing_realloc};

	alloc_set_ops(&ops);
}

/* ---- loss and repeats ------------------------------------------------------------------------ */

static bool lose_answers(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	(void)s;
	(void)len;
	(void)ctx;
	return from == A || bytes[18] != INFORMATIONAL || !(bytes[19] & IKE_FLAG_RESPONSE);
}

/* The answer is lost until the IKE SA is another one: the operation comes once more under another
 * message ID, and is answered as before, but not done. */
static void test_M10_done_once(void)
{
	struct sim *s = pathsim_up();

	s->tap = lose_answers;
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.num, 2);
	CU_ASSERT_EQUAL(s->n[A].done + s->n[A].refused, 0);
	CU_ASSERT_EQUAL(sim_rekey(s, B, NULL), ERR_OK);
	after(s, 2 * NS_PER_S);
	s->tap = NULL;
	after(s, 20 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 1);
	CU_ASSERT_EQUAL(s->n[A].refused, 0);
	expect_same(s);
	sim_free(s);
}

/* What is older than what was seen is not done. */
static void test_stale(void)
{
	struct mif_op op = {.op = MIF_ADD,
			    .path = 2,
			    .transaction = 300,
			    .has = MIF_HAS_OWN,
			    .own = end_of(A, 1)};
	struct mif_op remove = {.op = MIF_REMOVE, .path = 2, .transaction = 299};
	struct sim *s = pathsim_up();

	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_OK);
	CU_ASSERT_EQUAL(status_of(s, A, &remove), MIF_STALE);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.num, 2);
	remove.transaction = (uint16_t)(300 + 0x7fff); /* numbers go round */
	CU_ASSERT_EQUAL(status_of(s, A, &remove), MIF_OK);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.num, 1);
	sim_free(s);
}

/* Whatever allocation fails on either side, both have the same paths when memory is there again. */
static void test_short_of_memory(void)
{
	unsigned failed = 0;

	for (unsigned i = 1; i <= 60; i++) {
		struct sim *s = pathsim_up_with_two();
		const struct ike_path_op ops[] = {{.act = IKE_PATH_ADD, .addr = between(A, 2)},
						  {.act = IKE_PATH_HARD, .id = 2}};

		fails_at = i;
		(void)!path_ops(s, A, NULL, ops, 2, NULL);
		(void)!act_on(s, A, "two", IKE_PATH_SOFT, 2);
		after(s, 5 * NS_PER_S);
		failed += fails_at == 0;
		fails_at = 0;
		CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_QUERY, 0),
				ERR_OK); /* what waits goes on */
		after(s, 20 * NS_PER_S);
		CU_ASSERT_TRUE(list_empty(&NET(A)->mif.ops));
		expect_same(s);
		CU_ASSERT_EQUAL(s->n[A].ike_down + s->n[B].ike_down, 0);
		sim_free(s);
	}
	CU_ASSERT_TRUE(failed > 30);
}

/* payload_by - packets of either side that are on their way between addresses number i. */
static unsigned payload_by(struct sim *s, unsigned i)
{
	unsigned num = 0;

	for (size_t k = 0; k < s->num_fly; k++)
		for (unsigned side = 0; side < 2; side++) {
			const struct ip_addr a = sim_addr(side, i);

			num += s->fly[k].kind == SIM_PACKET &&
			       ip_addr_equal(&s->fly[k].path.local.addr, &a);
		}
	return num;
}

/* lose_nothing - what was sent has arrived, and once. */
static void lose_nothing(struct sim *s, const uint64_t lost[2])
{
	s->traffic = false;
	after(s, NS_PER_S);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_EQUAL(s->n[side].lost_packets, lost[side]);
		CU_ASSERT_EQUAL(s->n[side].ike_down + s->n[side].child_down, 0);
	}
	CU_ASSERT_EQUAL(s->twice, 0);
}

/* The order of events: a path is there, is added, validated, has the traffic, the last packets come
 * by the one before, and that is removed. What is tied to it goes elsewhere, too, and is tied
 * still; it all takes one exchange and one more. */
static void test_M15_order_of_events(void)
{
	struct sim *s = pathsim_up_with_two();
	const uint64_t lost[2] = {s->n[A].lost_packets, s->n[B].lost_packets};
	unsigned messages[2] = {0, 0}, before;

	CU_ASSERT_EQUAL(act_on(s, A, "two", IKE_PATH_SOFT, 1), ERR_OK);
	s->traffic = true;
	s->packet_ns = NS_PER_MS;
	s->wire = (struct sim_wire){.delay_ns = 20 * NS_PER_MS, .ask_ns = NS_PER_MS};
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(payload_by(s, 0) > 50 && payload_by(s, 1) == 0);
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "two")->path, 1);
	s->tap = count_messages;
	s->tap_ctx = messages;
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 1), ERR_OK);
	before = payload_by(s, 0);
	after(s, 30 * NS_PER_MS);
	CU_ASSERT_TRUE(payload_by(s, 0) > 0 && payload_by(s, 0) < before); /* B's last ones */
	after(s, 30 * NS_PER_MS);
	CU_ASSERT_EQUAL(payload_by(s, 0), 0);
	CU_ASSERT_TRUE(payload_by(s, 1) > 50);
	CU_ASSERT_TRUE(sim_path_find(s, A, 1)->leaving && sim_path_find(s, B, 1)->leaving);
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "two")->path, 1);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 1), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(messages[A] + messages[B], 4);
	s->tap = NULL;
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "two")->path, 0);
	CU_ASSERT_PTR_NULL(sim_path_find(s, B, 1));
	lose_nothing(s, lost);
	expect_same(s);
	expect_by(s, 1);
	sim_free(s);
}

/* A path that is left carries where nothing else does, and may be taken back; IKE goes elsewhere
 * with the traffic. */
static void test_M15_left_and_back(void)
{
	struct sim *s = pathsim_up_with_two();
	const uint64_t peer = NET(A)->peer->id;
	const struct ike_path_op back = {.act = IKE_PATH_SCHEDULE, .id = 1, .weight = 1};
	const struct mif_op of_follower = {.op = MIF_LEAVE, .path = 1, .transaction = 1};

	CU_ASSERT_EQUAL(act_on(s, B, NULL, IKE_PATH_LEAVE, 1), ERR_PERM);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 9), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	expect_by(s, 1);
	ike_path_usable(s->n[A].e, peer, 2, false, NULL, s->now_ns);
	ike_path_usable(s->n[B].e, NET(B)->peer->id, 2, false, NULL, s->now_ns);
	sim_settle(s, A);
	sim_settle(s, B);
	expect_by(s, 0);
	sim_probe(s);
	expect_by(s, 1);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &back, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	expect_by(s, 0);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 1), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_SOFT, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	expect_by(s, 0);
	CU_ASSERT_EQUAL(status_of(s, B, &of_follower), MIF_POLICY_DENIED);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 2), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 1), ERR_PERM); /* the only one */
	sim_free(s);
}

/* Where IKE goes by another path than the first one MOBIKE's message moves none. */
static void test_mobike_does_not_interfere(void)
{
	struct sim *s = pathsim_up();
	static const uint8_t update[] = {0, 0, 0x40, 0x10};
	const struct ike_payload p = {.type = PAYLOAD_NOTIFY, .body = bytes_of(update, 4)};
	struct path_addr from;
	uint8_t out[512];
	size_t len;

	CU_ASSERT_EQUAL(add(s, A, 2, NULL), ERR_OK);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_TRUE(NET(B)->mobike.on);
	len = forge_bare(s, NET(A), INFORMATIONAL, 0, NET(B)->in.x.next_id, &p, 1, out,
			 sizeof(out));
	from = NET(B)->path;
	from.remote.addr = sim_addr(A, 1);
	sim_deliver(s, B, &from, out, len);
	CU_ASSERT_FALSE(NET(B)->probe.on);
	after(s, NS_PER_S);
	expect_same(s);
	expect_by(s, 2);
	sim_have(s, A, 6, 1); /* nor does an address that goes: who has paths says what is to be */
	after(s, NS_PER_S);
	expect_same(s);
	sim_free(s);
}

/* Where a side cannot have several paths for the mode of a child there is the first one alone: who
 * asks knows that, and who is asked refuses. */
static void test_M9_not_in_this_mode(void)
{
	static const struct {
		enum sa_mode mode;
		uint16_t lacks;
		bool may;
	} rows[] = {{SA_TRANSPORT, MIF_CAP_TRANSPORT, false},
		    {SA_TUNNEL, MIF_CAP_TRANSPORT, true},
		    {SA_TUNNEL, MIF_CAP_TUNNEL, false},
		    {SA_TRANSPORT, MIF_CAP_BULK, true}};

	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		const unsigned sees = i % 2; /* A, who asks; or B */
		struct sim *s = pathsim_make(7, &calm, true, rows[i / 2].mode);
		const bool may = rows[i / 2].may;

		NET(sees)->mif.peer.caps &= (uint16_t)~rows[i / 2].lacks;
		CU_ASSERT_EQUAL(add(s, A, 1, NULL), may || sees == B ? ERR_OK : ERR_PERM);
		after(s, NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].refused, !may && sees == B);
		CU_ASSERT_EQUAL(NET(A)->mif.paths.num, may ? 2 : 1);
		expect_same(s);
		sim_free(s);
	}
}

/* ---- many seeds ------------------------------------------------------------------------------ */

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);

	return v ? strtoull(v, NULL, 10) : otherwise;
}

static void probe_again(struct sim *s, unsigned left)
{
	sim_probe(s);
	if (left)
		sim_at(s, s->now_ns + NS_PER_S / 2, probe_again, left - 1);
}

static void disturb(struct sim *s, unsigned what)
{
	const struct ike_select sel = {.conn = "net"};
	struct ike_path_op ops[2] = {
		{.act = (enum ike_path_act)(what & 7) % (IKE_PATH_LEAVE + 1),
		 .id = what & 8 ? (uint16_t)(1 + (what >> 4 & 7)) : 0,
		 .addr = between(A, what >> 7 & 1),
		 .priority = what >> 8 & 3,
		 .weight = (uint16_t)(1 + (what >> 4 & 3)),
		 .policy = what & 512 ? IKE_PATHS_FLOW : IKE_PATHS_AS_BEFORE},
		{.act = IKE_PATH_SCHEDULE, .id = 1, .weight = 3, .policy = IKE_PATHS_FAILOVER}};
	const unsigned side = what >> 10 & 1;
	uint32_t num;

	switch (what >> 11 & 7) {
	case 0:
		(void)sim_rekey(s, side, NULL);
		break;
	case 1:
		(void)sim_rekey(s, side, "tun");
		break;
	case 2:
		ops[0].addr = between(B, what >> 7 & 1);
		(void)!ike_path(s->n[B].e, &num, NULL, &sel, ops, 1, s->now_ns);
		sim_settle(s, B);
		break;
	default:
		(void)!ike_path(s->n[A].e, &num, NULL, &sel, ops, 1 + (what >> 14 & 1), s->now_ns);
		sim_settle(s, A);
	}
}

static bool calm_again(struct sim *s, char why[static 200])
{
	for (unsigned i = 0; i < 200; i++) {
		after(s, NS_PER_S);
		if (list_empty(&NET(A)->mif.ops) && list_empty(&NET(B)->mif.ops) &&
		    sim_same(s, why) && same_paths(s, why))
			return true;
	}
	return false;
}

/* is_as_made - "tun" has the mode and, in transport mode, the hosts that it began with. */
static bool is_as_made(const struct sim *s, unsigned side, enum sa_mode mode)
{
	const struct ip_addr local = sim_addr(side, 0), remote = sim_addr(!side, 0);

	for (uint32_t i = 0; i < s->n[side].num_pairs; i++) {
		const struct sim_pair *p = &s->n[side].pairs[i];

		if (!p->in || strcmp(p->name, "tun") != 0)
			continue;
		if (p->mode != mode ||
		    (mode == SA_TRANSPORT && (!ip_addr_equal(&p->local.lo, &local) ||
					      !ip_addr_equal(&p->remote.lo, &remote))))
			return false;
	}
	return true;
}

/* Both sides' paths agree once the network holds still, and so do their data paths. */
static void test_M10_seeds(void)
{
	const uint64_t num = env_number("SIM_SEEDS", 300), first = env_number("SIM_FIRST", 1);
	uint64_t agreed = 0, paths = 0, done = 0, refused = 0, rekeyed = 0;

	for (uint64_t seed = first; seed < first + num; seed++) {
		const enum sa_mode mode = seed & 2 ? SA_TRANSPORT : SA_TUNNEL;
		struct sim *s = pathsim_make(seed, &rough, seed % 2, mode);
		char why[200] = "";
		bool ok;

		sim_at(s, s->now_ns, probe_again, 200);
		for (unsigned i = 0; i < 25; i++)
			sim_at(s, s->now_ns + sim_random(s, 60 * NS_PER_S), disturb,
			       (unsigned)sim_random(s, 1u << 15));
		s->traffic = true;
		after(s, 60 * NS_PER_S);
		s->wire = calm;
		ok = calm_again(s, why);
		if (!ok)
			tap_diag("seed %lu: %s", (unsigned long)seed, why);
		agreed += ok;
		paths += NET(A)->mif.paths.num;
		done += s->n[A].done + s->n[B].done;
		refused += s->n[A].refused + s->n[B].refused;
		rekeyed += mode == SA_TRANSPORT ? s->n[A].rekeyed_child : 0;
		CU_ASSERT_TRUE(is_as_made(s, A, mode) && is_as_made(s, B, mode));
		for (unsigned i = 0; i < 2; i++)
			CU_ASSERT_NOT_EQUAL(s->n[i].last_failure, IKE_REASON_TS_UNACCEPTABLE);
		CU_ASSERT_EQUAL(s->n[A].ike_down + s->n[B].ike_down, 0);
		sim_free(s);
	}
	tap_diag("%lu seeds: %lu agreed, %lu paths in the end, %lu operations done, %lu refused, "
		 "%lu pairs in transport mode re-keyed",
		 (unsigned long)num, (unsigned long)agreed, (unsigned long)paths,
		 (unsigned long)done, (unsigned long)refused, (unsigned long)rekeyed);
	CU_ASSERT_EQUAL(agreed, num);
	CU_ASSERT_TRUE(done > 5 * num && paths > num && rekeyed > num);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M10_done_once),       TAP_TEST(test_stale),
	TAP_TEST(test_short_of_memory),     TAP_TEST(test_M15_order_of_events),
	TAP_TEST(test_M15_left_and_back),   TAP_TEST(test_mobike_does_not_interfere),
	TAP_TEST(test_M9_not_in_this_mode), TAP_TEST(test_M10_seeds),
};

TAP_MAIN("sim/paths_lost", tests)
