/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_conf.h - what tests/pki.h makes, put into a configuration. One thread.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"
#include "tests/pki.h"

/* pki_must - ends the program, and says what was not possible. */
static inline void pki_must(enum err err, const char *what, const char *why)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, err_name(err), why);
	abort();
}

/* pki_add - the configuration (NULL = empty) and a credential more; takes conf over. _at - one of
 * an authority that publishes its certificates there (pki_hash_url()); NULL: it does not. */
static inline struct conf *pki_add_at(struct conf *conf, enum cred_kind kind, struct bytes data,
				      const char *base)
{
	const struct cred_source source = {.kind = kind, .name = "test", .data = data};
	char why[KEY_WHY_MAX] = "";
	struct conf *more;
	struct cred *cred;

	pki_must(cred_import(&cred, why, &source), "pki_add", why);
	if (base)
		pki_must(cred_uris_add(&cred->cert_bases, base), "pki_add", base);
	pki_must(conf_with_cred(&more, conf, cred), "pki_add", "");
	cred_put(cred);
	conf_put(conf);
	return more;
}

static inline struct conf *pki_add(struct conf *conf, enum cred_kind kind, struct bytes data)
{
	return pki_add_at(conf, kind, data, NULL);
}

/* pki_add_conns - the configuration and these connections, the text of a section `connections`;
 * takes conf over. */
static inline struct conf *pki_add_conns(struct conf *conf, const char *text)
{
	struct conf_diags *diags = calloc(1, sizeof(*diags));
	struct conf *more;
	struct tree *tree;

	pki_must(diags ? ERR_OK : ERR_NOMEM, "pki_add_conns", "");
	pki_must(conf_parse_text(&tree, diags, "text", text, strlen(text)), "pki_add_conns", text);
	tree_for_each (conn, tree) {
		pki_must(conf_with_conn(&more, diags, conf, conn), "pki_add_conns", text);
		conf_put(conf);
		conf = more;
	}
	tree_free(tree);
	free(diags);
	return conf;
}
