/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual addresses (RFC 7296 2.19) as initiator. B has none to lend, so what stands on the wire
 * between the two lends them in its name: A's request is kept from B, a reply is put into B's
 * answer.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "control/ike/reauth.h"
#include "control/ike/wire/cp.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

static const char *road(const char *vips)
{
	static char text[2000];

	snprintf(text, sizeof(text),
		 "connections { net {\n local_addrs = 192.0.2.1\n remote_addrs = 192.0.2.2\n"
		 " vips = %s\n local { auth = psk\n id = host1.example }\n"
		 " remote { auth = psk\n id = host2.example }\n"
		 " children { tun { remote_ts = 10.2.0.0/16\n }\n two { remote_ts = 10.9.0.0/16\n }"
		 " } } }\n secrets { ike-1 { secret = \"a fairly long shared secret\" } }\n",
		 vips);
	return text;
}

static const char *gateway =
	"connections { net {\n local_addrs = 192.0.2.2\n remote_addrs = 192.0.2.1\n"
	" local { auth = psk\n id = host2.example }\n remote { auth = psk\n id = host1.example }\n"
	" children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.3.0.0/24, fd00:3::/64\n }\n"
	" two { local_ts = 10.9.0.0/16\n remote_ts = 10.3.0.0/24\n } } } }\n"
	"secrets { ike-1 { secret = \"a fairly long shared secret\" } }\n";

/* struct lender - the body of the reply, or nothing; what A asked for. */
struct lender {
	const uint8_t *reply;
	size_t reply_len;
	struct cp asked;
	bool has_asked, has_lent;
	bool wrong_auth;    /* one bit of it */
	bool without_child; /* what A asks of it is not in its request */
};

static void without_cp(struct forge_msg *m, struct lender *l)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < m->num; i++) {
		if (m->payloads[i].type == PAYLOAD_CP)
			l->has_asked = !cp_parse(&l->asked, m->payloads[i].body);
		else
			m->payloads[num++] = m->payloads[i];
	}
	m->num = num;
}

static void spoil_auth(struct forge_msg *m)
{
	static uint8_t auth[128];

	for (uint32_t i = 0; i < m->num; i++) {
		struct bytes *body = &m->payloads[i].body;

		if (m->payloads[i].type != PAYLOAD_AUTH)
			continue;
		CU_ASSERT_FATAL(body->len > 4 && body->len <= sizeof(auth));
		memcpy(auth, body->p, body->len);
		auth[body->len - 1] ^= 1;
		body->p = auth;
	}
}

static bool lend(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static struct forge_msg m;
	struct lender *l = ctx;

	if (bytes[18] != IKE_AUTH || !forge_open(s, &m, from, bytes, *len))
		return true;
	if (from == A) {
		without_cp(&m, l);
	} else if (l->reply_len) {
		l->has_lent = true;
		if (l->wrong_auth)
			spoil_auth(&m);
		m.payloads[m.num++] = (struct ike_payload){
			.type = PAYLOAD_CP, .body = bytes_of(l->reply, l->reply_len)};
	}
	{
		/* Not longer than what the simulated wire holds: the request lost its CP. */
		uint8_t out[2048];
		size_t n = forge_close(s, &m, from, out, sizeof(out));
		struct ike_datagram dg = {
			.path = {.local = s->n[!from].addr, .remote = s->n[from].addr},
			.bytes = bytes_of(out, n)};

		dg.path.local.port = dg.path.remote.port = 4500;
		dg.path.encap = ENCAP_UDP;
		ike_receive(s->n[!from].e, &dg, s->now_ns);
		sim_settle(s, !from);
	}
	return false;
}

static void drop_child(struct forge_msg *m)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < m->num; i++) {
		const uint8_t type = m->payloads[i].type;

		if (type != PAYLOAD_SA && type != PAYLOAD_TSI && type != PAYLOAD_TSR)
			m->payloads[num++] = m->payloads[i];
	}
	m->num = num;
}

