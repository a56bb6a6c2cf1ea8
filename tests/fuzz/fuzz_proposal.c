/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_proposal: two configurations out of words, and what a peer offers.
 *
 *	kind and group, two counts, so many words of ours, so many of the peer's, an SA payload
 *
 * Who offers and who selects come to the same choice. What is selected of the bytes was offered and
 * is configured, and where something could be selected something is. What an offer is called can
 * be configured, and says the same.
 */
#include <stdio.h>

#include "control/ike/offer.h"
#include "tests/fuzz/payloads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* WORDS_MAX - of a configuration. WORD_LEN - the longest, with its dash. */
#define WORDS_MAX 31
#define WORD_LEN  24

static const char *const words[] = {
	",",          "aes256gcm16", "aes128gcm16", "chacha20poly1305", "aes256",
	"aes128",     "null",        "aes256gmac",  "aes256gcm16iiv",   "prfsha256",
	"prfsha384",  "prfsha512",   "sha256",      "sha384",           "sha512",
	"x25519",     "ecp256",      "ecp384",      "modp2048",         "modp3072",
	"esn",        "noesn",       "ke1_ecp256",  "ke1_ecp384",       "ke1_none",
	"ke2_ecp256", "ke2_x25519",  "ke2_none",    "ke7_ecp521",       "ke3_mlkem768",
	"3des",       "modp1024",
};

static const uint16_t groups[] = {DH_NONE,    DH_CURVE_25519, DH_ECP_256,   DH_ECP_384,
				  DH_ECP_521, DH_MODP_2048,   DH_MODP_3072, KE_ML_KEM_768};

/* struct side - what one side is configured with. */
struct side {
	struct conf_proposal list[CONF_MAX_PROPOSALS];
	uint32_t num;
};

/* struct pair - one proposal of a peer's, and one of ours. */
struct pair {
	enum sa_kind kind;
	const struct sa_payload *sa;
	const struct sa_proposal *p;
	const struct conf_proposal *ours;
};

static bool is_ike(enum sa_kind kind)
{
	return kind == SA_KIND_IKE || kind == SA_KIND_IKE_REKEY;
}

/* side_read - a word for each byte, none of them: the default. False: nobody would start so. */
static bool side_read(struct side *out, struct bytes picks, bool ike)
{
	char text[WORDS_MAX * WORD_LEN + 1] = "default", why[512];
	size_t len = 0;

	for (size_t i = 0; i < picks.len; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s-",
					words[picks.p[i] % ARRAY_LEN(words)]);
	return conf_proposals_parse(out->list, &out->num, why, sizeof(why), text, ike) == ERR_OK;
}

static bool has(const uint16_t *list, uint32_t num, uint16_t id)
{
	for (uint32_t i = 0; i < num; i++) {
		if (list[i] == id)
			return true;
	}
	return false;
}

static bool offered(const struct pair *at, uint8_t type, uint16_t id, uint16_t bits)
{
	for (uint32_t i = 0; i < at->p->num_transforms; i++) {
		const struct sa_transform *t = &at->sa->transforms[at->p->first + i];

		if (t->usable && t->type == type && t->id == id && t->key_bits == bits)
			return true;
	}
	return false;
}

/* absent - the proposal has nothing of this type, or says that it may be none. */
static bool absent(const struct pair *at, uint8_t type)
{
	for (uint32_t i = 0; i < at->p->num_transforms; i++) {
		if (at->sa->transforms[at->p->first + i].type == type)
			return offered(at, type, 0, 0);
	}
	return true;
}

/* ---- what may be chosen, part by part -------------------------------------------------------- */

static bool shape_right(const struct pair *at)
{
	static const uint8_t spi_len[] = {
		[SA_KIND_IKE] = 0,
		[SA_KIND_IKE_REKEY] = 8,
		[SA_KIND_CHILD_AUTH] = 4,
		[SA_KIND_CHILD] = 4,
	};

	for (uint32_t i = 0; i < at->p->num_transforms; i++) {
		const uint8_t type = at->sa->transforms[at->p->first + i].type;

		if (!type || type > TRANSFORM_ADDKE7 ||
		    type == (is_ike(at->kind) ? TRANSFORM_ESN : TRANSFORM_PRF))
			return false;
	}
	return at->p->protocol == (is_ike(at->kind) ? PROTO_IKE : PROTO_ESP) &&
	       at->p->spi_len == spi_len[at->kind] && (!at->p->spi_len || at->p->spi);
}

static bool encr_right(const struct pair *at, const struct conf_encr *e)
{
	bool ours = false;

	for (uint32_t i = 0; i < at->ours->num_encr; i++)
		ours |= at->ours->encr[i].id == e->id && at->ours->encr[i].key_bits == e->key_bits;
	if (!ours || !offered(at, TRANSFORM_ENCR, e->id, e->key_bits))
		return false;
	if (conf_encr_combined(e->id))
		return e->integ == INTEG_NONE && absent(at, TRANSFORM_INTEG);
	return e->integ != INTEG_NONE && has(at->ours->integ, at->ours->num_integ, e->integ) &&
	       offered(at, TRANSFORM_INTEG, e->integ, 0);
}

