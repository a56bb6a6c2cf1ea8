/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on their way to the device and back. Worker. */
#include "drivers/dpdk/crypto.h"
#include "drivers/dpdk/internal.h"

#include "base/bytes.h"

#include <rte_memory.h>

#define BURST_MAX 64

static struct crypto *crypto_of(struct aead_device *d)
{
	return (struct crypto *)(void *)d;
}
static_assert(offsetof(struct crypto, device) == 0, "the cast in crypto_of()");

/* phys - of what lies at p in the operation. */
static rte_iova_t phys(const struct rte_crypto_op *op, const void *p)
{
	return op->phys_addr + (rte_iova_t)((const uint8_t *)p - (const uint8_t *)op);
}

/* ---- there ---------------------------------------------------------------------------------- */

/* must_copy - the device cannot work on the packet where it is. */
static bool must_copy(const struct crypto *c, const uint8_t *front)
{
	return c->copies || (c->dma && !rte_mem_virt2memseg(front, NULL));
}

/* wrap - the packet, or its copy, in the operation's mbuf. */
static uint8_t *wrap(const struct crypto *c, struct rte_crypto_op *op, struct beside *b)
{
	const uint32_t len = b->key->alg->front_len + b->len + b->key->alg->icv_len;
	struct rte_mbuf *m = b->shell;
	uint8_t *at = b->front;

	b->copy = NULL;
	if (unlikely(must_copy(c, at))) {
		at = b->copy = b->room + CRYPTO_COPY_ROOM / 2;
		memcpy(at, b->front,
		       len - (b->key->encrypts ? b->key->alg->icv_len : 0)); /* none yet */
	}
	m->buf_addr = at;
	m->buf_iova = c->dma ? rte_mem_virt2iova(at) : 0;
	m->buf_len = m->data_len = (uint16_t)len;
	m->pkt_len = len;
	op->sym->m_src = m;
	return at;
}

/* make_iv - the secret one: the number in its place, encrypted. */
static bool make_iv(struct beside *b, uint8_t *iv)
{
	int len = 0;

	memcpy(b->number, iv, sizeof(b->number));
	return EVP_EncryptUpdate(b->key->iv, iv, &len, b->number, sizeof(b->number)) == 1 &&
	       len == sizeof(b->number);
}

static void fill_combined(struct rte_crypto_op *op, struct beside *b, const struct aead_op *from,
			  uint8_t *at)
{
	struct rte_crypto_sym_op *s = op->sym;
	const uint32_t front_len = b->key->alg->front_len;

	memcpy(b->iv, from->nonce, AEAD_NONCE_LEN);
	memcpy(b->aad, from->aad, AEAD_AAD_MAX);
	s->aead.data.offset = front_len;
	s->aead.data.length = b->len;
	s->aead.digest.data = at + front_len + b->len;
	s->aead.digest.phys_addr = rte_pktmbuf_iova_offset(b->shell, front_len + b->len);
	s->aead.aad.data = b->aad;
	s->aead.aad.phys_addr = phys(op, b->aad);
}

/* fill_auth - the ICV is beside the packet: with ESN four more bytes are authenticated where it
 * belongs (RFC 4303 2.2.1). */
static void fill_auth(struct rte_crypto_op *op, struct beside *b, const struct aead_op *from,
		      uint8_t *at)
{
	struct rte_crypto_sym_op *s = op->sym;
	const uint32_t front_len = b->key->alg->front_len;
	const uint32_t high_len = from->aad_len - AEAD_HEAD_LEN;
	uint8_t *icv = at + front_len + b->len;

	if (!b->key->encrypts)
		memcpy(b->digest, icv, b->key->alg->icv_len);
	memcpy(icv, from->aad + 4, high_len);
	s->auth.data.offset = 0;
	s->auth.data.length = front_len + b->len + high_len;
	s->auth.digest.data = b->digest;
	s->auth.digest.phys_addr = phys(op, b->digest);
}

static void fill_cipher(struct rte_crypto_op *op, struct beside *b, uint8_t *at)
{
	struct rte_crypto_sym_op *s = op->sym;
	uint8_t *iv = at + AEAD_HEAD_LEN;

	if (b->key->encrypts)
		b->failed = !make_iv(b, iv);
	memcpy(b->iv, iv, sizeof(b->iv));
	s->cipher.data.offset = b->key->alg->front_len;
	s->cipher.data.length = b->len;
}

