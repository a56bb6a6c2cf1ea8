/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_frame_parts: a frame whose checksum or cutting may be left to a device. What is found lies
 * inside the frame, is what the headers say, and is found again when nothing else is there. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "drivers/frame_parts.h"

#include <netinet/in.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool same(const struct frame_parts *a, const struct frame_parts *b)
{
	return a->l2_len == b->l2_len && a->l3_len == b->l3_len && a->l4_len == b->l4_len &&
	       a->v6 == b->v6 && a->tcp == b->tcp;
}

static void check(const uint8_t *frame, uint32_t len, const struct frame_parts *f)
{
	const uint8_t *ip = frame + f->l2_len;
	uint32_t heads = (uint32_t)f->l2_len + f->l3_len + f->l4_len;
	struct frame_parts again;

	must(heads <= len && frame_parts_sum_at(f) + 2 <= f->l4_len);
	must(ip[0] >> 4 == (f->v6 ? 6 : 4) && load_be16(ip - 2) == (f->v6 ? 0x86dd : 0x0800));
	must(ip[f->v6 ? 6 : 9] == (f->tcp ? IPPROTO_TCP : IPPROTO_UDP));
	must(frame_parts_find(&again, frame, heads) && same(f, &again));
	must(!frame_parts_find(&again, frame, heads - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct frame_parts f;
	uint8_t *frame;

	if (len == 0 || len > 65536)
		return 0;
	frame = mem_alloc(len); /* of its length, so that a sanitizer sees what is read behind it */
	if (!frame)
		return 0;
	memcpy(frame, data, len);
	if (frame_parts_find(&f, frame, (uint32_t)len))
		check(frame, (uint32_t)len, &f);
	mem_free(frame);
	return 0;
}
