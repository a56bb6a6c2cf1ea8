/* SPDX-License-Identifier: Apache-2.0 */
/* Transport mode as it is negotiated (RFC 7296 1.3.1, 2.23.1). */
#include <stdio.h>
#include <string.h>

#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

/* With it each side takes the other one to be behind a translator. */
static const char *encap = "no";

static const char *conf_of(unsigned side, const char *child)
{
	static char text[2][1024];

	snprintf(text[side], sizeof(text[side]),
		 "connections { net { remote_addrs = %s\n encap = %s\n"
		 " local { auth = psk\n id = host%u.example }\n"
		 " remote { auth = psk\n id = host%u.example }\n"
		 " children { tun { %s } } } }",
		 side == A ? "192.0.2.2" : "%any", encap, side + 1, 2 - side, child);
	return text[side];
}

static struct sim *begin(const char *a, const char *b, uint16_t nat)
{
	struct sim_options opt = {.wire = calm, .workers = {2, 2}};
	struct sim *s;

	opt.conf[A] = conf_of(A, a);
	opt.conf[B] = conf_of(B, b);
	s = sim_new(1, &opt);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->nat = nat;
	return s;
}

static struct sim *bring_up(const char *a, const char *b, uint16_t nat)
{
	struct sim *s = begin(a, b, nat);

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	return s;
}

static bool modes_are(const struct sim *s, enum sa_mode mode)
{
	return sim_newest(s, A)->mode == mode && sim_newest(s, B)->mode == mode;
}

static bool ts_is(const struct ts *ts, const char *text)
{
	char buf[TS_TEXT_MAX];

	ts_text(buf, ts);
	if (strcmp(buf, text) != 0)
		tap_diag("%s is not %s", buf, text);
	return strcmp(buf, text) == 0;
}

static bool addr_is(const struct ip_addr *addr, const char *text)
{
	char buf[IP_TEXT_MAX];

	ip_addr_text(buf, addr);
	if (strcmp(buf, text) != 0)
		tap_diag("%s is not %s", buf, text);
	return strcmp(buf, text) == 0;
}

/* Agreed, kept by a re-key of either side and under a new IKE SA. */
static void test_agreed(void)
{
	struct sim *s = bring_up("mode = transport", "mode = transport", 0);

	CU_ASSERT_TRUE(modes_are(s, SA_TRANSPORT));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, A)->local, "192.0.2.1/32"));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, A)->remote, "192.0.2.2/32"));
	CU_ASSERT_EQUAL(sim_newest(s, A)->seen_local.family, IP_NONE);
	for (unsigned side = A; side <= B; side++) {
		CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
		CU_ASSERT_TRUE(modes_are(s, SA_TRANSPORT));
		CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
	}
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 2);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_ike, 2);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), 1);
	sim_free(s);
}

/* By CREATE_CHILD_SA, begun by the other side too. */
static void test_new_child(void)
{
	struct sim *s = bring_up("mode = transport", "mode = transport", 0);

	for (unsigned side = A; side <= B; side++) {
		CU_ASSERT_EQUAL(sim_terminate(s, side, "tun"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_EQUAL(sim_initiate(s, side, "tun"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_TRUE(modes_are(s, SA_TRANSPORT));
	}
	CU_ASSERT_EQUAL(s->n[A].ike_up, 1);
	sim_free(s);
}

/* Whoever does not want it gets a tunnel for the same traffic. */
static void test_tunnel_instead(void)
{
	struct sim *s = bring_up("mode = transport", "mode = tunnel", 0);

	CU_ASSERT_TRUE(modes_are(s, SA_TUNNEL));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, A)->local, "192.0.2.1/32"));
	CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_TRUE(modes_are(s, SA_TUNNEL));
	sim_free(s);
	s = bring_up("mode = tunnel", "mode = transport", 0);
	CU_ASSERT_TRUE(modes_are(s, SA_TUNNEL));
	sim_free(s);
}

/* Of several children the one in the mode that is asked for is taken. */
static void test_child_by_mode(void)
{
	struct sim *s = bring_up("mode = transport",
				 "mode = tunnel\n} other { mode = transport\n}"
				 " third { mode = tunnel",
				 0);

	CU_ASSERT_TRUE(modes_are(s, SA_TRANSPORT));
	CU_ASSERT_STRING_EQUAL(sim_newest(s, B)->name, "other");
	sim_free(s);
	s = bring_up("mode = tunnel", "mode = transport\n} other { mode = tunnel\n", 0);
	CU_ASSERT_TRUE(modes_are(s, SA_TUNNEL));
	CU_ASSERT_STRING_EQUAL(sim_newest(s, B)->name, "other");
	sim_free(s);
}

/* Selectors wider than the two ends are cut to them; with ports and protocol. */
static void test_clipped(void)
{
	struct sim *s =
		bring_up("mode = transport\n local_ts = 10.0.0.0/8, 192.0.2.0/24[tcp/22]\n"
			 " remote_ts = 192.0.2.0/28[tcp]",
			 "mode = transport\n local_ts = 0.0.0.0/0[tcp]\n remote_ts = 0.0.0.0/0", 0);

	CU_ASSERT_TRUE(modes_are(s, SA_TRANSPORT));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, A)->local, "192.0.2.1/32[tcp/22]"));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, A)->remote, "192.0.2.2/32[tcp]"));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, B)->local, "192.0.2.2/32[tcp]"));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, B)->remote, "192.0.2.1/32[tcp/22]"));
	sim_free(s);
}

