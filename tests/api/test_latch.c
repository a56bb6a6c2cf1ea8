/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latches of applications (RFC 5660) in whole engines: every state and every way between them.
 * "here" is the host whose applications ask; "bob" is who they want; "mallory" is another peer that
 * is as authentic, and claims the same addresses behind it.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tests/api/hosts.h"
#include "tests/tap/tap.h"

#define HERE    "192.0.2.1"
#define BOB     "192.0.2.2"
#define MALLORY "192.0.2.3"

static struct node *here, *bob, *mallory;

#define PEER(name, addr, action, mode)                                                \
	"  " name " { local_addrs = " HERE "\n remote_addrs = " addr "\n"             \
	"   local { auth = psk\n id = here.example }\n"                               \
	"   remote { auth = psk\n id = " name ".example }\n"                          \
	"   children { net { local_ts = 10.1.0.0/24\n remote_ts = 10.2.0.0/24\n" mode \
	"    start_action = " action "\n } } }\n"

#define SECRETS                                                                                  \
	"secrets {\n"                                                                            \
	" ike-a { secret = bobs-own-secret-0123456789\n id1 = here.example\n id2 = bob.example " \
	"}\n"                                                                                    \
	" ike-b { secret = mallorys-own-secret-01234\n id1 = here.example\n id2 = "              \
	"mallory.example }\n"                                                                    \
	"}\n"

static const char here_conf[] = "connections {\n" PEER("bob", BOB, "none", "")
	PEER("mallory", MALLORY, "none", "") "}\n" SECRETS;

static const char *peer_conf(const char *name, const char *addr)
{
	static char text[1500];

	snprintf(text, sizeof(text),
		 "connections { here { local_addrs = %s\n remote_addrs = " HERE "\n"
		 " local { auth = psk\n id = %s.example }\n"
		 " remote { auth = psk\n id = here.example }\n"
		 " children { net { local_ts = 10.2.0.0/24\n remote_ts = 10.1.0.0/24 } } } "
		 "}\n" SECRETS,
		 addr, name);
	return text;
}

static void set_up(void)
{
	hosts_begin();
	here = hosts_add(HERE, here_conf);
	bob = hosts_add(BOB, peer_conf("bob", BOB));
	mallory = hosts_add(MALLORY, peer_conf("mallory", MALLORY));
}

static struct app_latch_params params(uint16_t port, const char *peer)
{
	struct app_latch_params p = {.flow = hosts_flow(1, port, 2, 9), .client = 1, .uid = 1000};

	snprintf(p.demand.peer, sizeof(p.demand.peer), "%s", peer);
	return p;
}

static uint64_t latch(uint16_t port, const char *peer)
{
	const struct app_latch_params p = params(port, peer);
	char text[APP_TEXT_MAX] = "";
	uint64_t id = 0;

	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	if (text[0])
		tap_diag("%s", text);
	return id;
}

static struct app_latch get(uint64_t id)
{
	struct app_latch l = {.state = LATCH_CLOSED, .reason = IKE_NUM_REASONS};

	(void)!here->app.ops->latch_info(here->app.ctx, &l, id);
	return l;
}

/* mallory_up - it has an SA for the same addresses. */
static void mallory_up(void)
{
	CU_ASSERT_EQUAL(engine_up(here->e, "mallory", "net", 0), ERR_OK);
	hosts_run(100);
}

static void bob_up(void)
{
	CU_ASSERT_EQUAL(engine_up(here->e, "bob", "net", 0), ERR_OK);
	hosts_run(100);
}

static void test_B5_the_peer_that_is_asked_for(void)
{
	uint32_t token = 0;
	uint64_t id;

	set_up();
	mallory_up();
	id = latch(7, "bob.example");
	CU_ASSERT_EQUAL(get(id).state, LATCH_LARVAL);
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL)); /* L1 */
	CU_ASSERT(hosts_udp(mallory, 2, 9, 1, 8, here, NULL));
	hosts_run(100);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(here, 1, 8, 2, 9, mallory, NULL));
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, &token));
	CU_ASSERT_EQUAL(token, get(id).token);
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	CU_ASSERT_PTR_NOT_NULL_FATAL(hosts_last(here, APP_EVENT_LATCH));
	CU_ASSERT(strstr(hosts_last(here, APP_EVENT_LATCH)->latch.text, "mallory.example") != NULL);
	hosts_end();
}

