/* SPDX-License-Identifier: Apache-2.0 */
/* Leap of faith: the key that a peer had when it was first seen is its key from then on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/ike/wire/proto.h"
#include "tests/pki_conf.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

#define SECRETS "secrets { ike-1 { secret = \"a fairly long shared secret\" } }"

static char path[64], more[300];

/* No peer is known. */
static void begin(void)
{
	snprintf(path, sizeof(path), "/tmp/latchkey-faith-%d", (int)getpid());
	snprintf(more, sizeof(more), SECRETS "\nlatchkey { known_peers = %s }", path);
	unlink(path);
}

static unsigned num_lines(void)
{
	FILE *f = fopen(path, "r");
	unsigned num = 0;

	for (int c; f && (c = fgetc(f)) != EOF;)
		num += c == '\n';
	if (f)
		fclose(f);
	return num;
}

static const char *with_key(const char *words, const char *kind)
{
	static char text[4][1100];
	static unsigned at;
	char *out = text[at++ % 4];

	snprintf(out, sizeof(text[0]), "%s\n pubkeys = \"%s\"", words,
		 pki_pem("PUBLIC KEY", pki_spki(pki_key_get(kind))));
	return out;
}

static struct wish gate_of(const char *remote, const char *conns)
{
	return (struct wish){.local = "auth = psk\n id = host%u.example",
			     .remote = remote,
			     .conns = conns,
			     .more = more};
}

/* A world in which A (or B, which answers then) has this key alone; nothing has happened yet. */
static struct sim *keyed(const struct wish *gate, unsigned signer, const char *kind)
{
	const struct wish w = {.local = with_key("auth = pubkey\n id = host%u.example", kind),
			       .remote = "auth = psk",
			       .more = SECRETS};
	struct sim *s = signer == A ? wish_world(&w, gate, false) : wish_world(gate, &w, false);

	wish_configure(
		s, signer,
		pki_add(conf_get(s->n[signer].conf), CRED_KEY, pki_private(pki_key_get(kind))));
	return s;
}

static void passes(const struct wish *gate, unsigned signer, const char *kind)
{
	struct sim *s = keyed(gate, signer, kind);
	struct wish_seen seen;

	wish_go(s, "net", 0);
	seen = wish_seen(s, !signer);
	CU_ASSERT_EQUAL(seen.proof.peer.type, ID_FQDN);
	wish_proved(s, signer == A ? "group-psk" : "leap-of-faith",
		    signer == A ? "leap-of-faith" : "group-psk");
}

static void fails(const struct wish *gate, unsigned signer, const char *kind,
		  enum ike_reason reason, const char *word)
{
	struct sim *s = keyed(gate, signer, kind);

	wish_go(s, "net", 0);
	wish_refused(s, !signer, reason, word);
}

/* Either side may be the one that is remembered. */
static void test_S29_another_key_later(void)
{
	const struct wish gate = gate_of("auth = leapoffaith\n id = host%u.example", NULL);

	for (unsigned signer = 0; signer < 2; signer++) {
		begin();
		passes(&gate, signer, "P-256");
		CU_ASSERT_EQUAL(num_lines(), 1);
		passes(&gate, signer, "P-256");
		fails(&gate, signer, "P-384", IKE_REASON_KEY_CHANGED,
		      "delete line 1 of /tmp/latch");
		CU_ASSERT_EQUAL(num_lines(), 1);
		unlink(path);
		passes(&gate, signer, "P-384");
		fails(&gate, signer, "P-256", IKE_REASON_KEY_CHANGED, "it had");
		unlink(path);
	}
}

static uint8_t forged[2048];

static void flip(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer)
{
	(void)n;
	if (ask->kind != IKE_ASK_SIGN || !answer->allow)
		return;
	memcpy(forged, answer->auth.p, answer->auth.len);
	forged[answer->auth.len - 1] ^= 1;
	answer->auth.p = forged;
}

