/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proposal.c - proposals in strongSwan's keywords ("aes256gcm16-prfsha384-x25519"). What Latchkey
 * cannot do is left out with a warning as long as something usable remains; a word nobody knows is
 * an error. An additional key exchange has its number in front: "ke1_mlkem768".
 */
#include "control/conf/conf.h"
#include "control/conf/diag.h"
#include "control/conf/values.h"

#include <stdio.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/evp.h>

enum kind {
	KIND_ENCR,
	KIND_PRF,
	KIND_INTEG, /* names the PRF too, if no PRF is named itself; all it does beside an AEAD */
	KIND_DH,
	KIND_KEM, /* key exchange that is made in addition to another one only */
	KIND_ESN,
	KIND_OTHER, /* strongSwan knows it, Latchkey does not support it */
};

struct keyword {
	const char *name;
	enum kind kind;
	uint16_t id;
	uint16_t key_bits;
};

#define GCM_KEYWORDS(bits)                                             \
	{"aes" #bits "gcm16", KIND_ENCR, ENCR_AES_GCM_16, bits},       \
	{                                                              \
		"aes" #bits "gcm128", KIND_ENCR, ENCR_AES_GCM_16, bits \
	}
#define OTHER(name)                    \
	{                              \
		name, KIND_OTHER, 0, 0 \
	}

static const struct keyword keywords[] = {
	GCM_KEYWORDS(256),
	GCM_KEYWORDS(128),
	{"chacha20poly1305", KIND_ENCR, ENCR_CHACHA20_POLY1305, 0},
	{"aes256gcm16iiv", KIND_ENCR, ENCR_AES_GCM_16_IIV, 256},
	{"aes128gcm16iiv", KIND_ENCR, ENCR_AES_GCM_16_IIV, 128},
	{"chacha20poly1305iiv", KIND_ENCR, ENCR_CHACHA20_POLY1305_IIV, 0},
	{"aes256", KIND_ENCR, ENCR_AES_CBC, 256},
	{"aes192", KIND_ENCR, ENCR_AES_CBC, 192},
	{"aes128", KIND_ENCR, ENCR_AES_CBC, 128},
	{"aes", KIND_ENCR, ENCR_AES_CBC, 128},
	{"null", KIND_ENCR, ENCR_NULL, 0},
	{"aes256gmac", KIND_ENCR, ENCR_AES_GMAC, 256},
	{"aes192gmac", KIND_ENCR, ENCR_AES_GMAC, 192},
	{"aes128gmac", KIND_ENCR, ENCR_AES_GMAC, 128},
	{"prfsha256", KIND_PRF, PRF_HMAC_SHA2_256, 0},
	{"prfsha384", KIND_PRF, PRF_HMAC_SHA2_384, 0},
	{"prfsha512", KIND_PRF, PRF_HMAC_SHA2_512, 0},
	{"sha256", KIND_INTEG, INTEG_HMAC_SHA2_256_128, 0},
	{"sha2_256", KIND_INTEG, INTEG_HMAC_SHA2_256_128, 0},
	{"sha384", KIND_INTEG, INTEG_HMAC_SHA2_384_192, 0},
	{"sha2_384", KIND_INTEG, INTEG_HMAC_SHA2_384_192, 0},
	{"sha512", KIND_INTEG, INTEG_HMAC_SHA2_512_256, 0},
	{"sha2_512", KIND_INTEG, INTEG_HMAC_SHA2_512_256, 0},
	{"x25519", KIND_DH, DH_CURVE_25519, 0},
	{"curve25519", KIND_DH, DH_CURVE_25519, 0},
	{"ecp256", KIND_DH, DH_ECP_256, 0},
	{"ecp384", KIND_DH, DH_ECP_384, 0},
	{"ecp521", KIND_DH, DH_ECP_521, 0},
	{"modp2048", KIND_DH, DH_MODP_2048, 0},
	{"modp3072", KIND_DH, DH_MODP_3072, 0},
	{"modp4096", KIND_DH, DH_MODP_4096, 0},
	{"mlkem512", KIND_KEM, KE_ML_KEM_512, 0},
	{"mlkem768", KIND_KEM, KE_ML_KEM_768, 0},
	{"mlkem1024", KIND_KEM, KE_ML_KEM_1024, 0},
	{"esn", KIND_ESN, 1, 0},
	{"noesn", KIND_ESN, 0, 0},
	OTHER("aes128ctr"),
	OTHER("aes192ctr"),
	OTHER("aes256ctr"),
	OTHER("aes128ccm8"),
	OTHER("aes128ccm12"),
	OTHER("aes128ccm16"),
	OTHER("aes128ccm64"),
	OTHER("aes128ccm96"),
	OTHER("aes128ccm128"),
	OTHER("aes192ccm8"),
	OTHER("aes192ccm12"),
	OTHER("aes192ccm16"),
	OTHER("aes192ccm64"),
	OTHER("aes192ccm96"),
	OTHER("aes192ccm128"),
	OTHER("aes256ccm8"),
	OTHER("aes256ccm12"),
	OTHER("aes256ccm16"),
	OTHER("aes256ccm64"),
	OTHER("aes256ccm96"),
	OTHER("aes256ccm128"),
	OTHER("aes128gcm8"),
	OTHER("aes128gcm12"),
	OTHER("aes128gcm64"),
	OTHER("aes128gcm96"),
	OTHER("aes192gcm8"),
	OTHER("aes192gcm12"),
	OTHER("aes192gcm16"),
	OTHER("aes192gcm64"),
	OTHER("aes192gcm96"),
	OTHER("aes192gcm128"),
	OTHER("aes256gcm8"),
	OTHER("aes256gcm12"),
	OTHER("aes256gcm64"),
	OTHER("aes256gcm96"),
	OTHER("chacha20poly1305compat"),
	OTHER("3des"),
	OTHER("des"),
	OTHER("blowfish"),
	OTHER("blowfish128"),
	OTHER("blowfish192"),
	OTHER("blowfish256"),
	OTHER("camellia"),
	OTHER("camellia128"),
	OTHER("camellia192"),
	OTHER("camellia256"),
	OTHER("camellia128ctr"),
	OTHER("camellia192ctr"),
	OTHER("camellia256ctr"),
	OTHER("camellia128ccm8"),
	OTHER("camellia128ccm12"),
	OTHER("camellia128ccm16"),
	OTHER("camellia192ccm8"),
	OTHER("camellia192ccm12"),
	OTHER("camellia192ccm16"),
	OTHER("camellia256ccm8"),
	OTHER("camellia256ccm12"),
	OTHER("camellia256ccm16"),
	OTHER("cast128"),
	OTHER("serpent"),
	OTHER("serpent128"),
	OTHER("serpent192"),
	OTHER("serpent256"),
	OTHER("twofish"),
	OTHER("twofish128"),
	OTHER("twofish192"),
	OTHER("twofish256"),
	OTHER("md5"),
	OTHER("md5_128"),
	OTHER("sha"),
	OTHER("sha1"),
	OTHER("sha1_160"),
	OTHER("sha256_96"),
	OTHER("sha2_256_96"),
	OTHER("aesxcbc"),
	OTHER("aescmac"),
	OTHER("camelliaxcbc"),
	OTHER("prfmd5"),
	OTHER("prfsha1"),
	OTHER("prfaesxcbc"),
	OTHER("prfaescmac"),
	OTHER("prfcamelliaxcbc"),
	OTHER("modpnone"),
	OTHER("modpnull"),
	OTHER("modp768"),
	OTHER("modp1024"),
	OTHER("modp1536"),
	OTHER("modp6144"),
	OTHER("modp8192"),
	OTHER("modp1024s160"),
	OTHER("modp2048s224"),
	OTHER("modp2048s256"),
	OTHER("ecp192"),
	OTHER("ecp224"),
	OTHER("ecp224bp"),
	OTHER("ecp256bp"),
	OTHER("ecp384bp"),
	OTHER("ecp512bp"),
	OTHER("curve448"),
	OTHER("x448"),
	OTHER("ntru112"),
	OTHER("ntru128"),
	OTHER("ntru192"),
	OTHER("ntru256"),
	OTHER("newhope128"),
};

#define SUPPORTED_ENCR                                                                \
	"supported: aes256gcm16, aes128gcm16, chacha20poly1305, aes256/192/128 with " \
	"sha256/384/512; "
#define SUPPORTED_DH                                                     \
	"x25519, ecp256, ecp384, ecp521, modp3072, modp4096, modp2048; " \
	"ke1_ to ke7_ with these and mlkem768, mlkem1024, mlkem512"
#define SUPPORTED_IKE SUPPORTED_ENCR "prfsha256, prfsha384, prfsha512; " SUPPORTED_DH
#define SUPPORTED_ESP \
	SUPPORTED_ENCR "null, aes256gmac, aes256gcm16iiv; " SUPPORTED_DH "; esn, noesn"

/* struct parsing - one list of proposals. */
struct parsing {
	char *text; /* error or warning */
	size_t text_len;
	bool is_ike;
	bool warned;
	uint32_t addke; /* bit n: this proposal names additional key exchange n + 1 */
};

/* ADDKE_PREFIX_LEN - "ke1_". */
#define ADDKE_PREFIX_LEN 4

static const struct keyword *find_keyword(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		if (strcasecmp(keywords[i].name, name) == 0)
			return &keywords[i];
	}
	return NULL;
}

