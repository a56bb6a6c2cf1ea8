/* SPDX-License-Identifier: Apache-2.0 */
/* Session resumption (RFC 5723): what comes back without a whole handshake, and what does not. */
#include <string.h>

#include "base/alloc.h"
#include "control/ike/core.h"
#include "control/ike/resume.h"
#include "control/ike/wire/proto.h"
#include "tests/pki_conf.h"
#include "tests/sim/forge.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

#define SECRETS                                                \
	"secrets { ike { secret = 0123456789abcdef }\n"        \
	"eap { id = carol@example.org\n secret = Ar3etTnp }\n" \
	"ppk { id = ours\n secret = 0123456789abcdef0123456789abcdef } }"
#define RESUME "resumption = yes"

/* struct way - how both prove themselves, and what the connection says beside. */
static const struct way {
	const char *a_local, *a_remote, *b_local, *b_remote, *conn;
	const char *peer_of_a, *peer_of_b;
} ways[] = {
	{"auth = psk\n id = host%u.example", "auth = psk\n id = host%u.example",
	 "auth = psk\n id = host%u.example", "auth = psk\n id = host%u.example", "", "group-psk",
	 "group-psk"},
	{"auth = pubkey\n id = host%u.example", "auth = pubkey\n id = host%u.example",
	 "auth = pubkey\n id = host%u.example", "auth = pubkey\n id = host%u.example", "",
	 "pkix-inline", "pkix-inline"},
	{"auth = eap-mschapv2\n id = carol@example.org", "auth = pubkey\n id = host%u.example",
	 "auth = pubkey\n id = host%u.example", "auth = eap-mschapv2", "", "pkix-inline", "eap"},
	{"auth = eap-tls\n id = host%u.example", "auth = pubkey\n id = host%u.example",
	 "auth = pubkey\n id = host%u.example", "auth = eap-tls", "", "pkix-inline", "eap"},
	{"auth = psk\n id = host%u.example", "auth = psk\n id = host%u.example",
	 "auth = psk\n id = host%u.example", "auth = psk\n id = host%u.example",
	 "ppk_id = ours\n ppk_required = yes", "group-psk", "group-psk"},
	{"auth = psk\n id = host%u.example", "auth = psk\n id = host%u.example",
	 "auth = psk\n id = host%u.example", "auth = psk\n id = host%u.example",
	 "proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256", "group-psk", "group-psk"},
};
#define PSK  0
#define CERT 1

static struct sim *world_of(const struct way *w, const char *a, const char *b)
{
	static char text[2][200];
	struct wish left = {.local = w->a_local, .remote = w->a_remote, .more = SECRETS};
	struct wish right = {.local = w->b_local, .remote = w->b_remote, .more = SECRETS};

	snprintf(text[A], sizeof(text[A]), "%s\n %s", w->conn, a);
	snprintf(text[B], sizeof(text[B]), "%s\n %s", w->conn, b);
	left.conn = text[A];
	right.conn = text[B];
	return wish_world(&left, &right, true);
}

static struct sim *world(const struct way *w)
{
	return world_of(w, RESUME, RESUME);
}

/* ---- what is sent ---------------------------------------------------------------------------- */

/* struct seen - requests that begin an IKE SA, and the last ticket that was shown. */
static struct seen {
	uint32_t init, resume, nack;
	uint8_t request[4096];
	size_t request_len;
} seen;

static bool look(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct ike_msg m;
	struct wire_notify n;

	(void)s, (void)ctx, (void)from;
	if (ike_msg_parse(&m, bytes_of(bytes, *len)))
		return true;
	if (m.h.exchange == IKE_SA_INIT && !(m.h.flags & IKE_FLAG_RESPONSE))
		seen.init++;
	if (m.h.exchange != IKE_SESSION_RESUME)
		return true;
	seen.nack += wire_notify_find(&n, &m, NOTIFY_TICKET_NACK);
	if (!(m.h.flags & IKE_FLAG_RESPONSE)) {
		seen.resume++;
		memcpy(seen.request, bytes, *len);
		seen.request_len = *len;
	}
	return true;
}

