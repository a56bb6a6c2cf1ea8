/* SPDX-License-Identifier: Apache-2.0 */
/* The file of known peers: its lines, what is refused, and that it is never half written. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "control/auth/pins.h"
#include "control/conf/conf.h"
#include "tests/pki.h"
#include "tests/tap/tap.h"

static char folder[64], path[128];

static void begin(void)
{
	snprintf(folder, sizeof(folder), "/tmp/latchkey-pins-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/state/known_peers", folder);
}

static void end(void)
{
	char made[160], inner[80];

	unlink(path);
	snprintf(made, sizeof(made), "%s.new", path);
	unlink(made);
	snprintf(inner, sizeof(inner), "%s/state", folder);
	rmdir(inner);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static struct ike_id id_of(const char *text)
{
	struct ike_id id;

	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&id, text), ERR_OK);
	return id;
}

static struct bytes key_of(const char *kind)
{
	return pki_spki(pki_key_get(kind));
}

static char *content(size_t *len)
{
	static char text[65536];
	FILE *f = fopen(path, "r");

	*len = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[*len] = 0;
	if (f)
		fclose(f);
	return text;
}

static void put(const char *text)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	chmod(path, 0600);
}

static void test_first_key_is_kept(void)
{
	const struct ike_id bob = id_of("Bob.Example"), bob2 = id_of("bob.example"),
			    eve = id_of("eve@example.com");
	char why[PINS_WHY_MAX];
	struct stat st;
	size_t len;

	begin();
	CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-256")), ERR_OK);
	content(&len);
	CU_ASSERT_EQUAL(len, 0); /* to look is not to write */
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_OK);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_TRUE(strncmp(content(&len), "fqdn:bob.example SHA256:", 24) == 0);
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob2, key_of("P-256")), ERR_OK);
	CU_ASSERT_PTR_NULL(strstr(strchr(content(&len), '\n') + 1, "\n")); /* no second line */
	CU_ASSERT_EQUAL(pins_keep(why, path, &eve, key_of("rsa2048")), ERR_OK);
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-384")), ERR_AUTH);
	CU_ASSERT_EQUAL(pins_check(why, path, &eve, key_of("P-256")), ERR_AUTH);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "delete line 2 of "));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, path));
	CU_ASSERT_EQUAL(pins_check(why, path, &eve, key_of("rsa2048")), ERR_OK);
	end();
}

/* One name has one key, however it is spelt: another case, another type of string. */
static void test_same_name(void)
{
	const struct ike_id bob = id_of("C=CH, CN=bob.example"),
			    other = id_of("C=CH, CN=bob.examples");
	struct ike_id bob2 = id_of("C=CH, CN=BOB.Example"), bob3 = bob;
	char why[PINS_WHY_MAX];
	size_t len;

	begin();
	bob3.data[bob3.len - sizeof("bob.example") - 1] ^= 0x0c ^ 0x13; /* PrintableString */
	CU_ASSERT_TRUE(conf_id_equal(&bob, &bob2));
	CU_ASSERT_TRUE(conf_id_equal(&bob, &bob3));
	CU_ASSERT_FALSE(bytes_equal(bytes_of(bob.data, bob.len), bytes_of(bob3.data, bob3.len)));
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_OK);
	CU_ASSERT_EQUAL(pins_check(why, path, &bob2, key_of("P-384")), ERR_AUTH);
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob3, key_of("P-384")), ERR_AUTH);
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob3, key_of("P-256")), ERR_OK);
	CU_ASSERT_PTR_NULL(strstr(strchr(content(&len), '\n') + 1, "\n")); /* no second line */
	CU_ASSERT_EQUAL(pins_keep(why, path, &other, key_of("P-384")), ERR_OK);
	end();
}

/* A line that is deleted, or added beside another one, counts at once. */
static void test_edited_by_hand(void)
{
	const struct ike_id bob = id_of("bob.example");
	char why[PINS_WHY_MAX], text[4096];
	size_t len;

	begin();
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_OK);
	snprintf(text, sizeof(text), "# seen in May\n\n%s", content(&len));
	unlink(path);
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-384")), ERR_OK);
	CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-256")), ERR_AUTH);
	strcat(text, content(&len));
	text[strlen(text) - 1] = 0; /* without an end of the last line */
	put(text);
	CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-256")), ERR_OK);
	CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-384")), ERR_OK);
	CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-521")), ERR_AUTH);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "line 3 of"));
	{
		const struct ike_id eve = id_of("eve.example");

		CU_ASSERT_EQUAL(pins_keep(why, path, &eve, key_of("P-521")), ERR_OK);
		CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-384")), ERR_OK);
	}
	end();
}

/* What is no line, whosever, says that the file cannot be relied upon: nobody is new then. */
static void test_broken_lines(void)
{
	const struct ike_id bob = id_of("bob.example");
	char why[PINS_WHY_MAX], good[4096];
	size_t len;

	begin();
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_OK);
	snprintf(good, sizeof(good), "%s", content(&len));
	for (size_t cut = 1; cut + 1 < len; cut++) {
		char text[4096];

		snprintf(text, sizeof(text), "%.*s\n", (int)cut, good);
		put(text);
		CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-256")), ERR_MALFORMED);
		CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-384")), ERR_MALFORMED);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "line 1 of"));
	}
	for (size_t bit = 0; bit < (len - 1) * 8; bit++) {
		uint32_t line;
		char text[4096];
		enum pins_found f;

		memcpy(text, good, len);
		text[bit / 8] ^= (char)(1u << bit % 8);
		f = pins_scan(&line, bytes_of(text, len), "fqdn:bob.example", key_of("P-256"));
		/* of another one, no line, or a comment; but never of this one with another key */
		CU_ASSERT_NOT_EQUAL(f, PINS_OTHER);
		CU_ASSERT_TRUE(bit / 8 <= strlen("fqdn:bob.example") || f != PINS_NONE);
	}
	end();
}