static void fill(const struct crypto *c, struct rte_crypto_op *op, const struct aead_op *from,
		 void *ref)
{
	struct beside *b = crypto_beside(op);
	const struct crypto_alg *a = from->key->alg;
	uint8_t *at;

	b->key = from->key;
	b->ref = ref;
	b->len = from->len;
	b->front = from->text - a->front_len;
	b->failed = false;
	at = wrap(c, op, b);
	op->status = RTE_CRYPTO_OP_STATUS_NOT_PROCESSED;
	op->sym->session = from->key->session;
	if (a->kind == RTE_CRYPTO_SYM_XFORM_AEAD) {
		fill_combined(op, b, from, at);
		return;
	}
	if (a->kind == RTE_CRYPTO_SYM_XFORM_CIPHER)
		fill_cipher(op, b, at);
	else if (a->iv_len)
		memcpy(b->iv, from->nonce, AEAD_NONCE_LEN);
	fill_auth(op, b, from, at);
}

/* undo - what was filled in and not taken: the packet is as it was. */
static void undo(struct beside *b)
{
	const struct crypto_alg *a = b->key->alg;

	if (b->copy || a->kind == RTE_CRYPTO_SYM_XFORM_AEAD)
		return;
	if (!b->key->encrypts)
		memcpy(b->front + a->front_len + b->len, b->digest, a->icv_len);
	else if (a->kind == RTE_CRYPTO_SYM_XFORM_CIPHER)
		memcpy(b->front + AEAD_HEAD_LEN, b->number, sizeof(b->number));
}

uint32_t crypto_submit(struct aead_device *d, uint32_t queue, const struct aead_op *ops,
		       void *const *refs, uint32_t n)
{
	struct crypto *c = crypto_of(d);
	struct crypto_queue *q = &c->queues[queue];
	struct rte_crypto_op *burst[BURST_MAX];
	uint16_t num = 0, taken;

	n = n < BURST_MAX ? n : BURST_MAX;
	n = n < q->num_free ? n : q->num_free;
	eal_join_thread();
	for (; num < n; num++) {
		burst[num] = q->free[--q->num_free];
		fill(c, burst[num], &ops[num], refs[num]);
	}
	taken = rte_cryptodev_enqueue_burst(c->id, (uint16_t)queue, burst, num);
	while (num > taken) {
		undo(crypto_beside(burst[--num]));
		q->free[q->num_free++] = burst[num];
	}
	return taken;
}

/* ---- and back ------------------------------------------------------------------------------- */

/* copy_back - what the device wrote: on a packet that is sent the IV, too, if it is secret. */
static void copy_back(const struct beside *b)
{
	const struct crypto_alg *a = b->key->alg;
	const uint32_t from = a->kind == RTE_CRYPTO_SYM_XFORM_CIPHER ? AEAD_HEAD_LEN : a->front_len;
	const uint32_t end = a->front_len + b->len + (b->key->encrypts ? a->icv_len : 0);

	memcpy(b->front + from, b->copy + from, end - from);
}

/* finish - whether it is as it should be, and all of it where it should. */
static bool finish(const struct rte_crypto_op *op, struct beside *b)
{
	const struct crypto_alg *a = b->key->alg;

	if (op->status != RTE_CRYPTO_OP_STATUS_SUCCESS || b->failed)
		return false;
	if (b->copy)
		copy_back(b);
	if (b->key->encrypts && a->kind != RTE_CRYPTO_SYM_XFORM_AEAD)
		memcpy(b->front + a->front_len + b->len, b->digest, a->icv_len);
	return true;
}

uint32_t crypto_complete(struct aead_device *d, uint32_t queue, struct aead_done *out, uint32_t n)
{
	struct crypto *c = crypto_of(d);
	struct crypto_queue *q = &c->queues[queue];
	struct rte_crypto_op *burst[BURST_MAX];
	uint16_t num;

	n = n < BURST_MAX ? n : BURST_MAX;
	num = rte_cryptodev_dequeue_burst(c->id, (uint16_t)queue, burst, (uint16_t)n);
	for (uint16_t i = 0; i < num; i++) {
		struct beside *b = crypto_beside(burst[i]);

		out[i] = (struct aead_done){.ref = b->ref, .ok = finish(burst[i], b)};
		q->free[q->num_free++] = burst[i];
	}
	return num;
}
