/* SPDX-License-Identifier: Apache-2.0 */
/* What a request may ask for beyond the configuration: one flow alone, algorithms, methods. */
#include <string.h>

#include "base/alloc.h"
#include "control/child/child.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

static const struct wish psk = {.local = "auth = psk\n id = host%u.example",
				.remote = "auth = psk\n id = host%u.example",
				.more = "secrets { ike-1 { secret = \"a fairly long secret\" } }"};

static const struct wish signs = {.local = "auth = pubkey\n id = host%u.example",
				  .remote = "auth = pubkey\n id = host%u.example"};

/* A flow of a side between two hosts, to a port of the peer's. */
static struct flow flow_of(unsigned side, uint16_t port)
{
	const uint8_t us[4] = {10, (uint8_t)(side + 1), 0, 9};
	const uint8_t them[4] = {10, (uint8_t)(2 - side), 0, 7};

	return (struct flow){.local = ip_addr_v4(us),
			     .remote = ip_addr_v4(them),
			     .local_port = 40000,
			     .remote_port = port,
			     .proto = 6};
}

static struct ike_initiate_params params(const struct sim *s, unsigned side, const char *conn,
					 uint64_t request)
{
	return (struct ike_initiate_params){
		.conn = conn,
		.child = "tun",
		.path = {.local = s->n[side].addr, .remote = s->n[!side].addr},
		.request = request};
}

static enum err ask(struct sim *s, unsigned side, const struct ike_initiate_params *p)
{
	enum err e = ike_initiate(s->n[side].e, p, s->now_ns);

	sim_settle(s, side);
	sim_run(s, s->now_ns + 3 * NS_PER_S);
	return e;
}

static enum err ask_narrow(struct sim *s, unsigned side, uint16_t port)
{
	const struct flow flow = flow_of(side, port);
	struct ike_initiate_params p = params(s, side, "net", port);

	p.flow = &flow;
	p.narrow = true;
	return ask(s, side, &p);
}

/* struct seen - the children that a side lists; ts are one narrow child's. */
struct seen {
	uint32_t num, narrow, wide;
	uint32_t narrow_id;
	struct ts local, remote;
	uint32_t num_ts;
	char proposal[64], suites[400];
};

static void look(void *ctx, const struct ike_sa_info *sa)
{
	struct seen *seen = ctx;

	for (uint32_t i = 0; i < sa->num_children; i++) {
		const struct ike_child_info *c = &sa->children[i];

		seen->num++;
		seen->narrow += c->narrow;
		seen->wide += c->num_local == 1 && c->local[0].lo.b[2] != c->local[0].hi.b[2];
		if (c->narrow)
			seen->narrow_id = c->unique;
		if (c->num_local && ip_addr_equal(&c->local[0].lo, &c->local[0].hi)) {
			seen->local = c->local[0];
			seen->remote = c->remote[0];
			seen->num_ts = c->num_local + c->num_remote;
			snprintf(seen->proposal, sizeof(seen->proposal), "%s", c->proposal);
		}
	}
}

static struct seen seen(struct sim *s, unsigned side)
{
	struct seen out = {.num = 0};

	ike_each_sa(s->n[side].e, look, &out);
	return out;
}

static void check_flow(struct sim *s, unsigned side, const struct flow *f)
{
	const struct seen got = seen(s, side);

	CU_ASSERT_EQUAL(got.num_ts, 2);
	CU_ASSERT_TRUE(ip_addr_equal(&got.local.lo, &f->local));
	CU_ASSERT_TRUE(ip_addr_equal(&got.remote.lo, &f->remote));
	CU_ASSERT_TRUE(ip_addr_equal(&got.remote.hi, &f->remote));
	CU_ASSERT_EQUAL(got.local.proto, f->proto);
	CU_ASSERT_EQUAL(got.local.port_lo, f->local_port);
	CU_ASSERT_EQUAL(got.local.port_hi, f->local_port);
	CU_ASSERT_EQUAL(got.remote.port_lo, f->remote_port);
	CU_ASSERT_EQUAL(got.remote.port_hi, f->remote_port);
}

