/* SPDX-License-Identifier: Apache-2.0 */
/* The control functions: what they refuse, and that a shortage of memory leaves nothing behind. */
#include "base/alloc.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static void test_child_refused(void)
{
	struct child_params good, p;
	struct child_stats st;
	struct bed bed;
	uint8_t key[36] = {1};

	bed_init(&bed, NULL);
	good = bed_child_params(&bed.a, 5);
	good.key_in = good.key_out = bytes_of(key, sizeof(key));
	good.spi_out = 0x1000;
	CU_ASSERT_EQUAL(dataplane_spi_reserve(bed.a.dp, &good.spi_in), ERR_OK);
	CU_ASSERT(good.spi_in > 255);

#define REFUSED(change, error)                                             \
	do {                                                               \
		p = good;                                                  \
		change;                                                    \
		CU_ASSERT_EQUAL(dataplane_child_add(bed.a.dp, &p), error); \
	} while (0)
	REFUSED(p.proof = NULL, ERR_INVAL); /* S20 */
	REFUSED(p.spi_out = 255, ERR_INVAL);
	REFUSED(p.spi_in = 0, ERR_INVAL);
	REFUSED(p.num_local = 0, ERR_INVAL);
	REFUSED(p.num_remote = 65, ERR_INVAL);
	REFUSED(p.group++, ERR_NOT_FOUND);
	REFUSED(p.pathset++, ERR_NOT_FOUND);
	REFUSED(p.alg = AEAD_NONE, ERR_UNSUPPORTED);
	REFUSED(p.alg = AEAD_NUM, ERR_UNSUPPORTED);
	REFUSED(p.key_in.len = 20, ERR_INVAL); /* AES-128's length for AES-256 */
	REFUSED(p.key_out.len = 4, ERR_INVAL);
	REFUSED(p.key_out.len = 0, ERR_INVAL);
#undef REFUSED
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &st, 5), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_child_add(bed.a.dp, &good), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_add(bed.a.dp, &good), ERR_EXISTS);
	p = good;
	p.id = 6; /* the SPI is taken */
	CU_ASSERT_EQUAL(dataplane_child_add(bed.a.dp, &p), ERR_EXISTS);
	dataplane_child_remove(bed.a.dp, 5, CHILD_IN);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &st, 5), ERR_OK);
	dataplane_child_remove(bed.a.dp, 5, CHILD_IN); /* gone already: ignored */
	dataplane_child_remove(bed.a.dp, 5, CHILD_OUT);
	dataplane_child_remove(bed.a.dp, 5, CHILD_BOTH);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &st, 5), ERR_NOT_FOUND);
	bed_fini(&bed);
}

static void test_spis_are_returned(void)
{
	struct bed bed;
	uint32_t spi;

	bed_init(&bed, NULL);
	for (uint64_t i = 1; i < 200; i++) {
		bed_pair(&bed, i, NULL);
		dataplane_child_remove(bed.a.dp, i, CHILD_BOTH);
		dataplane_child_remove(bed.b.dp, i, CHILD_BOTH);
		dataplane_reclaim(bed.a.dp);
		dataplane_reclaim(bed.b.dp);
		CU_ASSERT_EQUAL(dataplane_spi_reserve(bed.a.dp, &spi), ERR_OK);
		dataplane_spi_release(bed.a.dp, spi);
	}
	CU_ASSERT_EQUAL(slots_num(bed.a.dp->sad), 0);
	bed_fini(&bed);
}

