/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slots.h"

#include "base/alloc.h"
#include "base/bytes.h"

#include "tests/tap/tap.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static struct rng_seeded rng;

static struct slots *table(unsigned int id_bits, unsigned int index_bits)
{
	struct slots *s;

	rng_seeded_init(&rng, 7);
	s = slots_new(id_bits, index_bits, &rng.rng);
	CU_ASSERT_FATAL(s != NULL);
	return s;
}

static uint64_t reserve(struct slots *s)
{
	uint64_t id = 0;

	CU_ASSERT_EQUAL_FATAL(slots_reserve(s, &id), ERR_OK);
	return id;
}

static void test_life_of_an_identifier(void)
{
	struct slots *s = table(32, 22);
	uint64_t id = reserve(s);
	int obj;

	CU_ASSERT(id > 255 && id <= UINT32_MAX);
	CU_ASSERT_EQUAL(slots_num(s), 1);
	CU_ASSERT_PTR_NULL(slots_get(s, id));
	slots_publish(s, id, &obj);
	CU_ASSERT_PTR_EQUAL(slots_get(s, id), &obj);
	/* Any one bit wrong, and it names nothing. */
	for (int bit = 0; bit < 64; bit++)
		CU_ASSERT_PTR_NULL(slots_get(s, id ^ 1ull << bit));
	slots_withdraw(s, id);
	CU_ASSERT_PTR_NULL(slots_get(s, id));
	CU_ASSERT_EQUAL(slots_num(s), 1);
	slots_release(s, id);
	CU_ASSERT_EQUAL(slots_num(s), 0);
	CU_ASSERT_PTR_NULL(slots_get(s, id));
	slots_free(s);
	slots_free(NULL);
}

static void test_reserved_numbers_are_never_given(void)
{
	struct slots *s = table(32, 1);
	uint64_t a, b;
	int obj;

	for (int i = 0; i < 2000; i++) {
		a = reserve(s);
		b = reserve(s);
		CU_ASSERT(a > 255 && b > 255 && (a & 1) != (b & 1));
		slots_release(s, a);
		slots_release(s, b);
	}
	slots_free(s);
	s = table(32, 28);
	for (int i = 0; i < 300; i++)
		slots_publish(s, reserve(s), &obj);
	CU_ASSERT_EQUAL(slots_num(s), 300);
	for (uint64_t id = 0; id < 256; id++)
		CU_ASSERT_PTR_NULL(slots_get(s, id));
	slots_free(s);
}

static void test_a_full_table(void)
{
	struct slots *s = table(64, 4);
	uint64_t ids[16], id = 99;
	unsigned int seen = 0;

	for (int i = 0; i < 16; i++) {
		ids[i] = reserve(s);
		seen |= 1u << (ids[i] & 15);
	}
	CU_ASSERT_EQUAL(seen, 0xffff);
	CU_ASSERT_EQUAL(slots_reserve(s, &id), ERR_FULL);
	CU_ASSERT_EQUAL(id, 99);
	slots_release(s, ids[5]);
	id = reserve(s);
	CU_ASSERT_EQUAL(id & 15, ids[5] & 15);
	CU_ASSERT_NOT_EQUAL(id, ids[5]);
	slots_free(s);
}

/* A source that gives what it was told: 64 bits a draw. */
static const uint64_t *script;

static enum err scripted_fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	CU_ASSERT_EQUAL_FATAL(len, sizeof(*script));
	memcpy(out, script++, len);
	return ERR_OK;
}

/* The draws are: chunk, place among the free, bits, and bits again as long as they will not do. */
static void test_bits_are_drawn_until_they_will_do(void)
{
	static const uint64_t first[] = {0, 5, 0, 0, 1};
	static const uint64_t again[] = {255, 1, 1, 1 + (1ull << 24), 2};
	const struct rng scripted = {.fill = scripted_fill};
	struct slots *s = slots_new(32, 8, &scripted);
	uint64_t id = 0;

	script = first;
	CU_ASSERT_EQUAL(slots_reserve(s, &id), ERR_OK);
	/* Bits 0 would make it identifier 5, which is reserved. */
	CU_ASSERT_EQUAL(id, 0x105);
	slots_release(s, id);
	script = again;
	CU_ASSERT_EQUAL(slots_reserve(s, &id), ERR_OK);
	/* The last of the free again, slot 5; 24 bits of 1 are its last use, 2 is not. */
	CU_ASSERT_EQUAL(id, 0x205);
	slots_release(s, id);
	slots_free(s);
}

