/* SPDX-License-Identifier: Apache-2.0 */
/* Payload to an address of the peer's that has not answered yet, in measure
 * (docs/multiple-interfaces.md 7): A follows, B is the host that moves. Path 1 is where B was. */
#include <pthread.h>

#include "base/alloc.h"
#include "dataplane/path.h"
#include "dataplane/state.h"
#include "tests/dataplane/wires.h"
#include "tests/tap/tap.h"

#define CAME   200 /* bytes of the message that names the new address */
#define PROBES 500 /* three of them, with all headers, are less */

/* put_at - B has said that it is at wire k, by a message of `came` bytes from there: path id, for
 * A, to the address that ends with `host`, or to the usual one if that is 0. name_at - and A asks
 * it. name - at the usual one. */
static void put_at(uint16_t id, uint16_t k, uint8_t host, uint32_t came)
{
	const struct side *a = &wires.bed.a;
	struct path_params p = {
		.id = id, .port = a->outer, .addr = a->path, .weight = 1, .came = came};

	p.addr.remote.port = (uint16_t)(4499 + k);
	if (host)
		p.addr.remote.addr.b[3] = host;
	CU_ASSERT_EQUAL_FATAL(dataplane_path_put(a->dp, a->pathset, &p), ERR_OK);
}

static void name_at(uint16_t id, uint16_t k, uint8_t host, uint32_t came)
{
	const struct side *a = &wires.bed.a;

	put_at(id, k, host, came);
	CU_ASSERT_EQUAL_FATAL(
		dataplane_path_probe(a->dp, a->pathset, id, PATH_LEARNED, wires.bed.now), ERR_OK);
}

static void name(uint16_t id, uint16_t k, uint32_t came)
{
	name_at(id, k, 0, came);
}

static void take(struct side *s, uint16_t id)
{
	CU_ASSERT_EQUAL_FATAL(dataplane_path_take(s->dp, s->pathset, id), ERR_OK);
}

/* begin - both know path 1 alone, which has answered. */
static void begin(void)
{
	wires_begin(true);
	wires_both(1, 0, true);
	wires_run(100);
}

/* move - B is at wire 2 now, and nowhere else, sends there at once and asks, or does not. */
static void move(bool asks)
{
	struct side *b = &wires.bed.b;

	wires_put(b, 2, 0, true);
	if (asks)
		CU_ASSERT_EQUAL_FATAL(
			dataplane_path_probe(b->dp, b->pathset, 2, PATH_PRESUMED, wires.bed.now),
			ERR_OK);
	take(b, 1);
}

static bool is_usable(struct side *s, uint16_t id)
{
	struct path_info info;

	CU_ASSERT_EQUAL_FATAL(dataplane_path_info(s->dp, &info, s->pathset, id), ERR_OK);
	return info.usable;
}

/* measured - A sent no more by wire k than three bytes for each that came from there. */
static bool measured(uint16_t k, uint64_t came)
{
	const uint64_t most = 3 * (came + wires.b_tx[k]);

	if (wires.a_tx[k] > most)
		tap_diag("%llu bytes, and %llu were allowed", (unsigned long long)wires.a_tx[k],
			 (unsigned long long)most);
	return wires.a_tx[k] <= most;
}

static void never_seen(void)
{
	struct side *a = &wires.bed.a;

	begin();
	move(true);
	wires.b_sends = 1;
	wires_run(5); /* what names the address takes as long */
	name(2, 2, CAME);
	take(a, 1);
	wires.a_sends = 1;
	wires.sent = wires.received = 0;
	wires_run(8);
	CU_ASSERT(wires.received > 0);
	CU_ASSERT_FALSE(is_usable(a, 2));
	CU_ASSERT(measured(2, CAME));
	wires_run(8);
	CU_ASSERT(is_usable(a, 2));
	wires_run(1000);
	CU_ASSERT_EQUAL(wires.told[0][2].lost + wires.told[1][2].lost, 0);
	CU_ASSERT(wires.sent - wires.received <= 8); /* all but what is on its way */
	bed_fini(&wires.bed);
}

/* M4: who comes from an address that nobody has seen is sent payload at once, and has answered when
 * a round trip is over. */
static void test_M4_never_seen(void)
{
	wires_in_both(never_seen);
}

