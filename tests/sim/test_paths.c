/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on paths (docs/multiple-interfaces.md, sections 4 and 5), honest peers and others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/ike/mif_plan.h"
#include "control/ike/mobike.h"
#include "control/ike/move.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

/* The allocation that fails, counted from now; 0: none does. */
static unsigned fails_at;

static void *failing_realloc(void *ctx, void *p, size_t size)
{
	(void)ctx;
	if (size && fails_at && --fails_at == 0)
		return NULL;
	if (size)
		return realloc(p, size);
	free(p);
	return NULL;
}

/* Before anything is allocated. */
__attribute__((constructor)) static void may_fail(void)
{
	static const struct alloc_ops ops = {.realloc = failing_realloc};

	alloc_set_ops(&ops);
}

static const struct sim_wire calm = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS};
static const struct sim_wire rough = {
	.loss = 30, .repeat = 5, .reorder = 10, .jitter_ns = 20 * NS_PER_MS, .ask_ns = NS_PER_MS};

/* Children beside "tun", and a connection beside "net". The tag of "four" is another one on the
 * other side. */
static const char another_child[] =
	"%s }\n two { path_tag = voice\n local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16 }\n"
	" three { path_tag = voice\n local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16 }\n"
	" four { path_tag = odd%u\n local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16";
static const char another[] = "connections { other {\n encap = yes\n"
			      " local { auth = psk\n id = other%u.example }\n"
			      " remote { auth = psk\n id = other%u.example }\n"
			      " children { far { path_tag = voice\n local_ts = 10.%u.0.0/16\n"
			      "  remote_ts = 10.%u.0.0/16 }\n"
			      "  away { path_tag = elsewhere\n local_ts = 10.%u.0.0/16\n"
			      "  remote_ts = 10.%u.0.0/16 } } } }\n";

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

/* The IKE SA of a connection that is not replaced. */
static struct ike_sa *sa_of(struct sim *s, unsigned side, const char *conn)
{
	for (struct list_node *n = s->n[side].e->sas.prev; n != &s->n[side].e->sas; n = n->prev) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->conn && strcmp(sa->conn->name, conn) == 0 && sa->state == SA_ESTABLISHED)
			return sa;
	}
	CU_FAIL_FATAL("no IKE SA");
	return NULL;
}

#define NET(side) sa_of(s, side, "net")

/* What child "tun" has beside the networks of the two hosts, which it then is not for. */
static const char between_hosts[] = "mode = transport\n local_ts = dynamic\n remote_ts = dynamic\n";

static const char *conf_text(unsigned side, bool mobike, enum sa_mode mode)
{
	static char text[2][8192];
	const unsigned us = side + 1, them = 2 - side;
	char child[600], conn[600];

	snprintf(child, sizeof(child), another_child, mode == SA_TRANSPORT ? between_hosts : "",
		 us + 10, them + 10, us + 30, them + 30, us, us + 40, them + 40);
	snprintf(conn, sizeof(conn), another, us, them, us + 20, them + 20, us + 50, them + 50);
	snprintf(text[side], sizeof(text[side]), "%s%s",
		 sim_conf_anywhere(
			 side, mobike ? "rekey_time = 0s" : "rekey_time = 0s\n mobike = no", child),
		 conn);
	return text[side];
}

/* Both have two IPv4 addresses and an IPv6 one; path 1 is between the first ones. */
static struct sim *begin(uint64_t seed, const struct sim_options *opt)
{
	struct sim *s = sim_new(seed, opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->packet_ns = 50 * NS_PER_MS;
	sim_have(s, A, 7, 0);
	sim_have(s, B, 7, 0);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 90 * NS_PER_S, sim_up));
	after(s, NS_PER_S);
	return s;
}

static struct sim *make(uint64_t seed, const struct sim_wire *wire, bool mobike, enum sa_mode mode)
{
	const struct sim_options opt = {
		.wire = *wire, .conf = {conf_text(A, mobike, mode), conf_text(B, mobike, mode)}};

	return begin(seed, &opt);
}

static struct sim *up(void)
{
	return make(5, &calm, true, SA_TUNNEL);
}

/* Where a new path is to be: between addresses number i of both. */
static struct path_addr between(unsigned side, unsigned i)
{
	return (struct path_addr){.local.addr = sim_addr(side, i),
				  .remote.addr = sim_addr(!side, i),
				  .encap = ENCAP_UDP};
}

static enum err path_ops(struct sim *s, unsigned side, const char *child,
			 const struct ike_path_op *ops, uint32_t num, uint16_t *id)
{
	const struct ike_select sel = {.conn = "net", .child = child};
	uint32_t done = 0;
	enum err e = ike_path(s->n[side].e, &done, id, &sel, ops, num, s->now_ns);

	CU_ASSERT_EQUAL(done, !e);
	sim_settle(s, side);
	return e;
}

static enum err add(struct sim *s, unsigned side, unsigned i, uint16_t *id)
{
	const struct ike_path_op op = {.act = IKE_PATH_ADD,
				       .addr = between(side, i),
				       .priority = 1,
				       .policy = IKE_PATHS_AS_BEFORE};

	return path_ops(s, side, NULL, &op, 1, id);
}

static enum err act_on(struct sim *s, unsigned side, const char *child, enum ike_path_act act,
		       uint16_t id)
{
	const struct ike_path_op op = {.act = act, .id = id};

	return path_ops(s, side, child, &op, 1, NULL);
}

/* ---- judging --------------------------------------------------------------------------------- */

/* With MOBIKE each side goes by path 1 to where it found the other one (RFC 4555 3.10): that the
 * two are one pair is not promised. */
static bool same_ends(const struct ike_sa *sa, const struct sa_path *a, const struct sa_path *b)
{
	if (sa->mobike.on && a->id == MIF_FIRST_PATH)
		return true;
	return ip_addr_equal(&a->addr.local.addr, &b->addr.remote.addr) &&
	       ip_addr_equal(&a->addr.remote.addr, &b->addr.local.addr) &&
	       a->addr.encap == b->addr.encap;
}

/* A side's data path has the table of its IKE SA. */
static bool has_table(struct sim *s, unsigned side, struct ike_sa *sa, char why[static 200])
{
	const struct sa_paths *t = &sa->mif.paths;
	struct sim_peer *peer = NULL;

	for (uint32_t i = 0; i < s->n[side].num_peers; i++)
		if (s->n[side].peers[i].id == sa->peer->id)
			peer = &s->n[side].peers[i];
	if (!peer)
		return !sa->peer->added;
	for (uint8_t i = 0; i < t->num; i++) {
		const struct sa_path *p = &t->list[i];
		bool found = false;

		for (uint32_t k = 0; k < peer->num_paths; k++) {
			const struct sim_path *d = &peer->paths[k];

			found |= d->id == p->id && d->priority == p->priority &&
				 d->weight == p->weight && d->usable == p->usable &&
				 d->leaving == p->leaving &&
				 !memcmp(&d->addr, &p->addr, sizeof(d->addr));
		}
		if (!found) {
			snprintf(why, 200, "path %u of side %c is another one in the data path",
				 p->id, 'A' + (int)side);
			return false;
		}
	}
	snprintf(why, 200, "the data path of side %c has %u paths, its table %u", 'A' + (int)side,
		 peer->num_paths, t->num);
	return peer->num_paths == t->num && peer->policy == t->policy;
}

