/* SPDX-License-Identifier: Apache-2.0 */
/* sign.c - `auth = pubkey` and its kin: which keys, hashes and strengths may sign. */
#include <stdlib.h>
#include <strings.h>

#include "control/conf/sign.h"

/* Words that stand for kinds of keys; a number may follow RSA and ECDSA. */
static const struct kind_word {
	const char *word;
	uint32_t kinds;
	bool pss;
} kind_words[] = {
	{"rsa", KEY_BIT(KEY_RSA), false},     {"rsa/pss", KEY_BIT(KEY_RSA), true},
	{"ecdsa", KEY_BITS_ECDSA, false},     {"ed25519", KEY_BIT(KEY_ED25519), false},
	{"ed448", KEY_BIT(KEY_ED448), false},
};

static const struct hash_word {
	const char *word;
	enum sig_hash hash;
} hash_words[] = {
	{"sha256", SIG_SHA2_256},
	{"sha384", SIG_SHA2_384},
	{"sha512", SIG_SHA2_512},
	{"identity", SIG_IDENTITY},
};

static const struct kind_word *find_kind(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(kind_words); i++) {
		if (strcasecmp(word, kind_words[i].word) == 0)
			return &kind_words[i];
	}
	return NULL;
}

static uint32_t find_hash(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(hash_words); i++) {
		if (strcasecmp(word, hash_words[i].word) == 0)
			return SIG_HASH_BIT(hash_words[i].hash);
	}
	return 0;
}

static bool is_number(const char *word)
{
	return *word && strlen(word) <= 5 && strspn(word, "0123456789") == strlen(word);
}

/* struct draft - and the kind that a number would belong to. */
struct draft {
	struct conf_sign sign;
	const struct kind_word *last;
	bool any; /* "pubkey" was there */
};

static bool take_word_of(struct draft *d, const char *word)
{
	const struct kind_word *kind = find_kind(word);
	const uint32_t hash = find_hash(word);

	if (is_number(word) && d->last && (d->last->kinds & KEY_BIT(KEY_RSA)))
		d->sign.rsa_bits = (uint32_t)atoi(word);
	else if (is_number(word) && d->last && (d->last->kinds & KEY_BITS_ECDSA))
		d->sign.ecdsa_bits = (uint32_t)atoi(word);
	else if (kind)
		d->sign.kinds |= kind->kinds;
	else if (hash)
		d->sign.hashes |= hash;
	else if (strcasecmp(word, "pubkey") == 0)
		d->any = true;
	else
		return false;
	d->sign.pss |= kind && kind->pss;
	d->last = kind;
	return true;
}

bool sign_parse(struct conf_sign *out, char bad[static SIGN_WORD_MAX], const char *text)
{
	struct draft d = {.last = NULL};

	bad[0] = '\0';
	do {
		size_t len = strcspn(text, "-");

		if (len >= SIGN_WORD_MAX)
			return false;
		memcpy(bad, text, len);
		bad[len] = '\0';
		if (!take_word_of(&d, bad))
			return false;
		text += len + (text[len] == '-');
	} while (*text);
	if (d.any || !d.sign.kinds)
		d.sign.kinds = KEY_BITS_ANY;
	/* EdDSA has no hash to choose: naming others does not shut it out where it is named. */
	if (!d.sign.hashes)
		d.sign.hashes = SIG_HASHES_ALL;
	else if (!d.any && (d.sign.kinds & (KEY_BIT(KEY_ED25519) | KEY_BIT(KEY_ED448))))
		d.sign.hashes |= SIG_HASH_BIT(SIG_IDENTITY);
	*out = d.sign;
	return true;
}
