/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that change under an IKE SA (RFC 4555), honest peers and others. */
#include <string.h>

#include "base/alloc.h"
#include "control/ike/move.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

/* ALONE - nothing is agreed on but what MOBIKE can do. */
#define ALONE "multiple_interfaces = no\n"

static const struct sim_wire calm = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS};
static const struct sim_wire rough = {
	.loss = 30, .repeat = 5, .reorder = 10, .jitter_ns = 20 * NS_PER_MS, .ask_ns = NS_PER_MS};

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

/* Up, with these addresses on the two sides; extra goes into the connection of both. Where the peer
 * is does not matter to either. */
static struct sim *up(const struct sim_wire *wire, unsigned a, unsigned b, const char *extra)
{
	const struct sim_options opt = {
		.wire = *wire,
		.conf = {sim_conf_anywhere(A, extra, ""), sim_conf_anywhere(B, extra, "")}};
	struct sim *s = sim_new(7, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->packet_ns = 50 * NS_PER_MS;
	sim_have(s, A, a, 0);
	sim_have(s, B, b, 0);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 60 * NS_PER_S, sim_up));
	after(s, NS_PER_S);
	return s;
}

static bool uses(struct sim *s, unsigned side, unsigned local, unsigned remote)
{
	const struct path_addr *p = &sa_of(s, side)->path;
	const struct ip_addr l = sim_addr(side, local), r = sim_addr(!side, remote);
	const struct path_addr *esp = &s->n[side].peers[0].path;

	return ip_addr_equal(&p->local.addr, &l) && ip_addr_equal(&p->remote.addr, &r) &&
	       path_same_addrs(p, esp);
}

/* IKE and ESP go between these addresses now, and every packet arrives. */
static void settled(struct sim *s, unsigned a, unsigned b)
{
	uint64_t lost[2], got[2];

	CU_ASSERT_TRUE(uses(s, A, a, b));
	CU_ASSERT_TRUE(uses(s, B, b, a));
	s->traffic = true;
	after(s, NS_PER_S);
	for (unsigned i = 0; i < 2; i++) {
		lost[i] = s->n[i].lost_packets;
		got[i] = s->n[i].got_packets;
	}
	after(s, NS_PER_S);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(s->n[i].lost_packets, lost[i]);
		CU_ASSERT_TRUE(s->n[i].got_packets > got[i] + 10);
		CU_ASSERT_EQUAL(s->n[i].ike_down + s->n[i].child_down, 0);
		CU_ASSERT_FALSE(sa_of(s, i)->probe.on);
	}
	CU_ASSERT_FALSE(sa_of(s, A)->mobike.pending || sa_of(s, A)->mobike.esp_waits);
}

static void initiator_moves(const struct sim_wire *wire, unsigned to)
{
	struct sim *s = up(wire, 1, 1, "");

	CU_ASSERT_TRUE(sa_of(s, A)->mobike.on && sa_of(s, A)->mobike.initiator);
	CU_ASSERT_TRUE(sa_of(s, B)->mobike.on && !sa_of(s, B)->mobike.initiator);
	CU_ASSERT_EQUAL(sa_of(s, A)->path.encap, ENCAP_UDP); /* port 4500 (3.3) */
	s->traffic = true;
	after(s, NS_PER_S);
	sim_have(s, A, 1u << to, to);
	after(s, 60 * NS_PER_S);
	s->wire = calm;
	settled(s, to, 0);
	CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 2);
	CU_ASSERT_EQUAL(s->n[A].ike_up + s->n[B].ike_up, 2);
	sim_free(s);
}

static void test_initiator_moves(void)
{
	initiator_moves(&calm, 1);
	initiator_moves(&rough, 1);
}

/* The side that may not decide says from where it is now what it has, and the other one follows. */
static void test_responder_moves(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct sim *s = up(i ? &rough : &calm, 1, 1, "");

		s->traffic = true;
		sim_have(s, B, 2, 1);
		after(s, 60 * NS_PER_S);
		s->wire = calm;
		settled(s, 0, 1);
		sim_free(s);
	}
}

