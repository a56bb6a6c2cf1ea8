/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vnet: what a virtual interface with offloads gives: its header (10 bytes), and an IP packet.
 * What is taken as a super-packet is cut: each segment is one that is well-formed, and together
 * they carry what the whole did. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "dataplane/super.h"
#include "drivers/vnet.h"

#include <netinet/in.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* check - the checksum of a segment, whose pseudo header's sum came with the whole: `pseudo`,
 * without the length. */
static void check_sum(const struct super *s, const struct packet *p)
{
	uint32_t len = p->len - s->l4_at;
	uint64_t sum = s->pseudo + checksum_value((uint16_t)len);

	must(checksum_fold(checksum_add(sum, p->data + s->l4_at, len)) == 0xffff);
}

static void cut(struct packet *p)
{
	struct super s;
	uint32_t offset = 0, num = 0, expected;
	bool more = true;

	if (!super_begin(&s, p))
		return;
	must(s.head_len < p->len && s.l4_at < s.head_len);
	expected = super_count(&s);
	while (more) {
		uint32_t room = super_longest(&s);
		uint8_t *buf = mem_alloc(room);
		struct packet out = {.buf = buf, .data = buf, .cap = room};

		if (!buf)
			return;
		more = super_next(&s, &out);
		must(out.len == room && out.len > s.head_len);
		must(memcmp(buf + s.head_len, p->data + s.head_len + offset, room - s.head_len) ==
		     0);
		check_sum(&s, &out);
		offset += room - s.head_len;
		num++;
		mem_free(buf);
	}
	must(num == expected && s.head_len + offset == p->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < VNET_LEN || len > VNET_LEN + 4096)
		return 0;
	uint32_t n = (uint32_t)len - VNET_LEN;
	uint8_t *copy = mem_alloc(n + 1);

	if (!copy)
		return 0;
	memcpy(copy, data + VNET_LEN, n);
	struct packet p = {.buf = copy, .data = copy, .len = n, .cap = n};

	if (vnet_take(data, &p, data[2] & 1 ? 14 : 0) && p.seg_len) {
		/* As flow_parse() leaves it. */
		cut(&p);
	}
	mem_free(copy);
	return 0;
}
