/* SPDX-License-Identifier: Apache-2.0 */
/* Payload compression as it is negotiated (RFC 7296 2.22, RFC 3173): only if both sides want it, by
 * DEFLATE, with the CPIs that each other's receivers chose. */
#include <stdio.h>
#include <string.h>

#include "control/ike/core.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

/* Both on port 500, where sim_inject() delivers. */
static const char *conf_of(unsigned side, const char *child)
{
	char words[200];

	snprintf(words, sizeof(words),
		 "%s } more { local_ts = 10.%u.0.0/24\n remote_ts = 10.%u.0.0/24\n %s", child,
		 7 + side, 8 - side, child);
	return sim_conf(side, "encap = no\n mobike = no", words);
}

/* struct said - what the notifies of one side become in an exchange: those that were there are left
 * out, and these are put there. */
struct said {
	unsigned from;
	uint8_t exchange;
	struct {
		uint16_t cpi;
		uint8_t transform;
		uint16_t len; /* of the data */
	} put[3];
	uint32_t num;
};

static bool is_said(const struct ike_payload *p)
{
	return p->type == PAYLOAD_NOTIFY && p->body.len >= 4 &&
	       load_be16(p->body.p + 2) == NOTIFY_IPCOMP_SUPPORTED;
}

static bool say(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	const struct said *r = ctx;
	static uint8_t body[3][16];
	static struct forge_msg m;
	uint32_t num = 0;
	uint8_t out[2048];
	size_t n;

	if (from != r->from || bytes[18] != r->exchange || !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++) {
		if (!is_said(&m.payloads[i]))
			m.payloads[num++] = m.payloads[i];
	}
	m.num = num;
	for (uint32_t i = 0; i < r->num; i++) {
		store_be16(body[i] + 2, NOTIFY_IPCOMP_SUPPORTED);
		store_be16(body[i] + 4, r->put[i].cpi);
		body[i][6] = r->put[i].transform;
		m.payloads[m.num++] = (struct ike_payload){
			.type = PAYLOAD_NOTIFY, .body = bytes_of(body[i], 4u + r->put[i].len)};
	}
	n = forge_close(s, &m, from, out, sizeof(out));
	if (n)
		sim_inject(s, !from, out, n);
	return false;
}

static struct sim *begin(struct said *said, const char *a, const char *b)
{
	const struct sim_options opt = {
		.wire = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS},
		.conf = {conf_of(A, a), conf_of(B, b)},
	};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->tap = said ? say : NULL;
	s->tap_ctx = said;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	return s;
}

static bool negotiable(uint16_t cpi)
{
	return cpi >= 256 && cpi < 61440;
}

/* compressed - both sides have it, and each sends by the other's CPI. */
static bool compressed(const struct sim *s)
{
	const struct sim_pair *a = sim_newest(s, A), *b = sim_newest(s, B);

	return a->ipcomp && b->ipcomp && a->cpi_in == b->cpi_out && b->cpi_in == a->cpi_out &&
	       negotiable(a->cpi_in) && negotiable(b->cpi_in);
}

static bool plain(const struct sim *s)
{
	return sim_newest(s, A)->id && sim_newest(s, B)->id && !sim_newest(s, A)->ipcomp &&
	       !sim_newest(s, B)->ipcomp;
}

static void rekey(struct sim *s, unsigned side)
{
	const uint32_t before = s->n[A].rekeyed_child;

	CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child, before + 1);
}

