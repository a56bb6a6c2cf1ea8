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
 * the same addresses. What policies and selectors are asked with. */
struct flow_key {
	struct flow flow;
	uint32_t no_ports; /* 0 or 1 */
	uint32_t scope;    /* dataplane_vif_add(); 0 = the inner ports that all share */
};

/* struct flow_id - the same in whole words, few of which tell one IPv4 flow from another: what
 * passes make and the flow cache is asked with. */
struct flow_id {
	uint64_t what; /* local port | remote port << 16 | protocol << 32 | FLOW_* | scope << 48 */
	uint64_t addr[4]; /* IPv4: local | remote << 32, zeros; IPv6: two words local, two remote */
};

#define FLOW_V6       (1ull << 40)
#define FLOW_NO_PORTS (1ull << 41)

/* flow_key - of an id. */
struct flow_key flow_key(const struct flow_id *id) NONNULL(1);

/* flow_parse - the id of the inner packet p, which is cut to the length its IP header names (what
 * follows is link or TFC padding, RFC 4303 2.7); a fragment gets PACKET_F_FRAGMENT. False if it is
 * not well-formed. */
MUST_USE bool flow_parse(struct flow_id *out, struct packet *p, enum flow_dir dir) NONNULL(1, 2);

__extension__ typedef unsigned __int128 u128;

/* flow_mix - a 128-bit product folded: a step of a hash, whose seed keeps a sender from choosing
 * places. */
static inline uint64_t flow_mix(uint64_t a, uint64_t b)
{
	u128 m = (u128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* flow_equal - it is one flow. */
static inline bool flow_equal(const struct flow_id *a, const struct flow_id *b)
{
	uint64_t differ = (a->what ^ b->what) | (a->addr[0] ^ b->addr[0]);

	if (unlikely(b->what & FLOW_V6))
		differ |= (a->addr[1] ^ b->addr[1]) | (a->addr[2] ^ b->addr[2]) |
			  (a->addr[3] ^ b->addr[3]);
	return differ == 0;
}

/* flow_scope - the id of a flow of this scope, which is a port's number + 1; it has none yet. */
static inline void flow_scope(struct flow_id *id, uint32_t scope)
{
	id->what |= (uint64_t)scope << 48;
}

/* flow_fill4 - a whole id; ports: local | remote << 16, v4: both addresses. */
static inline void flow_fill4(struct flow_id *id, uint64_t v4, uint8_t proto, uint32_t ports,
			      bool no_ports)
{
	*id = (struct flow_id){
		.what = ports | (uint64_t)proto << 32 | (no_ports ? FLOW_NO_PORTS : 0),
		.addr = {v4},
	};
}

/* flow_addrs4 - of the IPv4 header h. */
static inline uint64_t flow_addrs4(const uint8_t *h, enum flow_dir dir)
{
	uint64_t both;

	memcpy(&both, h + 12, sizeof(both));
	return dir == FLOW_OUT ? both : both << 32 | both >> 32;
}

/* FLOW_FAST_LEN - an IPv4 header without options, and the ports. FLOW_FAST_BITS, _IS - of its first
 * eight bytes: version and header length; neither a fragment nor the first of some. */
#define FLOW_FAST_LEN  24
#define FLOW_FAST_BITS 0xff00000000003fff
#define FLOW_FAST_IS   0x4500000000000000

/* flow_parse_fast - flow_parse() and flow_scope() for what passes see most, where dir is a
 * constant: whole UDP and TCP packets in IPv4 without options. False: p is none of these, and as it
 * was. */
MUST_USE static inline bool flow_parse_fast(struct flow_id *out, struct packet *p,
					    enum flow_dir dir, uint32_t scope)
{
	const uint8_t *h = p->data;

	if (unlikely(p->len < FLOW_FAST_LEN))
		return false;
	uint64_t first = load_be64(h);
	uint32_t len = (uint16_t)(first >> 32);
	uint32_t ports = load_be32(h + 20); /* destination | source << 16 */

	if (unlikely((first & FLOW_FAST_BITS) != FLOW_FAST_IS || len < FLOW_FAST_LEN ||
		     len > p->len || (h[9] != IPPROTO_UDP && h[9] != IPPROTO_TCP)))
		return false;
	if (dir == FLOW_OUT)
		ports = ports << 16 | ports >> 16;
	p->len = len;
	flow_fill4(out, flow_addrs4(h, dir), h[9], ports, false);
	flow_scope(out, scope);
	return true;
}

/* flow_match - some local selector and some remote one match: flow_within() for a key. */
bool flow_match(const struct flow_key *key, const struct ts *local, uint32_t num_local,
		const struct ts *remote, uint32_t num_remote) NONNULL(1);

/* FLOW_MAX_SELECTORS - of one side of a policy or SA. */
#define FLOW_MAX_SELECTORS 64

/* flow_selectors_valid - 1 to FLOW_MAX_SELECTORS valid selectors. ts may be NULL if num is 0. */
bool flow_selectors_valid(const struct ts *ts, uint32_t num);
