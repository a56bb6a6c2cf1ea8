/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - the commands that only look: show, sas, conns, policies, stats, version. */
#include "api/cli/cli.h"

#include <stdio.h>
#include <time.h>

/* struct view - everything that came by events, for printing it in order. */
struct view {
	struct tree *conns, *sas; /* sections by name, as they came */
	const char *only;         /* this connection, or NULL */
	bool failed;              /* memory was short */
};

/* Copies a section, with all that is in it, to the end of `to`. Errors: NOMEM. */
static enum err copy_section(struct tree *to, const struct tree *from)
{
	enum err e = ERR_OK;

	tree_for_each (c, from) {
		struct tree *made;

		if (c->kind == TREE_VALUE)
			e = tree_add_value(to, &made, c->name, c->value, c->value_len);
		else if (c->kind == TREE_LIST)
			e = tree_add_list(to, &made, c->name);
		else
			e = tree_add_section(to, &made, c->name);
		if (!e && c->kind != TREE_VALUE)
			e = copy_section(made, c);
		if (e)
			break;
	}
	return e;
}

static void take_section(struct view *v, struct tree *to, const struct tree *message)
{
	tree_for_each (c, message) {
		struct tree *section;

		if (c->kind != TREE_SECTION || (v->only && strcmp(c->name, v->only) != 0))
			continue;
		if (tree_add_section(to, &section, c->name) || copy_section(section, c))
			v->failed = true;
	}
}

static void on_event(void *arg, const char *event, const struct tree *message)
{
	struct view *v = arg;
	bool sa = strcmp(event, "latchkey-sa") == 0 || strcmp(event, "list-sa") == 0;

	take_section(v, sa ? v->sas : v->conns, message);
}

static json_t *array_of(const struct tree *sections)
{
	json_t *array = json_array();

	tree_for_each (c, sections)
		json_array_append_new(array, json_named(c));
	return array;
}

