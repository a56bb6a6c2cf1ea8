/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway names another one (RFC 5685): here that is the same side at another address. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "control/ike/redirect.h"
#include "control/ike/wire/gateway.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static struct ike_sa *sa_of(struct sim *s, unsigned side)
{
	struct ike_sa *found = NULL;

	list_for_each (n, &s->n[side].e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->state == SA_ESTABLISHED)
			found = sa;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	return found;
}

static const char *name_of(unsigned i)
{
	static char text[IP_TEXT_MAX];
	const struct ip_addr a = sim_addr(B, i);

	return ip_addr_text(text, &a);
}

/* B has two addresses; A follows, or does not. */
static struct sim *world_of(const char *more, const char *conf_b)
{
	const struct sim_options opt = {.wire = calm,
					.conf = {sim_conf_anywhere(A, more, ""), conf_b}};
	struct sim *s = sim_new(1, &opt);

	sim_have(s, A, 1, 0);
	sim_have(s, B, 3, 0);
	return s;
}

static struct sim *world(const char *more)
{
	return world_of(more, sim_conf_anywhere(B, "mobike = no\n follow_redirects = yes", ""));
}

static struct sim *begin(const char *more)
{
	struct sim *s = world(more);

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	return s;
}

static struct sim *following(void)
{
	return begin("mobike = no\n follow_redirects = yes");
}

static bool is_at(struct sim *s, unsigned i)
{
	const struct ip_addr a = sim_addr(B, i);

	return ip_addr_equal(&sa_of(s, A)->path.remote.addr, &a);
}

static void check_gone(struct sim *s)
{
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
}

/* not_resolved - whoever looks names up takes his time. */
static bool not_resolved(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	(void)s, (void)side, (void)ctx;
	return ask->kind != IKE_ASK_RESOLVE;
}

/* ---- later, in INFORMATIONAL ----------------------------------------------------------------- */

/* A goes there, and the old SAs end when the new ones are there. */
static void test_redirect(void)
{
	struct sim *s = following();
	char why[200] = "";

	s->traffic = true;
	CU_ASSERT_TRUE(is_at(s, 0));
	CU_ASSERT_EQUAL(sim_redirect(s, B, name_of(1)), ERR_OK);
	after(s, 10 * NS_PER_S);
	s->traffic = false;
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(is_at(s, 1));
	CU_ASSERT_TRUE(sa_of(s, B)->redirect.follows); /* as REDIRECTED_FROM says */
	CU_ASSERT_TRUE(sim_same(s, why));
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	CU_ASSERT_EQUAL(s->n[A].lost_packets, 0);
	sim_free(s);
}

/* Also when keys were changed, by either side. */
static void test_redirect_after_rekey(void)
{
	for (unsigned by = 0; by < 2; by++) {
		struct sim *s = following();

		CU_ASSERT_EQUAL(sim_rekey(s, by, NULL), ERR_OK);
		after(s, 10 * NS_PER_S);
		CU_ASSERT_EQUAL(sim_redirect(s, B, name_of(1)), ERR_OK);
		after(s, 10 * NS_PER_S);
		CU_ASSERT_TRUE(is_at(s, 1));
		CU_ASSERT_TRUE(sim_up(s));
		sim_free(s);
	}
}

static void tell(struct sim *s, unsigned from, const uint8_t *data, size_t len)
{
	uint8_t body[300] = {0}, message[600];
	const struct ike_payload p = {.type = PAYLOAD_NOTIFY, .body = bytes_of(body, 4 + len)};
	struct ike_sa *sa = sa_of(s, from);
	size_t n;

	store_be16(body + 2, NOTIFY_REDIRECT);
	memcpy(body + 4, data, len);
	n = forge_bare(s, sa, INFORMATIONAL, 0, sa->out.x.next_id, &p, 1, message, sizeof(message));
	sim_inject(s, !from, message, n);
	sa->out.x.next_id++;
}

static void say(struct sim *s, unsigned from, const uint8_t *data, size_t len)
{
	tell(s, from, data, len);
	after(s, 5 * NS_PER_S);
}

