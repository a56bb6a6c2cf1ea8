/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypt.h - what the two passes that encrypt and decrypt share, be it that the worker does it
 * (crypt.c), a lookaside device beside it (lookaside.c) or a port (inline.c). Thread: the worker.
 */
#pragma once

#include "dataplane/passes.h"
#include "dataplane/sa.h"

/* enum crypt_way - out_encrypt() or in_decrypt(). */
enum crypt_way {
	CRYPT_OUT,
	CRYPT_IN,
	CRYPT_WAYS
};

/* crypt_same_backend - how many packets from i on go to one back end. */
static inline uint32_t crypt_same_backend(const struct pktvec *v, uint32_t i)
{
	const struct esp_sa *sa = v->pkt[i]->sa;
	uint32_t n = 1;

	while (i + n < v->num && (v->pkt[i + n]->sa == sa || v->pkt[i + n]->sa->aead == sa->aead))
		n++;
	return n;
}

/* crypt_run - n operations of one back end. */
static inline void crypt_run(struct worker *w, enum crypt_way way, const struct aead_backend *be,
			     struct aead_op *ops, uint32_t n)
{
	if (way == CRYPT_OUT)
		be->encrypt(w->crypto, ops, n);
	else
		be->decrypt(w->crypto, ops, n);
}

/* crypt_judge - p goes on if it is ok, else it is dropped. */
void crypt_judge(struct worker *w, enum crypt_way way, struct packet *p, bool ok,
		 struct pktvec *out) NONNULL(1, 3, 5);