static bool prf_right(const struct pair *at, uint16_t prf)
{
	if (!is_ike(at->kind))
		return !prf;
	return has(at->ours->prf, at->ours->num_prf, prf) && offered(at, TRANSFORM_PRF, prf, 0);
}

static bool esn_right(const struct pair *at, bool esn)
{
	if (is_ike(at->kind))
		return !esn;
	for (uint32_t i = 0; i < at->ours->num_esn; i++) {
		if (at->ours->esn[i] == esn)
			return offered(at, TRANSFORM_ESN, esn, 0);
	}
	return false;
}

static bool dh_right(const struct pair *at, uint16_t dh)
{
	if (at->kind == SA_KIND_CHILD_AUTH)
		return dh == DH_NONE;
	if (dh == DH_NONE)
		return !is_ike(at->kind) && !at->ours->num_dh && absent(at, TRANSFORM_DH);
	return has(at->ours->dh, at->ours->num_dh, dh) && offered(at, TRANSFORM_DH, dh, 0);
}

static bool addke_right(const struct pair *at, const uint16_t *addke)
{
	for (unsigned n = 0; n < CONF_MAX_ADDKE; n++) {
		const bool ours = has(at->ours->addke[n], at->ours->num_addke[n], addke[n]);
		const uint8_t type = (uint8_t)(TRANSFORM_ADDKE1 + n);

		if (at->kind == SA_KIND_CHILD_AUTH && addke[n] == DH_NONE)
			continue;
		if (addke[n] == DH_NONE
			    ? (!ours && at->ours->num_addke[n]) || !absent(at, type)
			    : !ours || !offered(at, type, addke[n], 0) || has(addke, n, addke[n]) ||
				      at->kind == SA_KIND_CHILD_AUTH)
			return false;
	}
	return true;
}

static bool choice_right(const struct pair *at, const struct sa_chosen *c, uint16_t group)
{
	return c->kind == at->kind && c->number == at->p->number && c->spi == at->p->spi &&
	       shape_right(at) && encr_right(at, &c->encr) && prf_right(at, c->prf) &&
	       esn_right(at, c->esn) && dh_right(at, c->dh) && addke_right(at, c->addke) &&
	       (c->dh == group || !group || c->dh == DH_NONE || !dh_right(at, group));
}

/* ---- whether anything can be chosen ---------------------------------------------------------- */

static bool some_encr(const struct pair *at)
{
	for (uint32_t i = 0; i < at->ours->num_encr; i++) {
		struct conf_encr e = at->ours->encr[i];

		if (encr_right(at, &e))
			return true;
		for (uint32_t k = 0; k < at->ours->num_integ; k++) {
			e.integ = at->ours->integ[k];
			if (encr_right(at, &e))
				return true;
		}
	}
	return false;
}

static bool some_prf(const struct pair *at)
{
	bool found = prf_right(at, 0);

	for (uint32_t i = 0; i < at->ours->num_prf; i++)
		found |= prf_right(at, at->ours->prf[i]);
	return found;
}

static bool some_dh(const struct pair *at)
{
	bool found = dh_right(at, DH_NONE);

	for (uint32_t i = 0; i < at->ours->num_dh; i++)
		found |= dh_right(at, at->ours->dh[i]);
	return found;
}

/* some_choice - of the two; false too where one of them has additional key exchanges, of which a
 * choice that fails is not taken back. */
static bool some_choice(const struct pair *at)
{
	static const uint16_t none[CONF_MAX_ADDKE];

	return shape_right(at) && some_encr(at) && some_prf(at) && some_dh(at) &&
	       (esn_right(at, false) || esn_right(at, true)) && addke_right(at, none) &&
	       !sa_offers_addke(at->ours, 1);
}

/* ---- what is compared ------------------------------------------------------------------------ */

/* use_choice - what came of selecting is what could be, by the first proposal of ours that does. */
static void use_choice(const struct sa_payload *sa, enum sa_kind kind, const struct side *own,
		       uint16_t group)
{
	struct sa_chosen c;
	const bool chosen = sa_select(&c, sa, kind, own->list, own->num, group) == ERR_OK;

	for (uint32_t i = 0; i < own->num; i++) {
		for (uint32_t k = 0; k < sa->num_proposals; k++) {
			const struct pair at = {kind, sa, &sa->proposals[k], &own->list[i]};

			if (chosen && choice_right(&at, &c, group))
				return;
			require(!some_choice(&at));
		}
	}
	require(!chosen);
}

