/* SPDX-License-Identifier: Apache-2.0 */
/* The passes' parser of inner packets against the one that knows everything: they never differ. */
#include "dataplane/flow.h"

#include "base/rng.h"
#include "tests/tap/tap.h"

#define ROOM 96

static struct rng_seeded rng;

static uint32_t below(uint32_t n)
{
	uint32_t v = 0;

	CU_ASSERT_FATAL(rng_fill(&rng.rng, &v, sizeof(v)) == ERR_OK);
	return v % n;
}

/* struct outcome - what a parser makes of a packet. */
struct outcome {
	bool ok;
	struct flow_id id;
	uint32_t len;
};

static struct outcome parse(const uint8_t *bytes, uint32_t len, enum flow_dir dir, bool fast)
{
	uint8_t copy[ROOM];
	struct packet p = {.data = copy, .buf = copy, .cap = ROOM, .len = len};
	struct outcome o = {.ok = false};

	memcpy(copy, bytes, ROOM);
	/* Each direction by name: the passes have a constant there. */
	if (!fast)
		o.ok = flow_parse(&o.id, &p, dir);
	else if (dir == FLOW_OUT)
		o.ok = flow_parse_fast(&o.id, &p, FLOW_OUT, 0) || flow_parse(&o.id, &p, FLOW_OUT);
	else
		o.ok = flow_parse_fast(&o.id, &p, FLOW_IN, 0) || flow_parse(&o.id, &p, FLOW_IN);
	o.len = p.len;
	return o;
}

/* True if both parsers say the same; counts how many packets were well-formed. */
static bool agree(const uint8_t *bytes, uint32_t len, uint32_t *num_ok)
{
	bool same = true;

	for (int dir = FLOW_OUT; dir <= FLOW_IN; dir++) {
		struct outcome a = parse(bytes, len, (enum flow_dir)dir, false);
		struct outcome b = parse(bytes, len, (enum flow_dir)dir, true);

		same = same && a.ok == b.ok;
		if (a.ok && b.ok) {
			same = same && a.len == b.len && memcmp(&a.id, &b.id, sizeof(a.id)) == 0;
			++*num_ok;
		}
	}
	return same;
}

/* A well-formed IPv4 packet of any protocol, addresses and ports. */
static uint32_t make(uint8_t *h)
{
	static const uint8_t protocols[] = {6, 17, 1, 50, 132, 33, 136, 0};
	uint32_t len = 28 + below(ROOM - 28 + 1);

	CU_ASSERT_FATAL(rng_fill(&rng.rng, h, ROOM) == ERR_OK);
	h[0] = 0x45;
	store_be16(h + 2, (uint16_t)len);
	store_be16(h + 6, below(4) ? 0x4000 : 0x2000);
	h[9] = protocols[below(below(2) ? 2 : sizeof(protocols))];
	return len;
}

static void test_well_formed_and_padded_behind(void)
{
	uint32_t num_ok = 0;

	rng_seeded_init(&rng, 1);
	for (int i = 0; i < 20000; i++) {
		uint8_t h[ROOM];
		uint32_t len = make(h);

		CU_ASSERT_FATAL(agree(h, len, &num_ok));
		CU_ASSERT_FATAL(agree(h, len + below(ROOM - len + 1), &num_ok));
	}
	CU_ASSERT(num_ok == 80000);
}

static void test_every_length(void)
{
	uint32_t num_ok = 0;

	rng_seeded_init(&rng, 2);
	for (int i = 0; i < 500; i++) {
		uint8_t h[ROOM];

		make(h);
		for (uint32_t named = 0; named <= 40; named++) {
			store_be16(h + 2, (uint16_t)named);
			for (uint32_t len = 0; len <= 40; len++)
				CU_ASSERT_FATAL(agree(h, len, &num_ok));
		}
	}
	CU_ASSERT(num_ok > 10000);
}

static void test_every_bit_of_the_headers(void)
{
	uint32_t num_ok = 0;

	rng_seeded_init(&rng, 3);
	for (int i = 0; i < 500; i++) {
		uint8_t h[ROOM];
		uint32_t len = make(h);

		for (unsigned bit = 0; bit < 28 * 8; bit++) {
			h[bit / 8] ^= (uint8_t)(1U << bit % 8);
			CU_ASSERT_FATAL(agree(h, len, &num_ok));
			h[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
	}
	CU_ASSERT(num_ok > 10000);
}

static void test_any_bytes(void)
{
	uint32_t num_ok = 0;

	rng_seeded_init(&rng, 4);
	for (int i = 0; i < 100000; i++) {
		uint8_t h[ROOM];

		CU_ASSERT_FATAL(rng_fill(&rng.rng, h, sizeof(h)) == ERR_OK);
		h[0] = (uint8_t)((below(2) ? 0x40 : 0x60) | below(16));
		h[2] = 0;
		h[4] = 0;
		CU_ASSERT_FATAL(agree(h, below(ROOM + 1), &num_ok));
	}
	CU_ASSERT(num_ok > 1000);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_well_formed_and_padded_behind),
	TAP_TEST(test_every_length),
	TAP_TEST(test_every_bit_of_the_headers),
	TAP_TEST(test_any_bytes),
};

TAP_MAIN("dataplane/flow_fast", tests)
