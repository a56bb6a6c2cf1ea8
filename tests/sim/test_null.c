/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that do not authenticate themselves (RFC 7619): only where that is said, as nobody, and
 * with nothing that is anybody else's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "control/ike/core.h"
#include "control/ike/sa.h"
#include "tests/sim/forge.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

#define SECRETS "secrets { ike-1 { secret = \"a fairly long shared secret\" } }"

/* The words of each way to authenticate, of a local and of a remote section. */
enum way {
	PSK,
	SIGN,
	NOBODY,
	NUM_WAYS
};
static const struct {
	const char *words, *of_any, *name;
} ways[NUM_WAYS] = {
	[PSK] = {"auth = psk\n id = host%u.example", "auth = psk", "group-psk"},
	[SIGN] = {"auth = pubkey\n id = host%u.example", "auth = pubkey", "pkix-inline"},
	[NOBODY] = {"auth = null", "auth = null", "none"},
};

static struct wish wish_of(enum way local, enum way remote)
{
	return (struct wish){
		.local = ways[local].words, .remote = ways[remote].words, .more = SECRETS};
}

static void test_nobody_and_each_other_way(void)
{
	for (unsigned i = 0; i < (unsigned)NUM_WAYS * NUM_WAYS; i++) {
		const enum way of_a = i / NUM_WAYS, of_b = i % NUM_WAYS;
		const struct wish a = wish_of(of_a, of_b), b = wish_of(of_b, of_a);
		struct sim *s = wish_world(&a, &b, true);

		wish_go(s, "net", 0);
		if (of_a == NOBODY)
			CU_ASSERT_EQUAL(wish_seen(s, B).proof.peer.type, ID_NULL);
		wish_proved(s, ways[of_b].name, ways[of_a].name);
	}
}

/* Who signs is told which hashes are verified (RFC 7427 4) by a side that does not sign itself. */
static void test_hashes_are_told_by_nobody(void)
{
	for (unsigned signer = 0; signer < 2; signer++) {
		const struct wish w[2] = {
			wish_of(signer == A ? SIGN : NOBODY, signer == A ? NOBODY : SIGN),
			wish_of(signer == B ? SIGN : NOBODY, signer == B ? NOBODY : SIGN)};
		struct sim *s = sim_new(
			1, &(struct sim_options){.conf = {wish_text(A, &w[A]), wish_text(B, &w[B])},
						 .by_keyring = true,
						 .sign = true,
						 .kind = "ed25519"});

		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		wish_go(s, "net", 0);
		wish_proved(s, ways[signer == B ? SIGN : NOBODY].name,
			    ways[signer == A ? SIGN : NOBODY].name);
	}
}

/* S29: a side that wants one way takes no other, as initiator and as responder; nor does one that
 * wants nobody take somebody. */
static void test_S29_no_other_way(void)
{
	for (unsigned i = 0; i < (unsigned)NUM_WAYS * NUM_WAYS; i++) {
		const enum way wanted = i / NUM_WAYS, used = i % NUM_WAYS;
		const struct wish other = wish_of(used, SIGN);
		struct wish asker = wish_of(SIGN, wanted);
		struct sim *s;

		asker.remote = ways[wanted].of_any;
		if (wanted == used)
			continue;
		s = wish_world(&asker, &other, true);
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(s->n[A].ike_up, 0);
		wish_refused(s, A, IKE_REASON_AUTH_FAILED_LOCAL, "auth = ");
		s = wish_world(&other, &asker, true);
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(s->n[B].ike_up, 0);
		CU_ASSERT_EQUAL(s->n[B].last_failure, wanted != NOBODY && used != NOBODY
							      ? IKE_REASON_AUTH_FAILED_LOCAL
							      : IKE_REASON_NO_CONFIG);
		CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
		sim_free(s);
	}
}

/* Whoever is let in with any name, by a secret or a signature, must have one (RFC 7619 2.2); and
 * nobody is not let in where any name is. */
