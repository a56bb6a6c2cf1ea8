/* SPDX-License-Identifier: Apache-2.0 */
/* Several paths are agreed on (docs/multiple-interfaces.md, section 3), or are not. */
#include <string.h>

#include "base/alloc.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS};

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static struct ike_sa *sa_of(struct sim *s, unsigned side)
{
	struct list_node *n = s->n[side].e->sas.prev;

	CU_ASSERT_FATAL(n != &s->n[side].e->sas);
	return list_entry(n, struct ike_sa, node);
}

static struct sim_options options(const char *a, const char *b)
{
	return (struct sim_options){.wire = calm, .conf = {sim_conf(A, a, ""), sim_conf(B, b, "")}};
}

static struct sim *up(const struct sim_options *opt, unsigned who)
{
	struct sim *s = sim_new(3, opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(sim_initiate(s, who, "tun"), ERR_OK);
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 10 * NS_PER_S, sim_up));
	after(s, NS_PER_S);
	return s;
}

static void look(void *ctx, const struct ike_sa_info *sa)
{
	*(struct ike_sa_info *)ctx = *sa;
}

static bool listed(struct sim *s, unsigned side, bool *decides)
{
	struct ike_sa_info info = {.unique = 0};

	ike_each_sa(s->n[side].e, look, &info);
	*decides = info.paths_decides;
	return info.paths;
}

/* Whoever begins, and whoever wants to decide: both sides see the same. */
static void test_M14_agreed(void)
{
	static const char *const conf[] = {"multiple_interfaces = yes",
					   "multiple_interfaces = decide",
					   "multiple_interfaces = no"};

	for (unsigned i = 0; i < 18; i++) {
		const unsigned who = i / 9, a = i % 3, b = i / 3 % 3;
		const struct sim_options opt = options(conf[a], conf[b]);
		struct sim *s = up(&opt, who);
		const bool expected = a != 2 && b != 2;
		const unsigned decider = a == b ? who : a == 1 ? A : B;
		bool decides[2];

		CU_ASSERT_EQUAL(listed(s, A, &decides[A]), expected);
		CU_ASSERT_EQUAL(listed(s, B, &decides[B]), expected);
		if (expected) {
			CU_ASSERT_EQUAL(decides[A], decider == A);
			CU_ASSERT_EQUAL(decides[B], decider == B);
			CU_ASSERT_EQUAL(sa_of(s, A)->mif.peer.max_ops, MIF_OPS_MAX);
			CU_ASSERT_EQUAL(sa_of(s, B)->mif.peer.max_paths, MIF_PATHS_MAX);
		}
		for (unsigned side = 0; side < 2; side++)
			CU_ASSERT_EQUAL(s->n[side].pairs[0].replay_window >= 4096, expected);
		CU_ASSERT_TRUE(sim_up(s));
		sim_free(s);
	}
}

/* What is said of the replay window is what it will be: what is configured, if that is more. */
static void test_M14_window(void)
{
	static const struct {
		const char *child;
		uint32_t window;
	} rows[] = {{"", 65536},
		    {"replay_window = 64", 65536},
		    {"replay_window = 100000", 100000},
		    {"replay_window = 0", UINT32_MAX}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sim_options opt = options("", "");
		struct sim *s;

		opt.conf[A] = sim_conf(A, "", rows[i].child);
		s = up(&opt, A);
		CU_ASSERT_EQUAL(sa_of(s, B)->mif.peer.window, rows[i].window);
		CU_ASSERT_EQUAL(sa_of(s, A)->mif.peer.window, 65536);
		sim_free(s);
	}
}

/* A data path that can have one path offers nothing. */
static void test_M14_one_path_only(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim_options opt = options("", "");
		bool decides;
		struct sim *s;

		opt.paths[side] = 1;
		s = up(&opt, A);
		CU_ASSERT_FALSE(listed(s, A, &decides) || listed(s, B, &decides));
		CU_ASSERT_FALSE(decides);
		CU_ASSERT_TRUE(sa_of(s, A)->mobike.on);
		sim_free(s);
	}
}

