/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - one end of TLS 1.2 or 1.3 between buffers, for EAP-TLS (RFC 5216, RFC 9190): records go
 * in and come out, both ends show certificates, and whether the other's is to be believed is
 * somebody else's answer, which may come later. Thread: the engine's control thread.
 */
#pragma once

#include "control/crypto/ctx.h"

struct crypto_tls;

/* TLS_MAX_CERTS - of a chain, the end's own first. TLS_PENDING_MAX - bytes of a flight. */
#define TLS_MAX_CERTS   10
#define TLS_PENDING_MAX 65536

/* enum crypto_tls_state - how far it is. */
enum crypto_tls_state {
	TLS_TALKS, /* the other end's turn, or ours: crypto_tls_take() */
	TLS_ASKS,  /* crypto_tls_chain() is to be believed: crypto_tls_believe(), or never again */
	TLS_IS_UP, /* keys are there: crypto_tls_export() */
};

/* struct crypto_tls_params - certs: this end's chain (DER, its own first); key: PKCS#8, DER. All
 * are borrowed while crypto_tls_new() runs. */
struct crypto_tls_params {
	bool server;
	const struct bytes *certs;
	uint32_t num_certs;
	struct bytes key;
};

/* crypto_tls_new - an end; a client has its first records to send after crypto_tls_step(). Errors:
 * NOMEM, INVAL (a certificate or key cannot be used), CRYPTO. crypto_tls_free - NULL is accepted.
 */
MUST_USE enum err crypto_tls_new(struct crypto_tls **out, struct crypto_ctx *c,
				 const struct crypto_tls_params *params) NONNULL(1, 2, 3);
void crypto_tls_free(struct crypto_tls *t);

/* crypto_tls_give - records of the other end, whole or in part. Errors: NOMEM. crypto_tls_step - go
 * on with what is there. Errors: AUTH (the other end broke the rules, or gave up:
 * crypto_tls_why()). */
MUST_USE enum err crypto_tls_give(struct crypto_tls *t, struct bytes records) NONNULL(1);
MUST_USE enum err crypto_tls_step(struct crypto_tls *t, enum crypto_tls_state *out) NONNULL(1, 2);

/* crypto_tls_pending - bytes that wait to be sent. crypto_tls_take - the first of these; returns
 * how many. */
size_t crypto_tls_pending(const struct crypto_tls *t) NONNULL(1);
size_t crypto_tls_take(struct crypto_tls *t, uint8_t *out, size_t max) NONNULL(1, 2);

/* crypto_tls_chain - the other end's certificates, views that live as long as t; returns how many.
 * crypto_tls_believe - they are good. */
uint32_t crypto_tls_chain(const struct crypto_tls *t, struct bytes out[static TLS_MAX_CERTS])
	NONNULL(1);
void crypto_tls_believe(struct crypto_tls *t) NONNULL(1);

/* crypto_tls_is_13 - it is TLS 1.3. */
bool crypto_tls_is_13(const struct crypto_tls *t) NONNULL(1);

/* crypto_tls_say_done, crypto_tls_heard_done - in TLS 1.3 a server's last word is one byte of zero
 * inside (RFC 9190 2.1.1). Errors: CRYPTO; AGAIN (not yet), AUTH (something else was said). */
MUST_USE enum err crypto_tls_say_done(struct crypto_tls *t) NONNULL(1);
MUST_USE enum err crypto_tls_heard_done(struct crypto_tls *t) NONNULL(1);

/* crypto_tls_export - len bytes of EAP-TLS's key material (RFC 5216 2.3, RFC 9190 2.3). Errors:
 * CRYPTO, BAD_STATE (it is not up). */
MUST_USE enum err crypto_tls_export(struct crypto_tls *t, uint8_t *out, size_t len) NONNULL(1, 2);

/* crypto_tls_why - a clause about what went wrong; "" if there is none. */
const char *crypto_tls_why(const struct crypto_tls *t) NONNULL(1);
