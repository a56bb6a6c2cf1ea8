/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demand.c - the sections latchkey.profiles and latchkey.listeners: what applications may demand by
 * a name, and what is demanded of those who come to a port of this host, whatever program is there.
 */
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <netinet/in.h>
#include <stdio.h>

/* ---- profiles ---------------------------------------------------------------------------------
 */

/* As auth_method_name() has them; a test of the engine holds that. */
static const char *const method_names[AUTH_NUM_METHODS] = {
	[AUTH_METHOD_NONE] = "none",
	[AUTH_METHOD_PSK] = "psk",
	[AUTH_METHOD_GROUP_PSK] = "group-psk",
	[AUTH_METHOD_PKIX_TRUSTED] = "pkix-trusted",
	[AUTH_METHOD_PKIX_INLINE] = "pkix-inline",
	[AUTH_METHOD_PUBKEY] = "pubkey",
	[AUTH_METHOD_BTNS] = "btns",
	[AUTH_METHOD_LEAPOFFAITH] = "leap-of-faith",
	[AUTH_METHOD_EAP] = "eap",
	[AUTH_METHOD_PKIX_OFFLINE] = "pkix-offline",
};

static void add_method(struct check *c, struct conf_profile *p, const struct tree *node,
		       const char *name)
{
	for (uint32_t m = 0; m < AUTH_NUM_METHODS; m++) {
		if (strcmp(name, method_names[m]) != 0)
			continue;
		for (uint32_t i = 0; i < p->num_methods; i++) {
			if (p->methods[i] == m) {
				CHECK_ERROR(c, node, "'%s' is there twice", name);
				return;
			}
		}
		p->methods[p->num_methods++] = (uint8_t)m;
		return;
	}
	CHECK_ERROR(c, node, "'%.40s' is no method of authentication", name);
}

enum err set_profile_methods(struct check *c, void *obj, const struct tree *node)
{
	struct conf_profile *p = obj;
	char item[VALUE_ITEM_MAX];
	struct value_items it;
	enum err e;

	p->num_methods = 0;
	value_items_init(&it, node);
	while (!(e = value_items_next(&it, item)))
		add_method(c, p, node, item);
	if (e != ERR_NOT_FOUND || !p->num_methods)
		CHECK_ERROR(c, node, "names no method of authentication");
	return ERR_OK;
}

enum err set_profile_privacy(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_profile *)obj)->privacy, node);
	return ERR_OK;
}

enum err set_profile_integrity(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_profile *)obj)->integrity, node);
	return ERR_OK;
}

enum err set_profile_clear(struct check *c, void *obj, const struct tree *node)
{
	take_bool(c, &((struct conf_profile *)obj)->clear, node);
	return ERR_OK;
}

enum err set_profile_part(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"ike", CONF_PART_IKE_ONLY},
		{"ike-ack", CONF_PART_IKE_APP_ACK},
		{"app", CONF_PART_APP_ONLY},
		{"none", CONF_PART_NONE},
	};
	int part;

	if (take_word(c, &part, node, words, ARRAY_LEN(words)))
		((struct conf_profile *)obj)->part = (uint8_t)part;
	return ERR_OK;
}

/* Short, and to be written on a command line. */
bool check_short_name(struct check *c, const struct tree *section)
{
	size_t len = strlen(section->name);

	if (section->kind != TREE_SECTION) {
		CHECK_ERROR(c, section, "is a section: { ... } was expected");
		return false;
	}
	if (len > 0 && len < CONF_NAME_MAX && check_name(c, section))
		return true;
	CHECK_ERROR(c, section, "'%.40s' has more than %d characters", section->name,
		    CONF_NAME_MAX - 1);
	return false;
}

static enum err add_profile(struct check *c, struct conf_daemon *d, const struct tree *section)
{
	struct conf_profile p = {.privacy = true, .integrity = true, .part = CONF_PART_IKE_ONLY};
	enum err e;

