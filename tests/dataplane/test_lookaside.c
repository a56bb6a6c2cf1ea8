/* SPDX-License-Identifier: Apache-2.0 */
/* A lookaside device beside the workers: order, books, SAs that go meanwhile, and a device that is
 * late, full, wrong or gone. */
#include <pthread.h>
#include <time.h>

#include "dataplane/lookaside.h"
#include "tests/dataplane/fake_device.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define LEN 100

/* struct fixture - A's device is the test's; B has none. */
struct fixture {
	struct bed bed;
	struct fake_device *fake;
	struct worker *w;
};

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void begin(struct fixture *f, const struct bed_options *options,
		  void (*set)(struct fake_device *fake))
{
	uint32_t algs = 0, failed = 0;

	bed_init(&f->bed, options);
	f->fake = fake_device_new();
	CU_ASSERT_EQUAL_FATAL(dataplane_use_device(f->bed.a.dp, &algs, &failed, &f->fake->device),
			      ERR_OK);
	CU_ASSERT_EQUAL(algs, f->fake->algs);
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT_EQUAL(f->fake->num_keys, 0);
	f->fake->num_done = 0;
	f->w = f->bed.a.dp->workers[0];
	if (set)
		set(f->fake);
}

static void end(struct fixture *f)
{
	bed_fini(&f->bed);
	CU_ASSERT_TRUE(f->fake->closed);
	CU_ASSERT_EQUAL(f->fake->num_keys, 0);
	CU_ASSERT_EQUAL(f->fake->num_early, 0);
	fake_device_free(f->fake);
}

/* turn - of A's worker, which is not waited for. */
static uint32_t turn(struct fixture *f)
{
	uint32_t num = worker_turn(f->w, NULL, f->bed.now);

	bed_balance(&f->bed.a);
	return num;
}

static void send_all(struct side *s, bool a_to_b, uint32_t from, uint32_t to, size_t len)
{
	uint8_t buf[BED_MAX_PACKET];

	for (uint32_t i = from; i < to; i++)
		bed_send(s, buf, bed_udp4(buf, a_to_b, 1, 2, i, len ? len : 20 + i % 1000));
}

/* received - packets from..to have come to s, in order, and nothing else. */
static bool received(struct side *s, uint32_t from, uint32_t to)
{
	uint8_t buf[BED_MAX_PACKET];

	for (uint32_t i = from; i < to; i++)
		if (!bed_receive(s, buf) || load_be32(buf + 28) != i)
			return false;
	return bed_receive(s, buf) == 0;
}

static uint64_t num_held(const struct fixture *f)
{
	struct dataplane_stats st;

	dataplane_stats(f->bed.a.dp, &st);
	return st.held;
}

/* ---- it does what the processor does --------------------------------------------------------- */

static void esn(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->esn = true;
}

/* Both ways, every algorithm, with and without ESN; B is none the wiser. */
static void test_every_algorithm(void)
{
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		for (int with_esn = 0; with_esn < 2; with_esn++) {
			struct dataplane_worker_stats st;
			struct fixture f;

			begin(&f, &(struct bed_options){.alg = alg}, NULL);
			bed_pair(&f.bed, 1, with_esn ? esn : NULL);
			CU_ASSERT_EQUAL(f.fake->num_keys, 2);
			send_all(&f.bed.a, true, 0, 100, 0);
			send_all(&f.bed.b, false, 500, 600, 0);
			bed_turn(&f.bed);
			bed_turn(&f.bed);
			CU_ASSERT_TRUE(received(&f.bed.b, 0, 100));
			CU_ASSERT_TRUE(received(&f.bed.a, 500, 600));
			CU_ASSERT_EQUAL(f.fake->num_done, 200);
			CU_ASSERT_TRUE(dataplane_worker_stats(f.bed.a.dp, &st, 0));
			CU_ASSERT_EQUAL(st.by_device, 200);
			CU_ASSERT_EQUAL(bed_drops(&f.bed.a) + bed_drops(&f.bed.b), 0);
			end(&f);
		}
	}
}

static void of_worker_1(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->worker = 2;
}