/* In IKE_AUTH and in each CREATE_CHILD_SA, of either side; every pair has CPIs of its own. */
static void test_R3173_both_want_it(void)
{
	struct sim *s = begin(NULL, "ipcomp = yes", "ipcomp = yes");
	uint16_t was = sim_newest(s, A)->cpi_in;

	CU_ASSERT_TRUE(sim_up(s) && compressed(s));
	for (unsigned i = 0; i < 4; i++) {
		rekey(s, i % 2);
		CU_ASSERT_TRUE(compressed(s));
		CU_ASSERT_NOT_EQUAL(sim_newest(s, A)->cpi_in, was);
		was = sim_newest(s, A)->cpi_in;
	}
	for (unsigned side = A; side <= B; side++) {
		CU_ASSERT_EQUAL(sim_initiate(s, side, "more"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_TRUE(compressed(s));
		CU_ASSERT_EQUAL(strcmp(sim_newest(s, A)->name, "more"), 0);
		CU_ASSERT_EQUAL(sim_terminate(s, side, "more"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
	}
	sim_free(s);
}

/* One behind the other, and those that are agreed on come again when all were. */
static void test_cpis(void)
{
	struct sim *s = begin(NULL, "ipcomp = yes", "ipcomp = yes");
	const uint16_t was = sim_newest(s, B)->cpi_in;

	s->n[A].e->last_cpi = 61438;
	rekey(s, B);
	CU_ASSERT_EQUAL(sim_newest(s, A)->cpi_in, 61439);
	rekey(s, A);
	CU_ASSERT_EQUAL(sim_newest(s, A)->cpi_in, 256);
	CU_ASSERT_EQUAL(sim_newest(s, B)->cpi_out, 256);
	CU_ASSERT_EQUAL(sim_newest(s, B)->cpi_in, was + 2);
	sim_free(s);
}

/* Where one of two does not want it, or does not know of it, packets go as they are. */
static void test_R3173_one_wants_it(void)
{
	static const char *const conf[][2] = {{"ipcomp = yes", ""},
					      {"", "ipcomp = yes"},
					      {"ipcomp = yes", "ipcomp = no"},
					      {"", ""}};

	for (size_t i = 0; i < ARRAY_LEN(conf); i++) {
		struct sim *s = begin(NULL, conf[i][A], conf[i][B]);

		CU_ASSERT_TRUE(sim_up(s) && plain(s));
		for (unsigned side = A; side <= B; side++) {
			rekey(s, side);
			CU_ASSERT_TRUE(plain(s));
		}
		sim_free(s);
	}
}

/* What is not said again does not hold for the next pair. */
static void test_R3173_each_exchange(void)
{
	for (unsigned from = A; from <= B; from++) {
		struct said said = {.from = from, .exchange = CREATE_CHILD_SA};
		struct sim *s = begin(&said, "ipcomp = yes", "ipcomp = yes");

		CU_ASSERT_TRUE(compressed(s));
		if (from == A) { /* says nothing as it asks */
			rekey(s, A);
			CU_ASSERT_TRUE(plain(s));
			s->tap = NULL;
		}
		rekey(s, A);
		CU_ASSERT_EQUAL(sim_newest(s, A)->ipcomp, from == A);
		sim_free(s);
	}
}

/* Of what is offered DEFLATE is taken, wherever it stands, and with the CPI that is beside it. */
static void test_R3173_offers(void)
{
	static const struct {
		struct said said;
		uint16_t cpi; /* 0: nothing is taken */
	} rows[] = {
		{{.num = 1, .put = {{777, 3, 3}}}, 0},
		{{.num = 2, .put = {{777, 3, 3}, {888, 4, 7}}}, 0},
		{{.num = 1, .put = {{777, 2, 3}}}, 777},
		{{.num = 1, .put = {{777, 2, 12}}}, 777},
		{{.num = 2, .put = {{777, 3, 3}, {888, 2, 3}}}, 888},
		{{.num = 3, .put = {{777, 2, 3}, {888, 2, 3}, {999, 4, 3}}}, 777},
		{{.num = 3, .put = {{777, 1, 3}, {888, 2, 3}, {999, 2, 3}}}, 888},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct said said = rows[i].said;
		struct sim *s;

		said.exchange = IKE_AUTH;
		s = begin(&said, "ipcomp = yes", "ipcomp = yes");
		CU_ASSERT_EQUAL_FATAL(s->n[B].child_up, 1);
		CU_ASSERT_EQUAL(sim_newest(s, B)->ipcomp, rows[i].cpi != 0);
		CU_ASSERT_EQUAL(sim_newest(s, B)->cpi_out, rows[i].cpi);
		sim_free(s);
	}
}

/* An answer that was not offered (RFC 7296 2.22): by nobody who asked, by another algorithm, more
 * than one. The pair is closed again, and the reason says what to change. */
static void test_R3173_answers(void)
{
	static const struct {
		const char *ours;
		struct said said;
	} rows[] = {
		{"", {.num = 1, .put = {{777, 2, 3}}}},
		{"ipcomp = yes", {.num = 1, .put = {{777, 3, 3}}}},
		{"ipcomp = yes", {.num = 2, .put = {{777, 2, 3}, {777, 2, 3}}}},
		{"ipcomp = yes", {.num = 2, .put = {{777, 2, 3}, {777, 3, 3}}}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct said said = rows[i].said;
		struct sim *s;

		said.from = B;
		said.exchange = IKE_AUTH;
		s = begin(&said, rows[i].ours, "ipcomp = yes");
		CU_ASSERT_EQUAL(s->n[A].failed, 1);
		CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_PEER_ERROR);
		CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "compress"));
		CU_ASSERT_EQUAL(sim_num_pairs(s, A) + sim_num_pairs(s, B), 0);
		sim_free(s);
	}
}

/* What is no such notify: the whole message has no form. */
static void test_short(void)
{
	for (uint16_t len = 0; len < 3; len++) {
		struct said said = {.exchange = CREATE_CHILD_SA, .num = 1, .put = {{777, 2, len}}};
		struct sim *s = begin(&said, "ipcomp = yes", "ipcomp = yes");

		CU_ASSERT_TRUE(compressed(s));
		CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 0);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_R3173_both_want_it),
	TAP_TEST(test_cpis),
	TAP_TEST(test_R3173_one_wants_it),
	TAP_TEST(test_R3173_each_exchange),
	TAP_TEST(test_R3173_offers),
	TAP_TEST(test_R3173_answers),
	TAP_TEST(test_short),
};

TAP_MAIN("sim/ipcomp", tests)
