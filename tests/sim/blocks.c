/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/blocks.h"

#include <stdlib.h>

#include "base/alloc.h"

static long blocks;

static void *counting_realloc(void *ctx, void *p, size_t size)
{
	void *q;

	(void)ctx;
	if (size == 0) {
		blocks -= p != NULL;
		free(p);
		return NULL;
	}
	q = realloc(p, size);
	blocks += !p && q;
	return q;
}

/* Before anything is allocated. */
__attribute__((constructor)) static void count_blocks(void)
{
	static const struct alloc_ops ops = {.realloc = counting_realloc};

	alloc_set_ops(&ops);
}

long blocks_num(void)
{
	return blocks;
}