static void test_both_move_to_ipv6(void)
{
	struct sim *s = up(&calm, 1 | 4, 1 | 4, "");
	struct ip_addr v6 = sim_addr(B, 2);

	CU_ASSERT_EQUAL(sa_of(s, A)->mobike.peers.num, 1);
	CU_ASSERT_TRUE(mobike_addrs_have(&sa_of(s, A)->mobike.peers, &v6));
	sim_have(s, A, 4, 2);
	after(s, 30 * NS_PER_S);
	settled(s, 2, 2);
	sim_free(s);
}

/* Whatever is under way is repeated from the new address, and is answered there. */
static void test_moves_during_exchanges(void)
{
	for (unsigned i = 0; i < 32; i++) {
		struct sim *s = up(i & 8 ? &rough : &calm, 3, 3, "");
		char why[200];

		if (i & 1)
			(void)!sim_rekey(s, i >> 1 & 1, "tun");
		else
			(void)!sim_rekey(s, i >> 1 & 1, NULL);
		after(s, (i >> 2 & 1) * 6 * NS_PER_MS);
		sim_have(s, A, 2, 1);
		if (i & 16)
			sim_have(s, B, 2, 1);
		after(s, 80 * NS_PER_S);
		s->wire = calm;
		after(s, 80 * NS_PER_S);
		if (!sim_same(s, why))
			tap_diag("case %u: %s", i, why);
		CU_ASSERT_TRUE(sim_same(s, why));
		/* What was lost too often was tried elsewhere, and stayed there. */
		settled(s, 1, i & 16 || (i & 8 && !uses(s, A, 1, 0)));
		sim_free(s);
	}
}

/* There and back before anything was answered. */
static void test_moves_back(void)
{
	struct sim *s = up(&calm, 1, 1, "");

	sim_have(s, A, 2, 1);
	after(s, NS_PER_MS);
	sim_have(s, A, 1, 0);
	after(s, 10 * NS_PER_S);
	settled(s, 0, 0);
	for (unsigned i = 0; i < 9; i++) {
		sim_have(s, A, 1u << (i & 1), i & 1);
		after(s, (i + 1) * 3 * NS_PER_MS);
	}
	after(s, 60 * NS_PER_S);
	settled(s, 0, 0);
	sim_free(s);
}

/* Without an address nothing is sent; the first one that comes is taken. */
static void test_no_address_for_a_while(void)
{
	struct sim *s = up(&calm, 1, 1, "");

	sim_have(s, A, 0, 0);
	after(s, 30 * NS_PER_S);
	CU_ASSERT_TRUE(sa_of(s, A)->mobike.lost);
	sim_have(s, A, 2, 1);
	after(s, 10 * NS_PER_S);
	settled(s, 1, 0);
	sim_free(s);
}

/* ---- other paths (3.10) ---------------------------------------------------------------------- */

static bool first_is_cut(struct sim *s, const struct path_addr *path)
{
	struct ip_addr b = sim_addr(B, 0);

	(void)s;
	return ip_addr_equal(&path->remote.addr, &b) || ip_addr_equal(&path->local.addr, &b);
}

/* Something on the way is broken: the peer is found at its other address. */
static void test_another_path(void)
{
	struct sim *s = up(&calm, 1, 3, "dpd_delay = 5s");

	s->traffic = true;
	s->cut = first_is_cut;
	after(s, 60 * NS_PER_S);
	settled(s, 0, 1);
	sim_free(s);
}

/* The peer's list is always the newest one. */
static void test_addresses_are_told(void)
{
	struct sim *s = up(&calm, 1, 1, "");
	struct ip_addr other = sim_addr(B, 1), v6 = sim_addr(A, 2);

	CU_ASSERT_EQUAL(sa_of(s, A)->mobike.peers.num, 0);
	sim_have(s, B, 3, 0);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(mobike_addrs_have(&sa_of(s, A)->mobike.peers, &other));
	sim_have(s, B, 1, 0);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sa_of(s, A)->mobike.peers.num, 0);
	sim_have(s, A, 5, 0);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(mobike_addrs_have(&sa_of(s, B)->mobike.peers, &v6));
	settled(s, 0, 0);
	sim_free(s);
}

/* ---- without it ------------------------------------------------------------------------------ */

