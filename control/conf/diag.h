/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag.h - how the parser and the validator put their remarks into words. Control thread.
 */
#pragma once

#include "control/conf/conf.h"

/* struct conf_place - where a remark belongs: a file and a line (file NULL: it came by the control
 * socket), and the section's dotted path for people ("connections.office", "" if none). */
struct conf_place {
	const char *file;
	uint32_t line;
	const char *path;
};

/* conf_diag_add - append a remark; beyond the list's room it is only counted. Control characters
 * in it are replaced. */
void conf_diag_add(struct conf_diags *d, bool error, struct conf_place at, const char *fmt, ...)
	NONNULL(1, 4) PRINTF_LIKE(4, 5);

/* conf_nearest - the one of num words that `word` most probably was meant to be: the fewest single
 * character edits, at most one more than a third of its length; NULL if none is near. */
const char *conf_nearest(const char *word, const char *const *words, size_t num) NONNULL(1);
