/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key arena. What must end a process, or must happen in a process of its own (the arena of a
 * forked one is gone), is done by this program called again with the name of a part.
 */
#include "base/secret.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/sanitize.h"

#include "tests/tap/tap.h"

#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(BUILT_WITH_ASAN) || defined(BUILT_WITH_TSAN)
#define MLOCK_IS_FAKE true
#else
#define MLOCK_IS_FAKE false
#endif

static void test_zeroed_aligned_and_sized(void)
{
	struct secret s[200];

	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		size_t len = i < 100 ? i + 1 : i * i;
		bool zero = true;

		CU_ASSERT_EQUAL_FATAL(secret_init(&s[i], len), ERR_OK);
		CU_ASSERT(s[i].len == len && (uintptr_t)s[i].p % 16 == 0);
		for (size_t j = 0; j < len; j++)
			zero = zero && s[i].p[j] == 0;
		CU_ASSERT(zero);
		memset(s[i].p, (int)i | 1, len);
	}
	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		bool same = true;

		for (size_t j = 0; j < s[i].len; j++)
			same = same && s[i].p[j] == (uint8_t)(i | 1);
		CU_ASSERT(same);
		secret_fini(&s[i]);
		CU_ASSERT(!s[i].p && s[i].len == 0);
		secret_fini(&s[i]);
	}
}

static void test_limits(void)
{
	struct secret s = {.len = 77};

	CU_ASSERT_EQUAL(secret_init(&s, 0), ERR_LIMIT);
	CU_ASSERT_EQUAL(secret_init(&s, 65537), ERR_LIMIT);
	CU_ASSERT_EQUAL(secret_init(&s, SIZE_MAX), ERR_LIMIT);
	CU_ASSERT_EQUAL(s.len, 77);
	CU_ASSERT_EQUAL(secret_init(&s, 65536), ERR_OK);
	s.p[65535] = 1;
	secret_fini(&s);
}

static void test_copy_and_move(void)
{
	struct secret a, b = {0};

	CU_ASSERT_EQUAL(secret_init_copy(&a, "0123456789", 10), ERR_OK);
	secret_move(&b, &a);
	CU_ASSERT(!a.p && a.len == 0);
	CU_ASSERT(b.len == 10 && memcmp(b.p, "0123456789", 10) == 0);
	secret_fini(&a);
	secret_fini(&b);
}

static void test_compare(void)
{
	CU_ASSERT(secret_equal("abc", 3, "abc", 3));
	CU_ASSERT(!secret_equal("abc", 3, "abd", 3));
	CU_ASSERT(!secret_equal("abc", 3, "abcd", 4));
	CU_ASSERT(secret_equal(NULL, 0, NULL, 0));
	CU_ASSERT(!secret_equal(NULL, 0, "a", 1));
}

static void test_wipe(void)
{
	uint8_t b[40];

	memset(b, 0xaa, sizeof(b));
	secret_wipe(b + 4, 32);
	for (size_t i = 0; i < sizeof(b); i++)
		CU_ASSERT_EQUAL(b[i], i >= 4 && i < 36 ? 0 : 0xaa);
	secret_wipe(NULL, 0);
}

/* Through the kernel: neither a sanitizer nor the compiler has a say. */
static bool peek(const void *p, void *out, size_t len)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && pread(fd, out, len, (off_t)(uintptr_t)p) == (ssize_t)len;

	if (fd >= 0)
		close(fd);
	return ok;
}

static void test_wiped_when_given_back(void)
{
	static const uint8_t zero[48];
	struct secret keep, s;
	uint8_t seen[48];
	const uint8_t *p;

	CU_ASSERT_EQUAL_FATAL(secret_init(&keep, 48), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(secret_init(&s, 48), ERR_OK);
	memset(s.p, 0xaa, 48);
	p = s.p;
	CU_ASSERT(peek(p, seen, sizeof(seen)) && seen[0] == 0xaa && seen[47] == 0xaa);
	secret_fini(&s);
	CU_ASSERT(peek(p, seen, sizeof(seen)) && memcmp(seen, zero, sizeof(seen)) == 0);
	secret_fini(&keep);
}

/* Ten thousand keys of 32 bytes: 64 bytes each, not a page. */
static void test_small_secrets_share_pages(void)
{
	enum {
		NUM = 10000
	};
	static struct secret s[NUM];
	size_t pages = 0;
	uintptr_t last = 0;

	for (size_t i = 0; i < NUM; i++) {
		CU_ASSERT_EQUAL_FATAL(secret_init(&s[i], 32), ERR_OK);
		pages += (uintptr_t)s[i].p / 4096 != last;
		last = (uintptr_t)s[i].p / 4096;
	}
	CU_ASSERT(pages <= NUM * 64 / 4096 + 20);
	for (size_t i = 0; i < NUM; i++)
		secret_fini(&s[i]);
}

/* The flags of the mapping that p lies in, from smaps: " rd wr ... lo dd wf ". */
static bool map_flags(const void *p, char out[static 256])
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	bool inside = false, found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned long lo, hi;

		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			inside = (uintptr_t)p >= lo && (uintptr_t)p < hi;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = snprintf(out, 256, "%s", line + 8) > 0;
	}
	if (f)
		fclose(f);
	return found;
}