/* A's proof is wrong by a bit, or it makes its IKE SA without a child. */
static bool spoil(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static struct forge_msg m;
	struct lender *l = ctx;

	if (from != A || bytes[18] != IKE_AUTH || !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++)
		l->has_asked |= m.payloads[i].type == PAYLOAD_CP;
	if (l->without_child)
		drop_child(&m);
	else
		spoil_auth(&m);
	*len = forge_close(s, &m, from, bytes, 2048);
	return true;
}

static struct sim *begin(struct lender *l, const char *vips)
{
	const struct sim_options opt = {.wire = calm, .conf = {road(vips), gateway}};
	struct sim *s = sim_new(1, &opt);

	s->tap = lend;
	s->tap_ctx = l;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	return s;
}

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static const uint8_t reply4[] = {2, 0, 0, 0, 0, 1, 0, 4, 10, 3, 0, 7, 0, 3, 0, 4, 10, 2, 0, 53};

struct listed {
	struct ip_addr vips[8], dns[8], local;
	uint32_t num_vips, num_dns, num_sas, num_children;
	bool whole; /* a child's selectors are of one address */
};

static void list(void *ctx, const struct ike_sa_info *sa)
{
	struct listed *l = ctx;

	l->num_sas++;
	l->num_vips += sa->num_vips;
	l->num_dns += sa->num_dns;
	for (uint32_t i = 0; i < sa->num_children; i++) {
		l->num_children++;
		l->local = sa->children[i].local[0].lo;
		l->whole =
			ip_addr_equal(&sa->children[i].local[0].lo, &sa->children[i].local[0].hi);
	}
}

static struct listed listed(struct sim *s, unsigned side)
{
	struct listed l = {.num_sas = 0};

	ike_each_sa(s->n[side].e, list, &l);
	return l;
}

static bool is_lent(const struct ip_addr *a)
{
	return a->family == IP_V4 && memcmp(a->b, reply4 + 8, 4) == 0;
}

static bool lent_local(struct sim *s)
{
	const struct listed l = listed(s, A);

	return is_lent(&l.local);
}

/* Asked for, lent, installed before the child, used for `dynamic`, kept over a re-key, taken away.
 */