/* It stays when the IKE SA is re-keyed, by either side, and who decides stays, too. */
static void test_M14_rekeyed(void)
{
	const struct sim_options opt = options("", "");
	struct sim *s = up(&opt, A);
	bool decides;

	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(sim_rekey(s, i & 1, NULL), ERR_OK);
		after(s, 10 * NS_PER_S);
		CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
		CU_ASSERT_TRUE(listed(s, A, &decides) && decides);
		CU_ASSERT_TRUE(listed(s, B, &decides) && !decides);
	}
	CU_ASSERT_EQUAL(s->n[A].rekeyed_ike, 4);
	sim_free(s);
}

/* And when the peer is authenticated anew. */
static void test_M14_reauthenticated(void)
{
	const struct sim_options opt = options("", "");
	struct sim *s = up(&opt, A);
	const struct ike_reauth_params p = {.ike_id = sa_of(s, A)->unique};
	bool decides;

	CU_ASSERT_EQUAL(ike_reauthenticate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 2);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	CU_ASSERT_TRUE(listed(s, A, &decides) && decides);
	CU_ASSERT_TRUE(listed(s, B, &decides) && !decides);
	sim_free(s);
}

/* ---- messages that are changed on their way ---------------------------------------------------
 */

/* struct change - what is done with the messages of one side. */
struct change {
	uint8_t exchange;
	unsigned from;
	bool add_supported;  /* MIF_SUPPORTED is put in */
	bool take_supported; /* and taken out */
	bool take_vendor;
	bool sign_it; /* IKE_SA_INIT: the sender proves what was made of it */
	uint32_t done;
};

/* A Notify payload's body: protocol, SPI size, type, data. */
static const uint8_t supported[] = {0, 0, 0xa7, 0x10, 1, 8, 0, 1, 0, 64, 0, 0, 0, 0, 0, 64};

static bool is_supported(const struct ike_payload *p)
{
	struct wire_notify n;

	return p->type == PAYLOAD_NOTIFY && !wire_notify_parse(&n, p->body) &&
	       n.type == NOTIFY_MIF_SUPPORTED;
}

static void change(struct change *c, struct forge_msg *m)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->num; i++) {
		const bool taken = (c->take_supported && is_supported(&m->payloads[i])) ||
				   (c->take_vendor && m->payloads[i].type == PAYLOAD_VENDOR);

		c->done += taken;
		if (!taken)
			m->payloads[kept++] = m->payloads[i];
	}
	m->num = kept;
	if (!c->add_supported)
		return;
	m->payloads[m->num++] = (struct ike_payload){
		.type = PAYLOAD_NOTIFY, .body = bytes_of(supported, sizeof(supported))};
	c->done++;
}

static void prove(struct sim *s, unsigned side, const uint8_t *bytes, size_t len)
{
	struct handshake *hs = sa_of(s, side)->hs;

	mem_free(hs->request);
	hs->request = mem_dup(bytes, len);
	hs->request_len = len;
	CU_ASSERT_PTR_NOT_NULL_FATAL(hs->request);
}

static bool on_the_way(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static uint8_t out[FORGE_BUF];
	struct change *c = ctx;
	struct forge_msg m;
	size_t n;

	if (from != c->from || bytes[18] != c->exchange || !forge_open(s, &m, from, bytes, *len))
		return true;
	change(c, &m);
	n = forge_close(s, &m, from, out, sizeof(out));
	CU_ASSERT_FATAL(n > 0);
	if (n > *len) { /* the copy of the wire is as long as it was: it is delivered here */
		struct path_addr path = s->tapped;

		if (c->sign_it)
			prove(s, from, out, n);
		sim_deliver(s, !from, &path, out, n);
		return false;
	}
	memcpy(bytes, out, n);
	*len = n;
	return true;
}

