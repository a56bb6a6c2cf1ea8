/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.h - a CertificateBundle (RFC 7296 3.6): certificates and revocation lists in one piece, as
 * a peer names them by hash and URL. Pure functions over untrusted bytes.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* bundle_open - *out is what is in it, for bundle_next(). Errors: MALFORMED. */
MUST_USE enum err bundle_open(struct bytes *out, struct bytes der) NONNULL(1);

/* bundle_next - take the next certificate (DER, a view); lists are passed over: they are fetched
 * where certificates say. Errors: NOT_FOUND (there are no more), MALFORMED. */
MUST_USE enum err bundle_next(struct bytes *out, struct bytes *rest) NONNULL(1, 2);
