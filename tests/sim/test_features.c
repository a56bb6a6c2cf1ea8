/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies, floods, narrowing, acquires, lifetimes, NATs, strangers. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/child/child.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

static struct sim *begin(const struct sim_options *opt)
{
	struct sim *s = sim_new(1, opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	return s;
}

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static struct ike_stats stats(const struct sim *s, unsigned side)
{
	struct ike_stats st;

	ike_stats(s->n[side].e, &st);
	return st;
}

/* ---- cookies and floods (S40 to S43) -----------------------------------------------------------
 */

static void test_S40_cookie(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.limits[B].cookies_always = true;
	s = begin(&opt);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(stats(s, B).cookies_sent, 1);
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	sim_free(s);
}

struct keep {
	uint8_t bytes[8][2048];
	size_t len[8];
	uint32_t num;
	bool drop;
};

static bool keeping(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct keep *k = ctx;

	(void)s;
	if (from == A && k->num < 8) {
		memcpy(k->bytes[k->num], bytes, *len);
		k->len[k->num++] = *len;
	}
	return !k->drop;
}

/* The first request of A as sent, without that it arrives. */
static struct keep first_request(struct sim *s)
{
	struct keep k = {.drop = true};

	s->tap = keeping;
	s->tap_ctx = &k;
	(void)!sim_initiate(s, A, "tun");
	s->tap = NULL;
	return k;
}

/* Requests from many addresses cost no state while cookies are on, however many. */
static void test_S40_no_state_without_cookie(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;
	struct keep k;
	uint64_t before;

	opt.limits[B].cookies_always = true;
	s = sim_new(1, &opt);
	k = first_request(s);
	before = stats(s, B).sent;
	for (uint32_t i = 0; i < 500; i++) {
		const uint8_t addr[4] = {198, 18, (uint8_t)(i >> 8), (uint8_t)i};
		struct ike_datagram dg = {
			.path = {.local = s->n[B].addr,
				 .remote = {.addr = ip_addr_v4(addr), .port = 500}},
			.bytes = bytes_of(k.bytes[0], k.len[0])};

		ike_receive(s->n[B].e, &dg, s->now_ns);
		sim_settle(s, B);
	}
	CU_ASSERT_EQUAL(stats(s, B).half_open, 0);
	CU_ASSERT_EQUAL(stats(s, B).cookies_sent, 500);
	CU_ASSERT_EQUAL(stats(s, B).sent, before + 500);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 0);
	sim_free(s);
}

static void flood(struct sim *s, const struct keep *k, uint32_t num, bool one_address)
{
	for (uint32_t i = 0; i < num; i++) {
		const uint8_t addr[4] = {198, 18, one_address ? 0 : (uint8_t)i, 1};
		struct ike_datagram dg = {
			.path = {.local = s->n[B].addr,
				 .remote = {.addr = ip_addr_v4(addr), .port = 500}},
			.bytes = bytes_of(k->bytes[0], k->len[0])};
		uint8_t copy[2048];

		memcpy(copy, k->bytes[0], k->len[0]);
		copy[7] = (uint8_t)i; /* another SPI */
		copy[6] = (uint8_t)(i >> 8);
		dg.bytes.p = copy;
		ike_receive(s->n[B].e, &dg, s->now_ns);
		sim_settle(s, B);
	}
}

/* Half-open SAs are counted by source and in all; past the threshold cookies are asked for (S43).
 */
static void test_S43_half_open_limits(void)
{
	struct sim_options opt = {.wire = calm};
	struct keep k;
	struct sim *s;

	opt.conf[B] = "connections { net { local { auth = psk }\n remote { auth = psk }\n"
		      " children { tun { } } } }";
	s = sim_new(1, &opt);
	k = first_request(s);
	flood(s, &k, 40, true);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 8);
	CU_ASSERT_EQUAL(stats(s, B).cookies_sent, 0);
	flood(s, &k, 100, false);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 30);
	CU_ASSERT_TRUE(stats(s, B).cookies_sent > 50);
	after(s, 70 * NS_PER_S);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 0);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 0);
	sim_free(s);
}