const char *conf_transform_word(uint8_t type, uint16_t id, uint16_t key_bits)
{
	/* By transform type, from 1 on (RFC 7296 3.3.2). */
	static const enum kind kinds[] = {KIND_ENCR, KIND_PRF, KIND_INTEG, KIND_DH, KIND_ESN};

	if (type < 1 || type > ARRAY_LEN(kinds))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		const struct keyword *k = &keywords[i];

		if ((k->kind == kinds[type - 1] ||
		     (k->kind == KIND_KEM && kinds[type - 1] == KIND_DH)) &&
		    k->id == id && k->key_bits == key_bits)
			return k->name;
	}
	return NULL;
}

static const char *nearest_keyword(const char *name)
{
	const char *names[ARRAY_LEN(keywords)];

	for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
		names[i] = keywords[i].name;
	return conf_nearest(name, names, ARRAY_LEN(names));
}

/* Only the first remark is kept. */
static void warn(struct parsing *p, const char *what, const char *why)
{
	if (!p->warned)
		snprintf(p->text, p->text_len, "'%.40s' is left out: %s (%s)", what, why,
			 p->is_ike ? SUPPORTED_IKE : SUPPORTED_ESP);
	p->warned = true;
}

static enum err fail(struct parsing *p, const char *what, const char *why)
{
	snprintf(p->text, p->text_len, "'%.60s' %s (%s)", what, why,
		 p->is_ike ? SUPPORTED_IKE : SUPPORTED_ESP);
	return ERR_CONFIG;
}

