/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - keys and certificates on PKCS#11 tokens: secrets.token<suffix>, where they lie, and
 * latchkey.pkcs11, the modules that they are spoken to by. */
#include "base/alloc.h"
#include "control/conf/check.h"
#include "control/conf/values.h"

#include <sodium.h>
#include <stdio.h>

/* PIN_MAX - longer than the PIN of any token. */
#define PIN_MAX 255

/* struct token_draft - what a section of secrets says. */
struct token_draft {
	struct conf_token token;
	const char *pin;
};

/* ---- where it lies --------------------------------------------------------------------------- */

void token_take_handle(struct check *c, struct conf_token *out, const struct tree *node)
{
	const char *text, *end;
	size_t len;

	if (!take_text(c, &text, node))
		return;
	if (strncasecmp(text, "0x", 2) == 0)
		text += 2;
	if (sodium_hex2bin(out->handle, sizeof(out->handle), text, strlen(text), ": ", &len,
			   &end) ||
	    *end || !len)
		CHECK_ERROR(c, node,
			    "'%.60s' is not the CKA_ID of an object in hexadecimal, of 1 to %d "
			    "bytes",
			    text, CONF_TOKEN_HANDLE_MAX);
	else
		out->handle_len = (uint32_t)len;
}

void token_take_slot(struct check *c, struct conf_token *out, const struct tree *node)
{
	uint64_t v;

	if (take_number(c, &v, node, UINT64_MAX - 1))
		out->slot = v;
}

void token_take_module(struct check *c, struct conf_token *out, const struct tree *node)
{
	const char *text;

	if (!take_text(c, &text, node))
		return;
	if (strlen(text) >= sizeof(out->module))
		CHECK_ERROR(c, node, "'%.60s' is longer than a module's name: %zu characters", text,
			    sizeof(out->module) - 1);
	else
		snprintf(out->module, sizeof(out->module), "%s", text);
}

bool token_check(struct check *c, const struct conf_token *t, const struct tree *section)
{
	if (t->handle_len)
		return true;
	if (!tree_child(section, "handle")) /* else what is wrong with it was said */
		CHECK_ERROR(c, section, "has no 'handle', the CKA_ID of an object on a token");
	return false;
}

/* ---- secrets.token<suffix> ------------------------------------------------------------------- */

enum err set_token_handle(struct check *c, void *obj, const struct tree *node)
{
	token_take_handle(c, &((struct token_draft *)obj)->token, node);
	return ERR_OK;
}

enum err set_token_slot(struct check *c, void *obj, const struct tree *node)
{
	token_take_slot(c, &((struct token_draft *)obj)->token, node);
	return ERR_OK;
}

enum err set_token_module(struct check *c, void *obj, const struct tree *node)
{
	token_take_module(c, &((struct token_draft *)obj)->token, node);
	return ERR_OK;
}

enum err set_token_pin(struct check *c, void *obj, const struct tree *node)
{
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (!*text || strlen(text) > PIN_MAX) /* not a word of it is shown */
		CHECK_ERROR(c, node, "has 1 to %d characters", PIN_MAX);
	else
		((struct token_draft *)obj)->pin = text;
	return ERR_OK;
}

enum err token_secret_new(struct check *c, struct conf_secret **out, const char *name,
			  const struct tree *section)
{
	struct token_draft d = {.token = {.slot = CONF_TOKEN_ANY}};
	const uint32_t errors = c->diags->num_errors;
	enum err e = check_section(c, SCOPE_TOKEN_SECRET, &d, section);

	*out = NULL;
	if (e || !token_check(c, &d.token, section))
		return e;
	if (!d.pin && c->diags->num_errors == errors)
		CHECK_ERROR(c, section,
			    "has no 'pin': nobody is there to type it when the key is needed");
	if (c->diags->num_errors != errors)
		return ERR_OK;
	return secret_new_from(c, out,
			       &(struct conf_secret_params){.kind = CONF_SECRET_TOKEN,
							    .name = name,
							    .value = bytes_of(d.pin, strlen(d.pin)),
							    .token = &d.token},
			       section);
}

enum err set_token_secret(struct check *c, void *obj, const struct tree *node)
{
	struct conf_secret *s = NULL;
	enum err e = check_name(c, node) ? token_secret_new(c, &s, node->name, node) : ERR_OK;

	return e || !s ? e : secret_add(obj, s);
}

/* ---- latchkey.pkcs11 ------------------------------------------------------------------------- */

enum err set_module_path(struct check *c, void *obj, const struct tree *node)
{
	struct conf_module *m = obj;
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (text[0] != '/' || strlen(text) >= sizeof(m->path))
		CHECK_ERROR(c, node, "'%.60s': a whole path was expected, shorter than %zu bytes",
			    text, sizeof(m->path));
	else
		snprintf(m->path, sizeof(m->path), "%s", text);
	return ERR_OK;
}

static enum err add_module(struct check *c, struct conf_daemon *d, const struct tree *section)
{
	const uint32_t errors = c->diags->num_errors;
	struct conf_module m = {.name = ""};
	enum err e;

	if (section->kind != TREE_SECTION || strlen(section->name) >= sizeof(m.name)) {
		CHECK_ERROR(c, section, "is a section with a name of 1 to %zu characters",
			    sizeof(m.name) - 1);
		return ERR_OK;
	}
	snprintf(m.name, sizeof(m.name), "%s", section->name);
	e = check_section(c, SCOPE_MODULE, &m, section);
	if (!e && !m.path[0] && c->diags->num_errors == errors)
		CHECK_ERROR(c, section, "has no 'path', that of a PKCS#11 module");
	d->modules[d->num_modules++] = m;
	return e;
}

enum err set_modules(struct check *c, void *obj, const struct tree *node)
{
	struct conf_daemon *d = obj;

	tree_for_each (section, node) {
		size_t mark = check_enter(c, section->name);
		enum err e = ERR_OK;

		if (d->num_modules < CONF_MAX_MODULES)
			e = add_module(c, d, section);
		else
			CHECK_ERROR(c, section, "there are more than %d", CONF_MAX_MODULES);
		check_leave(c, mark);
		if (e)
			return e;
	}
	return ERR_OK;
}

const struct conf_module *conf_find_module(const struct conf_daemon *d, const char *name)
{
	if (!*name)
		return d->num_modules == 1 ? &d->modules[0] : NULL;
	for (uint32_t i = 0; i < d->num_modules; i++) {
		if (strcmp(d->modules[i].name, name) == 0)
			return &d->modules[i];
	}
	return NULL;
}

bool conf_token_equal(const struct conf_token *a, const struct conf_token *b)
{
	return strcmp(a->module, b->module) == 0 && a->slot == b->slot &&
	       bytes_equal(bytes_of(a->handle, a->handle_len), bytes_of(b->handle, b->handle_len));
}
