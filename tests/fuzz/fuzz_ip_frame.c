/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ip_frame: frames from a capture. The first byte chooses Ethernet or bare IP. What is left of
 * a frame lies within it, and put on again it says the same. */
#include <stdlib.h>

#include "base/alloc.h"
#include "drivers/ip_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool within(const struct packet *p, const uint8_t *begin, size_t len)
{
	return p->data >= begin && p->data <= begin + len &&
	       p->len <= (size_t)(begin + len - p->data);
}

/* again - the same headers in front of the same bytes give the same addresses. */
static void again(const struct packet *p)
{
	uint32_t cap = PACKET_HEADROOM + p->len;
	uint8_t *buf = mem_alloc(cap);
	struct path_addr to = p->from;
	struct packet q = {.buf = buf, .data = buf + PACKET_HEADROOM, .len = p->len, .cap = cap};

	if (!buf)
		return;
	memcpy(q.data, p->data, p->len);
	to.local = p->from.remote;
	to.remote = p->from.local;
	q.to = &to;
	q.dscp_ecn = p->dscp_ecn;
	if (frame_push_outer(&q, 7)) {
		must(within(&q, buf, cap));
		must(frame_strip_outer(&q));
		must(q.len == p->len && memcmp(q.data, p->data, p->len) == 0);
		must(q.dscp_ecn == p->dscp_ecn);
		must(memcmp(&q.from, &p->from, sizeof(q.from)) == 0);
	}
	mem_free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1 || len > 65536)
		return 0;
	bool ethernet = *data & 1;
	uint8_t *copy = mem_alloc(len);

	if (!copy)
		return 0;
	memcpy(copy, data + 1, --len);
	struct packet p = {.data = copy, .buf = copy, .len = (uint32_t)len, .cap = (uint32_t)len};

	if (!ethernet || frame_strip_ethernet(&p)) {
		const uint8_t *before = p.data;
		uint32_t before_len = p.len;

		must(within(&p, copy, len));
		if (frame_strip_outer(&p)) {
			must(within(&p, before, before_len));
			again(&p);
		} else {
			must(p.data == before && p.len == before_len);
		}
	} else {
		must(p.data == copy && p.len == len);
	}
	mem_free(copy);
	return 0;
}
