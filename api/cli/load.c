/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - the configuration file: put in force again, or only validated. */
#include "api/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void print_remarks(const struct tree *answer, const char *list, const char *kind)
{
	const struct tree *remarks = tree_child(answer, list);

	if (!remarks || remarks->kind != TREE_LIST)
		return;
	tree_for_each (remark, remarks)
		put("%s: %s\n", kind, remark->value);
}

static void tell(struct cli *cli, const struct tree *answer)
{
	json_t *all = json_of(answer);

	json_object_set(cli->result, "errors", json_object_get(all, "errors"));
	json_object_set(cli->result, "warnings", json_object_get(all, "warnings"));
	json_decref(all);
	if (cli->json)
		return;
	print_remarks(answer, "errors", "error");
	print_remarks(answer, "warnings", "warning");
}

static enum exit_code run_file(struct cli *cli, const char *command, const struct tree *message,
			       const char *done)
{
	enum exit_code code = EXIT_OK;
	struct tree *answer;

	if (!cli_call(cli, &answer, &code, command, message, NULL, NULL))
		return code;
	tell(cli, answer);
	if (strcmp(text(answer, "success"), "yes") != 0)
		code = cli_fail(cli, EXIT_FAILED, "%s", text(answer, "errmsg"));
	else if (!cli->json)
		put("%s\n", done);
	tree_free(answer);
	return code;
}

enum exit_code run_load(struct cli *cli)
{
	return run_file(cli, "latchkey-load", NULL, "the configuration is in force");
}

/* The daemon has another working directory than whoever asks. */
enum exit_code run_check(struct cli *cli)
{
	char *path = cli->num_args ? realpath(cli->args[0], NULL) : NULL;
	struct tree *message = tree_new();
	enum exit_code code;

	if (cli->num_args && !path)
		code = cli_fail(cli, EXIT_FAILED, "%s: %s", cli->args[0], strerror(errno));
	else if (!message || (path && tree_setf(message, "file", "%s", path)))
		code = cli_fail(cli, EXIT_FAILED, "%s", err_text(ERR_NOMEM));
	else
		code = run_file(cli, "latchkey-check", message, "no errors");
	tree_free(message);
	free(path);
	return code;
}