/* Both sides have the same paths, and so have their data paths. */
static bool same_paths(struct sim *s, char why[static 200])
{
	struct ike_sa *sa[2] = {NET(A), NET(B)};
	struct sa_paths *a = &sa[A]->mif.paths, *b = &sa[B]->mif.paths;

	for (unsigned i = 0; i < 2; i++)
		if (!has_table(s, i, sa[i], why))
			return false;
	snprintf(why, 200, "A has %u paths, policy %u; B %u, policy %u", a->num, a->policy, b->num,
		 b->policy);
	if (a->num != b->num || a->policy != b->policy)
		return false;
	for (uint8_t i = 0; i < a->num; i++) {
		const struct sa_path *p = &a->list[i], *q = paths_find(b, p->id);

		char end[ENDPOINT_TEXT_MAX];

		snprintf(why, 200, "path %u, to %s, is not the same on both sides", p->id,
			 endpoint_text(end, &p->addr.remote));
		if (!q || p->priority != q->priority || p->weight != q->weight ||
		    p->leaving != q->leaving || !same_ends(sa[A], p, q))
			return false;
	}
	return true;
}

static void expect_same(struct sim *s)
{
	char why[200] = "";
	const bool same = same_paths(s, why);

	if (!same)
		tap_diag("%s", why);
	CU_ASSERT_TRUE(same);
}

/* What is sent goes between addresses number i of both, and all of it arrives. */
static void expect_by(struct sim *s, unsigned i)
{
	uint64_t lost[2], got[2];

	s->traffic = true;
	after(s, NS_PER_S / 2);
	for (unsigned side = 0; side < 2; side++) {
		const struct ip_addr l = sim_addr(side, i), r = sim_addr(!side, i);
		const struct path_addr *esp = &s->n[side].peers[0].path, *ike = &NET(side)->path;

		CU_ASSERT_TRUE(ip_addr_equal(&esp->local.addr, &l));
		CU_ASSERT_TRUE(ip_addr_equal(&esp->remote.addr, &r));
		CU_ASSERT_TRUE(ip_addr_equal(&ike->local.addr, &l));
		CU_ASSERT_TRUE(ip_addr_equal(&ike->remote.addr, &r));
		lost[side] = s->n[side].lost_packets;
		got[side] = s->n[side].got_packets;
	}
	after(s, NS_PER_S);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_EQUAL(s->n[side].lost_packets, lost[side]);
		CU_ASSERT_TRUE(s->n[side].got_packets > got[side] + 10);
		CU_ASSERT_EQUAL(s->n[side].ike_down + s->n[side].child_down, 0);
	}
}

/* ---- one operation each ---------------------------------------------------------------------- */

/* A new path is there on both sides, and carries nothing until each has heard from the other. */
static void test_M10_add_and_remove(void)
{
	struct sim *s = up();
	uint16_t id = 0;

	expect_same(s);
	CU_ASSERT_EQUAL(add(s, A, 1, &id), ERR_OK);
	CU_ASSERT_EQUAL(id, 2);
	CU_ASSERT_PTR_NOT_NULL(sim_path_find(s, A, 2)); /* before the peer has answered */
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 1);
	expect_same(s);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(sim_path_find(s, side, 2));
		CU_ASSERT_FALSE(sim_path_find(s, side, 2)->usable);
		CU_ASSERT_TRUE(sim_path_find(s, side, 1)->usable);
	}
	expect_by(s, 0);
	sim_probe(s);
	CU_ASSERT_TRUE(sim_path_find(s, A, 2)->usable && sim_path_find(s, B, 2)->usable);
	expect_by(s, 0); /* it waits: its priority is 1 */
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 2), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, B, 2));
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 2), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 1), ERR_PERM); /* the last one */
	CU_ASSERT_EQUAL(add(s, A, 2, &id), ERR_OK);
	CU_ASSERT_EQUAL(id, 3); /* numbers are not used again */
	after(s, NS_PER_S);
	expect_same(s);
	sim_free(s);
}

static void test_too_many_paths(void)
{
	struct sim *s = up();
	uint16_t id = 0;

	for (unsigned i = 2; i <= MIF_PATHS_MAX; i++) {
		CU_ASSERT_EQUAL(add(s, A, 1 + i % 2, &id), ERR_OK);
		CU_ASSERT_EQUAL(id, i);
		after(s, NS_PER_S / 10);
	}
	CU_ASSERT_EQUAL(add(s, A, 1, &id), ERR_LIMIT);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.num, MIF_PATHS_MAX);
	expect_same(s);
	sim_free(s);
}

/* Make before break: nothing is lost, and IKE goes there, too. */
static void test_soft(void)
{
	struct sim *s = up();

	s->traffic = true;
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 2)->priority, 0);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 1)->priority, 1);
	expect_by(s, 0); /* it is not usable yet */
	sim_probe(s);
	expect_by(s, 1);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	sim_have(s, A, 6, 1); /* the old address goes only now */
	expect_by(s, 1);
	CU_ASSERT_EQUAL(s->n[A].lost_packets + s->n[B].lost_packets, 0);
	sim_free(s);
}

/* The old address is gone: one message says all. */
static void test_hard(void)
{
	struct sim *s = up();
	const struct ike_path_op op = {.act = IKE_PATH_HARD, .addr = between(A, 1)};
	struct sim_node *a = &s->n[A];
	uint16_t id = 0;

	s->traffic = true;
	a->addrs[0] = a->addrs[--a->num_addrs]; /* nobody says so */
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, &id), ERR_OK);
	CU_ASSERT_EQUAL(id, 2);
	after(s, 20 * NS_PER_MS);
	CU_ASSERT_EQUAL(a->done, 1); /* it was answered where it came from */
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, B, 1));
	CU_ASSERT_FALSE(sim_path_find(s, B, 2)->usable);
	sim_probe(s);
	expect_by(s, 1);
	CU_ASSERT_EQUAL(sim_rekey(s, B, NULL), ERR_OK);
	after(s, 3 * NS_PER_S);
	expect_same(s);
	expect_by(s, 1);
	sim_free(s);
}

/* Who goes elsewhere sends there at once, if nothing else carries; the other side not before it was
 * answered there. */
static void test_M4_sent_at_once(void)
{
	const struct ike_path_op ops[] = {
		{.act = IKE_PATH_ADD, .addr = between(A, 1), .policy = IKE_PATHS_AS_BEFORE},
		{.act = IKE_PATH_REMOVE, .id = 1}};
	struct sim *s = up();

	CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 2, NULL), ERR_OK);
	CU_ASSERT_TRUE(sim_path_find(s, A, 2)->usable);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_TRUE(sim_path_find(s, A, 2)->usable);
	CU_ASSERT_FALSE(sim_path_find(s, B, 2)->usable);
	sim_probe(s);
	expect_by(s, 1);
	CU_ASSERT_EQUAL(add(s, A, 2, NULL), ERR_OK); /* path 2 carries */
	CU_ASSERT_FALSE(sim_path_find(s, A, 3)->usable);
	sim_free(s);
}

/* The other side may send there in measure if what told it of the path came from there, once for a
 * message; and not to what was only told. */
static void test_S57_named_from_there(void)
{
	const struct ike_path_op ops[] = {
		{.act = IKE_PATH_ADD, .addr = between(A, 1), .policy = IKE_PATHS_AS_BEFORE},
		{.act = IKE_PATH_ADD, .addr = between(A, 1), .policy = IKE_PATHS_AS_BEFORE},
		{.act = IKE_PATH_REMOVE, .id = 1}};
	struct sim *s = up();

	CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 3, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_path_find(s, B, 2)->came > 100 && sim_path_find(s, B, 2)->came < 300);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 3)->came, 0);
	CU_ASSERT_EQUAL(s->n[B].sent_to, NET(B)->peer->id); /* the answer counts, too */
	CU_ASSERT_EQUAL(sim_path_find(s, A, 2)->came + sim_path_find(s, A, 3)->came, 0);
	sim_probe(s);
	CU_ASSERT_EQUAL(add(s, A, 2, NULL), ERR_OK); /* said from where path 2 begins */
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 4)->came, 0);
	sim_free(s);
}

/* The only address goes, and another one comes later: what was to be said meanwhile, or is under
 * way, holds up nothing. Copies are sent a second apart. */
