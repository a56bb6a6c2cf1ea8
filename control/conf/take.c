/* SPDX-License-Identifier: Apache-2.0 */
/* take.c - single values of each kind, with the remark that says what was expected. */
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <stdio.h>
#include <strings.h>

/* A list of one item is a value too: the control socket may send either. */
bool take_text(struct check *c, const char **out, const struct tree *node)
{
	const struct tree *only = node;

	if (node->kind == TREE_LIST && node->children.next->next == &node->children)
		only = list_entry(node->children.next, const struct tree, node);
	if (only->kind != TREE_VALUE) {
		CHECK_ERROR(c, node, "takes one value");
		return false;
	}
	if (strlen(only->value) != only->value_len) {
		CHECK_ERROR(c, node, "is not text");
		return false;
	}
	*out = only->value;
	return true;
}

bool take_bool(struct check *c, bool *out, const struct tree *node)
{
	const char *text;

	if (!take_text(c, &text, node))
		return false;
	if (!value_bool(out, text))
		return true;
	CHECK_ERROR(c, node, "'%.40s' is neither yes nor no", text);
	return false;
}

bool take_time(struct check *c, uint64_t *out_ns, const struct tree *node)
{
	const char *text;

	if (!take_text(c, &text, node))
		return false;
	if (!value_time(out_ns, text))
		return true;
	CHECK_ERROR(c, node, "'%.40s' is not a time: seconds, or a number with s, m, h or d", text);
	return false;
}

bool take_size(struct check *c, uint64_t *out, const struct tree *node)
{
	const char *text;

	if (!take_text(c, &text, node))
		return false;
	if (!value_size(out, text))
		return true;
	CHECK_ERROR(c, node, "'%.40s' is not a number of bytes (k, m and g may follow it)", text);
	return false;
}

bool take_number(struct check *c, uint64_t *out, const struct tree *node, uint64_t max)
{
	const char *text;

	if (!take_text(c, &text, node))
		return false;
	if (!value_u64(out, text, max))
		return true;
	CHECK_ERROR(c, node, "'%.40s' is not a number from 0 to %llu", text,
		    (unsigned long long)max);
	return false;
}

bool take_word(struct check *c, int *out, const struct tree *node, const struct take_word *words,
	       size_t num)
{
	char known[120] = "";
	const char *text;

	if (!take_text(c, &text, node))
		return false;
	for (size_t i = 0; i < num; i++) {
		size_t used = strlen(known);

		if (strcasecmp(words[i].word, text) == 0) {
			*out = words[i].value;
			return true;
		}
		snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", words[i].word);
	}
	CHECK_ERROR(c, node, "'%.40s' is none of: %s", text, known);
	return false;
}

bool take_item(struct check *c, char out[static VALUE_ITEM_MAX], struct value_items *it,
	       const struct take_list *list)
{
	const enum err e = value_items_next(it, out);

	if (!e && list->num < list->max)
		return true;
	if (!e)
		CHECK_ERROR(c, it->node, "more than %u %s", list->max, list->what);
	else if (e != ERR_NOT_FOUND)
		CHECK_ERROR(c, it->node, "one of the %s is too long", list->what);
	return false;
}

void take_selectors(struct check *c, const struct selector_list *to, const struct tree *node)
{
	char item[VALUE_ITEM_MAX];
	struct value_items it;

	value_items_init(&it, node);
	while (take_item(c, item, &it, &(struct take_list){"selectors", *to->num, to->max}))
		if (to->parse(to->list, *to->num, item))
			CHECK_ERROR(c, node,
				    "'%.60s' is not a selector: %s, then possibly [protocol/port]",
				    item, to->kinds);
		else
			++*to->num;
}
