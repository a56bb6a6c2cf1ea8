/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/mobike.h"

bool mobike_addr_usable(const struct ip_addr *a)
{
	if (ip_addr_is_any(a))
		return false;
	if (a->family == IP_V4) /* 0/8, 127/8, 169.254/16, 224/4 and above */
		return a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224 &&
		       !(a->b[0] == 169 && a->b[1] == 254);
	for (size_t i = 0; i < 15; i++)
		if (a->b[i])
			return a->b[0] != 0xff && !(a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
	return false; /* ::1 and what is as near to :: */
}

bool mobike_addrs_have(const struct mobike_addrs *a, const struct ip_addr *addr)
{
	for (uint8_t i = 0; i < a->num; i++)
		if (ip_addr_equal(&a->list[i], addr))
			return true;
	return false;
}

void mobike_addrs_build(struct ike_builder *b, const struct mobike_addrs *a)
{
	for (uint8_t i = 0; i < a->num; i++)
		wire_notify_build(b,
				  a->list[i].family == IP_V4 ? NOTIFY_ADDITIONAL_IP4_ADDRESS
							     : NOTIFY_ADDITIONAL_IP6_ADDRESS,
				  bytes_of(a->list[i].b, ip_addr_len(&a->list[i])));
}

void mobike_addrs_take(struct mobike_addrs *out, const struct ike_msg *m)
{
	struct wire_notify n;

	out->num = 0;
	for (uint32_t i = 0; i < m->num && out->num < MOBIKE_ADDRS_MAX; i++) {
		struct ip_addr a;

		if (m->payloads[i].type != PAYLOAD_NOTIFY ||
		    wire_notify_parse(&n, m->payloads[i].body))
			continue;
		if (n.type == NOTIFY_ADDITIONAL_IP4_ADDRESS)
			a = ip_addr_v4(n.data.p);
		else if (n.type == NOTIFY_ADDITIONAL_IP6_ADDRESS)
			a = ip_addr_v6(n.data.p);
		else
			continue;
		if (mobike_addr_usable(&a) && !mobike_addrs_have(out, &a))
			out->list[out->num++] = a;
	}
}

/* The notify's data: source and destination address, source and destination port. */
static size_t no_nats_data(uint8_t out[36], const struct endpoint *from, const struct endpoint *to)
{
	size_t len = ip_addr_len(&from->addr);

	memcpy(out, from->addr.b, len);
	memcpy(out + len, to->addr.b, len);
	store_be16(out + 2 * len, from->port);
	store_be16(out + 2 * len + 2, to->port);
	return 2 * len + 4;
}

void mobike_no_nats_build(struct ike_builder *b, const struct path_addr *path)
{
	uint8_t data[36];

	wire_notify_build(b, NOTIFY_NO_NATS_ALLOWED,
			  bytes_of(data, no_nats_data(data, &path->local, &path->remote)));
}

bool mobike_translated(const struct ike_msg *m, const struct path_addr *path)
{
	uint8_t data[36];
	struct wire_notify n;

	return wire_notify_find(&n, m, NOTIFY_NO_NATS_ALLOWED) &&
	       !bytes_equal(n.data,
			    bytes_of(data, no_nats_data(data, &path->remote, &path->local)));
}