static void test_handles(void)
{
	struct path_info info;
	struct bed bed;
	uint32_t set;

	bed_init(&bed, NULL);
	CU_ASSERT_EQUAL(dataplane_pathset_add(bed.a.dp, &set, 1, &bed.a.path), ERR_OK);
	CU_ASSERT_NOT_EQUAL(set, 0);
	CU_ASSERT_EQUAL(dataplane_pathset_info(bed.a.dp, &info, set), ERR_OK);
	CU_ASSERT_EQUAL(memcmp(&info.addr, &bed.a.path, sizeof(info.addr)), 0);
	dataplane_pathset_remove(bed.a.dp, set);
	CU_ASSERT_EQUAL(dataplane_pathset_info(bed.a.dp, &info, set), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(dataplane_pathset_move(bed.a.dp, set, 1, &bed.a.path), ERR_NOT_FOUND);
	dataplane_pathset_remove(bed.a.dp, set);
	dataplane_group_remove(bed.a.dp, set); /* names nothing: ignored */
	bed_fini(&bed);
}

static void test_ports(void)
{
	const struct memory_params params = {.role = PORT_OUTER};
	struct memory_port *far[WORKER_MAX_PORTS];
	struct driver *d;
	struct bed bed;
	uint16_t port;
	int num = 0;

	bed_init(&bed, NULL);
	for (;; num++) {
		CU_ASSERT_EQUAL_FATAL(memory_open(&d, &far[num], &params), ERR_OK);
		if (dataplane_attach(bed.a.dp, &port, d) != ERR_OK)
			break;
	}
	CU_ASSERT_EQUAL(num, WORKER_MAX_PORTS - 2); /* that the bed has not */
	d->ops->close(d);
	CU_ASSERT_EQUAL(memory_inject(far[0], NULL, 5000, NULL), ERR_LIMIT);
	bed_fini(&bed);
	for (int i = 0; i <= num; i++)
		memory_close_far(far[i]);
}

static void test_no_such_backend(void)
{
	struct dataplane *dp;

	CU_ASSERT_EQUAL(dataplane_new(&dp, &(struct dataplane_config){.aead = "rot13"}),
			ERR_NOT_FOUND);
}

/* Every allocation of a data path's birth fails once; each time a clean error, nothing leaked. */
static void test_memory_short_at_start(void)
{
	const struct dataplane_config config = {.num_packets = 8, .flow_cache_len = 64};
	struct dataplane *dp = NULL;
	uint32_t failed = 0;

	for (uint64_t n = 1;; n++) {
		enum err e;

		alloc_fail_nth(n);
		e = dataplane_new(&dp, &config);
		alloc_fail_nth(0);
		if (e == ERR_OK)
			break;
		CU_ASSERT(e == ERR_NOMEM || e == ERR_CRYPTO);
		failed++;
	}
	CU_ASSERT(failed > 15);
	dataplane_free(dp);
}

/* try_all - set up a pair with everything it needs; the first error ends it. *used: the SPI was
 * given back with the pair. */
static enum err try_all(struct bed *bed, uint32_t spi, bool *used)
{
	struct side *s = &bed->a;
	struct policy_params policy = {.layer = POLICY_CONFIG,
				       .action = POLICY_PROTECT,
				       .local = &s->local4,
				       .remote = &s->remote4,
				       .num_local = 1,
				       .num_remote = 1};
	struct child_params child = bed_child_params(s, 1);
	uint8_t key[36] = {1};
	uint32_t id;
	enum err e;

	child.spi_in = spi;
	child.spi_out = 0x1000;
	child.key_in = child.key_out = bytes_of(key, sizeof(key));
	e = dataplane_group_add(s->dp, &child.group);
	if (e != ERR_OK)
		return e;
	policy.group = child.group;
	e = dataplane_pathset_add(s->dp, &child.pathset, 1, &s->path);
	if (e == ERR_OK)
		e = dataplane_policy_add(s->dp, &id, &policy);
	if (e == ERR_OK)
		dataplane_policy_remove(s->dp, id);
	if (e == ERR_OK)
		e = dataplane_pathset_move(s->dp, child.pathset, 1, &s->path);
	if (e == ERR_OK)
		e = dataplane_child_add(s->dp, &child);
	if (e == ERR_OK) {
		e = dataplane_child_window(s->dp, 1, 1024);
		*used = true;
		dataplane_child_remove(s->dp, 1, CHILD_BOTH);
	}
	dataplane_group_remove(s->dp, child.group);
	return e;
}

static void test_memory_short_at_install(void)
{
	struct bed bed;
	uint32_t failed = 0, spi;
	enum err e;

	bed_init(&bed, NULL);
	do {
		bool used = false;

		CU_ASSERT_EQUAL_FATAL(dataplane_spi_reserve(bed.a.dp, &spi), ERR_OK);
		alloc_fail_nth(failed + 1);
		e = try_all(&bed, spi, &used);
		alloc_fail_nth(0);
		if (e != ERR_OK) {
			CU_ASSERT(e == ERR_NOMEM || e == ERR_CRYPTO);
			failed++;
		}
		if (!used)
			dataplane_spi_release(bed.a.dp, spi);
		dataplane_reclaim(bed.a.dp);
	} while (e != ERR_OK && failed < 1000);
	CU_ASSERT(failed > 8);
	CU_ASSERT_EQUAL(e, ERR_OK);
	bed_fini(&bed);
}

/* Two runs with one seed give the same packets, byte for byte. */
static void test_deterministic(void)
{
	uint8_t first[8][BED_MAX_PACKET], buf[BED_MAX_PACKET];

	for (int run = 0; run < 2; run++) {
		struct bed bed;

		bed_init(&bed, &(struct bed_options){.open_wire = true});
		bed_pair(&bed, 1, NULL);
		for (int i = 0; i < 8; i++) {
			bed_send(&bed.a, buf, bed_udp4(buf, true, 1, 2, 3, 100));
			bed_turn_one(&bed, &bed.a);
			size_t len = bed_capture(&bed.a, buf);

			CU_ASSERT(len > 128);
			if (run == 0)
				memcpy(first[i], buf, len);
			CU_ASSERT_EQUAL(memcmp(first[i], buf, len), 0);
		}
		bed_fini(&bed);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_child_refused),
	TAP_TEST(test_spis_are_returned),
	TAP_TEST(test_handles),
	TAP_TEST(test_ports),
	TAP_TEST(test_no_such_backend),
	TAP_TEST(test_memory_short_at_start),
	TAP_TEST(test_memory_short_at_install),
	TAP_TEST(test_deterministic),
};

TAP_MAIN("dataplane/control", tests)
