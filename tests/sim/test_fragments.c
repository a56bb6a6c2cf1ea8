/* SPDX-License-Identifier: Apache-2.0 */
/* IKE messages in fragments (RFC 7383): every exchange, on a bad wire, against a hostile one. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "control/ike/wire/skf.h"
#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1
/* ROOM - of an IKE message in an IP packet of 256 bytes. */
#define SMALL "latchkey { fragment_size = 256 }\n"
#define ROOM  (256 - 20 - 8 - 4)

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

/* NAME - long enough that the response to IKE_AUTH does not fit into one fragment either. */
#define NAME "a-host-whose-name-is-so-long-that-it-alone-fills-half-of-a-fragment-of-an-ike-message"

/* As sim_conf(), with long names and small fragments. Static buffer for each side. */
static const char *small(unsigned side, const char *extra)
{
	static char text[2][2000];
	const unsigned us = side + 1, them = 2 - side;

	snprintf(text[side], sizeof(text[side]),
		 "connections { net {\n local_addrs = 192.0.2.%u\n remote_addrs = 192.0.2.%u\n"
		 " %s\n local { auth = psk\n id = " NAME ".host%u.example }\n"
		 " remote { auth = psk\n id = " NAME ".host%u.example }\n"
		 " children { tun { local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16\n"
		 "  esp_proposals = aes256gcm16-x25519-ecp256\n } } } }\n"
		 "secrets { ike-1 { secret = \"a fairly long shared secret\" } }\n" SMALL,
		 us, them, extra, us, them, us, them);
	return text[side];
}

static struct sim *make(const char *extra_a, const char *extra_b)
{
	const struct sim_options opt = {.wire = calm,
					.conf = {small(A, extra_a), small(B, extra_b)}};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

/* struct seen - fragments by sender and exchange; how large the largest encrypted message was. */
struct seen {
	unsigned fragments[2][IKE_AUTH + 10];
	size_t largest;
};

static bool is_fragment(struct ike_msg *m, struct skf *f, const uint8_t *bytes, size_t len)
{
	return !ike_msg_parse(m, bytes_of(bytes, len)) && !skf_parse(f, m);
}

static bool see(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct seen *seen = ctx;
	struct ike_msg m;
	struct skf f;

	(void)s;
	if (is_fragment(&m, &f, bytes, *len))
		seen->fragments[from][m.h.exchange]++;
	if (bytes[18] != IKE_SA_INIT && *len > seen->largest)
		seen->largest = *len;
	return true;
}

static void check_exchanges(struct sim *s)
{
	char why[200];

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	for (unsigned side = A; side <= B; side++) {
		CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
		after(s, NS_PER_S);
		CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
		after(s, NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
	}
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child + s->n[B].rekeyed_child, 4);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_ike + s->n[B].rekeyed_ike, 4);
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(sim_same(s, why));
}

static void test_every_exchange(void)
{
	struct sim *s = make("", "");
	struct seen seen = {.largest = 0};

	s->tap = see;
	s->tap_ctx = &seen;
	check_exchanges(s);
	CU_ASSERT_TRUE(seen.largest <= ROOM);
	for (unsigned side = A; side <= B; side++) {
		CU_ASSERT_TRUE(seen.fragments[side][IKE_AUTH] >= 2);
		CU_ASSERT_TRUE(seen.fragments[side][CREATE_CHILD_SA] >= 4);
	}
	sim_free(s);
}

static unsigned sum(const struct seen *seen, unsigned side)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_LEN(seen->fragments[side]); i++)
		n += seen->fragments[side][i];
	return n;
}

/* Who may send fragments: only where both know them, and not whoever only accepts. */
static void check_sent(const char *a, const char *b, bool by_a, bool by_b)
{
	struct seen seen = {.largest = 0};
	struct sim *s = make(a, b);

	s->tap = see;
	s->tap_ctx = &seen;
	check_exchanges(s);
	CU_ASSERT_EQUAL(sum(&seen, A) > 0, by_a);
	CU_ASSERT_EQUAL(sum(&seen, B) > 0, by_b);
	sim_free(s);
}

static void test_negotiated(void)
{
	check_sent("fragmentation = yes", "fragmentation = force", true, true);
	check_sent("fragmentation = accept", "fragmentation = yes", false, true);
	check_sent("fragmentation = yes", "fragmentation = accept", true, false);
	check_sent("fragmentation = no", "fragmentation = yes", false, false);
	check_sent("fragmentation = yes", "fragmentation = no", false, false);
}

