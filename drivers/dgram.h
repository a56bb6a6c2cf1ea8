/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dgram.h - bursts of datagrams over one socket, with the addresses and the TOS byte of each: what
 * the outer drivers share (udp.c, raw.c). Worker's thread, except dgram_set_options().
 */
#pragma once

#include <sys/socket.h>

#include "dataplane/driver.h"
#include "dataplane/pool.h"

/* DGRAM_CONTROL_LEN - room for the control messages of one datagram: addresses (in6_pktinfo is the
 * larger), TOS byte, count of lost ones, length of the datagrams that are together. */
#define DGRAM_CONTROL_LEN \
	(CMSG_SPACE(20) + 2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t)))

/* struct dgram_slot - the buffers of one message beside its payload. iov: receiving, the packet,
 * and room for what is longer. */
struct dgram_slot {
	struct sockaddr_storage addr;
	struct iovec iov[2];
	alignas(struct cmsghdr) uint8_t control[DGRAM_CONTROL_LEN];
};

/* DGRAM_NUM_SUPER - messages of one system call while they hold many datagrams each: of more than
 * two the first is far from the processor again before it is looked at. */
#define DGRAM_NUM_SUPER 2

/* struct dgram_parts - a message that is expected to hold num datagrams of len bytes: a packet for
 * each, and room for what is beyond. num 0: nothing is. */
struct dgram_parts {
	struct packet *pkts[PKTVEC_MAX];
	struct iovec iov[PKTVEC_MAX + 1];
	uint32_t num, len;
};

/* struct dgram_burst - of one system call; receiving and sending take turns with it. spare: the
 * ends of datagrams that are longer than a packet's buffer, each moved at once with what is before
 * it to a packet of pool->longer. It takes no memory as long as nothing is written there. longer:
 * or the packet where such an end is already. parts: of the first messages. num: packets in each
 * message that is sent; tx_iov: theirs, and one more for each message (UDP_SEGMENT's cure). */
struct dgram_burst {
	struct mmsghdr msgs[PKTVEC_MAX];
	struct dgram_slot slots[PKTVEC_MAX];
	struct packet *longer[PKTVEC_MAX];
	struct dgram_parts parts[DGRAM_NUM_SUPER];
	struct iovec tx_iov[2 * PKTVEC_MAX];
	uint8_t num[PKTVEC_MAX];
	uint8_t spare[PKTVEC_MAX][POOL_LONGEST];
};

/* enum dgram_df - whether an IPv4 socket sends with "do not fragment". */
enum dgram_df {
	DGRAM_DF_UNKNOWN,
	DGRAM_DF_CLEAR,
	DGRAM_DF_SET,
};

/* struct dgram_socket - what is told apart by socket. front: bytes in front of each packet's data
 * that what arrives begins with. */
struct dgram_socket {
	int fd;
	bool raw;   /* of IP itself: no ports */
	uint8_t df; /* enum dgram_df: what the socket was told last */
	uint32_t front;
	uint32_t lost;     /* the kernel's count of datagrams it had no room for, as last seen */
	uint8_t expected;  /* messages that the next system call asks for; 0: not known */
	uint8_t coalesced; /* bursts that may bring none until no super-datagrams are expected */
	uint8_t num_segs;  /* datagrams that one is expected to hold, and the length of each; 0: not
			    */
	uint16_t seg_len;  /* known */
	/* Sending several datagrams as one message: it may be done; dgram_gso_is_ill();
	 * datagrams that go one by one until it is tried again, and how many that were last. */
	bool gso, gso_cure;
	uint32_t gso_wait, gso_step;
	/* finish - p holds a datagram, addresses filled in but for what the socket knows. False: it
	 * is not one to go on with. */
	bool (*finish)(const struct dgram_socket *s, struct packet *p);
};

/* dgram_set_options - have addresses, TOS byte and losses told with each datagram, and what routers
 * say of those we sent. Errors: SYS. */
MUST_USE enum err dgram_set_options(int fd, enum ip_family family);

/* dgram_set_gro - what comes from one sender in one length may come as one message, with the length
 * of each datagram (packet->seg_len). False: this kernel has no such thing. dgram_set_gso - the
 * same for sending. */
bool dgram_set_gro(struct dgram_socket *s) NONNULL(1);
bool dgram_set_gso(struct dgram_socket *s) NONNULL(1);

/* dgram_gso_is_ill - Linux of this release (as uname(2) has it) corrupts the last datagram of a
 * message whose datagrams are all of one length: 7.0 to 7.1.4. */
bool dgram_gso_is_ill(const char *release) NONNULL(1);

/* dgram_rx - one burst from the socket into `out`. A datagram longer than a packet of the pool is
 * one of pool->longer; if none is free there it is rx_no_buffer, as are those the socket lost. One
 * that was cut (there is no pool->longer), that has no usable address, or that finish() refuses is
 * rx_error. */
void dgram_rx(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
	      struct pool *pool, struct pktvec *out) NONNULL(1, 2, 3, 4, 5);

/* dgram_parts_expect - a super-datagram came: num of seg_len bytes each. */
void dgram_parts_expect(struct dgram_socket *s, uint16_t seg_len, uint32_t num) NONNULL(1);

/* dgram_parts_prepare - places for a message as the socket expects it: first's, those of more
 * packets of its pool, and behind them the end of `longer`, a packet for the longest message.
 * Returns how many are in parts->iov; 0: nothing is expected, or does not fit. */
uint32_t dgram_parts_prepare(struct dgram_parts *parts, const struct dgram_socket *s,
			     struct packet *first, struct packet *longer) NONNULL(1, 2, 3, 4);

/* dgram_parts_settle - the message that came: the first of parts has its whole length, and what
 * else is known of it. As a chain of packets (packet->next_part) with the first one's seg_len, if
 * there are several and they are as expected; else as one packet, which may be *longer (NULL then).
 */
struct packet *dgram_parts_settle(struct dgram_parts *parts, struct packet **longer) NONNULL(1, 2);

/* dgram_parts_put - what is left, if anything: all packets but the first go back. */
void dgram_parts_put(struct dgram_parts *parts) NONNULL(1);

/* dgram_ready - which sockets of a driver's own epoll have something; their numbers are the events'
 * data.u32. For who has not been told by a worker. */
struct driver_ready dgram_ready(int epoll);

/* dgram_take - if socket number i is ready: its errors if it has some, and a burst. */
void dgram_take(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
		const struct driver_ready *ready, uint32_t i, struct pool *pool, struct pktvec *out)
	NONNULL(1, 2, 3, 4, 6, 7);

/* dgram_errors - what the socket was told of datagrams it sent: that one was too big is a packet in
 * `out` (PACKET_F_TOLD), trusted if this host says so; the rest is of no use. When its descriptor
 * has an error pending, which also keeps a socket from sending once. */
void dgram_errors(struct dgram_socket *s, struct pool *pool, struct pktvec *out) NONNULL(1, 2, 3);

/* dgram_tx - num packets, at most PKTVEC_MAX, to their packet->to by this socket, with local
 * address and interface where they are set, and DF as PACKET_F_DF says. They stay the caller's.
 * What the host cannot take now is tx_full, what it refuses tx_error; what it refuses to send as
 * one message is sent one by one (offload_refused counts the messages). */
void dgram_tx(struct dgram_burst *b, struct driver_stats *stats, struct dgram_socket *s,
	      struct packet **pkts, uint32_t num) NONNULL(1, 2, 3, 4);
