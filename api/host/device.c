/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "api/host/netlink.h"

/* What the kernel calls the offloads; its header has USO's from 6.2 on. */
static_assert(HOST_OFFLOAD_SUM == TUN_F_CSUM && HOST_OFFLOAD_TCP4 == TUN_F_TSO4 &&
		      HOST_OFFLOAD_TCP6 == TUN_F_TSO6 && HOST_OFFLOAD_ECN == TUN_F_TSO_ECN,
	      "TUNSETOFFLOAD takes them as they are");
#define TUN_F_USO (0x20 | 0x40)
static_assert(HOST_OFFLOAD_UDP == TUN_F_USO, "here too");

/* set_offloads - those of `wanted` that this kernel knows; none that another program may have left
 * on the device. */
static bool set_offloads(int fd, uint32_t wanted, uint32_t *out)
{
	const uint32_t tries[] = {wanted, wanted & ~(uint32_t)HOST_OFFLOAD_UDP,
				  wanted & HOST_OFFLOAD_SUM, 0};

	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)tries[i]) == 0) {
			*out = tries[i];
			return true;
		}
	}
	return false;
}

/* set_header - the header that each packet has then. */
static bool set_header(int fd)
{
	int len = 10, little = 1;

	return ioctl(fd, TUNSETVNETHDRSZ, &len) == 0 && ioctl(fd, TUNSETVNETLE, &little) == 0;
}

/* attach - make or open the device with these flags and offloads. A persistent device that has no
 * owner could be opened by every user of the host, and what goes through it is clear. errno on
 * failure, else 0. */
static int attach(int fd, const char *name, int flags, uint32_t *offloads)
{
	struct ifreq ifr = {.ifr_flags = (short)(flags | (*offloads ? IFF_VNET_HDR : 0))};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || (*offloads && !set_header(fd)) ||
	    !set_offloads(fd, *offloads, offloads) ||
	    ioctl(fd, TUNSETOWNER, (unsigned long)geteuid()) < 0 ||
	    ioctl(fd, TUNSETPERSIST, 1UL) < 0)
		return errno;
	return 0;
}

/* open_queue - of a device with these flags, with these offloads, fewer, or none. errno on failure,
 * else 0: *out is open. */
static int open_queue(struct host_tap *out, const char *name, int flags, uint32_t offloads)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), e;

	if (fd < 0)
		return errno;
	*out = (struct host_tap){.fd = fd, .tun = (flags & IFF_TUN) != 0, .offloads = offloads};
	e = attach(fd, name, flags, &out->offloads);
	if (e)
		close(fd);
	return e;
}

/* open_first - a queue of a device as wanted. One of that name that is there already is taken as it
 * is, though it be layer 3, or have one queue instead of several, or the other way round. */
static int open_first(struct host_tap *out, int *flags, const char *name, uint32_t offloads,
		      bool several)
{
	const int queues[] = {several ? IFF_MULTI_QUEUE : 0, several ? 0 : IFF_MULTI_QUEUE};
	const int kinds[] = {IFF_TAP | IFF_NO_PI, IFF_TUN};
	int e = EINVAL;

	for (size_t i = 0; i < 4 && e == EINVAL; i++) {
		*flags = queues[i / 2] | kinds[i % 2];
		e = open_queue(out, name, *flags, offloads);
	}
	return e;
}

static bool ask(int fd, const char *name, void *what)
{
	struct ifreq ifr = {.ifr_data = what};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &ifr) == 0;
}

/* is_taken - some process has a queue of this TAP or TUN: with another one of ours both would get
 * some of the packets. The kernel says so only of a device with one queue. The carrier tells; the
 * flag IFF_RUNNING would tell it late. */
static bool is_taken(const char *name)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool taken = fd >= 0 && ask(fd, name, &info) && strcmp(info.driver, "tun") == 0 &&
		     ask(fd, name, &link) && link.data;

	if (fd >= 0)
		close(fd);
	return taken;
}

