/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/outside.h"

#include <stdio.h>

#include "control/auth/cred.h"
#include "control/auth/own_key.h"
#include "control/ike/wire/proto.h"

static const struct scheme {
	struct sig_scheme sig;
	uint32_t kinds; /* KEY_BIT()s that make such signatures */
} schemes[IKE_NUM_SCHEMES] = {
	[IKE_SCHEME_ED25519] = {{SIG_ED25519, SIG_IDENTITY}, KEY_BIT(KEY_ED25519)},
	[IKE_SCHEME_ECDSA_SHA2_256] = {{SIG_ECDSA, SIG_SHA2_256}, KEY_BITS_ECDSA},
	[IKE_SCHEME_ECDSA_SHA2_384] = {{SIG_ECDSA, SIG_SHA2_384}, KEY_BITS_ECDSA},
	[IKE_SCHEME_ECDSA_SHA2_512] = {{SIG_ECDSA, SIG_SHA2_512}, KEY_BITS_ECDSA},
	[IKE_SCHEME_RSA_PSS_SHA2_256] = {{SIG_RSA_PSS, SIG_SHA2_256}, KEY_BIT(KEY_RSA)},
	[IKE_SCHEME_RSA_PSS_SHA2_384] = {{SIG_RSA_PSS, SIG_SHA2_384}, KEY_BIT(KEY_RSA)},
	[IKE_SCHEME_RSA_PSS_SHA2_512] = {{SIG_RSA_PSS, SIG_SHA2_512}, KEY_BIT(KEY_RSA)},
};

uint32_t ike_schemes(const struct ike_ask *ask)
{
	const struct conf_sign *own = &ask->config->local.sign;
	uint32_t mask = 0, announced = 0;

	for (int i = IKE_SCHEME_NONE + 1; i < IKE_NUM_SCHEMES; i++) {
		const struct scheme *s = &schemes[i];
		const uint32_t hash = SIG_HASH_BIT(s->sig.hash);

		if (ask->peer_hashes ? ask->peer_hashes & hash & own->hashes
				     : s->sig.form == SIG_ECDSA)
			mask |= own->kinds & s->kinds ? 1u << i : 0;
		if (ask->peer_schemes & AUTH_SCHEME_BIT(s->sig.form, s->sig.hash))
			announced |= 1u << i;
	}
	return mask & announced ? mask & announced : mask;
}

static void refuse(struct outside *o, enum ike_reason reason, const char *text)
{
	o->answer = (struct ike_answer){.reason = reason, .text = text};
}

/* ---- our signature --------------------------------------------------------------------------- */

/* The key that signed is that of the first certificate, or the raw one. */
static bool take_key(struct outside *o, struct key_info *info)
{
	const struct ike_cert *first = o->answer.certs;
	struct cred *cert = NULL;
	struct bytes spki = first->data;
	enum err e;

	if (first->encoding == CERT_X509_SIGNATURE) {
		e = cred_from_peer(&cert, o->why, first->data);
		if (!e) {
			spki = cred_spki(cert);
			*info = cert->info;
		}
	} else {
		e = key_check(info, o->why, spki);
	}
	if (!e && spki.len <= sizeof(o->key)) {
		memcpy(o->key, spki.p, spki.len);
		o->answer.key = bytes_of(o->key, spki.len);
	}
	cred_put(cert);
	return !e && o->answer.key.len;
}

static bool certs_fit(const struct ike_answer *a)
{
	if (!a->num_certs || a->num_certs > IKE_MAX_CERTS)
		return false;
	for (uint32_t i = 0; i < a->num_certs; i++) {
		if (!a->certs[i].data.len || a->certs[i].data.len > CRED_CERT_MAX)
			return false;
	}
	return true;
}

/* A peer without RFC 7427 takes ECDSA alone, of each curve with its hash (RFC 4754). */
static bool choose(struct sig_scheme *out, const struct ike_ask *ask, enum ike_scheme scheme,
		   enum key_kind kind)
{
	struct sig_scheme s = schemes[scheme].sig;

	if (!ask->peer_hashes)
		s.form = SIG_ECDSA_RAW;
	if (!(ike_schemes(ask) & 1u << scheme) || !sig_fits(kind, s))
		return false;
	*out = s;
	return true;
}

