/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

struct ip_addr ip_addr_v4(const void *b)
{
	struct ip_addr a = {.family = IP_V4};

	memcpy(a.b, b, 4);
	return a;
}

struct ip_addr ip_addr_v6(const void *b)
{
	struct ip_addr a = {.family = IP_V6};

	memcpy(a.b, b, 16);
	return a;
}

size_t ip_addr_len(const struct ip_addr *a)
{
	return a->family == IP_V4 ? 4 : a->family == IP_V6 ? 16 : 0;
}

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool ip_addr_is_any(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b, zero, sizeof(zero)) == 0;
}

enum err ip_addr_parse(struct ip_addr *out, const char *text)
{
	uint8_t b[16];

	if (inet_pton(AF_INET, text, b) == 1)
		*out = ip_addr_v4(b);
	else if (inet_pton(AF_INET6, text, b) == 1)
		*out = ip_addr_v6(b);
	else
		return ERR_MALFORMED;
	return ERR_OK;
}

const char *ip_addr_text(char buf[static IP_TEXT_MAX], const struct ip_addr *a)
{
	int af = a->family == IP_V4 ? AF_INET : AF_INET6;

	if (ip_addr_len(a) == 0 || !inet_ntop(af, a->b, buf, IP_TEXT_MAX))
		snprintf(buf, IP_TEXT_MAX, "%%any");
	return buf;
}

const char *endpoint_text(char buf[static ENDPOINT_TEXT_MAX], const struct endpoint *e)
{
	char addr[IP_TEXT_MAX];

	snprintf(buf, ENDPOINT_TEXT_MAX, "%s[%u]", ip_addr_text(addr, &e->addr), e->port);
	return buf;
}

socklen_t endpoint_to_sockaddr(struct sockaddr_storage *ss, const struct endpoint *e)
{
	memset(ss, 0, sizeof(*ss));
	if (e->addr.family == IP_V4) {
		struct sockaddr_in *in = (struct sockaddr_in *)ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->addr.b, 4);
		return sizeof(*in);
	}
	/* An unset address is the wildcard of either family: [::]. */
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(e->port);
	memcpy(&in6->sin6_addr, e->addr.b, 16);
	return sizeof(*in6);
}

enum err endpoint_from_sockaddr(struct endpoint *out, const struct sockaddr_storage *ss)
{
	struct endpoint e = {0};

	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

		e.addr = ip_addr_v4(&in->sin_addr);
		e.port = ntohs(in->sin_port);
	} else if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

		e.addr = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)
				 ? ip_addr_v4(in6->sin6_addr.s6_addr + 12)
				 : ip_addr_v6(&in6->sin6_addr);
		e.port = ntohs(in6->sin6_port);
	} else {
		return ERR_MALFORMED;
	}
	*out = e;
	return ERR_OK;
}

/* A decimal number of at most max, without sign, blanks or leading zeros. */
static enum err parse_len(uint8_t *out, const char *text, size_t max)
{
	unsigned int v = 0;

	if (!*text || strlen(text) > 3 || (text[0] == '0' && text[1]))
		return ERR_MALFORMED;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return ERR_MALFORMED;
		v = v * 10 + (unsigned int)(*text - '0');
	}
	if (v > max)
		return ERR_MALFORMED;
	*out = (uint8_t)v;
	return ERR_OK;
}

enum err ip_prefix_parse(struct ip_prefix *out, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char addr[IP_TEXT_MAX];
	struct ip_prefix p = {0};
	enum err e;

	if (n >= sizeof(addr))
		return ERR_MALFORMED;
	memcpy(addr, text, n);
	addr[n] = '\0';
	e = ip_addr_parse(&p.addr, addr);
	if (e)
		return e;
	p.len = (uint8_t)(8 * ip_addr_len(&p.addr));
	if (slash)
		e = parse_len(&p.len, slash + 1, p.len);
	if (!e)
		*out = p;
	return e;
}

const char *ip_prefix_text(char buf[static PREFIX_TEXT_MAX], const struct ip_prefix *p)
{
	char addr[IP_TEXT_MAX];

	snprintf(buf, PREFIX_TEXT_MAX, "%s/%u", ip_addr_text(addr, &p->addr), p->len);
	return buf;
}

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	size_t whole = p->len / 8;
	unsigned int bits = p->len % 8;

	if (p->addr.family != a->family || memcmp(p->addr.b, a->b, whole) != 0)
		return false;
	return bits == 0 || (p->addr.b[whole] ^ a->b[whole]) >> (8 - bits) == 0;
}