/* Who began makes the connection anew, children and all. */
static void test_without_mobike(void)
{
	struct sim *s = up(&calm, 1, 1, ALONE "mobike = no");

	CU_ASSERT_FALSE(sa_of(s, A)->mobike.on || sa_of(s, B)->mobike.on);
	sim_have(s, A, 2, 1);
	after(s, 90 * NS_PER_S); /* the old one's end is told to an address that is gone */
	CU_ASSERT_EQUAL(s->n[A].ike_up, 2);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_TRUE(uses(s, A, 1, 0));
	CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 2);
	sim_have(s, B, 2, 1); /* the other side cannot */
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 2);
	sim_free(s);
}

/* Packets of side i that were lost since *was; *was is now. */
static uint64_t lost_since(const struct sim *s, unsigned i, uint64_t *was)
{
	const uint64_t lost = s->n[i].lost_packets - *was;

	*was = s->n[i].lost_packets;
	return lost;
}

/* The new connection is there before the old one ends: both sides can send at any time, and what
 * comes from the one that moved is never lost. */
static void test_M14_made_before_it_breaks(void)
{
	struct sim *s = up(&calm, 1, 1, ALONE "mobike = no");
	uint64_t lost[2] = {0};

	s->traffic = true;
	after(s, NS_PER_S);
	(void)lost_since(s, B, &lost[B]);
	(void)lost_since(s, A, &lost[A]);
	sim_have(s, A, 2, 1);
	after(s, 3 * NS_PER_S);
	CU_ASSERT_EQUAL(lost_since(s, B, &lost[B]), 0);
	CU_ASSERT_TRUE(lost_since(s, A, &lost[A]) < 20); /* the peer cannot know */
	CU_ASSERT_EQUAL(s->n[A].ike_up + s->n[B].ike_up, 4);
	CU_ASSERT_EQUAL(s->n[A].ike_down + s->n[B].ike_down, 2); /* it was told */
	CU_ASSERT_TRUE(uses(s, A, 1, 0) && uses(s, B, 0, 1));
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(lost_since(s, A, &lost[A]) + lost_since(s, B, &lost[B]), 0);
	sim_free(s);
}

static enum err go_to(struct sim *s, unsigned side, enum ike_path_act act, unsigned addr)
{
	const struct ike_path_op op = {
		.act = act, .addr.local.addr = sim_addr(side, addr), .port = 1};
	uint32_t num = 0;
	enum err e = ike_path(s->n[side].e, &num, NULL,
			      &(struct ike_select){.conn = "net", .request = 9}, &op, 1, s->now_ns);

	CU_ASSERT_EQUAL(num, e == ERR_OK);
	sim_settle(s, side);
	return e;
}

/* By the owner's word to another address while the first one is still there: nothing is lost. */
static void by_word(const char *extra, bool mobike)
{
	struct sim *s = up(&calm, 1, 1, extra);
	uint64_t lost[2] = {0};

	CU_ASSERT_EQUAL(go_to(s, A, IKE_PATH_SOFT, 1), ERR_INVAL); /* it is not there */
	sim_have(s, A, 3, 0);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(uses(s, A, 0, 0));
	s->traffic = true;
	after(s, NS_PER_S);
	(void)lost_since(s, B, &lost[B]);
	(void)lost_since(s, A, &lost[A]);
	CU_ASSERT_EQUAL(go_to(s, B, IKE_PATH_SOFT, 0), ERR_PERM);
	CU_ASSERT_EQUAL(go_to(s, A, IKE_PATH_ADD, 1), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(go_to(s, A, IKE_PATH_SOFT, 2), ERR_INVAL); /* the other version */
	CU_ASSERT_EQUAL(go_to(s, A, IKE_PATH_SOFT, 0), ERR_OK);    /* it is there already */
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 1);
	CU_ASSERT_EQUAL(s->n[A].done, 1);
	CU_ASSERT_EQUAL(go_to(s, A, IKE_PATH_SOFT, 1), ERR_OK);
	CU_ASSERT_EQUAL(s->n[A].done, 1);
	if (!mobike)
		CU_ASSERT_EQUAL(go_to(s, A, IKE_PATH_SOFT, 1), ERR_EXISTS);
	after(s, NS_PER_S / 2); /* what is under way by the old one may arrive */
	CU_ASSERT_EQUAL(sim_num_sas(s, A), mobike ? 1 : 2);
	after(s, 3 * NS_PER_S);
	CU_ASSERT_TRUE(uses(s, A, 1, 0) && uses(s, B, 0, 1));
	CU_ASSERT_EQUAL(lost_since(s, A, &lost[A]) + lost_since(s, B, &lost[B]), 0);
	CU_ASSERT_EQUAL(s->n[A].ike_up, mobike ? 1 : 2);
	CU_ASSERT_EQUAL(s->n[A].done, 2);
	CU_ASSERT_EQUAL(s->n[A].refused, 0);
	CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 2);
	sim_have(s, A, 7, 0); /* another event of the host: its choice would be the first one */
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(uses(s, A, 1, 0));
	sim_have(s, A, 5, 0); /* the address is gone */
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(uses(s, A, 0, 0) && uses(s, B, 0, 0));
	sim_free(s);
}