/* Who is not let says that he does not follow, and does not if he is told all the same. */
static void test_redirect_not_let(void)
{
	struct sim *s = begin("mobike = no");
	uint8_t data[6] = {GATEWAY_IPV4, 4};

	CU_ASSERT_EQUAL(sim_redirect(s, B, name_of(1)), ERR_UNSUPPORTED);
	memcpy(data + 2, sim_addr(B, 1).b, 4);
	say(s, B, data, sizeof(data));
	CU_ASSERT_EQUAL(s->n[A].ike_up, 1);
	CU_ASSERT_TRUE(is_at(s, 0) && sim_up(s));
	sim_free(s);
}

/* Nor does a gateway follow a client. */
static void test_redirect_of_a_client(void)
{
	struct sim *s = following();
	uint8_t data[6] = {GATEWAY_IPV4, 4};

	sim_have(s, A, 3, 0); /* it would be there */
	CU_ASSERT_EQUAL(sim_redirect(s, A, name_of(1)), ERR_UNSUPPORTED);
	memcpy(data + 2, sim_addr(A, 1).b, 4);
	say(s, A, data, sizeof(data));
	CU_ASSERT_EQUAL(s->n[B].ike_up, 1);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* Addresses that no gateway has, names, and what does not follow the format: A stays. */
static void test_redirect_nowhere(void)
{
	static const struct {
		uint8_t data[20];
		size_t len;
	} rows[] = {
		{{GATEWAY_IPV4, 4, 0, 0, 0, 0}, 6},
		{{GATEWAY_IPV4, 4, 224, 0, 0, 1}, 6},
		{{GATEWAY_IPV4, 4, 255, 255, 255, 255}, 6},
		{{GATEWAY_IPV6, 16, 0xff, 2}, 18},
		{{GATEWAY_FQDN, 4, 'g', 'w', ' ', 'x'}, 6},
		{{GATEWAY_FQDN, 4, 'g', 'w', 0, 'x'}, 6},
		{{GATEWAY_IPV4, 5, 1, 2, 3, 4, 5}, 7},
		{{GATEWAY_IPV4, 4, 192, 0, 2}, 5},
		{{9, 4, 192, 0, 2, 7}, 6},
		{{GATEWAY_FQDN, 0}, 2},
		{{GATEWAY_IPV4}, 1},
	};
	struct sim *s = following();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		say(s, B, rows[i].data, rows[i].len);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 1);
	CU_ASSERT_EQUAL(s->n[A].failed, 0);
	CU_ASSERT_TRUE(is_at(s, 0) && sim_up(s));
	CU_ASSERT_EQUAL(sim_redirect(s, B, name_of(1)), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(is_at(s, 1));
	sim_free(s);
}

/* Said once more when the other gateway has taken the place of this one, which is to be closed:
 * that was followed. */
static void test_redirect_twice(void)
{
	struct sim *s = following();

	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(sim_redirect(s, B, name_of(1)), ERR_OK);
		after(s, NS_PER_S / 2);
	}
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 2);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	CU_ASSERT_TRUE(is_at(s, 1) && sim_up(s));
	sim_free(s);
}

/* By its name, which is looked up first; while there is no such one A stays. */
static void test_redirect_to_a_name(void)
{
	struct sim *s = following();

	CU_ASSERT_EQUAL(sim_redirect(s, B, "gw2.example.com"), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(is_at(s, 0) && sim_up(s));
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "gw2.example.com, where we do not go: "
							 "its name cannot be resolved"));
	s->n[A].named = sim_addr(B, 0); /* who names it */
	CU_ASSERT_EQUAL(sim_redirect(s, B, "gw2.example.com"), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "it is the one that we are with"));
	s->n[A].named = sim_addr(B, 1);
	CU_ASSERT_EQUAL(sim_redirect(s, B, "gw2.example.com"), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(is_at(s, 1) && sim_up(s));
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	CU_ASSERT_EQUAL(s->n[A].failed, 2);
	sim_free(s);
}

