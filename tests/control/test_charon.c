/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strongSwan as the judge: its messages are understood, its keys are derived again from them, its
 * AUTH values verify, and what we build from the same values is what it sent.
 */
#include "tests/control/charon.h"

#include "control/auth/verify.h"
#include "control/crypto/dh.h"
#include "control/crypto/keys.h"
#include "control/ike/wire/nat.h"
#include "control/ike/wire/proposal.h"
#include "control/ike/wire/selectors.h"
#include "control/ike/wire/sk.h"
#include "tests/control/hex.h"

static struct rng_seeded rng;

/* struct opened - one message of a session; the contents are decrypted if they were encrypted. */
struct opened {
	struct hex raw;
	uint8_t plain[HEX_MAX];
	struct ike_msg outer, inner;
	const struct ike_msg *m;
};

enum {
	INIT_REQUEST,
	INIT_RESPONSE,
	AUTH_REQUEST,
	AUTH_RESPONSE,
	CHILD_REQUEST,
	CHILD_RESPONSE,
	IKE_REQUEST = 12,
	IKE_RESPONSE,
	NUM_MSGS = 20
};

static struct conf_encr encr_of(const struct charon_session *s)
{
	return (struct conf_encr){ENCR_AES_GCM_16, s->encr_bits, 0};
}

static struct ike_aead *aead_of(struct crypto_ctx *c, const struct charon_session *s,
				const char *key)
{
	struct secret k = hex_secret(key);
	struct ike_aead *a = NULL;

	CU_ASSERT_EQUAL_FATAL(ike_aead_new(c, &a, encr_of(s), &k), ERR_OK);
	secret_fini(&k);
	return a;
}

/* open_msg - message i of a session with the key of its direction and IKE SA. */
static void open_msg(struct crypto_ctx *c, struct opened *o, const struct charon_session *s, int i)
{
	const struct charon_ike *keys;
	struct ike_aead *a;
	struct hex first;
	bool authentic = false;

	hex_read(&first, s->msgs[0].hex);
	hex_read(&o->raw, s->msgs[i].hex);
	o->m = &o->outer;
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&o->outer, hex_view(&o->raw)), ERR_OK);
	if (!(o->outer.present & PAYLOAD_BIT(PAYLOAD_SK)))
		return;
	keys = &s->ike[load_be64(first.b) != o->outer.h.spi_i];
	a = aead_of(c, s, o->outer.h.flags & IKE_FLAG_INITIATOR ? keys->ei : keys->er);
	CU_ASSERT_EQUAL_FATAL(
		sk_open(&o->inner, &authentic, o->plain, sizeof(o->plain), &o->outer, a), ERR_OK);
	CU_ASSERT(authentic);
	ike_aead_free(a);
	o->m = &o->inner;
}

static struct bytes nonce_of(const struct opened *o)
{
	struct bytes nonce = {0};

	CU_ASSERT_EQUAL(wire_nonce_parse(&nonce, ike_msg_body(o->m, PAYLOAD_NONCE)), ERR_OK);
	return nonce;
}

static uint64_t spi_of(const struct opened *o)
{
	struct sa_payload sa;

	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, ike_msg_body(o->m, PAYLOAD_SA)), ERR_OK);
	return sa.proposals[0].spi;
}

/* every - call fn for each session. */
static void every(void (*fn)(struct crypto_ctx *c, const struct charon_session *s))
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(charon_sessions); i++)
		fn(c, &charon_sessions[i]);
	crypto_ctx_free(c);
}

static void check_all_open(struct crypto_ctx *c, const struct charon_session *s)
{
	for (int i = 0; i < NUM_MSGS; i++) {
		struct opened o;

		open_msg(c, &o, s, i);
		CU_ASSERT_EQUAL(o.m->unknown_critical, 0);
		CU_ASSERT_EQUAL(ike_msg_check(o.m, 0, PAYLOAD_REPEATABLE), ERR_OK);
		CU_ASSERT_EQUAL(wire_notify_check(o.m), ERR_OK);
		CU_ASSERT_EQUAL(o.outer.h.minor, 0);
	}
}

