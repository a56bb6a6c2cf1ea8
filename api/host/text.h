/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - a string that grows, with a sticky error: add everything, then ask once. One thread.
 */
#pragma once

#include "base/err.h"

/* struct text - zero to begin with; s is NULL or ends with a NUL after len bytes. */
struct text {
	char *s;
	size_t len, cap;
	enum err err; /* NOMEM, LIMIT (one piece longer than TEXT_PIECE_MAX) */
};

/* TEXT_PIECE_MAX - bytes that one text_add() may append. */
#define TEXT_PIECE_MAX 1024

/* text_add - append formatted text. */
void text_add(struct text *t, const char *fmt, ...) NONNULL(1, 2) PRINTF_LIKE(2, 3);

/* text_fini - free it; the zero state is accepted. */
void text_fini(struct text *t) NONNULL(1);
