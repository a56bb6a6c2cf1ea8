/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - messages of proto.h in a stream: the length in two bytes, network order, then the
 * message. A stream is put together byte by byte, whatever parts it comes in. Pure functions, any
 * thread.
 */
#pragma once

#include "api/app/proto.h"

/* APP_FRAME_HEADER - bytes before a message. APP_FRAME_MAX - a message with them. */
#define APP_FRAME_HEADER 2
#define APP_FRAME_MAX    (APP_FRAME_HEADER + APP_MESSAGE_MAX)

/* struct app_frame - one that is being put together, or taken apart; the zero state is empty. */
struct app_frame {
	uint8_t bytes[APP_FRAME_MAX];
	size_t len;
};

/* app_frame_wants - how many bytes of the stream belong to this frame for all that is known, at
 * bytes + len; 0: it is whole. app_frame_add - so many were put there. Errors: LIMIT (a message
 * that is longer than one may be), TRUNCATED (shorter than its header): the stream ends. */
size_t app_frame_wants(const struct app_frame *f) NONNULL(1);
MUST_USE enum err app_frame_add(struct app_frame *f, size_t len) NONNULL(1);

/* app_frame_message - of a whole frame. app_frame_put - the frame of this message. Errors: LIMIT.
 */
struct bytes app_frame_message(const struct app_frame *f) NONNULL(1);
MUST_USE enum err app_frame_put(struct app_frame *f, struct bytes message) NONNULL(1);