/* A copy of the first request makes the responder's half-open SA; another copy, after cookies were
 * switched on elsewhere, made the initiator send again with a cookie. Both are the same handshake:
 * the responder keeps both transcripts (S41). */
static void test_S41_both_transcripts(void)
{
	struct sim_options opt = {.wire = calm};
	struct keep k = {.drop = true};
	struct handshake *hs;
	struct sim *s;
	struct ike_sa *sa;

	opt.limits[B].cookies_always = true;
	s = sim_new(1, &opt);
	s->tap = keeping;
	s->tap_ctx = &k;
	(void)!sim_initiate(s, A, "tun");
	k.drop = false;
	sim_inject(s, B, k.bytes[0], k.len[0]); /* answered with a cookie */
	s->n[B].e->limits.cookies_always = false;
	sim_inject(s, B, k.bytes[0], k.len[0]); /* an ordinary answer, which is lost */
	free(s->fly[--s->num_fly].bytes);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	list_for_each (n, &s->n[B].e->sas) {
		sa = list_entry(n, struct ike_sa, node);
		hs = sa->hs;
		CU_ASSERT_PTR_NULL(hs);
	}
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	sim_free(s);
}

/* half_begun - A's IKE_SA_INIT, which B has got once and A has no answer to. */
static struct sim *half_begun(struct keep *k)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);

	*k = first_request(s);
	CU_ASSERT_FATAL(k->num == 1 && k->bytes[0][18] == IKE_SA_INIT);
	sim_inject(s, B, k->bytes[0], k->len[0]);
	CU_ASSERT_EQUAL_FATAL(stats(s, B).half_open, 1);
	return s;
}

static struct ike_sa *half_open(struct sim *s)
{
	return list_entry(s->n[B].e->sas.next, struct ike_sa, node);
}

/* What comes without a right cookie is no second transcript: anybody could have changed it. */
static void test_S41_second_transcript_has_a_cookie(void)
{
	struct keep k = {.num = 0};
	struct sim *s = half_begun(&k);

	for (size_t at = 28; at < k.len[0]; at++) {
		k.bytes[0][at] ^= 1;
		sim_inject(s, B, k.bytes[0], k.len[0]);
		k.bytes[0][at] ^= 1;
		CU_ASSERT_PTR_NULL(half_open(s)->hs->request2);
	}
	sim_free(s);
}

/* struct cookies - of B's answers. */
struct cookies {
	uint8_t bytes[4][COOKIE_LEN];
	uint32_t num;
};

static bool take_cookie(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct cookies *c = ctx;
	struct wire_notify n;
	struct ike_msg m;

	(void)s;
	if (from == B && c->num < 4 && !ike_msg_parse(&m, bytes_of(bytes, *len)) &&
	    wire_notify_find(&n, &m, NOTIFY_COOKIE) && n.data.len == COOKIE_LEN)
		memcpy(c->bytes[c->num++], n.data.p, COOKIE_LEN);
	return true;
}

/* As many answers as there are copies of a request, and whichever comes first is taken: they ask
 * for the same, so that there is one transcript with a cookie. */
static void test_S41_one_cookie_for_all_copies(void)
{
	static const uint64_t waits_s[4] = {1, 2, 50, 1}; /* the secret is there for 60 */
	struct sim_options opt = {.wire = calm};
	struct cookies c = {.num = 0};
	struct sim *s;
	struct keep k;

	opt.limits[B].cookies_always = true;
	s = sim_new(1, &opt);
	k = first_request(s);
	s->n[A].deaf = true;
	s->tap = take_cookie;
	s->tap_ctx = &c;
	for (uint32_t i = 0; i < 4; i++) {
		sim_inject(s, B, k.bytes[0], k.len[0]);
		CU_ASSERT_EQUAL_FATAL(c.num, i + 1);
		CU_ASSERT_EQUAL(memcmp(c.bytes[i], c.bytes[0], COOKIE_LEN), 0);
		s->now_ns += waits_s[i] * NS_PER_S;
	}
	sim_free(s);
}

