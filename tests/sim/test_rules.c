/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that only an attacker on the way, a flood or a shortage of memory puts to the test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "control/ike/halfopen.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS};

/* struct capture - what one side sent, newest last; drop: it does not arrive. */
struct capture {
	unsigned from;
	bool drop;
	uint32_t num;
	size_t len;
	uint8_t last[2048];
};

static bool capturing(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct capture *c = ctx;

	(void)s;
	if (from != c->from)
		return true;
	CU_ASSERT_FATAL(*len <= sizeof(c->last));
	memcpy(c->last, bytes, *len);
	c->len = *len;
	c->num++;
	return !c->drop;
}

static struct sim *watched(const struct sim_options *opt, struct capture *c)
{
	struct sim *s = sim_new(1, opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->tap = capturing;
	s->tap_ctx = c;
	return s;
}

static struct ike_sa *only_sa(struct sim *s, unsigned side)
{
	struct list_node *all = &s->n[side].e->sas;

	CU_ASSERT_FATAL(!list_empty(all) && all->next == all->prev);
	return list_entry(all->next, struct ike_sa, node);
}

static uint32_t num_half_open(struct sim *s)
{
	struct ike_stats st;

	ike_stats(s->n[B].e, &st);
	return st.half_open;
}

/* ---- every state, with every log line (S9) -------------------------------------------------- */

static size_t lines;

static void count_line(void *ctx, enum log_level level, enum log_subsystem sub, const char *conn,
		       const char *line)
{
	(void)ctx, (void)level, (void)sub, (void)conn;
	lines += strlen(line) > 0;
}

static enum sa_state wanted;
static unsigned wanted_side;

static struct ike_sa *sa_in_state(struct sim *s)
{
	list_for_each (n, &s->n[wanted_side].e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->state == wanted)
			return sa;
	}
	return NULL;
}

static bool in_state(struct sim *s)
{
	return sa_in_state(s) != NULL;
}

static bool is_eap(enum sa_state state)
{
	return (state >= SA_I_EAP_SERVER && state <= SA_I_EAP) ||
	       (state >= SA_R_EAP_SIGN && state <= SA_R_EAP_PPK);
}

static bool is_resumption(enum sa_state state)
{
	return state == SA_I_JUDGE || state == SA_I_RESUME || state == SA_I_RESUMED ||
	       state == SA_R_RESUMED || state == SA_R_JUDGE;
}

#define EXTRA SIM_PPK "\n resumption = yes\n follow_redirects = yes"

/* A world whose side A, or as responder B, is in a state. */
static struct sim *brought_to(enum sa_state state)
{
	const bool eap = is_eap(state),
		   sign = eap || state == SA_R_SIGN || state == SA_R_JUDGE || state == SA_I_JUDGE;
	const char *(*const conf)(unsigned, const char *, const char *) = eap    ? sim_conf_eap
									  : sign ? sim_conf_sign
										 : sim_conf;
	const struct sim_options opt = {
		.wire = {.delay_ns = 20 * NS_PER_MS, .ask_ns = 20 * NS_PER_MS},
		.conf = {sim_with_ppk(A, conf(A, EXTRA, "")), sim_with_ppk(B, conf(B, EXTRA, ""))},
		.by_keyring = eap,
		.sign = sign};
	struct sim *s = sim_new(3, &opt);

	if (state == SA_I_PUZZLE)
		sim_puzzles(s, B);
	wanted = state;
	wanted_side = state >= SA_R_INIT && state <= SA_R_ACCEPT ? B : A;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	if (is_resumption(state)) {
		sim_run(s, s->now_ns + NS_PER_S);
		forge_lost(s);
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	} else if (state == SA_I_FIND || state > SA_ESTABLISHED) {
		sim_run(s, s->now_ns + NS_PER_S);
		if (state == SA_I_FIND)
			(void)!sim_redirect(s, B, "gw.example");
		else if (state == SA_REKEYED)
			(void)!sim_rekey(s, B, NULL);
		else
			(void)!sim_terminate(s, A, NULL);
	}
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 5 * NS_PER_S, in_state));
	return s;
}

/* A message of the peer with its key, if there is one by now. */
static void throw_at(struct sim *s, uint8_t exchange, bool response, uint32_t num)
{
	static const struct ike_payload p[] = {{.type = PAYLOAD_SA}, {.type = PAYLOAD_DELETE}};
	struct ike_sa *sa = sa_in_state(s), *peer;
	uint8_t buf[512];
	size_t len;

	if (!sa)
		return;
	peer = forge_sa(s, !wanted_side,
			&(struct ike_header){.spi_i = sa->spi_i, .spi_r = sa->spi_r});
	if (!peer)
		return;
	len = forge_bare(s, peer, exchange, response ? IKE_FLAG_RESPONSE : 0,
			 response ? sa->out.x.next_id : sa->in.x.next_id, p, num, buf, sizeof(buf));
	sim_inject(s, wanted_side, buf, len);
}

