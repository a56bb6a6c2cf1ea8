/* SPDX-License-Identifier: Apache-2.0 */
/* ports.c - a gateway's ports: what each is, whether its link is up, and what it has carried. */
#include "api/vici/internal.h"

/* struct filling - the section so far. */
struct filling {
	struct tree *ports;
	bool counters;
	enum err err;
};

static enum err set_counters(struct tree *t, const struct engine_port_info *p)
{
	const struct {
		const char *key;
		uint64_t value;
	} counters[] = {
		{"rx-packets", p->rx_packets},
		{"rx-bytes", p->rx_bytes},
		{"rx-lost", p->rx_lost},
		{"rx-error", p->rx_error},
		{"tx-packets", p->tx_packets},
		{"tx-bytes", p->tx_bytes},
		{"tx-error", p->tx_error},
		{"rx-inner", p->rx_inner},
		{"rx-esp", p->rx_esp},
		{"rx-host", p->rx_host},
		{"tx-fast", p->tx_fast},
		{"tx-host", p->tx_host},
		{"rx-inline", p->rx_inline},
		{"tx-inline", p->tx_inline},
		{"left-to-host", p->left_to_host},
	};

	for (size_t i = 0; i < ARRAY_LEN(counters); i++)
		TRY(tree_setf(t, counters[i].key, "%llu", (unsigned long long)counters[i].value));
	return ERR_OK;
}

static enum err set_port(struct filling *f, const struct engine_port_info *p)
{
	const uint8_t *m = p->mac;
	struct tree *t;

	TRY(tree_section(f->ports, &t, p->name));
	TRY(tree_setf(t, "device", "%s", p->device));
	TRY(tree_setf(t, "driver", "%s", p->driver));
	TRY(tree_setf(t, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		      m[5]));
	TRY(tree_setf(t, "link", "%s", p->up ? "up" : "down"));
	TRY(tree_setf(t, "mtu", "%u", p->mtu));
	if (p->speed_mbps)
		TRY(tree_setf(t, "speed", "%u", p->speed_mbps));
	TRY(tree_setf(t, "queues", "%u", p->num_queues));
	if (p->num_queues > 1) {
		TRY(tree_setf(t, "spread", "%s", p->spread));
		TRY(tree_setf(t, "steered", "%s", p->steered));
	}
	TRY(tree_setf(t, "offloads", "%s", p->offloads ? p->offloads : ""));
	return f->counters ? set_counters(t, p) : ERR_OK;
}

static void add_port(void *arg, const struct engine_port_info *p)
{
	struct filling *f = arg;

	if (!f->err)
		f->err = set_port(f, p);
}

static void count(void *arg, const struct engine_port_info *p)
{
	(void)p;
	++*(uint32_t *)arg;
}

enum err set_ports(struct call *call, bool counters)
{
	struct filling f = {.counters = counters};
	uint32_t num = 0;

	if (!call->ops->each_port)
		return ERR_OK;
	call->ops->each_port(call->ctx, count, &num);
	if (!num)
		return ERR_OK;
	TRY(tree_section(call->out, &f.ports, "ports"));
	call->ops->each_port(call->ctx, add_port, &f);
	return f.err;
}
