/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - identifiers that are looked up with one index and one compare. An identifier is a slot
 * number (shuffled, so that successive ones tell nothing) and random bits that change with every
 * use: the last one of a slot never matches, an older one only if the same bits are drawn again
 * (id_bits - index_bits of them). Used for inbound SPIs and IKE SPIs. Writer: the control
 * thread. slots_get() is for readers under RCU; growing never moves what readers see.
 */
#pragma once

#include "base/rcu.h"
#include "base/rng.h"

struct slots;

/* slots_new - identifiers of id_bits (32 or 64) bits with slot numbers of index_bits (1 to 28).
 * Identifiers 0 to 255 are never given out (reserved as SPI, RFC 4303 2.1). NULL on shortage. */
MALLOC_LIKE struct slots *slots_new(unsigned id_bits, unsigned index_bits, const struct rng *rng);

/* slots_free - the table; its objects are the caller's. No readers may remain. */
void slots_free(struct slots *s);

/* slots_reserve - a fresh identifier that names nothing yet. Errors: FULL, NOMEM, CRYPTO. */
MUST_USE enum err slots_reserve(struct slots *s, uint64_t *out_id) NONNULL(1, 2);

/* slots_reserve_as - the same, whose bits above the slot number are `rest` modulo `of`: an
 * identifier that says something to who sees it pass. of: 1 to as many as the bits can be. */
MUST_USE enum err slots_reserve_as(struct slots *s, uint64_t *out_id, uint32_t of, uint32_t rest)
	NONNULL(1, 2);

/* slots_publish - the identifier, reserved before, names obj from now on. */
void slots_publish(struct slots *s, uint64_t id, void *obj) NONNULL(1, 3);

/* slots_withdraw - the identifier names nothing but stays reserved; readers may still hold obj. */
void slots_withdraw(struct slots *s, uint64_t id) NONNULL(1);

/* slots_release - the identifier is free for a later use with other random bits. */
void slots_release(struct slots *s, uint64_t id) NONNULL(1);

/* slots_get - the object of id, or NULL. Any registered reader, or the writer. */
MUST_USE void *slots_get(const struct slots *s, uint64_t id) NONNULL(1);

/* slots_ahead - the memory that slots_get() is going to read. Any reader. */
void slots_ahead(const struct slots *s, uint64_t id) NONNULL(1);

/* slots_num - identifiers reserved now; to readers, lately. */
size_t slots_num(const struct slots *s) NONNULL(1);

/* slots_each - call fn(ctx, id, obj) for each published identifier, writer thread; fn may withdraw
 * and release the identifier it is called for. */
void slots_each(struct slots *s, void (*fn)(void *ctx, uint64_t id, void *obj), void *ctx)
	NONNULL(1, 2);