/* However often it comes, a pair of SPI and address costs one key share (S42). */
static void test_S42_one_key_share(void)
{
	struct keep k = {.num = 0};
	struct sim *s = half_begun(&k);
	const struct ike_sa *sa = half_open(s);
	const struct dh *dh = sa->hs->dh;

	CU_ASSERT_PTR_NOT_NULL(dh);
	for (unsigned i = 0; i < 50; i++) {
		sim_inject(s, B, k.bytes[0], k.len[0]);
		k.bytes[0][k.len[0] - 1] ^= (uint8_t)i;
		sim_inject(s, B, k.bytes[0], k.len[0]);
		k.bytes[0][k.len[0] - 1] ^= (uint8_t)i;
	}
	CU_ASSERT_EQUAL(stats(s, B).half_open, 1);
	CU_ASSERT_PTR_EQUAL(half_open(s), sa);
	CU_ASSERT_PTR_EQUAL(sa->hs->dh, dh);
	sim_free(s);
}

/* A bad IKE_AUTH neither ends the half-open SA nor makes the responder compute again (S42). */
static void test_S42_bad_auth_is_ignored(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt);
	struct keep k = {.drop = false};
	uint8_t forged[2048];

	s->tap = keeping;
	s->tap_ctx = &k;
	while (k.num < 1)
		after(s, NS_PER_MS);
	CU_ASSERT_EQUAL_FATAL(k.bytes[0][18], IKE_AUTH);
	memcpy(forged, k.bytes[0], k.len[0]);
	forged[k.len[0] - 1] ^= 1;
	for (unsigned i = 0; i < 50; i++)
		sim_inject(s, B, forged, k.len[0]);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 1);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	sim_free(s);
}

/* ---- unprotected errors
 * -------------------------------------------------------------------------- */

static size_t error_message(struct sim *s, uint8_t *out, size_t cap, uint16_t notify, uint16_t data)
{
	struct ike_sa *sa = list_entry(s->n[A].e->sas.next, struct ike_sa, node);
	const struct ike_header h = {
		.spi_i = sa->spi_i, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_RESPONSE};
	struct ike_builder b;
	struct bytes done;

	ike_build_begin(&b, out, cap, &h);
	if (notify == NOTIFY_INVALID_KE_PAYLOAD)
		wire_notify_ke_build(&b, data);
	else
		wire_notify_build(&b, notify, bytes_of(NULL, 0));
	return ike_build_finish(&b, &done, NULL) ? 0 : done.len;
}

/* INVALID_KE_PAYLOAD with a group that we did not offer, or a second time, is the end (S30). */
static void test_S30_only_offered_groups(void)
{
	struct sim_options opt = {.wire = calm};
	uint8_t buf[256];
	struct sim *s;
	size_t len;

	opt.conf[A] = sim_conf(A, "proposals = aes256gcm16-prfsha256-x25519-ecp256", "");
	s = begin(&opt);
	len = error_message(s, buf, sizeof(buf), NOTIFY_INVALID_KE_PAYLOAD, DH_ECP_384);
	sim_inject(s, A, buf, len);
	CU_ASSERT_EQUAL(s->n[A].failed, 1);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_INVALID_KE);
	sim_free(s);

	s = begin(&opt);
	s->n[B].deaf = true;
	len = error_message(s, buf, sizeof(buf), NOTIFY_INVALID_KE_PAYLOAD, DH_ECP_256);
	sim_inject(s, A, buf, len);
	CU_ASSERT_EQUAL(s->n[A].failed, 0);
	len = error_message(s, buf, sizeof(buf), NOTIFY_INVALID_KE_PAYLOAD, DH_CURVE_25519);
	sim_inject(s, A, buf, len);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_INVALID_KE);
	sim_free(s);
}

