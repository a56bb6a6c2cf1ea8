/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/pathsim.h"

#include <stdio.h>
#include <string.h>

#include "tests/tap/tap.h"

const struct sim_wire calm = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS};
const struct sim_wire rough = {
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

void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

struct ike_sa *pathsim_sa(struct sim *s, unsigned side, const char *conn)
{
	for (struct list_node *n = s->n[side].e->sas.prev; n != &s->n[side].e->sas; n = n->prev) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->conn && strcmp(sa->conn->name, conn) == 0 && sa->state == SA_ESTABLISHED)
			return sa;
	}
	CU_FAIL_FATAL("no IKE SA");
	return NULL;
}

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

struct sim *pathsim_begin(uint64_t seed, const struct sim_options *opt)
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

struct sim *pathsim_make(uint64_t seed, const struct sim_wire *wire, bool mobike, enum sa_mode mode)
{
	const struct sim_options opt = {
		.wire = *wire, .conf = {conf_text(A, mobike, mode), conf_text(B, mobike, mode)}};

	return pathsim_begin(seed, &opt);
}

struct sim *pathsim_up(void)
{
	return pathsim_make(5, &calm, true, SA_TUNNEL);
}

struct path_addr between(unsigned side, unsigned i)
{
	return (struct path_addr){.local.addr = sim_addr(side, i),
				  .remote.addr = sim_addr(!side, i),
				  .encap = ENCAP_UDP};
}

enum err path_ops(struct sim *s, unsigned side, const char *child, const struct ike_path_op *ops,
		  uint32_t num, uint16_t *id)
{
	const struct ike_select sel = {.conn = "net", .child = child};
	uint32_t done = 0;
	enum err e = ike_path(s->n[side].e, &done, id, &sel, ops, num, s->now_ns);

	CU_ASSERT_EQUAL(done, !e);
	sim_settle(s, side);
	return e;
}

enum err add(struct sim *s, unsigned side, unsigned i, uint16_t *id)
{
	const struct ike_path_op op = {.act = IKE_PATH_ADD,
				       .addr = between(side, i),
				       .priority = 1,
				       .policy = IKE_PATHS_AS_BEFORE};

	return path_ops(s, side, NULL, &op, 1, id);
}

enum err act_on(struct sim *s, unsigned side, const char *child, enum ike_path_act act, uint16_t id)
{
	const struct ike_path_op op = {.act = act, .id = id};

	return path_ops(s, side, child, &op, 1, NULL);
}

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

bool same_paths(struct sim *s, char why[static 200])
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

void expect_same(struct sim *s)
{
	char why[200] = "";
	const bool same = same_paths(s, why);

	if (!same)
		tap_diag("%s", why);
	CU_ASSERT_TRUE(same);
}

void expect_by(struct sim *s, unsigned i)
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

static bool see_answer(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct answer *a = ctx;

	if (from == a->from && bytes[18] == INFORMATIONAL && bytes[19] & IKE_FLAG_RESPONSE)
		a->got = forge_open(s, &a->m, from, bytes, *len);
	a->len = *len;
	return true;
}

bool result_of(const struct answer *a, uint32_t i, struct mif_result *out)
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

void say(struct sim *s, unsigned from, struct answer *a, const struct mif_op *ops, uint32_t num)
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

uint16_t status_of(struct sim *s, unsigned from, const struct mif_op *op)
{
	struct mif_result r = {.status = 1};
	struct answer a = {.elsewhere = false};

	say(s, from, &a, op, 1);
	CU_ASSERT_TRUE(result_of(&a, 0, &r));
	CU_ASSERT_EQUAL(r.transaction, op->transaction);
	CU_ASSERT_EQUAL(r.path, op->path);
	return r.status;
}

struct mif_endpoint end_of(unsigned side, unsigned i)
{
	return (struct mif_endpoint){.at = {.addr = sim_addr(side, i), .port = 4500}};
}

struct sim_pair *pathsim_pair(struct sim *s, unsigned side, const char *name)
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

struct sim *pathsim_up_with_two(void)
{
	struct sim *s = pathsim_up();

	CU_ASSERT_EQUAL(sim_initiate(s, A, "two"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 2);
	CU_ASSERT_EQUAL(add(s, A, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	sim_probe(s);
	return s;
}

bool count_messages(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	(void)s;
	(void)bytes;
	(void)len;
	((uint32_t *)ctx)[from]++;
	return true;
}
