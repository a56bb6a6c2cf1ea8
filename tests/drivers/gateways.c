/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drivers/gateways.h"

#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/dataplane.h"
#include "drivers/lane.h"

#define MTU   2000
#define LOCAL 255
#define MAIN  254

const uint8_t gateway_macs[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
const uint8_t gateway_host_mac[6] = {2, 0, 0, 0, 0, 3};

/* TRY - return the error, if it is one. */
#define TRY(expr)                       \
	do {                            \
		enum err err_ = (expr); \
		if (err_)               \
			return err_;    \
	} while (0)

/* ---- what the host tells --------------------------------------------------------------------- */

static enum err tell_route(struct gateway *g, uint32_t table, const char *to, uint32_t port)
{
	struct host_change c = {
		.kind = HOST_CHANGE_ROUTE,
		.table = table,
		.route = table == LOCAL ? HOST_ROUTE_LOCAL : HOST_ROUTE_FORWARD,
		.ifindex = port + 1,
	};

	TRY(ip_prefix_parse(&c.dst, to));
	lane_change(g->lane, &c);
	return ERR_OK;
}

static enum err tell_neighbour(struct gateway *g, const char *addr, uint32_t port,
			       const uint8_t mac[static 6])
{
	struct host_change c = {.kind = HOST_CHANGE_NEIGH, .ifindex = port + 1};

	TRY(ip_addr_parse(&c.addr, addr));
	memcpy(c.mac, mac, 6);
	lane_change(g->lane, &c);
	return ERR_OK;
}

static enum err tell_host(struct gateway *g, bool second)
{
	TRY(tell_route(g, LOCAL, second ? "192.0.2.2/32" : "192.0.2.1/32", GATEWAY_WAN));
	TRY(tell_route(g, MAIN, "192.0.2.0/24", GATEWAY_WAN));
	TRY(tell_route(g, MAIN, second ? "10.2.0.0/24" : "10.1.0.0/24", GATEWAY_LAN));
	TRY(tell_route(g, MAIN, second ? "fd00:2::/64" : "fd00:1::/64", GATEWAY_LAN));
	TRY(tell_neighbour(g, second ? "10.2.0.9" : "10.1.0.9", GATEWAY_LAN, gateway_host_mac));
	TRY(tell_neighbour(g, second ? "fd00:2::9" : "fd00:1::9", GATEWAY_LAN, gateway_host_mac));
	TRY(tell_neighbour(g, second ? "192.0.2.1" : "192.0.2.2", GATEWAY_WAN,
			   gateway_macs[!second]));
	for (uint32_t i = 0; i < 2; i++) {
		const struct host_change link = {
			.kind = HOST_CHANGE_LINK, .ifindex = i + 1, .up = true, .mtu = MTU};

		lane_change(g->lane, &link);
		lane_link(g->lane, i, true);
	}
	return lane_settle(g->lane);
}

/* ---- one gateway ----------------------------------------------------------------------------- */

static enum err add_port(struct gateway *g, uint32_t i, struct driver *frames, bool second)
{
	int ends[2];
	struct lane_port_params p = {
		.frames = &frames, .shadows = &ends[0], .ifindex = i + 1, .mtu = MTU};

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends))
		return ERR_SYS;
	g->far[i] = ends[1];
	memcpy(p.mac, gateway_macs[second], 6);
	return lane_add_port(g->lane, &p);
}

static enum err open_gateway(struct gateway *g, const struct gateways_params *params, bool second)
{
	const struct dataplane_config config = {.aead = params->aead, .num_packets = 1024};
	const struct lane_params lane = {.port_ike = 500, .port_nat_t = 4500};
	uint16_t port;

	TRY(dataplane_new(&g->dp, &config));
	TRY(lane_new(&g->lane, &lane));
	for (uint32_t i = 0; i < 2; i++)
		TRY(add_port(g, i, params->ports[second][i], second));
	TRY(dataplane_attach(g->dp, &port, lane_inner(g->lane, 0)));
	TRY(dataplane_attach(g->dp, &g->outer, lane_outer(g->lane, 0)));
	return params->inlines[second] ? dataplane_use_inline(g->dp, params->inlines[second])
				       : ERR_OK;
}

