/* SPDX-License-Identifier: Apache-2.0 */
/* ts.c - the traffic selectors of addr.h. */
#include "base/addr.h"

#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

__extension__ typedef unsigned __int128 u128;

#define PORT_MAX 0xffff

static bool ports_opaque(const struct ts *t)
{
	return t->port_lo == PORT_MAX && t->port_hi == 0;
}

static bool ports_any(const struct ts *t)
{
	return t->port_lo == 0 && t->port_hi == PORT_MAX;
}

struct ts ts_from_prefix(const struct ip_prefix *p)
{
	struct ts t = {.lo = p->addr, .hi = p->addr, .port_hi = PORT_MAX};
	size_t bits = 8 * ip_addr_len(&p->addr);

	for (size_t i = p->len; i < bits; i++) {
		uint8_t bit = (uint8_t)(0x80 >> (i % 8));

		t.lo.b[i / 8] &= (uint8_t)~bit;
		t.hi.b[i / 8] |= bit;
	}
	return t;
}

bool ts_valid(const struct ts *t)
{
	if (ip_addr_len(&t->lo) == 0 || t->lo.family != t->hi.family)
		return false;
	if (ip_addr_cmp(&t->lo, &t->hi) > 0)
		return false;
	return t->port_lo <= t->port_hi || ports_opaque(t);
}

/* RFC 4301 4.4.1.1: ANY includes OPAQUE; any other range and OPAQUE have nothing in common. */
static bool intersect_ports(struct ts *out, const struct ts *a, const struct ts *b)
{
	if (ports_opaque(a) || ports_opaque(b)) {
		out->port_lo = PORT_MAX;
		out->port_hi = 0;
		return (ports_opaque(a) || ports_any(a)) && (ports_opaque(b) || ports_any(b));
	}
	out->port_lo = a->port_lo > b->port_lo ? a->port_lo : b->port_lo;
	out->port_hi = a->port_hi < b->port_hi ? a->port_hi : b->port_hi;
	return out->port_lo <= out->port_hi;
}

bool ts_intersect(struct ts *out, const struct ts *a, const struct ts *b)
{
	struct ts t = {.proto = a->proto ? a->proto : b->proto};

	if (a->lo.family != b->lo.family || (a->proto && b->proto && a->proto != b->proto))
		return false;
	t.lo = ip_addr_cmp(&a->lo, &b->lo) > 0 ? a->lo : b->lo;
	t.hi = ip_addr_cmp(&a->hi, &b->hi) < 0 ? a->hi : b->hi;
	if (ip_addr_cmp(&t.lo, &t.hi) > 0 || !intersect_ports(&t, a, b))
		return false;
	*out = t;
	return true;
}

bool ts_contains(const struct ts *outer, const struct ts *inner)
{
	struct ts common;

	if (!ts_intersect(&common, outer, inner))
		return false;
	return ip_addr_equal(&common.lo, &inner->lo) && ip_addr_equal(&common.hi, &inner->hi) &&
	       common.port_lo == inner->port_lo && common.port_hi == inner->port_hi &&
	       common.proto == inner->proto;
}

bool ts_match(const struct ts *t, const struct ip_addr *a, uint8_t proto, uint16_t port)
{
	if (a->family != t->lo.family || (t->proto && t->proto != proto))
		return false;
	if (ip_addr_cmp(a, &t->lo) < 0 || ip_addr_cmp(a, &t->hi) > 0)
		return false;
	if (ports_opaque(t))
		return port == 0;
	return port >= t->port_lo && port <= t->port_hi;
}

/* ports_fit - a selector of this kind is for packets of this kind: without ports only those for any
 * port, or OPAQUE, which is for nothing else (RFC 4301 4.4.1.1). */
static bool ports_fit(const struct flow *f, const struct ts *t)
{
	return f->no_ports ? ports_opaque(t) || ports_any(t) : !ports_opaque(t);
}

static bool end_within(const struct flow *f, const struct ip_addr *addr, uint16_t port,
		       const struct ts *ts, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++) {
		if (ports_fit(f, &ts[i]) && ts_match(&ts[i], addr, f->proto, port))
			return true;
	}
	return false;
}

bool flow_within(const struct flow *f, const struct ts *local, uint32_t num_local,
		 const struct ts *remote, uint32_t num_remote)
{
	bool one_port =
		f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6 || f->proto == IPPROTO_MH;

	return end_within(f, &f->local, f->local_port, local, num_local) &&
	       end_within(f, &f->remote, one_port ? f->local_port : f->remote_port, remote,
			  num_remote);
}

static u128 addr_number(const struct ip_addr *a)
{
	u128 v = 0;

	for (size_t i = 0; i < ip_addr_len(a); i++)
		v = v << 8 | a->b[i];
	return v;
}

static struct ip_addr number_addr(u128 v, uint8_t family)
{
	struct ip_addr a = {.family = family};