/* Each worker has a queue of its own, and what another one received goes by the owner's. */
static void test_each_worker_has_a_queue(void)
{
	struct dataplane_worker_stats st[2];
	uint8_t buf[BED_MAX_PACKET];
	struct fixture f;
	uint32_t num = 0;

	begin(&f, &(struct bed_options){.num_workers = 2}, NULL);
	bed_pair(&f.bed, 1, of_worker_1);
	for (uint32_t i = 0; i < 40; i++)
		bed_send_to(&f.bed.a, i % 2, buf, bed_udp4(buf, true, 1, 2, i, LEN));
	for (int i = 0; i < 3; i++)
		bed_turn(&f.bed);
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(dataplane_worker_stats(f.bed.a.dp, &st[i], i));
		while (bed_receive_from(&f.bed.b, i, buf))
			num++;
	}
	CU_ASSERT_EQUAL(num, 40);
	CU_ASSERT_EQUAL(st[0].by_device, 0);
	CU_ASSERT_EQUAL(st[1].by_device, 40);
	CU_ASSERT_EQUAL(st[0].handed_off, 20);
	end(&f);
}

/* What is given away is held, and goes on when it is done, in the order in which it was given. */
static void test_order_and_books(void)
{
	struct fixture f;

	begin(&f, NULL, NULL);
	bed_pair(&f.bed, 1, NULL);
	f.fake->shut = true;
	send_all(&f.bed.a, true, 0, 60, LEN);
	CU_ASSERT_EQUAL(turn(&f), 60);
	CU_ASSERT_EQUAL(num_held(&f), 60);
	CU_ASSERT_EQUAL(turn(&f), 0);
	bed_turn_one(&f.bed, &f.bed.b);
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 0));
	send_all(&f.bed.a, true, 60, 90, LEN);
	CU_ASSERT_EQUAL(turn(&f), 30);
	CU_ASSERT_EQUAL(num_held(&f), 90);

	/* The last ones come first, and wait for those before them. */
	f.fake->shut = false;
	f.fake->backwards = true;
	f.fake->most = 50;
	CU_ASSERT_EQUAL(turn(&f), 0);
	CU_ASSERT_EQUAL(num_held(&f), 90);
	f.fake->most = 39;
	CU_ASSERT_EQUAL(turn(&f), 0);
	f.fake->most = 64;
	CU_ASSERT_EQUAL(turn(&f), 90);
	CU_ASSERT_EQUAL(num_held(&f), 0);
	bed_turn_one(&f.bed, &f.bed.b);
	bed_turn_one(&f.bed, &f.bed.b);
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 90));
	end(&f);
}

/* The same packet twice, both at the device: the second one is a replay when it comes back. */
static void test_replay_at_the_device(void)
{
	struct fixture f;
	uint8_t inner[BED_MAX_PACKET], esp[BED_MAX_PACKET];
	size_t len;

	begin(&f, &(struct bed_options){.open_wire = true}, NULL);
	bed_pair(&f.bed, 1, NULL);
	f.fake->shut = true;
	len = bed_udp4(inner, false, 1, 2, 7, LEN);
	bed_send(&f.bed.b, inner, len);
	bed_turn_one(&f.bed, &f.bed.b);
	len = bed_capture(&f.bed.b, esp);
	CU_ASSERT_FATAL(len > 0);
	bed_deliver(&f.bed.a, esp, len);
	bed_deliver(&f.bed.a, esp, len);
	turn(&f);
	CU_ASSERT_EQUAL(num_held(&f), 2);
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_REPLAY), 0);
	f.fake->shut = false;
	turn(&f);
	CU_ASSERT_TRUE(received(&f.bed.a, 7, 8));
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_REPLAY), 1);
	esp[len - 1] ^= 1;
	esp[7]++; /* another number */
	bed_deliver(&f.bed.a, esp, len);
	turn(&f);
	turn(&f);
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_AUTH), 1);
	end(&f);
}

static void test_operations_that_fail(void)
{
	struct fixture f;

	begin(&f, NULL, NULL);
	bed_pair(&f.bed, 1, NULL);
	f.fake->fail = 4;
	send_all(&f.bed.a, true, 0, 40, LEN);
	turn(&f);
	turn(&f);
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_CRYPTO), 10);
	CU_ASSERT_EQUAL(bed_drops(&f.bed.a), 10);
	end(&f);
}

/* ---- more than it takes -----------------------------------------------------------------------
 */

