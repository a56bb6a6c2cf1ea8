/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/drawn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PSK    "auth = psk\n id = host%u.example"
#define SIGNS  "auth = pubkey\n id = host%u.example"
#define STRICT SIGNS "\n revocation = strict"
#define TLS    "auth = eap-tls\n id = host%u.example"

static const struct way ways[] = {
	{"pre-shared keys",
	 {PSK, PSK},
	 {PSK, PSK},
	 .rounds = 2,
	 .proof = {"group-psk", "group-psk"}},
	{"certificates",
	 {SIGNS, SIGNS},
	 {SIGNS, SIGNS},
	 PAPERS_PLAIN,
	 .rounds = 2,
	 .proof = {"pkix-inline", "pkix-inline"}},
	{"a list that lies here",
	 {SIGNS, SIGNS},
	 {STRICT, STRICT},
	 PAPERS_LIST,
	 .rounds = 2,
	 .proof = {"pkix-inline", "pkix-inline"}},
	{"a list that is fetched",
	 {SIGNS, SIGNS},
	 {STRICT, STRICT},
	 PAPERS_LIST_AT,
	 {true, true},
	 .rounds = 2,
	 .proof = {"pkix-inline", "pkix-inline"}},
	{"OCSP",
	 {SIGNS, SIGNS},
	 {STRICT, STRICT},
	 PAPERS_RESPONDER,
	 {true, true},
	 .rounds = 2,
	 .proof = {"pkix-inline", "pkix-inline"}},
	{"OCSP within IKE",
	 {SIGNS, SIGNS},
	 {STRICT, STRICT},
	 PAPERS_RESPONDER,
	 {false, true},
	 .rounds = 2,
	 .without = PART_BIT(PART_UNREQUESTED), /* it is asked for with the certificate */
	 .proof = {"pkix-inline", "pkix-inline"}},
	{"certificates by hash and URL",
	 {SIGNS, SIGNS},
	 {STRICT, STRICT},
	 PAPERS_BY_URL,
	 {true, true},
	 .without = PART_BIT(PART_UNREQUESTED), /* that one can fetch is said with the request */
	 .rounds = 2,
	 .proof = {"pkix-offline", "pkix-offline"}},
	{"one of two keys",
	 {SIGNS, SIGNS},
	 {"auth = rsa\n id = host%u.example", "auth = rsa-sha256\n id = host%u.example"},
	 PAPERS_TWO_KEYS,
	 .rounds = 2,
	 .proof = {"pkix-inline", "pkix-inline"}},
	{"EAP-MSCHAPv2",
	 {"auth = eap-mschapv2\n id = " CAROL, SIGNS},
	 {SIGNS, "auth = eap-mschapv2\n eap_id = %any"},
	 PAPERS_PLAIN,
	 .a_begins = true,
	 .rounds = 6,
	 .proof = {"pkix-inline", "eap"}},
	{"EAP-TLS",
	 {TLS, SIGNS},
	 {SIGNS, "auth = eap-tls"},
	 PAPERS_PLAIN,
	 .a_begins = true,
	 .rounds = 7,
	 .proof = {"pkix-inline", "eap"}},
	{"EAP-TLS alone",
	 {TLS, TLS},
	 {TLS, TLS},
	 PAPERS_PLAIN,
	 .a_begins = true,
	 .rounds = 7,
	 .proof = {"eap", "eap"}},
	{"RADIUS",
	 {"auth = eap\n id = " CAROL, SIGNS},
	 {SIGNS, "auth = eap-radius\n eap_id = %any"},
	 PAPERS_PLAIN,
	 .a_begins = true,
	 .rounds = 6,
	 .proof = {"pkix-inline", "eap"}},
};

/* struct part_row - in so many of 100 seeds, unless one of these parts was drawn before, or the way
 * has no papers; what it adds to each side's connection, to both children, and beside them; and
 * exchanges that it takes before the first child is up. */
