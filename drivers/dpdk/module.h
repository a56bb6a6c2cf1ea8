/* SPDX-License-Identifier: Apache-2.0 */
/*
 * module.h - the DPDK back end as its host sees it. It is a shared object of its own, loaded when
 * it is wanted: it exports latchkey_driver() and resolves none of its host's symbols, and what it
 * needs of its host comes as a table. Its ports are drivers that move whole Ethernet frames:
 * packet->data begins at the Ethernet header, both ways.
 *
 * Thread: control, all but rx and tx of the drivers.
 */
#pragma once

#include "dataplane/driver.h"

/* DPDK_MODULE_ABI - both sides compare it; any change of this file, of device.h, inline.h or the
 * packet headers raises it. */
#define DPDK_MODULE_ABI 6

/* DPDK_TEXT_MAX - room for one sentence. DPDK_QUEUES_MAX - queues of a port. DPDK_DEVICE_MAX - room
 * for a device and its arguments. */
#define DPDK_TEXT_MAX   512
#define DPDK_QUEUES_MAX 64
#define DPDK_DEVICE_MAX 160
/* DPDK_INLINE_PORTS_MAX - ports that encrypt and decrypt. */
#define DPDK_INLINE_PORTS_MAX 16

/* DPDK_OFFLOAD_* - what a port does in our place. Sent: UDP and TCP checksums (PACKET_F_SUM), TCP
 * that is cut (seg_len); received: checksums of IPv4 headers (PACKET_F_HEAD_OK); both ways: ESP
 * (crypto/inline.h). */
#define DPDK_OFFLOAD_TX_SUM 0x01
#define DPDK_OFFLOAD_RX_SUM 0x02
#define DPDK_OFFLOAD_TSO4   0x04
#define DPDK_OFFLOAD_TSO6   0x08
#define DPDK_OFFLOAD_TSO    (DPDK_OFFLOAD_TSO4 | DPDK_OFFLOAD_TSO6)
#define DPDK_OFFLOAD_INLINE 0x10
/* Wanted: also what a driver is known to report and not to do for all packets. For tests. */
#define DPDK_OFFLOAD_ANYHOW 0x80

/* DPDK_SUPER_MAX - the longest frame that is left to a port to cut. */
#define DPDK_SUPER_MAX 65535

/* struct driver_services - what the host lends; it outlives the module. */
struct driver_services {
	uint32_t abi;
	/* log - a line without its newline of what DPDK says; error: it went wrong. Any thread. */
	void (*log)(bool error, const char *line);
};

/* struct dpdk_params - for the process, which has one DPDK. */
struct dpdk_params {
	bool huge;                /* memory in huge pages; else ordinary pages */
	uint32_t memory_mb;       /* at most, with ordinary pages all of it at once */
	uint32_t num_packets;     /* buffers, shared by all ports */
	uint32_t packet_room;     /* longest frame */
	const char *const *allow; /* PCI addresses; no other device on that bus is touched */
	uint32_t num_allow;
};

/* struct dpdk_port_info - a port now. */
struct dpdk_port_info {
	uint8_t mac[6];
	bool up;
	uint32_t mtu;
	uint32_t speed_mbps;           /* 0 = not known */
	uint32_t offloads;             /* DPDK_OFFLOAD_* in use */
	const char *driver;            /* "net_af_packet"; valid as long as the port */
	uint64_t rx_packets, rx_bytes; /* as the device counts */
	uint64_t tx_packets, tx_bytes;
	uint64_t rx_missed, rx_error, rx_no_buffer, tx_error;
	uint32_t num_queues;
	const char *spread;  /* who spreads flows over the queues: "rss", "host", "none" */
	const char *steered; /* kinds of ESP that rules steer: "esp4 esp6 udp4 udp6", or some; "" */
};

/* struct dpdk_steering - ESP goes to a queue by its SPI: whose worker is (SPI & spi_mask) >>
 * spi_shift, of num_workers, to that worker's; a worker without one has it of the others in turn.
 * port_nat_t: where ESP comes in UDP. */
struct dpdk_steering {
	uint32_t spi_mask, spi_shift, num_workers;
	uint16_t port_nat_t;
};

struct aead_device;
struct inline_ports;

/* struct dpdk_crypto_params - a lookaside device: a PCI address, or a virtual device with its
 * arguments. */
struct dpdk_crypto_params {
	const char *device;
	uint32_t num_queues;   /* the workers', and the control thread's */
	uint32_t num_sessions; /* keys that it holds at most */
	bool copy;             /* it gets copies of packets even where it reaches them: for tests */
};

/* struct dpdk_module - its functions. Those with text write a sentence there when they fail. */
struct dpdk_module {
	uint32_t abi;

	/* start - EAL, on a thread of its own. Errors: SYS, NOMEM, INVAL; EXISTS (it runs). */
	enum err (*start)(const struct dpdk_params *params, char text[static DPDK_TEXT_MAX]);

	/* stop - all ports are closed. DPDK cannot be started again in this process. */
	void (*stop)(void);

	/* queues - each way that the device, which is made or found, has at most, up to
	 * DPDK_QUEUES_MAX. Errors: SYS, INVAL. */
	enum err (*queues)(uint32_t *out, const char *device, char text[static DPDK_TEXT_MAX]);

	/* open - the device (a PCI address, or a virtual device with its arguments, as in
	 * net_af_packet0,iface=wire) with num_queues queues, one driver each, started. The port is
	 * closed with the last of them. mtu 0 = as it is; of the offloads, DPDK_OFFLOAD_*, those
	 * are used that it has. Errors: SYS, NOMEM, INVAL, UNSUPPORTED. */
	enum err (*open)(struct driver *out[], const char *device, uint32_t num_queues,
			 uint32_t mtu, uint32_t offloads, char text[static DPDK_TEXT_MAX]);

	/* steer - the port of d. text: what it does not do, and why, if the device refuses rules of
	 * any kind. Errors: UNSUPPORTED. */
	enum err (*steer)(struct driver *d, const struct dpdk_steering *s,
			  char text[static DPDK_TEXT_MAX]);

	/* info - of the port that a queue belongs to. is_up - its link alone, without waiting: as
	 * the device says, and of one that stands on an interface of the host (net_af_packet,
	 * net_tap) as the host says. set_mtu - Errors: SYS (as it was). */
	void (*info)(const struct driver *d, struct dpdk_port_info *out);
	bool (*is_up)(const struct driver *d);
	enum err (*set_mtu)(struct driver *d, uint32_t mtu);

	/* crypto_open - see dataplane/crypto/device.h. Errors: SYS, NOMEM, INVAL, UNSUPPORTED (so
	 * many queues it does not have). */
	enum err (*crypto_open)(struct aead_device **out, const struct dpdk_crypto_params *params,
				char text[static DPDK_TEXT_MAX]);

	/* inline_open - see dataplane/crypto/inline.h: those with DPDK_OFFLOAD_INLINE of num ports,
	 * frames being a queue of each; room for num_sessions keys at each. Errors: UNSUPPORTED
	 * (none has it), INVAL, NOMEM. */
	enum err (*inline_open)(struct inline_ports **out, struct driver *const *frames,
				uint32_t num, uint32_t num_sessions,
				char text[static DPDK_TEXT_MAX]);
};

/* latchkey_driver - the module's functions; NULL: made for another host. */
#define DPDK_MODULE_SYMBOL "latchkey_driver"
typedef const struct dpdk_module *dpdk_module_fn(const struct driver_services *services);