/* Each allocation fails once: it is followed, or what there was stays. */
static void test_redirect_to_a_name_out_of_memory(void)
{
	unsigned came_to[2] = {0};

	for (uint64_t nth = 1; nth <= 60; nth++) {
		struct sim *s = following();

		s->n[A].named = sim_addr(B, 1);
		CU_ASSERT_EQUAL(sim_redirect(s, B, "gw2.example.com"), ERR_OK);
		alloc_fail_nth(nth);
		after(s, 10 * NS_PER_S);
		alloc_fail_nth(0);
		after(s, 100 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
		came_to[is_at(s, 1)]++;
		sim_free(s);
	}
	CU_ASSERT(came_to[0] > 0 && came_to[1] > 0);
}

/* While one is looked up, which may take its time, the IKE SA there is goes on as ever, and however
 * many the peer names meanwhile, no other one is. */
static void test_redirect_to_many_names(void)
{
	static const uint8_t data[] = {GATEWAY_FQDN, 4, 'g', 'w', '.', 'x'};
	struct sim *s = following();

	s->asked = not_resolved;
	for (unsigned i = 0; i < 3; i++)
		say(s, B, data, sizeof(data));
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 2);
	CU_ASSERT_EQUAL(sim_rekey(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child, 1);
	after(s, 30 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	CU_ASSERT_TRUE(is_at(s, 0) && sim_up(s));
	sim_free(s);
}

/* Who gives it up while it is looked up has given it up. */
static void test_redirect_to_a_name_given_up(void)
{
	struct sim *s = following();

	s->asked = not_resolved;
	CU_ASSERT_EQUAL(sim_redirect(s, B, "gw2.example.com"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 2);
	CU_ASSERT_EQUAL(sim_terminate(s, A, NULL), ERR_OK);
	after(s, 60 * NS_PER_S);
	check_gone(s);
	sim_free(s);
}

/* Nor does the new one come up that was not begun yet when all was closed. */
static void test_redirect_given_up_at_once(void)
{
	uint8_t data[6] = {GATEWAY_IPV4, 4};
	struct sim *s = following();

	memcpy(data + 2, sim_addr(B, 1).b, 4);
	tell(s, B, data, sizeof(data));
	CU_ASSERT_EQUAL(sim_terminate(s, A, NULL), ERR_OK);
	after(s, 60 * NS_PER_S);
	check_gone(s);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 1);
	sim_free(s);
}

/* A gateway that is not there: what there was stays. */
static void test_redirect_to_nobody(void)
{
	struct sim *s = following();

	CU_ASSERT_EQUAL(sim_redirect(s, B, "198.51.100.77"), ERR_OK);
	after(s, 120 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 1);
	CU_ASSERT_TRUE(is_at(s, 0) && sim_up(s));
	sim_free(s);
}

/* Five in a row within 300 s, and no more (RFC 5685 7). */
static void test_redirect_round_and_round(void)
{
	struct sim *s = following();

	for (unsigned i = 1; i <= 8; i++) {
		CU_ASSERT_EQUAL(sim_redirect(s, B, name_of(is_at(s, 0) ? 1 : 0)), ERR_OK);
		after(s, 10 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].ike_up, i <= 5 ? i + 1 : 6);
	}
	after(s, 300 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_redirect(s, B, name_of(is_at(s, 0) ? 1 : 0)), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 7);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* What a gateway cannot name, and whom it does not mean. */
static void test_redirect_whom(void)
{
	static const char *const bad[] = {"",   "a b",       "x/y",    "0.0.0.0",
					  "::", "224.0.0.9", "ff02::1"};
	struct conf_side other = {.pattern = NULL}, same = {.pattern = NULL};
	struct ike_redirect_params p = {.gateway = "192.0.2.99"};
	struct sim *s = following();
	uint32_t num;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(sim_redirect(s, B, bad[i]), ERR_INVAL);
	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&other.id, "nobody.example"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&same.id, "host1.example"), ERR_OK);
	p.peer = &other;
	CU_ASSERT_EQUAL(ike_redirect(s->n[B].e, &num, &p, s->now_ns), ERR_NOT_FOUND);
	p.peer = &same;
	p.lo = p.hi = sim_addr(A, 1);
	CU_ASSERT_EQUAL(ike_redirect(s->n[B].e, &num, &p, s->now_ns), ERR_NOT_FOUND);
	p.lo = p.hi = sim_addr(A, 0);
	p.ike_id = sa_of(s, B)->unique + 1;
	CU_ASSERT_EQUAL(ike_redirect(s->n[B].e, &num, &p, s->now_ns), ERR_NOT_FOUND);
	p.ike_id--;
	CU_ASSERT_EQUAL(ike_redirect(s->n[B].e, &num, &p, s->now_ns), ERR_OK);
	CU_ASSERT_EQUAL(num, 1);
	sim_free(s);
}

