/* SPDX-License-Identifier: Apache-2.0 */
/* When all is sent by the quickest path alone: by what was sent and received between looks. */
#include "dataplane/quickest.h"

#include "tests/tap/tap.h"

#define LOOK_NS (100 * NS_PER_MS)

static struct {
	struct quickest q;
	struct quickest_path path[3];
	uint32_t num;
	uint16_t alone;
	uint64_t now_ns;
} world;

/* set_up - three paths whose round trips are so long, the last one not used. */
static void set_up(uint64_t first_ms, uint64_t second_ms)
{
	memset(&world, 0, sizeof(world));
	world.num = 2;
	world.now_ns = NS_PER_S;
	for (uint16_t i = 0; i < ARRAY_LEN(world.path); i++)
		world.path[i].id = i + 1;
	world.path[0].rtt_ns = world.path[0].least_ns = first_ms * NS_PER_MS;
	world.path[1].rtt_ns = world.path[1].least_ns = second_ms * NS_PER_MS;
	world.path[2].rtt_ns = world.path[2].least_ns = 200 * NS_PER_MS;
}

/* look - after a tenth of a second in which so much was sent and received, by both paths alike. */
static uint16_t look(uint64_t sent, uint64_t received)
{
	world.now_ns += LOOK_NS;
	for (uint32_t i = 0; i < world.num; i++) {
		world.path[i].tx_bytes += sent / world.num;
		world.path[i].rx_bytes += received / world.num;
	}
	world.alone = quickest_look(&world.q, world.path, world.num, world.alone, world.now_ns);
	return world.alone;
}

/* download - one that has the second path for its acknowledgements. */
static void download(void)
{
	set_up(120, 10);
	look(0, 0);
	CU_ASSERT_EQUAL(look(50000, 1000000), 2);
}

/* M7: acknowledgements of what is received go by the quickest path, and by it only while another
 * one is slower by more than is worth a word. */
