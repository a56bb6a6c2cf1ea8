/* SPDX-License-Identifier: Apache-2.0 */
/* secret.c - secrets.ike<suffix>, secrets.eap<suffix>, secrets.radius<suffix> and
 * secrets.ppk<suffix>: pre-shared keys, passwords, what is shared with RADIUS servers, post-quantum
 * pre-shared keys, and whose they are. */
#include "base/alloc.h"
#include "control/conf/check.h"

#include <sodium.h>

#define SECRET_MAX_LEN 4096
/* SECRET_WEAK_LEN - a shorter key can be tried out off-line by whoever answers an initiator. */
#define SECRET_WEAK_LEN 16
/* PPK_WEAK_LEN - the same by a quantum computer, which halves the bits (RFC 8784 6). */
#define PPK_WEAK_LEN 32

/* struct secret_draft - what a section says; decoded is wiped when it is taken over. */
struct secret_draft {
	uint8_t *decoded;
	size_t len;
	const char *owners[CONF_SECRET_MAX_IDS];
	uint32_t num_owners;
};

static void draft_fini(struct secret_draft *d)
{
	if (d->decoded)
		secret_wipe(d->decoded, d->len);
	mem_free(d->decoded);
}

/* "0x" and hex digits, "0s" and base64, or the text itself. Errors: MALFORMED. */
static enum err decode(uint8_t *out, size_t *out_len, const char *text)
{
	size_t len = strlen(text);
	const char *end = text + len;

	if (strncmp(text, "0x", 2) == 0) {
		if (sodium_hex2bin(out, len, text + 2, len - 2, "_: ", out_len, &end))
			return ERR_MALFORMED;
	} else if (strncmp(text, "0s", 2) == 0) {
		if (sodium_base642bin(out, len, text + 2, len - 2, " \n", out_len, &end,
				      sodium_base64_VARIANT_ORIGINAL))
			return ERR_MALFORMED;
	} else {
		memcpy(out, text, len);
		*out_len = len;
	}
	return *end ? ERR_MALFORMED : ERR_OK;
}

enum err set_secret_value(struct check *c, void *obj, const struct tree *node)
{
	struct secret_draft *d = obj;
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (strlen(text) > SECRET_MAX_LEN) {
		CHECK_ERROR(c, node, "is longer than %d bytes", SECRET_MAX_LEN);
		return ERR_OK;
	}
	draft_fini(d);
	d->len = strlen(text);
	d->decoded = mem_alloc(d->len + 1);
	if (!d->decoded)
		return ERR_NOMEM;
	if (decode(d->decoded, &d->len, text)) {
		/* Not a word of it is shown. */
		CHECK_ERROR(c, node, "is not valid %s after its prefix",
			    text[1] == 'x' ? "hex" : "base64");
		secret_wipe(d->decoded, strlen(text));
		d->len = 0;
	}
	return ERR_OK;
}

enum err set_secret_id(struct check *c, void *obj, const struct tree *node)
{
	struct secret_draft *d = obj;
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (d->num_owners == CONF_SECRET_MAX_IDS)
		CHECK_ERROR(c, node, "more than %d identities", CONF_SECRET_MAX_IDS);
	else
		d->owners[d->num_owners++] = text;
	return ERR_OK;
}

/* Why a secret of this kind is nothing without an identity; NULL: it is something. */
static const char *needs_owner(enum conf_secret_kind kind)
{
	static const char *const why[] = {
		[CONF_SECRET_EAP] = "a password is somebody's",
		[CONF_SECRET_RADIUS] =
			"it is that of a server, by its name in latchkey.radius.servers",
		[CONF_SECRET_PPK] = "a PPK is found by its name",
	};

	return kind < ARRAY_LEN(why) ? why[kind] : NULL;
}

/* What is weak is used, and told. */
static void check_strength(struct check *c, const struct conf_secret_params *p,
			   const struct tree *node)
{
	if (p->kind == CONF_SECRET_IKE && p->value.len < SECRET_WEAK_LEN)
		CHECK_WARN(c, node,
			   "the secret has fewer than %d bytes: whoever answers an initiator can "
			   "try to guess it",
			   SECRET_WEAK_LEN);
	if (p->kind == CONF_SECRET_RADIUS && p->value.len < SECRET_WEAK_LEN)
		CHECK_WARN(c, node,
			   "the secret has fewer than %d bytes: whoever sees a packet can try to "
			   "guess it",
			   SECRET_WEAK_LEN);
	if (p->kind == CONF_SECRET_PPK && p->value.len < PPK_WEAK_LEN)
		CHECK_WARN(
			c, node,
			"the PPK has fewer than %d bytes: a quantum computer can try to guess it",
			PPK_WEAK_LEN);
}

