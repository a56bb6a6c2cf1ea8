/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.h - the only door to the heap: the seam for an embedder's allocator and for tests that
 * make every Nth allocation fail. Any thread.
 */
#pragma once

#include "base/attr.h"

/* struct alloc_ops - an allocator. realloc(NULL, n) allocates, realloc(p, 0) frees and gives NULL.
 */
struct alloc_ops {
	void *(*realloc)(void *ctx, void *p, size_t size);
	void *ctx;
};

/*
 * alloc_set_ops - replace the process's allocator; NULL restores malloc's. Only before anything
 * was allocated through this header (a process has one heap: this is the one global of base).
 */
void alloc_set_ops(const struct alloc_ops *ops);

/* mem_alloc - size bytes (0 counts as 1), zeroed; NULL if memory is short. Free with mem_free(). */
MALLOC_LIKE void *mem_alloc(size_t size);

/* mem_alloc_array - n zeroed elements of size bytes, checked for overflow; NULL on shortage. */
MALLOC_LIKE void *mem_alloc_array(size_t n, size_t size);

/* mem_alloc_aligned - size zeroed bytes at a multiple of align (a power of two >= 16). Free with
 * mem_free_aligned(). */
MALLOC_LIKE void *mem_alloc_aligned(size_t align, size_t size);

/* mem_grow - resize an array to n elements; the new tail is not zeroed. NULL leaves p as it was. */
MUST_USE void *mem_grow(void *p, size_t n, size_t size);

/* mem_dup - a copy of len bytes; NULL on shortage or if len is 0. */
MALLOC_LIKE void *mem_dup(const void *p, size_t len);

/* str_dup - a copy of a string. */
MALLOC_LIKE char *str_dup(const char *s) NONNULL(1);

/* mem_free - give back; NULL is accepted. */
void mem_free(void *p);

/* mem_free_aligned - give back what mem_alloc_aligned() gave; NULL is accepted. */
void mem_free_aligned(void *p);

/*
 * alloc_fail_nth - test seam: the nth allocation of this thread from now (1 = the next one) fails,
 * once; 0 switches it off. alloc_count() tells how many were made by this thread so far.
 */
void alloc_fail_nth(uint64_t n);
uint64_t alloc_count(void);

/* alloc_step - for memory that does not come from here (the key arena): counts one allocation;
 * false if it is the one that alloc_fail_nth() wants to fail. */
MUST_USE bool alloc_step(void);