static void test_S29_any_is_not_nobody(void)
{
	static const char *const any[] = {"auth = psk", "auth = psk\n id = %any", "auth = pubkey",
					  "auth = pubkey\n id = %any"};

	for (size_t i = 0; i < ARRAY_LEN(any); i++) {
		const struct wish b = {.local = ways[PSK].words, .remote = any[i], .more = SECRETS};
		struct wish a = wish_of(NOBODY, PSK);
		struct sim *s = wish_world(&a, &b, true);

		wish_go(s, "net", 0);
		wish_refused(s, B, IKE_REASON_NO_CONFIG, "`auth = null` in its `remote` section");
		a = wish_of(i < 2 ? PSK : SIGN, PSK);
		s = wish_world(&a, &b, true);
		s->n[A].conf->conns[0]->local.id = (struct ike_id){.type = ID_NULL};
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(s->n[B].ike_up, 0);
		sim_free(s);
	}
}

/* A name that nobody gives itself is for people to read: it leads to no connection, proves
 * nothing, and is not what the peer is known by. */
static void test_S29_a_name_without_proof(void)
{
	static const char named[] =
		"named { local { auth = psk\n id = host2.example }\n"
		" remote { auth = psk\n id = host9.example }\n"
		" children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.9.0.0/16 } } }";
	struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
	struct ike_id *id;
	struct sim *s;

	b.conns = named;
	s = wish_world(&a, &b, false);
	id = &s->n[A].conf->conns[0]->local.id;
	CU_ASSERT_EQUAL(conf_id_parse(id, "host9.example"), ERR_OK);
	wish_go(s, "net", 0);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(wish_seen(s, B).proof.peer.type, ID_NULL);
	CU_ASSERT_EQUAL(wish_seen(s, B).proof.peer.len, 0);
	CU_ASSERT_STRING_EQUAL(wish_seen(s, B).method, "none");
	sim_free(s);
}

/* ---- hostile input --------------------------------------------------------------------------- */

/* struct change - what becomes of one payload of one message of IKE_AUTH. */
struct change {
	unsigned from;
	uint8_t type;
	void (*make)(struct ike_payload *p, size_t arg);
	size_t arg;
};

static uint8_t changed[512];

static bool change(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	const struct change *c = ctx;
	static uint8_t out[FORGE_BUF];
	struct forge_msg m;
	size_t n;

	if (bytes[18] != IKE_AUTH || from != c->from || !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++)
		if (m.payloads[i].type == c->type)
			c->make(&m.payloads[i], c->arg);
	n = forge_close(s, &m, from, out, sizeof(out));
	if (n)
		sim_inject(s, !from, out, n);
	return false;
}

static void resize(struct ike_payload *p, size_t len)
{
	memset(changed, 0x5a, sizeof(changed));
	memcpy(changed, p->body.p, p->body.len < len ? p->body.len : len);
	p->body = bytes_of(changed, len);
}

static void flip(struct ike_payload *p, size_t bit)
{
	memcpy(changed, p->body.p, p->body.len);
	changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	p->body.p = changed;
}

static void refuses(struct change *c)
{
	const struct wish w = wish_of(NOBODY, NOBODY);
	struct sim *s = wish_world(&w, &w, false);

	s->tap = change;
	s->tap_ctx = c;
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[!c->from].ike_up, 0);
	CU_ASSERT_EQUAL(s->n[!c->from].child_up, 0);
	sim_free(s);
}

/* An AUTH value of any other length, or with any other bit, is wrong, as is any other method. */
static void test_every_other_auth(void)
{
	for (unsigned from = 0; from < 2; from++) {
		struct change c = {.from = from, .type = PAYLOAD_AUTH, .make = resize};

		for (c.arg = 0; c.arg < 80; c.arg += c.arg == 34 || c.arg == 35 ? 2 : 1)
			if (c.arg != 4 + 32)
				refuses(&c);
		c.make = flip;
		for (c.arg = 0; c.arg < 36 * 8; c.arg += c.arg == 7 ? 25 : 1)
			refuses(&c);
	}
}

/* ID_NULL holds no data (RFC 7619 2.2), nor is another identity empty. */
static void test_id_null_with_data(void)
{
	for (unsigned from = 0; from < 2; from++) {
		struct change c = {.from = from,
				   .type = from ? PAYLOAD_IDR : PAYLOAD_IDI,
				   .make = resize,
				   .arg = 5};

		refuses(&c);
		c.arg = 260;
		refuses(&c);
		c.make = flip; /* of another type, with nothing in it */
		c.arg = 0;
		refuses(&c);
	}
}

/* ---- others' traffic ------------------------------------------------------------------------- */

/* Another connection of the initiator, for the same child. */
static const char second[] =
	"second { local { auth = null }\n remote { auth = psk\n id = host2.example }\n"
	" children { tun { local_ts = 10.3.0.0/16\n remote_ts = 10.2.0.0/16 } } }";