/* What it has no room for waits where it came from; nothing is lost, nothing overtakes. */
static void test_nothing_is_received_that_cannot_go_on(void)
{
	struct fixture f;
	uint32_t num = 0;

	begin(&f, &(struct bed_options){.num_packets = 2048, .num_frames = 1024}, NULL);
	bed_pair(&f.bed, 1, NULL);
	f.fake->shut = true;
	send_all(&f.bed.a, true, 0, 600, LEN);
	for (int i = 0; i < 20; i++)
		num += turn(&f);
	CU_ASSERT_TRUE(num > LOOKASIDE_MAX / 2 && num <= LOOKASIDE_MAX / 2 + PKTVEC_MAX);
	CU_ASSERT_EQUAL(num_held(&f), num);
	f.fake->shut = false;
	for (int i = 0; i < 40; i++) {
		turn(&f);
		bed_turn_one(&f.bed, &f.bed.b);
	}
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 600));
	CU_ASSERT_EQUAL(bed_drops(&f.bed.a), 0);
	end(&f);
}

static void holds_ten(struct fake_device *fake)
{
	fake->room = 10;
	fake->most = 3;
}

/* A device with less room than a vector: the rest of it follows in the same turn. */
static void test_small_device(void)
{
	struct fixture f;

	begin(&f, NULL, holds_ten);
	bed_pair(&f.bed, 1, NULL);
	send_all(&f.bed.a, true, 0, 64, LEN);
	CU_ASSERT_EQUAL(turn(&f), 64);
	CU_ASSERT_TRUE(num_held(&f) <= 10);
	send_all(&f.bed.b, false, 500, 564, LEN);
	bed_turn(&f.bed);
	bed_turn(&f.bed);
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 64));
	CU_ASSERT_TRUE(received(&f.bed.a, 500, 564));
	CU_ASSERT_EQUAL(f.fake->num_done, 128);
	end(&f);
}

/* Long packets are cut into more than the line holds: as many go on as must. */
static void test_full_line(void)
{
	struct fixture f;
	struct lookaside_line *line;
	struct pktvec in = {0}, out;
	struct esp_sa *sa;

	begin(&f, &(struct bed_options){.num_packets = 2048, .num_frames = 1024}, NULL);
	bed_pair(&f.bed, 1, NULL);
	line = &f.w->lookaside->lines[CRYPT_OUT];
	f.fake->shut = true;
	for (int i = 0; i < 4; i++) {
		send_all(&f.bed.a, true, 64u * i, 64u * (i + 1), LEN);
		turn(&f);
	}
	CU_ASSERT_EQUAL(line->num, 256);
	sa = line->slots[0].packet->sa;
	/* As a super-packet's segments do: by the pass, without being asked for. */
	for (uint32_t i = 4; i < 12; i++) {
		in.num = 0;
		f.fake->shut = line->num < LOOKASIDE_MAX;
		for (uint32_t k = 0; k < 64; k++) {
			struct packet *p = packet_get(f.w->pool);

			p->len = (uint32_t)bed_udp4(p->data, true, 1, 2, 64 * i + k, LEN);
			p->port = f.bed.a.inner;
			p->sa = sa;
			pktvec_push(&in, p);
		}
		f.w->count.made += 64;
		out_prepare(f.w, &in, &out);
		out_encrypt(f.w, &out, &in);
		CU_ASSERT_EQUAL(in.num, i < 8 ? 0 : 64);
		out_path(f.w, &in, &out);
		bed_turn_one(&f.bed, &f.bed.b);
	}
	turn(&f);
	for (int i = 0; i < 12; i++)
		bed_turn_one(&f.bed, &f.bed.b);
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 64 * 12));
	end(&f);
}

static void takes_short_ones(struct fake_device *fake)
{
	fake->device.max_len = 200;
}

/* What is too long for it the processor does, and overtakes nothing. */
static void test_too_long_for_it(void)
{
	struct fixture f;

	begin(&f, NULL, takes_short_ones);
	bed_pair(&f.bed, 1, NULL);
	f.fake->shut = true;
	send_all(&f.bed.a, true, 0, 20, LEN);
	send_all(&f.bed.a, true, 20, 40, 600);
	turn(&f);
	CU_ASSERT_EQUAL(num_held(&f), 40);
	f.fake->shut = false;
	turn(&f);
	bed_turn(&f.bed);
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 40));
	CU_ASSERT_EQUAL(f.fake->num_done, 20);
	end(&f);
}