static void test_M14_by_word(void)
{
	by_word(ALONE, true);
	by_word(ALONE "mobike = no", false);
}

/* What still comes from where the peer was moves it back as little as it asks about it, for a
 * while. */
static void test_M14_stragglers(void)
{
	struct sim *s = up(&calm, 3, 1, ALONE);
	struct path_addr before = sa_of(s, B)->path;

	CU_ASSERT_TRUE(sa_of(s, B)->nat_remote);
	CU_ASSERT_EQUAL(go_to(s, A, IKE_PATH_SOFT, 1), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(uses(s, B, 0, 1));
	ike_child_moved(s->n[B].e, s->n[B].pairs[0].id, &before, 0, s->now_ns);
	CU_ASSERT_FALSE(sa_of(s, B)->probe.on);
	after(s, 2 * NS_PER_S);
	ike_child_moved(s->n[B].e, s->n[B].pairs[0].id, &before, 0, s->now_ns);
	CU_ASSERT_TRUE(sa_of(s, B)->probe.on);
	sim_free(s);
}

/* Nobody answers from the new address: the old connection is asked there, and given up. */
static void test_M14_nobody_there(void)
{
	struct sim *s = up(&calm, 1, 1, ALONE "mobike = no");

	sim_have(s, A, 2, 1);
	s->wire.loss = 100;
	after(s, 600 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 0);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	sim_free(s);
}

/* The connection is one, wherever the peer has gone. */
static void test_initiate_again_after_a_move(void)
{
	struct sim *s = up(&calm, 1, 1, "");

	sim_have(s, B, 2, 1);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_EXISTS);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	sim_free(s);
}

/* ---- translators (3.8) ----------------------------------------------------------------------- */

static void test_mapping_changes(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = sim_conf(A, "dpd_delay = 5s", "");
	opt.conf[B] = "connections { net { local_addrs = 192.0.2.2\n"
		      " local { auth = psk\n id = host2.example }\n"
		      " remote { auth = psk\n id = host1.example }\n"
		      " children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16 } } } }";
	s = sim_new(1, &opt);
	s->nat = 10000;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 7 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_TRUE(sa_of(s, A)->nat_local && sa_of(s, B)->nat_remote);
	for (uint16_t nat = 20000; nat <= 40000; nat += 10000) {
		s->nat = nat;
		after(s, 12 * NS_PER_S); /* nothing but the liveness check can tell */
		CU_ASSERT_EQUAL(sa_of(s, B)->path.remote.port, nat + 4500);
		CU_ASSERT_EQUAL(s->n[B].peers[0].path.remote.port, nat + 4500);
		CU_ASSERT_EQUAL(sim_rekey(s, B, NULL), ERR_OK); /* its hashes are others then */
		after(s, 6 * NS_PER_S);
	}
	CU_ASSERT_EQUAL(s->n[A].ike_down + s->n[B].ike_down, 0);
	CU_ASSERT_TRUE(s->n[A].rekeyed_ike >= 3);
	sim_free(s);
}

/* ---- S57 ------------------------------------------------------------------------------------- */

/* struct theft - the UPDATE_SA_ADDRESSES of A is taken off the wire, and what B sends elsewhere
 * afterwards is counted. */
struct theft {
	uint8_t bytes[2048];
	size_t len;
	bool deliver; /* the original goes on as well */
	struct ip_addr target;
};