/* open_device - the first queue, and with which flags. errno on failure, else 0. */
static int open_device(struct host_tap *out, int *flags, const char *name, uint32_t offloads,
		       bool several)
{
	int e;

	if (is_taken(name))
		return EBUSY;
	e = open_first(out, flags, name, offloads & HOST_OFFLOAD_SUM ? offloads : 0, several);
	/* A header without anything that it is for: better without. */
	if (!e && offloads && !out->offloads) {
		close(out->fd);
		e = open_first(out, flags, name, 0, several);
	}
	return e;
}

enum err host_tap_open(void *ctx, struct host_tap *out, uint32_t *out_num, const char *name,
		       uint32_t offloads, uint32_t num)
{
	struct host_linux *h = ctx;
	struct host_tap first;
	uint32_t got = 1;
	int e, flags;

	if (!host_name_ok(name) || !num) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	e = open_device(&first, &flags, name, offloads, num > 1);
	if (e) {
		errno = e;
		/* The name belongs to a device of another kind. */
		return e == EINVAL ? ERR_INVAL : host_failed();
	}
	out[0] = first;
	while (got < num && flags & IFF_MULTI_QUEUE &&
	       open_queue(&out[got], name, flags, first.offloads) == 0)
		got++;
	snprintf(h->device, sizeof(h->device), "%s", name);
	*out_num = got;
	return ERR_OK;
}

/* raise_shadow - address and MTU before it is up: its own IPv6 address is made of the first. */
static enum err raise_shadow(struct host_linux *h, uint32_t ifindex, const uint8_t *mac,
			     uint32_t mtu)
{
	struct netlink_msg m;
	struct ifinfomsg *ifi = netlink_begin(&m, RTM_NEWLINK, 0, sizeof(*ifi));
	enum err err;

	ifi->ifi_index = (int)ifindex;
	mnl_attr_put(m.head, IFLA_ADDRESS, 6, mac);
	mnl_attr_put_u32(m.head, IFLA_MTU, mtu);
	err = netlink_talk(h, &m, NULL, NULL);
	if (err)
		return err;
	ifi = netlink_begin(&m, RTM_NEWLINK, 0, sizeof(*ifi));
	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	return netlink_talk(h, &m, NULL, NULL);
}

/* open_as - a queue of a shadow with these offloads, fewer, or none. errno on failure, else 0. */
static int open_as(struct host_tap *out, const char *name, int flags, uint32_t offloads)
{
	int e = open_queue(out, name, flags, offloads);

	if (e || !offloads || out->offloads)
		return e;
	close(out->fd); /* better without a header then */
	return open_queue(out, name, flags, 0);
}

/* open_queues - of a shadow, which is made so that it can have several, whoever has made it how.
 * errno on failure, else 0. */
static int open_queues(int *out_fds, uint32_t *num, const char *name, uint32_t *offloads)
{
	int flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
	struct host_tap queue;
	uint32_t got = 0;
	int e = is_taken(name) ? EBUSY : open_as(&queue, name, flags, *offloads);

	if (e == EINVAL) {
		flags &= ~IFF_MULTI_QUEUE;
		e = open_as(&queue, name, flags, *offloads);
	}
	if (e)
		return e;
	*offloads = queue.offloads;
	do
		out_fds[got++] = queue.fd;
	while (got < *num && flags & IFF_MULTI_QUEUE &&
	       open_queue(&queue, name, flags, *offloads) == 0);
	*num = got;
	return 0;
}

enum err host_shadow_open(void *ctx, int *out_fds, uint32_t *num, uint32_t *out_ifindex,
			  const char *name, const uint8_t *mac, uint32_t mtu, uint32_t *offloads)
{
	struct host_linux *h = ctx;
	enum err err;
	int e;

	if (!host_name_ok(name) || !*num || *num > HOST_SHADOW_QUEUES_MAX) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	e = open_queues(out_fds, num, name, offloads);
	if (e) {
		errno = e;
		return host_failed();
	}
	err = host_ifindex(out_ifindex, name);
	if (!err)
		err = raise_shadow(h, *out_ifindex, mac, mtu);
	e = errno;
	for (uint32_t i = 0; err && i < *num; i++)
		close(out_fds[i]);
	errno = e;
	return err;
}
