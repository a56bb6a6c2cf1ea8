/* SPDX-License-Identifier: Apache-2.0 */
/* The cost of the cipher alone: the same batches, lengths and buffers as the data path has. */
#include "bench/esp.h"

#include "base/alloc.h"
#include "dataplane/packet.h"

struct raw_bench {
	struct aead_work *work;
	const struct aead_backend *be;
	struct aead_key *key;
	uint8_t *bufs;
	struct aead_op ops[BENCH_BATCH];
	uint32_t num_batches;
	double *encrypt, *decrypt; /* cycles a packet, batch by batch */
};

/* As far apart as a pool's packets of 2048 bytes. */
#define STRIDE                                                                            \
	(((PACKET_HEADROOM + 2048 + PACKET_TAILROOM + CACHE_LINE - 1) / CACHE_LINE | 1) * \
	 CACHE_LINE)

static void set_ops(struct raw_bench *b, enum aead_alg alg, uint32_t size, uint32_t aad_len)
{
	for (uint32_t i = 0; i < BENCH_BATCH; i++) {
		uint8_t *text = b->bufs + (size_t)i * STRIDE + PACKET_HEADROOM;
		const uint32_t len = esp_text_len(alg, bench_len(size, i));

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

enum err raw_bench_new(struct raw_bench **out, const struct bench_options *o,
		       const struct aead_backend *be, uint32_t size)
{
	static const uint8_t key[AEAD_KEY_MAX] = {1, 2, 3};
	struct raw_bench *b = mem_alloc(sizeof(*b));
	enum err e = ERR_NOMEM;

	if (!b)
		return ERR_NOMEM;
	b->be = be;
	b->num_batches = o->packets / BENCH_BATCH;
	b->bufs = mem_alloc_aligned(CACHE_LINE, BENCH_BATCH * STRIDE);
	b->encrypt = mem_alloc_array(b->num_batches, sizeof(double));
	b->decrypt = mem_alloc_array(b->num_batches, sizeof(double));
	if (b->bufs && b->encrypt && b->decrypt)
		e = aead_work_new(&b->work);
	if (e == ERR_OK)
		e = be->key_new(&b->key, o->alg, key, aead_alg_key_len(o->alg), key);
	if (e != ERR_OK) {
		raw_bench_free(b);
		return e;
	}
	set_ops(b, o->alg, size, o->esn ? 12 : 8);
	*out = b;
	return ERR_OK;
}

void raw_bench_free(struct raw_bench *b)
{
	if (!b)
		return;
	b->be->key_free(b->key);
	aead_work_free(b->work);
	mem_free_aligned(b->bufs);
	mem_free(b->encrypt);
	mem_free(b->decrypt);
	mem_free(b);
}

enum err raw_bench_run(struct raw_bench *b, double *out_encrypt, double *out_decrypt)
{
	bool ok = true;

	for (uint32_t i = 0; i < b->num_batches; i++) {
		uint64_t t0 = bench_tsc(), t1;

		b->be->encrypt(b->work, b->ops, BENCH_BATCH);
		t1 = bench_tsc();
		b->be->decrypt(b->work, b->ops, BENCH_BATCH);
		b->decrypt[i] = (double)(bench_tsc() - t1) / BENCH_BATCH;
		b->encrypt[i] = (double)(t1 - t0) / BENCH_BATCH;
		ok = ok && b->ops[i % BENCH_BATCH].ok;
	}
	if (!ok)
		return ERR_CRYPTO;
	*out_encrypt = median_of(b->encrypt, b->num_batches);
	*out_decrypt = median_of(b->decrypt, b->num_batches);
	return ERR_OK;
}