/* The AUTH value; false: the signature has not the form that its scheme has. */
static bool write_auth(struct outside *o, struct sig_scheme scheme, enum key_kind kind)
{
	uint8_t raw[SIG_MAX];
	struct bytes sig = o->answer.signature;
	struct writer w;

	if (!sig.len || sig.len > SIG_MAX)
		return false;
	if (scheme.form == SIG_ECDSA_RAW) {
		if (sig_ecdsa_raw(raw, &sig.len, kind, sig))
			return false;
		sig.p = raw;
	}
	o->answer.auth_method = auth_sig_method(scheme, kind);
	writer_init(&w, o->auth, sizeof(o->auth));
	auth_sig_write(&w, o->answer.auth_method, scheme, sig);
	return !writer_finish(&w, &o->answer.auth);
}

static void take_signature(struct outside *o, const struct ike_ask *ask)
{
	const enum ike_scheme scheme = o->answer.scheme;
	struct sig_scheme sig;
	struct key_info info;

	if (scheme <= IKE_SCHEME_NONE || scheme >= IKE_NUM_SCHEMES)
		refuse(o, IKE_REASON_NO_KEY, "the program's answer holds no signature");
	else if (!certs_fit(&o->answer))
		refuse(o, IKE_REASON_NO_KEY,
		       "the program names no key, or more certificates or longer ones than fit");
	else if (!take_key(o, &info))
		refuse(o, IKE_REASON_NO_KEY, o->why);
	else if (!(schemes[scheme].kinds & KEY_BIT(info.kind)))
		refuse(o, IKE_REASON_NO_KEY,
		       "the program's key does not make signatures of the scheme that it names");
	else if (!own_key_lets(ask, &info))
		refuse(o, IKE_REASON_NO_KEY, "the program's key is not what `local.auth` asks for");
	else if (!choose(&sig, ask, scheme, info.kind))
		refuse(o, IKE_REASON_NO_KEY,
		       "the peer cannot verify the scheme that the program chose, or `local.auth` "
		       "does not let it");
	else if (!write_auth(o, sig, info.kind))
		refuse(o, IKE_REASON_NO_KEY,
		       "the program's signature has not the form of its scheme");
	else if (!own_key_is_sent(ask, o->answer.certs[0].encoding))
		o->answer.num_certs = 0;
}

/* ---- the peer's key -------------------------------------------------------------------------- */

/* What the peer shows first is its own: a certificate before a raw key. */
static void vouch(struct outside *o, const struct ike_ask *ask)
{
	for (uint32_t i = 0; i < ask->num_certs; i++) {
		const struct ike_cert *c = &ask->certs[i];

		if (c->encoding == CERT_X509_SIGNATURE && !o->trust.cert.len)
			o->trust.cert = c->data;
		else if (c->encoding == CERT_RAW_PUBLIC_KEY && !o->trust.key.len)
			o->trust.key = c->data;
	}
	if (o->trust.cert.len) {
		o->trust.key = bytes_of(NULL, 0);
	} else if (!o->trust.key.len) {
		refuse(o, IKE_REASON_CERT_UNKNOWN_CA,
		       "it sent neither a certificate nor a key that the program could vouch for");
		return;
	}
	o->answer.trust = &o->trust;
	o->answer.num_trust = 1;
}

void outside_take(struct outside *out, const struct ike_ask *ask, const struct ike_answer *answer)
{
	const bool sign = ask->kind == IKE_ASK_SIGN, verify = ask->kind == IKE_ASK_VERIFY_CHAIN;

	*out = (struct outside){.answer = *answer};
	if (answer->scheme && !sign)
		refuse(out, IKE_REASON_REFUSED, "the program signs, and that was not asked");
	else if ((sign || verify) && !answer->allow && !answer->reason)
		refuse(out, IKE_REASON_REFUSED,
		       answer->text ? answer->text : "the program refuses");
	else if (sign && answer->allow && !answer->auth.len)
		take_signature(out, ask);
	else if (verify && answer->allow && answer->vouched)
		vouch(out, ask);
}