/* ---- the pair of SAs ------------------------------------------------------------------------- */

/* selectors - of the nets behind both. */
static enum err selectors(struct ts ts[2][2])
{
	static const char *const nets[2][2] = {{"10.1.0.0/24", "fd00:1::/64"},
					       {"10.2.0.0/24", "fd00:2::/64"}};

	for (uint32_t i = 0; i < 4; i++) {
		struct ip_prefix net;

		TRY(ip_prefix_parse(&net, nets[i / 2][i % 2]));
		ts[i / 2][i % 2] = ts_from_prefix(&net);
	}
	return ERR_OK;
}

/* path_of - as this one sees it. */
static struct path_addr path_of(bool second, bool udp)
{
	struct path_addr a = {.encap = udp ? ENCAP_UDP : ENCAP_NONE};
	const uint8_t own[4] = {192, 0, 2, second ? 2 : 1}, peer[4] = {192, 0, 2, second ? 1 : 2};

	a.local.addr = ip_addr_v4(own);
	a.remote.addr = ip_addr_v4(peer);
	a.local.port = a.remote.port = udp ? 4500 : 0;
	return a;
}

/* add_child - to the group of a policy that is made for it. */
static enum err add_child(struct gateway *g, struct child_params *c, const struct path_addr *path)
{
	const struct auth_proof_params who = {.method = AUTH_METHOD_PSK};
	struct policy_params policy = {.layer = POLICY_CONFIG,
				       .action = POLICY_PROTECT,
				       .local = c->local,
				       .remote = c->remote,
				       .num_local = c->num_local,
				       .num_remote = c->num_remote};
	uint32_t id;
	enum err err;

	TRY(dataplane_group_add(g->dp, &c->group));
	policy.group = c->group;
	TRY(dataplane_policy_add(g->dp, &id, &policy));
	TRY(dataplane_pathset_add(g->dp, &c->pathset, g->outer, path));
	g->pathset = c->pathset;
	c->proof = auth_proof_new(&who);
	err = c->proof ? dataplane_child_add(g->dp, c) : ERR_NOMEM;
	auth_proof_put(c->proof);
	return err;
}

static enum err add_pair(struct gateway *g, const struct gateways_params *params, bool second,
			 const uint32_t spi[static 2])
{
	const struct path_addr path = path_of(second, params->udp);
	struct ts ts[2][2];
	struct child_params c = {
		.id = 1,
		.spi_in = spi[second],
		.spi_out = spi[!second],
		.alg = AEAD_AES_GCM_16_256,
		.key_in = bytes_of(params->keys[second], GATEWAY_KEY_LEN),
		.key_out = bytes_of(params->keys[!second], GATEWAY_KEY_LEN),
		.outbound_active = true,
		.replay_window = params->window,
		.local = ts[second],
		.remote = ts[!second],
		.num_local = 2,
		.num_remote = 2,
	};

	TRY(selectors(ts));
	return add_child(g, &c, &path);
}

enum err gateways_open(struct gateway g[static 2], const struct gateways_params *params)
{
	uint32_t spi[2];

	for (int i = 0; i < 2; i++) {
		TRY(open_gateway(&g[i], params, i));
		TRY(dataplane_spi_reserve(g[i].dp, &spi[i]));
	}
	for (int i = 0; i < 2; i++) {
		TRY(add_pair(&g[i], params, i, spi));
		TRY(tell_host(&g[i], i));
	}
	return ERR_OK;
}

void gateways_close(struct gateway g[static 2])
{
	for (int i = 0; i < 2; i++) {
		dataplane_free(g[i].dp);
		lane_free(g[i].lane);
		close(g[i].far[GATEWAY_LAN]);
		close(g[i].far[GATEWAY_WAN]);
	}
}