/* A key that is shown and has not signed is nobody's, and is not remembered. */
static void test_S29_kept_after_proof(void)
{
	const struct wish gate = gate_of("auth = leapoffaith\n id = host%u.example", NULL);
	struct sim *s;

	begin();
	s = keyed(&gate, A, "P-256");
	s->n[A].forge = flip;
	wish_go(s, "net", 0);
	wish_refused(s, B, IKE_REASON_AUTH_FAILED_LOCAL, "signature in its AUTH payload is wrong");
	CU_ASSERT_EQUAL(num_lines(), 0);
}

/* What cannot be remembered is not believed: it would be the first key again the next time. */
static void test_S29_cannot_be_kept(void)
{
	struct wish gate = gate_of("auth = leapoffaith\n id = host%u.example", NULL);

	begin();
	gate.more = SECRETS "\nlatchkey { known_peers = /nowhere/at/all/known }";
	fails(&gate, A, "P-256", IKE_REASON_RESOURCES, "/nowhere/at/all/known ");
}

/* Keys are remembered by the names that peers give themselves, where any will do; whom we call has
 * one. */
static void test_names(void)
{
	const struct wish any = gate_of("auth = leapoffaith\n id = %any", NULL);
	const struct wish other = gate_of("auth = leapoffaith\n id = host9.example", NULL);

	begin();
	passes(&any, A, "P-256");
	fails(&any, A, "P-384", IKE_REASON_KEY_CHANGED, "it had");
	fails(&other, A, "P-256", IKE_REASON_NO_CONFIG, "compare");
	fails(&any, B, "P-256", IKE_REASON_ID_MISMATCH, "set `remote.id`");
	CU_ASSERT_EQUAL(num_lines(), 1);
	unlink(path);
}

/* Who has another key than it had does not pass as anybody; nor does a name that somebody must
 * prove become one that is remembered. */
static void test_S29_no_way_back(void)
{
	const char *const low =
		"low { local { auth = psk\n id = host2.example }\n remote { auth = btns }\n"
		" children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16 } } }";
	const char *const office = "office { local { auth = psk\n id = host2.example }\n"
				   " remote { auth = psk\n id = host1.example } }";
	const struct wish both = gate_of("auth = leapoffaith\n id = %any", low);
	const struct wish named = gate_of("auth = leapoffaith\n id = %any", office);
	struct sim *s;

	begin();
	passes(&both, A, "P-256"); /* and first of the two */
	fails(&both, A, "P-384", IKE_REASON_KEY_CHANGED, "it had");
	unlink(path);
	s = keyed(&named, A, "P-256");
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[B].ike_up, 0);
	CU_ASSERT_EQUAL(num_lines(), 0);
	sim_free(s);
}

/* Who calls under the name of whom another connection calls does not choose the key of that one. */
static void test_S29_names_in_full(void)
{
	const char *const home = "home { remote_addrs = 192.0.2.77\n"
				 " local { auth = psk\n id = host2.example }\n"
				 " remote { auth = leapoffaith\n id = HOST1.example } }";
	const struct wish any = gate_of("auth = leapoffaith\n id = %any", home);
	const struct wish some = gate_of("auth = leapoffaith\n id = *.example", home);
	const struct wish same = gate_of("auth = leapoffaith\n id = host%u.example", home);

	begin();
	fails(&any, A, "P-256", IKE_REASON_ID_MISMATCH, "connection home asks for");
	fails(&some, A, "P-256", IKE_REASON_ID_MISMATCH, "connection home asks for");
	CU_ASSERT_EQUAL(num_lines(), 0);
	passes(&same, A, "P-256");
	unlink(path);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S29_another_key_later), TAP_TEST(test_S29_kept_after_proof),
	TAP_TEST(test_S29_cannot_be_kept),    TAP_TEST(test_names),
	TAP_TEST(test_S29_no_way_back),       TAP_TEST(test_S29_names_in_full),
};

TAP_MAIN("faith", tests)