static void test_a_stale_identifier_does_not_match(void)
{
	struct slots *s = table(32, 1);
	uint64_t last = reserve(s), keep = reserve(s);
	int obj;

	for (int i = 0; i < 1000; i++) {
		uint64_t id;

		slots_release(s, last);
		id = reserve(s);
		CU_ASSERT_NOT_EQUAL(id, last);
		CU_ASSERT_EQUAL(id & 1, last & 1);
		slots_publish(s, id, &obj);
		CU_ASSERT_PTR_NULL(slots_get(s, last));
		slots_withdraw(s, id);
		last = id;
	}
	slots_release(s, keep);
	slots_free(s);
}

/* Successive slot numbers tell nothing: neighbours are rare, all bits change about half of the
 * time, and a slot that was given back is not the next one that is taken. */
static void test_slot_numbers_are_shuffled(void)
{
	enum {
		NUM = 4000
	};
	struct slots *s = table(32, 22);
	uint64_t last = reserve(s);
	int neighbours = 0, same = 0;
	int flips[32] = {0};

	for (int i = 0; i < NUM; i++) {
		uint64_t id = reserve(s);
		int64_t step = (int64_t)(id & 0x3fffff) - (int64_t)(last & 0x3fffff);

		neighbours += step >= -2 && step <= 2;
		for (int bit = 0; bit < 32; bit++)
			flips[bit] += (id ^ last) >> bit & 1;
		last = id;
	}
	CU_ASSERT(neighbours < NUM / 100);
	/* The chunk numbers (bits 10 to 21) of the first few chunks vary less than the rest. */
	for (int bit = 0; bit < 32; bit++) {
		if (bit < 10 || bit >= 22)
			CU_ASSERT(flips[bit] > NUM * 45 / 100 && flips[bit] < NUM * 55 / 100);
	}
	for (int i = 0; i < NUM; i++) {
		uint64_t id;

		slots_release(s, last);
		id = reserve(s);
		same += (id & 0x3fffff) == (last & 0x3fffff);
		last = id;
	}
	CU_ASSERT(same < NUM / 500);
	slots_free(s);
}

/* The bits above the slot number say what they are asked to, and vary as far as that leaves room.
 */
static void test_high_bits_that_say_something(void)
{
	static const uint32_t sets[] = {1, 2, 3, 64, 1000, 1024};
	struct slots *s = table(32, 22);

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		for (uint32_t rest = 0; rest < sets[i]; rest += 1 + sets[i] / 9) {
			uint32_t seen = 0;
			uint64_t first = 0;

			for (int n = 0; n < 16; n++) {
				uint64_t id = 0;

				CU_ASSERT_EQUAL_FATAL(slots_reserve_as(s, &id, sets[i], rest),
						      ERR_OK);
				CU_ASSERT(id > 255 && id <= UINT32_MAX);
				CU_ASSERT_EQUAL((id >> 22) % sets[i], rest);
				first = n ? first : id >> 22;
				seen += id >> 22 != first;
			}
			CU_ASSERT_EQUAL(seen > 0, rest + sets[i] < 1024);
		}
	}
	slots_free(s);
}

static void count(void *ctx, uint64_t id, void *obj)
{
	struct slots *s = ctx;

	CU_ASSERT_PTR_EQUAL(slots_get(s, id), obj);
	++*(int *)obj;
	if (*(int *)obj % 2) {
		slots_withdraw(s, id);
		slots_release(s, id);
	}
}

static void test_each_visits_all_and_may_release(void)
{
	enum {
		NUM = 3000
	};
	static int visits[NUM];
	struct slots *s = table(64, 22);

	reserve(s); /* reserved only: not visited */
	for (int i = 0; i < NUM; i++) {
		visits[i] = i % 2;
		slots_publish(s, reserve(s), &visits[i]);
	}
	slots_each(s, count, s);
	for (int i = 0; i < NUM; i++)
		CU_ASSERT_EQUAL(visits[i], i % 2 + 1);
	CU_ASSERT_EQUAL(slots_num(s), 1 + NUM / 2);
	slots_free(s);
}

