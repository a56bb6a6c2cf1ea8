/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.h - packet I/O as one small vtable. A driver knows nothing of ESP: an inner driver moves
 * IP packets between the host (or an embedder) and the data path, an outer driver moves datagrams
 * with their addresses. All calls but close come from the worker that owns the port.
 */
#pragma once

#include "dataplane/pktvec.h"

/* enum port_role - which side of the protection boundary a port is on. */
enum port_role {
	PORT_INNER, /* clear side */
	PORT_OUTER, /* protected side */
};

/* struct driver_stats - written by the worker, read relaxed by control. */
struct driver_stats {
	uint64_t rx_packets, rx_bytes;
	uint64_t tx_packets, tx_bytes;
	uint64_t rx_no_buffer; /* left in the device because no packet was free, or lost there */
	uint64_t rx_error;
	uint64_t tx_full, tx_error;
	uint64_t offload_refused; /* what the host did not take as one, and got one by one */
};

/* JOIN_* - what may be chained (packet->next_part). */
#define JOIN_TCP4 0x01
#define JOIN_TCP6 0x02
#define JOIN_UDP4 0x04
#define JOIN_UDP6 0x08

/* DRIVER_SOURCES_MAX - descriptors that a driver may name. */
#define DRIVER_SOURCES_MAX 8

/* struct driver_ready - of a driver's sources, as bits: something came or is wrong; of these, where
 * something is wrong. */
struct driver_ready {
	uint8_t any, failed;
};

struct driver;

/* struct driver_ops - what a driver implements. */
struct driver_ops {
	const char *name;
	/* rx - append up to pktvec_room(out) packets, taken from pool; returns how many. Never
	 * blocks. Outer drivers fill packet->from; RFC 3948 framing is the data path's. */
	uint32_t (*rx)(struct driver *d, struct pool *pool, struct pktvec *out);
	/* tx - send all packets of v in order and free each; v is empty afterwards. What cannot be
	 * sent now is counted (tx_full, tx_error) and freed; never blocks. Outer drivers send to
	 * packet->to. */
	void (*tx)(struct driver *d, struct pktvec *v);
	/* fd - readable as long as rx has something, and rx is not called otherwise; -1 for a
	 * poll-mode driver, which is always asked, and whose worker does not sleep until something
	 * comes. */
	int (*fd)(const struct driver *d);
	/* source - of a driver whose fd stands for several: number i of them, -1 behind the last. A
	 * worker that sleeps watches these in place of fd. NULL: fd is all there is. */
	int (*source)(const struct driver *d, uint32_t i);
	/* rx_from - as rx, from the sources that are ready; with source only. */
	uint32_t (*rx_from)(struct driver *d, const struct driver_ready *ready, struct pool *pool,
			    struct pktvec *out);
	/* takes - of what moves frames: p, which is open (PACKET_F_OPEN), is encrypted by the
	 * device as it leaves, if it is sent now. NULL: none is. */
	bool (*takes)(const struct driver *d, const struct packet *p);
	/* close - after the worker stopped; frees the driver. */
	void (*close)(struct driver *d);
};

/* struct driver - embedded in an implementation. */
struct driver {
	const struct driver_ops *ops;
	enum port_role role;
	uint32_t mtu;  /* inner: of the device; outer: 0, the path knows */
	uint8_t joins; /* inner: JOIN_*: packets that it takes chained; it may take away some */
	/* Poll mode: how long its worker may sleep at most when nothing comes; 0 = not at all. */
	uint32_t idle_us;
	/* Inner: of a router. What no policy protects comes back by tx, with PACKET_F_PASS.
	 * Decrypted packets that another policy protects or discards, when they are forwarded, have
	 * PACKET_F_HOST: they are the host's to send, which asks us again. */
	bool routed;
	/* Outer: tx may be given open packets (PACKET_F_OPEN). What no device takes is encrypted by
	 * seal before all else; false: it was not, and is given up. Others have it done before. */
	bool opens;
	bool (*seal)(void *sealer, struct packet *p); /* the data path's; NULL: there are none */
	void *sealer;
	struct driver_stats stats;
};
