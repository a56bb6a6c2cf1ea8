/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths an IKE SA should have, and what is to be done for that: tables of what there is. */
#include "api/engine/path_plan.h"
#include "tests/tap/tap.h"

/* Addresses: letters of this host, digits of the peer. */
static struct ip_addr addr(char c)
{
	const uint8_t bytes[4] = {192, 0, 2, (uint8_t)c};

	return c == '*' ? (struct ip_addr){0} : ip_addr_v4(bytes);
}

static struct ours ours;
static struct conf_conn conn;
static struct ike_sa_info sa;
static struct said said;
static struct path_ops ops;

static void have_addresses(const char *letters)
{
	ours.num = 0;
	for (; *letters; letters++)
		ours.list[ours.num++] = (struct host_addr){.addr = addr(*letters), .running = true};
}

/* have_on - "ax by": address a is on interface x, b on y. */
static void have_on(const char *pairs)
{
	ours.num = 0;
	for (; *pairs; pairs += pairs[2] ? 3 : 2)
		ours.list[ours.num++] = (struct host_addr){
			.addr = addr(pairs[0]), .ifname = {pairs[1]}, .running = true};
}

/* path - "a1" from a to 1, "a*" to wherever IKE goes. */
static struct conf_path path(const char *ends, uint8_t priority)
{
	return (struct conf_path){
		.local = addr(ends[0]), .remote = addr(ends[1]), .priority = priority, .weight = 1};
}

static void configure(enum conf_path_policy policy, const char *ends, uint8_t priority)
{
	conn.path_policy = policy;
	if (ends)
		conn.paths[conn.num_paths++] = path(ends, priority);
}

/* have - the IKE SA has one path more, which carries. */
static void have(uint16_t id, const char *ends, uint8_t priority)
{
	struct ike_path_info *p = &sa.path_list[sa.num_path_list++];

	*p = (struct ike_path_info){.id = id, .weight = 1, .priority = priority, .usable = true};
	p->addr.local.addr = addr(ends[0]);
	p->addr.remote.addr = addr(ends[1]);
	p->addr.encap = ENCAP_UDP;
}

/* begin - IKE goes from a to 1 by path 1; the host has a, b, c. */
static void begin(enum conf_path_policy policy)
{
	conn = (struct conf_conn){.path_policy = policy};
	sa = (struct ike_sa_info){.paths = true,
				  .paths_decides = true,
				  .path_policy = IKE_PATHS_FAILOVER,
				  .path = {.remote.addr = addr('1')}};
	said.num = 0;
	have_addresses("abc");
	have(1, "a1", 0);
}

static const struct ike_path_op *find(enum ike_path_act act, uint16_t id, char local)
{
	const struct ip_addr a = addr(local);

	for (uint32_t i = 0; i < ops.num; i++)
		if (ops.op[i].act == act &&
		    (id ? ops.op[i].id == id : ip_addr_equal(&ops.op[i].addr.local.addr, &a)))
			return &ops.op[i];
	return NULL;
}

/* planned - so many operations. */
static bool planned(uint32_t num)
{
	path_plan(&ops, &ours, &conn, &sa, &said, 7);
	if (ops.num != num)
		tap_diag("%u operations, not %u", ops.num, num);
	return ops.num == num;
}

static bool adds(char local)
{
	return find(IKE_PATH_ADD, 0, local) != NULL;
}

static bool removes(uint16_t id)
{
	return find(IKE_PATH_REMOVE, id, 0) != NULL;
}

static bool orders(uint16_t id, uint8_t priority)
{
	const struct ike_path_op *op = find(IKE_PATH_SCHEDULE, id, 0);

	return op && op->priority == priority;
}

/* ---- by the configuration -------------------------------------------------------------------- */

static void test_nothing_is_said(void)
{
	begin(CONF_PATHS_NONE);
	CU_ASSERT(planned(0));
	have_addresses("b"); /* it moves as MOBIKE says */
	CU_ASSERT(planned(0));
}

static void test_as_configured(void)
{
	begin(CONF_PATHS_FAILOVER);
	configure(CONF_PATHS_FAILOVER, "a*", 3);
	configure(CONF_PATHS_FAILOVER, "b2", 4);
	configure(CONF_PATHS_FAILOVER, "d*", 0); /* not this host's now */
	CU_ASSERT(planned(2));
	CU_ASSERT(orders(1, 3));
	CU_ASSERT_FATAL(adds('b'));
	CU_ASSERT_EQUAL(find(IKE_PATH_ADD, 0, 'b')->priority, 4);
	CU_ASSERT_EQUAL(find(IKE_PATH_ADD, 0, 'b')->port, 7);
	CU_ASSERT_EQUAL(find(IKE_PATH_ADD, 0, 'b')->addr.encap, ENCAP_UDP);
	have_addresses("abcd");
	CU_ASSERT(planned(3) && adds('d'));
}