static bool steal_update(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct theft *t = ctx;
	struct wire_notify n;
	struct forge_msg m;

	if (from != A || t->len || !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++)
		if (m.payloads[i].type == PAYLOAD_NOTIFY &&
		    !wire_notify_parse(&n, m.payloads[i].body) &&
		    n.type == NOTIFY_UPDATE_SA_ADDRESSES) {
			memcpy(t->bytes, bytes, *len);
			t->len = *len;
			return t->deliver;
		}
	return true;
}

static void receive_from(struct sim *s, unsigned to, const struct ip_addr *from, const void *bytes,
			 size_t len)
{
	struct ike_datagram dg = {.path = sa_of(s, to)->path, .bytes = bytes_of(bytes, len)};

	dg.path.remote.addr = *from;
	ike_receive(s->n[to].e, &dg, s->now_ns);
}

/* What a side sends to an address until the queue of actions is empty. */
static size_t sent_to(struct sim *s, unsigned side, const struct ip_addr *to)
{
	struct ike_action a;
	size_t len = 0;

	while (ike_action_next(s->n[side].e, &a))
		if (a.kind == IKE_ACTION_SEND && ip_addr_equal(&a.path.remote.addr, to))
			len += a.bytes.len;
	return len;
}

/* An UPDATE_SA_ADDRESSES is sent on by somebody else under a victim's address: the victim gets at
 * most three bytes for each, and the children go nowhere. */
static void test_S57_three_bytes_for_one(void)
{
	const uint8_t victim[4] = {203, 0, 113, 99};
	const struct ip_addr to = ip_addr_v4(victim);
	struct theft t = {.target = to};
	struct sim *s = up(&calm, 1, 1, "");
	size_t bytes = 0;

	s->tap = steal_update;
	s->tap_ctx = &t;
	sim_have(s, A, 2, 1);
	after(s, NS_PER_MS);
	CU_ASSERT_FATAL(t.len > 0);
	s->n[A].deaf = true; /* the real one is not heard meanwhile */
	receive_from(s, B, &to, t.bytes, t.len);
	bytes = sent_to(s, B, &to);
	CU_ASSERT_TRUE(bytes > 0); /* it is answered and asked */
	for (unsigned i = 0; i < 200; i++) {
		uint64_t at = ike_deadline(s->n[B].e);

		if (at > s->now_ns + 90 * NS_PER_S)
			break;
		ike_run(s->n[B].e, at);
		bytes += sent_to(s, B, &to);
	}
	if (bytes > 3 * t.len)
		tap_diag("%zu bytes for %zu", bytes, t.len);
	CU_ASSERT_TRUE(bytes <= 3 * t.len);
	CU_ASSERT_EQUAL(s->n[B].moves, 0);
	s->n[B].num_pairs = s->n[B].num_peers = 0; /* its actions were not carried out */
	sim_free(s);
}

/* struct request - the last one of A, as it was on the wire. */
struct request {
	uint8_t bytes[2048];
	size_t len;
};

static bool keep_request(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct request *r = ctx;

	(void)s;
	if (from == A && !(bytes[19] & IKE_FLAG_RESPONSE)) {
		CU_ASSERT_FATAL(*len <= sizeof(r->bytes));
		memcpy(r->bytes, bytes, *len);
		r->len = *len;
	}
	return true;
}

/* lengthen - the answer that side has kept for a repeat becomes so long. */
static void lengthen(struct sim *s, unsigned side, size_t len)
{
	struct window_in *in = &sa_of(s, side)->in;
	uint8_t *longer = mem_alloc(len);

	CU_ASSERT_FATAL(longer && in->response && in->response_len < len);
	memcpy(longer, in->response, in->response_len);
	store_be32(longer + 24, (uint32_t)len);
	mem_free(in->response);
	in->response = longer;
	in->response_len = len;
}

/* A request that somebody sends again under a victim's address is answered there with three bytes
 * for one at most; where it came from first it is answered whatever the answer's length. */