static void test_every_message_opens(void)
{
	every(check_all_open);
}

static bool is(const char *hex, const struct secret *s)
{
	return hex_equal(hex, s->p, s->len);
}

static void check_ike_keys(const struct charon_ike *expected, const struct ike_keys *k)
{
	CU_ASSERT(is(expected->d, &k->sk_d));
	CU_ASSERT(is(expected->ei, &k->sk_ei));
	CU_ASSERT(is(expected->er, &k->sk_er));
	CU_ASSERT(is(expected->pi, &k->sk_pi));
	CU_ASSERT(is(expected->pr, &k->sk_pr));
}

/* first_keys - those of the first IKE SA, from the messages and charon's g^ir. */
static void first_keys(struct crypto_ctx *c, struct ike_keys *out, const struct charon_session *s)
{
	struct secret dh = hex_secret(s->ike[0].dh);
	struct opened request, response;
	struct ike_keys_params p = {.encr = encr_of(s), .prf = s->prf, .dh = &dh};

	open_msg(c, &request, s, INIT_REQUEST);
	open_msg(c, &response, s, INIT_RESPONSE);
	p.spi_i = response.m->h.spi_i;
	p.spi_r = response.m->h.spi_r;
	p.ni = nonce_of(&request);
	p.nr = nonce_of(&response);
	CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, out, &p), ERR_OK);
	secret_fini(&dh);
}

static void check_derivation(struct crypto_ctx *c, const struct charon_session *s)
{
	struct secret dh = hex_secret(s->ike[1].dh);
	struct ike_keys old = {0}, new = {0};
	struct ike_keys_params p = {.encr = encr_of(s), .prf = s->prf, .dh = &dh, .rekeyed = &old};
	struct opened request, response;

	first_keys(c, &old, s);
	check_ike_keys(&s->ike[0], &old);
	open_msg(c, &request, s, IKE_REQUEST);
	open_msg(c, &response, s, IKE_RESPONSE);
	p.spi_i = spi_of(&request);
	p.spi_r = spi_of(&response);
	p.ni = nonce_of(&request);
	p.nr = nonce_of(&response);
	CU_ASSERT_EQUAL_FATAL(ike_keys_derive(c, &new, &p), ERR_OK);
	check_ike_keys(&s->ike[1], &new);
	ike_keys_fini(&old);
	ike_keys_fini(&new);
	secret_fini(&dh);
}

static void test_ike_keys(void)
{
	every(check_derivation);
}

static void check_child(struct crypto_ctx *c, const struct charon_session *s)
{
	struct opened request, response;
	struct ike_keys k = {0};
	struct child_keys child = {0};

	first_keys(c, &k, s);
	open_msg(c, &request, s, INIT_REQUEST);
	open_msg(c, &response, s, INIT_RESPONSE);
	CU_ASSERT_EQUAL(child_keys_derive(c, &child, &k, encr_of(s), nonce_of(&request),
					  nonce_of(&response), NULL, NULL),
			ERR_OK);
	CU_ASSERT(is(s->child[0].i2r, &child.i2r));
	CU_ASSERT(is(s->child[0].r2i, &child.r2i));
	child_keys_fini(&child);
	/* charon logs no g^ir of a Child SA: without PFS the nonces are enough. */
	open_msg(c, &request, s, CHILD_REQUEST);
	open_msg(c, &response, s, CHILD_RESPONSE);
	if (!(request.m->present & PAYLOAD_BIT(PAYLOAD_KE))) {
		CU_ASSERT_EQUAL(child_keys_derive(c, &child, &k, encr_of(s), nonce_of(&request),
						  nonce_of(&response), NULL, NULL),
				ERR_OK);
		CU_ASSERT(is(s->child[1].i2r, &child.i2r));
		CU_ASSERT(is(s->child[1].r2i, &child.r2i));
		child_keys_fini(&child);
	}
	ike_keys_fini(&k);
}

static void test_child_keys(void)
{
	every(check_child);
}

