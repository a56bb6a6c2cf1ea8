/* SPDX-License-Identifier: Apache-2.0 */
/* path_request.c - what a client says of a path, as the engine takes it. */
#include "api/vici/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* take_number - *out stays where nothing is said; false: it is none, or over max. */
static bool take_number(uint32_t *out, const struct tree *in, const char *key, uint32_t max)
{
	const char *text = tree_get(in, key);
	char *end;
	unsigned long v;

	if (!text)
		return true;
	v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || v > max)
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool take_address(struct ip_addr *out, const struct tree *in, const char *key)
{
	const char *text = tree_get(in, key);

	return !text || ip_addr_parse(out, text) == ERR_OK;
}

static bool take_bool(bool *out, const struct tree *in, const char *key)
{
	const char *text = tree_get(in, key);

	*out = text && strcmp(text, "yes") == 0;
	return !text || *out || strcmp(text, "no") == 0;
}

/* take_tag - of a child, in what moves traffic. */
static bool take_tag(const char **out, const struct tree *in, enum engine_path_act act)
{
	*out = tree_get(in, "tag");
	return !*out || (**out && strlen(*out) <= CONF_TAG_MAX &&
			 (act == ENGINE_PATH_SOFT || act == ENGINE_PATH_HARD));
}

static bool take_act(enum engine_path_act *out, const struct tree *in)
{
	static const char *const acts[] = {
		[ENGINE_PATH_ADD] = "add",       [ENGINE_PATH_REMOVE] = "remove",
		[ENGINE_PATH_SOFT] = "soft",     [ENGINE_PATH_HARD] = "hard",
		[ENGINE_PATH_PREFER] = "prefer",
	};
	const char *text = tree_get(in, "act");

	for (size_t i = 0; text && i < ARRAY_LEN(acts); i++)
		if (strcmp(acts[i], text) == 0) {
			*out = (enum engine_path_act)i;
			return true;
		}
	return false;
}

/* take - false: *out_key is what cannot be understood. */
static bool take(struct engine_path_request *out, const char **out_key, const struct tree *in)
{
	uint32_t id = 0, priority = 0, weight = 1;
	const struct {
		const char *key;
		bool ok;
	} taken[] = {
		{"act", take_act(&out->act, in)},
		{"now", take_bool(&out->now, in, "now")},
		{"ike-id", take_number(&out->ike_id, in, "ike-id", UINT32_MAX)},
		{"path", take_number(&id, in, "path", UINT16_MAX)},
		{"local", take_address(&out->local, in, "local")},
		{"remote", take_address(&out->remote, in, "remote")},
		{"priority", take_number(&priority, in, "priority", UINT8_MAX)},
		{"weight", take_number(&weight, in, "weight", UINT16_MAX) && weight > 0},
		{"tag", take_tag(&out->tag, in, out->act)},
	};

	out->name = tree_get(in, "name");
	out->id = (uint16_t)id;
	out->priority = (uint8_t)priority;
	out->weight = (uint16_t)weight;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (!taken[i].ok) {
			*out_key = taken[i].key;
			return false;
		}
	return true;
}

/* lacks - what is needed and was not said, or NULL. */
static const char *lacks(const struct engine_path_request *req)
{
	const bool any = ip_addr_is_any(&req->local);

	if (!req->name && !req->ike_id)
		return "whose path is it: `name` or `ike-id`?";
	if (req->act == ENGINE_PATH_ADD && any)
		return "where does the path begin: `local`?";
	return !req->id && any ? "which path is it: `path` or `local`?" : NULL;
}

enum err path_request_take(struct engine_path_request *out, const struct tree *in,
			   char text[BACKEND_TEXT_MAX])
{
	const char *key, *lack;

	*out = (struct engine_path_request){.act = ENGINE_PATH_ADD};
	if (!take(out, &key, in)) {
		snprintf(text, BACKEND_TEXT_MAX, "`%s` is not said as it has to be", key);
		return ERR_INVAL;
	}
	lack = lacks(out);
	if (!lack)
		return ERR_OK;
	snprintf(text, BACKEND_TEXT_MAX, "%s", lack);
	return ERR_INVAL;
}