/* A file that others can write, or that is none, is not believed. */
static void test_unsafe_files(void)
{
	const struct ike_id bob = id_of("bob.example");
	char why[PINS_WHY_MAX], elsewhere[80];

	begin();
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_OK);
	chmod(path, 0622);
	CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-256")), ERR_SYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "chmod 600"));
	unlink(path);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", folder);
	CU_ASSERT_EQUAL(symlink(elsewhere, path), 0);
	CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-256")), ERR_SYS);
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_SYS);
	unlink(path);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_SYS);
	CU_ASSERT_EQUAL(rmdir(path), 0);
	CU_ASSERT_EQUAL(pins_keep(why, "/nowhere/at/all", &bob, key_of("P-256")), ERR_SYS);
	end();
}

/* The old file stays whole where the new one cannot be written; what a killed process left is in
 * nobody's way. */
static void test_never_half_written(void)
{
	const struct ike_id bob = id_of("bob.example"), eve = id_of("eve.example");
	char why[PINS_WHY_MAX], made[160], good[4096];
	size_t len;

	begin();
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_OK);
	snprintf(good, sizeof(good), "%s", content(&len));
	snprintf(made, sizeof(made), "%s.new", path);
	CU_ASSERT_EQUAL(mkdir(made, 0700), 0); /* cannot be opened, nor unlinked */
	CU_ASSERT_EQUAL(pins_keep(why, path, &eve, key_of("P-256")), ERR_SYS);
	CU_ASSERT_STRING_EQUAL(content(&len), good);
	CU_ASSERT_EQUAL(rmdir(made), 0);
	CU_ASSERT_EQUAL(symlink("/dev/full", made), 0);
	CU_ASSERT_EQUAL(pins_keep(why, path, &eve, key_of("P-256")), ERR_OK);
	CU_ASSERT_EQUAL(pins_check(why, path, &eve, key_of("P-256")), ERR_OK);
	for (uint64_t nth = 1; nth < 6; nth++) {
		alloc_fail_nth(nth);
		(void)!pins_keep(why, path, &eve, key_of("P-384"));
		alloc_fail_nth(0);
		CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-256")), ERR_OK);
	}
	end();
}

/* Of several processes one writes at a time, and none takes what another has half written. */
static void test_one_writer(void)
{
	const struct ike_id bob = id_of("bob.example"), eve = id_of("eve.example");
	char why[PINS_WHY_MAX], made[160];
	struct stat st;
	int fd;

	begin();
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_OK);
	snprintf(made, sizeof(made), "%s.new", path);
	fd = open(made, O_WRONLY | O_CREAT | O_EXCL, 0600);
	CU_ASSERT_EQUAL_FATAL(flock(fd, LOCK_EX | LOCK_NB), 0);
	CU_ASSERT_EQUAL(write(fd, "fqdn:b", 6), 6);
	CU_ASSERT_EQUAL(pins_keep(why, path, &eve, key_of("P-384")), ERR_SYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "another process"));
	CU_ASSERT_EQUAL(pins_keep(why, path, &bob, key_of("P-256")), ERR_OK); /* nothing to write */
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(st.st_size, 6);
	CU_ASSERT_EQUAL(st.st_nlink, 1);
	close(fd); /* killed */
	CU_ASSERT_EQUAL(pins_keep(why, path, &eve, key_of("P-384")), ERR_OK);
	CU_ASSERT_EQUAL(pins_check(why, path, &bob, key_of("P-384")), ERR_AUTH);
	CU_ASSERT_EQUAL(pins_check(why, path, &eve, key_of("P-256")), ERR_AUTH);
	CU_ASSERT_EQUAL(access(made, F_OK), -1);
	end();
}

/* What stands in a line is one word, and no two identities have the same. */
static void test_labels(void)
{
	struct ike_id ids[] = {id_of("bob.example"),    id_of("email:bob.example"),
			       id_of("192.0.2.1"),      id_of("2001:db8::1"),
			       id_of("@#0102"),         id_of("C=CH, CN=bob.example"),
			       id_of("bob example"),    id_of("#bob.example"),
			       {.type = 200, .len = 1}, {.type = 201, .len = 1}};
	char labels[ARRAY_LEN(ids)][PINS_LABEL_MAX];

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		pins_label(labels[i], &ids[i]);
		CU_ASSERT_EQUAL(strcspn(labels[i], " \t\n\r"), strlen(labels[i]));
		for (size_t j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(labels[i], labels[j]);
	}
	CU_ASSERT_STRING_EQUAL(labels[1], "email:bob.example");
	CU_ASSERT_STRING_EQUAL(labels[2], "ipv4:#c0000201");
	ids[0].len = sizeof(ids[0].data);
	memset(ids[0].data, 0xff, sizeof(ids[0].data));
	pins_label(labels[0], &ids[0]);
	CU_ASSERT_EQUAL(strlen(labels[0]), strlen("fqdn:#") + 2 * sizeof(ids[0].data));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_first_key_is_kept), TAP_TEST(test_same_name),
	TAP_TEST(test_edited_by_hand),    TAP_TEST(test_broken_lines),
	TAP_TEST(test_unsafe_files),      TAP_TEST(test_never_half_written),
	TAP_TEST(test_one_writer),        TAP_TEST(test_labels),
};

TAP_MAIN("control/pins", tests)
