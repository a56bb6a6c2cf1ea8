/* SPDX-License-Identifier: Apache-2.0 */
/* paths.c - connections.<conn>.path_policy and .paths: several paths to the peer. */
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <stdio.h>

enum err set_path_policy(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"none", CONF_PATHS_NONE},           {"failover", CONF_PATHS_FAILOVER},
		{"flow", CONF_PATHS_FLOW},           {"spray", CONF_PATHS_SPRAY},
		{"duplicate", CONF_PATHS_DUPLICATE},
	};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		CONN(obj)->path_policy = (enum conf_path_policy)v;
	return ERR_OK;
}

static void take_end(struct check *c, struct ip_addr *out, const struct tree *node)
{
	if (!node->value || ip_addr_parse(out, node->value))
		CHECK_ERROR(c, node, "'%.60s' is not an address", node->value ? node->value : "");
}

enum err set_path_local(struct check *c, void *obj, const struct tree *node)
{
	take_end(c, &((struct conf_path *)obj)->local, node);
	return ERR_OK;
}

enum err set_path_remote(struct check *c, void *obj, const struct tree *node)
{
	take_end(c, &((struct conf_path *)obj)->remote, node);
	return ERR_OK;
}

enum err set_path_priority(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (take_number(c, &v, node, UINT8_MAX))
		((struct conf_path *)obj)->priority = (uint8_t)v;
	return ERR_OK;
}

enum err set_path_weight(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, UINT16_MAX))
		return ERR_OK;
	if (v == 0)
		CHECK_ERROR(c, node, "0: a path that nothing shall go by is left out");
	((struct conf_path *)obj)->weight = (uint16_t)v;
	return ERR_OK;
}

static enum err add_path(struct check *c, struct conf_conn *conn, const struct tree *section)
{
	struct conf_path path = {.weight = 1};
	enum err e;

	if (section->kind != TREE_SECTION) {
		CHECK_ERROR(c, section, "is a section: { ... } was expected");
		return ERR_OK;
	}
	e = check_section(c, SCOPE_PATH, &path, section);
	if (e)
		return e;
	if (ip_addr_is_any(&path.local))
		CHECK_ERROR(c, section, "has no local_addr: which address does it begin at?");
	if (!ip_addr_is_any(&path.remote) && path.remote.family != path.local.family)
		CHECK_ERROR(c, section, "begins with one version of IP and ends with the other");
	for (uint32_t i = 0; i < conn->num_paths; i++)
		if (ip_addr_equal(&conn->paths[i].local, &path.local) &&
		    ip_addr_equal(&conn->paths[i].remote, &path.remote))
			CHECK_ERROR(c, section, "has the addresses of one before it");
	conn->paths[conn->num_paths++] = path;
	return ERR_OK;
}

enum err set_paths(struct check *c, void *obj, const struct tree *node)
{
	struct conf_conn *conn = CONN(obj);

	tree_for_each (section, node) {
		size_t mark = check_enter(c, section->name);
		enum err e = ERR_OK;

		if (conn->num_paths < CONF_MAX_PATHS)
			e = add_path(c, conn, section);
		else
			CHECK_ERROR(c, section, "more than %d paths", CONF_MAX_PATHS);
		check_leave(c, mark);
		if (e)
			return e;
	}
	if (conn->num_paths && conn->path_policy == CONF_PATHS_NONE)
		conn->path_policy = CONF_PATHS_FAILOVER;
	return ERR_OK;
}
