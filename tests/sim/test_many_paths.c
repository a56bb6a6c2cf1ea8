/* SPDX-License-Identifier: Apache-2.0 */
/*
 * M13: a host with many security domains loses an interface: 1,000 IKE SAs with 4 Child SAs each go
 * to another path by one call and one exchange each, and so do those of one tag out of them.
 * SIM_DOMAINS sets how many (1,000).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

#define A        0
#define B        1
#define CHILDREN 4

static const struct sim_wire calm = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS};

static unsigned domains(void)
{
	const char *v = getenv("SIM_DOMAINS");

	return v ? (unsigned)strtoul(v, NULL, 10) : 1000;
}

static const char *tag_of(unsigned child)
{
	return child % 2 ? "voice" : "bulk";
}

/* A connection and its children; the caller frees it. */
static char *conf_text(unsigned side, unsigned num)
{
	const size_t cap = 4096 + (size_t)num * 1200;
	const unsigned us = side + 1, them = 2 - side;
	char *text = malloc(cap);
	size_t at = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	at += (size_t)snprintf(text, cap, "connections {\n");
	for (unsigned i = 0; i < num; i++) {
		at += (size_t)snprintf(
			text + at, cap - at,
			"c%u { encap = yes\n dpd_delay = 0s\n rekey_time = 0s\n"
			" local { auth = psk\n id = d%u.host%u.example }\n"
			" remote { auth = psk\n id = d%u.host%u.example }\n children {\n",
			i, i, us, i, them);
		for (unsigned k = 0; k < CHILDREN; k++)
			at += (size_t)snprintf(text + at, cap - at,
					       " k%u { rekey_time = 0s\n path_tag = %s\n"
					       " local_ts = %u.%u.%u.%u/32\n"
					       " remote_ts = %u.%u.%u.%u/32 }\n",
					       k, tag_of(k), 20 + us, i / 250, i % 250, k + 1,
					       20 + them, i / 250, i % 250, k + 1);
		at += (size_t)snprintf(text + at, cap - at, "} }\n");
	}
	snprintf(text + at, cap - at, "}\n");
	return text;
}

static void initiate(struct sim *s, unsigned i, unsigned k)
{
	char conn[16], child[16];
	const struct ike_initiate_params p = {
		.conn = conn,
		.child = child,
		.path = {.local = {.addr = sim_addr(A, 0), .port = 500},
			 .remote = {.addr = sim_addr(B, 0), .port = 500}}};

	snprintf(conn, sizeof(conn), "c%u", i);
	snprintf(child, sizeof(child), "k%u", k);
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
}