/* verify - charon's AUTH, with one thing changed by `spoil` (0 = nothing). */
static enum err verify(struct crypto_ctx *c, struct auth_proof **out,
		       const struct charon_session *s, bool initiator, int spoil)
{
	struct opened request, response, auth_msg, *init;
	struct ike_keys k = {0};
	struct ike_id local = {.type = ID_FQDN, .len = 2, .data = "me"};
	struct wire_auth auth;
	struct auth_psk_params p = {.local = &local};
	enum err e;

	first_keys(c, &k, s);
	open_msg(c, &request, s, INIT_REQUEST);
	open_msg(c, &response, s, INIT_RESPONSE);
	open_msg(c, &auth_msg, s, initiator ? AUTH_REQUEST : AUTH_RESPONSE);
	CU_ASSERT_EQUAL_FATAL(wire_auth_parse(&auth, ike_msg_body(auth_msg.m, PAYLOAD_AUTH)),
			      ERR_OK);
	init = initiator ? &request : &response;
	p.octets = (struct auth_octets){
		.prf = s->prf,
		.message = hex_view(&init->raw),
		.nonce = nonce_of(initiator ? &response : &request),
		.id_body = ike_msg_body(auth_msg.m, initiator ? PAYLOAD_IDI : PAYLOAD_IDR),
		.sk_p = initiator ? &k.sk_pi : &k.sk_pr,
	};
	p.method = spoil == 1 ? 1 : auth.method;
	p.auth = auth.value;
	p.psk = bytes_of(CHARON_PSK, strlen(CHARON_PSK) - (spoil == 2));
	if (spoil == 3)
		p.auth.len--;
	if (spoil == 4)
		p.octets.sk_p = initiator ? &k.sk_pr : &k.sk_pi;
	if (spoil == 5)
		p.octets.message.len--;
	if (spoil == 6)
		p.octets.id_body.len--;
	if (spoil == 7)
		p.psk.len = 0;
	if (spoil == 8)
		p.auth.len = 0;
	if (spoil == 9)
		p.octets.nonce = nonce_of(initiator ? &request : &response);
	e = auth_verify_psk(c, out, &p);
	ike_keys_fini(&k);
	return e;
}

static void check_auth(struct crypto_ctx *c, const struct charon_session *s)
{
	static const struct {
		uint8_t type;
		const char *id;
	} ids[] = {{ID_RFC822_ADDR, CHARON_ID_2}, {ID_FQDN, CHARON_ID_1}};

	for (int initiator = 0; initiator < 2; initiator++) {
		struct auth_proof *proof = NULL;
		const struct auth_proof_params *params;

		CU_ASSERT_EQUAL_FATAL(verify(c, &proof, s, initiator, 0), ERR_OK);
		params = auth_proof_params(proof);
		CU_ASSERT_EQUAL(params->method, AUTH_METHOD_PSK);
		CU_ASSERT_EQUAL(params->peer.type, ids[initiator].type);
		CU_ASSERT(bytes_equal(bytes_of(params->peer.data, params->peer.len),
				      bytes_of(ids[initiator].id, strlen(ids[initiator].id))));
		CU_ASSERT_EQUAL(params->local.len, 2);
		auth_proof_put(proof);
		for (int spoil = 1; spoil <= 9; spoil++) {
			proof = NULL;
			CU_ASSERT_EQUAL(verify(c, &proof, s, initiator, spoil),
					spoil == 1 ? ERR_UNSUPPORTED : ERR_AUTH);
			CU_ASSERT_PTR_NULL(proof);
		}
	}
}

static void test_S20_auth(void)
{
	every(check_auth);
}

/* Host addresses of the capture. */
static struct path_addr path_of(const struct charon_msg *m)
{
	const uint8_t one[4] = {192, 0, 2, 1}, two[4] = {192, 0, 2, 2};
	const struct ip_addr a = ip_addr_v4(one), b = ip_addr_v4(two);
	struct path_addr p = {0};

	p.remote.addr = m->from == 1 ? a : b;
	p.local.addr = m->from == 1 ? b : a;
	p.remote.port = p.local.port = m->port;
	return p;
}

