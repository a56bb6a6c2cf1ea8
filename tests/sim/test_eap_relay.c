/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway that passes EAP on to a server which knows the client (RFC 3579): what becomes of what
 * that server says, or does not. The server is a conversation of its own, behind answers to asks.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "control/auth/eap/method.h"
#include "control/auth/eap/packet.h"
#include "control/ike/auth_life.h"
#include "control/ike/core.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

#define NAME     "carol@example.org"
#define PASSWORD "Ar3etTnp"
#define CAROL    "secrets { eap-carol { id = " NAME "\n secret = " PASSWORD " } }"
#define CLIENT   "auth = eap\n id = " NAME
#define SERVER   "auth = pubkey\n id = host%u.example"
#define CLIENTS  "auth = eap-radius"
#define ANY      CLIENTS "\n eap_id = %any"

/* struct aaa - the server, and what it does wrong. */
static struct aaa {
	struct eap *x;
	struct crypto_ctx *crypto;
	struct rng_seeded rng;
	unsigned asked, rounds; /* rounds: after so many of them... */
	void (*spoil)(struct ike_answer *a, struct ike_aaa *said); /* ...this, if any */
	const char *name;   /* whom it takes the client for; NULL: it does not say */
	uint32_t session_s; /* and for how long */
	struct ike_aaa said;
	bool bad_token, silent;
} aaa;

static void aaa_reset(void)
{
	eap_free(aaa.x);
	crypto_ctx_free(aaa.crypto);
	aaa = (struct aaa){0};
}

static enum err aaa_begin(const struct ike_ask *ask)
{
	struct eap_params p = {.server = true, .type = EAP_TYPE_MSCHAPV2, .asks_identity = true};
	enum err e = ERR_OK;

	if (!aaa.crypto) {
		rng_seeded_init(&aaa.rng, 7);
		e = crypto_ctx_new(&aaa.crypto, &aaa.rng.rng);
	}
	p.crypto = aaa.crypto;
	eap_free(aaa.x);
	aaa.x = NULL;
	if (!e)
		e = eap_new(&aaa.x, &p);
	if (!e)
		e = eap_begin(aaa.x);
	if (!e)
		aaa.x->id = ask->eap_packet.p[1]; /* the gateway has asked for the name */
	return e;
}

static enum err aaa_take(struct bytes packet)
{
	const struct eap_answer password = {.secret = bytes_of(PASSWORD, strlen(PASSWORD))};
	enum err e = eap_take(aaa.x, packet);

	while (!e && eap_wants(aaa.x) == EAP_WANTS_SECRET)
		e = eap_answer(aaa.x, &password);
	return e;
}

/* As the sim asks for an answer, the server is asked. */
static void aaa_forge(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *a)
{
	static const char token[] = "conversation";
	struct ike_aaa *said = &aaa.said;
	enum err e = ERR_OK;

	(void)n;
	if (ask->kind != IKE_ASK_EAP_SERVER)
		return;
	aaa.asked++;
	if (aaa.silent) {
		*a = (struct ike_answer){.reason = IKE_REASON_AAA, .text = "nobody is there"};
		return;
	}
	CU_ASSERT_EQUAL(ask->path->remote.addr.family, IP_V4);
	if (!ask->aaa_token.len)
		e = aaa_begin(ask);
	else
		aaa.bad_token |= !bytes_equal(ask->aaa_token, bytes_of(token, sizeof(token)));
	if (!e)
		e = aaa_take(ask->eap_packet);
	*said = (struct ike_aaa){.token = bytes_of(token, sizeof(token))};
	a->aaa = said;
	if (e == ERR_NOMEM || !aaa.x) {
		*a = (struct ike_answer){.reason = IKE_REASON_RESOURCES};
	} else if (e) {
		a->text = "it is not carol";
		said->packet = eap_failed(aaa.x);
	} else {
		said->packet = eap_packet(aaa.x);
		said->accepted = eap_wants(aaa.x) == EAP_WANTS_NOTHING;
		said->key = eap_msk(aaa.x);
		said->session_s = aaa.session_s;
		if (said->accepted && aaa.name)
			said->name = bytes_of(aaa.name, strlen(aaa.name));
	}
	if (aaa.spoil && aaa.asked == aaa.rounds)
		aaa.spoil(a, said);
}

