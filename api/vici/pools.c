/* SPDX-License-Identifier: Apache-2.0 */
/* pools.c - the pools of addresses, and who has or had one. */
#include "api/vici/internal.h"

#include <stdio.h>

/* struct survey - of a pool's leases. leases: NULL, they are only counted. */
struct survey {
	struct tree *leases;
	uint32_t num, online;
	enum err err;
};

static enum err add_lease(struct survey *s, const struct ike_lease *l)
{
	char name[24], text[IP_TEXT_MAX], id[300];
	struct tree *t;

	snprintf(name, sizeof(name), "%u", s->num);
	TRY(tree_add_section(s->leases, &t, name));
	TRY(tree_setf(t, "address", "%s", ip_addr_text(text, &l->addr)));
	TRY(tree_setf(t, "identity", "%s",
		      l->peer ? ike_id_text(id, sizeof(id), l->peer) : "%any"));
	return tree_setf(t, "status", "%s", l->online ? "online" : "offline");
}

static void see_lease(void *ctx, const struct ike_lease *l)
{
	struct survey *s = ctx;

	if (s->leases && !s->err)
		s->err = add_lease(s, l);
	s->num++;
	s->online += l->online;
}

static enum err add_pool(struct call *call, const struct conf_pool *pool, bool leases)
{
	struct survey s = {.num = 0};
	char text[IP_TEXT_MAX];
	struct tree *t;

	TRY(tree_add_section(call->out, &t, pool->name));
	TRY(tree_setf(t, "base", "%s", ip_addr_text(text, &pool->lo)));
	TRY(tree_setf(t, "size", "%u", conf_pool_size(pool)));
	if (leases)
		TRY(tree_add_section(t, &s.leases, "leases"));
	call->ops->each_lease(call->ctx, pool->name, see_lease, &s);
	TRY(s.err);
	TRY(tree_setf(t, "online", "%u", s.online));
	return tree_setf(t, "offline", "%u", s.num - s.online);
}

enum err cmd_get_pools(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);
	const char *leases = tree_get(call->in, "leases"), *name = tree_get(call->in, "name");

	for (uint32_t i = 0; i < conf->num_pools; i++)
		if (!name || strcmp(conf->pools[i]->name, name) == 0)
			TRY(add_pool(call, conf->pools[i], leases && strcmp(leases, "yes") == 0));
	return ERR_OK;
}