/* Nobody hears of tickets that are shown. */
static bool swallow(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	(void)look(s, from, bytes, len, ctx);
	return bytes[18] != IKE_SESSION_RESUME;
}

static void watch(struct sim *s)
{
	seen = (struct seen){.init = 0};
	s->tap = look;
}

static struct ike_sa *only_sa(struct sim *s, unsigned side)
{
	CU_ASSERT_FALSE_FATAL(list_empty(&s->n[side].e->sas));
	return list_entry(s->n[side].e->sas.next, struct ike_sa, node);
}

static struct held_ticket *only_held(struct sim *s)
{
	CU_ASSERT_FALSE_FATAL(list_empty(&s->n[A].e->held));
	return list_entry(s->n[A].e->held.next, struct held_ticket, node);
}

static struct ike_stats stats(struct sim *s, unsigned side)
{
	struct ike_stats st;

	ike_stats(s->n[side].e, &st);
	return st;
}

/* Up by a whole handshake, and lost. */
static struct sim *lost(const struct way *w)
{
	struct sim *s = world(w);

	wish_go(s, "net", 0);
	if (!sim_up(s))
		tap_diag("A: %s; B: %s", s->n[A].last_text, s->n[B].last_text);
	CU_ASSERT_EQUAL(wish_seen(s, A).num, 1);
	forge_lost(s);
	watch(s);
	return s;
}

/* ---- it works -------------------------------------------------------------------------------- */

static void test_R5723_resumed(void)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct sim *s = world(&ways[i]);
		struct wish_seen a, b;

		wish_go(s, "net", 0);
		a = wish_seen(s, A);
		b = wish_seen(s, B);
		CU_ASSERT_EQUAL(stats(s, B).tickets_given, 1);
		forge_lost(s);
		watch(s);
		for (unsigned again = 1; again <= 3; again++) {
			wish_go(s, "net", 0);
			if (!sim_up(s))
				tap_diag("A: %s; B: %s", s->n[A].last_text, s->n[B].last_text);
			CU_ASSERT_EQUAL(seen.init, 0);
			CU_ASSERT_EQUAL(seen.resume, again);
			CU_ASSERT_EQUAL(stats(s, B).resumed, again);
			/* Who they are is what it was, by the same means. */
			CU_ASSERT_EQUAL(wish_seen(s, A).num, 1);
			CU_ASSERT_EQUAL(wish_seen(s, B).num_children, 1);
			CU_ASSERT_STRING_EQUAL(wish_seen(s, A).method, a.method);
			CU_ASSERT_STRING_EQUAL(wish_seen(s, B).method, b.method);
			CU_ASSERT_EQUAL(wish_seen(s, B).proof.ppk, b.proof.ppk);
			CU_ASSERT_EQUAL(wish_seen(s, B).proof.peer.len, b.proof.peer.len);
			CU_ASSERT_EQUAL(memcmp(wish_seen(s, B).proof.peer.data, b.proof.peer.data,
					       b.proof.peer.len),
					0);
			if (again < 3)
				forge_lost(s);
		}
		s->tap = NULL;
		wish_proved(s, ways[i].peer_of_a, ways[i].peer_of_b);
	}
}

/* The gateway has not noticed: its old IKE SA goes when the new one is there. */
static void test_half_lost(void)
{
	struct sim *s = world(&ways[PSK]);

	wish_go(s, "net", 0);
	sa_kill(only_sa(s, A), IKE_REASON_NO_ANSWER, NULL, s->now_ns);
	engine_sweep(s->n[A].e, s->now_ns);
	sim_settle(s, A);
	watch(s);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(seen.resume, 1);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	CU_ASSERT_EQUAL(wish_seen(s, A).num, 1);
	sim_run(s, s->now_ns + 120 * NS_PER_S);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 1);
	sim_free(s);
}