/* ---- at once, in IKE_SA_INIT ----------------------------------------------------------------- */

struct door {
	uint8_t exchange; /* 0: IKE_SA_INIT */
	bool armed, right;
	bool itself; /* the gateway that is named is the one that names it */
	bool named;  /* the gateway is called gw.x, and not by its address */
	uint32_t seen, supported, from;
	uint8_t answer[200];
	size_t len;
};

/* What a gateway would say that takes nobody: built of A's first request. */
static bool at_the_door(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct door *d = ctx;
	const struct ip_addr to = sim_addr(B, !d->itself);
	uint8_t data[2 + 4 + 64] = {GATEWAY_IPV4, 4};
	struct ike_builder b;
	struct wire_notify n;
	struct bytes nonce, out = {0};
	struct ike_header h;
	struct ike_msg m;

	(void)s;
	if (from != A || bytes[18] != (d->exchange ? d->exchange : IKE_SA_INIT) ||
	    ike_msg_parse(&m, bytes_of(bytes, *len)))
		return true;
	d->seen++;
	d->supported += wire_notify_find(&n, &m, NOTIFY_REDIRECT_SUPPORTED);
	d->from += wire_notify_find(&n, &m, NOTIFY_REDIRECTED_FROM);
	if (!d->armed || d->len)
		return true;
	CU_ASSERT_EQUAL_FATAL(wire_nonce_parse(&nonce, ike_msg_body(&m, PAYLOAD_NONCE)), ERR_OK);
	memcpy(data + 2, d->named ? (const uint8_t *)"gw.x" : to.b, 4);
	data[0] = d->named ? GATEWAY_FQDN : GATEWAY_IPV4;
	memcpy(data + 6, nonce.p, nonce.len);
	data[6] ^= !d->right;
	h = (struct ike_header){
		.spi_i = m.h.spi_i, .exchange = bytes[18], .flags = IKE_FLAG_RESPONSE};
	ike_build_begin(&b, d->answer, sizeof(d->answer), &h);
	wire_notify_build(&b, NOTIFY_REDIRECT, bytes_of(data, 6 + nonce.len));
	CU_ASSERT_EQUAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	d->len = out.len;
	return false;
}

static struct sim *knock(struct door *d, bool right, const char *more)
{
	struct sim *s = world(more);

	*d = (struct door){.armed = true, .right = right};
	s->tap = at_the_door;
	s->tap_ctx = d;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_TRUE(d->len > 0);
	sim_inject(s, A, d->answer, d->len);
	after(s, 5 * NS_PER_S);
	return s;
}

static void test_redirect_at_once(void)
{
	struct door d;
	struct sim *s = knock(&d, true, "mobike = no\n follow_redirects = yes");

	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_TRUE(is_at(s, 1));
	CU_ASSERT_TRUE(d.supported == 1 && d.from == 1 && d.seen == 2);
	sim_free(s);
}

