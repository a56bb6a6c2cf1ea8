/* SPDX-License-Identifier: Apache-2.0 */
/* RADIUS without sockets: published values, what is sent when and to whom, and which answers are
 * believed. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "control/auth/eap/packet.h"
#include "control/radius.h"
#include "tests/radius.h"
#include "tests/tap/tap.h"

#define SECRET "a secret of RADIUS"
#define START  (1000 * NS_PER_S)

static const struct rng *rng(void)
{
	static struct rng_seeded seeded;

	if (!seeded.rng.fill)
		rng_seeded_init(&seeded, 1);
	return &seeded.rng;
}

static struct crypto_ctx *crypto(void)
{
	static struct crypto_ctx *c;

	if (!c)
		CU_ASSERT_EQUAL_FATAL(crypto_ctx_new(&c, rng()), ERR_OK);
	return c;
}

static struct bytes text(const char *s)
{
	return bytes_of(s, strlen(s));
}

static size_t from_hex(uint8_t *out, const char *hex)
{
	size_t len = 0;

	for (unsigned v; sscanf(hex + 2 * len, "%2x", &v) == 1; len++)
		out[len] = (uint8_t)v;
	return len;
}

/* ---- published values ------------------------------------------------------------------------ */

static void test_md5(void)
{
	/* RFC 1321 A.5. */
	static const char *const hashes[][2] = {
		{"", "d41d8cd98f00b204e9800998ecf8427e"},
		{"abc", "900150983cd24fb0d6963f7d28e17f72"},
		{"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
		 "57edf4a22be3c955ac49da2e2107b67a"},
	};
	/* RFC 2202 2, cases 1 and 2. */
	static const char *const macs[][3] = {
		{"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "Hi There",
		 "9294727a3638bb1c13f48ef8158bfc9d"},
		{"Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"},
	};
	uint8_t out[MD5_LEN], want[MD5_LEN];

	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		const struct bytes parts[] = {text(hashes[i][0])};

		from_hex(want, hashes[i][1]);
		CU_ASSERT_EQUAL(crypto_md5(crypto(), out, parts, 1), ERR_OK);
		CU_ASSERT_EQUAL(memcmp(out, want, MD5_LEN), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(macs); i++) {
		const struct bytes parts[] = {bytes_of(macs[i][1], 3),
					      bytes_of(macs[i][1] + 3, strlen(macs[i][1]) - 3)};

		from_hex(want, macs[i][2]);
		CU_ASSERT_EQUAL(crypto_hmac_md5(crypto(), out, text(macs[i][0]), parts, 2), ERR_OK);
		CU_ASSERT_EQUAL(memcmp(out, want, MD5_LEN), 0);
	}
}

/* RFC 2865 7.1: the server's answer has the authenticator that is published, which the server of
 * these tests makes, too; but it has no Message-Authenticator, and is not believed. */
static void test_S35_published_answer(void)
{
	static const char request[] = "01000038"
				      "0f403f9473978057bd83d5cb98f4227a";
	static const char answer[] = "02000026"
				     "86fe220e7624ba2a1005f6bf9b55e0b2"
				     "0606000000010f06000000000e06c0a80103";
	uint8_t asked[64], said[64], made[RADIUS_PACKET_MAX];
	const struct bytes in = bytes_of(said, from_hex(said, answer));
	const struct say say = {.code = RADIUS_ACCESS_ACCEPT,
				.request = bytes_of(asked, from_hex(asked, request)),
				.secret = text("xyzzy5461"),
				.attrs = bytes_of(said + RADIUS_HEADER_LEN, 18),
				.no_mac = true};
	const struct radius_proof proof = {.secret = say.secret, .authenticator = asked + 4};
	struct radius_packet p;

	CU_ASSERT_TRUE(bytes_equal(radius_say(made, &say), in));
	CU_ASSERT_EQUAL(radius_parse(&p, in), ERR_OK);
	CU_ASSERT_EQUAL(radius_verify(crypto(), &p, &proof), ERR_AUTH);
}

/* What FreeRADIUS 3.2.1 sends with these keys, to a request whose authenticator is 40 to 4f. */
static const char by_freeradius[] =
	"020700c9a1a24f9a6d5b051ea17bd81544fd2d07120977656c636f6d6501136361726f6c406578616d706c652e"
	"6f7267180701020304054f06030700041a3a00000137113481bb90848ac176204dac9e6e8acd2cb307f18f21e4"
	"6c54774cbb22dac1be928b61662d182e2647a1f6e981710a6e502876b81a3a0000013710348f2b74d230228dce"
	"8738eb646326d6828e69f1fbedeaa417e883cb6e011ab17fe874953a4d325862f3c2d4ad1e88c29fb4131b0600"
	"000e1050122c71aec2033159031b87350e22f843cb";

