/* SPDX-License-Identifier: Apache-2.0 */
#include "api/embed/internal.h"

struct ipsec_endpoint endpoint_out(const struct endpoint *ep)
{
	struct ipsec_endpoint out = {.family = ep->addr.family, .port = ep->port};

	static_assert(sizeof(out.addr) == sizeof(ep->addr.b), "the same sixteen bytes");
	memcpy(out.addr, ep->addr.b, sizeof(out.addr));
	return out;
}

static struct endpoint endpoint_in(const struct ipsec_endpoint *ep)
{
	if (ep->family == IPSEC_IPV4)
		return (struct endpoint){.addr = ip_addr_v4(ep->addr), .port = ep->port};
	if (ep->family == IPSEC_IPV6)
		return (struct endpoint){.addr = ip_addr_v6(ep->addr), .port = ep->port};
	return (struct endpoint){0};
}

struct ipsec_path path_out(const struct path_addr *p)
{
	static_assert((int)IPSEC_ENCAP_UDP == (int)ENCAP_UDP, "the same numbers");
	return (struct ipsec_path){
		.local = endpoint_out(&p->local),
		.remote = endpoint_out(&p->remote),
		.interface = p->ifindex,
		.encap = p->encap,
	};
}

struct path_addr path_in(const struct ipsec_path *p)
{
	return (struct path_addr){
		.local = endpoint_in(&p->local),
		.remote = endpoint_in(&p->remote),
		.ifindex = p->interface,
		.encap = p->encap == IPSEC_ENCAP_UDP ? ENCAP_UDP : ENCAP_NONE,
	};
}

struct ipsec_selector selector_out(const struct ts *ts)
{
	struct ipsec_selector out = {
		.family = ts->lo.family,
		.proto = ts->proto,
		.port_lo = ts->port_lo,
		.port_hi = ts->port_hi,
	};

	memcpy(out.addr_lo, ts->lo.b, sizeof(out.addr_lo));
	memcpy(out.addr_hi, ts->hi.b, sizeof(out.addr_hi));
	return out;
}

void selectors_out(struct ipsec_selector *out, const struct ts *ts, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++)
		out[i] = selector_out(&ts[i]);
}
