/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/chain.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "control/auth/dn.h"

/* Extended key usages that let IKE (RFC 4945 5.1.3.12), beside those of TLS, which many use. */
#define OID_IPSEC_IKE        "1.3.6.1.5.5.7.3.17"
#define OID_IKE_INTERMEDIATE "1.3.6.1.5.5.8.2.2"

static enum err fault_set(struct chain_fault *f, enum ike_reason reason, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static enum err fault_set(struct chain_fault *f, enum ike_reason reason, const char *fmt, ...)
{
	va_list ap;

	f->reason = reason;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return ERR_AUTH;
}

/* ---- OpenSSL's objects ----------------------------------------------------------------------- */

/* The list holds a reference of its own. */
static bool push(STACK_OF(X509) * list, const struct cred *c)
{
	if (!c->x509 || sk_X509_push(list, c->x509) <= 0)
		return false;
	X509_up_ref(c->x509);
	return true;
}

/* struct work - one verification under way. */
struct work {
	const struct chain_params *p;
	struct chain_fault *fault;
	X509_STORE *store; /* empty: there are no anchors but these */
	X509_STORE_CTX *ctx;
	STACK_OF(X509) * anchors;
	STACK_OF(X509) * helpers; /* of the peer, and authorities that are not anchors here */
	X509 *end;
	int missing[CHAIN_MAX + 1]; /* of each depth: X509_V_ERR of what is not known of it, or 0 */
};

static bool add_anchors(struct work *w)
{
	const struct conf_creds *a = w->p->anchors;

	for (uint32_t i = 0; i < a->num; i++) {
		if (a->list[i]->kind == CRED_CA && !push(w->anchors, a->list[i]))
			return false;
	}
	return true;
}

static bool add_helpers(struct work *w)
{
	const struct conf_creds *store = w->p->store;

	for (uint32_t i = 1; i < w->p->num_certs; i++) {
		if (!push(w->helpers, w->p->certs[i]))
			return false;
	}
	for (uint32_t i = 0; i < store->num; i++) {
		if (store->list[i]->is_ca && !push(w->helpers, store->list[i]))
			return false;
	}
	return true;
}

/* ---- revocation ------------------------------------------------------------------------------ */

/* struct picking - the lists of one authority of the chain. */
struct picking {
	const X509_NAME *name;
	EVP_PKEY *key;
	uint32_t hashes; /* that a list may be signed with which anybody may have sent */
	STACK_OF(X509_CRL) * lists;
};

/* Said once of each list: who put it there thinks that it counts. */
static bool left_out(struct cred *list, const char *why)
{
	if (!list->told)
		LOG(WARN, IKE, NULL, "the revocation list %s does not count here: %s", list->name,
		    why);
	list->told = true;
	return false;
}

/* A list is the authority's that has signed it, whoever else is called so: one that has not says
 * nothing, not even that somebody was revoked, and must not stand before one that has. */
static bool pick(struct picking *p, struct cred *list)
{
	if (X509_NAME_cmp(X509_CRL_get_issuer(list->crl), p->name) != 0)
		return false;
	if (X509_CRL_verify(list->crl, p->key) != 1)
		return left_out(list, "it is not signed by the authority whose name it has");
	if (sk_X509_CRL_push(p->lists, list->crl) <= 0)
		return false;
	X509_CRL_up_ref(list->crl);
	return true;
}

static bool pick_fetched(void *ctx, struct cred *list)
{
	struct picking *p = ctx;
	const X509_ALGOR *alg;

	if (X509_NAME_cmp(X509_CRL_get_issuer(list->crl), p->name) != 0)
		return false;
	X509_CRL_get0_signature(list->crl, NULL, &alg);
	if (!chain_hash_allowed(alg, p->hashes))
		return left_out(list, "it is signed with a hash that is too weak or that `auth` "
				      "does not let");
	return pick(p, list);
}

static void pick_all(struct picking *p, const struct chain_params *q)
{
	for (uint32_t i = 0; i < q->store->num; i++) {
		if (q->store->list[i]->kind == CRED_CRL)
			(void)pick(p, q->store->list[i]);
	}
	if (q->fetched)
		fetched_each_list(q->fetched, pick_fetched, p);
}

/* OpenSSL asks for the lists of the authority above the certificate that it is at. The chain is
 * there by then, its signatures verified or about to be: what is verified with a key of it counts
 * only if all of it is right. */
static STACK_OF(X509_CRL) * lists_of(const X509_STORE_CTX *ctx, const X509_NAME *name)
{
	const struct work *w = X509_STORE_CTX_get_app_data(ctx);
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	const int last = sk_X509_num(chain) - 1, depth = X509_STORE_CTX_get_error_depth(ctx);
	X509 *issuer = sk_X509_value(chain, depth < last ? depth + 1 : last);
	struct picking p = {.name = name,
			    .key = issuer ? X509_get0_pubkey(issuer) : NULL,
			    .hashes = w->p->sign->hashes,
			    .lists = sk_X509_CRL_new_null()};

	if (p.key && p.lists)
		pick_all(&p, w->p);
	return p.lists;
}

static bool says_where(X509 *x)
{
	return X509_get_ext_by_NID(x, NID_crl_distribution_points, -1) >= 0 ||
	       X509_get_ext_by_NID(x, NID_info_access, -1) >= 0;
}

/* The authority as it is configured, with the places that tell of it, or NULL. */
static const struct cred *configured(const struct work *w, X509 *authority)
{
	const struct conf_creds *store = w->p->store;

	for (uint32_t i = 0; i < store->num; i++) {
		const struct cred *c = store->list[i];

		if ((c->crl_uris.num || c->ocsp_uris.num) && X509_cmp(c->x509, authority) == 0)
			return c;
	}
	return NULL;
}

/* No usable list for a certificate of the chain is no fault yet: a list that is fetched for a chain
 * that leads nowhere would be fetched for anybody. An anchor is believed because it is configured.
 */
static int without_list(struct work *w, X509_STORE_CTX *ctx)
{
	const int last = sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;
	const int depth = X509_STORE_CTX_get_error_depth(ctx);

	if (depth < last && depth < CHAIN_MAX && !w->missing[depth])
		w->missing[depth] = X509_STORE_CTX_get_error(ctx);
	return 1;
}

/* Called for each fault; 1 lets it pass. */
static int on_fault(int ok, X509_STORE_CTX *ctx)
{
	struct work *w = X509_STORE_CTX_get_app_data(ctx);

	if (ok)
		return 1;
	switch (X509_STORE_CTX_get_error(ctx)) {
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
	case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
	case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
		return without_list(w, ctx);
	default:
		return 0;
	}
}

/* ---- what OpenSSL found ---------------------------------------------------------------------- */

static const struct verdict {
	int error;
	enum ike_reason reason;
	const char *text;
} verdicts[] = {
	{X509_V_ERR_CERT_HAS_EXPIRED, IKE_REASON_CERT_EXPIRED, "has expired"},
	{X509_V_ERR_CERT_NOT_YET_VALID, IKE_REASON_CERT_NOT_YET, "is not valid yet"},
	{X509_V_ERR_CERT_REVOKED, IKE_REASON_CERT_REVOKED, "was revoked"},
	{X509_V_ERR_PATH_LENGTH_EXCEEDED, IKE_REASON_CERT_PATH_LENGTH,
	 "has more authorities below it than its path length allows"},
	{X509_V_ERR_CERT_CHAIN_TOO_LONG, IKE_REASON_CERT_PATH_LENGTH,
	 "is at the end of too long a chain"},
	{X509_V_ERR_INVALID_CA, IKE_REASON_CERT_USAGE, "is not an authority's, and has signed one"},
	{X509_V_ERR_INVALID_NON_CA, IKE_REASON_CERT_USAGE, "is an authority's where none may be"},
	{X509_V_ERR_KEYUSAGE_NO_CERTSIGN, IKE_REASON_CERT_USAGE,
	 "may not sign certificates (key usage), and has signed one"},
	{X509_V_ERR_INVALID_PURPOSE, IKE_REASON_CERT_USAGE, "is not for this use"},
	{X509_V_ERR_PERMITTED_VIOLATION, IKE_REASON_CERT_NAME,
	 "holds a name that a name constraint above it does not permit"},
	{X509_V_ERR_EXCLUDED_VIOLATION, IKE_REASON_CERT_NAME,
	 "holds a name that a name constraint above it excludes"},
	{X509_V_ERR_SUBTREE_MINMAX, IKE_REASON_CERT_NAME,
	 "is below a name constraint that cannot be enforced"},
	{X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, IKE_REASON_CERT_NAME,
	 "is below a name constraint that cannot be enforced"},
	{X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, IKE_REASON_CERT_NAME,
	 "is below a name constraint that cannot be enforced"},
	{X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, IKE_REASON_CERT_NAME,
	 "holds a name that a name constraint cannot be held against"},
	{X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, IKE_REASON_CERT_USAGE,
	 "has a critical extension that is not understood"},
	{X509_V_ERR_EE_KEY_TOO_SMALL, IKE_REASON_CERT_WEAK, "has a weak key"},
	{X509_V_ERR_CA_KEY_TOO_SMALL, IKE_REASON_CERT_WEAK, "has a weak key"},
	{X509_V_ERR_CA_MD_TOO_WEAK, IKE_REASON_CERT_WEAK,
	 "is signed with a hash that is too weak (SHA-1, MD5)"},
	{X509_V_ERR_CERT_SIGNATURE_FAILURE, IKE_REASON_CERT_INVALID, "has a wrong signature"},
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, IKE_REASON_CERT_UNKNOWN_CA,
	 "is of an authority that is not known here (x509ca, cacerts)"},
	{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, IKE_REASON_CERT_UNKNOWN_CA,
	 "is of an authority that is not known here (x509ca, cacerts)"},
	{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, IKE_REASON_CERT_UNKNOWN_CA,
	 "is signed by itself and not configured here"},
	{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, IKE_REASON_CERT_UNKNOWN_CA,
	 "is an authority's that is not known here (x509ca, cacerts)"},
	{X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, IKE_REASON_CERT_UNKNOWN_CA,
	 "is of an authority that is not known here (x509ca, cacerts)"},
	{X509_V_ERR_UNABLE_TO_GET_CRL, IKE_REASON_CERT_NO_REVOCATION,
	 "has no revocation list here (x509crl, crl_uris)"},
	{X509_V_ERR_CRL_HAS_EXPIRED, IKE_REASON_CERT_NO_REVOCATION,
	 "has only an outdated revocation list here (x509crl, crl_uris)"},
	{X509_V_ERR_CRL_NOT_YET_VALID, IKE_REASON_CERT_NO_REVOCATION,
	 "has only a revocation list here that is not valid yet"},
};

