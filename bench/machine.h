/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - the machine that a benchmark ran on, as its report tells it. One thread.
 */
#pragma once

#include "base/attr.h"

#include <jansson.h>

struct series;

/* MACHINE_CPU_MAX - room for a processor's name. */
#define MACHINE_CPU_MAX 128

/* machine_cpu - the processor's name; "unknown". */
void machine_cpu(char out[static MACHINE_CPU_MAX]);

/* machine_ipsec_mb - the library's version at run time, or "not built in". */
const char *machine_ipsec_mb(void);

/* machine_json - `machine` of bench/README.md; tsc_hz: cycles a second. NULL on shortage. */
json_t *machine_json(double tsc_hz);

/* bench_series_json - median, min, max of at least one value. NULL on shortage. */
json_t *bench_series_json(const struct series *s) NONNULL(1);
