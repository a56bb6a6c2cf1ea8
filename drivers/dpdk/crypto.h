/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto.h - the files of the lookaside device among themselves.
 *
 *   crypto.c        the device: opening, queues, closing
 *   crypto_alg.c    algorithms as the device is told of them
 *   crypto_key.c    keys
 *   crypto_burst.c  operations there and back
 *
 * An operation of DPDK's and all that the device reads or writes beside the packet lie in one
 * piece:
 *
 *   | rte_crypto_op | rte_crypto_sym_op | struct beside |
 */
#pragma once

#include "dataplane/crypto/device.h"
#include "drivers/dpdk/module.h"

#include <openssl/evp.h>
#include <rte_cryptodev.h>
#include <rte_mbuf.h>

/* CRYPTO_COPY_LEN - what a packet may have that is copied for the device, headers and all.
 * CRYPTO_COPY_ROOM - and what lies around it. */
#define CRYPTO_COPY_LEN  9600
#define CRYPTO_COPY_ROOM 256

/* struct crypto_alg - an algorithm as DPDK has it; icv_len 0: none of ours. */
struct crypto_alg {
	int kind; /* enum rte_crypto_sym_xform_type: AEAD, AUTH, or CIPHER and AUTH with it */
	int algo; /* of that kind */
	int auth; /* HMAC beside a cipher */
	uint8_t key_len, auth_len; /* of cipher or AEAD; of the MAC */
	uint8_t iv_len;            /* that the device takes */
	uint8_t front_len;         /* ESP header and IV */
	uint8_t icv_len;
};

/* struct aead_key - of the device: its session, and what makes secret IVs. */
struct aead_key {
	void *session;
	EVP_CIPHER_CTX *iv; /* NULL: the IV is not secret, or nothing is sent */
	const struct crypto_alg *alg;
	bool encrypts;
};

/* struct beside - of one operation. The first three are the device's to read or write. */
struct beside {
	uint8_t iv[16];
	uint8_t aad[16];
	uint8_t digest[64];
	/* The packet as DPDK wants it: an mbuf of no pool around the bytes where they are. */
	struct rte_mbuf *shell;
	uint8_t *copy;  /* where it was copied to; NULL: the device works on it where it is */
	uint8_t *room;  /* for that, with CRYPTO_COPY_ROOM around it */
	uint8_t *front; /* its ESP header */
	const struct aead_key *key;
	uint32_t len;       /* text */
	uint8_t number[16]; /* that was in the place of a secret IV */
	bool failed;
	void *ref;
};

#define CRYPTO_IV_AT    (sizeof(struct rte_crypto_op) + sizeof(struct rte_crypto_sym_op))
#define CRYPTO_BESIDE   sizeof(struct beside)
#define CRYPTO_FREE_MAX AEAD_DEVICE_DEPTH

/* struct crypto_queue - operations that are free. Its user's. */
struct crypto_queue {
	uint32_t num_free;
	struct rte_crypto_op *free[CRYPTO_FREE_MAX];
	struct rte_mbuf *shells;
	uint8_t *rooms;
};

/* struct crypto - the device. */
struct crypto {
	struct aead_device device;
	uint8_t id;
	bool dma;    /* it reaches DPDK's memory only */
	bool copies; /* it works on nothing but copies */
	struct rte_mempool *sessions, *ops;
	struct crypto_queue *queues;
	char name[DPDK_DEVICE_MAX];
	char driver[32];
};

static inline struct beside *crypto_beside(struct rte_crypto_op *op)
{
	return (struct beside *)(void *)((uint8_t *)op + CRYPTO_IV_AT);
}

/* crypto_alg - NULL: none of ours. */
const struct crypto_alg *crypto_alg(enum aead_alg alg);
/* crypto_has - the device with this id has it, by its own table. */
bool crypto_has(uint8_t id, const struct aead_use *use) NONNULL(2);

/* crypto_open - see struct dpdk_module. */
MUST_USE enum err crypto_open(struct aead_device **out, const struct dpdk_crypto_params *params,
			      char text[static DPDK_TEXT_MAX]);

/* The device's functions (device.h). */
bool crypto_supports(const struct aead_device *d, const struct aead_use *use);
MUST_USE enum err crypto_key_new(struct aead_device *d, struct aead_key **out,
				 const struct aead_use *use, const uint8_t *key,
				 const uint8_t *iv_key);
void crypto_key_free(struct aead_device *d, struct aead_key *key);
uint32_t crypto_submit(struct aead_device *d, uint32_t queue, const struct aead_op *ops,
		       void *const *refs, uint32_t n);
uint32_t crypto_complete(struct aead_device *d, uint32_t queue, struct aead_done *out, uint32_t n);
