/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic flow confidentiality as it is negotiated: who says that it takes no padding gets none
 * (RFC 7296 1.3.1, 3.10.1). Dummies every receiver takes (RFC 4303 2.6). */
#include <stdio.h>
#include <string.h>

#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

/* Both on port 500, where sim_inject() delivers. */
static const char *conf_of(unsigned side, const char *child)
{
	char words[200];

	snprintf(words, sizeof(words), "tfc_padding = 700\n tfc_dummies = 9\n %s", child);
	return sim_conf(side, "encap = no\n mobike = no", words);
}

/* struct refusal - the side `from` says that it takes no padding: in which exchange. */
struct refusal {
	unsigned from;
	uint8_t exchange;
};

static bool refuse(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static const uint8_t body[] = {0, 0, NOTIFY_ESP_TFC_PADDING_NOT_SUPPORTED >> 8,
				       NOTIFY_ESP_TFC_PADDING_NOT_SUPPORTED & 0xff};
	const struct refusal *r = ctx;
	static struct forge_msg m;
	uint8_t out[2048];
	size_t n;

	if (from != r->from || bytes[18] != r->exchange || !forge_open(s, &m, from, bytes, *len))
		return true;
	m.payloads[m.num++] =
		(struct ike_payload){.type = PAYLOAD_NOTIFY, .body = bytes_of(body, sizeof(body))};
	n = forge_close(s, &m, from, out, sizeof(out));
	if (n)
		sim_inject(s, !from, out, n);
	return false;
}

static struct sim *bring_up(struct refusal *r, const char *child)
{
	struct sim_options opt = {
		.wire = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS},
		.conf = {conf_of(A, child), conf_of(B, child)},
	};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->tap = r ? refuse : NULL;
	s->tap_ctx = r;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	return s;
}

static bool sends(const struct sim *s, unsigned side, uint32_t padding)
{
	const struct sim_pair *p = sim_newest(s, side);

	return p->tfc_padding == padding && p->dummies == 9 && p->dummy_len == 700;
}

static void test_as_configured(void)
{
	struct sim *s = bring_up(NULL, "");

	CU_ASSERT_TRUE(sends(s, A, 700) && sends(s, B, 700));
	sim_free(s);
}

/* Padding behind a transport header would be taken for data; dummies are none of that. */
static void test_transport(void)
{
	struct sim *s =
		bring_up(NULL, "mode = transport\n local_ts = dynamic\n remote_ts = dynamic");

	CU_ASSERT_TRUE(sends(s, A, 0) && sends(s, B, 0));
	sim_free(s);
}

/* Each side by itself, as initiator and as responder, in IKE_AUTH and as a pair is re-keyed. */
static void test_not_supported(void)
{
	for (unsigned from = A; from <= B; from++) {
		struct refusal r = {.from = from, .exchange = IKE_AUTH};
		struct sim *s = bring_up(&r, "");

		CU_ASSERT_TRUE(sends(s, !from, 0) && sends(s, from, 700));
		for (unsigned side = A; side <= B; side++) {
			r.exchange = CREATE_CHILD_SA;
			CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
			sim_run(s, s->now_ns + 10 * NS_PER_S);
			CU_ASSERT_TRUE(sends(s, !from, 0) && sends(s, from, 700));
		}
		CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 2);
		/* What is not said again does not hold for the next pair. */
		s->tap = NULL;
		CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
		CU_ASSERT_TRUE(sends(s, A, 700) && sends(s, B, 700));
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_as_configured),
	TAP_TEST(test_transport),
	TAP_TEST(test_not_supported),
};

TAP_MAIN("sim/tfc", tests)
