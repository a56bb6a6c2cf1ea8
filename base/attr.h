/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attr.h - compiler attributes, spelt once.
 */
#pragma once

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* MUST_USE - the caller may not ignore the result; on every function that returns enum err. */
#define MUST_USE __attribute__((warn_unused_result))
/* NONNULL - the pointer arguments with these positions may not be NULL. */
#define NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
/* PRINTF_LIKE - argument f is a printf format, arguments from a are checked against it. */
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
/* MALLOC_LIKE - returns fresh memory that nothing else points to, or NULL. */
#define MALLOC_LIKE __attribute__((malloc, warn_unused_result))
/* API_PUBLIC - the symbol leaves a shared library; everything else is hidden. */
#define API_PUBLIC __attribute__((visibility("default")))

/* ALWAYS_INLINE - of a hot path's pieces: what is known where it is called counts inside. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* CACHE_LINE - bytes that cores exchange at once; hot structures assert their layout against it. */
#define CACHE_LINE 64

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ARRAY_LEN - number of elements of a true array. */
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* container_of - the structure of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