/* Brings it up through a change; returns what B thinks of it. */
static bool on_at_b(struct change *c, const struct sim_options *opt, bool *up)
{
	struct sim *s = sim_new(3, opt);
	bool on;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->tap = on_the_way;
	s->tap_ctx = c;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	*up = sim_run_until(s, s->now_ns + 10 * NS_PER_S, sim_up);
	on = *up && sa_of(s, B)->mif.on;
	CU_ASSERT_TRUE(c->done > 0);
	CU_ASSERT_TRUE(!*up || on == sa_of(s, A)->mif.on);
	sim_free(s);
	return on;
}

/* The numbers are of private use: without the vendor ID they say nothing. */
static void test_M14_without_the_vendor_id(void)
{
	struct sim_options opt = options("", "");
	struct change c = {.exchange = IKE_AUTH, .from = A, .add_supported = true};
	bool up;

	opt.paths[A] = 1;
	CU_ASSERT_FALSE(on_at_b(&c, &opt, &up));
	CU_ASSERT_TRUE(up);
	c = (struct change){.exchange = IKE_AUTH, .from = B, .add_supported = true};
	opt.paths[A] = 0;
	opt.paths[B] = 1;
	CU_ASSERT_FALSE(on_at_b(&c, &opt, &up));
	CU_ASSERT_TRUE(up);
}

/* In the clear it says nothing either, though the peer proves to have sent it. */
static void test_M14_in_the_clear(void)
{
	const struct sim_options opt = options("", "");
	struct change c = {
		.exchange = IKE_SA_INIT, .from = A, .add_supported = true, .sign_it = true};
	struct sim *s = sim_new(3, &opt);

	s->tap = on_the_way;
	s->tap_ctx = &c;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_MS); /* it was delivered at once */
	CU_ASSERT_EQUAL(c.done, 1);
	CU_ASSERT_FALSE(sa_of(s, B)->mif.on);
	c = (struct change){.exchange = IKE_AUTH, .from = A, .take_supported = true};
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 10 * NS_PER_S, sim_up));
	CU_ASSERT_EQUAL(c.done, 1);
	CU_ASSERT_FALSE(sa_of(s, B)->mif.on || sa_of(s, A)->mif.on);
	sim_free(s);
}

/* Nobody makes two who could do without it: what is taken out of IKE_SA_INIT is missed by AUTH. */
static void test_M14_no_downgrade(void)
{
	const struct sim_options opt = options("", "");

	for (unsigned from = 0; from < 2; from++) {
		struct change c = {.exchange = IKE_SA_INIT, .from = from, .take_vendor = true};
		bool up;

		CU_ASSERT_FALSE(on_at_b(&c, &opt, &up));
		CU_ASSERT_FALSE(up);
	}
}

/* After the handshake there is nothing to be agreed on. */
static void test_M14_too_late(void)
{
	const struct sim_options opt = options("", "multiple_interfaces = no");
	struct sim *s = up(&opt, A);
	const struct ike_payload p = {.type = PAYLOAD_NOTIFY,
				      .body = bytes_of(supported, sizeof(supported))};
	uint8_t out[1024];
	size_t n;

	for (unsigned from = 0; from < 2; from++) {
		n = forge_bare(s, sa_of(s, from), INFORMATIONAL, 0, sa_of(s, !from)->in.x.next_id,
			       &p, 1, out, sizeof(out));
		CU_ASSERT_FATAL(n > 0);
		sim_inject(s, !from, out, n);
		after(s, NS_PER_S);
		CU_ASSERT_EQUAL(sa_of(s, !from)->state, SA_ESTABLISHED);
		CU_ASSERT_FALSE(sa_of(s, !from)->mif.on);
	}
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M14_agreed),          TAP_TEST(test_M14_window),
	TAP_TEST(test_M14_one_path_only),   TAP_TEST(test_M14_rekeyed),
	TAP_TEST(test_M14_reauthenticated), TAP_TEST(test_M14_without_the_vendor_id),
	TAP_TEST(test_M14_in_the_clear),    TAP_TEST(test_M14_no_downgrade),
	TAP_TEST(test_M14_too_late),
};

TAP_MAIN("sim/mif", tests)