/* A peer whose packets come from there, and who hears nothing there: somebody else does. */
static void test_S57_three_for_one(void)
{
	struct side *a = &wires.bed.a;

	begin();
	wires.wire[2].deaf = true;
	move(false);
	name(2, 2, CAME);
	take(a, 1);
	wires.a_sends = 20;
	for (uint32_t ms = 0; ms < 2900; ms++) {
		wires.b_sends = ms / 100 % 2;
		wires_run(1);
		if (!measured(2, CAME))
			break;
	}
	CU_ASSERT(measured(2, CAME));
	CU_ASSERT(wires.a_tx[2] > 2 * wires.b_tx[2]); /* and not much less */
	CU_ASSERT(bed_dropped(a, DROP_UNPROVEN) > 0);

	wires_run(200); /* three seconds are over */
	const uint64_t before = wires.a_tx[2];

	wires.b_sends = 1;
	wires_run(1000);
	CU_ASSERT(wires.b_tx[2] > 3000 && wires.a_tx[2] == before);
	CU_ASSERT_FALSE(is_usable(a, 2));
	CU_ASSERT(bed_dropped(a, DROP_NO_PATH) > 0);
	bed_fini(&wires.bed);
}

/* a_second_of - B has said that it is at wire 2, which is all that A has from now on, and A sends
 * so many packets each millisecond, for two of B's, and keeps the measure. */
static void a_second_of(uint32_t packets)
{
	name(2, 2, CAME);
	take(&wires.bed.a, 1);
	wires.b_sends = 2;
	wires.a_sends = packets;
	wires_run(1000);
	CU_ASSERT(measured(2, CAME));
}

/* What was recorded and comes again, and what is forged, earns nothing. */
static void test_S57_copies_earn_nothing(void)
{
	for (int i = 0; i < 2; i++) {
		begin();
		wires.wire[2].deaf = true;
		wires.wire[2].repeat = i ? 0 : 100;
		wires.wire[2].forge = i != 0;
		move(false);
		a_second_of(30);
		CU_ASSERT(bed_dropped(&wires.bed.a, i ? DROP_AUTH : DROP_REPLAY) > 900);
		bed_fini(&wires.bed);
	}
}

static void no_window(struct child_params *p, bool is_a)
{
	wires_pair(p, is_a);
	p->replay_window = 0;
}

/* Nor does anything of a pair whose copies are not told apart. */
static void test_S57_no_window_earns_nothing(void)
{
	wires_begin(false);
	bed_pair(&wires.bed, 1, no_window);
	wires_both(1, 0, true);
	wires_run(100);
	wires.wire[2].deaf = true;
	wires.wire[2].repeat = 100;
	move(false);
	a_second_of(30);
	CU_ASSERT(bed_dropped(&wires.bed.a, DROP_UNPROVEN) > 0);
	bed_fini(&wires.bed);
}

/* Nor does what comes from where the peer was. */
static void test_S57_others_earn_nothing(void)
{
	begin();
	wires.wire[2].black = true;
	a_second_of(10);
	CU_ASSERT(wires.b_tx[1] > 2000); /* B still goes by path 1 */
	bed_fini(&wires.bed);
}

/* An address that no message named from where it is, and one that only appears. */
static void test_S57_only_where_it_was_named(void)
{
	begin();
	wires.wire[2].deaf = true;
	move(false);
	name(2, 2, 0);
	take(&wires.bed.a, 1);
	wires.a_sends = wires.b_sends = 1;
	wires_run(1000);
	CU_ASSERT(wires.b_tx[2] > 1000 && wires.a_tx[2] < PROBES);
	CU_ASSERT_EQUAL(bed_dropped(&wires.bed.a, DROP_UNPROVEN), 0);
	bed_fini(&wires.bed);
}

/* Where another path carries nothing is lent: the new one is asked first. */
static void test_S57_not_beside_another(void)
{
	begin();
	wires.wire[2].deaf = true;
	name(2, 2, 10000);
	wires.a_sends = 1;
	wires_run(1000);
	CU_ASSERT(wires.received > 900 && wires.a_tx[2] < PROBES);
	bed_fini(&wires.bed);
}

/* again - the address of path `old` is named once more, as path `id`, before the old one goes or
 * after it; returns what A sends there because of it. */
static uint64_t again(uint16_t id, uint16_t old, bool before, uint32_t came)
{
	const uint64_t sent = wires.a_tx[2];

	if (before)
		name(id, 2, came);
	take(&wires.bed.a, old);
	if (!before)
		name(id, 2, came);
	wires_run(100);
	return wires.a_tx[2] - sent;
}

