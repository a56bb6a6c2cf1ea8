/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - time in nanoseconds. Protocol code never reads a clock: it is given `now`.
 */
#pragma once

#include "base/attr.h"

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
/* TIME_NEVER - a deadline that does not come. */
#define TIME_NEVER UINT64_MAX

/* clock_now_ns - monotonic time that also counts suspend (CLOCK_BOOTTIME). Any thread. */
uint64_t clock_now_ns(void);

/* clock_wall_s - seconds since 1970, for people and certificates. Any thread. */
int64_t clock_wall_s(void);