static void test_S57_repeated_from_elsewhere(void)
{
	const uint8_t victim[4] = {203, 0, 113, 99};
	const struct ip_addr to = ip_addr_v4(victim);
	struct request r = {.len = 0};
	struct sim *s = up(&calm, 1, 1, "");

	s->tap = keep_request;
	s->tap_ctx = &r;
	sim_have(s, A, 2, 1);
	after(s, 30 * NS_PER_S);
	CU_ASSERT_FATAL(r.len > 0);
	const struct ip_addr home = sa_of(s, B)->in.path.remote.addr;

	for (int more = 0; more < 2; more++) {
		lengthen(s, B, 3 * r.len + (size_t)more);
		receive_from(s, B, &to, r.bytes, r.len);
		CU_ASSERT_EQUAL(sent_to(s, B, &to), more ? 0 : 3 * r.len);
		receive_from(s, B, &home, r.bytes, r.len);
		CU_ASSERT_EQUAL(sent_to(s, B, &home), 3 * r.len + (size_t)more);
	}
	settled(s, 1, 0);
	sim_free(s);
}

/* The thief can only delay: who answers at the new address is followed, the real one too. */
static void test_S57_stolen_update(void)
{
	const uint8_t thief[4] = {203, 0, 113, 99};
	const struct ip_addr from = ip_addr_v4(thief);
	struct theft t = {.target = from, .deliver = true};
	struct sim *s = up(&calm, 1, 1, "");

	s->tap = steal_update;
	s->tap_ctx = &t;
	s->traffic = true;
	sim_have(s, A, 2, 1);
	CU_ASSERT_FATAL(t.len > 0);
	receive_from(s, B, &from, t.bytes, t.len); /* it comes first */
	sim_settle(s, B);
	CU_ASSERT_FALSE(ip_addr_equal(&sa_of(s, B)->path.remote.addr, &from));
	after(s, 90 * NS_PER_S);
	CU_ASSERT_FALSE(ip_addr_equal(&s->n[B].peers[0].path.remote.addr, &from));
	settled(s, 1, 0);
	sim_free(s);
}

/* An old UPDATE_SA_ADDRESSES is old, wherever it comes from. */
static void test_S57_old_update(void)
{
	const uint8_t thief[4] = {203, 0, 113, 99};
	const struct ip_addr from = ip_addr_v4(thief);
	struct theft t = {.target = from, .deliver = true};
	struct sim *s = up(&calm, 1, 1, "");

	s->tap = steal_update;
	s->tap_ctx = &t;
	sim_have(s, A, 2, 1);
	after(s, 10 * NS_PER_S);
	settled(s, 1, 0);
	CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
	after(s, 10 * NS_PER_S);
	receive_from(s, B, &from, t.bytes, t.len);
	sim_settle(s, B);
	CU_ASSERT_FALSE(sa_of(s, B)->probe.on);
	settled(s, 1, 0);
	sim_free(s);
}

/* What is not authentic moves nothing, not even a question. */
static void test_S57_not_authentic(void)
{
	const uint8_t thief[4] = {203, 0, 113, 99};
	const struct ip_addr from = ip_addr_v4(thief);
	struct theft t = {.target = from};
	struct sim *s = up(&calm, 1, 1, "");

	s->tap = steal_update;
	s->tap_ctx = &t;
	sim_have(s, A, 2, 1);
	CU_ASSERT_FATAL(t.len > 0);
	for (size_t i = 0; i < t.len; i++) {
		t.bytes[i] ^= 1;
		receive_from(s, B, &from, t.bytes, t.len);
		t.bytes[i] ^= 1;
		CU_ASSERT_EQUAL(sa_of(s, B)->in.x.next_id, 2);
		CU_ASSERT_FALSE(sa_of(s, B)->probe.on);
		(void)sent_to(s, B, &from);
	}
	sim_free(s);
}

/* An INFORMATIONAL message of the peer on its IKE SA, from an address. */
static void say_from(struct sim *s, unsigned from, bool response, const struct ip_addr *source,
		     const struct ike_payload *p, uint32_t num)
{
	struct ike_sa *to = sa_of(s, !from);
	uint8_t buf[1024];
	size_t len = forge_bare(s, sa_of(s, from), INFORMATIONAL, response ? IKE_FLAG_RESPONSE : 0,
				response ? to->out.x.next_id : to->in.x.next_id, p, num, buf,
				sizeof(buf));

	CU_ASSERT_FATAL(len > 0);
	receive_from(s, !from, source, buf, len);
}