/* The certificate at fault, for people. */
static const char *name_of(char *buf, size_t size, X509 *x)
{
	unsigned char *der = NULL;
	int len = x ? i2d_X509_NAME(X509_get_subject_name(x), &der) : 0;

	if (len > 0)
		dn_text(buf, size, bytes_of(der, (size_t)len));
	else
		snprintf(buf, size, "?");
	OPENSSL_free(der);
	for (char *p = buf; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	return buf;
}

static enum err tell(struct work *w, int error, X509 *x)
{
	char name[100];

	name_of(name, sizeof(name), x);
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		if (verdicts[i].error == error)
			return fault_set(w->fault, verdicts[i].reason, "the certificate %s %s",
					 name, verdicts[i].text);
	}
	return fault_set(w->fault, IKE_REASON_CERT_INVALID, "the certificate %s: %s", name,
			 X509_verify_cert_error_string(error));
}

/* ---- what OpenSSL does not look at ----------------------------------------------------------- */

static bool lets_ike(X509 *x)
{
	EXTENDED_KEY_USAGE *list = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
	bool found = !list;

	for (int i = 0; list && i < sk_ASN1_OBJECT_num(list); i++) {
		const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(list, i);
		const int nid = OBJ_obj2nid(o);
		char oid[64];

		OBJ_obj2txt(oid, sizeof(oid), o, 1);
		found |= nid == NID_anyExtendedKeyUsage || nid == NID_server_auth ||
			 nid == NID_client_auth || nid == NID_ipsecEndSystem ||
			 nid == NID_ipsecTunnel || nid == NID_ipsecUser ||
			 strcmp(oid, OID_IPSEC_IKE) == 0 ||      /* public data: an OID */
			 strcmp(oid, OID_IKE_INTERMEDIATE) == 0; /* public data: an OID */
	}
	EXTENDED_KEY_USAGE_free(list);
	return found;
}

