/* SPDX-License-Identifier: Apache-2.0 */
/* Ports: a device is made or found, given its queues, started; and what is known of it. Control. */
#include "drivers/dpdk/inline.h"
#include "drivers/dpdk/internal.h"
#include "drivers/dpdk/mbuf.h"
#include "drivers/dpdk/steer.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#define RX_DESCRIPTORS 1024
#define TX_DESCRIPTORS 1024
#define BY_AF_PACKET   "net_af_packet"

/* What is taken where the device has it: frees mbufs of one pool faster. */
#define TX_OFFLOADS RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE
/* What spreads flows over queues: ESP has no ports, but an SPI that some devices look at. */
#define RSS_TYPES (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_ESP)

static enum err refuse(char text[static DPDK_TEXT_MAX], const char *device, const char *what,
		       int rc)
{
	const char *why = eal_why();

	snprintf(text, DPDK_TEXT_MAX, "%s: %s: %s", device, what, why[0] ? why : strerror(-rc));
	return ERR_SYS;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* find - the port of a device, which is made if it is not there. */
static enum err find(struct dpdk_port *p, char text[static DPDK_TEXT_MAX])
{
	struct rte_dev_iterator it;
	uint16_t id, found = RTE_MAX_ETHPORTS;
	int rc;

	eal_forget();
	rc = rte_dev_probe(p->device);
	if (rc && rc != -EEXIST)
		return refuse(text, p->device, "DPDK has no such device", rc);
	RTE_ETH_FOREACH_MATCHING_DEV(id, p->device, &it)
	{
		if (found == RTE_MAX_ETHPORTS)
			found = id;
	}
	if (found == RTE_MAX_ETHPORTS)
		return refuse(text, p->device, "the device is not a port, or did not start",
			      -ENODEV);
	p->id = found;
	return ERR_OK;
}

/* queues_set_up - the one that sends first: net_tap of DPDK 24.11 cuts nothing if it is the second.
 */
static int queues_set_up(struct dpdk_port *p)
{
	int socket = rte_eth_dev_socket_id(p->id);
	int rc = 0;

	for (uint16_t i = 0; i < p->num_queues && !rc; i++) {
		rc = rte_eth_tx_queue_setup(p->id, i, TX_DESCRIPTORS, (unsigned int)socket, NULL);
		if (!rc)
			rc = rte_eth_rx_queue_setup(p->id, i, RX_DESCRIPTORS, (unsigned int)socket,
						    NULL, mbuf_pool.mempool);
	}
	return rc;
}

/* spread - who brings a flow to which queue. Of what AF_PACKET's sockets share the kernel gives
 * each flow to one of them, all of which have to be read. */
static const char *spread(const struct dpdk_port *p, const struct rte_eth_dev_info *info)
{
	if (p->num_queues == 1)
		return "none";
	if (strcmp(p->driver, BY_AF_PACKET) == 0)
		return "host";
	return RSS_TYPES & info->flow_type_rss_offloads ? "rss" : "none";
}

static int configure(struct dpdk_port *p, const struct rte_eth_dev_info *info)
{
	struct rte_eth_conf conf = {
		.txmode.offloads = TX_OFFLOADS & info->tx_offload_capa,
	};

	offloads_configure(&conf, info, p);
	if (p->num_queues > 1 && RSS_TYPES & info->flow_type_rss_offloads) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = RSS_TYPES & info->flow_type_rss_offloads;
	}
	return rte_eth_dev_configure(p->id, (uint16_t)p->num_queues, (uint16_t)p->num_queues,
				     &conf);
}

/* has_queues - it has as many as are wanted, and loses nothing by the others. */
static bool has_queues(const struct dpdk_port *p, const struct rte_eth_dev_info *info,
		       char text[static DPDK_TEXT_MAX])
{
	if (p->num_queues > info->max_rx_queues || p->num_queues > info->max_tx_queues) {
		snprintf(text, DPDK_TEXT_MAX, "%s: it has %u queues to receive and %u to send",
			 p->device, info->max_rx_queues, info->max_tx_queues);
		return false;
	}
	if (strcmp(p->driver, BY_AF_PACKET) == 0 && p->num_queues < info->max_rx_queues) {
		snprintf(text, DPDK_TEXT_MAX,
			 "%s: %u of its %u queues would be read, and what comes by the others be "
			 "lost: give it qpairs=%u",
			 p->device, p->num_queues, info->max_rx_queues, p->num_queues);
		return false;
	}
	return true;
}

