/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - the privileged operations on the host as one vtable: implemented over libmnl and
 * libnftables (api/host), by a helper process later, and by a fake in tests. Control thread. Every
 * operation is idempotent: making what exists or removing what is gone succeeds.
 */
#pragma once

#include "base/addr.h"

/* Marks (bits of the kernel's fwmark), see ARCHITECTURE.md. */
#define HOST_MARK_OUTER   0x80000000u /* our own outer traffic: IKE and ESP sockets carry it */
#define HOST_MARK_CAPTURE 0x40000000u /* captured for the data path by the route hook */
#define HOST_MARK_PASS    0x20000000u /* passes in the clear: HOST_ROUTE_TABLE is not for it */

/* HOST_MARK_TOKEN - the bits of a protection class (a packet's token). */
#define HOST_MARK_TOKEN 0x0fffffffu

/* HOST_MARK_DEMAND - of a packet to be sent: these bits are the class that it demands. Without it
 * they are somebody else's, as those of other programs' marks are. */
#define HOST_MARK_DEMAND 0x10000000u

/* HOST_DEMAND_MAC - the first bytes of a frame's Ethernet source address that is followed by the
 * class which the host's packet demands: a group address, which no device has. */
#define HOST_DEMAND_MAC 0x03, 0x4c

/* HOST_ROUTE_TABLE - routes into the virtual interface live in this table, behind one rule. */
#define HOST_ROUTE_TABLE 4301

/* struct guard_entry - traffic that may only pass by the virtual interface or, a hole in what
 * stands behind it in the list, by any other. The first entry that matches decides. */
struct guard_entry {
	struct ts local;
	struct ts remote;
	uint8_t capture; /* also capture by mark: routes cannot express it (ports, host to host) */
	uint8_t pass;    /* a hole */
};

/* HOST_OFFLOAD_* - what the virtual interface leaves to us: completing checksums, which all others
 * need, and cutting what is longer than the MTU, TCP (also with ECN's CWR) and UDP; the same is
 * taken from us. Each packet has a header then (IFF_VNET_HDR, little endian). */
#define HOST_OFFLOAD_SUM  0x01
#define HOST_OFFLOAD_TCP4 0x02
#define HOST_OFFLOAD_TCP6 0x04
#define HOST_OFFLOAD_ECN  0x08
#define HOST_OFFLOAD_UDP  0x60

/* struct host_tap - an opened virtual interface. tun: only a packet-info TUN could be had.
 * offloads: what is in force; 0: packets have no header. */
struct host_tap {
	int fd;
	bool tun;
	uint32_t offloads;
};

/* struct host_addr - an address of this host. running: its interface is up, and its link carries as
 * far as the host can tell. */
struct host_addr {
	struct ip_addr addr;
	char ifname[16];
	bool running;
};

/* struct host_socket - a socket that somebody passed, as the kernel tells of it. */
struct host_socket {
	struct flow flow; /* its ends; without remote address while it is not connected, and without
			   * a local one where it takes any of both families */
	uint64_t
		cookie; /* SO_COOKIE: of this socket and of no other, ever; of MPTCP's the pair's */
	bool here;      /* it is of the virtual interface's network namespace, and its local
			 * address is unset or the host's own */
	bool connected;
	bool listening;
	bool live; /* TCP: its connection is up, for one direction at least; no other socket has
		    * these ends */
};

/* struct host_cgroup - a control group: its number, which no other one has or will have, and how
 * far below the root it is. */
struct host_cgroup {
	uint64_t id;
	uint32_t level;
};

/* struct host_link - a device as it is now: its index, whether anything was ever received by it,
 * and whether the address that was asked about is one of its own. */
struct host_link {
	uint32_t ifindex;
	bool used;
	bool has;
};

/* HOST_SHADOW_QUEUES_MAX - that a shadow is opened with. */
#define HOST_SHADOW_QUEUES_MAX 64

/* enum host_change_kind - what the host's mirror tells. BEGIN: all there is follows, up to END;
 * what was not named in between is gone. */