static enum err broken_fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	(void)out;
	(void)len;
	return ERR_CRYPTO;
}

static enum err constant_fill(void *ctx, void *out, size_t len)
{
	memset(out, *(const int *)ctx, len);
	return ERR_OK;
}

static void test_a_constant_source_is_an_error_not_a_hang(void)
{
	int byte = 0;
	const struct rng constant = {.fill = constant_fill, .ctx = &byte};
	struct slots *s = slots_new(32, 8, &constant);
	uint64_t id;

	CU_ASSERT_EQUAL(slots_reserve(s, &id), ERR_CRYPTO);
	byte = 0x5a;
	CU_ASSERT_EQUAL(slots_reserve(s, &id), ERR_OK);
	slots_release(s, id);
	slots_free(s);
}

static void test_failures_leave_the_table_as_it_was(void)
{
	const struct rng broken = {.fill = broken_fill};
	struct slots *s = slots_new(32, 22, &broken);
	uint64_t id = 99;

	CU_ASSERT_EQUAL(slots_reserve(s, &id), ERR_CRYPTO);
	CU_ASSERT_EQUAL(slots_num(s), 0);
	slots_free(s);

	for (uint64_t n = 1; n <= 4; n++) {
		rng_seeded_init(&rng, n);
		alloc_fail_nth(n);
		s = slots_new(32, 22, &rng.rng);
		CU_ASSERT_EQUAL(s == NULL, n <= 2);
		if (!s)
			continue;
		CU_ASSERT_EQUAL(slots_reserve(s, &id), ERR_NOMEM);
		CU_ASSERT_EQUAL(id, 99);
		CU_ASSERT_EQUAL(slots_reserve(s, &id), ERR_OK);
		id = 99;
		slots_free(s);
	}
	alloc_fail_nth(0);
}

/* Without memory to grow, what is there is used up to the last slot. */
static void test_growth_may_fail_while_there_is_room(void)
{
	struct slots *s = table(32, 22);
	uint64_t id;
	enum err e = ERR_OK;
	int num = 0;

	reserve(s);
	while (!e && num < 5000) {
		alloc_fail_nth(1);
		e = slots_reserve(s, &id);
		num += !e;
	}
	alloc_fail_nth(0);
	CU_ASSERT_EQUAL(e, ERR_NOMEM);
	CU_ASSERT_EQUAL(num, 1023);
	CU_ASSERT_EQUAL(slots_reserve(s, &id), ERR_OK);
	slots_free(s);
}

/* Random use against an array that knows the answers. */
static void test_random_use_against_a_model(void)
{
	enum {
		NUM = 3000,
		STEPS = 100000
	};
	static struct {
		uint64_t id;
		bool reserved;
		void *obj;
	} known[NUM];
	static int objs[NUM];
	struct slots *s = table(32, 13);
	size_t num = 0;

	memset(known, 0, sizeof(known));
	for (int step = 0; step < STEPS; step++) {
		uint32_t r;
		size_t i;

		CU_ASSERT_EQUAL(rng_fill(&rng.rng, &r, sizeof(r)), ERR_OK);
		i = r % NUM;
		if (!known[i].reserved) {
			known[i].id = reserve(s);
			known[i].reserved = true;
			num++;
		} else if (!known[i].obj) {
			known[i].obj = &objs[i];
			slots_publish(s, known[i].id, &objs[i]);
		} else {
			slots_withdraw(s, known[i].id);
			known[i].obj = NULL;
			if (r >> 31) {
				slots_release(s, known[i].id);
				known[i].reserved = false;
				num--;
			}
		}
		CU_ASSERT(slots_num(s) == num);
		i = (r >> 8) % NUM;
		/* The identifier of a released one may have been given anew: then it is another's.
		 */
		if (known[i].reserved)
			CU_ASSERT(slots_get(s, known[i].id) == known[i].obj);
	}
	slots_free(s);
}

/* Readers look up while the table grows and identifiers come and go: each object they get bears the
 * identifier they asked for, and it is not freed. */
