/* SPDX-License-Identifier: Apache-2.0 */
/* What is closed without anybody asking: idle children, and IKE SAs that a peer has too many of. */
#include <stdio.h>
#include <string.h>

#include "control/ike/task.h"
#include "control/ike/task.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

/* ---- inactivity ------------------------------------------------------------------------------ */

static struct sim *idle_pair(const char *child)
{
	const struct sim_options opt = {.wire = calm, .conf = {sim_conf(A, "", child)}};
	struct sim *s = sim_new(1, &opt);

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	return s;
}

/* Packets keep it up; without them it goes, on both sides, and the IKE SA stays. */
static void test_inactivity(void)
{
	struct sim *s = idle_pair("inactivity = 30s");

	s->traffic = true;
	after(s, 100 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	s->traffic = false;
	after(s, 27 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	after(s, 5 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A) + sim_num_pairs(s, B), 0);
	CU_ASSERT_TRUE(s->n[A].child_down == 1 && s->n[B].child_down == 1);
	CU_ASSERT_TRUE(sim_num_sas(s, A) == 1 && sim_num_sas(s, B) == 1);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* New keys are no packet. */
static void test_inactivity_over_rekeys(void)
{
	struct sim *s = idle_pair("inactivity = 35s\n rekey_time = 10s\n rand_time = 0");

	after(s, 32 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 3);
	CU_ASSERT_TRUE(sim_up(s));
	after(s, 5 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A) + sim_num_pairs(s, B), 0);
	sim_free(s);
}

/* ---- deletes --------------------------------------------------------------------------------- */

static bool count_deleted(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static struct forge_msg m;
	uint16_t *num = ctx;
	struct wire_delete d;

	if (from == A && bytes[18] == INFORMATIONAL && forge_open(s, &m, from, bytes, *len))
		for (uint32_t i = 0; i < m.num; i++)
			if (m.payloads[i].type == PAYLOAD_DELETE &&
			    !wire_delete_parse(&d, m.payloads[i].body))
				*num += d.num;
	return true;
}

/* One Delete payload may name several Child SAs (RFC 7296 3.11): each that is known is closed,
 * once, and named in the answer. */
static void test_delete_several(void)
{
	const struct sim_options opt = {
		.wire = calm,
		.conf = {sim_conf(A, "", "}\n two { local_ts = 10.3.0.0/16\n"),
			 sim_conf(B, "", "}\n two { remote_ts = 10.3.0.0/16\n")}};
	struct sim *s = sim_new(1, &opt);
	uint8_t body[4 + 4 * 4] = {PROTO_ESP, 4, 0, 4}, message[300];
	struct ike_payload p = {.type = PAYLOAD_DELETE, .body = bytes_of(body, sizeof(body))};
	struct ike_sa *sa;
	uint16_t deleted = 0;
	size_t len;

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "two"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL_FATAL(sim_num_pairs(s, B), 2);
	store_be32(body + 4, s->n[B].pairs[0].spi_in);
	store_be32(body + 8, 0x12345678);
	store_be32(body + 12, s->n[B].pairs[1].spi_in);
	store_be32(body + 16, s->n[B].pairs[0].spi_in);
	sa = list_entry(s->n[B].e->sas.next, struct ike_sa, node);
	len = forge_bare(s, sa, INFORMATIONAL, 0, sa->out.x.next_id, &p, 1, message,
			 sizeof(message));
	s->tap = count_deleted;
	s->tap_ctx = &deleted;
	sim_inject(s, A, message, len);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), 0);
	CU_ASSERT_EQUAL(s->n[A].child_down, 2);
	CU_ASSERT_EQUAL(deleted, 2);
	sim_free(s);
}

/* ---- unique ---------------------------------------------------------------------------------- */

/* twice - A has two connections to B. */
static const char *twice(const char *extra)
{
	return sim_conf_twins(2, extra);
}

static void initiate(struct sim *s, const char *conn, const char *from)
{
	struct ike_initiate_params p = {.conn = conn, .child = "tun"};

	CU_ASSERT_EQUAL(ip_addr_parse(&p.path.local.addr, from), ERR_OK);
	p.path.local.port = 500;
	p.path.remote = s->n[B].addr;
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &p, s->now_ns), ERR_OK);
	sim_settle(s, A);
	after(s, NS_PER_S);
}

