/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/transport.h"

#include "dataplane/tos.h"

#include <netinet/in.h>

#define IP4_LEN        20
#define IP6_LEN        40
#define IP4_DF         0x4000
#define IP4_FRAGMENT   0x3fff /* more fragments, or an offset */
#define IP4_TTL_AT     8
#define IP4_SUM_AT     10
#define IP4_SRC_AT     12
#define IP6_LEN_AT     4
#define IP6_SRC_AT     8
#define NO_CHECKSUM_AT UINT32_MAX

/* ---- for an SA ------------------------------------------------------------------------------ */

/* one_address - every selector names this one. */
static bool one_address(const struct ts *ts, uint32_t num, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < num; i++) {
		if (!ip_addr_equal(&ts[i].lo, addr) || !ip_addr_equal(&ts[i].hi, addr))
			return false;
	}
	return true;
}

static bool family_fits(const struct ip_addr *seen, uint8_t family)
{
	return seen->family == IP_NONE || seen->family == family;
}

bool transport_valid(const struct child_params *params)
{
	const struct ip_addr *local = &params->local[0].lo, *remote = &params->remote[0].lo;

	return local->family == remote->family &&
	       one_address(params->local, params->num_local, local) &&
	       one_address(params->remote, params->num_remote, remote) &&
	       family_fits(&params->seen_local, local->family) &&
	       family_fits(&params->seen_remote, local->family);
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* sum_of - len bytes as 16-bit words; len is even. */
static uint64_t sum_of(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += load_be16(p + i);
	return sum;
}

/* moved - from one address in the sum to another (RFC 1624: ~m + m'); 0 if `from` is unset. */
static uint64_t moved(const struct ip_addr *from, const struct ip_addr *to)
{
	if (from->family == IP_NONE || ip_addr_equal(from, to))
		return 0;
	return (uint16_t)~fold(sum_of(from->b, ip_addr_len(from))) + sum_of(to->b, ip_addr_len(to));
}

uint16_t transport_fix(const struct child_params *params)
{
	uint16_t fix = fold(moved(&params->seen_local, &params->local[0].lo) +
			    moved(&params->seen_remote, &params->remote[0].lo));

	return fix == UINT16_MAX ? 0 : fix; /* the other zero */
}

/* ---- out ------------------------------------------------------------------------------------ */

static enum drop_reason strip_v4(struct packet *p)
{
	const uint8_t *h = p->data;

	if (unlikely(load_be16(h + 6) & IP4_FRAGMENT))
		return DROP_TRANSPORT_FRAGMENT;
	if (unlikely(h[0] != 0x45))
		return DROP_TRANSPORT_HEADER;
	p->next_header = h[9];
	p->data += IP4_LEN;
	p->len -= IP4_LEN;
	return DROP_NONE;
}

/* refuse_v6 - what a header of this kind means behind ESP; fragments are whole in the end. */
static enum drop_reason refuse_v6(uint8_t header)
{
	switch (header) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
		return DROP_TRANSPORT_HEADER;
	case IPPROTO_FRAGMENT:
		return DROP_TRANSPORT_FRAGMENT;
	default:
		return DROP_NONE;
	}
}

/* upper_v6 - step over destination options at *at: what is behind them all and where. */
static enum drop_reason upper_v6(const struct packet *p, uint8_t *header, uint32_t *at)
{
	while (*header == IPPROTO_DSTOPTS) {
		uint32_t left = p->len - *at;

		if (unlikely(left < 8 || left < 8 + p->data[*at + 1] * 8u))
			return DROP_MALFORMED_INNER;
		*header = p->data[*at];
		*at += 8 + p->data[*at + 1] * 8u;
	}
	return refuse_v6(*header);
}

static enum drop_reason strip_v6(struct packet *p)
{
	uint8_t header = p->data[6];
	uint32_t at = IP6_LEN;
	enum drop_reason why = upper_v6(p, &header, &at);

	if (unlikely(why != DROP_NONE))
		return why;
	p->next_header = p->data[6];
	p->data += IP6_LEN;
	p->len -= IP6_LEN;
	return DROP_NONE;
}