static struct flow other_way(struct flow f)
{
	return (struct flow){.local = f.remote,
			     .remote = f.local,
			     .local_port = f.remote_port,
			     .remote_port = f.local_port,
			     .proto = f.proto};
}

static struct sim *psk_world(void)
{
	return wish_world(&psk, &psk, false);
}

static void check_same(struct sim *s)
{
	char why[200] = "";

	sim_run(s, s->now_ns + 10 * NS_PER_S);
	if (!sim_same(s, why))
		tap_diag("%s", why);
	CU_ASSERT_TRUE(sim_same(s, why));
}

/* ---- one flow alone ------------------------------------------------------------------------- */

/* By itself, in IKE_AUTH; then the whole child comes beside it. */
static void test_L8_narrow_first(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = psk_world();
		const struct flow f = flow_of(side, 80), back = other_way(f);
		const struct ike_initiate_params wide = params(s, side, "net", 2);

		CU_ASSERT_EQUAL(ask_narrow(s, side, 80), ERR_OK);
		CU_ASSERT_EQUAL(seen(s, side).num, 1);
		CU_ASSERT_EQUAL(seen(s, side).narrow, 1);
		check_flow(s, side, &f);
		check_flow(s, !side, &back);
		CU_ASSERT_EQUAL(ask(s, side, &wide), ERR_OK);
		CU_ASSERT_EQUAL(seen(s, side).num, 2);
		CU_ASSERT_EQUAL(seen(s, side).wide, 1);
		CU_ASSERT_EQUAL(seen(s, !side).wide, 1);
		CU_ASSERT_EQUAL(sim_num_sas(s, side), 1);
		check_same(s);
		sim_free(s);
	}
}

/* Beside the whole child, by the side that began it and by the other one; once for each flow. */
static void test_L8_narrow_beside_the_wide_one(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = psk_world();
		const struct flow f = flow_of(side, 80), back = other_way(f);

		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(ask_narrow(s, side, 80), ERR_OK);
		CU_ASSERT_EQUAL(seen(s, A).num, 2);
		CU_ASSERT_EQUAL(seen(s, B).num, 2);
		check_flow(s, side, &f);
		check_flow(s, !side, &back);
		CU_ASSERT_EQUAL(ask_narrow(s, side, 80), ERR_EXISTS);
		CU_ASSERT_EQUAL(seen(s, A).num, 2);
		CU_ASSERT_EQUAL(ask_narrow(s, side, 81), ERR_OK);
		CU_ASSERT_EQUAL(seen(s, side).narrow, 2);
		CU_ASSERT_EQUAL(seen(s, !side).num, 3);
		CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
		CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
		check_same(s);
		sim_free(s);
	}
}

/* While the whole child is up a packet that lies in it asks for nothing more; while only a flow has
 * a pair it does. */
static void test_L8_the_wide_one_is_another(void)
{
	struct sim *s = psk_world();
	struct ike_initiate_params p = params(s, A, "net", 3);
	const struct flow f = flow_of(A, 80);

	CU_ASSERT_EQUAL(ask_narrow(s, A, 80), ERR_OK);
	p.flow = &f;
	CU_ASSERT_EQUAL(ask(s, A, &p), ERR_OK);
	CU_ASSERT_EQUAL(ask(s, A, &p), ERR_EXISTS);
	CU_ASSERT_EQUAL(seen(s, A).num, 2);
	CU_ASSERT_EQUAL(seen(s, A).narrow, 1);
	sim_free(s);
}

