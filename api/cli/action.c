/* SPDX-License-Identifier: Apache-2.0 */
/* action.c - the commands that change something: up, down, rekey, redirect. */
#include "api/cli/cli.h"

#include "base/alloc.h"

#include <stdio.h>

/* TIMEOUT_MARGIN_S - the daemon answers when its time is over; it is given this long to do so. */
#define TIMEOUT_MARGIN_S 5

/* struct target - what a name stands for: a connection, or a child of one. */
struct target {
	const char *name;   /* as given: CONN, CHILD or CONN/CHILD */
	struct tree *found; /* sections: connection { child { } } */
	bool failed;        /* memory was short */
};

/* The child's part of "conn/child" if `name` begins with conn and a '/'. */
static const char *child_part(const char *name, const char *conn)
{
	size_t len = strlen(conn);

	return strncmp(name, conn, len) == 0 && name[len] == '/' ? name + len + 1 : NULL;
}

static bool is_meant(const struct target *t, const char *conn, const char *child)
{
	const char *part = child_part(t->name, conn);

	return strcmp(t->name, conn) == 0 || strcmp(t->name, child) == 0 ||
	       (part && strcmp(part, child) == 0);
}

static void on_conn(void *arg, const char *event, const struct tree *message)
{
	struct target *t = arg;

	(void)event;
	tree_for_each (conn, message) {
		const struct tree *children = tree_child(conn, "children");
		struct tree *to, *made;

		if (strcmp(conn->name, t->name) == 0 && tree_section(t->found, &to, conn->name))
			t->failed = true;
		if (!children)
			continue;
		tree_for_each (child, children) {
			if (is_meant(t, conn->name, child->name) &&
			    (tree_section(t->found, &to, conn->name) ||
			     tree_section(to, &made, child->name)))
				t->failed = true;
		}
	}
}

/* A connection of that name excludes children elsewhere that happen to be called the same. */
static void prefer_connection(struct target *t)
{
	if (!tree_child(t->found, t->name))
		return;
	list_for_each_safe (n, &t->found->children) {
		struct tree *conn = list_entry(n, struct tree, node);

		if (strcmp(conn->name, t->name) != 0)
			tree_remove(conn);
	}
}

static bool find_target(struct cli *cli, struct target *t, enum exit_code *out_code)
{
	struct tree *answer;

	*t = (struct target){.name = cli->args[0], .found = tree_new()};
	if (!t->found) {
		*out_code = cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
		return false;
	}
	if (!cli_listen(cli, out_code, "list-conn") ||
	    !cli_call(cli, &answer, out_code, "list-conns", NULL, on_conn, t))
		return false;
	tree_free(answer);
	prefer_connection(t);
	if (!t->failed)
		return true;
	*out_code = cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
	return false;
}

enum exit_code code_of_answer(const struct tree *answer)
{
	const char *e = text(answer, "latchkey-error");

	if (strcmp(text(answer, "success"), "yes") == 0)
		return EXIT_OK;
	if (strcmp(e, "NOT_FOUND") == 0)
		return EXIT_NOT_FOUND;
	if (strcmp(e, "PERM") == 0)
		return EXIT_NOT_PERMITTED;
	if (strcmp(e, "PEER") == 0 || strcmp(e, "TIMEOUT") == 0)
		return EXIT_PEER;
	return EXIT_FAILED;
}

/* The live log of the negotiation; with --json it would be in the way. */
static void on_log(void *arg, const char *event, const struct tree *message)
{
	const struct cli *cli = arg;

	if (strcmp(event, "control-log") != 0 || cli->json)
		return;
	put("[%s] %s\n", text(message, "group"), text(message, "msg"));
	fflush(stdout);
}

static enum err fill_message(struct cli *cli, struct tree *in, const char *conn, const char *child)
{
	enum err e = conn ? tree_setf(in, "ike", "%s", conn) : ERR_OK;

	if (!e && child)
		e = tree_setf(in, "child", "%s", child);
	if (!e && cli->timeout_s)
		e = tree_setf(in, "timeout", "%llu", cli->timeout_s * 1000ull);
	return e ? e : tree_setf(in, "loglevel", "1");
}

/* Runs initiate or terminate; false if there is no answer. */
static bool act(struct cli *cli, struct tree **answer, enum exit_code *out_code,
		const char *command, const char *conn, const char *child)
{
	struct tree *in = tree_new();
	bool ok = false;

	cli->client.deadline_ns = TIME_NEVER;
	if (cli->timeout_s)
		cli->client.deadline_ns =
			clock_now_ns() + (cli->timeout_s + TIMEOUT_MARGIN_S) * NS_PER_S;
	if (!in || fill_message(cli, in, conn, child))
		*out_code = cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
	else
		ok = cli_call(cli, answer, out_code, command, in, on_log, cli);
	tree_free(in);
	return ok;
}

static void note_result(struct cli *cli, const char *conn, const char *child,
			const struct tree *answer)
{
	json_t *list = json_object_get(cli->result, "results"), *one = json_object();

	if (!list) {
		list = json_array();
		json_object_set_new(cli->result, "results", list);
	}
	json_object_set_new(one, "connection", json_string(conn));
	if (child)
		json_object_set_new(one, "child", json_string(child));
	json_object_set_new(one, "success",
			    json_boolean(strcmp(text(answer, "success"), "yes") == 0));
	if (text(answer, "errmsg")[0])
		json_object_set_new(one, "text", json_string(text(answer, "errmsg")));
	if (text(answer, "latchkey-reason")[0])
		json_object_set_new(one, "reason", json_string(text(answer, "latchkey-reason")));
	json_array_append_new(list, one);
}

