/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_link.c - a path whose link is down carries nothing, whatever addresses stay: it is left at
 * once, and asked as soon as the link is up again. The keying engine hears of it as of any path
 * that does not carry.
 */
#include "api/engine/internal.h"

/* LINKS - numbers of paths whose links are remembered; those of others are found out by probes. */
#define LINKS 32

/* is_up - the host has the address, on an interface that runs. Of a list that is full nobody knows
 * what is not in it. */
static bool is_up(const struct ours *ours, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < ours->num; i++)
		if (ip_addr_equal(&ours->list[i].addr, a))
			return ours->list[i].running;
	return ours->num == ADDRS_MAX;
}

static void look_at(struct engine *e, struct peer_rec *p, const struct path_info *path,
		    const struct ours *ours)
{
	const uint32_t bit = path->id < LINKS ? 1u << path->id : 0;
	const bool up = is_up(ours, &path->addr.local.addr), was_up = !(p->links_down & bit);

	if (!bit || up == was_up || ip_addr_is_any(&path->addr.local.addr))
		return;
	p->links_down ^= bit;
	if (dataplane_path_link(e->dp, p->set, path->id, up, engine_now(e)))
		LOG(DEBUG, NET, p->conn, "path %u is not watched", path->id);
	LOG(INFO, NET, p->conn, "the link of path %u is %s", path->id, up ? "up" : "down");
}

static void look_at_peer(struct engine *e, struct peer_rec *p, const struct ours *ours)
{
	struct path_info list[PATHS_MAX];
	uint32_t num = p->several ? dataplane_path_list(e->dp, list, p->set) : 0;

	for (uint32_t i = 0; i < num; i++)
		look_at(e, p, &list[i], ours);
}

/* has_several - some peer has: else nobody is asked. */
static bool has_several(const struct engine *e)
{
	for (size_t i = 0; i < e->peers.num_buckets; i++)
		for (struct htab_node *n = e->peers.buckets[i]; n; n = n->next)
			if (container_of(n, struct peer_rec, by_id)->several)
				return true;
	return false;
}

/* A host that does not say which addresses it has says nothing of links. */
void path_links(struct engine *e)
{
	struct ours ours;

	if (!has_several(e))
		return;
	roam_ours(e, &ours);
	for (size_t i = 0; ours.num && i < e->peers.num_buckets; i++)
		for (struct htab_node *n = e->peers.buckets[i]; n; n = n->next)
			look_at_peer(e, container_of(n, struct peer_rec, by_id), &ours);
}