static void test_answer_of_freeradius(void)
{
	uint8_t in[512], eap[64], msk[RADIUS_MSK_MAX], authenticator[RADIUS_AUTHENTICATOR_LEN];
	const size_t len = from_hex(in, by_freeradius);
	const struct radius_proof proof = {.secret = text(SECRET), .authenticator = authenticator};
	struct radius_packet p;
	size_t msk_len = 0;

	for (size_t i = 0; i < sizeof(authenticator); i++)
		authenticator[i] = (uint8_t)(0x40 + i);
	CU_ASSERT_EQUAL_FATAL(radius_parse(&p, bytes_of(in, len)), ERR_OK);
	CU_ASSERT_EQUAL(radius_verify(crypto(), &p, &proof), ERR_OK);
	CU_ASSERT_EQUAL(p.code, RADIUS_ACCESS_ACCEPT);
	CU_ASSERT_EQUAL(p.session_s, 3600);
	CU_ASSERT_TRUE(bytes_equal(p.user_name, text("carol@example.org")));
	CU_ASSERT_TRUE(bytes_equal(p.state, bytes_of("\1\2\3\4\5", 5)));
	CU_ASSERT_EQUAL_FATAL(p.eap_len, 4);
	radius_eap(eap, &p);
	CU_ASSERT_EQUAL(memcmp(eap, "\3\7\0\4", 4), 0);
	CU_ASSERT_EQUAL(radius_msk(crypto(), msk, &msk_len, &p, &proof), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(msk_len, 64);
	for (size_t i = 0; i < msk_len; i++)
		CU_ASSERT_EQUAL(msk[i], i);
}

/* ---- a client and its servers ---------------------------------------------------------------- */

/* struct world - a client with servers "aaa0", "aaa1", ..., the last datagram to each, and the last
 * answer. */
struct world {
	struct radius *r;
	uint64_t now_ns;
	struct {
		uint8_t bytes[RADIUS_PACKET_MAX];
		size_t len;
		unsigned num;
		bool fresh;
	} sent[RADIUS_SERVERS_MAX];
	struct radius_answer answer;
	unsigned num_answers;
	uint8_t token[RADIUS_TOKEN_MAX]; /* of the answer, kept */
	size_t token_len;
	char why[RADIUS_WHY_MAX];
};

static void servers_of(struct radius_server *out, uint32_t num, const char *secret)
{
	for (uint32_t i = 0; i < num; i++) {
		const uint8_t addr[4] = {192, 0, 2, (uint8_t)(1 + i)};

		out[i] = (struct radius_server){.addr = {.addr = ip_addr_v4(addr), .port = 1812},
						.secret = text(secret)};
		snprintf(out[i].name, sizeof(out[i].name), "aaa%u", i);
	}
}

static enum err configure(struct world *w, uint32_t num, const char *secret)
{
	struct radius_server servers[RADIUS_SERVERS_MAX];
	const struct radius_config config = {.servers = servers,
					     .num_servers = num,
					     .nas = "gw.example",
					     .timeout_ns = NS_PER_S,
					     .tries = 3};

	servers_of(servers, num, secret);
	return radius_configure(w->r, &config, w->now_ns);
}

static struct world *world(uint32_t num)
{
	static struct world w;

	radius_free(w.r);
	w = (struct world){.now_ns = START};
	CU_ASSERT_EQUAL_FATAL(radius_new(&w.r, rng(), w.now_ns), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(configure(&w, num, SECRET), ERR_OK);
	return &w;
}

static void take_out(struct world *w)
{
	struct radius_datagram d;
	struct radius_answer a;

	while (radius_send_next(w->r, &d)) {
		memcpy(w->sent[d.server].bytes, d.bytes.p, d.bytes.len);
		w->sent[d.server].len = d.bytes.len;
		w->sent[d.server].fresh = d.fresh;
		w->sent[d.server].num++;
	}
	while (radius_answer_next(w->r, &a)) {
		w->answer = a;
		w->num_answers++;
		if (a.outcome == RADIUS_CHALLENGED) {
			memcpy(w->token, a.token.p, a.token.len);
			w->token_len = a.token.len;
		}
		snprintf(w->why, sizeof(w->why), "%s", a.why);
	}
}

static enum err ask_with(struct world *w, uint64_t id, struct bytes eap, struct bytes token)
{
	const struct radius_request request = {.id = id,
					       .eap = eap,
					       .token = token,
					       .name = text("carol@example.org"),
					       .called = "192.0.2.9[4500]",
					       .calling = "198.51.100.7[4500]"};
	enum err e = radius_begin(w->r, &request, w->now_ns);

	take_out(w);
	return e;
}

static enum err ask(struct world *w, uint64_t id)
{
	return ask_with(w, id, bytes_of("\2\7\0\5\1", 5), bytes_of(NULL, 0));
}

static struct bytes sent(const struct world *w, uint32_t server)
{
	return bytes_of(w->sent[server].bytes, w->sent[server].len);
}

static void receive(struct world *w, uint32_t server, struct bytes datagram)
{
	radius_receive(w->r, server, datagram, w->now_ns);
	take_out(w);
}

/* Until nothing is due before then. */
static void run(struct world *w, uint64_t until_ns)
{
	while (radius_deadline(w->r) <= until_ns) {
		w->now_ns = radius_deadline(w->r);
		radius_run(w->r, w->now_ns);
		take_out(w);
	}
	w->now_ns = until_ns;
	radius_run(w->r, w->now_ns);
	take_out(w);
}

/* An attribute of a request; returns how many there are, with the last one's value. */
static unsigned attr(struct bytes packet, uint8_t type, struct bytes *out)
{
	struct bytes value;
	struct reader r;
	uint8_t t, len;
	unsigned num = 0;

	reader_init(&r, packet.p + RADIUS_HEADER_LEN, packet.len - RADIUS_HEADER_LEN);
	while (!reader_u8(&r, &t) && !reader_u8(&r, &len) && len >= 2 &&
	       !reader_bytes(&r, &value, len - 2u)) {
		if (t != type)
			continue;
		*out = value;
		num++;
	}
	CU_ASSERT_TRUE(reader_empty(&r));
	return num;
}

/* Attributes of an Access-Accept with both keys, into buf. */
static struct bytes accept_attrs(uint8_t buf[static 1024], struct bytes request)
{
	static const uint8_t key[64] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct bytes attrs = {0};
	struct writer w;

	writer_init(&w, buf, 1024);
	radius_put(&w, RADIUS_EAP_MESSAGE, bytes_of("\3\7\0\4", 4));
	radius_put(&w, RADIUS_USER_NAME, text("carol@example.org"));
	radius_put_u32(&w, RADIUS_SESSION_TIMEOUT, 60);
	radius_hide(&w, 17, bytes_of(key, 32), request, text(SECRET));
	radius_hide(&w, 16, bytes_of(key, 32), request, text(SECRET));
	CU_ASSERT_EQUAL_FATAL(writer_finish(&w, &attrs), ERR_OK);
	return attrs;
}

static struct bytes accept_of(uint8_t *buf, struct world *w, uint32_t server)
{
	uint8_t attrs[1024];
	const struct say say = {.code = RADIUS_ACCESS_ACCEPT,
				.request = sent(w, server),
				.secret = text(SECRET),
				.attrs = accept_attrs(attrs, sent(w, server))};

	return radius_say(buf, &say);
}

static struct bytes challenge_of(uint8_t *buf, struct world *w, uint32_t server, struct bytes state)
{
	uint8_t attrs[512];
	struct say say = {.code = RADIUS_ACCESS_CHALLENGE,
			  .request = sent(w, server),
			  .secret = text(SECRET)};
	struct writer out;

	writer_init(&out, attrs, sizeof(attrs));
	if (state.len)
		radius_put(&out, RADIUS_STATE, state);
	radius_put(&out, RADIUS_EAP_MESSAGE, bytes_of("\1\10\0\6\32\1", 6));
	CU_ASSERT_EQUAL_FATAL(writer_finish(&out, &say.attrs), ERR_OK);
	return radius_say(buf, &say);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The Message-Authenticator is first, and right; the EAP packet goes in pieces that are full. */
static void test_S35_request(void)
{
	static uint8_t eap[600] = {2, 7, 2, 88, 13};
	struct world *w = world(1);
	uint8_t copy[RADIUS_PACKET_MAX], mac[MD5_LEN];
	struct bytes value = {0}, packet;

	CU_ASSERT_EQUAL(ask_with(w, 1, bytes_of(eap, sizeof(eap)), bytes_of(NULL, 0)), ERR_OK);
	packet = sent(w, 0);
	CU_ASSERT_FATAL(packet.len > 600);
	CU_ASSERT_EQUAL(packet.p[0], RADIUS_ACCESS_REQUEST);
	CU_ASSERT_EQUAL(packet.p[2] << 8 | packet.p[3], packet.len);
	CU_ASSERT_EQUAL(packet.p[RADIUS_HEADER_LEN], RADIUS_MESSAGE_AUTHENTICATOR);
	memcpy(copy, packet.p, packet.len);
	memset(copy + RADIUS_HEADER_LEN + 2, 0, MD5_LEN);
	packet = bytes_of(copy, packet.len);
	CU_ASSERT_EQUAL(crypto_hmac_md5(crypto(), mac, text(SECRET), &packet, 1), ERR_OK);
	CU_ASSERT_EQUAL(memcmp(mac, sent(w, 0).p + RADIUS_HEADER_LEN + 2, MD5_LEN), 0);
	CU_ASSERT_EQUAL(attr(packet, RADIUS_EAP_MESSAGE, &value), 3);
	CU_ASSERT_EQUAL(value.len, 600 - 2 * RADIUS_VALUE_MAX);
	CU_ASSERT_EQUAL(attr(packet, RADIUS_USER_NAME, &value), 1);
	CU_ASSERT_TRUE(bytes_equal(value, text("carol@example.org")));
	CU_ASSERT_EQUAL(attr(packet, RADIUS_NAS_IDENTIFIER, &value), 1);
	CU_ASSERT_TRUE(bytes_equal(value, text("gw.example")));
	CU_ASSERT_EQUAL(attr(packet, RADIUS_CALLING_STATION_ID, &value), 1);
	CU_ASSERT_TRUE(bytes_equal(value, text("198.51.100.7[4500]")));
	CU_ASSERT_EQUAL(attr(packet, RADIUS_STATE, &value), 0);
	CU_ASSERT_EQUAL(attr(packet, RADIUS_MESSAGE_AUTHENTICATOR, &value), 1);
}

static void test_requests_that_cannot_be(void)
{
	static uint8_t eap[EAP_PACKET_MAX + 1] = {2};
	struct world *w = world(1);

	CU_ASSERT_EQUAL(ask_with(w, 1, bytes_of(eap, sizeof(eap)), bytes_of(NULL, 0)), ERR_LIMIT);
	CU_ASSERT_EQUAL(ask_with(w, 1, bytes_of(eap, 0), bytes_of(NULL, 0)), ERR_LIMIT);
	CU_ASSERT_EQUAL(ask_with(w, 1, bytes_of(eap, 5), bytes_of("x", 1)), ERR_BAD_STATE);
	CU_ASSERT_EQUAL(w->num_answers, 0);
	/* It fits into a packet of EAP, and not into one of RADIUS. */
	CU_ASSERT_EQUAL(ask_with(w, 2, bytes_of(eap, EAP_PACKET_MAX), bytes_of(NULL, 0)), ERR_OK);
	CU_ASSERT_EQUAL(w->num_answers, 1);
	CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_FAILED);
	CU_ASSERT_PTR_NOT_NULL(strstr(w->why, "too long"));
	w = world(0);
	CU_ASSERT_EQUAL(ask(w, 1), ERR_NOT_FOUND);
}

/* What one server wants to see again it sees, and no other one is asked in its place. */
static void test_state(void)
{
	struct world *w = world(2);
	uint8_t buf[RADIUS_PACKET_MAX];
	struct bytes value = {0};

	ask(w, 1);
	receive(w, 0, challenge_of(buf, w, 0, text("opaque")));
	CU_ASSERT_EQUAL_FATAL(w->num_answers, 1);
	CU_ASSERT_EQUAL(w->answer.id, 1);
	CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_CHALLENGED);
	CU_ASSERT_EQUAL(w->answer.eap.len, 6);
	CU_ASSERT_EQUAL(
		ask_with(w, 2, bytes_of("\2\10\0\6\32\2", 6), bytes_of(w->token, w->token_len)),
		ERR_OK);
	CU_ASSERT_EQUAL(attr(sent(w, 0), RADIUS_STATE, &value), 1);
	CU_ASSERT_TRUE(bytes_equal(value, text("opaque")));
	run(w, w->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(w->sent[1].num, 0);
	CU_ASSERT_EQUAL_FATAL(w->num_answers, 2);
	CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_FAILED);
	CU_ASSERT_TRUE(w->answer.silent);
	/* Nor does a conversation go on with servers that are others. */
	CU_ASSERT_EQUAL(configure(w, 2, "another secret"), ERR_OK);
	CU_ASSERT_EQUAL(
		ask_with(w, 3, bytes_of("\2\10\0\6\32\2", 6), bytes_of(w->token, w->token_len)),
		ERR_BAD_STATE);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* After 1 s, after 1.5 s more, and after 2.25 s more the next server. */
static void test_retransmission_and_failover(void)
{
	struct world *w = world(2);
	uint8_t first[RADIUS_PACKET_MAX], buf[RADIUS_PACKET_MAX];

	ask(w, 1);
	memcpy(first, w->sent[0].bytes, w->sent[0].len);
	CU_ASSERT_TRUE(w->sent[0].fresh);
	run(w, START + 990 * NS_PER_MS);
	CU_ASSERT_EQUAL(w->sent[0].num, 1);
	run(w, START + 1020 * NS_PER_MS);
	CU_ASSERT_EQUAL(w->sent[0].num, 2);
	CU_ASSERT_EQUAL(memcmp(first, w->sent[0].bytes, w->sent[0].len), 0);
	CU_ASSERT_FALSE(w->sent[0].fresh);
	run(w, START + 2600 * NS_PER_MS);
	CU_ASSERT_EQUAL(w->sent[0].num, 3);
	run(w, START + 4700 * NS_PER_MS);
	CU_ASSERT_EQUAL(w->sent[1].num, 0);
	run(w, START + 4900 * NS_PER_MS);
	CU_ASSERT_EQUAL(w->sent[0].num, 3);
	CU_ASSERT_EQUAL_FATAL(w->sent[1].num, 1);
	CU_ASSERT_NOT_EQUAL(memcmp(first + 4, w->sent[1].bytes + 4, MD5_LEN), 0);
	/* What the first one says now is late. */
	receive(w, 0, accept_of(buf, w, 0));
	CU_ASSERT_EQUAL(w->num_answers, 0);
	receive(w, 1, accept_of(buf, w, 1));
	CU_ASSERT_EQUAL(w->num_answers, 1);
	CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_ACCEPTED);
	CU_ASSERT_EQUAL(radius_deadline(w->r), TIME_NEVER);
}

/* One that said nothing is asked after the others for a minute, then first again. */
static void test_silent_server_is_passed_over(void)
{
	struct world *w = world(2);
	struct radius_stats stats;
	uint8_t buf[RADIUS_PACKET_MAX];

	ask(w, 1);
	run(w, START + 5 * NS_PER_S);
	receive(w, 1, accept_of(buf, w, 1));
	radius_stats(w->r, 0, &stats);
	CU_ASSERT_EQUAL(stats.silent, 1);
	ask(w, 2);
	CU_ASSERT_EQUAL(w->sent[0].num, 3);
	CU_ASSERT_EQUAL(w->sent[1].num, 2);
	receive(w, 1, accept_of(buf, w, 1));
	run(w, w->now_ns + RADIUS_DOWN_NS);
	ask(w, 3);
	CU_ASSERT_EQUAL(w->sent[0].num, 4);
	CU_ASSERT_EQUAL(w->sent[1].num, 2);
}

/* One that drops what a client sends, and answers others meanwhile, stays the first. */
static void test_server_that_drops_one(void)
{
	struct world *w = world(2);
	uint8_t buf[RADIUS_PACKET_MAX];

	ask(w, 1);
	run(w, START + NS_PER_S / 2);
	ask(w, 2);
	receive(w, 0, accept_of(buf, w, 0));
	CU_ASSERT_EQUAL(w->answer.id, 2);
	run(w, START + 5 * NS_PER_S);
	CU_ASSERT_EQUAL(w->sent[1].num, 1); /* the dropped one is tried there */
	CU_ASSERT_EQUAL(w->sent[0].num, 4);
	ask(w, 3);
	CU_ASSERT_EQUAL(w->sent[0].num, 5);
	CU_ASSERT_EQUAL(w->sent[1].num, 1);
}

static void test_nobody_answers(void)
{
	struct world *w = world(2);

	ask(w, 7);
	run(w, START + 9 * NS_PER_S);
	CU_ASSERT_EQUAL(w->num_answers, 0);
	run(w, START + 10 * NS_PER_S);
	CU_ASSERT_EQUAL_FATAL(w->num_answers, 1);
	CU_ASSERT_EQUAL(w->answer.id, 7);
	CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_FAILED);
	CU_ASSERT_TRUE(w->answer.silent);
	CU_ASSERT_PTR_NOT_NULL(strstr(w->why, "no answer from the RADIUS server aaa1 at "
					      "192.0.2.2[1812], the last of all"));
	/* The first of those that are down is asked all the same. */
	ask(w, 8);
	CU_ASSERT_EQUAL(w->sent[0].num, 4);
	/* However many there are, whoever asks is told in time. */
	w = world(RADIUS_SERVERS_MAX);
	ask(w, 9);
	run(w, START + RADIUS_BUDGET_NS - NS_PER_S);
	CU_ASSERT_EQUAL(w->num_answers, 0);
	run(w, START + RADIUS_BUDGET_NS + 20 * NS_PER_MS);
	CU_ASSERT_EQUAL(w->num_answers, 1);
	CU_ASSERT_TRUE(w->answer.silent);
}

