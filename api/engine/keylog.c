/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of every SA in the formats of Wireshark's esp_sa and ikev2_decryption_table, so that a
 * capture can be judged by somebody else's decoder. Compiled to nothing unless -Dtest_keylog=true.
 */
#include "api/engine/internal.h"

#ifdef LATCHKEY_TEST_KEYLOG

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static FILE *open_log(const struct engine *e, const char *name)
{
	char path[512];
	FILE *f = NULL;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", e->keylog_dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		f = fdopen(fd, "a");
	if (!f) {
		LOG(ERROR, DMN, NULL, "cannot write %s", path);
		if (fd >= 0)
			close(fd);
	}
	return f;
}

static void put_hex(FILE *f, struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		fprintf(f, "%02x", b.p[i]);
}

static void log_ike_sa(void *ctx, uint64_t spi_i, uint64_t spi_r, struct bytes sk_ei,
		       struct bytes sk_er, const char *encr_name)
{
	struct engine *e = ctx;
	FILE *f = open_log(e, "ikev2_decryption_table");

	if (!f)
		return;
	/* tshark 4.0 cannot decrypt ChaCha20-Poly1305 in IKE, and refuses a table that names it. */
	if (strncmp(encr_name, "CHACHA20", 8) == 0) {
		fclose(f);
		return;
	}
	fprintf(f, "%016llx,%016llx,", (unsigned long long)spi_i, (unsigned long long)spi_r);
	put_hex(f, sk_ei);
	fputc(',', f);
	put_hex(f, sk_er);
	/* The name is Wireshark's own; the key is followed by four octets of salt (RFC 5282 7). */
	fprintf(f, ",\"AES-GCM-%zu with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"\n",
		(sk_ei.len - 4) * 8);
	fclose(f);
}

static void esp_line(FILE *f, const struct ip_addr *src, const struct ip_addr *dst, uint32_t spi,
		     struct bytes key, const char *encr)
{
	char s[IP_TEXT_MAX], d[IP_TEXT_MAX];

	fprintf(f, "\"%s\",\"%s\",\"%s\",\"0x%08x\",\"%s\",\"0x",
		src->family == IP_V4 ? "IPv4" : "IPv6", ip_addr_text(s, src), ip_addr_text(d, dst),
		spi, encr);
	put_hex(f, key);
	fprintf(f, "\",\"NULL\",\"\"\n");
}

static void log_child(void *ctx, const struct child_params *p, const struct path_addr *path)
{
	struct engine *e = ctx;
	FILE *f = open_log(e, "esp_sa");
	/* The names are Wireshark's; its 4.0 knows the second one and cannot decrypt it. */
	const char *encr = p->alg == AEAD_CHACHA20_POLY1305 ? "ChaCha20 with Poly1305 [RFC7634]"
							    : "AES-GCM with 16 octet ICV [RFC4106]";

	if (!f)
		return;
	esp_line(f, &path->remote.addr, &path->local.addr, p->spi_in, p->key_in, encr);
	esp_line(f, &path->local.addr, &path->remote.addr, p->spi_out, p->key_out, encr);
	fclose(f);
}

const struct ike_keylog *keylog_hook(struct engine *e)
{
	if (!e->keylog_dir)
		return NULL;
	LOG(WARN, DMN, NULL, "TEST BUILD: session keys are written to %s", e->keylog_dir);
	e->keylog = (struct ike_keylog){.ike_sa = log_ike_sa, .child = log_child, .ctx = e};
	return &e->keylog;
}

#else

const struct ike_keylog *keylog_hook(struct engine *e)
{
	(void)e;
	return NULL;
}

#endif
