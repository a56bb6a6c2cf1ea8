/* SPDX-License-Identifier: Apache-2.0 */
/* L9: the journal of latches: what was written is read, and nothing that was not. */
#include "api/engine/latch_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/control/sweep.h"
#include "tests/tap/tap.h"

static char path[] = "/tmp/lk-latches-XXXXXX";
static struct latch_saved got[8];
static uint32_t num;

static void take(void *ctx, const struct latch_saved *s)
{
	(void)ctx;
	if (num < ARRAY_LEN(got))
		got[num] = *s;
	num++;
}

static enum err again(void)
{
	num = 0;
	memset(got, 0, sizeof(got));
	return latch_store_read(path, take, NULL);
}

static struct latch_saved latch(uint64_t id)
{
	struct latch_saved s = {.id = id, .keep = true, .tied = true, .cookie = 99, .uid = 1000};

	s.flow.local = ip_addr_v4("\x0a\x01\x00\x01");
	s.flow.remote = ip_addr_v6("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
	s.flow.local_port = 7;
	s.flow.remote_port = 65535;
	s.flow.proto = 17;
	snprintf(s.demand.profile, sizeof(s.demand.profile), "secure");
	snprintf(s.demand.peer, sizeof(s.demand.peer), "bob.example");
	s.demand.methods[0] = AUTH_METHOD_PSK;
	s.demand.num_methods = 1;
	s.demand.part = APP_PART_IKE_ONLY;
	s.demand.privacy = APP_ASK_YES;
	s.whom.method = AUTH_METHOD_PSK;
	s.whom.quality = CLASS_Q_PRIVACY;
	s.whom.peer.type = s.whom.local.type = 2;
	s.whom.peer.len = 11;
	memcpy(s.whom.peer.data, "bob.example", 11);
	return s;
}

static struct latch_store *begin(void)
{
	struct latch_store *s = NULL;

	CU_ASSERT_EQUAL_FATAL(latch_store_new(&s, path), ERR_OK);
	return s;
}

static void test_L9_round_trip(void)
{
	struct latch_saved one = latch(1), two = latch(2);
	struct latch_store *s = begin();

	two.listener = two.upgrades = true;
	two.tied = two.keep = false;
	memset(&two.whom, 0, sizeof(two.whom));
	CU_ASSERT_EQUAL(latch_store_put(s, &one), ERR_OK);
	CU_ASSERT_EQUAL(latch_store_put(s, &two), ERR_OK);
	CU_ASSERT_EQUAL(again(), ERR_OK);
	CU_ASSERT_EQUAL(num, 0); /* not before it is committed */
	CU_ASSERT_EQUAL(latch_store_commit(s), ERR_OK);
	CU_ASSERT_EQUAL(again(), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(num, 2);
	if (got[0].id == 2) {
		got[7] = got[0];
		got[0] = got[1];
		got[1] = got[7];
	}
	CU_ASSERT(memcmp(&got[0], &one, sizeof(one)) == 0);
	CU_ASSERT(memcmp(&got[1], &two, sizeof(two)) == 0);
	one.uid = 5;
	CU_ASSERT_EQUAL(latch_store_put(s, &one), ERR_OK);
	CU_ASSERT_EQUAL(latch_store_gone(s, 2), ERR_OK);
	CU_ASSERT_EQUAL(latch_store_gone(s, 77), ERR_OK);
	CU_ASSERT_EQUAL(again(), ERR_OK);
	CU_ASSERT_EQUAL(num, 1);
	CU_ASSERT_EQUAL(got[0].uid, 5);
	CU_ASSERT(latch_store_len(s) > 200);
	latch_store_close(s);
	latch_store_close(begin()); /* one that is not committed leaves nothing */
	CU_ASSERT_EQUAL(again(), ERR_OK);
	CU_ASSERT_EQUAL(num, 1);
	unlink(path);
	CU_ASSERT_EQUAL(again(), ERR_OK);
	CU_ASSERT_EQUAL(num, 0);
}

static uint32_t num_whole, num_latches;

static void count(void *ctx, uint64_t id, const struct latch_saved *s)
{
	(void)ctx;
	(void)id;
	num_latches += s != NULL;
	if (s && strnlen(s->demand.peer, sizeof(s->demand.peer)) >= sizeof(s->demand.peer))
		abort();
}

static void variant(struct bytes v, long bit)
{
	num_latches = 0;
	(void)latch_store_parse(v.p, v.len, count, NULL);
	num_whole += num_latches == 2;
	CU_ASSERT(num_latches <= 2 && (bit >= 0 || num_latches < 2));
}

static void test_S61_truncation_and_bits(void)
{
	struct latch_saved one = latch(1), two = latch(2);
	struct latch_store *s = begin();
	uint8_t bytes[4096];
	size_t len;
	int fd;

	CU_ASSERT_EQUAL(latch_store_put(s, &one), ERR_OK);
	CU_ASSERT_EQUAL(latch_store_put(s, &two), ERR_OK);
	CU_ASSERT_EQUAL(latch_store_commit(s), ERR_OK);
	len = (size_t)latch_store_len(s);
	latch_store_close(s);
	fd = open(path, O_RDONLY);
	CU_ASSERT_EQUAL_FATAL(read(fd, bytes, sizeof(bytes)), (ssize_t)len);
	close(fd);
	CU_ASSERT_EQUAL(sweep(bytes, len, variant), len * 9);
	CU_ASSERT(num_whole > 0);
	unlink(path);
}

/* What others can write is not believed. */
static void test_E_others_file(void)
{
	struct latch_saved one = latch(1);
	struct latch_store *s = begin();

	CU_ASSERT_EQUAL(latch_store_put(s, &one), ERR_OK);
	CU_ASSERT_EQUAL(latch_store_commit(s), ERR_OK);
	latch_store_close(s);
	CU_ASSERT_EQUAL(chmod(path, 0620), 0);
	CU_ASSERT_EQUAL(again(), ERR_PERM);
	CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	CU_ASSERT_EQUAL(again(), ERR_OK);
	unlink(path);
	CU_ASSERT_EQUAL(symlink("/etc/passwd", path), 0);
	CU_ASSERT_EQUAL(again(), ERR_SYS);
	unlink(path);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_L9_round_trip),
	TAP_TEST(test_S61_truncation_and_bits),
	TAP_TEST(test_E_others_file),
};

int main(void)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	unlink(path);
	return tap_main("api/latch_store", tests, ARRAY_LEN(tests));
}