static void test_M4_nothing_before_it(void)
{
	struct sim *s = up();

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 1), ERR_OK);
	after(s, NS_PER_S);
	for (unsigned turn = 0; turn < 3; turn++) {
		const unsigned to = turn % 2 ? 1 : 0;
		const struct ike_path_op ops[] = {{.act = IKE_PATH_ADD,
						   .addr = between(A, to),
						   .policy = IKE_PATHS_AS_BEFORE},
						  {.act = IKE_PATH_REMOVE, .id = NET(A)->mif.ike}};

		sim_have(s, A, 0, 0);
		if (turn == 2)
			CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
		after(s, NS_PER_S / 10);
		CU_ASSERT_EQUAL(NET(A)->out.waiting, turn == 2); /* who said something waits */
		sim_have(s, A, 1u << to, to);
		CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 2, NULL), ERR_OK);
		after(s, 150 * NS_PER_MS);
		expect_same(s);
		sim_probe(s);
		expect_by(s, to);
		CU_ASSERT_EQUAL(NET(B)->mobike.peers.num, 0); /* it was told at last */
	}
	sim_free(s);
}

/* goes_elsewhere - a request of A's goes to another of the peer's addresses, too. */
static bool goes_elsewhere(struct sim *s)
{
	struct sa_target to;

	return mobike_detour(NET(A), &to, 0);
}

/* A request goes by another way, too, if its own address is gone, and not because the host does not
 * say that it has it: an embedder's says nothing, and a long list is cut off. */
static void test_M4_not_listed(void)
{
	struct sim *s = up();
	struct sim_node *n = &s->n[A];

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_FALSE(goes_elsewhere(s));
	n->unlisted = true;
	CU_ASSERT_FALSE(goes_elsewhere(s));
	sim_have(s, A, 6, 1);
	CU_ASSERT_FALSE(goes_elsewhere(s) || NET(A)->mobike.untold);
	n->unlisted = false;
	n->others = 64;
	sim_have(s, A, 6, 1);
	CU_ASSERT_FALSE(goes_elsewhere(s) || NET(A)->mobike.untold);
	n->others = 10;
	sim_have(s, A, 6, 1);
	CU_ASSERT_TRUE(goes_elsewhere(s) && NET(A)->mobike.untold);
	n->unlisted = true;
	sim_have(s, A, 0, 0); /* and there is no way */
	CU_ASSERT_TRUE(NET(A)->mobike.untold);
	sim_free(s);
}

/* What waited takes over until the new path is usable. */
static void test_hard_with_a_backup(void)
{
	struct sim *s = up();
	const struct ike_path_op op = {.act = IKE_PATH_HARD, .addr = between(A, 2)};

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, A, 1));
	expect_by(s, 1);
	sim_probe(s);
	expect_by(s, 2);
	sim_free(s);
}

/* Priorities, weights and the policy in one transaction; a path that fails makes room for the next.
 */
static void test_schedule(void)
{
	const struct ike_path_op ops[] = {{.act = IKE_PATH_SCHEDULE,
					   .id = 1,
					   .priority = 5,
					   .weight = 10,
					   .policy = IKE_PATHS_FLOW},
					  {.act = IKE_PATH_SCHEDULE,
					   .id = 2,
					   .priority = 5,
					   .weight = 20,
					   .policy = IKE_PATHS_AS_BEFORE},
					  {.act = IKE_PATH_SCHEDULE, .policy = IKE_PATHS_FLOW}};
	struct sim *s = up();

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 3, NULL), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.policy, MIF_FLOW);
	CU_ASSERT_EQUAL(sim_path_find(s, B, 2)->weight, 20);
	for (unsigned side = 0; side < 2; side++)
		for (uint16_t id = 1; id <= 2; id++)
			CU_ASSERT_TRUE(paths_active(&NET(side)->mif.paths,
						    paths_find(&NET(side)->mif.paths, id)));
	s->n[A].num_addrs = 0; /* the first path's address, and the third one */
	s->n[A].addrs[s->n[A].num_addrs++] = sim_addr(A, 1);
	sim_probe(s);
	CU_ASSERT_FALSE(sim_path_find(s, B, 1)->usable);
	expect_by(s, 1);
	sim_free(s);
}

/* A policy that the peer cannot follow is not asked for. */
static void test_policy_of_both(void)
{
	struct sim *s = up();
	const struct ike_path_op op = {.act = IKE_PATH_SCHEDULE, .policy = IKE_PATHS_DUPLICATE};

	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_PERM);
	NET(A)->mif.peer.caps |= MIF_CAP_DUPLICATE;
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_PERM);
	sim_free(s);
}

/* ---- who says what --------------------------------------------------------------------------- */

/* The side that does not decide proposes, and says what it has lost. */
static void test_M10_the_follower(void)
{
	struct sim *s = up();
	const struct ip_addr b1 = sim_addr(B, 1);
	uint16_t id = 77;

	CU_ASSERT_EQUAL(act_on(s, B, NULL, IKE_PATH_SOFT, 1), ERR_PERM);
	CU_ASSERT_EQUAL(act_on(s, B, NULL, IKE_PATH_SCHEDULE, 1), ERR_PERM);
	CU_ASSERT_EQUAL(add(s, B, 1, &id), ERR_OK);
	CU_ASSERT_EQUAL(id, 0);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].proposed, 1);
	CU_ASSERT_TRUE(ip_addr_equal(&s->n[A].last_proposed.remote.addr, &b1));
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 1); /* it is heard, and that is all */
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(act_on(s, B, NULL, IKE_PATH_REMOVE, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, A, 1));
	expect_by(s, 1);
	sim_free(s);
}

/* struct answer - what came back for operations that were made by hand. */
struct answer {
	unsigned from;
	bool elsewhere; /* they are sent from where nobody was before */
	bool got;
	size_t asked_len, len;
	struct forge_msg m;
};

static bool see_answer(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct answer *a = ctx;

	if (from == a->from && bytes[18] == INFORMATIONAL && bytes[19] & IKE_FLAG_RESPONSE)
		a->got = forge_open(s, &a->m, from, bytes, *len);
	a->len = *len;
	return true;
}

/* Result number i of an answer. */
static bool result_of(const struct answer *a, uint32_t i, struct mif_result *out)
{
	for (uint32_t k = 0; k < a->m.num; k++) {
		struct wire_notify n;

		if (a->m.payloads[k].type == PAYLOAD_NOTIFY &&
		    !wire_notify_parse(&n, a->m.payloads[k].body) && n.type == NOTIFY_MIF_RESULT &&
		    !i--)
			return !mif_result_parse(out, n.data);
	}
	return false;
}

/* A peer that holds the keys sends operations as it likes. */
static void say(struct sim *s, unsigned from, struct answer *a, const struct mif_op *ops,
		uint32_t num)
{
	static uint8_t bodies[8][2048], out[16384];
	struct path_addr from_there;
	struct ike_payload p[8];
	size_t len;

	CU_ASSERT_FATAL(num <= 8);
	for (uint32_t i = 0; i < num; i++) {
		struct bytes b;
		struct writer w;

		writer_init(&w, bodies[i], sizeof(bodies[i]));
		writer_u32(&w, NOTIFY_MIF_OP);
		mif_op_write(&w, &ops[i]);
		CU_ASSERT_EQUAL_FATAL(writer_finish(&w, &b), ERR_OK);
		p[i] = (struct ike_payload){.type = PAYLOAD_NOTIFY, .body = b};
	}
	s->tap = see_answer;
	s->tap_ctx = a;
	len = forge_bare(s, NET(from), INFORMATIONAL, 0, NET(!from)->in.x.next_id, p, num, out,
			 sizeof(out));
	CU_ASSERT_FATAL(len > 0);
	from_there = NET(!from)->path;
	if (a->elsewhere)
		from_there.remote.addr = ip_addr_v4((const uint8_t[]){203, 0, 113, 99});
	*a = (struct answer){.from = !from, .elsewhere = a->elsewhere, .asked_len = len};
	sim_deliver(s, !from, &from_there, out, len);
	s->tap = NULL;
	CU_ASSERT_TRUE(a->got);
}