/* 256 requests have an identifier each; more wait until one is free. */
static void test_identifiers(void)
{
	enum {
		NUM = 300
	};
	struct world *w = world(1);
	static uint8_t packets[256][RADIUS_PACKET_MAX];
	uint8_t buf[RADIUS_PACKET_MAX];
	bool seen[256] = {false};

	for (unsigned i = 0; i < NUM; i++) {
		CU_ASSERT_EQUAL(ask(w, i), ERR_OK);
		if (i >= 256)
			continue;
		CU_ASSERT_EQUAL_FATAL(w->sent[0].num, i + 1);
		memcpy(packets[i], w->sent[0].bytes, w->sent[0].len);
		CU_ASSERT_FALSE(seen[packets[i][1]]);
		seen[packets[i][1]] = true;
	}
	CU_ASSERT_EQUAL(w->sent[0].num, 256);
	for (unsigned i = 0; i < NUM - 256; i++) {
		memcpy(w->sent[0].bytes, packets[i], sizeof(packets[i]));
		receive(w, 0, accept_of(buf, w, 0));
		CU_ASSERT_EQUAL(w->num_answers, i + 1);
		CU_ASSERT_EQUAL(w->answer.id, i);
		CU_ASSERT_EQUAL(w->sent[0].num, 256 + i + 1);
		CU_ASSERT_EQUAL(w->sent[0].bytes[1], packets[i][1]);
	}
	/* The others have no answer, nor who waits. */
	run(w, START + RADIUS_BUDGET_NS + NS_PER_S);
	CU_ASSERT_EQUAL(w->num_answers, NUM);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void test_accept(void)
{
	struct world *w = world(1);
	uint8_t buf[RADIUS_PACKET_MAX];

	ask(w, 5);
	radius_receive(w->r, 0, accept_of(buf, w, 0), w->now_ns);
	CU_ASSERT_TRUE_FATAL(radius_answer_next(w->r, &w->answer));
	CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_ACCEPTED);
	CU_ASSERT_EQUAL(w->answer.session_s, 60);
	CU_ASSERT_EQUAL(w->answer.msk.len, 64);
	CU_ASSERT_EQUAL(memcmp(w->answer.msk.p, w->answer.msk.p + 32, 32), 0);
	CU_ASSERT_EQUAL(w->answer.msk.p[7], 8);
	CU_ASSERT_TRUE(bytes_equal(w->answer.name, text("carol@example.org")));
	CU_ASSERT_TRUE(bytes_equal(w->answer.eap, bytes_of("\3\7\0\4", 4)));
}

