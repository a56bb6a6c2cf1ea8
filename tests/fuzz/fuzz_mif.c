/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_mif: the data of a notify about paths, as each of the three. What is taken says nothing that
 * cannot be, lies within the data, and comes back when it is written and read again.
 */
#include "control/ike/wire/mif.h"
#include "tests/fuzz/payloads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void use_supported(struct bytes data)
{
	struct mif_supported s;

	if (mif_supported_parse(&s, data))
		return;
	require(s.version >= 1 && data.len >= 12);
	require(s.max_paths >= MIF_PATHS_MIN && s.max_paths <= MIF_PATHS_MAX);
	require(s.max_ops >= 1 && s.max_ops <= MIF_OPS_MAX);
}

static void use_result(struct bytes data)
{
	struct mif_result r;
	uint32_t sum = 0;

	if (mif_result_parse(&r, data))
		return;
	require_within(r.failed, data);
	require(data.len == 8 + r.failed.len && mif_num_spis(r.failed) <= MIF_SPIS_MAX);
	for (uint32_t i = 0; i < mif_num_spis(r.failed); i++)
		sum += mif_spi(r.failed, i);
	__asm__ volatile("" : : "r"(sum));
	require(strlen(mif_status_name(r.status)) > 0);
}

static void use_selector(const struct mif_op *op, struct bytes data)
{
	const struct mif_selector *s = &op->selector;
	static struct ts_list own, peers;

	require_within(s->bytes, data);
	if (s->kind == MIF_SELECT_SPIS)
		require(mif_num_spis(s->bytes) >= 1 && mif_num_spis(s->bytes) <= MIF_SPIS_MAX);
	if (s->kind == MIF_SELECT_DOMAIN)
		require(s->bytes.len >= 1 && s->bytes.len <= MIF_TAG_MAX);
	if (s->kind != MIF_SELECT_TS)
		return;
	require(mif_selector_ts(&own, &peers, s) == ERR_OK);
	for (uint32_t i = 0; i < own.num; i++)
		require(ts_valid(&own.ts[i]));
	for (uint32_t i = 0; i < peers.num; i++)
		require(ts_valid(&peers.ts[i]));
}

static void use_values(const struct mif_op *op)
{
	if (op->has & MIF_HAS_SCHEDULE)
		require(op->schedule.weight);
	if (op->has & MIF_HAS_LIVENESS)
		require(op->liveness.idle_ms && op->liveness.dead_ms);
	if (op->refused)
		return;
	require(op->op >= MIF_ADD && op->op <= MIF_LEAVE);
	require(op->op != MIF_ADD || op->has & MIF_HAS_OWN);
	if (op->has & MIF_HAS_OWN)
		require(mobike_addr_usable(&op->own.at.addr));
	if (op->has & MIF_HAS_PEERS)
		require(mobike_addr_usable(&op->peers.at.addr));
}

static void use_op(struct bytes data)
{
	static uint8_t buf[UINT16_MAX + 64], twice[UINT16_MAX + 64];
	struct mif_op op, again;
	struct bytes out, out2;
	struct writer w;

	if (mif_op_parse(&op, data))
		return;
	use_selector(&op, data);
	use_values(&op);
	writer_init(&w, buf, sizeof(buf));
	mif_op_write(&w, &op);
	require(writer_finish(&w, &out) == ERR_OK && out.len <= data.len);
	require(mif_op_parse(&again, out) == ERR_OK);
	require(again.has == op.has && again.path == op.path && again.op == op.op);
	writer_init(&w, twice, sizeof(twice));
	mif_op_write(&w, &again);
	require(writer_finish(&w, &out2) == ERR_OK && bytes_equal(out, out2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	use_supported(bytes_of(data, len));
	use_result(bytes_of(data, len));
	use_op(bytes_of(data, len));
	return 0;
}
