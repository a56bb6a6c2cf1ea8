/* SPDX-License-Identifier: Apache-2.0 */
/* Latches and what is around them: policies that let traffic pass, authentication that comes again,
 * a daemon that restarts, and a table that is full. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tests/api/trio.h"
#include "tests/tap/tap.h"

static uint64_t by_profile(const char *profile, bool listener)
{
	struct app_latch_params p = trio_params(7, "");
	char text[APP_TEXT_MAX] = "";
	uint64_t id = 0;

	p.listener = listener;
	snprintf(p.demand.profile, sizeof(p.demand.profile), "%s", profile);
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	return id;
}

/* ---- policies that let traffic pass
 * ------------------------------------------------------------- */

/* open_conf - as HERE_CONF, but a policy lets all of bob's network pass in the clear. */
static const char open_conf[] = "connections {\n" PEER("bob", BOB, "none", "")
	PEER("mallory", MALLORY, "none",
	     "") "  open { remote_addrs = " BOB
		 "\n children { all { mode = pass\n start_action = trap\n"
		 "   local_ts = 10.1.0.0/24\n remote_ts = 10.2.0.0/24 } } }\n"
		 "}\n" SECRETS;

/* A policy that comes later and would let the flow pass in the clear breaks its latch: nothing
 * passes until it is gone. */
static void test_L5_a_policy_that_came_later(void)
{
	uint64_t id;

	trio_up();
	id = trio_latch(7, "bob.example");
	hosts_run(100);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	hosts_load(here, open_conf);
	hosts_settle();
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_BROKEN);
	CU_ASSERT(strstr(trio_get(id).text, "in the clear") != NULL);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT_EQUAL(hosts_last(here, APP_EVENT_LATCH)->latch.state, LATCH_BROKEN);
	hosts_run(60 * 1000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_BROKEN);
	hosts_load(here, HERE_CONF);
	hosts_settle();
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	hosts_end();
}

/* An application has its own flow protected where a policy would let it pass in the clear; others
 * stay as they are. */
static void test_L10_upgrade(void)
{
	uint64_t id;

	trio_up();
	hosts_load(here, open_conf);
	id = trio_latch(7, "bob.example");
	hosts_run(100);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(!hosts_udp(here, 1, 8, 2, 9, bob, NULL)); /* the interface is no way for it */
	CU_ASSERT_EQUAL(engine_down(here->e, &(uint32_t){0}, &(struct ike_select){.conn = "bob"}),
			ERR_OK);
	hosts_run(100);
	CU_ASSERT_NOT_EQUAL(trio_get(id).state, LATCH_CLOSED);
	hosts_run(5000);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, id), ERR_OK);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

/* The reverse: a flow passes by IPsec as long as its latch is there. Who may ask so is for the
 * application socket to say. */
static void test_L10_bypass(void)
{
	static const char guard[] = "guard latchkey0 10.1.0.1/32[udp/7] 10.2.0.1/32[udp/9] pass";
	struct app_latch l;
	uint64_t id;

	trio_up();
	bob_up();
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	id = by_profile("bypass", false);
	l = trio_get(id);
	CU_ASSERT_EQUAL(l.state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(l.token, 0);
	CU_ASSERT(fake_host_has(&here->host, guard));
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(here, 1, 8, 2, 9, bob, NULL));
	hosts_load(here, HERE_CONF);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, id), ERR_OK);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	id = by_profile("bypass", true);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_LISTENER);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 10, bob, NULL));
	CU_ASSERT(hosts_udp(here, 1, 8, 2, 10, bob, NULL));
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, id), ERR_OK);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 10, bob, NULL));
	hosts_end();
}

/* ---- again ---- */

static const char *anonymous(bool is_here, const char *more)
{
	static char text[2][2500];

	snprintf(text[is_here], sizeof(text[0]),
		 "connections { anon { local_addrs = %s\n remote_addrs = %s\n"
		 " local { auth = null }\n remote { auth = null }\n"
		 " children { net { local_ts = 10.%d.0.0/24\n remote_ts = 10.%d.0.0/24 } } }\n"
		 "%s }\n" SECRETS,
		 is_here ? HERE : BOB, is_here ? BOB : HERE, is_here ? 1 : 2, is_here ? 2 : 1,
		 more);
	return text[is_here];
}

static const char sure_here[] = PEER("bob", BOB, "none", "");
static const char sure_bob[] =
	" here { local_addrs = " BOB "\n remote_addrs = " HERE "\n"
	" local { auth = psk\n id = bob.example }\n remote { auth = psk\n id = here.example }\n"
	" children { net { local_ts = 10.2.0.0/24\n remote_ts = 10.1.0.0/24 } } }\n";

