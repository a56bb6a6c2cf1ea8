/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policies.c - latchkey-policies: the policies that stand now, each as an event latchkey-policy.
 * (list-policies, which strongSwan's programs use, lists those that the configuration traps.)
 */
#include "api/vici/internal.h"

#include <stdio.h>

/* struct sending - the policies on their way. */
struct sending {
	struct call *call;
	enum err err;
};

static const char *action_text(enum policy_action action)
{
	static const char *const text[] = {
		[POLICY_DISCARD] = "drop",
		[POLICY_BYPASS] = "pass",
		[POLICY_PROTECT] = "protect",
	};

	return text[action];
}

static enum err set_selectors(struct tree *t, const char *name, const struct ts *list, uint32_t num)
{
	char text[TS_TEXT_MAX];
	struct tree *made;

	TRY(tree_list(t, &made, name));
	for (uint32_t i = 0; i < num; i++) {
		ts_text(text, &list[i]);
		TRY(tree_append(made, text, strlen(text)));
	}
	return ERR_OK;
}

static enum err fill(struct tree *root, const struct engine_policy *p)
{
	char name[256];
	struct tree *t;

	snprintf(name, sizeof(name), "%.120s/%.120s", p->conn, p->child);
	TRY(tree_add_section(root, &t, name));
	TRY(tree_setf(t, "ike", "%s", p->conn));
	TRY(tree_setf(t, "child", "%s", p->child));
	TRY(tree_setf(t, "action", "%s", action_text(p->action)));
	TRY(tree_setf(t, "priority", "%u", p->priority));
	TRY(tree_setf(t, "trap", "%s", p->trap ? "yes" : "no"));
	if (p->action == POLICY_PROTECT) {
		TRY(tree_setf(t, "sas", "%u", p->num_sas));
		TRY(tree_setf(t, "closed", "%s", p->closed ? "yes" : "no"));
	}
	TRY(set_selectors(t, "local-ts", p->local, p->num_local));
	return set_selectors(t, "remote-ts", p->remote, p->num_remote);
}

static void send_policy(void *arg, const struct engine_policy *policy)
{
	struct sending *s = arg;
	const char *ike = tree_get(s->call->in, "ike");
	struct tree *t;

	if (s->err || s->call->client->doomed || (ike && strcmp(ike, policy->conn) != 0))
		return;
	t = tree_new();
	s->err = t ? fill(t, policy) : ERR_NOMEM;
	if (!s->err)
		vici_client_event(s->call->client, EV_LATCHKEY_POLICY, t);
	tree_free(t);
}

enum err cmd_latchkey_policies(struct call *call)
{
	struct sending s = {.call = call};

	if (vici_client_wants(call->client, EV_LATCHKEY_POLICY))
		call->ops->each_policy(call->ctx, send_policy, &s);
	return s.err;
}