static bool add_u16(uint16_t *list, uint8_t *num, uint16_t id)
{
	for (uint8_t i = 0; i < *num; i++) {
		if (list[i] == id)
			return true;
	}
	if (*num == CONF_MAX_TRANSFORMS)
		return false;
	list[(*num)++] = id;
	return true;
}

static bool add_encr(struct conf_proposal *p, uint16_t id, uint16_t bits)
{
	for (uint8_t i = 0; i < p->num_encr; i++) {
		if (p->encr[i].id == id && p->encr[i].key_bits == bits)
			return true;
	}
	if (p->num_encr == CONF_MAX_TRANSFORMS)
		return false;
	p->encr[p->num_encr++] = (struct conf_encr){.id = id, .key_bits = bits};
	return true;
}

static void add_esn(struct conf_proposal *p, uint8_t esn)
{
	for (uint8_t i = 0; i < p->num_esn; i++) {
		if (p->esn[i] == esn)
			return;
	}
	p->esn[p->num_esn++] = esn;
}

/* The PRF of the same hash (RFC 4868). */
static uint16_t prf_of(uint16_t integ)
{
	return (uint16_t)(integ - INTEG_HMAC_SHA2_256_128 + PRF_HMAC_SHA2_256);
}

static bool add_keyword(struct conf_proposal *d, const struct keyword *k)
{
	switch (k->kind) {
	case KIND_ENCR:
		return add_encr(d, k->id, k->key_bits);
	case KIND_PRF:
		return add_u16(d->prf, &d->num_prf, k->id);
	case KIND_INTEG:
		return add_u16(d->integ, &d->num_integ, k->id);
	case KIND_DH:
		return add_u16(d->dh, &d->num_dh, k->id);
	case KIND_ESN:
		add_esn(d, (uint8_t)k->id);
		return true;
	case KIND_KEM:
	case KIND_OTHER:
	default:
		return true;
	}
}

