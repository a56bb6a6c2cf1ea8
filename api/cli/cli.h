/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - what the files of the `latchkey` program share. One thread.
 */
#pragma once

#include "api/cli/client.h"

#include <jansson.h>

/* enum exit_code - documented in the help; scripts rely on them. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_DAEMON_DOWN = 3,
	EXIT_NOT_FOUND = 4,
	EXIT_NOT_PERMITTED = 5,
	EXIT_PEER = 6,
};

/* DEFAULT_RUN_DIR - the daemon's run directory. */
#define DEFAULT_RUN_DIR "/run/latchkey"

/* JSON_VERSION - of the layout of --json; grows when something is renamed or taken away. */
#define JSON_VERSION 1

/* struct path_options - of `path`; NULL = not said. */
struct path_options {
	const char *local, *remote, *priority, *weight, *tag;
	bool hard, now;
};

/* struct cli - one run of the program. */
struct cli {
	const char *run_dir;
	bool json;
	uint32_t timeout_s; /* 0 = the command's own */
	char **args;        /* after the command's word */
	int num_args;
	const char *require, *peer; /* --require, --peer; NULL = not said */
	struct path_options path;
	bool once;            /* --once */
	struct client client; /* open while a command runs */
	json_t *result;       /* --json: what will be printed */
	bool streams;         /* --json: the command prints an object a line itself */
};

/* struct word - a command; the help is made from the table of them. */
struct word {
	const char *name;
	const char *args;
	const char *help;
	int max_args, min_args;
	enum exit_code (*run)(struct cli *cli);
};

/* The commands: each talks over cli->client and prints or fills in cli->result. */
enum exit_code run_show(struct cli *cli);
enum exit_code run_sas(struct cli *cli);
enum exit_code run_conns(struct cli *cli);
enum exit_code run_stats(struct cli *cli);
enum exit_code run_version(struct cli *cli);
enum exit_code run_up(struct cli *cli);
enum exit_code run_down(struct cli *cli);
enum exit_code run_genkey(struct cli *cli);
enum exit_code run_pubkey(struct cli *cli);
enum exit_code run_rekey(struct cli *cli);
enum exit_code run_redirect(struct cli *cli);
enum exit_code run_paths(struct cli *cli);
enum exit_code run_path(struct cli *cli);
enum exit_code run_top(struct cli *cli);
enum exit_code run_policies(struct cli *cli);
enum exit_code run_log(struct cli *cli);
enum exit_code run_load(struct cli *cli);
enum exit_code run_check(struct cli *cli);
/* run_run - the status of the command, where it was begun. run.c */
enum exit_code run_run(struct cli *cli);

/* cli_fail - say why, on stderr or in the JSON result; returns code. */
enum exit_code cli_fail(struct cli *cli, enum exit_code code, const char *fmt, ...) NONNULL(1, 3)
	PRINTF_LIKE(3, 4);

/* cli_call - client_call with its failures said; false then, with *out_code set. A daemon that
 * answers success = no is no failure here. */
bool cli_call(struct cli *cli, struct tree **out, enum exit_code *out_code, const char *command,
	      const struct tree *message, client_event_fn *on_event, void *arg) NONNULL(1, 2, 3, 4);

/* cli_call_failed - what client_call's failure means; returns the code. */
enum exit_code cli_call_failed(struct cli *cli, enum err e, const char *what) NONNULL(1, 3);

/* cli_listen - likewise for client_listen. */
bool cli_listen(struct cli *cli, enum exit_code *out_code, const char *event) NONNULL(1, 2, 3);

/* cli_watch - events from now on, until the time that was asked for is over (true) or the daemon
 * goes (false, with *out_code set). */
bool cli_watch(struct cli *cli, enum exit_code *out_code, client_event_fn *on_event, void *arg)
	NONNULL(1, 2, 3);

/* code_of_answer - which exit code the daemon's answer means. action.c */
enum exit_code code_of_answer(const struct tree *answer) NONNULL(1);

/* text - the value of key, or "" (never NULL). */
const char *text(const struct tree *t, const char *key) NONNULL(1, 2);

/* put - printf to stdout; control characters of what comes from elsewhere are replaced. */
void put(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* print_sa - one SA section in the layout of swanctl --list-sas, plus its path if it is there. Each
 * line is indented by `indent` blanks. print_conn - one of list-conn. print.c */
void print_sa(const struct tree *sa, int indent) NONNULL(1);
void print_conn(const struct tree *conn) NONNULL(1);
/* print_age - "3m 20s ago" of seconds. */
void print_age(const char *seconds) NONNULL(1);

/* json_of - a tree as JSON: sections are objects, lists arrays, known counters numbers. NULL on
 * shortage. json.c */
json_t *json_of(const struct tree *t) NONNULL(1);
/* json_named - json_of a section, with its name as the member "name". */
json_t *json_named(const struct tree *section) NONNULL(1);