/* Nobody asks, or nobody gives: nothing is said, and it is as it was. */
static void test_R5723_both_want_it(void)
{
	const char *const says[][2] = {{"", RESUME}, {RESUME, ""}, {"resumption = no", RESUME}};

	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		struct sim *s = world_of(&ways[PSK], says[i][0], says[i][1]);

		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(stats(s, B).tickets_given, 0);
		forge_lost(s);
		watch(s);
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(seen.init, 1);
		CU_ASSERT_EQUAL(seen.resume, 0);
		wish_proved(s, "group-psk", "group-psk");
	}
}

/* A certificate that was fetched does not come with a ticket: by then there may be another one. */
static void test_R5723_none_by_url(void)
{
	struct sim *s = world(&ways[CERT]);

	s->n[B].forge = wish_fetched;
	wish_go(s, "net", 0);
	CU_ASSERT_STRING_EQUAL(wish_seen(s, B).method, "pkix-offline");
	CU_ASSERT_EQUAL(stats(s, B).tickets_given, 0);
	wish_proved(s, "pkix-inline", "pkix-offline");
}

/* Lost, repeated and reordered messages. */
static void test_under_loss(void)
{
	uint64_t resumed = 0;

	for (unsigned run = 0; run < 60; run++) {
		struct sim *s = lost(&ways[run % ARRAY_LEN(ways)]);

		s->wire.loss = 20;
		s->wire.repeat = 20;
		s->wire.reorder = 20;
		s->wire.reorder_ns = 300 * NS_PER_MS;
		rng_seeded_init(&s->rng, run); /* another course each */
		wish_go(s, "net", 0);
		sim_run(s, s->now_ns + 70 * NS_PER_S);
		CU_ASSERT_EQUAL(wish_seen(s, A).num, 1);
		CU_ASSERT_EQUAL(wish_seen(s, A).num_children, 1);
		CU_ASSERT(stats(s, B).resumed <= 1);
		resumed += stats(s, B).resumed;
		sim_free(s);
	}
	tap_diag("%u of 60 resumed", (unsigned)resumed);
	CU_ASSERT(resumed > 50);
}

/* ---- it does not help ------------------------------------------------------------------------ */

/* Refused, counted, and a whole handshake follows at once. */
static void falls_back(struct sim *s, const struct way *w)
{
	const uint64_t refused = stats(s, B).tickets_refused;

	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(seen.resume, 1);
	CU_ASSERT_EQUAL(seen.nack, 1);
	CU_ASSERT_EQUAL(seen.init, 1);
	CU_ASSERT_EQUAL(stats(s, B).tickets_refused, refused + 1);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 0);
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	s->tap = NULL;
	wish_proved(s, w->peer_of_a, w->peer_of_b);
}

static void test_R5723_of_another_key(void)
{
	struct sim *s = lost(&ways[PSK]);

	ticket_jar_void(&s->n[B].e->tickets); /* as after a restart */
	falls_back(s, &ways[PSK]);
}

/* What was proven was by a configuration that is not in force any more. */
static void test_R5723_of_another_configuration(void)
{
	struct sim *s = lost(&ways[CERT]);

	ike_engine_configure(s->n[B].e, s->n[B].conf);
	falls_back(s, &ways[CERT]);
}

static void test_R5723_spent(void)
{
	struct sim *s = lost(&ways[PSK]);
	struct ticket_id id = {.key = s->n[B].e->tickets.keys[0].id, .number = 0};

	ticket_spend(&s->n[B].e->tickets, id);
	falls_back(s, &ways[PSK]);
}

/* The client would show its ticket whenever. */
static void never_too_old(struct sim *s)
{
	list_for_each (n, &s->n[A].e->held)
		list_entry(n, struct held_ticket, node)->expires_ns = TIME_NEVER;
}

/* By the gateway's clock, whatever the client believes. */
static void test_R5723_expired(void)
{
	struct sim *s = lost(&ways[PSK]);

	never_too_old(s);
	sim_run(s, s->now_ns + TICKET_NS);
	falls_back(s, &ways[PSK]);
}

