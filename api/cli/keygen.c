/* SPDX-License-Identifier: Apache-2.0 */
/* keygen.c - `latchkey genkey` and `latchkey pubkey`: key pairs without a daemon, PEM on standard
 * output. The only place of this program that touches a key. */
#include "api/cli/cli.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

static EVP_PKEY *make(const char *kind)
{
	static const struct {
		const char *kind, *curve;
	} curves[] = {{"ecdsa256", "P-256"}, {"ecdsa384", "P-384"}, {"ecdsa521", "P-521"}};
	char *end;
	long bits;

	if (strcmp(kind, "ed25519") == 0 || strcmp(kind, "ed448") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, kind);
	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		if (strcmp(kind, curves[i].kind) == 0)
			return EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[i].curve);
	}
	if (strncmp(kind, "rsa", 3) != 0)
		return NULL;
	bits = strtol(kind + 3, &end, 10);
	if (kind[3] < '0' || kind[3] > '9' || *end || bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
		return NULL;
	return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
}

/* A file that standard output leads to becomes its owner's alone before there is a key in it. */
static bool close_to_others(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) || !S_ISREG(st.st_mode) || !(st.st_mode & 077))
		return true;
	return fchmod(STDOUT_FILENO, st.st_mode & 0700) == 0;
}

enum exit_code run_genkey(struct cli *cli)
{
	const char *kind = cli->num_args ? cli->args[0] : "ed25519";
	EVP_PKEY *key = make(kind);
	bool ok;

	if (!key)
		return cli_fail(cli, EXIT_USAGE,
				"'%s' is none of ed25519, ed448, ecdsa256, ecdsa384, ecdsa521 and "
				"rsa with %d to %d bits (rsa3072)",
				kind, RSA_BITS_MIN, RSA_BITS_MAX);
	if (!close_to_others()) {
		EVP_PKEY_free(key);
		return cli_fail(cli, EXIT_FAILED, "others can read the file that the key goes to");
	}
	ok = PEM_write_PKCS8PrivateKey(stdout, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	     fflush(stdout) == 0;
	EVP_PKEY_free(key);
	return ok ? EXIT_OK : cli_fail(cli, EXIT_FAILED, "the key could not be written");
}

/* An encrypted key is refused rather than asked about: a program may stand at the other end. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)arg = true;
	return -1;
}

enum exit_code run_pubkey(struct cli *cli)
{
	const char *name = cli->num_args ? cli->args[0] : "standard input";
	FILE *file = cli->num_args ? fopen(name, "r") : stdin;
	bool encrypted = false, ok;
	EVP_PKEY *key;

	if (!file)
		return cli_fail(cli, EXIT_NOT_FOUND, "%s cannot be read", name);
	key = PEM_read_PrivateKey(file, NULL, no_passphrase, &encrypted);
	if (file != stdin)
		fclose(file);
	if (!key)
		return cli_fail(cli, EXIT_FAILED,
				encrypted ? "the private key in %s is encrypted"
					  : "there is no private key in %s (PEM)",
				name);
	ok = PEM_write_PUBKEY(stdout, key) == 1 && fflush(stdout) == 0;
	EVP_PKEY_free(key);
	return ok ? EXIT_OK : cli_fail(cli, EXIT_FAILED, "the key could not be written");
}