enum host_change_kind {
	HOST_CHANGE_BEGIN,
	HOST_CHANGE_END,
	HOST_CHANGE_LINK,
	HOST_CHANGE_ROUTE,
	HOST_CHANGE_NEIGH,
};

/* enum host_route_kind - what the host does by a route. */
enum host_route_kind {
	HOST_ROUTE_FORWARD, /* sends by ifindex, to gateway if it is set */
	HOST_ROUTE_LOCAL,   /* it is the host itself */
	HOST_ROUTE_OTHER,   /* refuses, drops, sends to all */
};

/* struct host_change - one link, route or neighbour as it is now, or gone. */
struct host_change {
	enum host_change_kind kind;
	bool gone; /* a neighbour that cannot be reached is gone too */
	uint32_t ifindex;
	/* link */
	bool up;
	uint32_t mtu;
	/* route */
	enum host_route_kind route;
	struct ip_prefix dst;
	struct ip_addr gateway;
	uint32_t table, metric;
	/* neighbour */
	struct ip_addr addr;
	uint8_t mac[6];
	bool stale; /* not heard of for a while: the host asks if it sends there (neigh_use) */
};

struct host_mirror;

/* struct host_ops - see the wrappers' comments in api/host/host.h for the Linux implementation.
 * All return SYS (errno tells), PERM without the privilege, INVAL for bad names. */