/* struct body - a notify payload without data. */
struct body {
	uint8_t b[4];
};

static struct ike_payload notify(struct body *body, uint16_t type)
{
	store_be16(body->b + 2, type);
	body->b[0] = body->b[1] = 0;
	return (struct ike_payload){.type = PAYLOAD_NOTIFY, .body = bytes_of(body->b, 4)};
}

/* A peer says that it is at a victim's address and answers the question that it cannot have read
 * there: its IKE SA is over, and nothing has gone there (RFC 4555 3.7). */
static void test_S57_answer_without_cookie(void)
{
	const uint8_t victim[4] = {203, 0, 113, 99};
	const struct ip_addr to = ip_addr_v4(victim);
	struct sim *s = up(&calm, 1, 1, "");
	struct ike_payload p;
	struct body body;

	p = notify(&body, NOTIFY_UPDATE_SA_ADDRESSES);
	say_from(s, A, false, &to, &p, 1);
	CU_ASSERT_TRUE(sa_of(s, B)->probe.on && sa_of(s, B)->out.waiting);
	CU_ASSERT_TRUE(sent_to(s, B, &to) > 0);
	say_from(s, A, true, &to, NULL, 0);
	sim_settle(s, B);
	CU_ASSERT_EQUAL(s->n[B].ike_down, 1);
	CU_ASSERT_EQUAL(s->n[B].moves, 0);
	sim_free(s);
}

/* take_sent - what a side sends to an address, the last one of it. */
static size_t take_sent(struct sim *s, unsigned side, const struct ip_addr *to, uint8_t *out,
			size_t cap)
{
	struct ike_action a;
	size_t len = 0;

	while (ike_action_next(s->n[side].e, &a)) {
		if (a.kind != IKE_ACTION_SEND || !ip_addr_equal(&a.path.remote.addr, to))
			continue;
		CU_ASSERT_FATAL(a.bytes.len <= cap);
		memcpy(out, a.bytes.p, a.bytes.len);
		len = a.bytes.len;
	}
	return len;
}

/* answer_from - A answers the request that B sent, and its answer comes from there. */
static void answer_from(struct sim *s, const uint8_t *request, size_t len,
			const struct ip_addr *from)
{
	const struct ip_addr b = sa_of(s, A)->path.remote.addr;
	uint8_t answer[2048];

	receive_from(s, A, &b, request, len);
	len = take_sent(s, A, &b, answer, sizeof(answer));
	CU_ASSERT_FATAL(len > 0);
	receive_from(s, B, from, answer, len);
}

/* A peer says that it is at an address where it reads, and then at a victim's. Its answer to what
 * it was asked at the first proves nothing about the other, wherever it comes from; it is asked
 * there once more, and followed if it answers that. */
static void test_S57_answer_to_another_question(void)
{
	const uint8_t reads[4] = {203, 0, 113, 98}, victims[4] = {203, 0, 113, 99};
	const struct ip_addr one = ip_addr_v4(reads), other = ip_addr_v4(victims);
	struct sim *s = up(&calm, 1, 1, "");
	uint8_t first[2048], second[2048];
	struct ike_payload p;
	struct body body;
	size_t len;

	p = notify(&body, NOTIFY_UPDATE_SA_ADDRESSES);
	say_from(s, A, false, &one, &p, 1);
	len = take_sent(s, B, &one, first, sizeof(first));
	CU_ASSERT_FATAL(len > 0 && !(first[19] & IKE_FLAG_RESPONSE));
	say_from(s, A, false, &other, &p, 1);
	(void)sent_to(s, B, &other); /* it is told that it was heard */
	answer_from(s, first, len, &other);
	CU_ASSERT_FALSE(ip_addr_equal(&sa_of(s, B)->path.remote.addr, &other));
	CU_ASSERT_TRUE(sa_of(s, B)->probe.on);
	len = take_sent(s, B, &other, second, sizeof(second));
	CU_ASSERT_FATAL(len > 0 && !(second[19] & IKE_FLAG_RESPONSE));
	answer_from(s, second, len, &other);
	CU_ASSERT_TRUE(ip_addr_equal(&sa_of(s, B)->path.remote.addr, &other));
	CU_ASSERT_FALSE(sa_of(s, B)->probe.on);
	sim_settle(s, B);
	sim_free(s);
}