/* By its name: nothing is sent until that was looked up. */
static void test_redirect_at_once_to_a_name(void)
{
	for (unsigned known = 0; known < 2; known++) {
		struct sim *s = world("mobike = no\n follow_redirects = yes");
		struct door d = {.named = true, .armed = true, .right = true};

		if (known)
			s->n[A].named = sim_addr(B, 1);
		s->tap = at_the_door;
		s->tap_ctx = &d;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		CU_ASSERT_TRUE_FATAL(d.len > 0);
		sim_inject(s, A, d.answer, d.len);
		CU_ASSERT_EQUAL(d.seen, 1);
		after(s, 5 * NS_PER_S);
		CU_ASSERT_EQUAL(d.seen, known ? 2 : 1);
		CU_ASSERT_EQUAL(d.from, known);
		CU_ASSERT_EQUAL(s->n[A].failed, !known);
		CU_ASSERT_TRUE(known ? sim_up(s) && is_at(s, 1)
				     : strstr(s->n[A].last_text, "cannot be resolved") != NULL);
		sim_free(s);
	}
}

/* Each allocation fails once: it comes up at one end, or nothing is left. */
static void test_redirect_at_once_to_a_name_out_of_memory(void)
{
	unsigned up = 0;

	for (uint64_t nth = 1; nth <= 40; nth++) {
		struct sim *s = world("mobike = no\n follow_redirects = yes");
		struct door d = {.named = true, .armed = true, .right = true};

		s->n[A].named = sim_addr(B, 1);
		s->tap = at_the_door;
		s->tap_ctx = &d;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		CU_ASSERT_TRUE_FATAL(d.len > 0);
		alloc_fail_nth(nth);
		sim_inject(s, A, d.answer, d.len);
		after(s, 100 * NS_PER_S);
		alloc_fail_nth(0);
		up += sim_num_sas(s, A);
		for (unsigned side = 0; side < 2; side++)
			(void)!sim_terminate(s, side, NULL);
		after(s, 300 * NS_PER_S);
		check_gone(s);
		sim_free(s);
	}
	CU_ASSERT(up > 10);
}

/* Short of memory, the answer is as if it had not come: A comes to whom it asked. */
static void test_redirect_at_once_out_of_memory(void)
{
	unsigned came_to[2] = {0};

	for (uint64_t nth = 1; nth <= 12; nth++) {
		struct sim *s = world("mobike = no\n follow_redirects = yes");
		struct door d = {.armed = true, .right = true};

		s->tap = at_the_door;
		s->tap_ctx = &d;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		CU_ASSERT_TRUE(d.len > 0);
		alloc_fail_nth(nth);
		sim_inject(s, A, d.answer, d.len);
		alloc_fail_nth(0);
		after(s, 10 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		came_to[is_at(s, 1)]++;
		CU_ASSERT_EQUAL(sa_of(s, A)->redirect.num, is_at(s, 1));
		sim_free(s);
	}
	CU_ASSERT(came_to[0] > 0 && came_to[1] > 0);
}

/* Whoever has not seen the request has no nonce: A goes on waiting, and comes to whom it asked. */
static void test_redirect_at_once_forged(void)
{
	struct door d;
	struct sim *s = knock(&d, false, "mobike = no\n follow_redirects = yes");

	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_TRUE(is_at(s, 0));
	CU_ASSERT_EQUAL(d.from, 0);
	sim_free(s);
}

static void test_redirect_at_once_not_let(void)
{
	struct door d;
	struct sim *s = knock(&d, true, "mobike = no");

	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_TRUE(is_at(s, 0));
	CU_ASSERT_TRUE(d.supported == 0 && d.from == 0);
	sim_free(s);
}

/* The same to a ticket: the whole handshake is with the other gateway, and the ticket is not lost
 * until that gives another one. */
static void test_redirect_to_a_ticket(void)
{
	static const char conf[] = "mobike = no\n follow_redirects = yes\n resumption = yes";

	for (unsigned i = 0; i < 4; i++) {
		const unsigned right = i & 1;
		struct door d = {.exchange = IKE_SESSION_RESUME,
				 .named = i & 2,
				 .armed = true,
				 .right = right};
		struct sim *s = world_of(conf, sim_conf_anywhere(B, conf, ""));

		s->n[A].named = sim_addr(B, 1);

		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s) && is_at(s, 0));
		forge_lost(s);
		s->tap = at_the_door;
		s->tap_ctx = &d;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		CU_ASSERT_TRUE_FATAL(d.len > 0);
		sim_inject(s, A, d.answer, d.len);
		CU_ASSERT_EQUAL(list_empty(&s->n[A].e->held), !right);
		after(s, 5 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_TRUE(is_at(s, right));
		CU_ASSERT_EQUAL(d.supported, right ? 1 : 2);
		sim_free(s);
	}
}