	for (size_t i = ip_addr_len(&a); i-- > 0; v >>= 8)
		a.b[i] = (uint8_t)v;
	return a;
}

/* The greatest prefix that begins at lo and ends at hi or before: how many host bits it has. */
static unsigned int host_bits(u128 lo, u128 hi, unsigned int width)
{
	unsigned int n = 0;

	while (n < width && !(lo >> n & 1)) {
		u128 last = lo | ((((u128)1 << n) - 1) << 1 | 1);

		if (last > hi)
			break;
		n++;
	}
	return n;
}

enum err ts_to_prefixes(const struct ts *t, struct ip_prefix *out, size_t *out_num, size_t max)
{
	unsigned int width = 8 * (unsigned int)ip_addr_len(&t->lo);
	u128 lo = addr_number(&t->lo);
	u128 hi = addr_number(&t->hi);
	size_t num = 0;

	while (lo <= hi) {
		unsigned int bits = host_bits(lo, hi, width);

		if (num == max)
			return ERR_LIMIT;
		out[num++] = (struct ip_prefix){
			.addr = number_addr(lo, t->lo.family),
			.len = (uint8_t)(width - bits),
		};
		/* The last address of all, or the whole space: the next one would wrap to 0. */
		u128 last = bits == 128 ? ~(u128)0 : lo | (((u128)1 << bits) - 1);

		if (last >= hi)
			break;
		lo = last + 1;
	}
	*out_num = num;
	return ERR_OK;
}

/* Names of protocols as /etc/protocols has them, of which people write selectors. */
static const struct {
	uint8_t number;
	const char *name;
} protocols[] = {
	{1, "icmp"},
	{2, "igmp"},
	{4, "ipencap"},
	{6, "tcp"},
	{17, "udp"},
	{33, "dccp"},
	{41, "ipv6"},
	{46, "rsvp"},
	{47, "gre"},
	{50, "esp"},
	{51, "ah"},
	{58, "ipv6-icmp"},
	{89, "ospf"},
	{103, "pim"},
	{108, "ipcomp"},
	{112, "vrrp"},
	{115, "l2tp"},
	{132, "sctp"},
	{135, "mobility-header"},
	{136, "udplite"},
	{58, "icmpv6"},
};

static const char *proto_name(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		if (protocols[i].number == proto)
			return protocols[i].name;
	}
	return NULL;
}

static int range_text(char *buf, size_t size, const struct ts *t)
{
	char lo[IP_TEXT_MAX], hi[IP_TEXT_MAX];
	struct ip_prefix one;
	size_t num;

	if (ts_to_prefixes(t, &one, &num, 1) == ERR_OK && num == 1)
		return snprintf(buf, size, "%s/%u", ip_addr_text(lo, &t->lo), one.len);
	return snprintf(buf, size, "%s..%s", ip_addr_text(lo, &t->lo), ip_addr_text(hi, &t->hi));
}

static bool is_icmp(const struct ts *t)
{
	return t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6;
}

/* icmp_text - types, with their codes where not all of a type's are meant. */
static int icmp_text(char *buf, size_t size, const struct ts *t)
{
	unsigned lo = t->port_lo >> 8, lo_code = t->port_lo & 0xff;
	unsigned hi = t->port_hi >> 8, hi_code = t->port_hi & 0xff;

	if (t->port_lo == t->port_hi)
		return snprintf(buf, size, "/%u(%u)", lo, lo_code);
	if (lo_code != 0 || hi_code != 0xff)
		return snprintf(buf, size, "/%u(%u)-%u(%u)", lo, lo_code, hi, hi_code);
	if (lo == hi)
		return snprintf(buf, size, "/%u", lo);
	return snprintf(buf, size, "/%u-%u", lo, hi);
}

static int port_text(char *buf, size_t size, const struct ts *t)
{
	if (ports_any(t))
		return 0;
	if (ports_opaque(t))
		return snprintf(buf, size, "/opaque");
	if (is_icmp(t))
		return icmp_text(buf, size, t);
	if (t->port_lo == t->port_hi)
		return snprintf(buf, size, "/%u", t->port_lo);
	return snprintf(buf, size, "/%u-%u", t->port_lo, t->port_hi);
}

const char *ts_text(char buf[static TS_TEXT_MAX], const struct ts *t)
{
	const char *name = proto_name(t->proto);
	char number[4] = "";
	char port[24] = "";

	range_text(buf, TS_TEXT_MAX, t);
	port_text(port, sizeof(port), t);
	if (t->proto && !name)
		snprintf(number, sizeof(number), "%u", t->proto);
	if (t->proto || port[0]) {
		size_t used = strlen(buf);

		snprintf(buf + used, TS_TEXT_MAX - used, "[%s%s]", name ? name : number, port);
	}
	return buf;
}

/* A decimal number of at most max; *end is what follows. */
static enum err number(uint16_t *out, const char **end, const char *text, unsigned int max)
{
	unsigned int v = 0;
	const char *p = text;

