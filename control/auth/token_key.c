/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/token_key.h"

#include <openssl/evp.h>

/* The module by its whole name, so that what is known stays known by it. */
static bool name_module(struct tokens_ref *ref, const char **out_why, const struct conf *conf)
{
	const struct conf_module *m = conf_find_module(&conf->daemon, ref->token->module);

	if (m)
		ref->module = m->name;
	else if (ref->token->module[0])
		*out_why = "the module that is named for it is not in latchkey.pkcs11";
	else
		*out_why = "there is not exactly one module in latchkey.pkcs11: name one "
			   "(`module`)";
	return m != NULL;
}

static enum tokens_state ask(struct tokens *t, struct tokens_found *out, const char **out_why,
			     const struct conf *conf, struct tokens_ref *ref, int64_t wall_s)
{
	enum tokens_state state;

	if (!name_module(ref, out_why, conf))
		return TOKENS_NOT;
	state = tokens_ask(t, out, ref, wall_s);
	if (state == TOKENS_NOT)
		*out_why = out->why;
	return state;
}

static struct tokens_ref ref_of(enum ike_token_op op, const struct conf_secret *s)
{
	return (struct tokens_ref){
		.op = op, .token = s->token, .pin = bytes_of(s->value.p, s->value.len)};
}

enum tokens_state token_key_find(struct tokens *t, const struct conf_secret **out,
				 const char **out_why, const struct conf *conf,
				 const struct cred *public, int64_t wall_s)
{
	bool waits = false;

	*out_why = "";
	for (uint32_t i = 0; i < conf->num_secrets; i++) {
		const struct conf_secret *s = conf->secrets[i];
		struct tokens_ref ref = ref_of(IKE_TOKEN_KEY, s);
		struct tokens_found found;
		enum tokens_state state;

		if (s->kind != CONF_SECRET_TOKEN)
			continue;
		state = ask(t, &found, out_why, conf, &ref, wall_s);
		waits |= state == TOKENS_WAITS;
		if (state == TOKENS_HERE && bytes_equal(found.data, cred_spki(public))) {
			*out = s;
			return TOKENS_HERE;
		}
	}
	return waits ? TOKENS_WAITS : TOKENS_NOT;
}

enum tokens_state token_key_cert(struct tokens *t, struct cred **out, const char **out_why,
				 const struct conf *conf, const struct conf_token *where,
				 int64_t wall_s)
{
	struct tokens_ref ref = {.op = IKE_TOKEN_CERT, .token = where};
	struct tokens_found found = {.cert = NULL};
	enum tokens_state state = ask(t, &found, out_why, conf, &ref, wall_s);

	*out = found.cert;
	return state;
}

/* struct way - how a token makes the signatures of a scheme: what it is given. */
static const struct way {
	struct sig_scheme scheme; /* SIG_ECDSA stands for its raw form, too */
	enum ike_scheme ike;
	const char *hash; /* NULL: the token hashes */
} ways[] = {
	{{SIG_RSA_PSS, SIG_SHA2_256}, IKE_SCHEME_RSA_PSS_SHA2_256, "SHA256"},
	{{SIG_RSA_PSS, SIG_SHA2_384}, IKE_SCHEME_RSA_PSS_SHA2_384, "SHA384"},
	{{SIG_RSA_PSS, SIG_SHA2_512}, IKE_SCHEME_RSA_PSS_SHA2_512, "SHA512"},
	{{SIG_ECDSA, SIG_SHA2_256}, IKE_SCHEME_ECDSA_SHA2_256, "SHA256"},
	{{SIG_ECDSA, SIG_SHA2_384}, IKE_SCHEME_ECDSA_SHA2_384, "SHA384"},
	{{SIG_ECDSA, SIG_SHA2_512}, IKE_SCHEME_ECDSA_SHA2_512, "SHA512"},
	{{SIG_ED25519, SIG_IDENTITY}, IKE_SCHEME_ED25519, NULL},
};

static const struct way *way_of(struct sig_scheme s)
{
	const enum sig_form form = s.form == SIG_ECDSA_RAW ? SIG_ECDSA : s.form;

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (ways[i].scheme.form == form && ways[i].scheme.hash == s.hash)
			return &ways[i];
	}
	return NULL;
}

/* ECDSA takes as many bits of a hash as its curve has (FIPS 186-5 6.4.1), and tokens leave that to
 * who asks. */
static size_t shorten(size_t len, enum key_kind kind)
{
	const size_t most = kind == KEY_ECP_256 ? 32 : kind == KEY_ECP_384 ? 48 : len;

	return len < most ? len : most;
}

enum tokens_state token_key_sign(struct tokens *t, struct bytes *out, const char **out_why,
				 const struct conf *conf, const struct token_key_signing *what,
				 int64_t wall_s)
{
	const struct way *way = way_of(what->scheme);
	struct tokens_ref ref = ref_of(IKE_TOKEN_SIGN, what->secret);
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct tokens_found found;
	enum tokens_state state;
	size_t len;

	*out_why = "tokens make no signatures of its kind of key";
	if (!way)
		return TOKENS_NOT;
	ref.scheme = way->ike;
	ref.data = what->octets;
	if (way->hash) {
		*out_why = err_text(ERR_CRYPTO);
		if (EVP_Q_digest(NULL, way->hash, NULL, what->octets.p, what->octets.len, digest,
				 &len) != 1)
			return TOKENS_NOT;
		ref.data = bytes_of(digest, shorten(len, what->public->info.kind));
	}
	state = ask(t, &found, out_why, conf, &ref, wall_s);
	if (state == TOKENS_HERE)
		*out = found.data;
	return state;
}
