/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects.h - objects on a token, by a session that is open: found by their CKA_ID, and read. The
 * token's answers are bounded here and encoded as the rest of us has them. Errors are CK_RV; what
 * is not encoded as it should be is CKR_DATA_INVALID.
 */
#pragma once

#include <p11-kit/pkcs11.h>

#include "api/token/proto.h"

/* struct object - where it is. */
struct object {
	CK_FUNCTION_LIST *f;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE handle;
};

/* object_find - out->handle is the one of this class with this CKA_ID; 0: there is none. */
MUST_USE CK_RV object_find(struct object *out, CK_OBJECT_CLASS class, struct bytes id) NONNULL(1);

/* object_value - its CKA_VALUE to the reply: a certificate. */
MUST_USE CK_RV object_value(struct token_reply *out, const struct object *o) NONNULL(1, 2);

/* object_public - its SubjectPublicKeyInfo to the reply: of a public key, a certificate, or of the
 * private key of RSA. */
MUST_USE CK_RV object_public(struct token_reply *out, const struct object *o, CK_OBJECT_CLASS class)
	NONNULL(1, 2);

/* object_flag - a CK_BBOOL attribute; false without it. */
bool object_flag(const struct object *o, CK_ATTRIBUTE_TYPE type) NONNULL(1);

/* signature_der - r and s side by side, which is in the reply, as the DER of both. */
MUST_USE CK_RV signature_der(struct token_reply *io) NONNULL(1);