/* A world whose B takes another group than A begins with, and the message that says so. */
static struct sim *other_group(uint8_t *buf, size_t cap, size_t *len)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = sim_conf(A, "proposals = aes256gcm16-prfsha256-x25519-ecp256", "");
	opt.conf[B] = sim_conf(B, "proposals = aes256gcm16-prfsha256-ecp256", "");
	s = begin(&opt);
	*len = error_message(s, buf, cap, NOTIFY_INVALID_KE_PAYLOAD, DH_ECP_256);
	return s;
}

static const struct handshake *handshake_of_a(struct sim *s)
{
	return list_entry(s->n[A].e->sas.next, struct ike_sa, node)->hs;
}

/* Short of memory, the answer is as if it had not come; and it does come, once more. */
static void test_S30_out_of_memory(void)
{
	unsigned taken[2] = {0};
	uint8_t buf[256];
	size_t len;

	for (uint64_t nth = 1; nth <= 12; nth++) {
		struct sim *s = other_group(buf, sizeof(buf), &len);

		alloc_fail_nth(nth);
		sim_inject(s, A, buf, len);
		alloc_fail_nth(0);
		taken[handshake_of_a(s)->ke_retried]++;
		after(s, 10 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_EQUAL(s->n[A].failed, 0);
		sim_free(s);
	}
	CU_ASSERT_TRUE(taken[0] && taken[1]);
}

/* Where the way is long the first request is repeated, and refused as often: that is one answer. */
static void test_S30_answered_twice(void)
{
	uint8_t buf[256];
	size_t len;
	struct sim *s = other_group(buf, sizeof(buf), &len);

	sim_inject(s, A, buf, len);
	sim_inject(s, A, buf, len);
	after(s, 3 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(s->n[A].failed, 0);
	sim_free(s);
}

/* Nor does a cookie count that memory was too short for. */
static void test_S40_cookie_out_of_memory(void)
{
	struct sim_options opt = {.wire = calm};
	const struct ike_header *h;
	struct ike_builder b;
	uint8_t buf[256];
	struct bytes m;
	struct sim *s;

	opt.limits[B].cookies_always = true;
	s = begin(&opt);
	h = &(struct ike_header){
		.spi_i = list_entry(s->n[A].e->sas.next, struct ike_sa, node)->spi_i,
		.exchange = IKE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE};
	ike_build_begin(&b, buf, sizeof(buf), h);
	wire_notify_build(&b, NOTIFY_COOKIE, bytes_of("a cookie", 8));
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &m, NULL), ERR_OK);
	for (unsigned i = 0; i < 8; i++) {
		alloc_fail_nth(1);
		sim_inject(s, A, m.p, m.len);
		alloc_fail_nth(0);
	}
	CU_ASSERT_EQUAL(handshake_of_a(s)->num_cookies, 0);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(handshake_of_a(s), NULL);
	sim_free(s);
}

/* What names no SA of ours is answered with INVALID_IKE_SPI: seldom, shortly, and requests only. */
static void test_unknown_spi(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);
	uint8_t m[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6, 5, 4, 3, 2, 46, 0x20, 37, 0x08};
	uint64_t sent;

	m[27] = sizeof(m);
	m[28] = 0;
	m[31] = sizeof(m) - 28;
	for (unsigned i = 0; i < 100; i++)
		sim_inject(s, B, m, sizeof(m));
	sent = stats(s, B).sent;
	CU_ASSERT_EQUAL(sent, 20);
	m[19] |= 0x20; /* a response */
	s->now_ns += 5 * NS_PER_S;
	sim_inject(s, B, m, sizeof(m));
	CU_ASSERT_EQUAL(stats(s, B).sent, sent);
	m[19] = 0x08;
	m[17] = 0x30; /* major version 3 */
	sim_inject(s, B, m, sizeof(m));
	CU_ASSERT_EQUAL(stats(s, B).sent, sent + 1);
	m[17] = 0x10; /* IKEv1 (S34) */
	sim_inject(s, B, m, sizeof(m));
	CU_ASSERT_EQUAL(stats(s, B).sent, sent + 1);
	sim_free(s);
}

