/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_eap: EAP packets to either end of a conversation: a byte that says which end, then packets,
 * each behind its length in two bytes. What is sent back is a packet, and nobody who does not know
 * the password, or is not believed, comes to a key. */
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
		must(!eap_packet_parse(&p, said), "what is said is no packet");
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

static bool feed(struct eap *x, struct bytes packet, bool secret)
{
	enum err e = eap_take(x, packet);

	while (!e && waits(x))
		e = answer(x, secret);
	must(eap_msk(x).len == 0, "a key for whoever comes");
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

	reader_init(&r, data, len);
	if (reader_u8(&r, &flags))
		return 0;
	x = begin(flags);
	while (!reader_u16(&r, &n) && !reader_bytes(&r, &packet, n)) {
		if (!feed(x, packet, !(flags & NO_SECRET)))
			break;
	}
	eap_free(x);
	return 0;
}
