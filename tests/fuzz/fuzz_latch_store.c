/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_latch_store: a journal of latches. What is taken is records alone, and again the same when
 * it is cut there; every latch of it can be written down. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/engine/latch_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_latch_store: %s\n", what);
	abort();
}

static void check(void *ctx, uint64_t id, const struct latch_saved *s)
{
	uint32_t *num = ctx;

	++*num;
	if (!s)
		return;
	must(s->id == id, "a latch has another number than its record");
	must(strnlen(s->demand.peer, sizeof(s->demand.peer)) < sizeof(s->demand.peer) &&
		     strnlen(s->demand.profile, sizeof(s->demand.profile)) <
			     sizeof(s->demand.profile),
	     "a text does not end");
	must(s->demand.num_methods <= AUTH_NUM_METHODS, "too many methods");
	must(s->whom.peer.len <= sizeof(s->whom.peer.data), "too long a name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint32_t num = 0, again = 0;
	size_t taken = latch_store_parse(data, len, check, &num);

	must(taken <= len, "more is taken than there is");
	must(latch_store_parse(data, taken, check, &again) == taken && again == num,
	     "a journal that is cut after its last record has others");
	return 0;
}