static void test_bad_wire(void)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		const struct sim_options opt = {.wire = {.loss = 30,
							 .repeat = 5,
							 .reorder = 10,
							 .delay_ns = 10 * NS_PER_MS,
							 .jitter_ns = 40 * NS_PER_MS,
							 .reorder_ns = 800 * NS_PER_MS,
							 .ask_ns = 100 * NS_PER_MS},
						.conf = {small(A, ""), small(B, "")}};
		struct sim *s = sim_new(seed, &opt);
		char why[200];

		CU_ASSERT_EQUAL(sim_initiate(s, seed & 1, "tun"), ERR_OK);
		CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 60 * NS_PER_S, sim_up));
		CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
		after(s, 60 * NS_PER_S);
		(void)sim_rekey(s, B, NULL);
		after(s, 90 * NS_PER_S);
		s->wire.loss = 0;
		after(s, 10 * NS_PER_S);
		CU_ASSERT_TRUE(sim_same(s, why));
		CU_ASSERT_TRUE(sim_up(s));
		sim_free(s);
	}
}

/* Before each fragment comes a forged copy of it: only authentic ones are kept (S2). */
static bool forge(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	unsigned *num = ctx;
	struct ike_msg m;
	struct skf f;

	if (!is_fragment(&m, &f, bytes, *len))
		return true;
	bytes[*len - 1] ^= 1;
	sim_inject(s, !from, bytes, *len);
	bytes[*len - 1] ^= 1;
	bytes[IKE_HEADER_LEN + 7]++; /* a finer cut, which would make the others worthless */
	sim_inject(s, !from, bytes, *len);
	bytes[IKE_HEADER_LEN + 7]--;
	(*num)++;
	return true;
}

static void test_S2_forged_fragments(void)
{
	struct sim *s = make("", "");
	unsigned num = 0;

	s->tap = forge;
	s->tap_ctx = &num;
	check_exchanges(s);
	CU_ASSERT_TRUE(num > 14);
	sim_free(s);
}

/* struct keep - the fragments of one message, and how many messages B sent. */
struct keep {
	uint8_t bytes[8][512];
	size_t len[8];
	unsigned num, sent[2];
};

static bool keep_auth(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct keep *k = ctx;
	struct ike_msg m;
	struct skf f;

	(void)s;
	k->sent[from]++;
	if (from == A && k->num < 8 && is_fragment(&m, &f, bytes, *len)) {
		memcpy(k->bytes[k->num], bytes, *len);
		k->len[k->num++] = *len;
	}
	return true;
}

/* The first fragment of an answered request asks for all of the answer, others for nothing (RFC
 * 7383 2.6.1); a changed one for nothing. */
static void test_repeated_request(void)
{
	struct sim *s = make("", "");
	struct keep k = {.num = 0};
	unsigned answer;

	s->tap = keep_auth;
	s->tap_ctx = &k;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_TRUE_FATAL(k.num >= 2);
	answer = k.sent[B] - 1; /* less the answer to IKE_SA_INIT */
	CU_ASSERT_TRUE(answer >= 2);
	for (unsigned i = 1; i < k.num; i++)
		sim_inject(s, B, k.bytes[i], k.len[i]);
	CU_ASSERT_EQUAL(k.sent[B], 1 + answer);
	sim_inject(s, B, k.bytes[0], k.len[0]);
	CU_ASSERT_EQUAL(k.sent[B], 1 + 2 * answer);
	k.bytes[0][k.len[0] - 1] ^= 1;
	sim_inject(s, B, k.bytes[0], k.len[0]);
	CU_ASSERT_EQUAL(k.sent[B], 1 + 2 * answer);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	sim_free(s);
}

/* A peer that never finishes a message leaves nothing behind when it is given up. */
static bool drop_second(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct ike_msg m;
	struct skf f;

	(void)s;
	(void)from;
	(void)ctx;
	return !is_fragment(&m, &f, bytes, *len) || f.number != 2;
}

static void test_never_whole(void)
{
	struct sim *s = make("", "");

	s->tap = drop_second;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 100 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_NO_ANSWER);
	CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	sim_free(s);
}

/* Each allocation of a handshake in fragments fails once: both sides are up, or neither is. */
static void test_fail_every_allocation(void)
{
	uint64_t total = 0;
	char why[200];

	for (uint64_t nth = 0; nth <= total; nth++) {
		struct sim *s = make("", "");
		uint64_t before = alloc_count();

		alloc_fail_nth(nth);
		(void)!sim_initiate(s, A, "tun");
		after(s, NS_PER_S / 2);
		alloc_fail_nth(0);
		if (nth == 0)
			total = alloc_count() - before;
		after(s, 100 * NS_PER_S);
		CU_ASSERT_TRUE(sim_same(s, why));
		sim_free(s);
	}
	CU_ASSERT_TRUE(total > 40);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_every_exchange),
	TAP_TEST(test_negotiated),
	TAP_TEST(test_bad_wire),
	TAP_TEST(test_S2_forged_fragments),
	TAP_TEST(test_repeated_request),
	TAP_TEST(test_never_whole),
	TAP_TEST(test_fail_every_allocation),
};

TAP_MAIN("sim/fragments", tests)