static void test_lent(void)
{
	struct lender l = {.reply = reply4, .reply_len = sizeof(reply4)};
	struct sim *s = begin(&l, "0.0.0.0");

	after(s, NS_PER_S);
	CU_ASSERT_TRUE(l.has_asked && l.asked.type == CFG_REQUEST && l.asked.num_addrs == 1);
	CU_ASSERT_TRUE(l.asked.addrs[0].family == IP_V4 && ip_addr_is_any(&l.asked.addrs[0]));
	CU_ASSERT_EQUAL_FATAL(s->n[A].num_addresses, 1);
	CU_ASSERT_TRUE(is_lent(&s->n[A].addresses[0]));
	CU_ASSERT_TRUE(listed(s, A).num_vips == 1 && listed(s, A).num_dns == 1);
	CU_ASSERT_TRUE(listed(s, A).whole && lent_local(s));
	CU_ASSERT_EQUAL(sim_initiate(s, A, "two"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(listed(s, A).num_children, 2);
	CU_ASSERT_TRUE(lent_local(s));
	CU_ASSERT_EQUAL(sim_rekey(s, A, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_rekey(s, B, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_ike, 2);
	CU_ASSERT_TRUE(s->n[A].num_addresses == 1 && listed(s, A).num_vips == 1);
	CU_ASSERT_EQUAL(sim_terminate(s, A, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	sim_free(s);
}

/* The IKE SA stands, the child does not, on either side. */
static void refused(const uint8_t *reply, size_t len, const char *vips, const char *text)
{
	struct lender l = {.reply = reply, .reply_len = len};
	struct sim *s = begin(&l, vips);

	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(listed(s, A).num_sas == 1 && listed(s, B).num_sas == 1);
	CU_ASSERT_EQUAL(listed(s, A).num_children, 0);
	CU_ASSERT_EQUAL(listed(s, B).num_children, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, text));
	CU_ASSERT_TRUE(!s->n[A].num_pairs && !s->n[B].num_pairs);
	sim_free(s);
}

static void test_not_lent(void)
{
	static const uint8_t other_family[] = {2, 0, 0, 0, 0, 8, 0, 16, 0xfd, 0, 0, 3,
					       0, 0, 0, 0, 0, 0, 0, 0,  0,    0, 0, 1};
	static const uint8_t outside[] = {2, 0, 0, 0, 0, 1, 0, 4, 10, 99, 0, 7};

	refused(NULL, 0, "0.0.0.0", "lends no address");
	refused(other_family, sizeof(other_family), "0.0.0.0", "lends no address");
	refused(outside, sizeof(outside), "0.0.0.0", "outside");
}

/* What somebody lends who does not prove who it is never reaches the host. */
static void test_S20_lent_by_nobody(void)
{
	struct lender l = {.reply = reply4, .reply_len = sizeof(reply4), .wrong_auth = true};
	struct sim *s = begin(&l, "0.0.0.0");

	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(l.has_lent);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_AUTH_FAILED_LOCAL);
	CU_ASSERT_EQUAL(s->n[A].num_lent, 0);
	CU_ASSERT_TRUE(sim_clean(s, A));
	sim_free(s);
}

/* More than was asked for is not taken; a broken reply ends the handshake, and nothing is left. */
static void test_more_and_broken(void)
{
	static const uint8_t more[] = {2, 0, 0,  0, 0, 1, 0, 4, 10, 3, 0,  7, 0, 1,
				       0, 4, 10, 3, 0, 8, 0, 1, 0,  4, 10, 3, 0, 9};
	static const uint8_t broken[] = {2, 0, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1};
	struct lender l = {.reply = more, .reply_len = sizeof(more)};
	struct sim *s = begin(&l, "0.0.0.0");

	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].num_addresses, 1);
	sim_free(s);
	l.reply = broken;
	l.reply_len = sizeof(broken);
	s = begin(&l, "0.0.0.0");
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_MALFORMED);
	CU_ASSERT_TRUE(sim_clean(s, A));
	sim_free(s);
}

/* As responder we have nothing to lend: said politely, and the IKE SA stands (2.19, 3.10.1). */
static void test_asked(void)
{
	const struct sim_options opt = {.wire = calm, .conf = {road("0.0.0.0, ::"), gateway}};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(listed(s, A).num_sas == 1 && listed(s, B).num_sas == 1);
	CU_ASSERT_EQUAL(listed(s, A).num_children + listed(s, B).num_children, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "INTERNAL_ADDRESS_FAILURE"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "virtual address"));
	CU_ASSERT_EQUAL(s->n[A].num_addresses, 0);
	sim_free(s);
}

static void test_fail_every_allocation(void)
{
	uint64_t total = 0;

	for (uint64_t nth = 0; nth <= total; nth++) {
		struct lender l = {.reply = reply4, .reply_len = sizeof(reply4)};
		const struct sim_options opt = {.wire = calm, .conf = {road("0.0.0.0"), gateway}};
		struct sim *s = sim_new(1, &opt);
		uint64_t before = alloc_count();

		s->tap = lend;
		s->tap_ctx = &l;
		alloc_fail_nth(nth);
		(void)!sim_initiate(s, A, "tun");
		after(s, NS_PER_S / 2);
		alloc_fail_nth(0);
		if (nth == 0)
			total = alloc_count() - before;
		after(s, 100 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].num_addresses, listed(s, A).num_vips);
		(void)!sim_terminate(s, A, NULL);
		after(s, NS_PER_S);
		CU_ASSERT_TRUE(sim_clean(s, A));
		sim_free(s);
	}
	CU_ASSERT_TRUE(total > 30);
}