/* What suffices is ridden on: nothing is negotiated. */
static void test_A4_rides_on_what_is_there(void)
{
	uint64_t id;

	set_up();
	bob_up();
	CU_ASSERT_EQUAL(here->num_up, 1);
	id = latch(7, "bob.example");
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
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

	set_up();
	id = latch(7, "bob.example");
	hosts_run(100);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(here->num_up, 1);
	CU_ASSERT_EQUAL(engine_child_stats(here->e, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.out_packets + st.in_packets, 0);
	hosts_end();
}

/* B7: a failure has a reason. */
static void test_B7_nobody_who_could(void)
{
	uint64_t id;

	set_up();
	id = latch(7, "carol.example");
	CU_ASSERT_EQUAL(get(id).state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(get(id).reason, IKE_REASON_NO_CONFIG);
	CU_ASSERT(get(id).text[0] != 0);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

static void test_A1_wrong_key(void)
{
	static const char *const keys[] = {"bobs-own-secret-0123456789",
					   "another-secret-altogether"};
	char conf[1500];
	uint64_t id;

	set_up();
	hosts_remove(bob);
	snprintf(conf, sizeof(conf), "%s", peer_conf("bob", BOB));
	memcpy(strstr(conf, keys[0]), keys[1], strlen(keys[1]));
	bob = hosts_add(BOB, conf);
	id = latch(7, "bob.example");
	hosts_run(1000);
	CU_ASSERT_EQUAL(get(id).state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(get(id).reason, IKE_REASON_AUTH_FAILED_PEER);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

/* ESTABLISHED, BROKEN, ESTABLISHED: its peer comes back with the same identity (L3, L6). */
static void test_L3_the_peer_restarts(void)
{
	uint32_t token;
	uint64_t id;

	set_up();
	id = latch(7, "bob.example");
	hosts_run(100);
	token = get(id).token;
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
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(get(id).token, token);
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, &token));
	CU_ASSERT_EQUAL(get(id).token, token);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

/* Re-keying is not noticed. */
static void test_L3_rekeyed(void)
{
	uint32_t before;
	uint64_t id;

	set_up();
	id = latch(7, "bob.example");
	hosts_run(100);
	before = here->num_notes;
	CU_ASSERT_EQUAL(engine_rekey(here->e, &(uint32_t){0}, &(struct ike_select){.child = "net"}),
			ERR_OK);
	hosts_run(10000);
	CU_ASSERT_EQUAL(here->num_notes, before);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	hosts_end();
}

/* L4: another peer asks for the addresses of a latched flow: told before it has its SA. */
static void test_L4_conflict(void)
{
	const struct note *note;
	uint64_t id;

	set_up();
	id = latch(7, "bob.example");
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
		struct app_latch_params p = params(7, "bob.example");
		char text[APP_TEXT_MAX];
		const struct note *note;
		uint64_t id;

		set_up();
		p.demand.part = APP_PART_IKE_APP_ACK;
		CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
		hosts_run(100);
		CU_ASSERT_EQUAL(get(id).state, LATCH_LARVAL);
		CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
		note = hosts_last(here, APP_EVENT_ASK);
		CU_ASSERT_PTR_NOT_NULL_FATAL(note);
		CU_ASSERT_EQUAL(here->app.ops->decide(here->app.ctx, 2, note->ask, true),
				ERR_NOT_FOUND); /* nobody else's to say */
		if (answer < 2)
			CU_ASSERT_EQUAL(here->app.ops->decide(here->app.ctx, 1, note->ask, answer),
					ERR_OK);
		hosts_run(35000);
		CU_ASSERT_EQUAL(get(id).state, answer == 1 ? LATCH_ESTABLISHED : LATCH_CLOSED);
		CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL) == (answer == 1));
		CU_ASSERT_EQUAL(here->app.ops->decide(here->app.ctx, 1, note->ask, true),
				ERR_NOT_FOUND);
		hosts_end();
	}
}

static void test_A21_deleted(void)
{
	uint64_t id;

	set_up();
	id = latch(7, "bob.example");
	hosts_run(100);
	CU_ASSERT_EQUAL(here->app.ops->sa_delete(here->app.ctx, id), ERR_OK);
	hosts_run(100);
	CU_ASSERT_EQUAL(bob->num_down, 1); /* by DELETE on the wire */
	CU_ASSERT_EQUAL(get(id).state, LATCH_BROKEN);
	hosts_run(60000);
	CU_ASSERT_EQUAL(get(id).state, LATCH_BROKEN); /* who ended it does not want it back */
	CU_ASSERT_EQUAL(here->app.ops->trigger(here->app.ctx, id), ERR_OK);
	hosts_run(1000);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	hosts_end();
}

static void test_A14_only_listed_methods(void)
{
	struct app_latch_params p = params(7, "bob.example");
	char text[APP_TEXT_MAX];
	uint64_t id;

	set_up();
	bob_up();
	p.demand.methods[0] = AUTH_METHOD_PKIX_INLINE;
	p.demand.num_methods = 1;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	hosts_run(1000);
	CU_ASSERT_EQUAL(get(id).state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, id), ERR_OK);
	p.demand.methods[1] = AUTH_METHOD_PSK;
	p.demand.num_methods = 2;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	hosts_end();
}

