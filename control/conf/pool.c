/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - pools.<name>: addresses that peers are lent, and what they are told beside. */
#include "base/alloc.h"
#include "control/conf/check.h"
#include "control/conf/values.h"

/* ALL_BITS_V4, ALL_BITS_V6 - a prefix of more is for one or two hosts: each address is one's. */
#define ALL_BITS_V4 31
#define ALL_BITS_V6 127

static void step_by(struct ip_addr *a, bool up)
{
	for (size_t i = ip_addr_len(a); i-- > 0;) {
		a->b[i] = (uint8_t)(up ? a->b[i] + 1 : a->b[i] - 1);
		if (a->b[i] != (up ? 0 : 0xff))
			return;
	}
}

/* Of a prefix neither the network's own address nor, of IPv4, that for all is a host's. */
static void only_hosts(struct conf_pool *p, const struct ip_prefix *prefix)
{
	const bool v4 = p->lo.family == IP_V4;

	if (prefix->len >= (v4 ? ALL_BITS_V4 : ALL_BITS_V6))
		return;
	step_by(&p->lo, true);
	if (v4)
		step_by(&p->hi, false);
}

enum err set_pool_addrs(struct check *c, void *obj, const struct tree *node)
{
	struct conf_pool *p = obj;
	struct ip_prefix prefix;
	const char *text;
	struct ts range;

	if (!take_text(c, &text, node))
		return ERR_OK;
	if (strchr(text, '[') || ts_parse(&range, text)) {
		CHECK_ERROR(c, node,
			    "'%.60s' is neither a prefix nor a range: 10.3.0.0/24 and "
			    "10.3.0.10-10.3.0.99 are",
			    text);
		return ERR_OK;
	}
	p->lo = range.lo;
	p->hi = range.hi;
	if (!ip_prefix_parse(&prefix, text))
		only_hosts(p, &prefix);
	return ERR_OK;
}

/* Attributes of the Configuration payload (RFC 7296 3.15.1), by the address's family; 0: there is
 * none. */
static const struct {
	const char *name;
	uint16_t v4, v6;
	bool prefix; /* a network: with its mask, or the length of it */
} attrs[] = {
	{"netmask", 2, 0, false}, {"dns", 3, 10, false},    {"nbns", 4, 0, false},
	{"dhcp", 6, 12, false},   {"subnet", 13, 15, true},
};

/* encode - *out as it is sent. False: the text is not such a value. */
static bool encode(struct conf_attr *out, size_t kind, const char *text)
{
	struct ip_prefix p;

	if (attrs[kind].prefix ? ip_prefix_parse(&p, text) : ip_addr_parse(&p.addr, text))
		return false;
	out->type = p.addr.family == IP_V4 ? attrs[kind].v4 : attrs[kind].v6;
	out->len = (uint8_t)ip_addr_len(&p.addr);
	memcpy(out->value, p.addr.b, out->len);
	if (attrs[kind].prefix && p.addr.family == IP_V4) {
		store_be32(out->value + 4, p.len ? UINT32_MAX << (32 - p.len) : 0);
		out->len = 8;
	} else if (attrs[kind].prefix) {
		out->value[out->len++] = p.len;
	}
	return out->type != 0;
}

static size_t kind_of(const char *name)
{
	size_t i = 0;

	while (strcmp(attrs[i].name, name) != 0) /* the table of keys has no other */
		i++;
	return i;
}

enum err set_pool_attr(struct check *c, void *obj, const struct tree *node)
{
	const size_t kind = kind_of(node->name);
	struct conf_pool *p = obj;
	char item[VALUE_ITEM_MAX];
	struct value_items it;

	value_items_init(&it, node);
	while (take_item(c, item, &it,
			 &(struct take_list){"values", p->num_attrs, CONF_POOL_ATTRS}))
		if (encode(&p->attrs[p->num_attrs], kind, item))
			p->num_attrs++;
		else
			CHECK_ERROR(c, node, "'%.60s' is not %s", item,
				    attrs[kind].prefix ? "a network, as 10.0.0.0/8 is"
				    : attrs[kind].v6   ? "an address"
						       : "an IPv4 address");
	return ERR_OK;
}

enum err pool_check(struct check *c, struct conf_pool **out, const struct tree *section)
{
	const uint32_t errors = c->diags->num_errors;
	struct conf_pool *p = mem_alloc(sizeof(*p));
	enum err e;

	*out = NULL;
	if (!p)
		return ERR_NOMEM;
	p->refs = 1;
	p->name = str_dup(section->name);
	e = p->name ? check_section(c, SCOPE_POOL, p, section) : ERR_NOMEM;
	if (!e && !p->lo.family && c->diags->num_errors == errors)
		CHECK_ERROR(c, section, "has no 'addrs'");
	if (e || c->diags->num_errors != errors) {
		conf_pool_put(p);
		return e;
	}
	*out = p;
	return ERR_OK;
}

uint32_t conf_pool_size(const struct conf_pool *p)
{
	const size_t len = ip_addr_len(&p->lo);
	uint64_t size = 0;

	for (size_t i = 0; i < len; i++) {
		size = size * 256 + p->hi.b[i] - p->lo.b[i];
		if (size > UINT32_MAX * UINT64_C(256))
			return UINT32_MAX;
	}
	return size < UINT32_MAX ? (uint32_t)size + 1 : UINT32_MAX;
}

struct conf_pool *conf_pool_get(struct conf_pool *p)
{
	p->refs++;
	return p;
}

void conf_pool_put(struct conf_pool *p)
{
	if (!p || --p->refs > 0)
		return;
	mem_free(p->name);
	mem_free(p);
}

struct conf_pool *conf_find_pool(const struct conf *c, const char *name)
{
	for (uint32_t i = 0; i < c->num_pools; i++) {
		if (strcmp(c->pools[i]->name, name) == 0)
			return c->pools[i];
	}
	return NULL;
}