/* One that leads nowhere keeps nobody from a whole handshake: the address, or what the name means,
 * of the one that names it, and a name that means nothing. */
static void test_redirect_to_a_ticket_nowhere(void)
{
	static const char conf[] = "mobike = no\n follow_redirects = yes\n resumption = yes";

	for (unsigned i = 0; i < 3; i++) {
		struct door d = {.exchange = IKE_SESSION_RESUME,
				 .right = true,
				 .itself = i == 0,
				 .named = i > 0};
		struct sim *s = world_of(conf, sim_conf_anywhere(B, conf, ""));

		if (i == 1)
			s->n[A].named = sim_addr(B, 0);
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, NS_PER_S);
		forge_lost(s);
		d.armed = true;
		s->tap = at_the_door;
		s->tap_ctx = &d;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		CU_ASSERT_TRUE_FATAL(d.len > 0);
		sim_inject(s, A, d.answer, d.len);
		d.exchange = IKE_SA_INIT;
		d.supported = d.from = 0;
		after(s, 5 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s) && is_at(s, 0));
		CU_ASSERT_EQUAL(s->n[A].failed, 0);
		CU_ASSERT_TRUE(d.from == 0 && (i == 0 || d.supported == 1));
		sim_free(s);
	}
}

/* ---- when both have proven who they are, in IKE_AUTH ----------------------------------------- */

/* B at its first address sends whoever follows to another gateway; at its second one it is that. */
static struct sim *doorway(const char *more, const char *to)
{
	static char text[2048];
	char conn[2][700], gateway[60];

	snprintf(gateway, sizeof(gateway), "%s", to); /* it may be what name_of() has said */
	for (unsigned i = 0; i < 2; i++)
		snprintf(
			conn[i], sizeof(conn[i]),
			"%s {\n version = 2\n local_addrs = %s\n encap = yes\n mobike = no\n %s%s\n"
			" local { auth = psk\n id = host2.example }\n"
			" remote { auth = psk\n id = host1.example }\n"
			" children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16 } } "
			"}\n",
			i ? "net" : "door", name_of(i),
			i ? "" : "redirect_to = ", i ? "" : gateway);
	snprintf(text, sizeof(text), "connections {\n%s%s}\n", conn[0], conn[1]);
	return world_of(more, text);
}

/* The child that was asked for is with the other gateway, and nothing is left at this one. */
static void test_redirect_in_auth(void)
{
	struct sim *s = doorway("mobike = no\n follow_redirects = yes", name_of(1));
	char why[200] = "";

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 3 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s) && sim_same(s, why));
	CU_ASSERT_TRUE(is_at(s, 1));
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	CU_ASSERT_TRUE(s->n[A].ike_up == 1 && s->n[A].ike_down == 0 && s->n[A].child_up == 1);
	CU_ASSERT_TRUE(s->n[B].ike_up == 2 && s->n[B].ike_down == 1 && s->n[B].child_up == 1);
	CU_ASSERT_TRUE(sa_of(s, B)->redirect.follows);
	sim_free(s);
}

/* Who does not say that it follows is served where it is. */
static void test_redirect_in_auth_not_let(void)
{
	struct sim *s = doorway("mobike = no", name_of(1));

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 3 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s) && is_at(s, 0));
	sim_free(s);
}

/* It is said why it is not followed, and the gateway hears that nobody comes. */
static void test_redirect_in_auth_nowhere(void)
{
	struct sim *s = doorway("mobike = no\n follow_redirects = yes", "192.0.2.2");

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 3 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].failed, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "the one that we are with"));
	check_gone(s);
	sim_free(s);
}