static uint16_t status_of(struct sim *s, unsigned from, const struct mif_op *op)
{
	struct mif_result r = {.status = 1};
	struct answer a = {.elsewhere = false};

	say(s, from, &a, op, 1);
	CU_ASSERT_TRUE(result_of(&a, 0, &r));
	CU_ASSERT_EQUAL(r.transaction, op->transaction);
	CU_ASSERT_EQUAL(r.path, op->path);
	return r.status;
}

static struct mif_endpoint end_of(unsigned side, unsigned i)
{
	return (struct mif_endpoint){.at = {.addr = sim_addr(side, i), .port = 4500}};
}

/* Operations that are refused, and a question that is not. own: where there is one, the address of
 * which side, and which. */
static const struct refusal {
	unsigned from;
	uint16_t status;
	struct mif_op op;
	struct {
		unsigned side, nth;
	} own;
} refusals[] = {
	{A, MIF_BAD_PATH_ID, .op = {.op = MIF_ADD, .path = 0, .has = MIF_HAS_OWN}, .own = {A, 1}},
	{A, MIF_BAD_PATH_ID, .op = {.op = MIF_ADD, .path = 1, .has = MIF_HAS_OWN}, .own = {A, 1}},
	{A, MIF_BAD_ENDPOINT, .op = {.op = MIF_ADD, .path = 2, .has = MIF_HAS_OWN}, .own = {B, 1}},
	{A, MIF_BAD_ENDPOINT, .op = {.op = MIF_ADD, .path = 2, .has = MIF_HAS_OWN}, .own = {A, 2}},
	{A, MIF_BAD_ENDPOINT, .op = {.op = MIF_ADD, .path = 2, .has = MIF_HAS_OWN | MIF_HAS_PEERS},
	 .own = {A, 1}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_REMOVE, .path = 2}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_SOFT, .path = 2}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_HARD, .path = 0}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_QUERY, .path = 2}},
	{A, MIF_UNKNOWN_PATH, .op = {.op = MIF_LEAVE, .path = 2}},
	{A, MIF_POLICY_DENIED, .op = {.op = MIF_LEAVE, .path = 1}},
	{A, MIF_POLICY_DENIED, .op = {.op = MIF_REMOVE, .path = 1}},
	{A, MIF_POLICY_DENIED,
	 .op = {.op = MIF_MULTIHOMING,
		.path = 1,
		.has = MIF_HAS_SCHEDULE,
		.schedule = {MIF_SPRAY, 0, 1}}},
	{A, MIF_UNSUPPORTED_OP, .op = {.op = 8, .path = 1}},
	{A, MIF_UNSUPPORTED_OP, .op = {.op = MIF_REMOVE, .flags = 4, .path = 1}},
	{B, MIF_POLICY_DENIED, .op = {.op = MIF_SOFT, .path = 1}},
	{B, MIF_POLICY_DENIED, .op = {.op = MIF_HARD, .path = 1}},
	{B, MIF_POLICY_DENIED, .op = {.op = MIF_ADD, .path = 2, .has = MIF_HAS_OWN}, .own = {B, 1}},
	{B, MIF_POLICY_DENIED,
	 .op = {.op = MIF_MULTIHOMING,
		.path = 1,
		.has = MIF_HAS_SCHEDULE,
		.schedule = {MIF_FAILOVER, 1, 1}}},
	{B, MIF_POLICY_DENIED, .op = {.op = MIF_REMOVE, .path = 1}},
	{A, MIF_OK, .op = {.op = MIF_QUERY, .path = 0}},
};

/* refusal_of - what the other side says to it. */
static uint16_t refusal_of(struct sim *s, const struct refusal *r)
{
	const uint8_t stranger[4] = {203, 0, 113, 99};
	struct mif_op op = r->op;

	op.transaction = (uint16_t)(100 + (r - refusals));
	op.own = end_of(r->own.side, r->own.nth);
	op.peers = (struct mif_endpoint){.at = {ip_addr_v4(stranger), 4500, 0}};
	return status_of(s, r->from, &op);
}

/* Each refusal, and nothing is changed by it. */
static void test_M10_refusals(void)
{
	struct sim *s = up();

	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const uint16_t status = refusal_of(s, &refusals[i]);

		if (status != refusals[i].status)
			tap_diag("row %zu: %s", i, mif_status_name(status));
		CU_ASSERT_EQUAL(status, refusals[i].status);
		for (unsigned side = 0; side < 2; side++)
			CU_ASSERT_TRUE(NET(side)->mif.paths.num == 1 &&
				       !NET(side)->mif.paths.policy &&
				       !NET(side)->mif.paths.list[0].priority);
	}
	expect_same(s);
	expect_by(s, 0);
	sim_free(s);
}

/* A question is answered with all that the other side has. */
static void test_query(void)
{
	const struct mif_op query = {.op = MIF_QUERY, .transaction = 50};
	struct sim *s = up();
	struct answer a = {.elsewhere = false};
	unsigned told = 0;

	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_QUERY, 0), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 2);
	say(s, A, &a, &query, 1);
	for (uint32_t k = 0; k < a.m.num; k++) {
		struct wire_notify n;
		struct ip_addr b;
		struct mif_op op;

		if (a.m.payloads[k].type != PAYLOAD_NOTIFY ||
		    wire_notify_parse(&n, a.m.payloads[k].body) || n.type != NOTIFY_MIF_OP)
			continue;
		CU_ASSERT_EQUAL_FATAL(mif_op_parse(&op, n.data), ERR_OK);
		CU_ASSERT_EQUAL(op.refused, 0);
		CU_ASSERT_EQUAL(op.path, ++told);
		CU_ASSERT_EQUAL(op.transaction, 50);
		CU_ASSERT_EQUAL(op.state.state, told == 1 ? MIF_PATH_USABLE : MIF_PATH_VALIDATING);
		CU_ASSERT_EQUAL(op.state.active, told == 1);
		b = sim_addr(B, told - 1);
		CU_ASSERT_TRUE(ip_addr_equal(&op.own.at.addr, &b));
		b = sim_addr(A, told - 1);
		CU_ASSERT_TRUE(ip_addr_equal(&op.peers.at.addr, &b));
	}
	CU_ASSERT_EQUAL(told, 2);
	sim_free(s);
}

/* Where the peer has not been it is not told of paths: somebody may have sent its question from a
 * victim's address. */
static void test_S57_long_answers(void)
{
	struct mif_op query = {.op = MIF_QUERY, .transaction = 50};
	struct answer a = {.elsewhere = true};
	struct sim *s = up();

	for (unsigned i = 0; i < 7; i++) {
		CU_ASSERT_EQUAL(add(s, A, 2, NULL), ERR_OK);
		after(s, NS_PER_S);
	}
	say(s, A, &a, &query, 1);
	CU_ASSERT_TRUE(a.len <= 3 * a.asked_len);
	a.elsewhere = false;
	query.transaction++;
	say(s, A, &a, &query, 1);
	CU_ASSERT_TRUE(a.len > 3 * a.asked_len);
	sim_free(s);
}

/* ---- parts of the traffic -------------------------------------------------------------------- */

static struct sim_pair *pair_of(struct sim *s, unsigned side, const char *name)
{
	struct sim_pair *newest = NULL;

