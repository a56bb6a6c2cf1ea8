/* SPDX-License-Identifier: Apache-2.0 */
/*
 * closer.h - closes descriptors that somebody else has had a hand in, in threads of its own: to
 * close one may take as long as he likes, who can have a TCP connection linger (SO_LINGER) or be
 * the file system that the file is of. Each owner has one thread at most at a time, so that he
 * keeps nobody else waiting. Thread: the loop's.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"

/* CLOSER_OWNED_MAX - descriptors of one owner that wait, before he is to bring no more. */
#define CLOSER_OWNED_MAX 64

struct closer;

/* closer_new - without threads yet. Errors: NOMEM, SYS. */
MUST_USE enum err closer_new(struct closer **out) NONNULL(1);

/* closer_free - what waits is closed first; whoever is stuck is left alone after a while. NULL is
 * accepted. */
void closer_free(struct closer *c);

/* closer_close - fd is closed some time. owner: who has had a hand in it, not 0. */
void closer_close(struct closer *c, int fd, uint64_t owner) NONNULL(1);

/* closer_end - the same of a connection (SOCK_SEQPACKET, local) that was shut down: what was sent
 * and not read goes first, message by message. To close it with all that would take the processor
 * for milliseconds, and not let go of it meanwhile. */
void closer_end(struct closer *c, int fd, uint64_t owner) NONNULL(1);

/* closer_is_full - too many of the owner's wait. */
bool closer_is_full(struct closer *c, uint64_t owner) NONNULL(1);
