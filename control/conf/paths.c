/* SPDX-License-Identifier: Apache-2.0 */
/* paths.c - connections.<conn>.path_policy and .paths: several paths to the peer. */
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <stdio.h>

#define DSCP_MAX 63

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

enum err set_path_interface(struct check *c, void *obj, const struct tree *node)
{
	take_interface(c, ((struct conf_path *)obj)->interface, node);
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

/* take_dscp - a number, or the name of a class (RFC 2474, RFC 2597, RFC 3246, RFC 5865, RFC 8622).
 */
static bool take_dscp(uint64_t *out, const char *text)
{
	static const struct {
		const char *name;
		uint8_t dscp;
	} classes[] = {
		{"cs0", 0},   {"cs1", 8},   {"cs2", 16},  {"cs3", 24},  {"cs4", 32},  {"cs5", 40},
		{"cs6", 48},  {"cs7", 56},  {"af11", 10}, {"af12", 12}, {"af13", 14}, {"af21", 18},
		{"af22", 20}, {"af23", 22}, {"af31", 26}, {"af32", 28}, {"af33", 30}, {"af41", 34},
		{"af42", 36}, {"af43", 38}, {"ef", 46},   {"va", 44},   {"le", 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		if (strcmp(text, classes[i].name) == 0) {
			*out = classes[i].dscp;
			return true;
		}
	}
	return value_u64(out, text, DSCP_MAX) == ERR_OK;
}

enum err set_path_dscp(struct check *c, void *obj, const struct tree *node)
{
	char item[VALUE_ITEM_MAX];
	struct value_items it;
	uint64_t dscp;
	enum err e;

	value_items_init(&it, node);
	while (!(e = value_items_next(&it, item))) {
		if (take_dscp(&dscp, item))
			((struct conf_path *)obj)->dscps |= UINT64_C(1) << dscp;
		else
			CHECK_ERROR(c, node,
				    "'%.60s' is no class of packets: 0 to %d, or a name such as ef "
				    "or af41",
				    item, DSCP_MAX);
	}
	if (e != ERR_NOT_FOUND)
		CHECK_ERROR(c, node, "a class of packets is too long");
	return ERR_OK;
}

static enum err parse_ts(void *list, uint32_t i, const char *text)
{
	return ts_parse((struct ts *)list + i, text);
}

static enum err set_path_ts(struct check *c, struct ts *list, uint32_t *num,
			    const struct tree *node)
{
	take_selectors(c,
		       &(struct selector_list){.list = list,
					       .num = num,
					       .max = CONF_MAX_PATH_TS,
					       .parse = parse_ts,
					       .kinds = "a prefix or a range"},
		       node);
	return ERR_OK;
}

enum err set_path_local_ts(struct check *c, void *obj, const struct tree *node)
{
	struct conf_path *p = obj;

	return set_path_ts(c, p->local_ts, &p->num_local_ts, node);
}

enum err set_path_remote_ts(struct check *c, void *obj, const struct tree *node)
{
	struct conf_path *p = obj;

	return set_path_ts(c, p->remote_ts, &p->num_remote_ts, node);
}

uint32_t conf_path_rules(const struct conf_path *p)
{
	const uint32_t local = p->num_local_ts ? p->num_local_ts : 1;
	const uint32_t remote = p->num_remote_ts ? p->num_remote_ts : 1;

	return p->dscps || p->num_local_ts || p->num_remote_ts ? local * remote : 0;
}

const struct conf_path *conf_find_path(const struct conf_conn *conn, const char *name)
{
	for (uint32_t i = 0; i < conn->num_paths; i++) {
		if (strcmp(conn->paths[i].name, name) == 0)
			return &conn->paths[i];
	}
	return NULL;
}

/* check_rules - no rule has one version of IP on one side and the other on the other, and all of
 * the connection's fit. */
static void check_rules(struct check *c, const struct conf_conn *conn, const struct conf_path *path,
			const struct tree *section)
{
	uint32_t num = conf_path_rules(path);
	bool mixed = false;

	for (uint32_t i = 0; i < path->num_local_ts; i++)
		for (uint32_t k = 0; k < path->num_remote_ts; k++)
			mixed |= path->local_ts[i].lo.family != path->remote_ts[k].lo.family;
	if (mixed)
		CHECK_ERROR(c, section,
			    "local_ts and remote_ts are of different versions of IP: a path for "
			    "each is needed");
	for (uint32_t i = 0; i < conn->num_paths; i++)
		num += conf_path_rules(&conn->paths[i]);
	if (num > CONF_MAX_PATH_RULES)
		CHECK_ERROR(c, section,
			    "%u rules of what goes by which path, and the connection may have %d: "
			    "local_ts times remote_ts of each path",
			    num, CONF_MAX_PATH_RULES);
}

static enum err add_path(struct check *c, struct conf_conn *conn, const struct tree *section)
{
	struct conf_path path = {.weight = 1};
	enum err e;

	if (!check_short_name(c, section))
		return ERR_OK;
	strcpy(path.name, section->name);
	if (conf_find_path(conn, path.name))
		CHECK_ERROR(c, section, "is there twice");
	e = check_section(c, SCOPE_PATH, &path, section);
	if (e)
		return e;
	if (path.interface[0] && !ip_addr_is_any(&path.local))
		CHECK_ERROR(c, section,
			    "has a local_addr and an interface: it begins at one of them");
	if (!path.interface[0] && ip_addr_is_any(&path.local))
		CHECK_ERROR(c, section,
			    "has no local_addr, and no interface: which address does it begin at?");
	if (!path.interface[0] && !ip_addr_is_any(&path.remote) &&
	    path.remote.family != path.local.family)
		CHECK_ERROR(c, section, "begins with one version of IP and ends with the other");
	for (uint32_t i = 0; i < conn->num_paths; i++)
		if (strcmp(conn->paths[i].interface, path.interface) == 0 &&
		    ip_addr_equal(&conn->paths[i].local, &path.local) &&
		    ip_addr_equal(&conn->paths[i].remote, &path.remote))
			CHECK_ERROR(c, section, "has the addresses of one before it");
	check_rules(c, conn, &path, section);
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

void paths_check(struct check *c, const struct conf_conn *conn, const struct tree *section)
{
	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *child = &conn->children[i];

		if (child->path[0] && !conf_find_path(conn, child->path))
			CHECK_ERROR(c, section,
				    "children.%s.path: '%s' is none of the connection's `paths`",
				    child->name, child->path);
	}
}
