/* SPDX-License-Identifier: Apache-2.0 */
/* id.c - identities: from text as in swanctl.conf(5), and whether one satisfies another. */
#include "control/conf/conf.h"

#include "control/auth/dn.h"

#include <ctype.h>
#include <sodium.h>
#include <strings.h>

/* Identification types (RFC 7296 3.5). */
#define ID_IPV4_ADDR   1
#define ID_FQDN        2
#define ID_RFC822_ADDR 3
#define ID_IPV6_ADDR   5
#define ID_DER_ASN1_DN 9
#define ID_DER_ASN1_GN 10
#define ID_KEY_ID      11
#define ID_NULL        13

static enum err id_set(struct ike_id *out, uint8_t type, const void *data, size_t len)
{
	if (len > sizeof(out->data))
		return ERR_LIMIT;
	*out = (struct ike_id){.type = type, .len = (uint16_t)len};
	memcpy(out->data, data, len);
	return ERR_OK;
}

static enum err id_set_hex(struct ike_id *out, uint8_t type, const char *hex)
{
	uint8_t data[sizeof(out->data)];
	const char *end;
	size_t len;

	if (sodium_hex2bin(data, sizeof(data), hex, strlen(hex), ":", &len, &end) || *end)
		return ERR_MALFORMED;
	if (len == 0)
		return ERR_MALFORMED;
	return id_set(out, type, data, len);
}

/* "type:" in front of an identity. */
static const struct prefix {
	const char *text;
	uint8_t type;
} prefixes[] = {
	{"ipv4:", ID_IPV4_ADDR},    {"ipv6:", ID_IPV6_ADDR},       {"rfc822:", ID_RFC822_ADDR},
	{"email:", ID_RFC822_ADDR}, {"userfqdn:", ID_RFC822_ADDR}, {"fqdn:", ID_FQDN},
	{"dns:", ID_FQDN},          {"asn1dn:", ID_DER_ASN1_DN},   {"asn1gn:", ID_DER_ASN1_GN},
	{"keyid:", ID_KEY_ID},
};

/* An address identity has its family's length, or no peer could ever send it. */
static bool length_fits(const struct ike_id *id)
{
	return id->type == ID_IPV4_ADDR ? id->len == 4 : id->type != ID_IPV6_ADDR || id->len == 16;
}

static enum err parse_dn(struct ike_id *out, const char *text)
{
	struct ike_id id = {.type = ID_DER_ASN1_DN};
	size_t len;
	bool wild;
	enum err e = dn_parse(id.data, sizeof(id.data), &len, &wild, text);

	if (e)
		return e;
	id.len = (uint16_t)len;
	*out = id;
	return ERR_OK;
}

static enum err parse_prefixed(struct ike_id *out, const char *text, bool *out_done)
{
	enum err e = ERR_OK;

	*out_done = false;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		const char *data = text + strlen(prefixes[i].text);

		if (strncasecmp(text, prefixes[i].text, strlen(prefixes[i].text)) != 0)
			continue;
		*out_done = true;
		if (prefixes[i].type == ID_DER_ASN1_DN && *data != '#')
			e = parse_dn(out, data);
		else if (*data == '#')
			e = id_set_hex(out, prefixes[i].type, data + 1);
		else
			e = id_set(out, prefixes[i].type, data, strlen(data));
		if (!e && (out->len == 0 || !length_fits(out)))
			e = ERR_MALFORMED;
	}
	return e;
}

static bool is_any(const char *text)
{
	static const char *const any[] = {"", "%any", "%any6", "0.0.0.0", "*", "::", "0::0"};

	for (size_t i = 0; i < ARRAY_LEN(any); i++) {
		if (strcmp(text, any[i]) == 0)
			return true;
	}
	return false;
}