/* kernel-libipsec makes charon pretend a NAT: its source hash is wrong, its other hash is right. */
static void check_nat(struct crypto_ctx *c, const struct charon_session *s)
{
	for (int i = INIT_REQUEST; i <= INIT_RESPONSE; i++) {
		struct path_addr path = path_of(&s->msgs[i]);
		struct nat_found found = {0};
		struct opened o;

		open_msg(c, &o, s, i);
		CU_ASSERT_EQUAL(nat_detect(c, &found, o.m, &path), ERR_OK);
		CU_ASSERT(found.known);
		CU_ASSERT(found.peer);
		CU_ASSERT_FALSE(found.local);
		path.local.port++;
		CU_ASSERT_EQUAL(nat_detect(c, &found, o.m, &path), ERR_OK);
		CU_ASSERT(found.local);
	}
}

static void test_nat_hashes(void)
{
	every(check_nat);
}

/* Our own offer, and what it selects from charon's. */
static struct conf_proposal ike_offer(const struct charon_session *s)
{
	return (struct conf_proposal){
		.encr = {{ENCR_AES_GCM_16, s->encr_bits, 0}},
		.prf = {s->prf},
		.dh = {s->dh},
		.num_encr = 1,
		.num_prf = 1,
		.num_dh = 1,
	};
}

static void check_selection(struct crypto_ctx *c, const struct charon_session *s)
{
	const struct conf_proposal ike = ike_offer(s);
	const struct conf_proposal esp = {
		.encr = {{ENCR_AES_GCM_16, s->encr_bits, 0}}, .num_encr = 1, .num_esn = 1};
	struct opened request, response;
	struct sa_chosen chosen, answered;
	struct sa_payload sa;

	open_msg(c, &request, s, INIT_REQUEST);
	open_msg(c, &response, s, INIT_RESPONSE);
	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, ike_msg_body(request.m, PAYLOAD_SA)), ERR_OK);
	CU_ASSERT_EQUAL(sa_select(&chosen, &sa, SA_KIND_IKE, &ike, 1, 0), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, ike_msg_body(response.m, PAYLOAD_SA)), ERR_OK);
	CU_ASSERT_EQUAL(sa_check(&answered, &sa, SA_KIND_IKE, &ike, 1), ERR_OK);
	CU_ASSERT_EQUAL(chosen.dh, answered.dh);
	CU_ASSERT_EQUAL(chosen.prf, s->prf);
	open_msg(c, &request, s, AUTH_REQUEST);
	open_msg(c, &response, s, AUTH_RESPONSE);
	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, ike_msg_body(request.m, PAYLOAD_SA)), ERR_OK);
	CU_ASSERT_EQUAL(sa_select(&chosen, &sa, SA_KIND_CHILD_AUTH, &esp, 1, 0), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(sa_parse(&sa, ike_msg_body(response.m, PAYLOAD_SA)), ERR_OK);
	CU_ASSERT_EQUAL(sa_check(&answered, &sa, SA_KIND_CHILD_AUTH, &esp, 1), ERR_OK);
	CU_ASSERT(answered.spi != 0 && chosen.spi != 0 && answered.spi != chosen.spi);
	CU_ASSERT_FALSE(answered.esn);
}

static void test_selection(void)
{
	every(check_selection);
}

/* rebuild - a message's payloads of the kinds that we parse to values, built again from the values,
 * must be the bytes that charon sent; others are copied. */