	if (!check_short_name(c, section))
		return ERR_OK;
	snprintf(p.name, sizeof(p.name), "%s", section->name);
	e = check_section(c, SCOPE_PROFILE, &p, section);
	if (!p.num_methods)
		CHECK_ERROR(c, section, "has no 'methods'");
	d->profiles[d->num_profiles++] = p;
	return e;
}

/* ---- listeners --------------------------------------------------------------------------------
 */

enum err set_listener_address(struct check *c, void *obj, const struct tree *node)
{
	const char *text;

	if (take_text(c, &text, node) && ip_addr_parse(&((struct conf_listener *)obj)->addr, text))
		CHECK_ERROR(c, node, "'%.60s' is no address", text);
	return ERR_OK;
}

enum err set_listener_protocol(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}};
	int proto;

	if (take_word(c, &proto, node, words, ARRAY_LEN(words)))
		((struct conf_listener *)obj)->proto = (uint8_t)proto;
	return ERR_OK;
}

enum err set_listener_port(struct check *c, void *obj, const struct tree *node)
{
	uint64_t v;

	if (!take_number(c, &v, node, UINT16_MAX))
		return ERR_OK;
	if (v == 0)
		CHECK_ERROR(c, node, "0 is no port");
	((struct conf_listener *)obj)->port = (uint16_t)v;
	return ERR_OK;
}

static enum err take_short(struct check *c, char *out, size_t size, const struct tree *node)
{
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (strlen(text) >= size)
		CHECK_ERROR(c, node, "is longer than %zu characters", size - 1);
	snprintf(out, size, "%s", text);
	return ERR_OK;
}

enum err set_listener_profile(struct check *c, void *obj, const struct tree *node)
{
	struct conf_listener *l = obj;

	return take_short(c, l->profile, sizeof(l->profile), node);
}

enum err set_listener_peer(struct check *c, void *obj, const struct tree *node)
{
	struct conf_listener *l = obj;
	struct ike_id id;

	if (take_short(c, l->peer, sizeof(l->peer), node))
		return ERR_NOMEM;
	if (conf_id_parse(&id, l->peer))
		CHECK_ERROR(c, node, "'%.60s' is no identity", l->peer);
	return ERR_OK;
}

static enum err add_listener(struct check *c, struct conf_daemon *d, const struct tree *section)
{
	struct conf_listener l = {.proto = IPPROTO_TCP};
	enum err e;

	if (!check_short_name(c, section))
		return ERR_OK;
	snprintf(l.name, sizeof(l.name), "%s", section->name);
	e = check_section(c, SCOPE_LISTENER, &l, section);
	if (!l.port)
		CHECK_ERROR(c, section, "has no 'port'");
	d->listeners[d->num_listeners++] = l;
	return e;
}

/* ---- both -------------------------------------------------------------------------------------
 */

static enum err each(struct check *c, struct conf_daemon *d, const struct tree *node,
		     const uint32_t *num, uint32_t max,
		     enum err (*add)(struct check *c, struct conf_daemon *d,
				     const struct tree *section))
{
	tree_for_each (section, node) {
		size_t mark = check_enter(c, section->name);
		enum err e = ERR_OK;

		if (*num < max)
			e = add(c, d, section);
		else
			CHECK_ERROR(c, section, "there are more than %u", max);
		check_leave(c, mark);
		if (e)
			return e;
	}
	return ERR_OK;
}

enum err set_profiles(struct check *c, void *obj, const struct tree *node)
{
	struct conf_daemon *d = obj;

	return each(c, d, node, &d->num_profiles, CONF_MAX_PROFILES, add_profile);
}

enum err set_listeners(struct check *c, void *obj, const struct tree *node)
{
	struct conf_daemon *d = obj;

	return each(c, d, node, &d->num_listeners, CONF_MAX_LISTENERS, add_listener);
}
