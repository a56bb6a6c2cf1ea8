/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "api/embed/internal.h"

#define ID_TEXT_MAX 264

/* Of struct ike_cert: encodings (RFC 7296 3.6). */
#define X509    4
#define RAW_KEY 15

#define CERTS_MAX 10

static_assert((int)IPSEC_SCHEME_ED25519 == (int)IKE_SCHEME_ED25519 &&
		      (int)IPSEC_SCHEME_ECDSA_SHA2_512 == (int)IKE_SCHEME_ECDSA_SHA2_512 &&
		      (int)IPSEC_SCHEME_RSA_PSS_SHA2_512 == (int)IKE_SCHEME_RSA_PSS_SHA2_512,
	      "the same numbers");

/* What a program can be asked; the others are answered from the configuration. */
static const enum ipsec_ask_kind kinds[] = {
	[IKE_ASK_SECRET] = IPSEC_ASK_SECRET,
	[IKE_ASK_SIGN] = IPSEC_ASK_SIGN,
	[IKE_ASK_VERIFY_CHAIN] = IPSEC_ASK_VERIFY,
	[IKE_ASK_AUTHORIZE] = IPSEC_ASK_AUTHORIZE,
	[IKE_ASK_CHILD_ACCEPT] = IPSEC_ASK_CHILD_ACCEPT,
};

static const char *id_text(char buf[ID_TEXT_MAX], const struct ike_id *id)
{
	return id && id->type ? ike_id_text(buf, ID_TEXT_MAX, id) : NULL;
}

static struct ipsec_bytes bytes_out(struct bytes b)
{
	return (struct ipsec_bytes){.data = b.p, .len = b.len};
}

static struct bytes bytes_in(const struct ipsec_bytes *b)
{
	return bytes_of(b->data, b->len);
}

static void signing_out(struct ipsec_ask *out, const struct ike_ask *ask)
{
	out->octets = bytes_out(ask->octets);
	out->schemes = ike_schemes(ask);
	out->wants_certificate = ask->asked_x509;
	out->wants_key = ask->asked_raw;
	out->authorities = bytes_out(ask->authorities);
}

/* Of several raw keys the first is the one that a yes is about. */
static void certs_out(struct ipsec_ask *out, struct ipsec_bytes certs[CERTS_MAX],
		      const struct ike_ask *ask)
{
	out->certificates = certs;
	for (uint32_t i = 0; i < ask->num_certs; i++) {
		const struct ike_cert *c = &ask->certs[i];

		if (c->encoding == X509 && out->num_certificates < CERTS_MAX)
			certs[out->num_certificates++] = bytes_out(c->data);
		else if (c->encoding == RAW_KEY && !out->key.len)
			out->key = bytes_out(c->data);
	}
}

bool asks_take(void *ctx, const struct ike_ask *ask)
{
	struct ipsec_engine *e = ctx;
	struct ipsec_selector local[CONF_MAX_TS], remote[CONF_MAX_TS];
	char local_id[ID_TEXT_MAX], peer_id[ID_TEXT_MAX];
	struct ipsec_bytes certs[CERTS_MAX];
	struct ipsec_ask out = {
		.id = ask->id,
		.kind = ask->kind < ARRAY_LEN(kinds) ? kinds[ask->kind] : (enum ipsec_ask_kind)0,
		.deadline_ns = ask->deadline_ns,
		.connection = ask->conn,
		.child = ask->child,
		.local_id = id_text(local_id, ask->local_id),
		.peer_id = id_text(peer_id, ask->peer_id),
		.local_ts = local,
		.remote_ts = remote,
		.num_local_ts = ask->num_local,
		.num_remote_ts = ask->num_remote,
	};

	if (!out.kind)
		return false;
	if (ask->num_local)
		selectors_out(local, ask->local, ask->num_local);
	if (ask->num_remote)
		selectors_out(remote, ask->remote, ask->num_remote);
	if (ask->kind == IKE_ASK_SIGN)
		signing_out(&out, ask);
	if (ask->kind == IKE_ASK_VERIFY_CHAIN)
		certs_out(&out, certs, ask);
	return e->params.ask(e->params.ctx, &out);
}

static int give(struct ipsec_engine *e, uint64_t id, const struct ike_answer *answer)
{
	const struct log_sink *before = embed_enter(e);
	int rc = -1;

	errno = EINVAL;
	if (e->core) {
		engine_answer(e->core, id, answer);
		rc = 0;
	}
	embed_leave(e, before);
	return rc;
}

int ipsec_engine_answer(struct ipsec_engine *e, uint64_t id, const struct ipsec_answer *answer)
{
	const struct ike_answer ours = {
		.allow = answer->allow,
		.secret = bytes_of(answer->secret, answer->allow ? answer->secret_len : 0),
		.secret_is_group = answer->secret_is_shared,
		.vouched = true,
	};

	return give(e, id, &ours);
}

int ipsec_engine_refuse(struct ipsec_engine *e, uint64_t id, const char *text)
{
	const struct ike_answer ours = {.text = text};

	return give(e, id, &ours);
}

int ipsec_engine_sign(struct ipsec_engine *e, uint64_t id, const struct ipsec_signature *signature)
{
	struct ike_cert certs[CERTS_MAX] = {
		{.encoding = RAW_KEY, .data = bytes_in(&signature->key)}};
	const struct ike_answer ours = {
		.allow = true,
		.scheme = (enum ike_scheme)signature->scheme,
		.signature = bytes_in(&signature->value),
		.certs = certs,
		.num_certs = signature->num_certificates ? signature->num_certificates : 1,
	};

	if (signature->scheme < IPSEC_SCHEME_ED25519 ||
	    signature->scheme > IPSEC_SCHEME_RSA_PSS_SHA2_512 || ours.num_certs > CERTS_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (uint32_t i = 0; i < signature->num_certificates; i++)
		certs[i] = (struct ike_cert){.encoding = X509,
					     .data = bytes_in(&signature->certificates[i])};
	return give(e, id, &ours);
}
