/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/gateway.h"

#include "base/addr.h"

static bool fits(uint8_t type, size_t len)
{
	switch (type) {
	case GATEWAY_IPV4:
		return len == 4;
	case GATEWAY_IPV6:
		return len == 16;
	case GATEWAY_FQDN:
		return len > 0;
	default:
		return false;
	}
}

enum err wire_gateway_parse(struct wire_gateway *out, struct bytes data)
{
	struct wire_gateway g;
	struct reader r;
	uint8_t len;
	enum err e;

	reader_init(&r, data.p, data.len);
	if ((e = reader_u8(&r, &g.type)) != ERR_OK || (e = reader_u8(&r, &len)) != ERR_OK ||
	    (e = reader_bytes(&r, &g.name, len)) != ERR_OK)
		return e;
	g.nonce = reader_rest(&r);
	if (!fits(g.type, len))
		return ERR_MALFORMED;
	*out = g;
	return ERR_OK;
}

struct bytes wire_gateway_data(uint8_t buf[static WIRE_GATEWAY_MAX], const struct wire_gateway *g)
{
	assert(g->name.len <= 255);
	buf[0] = g->type;
	buf[1] = (uint8_t)g->name.len;
	memcpy(buf + 2, g->name.p, g->name.len);
	return bytes_of(buf, 2 + g->name.len);
}

void wire_gateway_build(struct ike_builder *b, uint16_t type, const struct wire_gateway *g)
{
	uint8_t buf[WIRE_GATEWAY_MAX];

	wire_notify_build(b, type, wire_gateway_data(buf, g));
}

const char *wire_gateway_text(char buf[static WIRE_GATEWAY_TEXT], const struct wire_gateway *g)
{
	struct ip_addr a;
	size_t i;

	if (g->type != GATEWAY_FQDN) {
		a = g->type == GATEWAY_IPV4 ? ip_addr_v4(g->name.p) : ip_addr_v6(g->name.p);
		return ip_addr_text(buf, &a);
	}
	for (i = 0; i < g->name.len; i++)
		buf[i] = g->name.p[i] > ' ' && g->name.p[i] < 0x7f ? (char)g->name.p[i] : '?';
	buf[i] = '\0';
	return buf;
}