/* A19, L8: algorithms of its own make a narrow SA, beside the wide one. */
static void test_L8_a_suite_of_its_own(void)
{
	struct app_latch_params p = params(7, "bob.example");
	struct app_class wide, narrow;
	char text[APP_TEXT_MAX];
	uint64_t id, other;

	set_up();
	bob_up();
	other = latch(8, "bob.example");
	snprintf(p.demand.suite, sizeof(p.demand.suite), "aes128gcm16");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	CU_ASSERT_EQUAL(get(other).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(here->app.ops->class_info(here->app.ctx, &wide, get(other).token), ERR_OK);
	CU_ASSERT(wide.quality.indeterminate);
	hosts_run(1000);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(here->num_up, 2);
	CU_ASSERT_EQUAL(here->app.ops->class_info(here->app.ctx, &narrow, get(id).token), ERR_OK);
	CU_ASSERT_STRING_EQUAL(narrow.quality.suite, "AES_GCM_16-128");
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(here, 1, 8, 2, 9, bob, NULL));
	hosts_end();
}

/* Opportunistic: what nobody protects goes on unprotected, and says so. */
static void test_profile_that_is_content_with_nothing(void)
{
	struct app_latch_params p = params(7, "");
	char text[APP_TEXT_MAX];
	uint64_t id;

	set_up();
	p.flow = hosts_flow(5, 7, 6, 9);
	snprintf(p.demand.profile, sizeof(p.demand.profile), "opportunistic");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	CU_ASSERT_EQUAL(get(id).state, LATCH_LARVAL); /* one is made, and nobody answers */
	hosts_run(7000);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(get(id).token, 0);
	CU_ASSERT(get(id).text[0] != 0);
	hosts_end();
}

static void test_bounds(void)
{
	struct app_latch_params p = params(7, "bob.example");
	char text[APP_TEXT_MAX] = "";
	uint64_t id;

	set_up();
	p.flow.remote_port = 0;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_INVAL);
	CU_ASSERT(text[0] != 0);
	p = params(7, "bob.example");
	snprintf(p.demand.profile, sizeof(p.demand.profile), "splendid");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_NOT_FOUND);
	p.demand.profile[0] = 0;
	snprintf(p.demand.suite, sizeof(p.demand.suite), "rot13");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_INVAL);
	id = latch(7, "bob.example");
	p = params(7, "bob.example");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_EXISTS);
	hosts_end();
}

/* What a client made goes with it, and what a socket had with that. */
static void test_D2_cleaned_up(void)
{
	struct app_latch_params p = params(7, "bob.example");
	char text[APP_TEXT_MAX];
	uint64_t ids[3];

	set_up();
	bob_up();
	ids[0] = latch(6, "bob.example");
	p.keep = true;
	p.cookie = 55;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[1], &p, text), ERR_OK);
	p = params(8, "bob.example");
	p.client = 2;
	p.cookie = 66;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[2], &p, text), ERR_OK);
	here->app.ops->latch_client_gone(here->app.ctx, 1);
	CU_ASSERT_EQUAL(get(ids[0]).id, 0);
	CU_ASSERT_EQUAL(get(ids[1]).id, ids[1]);
	CU_ASSERT_EQUAL(get(ids[2]).id, ids[2]);
	CU_ASSERT(hosts_udp(here, 1, 6, 2, 9, bob, NULL));
	here->app.ops->latch_socket_gone(here->app.ctx, 55);
	CU_ASSERT_EQUAL(get(ids[1]).id, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(hosts_last(here, APP_EVENT_LATCH));
	CU_ASSERT_EQUAL(hosts_last(here, APP_EVENT_LATCH)->latch.id, ids[1]); /* it is told */
	CU_ASSERT_EQUAL(hosts_last(here, APP_EVENT_LATCH)->latch.state, LATCH_CLOSED);
	here->app.ops->latch_socket_gone(here->app.ctx, 66);
	CU_ASSERT_EQUAL(get(ids[2]).id, 0);
	hosts_end();
}

static uint64_t by_profile(const char *profile, bool listener)
{
	struct app_latch_params p = params(7, "");
	char text[APP_TEXT_MAX] = "";
	uint64_t id = 0;

	p.listener = listener;
	snprintf(p.demand.profile, sizeof(p.demand.profile), "%s", profile);
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	return id;
}

/* ---- listeners
 * ----------------------------------------------------------------------------------- */