/* A short key, as EAP-MSCHAPv2 has, has zeros behind it. */
static void test_short_keys(void)
{
	static const uint8_t key[16] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
	struct world *w = world(1);
	uint8_t attrs[512], buf[RADIUS_PACKET_MAX];
	struct say say = {.code = RADIUS_ACCESS_ACCEPT, .secret = text(SECRET)};
	struct writer out;

	ask(w, 5);
	say.request = sent(w, 0);
	writer_init(&out, attrs, sizeof(attrs));
	radius_hide(&out, 17, bytes_of(key, 16), say.request, say.secret);
	radius_hide(&out, 16, bytes_of(key, 16), say.request, say.secret);
	CU_ASSERT_EQUAL_FATAL(writer_finish(&out, &say.attrs), ERR_OK);
	radius_receive(w->r, 0, radius_say(buf, &say), w->now_ns);
	CU_ASSERT_TRUE_FATAL(radius_answer_next(w->r, &w->answer));
	CU_ASSERT_EQUAL_FATAL(w->answer.msk.len, 64);
	CU_ASSERT_EQUAL(w->answer.msk.p[31], 9);
	CU_ASSERT_EQUAL(w->answer.msk.p[32], 0);
	CU_ASSERT_EQUAL(w->answer.eap.len, 0);
}