	for (uint32_t i = 0; i < s->n[side].num_pairs; i++) {
		struct sim_pair *p = &s->n[side].pairs[i];

		if (strcmp(p->name, name) == 0 && p->in && (!newest || p->active > newest->active))
			newest = p;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(newest);
	return newest;
}

static struct sim *up_with_two(void)
{
	struct sim *s = up();

	CU_ASSERT_EQUAL(sim_initiate(s, A, "two"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 2);
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	return s;
}

/* One child goes elsewhere and the other one does not, on both sides; it does so when it is
 * re-keyed, and goes with the others when the path is gone. */
static void test_M5_one_child(void)
{
	struct sim *s = up_with_two();

	CU_ASSERT_EQUAL(act_on(s, A, "two", IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned side = 0; side < 2; side++) {
			CU_ASSERT_EQUAL(pair_of(s, side, "two")->path, 2);
			CU_ASSERT_EQUAL(pair_of(s, side, "tun")->path, 0);
		}
		CU_ASSERT_EQUAL(sim_rekey(s, i & 1, i == 1 ? NULL : "two"), ERR_OK);
		s->traffic = true;
		after(s, 10 * NS_PER_S);
	}
	CU_ASSERT_EQUAL(act_on(s, A, "nothing", IKE_PATH_SOFT, 2), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 2), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(pair_of(s, A, "two")->path, 0);
	CU_ASSERT_EQUAL(pair_of(s, B, "two")->path, 0);
	expect_by(s, 0);
	sim_free(s);
}

/* A worker's own pair goes by the path that the shared one is tied to, whichever side asks for it,
 * and before it is re-keyed. */
static void test_M5_per_worker(void)
{
	char text[2][1000];
	struct sim_options opt = {.wire = calm, .workers = {2, 2}};
	struct sim *s;

	for (unsigned side = 0; side < 2; side++) {
		snprintf(text[side], sizeof(text[side]), "%s",
			 sim_conf_anywhere(side, "rekey_time = 0s", "per_cpu_sas = yes"));
		opt.conf[side] = text[side];
	}
	s = begin(5, &opt);
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_EQUAL(act_on(s, A, "tun", IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	sim_alone(s, A, 0);
	sim_alone(s, B, 1);
	after(s, NS_PER_S);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_EQUAL(sim_num_pairs(s, side), 3);
		for (uint32_t i = 0; i < s->n[side].num_pairs; i++)
			CU_ASSERT_EQUAL(s->n[side].pairs[i].path, 2);
	}
	sim_free(s);
}

/* up_with_domains - "tun" has no tag, "two" and "three" have one, and so has "far"; that one and
 * "away" are under another IKE SA with the same peer. */
static struct sim *up_with_domains(void)
{
	struct sim *s = up_with_two();
	struct ike_initiate_params p = {.conn = "other",
					.child = "far",
					.path = {.local = {.addr = sim_addr(A, 0), .port = 500},
						 .remote = {.addr = sim_addr(B, 0), .port = 500}}};

	CU_ASSERT_EQUAL(sim_initiate(s, A, "three"), ERR_OK);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "four"), ERR_OK);
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, NS_PER_S);
	p.child = "away";
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 6);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 2);
	return s;
}

/* expect_tied - by which paths children go on both sides. */
static void expect_tied(struct sim *s, uint16_t tun, uint16_t two, uint16_t three, uint16_t four,
			uint16_t far)
{
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_EQUAL(pair_of(s, side, "tun")->path, tun);
		CU_ASSERT_EQUAL(pair_of(s, side, "two")->path, two);
		CU_ASSERT_EQUAL(pair_of(s, side, "three")->path, three);
		CU_ASSERT_EQUAL(pair_of(s, side, "four")->path, four);
		CU_ASSERT_EQUAL(pair_of(s, side, "far")->path, far);
	}
}

static enum err move_domain(struct sim *s, unsigned side, const char *tag, enum ike_path_act act,
			    uint16_t id)
{
	const struct ike_path_op op = {.act = act, .id = id, .tag = tag};

	return path_ops(s, side, NULL, &op, 1, NULL);
}

/* What has the tag goes elsewhere by one operation, on both sides and after it was re-keyed, and
 * nothing else does; it is back with the others when all are moved. */
