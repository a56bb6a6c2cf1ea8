/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - the daemon's log as it is written; with --json one object a line. */
#include "api/cli/cli.h"

#include <stdio.h>

static void print_plain(const struct tree *m)
{
	const char *conn = text(m, "ikesa-name");

	put("%-5s [%s]%s%s%s %s\n", text(m, "latchkey-level"), text(m, "group"),
	    conn[0] ? " <" : "", conn, conn[0] ? ">" : "", text(m, "msg"));
}

static void on_log(void *arg, const char *event, const struct tree *message)
{
	const struct cli *cli = arg;
	json_t *line;

	if (strcmp(event, "log") != 0)
		return;
	if (!cli->json) {
		print_plain(message);
	} else {
		line = json_of(message);
		json_dumpf(line, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(line);
	}
	fflush(stdout);
}

enum exit_code run_log(struct cli *cli)
{
	enum exit_code code;

	cli->streams = true;
	if (!cli_listen(cli, &code, "log") || !cli_watch(cli, &code, on_log, cli))
		return code;
	return EXIT_OK;
}
