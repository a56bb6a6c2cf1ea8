/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.c - latchkey-load: the daemon's configuration file again, whole or not at all, and
 * latchkey-check: a file is read, validated and forgotten. The answer holds every remark as lists
 * "errors" and "warnings".
 */
#include "api/vici/internal.h"
#include "base/alloc.h"

static enum err set_remarks(struct tree *out, const struct conf_diags *diags, bool errors)
{
	struct tree *list;

	TRY(tree_list(out, &list, errors ? "errors" : "warnings"));
	for (uint32_t i = 0; i < diags->num && i < ARRAY_LEN(diags->list); i++) {
		const struct conf_diag *d = &diags->list[i];

		if (d->error == errors)
			TRY(tree_append(list, d->text, strlen(d->text)));
	}
	return ERR_OK;
}

static enum err answer(struct call *call, const struct conf_diags *diags, enum err e,
		       const char *consequence)
{
	if (e)
		TRY(reply_failed(call->out, e, "%s%s",
				 e == ERR_NOT_FOUND ? "there is no configuration file"
				 : e == ERR_CONFIG  ? "the configuration has errors"
						    : err_text(e),
				 consequence));
	else
		TRY(reply_ok(call->out));
	TRY(set_remarks(call->out, diags, true));
	return set_remarks(call->out, diags, false);
}

enum err cmd_latchkey_load(struct call *call)
{
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	enum err e;

	if (!diags)
		return ERR_NOMEM;
	e = call->ops->load(call->ctx, diags);
	e = answer(call, diags, e, "; the old one stays in force");
	mem_free(diags);
	return e;
}

enum err cmd_latchkey_check(struct call *call)
{
	struct conf_diags *diags = mem_alloc(sizeof(*diags));
	enum err e;

	if (!diags)
		return ERR_NOMEM;
	e = call->ops->check(call->ctx, diags, tree_get(call->in, "file"));
	e = answer(call, diags, e, "");
	mem_free(diags);
	return e;
}
