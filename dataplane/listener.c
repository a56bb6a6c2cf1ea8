/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/listener.h"

#include <stdlib.h>

#include "base/alloc.h"

#define LOCAL_PORT UINT64_C(0xffff)
#define KEPT_WHAT  (~(LOCAL_PORT << 16) & ~FLOW_NO_PORTS) /* all but the remote port */

struct flow_id listener_id(const struct flow_id *id, bool any)
{
	struct flow_id out = {.what = id->what & KEPT_WHAT};

	if (any)
		return out;
	if (id->what & FLOW_V6)
		memcpy(out.addr, id->addr, 2 * sizeof(out.addr[0]));
	else
		out.addr[0] = id->addr[0] & UINT32_MAX;
	return out;
}

struct listeners *listeners_new(uint32_t num, uint32_t num_tokens)
{
	size_t len = num * sizeof(struct listener);
	struct listeners *s = mem_alloc(sizeof(*s) + len + num_tokens * sizeof(uint32_t));

	if (!s)
		return NULL;
	s->num = num;
	s->num_tokens = num_tokens;
	s->tokens = (uint32_t *)(void *)((uint8_t *)s->list + len);
	return s;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct flow_id));
}

void listeners_sort(struct listeners *s)
{
	qsort(s->list, s->num, sizeof(s->list[0]), compare);
}

static void free_set(struct rcu_head *head)
{
	mem_free(container_of(head, struct listeners, rcu));
}

void listeners_retire(struct listeners *s, struct rcu_queue *q)
{
	if (s)
		rcu_defer(q, &s->rcu, free_set);
}

const struct listener *listeners_find(const struct listeners *s, const struct flow_id *id)
{
	for (int any = 0; s && any < 2; any++) {
		const struct flow_id key = listener_id(id, any);
		const struct listener *l =
			bsearch(&key, s->list, s->num, sizeof(s->list[0]), compare);

		if (l)
			return l;
	}
	return NULL;
}

bool listener_allows(const struct listeners *s, const struct listener *l, const struct sa_conf *c)
{
	if ((c->quality & l->quality) != l->quality || !(l->methods >> c->method & 1))
		return false;
	for (uint32_t i = 0; i < l->num_tokens; i++) {
		if (s->tokens[l->first_token + i] == c->token)
			return true;
	}
	return !l->named;
}
