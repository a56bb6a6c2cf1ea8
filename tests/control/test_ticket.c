/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets by value (RFC 5723): what goes in comes out, and nothing else opens. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/ike/ticket.h"
#include "control/ike/wire/proto.h"
#include "tests/control/sweep.h"
#include "tests/tap/tap.h"

#define NOW (1000 * NS_PER_S)

static struct rng_seeded rng;
static const uint8_t sk_d[32] = {1, 2, 3}, cert[] = "a certificate", key[] = "a key";

static struct ike_id named(const char *name)
{
	struct ike_id id = {.type = ID_FQDN, .len = (uint16_t)strlen(name)};

	memcpy(id.data, name, id.len);
	return id;
}

static struct ticket one(void)
{
	struct ticket t = {
		.expires_ns = NOW + NS_PER_S,
		.auth_until_ns = NOW + 2 * NS_PER_S,
		.encr = {.id = ENCR_AES_GCM_16, .key_bits = 256},
		.prf = PRF_HMAC_SHA2_256,
		.dh = DH_CURVE_25519,
		.addke = {DH_NONE, DH_ECP_256, [CONF_MAX_ADDKE - 1] = DH_CURVE_25519},
		.sk_d = bytes_of(sk_d, sizeof(sk_d)),
		.conn = bytes_of("gw", 2),
		.idi = named("carol.example"),
		.proven = {.method = AUTH_METHOD_PKIX_INLINE,
			   .ppk = true,
			   .local = named("moon.example"),
			   .peer = named("carol.example"),
			   .peer_key = bytes_of(key, sizeof(key))},
		.certs = {{.encoding = CERT_X509_SIGNATURE, .data = bytes_of(cert, sizeof(cert))}},
		.num_certs = 1,
	};

	return t;
}

static bool same(const struct ticket *a, const struct ticket *b)
{
	return a->id.number == b->id.number && a->expires_ns == b->expires_ns &&
	       a->auth_until_ns == b->auth_until_ns && a->encr.id == b->encr.id &&
	       a->encr.key_bits == b->encr.key_bits && a->encr.integ == b->encr.integ &&
	       a->prf == b->prf && a->dh == b->dh &&
	       memcmp(a->addke, b->addke, sizeof(a->addke)) == 0 && bytes_equal(a->sk_d, b->sk_d) &&
	       bytes_equal(a->conn, b->conn) && a->idi.len == b->idi.len &&
	       a->proven.method == b->proven.method && a->proven.ppk == b->proven.ppk &&
	       !a->proven.initiator && a->proven.peer.len == b->proven.peer.len &&
	       memcmp(a->proven.local.data, b->proven.local.data, a->proven.local.len) == 0 &&
	       bytes_equal(a->proven.peer_key, b->proven.peer_key) &&
	       a->num_certs == b->num_certs && bytes_equal(a->certs[0].data, b->certs[0].data);
}

static enum err open_one(const struct ticket_jar *jar, struct bytes sealed, uint64_t now_ns)
{
	struct secret text = {0};
	struct ticket t;
	enum err e = ticket_open(jar, &t, &text, sealed, now_ns);

	if (e)
		CU_ASSERT_PTR_NULL(text.p);
	secret_fini(&text);
	return e;
}

static void test_round(void)
{
	struct ticket_jar jar = {.keys = {{.id = 0}}};
	struct ticket t = one(), back;
	struct secret text = {0};
	uint8_t sealed[TICKET_MAX];
	size_t len = 0;

	rng_seeded_init(&rng, 1);
	CU_ASSERT_EQUAL_FATAL(ticket_seal(&jar, &rng.rng, sealed, &len, &t, NOW), ERR_OK);
	CU_ASSERT(t.id.key != 0 && t.id.number == 0);
	CU_ASSERT_PTR_NULL(memmem(sealed, len, "carol", 5));
	CU_ASSERT_PTR_NULL(memmem(sealed, len, sk_d, sizeof(sk_d)));
	CU_ASSERT_EQUAL_FATAL(ticket_open(&jar, &back, &text, bytes_of(sealed, len), NOW), ERR_OK);
	CU_ASSERT_TRUE(same(&back, &t));
	CU_ASSERT_EQUAL(back.id.key, t.id.key);
	secret_fini(&text);
	CU_ASSERT_EQUAL(open_one(&jar, bytes_of(sealed, len), NOW + NS_PER_S), ERR_TIMEOUT);
	ticket_jar_void(&jar);
	CU_ASSERT_EQUAL(open_one(&jar, bytes_of(sealed, len), NOW), ERR_NOT_FOUND);
}

static void test_spent_once(void)
{
	struct ticket_jar jar = {.keys = {{.id = 0}}};
	struct ticket t[3] = {one(), one(), one()};
	uint8_t sealed[3][TICKET_MAX];
	size_t len[3];

	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL_FATAL(ticket_seal(&jar, &rng.rng, sealed[i], &len[i], &t[i], NOW),
				      ERR_OK);
	CU_ASSERT(t[2].id.key == t[0].id.key && t[2].id.number == 2);
	ticket_spend(&jar, t[1].id);
	CU_ASSERT_EQUAL(open_one(&jar, bytes_of(sealed[0], len[0]), NOW), ERR_OK);
	CU_ASSERT_EQUAL(open_one(&jar, bytes_of(sealed[1], len[1]), NOW), ERR_EXISTS);
	CU_ASSERT_EQUAL(open_one(&jar, bytes_of(sealed[2], len[2]), NOW), ERR_OK);
	CU_ASSERT_TRUE(ticket_is_spent(&jar, (struct ticket_id){.key = t[0].id.key, .number = 3}));
	CU_ASSERT_TRUE(ticket_is_spent(&jar, (struct ticket_id){.key = 0}));
	ticket_spend(&jar, (struct ticket_id){.key = t[0].id.key, .number = UINT32_MAX});
	ticket_jar_void(&jar);
	ticket_spend(&jar, t[0].id);
	CU_ASSERT_TRUE(ticket_is_spent(&jar, t[0].id));
}

