/* SPDX-License-Identifier: Apache-2.0 */
/* Latches of applications (RFC 5660) in whole engines: every state and every way between them. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "tests/api/trio.h"
#include "tests/tap/tap.h"

static void test_B5_the_peer_that_is_asked_for(void)
{
	uint32_t token = 0;
	uint64_t id;

	trio_up();
	mallory_up();
	id = trio_latch(7, "bob.example");
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_LARVAL);
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL)); /* L1 */
	CU_ASSERT(hosts_udp(mallory, 2, 9, 1, 8, here, NULL));
	hosts_run(100);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(here, 1, 8, 2, 9, mallory, NULL));
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, &token));
	CU_ASSERT_EQUAL(token, trio_get(id).token);
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	CU_ASSERT_PTR_NOT_NULL_FATAL(hosts_last(here, APP_EVENT_LATCH));
	CU_ASSERT(strstr(hosts_last(here, APP_EVENT_LATCH)->latch.text, "mallory.example") != NULL);
	hosts_end();
}

/* What suffices is ridden on: nothing is negotiated. */
static void test_A4_rides_on_what_is_there(void)
{
	uint64_t id;

	trio_up();
	bob_up();
	CU_ASSERT_EQUAL(here->num_up, 1);
	id = trio_latch(7, "bob.example");
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	hosts_run(100);
	CU_ASSERT_EQUAL(here->num_up, 1);
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, id), ERR_OK);
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, id), ERR_NOT_FOUND);
	hosts_end();
}

static void test_A20_an_sa_without_a_packet(void)
{
	struct child_stats st;
	uint64_t id;

	trio_up();
	id = trio_latch(7, "bob.example");
	hosts_run(100);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(here->num_up, 1);
	CU_ASSERT_EQUAL(engine_child_stats(here->e, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.out_packets + st.in_packets, 0);
	hosts_end();
}

/* B7: a failure has a reason. */
static void test_B7_nobody_who_could(void)
{
	uint64_t id;

	trio_up();
	id = trio_latch(7, "carol.example");
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(trio_get(id).reason, IKE_REASON_NO_CONFIG);
	CU_ASSERT(trio_get(id).text[0] != 0);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

static void test_A1_wrong_key(void)
{
	static const char *const keys[] = {"bobs-own-secret-0123456789",
					   "another-secret-altogether"};
	char conf[1500];
	uint64_t id;

	trio_up();
	hosts_remove(bob);
	snprintf(conf, sizeof(conf), "%s", peer_conf("bob", BOB));
	memcpy(strstr(conf, keys[0]), keys[1], strlen(keys[1]));
	bob = hosts_add(BOB, conf);
	id = trio_latch(7, "bob.example");
	hosts_run(1000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(trio_get(id).reason, IKE_REASON_AUTH_FAILED_PEER);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

/* ESTABLISHED, BROKEN, ESTABLISHED: its peer comes back with the same identity (L3, L6). */
static void test_L3_the_peer_restarts(void)
{
	uint32_t token;
	uint64_t id;

	trio_up();
	id = trio_latch(7, "bob.example");
	hosts_run(100);
	token = trio_get(id).token;
	CU_ASSERT_NOT_EQUAL(token, 0);
	hosts_remove(bob);
	CU_ASSERT(engine_down(here->e, &(uint32_t){0}, &(struct ike_select){.conn = "bob"}) ==
		  ERR_OK);
	hosts_run(2000);
	mallory_up();
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, mallory, NULL));
	bob = hosts_add(BOB, peer_conf("bob", BOB));
	hosts_run(60000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(trio_get(id).token, token);
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, &token));
	CU_ASSERT_EQUAL(trio_get(id).token, token);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

/* Re-keying is not noticed. */
static void test_L3_rekeyed(void)
{
	uint32_t before;
	uint64_t id;

	trio_up();
	id = trio_latch(7, "bob.example");
	hosts_run(100);
	before = here->num_notes;
	CU_ASSERT_EQUAL(engine_rekey(here->e, &(uint32_t){0}, &(struct ike_select){.child = "net"}),
			ERR_OK);
	hosts_run(10000);
	CU_ASSERT_EQUAL(here->num_notes, before);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	hosts_end();
}

/* L4: another peer asks for the addresses of a latched flow: told before it has its SA. */
static void test_L4_conflict(void)
{
	const struct note *note;
	uint64_t id;

	trio_up();
	id = trio_latch(7, "bob.example");
	hosts_run(100);
	CU_ASSERT_EQUAL(engine_up(mallory->e, "here", "net", 0), ERR_OK);
	hosts_run(100);
	CU_ASSERT_EQUAL(mallory->num_up, 1);
	note = hosts_last(here, APP_EVENT_LATCH);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT_EQUAL(note->latch.id, id);
	CU_ASSERT_EQUAL(note->latch.reason, IKE_REASON_TS_UNACCEPTABLE);
	CU_ASSERT(strstr(note->latch.text, "mallory.example") != NULL);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	hosts_end();
}

/* A16: the application says yes, no, or nothing. */
static void test_A16_accept_or_reject(void)
{
	for (int answer = 0; answer < 3; answer++) {
		struct app_latch_params p = trio_params(7, "bob.example");
		char text[APP_TEXT_MAX];
		const struct note *note;
		uint64_t id;

		trio_up();
		p.demand.part = APP_PART_IKE_APP_ACK;
		CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
		hosts_run(100);
		CU_ASSERT_EQUAL(trio_get(id).state, LATCH_LARVAL);
		CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
		note = hosts_last(here, APP_EVENT_ASK);
		CU_ASSERT_PTR_NOT_NULL_FATAL(note);
		CU_ASSERT_EQUAL(here->app.ops->decide(here->app.ctx, 2, note->ask, true),
				ERR_NOT_FOUND); /* nobody else's to say */
		if (answer < 2)
			CU_ASSERT_EQUAL(here->app.ops->decide(here->app.ctx, 1, note->ask, answer),
					ERR_OK);
		hosts_run(35000);
		CU_ASSERT_EQUAL(trio_get(id).state, answer == 1 ? LATCH_ESTABLISHED : LATCH_CLOSED);
		CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL) == (answer == 1));
		CU_ASSERT_EQUAL(here->app.ops->decide(here->app.ctx, 1, note->ask, true),
				ERR_NOT_FOUND);
		hosts_end();
	}
}

