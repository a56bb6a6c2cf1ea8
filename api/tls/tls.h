/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - TLS 1.3 (RFC 8446) between two ends that both have a certificate, over sockets that do
 * not block: the daemon's network interface and the library that calls it. No older version, no
 * resumption, no early data, no end without a certificate. The authorities of one file are believed
 * and nobody else. OpenSSL is known here alone.
 *
 * Thread: one at a time. No signal is raised.
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"

/* TLS_WHY_MAX - room for a sentence. TLS_KEY_MAX - bytes of a file with a private key. */
#define TLS_WHY_MAX 256
#define TLS_KEY_MAX 16384

struct tls_end;
struct tls_channel;

/* struct tls_end_params - files are PEM. certificate: what this end shows, and the authorities
 * between. ca: who is believed. crl: what they took back, NULL = unknown; with it, every
 * certificate below the anchor needs a list of its authority there that is in force. */
struct tls_end_params {
	bool server;
	const char *certificate, *ca, *crl;
};

/* tls_end_new - what all channels of this end share; no private key is in it. why says what is
 * wrong. Errors: CONFIG (a file), CRYPTO. tls_end_free - channels may be left; NULL is accepted. */
MUST_USE enum err tls_end_new(struct tls_end **out, char why[static TLS_WHY_MAX],
			      const struct tls_end_params *params) NONNULL(1, 3);
void tls_end_free(struct tls_end *e);

/* struct tls_channel_params - fd: stays the caller's. key: PEM; a server's is used
 * when the client has said something, a client's not after tls_channel_new().
 * name: a client's: the host's name or address that must be in the server's certificate. accepts: a
 * server's: whether the client with this certificate (DER), of an authority that is believed, may
 * come at all. */
struct tls_channel_params {
	int fd;
	struct bytes key;
	const char *name;
	bool (*accepts)(void *ctx, struct bytes cert);
	void *ctx;
};

/* tls_channel_new - Errors: CONFIG (a client's key is none, or not that of the certificate),
 * CRYPTO, NOMEM. tls_channel_free - nothing is sent; NULL is accepted. */
MUST_USE enum err tls_channel_new(struct tls_channel **out, char why[static TLS_WHY_MAX],
				  struct tls_end *e, const struct tls_channel_params *params)
	NONNULL(1, 3, 4);
void tls_channel_free(struct tls_channel *c);

/* tls_handshake - go on with it. One call does at most what one flight of the other end asks for.
 * Errors: AGAIN (call again when fd is ready), AUTH (tls_why() says why, and the other end is
 * told), SYS (it has gone). */
MUST_USE enum err tls_handshake(struct tls_channel *c) NONNULL(1);

/* tls_lasts_s - seconds until a certificate that the other end is believed by has expired; after
 * the handshake. */
uint64_t tls_lasts_s(const struct tls_channel *c) NONNULL(1);

/* tls_read - what has come, at most room bytes, of one record: its AGAIN may be followed by another
 * as long as fd is readable. Errors: AGAIN; SYS, AUTH: it is over. tls_write - all of it; after
 * AGAIN the next call must have the same bytes, wherever they are. */
MUST_USE enum err tls_read(struct tls_channel *c, void *buf, size_t room, size_t *out_len)
	NONNULL(1, 2, 4);
MUST_USE enum err tls_write(struct tls_channel *c, struct bytes bytes) NONNULL(1);

/* tls_has_input - tls_read() has something that fd does not tell of. tls_wants_write - what was
 * called last waits for room to send. tls_why - why it failed, a clause for people. */
bool tls_has_input(const struct tls_channel *c) NONNULL(1);
bool tls_wants_write(const struct tls_channel *c) NONNULL(1);
const char *tls_why(const struct tls_channel *c) NONNULL(1);