static void test_M5_domain(void)
{
	struct sim *s = up_with_domains();
	static const struct {
		const char *tag;
		enum ike_path_act act;
		enum err e;
	} refused[] = {
		{"voic", IKE_PATH_SOFT, ERR_NOT_FOUND},
		{"voice2", IKE_PATH_SOFT, ERR_NOT_FOUND},
		{"Voice", IKE_PATH_HARD, ERR_NOT_FOUND},
		{"", IKE_PATH_SOFT, ERR_INVAL},
		{"elsewhere", IKE_PATH_SOFT, ERR_NOT_FOUND},
		{"voice", IKE_PATH_REMOVE, ERR_INVAL},
		{"voice", IKE_PATH_SCHEDULE, ERR_INVAL},
		{"this tag has 65 bytes, which is one more than operations can name", IKE_PATH_SOFT,
		 ERR_INVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		CU_ASSERT_EQUAL(move_domain(s, A, refused[i].tag, refused[i].act, 2), refused[i].e);
	expect_tied(s, 0, 0, 0, 0, 0);
	CU_ASSERT_EQUAL(move_domain(s, A, "voice", IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 2);
	expect_same(s);
	expect_tied(s, 0, 2, 2, 0, 0);
	CU_ASSERT_EQUAL(sim_rekey(s, B, "three"), ERR_OK);
	s->traffic = true;
	after(s, 10 * NS_PER_S);
	expect_tied(s, 0, 2, 2, 0, 0);
	CU_ASSERT_EQUAL(move_domain(s, A, "voice", IKE_PATH_HARD, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_tied(s, 0, 1, 1, 0, 0);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 2); /* nothing is removed for a part */
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	expect_tied(s, 0, 0, 0, 0, 0);
	sim_free(s);
}

/* Both sides give the tag: where the peer does not, nothing moves on either. */
static void test_M5_domain_of_one_side(void)
{
	struct sim *s = up_with_domains();

	CU_ASSERT_EQUAL(move_domain(s, A, "odd1", IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].refused, 1);
	expect_same(s);
	expect_tied(s, 0, 0, 0, 0, 0);
	CU_ASSERT_EQUAL(move_domain(s, A, "odd2", IKE_PATH_SOFT, 2), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(move_domain(s, B, "voice", IKE_PATH_SOFT, 2), ERR_PERM);
	sim_free(s);
}

/* A tag is that of children under the IKE SA that the operation came by, and must be the whole. */
static void test_M13_domain_of_this_ike_sa(void)
{
	static const struct {
		const char *tag;
		uint16_t status, path;
	} rows[] = {
		{"voice2", MIF_EMPTY_SELECTOR, 0},    {"voic", MIF_EMPTY_SELECTOR, 0},
		{"v", MIF_EMPTY_SELECTOR, 0},         {"odd1", MIF_EMPTY_SELECTOR, 0},
		{"elsewhere", MIF_EMPTY_SELECTOR, 0}, {"voice", MIF_OK, 2},
	};
	struct sim *s = up_with_domains();
	struct mif_op op = {.op = MIF_SOFT, .path = 2, .transaction = 60, .has = MIF_HAS_SELECTOR};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++, op.transaction++) {
		op.selector = (struct mif_selector){MIF_SELECT_DOMAIN, 0,
						    bytes_of(rows[i].tag, strlen(rows[i].tag))};
		CU_ASSERT_EQUAL(status_of(s, A, &op), rows[i].status);
		CU_ASSERT_EQUAL(pair_of(s, B, "two")->path, rows[i].path);
		CU_ASSERT_EQUAL(pair_of(s, B, "three")->path, rows[i].path);
		CU_ASSERT_EQUAL(pair_of(s, B, "tun")->path, 0);
		CU_ASSERT_EQUAL(pair_of(s, B, "four")->path, 0);
		CU_ASSERT_EQUAL(pair_of(s, B, "far")->path, 0);
		CU_ASSERT_EQUAL(pair_of(s, B, "away")->path, 0);
	}
	sim_free(s);
}

/* By traffic selectors, and all back again. */
static void test_M5_by_traffic(void)
{
	struct sim *s = up_with_two();
	struct ts_list own = {.num = 1}, peers = {.num = 1};
	struct mif_op op = {.op = MIF_SOFT, .path = 2, .transaction = 60, .has = MIF_HAS_SELECTOR};
	uint8_t buf[256];

	CU_ASSERT_EQUAL_FATAL(ts_parse(&own.ts[0], "10.0.0.0/12"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ts_parse(&peers.ts[0], "10.12.0.0/16"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(mif_selector_of_ts(&op.selector, buf, sizeof(buf), &own, &peers),
			      ERR_OK);
	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_OK);
	CU_ASSERT_EQUAL(pair_of(s, B, "two")->path, 2);
	CU_ASSERT_EQUAL(pair_of(s, B, "tun")->path, 0);
	CU_ASSERT_EQUAL_FATAL(ts_parse(&peers.ts[0], "10.13.0.0/16"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(mif_selector_of_ts(&op.selector, buf, sizeof(buf), &own, &peers),
			      ERR_OK);
	op.transaction++;
	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_EMPTY_SELECTOR);
	op.transaction++;
	op.has = 0;
	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_OK);
	CU_ASSERT_EQUAL(pair_of(s, B, "two")->path, 0);
	sim_free(s);
}

/* An operation is about the children of its own IKE SA: others, though the peer has them too, do
 * not move, and come back as failed. */
static void test_M13_only_of_this_ike_sa(void)
{
	struct sim *s = up_with_two();
	const struct ike_initiate_params p = {
		.conn = "other",
		.child = "far",
		.path = {.local = {.addr = sim_addr(A, 0), .port = 500},
			 .remote = {.addr = sim_addr(B, 0), .port = 500}}};
	struct mif_op op = {.op = MIF_SOFT, .path = 2, .transaction = 60, .has = MIF_HAS_SELECTOR};
	struct mif_result r = {.status = 1};
	struct answer a = {.elsewhere = false};
	uint8_t spis[8];

	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 2);
	store_be32(spis, pair_of(s, A, "far")->spi_in);
	store_be32(spis + 4, pair_of(s, A, "two")->spi_in);
	op.selector = (struct mif_selector){MIF_SELECT_SPIS, 0, bytes_of(spis, 8)};
	op.flags = MIF_ATOMIC; /* all or none */
	say(s, A, &a, &op, 1);
	CU_ASSERT_TRUE(result_of(&a, 0, &r));
	CU_ASSERT_EQUAL(r.status, MIF_EMPTY_SELECTOR);
	CU_ASSERT_TRUE(bytes_equal(r.failed, bytes_of(spis, 4)));
	CU_ASSERT_EQUAL(pair_of(s, B, "two")->path, 0);
	op.flags = 0;
	op.transaction++;
	say(s, A, &a, &op, 1);
	CU_ASSERT_TRUE(result_of(&a, 0, &r));
	CU_ASSERT_EQUAL(r.status, MIF_OK);
	CU_ASSERT_TRUE(bytes_equal(r.failed, bytes_of(spis, 4)));
	CU_ASSERT_EQUAL(pair_of(s, B, "two")->path, 2);
	CU_ASSERT_EQUAL(pair_of(s, B, "far")->path, 0);
	op.transaction++;
	op.selector.bytes = bytes_of(spis, 4);
	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_EMPTY_SELECTOR);
	CU_ASSERT_EQUAL(pair_of(s, B, "far")->path, 0);
	sim_free(s);
}

static bool count_messages(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	(void)s;
	(void)bytes;
	(void)len;
	((uint32_t *)ctx)[from]++;
	return true;
}

/* One call moves all IKE SAs with all their children, by one exchange each. */
static void test_M13_one_exchange_each(void)
{
	struct sim *s = up_with_two();
	const struct ike_initiate_params p = {
		.conn = "other",
		.child = "far",
		.path = {.local = {.addr = sim_addr(A, 0), .port = 500},
			 .remote = {.addr = sim_addr(B, 0), .port = 500}}};
	const struct ike_path_op hard = {.act = IKE_PATH_HARD, .addr = between(A, 2)};
	const struct ike_select all = {.conn = NULL};
	uint32_t messages[2] = {0, 0}, num = 0;

	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, NS_PER_S);
	s->tap = count_messages;
	s->tap_ctx = messages;
	CU_ASSERT_EQUAL(ike_path(s->n[A].e, &num, NULL, &all, &hard, 1, s->now_ns), ERR_OK);
	CU_ASSERT_EQUAL(num, 2);
	sim_settle(s, A);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(messages[A], 2);
	CU_ASSERT_EQUAL(messages[B], 2);
	sim_probe(s);
	for (unsigned side = 0; side < 2; side++)
		for (uint32_t i = 0; i < s->n[side].num_peers; i++) {
			const struct ip_addr l = sim_addr(side, 2);

			CU_ASSERT_TRUE(ip_addr_equal(&s->n[side].peers[i].path.local.addr, &l));
		}
	expect_by(s, 2);
	sim_free(s);
}

/* ---- all or nothing, and questions ----------------------------------------------------------- */

/* The peer refuses the second one: neither is done, and this side takes both back. */
static void test_atomic(void)
{
	const uint8_t victim[4] = {203, 0, 113, 99};
	struct ike_path_op ops[] = {{.act = IKE_PATH_ADD, .addr = between(A, 1)},
				    {.act = IKE_PATH_ADD, .addr = between(A, 1)}};
	struct sim *s = up();

	ops[1].addr.remote.addr = ip_addr_v4(victim);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, ops, 2, NULL), ERR_OK);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 3);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].refused, 2);
	CU_ASSERT_EQUAL(s->n[A].last_status, MIF_BAD_ENDPOINT);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 1);
	expect_same(s);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &ops[0], 1, NULL), ERR_OK);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &ops[1], 1, NULL), ERR_OK); /* each by itself */
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].refused, 3);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num, 2);
	expect_same(s);
	sim_free(s);
}

static void test_dry(void)
{
	struct ike_path_op op = {.act = IKE_PATH_HARD, .addr = between(A, 1), .dry = true};
	struct sim *s = up();

	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 1);
	CU_ASSERT_EQUAL(NET(A)->mif.paths.num + NET(B)->mif.paths.num, 2);
	expect_same(s);
	expect_by(s, 0);
	op.dry = false;
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &op, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 2);
	expect_same(s);
	CU_ASSERT_PTR_NULL(sim_path_find(s, B, 1));
	sim_free(s);
}

/* ---- loss and repeats ------------------------------------------------------------------------ */

static bool lose_answers(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	(void)s;
	(void)len;
	(void)ctx;
	return from == A || bytes[18] != INFORMATIONAL || !(bytes[19] & IKE_FLAG_RESPONSE);
}

/* The answer is lost until the IKE SA is another one: the operation comes once more under another
 * message ID, and is answered as before, but not done. */
static void test_M10_done_once(void)
{
	struct sim *s = up();

	s->tap = lose_answers;
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.num, 2);
	CU_ASSERT_EQUAL(s->n[A].done + s->n[A].refused, 0);
	CU_ASSERT_EQUAL(sim_rekey(s, B, NULL), ERR_OK);
	after(s, 2 * NS_PER_S);
	s->tap = NULL;
	after(s, 20 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].done, 1);
	CU_ASSERT_EQUAL(s->n[A].refused, 0);
	expect_same(s);
	sim_free(s);
}