/* struct stream - numbered packets of one direction. */
struct stream {
	uint32_t sent, got;
	bool in_order;
};

static void collect(struct side *s, struct stream *st)
{
	uint8_t buf[BED_MAX_PACKET];

	while (bed_receive(s, buf))
		st->in_order = load_be32(buf + 28) == st->got++ && st->in_order;
}

static uint32_t below(struct rng_seeded *rng, uint32_t n)
{
	uint32_t v;

	CU_ASSERT_EQUAL_FATAL(rng_fill(&rng->rng, &v, sizeof(v)), ERR_OK);
	return v % n;
}

/* behave - in another way from now on. */
static void behave(struct fake_device *fake, struct rng_seeded *rng)
{
	fake->shut = below(rng, 3) == 0;
	fake->backwards = below(rng, 2);
	fake->most = 1 + below(rng, 64);
	/* One that takes nothing and gives nothing would be lost. */
	fake->room = fake->shut ? AEAD_DEVICE_DEPTH : 1 + below(rng, 200);
}

/* Whatever it does short of losing packets, both ways at once: all arrive, in order. */
static void test_any_behaviour(void)
{
	struct stream out = {.in_order = true}, in = {.in_order = true};
	struct rng_seeded rng;
	struct fixture f;

	rng_seeded_init(&rng, 7);
	begin(&f, &(struct bed_options){.num_packets = 2048, .num_frames = 1024}, NULL);
	bed_pair(&f.bed, 1, NULL);
	for (int round = 0; round < 2000; round++) {
		if (below(&rng, 4) == 0)
			behave(f.fake, &rng);
		if (out.sent - out.got < 400) {
			const uint32_t n = below(&rng, 70);

			send_all(&f.bed.a, true, out.sent, out.sent + n, 0);
			out.sent += n;
		}
		if (in.sent - in.got < 400) {
			const uint32_t n = below(&rng, 70);

			send_all(&f.bed.b, false, in.sent, in.sent + n, 0);
			in.sent += n;
		}
		turn(&f);
		bed_turn_one(&f.bed, &f.bed.b);
		collect(&f.bed.b, &out);
		collect(&f.bed.a, &in);
	}
	f.fake->shut = false;
	for (int i = 0; i < 100; i++) {
		bed_turn(&f.bed);
		collect(&f.bed.b, &out);
		collect(&f.bed.a, &in);
	}
	CU_ASSERT_TRUE(out.in_order && in.in_order);
	CU_ASSERT_EQUAL(out.got, out.sent);
	CU_ASSERT_EQUAL(in.got, in.sent);
	CU_ASSERT_EQUAL(f.fake->num_done, out.sent + in.sent);
	CU_ASSERT_TRUE(out.sent > 10000 && in.sent > 10000);
	CU_ASSERT_FALSE(aead_device_lost(&f.fake->device));
	CU_ASSERT_EQUAL(bed_drops(&f.bed.a) + bed_drops(&f.bed.b), 0);
	tap_diag("%u out, %u in", out.sent, in.sent);
	end(&f);
}

/* ---- what it has, and what not --------------------------------------------------------------- */

static void test_self_test_decides(void)
{
	struct bed bed;
	uint32_t algs, failed;
	struct fake_device *fake = fake_device_new(), *other;

	bed_init(&bed, NULL);
	fake->wrong = true;
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &fake->device),
			ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(algs, 0);
	CU_ASSERT_EQUAL(failed, fake->algs);
	CU_ASSERT_TRUE(fake->closed);
	fake->closed = fake->wrong = false;
	fake->algs = 0;
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &fake->device),
			ERR_UNSUPPORTED);
	fake->algs = UINT32_C(1) << AEAD_CHACHA20_POLY1305;
	fake->device.num_queues = 1;
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &fake->device), ERR_INVAL);
	fake->device.num_queues = 2;
	fake->max_keys = 3;
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &fake->device), ERR_NOMEM);
	CU_ASSERT_EQUAL(fake->num_keys, 0);
	fake->max_keys = 400;
	fake->closed = false;
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &fake->device), ERR_OK);
	CU_ASSERT_EQUAL(algs, fake->algs);
	other = fake_device_new();
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &other->device), ERR_EXISTS);
	CU_ASSERT_TRUE(other->closed);
	fake_device_free(other);
	fake->num_done = 0;
	bed_pair(&bed, 1, NULL); /* AES-GCM is not its */
	CU_ASSERT_EQUAL(fake->num_keys, 0);
	send_all(&bed.a, true, 0, 10, LEN);
	bed_turn(&bed);
	CU_ASSERT_TRUE(received(&bed.b, 0, 10));
	CU_ASSERT_EQUAL(fake->num_done, 0);
	bed_fini(&bed);
	CU_ASSERT_TRUE(fake->closed);
	fake_device_free(fake);
}

