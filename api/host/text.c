/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

static bool make_room(struct text *t)
{
	size_t cap = t->cap ? t->cap * 2 : 4 * TEXT_PIECE_MAX;
	char *grown;

	if (t->cap - t->len > TEXT_PIECE_MAX)
		return true;
	grown = mem_grow(t->s, cap, 1);
	if (!grown) {
		t->err = ERR_NOMEM;
		return false;
	}
	t->s = grown;
	t->cap = cap;
	return true;
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	if (t->err || !make_room(t))
		return;
	va_start(args, fmt);
	n = vsnprintf(t->s + t->len, t->cap - t->len, fmt, args);
	va_end(args);
	if (n < 0 || n > TEXT_PIECE_MAX) {
		t->s[t->len] = '\0';
		t->err = ERR_LIMIT;
		return;
	}
	t->len += (size_t)n;
}

void text_fini(struct text *t)
{
	mem_free(t->s);
	*t = (struct text){0};
}