static bool says_first(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static const uint8_t contact[] = {0, 0, NOTIFY_INITIAL_CONTACT >> 8,
					  NOTIFY_INITIAL_CONTACT & 0xff};
	static uint8_t out[FORGE_BUF];
	struct forge_msg m;
	size_t n;

	(void)ctx;
	if (bytes[18] != IKE_AUTH || from != A || !forge_open(s, &m, from, bytes, *len))
		return true;
	m.payloads[m.num++] = (struct ike_payload){.type = PAYLOAD_NOTIFY,
						   .body = bytes_of(contact, sizeof(contact))};
	n = forge_close(s, &m, from, out, sizeof(out));
	if (n)
		sim_inject(s, !from, out, n);
	return false;
}

/* That nobody has no other SA says nothing about those of others who are nobody (RFC 7619 2.3); nor
 * does `unique` tell them apart. */
static void test_S29_initial_contact(void)
{
	static const char *const unique[] = {"", "unique = replace", "unique = keep"};

	for (size_t i = 0; i < ARRAY_LEN(unique); i++) {
		struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
		struct sim *s;

		a.conns = second;
		b.remote_ts = "10.0.0.0/8";
		b.conn = unique[i];
		s = wish_world(&a, &b, false);
		s->tap = says_first;
		wish_go(s, "net", 0);
		wish_go(s, "second", 1);
		CU_ASSERT_EQUAL(wish_seen(s, B).num, 2);
		CU_ASSERT_EQUAL(wish_seen(s, B).num_children, 2);
		sim_free(s);
	}
}

#define OFFICE(ts, addrs)                                                  \
	"office { " addrs "\n local { auth = psk\n id = host2.example }\n" \
	" remote { auth = psk\n id = host7.example }\n"                    \
	" children { tun { local_ts = 10.2.0.0/16\n remote_ts = " ts " } } }"

static void check_claim(const char *conns, bool refused)
{
	struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
	struct sim *s;

	b.conns = conns;
	b.remote_ts = "0.0.0.0/0";
	s = wish_world(&a, &b, false);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[B].ike_up, 1);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), refused ? 0 : 1);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), refused ? 0 : 1);
	if (refused)
		CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "connection office is for"));
	sim_free(s);
}

/* Nobody gets what a connection names for a peer that proves who it is, nor a part of it. */
static void test_S29_what_another_connection_names(void)
{
	check_claim(OFFICE("10.1.0.0/16", ""), true);
	check_claim(OFFICE("10.1.2.0/24", ""), true);
	check_claim(OFFICE("10.0.0.0/8", ""), true);
	check_claim(OFFICE("10.1.0.0/16[tcp/22]", ""), true);
	check_claim(OFFICE("dynamic", "remote_addrs = 10.1.0.7"), true);
	check_claim(OFFICE("dynamic", "remote_addrs = 10.4.0.7"), false);
	check_claim(OFFICE("10.4.0.0/16", ""), false);
}

/* Two who are nobody: what one has the other does not get, unless it is where that one was. */
static void test_S29_what_another_peer_has(void)
{
	for (unsigned from = 0; from < 2; from++) {
		struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
		struct sim *s;

		a.conns = "second { local { auth = null }\n remote { auth = psk\n id = "
			  "host2.example }\n children { tun { local_ts = 10.1.0.0/24\n"
			  " remote_ts = 10.2.0.0/16 } } }";
		s = wish_world(&a, &b, false);
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(sim_num_pairs(s, B), 1);
		wish_go(s, "second", from);
		CU_ASSERT_EQUAL(wish_seen(s, B).num, 2);
		CU_ASSERT_EQUAL(sim_num_pairs(s, B), from ? 1 : 2);
		if (from)
			CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "another peer has"));
		sim_free(s);
	}
}

static bool translate(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct path_addr path = s->tapped;

	(void)ctx;
	if (from != A)
		return true;
	path.remote.port += 1000;
	sim_deliver(s, B, &path, bytes, *len);
	return false;
}

/* Whoever is behind a translator is not the translator itself: another port is another place. */
static void test_S29_another_port(void)
{
	struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
	struct sim *s;

	a.conn = b.conn = "encap = no";
	a.conns = "second { local { auth = null }\n remote { auth = psk\n id = host2.example }\n"
		  " children { tun { local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16 } } }";
	s = wish_world(&a, &b, false);
	wish_go(s, "net", 0);
	s->tap = translate;
	wish_go(s, "second", 0);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 2);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "another peer has"));
	sim_free(s);
}