static char *sim_conf_any(const char *extra)
{
	static char text[4096];
	char *at;

	snprintf(text, sizeof(text), "%s", sim_conf(B, extra, ""));
	at = strstr(text, "remote_addrs = 192.0.2.1");
	memcpy(at, "remote_addrs = %any     ", 24);
	return text;
}

/* How many IKE SAs each side has after A has come twice, the second time from somewhere. */
static uint32_t come_twice(const char *extra_a, const char *extra_b, const char *from)
{
	struct sim_options opt = {.wire = calm, .conf = {twice(extra_a), sim_conf_any(extra_b)}};
	struct sim *s = sim_new(1, &opt);
	uint32_t num;

	initiate(s, "net", "192.0.2.1");
	after(s, 20 * NS_PER_S);
	initiate(s, "net2", from);
	after(s, 5 * NS_PER_S);
	num = sim_num_sas(s, B);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), num);
	sim_free(s);
	return num;
}

static void test_unique(void)
{
	/* Who has an IKE SA with the peer does not say that this is the first. */
	CU_ASSERT_EQUAL(come_twice("", "", "192.0.2.1"), 2);
	CU_ASSERT_EQUAL(come_twice("", "unique = never", "192.0.2.1"), 2);
	CU_ASSERT_EQUAL(come_twice("", "unique = replace", "192.0.2.1"), 1);
	CU_ASSERT_EQUAL(come_twice("", "unique = replace", "192.0.2.9"), 1);
	CU_ASSERT_EQUAL(come_twice("", "unique = keep", "192.0.2.1"), 2);
	CU_ASSERT_EQUAL(come_twice("", "unique = keep", "192.0.2.9"), 1);
}

static void test_unique_keeps_the_first(void)
{
	struct sim_options opt = {.wire = calm, .conf = {twice(""), sim_conf_any("unique = keep")}};
	struct sim *s = sim_new(1, &opt);

	initiate(s, "net", "192.0.2.1");
	CU_ASSERT_TRUE(sim_up(s));
	initiate(s, "net2", "192.0.2.9");
	CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_AUTH_FAILED_PEER);
	CU_ASSERT_EQUAL(s->n[B].last_failure, IKE_REASON_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "unique = keep"));
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* One that is to be closed keeps nobody's place: B will say so when A has answered something else.
 */
static void test_unique_of_one_that_is_closed(void)
{
	struct sim_options opt = {.wire = calm, .conf = {twice(""), sim_conf_any("unique = keep")}};
	struct sim *s = sim_new(1, &opt);
	struct ike_sa *sa;

	initiate(s, "net", "192.0.2.1");
	CU_ASSERT_TRUE(sim_up(s));
	s->n[A].deaf = true;
	CU_ASSERT_EQUAL(sim_rekey(s, B, "tun"), ERR_OK);
	sa = list_entry(s->n[B].e->sas.next, struct ike_sa, node);
	CU_ASSERT_EQUAL(task_need(sa, TASK_IKE_DELETE, 0), ERR_OK);
	s->n[A].deaf = false;
	initiate(s, "net2", "192.0.2.9");
	CU_ASSERT_EQUAL(s->n[B].failed, 0);
	CU_ASSERT_EQUAL(s->n[B].ike_up, 2);
	sim_free(s);
}

/* B takes the name of host1 from anybody at 192.0.2.9: less than its other connection asks for. */
static const char *two_standards(void)
{
	static char text[3000];
	static const char *const format =
		"%s {\n local_addrs = 192.0.2.2\n remote_addrs = %s\n unique = replace\n"
		" local { auth = psk\n id = host2.example }\n remote { auth = psk\n id = %s }\n"
		" children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16\n } } }\n";
	int n = snprintf(text, sizeof(text), "connections {\n");

	n += snprintf(text + n, sizeof(text) - (size_t)n, format, "strict", "192.0.2.1",
		      "host1.example");
	n += snprintf(text + n, sizeof(text) - (size_t)n, format, "lax", "192.0.2.9", "%any");
	snprintf(text + n, sizeof(text) - (size_t)n,
		 "}\nsecrets { ike-1 { secret = \"a fairly long shared secret\" } }\n");
	return text;
}

