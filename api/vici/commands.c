/* SPDX-License-Identifier: Apache-2.0 */
/* commands.c - the one table of commands, and how they answer. */
#include "api/vici/internal.h"

#include <stdarg.h>
#include <stdio.h>

enum err reply_ok(struct tree *out)
{
	return tree_setf(out, "success", "yes");
}

enum err reply_failed(struct tree *out, enum err why, const char *fmt, ...)
{
	char text[BACKEND_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	TRY(tree_setf(out, "success", "no"));
	TRY(tree_setf(out, "errmsg", "%s", text));
	return tree_setf(out, "latchkey-error", "%s", err_name(why));
}

static enum err refuse(struct call *call, const char *what)
{
	return reply_failed(call->out, ERR_UNSUPPORTED, "%s not supported yet", what);
}

static enum err cmd_install(struct call *call)
{
	return refuse(call, "trapping a child by command is (start_action = trap does it)");
}

static enum err cmd_done(struct call *call)
{
	return reply_ok(call->out);
}

const struct command vici_commands[] = {
	{"version", cmd_version},
	{"stats", cmd_stats},
	/* As in strongSwan it leaves connections alone, and there are no other settings. */
	{"reload-settings", cmd_done},
	{"get-algorithms", cmd_get_algorithms},
	{"initiate", cmd_initiate},
	{"terminate", cmd_terminate},
	{"rekey", cmd_rekey},
	{"redirect", cmd_redirect},
	{"install", cmd_install},
	{"uninstall", cmd_install},
	{"list-sas", cmd_list_sas},
	{"list-policies", cmd_list_policies},
	{"list-conns", cmd_list_conns},
	{"list-certs", cmd_list_certs},
	{"list-authorities", cmd_list_authorities},
	{"load-conn", cmd_load_conn},
	{"unload-conn", cmd_unload_conn},
	{"get-conns", cmd_get_conns},
	{"load-shared", cmd_load_shared},
	{"unload-shared", cmd_unload_shared},
	{"get-shared", cmd_get_shared},
	{"clear-creds", cmd_clear_creds},
	{"flush-certs", cmd_flush_certs},
	{"load-cert", cmd_load_cert},
	{"load-key", cmd_load_key},
	{"load-token", cmd_load_token},
	{"unload-key", cmd_unload_key},
	{"get-keys", cmd_get_keys},
	{"load-authority", cmd_load_authority},
	{"unload-authority", cmd_unload_authority},
	{"get-authorities", cmd_get_authorities},
	{"load-pool", cmd_load_pool},
	{"unload-pool", cmd_unload_pool},
	{"get-pools", cmd_get_pools},
	{"latchkey-show", cmd_latchkey_show},
	{"latchkey-stats", cmd_latchkey_stats},
	{"latchkey-policies", cmd_latchkey_policies},
	{"latchkey-paths", cmd_latchkey_paths},
	{"latchkey-path", cmd_latchkey_path},
	{"latchkey-load", cmd_latchkey_load},
	{"latchkey-check", cmd_latchkey_check},
	{0},
};