/* It keeps its selectors, whoever re-keys it, also with a new IKE SA. */
static void test_L8_narrow_rekeyed(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = psk_world();
		const struct flow f = flow_of(A, 80), back = other_way(f);

		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(ask_narrow(s, A, 80), ERR_OK);
		for (unsigned i = 0; i < 2; i++) {
			sim_run(s, s->now_ns + 10 * NS_PER_S);
			CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
			sim_run(s, s->now_ns + 10 * NS_PER_S);
			CU_ASSERT_EQUAL(seen(s, A).num, 2);
			CU_ASSERT_EQUAL(seen(s, A).narrow, 1);
			CU_ASSERT_EQUAL(seen(s, B).num, 2);
			CU_ASSERT_EQUAL(seen(s, A).wide, 1);
			CU_ASSERT_EQUAL(seen(s, B).wide, 1);
			check_flow(s, A, &f);
			check_flow(s, B, &back);
			CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
			sim_run(s, s->now_ns + 10 * NS_PER_S);
		}
		CU_ASSERT_EQUAL(s->n[A].rekeyed_child + s->n[B].rekeyed_child, 8);
		CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
		check_same(s);
		sim_free(s);
	}
}

/* A peer that re-keys it with more than it had gets what it had. */
static void test_L8_narrow_stays_narrow(void)
{
	struct sim *s = psk_world();
	const struct flow f = flow_of(A, 80);
	struct ike_child *c;
	struct ike_sa *sa;

	CU_ASSERT_EQUAL(ask_narrow(s, A, 80), ERR_OK);
	sa = list_entry(s->n[B].e->sas.next, struct ike_sa, node);
	c = list_entry(sa->children.next, struct ike_child, node);
	c->ts[0].port_lo = c->ts[1].port_lo = 0; /* as B has it from now on */
	c->ts[0].port_hi = c->ts[1].port_hi = 0xffff;
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_rekey(s, B, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 1);
	check_flow(s, A, &f);
	sim_free(s);
}

/* It is closed by its number, and the whole child stays. */
static void test_A21_narrow_deleted(void)
{
	struct sim *s = psk_world();
	struct ike_select sel = {.conn = "net"};
	uint32_t num = 0;

	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(ask_narrow(s, A, 80), ERR_OK);
	sel.child_id = seen(s, A).narrow_id;
	CU_ASSERT_EQUAL(ike_terminate(s->n[A].e, &num, &sel, s->now_ns), ERR_OK);
	CU_ASSERT_EQUAL(num, 1);
	sim_settle(s, A);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(seen(s, A).num, 1);
	CU_ASSERT_EQUAL(seen(s, A).narrow, 0);
	CU_ASSERT_EQUAL(seen(s, B).num, 1);
	CU_ASSERT_EQUAL(seen(s, B).wide, 1);
	CU_ASSERT_EQUAL(s->n[B].child_down, 1);
	check_same(s);
	sim_free(s);
}

/* A flow that the child is not for has none, before an IKE SA is up and after. */
static void test_L8_outside_the_child(void)
{
	struct sim *s = psk_world();
	struct ike_initiate_params p = params(s, A, "net", 4);
	struct flow f = flow_of(A, 80);

	f.remote.b[1] = 99;
	p.flow = &f;
	p.narrow = true;
	CU_ASSERT_EQUAL(ask(s, A, &p), ERR_OK);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_TS_UNACCEPTABLE);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 0);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(ask(s, A, &p), ERR_OK);
	CU_ASSERT_EQUAL(s->n[A].failed, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "10.99.0.7"));
	CU_ASSERT_EQUAL(seen(s, A).num, 1);
	p.flow = NULL;
	CU_ASSERT_EQUAL(ask(s, A, &p), ERR_INVAL);
	sim_free(s);
}

/* ---- algorithms ------------------------------------------------------------------------------ */

static uint32_t parse(struct conf_proposal out[CONF_MAX_PROPOSALS], const char *text)
{
	char why[200];
	uint32_t num = 0;

	CU_ASSERT_EQUAL_FATAL(conf_proposals_parse(out, &num, why, sizeof(why), text, false),
			      ERR_OK);
	return num;
}

/* What is asked for is negotiated, also with forward secrecy and when it is re-keyed by whom ever;
 * what the child has otherwise is not. */