/* S35: whatever bit is another, and wherever it ends: nothing comes of it, and the true one is
 * believed afterwards, once. */
static void test_S35_every_bit(void)
{
	struct world *w = world(1);
	uint8_t buf[RADIUS_PACKET_MAX];
	struct radius_stats stats;
	struct bytes whole;

	ask(w, 5);
	whole = accept_of(buf, w, 0);
	for (size_t bit = 0; bit < 8 * whole.len; bit++) {
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		receive(w, 0, whole);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < whole.len; len++)
		receive(w, 0, bytes_of(buf, len));
	CU_ASSERT_EQUAL(w->num_answers, 0);
	radius_stats(w->r, 0, &stats);
	CU_ASSERT_EQUAL(stats.dropped, 9 * whole.len);
	receive(w, 0, whole);
	receive(w, 0, whole);
	CU_ASSERT_EQUAL(w->num_answers, 1);
	CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_ACCEPTED);
	radius_stats(w->r, 0, &stats);
	CU_ASSERT_EQUAL(stats.answered, 1);
}

/* S35: an MD5 that is right proves nothing: it was found for an Access-Accept in place of an
 * Access-Reject. */
static void test_S35_no_message_authenticator(void)
{
	static const enum radius_code codes[] = {RADIUS_ACCESS_ACCEPT, RADIUS_ACCESS_REJECT,
						 RADIUS_ACCESS_CHALLENGE};
	struct world *w = world(2);
	uint8_t buf[RADIUS_PACKET_MAX], attrs[1024];

	ask(w, 5);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct say say = {.code = codes[i],
				  .request = sent(w, 0),
				  .secret = text(SECRET),
				  .attrs = accept_attrs(attrs, sent(w, 0)),
				  .no_mac = true};

		receive(w, 0, radius_say(buf, &say));
		say.no_mac = false;
		say.bad_mac = true;
		receive(w, 0, radius_say(buf, &say));
		say.bad_mac = false;
		say.two_macs = true;
		receive(w, 0, radius_say(buf, &say));
		say.two_macs = false;
		say.secret = text("another secret");
		receive(w, 0, radius_say(buf, &say));
		say.secret = text(SECRET);
		receive(w, 1, radius_say(buf, &say)); /* not whom we asked */
	}
	receive(w, 7, bytes_of(buf, 20));
	CU_ASSERT_EQUAL(w->num_answers, 0);
	/* Who asked learns of it, if nothing else comes. */
	run(w, START + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(w->num_answers, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(w->why, "was not proven by its secret"));
}