/* By its name, which is looked up when this gateway has been left: then there is nothing, or what
 * was asked for. */
static void test_redirect_in_auth_to_a_name(void)
{
	for (unsigned known = 0; known < 2; known++) {
		struct sim *s = doorway("mobike = no\n follow_redirects = yes", "gw2.example.com");

		if (known)
			s->n[A].named = sim_addr(B, 1);
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		after(s, 3 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].failed, !known);
		CU_ASSERT_EQUAL(s->n[A].ike_up, known);
		if (known) {
			CU_ASSERT_TRUE(sim_up(s) && is_at(s, 1));
		} else {
			CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "cannot be resolved"));
			check_gone(s);
		}
		sim_free(s);
	}
}

static bool keep(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	uint64_t *kept = ctx;

	(void)s;
	if (side != A || ask->kind != IKE_ASK_AUTHORIZE)
		return true;
	*kept = ask->id;
	return false;
}

/* Who gave it up while the gateway was judged does not come to the other one. */
static void test_redirect_in_auth_given_up(void)
{
	struct sim *s = doorway("mobike = no\n follow_redirects = yes", name_of(1));
	uint64_t kept = 0;

	s->asked = keep;
	s->tap_ctx = &kept;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE_FATAL(kept != 0);
	CU_ASSERT_EQUAL(sim_terminate(s, A, NULL), ERR_OK);
	sim_answer(s, A, kept, IKE_ASK_AUTHORIZE, true);
	s->asked = NULL;
	after(s, 30 * NS_PER_S);
	CU_ASSERT_TRUE(s->n[A].failed == 1 && s->n[A].ike_up == 0 && s->n[A].child_up == 0);
	check_gone(s);
	sim_free(s);
}

/* A renewal that is sent elsewhere ends nothing here until it has something there. */
static void test_redirect_in_auth_of_a_renewal(void)
{
	struct sim *s = world_of("mobike = no\n follow_redirects = yes\n reauth_time = 30s",
				 sim_conf_anywhere(B, "mobike = no\n unique = replace", ""));
	char **to;

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE_FATAL(sim_up(s) && is_at(s, 0));
	to = &s->n[B].conf->conns[0]->redirect_to; /* of the next ones */
	*to = str_dup("198.51.100.77");
	CU_ASSERT_PTR_NOT_NULL_FATAL(*to);
	after(s, 32 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[B].ike_up, 2);
	CU_ASSERT_TRUE(sim_up(s) && is_at(s, 0));
	CU_ASSERT_EQUAL(s->n[A].child_down + s->n[B].child_down, 0);
	sim_free(s);
}

/* add_redirect - to B's IKE_AUTH, that nobody asked for. */
static bool add_redirect(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static const uint8_t body[] = {
		0,   0, NOTIFY_REDIRECT >> 8, NOTIFY_REDIRECT & 0xff, GATEWAY_IPV4, 4, 198, 51,
		100, 77};
	static struct forge_msg m;
	uint8_t out[FORGE_BUF];
	size_t n;

	(void)ctx;
	if (from != B || bytes[18] != IKE_AUTH || !forge_open(s, &m, from, bytes, *len))
		return true;
	m.payloads[m.num++] =
		(struct ike_payload){.type = PAYLOAD_NOTIFY, .body = bytes_of(body, sizeof(body))};
	n = forge_close(s, &m, from, out, sizeof(out));
	CU_ASSERT_TRUE_FATAL(n > 0);
	sim_inject(s, A, out, n);
	return false;
}

static void test_redirect_in_auth_unasked(void)
{
	struct sim *s = world("mobike = no");

	s->tap = add_redirect;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s) && is_at(s, 0));
	CU_ASSERT_EQUAL(s->n[A].failed, 0);
	sim_free(s);
}

/* A gateway that is not there: the request has failed, once. */
static void test_redirect_in_auth_to_nobody(void)
{
	struct sim *s = doorway("mobike = no\n follow_redirects = yes", "198.51.100.77");

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 120 * NS_PER_S);
	CU_ASSERT_TRUE(s->n[A].failed == 1 && s->n[A].ike_up == 0);
	check_gone(s);
	sim_free(s);
}