	while (*p >= '0' && *p <= '9') {
		v = v * 10 + (unsigned int)(*p++ - '0');
		if (v > max)
			return ERR_MALFORMED;
	}
	if (p == text)
		return ERR_MALFORMED;
	*out = (uint16_t)v;
	*end = p;
	return ERR_OK;
}

static enum err parse_proto(struct ts *t, const char *text)
{
	uint16_t v;

	if (!*text || strcasecmp(text, "any") == 0)
		return ERR_OK;
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		if (strcasecmp(text, protocols[i].name) == 0) {
			t->proto = protocols[i].number;
			return ERR_OK;
		}
	}
	if (number(&v, &text, text, UINT8_MAX) || *text)
		return ERR_MALFORMED;
	t->proto = (uint8_t)v;
	return ERR_OK;
}

/* icmp_item - a type ("8": with all codes), a type and a code ("8(0)"), or both in one number of
 * 256 or more ("2048"), as the wire has them. */
static enum err icmp_item(uint16_t *lo, uint16_t *hi, const char **end, const char *text)
{
	uint16_t v, code;

	if (number(&v, &text, text, PORT_MAX))
		return ERR_MALFORMED;
	*lo = *hi = v;
	if (v < 256) {
		*lo = (uint16_t)(v << 8);
		*hi = (uint16_t)(v << 8 | 0xff);
	}
	if (v < 256 && *text == '(') {
		if (number(&code, &text, text + 1, UINT8_MAX) || *text++ != ')')
			return ERR_MALFORMED;
		*lo = *hi = (uint16_t)(v << 8 | code);
	}
	*end = text;
	return ERR_OK;
}

static enum err parse_icmp(struct ts *t, const char *text)
{
	uint16_t unused;

	if (icmp_item(&t->port_lo, &t->port_hi, &text, text))
		return ERR_MALFORMED;
	if (*text == '-' && icmp_item(&unused, &t->port_hi, &text, text + 1))
		return ERR_MALFORMED;
	return *text || t->port_lo > t->port_hi ? ERR_MALFORMED : ERR_OK;
}

static enum err parse_ports(struct ts *t, const char *text)
{
	if (!*text || strcasecmp(text, "any") == 0)
		return ERR_OK;
	if (strcasecmp(text, "opaque") == 0) {
		t->port_lo = PORT_MAX;
		t->port_hi = 0;
		return ERR_OK;
	}
	if (is_icmp(t))
		return parse_icmp(t, text);
	if (number(&t->port_lo, &text, text, PORT_MAX))
		return ERR_MALFORMED;
	t->port_hi = t->port_lo;
	if (*text == '-' && number(&t->port_hi, &text, text + 1, PORT_MAX))
		return ERR_MALFORMED;
	return *text || t->port_lo > t->port_hi ? ERR_MALFORMED : ERR_OK;
}

/* "lo-hi" or "lo..hi"; sep is where the separator stands. */
static enum err parse_range(struct ts *t, char *text, char *sep)
{
	const char *hi = sep + (*sep == '-' ? 1 : 2);

	*sep = '\0';
	if (ip_addr_parse(&t->lo, text) || ip_addr_parse(&t->hi, hi))
		return ERR_MALFORMED;
	return ERR_OK;
}

static enum err parse_addrs(struct ts *t, char *text)
{
	char *sep = strstr(text, "..");
	struct ip_prefix p;
	struct ts all;

	if (!sep)
		sep = strchr(text, '-');
	if (sep)
		return parse_range(t, text, sep);
	if (ip_prefix_parse(&p, text))
		return ERR_MALFORMED;
	all = ts_from_prefix(&p);
	t->lo = all.lo;
	t->hi = all.hi;
	return ERR_OK;
}

/* The part between the brackets: "proto", "proto/port", "/port". */
static enum err parse_brackets(struct ts *t, char *text)
{
	char *slash = strchr(text, '/');

	if (slash)
		*slash = '\0';
	if (parse_proto(t, text))
		return ERR_MALFORMED;
	return slash ? parse_ports(t, slash + 1) : ERR_OK;
}

enum err ts_parse(struct ts *out, const char *text)
{
	char buf[TS_TEXT_MAX];
	size_t len = strlen(text);
	char *bracket;
	struct ts t = {.port_hi = PORT_MAX};

	if (len >= sizeof(buf))
		return ERR_MALFORMED;
	memcpy(buf, text, len + 1);
	bracket = strchr(buf, '[');
	if (bracket) {
		if (buf[len - 1] != ']')
			return ERR_MALFORMED;
		buf[len - 1] = '\0';
		*bracket = '\0';
		if (parse_brackets(&t, bracket + 1))
			return ERR_MALFORMED;
	}
	if (parse_addrs(&t, buf) || !ts_valid(&t))
		return ERR_MALFORMED;
	*out = t;
	return ERR_OK;
}