/* It does not hide anything, which IKE has to, or its IV is ESP's sequence number. */
static bool is_esp_only(const struct keyword *k)
{
	return k->kind == KIND_ENCR &&
	       (k->id == ENCR_NULL || k->id == ENCR_AES_GMAC || k->id == ENCR_AES_GCM_16_IIV ||
		k->id == ENCR_CHACHA20_POLY1305_IIV);
}

static enum err unknown(struct parsing *p, const char *name, const char *method)
{
	const char *near = nearest_keyword(method);
	char why[96];

	snprintf(why, sizeof(why),
		 near ? "is no algorithm; did you mean '%.*s%s'?" : "is no algorithm",
		 (int)(method - name), name, near ? near : "");
	return fail(p, name, why);
}

/* have_mlkem - OpenSSL can do it on this host: from 3.5 on. */
static bool have_mlkem(void)
{
	EVP_KEYMGMT *keys;

	ERR_set_mark();
	keys = EVP_KEYMGMT_fetch(NULL, "ML-KEM-768", NULL);
	ERR_pop_to_mark();
	EVP_KEYMGMT_free(keys);
	return keys != NULL;
}

/* parse_addke - an additional key exchange (RFC 9370): its number from 0 on, and its method. */
static enum err parse_addke(struct parsing *p, struct conf_proposal *d, const char *name)
{
	const unsigned n = (unsigned)(name[2] - '1');
	const char *method = name + ADDKE_PREFIX_LEN;
	static const struct keyword none = {"none", KIND_DH, DH_NONE, 0};
	const struct keyword *k = strcasecmp(method, "none") == 0 ? &none : find_keyword(method);

	if (!k)
		return unknown(p, name, method);
	p->addke |= 1u << n;
	if (k->kind == KIND_OTHER)
		warn(p, name, "it is not supported");
	else if (k->kind != KIND_DH && k->kind != KIND_KEM)
		return fail(p, name, "is no key exchange method");
	else if (k->kind == KIND_KEM && !have_mlkem())
		warn(p, name, "the OpenSSL of this host has no ML-KEM, which 3.5 and later have");
	else if (!add_u16(d->addke[n], &d->num_addke[n], k->id))
		return fail(p, name, "is one algorithm too many in one proposal");
	return ERR_OK;
}

static bool is_addke(const char *name)
{
	return strncasecmp(name, "ke", 2) == 0 && name[2] >= '1' &&
	       name[2] < '1' + CONF_MAX_ADDKE && name[3] == '_';
}

static enum err parse_keyword(struct parsing *p, struct conf_proposal *d, const char *name)
{
	const struct keyword *k = find_keyword(name);

	if (is_addke(name))
		return parse_addke(p, d, name);
	if (!k)
		return unknown(p, name, name);
	if (k->kind == KIND_KEM)
		return fail(p, name,
			    "is a key exchange in addition to another one: put it behind one such "
			    "as x25519, with ke1_ before its name");
	if (k->kind == KIND_OTHER)
		warn(p, name,
		     strstr(name, "_96") ? "RFC 4868 has 128 bits of it, not 96"
					 : "it is not supported");
	else if (p->is_ike && (k->kind == KIND_ESN || is_esp_only(k)))
		return fail(p, name, "belongs in ESP proposals only");
	else if (!add_keyword(d, k))
		return fail(p, name, "is one algorithm too many in one proposal");
	return ERR_OK;
}

