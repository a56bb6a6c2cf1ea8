/* SPDX-License-Identifier: Apache-2.0 */
/* EAP without IKE: published values of MSCHAPv2, two ends of a conversation, and what becomes of it
 * when packets are others, come again, or come in another order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/auth/eap/method.h"
#include "control/auth/eap/mschap.h"
#include "control/crypto/des.h"
#include "control/engine.h"
#include "control/ike/wire/proto.h"
#include "tests/pki.h"
#include "tests/tap/tap.h"

static struct crypto_ctx *crypto(void)
{
	static struct rng_seeded rng;
	static struct crypto_ctx *c;

	if (!c) {
		rng_seeded_init(&rng, 1);
		CU_ASSERT_EQUAL_FATAL(crypto_ctx_new(&c, &rng.rng), ERR_OK);
	}
	return c;
}

static struct bytes text(const char *s)
{
	return bytes_of(s, strlen(s));
}

/* ---- published values ------------------------------------------------------------------------ */

/* RFC 1320 A.5. */
static void test_md4(void)
{
	static const struct {
		const char *input;
		uint8_t value[MD4_LEN];
	} vectors[] = {
		{"",
		 {0x31, 0xd6, 0xcf, 0xe0, 0xd1, 0x6a, 0xe9, 0x31, 0xb7, 0x3c, 0x59, 0xd7, 0xe0,
		  0xc0, 0x89, 0xc0}},
		{"a",
		 {0xbd, 0xe5, 0x2c, 0xb3, 0x1d, 0xe3, 0x3e, 0x46, 0x24, 0x5e, 0x05, 0xfb, 0xdb,
		  0xd6, 0xfb, 0x24}},
		{"abc",
		 {0xa4, 0x48, 0x01, 0x7a, 0xaf, 0x21, 0xd8, 0x52, 0x5f, 0xc1, 0x0a, 0xe8, 0x7a,
		  0xa6, 0x72, 0x9d}},
		{"message digest",
		 {0xd9, 0x13, 0x0a, 0x81, 0x64, 0x54, 0x9f, 0xe8, 0x18, 0x87, 0x48, 0x06, 0xe1,
		  0xc7, 0x01, 0x4b}},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
		 {0x04, 0x3f, 0x85, 0x82, 0xf2, 0x41, 0xdb, 0x35, 0x1c, 0xe6, 0x27, 0xe1, 0x53,
		  0xe7, 0xf0, 0xe4}},
		{"1234567890123456789012345678901234567890123456789012345678901234567890123456789"
		 "0",
		 {0xe3, 0x3b, 0x4d, 0xdc, 0x9c, 0x38, 0xf2, 0x19, 0x9c, 0x3e, 0x7b, 0x16, 0x4f,
		  0xcc, 0x05, 0x36}},
	};

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		uint8_t out[MD4_LEN];

		md4(out, text(vectors[i].input));
		CU_ASSERT_EQUAL(memcmp(out, vectors[i].value, MD4_LEN), 0);
	}
}

/* RFC 2759 9.2 and RFC 3079 3.5.3: user "User", password "clientPass". */
static const uint8_t example_hash[MD4_LEN] = {0x44, 0xeb, 0xba, 0x8d, 0x53, 0x12, 0xb8, 0xd6,
					      0x11, 0x47, 0x44, 0x11, 0xf5, 0x69, 0x89, 0xae};
static const struct mschap example = {
	.authenticator_challenge = {0x5b, 0x5d, 0x7c, 0x7d, 0x7b, 0x3f, 0x2f, 0x3e, 0x3c, 0x2c,
				    0x60, 0x21, 0x32, 0x26, 0x26, 0x28},
	.peer_challenge = {0x21, 0x40, 0x23, 0x24, 0x25, 0x5e, 0x26, 0x2a, 0x28, 0x29, 0x5f, 0x2b,
			   0x3a, 0x33, 0x7c, 0x7e},
	.hash = example_hash,
};
static const uint8_t example_response[MSCHAP_NT_RESPONSE_LEN] = {
	0x82, 0x30, 0x9e, 0xcd, 0x8d, 0x70, 0x8b, 0x5e, 0xa0, 0x8f, 0xaa, 0x39,
	0x81, 0xcd, 0x83, 0x54, 0x42, 0x33, 0x11, 0x4a, 0x3d, 0x85, 0xd6, 0xdf};

