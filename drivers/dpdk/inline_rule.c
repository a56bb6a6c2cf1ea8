/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that have a port decrypt an SA's packets (rte_flow). Control. */
#include "drivers/dpdk/inline.h"

#include <string.h>

#include <rte_byteorder.h>
#include <rte_flow.h>

/* ITEMS_MAX - of a pattern: Ethernet, IP, UDP, ESP, and its end. */
#define ITEMS_MAX 5

/* struct headers - of a pattern: those of all packets of an SA. */
struct headers {
	struct rte_flow_item_ipv4 v4, v4_mask;
	struct rte_flow_item_ipv6 v6, v6_mask;
	struct rte_flow_item_udp udp, udp_mask;
	struct rte_flow_item_esp esp, esp_mask;
};

static struct rte_flow_item ip_item(struct headers *h, const struct path_addr *path)
{
	const uint8_t *src = path->remote.addr.b, *dst = path->local.addr.b;

	if (path->local.addr.family == IP_V4) {
		memcpy(&h->v4.hdr.src_addr, src, 4);
		memcpy(&h->v4.hdr.dst_addr, dst, 4);
		h->v4_mask.hdr.src_addr = h->v4_mask.hdr.dst_addr = RTE_BE32(UINT32_MAX);
		return (struct rte_flow_item){
			.type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &h->v4, .mask = &h->v4_mask};
	}
	memcpy(&h->v6.hdr.src_addr, src, 16);
	memcpy(&h->v6.hdr.dst_addr, dst, 16);
	memset(&h->v6_mask.hdr.src_addr, 0xff, 16);
	memset(&h->v6_mask.hdr.dst_addr, 0xff, 16);
	return (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_IPV6, .spec = &h->v6, .mask = &h->v6_mask};
}

static struct rte_flow_item udp_item(struct headers *h, const struct path_addr *path)
{
	h->udp.hdr.src_port = rte_cpu_to_be_16(path->remote.port);
	h->udp.hdr.dst_port = rte_cpu_to_be_16(path->local.port);
	h->udp_mask.hdr.src_port = h->udp_mask.hdr.dst_port = RTE_BE16(UINT16_MAX);
	return (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &h->udp, .mask = &h->udp_mask};
}

static struct rte_flow_item esp_item(struct headers *h, uint32_t spi)
{
	h->esp.hdr.spi = rte_cpu_to_be_32(spi);
	h->esp_mask.hdr.spi = RTE_BE32(UINT32_MAX);
	return (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_ESP, .spec = &h->esp, .mask = &h->esp_mask};
}

struct rte_flow *inline_rule_new(uint16_t port, void *session, const struct inline_use *use)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	const struct rte_flow_action_security security = {.security_session = session};
	const struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_SECURITY, .conf = &security},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_item pattern[ITEMS_MAX] = {{.type = RTE_FLOW_ITEM_TYPE_ETH}};
	struct rte_flow_error error = {0};
	struct headers h = {0};
	uint32_t num = 1;

	pattern[num++] = ip_item(&h, use->path);
	if (use->path->encap == ENCAP_UDP)
		pattern[num++] = udp_item(&h, use->path);
	pattern[num++] = esp_item(&h, use->spi);
	pattern[num] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_END};
	return rte_flow_create(port, &attr, pattern, actions, &error);
}
