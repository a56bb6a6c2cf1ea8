/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the `latchkey` program: options, the table of commands, and its help. */
#include "api/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* LOOK_TIMEOUT_S - a daemon that does not answer a question within this is as good as down. */
#define LOOK_TIMEOUT_S 10

static const struct word words[] = {
	{"show", "[NAME]", "every connection: its state, SAs, paths and last failure", 1, 0,
	 run_show},
	{"up", "NAME", "bring up a connection, a child, or CONNECTION/CHILD", 1, 1, run_up},
	{"down", "NAME", "take it down", 1, 1, run_down},
	{"rekey", "NAME", "new keys for it now, without an interruption", 1, 1, run_rekey},
	{"redirect", "NAME GW", "name another gateway to the peer, its address or name", 2, 2,
	 run_redirect},
	{"sas", "[NAME]", "SAs, as swanctl --list-sas, with their paths", 1, 0, run_sas},
	{"conns", "[NAME]", "configured connections, as swanctl --list-conns", 1, 0, run_conns},
	{"paths", "[NAME]", "the paths to each peer: what they carry, and how well", 1, 0,
	 run_paths},
	{"path", "WHAT", "add, remove, move to or prefer a path (below)", 3, 1, run_path},
	{"top", "[NAME]", "the same live: throughput, loss, round trip, and handovers", 1, 0,
	 run_top},
	{"policies", "[NAME]", "what is protected now, and by whom", 1, 0, run_policies},
	{"log", "", "the daemon's log as it is written, until interrupted", 0, 0, run_log},
	{"load", "", "the configuration file again; on an error the old one stays", 0, 0, run_load},
	{"check", "[FILE]", "validate a configuration without using it", 1, 0, run_check},
	{"genkey", "[KIND]", "a private key: ed25519, ecdsa256, rsa3072 ... (PEM)", 1, 0,
	 run_genkey},
	{"pubkey", "[FILE]", "the public key of a private one, from FILE or standard input", 1, 0,
	 run_pubkey},
	{"run", "-- CMD", "a command that reaches the peer that is asked for, or nobody", INT_MAX,
	 1, run_run},
	{"stats", "", "totals of the daemon, and why packets were dropped", 0, 0, run_stats},
	{"version", "", "versions of this program and of the daemon", 0, 0, run_version},
};

static void print_help(FILE *to)
{
	fputs("usage: latchkey [--run-dir DIR] [--json] [--timeout S] [COMMAND [NAME]]\n\n", to);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		fprintf(to, "  %-10s%-8s%s%s\n", words[i].name, words[i].args, words[i].help,
			i == 0 ? " (without a command)" : "");
	fputs("\n"
	      "  --run-dir DIR  where the daemon's socket is (" DEFAULT_RUN_DIR ")\n"
	      "  --json         machine-readable, with a version\n"
	      "  --timeout S    give up after S seconds\n"
	      "  --require P    run: what profile P demands\n"
	      "  --peer ID      run: whom the command is to reach\n"
	      "  --once         top: one table, as where there is no terminal\n"
	      "\n"
	      "  path add NAME --local ADDR [--remote ADDR] [--priority N] [--weight N]\n"
	      "  path remove [--now] NAME ID|ADDR\n"
	      "                                    it goes when its last packets have come\n"
	      "  path move [--hard] NAME ID|ADDR [--remote ADDR]\n"
	      "                                    traffic goes there; --hard: the old one goes\n"
	      "  path move --tag TAG NAME ID|ADDR  that of children with this path_tag alone\n"
	      "  path prefer NAME ID|ADDR          it goes before all others by its priority\n"
	      "\n"
	      "exit status: 0 done, 1 failed, 2 wrong usage, 3 the daemon is not running,\n"
	      "4 no such name, 5 not permitted, 6 the peer refused or was silent\n",
	      to);
}

enum exit_code cli_fail(struct cli *cli, enum exit_code code, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	json_t *error;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (char *p = line; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	fflush(stdout);
	fprintf(stderr, "latchkey: %s\n", line);
	error = json_pack("{s:i, s:s}", "code", (int)code, "text", line);
	json_object_set_new(cli->result, "error", error); /* without a result it is given back */
	return code;
}

static enum exit_code connection_failed(struct cli *cli, const char *path)
{
	if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
		return cli_fail(cli, EXIT_DAEMON_DOWN, "no daemon is running at %s", path);
	if (errno == EACCES || errno == EPERM)
		return cli_fail(cli, EXIT_NOT_PERMITTED, "%s: %s (are you root?)", path,
				strerror(errno));
	return cli_fail(cli, EXIT_FAILED, "%s: %s", path, strerror(errno));
}

enum exit_code cli_call_failed(struct cli *cli, enum err e, const char *what)
{
	switch ((int)e) {
	case ERR_PEER:
		return cli_fail(cli, EXIT_DAEMON_DOWN, "the daemon closed the connection");
	case ERR_TIMEOUT:
		return cli_fail(cli, EXIT_FAILED, "the daemon did not answer in time");
	case ERR_NOT_FOUND:
		return cli_fail(cli, EXIT_FAILED, "the daemon does not know '%s'", what);
	case ERR_SYS:
		return cli_fail(cli, EXIT_FAILED, "%s: %s", what, strerror(errno));
	default:
		return cli_fail(cli, EXIT_FAILED, "%s: %s", what, err_text(e));
	}
}

bool cli_call(struct cli *cli, struct tree **out, enum exit_code *out_code, const char *command,
	      const struct tree *message, client_event_fn *on_event, void *arg)
{
	enum err e = client_call(&cli->client, out, command, message, on_event, arg);

	if (e)
		*out_code = cli_call_failed(cli, e, command);
	return !e;
}

bool cli_listen(struct cli *cli, enum exit_code *out_code, const char *event)
{
	enum err e = client_listen(&cli->client, event);

	if (e)
		*out_code = cli_call_failed(cli, e, event);
	return !e;
}

bool cli_watch(struct cli *cli, enum exit_code *out_code, client_event_fn *on_event, void *arg)
{
	enum err e;

	cli->client.deadline_ns =
		cli->timeout_s ? clock_now_ns() + cli->timeout_s * NS_PER_S : TIME_NEVER;
	e = client_watch(&cli->client, on_event, arg);
	if (e == ERR_TIMEOUT)
		return true;
	*out_code = cli_call_failed(cli, e, "events");
	return false;
}

static const struct word *find_word(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	}
	return NULL;
}

