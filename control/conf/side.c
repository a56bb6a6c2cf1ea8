/* SPDX-License-Identifier: Apache-2.0 */
/* side.c - local and remote sections: who we are, whom we expect, and how it is proven. */
#include "base/alloc.h"
#include "control/auth/dn.h"
#include "control/conf/creds.h"
#include "control/conf/sign.h"

#include <strings.h>

/* Identification types (RFC 7296 3.5, RFC 7619 2.2). */
#define ID_DER_ASN1_DN 9
#define ID_NULL        13

/* struct side_draft - what the set functions fill in. */
struct side_draft {
	struct conf_side *side;
	bool remote;
	bool has_id, null_id;    /* null_id: it is %null */
	struct conf_token token; /* of the section `cert` that is looked at */
};

#define BIT(method) (1u << AUTH_METHOD_##method)

uint32_t conf_auth_methods(enum conf_auth auth)
{
	static const uint32_t table[] = {
		[CONF_AUTH_PSK] = BIT(PSK) | BIT(GROUP_PSK),
		[CONF_AUTH_PUBKEY] =
			BIT(PKIX_TRUSTED) | BIT(PKIX_INLINE) | BIT(PKIX_OFFLINE) | BIT(PUBKEY),
		[CONF_AUTH_NULL] = BIT(NONE),
		[CONF_AUTH_BTNS] = BIT(BTNS),
		[CONF_AUTH_LEAPOFFAITH] = BIT(LEAPOFFAITH),
		[CONF_AUTH_EAP] = BIT(EAP),
	};

	return (size_t)auth < ARRAY_LEN(table) ? table[auth] : 0;
}

/* "btns" or "leapoffaith", and after a dash what "pubkey" may have there. */
static const char *take_unproven(struct side_draft *d, const char *text)
{
	static const struct {
		const char *word;
		enum conf_auth auth;
	} words[] = {{"btns", CONF_AUTH_BTNS}, {"leapoffaith", CONF_AUTH_LEAPOFFAITH}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const size_t len = strlen(words[i].word);

		if (strncasecmp(text, words[i].word, len) != 0 || (text[len] && text[len] != '-'))
			continue;
		d->side->auth = words[i].auth;
		return text[len] ? text + len + 1 : "pubkey";
	}
	return text;
}

/* "eap" and, after a dash, the method; false: it is something else. */
static bool take_eap(struct check *c, struct side_draft *d, const char *text,
		     const struct tree *node)
{
	static const struct {
		const char *word;
		uint8_t type; /* IANA's number */
	} words[] = {{"eap", 0},
		     {"eap-mschapv2", 26},
		     {"eap-tls", CONF_EAP_TLS},
		     {"eap-radius", CONF_EAP_RADIUS}};

	if (strncasecmp(text, "eap", 3) != 0)
		return false;
	d->side->auth = CONF_AUTH_EAP;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i].word) != 0)
			continue;
		d->side->eap = words[i].type;
		return true;
	}
	d->side->eap = CONF_EAP_TLS; /* one remark is enough */
	CHECK_ERROR(c, node, "'%.40s' is not supported: eap, eap-mschapv2, eap-tls, or eap-radius",
		    text);
	return true;
}

enum err set_auth(struct check *c, void *obj, const struct tree *node)
{
	static const struct {
		const char *word;
		enum conf_auth auth;
	} words[] = {{"psk", CONF_AUTH_PSK}, {"null", CONF_AUTH_NULL}};
	struct side_draft *d = obj;
	char bad[SIGN_WORD_MAX];
	const char *text;

	if (!take_text(c, &text, node) || take_eap(c, d, text, node))
		return ERR_OK;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			d->side->auth = words[i].auth;
			return ERR_OK;
		}
	}
	d->side->auth = CONF_AUTH_PUBKEY;
	if (!sign_parse(&d->side->sign, bad, take_unproven(d, text)))
		CHECK_ERROR(c, node,
			    "'%.40s': '%s' is not supported: psk, null, btns, leapoffaith, or "
			    "pubkey, rsa, rsa/pss, "
			    "ecdsa, "
			    "ed25519, ed448 with sizes and sha256, sha384, sha512 after dashes",
			    text, bad);
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

