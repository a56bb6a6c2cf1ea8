/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of authentication that sides announce (RFC 9593): of several keys the one is taken that
 * the peer lets, in either role; and who has none of what it lets learns that. */
#include <stdio.h>
#include <string.h>

#include "control/auth/announce.h"
#include "control/ike/core.h"
#include "control/ike/sa.h"
#include "tests/pki_conf.h"
#include "tests/sim/forge.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

#define SIGNS "auth = pubkey\n id = host%u.example"
/* WHOLE - messages come in one piece, which is looked into. */
#define WHOLE  "fragmentation = no"
#define SECRET "secrets { ike { secret = 0123456789abcdef } }"

/* struct seen - what each side announced, and how often. */
static struct seen {
	struct auth_announced announced[2];
	unsigned num[2];
} seen;

static void note(unsigned from, const struct ike_payload *p)
{
	const struct bytes b = p->body;

	if (p->type != PAYLOAD_NOTIFY || b.len < 4 ||
	    (b.p[2] << 8 | b.p[3]) != NOTIFY_SUPPORTED_AUTH_METHODS)
		return;
	seen.num[from]++;
	CU_ASSERT_EQUAL(auth_announced_parse(&seen.announced[from], bytes_of(b.p + 4, b.len - 4)),
			ERR_OK);
}

static bool look(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct ike_msg m;
	struct forge_msg f;

	(void)ctx;
	if (!ike_msg_parse(&m, bytes_of(bytes, *len)) && m.h.exchange == IKE_SA_INIT) {
		for (uint32_t i = 0; i < m.num; i++)
			note(from, &m.payloads[i]);
	} else if (forge_open(s, &f, from, bytes, *len) && f.h.exchange == IKE_AUTH) {
		for (uint32_t i = 0; i < f.num; i++)
			note(from, &f.payloads[i]);
	}
	return true;
}

/* Side `with` has keys of both kinds, P-256 first. */
static struct sim *world(const struct wish *a, const struct wish *b, unsigned with)
{
	struct sim *s = wish_world(a, b, true);

	wish_configure(s, with, sim_creds(conf_get(s->n[with].conf), with, "rsa2048"));
	seen = (struct seen){0};
	s->tap = look;
	return s;
}

/* Without it the first key would be taken, which the other side does not let. */
static void test_the_key_that_the_peer_lets(void)
{
	static const char *const lets[] = {
		"auth = rsa\n id = host%u.example", "auth = ecdsa-sha256\n id = host%u.example",
		"auth = rsa-sha256\n id = host%u.example", "auth = pubkey\n id = host%u.example"};

	for (unsigned with = A; with <= B; with++) {
		for (size_t i = 0; i < ARRAY_LEN(lets); i++) {
			const struct wish has = {.local = SIGNS, .remote = SIGNS, .conn = WHOLE};
			struct wish asks = {.local = SIGNS, .remote = lets[i], .conn = WHOLE};
			struct sim *s = with == A ? world(&has, &asks, A) : world(&asks, &has, B);

			wish_go(s, "net", 0);
			CU_ASSERT_EQUAL(seen.num[A], 1);
			CU_ASSERT_EQUAL(seen.num[B], 1);
			CU_ASSERT_FALSE(seen.announced[!with].psk || seen.announced[!with].null);
			CU_ASSERT_EQUAL(
				!(seen.announced[!with].schemes & AUTH_FORM_BITS(SIG_ECDSA)),
				i == 0 || i == 2);
			CU_ASSERT_EQUAL(
				!(seen.announced[!with].schemes & AUTH_FORM_BITS(SIG_RSA_PSS)),
				i == 1);
			wish_proved(s, "pkix-inline", "pkix-inline");
		}
	}
}

/* A responder says what any of its connections for such a peer takes. */
static void test_of_all_connections(void)
{
	const struct wish a = {.local = SIGNS, .remote = SIGNS, .conn = WHOLE};
	const struct wish b = {
		.local = SIGNS,
		.remote = SIGNS,
		.conns = "other { local { auth = psk\n id = x } remote { auth = psk\n id = y }\n"
			 "children { tun { local_ts = 10.9.0.0/16\n remote_ts = 10.8.0.0/16 } } }\n"
			 "elsewhere { remote_addrs = 203.0.113.9\n local { auth = pubkey\n id = x "
			 "}\n"
			 "remote { auth = null } children { tun { } } }",
		.more = SECRET};
	struct sim *s = world(&a, &b, A);

	wish_go(s, "net", 0);
	CU_ASSERT_TRUE(seen.announced[B].psk && seen.announced[B].schemes);
	CU_ASSERT_FALSE(seen.announced[B].null);
	wish_proved(s, "pkix-inline", "pkix-inline");
}

/* Who has nothing of what the peer lets is refused as ever, and is told what would have done. */
static void test_nothing_of_it(void)
{
	const struct wish a = {.local = SIGNS, .remote = SIGNS, .conn = WHOLE};
	const struct wish b = {
		.local = SIGNS, .remote = "auth = psk\n id = host%u.example", .more = SECRET};
	struct sim *s = world(&a, &b, A);

	wish_go(s, "net", 0);
	sim_run(s, s->now_ns + 80 * NS_PER_S);
	wish_refused(s, A, IKE_REASON_AUTH_FAILED_PEER, "had announced that it takes psk");
}

static const struct tap_test tests[] = {
	TAP_TEST(test_the_key_that_the_peer_lets),
	TAP_TEST(test_of_all_connections),
	TAP_TEST(test_nothing_of_it),
};

TAP_MAIN("sim/announce", tests)