static void test_A19_suite(void)
{
	static const char *const suites[][2] = {
		{"aes256gcm16", "AES_GCM_16-256"},
		{"chacha20poly1305", "CHACHA20_POLY1305"},
		{"aes256-sha512", "AES_CBC-256/HMAC_SHA2_512_256"},
		{"aes256gcm16-x25519", "AES_GCM_16-256/CURVE_25519"}};
	struct wish any = psk;

	any.more = "secrets { ike-1 { secret = \"a fairly long secret\" } }";
	for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
		struct conf_proposal list[CONF_MAX_PROPOSALS];
		const struct flow f = flow_of(A, 80);
		struct sim *s = wish_world(&psk, &any, false);
		struct conf_child *b = &s->n[B].conf->conns[0]->children[0];
		struct ike_initiate_params p = params(s, A, "net", 5);

		b->num_esp = parse(b->esp, "aes128gcm16, aes256gcm16, chacha20poly1305, "
					   "aes256-sha512, aes256gcm16-x25519");
		wish_go(s, "net", 0);
		p.flow = &f;
		p.narrow = true;
		p.suite = list;
		p.num_suite = parse(list, suites[i][0]);
		CU_ASSERT_EQUAL(ask(s, A, &p), ERR_OK);
		CU_ASSERT_STRING_EQUAL(seen(s, A).proposal, suites[i][1]);
		for (unsigned side = 0; side < 2; side++) {
			sim_run(s, s->now_ns + 10 * NS_PER_S);
			(void)sim_rekey(s, side, "tun");
			sim_run(s, s->now_ns + 10 * NS_PER_S);
			CU_ASSERT_EQUAL(seen(s, A).narrow, 1);
			if (side == A)
				CU_ASSERT_STRING_EQUAL(seen(s, A).proposal, suites[i][1]);
		}
		sim_free(s);
	}
}

/* A peer that has another suite is not asked for less. */
static void test_A19_suite_refused(void)
{
	struct conf_proposal list[CONF_MAX_PROPOSALS];
	struct sim *s = psk_world();
	struct ike_initiate_params p = params(s, A, "net", 6);

	wish_go(s, "net", 0);
	p.suite = list;
	p.num_suite = parse(list, "null-sha256");
	CU_ASSERT_EQUAL(ask(s, A, &p), ERR_OK);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_NO_PROPOSAL);
	CU_ASSERT_EQUAL(seen(s, A).num, 1);
	p.num_suite = CONF_MAX_PROPOSALS + 1;
	CU_ASSERT_EQUAL(ask(s, A, &p), ERR_INVAL);
	sim_free(s);
}

/* ---- methods --------------------------------------------------------------------------------- */

#define BIT(method) (1u << AUTH_METHOD_##method)

static enum err ask_methods(struct sim *s, const char *conn, uint32_t methods)
{
	struct ike_initiate_params p = params(s, A, conn, 7);

	p.methods = methods;
	return ask(s, A, &p);
}

static void test_A14_method_demanded(void)
{
	struct sim *s = wish_world(&signs, &signs, true);

	CU_ASSERT_EQUAL(ask_methods(s, "net", BIT(PKIX_INLINE) | BIT(PKIX_TRUSTED)), ERR_OK);
	wish_proved(s, "pkix-inline", "pkix-inline");
	s = wish_world(&psk, &psk, false);
	CU_ASSERT_EQUAL(ask_methods(s, "net", BIT(GROUP_PSK)), ERR_OK);
	wish_proved(s, "group-psk", "group-psk");
}

/* A right proof by a method that is not demanded: nothing stands, and both are told. */
static void test_A14_method_not_demanded(void)
{
	struct sim *s = wish_world(&signs, &signs, true);

	CU_ASSERT_EQUAL(ask_methods(s, "net", BIT(PKIX_TRUSTED) | BIT(PUBKEY)), ERR_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "pkix-inline, and"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "demands pkix-trusted, pubkey"));
	CU_ASSERT_EQUAL(s->n[B].last_down, IKE_REASON_AUTH_FAILED_PEER);
	wish_refused(s, A, IKE_REASON_METHOD, "host2.example");
	s = wish_world(&psk, &psk, false);
	CU_ASSERT_EQUAL(ask_methods(s, "net", BIT(PSK)), ERR_OK);
	wish_refused(s, A, IKE_REASON_METHOD, "group-psk");
}

