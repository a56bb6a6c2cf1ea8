/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - connections and secrets that come by the socket, or go. */
#include "api/vici/internal.h"
#include "base/alloc.h"

#include <stdio.h>
#include <strings.h>

enum err put_in_force(struct call *call, struct conf *next)
{
	char text[BACKEND_TEXT_MAX] = "";
	enum err e = call->ops->configure(call->ctx, next, text);

	conf_put(next);
	if (e)
		return reply_failed(call->out, e, "%s", text[0] ? text : err_text(e));
	return reply_ok(call->out);
}

/* The first error, or what the code means; warnings go to the log. */
static const char *first_error(const struct conf_diags *diags, enum err e)
{
	const char *found = NULL;

	for (uint32_t i = 0; i < diags->num && i < ARRAY_LEN(diags->list); i++) {
		if (diags->list[i].error && !found)
			found = diags->list[i].text;
		if (!diags->list[i].error)
			LOG(WARN, CFG, NULL, "%s", diags->list[i].text);
	}
	return found ? found : err_text(e);
}

/* struct change - a configuration in the making, and why it could not be made. */
struct change {
	struct conf *next;
	struct conf_diags *diags;
};

static enum err finish(struct call *call, struct change *change, enum err e)
{
	const char *why = first_error(change->diags, e);
	enum err res = e ? reply_failed(call->out, e, "%s", why) : put_in_force(call, change->next);

	mem_free(change->diags);
	return e == ERR_NOMEM ? e : res;
}

/* The message's one section is the connection. */
static const struct tree *only_section(const struct tree *message)
{
	const struct tree *found = NULL;

	tree_for_each (c, message) {
		if (found || c->kind != TREE_SECTION)
			return NULL;
		found = c;
	}
	return found;
}

static enum err load(struct call *call, const char *kind,
		     enum err (*with)(struct conf **out, struct conf_diags *diags, struct conf *old,
				      const struct tree *section))
{
	const struct tree *section = only_section(call->in);
	struct change change = {0};

	if (!section)
		return reply_failed(call->out, ERR_INVAL, "one %s was expected", kind);
	change.diags = mem_alloc(sizeof(*change.diags));
	if (!change.diags)
		return ERR_NOMEM;
	return finish(call, &change,
		      with(&change.next, change.diags, call->ops->conf(call->ctx), section));
}

enum err cmd_load_conn(struct call *call)
{
	return load(call, "connection", conf_with_conn);
}

enum err cmd_load_pool(struct call *call)
{
	return load(call, "pool", conf_with_pool);
}

/* The value of key; answers the call when it is missing. */
static const char *required(struct call *call, const char *key, enum err *out_err)
{
	const char *text = tree_get(call->in, key);

	if (!text)
		*out_err = reply_failed(call->out, ERR_INVAL, "'%s' is missing", key);
	return text;
}

static enum err unload(struct call *call, const char *key, const char *kind,
		       enum err (*without)(struct conf **out, struct conf *old, const char *name))
{
	enum err e = ERR_OK;
	const char *name = required(call, key, &e);
	struct conf *next;

	if (!name)
		return e;
	e = without(&next, call->ops->conf(call->ctx), name);
	if (e == ERR_NOT_FOUND)
		return reply_failed(call->out, e, "there is no %s '%s'", kind, name);
	return e ? e : put_in_force(call, next);
}

enum err cmd_unload_conn(struct call *call)
{
	return unload(call, "name", "connection", conf_without_conn);
}

enum err cmd_unload_pool(struct call *call)
{
	return unload(call, "name", "pool", conf_without_pool);
}

enum err cmd_unload_shared(struct call *call)
{
	return unload(call, "id", "secret", conf_without_secret);
}

enum err cmd_get_conns(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);
	struct tree *list;

	TRY(tree_list(call->out, &list, "conns"));
	for (uint32_t i = 0; i < conf->num_conns; i++)
		TRY(tree_append(list, conf->conns[i]->name, strlen(conf->conns[i]->name)));
	return ERR_OK;
}

enum err cmd_get_shared(struct call *call)
{
	const struct conf *conf = call->ops->conf(call->ctx);
	struct tree *list;

	TRY(tree_list(call->out, &list, "keys"));
	for (uint32_t i = 0; i < conf->num_secrets; i++) {
		const struct conf_secret *s = conf->secrets[i];

		/* Whoever loads secrets takes away those that are not his: keys are none, and
		 * what is shared with RADIUS servers is of the file alone. */
		if (!s->token && s->kind != CONF_SECRET_RADIUS)
			TRY(tree_append(list, s->name, strlen(s->name)));
	}
	return ERR_OK;
}

/* The owners' names, borrowed. Errors: LIMIT, MALFORMED. */
static enum err collect_owners(struct conf_secret_params *params,
			       const char *owners[CONF_SECRET_MAX_IDS], const struct tree *in)
{
	const struct tree *list = tree_child(in, "owners");

	params->owners = owners;
	if (!list || list->kind != TREE_LIST)
		return ERR_OK;
	tree_for_each (item, list) {
		if (params->num_owners == CONF_SECRET_MAX_IDS)
			return ERR_LIMIT;
		if (strlen(item->value) != item->value_len)
			return ERR_MALFORMED;
		owners[params->num_owners++] = item->value;
	}
	return ERR_OK;
}

static enum err load_secret(struct call *call, const struct tree *data, enum conf_secret_kind kind)
{
	const char *owners[CONF_SECRET_MAX_IDS], *id = tree_get(call->in, "id");
	struct conf_secret_params params = {
		.kind = kind,
		.name = id ? id : "unnamed",
		.value = bytes_of(data->value, data->value_len),
	};
	struct change change = {0};

	if (collect_owners(&params, owners, call->in))
		return reply_failed(call->out, ERR_LIMIT,
				    "a secret has at most %d identities, which are text",
				    CONF_SECRET_MAX_IDS);
	change.diags = mem_alloc(sizeof(*change.diags));
	if (!change.diags)
		return ERR_NOMEM;
	return finish(
		call, &change,
		conf_with_secret(&change.next, change.diags, call->ops->conf(call->ctx), &params));
}

static bool secret_kind(enum conf_secret_kind *out, const char *type)
{
	static const char *const names[] = {
		[CONF_SECRET_IKE] = "IKE", [CONF_SECRET_EAP] = "EAP", [CONF_SECRET_PPK] = "PPK"};

	for (unsigned int i = 0; i < ARRAY_LEN(names); i++) {
		if (!names[i] || strcasecmp(type, names[i]) != 0) /* a server's is not loaded so */
			continue;
		*out = (enum conf_secret_kind)i;
		return true;
	}
	return false;
}

enum err cmd_load_shared(struct call *call)
{
	const struct tree *data = tree_child(call->in, "data");
	enum conf_secret_kind kind;
	enum err e = ERR_OK;
	const char *type = required(call, "type", &e);

	if (!type)
		return e;
	if (!secret_kind(&kind, type))
		return reply_failed(call->out, ERR_UNSUPPORTED,
				    "secrets of type '%.20s' are not supported yet: only IKE, EAP "
				    "and PPK are",
				    type);
	if (!data || data->kind != TREE_VALUE)
		return reply_failed(call->out, ERR_INVAL, "'data' is missing");
	return load_secret(call, data, kind);
}

enum err cmd_clear_creds(struct call *call)
{
	struct conf *next;
	enum err e = conf_without_creds(&next, call->ops->conf(call->ctx));

	return e ? e : put_in_force(call, next);
}
