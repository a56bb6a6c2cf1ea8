/* SPDX-License-Identifier: Apache-2.0 */
/* First messages that there was no room for: who comes again is known, for two seconds at least. */
#include "dataplane/greylist.h"

#include "tests/tap/tap.h"

#define S UINT64_C(1000000000)

static struct greylist list;

static void setup(void)
{
	static struct rng_seeded rng;

	greylist_fini(&list);
	rng_seeded_init(&rng, 1);
	CU_ASSERT_EQUAL_FATAL(greylist_init(&list, &rng.rng), ERR_OK);
}

/* A message with this SPI, from an address that ends so. */
static bool comes(uint8_t spi, uint8_t from, uint64_t now_ns)
{
	uint8_t header[28] = {spi}, addr[4] = {192, 0, 2, from};
	struct packet p = {.data = header, .len = sizeof(header)};

	p.from.remote.addr = ip_addr_v4(addr);
	p.from.remote.port = 500;
	return greylist_again(&list, &p, now_ns);
}

static void test_S43_same_sender_and_spi(void)
{
	setup();
	CU_ASSERT_FALSE(comes(1, 1, 100 * S));
	CU_ASSERT_FALSE(comes(2, 1, 100 * S));
	CU_ASSERT_FALSE(comes(1, 2, 100 * S));
	CU_ASSERT_TRUE(comes(1, 1, 101 * S));
	CU_ASSERT_TRUE(comes(2, 1, 101 * S));
	CU_ASSERT_TRUE(comes(1, 2, 101 * S));
	CU_ASSERT_FALSE(comes(2, 2, 101 * S));
}

/* Whenever it came, it is known two seconds later, and not after more than four. */
static void test_S43_for_how_long(void)
{
	for (uint64_t at = 0; at < 40; at++) {
		const uint64_t came = 100 * S + at * S / 10;

		setup();
		(void)comes(9, 9, 100 * S); /* whatever came before */
		CU_ASSERT_FALSE(comes(1, 1, came));
		CU_ASSERT_TRUE(comes(1, 1, came + 2 * S));
		setup();
		(void)comes(9, 9, 100 * S);
		CU_ASSERT_FALSE(comes(1, 1, came));
		(void)comes(9, 9, came + 3 * S);
		CU_ASSERT_FALSE(comes(1, 1, came + 5 * S));
	}
	setup();
	CU_ASSERT_FALSE(comes(1, 1, 100 * S));
	CU_ASSERT_FALSE(comes(1, 1, 200 * S));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S43_same_sender_and_spi),
	TAP_TEST(test_S43_for_how_long),
};

TAP_MAIN("dataplane/greylist", tests)
