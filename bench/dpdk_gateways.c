/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/dpdk.h"

#include "dataplane/pool.h"

#include <stdlib.h>

void dpdk_must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "dpdk: %s: %s\n", what, err_text(e));
	exit(1);
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* make_head - of flow's packets. */
static void make_head(uint8_t head[static DPDK_HEAD_LEN], uint32_t inner_len, uint32_t flow)
{
	static const uint8_t addresses[8] = {10, 1, 0, 9, 10, 2, 0, 9};
	uint8_t *h = head + 14;
	uint32_t sum = 0;

	memset(head, 0, DPDK_HEAD_LEN);
	memcpy(head, gateway_macs[0], 6);
	memcpy(head + 6, gateway_host_mac, 6);
	store_be16(head + 12, 0x0800);
	h[0] = 0x45;
	store_be16(h + 2, (uint16_t)inner_len);
	h[8] = 64;
	h[9] = 17;
	memcpy(h + 12, addresses, sizeof(addresses));
	for (int i = 0; i < 20; i += 2)
		sum += load_be16(h + i);
	sum = (sum >> 16) + (sum & 0xffff);
	store_be16(h + 10, (uint16_t)~sum);
	store_be16(h + 20, (uint16_t)(20000 + flow));
	store_be16(h + 22, 5001);
	store_be16(h + 24, (uint16_t)(inner_len - 20));
}

static uint32_t half_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct half *half = container_of(d, struct half, driver);
	uint32_t before = out->num;

	if (!half->receives)
		return 0;
	half->device->ops->rx(half->device, pool, out);
	for (uint32_t i = before; half->makes && i < out->num; i++)
		memcpy(out->pkt[i]->data, half->heads[half->turn++ % DPDK_NUM_FLOWS],
		       DPDK_HEAD_LEN);
	return out->num - before;
}

static void half_tx(struct driver *d, struct pktvec *v)
{
	struct half *half = container_of(d, struct half, driver);

	if (half->sends) {
		half->num_sent += v->num;
		half->device->ops->tx(half->device, v);
		return;
	}
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

static int half_fd(const struct driver *d)
{
	(void)d;
	return -1;
}

/* The devices are closed at the end, all at once. */
static void half_close(struct driver *d)
{
	(void)d;
}

static const struct driver_ops half_ops = {
	.name = "half", .rx = half_rx, .tx = half_tx, .fd = half_fd, .close = half_close};

struct half half_of(struct driver *device, bool receives, bool sends)
{
	return (struct half){.driver = {.ops = &half_ops},
			     .device = device,
			     .receives = receives,
			     .sends = sends};
}

struct half source_of(struct driver *device, uint32_t inner_len)
{
	struct half half = half_of(device, true, false);

	half.makes = true;
	for (uint32_t i = 0; i < DPDK_NUM_FLOWS; i++)
		make_head(half.heads[i], inner_len, i);
	return half;
}

/* ---- gateways -------------------------------------------------------------------------------- */

void bench_gateways_open(struct gateway g[static 2], struct half *source,
			 struct half wire[static 2], struct half *sink,
			 const struct dpdk_options *o)
{
	struct gateways_params p = {
		.ports = {{&source->driver, &wire[0].driver}, {&sink->driver, &wire[1].driver}},
		.aead = o->aead,
		.window = DPDK_WINDOW,
		.udp = o->udp,
	};

	dpdk_must(rng_fill(rng_system(), p.keys, sizeof(p.keys)), "keys");
	dpdk_must(gateways_open(g, &p), "two gateways");
}

static void show_drops(struct dataplane *dp)
{
	struct dataplane_stats s;
	const char *text, *name;

	dataplane_stats(dp, &s);
	for (uint32_t i = 0; (name = dataplane_drop_name(i, &text)) != NULL; i++)
		if (s.drops[i])
			fprintf(stderr, "dpdk: dropped %llu: %s\n", (unsigned long long)s.drops[i],
				text);
}

void bench_gateways_show_drops(const struct gateway g[static 2])
{
	for (int i = 0; i < 2; i++)
		show_drops(g[i].dp);
}