/* choose_offloads - of those wanted what it does; inline crypto by what its context says. */
static void choose_offloads(struct dpdk_port *p, const struct rte_eth_dev_info *info)
{
	p->offloads = offloads_of(info, p->offloads);
	if (p->offloads & DPDK_OFFLOAD_INLINE)
		p->security = rte_eth_dev_get_sec_ctx(p->id);
	if (!p->security || !inline_usable(p->security))
		p->offloads &= ~(uint32_t)DPDK_OFFLOAD_INLINE;
}

/* set_up - each step has its name, so that a failure says which it was. */
static enum err set_up(struct dpdk_port *p, uint32_t mtu, char text[static DPDK_TEXT_MAX])
{
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(p->id, &info);

	if (rc)
		return refuse(text, p->device, "nothing is known of it", rc);
	snprintf(p->driver, sizeof(p->driver), "%s", info.driver_name);
	p->ifindex = info.if_index;
	if (!has_queues(p, &info, text))
		return ERR_UNSUPPORTED;
	p->spread = spread(p, &info);
	choose_offloads(p, &info);
	rc = configure(p, &info);
	if (rc)
		return refuse(text, p->device, "it cannot be configured", rc);
	if (mtu && (rc = rte_eth_dev_set_mtu(p->id, (uint16_t)mtu)) != 0)
		return refuse(text, p->device, "it does not take this MTU", rc);
	rc = queues_set_up(p);
	if (rc)
		return refuse(text, p->device, "its queues cannot be set up", rc);
	rc = rte_eth_dev_start(p->id);
	return rc ? refuse(text, p->device, "it does not start", rc) : ERR_OK;
}

static void release(struct dpdk_port *p)
{
	free(p->steer);
	free(p->queues);
	free(p);
}

static struct dpdk_port *port_new(const char *device, uint32_t num_queues, uint32_t offloads)
{
	struct dpdk_port *p = calloc(1, sizeof(*p)); /* system allocator: the host's is not here */

	if (!p)
		return NULL;
	p->num_queues = num_queues;
	p->offloads = offloads;
	p->queues = calloc(num_queues, sizeof(*p->queues)); /* system allocator: as above */
	if (!p->queues) {
		release(p);
		return NULL;
	}
	snprintf(p->device, sizeof(p->device), "%s", device);
	for (uint32_t i = 0; i < num_queues; i++)
		p->queues[i] = (struct dpdk_queue){
			.driver = {.ops = &dpdk_queue_ops, .role = PORT_OUTER},
			.port = p,
			.index = (uint16_t)i,
		};
	return p;
}

enum err port_open(struct driver *out[], const char *device, uint32_t num_queues, uint32_t mtu,
		   uint32_t offloads, char text[static DPDK_TEXT_MAX])
{
	struct dpdk_port *p;
	enum err err;

	if (!num_queues || num_queues > DPDK_QUEUES_MAX || mtu > UINT16_MAX ||
	    strlen(device) >= DPDK_DEVICE_MAX) {
		snprintf(text, DPDK_TEXT_MAX, "%.60s: no such port can be", device);
		return ERR_INVAL;
	}
	p = port_new(device, num_queues, offloads);
	if (!p)
		return ERR_NOMEM;
	err = find(p, text);
	if (err) {
		release(p);
		return err;
	}
	err = set_up(p, mtu, text);
	if (err) {
		rte_eth_dev_close(p->id);
		release(p);
		return err;
	}
	p->num_open = num_queues;
	for (uint32_t i = 0; i < num_queues; i++) {
		out[i] = &p->queues[i].driver;
		if (p->offloads)
			out[i]->ops = &dpdk_offload_ops;
	}
	return ERR_OK;
}

enum err port_queues(uint32_t *out, const char *device, char text[static DPDK_TEXT_MAX])
{
	struct dpdk_port p = {0};
	struct rte_eth_dev_info info;
	enum err err;

	if (strlen(device) >= DPDK_DEVICE_MAX) {
		snprintf(text, DPDK_TEXT_MAX, "%.60s: no such port can be", device);
		return ERR_INVAL;
	}
	snprintf(p.device, sizeof(p.device), "%s", device);
	err = find(&p, text);
	if (err)
		return err;
	int rc = rte_eth_dev_info_get(p.id, &info);

