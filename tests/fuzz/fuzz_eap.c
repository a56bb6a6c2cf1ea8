/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_eap: EAP packets to either end of a conversation, or to a relay: a byte that says which,
 * then packets, each behind its length in two bytes; of a relay's server a byte before it says how
 * it is meant (relayed()). What is sent back is a packet, and nobody who does not know the
 * password, or is not believed, comes to a key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "control/auth/eap/eap.h"
#include "tests/pki.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Bits of the first byte. */
#define AS_SERVER     1
#define ASKS_IDENTITY 2
#define NO_SECRET     4
#define BY_TLS        8
#define RELAYS        16 /* with AS_SERVER */

/* Bits of how a relay's server means what it says. */
#define ACCEPTS 1
#define HAS_KEY 2
#define NAMES   4 /* a name follows, behind its length in a byte */
#define REMARKS 8 /* a token follows likewise */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_eap: %s\n", what);
	abort();
}

static struct eap *begin(uint8_t flags)
{
	static struct rng_seeded rng;
	static struct crypto_ctx *crypto;
	struct eap_params p = {.server = flags & AS_SERVER,
			       .type = flags & BY_TLS ? EAP_TYPE_TLS : EAP_TYPE_MSCHAPV2,
			       .relay = flags & AS_SERVER && flags & RELAYS,
			       .asks_identity = flags & ASKS_IDENTITY};
	struct eap *x;

	if (!crypto) {
		rng_seeded_init(&rng, 1);
		must(!crypto_ctx_new(&crypto, &rng.rng), "no context");
	}
	rng_seeded_init(&rng, 1);
	p.crypto = crypto;
	must(!eap_id_of(&p.identity, bytes_of("carol", 5)), "no identity");
	must(!eap_new(&x, &p), "no conversation");
	if (p.server)
		must(!eap_begin(x), "no beginning");
	return x;
}

static void check_said(const struct eap *x)
{
	const struct bytes said = eap_packet(x);
	struct eap_packet p;

	if (said.len)
		must(!eap_packet_parse(&p, said) && load_be16(said.p + 2) == said.len,
		     "what is said is no packet");
}

static enum err answer(struct eap *x, bool secret)
{
	static struct pki_cert cert;
	struct bytes chain[EAP_MAX_CERTS], own;

	if (!cert.len)
		pki_cert_make(&cert, &(struct pki_params){.subject = "/CN=us"});
	own = pki_der(&cert);
	if (eap_wants(x) == EAP_WANTS_SECRET)
		return eap_answer(
			x, &(struct eap_answer){.secret = bytes_of("a password", secret ? 10 : 0)});
	if (eap_wants(x) == EAP_WANTS_KEY)
		return eap_answer(x, &(struct eap_answer){.secret = pki_private(cert.key),
							  .certs = &own,
							  .num_certs = secret});
	must(eap_chain(x, chain) > 0, "a chain without certificates");
	return eap_answer(x, &(struct eap_answer){.believed = false});
}

static bool waits(const struct eap *x)
{
	return eap_wants(x) != EAP_WANTS_PACKET && eap_wants(x) != EAP_WANTS_NOTHING;
}

static struct bytes take(struct reader *r, bool is_there)
{
	struct bytes b = {0};
	uint8_t n;

	if (is_there && !reader_u8(r, &n) && reader_bytes(r, &b, n))
		b = bytes_of(NULL, 0);
	return b;
}

/* A relay shows its server a packet of the client's, and a name that means one thing. Without an
 * answer in the input the server is silent. */
static enum err relayed(struct eap *x, struct reader *r, bool *out_key)
{
	static const uint8_t key[EAP_MSK_LEN] = {1};
	const struct bytes shown = eap_relayed(x), name = eap_name(x);
	struct eap_relayed said = {0};
	struct eap_packet p;
	uint8_t how;
	uint16_t n;

	must(!eap_packet_parse(&p, shown) && p.code == EAP_RESPONSE &&
		     load_be16(shown.p + 2) == shown.len,
	     "what the server is shown is no packet of a client's");
	must(name.len && !memchr(name.p, 0, name.len), "a name that is read in two ways");
	if (reader_u8(r, &how) || reader_u16(r, &n) || reader_bytes(r, &said.packet, n))
		return eap_answer(x, &(struct eap_answer){.why = "it is silent"});
	said.accepted = how & ACCEPTS;
	said.name = take(r, how & NAMES);
	said.token = take(r, how & REMARKS);
	if (how & HAS_KEY)
		said.msk = bytes_of(key, sizeof(key));
	*out_key = said.accepted && said.msk.len;
	return eap_answer(x, &(struct eap_answer){.relayed = &said});
}

/* e: what came of the last packet. */
static bool go_on(struct eap *x, enum err e, struct reader *r, uint8_t flags)
{
	bool key = false;

	while (!e && waits(x))
		e = eap_wants(x) == EAP_WANTS_SERVER ? relayed(x, r, &key)
						     : answer(x, !(flags & NO_SECRET));
	must(key || eap_msk(x).len == 0, "a key for whoever comes");
	must(!e || eap_msk(x).len == 0, "a key after a failure");
	if (!e)
		check_said(x);
	return !e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reader r;
	struct bytes packet;
	struct eap *x;
	uint8_t flags;
	uint16_t n;
	bool on;

	reader_init(&r, data, len);
	if (reader_u8(&r, &flags))
		return 0;
	x = begin(flags);
	on = go_on(x, ERR_OK, &r, flags);
	while (on && !reader_u16(&r, &n) && !reader_bytes(&r, &packet, n))
		on = go_on(x, eap_take(x, packet), &r, flags);
	eap_free(x);
	return 0;
}