/* RFC 4945 5.1.3.2, 5.1.3.12 */
static enum err check_end(struct work *w)
{
	const uint32_t usage = X509_get_key_usage(w->end); /* all bits without the extension */
	char name[100];

	name_of(name, sizeof(name), w->end);
	if (!(usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)))
		return fault_set(w->fault, IKE_REASON_CERT_USAGE,
				 "the certificate %s may not sign (key usage)", name);
	if (!lets_ike(w->end))
		return fault_set(w->fault, IKE_REASON_CERT_USAGE,
				 "the certificate %s is for other uses than IKE (extended key "
				 "usage)",
				 name);
	return ERR_OK;
}

static bool is_enforced(const STACK_OF(GENERAL_SUBTREE) * trees)
{
	for (int i = 0; i < sk_GENERAL_SUBTREE_num(trees); i++) {
		switch (sk_GENERAL_SUBTREE_value(trees, i)->base->type) {
		case GEN_DNS:
		case GEN_EMAIL:
		case GEN_DIRNAME:
		case GEN_IPADD:
		case GEN_URI:
			break;
		default:
			return false;
		}
	}
	return true;
}

/* S26: a constraint on a kind of name that OpenSSL cannot hold against names is a refusal, also
 * where no name of that kind is there. */
static bool constraints_enforced(X509 *x)
{
	NAME_CONSTRAINTS *nc;
	int critical;
	bool ok;

	nc = X509_get_ext_d2i(x, NID_name_constraints, &critical, NULL);
	ok = nc ? is_enforced(nc->permittedSubtrees) && is_enforced(nc->excludedSubtrees)
		: critical == -1; /* -1: there is none; else it is malformed or there twice */
	NAME_CONSTRAINTS_free(nc);
	return ok;
}

