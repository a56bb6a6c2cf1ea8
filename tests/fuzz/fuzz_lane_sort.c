/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_lane_sort: frames from a wire or, by the first byte, from the host. What is left of a frame
 * lies within it; one that is the host's is as it was. */
#include <stdlib.h>

#include "base/alloc.h"
#include "drivers/lane/sort.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct fib *table(void)
{
	static const uint8_t us6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	const struct fib_route us[] = {
		{.dst = ip_addr_v4("\xc0\x00\x02\x01"), .len = 32, .set = FIB_MAIN, .local = true},
		{.dst = ip_addr_v6(us6), .len = 128, .set = FIB_MAIN, .local = true},
	};

	return fib_new(1, us, ARRAY_LEN(us), NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct lane_sort how = {
		.mac = {2, 0, 0, 0, 0, 1}, .port_ike = 500, .port_nat_t = 4500};
	static struct fib_reader reader;

	if (len < 1 || len > 65536)
		return 0;
	if (!how.fib && fib_reader_init(&reader) == ERR_OK)
		how.fib = fib_read(&reader, table());
	uint8_t *copy = mem_alloc(len);

	if (!copy || !how.fib) {
		mem_free(copy);
		return 0;
	}
	bool host = *data & 1;
	size_t frame = len - 1;

	memcpy(copy, data + 1, frame);
	struct packet p = {
		.data = copy, .buf = copy, .len = (uint32_t)frame, .cap = (uint32_t)frame};
	bool left = host ? !lane_sort_host(&p, &how) : lane_sort_wire(&p, &how) == LANE_HOST;

	must(p.data >= copy && p.len <= (size_t)(copy + frame - p.data));
	if (left)
		must(p.data == copy && p.len == frame && memcmp(copy, data + 1, frame) == 0);
	mem_free(copy);
	return 0;
}
