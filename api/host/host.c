/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <nftables/libnftables.h>

#include "api/host/netlink.h"
#include "base/alloc.h"

#define SYSCTL_PATH_MAX 128

bool host_name_ok(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789._-");

	return len > 0 && len < IF_NAMESIZE && !name[len] && name[0] != '.' && name[0] != '-';
}

enum err host_ifindex(uint32_t *out, const char *name)
{
	uint32_t index;

	if (!host_name_ok(name)) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	index = if_nametoindex(name);
	if (!index)
		return host_failed();
	*out = index;
	return ERR_OK;
}

static int sysctl_open(const char *family, const char *ifname, const char *key, int flags)
{
	char path[SYSCTL_PATH_MAX];

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, ifname, key);
	return open(path, flags | O_CLOEXEC);
}

enum err host_sysctl_read(long *out, const char *family, const char *ifname, const char *key)
{
	int fd = sysctl_open(family, ifname, key, O_RDONLY);
	enum err err = ERR_OK;
	char text[32], *end;
	ssize_t n;
	long value;

	if (fd < 0)
		return host_failed();
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		err = host_failed();
	close(fd);
	if (err)
		return err;
	text[n] = '\0';
	value = strtol(text, &end, 10);
	if (end == text)
		return ERR_MALFORMED;
	*out = value;
	return ERR_OK;
}

enum err host_sysctl_write(const char *family, const char *ifname, const char *key, long value)
{
	int fd = sysctl_open(family, ifname, key, O_WRONLY);
	enum err err = ERR_OK;
	char text[32];
	int len = snprintf(text, sizeof(text), "%ld\n", value);

	if (fd < 0)
		return host_failed();
	if (write(fd, text, (size_t)len) != len)
		err = host_failed();
	close(fd);
	return err;
}

static void host_close(void *ctx)
{
	struct host_linux *h = ctx;

	if (h->nft)
		nft_ctx_free(h->nft);
	if (h->nf)
		mnl_socket_close(h->nf);
	if (h->nl)
		mnl_socket_close(h->nl);
	mem_free(h);
}

static const struct host_ops host_linux_ops = {
	.tap_open = host_tap_open,
	.link_gso = host_link_gso,
	.link_set = host_link_set,
	.link_del = host_link_del,
	.link_mtu = host_link_mtu,
	.link_look = host_link_look,
	.addr_add = host_addr_add,
	.addr_del = host_addr_del,
	.route_add = host_route_add,
	.route_del = host_route_del,
	.route_flush = host_route_flush,
	.rules_set = host_rules_set,
	.rules_del = host_rules_del,
	.guard_devices = host_guard_devices,
	.guard_set = host_guard_set,
	.guard_del = host_guard_del,
	.source_for = host_source_for,
	.local_in = host_local_in,
	.addrs = host_addrs,
	.watch_open = host_watch_open,
	.watch_read = host_watch_read,
	.shadow_open = host_shadow_open,
	.mirror_open = host_mirror_open,
	.mirror_read = host_mirror_read,
	.neigh_use = host_neigh_use,
	.mirror_close = host_mirror_close,
	.udp_open = host_udp_open,
	.udp_connect = host_udp_connect,
	.udp_steer = host_udp_steer,
	.esp_open = host_esp_open,
	.socket_inspect = host_socket_inspect,
	.socket_mark = host_socket_mark,
	.sockets_open = host_sockets_open,
	.sockets_read = host_sockets_read,
	.socket_alive = host_socket_alive,
	.flow_guard = host_flow_guard,
	.flow_guard_only = host_flow_guard_only,
	.token_set = host_token_set,
	.token_del = host_token_del,
	.cgroup_mark = host_cgroup_mark,
	.cgroup_del = host_cgroup_del,
	.cgroup_populated = host_cgroup_populated,
	.rp_filter_check = host_rp_filter_check,
	.close = host_close,
};

enum err host_linux_open(struct host *out)
{
	struct host_linux *h = mem_alloc(sizeof(*h));
	enum err err;

	if (!h)
		return ERR_NOMEM;
	err = netlink_open(h);
	if (err)
		goto out;
	h->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!h->nft || nft_ctx_buffer_output(h->nft) || nft_ctx_buffer_error(h->nft)) {
		err = ERR_NOMEM;
		goto out;
	}
	*out = (struct host){.ops = &host_linux_ops, .ctx = h};
	return ERR_OK;
out:
	host_close(h);
	return err;
}
