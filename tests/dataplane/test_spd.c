/* SPDX-License-Identifier: Apache-2.0 */
/* The SPD by itself: whatever is in it, a look-up finds the entry that a walk through all of them
 * in their order would find. */
#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "dataplane/spd.h"
#include "tests/tap/tap.h"

#define MAX_ENTRIES 3000

static struct rng_seeded rng;
static struct spd spd;
static struct rcu_queue retired;
static struct spd_entry *entries[MAX_ENTRIES];
static uint32_t num_entries;

static uint32_t draw(uint32_t below)
{
	uint64_t v;

	CU_ASSERT_FATAL(rng_fill(&rng.rng, &v, sizeof(v)) == ERR_OK);
	return (uint32_t)(v % below);
}

/* address - from a small world, so that much overlaps. */
static struct ip_addr address(bool v6)
{
	uint8_t b[16] = {0};

	if (v6) {
		b[0] = 0xfd;
		b[6] = (uint8_t)draw(3);
		b[9] = (uint8_t)draw(3);
		b[15] = (uint8_t)draw(16);
		return ip_addr_v6(b);
	}
	b[0] = 10;
	b[1] = (uint8_t)draw(3);
	b[2] = (uint8_t)draw(4);
	b[3] = (uint8_t)draw(32);
	return ip_addr_v4(b);
}

/* selector - all, a prefix, one address, or any range. */
static struct ts selector(bool v6)
{
	struct ip_prefix p = {.addr = address(v6), .len = (uint8_t)draw(v6 ? 129 : 33)};
	struct ts ts;

	if (draw(8) == 0)
		p.len = 0;
	if (draw(3) == 0)
		p.len = v6 ? 128 : 32;
	ts = ts_from_prefix(&p);
	if (draw(3) == 0) {
		struct ip_addr a = address(v6), b = address(v6);
		bool ordered = memcmp(a.b, b.b, 16) <= 0;

		ts.lo = ordered ? a : b;
		ts.hi = ordered ? b : a;
	}
	if (draw(4) == 0)
		ts.proto = draw(2) ? 6 : 17;
	if (ts.proto && draw(2))
		ts.port_lo = ts.port_hi = (uint16_t)(80 + draw(3));
	return ts;
}

static struct spd_entry *make(void)
{
	struct ts local[4], remote[4];
	struct policy_params p = {
		.layer = (enum policy_layer)draw(POLICY_NUM_LAYERS),
		.action = POLICY_DISCARD,
		.priority = draw(4),
		.scope = draw(3) ? 0 : 1 + draw(2),
		.local = local,
		.remote = remote,
		.num_local = 1 + draw(draw(2) ? 1 : 4),
		.num_remote = 1 + draw(draw(2) ? 1 : 4),
	};
	bool v6 = draw(2), mixed = draw(4) == 0;

	for (uint32_t i = 0; i < 4; i++) {
		local[i] = selector(mixed ? draw(2) : v6);
		remote[i] = selector(mixed ? draw(2) : v6);
	}
	struct spd_entry *e = spd_entry_new(&p, NULL);

	CU_ASSERT_FATAL(e != NULL);
	return e;
}

static struct flow_key flow(void)
{
	bool v6 = draw(2);
	struct flow_key k = {.flow = {.local = address(v6), .remote = address(v6)}};

	k.scope = draw(3) ? 0 : 1 + draw(2);
	k.flow.proto = draw(2) ? 6 : 17;
	k.flow.local_port = (uint16_t)(80 + draw(4));
	k.flow.remote_port = (uint16_t)(80 + draw(4));
	k.no_ports = draw(8) == 0;
	return k;
}

/* by_walk - the model: entries[] is in the order of age. */
static const struct spd_entry *by_walk(const struct flow_key *k)
{
	const struct spd_entry *best = NULL;

	for (uint32_t i = 0; i < num_entries; i++) {
		const struct spd_entry *e = entries[i];
		bool first = !best || e->layer < best->layer ||
			     (e->layer == best->layer && e->priority < best->priority);

		if (first && e->scope == k->scope &&
		    flow_match(k, e->ts, e->num_local, e->ts + e->num_local, e->num_remote))
			best = e;
	}
	return best;
}

static void insert(void)
{
	entries[num_entries] = make();
	spd_insert(&spd, entries[num_entries++], &retired);
}

static void take_out(uint32_t i)
{
	spd_remove(&spd, entries[i], &retired);
	memmove(&entries[i], &entries[i + 1], (--num_entries - i) * sizeof(entries[0]));
}

static void begin(uint64_t seed)
{
	rng_seeded_init(&rng, seed);
	rcu_queue_init(&retired);
	CU_ASSERT_EQUAL_FATAL(spd_init(&spd, &rng.rng), ERR_OK);
	num_entries = 0;
}

static void end(void)
{
	rcu_flush(&retired);
	spd_fini(&spd);
}

