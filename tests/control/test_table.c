/* SPDX-License-Identifier: Apache-2.0 */
/* The transition table as data: what it demands of a message, and where it leads. */
#include "control/ike/handlers.h"

#include "control/ike/wire/build.h"
#include "tests/tap/tap.h"

#define BIT(name) PAYLOAD_BIT(PAYLOAD_##name)

static bool is_message(const struct transition *t)
{
	return t->on == ON_REQUEST || t->on == ON_RESPONSE;
}

static const struct transition *find(const struct transition *t, uint64_t have)
{
	return transition_find(t->state, t->on, t->what, t->task, have);
}

/* Every payload that a row needs is missed when it is left out, and one that does not belong there
 * is noticed: another row may fit then, which needs less or allows more, or none. */
static void test_S4_needed_payloads(void)
{
	size_t num, tried = 0;
	const struct transition *table = transition_table(&num);

	for (size_t i = 0; i < num; i++) {
		const struct transition *t = &table[i];

		if (!is_message(t))
			continue;
		CU_ASSERT_PTR_NOT_NULL_FATAL(find(t, t->need));
		for (unsigned bit = 0; bit < 64; bit++) {
			const uint64_t one = UINT64_C(1) << bit;
			const struct transition *without = find(t, t->need & ~one);
			const struct transition *with = find(t, t->need | one);

			if (t->need & one) {
				CU_ASSERT(!without || !(without->need & one));
				tried++;
			} else if (bit >= PAYLOAD_SA && with) {
				CU_ASSERT(((with->need | with->may) & one) ||
					  with->need == t->need);
			}
		}
	}
	CU_ASSERT(tried > 60);
}

/* Neither handshake takes what it did not ask for. */
static void test_S4_foreign_payloads(void)
{
	static const uint64_t foreign[] = {BIT(IDI), BIT(IDR), BIT(AUTH), BIT(TSI), BIT(EAP)};
	const uint64_t init = BIT(SA) | BIT(KE) | BIT(NONCE);

	CU_ASSERT_PTR_NOT_NULL(transition_find(SA_NONE, ON_REQUEST, IKE_SA_INIT, TASK_NONE, init));
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		CU_ASSERT_PTR_NULL(transition_find(SA_NONE, ON_REQUEST, IKE_SA_INIT, TASK_NONE,
						   init | foreign[i]));
		CU_ASSERT_PTR_NULL(transition_find(SA_I_INIT, ON_RESPONSE, IKE_SA_INIT, TASK_NONE,
						   init | foreign[i]));
	}
}

/* A payload type of the wire that we use as a bit of our own does not become that bit. */
static void test_S5_internal_bits(void)
{
	const struct ike_header h = {.exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR};
	uint8_t buf[64];

	for (unsigned type = 1; type < 256; type++) {
		struct ike_builder b;
		struct ike_msg m;
		struct bytes out;

		if (type == PAYLOAD_SK || type == PAYLOAD_SKF)
			continue;
		ike_build_begin(&b, buf, sizeof(buf), &h);
		writer_u8(ike_build_payload(&b, (uint8_t)type), 1);
		CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, out), ERR_OK);
		CU_ASSERT_EQUAL(step_bits(&m),
				(type >= PAYLOAD_SA && type <= PAYLOAD_EAP) || type == PAYLOAD_PS
					? PAYLOAD_BIT(type)
					: 0);
	}
}

#define CHECKS        6
#define BIT_OF(state) (UINT64_C(1) << (state))

static bool is_one_of(enum err (*handle)(struct step *s),
		      enum err (*const list[CHECKS])(struct step *s))
{
	for (size_t i = 0; i < CHECKS; i++)
		if (handle == list[i])
			return true;
	return false;
}

/* The states that rows lead to from SA_NONE, when the rows of some handlers are taken away. */
static uint64_t reachable(enum err (*const without[CHECKS])(struct step *s))
{
	size_t num;
	const struct transition *table = transition_table(&num);
	uint64_t seen = BIT_OF(SA_NONE), before = 0;

	while (seen != before) {
		before = seen;
		for (size_t i = 0; i < num; i++) {
			const struct transition *t = &table[i];

			if (!is_one_of(t->handle, without) && seen & BIT_OF(t->state))
				seen |= BIT_OF(t->next);
		}
	}
	return seen;
}

/* Whatever messages come in whatever order, the way to ESTABLISHED leads through the check of AUTH
 * and through the question whether the peer is welcome. */
static void test_S20_no_way_around(void)
{
	static enum err (*const none[CHECKS])(struct step * s) = {NULL};
	static enum err (*const verify[CHECKS])(struct step * s) = {
		auth_verify_i, auth_verify_r,        eap_final_i,
		eap_verify_r,  resume_auth_response, resume_auth_request};
	static enum err (*const welcome[CHECKS])(struct step * s) = {auth_authorized_i,
								     auth_authorized_r};
	const uint64_t up = BIT_OF(SA_ESTABLISHED) | BIT_OF(SA_REKEYED);

	CU_ASSERT_EQUAL(reachable(none) & up, up);
	CU_ASSERT_EQUAL(reachable(verify) & up, 0);
	CU_ASSERT_EQUAL(reachable(welcome) & up, 0);
	for (unsigned s = SA_NONE; s < SA_ESTABLISHED; s++) {
		CU_ASSERT_FALSE(transition_knows(s, ON_REQUEST, CREATE_CHILD_SA));
		CU_ASSERT_FALSE(transition_knows(s, ON_RESPONSE, CREATE_CHILD_SA));
		CU_ASSERT_FALSE(transition_knows(s, ON_REQUEST, INFORMATIONAL));
	}
}

/* S23: no EAP packet of ours leaves an initiator that has not looked at the server's AUTH. S21: nor
 * does EAP lead on without AUTH of its key. */
static void test_S23_the_server_first(void)
{
	static enum err (*const server[CHECKS])(struct step * s) = {eap_verify_i};
	static enum err (*const final[CHECKS])(struct step * s) = {
		auth_verify_i, auth_verify_r,        eap_final_i,
		eap_verify_r,  resume_auth_response, resume_auth_request};

	CU_ASSERT_EQUAL(reachable(server) & (BIT_OF(SA_I_EAP_WORK) | BIT_OF(SA_I_EAP)), 0);
	CU_ASSERT_TRUE(reachable(final) & BIT_OF(SA_I_EAP));
	CU_ASSERT_TRUE(reachable(final) & BIT_OF(SA_R_EAP));
	CU_ASSERT_EQUAL(reachable(final) & (BIT_OF(SA_I_AUTHORIZE) | BIT_OF(SA_R_AUTHORIZE)), 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S4_needed_payloads),   TAP_TEST(test_S4_foreign_payloads),
	TAP_TEST(test_S5_internal_bits),     TAP_TEST(test_S20_no_way_around),
	TAP_TEST(test_S23_the_server_first),
};

TAP_MAIN("control/table", tests)