static void print_time(const char *seconds)
{
	long long value;
	char buf[64];
	time_t at;
	struct tm tm;

	if (sscanf(seconds, "%lld", &value) != 1)
		return;
	at = (time_t)value;
	if (localtime_r(&at, &tm) && strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S", &tm))
		put("%s, ", buf);
}

static void print_offer(const char *whose, const char *offer)
{
	if (offer[0])
		put("    %s: %s\n", whose, offer);
}

static void print_failure(const struct tree *f, const char *title)
{
	put("  %s: %s (%s", title, text(f, "text"), text(f, "reason"));
	if (text(f, "phase")[0])
		put(" in %s", text(f, "phase"));
	if (text(f, "remote")[0])
		put(", peer %s", text(f, "remote"));
	put("; ");
	print_time(text(f, "time"));
	print_age(text(f, "age"));
	put(")\n");
	print_offer("offered here", text(f, "here"));
	print_offer("by the peer", text(f, "there"));
}

static void print_conn_state(const struct tree *conn)
{
	const struct tree *children = tree_child(conn, "children");
	const struct tree *failure = tree_child(conn, "last-failure");

	put("%s: %s", conn->name, text(conn, "state"));
	if (children) {
		tree_for_each (c, children)
			put(", %s %s%s", c->name, text(c, "state"),
			    strcmp(text(c, "trap"), "yes") == 0 ? " (trapped)" : "");
	}
	put("\n");
	if (failure)
		print_failure(failure, strcmp(text(failure, "over"), "yes") == 0 ? "failed before"
										 : "last failure");
}

static void print_sas_of(const struct tree *sas, const char *conn)
{
	tree_for_each (sa, sas) {
		if (strcmp(sa->name, conn) == 0)
			print_sa(sa, 2);
	}
}

/* SAs whose connection is not configured any more, or not known yet. */
static void print_other_sas(const struct view *v)
{
	tree_for_each (sa, v->sas) {
		if (!tree_child(v->conns, sa->name))
			print_sa(sa, 0);
	}
}

/* print_queues - how many, and who brings packets to which. */
static void print_queues(const struct tree *port)
{
	static const char *const by[][2] = {
		{"rss", "spread by the device (RSS)"},
		{"host", "spread by the host's kernel"},
		{"none", "not spread by the device"},
	};

	put(", %s queues", text(port, "queues"));
	for (size_t i = 0; i < ARRAY_LEN(by); i++)
		if (strcmp(text(port, "spread"), by[i][0]) == 0)
			put(", %s", by[i][1]);
	if (text(port, "steered")[0])
		put(", by SPI: %s", text(port, "steered"));
}

static void print_port(const struct tree *port)
{
	put("port %s: link %s, %s by %s, MTU %s", port->name, text(port, "link"),
	    text(port, "device"), text(port, "driver"), text(port, "mtu"));
	if (text(port, "speed")[0])
		put(", %s Mb/s", text(port, "speed"));
	if (text(port, "spread")[0])
		print_queues(port);
	if (text(port, "offloads")[0])
		put(", offloads %s", text(port, "offloads"));
	put("\n");
}

static void print_show(const struct view *v, const struct tree *answer)
{
	const struct tree *refused = tree_child(answer, "last-refused");
	const struct tree *ports = tree_child(answer, "ports");

	if (list_empty(&v->conns->children))
		put("no connections are configured\n");
	tree_for_each (conn, v->conns) {
		print_conn_state(conn);
		print_sas_of(v->sas, conn->name);
	}
	print_other_sas(v);
	if (refused && !v->only) {
		put("peers without a connection:\n");
		print_failure(refused, "last refused");
	}
	if (ports && !v->only) {
		tree_for_each (port, ports)
			print_port(port);
	}
}

/* struct request - a command whose events make a view. */
struct request {
	const char *command;
	const char *events[2];
	const char *only; /* a name that must be there, or NULL */
};

/* Runs it; v's trees and *answer are the caller's to free, also when it fails. */
static bool collect(struct cli *cli, struct view *v, struct tree **answer, enum exit_code *out_code,
		    const struct request *r)
{
	*v = (struct view){.conns = tree_new(), .sas = tree_new(), .only = r->only};
	*answer = NULL;
	*out_code = EXIT_FAILED;
	if (!v->conns || !v->sas) {
		cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(r->events) && r->events[i]; i++) {
		if (!cli_listen(cli, out_code, r->events[i]))
			return false;
	}
	if (!cli_call(cli, answer, out_code, r->command, NULL, on_event, v))
		return false;
	if (v->failed) {
		cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
		return false;
	}
	if (v->only && list_empty(&v->conns->children) && list_empty(&v->sas->children)) {
		*out_code = cli_fail(cli, EXIT_NOT_FOUND, "there is no connection '%s'", v->only);
		return false;
	}
	*out_code = EXIT_OK;
	return true;
}

static void view_free(struct view *v, struct tree *answer)
{
	tree_free(v->conns);
	tree_free(v->sas);
	tree_free(answer);
}

static const char *first_arg(const struct cli *cli)
{
	return cli->num_args > 0 ? cli->args[0] : NULL;
}

enum exit_code run_show(struct cli *cli)
{
	struct request r = {"latchkey-show", {"latchkey-conn", "latchkey-sa"}, first_arg(cli)};
	enum exit_code code;
	struct tree *answer;
	struct view v;

	if (collect(cli, &v, &answer, &code, &r)) {
		const struct tree *refused = tree_child(answer, "last-refused");

		if (!cli->json)
			print_show(&v, answer);
		json_object_set_new(cli->result, "connections", array_of(v.conns));
		json_object_set_new(cli->result, "sas", array_of(v.sas));
		if (refused && !v.only)
			json_object_set_new(cli->result, "last-refused", json_of(refused));
		if (tree_child(answer, "ports") && !v.only)
			json_object_set_new(cli->result, "ports",
					    json_of(tree_child(answer, "ports")));
	}
	view_free(&v, answer);
	return code;
}

enum exit_code run_sas(struct cli *cli)
{
	struct request r = {"latchkey-show", {"latchkey-conn", "latchkey-sa"}, first_arg(cli)};
	enum exit_code code;
	struct tree *answer;
	struct view v;

	if (collect(cli, &v, &answer, &code, &r)) {
		json_object_set_new(cli->result, "sas", array_of(v.sas));
		if (!cli->json) {
			tree_for_each (sa, v.sas)
				print_sa(sa, 0);
		}
	}
	view_free(&v, answer);
	return code;
}

enum exit_code run_conns(struct cli *cli)
{
	struct request r = {"list-conns", {"list-conn", NULL}, first_arg(cli)};
	enum exit_code code;
	struct tree *answer;
	struct view v;

	if (collect(cli, &v, &answer, &code, &r)) {
		json_object_set_new(cli->result, "connections", array_of(v.conns));
		if (!cli->json) {
			tree_for_each (conn, v.conns)
				print_conn(conn);
		}
	}
	view_free(&v, answer);
	return code;
}

static void print_selectors(const struct tree *policy, const char *key)
{
	const struct tree *list = tree_child(policy, key);

	if (!list || list->kind != TREE_LIST)
		return;
	tree_for_each (item, list)
		put(" %s", item->value);
}

static void print_policy(const struct tree *policy)
{
	put("%s: %s", policy->name, text(policy, "action"));
	if (strcmp(text(policy, "trap"), "yes") == 0)
		put(", trapped");
	if (strcmp(text(policy, "closed"), "yes") == 0)
		put(", nothing passes: no SA is up");
	else if (text(policy, "sas")[0])
		put(", SAs %s", text(policy, "sas"));
	put("\n  local: ");
	print_selectors(policy, "local-ts");
	put("\n  remote:");
	print_selectors(policy, "remote-ts");
	put("\n");
}

enum exit_code run_policies(struct cli *cli)
{
	struct request r = {"latchkey-policies", {"latchkey-policy", NULL}, NULL};
	enum exit_code code;
	struct tree *answer;
	struct view v;

	if (collect(cli, &v, &answer, &code, &r)) {
		const char *only = first_arg(cli);
		json_t *list = json_array();

		tree_for_each (policy, v.conns) {
			if (only && strcmp(text(policy, "ike"), only) != 0)
				continue;
			json_array_append_new(list, json_named(policy));
			if (!cli->json)
				print_policy(policy);
		}
		if (only && json_array_size(list) == 0)
			code = cli_fail(cli, EXIT_NOT_FOUND, "no policy of '%s' stands", only);
		json_object_set_new(cli->result, "policies", list);
	}
	view_free(&v, answer);
	return code;
}

static void print_stats(const struct tree *t, int indent)
{
	tree_for_each (c, t) {
		if (c->kind == TREE_VALUE)
			put("%*s%s: %s\n", indent, "", c->name, c->value);
		else if (c->kind == TREE_SECTION && !list_empty(&c->children))
			put("%*s%s:\n", indent, "", c->name);
		if (c->kind == TREE_SECTION)
			print_stats(c, indent + 2);
	}
}

enum exit_code run_stats(struct cli *cli)
{
	enum exit_code code;
	struct tree *answer;

	if (!cli_call(cli, &answer, &code, "latchkey-stats", NULL, NULL, NULL))
		return code;
	if (!cli->json)
		print_stats(answer, 0);
	json_object_set_new(cli->result, "stats", json_of(answer));
	tree_free(answer);
	return EXIT_OK;
}

enum exit_code run_version(struct cli *cli)
{
	enum exit_code code;
	struct tree *answer;

	if (!cli_call(cli, &answer, &code, "version", NULL, NULL, NULL))
		return code;
	if (!cli->json)
		put("latchkey %s\n%s %s (%s %s, %s)\n", LATCHKEY_VERSION, text(answer, "daemon"),
		    text(answer, "version"), text(answer, "sysname"), text(answer, "release"),
		    text(answer, "machine"));
	json_object_set_new(cli->result, "latchkey", json_string(LATCHKEY_VERSION));
	json_object_set_new(cli->result, "daemon", json_of(answer));
	tree_free(answer);
	return EXIT_OK;
}