/* agree - so many flows; returns how many had an entry. */
static unsigned agree(unsigned flows)
{
	unsigned found = 0, wrong = 0;

	for (unsigned i = 0; i < flows; i++) {
		struct flow_key k = flow();
		const struct spd_entry *e = spd_lookup(&spd, &k);

		wrong += e != by_walk(&k);
		found += e != NULL;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	return found;
}

static void test_as_a_walk_would(void)
{
	unsigned found = 0, flows = 0;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		begin(seed);
		for (unsigned i = 0; i < 60; i++) {
			if (num_entries && draw(3) == 0)
				take_out(draw(num_entries));
			else
				insert();
			if (draw(4) == 0)
				rcu_flush(&retired);
			found += agree(20);
			flows += 20;
		}
		end();
	}
	/* Neither nothing matched nor everything. */
	CU_ASSERT(found > flows / 10 && found < flows * 9 / 10);
}

/* Thousands of entries, in and out again, the table growing whenever it may. */
static void test_many(void)
{
	begin(7);
	for (unsigned i = 0; i < MAX_ENTRIES; i++) {
		insert();
		if (i % 100 == 0)
			rcu_flush(&retired);
		if (i % 500 == 0)
			agree(50);
	}
	CU_ASSERT(spd.index.table->mask >= spd.index.num / 4);
	agree(300);
	while (num_entries) {
		take_out(draw(num_entries));
		if (num_entries % 500 == 0)
			agree(50);
	}
	CU_ASSERT_EQUAL(spd.index.num, 0);
	for (unsigned i = 0; i < sizeof(spd.index.lens) / 8; i++)
		CU_ASSERT_EQUAL(((const uint64_t *)spd.index.lens)[i], 0);
	CU_ASSERT_EQUAL(spd.num_whole, 0);
	end();
}

/* With no memory for a larger table everything goes on. */
static bool refuse_large;

static void *refusing(void *ctx, void *p, size_t size)
{
	(void)ctx;
	if (size == 0) {
		free(p);
		return NULL;
	}
	return refuse_large && size > 4096 ? NULL : realloc(p, size);
}

__attribute__((constructor)) static void set_heap(void)
{
	static const struct alloc_ops ops = {.realloc = refusing};

	alloc_set_ops(&ops);
}

static void test_no_memory_to_grow(void)
{
	begin(9);
	refuse_large = true;
	for (unsigned i = 0; i < 1500; i++) {
		insert();
		rcu_flush(&retired);
	}
	CU_ASSERT(spd.index.table->mask < 1024);
	agree(100);
	refuse_large = false;
	insert();
	CU_ASSERT(spd.index.table->mask >= 1023);
	agree(100);
	end();
}

/* While entries come and go, readers always find one that covers everything, or what is before it.
 */
static bool stop;

static void *reader(void *arg)
{
	unsigned long *num = arg;
	struct flow_key k = {.flow = {.local = {.family = IP_V4}, .remote = {.family = IP_V4}}};
	uint32_t x = 1;

	rcu_thread_register();
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		x = x * 1103515245 + 12345;
		k.flow.remote.b[0] = 10;
		k.flow.remote.b[1] = (uint8_t)(x >> 8) % 3;
		k.flow.remote.b[2] = (uint8_t)(x >> 16) % 4;
		const struct spd_entry *e = spd_lookup(&spd, &k);

		if (!e || e->layer >= POLICY_NUM_LAYERS)
			abort();
		__atomic_fetch_add(num, 1, __ATOMIC_RELAXED);
		rcu_quiescent();
	}
	rcu_thread_unregister();
	return NULL;
}

static void test_readers(void)
{
	struct ts all = ts_from_prefix(&(struct ip_prefix){.addr = {.family = IP_V4}});
	struct policy_params p = {.layer = POLICY_CONFIG,
				  .action = POLICY_DISCARD,
				  .priority = 100,
				  .local = &all,
				  .remote = &all,
				  .num_local = 1,
				  .num_remote = 1};
	unsigned long seen[2] = {0};
	pthread_t threads[2];

	begin(11);
	entries[num_entries] = spd_entry_new(&p, NULL);
	CU_ASSERT_FATAL(entries[0] != NULL);
	spd_insert(&spd, entries[num_entries++], &retired);
	stop = false;
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, reader, &seen[i]), 0);
	/* Until both have looked a while, which is until they were scheduled. */
	for (unsigned round = 0; round < 20 || __atomic_load_n(&seen[0], __ATOMIC_RELAXED) < 1000 ||
				 __atomic_load_n(&seen[1], __ATOMIC_RELAXED) < 1000;
	     round++) {
		while (num_entries < 400)
			insert();
		while (num_entries > 1)
			take_out(num_entries - 1);
		rcu_flush(&retired);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_as_a_walk_would),
	TAP_TEST(test_many),
	TAP_TEST(test_no_memory_to_grow),
	TAP_TEST(test_readers),
};

TAP_MAIN("dataplane/spd", tests)