/* A star means more than one identity, which a secret's owner is not. */
static enum err parse_owner(struct check *c, struct conf_secret *s, const char *text,
			    const struct tree *node)
{
	enum err e;

	if (text[0] == '*' && text[1]) {
		CHECK_ERROR(c, node, "'%.60s': a secret's identity may not be a pattern", text);
		return ERR_OK;
	}
	e = conf_id_parse(&s->ids[s->num_ids], text);
	if (!e && needs_owner(s->kind) && !s->ids[s->num_ids].len) {
		CHECK_ERROR(c, node, "'%.60s': %s", text, needs_owner(s->kind));
		return ERR_OK;
	}
	/* Without one of its owners a secret would serve more peers than it was meant for. */
	if (e == ERR_UNSUPPORTED)
		CHECK_ERROR(c, node, "'%.60s': this type of identity is not supported yet", text);
	else if (e)
		CHECK_ERROR(c, node, "'%.60s' is not an identity", text);
	else
		s->num_ids++;
	return ERR_OK;
}

static enum err fill(struct check *c, struct conf_secret *s, const struct conf_secret_params *p,
		     const struct tree *node)
{
	enum err e = ERR_OK;

	if (p->value.len == 0 || p->value.len > SECRET_MAX_LEN) {
		CHECK_ERROR(c, node, "secret: 1 to %d bytes were expected", SECRET_MAX_LEN);
		return ERR_OK;
	}
	if (p->num_owners > CONF_SECRET_MAX_IDS) {
		CHECK_ERROR(c, node, "more than %d identities", CONF_SECRET_MAX_IDS);
		return ERR_OK;
	}
	if (needs_owner(p->kind) && p->num_owners == 0) {
		CHECK_ERROR(c, node, "id is missing: %s", needs_owner(p->kind));
		return ERR_OK;
	}
	if (p->token) {
		s->token = mem_dup(p->token, sizeof(*p->token));
		if (!s->token)
			return ERR_NOMEM;
	}
	check_strength(c, p, node);
	for (uint32_t i = 0; !e && i < p->num_owners; i++)
		e = parse_owner(c, s, p->owners[i], node);
	return e ? e : secret_init_copy(&s->value, p->value.p, p->value.len);
}

enum err secret_new_from(struct check *c, struct conf_secret **out,
			 const struct conf_secret_params *params, const struct tree *node)
{
	struct conf_secret *s = mem_alloc(sizeof(*s));
	uint32_t errors = c->diags->num_errors;
	enum err e;

	if (!s)
		return ERR_NOMEM;
	s->refs = 1;
	s->kind = params->kind;
	s->name = str_dup(params->name);
	e = s->name ? fill(c, s, params, node) : ERR_NOMEM;
	if (e || c->diags->num_errors != errors) {
		secret_put(s);
		s = NULL;
	}
	*out = s;
	return e;
}

enum err secret_add(struct conf *conf, struct conf_secret *s)
{
	struct conf_secret **list =
		mem_grow(conf->secrets, conf->num_secrets + 1, sizeof(conf->secrets[0]));

	if (!list) {
		secret_put(s);
		return ERR_NOMEM;
	}
	conf->secrets = list;
	list[conf->num_secrets++] = s;
	return ERR_OK;
}

static enum err set_secret(struct check *c, void *obj, const struct tree *node,
			   enum conf_secret_kind kind)
{
	struct secret_draft d = {0};
	uint32_t errors = c->diags->num_errors;
	struct conf_secret *s = NULL;
	enum err e = check_section(c, SCOPE_IKE_SECRET, &d, node);

	if (!e && c->diags->num_errors == errors && check_name(c, node)) {
		struct conf_secret_params params = {
			.kind = kind,
			.name = node->name,
			.value = bytes_of(d.decoded, d.len),
			.owners = d.owners,
			.num_owners = d.num_owners,
		};

		e = secret_new_from(c, &s, &params, node);
	}
	draft_fini(&d);
	return e || !s ? e : secret_add(obj, s);
}

enum err set_ike_secret(struct check *c, void *obj, const struct tree *node)
{
	return set_secret(c, obj, node, CONF_SECRET_IKE);
}

enum err set_eap_secret(struct check *c, void *obj, const struct tree *node)
{
	return set_secret(c, obj, node, CONF_SECRET_EAP);
}

enum err set_radius_secret(struct check *c, void *obj, const struct tree *node)
{
	return set_secret(c, obj, node, CONF_SECRET_RADIUS);
}

enum err set_ppk_secret(struct check *c, void *obj, const struct tree *node)
{
	return set_secret(c, obj, node, CONF_SECRET_PPK);
}

void secret_put(struct conf_secret *s)
{
	if (!s || --s->refs > 0)
		return;
	secret_fini(&s->value);
	mem_free(s->token);
	mem_free(s->name);
	mem_free(s);
}