/* What was lent does not come back, and what is owed is not forgotten, if the address is named
 * again; and it is closed for a minute when it had its time. Path 3 never carries. */
static void test_S57_named_again(void)
{
	for (int before = 0; before < 2; before++) {
		begin();
		wires.wire[2].deaf = wires.wire[3].black = true;
		name(3, 3, 0);
		name(4, 2, 1000);
		take(&wires.bed.a, 1);
		wires.a_sends = 5;
		wires_run(100);
		CU_ASSERT(wires.a_tx[2] > 1500 && wires.a_tx[2] <= 3000);
		for (uint16_t id = 5; id < 20; id++) /* messages of one byte: probes alone go */
			CU_ASSERT(again(id, id - 1, before, 1) < PROBES);
		CU_ASSERT(again(20, 19, before, 6000) > 3000);
		CU_ASSERT(wires.a_tx[2] <= 3 * (1000 + 6000 + 15));
		wires_run(3000);
		CU_ASSERT(again(21, 20, before, 3000) < PROBES);
		CU_ASSERT(again(22, 21, before, 3000) < PROBES);
		take(&wires.bed.a, 22);
		wires.bed.now += 61 * NS_PER_S;
		wires_run(1);
		const uint64_t sent = wires.a_tx[2];

		name(23, 2, 3000);
		wires_run(100);
		CU_ASSERT(wires.a_tx[2] > sent + 6000 && wires.a_tx[2] <= sent + 9000);
		bed_fini(&wires.bed);
	}
}

/* closed - B named its address once, by path 2, and had its time. */
static void closed(void)
{
	begin();
	wires.wire[2].deaf = wires.wire[3].deaf = true;
	move(false);
	name(2, 2, 1000);
	take(&wires.bed.a, 1);
	wires.a_sends = 5;
	wires_run(3200);
	CU_ASSERT(wires.a_tx[2] > 1500 && wires.a_tx[2] <= 3000);
}

/* sent_then - by wire k in the next tenth of a second. */
static uint64_t sent_then(uint16_t k)
{
	const uint64_t sent = wires.a_tx[k];

	wires_run(100);
	return wires.a_tx[k] - sent;
}

/* It is the address that is closed, whatever the port. */
static void test_S57_another_port(void)
{
	for (int before = 0; before < 2; before++) {
		closed();
		if (before)
			name(3, 3, 3000);
		else
			name_at(4, 3, 99, 0);
		take(&wires.bed.a, 2);
		if (!before)
			name(3, 3, 3000);
		CU_ASSERT(sent_then(3) < 2 * PROBES);
		bed_fini(&wires.bed);
	}
}

/* What is known of an address stays there when the path to it goes elsewhere. */
static void test_S57_path_moves(void)
{
	closed();
	put_at(2, 3, 99, 0);
	name(3, 2, 3000);
	CU_ASSERT(sent_then(2) < PROBES);
	name_at(4, 3, 99, 3000);
	CU_ASSERT(sent_then(3) > 6000);
	bed_fini(&wires.bed);
}

/* As many addresses as can be remembered are, and nothing is lent to more of them. */
static void test_S57_no_more_than_are_remembered(void)
{
	begin();
	wires.wire[2].deaf = true;
	move(false);
	for (uint16_t id = 2; id <= PATHS_MAX; id++)
		name_at(id, 2, (uint8_t)(10 + id), 1000);
	take(&wires.bed.a, 1);
	wires_run(3200);
	for (uint16_t id = 2; id < PATHS_MAX; id++)
		take(&wires.bed.a, id);
	wires.a_sends = 5;
	name_at(9, 2, 19, 3000);
	CU_ASSERT(sent_then(2) > 6000);
	wires_run(3100);
	take(&wires.bed.a, PATHS_MAX);
	name_at(10, 2, 20, 3000);
	CU_ASSERT(sent_then(2) < PROBES);
	name_at(11, 2, 12, 3000); /* the first one */
	CU_ASSERT(sent_then(2) < PROBES);
	wires.bed.now += 61 * NS_PER_S;
	wires_run(1);
	name_at(12, 2, 12, 3000);
	CU_ASSERT(sent_then(2) > 6000);
	bed_fini(&wires.bed);
}

