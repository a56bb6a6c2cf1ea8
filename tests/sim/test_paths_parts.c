/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the traffic that go by a path of their own (docs/multiple-interfaces.md, section 5). */
#include <stdio.h>
#include <string.h>

#include "control/ike/move.h"
#include "tests/sim/pathsim.h"
#include "tests/tap/tap.h"

/* One child goes elsewhere and the other one does not, on both sides; it does so when it is
 * re-keyed, and goes with the others when the path is gone. */
static void test_M5_one_child(void)
{
	struct sim *s = pathsim_up_with_two();

	CU_ASSERT_EQUAL(act_on(s, A, "two", IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned side = 0; side < 2; side++) {
			CU_ASSERT_EQUAL(pathsim_pair(s, side, "two")->path, 2);
			CU_ASSERT_EQUAL(pathsim_pair(s, side, "tun")->path, 0);
		}
		CU_ASSERT_EQUAL(sim_rekey(s, i & 1, i == 1 ? NULL : "two"), ERR_OK);
		s->traffic = true;
		after(s, 10 * NS_PER_S);
	}
	CU_ASSERT_EQUAL(act_on(s, A, "nothing", IKE_PATH_SOFT, 2), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 2), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(pathsim_pair(s, A, "two")->path, 0);
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "two")->path, 0);
	expect_by(s, 0);
	sim_free(s);
}

/* A worker's own pair goes by the path that the shared one is tied to, whichever side asks for it,
 * and before it is re-keyed. */
static void test_M5_per_worker(void)
{
	char text[2][1000];
	struct sim_options opt = {.wire = calm, .workers = {2, 2}};
	struct sim *s;

	for (unsigned side = 0; side < 2; side++) {
		snprintf(text[side], sizeof(text[side]), "%s",
			 sim_conf_anywhere(side, "rekey_time = 0s", "per_cpu_sas = yes"));
		opt.conf[side] = text[side];
	}
	s = pathsim_begin(5, &opt);
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(act_on(s, A, "tun", IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	sim_alone(s, A, 0);
	sim_alone(s, B, 1);
	after(s, NS_PER_S);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_EQUAL(sim_num_pairs(s, side), 3);
		for (uint32_t i = 0; i < s->n[side].num_pairs; i++)
			CU_ASSERT_EQUAL(s->n[side].pairs[i].path, 2);
	}
	sim_free(s);
}

/* up_with_domains - "tun" has no tag, "two" and "three" have one, and so has "far"; that one and
 * "away" are under another IKE SA with the same peer. */
static struct sim *up_with_domains(void)
{
	struct sim *s = pathsim_up_with_two();
	struct ike_initiate_params p = {.conn = "other",
					.child = "far",
					.path = {.local = {.addr = sim_addr(A, 0), .port = 500},
						 .remote = {.addr = sim_addr(B, 0), .port = 500}}};

	CU_ASSERT_EQUAL(sim_initiate(s, A, "three"), ERR_OK);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "four"), ERR_OK);
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, NS_PER_S);
	p.child = "away";
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 6);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 2);
	return s;
}

/* expect_tied - by which paths children go on both sides. */
static void expect_tied(struct sim *s, uint16_t tun, uint16_t two, uint16_t three, uint16_t four,
			uint16_t far)
{
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_EQUAL(pathsim_pair(s, side, "tun")->path, tun);
		CU_ASSERT_EQUAL(pathsim_pair(s, side, "two")->path, two);
		CU_ASSERT_EQUAL(pathsim_pair(s, side, "three")->path, three);
		CU_ASSERT_EQUAL(pathsim_pair(s, side, "four")->path, four);
		CU_ASSERT_EQUAL(pathsim_pair(s, side, "far")->path, far);
	}
}

static enum err move_domain(struct sim *s, unsigned side, const char *tag, enum ike_path_act act,
			    uint16_t id)
{
	const struct ike_path_op op = {.act = act, .id = id, .tag = tag};

	return path_ops(s, side, NULL, &op, 1, NULL);
}

/* What has the tag goes elsewhere by one operation, on both sides and after it was re-keyed, and
 * nothing else does; it is back with the others when all are moved. */
