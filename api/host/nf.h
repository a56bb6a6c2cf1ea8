/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nf.h - one nftables transaction, written by netlink itself: for expressions that nft's grammar
 * does not know, and for single elements of sets with many, of which libnftables reads all. Add
 * everything, then commit; all of it is in force then, or nothing. Control thread.
 */
#pragma once

#include "api/host/linux.h"

struct nlmsghdr;
struct nlattr;

/* NF_BATCH_LEN - room for the longest transaction that this room makes, which is a constant of the
 * program: more is a programmer's error. */
#define NF_BATCH_LEN 16384

/* struct nf_batch - a transaction being written. */
struct nf_batch {
	alignas(8) uint8_t buf[NF_BATCH_LEN];
	size_t len;
	uint32_t seq;
	struct nlmsghdr *msg;                /* being written */
	struct nlattr *list, *expr, *params; /* of the rule being written */
};

/* struct nf_table - family: NFPROTO_INET or NFPROTO_NETDEV. Names have a '/', which no device's
 * name that we take has, so that none of them is a guard's. */
struct nf_table {
	uint8_t family;
	char name[40];
};

/* struct nf_chain - a base chain that accepts. device: of an egress chain, else NULL. */
struct nf_chain {
	const char *name, *type;
	uint32_t hook;
	int32_t priority;
	const char *device;
};

/* struct nf_set - a set of single elements, or a map of them to four bytes. type: nft's number for
 * the key, for those who list it; it may say more than one in steps of six bits. */
struct nf_set {
	const char *name;
	uint32_t type;
	uint32_t key_len;
	uint32_t data_type; /* of a map, else 0 */
};

/* NF_TYPE_* - nft's numbers. NF_TYPES - two of them in one key, each padded to four bytes. */
#define NF_TYPE_IP4       7u
#define NF_TYPE_IP6       8u
#define NF_TYPE_PROTO     12u
#define NF_TYPE_PORT      13u
#define NF_TYPE_MARK      19u
#define NF_TYPE_IFNAME    41u
#define NF_TYPE_CGROUP    46u
#define NF_TYPES(a, b)    ((a) << 6 | (b))
#define NF_PRIORITY_FIRST (-400)
#define NF_PRIORITY_LAST  2147483647

/* nf_begin - an empty transaction. */
void nf_begin(struct nf_batch *b) NONNULL(1);

/* nf_commit - hand it to the kernel. Errors: as host_err(); UNSUPPORTED (there is no nftables, or
 * not what was asked of it). */
MUST_USE enum err nf_commit(struct host_linux *h, struct nf_batch *b) NONNULL(1, 2);

/* nf_table_add - it may be there. nf_table_del - it must be. */
void nf_table_add(struct nf_batch *b, const struct nf_table *t) NONNULL(1, 2);
void nf_table_del(struct nf_batch *b, const struct nf_table *t) NONNULL(1, 2);

/* nf_chain_add - an empty one: it may be there with rules, which go. nf_chain_del - it must be
 * there. */
void nf_chain_add(struct nf_batch *b, const struct nf_table *t, const struct nf_chain *c)
	NONNULL(1, 2, 3);
void nf_chain_del(struct nf_batch *b, const struct nf_table *t, const char *chain) NONNULL(1, 2, 3);

/* nf_set_add - it may be there, with what is in it. nf_set_del - it must be there. */
void nf_set_add(struct nf_batch *b, const struct nf_table *t, const struct nf_set *s)
	NONNULL(1, 2, 3);
void nf_set_del(struct nf_batch *b, const struct nf_table *t, const char *set) NONNULL(1, 2, 3);

/* nf_elem_add - it may be there. nf_elem_del - it must be. key: of the set's length. nf_elem_map -
 * the same as nf_elem_add for a map, where it may not be there. */
void nf_elem_add(struct nf_batch *b, const struct nf_table *t, const struct nf_set *s,
		 const void *key) NONNULL(1, 2, 3, 4);
void nf_elem_del(struct nf_batch *b, const struct nf_table *t, const struct nf_set *s,
		 const void *key) NONNULL(1, 2, 3, 4);

void nf_elem_map(struct nf_batch *b, const struct nf_table *t, const struct nf_set *s,
		 const void *key, uint32_t data) NONNULL(1, 2, 3, 4);

/* nf_set_each - the keys in a set, as they are now; no key: there is no such set. Errors: as
 * nf_commit(). */
MUST_USE enum err nf_set_each(const struct nf_table *t, const char *set,
			      void (*fn)(void *arg, const uint8_t *key, size_t len), void *arg)
	NONNULL(1, 2, 3);

/* nf_rule_begin, nf_rule_end - a rule at the end of a chain: what matches from left to right, then
 * what is done. */
void nf_rule_begin(struct nf_batch *b, const struct nf_table *t, const char *chain)
	NONNULL(1, 2, 3);
void nf_rule_end(struct nf_batch *b) NONNULL(1);

/*
 * Expressions, nf_expr.c; a register is one of 16 of four bytes. meta, payload and socket load into
 * the register; meta_set and payload_set write from it. bitwise: (reg & mask) | or. cmp: the rule
 * goes on if the register is, or is not, these bytes.
 */
void nf_meta(struct nf_batch *b, uint32_t key, uint32_t reg) NONNULL(1);
void nf_meta_set(struct nf_batch *b, uint32_t key, uint32_t reg) NONNULL(1);
void nf_payload(struct nf_batch *b, uint32_t base, uint32_t at, uint32_t len, uint32_t reg)
	NONNULL(1);
void nf_payload_set(struct nf_batch *b, uint32_t base, uint32_t at, uint32_t len, uint32_t reg)
	NONNULL(1);
void nf_socket(struct nf_batch *b, uint32_t key, uint32_t level, uint32_t reg) NONNULL(1);
void nf_bitwise(struct nf_batch *b, uint32_t reg, uint32_t mask, uint32_t or) NONNULL(1);
void nf_cmp(struct nf_batch *b, uint32_t reg, bool equal, const void *data, size_t len)
	NONNULL(1, 4);
void nf_immediate(struct nf_batch *b, uint32_t reg, const void *data, size_t len) NONNULL(1, 3);
void nf_lookup(struct nf_batch *b, const char *set, uint32_t reg, bool in) NONNULL(1, 2);
void nf_lookup_map(struct nf_batch *b, const char *map, uint32_t reg, uint32_t to_reg)
	NONNULL(1, 2);

/* nf_put_u32 - an attribute, in the byte order of netfilter. */
void nf_put_u32(struct nf_batch *b, uint16_t attr, uint32_t value) NONNULL(1);

/* nf_verdict - NF_ACCEPT or NF_DROP. */
void nf_verdict(struct nf_batch *b, uint32_t verdict) NONNULL(1);
