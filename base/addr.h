/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.h - IP addresses, endpoints, prefixes and traffic selectors as values. Pure functions, any
 * thread.
 */
#pragma once

#include <sys/socket.h>

#include "base/bytes.h"
#include "base/err.h"

/* enum ip_family - the version field of the IP header; IP_NONE is the zero state "unset". */
enum ip_family {
	IP_NONE = 0,
	IP_V4 = 4,
	IP_V6 = 6,
};

/* struct ip_addr - an address in wire order; IPv4 uses the first four bytes, the rest are zero, so
 * that two equal addresses are equal byte for byte. No padding. */
struct ip_addr {
	uint8_t b[16];
	uint8_t family; /* enum ip_family */
	uint8_t zero[3];
};
static_assert(sizeof(struct ip_addr) == 20, "compared and hashed as bytes");

/* struct endpoint - an address and a UDP port (host order; 0 = any or none). */
struct endpoint {
	struct ip_addr addr;
	uint16_t port;
	uint16_t zero;
};
static_assert(sizeof(struct endpoint) == 24, "compared and hashed as bytes");

/* struct ip_prefix - an address and a prefix length in bits. */
struct ip_prefix {
	struct ip_addr addr;
	uint8_t len;
};

/* struct path_addr - where a datagram goes or came from: what one path is on the wire. */
struct path_addr {
	struct endpoint local;
	struct endpoint remote;
	uint32_t ifindex; /* interface it came by; 0 = let routing decide */
	uint8_t encap;    /* enum path_encap */
	uint8_t zero[3];
};
static_assert(sizeof(struct path_addr) == 56, "compared and hashed as bytes");

/* enum path_encap - what carries ESP on a path. */
enum path_encap {
	ENCAP_NONE = 0, /* IP protocol 50 */
	ENCAP_UDP = 1,  /* RFC 3948 */
};

/*
 * struct ts - one traffic selector (RFC 7296 3.13.1): an address range, a protocol and a port range
 * (for ICMP: type and code as 16 bits). Port range lo=0xffff hi=0 is OPAQUE.
 */
struct ts {
	struct ip_addr lo;
	struct ip_addr hi; /* inclusive; same family as lo */
	uint16_t port_lo;  /* host order */
	uint16_t port_hi;  /* inclusive */
	uint8_t proto;     /* 0 = any */
	uint8_t zero[3];
};
static_assert(sizeof(struct ts) == 48, "compared as bytes");

/* struct flow - one direction-free 5-tuple as this host sees it; ports 0 where there are none, for
 * ICMP local_port = type << 8 | code, for mobility headers their type << 8. no_ports: the packet
 * shows none, being a later fragment or of a protocol without (RFC 4301 4.4.1.1). */
struct flow {
	struct ip_addr local;
	struct ip_addr remote;
	uint16_t local_port;
	uint16_t remote_port;
	uint8_t proto;
	uint8_t no_ports; /* 0 or 1 */
	uint8_t zero[2];
};
static_assert(sizeof(struct flow) == 48, "compared and hashed as bytes");

/* IP_TEXT_MAX, ENDPOINT_TEXT_MAX, TS_TEXT_MAX - buffer sizes that always suffice. */
#define IP_TEXT_MAX       46
#define ENDPOINT_TEXT_MAX 56
#define PREFIX_TEXT_MAX   50
#define TS_TEXT_MAX       128

/* ip_addr_v4, ip_addr_v6 - from 4 or 16 bytes in wire order. */
struct ip_addr ip_addr_v4(const void *b) NONNULL(1);
struct ip_addr ip_addr_v6(const void *b) NONNULL(1);

/* ip_addr_len - 4, 16, or 0 when unset. */
size_t ip_addr_len(const struct ip_addr *a) NONNULL(1);

/* ip_addr_equal, ip_addr_cmp - compare; cmp orders IPv4 before IPv6, then numerically. */
bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b) NONNULL(1, 2);
int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b) NONNULL(1, 2);

/* ip_addr_is_any - 0.0.0.0, :: or unset. */
bool ip_addr_is_any(const struct ip_addr *a) NONNULL(1);