static void rebuild_payload(struct ike_builder *b, const struct ike_payload *p)
{
	struct ts_list ts;
	struct wire_ke ke;
	struct wire_notify n;
	struct wire_delete d;
	struct wire_auth auth;
	struct ike_id id;
	struct writer *w;

	switch (p->type) {
	case PAYLOAD_KE:
		CU_ASSERT_EQUAL_FATAL(wire_ke_parse(&ke, p->body), ERR_OK);
		wire_ke_build(b, ke.group, ke.value);
		return;
	case PAYLOAD_IDI:
	case PAYLOAD_IDR:
		CU_ASSERT_EQUAL_FATAL(wire_id_parse(&id, p->body), ERR_OK);
		wire_id_build(b, p->type, &id);
		return;
	case PAYLOAD_AUTH:
		CU_ASSERT_EQUAL_FATAL(wire_auth_parse(&auth, p->body), ERR_OK);
		wire_auth_build(b, auth.method, auth.value);
		return;
	case PAYLOAD_NONCE:
		wire_nonce_build(b, p->body);
		return;
	case PAYLOAD_TSI:
	case PAYLOAD_TSR:
		CU_ASSERT_EQUAL_FATAL(ts_list_parse(&ts, p->body), ERR_OK);
		ts_list_build(b, p->type, ts.ts, ts.num);
		return;
	case PAYLOAD_NOTIFY:
		CU_ASSERT_EQUAL_FATAL(wire_notify_parse(&n, p->body), ERR_OK);
		if (n.spi.len)
			wire_notify_spi_build(b, n.type, load_be32(n.spi.p));
		else
			wire_notify_build(b, n.type, n.data);
		return;
	case PAYLOAD_DELETE:
		CU_ASSERT_EQUAL_FATAL(wire_delete_parse(&d, p->body), ERR_OK);
		if (d.protocol == PROTO_IKE) {
			wire_delete_ike_build(b);
		} else {
			const uint32_t spi = wire_delete_spi(&d, 0);

			CU_ASSERT_EQUAL(d.num, 1);
			wire_delete_esp_build(b, &spi, 1);
		}
		return;
	default:
		w = ike_build_payload(b, p->type);
		writer_bytes(w, p->body.p, p->body.len);
	}
}

static void check_rebuilt(struct crypto_ctx *c, const struct charon_session *s)
{
	for (int i = 0; i < NUM_MSGS; i++) {
		struct opened o;
		struct ike_builder b;
		uint8_t buf[HEX_MAX];
		struct bytes out;

		open_msg(c, &o, s, i);
		ike_build_begin(&b, buf, sizeof(buf), &o.m->h);
		for (uint32_t j = 0; j < o.m->num; j++)
			rebuild_payload(&b, &o.m->payloads[j]);
		CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
		if (o.m == &o.outer) {
			CU_ASSERT(bytes_equal(out, hex_view(&o.raw)));
			continue;
		}
		/* The decrypted chain lies at the front of plain; its header is ours. */
		CU_ASSERT(memcmp(out.p + IKE_HEADER_LEN, o.plain, out.len - IKE_HEADER_LEN) == 0);
		CU_ASSERT_EQUAL(out.len - IKE_HEADER_LEN,
				o.outer.raw.len - IKE_HEADER_LEN - IKE_PAYLOAD_HDR_LEN -
					IKE_AEAD_IV_LEN - IKE_AEAD_ICV_LEN - 1);
	}
}

static void test_rebuilt_messages_are_equal(void)
{
	every(check_rebuilt);
}

/* The offer that charon sent is what sa_offer_build() makes of the same configuration. */
static void test_offer_bytes(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	const struct charon_session *s = &charon_sessions[1];
	const struct conf_proposal ike = ike_offer(s);
	struct opened o;
	struct ike_builder b;
	uint8_t buf[512];
	struct bytes out;

	open_msg(c, &o, s, INIT_REQUEST);
	ike_build_begin(&b, buf, sizeof(buf), &o.m->h);
	sa_offer_build(&b, SA_KIND_IKE, 0, &ike, 1);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT(bytes_equal(bytes_of(out.p + 32, out.len - 32), ike_msg_body(o.m, PAYLOAD_SA)));
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_every_message_opens),
	TAP_TEST(test_ike_keys),
	TAP_TEST(test_child_keys),
	TAP_TEST(test_S20_auth),
	TAP_TEST(test_nat_hashes),
	TAP_TEST(test_selection),
	TAP_TEST(test_rebuilt_messages_are_equal),
	TAP_TEST(test_offer_bytes),
};

TAP_MAIN("control/charon", tests)
