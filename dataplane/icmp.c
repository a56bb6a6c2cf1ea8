/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/icmp.h"

#include <netinet/in.h>

#include "dataplane/fragment.h"

#define ICMP_LEN              8
#define ICMP_UNREACHABLE      3
#define ICMP_NEEDS_CUT        4
#define ICMP_TIME_EXCEEDED    11
#define ICMP_PARAMETERS       12
#define ICMP_SOURCE_QUENCH    4
#define ICMP_REDIRECT         5
#define ICMP6_TOO_BIG         2
#define ICMP6_FIRST_NOT_ERROR 128
#define ICMP6_REDIRECT        137
#define TTL                   64

/* add_up - 16-bit words, for the Internet checksum (RFC 1071). */
static uint32_t add_up(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += load_be16(p + i);
	return len % 2 ? sum + ((uint32_t)p[len - 1] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* answers4 - neither an error, nor a later fragment, nor from or to more than one host. */
static bool answers4(const struct packet *p)
{
	const uint8_t *h = p->data;
	uint32_t at = (h[0] & 0x0fu) * 4;

	if (p->len < IP4_MIN_LEN || (load_be16(h + 6) & IP4_OFFSET_MASK))
		return false;
	if (h[12] == 0 || h[12] == 127 || h[12] >= 224 || h[16] >= 224)
		return false;
	if (h[9] != IPPROTO_ICMP)
		return true;
	if (p->len <= at)
		return false;
	switch (h[at]) {
	case ICMP_UNREACHABLE:
	case ICMP_SOURCE_QUENCH:
	case ICMP_REDIRECT:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETERS:
		return false;
	default:
		return true;
	}
}

/* answers6 - a multicast destination is answered: so its sender learns the MTU (RFC 4443 2.4 e). */
static bool answers6(const struct packet *p)
{
	static const uint8_t none[16];
	const uint8_t *h = p->data;

	if (p->len < IP6_LEN + 1 || h[8] == 0xff || memcmp(h + 8, none, 16) == 0)
		return false;
	if (h[6] != IPPROTO_ICMPV6)
		return true;
	return h[IP6_LEN] >= ICMP6_FIRST_NOT_ERROR && h[IP6_LEN] != ICMP6_REDIRECT;
}

static uint32_t quote(uint8_t *to, const struct packet *p, uint32_t max)
{
	uint32_t len = p->len < max ? p->len : max;

	memcpy(to, p->data, len);
	return len;
}

static void make4(struct packet *out, const struct packet *p, uint32_t mtu)
{
	uint8_t *h = out->data, *icmp = h + IP4_MIN_LEN;
	uint32_t len = ICMP_LEN + quote(icmp + ICMP_LEN, p, ICMP_MAX_LEN - IP4_MIN_LEN - ICMP_LEN);

	memset(h, 0, IP4_MIN_LEN + ICMP_LEN);
	h[0] = 0x45;
	h[1] = 0xc0; /* internetwork control, as routers' messages have (RFC 1812 4.3.2.5) */
	store_be16(h + 2, (uint16_t)(IP4_MIN_LEN + len));
	store_be16(h + 6, IP4_DF);
	h[8] = TTL;
	h[9] = IPPROTO_ICMP;
	memcpy(h + 12, p->data + 16, 4);
	memcpy(h + 16, p->data + 12, 4);
	store_be16(h + 10, ip4_checksum(h, IP4_MIN_LEN));
	icmp[0] = ICMP_UNREACHABLE;
	icmp[1] = ICMP_NEEDS_CUT;
	store_be16(icmp + 6, (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX));
	store_be16(icmp + 2, fold(add_up(0, icmp, len)));
	out->len = IP4_MIN_LEN + len;
}

static void make6(struct packet *out, const struct packet *p, uint32_t mtu)
{
	uint8_t *h = out->data, *icmp = h + IP6_LEN;
	uint32_t len = ICMP_LEN + quote(icmp + ICMP_LEN, p, ICMP6_MAX_LEN - IP6_LEN - ICMP_LEN);

	memset(h, 0, IP6_LEN + ICMP_LEN);
	h[0] = 0x60;
	store_be16(h + 4, (uint16_t)len);
	h[6] = IPPROTO_ICMPV6;
	h[7] = TTL;
	memcpy(h + 8, p->data + 24, 16);
	memcpy(h + 24, p->data + 8, 16);
	icmp[0] = ICMP6_TOO_BIG;
	store_be32(icmp + 4, mtu);
	store_be16(icmp + 2, fold(add_up(len + IPPROTO_ICMPV6, h + 8, 32 + len)));
	out->len = IP6_LEN + len;
}

bool icmp_too_big(struct packet *out, const struct packet *p, uint32_t mtu)
{
	bool v6 = p->data[0] >> 4 == 6;

	if (v6 ? !answers6(p) : !answers4(p))
		return false;
	if (v6)
		make6(out, p, mtu);
	else
		make4(out, p, mtu);
	return true;
}
