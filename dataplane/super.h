/* SPDX-License-Identifier: Apache-2.0 */
/*
 * super.h - super-packets of an inner port: one TCP or UDP packet in place of many, which its
 * sender (TSO, USO) left to us to cut. Each segment is what the host itself would have sent: its
 * own IP length and identification, TCP sequence number and flags (RFC 9293 3.10, RFC 3168 6.1.2),
 * UDP length, and whole checksums. Pure functions, any thread.
 */
#pragma once

#include "dataplane/packet.h"

/* struct super - a super-packet that is being cut. Zero-initialised: none is. */
struct super {
	struct packet *whole; /* owned by the caller */
	uint32_t l4_at;       /* where its TCP or UDP header is */
	uint32_t head_len;    /* headers that each segment has */
	uint32_t seg_len;     /* payload of each segment but the last */
	uint32_t offset;      /* payload that is in segments already */
	uint64_t pseudo;      /* of the checksum, without the length */
	uint8_t proto;
};

/* super_begin - cut p, whose seg_len is set and whose length is what its IP header says. The
 * checksum field holds the sum of the pseudo header, as the host's stack has it. False: it is
 * neither TCP nor UDP, a fragment, or not well-formed; nothing beyond p is read. */
MUST_USE bool super_begin(struct super *s, struct packet *p) NONNULL(1, 2);

/* super_longest - bytes of the longest segment to come. super_count - how many are to come. */
static inline uint32_t super_longest(const struct super *s)
{
	uint32_t left = s->whole->len - s->head_len - s->offset;

	return s->head_len + (left < s->seg_len ? left : s->seg_len);
}

static inline uint32_t super_count(const struct super *s)
{
	return (s->whole->len - s->head_len - s->offset + s->seg_len - 1) / s->seg_len;
}

/* super_shrink - segments of at most len bytes. Only TCP, whose receiver does not see it. False: it
 * is not, or nothing would be left. */
MUST_USE bool super_shrink(struct super *s, uint32_t len) NONNULL(1);

/* super_next - write the next segment to out, an empty packet with room for super_longest(); true
 * if there are more to come. */
MUST_USE bool super_next(struct super *s, struct packet *out) NONNULL(1, 2);

/* super_sum - complete the checksum of a single TCP or UDP packet that holds the pseudo header's
 * sum (PACKET_F_SUM). False: there is none, as above. */
MUST_USE bool super_sum(struct packet *p) NONNULL(1);

/* super_first - before anything is cut: the whole becomes its own first segment, as one that tells
 * of it quotes it (its checksum is not completed). */
void super_first(struct super *s) NONNULL(1);