static struct sim *up(unsigned num)
{
	const struct ike_limits limits = {.half_open_per_source = 1000, .cookie_threshold = 5000};
	char *text[2] = {conf_text(A, num), conf_text(B, num)};
	const struct sim_options opt = {
		.wire = calm, .limits = {limits, limits}, .conf = {text[A], text[B]}};
	struct sim *s = sim_new(9, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	free(text[A]);
	free(text[B]);
	sim_have(s, A, 3, 0);
	sim_have(s, B, 3, 0);
	for (unsigned k = 0; k < CHILDREN; k++) {
		for (unsigned i = 0; i < num; i++) {
			initiate(s, i, k);
			if (i % 100 == 99)
				sim_run(s, s->now_ns + NS_PER_S / 10);
		}
		sim_run(s, s->now_ns + 2 * NS_PER_S);
	}
	return s;
}

struct count {
	uint32_t messages[2];
	uint64_t bytes[2];
};

static bool count(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct count *c = ctx;

	(void)s;
	(void)bytes;
	c->messages[from]++;
	c->bytes[from] += *len;
	return true;
}

/* Every path set of a side goes between the second addresses, and only there. */
static uint32_t num_moved(struct sim *s, unsigned side)
{
	const struct ip_addr local = sim_addr(side, 1), remote = sim_addr(!side, 1);
	uint32_t num = 0;

	for (uint32_t i = 0; i < s->n[side].num_peers; i++) {
		const struct sim_peer *p = &s->n[side].peers[i];

		num += p->num_paths == 1 && p->paths[0].usable &&
		       ip_addr_equal(&p->path.local.addr, &local) &&
		       ip_addr_equal(&p->path.remote.addr, &remote);
	}
	return num;
}

/* expect_tied - the children with the tag "voice", and no others, go by the path, on both sides. */
static void expect_tied(struct sim *s, unsigned num, uint16_t path)
{
	for (unsigned side = 0; side < 2; side++) {
		uint32_t tied = 0;

		for (uint32_t i = 0; i < s->n[side].num_pairs; i++) {
			const struct sim_pair *p = &s->n[side].pairs[i];
			const bool tagged =
				strcmp(tag_of((unsigned)(p->name[1] - '0')), "voice") == 0;

			CU_ASSERT_EQUAL(p->path, tagged ? path : 0);
			tied += tagged;
		}
		CU_ASSERT_EQUAL(tied, num * CHILDREN / 2);
	}
}

/* move_domain - of every IKE SA what has the tag, by one call and one exchange each. */
static void move_domain(struct sim *s, unsigned num, struct count *c)
{
	const struct ike_path_op add = {.act = IKE_PATH_ADD,
					.addr = {.local.addr = sim_addr(A, 0),
						 .remote.addr = sim_addr(B, 0),
						 .encap = ENCAP_UDP},
					.priority = 1,
					.policy = IKE_PATHS_AS_BEFORE};
	const struct ike_path_op soft = {
		.act = IKE_PATH_SOFT, .addr.local.addr = sim_addr(A, 0), .tag = "voice"};
	const struct ike_select all = {.conn = NULL};
	uint32_t n = 0;
	uint16_t id = 0;

	CU_ASSERT_EQUAL(ike_path(s->n[A].e, &n, &id, &all, &add, 1, s->now_ns), ERR_OK);
	sim_settle(s, A);
	sim_run(s, s->now_ns + NS_PER_S);
	sim_probe(s);
	memset(c, 0, sizeof(*c));
	CU_ASSERT_EQUAL(ike_path(s->n[A].e, &n, NULL, &all, &soft, 1, s->now_ns), ERR_OK);
	CU_ASSERT_EQUAL(n, num);
	sim_settle(s, A);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(c->messages[A], num);
	CU_ASSERT_EQUAL(c->messages[B], num);
	expect_tied(s, num, id);
}

static void test_M13_many_domains(void)
{
	const unsigned num = domains();
	struct sim *s = up(num);
	const struct ike_path_op hard = {.act = IKE_PATH_HARD,
					 .addr = {.local.addr = sim_addr(A, 1),
						  .remote.addr = sim_addr(B, 1),
						  .encap = ENCAP_UDP}};
	const struct ike_select all = {.conn = NULL};
	struct count c = {.messages = {0}};
	uint32_t moved = 0;
	uint64_t begun, took;

	CU_ASSERT_EQUAL(s->n[A].num_peers, num);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), num * CHILDREN);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), num * CHILDREN);
	s->tap = count;
	s->tap_ctx = &c;
	begun = clock_now_ns();
	CU_ASSERT_EQUAL(ike_path(s->n[A].e, &moved, NULL, &all, &hard, 1, s->now_ns), ERR_OK);
	sim_settle(s, A);
	sim_run(s, s->now_ns + NS_PER_S);
	took = clock_now_ns() - begun;
	CU_ASSERT_EQUAL(moved, num);
	CU_ASSERT_EQUAL(s->n[A].done, num);
	CU_ASSERT_EQUAL(s->n[A].refused, 0);
	CU_ASSERT_EQUAL(c.messages[A], num); /* one exchange for each IKE SA, whatever it has */
	CU_ASSERT_EQUAL(c.messages[B], num);
	sim_probe(s);
	CU_ASSERT_EQUAL(num_moved(s, A), num);
	CU_ASSERT_EQUAL(num_moved(s, B), num);
	expect_tied(s, num, 0);
	tap_diag("%u IKE SAs with %u Child SAs each: %u + %u messages, %lu + %lu bytes, both "
		 "engines "
		 "and the wire took %lu ms",
		 num, CHILDREN, c.messages[A], c.messages[B], (unsigned long)c.bytes[A],
		 (unsigned long)c.bytes[B], (unsigned long)(took / NS_PER_MS));
	move_domain(s, num, &c);
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M13_many_domains),
};

TAP_MAIN("sim/many_paths", tests)