static uint8_t count_combined(const struct conf_proposal *p)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < p->num_encr; i++)
		n += conf_encr_combined(p->encr[i].id);
	return n;
}

/* What a proposal needs and what follows from the rest. False with a warning if it is of no use. */
static bool complete(struct parsing *p, struct conf_proposal *d, const char *item)
{
	if (p->is_ike && d->num_prf == 0)
		for (; d->num_prf < d->num_integ; d->num_prf++)
			d->prf[d->num_prf] = prf_of(d->integ[d->num_prf]);
	if (!p->is_ike) { /* nothing stays that would make two equal ones differ */
		memset(d->prf, 0, sizeof(d->prf));
		d->num_prf = 0;
	}
	if (d->num_encr == 0)
		warn(p, item, "it has no supported encryption algorithm");
	else if (d->num_integ == 0 && count_combined(d) == 0)
		warn(p, item, "its cipher needs an integrity algorithm");
	else if (p->is_ike && d->num_prf == 0)
		warn(p, item, "it has no supported PRF");
	else if (p->is_ike && d->num_dh == 0)
		warn(p, item, "it has no supported key exchange method");
	else
		return true;
	return false;
}

static bool names_dh(const char *word)
{
	return strncasecmp(word, "modp", 4) == 0 || strncasecmp(word, "ecp", 3) == 0 ||
	       strncasecmp(word, "curve", 5) == 0 || strncasecmp(word, "x448", 4) == 0 ||
	       strncasecmp(word, "ntru", 4) == 0 || strncasecmp(word, "newhope", 7) == 0;
}

/* lacks_addke - nothing supported remains of an additional key exchange. Without it the peer would
 * silently be offered less than was asked for. */
static bool lacks_addke(const struct parsing *p, const struct conf_proposal *d)
{
	for (unsigned n = 0; n < CONF_MAX_ADDKE; n++)
		if (p->addke & 1u << n && !d->num_addke[n])
			return true;
	return false;
}

/* Errors: CONFIG. *out_usable is false if nothing supported remains of it. */
static enum err parse_item(struct parsing *p, struct conf_proposal *d, bool *out_usable,
			   const char *item)
{
	char buf[VALUE_ITEM_MAX], *save = NULL;
	bool wants_dh = false;

	p->addke = 0;
	snprintf(buf, sizeof(buf), "%s", item);
	for (char *word = strtok_r(buf, "-", &save); word; word = strtok_r(NULL, "-", &save)) {
		enum err e = parse_keyword(p, d, word);

		if (e)
			return e;
		wants_dh |= names_dh(word);
	}
	*out_usable = complete(p, d, item);
	/* Without this a child that asks for forward secrecy would silently go without it. */
	if (*out_usable && ((wants_dh && d->num_dh == 0) || lacks_addke(p, d))) {
		warn(p, item, "it has no supported key exchange method");
		*out_usable = false;
	}
	if (*out_usable && p->addke && d->num_dh == 0)
		return fail(p, item, "has an additional key exchange and none that it adds to");
	if (*out_usable && !p->is_ike && d->num_esn == 0)
		add_esn(d, 0);
	return ERR_OK;
}

/* part_of - a proposal of the combined modes, or of the other ciphers, among p's; these need an
 * integrity algorithm. False if there are none. */
static bool part_of(struct conf_proposal *out, const struct conf_proposal *p, bool combined)
{
	*out = *p;
	out->num_encr = 0;
	for (uint8_t i = 0; i < p->num_encr; i++)
		if (conf_encr_combined(p->encr[i].id) == combined)
			out->encr[out->num_encr++] = p->encr[i];
	memset(out->encr + out->num_encr, 0,
	       sizeof(out->encr[0]) * (size_t)(CONF_MAX_TRANSFORMS - out->num_encr));
	if (combined) {
		memset(out->integ, 0, sizeof(out->integ));
		out->num_integ = 0;
	}
	return out->num_encr > 0 && (combined || out->num_integ > 0);
}