static bool md_allowed(int md, int pk, uint32_t hashes)
{
	switch (md) {
	case NID_sha256:
		return hashes & SIG_HASH_BIT(SIG_SHA2_256);
	case NID_sha384:
		return hashes & SIG_HASH_BIT(SIG_SHA2_384);
	case NID_sha512:
		return hashes & SIG_HASH_BIT(SIG_SHA2_512);
	default:
		return pk == NID_ED25519 || pk == NID_ED448;
	}
}

static bool hash_allowed(X509 *x, uint32_t hashes)
{
	int md = NID_undef, pk = NID_undef;

	return X509_get_signature_info(x, &md, &pk, NULL, NULL) == 1 && md_allowed(md, pk, hashes);
}

static bool size_allowed(X509 *x, const struct conf_sign *sign)
{
	EVP_PKEY *key = X509_get0_pubkey(x);
	const uint32_t bits = key ? (uint32_t)EVP_PKEY_get_bits(key) : 0;
	const int id = key ? EVP_PKEY_get_base_id(key) : 0;

	return key && !(id == EVP_PKEY_RSA && bits < sign->rsa_bits) &&
	       !(id == EVP_PKEY_EC && bits < sign->ecdsa_bits);
}

/* One certificate of the chain at a depth, 0 being the end's own. */
static enum err check_one(struct work *w, X509 *x, int depth, bool anchor)
{
	char name[100];

	name_of(name, sizeof(name), x);
	if (depth > 0 && X509_check_ca(x) != 1)
		return fault_set(w->fault, IKE_REASON_CERT_USAGE,
				 "the certificate %s is not an authority's, and has signed one",
				 name);
	if (depth > 0 && !constraints_enforced(x))
		return fault_set(w->fault, IKE_REASON_CERT_NAME,
				 "the certificate %s has a name constraint that cannot be "
				 "enforced",
				 name);
	/* Nobody looks at the signature of an anchor. */
	if (!anchor && !hash_allowed(x, w->p->sign->hashes))
		return fault_set(w->fault, IKE_REASON_CERT_WEAK,
				 "the certificate %s is signed with a hash that is too weak or "
				 "that `auth` does not let",
				 name);
	if (!size_allowed(x, w->p->sign))
		return fault_set(w->fault, IKE_REASON_CERT_WEAK,
				 "the certificate %s has a shorter key than `auth` demands", name);
	return ERR_OK;
}

static enum err check_chain(struct work *w, struct bytes *out_ca)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(w->ctx);
	const int num = sk_X509_num(chain);
	const struct conf_creds *a = w->p->anchors;
	enum err e = num > CHAIN_MAX
			     ? fault_set(w->fault, IKE_REASON_CERT_PATH_LENGTH,
					 "the chain has more than %d certificates", CHAIN_MAX)
			     : ERR_OK;

	for (int i = 0; !e && i < num; i++)
		e = check_one(w, sk_X509_value(chain, i), i, i == num - 1);
	for (uint32_t i = 0; !e && i < a->num; i++) {
		if (a->list[i]->kind == CRED_CA &&
		    X509_cmp(a->list[i]->x509, sk_X509_value(chain, num - 1)) == 0)
			*out_ca = cred_subject(a->list[i]);
	}
	return e || out_ca->len ? e : ERR_CRYPTO;
}

