/* SPDX-License-Identifier: Apache-2.0 */
/* series.c - one figure, once for each repetition. */
#include "bench/esp.h"

#include <stdlib.h>

void series_add(struct series *s, double v)
{
	assert(s->num < BENCH_RUNS_MAX);
	s->value[s->num++] = v;
}

static int by_value(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static struct series sorted(const struct series *s)
{
	struct series copy = *s;

	assert(s->num > 0);
	qsort(copy.value, copy.num, sizeof(copy.value[0]), by_value);
	return copy;
}

double median_of(double *v, size_t num)
{
	assert(num > 0);
	qsort(v, num, sizeof(*v), by_value);
	return (v[(num - 1) / 2] + v[num / 2]) / 2;
}

double series_median(const struct series *s)
{
	struct series copy = *s;

	return median_of(copy.value, copy.num);
}

double series_min(const struct series *s)
{
	return sorted(s).value[0];
}

double series_max(const struct series *s)
{
	return sorted(s).value[s->num - 1];
}