static void test_listener(void)
{
	struct app_latch_params p = params(7, "bob.example");
	const struct note *note;
	char text[APP_TEXT_MAX];
	uint64_t id, spawned;

	set_up();
	p.listener = true;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	CU_ASSERT_EQUAL(get(id).state, LATCH_LISTENER);
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
	CU_ASSERT_EQUAL(get(note->latch.id).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(get(note->latch.id).flow.remote_port, 9);
	spawned = note->latch.id;
	hosts_run(200 * 1000);
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	hosts_run(200 * 1000);
	CU_ASSERT_EQUAL(get(spawned).id, spawned);
	hosts_run(200 * 1000); /* nobody speaks any more: it takes no room for ever */
	CU_ASSERT_EQUAL(get(spawned).id, 0);
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
	struct app_latch_params p = params(7, peer);
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

	set_up();
	mallory_up();
	first = latch_pair(1, 1, "bob.example", false);
	CU_ASSERT_EQUAL(get(first).state, LATCH_ESTABLISHED);
	CU_ASSERT(arrives(here, 1, 1, bob) && arrives(bob, 1, 1, here));
	CU_ASSERT(!arrives(mallory, 1, 1, here));
	CU_ASSERT(arrives(here, 2, 2, mallory) && arrives(mallory, 2, 2, here));
	CU_ASSERT(arrives(here, 1, 2, mallory) && arrives(here, 2, 1, mallory));
	second = latch_pair(2, 2, "bob.example", false);
	CU_ASSERT_NOT_EQUAL(first, second);
	CU_ASSERT_EQUAL(get(second).token, get(first).token);
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

	set_up();
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
	CU_ASSERT_EQUAL(get(note->latch.id).flow.remote.b[3], 2);
	CU_ASSERT_EQUAL(get(spawned).flow.remote.b[3], 1);
	CU_ASSERT(arrives(here, 1, 1, bob) && arrives(here, 2, 2, bob));
	hosts_end();
}

/* ---- policies that let traffic pass
 * ------------------------------------------------------------- */

/* open_conf - as here_conf, but a policy lets all of bob's network pass in the clear. */
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

	set_up();
	id = latch(7, "bob.example");
	hosts_run(100);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	hosts_load(here, open_conf);
	hosts_settle();
	CU_ASSERT_EQUAL(get(id).state, LATCH_BROKEN);
	CU_ASSERT(strstr(get(id).text, "in the clear") != NULL);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT_EQUAL(hosts_last(here, APP_EVENT_LATCH)->latch.state, LATCH_BROKEN);
	hosts_run(60 * 1000);
	CU_ASSERT_EQUAL(get(id).state, LATCH_BROKEN);
	hosts_load(here, here_conf);
	hosts_settle();
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	hosts_end();
}

/* An application has its own flow protected where a policy would let it pass in the clear; others
 * stay as they are. */
