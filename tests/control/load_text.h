/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_text.h - for tests: a configuration out of a text, and what is said about it. One thread.
 */
#pragma once

#include <string.h>

#include "control/conf/conf.h"

/* load_text - the configuration of a text, one reference; *diags: what is said about it, lines of a
 * file "f". Errors: those of conf_parse_text() and conf_new(). */
static inline enum err load_text(struct conf **out, struct conf_diags *diags, const char *text)
{
	struct tree *t;
	enum err e;

	memset(diags, 0, sizeof(*diags));
	e = conf_parse_text(&t, diags, "f", text, strlen(text));
	if (e)
		return e;
	e = conf_new(out, diags, t);
	tree_free(t);
	return e;
}