static struct sim *world_of(const char *local, const char *remote, const char *password,
			    const char *conn)
{
	const struct wish a = {.local = local, .remote = SERVER, .more = password};
	const struct wish b = {
		.local = SERVER,
		.remote = remote,
		.conn = conn,
		.more = "secrets { radius { id = aaa\n secret = 0123456789abcdef } }\n"
			"latchkey { radius { servers { aaa { address = 192.0.2.9\n } } } }"};
	struct sim *s = wish_world(&a, &b, true);

	s->n[B].forge = aaa_forge;
	return s;
}

static struct sim *world(const char *local, const char *remote, const char *password)
{
	return world_of(local, remote, password, NULL);
}

/* A half-open SA of the responder's ends by its time. */
static void refused(struct sim *s, unsigned side, enum ike_reason reason, const char *word)
{
	wish_go(s, "net", 0);
	sim_run(s, s->now_ns + 80 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up + s->n[B].ike_up, 0);
	wish_refused(s, side, reason, word);
	aaa_reset();
}

/* With the name that it says in EAP, and with that in IKE, which saves a question. */
static void test_A13_relayed(void)
{
	static const char *const remotes[] = {ANY, CLIENTS, CLIENTS "\n eap_id = " NAME};

	for (size_t i = 0; i < ARRAY_LEN(remotes); i++) {
		struct sim *s = world(CLIENT, remotes[i], CAROL);
		struct wish_seen seen;

		wish_go(s, "net", 0);
		seen = wish_seen(s, B);
		CU_ASSERT_EQUAL(aaa.asked, 3); /* name, response, that it believes the server */
		CU_ASSERT_FALSE(aaa.bad_token);
		CU_ASSERT_EQUAL(seen.proof.peer.type, ID_RFC822_ADDR);
		CU_ASSERT_EQUAL(seen.proof.peer.len, strlen(NAME));
		CU_ASSERT_EQUAL(seen.proof.eap, EAP_TYPE_MSCHAPV2);
		CU_ASSERT_EQUAL(seen.num_children, 1);
		wish_proved(s, "pkix-inline", "eap");
		aaa_reset();
	}
}

/* S22: who the server says that it is is who is believed, and compared. */
static void test_S22_relayed_name(void)
{
	struct sim *s = world(CLIENT, ANY, CAROL);

	aaa.name = "dave@example.org";
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(wish_seen(s, B).proof.peer.data[0], 'd');
	wish_proved(s, "pkix-inline", "eap");
	aaa_reset();
	aaa.name = "dave@example.org";
	refused(world(CLIENT, CLIENTS "\n eap_id = " NAME, CAROL), B, IKE_REASON_ID_MISMATCH,
		"dave@example.org");
	aaa.name = "dave@example.org";
	refused(world(CLIENT, CLIENTS "\n id = " NAME, CAROL), B, IKE_REASON_ID_MISMATCH,
		"dave@example.org");
	aaa.name = NAME;
	s = world(CLIENT, CLIENTS, CAROL);
	wish_go(s, "net", 0);
	wish_proved(s, "pkix-inline", "eap");
	aaa_reset();
}

/* The time that the server gave is over, though both have made other keys meanwhile; by a client
 * that was told, and does not heed it. */
static void test_session_timeout(void)
{
	struct sim *s = world(CLIENT, ANY, CAROL);
	struct ike_sa *client;
	uint64_t begun_ns;

	aaa.session_s = 3600;
	begun_ns = s->now_ns;
	wish_go(s, "net", 0);
	client = list_entry(s->n[A].e->sas.next, struct ike_sa, node);
	CU_ASSERT_TRUE(client->auth_life.due_ns < begun_ns + 3600 * NS_PER_S);
	client->auth_life.due_ns = TIME_NEVER;
	auth_life_fini(client);
	CU_ASSERT_EQUAL(sim_rekey(s, A, NULL), ERR_OK);
	sim_run(s, begun_ns + 3590 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[B].rekeyed_ike, 1);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 1);
	sim_run(s, begun_ns + 3610 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[B].ike_down, 1);
	CU_ASSERT_EQUAL(s->n[B].last_down, IKE_REASON_EXPIRED);
	CU_ASSERT_EQUAL(s->n[A].last_down, IKE_REASON_PEER_DELETE);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	sim_free(s);
	aaa_reset();
}

