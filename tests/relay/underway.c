/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/relay/underway.h"

#include <stdlib.h>
#include <string.h>

bool underway_init(struct underway *u)
{
	*u = (struct underway){.heap = malloc(UNDERWAY_MAX * sizeof(*u->heap))};
	return u->heap;
}

void underway_fini(struct underway *u)
{
	for (uint32_t i = 0; i < u->num; i++)
		free(u->heap[i].frame);
	free(u->heap);
}

static bool is_before(const struct place *a, const struct place *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

bool underway_add(struct underway *u, uint64_t due, uint32_t to, const uint8_t *bytes, size_t len)
{
	struct place p = {.due = due, .to = to};
	uint32_t i;

	if (u->num == UNDERWAY_MAX)
		return false;
	p.frame = malloc(sizeof(*p.frame) + len);
	if (!p.frame)
		return false;
	p.frame->len = len;
	memcpy(p.frame->bytes, bytes, len);
	p.order = u->order++;
	for (i = u->num++; i && is_before(&p, &u->heap[(i - 1) / 2]); i = (i - 1) / 2)
		u->heap[i] = u->heap[(i - 1) / 2];
	u->heap[i] = p;
	return true;
}

struct place underway_take(struct underway *u)
{
	struct place top = u->heap[0], last = u->heap[--u->num];
	uint32_t i = 0, c;

	while ((c = 2 * i + 1) < u->num) {
		if (c + 1 < u->num && is_before(&u->heap[c + 1], &u->heap[c]))
			c++;
		if (!is_before(&u->heap[c], &last))
			break;
		u->heap[i] = u->heap[c];
		i = c;
	}
	u->heap[i] = last;
	return top;
}