static bool swallow(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	(void)s, (void)len, (void)ctx;
	return from != A || bytes[18] != INFORMATIONAL;
}

static unsigned num_established(struct sim *s, unsigned side)
{
	unsigned num = 0;

	list_for_each (n, &s->n[side].e->sas)
		num += list_entry(n, struct ike_sa, node)->state == SA_ESTABLISHED;
	return num;
}

/* A client that stays away without a word: the gateway closes what is left. */
static void test_redirect_in_auth_in_silence(void)
{
	struct sim *s = doorway("mobike = no\n follow_redirects = yes", name_of(1));

	s->tap = swallow;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, 5 * NS_PER_S);
	CU_ASSERT_EQUAL(num_established(s, B), 2);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(num_established(s, B), 1);
	s->tap = NULL;
	after(s, 100 * NS_PER_S);
	CU_ASSERT_TRUE(sim_num_sas(s, B) == 1 && sim_up(s) && is_at(s, 1));
	sim_free(s);
}

/* Each allocation fails once: it comes up at one end, or nothing is left. */
static void test_redirect_in_auth_out_of_memory(void)
{
	static const char conf[] = "mobike = no\n follow_redirects = yes";
	struct sim *s = doorway(conf, name_of(1));
	uint64_t before = alloc_count(), num;

	(void)!sim_initiate(s, A, "tun");
	after(s, NS_PER_S);
	num = alloc_count() - before;
	sim_free(s);
	CU_ASSERT(num > 50);
	for (uint64_t nth = 1; nth <= num; nth++) {
		s = doorway(conf, name_of(1));
		alloc_fail_nth(nth);
		(void)!sim_initiate(s, A, "tun");
		after(s, NS_PER_S);
		alloc_fail_nth(0);
		after(s, 100 * NS_PER_S);
		for (unsigned side = 0; side < 2; side++)
			(void)!sim_terminate(s, side, NULL);
		after(s, 300 * NS_PER_S);
		check_gone(s);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_redirect),
	TAP_TEST(test_redirect_after_rekey),
	TAP_TEST(test_redirect_not_let),
	TAP_TEST(test_redirect_of_a_client),
	TAP_TEST(test_redirect_nowhere),
	TAP_TEST(test_redirect_twice),
	TAP_TEST(test_redirect_to_a_name),
	TAP_TEST(test_redirect_to_a_name_out_of_memory),
	TAP_TEST(test_redirect_to_many_names),
	TAP_TEST(test_redirect_to_a_name_given_up),
	TAP_TEST(test_redirect_given_up_at_once),
	TAP_TEST(test_redirect_to_nobody),
	TAP_TEST(test_redirect_round_and_round),
	TAP_TEST(test_redirect_whom),
	TAP_TEST(test_redirect_at_once),
	TAP_TEST(test_redirect_at_once_to_a_name),
	TAP_TEST(test_redirect_at_once_to_a_name_out_of_memory),
	TAP_TEST(test_redirect_at_once_out_of_memory),
	TAP_TEST(test_redirect_at_once_forged),
	TAP_TEST(test_redirect_at_once_not_let),
	TAP_TEST(test_redirect_to_a_ticket),
	TAP_TEST(test_redirect_to_a_ticket_nowhere),
	TAP_TEST(test_redirect_in_auth),
	TAP_TEST(test_redirect_in_auth_to_a_name),
	TAP_TEST(test_redirect_in_auth_not_let),
	TAP_TEST(test_redirect_in_auth_nowhere),
	TAP_TEST(test_redirect_in_auth_to_nobody),
	TAP_TEST(test_redirect_in_auth_in_silence),
	TAP_TEST(test_redirect_in_auth_given_up),
	TAP_TEST(test_redirect_in_auth_of_a_renewal),
	TAP_TEST(test_redirect_in_auth_unasked),
	TAP_TEST(test_redirect_in_auth_out_of_memory),
};

TAP_MAIN("sim/redirect", tests)