/* Who is told goes to the server again before its time is over, and is never without a child. What
 * this side says itself counts if it is sooner. */
static void test_session_is_told(void)
{
	static const struct {
		const char *conn;
		uint64_t most_s;
	} rows[] = {{NULL, 3600}, {"reauth_time = 600s", 600}, {"reauth_time = 2h", 3600}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sim *s = world_of(CLIENT, ANY, CAROL, rows[i].conn);
		const uint64_t begun_ns = s->now_ns;

		aaa.session_s = 3600;
		wish_go(s, "net", 0);
		s->traffic = true;
		sim_run(s, begun_ns + (rows[i].most_s - 150) * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[B].ike_up, 1);
		sim_run(s, begun_ns + rows[i].most_s * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[B].ike_up, 2);
		CU_ASSERT_EQUAL(aaa.asked, 6);
		sim_run(s, begun_ns + 4000 * NS_PER_S);
		CU_ASSERT_EQUAL(wish_seen(s, B).num, 1);
		CU_ASSERT_EQUAL(s->n[A].last_down, IKE_REASON_REPLACED);
		CU_ASSERT_TRUE(sim_up(s));
		sim_free(s);
		aaa_reset();
	}
}

static void test_relayed_refusals(void)
{
	static const char wrong[] = "secrets { eap-carol { id = " NAME "\n secret = wrong } }";

	refused(world(CLIENT, ANY, wrong), B, IKE_REASON_AUTH_FAILED_LOCAL, "it is not carol");
	refused(world(CLIENT, ANY, wrong), A, IKE_REASON_AUTH_FAILED_PEER, "(E=691)");
	aaa.silent = true;
	refused(world(CLIENT, ANY, CAROL), B, IKE_REASON_AAA, "could not be found out: nobody");
	aaa.silent = true;
	refused(world(CLIENT, CLIENTS, CAROL), B, IKE_REASON_AAA, "could not be found out: nobody");
	aaa.silent = true;
	refused(world(CLIENT, ANY, CAROL), A, IKE_REASON_AUTH_FAILED_PEER, "says no");
}

static bool never(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	(void)s, (void)side, (void)ctx;
	return ask->kind != IKE_ASK_EAP_SERVER;
}

static void test_never_answered(void)
{
	struct sim *s = world(CLIENT, ANY, CAROL);

	s->asked = never;
	refused(s, B, IKE_REASON_REFUSED, "no answer in time");
}

#define OTHER(us, them)                                                                        \
	"other { local { auth = psk\n id = " us " }\n remote { auth = psk\n id = " them " }\n" \
	"children { tun { local_ts = " us "/32\n remote_ts = " them "/32 } } }"

/* While a server says nothing others come and go: nobody waits for a client that waits for it. */
static void test_others_are_not_delayed(void)
{
	const struct wish a = {.local = CLIENT,
			       .remote = SERVER,
			       .conns = OTHER("10.11.0.1", "10.12.0.1"),
			       .more = "secrets { eap { id = " NAME "\n secret = " PASSWORD " }\n"
				       "ike { secret = 0123456789abcdef } }"};
	const struct wish b = {
		.local = SERVER,
		.remote = ANY,
		.conns = OTHER("10.12.0.1", "10.11.0.1"),
		.more = "secrets { radius { id = aaa\n secret = 0123456789abcdef }\n"
			"ike { secret = 0123456789abcdef } }\n"
			"latchkey { radius { servers { aaa { address = 192.0.2.9\n } } } }"};
	struct sim *s = wish_world(&a, &b, true);

	s->asked = never;
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[B].child_up, 0);
	wish_go(s, "other", 0);
	CU_ASSERT_EQUAL(s->n[A].child_up, 1);
	CU_ASSERT_EQUAL(s->n[B].child_up, 1);
	CU_ASSERT_EQUAL(s->n[B].failed, 0); /* it still waits */
	sim_run(s, s->now_ns + 80 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[B].failed, 1);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 1);
	sim_free(s);
}

static void accept_request(struct ike_answer *a, struct ike_aaa *said)
{
	(void)a;
	said->accepted = true;
	said->key = bytes_of("0123456789abcdef", 16);
}

