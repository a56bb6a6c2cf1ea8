/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/nonce.h"

enum err nonce_fill(struct ike_engine *e, struct nonce *n)
{
	enum err err = engine_random(e, n->b, IKE_NONCE_LEN);

	if (!err)
		n->len = IKE_NONCE_LEN;
	return err;
}

void nonce_set(struct nonce *n, struct bytes b)
{
	assert(b.len <= sizeof(n->b));
	memcpy(n->b, b.p, b.len);
	n->len = (uint16_t)b.len;
}

/* Octet by octet (2.8.1); of equal beginnings the shorter one is lower. */
static int nonce_cmp(const struct nonce *a, const struct nonce *b)
{
	int c = memcmp(a->b, b->b, a->len < b->len ? a->len : b->len);

	return c ? c : (int)a->len - (int)b->len;
}

const struct nonce *nonce_lower(const struct nonce *a, const struct nonce *b)
{
	return nonce_cmp(a, b) <= 0 ? a : b;
}

bool nonce_loses(const struct nonce *ni, const struct nonce *nr, const struct nonce *rival)
{
	return nonce_cmp(nonce_lower(ni, nr), rival) < 0;
}
