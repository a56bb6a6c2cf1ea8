/* SPDX-License-Identifier: Apache-2.0 */
/* radius.c - the section latchkey.radius: servers that know who a peer is. */
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <stdio.h>

#define PORT_DEFAULT 1812
/* TRIES_MAX - more are no patience but a fault: who asks waits for some seconds. */
#define TRIES_MAX 10
/* TIMEOUT_MAX_NS - the same of the first interval. */
#define TIMEOUT_MAX_NS (10 * NS_PER_S)

void radius_defaults(struct conf_radius *r)
{
	*r = (struct conf_radius){.nas = "latchkey", .timeout_ns = NS_PER_S, .tries = 3};
}

enum err set_radius_nas(struct check *c, void *obj, const struct tree *node)
{
	struct conf_radius *r = obj;
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (!*text || strlen(text) >= sizeof(r->nas))
		CHECK_ERROR(c, node, "1 to %d characters were expected", CONF_NAS_MAX - 1);
	else
		snprintf(r->nas, sizeof(r->nas), "%s", text);
	return ERR_OK;
}

enum err set_radius_timeout(struct check *c, void *obj, const struct tree *node)
{
	uint64_t ns;

	if (!take_time(c, &ns, node))
		return ERR_OK;
	if (ns == 0 || ns > TIMEOUT_MAX_NS)
		CHECK_ERROR(c, node, "more than 0 s and at most %d s were expected",
			    (int)(TIMEOUT_MAX_NS / NS_PER_S));
	else
		((struct conf_radius *)obj)->timeout_ns = ns;
	return ERR_OK;
}

enum err set_radius_tries(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, TRIES_MAX))
		return ERR_OK;
	if (v == 0)
		CHECK_ERROR(c, node, "a request is sent once at least");
	else
		((struct conf_radius *)obj)->tries = (uint32_t)v;
	return ERR_OK;
}

enum err set_radius_address(struct check *c, void *obj, const struct tree *node)
{
	const char *text;

	if (take_text(c, &text, node) &&
	    ip_addr_parse(&((struct conf_radius_server *)obj)->addr, text))
		CHECK_ERROR(c, node, "'%.60s' is no address (names are not looked up here)", text);
	return ERR_OK;
}

enum err set_radius_port(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, UINT16_MAX))
		return ERR_OK;
	if (v == 0)
		CHECK_ERROR(c, node, "0 is not a port");
	else
		((struct conf_radius_server *)obj)->port = (uint16_t)v;
	return ERR_OK;
}

/* strongswan.conf has it here. */
enum err set_radius_misplaced(struct check *c, void *obj, const struct tree *node)
{
	(void)obj;
	CHECK_ERROR(
		c, node,
		"belongs in the section `secrets`: radius { id = the server's name here  secret "
		"= ... }");
	return ERR_OK;
}

static enum err add_server(struct check *c, struct conf_radius *r, const struct tree *section)
{
	struct conf_radius_server s = {.port = PORT_DEFAULT};
	const uint32_t errors = c->diags->num_errors;
	enum err e;

	if (!check_short_name(c, section))
		return ERR_OK;
	snprintf(s.name, sizeof(s.name), "%s", section->name);
	e = check_section(c, SCOPE_RADIUS_SERVER, &s, section);
	if (s.addr.family == IP_NONE && c->diags->num_errors == errors)
		CHECK_ERROR(c, section, "has no 'address'");
	r->servers[r->num_servers++] = s;
	return e;
}

enum err set_radius_servers(struct check *c, void *obj, const struct tree *node)
{
	struct conf_radius *r = obj;

	tree_for_each (section, node) {
		size_t mark = check_enter(c, section->name);
		enum err e = ERR_OK;

		if (r->num_servers < CONF_MAX_RADIUS)
			e = add_server(c, r, section);
		else
			CHECK_ERROR(c, section, "more than %d servers", CONF_MAX_RADIUS);
		check_leave(c, mark);
		if (e)
			return e;
	}
	return ERR_OK;
}

enum err set_radius(struct check *c, void *obj, const struct tree *node)
{
	return check_section(c, SCOPE_RADIUS, &((struct conf_daemon *)obj)->radius, node);
}

static bool is_judged_elsewhere(const struct conf_conn *conn)
{
	return conn->remote.auth == CONF_AUTH_EAP && conn->remote.eap == CONF_EAP_RADIUS;
}

void radius_check(struct check *c, const struct conf *conf)
{
	const struct conf_radius *r = &conf->daemon.radius;
	char path[200];

	for (uint32_t i = 0; i < r->num_servers; i++) {
		snprintf(path, sizeof(path), "latchkey.radius.servers.%s", r->servers[i].name);
		if (!conf_find_radius_secret(conf, r->servers[i].name))
			conf_diag_add(c->diags, true, (struct conf_place){.path = path},
				      "has no secret: secrets { radius { id = %s  secret = ... } }",
				      r->servers[i].name);
	}
	for (uint32_t i = 0; !r->num_servers && i < conf->num_conns; i++) {
		snprintf(path, sizeof(path), "connections.%s", conf->conns[i]->name);
		if (is_judged_elsewhere(conf->conns[i]))
			conf_diag_add(c->diags, true, (struct conf_place){.path = path},
				      "`auth = eap-radius` needs servers: latchkey { radius { "
				      "servers { ... } } }");
	}
}
