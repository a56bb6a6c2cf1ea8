/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_rules.c - what goes by a path of its own, as the configuration has it: classes and selectors
 * of a path, which each side sets for what it sends; and children that are tied to one, which the
 * side that decides tells the peer.
 */
#include "api/engine/internal.h"

static_assert(CONF_MAX_PATH_RULES <= PATH_RULES_MAX, "the data path takes all that are configured");

/* struct rules - of one IKE SA, for the data path. */
struct rules {
	struct path_rule list[CONF_MAX_PATH_RULES];
	uint32_t num;
};

/* id_of - the path of the IKE SA that is this one of the configuration; 0: there is none. */
static uint16_t id_of(const struct ours *ours, const struct conf_conn *conn,
		      const struct ike_sa_info *sa, struct conf_path path)
{
	const bool there = path_resolve(&path, ours, conn, sa);

	for (uint32_t i = 0; there && i < sa->num_path_list; i++)
		if (path_is(&sa->path_list[i], &path))
			return sa->path_list[i].id;
	return 0;
}

static void add_rules(struct rules *r, const struct conf_path *path, uint16_t id)
{
	for (uint32_t i = 0; i < conf_path_rules(path); i++) {
		struct path_rule *rule = &r->list[r->num++];
		const uint32_t num_local = path->num_local_ts ? path->num_local_ts : 1;

		*rule = (struct path_rule){.path = id, .dscps = path->dscps};
		if (path->num_local_ts)
			rule->local = path->local_ts[i % num_local];
		if (path->num_remote_ts)
			rule->remote = path->remote_ts[i / num_local];
	}
}

void path_rules_set(struct engine *e, const struct ours *ours, const struct conf_conn *conn,
		    const struct ike_sa_info *sa)
{
	struct peer_rec *p = actions_peer(e, sa->peer);
	struct rules r = {.num = 0};

	if (!p)
		return;
	for (uint32_t i = 0; i < conn->num_paths; i++) {
		const uint16_t id = id_of(ours, conn, sa, conn->paths[i]);

		if (id)
			add_rules(&r, &conn->paths[i], id);
	}
	if (!r.num && !p->steered)
		return;
	if (dataplane_path_rules(e->dp, p->set, r.list, r.num))
		LOG(ERROR, NET, sa->conn, "no memory: classes and flows go as all do");
	else
		p->steered = r.num != 0;
}

/* goes_by - each of the IKE SA's children with this configuration is tied to the path. */
static bool goes_by(const struct ike_sa_info *sa, const char *child, uint16_t path)
{
	for (uint32_t i = 0; i < sa->num_children; i++)
		if (sa->children[i].path != path && strcmp(sa->children[i].name, child) == 0)
			return false;
	return true;
}

uint32_t path_rules_ties(struct path_tying *out, const struct ours *ours,
			 const struct conf_conn *conn, const struct ike_sa_info *sa)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];
		const struct conf_path *path = c->path[0] ? conf_find_path(conn, c->path) : NULL;
		const uint16_t id = path ? id_of(ours, conn, sa, *path) : 0;

		if (id && !goes_by(sa, c->name, id))
			out[num++] = (struct path_tying){.child = c->name, .path = id};
	}
	return num;
}

void path_rules_tie(struct engine *e, uint32_t ike_id, const struct path_tying *t)
{
	const struct ike_select sel = {.ike_id = ike_id, .child = t->child};
	const struct ike_path_op op = {.act = IKE_PATH_SOFT, .id = t->path};
	uint32_t num;
	enum err err = ike_path(e->ike, &num, NULL, &sel, &op, 1, engine_now(e));

	if (err)
		LOG(WARN, NET, NULL, "child %s of IKE SA %u cannot go by path %u alone: %s",
		    t->child, ike_id, t->path,
		    err == ERR_UNSUPPORTED ? "the peer moves all or none" : err_text(err));
}
