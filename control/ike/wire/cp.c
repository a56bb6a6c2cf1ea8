/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/cp.h"

/* Attributes that we know (3.15.1); the highest bit of a type is reserved. */
#define INTERNAL_IP4_ADDRESS 1
#define INTERNAL_IP4_DNS     3
#define INTERNAL_IP6_ADDRESS 8
#define INTERNAL_IP6_DNS     10
#define TYPE_BITS            0x7fff
/* An IPv6 address comes with the length of its prefix. */
#define IP6_ADDRESS_LEN 17

/* An address that this host can be given, or that a name server can have. */
static bool is_usable(const struct ip_addr *a)
{
	static const uint8_t loopback[16] = {[15] = 1};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (ip_addr_is_any(a))
		return false;
	if (a->family == IP_V4)
		return a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224 &&
		       (a->b[0] != 169 || a->b[1] != 254);
	return a->b[0] != 0xff && (a->b[0] != 0xfe || (a->b[1] & 0xc0) != 0x80) &&
	       memcmp(a->b, loopback, sizeof(loopback)) != 0 &&
	       memcmp(a->b, mapped, sizeof(mapped)) != 0; /* IPv4's, which has its own rules */
}

static void add(struct ip_addr *list, uint32_t *num, uint32_t max, const struct ip_addr *a)
{
	if (*num < max)
		list[(*num)++] = *a;
}

/* An address that is asked for may be anything; one that is lent must be usable. */
static enum err take_addr(struct cp *cp, const struct ip_addr *a)
{
	if (cp->type == CFG_REPLY && !is_usable(a))
		return ERR_MALFORMED;
	add(cp->addrs, &cp->num_addrs, CP_MAX_ADDRS, a);
	return ERR_OK;
}

static enum err take_dns(struct cp *cp, const struct ip_addr *a)
{
	if (!is_usable(a))
		return cp->type == CFG_REPLY ? ERR_MALFORMED : ERR_OK;
	add(cp->dns, &cp->num_dns, CP_MAX_DNS, a);
	return ERR_OK;
}

/* take_none - without a value: what is asked for, and says nothing else. */
static enum err take_none(struct cp *cp, bool dns, uint8_t family)
{
	const struct ip_addr any = {.family = family};

	return dns || cp->type == CFG_REPLY ? ERR_OK : take_addr(cp, &any);
}

static enum err take_v4(struct cp *cp, bool dns, struct bytes value)
{
	struct ip_addr a;

	if (value.len == 0)
		return take_none(cp, dns, IP_V4);
	if (value.len != 4)
		return ERR_MALFORMED;
	a = ip_addr_v4(value.p);
	return dns ? take_dns(cp, &a) : take_addr(cp, &a);
}

static enum err take_v6(struct cp *cp, bool dns, struct bytes value)
{
	struct ip_addr a;

	if (value.len == 0)
		return take_none(cp, dns, IP_V6);
	/* Some leave the prefix's length out. */
	if (value.len != 16 && (dns || value.len != IP6_ADDRESS_LEN || value.p[16] > 128))
		return ERR_MALFORMED;
	a = ip_addr_v6(value.p);
	return dns ? take_dns(cp, &a) : take_addr(cp, &a);
}

static enum err take(struct cp *cp, uint16_t type, struct bytes value)
{
	switch (type & TYPE_BITS) {
	case INTERNAL_IP4_ADDRESS:
	case INTERNAL_IP4_DNS:
		return take_v4(cp, (type & TYPE_BITS) == INTERNAL_IP4_DNS, value);
	case INTERNAL_IP6_ADDRESS:
	case INTERNAL_IP6_DNS:
		return take_v6(cp, (type & TYPE_BITS) == INTERNAL_IP6_DNS, value);
	default:
		return ERR_OK;
	}
}

static enum err attribute(struct cp *cp, struct reader *r)
{
	struct bytes value;
	uint16_t type, len;
	enum err e;

	if ((e = reader_u16(r, &type)) != ERR_OK || (e = reader_u16(r, &len)) != ERR_OK ||
	    (e = reader_bytes(r, &value, len)) != ERR_OK)
		return e;
	return take(cp, type, value);
}

enum err cp_parse(struct cp *out, struct bytes body)
{
	struct bytes reserved;
	struct cp cp = {0};
	struct reader r;
	enum err e;

	reader_init(&r, body.p, body.len);
	if ((e = reader_u8(&r, &cp.type)) != ERR_OK ||
	    (e = reader_bytes(&r, &reserved, 3)) != ERR_OK)
		return e;
	for (unsigned num = 0; !reader_empty(&r); num++) {
		e = num < CP_MAX_ATTRS ? attribute(&cp, &r) : ERR_LIMIT;
		if (e != ERR_OK)
			return e;
	}
	*out = cp;
	return ERR_OK;
}

static void put(struct writer *w, const struct ip_addr *a, uint16_t v4_type, uint16_t v6_type)
{
	const bool v6 = a->family == IP_V6;
	const bool prefix = v6 && v6_type == INTERNAL_IP6_ADDRESS;
	const size_t len = ip_addr_is_any(a) ? 0 : ip_addr_len(a);

	writer_u16(w, v6 ? v6_type : v4_type);
	writer_u16(w, (uint16_t)(len ? len + prefix : 0));
	writer_bytes(w, a->b, len);
	if (len && prefix)
		writer_u8(w, 128);
}

void cp_build(struct ike_builder *b, const struct cp *cp)
{
	struct writer *w = ike_build_payload(b, PAYLOAD_CP);

	writer_u8(w, cp->type);
	writer_zero(w, 3);
	for (uint32_t i = 0; i < cp->num_addrs; i++)
		put(w, &cp->addrs[i], INTERNAL_IP4_ADDRESS, INTERNAL_IP6_ADDRESS);
	for (uint32_t i = 0; i < cp->num_dns; i++)
		put(w, &cp->dns[i], INTERNAL_IP4_DNS, INTERNAL_IP6_DNS);
}

void cp_add(struct ike_builder *b, uint16_t type, struct bytes value)
{
	writer_u16(&b->w, type);
	writer_u16(&b->w, (uint16_t)value.len);
	writer_bytes(&b->w, value.p, value.len);
}
