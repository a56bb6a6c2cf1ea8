/* SPDX-License-Identifier: Apache-2.0 */
/* mtu.c - keys of a child about the length of packets and their number: copy_df, mss_clamp,
 * tfc_padding, tfc_dummies. */
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <strings.h>

/* TFC_PADDING_MAX - longer than this no packet is. MSS_MIN - RFC 9293 3.7.1's default of IPv4. */
#define TFC_PADDING_MAX 65535
#define MSS_MIN         536

enum err set_copy_df(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {
		{"yes", DF_COPY},
		{"no", DF_CLEAR},
		{"set", DF_SET},
	};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		((struct conf_child *)obj)->copy_df = (enum df_copy)v;
	return ERR_OK;
}

enum err set_mss_clamp(struct check *c, void *obj, const struct tree *node)
{
	struct conf_child *child = obj;
	const char *text;
	uint64_t v;
	bool on;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (!value_u64(&v, text, UINT16_MAX) && v >= MSS_MIN)
		child->mss_clamp = (uint16_t)v;
	else if (!value_bool(&on, text))
		child->mss_clamp = on ? MSS_CLAMP_PATH : 0;
	else
		CHECK_ERROR(c, node, "'%.40s' is neither yes nor no nor a number from %d to %d",
			    text, MSS_MIN, UINT16_MAX);
	return ERR_OK;
}

enum err set_tfc_padding(struct check *c, void *obj, const struct tree *node)
{
	struct conf_child *child = obj;
	const char *text;
	uint64_t v;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (strcasecmp(text, "mtu") == 0)
		child->tfc_padding = TFC_PADDING_PATH;
	else if (!value_u64(&v, text, TFC_PADDING_MAX))
		child->tfc_padding = (uint32_t)v;
	else
		CHECK_ERROR(c, node, "'%.40s' is neither mtu nor a number from 0 to %d", text,
			    TFC_PADDING_MAX);
	return ERR_OK;
}

enum err set_tfc_dummies(struct check *c, void *obj, const struct tree *node)
{
	struct conf_child *child = obj;
	uint64_t v;

	if (take_number(c, &v, node, DUMMIES_MAX))
		child->tfc_dummies = (uint32_t)v;
	return ERR_OK;
}
