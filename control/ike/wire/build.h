/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.h - IKE messages to send: header, payloads one after the other, optionally inside an
 * Encrypted payload (RFC 7296 3.14, RFC 5282). Errors are sticky and come out of
 *ike_build_finish().
 *
 *	ike_build_begin(&b, buf, sizeof(buf), &header);
 *	ike_build_sk(&b);                          // all that follows is encrypted
 *	wire_id_build(&b, PAYLOAD_IDI, &id);
 *	...
 *	e = ike_build_finish(&b, &message, aead);
 *
 * Thread: the engine's control thread.
 */
#pragma once

#include "base/writer.h"
#include "control/crypto/ike_aead.h"
#include "control/ike/wire/msg.h"

/* struct ike_builder - visible to live on the stack; use the functions. */
struct ike_builder {
	struct writer w;
	size_t next_at; /* offset of the Next Payload field that the next payload fills in */
	size_t len_at;  /* mark of the open payload's length field, 0 if none is open */
	size_t sk_at;   /* offset of the SK or SKF payload, 0 if there is none */
	size_t iv_at;   /* offset of its IV */
};

/* struct ike_fragment - what an Encrypted Fragment payload carries (RFC 7383 2.5): number counts
 * from 1, first is the type of the first payload inside (0 in all but the first fragment). */
struct ike_fragment {
	uint8_t first;
	uint16_t number, total;
	struct bytes text;
};

/* ike_build_begin - write the header to cap bytes at buf, which stay the caller's; next_payload,
 * version and length of *h are not looked at. */
void ike_build_begin(struct ike_builder *b, void *buf, size_t cap, const struct ike_header *h)
	NONNULL(1, 2, 4);

/* ike_build_payload - end the payload that is open and begin one; its body goes to the writer that
 * is returned. The wire_*_build() functions call this. */
struct writer *ike_build_payload(struct ike_builder *b, uint8_t type) NONNULL(1);

/* ike_build_sk - payloads from here on are encrypted. Once a message, before ike_build_finish()
 * with a key. */
void ike_build_sk(struct ike_builder *b) NONNULL(1);

/* ike_build_skf - the same with an Encrypted Fragment payload, whose piece of a chain is given. */
void ike_build_skf(struct ike_builder *b, const struct ike_fragment *f) NONNULL(1, 2);

/* ike_build_plain - instead of ike_build_finish(): what was built after ike_build_sk(), not
 * encrypted, as a view of the buffer, which the caller wipes. Errors: FULL, LIMIT. */
MUST_USE enum err ike_build_plain(struct ike_builder *b, struct ike_fragment *out) NONNULL(1, 2);

/* ike_build_sealed_len - bytes that text_len bytes of payloads take in an Encrypted payload: IV,
 * padding and ICV included, header not. */
size_t ike_build_sealed_len(size_t text_len, const struct ike_aead *aead) NONNULL(2);

/* ike_build_finish - close the message, encrypting what follows ike_build_sk() with aead (NULL if
 * it was not called); *out is a view of the caller's buffer. After an error the buffer is wiped.
 * Errors: FULL, LIMIT, EXHAUSTED, CRYPTO, INVAL (aead does not fit). */
MUST_USE enum err ike_build_finish(struct ike_builder *b, struct bytes *out, struct ike_aead *aead)
	NONNULL(1, 2);