/* What the connection can never come to is said at once. */
static void test_A14_method_impossible(void)
{
	struct sim *s = wish_world(&psk, &psk, false);

	CU_ASSERT_EQUAL(ask_methods(s, "net", BIT(PKIX_INLINE)), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 0);
	sim_free(s);
}

/* An IKE SA whose peer proved itself otherwise is not ridden on, nor one that is re-keyed from it;
 * one that does is. */
static void test_A14_no_ride_on_another_method(void)
{
	struct wish here = signs;
	struct sim *s = wish_world(&signs, &here, true);

	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(sim_rekey(s, B, NULL), ERR_OK);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(ask_methods(s, "net", BIT(PKIX_INLINE)), ERR_EXISTS);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	CU_ASSERT_EQUAL(ask_methods(s, "net", BIT(PKIX_TRUSTED)), ERR_OK);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_METHOD);
	CU_ASSERT_EQUAL(seen(s, A).num, 1);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	check_same(s);
	sim_free(s);
}

/* One that is on its way and may come to another method is not waited for. */
static void test_A14_no_ride_on_what_may_be(void)
{
	struct sim *s = wish_world(&signs, &signs, true);
	struct ike_initiate_params p = params(s, A, "net", 8);

	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	p.methods = BIT(PKIX_INLINE) | BIT(PKIX_TRUSTED) | BIT(PKIX_OFFLINE) | BIT(PUBKEY);
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_EXISTS);
	p.methods = BIT(PKIX_INLINE) | BIT(PKIX_TRUSTED) | BIT(PUBKEY);
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 2);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	sim_free(s);
}

/* ---- before any packet, and for whom --------------------------------------------------------- */

struct asked {
	uint64_t request[2][8];
	uint32_t num[2];
};

static bool note_ask(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	struct asked *a = ctx;

	(void)s;
	if (a->num[side] < 8)
		a->request[side][a->num[side]++] = ask->request;
	return true;
}

/* An SA with no packet; each question says which request it is for. */
static void test_A20_before_any_packet(void)
{
	struct asked asked = {.num = {0}};
	struct sim *s = psk_world();

	s->asked = note_ask;
	s->tap_ctx = &asked;
	CU_ASSERT_EQUAL(ask_narrow(s, A, 80), ERR_OK);
	CU_ASSERT_EQUAL(asked.num[A], 4);
	for (uint32_t i = 0; i < asked.num[A]; i++)
		CU_ASSERT_EQUAL(asked.request[A][i], 80);
	CU_ASSERT_EQUAL(ask_narrow(s, A, 81), ERR_OK);
	CU_ASSERT_EQUAL(asked.num[A], 5);
	CU_ASSERT_EQUAL(asked.request[A][4], 81);
	CU_ASSERT_TRUE(asked.num[B] > 1);
	for (uint32_t i = 0; i < asked.num[B]; i++)
		CU_ASSERT_EQUAL(asked.request[B][i], 0);
	CU_ASSERT_EQUAL(s->n[A].sent_packets + s->n[A].got_packets, 0);
	CU_ASSERT_EQUAL(s->n[A].child_up, 2);
	sim_free(s);
}

/* ---- bad times ------------------------------------------------------------------------------- */

/* A wide child, a narrow one with algorithms of its own, both re-keyed, the narrow one closed. */
static void play(struct sim *s)
{
	const struct flow flow = flow_of(A, 80);
	struct conf_proposal suite[CONF_MAX_PROPOSALS];
	struct ike_initiate_params p = params(s, A, "net", 9);
	struct ike_select sel = {.conn = "net"};
	uint32_t num;

	memcpy(suite, s->n[A].conf->conns[0]->children[0].esp, sizeof(suite));
	(void)!ike_initiate(s->n[A].e, &p, s->now_ns);
	sim_settle(s, A);
	sim_run(s, s->now_ns + NS_PER_S);
	p.flow = &flow;
	p.narrow = true;
	p.suite = suite;
	p.num_suite = 1;
	p.methods = BIT(GROUP_PSK);
	(void)!ike_initiate(s->n[A].e, &p, s->now_ns);
	sim_settle(s, A);
	sim_run(s, s->now_ns + NS_PER_S);
	(void)!sim_rekey(s, B, "tun");
	sim_run(s, s->now_ns + NS_PER_S);
	(void)!sim_rekey(s, A, NULL);
	sim_run(s, s->now_ns + NS_PER_S);
	sel.child_id = seen(s, A).narrow_id;
	(void)!ike_terminate(s->n[A].e, &num, &sel, s->now_ns);
	sim_settle(s, A);
	sim_run(s, s->now_ns + NS_PER_S);
}