static void test_L10_upgrade(void)
{
	uint64_t id;

	set_up();
	hosts_load(here, open_conf);
	id = latch(7, "bob.example");
	hosts_run(100);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(!hosts_udp(here, 1, 8, 2, 9, bob, NULL)); /* the interface is no way for it */
	CU_ASSERT_EQUAL(engine_down(here->e, &(uint32_t){0}, &(struct ike_select){.conn = "bob"}),
			ERR_OK);
	hosts_run(100);
	CU_ASSERT_NOT_EQUAL(get(id).state, LATCH_CLOSED);
	hosts_run(5000);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
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

	set_up();
	bob_up();
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	id = by_profile("bypass", false);
	l = get(id);
	CU_ASSERT_EQUAL(l.state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(l.token, 0);
	CU_ASSERT(fake_host_has(&here->host, guard));
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(hosts_udp(here, 1, 8, 2, 9, bob, NULL));
	hosts_load(here, here_conf);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT_EQUAL(here->app.ops->latch_release(here->app.ctx, id), ERR_OK);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	id = by_profile("bypass", true);
	CU_ASSERT_EQUAL(get(id).state, LATCH_LISTENER);
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
	struct app_latch_params p = params(7, "");
	char text[APP_TEXT_MAX];
	uint64_t id = 0;

	p.demand.methods[0] = AUTH_METHOD_NONE;
	p.demand.num_methods = 1;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	hosts_run(200);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
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
	before = get(id).token;
	CU_ASSERT(hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT_EQUAL(here->app.ops->reauthenticate(here->app.ctx, &next, id, &psk, text),
			ERR_NOT_FOUND); /* nothing is configured that could */
	CU_ASSERT(text[0] != 0);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	hosts_load(here, anonymous(true, sure_here));
	hosts_load(bob, anonymous(false, sure_bob));
	CU_ASSERT_EQUAL(here->app.ops->reauthenticate(here->app.ctx, &next, id, &psk, text),
			ERR_OK);
	CU_ASSERT_EQUAL(get(next).state, LATCH_LARVAL);
	CU_ASSERT_EQUAL(get(id).id, 0);
	CU_ASSERT_EQUAL(here->notes[here->num_notes - 1].latch.state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(here->notes[here->num_notes - 1].latch.id, id);
	CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	hosts_run(5000);
	CU_ASSERT_EQUAL(get(next).state, LATCH_ESTABLISHED);
	CU_ASSERT_NOT_EQUAL(get(next).token, before);
	CU_ASSERT_EQUAL(get(next).text[0], 0); /* nobody says that it is the same one */
	CU_ASSERT_EQUAL(here->app.ops->class_info(here->app.ctx, &class, get(next).token), ERR_OK);
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
	CU_ASSERT_EQUAL(get(next).state, LATCH_CLOSED);
	CU_ASSERT(get(next).text[0] != 0);
	CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	hosts_end();
}

/* ---- another process ---- */

static uint64_t with_socket(uint16_t port, uint64_t cookie, bool keep, bool listener)
{
	struct app_latch_params p = params(port, "");
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
	set_up();
	hosts_remove(here);
	hosts_journal(path);
	here = hosts_add(HERE, here_conf);
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
	here = hosts_add(HERE, here_conf);
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
	here = hosts_add(HERE, here_conf);
	CU_ASSERT_EQUAL(of_port(7, false).state, LATCH_LARVAL);
	CU_ASSERT_EQUAL(of_port(7, false).uid, 1000);
	hosts_end();
	unlink(path);
}

/* L1: there are more of them than the data path's table was made for: none of their flows goes by
 * policy, which would have another peer have it. */
static void test_L1_more_than_the_table_holds(void)
{
	static char few[sizeof(here_conf) + 100];
	uint32_t open = 0, shut = 0, num_short = 0;

	snprintf(few, sizeof(few), "%s\nlatchkey { latches = 64\n }\n", here_conf);
	hosts_begin();
	here = hosts_add(HERE, few);
	bob = hosts_add(BOB, peer_conf("bob", BOB));
	mallory = hosts_add(MALLORY, peer_conf("mallory", MALLORY));
	mallory->deaf = true;
	bob_up();
	for (uint16_t port = 1000; port < 1200; port++) {
		CU_ASSERT(latch(port, "mallory.example") != 0);
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
		const struct app_latch_params p = params((uint16_t)(3000 + nth), "mallory.example");
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
	set_up();
	hosts_remove(here);
	hosts_journal(path);
	here = hosts_add(HERE, here_conf);
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
		here = hosts_add(HERE, i ? here_conf : open_conf);
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
	hosts_load(here, here_conf);
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
		struct app_latch_params p = params((uint16_t)(20 + i), "");
		char text[APP_TEXT_MAX];
		uint64_t id = 0;

		snprintf(p.demand.profile, sizeof(p.demand.profile), "%s", rows[i].profile);
		p.demand.part = (uint8_t)rows[i].part;
		CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
		hosts_run(200);
		CU_ASSERT_EQUAL(get(id).state, rows[i].state);
		CU_ASSERT((get(id).token != 0) == (rows[i].state != LATCH_CLOSED));
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

	set_up();
	bob_up();
	conf = engine_conf(here->e);
	engine_each_policy(here->e, count_policy, &before);
	ids[0] = latch(7, "bob.example");
	ids[1] = latch(8, "carol.example");
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

/* ---- without any configuration ---- */

/* B1: one host has nothing configured, the other lets nobody in particular in. */
static void test_B1_nothing_is_configured(void)
{
	static const char anybody[] = "connections { any { remote_addrs = %any\n"
				      " local { auth = null }\n remote { auth = null }\n"
				      " children { any { mode = transport } } } }\n";
	struct app_latch_params p = params(7, "");
	char text[APP_TEXT_MAX];
	struct app_class class;
	uint64_t ids[3];

	hosts_begin();
	here = hosts_add(HERE, "");
	bob = hosts_add(BOB, anybody);
	p.flow.local = here->addr;
	p.flow.remote = bob->addr;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[0], &p, text), ERR_OK);
	CU_ASSERT_EQUAL(get(ids[0]).state, LATCH_CLOSED); /* "secure" makes nothing */
	p.flow.local_port++;
	snprintf(p.demand.profile, sizeof(p.demand.profile), "opportunistic");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[1], &p, text), ERR_OK);
	hosts_run(200);
	CU_ASSERT_EQUAL(get(ids[1]).state, LATCH_ESTABLISHED);
	CU_ASSERT_NOT_EQUAL(get(ids[1]).token, 0);
	CU_ASSERT_EQUAL(here->app.ops->class_info(here->app.ctx, &class, get(ids[1]).token),
			ERR_OK);
	CU_ASSERT_EQUAL(auth_proof_params(class.proof)->method, AUTH_METHOD_NONE);
	CU_ASSERT(class.quality.privacy && !class.quality.tunnel);
	p.flow.local_port++; /* and again: it is there */
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &ids[2], &p, text), ERR_OK);
	CU_ASSERT_EQUAL(get(ids[2]).state, LATCH_ESTABLISHED);
	CU_ASSERT_EQUAL(here->num_up, 1);
	hosts_end();
}

/* The configuration's: whatever program listens there, and again when it is loaded anew. */
/* A class that is for one port alone reaches a socket that is bound there, and not one without a
 * port, which anybody has. */
static void test_E5_without_a_port(void)
{
	struct app_latch_params p = params(7, "bob.example");
	struct flow local = {.local = p.flow.local, .local_port = 7, .proto = p.flow.proto};
	char text[APP_TEXT_MAX];
	uint32_t wide;
	uint64_t id;

	set_up();
	snprintf(p.demand.suite, sizeof(p.demand.suite), "aes128gcm16");
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	hosts_run(1000);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(here->app.ops->class_reaches(here->app.ctx, get(id).token, &local));
	local.local_port = 8;
	CU_ASSERT(!here->app.ops->class_reaches(here->app.ctx, get(id).token, &local));
	local.local_port = 0;
	CU_ASSERT(!here->app.ops->class_reaches(here->app.ctx, get(id).token, &local));
	mallory_up();
	wide = get(latch(8, "mallory.example")).token;
	CU_ASSERT(here->app.ops->class_reaches(here->app.ctx, wide, &local));
	hosts_end();
}

