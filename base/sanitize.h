/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sanitize.h - what the sanitizers must be told; nothing in a normal build. Any thread.
 */
#pragma once

#include "base/attr.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUILT_WITH_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define BUILT_WITH_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(BUILT_WITH_ASAN)
#define BUILT_WITH_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(BUILT_WITH_TSAN)
#define BUILT_WITH_TSAN 1
#endif

/* SANITIZE_POISON, SANITIZE_UNPOISON - len bytes at p may not, may be touched from now on. */
#if defined(BUILT_WITH_ASAN)
#include <sanitizer/asan_interface.h>
#define SANITIZE_POISON(p, len)   __asan_poison_memory_region((p), (len))
#define SANITIZE_UNPOISON(p, len) __asan_unpoison_memory_region((p), (len))
#else
#define SANITIZE_POISON(p, len)   ((void)(p), (void)(len))
#define SANITIZE_UNPOISON(p, len) ((void)(p), (void)(len))
#endif

/* SANITIZE_RELEASE, SANITIZE_ACQUIRE - what this thread did before the release of `object` happens
 * before what another does after its acquire: an ordering made where ThreadSanitizer cannot see. */
#if defined(BUILT_WITH_TSAN)
#include <sanitizer/tsan_interface.h>
#define SANITIZE_RELEASE(object) __tsan_release(object)
#define SANITIZE_ACQUIRE(object) __tsan_acquire(object)
#else
#define SANITIZE_RELEASE(object) ((void)(object))
#define SANITIZE_ACQUIRE(object) ((void)(object))
#endif