/* Who has its own address and goes to another one does not keep the first, which may be anybody
 * else's then; with other traffic it may go where it likes. */
static void test_S29_own_address(void)
{
	static const char *const ts[] = {"dynamic", "10.1.0.0/16"};

	for (size_t i = 0; i < ARRAY_LEN(ts); i++) {
		struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
		struct sim *s;

		b.remote_ts = ts[i];
		s = wish_world(&a, &b, false);
		if (!i)
			s->n[A].conf->conns[0]->children[0].local_ts[0].dynamic = true;
		sim_have(s, A, 3, 0);
		sim_have(s, B, 1, 0);
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(sim_num_pairs(s, B), 1);
		sim_have(s, A, 2, 1);
		sim_run(s, s->now_ns + 5 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[B].moves != 0, i == 1);
		sim_free(s);
	}
}

/* Who proves who it is gets its traffic back from nobody. */
static void test_S29_somebody_comes(void)
{
	struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
	struct sim *s;

	a.conns = "second { local { auth = psk\n id = host7.example }\n remote { auth = psk\n"
		  " id = host2.example }\n children { tun { local_ts = 10.1.0.0/24\n"
		  " remote_ts = 10.2.0.0/16 } } }";
	s = wish_world(&a, &b, false);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 1);
	b.conns = OFFICE("10.1.0.0/24", "");
	wish_configure(s, B, wish_conf(B, &b));
	wish_go(s, "second", 1);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 1);
	CU_ASSERT_STRING_EQUAL(wish_seen(s, B).method, "group-psk");
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 1);
	CU_ASSERT_EQUAL(s->n[B].last_down, IKE_REASON_REPLACED);
	sim_free(s);
}

static bool says_nothing_more(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	(void)s;
	(void)len;
	(void)ctx;
	return from != A || (bytes[18] != CREATE_CHILD_SA && bytes[18] != INFORMATIONAL);
}

/* It does at once, and not when nobody has answered what it was asked before. */
static void test_S29_at_once(void)
{
	struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
	struct sim *s;

	a.conns = "second { local { auth = psk\n id = host7.example }\n remote { auth = psk\n"
		  " id = host2.example }\n children { tun { local_ts = 10.1.0.0/24\n"
		  " remote_ts = 10.2.0.0/16 } } }";
	s = wish_world(&a, &b, false);
	wish_go(s, "net", 0);
	b.conns = OFFICE("10.1.0.0/24", "");
	wish_configure(s, B, wish_conf(B, &b));
	s->tap = says_nothing_more;
	CU_ASSERT_EQUAL(sim_rekey(s, B, NULL), ERR_OK);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 1);
	wish_go(s, "second", 1);
	CU_ASSERT_EQUAL(s->n[B].ike_up, 2);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 1);
	CU_ASSERT_EQUAL(s->n[B].child_down, 1);
	sim_run(s, s->now_ns + 1000 * NS_PER_S);
	sim_free(s);
}

static bool hold_accept(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	uint64_t *held = ctx;

	(void)s;
	if (side != B || ask->kind != IKE_ASK_CHILD_ACCEPT || *held)
		return true;
	*held = ask->id;
	return false;
}

/* The same while the first one's child waits to be accepted. */
static void test_S29_meanwhile(void)
{
	struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
	uint64_t held = 0;
	struct sim *s;

	a.conns = "second { local { auth = null }\n remote { auth = psk\n id = host2.example }\n"
		  " children { tun { local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16 } } }";
	s = wish_world(&a, &b, false);
	s->asked = hold_accept;
	s->tap_ctx = &held;
	wish_go(s, "net", 0);
	CU_ASSERT_NOT_EQUAL_FATAL(held, 0);
	wish_go(s, "second", 1);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 1);
	sim_answer(s, B, held, IKE_ASK_CHILD_ACCEPT, true);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	CU_ASSERT_EQUAL(wish_seen(s, B).num, 2);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 1);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), 1);
	sim_free(s);
}

