/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_host.h - a host (base/host.h) that touches nothing: it keeps what it was told as lines of
 * text, so that a test can ask what would stand on a real host, and fails on demand. As the real
 * one, every operation is idempotent. One thread.
 *
 * What stands is written like this:
 *	link NAME mtu N            tap NAME
 *	addr NAME ADDR/LEN         route PREFIX dev NAME[ src ADDR]
 *	rules NAME                 guard NAME LOCAL REMOTE[ capture][ pass]
 *	gso NAME N bytes N segments
 *	device NAME (of the guard, beside its own)
 *	token NAME                 flow NAME LOCAL[PORT] REMOTE[PORT] PROTO
 *	cgroup DESCRIPTOR CLASS
 */
#pragma once

#include "base/host.h"

#define FAKE_HOST_LINE_MAX 384
#define FAKE_HOST_LINES    256
#define FAKE_HOST_FDS      32

struct fake_host {
	struct host host; /* what is handed to the code under test */

	/* What it answers; set by fake_host_init() to something sensible, free to be changed. */
	struct ip_addr source4, source6; /* source_for(), addrs(); unset = NOT_FOUND */
	struct ip_addr more[4];          /* addrs(), after these, of "more0" to "more3"; unset ones
					  * are left out */
	bool link_down[4];               /* of those interfaces */
	struct ip_addr local;            /* local_in(), if it lies in the selector */
	uint32_t link_mtu;
	bool link_used;   /* link_look(): by what was there before */
	uint32_t ifindex; /* and the index of every device that it finds */
	bool rp_filter_ok;
	bool tun_only;             /* tap_open() gives a packet-info TUN */
	uint32_t queues;           /* and so many queues at most; as many as are wanted */
	uint32_t offloads;         /* that tap_open() can give; none */
	uint32_t given;            /* what it gave last */
	struct host_socket socket; /* what every descriptor is; without protocol: none is one */
	uint64_t dead_cookie;      /* of the one socket that socket_alive() does not find */
	bool no_guard;             /* flow_guard() fails */
	bool populated;            /* control groups have processes */
	bool raw_esp;              /* esp_open() gives a true raw socket, else PERM */

	/* What it was told. */
	char lines[FAKE_HOST_LINES][FAKE_HOST_LINE_MAX];
	size_t num_lines;
	size_t num_calls, num_sources, num_addrs; /* of anything; of source_for(), addrs() */
	bool closed;
	uint32_t socket_token;                        /* by socket_mark(), last */
	uint32_t steer_shift, steer_num, num_steered; /* by udp_steer(): last, and how often */

	/* Test's ends of what tap_open() gave, newest last, one for each queue (datagram sockets:
	 * one frame each). */
	int tap_peers[FAKE_HOST_FDS];
	size_t num_taps;

	int watch_peer;   /* test's end of what watch_open() gave */
	int sockets_peer; /* and sockets_open() */

	const char *fail_op;
	enum err fail_err;
	size_t fail_skip;
};

/* fake_host_init - an empty host: sources 192.0.2.1 and 2001:db8::1, MTU 1500. Not to be moved. */
void fake_host_init(struct fake_host *f) NONNULL(1);

/* fake_host_changed - the host's watcher reports a change, or, not by_others, what is none. */
void fake_host_changed(struct fake_host *f, bool by_others) NONNULL(1);

/* fake_host_closed - the host tells of a closed socket; 0: that it told not of all. */
void fake_host_closed(struct fake_host *f, uint64_t cookie) NONNULL(1);

/* fake_host_fini - closes the test's ends. */
void fake_host_fini(struct fake_host *f) NONNULL(1);

/* fake_host_fail - after `skip` calls more, operation `op` (its name in struct host_ops; "*" is
 * any) fails once with e; errno is EIO. NULL switches it off. */
void fake_host_fail(struct fake_host *f, const char *op, enum err e, size_t skip) NONNULL(1);

/* fake_host_has - exactly this line stands. fake_host_count - how many lines begin so. */
bool fake_host_has(const struct fake_host *f, const char *line) NONNULL(1, 2);
size_t fake_host_count(const struct fake_host *f, const char *beginning) NONNULL(1, 2);