static void test_each_address(void)
{
	begin(CONF_PATHS_SPRAY);
	CU_ASSERT(planned(3)); /* b, c, and another policy */
	CU_ASSERT(adds('b') && adds('c') && orders(1, 0));
	CU_ASSERT_EQUAL(find(IKE_PATH_SCHEDULE, 1, 0)->policy, IKE_PATHS_SPRAY);
	sa.path_policy = IKE_PATHS_SPRAY;
	have(2, "b1", 0);
	have(3, "c1", 0);
	CU_ASSERT(planned(0));
}

/* One that is not wanted stays while nothing else carries, unless its address has gone. */
static void test_not_wanted(void)
{
	begin(CONF_PATHS_FAILOVER);
	configure(CONF_PATHS_FAILOVER, "b*", 0);
	CU_ASSERT(planned(1) && adds('b'));
	have(2, "b1", 0);
	sa.path_list[1].usable = false;
	CU_ASSERT(planned(0));
	have_addresses("b");
	CU_ASSERT(planned(1) && removes(1));
	have_addresses("ab");
	sa.path_list[1].usable = true;
	CU_ASSERT(planned(1) && removes(1));
	have_addresses("c"); /* none is left: the last ones stay */
	CU_ASSERT(planned(0));
}

/* A path of an interface begins at its address, whichever that is now. */
static void test_M1_by_interface(void)
{
	begin(CONF_PATHS_FAILOVER);
	configure(CONF_PATHS_FAILOVER, NULL, 0);
	conn.num_paths = 2;
	conn.paths[0] = (struct conf_path){.interface = "x", .weight = 1};
	conn.paths[1] = (struct conf_path){.interface = "y", .priority = 1, .weight = 1};
	have_on("ax bx");
	CU_ASSERT(planned(0)); /* a is there already, and b would be another one of the same */
	have_on("ax cy");
	CU_ASSERT(planned(1) && adds('c'));
	CU_ASSERT_EQUAL(find(IKE_PATH_ADD, 0, 'c')->priority, 1);
	have(2, "c1", 1);
	CU_ASSERT(planned(0));
	have_on("bx ax cy");
	CU_ASSERT(planned(0)); /* a further address is none to go to */
	have_on("ax dy");      /* another one */
	CU_ASSERT(planned(2) && adds('d') && removes(2));
	have_on("ax");
	CU_ASSERT(planned(1) && removes(2));
	conn.paths[1].remote = (struct ip_addr){.family = IP_V6, .b = {0x20, 1}};
	have_on("ax cy");
	CU_ASSERT(planned(1) && removes(2)); /* it has none of that version */
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void add_by_hand(uint16_t id, const char *ends, uint8_t priority)
{
	const struct conf_path p = path(ends, priority);

	said_note(&said, SAID_ADDED, &p);
	have(id, ends, priority);
}

static void remove_by_hand(uint16_t id)
{
	struct ike_sa_info after = sa;

	said_remove(&said, &ours, &conn, &sa, id);
	after.num_path_list = 0;
	for (uint32_t i = 0; i < sa.num_path_list; i++)
		if (sa.path_list[i].id != id)
			after.path_list[after.num_path_list++] = sa.path_list[i];
	sa = after;
}

/* What was added stays, also when its address goes and comes, whatever the configuration has. */
static void test_M1_added_by_hand_stays(void)
{
	static const enum conf_path_policy policies[] = {CONF_PATHS_NONE, CONF_PATHS_FAILOVER};

	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		begin(policies[i]);
		if (policies[i] != CONF_PATHS_NONE)
			configure(policies[i], "a*", 0);
		add_by_hand(2, "b2", 5);
		CU_ASSERT(planned(0));
		have_addresses("a");
		CU_ASSERT(planned(1) && removes(2));
		sa.num_path_list = 1;
		have_addresses("ab");
		CU_ASSERT(planned(1) && adds('b'));
		CU_ASSERT_EQUAL(find(IKE_PATH_ADD, 0, 'b')->priority, 5);
		have(3, "b2", 5);
		remove_by_hand(3);
		CU_ASSERT_EQUAL(said.num, 0); /* nothing else wants it */
		CU_ASSERT(planned(0));
	}
}

/* What was removed does not come again, until it is added. */
static void test_M2_removed_by_hand_stays_away(void)
{
	begin(CONF_PATHS_FAILOVER);
	have(2, "b1", 0);
	have(3, "c1", 0);
	CU_ASSERT(planned(0));
	remove_by_hand(2);
	CU_ASSERT(planned(0));
	have_addresses("ac");
	CU_ASSERT(planned(0));
	have_addresses("abc");
	CU_ASSERT(planned(0));
	add_by_hand(4, "b1", 9);
	CU_ASSERT(planned(0));
	remove_by_hand(4);
	CU_ASSERT(planned(0));
}