/* ---- what is not here ------------------------------------------------------------------------ */

/* struct places - where something is known of one certificate. why, at: of the first that told
 * nothing. */
struct places {
	struct work *w;
	X509 *x, *issuer;
	uint8_t key[OCSP_KEY_MAX];
	size_t key_len;
	enum fetched_kind kind; /* LIST, STATUS or STAPLE */
	uint32_t num;
	bool here_alone; /* no responder is asked */
	bool waits;
	enum ocsp_status status;
	struct bytes said; /* what was believed last */
	char at[100], why[FETCHED_WHY_MAX], why_not[OCSP_WHY_MAX];
};

static void try_lists(struct places *p, const struct cred *authority);

/* enum delegate - what the authority's lists say of a responder. */
enum delegate {
	DELEGATE_UNKNOWN,
	DELEGATE_GOOD,
	DELEGATE_REVOKED,
};

static enum delegate listed(const struct places *p, X509 *signer)
{
	struct picking picking = {.name = X509_get_subject_name(p->issuer),
				  .key = X509_get0_pubkey(p->issuer),
				  .hashes = p->w->p->sign->hashes,
				  .lists = sk_X509_CRL_new_null()};
	enum delegate found = DELEGATE_UNKNOWN;
	time_t now = (time_t)p->w->p->wall_s;

	if (picking.key && picking.lists)
		pick_all(&picking, p->w->p);
	for (int i = 0; i < sk_X509_CRL_num(picking.lists); i++) {
		X509_CRL *list = sk_X509_CRL_value(picking.lists, i);
		const ASN1_TIME *until = X509_CRL_get0_nextUpdate(list);
		X509_REVOKED *entry;

		if (X509_CRL_get0_by_cert(list, &entry, signer) == 1)
			found = DELEGATE_REVOKED;
		else if (found == DELEGATE_UNKNOWN && until && X509_cmp_time(until, &now) > 0)
			found = DELEGATE_GOOD;
	}
	sk_X509_CRL_pop_free(picking.lists, X509_CRL_free);
	return found;
}

/* Whom the authority let respond it may have taken back since. It is not asked of itself, but
 * looked for in the authority's lists; where nobody says where one is the authority wants nobody to
 * ask. */
static bool delegate_stands(void *ctx, X509 *signer, char why[static OCSP_WHY_MAX])
{
	struct places *p = ctx;
	struct places lists = {.w = p->w, .x = signer, .issuer = p->issuer, .kind = FETCHED_LIST};
	const enum delegate d = listed(p, signer);

	if (d == DELEGATE_REVOKED)
		snprintf(why, OCSP_WHY_MAX, "the OCSP responder's certificate was revoked");
	if (d != DELEGATE_UNKNOWN)
		return d == DELEGATE_GOOD;
	if (p->w->p->fetched)
		try_lists(&lists, configured(p->w, p->issuer));
	p->waits |= lists.waits;
	if (!lists.waits && (!lists.num || p->w->p->revocation == CONF_REVOCATION_RELAXED))
		return true;
	snprintf(why, OCSP_WHY_MAX,
		 "whether the OCSP responder's certificate was revoked is not known");
	return false;
}

/* What the responder said before. */
static void judge(struct places *p, const struct fetched_ref *ref)
{
	const struct chain_params *q = p->w->p;
	char why[OCSP_WHY_MAX];
	struct fetched_data s;
	enum ocsp_status status;

	if (ref->kind == FETCHED_LIST || !fetched_data(q->fetched, &s, ref))
		return;
	status = ocsp_judge(
		why, &(struct ocsp_answer){.data = s.data,
					   .nonce = ref->kind == FETCHED_STATUS ? s.nonce : NULL,
					   .cert = p->x,
					   .issuer = p->issuer,
					   .sign = q->sign,
					   .learned_s = s.learned_s,
					   .wall_s = q->wall_s,
					   .delegate = delegate_stands,
					   .ctx = p});
	if (status > p->status) { /* one that says revoked is enough */
		p->status = status;
		/* What was wanted meanwhile may have taken its room. */
		p->said = fetched_data(q->fetched, &s, ref) ? s.data : bytes_of(NULL, 0);
	}
	if (status == OCSP_STATUS_NOTHING && !p->why_not[0])
		memcpy(p->why_not, why, sizeof(p->why_not));
}