/* What is older than what was seen is not done. */
static void test_stale(void)
{
	struct mif_op op = {.op = MIF_ADD,
			    .path = 2,
			    .transaction = 300,
			    .has = MIF_HAS_OWN,
			    .own = end_of(A, 1)};
	struct mif_op remove = {.op = MIF_REMOVE, .path = 2, .transaction = 299};
	struct sim *s = up();

	CU_ASSERT_EQUAL(status_of(s, A, &op), MIF_OK);
	CU_ASSERT_EQUAL(status_of(s, A, &remove), MIF_STALE);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.num, 2);
	remove.transaction = (uint16_t)(300 + 0x7fff); /* numbers go round */
	CU_ASSERT_EQUAL(status_of(s, A, &remove), MIF_OK);
	CU_ASSERT_EQUAL(NET(B)->mif.paths.num, 1);
	sim_free(s);
}

/* Whatever allocation fails on either side, both have the same paths when memory is there again. */
static void test_short_of_memory(void)
{
	unsigned failed = 0;

	for (unsigned i = 1; i <= 60; i++) {
		struct sim *s = up_with_two();
		const struct ike_path_op ops[] = {{.act = IKE_PATH_ADD, .addr = between(A, 2)},
						  {.act = IKE_PATH_HARD, .id = 2}};

		fails_at = i;
		(void)!path_ops(s, A, NULL, ops, 2, NULL);
		(void)!act_on(s, A, "two", IKE_PATH_SOFT, 2);
		after(s, 5 * NS_PER_S);
		failed += fails_at == 0;
		fails_at = 0;
		CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_QUERY, 0),
				ERR_OK); /* what waits goes on */
		after(s, 20 * NS_PER_S);
		CU_ASSERT_TRUE(list_empty(&NET(A)->mif.ops));
		expect_same(s);
		CU_ASSERT_EQUAL(s->n[A].ike_down + s->n[B].ike_down, 0);
		sim_free(s);
	}
	CU_ASSERT_TRUE(failed > 30);
}

/* payload_by - packets of either side that are on their way between addresses number i. */
static unsigned payload_by(struct sim *s, unsigned i)
{
	unsigned num = 0;

	for (size_t k = 0; k < s->num_fly; k++)
		for (unsigned side = 0; side < 2; side++) {
			const struct ip_addr a = sim_addr(side, i);

			num += s->fly[k].kind == SIM_PACKET &&
			       ip_addr_equal(&s->fly[k].path.local.addr, &a);
		}
	return num;
}

/* lose_nothing - what was sent has arrived, and once. */
static void lose_nothing(struct sim *s, const uint64_t lost[2])
{
	s->traffic = false;
	after(s, NS_PER_S);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_EQUAL(s->n[side].lost_packets, lost[side]);
		CU_ASSERT_EQUAL(s->n[side].ike_down + s->n[side].child_down, 0);
	}
	CU_ASSERT_EQUAL(s->twice, 0);
}

/* The order of events: a path is there, is added, validated, has the traffic, the last packets come
 * by the one before, and that is removed. What is tied to it goes elsewhere, too, and is tied
 * still; it all takes one exchange and one more. */
static void test_M15_order_of_events(void)
{
	struct sim *s = up_with_two();
	const uint64_t lost[2] = {s->n[A].lost_packets, s->n[B].lost_packets};
	unsigned messages[2] = {0, 0}, before;

	CU_ASSERT_EQUAL(act_on(s, A, "two", IKE_PATH_SOFT, 1), ERR_OK);
	s->traffic = true;
	s->packet_ns = NS_PER_MS;
	s->wire = (struct sim_wire){.delay_ns = 20 * NS_PER_MS, .ask_ns = NS_PER_MS};
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(payload_by(s, 0) > 50 && payload_by(s, 1) == 0);
	CU_ASSERT_EQUAL(pair_of(s, B, "two")->path, 1);
	s->tap = count_messages;
	s->tap_ctx = messages;
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 1), ERR_OK);
	before = payload_by(s, 0);
	after(s, 30 * NS_PER_MS);
	CU_ASSERT_TRUE(payload_by(s, 0) > 0 && payload_by(s, 0) < before); /* B's last ones */
	after(s, 30 * NS_PER_MS);
	CU_ASSERT_EQUAL(payload_by(s, 0), 0);
	CU_ASSERT_TRUE(payload_by(s, 1) > 50);
	CU_ASSERT_TRUE(sim_path_find(s, A, 1)->leaving && sim_path_find(s, B, 1)->leaving);
	CU_ASSERT_EQUAL(pair_of(s, B, "two")->path, 1);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 1), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(messages[A] + messages[B], 4);
	s->tap = NULL;
	CU_ASSERT_EQUAL(pair_of(s, B, "two")->path, 0);
	CU_ASSERT_PTR_NULL(sim_path_find(s, B, 1));
	lose_nothing(s, lost);
	expect_same(s);
	expect_by(s, 1);
	sim_free(s);
}

/* A path that is left carries where nothing else does, and may be taken back; IKE goes elsewhere
 * with the traffic. */
static void test_M15_left_and_back(void)
{
	struct sim *s = up_with_two();
	const uint64_t peer = NET(A)->peer->id;
	const struct ike_path_op back = {.act = IKE_PATH_SCHEDULE, .id = 1, .weight = 1};
	const struct mif_op of_follower = {.op = MIF_LEAVE, .path = 1, .transaction = 1};

	CU_ASSERT_EQUAL(act_on(s, B, NULL, IKE_PATH_LEAVE, 1), ERR_PERM);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 9), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	expect_by(s, 1);
	ike_path_usable(s->n[A].e, peer, 2, false, NULL, s->now_ns);
	ike_path_usable(s->n[B].e, NET(B)->peer->id, 2, false, NULL, s->now_ns);
	sim_settle(s, A);
	sim_settle(s, B);
	expect_by(s, 0);
	sim_probe(s);
	expect_by(s, 1);
	CU_ASSERT_EQUAL(path_ops(s, A, NULL, &back, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	expect_by(s, 0);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 1), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_SOFT, 1), ERR_OK);
	after(s, NS_PER_S);
	expect_same(s);
	expect_by(s, 0);
	CU_ASSERT_EQUAL(status_of(s, B, &of_follower), MIF_POLICY_DENIED);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_REMOVE, 2), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_LEAVE, 1), ERR_PERM); /* the only one */
	sim_free(s);
}

/* Where IKE goes by another path than the first one MOBIKE's message moves none. */
static void test_mobike_does_not_interfere(void)
{
	struct sim *s = up();
	static const uint8_t update[] = {0, 0, 0x40, 0x10};
	const struct ike_payload p = {.type = PAYLOAD_NOTIFY, .body = bytes_of(update, 4)};
	struct path_addr from;
	uint8_t out[512];
	size_t len;

	CU_ASSERT_EQUAL(add(s, A, 2, NULL), ERR_OK);
	CU_ASSERT_EQUAL(act_on(s, A, NULL, IKE_PATH_SOFT, 2), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	CU_ASSERT_TRUE(NET(B)->mobike.on);
	len = forge_bare(s, NET(A), INFORMATIONAL, 0, NET(B)->in.x.next_id, &p, 1, out,
			 sizeof(out));
	from = NET(B)->path;
	from.remote.addr = sim_addr(A, 1);
	sim_deliver(s, B, &from, out, len);
	CU_ASSERT_FALSE(NET(B)->probe.on);
	after(s, NS_PER_S);
	expect_same(s);
	expect_by(s, 2);
	sim_have(s, A, 6, 1); /* nor does an address that goes: who has paths says what is to be */
	after(s, NS_PER_S);
	expect_same(s);
	sim_free(s);
}

/* Where a side cannot have several paths for the mode of a child there is the first one alone: who
 * asks knows that, and who is asked refuses. */
static void test_M9_not_in_this_mode(void)
{
	static const struct {
		enum sa_mode mode;
		uint16_t lacks;
		bool may;
	} rows[] = {{SA_TRANSPORT, MIF_CAP_TRANSPORT, false},
		    {SA_TUNNEL, MIF_CAP_TRANSPORT, true},
		    {SA_TUNNEL, MIF_CAP_TUNNEL, false},
		    {SA_TRANSPORT, MIF_CAP_BULK, true}};

	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		const unsigned sees = i % 2; /* A, who asks; or B */
		struct sim *s = make(7, &calm, true, rows[i / 2].mode);
		const bool may = rows[i / 2].may;

		NET(sees)->mif.peer.caps &= (uint16_t)~rows[i / 2].lacks;
		CU_ASSERT_EQUAL(add(s, A, 1, NULL), may || sees == B ? ERR_OK : ERR_PERM);
		after(s, NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].refused, !may && sees == B);
		CU_ASSERT_EQUAL(NET(A)->mif.paths.num, may ? 2 : 1);
		expect_same(s);
		sim_free(s);
	}
}

