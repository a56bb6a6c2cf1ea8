/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_crash: what anybody may say in the clear to an end that asks whether its peer lives. Its IKE
 * SA ends only if the peer's token is in it, and nothing of it is answered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ike/crash.h"
#include "control/ike/task.h"
#include "tests/sim/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct sim *s;
static struct ike_sa *sa;
static uint8_t token[CRASH_TOKEN_LEN];

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_crash: %s\n", what);
	abort();
}

/* The first side asks the second one, which hears nothing. */
static void begin(void)
{
	static const uint8_t secret[32] = {1};
	const struct sim_options opt = {.wire = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS}};

	s = sim_new(1, &opt);
	must(s != NULL, "there is memory");
	must(!ike_engine_crash_secret(s->n[1].e, bytes_of(secret, sizeof(secret))), "a secret");
	must(!sim_initiate(s, 0, "tun"), "it begins");
	sim_run(s, s->now_ns + NS_PER_S);
	sa = list_entry(s->n[0].e->sas.next, struct ike_sa, node);
	must(!crash_token(s->n[1].e, token, sa->spi_i, sa->spi_r), "a token");
	s->n[1].deaf = true;
	must(!task_need(sa, TASK_LIVENESS, 0), "a question");
	step_task(sa, s->now_ns);
	sim_settle(s, 0);
	must(sa->out.waiting && sa->crash.has_token, "it asks");
}

/* data: one byte, what is said: a request or the answer; then the type of the first payload, and
 * payloads. */
static size_t compose(uint8_t out[static 2048], const uint8_t *data, size_t len)
{
	const bool answer = data[0] & 1;

	if (answer) {
		store_be64(out, sa->spi_i);
		store_be64(out + 8, sa->spi_r);
	}
	out[16] = data[1];
	out[17] = 0x20;
	out[18] = INFORMATIONAL;
	out[19] = answer ? IKE_FLAG_RESPONSE : IKE_FLAG_INITIATOR;
	store_be32(out + 20, answer ? sa->out.x.next_id : 0);
	store_be32(out + 24, (uint32_t)(IKE_HEADER_LEN + len - 2));
	memcpy(out + IKE_HEADER_LEN, data + 2, len - 2);
	return IKE_HEADER_LEN + len - 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t message[2048] = {0};
	struct ike_stats before, after;

	if (len < 2 || len - 2 > sizeof(message) - IKE_HEADER_LEN)
		return 0;
	if (!s)
		begin();
	ike_stats(s->n[0].e, &before);
	len = compose(message, data, len);
	sim_inject(s, 0, message, len);
	ike_stats(s->n[0].e, &after);
	must(after.sent - before.sent <= 1, "it is answered");
	if (s->n[0].ike_down) {
		must(memmem(message, len, token, sizeof(token)) != NULL, "ended without a token");
		sim_free(s);
		s = NULL;
	}
	return 0;
}