/* A device that does not answer is found out when it is tried. */
static void test_dead_from_the_beginning(void)
{
	struct bed bed;
	uint32_t algs, failed;
	struct fake_device *fake = fake_device_new();

	bed_init(&bed, NULL);
	fake->shut = true;
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &fake->device),
			ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(failed, fake->algs);
	CU_ASSERT_TRUE(aead_device_lost(&fake->device));
	bed_pair(&bed, 1, NULL);
	send_all(&bed.a, true, 0, 10, LEN);
	bed_turn(&bed);
	CU_ASSERT_TRUE(received(&bed.b, 0, 10));
	bed_fini(&bed);
	fake_device_free(fake);
}

static void holds_one_key(struct fake_device *fake)
{
	fake->max_keys = 1;
}

/* With room for one key one direction is the device's. */
static void test_no_room_for_keys(void)
{
	struct fixture f;

	begin(&f, NULL, holds_one_key);
	bed_pair(&f.bed, 1, NULL);
	CU_ASSERT_EQUAL(f.fake->num_keys, 1);
	send_all(&f.bed.a, true, 0, 30, LEN);
	send_all(&f.bed.b, false, 500, 530, LEN);
	bed_turn(&f.bed);
	bed_turn(&f.bed);
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 30));
	CU_ASSERT_TRUE(received(&f.bed.a, 500, 530));
	CU_ASSERT_EQUAL(f.fake->num_done, 30);
	end(&f);
}

/* ---- a device that is lost --------------------------------------------------------------------
 */

static uint32_t num_told(struct fixture *f)
{
	return bed_events(&f->bed.a, DP_EVENT_DEVICE);
}

/* What it has is dropped in time, once; everything after goes by the processor. Its packets'
 * buffers come back when it is closed (the pool's own assertion), and not before. */
static void test_lost_between_turns(void)
{
	struct fixture f;
	uint32_t num_free;

	begin(&f, NULL, NULL);
	bed_pair(&f.bed, 1, NULL);
	num_free = pool_num_free(f.w->pool);
	send_all(&f.bed.a, true, 0, 10, LEN);
	send_all(&f.bed.b, false, 500, 510, LEN);
	turn(&f);
	turn(&f);
	bed_turn_one(&f.bed, &f.bed.b);
	turn(&f);
	turn(&f);
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 10));
	CU_ASSERT_TRUE(received(&f.bed.a, 500, 510));
	f.fake->shut = true;
	send_all(&f.bed.a, true, 10, 30, LEN);
	send_all(&f.bed.b, false, 510, 515, LEN);
	bed_turn_one(&f.bed, &f.bed.b);
	turn(&f);
	CU_ASSERT_EQUAL(num_held(&f), 25);
	f.bed.now += AEAD_DEVICE_TIMEOUT_NS;
	turn(&f);
	CU_ASSERT_EQUAL(num_held(&f), 25);
	f.bed.now++;
	turn(&f);
	CU_ASSERT_EQUAL(num_held(&f), 0);
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_DEVICE), 25);
	CU_ASSERT_TRUE(aead_device_lost(&f.fake->device));
	turn(&f);
	CU_ASSERT_EQUAL(num_told(&f), 1);

	/* It wakes up: nobody asks. */
	f.fake->shut = false;
	send_all(&f.bed.a, true, 30, 60, LEN);
	send_all(&f.bed.b, false, 515, 545, LEN);
	bed_turn_one(&f.bed, &f.bed.b);
	turn(&f);
	turn(&f);
	bed_turn_one(&f.bed, &f.bed.b);
	CU_ASSERT_TRUE(received(&f.bed.b, 30, 60));
	CU_ASSERT_TRUE(received(&f.bed.a, 515, 545));
	CU_ASSERT_EQUAL(f.fake->num_done, 20);
	CU_ASSERT_EQUAL(pool_num_free(f.w->pool), num_free - 25); /* it may still write there */
	bed_pair(&f.bed, 2, NULL);
	CU_ASSERT_EQUAL(f.fake->num_keys, 2); /* those of the first pair */
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_DEVICE), 25);
	CU_ASSERT_EQUAL(num_told(&f), 0);
	end(&f);
}