/* Who may take a name in one connection does not end the IKE SA of its owner in another. */
static void test_unique_within_a_connection(void)
{
	struct sim_options opt = {.wire = calm, .conf = {twice(""), two_standards()}};
	struct sim *s = sim_new(1, &opt);

	initiate(s, "net", "192.0.2.1");
	CU_ASSERT_TRUE(sim_up(s));
	initiate(s, "net2", "192.0.2.9");
	after(s, 5 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 2);
	sim_free(s);
}

/* Another spelling of a name is no other peer. */
static void test_unique_in_any_case(void)
{
	struct sim_options opt = {.wire = calm, .conf = {NULL}};
	char *at, other[3000];
	struct sim *s;

	snprintf(other, sizeof(other), "%s", twice(""));
	at = strstr(strstr(other, "net2 {"), "host1");
	memcpy(at, "HOST1", 5);
	opt.conf[0] = other;
	opt.conf[1] = sim_conf_any("unique = replace");
	s = sim_new(1, &opt);
	initiate(s, "net", "192.0.2.1");
	after(s, 20 * NS_PER_S);
	initiate(s, "net2", "192.0.2.1");
	after(s, 5 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 1);
	sim_free(s);
}

/* A forgot everything, which it says: INITIAL_CONTACT. Then the old one goes, but not with never.
 */
static uint32_t come_back(const char *extra_a, const char *extra_b)
{
	struct sim_options opt = {.wire = calm, .conf = {twice(extra_a), sim_conf_any(extra_b)}};
	struct sim *s = sim_new(1, &opt);
	uint32_t num;

	initiate(s, "net", "192.0.2.1");
	s->n[B].deaf = true; /* A's goodbye is not heard */
	CU_ASSERT_EQUAL(sim_terminate(s, A, NULL), ERR_OK);
	after(s, 100 * NS_PER_S);
	s->n[B].deaf = false;
	CU_ASSERT_TRUE(sim_num_sas(s, A) == 0 && sim_num_sas(s, B) == 1);
	initiate(s, "net", "192.0.2.1");
	after(s, 100 * NS_PER_S);
	num = sim_num_sas(s, B);
	sim_free(s);
	return num;
}

static void test_initial_contact(void)
{
	CU_ASSERT_EQUAL(come_back("", ""), 1);
	CU_ASSERT_EQUAL(come_back("", "unique = keep"), 1);
	CU_ASSERT_EQUAL(come_back("", "unique = never"), 2);
	CU_ASSERT_EQUAL(come_back("unique = never", ""), 2);
}

static bool without_claim(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static struct forge_msg m;
	uint32_t num = 0;

	(void)ctx;
	if (bytes[18] != IKE_AUTH || !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++) {
		const struct ike_payload *p = &m.payloads[i];

		if (p->type != PAYLOAD_NOTIFY || load_be16(p->body.p + 2) != NOTIFY_INITIAL_CONTACT)
			m.payloads[num++] = *p;
	}
	m.num = num;
	*len = forge_close(s, &m, from, bytes, *len);
	return true;
}

/* Both begin at once: neither closes what the other has just begun. */
static void test_unique_crossing(void)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct sim_options opt = {.wire = calm,
					  .conf = {sim_conf(A, "unique = replace", ""),
						   sim_conf(B, "unique = replace", "")}};
		struct sim *s = sim_new(seed, &opt);

		/* without a claim to be the first, which is about what was there before */
		s->tap = without_claim;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, sim_random(s, 20 * NS_PER_MS));
		CU_ASSERT_EQUAL(sim_initiate(s, B, "tun"), ERR_OK);
		after(s, 10 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_delete_several),
	TAP_TEST(test_inactivity),
	TAP_TEST(test_inactivity_over_rekeys),
	TAP_TEST(test_unique),
	TAP_TEST(test_unique_keeps_the_first),
	TAP_TEST(test_unique_of_one_that_is_closed),
	TAP_TEST(test_unique_within_a_connection),
	TAP_TEST(test_unique_in_any_case),
	TAP_TEST(test_initial_contact),
	TAP_TEST(test_unique_crossing),
};

TAP_MAIN("sim/upkeep", tests)