static enum exit_code bring_up(struct cli *cli, const char *conn, const char *child)
{
	enum exit_code code;
	struct tree *answer;

	if (!act(cli, &answer, &code, "initiate", conn, child))
		return code;
	code = code_of_answer(answer);
	note_result(cli, conn, child, answer);
	if (code != EXIT_OK)
		cli_fail(cli, code, "%s%s%s is not up: %s", conn, child ? "/" : "",
			 child ? child : "", text(answer, "errmsg"));
	else if (!cli->json)
		put("%s%s%s is up\n", conn, child ? "/" : "", child ? child : "");
	tree_free(answer);
	return code;
}

/* Every child that is meant; the first failure is what the exit code tells. */
static enum exit_code bring_up_all(struct cli *cli, const struct tree *found)
{
	enum exit_code code = EXIT_OK;

	tree_for_each (conn, found) {
		if (list_empty(&conn->children))
			code = bring_up(cli, conn->name, NULL);
		tree_for_each (child, conn) {
			enum exit_code one = bring_up(cli, conn->name, child->name);

			if (code == EXIT_OK)
				code = one;
		}
	}
	return code;
}

enum exit_code run_up(struct cli *cli)
{
	enum exit_code code;
	struct target t;

	if (!find_target(cli, &t, &code))
		goto out;
	if (list_empty(&t.found->children))
		code = cli_fail(cli, EXIT_NOT_FOUND, "there is no connection or child '%s'",
				t.name);
	else if (cli_listen(cli, &code, "control-log"))
		code = bring_up_all(cli, t.found);
out:
	tree_free(t.found);
	return code;
}

/* struct verb - what is done to SAs, and how success is told. */
struct verb {
	const char *command;
	const char *done;
};
static const struct verb down = {"terminate", "is down"};
static const struct verb rekey = {"rekey", "is being re-keyed"};

/* Do it to what is up under these names. NOT_FOUND if nothing is. */
static enum exit_code do_to(struct cli *cli, const struct verb *verb, const char *conn,
			    const char *child)
{
	enum exit_code code;
	struct tree *answer;

	if (!act(cli, &answer, &code, verb->command, conn, child))
		return code;
	code = code_of_answer(answer);
	if (code != EXIT_NOT_FOUND)
		note_result(cli, conn ? conn : "", child, answer);
	if (code == EXIT_OK && !cli->json)
		put("%s %s\n", child ? child : conn, verb->done);
	else if (code != EXIT_OK && code != EXIT_NOT_FOUND)
		cli_fail(cli, code, "%s", text(answer, "errmsg"));
	tree_free(answer);
	return code;
}

/* "conn/child", "conn" or "child", as SAs have it, for the connection may not be configured any
 * more. */
static enum exit_code do_to_name(struct cli *cli, const struct verb *verb, const char *name)
{
	const char *slash = strchr(name, '/');
	enum exit_code code = do_to(cli, verb, name, NULL);
	char *conn;

	if (code == EXIT_NOT_FOUND)
		code = do_to(cli, verb, NULL, name);
	if (code != EXIT_NOT_FOUND || !slash)
		return code;
	conn = mem_alloc((size_t)(slash - name) + 1);
	if (!conn)
		return cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
	memcpy(conn, name, (size_t)(slash - name));
	code = do_to(cli, verb, conn, slash + 1);
	mem_free(conn);
	return code;
}

enum exit_code run_down(struct cli *cli)
{
	enum exit_code code;
	struct target t;

	if (!find_target(cli, &t, &code) || !cli_listen(cli, &code, "control-log"))
		goto out;
	code = do_to_name(cli, &down, t.name);
	if (code != EXIT_NOT_FOUND)
		goto out;
	if (list_empty(&t.found->children)) {
		cli_fail(cli, code, "there is no connection or child '%s'", t.name);
		goto out;
	}
	if (!cli->json)
		put("%s was down already\n", t.name);
	code = EXIT_OK;
out:
	tree_free(t.found);
	return code;
}

enum exit_code run_rekey(struct cli *cli)
{
	const char *name = cli->args[0];
	enum exit_code code;

	if (!cli_listen(cli, &code, "control-log"))
		return code;
	code = do_to_name(cli, &rekey, name);
	if (code == EXIT_NOT_FOUND)
		cli_fail(cli, code, "nothing called '%s' is up", name);
	return code;
}

enum exit_code run_redirect(struct cli *cli)
{
	const char *name = cli->args[0], *gateway = cli->args[1];
	struct tree *in = tree_new(), *answer;
	enum exit_code code;

	if (!in || tree_setf(in, "ike", "%s", name) || tree_setf(in, "gateway", "%s", gateway)) {
		tree_free(in);
		return cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
	}
	if (!cli_call(cli, &answer, &code, "redirect", in, NULL, NULL)) {
		tree_free(in);
		return code;
	}
	code = code_of_answer(answer);
	if (code != EXIT_OK)
		cli_fail(cli, code, "%s", text(answer, "errmsg"));
	else if (!cli->json)
		put("the peer of %s was told to go to %s\n", name, gateway);
	note_result(cli, name, NULL, answer);
	tree_free(answer);
	tree_free(in);
	return code;
}