static void test_no_core_dump_no_child_no_swap(void)
{
	static const size_t lens[] = {16, 4096, 65536};
	char flags[256];

	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		struct secret s;

		CU_ASSERT_EQUAL_FATAL(secret_init(&s, lens[i]), ERR_OK);
		CU_ASSERT_FATAL(map_flags(s.p, flags));
		CU_ASSERT(strstr(flags, " dd") != NULL);
		CU_ASSERT(strstr(flags, " wf") != NULL);
		if (!MLOCK_IS_FAKE)
			CU_ASSERT_EQUAL(strstr(flags, " lo") != NULL, secret_locked());
		secret_fini(&s);
	}
}

static void test_shortage_of_memory(void)
{
	struct secret s = {.len = 77};

	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(secret_init(&s, 16), ERR_NOMEM);
	CU_ASSERT_EQUAL(s.len, 77);
	alloc_fail_nth(1);
	CU_ASSERT_EQUAL(secret_init_copy(&s, "x", 1), ERR_NOMEM);
	CU_ASSERT_EQUAL(s.len, 77);
}

/* Runs this program again for one part; its wait status, and what it wrote. */
static char program[4096];

static int run_part(const char *part, char *out, size_t size)
{
	int fds[2], status = -1;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	if (pipe(fds) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		/* A sanitizer's report of what is done on purpose is read here and nowhere else. */
		setenv("ASAN_OPTIONS", "log_path=stderr:handle_segv=0", 1);
		setenv("TSAN_OPTIONS", "log_path=stderr:handle_segv=0", 1);
		setenv("UBSAN_OPTIONS", "log_path=stderr", 1);
		execl(program, program, part, (char *)NULL);
		_exit(99);
	}
	close(fds[1]);
	while (used + 1 < size && (n = read(fds[0], out + used, size - 1 - used)) > 0)
		used += (size_t)n;
	out[used] = '\0';
	close(fds[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

static int part_overrun(void)
{
	struct secret s;

	if (secret_init(&s, 32))
		return 98;
	((volatile uint8_t *)s.p)[32] ^= 1;
	secret_fini(&s);
	return 0;
}

static void test_an_overrun_is_noticed(void)
{
	char out[4096];
	int status = run_part("overrun", out, sizeof(out));

	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CU_ASSERT(strstr(out, "beyond the end of a secret") != NULL);
}

/* Far beyond the end and before the beginning of a payload there is nothing to write to. */
static int part_guard(bool behind)
{
	struct secret s;

	if (secret_init(&s, 65536))
		return 98;
	volatile uint8_t *p = s.p;

	for (ptrdiff_t i = 0; i < 32768; i += 64)
		p[behind ? 65536 + i : -64 - i] = 1;
	return 0;
}

/* The rights of the mapping that p lies in: "---p"; empty if nothing is there. */
static void map_rights(const void *p, char out[static 5])
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	out[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long lo, hi;
		char rights[5];

		if (sscanf(line, "%lx-%lx %4s", &lo, &hi, rights) == 3 && (uintptr_t)p >= lo &&
		    (uintptr_t)p < hi)
			memcpy(out, rights, 5);
	}
	if (f)
		fclose(f);
}

static void test_guard_pages(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char out[65536], rights[5];
	struct secret s;

	CU_ASSERT_EQUAL_FATAL(secret_init(&s, 16 * page - 16), ERR_OK);
	map_rights(s.p, rights);
	CU_ASSERT_STRING_EQUAL(rights, "rw-p");
	map_rights(s.p - 1, rights);
	CU_ASSERT_STRING_EQUAL(rights, "---p");
	map_rights(s.p + 16 * page, rights);
	CU_ASSERT_STRING_EQUAL(rights, "---p");
	secret_fini(&s);

	CU_ASSERT_NOT_EQUAL(run_part("guard-behind", out, sizeof(out)), 0);
	CU_ASSERT_NOT_EQUAL(run_part("guard-before", out, sizeof(out)), 0);
}

/* With no right to lock memory: secrets work, one warning, and the report says so. */
static int num_warnings;

static void count_warnings(void *ctx, enum log_level level, enum log_subsystem sub,
			   const char *connection, const char *line)
{
	(void)ctx;
	(void)connection;
	num_warnings += level == LOG_WARN && sub == LOG_DMN && strstr(line, "cannot be locked");
}

static int part_unlocked(void)
{
	const struct log_sink sink = {.write = count_warnings, .levels = {[LOG_DMN] = LOG_WARN}};
	const struct rlimit none = {0, 0};
	struct secret s[300];

	log_use(&sink);
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
		return 97;
	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		if (secret_init(&s[i], 32 + i * 10))
			return 98;
		s[i].p[0] = 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(s); i++)
		secret_fini(&s[i]);
	if (num_warnings != 1)
		return 1;
	return secret_locked() ? 2 : 0;
}

static void test_without_the_right_to_lock(void)
{
	char out[4096];

	if (MLOCK_IS_FAKE) {
		tap_skip("the sanitizer's mlock() does nothing and succeeds");
		return;
	}
	CU_ASSERT_EQUAL(run_part("unlocked", out, sizeof(out)), 0);
}

/* 64 bytes that stand nowhere before they are written: no constant, not copied through a buffer. */
static void write_pattern(volatile uint8_t *p, uint8_t start)
{
	for (unsigned int i = 0; i < 64; i++)
		p[i] = (uint8_t)(start + i * i * 7 + i);
}

static bool has_pattern(const uint8_t *data, size_t len, uint8_t start)
{
	uint8_t pattern[64];

	write_pattern(pattern, start);
	return memmem(data, len, pattern, sizeof(pattern)) != NULL;
}

/* A process with one pattern in a secret and another on the heap ends with a core dump. */
static int part_core(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	uint8_t *heap = mem_alloc(64);
	struct secret s;

	if (!heap || secret_init(&s, 64) || setrlimit(RLIMIT_CORE, &all) != 0)
		return 98;
	write_pattern(s.p, 1);
	write_pattern(heap, 2);
	abort();
}

/* All of the file "core" or "core.PID" in the directory; NULL if there is none. */
static uint8_t *read_core(const char *dir, size_t *out_len)
{
	char path[600];
	uint8_t *data = NULL;
	glob_t found;
	FILE *f;

	snprintf(path, sizeof(path), "%s/core*", dir);
	if (glob(path, 0, NULL, &found) != 0)
		return NULL;
	f = fopen(found.gl_pathv[0], "re");
	if (f && fseek(f, 0, SEEK_END) == 0) {
		*out_len = (size_t)ftell(f);
		rewind(f);
		data = malloc(*out_len);
		if (data && fread(data, 1, *out_len, f) != *out_len)
			CU_FAIL("the core could not be read");
	}
	if (f)
		fclose(f);
	unlink(found.gl_pathv[0]);
	globfree(&found);
	return data;
}

static void test_a_core_dump_has_no_keys(void)
{
	char dir[] = "/tmp/latchkey-core-XXXXXX", out[4096];
	int cwd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len = 0;
	uint8_t *core;

	CU_ASSERT_FATAL(cwd >= 0 && mkdtemp(dir) != NULL && chdir(dir) == 0);
	CU_ASSERT(WIFSIGNALED(run_part("core", out, sizeof(out))));
	CU_ASSERT(fchdir(cwd) == 0);
	close(cwd);
	core = read_core(dir, &len);
	rmdir(dir);
	if (!core) {
		tap_skip("this system writes no core files into the working directory");
		return;
	}
	CU_ASSERT(has_pattern(core, len, 2));
	CU_ASSERT(!has_pattern(core, len, 1));
	free(core);
}

/* A forked child: the keys are zero, it knows, makes no new ones, and can clean up. */
static int in_child(struct secret *small, struct secret *big)
{
	static const uint8_t zero[65536];
	struct secret s;

	if (secret_alive())
		return 1;
	if (memcmp(small->p, zero, small->len) != 0 || memcmp(big->p, zero, big->len) != 0)
		return 2;
	if (secret_init(&s, 16) != ERR_BAD_STATE)
		return 3;
	secret_fini(small);
	secret_fini(big);
	return small->p || big->p ? 4 : 0;
}

static void test_a_forked_child_has_no_keys(void)
{
	struct secret small, big;
	int status = -1;
	pid_t pid;

	CU_ASSERT(secret_alive());
	CU_ASSERT_EQUAL_FATAL(secret_init(&small, 32), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(secret_init(&big, 65536), ERR_OK);
	memset(small.p, 0xaa, small.len);
	memset(big.p, 0xbb, big.len);
	pid = fork();
	if (pid == 0)
		_exit(in_child(&small, &big));
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT(secret_alive());
	CU_ASSERT(small.p[31] == 0xaa && big.p[65535] == 0xbb);
	secret_fini(&small);
	secret_fini(&big);
}

enum {
	THREADS = 4,
	PER_THREAD = 50,
	STEPS = 4000
};

static void *churn(void *arg)
{
	struct secret s[PER_THREAD] = {0};
	uint32_t r = *(const uint32_t *)arg, tag = r;
	uintptr_t wrong = 0;

	for (int step = 0; step < STEPS; step++) {
		struct secret *one = &s[(r = r * 1664525 + 1013904223) >> 16 & 31];

		if (one->p) {
			for (size_t i = 0; i < one->len; i++)
				wrong += one->p[i] != (uint8_t)tag;
			secret_fini(one);
		} else if (secret_init(one, 1 + (r >> 8) % 300)) {
			wrong++;
		} else {
			memset(one->p, (int)tag, one->len);
		}
	}
	for (size_t i = 0; i < PER_THREAD; i++)
		secret_fini(&s[i]);
	return (void *)wrong;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	uint32_t seeds[THREADS];

	for (uint32_t i = 0; i < THREADS; i++) {
		seeds[i] = i + 1;
		CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, churn, &seeds[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++) {
		void *wrong = NULL;

		pthread_join(threads[i], &wrong);
		CU_ASSERT_PTR_NULL(wrong);
	}
}

/* struct payloads - mappings that a child would find wiped: those of the arena. */
struct payloads {
	size_t num, kib;
};

static struct payloads payloads(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	struct payloads all = {0};
	char line[512];
	size_t kib = 0;

	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "Size: %zu kB", &kib);
		if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " wf") != NULL) {
			all.num++;
			all.kib += kib;
		}
	}
	if (f)
		fclose(f);
	return all;
}