static void try_place(struct places *p, struct bytes url)
{
	const struct fetched_ref ref = {
		.kind = p->kind, .url = url, .key = bytes_of(p->key, p->key_len)};
	const enum ocsp_status before = p->status;
	const char *why;

	if (p->num == CRED_URIS_MAX || !cred_url_ok(url))
		return;
	p->num++;
	/* What was said lies where what is wanted next may take its room. */
	if (p->kind == FETCHED_STAPLE && p->said.len)
		return;
	judge(p, &ref);
	if (p->status > before || p->here_alone)
		return;
	if (fetched_want(p->w->p->fetched, &why, &ref, p->w->p->wall_s)) {
		p->waits = true;
		return;
	}
	why = why[0] ? why : p->why_not;
	if (why[0] && !p->why[0]) {
		snprintf(p->why, sizeof(p->why), "%s", why);
		snprintf(p->at, sizeof(p->at), "%.*s", (int)url.len, (const char *)url.p);
	}
}

static void try_name(struct places *p, const GENERAL_NAME *n)
{
	if (n->type == GEN_URI)
		try_place(p, bytes_of(n->d.uniformResourceIdentifier->data,
				      (size_t)n->d.uniformResourceIdentifier->length));
}

static void try_configured(struct places *p, const struct cred_uris *uris)
{
	for (uint32_t i = 0; i < uris->num; i++)
		try_place(p, bytes_of(uris->list[i], strlen(uris->list[i])));
}

/* One distribution point: names of the whole list. Lists by others than the issuer are not used. */
static void try_point(struct places *p, const DIST_POINT *dp)
{
	const GENERAL_NAMES *names = dp->distpoint && dp->distpoint->type == 0 && !dp->CRLissuer
					     ? dp->distpoint->name.fullname
					     : NULL;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		try_name(p, sk_GENERAL_NAME_value(names, i));
}

static void try_lists(struct places *p, const struct cred *authority)
{
	CRL_DIST_POINTS *points = X509_get_ext_d2i(p->x, NID_crl_distribution_points, NULL, NULL);

	if (authority)
		try_configured(p, &authority->crl_uris);
	for (int i = 0; i < sk_DIST_POINT_num(points); i++)
		try_point(p, sk_DIST_POINT_value(points, i));
	CRL_DIST_POINTS_free(points);
}

static void try_responders(struct places *p, const struct cred *authority)
{
	AUTHORITY_INFO_ACCESS *list = X509_get_ext_d2i(p->x, NID_info_access, NULL, NULL);

	if (authority)
		try_configured(p, &authority->ocsp_uris);
	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(list); i++) {
		const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(list, i);

		if (OBJ_obj2nid(d->method) == NID_ad_OCSP)
			try_name(p, d->location);
	}
	AUTHORITY_INFO_ACCESS_free(list);
}

/* STAPLED_TRIES - signatures that are verified of what a peer sent about one certificate: of one
 * response, and of one more, as a responder has a new certificate now and then. */
#define STAPLED_TRIES 2

/* What the peer has sent of it counts as if it had been fetched, but that nobody here has asked:
 * the nonce is another's, and its times have to do. */
static void try_stapled(struct places *p)
{
	const struct chain_params *q = p->w->p;
	uint32_t tries = STAPLED_TRIES;
	char why[OCSP_WHY_MAX];

	for (uint32_t i = 0; i < q->num_stapled; i++) {
		enum ocsp_status status =
			ocsp_judge(why, &(struct ocsp_answer){.data = q->stapled[i],
							      .cert = p->x,
							      .issuer = p->issuer,
							      .sign = q->sign,
							      .learned_s = q->wall_s,
							      .wall_s = q->wall_s,
							      .tries = &tries,
							      .delegate = delegate_stands,
							      .ctx = p});

		if (status > p->status)
			p->status = status;
		if (status != OCSP_STATUS_NOTHING || p->why[0])
			continue;
		snprintf(p->at, sizeof(p->at), "the OCSP response that it sent");
		snprintf(p->why, sizeof(p->why), "%s", why);
	}
}

static enum err add_why(struct work *w, const struct places *p, enum err e)
{
	const size_t len = strlen(w->fault->text);

