/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ticket: the text of a ticket, as if its key had come out; and the same bytes as one that is
 * sealed, which none of our keys opens. What is taken is written as it came. */
#include <stdlib.h>
#include <string.h>

#include "control/ike/ticket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct ticket_jar *our_jar(void)
{
	static struct ticket_jar jar;
	static struct rng_seeded rng;
	struct ticket t = {.num_certs = 0};
	uint8_t sealed[TICKET_MAX];
	size_t n;

	if (!jar.keys[0].id) {
		rng_seeded_init(&rng, 1);
		must(ticket_seal(&jar, &rng.rng, sealed, &n, &t, 1) == ERR_OK);
	}
	return &jar;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[TICKET_TEXT_MAX];
	struct secret text = {0};
	struct ticket t;
	struct bytes out;

	must(ticket_open(our_jar(), &t, &text, bytes_of(data, len), 1) != ERR_OK);
	must(!text.p);
	if (len > TICKET_TEXT_MAX || ticket_parse(&t, bytes_of(data, len)))
		return 0;
	must(t.num_certs <= TICKET_CERTS && t.proven.method < AUTH_NUM_METHODS);
	must(t.idi.len <= sizeof(t.idi.data) && t.proven.peer.len <= sizeof(t.proven.peer.data));
	must(ticket_write(again, sizeof(again), &out, &t) == ERR_OK);
	must(bytes_equal(out, bytes_of(data, len)));
	return 0;
}
