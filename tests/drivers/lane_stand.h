/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_stand.h - a fast lane with two ports over drivers in memory, what is at the other ends of
 * these, of their shadows and of the host's drivers, and frames to be sent and found there. One
 * thread.
 */
#pragma once

#include "base/addr.h"
#include "dataplane/pktvec.h"
#include "drivers/lane.h"

struct memory_port;

/* Ports, their interfaces and one that is none, and routing tables. */
#define LAN     0
#define WAN     1
#define IF_LAN  7
#define IF_WAN  8
#define IF_ELSE 3
#define MAIN    254
#define LOCAL   255

/* STAND_PAYLOAD, STAND_V4_LEN - of stand_make_v4()'s frame: its payload, and all of it. */
#define STAND_PAYLOAD 40
#define STAND_V4_LEN  (14 + 20 + 8 + STAND_PAYLOAD)

/* stand_macs - of the ports. stand_client_mac, stand_router_mac - of who is behind LAN and WAN. */
extern const uint8_t stand_macs[2][6], stand_client_mac[6], stand_router_mac[6];

/* struct stand - the lane and what is around it; frame: what was made last, of `len` bytes. */
struct stand {
	struct lane *lane;
	struct memory_port *wire[2];
	int shadow[2];
	struct driver *tap, *udp, *esp;
	struct memory_port *tap_far, *udp_far, *esp_far;
	struct pool *pool;
	uint8_t frame[2048];
	size_t len;
};

/* stand_begin - a lane that knows nothing yet. stand_end - it all goes. stand_end_host - all but
 * the lane and the drivers that a data path had. */
void stand_begin(struct stand *s) NONNULL(1);
void stand_end(struct stand *s) NONNULL(1);
void stand_end_host(struct stand *s) NONNULL(1);

/* stand_addr - from text. */
struct ip_addr stand_addr(const char *text) NONNULL(1);

/* stand_tell_route, stand_tell_neigh, stand_tell_link - as the host tells it; gateway: NULL for
 * none; mac: NULL when the neighbour is gone. stand_settle - what was told holds. */
void stand_tell_route(struct stand *s, uint32_t table, const char *dst, uint32_t ifindex,
		      const char *gateway) NONNULL(1, 3);
void stand_tell_neigh(struct stand *s, const char *a, uint32_t ifindex, const uint8_t *mac,
		      bool stale) NONNULL(1, 2);
void stand_tell_link(struct stand *s, uint32_t ifindex, bool up, uint32_t mtu) NONNULL(1);
void stand_settle(struct stand *s) NONNULL(1);

/* stand_tell_all - addresses, routes and neighbours of an ordinary gateway, settled. */
void stand_tell_all(struct stand *s) NONNULL(1);

/* stand_ip4_sum - the checksum of the IPv4 header h anew, added up here once more. */
void stand_ip4_sum(uint8_t *h) NONNULL(1);

/* stand_make_v4 - a UDP datagram in a frame for the port. stand_make_v6 - a packet of protocol
 * `next` in a frame for WAN. */
void stand_make_v4(struct stand *s, uint32_t port, const char *src, const char *dst)
	NONNULL(1, 3, 4);
void stand_make_v6(struct stand *s, const char *src, const char *dst, uint8_t next)
	NONNULL(1, 2, 3);

/* stand_to_wire, stand_to_shadow - the frame comes by the port, or from the host by its shadow. */
void stand_to_wire(struct stand *s, uint32_t port) NONNULL(1);
void stand_to_shadow(struct stand *s, uint32_t port) NONNULL(1);

/* stand_at_wire, stand_at_shadow - what left there next is the frame as it was. stand_at_tap - the
 * same of the host's TAP and the frame's packet. */
bool stand_at_wire(struct stand *s, uint32_t port) NONNULL(1);
bool stand_at_shadow(struct stand *s, uint32_t port) NONNULL(1);
bool stand_at_tap(struct stand *s) NONNULL(1);

/* stand_receive - a turn's packets of one of the lane's ports to v; returns how many. stand_put_all
 * - they go back to their pool. */
uint32_t stand_receive(struct stand *s, struct driver *d, struct pktvec *v) NONNULL(1, 2, 3);
void stand_put_all(struct pktvec *v) NONNULL(1);

/* stand_decrypted - as the data path hands it over: the IP packet of the frame that was made.
 * stand_decrypted_as - with these flags. */
void stand_decrypted(struct stand *s) NONNULL(1);
void stand_decrypted_as(struct stand *s, uint16_t flags) NONNULL(1);

/* stand_forwarded - it left by the port to this MAC address, with a TTL that is one less and a
 * checksum that says so. */
bool stand_forwarded(struct stand *s, uint32_t port, const uint8_t *mac) NONNULL(1, 3);