/* A key gives tickets for so long, or so many, and opens them until the one after the next. */
static void test_keys_go(void)
{
	struct ticket_jar jar = {.keys = {{.id = 0}}};
	struct ticket t[4];
	uint8_t sealed[4][TICKET_MAX];
	size_t len[4];

	for (size_t i = 0; i < 3; i++) {
		t[i] = one();
		t[i].expires_ns = TIME_NEVER;
		CU_ASSERT_EQUAL_FATAL(
			ticket_seal(&jar, &rng.rng, sealed[i], &len[i], &t[i], NOW + i * TICKET_NS),
			ERR_OK);
	}
	CU_ASSERT(t[0].id.key != t[1].id.key && t[1].id.key != t[2].id.key);
	CU_ASSERT_EQUAL(open_one(&jar, bytes_of(sealed[0], len[0]), NOW), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(open_one(&jar, bytes_of(sealed[1], len[1]), NOW), ERR_OK);
	jar.keys[0].next = TICKETS_PER_KEY;
	t[3] = one();
	CU_ASSERT_EQUAL(ticket_seal(&jar, &rng.rng, sealed[3], &len[3], &t[3], NOW + 2 * TICKET_NS),
			ERR_OK);
	CU_ASSERT(t[3].id.key != t[2].id.key && t[3].id.number == 0);
	ticket_jar_void(&jar);
}

static void test_R5723_of_another_gateway(void)
{
	struct ticket_jar ours = {.keys = {{.id = 0}}}, theirs = {.keys = {{.id = 0}}};
	struct ticket t = one(), u = one();
	uint8_t sealed[TICKET_MAX], other[TICKET_MAX];
	size_t len, other_len;

	CU_ASSERT_EQUAL_FATAL(ticket_seal(&ours, &rng.rng, sealed, &len, &t, NOW), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ticket_seal(&theirs, &rng.rng, other, &other_len, &u, NOW), ERR_OK);
	CU_ASSERT_EQUAL(open_one(&ours, bytes_of(other, other_len), NOW), ERR_NOT_FOUND);
	memcpy(other + 1, sealed + 1, 8); /* as if it were of our key */
	CU_ASSERT_EQUAL(open_one(&ours, bytes_of(other, other_len), NOW), ERR_AUTH);
	ticket_jar_void(&ours);
	ticket_jar_void(&theirs);
}

static void test_bounds(void)
{
	static const uint8_t large[TICKET_MAX];
	struct ticket_jar jar = {.keys = {{.id = 0}}};
	struct ticket t = one();
	uint8_t sealed[TICKET_MAX];
	size_t len;

	t.certs[0].data = bytes_of(large, sizeof(large));
	CU_ASSERT_EQUAL(ticket_seal(&jar, &rng.rng, sealed, &len, &t, NOW), ERR_FULL);
	t = one();
	CU_ASSERT_EQUAL(ticket_seal(&jar, &rng.rng, sealed, &len, &t, NOW), ERR_OK);
	CU_ASSERT_EQUAL(t.id.number, 0); /* what was not made has no number */
	CU_ASSERT_EQUAL(open_one(&jar, bytes_of(sealed, TICKET_OVERHEAD), NOW), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(open_one(&jar, bytes_of(large, sizeof(large)), NOW), ERR_NOT_FOUND);
	ticket_jar_void(&jar);
}

static struct ticket_jar swept;

static void visit_sealed(struct bytes sealed, long changed_bit)
{
	(void)changed_bit;
	CU_ASSERT_NOT_EQUAL(open_one(&swept, sealed, NOW), ERR_OK);
}

static void within(struct bytes part, struct bytes whole)
{
	CU_ASSERT(!part.len || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

static void visit_text(struct bytes text, long changed_bit)
{
	struct ticket t;
	enum err e = ticket_parse(&t, text);

	if (changed_bit < 0)
		CU_ASSERT_NOT_EQUAL(e, ERR_OK);
	if (e)
		return;
	within(t.sk_d, text);
	within(t.conn, text);
	within(t.proven.subject, text);
	for (uint32_t i = 0; i < t.num_certs; i++)
		within(t.certs[i].data, text);
	CU_ASSERT(t.num_certs <= TICKET_CERTS && t.proven.method < AUTH_NUM_METHODS);
}

static void test_S1_sweep(void)
{
	struct ticket t = one();
	uint8_t buf[TICKET_MAX];
	struct bytes text;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(ticket_seal(&swept, &rng.rng, buf, &len, &t, NOW), ERR_OK);
	CU_ASSERT_EQUAL(open_one(&swept, bytes_of(buf, len), NOW), ERR_OK);
	CU_ASSERT_EQUAL(sweep(buf, len, visit_sealed), len * 9);
	ticket_jar_void(&swept);
	CU_ASSERT_EQUAL_FATAL(ticket_write(buf, sizeof(buf), &text, &t), ERR_OK);
	CU_ASSERT_EQUAL(sweep(text.p, text.len, visit_text), text.len * 9);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_round),   TAP_TEST(test_spent_once),
	TAP_TEST(test_keys_go), TAP_TEST(test_R5723_of_another_gateway),
	TAP_TEST(test_bounds),  TAP_TEST(test_S1_sweep),
};

TAP_MAIN("control/ticket", tests)
