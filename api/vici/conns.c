/* SPDX-License-Identifier: Apache-2.0 */
/* conns.c - connections in the keys of strongSwan's list-conn event. */
#include "api/vici/internal.h"

#include <stdio.h>

/* "dynamic" and, if there is one, the selector's protocol and port, as strongSwan writes it. */
static void dynamic_text(char buf[static TS_TEXT_MAX], const struct ts *ts)
{
	static const uint8_t zero[4];
	struct ts any = *ts;
	char text[TS_TEXT_MAX];
	const char *bracket;

	any.lo = any.hi = ip_addr_v4(zero);
	ts_text(text, &any);
	bracket = strchr(text, '[');
	snprintf(buf, TS_TEXT_MAX, "dynamic%.100s", bracket ? bracket : "");
}

enum err ts_list(struct tree *parent, const char *name, const struct conf_ts *list, uint32_t num)
{
	char text[TS_TEXT_MAX];
	struct tree *node;

	TRY(tree_list(parent, &node, name));
	for (uint32_t i = 0; i < num; i++) {
		if (list[i].dynamic)
			dynamic_text(text, &list[i].ts);
		else
			ts_text(text, &list[i].ts);
		TRY(tree_append(node, text, strlen(text)));
	}
	return ERR_OK;
}

enum err addrs_list(struct tree *parent, const char *name, const struct conf_addr *list,
		    uint32_t num)
{
	struct tree *node;

	TRY(tree_list(parent, &node, name));
	for (uint32_t i = 0; i < num; i++)
		TRY(tree_append(node, list[i].text, strlen(list[i].text)));
	return num ? ERR_OK : tree_append(node, "%any", 4);
}

/* Certificates by their subjects, as strongSwan lists them. */
static enum err creds_list(struct tree *parent, const char *name, const struct conf_creds *creds)
{
	char text[300];
	struct tree *node;

	if (!creds->num)
		return ERR_OK;
	TRY(tree_list(parent, &node, name));
	for (uint32_t i = 0; i < creds->num; i++) {
		cred_subject_text(text, sizeof(text), creds->list[i]);
		TRY(tree_append(node, text, strlen(text)));
	}
	return ERR_OK;
}

static const char *class_name(enum conf_auth auth)
{
	static const char *const names[] = {
		[CONF_AUTH_PSK] = "pre-shared key",
		[CONF_AUTH_PUBKEY] = "public key",
		[CONF_AUTH_NULL] = "none",
		[CONF_AUTH_BTNS] = "any public key",
		[CONF_AUTH_LEAPOFFAITH] = "first public key",
		[CONF_AUTH_EAP] = "EAP",
	};

	return names[auth];
}

static enum err side_section(struct tree *parent, const char *name, const struct conf_side *side)
{
	char text[300];
	struct tree *t;

	TRY(tree_section(parent, &t, name));
	TRY(tree_setf(t, "class", "%s", class_name(side->auth)));
	TRY(creds_list(t, "certs", &side->certs));
	TRY(creds_list(t, "cacerts", &side->cacerts));
	if (side->pattern)
		return tree_setf(t, "id", "%s", side->pattern);
	if (side->id.type)
		return tree_setf(t, "id", "%s", ike_id_text(text, sizeof(text), &side->id));
	return ERR_OK;
}

static const char *action_name(enum conf_action action)
{
	static const char *const names[] = {
		[ACTION_NONE] = "none",
		[ACTION_TRAP] = "trap",
		[ACTION_START] = "start",
		[ACTION_TRAP_START] = "trap|start",
	};

	return names[action];
}

const char *mode_name(enum conf_mode mode)
{
	static const char *const names[] = {
		[CONF_TUNNEL] = "TUNNEL",
		[CONF_TRANSPORT] = "TRANSPORT",
		[CONF_PASS] = "PASS",
		[CONF_DROP] = "DROP",
	};

	return names[mode];
}

static enum err child_section(struct tree *parent, const struct conf_child *child)
{
	struct tree *t;

	TRY(tree_section(parent, &t, child->name));
	TRY(tree_setf(t, "mode", "%s", mode_name(child->mode)));
	TRY(tree_setf(t, "rekey_time", "%llu", (unsigned long long)(child->rekey_ns / NS_PER_S)));
	TRY(tree_setf(t, "rekey_bytes", "%llu", (unsigned long long)child->rekey_bytes));
	TRY(tree_setf(t, "rekey_packets", "%llu", (unsigned long long)child->rekey_packets));
	TRY(tree_setf(t, "dpd_action", "%s", action_name(child->dpd_action)));
	TRY(tree_setf(t, "close_action", "%s", action_name(child->close_action)));
	TRY(tree_setf(t, "start_action", "%s", action_name(child->start_action)));
	TRY(ts_list(t, "local-ts", child->local_ts, child->num_local_ts));
	return ts_list(t, "remote-ts", child->remote_ts, child->num_remote_ts);
}

enum err conn_section(struct tree *parent, const struct conf_conn *conn)
{
	struct tree *t, *children;

	TRY(tree_add_section(parent, &t, conn->name));
	TRY(addrs_list(t, "local_addrs", conn->local_addrs, conn->num_local_addrs));
	TRY(addrs_list(t, "remote_addrs", conn->remote_addrs, conn->num_remote_addrs));
	TRY(tree_setf(t, "local_port", "%u", conn->local_port));
	TRY(tree_setf(t, "remote_port", "%u", conn->remote_port));
	TRY(tree_setf(t, "version", "IKEv2"));
	TRY(tree_setf(t, "reauth_time", "%llu", (unsigned long long)(conn->reauth_ns / NS_PER_S)));
	TRY(tree_setf(t, "rekey_time", "%llu", (unsigned long long)(conn->rekey_ns / NS_PER_S)));
	if (conn->dpd_delay_ns)
		TRY(tree_setf(t, "dpd_delay", "%llu",
			      (unsigned long long)(conn->dpd_delay_ns / NS_PER_S)));
	TRY(tree_setf(t, "unique", "UNIQUE_NO"));
	TRY(side_section(t, "local-1", &conn->local));
	TRY(side_section(t, "remote-1", &conn->remote));
	TRY(tree_section(t, &children, "children"));
	for (uint32_t i = 0; i < conn->num_children; i++)
		TRY(child_section(children, &conn->children[i]));
	return ERR_OK;
}