/* The re-key of a peer asks for all of 10.0.0.0/8. */
static bool widens(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static const uint8_t all[] = {1,    0,    0,  0, 7, 0, 0,  16,  0,   0,
				      0xff, 0xff, 10, 0, 0, 0, 10, 255, 255, 255};
	static uint8_t out[FORGE_BUF];
	struct forge_msg m;
	size_t n;

	(void)ctx;
	if (bytes[18] != CREATE_CHILD_SA || from != A || !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++)
		if (m.payloads[i].type == PAYLOAD_TSI)
			m.payloads[i].body = bytes_of(all, sizeof(all));
	n = forge_close(s, &m, from, out, sizeof(out));
	if (n)
		sim_inject(s, !from, out, n);
	return false;
}

/* The same while a re-key waits: somebody comes, or another nobody for what the old pair lacks. */
static void test_S29_meanwhile_rekeyed(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct wish a = wish_of(NOBODY, PSK), b = wish_of(PSK, NOBODY);
		uint64_t held = 0;
		struct sim *s;

		a.conns = side == A ? second
				    : "second { local { auth = psk\n id = host7.example }\n"
				      " remote { auth = psk\n id = host2.example }\n"
				      " children { tun { local_ts = 10.1.0.0/16\n"
				      " remote_ts = 10.2.0.0/16 } } }";
		b.remote_ts = "10.0.0.0/8";
		s = wish_world(&a, &b, false);
		wish_go(s, "net", 0);
		s->asked = hold_accept;
		s->tap_ctx = &held;
		s->tap = side == A ? widens : NULL;
		CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
		for (unsigned i = 0; i < 90 && !held; i++) /* until the old one is confirmed */
			sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_NOT_EQUAL_FATAL(held, 0);
		b.conns = OFFICE("10.1.0.0/16", "");
		if (side == B)
			wish_configure(s, B, wish_conf(B, &b));
		wish_go(s, "second", 1);
		CU_ASSERT_EQUAL(s->n[B].child_up, 2);
		sim_answer(s, B, held, IKE_ASK_CHILD_ACCEPT, true);
		sim_run(s, s->now_ns + 5 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[B].rekeyed_child, 0);
		sim_free(s);
	}
}

/* ---- bad wires, no memory -------------------------------------------------------------------- */

static void test_bad_wire(void)
{
	const struct wish w = wish_of(NOBODY, NOBODY);

	for (uint64_t seed = 1; seed <= 16; seed++) {
		struct sim *s = sim_new(
			seed, &(struct sim_options){.wire = {.loss = 30,
							     .repeat = 5,
							     .reorder = 10,
							     .jitter_ns = 20 * NS_PER_MS},
						    .limits = {{.cookies_always = seed & 1},
							       {.cookies_always = seed & 1}},
						    .conf = {wish_text(A, &w), wish_text(B, &w)},
						    .by_keyring = true});

		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 90 * NS_PER_S, sim_up));
		sim_free(s);
	}
}

static void test_out_of_memory(void)
{
	const struct wish w = wish_of(NOBODY, NOBODY);

	for (uint64_t nth = 1; nth < 300; nth += 3) {
		struct sim *s = wish_world(&w, &w, false);

		alloc_fail_nth(nth);
		(void)!sim_initiate(s, A, "tun");
		sim_run(s, s->now_ns + 2 * NS_PER_S);
		alloc_fail_nth(0);
		sim_run(s, s->now_ns + 90 * NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s) ||
			       (sim_num_pairs(s, A) == 0 && sim_num_pairs(s, B) == 0) ||
			       sim_num_sas(s, A) != sim_num_sas(s, B));
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_nobody_and_each_other_way),
	TAP_TEST(test_hashes_are_told_by_nobody),
	TAP_TEST(test_S29_no_other_way),
	TAP_TEST(test_S29_any_is_not_nobody),
	TAP_TEST(test_S29_a_name_without_proof),
	TAP_TEST(test_every_other_auth),
	TAP_TEST(test_id_null_with_data),
	TAP_TEST(test_S29_initial_contact),
	TAP_TEST(test_S29_what_another_connection_names),
	TAP_TEST(test_S29_what_another_peer_has),
	TAP_TEST(test_S29_another_port),
	TAP_TEST(test_S29_own_address),
	TAP_TEST(test_S29_somebody_comes),
	TAP_TEST(test_S29_at_once),
	TAP_TEST(test_S29_meanwhile),
	TAP_TEST(test_S29_meanwhile_rekeyed),
	TAP_TEST(test_bad_wire),
	TAP_TEST(test_out_of_memory),
};

TAP_MAIN("null", tests)
