/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine that has many IKE SAs takes for messages of whoever has none, which anybody can
 * send: processor time of its calls. */
#include <string.h>
#include <time.h>

#include "bench/ike_gen.h"

#include "control/ike/wire/payload.h"
#include "control/ike/wire/proto.h"

/* KNOCKS - of each kind. APART_NS - between two, on the engine's clock: as many as it looks at. */
#define KNOCKS   1000
#define APART_NS (50 * NS_PER_MS)

/* struct stranger - whom they come to. first: an IKE_SA_INIT request that would be answered. */
struct stranger {
	struct side *s;
	struct bytes first;
	uint64_t now_ns;
};

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct path_addr from(uint32_t n)
{
	const uint8_t here[4] = {198, 51, 100, 1},
		      there[4] = {203, 0, (uint8_t)(n >> 8), (uint8_t)n};

	return (struct path_addr){.local = {.addr = ip_addr_v4(here), .port = 500},
				  .remote = {.addr = ip_addr_v4(there), .port = 500}};
}

static void receive(struct stranger *x, uint32_t n, struct bytes message)
{
	ike_receive(x->s->e, &(struct ike_datagram){.path = from(n), .bytes = message}, x->now_ns);
}

/* With an algorithm that nobody knows in place of the first: refused (NO_PROPOSAL_CHOSEN). */
static void refused(struct stranger *x, uint32_t n)
{
	const size_t id = 28 + 4 + 8 + 6; /* header, SA, its first proposal, its first transform */
	uint8_t copy[4096];

	if (x->first.len > sizeof(copy))
		gen_must(ERR_LIMIT, "a message");
	memcpy(copy, x->first.p, x->first.len);
	memcpy(copy, &n, sizeof(n));
	copy[id] = 0xff;
	receive(x, n, bytes_of(copy, x->first.len));
}

static void build(struct stranger *x, uint32_t n, const struct ike_header *h, bool sealed)
{
	static const uint8_t nothing[64];
	const struct be32 spi = be32_make(n);
	uint8_t buf[256];
	struct ike_builder b;
	struct bytes message;

	ike_build_begin(&b, buf, sizeof(buf), h);
	if (sealed)
		writer_bytes(ike_build_payload(&b, PAYLOAD_SK), nothing, sizeof(nothing));
	else
		wire_notify_build(&b, NOTIFY_INVALID_SPI, bytes_of(&spi, sizeof(spi)));
	gen_must(ike_build_finish(&b, &message, NULL), "a message");
	receive(x, n, message);
}

/* Of an IKE SA that there is not: INVALID_IKE_SPI, with a token (RFC 6290). */
static void unknown(struct stranger *x, uint32_t n)
{
	build(x, n,
	      &(struct ike_header){.spi_i = ~(uint64_t)n,
				   .spi_r = ~(uint64_t)n << 8,
				   .exchange = INFORMATIONAL,
				   .flags = IKE_FLAG_INITIATOR},
	      true);
}

/* N(INVALID_SPI) in the clear, of an SPI that nobody sends with. */
static void hint(struct stranger *x, uint32_t n)
{
	build(x, n, &(struct ike_header){.exchange = INFORMATIONAL, .flags = IKE_FLAG_INITIATOR},
	      false);
}

/* ESP without an SA. */
static void stray(struct stranger *x, uint32_t n)
{
	const struct path_addr path = from(n);

	ike_stray(x->s->e, &path, 500, n, x->now_ns);
}

static double each_us(struct stranger *x, void (*knock)(struct stranger *x, uint32_t n))
{
	uint64_t spent_ns = 0;

	for (uint32_t n = 1; n <= KNOCKS; n++) {
		const uint64_t before = cpu_ns();

		knock(x, n);
		spent_ns += cpu_ns() - before;
		side_settle(x->s, x->now_ns);
		x->now_ns += APART_NS;
	}
	return (double)spent_ns / 1e3 / KNOCKS;
}

void strangers_measure(struct strangers *out, struct side *s, struct bytes first)
{
	static const uint8_t secret[32] = {1};
	struct stranger x = {.s = s, .first = first, .now_ns = clock_now_ns()};

	gen_must(ike_engine_crash_secret(s->e, bytes_of(secret, sizeof(secret))), "a secret");
	out->refused_us = each_us(&x, refused);
	out->unknown_us = each_us(&x, unknown);
	out->hint_us = each_us(&x, hint);
	out->stray_us = each_us(&x, stray);
}