static void success_alone(struct ike_answer *a, struct ike_aaa *said)
{
	(void)a;
	said->packet = bytes_of("\3\1\0\4", 4);
}

static void accept_failure(struct ike_answer *a, struct ike_aaa *said)
{
	accept_request(a, said);
	said->packet = bytes_of("\4\1\0\4", 4);
}

static void no_key(struct ike_answer *a, struct ike_aaa *said)
{
	(void)a;
	said->accepted = true;
	said->packet = said->key = bytes_of(NULL, 0);
}

static void no_packet(struct ike_answer *a, struct ike_aaa *said)
{
	(void)a;
	said->packet = bytes_of("\1\1\0\1", 4);
}

static void nothing(struct ike_answer *a, struct ike_aaa *said)
{
	(void)said;
	a->aaa = NULL;
}

static void no_name(struct ike_answer *a, struct ike_aaa *said)
{
	accept_request(a, said);
	said->packet = bytes_of(NULL, 0);
	said->name = bytes_of("a\0b", 3);
}

/* S21: what the packet says and what is said beside it are one thing, and a key belongs to it. */
static void test_S21_relayed(void)
{
	static const struct {
		void (*spoil)(struct ike_answer *a, struct ike_aaa *said);
		enum ike_reason reason;
		const char *why;
	} rows[] = {
		{accept_request, IKE_REASON_AUTH_FAILED_LOCAL, "one thing, and another by EAP"},
		{accept_failure, IKE_REASON_AUTH_FAILED_LOCAL, "one thing, and another by EAP"},
		{success_alone, IKE_REASON_AUTH_FAILED_LOCAL, "one thing, and another by EAP"},
		{no_key, IKE_REASON_AUTH_FAILED_LOCAL, "accepts it without a key"},
		{no_packet, IKE_REASON_AUTH_FAILED_LOCAL, "no packet of EAP"},
		{no_name, IKE_REASON_AUTH_FAILED_LOCAL, "nobody that has a name"},
		{nothing, IKE_REASON_REFUSED, "no answer in time"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (unsigned round = 1; round <= 2; round++) {
			aaa.spoil = rows[i].spoil;
			aaa.rounds = round;
			refused(world(CLIENT, ANY, CAROL), B, rows[i].reason, rows[i].why);
		}
	}
}

/* A server that gives the gateway a key before it has given it to the client: their AUTH differs,
 * and the client does not go on in the first place. */
static void accept_early(struct ike_answer *a, struct ike_aaa *said)
{
	accept_request(a, said);
	said->packet = bytes_of(NULL, 0);
}

static void test_S21_relayed_too_early(void)
{
	aaa.spoil = accept_early;
	aaa.rounds = 2;
	refused(world(CLIENT, ANY, CAROL), A, IKE_REASON_AUTH_FAILED_PEER,
		"before anything was proven");
}

/* Each allocation fails once: errors are clean, and all ends. */
static void test_fail_every_allocation(void)
{
	uint64_t before, num;
	struct sim *s = world(CLIENT, CLIENTS, CAROL);

	before = alloc_count();
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	num = alloc_count() - before;
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
	CU_ASSERT(num > 50);
	for (uint64_t n = 1; n <= num; n++) {
		aaa_reset();
		s = world(CLIENT, CLIENTS, CAROL);
		alloc_fail_nth(n);
		(void)!sim_initiate(s, A, "tun");
		sim_run(s, s->now_ns + 5 * NS_PER_S);
		alloc_fail_nth(0);
		for (unsigned side = 0; side < 2; side++)
			(void)!sim_terminate(s, side, NULL);
		sim_run(s, s->now_ns + 300 * NS_PER_S);
		CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
		CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
		sim_free(s);
	}
	aaa_reset();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A13_relayed),
	TAP_TEST(test_S22_relayed_name),
	TAP_TEST(test_session_timeout),
	TAP_TEST(test_session_is_told),
	TAP_TEST(test_relayed_refusals),
	TAP_TEST(test_never_answered),
	TAP_TEST(test_others_are_not_delayed),
	TAP_TEST(test_S21_relayed),
	TAP_TEST(test_S21_relayed_too_early),
	TAP_TEST(test_fail_every_allocation),
};

TAP_MAIN("sim/eap_relay", tests)