/* Addresses of no host, and such as the connection does not have, are refused; the IKE SA stays. */
static void test_unacceptable_addresses(void)
{
	static const char *const bad[] = {"127.0.0.1", "224.0.0.1", "0.0.0.0"};
	struct sim *s = up(&calm, 1, 1, "");
	struct ike_payload p;
	struct body body;

	p = notify(&body, NOTIFY_UPDATE_SA_ADDRESSES);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct ip_addr from;

		CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&from, bad[i]), ERR_OK);
		say_from(s, A, false, &from, &p, 1);
		sim_settle(s, B);
		CU_ASSERT_FALSE(sa_of(s, B)->probe.on);
		CU_ASSERT_EQUAL(sa_of(s, B)->in.x.next_id, 3 + i); /* answered */
	}
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* It is the initiator who decides: the other side's UPDATE_SA_ADDRESSES is answered and no more. */
static void test_responder_decides_nothing(void)
{
	const uint8_t other[4] = {203, 0, 113, 99};
	const struct ip_addr from = ip_addr_v4(other);
	struct sim *s = up(&calm, 1, 1, "");
	struct ike_payload p;
	struct body body;

	p = notify(&body, NOTIFY_UPDATE_SA_ADDRESSES);
	say_from(s, B, false, &from, &p, 1);
	CU_ASSERT_TRUE(sent_to(s, A, &from) > 0);
	CU_ASSERT_FALSE(sa_of(s, A)->probe.on || sa_of(s, A)->mobike.pending);
	after(s, 10 * NS_PER_S);
	settled(s, 0, 0);
	sim_free(s);
}

/* Refused everywhere: the connection stays as it is and is not told off for ever. */
static bool refuse_all(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static uint8_t out[FORGE_BUF];
	static struct body body;
	struct forge_msg m;
	uint32_t *num = ctx;
	size_t n;

	if (from != B || !forge_open(s, &m, from, bytes, *len) ||
	    !(m.h.flags & IKE_FLAG_RESPONSE) || m.h.exchange != INFORMATIONAL)
		return true;
	m.num = 1;
	m.payloads[0] = notify(&body, NOTIFY_UNACCEPTABLE_ADDRESSES);
	n = forge_close(s, &m, from, out, sizeof(out));
	CU_ASSERT_FATAL(n > 0);
	++*num;
	sim_inject(s, !from, out, n);
	return false;
}

static void test_refused_everywhere(void)
{
	struct sim *s = up(&calm, 3, 3, "");
	uint32_t num = 0;

	s->tap = refuse_all;
	s->tap_ctx = &num;
	sim_have(s, A, 2, 1);
	after(s, 60 * NS_PER_S);
	CU_ASSERT_TRUE(num >= 2 && num <= 20);
	CU_ASSERT_FALSE(sa_of(s, A)->mobike.pending);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 0);
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_initiator_moves),
	TAP_TEST(test_responder_moves),
	TAP_TEST(test_both_move_to_ipv6),
	TAP_TEST(test_moves_during_exchanges),
	TAP_TEST(test_moves_back),
	TAP_TEST(test_no_address_for_a_while),
	TAP_TEST(test_another_path),
	TAP_TEST(test_addresses_are_told),
	TAP_TEST(test_without_mobike),
	TAP_TEST(test_M14_made_before_it_breaks),
	TAP_TEST(test_M14_by_word),
	TAP_TEST(test_M14_nobody_there),
	TAP_TEST(test_M14_stragglers),
	TAP_TEST(test_initiate_again_after_a_move),
	TAP_TEST(test_mapping_changes),
	TAP_TEST(test_S57_three_bytes_for_one),
	TAP_TEST(test_S57_repeated_from_elsewhere),
	TAP_TEST(test_S57_stolen_update),
	TAP_TEST(test_S57_old_update),
	TAP_TEST(test_S57_not_authentic),
	TAP_TEST(test_S57_answer_without_cookie),
	TAP_TEST(test_S57_answer_to_another_question),
	TAP_TEST(test_unacceptable_addresses),
	TAP_TEST(test_responder_decides_nothing),
	TAP_TEST(test_refused_everywhere),
};

TAP_MAIN("sim/mobike", tests)