static const struct part_row {
	const char *name;
	uint32_t percent, not_with;
	bool signs;
	const char *conn[2], *child, *more[2];
	uint32_t rounds;
} rows[NUM_PARTS] = {
	[PART_PPK] = {"a PPK", 25, .conn = {"ppk_id = ours", "ppk_id = ours\n ppk_required = yes"},
		      .more = {"secrets { ppk { id = ours\n secret = 0123456789abcdef } }",
			       "secrets { ppk { id = ours\n secret = 0123456789abcdef } }"}},
	[PART_VIPS] = {"virtual addresses", 25, .conn = {"vips = 0.0.0.0", "pools = road"},
		       .more = {"", "pools { road { addrs = 10.3.0.0/24\n dns = 10.2.0.53 } }"}},
	[PART_KES] = {"additional key exchanges", 25,
		      .conn = {"proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp384",
			       "proposals = aes256gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp384"},
		      .rounds = 2},
	[PART_CHILD_KES] = {"additional key exchanges of children", 25,
			    .child = "esp_proposals = aes256gcm16-x25519-ke1_ecp256"},
	[PART_CHILDLESS] = {"childless", 20, PART_BIT(PART_VIPS),
			    .conn = {"childless = prefer", "childless = allow"}, .rounds = 2},
	[PART_REDIRECT] = {"redirection", 25,
			   .conn = {"follow_redirects = yes", "follow_redirects = yes"}},
	[PART_RESUMPTION] = {"resumption", 35, .conn = {"resumption = yes", "resumption = yes"}},
	[PART_TOKENS] = {"crash detection", 50},
	[PART_REAUTH] = {"repeated authentication", 20,
			 .conn = {"rekey_time = 300s",
				  "reauth_time = 70s\n over_time = 40s\n rekey_time = 300s"}},
	[PART_COOKIES] = {"cookies", 25, .more = {"", "latchkey { cookies = always\n }"},
			  .rounds = 1},
	[PART_MOBIKE] = {"MOBIKE", 50},
	[PART_FRAGMENTS] = {"small fragments", 25,
			    .more = {"latchkey { fragment_size = 500\n }",
				     "latchkey { fragment_size = 700\n }"}},
	[PART_UNREQUESTED] = {"unrequested certificates", 25, .signs = true,
			      .conn = {"send_certreq = no", "send_cert = always"}},
};

/* What a side says that did not draw a part. */
static const char *const instead[NUM_PARTS] = {
	[PART_REAUTH] = "rekey_time = 300s",
	[PART_MOBIKE] = "mobike = no",
};

#define SECRETS                                                            \
	"secrets { ike-1 { secret = \"a fairly long shared secret\" }\n"   \
	" eap-carol { id = " CAROL "\n secret = " CAROLS_PASSWORD "\n }\n" \
	" radius { id = aaa\n secret = 0123456789abcdef } }\n"             \
	"latchkey { radius { servers { aaa { address = 192.0.2.9\n } } } }"

/* struct text - one that grows. */
struct text {
	char buf[8192];
	size_t len;
};

static void add(struct text *t, const char *what)
{
	const int n = snprintf(t->buf + t->len, sizeof(t->buf) - t->len, "%s\n", what ? what : "");

	t->len += (size_t)n;
	assert(t->len < sizeof(t->buf));
}

/* A section in which %u is a number. */
static void add_numbered(struct text *t, const char *section, const char *what, unsigned n)
{
	char line[512];
	size_t at = (size_t)snprintf(line, sizeof(line), "%s { ", section);

	for (; *what; what++) {
		const bool mark = what[0] == '%' && what[1] == 'u';

		assert(at + 3 < sizeof(line));
		line[at++] = mark ? (char)('0' + n) : *what;
		what += mark;
	}
	memcpy(line + at, " }", 3);
	add(t, line);
}

