/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host of an embedded engine: its devices, routes and filters are the program's business. What
 * would be made there is not, and no error.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "api/embed/internal.h"

static enum err no_tap(void *ctx, struct host_tap *out, uint32_t *out_num, const char *name,
		       uint32_t offloads, uint32_t num)
{
	(void)ctx, (void)out, (void)out_num, (void)name, (void)offloads, (void)num;
	return ERR_UNSUPPORTED;
}

static enum err no_gso(void *ctx, const char *ifname, uint32_t max_len, uint32_t max_num)
{
	(void)ctx, (void)ifname, (void)max_len, (void)max_num;
	return ERR_UNSUPPORTED;
}

static enum err no_link(void *ctx, const char *ifname, uint32_t mtu, const uint8_t *mac)
{
	(void)ctx, (void)ifname, (void)mtu, (void)mac;
	return ERR_OK;
}

static enum err no_name(void *ctx, const char *ifname)
{
	(void)ctx, (void)ifname;
	return ERR_OK;
}

static enum err no_mtu(void *ctx, uint32_t *out_mtu, const struct ip_addr *remote)
{
	(void)ctx, (void)out_mtu, (void)remote;
	return ERR_UNSUPPORTED;
}

static enum err no_addr(void *ctx, const char *ifname, const struct ip_prefix *addr)
{
	(void)ctx, (void)ifname, (void)addr;
	return ERR_OK;
}

static enum err no_route(void *ctx, const struct ip_prefix *dst, const char *ifname,
			 const struct ip_addr *src)
{
	(void)ctx, (void)dst, (void)ifname, (void)src;
	return ERR_OK;
}

static enum err no_route_del(void *ctx, const struct ip_prefix *dst, const char *ifname)
{
	(void)ctx, (void)dst, (void)ifname;
	return ERR_OK;
}

static enum err nothing(void *ctx)
{
	(void)ctx;
	return ERR_OK;
}

static enum err no_guard(void *ctx, const char *ifname, const struct guard_entry *entries,
			 size_t num_entries)
{
	(void)ctx, (void)ifname, (void)entries, (void)num_entries;
	return ERR_OK;
}

static enum err no_devices(void *ctx, const char *const *names, size_t num)
{
	(void)ctx, (void)names, (void)num;
	return ERR_OK;
}

/* source_for - what the host's routing says, which a connected socket knows without a packet. */
static enum err source_for(void *ctx, struct ip_addr *out, const struct ip_addr *remote)
{
	const struct endpoint to = {.addr = *remote, .port = 500};
	struct sockaddr_storage ss;
	struct endpoint from = {0};
	socklen_t len = endpoint_to_sockaddr(&ss, &to);
	enum err err = ERR_NOT_FOUND;
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)ctx;
	if (fd < 0)
		return ERR_SYS;
	if (!connect(fd, (struct sockaddr *)&ss, len) &&
	    !getsockname(fd, (struct sockaddr *)&ss, &len))
		err = endpoint_from_sockaddr(&from, &ss);
	close(fd);
	if (!err)
		*out = from.addr;
	return err;
}

static enum err no_local(void *ctx, struct ip_addr *out, const struct ts *ts)
{
	(void)ctx, (void)out, (void)ts;
	return ERR_NOT_FOUND;
}

/* addrs, watch_open, watch_read - the embedder knows its host, and says when it changed. */
static enum err no_addrs(void *ctx, struct host_addr *out, size_t *out_num, size_t max)
{
	(void)ctx, (void)out, (void)max;
	*out_num = 0;
	return ERR_OK;
}

static enum err no_watch(void *ctx, int *out_fd)
{
	(void)ctx, (void)out_fd;
	return ERR_UNSUPPORTED;
}

static enum err no_watch_read(void *ctx, int fd, bool *out_changed)
{
	(void)ctx, (void)fd, (void)out_changed;
	return ERR_UNSUPPORTED;
}

static enum err no_udp(void *ctx, int *out_fds, enum ip_family family, uint16_t port, uint32_t num)
{
	(void)ctx, (void)out_fds, (void)family, (void)port, (void)num;
	return ERR_UNSUPPORTED;
}

