/* SPDX-License-Identifier: Apache-2.0 */
/* Sibling pairs (RFC 9611): each worker sends by its own, and says so when it has none. */
#include "base/alloc.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define WORKERS 3

static const struct bed_options three = {.open_wire = true, .num_workers = WORKERS};

/* wish - what as_wished() asks for. */
static struct {
	uint32_t worker; /* index and 1 more */
	enum child_share share;
} wish;

static void as_wished(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->worker = wish.worker;
	p->share = wish.share;
}

static void shared_pair(struct bed *bed, uint64_t id, uint32_t worker)
{
	wish.worker = worker + 1;
	wish.share = SHARE_ASK;
	bed_pair(bed, id, as_wished);
}

static void sibling(struct bed *bed, uint64_t id, uint32_t worker)
{
	wish.worker = worker + 1;
	wish.share = SHARE_OWNER;
	bed_pair(bed, id, as_wished);
}

static void settle(struct bed *bed)
{
	while (dataplane_poll(bed->a.dp, bed->now) + dataplane_poll(bed->b.dp, bed->now))
		;
	bed_balance(&bed->a);
	bed_balance(&bed->b);
}

static uint64_t handed(const struct side *s)
{
	struct dataplane_stats st;

	dataplane_stats(s->dp, &st);
	CU_ASSERT_EQUAL(st.handed_off, st.taken);
	return st.handed_off;
}

static void send_from(struct bed *bed, uint32_t worker)
{
	uint8_t buf[BED_MAX_PACKET];

	bed_send_to(&bed->a, worker, buf, bed_udp4(buf, true, 1, 2, worker, 40));
	settle(bed);
}

static uint64_t sent_on(const struct bed *bed, uint64_t id)
{
	struct child_stats st = {0};

	CU_ASSERT_EQUAL(dataplane_child_stats(bed->a.dp, &st, id), ERR_OK);
	return st.out_seq;
}

/* asks - which workers have said that they have no pair of their own, as bits, and of which pair.
 */
static uint32_t asks(struct bed *bed, uint64_t id)
{
	struct dp_event ev;
	uint32_t bits = 0;

	while (bed_event(&bed->a, &ev)) {
		if (ev.kind != DP_EVENT_SIBLING)
			continue;
		CU_ASSERT_EQUAL(ev.child, id);
		CU_ASSERT_EQUAL(ev.group, bed->a.group);
		CU_ASSERT_EQUAL(ev.flow.remote_port, 2);
		CU_ASSERT_EQUAL(bits & 1u << ev.worker, 0);
		bits |= 1u << ev.worker;
	}
	return bits;
}

/* Whoever has a pair sends by it, without handing anything over; who has none uses the shared one,
 * and a newer pair of another worker changes nothing about that. */
static void test_each_by_its_own(void)
{
	uint8_t out[BED_MAX_PACKET];
	struct bed bed;

	bed_init(&bed, &three);
	shared_pair(&bed, 10, 0);
	sibling(&bed, 11, 1);
	send_from(&bed, 1);
	CU_ASSERT_NOT_EQUAL(bed_capture_from(&bed.a, 1, out), 0);
	CU_ASSERT_EQUAL(sent_on(&bed, 11), 1);
	CU_ASSERT_EQUAL(handed(&bed.a), 0);
	send_from(&bed, 0);
	send_from(&bed, 2);
	CU_ASSERT_EQUAL(sent_on(&bed, 10), 2);
	CU_ASSERT_EQUAL(sent_on(&bed, 11), 1);
	CU_ASSERT_EQUAL(handed(&bed.a), 1); /* from worker 2 to worker 0 */
	sibling(&bed, 12, 2);
	sibling(&bed, 13, 0);
	for (uint32_t w = 0; w < WORKERS; w++)
		send_from(&bed, w);
	CU_ASSERT_EQUAL(sent_on(&bed, 13), 1);
	CU_ASSERT_EQUAL(sent_on(&bed, 11), 2);
	CU_ASSERT_EQUAL(sent_on(&bed, 12), 1);
	CU_ASSERT_EQUAL(sent_on(&bed, 10), 2);
	CU_ASSERT_EQUAL(handed(&bed.a), 1);
	bed_fini(&bed);
}

/* A pair that is re-keyed or closed: the worker's newest, then the shared one, then anybody's. */
static void test_what_is_left(void)
{
	struct bed bed;

	bed_init(&bed, &three);
	shared_pair(&bed, 10, 0);
	sibling(&bed, 11, 1);
	sibling(&bed, 12, 1); /* re-keyed */
	send_from(&bed, 1);
	CU_ASSERT_EQUAL(sent_on(&bed, 12), 1);
	shared_pair(&bed, 13, 0); /* the shared one is re-keyed: it is newer than worker 1's */
	send_from(&bed, 1);
	CU_ASSERT_EQUAL(sent_on(&bed, 12), 2);
	send_from(&bed, 2);
	CU_ASSERT_EQUAL(sent_on(&bed, 13), 1);
	dataplane_child_remove(bed.a.dp, 12, CHILD_BOTH);
	send_from(&bed, 1);
	CU_ASSERT_EQUAL(sent_on(&bed, 11), 1);
	dataplane_child_remove(bed.a.dp, 10, CHILD_BOTH);
	dataplane_child_remove(bed.a.dp, 13, CHILD_BOTH);
	send_from(&bed, 2);
	CU_ASSERT_EQUAL(sent_on(&bed, 11), 2); /* nothing is lost, held or in the clear */
	bed_fini(&bed);
}