static uint64_t latch_of_socket(uint16_t port, bool connected)
{
	struct app_latch_params p = params(port, "bob.example");
	char text[APP_TEXT_MAX];
	uint64_t id = 0;

	p.cookie = 77;
	p.connected = connected;
	CU_ASSERT_EQUAL(here->app.ops->latch_create(here->app.ctx, &id, &p, text), ERR_OK);
	return id;
}

/* What a socket was connected to, and is not, is shut, not free; what it named is as it was. */
static void test_E23_connected_elsewhere(void)
{
	struct host_socket sock = {
		.flow = hosts_flow(1, 7, 2, 9), .cookie = 77, .here = true, .connected = true};
	uint64_t id, named;

	set_up();
	bob_up();
	named = latch_of_socket(8, false);
	id = latch_of_socket(7, true);
	(void)latch_of_socket(6, false);
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	CU_ASSERT(hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	sock.cookie = 78;
	sock.flow.remote_port = 10;
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	sock.cookie = 77;
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(get(id).state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(get(named).state, LATCH_ESTABLISHED);
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, bob, NULL));
	CU_ASSERT(!hosts_udp(bob, 2, 9, 1, 7, here, NULL));
	here->app.ops->latch_socket_gone(here->app.ctx, 77);
	id = latch_of_socket(7, true);
	CU_ASSERT_EQUAL(get(id).state, LATCH_ESTABLISHED);
	sock = (struct host_socket){.flow = hosts_flow(1, 7, 2, 9), .cookie = 77};
	here->app.ops->latch_socket_seen(here->app.ctx, &sock); /* to nobody */
	CU_ASSERT_EQUAL(get(id).state, LATCH_CLOSED);
	/* Named, then connected to. */
	named = latch_of_socket(8, false);
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(get(named).state, LATCH_ESTABLISHED);
	sock.flow = hosts_flow(1, 8, 2, 9);
	sock.connected = true;
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(get(named).state, LATCH_ESTABLISHED);
	sock.flow.remote_port = 10;
	here->app.ops->latch_socket_seen(here->app.ctx, &sock);
	CU_ASSERT_EQUAL(get(named).state, LATCH_CLOSED);
	hosts_end();
}