/* What else a server may say, and does not prove anything by. */
static void test_answers_that_say_no(void)
{
	static const struct {
		enum radius_code code;
		const char *attrs; /* hex */
		enum radius_outcome outcome;
		const char *why;
	} rows[] = {
		{RADIUS_ACCESS_REJECT, "", RADIUS_REJECTED, "the RADIUS server aaa0 rejects it"},
		{RADIUS_ACCESS_REJECT, "1206676f0a21", RADIUS_REJECTED, "rejects it: go?!"},
		{RADIUS_ACCESS_REJECT, "1209671b5b9bc29b6f", RADIUS_REJECTED,
		 "rejects it: g?[???o"},
		{RADIUS_ACCESS_ACCEPT, "4f0603070004", RADIUS_FAILED, "accepts it without a key"},
		{RADIUS_ACCESS_CHALLENGE, "1803aa", RADIUS_FAILED, "not by EAP"},
		{RADIUS_ACCESS_ACCEPT, /* keys that are no whole blocks */
		 "1a19000001371113aaaa000102030405060708090a0b0c0d0e"
		 "1a19000001371013aaaa000102030405060708090a0b0c0d0e",
		 RADIUS_FAILED, "cannot be read"},
	};
	uint8_t buf[RADIUS_PACKET_MAX], attrs[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world *w = world(1);
		struct say say = {.code = rows[i].code,
				  .secret = text(SECRET),
				  .attrs = bytes_of(attrs, from_hex(attrs, rows[i].attrs))};

		ask(w, 1);
		say.request = sent(w, 0);
		receive(w, 0, radius_say(buf, &say));
		CU_ASSERT_EQUAL(w->num_answers, 1);
		CU_ASSERT_EQUAL(w->answer.outcome, rows[i].outcome);
		CU_ASSERT_PTR_NOT_NULL(strstr(w->why, rows[i].why));
		CU_ASSERT_EQUAL(w->answer.msk.len, 0);
	}
}