static uint64_t latch_nobody(void)
{
	struct app_latch_params p = trio_params(7, "");
	char text[APP_TEXT_MAX];
	uint64_t id = 0;

	p.demand.methods[0] = AUTH_METHOD_NONE;
	p.demand.num_methods = 1;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	hosts_run(200);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	return id;
}

/* A17: traffic is held, the peer proves itself, keys are others, the old latch is closed. */
static void test_A17_somebody_after_all(void)
{
	const struct app_demand psk = {
		.methods = {AUTH_METHOD_PSK}, .num_methods = 1, .peer = "bob.example"};
	char text[APP_TEXT_MAX];
	uint64_t id, next = 0;
	struct app_class class;
	uint32_t before;

	hosts_begin();
	here = hosts_add(HERE, anonymous(true, ""));
	bob = hosts_add(BOB, anonymous(false, ""));
	id = latch_nobody();
	before = trio_get(id).token;
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT_EQUAL(here->app.ops->reauthenticate(here->app.ctx, &next, id, &psk, text),
			ERR_NOT_FOUND); /* nothing is configured that could */
	CU_ASSERT(text[0] != 0);
	CU_ASSERT_EQUAL(trio_get(id).state, LATCH_ESTABLISHED);
	hosts_load(here, anonymous(true, sure_here));
	hosts_load(bob, anonymous(false, sure_bob));
	CU_ASSERT_EQUAL(here->app.ops->reauthenticate(here->app.ctx, &next, id, &psk, text),
			ERR_OK);
	CU_ASSERT_EQUAL(trio_get(next).state, LATCH_LARVAL);
	CU_ASSERT_EQUAL(trio_get(id).id, 0);
	CU_ASSERT_EQUAL(here->notes[here->num_notes - 1].latch.state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(here->notes[here->num_notes - 1].latch.id, id);
	CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	hosts_run(5000);
	CU_ASSERT_EQUAL(trio_get(next).state, LATCH_ESTABLISHED);
	CU_ASSERT_NOT_EQUAL(trio_get(next).token, before);
	CU_ASSERT_EQUAL(trio_get(next).text[0], 0); /* nobody says that it is the same one */
	CU_ASSERT_EQUAL(here->app.ops->class_info(here->app.ctx, &class, trio_get(next).token),
			ERR_OK);
	CU_ASSERT_EQUAL(auth_proof_params(class.proof)->method, AUTH_METHOD_PSK);
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

/* What cannot prove itself has the flow no more. */
static void test_A17_cannot(void)
{
	const struct app_demand psk = {.methods = {AUTH_METHOD_PSK}, .num_methods = 1};
	char text[APP_TEXT_MAX];
	uint64_t id, next = 0;

	hosts_begin();
	here = hosts_add(HERE, anonymous(true, ""));
	bob = hosts_add(BOB, anonymous(false, ""));
	id = latch_nobody();
	hosts_load(here, anonymous(true, sure_here));
	CU_ASSERT_EQUAL(here->app.ops->reauthenticate(here->app.ctx, &next, id, &psk, text),
			ERR_OK);
	hosts_run(5000);
	CU_ASSERT_EQUAL(trio_get(next).state, LATCH_CLOSED);
	CU_ASSERT(trio_get(next).text[0] != 0);
	CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

/* ---- another process ---- */

static uint64_t with_socket(uint16_t port, uint64_t cookie, bool keep, bool listener)
{
	struct app_latch_params p = trio_params(port, "");
	char text[APP_TEXT_MAX];
	uint64_t id = 0;

	p.cookie = cookie;
	p.keep = keep;
	p.listener = listener;
	if (listener)
		snprintf(p.demand.peer, sizeof(p.demand.peer), "bob.example");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	return id;
}

static struct app_latch of_port(uint16_t port, bool listener)
{
	const struct flow f = hosts_flow(1, port, 2, 9);
	struct app_latch l = {.state = LATCH_CLOSED, .reason = IKE_NUM_REASONS};

	(void)here->app.ops->latch_find(here->app.ctx, &l, &f, listener);
	return l;
}

/* L9: what was kept waits for whom it had, though another one meets the demand as well; what was
 * not is CLOSED; nothing is open. */
static void test_L9_the_daemon_restarts(void)
{
	static char path[] = "/tmp/lk-journal-XXXXXX";
	int fd = mkstemp(path);

	close(fd);
	unlink(path);
	trio_up();
	hosts_remove(here);
	hosts_journal(path);
	here = hosts_add(HERE, HERE_CONF);
	bob_up();
	with_socket(7, 55, true, false);
	with_socket(8, 66, false, false);
	with_socket(9, 77, true, false);
	with_socket(10, 88, true, true);
	CU_ASSERT_EQUAL(
		here->app.ops->latch_release(here->app.ctx, with_socket(11, 99, true, false)),
		ERR_OK);
	CU_ASSERT_EQUAL(of_port(7, false).state, LATCH_ESTABLISHED);
	hosts_remove(here);
	bob->deaf = true;
	hosts_dead_socket(77);
	here = hosts_add(HERE, HERE_CONF);
	mallory_up();
	CU_ASSERT_EQUAL(of_port(7, false).state, LATCH_LARVAL);
	CU_ASSERT_EQUAL(of_port(8, false).state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(of_port(9, false).id, 0);
	CU_ASSERT_EQUAL(of_port(10, true).state, LATCH_LISTENER);
	CU_ASSERT_EQUAL(of_port(11, false).id, 0);
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, mallory, NULL));
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 8, here, NULL));
	CU_ASSERT(hosts_udp(mallory, 2, 9, 1, 9, here, NULL));
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 10, here, NULL));
	CU_ASSERT(hosts_udp(mallory, 2, 9, 1, 11, here, NULL));
	bob->deaf = false;
	hosts_run(10000); /* it was asked for by itself */
	CU_ASSERT_EQUAL(of_port(7, false).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 8, here, NULL));
	/* And once more: what was read was written again. */
	hosts_remove(here);
	here = hosts_add(HERE, HERE_CONF);
	CU_ASSERT_EQUAL(of_port(7, false).state, LATCH_LARVAL);
	CU_ASSERT_EQUAL(of_port(7, false).uid, 1000);
	hosts_end();
	unlink(path);
}

