/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkey.h - keys out of the encodings that nearly all of them have: ECDSA on a named curve with an
 * uncompressed point (RFC 5480) and Ed25519 (RFC 8410), each of which is a fixed string of bytes
 * with the key at a fixed place. OpenSSL's decoders find the same by trying all that they have,
 * which takes them longer than a signature. Whatever is written in another way is for them. Any
 * thread.
 */
#pragma once

#include <openssl/evp.h>

#include "base/bytes.h"

/* pkey_public - the key of a SubjectPublicKeyInfo (untrusted) for this library context (NULL: the
 * default one); *out_bits are the bytes of its BIT STRING, in spki. NULL: it is written in another
 * way, or OpenSSL takes it for no point of its curve. End with EVP_PKEY_free(). */
EVP_PKEY *pkey_public(OSSL_LIB_CTX *lib, struct bytes *out_bits, struct bytes spki) NONNULL(2);

/* pkey_private - the key pair of a PrivateKeyInfo (RFC 5208; RFC 5915 within it, with the public
 * half), which was found sound before. NULL as above. */
EVP_PKEY *pkey_private(OSSL_LIB_CTX *lib, struct bytes pkcs8);