static void test_A21_deleted(void)
{
	uint64_t id;

	trio_up();
	id = trio_latch(7, "bob.example");
	hosts_run(100);
	CU_ASSERT_EQUAL(here->app.ops->sa_delete(here->app.ctx, id), ERR_OK);
	hosts_run(100);
	CU_ASSERT_EQUAL(bob->num_down, 1); /* by DELETE on the wire */
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_BROKEN);
	hosts_run(60000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_BROKEN); /* who ended it does not want it back */
	CU_ASSERT_EQUAL(here->app.ops->trigger(here->app.ctx, id), ERR_OK);
	hosts_run(1000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	hosts_end();
}

static void test_A14_only_listed_methods(void)
{
	struct app_latch_params p = trio_params(7, "bob.example");
	char text[APP_TEXT_MAX];
	uint64_t id;

	trio_up();
	bob_up();
	p.demand.methods[0] = AUTH_METHOD_PKIX_INLINE;
	p.demand.num_methods = 1;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	hosts_run(1000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, id), ERR_OK);
	p.demand.methods[1] = AUTH_METHOD_PSK;
	p.demand.num_methods = 2;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	hosts_end();
}

/* A19, L8: algorithms of its own make a narrow SA, beside the wide one. */
static void test_L8_a_suite_of_its_own(void)
{
	struct app_latch_params p = trio_params(7, "bob.example");
	struct app_class wide, narrow;
	char text[APP_TEXT_MAX];
	uint64_t id, other;

	trio_up();
	bob_up();
	other = trio_latch(8, "bob.example");
	snprintf(p.demand.suite, sizeof(p.demand.suite), "aes128gcm16");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	CU_ASSERT_EQUAL(trio_get(other).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(here->app.ops->class_info(here->app.ctx, &wide, trio_get(other).token),
			ERR_OK);
	CU_ASSERT(wide.quality.indeterminate);
	hosts_run(1000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(here->num_up, 2);
	CU_ASSERT_EQUAL(here->app.ops->class_info(here->app.ctx, &narrow, trio_get(id).token),
			ERR_OK);
	CU_ASSERT_STRING_EQUAL(narrow.quality.suite, "AES_GCM_16-128");
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(here, 1, 8, 2, 9, bob, NULL));
	hosts_end();
}

/* Opportunistic: what nobody protects goes on unprotected, and says so. */
static void test_profile_that_is_content_with_nothing(void)
{
	struct app_latch_params p = trio_params(7, "");
	char text[APP_TEXT_MAX];
	uint64_t id;

	trio_up();
	p.flow = hosts_flow(5, 7, 6, 9);
	snprintf(p.demand.profile, sizeof(p.demand.profile), "opportunistic");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_LARVAL); /* one is made, and nobody answers */
	hosts_run(7000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(trio_get(id).token, 0);
	CU_ASSERT(trio_get(id).text[0] != 0);
	hosts_end();
}

static void test_bounds(void)
{
	struct app_latch_params p = trio_params(7, "bob.example");
	char text[APP_TEXT_MAX] = "";
	uint64_t id;

	trio_up();
	p.flow.remote_port = 0;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_INVAL);
	CU_ASSERT(text[0] != 0);
	p = trio_params(7, "bob.example");
	snprintf(p.demand.profile, sizeof(p.demand.profile), "splendid");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_NOT_FOUND);
	p.demand.profile[0] = 0;
	snprintf(p.demand.suite, sizeof(p.demand.suite), "rot13");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_INVAL);
	id = trio_latch(7, "bob.example");
	p = trio_params(7, "bob.example");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_EXISTS);
	hosts_end();
}

