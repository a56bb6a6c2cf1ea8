/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reader.h"

void reader_init(struct reader *r, const void *p, size_t len)
{
	assert(p || len == 0);
	r->at = p;
	r->left = len;
}

/* The next len bytes, or NULL if there are fewer; the one place where a reader advances. An empty
 * reader may stand at NULL, so len 0 is answered by its callers' own checks. */
static const uint8_t *take(struct reader *r, size_t len)
{
	const uint8_t *p = r->at;

	if (len > r->left)
		return NULL;
	if (len > 0)
		r->at += len;
	r->left -= len;
	return p;
}

enum err reader_u8(struct reader *r, uint8_t *out)
{
	const uint8_t *p = take(r, 1);

	if (!p)
		return ERR_TRUNCATED;
	*out = *p;
	return ERR_OK;
}

enum err reader_u16(struct reader *r, uint16_t *out)
{
	const uint8_t *p = take(r, sizeof(*out));

	if (!p)
		return ERR_TRUNCATED;
	*out = load_be16(p);
	return ERR_OK;
}

enum err reader_u32(struct reader *r, uint32_t *out)
{
	const uint8_t *p = take(r, sizeof(*out));

	if (!p)
		return ERR_TRUNCATED;
	*out = load_be32(p);
	return ERR_OK;
}

enum err reader_u64(struct reader *r, uint64_t *out)
{
	const uint8_t *p = take(r, sizeof(*out));

	if (!p)
		return ERR_TRUNCATED;
	*out = load_be64(p);
	return ERR_OK;
}

enum err reader_bytes(struct reader *r, struct bytes *out, size_t len)
{
	if (len > r->left)
		return ERR_TRUNCATED;
	*out = bytes_of(take(r, len), len);
	return ERR_OK;
}

enum err reader_copy(struct reader *r, void *out, size_t len)
{
	if (len > r->left)
		return ERR_TRUNCATED;
	if (len > 0)
		memcpy(out, take(r, len), len);
	return ERR_OK;
}

enum err reader_sub(struct reader *r, struct reader *out, size_t len)
{
	if (len > r->left)
		return ERR_TRUNCATED;
	reader_init(out, take(r, len), len);
	return ERR_OK;
}

enum err reader_skip(struct reader *r, size_t len)
{
	if (len > r->left)
		return ERR_TRUNCATED;
	take(r, len);
	return ERR_OK;
}

struct bytes reader_rest(struct reader *r)
{
	size_t len = r->left;

	return bytes_of(take(r, len), len);
}