/* A distinguished name with values "*". */
static bool has_stars(const char *text, const struct ike_id *id)
{
	uint8_t der[sizeof(id->data)];
	bool wild = false;
	size_t len;

	text = strncasecmp(text, "asn1dn:", 7) == 0 ? text + 7 : text;
	return id->type == ID_DER_ASN1_DN && !dn_parse(der, sizeof(der), &len, &wild, text) && wild;
}

static enum err set_name_pattern(struct check *c, struct side_draft *d, const struct tree *node,
				 const char *text)
{
	if (!d->remote) {
		CHECK_ERROR(c, node, "'%.60s': a wildcard is possible for the remote side only",
			    text);
		return ERR_OK;
	}
	mem_free(d->side->pattern);
	d->side->pattern = str_dup(text);
	return d->side->pattern ? ERR_OK : ERR_NOMEM;
}

enum err set_id(struct check *c, void *obj, const struct tree *node)
{
	struct side_draft *d = obj;
	const char *text;
	enum err e;

	if (!take_text(c, &text, node))
		return ERR_OK;
	d->has_id = true;
	d->null_id = strcmp(text, "%null") == 0;
	if (d->null_id)
		return ERR_OK;
	if (is_pattern(text))
		return set_pattern(c, d, node, text);
	e = conf_id_parse(&d->side->id, text);
	if (!e && has_stars(text, &d->side->id))
		return set_name_pattern(c, d, node, text);
	if (e == ERR_UNSUPPORTED)
		CHECK_ERROR(c, node, "'%.60s': this type of identity is not supported yet", text);
	else if (e)
		CHECK_ERROR(c, node, "'%.60s' is not an identity", text);
	return ERR_OK;
}

enum err set_eap_id(struct check *c, void *obj, const struct tree *node)
{
	struct side_draft *d = obj;
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	d->side->eap_asks = true;
	if (is_pattern(text) || conf_id_parse(&d->side->eap_id, text))
		CHECK_ERROR(c, node, "'%.60s' is no identity: a name, user@domain, or %%any", text);
	return ERR_OK;
}

enum err set_aaa_id(struct check *c, void *obj, const struct tree *node)
{
	struct side_draft *d = obj;
	const char *text;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (is_pattern(text) || conf_id_parse(&d->side->aaa_id, text) || !d->side->aaa_id.type)
		CHECK_ERROR(c, node,
			    "'%.60s' is not one identity: whoever has a certificate could be the "
			    "server",
			    text);
	return ERR_OK;
}

static struct conf_side *side_of(void *obj)
{
	return ((struct side_draft *)obj)->side;
}

enum err set_certs(struct check *c, void *obj, const struct tree *node)
{
	return creds_take(c, &side_of(obj)->certs, node, CRED_CERT);
}

enum err set_cacerts(struct check *c, void *obj, const struct tree *node)
{
	return creds_take(c, &side_of(obj)->cacerts, node, CRED_CA);
}

enum err set_pubkeys(struct check *c, void *obj, const struct tree *node)
{
	return creds_take(c, &side_of(obj)->pubkeys, node, CRED_PUBKEY);
}

static enum err add_token(struct check *c, struct side_draft *d, const struct tree *node)
{
	struct conf_side *side = d->side;
	struct conf_token *list;

	if (d->remote) {
		CHECK_ERROR(c, node,
			    "a certificate on a token is this side's own: the peer's goes to "
			    "`file`");
		return ERR_OK;
	}
	if (side->num_tokens == CONF_MAX_TOKENS) {
		CHECK_ERROR(c, node, "more than %d certificates on tokens", CONF_MAX_TOKENS);
		return ERR_OK;
	}
	list = mem_grow(side->tokens, side->num_tokens + 1, sizeof(*list));
	if (!list)
		return ERR_NOMEM;
	side->tokens = list;
	list[side->num_tokens++] = d->token;
	return ERR_OK;
}

enum err set_cert(struct check *c, void *obj, const struct tree *node)
{
	struct side_draft *d = obj;
	enum err e;