/* Of two from one address the other one that the configuration wants stays. */
static void test_M2_one_of_two_from_an_address(void)
{
	begin(CONF_PATHS_FAILOVER);
	configure(CONF_PATHS_FAILOVER, "a*", 0);
	configure(CONF_PATHS_FAILOVER, "b*", 0);
	have(2, "b1", 0);
	add_by_hand(3, "a2", 5);
	CU_ASSERT(planned(0));
	remove_by_hand(3);
	CU_ASSERT(planned(0));
	add_by_hand(4, "a2", 5);
	remove_by_hand(1); /* and this one alone */
	CU_ASSERT(planned(0));
}

/* A soft move orders those that there are; the configuration's order is not put back. */
static void test_M3_moved_by_hand(void)
{
	begin(CONF_PATHS_FAILOVER);
	configure(CONF_PATHS_FAILOVER, "a*", 0);
	configure(CONF_PATHS_FAILOVER, "b*", 1);
	have(2, "b1", 1);
	CU_ASSERT(planned(0));
	said_move(&said, &ours, &conn, &sa, 2, false);
	CU_ASSERT(planned(2) && orders(1, 1) && orders(2, 0));
	sa.path_list[0].priority = 1;
	sa.path_list[1].priority = 0;
	CU_ASSERT(planned(0));
	have_addresses("a");
	CU_ASSERT(planned(1) && removes(2));
	sa.num_path_list = 1;
	have_addresses("ab");
	CU_ASSERT(planned(1) && adds('b'));
	CU_ASSERT_EQUAL(find(IKE_PATH_ADD, 0, 'b')->priority, 0);
	have(3, "b1", 0);
	said_move(&said, &ours, &conn, &sa, 1, false);
	CU_ASSERT(planned(2) && orders(1, 0) && orders(3, 1));
	conn.num_paths = 1; /* b is not configured any more: it was ordered, not added */
	CU_ASSERT(planned(2) && orders(1, 0) && removes(3));
}

static void test_M3_prefer(void)
{
	struct ike_path_op list[OPS_AT_ONCE];

	begin(CONF_PATHS_FAILOVER);
	have(2, "b1", 0);
	have(3, "c1", 4);
	CU_ASSERT_EQUAL(said_prefer_ops(list, &sa, 3), 3);
	CU_ASSERT(list[0].id == 1 && list[0].priority == 1);
	CU_ASSERT(list[1].id == 2 && list[1].priority == 1);
	CU_ASSERT(list[2].id == 3 && list[2].priority == 0);
	CU_ASSERT_EQUAL(list[2].policy, IKE_PATHS_AS_BEFORE);
	sa.path_list[0].priority = 1;
	CU_ASSERT_EQUAL(said_prefer_ops(list, &sa, 2), 1); /* the others are behind it already */
}

/* A hard move takes away those that went first, and no others. */
static void test_M4_hard_by_hand(void)
{
	begin(CONF_PATHS_FAILOVER);
	have(2, "b1", 1);
	have(3, "c1", 2);
	said_move(&said, &ours, &conn, &sa, 3, true);
	sa.num_path_list = 0;
	have(2, "b1", 1);
	have(3, "c1", 0);
	CU_ASSERT(planned(0));
	have_addresses("bc");
	have_addresses("abc");
	CU_ASSERT(planned(0));
}

/* However much is said: the oldest that was taken away is forgotten, and never what was added. */
static void test_S63_said_is_bounded(void)
{
	const struct conf_path kept = path("b2", 1);
	const struct ip_addr last = addr(3 * SAID_MAX);

	begin(CONF_PATHS_FAILOVER);
	said_note(&said, SAID_ADDED, &kept);
	for (int i = 0; i < 3 * SAID_MAX; i++) {
		const struct conf_path p = path((const char[]){(char)(i + 1), '1', 0}, 0);

		said_note(&said, SAID_REMOVED, &p);
		said_note(&said, SAID_REMOVED, &p); /* again: it is the same */
	}
	CU_ASSERT_EQUAL(said.num, SAID_MAX);
	CU_ASSERT(said.list[0].kind == SAID_ADDED);
	CU_ASSERT(ip_addr_equal(&said.list[0].path.local, &kept.local));
	CU_ASSERT(ip_addr_equal(&said.list[SAID_MAX - 1].path.local, &last));
	for (int i = 0; i < 2 * SAID_MAX; i++) {
		const struct conf_path p = path((const char[]){(char)(i + 100), '1', 0}, 0);

		said_note(&said, SAID_ADDED, &p);
	}
	CU_ASSERT_EQUAL(said.num, SAID_MAX);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_nothing_is_said),
	TAP_TEST(test_as_configured),
	TAP_TEST(test_each_address),
	TAP_TEST(test_not_wanted),
	TAP_TEST(test_M1_by_interface),
	TAP_TEST(test_M1_added_by_hand_stays),
	TAP_TEST(test_M2_removed_by_hand_stays_away),
	TAP_TEST(test_M2_one_of_two_from_an_address),
	TAP_TEST(test_M3_moved_by_hand),
	TAP_TEST(test_M3_prefer),
	TAP_TEST(test_M4_hard_by_hand),
	TAP_TEST(test_S63_said_is_bounded),
};
TAP_MAIN("api/path_plan", tests)