/* Each allocation fails once: nothing leaks, and in the end all can be had as before. */
static void test_L8_every_allocation_fails_once(void)
{
	uint64_t before, num;
	struct sim *s = psk_world();

	before = alloc_count();
	play(s);
	num = alloc_count() - before;
	CU_ASSERT_EQUAL(seen(s, A).narrow, 0);
	CU_ASSERT_EQUAL(s->n[A].child_up, 2);
	sim_free(s);
	CU_ASSERT_TRUE(num > 100);
	for (uint64_t n = 1; n <= num; n++) {
		s = psk_world();
		alloc_fail_nth(n);
		play(s);
		alloc_fail_nth(0);
		sim_run(s, s->now_ns + 100 * NS_PER_S);
		CU_ASSERT_TRUE(ask_narrow(s, A, 82) != ERR_NOMEM);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
		CU_ASSERT_TRUE(seen(s, A).narrow >= 1);
		sim_free(s);
	}
}

static void test_L8_bad_wire(void)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		const struct sim_options opt = {.wire = {.jitter_ns = 50 * NS_PER_MS,
							 .ask_ns = 50 * NS_PER_MS,
							 .loss = 20,
							 .repeat = 20,
							 .reorder = 20},
						.conf = {wish_text(A, &psk), wish_text(B, &psk)},
						.by_keyring = true};
		struct sim *s = sim_new(seed, &opt);
		char why[200] = "";

		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(ask_narrow(s, A, 80), ERR_OK);
		sim_run(s, s->now_ns + 60 * NS_PER_S);
		CU_ASSERT_EQUAL(ask_narrow(s, B, 81), ERR_OK);
		sim_run(s, s->now_ns + 60 * NS_PER_S);
		for (unsigned i = 0; i < 2; i++) { /* at the same time */
			CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
			CU_ASSERT_EQUAL(sim_rekey(s, B, "tun"), ERR_OK);
			sim_run(s, s->now_ns + 100 * NS_PER_S);
		}
		CU_ASSERT_EQUAL(seen(s, A).num, 3);
		CU_ASSERT_EQUAL(seen(s, B).num, 3);
		CU_ASSERT_EQUAL(seen(s, A).wide, 1);
		CU_ASSERT_EQUAL(seen(s, B).wide, 1);
		if (!sim_same(s, why))
			tap_diag("seed %u: %s", (unsigned)seed, why);
		CU_ASSERT_TRUE(sim_same(s, why));
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_L8_narrow_first),
	TAP_TEST(test_L8_narrow_beside_the_wide_one),
	TAP_TEST(test_L8_the_wide_one_is_another),
	TAP_TEST(test_L8_narrow_rekeyed),
	TAP_TEST(test_L8_narrow_stays_narrow),
	TAP_TEST(test_A21_narrow_deleted),
	TAP_TEST(test_L8_outside_the_child),
	TAP_TEST(test_A19_suite),
	TAP_TEST(test_A19_suite_refused),
	TAP_TEST(test_A14_method_demanded),
	TAP_TEST(test_A14_method_not_demanded),
	TAP_TEST(test_A14_method_impossible),
	TAP_TEST(test_A14_no_ride_on_another_method),
	TAP_TEST(test_A14_no_ride_on_what_may_be),
	TAP_TEST(test_A20_before_any_packet),
	TAP_TEST(test_L8_every_allocation_fails_once),
	TAP_TEST(test_L8_bad_wire),
};

TAP_MAIN("requests", tests)
