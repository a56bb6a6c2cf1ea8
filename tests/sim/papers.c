/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/papers.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "control/auth/cred.h"
#include "tests/pki_conf.h"

#define PLACE     "http://192.0.2.9/"
#define LIST      PLACE "root.crl"
#define RESPONDER PLACE "ocsp/"
#define BASE      PLACE "certs/"
#define DAY_S     INT64_C(86400)

static struct pki_cert root;
/* Of each side: one that says nothing, one with LIST_AT's place, one with RESPONDER's. */
enum {
	PLAIN,
	WITH_LIST,
	WITH_RESPONDER,
	NUM_FORMS
};
static struct pki_cert own[2][NUM_FORMS];
static uint8_t list[4096], said[2][8192];
static size_t list_len, said_len[2];
static uint64_t served[PAPERS_BY_URL + 1];

static void make_own(unsigned side)
{
	const long serial = 10 * (side + 1);
	char subject[64], names[64], access[128];
	struct pki_params p = {
		.subject = subject, .names = names, .issuer = &root, .key = pki_key_get("P-256")};

	snprintf(subject, sizeof(subject), "/C=CH/CN=host%u.example", side + 1);
	snprintf(names, sizeof(names), "DNS:host%u.example", side + 1);
	snprintf(access, sizeof(access), "OCSP;URI:" RESPONDER "%u", side);
	for (unsigned form = 0; form < NUM_FORMS; form++) {
		p.serial = serial + form;
		p.crl_uri = form == WITH_LIST ? "URI:" LIST : NULL;
		p.access = form == WITH_RESPONDER ? access : NULL;
		pki_cert_make(&own[side][form], &p);
	}
	said_len[side] =
		pki_ocsp_make(said[side], &(struct pki_ocsp){.cert = &own[side][WITH_RESPONDER],
							     .issuer = &root,
							     .says = PKI_OCSP_GOOD,
							     .from_s = PKI_NOW_S,
							     .until_s = PKI_NOW_S + DAY_S});
}

static void make_all(void)
{
	const long other = 999;

	if (root.len)
		return;
	pki_cert_make(&root,
		      &(struct pki_params){.subject = "/C=CH/CN=Root", .ca = "critical,CA:TRUE"});
	for (unsigned side = 0; side < 2; side++)
		make_own(side);
	list_len = pki_crl_make(list, &root, &other, 1, PKI_NOW_S, PKI_NOW_S + DAY_S);
}

struct conf *papers_add(struct conf *conf, unsigned side, enum papers kind)
{
	const unsigned form = kind == PAPERS_LIST_AT     ? WITH_LIST
			      : kind == PAPERS_RESPONDER ? WITH_RESPONDER
							 : PLAIN;
	const struct pki_cert *cert = &own[side][form];

	if (kind == PAPERS_NONE)
		return conf;
	if (kind == PAPERS_PLAIN)
		return sim_creds(conf, side, "P-256");
	if (kind == PAPERS_TWO_KEYS)
		return sim_creds(sim_creds(conf, side, "P-256"), side, "rsa2048");
	make_all();
	conf = pki_add_at(conf, CRED_CA, pki_der(&root), kind == PAPERS_BY_URL ? BASE : NULL);
	conf = pki_add(pki_add(conf, CRED_CERT, pki_der(cert)), CRED_KEY, pki_private(cert->key));
	if (kind == PAPERS_LIST || kind == PAPERS_BY_URL)
		conf = pki_add(conf, CRED_CRL, bytes_of(list, list_len));
	return conf;
}

/* The certificate that is published at this URL, or nothing. */
static struct bytes published(const char *url)
{
	for (unsigned side = 0; side < 2; side++) {
		const struct pki_cert *c = &own[side][PLAIN];
		uint8_t at[PKI_HASH_LEN + sizeof(BASE) + 2 * PKI_HASH_LEN];

		pki_hash_url(at, sizeof(at), BASE, pki_der(c));
		if (strcmp((const char *)at + PKI_HASH_LEN, url) == 0)
			return pki_der(c);
	}
	return bytes_of(NULL, 0);
}

void papers_serve(struct sim_node *n, const struct ike_want *want)
{
	const size_t len = strlen(RESPONDER);
	struct bytes data;

	if (strcmp(want->url, LIST) == 0) {
		data = bytes_of(list, list_len);
		served[PAPERS_LIST_AT]++;
	} else if (strncmp(want->url, RESPONDER, len) == 0) {
		const unsigned side = want->url[len] == '1';

		data = bytes_of(said[side], said_len[side]);
		served[PAPERS_RESPONDER]++;
	} else {
		data = published(want->url);
		served[PAPERS_BY_URL] += data.len > 0;
	}
	ike_keyring_learn(n->keyring, want->id, data, data.len ? "" : "nobody there", n->wall_s);
}

uint64_t papers_served(enum papers kind)
{
	return served[kind];
}
