/* SPDX-License-Identifier: Apache-2.0 */
/*
 * testbed.h - two data paths, A (10.1/16, fd01::/32) and B (10.2/16, fd02::/32), whose outer ports
 * are joined in memory; the test is the host on both inner sides and the control thread of both.
 * A single-ended bed has the wire in the test's hands as well. Every turn checks the books.
 */
#pragma once

#include "dataplane/dataplane.h"
#include "dataplane/state.h"
#include "drivers/memory.h"

#define BED_MAX_PACKET 4096
#define BED_WORKERS    4 /* of a side at most */
#define BED_KEY_MAX    AEAD_KEY_MAX

/* struct side - one data path and its surroundings. */
struct side {
	struct dataplane *dp;
	struct memory_port *host; /* far end of the inner port */
	struct memory_port
		*wire; /* far end of the outer port; NULL when joined with the other side */
	/* By worker; NULL: it has no queue. The first ones are host and wire. */
	struct memory_port *hosts[BED_WORKERS], *wires[BED_WORKERS];
	uint16_t inner, outer; /* ports */
	uint32_t group, pathset, policy;
	uint32_t spi_in; /* of the pair installed last */
	struct rng_seeded rng;
	struct path_addr path; /* as this side sees it */
	struct ts local4, remote4, local6, remote6;
	struct auth_proof *proof;
	uint64_t injected; /* packets that the test gave it */
};

/* struct bed - both sides and the clock. */
struct bed {
	struct side a, b;
	uint64_t now;
	enum aead_alg alg; /* of bed_pair() and bed_seal() */
	bool threaded;     /* books are not checked while the workers run */
};

/* struct bed_options - zero is the ordinary bed. */
struct bed_options {
	bool open_wire; /* the test moves the datagrams */
	bool outer_v6;
	const char *aead;
	enum aead_alg alg; /* AES-GCM with 256 bits if none is named */
	uint32_t num_packets, packet_room, hold_packets, flow_cache_len, num_frames, frame_len;
	uint64_t hold_ns;
	uint32_t num_workers;          /* 0: 1 */
	uint32_t num_inner, num_outer; /* of these, how many have queues of the ports; 0: all */
	uint32_t handoff_packets;
	uint32_t num_latches;
	bool latch_tcp;
	uint8_t joins; /* JOIN_* of the inner ports; with frame_len of 65536 */
};

/* bed_init - both sides with a group, a path set and a PROTECT policy; no SA. Asserts on failure.
 */
void bed_init(struct bed *bed, const struct bed_options *options);
void bed_fini(struct bed *bed);

/* bed_child - params of the pair `id` for one side; keys derive from id. Both sides' SPIs are
 * reserved by bed_pair(). */
struct child_params bed_child_params(struct side *s, uint64_t id);

/* bed_pair - install the pair on both sides, active; tweak may change params (NULL = none). */
void bed_pair(struct bed *bed, uint64_t id, void (*tweak)(struct child_params *p, bool is_a));

/* bed_mode - makes params those of this mode; in transport mode between 10.1.0.1 and 10.2.0.1. */
void bed_mode(struct child_params *p, bool is_a, enum sa_mode mode);

/* bed_turn - one turn of each side, then one again (so that what was sent is received), checking
 * the books of both. bed_turn_one - one turn of one side. */
void bed_turn(struct bed *bed);
uint32_t bed_turn_one(struct bed *bed, struct side *s);

/* bed_balance - packets in + made = out + held + dropped + punted (asserted), and the packets that
 * are not in the pool are held or with the control thread. */
void bed_balance(const struct side *s);

/* bed_dropped - packets that this side dropped for this reason so far; bed_drops - for any. */
uint64_t bed_dropped(const struct side *s, enum drop_reason why);
uint64_t bed_drops(const struct side *s);

/* bed_udp4, bed_udp6 - an IP/UDP packet with len payload bytes (a pattern that depends on tag);
 * returns its length. src and dst: last 16 bits of the address; from A to B if a_to_b. */
size_t bed_udp4(uint8_t *buf, bool a_to_b, uint16_t src_port, uint16_t dst_port, uint32_t tag,
		size_t len);
size_t bed_udp6(uint8_t *buf, bool a_to_b, uint16_t src_port, uint16_t dst_port, uint32_t tag,
		size_t len);

/* bed_send - give the side a clear packet. bed_receive - what it delivered; 0 if nothing. */
void bed_send(struct side *s, const uint8_t *packet, size_t len);
size_t bed_receive(struct side *s, uint8_t buf[static BED_MAX_PACKET]);

/* bed_capture - (open wire) take the datagram that the side sent, 0 if none. bed_deliver - give the
 * side a datagram as from the other one. */
size_t bed_capture(struct side *s, uint8_t buf[static BED_MAX_PACKET]);
void bed_deliver(struct side *s, const uint8_t *bytes, size_t len);

/* bed_send_to, bed_receive_from, bed_capture_from, bed_deliver_to - the same by the queue of one
 * worker. */
void bed_send_to(struct side *s, uint32_t worker, const uint8_t *packet, size_t len);
size_t bed_receive_from(struct side *s, uint32_t worker, uint8_t buf[static BED_MAX_PACKET]);
size_t bed_capture_from(struct side *s, uint32_t worker, uint8_t buf[static BED_MAX_PACKET]);
void bed_deliver_to(struct side *s, uint32_t worker, const uint8_t *bytes, size_t len);

/* bed_event - the next event, released at once; its bytes are not valid. False if there is none. */
bool bed_event(struct side *s, struct dp_event *out);
/* bed_events - count and discard all events of a kind (others too). */
uint32_t bed_events(struct side *s, enum dp_event_kind kind);

/* struct bed_esp - an ESP packet made by the test as A would make it for B. */
struct bed_esp {
	uint64_t pair; /* id of bed_pair(): its key */
	uint64_t seq;
	bool esn;        /* the high half is authenticated */
	uint8_t pad_len; /* as it says; so many bytes are there */
	uint8_t next_header;
	uint8_t claimed_more; /* the pad length field says so many more than there are */
	bool wrong_padding;   /* the last padding byte is not what it should be */
};

/* bed_seal - encrypt len bytes of inner packet for B's newest pair; returns the ESP packet's
 * length. bed_pad - the padding that aligns len bytes to 4; bed_pad_for - to what alg needs. */
size_t bed_seal(struct bed *bed, uint8_t out[static BED_MAX_PACKET], const struct bed_esp *esp,
		const uint8_t *inner, size_t len);
uint8_t bed_pad(size_t len);
uint8_t bed_pad_for(enum aead_alg alg, size_t len);

/* bed_key - the key material of a pair, from A to B or back; as much of it as its algorithm needs.
 */
void bed_key(uint8_t out[static BED_KEY_MAX], uint64_t pair, bool a_to_b);
