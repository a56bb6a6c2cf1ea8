/* SPDX-License-Identifier: Apache-2.0 */
#include "control/conf/diag.h"

#include <stdarg.h>
#include <stdio.h>

static void clean(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			*text = '?';
	}
}

/* "file:line: path: " as far as they are known; returns its length. */
static size_t write_place(char *buf, size_t size, struct conf_place at)
{
	int n = 0;

	if (at.file)
		n = snprintf(buf, size, "%.100s:%u: ", at.file, at.line);
	if (at.path && at.path[0] && n >= 0 && (size_t)n < size)
		n += snprintf(buf + n, size - (size_t)n, "%.100s: ", at.path);
	return n < 0 ? 0 : (size_t)n;
}

void conf_diag_add(struct conf_diags *d, bool error, struct conf_place at, const char *fmt, ...)
{
	struct conf_diag *diag;
	size_t used;
	va_list ap;

	if (error)
		d->num_errors++;
	if (d->num++ >= ARRAY_LEN(d->list))
		return;
	diag = &d->list[d->num - 1];
	diag->error = error;
	used = write_place(diag->text, sizeof(diag->text), at);
	if (used < sizeof(diag->text)) {
		va_start(ap, fmt);
		vsnprintf(diag->text + used, sizeof(diag->text) - used, fmt, ap);
		va_end(ap);
	}
	clean(diag->text);
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

#define WORD_MAX 40

/* Levenshtein's distance, one row at a time; a swap of neighbours costs two. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = min3(change, row[j] + 1, row[j - 1] + 1);
		}
	}
	return row[b_len];
}

const char *conf_nearest(const char *word, const char *const *words, size_t num)
{
	size_t len = strlen(word), best = len / 3 + 2;
	const char *found = NULL;

	if (len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < num; i++) {
		size_t other = strlen(words[i]), d;

		if (other > WORD_MAX)
			continue;
		d = distance(word, len, words[i], other);
		if (d < best) {
			best = d;
			found = words[i];
		}
	}
	return found;
}
