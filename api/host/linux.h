/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.h - what the files of the Linux host share: its state and the operations each file
 * implements. The operations are described in base/host.h. Control thread.
 */
#pragma once

#include <net/if.h>

#include "api/host/host.h"
#include "api/host/socket_look.h"

struct mnl_socket;
struct nft_ctx;

/* HOST_CAPTURE_TABLE - the routing table of captured traffic. HOST_PROTO - the "protocol" that
 * marks routes, rules and addresses as ours, for people who list them. */
#define HOST_CAPTURE_TABLE 4302
#define HOST_PROTO         201

/* HOST_PORTS_MAX - local UDP ports that the guard lets outer traffic arrive at. */
#define HOST_PORTS_MAX 8

/* HOST_DEVICES_MAX - devices beside the guard's own. */
#define HOST_DEVICES_MAX 64

/* struct host_linux - the state. */
struct host_linux {
	struct mnl_socket *nl;
	struct nft_ctx *nft;
	struct mnl_socket *nf;          /* of nf_commit(); NULL before the first */
	uint32_t seq;                   /* of the last netlink request */
	char device[IF_NAMESIZE];       /* whose guard it is: set by the operations that name it */
	uint16_t ports[HOST_PORTS_MAX]; /* that udp_open() bound */
	size_t num_ports;
	char devices[HOST_DEVICES_MAX][IF_NAMESIZE]; /* guard_devices() */
	size_t num_devices;
	bool asked_sockets, knows_sockets; /* of the kernel, by the guard */
};

/* host_name_ok - a device name that is safe in a path, a netlink attribute and an nft script. */
bool host_name_ok(const char *name) NONNULL(1);

/* host_ifindex - index of a device. Errors: INVAL (name), NOT_FOUND. */
MUST_USE enum err host_ifindex(uint32_t *out, const char *name) NONNULL(1, 2);

/* host_sysctl_read, host_sysctl_write - the number in /proc/sys/net/FAMILY/conf/IFNAME/KEY.
 * Errors: SYS, PERM, NOT_FOUND, MALFORMED. */
MUST_USE enum err host_sysctl_read(long *out, const char *family, const char *ifname,
				   const char *key) NONNULL(1, 2, 3, 4);
MUST_USE enum err host_sysctl_write(const char *family, const char *ifname, const char *key,
				    long value) NONNULL(1, 2, 3);

/* device.c */
MUST_USE enum err host_tap_open(void *ctx, struct host_tap *out, uint32_t *out_num,
				const char *name, uint32_t offloads, uint32_t num);
MUST_USE enum err host_link_gso(void *ctx, const char *ifname, uint32_t max_len, uint32_t max_num);
MUST_USE enum err host_shadow_open(void *ctx, int *out_fds, uint32_t *num, uint32_t *out_ifindex,
				   const char *name, const uint8_t *mac, uint32_t mtu,
				   uint32_t *offloads);

/* mirror.c */
MUST_USE enum err host_mirror_open(void *ctx, struct host_mirror **out, int *out_fd);
MUST_USE enum err host_mirror_read(void *ctx, struct host_mirror *m,
				   void (*fn)(void *arg, const struct host_change *change),
				   void *arg);
void host_mirror_close(void *ctx, struct host_mirror *m);
MUST_USE enum err host_neigh_use(void *ctx, uint32_t ifindex, const struct ip_addr *addr);

/* link.c */
MUST_USE enum err host_link_set(void *ctx, const char *ifname, uint32_t mtu, const uint8_t *mac);
MUST_USE enum err host_link_del(void *ctx, const char *ifname);
MUST_USE enum err host_link_mtu(void *ctx, uint32_t *out_mtu, const struct ip_addr *remote);
MUST_USE enum err host_link_look(void *ctx, struct host_link *out, const char *ifname,
				 const struct ip_addr *addr);

/* addr.c */
MUST_USE enum err host_addr_add(void *ctx, const char *ifname, const struct ip_prefix *addr);
MUST_USE enum err host_addr_del(void *ctx, const char *ifname, const struct ip_prefix *addr);
MUST_USE enum err host_local_in(void *ctx, struct ip_addr *out, const struct ts *ts);
MUST_USE enum err host_addrs(void *ctx, struct host_addr *out, size_t *out_num, size_t max);
/* host_addr_on - the device has this address. */
MUST_USE enum err host_addr_on(struct host_linux *h, bool *out, uint32_t ifindex,
			       const struct ip_addr *addr) NONNULL(1, 2, 4);