/* A client does not show one that is too old. */
static void test_R5723_client_forgets(void)
{
	struct sim *s = lost(&ways[PSK]);

	sim_run(s, s->now_ns + TICKET_NS);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(seen.resume, 0);
	CU_ASSERT_TRUE(list_empty(&s->n[A].e->held) ||
		       list_entry(s->n[A].e->held.next, struct held_ticket, node)->owner);
	s->tap = NULL;
	wish_proved(s, "group-psk", "group-psk");
}

/* Nor one that it was given under another configuration, though the connection may be the same: who
 * is believed may not be. */
static void test_R5723_of_another_connection(void)
{
	static const char *const says[] = {"resumption = no", RESUME "\n dpd_delay = 99s", RESUME};

	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		struct sim *s = lost(&ways[PSK]);
		const struct wish w = {.local = ways[PSK].a_local,
				       .remote = ways[PSK].a_remote,
				       .conn = says[i],
				       .more = SECRETS};

		CU_ASSERT_FALSE(list_empty(&s->n[A].e->held));
		wish_configure(s, A, wish_conf(A, &w));
		CU_ASSERT_TRUE(list_empty(&s->n[A].e->held));
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(seen.resume, 0);
		s->tap = NULL;
		wish_proved(s, "group-psk", "group-psk");
	}
}

/* What is held while the configuration becomes another one, or shown, is gone then, too. */
static void test_R5723_held_meanwhile(void)
{
	for (unsigned shown = 0; shown < 2; shown++) {
		struct sim *s = shown ? lost(&ways[PSK]) : world(&ways[PSK]);
		const struct wish w = {.local = ways[PSK].a_local,
				       .remote = ways[PSK].a_remote,
				       .conn = RESUME,
				       .more = SECRETS};

		if (shown)
			s->tap = swallow;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		wish_configure(s, A, wish_conf(A, &w));
		if (shown)
			sim_run(s, s->now_ns + 30 * NS_PER_S);
		sim_run(s, s->now_ns + 5 * NS_PER_S);
		CU_ASSERT_EQUAL(wish_seen(s, A).num, 1);
		CU_ASSERT_EQUAL(stats(s, B).tickets_given, 1 + shown);
		CU_ASSERT_TRUE(list_empty(&s->n[A].e->held));
		sim_free(s);
	}
}

/* Nor one of another peer of the same connection. */
static void test_R5723_of_another_peer(void)
{
	struct sim *s = lost(&ways[PSK]);
	const struct ike_initiate_params p = {
		.conn = "net",
		.child = "tun",
		.path = {.local = {.addr = sim_addr(A, 0), .port = 500},
			 .remote = {.addr = sim_addr(B, 1), .port = 500}},
		.request = 1};

	sim_have(s, A, 1, 0);
	sim_have(s, B, 3, 0);
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	CU_ASSERT_EQUAL(wish_seen(s, A).num, 1);
	CU_ASSERT(seen.resume == 0 && seen.init == 1);
	forge_lost(s);
	wish_go(s, "net", 0);
	CU_ASSERT(seen.resume == 1 && seen.init == 1);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	sim_free(s);
}

/* A gateway that has forgotten when it was. */
static bool forget(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	if (from == B && bytes[18] == IKE_SESSION_RESUME && only_sa(s, B)->hs)
		only_sa(s, B)->hs->resume.ticket.auth_until_ns = TIME_NEVER;
	return look(s, from, bytes, len, ctx);
}

/* However often it is resumed, a day after the peer has proven itself it does so again, also where
 * the other side does not think of it. */
static void test_R5723_not_for_ever(void)
{
	for (unsigned careless = A; careless <= B; careless++) {
		struct sim *s = lost(&ways[PSK]);
		const uint64_t begun = s->now_ns;
		uint32_t times = 0;

		if (careless == B)
			s->tap = forget;
		while (s->now_ns < begun + 2 * TICKET_AUTH_NS && !seen.init) {
			if (careless == A)
				only_held(s)->auth_until_ns = TIME_NEVER;
			wish_go(s, "net", 0);
			times += seen.init == 0;
			forge_lost(s);
			sim_run(s, s->now_ns + 3 * UINT64_C(3600) * NS_PER_S);
		}
		CU_ASSERT(times >= 7);
		CU_ASSERT(s->now_ns < begun + TICKET_AUTH_NS + 7 * UINT64_C(3600) * NS_PER_S);
		CU_ASSERT_EQUAL(seen.init, 1);
		sim_free(s);
	}
}