/* What a client made goes with it, and what a socket had with that. */
static void test_D2_cleaned_up(void)
{
	struct app_latch_params p = trio_params(7, "bob.example");
	char text[APP_TEXT_MAX];
	uint64_t ids[3];

	trio_up();
	bob_up();
	ids[0] = trio_latch(6, "bob.example");
	p.keep = true;
	p.cookie = 55;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[1], &p, text), ERR_OK);
	p = trio_params(8, "bob.example");
	p.client = 2;
	p.cookie = 66;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[2], &p, text), ERR_OK);
	here->app.ops->latch_client_gone(here->app.ctx, 1);
	CU_ASSERT_EQUAL(trio_get(ids[0]).id, 0);
	CU_ASSERT_EQUAL(trio_get(ids[1]).id, ids[1]);
	CU_ASSERT_EQUAL(trio_get(ids[2]).id, ids[2]);
	CU_ASSERT(hosts_udp(here, 1, 6, 2, 9, bob, NULL));
	here->app.ops->latch_socket_gone(here->app.ctx, 55);
	CU_ASSERT_EQUAL(trio_get(ids[1]).id, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(hosts_last(here, APP_EVENT_LATCH));
	CU_ASSERT_EQUAL(hosts_last(here, APP_EVENT_LATCH)->latch.id, ids[1]); /* it is told */
	CU_ASSERT_EQUAL(hosts_last(here, APP_EVENT_LATCH)->latch.state, LATCH_CLOSED);
	here->app.ops->latch_socket_gone(here->app.ctx, 66);
	CU_ASSERT_EQUAL(trio_get(ids[2]).id, 0);
	hosts_end();
}

/* ---- listeners
 * ----------------------------------------------------------------------------------- */

static void test_listener(void)
{
	struct app_latch_params p = trio_params(7, "bob.example");
	const struct note *note;
	char text[APP_TEXT_MAX];
	uint64_t id, spawned;

	trio_up();
	p.listener = true;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_LISTENER);
	mallory_up();
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	CU_ASSERT_EQUAL(
		engine_down(here->e, &(uint32_t){0}, &(struct ike_select){.conn = "mallory"}),
		ERR_OK);
	hosts_run(1000);
	CU_ASSERT_EQUAL(engine_up(bob->e, "here", "net", 0), ERR_OK);
	hosts_run(100);
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	note = hosts_last(here, APP_EVENT_SPAWNED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT_EQUAL(note->parent, id);
	CU_ASSERT_EQUAL(trio_get(note->latch.id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(trio_get(note->latch.id).flow.remote_port, 9);
	spawned = note->latch.id;
	hosts_run(200 * 1000);
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	hosts_run(200 * 1000);
	CU_ASSERT_EQUAL(trio_get(spawned).id, spawned);
	hosts_run(200 * 1000); /* nobody speaks any more: it takes no room for ever */
	CU_ASSERT_EQUAL(trio_get(spawned).id, 0);
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, id), ERR_OK);
	hosts_end();
}

/* ---- several addresses
 * ----------------------------------------------------------------------------- */

/* sctp - a pair of the addresses that one association has, as here sees it or, `back`, bob. */
static struct flow sctp(uint8_t local, uint8_t remote, bool back)
{
	struct flow f = back ? hosts_flow(2, 9, 1, 7) : hosts_flow(1, 7, 2, 9);

