/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include "tests/tap/tap.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct {
	int num;
	enum log_level level;
	enum log_subsystem sub;
	char connection[256];
	char line[2048];
} got;

static void keep(void *ctx, enum log_level level, enum log_subsystem sub, const char *connection,
		 const char *line)
{
	CU_ASSERT_PTR_EQUAL(ctx, &got);
	got.num++;
	got.level = level;
	got.sub = sub;
	snprintf(got.connection, sizeof(got.connection), "%s", connection ? connection : "(none)");
	snprintf(got.line, sizeof(got.line), "%s", line);
}

static struct log_sink sink = {.write = keep, .ctx = &got};

static void begin(enum log_level level)
{
	memset(&got, 0, sizeof(got));
	for (int i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		sink.levels[i] = level;
	log_use(&sink);
}

static void test_lines_arrive_as_written(void)
{
	begin(LOG_INFO);
	LOG(WARN, IKE, "office", "peer %s said %d", "gw", 14);
	CU_ASSERT_EQUAL(got.num, 1);
	CU_ASSERT_EQUAL(got.level, LOG_WARN);
	CU_ASSERT_EQUAL(got.sub, LOG_IKE);
	CU_ASSERT_STRING_EQUAL(got.connection, "office");
	CU_ASSERT_STRING_EQUAL(got.line, "peer gw said 14");
	LOG(INFO, DMN, NULL, "plain");
	CU_ASSERT_STRING_EQUAL(got.connection, "(none)");
	log_use(NULL);
}

static void test_levels_by_subsystem(void)
{
	begin(LOG_WARN);
	sink.levels[LOG_NET] = LOG_DEBUG;
	LOG(INFO, IKE, NULL, "left out");
	CU_ASSERT_EQUAL(got.num, 0);
	CU_ASSERT(!log_enabled(LOG_INFO, LOG_IKE) && log_enabled(LOG_WARN, LOG_IKE));
	LOG(DEBUG, NET, NULL, "written");
	CU_ASSERT_EQUAL(got.num, 1);
	log_write(LOG_DEBUG, LOG_IKE, NULL, "left out, too");
	CU_ASSERT_EQUAL(got.num, 1);
	log_use(NULL);
}

/* What a peer could send, and what may become of it. */
static const struct {
	const char *in;
	const char *out;
} texts[] = {
	{"plain text 123 ~!", "plain text 123 ~!"},
	{"a\nINFO IKE up", "a?INFO IKE up"},
	{"a\r\t\v\f\b\a\x1b[2Jb", "a???????[2Jb"},
	{"\x01\x1f\x7f", "???"},
	/* UTF-8 passes: two, three, four bytes. */
	{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	{"\xe2\x82\xac \xf0\x9f\x94\x91", "\xe2\x82\xac \xf0\x9f\x94\x91"},
	/* C1 controls, as a bare byte and as UTF-8 (CSI). */
	{"\x9b[31m", "?[31m"},
	{"\xc2\x9b[31m", "??[31m"},
	/* Line and paragraph separators, right-to-left override, isolates, byte order mark. */
	{"a\xe2\x80\xa8"
	 "b\xe2\x80\xa9"
	 "c",
	 "a???b???c"},
	{"a\xe2\x80\xae"
	 "b\xe2\x81\xa6"
	 "c",
	 "a???b???c"},
	{"\xef\xbb\xbf", "???"},
	/* Not UTF-8: overlong, surrogate, too great, cut, lone continuation. */
	{"\xc0\xaf \xe0\x80\xaf", "?? ???"},
	{"\xed\xa0\x80", "???"},
	{"\xf4\x90\x80\x80", "????"},
	{"x\xe2\x82", "x??"},
	{"\x80\xff\xfe", "???"},
};

static void test_control_characters_are_replaced(void)
{
	begin(LOG_INFO);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		LOG(INFO, IKE, texts[i].in, "%s", texts[i].in);
		CU_ASSERT_STRING_EQUAL(got.line, texts[i].out);
		CU_ASSERT_STRING_EQUAL(got.connection, texts[i].out);
	}
	log_use(NULL);
}

/* Every byte alone and between letters: nothing below space, and no escape, ever comes out. */
static void test_no_byte_slips_through(void)
{
	begin(LOG_INFO);
	for (unsigned int a = 1; a < 256; a++) {
		for (unsigned int b = 1; b < 256; b++) {
			const char text[] = {'x', (char)a, (char)b, 'y', '\0'};
			bool ok = true;

			LOG(INFO, IKE, NULL, "%s", text);
			for (const char *p = got.line; *p; p++)
				ok = ok && (unsigned char)*p >= 0x20 && *p != 0x7f;
			CU_ASSERT(ok && strlen(got.line) == 4);
			CU_ASSERT(got.line[0] == 'x' && got.line[3] == 'y');
		}
	}
	log_use(NULL);
}

static void test_long_lines_are_cut(void)
{
	char text[3000];

	begin(LOG_INFO);
	memset(text, 'a', sizeof(text));
	text[1000] = '\0';
	LOG(INFO, IKE, NULL, "%s", text);
	CU_ASSERT_STRING_EQUAL(got.line, text);
	text[1000] = 'a';
	text[1001] = '\0';
	LOG(INFO, IKE, text, "%s", text);
	CU_ASSERT_EQUAL(strlen(got.line), 1000);
	CU_ASSERT_STRING_EQUAL(got.line + 996, "a...");
	CU_ASSERT_EQUAL(strlen(got.connection), 100);
	/* Cut in the middle of a character: no half of one remains. */
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = i % 2 ? '\xbc' : '\xc3';
	text[sizeof(text) - 1] = '\0';
	LOG(INFO, IKE, NULL, "%s", text);
	CU_ASSERT_STRING_EQUAL(got.line + 995, "\xbc?...");
	log_use(NULL);
}

static void *in_another_thread(void *arg)
{
	struct log_sink quiet = sink;

	(void)arg;
	for (int i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		quiet.levels[i] = LOG_ERROR;
	log_use(&quiet);
	return log_enabled(LOG_WARN, LOG_IKE) ? arg : NULL;
}

static void test_the_sink_is_the_threads_own(void)
{
	struct log_sink other = sink;
	pthread_t thread;
	void *result = &got;

	begin(LOG_INFO);
	CU_ASSERT_FATAL(pthread_create(&thread, NULL, in_another_thread, &got) == 0);
	pthread_join(thread, &result);
	CU_ASSERT_PTR_NULL(result);
	CU_ASSERT(log_enabled(LOG_INFO, LOG_IKE));
	CU_ASSERT_PTR_EQUAL(log_use(&other), &sink);
	CU_ASSERT_PTR_EQUAL(log_use(NULL), &other);
	CU_ASSERT_PTR_NULL(log_use(NULL));
	CU_ASSERT(log_enabled(LOG_INFO, LOG_ESP) && !log_enabled(LOG_DEBUG, LOG_ESP));
}

static void test_limited_lines(void)
{
	struct log_limit l = {0};
	int allowed = 0;

	begin(LOG_INFO);
	for (int i = 0; i < 100; i++)
		allowed += log_limited(&l, 5, 100 * NS_PER_S + (uint64_t)i * NS_PER_MS);
	CU_ASSERT_EQUAL(allowed, 5);
	CU_ASSERT_EQUAL(got.num, 0);
	CU_ASSERT(log_limited(&l, 5, 101 * NS_PER_S));
	CU_ASSERT_EQUAL(got.num, 1);
	CU_ASSERT_STRING_EQUAL(got.line, "95 lines like the next one were left out");
	CU_ASSERT(log_limited(&l, 5, 101 * NS_PER_S));
	CU_ASSERT_EQUAL(got.num, 1);
	CU_ASSERT(!log_limited(&l, 0, 102 * NS_PER_S));
	log_use(NULL);
}

static void test_names(void)
{
	CU_ASSERT_STRING_EQUAL(log_level_name(LOG_ERROR), "error");
	CU_ASSERT_STRING_EQUAL(log_level_name(LOG_DEBUG), "debug");
	CU_ASSERT_STRING_EQUAL(log_subsystem_name(LOG_DMN), "DMN");
	CU_ASSERT_STRING_EQUAL(log_subsystem_name(LOG_ESP), "ESP");
	CU_ASSERT_STRING_EQUAL(log_subsystem_name(LOG_NUM_SUBSYSTEMS), "?");
	CU_ASSERT(!log_enabled(LOG_ERROR, LOG_NUM_SUBSYSTEMS));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_lines_arrive_as_written),
	TAP_TEST(test_levels_by_subsystem),
	TAP_TEST(test_control_characters_are_replaced),
	TAP_TEST(test_no_byte_slips_through),
	TAP_TEST(test_long_lines_are_cut),
	TAP_TEST(test_the_sink_is_the_threads_own),
	TAP_TEST(test_limited_lines),
	TAP_TEST(test_names),
};
TAP_MAIN("base/log", tests)