/* Selectors that are for others than the two ends: offered as a tunnel. */
static void test_for_others(void)
{
	const char *a = "mode = transport\n local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16";
	const char *b = "mode = transport\n local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16";
	struct sim *s = bring_up(a, b, 0);

	CU_ASSERT_TRUE(modes_are(s, SA_TUNNEL));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, B)->remote, "10.1.0.0/16"));
	sim_free(s);
}

static void check_nat(struct sim *s)
{
	CU_ASSERT_TRUE(modes_are(s, SA_TRANSPORT));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, A)->local, "192.0.2.1/32"));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, A)->remote, "192.0.2.2/32"));
	CU_ASSERT_TRUE(addr_is(&sim_newest(s, A)->seen_local, "203.0.113.5"));
	CU_ASSERT_EQUAL(sim_newest(s, A)->seen_remote.family, IP_NONE);
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, B)->local, "192.0.2.2/32"));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, B)->remote, "203.0.113.5/32"));
	CU_ASSERT_TRUE(addr_is(&sim_newest(s, B)->seen_remote, "192.0.2.1"));
	CU_ASSERT_EQUAL(sim_newest(s, B)->seen_local.family, IP_NONE);
}

/* 2.23.1: each side has its own view of the addresses in its selectors and the other's beside it.
 */
static void test_behind_a_nat(void)
{
	struct sim *s = bring_up("mode = transport", "mode = transport", 10000);

	check_nat(s);
	for (unsigned side = A; side <= B; side++) {
		CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].rekeyed_child, side + 1);
		check_nat(s);
	}
	sim_free(s);
}

static void check_plain(struct sim *s)
{
	CU_ASSERT_TRUE(modes_are(s, SA_TRANSPORT));
	for (unsigned side = A; side <= B; side++) {
		CU_ASSERT_TRUE(
			ts_is(&sim_newest(s, side)->local, side ? "192.0.2.2/32" : "192.0.2.1/32"));
		CU_ASSERT_TRUE(ts_is(&sim_newest(s, side)->remote,
				     side ? "192.0.2.1/32" : "192.0.2.2/32"));
		CU_ASSERT_EQUAL(sim_newest(s, side)->seen_local.family, IP_NONE);
		CU_ASSERT_EQUAL(sim_newest(s, side)->seen_remote.family, IP_NONE);
	}
}

/* add_path - A has another path made, between the second addresses of both, in this way. */
static void add_path(struct sim *s, enum ike_path_act act)
{
	const struct ike_select sel = {.conn = "net"};
	const struct ike_path_op op = {.act = act,
				       .addr = {.local.addr = sim_addr(A, 1),
						.remote.addr = sim_addr(B, 1),
						.encap = ENCAP_UDP},
				       .priority = 1,
				       .policy = IKE_PATHS_AS_BEFORE};
	uint32_t num = 0;

	sim_have(s, B, 3, 0);
	sim_have(s, A, 3, 0);
	CU_ASSERT_EQUAL(ike_path(s->n[A].e, &num, NULL, &sel, &op, 1, s->now_ns), ERR_OK);
	sim_settle(s, A);
}