/* Nor for longer than what the connection says of a proof. */
static void test_R5723_ends_with_the_proof(void)
{
	struct sim *s =
		world_of(&ways[PSK], RESUME, RESUME "\n reauth_time = 1h\n over_time = 10m");

	wish_go(s, "net", 0);
	forge_lost(s);
	sim_run(s, s->now_ns + 65 * 60 * NS_PER_S);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	forge_lost(s);
	never_too_old(s);
	sim_run(s, s->now_ns + 5 * 60 * NS_PER_S);
	watch(s);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	CU_ASSERT_EQUAL(seen.nack, 1);
	CU_ASSERT_EQUAL(seen.init, 1);
	sim_free(s);
}

static bool look_inside(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static struct forge_msg m;

	(void)ctx;
	if (from != B || bytes[18] != IKE_AUTH || !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++)
		seen.nack += m.payloads[i].type == PAYLOAD_NOTIFY &&
			     load_be16(m.payloads[i].body.p + 2) == NOTIFY_TICKET_NACK;
	return true;
}

static bool has_begun(struct sim *s)
{
	return stats(s, B).half_open > 0;
}

/* What is proven by a configuration that is not in force any more when it is. */
static void test_R5723_begun_under_another_configuration(void)
{
	const struct wish w = {.local = ways[PSK].b_local,
			       .remote = ways[PSK].b_remote,
			       .conn = RESUME,
			       .more = SECRETS};
	struct sim *s = world(&ways[PSK]);

	watch(s);
	s->tap = look_inside;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + NS_PER_S, has_begun));
	wish_configure(s, B, wish_conf(B, &w));
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 1);
	CU_ASSERT_EQUAL(stats(s, B).tickets_given, 0);
	CU_ASSERT_EQUAL(seen.nack, 1);
	CU_ASSERT_TRUE(list_empty(&s->n[A].e->held));
	sim_free(s);
}

/* What an OCSP responder said of the client's certificate comes with it, and is not kept. */
static bool staple(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static const uint8_t body[] = {CERT_OCSP_CONTENT, 's', 'a', 'i', 'd'};
	static struct forge_msg m;
	static uint8_t out[FORGE_BUF];
	uint32_t *stapled = ctx;

	if (from != A || bytes[18] != IKE_AUTH || !forge_open(s, &m, from, bytes, *len))
		return true;
	m.payloads[m.num++] =
		(struct ike_payload){.type = PAYLOAD_CERT, .body = bytes_of(body, sizeof(body))};
	sim_deliver(s, B, &s->tapped, out, forge_close(s, &m, from, out, sizeof(out)));
	++*stapled;
	return false;
}

static void test_R5723_with_a_staple(void)
{
	struct sim *s = world(&ways[CERT]);
	uint32_t stapled = 0;

	s->tap = staple;
	s->tap_ctx = &stapled;
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(stapled, 1);
	CU_ASSERT_EQUAL(stats(s, B).tickets_given, 1);
	forge_lost(s);
	watch(s);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	s->tap = NULL;
	wish_proved(s, "pkix-inline", "pkix-inline");
}

/* A certificate that has expired, or was taken back, meanwhile. */
static void test_R5723_judged_again(void)
{
	const size_t certified[] = {CERT, 3};

	for (size_t i = 0; i < ARRAY_LEN(certified); i++) {
		struct sim *s = lost(&ways[certified[i]]);

		s->n[B].wall_s += INT64_C(100) * 365 * 86400;
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(seen.resume, 1);
		CU_ASSERT_EQUAL(stats(s, B).resumed, 0);
		CU_ASSERT_EQUAL(s->n[B].last_failure, IKE_REASON_CERT_EXPIRED);
		CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "is not believed any more"));
		CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_AUTH_FAILED_PEER);
		CU_ASSERT_EQUAL(wish_seen(s, B).num, 0);
		sim_free(s);
	}
}

