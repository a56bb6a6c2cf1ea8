/* SPDX-License-Identifier: Apache-2.0 */
/* freed.c - memory that OpenSSL gives back is wiped: it decodes a private key for each signature,
 * and its decoders leave copies of the encoding behind. */
#include <openssl/crypto.h>
#include <stddef.h>

#include "base/alloc.h"
#include "control/auth/cred.h"

/* struct block - what OpenSSL has are the bytes. */
struct block {
	size_t len;
	_Alignas(max_align_t) uint8_t bytes[];
};

static void *get(size_t len, const char *file, int line)
{
	struct block *b = len < SIZE_MAX / 2 ? mem_alloc(sizeof(*b) + len) : NULL;

	(void)file;
	(void)line;
	if (!b)
		return NULL;
	b->len = len;
	return b->bytes;
}

static void give_back(void *p, const char *file, int line)
{
	struct block *b;

	(void)file;
	(void)line;
	if (!p)
		return;
	b = container_of(p, struct block, bytes);
	secret_wipe(b->bytes, b->len);
	mem_free(b);
}

/* The old place is wiped, too: nothing is left to the C library. */
static void *change(void *p, size_t len, const char *file, int line)
{
	const size_t old = p ? container_of(p, struct block, bytes)->len : 0;
	void *more = len ? get(len, file, line) : NULL;

	if (len && !more)
		return NULL;
	if (more && p)
		memcpy(more, p, old < len ? old : len);
	give_back(p, file, line);
	return more;
}

enum err cred_wipe_freed(void)
{
	return CRYPTO_set_mem_functions(get, change, give_back) == 1 ? ERR_OK : ERR_BAD_STATE;
}