/* The address of the gateway itself, then a good one: the gateway stays where it is. */
static void test_S57_address_of_a_peer(void)
{
	static const uint8_t reply[] = {2, 0, 0, 0, 0, 1, 0,  4, 192, 0,
					2, 2, 0, 1, 0, 4, 10, 3, 0,   7};

	for (size_t n = 0; n < 2; n++) {
		struct lender l = {.reply = reply, .reply_len = n ? sizeof(reply) : 12};
		struct sim *s = begin(&l, "0.0.0.0");

		after(s, NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].num_addresses, n);
		CU_ASSERT_EQUAL(listed(s, A).num_vips, n);
		CU_ASSERT_EQUAL(listed(s, A).num_children, n);
		CU_ASSERT_EQUAL(lent_local(s), n == 1);
		sim_free(s);
	}
}

/* ---- with pools ------------------------------------------------------------------------------ */

static const char *lender(const char *pools)
{
	static char text[3000];

	snprintf(text, sizeof(text),
		 "connections { net {\n local_addrs = 192.0.2.2\n remote_addrs = 192.0.2.1\n"
		 " pools = %s\n local { auth = psk\n id = host2.example }\n"
		 " remote { auth = psk\n id = host1.example }\n children {\n"
		 " tun { local_ts = 10.2.0.0/16, fd00:2::/64\n remote_ts = dynamic\n }\n"
		 " two { local_ts = 10.9.0.0/16\n remote_ts = dynamic\n } } } }\n"
		 "pools { four { addrs = 10.3.0.0/24\n dns = 10.2.0.53\n subnet = 10.2.0.0/16 }\n"
		 " six { addrs = fd00:3::/64\n dns = fd00:2::53 } one { addrs = 10.4.0.1 } }\n"
		 "secrets { ike-1 { secret = \"a fairly long shared secret\" } }\n",
		 pools);
	return text;
}

static struct sim *ask(const char *vips, const char *pools)
{
	const struct sim_options opt = {.wire = calm, .conf = {road(vips), lender(pools)}};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	return s;
}

/* struct lent_now - what B lists. */
struct lent_now {
	struct ip_addr addrs[8], remote;
	uint32_t num, online, offline;
};

static void see_sa(void *ctx, const struct ike_sa_info *sa)
{
	struct lent_now *l = ctx;

	for (uint32_t i = 0; i < sa->num_lent; i++)
		l->addrs[l->num++] = sa->lent[i];
	if (sa->num_children)
		l->remote = sa->children[0].remote[0].lo;
}

static void see_lease(void *ctx, const struct ike_lease *lease)
{
	struct lent_now *l = ctx;

	*(lease->online ? &l->online : &l->offline) += 1;
}

static struct lent_now lent_now(struct sim *s, const char *pool)
{
	struct lent_now l = {.num = 0};

	ike_each_sa(s->n[B].e, see_sa, &l);
	ike_each_lease(s->n[B].e, pool, see_lease, &l);
	return l;
}

/* Lent when the peer is authenticated, what `dynamic` stands for on both sides, kept over re-keys
 * of either side, given back with the IKE SA, and had again. */