/* What of a line is done before the device is lost goes on. */
static void test_lost_with_some_done(void)
{
	struct fixture f;

	begin(&f, NULL, NULL);
	bed_pair(&f.bed, 1, NULL);
	f.fake->shut = true;
	send_all(&f.bed.a, true, 0, 20, LEN);
	turn(&f);
	f.fake->shut = false;
	f.fake->backwards = true;
	f.fake->most = 5;
	turn(&f);
	CU_ASSERT_EQUAL(num_held(&f), 20);
	f.fake->shut = true;
	f.bed.now += AEAD_DEVICE_TIMEOUT_NS + 1;
	turn(&f);
	bed_turn_one(&f.bed, &f.bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_DEVICE), 15);
	CU_ASSERT_TRUE(received(&f.bed.b, 15, 20));
	end(&f);
}

/* A vector that it takes no more of: what it had is dropped, the rest is done. */
static void test_lost_in_a_turn(void)
{
	struct fixture f;

	begin(&f, NULL, holds_ten);
	bed_pair(&f.bed, 1, NULL);
	f.fake->shut = true;
	send_all(&f.bed.a, true, 0, 30, LEN);
	turn(&f);
	CU_ASSERT_TRUE(aead_device_lost(&f.fake->device));
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_DEVICE), 10);
	bed_turn(&f.bed);
	CU_ASSERT_TRUE(received(&f.bed.b, 10, 30));
	end(&f);
}

/* The end of a polled turn, which waits for the device, waits so long and no longer. */
static void test_lost_when_settling(void)
{
	struct fixture f;
	uint64_t began;

	begin(&f, NULL, NULL);
	bed_pair(&f.bed, 1, NULL);
	f.fake->shut = true;
	send_all(&f.bed.a, true, 0, 30, LEN);
	began = clock_now_ns();
	bed_turn_one(&f.bed, &f.bed.a);
	CU_ASSERT_TRUE(clock_now_ns() - began < 10 * AEAD_DEVICE_TIMEOUT_NS);
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_DEVICE), 30);
	bed_turn(&f.bed);
	CU_ASSERT_EQUAL(num_told(&f), 1);
	end(&f);
}

/* A worker that was away for longer than a device may take looks once more before it gives it up.
 */
static void test_away_meanwhile(void)
{
	const uint64_t nap_ns = AEAD_DEVICE_TIMEOUT_NS + 50 * NS_PER_MS;
	struct fixture f;
	uint32_t algs, failed;

	begin(&f, NULL, NULL);
	bed_pair(&f.bed, 1, NULL);
	for (uint32_t i = 0; i < 3; i++) {
		f.fake->nap_ns = nap_ns;
		f.fake->room = i == 1 ? 7 : AEAD_DEVICE_DEPTH; /* submit() waits */
		f.fake->most = i == 2 ? 1 : UINT32_MAX;
		send_all(&f.bed.a, true, 30 * i, 30 * i + 30, LEN);
		bed_turn(&f.bed);
		CU_ASSERT_TRUE(received(&f.bed.b, 30 * i, 30 * i + 30));
		CU_ASSERT_EQUAL(f.fake->nap_ns, 0);
	}
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_DEVICE), 0);
	CU_ASSERT_EQUAL(num_told(&f), 0);
	CU_ASSERT_FALSE(aead_device_lost(&f.fake->device));
	end(&f);

	struct fake_device *fake = fake_device_new();
	struct bed bed;

	bed_init(&bed, NULL);
	fake->nap_ns = nap_ns;
	CU_ASSERT_EQUAL(dataplane_use_device(bed.a.dp, &algs, &failed, &fake->device), ERR_OK);
	CU_ASSERT_EQUAL(failed, 0);
	bed_fini(&bed);
	fake_device_free(fake);
}