static void test_M7_acknowledgements(void)
{
	static const struct {
		uint64_t first_ms, second_ms, sent, received;
		uint16_t alone;
	} rows[] = {
		{10, 120, 50000, 1000000, 1},  {120, 10, 50000, 1000000, 2},
		{120, 10, 125000, 1000000, 2}, {120, 10, 125100, 1000000, 0},
		{120, 10, 1000, 10000, 2},     {120, 10, 1000, 9000, 0}, /* 100 KB a second */
		{10, 15, 50000, 1000000, 1},   {10, 14, 50000, 1000000, 0},
		{100, 120, 50000, 1000000, 0}, {100, 125, 50000, 1000000, 1},
		{10, 0, 50000, 1000000, 0},    {0, 0, 50000, 1000000, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		set_up(rows[i].first_ms, rows[i].second_ms);
		CU_ASSERT_EQUAL(look(0, 0), 0);
		CU_ASSERT_EQUAL(look(rows[i].sent, rows[i].received), rows[i].alone);
	}
	set_up(120, 10);
	world.num = 1;
	look(0, 0);
	CU_ASSERT_EQUAL(look(1000, 1000000), 0);
}

/* M7: what is no acknowledgement is sprayed: a transfer, one each way, little each way. */
static void test_M7_others_are_sprayed(void)
{
	set_up(10, 120);
	for (int i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(look(1000000, 50000), 0);
	for (int i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(look(1000000, 1000000), 0);
	for (int i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(look(0, 2000), 0);
}

/* M7: one path carries all as long as the transfer goes on, also if it pauses; not when something
 * else is sent, nor half a second after its end. */
static void test_M7_while_it_goes_on(void)
{
	download();
	for (int i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(look(200000, 1000000), 2);
	CU_ASSERT_EQUAL(look(300000, 1000000), 0);
	CU_ASSERT_EQUAL(look(200000, 1000000), 0); /* it is not enough to begin */
	CU_ASSERT_EQUAL(look(100000, 1000000), 2);

	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(look(1000, 1000), 2);
	CU_ASSERT_EQUAL(look(100000, 1000000), 2);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(look(1000, 1000), 2);
	CU_ASSERT_EQUAL(look(1000, 1000), 0);
	CU_ASSERT_EQUAL(look(100000, 1000000), 2);
	CU_ASSERT_EQUAL(look(6000, 1000), 0); /* an upload begins */
}

/* M7: a path that loses what it is given, again and again, or is the slower one by now, does not
 * carry all, and is not tried again soon. */
static void test_M7_it_is_too_much(void)
{
	for (int lost = 0; lost < 2; lost++) {
		download();
		world.path[1].lacks = QUICKEST_LACKS - 1; /* it may be chance */
		CU_ASSERT_EQUAL(look(50000, 1000000), 2);
		if (lost)
			world.path[1].lacks = QUICKEST_LACKS;
		else
			world.path[1].rtt_ns = 121 * NS_PER_MS;
		CU_ASSERT_EQUAL(look(50000, 1000000), 0);
		world.path[1].rtt_ns = 10 * NS_PER_MS;
		world.path[1].lacks = 0;
		for (uint64_t ns = LOOK_NS; ns < QUICKEST_AGAIN_NS; ns += LOOK_NS)
			CU_ASSERT_EQUAL(look(50000, 1000000), 0);
		CU_ASSERT_EQUAL(look(50000, 1000000), 2);
	}
	/* What is not known of another one says nothing. */
	download();
	world.path[0].rtt_ns = world.path[0].least_ns = 0;
	CU_ASSERT_EQUAL(look(50000, 1000000), 2);
}

/* M7: a queue that comes and goes makes no path the quicker one, and one that has it does not begin
 * to carry all. */
static void test_M7_queues_are_no_delay(void)
{
	set_up(10, 10);
	world.path[1].rtt_ns = 60 * NS_PER_MS;
	look(0, 0);
	CU_ASSERT_EQUAL(look(50000, 1000000), 0);
	set_up(120, 10);
	world.path[1].rtt_ns = 121 * NS_PER_MS;
	look(0, 0);
	CU_ASSERT_EQUAL(look(50000, 1000000), 0);
	world.path[1].rtt_ns = 119 * NS_PER_MS;
	CU_ASSERT_EQUAL(look(50000, 1000000), 2);
}

/* M7: what comes by a quicker path waits five eighths of what the slowest takes longer one way. */
static void test_M7_how_long_to_wait(void)
{
	uint64_t even_ns[PATHS_MAX];

	set_up(10, 120);
	world.num = 3;
	world.path[0].rtt_ns = 90 * NS_PER_MS; /* a queue does not count */
	quickest_even(world.path, 3, even_ns);
	CU_ASSERT_EQUAL(even_ns[0], 95 * NS_PER_MS / 8 * 5);
	CU_ASSERT_EQUAL(even_ns[1], 40 * NS_PER_MS / 8 * 5);
	CU_ASSERT_EQUAL(even_ns[2], 0);
	world.path[0].least_ns = 0; /* nobody knows */
	quickest_even(world.path, 3, even_ns);
	CU_ASSERT_EQUAL(even_ns[0], 0);
}

/* Paths come and go, with their counters. */
static void test_paths_change(void)
{
	download();
	world.num = 3;
	CU_ASSERT_EQUAL(look(60000, 1200000), 2);
	world.path[2].rx_bytes = 0; /* it is another one */
	CU_ASSERT_EQUAL(look(0, 300), 2);
	CU_ASSERT_EQUAL(look(60000, 1200000), 2);
	world.path[1].id = 9; /* the second one went */
	CU_ASSERT_EQUAL(look(60000, 1200000), 9);
	world.num = 1;
	CU_ASSERT_EQUAL(look(60000, 0), 0);
	CU_ASSERT_EQUAL(look(60000, 1200000), 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M7_acknowledgements),    TAP_TEST(test_M7_others_are_sprayed),
	TAP_TEST(test_M7_while_it_goes_on),    TAP_TEST(test_M7_it_is_too_much),
	TAP_TEST(test_M7_queues_are_no_delay), TAP_TEST(test_M7_how_long_to_wait),
	TAP_TEST(test_paths_change),
};

TAP_MAIN("dataplane/quickest", tests)