/* "@#hex" key id, "@@user@host" address, "@name" name, else "user@host". */
static enum err parse_with_at(struct ike_id *out, const char *text)
{
	if (text[0] != '@')
		return id_set(out, ID_RFC822_ADDR, text, strlen(text));
	if (text[1] == '#')
		return id_set_hex(out, ID_KEY_ID, text + 2);
	if (text[1] == '@')
		return id_set(out, ID_RFC822_ADDR, text + 2, strlen(text + 2));
	if (text[1] == '\0')
		return ERR_MALFORMED;
	return id_set(out, ID_FQDN, text + 1, strlen(text + 1));
}

enum err conf_id_parse(struct ike_id *out, const char *text)
{
	struct ip_addr addr;
	bool done;
	enum err e;

	if (is_any(text)) {
		*out = (struct ike_id){0};
		return ERR_OK;
	}
	e = parse_prefixed(out, text, &done);
	if (done)
		return e;
	if (text[0] == '{')
		return ERR_UNSUPPORTED; /* numbered types */
	if (strchr(text, '='))
		return parse_dn(out, text);
	if (strchr(text, '@'))
		return parse_with_at(out, text);
	if (!ip_addr_parse(&addr, text))
		return id_set(out, addr.family == IP_V4 ? ID_IPV4_ADDR : ID_IPV6_ADDR, addr.b,
			      ip_addr_len(&addr));
	return id_set(out, ID_FQDN, text, strlen(text));
}

static bool ignores_case(uint8_t type)
{
	return type == ID_FQDN || type == ID_RFC822_ADDR;
}

bool conf_id_equal(const struct ike_id *a, const struct ike_id *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == ID_DER_ASN1_DN)
		return dn_equal(bytes_of(a->data, a->len), bytes_of(b->data, b->len), false);
	if (a->len != b->len)
		return false;
	if (!ignores_case(a->type))
		return bytes_equal(bytes_of(a->data, a->len), bytes_of(b->data, b->len));
	for (size_t i = 0; i < a->len; i++) {
		if (tolower(a->data[i]) != tolower(b->data[i]))
			return false;
	}
	return true;
}

void conf_id_digest(uint8_t out[static CONF_ID_DIGEST_LEN], const struct ike_id *id)
{
	uint8_t text[1 + sizeof(id->data)] = {id->type};
	size_t len = id->len;

	if (id->type == ID_DER_ASN1_DN) {
		dn_digest(text + 1, bytes_of(id->data, id->len));
		len = DN_DIGEST_LEN;
	} else {
		for (size_t i = 0; i < len; i++)
			text[1 + i] = ignores_case(id->type) ? (uint8_t)tolower(id->data[i])
							     : id->data[i];
	}
	crypto_generichash(out, CONF_ID_DIGEST_LEN, text, 1 + len, NULL, 0);
}

/* pattern "*.example.com" or "*@example.com": what follows the star ends the identity, and there is
 * something before it. A NUL inside an identity matches nothing. */
static bool matches_pattern(const char *pattern, const struct ike_id *id)
{
	size_t len = strlen(pattern) - 1;

	if (!ignores_case(id->type) || id->len <= len || memchr(id->data, '\0', id->len))
		return false;
	if (strchr(pattern, '@') && id->type != ID_RFC822_ADDR)
		return false;
	return strncasecmp((const char *)id->data + id->len - len, pattern + 1, len) == 0;
}

bool conf_id_matches(const struct conf_side *side, const struct ike_id *id)
{
	if (side->auth == CONF_AUTH_NULL || id->type == ID_NULL)
		return side->auth == CONF_AUTH_NULL && id->type == ID_NULL;
	if (side->pattern && side->id.type == ID_DER_ASN1_DN)
		return id->type == ID_DER_ASN1_DN && dn_equal(bytes_of(side->id.data, side->id.len),
							      bytes_of(id->data, id->len), true);
	if (side->pattern)
		return matches_pattern(side->pattern, id);
	if (side->id.type == 0)
		return true;
	return conf_id_equal(&side->id, id);
}

bool conf_proven_matches(const struct conf_side *side, const struct ike_id *id)
{
	if (side->auth == CONF_AUTH_EAP && side->eap_id.type)
		return conf_id_equal(&side->eap_id, id);
	return conf_id_matches(side, id);
}

