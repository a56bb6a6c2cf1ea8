/* SPDX-License-Identifier: Apache-2.0 */
/* paths.c - the paths of what is up: paths shows them, path changes one. */
#include "api/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- paths ----------------------------------------------------------------------------------- */

/* struct listing - what is shown as it comes. */
struct listing {
	struct cli *cli;
	const char *only; /* a connection or a peer; NULL: all */
	json_t *list;
	uint32_t num;
};

static bool is_meant(const char *only, const struct tree *sa)
{
	return !only || strcmp(only, sa->name) == 0 || strcmp(only, text(sa, "remote-id")) == 0;
}

static double number(const struct tree *t, const char *key)
{
	return strtod(text(t, key), NULL);
}

static void print_quality(const struct tree *path)
{
	if (text(path, "rtt-us")[0])
		put(", RTT %.1f ms", number(path, "rtt-us") / 1e3);
	if (text(path, "loss-permille")[0])
		put(", loss %.1f %%", number(path, "loss-permille") / 10);
	if (text(path, "rate")[0])
		put(", rate %.1f Mb/s", number(path, "rate") * 8 / 1e6);
	if (text(path, "pmtu")[0])
		put(", MTU %s", text(path, "pmtu"));
}

static void print_one(const struct tree *path)
{
	put("  %s: %s - %s%s, priority %s, weight %s, %s", path->name, text(path, "local"),
	    text(path, "remote"), strcmp(text(path, "encap"), "udp") == 0 ? ", in UDP" : "",
	    text(path, "priority"), text(path, "weight"), text(path, "state"));
	print_quality(path);
	put("\n    in %s packets, %s bytes; out %s packets, %s bytes\n", text(path, "rx-packets"),
	    text(path, "rx-bytes"), text(path, "tx-packets"), text(path, "tx-bytes"));
}

static void print_all(const struct tree *sa, const struct tree *paths)
{
	put("%s: #%s, peer %s", sa->name, text(sa, "uniqueid"), text(sa, "remote-id"));
	if (text(sa, "multiple-interfaces")[0])
		put(", %s; this side %s", text(sa, "path-policy"), text(sa, "multiple-interfaces"));
	else
		put(", one path: the peer has not agreed to several");
	put("\n");
	tree_for_each (path, paths)
		print_one(path);
}

/* note_all - each path is an object that says whose it is. */
static void note_all(json_t *list, const struct tree *sa, const struct tree *paths)
{
	static const char *const keys[] = {"uniqueid", "remote-id", "path-policy",
					   "multiple-interfaces"};

	tree_for_each (path, paths) {
		json_t *one = json_of(path);

		json_object_set_new(one, "connection", json_string(sa->name));
		json_object_set_new(one, "number", json_integer(strtoll(path->name, NULL, 10)));
		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			if (tree_child(sa, keys[i]))
				json_object_set_new(one, keys[i], json_of(tree_child(sa, keys[i])));
		json_array_append_new(list, one);
	}
}

static void on_paths(void *arg, const char *event, const struct tree *message)
{
	struct listing *l = arg;

	(void)event;
	tree_for_each (sa, message) {
		const struct tree *paths = tree_child(sa, "paths");

		if (!paths || !is_meant(l->only, sa))
			continue;
		l->num++;
		note_all(l->list, sa, paths);
		if (!l->cli->json)
			print_all(sa, paths);
	}
}

/* events_of - what happened last, of the paths that are shown. */
static json_t *events_of(const struct tree *answer, const char *only)
{
	json_t *list = json_array();

	tree_for_each (ev, tree_child(answer, "events"))
		if (!only || strcmp(text(ev, "connection"), only) == 0)
			json_array_append_new(list, json_of(ev));
	return list;
}

enum exit_code run_paths(struct cli *cli)
{
	struct listing l = {
		.cli = cli, .only = cli->num_args ? cli->args[0] : NULL, .list = json_array()};
	enum exit_code code;
	struct tree *answer;

	json_object_set_new(cli->result, "paths", l.list);
	if (!cli_listen(cli, &code, "latchkey-path") ||
	    !cli_call(cli, &answer, &code, "latchkey-paths", NULL, on_paths, &l))
		return code;
	if (tree_child(answer, "events"))
		json_object_set_new(cli->result, "events", events_of(answer, l.only));
	tree_free(answer);
	if (l.only && !l.num)
		return cli_fail(cli, EXIT_NOT_FOUND, "nothing called '%s' is up", l.only);
	return EXIT_OK;
}

/* ---- path ------------------------------------------------------------------------------------ */

