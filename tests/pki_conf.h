/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_conf.h - what tests/pki.h makes, put into a configuration. One thread.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "control/conf/conf.h"
#include "tests/pki.h"

/* pki_add - the configuration (NULL = empty) and a credential more; takes conf over. Ends the
 * program if it is not usable. */
static inline struct conf *pki_add(struct conf *conf, enum cred_kind kind, struct bytes data)
{
	const struct cred_source source = {.kind = kind, .name = "test", .data = data};
	char why[KEY_WHY_MAX];
	struct conf *more;
	struct cred *cred;

	if (cred_import(&cred, why, &source) || conf_with_cred(&more, conf, cred)) {
		fprintf(stderr, "pki_add: %s\n", why);
		abort();
	}
	cred_put(cred);
	conf_put(conf);
	return more;
}
