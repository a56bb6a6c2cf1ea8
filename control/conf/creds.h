/* SPDX-License-Identifier: Apache-2.0 */
/*
 * creds.h - credentials of a configuration: lists of them, the values and folders they are read
 * from, passphrases of encrypted keys. Control thread.
 */
#pragma once

#include "control/conf/check.h"

/* creds_add - append and take a reference; one that is there already is passed over, unless this
 * one knows where its lists are. Errors: NOMEM, LIMIT. creds_fini - drop all. */
MUST_USE enum err creds_add(struct conf_creds *creds, struct cred *c) NONNULL(1, 2);
void creds_fini(struct conf_creds *creds) NONNULL(1);

/* creds_take - the credentials that a value names: files, or the certificates or keys themselves
 * (as the control socket sends them, or as PEM in quotes). What is not usable is an error in a
 * sentence. Errors: NOMEM. */
MUST_USE enum err creds_take(struct check *c, struct conf_creds *creds, const struct tree *node,
			     enum cred_kind kind) NONNULL(1, 2, 3);

/* creds_take_file - the same of one file's name (`cert { file = ... }`), never the contents. */
MUST_USE enum err creds_take_file(struct check *c, struct conf_creds *creds,
				  const struct tree *node, enum cred_kind kind) NONNULL(1, 2, 3);

/* creds_path - where a file of this kind is: under the folder of its kind, unless the name is a
 * whole path. False, and a remark, if it cannot be said. */
bool creds_path(struct check *c, char *out, size_t size, const struct tree *node,
		enum cred_kind kind, const char *name) NONNULL(1, 2, 4, 6);

/* creds_warn_readable - who can read a private key can be us: a warning if others may. */
void creds_warn_readable(struct check *c, const char *path) NONNULL(1, 2);

/* creds_folders - all that lies in swanctl's folders beside the file; bad ones are warnings.
 * Errors: NOMEM, LIMIT. */
MUST_USE enum err creds_folders(struct check *c, struct conf_creds *creds) NONNULL(1, 2);

/* struct creds_passphrase - of a file in the folders of private keys. */
struct creds_passphrase {
	const char *file;
	struct secret value;
};

/* creds_passphrases_free - wipe them. */
void creds_passphrases_free(struct check *c) NONNULL(1);
