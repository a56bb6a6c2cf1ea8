/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - one packet on its way through the data path. A packet is owned by exactly one place at
 * a time: a vector, a hold queue, a ring, or a driver; it is freed through its pool, so that an
 * mbuf and a heap buffer are the same to every pass. Thread: the worker that holds it.
 */
#pragma once

#include "base/addr.h"

struct pool;
struct path;
struct esp_sa;
struct inline_key;

/* PACKET_HEADROOM - bytes in front of data when a driver delivers a packet: outer IPv6 (40) + UDP
 * (8) + ESP (8) + IV (16), rounded up to cache lines. PACKET_TAILROOM: padding (255) + trailer (2)
 * + ICV (32), rounded up. */
#define PACKET_HEADROOM 128
#define PACKET_TAILROOM 320

/* enum fate - what a pass made of a packet; every packet has exactly one when a pass returns. */
enum fate {
	FATE_NEXT,    /* goes on in the output vector */
	FATE_DROP,    /* counted under its drop_reason and freed */
	FATE_HOLD,    /* kept in a bounded queue (acquire) */
	FATE_PUNT,    /* to the control thread or back to the host: IKE, ICMP to answer, not ours */
	FATE_HANDOFF, /* to the worker that owns the SA */
	FATE_CONSUMED, /* others were made of it: a fragment put together, a packet cut */
	FATE_NUM
};

/* enum drop_reason - drop.def is the table: DROP(NAME, "sentence"). */
enum drop_reason {
#define DROP(name, text) DROP_##name,
#include "dataplane/drop.def"
#undef DROP
	DROP_NUM
};

/* drop_name - "REPLAY"; drop_text - a sentence. Any value is accepted. */
const char *drop_name(enum drop_reason r);
const char *drop_text(enum drop_reason r);

/*
 * struct packet - len bytes at data inside buf[cap]. On an inner port data begins at the IP header;
 * on an outer port it is the UDP payload, or the ESP header where ESP is carried by IP itself: the
 * driver writes and removes the outer IP header, in transport mode as well (transport.h). What
 * came by UDP has a local port in `from`: with ENCAP_UDP it is framed as RFC 3948 says, with
 * ENCAP_NONE it is IKE without a marker (port 500).
 *
 * A super-packet is one packet with a segment length: datagrams of one sender one behind the other,
 * as an outer port's socket joined them, or on an inner port a TCP or UDP packet that the host left
 * to us to cut (super.h). The driver says so by seg_len. Datagrams may also come as a chain of
 * packets (next_part), of which the first has what is known of all. On their way to an inner port
 * whose driver takes it packets may be chained as well: each is whole, and the host may have them
 * as one.
 *
 * A driver that sees the wire itself leaves IP headers and fragments to the data path
 * (PACKET_F_IP). With PACKET_F_TOLD data begins where that of a packet we sent did, as far as it is
 * quoted (it may be empty), `from` is where it was sent, seen from here, and mtu what is said to
 * fit.
 *
 * An ESP packet whose text is clear (PACKET_F_OPEN) came so from a port that decrypts, or leaves by
 * one that encrypts (crypto/inline.h). On its way out nothing of it is the packet's: it lies behind
 * data + len, open_len bytes, until it is encrypted or that port has it. Who sends data and len, as
 * all do, sends none of it.
 */
struct packet {
	/* Line 0: all that most passes touch. */
	uint8_t *data;
	uint32_t len;
	uint32_t cap;
	uint8_t *buf;
	struct pool *pool;

	/* meta data, valid as the passes set it */
	struct esp_sa *sa; /* SA that protects or protected it */
	uint64_t seq;      /* ESP sequence number, 64 bits */
	uint16_t flags;    /* PACKET_F_* */
	uint16_t seg_len;  /* super-packet: bytes of each segment but the last; 0 = a single one */
	uint16_t port;     /* index of the port it came by */
	uint8_t dscp_ecn;  /* TOS byte of the header just removed or to be written */
	uint8_t next_header; /* ESP next header to be sent, or after decryption */
	uint32_t token; /* protection class handle: stamped inbound, demanded outbound; 0 = none */
	union {
		uint32_t scope; /* inbound, after decryption: virtual interface it goes to; 0 =
				 * shared */
		uint32_t flow;  /* outbound, once it is classified: hash of its flow, and above it
				 * the path of its own, 0 = none (steer.h) */
	};

