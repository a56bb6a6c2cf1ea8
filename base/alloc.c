/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include "base/bytes.h"

#include <stdlib.h>

static void *libc_realloc(void *ctx, void *p, size_t size)
{
	(void)ctx;
	if (size == 0) {
		free(p);
		return NULL;
	}
	return realloc(p, size);
}

static const struct alloc_ops libc_ops = {.realloc = libc_realloc};
static struct alloc_ops ops = {.realloc = libc_realloc};

static _Thread_local uint64_t num_made;
static _Thread_local uint64_t fail_countdown;

void alloc_set_ops(const struct alloc_ops *new_ops)
{
	ops = new_ops ? *new_ops : libc_ops;
}

void alloc_fail_nth(uint64_t n)
{
	fail_countdown = n;
}

uint64_t alloc_count(void)
{
	return num_made;
}

/* Counts one allocation; true if it is the one that the test seam wants to fail. */
static bool must_fail(void)
{
	num_made++;
	return unlikely(fail_countdown > 0) && --fail_countdown == 0;
}

bool alloc_step(void)
{
	return !must_fail();
}

/* NULL means shortage to every caller, so nothing is ever asked for with size 0. */
static size_t at_least_one(size_t size)
{
	return size ? size : 1;
}

void *mem_alloc(size_t size)
{
	void *p;

	if (must_fail())
		return NULL;
	size = at_least_one(size);
	/* calloc() has fresh pages zeroed by the kernel, which matters for big tables. */
	if (ops.realloc == libc_realloc)
		return calloc(1, size);
	p = ops.realloc(ops.ctx, NULL, size);
	if (p)
		memset(p, 0, size);
	return p;
}

void *mem_alloc_array(size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return mem_alloc(total);
}

/* The pointer that the allocator gave stands just in front of the aligned block. */
void *mem_alloc_aligned(size_t align, size_t size)
{
	size_t total;
	uintptr_t at;
	void *raw;

	assert(align >= 16 && (align & (align - 1)) == 0);
	if (__builtin_add_overflow(size, align + sizeof(void *), &total))
		return NULL;
	raw = mem_alloc(total);
	if (!raw)
		return NULL;
	at = ((uintptr_t)raw + sizeof(void *) + align - 1) & ~(uintptr_t)(align - 1);
	((void **)at)[-1] = raw;
	return (void *)at;
}

void *mem_grow(void *p, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total) || must_fail())
		return NULL;
	return ops.realloc(ops.ctx, p, at_least_one(total));
}

void *mem_dup(const void *p, size_t len)
{
	void *copy;

	if (len == 0)
		return NULL;
	copy = mem_alloc(len);
	if (copy)
		memcpy(copy, p, len);
	return copy;
}

char *str_dup(const char *s)
{
	return mem_dup(s, strlen(s) + 1);
}

void mem_free(void *p)
{
	if (p)
		ops.realloc(ops.ctx, p, 0);
}

void mem_free_aligned(void *p)
{
	if (p)
		mem_free(((void **)p)[-1]);
}