/* udp_connect - needs no privilege; the mark does, and who embeds has no routes of ours to skip. */
static enum err udp_connect(void *ctx, int *out_fd, const struct endpoint *remote)
{
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, remote);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)ctx;
	if (fd < 0)
		return ERR_SYS;
	if (connect(fd, (struct sockaddr *)&ss, len)) {
		close(fd);
		return ERR_SYS;
	}
	*out_fd = fd;
	return ERR_OK;
}

static enum err no_steer(void *ctx, int fd, uint32_t shift, uint32_t num)
{
	(void)ctx, (void)fd, (void)shift, (void)num;
	return ERR_UNSUPPORTED;
}

static enum err no_esp(void *ctx, int *out_fds, enum ip_family family, uint32_t num, uint32_t shift)
{
	(void)ctx, (void)out_fds, (void)family, (void)num, (void)shift;
	return ERR_UNSUPPORTED;
}

static enum err no_mark(void *ctx, int fd, uint32_t token)
{
	(void)ctx, (void)fd, (void)token;
	return ERR_UNSUPPORTED;
}

static enum err no_sockets_read(void *ctx, int fd, bool *out_lost,
				void (*fn)(void *arg, uint64_t cookie), void *arg)
{
	(void)ctx, (void)fd, (void)out_lost, (void)fn, (void)arg;
	return ERR_UNSUPPORTED;
}

static enum err no_alive(void *ctx, bool *out, const struct flow *flow, uint64_t cookie)
{
	(void)ctx, (void)out, (void)flow, (void)cookie;
	return ERR_UNSUPPORTED;
}

static enum err no_flow(void *ctx, const char *ifname, const struct flow *flow, bool add)
{
	(void)ctx, (void)ifname, (void)flow, (void)add;
	return ERR_UNSUPPORTED;
}

static enum err no_tokens(void *ctx, const char *ifname)
{
	(void)ctx, (void)ifname;
	return ERR_UNSUPPORTED;
}

static enum err no_cgroup(void *ctx, struct host_cgroup *out, int fd, uint32_t token)
{
	(void)ctx, (void)out, (void)fd, (void)token;
	return ERR_UNSUPPORTED;
}

static enum err no_cgroup_del(void *ctx, const struct host_cgroup *g)
{
	(void)ctx, (void)g;
	return ERR_OK;
}

static enum err no_rp_filter(void *ctx, bool *out_ok, const char **out_text)
{
	(void)ctx, (void)out_ok, (void)out_text;
	return ERR_UNSUPPORTED;
}

static void no_close(void *ctx)
{
	(void)ctx;
}

static const struct host_ops ops = {
	.tap_open = no_tap,
	.link_gso = no_gso,
	.link_set = no_link,
	.link_del = no_name,
	.link_mtu = no_mtu,
	.addr_add = no_addr,
	.addr_del = no_addr,
	.route_add = no_route,
	.route_del = no_route_del,
	.route_flush = no_name,
	.rules_set = no_name,
	.rules_del = nothing,
	.guard_devices = no_devices,
	.guard_set = no_guard,
	.guard_del = nothing,
	.source_for = source_for,
	.local_in = no_local,
	.addrs = no_addrs,
	.watch_open = no_watch,
	.watch_read = no_watch_read,
	.udp_open = no_udp,
	.udp_connect = udp_connect,
	.udp_steer = no_steer,
	.esp_open = no_esp,
	.socket_inspect = embed_socket_inspect,
	.socket_mark = no_mark,
	.sockets_open = no_watch,
	.sockets_read = no_sockets_read,
	.socket_alive = no_alive,
	.flow_guard = no_flow,
	.token_set = no_tokens,
	.token_del = no_name,
	.cgroup_mark = no_cgroup,
	.cgroup_del = no_cgroup_del,
	.rp_filter_check = no_rp_filter,
	.close = no_close,
};

struct host no_host(struct ipsec_engine *e)
{
	return (struct host){.ops = &ops, .ctx = e};
}