static void test_mschap_values(void)
{
	static const uint8_t authenticator[] = {0x40, 0x7a, 0x55, 0x89, 0x11, 0x5f, 0xd0,
						0xd6, 0x20, 0x9f, 0x51, 0x0f, 0xe9, 0xc0,
						0x45, 0x66, 0x93, 0x2c, 0xda, 0x56};
	/* What the server sends by, the peer receives by. */
	static const uint8_t server_sends[] = {0x8b, 0x7c, 0xdc, 0x14, 0x9b, 0x99, 0x3a, 0x1b,
					       0xa1, 0x18, 0xcb, 0x15, 0x3f, 0x56, 0xdc, 0xcb};
	uint8_t hash[MD4_LEN], response[MSCHAP_NT_RESPONSE_LEN], shown[MSCHAP_AUTHENTICATOR_LEN];
	uint8_t sends[MSCHAP_KEY_LEN], receives[MSCHAP_KEY_LEN];
	struct mschap m = example;

	m.user = mschap_user(text("DOMAIN\\User"));
	CU_ASSERT_EQUAL(mschap_hash(hash, text("clientPass")), ERR_OK);
	CU_ASSERT_EQUAL(memcmp(hash, example_hash, sizeof(hash)), 0);
	CU_ASSERT_EQUAL(mschap_response(crypto(), response, &m), ERR_OK);
	CU_ASSERT_EQUAL(memcmp(response, example_response, sizeof(response)), 0);
	CU_ASSERT_EQUAL(mschap_authenticator(crypto(), shown, &m, response), ERR_OK);
	CU_ASSERT_EQUAL(memcmp(shown, authenticator, sizeof(shown)), 0);
	CU_ASSERT_EQUAL(mschap_keys(crypto(), sends, receives, &m, response), ERR_OK);
	CU_ASSERT_EQUAL(memcmp(receives, server_sends, sizeof(receives)), 0);
}

/* A password is text: what is none has no hash, and what has two units in UTF-16 has two. */
static void test_passwords_are_utf8(void)
{
	static const char *const bad[] = {"\x80",
					  "\xc3",
					  "\xc0\x80",
					  "\xed\xa0\x80",
					  "\xe2\x82",
					  "\xf8\x88\x80\x80\x80",
					  "\xf4\x90\x80\x80",
					  "a\xc3(",
					  "\xe0\x80\x80"};
	uint8_t a[MD4_LEN], b[MD4_LEN];
	char many[300];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(mschap_hash(a, text(bad[i])), ERR_INVAL);
	/* U+20AC and U+1F511 in UTF-16LE. */
	CU_ASSERT_EQUAL(mschap_hash(a, text("\xe2\x82\xac\xf0\x9f\x94\x91")), ERR_OK);
	md4(b, bytes_of("\xac\x20\x3d\xd8\x11\xdd", 6));
	CU_ASSERT_EQUAL(memcmp(a, b, MD4_LEN), 0);
	memset(many, 'x', sizeof(many));
	CU_ASSERT_EQUAL(mschap_hash(a, bytes_of(many, 256)), ERR_OK);
	CU_ASSERT_EQUAL(mschap_hash(a, bytes_of(many, 257)), ERR_LIMIT);
}

/* ---- conversations --------------------------------------------------------------------------- */

#define NAME     "carol@example.org"
#define PASSWORD "Ar3etTnp"

static struct ike_id id(const char *name)
{
	struct ike_id out;

	CU_ASSERT_EQUAL_FATAL(eap_id_of(&out, text(name)), ERR_OK);
	return out;
}

/* struct pair - two ends, and what each knows. */
struct pair {
	struct eap *x[2]; /* the peer, the server */
	bool stranger[2]; /* its certificate is not believed */
	unsigned keys[2]; /* how often it was asked for a certificate of its own */
	const char *secret[2];
	enum err last[2];
};

enum {
	PEER,
	SERVER
};

/* By which method; with TLS, how many certificates each side shows. */
static uint8_t method = EAP_TYPE_MSCHAPV2;
static uint32_t chain_len = 1;

/* What the peer's key is, and which sides have been asked about the other's certificate. */
static const char *peer_kind;
static unsigned asked_chain[2];

static struct pair pair_new(bool asks)
{
	struct pair p = {.secret = {PASSWORD, PASSWORD}};
	struct eap_params params = {.crypto = crypto(), .identity = id(NAME)};

	CU_ASSERT_EQUAL_FATAL(eap_new(&p.x[PEER], &params), ERR_OK);
	params.server = true;
	params.type = method;
	params.asks_identity = asks;
	CU_ASSERT_EQUAL_FATAL(eap_new(&p.x[SERVER], &params), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(eap_begin(p.x[SERVER]), ERR_OK);
	return p;
}

static void pair_free(struct pair *p)
{
	eap_free(p->x[PEER]);
	eap_free(p->x[SERVER]);
}

static enum err answer_key(struct pair *p, unsigned side)
{
	static struct pki_cert certs[2], other;
	const struct pki_cert *mine = &certs[side];
	struct bytes own[3];

	if (!certs[side].len)
		pki_cert_make(&certs[side],
			      &(struct pki_params){.subject = side ? "/CN=server" : "/CN=peer"});
	if (side == PEER && peer_kind) {
		pki_cert_make(&other, &(struct pki_params){.subject = "/CN=peer",
							   .key = pki_key_get(peer_kind)});
		mine = &other;
	}
	own[0] = own[1] = own[2] = pki_der(mine);
	p->keys[side]++;
	return eap_answer(p->x[side], &(struct eap_answer){.secret = pki_private(mine->key),
							   .certs = own,
							   .num_certs = chain_len});
}

static enum err answer(struct pair *p, unsigned side)
{
	struct bytes chain[EAP_MAX_CERTS];