	/* Lines 1 and 2: where it goes and came from, and what is seldom. */
	const struct path *path; /* path chosen or arrived by; NULL = unknown remote */
	const struct path_addr
		*to; /* tx on an outer port: destination, valid until the driver sent */
	struct packet *next_part; /* of a chain: the packet behind this one */
	uint64_t hold_until_ns;   /* acquire: when it is given up; in order: when it goes on if it
				   * is the next one; 0 = it never waited */
	uint16_t head_len;    /* tx, first of a chain: headers that all have; seg_len is set, too */
	uint8_t num_parts;    /* packets behind this one */
	uint8_t drop_reason;  /* enum drop_reason once dropped */
	uint32_t fragment_id; /* JOINED: the fragments' identification */
	uint16_t fragment_at; /* JOINED: IPv6: where their fragment header was */
	uint16_t mtu;         /* JOINED: length that fragments of it may have; TOLD: the MTU */
	uint8_t fragment_next;        /* JOINED: IPv6: where the fragment header was named */
	uint8_t way;                  /* the driver's own, from rx to tx with PACKET_F_PASS */
	uint16_t open_len;            /* tx with OPEN: bytes behind data + len; else 0 */
	struct path_addr from;        /* rx on an outer port: the addresses it came with */
	const struct inline_key *key; /* with open_len: what a port encrypts it with */
};
static_assert(offsetof(struct packet, path) == CACHE_LINE, "line 0 is what most passes touch");

#define PACKET_F_PROBE    0x01 /* control message about paths, to be sent by a path of its own */
#define PACKET_F_FRAGMENT 0x02 /* it is one of an IP packet's fragments */
#define PACKET_F_JOINED   0x04 /* fragments were put together to it */
#define PACKET_F_DF       0x08 /* tx on an outer port: routers shall not cut it (IPv4) */
#define PACKET_F_TOLD     0x10 /* rx: no packet, but that ours was too big: data is what is quoted */
#define PACKET_F_TRUSTED  0x20   /* TOLD: by our own host */
#define PACKET_F_IP       0x40   /* rx on an outer port: data begins at the outer IP header */
#define PACKET_F_SEND     0x80   /* handed to another worker to be sent by `port` */
#define PACKET_F_DUMMY    0x100  /* to be sent by ESP, and to say nothing (dummy.h) */
#define PACKET_F_PASS     0x200  /* tx on a routed inner port: no policy protects it */
#define PACKET_F_HOST     0x400  /* the same: where it would go a policy is about it */
#define PACKET_F_HANDED   0x800  /* another worker handed it over to be protected */
#define PACKET_F_HEAD_OK  0x1000 /* rx of a frame: its IPv4 header's checksum is right */
#define PACKET_F_SUM      0x2000 /* its UDP or TCP checksum is the pseudo header's sum still */
#define PACKET_F_OPEN     0x4000 /* ESP on an outer port: its text is clear, see above */
#define PACKET_F_FORGED   0x8000 /* rx of ESP: its port would decrypt it, and the ICV is wrong */

/* packet_headroom, packet_tailroom - free bytes before and behind the data. */
static inline uint32_t packet_headroom(const struct packet *p)
{
	return (uint32_t)(p->data - p->buf);
}

static inline uint32_t packet_tailroom(const struct packet *p)
{
	return p->cap - packet_headroom(p) - p->len;
}

/* packet_whole_len - with what lies behind an open one. */
static inline uint32_t packet_whole_len(const struct packet *p)
{
	return p->len + p->open_len;
}
