/* SPDX-License-Identifier: Apache-2.0 */
/* suite.c - RFC 2367's numbers of what a suite's text names. */
#include "api/client/internal.h"

#include <string.h>

static const struct {
	const char *prefix;
	int ealg, aalg;
} suites[] = {
	{"AES_GCM_16", IPSEC_SADB_X_EALG_AES_GCM, IPSEC_SADB_AALG_NONE},
	{"NULL_AES_GMAC", IPSEC_SADB_X_EALG_AES_GMAC, IPSEC_SADB_AALG_NONE},
	{"CHACHA20_POLY1305", -1, IPSEC_SADB_AALG_NONE},
	{"AES_CBC", IPSEC_SADB_X_EALG_AES_CBC, -1},
	{"NULL", IPSEC_SADB_EALG_NULL, -1},
};

static const struct {
	const char *word;
	int aalg;
} hashes[] = {
	{"HMAC_SHA2_256", IPSEC_SADB_X_AALG_SHA2_256},
	{"HMAC_SHA2_384", IPSEC_SADB_X_AALG_SHA2_384},
	{"HMAC_SHA2_512", IPSEC_SADB_X_AALG_SHA2_512},
};

static int suite_of(const char *suite)
{
	for (size_t i = 0; suite && i < ARRAY_LEN(suites); i++) {
		if (strncmp(suite, suites[i].prefix, strlen(suites[i].prefix)) == 0)
			return (int)i;
	}
	return -1;
}

int ipsec_suite_ealg(const char *suite)
{
	int i = suite_of(suite);

	return i < 0 ? -1 : suites[i].ealg;
}

int ipsec_suite_aalg(const char *suite)
{
	int i = suite_of(suite);

	for (size_t h = 0; i >= 0 && suites[i].aalg < 0 && h < ARRAY_LEN(hashes); h++) {
		if (strstr(suite, hashes[h].word))
			return hashes[h].aalg;
	}
	return i < 0 ? -1 : suites[i].aalg;
}