static void built(struct sa_payload *out, struct ike_builder *b)
{
	struct bytes m;

	require(ike_build_finish(b, &m, NULL) == ERR_OK);
	require(sa_parse(out, bytes_of(m.p + 32, m.len - 32)) == ERR_OK);
}

static bool has_none(const struct conf_proposal *p)
{
	for (unsigned n = 0; n < CONF_MAX_ADDKE; n++) {
		if (has(p->addke[n], p->num_addke[n], DH_NONE))
			return true;
	}
	return false;
}

/* use_words - an offer in words is one that can be configured, unless it was cut. That an exchange
 * may be left out has no words, and in IKE_AUTH groups have no place. */
static void use_words(const struct side *own, const char *text, enum sa_kind kind)
{
	const size_t len = strlen(text);
	struct side again;
	char why[512];

	require(len && len < OFFER_TEXT_MAX);
	for (uint32_t i = 0; i < own->num; i++) {
		if (has_none(&own->list[i]))
			return;
	}
	if (kind == SA_KIND_CHILD_AUTH || (len > 3 && strcmp(text + len - 3, "...") == 0))
		return;
	require(conf_proposals_parse(again.list, &again.num, why, sizeof(why), text,
				     is_ike(kind)) == ERR_OK);
	require(again.num == own->num);
	require(memcmp(again.list, own->list, own->num * sizeof(own->list[0])) == 0);
}

/* use_sides - what we offer is answered, and what the answer says is what was selected. */
static void use_sides(const struct side *own, const struct side *peers, enum sa_kind kind,
		      uint16_t group)
{
	static struct sa_payload offer, answer;
	const struct ike_header h = {0};
	struct sa_chosen theirs, ours;
	char text[OFFER_TEXT_MAX];
	struct ike_builder b;
	uint8_t buf[8192];

	ike_build_begin(&b, buf, sizeof(buf), &h);
	sa_offer_build(&b, kind, 0x01020304, own->list, own->num);
	built(&offer, &b);
	require(offer.num_proposals == own->num);
	use_words(own, offer_text(text, kind, own->list, own->num), kind);
	use_words(own, offer_peer_text(text, &offer), kind);
	use_choice(&offer, kind, own, group);
	use_choice(&offer, kind, peers, group);
	if (sa_select(&theirs, &offer, kind, peers->list, peers->num, group) != ERR_OK)
		return;
	ike_build_begin(&b, buf, sizeof(buf), &h);
	sa_answer_build(&b, &theirs, 0x05060708);
	built(&answer, &b);
	require(sa_check(&ours, &answer, kind, own->list, own->num) == ERR_OK);
	require(ours.number == theirs.number && ours.encr.id == theirs.encr.id &&
		ours.encr.key_bits == theirs.encr.key_bits &&
		ours.encr.integ == theirs.encr.integ && ours.prf == theirs.prf &&
		ours.dh == theirs.dh && ours.esn == theirs.esn &&
		memcmp(ours.addke, theirs.addke, sizeof(ours.addke)) == 0);
	require(ours.dh == DH_NONE || sa_offers_dh(own->list, own->num, ours.dh));
}

/* use_bytes - the same of what a peer offers, and as an answer to what we offered. */
static void use_bytes(const struct side *own, struct bytes body, enum sa_kind kind, uint16_t group)
{
	static struct sa_payload sa;
	char text[OFFER_TEXT_MAX];
	struct sa_chosen c;
	bool right = false;

	if (sa_parse(&sa, body) != ERR_OK)
		return;
	(void)offer_peer_text(text, &sa);
	require(strlen(text) < sizeof(text));
	for (const char *p = text; *p; p++)
		require(*p >= ' ' && *p <= '~');
	use_choice(&sa, kind, own, group);
	if (sa_check(&c, &sa, kind, own->list, own->num) != ERR_OK)
		return;
	require(sa.num_proposals == 1 && c.number >= 1 && c.number <= own->num);
	right = choice_right(&(struct pair){kind, &sa, sa.proposals, &own->list[c.number - 1]}, &c,
			     DH_NONE);
	require(right);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *at = data + 3;
	enum sa_kind kind;
	struct side own, peers;
	size_t num_own, num_peers;
	uint16_t group;

	if (len < 3)
		return 0;
	kind = (enum sa_kind)(data[0] & 3);
	group = groups[(data[0] >> 2) % ARRAY_LEN(groups)];
	num_own = data[1] & WORDS_MAX;
	num_peers = data[2] & WORDS_MAX;
	if (len - 3 < num_own + num_peers ||
	    !side_read(&own, bytes_of(at, num_own), is_ike(kind)) ||
	    !side_read(&peers, bytes_of(at + num_own, num_peers), is_ike(kind)))
		return 0;
	at += num_own + num_peers;
	use_sides(&own, &peers, kind, group);
	use_bytes(&own, bytes_of(at, len - (size_t)(at - data)), kind, group);
	return 0;
}