	if (p->why[0])
		snprintf(w->fault->text + len, sizeof(w->fault->text) - len,
			 ", and %s told nothing: %s", p->at, p->why);
	return e;
}

/* What responders said before goes for more than what the peer chose to send: a response from
 * before it was revoked holds as long as it says. Only then others are asked. */
static void try_status(struct places *p, const struct cred *authority)
{
	const bool asks = p->w->p->fetched && !ocsp_key(p->key, &p->key_len, p->x, p->issuer);

	if (asks && p->w->p->num_stapled) {
		p->here_alone = true;
		try_responders(p, authority);
		p->here_alone = false;
		p->num = 0;
	}
	if (p->status != OCSP_STATUS_REVOKED)
		try_stapled(p);
	if (asks && p->status == OCSP_STATUS_NOTHING)
		try_responders(p, authority);
}

/* What it means that nothing is known of a certificate is the configuration's choice. A responder
 * is asked first, and lists are fetched where none of them knows. */
static enum err check_known(struct work *w, int depth)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(w->ctx);
	X509 *x = sk_X509_value(chain, depth), *issuer = sk_X509_value(chain, depth + 1);
	const struct cred *authority = configured(w, issuer);
	struct places asked = {.w = w, .x = x, .issuer = issuer, .kind = FETCHED_STATUS};
	struct places lists = {.w = w, .x = x, .issuer = issuer, .kind = FETCHED_LIST};

	try_status(&asked, authority);
	if (asked.status == OCSP_STATUS_GOOD)
		return ERR_OK;
	if (asked.status == OCSP_STATUS_REVOKED)
		return tell(w, X509_V_ERR_CERT_REVOKED, x);
	if (w->p->fetched && !asked.waits)
		try_lists(&lists, authority);
	w->fault->waits |= asked.waits || lists.waits;
	if (w->p->revocation == CONF_REVOCATION_RELAXED ||
	    (w->p->revocation == CONF_REVOCATION_IFURI && !says_where(x) && !authority))
		return ERR_OK;
	return add_why(w, asked.why[0] ? &asked : &lists, tell(w, w->missing[depth], x));
}

/* In a chain that is right in all else: all of them are asked for, whichever is a fault. */
static enum err check_all_known(struct work *w)
{
	const int num = sk_X509_num(X509_STORE_CTX_get0_chain(w->ctx));
	enum err first = ERR_OK;

	for (int i = num - 2; i >= 0; i--) {
		const enum err e = w->missing[i] ? check_known(w, i) : ERR_OK;

		first = e ? e : first;
	}
	return first;
}

/* ---- together -------------------------------------------------------------------------------- */

static bool prepare(struct work *w)
{
	X509_VERIFY_PARAM *param;

	w->store = X509_STORE_new();
	w->anchors = sk_X509_new_null();
	w->ctx = X509_STORE_CTX_new();
	w->helpers = sk_X509_new_null();
	w->end = w->p->certs[0]->x509;
	if (!w->store || !w->anchors || !w->ctx || !w->helpers || !w->end || !add_anchors(w) ||
	    !add_helpers(w))
		return false;
	X509_STORE_set_lookup_crls(w->store, lists_of);
	if (X509_STORE_CTX_init(w->ctx, w->store, w->end, w->helpers) != 1)
		return false;
	param = X509_STORE_CTX_get0_param(w->ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)w->p->wall_s);
	X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param,
					 2); /* 112 bits of strength: no SHA-1, RSA >= 2048 */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_CRL_CHECK |
						   X509_V_FLAG_CRL_CHECK_ALL |
						   X509_V_FLAG_TRUSTED_FIRST);
	X509_STORE_CTX_set0_trusted_stack(w->ctx, w->anchors);
	X509_STORE_CTX_set_app_data(w->ctx, w);
	X509_STORE_CTX_set_verify_cb(w->ctx, on_fault);
	return true;
}

static enum err verify(struct work *w, struct bytes *out_ca)
{
	enum err e;

	if (!prepare(w))
		return ERR_CRYPTO;
	e = check_end(w);
	if (e)
		return e;
	if (X509_verify_cert(w->ctx) != 1)
		return tell(w, X509_STORE_CTX_get_error(w->ctx),
			    X509_STORE_CTX_get_current_cert(w->ctx));
	e = check_chain(w, out_ca);
	if (!e)
		e = check_all_known(w);
	if (e)
		*out_ca = bytes_of(NULL, 0);
	return e;
}