/* A key of no bytes, and one of more than there are: what hides a length is known by who sent it.
 */
static void test_keys_of_no_length(void)
{
	static const uint8_t key[32] = {1}, turns[] = {32, 0x60};
	uint8_t buf[RADIUS_PACKET_MAX], attrs[512];

	for (size_t i = 0; i < 2 * ARRAY_LEN(turns); i++) {
		struct world *w = world(1);
		struct say say = {.code = RADIUS_ACCESS_ACCEPT, .secret = text(SECRET)};
		struct writer out;

		ask(w, 1);
		say.request = sent(w, 0);
		writer_init(&out, attrs, sizeof(attrs));
		radius_hide(&out, 17, bytes_of(key, 32), say.request, say.secret);
		radius_hide(&out, 16, bytes_of(key, 32), say.request, say.secret);
		CU_ASSERT_EQUAL_FATAL(writer_finish(&out, &say.attrs), ERR_OK);
		attrs[i % 2 * say.attrs.len / 2 + 10] ^= turns[i / 2];
		receive(w, 0, radius_say(buf, &say));
		CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_FAILED);
		CU_ASSERT_PTR_NOT_NULL(strstr(w->why, "cannot be read"));
	}
}

/* Attributes that do not follow the format, and what is behind the packet's end. */
static void test_format(void)
{
	static const char *const bad[] = {"4f",
					  "4f01",
					  "4f00",
					  "4f0403",
					  "1b0500000e",
					  "5011"
					  "00000000000000000000000000000000"};
	uint8_t in[128] = {RADIUS_ACCESS_ACCEPT, 1};
	struct radius_packet p;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const size_t len = RADIUS_HEADER_LEN + from_hex(in + RADIUS_HEADER_LEN, bad[i]);

		in[3] = (uint8_t)len;
		CU_ASSERT_EQUAL(radius_parse(&p, bytes_of(in, len)), ERR_MALFORMED);
	}
	in[3] = RADIUS_HEADER_LEN;
	CU_ASSERT_EQUAL(radius_parse(&p, bytes_of(in, sizeof(in))), ERR_OK);
	CU_ASSERT_EQUAL(p.whole.len, RADIUS_HEADER_LEN);
	in[3] = RADIUS_HEADER_LEN - 1;
	CU_ASSERT_EQUAL(radius_parse(&p, bytes_of(in, sizeof(in))), ERR_MALFORMED);
	in[2] = 0x20;
	CU_ASSERT_EQUAL(radius_parse(&p, bytes_of(in, sizeof(in))), ERR_LIMIT);
}