static void test_M5_domain(void)
{
	struct sim *s = up_with_domains();
	static const struct {
		const char *tag;
		enum ike_path_act act;
		enum err e;
	} refused[] = {
		{"voic", IKE_PATH_SOFT, ERR_NOT_FOUND},
		{"voice2", IKE_PATH_SOFT, ERR_NOT_FOUND},
		{"Voice", IKE_PATH_HARD, ERR_NOT_FOUND},
		{"", IKE_PATH_SOFT, ERR_INVAL},
		{"elsewhere", IKE_PATH_SOFT, ERR_NOT_FOUND},
		{"voice", IKE_PATH_REMOVE, ERR_INVAL},
		{"voice", IKE_PATH_SCHEDULE, ERR_INVAL},
		{"this tag has 65 bytes, which is one more than operations can name", IKE_PATH_SOFT,
		 ERR_INVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		CU_ASSERT_EQUAL(move_domain(s, A, refused[i].tag, refused[i].act, 2), refused[i].e);
	expect_tied(s, 0, 0, 0, 0, 0);
	CU_ASSERT_EQUAL(move_domain(s, A, "voice", IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 2);
	expect_same(s);
	expect_tied(s, 0, 2, 2, 0, 0);
	CU_ASSERT_EQUAL(sim_rekey(s, B, "three"), ERR_OK);
	s->traffic = true;
	after(s, 10 * NS_PER_S);
	expect_tied(s, 0, 2, 2, 0, 0);
	CU_ASSERT_EQUAL(move_domain(s, A, "voice", IKE_PATH_HARD, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_tied(s, 0, 1, 1, 0, 0);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 2); /* nothing is removed for a part */
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	expect_tied(s, 0, 0, 0, 0, 0);
	sim_free(s);
}

/* Both sides give the tag: where the peer does not, nothing moves on either. */
static void test_M5_domain_of_one_side(void)
{
	struct sim *s = up_with_domains();

	CU_ASSERT_EQUAL(move_domain(s, A, "odd1", IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].refused, 1);
	expect_same(s);
	expect_tied(s, 0, 0, 0, 0, 0);
	CU_ASSERT_EQUAL(move_domain(s, A, "odd2", IKE_PATH_SOFT, 2), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(move_domain(s, B, "voice", IKE_PATH_SOFT, 2), ERR_PERM);
	sim_free(s);
}

/* A tag is that of children under the IKE SA that the operation came by, and must be the whole. */
static void test_M13_domain_of_this_ike_sa(void)
{
	static const struct {
		const char *tag;
		uint16_t status, path;
	} rows[] = {
		{"voice2", MIF_EMPTY_SELECTOR, 0},    {"voic", MIF_EMPTY_SELECTOR, 0},
		{"v", MIF_EMPTY_SELECTOR, 0},         {"odd1", MIF_EMPTY_SELECTOR, 0},
		{"elsewhere", MIF_EMPTY_SELECTOR, 0}, {"voice", MIF_OK, 2},
	};
	struct sim *s = up_with_domains();
	struct mif_op op = {.op = MIF_SOFT, .path = 2, .transaction = 60, .has = MIF_HAS_SELECTOR};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++, op.transaction++) {
		op.selector = (struct mif_selector){MIF_SELECT_DOMAIN, 0,
						    bytes_of(rows[i].tag, strlen(rows[i].tag))};
		CU_ASSERT_EQUAL(status_of(s, A, &op), rows[i].status);
		CU_ASSERT_EQUAL(pathsim_pair(s, B, "two")->path, rows[i].path);
		CU_ASSERT_EQUAL(pathsim_pair(s, B, "three")->path, rows[i].path);
		CU_ASSERT_EQUAL(pathsim_pair(s, B, "tun")->path, 0);
		CU_ASSERT_EQUAL(pathsim_pair(s, B, "four")->path, 0);
		CU_ASSERT_EQUAL(pathsim_pair(s, B, "far")->path, 0);
		CU_ASSERT_EQUAL(pathsim_pair(s, B, "away")->path, 0);
	}
	sim_free(s);
}

/* By traffic selectors, and all back again. */
static void test_M5_by_traffic(void)
{
	struct sim *s = pathsim_up_with_two();
	struct ts_list own = {.num = 1}, peers = {.num = 1};
	struct mif_op op = {.op = MIF_SOFT, .path = 2, .transaction = 60, .has = MIF_HAS_SELECTOR};
	uint8_t buf[256];

	CU_ASSERT_EQUAL_FATAL(ts_parse(&own.ts[0], "10.0.0.0/12"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ts_parse(&peers.ts[0], "10.12.0.0/16"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(mif_selector_of_ts(&op.selector, buf, sizeof(buf), &own, &peers),
			      ERR_OK);
	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_OK);
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "two")->path, 2);
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "tun")->path, 0);
	CU_ASSERT_EQUAL_FATAL(ts_parse(&peers.ts[0], "10.13.0.0/16"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(mif_selector_of_ts(&op.selector, buf, sizeof(buf), &own, &peers),
			      ERR_OK);
	op.transaction++;
	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_EMPTY_SELECTOR);
	op.transaction++;
	op.has = 0;
	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_OK);
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "two")->path, 0);
	sim_free(s);
}