struct object {
	struct rcu_head head;
	uint64_t id;
};

enum {
	NUM_SHARED = 64
};
static struct {
	struct slots *slots;
	uint64_t ids[NUM_SHARED]; /* atomic: some current or stale identifiers */
	bool stop;
	unsigned int found; /* atomic: readers that got an object */
	unsigned long wrong;
} shared;

static void *look_up(void *arg)
{
	unsigned long wrong = 0;
	bool found = false;

	(void)arg;
	rcu_thread_register();
	for (size_t i = 0; !__atomic_load_n(&shared.stop, __ATOMIC_RELAXED); i++) {
		uint64_t id = __atomic_load_n(&shared.ids[i % NUM_SHARED], __ATOMIC_RELAXED);
		const struct object *o = slots_get(shared.slots, id);

		if (o && !found) {
			found = true;
			__atomic_fetch_add(&shared.found, 1, __ATOMIC_RELAXED);
		}
		wrong += o && o->id != id;
		if (i % 16 == 0)
			rcu_quiescent();
		if (i % 4096 == 0)
			sched_yield();
	}
	rcu_thread_unregister();
	__atomic_fetch_add(&shared.wrong, wrong, __ATOMIC_RELAXED);
	return NULL;
}

static void object_free(struct rcu_head *head)
{
	struct object *o = container_of(head, struct object, head);

	o->id = 0;
	mem_free(o);
}

static void replace(struct rcu_queue *q, struct object **o, uint64_t *shown)
{
	struct object *fresh = mem_alloc(sizeof(*fresh));

	CU_ASSERT_FATAL(fresh != NULL);
	if (*o) {
		/* The slot is free at once, only the memory waits for the readers. */
		slots_withdraw(shared.slots, (*o)->id);
		slots_release(shared.slots, (*o)->id);
		rcu_defer(q, &(*o)->head, object_free);
	}
	fresh->id = reserve(shared.slots);
	slots_publish(shared.slots, fresh->id, fresh);
	__atomic_store_n(shown, fresh->id, __ATOMIC_RELAXED);
	*o = fresh;
}

static void run_readers(unsigned int index_bits, size_t num_objects, size_t rounds)
{
	struct object **objects = calloc(num_objects, sizeof(objects[0]));
	pthread_t threads[2];
	struct rcu_queue q;

	memset(&shared, 0, sizeof(shared));
	shared.slots = table(32, index_bits);
	rcu_queue_init(&q);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, look_up, NULL) == 0);
	/* Until each reader has run: a busy machine may start one after all the rounds. */
	for (size_t i = 0; i < rounds || __atomic_load_n(&shared.found, __ATOMIC_RELAXED) < 2;
	     i++) {
		size_t n = i * 7 % num_objects;

		replace(&q, &objects[n], &shared.ids[n % NUM_SHARED]);
		if (i % 32 == 0)
			rcu_flush(&q);
	}
	__atomic_store_n(&shared.stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	rcu_flush(&q);
	CU_ASSERT_EQUAL(shared.wrong, 0);
	for (size_t i = 0; i < num_objects; i++)
		mem_free(objects[i]);
	free(objects);
	slots_free(shared.slots);
}

static void test_growth_under_readers(void)
{
	run_readers(22, 20000, 20000);
}

static void test_reuse_under_readers(void)
{
	run_readers(3, 5, 30000);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_life_of_an_identifier),
	TAP_TEST(test_reserved_numbers_are_never_given),
	TAP_TEST(test_a_full_table),
	TAP_TEST(test_bits_are_drawn_until_they_will_do),
	TAP_TEST(test_a_stale_identifier_does_not_match),
	TAP_TEST(test_high_bits_that_say_something),
	TAP_TEST(test_slot_numbers_are_shuffled),
	TAP_TEST(test_each_visits_all_and_may_release),
	TAP_TEST(test_a_constant_source_is_an_error_not_a_hang),
	TAP_TEST(test_failures_leave_the_table_as_it_was),
	TAP_TEST(test_growth_may_fail_while_there_is_room),
	TAP_TEST(test_random_use_against_a_model),
	TAP_TEST(test_growth_under_readers),
	TAP_TEST(test_reuse_under_readers),
};
TAP_MAIN("base/slots", tests)