/* ---- many seeds ------------------------------------------------------------------------------ */

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);

	return v ? strtoull(v, NULL, 10) : otherwise;
}

static void probe_again(struct sim *s, unsigned left)
{
	sim_probe(s);
	if (left)
		sim_at(s, s->now_ns + NS_PER_S / 2, probe_again, left - 1);
}

static void disturb(struct sim *s, unsigned what)
{
	const struct ike_select sel = {.conn = "net"};
	struct ike_path_op ops[2] = {
		{.act = (enum ike_path_act)(what & 7) % (IKE_PATH_LEAVE + 1),
		 .id = what & 8 ? (uint16_t)(1 + (what >> 4 & 7)) : 0,
		 .addr = between(A, what >> 7 & 1),
		 .priority = what >> 8 & 3,
		 .weight = (uint16_t)(1 + (what >> 4 & 3)),
		 .policy = what & 512 ? IKE_PATHS_FLOW : IKE_PATHS_AS_BEFORE},
		{.act = IKE_PATH_SCHEDULE, .id = 1, .weight = 3, .policy = IKE_PATHS_FAILOVER}};
	const unsigned side = what >> 10 & 1;
	uint32_t num;

	switch (what >> 11 & 7) {
	case 0:
		(void)sim_rekey(s, side, NULL);
		break;
	case 1:
		(void)sim_rekey(s, side, "tun");
		break;
	case 2:
		ops[0].addr = between(B, what >> 7 & 1);
		(void)!ike_path(s->n[B].e, &num, NULL, &sel, ops, 1, s->now_ns);
		sim_settle(s, B);
		break;
	default:
		(void)!ike_path(s->n[A].e, &num, NULL, &sel, ops, 1 + (what >> 14 & 1), s->now_ns);
		sim_settle(s, A);
	}
}

static bool calm_again(struct sim *s, char why[static 200])
{
	for (unsigned i = 0; i < 200; i++) {
		after(s, NS_PER_S);
		if (list_empty(&NET(A)->mif.ops) && list_empty(&NET(B)->mif.ops) &&
		    sim_same(s, why) && same_paths(s, why))
			return true;
	}
	return false;
}

/* is_as_made - "tun" has the mode and, in transport mode, the hosts that it began with. */
static bool is_as_made(const struct sim *s, unsigned side, enum sa_mode mode)
{
	const struct ip_addr local = sim_addr(side, 0), remote = sim_addr(!side, 0);

	for (uint32_t i = 0; i < s->n[side].num_pairs; i++) {
		const struct sim_pair *p = &s->n[side].pairs[i];

		if (!p->in || strcmp(p->name, "tun") != 0)
			continue;
		if (p->mode != mode ||
		    (mode == SA_TRANSPORT && (!ip_addr_equal(&p->local.lo, &local) ||
					      !ip_addr_equal(&p->remote.lo, &remote))))
			return false;
	}
	return true;
}

/* Both sides' paths agree once the network holds still, and so do their data paths. */
static void test_M10_seeds(void)
{
	const uint64_t num = env_number("SIM_SEEDS", 300), first = env_number("SIM_FIRST", 1);
	uint64_t agreed = 0, paths = 0, done = 0, refused = 0, rekeyed = 0;

	for (uint64_t seed = first; seed < first + num; seed++) {
		const enum sa_mode mode = seed & 2 ? SA_TRANSPORT : SA_TUNNEL;
		struct sim *s = make(seed, &rough, seed % 2, mode);
		char why[200] = "";
		bool ok;

		sim_at(s, s->now_ns, probe_again, 200);
		for (unsigned i = 0; i < 25; i++)
			sim_at(s, s->now_ns + sim_random(s, 60 * NS_PER_S), disturb,
			       (unsigned)sim_random(s, 1u << 15));
		s->traffic = true;
		after(s, 60 * NS_PER_S);
		s->wire = calm;
		ok = calm_again(s, why);
		if (!ok)
			tap_diag("seed %lu: %s", (unsigned long)seed, why);
		agreed += ok;
		paths += NET(A)->mif.paths.num;
		done += s->n[A].done + s->n[B].done;
		refused += s->n[A].refused + s->n[B].refused;
		rekeyed += mode == SA_TRANSPORT ? s->n[A].rekeyed_child : 0;
		CU_ASSERT_TRUE(is_as_made(s, A, mode) && is_as_made(s, B, mode));
		for (unsigned i = 0; i < 2; i++)
			CU_ASSERT_NOT_EQUAL(s->n[i].last_failure, IKE_REASON_TS_UNACCEPTABLE);
		CU_ASSERT_EQUAL(s->n[A].ike_down + s->n[B].ike_down, 0);
		sim_free(s);
	}
	tap_diag("%lu seeds: %lu agreed, %lu paths in the end, %lu operations done, %lu refused, "
		 "%lu pairs in transport mode re-keyed",
		 (unsigned long)num, (unsigned long)agreed, (unsigned long)paths,
		 (unsigned long)done, (unsigned long)refused, (unsigned long)rekeyed);
	CU_ASSERT_EQUAL(agreed, num);
	CU_ASSERT_TRUE(done > 5 * num && paths > num && rekeyed > num);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M10_add_and_remove),
	TAP_TEST(test_too_many_paths),
	TAP_TEST(test_soft),
	TAP_TEST(test_hard),
	TAP_TEST(test_M4_nothing_before_it),
	TAP_TEST(test_M4_not_listed),
	TAP_TEST(test_M4_sent_at_once),
	TAP_TEST(test_S57_named_from_there),
	TAP_TEST(test_hard_with_a_backup),
	TAP_TEST(test_schedule),
	TAP_TEST(test_policy_of_both),
	TAP_TEST(test_M10_the_follower),
	TAP_TEST(test_M10_refusals),
	TAP_TEST(test_query),
	TAP_TEST(test_S57_long_answers),
	TAP_TEST(test_M5_one_child),
	TAP_TEST(test_M5_per_worker),
	TAP_TEST(test_M5_domain),
	TAP_TEST(test_M5_domain_of_one_side),
	TAP_TEST(test_M13_domain_of_this_ike_sa),
	TAP_TEST(test_M5_by_traffic),
	TAP_TEST(test_M13_only_of_this_ike_sa),
	TAP_TEST(test_M13_one_exchange_each),
	TAP_TEST(test_atomic),
	TAP_TEST(test_dry),
	TAP_TEST(test_M10_done_once),
	TAP_TEST(test_stale),
	TAP_TEST(test_short_of_memory),
	TAP_TEST(test_M15_order_of_events),
	TAP_TEST(test_M15_left_and_back),
	TAP_TEST(test_mobike_does_not_interfere),
	TAP_TEST(test_M9_not_in_this_mode),
	TAP_TEST(test_M10_seeds),
};

TAP_MAIN("sim/paths", tests)