/* ---- in threads -------------------------------------------------------------------------------
 */

static bool await(struct fixture *f, bool (*is)(struct fixture *f))
{
	for (int i = 0; i < 5000; i++) {
		if (is(f))
			return true;
		sleep_ms(1);
	}
	return false;
}

static bool all_held(struct fixture *f)
{
	return num_held(f) == 30;
}

static bool none_held(struct fixture *f)
{
	return num_held(f) == 0;
}

static bool is_told(struct fixture *f)
{
	return num_told(f) == 1;
}

static void takes_its_time(struct fake_device *fake)
{
	fake->delay_ns = 30 * NS_PER_MS;
}

/* An SA that is removed while packets are with the device stays until they are back, and they reach
 * the other side. The fake counts keys that go too early, and works on the packet at the end. */
static void test_removed_meanwhile(void)
{
	struct fixture f;

	begin(&f, NULL, takes_its_time);
	f.bed.threaded = true;
	bed_pair(&f.bed, 1, NULL);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(f.bed.a.dp), ERR_OK);
	send_all(&f.bed.a, true, 0, 30, LEN);
	CU_ASSERT_TRUE(await(&f, all_held));
	dataplane_child_remove(f.bed.a.dp, 1, CHILD_BOTH);
	dataplane_reclaim(f.bed.a.dp); /* waits for the worker, and that for the device */
	CU_ASSERT_EQUAL(f.fake->num_keys, 0);
	CU_ASSERT_EQUAL(f.fake->num_early, 0);
	CU_ASSERT_TRUE(await(&f, none_held));
	dataplane_stop(f.bed.a.dp);
	bed_turn_one(&f.bed, &f.bed.b);
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 30));
	end(&f);
}

#define SENT_FOR_MS 2000

struct sender {
	struct fixture *f;
	bool stop; /* atomic */
};

/* send_on - so many that something is always with the device. */
static void *send_on(void *arg)
{
	struct sender *s = arg;

	for (uint32_t i = 0; i < SENT_FOR_MS && !__atomic_load_n(&s->stop, __ATOMIC_RELAXED); i++) {
		send_all(&s->f->bed.a, true, i, i + 1, LEN);
		sleep_ms(1);
	}
	return NULL;
}

/* Under traffic that never ends the control thread does not wait for its end. */
static void test_control_is_not_kept_waiting(void)
{
	struct fixture f;
	struct sender s = {.f = &f};
	pthread_t thread;
	uint64_t began;

	begin(&f, NULL, takes_its_time);
	f.bed.threaded = true;
	bed_pair(&f.bed, 1, NULL);
	bed_pair(&f.bed, 2, NULL);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(f.bed.a.dp), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, send_on, &s), 0);
	sleep_ms(100);
	began = clock_now_ns();
	dataplane_child_remove(f.bed.a.dp, 1, CHILD_BOTH);
	dataplane_reclaim(f.bed.a.dp);
	CU_ASSERT_TRUE(clock_now_ns() - began < SENT_FOR_MS / 2 * NS_PER_MS);
	CU_ASSERT_EQUAL(f.fake->num_keys, 2);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	dataplane_stop(f.bed.a.dp);
	end(&f);
}

/* A worker that stops brings its packets home. */
static void test_stopped_meanwhile(void)
{
	struct fixture f;

	begin(&f, NULL, takes_its_time);
	f.bed.threaded = true;
	bed_pair(&f.bed, 1, NULL);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(f.bed.a.dp), ERR_OK);
	send_all(&f.bed.a, true, 0, 30, LEN);
	CU_ASSERT_TRUE(await(&f, all_held));
	dataplane_stop(f.bed.a.dp);
	bed_balance(&f.bed.a);
	CU_ASSERT_EQUAL(num_held(&f), 0);
	bed_turn_one(&f.bed, &f.bed.b);
	CU_ASSERT_TRUE(received(&f.bed.b, 0, 30));
	end(&f);
}