/* ip_addr_parse - numeric text, without zone, blanks or leading zeros. Errors: MALFORMED. */
MUST_USE enum err ip_addr_parse(struct ip_addr *out, const char *text) NONNULL(1, 2);

/* ip_addr_text - format into buf[IP_TEXT_MAX]; returns buf. "%any" when unset. */
const char *ip_addr_text(char buf[static IP_TEXT_MAX], const struct ip_addr *a) NONNULL(2);

/* endpoint_text - swanctl's form "ADDR[PORT]". */
const char *endpoint_text(char buf[static ENDPOINT_TEXT_MAX], const struct endpoint *e) NONNULL(2);

/* endpoint_to_sockaddr - fill ss, returns its length. endpoint_from_sockaddr: MALFORMED for other
 * families. v4-mapped IPv6 addresses become IPv4. */
socklen_t endpoint_to_sockaddr(struct sockaddr_storage *ss, const struct endpoint *e) NONNULL(1, 2);
MUST_USE enum err endpoint_from_sockaddr(struct endpoint *out, const struct sockaddr_storage *ss)
	NONNULL(1, 2);

/* ip_prefix_parse - "ADDR/LEN", or "ADDR" with the full length; host bits are kept. MALFORMED. */
MUST_USE enum err ip_prefix_parse(struct ip_prefix *out, const char *text) NONNULL(1, 2);
const char *ip_prefix_text(char buf[static PREFIX_TEXT_MAX], const struct ip_prefix *p) NONNULL(2);
bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a) NONNULL(1, 2);

/* ts_from_prefix - every protocol and port of a prefix. */
struct ts ts_from_prefix(const struct ip_prefix *p) NONNULL(1);

/* ts_valid - families agree, lo <= hi, ports ordered or OPAQUE (S7). */
bool ts_valid(const struct ts *t) NONNULL(1);

/* ts_intersect - what both selectors match; false if nothing. RFC 7296 2.9. OPAQUE has something in
 * common with OPAQUE and with all ports only (RFC 4301 4.4.1.1). */
MUST_USE bool ts_intersect(struct ts *out, const struct ts *a, const struct ts *b) NONNULL(1, 2, 3);

/* ts_contains - every packet that `inner` matches is matched by `outer`. */
bool ts_contains(const struct ts *outer, const struct ts *inner) NONNULL(1, 2);

/* ts_match - an address, protocol and port (host order; 0 = the packet shows none) lie in the
 * selector. OPAQUE matches exactly what shows no port. */
bool ts_match(const struct ts *t, const struct ip_addr *a, uint8_t proto, uint16_t port)
	NONNULL(1, 2);

/* flow_within - some local selector and some remote one match the flow. Where ports are not known
 * only the selectors that admit any port, or OPAQUE, match; OPAQUE matches nothing else. ICMP's
 * type and code are both ends' port, so that a selector of either side may name them. */
bool flow_within(const struct flow *f, const struct ts *local, uint32_t num_local,
		 const struct ts *remote, uint32_t num_remote) NONNULL(1);

/* ts_to_prefixes - cover the address range exactly by prefixes, at most max of them; *out_num is
 * how many. Errors: LIMIT. */
MUST_USE enum err ts_to_prefixes(const struct ts *t, struct ip_prefix *out, size_t *out_num,
				 size_t max) NONNULL(1, 2, 3);

/* ts_text - swanctl's form: "10.0.0.0/8", "10.0.0.1..10.0.0.9[tcp/80]". */
const char *ts_text(char buf[static TS_TEXT_MAX], const struct ts *t) NONNULL(2);

/* ts_parse - the same form: prefix or "lo-hi"/"lo..hi", optional "[proto/port]" ("[/80]", "[tcp]",
 * "[udp/1000-2000]", "[tcp/opaque]"; proto by name or number). In place of ports ICMP has a type
 * and perhaps a code: "[icmp/8]", "[icmp/3(4)]", "[icmp/3-5]", or both in one number as on the
 * wire,
 * "[icmp/2048]". "dynamic" is not handled here. */
MUST_USE enum err ts_parse(struct ts *out, const char *text) NONNULL(1, 2);