/* ---- selectors
 * ----------------------------------------------------------------------------------- */

static const struct ike_child *only_child(struct sim *s, unsigned side)
{
	list_for_each (n, &s->n[side].e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (!list_empty(&sa->children))
			return list_entry(sa->children.next, struct ike_child, node);
	}
	return NULL;
}

static void test_narrowing(void)
{
	struct sim_options opt = {.wire = calm};
	char text[TS_TEXT_MAX];
	struct sim *s;

	opt.conf[A] = sim_conf(A, "", "remote_ts = 10.0.0.0/8, 172.16.0.0/12");
	opt.conf[B] = sim_conf(B, "", "local_ts = 10.2.0.0/16");
	s = begin(&opt);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	for (unsigned i = 0; i < 2; i++) {
		const struct ike_child *c = only_child(s, i);

		CU_ASSERT_EQUAL(c->num_local, 1);
		CU_ASSERT_EQUAL(c->num_remote, 1);
		CU_ASSERT_STRING_EQUAL(ts_text(text, &c->ts[i == A]), "10.2.0.0/16");
	}
	/* a re-key keeps what was agreed */
	CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_STRING_EQUAL(ts_text(text, &only_child(s, A)->ts[1]), "10.2.0.0/16");
	sim_free(s);
}

/* The packet that asked goes first into TSi and TSr (2.9). */
static void test_acquire(void)
{
	const uint8_t a[4] = {10, 1, 0, 9}, b[4] = {10, 2, 0, 7}, c[4] = {10, 3, 0, 7};
	struct flow flow = {.local = ip_addr_v4(a),
			    .remote = ip_addr_v4(b),
			    .proto = 6,
			    .local_port = 1234,
			    .remote_port = 80};
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_EQUAL(sim_initiate_flow(s, A, "tun", &flow), ERR_OK);
	CU_ASSERT_EQUAL(sim_initiate_flow(s, A, "tun", &flow), ERR_EXISTS); /* under way */
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(only_child(s, A)->num_local, 1); /* the wide one covers the packet's */
	CU_ASSERT_EQUAL(sim_initiate_flow(s, A, "tun", &flow), ERR_EXISTS);
	flow.remote = ip_addr_v4(c); /* outside the configuration: nothing to ask for */
	CU_ASSERT_EQUAL(sim_initiate_flow(s, A, "tun", &flow), ERR_EXISTS);
	sim_free(s);
}

/* Where the pair was narrowed, a packet outside it asks for another pair. */
static void test_acquire_beside_a_narrow_pair(void)
{
	const uint8_t a[4] = {10, 1, 0, 9}, b[4] = {10, 2, 9, 7};
	struct flow flow = {.local = ip_addr_v4(a), .remote = ip_addr_v4(b), .proto = 17};
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[B] = "connections { net { remote_addrs = 192.0.2.1\n encap = yes\n"
		      " local { auth = psk\n id = host2.example }\n"
		      " remote { auth = psk\n id = host1.example }\n children {\n"
		      " one { local_ts = 10.2.1.0/24\n remote_ts = 10.1.0.0/16 }\n"
		      " two { local_ts = 10.2.9.0/24\n remote_ts = 10.1.0.0/16 } } } }";
	s = begin(&opt);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), 1);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_EXISTS);
	CU_ASSERT_EQUAL(sim_initiate_flow(s, A, "tun", &flow), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), 2);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 2);
	CU_ASSERT_EQUAL(sim_initiate_flow(s, A, "tun", &flow), ERR_EXISTS);
	sim_free(s);
}

/* A lost response to a delete does not cost the whole time of repeats. */
static bool lose_informational(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	bool *lost = ctx;

	(void)s;
	(void)len;
	if (*lost || from != B || bytes[18] != INFORMATIONAL)
		return true;
	*lost = true;
	return false;
}