const struct conf_secret *conf_find_password(const struct conf *c, const struct ike_id *id)
{
	for (uint32_t i = 0; i < c->num_secrets; i++) {
		const struct conf_secret *s = c->secrets[i];

		for (uint32_t k = 0; s->kind == CONF_SECRET_EAP && k < s->num_ids; k++)
			if (conf_id_equal(&s->ids[k], id))
				return s;
	}
	return NULL;
}

const struct conf_secret *conf_find_radius_secret(const struct conf *c, const char *server)
{
	struct ike_id id;

	if (conf_id_parse(&id, server))
		return NULL;
	for (uint32_t i = 0; i < c->num_secrets; i++) {
		const struct conf_secret *s = c->secrets[i];

		for (uint32_t k = 0; s->kind == CONF_SECRET_RADIUS && k < s->num_ids; k++)
			if (conf_id_equal(&s->ids[k], &id))
				return s;
	}
	return NULL;
}

bool conf_ppk_id_equal(const struct ike_id *a, const struct ike_id *b)
{
	return a->len && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

const struct conf_secret *conf_find_ppk(const struct conf *c, const struct ike_id *id)
{
	for (uint32_t i = 0; i < c->num_secrets; i++) {
		const struct conf_secret *s = c->secrets[i];

		for (uint32_t k = 0; s->kind == CONF_SECRET_PPK && k < s->num_ids; k++)
			if (conf_ppk_id_equal(&s->ids[k], id))
				return s;
	}
	return NULL;
}

bool conf_uses_ppk(const struct conf *c)
{
	for (uint32_t i = 0; i < c->num_conns; i++)
		if (c->conns[i]->ppk_id.len || c->conns[i]->ppk_required)
			return true;
	for (uint32_t i = 0; i < c->num_secrets; i++)
		if (c->secrets[i]->kind == CONF_SECRET_PPK)
			return true;
	return false;
}

/* struct psk_match - how well a secret's identities fit. */
struct psk_match {
	bool local, peer, any; /* any: a wildcard identity stands for the peer */
};

static struct psk_match psk_match(const struct conf_secret *s, const struct ike_id *local,
				  const struct ike_id *peer)
{
	struct psk_match m = {0};

	for (uint32_t i = 0; i < s->num_ids; i++) {
		m.local |= conf_id_equal(&s->ids[i], local);
		m.peer |= conf_id_equal(&s->ids[i], peer);
		m.any |= s->ids[i].type == 0;
	}
	return m;
}

static int psk_score(const struct conf_secret *s, struct psk_match m)
{
	if (m.local && m.peer)
		return 6;
	if (m.peer)
		return s->num_ids == 1 ? 5 : 4;
	if (m.local)
		return m.any || s->num_ids == 1 ? 3 : 0;
	return m.any ? 2 : s->num_ids == 0 ? 1 : 0;
}

/* With both ends' identities and no other, a secret belongs to one pair; with the peer's alone to
 * one peer. Anything else can be known to more than one. */
static bool psk_is_group(const struct conf_secret *s, struct psk_match m)
{
	if (!m.peer || m.any)
		return true;
	return s->num_ids > (m.local ? 2u : 1u);
}

const struct conf_secret *conf_find_psk(const struct conf *c, bool *out_group,
					const struct ike_id *local, const struct ike_id *peer)
{
	const struct conf_secret *best = NULL;
	struct psk_match best_match = {0};
	int best_score = 0;

	for (uint32_t i = 0; i < c->num_secrets; i++) {
		struct psk_match m = psk_match(c->secrets[i], local, peer);
		int score = psk_score(c->secrets[i], m);

		if (c->secrets[i]->kind == CONF_SECRET_IKE && score > best_score) {
			best = c->secrets[i];
			best_match = m;
			best_score = score;
		}
	}
	if (best)
		*out_group = psk_is_group(best, best_match);
	return best;
}
