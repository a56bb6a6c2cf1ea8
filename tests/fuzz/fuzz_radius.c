/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_radius: what comes to a RADIUS client: a byte that says how, a code, and then datagrams as
 * they are, each behind its length in two bytes, or the attributes of one answer that is proven.
 * What is not proven does nothing; what is leads to one answer, and by an Access-Accept alone to a
 * key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "control/auth/eap/packet.h"
#include "control/radius.h"
#include "tests/radius.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Bits of the first byte. */
#define PROVEN  1
#define TWO_MAC 2

#define SECRET "a secret of RADIUS"
#define NOW    (1000 * NS_PER_S)

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_radius: %s\n", what);
	abort();
}

/* A client that has asked once; *sent is the request. */
static struct radius *begin(struct radius_datagram *sent)
{
	static struct rng_seeded rng;
	const struct radius_server server = {
		.name = "aaa", .addr = {.port = 1812}, .secret = bytes_of(SECRET, strlen(SECRET))};
	const struct radius_config config = {.servers = &server,
					     .num_servers = 1,
					     .nas = "nas",
					     .timeout_ns = NS_PER_S,
					     .tries = 3};
	const struct radius_request request = {.id = 1,
					       .eap = bytes_of("\2\7\0\5\1", 5),
					       .name = bytes_of("carol", 5),
					       .called = "",
					       .calling = ""};
	struct radius *r;

	rng_seeded_init(&rng, 1);
	must(!radius_new(&r, &rng.rng, NOW) && !radius_configure(r, &config, NOW), "no client");
	must(!radius_begin(r, &request, NOW) && radius_send_next(r, sent), "no request");
	return r;
}

static void check(const struct radius_answer *a, enum radius_code code)
{
	must(a->id == 1, "an answer to nothing");
	must(a->eap.len <= EAP_PACKET_MAX && a->token.len <= RADIUS_TOKEN_MAX, "too much");
	must((a->outcome == RADIUS_ACCEPTED) == (a->msk.len != 0), "a key without acceptance");
	must(a->outcome != RADIUS_ACCEPTED || code == RADIUS_ACCESS_ACCEPT,
	     "accepted by a refusal");
	must(a->outcome != RADIUS_CHALLENGED || a->eap.len, "nothing to go on with");
}

static void proven(struct radius *r, const struct radius_datagram *sent, uint8_t flags,
		   struct reader *in)
{
	uint8_t buf[RADIUS_PACKET_MAX], code;
	struct radius_answer a;
	struct say say = {.request = sent->bytes,
			  .secret = bytes_of(SECRET, strlen(SECRET)),
			  .two_macs = flags & TWO_MAC};

	if (reader_u8(in, &code) || in->left > 4000)
		return;
	say.code = (enum radius_code)code;
	say.attrs = reader_rest(in);
	radius_receive(r, 0, radius_say(buf, &say), NOW);
	if (!radius_answer_next(r, &a))
		return;
	must(!(flags & TWO_MAC), "two Message-Authenticators");
	check(&a, say.code);
	must(!radius_answer_next(r, &a), "two answers");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct radius_datagram sent;
	struct radius_answer a;
	struct bytes packet;
	struct radius *r;
	struct reader in;
	uint8_t flags;
	uint16_t n;

	reader_init(&in, data, len);
	if (reader_u8(&in, &flags))
		return 0;
	r = begin(&sent);
	if (flags & PROVEN)
		proven(r, &sent, flags, &in);
	while (!reader_u16(&in, &n) && !reader_bytes(&in, &packet, n)) {
		radius_receive(r, 0, packet, NOW);
		must(!radius_answer_next(r, &a), "an answer that nothing proves");
	}
	radius_free(r);
	return 0;
}
