/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.h - a TAP's wire for tests of host operations: what the host sent by the device, and the
 * same turned round, as an answer that fits to the last checksum. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 65600

/* struct frame - Ethernet header and IP packet. */
struct frame {
	uint8_t b[FRAME_MAX];
	size_t len;
};

/* frame_read - the next UDP or TCP packet that comes out of the device soon;
 * others are passed over. */
bool frame_read(int tap, struct frame *f);

/* frame_none - nothing of the kind is there. */
bool frame_none(int tap);

/* frame_turn - source and destination change places, ports too; the frame's source address is
 * 02:00 and token. */
void frame_turn(struct frame *f, uint32_t token);

/* frame_write - hand it to the host. */
void frame_write(int tap, const struct frame *f);

/* frame_udp - a socket of this family with SO_RCVMARK, bound to the address and connected, if
 * remote is not NULL. */
int frame_udp(const char *local, uint16_t port, const char *remote, uint16_t remote_port);

/* frame_recv - the mark of the next datagram soon (without: false), if the kernel
 * tells it, and its length. */
bool frame_recv(int fd, uint32_t *out_mark, size_t *out_len);
