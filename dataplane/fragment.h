/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fragment.h - what a fragment of an IP packet says of itself, and cutting a packet into fragments
 * (RFC 791 3.2, RFC 8200 4.5). Pure functions, any thread.
 */
#pragma once

#include "dataplane/packet.h"

/* FRAGMENT_HEAD_MAX - bytes at most in front of a fragment's payload that are in every fragment:
 * an IPv4 header, or IPv6's with the headers that each router reads. More is not taken. */
#define FRAGMENT_HEAD_MAX 256

/* FRAGMENT_EXT_LEN - IPv6 fragment header (RFC 8200 4.5). FRAGMENT_UNIT - what offsets count. */
#define FRAGMENT_EXT_LEN 8
#define FRAGMENT_UNIT    8u

/* IPv4 header (RFC 791 3.1): flags and offset at byte 6. */
#define IP4_DF          0x4000
#define IP4_MF          0x2000
#define IP4_OFFSET_MASK 0x1fff
#define IP4_MIN_LEN     20u
#define IP6_LEN         40u

/* enum fragment_kind - what an IP packet is. */
enum fragment_kind {
	FRAGMENT_WHOLE, /* no fragment; an IPv6 packet with a fragment header that says it is
			 * all of it is one, too (RFC 6946) */
	FRAGMENT_PART,
	FRAGMENT_MALFORMED, /* part of no packet that could ever be put together */
};

/* struct fragment - lengths and offsets in bytes. */
struct fragment {
	uint32_t id;       /* host order */
	uint32_t head_len; /* of what the whole packet begins with as well */
	uint32_t at;       /* where the payload begins */
	uint32_t offset;   /* where it belongs in the whole payload */
	uint32_t len;      /* of it */
	uint32_t next_at;  /* IPv6: where the header stands that names the fragment header */
	uint8_t proto;     /* IPv4: of the packet; IPv6: what follows the fragment header */
	bool v6;
	bool more; /* it is not the last one */
};

/* fragment_parse - of the len bytes at ip; what lies behind the IP packet is not looked at. *out is
 * valid for FRAGMENT_PART. Whatever the bytes are, nothing beyond them is read. */
enum fragment_kind fragment_parse(struct fragment *out, const uint8_t *ip, uint32_t len)
	NONNULL(1, 2);

/* struct fragment_cut - a packet that is being cut. Zero-initialised: none is. */
struct fragment_cut {
	struct packet *whole; /* owned by the caller */
	uint32_t offset;      /* payload that is in fragments already */
	uint32_t max_len;     /* of one fragment with its headers */
};

/* fragment_cut_begin - cut p, longer than max_len, into fragments of at most so many bytes: an IPv4
 * packet or fragment without DF, or an IPv6 packet that fragments were put together to (others may
 * not be cut: RFC 8200 4.5), with p->fragment_at and p->fragment_id. False: max_len is too small,
 * p is not well-formed, or a fragment that ends behind the longest packet there is. */
MUST_USE bool fragment_cut_begin(struct fragment_cut *c, struct packet *p, uint32_t max_len)
	NONNULL(1, 2);

/* fragment_cut_next - write the next fragment to out, an empty packet with room for max_len; true
 * if there are more to come. */
MUST_USE bool fragment_cut_next(struct fragment_cut *c, struct packet *out) NONNULL(1, 2);

/* ip4_checksum - of a header of len bytes, its own field taken as 0 (RFC 791 3.1). */
uint16_t ip4_checksum(const uint8_t *h, uint32_t len) NONNULL(1);