static void test_delete_response_lost(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt);
	bool lost = false;
	uint32_t num;

	after(s, NS_PER_S);
	s->tap = lose_informational;
	s->tap_ctx = &lost;
	CU_ASSERT_EQUAL(
		ike_terminate(s->n[A].e, &num, &(struct ike_select){.ike_id = 1}, s->now_ns),
		ERR_OK);
	sim_settle(s, A);
	after(s, 3 * NS_PER_S);
	CU_ASSERT_TRUE(lost);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 0);
	sim_free(s);
}

/* ---- lifetimes
 * ----------------------------------------------------------------------------------- */

static void test_lifetimes(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = sim_conf(A, "rekey_time = 100s\n over_time = 20s\n rand_time = 10s",
			       "rekey_time = 30s\n life_time = 40s\n rand_time = 5s");
	s = begin(&opt);
	after(s, NS_PER_S);
	s->traffic = true;
	after(s, 1000 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_TRUE(s->n[A].rekeyed_child >= 30 && s->n[A].rekeyed_child < 45);
	CU_ASSERT_TRUE(s->n[A].rekeyed_ike >= 9 && s->n[A].rekeyed_ike < 13);
	CU_ASSERT_EQUAL(s->n[A].lost_packets + s->n[B].lost_packets, 0);
	CU_ASSERT_EQUAL(s->n[A].ike_down + s->n[A].child_down, 0);
	sim_free(s);
}

/* No re-key succeeds: the child, then the IKE SA, end by themselves. That it is lost is told when
 * nothing is sent any more: who hears it stops what would go in the clear. */
static void test_hard_lifetimes(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = sim_conf(A, "rekey_time = 200s\n over_time = 20s",
			       "rekey_time = 30s\n life_time = 40s\n rand_time = 0s");
	s = begin(&opt);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	s->n[B].deaf = true;
	after(s, 38 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].child_down, 0);
	after(s, 3 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].child_down, 1);
	CU_ASSERT_EQUAL(s->n[A].num_pairs, 0);
	CU_ASSERT_EQUAL(s->n[A].told_early, 0);
	after(s, 100 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	CU_ASSERT_TRUE(sim_clean(s, A));
	sim_free(s);
}

/* What the data path reports: soft and hard limits, and a pair that could not be installed. */
static void test_data_path_reports(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt);

	after(s, NS_PER_S);
	ike_child_expiring(s->n[B].e, s->n[B].pairs[0].id, s->now_ns);
	sim_settle(s, B);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 1);
	ike_child_expired(s->n[B].e, s->n[B].pairs[0].id, s->now_ns);
	sim_settle(s, B);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].num_pairs + s->n[B].num_pairs, 0);
	CU_ASSERT_EQUAL(s->n[A].child_down + s->n[B].child_down, 2);
	ike_child_expired(s->n[B].e, 4711, s->now_ns);
	ike_child_used(s->n[B].e, 4711, s->now_ns);
	ike_child_failed(s->n[B].e, 4711, ERR_NOMEM, s->now_ns);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	sim_free(s);
}

/* ---- NAT
 * ------------------------------------------------------------------------------------------ */

/* Authentic packets from elsewhere do not move the peer before something sent there is answered
 * from there (S57). */
static void test_S57_moves_after_an_answer(void)
{
	const uint8_t else_where[4] = {203, 0, 113, 5};
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt);
	struct path_addr path;
	struct ike_sa *sa;

	after(s, NS_PER_S);
	sa = list_entry(s->n[B].e->sas.next, struct ike_sa, node);
	path = sa->path;
	path.remote.addr = ip_addr_v4(else_where);
	s->n[A].deaf = true; /* the attacker forwards one packet and cannot answer */
	ike_child_moved(s->n[B].e, s->n[B].pairs[0].id, &path, 0, s->now_ns);
	sim_settle(s, B);
	after(s, 5 * NS_PER_S);
	CU_ASSERT_FALSE(ip_addr_equal(&sa->path.remote.addr, &path.remote.addr));
	CU_ASSERT_TRUE(sa->probe.on);
	s->n[A].deaf =
		false; /* in the simulation every address leads to A: it answers from its own */
	after(s, 20 * NS_PER_S);
	CU_ASSERT_FALSE(sa->probe.on);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* A translator between, which changes its mind: found out by both sides, kept open by the one
 * behind it (RFC 3948 4), followed by the other (2.23). */