	if (rc)
		return refuse(text, device, "nothing is known of it", rc);
	*out = info.max_rx_queues < info.max_tx_queues ? info.max_rx_queues : info.max_tx_queues;
	*out = *out < DPDK_QUEUES_MAX ? *out : DPDK_QUEUES_MAX;
	return ERR_OK;
}

/* ---- later ---------------------------------------------------------------------------------- */

static struct dpdk_port *port_of(const struct driver *d)
{
	return ((const struct dpdk_queue *)(const void *)d)->port;
}

enum err port_steer(struct driver *d, const struct dpdk_steering *s,
		    char text[static DPDK_TEXT_MAX])
{
	struct dpdk_port *p = port_of(d);

	p->steer = calloc(1, sizeof(*p->steer)); /* system allocator: as above */
	if (!p->steer)
		return ERR_NOMEM;
	eal_forget(); /* that a device refuses a rule is no error of its own */
	return steer_add(p->steer, p->id, p->num_queues, s, text);
}

/* host_runs - the host's interface is up and its link carries, as far as the host knows. The name
 * is asked for each time: it may change. One that is gone carries nothing; who cannot ask, as no
 * descriptor is left, knows nothing. */
static bool host_runs(uint32_t ifindex)
{
	struct ifreq ifr = {.ifr_ifindex = (int)ifindex};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool runs;

	if (fd < 0)
		return true;
	if (ioctl(fd, SIOCGIFNAME, &ifr) || ioctl(fd, SIOCGIFFLAGS, &ifr))
		runs = errno != ENODEV && errno != ENXIO;
	else
		runs = (ifr.ifr_flags & IFF_UP) && (ifr.ifr_flags & IFF_RUNNING);
	close(fd);
	return runs;
}

/* net_af_packet says that it is up for as long as it is started. */
static bool carries(const struct dpdk_port *p, const struct rte_eth_link *link)
{
	return link->link_status == RTE_ETH_LINK_UP && (!p->ifindex || host_runs(p->ifindex));
}

bool port_is_up(const struct driver *d)
{
	const struct dpdk_port *p = port_of(d);
	struct rte_eth_link link = {0};

	return !rte_eth_link_get_nowait(p->id, &link) && carries(p, &link);
}

void port_info(const struct driver *d, struct dpdk_port_info *out)
{
	const struct dpdk_port *p = port_of(d);
	struct rte_eth_link link = {0};
	struct rte_ether_addr mac = {0};
	struct rte_eth_stats s = {0};
	uint16_t mtu = 0;

	/* What the device does not tell stays zero. */
	(void)!rte_eth_link_get_nowait(p->id, &link);
	(void)!rte_eth_macaddr_get(p->id, &mac);
	(void)!rte_eth_dev_get_mtu(p->id, &mtu);
	(void)!rte_eth_stats_get(p->id, &s);
	*out = (struct dpdk_port_info){
		.up = carries(p, &link),
		.mtu = mtu,
		.speed_mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed,
		.offloads = p->offloads,
		.driver = p->driver,
		.rx_packets = s.ipackets,
		.rx_bytes = s.ibytes,
		.tx_packets = s.opackets,
		.tx_bytes = s.obytes,
		.rx_missed = s.imissed,
		.rx_error = s.ierrors,
		.rx_no_buffer = s.rx_nombuf,
		.tx_error = s.oerrors,
		.num_queues = p->num_queues,
		.spread = p->spread,
		.steered = p->steer ? p->steer->text : "",
	};
	memcpy(out->mac, mac.addr_bytes, sizeof(out->mac));
}

enum err port_set_mtu(struct driver *d, uint32_t mtu)
{
	if (mtu > UINT16_MAX || rte_eth_dev_set_mtu(port_of(d)->id, (uint16_t)mtu))
		return ERR_SYS;
	return ERR_OK;
}

void port_close(struct driver *d)
{
	struct dpdk_port *p = port_of(d);

	if (--p->num_open)
		return;
	if (p->steer)
		steer_remove(p->steer, p->id);
	rte_eth_dev_stop(p->id);
	rte_eth_dev_close(p->id);
	release(p);
}