/* wait_there - until A's packets leave from its second address. */
static void wait_there(struct sim *s)
{
	const struct ip_addr from = sim_addr(A, 1);

	for (int i = 0; i < 4; i++) {
		sim_run(s, s->now_ns + NS_PER_S);
		sim_probe(s);
	}
	CU_ASSERT_TRUE(ip_addr_equal(&s->n[A].peers[0].path.local.addr, &from));
}

static void go_by(struct sim *s, enum ike_path_act act)
{
	s->nat = 0; /* it stood before the first address alone */
	add_path(s, act);
	wait_there(s);
}

/* go - A leaves its first address: to another path of both, or by MOBIKE. */
static void go(struct sim *s, bool several)
{
	if (several) {
		go_by(s, IKE_PATH_HARD);
		return;
	}
	sim_have(s, B, 3, 0);
	sim_have(s, A, 2, 1);
	wait_there(s);
}

/* What re-keys a pair is between the same two hosts, whatever path IKE goes by at that time; each
 * side knows them by the addresses that it knew before. */
static void test_M9_rekeyed_elsewhere(void)
{
	static const struct {
		uint16_t nat;
		bool several;
		void (*check)(struct sim *s);
	} cases[] = {{0, true, check_plain}, {10000, true, check_nat}, {0, false, check_plain}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sim *s = bring_up("mode = transport", "mode = transport", cases[i].nat);

		go(s, cases[i].several);
		for (unsigned side = A; side <= B; side++) {
			CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
			sim_run(s, s->now_ns + 10 * NS_PER_S);
			CU_ASSERT_EQUAL(s->n[A].rekeyed_child, side + 1);
			cases[i].check(s);
		}
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_EQUAL(sim_num_pairs(s, A), 1);
		sim_free(s);
	}
}