static void add_children(struct text *t, const struct drawn *d, unsigned side)
{
	static const char *const names[] = {"tun", "two"};
	static const unsigned lives[] = {90, 70};
	const bool vips = drawn_has(d, PART_VIPS);

	add(t, "children {");
	for (unsigned i = 0; i < 2; i++) {
		const unsigned us = 10 * i + side + 1, them = 10 * i + 2 - side;
		char line[200], local[40] = "", remote[40] = "";

		if (!vips || side == 1)
			snprintf(local, sizeof(local), "local_ts = 10.%u.0.0/16", us);
		if (!vips || side == 0)
			snprintf(remote, sizeof(remote), "remote_ts = 10.%u.0.0/16", them);
		snprintf(line, sizeof(line), "%s { rekey_time = %us\n %s\n %s\n", names[i],
			 lives[i], local, remote);
		add(t, line);
		for (unsigned p = 0; p < NUM_PARTS; p++)
			if (drawn_has(d, p))
				add(t, rows[p].child);
		add(t, "}");
	}
	add(t, "}");
}

static struct conf *make_conf(const struct drawn *d, unsigned side)
{
	struct text *t = calloc(1, sizeof(*t));
	struct conf *conf;

	assert(t);
	add(t, "connections { net {\n version = 2\n encap = yes\n dpd_delay = 30s");
	for (unsigned p = 0; p < NUM_PARTS; p++)
		add(t, drawn_has(d, p) ? rows[p].conn[side] : instead[p]);
	add_numbered(t, "local", d->way->local[side], side + 1);
	add_numbered(t, "remote", d->way->remote[side], 2 - side);
	add_children(t, d, side);
	add(t, "} }\n" SECRETS);
	for (unsigned p = 0; p < NUM_PARTS; p++)
		if (drawn_has(d, p))
			add(t, rows[p].more[side]);
	conf = sim_conf_parse(t->buf);
	assert(conf);
	free(t);
	return papers_add(conf, side, d->way->papers);
}

static uint64_t below(struct rng_seeded *rng, uint64_t n)
{
	uint64_t v;
	enum err e = rng_fill(&rng->rng, &v, sizeof(v));

	assert(!e);
	return v % n;
}

struct drawn drawn_of(const struct way *way, uint32_t parts)
{
	struct drawn d = {.way = way};

	for (unsigned p = 0; p < NUM_PARTS; p++)
		if (parts & PART_BIT(p) & ~way->without && !(d.parts & rows[p].not_with) &&
		    (!rows[p].signs || way->papers != PAPERS_NONE))
			d.parts |= PART_BIT(p);
	for (unsigned side = 0; side < 2; side++)
		d.conf[side] = make_conf(&d, side);
	return d;
}

struct drawn drawn_make(uint64_t seed)
{
	struct rng_seeded rng;
	const struct way *way;
	uint32_t parts = 0;

	rng_seeded_init(&rng, seed * 7 + 1);
	way = &ways[below(&rng, ARRAY_LEN(ways))];
	for (unsigned p = 0; p < NUM_PARTS; p++)
		parts |= below(&rng, 100) < rows[p].percent ? PART_BIT(p) : 0;
	return drawn_of(way, parts);
}

void drawn_free(struct drawn *d)
{
	for (unsigned side = 0; side < 2; side++)
		conf_put(d->conf[side]);
}

bool drawn_has(const struct drawn *d, enum part part)
{
	return d->parts & PART_BIT(part);
}

uint32_t drawn_rounds(const struct drawn *d)
{
	uint32_t num = d->way->rounds;

	for (unsigned p = 0; p < NUM_PARTS; p++)
		num += drawn_has(d, p) ? rows[p].rounds : 0;
	return num;
}

const char *drawn_text(const struct drawn *d)
{
	static struct text t;

	t.len = (size_t)snprintf(t.buf, sizeof(t.buf), "%s", d->way->name);
	for (unsigned p = 0; p < NUM_PARTS; p++)
		if (drawn_has(d, p))
			t.len += (size_t)snprintf(t.buf + t.len, sizeof(t.buf) - t.len, ", %s",
						  rows[p].name);
	return t.buf;
}

size_t drawn_num_ways(void)
{
	return ARRAY_LEN(ways);
}

const struct way *drawn_way(size_t i)
{
	return &ways[i];
}

size_t drawn_way_number(const struct way *w)
{
	return (size_t)(w - ways);
}

const char *drawn_part_name(enum part part)
{
	return rows[part].name;
}