static void test_pool(void)
{
	struct sim *s = ask("0.0.0.0, ::", "four, six");
	struct lent_now l;

	for (unsigned turn = 0; turn < 2; turn++) {
		after(s, NS_PER_S);
		l = lent_now(s, "four");
		CU_ASSERT_EQUAL_FATAL(l.num, 2);
		CU_ASSERT_TRUE(l.online == 1 && l.offline == 0 && lent_now(s, "six").online == 1);
		CU_ASSERT_EQUAL(s->n[A].num_addresses, 2);
		CU_ASSERT_TRUE(ip_addr_equal(&s->n[A].addresses[0], &l.addrs[0]));
		CU_ASSERT_TRUE(ip_addr_equal(&l.remote, &l.addrs[0]) && l.addrs[0].b[3] == 1);
		CU_ASSERT_TRUE(listed(s, A).num_vips == 2 && listed(s, A).num_dns == 2);
		CU_ASSERT_TRUE(listed(s, A).whole);
		CU_ASSERT_EQUAL(sim_initiate(s, A, "two"), ERR_OK);
		after(s, NS_PER_S);
		CU_ASSERT_EQUAL(listed(s, B).num_children, 2);
		for (unsigned side = 0; side < 2; side++) {
			CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
			after(s, NS_PER_S);
			CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
			after(s, NS_PER_S);
		}
		CU_ASSERT_TRUE(lent_now(s, "four").num == 2 && lent_now(s, "four").online == 1);
		CU_ASSERT_EQUAL(s->n[A].num_addresses, 2);
		CU_ASSERT_EQUAL(sim_terminate(s, A, NULL), ERR_OK);
		after(s, NS_PER_S);
		l = lent_now(s, "four");
		CU_ASSERT_TRUE(l.num == 0 && l.online == 0 && l.offline == 1);
		if (!turn)
			CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	}
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	sim_free(s);
}

/* The peer's child is for what it was lent, whatever else it asks for. */
static void test_S56_only_what_was_lent(void)
{
	static const char asks[] =
		"connections { net {\n local_addrs = 192.0.2.1\n remote_addrs = 192.0.2.2\n"
		" vips = 0.0.0.0\n local { auth = psk\n id = host1.example }\n"
		" remote { auth = psk\n id = host2.example }\n children { tun {\n"
		" local_ts = dynamic, 10.3.0.0/24, 192.0.2.1/32\n remote_ts = 10.2.0.0/16\n } } } "
		"}\n"
		"secrets { ike-1 { secret = \"a fairly long shared secret\" } }\n";
	const struct sim_options opt = {.wire = calm, .conf = {asks, lender("four")}};
	struct sim *s = sim_new(1, &opt);
	struct lent_now l;

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(listed(s, B).num_children == 1 && listed(s, A).whole);
	l = lent_now(s, "four");
	CU_ASSERT_TRUE(l.num == 1 && ip_addr_equal(&l.remote, &l.addrs[0]));
	sim_free(s);
}

/* No address, no child; the IKE SA stands, and both say why (2.19, 3.10.1). */
static void not_given(struct sim *s, const char *why)
{
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(listed(s, A).num_sas == 1 && listed(s, B).num_sas == 1);
	CU_ASSERT_EQUAL(listed(s, A).num_children + listed(s, B).num_children, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "INTERNAL_ADDRESS_FAILURE"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, why));
	CU_ASSERT_EQUAL(s->n[A].num_addresses + lent_now(s, "four").num, 0);
	sim_free(s);
}

/* An IKE SA without a child may be lent an address, too; and may be refused one, which is no more
 * than that: the child that was to follow is then for nothing. */
static void test_without_a_child(void)
{
	static const char *const pools[] = {"four", "six"};

	for (unsigned i = 0; i < 2; i++) {
		struct lender l = {.without_child = true};
		const struct sim_options opt = {.wire = calm,
						.conf = {road("0.0.0.0"), lender(pools[i])}};
		struct sim *s = sim_new(1, &opt);

		s->tap = spoil;
		s->tap_ctx = &l;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, NS_PER_S);
		CU_ASSERT_TRUE(l.has_asked);
		CU_ASSERT_EQUAL(listed(s, B).num_sas, 1);
		CU_ASSERT_EQUAL(lent_now(s, "four").num, i == 0);
		if (i == 1)
			CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "none to give"));
		sim_free(s);
	}
}