enum drop_reason transport_strip(struct packet *p)
{
	/* DSCP and ECN go along as they are: there is one header (RFC 4301 5.1.2 is for tunnels).
	 */
	p->dscp_ecn = tos_get(p->data);
	return p->data[0] >> 4 == 4 ? strip_v4(p) : strip_v6(p);
}

/* ---- in ------------------------------------------------------------------------------------- */

/* checksum_at - where a protocol keeps a checksum over the pseudo header. */
static uint32_t checksum_at(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		return 6;
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return NO_CHECKSUM_AT;
	}
}

/* fix_checksum - of the payload of `proto` at t; what is too short for one is left alone. */
static void fix_checksum(uint8_t *t, uint32_t len, uint8_t proto, uint16_t fix)
{
	uint32_t at = checksum_at(proto);
	uint16_t sum;

	if (at == NO_CHECKSUM_AT || len < at + 2)
		return;
	sum = load_be16(t + at);
	if (proto == IPPROTO_UDP && sum == 0) /* the sender made none (RFC 768) */
		return;
	sum = (uint16_t)~fold((uint64_t)(uint16_t)~sum + fix);
	if (proto == IPPROTO_UDP && sum == 0)
		sum = UINT16_MAX;
	store_be16(t + at, sum);
}

static enum drop_reason restore_v4(struct packet *p, const struct sa_conf *c)
{
	uint8_t *h = p->data - IP4_LEN;
	uint32_t len = p->len + IP4_LEN;

	if (unlikely(len > UINT16_MAX))
		return DROP_MALFORMED_INNER;
	if (unlikely(c->checksum_fix))
		fix_checksum(p->data, p->len, p->next_header, c->checksum_fix);
	h[0] = 0x45;
	h[1] = p->dscp_ecn;
	store_be16(h + 2, (uint16_t)len);
	store_be16(h + 4, 0); /* never fragmented: it needs no identification (RFC 6864 4.1) */
	store_be16(h + 6, IP4_DF);
	h[IP4_TTL_AT] = TRANSPORT_HOP_LIMIT;
	h[IP4_TTL_AT + 1] = p->next_header;
	store_be16(h + IP4_SUM_AT, 0);
	memcpy(h + IP4_SRC_AT, sa_conf_remote(c)->lo.b, 4);
	memcpy(h + IP4_SRC_AT + 4, sa_conf_local(c)->lo.b, 4);
	store_be16(h + IP4_SUM_AT, (uint16_t)~fold(sum_of(h, IP4_LEN)));
	p->data = h;
	p->len = len;
	return DROP_NONE;
}

static enum drop_reason restore_v6(struct packet *p, const struct sa_conf *c)
{
	uint8_t *h = p->data - IP6_LEN;
	uint8_t upper = p->next_header;
	uint32_t at = 0;
	enum drop_reason why = upper_v6(p, &upper, &at);

	if (unlikely(why != DROP_NONE))
		return why;
	if (unlikely(p->len > UINT16_MAX))
		return DROP_MALFORMED_INNER;
	if (unlikely(c->checksum_fix))
		fix_checksum(p->data + at, p->len - at, upper, c->checksum_fix);
	store_be32(h, 6u << 28 | (uint32_t)p->dscp_ecn << 20);
	store_be16(h + IP6_LEN_AT, (uint16_t)p->len);
	h[6] = p->next_header;
	h[7] = TRANSPORT_HOP_LIMIT;
	memcpy(h + IP6_SRC_AT, sa_conf_remote(c)->lo.b, 16);
	memcpy(h + IP6_SRC_AT + 16, sa_conf_local(c)->lo.b, 16);
	p->data = h;
	p->len += IP6_LEN;
	return DROP_NONE;
}

enum drop_reason transport_restore(struct packet *p, const struct sa_conf *c)
{
	if (unlikely(packet_headroom(p) < IP6_LEN))
		return DROP_TOO_BIG;
	return sa_conf_local(c)->lo.family == IP_V4 ? restore_v4(p, c) : restore_v6(p, c);
}