static void test_nat(void)
{
	struct sim_options opt = {.wire = calm};
	struct ike_sa *a, *b;
	struct sim *s;

	opt.conf[A] = "connections { net { remote_addrs = 192.0.2.2\n encap = no\n"
		      " local { auth = psk\n id = host1.example }\n dpd_delay = 10s\n"
		      " remote { auth = psk\n id = host2.example }\n"
		      " children { tun { local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16 } } } }";
	opt.conf[B] = "connections { net { local_addrs = 192.0.2.2\n encap = no\n"
		      " local { auth = psk\n id = host2.example }\n"
		      " remote { auth = psk\n id = host1.example }\n"
		      " children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16 } } } }";
	s = sim_new(1, &opt);
	s->nat = 10000;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	a = list_entry(s->n[A].e->sas.next, struct ike_sa, node);
	b = list_entry(s->n[B].e->sas.next, struct ike_sa, node);
	CU_ASSERT_TRUE(a->nat_local && !a->nat_remote && !b->nat_local && b->nat_remote);
	CU_ASSERT_EQUAL(a->path.encap, ENCAP_UDP);
	CU_ASSERT_EQUAL(b->path.remote.port, 14500);
	s->nat = 20000;
	after(s, 30 * NS_PER_S);
	CU_ASSERT_EQUAL(b->path.remote.port, 24500);
	CU_ASSERT_FALSE(b->probe.on);
	CU_ASSERT_EQUAL(sim_rekey(s, B, "tun"), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 1);
	CU_ASSERT_EQUAL(s->n[A].ike_down + s->n[B].ike_down, 0);
	sim_free(s);
}

/* Where nothing else is sent a keepalive goes out every 20 s, from behind the NAT only. */
static void test_nat_keepalive(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = sim_conf(A, "dpd_delay = 0s", "");
	opt.conf[B] = "connections { net { local_addrs = 192.0.2.2\n dpd_delay = 0s\n"
		      " local { auth = psk\n id = host2.example }\n"
		      " remote { auth = psk\n id = host1.example }\n"
		      " children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16 } } } }";
	s = sim_new(1, &opt);
	s->nat = 10000;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	after(s, 200 * NS_PER_S);
	CU_ASSERT_EQUAL(s->keepalives, 10);
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_nat),
	TAP_TEST(test_nat_keepalive),
	TAP_TEST(test_S40_cookie),
	TAP_TEST(test_S40_no_state_without_cookie),
	TAP_TEST(test_S43_half_open_limits),
	TAP_TEST(test_S41_both_transcripts),
	TAP_TEST(test_S41_second_transcript_has_a_cookie),
	TAP_TEST(test_S41_one_cookie_for_all_copies),
	TAP_TEST(test_S42_one_key_share),
	TAP_TEST(test_S42_bad_auth_is_ignored),
	TAP_TEST(test_S30_only_offered_groups),
	TAP_TEST(test_S30_out_of_memory),
	TAP_TEST(test_S30_answered_twice),
	TAP_TEST(test_S40_cookie_out_of_memory),
	TAP_TEST(test_unknown_spi),
	TAP_TEST(test_narrowing),
	TAP_TEST(test_acquire),
	TAP_TEST(test_acquire_beside_a_narrow_pair),
	TAP_TEST(test_delete_response_lost),
	TAP_TEST(test_lifetimes),
	TAP_TEST(test_hard_lifetimes),
	TAP_TEST(test_data_path_reports),
	TAP_TEST(test_S57_moves_after_an_answer),
};

TAP_MAIN("sim/features", tests)