static void test_listener_of_the_administrator(void)
{
	static const char more[] = "latchkey { profiles { ours { methods = psk\n part = ike } }\n"
				   " listeners { web { port = 7\n protocol = udp\n profile = ours\n"
				   "  peer = bob.example } } }\n";
	char conf[2500];

	set_up();
	hosts_remove(here);
	snprintf(conf, sizeof(conf), "%s%s", here_conf, more);
	here = hosts_add(HERE, conf);
	mallory_up();
	CU_ASSERT(hosts_udp(mallory, 2, 9, 1, 8, here, NULL));
	CU_ASSERT(!hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	CU_ASSERT(!hosts_udp(here, 1, 7, 2, 9, mallory, NULL));
	hosts_load(here, here_conf);
	CU_ASSERT(hosts_udp(mallory, 2, 9, 1, 7, here, NULL));
	hosts_load(here, conf);
	CU_ASSERT(!hosts_udp(mallory, 2, 10, 1, 7, here, NULL));
	CU_ASSERT_EQUAL(
		engine_down(here->e, &(uint32_t){0}, &(struct ike_select){.conn = "mallory"}),
		ERR_OK);
	hosts_run(1000);
	bob_up();
	CU_ASSERT(hosts_udp(bob, 2, 10, 1, 7, here, NULL));
	hosts_end();
}

static void test_profiles_of_the_administrator(void)
{
	static const char more[] =
		"latchkey { profiles { secure { methods = pkix-trusted, pkix-inline, pubkey, psk,"
		" pkix-offline, group-psk, eap, leap-of-faith, btns, none\n privacy = no\n clear = "
		"yes\n"
		" part = none } } }\n";
	struct app_profile p;
	char conf[2500];

	set_up();
	hosts_remove(here);
	snprintf(conf, sizeof(conf), "%s%s", here_conf, more);
	here = hosts_add(HERE, conf);
	CU_ASSERT(here->app.ops->profile_each(here->app.ctx, &p, 0));
	CU_ASSERT_STRING_EQUAL(p.name, "secure");
	CU_ASSERT(!p.privacy && p.integrity && p.clear && p.part == APP_PART_NONE);
	CU_ASSERT_EQUAL(p.num_methods, AUTH_NUM_METHODS);
	hosts_load(here, here_conf);
	CU_ASSERT(here->app.ops->profile_each(here->app.ctx, &p, 0));
	CU_ASSERT(p.privacy && !p.clear);
	hosts_end();
}

static void test_profiles(void)
{
	struct app_profile p = {.name = "ours", .methods = {AUTH_METHOD_PSK}, .num_methods = 1},
			   got;
	uint32_t num = 0;

	set_up();
	while (here->app.ops->profile_each(here->app.ctx, &got, num))
		num++;
	CU_ASSERT_EQUAL(num, 6);
	CU_ASSERT_EQUAL(here->app.ops->profile_set(here->app.ctx, &p), ERR_INVAL); /* no part */
	p.part = APP_PART_IKE_ONLY;
	CU_ASSERT_EQUAL(here->app.ops->profile_set(here->app.ctx, &p), ERR_OK);
	p.privacy = true;
	CU_ASSERT_EQUAL(here->app.ops->profile_set(here->app.ctx, &p), ERR_OK);
	CU_ASSERT(here->app.ops->profile_each(here->app.ctx, &got, 6));
	CU_ASSERT(got.privacy);
	CU_ASSERT(!here->app.ops->profile_each(here->app.ctx, &got, 7));
	p.methods[1] = AUTH_METHOD_PSK;
	p.num_methods = 2;
	CU_ASSERT_EQUAL(here->app.ops->profile_set(here->app.ctx, &p), ERR_INVAL);
	hosts_end();
}

static enum err group(struct app_latch *out, int fd, const char *peer, char text[APP_TEXT_MAX])
{
	struct app_demand demand = {0};

	memset(out, 0, sizeof(*out));
	snprintf(demand.peer, sizeof(demand.peer), "%s", peer);
	return here->app.ops->cgroup_demand(here->app.ctx, out, fd, &demand, 1, 1000, text);
}

static size_t num_marks(void)
{
	size_t num = 0;

	for (size_t i = 0; i < here->host.num_lines; i++)
		num += strncmp(here->host.lines[i], "cgroup ", 7) == 0;
	return num;
}

/* A6: a group's peer is brought up, and the group demands it and no other, whoever else is there;
 * when it is away too. */
static void test_A6_group(void)
{
	char text[APP_TEXT_MAX] = "";
	int fd = dup(0), other = open("/tmp", O_RDONLY);
	const struct note *note;
	struct app_latch l, m;
	uint32_t token, num;

	set_up();
	mallory_up();
	CU_ASSERT_EQUAL(group(&l, fd, "bob.example", text), ERR_OK);
	CU_ASSERT_EQUAL(l.state, LATCH_LARVAL);
	CU_ASSERT_EQUAL(num_marks(), 0);
	hosts_run(100);
	note = hosts_last(here, APP_EVENT_CGROUP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT(note->latch.id == l.id && note->latch.state == LATCH_ESTABLISHED);
	token = note->latch.token;
	CU_ASSERT(token != 0 && num_marks() == 1);
	/* Nobody takes its place; another group has what is up at once. */
	CU_ASSERT_EQUAL(group(&m, fd, "mallory.example", text), ERR_EXISTS);
	CU_ASSERT_EQUAL(group(&m, other, "mallory.example", text), ERR_OK);
	CU_ASSERT(m.state == LATCH_ESTABLISHED && m.token != token && num_marks() == 2);
	CU_ASSERT_EQUAL(here->app.ops->cgroup_release(here->app.ctx, m.id), ERR_OK);
	CU_ASSERT_EQUAL(here->app.ops->cgroup_release(here->app.ctx, m.id), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(num_marks(), 1);
	CU_ASSERT_EQUAL(engine_down(here->e, &num, &(struct ike_select){.conn = "bob"}), ERR_OK);
	hosts_run(100);
	CU_ASSERT_EQUAL(num_marks(), 1);
	here->app.ops->latch_client_gone(here->app.ctx, 1);
	CU_ASSERT_EQUAL(num_marks(), 0);
	close(fd);
	close(other);
	hosts_end();
}

/* What is left of a group whose keeper was killed has its peer or nobody, to its end; who comes for
 * it again has it by the same demand, and no one else. */
static void test_A6_group_is_left(void)
{
	const struct app_demand other = {.peer = "mallory.example"};
	const struct app_demand same = {.peer = "bob.example"};
	const struct app_ops *ops;
	char text[APP_TEXT_MAX] = "";
	int fd = dup(0);
	const struct note *note;
	struct app_latch l, m;

	set_up();
	ops = here->app.ops;
	CU_ASSERT_EQUAL(group(&l, fd, "bob.example", text), ERR_OK);
	hosts_run(100);
	CU_ASSERT_EQUAL(num_marks(), 1);
	here->host.populated = true;
	ops->latch_client_gone(here->app.ctx, 1);
	hosts_run(3000);
	CU_ASSERT_EQUAL(num_marks(), 1);
	CU_ASSERT_EQUAL(ops->cgroup_demand(here->app.ctx, &m, fd, &other, 2, 1000, text),
			ERR_EXISTS);
	CU_ASSERT_EQUAL(ops->cgroup_demand(here->app.ctx, &m, fd, &same, 2, 1001, text),
			ERR_EXISTS);
	CU_ASSERT_EQUAL(ops->cgroup_demand(here->app.ctx, &m, fd, &same, 2, 1000, text), ERR_OK);
	CU_ASSERT(m.id == l.id && m.state == LATCH_ESTABLISHED && num_marks() == 1);
	CU_ASSERT_EQUAL(ops->cgroup_demand(here->app.ctx, &m, fd, &same, 3, 1000, text),
			ERR_EXISTS);
	here->host.populated = false; /* whoever has it may fill it yet */
	hosts_run(3000);
	CU_ASSERT_EQUAL(num_marks(), 1);
	here->host.populated = true;
	ops->latch_client_gone(here->app.ctx, 2);
	hosts_run(3000);
	CU_ASSERT_EQUAL(num_marks(), 1);
	here->host.populated = false;
	hosts_run(3000);
	CU_ASSERT_EQUAL(num_marks(), 0);
	note = hosts_last(here, APP_EVENT_CGROUP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT(note->latch.id == l.id && note->latch.state == LATCH_CLOSED);
	close(fd);
	hosts_end();
}

/* There is no way to the peer: that is known before there is a negotiation, and while the group is
 * being looked at. */
static void test_A6_no_route(void)
{
	static const char own[] = "local_addrs = " HERE;
	char text[APP_TEXT_MAX] = "", conf[2500], *at;
	const struct note *note;
	struct app_latch l;

	set_up();
	hosts_remove(here);
	snprintf(conf, sizeof(conf), "%s", here_conf);
	while ((at = strstr(conf, own)) != NULL)
		memset(at, ' ', strlen(own)); /* it is the host's routes that say where from */
	here = hosts_add(HERE, conf);
	here->host.source4 = (struct ip_addr){.family = IP_NONE};
	CU_ASSERT_EQUAL(group(&l, 0, "bob.example", text), ERR_NOT_FOUND);
	CU_ASSERT(strstr(text, "route") != NULL);
	here->host.source4 = here->addr;
	bob->deaf = true;
	CU_ASSERT_EQUAL(group(&l, 0, "bob.example", text), ERR_OK);
	CU_ASSERT_EQUAL(l.state, LATCH_LARVAL);
	hosts_run(200000); /* nobody answers */
	note = hosts_last(here, APP_EVENT_CGROUP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT_EQUAL(note->latch.state, LATCH_CLOSED);
	CU_ASSERT_EQUAL(note->latch.reason, IKE_REASON_NO_ANSWER);
	CU_ASSERT_EQUAL(here->app.ops->cgroup_release(here->app.ctx, l.id), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(num_marks(), 0);
	hosts_end();
}

static void test_A6_nobody_who_could(void)
{
	char text[APP_TEXT_MAX] = "";
	struct app_demand demand = {.suite = "aes128gcm16"};
	const struct note *note;
	struct app_latch l;

	set_up();
	CU_ASSERT_EQUAL(group(&l, 0, "nobody.example", text), ERR_NOT_FOUND);
	CU_ASSERT(text[0] != 0);
	text[0] = 0;
	CU_ASSERT_EQUAL(here->app.ops->cgroup_demand(here->app.ctx, &l, 0, &demand, 1, 1000, text),
			ERR_INVAL);
	CU_ASSERT(text[0] != 0);
	/* A peer that refuses: why not is told. */
	hosts_load(bob, "connections { }\n");
	CU_ASSERT_EQUAL(group(&l, 0, "bob.example", text), ERR_OK);
	hosts_run(100);
	note = hosts_last(here, APP_EVENT_CGROUP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(note);
	CU_ASSERT(note->latch.id == l.id && note->latch.state == LATCH_CLOSED);
	CU_ASSERT(note->latch.text[0] != 0 && num_marks() == 0);
	CU_ASSERT_EQUAL(here->app.ops->cgroup_release(here->app.ctx, l.id), ERR_NOT_FOUND);
	hosts_end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A6_group),
	TAP_TEST(test_A6_group_is_left),
	TAP_TEST(test_A6_no_route),
	TAP_TEST(test_A6_nobody_who_could),
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
	TAP_TEST(test_L5_a_policy_that_came_later),
	TAP_TEST(test_L10_upgrade),
	TAP_TEST(test_L10_bypass),
	TAP_TEST(test_A15_the_part_of_ipsec),
	TAP_TEST(test_L7_changes_no_rule),
	TAP_TEST(test_B1_nothing_is_configured),
	TAP_TEST(test_L9_the_daemon_restarts),
	TAP_TEST(test_L10_the_daemon_restarts),
	TAP_TEST(test_L1_more_than_the_table_holds),
	TAP_TEST(test_A17_somebody_after_all),
	TAP_TEST(test_A17_cannot),
	TAP_TEST(test_E5_without_a_port),
	TAP_TEST(test_E23_connected_elsewhere),
	TAP_TEST(test_listener_of_the_administrator),
	TAP_TEST(test_profiles_of_the_administrator),
	TAP_TEST(test_profiles),
};

TAP_MAIN("api/latch", tests)