/* The same of the gateway's, by the client's judgement: the ticket is not shown, and the whole
 * handshake that follows comes to the same. By EAP, too, where the gateway has a certificate and
 * the client has not. */
static void test_R5723_judged_by_the_client(void)
{
	for (size_t i = CERT; i <= 3; i++) {
		struct sim *s = lost(&ways[i]);

		s->n[A].wall_s += INT64_C(100) * 365 * 86400;
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(seen.resume, 0);
		CU_ASSERT_EQUAL(seen.init, 1);
		CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_CERT_EXPIRED);
		CU_ASSERT_TRUE(list_empty(&s->n[A].e->held));
		sim_free(s);
	}
}

static void deny_once(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *a)
{
	if (ask->kind != IKE_ASK_VERIFY_CHAIN)
		return;
	*a = (struct ike_answer){.reason = IKE_REASON_CERT_REVOKED, .text = "it was taken back"};
	n->forge = NULL;
}

/* Whoever has another certificate by now is believed by that one; and a ticket that was given when
 * a session was resumed is judged, too. */
static void test_R5723_judged_by_the_client_each_time(void)
{
	for (unsigned resumed = 0; resumed < 2; resumed++) {
		struct sim *s = lost(&ways[CERT]);

		if (resumed) {
			wish_go(s, "net", 0);
			CU_ASSERT_EQUAL(seen.resume, 1);
			forge_lost(s);
			watch(s);
		}
		s->n[A].forge = deny_once;
		wish_go(s, "net", 0);
		CU_ASSERT_PTR_NULL(s->n[A].forge);
		CU_ASSERT_EQUAL(seen.resume, 0);
		CU_ASSERT_EQUAL(seen.init, 1);
		s->tap = NULL;
		wish_proved(s, "pkix-inline", "pkix-inline");
	}
}

/* A ticket goes with its IKE SA: closed by either side, or re-keyed. */
static void test_R5723_goes_with_its_ike_sa(void)
{
	for (unsigned how = 0; how < 4; how++) {
		struct sim *s = world(&ways[PSK]);
		struct ticket_id id;

		wish_go(s, "net", 0);
		id = only_sa(s, B)->ticket;
		CU_ASSERT_FALSE(ticket_is_spent(&s->n[B].e->tickets, id));
		if (how < 2)
			(void)!sim_terminate(s, how, NULL);
		else
			(void)!sim_rekey(s, how - 2, NULL);
		sim_run(s, s->now_ns + 5 * NS_PER_S);
		CU_ASSERT_TRUE(ticket_is_spent(&s->n[B].e->tickets, id));
		CU_ASSERT_TRUE(list_empty(&s->n[A].e->held));
		sim_free(s);
	}
}

/* A gateway that knows nothing of it does not answer: after a while there is a whole handshake, and
 * the ticket is kept. */
static void test_no_answer(void)
{
	struct sim *s = lost(&ways[PSK]);

	s->tap = swallow;
	wish_go(s, "net", 0);
	sim_run(s, s->now_ns + 30 * NS_PER_S);
	CU_ASSERT(seen.resume >= 3);
	CU_ASSERT_EQUAL(seen.init, 1);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 0);
	s->tap = NULL;
	wish_proved(s, "group-psk", "group-psk");
}

/* Nor need a gateway that answers be heard: what it has of that gives way to the handshake. */
static bool unheard(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	(void)look(s, from, bytes, len, ctx);
	return from != B || bytes[18] != IKE_SESSION_RESUME;
}

static void test_R5723_not_heard(void)
{
	struct sim *s = lost(&ways[PSK]);

	s->tap = unheard;
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 1);
	sim_run(s, s->now_ns + 20 * NS_PER_S);
	CU_ASSERT_EQUAL(wish_seen(s, A).num, 1);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 1);
	CU_ASSERT_EQUAL(seen.init, 2); /* with a cookie then */
	CU_ASSERT_EQUAL(stats(s, B).half_open, 0);
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	s->tap = NULL;
	wish_proved(s, "group-psk", "group-psk");
}