/* host_addr_always - give the device the address that it always has. */
MUST_USE enum err host_addr_always(struct host_linux *h, uint32_t ifindex) NONNULL(1);

/* route.c */
MUST_USE enum err host_route_add(void *ctx, const struct ip_prefix *dst, const char *ifname,
				 const struct ip_addr *src);
MUST_USE enum err host_route_del(void *ctx, const struct ip_prefix *dst, const char *ifname);
/* route_flush.c */
MUST_USE enum err host_route_flush(void *ctx, const char *ifname);

MUST_USE enum err host_source_for(void *ctx, struct ip_addr *out, const struct ip_addr *remote);
/* host_route_change - RTM_NEWROUTE or RTM_DELROUTE of dst in table; ifindex 0 = any (delete), src
 * may be NULL. */
MUST_USE enum err host_route_change(struct host_linux *h, uint16_t type, uint32_t table,
				    const struct ip_prefix *dst, uint32_t ifindex,
				    const struct ip_addr *src) NONNULL(1, 4);
/* struct host_route - what the host does with outer packets to an address. */
struct host_route {
	struct ip_addr src;
	uint32_t ifindex;
	uint32_t mtu; /* of the path, if the host knows one; else 0 */
};
/* host_route_get - look an address up with HOST_MARK_OUTER. Errors: NOT_FOUND. */
MUST_USE enum err host_route_get(struct host_linux *h, struct host_route *out,
				 const struct ip_addr *remote) NONNULL(1, 2, 3);

/* monitor.c */
MUST_USE enum err host_watch_open(void *ctx, int *out_fd);
MUST_USE enum err host_watch_read(void *ctx, int fd, bool *out_changed);
/* host_monitor_parse - messages of the kernel tell of a change that is not of the device with index
 * own, nor in our tables. */
bool host_monitor_parse(const void *buf, size_t len, uint32_t own) NONNULL(1);

/* rules.c */
MUST_USE enum err host_rules_set(void *ctx, const char *ifname);
MUST_USE enum err host_rules_del(void *ctx);

/* guard.c */
MUST_USE enum err host_guard_devices(void *ctx, const char *const *names, size_t num);
MUST_USE enum err host_guard_set(void *ctx, const char *ifname, const struct guard_entry *entries,
				 size_t num_entries);
MUST_USE enum err host_guard_del(void *ctx);

/* socket.c */
MUST_USE enum err host_udp_connect(void *ctx, int *out_fd, const struct endpoint *remote)
	NONNULL(1, 2, 3);
MUST_USE enum err host_udp_open(void *ctx, int *out_fds, enum ip_family family, uint16_t port,
				uint32_t num);
MUST_USE enum err host_udp_steer(void *ctx, int fd, uint32_t shift, uint32_t num);
MUST_USE enum err host_esp_open(void *ctx, int *out_fds, enum ip_family family, uint32_t num,
				uint32_t shift);

/* socket_inspect.c */
MUST_USE enum err host_socket_inspect(void *ctx, struct host_socket *out, int fd,
				      const struct flow *pair);
MUST_USE enum err host_socket_mark(void *ctx, int fd, uint32_t token);

/* sock_diag.c */
MUST_USE enum err host_sockets_open(void *ctx, int *out_fd);
MUST_USE enum err host_sockets_read(void *ctx, int fd, bool *out_lost,
				    void (*fn)(void *arg, uint64_t cookie), void *arg);
/* host_sockets_parse - call fn with the cookie of each closed socket that these messages of the
 * kernel tell of. */
void host_sockets_parse(const void *buf, size_t len, void (*fn)(void *arg, uint64_t cookie),
			void *arg) NONNULL(1, 3);

/* flow_guard.c */
MUST_USE enum err host_flow_guard(void *ctx, const char *ifname, const struct flow *flow, bool add);
MUST_USE enum err host_flow_guard_only(void *ctx, const char *ifname, const struct flow *flows,
				       size_t num);

/* token.c */
MUST_USE enum err host_token_set(void *ctx, const char *ifname);
MUST_USE enum err host_token_del(void *ctx, const char *ifname);

/* token_cgroup.c */
MUST_USE enum err host_cgroup_mark(void *ctx, struct host_cgroup *out, int fd, uint32_t token);
MUST_USE enum err host_cgroup_del(void *ctx, const struct host_cgroup *g);
bool host_cgroup_populated(void *ctx, int fd);

/* rp_filter.c */
MUST_USE enum err host_rp_filter_check(void *ctx, bool *out_ok, const char **out_text);
