/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include "base/bytes.h"

#include "tests/tap/tap.h"

#include <pthread.h>
#include <stdlib.h>

static bool all_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++) {
		if (b[i])
			return false;
	}
	return true;
}

static void test_memory_is_zeroed(void)
{
	for (size_t len = 1; len < 3000; len = len * 2 + 1) {
		uint8_t *p = mem_alloc(len);

		CU_ASSERT_FATAL(p != NULL);
		CU_ASSERT(all_zero(p, len));
		/* So that the next one of this size would be dirty if it were not zeroed. */
		memset(p, 0xaa, len);
		mem_free(p);
	}
	mem_free(NULL);
}

static void test_size_zero_is_not_a_shortage(void)
{
	void *p = mem_alloc_array(0, 16);

	CU_ASSERT(p != NULL);
	mem_free(p);
	p = mem_grow(NULL, 0, 8);
	CU_ASSERT(p != NULL);
	mem_free(p);
}

static void test_array_sizes_are_checked(void)
{
	volatile size_t half = SIZE_MAX / 2 + 1;

	CU_ASSERT(mem_alloc_array(half, 2) == NULL);
	CU_ASSERT(mem_alloc_array(2, half) == NULL);
	CU_ASSERT(mem_grow(NULL, half, 2) == NULL);
	CU_ASSERT(mem_alloc_aligned(64, SIZE_MAX - 8) == NULL);
}

static void test_alignment(void)
{
	for (size_t align = 16; align <= 65536; align *= 2) {
		uint8_t *p = mem_alloc_aligned(align, 100);

		CU_ASSERT_FATAL(p != NULL);
		CU_ASSERT_EQUAL((uintptr_t)p % align, 0);
		CU_ASSERT(all_zero(p, 100));
		memset(p, 0xaa, 100);
		mem_free_aligned(p);
	}
	mem_free_aligned(NULL);
}

static void test_copies(void)
{
	char *s = str_dup("latchkey");
	uint8_t *p = mem_dup("\1\2\3", 3);

	CU_ASSERT_STRING_EQUAL(s, "latchkey");
	CU_ASSERT(memcmp(p, "\1\2\3", 3) == 0);
	CU_ASSERT(mem_dup("x", 0) == NULL);
	mem_free(s);
	mem_free(p);
}

static void test_grow_keeps_content(void)
{
	uint32_t *a = NULL;

	for (uint32_t n = 1; n <= 1000; n++) {
		uint32_t *more = mem_grow(a, n, sizeof(*a));

		CU_ASSERT_FATAL(more != NULL);
		a = more;
		a[n - 1] = n;
	}
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(a[i], i + 1);
	mem_free(a);
}

static void test_the_nth_allocation_fails_once(void)
{
	for (uint64_t n = 1; n <= 6; n++) {
		uint64_t before = alloc_count();
		void *p[6];

		alloc_fail_nth(n);
		p[0] = mem_alloc(8);
		p[1] = mem_alloc_array(2, 8);
		p[2] = mem_alloc_aligned(64, 8);
		p[3] = mem_grow(NULL, 1, 8);
		p[4] = mem_dup("12345678", 8);
		p[5] = str_dup("1234567");
		CU_ASSERT_EQUAL(alloc_count() - before, 6);
		for (uint64_t i = 0; i < 6; i++) {
			CU_ASSERT_EQUAL(p[i] == NULL, i + 1 == n);
			if (i == 2)
				mem_free_aligned(p[i]);
			else
				mem_free(p[i]);
		}
	}
}

static void test_a_failed_grow_leaves_the_array(void)
{
	char *p = str_dup("abc");

	alloc_fail_nth(1);
	CU_ASSERT(mem_grow(p, 100, 1) == NULL);
	CU_ASSERT_STRING_EQUAL(p, "abc");
	mem_free(p);
}

static void test_fail_nth_0_switches_off(void)
{
	void *p;

	alloc_fail_nth(1);
	alloc_fail_nth(0);
	p = mem_alloc(8);
	CU_ASSERT(p != NULL);
	mem_free(p);
}

static void *allocate_one(void *arg)
{
	*(void **)arg = mem_alloc(8);
	return NULL;
}

static void test_failures_concern_one_thread(void)
{
	pthread_t other;
	void *theirs = NULL;

	alloc_fail_nth(1);
	CU_ASSERT_FATAL(pthread_create(&other, NULL, allocate_one, &theirs) == 0);
	pthread_join(other, NULL);
	CU_ASSERT(theirs != NULL);
	CU_ASSERT(mem_alloc(8) == NULL);
	mem_free(theirs);
}

/* An allocator that counts, with memory that is never zero by itself. */
static long balance;

static void *counting_realloc(void *ctx, void *p, size_t size)
{
	void *fresh;

	CU_ASSERT_PTR_EQUAL(ctx, &balance);
	if (size == 0) {
		balance--;
		free(p);
		return NULL;
	}
	if (p)
		return realloc(p, size);
	fresh = malloc(size);
	if (fresh) {
		balance++;
		memset(fresh, 0x55, size);
	}
	return fresh;
}

static void test_an_embedders_allocator(void)
{
	const struct alloc_ops ops = {.realloc = counting_realloc, .ctx = &balance};
	uint8_t *a, *b;

	alloc_set_ops(&ops);
	a = mem_alloc(100);
	b = mem_alloc_aligned(4096, 100);
	CU_ASSERT_EQUAL(balance, 2);
	CU_ASSERT(a && all_zero(a, 100));
	CU_ASSERT(b && all_zero(b, 100));
	mem_free(a);
	mem_free_aligned(b);
	mem_free(NULL);
	CU_ASSERT_EQUAL(balance, 0);
	alloc_set_ops(NULL);
	mem_free(mem_alloc(1));
	CU_ASSERT_EQUAL(balance, 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_memory_is_zeroed),
	TAP_TEST(test_size_zero_is_not_a_shortage),
	TAP_TEST(test_array_sizes_are_checked),
	TAP_TEST(test_alignment),
	TAP_TEST(test_copies),
	TAP_TEST(test_grow_keeps_content),
	TAP_TEST(test_the_nth_allocation_fails_once),
	TAP_TEST(test_a_failed_grow_leaves_the_array),
	TAP_TEST(test_fail_nth_0_switches_off),
	TAP_TEST(test_failures_concern_one_thread),
	TAP_TEST(test_an_embedders_allocator),
};
TAP_MAIN("base/alloc", tests)