struct host_ops {
	/* tap_open - open or make the persistent layer-2 device `name`, non-blocking, with those of
	 * these offloads that the kernel has, and up to num queues, a descriptor for each: the host
	 * keeps a flow to the queue that it was last written to. *out_num: queues that could be
	 * had, at least one. The caller owns the descriptors. Errors: as all, BUSY. */
	enum err (*tap_open)(void *ctx, struct host_tap *out, uint32_t *out_num, const char *name,
			     uint32_t offloads, uint32_t num);
	/* link_gso - super-packets of the device have so many bytes and segments at most. */
	enum err (*link_gso)(void *ctx, const char *ifname, uint32_t max_len, uint32_t max_num);
	/* link_set - MTU, ARP off, link up; mac may be NULL (unchanged). */
	enum err (*link_set)(void *ctx, const char *ifname, uint32_t mtu, const uint8_t *mac);
	/* link_del - remove a persistent device. */
	enum err (*link_del)(void *ctx, const char *ifname);
	/* link_mtu - of the interface that leads to `remote`. */
	enum err (*link_mtu)(void *ctx, uint32_t *out_mtu, const struct ip_addr *remote);
	/* link_look - addr may be unset. Errors: as all, NOT_FOUND. */
	enum err (*link_look)(void *ctx, struct host_link *out, const char *ifname,
			      const struct ip_addr *addr);
	/* addr_add, addr_del - an address on an interface (no duplicate detection for IPv6). */
	enum err (*addr_add)(void *ctx, const char *ifname, const struct ip_prefix *addr);
	enum err (*addr_del)(void *ctx, const char *ifname, const struct ip_prefix *addr);
	/* route_add, route_del - dst by ifname in HOST_ROUTE_TABLE; src may be unset. */
	enum err (*route_add)(void *ctx, const struct ip_prefix *dst, const char *ifname,
			      const struct ip_addr *src);
	enum err (*route_del)(void *ctx, const struct ip_prefix *dst, const char *ifname);
	/* route_flush - remove every route by ifname from HOST_ROUTE_TABLE: what a process that was
	 * killed left there. */
	enum err (*route_flush)(void *ctx, const char *ifname);
	/* rules_set - the policy rules: our own outer traffic and what passes in the clear skip
	 * HOST_ROUTE_TABLE, everything else looks there; captured traffic goes to the interface.
	 * rules_del removes them. */
	enum err (*rules_set)(void *ctx, const char *ifname);
	enum err (*rules_del)(void *ctx);
	/* guard_devices - devices beside guard_set()'s by which protected traffic passes: virtual
	 * interfaces of single connections. What comes in by another one, though the host would
	 * send to its source by one of these, is dropped. In force with the next guard_set(). */
	enum err (*guard_devices)(void *ctx, const char *const *names, size_t num);
	/* guard_set - replace the guard by these entries in one transaction. guard_del removes it.
	 */
	enum err (*guard_set)(void *ctx, const char *ifname, const struct guard_entry *entries,
			      size_t num_entries);
	enum err (*guard_del)(void *ctx);
	/* source_for - the local address the host would use towards remote (with HOST_MARK_OUTER).
	 */
	enum err (*source_for)(void *ctx, struct ip_addr *out, const struct ip_addr *remote);
	/* local_in - a local address inside ts (for `src` of routes). NOT_FOUND. */
	enum err (*local_in)(void *ctx, struct ip_addr *out, const struct ts *ts);
	/* addrs - up to max addresses that others may reach the host at: of any interface but our
	 * own device that is up, of more than link scope, ready for use. */
	enum err (*addrs)(void *ctx, struct host_addr *out, size_t *out_num, size_t max);
	/* watch_open - a non-blocking descriptor that is readable when addresses, links or routes
	 * change; the caller owns it. UNSUPPORTED: they are not watched. watch_read - read it
	 * empty; *out_changed: something changed that was not ours. */
	enum err (*watch_open)(void *ctx, int *out_fd);
	enum err (*watch_read)(void *ctx, int fd, bool *out_changed);
	/* shadow_open - open or make the persistent layer-2 device `name` with this address and
	 * MTU, up, non-blocking: an ordinary interface of the host, whose wire is the caller's.
	 * *num queues are wanted and can be had, as by tap_open. *offloads (HOST_OFFLOAD_*): those
	 * that it shall leave to the wire; those that it does. With any its packets have a header,
	 * as those of tap_open(). Errors: as all, BUSY. */
	enum err (*shadow_open)(void *ctx, int *out_fds, uint32_t *num, uint32_t *out_ifindex,
				const char *name, const uint8_t *mac, uint32_t mtu,
				uint32_t *offloads);
	/* mirror_open - links, routes and neighbours, all there are and each that changes;
	 * readable when mirror_read() has something. mirror_read - call fn for each. Errors: as
	 * all, NOMEM. */
	enum err (*mirror_open)(void *ctx, struct host_mirror **out, int *out_fd);
	enum err (*mirror_read)(void *ctx, struct host_mirror *m,
				void (*fn)(void *arg, const struct host_change *change), void *arg);
	void (*mirror_close)(void *ctx, struct host_mirror *m);
	/* neigh_use - something was sent without the host to a neighbour that is stale: it asks
	 * whether that is there still. For no other: one that an administrator or a routing daemon
	 * set would lose that. Errors: as all; NOT_FOUND: it knows of no such neighbour. */
	enum err (*neigh_use)(void *ctx, uint32_t ifindex, const struct ip_addr *addr);
	/* udp_open - num non-blocking sockets of this family bound to port on all addresses, with
	 * packet information, HOST_MARK_OUTER, don't-fragment off, big buffers; esp_in_udp is not
	 * set. Several share what arrives, each flow goes to one of them. Errors: as all, BUSY. */
	enum err (*udp_open)(void *ctx, int *out_fds, enum ip_family family, uint16_t port,
			     uint32_t num);
	/* udp_connect - a non-blocking socket that sends to remote and hears nobody else, from a
	 * port of the host's choice, with HOST_MARK_OUTER. Errors: as all. */
	enum err (*udp_connect)(void *ctx, int *out_fd, const struct endpoint *remote);
	/* udp_steer - of the num sockets of one udp_open(), one of which is fd, a datagram goes to
	 * the number, in the order they were given in, in the lowest bits of (the 32 bits that it
	 * begins with >> shift): as many bits as it takes. One that names none goes to any, a
	 * shorter one to the first. Errors: as all. */
	enum err (*udp_steer)(void *ctx, int fd, uint32_t shift, uint32_t num);
	/* esp_open - num non-blocking raw sockets of this family for bare ESP (IP protocol 50) to
	 * any address of the host, otherwise as udp_open. A packet comes to one of them: to the
	 * number in the lowest bits of (SPI >> shift), as many bits as it takes, less num if there
	 * are not as many; one that is too short to say so to the first. */
	enum err (*esp_open)(void *ctx, int *out_fds, enum ip_family family, uint32_t num,
			     uint32_t shift);
	/* socket_inspect - of a descriptor that was passed: an IP socket, of TCP, UDP or another
	 * protocol. Nothing is taken from whoever passed it. One of MPTCP is a TCP socket for each
	 * pair of addresses: that is meant which has pair's ends, without pair the first. Errors:
	 * INVAL (it is none), NOT_FOUND (it has no such pair), SYS. */
	enum err (*socket_inspect)(void *ctx, struct host_socket *out, int fd,
				   const struct flow *pair);
	/* socket_mark - what it sends demands this protection class (a packet's token); 0: none.
	 * Errors: as socket_inspect, PERM. */
	enum err (*socket_mark)(void *ctx, int fd, uint32_t token);
	/* sockets_open - a non-blocking descriptor that is readable when a TCP or UDP socket of the
	 * device's network namespace was closed; the caller owns it. UNSUPPORTED: that is not told.
	 * sockets_read - call fn with the cookie of each; *out_lost: some were not told of. */
	enum err (*sockets_open)(void *ctx, int *out_fd);
	enum err (*sockets_read)(void *ctx, int fd, bool *out_lost,
				 void (*fn)(void *arg, uint64_t cookie), void *arg);
	/* socket_alive - the socket with this cookie, which had this flow (a listener's: its local
	 * end), is there still. For what may have been closed when nobody looked. */
	enum err (*socket_alive)(void *ctx, bool *out, const struct flow *flow, uint64_t cookie);
	/* flow_guard - this flow comes and goes by the device alone, whatever guard_set() holds,
	 * and is captured for it; without a remote end it is all to and from this
	 * port, of any local address if that is unset, but what stays within the host. add: it
	 * is so from the return on, else it was. Any number of them. flow_guard_only - of those
	 * that are, no others stay so. Errors: as all; INVAL (an end is unset, or the protocol has
	 * no ports), UNSUPPORTED (no nftables), NOMEM. */
	enum err (*flow_guard)(void *ctx, const char *ifname, const struct flow *flow, bool add);
	enum err (*flow_guard_only)(void *ctx, const char *ifname, const struct flow *flows,
				    size_t num);
	/* token_set - the protection class of what came by the device is its mark's low bits
	 * (HOST_MARK_TOKEN) where a socket of the host gets it, and those are 0 for what came
	 * otherwise. On the way into the device the class that a packet demands goes into its
	 * Ethernet source address (HOST_DEMAND_MAC): what its mark says with HOST_MARK_DEMAND or,
	 * if it has one, what the mark of its socket says. What a socket demands goes by such a
	 * device, or within the host, and not by others. token_del removes that. Errors: as all;
	 * UNSUPPORTED (no nftables). */
	enum err (*token_set)(void *ctx, const char *ifname);
	enum err (*token_del)(void *ctx, const char *ifname);
	/* cgroup_mark - what sockets of processes in the control group (v2) whose directory this
	 * descriptor is send demands this class, as by socket_mark; what a socket itself demands
	 * goes before it. Nor do they hear another class, but the host itself and ICMP. Of what
	 * goes to several sockets (multicast) one decides for all. *out is for cgroup_del, which
	 * may come when the group is gone. Whose group it is is for the caller to know. Errors: as
	 * all; INVAL (it is none, or the root of all), NOT_FOUND (it is not below our root),
	 * UNSUPPORTED (no groups, or no token_set). */
	enum err (*cgroup_mark)(void *ctx, struct host_cgroup *out, int fd, uint32_t token);
	enum err (*cgroup_del)(void *ctx, const struct host_cgroup *g);
	/* cgroup_populated - there are processes in this group, or one below it; so it is if that
	 * cannot be found out. */
	bool (*cgroup_populated)(void *ctx, int fd);
	/* rp_filter_check - the underlay accepts decrypted traffic's asymmetric routes: *out_ok
	 * false with a sentence in text (a static string) if not. */
	enum err (*rp_filter_check)(void *ctx, bool *out_ok, const char **out_text);
	void (*close)(void *ctx);
};

/* struct host - an implementation and its state. */
struct host {
	const struct host_ops *ops;
	void *ctx;
};