/* L1: there are more of them than the data path's table was made for: none of their flows goes by
 * policy, which would have another peer have it. */
static void test_L1_more_than_the_table_holds(void)
{
	static char few[sizeof(HERE_CONF) + 100];
	uint32_t open = 0, shut = 0, num_short = 0;

	snprintf(few, sizeof(few), "%s\nlatchkey { latches = 64\n }\n", HERE_CONF);
	hosts_begin();
	here = hosts_add(HERE, few);
	bob = hosts_add(BOB, peer_conf("bob", BOB));
	mallory = hosts_add(MALLORY, peer_conf("mallory", MALLORY));
	mallory->deaf = true;
	bob_up();
	for (uint16_t port = 1000; port < 1200; port++) {
		CU_ASSERT(trio_latch(port, "mallory.example") != 0);
		shut += of_port(port, false).state == LATCH_LARVAL;
	}
	for (uint16_t port = 1000; port < 1200; port++) {
		open += hosts_udp(here, 1, port, 2, 9, bob, NULL);
		open += hosts_udp(bob, 2, 9, 1, port, here, NULL);
	}
	CU_ASSERT_EQUAL(open, 0);
	CU_ASSERT_EQUAL(shut, 200);
	CU_ASSERT(hosts_udp(here, 1, 2000, 2, 9, bob, NULL));
	/* Without memory there is none, and it is said so. */
	for (uint16_t nth = 1; nth < 30; nth++) {
		const struct app_latch_params p =
			trio_params((uint16_t)(3000 + nth), "mallory.example");
		char text[APP_TEXT_MAX];
		uint64_t id = 0;
		enum err err;

		alloc_fail_nth(nth);
		err = here->app.ops->latch_create(here->app.ctx, &id, &p, text);
		alloc_fail_nth(0);
		num_short += err == ERR_NOMEM;
		CU_ASSERT(err == ERR_OK || err == ERR_NOMEM);
		CU_ASSERT_EQUAL(of_port((uint16_t)(3000 + nth), false).id != 0, err == ERR_OK);
		CU_ASSERT_EQUAL(hosts_udp(here, 1, (uint16_t)(3000 + nth), 2, 9, bob, NULL),
				err != ERR_OK);
	}
	CU_ASSERT(num_short >= 2); /* the record, and its place */
	for (uint16_t port = 1000; port < 1200; port += 3)
		CU_ASSERT_EQUAL(
			here->app.ops->latch_release(here->app.ctx, of_port(port, false).id),
			ERR_OK);
	for (uint16_t port = 1000; port < 1200; port++)
		CU_ASSERT(hosts_udp(here, 1, port, 2, 9, bob, NULL) == (port % 3 == 1000 % 3));
	hosts_end();
}

/* L5, L10: what was asked for before the restart counts after it: more than a policy that let the
 * flow pass in the clear, or as much as there was before such a policy came. */