/* ---- strangers ------------------------------------------------------------------------------- */

/* Whoever has seen a ticket pass can show it, and no more: it is not used up by that, and when it
 * was used it is refused. */
static void test_R5723_replayed(void)
{
	struct sim *s = lost(&ways[PSK]);

	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	forge_lost(s);
	seen.nack = 0;
	seen.request[7] ^= 1; /* another SPI */
	sim_inject(s, B, seen.request, seen.request_len);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(seen.nack, 1);
	CU_ASSERT_EQUAL(stats(s, B).tickets_refused, 1);
	CU_ASSERT_EQUAL(stats(s, B).half_open, 0);
	sim_free(s);
}

static bool show_first(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static uint8_t copy[4096];

	if (from == A && bytes[18] == IKE_SESSION_RESUME && !seen.resume) {
		memcpy(copy, bytes, *len);
		copy[7] ^= 1;
		(void)look(s, from, bytes, len, ctx);
		sim_inject(s, B, copy, *len);
		return true;
	}
	return look(s, from, bytes, len, ctx);
}

static void test_R5723_shown_by_another_first(void)
{
	struct sim *s = lost(&ways[PSK]);

	s->tap = show_first;
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(seen.init, 0);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	s->tap = NULL;
	sim_run(s, s->now_ns + 70 * NS_PER_S);
	wish_proved(s, "group-psk", "group-psk");
}

/* Whoever has seen an SPI, and sends as if it were from there, ends nothing. */
static struct seen first;

static bool keep_first(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	(void)s, (void)ctx;
	if (from == A && bytes[18] == IKE_SA_INIT && !first.request_len) {
		memcpy(first.request, bytes, *len);
		first.request_len = *len;
	}
	return true;
}

static void inject_first(struct sim *s, unsigned to)
{
	sim_inject(s, to, first.request, first.request_len);
}

static bool send_first(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	if (from == B && bytes[18] == IKE_SESSION_RESUME) {
		memcpy(first.request, bytes, 8); /* under this SPI */
		sim_at(s, s->now_ns, inject_first, B);
	}
	return look(s, from, bytes, len, ctx);
}

static void test_R5723_not_ended_by_others(void)
{
	struct sim *s = world(&ways[PSK]);

	first.request_len = 0;
	s->tap = keep_first;
	wish_go(s, "net", 0);
	forge_lost(s);
	watch(s);
	s->tap = send_first;
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(stats(s, B).cookies_sent, 1);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	CU_ASSERT_EQUAL(seen.init, 0);
	s->tap = NULL;
	wish_proved(s, "group-psk", "group-psk");
}

/* Who has the ticket, and not the key that goes with it, is not even understood. */
static void test_R5723_keys_are_proven(void)
{
	struct sim *s = lost(&ways[PSK]);
	struct held_ticket *h = only_held(s);

	h->sk_d.p[0] ^= 1;
	wish_go(s, "net", 0);
	sim_run(s, s->now_ns + 100 * NS_PER_S);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 0);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 0);
	sim_free(s);
}

/* Nor is who understands and makes AUTH of another key: the one who gets it has had its own
 * changed. */
static unsigned deceived;

static bool change_key(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct ike_sa *sa;

	(void)len, (void)ctx;
	if (from == deceived || bytes[18] != IKE_AUTH)
		return true;
	sa = only_sa(s, deceived);
	if (!sa->was_up && sa->keys.sk_pi.p)
		(deceived == B ? sa->keys.sk_pi.p : sa->keys.sk_pr.p)[0] ^= 1;
	return true;
}

static void test_R5723_auth_is_verified(void)
{
	for (deceived = A; deceived <= B; deceived++) {
		struct sim *s = lost(&ways[PSK]);

		s->tap = change_key;
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(s->n[deceived].last_failure, IKE_REASON_AUTH_FAILED_LOCAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(s->n[deceived].last_text, "does not show"));
		CU_ASSERT_EQUAL(wish_seen(s, A).num + wish_seen(s, B).num, 0);
		sim_free(s);
	}
}

