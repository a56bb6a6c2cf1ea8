/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app/frame.h"

static size_t message_len(const struct app_frame *f)
{
	return load_be16(f->bytes);
}

size_t app_frame_wants(const struct app_frame *f)
{
	if (f->len < APP_FRAME_HEADER)
		return APP_FRAME_HEADER - f->len;
	return APP_FRAME_HEADER + message_len(f) - f->len;
}

enum err app_frame_add(struct app_frame *f, size_t len)
{
	assert(len <= app_frame_wants(f));
	f->len += len;
	if (f->len < APP_FRAME_HEADER)
		return ERR_OK;
	if (message_len(f) > APP_MESSAGE_MAX)
		return ERR_LIMIT;
	return message_len(f) < APP_HEADER_LEN ? ERR_TRUNCATED : ERR_OK;
}

struct bytes app_frame_message(const struct app_frame *f)
{
	assert(f->len >= APP_FRAME_HEADER && app_frame_wants(f) == 0);
	return bytes_of(f->bytes + APP_FRAME_HEADER, message_len(f));
}

enum err app_frame_put(struct app_frame *f, struct bytes message)
{
	if (message.len > APP_MESSAGE_MAX)
		return ERR_LIMIT;
	store_be16(f->bytes, (uint16_t)message.len);
	memcpy(f->bytes + APP_FRAME_HEADER, message.p, message.len);
	f->len = APP_FRAME_HEADER + message.len;
	return ERR_OK;
}
