/* SPDX-License-Identifier: Apache-2.0 */
/* S44: the secret of our tokens: made once, for its owner alone, and not believed otherwise. */
#include "api/engine/crash_secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap/tap.h"

static char folder[64], inner[80], path[128];
static char why[CRASH_SECRET_WHY];
static struct rng_seeded draws;

static void begin(void)
{
	rng_seeded_init(&draws, 7);
	snprintf(folder, sizeof(folder), "/tmp/latchkey-secret-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(inner, sizeof(inner), "%s/state", folder);
	snprintf(path, sizeof(path), "%s/crash_secret", inner);
}

/* Nothing else was left there. */
static void end(void)
{
	unlink(path);
	rmdir(inner);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static enum err again(struct secret *out)
{
	*out = (struct secret){0};
	why[0] = '\0';
	return crash_secret_open(out, why, path, &draws.rng);
}

static void put(const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
}

static void test_S44_secret_is_made_once(void)
{
	struct secret one, two;
	struct stat st;

	begin();
	CU_ASSERT_EQUAL_FATAL(again(&one), ERR_OK);
	CU_ASSERT_EQUAL(one.len, CRASH_SECRET_LEN);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(st.st_size, CRASH_SECRET_LEN);
	CU_ASSERT_EQUAL(stat(inner, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
	CU_ASSERT_EQUAL_FATAL(again(&two), ERR_OK);
	CU_ASSERT_TRUE(secret_equal(one.p, one.len, two.p, two.len));
	secret_fini(&two);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(again(&two), ERR_OK);
	CU_ASSERT_FALSE(secret_equal(one.p, one.len, two.p, two.len));
	secret_fini(&one);
	secret_fini(&two);
	end();
}

/* What others may have read or written is no secret, and no link is followed. */
static void test_S44_secret_of_others(void)
{
	static const mode_t modes[] = {0640, 0620, 0604, 0602, 0644};
	struct secret s;
	char other[160];

	begin();
	CU_ASSERT_EQUAL_FATAL(again(&s), ERR_OK);
	secret_fini(&s);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		chmod(path, modes[i]);
		CU_ASSERT_EQUAL(again(&s), ERR_PERM);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "delete it"));
	}
	if (geteuid() == 0) {
		chmod(path, 0600);
		CU_ASSERT_EQUAL(chown(path, 65534, 65534), 0);
		CU_ASSERT_EQUAL(again(&s), ERR_PERM);
	}
	snprintf(other, sizeof(other), "%s/other", inner);
	CU_ASSERT_EQUAL(rename(path, other), 0);
	CU_ASSERT_EQUAL(chown(other, geteuid(), getegid()), 0);
	chmod(other, 0600);
	CU_ASSERT_EQUAL(symlink(other, path), 0);
	CU_ASSERT_EQUAL(again(&s), ERR_SYS);
	unlink(other);
	end();
}

/* Whatever is not the whole of it, and nothing behind it. */
static void test_S44_secret_malformed(void)
{
	char text[80];
	struct secret s;

	begin();
	CU_ASSERT_EQUAL_FATAL(again(&s), ERR_OK);
	secret_fini(&s);
	for (size_t len = 0; len <= 66; len++) {
		memset(text, 'a', len);
		text[len] = '\0';
		put(text, 0600);
		CU_ASSERT_EQUAL(again(&s), len == CRASH_SECRET_LEN ? ERR_OK : ERR_MALFORMED);
		secret_fini(&s);
	}
	end();
}

static void test_S44_secret_nowhere(void)
{
	struct secret s;

	begin();
	snprintf(path, sizeof(path), "%s/not/there/at_all", folder);
	CU_ASSERT_EQUAL(again(&s), ERR_SYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "No such file"));
	snprintf(path, sizeof(path), "relative");
	CU_ASSERT_EQUAL(again(&s), ERR_LIMIT);
	end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S44_secret_is_made_once),
	TAP_TEST(test_S44_secret_of_others),
	TAP_TEST(test_S44_secret_malformed),
	TAP_TEST(test_S44_secret_nowhere),
};

TAP_MAIN("api/crash_secret", tests)