/* An identity that is not the ticket's. */
static void test_R5723_another_identity(void)
{
	struct sim *s = lost(&ways[PSK]);
	struct held_ticket *h = only_held(s);

	h->local_id.data[4] = '9';
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 0);
	CU_ASSERT_EQUAL(s->n[B].last_failure, IKE_REASON_ID_MISMATCH);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 0);
	sim_free(s);
	s = lost(&ways[PSK]);
	h = only_held(s);
	h->idr.data[4] = '9';
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_ID_MISMATCH);
	CU_ASSERT_EQUAL(wish_seen(s, A).num, 0);
	sim_free(s);
}

/* Cookies are asked for here, too. */
static void test_R5723_cookies(void)
{
	struct sim *s = lost(&ways[PSK]);

	s->n[B].e->limits.cookies_always = true;
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(seen.resume, 2);
	CU_ASSERT_EQUAL(seen.init, 0);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	s->tap = NULL;
	wish_proved(s, "group-psk", "group-psk");
}

/* But no puzzles: a ticket has been earned. */
static void test_R8019_tickets_need_none(void)
{
	struct sim *s = lost(&ways[PSK]);

	sim_puzzles(s, B);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(seen.resume, 2); /* whoever shows one is where he says, all the same */
	CU_ASSERT_EQUAL(seen.init, 0);
	CU_ASSERT_EQUAL(stats(s, B).puzzles_set, 0);
	CU_ASSERT_EQUAL(stats(s, B).resumed, 1);
	s->tap = NULL;
	wish_proved(s, "group-psk", "group-psk");
}

static void test_fail_every_allocation(void)
{
	struct sim *s = lost(&ways[CERT]);
	uint64_t before = alloc_count(), num;

	wish_go(s, "net", 0);
	num = alloc_count() - before;
	sim_free(s);
	for (uint64_t n = 1; n <= num; n++) {
		s = lost(&ways[n % 2]);
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
}

static const struct tap_test tests[] = {
	TAP_TEST(test_R5723_resumed),
	TAP_TEST(test_half_lost),
	TAP_TEST(test_R5723_both_want_it),
	TAP_TEST(test_R5723_none_by_url),
	TAP_TEST(test_under_loss),
	TAP_TEST(test_R5723_of_another_key),
	TAP_TEST(test_R5723_of_another_configuration),
	TAP_TEST(test_R5723_spent),
	TAP_TEST(test_R5723_expired),
	TAP_TEST(test_R5723_client_forgets),
	TAP_TEST(test_R5723_of_another_connection),
	TAP_TEST(test_R5723_held_meanwhile),
	TAP_TEST(test_R5723_of_another_peer),
	TAP_TEST(test_R5723_not_for_ever),
	TAP_TEST(test_R5723_ends_with_the_proof),
	TAP_TEST(test_R5723_begun_under_another_configuration),
	TAP_TEST(test_R5723_with_a_staple),
	TAP_TEST(test_R5723_judged_again),
	TAP_TEST(test_R5723_judged_by_the_client),
	TAP_TEST(test_R5723_judged_by_the_client_each_time),
	TAP_TEST(test_R5723_goes_with_its_ike_sa),
	TAP_TEST(test_no_answer),
	TAP_TEST(test_R5723_not_heard),
	TAP_TEST(test_R5723_replayed),
	TAP_TEST(test_R5723_shown_by_another_first),
	TAP_TEST(test_R5723_not_ended_by_others),
	TAP_TEST(test_R5723_keys_are_proven),
	TAP_TEST(test_R5723_auth_is_verified),
	TAP_TEST(test_R5723_another_identity),
	TAP_TEST(test_R5723_cookies),
	TAP_TEST(test_R8019_tickets_need_none),
	TAP_TEST(test_fail_every_allocation),
};

TAP_MAIN("sim/resume", tests)
