/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/steer.h"

#include "base/alloc.h"
#include "dataplane/tos.h"

static bool rule_valid(const struct path_rule *r)
{
	const bool local = r->local.lo.family, remote = r->remote.lo.family;

	if (!r->path || (!r->dscps && !local && !remote))
		return false;
	if ((local && !ts_valid(&r->local)) || (remote && !ts_valid(&r->remote)))
		return false;
	return !local || !remote || r->local.lo.family == r->remote.lo.family;
}

bool steer_valid(const struct path_rule *rules, uint32_t num)
{
	if (num > PATH_RULES_MAX || (num && !rules))
		return false;
	for (uint32_t i = 0; i < num; i++) {
		if (!rule_valid(&rules[i]))
			return false;
	}
	return true;
}

/* complete - an open side beside one that is not takes all of its family. */
static void complete(struct ts *open, const struct ts *other)
{
	if (open->lo.family || !other->lo.family)
		return;
	*open = (struct ts){.lo.family = other->lo.family, .hi.family = other->lo.family};
	memset(open->hi.b, 0xff, ip_addr_len(&other->lo));
	open->port_hi = UINT16_MAX;
}

struct steer *steer_new(const struct path_rule *rules, uint32_t num)
{
	struct steer *s = mem_alloc(sizeof(*s) + num * sizeof(s->rule[0]));

	if (!s)
		return NULL;
	s->num = num;
	memcpy(s->rule, rules, num * sizeof(s->rule[0]));
	for (uint32_t i = 0; i < num; i++) {
		complete(&s->rule[i].local, &s->rule[i].remote);
		complete(&s->rule[i].remote, &s->rule[i].local);
	}
	return s;
}

static void free_steer(struct rcu_head *head)
{
	mem_free(container_of(head, struct steer, rcu));
}

void steer_retire(struct steer *s, struct rcu_queue *q)
{
	if (s)
		rcu_defer(q, &s->rcu, free_steer);
}

bool steer_names(const struct steer *s, uint16_t id)
{
	for (uint32_t i = 0; s && i < s->num; i++) {
		if (s->rule[i].path == id)
			return true;
	}
	return false;
}

uint16_t steer_find(const struct steer *s, const struct flow_id *id, const struct packet *p)
{
	const struct flow_key key = flow_key(id);
	const uint8_t dscp = tos_get(p->data) >> 2;

	for (uint32_t i = 0; i < s->num; i++) {
		const struct path_rule *r = &s->rule[i];

		if (r->dscps && !(r->dscps >> dscp & 1))
			continue;
		if (!r->local.lo.family || flow_match(&key, &r->local, 1, &r->remote, 1))
			return r->path;
	}
	return 0;
}