/* What has no place in a state is dropped or refused, and the lines about it can be written. */
static void test_S9_every_state_at_debug_level(void)
{
	static const uint8_t exchanges[] = {IKE_SA_INIT,   IKE_AUTH,           CREATE_CHILD_SA,
					    INFORMATIONAL, IKE_SESSION_RESUME, 99};
	struct log_sink sink = {.write = count_line};

	for (unsigned i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		sink.levels[i] = LOG_DEBUG;
	lines = 0;
	for (unsigned state = SA_I_INIT; state < SA_DEAD; state++) {
		for (unsigned i = 0; i < 4 * ARRAY_LEN(exchanges); i++) {
			struct sim *s = brought_to(state);

			log_use(&sink);
			throw_at(s, exchanges[i / 4], i & 1, i & 2);
			for (unsigned side = 0; side < 2; side++)
				(void)!sim_terminate(s, side, NULL);
			sim_run(s, s->now_ns + 300 * NS_PER_S);
			CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
			CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
			sim_free(s);
			log_use(NULL);
		}
	}
	CU_ASSERT_TRUE(lines > 1000);
}

/* ---- half states (S33) ---------------------------------------------------------------------- */

/* One allocation of a re-key fails, whichever it is: what the two sides have stays the same. */
static void rekey_short_of_memory(const char *child)
{
	const struct sim_options opt = {
		.wire = calm,
		.conf = {sim_conf(A, "", "esp_proposals = aes256gcm16-x25519"),
			 sim_conf(B, "", "esp_proposals = aes256gcm16-x25519")}};
	uint64_t total = 0;
	char why[200];

	for (uint64_t nth = 0; nth <= total; nth++) {
		struct sim *s = sim_new(1, &opt);
		uint64_t before;

		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		before = alloc_count();
		alloc_fail_nth(nth);
		(void)!sim_rekey(s, A, child);
		sim_run(s, s->now_ns + NS_PER_S / 2);
		alloc_fail_nth(0);
		if (nth == 0)
			total = alloc_count() - before;
		sim_run(s, s->now_ns + 100 * NS_PER_S); /* a lost last response takes that long */
		if (!sim_same(s, why)) {
			tap_diag("allocation %lu of %lu: %s", (unsigned long)nth,
				 (unsigned long)total, why);
			CU_FAIL("the sides differ");
		}
		CU_ASSERT_TRUE(sim_up(s));
		sim_free(s);
	}
	CU_ASSERT_TRUE(total > 20);
}

static void test_S33_rekey_child(void)
{
	rekey_short_of_memory("tun");
}

static void test_S33_rekey_ike(void)
{
	rekey_short_of_memory(NULL);
}

/* The same for the handshake: either both sides are up or neither is. */
static void test_S33_handshake(void)
{
	const struct sim_options opt = {.wire = calm};
	uint64_t total = 0;
	char why[200];

	for (uint64_t nth = 0; nth <= total; nth++) {
		struct sim *s = sim_new(1, &opt);
		uint64_t before = alloc_count();

		alloc_fail_nth(nth);
		(void)!sim_initiate(s, A, "tun");
		sim_run(s, s->now_ns + NS_PER_S / 2);
		alloc_fail_nth(0);
		if (nth == 0)
			total = alloc_count() - before;
		sim_run(s, s->now_ns + 100 * NS_PER_S);
		if (!sim_same(s, why)) {
			tap_diag("allocation %lu of %lu: %s", (unsigned long)nth,
				 (unsigned long)total, why);
			CU_FAIL("the sides differ");
		}
		sim_free(s);
	}
	CU_ASSERT_TRUE(total > 30);
}

/* ---- floods (S40, S43) ---------------------------------------------------------------------- */

/* The captured first message, with another SPI, from any address. */
static void flood(struct sim *s, struct capture *first, const struct ip_addr *from, uint64_t spi)
{
	struct ike_datagram dg = {
		.path = {.local = s->n[B].addr, .remote = {.addr = *from, .port = 500}},
		.bytes = bytes_of(first->last, first->len)};

	store_be64(first->last, spi);
	ike_receive(s->n[B].e, &dg, s->now_ns);
	sim_settle(s, B);
}

static struct ip_addr v4(uint8_t last)
{
	const uint8_t b[4] = {198, 51, 100, last};

	return ip_addr_v4(b);
}

static struct ip_addr v6(uint8_t subnet, uint8_t last)
{
	const uint8_t b[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, subnet, [15] = last};

	return ip_addr_v6(b);
}

static const char any_peer[] = "connections { net { local { auth = psk }\n remote { auth = psk }\n"
			       " children { tun { } } } }\n";

static struct sim *flooded(struct capture *first, struct ike_limits limits)
{
	const struct sim_options opt = {.wire = calm, .conf[B] = any_peer, .limits[B] = limits};
	struct sim *s = watched(&opt, first);

	first->from = A;
	first->drop = true;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(first->num, 1);
	return s;
}

/* Blocks of memory that are in use. */
static long num_blocks;

static void *counted_realloc(void *ctx, void *p, size_t n)
{
	(void)ctx;
	if (!n) {
		num_blocks -= p != NULL;
		free(p);
		return NULL;
	}

	void *q = realloc(p, n);

	num_blocks += !p && q;
	return q;
}

/* With cookies on, who did not prove its address costs no byte of memory. */
static void test_S40_no_state(void)
{
	struct capture first = {.num = 0};
	struct sim *s = flooded(&first, (struct ike_limits){.cookies_always = true});
	struct ip_addr from;
	struct ike_stats st;
	long in_use = 0;

	for (uint64_t i = 0; i < 1000; i++) {
		if (i == 10) /* what is made once is there */
			in_use = num_blocks;
		from = i & 1 ? v4((uint8_t)i) : v6((uint8_t)i, 1);
		s->tap = NULL;
		s->wire.loss = 100; /* no answer is kept on its way either */
		flood(s, &first, &from, 1000 + i);
	}
	CU_ASSERT_TRUE(in_use > 0);
	CU_ASSERT_EQUAL(num_blocks, in_use);
	ike_stats(s->n[B].e, &st);
	CU_ASSERT_EQUAL(st.cookies_sent, 1000);
	CU_ASSERT_EQUAL(st.half_open, 0);
	CU_ASSERT_TRUE(list_empty(&s->n[B].e->sas));
	sim_free(s);
}

/* Whoever has an IPv6 network has 2^64 addresses. */
static void test_S43_per_network(void)
{
	struct capture first = {.num = 0};
	struct sim *s = flooded(&first, (struct ike_limits){.half_open_per_source = 5});
	struct ip_addr from;

	for (uint8_t i = 0; i < 20; i++) {
		from = v6(1, i);
		flood(s, &first, &from, 1000 + i);
	}
	CU_ASSERT_EQUAL(num_half_open(s), 5);
	from = v6(2, 1);
	flood(s, &first, &from, 5000);
	CU_ASSERT_EQUAL(num_half_open(s), 6);
	sim_free(s);
}

static void test_S43_in_all(void)
{
	struct capture first = {.num = 0};
	struct sim *s = flooded(&first, (struct ike_limits){.half_open_max = 7});
	struct ip_addr from;

	for (uint8_t i = 0; i < 20; i++) {
		from = v4(i);
		flood(s, &first, &from, 1000 + i);
	}
	CU_ASSERT_EQUAL(num_half_open(s), 7);
	sim_free(s);
}

/* In a crowd a half-open IKE SA goes sooner. */
static void test_S43_short_life_in_a_crowd(void)
{
	struct capture first = {.num = 0};
	struct sim *s = flooded(
		&first, (struct ike_limits){.cookie_threshold = 4, .half_open_ns = 60 * NS_PER_S});
	struct ip_addr from;

	for (uint8_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(halfopen_bound(s->n[B].e), 60 * NS_PER_S);
		from = v4(i);
		flood(s, &first, &from, 1000 + i);
	}
	CU_ASSERT_EQUAL(num_half_open(s), 4);
	CU_ASSERT_EQUAL(halfopen_bound(s->n[B].e), 10 * NS_PER_S);
	sim_free(s);
}

/* ---- a peer behind a NAT moves (S57) -------------------------------------------------------- */

static void test_S57_moves_when_it_answers(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);
	struct path_addr old, moved;
	struct ike_sa *sa;

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	sa = only_sa(s, B);
	old = moved = sa->path;
	moved.remote.port = 40000;
	/* ESP came from there: that alone is no reason to send everything there, */
	ike_child_moved(s->n[B].e, s->n[B].pairs[0].id, &moved, 0, s->now_ns);
	sim_settle(s, B);
	CU_ASSERT_EQUAL(sa->path.remote.port, old.remote.port);
	CU_ASSERT_TRUE(sa->out.waiting);
	/* but an answer to the question that went there is. */
	sim_run(s, s->now_ns + NS_PER_S / 2);
	CU_ASSERT_EQUAL(sa->path.remote.port, 40000);
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S9_every_state_at_debug_level),
	TAP_TEST(test_S33_rekey_child),
	TAP_TEST(test_S33_rekey_ike),
	TAP_TEST(test_S33_handshake),
	TAP_TEST(test_S40_no_state),
	TAP_TEST(test_S43_per_network),
	TAP_TEST(test_S43_in_all),
	TAP_TEST(test_S43_short_life_in_a_crowd),
	TAP_TEST(test_S57_moves_when_it_answers),
};

int main(void)
{
	static const struct alloc_ops counted = {.realloc = counted_realloc};

	alloc_set_ops(&counted);
	return tap_main("sim/rules", tests, ARRAY_LEN(tests));
}