	d->token = (struct conf_token){.slot = CONF_TOKEN_ANY};
	e = check_section(c, SCOPE_CERT, d, node);
	if (e || (tree_child(node, "file") && !d->token.handle_len))
		return e;
	return token_check(c, &d->token, node) ? add_token(c, d, node) : ERR_OK;
}

enum err set_cert_handle(struct check *c, void *obj, const struct tree *node)
{
	token_take_handle(c, &((struct side_draft *)obj)->token, node);
	return ERR_OK;
}

enum err set_cert_slot(struct check *c, void *obj, const struct tree *node)
{
	token_take_slot(c, &((struct side_draft *)obj)->token, node);
	return ERR_OK;
}

enum err set_cert_module(struct check *c, void *obj, const struct tree *node)
{
	token_take_module(c, &((struct side_draft *)obj)->token, node);
	return ERR_OK;
}

enum err set_cacert(struct check *c, void *obj, const struct tree *node)
{
	return check_section(c, SCOPE_CACERT, obj, node);
}

enum err set_cert_file(struct check *c, void *obj, const struct tree *node)
{
	return creds_take_file(c, &side_of(obj)->certs, node, CRED_CERT);
}

enum err set_cacert_file(struct check *c, void *obj, const struct tree *node)
{
	return creds_take_file(c, &side_of(obj)->cacerts, node, CRED_CA);
}

enum err set_revocation(struct check *c, void *obj, const struct tree *node)
{
	static const struct take_word words[] = {{"relaxed", CONF_REVOCATION_RELAXED},
						 {"ifuri", CONF_REVOCATION_IFURI},
						 {"strict", CONF_REVOCATION_STRICT}};
	int v;

	if (take_word(c, &v, node, words, ARRAY_LEN(words)))
		side_of(obj)->revocation = (enum conf_revocation)v;
	return ERR_OK;
}

/* Without an identity of its own this side has its certificate's subject, as with strongSwan. */
static void id_of_cert(struct check *c, struct conf_side *side, const struct tree *section)
{
	const struct cred *cert = side->certs.list[0];

	if (cert->subject_len > sizeof(side->id.data)) {
		CHECK_ERROR(c, section,
			    "id is missing, and the certificate's subject is too long to be one");
		return;
	}
	side->id = (struct ike_id){.type = ID_DER_ASN1_DN, .len = (uint16_t)cert->subject_len};
	memcpy(side->id.data, cert->subject, cert->subject_len);
}

static void check_local_id(struct check *c, const struct conf_side *side,
			   const struct tree *section)
{
	for (uint32_t i = 0; i < side->certs.num; i++) {
		if (cred_has_id(side->certs.list[i], &side->id))
			return;
	}
	if (side->certs.num)
		CHECK_ERROR(c, section, "none of `certs` holds the identity `id`");
}

/* What else is written there has no effect, and who wrote it thinks that it is asked for. */
static void warn_unused(struct check *c, const struct conf_side *side, const struct tree *section)
{
	static const struct {
		const char *word, *asked;
	} words[] = {
		[CONF_AUTH_PSK] = {"psk", "the secret alone"},
		[CONF_AUTH_NULL] = {"null", "nothing"},
		[CONF_AUTH_BTNS] = {"btns", "any key"},
		[CONF_AUTH_LEAPOFFAITH] = {"leapoffaith", "the key that the peer had at first"},
		[CONF_AUTH_EAP] = {"eap", "the password alone"},
	};
	const struct {
		const char *name;
		uint32_t num;
	} lists[] = {{"certs", side->certs.num},
		     {"cacerts", side->cacerts.num},
		     {"pubkeys", side->pubkeys.num},
		     {"cert", side->num_tokens}};

	if (side->auth == CONF_AUTH_PUBKEY || conf_eap_signs(side))
		return;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (lists[i].num)
			CHECK_WARN(c, section,
				   "`%s` has no effect beside `auth = %s`: what is asked for is "
				   "%s",
				   lists[i].name, words[side->auth].word, words[side->auth].asked);
	}
}

/* Who is nobody has no name (RFC 7619 2.2), and who has one is somebody; who may be anybody is its
 * key, whatever it calls itself. */
