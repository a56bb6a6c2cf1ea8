/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_shown_certs: what somebody shows of himself in CERT payloads, as the keyring judges it:
 * pieces, each a byte that says of which kind (enum piece) and its length in two bytes.
 * Certificates, keys, OCSP responses, hashes with URLs; where one of ours publishes something, that
 * is the piece. Nobody is believed without a certificate of the authority, nothing is fetched from
 * elsewhere, nobody waits for what has come, and why he is refused is said in plain text.
 */
#include <stdio.h>

#include "control/auth/cred.h"
#include "control/engine.h"
#include "tests/fuzz/payloads.h"
#include "tests/pki_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NOW_S INT64_C(1750000000)
#define BASE  "http://192.0.2.9/certs/"

enum piece {
	CERTIFICATE,
	PUBLISHED,        /* by its hash */
	PUBLISHED_BUNDLE, /* the same of several */
	PUBLISHED_OTHER,  /* and what is there has another hash */
	ANY_URL,          /* a hash and a URL as they are */
	RESPONSE,
	RAW_KEY,
	NUM_PIECES
};

/* struct shown - there: what is at the URL. */
struct shown {
	struct ike_cert certs[IKE_MAX_CERTS];
	struct bytes there[IKE_MAX_CERTS];
	uint8_t places[IKE_MAX_CERTS][PKI_HASH_LEN + CRED_URL_MAX];
	uint32_t num;
};

static struct ike_keyring *keyring;
static struct conf *conf;

/* An authority that publishes certificates, and a connection with whoever has one of it. */
static void set_up(void)
{
	static const char text[] = "c { local { auth = pubkey\n id = gw.example\n }\n"
				   "remote { auth = pubkey\n id = peer.example\n } }\n";
	struct pki_cert root;

	pki_cert_make(&root, &(struct pki_params){.subject = "/CN=Root", .ca = "critical,CA:TRUE"});
	conf = pki_add_conns(pki_add_at(NULL, CRED_CA, pki_der(&root), BASE), text);
	require(!ike_keyring_new(&keyring, rng_system()));
	ike_keyring_fetches(keyring, true);
}

static void add(struct shown *s, enum piece kind, struct bytes data)
{
	static const uint8_t encodings[NUM_PIECES] = {
		[CERTIFICATE] = CERT_X509_SIGNATURE,
		[PUBLISHED] = CERT_HASH_AND_URL,
		[PUBLISHED_BUNDLE] = CERT_BUNDLE_AND_URL,
		[PUBLISHED_OTHER] = CERT_HASH_AND_URL,
		[ANY_URL] = CERT_HASH_AND_URL,
		[RESPONSE] = CERT_OCSP_CONTENT,
		[RAW_KEY] = CERT_RAW_PUBLIC_KEY,
	};
	struct ike_cert *c = &s->certs[s->num];

	if (!data.len || s->num == IKE_MAX_CERTS)
		return;
	*c = (struct ike_cert){.encoding = encodings[kind], .data = data};
	s->there[s->num] = bytes_of(NULL, 0);
	if (kind >= PUBLISHED && kind <= PUBLISHED_OTHER) {
		c->data = pki_hash_url(s->places[s->num], sizeof(s->places[0]), BASE, data);
		s->there[s->num] = bytes_of(data.p, data.len - (kind == PUBLISHED_OTHER));
	}
	s->num++;
}

/* What is wanted comes, or nothing is there. */
static void fetch(const struct shown *s)
{
	struct ike_want w;

	while (ike_keyring_want(keyring, &w)) {
		const struct bytes url = bytes_of(w.url, strlen(w.url));
		struct bytes there = {0};

		require(url.len == strlen(BASE) + (size_t)2 * PKI_HASH_LEN && !w.type);
		require(memcmp(w.url, BASE, strlen(BASE)) == 0);
		for (uint32_t i = 0; i < s->num; i++) {
			const struct bytes d = s->certs[i].data;

			if (s->there[i].len &&
			    bytes_equal(bytes_of(d.p + PKI_HASH_LEN, d.len - PKI_HASH_LEN), url))
				there = s->there[i];
		}
		ike_keyring_learn(keyring, w.id, there, there.len ? "" : "nobody is there", NOW_S);
	}
}

static void judge(const struct shown *s)
{
	static const struct ike_id peer = {.type = ID_FQDN, .len = 12, .data = "peer.example"};
	const struct ike_ask ask = {.kind = IKE_ASK_VERIFY_CHAIN,
				    .config = conf->conns[0],
				    .peer_id = &peer,
				    .local_id = &peer,
				    .certs = s->certs,
				    .num_certs = s->num};
	struct ike_answer a;
	uint32_t rounds = 0;

	do {
		require(rounds++ < 3); /* all that is wanted is wanted at once */
		ike_keyring_answer(keyring, &a, conf, &ask, NOW_S);
		require(!a.allow && !a.num_trust && a.text && a.text[0]);
		for (const char *p = a.text; *p; p++)
			require(*p >= ' ' && *p <= '~');
		fetch(s);
	} while (ike_keyring_waits(keyring));
	ike_keyring_flush(keyring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct shown s;
	struct reader r;
	struct bytes piece;
	uint8_t kind;
	uint16_t n;

	if (!keyring)
		set_up();
	s.num = 0;
	reader_init(&r, data, len);
	while (!reader_u8(&r, &kind) && !reader_u16(&r, &n) && !reader_bytes(&r, &piece, n))
		add(&s, (enum piece)(kind % NUM_PIECES), piece);
	judge(&s);
	return 0;
}
