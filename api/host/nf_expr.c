/* SPDX-License-Identifier: Apache-2.0 */
/* nf_expr.c - the expressions of a rule, as the kernel takes them. */
#include "api/host/nf.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

static void put_reg(struct nf_batch *b, uint16_t attr, uint32_t reg)
{
	nf_put_u32(b, attr, NFT_REG32_00 + reg);
}

static void put_data(struct nf_batch *b, uint16_t attr, const void *data, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(b->msg, attr);

	mnl_attr_put(b->msg, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(b->msg, nest);
}

static void begin(struct nf_batch *b, const char *name)
{
	b->expr = mnl_attr_nest_start(b->msg, NFTA_LIST_ELEM);
	mnl_attr_put_strz(b->msg, NFTA_EXPR_NAME, name);
	b->params = mnl_attr_nest_start(b->msg, NFTA_EXPR_DATA);
}

static void end(struct nf_batch *b)
{
	mnl_attr_nest_end(b->msg, b->params);
	mnl_attr_nest_end(b->msg, b->expr);
}

void nf_meta(struct nf_batch *b, uint32_t key, uint32_t reg)
{
	begin(b, "meta");
	nf_put_u32(b, NFTA_META_KEY, key);
	put_reg(b, NFTA_META_DREG, reg);
	end(b);
}

void nf_meta_set(struct nf_batch *b, uint32_t key, uint32_t reg)
{
	begin(b, "meta");
	nf_put_u32(b, NFTA_META_KEY, key);
	put_reg(b, NFTA_META_SREG, reg);
	end(b);
}

static void payload(struct nf_batch *b, uint32_t base, uint32_t at, uint32_t len)
{
	begin(b, "payload");
	nf_put_u32(b, NFTA_PAYLOAD_BASE, base);
	nf_put_u32(b, NFTA_PAYLOAD_OFFSET, at);
	nf_put_u32(b, NFTA_PAYLOAD_LEN, len);
}

void nf_payload(struct nf_batch *b, uint32_t base, uint32_t at, uint32_t len, uint32_t reg)
{
	payload(b, base, at, len);
	put_reg(b, NFTA_PAYLOAD_DREG, reg);
	end(b);
}

void nf_payload_set(struct nf_batch *b, uint32_t base, uint32_t at, uint32_t len, uint32_t reg)
{
	payload(b, base, at, len);
	put_reg(b, NFTA_PAYLOAD_SREG, reg);
	nf_put_u32(b, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_NONE);
	nf_put_u32(b, NFTA_PAYLOAD_CSUM_OFFSET, 0);
	end(b);
}

void nf_socket(struct nf_batch *b, uint32_t key, uint32_t level, uint32_t reg)
{
	begin(b, "socket");
	nf_put_u32(b, NFTA_SOCKET_KEY, key);
	if (key == NFT_SOCKET_CGROUPV2)
		nf_put_u32(b, NFTA_SOCKET_LEVEL, level);
	put_reg(b, NFTA_SOCKET_DREG, reg);
	end(b);
}

/* In the host's byte order, as marks are; the kernel says it as (reg & mask) ^ xor. */
void nf_bitwise(struct nf_batch *b, uint32_t reg, uint32_t mask, uint32_t or)
{
	mask &= ~ or ;
	begin(b, "bitwise");
	put_reg(b, NFTA_BITWISE_SREG, reg);
	put_reg(b, NFTA_BITWISE_DREG, reg);
	nf_put_u32(b, NFTA_BITWISE_LEN, sizeof(mask));
	put_data(b, NFTA_BITWISE_MASK, &mask, sizeof(mask));
	put_data(b, NFTA_BITWISE_XOR, & or, sizeof(or));
	end(b);
}

void nf_cmp(struct nf_batch *b, uint32_t reg, bool equal, const void *data, size_t len)
{
	begin(b, "cmp");
	put_reg(b, NFTA_CMP_SREG, reg);
	nf_put_u32(b, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
	put_data(b, NFTA_CMP_DATA, data, len);
	end(b);
}

void nf_immediate(struct nf_batch *b, uint32_t reg, const void *data, size_t len)
{
	begin(b, "immediate");
	put_reg(b, NFTA_IMMEDIATE_DREG, reg);
	put_data(b, NFTA_IMMEDIATE_DATA, data, len);
	end(b);
}

void nf_lookup(struct nf_batch *b, const char *set, uint32_t reg, bool in)
{
	begin(b, "lookup");
	mnl_attr_put_strz(b->msg, NFTA_LOOKUP_SET, set);
	put_reg(b, NFTA_LOOKUP_SREG, reg);
	nf_put_u32(b, NFTA_LOOKUP_FLAGS, in ? 0 : NFT_LOOKUP_F_INV);
	end(b);
}

void nf_lookup_map(struct nf_batch *b, const char *map, uint32_t reg, uint32_t to_reg)
{
	begin(b, "lookup");
	mnl_attr_put_strz(b->msg, NFTA_LOOKUP_SET, map);
	put_reg(b, NFTA_LOOKUP_SREG, reg);
	put_reg(b, NFTA_LOOKUP_DREG, to_reg);
	end(b);
}

void nf_verdict(struct nf_batch *b, uint32_t verdict)
{
	struct nlattr *data, *code;

	begin(b, "immediate");
	nf_put_u32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = mnl_attr_nest_start(b->msg, NFTA_IMMEDIATE_DATA);
	code = mnl_attr_nest_start(b->msg, NFTA_DATA_VERDICT);
	nf_put_u32(b, NFTA_VERDICT_CODE, verdict);
	mnl_attr_nest_end(b->msg, code);
	mnl_attr_nest_end(b->msg, data);
	end(b);
}