/* What both are offered by default: as with strongSwan everything strong, combined modes first. */
static struct conf_proposal default_proposal(bool is_ike)
{
	static const struct conf_proposal ike = {
		.encr = {{.id = ENCR_AES_GCM_16, .key_bits = 256},
			 {.id = ENCR_AES_GCM_16, .key_bits = 128},
			 {.id = ENCR_CHACHA20_POLY1305},
			 {.id = ENCR_AES_CBC, .key_bits = 256},
			 {.id = ENCR_AES_CBC, .key_bits = 192},
			 {.id = ENCR_AES_CBC, .key_bits = 128}},
		.num_encr = 6,
		.integ = {INTEG_HMAC_SHA2_256_128, INTEG_HMAC_SHA2_384_192,
			  INTEG_HMAC_SHA2_512_256},
		.num_integ = 3,
		.prf = {PRF_HMAC_SHA2_256, PRF_HMAC_SHA2_384, PRF_HMAC_SHA2_512},
		.num_prf = 3,
		.dh = {DH_CURVE_25519, DH_ECP_256, DH_ECP_384, DH_ECP_521, DH_MODP_3072,
		       DH_MODP_4096, DH_MODP_2048},
		.num_dh = 7,
	};
	struct conf_proposal p = ike;

	if (!is_ike) {
		memset(p.prf, 0, sizeof(p.prf));
		memset(p.dh, 0, sizeof(p.dh));
		p.num_prf = p.num_dh = 0;
		p.esn[0] = 1;
		p.num_esn = 2;
	}
	return p;
}

/* struct list - the proposals so far. */
struct list {
	struct conf_proposal at[CONF_MAX_PROPOSALS];
	uint32_t num;
};

/* add_parts - a proposal, or two where it mixes kinds of ciphers. False: too many. */
static bool add_parts(struct list *l, const struct conf_proposal *p)
{
	struct conf_proposal part;

	for (int combined = 1; combined >= 0; combined--) {
		if (!part_of(&part, p, combined))
			continue;
		if (l->num == CONF_MAX_PROPOSALS)
			return false;
		l->at[l->num++] = part;
	}
	return true;
}

enum err conf_proposals_parse_node(struct conf_proposal out[CONF_MAX_PROPOSALS], uint32_t *out_num,
				   char *text, size_t text_len, const struct tree *node,
				   bool is_ike)
{
	struct parsing p = {.text = text, .text_len = text_len, .is_ike = is_ike};
	struct list list = {.num = 0};
	char item[VALUE_ITEM_MAX];
	struct value_items it;
	enum err e;

	text[0] = '\0';
	value_items_init(&it, node);
	while (!(e = value_items_next(&it, item))) {
		struct conf_proposal d = {0};
		bool usable = true;

		if (strcasecmp(item, "default") == 0)
			d = default_proposal(is_ike);
		else
			e = parse_item(&p, &d, &usable, item);
		if (e)
			return e;
		if (usable && !add_parts(&list, &d))
			return fail(&p, item, "is one proposal too many");
	}
	if (e != ERR_NOT_FOUND)
		return fail(&p, "a proposal", "is too long");
	if (list.num == 0)
		return fail(&p, node->kind == TREE_VALUE ? node->value : "the list",
			    "has no proposal that is supported");
	memcpy(out, list.at, list.num * sizeof(list.at[0]));
	*out_num = list.num;
	return ERR_OK;
}

enum err conf_proposals_parse(struct conf_proposal out[CONF_MAX_PROPOSALS], uint32_t *out_num,
			      char *text, size_t text_len, const char *value, bool is_ike)
{
	struct tree *holder = tree_new(), *node;
	enum err e;

	if (!holder)
		return ERR_NOMEM;
	e = tree_add_value(holder, &node, "proposals", value, strlen(value));
	if (!e)
		e = conf_proposals_parse_node(out, out_num, text, text_len, node, is_ike);
	tree_free(holder);
	return e;
}