/* ---- another configuration ------------------------------------------------------------------- */

static void test_configured_anew(void)
{
	struct world *w = world(2);
	uint8_t buf[RADIUS_PACKET_MAX];
	struct bytes answer;

	ask(w, 1);
	answer = accept_of(buf, w, 0);
	CU_ASSERT_EQUAL(configure(w, 2, SECRET), ERR_OK); /* as before */
	take_out(w);
	CU_ASSERT_EQUAL(w->num_answers, 0);
	CU_ASSERT_EQUAL(configure(w, 1, SECRET), ERR_OK);
	take_out(w);
	CU_ASSERT_EQUAL(w->num_answers, 1);
	CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_FAILED);
	CU_ASSERT_FALSE(w->answer.silent);
	receive(w, 0, answer);
	CU_ASSERT_EQUAL(w->num_answers, 1);
	CU_ASSERT_PTR_NULL(radius_server_addr(w->r, 1));
	ask(w, 2);
	receive(w, 0, accept_of(buf, w, 0));
	CU_ASSERT_EQUAL(w->answer.outcome, RADIUS_ACCEPTED);
	radius_free(w->r);
	w->r = NULL;
}

static const struct tap_test tests[] = {
	TAP_TEST(test_md5),
	TAP_TEST(test_S35_published_answer),
	TAP_TEST(test_answer_of_freeradius),
	TAP_TEST(test_S35_request),
	TAP_TEST(test_requests_that_cannot_be),
	TAP_TEST(test_state),
	TAP_TEST(test_retransmission_and_failover),
	TAP_TEST(test_silent_server_is_passed_over),
	TAP_TEST(test_server_that_drops_one),
	TAP_TEST(test_nobody_answers),
	TAP_TEST(test_identifiers),
	TAP_TEST(test_accept),
	TAP_TEST(test_short_keys),
	TAP_TEST(test_S35_every_bit),
	TAP_TEST(test_S35_no_message_authenticator),
	TAP_TEST(test_answers_that_say_no),
	TAP_TEST(test_keys_of_no_length),
	TAP_TEST(test_format),
	TAP_TEST(test_configured_anew),
};

TAP_MAIN("control/radius", tests)