	f.proto = IPPROTO_SCTP;
	f.local.b[3] = back ? remote : local;
	f.remote.b[3] = back ? local : remote;
	return f;
}

static bool arrives(struct node *from, uint8_t local, uint8_t remote, struct node *to)
{
	const struct flow f = sctp(local, remote, from != here);

	return hosts_send(from, &f, to, NULL);
}

static uint64_t latch_pair(uint8_t local, uint8_t remote, const char *peer, bool listener)
{
	struct app_latch_params p = trio_params(7, peer);
	char text[APP_TEXT_MAX];
	uint64_t id = 0;

	p.flow = sctp(local, remote, false);
	p.listener = listener;
	if (listener) {
		p.flow.local = p.flow.remote = (struct ip_addr){0};
		p.flow.remote_port = 0;
	}
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	hosts_run(100);
	return id;
}

/* An association of SCTP has pairs of addresses, each with a latch of its own: no other pair is
 * latched by it, and it breaks, stands and goes alone. */
static void test_L11_pair_by_pair(void)
{
	uint64_t first, second;

	trio_up();
	mallory_up();
	first = latch_pair(1, 1, "bob.example", false);
	CU_ASSERT_EQUAL(trio_get(first).state, LATCH_ESTABLISHED);
	CU_ASSERT(arrives(here, 1, 1, bob) && arrives(bob, 1, 1, here));
	CU_ASSERT(!arrives(mallory, 1, 1, here));
	CU_ASSERT(arrives(here, 2, 2, mallory) && arrives(mallory, 2, 2, here));
	CU_ASSERT(arrives(here, 1, 2, mallory) && arrives(here, 2, 1, mallory));
	second = latch_pair(2, 2, "bob.example", false);
	CU_ASSERT_NOT_EQUAL(first, second);
	CU_ASSERT_EQUAL(trio_get(second).token, trio_get(first).token);
	CU_ASSERT(arrives(here, 2, 2, bob) && arrives(bob, 2, 2, here));
	CU_ASSERT(!arrives(mallory, 2, 2, here));
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, first), ERR_OK);
	CU_ASSERT(arrives(here, 1, 1, mallory));
	CU_ASSERT(arrives(here, 2, 2, bob) && !arrives(mallory, 2, 2, here));
	hosts_end();
}

/* A pair that the other side adds to an association is as good as a new one: who listens for bob
 * has bob on each, and a latch for each. */
static void test_L11_listener(void)
{
	const struct note *note;
	uint64_t id, spawned;

	trio_up();
	bob_up();
	id = latch_pair(0, 0, "bob.example", true);
	CU_ASSERT(arrives(bob, 1, 1, here));
	note = hosts_last(here, APP_EVENT_SPAWNED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	spawned = note->latch.id;
	mallory_up();
	CU_ASSERT(!arrives(mallory, 1, 1, here));
	CU_ASSERT(!arrives(mallory, 2, 2, here));
	CU_ASSERT(arrives(bob, 2, 2, here));
	note = hosts_last(here, APP_EVENT_SPAWNED);
	CU_ASSERT_NOT_EQUAL(note->latch.id, spawned);
	CU_ASSERT_EQUAL(note->parent, id);
	CU_ASSERT_EQUAL(trio_get(note->latch.id).flow.remote.b[3], 2);
	CU_ASSERT_EQUAL(trio_get(spawned).flow.remote.b[3], 1);
	CU_ASSERT(arrives(here, 1, 1, bob) && arrives(here, 2, 2, bob));
	hosts_end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_B5_the_peer_that_is_asked_for),
	TAP_TEST(test_A4_rides_on_what_is_there),
	TAP_TEST(test_A20_an_sa_without_a_packet),
	TAP_TEST(test_B7_nobody_who_could),
	TAP_TEST(test_A1_wrong_key),
	TAP_TEST(test_L3_the_peer_restarts),
	TAP_TEST(test_L3_rekeyed),
	TAP_TEST(test_L4_conflict),
	TAP_TEST(test_A16_accept_or_reject),
	TAP_TEST(test_A21_deleted),
	TAP_TEST(test_A14_only_listed_methods),
	TAP_TEST(test_L8_a_suite_of_its_own),
	TAP_TEST(test_profile_that_is_content_with_nothing),
	TAP_TEST(test_bounds),
	TAP_TEST(test_D2_cleaned_up),
	TAP_TEST(test_listener),
	TAP_TEST(test_L11_pair_by_pair),
	TAP_TEST(test_L11_listener),
};

TAP_MAIN("api/latch", tests)