static void test_pool_has_none(void)
{
	struct sim *s = ask("0.0.0.0", "one");
	struct ike_id other;
	struct lease *l;
	const struct ip_addr any = {.family = IP_V4};

	CU_ASSERT_EQUAL(conf_id_parse(&other, "another.example"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(pool_lend(&l, &s->n[B].e->pools,
					conf_find_pool(s->n[B].e->conf, "one"),
					&(struct pool_peer){.conn = "net", .id = &other}, &any),
			      ERR_OK);
	not_given(s, "has one left");
	not_given(ask("::", "four"), "none to give");
	not_given(ask("0.0.0.0", "nothing"), "none to give");
}

/* Who does not prove who it is takes nothing out of a pool. */
static void test_S20_not_lent_to_nobody(void)
{
	struct lender l = {.wrong_auth = true};
	const struct sim_options opt = {.wire = calm, .conf = {road("0.0.0.0"), lender("four")}};
	struct sim *s = sim_new(1, &opt);

	s->tap = spoil;
	s->tap_ctx = &l;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(l.has_asked);
	CU_ASSERT_EQUAL(s->n[B].last_failure, IKE_REASON_AUTH_FAILED_LOCAL);
	CU_ASSERT_EQUAL(lent_now(s, "four").online + lent_now(s, "four").offline, 0);
	sim_free(s);
}

static void test_pool_out_of_memory(void)
{
	uint64_t total = 0;

	for (uint64_t nth = 0; nth <= total; nth++) {
		const struct sim_options opt = {.wire = calm,
						.conf = {road("0.0.0.0"), lender("four")}};
		struct sim *s = sim_new(1, &opt);
		uint64_t before = alloc_count();

		alloc_fail_nth(nth);
		(void)!sim_initiate(s, A, "tun");
		after(s, NS_PER_S / 2);
		alloc_fail_nth(0);
		if (nth == 0)
			total = alloc_count() - before;
		after(s, 100 * NS_PER_S);
		CU_ASSERT_EQUAL(lent_now(s, "four").num, lent_now(s, "four").online);
		CU_ASSERT_EQUAL(s->n[A].num_addresses, lent_now(s, "four").num);
		(void)!sim_terminate(s, A, NULL);
		after(s, NS_PER_S);
		CU_ASSERT_EQUAL(lent_now(s, "four").online, 0);
		sim_free(s);
	}
	CU_ASSERT_TRUE(total > 30);
}

/* Who proves itself anew asks for the address that it has, and never goes without. */
static void test_same_address_when_proven_again(void)
{
	struct sim *s = ask("0.0.0.0", "four");
	struct ike_sa *old = list_entry(s->n[A].e->sas.next, struct ike_sa, node);
	struct ip_addr a;

	after(s, NS_PER_S);
	a = s->n[A].addresses[0];
	CU_ASSERT_EQUAL_FATAL(s->n[A].num_addresses, 1);
	CU_ASSERT_EQUAL(reauth_again(old, s->now_ns), ERR_OK);
	CU_ASSERT_EQUAL(reauth_again(old, s->now_ns), ERR_EXISTS);
	sim_settle(s, A);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 2);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	CU_ASSERT_EQUAL(s->n[A].num_addresses, 1);
	CU_ASSERT_TRUE(ip_addr_equal(&s->n[A].addresses[0], &a));
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_same_address_when_proven_again),
	TAP_TEST(test_lent),
	TAP_TEST(test_not_lent),
	TAP_TEST(test_S57_address_of_a_peer),
	TAP_TEST(test_S20_lent_by_nobody),
	TAP_TEST(test_more_and_broken),
	TAP_TEST(test_asked),
	TAP_TEST(test_pool),
	TAP_TEST(test_S56_only_what_was_lent),
	TAP_TEST(test_without_a_child),
	TAP_TEST(test_pool_has_none),
	TAP_TEST(test_S20_not_lent_to_nobody),
	TAP_TEST(test_pool_out_of_memory),
	TAP_TEST(test_fail_every_allocation),
};

TAP_MAIN("sim/vips", tests)