/* struct verb - what is done to a path. */
static const struct verb {
	const char *name;
	const char *act, *act_hard; /* as the daemon has it; NULL: --hard is not possible */
	bool makes;                 /* it is named by --local, else by its number or address */
	bool waits;                 /* --now is possible */
	const char *done;
} verbs[] = {
	{"add", "add", NULL, true, false, "is there, and is used as soon as it answers"},
	{"remove", "remove", NULL, false, true, "is removed"},
	{"move", "soft", "hard", false, false, "has the traffic as soon as it carries"},
	{"prefer", "prefer", NULL, false, false, "goes before the others"},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* misuse - a sentence about what was said and cannot be, or NULL. */
static const char *misuse(const struct cli *cli, const struct verb *v)
{
	const struct path_options *o = &cli->path;

	if (!v)
		return "`path` is followed by add, remove, move or prefer";
	if (v->makes && !o->local)
		return "`path add` needs --local, an address of this host";
	if (v->makes ? cli->num_args != 2 : cli->num_args != 3)
		return v->makes ? "`path add` is followed by a connection or peer, and by no path"
				: "a connection or peer, and a path's number or address are needed";
	if (!v->makes && (o->local || o->priority || o->weight))
		return "--local, --priority and --weight are those of `path add`";
	if (!v->makes && !v->act_hard && o->remote)
		return "--remote is that of `path add` and `path move`";
	if (o->now && !v->waits)
		return "--now is that of `path remove`";
	if (o->tag && o->remote)
		return "--tag is of a path that is there, and --remote of a new one";
	if (!v->act_hard && (o->hard || o->tag))
		return "--hard and --tag are those of `path move`";
	return NULL;
}

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

/* ANSWER_S - a peer that says nothing for so long is not waited for. */
#define ANSWER_S 8

static enum err fill(struct tree *in, const struct cli *cli, const struct verb *v)
{
	const struct path_options *o = &cli->path;
	const char *which = v->makes ? o->local : cli->args[2];
	const struct {
		const char *key, *value;
	} said[] = {
		{"act", o->hard ? v->act_hard : v->act},
		{"now", o->now ? "yes" : NULL},
		{"name", cli->args[1]},
		{is_number(which) ? "path" : "local", which},
		{"remote", o->remote},
		{"priority", o->priority},
		{"weight", o->weight},
		{"tag", o->tag},
	};
	enum err e = ERR_OK;

	for (size_t i = 0; !e && i < ARRAY_LEN(said); i++)
		if (said[i].value)
			e = tree_setf(in, said[i].key, "%s", said[i].value);
	return e ? e
		 : tree_setf(in, "timeout", "%u",
			     (cli->timeout_s ? cli->timeout_s : ANSWER_S) * 1000);
}

static void tell(struct cli *cli, const struct verb *v, const struct tree *answer)
{
	const char *id = text(answer, "path"), *note = text(answer, "note");

	json_object_set_new(cli->result, "path", json_integer(strtoll(id, NULL, 10)));
	json_object_set_new(cli->result, "matches",
			    json_integer(strtoll(text(answer, "matches"), NULL, 10)));
	if (note[0])
		json_object_set_new(cli->result, "note", json_string(note));
	if (cli->json)
		return;
	if (strcmp(id, "0") == 0 && !v->makes)
		put("%s: the one path that the peer knows goes there\n", cli->args[1]);
	else if (strcmp(id, "0") == 0)
		put("%s: the peer, which decides, is told of the address\n", cli->args[1]);
	else if (cli->path.tag)
		put("%s: path %s has what is tagged %s as soon as it carries\n", cli->args[1], id,
		    cli->path.tag);
	else
		put("%s: path %s %s%s%s\n", cli->args[1], id, v->done, note[0] ? ": " : "", note);
}

enum exit_code run_path(struct cli *cli)
{
	const struct verb *v = find_verb(cli->args[0]);
	const char *wrong = misuse(cli, v);
	struct tree *in, *answer;
	enum exit_code code;

	if (wrong)
		return cli_fail(cli, EXIT_USAGE, "%s", wrong);
	in = tree_new();
	if (!in || fill(in, cli, v)) {
		tree_free(in);
		return cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
	}
	if (v->waits && !cli->path.now && !cli->json) {
		put("%s: path %s: its last packets are waited for, 2 s at most once the peer "
		    "knows\n",
		    cli->args[1], cli->args[2]);
		fflush(stdout);
	}
	cli->client.deadline_ns += ANSWER_S * NS_PER_S; /* the daemon is to say that itself */
	if (!cli_call(cli, &answer, &code, "latchkey-path", in, NULL, NULL)) {
		tree_free(in);
		return code;
	}
	tree_free(in);
	code = code_of_answer(answer);
	if (code)
		cli_fail(cli, code, "%s", text(answer, "errmsg"));
	else
		tell(cli, v, answer);
	tree_free(answer);
	return code;
}
