/* SPDX-License-Identifier: Apache-2.0 */
#include "control/conf/values.h"

#include "base/clock.h"

#include <ctype.h>
#include <strings.h>

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcasecmp(text, *words) == 0)
			return true;
	}
	return false;
}

enum err value_bool(bool *out, const char *text)
{
	static const char *const yes[] = {"yes", "true", "enabled", "1", NULL};
	static const char *const no[] = {"no", "false", "disabled", "0", NULL};

	if (!is_one_of(text, yes) && !is_one_of(text, no))
		return ERR_MALFORMED;
	*out = is_one_of(text, yes);
	return ERR_OK;
}

/* Digits at the beginning of text; *end is what follows. */
static enum err leading_number(uint64_t *out, const char **end, const char *text)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)*text))
		return ERR_MALFORMED;
	for (; isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return ERR_LIMIT;
	}
	*out = v;
	*end = text;
	return ERR_OK;
}

enum err value_u64(uint64_t *out, const char *text, uint64_t max)
{
	const char *end;
	uint64_t v;
	enum err e = leading_number(&v, &end, text);

	if (e)
		return e;
	if (*end)
		return ERR_MALFORMED;
	if (v > max)
		return ERR_LIMIT;
	*out = v;
	return ERR_OK;
}

/* A number and one of the suffixes' letters, which multiplies it. */
static enum err with_suffix(uint64_t *out, const char *text, const char *letters,
			    const uint64_t *factors, uint64_t max)
{
	const char *end, *letter;
	uint64_t v, factor = 1;
	enum err e = leading_number(&v, &end, text);

	if (e)
		return e;
	while (*end == ' ')
		end++;
	if (*end) {
		letter = strchr(letters, tolower((unsigned char)*end));
		if (!letter || end[1])
			return ERR_MALFORMED;
		factor = factors[letter - letters];
	}
	if (__builtin_mul_overflow(v, factor, &v) || v > max)
		return ERR_LIMIT;
	*out = v;
	return ERR_OK;
}

#define YEARS_100_S (100ull * 366 * 86400)

enum err value_time(uint64_t *out_ns, const char *text)
{
	static const uint64_t factors[] = {1, 60, 3600, 86400};
	uint64_t s;
	enum err e = with_suffix(&s, text, "smhd", factors, YEARS_100_S);

	if (!e)
		*out_ns = s * NS_PER_S;
	return e;
}

enum err value_size(uint64_t *out, const char *text)
{
	static const uint64_t factors[] = {1ull << 10, 1ull << 20, 1ull << 30};

	return with_suffix(out, text, "kmg", factors, UINT64_MAX / 4);
}

void value_items_init(struct value_items *it, const struct tree *node)
{
	*it = (struct value_items){.node = node};
	if (node->kind == TREE_LIST)
		it->next = node->children.next;
	else if (node->kind == TREE_VALUE)
		it->rest = node->value;
}

/* Text between start and end without the blanks around it. */
static enum err copy_trimmed(char *out, const char *start, const char *end)
{
	while (start < end && isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	if ((size_t)(end - start) >= VALUE_ITEM_MAX)
		return ERR_LIMIT;
	memcpy(out, start, (size_t)(end - start));
	out[end - start] = '\0';
	return ERR_OK;
}

static enum err next_of_list(struct value_items *it, char *out)
{
	const struct tree *item;

	if (!it->next || it->next == &it->node->children)
		return ERR_NOT_FOUND;
	item = list_entry(it->next, struct tree, node);
	it->next = it->next->next;
	return copy_trimmed(out, item->value, item->value + strlen(item->value));
}

static enum err next_of_text(struct value_items *it, char *out)
{
	const char *start = it->rest;
	size_t len;

	if (!start || !*start)
		return ERR_NOT_FOUND;
	len = strcspn(start, ",");
	it->rest = start + len + (start[len] == ',');
	return copy_trimmed(out, start, start + len);
}

enum err value_items_next(struct value_items *it, char out[static VALUE_ITEM_MAX])
{
	enum err e;

	do {
		e = it->node->kind == TREE_LIST ? next_of_list(it, out) : next_of_text(it, out);
	} while (!e && !*out);
	return e;
}