/* It does not sleep while it waits, but sleeps when it does not. */
static void test_lost_in_a_thread(void)
{
	struct fixture f;

	begin(&f, NULL, NULL);
	f.bed.threaded = true;
	bed_pair(&f.bed, 1, NULL);
	__atomic_store_n(&f.fake->shut, true, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(f.bed.a.dp), ERR_OK);
	send_all(&f.bed.a, true, 0, 30, LEN);
	CU_ASSERT_TRUE(await(&f, all_held));
	CU_ASSERT_TRUE(await(&f, is_told));
	CU_ASSERT_EQUAL(bed_dropped(&f.bed.a, DROP_DEVICE), 30);
	send_all(&f.bed.a, true, 30, 50, LEN);
	sleep_ms(50);
	dataplane_stop(f.bed.a.dp);
	bed_turn_one(&f.bed, &f.bed.b);
	CU_ASSERT_TRUE(received(&f.bed.b, 30, 50));
	end(&f);
}

#define NUM_TRAFFIC 4000
#define REKEY_EVERY 100

static void takes_a_little(struct fake_device *fake)
{
	fake->delay_ns = 100 * NS_PER_US;
	fake->most = 7;
}

/* Pairs that come and go under traffic, with removals at once and no look at what is on its way:
 * no key goes early, nothing is out of order, and what was sent by A arrives. */
static void test_rekey_under_traffic(void)
{
	const uint64_t until_ns = clock_now_ns() + 60 * NS_PER_S;
	uint32_t sent = 0, got = 0, wrong = 0;
	uint8_t buf[BED_MAX_PACKET];
	uint64_t pair = 1;
	struct fixture f;

	begin(&f, NULL, takes_a_little);
	f.bed.threaded = true;
	bed_pair(&f.bed, 1, NULL);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(f.bed.a.dp), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(f.bed.b.dp), ERR_OK);
	while (got < NUM_TRAFFIC && clock_now_ns() < until_ns) {
		for (int i = 0; i < 16 && sent < NUM_TRAFFIC && sent - got < 64; i++, sent++)
			bed_send(&f.bed.a, buf, bed_udp4(buf, true, 1, 2, sent, LEN));
		while (bed_receive(&f.bed.b, buf))
			wrong += load_be32(buf + 28) != got++;
		if (sent / REKEY_EVERY >= pair) {
			bed_pair(&f.bed, ++pair, NULL);
			dataplane_child_remove(f.bed.a.dp, pair - 1, CHILD_BOTH);
			if (pair > 3)
				dataplane_child_remove(f.bed.b.dp, pair - 3, CHILD_BOTH);
		}
		dataplane_reclaim(f.bed.a.dp);
		dataplane_reclaim(f.bed.b.dp);
	}
	dataplane_stop(f.bed.a.dp);
	dataplane_stop(f.bed.b.dp);
	bed_balance(&f.bed.a);
	bed_balance(&f.bed.b);
	CU_ASSERT_EQUAL(got, NUM_TRAFFIC);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(bed_drops(&f.bed.a) + bed_drops(&f.bed.b), 0);
	CU_ASSERT_EQUAL(f.fake->num_done, NUM_TRAFFIC);
	CU_ASSERT_TRUE(pair > 30);
	end(&f);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_every_algorithm),      TAP_TEST(test_each_worker_has_a_queue),
	TAP_TEST(test_order_and_books),      TAP_TEST(test_replay_at_the_device),
	TAP_TEST(test_operations_that_fail), TAP_TEST(test_nothing_is_received_that_cannot_go_on),
	TAP_TEST(test_small_device),         TAP_TEST(test_full_line),
	TAP_TEST(test_too_long_for_it),      TAP_TEST(test_any_behaviour),
	TAP_TEST(test_self_test_decides),    TAP_TEST(test_dead_from_the_beginning),
	TAP_TEST(test_no_room_for_keys),     TAP_TEST(test_lost_between_turns),
	TAP_TEST(test_lost_with_some_done),  TAP_TEST(test_lost_in_a_turn),
	TAP_TEST(test_lost_when_settling),   TAP_TEST(test_away_meanwhile),
	TAP_TEST(test_removed_meanwhile),    TAP_TEST(test_control_is_not_kept_waiting),
	TAP_TEST(test_stopped_meanwhile),    TAP_TEST(test_lost_in_a_thread),
	TAP_TEST(test_rekey_under_traffic),
};

TAP_MAIN("dataplane/lookaside", tests)
