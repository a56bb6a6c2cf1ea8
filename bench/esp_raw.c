/* SPDX-License-Identifier: Apache-2.0 */
/* The cost of the cipher alone: the same batches, lengths and buffers as the data path has. */
#include "bench/esp.h"

#include "base/alloc.h"
#include "dataplane/packet.h"

struct raw_bench {
	const struct aead_backend *be;
	struct aead_key *key;
	uint8_t *bufs;
	struct aead_op ops[BENCH_BATCH];
};

/* As far apart as a pool's packets of 2048 bytes. */
#define STRIDE                                                                            \
	(((PACKET_HEADROOM + 2048 + PACKET_TAILROOM + CACHE_LINE - 1) / CACHE_LINE | 1) * \
	 CACHE_LINE)

static void set_ops(struct raw_bench *b, uint32_t len, uint32_t aad_len)
{
	for (uint32_t i = 0; i < BENCH_BATCH; i++) {
		uint8_t *text = b->bufs + (size_t)i * STRIDE + PACKET_HEADROOM;

		b->ops[i] = (struct aead_op){
			.key = b->key,
			.text = text,
			.icv = text + len,
			.len = len,
			.aad_len = (uint8_t)aad_len,
		};
		store_be64(b->ops[i].nonce + 4, i + 1);
		store_be32(b->ops[i].aad, 0x1000);
		store_be32(b->ops[i].aad + 4, i + 1);
	}
}

enum err raw_bench_new(struct raw_bench **out, const struct aead_backend *be, enum aead_alg alg,
		       uint32_t len, uint32_t aad_len)
{
	static const uint8_t key[32] = {1, 2, 3};
	struct raw_bench *b = mem_alloc(sizeof(*b));
	enum err e;

	if (!b)
		return ERR_NOMEM;
	b->be = be;
	b->bufs = mem_alloc_aligned(CACHE_LINE, BENCH_BATCH * STRIDE);
	e = b->bufs ? be->key_new(&b->key, alg, key, alg == AEAD_AES_GCM_16_128 ? 16 : 32)
		    : ERR_NOMEM;
	if (e != ERR_OK) {
		raw_bench_free(b);
		return e;
	}
	set_ops(b, len, aad_len);
	*out = b;
	return ERR_OK;
}

void raw_bench_free(struct raw_bench *b)
{
	if (!b)
		return;
	b->be->key_free(b->key);
	mem_free_aligned(b->bufs);
	mem_free(b);
}

enum err raw_bench_run(struct raw_bench *b, double *out_encrypt, double *out_decrypt,
		       uint32_t packets)
{
	uint64_t encrypt = 0, decrypt = 0;
	bool ok = true;

	for (uint32_t done = 0; done < packets; done += BENCH_BATCH) {
		uint64_t t0 = bench_tsc(), t1;

		b->be->encrypt(b->ops, BENCH_BATCH);
		t1 = bench_tsc();
		b->be->decrypt(b->ops, BENCH_BATCH);
		decrypt += bench_tsc() - t1;
		encrypt += t1 - t0;
		ok = ok && b->ops[done / BENCH_BATCH % BENCH_BATCH].ok;
	}
	if (!ok)
		return ERR_CRYPTO;
	*out_encrypt = (double)encrypt / packets;
	*out_decrypt = (double)decrypt / packets;
	return ERR_OK;
}