/* Nothing is lent to a path that cannot be asked: it would never end. */
static void test_S57_cannot_be_asked(void)
{
	struct side *a = &wires.bed.a;
	enum err e;

	wires_begin(true);
	wires.wire[2].deaf = true;
	move(false);
	put_at(2, 2, 0, 1000);
	alloc_fail_nth(1);
	e = dataplane_path_probe(a->dp, a->pathset, 2, PATH_LEARNED, wires.bed.now);
	alloc_fail_nth(0);
	CU_ASSERT_EQUAL(e, ERR_NOMEM);
	take(a, 1);
	wires.a_sends = 5;
	wires_run(100);
	CU_ASSERT_EQUAL(wires.a_tx[2], 0);
	CU_ASSERT(bed_dropped(a, DROP_NO_PATH) > 0);
	bed_fini(&wires.bed);
}

/* Nor do its three seconds begin again. */
static void test_S57_time_goes_on(void)
{
	for (int before = 0; before < 2; before++) {
		begin();
		wires.wire[2].deaf = wires.wire[3].black = true;
		name(3, 3, 0);
		name(4, 2, 1000);
		take(&wires.bed.a, 1);
		wires.a_sends = 5;
		for (uint16_t id = 5; id < 13; id++) {
			wires_run(400);
			const uint64_t sent = again(id, id - 1, before, 2000);

			CU_ASSERT(id > 10 ? sent < PROBES : sent > 3000);
		}
		bed_fini(&wires.bed);
	}
}

/* IKE's bytes are of the same measure. */
static void test_S57_what_ike_sent(void)
{
	const struct ip_addr other = {.family = IP_V4, .b = {9, 9, 9, 9}};
	uint64_t sent[2];

	for (int i = 0; i < 2; i++) {
		const struct side *a = &wires.bed.a;

		begin();
		wires.wire[2].deaf = true;
		name(2, 2, 1000);
		dataplane_path_owe(a->dp, a->pathset, i ? &a->path.remote.addr : &other, 1500);
		dataplane_path_owe(a->dp, a->pathset + 77, &a->path.remote.addr, 1500);
		take(&wires.bed.a, 1);
		wires.a_sends = 5;
		wires_run(100);
		sent[i] = wires.a_tx[2];
		bed_fini(&wires.bed);
	}
	CU_ASSERT(sent[0] <= 3000 && sent[0] > 2000);
	CU_ASSERT(sent[1] <= 1500 && sent[1] > 700);
}

/* ---- by several threads -----------------------------------------------------------------------
 */

#define THREADS 4
#define LOAN    (PATH_LOAN * UINT64_C(300000))

static struct path_count counts;
static const struct path lent = {.lent = true, .count = &counts};

static void *borrow(void *arg)
{
	uint64_t *num = arg;

	while (path_borrow(&lent, 1))
		++*num;
	return NULL;
}

/* What is lent is given once, whoever asks. */
static void test_S57_several_workers(void)
{
	pthread_t threads[THREADS];
	uint64_t num[THREADS] = {0}, sum = 0;

	counts = (struct path_count){0};
	counts.loan = PATH_RESERVE;
	path_earn(&lent, LOAN / PATH_LOAN);
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, borrow, &num[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
		sum += num[i];
	}
	CU_ASSERT_EQUAL(sum, LOAN);
	path_owe(&lent, 10); /* of what was left to messages */
	path_earn(&lent, 4);
	CU_ASSERT_FALSE(path_borrow(&lent, 3));
	CU_ASSERT(path_borrow(&lent, 2));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M4_never_seen),
	TAP_TEST(test_S57_three_for_one),
	TAP_TEST(test_S57_copies_earn_nothing),
	TAP_TEST(test_S57_no_window_earns_nothing),
	TAP_TEST(test_S57_others_earn_nothing),
	TAP_TEST(test_S57_only_where_it_was_named),
	TAP_TEST(test_S57_not_beside_another),
	TAP_TEST(test_S57_named_again),
	TAP_TEST(test_S57_another_port),
	TAP_TEST(test_S57_path_moves),
	TAP_TEST(test_S57_no_more_than_are_remembered),
	TAP_TEST(test_S57_cannot_be_asked),
	TAP_TEST(test_S57_time_goes_on),
	TAP_TEST(test_S57_what_ike_sent),
	TAP_TEST(test_S57_several_workers),
};

TAP_MAIN("dataplane/loan", tests)