static enum exit_code run_connected(struct cli *cli, const struct word *word)
{
	char path[4096];
	enum exit_code code;
	enum err e;

	snprintf(path, sizeof(path), "%s/%s", cli->run_dir, VICI_SOCKET);
	e = client_open(&cli->client, path);
	if (e == ERR_LIMIT)
		return cli_fail(cli, EXIT_FAILED, "%s: the path is too long", path);
	if (e)
		return connection_failed(cli, path);
	cli->client.deadline_ns =
		clock_now_ns() + (cli->timeout_s ? cli->timeout_s : LOOK_TIMEOUT_S) * NS_PER_S;
	code = word->run(cli);
	client_close(&cli->client);
	return code;
}

static enum exit_code usage(const char *why, const char *what)
{
	fprintf(stderr, "latchkey: %s '%s'\n\n", why, what);
	print_help(stderr);
	return EXIT_USAGE;
}

/* is_apart - it does not use the socket for management, and prints no JSON. */
static bool is_apart(const struct word *word)
{
	return word->run == run_genkey || word->run == run_pubkey || word->run == run_run;
}

static enum exit_code run(struct cli *cli, const struct word *word)
{
	enum exit_code code;

	if ((cli->require || cli->peer) && word->run != run_run)
		return usage("--require and --peer are not possible with", word->name);
	if (word->run != run_path &&
	    (cli->path.local || cli->path.remote || cli->path.priority || cli->path.weight ||
	     cli->path.tag || cli->path.hard || cli->path.now))
		return usage(
			"--local, --remote, --priority, --weight, --tag, --hard and --now are not "
			"possible with",
			word->name);
	if (cli->once && word->run != run_top)
		return usage("--once is not possible with", word->name);
	if (is_apart(word))
		return cli->json ? usage("--json is not possible with", word->name)
				 : word->run(cli);
	cli->result = json_pack("{s:i, s:s}", "version", JSON_VERSION, "command", word->name);
	if (!cli->result)
		return cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
	code = run_connected(cli, word);
	if (cli->json && !cli->streams) {
		json_dumpf(cli->result, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(cli->result);
	if (fflush(stdout) && code == EXIT_OK)
		return EXIT_FAILED;
	return code;
}

static bool parse_timeout(uint32_t *out, const char *value)
{
	char *end;
	unsigned long v = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || v == 0 || v > 86400)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* text_option - where the value of an option goes that is kept as it is; NULL: it is none of them.
 */
static const char **text_option(struct cli *cli, int c)
{
	switch (c) {
	case 'r':
		return &cli->run_dir;
	case 'R':
		return &cli->require;
	case 'p':
		return &cli->peer;
	case 'L':
		return &cli->path.local;
	case 'T':
		return &cli->path.remote;
	case 'P':
		return &cli->path.priority;
	case 'W':
		return &cli->path.weight;
	case 'G':
		return &cli->path.tag;
	default:
		return NULL;
	}
}

/* -1 to go on, or the exit code. */
static int parse_options(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
		{"run-dir", required_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'},
		{"require", required_argument, NULL, 'R'},
		{"peer", required_argument, NULL, 'p'},
		{"local", required_argument, NULL, 'L'},
		{"remote", required_argument, NULL, 'T'},
		{"priority", required_argument, NULL, 'P'},
		{"weight", required_argument, NULL, 'W'},
		{"tag", required_argument, NULL, 'G'},
		{"hard", no_argument, NULL, 'H'},
		{"now", no_argument, NULL, 'N'},
		{"once", no_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "hj", options, NULL)) != -1) {
		const char **value = text_option(cli, c);

		if (value)
			*value = optarg;
		else if (c == 'j')
			cli->json = true;
		else if (c == 'H')
			cli->path.hard = true;
		else if (c == 'N')
			cli->path.now = true;
		else if (c == 'o')
			cli->once = true;
		else if (c == 't' && !parse_timeout(&cli->timeout_s, optarg))
			return usage("not a number of seconds:", optarg);
		else if (c == 'h') {
			print_help(stdout);
			return EXIT_OK;
		} else if (c == '?') {
			print_help(stderr);
			return EXIT_USAGE;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct cli cli = {.run_dir = DEFAULT_RUN_DIR};
	const struct word *word = &words[0];
	int code = parse_options(&cli, argc, argv);

	if (code >= 0)
		return code;
	if (optind < argc) {
		word = find_word(argv[optind]);
		if (!word)
			return usage("no such command:", argv[optind]);
		optind++;
	}
	cli.args = argv + optind;
	cli.num_args = argc - optind;
	if (cli.num_args < word->min_args)
		return usage("a name is missing after", word->name);
	if (cli.num_args > word->max_args)
		return usage("too many names after", word->name);
	return (int)run(&cli, word);
}