static void test_L10_the_daemon_restarts(void)
{
	static char path[] = "/tmp/lk-journal-XXXXXX";
	int fd = mkstemp(path);

	close(fd);
	unlink(path);
	trio_up();
	hosts_remove(here);
	hosts_journal(path);
	here = hosts_add(HERE, HERE_CONF);
	bob_up();
	with_socket(7, 55, true, false);
	CU_ASSERT_EQUAL(of_port(7, false).state, LATCH_ESTABLISHED);
	hosts_load(here, open_conf);
	with_socket(8, 66, true, false);
	hosts_run(100);
	CU_ASSERT_EQUAL(of_port(7, false).state, LATCH_BROKEN);
	CU_ASSERT_EQUAL(of_port(8, false).state, LATCH_ESTABLISHED);
	for (int i = 0; i < 2; i++) {
		hosts_remove(here);
		here = hosts_add(HERE, i ? HERE_CONF : open_conf);
		hosts_run(30000);
		CU_ASSERT_EQUAL(of_port(8, false).state, LATCH_ESTABLISHED);
		CU_ASSERT(hosts_udp(here, 1, 8, 2, 9, bob, NULL));
		hosts_load(here, open_conf);
		hosts_settle();
		CU_ASSERT_EQUAL(of_port(7, false).state, LATCH_BROKEN);
		CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
		CU_ASSERT_EQUAL(of_port(8, false).state, LATCH_ESTABLISHED);
		CU_ASSERT(hosts_udp(here, 1, 8, 2, 9, bob, NULL));
	}
	hosts_load(here, HERE_CONF);
	hosts_settle();
	CU_ASSERT_EQUAL(of_port(7, false).state, LATCH_ESTABLISHED);
	hosts_end();
	unlink(path);
}

/* A15: who authenticates. With peers that IKE does not authenticate at all. */
static void test_A15_the_part_of_ipsec(void)
{
	static const struct {
		const char *profile;
		enum app_part part;
		enum latch_state state;
	} rows[] = {
		{"secure", APP_PART_IKE_ONLY, LATCH_CLOSED},
		{"secure", APP_PART_IKE_APP_ACK, LATCH_CLOSED},
		{"btns", APP_PART_APP_ONLY, LATCH_CLOSED}, /* a key at least, to be bound to */
		{"opportunistic", APP_PART_NONE, LATCH_ESTABLISHED},
		{"opportunistic", APP_PART_IKE_APP_ACK, LATCH_LARVAL}, /* asked first */
	};

	hosts_begin();
	here = hosts_add(HERE, anonymous(true, ""));
	bob = hosts_add(BOB, anonymous(false, ""));
	for (uint16_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct app_latch_params p = trio_params((uint16_t)(20 + i), "");
		char text[APP_TEXT_MAX];
		uint64_t id = 0;

		snprintf(p.demand.profile, sizeof(p.demand.profile), "%s", rows[i].profile);
		p.demand.part = (uint8_t)rows[i].part;
		CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
		hosts_run(200);
		CU_ASSERT_EQUAL(trio_get(id).state, rows[i].state);
		CU_ASSERT((trio_get(id).token != 0) == (rows[i].state != LATCH_CLOSED));
		CU_ASSERT(hosts_udp(bob, 2, 9, 1, (uint16_t)(20 + i), here, NULL) ==
			  (rows[i].state == LATCH_ESTABLISHED));
	}
	hosts_end();
}

static void count_policy(void *ctx, const struct engine_policy *policy)
{
	uint32_t *sum = ctx;

	*sum = *sum * 31 + policy->priority + policy->num_local + policy->num_remote;
}

/* L7, B2: a latch changes neither who is a peer nor what is protected: the administrator's rules
 * stand as they were, and another one's traffic goes by them. */
static void test_L7_changes_no_rule(void)
{
	uint32_t before = 1, after = 1;
	const struct conf *conf;
	uint64_t ids[2];

	trio_up();
	bob_up();
	conf = engine_conf(here->e);
	engine_each_policy(here->e, count_policy, &before);
	ids[0] = trio_latch(7, "bob.example");
	ids[1] = trio_latch(8, "carol.example");
	CU_ASSERT_PTR_EQUAL(engine_conf(here->e), conf);
	engine_each_policy(here->e, count_policy, &after);
	CU_ASSERT_EQUAL(before, after);
	mallory_up(); /* who is a peer as before */
	CU_ASSERT_EQUAL(mallory->num_up, 1);
	CU_ASSERT(hosts_udp(here, 1, 9, 2, 9, bob, NULL));
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, ids[0]), ERR_OK);
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, ids[1]), ERR_OK);
	CU_ASSERT(hosts_udp(here, 1, 8, 2, 9, bob, NULL));
	hosts_end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_L5_a_policy_that_came_later),
	TAP_TEST(test_L10_upgrade),
	TAP_TEST(test_L10_bypass),
	TAP_TEST(test_A15_the_part_of_ipsec),
	TAP_TEST(test_L7_changes_no_rule),
	TAP_TEST(test_L9_the_daemon_restarts),
	TAP_TEST(test_L10_the_daemon_restarts),
	TAP_TEST(test_L1_more_than_the_table_holds),
	TAP_TEST(test_A17_somebody_after_all),
	TAP_TEST(test_A17_cannot),
};

TAP_MAIN("api/latch_policy", tests)