/* An operation is about the children of its own IKE SA: others, though the peer has them too, do
 * not move, and come back as failed. */
static void test_M13_only_of_this_ike_sa(void)
{
	struct sim *s = pathsim_up_with_two();
	const struct ike_initiate_params p = {
		.conn = "other",
		.child = "far",
		.path = {.local = {.addr = sim_addr(A, 0), .port = 500},
			 .remote = {.addr = sim_addr(B, 0), .port = 500}}};
	struct mif_op op = {.op = MIF_SOFT, .path = 2, .transaction = 60, .has = MIF_HAS_SELECTOR};
	struct mif_result r = {.status = 1};
	struct answer a = {.elsewhere = false};
	uint8_t spis[8];

	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 2);
	store_be32(spis, pathsim_pair(s, A, "far")->spi_in);
	store_be32(spis + 4, pathsim_pair(s, A, "two")->spi_in);
	op.selector = (struct mif_selector){MIF_SELECT_SPIS, 0, bytes_of(spis, 8)};
	op.flags = MIF_ATOMIC; /* all or none */
	say(s, A, &a, &op, 1);
	CU_ASSERT_TRUE(result_of(&a, 0, &r));
	CU_ASSERT_EQUAL(r.status, MIF_EMPTY_SELECTOR);
	CU_ASSERT_TRUE(bytes_equal(r.failed, bytes_of(spis, 4)));
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "two")->path, 0);
	op.flags = 0;
	op.transaction++;
	say(s, A, &a, &op, 1);
	CU_ASSERT_TRUE(result_of(&a, 0, &r));
	CU_ASSERT_EQUAL(r.status, MIF_OK);
	CU_ASSERT_TRUE(bytes_equal(r.failed, bytes_of(spis, 4)));
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "two")->path, 2);
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "far")->path, 0);
	op.transaction++;
	op.selector.bytes = bytes_of(spis, 4);
	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_EMPTY_SELECTOR);
	CU_ASSERT_EQUAL(pathsim_pair(s, B, "far")->path, 0);
	sim_free(s);
}

/* One call moves all IKE SAs with all their children, by one exchange each. */
static void test_M13_one_exchange_each(void)
{
	struct sim *s = pathsim_up_with_two();
	const struct ike_initiate_params p = {
		.conn = "other",
		.child = "far",
		.path = {.local = {.addr = sim_addr(A, 0), .port = 500},
			 .remote = {.addr = sim_addr(B, 0), .port = 500}}};
	const struct ike_path_op hard = {.act = IKE_PATH_HARD, .addr = between(A, 2)};
	const struct ike_select all = {.conn = NULL};
	uint32_t messages[2] = {0, 0}, num = 0;

	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, NS_PER_S);
	s->tap = count_messages;
	s->tap_ctx = messages;
	CU_ASSERT_EQUAL(ike_path(s->n[A].e, &num, NULL, &all, &hard, 1, s->now_ns), ERR_OK);
	CU_ASSERT_EQUAL(num, 2);
	sim_settle(s, A);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(messages[A], 2);
	CU_ASSERT_EQUAL(messages[B], 2);
	sim_probe(s);
	for (unsigned side = 0; side < 2; side++)
		for (uint32_t i = 0; i < s->n[side].num_peers; i++) {
			const struct ip_addr l = sim_addr(side, 2);

			CU_ASSERT_TRUE(ip_addr_equal(&s->n[side].peers[i].path.local.addr, &l));
		}
	expect_by(s, 2);
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M5_one_child),
	TAP_TEST(test_M5_per_worker),
	TAP_TEST(test_M5_domain),
	TAP_TEST(test_M5_domain_of_one_side),
	TAP_TEST(test_M13_domain_of_this_ike_sa),
	TAP_TEST(test_M5_by_traffic),
	TAP_TEST(test_M13_only_of_this_ike_sa),
	TAP_TEST(test_M13_one_exchange_each),
};

TAP_MAIN("sim/paths_parts", tests)