/* What grew is given back, but for a small chunk a size. */
static void test_memory_is_given_back(void)
{
	static struct secret s[3000];
	size_t before = payloads().kib;

	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < ARRAY_LEN(s); i++)
			CU_ASSERT_EQUAL_FATAL(secret_init(&s[i], 16 + i), ERR_OK);
		CU_ASSERT(payloads().kib > before + 4000);
		for (size_t i = 0; i < ARRAY_LEN(s); i++)
			secret_fini(&s[round % 2 ? i : ARRAY_LEN(s) - 1 - i]);
		CU_ASSERT(payloads().kib <= before + 8 * 13 * 4);
	}
}

/* A process may have 65,530 mappings, and there are to be two keys for each of a million SAs. */
static void test_many_need_few_mappings(void)
{
	static struct secret s[40000];
	struct payloads before = payloads(), after;

	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		CU_ASSERT_EQUAL_FATAL(secret_init(&s[i], 600), ERR_OK);
		memset(s[i].p, (int)i, s[i].len);
	}
	after = payloads();
	CU_ASSERT(after.num <= before.num + 12);
	CU_ASSERT(after.kib >= before.kib + 40000);
	CU_ASSERT(after.kib <= before.kib + 40000 + 4096);
	for (size_t i = 0; i < ARRAY_LEN(s); i++)
		CU_ASSERT_FATAL(s[i].p[0] == (uint8_t)i && s[i].p[599] == (uint8_t)i);
	for (size_t i = 0; i < ARRAY_LEN(s); i++) /* in no order */
		secret_fini(&s[i * 7919 % ARRAY_LEN(s)]);
	CU_ASSERT(payloads().kib <= before.kib + 8 * 13 * 4);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_zeroed_aligned_and_sized),
	TAP_TEST(test_limits),
	TAP_TEST(test_copy_and_move),
	TAP_TEST(test_compare),
	TAP_TEST(test_wipe),
	TAP_TEST(test_wiped_when_given_back),
	TAP_TEST(test_small_secrets_share_pages),
	TAP_TEST(test_no_core_dump_no_child_no_swap),
	TAP_TEST(test_shortage_of_memory),
	TAP_TEST(test_an_overrun_is_noticed),
	TAP_TEST(test_guard_pages),
	TAP_TEST(test_without_the_right_to_lock),
	TAP_TEST(test_a_core_dump_has_no_keys),
	TAP_TEST(test_a_forked_child_has_no_keys),
	TAP_TEST(test_threads),
	TAP_TEST(test_memory_is_given_back),
	TAP_TEST(test_many_need_few_mappings),
};

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (n < 0)
		return 1;
	if (argc == 2 && strcmp(argv[1], "overrun") == 0)
		return part_overrun();
	if (argc == 2 && strcmp(argv[1], "guard-behind") == 0)
		return part_guard(true);
	if (argc == 2 && strcmp(argv[1], "guard-before") == 0)
		return part_guard(false);
	if (argc == 2 && strcmp(argv[1], "unlocked") == 0)
		return part_unlocked();
	if (argc == 2 && strcmp(argv[1], "core") == 0)
		return part_core();
	return tap_main("base/secret", tests, ARRAY_LEN(tests));
}
