/* SPDX-License-Identifier: Apache-2.0 */
/* side.c - local and remote sections: who we are, whom we expect, and how it is proven. */
#include "base/alloc.h"
#include "control/conf/check.h"

#include <strings.h>

/* struct side_draft - what the set functions fill in. */
struct side_draft {
	struct conf_side *side;
	bool remote;
	bool has_auth;
};

enum err set_auth(struct check *c, void *obj, const struct tree *node)
{
	struct side_draft *d = obj;
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	d->has_auth = true;
	if (strcasecmp(text, "psk") != 0)
		CHECK_ERROR(c, node, "'%.40s' is not supported yet: only psk is", text);
	d->side->auth = CONF_AUTH_PSK;
	return ERR_OK;
}

/* Only a star in front is a pattern; conf_id_parse() takes anything else as it is. */
static bool is_pattern(const char *text)
{
	return text[0] == '*' && text[1] != '\0';
}

static enum err set_pattern(struct check *c, struct side_draft *d, const struct tree *node,
			    const char *text)
{
	if (!d->remote)
		CHECK_ERROR(c, node, "'%.60s': a wildcard is possible for the remote side only",
			    text);
	else if (strlen(text) > sizeof(d->side->id.data) || strchr(text + 1, '*'))
		CHECK_ERROR(c, node, "'%.60s' is not an identity: only its beginning may be a '*'",
			    text);
	else if (!d->side->pattern && !(d->side->pattern = str_dup(text)))
		return ERR_NOMEM;
	return ERR_OK;
}

enum err set_id(struct check *c, void *obj, const struct tree *node)
{
	struct side_draft *d = obj;
	const char *text;
	enum err e;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (is_pattern(text))
		return set_pattern(c, d, node, text);
	e = conf_id_parse(&d->side->id, text);
	if (e == ERR_UNSUPPORTED)
		CHECK_ERROR(c, node, "'%.60s': this type of identity is not supported yet", text);
	else if (e)
		CHECK_ERROR(c, node, "'%.60s' is not an identity", text);
	return ERR_OK;
}

enum err side_check(struct check *c, struct conf_side *side, enum scope scope,
		    const struct tree *section)
{
	struct side_draft d = {.side = side, .remote = scope == SCOPE_REMOTE};
	enum err e = check_section(c, scope, &d, section);

	if (!e && !d.has_auth)
		CHECK_ERROR(c, section,
			    "auth is not set, which means pubkey, and that is not supported yet: "
			    "only psk is");
	return e;
}