enum err chain_verify(struct bytes *out_ca, struct chain_fault *fault,
		      const struct chain_params *params)
{
	struct work w = {.p = params, .fault = fault};
	enum err e;

	*out_ca = bytes_of(NULL, 0);
	fault->waits = false;
	if (!params->num_certs || params->num_certs > CHAIN_MAX)
		return fault_set(fault, IKE_REASON_CERT_PATH_LENGTH,
				 "it sent no certificate, or more than %d", CHAIN_MAX);
	ERR_set_mark();
	e = verify(&w, out_ca);
	X509_STORE_CTX_free(w.ctx);
	X509_STORE_free(w.store);
	sk_X509_pop_free(w.anchors, X509_free);
	sk_X509_pop_free(w.helpers, X509_free);
	ERR_pop_to_mark();
	return e;
}

bool chain_staple(struct bytes *out, const struct chain_params *p)
{
	struct chain_fault unused;
	struct work w = {.p = p, .fault = &unused};
	struct places asked = {.w = &w,
			       .x = p->certs[0]->x509,
			       .issuer = p->certs[1]->x509,
			       .kind = FETCHED_STAPLE};

	*out = bytes_of(NULL, 0);
	ERR_set_mark();
	if (p->fetched && asked.x && asked.issuer &&
	    !ocsp_key(asked.key, &asked.key_len, asked.x, asked.issuer))
		try_responders(&asked, configured(&w, asked.issuer));
	ERR_pop_to_mark();
	*out = asked.said;
	return asked.waits && !asked.said.len;
}

/* Of RSASSA-PSS the hash is in the parameters, SHA-1 if it is not (RFC 4055 3.1). */
static int pss_hash(const X509_ALGOR *alg)
{
	RSA_PSS_PARAMS *pss;
	const ASN1_OBJECT *oid;
	const void *value;
	int md = NID_sha1, type;

	X509_ALGOR_get0(&oid, &type, &value, alg);
	pss = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS))
				      : NULL;
	if (pss && pss->hashAlgorithm) {
		X509_ALGOR_get0(&oid, NULL, NULL, pss->hashAlgorithm);
		md = OBJ_obj2nid(oid);
	}
	RSA_PSS_PARAMS_free(pss);
	return md;
}

bool chain_hash_allowed(const X509_ALGOR *alg, uint32_t hashes)
{
	int md = NID_undef, pk = NID_undef, nid;
	const ASN1_OBJECT *oid;

	X509_ALGOR_get0(&oid, NULL, NULL, alg);
	nid = OBJ_obj2nid(oid);
	if (nid == NID_rsassaPss)
		return md_allowed(pss_hash(alg), nid, hashes);
	return OBJ_find_sigid_algs(nid, &md, &pk) == 1 && md_allowed(md, pk, hashes);
}

bool chain_cert_allowed(X509 *cert, const struct conf_sign *sign)
{
	return hash_allowed(cert, sign->hashes) && size_allowed(cert, sign);
}

enum err chain_valid_at(struct chain_fault *fault, const struct cred *cert, int64_t wall_s)
{
	if (wall_s < cert->not_before_s)
		return fault_set(fault, IKE_REASON_CERT_NOT_YET,
				 "its certificate is not valid yet");
	if (wall_s > cert->not_after_s)
		return fault_set(fault, IKE_REASON_CERT_EXPIRED, "its certificate has expired");
	return ERR_OK;
}

static bool issued(const struct cred *issuer, const struct cred *cert)
{
	return issuer->x509 && cert->x509 &&
	       X509_check_issued(issuer->x509, cert->x509) == X509_V_OK;
}

static const struct cred *find_issuer(const struct conf_creds *store, const struct cred *cert)
{
	for (uint32_t i = 0; i < store->num; i++) {
		if (store->list[i]->is_ca && issued(store->list[i], cert))
			return store->list[i];
	}
	return NULL;
}

uint32_t chain_above(const struct cred *out[], uint32_t max, const struct cred *cert,
		     const struct conf_creds *store)
{
	uint32_t num = 0;

	ERR_set_mark();
	while (num < max && !cert->is_root) {
		cert = find_issuer(store, cert);
		if (!cert)
			break;
		out[num++] = cert;
	}
	ERR_pop_to_mark();
	return num;
}