/* The worker that received the packets says so, once a minute, until it has a pair. */
static void test_who_asks(void)
{
	struct bed bed;

	bed_init(&bed, &three);
	shared_pair(&bed, 10, 0);
	for (int i = 0; i < 5; i++)
		send_from(&bed, 1);
	CU_ASSERT_EQUAL(asks(&bed, 10), 1u << 1); /* not worker 0, which sent them */
	send_from(&bed, 0);
	send_from(&bed, 1);
	CU_ASSERT_EQUAL(asks(&bed, 10), 1u << 0);
	bed.now += 59 * NS_PER_S;
	send_from(&bed, 1);
	CU_ASSERT_EQUAL(asks(&bed, 10), 0);
	bed.now += NS_PER_S;
	send_from(&bed, 1);
	CU_ASSERT_EQUAL(asks(&bed, 10), 1u << 1);
	sibling(&bed, 11, 1);
	bed.now += 60 * NS_PER_S;
	for (uint32_t w = 0; w < WORKERS; w++)
		send_from(&bed, w);
	CU_ASSERT_EQUAL(asks(&bed, 10), 1u << 0 | 1u << 2);
	shared_pair(&bed, 12, 0); /* made anew: asked anew */
	for (uint32_t w = 0; w < WORKERS; w++)
		send_from(&bed, w);
	CU_ASSERT_EQUAL(asks(&bed, 12), 1u << 0 | 1u << 2);
	bed_fini(&bed);
}

static void test_who_does_not_ask(void)
{
	const struct bed_options one = {.open_wire = true};
	struct bed bed;

	bed_init(&bed, &three);
	bed_pair(&bed, 10, NULL);
	send_from(&bed, 1);
	CU_ASSERT_EQUAL(asks(&bed, 10), 0);
	sibling(&bed, 11, 2);
	dataplane_child_remove(bed.a.dp, 10, CHILD_BOTH);
	send_from(&bed, 1);
	CU_ASSERT_EQUAL(asks(&bed, 10), 0);
	bed_fini(&bed);
	bed_init(&bed, &one);
	shared_pair(&bed, 10, 0);
	send_from(&bed, 0);
	CU_ASSERT_EQUAL(asks(&bed, 10), 0); /* alone, it needs no other */
	bed_fini(&bed);
}

/* The shared pair stays where it is; a sibling goes where it is wished, whatever the loads are. */
static void test_owners(void)
{
	struct child_params p;
	struct bed bed;

	bed_init(&bed, &three);
	wish.worker = 0;
	wish.share = SHARE_ASK;
	bed_pair(&bed, 10, as_wished);
	sibling(&bed, 11, 2);
	sibling(&bed, 12, 2);
	wish.worker = 0;
	wish.share = SHARE_ASK;
	bed_pair(&bed, 13, as_wished);
	CU_ASSERT_EQUAL(bed.a.dp->num_pairs[0], 2);
	CU_ASSERT_EQUAL(bed.a.dp->num_pairs[1], 0);
	CU_ASSERT_EQUAL(bed.a.dp->num_pairs[2], 2);
	p = bed_child_params(&bed.a, 14);
	p.spi_in = p.spi_out = 1000;
	p.share = SHARE_OWNER + 1;
	CU_ASSERT_EQUAL(dataplane_child_add(bed.a.dp, &p), ERR_INVAL);
	bed_fini(&bed);
}

/* Every allocation of a shared pair fails once; nothing stays behind. */
static void test_memory(void)
{
	uint8_t key[BED_KEY_MAX];
	struct child_params p;
	struct bed bed;
	enum err e = ERR_NOMEM;
	uint32_t spi, failed = 0;

	bed_init(&bed, &three);
	CU_ASSERT_EQUAL_FATAL(dataplane_spi_reserve(bed.a.dp, &spi), ERR_OK);
	p = bed_child_params(&bed.a, 10);
	bed_key(key, 10, true);
	p.key_in = p.key_out = bytes_of(key, aead_alg_material_len(bed.alg));
	p.spi_in = spi;
	p.spi_out = 1000;
	p.share = SHARE_ASK;
	for (uint64_t n = 1; e != ERR_OK && n < 100; n++) {
		alloc_fail_nth(n);
		e = dataplane_child_add(bed.a.dp, &p);
		alloc_fail_nth(0);
		failed += e == ERR_NOMEM;
	}
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
	CU_ASSERT(failed > 5);
	CU_ASSERT_PTR_NOT_NULL(dataplane_outbound(bed.a.dp, 1000)->asks);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_each_by_its_own),  TAP_TEST(test_what_is_left), TAP_TEST(test_who_asks),
	TAP_TEST(test_who_does_not_ask), TAP_TEST(test_owners),       TAP_TEST(test_memory),
};

TAP_MAIN("dataplane/sibling", tests)