static void check_unproven(struct check *c, const struct side_draft *d, const struct tree *section)
{
	struct conf_side *side = d->side;

	if (side->auth != CONF_AUTH_NULL && d->null_id)
		CHECK_ERROR(c, section, "`id = %%null` is for `auth = null` alone");
	if ((side->auth == CONF_AUTH_BTNS || side->auth == CONF_AUTH_LEAPOFFAITH) && !d->remote)
		CHECK_ERROR(c, section,
			    "`auth = %s` is for the peer (`remote`): this side signs with its "
			    "key, by `auth = pubkey` and `pubkeys`",
			    side->auth == CONF_AUTH_BTNS ? "btns" : "leapoffaith");
	if (side->auth == CONF_AUTH_LEAPOFFAITH && !d->has_id)
		CHECK_ERROR(c, section,
			    "`id` is missing: by its name the peer's key is remembered (with "
			    "%%any by whatever it calls itself)");
	if (side->auth != CONF_AUTH_NULL && side->auth != CONF_AUTH_BTNS)
		return;
	if (side->id.type || side->pattern)
		CHECK_ERROR(c, section,
			    "nothing proves an identity beside `auth = %s`: leave `id` out",
			    side->auth == CONF_AUTH_NULL ? "null" : "btns");
	if (side->auth == CONF_AUTH_NULL)
		side->id = (struct ike_id){.type = d->remote ? 0 : ID_NULL};
}

/* Who asks knows by which method; who is asked may leave that to who asks. */
static void check_eap(struct check *c, const struct side_draft *d, const struct tree *section)
{
	const struct conf_side *side = d->side;

	if (!conf_eap_signs(side) && side->aaa_id.type)
		CHECK_ERROR(c, section, "`aaa_id` is for `auth = eap-tls` or eap alone");
	else if (side->auth != CONF_AUTH_EAP && side->eap_asks)
		CHECK_ERROR(c, section, "`eap_id` is for `auth = eap` and its methods alone");
	else if (side->auth == CONF_AUTH_EAP && d->remote && !side->eap)
		CHECK_ERROR(c, section,
			    "which method of EAP does the peer prove itself by? `auth = "
			    "eap-mschapv2`, eap-tls or eap-radius");
	else if (side->auth == CONF_AUTH_EAP && !d->remote && side->eap == CONF_EAP_RADIUS)
		CHECK_ERROR(c, section,
			    "`auth = eap-radius` is for the peer (`remote`): this side proves "
			    "itself by `auth = eap`");
	else if (side->auth == CONF_AUTH_EAP && !d->remote && side->eap_asks && !side->eap_id.type)
		CHECK_ERROR(c, section, "`eap_id` of this side is one identity");
}

enum err side_check(struct check *c, struct conf_side *side, enum scope scope,
		    const struct tree *section)
{
	struct side_draft d = {.side = side, .remote = scope == SCOPE_REMOTE};
	enum err e = check_section(c, scope, &d, section);

	if (e)
		return e;
	warn_unused(c, side, section);
	check_unproven(c, &d, section);
	check_eap(c, &d, section);
	side->anybody = d.has_id && !side->id.type && !side->pattern;
	if (side->num_tokens && !d.has_id)
		CHECK_ERROR(c, section,
			    "`id` is missing: what a certificate on a token says is read when it "
			    "is needed");
	if (d.remote || !(conf_auth_signs(side->auth) || conf_eap_signs(side)) || !side->certs.num)
		return ERR_OK;
	if (!d.has_id)
		id_of_cert(c, side, section);
	else if (side->id.type)
		check_local_id(c, side, section);
	return ERR_OK;
}

void side_defaults(struct conf_side *side)
{
	side->auth = CONF_AUTH_PUBKEY;
	side->sign = (struct conf_sign){.kinds = KEY_BITS_ANY, .hashes = SIG_HASHES_ALL};
}

void side_fini(struct conf_side *side)
{
	creds_fini(&side->certs);
	creds_fini(&side->cacerts);
	creds_fini(&side->pubkeys);
	mem_free(side->tokens);
	mem_free(side->pattern);
}