/* A pair for one worker, which either side asks for when it is needed, is like the shared one. */
static void test_M9_beside_elsewhere(void)
{
	const char *conf = "mode = transport\n per_cpu_sas = yes";
	struct sim *s = bring_up(conf, conf, 10000);

	go(s, true);
	for (unsigned side = A; side <= B; side++) {
		sim_alone(s, side, side);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
		CU_ASSERT_EQUAL(sim_num_pairs(s, A), 2 + side);
		CU_ASSERT_EQUAL(sim_num_pairs(s, B), 2 + side);
		CU_ASSERT_EQUAL(sim_newest(s, side)->worker, 1 + side);
		check_nat(s);
	}
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

static struct flow between(unsigned side, unsigned i)
{
	return (struct flow){.local = sim_addr(side, i),
			     .remote = sim_addr(!side, i),
			     .proto = 6,
			     .local_port = 1000,
			     .remote_port = 2000};
}

/* A packet asks for a new child while IKE goes by another path than the first: it is between the
 * addresses that the packet has, those of a path that has answered. */
static void test_M9_asked_elsewhere(void)
{
	for (unsigned i = 0; i < 4; i++) {
		const unsigned side = i % 2;

		encap = i / 2 ? "yes" : "no";
		struct sim *s = bring_up("mode = transport", "mode = transport", 0);
		const struct flow first = between(side, 0), second = between(side, 1);
		const struct ip_addr other = sim_addr(side, 1);

		go_by(s, IKE_PATH_SOFT);
		CU_ASSERT_EQUAL(sim_terminate(s, side, "tun"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_EQUAL(sim_num_pairs(s, A), 0);
		CU_ASSERT_EQUAL(sim_initiate_flow(s, side, "tun", &first), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_TRUE(ip_addr_equal(&sim_newest(s, side)->local.lo, &first.local));
		CU_ASSERT_TRUE(ip_addr_equal(&sim_newest(s, side)->remote.lo, &first.remote));
		CU_ASSERT_TRUE(modes_are(s, SA_TRANSPORT));
		CU_ASSERT_EQUAL(sim_terminate(s, side, "tun"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_EQUAL(sim_initiate_flow(s, side, "tun", &second), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_TRUE(ip_addr_equal(&sim_newest(s, side)->local.lo, &other));
		CU_ASSERT_TRUE(modes_are(s, SA_TRANSPORT));
		sim_free(s);
	}
	encap = "no";
}

/* Not between those of a path that has not answered: they may be anybody's. */
static void test_S57_not_of_any_path(void)
{
	struct sim *s = bring_up("mode = transport", "mode = transport", 0);
	const struct flow second = between(A, 1);
	struct ike_sa *sa;

	add_path(s, IKE_PATH_ADD);
	sim_run(s, s->now_ns + NS_PER_S);
	sa = list_entry(s->n[A].e->sas.next, struct ike_sa, node);
	CU_ASSERT_EQUAL_FATAL(sa->mif.paths.num, 2);
	sa->mif.paths.list[1].usable = true; /* says A */
	CU_ASSERT_EQUAL(sim_terminate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(sim_initiate_flow(s, A, "tun", &second), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 0);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_TS_UNACCEPTABLE);
	sim_free(s);
}

/* Without a child for it the selectors are those that were sent. */
static void test_tunnel_behind_a_nat(void)
{
	struct sim *s = bring_up("mode = transport",
				 "mode = tunnel\n remote_ts = 192.0.2.1, 203.0.113.5", 10000);

	CU_ASSERT_TRUE(modes_are(s, SA_TUNNEL));
	CU_ASSERT_TRUE(ts_is(&sim_newest(s, B)->remote, "192.0.2.1/32"));
	CU_ASSERT_EQUAL(sim_newest(s, B)->seen_remote.family, IP_NONE);
	sim_free(s);
}

/* ---- a peer that breaks the rules ------------------------------------------------------------ */

/* What a forged message gets or loses. */
struct forgery {
	unsigned from;
	uint8_t exchange; /* of the message; 0: IKE_AUTH */
	bool add;
	bool then_deaf;  /* A does not hear the answer, so that it closes nothing */
	const char *tsi; /* one selector in place of TSi; NULL = as it is */
	uint8_t ts[64];
};

static size_t put_ts(uint8_t *p, const char *text)
{
	struct ts ts = {0};

	CU_ASSERT_EQUAL(ts_parse(&ts, text), ERR_OK);
	memset(p, 0, 24);
	p[0] = 1;
	p[4] = 7; /* TS_IPV4_ADDR_RANGE */
	store_be16(p + 6, 16);
	store_be16(p + 10, 0xffff);
	memcpy(p + 12, ts.lo.b, 4);
	memcpy(p + 16, ts.hi.b, 4);
	return 20;
}

static void change(struct forgery *f, struct forge_msg *m)
{
	static const uint8_t notify[] = {0, 0, NOTIFY_USE_TRANSPORT_MODE >> 8,
					 NOTIFY_USE_TRANSPORT_MODE & 0xff};

	for (uint32_t i = 0; i < m->num; i++)
		if (f->tsi && m->payloads[i].type == PAYLOAD_TSI)
			m->payloads[i].body = bytes_of(f->ts, put_ts(f->ts, f->tsi));
	if (f->add)
		m->payloads[m->num++] = (struct ike_payload){
			.type = PAYLOAD_NOTIFY, .body = bytes_of(notify, sizeof(notify))};
}

static bool forge(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static uint8_t out[FORGE_BUF];
	struct forgery *f = ctx;
	struct forge_msg m;
	size_t n;

	if (from != f->from || bytes[18] != (f->exchange ? f->exchange : IKE_AUTH) ||
	    !forge_open(s, &m, from, bytes, *len))
		return true;
	change(f, &m);
	s->n[A].deaf |= f->then_deaf;
	n = forge_close(s, &m, from, out, sizeof(out));
	if (n)
		sim_inject(s, !from, out, n);
	return false;
}

static struct sim *forged(struct forgery f, const char *a, const char *b)
{
	struct sim *s = begin(a, b, 0);

	s->tap = forge;
	s->tap_ctx = &f;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	s->tap = NULL;
	return s;
}

/* A responder that uses a mode which was not asked for has its pair closed. */
static void test_not_asked_for(void)
{
	struct sim *s =
		forged((struct forgery){.from = B, .add = true}, "mode = tunnel", "mode = tunnel");

	CU_ASSERT_EQUAL(s->n[A].failed, 1);
	CU_ASSERT_EQUAL(s->n[A].child_up, 0);
	sim_run(s, s->now_ns + 2 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), 0);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 0); /* closed there as well */
	sim_free(s);
}

/* An initiator that asks for transport mode between others than the two ends gets a tunnel if the
 * configuration has them, and nothing if it has not. */
static void test_S56_others_addresses(void)
{
	struct forgery f = {.from = A, .then_deaf = true, .tsi = "10.7.7.7"};
	struct sim *s = forged(f, "mode = transport", "mode = transport");

	CU_ASSERT_EQUAL(s->n[B].num_pairs, 0);
	CU_ASSERT_EQUAL(s->n[B].last_failure, IKE_REASON_TS_UNACCEPTABLE);
	sim_free(s);
	s = forged(f, "mode = transport", "mode = transport\n remote_ts = 10.0.0.0/8");
	CU_ASSERT_EQUAL(sim_newest(s, B)->mode, SA_TUNNEL);
	sim_free(s);
	f.tsi = "192.0.2.0/31";
	s = forged(f, "mode = transport", "mode = transport\n remote_ts = 192.0.2.0/24");
	CU_ASSERT_EQUAL(sim_newest(s, B)->mode, SA_TUNNEL);
	sim_free(s);
}

/* rekey_for - a pair is re-keyed, and B's message names `other` in place of A's address, or of its
 * own: nothing comes of it. */
static void rekey_for(const char *other, unsigned asks, uint16_t nat)
{
	struct forgery f = {.from = B, .exchange = CREATE_CHILD_SA, .tsi = other};
	struct sim *s = bring_up("mode = transport", "mode = transport", nat);
	const uint32_t spi = sim_newest(s, A)->spi_in;

	s->tap = forge;
	s->tap_ctx = &f;
	CU_ASSERT_EQUAL(sim_rekey(s, asks, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 0);
	CU_ASSERT_EQUAL(sim_newest(s, A)->spi_in, spi);
	CU_ASSERT_TRUE(sim_newest(s, A)->in && sim_newest(s, B)->in);
	sim_free(s);
}

/* Nor does who re-keys a pair get it for other addresses, be they its own. */
static void test_S56_rekeyed_for_others(void)
{
	static const char *const others[] = {"10.7.7.7", "198.51.100.2", "192.0.2.9"};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		for (unsigned asks = A; asks <= B; asks++) {
			rekey_for(others[i], asks, 0);
			rekey_for(others[i], asks, 10000);
		}
	}
}

/* A responder that widens the addresses in its answer has its pair closed. */
static void widened(const char *tsi, const char *mode)
{
	struct sim *s = forged((struct forgery){.from = B, .tsi = tsi}, mode, mode);

	CU_ASSERT_EQUAL(s->n[A].num_pairs, 0);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_TS_UNACCEPTABLE);
	sim_free(s);
}

static void test_S56_widened_answer(void)
{
	widened("192.0.2.0/24", "mode = transport");
	widened("10.0.0.0/8", "mode = tunnel");
}

/* Policies of our own are not made with the peer. */
static void test_pass_and_drop(void)
{
	struct sim *s = begin("mode = tunnel", "mode = pass\n} other { mode = drop\n", 0);

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_EQUAL(sim_initiate(s, B, "tun"), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(sim_initiate(s, B, "other"), ERR_NOT_FOUND);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_TS_UNACCEPTABLE);
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_agreed),
	TAP_TEST(test_new_child),
	TAP_TEST(test_tunnel_instead),
	TAP_TEST(test_child_by_mode),
	TAP_TEST(test_clipped),
	TAP_TEST(test_for_others),
	TAP_TEST(test_behind_a_nat),
	TAP_TEST(test_M9_rekeyed_elsewhere),
	TAP_TEST(test_M9_beside_elsewhere),
	TAP_TEST(test_M9_asked_elsewhere),
	TAP_TEST(test_S57_not_of_any_path),
	TAP_TEST(test_tunnel_behind_a_nat),
	TAP_TEST(test_not_asked_for),
	TAP_TEST(test_S56_others_addresses),
	TAP_TEST(test_S56_rekeyed_for_others),
	TAP_TEST(test_S56_widened_answer),
	TAP_TEST(test_pass_and_drop),
};

TAP_MAIN("sim/transport", tests)
