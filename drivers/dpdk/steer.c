/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/dpdk/steer.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_flow.h>

/* ITEMS_MAX - of a pattern: Ethernet, IP, UDP, ESP, and its end. */
#define ITEMS_MAX 5

/* kinds - the protocols in front of ESP. */
static const struct kind {
	const char *name;
	enum rte_flow_item_type ip;
	bool udp;
} kinds[STEER_KINDS] = {
	{"esp4", RTE_FLOW_ITEM_TYPE_IPV4, false},
	{"esp6", RTE_FLOW_ITEM_TYPE_IPV6, false},
	{"udp4", RTE_FLOW_ITEM_TYPE_IPV4, true},
	{"udp6", RTE_FLOW_ITEM_TYPE_IPV6, true},
};

/* add_rule - of one kind, for one worker. rte_flow copies what it needs. */
static struct rte_flow *add_rule(uint16_t port, const struct kind *kind, uint32_t worker,
				 uint32_t num_queues, const struct dpdk_steering *s,
				 struct rte_flow_error *error)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	const struct rte_flow_item_udp udp = {.hdr.dst_port = rte_cpu_to_be_16(s->port_nat_t)},
				       udp_mask = {.hdr.dst_port = 0xffff};
	const struct rte_flow_item_esp esp = {.hdr.spi = rte_cpu_to_be_32(worker << s->spi_shift)},
				       esp_mask = {.hdr.spi = rte_cpu_to_be_32(s->spi_mask)};
	const struct rte_flow_action_queue queue = {.index = (uint16_t)(worker % num_queues)};
	const struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_item pattern[ITEMS_MAX] = {{.type = RTE_FLOW_ITEM_TYPE_ETH},
						   {.type = kind->ip}};
	uint32_t num = 2;

	if (kind->udp)
		pattern[num++] = (struct rte_flow_item){
			.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &udp, .mask = &udp_mask};
	pattern[num++] = (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_ESP, .spec = &esp, .mask = &esp_mask};
	pattern[num] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_END};
	return rte_flow_create(port, &attr, pattern, actions, error);
}

static void remove_kind(struct steer *s, uint16_t port, uint32_t kind)
{
	struct rte_flow_error error;

	for (uint32_t i = 0; i < DPDK_QUEUES_MAX; i++) {
		if (s->rules[kind][i])
			(void)!rte_flow_destroy(port, s->rules[kind][i], &error);
		s->rules[kind][i] = NULL;
	}
}

/* add_kind - a rule for each worker, or none. */
static bool add_kind(struct steer *out, uint16_t port, uint32_t kind, uint32_t num_queues,
		     const struct dpdk_steering *s, struct rte_flow_error *error)
{
	for (uint32_t i = 0; i < s->num_workers; i++) {
		out->rules[kind][i] = add_rule(port, &kinds[kind], i, num_queues, s, error);
		if (out->rules[kind][i])
			continue;
		remove_kind(out, port, kind);
		return false;
	}
	return true;
}

static void name(char *text, size_t size, const char *kind)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s%s", len ? " " : "", kind);
}

enum err steer_add(struct steer *out, uint16_t port, uint32_t num_queues,
		   const struct dpdk_steering *s, char text[static DPDK_TEXT_MAX])
{
	char refused[sizeof(out->text)] = "", why[DPDK_TEXT_MAX / 2] = "";

	if (s->num_workers > DPDK_QUEUES_MAX)
		return ERR_UNSUPPORTED;
	for (uint32_t i = 0; i < STEER_KINDS; i++) {
		struct rte_flow_error error = {0};

		if (add_kind(out, port, i, num_queues, s, &error)) {
			name(out->text, sizeof(out->text), kinds[i].name);
			continue;
		}
		name(refused, sizeof(refused), kinds[i].name);
		snprintf(why, sizeof(why), "%s", error.message ? error.message : "no reason told");
	}
	if (!refused[0])
		return ERR_OK;
	snprintf(text, DPDK_TEXT_MAX,
		 "the device does not steer ESP by its SPI (%s: %s): what arrives elsewhere is "
		 "handed over",
		 refused, why);
	return ERR_UNSUPPORTED;
}

void steer_remove(struct steer *s, uint16_t port)
{
	for (uint32_t i = 0; i < STEER_KINDS; i++)
		remove_kind(s, port, i);
}
