/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/dpdk.h"

#include "dataplane/pool.h"
#include "drivers/lane.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LAN     0
#define WAN     1
#define KEY_LEN 36

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1}, mac_b[6] = {2, 0, 0, 0, 0, 2},
		     mac_c[6] = {2, 0, 0, 0, 0, 3};

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
	memcpy(head, mac_a, 6);
	memcpy(head + 6, mac_c, 6);
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

static struct ip_addr ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	const uint8_t bytes[4] = {a, b, c, d};

	return ip_addr_v4(bytes);
}

static void add_port(struct gateway *g, uint32_t i, struct half *half, const uint8_t *mac)
{
	struct driver *frames = &half->driver;
	int ends[2];
	struct lane_port_params p = {
		.frames = &frames, .shadows = &ends[0], .ifindex = i + 1, .mtu = 2000};

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends))
		exit(1);
	g->far[i] = ends[1];
	memcpy(p.mac, mac, 6);
	dpdk_must(lane_add_port(g->lane, &p), "a port");
}

static void tell_route(struct gateway *g, uint32_t table, struct ip_addr dst, uint8_t len,
		       uint32_t port)
{
	const struct host_change c = {
		.kind = HOST_CHANGE_ROUTE,
		.table = table,
		.route = table == 255 ? HOST_ROUTE_LOCAL : HOST_ROUTE_FORWARD,
		.ifindex = port + 1,
		.dst = {.addr = dst, .len = len},
	};

	lane_change(g->lane, &c);
}

static void tell_host(struct gateway *g, struct ip_addr own, struct ip_addr near,
		      const uint8_t *near_mac, struct ip_addr peer, const uint8_t *peer_mac)
{
	struct host_change c = {.kind = HOST_CHANGE_NEIGH, .addr = near, .ifindex = LAN + 1};

	tell_route(g, 255, own, 32, WAN);
	tell_route(g, 254, ip(192, 0, 2, 0), 24, WAN);
	tell_route(g, 254, near, 24, LAN);
	memcpy(c.mac, near_mac, 6);
	lane_change(g->lane, &c);
	c.addr = peer;
	c.ifindex = WAN + 1;
	memcpy(c.mac, peer_mac, 6);
	lane_change(g->lane, &c);
	for (uint32_t i = 0; i < 2; i++) {
		const struct host_change link = {
			.kind = HOST_CHANGE_LINK, .ifindex = i + 1, .up = true, .mtu = 2000};

		lane_change(g->lane, &link);
		lane_link(g->lane, i, true);
	}
	dpdk_must(lane_settle(g->lane), "routes");
}

static void open_gateway(struct gateway *g, struct half *lan, struct half *wan, const uint8_t *mac,
			 const char *aead)
{
	const struct dataplane_config config = {.aead = aead, .num_packets = 1024};
	const struct lane_params params = {.port_ike = 500, .port_nat_t = 4500};
	uint16_t port;

	dpdk_must(dataplane_new(&g->dp, &config), "a data path");
	dpdk_must(lane_new(&g->lane, &params), "a lane");
	add_port(g, LAN, lan, mac);
	add_port(g, WAN, wan, mac);
	dpdk_must(dataplane_attach(g->dp, &port, lane_inner(g->lane, 0)), "the inner port");
	dpdk_must(dataplane_attach(g->dp, &g->outer, lane_outer(g->lane, 0)), "the outer port");
}

static void add_pair(struct gateway *g, bool second, const uint32_t spi[2], uint8_t key[2][KEY_LEN],
		     bool udp)
{
	const struct ip_prefix near = {.addr = ip(10, 1, 0, 0), .len = 24};
	const struct ip_prefix far = {.addr = ip(10, 2, 0, 0), .len = 24};
	const struct ts ts[2] = {ts_from_prefix(&near), ts_from_prefix(&far)};
	const struct endpoint ends[2] = {
		{.addr = ip(192, 0, 2, 1), .port = udp ? 4500 : 0},
		{.addr = ip(192, 0, 2, 2), .port = udp ? 4500 : 0},
	};
	const struct path_addr path = {.local = ends[second],
				       .remote = ends[!second],
				       .encap = udp ? ENCAP_UDP : ENCAP_NONE};
	const struct auth_proof_params who = {.method = AUTH_METHOD_PSK};
	struct child_params c = {
		.id = 1,
		.spi_in = spi[second],
		.spi_out = spi[!second],
		.alg = AEAD_AES_GCM_16_256,
		.key_in = bytes_of(key[second], KEY_LEN),
		.key_out = bytes_of(key[!second], KEY_LEN),
		.outbound_active = true,
		.replay_window = DPDK_WINDOW,
		.local = &ts[second],
		.remote = &ts[!second],
		.num_local = 1,
		.num_remote = 1,
	};
	struct policy_params policy = {.layer = POLICY_CONFIG,
				       .action = POLICY_PROTECT,
				       .local = c.local,
				       .remote = c.remote,
				       .num_local = 1,
				       .num_remote = 1};
	uint32_t id;

	dpdk_must(dataplane_group_add(g->dp, &c.group), "a group");
	policy.group = c.group;
	dpdk_must(dataplane_policy_add(g->dp, &id, &policy), "a policy");
	dpdk_must(dataplane_pathset_add(g->dp, &c.pathset, g->outer, &path), "a path");
	c.proof = auth_proof_new(&who);
	dpdk_must(c.proof ? dataplane_child_add(g->dp, &c) : ERR_NOMEM, "an SA");
	auth_proof_put(c.proof);
}

static void join(struct gateway g[2], bool udp)
{
	uint8_t key[2][KEY_LEN];
	uint32_t spi[2];

	dpdk_must(rng_fill(rng_system(), key, sizeof(key)), "keys");
	for (int i = 0; i < 2; i++)
		dpdk_must(dataplane_spi_reserve(g[i].dp, &spi[i]), "an SPI");
	for (int i = 0; i < 2; i++)
		add_pair(&g[i], i, spi, key, udp);
	tell_host(&g[0], ip(192, 0, 2, 1), ip(10, 1, 0, 9), mac_c, ip(192, 0, 2, 2), mac_b);
	tell_host(&g[1], ip(192, 0, 2, 2), ip(10, 2, 0, 9), mac_c, ip(192, 0, 2, 1), mac_a);
}

void gateways_open(struct gateway g[static 2], struct half *source, struct half wire[static 2],
		   struct half *sink, const struct dpdk_options *o)
{
	open_gateway(&g[0], source, &wire[0], mac_a, o->aead);
	open_gateway(&g[1], sink, &wire[1], mac_b, o->aead);
	join(g, o->udp);
}

void gateways_close(struct gateway g[static 2])
{
	for (int i = 0; i < 2; i++) {
		dataplane_free(g[i].dp);
		lane_free(g[i].lane);
		close(g[i].far[LAN]);
		close(g[i].far[WAN]);
	}
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

void gateways_show_drops(const struct gateway g[static 2])
{
	for (int i = 0; i < 2; i++)
		show_drops(g[i].dp);
}