	switch (eap_wants(p->x[side])) {
	case EAP_WANTS_SECRET:
		return eap_answer(p->x[side],
				  &(struct eap_answer){.secret = text(p->secret[side])});
	case EAP_WANTS_KEY:
		return answer_key(p, side);
	case EAP_WANTS_CHAIN:
		asked_chain[side]++;
		CU_ASSERT_EQUAL(eap_chain(p->x[side], chain), chain_len);
		return eap_answer(p->x[side],
				  &(struct eap_answer){.believed = !p->stranger[!side]});
	case EAP_WANTS_PACKET:
	case EAP_WANTS_SERVER:
	case EAP_WANTS_NOTHING:
	default:
		return ERR_BAD_STATE;
	}
}

static bool waits(const struct eap *x)
{
	return eap_wants(x) != EAP_WANTS_PACKET && eap_wants(x) != EAP_WANTS_NOTHING;
}

static void take(struct pair *p, unsigned side, struct bytes packet)
{
	p->last[side] = eap_take(p->x[side], packet);
	while (!p->last[side] && waits(p->x[side]))
		p->last[side] = answer(p, side);
}

/* To the end, at most `packets` of them; returns how many there were. */
static unsigned talk(struct pair *p, unsigned packets)
{
	unsigned num = 0;

	for (unsigned to = PEER; num < packets; to = !to, num++) {
		const struct bytes packet = eap_packet(p->x[!to]);

		if (!packet.len || p->last[!to])
			break;
		take(p, to, packet);
	}
	return num;
}

static bool same_key(const struct pair *p)
{
	return eap_msk(p->x[PEER]).len == EAP_MSK_LEN &&
	       bytes_equal(eap_msk(p->x[PEER]), eap_msk(p->x[SERVER]));
}

static void test_both_have_the_key(void)
{
	for (unsigned asks = 0; asks < 2; asks++) {
		struct pair p = pair_new(asks);

		talk(&p, 100);
		CU_ASSERT_EQUAL(p.last[PEER], ERR_OK);
		CU_ASSERT_EQUAL(p.last[SERVER], ERR_OK);
		CU_ASSERT_EQUAL(eap_wants(p.x[PEER]), EAP_WANTS_NOTHING);
		CU_ASSERT_EQUAL(eap_wants(p.x[SERVER]), EAP_WANTS_NOTHING);
		CU_ASSERT_TRUE(same_key(&p));
		CU_ASSERT_EQUAL(eap_type(p.x[SERVER]), EAP_TYPE_MSCHAPV2);
		pair_free(&p);
	}
}

/* Whoever has another password has no key, nor has who talks to it. */
static void test_S21_wrong_password(void)
{
	static const char *const wrong[] = {"Ar3etTnq", ""};

	for (unsigned i = 0; i < 2 * ARRAY_LEN(wrong); i++) {
		struct pair p = pair_new(true);

		p.secret[i % 2] = wrong[i / 2];
		talk(&p, 100);
		CU_ASSERT(p.last[PEER] || p.last[SERVER]);
		CU_ASSERT_EQUAL(eap_msk(p.x[PEER]).len, 0);
		CU_ASSERT_EQUAL(eap_msk(p.x[SERVER]).len, 0);
		pair_free(&p);
	}
}

/* A server that says that all is well before it has shown that it knows the password, whenever it
 * does. */
static void test_S21_success_is_not_proof(void)
{
	const unsigned shown = 5; /* packets, after which it has */

	for (unsigned at = 0; at <= shown; at++) {
		struct pair p = pair_new(true);
		uint8_t success[] = {EAP_SUCCESS, 0, 0, 4};

		CU_ASSERT_EQUAL_FATAL(talk(&p, at), at);
		success[1] = eap_packet(p.x[SERVER]).p[1];
		take(&p, PEER, bytes_of(success, sizeof(success)));
		CU_ASSERT_EQUAL(eap_msk(p.x[PEER]).len, at == shown ? EAP_MSK_LEN : 0);
		CU_ASSERT_EQUAL(eap_msk(p.x[SERVER]).len, 0);
		pair_free(&p);
	}
}

/* A server that lets anybody in does not know the password for that. */
static void test_S21_server_knows_the_password(void)
{
	struct pair p = pair_new(true);
	uint8_t copy[EAP_PACKET_MAX];
	struct bytes packet;

	CU_ASSERT_EQUAL_FATAL(talk(&p, 4), 4);
	packet = eap_packet(p.x[SERVER]);
	memcpy(copy, packet.p, packet.len);
	CU_ASSERT_EQUAL_FATAL(copy[9], 'S');
	copy[11] = copy[11] == '0' ? '1' : '0';
	take(&p, PEER, bytes_of(copy, packet.len));
	CU_ASSERT_EQUAL(p.last[PEER], ERR_AUTH);
	CU_ASSERT_PTR_NOT_NULL(strstr(eap_why(p.x[PEER]), "does not know the password"));
	pair_free(&p);
}

/* A client that lets any server be one is none for that. */
static void test_S21_client_knows_the_password(void)
{
	struct pair p = pair_new(true);
	uint8_t copy[EAP_PACKET_MAX], done[] = {EAP_RESPONSE, 0, 0, 6, EAP_TYPE_MSCHAPV2, 3};
	struct bytes packet;

	CU_ASSERT_EQUAL_FATAL(talk(&p, 3), 3);
	packet = eap_packet(p.x[PEER]);
	memcpy(copy, packet.p, packet.len);
	copy[9 + 1 + 16 + 8] ^= 1; /* the NT-Response */
	take(&p, SERVER, bytes_of(copy, packet.len));
	CU_ASSERT_EQUAL(p.last[SERVER], ERR_OK); /* it says so first */
	done[1] = eap_packet(p.x[SERVER]).p[1];
	take(&p, SERVER, bytes_of(done, sizeof(done)));
	CU_ASSERT_EQUAL(p.last[SERVER], ERR_AUTH);
	CU_ASSERT_EQUAL(eap_msk(p.x[SERVER]).len, 0);
	pair_free(&p);
}

/* What stands for the password lies where keys do: not in the conversation itself. */
static void test_hash_is_a_secret(void)
{
	uint8_t hash[MD4_LEN];
	struct pair p = pair_new(false);

	CU_ASSERT_EQUAL(mschap_hash(hash, text(PASSWORD)), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(talk(&p, 2), 2);
	for (unsigned side = 0; side < 2; side++)
		CU_ASSERT_PTR_NULL(
			memmem(p.x[side]->state, p.x[side]->method->state_len, hash, sizeof(hash)));
	talk(&p, 100);
	pair_free(&p);
}

/* struct counted - a generator that counts what is drawn of it. */
struct counted {
	struct rng rng;
	struct rng_seeded of;
	unsigned num;
};

static enum err count_fill(void *ctx, void *out, size_t len)
{
	struct counted *c = ctx;

	c->num++;
	return rng_fill(&c->of.rng, out, len);
}

/* S21: for a name that nobody has a password is made up, so that it takes as long and ends as a
 * wrong one does. */
static void test_S21_unknown_name(void)
{
	struct counted c = {.rng = {.fill = count_fill, .ctx = &c}};
	struct eap_params params = {
		.server = true, .type = EAP_TYPE_MSCHAPV2, .identity = id(NAME)};
	static const char *const secrets[] = {"", "\x80", "another"};
	size_t len = 0;

	rng_seeded_init(&c.of, 7);
	CU_ASSERT_EQUAL_FATAL(crypto_ctx_new(&params.crypto, &c.rng), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		struct pair p = pair_new(false);
		unsigned before;

		eap_free(p.x[SERVER]);
		CU_ASSERT_EQUAL_FATAL(eap_new(&p.x[SERVER], &params), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(eap_begin(p.x[SERVER]), ERR_OK);
		p.secret[SERVER] = secrets[i];
		talk(&p, 1);
		before = c.num;
		take(&p, SERVER, eap_packet(p.x[PEER]));
		CU_ASSERT_EQUAL(c.num - before, i < 2 ? 1 : 0);
		CU_ASSERT_EQUAL(p.last[SERVER], ERR_OK);
		CU_ASSERT(!len || eap_packet(p.x[SERVER]).len == len);
		len = eap_packet(p.x[SERVER]).len;
		pair_free(&p);
	}
	crypto_ctx_free(params.crypto);
}

#define MAX_PACKETS 16

/* struct script - the packets of a conversation that went well, by who sent them. */
struct script {
	uint8_t bytes[MAX_PACKETS][EAP_PACKET_MAX];
	size_t len[MAX_PACKETS];
	unsigned num;
};

static void record(struct script *s)
{
	struct pair p = pair_new(true);

	s->num = 0;
	for (unsigned to = PEER;; to = !to) {
		const struct bytes packet = eap_packet(p.x[!to]);

		if (!packet.len)
			break;
		CU_ASSERT_FATAL(s->num < MAX_PACKETS);
		memcpy(s->bytes[s->num], packet.p, packet.len);
		s->len[s->num++] = packet.len;
		take(&p, to, packet);
	}
	CU_ASSERT_TRUE(same_key(&p));
	pair_free(&p);
}

/* S21: packets of the other side in every order of up to four, each from a fresh conversation: the
 * key is there after the right order alone, and then of the right one. */
static void test_S21_every_order(void)
{
	static struct script s;
	unsigned tried = 0, complete = 0;

	record(&s);
	for (unsigned side = 0; side < 2; side++) {
		const unsigned mine = (s.num + !side) / 2; /* packets for this side */
		unsigned total = 1;

		for (unsigned i = 0; i < mine; i++)
			total *= mine;
		for (unsigned order = 0; order < total; order++, tried++) {
			struct pair p = pair_new(true);
			bool right = true;

			for (unsigned i = 0, rest = order; i < mine; i++, rest /= mine) {
				const unsigned k = 2 * (rest % mine) + side;

				right = right && rest % mine == i;
				take(&p, side, bytes_of(s.bytes[k], s.len[k]));
			}
			/* Challenges are fresh: what was recorded is not even right in its order.
			 */
			CU_ASSERT_EQUAL(eap_msk(p.x[side]).len, 0);
			complete += right;
			pair_free(&p);
		}
	}
	CU_ASSERT(tried > 200);
	CU_ASSERT_EQUAL(complete, 2);
}

/* The same with a live other side: one of its packets is left out, comes twice, or is exchanged for
 * an earlier one. */
static void test_S21_left_out_and_twice(void)
{
	for (unsigned at = 0; at < 6; at++) {
		struct pair p = pair_new(true);
		const unsigned num = talk(&p, at);
		const unsigned to = at % 2;
		const struct bytes packet = eap_packet(p.x[!to]);
		uint8_t copy[EAP_PACKET_MAX];

		CU_ASSERT_EQUAL_FATAL(num, at);
		memcpy(copy, packet.p, packet.len);
		take(&p, to, bytes_of(copy, packet.len));
		take(&p, to, bytes_of(copy, packet.len));
		if (to == SERVER) { /* it knows its own numbers: the second is none of these */
			CU_ASSERT(p.last[to] != ERR_OK);
			CU_ASSERT_EQUAL(eap_msk(p.x[SERVER]).len, 0);
		}
		pair_free(&p);
	}
}

/* What a server wants is what it gets. */
static void test_nak(void)
{
	static const uint8_t request[] = {EAP_REQUEST, 7, 0, 6, 4 /* MD5-Challenge */, 0};
	struct eap_params params = {
		.crypto = crypto(), .identity = id(NAME), .type = EAP_TYPE_MSCHAPV2};
	static const uint8_t nak[] = {EAP_RESPONSE, 7, 0, 6, EAP_TYPE_NAK, EAP_TYPE_MSCHAPV2};
	struct pair p = pair_new(false);
	struct eap *x;

	CU_ASSERT_EQUAL_FATAL(eap_new(&x, &params), ERR_OK);
	CU_ASSERT_EQUAL(eap_take(x, bytes_of(request, sizeof(request))), ERR_OK);
	CU_ASSERT_TRUE(bytes_equal(eap_packet(x), bytes_of(nak, sizeof(nak))));
	eap_free(x);
	take(&p, SERVER,
	     bytes_of((uint8_t[]){EAP_RESPONSE, eap_packet(p.x[SERVER]).p[1], 0, 6, EAP_TYPE_NAK,
				  13},
		      6));
	CU_ASSERT_EQUAL(p.last[SERVER], ERR_AUTH);
	pair_free(&p);
	/* Alone it authenticates nobody well enough (RFC 5998 4). */
	params.alone = true;
	CU_ASSERT_EQUAL_FATAL(eap_new(&x, &params), ERR_OK);
	CU_ASSERT_EQUAL(eap_take(x, bytes_of((uint8_t[]){EAP_REQUEST, 1, 0, 5, 26}, 5)), ERR_OK);
	CU_ASSERT_EQUAL(eap_packet(x).p[4], EAP_TYPE_NAK);
	CU_ASSERT_EQUAL(eap_packet(x).p[5], 0);
	eap_free(x);
	params.server = true;
	CU_ASSERT_EQUAL(eap_new(&x, &params), ERR_UNSUPPORTED);
	CU_ASSERT_FALSE(eap_alone_fits(EAP_TYPE_MSCHAPV2));
}

/* ---- packets that are wrong ------------------------------------------------------------------ */

static void test_packets(void)
{
	static const struct {
		uint8_t bytes[8];
		size_t len;
		enum err e;
	} cases[] = {
		{{1, 1, 0, 5, 1}, 5, ERR_OK},          {{3, 1, 0, 4}, 4, ERR_OK},
		{{1, 1, 0, 5, 1, 9, 9}, 7, ERR_OK},    {{1, 1, 0, 6, 1}, 5, ERR_TRUNCATED},
		{{1, 1, 0, 4}, 4, ERR_MALFORMED},      {{1, 1, 0, 3, 1}, 5, ERR_MALFORMED},
		{{3, 1, 0, 5, 1}, 5, ERR_MALFORMED},   {{0, 1, 0, 5, 1}, 5, ERR_MALFORMED},
		{{5, 1, 0, 5, 1}, 5, ERR_MALFORMED},   {{1, 1, 0, 5, 0}, 5, ERR_MALFORMED},
		{{1, 1, 0xff, 0xff, 1}, 5, ERR_LIMIT}, {{1, 1, 0}, 3, ERR_TRUNCATED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct eap_packet p;

		CU_ASSERT_EQUAL(eap_packet_parse(&p, bytes_of(cases[i].bytes, cases[i].len)),
				cases[i].e);
	}
}

/* Every packet of a conversation is cut short at each length, and has each of its bits turned: the
 * end that it is for has no other key than the other end's, and nothing is read beyond it. */
static void cut_and_turn(unsigned packets, size_t step)
{
	unsigned keys = 0, tried = 0;

	for (unsigned at = 0; at < packets; at++) {
		size_t len = 1;

		for (size_t what = 0; what < len + 8 * len; what += step, tried++) {
			struct pair p = pair_new(true);
			uint8_t *copy;

			talk(&p, at);
			len = eap_packet(p.x[!(at % 2)]).len;
			copy = malloc(len);
			memcpy(copy, eap_packet(p.x[!(at % 2)]).p, len);
			if (what < len) {
				uint8_t *cut = malloc(what ? what : 1);

				memcpy(cut, copy, what);
				take(&p, at % 2, bytes_of(cut, what));
				CU_ASSERT(p.last[at % 2] != ERR_OK);
				free(cut);
			} else {
				/* A signature may be shorter than the one before. */
				copy[(what - len) / 8 % len] ^= (uint8_t)(1 << (what - len) % 8);
				take(&p, at % 2, bytes_of(copy, len));
			}
			free(copy);
			for (unsigned to = !(at % 2), i = 0; i < 10 && !p.last[!to]; i++, to = !to)
				if (eap_packet(p.x[!to]).len)
					take(&p, to, eap_packet(p.x[!to]));
			if (eap_msk(p.x[PEER]).len && eap_msk(p.x[SERVER]).len) {
				CU_ASSERT_TRUE(same_key(&p));
				keys++;
			}
			pair_free(&p);
		}
	}
	CU_ASSERT(tried > 500);
	CU_ASSERT(keys < tried / 2);
}

static void test_S1_cut_and_turned(void)
{
	cut_and_turn(6, 1);
}

/* ---- EAP-TLS --------------------------------------------------------------------------------- */

static void test_tls_both_have_the_key(void)
{
	unsigned num[2];

	method = EAP_TYPE_TLS;
	for (unsigned many = 0; many < 2; many++) {
		struct pair p = pair_new(true);

		chain_len = many ? 3 : 1;
		num[many] = talk(&p, 100);
		CU_ASSERT_EQUAL(p.last[PEER], ERR_OK);
		CU_ASSERT_EQUAL(p.last[SERVER], ERR_OK);
		CU_ASSERT_EQUAL(eap_wants(p.x[PEER]), EAP_WANTS_NOTHING);
		CU_ASSERT_TRUE(same_key(&p));
		CU_ASSERT_EQUAL(p.keys[PEER] + p.keys[SERVER], 2);
		pair_free(&p);
	}
	/* Both flights come in two pieces then, each with an empty packet in answer. */
	CU_ASSERT_EQUAL(num[1], num[0] + 4);
	chain_len = 1;
	method = EAP_TYPE_MSCHAPV2;
}

/* Whose certificate is not believed comes to no key; and a client that does not believe the server
 * has not shown its own (S23). */
static void test_S21_tls_stranger(void)
{
	method = EAP_TYPE_TLS;
	for (unsigned side = 0; side < 2; side++) {
		struct pair p = pair_new(true);
		unsigned num;

		p.stranger[side] = true;
		num = talk(&p, 100);
		CU_ASSERT_EQUAL(p.last[!side], ERR_AUTH);
		CU_ASSERT_EQUAL(eap_msk(p.x[PEER]).len + eap_msk(p.x[SERVER]).len, 0);
		if (side == SERVER) /* id, id, start, ClientHello, and the server's flight */
			CU_ASSERT_EQUAL(num, 5);
		if (side == SERVER)
			CU_ASSERT_EQUAL(eap_packet(p.x[PEER]).len, 0);
		pair_free(&p);
	}
	method = EAP_TYPE_MSCHAPV2;
}

/* S27: a server does not verify by a key that nobody would vouch for: it is looked at before
 * anybody is asked. */
static void test_S27_tls_keys(void)
{
	static const char *const kinds[] = {"rsa2048/3",
					    "rsa2048/36893488147419103363" /* 66 bits */};

	method = EAP_TYPE_TLS;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct pair p = pair_new(true);

		peer_kind = kinds[i];
		asked_chain[SERVER] = 0;
		talk(&p, 100);
		CU_ASSERT_EQUAL(p.last[SERVER], ERR_AUTH);
		CU_ASSERT_PTR_NOT_NULL(strstr(eap_why(p.x[SERVER]), "its RSA exponent is"));
		CU_ASSERT_EQUAL(asked_chain[SERVER], 0);
		CU_ASSERT_EQUAL(eap_msk(p.x[PEER]).len + eap_msk(p.x[SERVER]).len, 0);
		pair_free(&p);
	}
	peer_kind = NULL;
	method = EAP_TYPE_MSCHAPV2;
}

static void test_S21_tls_success_is_not_proof(void)
{
	unsigned all;
	struct pair p;

	method = EAP_TYPE_TLS;
	p = pair_new(true);
	all = talk(&p, 100);
	pair_free(&p);
	/* The server's last word is in the last but two: then it is acknowledged, and success. */
	for (unsigned at = 0; at < all - 2; at++) {
		uint8_t success[] = {EAP_SUCCESS, 0, 0, 4};

		p = pair_new(true);
		CU_ASSERT_EQUAL_FATAL(talk(&p, at), at);
		success[1] = eap_packet(p.x[SERVER]).p[1];
		take(&p, PEER, bytes_of(success, sizeof(success)));
		CU_ASSERT_EQUAL(p.last[PEER], ERR_AUTH);
		CU_ASSERT_EQUAL(eap_msk(p.x[PEER]).len + eap_msk(p.x[SERVER]).len, 0);
		pair_free(&p);
	}
	CU_ASSERT(all >= 9);
	method = EAP_TYPE_MSCHAPV2;
}

static void test_S1_tls_cut_and_turned(void)
{
	method = EAP_TYPE_TLS;
	cut_and_turn(8, 13);
	method = EAP_TYPE_MSCHAPV2;
}

/* S11: who says nothing costs no key. */
static void test_S11_tls_empty(void)
{
	uint8_t empty[] = {EAP_RESPONSE, 0, 0, 6, EAP_TYPE_TLS, 0};
	struct pair p;

	method = EAP_TYPE_TLS;
	p = pair_new(false);
	empty[1] = eap_packet(p.x[SERVER]).p[1];
	take(&p, SERVER, bytes_of(empty, sizeof(empty)));
	CU_ASSERT_EQUAL(p.last[SERVER], ERR_MALFORMED);
	CU_ASSERT_EQUAL(p.keys[SERVER], 0);
	pair_free(&p);
	method = EAP_TYPE_MSCHAPV2;
}

/* How many fragments of a flight a side takes after so many packets; another one is refused. */
static unsigned endless(unsigned side, unsigned after, bool dribble)
{
	uint8_t big[8 + 1400];
	unsigned num = 0;
	struct pair p;

	method = EAP_TYPE_TLS;
	p = pair_new(false);
	talk(&p, after);
	for (; num < EAP_ROUNDS_MAX + 2 && !p.last[side]; num++) {
		memset(big, 0, sizeof(big));
		big[0] = side == SERVER ? EAP_RESPONSE : EAP_REQUEST;
		big[1] = eap_packet(p.x[SERVER]).p[1];
		store_be16(big + 2, sizeof(big));
		big[4] = EAP_TYPE_TLS;
		big[5] = dribble && !num ? 0 : 0x40;
		if (!num) /* of a handshake, as long as a record may be */
			memcpy(big + 6, "\x16\x03\x01\x3f\xff", 5);
		take(&p, side, bytes_of(big, sizeof(big)));
	}
	CU_ASSERT_EQUAL(p.last[side], ERR_LIMIT);
	pair_free(&p);
	method = EAP_TYPE_MSCHAPV2;
	return num;
}

/* A flight that is longer than a packet comes in several, and one that is endless is refused. */
static void test_S11_tls_fragments(void)
{
	const unsigned server = endless(SERVER, 1, false), client = endless(PEER, 2, false);

	/* A server has heard nothing yet that may be so long, nor if something came before. */
	CU_ASSERT(server > 10 && server < 14);
	CU_ASSERT(endless(SERVER, 1, true) < 14);
	CU_ASSERT(client > 40 && client < 50);
}

/* ---- another server behind it ---------------------------------------------------------------- */

static struct eap *relay_of(uint8_t type, const char *data, size_t len, enum err begun)
{
	struct eap_params params = {.crypto = crypto(), .server = true, .relay = true};
	struct eap *x;

	params.identity.type = type;
	params.identity.len = (uint16_t)len;
	memcpy(params.identity.data, data, len);
	CU_ASSERT_EQUAL_FATAL(eap_new(&x, &params), ERR_OK);
	CU_ASSERT_EQUAL(eap_begin(x), begun);
	return x;
}

/* accepts - the server takes the client for `name`. */
static enum err accepts(struct eap *x, const char *name)
{
	static const uint8_t msk[EAP_MSK_LEN];
	const struct eap_relayed said = {
		.accepted = true, .msk = bytes_of(msk, sizeof(msk)), .name = text(name)};

	CU_ASSERT_EQUAL_FATAL(eap_wants(x), EAP_WANTS_SERVER);
	return eap_answer(x, &(struct eap_answer){.relayed = &said});
}

static void proves(struct eap *x, uint8_t type, const char *name)
{
	const struct ike_id *id = eap_identity(x);

	CU_ASSERT_EQUAL(id->type, type);
	CU_ASSERT_TRUE(bytes_equal(bytes_of(id->data, id->len), text(name)));
	eap_free(x);
}

/* S22: whoever is believed is who the server was told of, or whom it names itself. */
static void test_S22_relayed_names(void)
{
	static const uint8_t vague[] = {ID_DER_ASN1_DN, ID_DER_ASN1_GN, ID_KEY_ID};
	struct eap *x;

	for (uint8_t type = ID_FQDN; type <= ID_RFC822_ADDR; type++) {
		x = relay_of(type, "carol\0@evil.example", 19, ERR_AUTH);
		CU_ASSERT_PTR_NOT_NULL(strstr(eap_why(x), "NUL"));
		eap_free(x);
		x = relay_of(type, "carol@example.org", 17, ERR_OK);
		CU_ASSERT_EQUAL(accepts(x, ""), ERR_OK);
		proves(x, ID_RFC822_ADDR, "carol@example.org");
	}
	eap_free(relay_of(ID_KEY_ID, "carol\0x", 7, ERR_AUTH));
	for (size_t i = 0; i < ARRAY_LEN(vague); i++) {
		x = relay_of(vague[i], "carol", 5, ERR_OK);
		CU_ASSERT_EQUAL(accepts(x, ""), ERR_AUTH);
		eap_free(x);
		x = relay_of(vague[i], "carol", 5, ERR_OK);
		CU_ASSERT_EQUAL(accepts(x, "carol"), ERR_OK);
		proves(x, ID_FQDN, "carol");
	}
	x = relay_of(ID_IPV4_ADDR, "\xc0\0\2\1", 4, ERR_OK);
	CU_ASSERT_EQUAL(accepts(x, "192.0.2.1"), ERR_OK);
	CU_ASSERT_EQUAL(eap_identity(x)->type, ID_IPV4_ADDR);
	eap_free(x);
}

/* What lists call a method: those that are spoken here by name, others by number. */
static void test_A13_names_of_methods(void)
{
	char buf[IKE_EAP_NAME_MAX];

	CU_ASSERT_STRING_EQUAL(ike_eap_name(buf, EAP_TYPE_MSCHAPV2), "mschapv2");
	CU_ASSERT_STRING_EQUAL(ike_eap_name(buf, EAP_TYPE_TLS), "tls");
	CU_ASSERT_STRING_EQUAL(ike_eap_name(buf, 255), "255");
}

/* Either side is given a packet, and nothing of what lies behind it. */
static void test_R3748_relayed_length(void)
{
	static const uint8_t request[] = {EAP_REQUEST, 5, 0, 6, EAP_TYPE_TLS, 0x20, 1, 2},
			     response[] = {EAP_RESPONSE, 5, 0, 6, EAP_TYPE_TLS, 0, 1, 2};
	const struct eap_relayed said = {.packet = bytes_of(request, sizeof(request))};
	struct eap *x = relay_of(ID_FQDN, "carol", 5, ERR_OK);

	CU_ASSERT_EQUAL(eap_answer(x, &(struct eap_answer){.relayed = &said}), ERR_OK);
	CU_ASSERT_TRUE(bytes_equal(eap_packet(x), bytes_of(request, 6)));
	CU_ASSERT_EQUAL(eap_take(x, bytes_of(response, sizeof(response))), ERR_OK);
	CU_ASSERT_TRUE(bytes_equal(eap_relayed(x), bytes_of(response, 6)));
	eap_free(x);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A13_names_of_methods),
	TAP_TEST(test_md4),
	TAP_TEST(test_mschap_values),
	TAP_TEST(test_passwords_are_utf8),
	TAP_TEST(test_both_have_the_key),
	TAP_TEST(test_S21_wrong_password),
	TAP_TEST(test_S21_success_is_not_proof),
	TAP_TEST(test_S21_server_knows_the_password),
	TAP_TEST(test_S21_client_knows_the_password),
	TAP_TEST(test_hash_is_a_secret),
	TAP_TEST(test_S21_unknown_name),
	TAP_TEST(test_S21_every_order),
	TAP_TEST(test_S21_left_out_and_twice),
	TAP_TEST(test_nak),
	TAP_TEST(test_packets),
	TAP_TEST(test_S1_cut_and_turned),
	TAP_TEST(test_tls_both_have_the_key),
	TAP_TEST(test_S21_tls_stranger),
	TAP_TEST(test_S21_tls_success_is_not_proof),
	TAP_TEST(test_S27_tls_keys),
	TAP_TEST(test_S1_tls_cut_and_turned),
	TAP_TEST(test_S11_tls_empty),
	TAP_TEST(test_S11_tls_fragments),
	TAP_TEST(test_S22_relayed_names),
	TAP_TEST(test_R3748_relayed_length),
};

TAP_MAIN("control/eap", tests)
