/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h - which conversation an inner IP packet belongs to, and whether selectors match it (RFC
 * 4301 4.4.1.1). Pure functions, any thread.
 */
#pragma once

#include "base/addr.h"
#include "dataplane/packet.h"

#include <netinet/in.h>

/* enum flow_dir - which end of an inner packet is ours. */
enum flow_dir {
	FLOW_OUT, /* its source is local */
	FLOW_IN,  /* its destination is local */
};

/* struct flow_key - a flow, whether its ports are not known: a fragment that is not the first has
 * none (RFC 4301 7), nor has a protocol without ports; and where: two virtual interfaces may know
 * the same addresses. */
struct flow_key {
	struct flow flow;
	uint32_t no_ports; /* 0 or 1 */
	uint32_t scope;    /* dataplane_vif_add(); 0 = the inner ports that all share */
};
static_assert(sizeof(struct flow_key) == 56, "compared and hashed as seven words");

/* flow_parse - the key of the inner packet p, which is cut to the length its IP header names (what
 * follows is link or TFC padding, RFC 4303 2.7); a fragment gets PACKET_F_FRAGMENT. False if it is
 * not well-formed. */
MUST_USE bool flow_parse(struct flow_key *out, struct packet *p, enum flow_dir dir) NONNULL(1, 2);

/* flow_put, flow_get - word i of a key. Keys are made and read in whole words: an address or a byte
 * stored by itself would stall the next load of its word. */
static inline void flow_put(struct flow_key *k, unsigned int i, uint64_t v)
{
	memcpy((uint8_t *)k + 8 * i, &v, sizeof(v));
}

static inline uint64_t flow_get(const struct flow_key *k, unsigned int i)
{
	uint64_t v;

	memcpy(&v, (const uint8_t *)k + 8 * i, sizeof(v));
	return v;
}

__extension__ typedef unsigned __int128 u128;

/* flow_mix - a 128-bit product folded: a step of a hash, whose seed keeps a sender from choosing
 * places. */
static inline uint64_t flow_mix(uint64_t a, uint64_t b)
{
	u128 m = (u128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* flow_scope - the key of a flow of this scope; the key has none yet. */
static inline void flow_scope(struct flow_key *k, uint32_t scope)
{
	if (unlikely(scope))
		flow_put(k, 6, flow_get(k, 6) | (uint64_t)scope << 32);
}

/* struct flow_words - an address as two words; IPv4 is the low half of the first. */
struct flow_words {
	uint64_t lo, hi;
};

static_assert(offsetof(struct flow, local.family) == 16 && offsetof(struct flow, remote) == 20 &&
		      offsetof(struct flow, remote.family) == 36 &&
		      offsetof(struct flow, local_port) == 40 &&
		      offsetof(struct flow, remote_port) == 42 &&
		      offsetof(struct flow, proto) == 44,
	      "flow_fill() puts the key together word by word");

/* flow_fill - a whole key; ports: local | remote << 16. */
static inline void flow_fill(struct flow_key *k, enum ip_family family, struct flow_words local,
			     struct flow_words remote, uint8_t proto, uint32_t ports, bool no_ports)
{
	flow_put(k, 0, local.lo);
	flow_put(k, 1, local.hi);
	flow_put(k, 2, family | remote.lo << 32);
	flow_put(k, 3, remote.lo >> 32 | remote.hi << 32);
	flow_put(k, 4, remote.hi >> 32 | (uint64_t)family << 32);
	flow_put(k, 5, ports | (uint64_t)proto << 32);
	flow_put(k, 6, no_ports);
}

/* flow_words4 - an IPv4 address in a packet. */
static inline struct flow_words flow_words4(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (struct flow_words){.lo = v};
}

/* FLOW_FAST_LEN - an IPv4 header without options, and the ports. */
#define FLOW_FAST_LEN 24

/* flow_parse_fast - flow_parse() for passes, where dir is a constant: whole UDP and TCP packets in
 * IPv4 without options here, everything else there. */
MUST_USE static inline bool flow_parse_fast(struct flow_key *out, struct packet *p,
					    enum flow_dir dir)
{
	const uint8_t *h = p->data;

	if (unlikely(p->len < FLOW_FAST_LEN || h[0] != 0x45 ||
		     (h[9] != IPPROTO_UDP && h[9] != IPPROTO_TCP)))
		return flow_parse(out, p, dir);
	uint32_t len = load_be16(h + 2);
	uint32_t ports = load_be32(h + 20); /* destination | source << 16 */

	if (unlikely(len < FLOW_FAST_LEN || len > p->len || (load_be16(h + 6) & 0x3fff) != 0))
		return flow_parse(out, p, dir);
	if (dir == FLOW_OUT)
		ports = ports << 16 | ports >> 16;
	p->len = len;
	flow_fill(out, IP_V4, flow_words4(h + (dir == FLOW_OUT ? 12 : 16)),
		  flow_words4(h + (dir == FLOW_OUT ? 16 : 12)), h[9], ports, false);
	return true;
}

/* flow_match - some local selector and some remote one match: flow_within() for a key. */
bool flow_match(const struct flow_key *key, const struct ts *local, uint32_t num_local,
		const struct ts *remote, uint32_t num_remote) NONNULL(1);

/* FLOW_MAX_SELECTORS - of one side of a policy or SA. */
#define FLOW_MAX_SELECTORS 64

/* flow_selectors_valid - 1 to FLOW_MAX_SELECTORS valid selectors. ts may be NULL if num is 0. */
bool flow_selectors_valid(const struct ts *ts, uint32_t num);
